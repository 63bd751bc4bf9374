/*
 * Values: what each call on one key or a few does, with the cache on, switched
 * off, and with Redis gone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "client_fixture.h"

static void
json_comes_back_as_it_went_in(void **state)
{
    struct larder *cache = open_redis();
    json_object *value = json_tokener_parse("{\"a\":[1,2.5,null,true],\"s\":\"\\u00e4/b\"}");
    json_object *back = NULL;

    (void)state;
    assert_ok(larder_set(cache, "k", value, 0, NULL));
    assert_ok(larder_get(cache, "k", &back, NULL));
    assert_true(json_object_equal(value, back));
    redis_says("EXISTS t:k", ":1");
    redis_says("TTL t:k", ":-1");
    json_object_put(value);
    json_object_put(back);
    larder_close(cache);
}

static void
json_scalars_and_null_come_back(void **state)
{
    struct larder *cache = open_redis();
    json_object *back = NULL;

    (void)state;
    assert_ok(larder_set_raw(cache, "n", "12", 2, 0, NULL));
    assert_ok(larder_get(cache, "n", &back, NULL));
    assert_int_equal(json_object_get_int(back), 12);
    json_object_put(back);
    assert_ok(larder_set(cache, "null", NULL, 0, NULL));
    assert_ok(larder_get(cache, "null", &back, NULL));
    assert_null(back);
    redis_says("GET t:null", "$4\r\nnull");
    larder_close(cache);
}

static void
what_is_not_json_is_corrupt(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {{"", 0},      {"{", 1},        {"{} x", 4},    {"nul", 3},
               {"[1]\0", 4}, {"[1]\0[2]", 7}, {"'a'", 3},     {"\xff\xfe", 2},
               {"[1,]", 4},  {"1 2", 3},      {"{\"a\"}", 5}, {"\"a", 2}};
    struct larder *cache = open_redis();

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_object *back = NULL;
        struct larder_error err = {.message = ""};
        assert_ok(larder_set_raw(cache, "bad", bad[i].text, bad[i].len, 0, NULL));
        enum larder_status status = larder_get(cache, "bad", &back, &err);
        if (status != LARDER_CORRUPT)
            print_error("taken for JSON: %s\n", bad[i].text);
        assert_status(status, LARDER_CORRUPT);
        assert_null(back);
        assert_string_equal(err.message, "the value of bad is not JSON");
    }
    larder_close(cache);
}

static void
raw_bytes_of_every_value_and_size_come_back(void **state)
{
    static const size_t sizes[] = {0, 1, 1023, 1024, 1025, 16384, 5 * 1024 * 1024};
    struct larder *cache = open_redis();

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t len = 0;
        void *back = NULL;
        char *data = malloc(sizes[i] + 1);
        assert_non_null(data);
        for (size_t j = 0; j < sizes[i]; j++)
            data[j] = (char)(j * 7 + j / 256);
        assert_ok(larder_set_raw(cache, "raw", data, sizes[i], 60000, NULL));
        assert_ok(larder_get_raw(cache, "raw", &back, &len, NULL));
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(back, data, len);
        assert_int_equal(((char *)back)[len], 0);
        free(back);
        free(data);
    }
    larder_close(cache);
}

static void
missing_is_a_miss(void **state)
{
    struct larder *cache = open_redis();
    json_object *back = NULL;
    void *data = NULL;
    size_t len = 1;
    bool exists = true;
    int64_t ttl = 1;

    (void)state;
    assert_status(larder_get(cache, "no", &back, NULL), LARDER_MISS);
    assert_status(larder_get_raw(cache, "no", &data, &len, NULL), LARDER_MISS);
    assert_null(data);
    assert_int_equal(len, 0);
    assert_ok(larder_exists(cache, "no", &exists, NULL));
    assert_false(exists);
    assert_status(larder_expire(cache, "no", 1000, NULL), LARDER_MISS);
    assert_status(larder_ttl(cache, "no", &ttl, NULL), LARDER_MISS);
    larder_close(cache);
}

static void
ttl_tells_no_expiry_from_expiry(void **state)
{
    struct larder *cache = open_redis();
    int64_t ttl = 0;

    (void)state;
    assert_ok(larder_set_raw(cache, "k", "1", 1, 0, NULL));
    assert_ok(larder_ttl(cache, "k", &ttl, NULL));
    assert_int_equal(ttl, LARDER_NO_EXPIRY);
    assert_ok(larder_expire(cache, "k", 50000, NULL));
    assert_ok(larder_ttl(cache, "k", &ttl, NULL));
    assert_in_range(ttl, 40000, 50000);
    assert_ok(larder_set_raw(cache, "k", "1", 1, 20, NULL));
    bool exists = true;
    await((larder_exists(cache, "k", &exists, NULL), !exists));
    larder_close(cache);
}

static void
arguments_that_cannot_be_are_refused(void **state)
{
    struct larder *cache = open_redis();
    char key[LARDER_KEY_MAX + 1];
    int64_t ttl;

    (void)state;
    memset(key, 'k', sizeof key);
    key[LARDER_KEY_MAX] = '\0';
    assert_status(larder_set_raw(cache, key, "", 0, 0, NULL), LARDER_INVALID);
    key[LARDER_KEY_MAX - 2] = '\0'; /* "t:" takes two */
    assert_ok(larder_set_raw(cache, key, "", 0, 0, NULL));
    assert_status(larder_set_raw(cache, "", "", 0, 0, NULL), LARDER_INVALID);
    assert_status(larder_ttl(cache, NULL, &ttl, NULL), LARDER_INVALID);
    assert_status(larder_set_raw(cache, "k", "", 0, -1, NULL), LARDER_INVALID);
    assert_status(larder_set_raw(cache, "k", "", 0, INT64_MAX, NULL), LARDER_INVALID);
    assert_status(larder_expire(cache, "k", 0, NULL), LARDER_INVALID);
    larder_close(cache);
}

static void
set_if_absent_leaves_what_is_there(void **state)
{
    struct larder *cache = open_redis();
    json_object *one = json_object_new_int(1);
    int64_t ttl = 0;

    (void)state;
    assert_ok(larder_set_if_absent(cache, "k", one, 60000, NULL));
    assert_status(larder_set_if_absent(cache, "k", NULL, 0, NULL), LARDER_EXISTS);
    redis_says("GET t:k", "$1\r\n1");
    assert_ok(larder_ttl(cache, "k", &ttl, NULL));
    assert_in_range(ttl, 1, 60000);
    json_object_put(one);
    larder_close(cache);
}

static void
increment_counts_and_reports_what_is_no_number(void **state)
{
    struct larder *cache = open_redis();
    struct larder_error err;
    int64_t value = 0;

    (void)state;
    assert_ok(larder_increment(cache, "n", &value, NULL));
    assert_int_equal(value, 1);
    assert_ok(larder_increment_by(cache, "n", -5, &value, NULL));
    assert_int_equal(value, -4);
    assert_ok(larder_increment(cache, "n", NULL, NULL));
    assert_ok(larder_set_raw(cache, "s", "x", 1, 0, NULL));
    assert_status(larder_increment(cache, "s", &value, &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "INCRBY: ERR value is not an integer"));
    assert_int_equal(err.status, LARDER_REFUSED);
    larder_close(cache);
}

static void
many_are_set_read_and_deleted(void **state)
{
    enum { N = 2345 };
    static char names[N][16];
    static const char *keys[N];
    static json_object *values[N];
    static enum larder_status status[N];
    static struct larder_item items[N];
    struct larder *cache = open_redis();
    size_t stored = 0;
    int64_t deleted = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        keys[i] = names[i];
        items[i] = (struct larder_item){names[i], json_object_new_int(i), i % 2 ? 60000 : 0};
    }
    assert_ok(larder_set_many(cache, items, N - 1, &stored, NULL));
    assert_int_equal(stored, N - 1);
    assert_ok(larder_set_raw(cache, "k7", "}", 1, 0, NULL));
    assert_ok(larder_get_many(cache, keys, N, values, status, NULL));
    for (int i = 0; i < N; i++) {
        assert_status(status[i], i == N - 1 ? LARDER_MISS : i == 7 ? LARDER_CORRUPT : LARDER_OK);
        assert_int_equal(json_object_get_int(values[i]),
                         status[i] == LARDER_OK ? json_object_get_int(items[i].value) : 0);
        json_object_put(values[i]);
        json_object_put(items[i].value);
    }
    redis_says("TTL t:k8", ":-1");
    assert_ok(larder_delete(cache, keys, N, &deleted, NULL));
    assert_int_equal(deleted, N - 1);
    redis_says("DBSIZE", ":0");
    assert_ok(larder_delete(cache, keys, 0, &deleted, NULL));
    larder_close(cache);
}

static void
wrong_type_is_refused_with_the_servers_words(void **state)
{
    struct larder *cache = open_redis();
    struct larder_error err;
    json_object *back;

    (void)state;
    redis_says("LPUSH t:list a", ":1");
    assert_status(larder_get(cache, "list", &back, &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "redis /tmp/larder-redis-"));
    assert_non_null(strstr(err.message, ": GET: WRONGTYPE "));
    larder_close(cache);
}

static void
a_disabled_cache_reads_nothing_and_writes_in_silence(void **state)
{
    struct larder *cache = open_disabled();
    const char *key = "k";
    json_object *value = NULL;
    enum larder_status one = LARDER_OK;
    void *data;
    size_t len;
    int64_t n = 1;
    bool exists = true;
    struct larder_item item = {"k", NULL, 0};
    struct larder_stats stats;

    (void)state;
    assert_false(larder_is_enabled(cache));
    assert_status(larder_get(cache, key, &value, NULL), LARDER_DISABLED);
    assert_status(larder_get_raw(cache, key, &data, &len, NULL), LARDER_DISABLED);
    assert_status(larder_get_many(cache, &key, 1, &value, &one, NULL), LARDER_DISABLED);
    assert_status(larder_set_if_absent(cache, key, NULL, 0, NULL), LARDER_DISABLED);
    assert_status(larder_ttl(cache, key, &n, NULL), LARDER_DISABLED);
    assert_status(larder_increment(cache, key, &n, NULL), LARDER_DISABLED);
    assert_status(larder_increment_by(cache, key, 2, &n, NULL), LARDER_DISABLED);
    assert_ok(larder_set(cache, key, NULL, 0, NULL));
    assert_ok(larder_set_raw(cache, key, "", 0, 0, NULL));
    assert_ok(larder_set_many(cache, &item, 1, NULL, NULL));
    assert_ok(larder_delete(cache, &key, 1, &n, NULL));
    assert_int_equal(n, 0);
    assert_ok(larder_expire(cache, key, 5, NULL));
    assert_ok(larder_exists(cache, key, &exists, NULL));
    assert_false(exists);
    assert_ok(larder_flush(cache, NULL, NULL, NULL));
    assert_ok(larder_flush_server(cache, NULL));
    assert_ok(larder_delete_pattern(cache, "*", NULL, NULL, NULL));
    assert_ok(larder_delete_user(cache, "1", NULL, NULL, NULL));
    assert_status(larder_ping(cache, NULL, NULL), LARDER_DISABLED);
    assert_status(larder_server_stats(cache, &value, NULL), LARDER_DISABLED);
    larder_stats(cache, &stats);
    assert_false(stats.enabled);
    larder_close(cache);
    redis_says("DBSIZE", ":0");
}

static void
with_redis_gone_every_call_says_so(void **state)
{
    struct larder *cache = open_gone();
    const char *key = "k";
    json_object *value = NULL;
    enum larder_status one = LARDER_OK;
    void *data;
    size_t len;
    int64_t n = 1;
    bool exists = true;
    struct larder_item item = {"k", NULL, 0};
    struct larder_error err = {.message = ""};
    struct larder_stats stats;

    (void)state;
    assert_status(larder_get(cache, key, &value, &err), LARDER_UNAVAILABLE);
    assert_string_equal(err.message,
                        "redis /nonexistent/redis.sock: connect: No such file or directory");
    assert_status(larder_get_raw(cache, key, &data, &len, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_get_many(cache, &key, 1, &value, &one, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_set_if_absent(cache, key, NULL, 0, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_ttl(cache, key, &n, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_increment(cache, key, &n, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_set(cache, key, NULL, 0, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_set_raw(cache, key, "", 0, 0, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_set_many(cache, &item, 1, NULL, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_delete(cache, &key, 1, &n, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_expire(cache, key, 5, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_exists(cache, key, &exists, NULL), LARDER_UNAVAILABLE);
    assert_false(exists);
    assert_status(larder_flush(cache, NULL, NULL, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_flush_server(cache, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_delete_pattern(cache, "*", NULL, NULL, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_delete_user(cache, "1", NULL, NULL, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_ping(cache, NULL, NULL), LARDER_UNAVAILABLE);
    assert_status(larder_server_stats(cache, &value, NULL), LARDER_UNAVAILABLE);
    larder_stats(cache, &stats);
    assert_true(stats.enabled);
    assert_int_equal(stats.errors, 18);
    larder_close(cache);
}

static void
statistics_count_hits_misses_and_tell_the_servers(void **state)
{
    struct larder *cache = open_redis();
    struct larder_stats stats;
    json_object *value = NULL;
    int64_t rtt = -1;

    (void)state;
    assert_ok(larder_set(cache, "k", NULL, 0, NULL));
    assert_ok(larder_get(cache, "k", &value, NULL));
    assert_status(larder_get(cache, "no", &value, NULL), LARDER_MISS);
    larder_stats(cache, &stats);
    assert_true(stats.enabled);
    assert_true(stats.available);
    assert_int_equal(stats.hits, 1);
    assert_int_equal(stats.misses, 1);
    assert_int_equal(stats.errors, 0);
    assert_ok(larder_ping(cache, &rtt, NULL));
    assert_in_range(rtt, 0, 5000000);

    json_object *info = NULL;
    json_object *field = NULL;
    assert_ok(larder_server_stats(cache, &info, NULL));
    assert_true(json_object_object_get_ex(info, "keyspace_hits", &field));
    assert_true(json_object_is_type(field, json_type_int));
    assert_true(json_object_get_int64(field) >= 1);
    assert_true(json_object_object_get_ex(info, "instantaneous_input_kbps", &field));
    assert_true(json_object_is_type(field, json_type_string));
    json_object_put(info);
    larder_close(cache);
}

static void
namespaces_do_not_see_each_other(void **state)
{
    struct larder_options options = redis_options();
    struct larder *one = open_with(&options);
    options.name_space = "u";
    struct larder *two = open_with(&options);
    options.name_space = "";
    struct larder *none = open_with(&options);
    json_object *value = NULL;

    (void)state;
    assert_string_equal(larder_namespace(one), "t");
    assert_string_equal(larder_namespace(none), "");
    assert_ok(larder_set_raw(one, "k", "1", 1, 0, NULL));
    assert_status(larder_get(two, "k", &value, NULL), LARDER_MISS);
    assert_status(larder_get(none, "k", &value, NULL), LARDER_MISS);
    assert_ok(larder_get(none, "t:k", &value, NULL));
    json_object_put(value);
    larder_close(one);
    larder_close(two);
    larder_close(none);
}

static void
options_out_of_range_are_refused(void **state)
{
    struct larder_options options = redis_options();
    struct larder *cache = NULL;
    struct larder_error err;

    (void)state;
    options.pool_max = 0;
    assert_status(larder_open(&options, &cache, &err), LARDER_INVALID);
    assert_string_equal(err.message, "pool_max is 0: between 1 and 10000 is expected");
    assert_null(cache);
    options = redis_options();
    options.user = "someone";
    assert_status(larder_open(&options, &cache, NULL), LARDER_INVALID);
    options = redis_options();
    options.name_space = "a b";
    assert_status(larder_open(&options, &cache, NULL), LARDER_INVALID);
    options = redis_options();
    options.unix_path = NULL;
    options.port = 65536;
    assert_status(larder_open(&options, &cache, NULL), LARDER_INVALID);
    options = redis_options();
    assert_int_equal(options.wait_replicas, 0);
    assert_int_equal(options.wait_timeout_ms, 1000);
    assert_int_equal(options.news_length, 10000);
    options.wait_replicas = -1;
    assert_status(larder_open(&options, &cache, NULL), LARDER_INVALID);
    options = redis_options();
    options.wait_timeout_ms = 0; /* to Redis, for ever */
    assert_status(larder_open(&options, &cache, NULL), LARDER_INVALID);
    options = redis_options();
    options.news_length = 99;
    assert_status(larder_open(&options, &cache, NULL), LARDER_INVALID);
    memset(&options, 0, sizeof options);
    assert_status(larder_open(&options, &cache, NULL), LARDER_INVALID);
}

static void
options_of_another_size_are_filled_within_it(void **state)
{
    char room[sizeof(struct larder_options) + 64];
    struct larder_options *options = (struct larder_options *)(void *)room;

    (void)state;
    memset(room, 'x', sizeof room);
    larder_options_init_sized(options, offsetof(struct larder_options, port));
    assert_true(options->enabled);
    assert_string_equal(options->host, "127.0.0.1");
    assert_int_equal(((unsigned char *)room)[offsetof(struct larder_options, port)], 'x');
    larder_options_init_sized(options, sizeof room);
    assert_int_equal(options->size, sizeof room);
    assert_int_equal(room[sizeof room - 1], 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(json_comes_back_as_it_went_in, empty_redis),
        cmocka_unit_test_setup(json_scalars_and_null_come_back, empty_redis),
        cmocka_unit_test_setup(what_is_not_json_is_corrupt, empty_redis),
        cmocka_unit_test_setup(raw_bytes_of_every_value_and_size_come_back, empty_redis),
        cmocka_unit_test_setup(missing_is_a_miss, empty_redis),
        cmocka_unit_test_setup(ttl_tells_no_expiry_from_expiry, empty_redis),
        cmocka_unit_test_setup(arguments_that_cannot_be_are_refused, empty_redis),
        cmocka_unit_test_setup(set_if_absent_leaves_what_is_there, empty_redis),
        cmocka_unit_test_setup(increment_counts_and_reports_what_is_no_number, empty_redis),
        cmocka_unit_test_setup(many_are_set_read_and_deleted, empty_redis),
        cmocka_unit_test_setup(wrong_type_is_refused_with_the_servers_words, empty_redis),
        cmocka_unit_test_setup(a_disabled_cache_reads_nothing_and_writes_in_silence, empty_redis),
        cmocka_unit_test_setup(with_redis_gone_every_call_says_so, empty_redis),
        cmocka_unit_test_setup(statistics_count_hits_misses_and_tell_the_servers, empty_redis),
        cmocka_unit_test_setup(namespaces_do_not_see_each_other, empty_redis),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(options_of_another_size_are_filled_within_it),
    };

    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
