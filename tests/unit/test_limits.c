/* Limits of the pool: one for all processes, whatever becomes of them and of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/limits.h"

#define SECOND_US INT64_C(1000000)

static char dir[] = "/tmp/larder-test-XXXXXX";
static char file[64];

static int
setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(file, sizeof file, "%s/limits", dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(dir);
}

static void
open_limits(void)
{
    struct larder_error err;
    if (limits_open(dir, &err) != LARDER_OK)
        fail_msg("%s", err.message);
}

static int64_t
take(const char *name, int rate, int64_t now_us)
{
    return limits_take(name, strlen(name), rate, now_us);
}

static void
a_minute_has_so_many_and_gives_them_back_one_by_one(void **state)
{
    (void)state;
    int64_t now_us = 1000 * SECOND_US;
    open_limits();
    for (int i = 0; i < 60; i++)
        assert_int_equal(take("a", 60, now_us), 0);
    assert_int_equal(take("a", 60, now_us), SECOND_US);
    assert_int_equal(take("a", 60, now_us + SECOND_US / 2), SECOND_US / 2);
    assert_int_equal(take("a", 60, now_us + SECOND_US), 0);
    assert_true(take("a", 60, now_us + SECOND_US) > 0);
    /* No more than that, however long nobody came. */
    now_us += 3600 * SECOND_US;
    for (int i = 0; i < 60; i++)
        assert_int_equal(take("a", 60, now_us), 0);
    assert_true(take("a", 60, now_us) > 0);
    assert_int_equal(take("b", 1, now_us), 0);
    assert_int_equal(take("b", 1, now_us), 60 * SECOND_US);
    limits_close();
}

/* In a child: take until there is no more; the number comes back. end: it is killed then. */
static int
taken_by_child(const char *name, int rate, int64_t now_us, bool end)
{
    int pipe_fds[2], count = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct larder_error err;
        if (limits_open(dir, &err) != LARDER_OK)
            _exit(1);
        while (take(name, rate, now_us) == 0)
            count++;
        if (write(pipe_fds[1], &count, sizeof count) != sizeof count)
            _exit(1);
        if (end)
            raise(SIGKILL);
        _exit(0);
    }
    close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &count, sizeof count), sizeof count);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return count;
}

static void
all_processes_have_it_together_and_none_takes_it_along(void **state)
{
    (void)state;
    int64_t now_us = 90000 * SECOND_US;
    assert_int_equal(taken_by_child("c", 100, now_us, true), 100);
    assert_int_equal(taken_by_child("c", 100, now_us, false), 0);
    assert_int_equal(taken_by_child("c", 100, now_us + 30 * SECOND_US, false), 50);
    /* At once, too. */
    enum { CHILDREN = 4 };
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    for (int i = 0; i < CHILDREN; i++)
        if (fork() == 0) {
            struct larder_error err;
            int count = 0;
            if (limits_open(dir, &err) != LARDER_OK)
                _exit(1);
            while (take("d", 10000, now_us) == 0)
                count++;
            _exit(write(pipe_fds[1], &count, sizeof count) == sizeof count ? 0 : 1);
        }
    int sum = 0;
    for (int i = 0; i < CHILDREN; i++) {
        int count;
        assert_int_equal(read(pipe_fds[0], &count, sizeof count), sizeof count);
        sum += count;
    }
    for (int i = 0; i < CHILDREN; i++)
        wait(NULL);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    assert_int_equal(sum, 10000);
}

static void
a_clock_that_began_anew_blocks_nobody(void **state)
{
    (void)state;
    open_limits();
    while (take("e", 10, 900000 * SECOND_US) == 0)
        ;
    assert_int_equal(take("e", 10, 5 * SECOND_US), 0);
    uint64_t unsaid;
    assert_true(limits_say(LIMITS_OFF, 60000, INT64_C(900000000), &unsaid));
    assert_true(limits_say(LIMITS_OFF, 60000, 5000, &unsaid));
    limits_close();
}

static void
what_is_not_said_is_counted(void **state)
{
    (void)state;
    uint64_t unsaid;
    open_limits();
    assert_true(limits_say(LIMITS_REFUSED, 1000, 10000, &unsaid));
    assert_int_equal(unsaid, 0);
    for (int i = 0; i < 7; i++)
        assert_false(limits_say(LIMITS_REFUSED, 1000, 10500, &unsaid));
    assert_true(limits_say(LIMITS_REFUSED, 1000, 11000, &unsaid));
    assert_int_equal(unsaid, 7);
    limits_close();
}

static void
the_file_is_ours_alone(void **state)
{
    (void)state;
    struct larder_error err = {0};
    struct stat st;
    open_limits();
    limits_close();
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(chmod(file, 0620), 0);
    assert_int_not_equal(limits_open(dir, &err), LARDER_OK);
    assert_non_null(strstr(err.message, "others may write it"));
    /* Then this process has its own. */
    while (take("f", 10, 1000 * SECOND_US) == 0)
        ;
    assert_true(take("f", 10, 1000 * SECOND_US) > 0);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(symlink("/tmp/larder-somewhere", file), 0);
    assert_int_not_equal(limits_open(dir, &err), LARDER_OK);
    assert_non_null(strstr(err.message, "a symbolic link"));
    assert_int_equal(unlink(file), 0);
    /* One that is cut short is replaced. */
    open_limits();
    limits_close();
    assert_int_equal(truncate(file, 100), 0);
    open_limits();
    assert_int_equal(stat(file, &st), 0);
    assert_true(st.st_size > 4096);
    limits_close();
    assert_int_not_equal(limits_open("/nonexistent", &err), LARDER_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_has_so_many_and_gives_them_back_one_by_one),
        cmocka_unit_test(all_processes_have_it_together_and_none_takes_it_along),
        cmocka_unit_test(a_clock_that_began_anew_blocks_nobody),
        cmocka_unit_test(what_is_not_said_is_counted),
        cmocka_unit_test(the_file_is_ours_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
