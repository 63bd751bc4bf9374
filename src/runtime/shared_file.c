/*
 * Files that all processes of the pool map.
 *
 * The file appears under its name only when it is complete (made aside, then
 * linked), with all its blocks allocated, since writing to a hole in a full
 * file system would be a SIGBUS. For the same reason a file is taken only when
 * it is long enough and nobody but us may cut it.
 *
 * Called by counters.c and limits.c, when a process starts.
 */
#include "runtime/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

/* How often to start over because others were creating or replacing the file just then. */
#define OPEN_TRIES 16
/* How long to wait for another process that is replacing an old file. */
#define RETIRE_TRIES 1000
#define RETIRE_PAUSE_NS 1000000
/* Heads and random bytes are small. */
#define BEGINNING_MAX 256

enum verdict { GOOD, OLD, FOREIGN };

static enum larder_status
fail(const struct shared_file *file, const char *dir, enum larder_status status, const char *why,
     struct larder_error *err)
{
    return error_set(err, status, "%s %s/%s: %s", file->name, dir, file->name, why);
}

/* Is it a file of ours, and in this layout? Says why not. */
static enum verdict
inspect(const struct shared_file *file, int fd, const struct stat *st, const char *dir,
        struct larder_error *err)
{
    unsigned char have[BEGINNING_MAX];

    if (!S_ISREG(st->st_mode)) {
        fail(file, dir, LARDER_CORRUPT, "no regular file", err);
        return FOREIGN;
    }
    ssize_t n = pread(fd, have, file->head_size, 0);
    if (n != 0 && (n < SHARED_FILE_MAGIC || memcmp(have, file->head, SHARED_FILE_MAGIC) != 0)) {
        error_set(err, LARDER_CORRUPT, "%s %s/%s: not a %s file of Larder; remove it", file->name,
                  dir, file->name, file->name);
        return FOREIGN;
    }
    if (n != (ssize_t)file->head_size || memcmp(have, file->head, file->head_size) != 0 ||
        st->st_size != file->size) {
        fail(file, dir, LARDER_CORRUPT, "cut short, or of another version of Larder", err);
        return OLD;
    }
    return GOOD;
}

/* Whoever else may write it may cut it short under our mapping. */
static bool
is_ours_alone(const struct shared_file *file, const struct stat *st, const char *dir,
              struct larder_error *err)
{
    if (st->st_uid != geteuid()) {
        error_set(err, LARDER_REFUSED, "%s %s/%s: belongs to user %ld, not to %ld", file->name, dir,
                  file->name, (long)st->st_uid, (long)geteuid());
        return false;
    }
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        error_set(err, LARDER_REFUSED, "%s %s/%s: others may write it (mode %04o)", file->name, dir,
                  file->name, (unsigned)st->st_mode & 07777);
        return false;
    }
    return true;
}

static int
open_dir(const struct shared_file *file, const char *dir, struct larder_error *err)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        error_set(err, LARDER_UNAVAILABLE, "%s: %s: %s", file->name, dir,
                  errno == ENOTDIR ? "no directory, or a symbolic link to one" : strerror(errno));
    return fd;
}

/* A symbolic link would let somebody choose the file; a FIFO would let him stop us. */
static int
open_file(const struct shared_file *file, int dir_fd, int mode)
{
    return openat(dir_fd, file->name, mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* ------------------------------------------------------------------- making and replacing it */

static bool
fill_file(const struct shared_file *file, int fd, const char *dir, struct larder_error *err)
{
    unsigned char beginning[BEGINNING_MAX];
    size_t n = file->head_size + file->random_size;
    int failed = n <= sizeof beginning ? posix_fallocate(fd, 0, file->size) : EINVAL;

    if (!failed && fchmod(fd, file->mode) != 0) /* whatever the umask is */
        failed = errno;
    if (!failed) {
        memcpy(beginning, file->head, file->head_size);
        if (getrandom(beginning + file->head_size, file->random_size, 0) !=
            (ssize_t)file->random_size)
            failed = EIO;
    }
    if (!failed && pwrite(fd, beginning, n, 0) != (ssize_t)n)
        failed = errno ? errno : EIO;
    if (failed)
        error_set(err, LARDER_UNAVAILABLE, "%s %s: write: %s", file->name, dir, strerror(failed));
    return failed == 0;
}

/* true: there is a file now, ours or that of somebody who was faster. */
static bool
create_file(const struct shared_file *file, int dir_fd, const char *dir, struct larder_error *err)
{
    char name[64];
    uint64_t random;
    bool ok = false;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)getpid();
    snprintf(name, sizeof name, "%.32s.%016llx", file->name, (unsigned long long)random);
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file->mode);
    if (fd < 0) {
        error_set(err, LARDER_UNAVAILABLE, "%s %s: create: %s", file->name, dir, strerror(errno));
        return false;
    }
    if (fill_file(file, fd, dir, err)) {
        ok = linkat(dir_fd, name, dir_fd, file->name, 0) == 0 || errno == EEXIST;
        if (!ok)
            error_set(err, LARDER_UNAVAILABLE, "%s %s: link: %s", file->name, dir, strerror(errno));
    }
    unlinkat(dir_fd, name, 0);
    close(fd);
    return ok;
}

bool
shared_file_lock(int fd, short type, off_t offset, off_t len)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = len};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/*
 * Remove an old file. Processes that still have it go on with it, unseen. Who
 * holds the lock on its first byte may remove it, after a look whether the name
 * still means it: two who found it old must not remove each other's new one.
 */
static bool
retire_file(const struct shared_file *file, int dir_fd, int fd, const struct stat *old,
            const char *dir, struct larder_error *err)
{
    struct stat now;

    for (int i = 0; !shared_file_lock(fd, F_WRLCK, 0, 1); i++) {
        if (i == RETIRE_TRIES) {
            fail(file, dir, LARDER_TIMEOUT, "old, and locked", err);
            return false;
        }
        nanosleep(&(struct timespec){0, RETIRE_PAUSE_NS}, NULL);
    }
    if (fstatat(dir_fd, file->name, &now, AT_SYMLINK_NOFOLLOW) != 0 || now.st_ino != old->st_ino ||
        now.st_dev != old->st_dev)
        return true;
    if (unlinkat(dir_fd, file->name, 0) != 0 && errno != ENOENT) {
        error_set(err, LARDER_UNAVAILABLE, "%s %s/%s: old; remove: %s", file->name, dir, file->name,
                  strerror(errno));
        return false;
    }
    return true;
}

static int
obtain(const struct shared_file *file, int dir_fd, const char *dir, struct larder_error *err)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct stat st;
        int fd = open_file(file, dir_fd, O_RDWR);

        if (fd < 0 && errno == ENOENT) {
            if (!create_file(file, dir_fd, dir, err))
                return -1;
            continue;
        }
        if (fd < 0 || fstat(fd, &st) != 0) {
            fail(file, dir, LARDER_UNAVAILABLE,
                 errno == ELOOP ? "a symbolic link" : strerror(errno), err);
            if (fd >= 0)
                close(fd);
            return -1;
        }
        enum verdict verdict = inspect(file, fd, &st, dir, err);
        bool ours = verdict != FOREIGN && is_ours_alone(file, &st, dir, err);
        if (ours && verdict == GOOD)
            return fd;
        bool again = ours && verdict == OLD && retire_file(file, dir_fd, fd, &st, dir, err);
        close(fd);
        if (!again)
            return -1;
    }
    fail(file, dir, LARDER_UNAVAILABLE, "changes all the time", err);
    return -1;
}

/* ---------------------------------------------------------------------------- the public face */

int
shared_file_open(const struct shared_file *file, const char *dir, struct larder_error *err)
{
    int dir_fd = open_dir(file, dir, err);
    if (dir_fd < 0)
        return -1;
    int fd = obtain(file, dir_fd, dir, err);
    close(dir_fd);
    return fd;
}

int
shared_file_read(const struct shared_file *file, const char *dir, struct larder_error *err)
{
    struct stat st;
    int dir_fd = open_dir(file, dir, err);
    if (dir_fd < 0)
        return -1;
    int fd = open_file(file, dir_fd, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail(file, dir, errno == ENOENT ? LARDER_MISS : LARDER_UNAVAILABLE,
             errno == ELOOP ? "a symbolic link" : strerror(errno), err);
    else if (inspect(file, fd, &st, dir, err) == GOOD)
        goto out;
    else
        err->status = LARDER_CORRUPT;
    if (fd >= 0)
        close(fd);
    fd = -1;
out:
    close(dir_fd);
    return fd;
}
