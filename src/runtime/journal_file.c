/*
 * The journal's file:
 *
 *   offset 0      what this file is, for who opens it with less; the first line
 *                 is magic and version
 *   offset 3968   words, in the byte order of the machine, mapped by all
 *   offset 4096   records, a line each (journal_line.c)
 *
 * The idea: whoever writes may be killed at any instruction, and nobody can clean
 * up after him. So what counts is what lies in the extent, one word in the head
 * page that holds start and end together and is changed by a single store, after
 * what it points to is on the disk. An append writes behind the end and then moves
 * it; what a killed process left behind the end is cut off by the next one. To
 * drop records, those that stay are written once more where nothing counts (in
 * front, if there is room, else behind), the extent is set to them, and only when
 * the disk has that too may the old ones be overwritten. Nothing that counts is
 * ever changed in place.
 *
 * When the machine itself goes down, the disk may have an extent from some time
 * before, but never one from before the records that it points to; and the fdatasync
 * of an append takes the head page, as it was then, with it. So what lies in that
 * extent counts, and so do the lines behind it, up to the first that is not whole.
 * Then things may be done twice, which does no harm.
 *
 * `pending` is raised before a record is written, set to what is there when
 * records are dropped, and so may be too high after a kill, never too low.
 *
 * A process has a lock of its own in it, by which the others see whether it is
 * still there: the kernel says so, whatever clocks do.
 *
 * Locks belong to the open file, and the kernel lets them go when the process is
 * gone, kill -9 or not. They are polled for, so that a process that was stopped
 * with the lock cannot hold up the others for longer than they want to wait.
 */
#include "runtime/journal_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

/* Between two tries for a lock; the time doubles from the first to the last. */
#define PAUSE_FIRST_NS 20000L
#define PAUSE_LAST_NS 1000000L

static_assert(sizeof(struct journal_head) == JOURNAL_HEAD_SIZE, "as the file is laid out");
static_assert(offsetof(struct journal_head, words.pending) == 4032, "on a cache line of its own");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside the process would not do between them");

enum larder_status
journal_file_fail(const struct journal_file *file, enum larder_status status, const char *what,
                  int why, struct larder_error *err)
{
    return error_set(err, status, "journal %s: %s: %s", file->path, what, strerror(why));
}

/* ------------------------------------------------------------------------------------ extents */

struct journal_extent
journal_file_extent(const struct journal_file *file)
{
    return journal_extent_unpack(atomic_load(&file->head->words.extent));
}

uint64_t
journal_file_moves(const struct journal_file *file)
{
    return atomic_load(&file->head->words.moves);
}

uint64_t
journal_file_pending(const struct journal_file *file)
{
    return atomic_load_explicit(&file->head->words.pending, memory_order_acquire);
}

uint64_t
journal_file_intents(const struct journal_file *file)
{
    return atomic_load_explicit(&file->head->words.intents, memory_order_acquire);
}

void
journal_file_recount(struct journal_file *file, struct journal_counts counts)
{
    atomic_store(&file->head->words.pending, counts.pending);
    atomic_store(&file->head->words.intents, counts.intents);
}

/* ---------------------------------------------------------------------------------------- locks */

/* type F_WRLCK or F_UNLCK. */
static bool
try_lock(int fd, enum journal_lock lock, short type)
{
    struct flock what = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)lock, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &what) == 0;
}

static void
pause_ns(long ns)
{
    nanosleep(&(struct timespec){0, ns}, NULL);
}

enum larder_status
journal_file_lock(struct journal_file *file, enum journal_lock lock, int64_t deadline_ms,
                  struct larder_error *err)
{
    for (long pause = PAUSE_FIRST_NS; !try_lock(file->fd, lock, F_WRLCK);
         pause = pause < PAUSE_LAST_NS / 2 ? pause * 2 : PAUSE_LAST_NS) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return journal_file_fail(file, LARDER_UNAVAILABLE, "lock", errno, err);
        if (clock_now_ms() >= deadline_ms)
            return error_set(err, LARDER_TIMEOUT, "journal %s: locked by another process",
                             file->path);
        if (lock == JOURNAL_LOCK_WRITE)
            atomic_store(&file->head->words.waiting, 1);
        pause_ns(pause);
    }
    return LARDER_OK;
}

void
journal_file_unlock(struct journal_file *file, enum journal_lock lock)
{
    bool others = lock == JOURNAL_LOCK_WRITE && atomic_exchange(&file->head->words.waiting, 0) != 0;
    try_lock(file->fd, lock, F_UNLCK);
    /* A process that always has something to append would take it again before they look. */
    if (others)
        pause_ns(2 * PAUSE_LAST_NS);
}

/* ------------------------------------------------------------------------------- who is there */

/* One byte for each process, far behind any that is written. */
#define OWNER_BASE ((off_t)1 << 60)
#define OWNER_MASK ((UINT64_C(1) << 48) - 1)

enum larder_status
journal_file_own(struct journal_file *file, struct larder_error *err)
{
    if (getrandom(&file->owner, sizeof file->owner, 0) != (ssize_t)sizeof file->owner)
        return journal_file_fail(file, LARDER_UNAVAILABLE, "getrandom", errno, err);
    file->owner &= OWNER_MASK;
    struct flock what = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = OWNER_BASE + (off_t)file->owner,
                         .l_len = 1};
    if (fcntl(file->fd, F_OFD_SETLK, &what) != 0)
        return journal_file_fail(file, LARDER_UNAVAILABLE, "lock", errno, err);
    return LARDER_OK;
}

bool
journal_file_lives(int fd, uint64_t owner)
{
    struct flock what = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = OWNER_BASE + (off_t)(owner & OWNER_MASK),
                         .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &what) == 0 && what.l_type != F_UNLCK;
}

/* -------------------------------------------------------------------------- reading and writing */

/* Fewer than n only at the end of the file; -1 with errno. */
ssize_t
journal_read_at(int fd, char *p, size_t n, off_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, p + done, n - done, at + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

bool
journal_write_at(int fd, const char *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t done = pwrite(fd, p, n, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            errno = done == 0 ? EIO : errno;
            return false;
        }
        p += done;
        n -= (size_t)done;
        at += done;
    }
    return true;
}

enum larder_status
journal_file_read(const struct journal_file *file, struct journal_extent extent, char **text,
                  struct larder_error *err)
{
    size_t n = extent.end - extent.start;
    char *p = malloc(n ? n : 1);
    *text = NULL;
    if (!p)
        return error_set(err, LARDER_NOMEM, "journal %s: no memory for %zu bytes", file->path, n);
    ssize_t got = journal_read_at(file->fd, p, n, extent.start);
    if (got == (ssize_t)n) {
        *text = p;
        return LARDER_OK;
    }
    int why = errno;
    free(p);
    if (got < 0)
        return journal_file_fail(file, LARDER_UNAVAILABLE, "read", why, err);
    return error_set(err, LARDER_CORRUPT, "journal %s: cut short by somebody", file->path);
}

bool
journal_file_cut(const struct journal_file *file, uint32_t end, off_t size)
{
    return size <= (off_t)end || ftruncate(file->fd, (off_t)end) == 0;
}

/* Nobody looks at the one and believes the other of another moment: readers compare `moves`, and
 * `pending` may be too high. */
void
journal_file_set(struct journal_file *file, struct journal_extent extent,
                 struct journal_counts counts)
{
    struct journal_words *words = &file->head->words;
    atomic_fetch_add(&words->moves, 1);
    atomic_store(&words->extent, journal_extent_pack(extent));
    atomic_store(&words->pending, counts.pending);
    atomic_store(&words->intents, counts.intents);
}

/*
 * Write text at an offset where nothing counts, and see it on the disk. `pending`
 * is raised first: from then on nobody uses Redis. If it fails, the file is as
 * long as before.
 */
static enum larder_status
write_through(struct journal_file *file, struct slice text, struct journal_counts counts,
              uint32_t at, struct larder_error *err)
{
    struct journal_words *words = &file->head->words;
    struct stat st;

    if (fstat(file->fd, &st) != 0)
        return journal_file_fail(file, LARDER_UNAVAILABLE, "stat", errno, err);
    if (st.st_nlink == 0 && !file->is_private)
        return error_set(err, LARDER_UNAVAILABLE,
                         "journal %s: was removed; processes that have it open must be restarted",
                         file->path);
    uint32_t end = journal_file_extent(file).end;
    if (st.st_size < (off_t)end)
        return error_set(err, LARDER_CORRUPT, "journal %s: cut short by somebody", file->path);
    if (text.n > UINT32_MAX - at)
        return error_set(err, LARDER_UNAVAILABLE, "journal %s: too long", file->path);
    if (!journal_file_cut(file, end, st.st_size))
        return journal_file_fail(file, LARDER_UNAVAILABLE, "cut", errno, err);
    atomic_fetch_add(&words->pending, counts.pending);
    atomic_fetch_add(&words->intents, counts.intents);
    const char *what = "write";
    bool done = journal_write_at(file->fd, text.p, text.n, (off_t)at);
    if (done) {
        what = "fdatasync";
        done = fdatasync(file->fd) == 0;
    }
    if (done)
        return LARDER_OK;
    int why = errno;
    /* If that fails too, the next one does it. */
    if (ftruncate(file->fd, (off_t)end) != 0)
        what = "write, and cut";
    atomic_fetch_sub(&words->pending, counts.pending);
    atomic_fetch_sub(&words->intents, counts.intents);
    return journal_file_fail(file, LARDER_UNAVAILABLE, what, why, err);
}

enum larder_status
journal_file_append(struct journal_file *file, struct slice text, struct journal_counts counts,
                    struct larder_error *err)
{
    struct journal_extent extent = journal_file_extent(file);
    enum larder_status status = write_through(file, text, counts, extent.end, err);
    if (status != LARDER_OK)
        return status;
    extent.end += (uint32_t)text.n;
    atomic_store(&file->head->words.extent, journal_extent_pack(extent));
    return LARDER_OK;
}

enum larder_status
journal_file_replace(struct journal_file *file, struct slice text, struct journal_counts counts,
                     struct larder_error *err)
{
    struct journal_extent extent = journal_file_extent(file);
    struct journal_extent next = {JOURNAL_HEAD_SIZE, JOURNAL_HEAD_SIZE};

    if (text.n > 0) {
        bool in_front = text.n <= extent.start - JOURNAL_HEAD_SIZE;
        next.start = in_front ? JOURNAL_HEAD_SIZE : extent.end;
        enum larder_status status = write_through(file, text, counts, next.start, err);
        if (status != LARDER_OK)
            return status;
        next.end = next.start + (uint32_t)text.n;
    }
    journal_file_set(file, next, counts);
    /* The old text must not go before the disk knows that it does not count. */
    if (fdatasync(file->fd) != 0)
        return LARDER_OK;
    int cut_off = next.end < extent.end ? ftruncate(file->fd, (off_t)next.end) : 0;
    (void)cut_off; /* else the next one that writes does it */
    return LARDER_OK;
}
