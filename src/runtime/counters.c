/*
 * Counters of the whole pool in one shared file.
 *
 *   offset 0      header: magic, version, sizes, fingerprint of the names
 *   offset 4096   slot 0, shared by those who found no slot of their own
 *   then          slots 1 to 1023, one for each living process
 *
 * A slot is an array of 64-bit counters in the order of COUNTERS. All of it is
 * in the byte order and the alignment of the machine: the file never leaves it.
 *
 * The idea: nothing needs to be done when a process dies, because it may die at
 * any moment and so would whoever does it. A slot is claimed by a lock on its
 * first byte that belongs to the open file, which the kernel releases with the
 * last descriptor, kill -9 or not. The counts are not moved or cleared; the next
 * owner adds to them. So the sum over all slots is always the sum of what was
 * ever counted, and there is no moment at which a crash could lose or double it.
 *
 * The file appears under its name only when it is complete (made aside, then
 * linked), with all its blocks allocated, since writing to a hole in a full
 * file system would be a SIGBUS. For the same reason a file is mapped only when
 * it is long enough and nobody but us may cut it; readers do not map it at all.
 *
 * Called by the responder's main thread (open, close), by all its threads (add)
 * and by larderctl (read). Never waits for another process longer than a second.
 * A child forked after counters_open() counts into its parent's slot.
 */
#include "runtime/counters.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define FILE_NAME "counters"
#define FILE_MODE 0640
#define MAGIC "LARDCNT"
#define VERSION 1

#define HEADER_SIZE 4096
/* Eight cache lines: room for thirty more counters, and neighbours are not prefetched together. */
#define SLOT_SIZE 512
#define SLOT_COUNT 1024
#define FILE_SIZE (HEADER_SIZE + SLOT_COUNT * SLOT_SIZE)
#define SHARED_SLOT 0

/* How often to start over because others were creating or replacing the file just then. */
#define OPEN_TRIES 16
/* How long to wait for another process that is replacing an old file. */
#define RETIRE_TRIES 1000
#define RETIRE_PAUSE_NS 1000000

struct header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint32_t slot_size;
    uint32_t slot_count;
    uint64_t names; /* fingerprint: a counter added or moved makes another layout */
};

typedef _Atomic uint64_t count_t;

static_assert(sizeof(struct header) == 32, "no padding in what is written to the file");
static_assert(sizeof(count_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2,
              "a lock inside the process would not work between processes");
static_assert(COUNTER_COUNT * sizeof(count_t) <= SLOT_SIZE, "make the slots larger");

/* Counted here until there is a slot, and for ever if there is none. */
static alignas(64) count_t private_slot[COUNTER_COUNT];
static _Atomic(count_t *) current = private_slot;
/* Holds the lock on our slot. Only the main thread opens and closes. */
static int claimed_fd = -1;

static const struct {
    const char *name, *help;
} words[] = {
#define COUNTERS_WORDS(name, help) {#name, help},
    COUNTERS(COUNTERS_WORDS)
#undef COUNTERS_WORDS
};

const char *
counter_name(enum counter counter)
{
    return words[counter].name;
}

const char *
counter_help(enum counter counter)
{
    return words[counter].help;
}

void
counters_add(enum counter counter, uint64_t n)
{
    count_t *slot = atomic_load_explicit(&current, memory_order_acquire);
    atomic_fetch_add_explicit(&slot[counter], n, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------ layout */

/* FNV-1a. It need not withstand anybody: who can write the file can write its fingerprint. */
static uint64_t
fingerprint(void)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < COUNTER_COUNT; i++)
        for (const char *p = words[i].name;; p++) {
            hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
            if (!*p)
                break;
        }
    return hash;
}

static struct header
layout(void)
{
    return (struct header){.magic = MAGIC,
                           .version = VERSION,
                           .header_size = HEADER_SIZE,
                           .slot_size = SLOT_SIZE,
                           .slot_count = SLOT_COUNT,
                           .names = fingerprint()};
}

static off_t
slot_offset(int slot)
{
    return HEADER_SIZE + (off_t)slot * SLOT_SIZE;
}

enum verdict { GOOD, OLD, FOREIGN };

/* Is it a file of ours, and in this layout? Says why not. */
static enum verdict
inspect(int fd, const struct stat *st, const char *dir, struct larder_error *err)
{
    struct header want = layout(), have;
    ssize_t n;

    if (!S_ISREG(st->st_mode)) {
        error_set(err, LARDER_CORRUPT, "counters %s/" FILE_NAME ": no regular file", dir);
        return FOREIGN;
    }
    n = pread(fd, &have, sizeof have, 0);
    if (n != 0 && (n < (ssize_t)sizeof have.magic ||
                   memcmp(have.magic, want.magic, sizeof want.magic) != 0)) {
        error_set(err, LARDER_CORRUPT,
                  "counters %s/" FILE_NAME ": not a counters file of Larder; remove it", dir);
        return FOREIGN;
    }
    if (n != (ssize_t)sizeof have || memcmp(&have, &want, sizeof want) != 0 ||
        st->st_size != FILE_SIZE) {
        error_set(err, LARDER_CORRUPT,
                  "counters %s/" FILE_NAME ": cut short, or of another version of Larder", dir);
        return OLD;
    }
    return GOOD;
}

/* Whoever else may write it may cut it short under our mapping. */
static bool
is_ours_alone(const struct stat *st, const char *dir, struct larder_error *err)
{
    if (st->st_uid != geteuid()) {
        error_set(err, LARDER_REFUSED, "counters %s/" FILE_NAME ": belongs to user %ld, not to %ld",
                  dir, (long)st->st_uid, (long)geteuid());
        return false;
    }
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        error_set(err, LARDER_REFUSED, "counters %s/" FILE_NAME ": others may write it (mode %04o)",
                  dir, (unsigned)st->st_mode & 07777);
        return false;
    }
    return true;
}

static int
open_dir(const char *dir, struct larder_error *err)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        error_set(err, LARDER_UNAVAILABLE, "counters: %s: %s", dir,
                  errno == ENOTDIR ? "no directory, or a symbolic link to one" : strerror(errno));
    return fd;
}

/* A symbolic link would let somebody choose the file; a FIFO would let him stop us. */
static int
open_file(int dir_fd, int mode)
{
    return openat(dir_fd, FILE_NAME, mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* ------------------------------------------------------------------- making and replacing it */

static bool
fill_file(int fd, const char *dir, struct larder_error *err)
{
    struct header header = layout();
    int failed = posix_fallocate(fd, 0, FILE_SIZE);

    if (!failed && fchmod(fd, FILE_MODE) != 0) /* whatever the umask is */
        failed = errno;
    if (!failed && pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        failed = errno ? errno : EIO;
    if (failed)
        error_set(err, LARDER_UNAVAILABLE, "counters %s: write: %s", dir, strerror(failed));
    return failed == 0;
}

/* true: there is a file now, ours or that of somebody who was faster. */
static bool
create_file(int dir_fd, const char *dir, struct larder_error *err)
{
    char name[64];
    uint64_t random;
    bool ok = false;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)getpid();
    snprintf(name, sizeof name, FILE_NAME ".%016llx", (unsigned long long)random);
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        error_set(err, LARDER_UNAVAILABLE, "counters %s: create: %s", dir, strerror(errno));
        return false;
    }
    if (fill_file(fd, dir, err)) {
        ok = linkat(dir_fd, name, dir_fd, FILE_NAME, 0) == 0 || errno == EEXIST;
        if (!ok)
            error_set(err, LARDER_UNAVAILABLE, "counters %s: link: %s", dir, strerror(errno));
    }
    unlinkat(dir_fd, name, 0);
    close(fd);
    return ok;
}

/* type F_WRLCK or F_UNLCK. */
static bool
lock_bytes(int fd, short type, off_t offset, off_t len)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = len};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/*
 * Remove an old file. Processes that still have it count on in it, unseen. Who
 * holds the lock on its first byte may remove it, after a look whether the name
 * still means it: two who found it old must not remove each other's new one.
 */
static bool
retire_file(int dir_fd, int fd, const struct stat *old, const char *dir, struct larder_error *err)
{
    struct stat now;

    for (int i = 0; !lock_bytes(fd, F_WRLCK, 0, 1); i++) {
        if (i == RETIRE_TRIES) {
            error_set(err, LARDER_TIMEOUT, "counters %s/" FILE_NAME ": old, and locked", dir);
            return false;
        }
        nanosleep(&(struct timespec){0, RETIRE_PAUSE_NS}, NULL);
    }
    if (fstatat(dir_fd, FILE_NAME, &now, AT_SYMLINK_NOFOLLOW) != 0 || now.st_ino != old->st_ino ||
        now.st_dev != old->st_dev)
        return true;
    if (unlinkat(dir_fd, FILE_NAME, 0) != 0 && errno != ENOENT) {
        error_set(err, LARDER_UNAVAILABLE, "counters %s/" FILE_NAME ": old; remove: %s", dir,
                  strerror(errno));
        return false;
    }
    return true;
}

/* Descriptor of a good file, made or replaced if need be; -1 with words. */
static int
obtain_file(int dir_fd, const char *dir, struct larder_error *err)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct stat st;
        int fd = open_file(dir_fd, O_RDWR);

        if (fd < 0 && errno == ENOENT) {
            if (!create_file(dir_fd, dir, err))
                return -1;
            continue;
        }
        if (fd < 0) {
            error_set(err, LARDER_UNAVAILABLE, "counters %s/" FILE_NAME ": %s", dir,
                      errno == ELOOP ? "a symbolic link" : strerror(errno));
            return -1;
        }
        if (fstat(fd, &st) != 0) {
            error_set(err, LARDER_UNAVAILABLE, "counters %s/" FILE_NAME ": %s", dir,
                      strerror(errno));
            close(fd);
            return -1;
        }
        enum verdict verdict = inspect(fd, &st, dir, err);
        bool ours = verdict != FOREIGN && is_ours_alone(&st, dir, err);
        if (ours && verdict == GOOD)
            return fd;
        bool again = ours && verdict == OLD && retire_file(dir_fd, fd, &st, dir, err);
        close(fd);
        if (!again)
            return -1;
    }
    error_set(err, LARDER_UNAVAILABLE, "counters %s/" FILE_NAME ": changes all the time", dir);
    return -1;
}

/* ---------------------------------------------------------------------------- the public face */

/* A slot that no living process has. */
static int
claim_slot(int fd)
{
    for (int i = SHARED_SLOT + 1; i < SLOT_COUNT; i++)
        if (lock_bytes(fd, F_WRLCK, slot_offset(i), 1))
            return i;
    return SHARED_SLOT;
}

/* Only the page with the slot. */
static count_t *
map_slot(int fd, int slot)
{
    off_t page = (off_t)sysconf(_SC_PAGESIZE);
    off_t inside = slot_offset(slot) % page;
    char *base = mmap(NULL, (size_t)inside + SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      slot_offset(slot) - inside);
    return base == MAP_FAILED ? NULL : (count_t *)(void *)(base + inside);
}

enum larder_status
counters_open(const char *runtime_dir, struct larder_error *err)
{
    struct larder_error why = {LARDER_OK, ""};
    count_t *slot = NULL;
    int fd = -1;

    counters_close();
    int dir_fd = open_dir(runtime_dir, &why);
    if (dir_fd >= 0) {
        fd = obtain_file(dir_fd, runtime_dir, &why);
        close(dir_fd);
    }
    if (fd >= 0) {
        why.status = LARDER_OK; /* an old file that was replaced is no failure */
        slot = map_slot(fd, claim_slot(fd));
        if (!slot) {
            error_set(&why, LARDER_UNAVAILABLE, "counters %s/" FILE_NAME ": mmap: %s", runtime_dir,
                      strerror(errno));
            close(fd);
        }
    }
    if (!slot)
        return error_set(err, why.status, "%s", why.message);
    claimed_fd = fd;
    atomic_store_explicit(&current, slot, memory_order_release);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        atomic_fetch_add_explicit(&slot[i], atomic_exchange(&private_slot[i], 0),
                                  memory_order_relaxed);
    return LARDER_OK;
}

/* The page stays mapped: a thread that has just loaded `current` may still add, and it is one page.
 * The mapping keeps the open file, and so its lock, alive after close(): let it go by hand. */
void
counters_close(void)
{
    atomic_store_explicit(&current, private_slot, memory_order_release);
    if (claimed_fd < 0)
        return;
    lock_bytes(claimed_fd, F_UNLCK, 0, 0);
    close(claimed_fd);
    claimed_fd = -1;
}

static bool
is_claimed(int fd, int slot)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot_offset(slot), .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static enum larder_status
sum_slots(int fd, const char *dir, struct counters_total *out, struct larder_error *err)
{
    uint64_t slot[SLOT_SIZE / sizeof(uint64_t)];

    for (int i = 0; i < SLOT_COUNT; i++) {
        if (pread(fd, slot, sizeof slot, slot_offset(i)) != (ssize_t)sizeof slot)
            return error_set(err, LARDER_CORRUPT, "counters %s/" FILE_NAME ": cut short", dir);
        for (size_t k = 0; k < COUNTER_COUNT; k++)
            out->value[k] += slot[k];
        out->processes += i != SHARED_SLOT && is_claimed(fd, i);
    }
    return LARDER_OK;
}

enum larder_status
counters_read(const char *runtime_dir, struct counters_total *out, struct larder_error *err)
{
    struct larder_error why = {LARDER_OK, ""};
    enum larder_status status = LARDER_UNAVAILABLE;
    struct stat st;
    int fd = -1;

    memset(out, 0, sizeof *out);
    int dir_fd = open_dir(runtime_dir, &why);
    if (dir_fd < 0)
        goto out;
    fd = open_file(dir_fd, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        status = errno == ENOENT ? LARDER_MISS : LARDER_UNAVAILABLE;
        error_set(&why, status, "counters %s/" FILE_NAME ": %s", runtime_dir,
                  errno == ELOOP ? "a symbolic link" : strerror(errno));
        goto out;
    }
    status = inspect(fd, &st, runtime_dir, &why) == GOOD ? sum_slots(fd, runtime_dir, out, &why)
                                                         : LARDER_CORRUPT;
out:
    if (fd >= 0)
        close(fd);
    if (dir_fd >= 0)
        close(dir_fd);
    return status == LARDER_OK ? LARDER_OK : error_set(err, status, "%s", why.message);
}
