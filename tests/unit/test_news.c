/*
 * The news: that a fill whose tags were invalidated while it was fetching is
 * found out, whatever happened to the stream meanwhile, and that others are not
 * held up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>

#include "client/client.h"
#include "client/store.h"
#include "client_fixture.h"

static const char *const own[] = {"tag:a", "tag:b"};
#define OWN ((size_t)2)

static struct store_position
position(struct larder *cache)
{
    struct store_position at;

    assert_ok(store_position(cache, soon(), &at, NULL));
    assert_true(at.id[0] != '\0');
    assert_true(at.identity != 0);
    return at;
}

static enum larder_status
prove(struct larder *cache, const struct store_position *since)
{
    store_generation now[OWN];
    struct larder_error err = {.message = ""};

    return store_own_generations(cache, since, own, OWN, soon(), now, &err);
}

static void
why_not(struct larder *cache, const struct store_position *since, const char *words)
{
    store_generation now[OWN];
    struct larder_error err = {.message = ""};

    assert_status(store_own_generations(cache, since, own, OWN, soon(), now, &err), LARDER_MISS);
    if (!strstr(err.message, words))
        fail_msg("%s: %s expected", err.message, words);
}

static void
purge(struct larder *cache, const char *tag)
{
    assert_ok(store_purge_tags(cache, &tag, 1, false, soon(), NULL));
}

/* -------------------------------------------------------------------- position */

static void
a_position_is_where_the_news_are_now(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct larder *other = open_redis();
    struct store_position first = position(cache);
    redis_says("XLEN t:gen-news", ":1"); /* begun, so that there is something to point to */
    struct store_position again = position(cache);
    assert_string_equal(first.id, again.id);
    purge(other, "tag:a");
    struct store_position next = position(cache);
    assert_string_not_equal(first.id, next.id);
    redis_says("XLEN t:gen-news", ":2");
    /* What was purged before a fetch began does not keep it from being stored. */
    why_not(cache, &first, "invalidated");
    assert_ok(prove(cache, &next));
    larder_close(cache);
    larder_close(other);
}

static void
without_a_position_nothing_is_proven(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_position none = {.id = ""};
    why_not(cache, &none, "there is no position");
    redis_says("DBSIZE", ":0");
    redis_says("CONFIG SET maxmemory 1", "+OK");
    assert_status(store_position(cache, soon(), &none, NULL), LARDER_REFUSED);
    assert_string_equal(none.id, "");
    redis_says("CONFIG SET maxmemory 0", "+OK");
    larder_close(cache);
    struct larder *gone = open_gone();
    assert_status(store_position(gone, soon(), &none, NULL), LARDER_UNAVAILABLE);
    assert_string_equal(none.id, "");
    larder_close(gone);
}

/* ----------------------------------------------------------------------- proof */

static void
tags_that_nobody_touched_are_proven_and_have_their_generations(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_tags tags = {.count = OWN, .name = {own[0], own[1]}};
    struct store_generations now;
    store_generation seen[OWN];
    uint64_t identity = 0;
    redis_says("SET t:gen:tag:a 0123456789abcdef0000000000000000", "+OK");
    struct store_position since = position(cache);
    purge(cache, "tag:aa");
    purge(cache, "resource:a");
    assert_ok(store_own_generations(cache, &since, own, OWN, soon(), seen, NULL));
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    assert_memory_equal(seen, now.value, sizeof seen);
    assert_string_equal(seen[0], "0123456789abcdef0000000000000000");
    assert_true(identity == since.identity);
    assert_ok(store_own_generations(cache, &since, NULL, 0, soon(), NULL, NULL));
    larder_close(cache);
}

static void
a_position_comes_with_the_generations(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_tags tags = {.count = OWN, .name = {own[0], own[1]}};
    struct store_generations now;
    struct store_position at = {.id = "x"};
    uint64_t identity = 0;
    /* There are no news yet: store_position() begins them. */
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, &at, NULL));
    assert_string_equal(at.id, "");
    struct store_position begun = position(cache);
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, &at, NULL));
    assert_string_equal(at.id, begun.id);
    assert_true(at.identity == begun.identity && at.identity == identity);
    assert_status(prove(cache, &at), LARDER_OK);
    purge(cache, own[1]);
    assert_status(prove(cache, &at), LARDER_MISS);
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, &at, NULL));
    assert_status(prove(cache, &at), LARDER_OK);
    /* Something else under that name: the generations are good all the same. */
    redis_says("DEL t:gen-news", ":1");
    redis_says("SET t:gen-news x", "+OK");
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, &at, NULL));
    assert_string_equal(at.id, "");
    assert_true(store_generation_settled(now.value[0]));
    larder_close(cache);
}

static void
whatever_invalidates_a_tag_is_found_out(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    store_generation next;
    const char *many[] = {"tag:x", "tag:y", "tag:b", "tag:z"};
    bool claimed = false;
    for (int what = 0; what < 4; what++) {
        struct store_position since = position(cache);
        assert_ok(prove(cache, &since));
        if (what == 0)
            purge(cache, "tag:a");
        else if (what == 1)
            assert_ok(store_purge_tags(cache, many, 4, true, soon(), NULL));
        else if (what == 2)
            assert_ok(store_purge_tags(cache, many, 4, false, soon(), NULL));
        else
            assert_ok(store_claim(cache, "tag:b", "0123456789abcdef0000000000000000", soon(), next,
                                  &claimed, NULL));
        why_not(cache, &since, "was invalidated meanwhile");
        since = position(cache);
        assert_ok(prove(cache, &since));
    }
    larder_close(cache);
}

static void
an_invalidation_that_failed_to_change_anything_still_was_one(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_position since = position(cache);
    redis_says("EXISTS t:gen:tag:a", ":0"); /* nothing to delete: the news alone tell */
    purge(cache, "tag:a");
    why_not(cache, &since, "was invalidated meanwhile");
    larder_close(cache);
}

static void
as_many_news_as_can_be_read_prove_it_and_more_do_not(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_position since = position(cache);
    for (int i = 0; i < 1000; i++)
        purge(cache, "tag:x");
    assert_ok(prove(cache, &since));
    purge(cache, "tag:x");
    why_not(cache, &since, "too many news");
    since = position(cache);
    assert_ok(prove(cache, &since));
    larder_close(cache);
}

static void
a_stream_that_was_trimmed_proves_nothing(void **state)
{
    (void)state;
    struct larder_options options = redis_options();
    options.news_length = 100;
    struct larder *cache = open_with(&options);
    struct store_position since = position(cache);
    for (int i = 0; i < 300; i++)
        purge(cache, "tag:x");
    char answer[32];
    assert_true(redis_fixture_command(&redis, "XLEN t:gen-news", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 100, 200);
    why_not(cache, &since, "do not reach back so far");
    larder_close(cache);
}

static void
a_stream_that_was_begun_anew_proves_nothing(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_position since = position(cache);
    redis_says("DEL t:gen-news", ":1");
    why_not(cache, &since, "do not reach back so far");
    purge(cache, "tag:x");
    why_not(cache, &since, "do not reach back so far");
    /* Not even if it has a record of that id, as after a clock that was set back. */
    char command[128], answer[64];
    size_t len = strcspn(since.id, "/");
    redis_says("DEL t:gen-news", ":1");
    snprintf(command, sizeof command, "XADD t:gen-news %.*s n 0000000000000000 t -", (int)len,
             since.id);
    assert_true(redis_fixture_command(&redis, command, answer, sizeof answer));
    assert_non_null(strstr(answer, "-"));
    why_not(cache, &since, "do not reach back so far");
    redis_says("DEL t:gen-news", ":1");
    redis_says("SET t:gen-news x", "+OK");
    why_not(cache, &since, "cannot be read");
    larder_close(cache);
}

static void
another_servers_news_prove_nothing(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_position since = position(cache);
    assert_ok(prove(cache, &since));
    since.identity++;
    why_not(cache, &since, "it is another server");
    larder_close(cache);
}

static void
a_full_redis_loses_its_news_before_the_purge(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct store_position since = position(cache);
    assert_ok(prove(cache, &since));
    redis_says("CONFIG SET maxmemory 1", "+OK");
    purge(cache, "tag:a");
    redis_says("EXISTS t:gen-news t:gen:tag:a", ":0");
    why_not(cache, &since, "has no generation");
    redis_says("CONFIG SET maxmemory 0", "+OK");
    why_not(cache, &since, "do not reach back so far");
    larder_close(cache);
}

/* ----------------------------------------------------------------- in what order */

struct recorded {
    pthread_mutex_t lock;
    char text[16384];
    size_t len;
};

/* Takes down what is said and never answers. */
static void
record(struct raw_conn *conn)
{
    struct recorded *recorded = conn->arg;
    char command[4096];
    ssize_t n;

    while ((n = redis_hears(conn->fd, command, sizeof command)) > 0) {
        pthread_mutex_lock(&recorded->lock);
        for (ssize_t i = 0; i < n && recorded->len + 1 < sizeof recorded->text; i++)
            recorded->text[recorded->len++] = command[i];
        pthread_mutex_unlock(&recorded->lock);
    }
}

static void
come_in_order(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text = strstr(text, words[i]);
        if (!text)
            fail_msg("%s does not come where it should", words[i]);
        text += strlen(words[i]);
    }
}

static void
the_news_are_told_before_the_deed_and_read_after_the_generations(void **state)
{
    (void)state;
    static struct recorded recorded = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct raw_server *server = raw_server_start(NULL, record, &recorded);
    struct larder_options options;
    larder_options_init(&options);
    options.port = raw_server_port(server);
    options.lazy = true;
    options.pool_min_idle = 0;
    options.max_retries = 0;
    options.name_space = "t";
    options.wait_replicas = 2;
    struct larder *cache = open_with(&options);
    struct store_position since = {.identity = 1, .id = "1-1/0"};
    store_generation now[OWN];
    assert_status(store_purge_tags(cache, own, OWN, false, clock_now_ms() + 50, NULL),
                  LARDER_TIMEOUT);
    assert_status(store_own_generations(cache, &since, own, OWN, clock_now_ms() + 50, now, NULL),
                  LARDER_TIMEOUT);
    larder_close(cache);
    raw_server_stop(server);
    const char *const order[] = {"XADD",        "t:gen-news", "tag:a",       "tag:b",       "DEL",
                                 "t:gen:tag:a", "DEL",        "t:gen:tag:b", "WAIT",        "SET",
                                 "t:gen:tag:a", "GET",        "SET",         "t:gen:tag:b", "GET",
                                 "XRANGE",      "t:gen-news"};
    recorded.text[recorded.len] = '\0';
    come_in_order(recorded.text, order, sizeof order / sizeof *order);
}

/* -------------------------------------------------------------------- at one time */

/* What fills and purges do to each other. The backend is a number; who changes it purges. */
struct race {
    struct larder *cache;
    atomic_long backend;
    atomic_long acknowledged; /* the last change whose purge has been acknowledged */
    atomic_bool over;
    atomic_int stored;
    atomic_int refused;
    atomic_int stale;
    atomic_int failed;
};

static void *
fill_often(void *arg)
{
    struct race *race = arg;

    while (!atomic_load(&race->over)) {
        struct store_position since;
        store_generation now[OWN], current[OWN];
        uint64_t identity = 0;
        if (store_position(race->cache, soon(), &since, NULL) != LARDER_OK)
            atomic_fetch_add(&race->failed, 1);
        long content = atomic_load(&race->backend);
        enum larder_status status =
            store_own_generations(race->cache, &since, own, OWN, soon(), now, NULL);
        if (status == LARDER_MISS) {
            atomic_fetch_add(&race->refused, 1);
            continue;
        }
        atomic_fetch_add(status == LARDER_OK ? &race->stored : &race->failed, 1);
        /* Now it is stored. Whoever looks it up after an acknowledgement must not get what is
         * older. */
        for (int i = 0; i < 3; i++) {
            long acknowledged = atomic_load(&race->acknowledged);
            if (store_current(race->cache, own, OWN, soon(), current, &identity, NULL) ==
                    LARDER_OK &&
                memcmp(current, now, sizeof now) == 0 && content < acknowledged)
                atomic_fetch_add(&race->stale, 1);
        }
    }
    return NULL;
}

static void *
change_often(void *arg)
{
    struct race *race = arg;

    while (!atomic_load(&race->over)) {
        long change = atomic_fetch_add(&race->backend, 1) + 1;
        if (store_purge_tags(race->cache, own, 1, false, soon(), NULL) != LARDER_OK)
            atomic_fetch_add(&race->failed, 1);
        long before = atomic_load(&race->acknowledged);
        while (before < change &&
               !atomic_compare_exchange_weak(&race->acknowledged, &before, change))
            ;
        pause_ms(change % 8);
    }
    return NULL;
}

static void
nothing_older_than_an_acknowledged_purge_ever_counts(void **state)
{
    (void)state;
    struct race race = {.cache = open_redis()};
    pthread_t threads[5];
    for (int i = 0; i < 5; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < 3 ? fill_often : change_often, &race), 0);
    pause_ms(2000);
    atomic_store(&race.over, true);
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.stale, 0);
    assert_int_equal(race.failed, 0);
    assert_true(race.stored > 0 && race.refused > 0); /* otherwise nothing was tried */
    larder_close(race.cache);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        TEST(a_position_is_where_the_news_are_now),
        TEST(without_a_position_nothing_is_proven),
        TEST(tags_that_nobody_touched_are_proven_and_have_their_generations),
        TEST(a_position_comes_with_the_generations),
        TEST(whatever_invalidates_a_tag_is_found_out),
        TEST(an_invalidation_that_failed_to_change_anything_still_was_one),
        TEST(as_many_news_as_can_be_read_prove_it_and_more_do_not),
        TEST(a_stream_that_was_trimmed_proves_nothing),
        TEST(a_stream_that_was_begun_anew_proves_nothing),
        TEST(another_servers_news_prove_nothing),
        TEST(a_full_redis_loses_its_news_before_the_purge),
        TEST(the_news_are_told_before_the_deed_and_read_after_the_generations),
        TEST(nothing_older_than_an_acknowledged_purge_ever_counts),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
