/* The tags of URLs: one for all spellings, another for each other URL, and none that can be aimed at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "responder/digest.h"
#include "responder/purge.h"
#include "responder/url_tags.h"

#define MANY 200000

static struct arena *arena;
static struct config *config;
static char config_file[] = "/tmp/larder-test-XXXXXX";

static const char config_text[] =
    "upstream = { url = \"http://127.0.0.1:1\"; };\n"
    "routes = (\n"
    "  { path = \"/less/**\"; ttl = \"30s\"; query = { ignore = [\"utm_*\"]; }; },\n"
    "  { path = \"/**\"; ttl = \"30s\"; hosts = [\"one.example\"]; query = { allow = [\"a\"]; }; "
    "},\n"
    "  { path = \"/**\"; ttl = \"30s\"; directory_tags = 2; }\n"
    ");\n";

static int
setup(void **state)
{
    (void)state;
    int fd = mkstemp(config_file);
    ssize_t n = write(fd, config_text, sizeof config_text - 1);
    close(fd);
    struct larder_error err;
    config = n == (ssize_t)sizeof config_text - 1 ? config_load(config_file, &err) : NULL;
    unlink(config_file);
    if (!config)
        printf("%s\n", err.message);
    arena = arena_new((size_t)1024 * 1024);
    return config && arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    config_free(config);
    digest_cleanup();
    return 0;
}

/* "http://host/path?query" */
static struct purge
tags_of(const char *text)
{
    struct purge purge = {.tag_count = 0};
    const char *host = strstr(text, "://") + 3, *target = strchr(host, '/');
    assert_true(
        purge_add_url(&purge, config, (struct slice){text, (size_t)(strstr(text, ":") - text)},
                      (struct slice){host, (size_t)(target - host)}, slice_of(target), arena));
    return purge;
}

static bool
meet(const struct purge *a, const struct purge *b)
{
    for (size_t i = 0; i < a->tag_count; i++)
        for (size_t k = 0; k < b->tag_count; k++)
            if (strcmp(a->tags[i], b->tags[k]) == 0)
                return true;
    return false;
}

/* In each row one URL in several spellings. */
static const char *const rows[][8] = {
    {"http://h/", "http://h:/", "http://h:80/", "http://H/", "http://h./", "http://h.:080/",
     "http://h/?", "http://h//"},
    {"https://h/", "https://h:443/", "https://h..:443/", "https://h/."},
    {"http://h:443/", "http://h.:443/", "http://h:0443/"},
    {"http://[2001:DB8::1]/", "http://[2001:db8::1]:80/", "http://[2001:db8::1]:/"},
    {"http://[2001:db8::1]:8080/"},
    {"http://h/caf%C3%A9", "http://h/caf%c3%a9", "http://h/caf\xc3\xa9", "http://h/%63af%C3%a9"},
    {"http://h/~a", "http://h/%7Ea", "http://h/%7ea"},
    {"http://h/a/b", "http://h/a/./b", "http://h/x/../a/b", "http://h/a//b", "http://h/a%2fb",
     "http://h/a;p=1/b", "http://h/a%252Fb", "http://h/a\\b"},
    {"http://h/a/b/", "http://h/a/b/.", "http://h/a/b/c/..", "http://h/a/b//"},
    /* By RFC 3986, and with empty segments dropped first. */
    {"http://h/u/v", "http://h/u//../v"},
    {"http://h/w", "http://h/z//../w"},
    {"http://h/q?a=1&b=2", "http://h/q?b=2&a=1", "http://h/q?&a=1&&b=2&", "http://h/q?%61=%31&b=2"},
    {"http://h/q?a=1&a=2", "http://h/q?a=1&%61=2"},
    {"http://h/q?a=2&a=1"},
    {"http://h/q?x=a+b", "http://h/q?x=a%20b"},
    {"http://h/q?x=a%2Bb", "http://h/q?x=a%2bb"},
    {"http://h/q?x=a%26b"},
    {"http://h/q?x=a&b"},
    {"http://h/q?x%3Da", "http://h/q?x%3da="},
    {"http://h/q?x=a", "http://h/q?%78=%61"},
    {"http://h/q?x", "http://h/q?x="},
    {"http://h/q?x=a=b", "http://h/q?x=a%3Db"},
    {"http://h/q?u=/a/%2e%2e/b", "http://h/q?u=%2Fa%2f../b"},
    {"http://h/less/a?b=1", "http://h/less/a?b=1&utm_source=x",
     "http://h//less/a?%75tm_source=y&b=1", "http://h/x/../less/a?b=1"},
    {"http://one.example/a?a=1", "http://ONE.example.:80/a?a=1&b=2"},
    {"http://two.example/a?a=1"},
    {"http://two.example/a?a=1&b=2"},
    {"http://h/A"},
    {"http://h/a"},
    {"http://h/a/"},
    {"http://h/a%3Fb"},
    {"http://h/a?b"},
};
#define ROWS (sizeof rows / sizeof *rows)

static void
all_spellings_of_a_url_meet_and_no_two_urls_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS * 8; i++) {
        const char *first = rows[i / 8][i % 8];
        if (!first)
            continue;
        struct purge a = tags_of(first);
        assert_in_range(a.tag_count, 1, PATH_READINGS_MAX);
        for (size_t k = 0; k < ROWS * 8; k++) {
            const char *second = rows[k / 8][k % 8];
            if (!second)
                continue;
            struct purge b = tags_of(second);
            if (meet(&a, &b) != (i / 8 == k / 8))
                fail_msg("%s and %s", first, second);
        }
        arena_reset(arena);
    }
}

static void
a_url_in_normal_form_has_one_tag_of_96_bits(void **state)
{
    (void)state;
    struct purge purge = tags_of("https://shop.example/a/b.html?id=7");
    assert_int_equal(purge.tag_count, 1);
    assert_int_equal(strlen(purge.tags[0]), 4 + 24);
    assert_int_equal(strspn(purge.tags[0] + 4, "0123456789abcdef"), 24);
    assert_int_equal(tags_of("http://h/caf%C3%A9").tag_count, 1);
    assert_int_equal(tags_of("http://h/a;b").tag_count, 2);
    /* The same on every machine: u5:https12:shop.example9:/a/b.html4:id=7. */
    assert_string_equal(purge.tags[0], "url:4b8f1e76291951470166252d");
    arena_reset(arena);
}

static int
compare(const void *a, const void *b)
{
    return memcmp(a, b, STORE_HASH_LEN);
}

/* Of 16 bits each would have had three others of its own. */
static void
nobody_finds_a_url_that_shares_anothers_tag(void **state)
{
    (void)state;
    char(*names)[STORE_HASH_LEN] = malloc((size_t)MANY * STORE_HASH_LEN), text[64];
    assert_non_null(names);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "http://h/page?x=%d", i);
        memcpy(names[i], tags_of(text).tags[0] + 4, STORE_HASH_LEN);
        arena_reset(arena);
    }
    qsort(names, MANY, STORE_HASH_LEN, compare);
    for (int i = 1; i < MANY; i++)
        assert_memory_not_equal(names[i - 1], names[i], STORE_HASH_LEN);
    free(names);
}

/* What is a part of one is never a part of another. */
static void
parts_have_their_length_before_them(void **state)
{
    (void)state;
    static const struct {
        struct slice scheme, host, target;
    } cases[] = {
        {{"http", 4}, {"h", 1}, {"/a", 2}},   {{"httph", 5}, {"", 0}, {"/a", 2}},
        {{"http", 4}, {"h/a", 3}, {"/", 1}},  {{"http", 4}, {"h", 1}, {"/a?", 3}},
        {{"http", 4}, {"h", 1}, {"/?a", 3}},  {{"http", 4}, {"h1:/", 4}, {"/a", 2}},
        {{"http", 4}, {"h", 1}, {"/1:a", 4}}, {{"https", 5}, {"h", 1}, {"/a", 2}},
    };
    const size_t count = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            struct purge a = {.tag_count = 0}, b = {.tag_count = 0};
            assert_true(
                purge_add_url(&a, config, cases[i].scheme, cases[i].host, cases[i].target, arena));
            assert_true(
                purge_add_url(&b, config, cases[k].scheme, cases[k].host, cases[k].target, arena));
            bool one = (i == 3 && k == 0); /* an empty query is none */
            assert_int_equal(meet(&a, &b), one);
        }
    store_hash origin, other;
    assert_true(url_origin_hash(origin, slice_of("http"), slice_of("H.:80"), arena));
    assert_true(url_origin_hash(other, slice_of("http"), slice_of("h"), arena));
    assert_string_equal(origin, other);
    assert_true(url_origin_hash(other, slice_of("https"), slice_of("h"), arena));
    assert_string_not_equal(origin, other);
    arena_reset(arena);
}

static bool
collect(void *arg, const char *tag)
{
    return purge_add_tag(arg, arena, tag);
}

static struct purge
directories_of(const char *host, const char *path, int levels)
{
    struct purge purge = {.tag_count = 0};
    struct path_readings readings;
    const struct url url = url_make(slice_of("http"), slice_of(host), slice_of(path));
    assert_true(path_readings_find(&readings, arena, url.path));
    assert_true(url_directory_tags(&url, &readings, levels, arena, collect, &purge));
    return purge;
}

static void
directories_are_those_of_every_reading(void **state)
{
    (void)state;
    struct purge plain = directories_of("h", "/a/b/c", 8);
    assert_int_equal(plain.tag_count, 3);
    assert_int_equal(directories_of("h", "/a/b/c", 2).tag_count, 2);
    assert_int_equal(directories_of("h", "/a/b/c", 0).tag_count, 0);
    static const char *const same[] = {"/a/b/x", "/%61/b/y", "/a//b/c", "/a;p/b/c", "/a%2Fb/c"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct purge other = directories_of("H.:80", same[i], 8);
        for (size_t k = 0; k < plain.tag_count; k++) {
            bool found = false;
            for (size_t n = 0; n < other.tag_count; n++)
                found |= strcmp(plain.tags[k], other.tags[n]) == 0;
            if (!found)
                fail_msg("%s: directory %zu", same[i], k);
        }
    }
    struct purge elsewhere = directories_of("g", "/a/b/c", 8);
    assert_false(meet(&plain, &elsewhere));
    arena_reset(arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_spellings_of_a_url_meet_and_no_two_urls_do),
        cmocka_unit_test(a_url_in_normal_form_has_one_tag_of_96_bits),
        cmocka_unit_test(nobody_finds_a_url_that_shares_anothers_tag),
        cmocka_unit_test(parts_have_their_length_before_them),
        cmocka_unit_test(directories_are_those_of_every_reading),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
