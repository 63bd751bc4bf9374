/*
 * Sweeps: what each deletes, and above all what it leaves alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "client/store.h"
#include "client_fixture.h"

static void
put(struct larder *cache, const char *key)
{
    assert_ok(larder_set_raw(cache, key, "1", 1, 0, NULL));
}

static bool
is_there(struct larder *cache, const char *key)
{
    bool exists = false;

    assert_ok(larder_exists(cache, key, &exists, NULL));
    return exists;
}

static void
put_many(struct larder *cache, const char *prefix, int n)
{
    static struct larder_item items[20000];
    static char names[20000][32];

    assert_true(n <= 20000);
    for (int i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "%s%d", prefix, i);
        items[i] = (struct larder_item){.key = names[i]};
    }
    assert_ok(larder_set_many(cache, items, (size_t)n, NULL, NULL));
}

static void
a_pattern_takes_what_matches_and_nothing_else(void **state)
{
    struct larder *cache = open_redis();
    struct larder_options options = redis_options();
    options.name_space = "t2";
    struct larder *neighbour = open_with(&options);
    int64_t deleted = 0;

    (void)state;
    put_many(cache, "session:", 3000);
    put(cache, "sessions");
    put(cache, "user:session:1");
    put(neighbour, "session:1");
    assert_ok(larder_delete_pattern(cache, "session:*", NULL, &deleted, NULL));
    assert_int_equal(deleted, 3000);
    assert_true(is_there(cache, "sessions"));
    assert_true(is_there(cache, "user:session:1"));
    assert_true(is_there(neighbour, "session:1"));
    larder_close(cache);
    larder_close(neighbour);
}

static void
glob_characters_of_the_namespace_mean_themselves(void **state)
{
    struct larder_options options = redis_options();
    options.name_space = "a*[b]?\\";
    struct larder *odd = open_with(&options);
    options.name_space = "aXb?";
    struct larder *other = open_with(&options);
    int64_t deleted = 0;

    (void)state;
    put(odd, "k1");
    put(odd, "k2");
    put(other, "k1");
    assert_ok(larder_delete_pattern(odd, "k*", NULL, &deleted, NULL));
    assert_int_equal(deleted, 2);
    assert_true(is_there(other, "k1"));
    put(odd, "k1");
    assert_ok(larder_flush(odd, NULL, &deleted, NULL));
    assert_int_equal(deleted, 1);
    assert_true(is_there(other, "k1"));
    larder_close(odd);
    larder_close(other);
}

static void
flush_takes_the_namespace_alone(void **state)
{
    struct larder *cache = open_redis();
    struct larder_options options = redis_options();
    options.name_space = "";
    struct larder *whole = open_with(&options);
    int64_t deleted = 0;

    (void)state;
    put_many(cache, "k", 1500);
    put(whole, "mine");
    put(whole, "tt:k");
    assert_ok(larder_flush(cache, NULL, &deleted, NULL));
    assert_int_equal(deleted, 1500);
    redis_says("DBSIZE", ":3"); /* the news tell others of the flush */
    redis_says("EXISTS t:gen-news mine tt:k", ":3");
    assert_status(larder_flush(whole, NULL, &deleted, NULL), LARDER_INVALID);
    redis_says("DBSIZE", ":3");
    assert_ok(larder_flush_server(whole, NULL));
    redis_says("DBSIZE", ":0");
    larder_close(cache);
    larder_close(whole);
}

static void
patterns_that_cost_too_much_are_refused(void **state)
{
    struct larder *cache = open_redis();
    char long_one[1026];

    (void)state;
    memset(long_one, 'a', sizeof long_one);
    long_one[1025] = '\0';
    assert_status(larder_delete_pattern(cache, long_one, NULL, NULL, NULL), LARDER_INVALID);
    long_one[1024] = '\0';
    assert_ok(larder_delete_pattern(cache, long_one, NULL, NULL, NULL));
    assert_status(
        larder_delete_pattern(cache, "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", NULL, NULL, NULL),
        LARDER_INVALID);
    assert_ok(
        larder_delete_pattern(cache, "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*\\*", NULL, NULL, NULL));
    assert_status(larder_delete_pattern(cache, "", NULL, NULL, NULL), LARDER_INVALID);
    assert_status(larder_delete_pattern(cache, NULL, NULL, NULL, NULL), LARDER_INVALID);
    larder_close(cache);
}

struct seen {
    int calls;
    int64_t scanned;
    int64_t matched;
    int stop_after;
};

static bool
watch(void *arg, int64_t scanned, int64_t matched)
{
    struct seen *seen = arg;

    assert_true(scanned >= seen->scanned);
    assert_true(matched >= seen->matched);
    seen->scanned = scanned;
    seen->matched = matched;
    return ++seen->calls != seen->stop_after;
}

static void
a_dry_run_counts_and_deletes_nothing(void **state)
{
    struct larder *cache = open_redis();
    struct seen seen = {.calls = 0};
    struct larder_sweep sweep = {.dry_run = true, .progress = watch, .progress_arg = &seen};
    struct store_tags tags;
    struct store_generations before, after;
    uint64_t identity = 0;
    int64_t deleted = 0;

    (void)state;
    put_many(cache, "k", 3000);
    tags = tags_for("session", "42");
    int64_t deadline = clock_now_ms() + 5000;
    assert_ok(store_generations(cache, &tags, deadline, &before, &identity, NULL, NULL));
    assert_ok(larder_delete_pattern(cache, "k*", &sweep, &deleted, NULL));
    assert_int_equal(deleted, 3000);
    assert_int_equal(seen.matched, 3000);
    assert_int_equal(seen.scanned, 3005); /* the generations are in the database, too */
    assert_true(seen.calls >= 3);
    sweep.progress = NULL;
    assert_ok(larder_delete_user(cache, "42", &sweep, &deleted, NULL));
    assert_ok(larder_flush(cache, &sweep, &deleted, NULL));
    redis_says("DBSIZE", ":3005");
    assert_ok(store_generations(cache, &tags, deadline, &after, &identity, NULL, NULL));
    assert_memory_equal(&before, &after, sizeof before);
    larder_close(cache);
}

static void
progress_can_stop_a_sweep(void **state)
{
    struct larder *cache = open_redis();
    struct seen seen = {.stop_after = 2};
    struct larder_sweep sweep = {.progress = watch, .progress_arg = &seen};
    int64_t deleted = 0;

    (void)state;
    put_many(cache, "k", 10000);
    assert_ok(larder_delete_pattern(cache, "k*", &sweep, &deleted, NULL));
    assert_int_equal(seen.calls, 2);
    assert_in_range(deleted, 1, 9999);
    assert_int_equal(deleted, seen.matched);
    char left[32];
    snprintf(left, sizeof left, ":%d", (int)(10000 - deleted) + 1); /* and the news */
    redis_says("DBSIZE", left);
    larder_close(cache);
}

static void
a_sweep_alone_leaves_generations_and_can_be_stopped(void **state)
{
    struct larder *cache = open_redis();
    struct seen seen = {.stop_after = 2};
    const char *const patterns[] = {"k*", "none:*"};

    (void)state;
    put_many(cache, "k", 10000);
    redis_says("SET t:gen:all 0123456789abcdef0000000000000000", "+OK");
    assert_status(store_sweep(cache, patterns, 2, clock_now_ms() + 5000, watch, &seen, NULL),
                  LARDER_TIMEOUT);
    assert_int_equal(seen.calls, 2);
    seen = (struct seen){.stop_after = 0};
    assert_ok(store_sweep(cache, patterns, 2, clock_now_ms() + 5000, NULL, NULL, NULL));
    redis_says("DBSIZE", ":1");
    redis_says("GET t:gen:all", "$32\r\n0123456789abcdef0000000000000000");
    larder_close(cache);
}

static bool
dawdle(void *arg, int64_t scanned, int64_t matched)
{
    (void)arg, (void)scanned, (void)matched;
    pause_ms(60);
    return true;
}

static void
a_sweep_ends_with_its_budget(void **state)
{
    struct larder *cache = open_redis();
    struct larder_sweep sweep = {.timeout_ms = 100, .progress = dawdle};
    struct larder_error err;
    int64_t deleted = 0;

    (void)state;
    put_many(cache, "k", 20000);
    assert_status(larder_delete_pattern(cache, "k*", &sweep, &deleted, &err), LARDER_TIMEOUT);
    assert_in_range(deleted, 1, 19999);
    larder_close(cache);
}

static void
deleting_a_user_takes_all_of_his_and_nothing_of_others(void **state)
{
    static const char *const his[] = {
        "user:42",
        "session:user:42:list",
        "quota:user:42",
        "share:user:42",
        "stats:user:42",
        "template:favorites:user:42",
        "user:42:response:00",
        "user:42:settings",
        "session:user:42:response:00",
    };
    static const char *const others[] = {
        "user:4",        "user:424",          "session:user:424:list",
        "superuser:42",  "user:username:42",  "user:email:42",
        "session:42",    "session:user:4:42", "template:favorites:user:142",
        "xuser:42:y",    "user:all",          "quota:user:421",
        "user:user:424", "config:user42",     "user:username:username",
    };
    struct larder *cache = open_redis();
    int64_t deleted = 0;

    (void)state;
    for (size_t i = 0; i < sizeof his / sizeof *his; i++)
        put(cache, his[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        put(cache, others[i]);
    assert_ok(larder_delete_user(cache, "42", NULL, &deleted, NULL));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (!is_there(cache, others[i]))
            print_error("deleted: %s\n", others[i]);
        assert_true(is_there(cache, others[i]));
    }
    for (size_t i = 0; i < sizeof his / sizeof *his; i++) {
        if (is_there(cache, his[i]))
            print_error("left: %s\n", his[i]);
        assert_false(is_there(cache, his[i]));
    }
    assert_int_equal(deleted, sizeof his / sizeof *his);
    assert_status(larder_delete_user(cache, "", NULL, NULL, NULL), LARDER_INVALID);
    larder_close(cache);
}

static void
odd_user_ids_mean_themselves(void **state)
{
    struct larder *cache = open_redis();
    int64_t deleted = 0;

    (void)state;
    put(cache, "user:*");
    put(cache, "session:user:*:list");
    put(cache, "session:user:%2A:response:0"); /* as the responder writes that id */
    put(cache, "user:42");
    put(cache, "session:user:42:list");
    assert_ok(larder_delete_user(cache, "*", NULL, &deleted, NULL));
    assert_int_equal(deleted, 3);
    assert_true(is_there(cache, "user:42"));

    /* A user who is called like a family of keys. */
    put(cache, "user:username");
    put(cache, "user:username:bob");
    put(cache, "user:email:bob@example.com");
    put(cache, "user:username:response:0");
    assert_ok(larder_delete_user(cache, "username", NULL, &deleted, NULL));
    assert_int_equal(deleted, 2);
    assert_true(is_there(cache, "user:username:bob"));
    assert_true(is_there(cache, "user:email:bob@example.com"));
    larder_close(cache);
}

/* Which of the tags of a per-user session response are as they were? */
static void
changed(struct larder *cache, const char *resource, const char *user,
        const struct store_generations *before, const char *expected)
{
    struct store_tags tags;
    struct store_value value;
    char seen[STORE_TAGS_MAX + 1] = "";

    tags = tags_for(resource, user);
    assert_status(store_lookup(cache, "none", &tags, 0, clock_now_ms() + 5000, &value, NULL),
                  LARDER_MISS);
    for (size_t i = 0; i < tags.count; i++)
        seen[i] = strcmp(before->value[i], value.current.value[i]) == 0 ? '=' : '!';
    assert_string_equal(seen, expected);
}

static void
every_sweep_kills_the_generations_that_cover_it(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags;
    struct store_generations now;
    uint64_t identity = 0;
    bool invalidated = false;
    const char *patterns[] = {"session:*", "template:*", "session:*"};

    (void)state;
    tags = tags_for("session", "42");
    int64_t deadline = clock_now_ms() + 20000;
    /* in order: all, resource, user, resource and user; a sweep over "*" takes the keys as well */
    assert_ok(store_generations(cache, &tags, deadline, &now, &identity, NULL, NULL));
    changed(cache, "session", "42", &now, "=====");
    assert_ok(larder_delete_pattern(cache, "session:*", NULL, NULL, NULL));
    changed(cache, "session", "42", &now, "==!==");

    assert_ok(store_generations(cache, &tags, deadline, &now, &identity, NULL, NULL));
    assert_ok(larder_delete_user(cache, "42", NULL, NULL, NULL));
    changed(cache, "session", "42", &now, "===!=");

    assert_ok(store_generations(cache, &tags, deadline, &now, &identity, NULL, NULL));
    assert_ok(larder_delete_user(cache, "43", NULL, NULL, NULL));
    assert_ok(larder_delete_pattern(cache, "nothing", NULL, NULL, NULL));
    changed(cache, "session", "42", &now, "=====");
    assert_ok(store_invalidate(cache, patterns, 3, deadline, NULL, NULL, NULL, &invalidated, NULL));
    assert_true(invalidated);
    changed(cache, "session", "42", &now, "==!==");

    assert_ok(store_generations(cache, &tags, deadline, &now, &identity, NULL, NULL));
    assert_ok(larder_flush(cache, NULL, NULL, NULL));
    changed(cache, "session", "42", &now, "!!!!!");
    larder_close(cache);
}

static void
one_walk_serves_several_patterns(void **state)
{
    struct larder *cache = open_redis();
    const char *patterns[] = {"session:*", "quota:user:4[23]", "*:list"};
    bool invalidated = false;
    int64_t deleted = 0;
    char before[4096], after[4096];

    (void)state;
    put_many(cache, "session:", 800);
    put_many(cache, "other:", 800);
    put(cache, "quota:user:42");
    put(cache, "quota:user:44");
    put(cache, "x:list");
    redis_fixture_command(&redis, "INFO commandstats", before, sizeof before);
    assert_ok(store_invalidate(cache, patterns, 3, clock_now_ms() + 5000, NULL, NULL, &deleted,
                               &invalidated, NULL));
    assert_true(invalidated);
    assert_int_equal(deleted, 802);
    assert_true(is_there(cache, "quota:user:44"));
    redis_fixture_command(&redis, "INFO commandstats", after, sizeof after);
    const char *scans = strstr(after, "cmdstat_scan:calls=");
    const char *had = strstr(before, "cmdstat_scan:calls=");
    assert_non_null(scans);
    long were = had ? strtol(had + 19, NULL, 10) : 0;
    assert_true(strtol(scans + 19, NULL, 10) - were <= 3);
    larder_close(cache);
}

static void
an_invalidation_out_of_time_says_what_is_done(void **state)
{
    struct larder *cache = open_redis();
    const char *pattern = "*";
    bool invalidated = true;

    (void)state;
    assert_status(store_invalidate(cache, &pattern, 1, clock_now_ms() - 1, NULL, NULL, NULL,
                                   &invalidated, NULL),
                  LARDER_TIMEOUT);
    assert_false(invalidated);
    larder_close(cache);
}

static void
redis_without_unlink_gets_del(void **state)
{
    static const char *const args[] = {"--rename-command", "UNLINK", "\"\"", NULL};
    struct redis_fixture old;
    struct larder_options options = redis_options();
    int64_t deleted = 0;

    (void)state;
    assert_true(redis_fixture_start(&old, args));
    options.unix_path = old.socket;
    struct larder *cache = open_with(&options);
    put_many(cache, "k", 1200);
    assert_ok(larder_flush(cache, NULL, &deleted, NULL));
    assert_int_equal(deleted, 1200);
    larder_close(cache);
    redis_fixture_stop(&old);
}

static bool
collect(void *arg, const char *key, size_t len)
{
    int *n = arg;

    assert_int_equal(strlen(key), len);
    assert_memory_equal(key, "k", 1);
    return ++*n != 1500;
}

static void
keys_come_without_their_namespace(void **state)
{
    struct larder *cache = open_redis();
    int n = 0;

    (void)state;
    put_many(cache, "k", 1000);
    put(cache, "x");
    assert_ok(larder_keys(cache, "k*", 0, collect, &n, NULL));
    assert_true(n >= 1000 && n < 1100);
    put_many(cache, "k", 3000);
    n = 0;
    assert_ok(larder_keys(cache, "k*", 0, collect, &n, NULL));
    assert_int_equal(n, 1500); /* it said stop */
    larder_close(cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_pattern_takes_what_matches_and_nothing_else, empty_redis),
        cmocka_unit_test_setup(glob_characters_of_the_namespace_mean_themselves, empty_redis),
        cmocka_unit_test_setup(flush_takes_the_namespace_alone, empty_redis),
        cmocka_unit_test_setup(patterns_that_cost_too_much_are_refused, empty_redis),
        cmocka_unit_test_setup(a_dry_run_counts_and_deletes_nothing, empty_redis),
        cmocka_unit_test_setup(progress_can_stop_a_sweep, empty_redis),
        cmocka_unit_test_setup(a_sweep_alone_leaves_generations_and_can_be_stopped, empty_redis),
        cmocka_unit_test_setup(a_sweep_ends_with_its_budget, empty_redis),
        cmocka_unit_test_setup(deleting_a_user_takes_all_of_his_and_nothing_of_others, empty_redis),
        cmocka_unit_test_setup(odd_user_ids_mean_themselves, empty_redis),
        cmocka_unit_test_setup(every_sweep_kills_the_generations_that_cover_it, empty_redis),
        cmocka_unit_test_setup(one_walk_serves_several_patterns, empty_redis),
        cmocka_unit_test_setup(an_invalidation_out_of_time_says_what_is_done, empty_redis),
        cmocka_unit_test(redis_without_unlink_gets_del),
        cmocka_unit_test_setup(keys_come_without_their_namespace, empty_redis),
    };

    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
