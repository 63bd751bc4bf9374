/*
 * The process's log.
 *
 * One line, one write(2) with O_APPEND: lines of several processes do not mix.
 * The descriptor is swapped under a lock by log_open() and log_reopen(); a
 * writer holds the lock while it writes, so that nobody writes to a descriptor
 * that has been closed and reused. What is logged may come from a client:
 * control characters are shown as \xNN, so that nobody forges a line.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define LINE_MAX_BYTES 2000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards target, fd and path */
static enum log_target target = LOG_TARGET_STDERR;
static int fd = -1;
static char *path;
static atomic_int wanted = LARDER_LOG_INFO;

static int
open_file(const char *file)
{
    return open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

enum larder_status
log_open(enum log_target to, const char *file, enum larder_log_level level,
         struct larder_error *err)
{
    int new_fd = -1;
    char *new_path = NULL;
    if (to == LOG_TARGET_FILE) {
        new_path = strdup(file);
        if (!new_path)
            return error_set(err, LARDER_NOMEM, "log %s: out of memory", file);
        new_fd = open_file(file);
        if (new_fd < 0) {
            int why = errno;
            free(new_path);
            error_set(err, LARDER_INVALID, "log %s: cannot open: %s", file, strerror(why));
            errno = why;
            return LARDER_INVALID;
        }
    }
    pthread_mutex_lock(&lock);
    int old_fd = fd;
    char *old_path = path;
    if (to == LOG_TARGET_SYSLOG)
        openlog("larder", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    else if (target == LOG_TARGET_SYSLOG)
        closelog();
    target = to;
    fd = new_fd;
    path = new_path;
    atomic_store_explicit(&wanted, (int)level, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    if (old_fd >= 0)
        close(old_fd);
    free(old_path);
    return LARDER_OK;
}

void
log_reopen(void)
{
    char words[200] = "";
    pthread_mutex_lock(&lock);
    if (target == LOG_TARGET_FILE) {
        int new_fd = open_file(path);
        if (new_fd >= 0) {
            close(fd);
            fd = new_fd;
        } else {
            snprintf(words, sizeof words, "%s", strerror(errno));
        }
    }
    pthread_mutex_unlock(&lock);
    if (words[0])
        log_write(LARDER_LOG_ERROR, "log: cannot reopen, going on with the old file: %s", words);
}

void
log_close(void)
{
    pthread_mutex_lock(&lock);
    if (fd >= 0)
        close(fd);
    free(path);
    if (target == LOG_TARGET_SYSLOG)
        closelog();
    fd = -1;
    path = NULL;
    target = LOG_TARGET_STDERR;
    pthread_mutex_unlock(&lock);
}

bool
log_wants(enum larder_log_level level)
{
    return (int)level <= atomic_load_explicit(&wanted, memory_order_relaxed);
}

/* Copy with control characters made visible; returns the length, without a NUL. */
static size_t
make_visible(char *out, size_t room, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (; *text && n + 4 <= room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7f) {
            out[n++] = *text;
        } else {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    return n;
}

void
log_write(enum larder_log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    if (!log_wants(level))
        return;
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int formatted = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (formatted < 0)
        return;

    char line[LINE_MAX_BYTES + 100];
    size_t n = 0;
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(line, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    int head = snprintf(line + n, 60, ".%03ldZ larder[%ld] %s: ", now.tv_nsec / 1000000,
                        (long)getpid(), names[level]);
    n += head > 0 ? (size_t)head : 0;
    size_t start = n;
    n += make_visible(line + n, LINE_MAX_BYTES, text);

    pthread_mutex_lock(&lock);
    if (target == LOG_TARGET_SYSLOG) {
        syslog(priorities[level], "%.*s", (int)(n - start), line + start);
    } else {
        line[n++] = '\n';
        /* A log that cannot be written has nowhere to complain. */
        ssize_t written = write(target == LOG_TARGET_FILE ? fd : STDERR_FILENO, line, n);
        (void)written;
    }
    pthread_mutex_unlock(&lock);
}

void
log_from_client(void *arg, enum larder_log_level level, const char *message)
{
    (void)arg;
    log_write(level, "%s", message);
}
