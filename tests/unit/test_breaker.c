/*
 * The circuit breaker: when it opens, what it costs while open, who finds out
 * that Redis is back, and how much it says about it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "client/breaker.h"
#include "client/store.h"
#include "client_fixture.h"
#include "raw_server.h"

/* What was logged. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_lines[16][512];
static int log_count;

static void
note(void *arg, enum larder_log_level level, const char *message)
{
    (void)arg, (void)level;
    pthread_mutex_lock(&log_lock);
    if (log_count < 16)
        snprintf(log_lines[log_count], sizeof log_lines[0], "%s", message);
    log_count++;
    pthread_mutex_unlock(&log_lock);
}

static int
logged(void)
{
    pthread_mutex_lock(&log_lock);
    int n = log_count;
    pthread_mutex_unlock(&log_lock);
    return n;
}

static struct larder_options
breaking_options(int failures)
{
    struct larder_options options = redis_options();

    pthread_mutex_lock(&log_lock);
    log_count = 0;
    pthread_mutex_unlock(&log_lock);
    options.breaker_failures = failures;
    options.log = note;
    options.retry_min_ms = 1;
    options.retry_max_ms = 1;
    return options;
}

static bool
is_available(const struct larder *cache)
{
    struct larder_stats stats;

    larder_stats(cache, &stats);
    return stats.available;
}

static enum larder_status
look_up(struct larder *cache, int64_t budget_ms)
{
    struct store_tags none = {.count = 0};
    struct store_value value;
    enum larder_status status =
        store_lookup(cache, "k", &none, 100, clock_now_ms() + budget_ms, &value, NULL);

    free(value.data);
    return status;
}

/* ------------------------------------------------------------------ by itself */

static void
failures_in_a_row_open_it_and_a_success_starts_over(void **state)
{
    struct larder_options options = breaking_options(3);
    struct breaker breaker;

    (void)state;
    breaker_init(&breaker, &options, "redis x");
    for (int i = 0; i < 10; i++) {
        assert_false(breaker_failure(&breaker, 100, "no"));
        assert_false(breaker_failure(&breaker, 100, "no"));
        breaker_success(&breaker);
    }
    assert_false(breaker_failure(&breaker, 100, "no"));
    assert_false(breaker_failure(&breaker, 100, "no"));
    assert_false(breaker_is_open(&breaker));
    assert_true(breaker_failure(&breaker, 100, "because"));
    assert_true(breaker_is_open(&breaker));
    assert_false(breaker_failure(&breaker, 100, "late"));
    breaker_success(&breaker); /* late as well */
    assert_true(breaker_is_open(&breaker));
    breaker_close(&breaker, 350);
    breaker_close(&breaker, 360);
    assert_false(breaker_is_open(&breaker));
    assert_false(breaker_failure(&breaker, 400, "no"));
    assert_int_equal(logged(), 2);
    assert_string_equal(log_lines[0],
                        "redis x: not asked any more after 3 failures in a row: because");
    assert_string_equal(log_lines[1], "redis x: answers again after 250 ms");
    breaker_destroy(&breaker);
}

static void
without_a_limit_it_never_opens(void **state)
{
    struct larder_options options = breaking_options(0);
    struct breaker breaker;

    (void)state;
    breaker_init(&breaker, &options, "redis x");
    for (int i = 0; i < 100; i++)
        assert_false(breaker_failure(&breaker, 0, "no"));
    assert_false(breaker_is_open(&breaker));
    assert_int_equal(logged(), 0);
    breaker_destroy(&breaker);
}

static atomic_int openers;

static void *
fail_often(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (breaker_failure(arg, 0, "no"))
            atomic_fetch_add(&openers, 1);
    return NULL;
}

static void
of_many_who_fail_at_once_one_opens_it(void **state)
{
    struct larder_options options = breaking_options(500);
    struct breaker breaker;
    pthread_t threads[8];

    (void)state;
    breaker_init(&breaker, &options, "redis x");
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fail_often, &breaker), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(openers, 1);
    assert_int_equal(logged(), 1);
    breaker_destroy(&breaker);
}

/* -------------------------------------------------------------- in the client */

static void
a_killed_redis_is_not_asked_and_is_found_again(void **state)
{
    struct larder_options options = breaking_options(3);
    struct larder *cache = open_with(&options);
    struct larder_stats stats;

    (void)state;
    assert_status(look_up(cache, 1000), LARDER_MISS);
    redis_fixture_kill(&redis);
    for (int i = 0; i < 10 && is_available(cache); i++)
        assert_status(look_up(cache, 1000), LARDER_UNAVAILABLE);
    assert_false(is_available(cache));
    larder_stats(cache, &stats);
    assert_int_equal(stats.pool_total, 0);

    int64_t before = clock_now_ms();
    for (int i = 0; i < 1000; i++)
        assert_status(look_up(cache, 1000), LARDER_UNAVAILABLE);
    assert_in_range(clock_now_ms() - before, 0, 1500);
    json_object *value = NULL;
    struct larder_error err;
    assert_status(larder_get(cache, "k", &value, &err), LARDER_UNAVAILABLE);
    assert_non_null(strstr(err.message, "GET: not asked after failures"));

    assert_true(redis_fixture_restart(&redis));
    await(is_available(cache));
    assert_status(look_up(cache, 1000), LARDER_MISS);
    assert_int_equal(logged(), 3);
    assert_non_null(strstr(log_lines[0], "not asked any more after 3 failures in a row: redis "));
    assert_non_null(strstr(log_lines[1], "is another server now, or has been restarted"));
    assert_non_null(strstr(log_lines[2], "answers again after "));
    larder_close(cache);
}

static void
a_hung_redis_is_given_up_and_found_again(void **state)
{
    struct larder_options options = breaking_options(3);
    options.pool_min_idle = 4;
    struct larder *cache = open_with(&options);
    struct larder_stats stats;

    (void)state;
    do
        larder_stats(cache, &stats);
    while (stats.pool_idle < 4);
    redis_fixture_pause(&redis);
    int64_t before = clock_now_ms();
    for (int i = 0; i < 3; i++)
        assert_status(look_up(cache, 300), LARDER_TIMEOUT);
    assert_status(look_up(cache, 300), LARDER_UNAVAILABLE);
    /* Only the first has waited its whole time. */
    assert_in_range(clock_now_ms() - before, 290, 590);
    larder_stats(cache, &stats);
    assert_false(stats.available);
    assert_int_equal(stats.pool_idle, 0);
    pause_ms(400); /* it accepts connections; that is not enough */
    assert_false(is_available(cache));
    redis_fixture_resume(&redis);
    await(is_available(cache));
    assert_status(look_up(cache, 1000), LARDER_MISS);
    assert_int_equal(logged(), 2);
    larder_close(cache);
}

static void
error_replies_do_not_open_it(void **state)
{
    struct larder_options options = breaking_options(2);
    struct larder *cache = open_with(&options);
    int64_t value;

    (void)state;
    assert_ok(larder_set_raw(cache, "s", "x", 1, 0, NULL));
    for (int i = 0; i < 20; i++)
        assert_status(larder_increment(cache, "s", &value, NULL), LARDER_REFUSED);
    assert_true(is_available(cache));
    assert_int_equal(logged(), 0);
    larder_close(cache);
}

static void
no_time_left_does_not_open_it(void **state)
{
    struct larder_options options = breaking_options(2);
    struct larder *cache = open_with(&options);

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_status(look_up(cache, 0), LARDER_TIMEOUT);
    assert_true(is_available(cache));
    larder_close(cache);
}

static void
idle_connections_that_died_do_not_open_it(void **state)
{
    struct larder_options options = breaking_options(1);
    struct larder *cache = open_with(&options);
    char answer[16];

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_true(redis_fixture_command(&redis, "CLIENT KILL TYPE normal SKIPME yes", answer,
                                          sizeof answer));
        assert_status(look_up(cache, 1000), LARDER_MISS);
    }
    assert_int_equal(logged(), 0);
    larder_close(cache);
}

static void
speak_garbage(struct raw_conn *conn)
{
    char command[512];

    while (redis_hears(conn->fd, command, sizeof command) > 0)
        if (!raw_say(conn->fd, "HTTP/1.1 400 Bad Request\r\n\r\n"))
            return;
}

/* The beginning of a large answer, and then nothing for a long time. */
static void
answer_slowly(struct raw_conn *conn)
{
    char command[512];

    while (redis_hears(conn->fd, command, sizeof command) > 0)
        if (!raw_say(conn->fd, "$1000000\r\nxxxxxxxx"))
            return;
}

static void
an_answer_too_large_for_the_time_does_not_open_it(void **state)
{
    struct larder_options options = breaking_options(1);
    struct raw_server *server = raw_server_start(NULL, answer_slowly, NULL);

    (void)state;
    options.unix_path = NULL;
    options.port = raw_server_port(server);
    options.lazy = true;
    options.pool_min_idle = 0;
    struct larder *cache = open_with(&options);
    struct store_tags tags = {.count = 0};
    struct store_value value;
    for (int i = 0; i < 3; i++) {
        struct larder_error err;
        enum larder_status status =
            store_lookup(cache, "k", &tags, 2000000, clock_now_ms() + 30, &value, &err);
        if (status != LARDER_TIMEOUT)
            fail_msg("%s: %s", larder_status_name(status), err.message);
    }
    assert_true(is_available(cache));
    assert_int_equal(logged(), 0);
    larder_close(cache);
    raw_server_stop(server);
}

static void
garbage_opens_it_and_does_not_close_it(void **state)
{
    struct larder_options options = breaking_options(3);
    struct raw_server *server = raw_server_start(NULL, speak_garbage, NULL);

    (void)state;
    options.unix_path = NULL;
    options.port = raw_server_port(server);
    options.lazy = true;
    struct larder *cache = open_with(&options);
    for (int i = 0; i < 3; i++)
        assert_status(look_up(cache, 1000), LARDER_PROTOCOL);
    assert_false(is_available(cache));
    pause_ms(350);
    assert_true(raw_server_connections(server) > 3); /* it was probed */
    assert_false(is_available(cache));
    assert_int_equal(logged(), 1);
    larder_close(cache);
    raw_server_stop(server);
}

static void
a_redis_that_was_never_there_is_found_without_a_caller(void **state)
{
    struct larder_options options = breaking_options(3);
    options.lazy = true;
    options.pool_min_idle = 2;

    (void)state;
    redis_fixture_kill(&redis);
    struct larder *cache = open_with(&options);
    await(!is_available(cache)); /* the background thread has found out, and no caller has paid */
    assert_true(redis_fixture_restart(&redis));
    await(is_available(cache));
    larder_close(cache);
}

static void
closing_while_it_is_open_waits_for_nobody(void **state)
{
    struct larder_options options = breaking_options(1);
    struct larder *cache = open_with(&options);

    (void)state;
    redis_fixture_pause(&redis);
    assert_status(look_up(cache, 10), LARDER_TIMEOUT);
    pause_ms(150); /* the first probe is out */
    int64_t before = clock_now_ms();
    larder_close(cache);
    assert_in_range(clock_now_ms() - before, 0, 700);
    redis_fixture_resume(&redis);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_open_it_and_a_success_starts_over),
        cmocka_unit_test(without_a_limit_it_never_opens),
        cmocka_unit_test(of_many_who_fail_at_once_one_opens_it),
        cmocka_unit_test(a_killed_redis_is_not_asked_and_is_found_again),
        cmocka_unit_test(a_hung_redis_is_given_up_and_found_again),
        cmocka_unit_test(error_replies_do_not_open_it),
        cmocka_unit_test(no_time_left_does_not_open_it),
        cmocka_unit_test(idle_connections_that_died_do_not_open_it),
        cmocka_unit_test(an_answer_too_large_for_the_time_does_not_open_it),
        cmocka_unit_test(garbage_opens_it_and_does_not_close_it),
        cmocka_unit_test(a_redis_that_was_never_there_is_found_without_a_caller),
        cmocka_unit_test(closing_while_it_is_open_waits_for_nobody),
    };

    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
