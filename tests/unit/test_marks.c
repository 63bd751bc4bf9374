/*
 * Mutations in two steps, purges hard and soft, and what they do to each other:
 * that nothing which was invalidated ever counts again, and that what was not
 * does. Against a real Redis, also a full one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "client/generations.h"
#include "client/store.h"
#include "client_fixture.h"

#define TAG "user:42"
#define KEY "t:gen:user:42"
#define OLD "0123456789abcdef0000000000000000"
#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

static const char *const one_tag[] = {TAG};

/* What stands there, "" if nothing does; good until the next call. */
static const char *
generation(void)
{
    static char answer[2 * GENERATION_MARKED_MAX];

    assert_true(redis_fixture_command(&redis, "GET " KEY, answer, sizeof answer));
    char *line = strchr(answer, '\n');
    return line ? line + 1 : "";
}

static bool
is_marked(void)
{
    return generation()[0] == 'M';
}

static void
begin(void)
{
    redis_says("SET " KEY " " OLD " EX 5184000", "+OK");
}

static void
mark(struct larder *cache, const char *token)
{
    assert_ok(store_mark(cache, one_tag, 1, token, 60000, soon(), NULL));
}

static void
unmark(struct larder *cache, const char *token, bool changed)
{
    assert_ok(store_unmark(cache, one_tag, 1, token, changed, soon(), NULL));
}

static void
purge(struct larder *cache, bool soft)
{
    assert_ok(store_purge_tags(cache, one_tag, 1, soft, soon(), NULL));
}

static void
fill_memory(bool full)
{
    redis_says(full ? "CONFIG SET maxmemory 1" : "CONFIG SET maxmemory 0", "+OK");
}

/* ------------------------------------------------------------------ one mutation */

static void
a_marked_tag_matches_nothing_and_is_not_filled(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags = {.count = 1, .name = {TAG}};
    struct store_generations now;
    struct store_value value;
    uint64_t identity = 0;
    store_token token;
    char answer[64];

    (void)state;
    begin();
    assert_true(store_token_make(token));
    assert_int_equal(strlen(token), STORE_TOKEN_LEN);
    mark(cache, token);
    assert_non_null(strstr(generation(), token));
    assert_true(redis_fixture_command(&redis, "PTTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 59000, 60000);
    assert_status(store_lookup(cache, "none", &tags, 0, soon(), &value, NULL), LARDER_MISS);
    assert_string_equal(value.current.value[0], "M");
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL));
    assert_string_equal(now.value[0], "M");
    /* Nor does a fill make it live longer. */
    assert_true(redis_fixture_command(&redis, "PTTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 58000, 60000);
    larder_close(cache);
}

static void
what_a_mutation_changed_is_gone(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    mark(cache, A);
    unmark(cache, A, true);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
a_mutation_that_failed_takes_nothing_away(void **state)
{
    struct larder *cache = open_redis();
    char answer[64];

    (void)state;
    begin();
    mark(cache, A);
    unmark(cache, A, false);
    assert_string_equal(generation(), OLD);
    assert_true(redis_fixture_command(&redis, "TTL " KEY, answer, sizeof answer));
    assert_true(strtol(answer + 1, NULL, 10) > 5100000);
    redis_says("DEL " KEY, ":1");
    mark(cache, A);
    assert_true(is_marked());
    unmark(cache, A, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
a_mark_ends_at_its_deadline(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    assert_ok(store_mark(cache, one_tag, 1, A, 50, soon(), NULL));
    assert_true(is_marked());
    await(strcmp(generation(), "") == 0);
    /* Too late to bring anything back. */
    unmark(cache, A, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
each_step_may_be_repeated(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    for (int changed = 0; changed < 2; changed++) {
        begin();
        mark(cache, A);
        mark(cache, A);
        assert_ptr_equal(strstr(strstr(generation(), A) + 1, A), NULL);
        unmark(cache, A, changed);
        unmark(cache, A, changed);
        assert_string_equal(generation(), changed ? "" : OLD);
    }
    larder_close(cache);
}

static void
who_has_no_mark_completes_nothing_but_invalidates_if_he_changed_something(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    unmark(cache, A, false);
    assert_string_equal(generation(), OLD);
    unmark(cache, A, true);
    assert_string_equal(generation(), "");
    begin();
    mark(cache, A);
    unmark(cache, B, false);
    assert_true(is_marked());
    unmark(cache, A, false);
    assert_string_equal(generation(), OLD);
    mark(cache, A);
    unmark(cache, B, true);
    assert_true(is_marked());
    unmark(cache, A, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
what_cannot_be_is_refused(void **state)
{
    struct larder *cache = open_redis();
    struct larder *off = open_disabled();
    char long_tag[STORE_TAG_SIZE + 1];
    const char *tags[] = {long_tag};

    (void)state;
    memset(long_tag, 'a', sizeof long_tag);
    long_tag[STORE_TAG_SIZE] = '\0';
    assert_status(store_mark(cache, tags, 1, A, 1000, soon(), NULL), LARDER_INVALID);
    assert_status(store_mark(cache, one_tag, 1, "*", 1000, soon(), NULL), LARDER_INVALID);
    assert_status(store_mark(cache, one_tag, 1, A, 0, soon(), NULL), LARDER_INVALID);
    assert_status(store_unmark(cache, tags, 1, A, true, soon(), NULL), LARDER_INVALID);
    assert_status(store_unmark(cache, one_tag, 1, "", true, soon(), NULL), LARDER_INVALID);
    assert_status(store_purge_tags(cache, tags, 1, false, soon(), NULL), LARDER_INVALID);
    assert_status(store_mark(off, one_tag, 1, A, 1000, soon(), NULL), LARDER_DISABLED);
    assert_status(store_unmark(off, one_tag, 1, A, true, soon(), NULL), LARDER_DISABLED);
    assert_status(store_purge_tags(off, one_tag, 1, true, soon(), NULL), LARDER_DISABLED);
    assert_ok(store_purge_tags(cache, NULL, 0, false, soon(), NULL));
    assert_ok(store_mark(cache, NULL, 0, A, 1000, soon(), NULL));
    redis_says("DBSIZE", ":0");
    larder_close(cache);
    larder_close(off);
}

/* --------------------------------------------------------------------- several */

static void
of_two_mutations_each_counts(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    for (int outcome = 0; outcome < 4; outcome++) {
        bool first = (outcome & 1) != 0, second = (outcome & 2) != 0;
        for (int in_order = 0; in_order < 2; in_order++) {
            begin();
            mark(cache, A);
            mark(cache, B);
            unmark(cache, in_order ? A : B, first);
            assert_true(is_marked());
            assert_null(strstr(generation(), in_order ? A : B));
            unmark(cache, in_order ? B : A, second);
            assert_string_equal(generation(), first || second ? "" : OLD);
        }
    }
    larder_close(cache);
}

static void
the_longest_mark_decides_how_long_the_tag_stays_marked(void **state)
{
    struct larder *cache = open_redis();
    char answer[64];

    (void)state;
    begin();
    mark(cache, A);
    assert_ok(store_mark(cache, one_tag, 1, B, 10000, soon(), NULL));
    assert_true(redis_fixture_command(&redis, "PTTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 59000, 60000);
    unmark(cache, A, false);
    assert_true(redis_fixture_command(&redis, "PTTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 1, 10000);
    larder_close(cache);
}

static void
a_mutation_that_nobody_completed_counts_as_one_that_changed_something(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    assert_ok(store_mark(cache, one_tag, 1, A, 30, soon(), NULL));
    mark(cache, B);
    pause_ms(60);
    assert_true(is_marked());
    unmark(cache, B, false);
    assert_string_equal(generation(), "");

    begin(); /* also when a third has come and gone meanwhile */
    assert_ok(store_mark(cache, one_tag, 1, A, 30, soon(), NULL));
    mark(cache, B);
    pause_ms(60);
    mark(cache, "cccccccccccccccc");
    assert_null(strstr(generation(), A));
    unmark(cache, "cccccccccccccccc", false);
    unmark(cache, B, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
more_marks_than_have_room_become_one(void **state)
{
    struct larder *cache = open_redis();
    char token[STORE_TOKEN_LEN + 1];

    (void)state;
    begin();
    for (int i = 0; i < 600; i++) {
        snprintf(token, sizeof token, "%016x", i);
        mark(cache, token);
        assert_true(strlen(generation()) <= GENERATION_MARKED_MAX);
    }
    assert_non_null(strstr(generation(), " *:"));
    struct store_tags tags = {.count = 1, .name = {TAG}};
    struct store_value value;
    assert_status(store_lookup(cache, "none", &tags, 0, soon(), &value, NULL), LARDER_MISS);
    assert_string_equal(value.current.value[0], "M");
    /* Those that are merged hold until their end, whoever says that they are over. */
    for (int i = 0; i < 600; i++) {
        snprintf(token, sizeof token, "%016x", i);
        unmark(cache, token, false);
    }
    assert_true(is_marked());
    assert_memory_equal(generation(), "M0 " OLD ":", 3 + STORE_GENERATION_LEN + 1);
    assert_non_null(strstr(generation(), " *:"));
    assert_null(strstr(generation(), "0000000000000257"));
    larder_close(cache);
}

/* ---------------------------------------------------------------------- purges */

static void
a_purge_deletes_and_may_be_repeated(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    purge(cache, false);
    assert_string_equal(generation(), "");
    purge(cache, false);
    purge(cache, true);
    assert_string_equal(generation(), "");
    redis_says("LPUSH " KEY " x", ":1");
    purge(cache, false);
    redis_says("EXISTS " KEY, ":0");
    redis_says("SET " KEY " nonsense", "+OK");
    purge(cache, true);
    redis_says("EXISTS " KEY, ":0");
    larder_close(cache);
}

static void
a_soft_purge_leaves_the_hard_part_and_tells_its_time(void **state)
{
    struct larder *cache = open_redis();
    store_generation first, second;
    char answer[64];

    (void)state;
    begin();
    int64_t before = clock_wall_ms();
    purge(cache, true);
    assert_int_equal(strlen(generation()), STORE_GENERATION_LEN);
    memcpy(first, generation(), sizeof first);
    assert_memory_equal(first, OLD, STORE_HARD_LEN);
    assert_true(store_soft_time_ms(first) >= before);
    assert_true(store_soft_time_ms(first) <= clock_wall_ms());
    assert_true(redis_fixture_command(&redis, "TTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 5183000, 5184000);
    purge(cache, true);
    memcpy(second, generation(), sizeof second);
    assert_string_not_equal(first, second);
    assert_memory_equal(second, OLD, STORE_HARD_LEN);
    larder_close(cache);
}

/* Or else whoever sends forms that fail to a thousand URLs would leave a thousand keys for months. */
static void
a_mutation_that_fails_leaves_a_generation_the_life_that_it_had(void **state)
{
    struct larder *cache = open_redis();
    char answer[64];

    (void)state;
    redis_says("SET " KEY " " OLD " EX 100", "+OK");
    mark(cache, A);
    mark(cache, B);
    purge(cache, true);
    unmark(cache, A, false);
    unmark(cache, B, false);
    assert_memory_equal(generation(), OLD, STORE_HARD_LEN);
    assert_int_equal(strlen(generation()), STORE_GENERATION_LEN);
    assert_true(redis_fixture_command(&redis, "TTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 90, 100);
    /* What would have ended meanwhile is gone. */
    redis_says("SET " KEY " " OLD " PX 1", "+OK");
    mark(cache, A);
    pause_ms(5);
    unmark(cache, A, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
a_purge_meanwhile_is_not_undone_by_a_mutation_that_fails(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    mark(cache, A);
    purge(cache, false);
    assert_true(is_marked());
    assert_non_null(strstr(generation(), A));
    unmark(cache, A, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
a_soft_purge_meanwhile_is_not_undone_by_a_mutation_that_fails(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    mark(cache, A);
    purge(cache, true);
    assert_true(is_marked());
    unmark(cache, A, false);
    assert_int_equal(strlen(generation()), STORE_GENERATION_LEN);
    assert_memory_equal(generation(), OLD, STORE_HARD_LEN);
    assert_true(store_soft_time_ms(generation()) > 0);
    larder_close(cache);
}

static void
any_number_of_tags_is_done_in_batches(void **state)
{
    enum { N = 300 };
    struct larder *cache = open_redis();
    static char names[N][STORE_TAG_SIZE];
    const char *tags[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        char command[128];
        snprintf(names[i], sizeof names[i], "tag:%d", i);
        snprintf(command, sizeof command, "SET t:gen:tag:%d " OLD, i);
        redis_says(command, "+OK");
        tags[i] = names[i];
    }
    assert_ok(store_mark(cache, tags, N, A, 60000, soon(), NULL));
    redis_says("XLEN t:gen-news", ":3");
    assert_ok(store_unmark(cache, tags, N, A, false, soon(), NULL));
    redis_says("XLEN t:gen-news", ":3");
    redis_says("DBSIZE", ":301");
    assert_ok(store_purge_tags(cache, tags, N, false, soon(), NULL));
    redis_says("XLEN t:gen-news", ":6");
    redis_says("DBSIZE", ":1");
    larder_close(cache);
}

static void
a_flush_does_not_forget_a_mutation(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    redis_says("SET t:gen:tag:x " OLD, "+OK");
    mark(cache, A);
    assert_ok(larder_flush(cache, NULL, NULL, NULL));
    assert_true(is_marked());
    redis_says("EXISTS t:gen:tag:x", ":0");
    unmark(cache, A, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

/* ----------------------------------------------------------------------- renewal */

static void
an_only_mutation_begins_the_next_generation_in_one_step(void **state)
{
    struct larder *cache = open_redis();
    store_generation next;
    bool claimed = false;
    char answer[64];

    (void)state;
    begin();
    mark(cache, A);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_true(claimed);
    assert_true(store_generation_settled(next));
    assert_string_equal(generation(), next);
    assert_memory_not_equal(next, OLD, STORE_HARD_LEN);
    /* As long as a fetch, until something is stored under it. */
    assert_true(redis_fixture_command(&redis, "TTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 1, STORE_GENERATION_NEW_S);
    redis_says("XLEN t:gen-news", ":2");
    /* Again, it is not ours: somebody may have relied on it meanwhile. */
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

static void
a_mutation_that_was_not_alone_begins_nothing(void **state)
{
    struct larder *cache = open_redis();
    store_generation next;
    bool claimed = true;

    (void)state;
    begin(); /* another is under way */
    mark(cache, A);
    mark(cache, B);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(next, "");
    assert_true(is_marked());
    unmark(cache, B, false);
    assert_string_equal(generation(), "");

    begin(); /* another has been completed */
    mark(cache, A);
    mark(cache, B);
    unmark(cache, B, true);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(generation(), "");

    begin(); /* another has failed: it does not matter */
    mark(cache, A);
    mark(cache, B);
    unmark(cache, B, false);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_true(claimed);

    begin(); /* purged */
    mark(cache, A);
    purge(cache, false);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(generation(), "");

    begin(); /* the mark had ended */
    assert_ok(store_mark(cache, one_tag, 1, A, 20, soon(), NULL));
    await(strcmp(generation(), "") == 0);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

/* ------------------------------------------------------------------- a full Redis */

static void
a_full_redis_purges_what_it_cannot_mark(void **state)
{
    struct larder *cache = open_redis();
    const char *tags[] = {TAG, "user:43"};
    struct larder_error err = {.message = ""};

    (void)state;
    begin();
    fill_memory(true);
    assert_status(store_mark(cache, tags, 2, A, 60000, soon(), &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "not marked but purged"));
    assert_string_equal(generation(), "");
    redis_says("EXISTS t:gen-news", ":0");
    fill_memory(false);
    larder_close(cache);
}

static void
a_redis_that_takes_no_writes_at_all_has_purged_nothing(void **state)
{
    struct larder *cache = open_redis();
    struct larder_error err = {.message = ""};

    (void)state;
    begin();
    redis_says("CONFIG SET min-replicas-to-write 1", "+OK");
    enum larder_status status = store_mark(cache, one_tag, 1, A, 60000, soon(), &err);
    redis_says("CONFIG SET min-replicas-to-write 0", "+OK");
    assert_status(status, LARDER_UNAVAILABLE);
    assert_status(err.status, LARDER_UNAVAILABLE);
    assert_non_null(strstr(err.message, "NOREPLICAS"));
    assert_string_equal(generation(), OLD);
    larder_close(cache);
}

static void
a_full_redis_keeps_the_marks_that_it_has(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    for (int i = 0; i < 4; i++) {
        begin();
        mark(cache, A);
        fill_memory(true);
        if (i == 0)
            assert_status(store_mark(cache, one_tag, 1, B, 60000, soon(), NULL), LARDER_REFUSED);
        else if (i == 1)
            purge(cache, false);
        else if (i == 2)
            unmark(cache, B, true);
        else
            purge(cache, true);
        assert_true(is_marked());
        assert_non_null(strstr(generation(), A));
        assert_null(strstr(generation(), B));
        fill_memory(false);
        /* And what has happened is known when there is room again. */
        unmark(cache, A, false);
        if (i < 3)
            assert_string_equal(generation(), "");
        else
            assert_true(store_soft_time_ms(generation()) > 0);
    }
    larder_close(cache);
}

static void
a_full_redis_completes_mutations(void **state)
{
    struct larder *cache = open_redis();
    store_generation next;
    bool claimed = false;

    (void)state;
    begin();
    mark(cache, A);
    mark(cache, B);
    fill_memory(true);
    unmark(cache, A, false);
    assert_null(strstr(generation(), A));
    unmark(cache, B, false);
    assert_string_equal(generation(), OLD);
    fill_memory(false);

    mark(cache, A);
    fill_memory(true);
    unmark(cache, A, true);
    assert_string_equal(generation(), "");
    fill_memory(false);

    begin();
    mark(cache, A);
    fill_memory(true);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_false(claimed); /* the news could not be told: they are void, and so is it */
    assert_string_equal(generation(), "");
    fill_memory(false);
    larder_close(cache);
}

static void
a_full_redis_can_be_purged(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    purge(cache, false);
    begin();
    redis_says("XLEN t:gen-news", ":1");
    fill_memory(true);
    purge(cache, false);
    assert_string_equal(generation(), "");
    redis_says("EXISTS t:gen-news", ":0");
    fill_memory(false);
    begin();
    fill_memory(true);
    purge(cache, true);
    assert_memory_equal(generation(), OLD, STORE_HARD_LEN);
    assert_true(store_soft_time_ms(generation()) > 0);
    fill_memory(false);
    larder_close(cache);
}

/* ------------------------------------------------- who may not run scripts; replicas */

static void
without_scripts_what_cannot_be_marked_is_deleted(void **state)
{
    struct larder_options options = redis_options();
    struct larder_error err = {.message = ""};
    store_generation next;
    bool claimed = true;

    (void)state;
    redis_says("ACL SETUSER plain on >secret ~* &* +@all -@scripting", "+OK");
    options.user = "plain";
    options.password = "secret";
    struct larder *cache = open_with(&options);
    begin();
    purge(cache, false);
    assert_string_equal(generation(), "");
    begin();
    purge(cache, true);
    assert_string_equal(generation(), "");
    begin();
    assert_status(store_mark(cache, one_tag, 1, A, 60000, soon(), &err), LARDER_REFUSED);
    assert_string_equal(generation(), "");
    begin();
    unmark(cache, A, true);
    assert_string_equal(generation(), "");
    begin();
    assert_status(store_unmark(cache, one_tag, 1, A, false, soon(), &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "NOPERM"));
    assert_string_equal(generation(), OLD);
    assert_ok(store_renew(cache, TAG, A, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(generation(), "");
    larder_close(cache);
    redis_says("ACL DELUSER plain", ":1");
}

static void
without_the_news_they_are_void(void **state)
{
    struct larder_options options = redis_options();

    (void)state;
    redis_says("ACL SETUSER plain on >secret ~* &* +@all -xadd", "+OK");
    redis_says("XADD t:gen-news 1-1 n x", "$3\r\n1-1");
    options.user = "plain";
    options.password = "secret";
    struct larder *cache = open_with(&options);
    begin();
    purge(cache, false);
    assert_string_equal(generation(), "");
    redis_says("EXISTS t:gen-news", ":0");
    begin();
    mark(cache, A);
    assert_true(is_marked());
    unmark(cache, A, true);
    assert_string_equal(generation(), "");
    larder_close(cache);
    redis_says("ACL DELUSER plain", ":1");
}

static void
a_purge_waits_for_replicas(void **state)
{
    struct larder_options options = redis_options();
    struct redis_fixture master, replica;
    struct larder_error err = {.message = ""};
    char port[16];

    (void)state;
    assert_true(redis_fixture_start_tcp(&master, NULL));
    snprintf(port, sizeof port, "%d", master.port);
    options.unix_path = master.socket;
    options.wait_replicas = 1;
    options.wait_timeout_ms = 50;
    struct larder *cache = open_with(&options);
    assert_status(store_purge_tags(cache, one_tag, 1, false, soon(), &err), LARDER_UNAVAILABLE);
    assert_non_null(strstr(err.message, "WAIT: 0 of 1 replicas have it"));
    assert_status(store_mark(cache, one_tag, 1, A, 1000, soon(), &err), LARDER_UNAVAILABLE);
    larder_close(cache);

    const char *const args[] = {"--replicaof", "127.0.0.1", port, NULL};
    assert_true(redis_fixture_start(&replica, args));
    options.wait_timeout_ms = 4000;
    options.read_timeout_ms = 1000;
    cache = open_with(&options);
    /* It has to fetch the snapshot first, which takes longer than one reply may. */
    await(store_purge_tags(cache, one_tag, 1, false, soon(), &err) == LARDER_OK);
    assert_ok(store_mark(cache, one_tag, 1, A, 1000, soon(), &err));
    assert_ok(store_unmark(cache, one_tag, 1, A, true, soon(), &err));
    larder_close(cache);
    redis_fixture_stop(&replica);
    redis_fixture_stop(&master);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        TEST(a_marked_tag_matches_nothing_and_is_not_filled),
        TEST(what_a_mutation_changed_is_gone),
        TEST(a_mutation_that_failed_takes_nothing_away),
        TEST(a_mark_ends_at_its_deadline),
        TEST(each_step_may_be_repeated),
        TEST(who_has_no_mark_completes_nothing_but_invalidates_if_he_changed_something),
        TEST(what_cannot_be_is_refused),
        TEST(of_two_mutations_each_counts),
        TEST(the_longest_mark_decides_how_long_the_tag_stays_marked),
        TEST(a_mutation_that_nobody_completed_counts_as_one_that_changed_something),
        TEST(more_marks_than_have_room_become_one),
        TEST(a_purge_deletes_and_may_be_repeated),
        TEST(a_soft_purge_leaves_the_hard_part_and_tells_its_time),
        TEST(a_mutation_that_fails_leaves_a_generation_the_life_that_it_had),
        TEST(a_purge_meanwhile_is_not_undone_by_a_mutation_that_fails),
        TEST(a_soft_purge_meanwhile_is_not_undone_by_a_mutation_that_fails),
        TEST(any_number_of_tags_is_done_in_batches),
        TEST(a_flush_does_not_forget_a_mutation),
        TEST(an_only_mutation_begins_the_next_generation_in_one_step),
        TEST(a_mutation_that_was_not_alone_begins_nothing),
        TEST(a_full_redis_purges_what_it_cannot_mark),
        TEST(a_redis_that_takes_no_writes_at_all_has_purged_nothing),
        TEST(a_full_redis_keeps_the_marks_that_it_has),
        TEST(a_full_redis_completes_mutations),
        TEST(a_full_redis_can_be_purged),
        TEST(without_scripts_what_cannot_be_marked_is_deleted),
        TEST(without_the_news_they_are_void),
        TEST(a_purge_waits_for_replicas),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
