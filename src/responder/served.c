/*
 * Which Redis, and which namespace of it, this machine has served last, by a file in
 * the state directory: <state_dir>/served-<hash of the configuration's name>.
 *
 * The idea: what a machine changes while it serves another namespace is not dropped
 * in the one that it has left, so all of that is dropped once when it comes back. It
 * cannot be known there, but the machine itself can know it. Several pools share the
 * directory, so each goes by its own configuration.
 *
 * Called by reporter.c when a site is made. Never waits for Redis.
 */
#include "responder/served.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"

#define PATH_SIZE 4200

/* The name is made absolute, since pools may be started with the same relative one in several
 * directories. Links in it are left alone: the next release behind one is the same configuration. */
static void
path_of(char path[PATH_SIZE], const struct config *config)
{
    const char *file = config->file;
    char name[PATH_SIZE];
    char *directory = *file == '/' ? NULL : get_current_dir_name();
    while (directory && strncmp(file, "./", 2) == 0)
        file += 2;
    int n = snprintf(name, sizeof name, "%s%s%s", directory ? directory : "", directory ? "/" : "",
                     file);
    free(directory);
    size_t len = (size_t)n < sizeof name ? (size_t)n : sizeof name - 1;
    snprintf(path, PATH_SIZE, "%s/served-%016" PRIx64, config->state_dir,
             (uint64_t)XXH3_64bits(name, len));
}

bool
served_another(const struct config *config, uint64_t hash)
{
    char path[PATH_SIZE];
    char text[20] = "", *end = text;
    if (!config->file)
        return false;
    path_of(path, config);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool known = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    uint64_t last = strtoull(text, &end, 16);
    return known && end == text + 16 && last != hash;
}

void
served_note(const struct config *config, uint64_t hash)
{
    char path[PATH_SIZE], next[PATH_SIZE + 16];
    if (!config->file)
        return;
    path_of(path, config);
    snprintf(next, sizeof next, "%s.%ld", path, (long)getpid());
    FILE *file = fopen(next, "we");
    bool written = file && fprintf(file, "%016" PRIx64 "\n", hash) > 0 && fflush(file) == 0 &&
                   fdatasync(fileno(file)) == 0;
    int failure = errno;
    if (file && fclose(file) != 0)
        written = false;
    if (written && rename(next, path) == 0)
        return;
    if (!written)
        errno = failure;
    log_write(
        LARDER_LOG_WARNING,
        "which namespace of Redis is served could not be noted in %s: %s. After another one has "
        "been served for a while (redis.namespace), purge everything by hand",
        path, strerror(errno));
    (void)unlink(next);
}
