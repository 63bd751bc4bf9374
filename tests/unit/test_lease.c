/* Leases: that one has it at a time, for as long as he says and no longer than he lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "client/store.h"
#include "client_fixture.h"

static struct store_lease
lease_of(const char *name, const char *token)
{
    struct store_lease lease = {.name = name};
    snprintf(lease.token, sizeof lease.token, "%s", token);
    return lease;
}

/* One alone. LARDER_MISS: it is not ours any more. */
static enum larder_status
extend(struct larder *cache, const char *name, const char *token, int64_t life_ms)
{
    struct store_lease lease = lease_of(name, token), *list = &lease;
    lease.life_ms = life_ms;
    enum larder_status status = store_leases_extend(cache, &list, 1, soon(), NULL);
    return lease.lost ? LARDER_MISS : status;
}

static enum larder_status
end(struct larder *cache, const char *name, const char *token, char word)
{
    struct store_lease lease = lease_of(name, token), *list = &lease;
    lease.word = word;
    return store_leases_end(cache, &list, 1, soon(), NULL);
}

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
    assert_ok(end(cache, "k", "0000000000000000", 'S'));
    assert_status(store_lease_take(cache, "k", 10000, soon(), other, &left_ms, NULL), LARDER_MISS);
    assert_ok(end(cache, "k", mine, 'S'));
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
    assert_ok(extend(cache, "k", mine, 10000));
    pause_ms(80);
    assert_status(store_lease_take(cache, "k", 50, soon(), other, &left_ms, NULL), LARDER_MISS);
    assert_in_range(left_ms, 5000, 10000);
    assert_ok(extend(cache, "k", mine, 20));
    await(store_lease_take(cache, "k", 10000, soon(), other, &left_ms, NULL) == LARDER_OK);
    /* Who has overslept does not prolong his successor's. */
    assert_status(extend(cache, "k", mine, 1), LARDER_MISS);
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
    assert_ok(end(cache, "k", mine, 'N'));
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
    assert_status(end(cache, "", token, 'S'), LARDER_INVALID);
    assert_status(store_lease_take(off, "k", 10, soon(), token, &left_ms, NULL), LARDER_DISABLED);
    assert_status(extend(off, "k", token, 10), LARDER_DISABLED);
    assert_status(end(off, "k", token, 'S'), LARDER_DISABLED);
    larder_close(cache);
    larder_close(off);
}

static void
many_are_extended_and_given_back_together(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_lease leases[STORE_LEASES_MAX + 1], *list[STORE_LEASES_MAX + 1];
    char names[STORE_LEASES_MAX + 1][8], answer[64];
    int64_t left_ms = 0;
    for (size_t i = 0; i < STORE_LEASES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "k%zu", i);
        leases[i] = (struct store_lease){.name = names[i], .life_ms = 60000, .word = 'S'};
        assert_ok(store_lease_take(cache, names[i], 5000, soon(), leases[i].token, &left_ms, NULL));
        list[i] = &leases[i];
    }
    list[STORE_LEASES_MAX] = list[0];
    redis_says("DEL t:lease:k3", ":1");
    assert_ok(store_leases_extend(cache, list, STORE_LEASES_MAX, soon(), NULL));
    for (size_t i = 0; i < STORE_LEASES_MAX; i++)
        assert_int_equal(leases[i].lost, i == 3);
    assert_true(redis_fixture_command(&redis, "PTTL t:lease:k31", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 50000, 60000);
    redis_says("SET t:lease:k4 another", "+OK");
    assert_ok(store_leases_end(cache, list, STORE_LEASES_MAX, soon(), NULL));
    redis_says("EXISTS t:lease:k0 t:lease:k3 t:lease:k4 t:lease:k31", ":1");
    assert_status(store_leases_end(cache, list, STORE_LEASES_MAX + 1, soon(), NULL),
                  LARDER_INVALID);
    assert_status(store_leases_extend(cache, list, STORE_LEASES_MAX + 1, soon(), NULL),
                  LARDER_INVALID);
    assert_ok(store_leases_end(cache, list, 0, soon(), NULL));
    larder_close(cache);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        TEST(a_lease_has_one_holder_who_alone_gives_it_back),
        TEST(a_lease_ends_with_its_life_unless_it_is_extended),
        TEST(a_full_redis_gives_no_lease_and_takes_one_back),
        TEST(many_are_extended_and_given_back_together),
        TEST(what_cannot_be_a_lease_is_refused),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
