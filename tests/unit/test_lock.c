/*
 * Locks: one holder at a time, and only the holder of the token lets go.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "client_fixture.h"

static void
a_lock_has_one_holder(void **state)
{
    struct larder *cache = open_redis();
    char mine[LARDER_TOKEN_SIZE], other[LARDER_TOKEN_SIZE];

    (void)state;
    assert_ok(larder_lock(cache, "l", 60000, mine, NULL));
    assert_int_equal(strlen(mine), 32);
    assert_status(larder_lock(cache, "l", 60000, other, NULL), LARDER_EXISTS);
    assert_string_not_equal(mine, other);
    assert_ok(larder_unlock(cache, "l", mine, NULL));
    assert_ok(larder_lock(cache, "l", 60000, other, NULL));
    larder_close(cache);
}

static void
only_the_token_unlocks_and_extends(void **state)
{
    struct larder *cache = open_redis();
    char mine[LARDER_TOKEN_SIZE];
    const char *other = "0123456789abcdef0123456789abcdef";
    int64_t ttl = 0;

    (void)state;
    assert_ok(larder_lock(cache, "l", 1000, mine, NULL));
    assert_status(larder_unlock(cache, "l", other, NULL), LARDER_EXISTS);
    assert_status(larder_lock_extend(cache, "l", other, 60000, NULL), LARDER_EXISTS);
    assert_ok(larder_ttl(cache, "l", &ttl, NULL));
    assert_in_range(ttl, 1, 1000);
    assert_ok(larder_lock_extend(cache, "l", mine, 60000, NULL));
    assert_ok(larder_ttl(cache, "l", &ttl, NULL));
    assert_in_range(ttl, 50000, 60000);
    assert_ok(larder_unlock(cache, "l", mine, NULL));
    assert_status(larder_unlock(cache, "l", mine, NULL), LARDER_MISS);
    assert_status(larder_lock_extend(cache, "l", mine, 60000, NULL), LARDER_MISS);
    redis_says("EXISTS t:l", ":0");
    larder_close(cache);
}

static void
a_lock_expires(void **state)
{
    struct larder *cache = open_redis();
    char mine[LARDER_TOKEN_SIZE], other[LARDER_TOKEN_SIZE];

    (void)state;
    assert_ok(larder_lock(cache, "l", 20, mine, NULL));
    await(larder_lock(cache, "l", 60000, other, NULL) == LARDER_OK);
    assert_status(larder_unlock(cache, "l", mine, NULL), LARDER_EXISTS);
    larder_close(cache);
}

static void
arguments_that_cannot_be_are_refused(void **state)
{
    struct larder *cache = open_redis();
    struct larder *off = open_disabled();
    char mine[LARDER_TOKEN_SIZE];

    (void)state;
    assert_status(larder_lock(cache, "l", 0, mine, NULL), LARDER_INVALID);
    assert_status(larder_unlock(cache, "l", "short", NULL), LARDER_INVALID);
    assert_status(larder_lock(off, "l", 10, mine, NULL), LARDER_DISABLED);
    assert_status(larder_unlock(off, "l", mine, NULL), LARDER_DISABLED);
    assert_status(larder_lock_extend(off, "l", mine, 1, NULL), LARDER_DISABLED);
    larder_close(cache);
    larder_close(off);
}

struct contest {
    struct larder *cache;
    atomic_int inside;
    atomic_int won;
};

static void *
contend(void *arg)
{
    struct contest *contest = arg;
    char token[LARDER_TOKEN_SIZE];

    for (int i = 0; i < 20;) {
        if (larder_lock(contest->cache, "l", 60000, token, NULL) != LARDER_OK)
            continue;
        if (atomic_fetch_add(&contest->inside, 1) == 0)
            atomic_fetch_add(&contest->won, 1);
        atomic_fetch_sub(&contest->inside, 1);
        if (larder_unlock(contest->cache, "l", token, NULL) != LARDER_OK)
            atomic_fetch_sub(&contest->won, 1000);
        i++;
    }
    return NULL;
}

static void
no_two_threads_hold_it_at_once(void **state)
{
    struct contest contest = {.cache = open_redis()};
    pthread_t threads[8];

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &contest), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(contest.won, 160);
    larder_close(contest.cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_lock_has_one_holder, empty_redis),
        cmocka_unit_test_setup(only_the_token_unlocks_and_extends, empty_redis),
        cmocka_unit_test_setup(a_lock_expires, empty_redis),
        cmocka_unit_test_setup(arguments_that_cannot_be_are_refused, empty_redis),
        cmocka_unit_test_setup(no_two_threads_hold_it_at_once, empty_redis),
    };

    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
