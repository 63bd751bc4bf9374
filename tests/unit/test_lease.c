/* Leases: that one has it at a time, for as long as he says and no longer than he lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "client/store.h"
#include "client_fixture.h"

static void
a_lease_has_one_holder_who_alone_gives_it_back(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    store_token mine, other;
    int64_t left_ms = -1;
    assert_ok(store_lease_take(cache, "k", 10000, soon(), mine, &left_ms, NULL));
    assert_int_equal(left_ms, 0);
    assert_int_equal(strlen(mine), STORE_TOKEN_LEN);
    assert_status(store_lease_take(cache, "k", 10000, soon(), other, &left_ms, NULL), LARDER_MISS);
    assert_in_range(left_ms, 9000, 10000);
    assert_ok(store_lease_end(cache, "k", "0000000000000000", 'S', soon(), NULL));
    assert_status(store_lease_take(cache, "k", 10000, soon(), other, &left_ms, NULL), LARDER_MISS);
    assert_ok(store_lease_end(cache, "k", mine, 'S', soon(), NULL));
    assert_ok(store_lease_take(cache, "k", 10000, soon(), other, &left_ms, NULL));
    assert_string_not_equal(mine, other);
    char answer[64];
    assert_true(redis_fixture_command(&redis, "PTTL t:lease:k", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 1, 10000);
    larder_close(cache);
}

static void
a_lease_ends_with_its_life_unless_it_is_extended(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    store_token mine, other;
    int64_t left_ms = 0;
    assert_ok(store_lease_take(cache, "k", 50, soon(), mine, &left_ms, NULL));
    assert_ok(store_lease_extend(cache, "k", mine, 10000, soon(), NULL));
    pause_ms(80);
    assert_status(store_lease_take(cache, "k", 50, soon(), other, &left_ms, NULL), LARDER_MISS);
    assert_in_range(left_ms, 5000, 10000);
    assert_ok(store_lease_extend(cache, "k", mine, 20, soon(), NULL));
    await(store_lease_take(cache, "k", 10000, soon(), other, &left_ms, NULL) == LARDER_OK);
    /* Who has overslept does not prolong his successor's. */
    assert_status(store_lease_extend(cache, "k", mine, 1, soon(), NULL), LARDER_MISS);
    assert_status(store_lease_take(cache, "k", 50, soon(), mine, &left_ms, NULL), LARDER_MISS);
    larder_close(cache);
}

static void
a_full_redis_gives_no_lease_and_takes_one_back(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct larder_error err = {.message = ""};
    store_token mine;
    int64_t left_ms = 0;
    assert_ok(store_lease_take(cache, "k", 10000, soon(), mine, &left_ms, NULL));
    redis_says("CONFIG SET maxmemory 1", "+OK");
    assert_status(store_lease_take(cache, "other", 50, soon(), mine, &left_ms, &err),
                  LARDER_REFUSED);
    assert_non_null(strstr(err.message, "SET NX (lease): OOM"));
    assert_ok(store_lease_end(cache, "k", mine, 'N', soon(), NULL));
    redis_says("CONFIG SET maxmemory 0", "+OK");
    larder_close(cache);
}

static void
what_cannot_be_a_lease_is_refused(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct larder *off = open_disabled();
    store_token token;
    int64_t left_ms = 0;
    assert_status(store_lease_take(cache, "", 10, soon(), token, &left_ms, NULL), LARDER_INVALID);
    assert_status(store_lease_take(cache, "k", 0, soon(), token, &left_ms, NULL), LARDER_INVALID);
    assert_status(store_lease_extend(cache, "k", token, 0, soon(), NULL), LARDER_INVALID);
    assert_status(store_lease_end(cache, "", token, 'S', soon(), NULL), LARDER_INVALID);
    assert_status(store_lease_take(off, "k", 10, soon(), token, &left_ms, NULL), LARDER_DISABLED);
    assert_status(store_lease_extend(off, "k", token, 10, soon(), NULL), LARDER_DISABLED);
    assert_status(store_lease_end(off, "k", token, 'S', soon(), NULL), LARDER_DISABLED);
    larder_close(cache);
    larder_close(off);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        TEST(a_lease_has_one_holder_who_alone_gives_it_back),
        TEST(a_lease_ends_with_its_life_unless_it_is_extended),
        TEST(a_full_redis_gives_no_lease_and_takes_one_back),
        TEST(what_cannot_be_a_lease_is_refused),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
