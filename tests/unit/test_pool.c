/*
 * The pool: who gets which connection, when one is closed, who waits and for
 * how long, and what the background thread sees to.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/store.h"
#include "client_fixture.h"
#include "raw_server.h"

static struct larder_stats
stats_of(const struct larder *cache)
{
    struct larder_stats stats;

    larder_stats(cache, &stats);
    return stats;
}

/* All but the one that says so. */
static void
kill_connections(void)
{
    char answer[64];

    assert_true(
        redis_fixture_command(&redis, "CLIENT KILL TYPE normal SKIPME yes", answer, sizeof answer));
    assert_int_equal(answer[0], ':');
}

static void
one_caller_needs_one_connection(void **state)
{
    struct larder *cache = open_redis(); /* a PING: dialled */

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_ok(larder_set(cache, "k", NULL, 0, NULL));
    struct larder_stats stats = stats_of(cache);
    assert_int_equal(stats.pool_misses, 1);
    assert_int_equal(stats.pool_hits, 100);
    assert_int_equal(stats.pool_total, 1);
    assert_int_equal(stats.pool_idle, 1);
    assert_int_equal(stats.pool_stale, 0);
    larder_close(cache);
}

static void
the_minimum_is_kept_ready_without_a_caller(void **state)
{
    struct larder_options options = redis_options();
    options.pool_min_idle = 5;
    options.lazy = true;
    struct larder *cache = open_with(&options);

    (void)state;
    await(stats_of(cache).pool_idle == 5);
    assert_ok(larder_set(cache, "k", NULL, 0, NULL));
    assert_int_equal(stats_of(cache).pool_misses, 0);
    kill_connections();
    /* at most three dead ones are looked at; what they leave is filled up */
    assert_ok(larder_set(cache, "k", NULL, 0, NULL));
    assert_in_range(stats_of(cache).pool_stale, 1, 3);
    await(stats_of(cache).pool_idle >= 5);
    larder_close(cache);
}

struct crowd {
    struct larder *cache;
    pthread_barrier_t start;
    atomic_int next;
    atomic_int wrong;
    atomic_uint most;
    int rounds;
};

static void *
crowd_member(void *arg)
{
    struct crowd *crowd = arg;
    int id = atomic_fetch_add(&crowd->next, 1);
    char key[32], text[32];

    pthread_barrier_wait(&crowd->start);
    snprintf(key, sizeof key, "k%d", id);
    for (int i = 0; i < crowd->rounds; i++) {
        struct store_tags none = {.count = 0};
        struct store_value value;
        void *data = NULL;
        size_t len = 0;
        int n = snprintf(text, sizeof text, "%d-%d", id, i);
        if (larder_set_raw(crowd->cache, key, text, (size_t)n, 0, NULL) != LARDER_OK ||
            larder_get_raw(crowd->cache, key, &data, &len, NULL) != LARDER_OK || len != (size_t)n ||
            memcmp(data, text, len) != 0)
            atomic_fetch_add(&crowd->wrong, 1);
        free(data);
        if (store_lookup(crowd->cache, key, &none, 100, clock_now_ms() + 5000, &value, NULL) !=
                LARDER_OK ||
            value.len != (size_t)n || memcmp(value.data, text, value.len) != 0)
            atomic_fetch_add(&crowd->wrong, 1);
        free(value.data);
        unsigned total = stats_of(crowd->cache).pool_total;
        if (total > atomic_load(&crowd->most))
            atomic_store(&crowd->most, total);
    }
    return NULL;
}

static void
run_crowd(struct crowd *crowd, int n)
{
    pthread_t threads[64];

    assert_true(n <= 64);
    pthread_barrier_init(&crowd->start, NULL, (unsigned)n);
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, crowd), 0);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&crowd->start);
}

static void
sixty_four_threads_share_twenty_five_connections(void **state)
{
    struct larder_options options = redis_options();
    options.pool_min_idle = 5;
    struct crowd crowd = {.cache = open_with(&options), .rounds = 50};

    (void)state;
    run_crowd(&crowd, 64);
    struct larder_stats stats = stats_of(crowd.cache);
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.most <= 25);
    assert_int_equal(stats.errors, 0);
    assert_int_equal(stats.pool_timeouts, 0);
    assert_int_equal(stats.pool_hits + stats.pool_misses, 64 * 50 * 3 + 1);
    await(stats_of(crowd.cache).pool_total == stats_of(crowd.cache).pool_idle);
    assert_in_range(stats_of(crowd.cache).pool_idle, 5, 25);
    /* Nothing is closed to be dialled again: no more dials than there may be connections. */
    assert_in_range(stats.pool_misses, 1, 25);
    larder_close(crowd.cache);
}

static void
no_more_than_the_maximum_stays_idle(void **state)
{
    struct larder_options options = redis_options();
    options.pool_max_idle = 2;
    struct crowd crowd = {.cache = open_with(&options), .rounds = 20};

    (void)state;
    run_crowd(&crowd, 16);
    assert_int_equal(crowd.wrong, 0);
    assert_true(stats_of(crowd.cache).pool_idle <= 2);
    assert_int_equal(stats_of(crowd.cache).pool_total, stats_of(crowd.cache).pool_idle);
    larder_close(crowd.cache);
}

static void
an_idle_connection_is_closed_in_time(void **state)
{
    struct larder_options options = redis_options();

    (void)state;
    for (int i = 0; i < 2; i++) {
        options.conn_max_idle_ms = i == 0 ? 50 : 0;
        options.conn_max_lifetime_ms = i == 0 ? 0 : 50;
        options.pool_min_idle = 1; /* what is closed is replaced, in the background */
        struct larder *cache = open_with(&options);
        await(stats_of(cache).pool_stale >= 2);
        await(stats_of(cache).pool_idle == 1);
        larder_close(cache);
    }
}

static void
an_old_connection_is_not_handed_out(void **state)
{
    struct larder_options options = redis_options();
    options.conn_max_lifetime_ms = 30;
    struct larder *cache = open_with(&options);

    (void)state;
    pause_ms(40);
    assert_ok(larder_set(cache, "k", NULL, 0, NULL));
    assert_int_equal(stats_of(cache).pool_hits, 0);
    assert_int_equal(stats_of(cache).pool_stale, 1);
    larder_close(cache);
}

static void
a_dead_connection_is_found_before_it_is_used(void **state)
{
    struct larder_options options = redis_options();
    options.max_retries = 0;
    struct larder *cache = open_with(&options);

    (void)state;
    kill_connections();
    int64_t value = 0;
    assert_ok(larder_increment(cache, "n", &value, NULL));
    assert_int_equal(value, 1);
    assert_int_equal(stats_of(cache).pool_stale, 1);
    larder_close(cache);
}

/* ----------------------------------------------------------------- waiting */

static void
answer_slowly(struct raw_conn *conn)
{
    const int *delay_ms = conn->arg;
    char command[4096];

    while (redis_hears(conn->fd, command, sizeof command) > 0) {
        pause_ms(*delay_ms);
        if (!raw_say(conn->fd, "$1\r\n1\r\n"))
            return;
    }
}

static struct larder *
open_slow(struct raw_server **server, int *delay_ms, int64_t pool_timeout_ms)
{
    struct larder_options options;

    *server = raw_server_start(NULL, answer_slowly, delay_ms);
    larder_options_init(&options);
    options.port = raw_server_port(*server);
    options.lazy = true;
    options.pool_max = 1;
    options.pool_min_idle = 0;
    options.max_retries = 0;
    options.pool_timeout_ms = pool_timeout_ms;
    return open_with(&options);
}

struct turn {
    struct larder *cache;
    enum larder_status status;
    int place;
    atomic_int *finished;
};

static void *
take_turn(void *arg)
{
    struct turn *turn = arg;
    json_object *value = NULL;

    turn->status = larder_get(turn->cache, "k", &value, NULL);
    turn->place = atomic_fetch_add(turn->finished, 1);
    json_object_put(value);
    return NULL;
}

static void
who_waits_longest_is_served_first(void **state)
{
    enum { N = 5 };
    struct raw_server *server;
    struct larder *cache = open_slow(&server, &(int){60}, -1);
    struct turn turns[N];
    pthread_t threads[N];
    atomic_int finished = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        turns[i] = (struct turn){.cache = cache, .finished = &finished};
        assert_int_equal(pthread_create(&threads[i], NULL, take_turn, &turns[i]), 0);
        pause_ms(40);
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++) {
        assert_ok(turns[i].status);
        assert_int_equal(turns[i].place, i);
    }
    assert_int_equal(raw_server_connections(server), 1);
    larder_close(cache);
    raw_server_stop(server);
}

static void
waiting_for_a_connection_has_an_end(void **state)
{
    struct raw_server *server;
    struct larder *cache = open_slow(&server, &(int){1000}, 20);
    atomic_int finished = 0;
    struct turn first = {.cache = cache, .finished = &finished};
    struct store_tags none = {.count = 0};
    struct store_value value;
    struct larder_error err;
    json_object *json = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, take_turn, &first), 0);
    await(stats_of(cache).pool_total == 1);
    int64_t before = clock_now_ms();
    assert_status(larder_get(cache, "k", &json, &err), LARDER_TIMEOUT);
    assert_in_range(clock_now_ms() - before, 19, 500);
    assert_non_null(strstr(err.message, "all 1 connections are in use"));
    before = clock_now_ms();
    assert_status(store_lookup(cache, "k", &none, 9, before + 5, &value, &err), LARDER_TIMEOUT);
    assert_in_range(clock_now_ms() - before, 4, 400);
    pthread_join(thread, NULL);
    assert_ok(first.status);
    assert_int_equal(stats_of(cache).pool_timeouts, 2);
    larder_close(cache);
    raw_server_stop(server);
}

/* ------------------------------------------------------------- the beginning and the end */

static void
say_nothing(struct raw_conn *conn)
{
    raw_drain(conn->fd);
}

static void
closing_waits_for_nobody(void **state)
{
    struct raw_server *server = raw_server_start(NULL, say_nothing, NULL);
    struct larder_options options;

    (void)state;
    larder_options_init(&options);
    options.port = raw_server_port(server);
    options.lazy = true;
    options.password = "never answered";
    struct larder *cache = open_with(&options);
    await(raw_server_connections(server) > 0); /* the background thread is in AUTH */
    int64_t before = clock_now_ms();
    larder_close(cache);
    assert_in_range(clock_now_ms() - before, 0, 1500);
    raw_server_stop(server);
}

static void
a_name_that_is_not_found_costs_no_more_than_the_budget(void **state)
{
    struct larder_options options;
    json_object *value = NULL;
    struct larder_error err;

    (void)state;
    larder_options_init(&options);
    options.host = "no-such-host.invalid";
    options.lazy = true;
    options.operation_timeout_ms = 200;
    struct larder *cache = open_with(&options);
    int64_t before = clock_now_ms();
    enum larder_status status = larder_get(cache, "k", &value, &err);
    assert_true(status == LARDER_UNAVAILABLE || status == LARDER_TIMEOUT);
    assert_non_null(strstr(err.message, "no-such-host.invalid"));
    assert_in_range(clock_now_ms() - before, 0, 1500);
    before = clock_now_ms();
    larder_close(cache);
    assert_in_range(clock_now_ms() - before, 0, 1500);
}

static void
a_name_is_resolved(void **state)
{
    struct redis_fixture tcp;
    struct larder_options options;

    (void)state;
    assert_true(redis_fixture_start_tcp(&tcp, NULL));
    larder_options_init(&options);
    options.host = "localhost";
    options.port = tcp.port;
    struct larder *cache = open_with(&options);
    assert_ok(larder_set(cache, "k", NULL, 0, NULL));
    larder_close(cache);
    redis_fixture_stop(&tcp);
}

static void
no_descriptor_survives_exec(void **state)
{
    struct larder_options options = redis_options();
    options.pool_min_idle = 3;
    bool before[256], found = false;

    (void)state;
    for (int fd = 0; fd < 256; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    struct larder *cache = open_with(&options);
    await(stats_of(cache).pool_idle == 3);
    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (before[fd] || flags < 0)
            continue;
        found = true;
        assert_true(flags & FD_CLOEXEC);
    }
    assert_true(found);
    larder_close(cache);
}

static void
opening_and_closing_leaves_nothing(void **state)
{
    struct larder_options options = redis_options();
    options.pool_min_idle = 5;
    int before = dup(0);

    (void)state;
    for (int i = 0; i < 50; i++)
        larder_close(open_with(&options));
    int after = dup(0);
    assert_int_equal(after, before + 1);
    close(before);
    close(after);
    larder_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_caller_needs_one_connection),
        cmocka_unit_test(the_minimum_is_kept_ready_without_a_caller),
        cmocka_unit_test(sixty_four_threads_share_twenty_five_connections),
        cmocka_unit_test(no_more_than_the_maximum_stays_idle),
        cmocka_unit_test(an_idle_connection_is_closed_in_time),
        cmocka_unit_test(an_old_connection_is_not_handed_out),
        cmocka_unit_test_setup(a_dead_connection_is_found_before_it_is_used, empty_redis),
        cmocka_unit_test(who_waits_longest_is_served_first),
        cmocka_unit_test(waiting_for_a_connection_has_an_end),
        cmocka_unit_test(closing_waits_for_nobody),
        cmocka_unit_test(a_name_that_is_not_found_costs_no_more_than_the_budget),
        cmocka_unit_test(a_name_is_resolved),
        cmocka_unit_test(no_descriptor_survives_exec),
        cmocka_unit_test(opening_and_closing_leaves_nothing),
    };

    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
