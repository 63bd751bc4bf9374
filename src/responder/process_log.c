/*
 * Where this process's log goes; see the header. Called by main.c alone.
 *
 * spawn-fcgi gives its children /dev/null for stderr, and lighttpd may: what must not be
 * lost goes to syslog too, unless stderr is a terminal or systemd's journal.
 */
#include "responder/process_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"

/* Longest reason of a failed start. */
#define REASON_MAX 2000

static enum log_target current = LOG_TARGET_STDERR; /* until the log is open */

/* Somebody reads stderr, or the journal has it anyway. */
static bool
stderr_is_read(void)
{
    struct stat info;
    char journal[64];
    const char *stream = getenv("JOURNAL_STREAM"); /* systemd.exec(5): device and inode of it */
    if (isatty(STDERR_FILENO))
        return true;
    if (!stream || fstat(STDERR_FILENO, &info) != 0)
        return false;
    snprintf(journal, sizeof journal, "%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino);
    return strcmp(stream, journal) == 0;
}

void
process_log_no_start(const char *format, ...)
{
    char reason[REASON_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    fprintf(stderr, "larder-fcgi: %s\n", reason);
    if (current == LOG_TARGET_FILE)
        log_write(LARDER_LOG_ERROR, "cannot start: %s", reason);
    if (current != LOG_TARGET_SYSLOG && stderr_is_read())
        return;
    openlog("larder", LOG_PID, LOG_DAEMON);
    syslog(LOG_ERR, "cannot start: %s", reason);
    closelog();
}

static const char *
remedy(int why)
{
    switch (why) {
    case ENOENT:
    case ENOTDIR:
        return "; make its directory, and give it to the user of larder-fcgi";
    case EISDIR:
        return "; name a file in it";
    case EROFS:
    case EACCES:
    case EPERM:
        return "; the user of larder-fcgi must be able to write there, and a unit of systemd must "
               "let it "
               "(larder.service does in /var/log/larder, and elsewhere with ReadWritePaths=)";
    default:
        return "";
    }
}

static enum log_target
target_of(const struct config *config, bool verbose)
{
    static const enum log_target targets[] = {
        [LOG_TO_SYSLOG] = LOG_TARGET_SYSLOG,
        [LOG_TO_FILE] = LOG_TARGET_FILE,
        [LOG_TO_STDERR] = LOG_TARGET_STDERR,
    };
    return verbose ? LOG_TARGET_STDERR : targets[config->log_to];
}

static enum larder_log_level
level_of(const struct config *config, bool verbose)
{
    return verbose ? LARDER_LOG_DEBUG : config->log_level;
}

/* *why: an errno, where it fails. */
static bool
open_log(const struct config *config, bool verbose, int *why)
{
    enum log_target target = target_of(config, verbose);
    if (log_open(target, config->log_file, level_of(config, verbose), NULL) != LARDER_OK) {
        *why = errno;
        return false;
    }
    current = target;
    return true;
}

void
process_log_start(const struct config *config, bool verbose)
{
    int why;
    if (open_log(config, verbose, &why))
        return;
    current = stderr_is_read() ? LOG_TARGET_STDERR : LOG_TARGET_SYSLOG;
    (void)log_open(current, NULL, level_of(config, verbose), NULL); /* these always can be */
    log_write(LARDER_LOG_ERROR,
              "log.file %s: %s%s; until it is mended and larder reloaded, the log is here",
              config->log_file, strerror(why), remedy(why));
    if (current == LOG_TARGET_SYSLOG)
        fprintf(stderr, "larder-fcgi: log.file %s: %s%s; the log is in syslog\n", config->log_file,
                strerror(why), remedy(why));
}

void
process_log_move(const struct config *config, bool verbose)
{
    int why;
    if (!open_log(config, verbose, &why))
        log_write(LARDER_LOG_ERROR, "log.file %s: %s%s; the log stays where it is",
                  config->log_file, strerror(why), remedy(why));
}

/* May this user make a file of that name? 0, or an errno. */
static int
why_not_made(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *dir = slash ? strndup(file, slash > file ? (size_t)(slash - file) : 1) : strdup(".");
    if (!dir)
        return ENOMEM;
    int why = faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
    free(dir);
    return why;
}

void
process_log_test(const struct config *config)
{
    if (config->log_to != LOG_TO_FILE)
        return;
    int fd = open(config->log_file, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int why = fd >= 0 ? 0 : errno;
    bool absent = why == ENOENT;
    if (fd >= 0)
        close(fd);
    if (absent)
        why = why_not_made(config->log_file);
    if (why)
        fprintf(stderr,
                "larder-fcgi: warning: log.file %s: %s%s; a start goes on without it, and logs to "
                "stderr or syslog\n",
                config->log_file, strerror(why), remedy(why));
    else if (absent && geteuid() == 0)
        fprintf(stderr,
                "larder-fcgi: log.file %s: not there yet; root cannot tell whether the user of "
                "larder-fcgi may make it (larder.service lets it in /var/log/larder)\n",
                config->log_file);
}
