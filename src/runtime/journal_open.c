/*
 * The journal's file: making, checking and looking at it.
 *
 * The file appears under its name only when it is complete (made aside, then
 * linked, with its directory on the disk); the blocks of its head page are
 * allocated, since writing to a hole in a full file system would be a SIGBUS. It
 * is mapped only when it is long enough and nobody but us may cut it. What is not
 * ours is refused and left alone: it may hold somebody's invalidations.
 *
 * The words of the head page are set right by whoever opens it: a process that was
 * killed, or a machine that went down, may have left them a little behind.
 *
 * Called by journal.c. Waits for a lock for OPEN_WAIT_MS at most.
 */
#include "runtime/journal_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/journal_list.h"

#define FILE_MODE 0600
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* How often to start over because others were creating the file just then. */
#define OPEN_TRIES 16
/* How long to wait for the lock at the start. */
#define OPEN_WAIT_MS 5000
/* How often to read anew because the extent changed meanwhile. */
#define LOOK_TRIES 100

static const char about[] = JOURNAL_MAGIC JOURNAL_VERSION
    "\n"
    "What Larder could not tell Redis yet. While there are records below other than of mutations\n"
    "under way, no process of this machine uses what Redis has stored; they are worked off as soon "
    "as it can be reached.\n"
    "Processes that run have this file open: do not edit it, and do not remove it while any does.\n"
    "\n"
    "Each line: checksum, time noted, and\n"
    "  purge TAG...                  everything that has one of these tags is invalid\n"
    "  soft TAG...                   everything that has one of these tags is stale\n"
    "  sweep PATTERN...              application values to delete\n"
    "  mutation TOKEN PROCESS HOLD TAG...  a mutation under way\n"
    "  silent HOLD TAG...            one whose process is gone: Redis is told to purge for HOLD "
    "ms\n"
    "  done TOKEN                    that mutation has ended\n"
    "%20 and the like are bytes of names. Only some of the lines may still count, see larderctl.\n";

static_assert(sizeof about <= JOURNAL_WORDS_OFFSET, "the words come behind it");

/* ----------------------------------------------------------------------- making and opening it */

static bool
path_for(char path[JOURNAL_PATH_MAX], const char *state_dir, uint64_t hash,
         struct larder_error *err)
{
    int n =
        snprintf(path, JOURNAL_PATH_MAX, "%s/journal-%016llx", state_dir, (unsigned long long)hash);
    if (n > 0 && n < JOURNAL_PATH_MAX)
        return true;
    error_set(err, LARDER_INVALID, "journal: %s: the name of the directory is too long", state_dir);
    return false;
}

static const char *
name_in(const struct journal_file *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash ? slash + 1 : file->path;
}

/* "" if it cannot be read: then it is another boot each time. */
static void
read_boot_id(char boot[JOURNAL_BOOT_SIZE])
{
    memset(boot, 0, JOURNAL_BOOT_SIZE);
    int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (journal_read_at(fd, boot, JOURNAL_BOOT_SIZE - 1, 0) < 0)
        boot[0] = '\0';
    close(fd);
}

/* The head page of an empty journal. */
static bool
fill_file(int fd)
{
    struct journal_head head;

    memset(&head, 0, sizeof head);
    memset(head.about, ' ', sizeof head.about);
    memcpy(head.about, about, sizeof about - 1);
    read_boot_id(head.words.boot);
    atomic_init(&head.words.extent,
                journal_extent_pack((struct journal_extent){JOURNAL_HEAD_SIZE, JOURNAL_HEAD_SIZE}));
    memset(head.words.text_again, ' ', sizeof head.words.text_again);
    head.words.text_again[sizeof head.words.text_again - 1] = '\n';
    errno = posix_fallocate(fd, 0, JOURNAL_HEAD_SIZE);
    return errno == 0 && fchmod(fd, FILE_MODE) == 0 && /* whatever the umask is */
           journal_write_at(fd, (const char *)&head, sizeof head, 0) && fsync(fd) == 0;
}

/* true: there is a file now, ours or that of somebody who was faster. */
static bool
create_file(const struct journal_file *file, int dir_fd, struct larder_error *err)
{
    char name[128];
    uint64_t random;
    bool ok = false;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)getpid();
    snprintf(name, sizeof name, "%.80s.%016llx", name_in(file), (unsigned long long)random);
    int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        journal_file_fail(file, LARDER_UNAVAILABLE, "create", errno, err);
        return false;
    }
    if (!fill_file(fd)) {
        journal_file_fail(file, LARDER_UNAVAILABLE, "write", errno, err);
    } else {
        ok = linkat(dir_fd, name, dir_fd, name_in(file), 0) == 0 || errno == EEXIST;
        if (!ok)
            journal_file_fail(file, LARDER_UNAVAILABLE, "link", errno, err);
    }
    unlinkat(dir_fd, name, 0);
    close(fd);
    return ok;
}

/* Is it a journal, and of this version? */
static bool
is_journal(int fd, const char *path, const struct stat *st, struct larder_error *err)
{
    static const char wanted[] = JOURNAL_MAGIC JOURNAL_VERSION;
    char have[sizeof wanted - 1];

    if (!S_ISREG(st->st_mode)) {
        error_set(err, LARDER_CORRUPT, "journal %s: no regular file", path);
        return false;
    }
    if (journal_read_at(fd, have, sizeof have, 0) != (ssize_t)sizeof have ||
        memcmp(have, JOURNAL_MAGIC, sizeof JOURNAL_MAGIC - 1) != 0) {
        error_set(err, LARDER_CORRUPT, "journal %s: not a journal of Larder; move it away", path);
        return false;
    }
    if (memcmp(have, wanted, sizeof have) != 0) {
        error_set(
            err, LARDER_CORRUPT,
            "journal %s: of another version of Larder; let that one work it off, or remove it",
            path);
        return false;
    }
    if (st->st_size < JOURNAL_HEAD_SIZE || st->st_size > (off_t)UINT32_MAX) {
        error_set(err, LARDER_CORRUPT,
                  "journal %s: its size cannot be (%lld bytes); purge everything and remove it",
                  path, (long long)st->st_size);
        return false;
    }
    return true;
}

/* Whoever else may write it may cut it short under our mapping, or take invalidations out. */
static bool
is_ours_alone(const char *path, const struct stat *st, struct larder_error *err)
{
    if (st->st_uid != geteuid()) {
        error_set(err, LARDER_REFUSED, "journal %s: belongs to user %ld, not to %ld", path,
                  (long)st->st_uid, (long)geteuid());
        return false;
    }
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        error_set(err, LARDER_REFUSED, "journal %s: others may write it (mode %04o)", path,
                  (unsigned)st->st_mode & 07777);
        return false;
    }
    return true;
}

/* The descriptor of a good file, made if need be; -1 with words. */
static int
obtain_file(const struct journal_file *file, int dir_fd, struct larder_error *err)
{
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct stat st;
        /* A symbolic link would let somebody choose the file; a FIFO would let him stop us. */
        int fd = openat(dir_fd, name_in(file), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT) {
            if (!create_file(file, dir_fd, err))
                return -1;
            continue;
        }
        if (fd < 0) {
            error_set(err, LARDER_UNAVAILABLE, "journal %s: %s", file->path,
                      errno == ELOOP ? "a symbolic link" : strerror(errno));
            return -1;
        }
        if (fstat(fd, &st) != 0)
            journal_file_fail(file, LARDER_UNAVAILABLE, "stat", errno, err);
        else if (is_journal(fd, file->path, &st, err) && is_ours_alone(file->path, &st, err))
            return fd;
        close(fd);
        return -1;
    }
    error_set(err, LARDER_UNAVAILABLE, "journal %s: removed all the time", file->path);
    return -1;
}

static bool
map_head(struct journal_file *file, struct larder_error *err)
{
    void *head = mmap(NULL, JOURNAL_HEAD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (head == MAP_FAILED) {
        journal_file_fail(file, LARDER_UNAVAILABLE, "mmap", errno, err);
        return false;
    }
    file->head = head;
    return true;
}

/*
 * Set the words right, with the lock. In the same boot the extent is what counts,
 * and only the number of records may be wrong. After another one there may be
 * lines behind it that were acknowledged. An extent that cannot be: the head page
 * was damaged, and everything in the file counts, whole or not.
 */
static enum larder_status
recover(struct journal_file *file, struct larder_error *err)
{
    struct journal_words *words = &file->head->words;
    struct journal_extent extent = journal_file_extent(file);
    struct journal_list list;
    struct stat st;
    char boot[JOURNAL_BOOT_SIZE];
    char *text;

    if (fstat(file->fd, &st) != 0)
        return journal_file_fail(file, LARDER_UNAVAILABLE, "stat", errno, err);
    read_boot_id(boot);
    bool same = boot[0] != '\0' && memcmp(boot, words->boot, sizeof boot) == 0;
    if (extent.start < JOURNAL_HEAD_SIZE || extent.start > extent.end || extent.end > st.st_size) {
        extent = (struct journal_extent){JOURNAL_HEAD_SIZE, (uint32_t)st.st_size};
        same = false;
    }
    size_t acknowledged = extent.end - extent.start;
    if (!same)
        extent.end = (uint32_t)st.st_size;
    enum larder_status status = journal_file_read(file, extent, &text, err);
    if (status != LARDER_OK)
        return status;
    if (!journal_list_read(&list, (struct slice){text, extent.end - extent.start}, acknowledged)) {
        status = error_set(err, LARDER_NOMEM, "journal %s: no memory to read it", file->path);
        goto out;
    }
    struct journal_counts counts = journal_list_counts(&list);
    if (!same) {
        extent.end = extent.start + (uint32_t)list.bytes;
        journal_file_set(file, extent, counts);
    }
    journal_file_recount(file, counts);
    memcpy(words->boot, boot, sizeof boot);
    if (!journal_file_cut(file, extent.end, st.st_size))
        status = journal_file_fail(file, LARDER_UNAVAILABLE, "cut", errno, err);
out:
    journal_list_free(&list);
    free(text);
    return status;
}

static enum larder_status
begin(struct journal_file *file, struct larder_error *err)
{
    enum larder_status status = LARDER_UNAVAILABLE;
    if (map_head(file, err))
        status = journal_file_lock(file, JOURNAL_LOCK_WRITE, clock_now_ms() + OPEN_WAIT_MS, err);
    if (status == LARDER_OK) {
        status = recover(file, err);
        if (status == LARDER_OK)
            status = journal_file_own(file, err);
        journal_file_unlock(file, JOURNAL_LOCK_WRITE);
    }
    if (status != LARDER_OK)
        journal_file_close(file);
    return status;
}

enum larder_status
journal_file_open(struct journal_file *file, const char *state_dir, uint64_t hash,
                  struct larder_error *err)
{
    struct larder_error why = {LARDER_OK, ""};

    *file = (struct journal_file){.fd = -1};
    if (!path_for(file->path, state_dir, hash, err))
        return LARDER_INVALID;
    int dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return error_set(err, LARDER_UNAVAILABLE, "journal: %s: %s", state_dir, strerror(errno));
    file->fd = obtain_file(file, dir_fd, &why);
    /* The name must survive as well, also if its maker has been killed before he came to this. */
    if (file->fd >= 0 && fsync(dir_fd) != 0) {
        journal_file_fail(file, LARDER_UNAVAILABLE, "fsync of its directory", errno, &why);
        journal_file_close(file);
    }
    close(dir_fd);
    if (file->fd < 0)
        return error_set(err, why.status, "%s", why.message);
    return begin(file, err);
}

enum larder_status
journal_file_open_private(struct journal_file *file, struct larder_error *err)
{
    *file = (struct journal_file){.is_private = true, .path = "(in memory)"};
    file->fd = memfd_create("larder-journal", MFD_CLOEXEC);
    if (file->fd < 0)
        return journal_file_fail(file, LARDER_UNAVAILABLE, "memfd_create", errno, err);
    if (!fill_file(file->fd)) {
        enum larder_status status =
            journal_file_fail(file, LARDER_UNAVAILABLE, "write", errno, err);
        journal_file_close(file);
        return status;
    }
    return begin(file, err);
}

/* The mapping would keep the open file, and so its locks, alive. */
void
journal_file_close(struct journal_file *file)
{
    if (file->head)
        munmap(file->head, JOURNAL_HEAD_SIZE);
    if (file->fd >= 0)
        close(file->fd);
    file->head = NULL;
    file->fd = -1;
}

/* ------------------------------------------------------------------------------------- looking */

int
journal_file_open_to_look(const char *state_dir, uint64_t hash, char path[JOURNAL_PATH_MAX],
                          struct larder_error *err)
{
    struct stat st;

    if (!path_for(path, state_dir, hash, err))
        return -1;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        error_set(err, errno == ENOENT ? LARDER_MISS : LARDER_UNAVAILABLE, "journal %s: %s", path,
                  errno == ELOOP ? "a symbolic link" : strerror(errno));
        return -1;
    }
    if (fstat(fd, &st) != 0)
        error_set(err, LARDER_UNAVAILABLE, "journal %s: stat: %s", path, strerror(errno));
    else if (is_journal(fd, path, &st, err))
        return fd;
    close(fd);
    return -1;
}

static bool
read_words(int fd, struct journal_words *words)
{
    return journal_read_at(fd, (char *)words, sizeof *words, JOURNAL_WORDS_OFFSET) ==
           (ssize_t)sizeof *words;
}

enum larder_status
journal_file_look(int fd, const char *path, char **text, size_t *n, struct larder_error *err)
{
    for (int i = 0; i < LOOK_TRIES; i++) {
        struct journal_words before, after;
        if (!read_words(fd, &before))
            break;
        struct journal_extent extent = journal_extent_unpack(before.extent);
        *n = extent.end - extent.start;
        if (extent.start < JOURNAL_HEAD_SIZE || extent.start > extent.end)
            continue;
        *text = malloc(*n ? *n : 1);
        if (!*text)
            return error_set(err, LARDER_NOMEM, "journal %s: no memory for %zu bytes", path, *n);
        ssize_t got = journal_read_at(fd, *text, *n, extent.start);
        /* Unless it was moved, what was at these places is still there. */
        if (read_words(fd, &after) && after.moves == before.moves && got == (ssize_t)*n)
            return LARDER_OK;
        free(*text);
        *text = NULL;
    }
    return error_set(err, LARDER_CORRUPT, "journal %s: cut short, or changes all the time", path);
}
