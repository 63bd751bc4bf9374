/*
 * The store's calls: entry and generations in one round trip, bodies of any
 * size and bytes, whatever pieces the answer comes in, and no garbage believed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>

#include "client/generations.h"
#include "client/store.h"
#include "client_fixture.h"
#include "raw_server.h"

static void
put_bytes(struct larder *cache, const char *key, char *data, size_t len)
{
    struct iovec iov[3] = {{data, len / 3}, {data + len / 3, 0}, {data + len / 3, len - len / 3}};

    assert_ok(store_put(cache, key, iov, 3, 60000, NULL, soon(), NULL));
}

static void
an_entry_comes_back_whole_at_every_size(void **state)
{
    /* around the look-up's stack buffer of 16 KiB, with and without what precedes the body */
    static const size_t sizes[] = {0,     1,     100,   1000,  16000, 16250, 16290,
                                   16300, 16370, 16380, 16384, 16400, 40000, 8u << 20};
    struct larder *cache = open_redis();
    struct store_tags tags;
    struct store_generations now;
    uint64_t identity = 0;

    (void)state;
    tags = tags_for("session", "42");
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct store_value value;
        char *data = malloc(sizes[i] + 1);
        assert_non_null(data);
        for (size_t j = 0; j < sizes[i]; j++)
            data[j] = (char)(j * 31 + j / 256);
        put_bytes(cache, "response:1", data, sizes[i]);
        assert_ok(store_lookup(cache, "response:1", &tags, sizes[i], soon(), &value, NULL));
        assert_int_equal(value.len, sizes[i]);
        assert_memory_equal(value.data, data, value.len);
        assert_memory_equal(&value.current, &now, sizeof now);
        free(value.data);
        free(data);
    }
    redis_says("DBSIZE", ":6");
    larder_close(cache);
}

static void
every_byte_value_comes_back(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags none = {.count = 0};
    struct store_value value;
    char data[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        data[i] = (char)i;
    put_bytes(cache, "k", data, sizeof data);
    assert_ok(store_lookup(cache, "k", &none, 256, soon(), &value, NULL));
    assert_int_equal(value.len, 256);
    assert_memory_equal(value.data, data, 256);
    assert_int_equal(value.current.count, 0);
    free(value.data);
    larder_close(cache);
}

static void
a_miss_still_tells_the_generations(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags;
    struct store_generations now;
    uint64_t identity = 0;
    struct store_value value;

    (void)state;
    tags = tags_for("session", NULL);
    assert_status(store_lookup(cache, "no", &tags, 10, soon(), &value, NULL), LARDER_MISS);
    assert_int_equal(value.current.count, 3);
    assert_string_equal(value.current.value[0], "");
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    assert_status(store_lookup(cache, "no", &tags, 10, soon(), &value, NULL), LARDER_MISS);
    assert_memory_equal(&value.current, &now, sizeof now);
    assert_null(value.data);
    larder_close(cache);
}

static void
generations_are_made_once_and_live_on(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags;
    struct store_generations one, two;
    uint64_t identity = 0;
    char answer[64];

    (void)state;
    tags = tags_for("session", "42");
    assert_ok(store_generations(cache, &tags, soon(), &one, &identity, NULL, NULL));
    assert_int_equal(one.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(strspn(one.value[i], "0123456789abcdef"), STORE_GENERATION_LEN);
        assert_string_equal(one.value[i] + STORE_HARD_LEN, "0000000000000000");
        assert_true(store_generation_settled(one.value[i]));
        assert_int_equal(store_soft_time_ms(one.value[i]), 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(one.value[i], one.value[j]);
    }
    assert_ok(store_generations(cache, &tags, soon(), &two, &identity, NULL, NULL));
    assert_memory_equal(&one, &two, sizeof one);
    /* Who only asks does not fill Redis for long. */
    assert_true(redis_fixture_command(&redis, "TTL t:gen:all", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 1, STORE_GENERATION_NEW_S);
    redis_says("DEL t:gen:user:42", ":1");
    assert_ok(store_generations(cache, &tags, soon(), &two, &identity, NULL, NULL));
    assert_string_equal(one.value[0], two.value[0]);
    assert_string_not_equal(one.value[3], two.value[3]);
    larder_close(cache);
}

static void
a_full_redis_gives_no_generation_and_no_error(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags;
    struct store_generations now;
    uint64_t identity = 0;
    struct iovec iov = {NULL, 0};
    struct larder_error err;
    bool invalidated = false;
    const char *pattern = "session:*";

    (void)state;
    tags = tags_for("session", NULL);
    redis_says("SET t:gen:all 0123456789abcdef0000000000000000", "+OK");
    redis_says("CONFIG SET maxmemory 1", "+OK");
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    assert_string_equal(now.value[0], "0123456789abcdef0000000000000000");
    assert_string_equal(now.value[1], "");
    assert_status(store_put(cache, "k", &iov, 1, 1000, NULL, soon(), &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "SET: OOM "));
    assert_ok(store_invalidate(cache, &pattern, 1, soon(), NULL, NULL, NULL, &invalidated, NULL));
    assert_true(invalidated);
    redis_says("CONFIG SET maxmemory 0", "+OK");
    larder_close(cache);
}

static void
what_is_no_generation_counts_as_missing(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags;
    struct store_value value;
    struct store_generations now;
    uint64_t identity = 0;

    (void)state;
    tags = tags_for("session", "42");
    redis_says("SET t:gen:all short", "+OK");
    redis_says("SET t:gen:url:1234 0123456789abcdef0123456789abcdef0", "+OK");
    redis_says("SET t:gen:resource:session 0123456789abcdef", "+OK"); /* an older Larder's */
    redis_says("LPUSH t:gen:user:42 x", ":1");
    redis_says("SET t:gen:resource:session:user:42 fedcba98765432100123456789abcdef", "+OK");
    assert_status(store_lookup(cache, "no", &tags, 10, soon(), &value, NULL), LARDER_MISS);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(value.current.value[i], "");
    assert_string_equal(value.current.value[4], "fedcba98765432100123456789abcdef");

    /* Nor is it in the way of fills for longer than one of them. */
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(now.value[i], "");
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    for (size_t i = 0; i < 5; i++)
        assert_true(store_generation_settled(now.value[i]));
    assert_string_equal(now.value[4], "fedcba98765432100123456789abcdef");
    larder_close(cache);
}

static void
a_marked_generation_of_any_length_is_reported_as_marked(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags = tags_for("session", NULL);
    struct store_value value;
    store_generation now[3];
    uint64_t identity = 0;
    char command[GENERATION_MARKED_MAX + 64];

    (void)state;
    redis_says("SET t:gen:all M0_-_0123456789abcdef:1", "+OK");
    int n = snprintf(command, sizeof command, "SET t:gen:url:1234 M");
    memset(command + n, 'x', GENERATION_MARKED_MAX - 1);
    command[(size_t)n + GENERATION_MARKED_MAX - 1] = '\0';
    redis_says(command, "+OK");
    command[(size_t)n + GENERATION_MARKED_MAX - 1] = 'x';
    command[(size_t)n + GENERATION_MARKED_MAX] = '\0';
    redis_says("SET t:gen:resource:session Maaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "+OK"); /* of 32 */
    assert_status(store_lookup(cache, "no", &tags, 10, soon(), &value, NULL), LARDER_MISS);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(value.current.value[i], "M");
        assert_false(store_generation_settled(value.current.value[i]));
    }
    put_bytes(cache, "k", (char[]){"v"}, 1);
    assert_ok(store_lookup(cache, "k", &tags, 10, soon(), &value, NULL));
    assert_int_equal(value.data[0], 'v');
    free(value.data);
    redis_says(command, "+OK"); /* one byte more, and it is no generation at all */
    assert_ok(store_current(cache, tags.name, 3, soon(), now, &identity, NULL));
    assert_string_equal(now[0], "M");
    assert_string_equal(now[1], "");
    assert_string_equal(now[2], "M");
    larder_close(cache);
}

static void
current_generations_come_without_a_value_and_nothing_changes(void **state)
{
    struct larder *cache = open_redis();
    struct larder *off = open_disabled();
    const char *tags[] = {"tag:a", "tag:b", "tag:c"};
    store_generation now[3];
    uint64_t identity = 0;

    (void)state;
    redis_says("SET t:gen:tag:a 0123456789abcdef0000000000000000", "+OK");
    redis_says("SET t:gen:tag:c M0_-_x", "+OK");
    assert_ok(store_current(cache, tags, 3, soon(), now, &identity, NULL));
    assert_string_equal(now[0], "0123456789abcdef0000000000000000");
    assert_string_equal(now[1], "");
    assert_string_equal(now[2], "M");
    assert_true(identity != 0);
    redis_says("DBSIZE", ":2");
    uint64_t again = 0;
    assert_ok(store_current(cache, tags, 0, soon(), NULL, &again, NULL));
    assert_true(again == identity);
    assert_status(store_current(cache, tags, STORE_OWN_TAGS_MAX + 1, soon(), now, &again, NULL),
                  LARDER_INVALID);
    assert_status(store_current(off, tags, 3, soon(), now, &again, NULL), LARDER_DISABLED);
    larder_close(cache);
    larder_close(off);
}

static void
a_soft_part_tells_its_time(void **state)
{
    (void)state;
    static const struct {
        store_generation value;
        int64_t time_ms;
    } cases[] = {
        {"0123456789abcdef018bcfe5680001ab", INT64_C(1700000000000)},
        {"0123456789abcdefffffffffffff0000", INT64_C(0xffffffffffff)},
        {"0123456789abcdef0000000000000000", 0},
        {"0123456789abcdef018bcfe5680g0000", 0},
        {"M", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(store_soft_time_ms(cases[i].value) == cases[i].time_ms);
}

static void
a_guarded_put_replaces_only_what_was_seen(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags none = {.count = 0};
    struct store_value value;
    char first[] = "head one, body", second[] = "head two, body", third[] = "head three";
    struct iovec pieces[2] = {{second, 4}, {second + 4, sizeof second - 5}};
    struct iovec other = {third, sizeof third - 1};
    struct store_guard guard = {.offset = 5, .bytes = "one", .len = 3};

    (void)state;
    /* Not what is not there at all. */
    assert_status(store_put(cache, "k", pieces, 2, 60000, &guard, soon(), NULL), LARDER_EXISTS);
    redis_says("EXISTS t:k", ":0");
    put_bytes(cache, "k", first, sizeof first - 1);
    assert_ok(store_put(cache, "k", pieces, 2, 50000, &guard, soon(), NULL));
    assert_ok(store_lookup(cache, "k", &none, 100, soon(), &value, NULL));
    assert_int_equal(value.len, sizeof second - 1);
    assert_memory_equal(value.data, second, value.len);
    free(value.data);
    char answer[64];
    assert_true(redis_fixture_command(&redis, "PTTL t:k", answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 1, 50000);
    /* Somebody else's came meanwhile. */
    assert_status(store_put(cache, "k", &other, 1, 60000, &guard, soon(), NULL), LARDER_EXISTS);
    assert_ok(store_lookup(cache, "k", &none, 100, soon(), &value, NULL));
    assert_memory_equal(value.data, second, value.len);
    free(value.data);
    guard.len = 0;
    assert_status(store_put(cache, "k", &other, 1, 60000, &guard, soon(), NULL), LARDER_INVALID);
    larder_close(cache);
}

static void
a_guard_may_protect_what_is_there(void **state)
{
    struct larder *cache = open_redis();
    char text[] = "anything";
    struct iovec piece = {text, sizeof text - 1};
    const struct store_guard guard = {.bytes = "MARK", .len = 4, .unless = true};

    (void)state;
    assert_ok(store_put(cache, "k", &piece, 1, 60000, &guard, soon(), NULL));
    assert_ok(store_put(cache, "k", &piece, 1, 60000, &guard, soon(), NULL));
    redis_says("SET t:k MARK:1", "+OK");
    assert_status(store_put(cache, "k", &piece, 1, 60000, &guard, soon(), NULL), LARDER_EXISTS);
    redis_says("STRLEN t:k", ":6");
    larder_close(cache);
}

static void
a_guarded_drop_takes_only_what_was_seen(void **state)
{
    struct larder *cache = open_redis();
    struct store_guard guard = {.offset = 2, .bytes = "one", .len = 3};

    (void)state;
    assert_status(store_drop(cache, "k", &guard, soon(), NULL), LARDER_EXISTS);
    redis_says("SET t:k a-two", "+OK");
    assert_status(store_drop(cache, "k", &guard, soon(), NULL), LARDER_EXISTS);
    redis_says("EXISTS t:k", ":1");
    redis_says("SET t:k a-one", "+OK");
    assert_ok(store_drop(cache, "k", &guard, soon(), NULL));
    redis_says("EXISTS t:k", ":0");
    guard.len = 0;
    assert_status(store_drop(cache, "k", &guard, soon(), NULL), LARDER_INVALID);
    larder_close(cache);
}

static long
life_of(const char *tag)
{
    char command[64], answer[64];
    snprintf(command, sizeof command, "TTL t:gen:%s", tag);
    assert_true(redis_fixture_command(&redis, command, answer, sizeof answer));
    return strtol(answer + 1, NULL, 10);
}

static void
a_generation_lives_long_once_something_is_stored_under_it(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags = tags_for(NULL, NULL);
    struct store_generations now;
    uint64_t identity = 0;

    (void)state;
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    redis_says("EXPIRE t:gen:all 5000", ":1");
    /* It lives long enough for that one. */
    const struct store_lives lives = {tags.name, (const store_generation *)now.value, tags.count};
    assert_ok(store_generations_keep(cache, &lives, 1000000, soon(), NULL));
    assert_in_range(life_of("all"), 4990, 5000);
    assert_in_range(life_of("url:1234"), 1, STORE_GENERATION_NEW_S);
    /* One of them does not for this one. */
    assert_ok(store_generations_keep(cache, &lives, 4500000, soon(), NULL));
    assert_in_range(life_of("all"), 4990, 5000);
    assert_in_range(life_of("url:1234"), 9110, 9120);
    /* Another one by now, or none, or an older Larder has marked it: it is nobody's to prolong. */
    redis_says("SET t:gen:all fedcba98765432100000000000000000 EX 50", "+OK");
    redis_says("DEL t:gen:url:1234", ":1");
    assert_ok(store_generations_keep(cache, &lives, 4500000, soon(), NULL));
    assert_in_range(life_of("all"), 1, 50);
    assert_int_equal(life_of("url:1234"), -2);
    redis_says("SET t:gen:all M0_-_x EX 50", "+OK");
    assert_ok(store_generations_keep(cache, &lives, 4500000, soon(), NULL));
    assert_in_range(life_of("all"), 1, 50);
    larder_close(cache);
}

static void
an_entry_and_the_lives_of_its_generations_are_one_round_trip(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags = tags_for(NULL, NULL);
    struct store_generations now;
    uint64_t identity = 0;
    char x[] = "x";
    struct iovec piece = {x, 1};
    const struct store_guard guard = {.bytes = "y", .len = 1};

    (void)state;
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    const struct store_lives lives = {tags.name, (const store_generation *)now.value, tags.count};
    assert_ok(store_put_under(cache, "k", &piece, 1, 2000000, NULL, &lives, soon(), NULL));
    redis_says("STRLEN t:k", ":1");
    assert_in_range(life_of("url:1234"), 1, STORE_GENERATION_NEW_S);
    /* A key that is none of ours keeps the others from nothing. */
    redis_says("DEL t:gen:all", ":1");
    redis_says("LPUSH t:gen:all x", ":1");
    redis_says("EXPIRE t:gen:all 10", ":1");
    assert_ok(store_put_under(cache, "k", &piece, 1, 4500000, NULL, &lives, soon(), NULL));
    assert_in_range(life_of("url:1234"), 9110, 9120);
    assert_in_range(life_of("all"), 1, 10);
    assert_status(store_put_under(cache, "k", &piece, 1, 1000, &guard, &lives, soon(), NULL),
                  LARDER_EXISTS);
    redis_says("CONFIG SET maxmemory 1", "+OK");
    assert_status(store_put_under(cache, "k", &piece, 1, 1000, NULL, &lives, soon(), NULL),
                  LARDER_REFUSED);
    redis_says("CONFIG SET maxmemory 0", "+OK");
    larder_close(cache);
}

static void
a_value_too_long_is_corrupt_and_harms_nobody(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags none = {.count = 0};
    struct store_value value;
    struct larder_stats stats;
    char *data = calloc(1, 3u << 20);

    (void)state;
    assert_non_null(data);
    put_bytes(cache, "small", data, 10);
    put_bytes(cache, "long", data, 100000);
    put_bytes(cache, "longest", data, 3u << 20);
    for (int i = 0; i < 3; i++) {
        assert_status(store_lookup(cache, "long", &none, 99999, soon(), &value, NULL),
                      LARDER_CORRUPT);
        assert_null(value.data);
        assert_ok(store_lookup(cache, "small", &none, 10, soon(), &value, NULL));
        assert_int_equal(value.len, 10);
        free(value.data);
    }
    larder_stats(cache, &stats);
    assert_int_equal(stats.pool_total, 1);
    assert_int_equal(stats.pool_misses, 1);
    assert_status(store_lookup(cache, "longest", &none, 99999, soon(), &value, NULL),
                  LARDER_CORRUPT);
    assert_ok(store_lookup(cache, "small", &none, 10, soon(), &value, NULL));
    free(value.data);
    free(data);
    larder_close(cache);
}

static void
a_key_of_another_type_is_a_miss_and_harms_nobody(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags;
    struct store_value value;
    struct larder_error err;

    (void)state;
    tags = tags_for("session", NULL);
    redis_says("LPUSH t:list x", ":1");
    assert_status(store_lookup(cache, "list", &tags, 10, soon(), &value, &err), LARDER_MISS);
    put_bytes(cache, "k", (char[]){"v"}, 1);
    assert_ok(store_lookup(cache, "k", &tags, 10, soon(), &value, NULL));
    assert_int_equal(value.data[0], 'v');
    free(value.data);
    struct larder_stats stats;
    larder_stats(cache, &stats);
    assert_int_equal(stats.pool_misses, 1);
    larder_close(cache);
}

static void
lifetimes_out_of_range_are_refused(void **state)
{
    struct larder *cache = open_redis();
    struct larder *off = open_disabled();
    struct iovec iov = {NULL, 0};
    struct store_tags tags = {.count = STORE_TAGS_MAX + 1};
    struct store_value value;
    struct store_generations now;
    uint64_t identity = 0;

    (void)state;
    assert_status(store_put(cache, "k", &iov, 1, 0, NULL, soon(), NULL), LARDER_INVALID);
    assert_status(store_put(cache, "k", &iov, 1, STORE_TTL_MAX_S * 1000 + 1, NULL, soon(), NULL),
                  LARDER_INVALID);
    assert_status(store_lookup(cache, "k", &tags, 1, soon(), &value, NULL), LARDER_INVALID);
    tags.count = 0;
    assert_status(store_lookup(off, "k", &tags, 1, soon(), &value, NULL), LARDER_DISABLED);
    assert_status(store_generations(off, &tags, soon(), &now, &identity, NULL, NULL),
                  LARDER_DISABLED);
    assert_status(store_put(off, "k", &iov, 1, 1, NULL, soon(), NULL), LARDER_DISABLED);
    larder_close(cache);
    larder_close(off);
}

/* ------------------------------------------- a server that answers what we say */

struct script {
    const char *answer;
    bool in_bytes; /* one at a time */
    bool hang_up;
};

static void
play(struct raw_conn *conn)
{
    const struct script *script = conn->arg;
    char command[4096];

    /* One look-up comes in one piece. */
    while (redis_hears(conn->fd, command, sizeof command) > 0) {
        size_t n = strlen(script->answer);
        for (size_t i = 0; i < n; i += script->in_bytes ? 1 : n) {
            if (!raw_send(conn->fd, script->answer + i, script->in_bytes ? 1 : n))
                return;
            if (script->in_bytes)
                pause_ms(1);
        }
        if (script->hang_up)
            return;
    }
}

static enum larder_status
look_up_at(struct script *script, int64_t budget_ms, struct store_value *value,
           struct larder_error *err)
{
    struct raw_server *server = raw_server_start(NULL, play, script);
    struct larder_options options;
    struct store_tags tags;

    larder_options_init(&options);
    options.port = raw_server_port(server);
    options.lazy = true;
    options.pool_min_idle = 0;
    struct larder *cache = open_with(&options);
    tags = (struct store_tags){.count = 2, .name = {"all", "resource:r"}};
    enum larder_status status =
        store_lookup(cache, "k", &tags, 100, clock_now_ms() + budget_ms, value, err);
    struct larder_stats stats;
    larder_stats(cache, &stats);
    /* Kept only when all was read and nothing is left. */
    assert_int_equal(stats.pool_idle,
                     (status == LARDER_OK || status == LARDER_MISS || status == LARDER_CORRUPT ||
                      (status == LARDER_REFUSED && !strstr(err->message, "LOADING")))
                         ? 1
                         : 0);
    larder_close(cache);
    raw_server_stop(server);
    return status;
}

#define GENERATIONS "*3\r\n$32\r\n0123456789abcdef0000000000000000\r\n$-1\r\n"

static void
an_answer_may_come_in_any_pieces(void **state)
{
    struct script script = {GENERATIONS "$5\r\nhello\r\n", true, false};
    struct store_value value;
    struct larder_error err = {.message = ""};

    (void)state;
    assert_ok(look_up_at(&script, 5000, &value, &err));
    assert_int_equal(value.len, 5);
    assert_memory_equal(value.data, "hello", 5);
    assert_string_equal(value.current.value[0], "0123456789abcdef0000000000000000");
    assert_string_equal(value.current.value[1], "");
    free(value.data);
}

static void
garbage_is_never_believed(void **state)
{
    static const char *const garbage[] = {
        "hello\r\n",
        "\r\n",
        "\n",
        "*4\r\n$-1\r\n$-1\r\n$-1\r\n$1\r\nx\r\n",
        "*2\r\n$-1\r\n$1\r\nx\r\n",
        "*-1\r\n$1\r\nx\r\n",
        "*3\r\n$-1\r\n:1\r\n$1\r\nx\r\n",
        "*3\r\n$-1\r\n-ERR x\r\n$1\r\nx\r\n",
        "*99999999999999999999\r\n",
        GENERATIONS ":1\r\n",
        GENERATIONS "+OK\r\n",
        GENERATIONS "*1\r\n$1\r\nx\r\n",
        GENERATIONS "-ERR x\r\n",
        "-ERR no\r\n$1\r\nx\r\n",
        GENERATIONS "$1\r\nxy\r\n",
        GENERATIONS "$1\r\nx\r\n+",
        GENERATIONS "$1\r\nx\r\n$-1\r\n",
        GENERATIONS "$-2\r\n",
        GENERATIONS "$+1\r\nx\r\n",
        GENERATIONS "$ 1\r\nx\r\n",
        GENERATIONS "$\r\nx\r\n",
        GENERATIONS "$1\nx\r\n",
        GENERATIONS "$999999999999\r\n",
        GENERATIONS "$1e3\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        struct script script = {garbage[i], false, false};
        struct store_value value;
        struct larder_error err = {.message = ""};
        enum larder_status status = look_up_at(&script, 5000, &value, &err);
        if (status != LARDER_PROTOCOL)
            print_error("believed: %s\n", garbage[i]);
        assert_status(status, LARDER_PROTOCOL);
        assert_null(value.data);
    }
}

static void
a_line_without_end_is_garbage(void **state)
{
    static char line[5000];
    struct script script = {line, false, false};
    struct store_value value;
    struct larder_error err = {.message = ""};

    (void)state;
    memset(line, 'x', sizeof line - 1);
    line[0] = '*';
    assert_status(look_up_at(&script, 5000, &value, &err), LARDER_PROTOCOL);
}

static void
an_answer_that_breaks_off_is_no_answer(void **state)
{
    static const char *const halves[] = {"",
                                         "*3\r\n$32\r\n0123",
                                         GENERATIONS,
                                         GENERATIONS "$5\r\nhel",
                                         GENERATIONS "$5\r\nhello",
                                         GENERATIONS "$5\r\nhello\r"};

    (void)state;
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        struct script script = {halves[i], false, true};
        struct store_value value;
        struct larder_error err = {.message = ""};
        assert_status(look_up_at(&script, 5000, &value, &err), LARDER_UNAVAILABLE);
        assert_null(value.data);
        script.hang_up = false;
        int64_t before = clock_now_ms();
        assert_status(look_up_at(&script, 30, &value, &err), LARDER_TIMEOUT);
        assert_in_range(clock_now_ms() - before, 30, 1000);
        assert_null(value.data);
    }
}

static void
refusals_are_reported_in_the_servers_words(void **state)
{
    struct script script = {"-NOAUTH Authentication required.\r\n", false, false};
    struct store_value value;
    struct larder_error err = {.message = ""};

    (void)state;
    assert_status(look_up_at(&script, 5000, &value, &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "MGET (lookup): NOAUTH Authentication required."));
    assert_null(value.data);
    script.answer = "-LOADING Redis is loading the dataset in memory\r\n";
    assert_status(look_up_at(&script, 5000, &value, &err), LARDER_REFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_entry_comes_back_whole_at_every_size, empty_redis),
        cmocka_unit_test_setup(every_byte_value_comes_back, empty_redis),
        cmocka_unit_test_setup(a_miss_still_tells_the_generations, empty_redis),
        cmocka_unit_test_setup(generations_are_made_once_and_live_on, empty_redis),
        cmocka_unit_test_setup(a_full_redis_gives_no_generation_and_no_error, empty_redis),
        cmocka_unit_test_setup(what_is_no_generation_counts_as_missing, empty_redis),
        cmocka_unit_test_setup(a_marked_generation_of_any_length_is_reported_as_marked,
                               empty_redis),
        cmocka_unit_test_setup(current_generations_come_without_a_value_and_nothing_changes,
                               empty_redis),
        cmocka_unit_test(a_soft_part_tells_its_time),
        cmocka_unit_test_setup(a_guarded_put_replaces_only_what_was_seen, empty_redis),
        cmocka_unit_test_setup(a_guard_may_protect_what_is_there, empty_redis),
        cmocka_unit_test_setup(a_guarded_drop_takes_only_what_was_seen, empty_redis),
        cmocka_unit_test_setup(a_generation_lives_long_once_something_is_stored_under_it,
                               empty_redis),
        cmocka_unit_test_setup(a_value_too_long_is_corrupt_and_harms_nobody, empty_redis),
        cmocka_unit_test_setup(a_key_of_another_type_is_a_miss_and_harms_nobody, empty_redis),
        cmocka_unit_test_setup(lifetimes_out_of_range_are_refused, empty_redis),
        cmocka_unit_test_setup(an_entry_and_the_lives_of_its_generations_are_one_round_trip,
                               empty_redis),
        cmocka_unit_test(an_answer_may_come_in_any_pieces),
        cmocka_unit_test(garbage_is_never_believed),
        cmocka_unit_test(a_line_without_end_is_garbage),
        cmocka_unit_test(an_answer_that_breaks_off_is_no_answer),
        cmocka_unit_test(refusals_are_reported_in_the_servers_words),
    };

    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
