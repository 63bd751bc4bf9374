/* Variants: how many there are, which one goes, and what a peek tells; against a real Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "client_fixture.h"
#include "base/clock.h"
#include "client/store.h"

static const char *
variant(int i)
{
    static char key[8][128];
    char *out = key[i % 8];
    snprintf(out, sizeof key[0], "response:%064d", i);
    return out;
}

static void
put_variant(struct larder *cache, int i, int64_t at_ms, size_t max)
{
    struct iovec piece = {(void *)"body", 4};
    assert_ok(store_variant_put(cache, "response:p", variant(i), &piece, 1, 60000, NULL, at_ms, max,
                                soon(), NULL));
}

static bool
is_stored(const char *key)
{
    char command[200], answer[64];
    snprintf(command, sizeof command, "EXISTS t:%s", key);
    assert_true(redis_fixture_command(&redis, command, answer, sizeof answer));
    return strncmp(answer, ":1", 2) == 0;
}

static void
the_variant_used_longest_ago_goes(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    for (int i = 1; i <= 3; i++)
        put_variant(cache, i, 1000 * i, 3);
    assert_ok(store_variant_touch(cache, "response:p", variant(1), 9000, soon(), NULL));
    put_variant(cache, 4, 10000, 3);
    assert_true(is_stored(variant(1)));
    assert_false(is_stored(variant(2)));
    assert_true(is_stored(variant(3)));
    assert_true(is_stored(variant(4)));
    redis_says("ZCARD t:response:p:variants", ":3");
    larder_close(cache);
}

static void
one_that_is_not_counted_is_not_touched(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    assert_ok(store_variant_touch(cache, "response:q", variant(1), 9000, soon(), NULL));
    redis_says("EXISTS t:response:q:variants", ":0");
    larder_close(cache);
}

static void
what_others_put_into_the_set_is_not_unlinked_blindly(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    redis_says("SET t:precious 1", "+OK");
    redis_says("ZADD t:response:p:variants 1 precious", ":1");
    for (int i = 1; i <= 2; i++)
        put_variant(cache, i, 1000 * i, 2);
    redis_says("EXISTS t:precious", ":1");
    redis_says("ZCARD t:response:p:variants", ":2");
    larder_close(cache);
}

static void
a_set_of_another_type_is_an_error_and_nothing_is_stored(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct larder_error err = {.message = ""};
    struct iovec piece = {(void *)"body", 4};
    redis_says("SET t:response:p:variants x", "+OK");
    assert_status(store_variant_put(cache, "response:p", variant(1), &piece, 1, 60000, NULL, 1, 2,
                                    soon(), &err),
                  LARDER_REFUSED);
    assert_non_null(strstr(err.message, "WRONGTYPE"));
    assert_false(is_stored(variant(1)));
    larder_close(cache);
}

static void
the_set_lives_as_long_as_its_longest_variant(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct iovec piece = {(void *)"body", 4};
    char answer[64];
    assert_ok(store_variant_put(cache, "response:p", variant(1), &piece, 1, 90000, NULL, 1, 9,
                                soon(), NULL));
    assert_ok(store_variant_put(cache, "response:p", variant(2), &piece, 1, 1000, NULL, 2, 9,
                                soon(), NULL));
    assert_true(redis_fixture_command(&redis, "PTTL t:response:p:variants", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 60000, 90000);
    larder_close(cache);
}

static void
all_variants_are_dropped_and_nothing_else(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct iovec piece = {(void *)"body", 4};
    assert_ok(store_variants_drop(cache, "response:p", soon(), NULL));
    for (int i = 1; i <= 3; i++)
        assert_ok(store_variant_put(cache, "response:p", variant(i), &piece, 1, 90000, NULL, i, 9,
                                    soon(), NULL));
    redis_says("SET t:response:p marker", "+OK");
    redis_says("SET t:mine value", "+OK");
    redis_says("ZADD t:response:p:variants 4 mine", ":1");
    assert_ok(store_variants_drop(cache, "response:p", soon(), NULL));
    redis_says("EXISTS t:response:p", ":1");
    redis_says("EXISTS t:mine", ":1");
    redis_says("DBSIZE", ":3");
    larder_close(cache);
}

static void
a_peek_tells_value_and_life_and_is_bounded(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_value value;
    int64_t ttl_ms = 0;
    assert_status(store_peek(cache, "none", 10, soon(), &value, &ttl_ms, NULL), LARDER_MISS);
    redis_says("SET t:some hello PX 50000", "+OK");
    assert_ok(store_peek(cache, "some", 10, soon(), &value, &ttl_ms, NULL));
    assert_int_equal(value.len, 5);
    assert_memory_equal(value.data, "hello", 5);
    assert_in_range(ttl_ms, 1, 50000);
    free(value.data);
    assert_status(store_peek(cache, "some", 4, soon(), &value, &ttl_ms, NULL), LARDER_CORRUPT);
    assert_null(value.data);
    assert_ok(store_drop(cache, "some", NULL, soon(), NULL));
    redis_says("EXISTS t:some", ":0");
    larder_close(cache);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        TEST(the_variant_used_longest_ago_goes),
        TEST(one_that_is_not_counted_is_not_touched),
        TEST(what_others_put_into_the_set_is_not_unlinked_blindly),
        TEST(a_set_of_another_type_is_an_error_and_nothing_is_stored),
        TEST(the_set_lives_as_long_as_its_longest_variant),
        TEST(all_variants_are_dropped_and_nothing_else),
        TEST(a_peek_tells_value_and_life_and_is_bounded),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
