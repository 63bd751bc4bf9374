/*
 * The journal of the machine, when processes are killed at any system call or at
 * random, and when the machine goes down: whatever was acknowledged is told to
 * Redis once at least.
 */
#include "journal_fixture.h"

/* Only every so manieth call, where each takes long. */
#ifdef __SANITIZE_THREAD__
#define STEP 5
#else
#define STEP 1
#endif

/* Everything that can happen to the file, in one process; the calls are counted by the kill. */
static void
live_once(struct place *place, size_t max)
{
    struct journal *journal;

    if (journal_open(place->dir, HASH, max, &journal, NULL) != LARDER_OK)
        _exit(1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40; i++)
            if (note_next(place, journal, i % 2) != LARDER_OK)
                _exit(2);
        char token[16];
        snprintf(token, sizeof token, "i%d", round);
        if (intend(journal, token, 1, "w:0:0") != LARDER_OK ||
            replay_for(place, journal) != LARDER_OK || end(journal, token) != LARDER_OK)
            _exit(3);
        for (int i = 0; i < 5; i++)
            if (note_next(place, journal, 2) != LARDER_OK)
                _exit(4);
        if (round < 1 && replay_for(place, journal) != LARDER_OK)
            _exit(5);
    }
    _exit(0);
}

/* What is found afterwards: all that was written; or, the machine having gone down, only what was
 * synced of the head page, of the records, or of both. */
enum after { SAME_BOOT, OTHER_BOOT, OLD_HEAD, OLD_RECORDS, POWER_CUT };

static void
go_back(const struct place *place, enum after after)
{
    const struct disk *disk = &place->shared->disk;
    int fd = open(place->file, O_WRONLY | O_CLOEXEC);
    size_t n = (size_t)disk->n;

    assert_true(fd >= 0 && n >= HEAD && n < DISK_SIZE);
    if (after != OLD_RECORDS)
        assert_int_equal(pwrite(fd, disk->bytes, HEAD, 0), HEAD);
    if (after != OLD_HEAD) {
        assert_int_equal(pwrite(fd, disk->bytes + HEAD, n - HEAD, HEAD), n - HEAD);
        assert_int_equal(ftruncate(fd, (off_t)n), 0);
    }
    close(fd);
}

/* false: it was not killed, there are no more calls. */
static bool
killed_at(struct place *place, int call, int how, enum after after, size_t max)
{
    int status;

    forget_notes(place);
    journal_close(open_with(place, max));
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    place->shared->disk.n = pread(fd, place->shared->disk.bytes, DISK_SIZE, 0);
    close(fd);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        faults.disk = &place->shared->disk;
        faults.kill_how = how;
        atomic_store(&faults.kill_at, call);
        live_once(place, max);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status))
        assert_int_equal(status, 0);
    if (after >= OLD_HEAD)
        go_back(place, after);
    if (after != SAME_BOOT)
        change_boot(place->file);
    if (WIFSIGNALED(status)) {
        /* What a dead process left behind must not stand in the way of others. */
        struct journal *journal = open_with(place, max);
        assert_int_equal(note_next(place, journal, 3), LARDER_OK);
        assert_int_equal(note(journal, JOURNAL_HARD, "w:0:0"), LARDER_OK);
        journal_close(journal);
    }
    /* Intents that are alive would stay. */
    struct journal *journal = open_with(place, max);
    for (int round = 0; round < 2; round++) {
        char token[16];
        snprintf(token, sizeof token, "i%d", round);
        assert_int_equal(end(journal, token), LARDER_OK);
    }
    journal_close(journal);
    return WIFSIGNALED(status);
}

static void
killed_anywhere(struct place *place, enum after after, size_t max)
{
    int calls[3], collapsed = 0;
    for (int how = 0; how < 3; how++) {
        int call = after == SAME_BOOT ? 0 : ((int)after + how) % STEP;
        while (killed_at(place, call, how, after, max)) {
            nothing_is_lost(place, max);
            assert_int_equal(unlink(place->file), 0);
            collapsed += atomic_load(&place->shared->collapsed);
            call += STEP;
        }
        calls[how] = call;
        assert_int_equal(unlink(place->file), 0);
    }
    print_message("killed at each of %d to %d calls, in steps of %d\n", calls[0], calls[2], STEP);
    assert_true(calls[0] > 100);
    assert_int_equal(collapsed > 0, max == JOURNAL_MAX_MIN);
}

static void
killed_at_any_call_it_loses_nothing(void **state)
{
    killed_anywhere(*state, SAME_BOOT, MAX);
}

static void
killed_at_any_call_while_it_collapses_it_loses_nothing(void **state)
{
    killed_anywhere(*state, SAME_BOOT, JOURNAL_MAX_MIN);
}

static void
after_a_start_of_the_machine_it_has_everything(void **state)
{
    killed_anywhere(*state, OTHER_BOOT, MAX);
}

static void
after_a_start_of_the_machine_while_it_collapsed_it_has_everything(void **state)
{
    killed_anywhere(*state, OTHER_BOOT, JOURNAL_MAX_MIN);
}

static void
after_a_power_cut_it_has_everything(void **state)
{
    for (enum after after = OLD_HEAD; after <= POWER_CUT; after++)
        killed_anywhere(*state, after, MAX);
}

static void
after_a_power_cut_while_it_collapsed_it_has_everything(void **state)
{
    for (enum after after = OLD_HEAD; after <= POWER_CUT; after++)
        killed_anywhere(*state, after, JOURNAL_MAX_MIN);
}

/* ------------------------------------------------------------------------------ many threads */

struct worker {
    struct place *place;
    int writer; /* -1: replays */
};

static void *
work_many(void *arg)
{
    const struct worker *self = arg;
    struct place *place = self->place;
    struct journal_stats stats;

    for (int i = 0; self->writer >= 0 && i < 2000; i++)
        if (note_next(place, place->journal, self->writer) != LARDER_OK)
            abort();
    while (self->writer < 0 && !atomic_load(&place->shared->go))
        if (replay_for(place, place->journal) != LARDER_OK ||
            journal_stats(place->journal, &stats, NULL) != LARDER_OK || stats.damaged)
            abort();
    return NULL;
}

static void
threads_append_while_one_replays(struct place *place, size_t max)
{
    pthread_t thread[WRITERS + 1];
    struct worker worker[WRITERS + 1];

    place->journal = open_with(place, max);
    for (int i = 0; i <= WRITERS; i++) {
        worker[i] = (struct worker){place, i < WRITERS ? i : -1};
        assert_int_equal(pthread_create(&thread[i], NULL, work_many, &worker[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(thread[i], NULL);
    atomic_store(&place->shared->go, true);
    pthread_join(thread[WRITERS], NULL);
    nothing_is_lost(place, max);
    assert_true(atomic_load(&place->shared->collapsed) == 0 || max == JOURNAL_MAX_MIN);
}

static void
nothing_is_lost_among_threads(void **state)
{
    threads_append_while_one_replays(*state, MAX);
}

static void
nothing_is_lost_among_threads_while_it_collapses(void **state)
{
    threads_append_while_one_replays(*state, JOURNAL_MAX_MIN);
}

/* -------------------------------------------------------------------------- killed at random */

static pid_t
start_writer(struct place *place, int writer, size_t max)
{
    struct journal *journal;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (journal_open(place->dir, HASH, max, &journal, NULL) != LARDER_OK)
        _exit(1);
    atomic_fetch_add(&place->shared->ready, 1);
    while (note_next(place, journal, writer) == LARDER_OK)
        ;
    pause();
    _exit(0);
}

static pid_t
start_replayer(struct place *place, size_t max)
{
    struct journal *journal;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (journal_open(place->dir, HASH, max, &journal, NULL) != LARDER_OK)
        _exit(1);
    atomic_fetch_add(&place->shared->ready, 1);
    for (;;) {
        enum larder_status status = replay_for(place, journal);
        if (status != LARDER_OK && status != LARDER_EXISTS)
            _exit(2);
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

/* Writers, and two who want to replay, killed at random and started again. */
static void
killed_at_random(struct place *place, size_t max)
{
    enum { ROUNDS = 120, ALL = WRITERS + 2 };
    unsigned seed = 1;
    pid_t pid[ALL];

    for (int i = 0; i < ALL; i++)
        pid[i] = i < WRITERS ? start_writer(place, i, max) : start_replayer(place, max);
    for (int round = 0; round < ROUNDS; round++) {
        int victim = rand_r(&seed) % ALL;
        poll(NULL, 0, rand_r(&seed) % 20);
        kill_9(pid[victim]);
        if (victim < WRITERS)
            pid[victim] = start_writer(place, victim, max);
        else
            pid[victim] = start_replayer(place, max);
    }
    for (int i = 0; i < ALL; i++)
        kill_9(pid[i]);
    int begun = 0, acknowledged = 0;
    for (int w = 0; w < WRITERS; w++) {
        begun += atomic_load(&place->shared->writer[w].begun);
        acknowledged += count_acknowledged(place, w);
    }
    print_message("%d noted, %d acknowledged\n", begun, acknowledged);
    assert_true(acknowledged > 100);
    nothing_is_lost(place, max);
    assert_true(atomic_load(&place->shared->collapsed) > 0 || max > JOURNAL_MAX_MIN);
}

static void
processes_killed_at_random_lose_nothing(void **state)
{
    killed_at_random(*state, MAX);
}

static void
processes_killed_at_random_while_it_collapses_lose_nothing(void **state)
{
    killed_at_random(*state, JOURNAL_MAX_MIN);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(killed_at_any_call_it_loses_nothing),
        T(killed_at_any_call_while_it_collapses_it_loses_nothing),
        T(after_a_start_of_the_machine_it_has_everything),
        T(after_a_start_of_the_machine_while_it_collapsed_it_has_everything),
        T(after_a_power_cut_it_has_everything),
        T(after_a_power_cut_while_it_collapsed_it_has_everything),
        T(nothing_is_lost_among_threads),
        T(nothing_is_lost_among_threads_while_it_collapses),
        T(processes_killed_at_random_lose_nothing),
        T(processes_killed_at_random_while_it_collapses_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
