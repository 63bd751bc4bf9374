/* Variants: how many there are, which has a place, and what a peek tells; against a real Redis. */
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
#include "client/client.h"
#include "client/store.h"

static const char *
variant(int i)
{
    static char key[8][128];
    char *out = key[i % 8];
    snprintf(out, sizeof key[0], "response:%064d", i);
    return out;
}

/* As the storer does it. */
static bool
put_variant(struct larder *cache, int i, int64_t at_ms, size_t max)
{
    struct iovec piece = {(void *)"body", 4};
    bool admitted = false;
    assert_ok(store_variant_admit(cache, "response:p", variant(i), 60000, at_ms, max, soon(),
                                  &admitted, NULL));
    if (admitted)
        assert_ok(store_put(cache, variant(i), &piece, 1, 60000, NULL, soon(), NULL));
    return admitted;
}

static void
use_variant(struct larder *cache, int i, int64_t at_ms)
{
    assert_ok(store_variant_touch(cache, "response:p", variant(i), at_ms, 3, soon(), NULL));
}

static bool
is_stored(const char *key)
{
    char command[200], answer[64];
    snprintf(command, sizeof command, "EXISTS t:%s", key);
    assert_true(redis_fixture_command(&redis, command, answer, sizeof answer));
    return strncmp(answer, ":1", 2) == 0;
}

#define NEW STORE_VARIANT_NEW_MS
#define USED STORE_VARIANT_USED_MS
#define START ((int64_t)1000000000)

static void
a_newcomer_takes_the_place_of_the_oldest_newcomer(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    for (int i = 1; i <= 3; i++)
        assert_true(put_variant(cache, i, START + i, 3));
    assert_false(put_variant(cache, 4, START + NEW, 3)); /* they have only just come */
    assert_false(is_stored(variant(4)));
    assert_true(put_variant(cache, 4, START + 1 + NEW, 3));
    assert_false(is_stored(variant(1)));
    for (int i = 2; i <= 4; i++)
        assert_true(is_stored(variant(i)));
    redis_says("ZCARD t:response:p:variants", ":3");
    larder_close(cache);
}

static void
newcomers_do_not_displace_what_is_in_use(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    int64_t at_ms = START;
    assert_true(put_variant(cache, 1, at_ms, 3));
    use_variant(cache, 1, at_ms);
    for (int i = 2; i < 100; i++) {
        at_ms += NEW;
        assert_true(put_variant(cache, i, at_ms, 3));
    }
    assert_true(is_stored(variant(1)));
    redis_says("ZCARD t:response:p:variants", ":3");
    larder_close(cache);
}

static void
one_that_is_stored_again_is_in_use(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    assert_true(put_variant(cache, 1, START, 2));
    assert_ok(store_drop(cache, variant(1), NULL, soon(), NULL)); /* its time is over */
    assert_true(put_variant(cache, 1, START + 10 * NEW, 2));
    for (int i = 2; i < 20; i++)
        assert_true(put_variant(cache, i, START + (10 + i) * NEW, 2));
    assert_true(is_stored(variant(1)));
    larder_close(cache);
}

static void
where_all_are_in_use_a_newcomer_has_no_place(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    for (int i = 1; i <= 3; i++) {
        assert_true(put_variant(cache, i, START, 3));
        use_variant(cache, i, START + i);
    }
    assert_false(put_variant(cache, 4, START + USED, 3));
    assert_true(put_variant(cache, 1, START + USED, 3)); /* it has its place */
    assert_true(put_variant(cache, 4, START + USED + 2, 3));
    assert_true(is_stored(variant(1)));
    assert_false(is_stored(variant(2))); /* used longest ago */
    assert_true(is_stored(variant(3)));
    redis_says("ZCARD t:response:p:variants", ":3");
    larder_close(cache);
}

static void
to_ask_changes_nothing(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    bool has_place = false;
    const struct {
        int variant;
        int64_t at_ms;
        size_t max;
        bool expected;
    } asked[] = {{1, START, 2, true},        {3, START, 2, false}, {3, START + NEW, 2, true},
                 {3, START + NEW, 1, false}, {3, START, 3, true},  {1, START, 1, true}};
    for (int i = 1; i <= 2; i++)
        assert_true(put_variant(cache, i, START, 2));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        assert_ok(store_variant_admit(cache, "response:p", variant(asked[i].variant), 0,
                                      asked[i].at_ms, asked[i].max, soon(), &has_place, NULL));
        assert_int_equal(has_place, asked[i].expected);
    }
    redis_says("ZCARD t:response:p:variants", ":2");
    for (int i = 1; i <= 2; i++)
        assert_true(is_stored(variant(i)));
    larder_close(cache);
}

static void
a_bound_that_is_lowered_holds_for_what_is_in_use_too(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    for (int i = 1; i <= 7; i++) {
        assert_true(put_variant(cache, i, START, 7));
        use_variant(cache, i, START + i);
    }
    assert_false(put_variant(cache, 8, START + 10, 3));
    redis_says("ZCARD t:response:p:variants", ":3");
    for (int i = 1; i <= 7; i++)
        assert_int_equal(is_stored(variant(i)), i > 4);
    larder_close(cache);
}

static void
a_place_does_not_last_because_the_clock_was_wrong(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    for (int i = 1; i <= 2; i++) {
        assert_true(put_variant(cache, i, START + 100 * USED, 2));
        use_variant(cache, i, START + 100 * USED);
    }
    assert_true(put_variant(cache, 3, START, 2));
    redis_says("ZCARD t:response:p:variants", ":2");
    larder_close(cache);
}

static void
one_that_is_not_counted_is_not_touched(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    assert_ok(store_variant_touch(cache, "response:q", variant(1), 9000, 3, soon(), NULL));
    redis_says("EXISTS t:response:q:variants", ":0");
    larder_close(cache);
}

/* Redis has evicted the set. */
static void
one_that_the_set_has_lost_gets_its_place_back_or_goes(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    char answer[64];
    for (int i = 1; i <= 3; i++)
        assert_true(put_variant(cache, i, START, 3));
    redis_says("DEL t:response:p:variants", ":1");
    for (int i = 4; i <= 5; i++)
        assert_true(put_variant(cache, i, START, 3));
    use_variant(cache, 1, START);
    redis_says("ZCARD t:response:p:variants", ":3");
    use_variant(cache, 2, START); /* the others are new */
    assert_false(is_stored(variant(2)));
    use_variant(cache, 3, START + NEW);
    assert_true(is_stored(variant(3)));
    redis_says("ZCARD t:response:p:variants", ":3");
    assert_true(put_variant(cache, 6, START + NEW, 3));
    assert_true(put_variant(cache, 7, START + NEW + NEW, 3));
    assert_true(is_stored(variant(1)) && is_stored(variant(3)));
    assert_true(redis_fixture_command(&redis, "PTTL t:response:p:variants", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), USED, 60000 + USED);
    assert_ok(store_variants_drop(cache, "response:p", soon(), NULL));
    assert_false(is_stored(variant(1)) || is_stored(variant(3)));
    larder_close(cache);
}

/* As Redis 3, which has no UNLINK. */
static void
without_unlink_they_are_deleted(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    redis_says("ACL SETUSER default -unlink", "+OK");
    assert_true(put_variant(cache, 1, START, 1));
    assert_true(put_variant(cache, 2, START + NEW, 1));
    assert_false(is_stored(variant(1)));
    redis_says("ACL SETUSER default +unlink", "+OK");
    atomic_store(&cache->no_unlink, true);
    assert_ok(store_variants_drop(cache, "response:p", soon(), NULL));
    assert_false(is_stored(variant(2)));
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
        assert_true(put_variant(cache, i, START, 2));
    redis_says("EXISTS t:precious", ":1");
    redis_says("ZCARD t:response:p:variants", ":2");
    larder_close(cache);
}

static void
a_set_of_another_type_is_an_error_and_nothing_has_a_place(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct larder_error err = {.message = ""};
    bool admitted = true;
    redis_says("SET t:response:p:variants x", "+OK");
    assert_status(
        store_variant_admit(cache, "response:p", variant(1), 60000, 1, 2, soon(), &admitted, &err),
        LARDER_REFUSED);
    assert_non_null(strstr(err.message, "WRONGTYPE"));
    assert_false(admitted);
    larder_close(cache);
}

static void
the_set_outlives_its_longest_variant(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    bool admitted;
    char answer[64];
    assert_ok(
        store_variant_admit(cache, "response:p", variant(1), 90000, 1, 9, soon(), &admitted, NULL));
    assert_ok(
        store_variant_admit(cache, "response:p", variant(2), 1000, 2, 9, soon(), &admitted, NULL));
    assert_true(redis_fixture_command(&redis, "PTTL t:response:p:variants", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 60000 + USED, 90000 + USED);
    larder_close(cache);
}

static void
all_variants_are_dropped_and_nothing_else(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    assert_ok(store_variants_drop(cache, "response:p", soon(), NULL));
    for (int i = 1; i <= 3; i++)
        assert_true(put_variant(cache, i, i, 9));
    redis_says("SET t:response:p marker", "+OK");
    redis_says("SET t:mine value", "+OK");
    redis_says("ZADD t:response:p:variants 4 mine", ":1");
    assert_ok(store_variants_drop(cache, "response:p", soon(), NULL));
    redis_says("EXISTS t:response:p", ":1");
    redis_says("EXISTS t:mine", ":1");
    redis_says("DBSIZE", ":3");
    larder_close(cache);
}

/* Ms that a variant still has; negative: it is not there. */
static long
left_ms(const char *key)
{
    char command[200], answer[64];
    snprintf(command, sizeof command, "PTTL t:%s", key);
    assert_true(redis_fixture_command(&redis, command, answer, sizeof answer));
    return strtol(answer + 1, NULL, 10);
}

static void
variants_end_with_their_freshness(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    /* At byte 4: when it came, and for how long it is fresh. */
    static const char came[4 + 8] = {'h', 'e', 'a', 'd', [10] = 0x40};
    static const char times[][8] = {{[6] = 0x27, 0x10},       /* 10,000 */
                                    {[6] = 0x03, (char)0xe8}, /* 1,000 */
                                    {(char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff,
                                     (char)0xff, (char)0xff, (char)0x9c}}; /* -100 */
    static const int64_t came_ms = 0x4000;
    for (int i = 0; i < 4; i++) {
        assert_true(put_variant(cache, i, i, 9)); /* the last one is too short to have times */
        struct iovec pieces[] = {{(void *)came, sizeof came}, {(void *)times[i], 8}};
        if (i < 3)
            assert_ok(store_put(cache, variant(i), pieces, 2, 60000, NULL, soon(), NULL));
    }
    redis_says("SET t:response:p marker", "+OK");
    redis_says("SET t:mine value", "+OK");
    redis_says("ZADD t:response:p:variants 4 mine", ":1");
    assert_ok(store_variants_age(cache, "response:p", 4, came_ms + 1000, soon(), NULL));
    assert_in_range(left_ms(variant(0)), 5000, 9000);
    for (int i = 1; i < 4; i++)
        assert_false(is_stored(variant(i)));
    redis_says("EXISTS t:response:p", ":1");
    redis_says("EXISTS t:mine", ":1");
    /* Of the future: as long as if it had come now. */
    struct iovec fresh[] = {{(void *)came, sizeof came}, {(void *)times[0], 8}};
    assert_ok(store_put(cache, variant(0), fresh, 2, 60000, NULL, soon(), NULL));
    assert_ok(store_variants_age(cache, "response:p", 4, 0, soon(), NULL));
    assert_in_range(left_ms(variant(0)), 5000, 10000);
    larder_close(cache);
}

static void
what_has_no_variants_ends_with_its_freshness(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    static const char page[4 + 8 + 8] = {'h', 'e', 'a', 'd', [10] = 0x40, [18] = 0x27, 0x10};
    struct iovec pieces[] = {{(void *)page, sizeof page}};
    assert_ok(store_put(cache, variant(0), pieces, 1, 60000, NULL, soon(), NULL));
    assert_ok(store_variants_age(cache, variant(0), 4, 0x4000 + 1000, soon(), NULL));
    assert_in_range(left_ms(variant(0)), 5000, 9000);
    assert_ok(store_variants_age(cache, variant(0), 4, 0x4000 + 10000, soon(), NULL));
    assert_false(is_stored(variant(0)));
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
        TEST(a_newcomer_takes_the_place_of_the_oldest_newcomer),
        TEST(newcomers_do_not_displace_what_is_in_use),
        TEST(one_that_is_stored_again_is_in_use),
        TEST(where_all_are_in_use_a_newcomer_has_no_place),
        TEST(to_ask_changes_nothing),
        TEST(a_bound_that_is_lowered_holds_for_what_is_in_use_too),
        TEST(a_place_does_not_last_because_the_clock_was_wrong),
        TEST(one_that_is_not_counted_is_not_touched),
        TEST(one_that_the_set_has_lost_gets_its_place_back_or_goes),
        TEST(without_unlink_they_are_deleted),
        TEST(what_others_put_into_the_set_is_not_unlinked_blindly),
        TEST(a_set_of_another_type_is_an_error_and_nothing_has_a_place),
        TEST(the_set_outlives_its_longest_variant),
        TEST(all_variants_are_dropped_and_nothing_else),
        TEST(variants_end_with_their_freshness),
        TEST(what_has_no_variants_ends_with_its_freshness),
        TEST(a_peek_tells_value_and_life_and_is_bounded),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
