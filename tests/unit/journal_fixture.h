/*
 * What the tests of the journal have in common. Included by one .c file of a program.
 *
 * The program's own pread, pwrite, fdatasync, fsync and ftruncate stand before
 * those of the C library, so that a test can kill a process at each of them, make
 * them fail, and count them. The disk itself is not asked: a kill leaves the page
 * cache alone.
 */
#ifndef TESTS_UNIT_JOURNAL_FIXTURE_H
#define TESTS_UNIT_JOURNAL_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/journal_file.h"
#include "runtime/journal_line.h"
#include "runtime/journal.h"

#define HASH UINT64_C(0x0123456789abcdef)
#define HEAD 4096
#define MAX ((size_t)1024 * 1024)
#define NOW INT64_C(1790000000000)
#define LONG_MS 20000

/* ---------------------------------------------------------------------- what may be made to fail */

enum { NEVER = -1 };

#define DISK_SIZE 65536
struct disk {
    char bytes[DISK_SIZE];
    ssize_t n;
};

static struct {
    atomic_int kill_at; /* the so manieth of these calls, 0 the next: SIGKILL */
    int kill_how;       /* before it, in the middle of a write, after it */
    atomic_int fail_at; /* fails with ENOSPC, a write in the middle */
    atomic_bool full;   /* so does every write from then on */
    atomic_int syncs, sync_ms;
    struct disk *disk; /* gets a copy of the file whenever that is on the disk */
} faults = {NEVER, 0, NEVER, false, 0, 0, NULL};

/* Before this thread's next read, and never again. */
static _Thread_local void (*read_hook)(void);

/* One off the counter; true when it was 0. */
static inline bool
is_hit(atomic_int *counter)
{
    return atomic_load(counter) != NEVER && atomic_fetch_sub(counter, 1) == 0;
}

static inline void
fail_at(int call)
{
    atomic_store(&faults.full, false);
    atomic_store(&faults.fail_at, call);
}

static inline void
die_if(bool die)
{
    if (die)
        raise(SIGKILL);
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
    void (*hook)(void) = read_hook;
    read_hook = NULL;
    if (hook)
        hook();
    return syscall(SYS_pread64, fd, p, n, at);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
    bool die = is_hit(&faults.kill_at);
    die_if(die && faults.kill_how == 0);
    if (atomic_load(&faults.full)) {
        errno = ENOSPC;
        return -1;
    }
    if (is_hit(&faults.fail_at)) {
        atomic_store(&faults.full, true);
        return syscall(SYS_pwrite64, fd, p, n / 2, at);
    }
    ssize_t done = syscall(SYS_pwrite64, fd, p, die && faults.kill_how == 1 ? n / 2 : n, at);
    die_if(die);
    return done;
}

int
fdatasync(int fd)
{
    bool die = is_hit(&faults.kill_at);
    die_if(die && faults.kill_how == 0);
    atomic_fetch_add(&faults.syncs, 1);
    poll(NULL, 0, atomic_load(&faults.sync_ms));
    if (is_hit(&faults.fail_at)) {
        errno = ENOSPC;
        return -1;
    }
    if (faults.disk)
        faults.disk->n = pread(fd, faults.disk->bytes, DISK_SIZE, 0);
    die_if(die);
    return 0; /* a kill leaves the page cache alone, so the disk is not asked */
}

int
fsync(int fd)
{
    (void)fd;
    return 0;
}

int
ftruncate(int fd, off_t length)
{
    bool die = is_hit(&faults.kill_at);
    die_if(die && faults.kill_how == 0);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    die_if(die);
    return result;
}

/* ------------------------------------------------------------------------------------- fixture */

#define WRITERS 4
#define NOTES_MAX 100000

/* What every process of a test sees. */
struct shared {
    atomic_int ready;
    atomic_bool go;
    atomic_int collapsed; /* so many times "all" was told */
    struct disk disk;
    struct {
        atomic_int begun;
        atomic_bool acknowledged[NOTES_MAX];
        atomic_bool told[NOTES_MAX]; /* Redis has heard of it */
    } writer[WRITERS];
};

struct place {
    char dir[64];
    char file[128];
    struct shared *shared;
    struct journal *journal;
};

static inline int
set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(place);
    snprintf(place->dir, sizeof place->dir, "%s/larder-XXXXXX",
             tmp && strlen(tmp) < 48 ? tmp : "/tmp");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->file, sizeof place->file, "%s/journal-0123456789abcdef", place->dir);
    place->shared = mmap(NULL, sizeof *place->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(place->shared != MAP_FAILED);
    *state = place;
    return 0;
}

static inline int
files_in(const char *dir, bool remove_them)
{
    DIR *list = opendir(dir);
    int n = 0;

    assert_non_null(list);
    for (const struct dirent *entry; (entry = readdir(list));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n++;
        if (remove_them && unlinkat(dirfd(list), entry->d_name, 0) != 0)
            unlinkat(dirfd(list), entry->d_name, AT_REMOVEDIR);
    }
    closedir(list);
    return n;
}

static inline int
tear_down(void **state)
{
    struct place *place = *state;

    journal_close(place->journal);
    faults.disk = NULL;
    atomic_store(&faults.kill_at, NEVER);
    fail_at(NEVER);
    atomic_store(&faults.sync_ms, 0);
    files_in(place->dir, true);
    assert_int_equal(rmdir(place->dir), 0);
    munmap(place->shared, sizeof *place->shared);
    free(place);
    return 0;
}

static inline struct journal *
open_with(const struct place *place, size_t max)
{
    struct larder_error err = {0};
    struct journal *journal;

    if (journal_open(place->dir, HASH, max, &journal, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    return journal;
}

static inline void
opens(struct place *place)
{
    journal_close(place->journal);
    place->journal = open_with(place, MAX);
}

/* As after a start of the machine. */
static inline void
change_boot(const char *file)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "another", 7, (off_t)offsetof(struct journal_head, words.boot)), 7);
    close(fd);
}

/* What the disk had of the extent when the machine went down. */
static inline void
change_extent(const char *file, off_t start, off_t behind)
{
    uint64_t extent =
        journal_extent_pack((struct journal_extent){(uint32_t)start, (uint32_t)behind});
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(
        pwrite(fd, &extent, sizeof extent, (off_t)offsetof(struct journal_head, words.extent)),
        sizeof extent);
    close(fd);
}

static inline off_t
size_of(const char *file)
{
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    return st.st_size;
}

static inline struct journal_stats
stats_of(const struct place *place)
{
    struct journal_stats stats;
    struct larder_error err = {0};
    if (journal_stats_at(place->dir, HASH, &stats, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    return stats;
}

/* ------------------------------------------------------------------------------- noting */

static inline int64_t
soon(void)
{
    return clock_now_ms() + LONG_MS;
}

static inline enum larder_status
note(struct journal *journal, enum journal_kind kind, const char *name)
{
    const struct journal_record record = {.kind = kind, .names = &name, .count = 1};
    return journal_append(journal, &record, 1, NOW, soon(), NULL);
}

static inline enum larder_status
intend(struct journal *journal, const char *token, int64_t hold_ms, const char *tag)
{
    const struct journal_record record = {
        .kind = JOURNAL_INTENT, .names = &tag, .count = 1, .token = token, .hold_ms = hold_ms};
    return journal_append(journal, &record, 1, NOW, soon(), NULL);
}

static inline enum larder_status
end(struct journal *journal, const char *token)
{
    const struct journal_record record = {.kind = JOURNAL_DONE, .token = token};
    return journal_append(journal, &record, 1, NOW, soon(), NULL);
}

/* ------------------------------------------------------------------------------- replaying */

/* What Redis was told: "hard a b | soft c | sweep d*". */
struct told {
    char words[16384];
    size_t batches;
    size_t names;
    int64_t hold_ms; /* of the last batch */
    size_t fail_at;  /* the so manieth batch, from 1 */
    void (*meanwhile)(struct place *place);
    struct place *place;
};

static inline enum larder_status
tell(void *arg, enum journal_kind kind, const char *const *names, size_t n, int64_t hold_ms,
     struct larder_error *err)
{
    static const char *const words[] = {"silent", "hard", "soft", "sweep"};
    struct told *told = arg;
    size_t at = strlen(told->words);

    assert_true(kind <= JOURNAL_SWEEP && n >= 1 && n <= JOURNAL_BATCH);
    if (++told->batches == told->fail_at) {
        *err = (struct larder_error){LARDER_UNAVAILABLE, "redis: gone"};
        return LARDER_UNAVAILABLE;
    }
    if (told->meanwhile)
        told->meanwhile(told->place);
    told->names += n;
    told->hold_ms = hold_ms;
    at += (size_t)snprintf(told->words + at, sizeof told->words - at, "%s%s", at ? " | " : "",
                           words[kind]);
    for (size_t i = 0; i < n && at < sizeof told->words; i++)
        at += (size_t)snprintf(told->words + at, sizeof told->words - at, " %s", names[i]);
    return LARDER_OK;
}

static inline void
is_told(struct journal *journal, const char *words)
{
    struct told told = {.batches = 0};
    struct larder_error err = {0};
    if (journal_replay(journal, tell, &told, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    assert_string_equal(told.words, words);
}

/* As is_told(), and nothing is left. */
static inline void
is_all(struct place *place, const char *words)
{
    is_told(place->journal, words);
    assert_int_equal(journal_pending(place->journal), 0);
    assert_int_equal(size_of(place->file), HEAD);
    is_told(place->journal, "");
}

/* ------------------------------------------------- notes of which each is followed to its end */

/* What the writer with this number notes the n-th time. */
static inline void
name_note(char name[128], int writer, int n)
{
    snprintf(name, 128, "w:%d:%d:of-a-length-with-which-forty-of-them-are-past-the-least-bound",
             writer, n);
}

static inline enum larder_status
note_next(struct place *place, struct journal *journal, int writer)
{
    char name[128];
    int n = atomic_load(&place->shared->writer[writer].begun);

    if (n == NOTES_MAX)
        return LARDER_DISABLED;
    name_note(name, writer, n);
    atomic_fetch_add(&place->shared->writer[writer].begun, 1);
    enum larder_status status = note(journal, n % 3 ? JOURNAL_HARD : JOURNAL_SOFT, name);
    if (status == LARDER_OK)
        atomic_store(&place->shared->writer[writer].acknowledged[n], true);
    return status;
}

/*
 * Redis, which knows what it was told. "all" is everything that was noted when the
 * replay read the file (with the lock). Of what somebody was about to note just
 * then nothing is known, one note for each writer at most.
 */
static struct {
    struct place *place;
    int begun[WRITERS];
} redis;

static inline void
count_begun(void)
{
    for (int w = 0; w < WRITERS; w++)
        redis.begun[w] = atomic_load(&redis.place->shared->writer[w].begun);
}

static inline enum larder_status
take_note(void *arg, enum journal_kind kind, const char *const *names, size_t n, int64_t hold_ms,
          struct larder_error *err)
{
    struct shared *shared = redis.place->shared;

    (void)arg;
    (void)hold_ms;
    (void)err;
    if (kind == JOURNAL_SWEEP)
        abort();
    for (size_t i = 0; i < n; i++) {
        int writer, number;
        if (strcmp(names[i], "all") == 0) {
            atomic_fetch_add(&shared->collapsed, 1);
            for (int w = 0; w < WRITERS; w++)
                for (int k = 0; k < redis.begun[w]; k++)
                    atomic_store(&shared->writer[w].told[k], true);
        } else if (sscanf(names[i], "w:%d:%d", &writer, &number) == 2 && writer < WRITERS &&
                   number < atomic_load(&shared->writer[writer].begun)) {
            atomic_store(&shared->writer[writer].told[number], true);
        } else {
            abort();
        }
    }
    return LARDER_OK;
}

static inline enum larder_status
replay_for(struct place *place, struct journal *journal)
{
    redis.place = place;
    read_hook = count_begun;
    enum larder_status status = journal_replay(journal, take_note, NULL, NULL);
    read_hook = NULL;
    return status;
}

static inline int
count_acknowledged(const struct place *place, int writer)
{
    int count = 0;
    for (int n = 0; n < NOTES_MAX; n++)
        count += atomic_load(&place->shared->writer[writer].acknowledged[n]);
    return count;
}

/* Everything acknowledged was told once the rest has been replayed, and nothing is left. */
static inline void
nothing_is_lost(struct place *place, size_t max)
{
    struct journal *journal = open_with(place, max);
    assert_int_equal(replay_for(place, journal), LARDER_OK);
    assert_int_equal(journal_pending(journal), 0);
    assert_int_equal(size_of(place->file), HEAD);
    assert_false(stats_of(place).damaged);
    journal_close(journal);
    for (int w = 0; w < WRITERS; w++)
        for (int n = 0; n < NOTES_MAX; n++)
            if (atomic_load(&place->shared->writer[w].acknowledged[n]) &&
                !atomic_load(&place->shared->writer[w].told[n]))
                fail_msg("note %d of writer %d was acknowledged, and Redis was never told", n, w);
}

static inline void
forget_notes(struct place *place)
{
    memset(place->shared, 0, sizeof *place->shared);
}

#endif
