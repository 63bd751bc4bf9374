/*
 * Counters of the pool: nothing is lost or doubled however processes die, and
 * no file that somebody left in the way does harm.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/counters.h"

/* What every process of a test sees. */
struct shared {
    atomic_int ready;
    atomic_bool go;
    _Atomic uint64_t begun; /* before counters_add() */
    _Atomic uint64_t done;  /* after it */
};

struct place {
    char dir[64];
    char file[96];
    struct shared *shared;
};

static int
set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(place);
    snprintf(place->dir, sizeof place->dir, "%s/larder-XXXXXX",
             tmp && strlen(tmp) < 48 ? tmp : "/tmp");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->file, sizeof place->file, "%s/counters", place->dir);
    place->shared = mmap(NULL, sizeof *place->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(place->shared != MAP_FAILED);
    *state = place;
    return 0;
}

/* Whatever a test leaves in its directory; nothing in it is deeper than one level. */
static int
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

static int
tear_down(void **state)
{
    struct place *place = *state;

    counters_close();
    files_in(place->dir, true);
    assert_int_equal(rmdir(place->dir), 0);
    munmap(place->shared, sizeof *place->shared);
    free(place);
    return 0;
}

static uint64_t
total(const struct place *place, enum counter counter)
{
    struct counters_total sum;
    struct larder_error err = {0};

    if (counters_read(place->dir, &sum, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    return sum.value[counter];
}

static int
living(const struct place *place)
{
    struct counters_total sum;
    assert_int_equal(counters_read(place->dir, &sum, NULL), LARDER_OK);
    return sum.processes;
}

static void
opens(const struct place *place)
{
    struct larder_error err = {0};
    if (counters_open(place->dir, &err) != LARDER_OK)
        fail_msg("%s", err.message);
}

/* Refused, with words; and counting goes on all the same. */
static void
is_refused(const struct place *place, const char *dir)
{
    struct larder_error err = {0};

    (void)place;
    enum larder_status status = counters_open(dir, &err);
    assert_int_not_equal(status, LARDER_OK);
    assert_int_equal(err.status, status);
    assert_true(strlen(err.message) > 10);
    assert_int_equal(counters_open(dir, NULL), status);
    counters_add(COUNTER_requests, 1);
}

static void
write_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

/* Wait for a condition that other processes make true. */
static void
await(const atomic_int *value, int wanted)
{
    for (int i = 0; atomic_load(value) < wanted; i++) {
        assert_true(i < 30000);
        poll(NULL, 0, 1);
    }
}

/* ---------------------------------------------------------------------------------- counting */

static void
what_is_counted_is_read(void **state)
{
    struct place *place = *state;

    opens(place);
    for (int i = 0; i < COUNTER_COUNT; i++)
        counters_add((enum counter)i, (uint64_t)i + 1);
    counters_add(COUNTER_bytes_out, UINT64_C(1) << 40);
    for (int i = 0; i < COUNTER_COUNT; i++)
        assert_int_equal(total(place, (enum counter)i),
                         (uint64_t)i + 1 + (i == COUNTER_bytes_out ? UINT64_C(1) << 40 : 0));
    assert_int_equal(living(place), 1);
    counters_close();
    assert_int_equal(living(place), 0);
    assert_int_equal(total(place, COUNTER_hits), COUNTER_hits + 1);
    for (int i = 0; i < COUNTER_COUNT; i++)
        assert_true(*counter_name((enum counter)i) && *counter_help((enum counter)i));
    assert_string_equal(counter_name(COUNTER_bytes_out), "bytes_out");
}

static void
what_is_counted_before_the_file_goes_into_it(void **state)
{
    struct place *place = *state;

    counters_add(COUNTER_hits, 3);
    opens(place);
    counters_add(COUNTER_hits, 4);
    assert_int_equal(total(place, COUNTER_hits), 7);
    counters_close();
    counters_add(COUNTER_hits, 5);
    assert_int_equal(total(place, COUNTER_hits), 7);
    opens(place);
    assert_int_equal(total(place, COUNTER_hits), 12);
}

static void *
count_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100000; i++)
        counters_add(COUNTER_misses, 1);
    return NULL;
}

static void
threads_of_a_process_lose_nothing(void **state)
{
    struct place *place = *state;
    pthread_t thread[8];

    opens(place);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, count_many, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(total(place, COUNTER_misses), 800000);
}

static void
a_forked_child_counts_into_its_parents_slot(void **state)
{
    struct place *place = *state;
    int status;

    opens(place);
    counters_add(COUNTER_hits, 1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        counters_add(COUNTER_hits, 1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(total(place, COUNTER_hits), 2);
    assert_int_equal(living(place), 1);
}

/* ------------------------------------------------------------------------- many processes */

/* A process that counts until it is killed. */
static pid_t
start_counting(const struct place *place)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (counters_open(place->dir, NULL) != LARDER_OK)
        _exit(1);
    atomic_fetch_add(&place->shared->ready, 1);
    for (;;) {
        atomic_fetch_add(&place->shared->begun, 1);
        counters_add(COUNTER_requests, 1);
        atomic_fetch_add(&place->shared->done, 1);
    }
}

static void
kill_9(pid_t pid)
{
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Each was killed between two statements, so each may have begun one addition and not done it. */
static void
killed_processes_leave_exact_sums_and_free_slots(void **state)
{
    enum { ROUNDS = 60, AT_ONCE = 4 };
    struct place *place = *state;
    pid_t pid[AT_ONCE];
    struct stat st;

    for (int round = 0; round < ROUNDS; round++) {
        atomic_store(&place->shared->ready, 0);
        for (int i = 0; i < AT_ONCE; i++)
            pid[i] = start_counting(place);
        /* Half of the time they die while opening. */
        if (round % 2 == 0) {
            await(&place->shared->ready, AT_ONCE);
            assert_int_equal(living(place), AT_ONCE);
        }
        for (int i = 0; i < AT_ONCE; i++)
            kill_9(pid[i]);
        assert_int_equal(living(place), 0);
        uint64_t sum = total(place, COUNTER_requests);
        assert_true(sum >= place->shared->done && sum <= place->shared->begun);
        assert_true(place->shared->begun - place->shared->done <= (uint64_t)(round + 1) * AT_ONCE);
    }
    assert_true(place->shared->done > ROUNDS);
    assert_int_equal(stat(place->file, &st), 0);
    assert_int_equal(st.st_size, 4096 + 1024 * 512);
    /* The slots were used again: only the first few ever were. */
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    uint64_t slot[64];
    for (int i = AT_ONCE + 1; i < 1024; i++) {
        assert_int_equal(pread(fd, slot, sizeof slot, 4096 + i * 512), sizeof slot);
        assert_int_equal(slot[COUNTER_requests], 0);
    }
    close(fd);
}

/* Also when all of them find no file, or an old one, at the same moment. */
static void
processes_that_start_together_share_one_file(const struct place *place)
{
    enum { N = 24 };
    pid_t pid[N];

    atomic_store(&place->shared->ready, 0);
    atomic_store(&place->shared->go, false);
    for (int i = 0; i < N; i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] > 0)
            continue;
        atomic_fetch_add(&place->shared->ready, 1);
        while (!atomic_load(&place->shared->go))
            sched_yield();
        if (counters_open(place->dir, NULL) != LARDER_OK)
            _exit(1);
        counters_add(COUNTER_stored, 1);
        _exit(0);
    }
    await(&place->shared->ready, N);
    atomic_store(&place->shared->go, true);
    for (int i = 0; i < N; i++) {
        int status;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(total(place, COUNTER_stored), N);
    assert_int_equal(files_in(place->dir, false), 1);
}

static void
starting_together_without_a_file_makes_one(void **state)
{
    struct place *place = *state;
    for (int i = 0; i < 5; i++) {
        unlink(place->file);
        processes_that_start_together_share_one_file(place);
    }
}

static void
starting_together_on_an_old_file_replaces_it_once(void **state)
{
    struct place *place = *state;
    for (int i = 0; i < 5; i++) {
        write_file(place->file, "LARDCNT\0\377\0\0\0", 12);
        processes_that_start_together_share_one_file(place);
    }
}

static void
without_a_free_slot_the_shared_one_is_used(void **state)
{
    struct place *place = *state;
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 4096, .l_len = 0};

    opens(place);
    counters_close();
    int fd = open(place->file, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0);
    opens(place);
    counters_add(COUNTER_hits, 9);
    uint64_t slot[64];
    assert_int_equal(pread(fd, slot, sizeof slot, 4096), sizeof slot);
    assert_int_equal(slot[COUNTER_hits], 9);
    close(fd);
    assert_int_equal(total(place, COUNTER_hits), 9);
}

/* ------------------------------------------------------------------------------ bad files */

static void
the_file_has_its_mode_whatever_the_umask(void **state)
{
    struct place *place = *state;
    static const mode_t masks[] = {0, 022, 077, 0777};

    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        struct stat st;
        unlink(place->file);
        mode_t before = umask(masks[i]);
        opens(place);
        umask(before);
        assert_int_equal(stat(place->file, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
    }
}

static void
an_old_or_cut_file_is_replaced(void **state)
{
    struct place *place = *state;
    char good[64];

    opens(place);
    counters_close();
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, good, sizeof good), sizeof good);
    close(fd);
    /* Every shorter length of the header, and the whole header of a file that is too short. */
    for (size_t n = 0; n <= sizeof good; n++) {
        if (n > 0 && n < 8)
            continue;
        write_file(place->file, good, n);
        assert_int_equal(counters_read(place->dir, &(struct counters_total){{0}, 0}, NULL),
                         LARDER_CORRUPT);
        opens(place);
        counters_add(COUNTER_hits, 2);
        assert_int_equal(total(place, COUNTER_hits), 2);
        counters_close();
    }
    /* Another version, other sizes, other names: each byte behind the magic. */
    for (off_t at = 8; at < 32; at++) {
        fd = open(place->file, O_WRONLY | O_CLOEXEC);
        char other = (char)~good[at];
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        close(fd);
        opens(place);
        assert_int_equal(total(place, COUNTER_hits), 0);
        counters_close();
    }
    /* Too long is no file of ours either. */
    assert_int_equal(truncate(place->file, 4096 + 1024 * 512 + 1), 0);
    opens(place);
    assert_int_equal(total(place, COUNTER_hits), 0);
}

static void
a_foreign_file_is_refused_and_left_alone(void **state)
{
    struct place *place = *state;
    char bytes[16] = "";

    write_file(place->file, "precious", 8);
    is_refused(place, place->dir);
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, bytes, sizeof bytes), 8);
    close(fd);
    assert_string_equal(bytes, "precious");
    write_file(place->file, "LARD", 4);
    is_refused(place, place->dir);
    assert_int_equal(counters_read(place->dir, &(struct counters_total){{0}, 0}, NULL),
                     LARDER_CORRUPT);
}

static void
what_is_no_file_is_refused(void **state)
{
    struct place *place = *state;
    char target[96];

    snprintf(target, sizeof target, "%s/target", place->dir);
    opens(place);
    counters_close();
    assert_int_equal(rename(place->file, target), 0);
    assert_int_equal(symlink("target", place->file), 0);
    is_refused(place, place->dir);
    assert_int_equal(counters_read(place->dir, &(struct counters_total){{0}, 0}, NULL),
                     LARDER_UNAVAILABLE);
    /* Not even to create what it points to. */
    assert_int_equal(unlink(target), 0);
    is_refused(place, place->dir);
    assert_int_not_equal(access(target, F_OK), 0);

    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkfifo(place->file, 0640), 0);
    alarm(20); /* a FIFO without a writer must not hold us */
    is_refused(place, place->dir);
    assert_int_equal(counters_read(place->dir, &(struct counters_total){{0}, 0}, NULL),
                     LARDER_CORRUPT);
    alarm(0);

    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkdir(place->file, 0750), 0);
    is_refused(place, place->dir);
}

static void
a_file_that_others_could_cut_is_refused(void **state)
{
    struct place *place = *state;

    opens(place);
    counters_close();
    assert_int_equal(chmod(place->file, 0660), 0);
    is_refused(place, place->dir);
    assert_int_equal(chmod(place->file, 0642), 0);
    is_refused(place, place->dir);
    assert_int_equal(chmod(place->file, 0640), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(place->file, 65534, 65534), 0);
        is_refused(place, place->dir);
        assert_int_equal(chown(place->file, 0, 0), 0);
    }
    opens(place);
}

static void
a_bad_directory_is_refused(void **state)
{
    struct place *place = *state;
    char path[96];

    snprintf(path, sizeof path, "%s/none", place->dir);
    is_refused(place, path);
    assert_int_equal(counters_read(path, &(struct counters_total){{0}, 0}, NULL),
                     LARDER_UNAVAILABLE);
    assert_int_equal(symlink(".", path), 0);
    is_refused(place, path);
    assert_int_equal(unlink(path), 0);
    write_file(path, "x", 1);
    is_refused(place, path);
    is_refused(place, "");
}

static void
reading_without_a_file_is_a_miss(void **state)
{
    struct place *place = *state;
    struct larder_error err = {0};
    assert_int_equal(counters_read(place->dir, &(struct counters_total){{0}, 0}, &err),
                     LARDER_MISS);
    assert_true(err.message[0] != '\0');
    assert_int_equal(files_in(place->dir, false), 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_counted_is_read),
        CASE(what_is_counted_before_the_file_goes_into_it),
        CASE(threads_of_a_process_lose_nothing),
        CASE(a_forked_child_counts_into_its_parents_slot),
        CASE(killed_processes_leave_exact_sums_and_free_slots),
        CASE(starting_together_without_a_file_makes_one),
        CASE(starting_together_on_an_old_file_replaces_it_once),
        CASE(without_a_free_slot_the_shared_one_is_used),
        CASE(the_file_has_its_mode_whatever_the_umask),
        CASE(an_old_or_cut_file_is_replaced),
        CASE(a_foreign_file_is_refused_and_left_alone),
        CASE(what_is_no_file_is_refused),
        CASE(a_file_that_others_could_cut_is_refused),
        CASE(a_bad_directory_is_refused),
        CASE(reading_without_a_file_is_a_miss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
