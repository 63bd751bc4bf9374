/*
 * glob_match() against a real redis-server: whatever KEYS says of a key, we say
 * too, for patterns made to be awkward.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/glob.h"
#include "redis_fixture.h"

#define SEED 20240613u
#define TEXTS 300
#define PATTERNS 6000
#define TEXT_MAX 8
#define PATTERN_MAX 14

static bool
match(const char *pattern, const char *text)
{
    return glob_match(pattern, strlen(pattern), text, strlen(text));
}

static void
stars_take_any_run(void **state)
{
    (void)state;
    assert_true(match("session:*", "session:"));
    assert_true(match("session:*", "session:1:stats"));
    assert_false(match("session:*", "sessions:1"));
    assert_true(match("*:user:42*", "quota:user:42"));
    assert_true(match("*:user:42*", "quota:user:424")); /* why larder_delete_user() exists */
    assert_false(match("*:user:42*", "user:42"));
    assert_true(match("a*b*c", "a-b-b-c-c"));
    assert_false(match("a*b*c", "a-b-b-c-d"));
    assert_true(match("", ""));
    assert_false(match("", "a"));
    assert_false(match("a", ""));
}

static void
escapes_and_classes_are_literal_where_they_should_be(void **state)
{
    (void)state;
    assert_true(match("a\\*", "a*"));
    assert_false(match("a\\*", "ab"));
    assert_true(match("[^a-c]", "d"));
    assert_false(match("[^a-c]", "b"));
    assert_true(match("[c-a]", "b"));
    assert_true(match("[\\]]", "]"));
    assert_true(match("[ab", "b"));
    assert_true(match("[^", "x"));
    assert_false(match("[", "["));
    assert_true(match("\\", "\\"));
}

/* A pattern is not NUL-terminated: the byte behind it must not count. */
static void
nothing_behind_the_pattern_counts(void **state)
{
    (void)state;
    assert_true(glob_match("[ab]x", 3, "b", 1));
    assert_true(glob_match("a*b", 2, "axx", 3));
    assert_true(glob_match("[^]", 2, "x", 1));
    assert_true(glob_match("\\a", 1, "\\", 1));
    assert_true(glob_match("a\0b", 3, "a\0b", 3));
    assert_false(glob_match("a\0b", 3, "a\0c", 3));
}

/* An exponential matcher would not be back before the universe ends; the alarm is earlier. */
static void
many_stars_take_bounded_time(void **state)
{
    (void)state;
    static char text[20000], pattern[1025];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i + 1 < sizeof pattern; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[sizeof pattern - 1] = 'b';
    alarm(20);
    assert_false(glob_match("*a*a*a*a*a*a*a*a*a*b", 20, text, sizeof text));
    assert_false(glob_match(pattern, sizeof pattern, text, sizeof text));
    alarm(0);
}

/* ------------------------------------------------------------------------- against the server */

struct text {
    size_t len;
    char byte[TEXT_MAX];
};

static uint32_t random_state = SEED;

static uint32_t
random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static char
random_byte(const char *alphabet, size_t n)
{
    return alphabet[random_below((uint32_t)n)];
}

/* The server's words, for a failure that can be read. */
static void
print_bytes(const char *what, const char *p, size_t n)
{
    fprintf(stderr, "%s \"", what);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, p[i] > 0x20 && p[i] < 0x7f ? "%c" : "\\x%02x", (unsigned char)p[i]);
    fprintf(stderr, "\" ");
}

static redisReply *
ask(redisContext *redis, int argc, const char **argv, const size_t *len)
{
    redisReply *reply = redisCommandArgv(redis, argc, argv, len);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    return reply;
}

static void
store(redisContext *redis, const struct text *text)
{
    const char *argv[] = {"SET", text->byte, "1"};
    size_t len[] = {3, text->len, 1};
    freeReplyObject(ask(redis, 3, argv, len));
}

static bool
listed(const redisReply *keys, const struct text *text)
{
    for (size_t i = 0; i < keys->elements; i++)
        if (keys->element[i]->len == text->len &&
            memcmp(keys->element[i]->str, text->byte, text->len) == 0)
            return true;
    return false;
}

static void
agree(redisContext *redis, const struct text *texts, const char *pattern, size_t pattern_len,
      size_t *matches)
{
    const char *keys_argv[] = {"KEYS", pattern};
    const char *scan_argv[] = {"SCAN", "0", "MATCH", pattern, "COUNT", "100000"};
    size_t keys_len[] = {4, pattern_len}, scan_len[] = {4, 1, 5, pattern_len, 5, 6};
    redisReply *keys = ask(redis, 2, keys_argv, keys_len);
    redisReply *scan = ask(redis, 6, scan_argv, scan_len);

    assert_string_equal(scan->element[0]->str, "0");
    for (size_t i = 0; i < TEXTS; i++) {
        bool theirs = listed(keys, &texts[i]);
        bool ours = glob_match(pattern, pattern_len, texts[i].byte, texts[i].len);
        if (ours != theirs || listed(scan->element[1], &texts[i]) != theirs) {
            print_bytes("pattern", pattern, pattern_len);
            print_bytes("text", texts[i].byte, texts[i].len);
            fail_msg("redis says %d, glob_match says %d", theirs, ours);
        }
        *matches += theirs;
    }
    freeReplyObject(keys);
    freeReplyObject(scan);
}

static void
what_redis_matches_is_what_we_match(void **state)
{
    (void)state;
    static const char text_bytes[] = "aaabbc-^]\\[*?\0\xff\x80:";
    static const char pattern_bytes[] = "aab**??[[]]^--\\\\c\xff\x80\0";
    static struct text texts[TEXTS];
    struct redis_fixture server;
    size_t matches = 0;

    assert_true(redis_fixture_start(&server, NULL));
    redisContext *redis = redisConnectUnix(server.socket);
    assert_non_null(redis);
    assert_int_equal(redis->err, 0);
    for (size_t i = 0; i < TEXTS; i++) {
        texts[i].len = i == 0 ? 0 : 1 + random_below(TEXT_MAX);
        for (size_t k = 0; k < texts[i].len; k++)
            texts[i].byte[k] = random_byte(text_bytes, sizeof text_bytes - 1);
        store(redis, &texts[i]);
    }
    static const char *const known[] = {"*",     "**",   "",      "\\",   "[",    "[^",
                                        "[a-]",  "[]a]", "[^]a]", "[\\",  "[a\\", "*[^a]*",
                                        "[b-a]", "*\\*", "?*?",   "[-a]", "[a-",  "a[^b-]]"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        agree(redis, texts, known[i], strlen(known[i]), &matches);
    for (size_t i = 0; i < PATTERNS; i++) {
        char pattern[PATTERN_MAX];
        size_t n = 1 + random_below(PATTERN_MAX);
        for (size_t k = 0; k < n; k++)
            pattern[k] = random_byte(pattern_bytes, sizeof pattern_bytes - 1);
        agree(redis, texts, pattern, n, &matches);
    }
    /* Patterns that match nothing would prove little. */
    assert_true(matches > PATTERNS);
    redisFree(redis);
    redis_fixture_stop(&server);
}

int
main(void)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(stars_take_any_run),
        cmocka_unit_test(escapes_and_classes_are_literal_where_they_should_be),
        cmocka_unit_test(nothing_behind_the_pattern_counts),
        cmocka_unit_test(many_stars_take_bounded_time),
    };
    const struct CMUnitTest served[] = {
        cmocka_unit_test(what_redis_matches_is_what_we_match),
    };
    int failed = cmocka_run_group_tests_name("alone", alone, NULL, NULL);

    if (failed)
        return failed;
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests_name("against redis-server", served, NULL, NULL);
}
