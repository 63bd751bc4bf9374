/* What somebody wants purged: read from JSON, queries and fields, and what it means in tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "responder/order.h"
#include "responder/url_tags.h"

static struct arena *arena;
static struct config *config;
static char config_file[] = "/tmp/larder-test-XXXXXX";

static const char config_text[] =
    "upstream = { url = \"http://127.0.0.1:1\"; };\n"
    "routes = (\n"
    "  { path = \"/deep/**\"; ttl = \"30s\"; directory_tags = 3; },\n"
    "  { path = \"/query\"; ttl = \"30s\"; query = { ignore = [\"utm_*\"]; sort = true; }; },\n"
    "  { path = \"/**\"; ttl = \"30s\"; hosts = [\"*.example\"]; }\n"
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
    arena = arena_new(ORDER_ARENA_MAX);
    return config && arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    config_free(config);
    return 0;
}

static struct order
json(const char *text)
{
    struct order order = {0};
    struct larder_error err = {0};
    if (order_read_json(&order, slice_of(text), arena, &err) != LARDER_OK)
        fail_msg("%s: %s", text, err.message);
    return order;
}

static struct order
query(const char *text)
{
    struct order order = {0};
    struct larder_error err = {0};
    if (order_read_query(&order, slice_of(text), arena, &err) != LARDER_OK)
        fail_msg("%s: %s", text, err.message);
    return order;
}

static void
refuse_json(struct slice text, const char *words)
{
    struct order order = {0};
    struct larder_error err = {0};
    assert_int_equal(order_read_json(&order, text, arena, &err), LARDER_INVALID);
    assert_string_equal(err.message, words);
}

static void
refuse_query(const char *text, const char *words)
{
    struct order order = {0};
    struct larder_error err = {0};
    assert_int_equal(order_read_query(&order, slice_of(text), arena, &err), LARDER_INVALID);
    assert_string_equal(err.message, words);
}

static void
assert_items(const struct order *order, enum order_kind kind, const char *const *texts)
{
    const struct order_list *list = &order->list[kind];
    size_t n = 0;
    for (; texts[n]; n++)
        if (n >= list->count || !slice_equal(list->items[n], slice_of(texts[n])))
            fail_msg("%s[%zu] is not %s", order_kind_name(kind), n, texts[n]);
    assert_int_equal(list->count, n);
}

#define ITEMS(order, kind, ...) \
    assert_items((order), (kind), (const char *const[]){__VA_ARGS__, NULL})

static void
json_has_lists_and_single_texts(void **state)
{
    (void)state;
    struct order order =
        json(" {\"urls\": [\"https://shop.example/a?b=1\", \"/a\"], \"prefix\": \"/blog/\",\n"
             "\"tags\": [\"product:7\", \"zwei W\xc3\xb6rter\"], \"group\": \"g\",\n"
             "\"origin\": \"https://shop.example\", \"patterns\": [\"session:*\"],\n"
             "\"all\": true, \"soft\": true}\r\n");
    ITEMS(&order, ORDER_URLS, "https://shop.example/a?b=1", "/a");
    ITEMS(&order, ORDER_PREFIXES, "/blog/");
    ITEMS(&order, ORDER_TAGS, "product:7", "zwei W\xc3\xb6rter");
    ITEMS(&order, ORDER_GROUPS, "g");
    ITEMS(&order, ORDER_PATTERNS, "session:*");
    assert_int_equal(order.count, 7);
    assert_true(order.all && order.soft);
    assert_true(slice_equal(order.origin, slice_of("https://shop.example")));
    order = json("{\"all\": false, \"url\": []}");
    assert_int_equal(order.count, 0);
    assert_false(order.all || order.soft);
}

static void
queries_say_the_same_decoded(void **state)
{
    (void)state;
    struct order order = query("url=/a%3Fb%3D1%26c&url=http://h/&prefix=/p/&tag=two+words%2B&"
                               "group=g&origin=http%3A%2F%2Fh&pattern=%2A:x&&all=1&soft=true");
    ITEMS(&order, ORDER_URLS, "/a?b=1&c", "http://h/");
    ITEMS(&order, ORDER_PREFIXES, "/p/");
    ITEMS(&order, ORDER_TAGS, "two words+");
    ITEMS(&order, ORDER_GROUPS, "g");
    ITEMS(&order, ORDER_PATTERNS, "*:x");
    assert_true(order.all && order.soft);
    order = query("tags=a&all=0&soft=false");
    assert_false(order.all || order.soft);
}

static void
what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "found nothing, expected JSON: {\"urls\": [\"/page\"]}"},
        {" \n", "found nothing, expected JSON: {\"urls\": [\"/page\"]}"},
        {"{", "the JSON ends too early; expected JSON: {\"urls\": [\"/page\"]}"},
        {"7", "the JSON ends too early; expected JSON: {\"urls\": [\"/page\"]}"},
        /* As clients send it. */
        {"{'urls': ['/']}", "no JSON: found a single quote at byte 2, where double quotes belong; "
                            "expected JSON: {\"urls\": [\"/page\"]}"},
        {"{urls: [\"/\"]}",
         "no JSON: quoted object property name expected at byte 2; expected JSON: "
         "{\"urls\": [\"/page\"]}"},
        {"{\"urls\": [\"/\",]}", "no JSON: unexpected character at byte 15; expected JSON: "
                                 "{\"urls\": [\"/page\"]}"},
        {"urls=/",
         "no JSON: unexpected character at byte 1; expected JSON: {\"urls\": [\"/page\"]}"},
        {"[]", "found JSON without an object, expected {\"urls\": [\"/page\"]}"},
        {"{\"urlz\": []}", "found \"urlz\", expected urls, prefixes, tags, groups, origin, "
                           "patterns, all or soft"},
        {"{\"urls\": [\"/a\", null]}", "urls[1]: found the value null, expected a string"},
        {"{\"urls\": 7}", "urls: found an int, expected an array of strings"},
        {"{\"soft\": \"yes\"}", "soft: found a string, expected true or false"},
        {"{\"origin\": 1}", "origin: found an int, expected a string"},
        {"{\"origin\": \"\"}",
         "origin: found \"\", expected http://HOST or https://HOST without a path"},
        {"{\"origin\": \"h\"}",
         "origin: found \"h\", expected http://HOST or https://HOST without a path"},
        {"{\"tag\": \"\"}", "tag: found \"\": it is empty"},
        {"{\"tag\": \"a\\u0000b\"}", "tag: found \"a?b\": found a control character"},
        {"{\"url\": \"a/b\"}",
         "url: found \"a/b\": expected http://HOST/PATH, https://HOST/PATH or /PATH"},
        {"{\"url\": \"http://\"}",
         "url: found \"http://\": expected the name of a host behind the scheme"},
        {"{\"url\": \"http:///a\"}",
         "url: found \"http:///a\": expected the name of a host behind the scheme"},
        {"{\"prefix\": \"http://h?a/\"}",
         "prefix: found \"http://h?a/\": expected a directory, without a query"},
        {"{\"pattern\": \"a\\\\\"}",
         "pattern: found \"a\\\": expected something behind the backslash"},
        /* json-c keeps the last of two. */
        {"{\"urls\": [\"/a\"], \"soft\": true, \"urls\": [\"/b\"]}",
         "found \"urls\" twice, expected each member once, with a list of all that is meant"},
        {"{\"all\": true, \"a\\u006cl\": false}",
         "found \"a\\u006cl\", expected urls, prefixes, tags, groups, origin, patterns, all or "
         "soft"},
        {"{\"all\\u0000x\": true}",
         "found \"all\\u0000x\", expected urls, prefixes, tags, groups, origin, patterns, all or "
         "soft"},
        /* What other caches take for patterns. */
        {"{\"urls\": [\"/x/*\"]}",
         "urls[0]: found \"/x/*\": found a * for a whole name: no patterns of URLs, expected "
         "prefixes such as /blog/, or the sign as %XX where it is part of the URL"},
        {"{\"url\": \"https://h/a*\"}",
         "url: found \"https://h/a*\": found a * at its end: no patterns of URLs, expected "
         "prefixes such as /blog/, or the sign as %XX where it is part of the URL"},
        {"{\"prefix\": \"/a/*/\"}",
         "prefix: found \"/a/*/\": expected a directory, without * or other signs of patterns: all "
         "that is below it is meant in any case"},
        {"{\"tag\": \"a*\"}",
         "tag: found \"a*\": no patterns of tags, expected the whole name of each, or all"},
        {"{\"pattern\": \"/x/*\"}",
         "pattern: found \"/x/*\": a pattern is for keys, and no response's key has a URL in it: "
         "expected urls, prefixes or tags (keys of your own: larderctl purge-pattern)"},
        {"{\"pattern\": \"https://h/*\"}",
         "pattern: found \"https://h/*\": a pattern is for keys, and no response's key has a URL "
         "in "
         "it: expected urls, prefixes or tags (keys of your own: larderctl purge-pattern)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse_json(slice_of(bad[i].text), bad[i].words);
    /* Not read past its end, whatever stands there. */
    refuse_json((struct slice){"{\"all\":true}", 11},
                "the JSON ends too early; expected JSON: {\"urls\": [\"/page\"]}");
    refuse_query("x", "found \"x\", expected urls, prefixes, tags, groups, origin, patterns, all "
                      "or soft");
    refuse_query("all=yes", "all: found \"yes\", expected 1, true, 0 or false");
    refuse_query("url=/a+b", "url: found \"/a b\": expected a URL as it is sent, with what is no "
                             "letter, digit or sign of ASCII written as %XX");
    refuse_query("url=/a&soft=1&soft=0", "found \"soft\" twice, expected it once");
    refuse_query("group=a&origin=http://a&origin=http://b",
                 "found \"origin\" twice, expected it once");
    refuse_query("tag=%00", "tag: found \"?\": found a control character");
}

static void
json_that_is_none_is_refused_at_its_byte(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"all\": true,}", "{\"all\": true} x", "{\"tag\": \"\xff\"}", "nonsense",
        /* Those of which json-c takes some, strict or not. */
        "{'all': true}", "{\"url\": '/a'}", "{\"all\": true} // all", "/**/{\"all\": true}",
        "{\"all\": True}", "{all: true}", "{'urls': [], \"all\": true}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct order order = {0};
        struct larder_error err = {0};
        assert_int_equal(order_read_json(&order, slice_of(bad[i]), arena, &err), LARDER_INVALID);
        assert_non_null(strstr(err.message, "no JSON: "));
        assert_non_null(strstr(err.message, " at byte "));
    }
    /* Nor anything that goes deep. */
    char deep[1000];
    memset(deep, '[', sizeof deep);
    struct order order = {0};
    assert_int_equal(order_read_json(&order, (struct slice){deep, sizeof deep}, arena, NULL),
                     LARDER_INVALID);
}

static void
there_is_an_end_to_items_and_patterns(void **state)
{
    (void)state;
    struct order order = {0};
    struct larder_error err = {0};
    for (int i = 0; i < ORDER_ITEMS_MAX; i++)
        assert_int_equal(order_read_query(&order, slice_of("tag=x"), arena, &err), LARDER_OK);
    assert_int_equal(order_read_query(&order, slice_of("url=/x"), arena, &err), LARDER_INVALID);
    assert_string_equal(err.message, "more than 10000 items; send them in several requests");
    order = (struct order){0};
    for (int i = 0; i < ORDER_PATTERNS_MAX; i++)
        assert_int_equal(order_read_query(&order, slice_of("pattern=x"), arena, &err), LARDER_OK);
    assert_int_equal(order_read_query(&order, slice_of("pattern=x"), arena, &err), LARDER_INVALID);
    assert_string_equal(err.message, "more than 256 patterns");
    char longest[STORE_TAG_NAME_MAX + 6];
    memset(longest, 'x', sizeof longest);
    memcpy(longest, "tag=", 4);
    assert_int_equal(
        order_read_query(&order, (struct slice){longest, STORE_TAG_NAME_MAX + 4}, arena, &err),
        LARDER_OK);
    assert_int_equal(
        order_read_query(&order, (struct slice){longest, STORE_TAG_NAME_MAX + 5}, arena, &err),
        LARDER_INVALID);
}

/* -------------------------------------------------------------------- PURGE */

static struct order
request(const char *target, const char *name, const char *value)
{
    struct fields fields = {0};
    struct order order = {0};
    struct larder_error err = {0};
    if (name)
        assert_true(fields_add(&fields, arena, slice_of(name), slice_of(value)));
    if (order_read_request(&order, slice_of(target), &fields, arena, &err) != LARDER_OK)
        order.origin = slice_of(arena_printf(arena, "%s", err.message));
    return order;
}

static void
a_purge_is_of_its_target_or_of_the_tags_it_names(void **state)
{
    (void)state;
    struct order order = request("//a?b", NULL, NULL);
    ITEMS(&order, ORDER_URLS, "//a?b");
    assert_false(order.soft);
    order = request("/a", "Surrogate-Key", " x  y");
    ITEMS(&order, ORDER_TAGS, "x", "y");
    assert_int_equal(order.list[ORDER_URLS].count, 0);
    order = request("/a", "Cache-Tag", "two words, x");
    ITEMS(&order, ORDER_TAGS, "two words", "x", "two", "words");
    order = request("/a", "XKEY", "x,y z");
    ITEMS(&order, ORDER_TAGS, "x", "y", "z");
    order = request("/a", "Surrogate-Key", "/books, /books/1");
    ITEMS(&order, ORDER_TAGS, "/books", "/books/1");
    /* Fields that are not read are dialect.c's. */
    order = request("/a", "Cache-Groups", "\"x\"");
    ITEMS(&order, ORDER_URLS, "/a");
    order = request("/a", "Surrogate-Key", " ");
    assert_true(slice_equal(order.origin, slice_of("found a field for tags, and no tag in it")));
    assert_true(request("/a", "Soft-Purge", "1").soft);
    assert_true(request("/a", "X-Larder-Soft", "true").soft);
    assert_false(request("/a", "X-Larder-Soft", "0").soft);
    order = request("/a", "Soft-Purge", "yes");
    assert_true(slice_equal(order.origin,
                            slice_of("Soft-Purge: found \"yes\", expected 1, true, 0 or false")));
}

/* ------------------------------------------------------------------ resolved */

static const struct order_site shop = {{"https", 5}, {"Shop.Example:443", 16}};
static const struct order_site nowhere = {{NULL, 0}, {NULL, 0}};

static struct purge
resolve(struct order order, const struct order_site *site)
{
    struct purge purge;
    struct larder_error err = {0};
    if (order_resolve(&order, config, site, &purge, arena, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    return purge;
}

static void
refuse(struct order order, const struct order_site *site, enum larder_status status,
       const char *words)
{
    struct purge purge;
    struct larder_error err = {0};
    assert_int_equal(order_resolve(&order, config, site, &purge, arena, &err), status);
    assert_string_equal(err.message, words);
}

static bool
has_tag(const struct purge *purge, const char *tag)
{
    for (size_t i = 0; i < purge->tag_count; i++)
        if (strcmp(purge->tags[i], tag) == 0)
            return true;
    return false;
}

static bool
has_url(const struct purge *purge, const char *scheme, const char *host, const char *target)
{
    struct purge other = {.tag_count = 0};
    assert_true(
        purge_add_url(&other, config, slice_of(scheme), slice_of(host), slice_of(target), arena));
    for (size_t i = 0; i < other.tag_count; i++)
        if (!has_tag(purge, other.tags[i]))
            return false;
    return other.tag_count > 0;
}

static void
urls_get_the_tag_that_a_key_has(void **state)
{
    (void)state;
    struct purge purge = resolve(json("{\"url\": \"HTTPS://Shop.Example:443/a?b\"}"), &nowhere);
    assert_int_equal(purge.tag_count, 1);
    assert_true(has_url(&purge, "https", "shop.example", "/a?b"));
    purge = resolve(json("{\"urls\": [\"http://h\", \"http://h?b\"]}"), &nowhere);
    assert_true(has_url(&purge, "http", "h", "/"));
    assert_true(has_url(&purge, "http", "h", "/?b"));
    purge = resolve(json("{\"url\": \"http://h/query?b=1&utm_x=2&a=3\"}"), &nowhere);
    assert_true(has_url(&purge, "http", "h", "/query?a=3&b=1"));
    /* Written so that it is no pattern, it is the URL with the sign as well. */
    purge = resolve(json("{\"url\": \"http://h/a%2A\"}"), &nowhere);
    assert_true(has_url(&purge, "http", "h", "/a%2A"));
    assert_true(has_url(&purge, "http", "h", "/a*"));
    /* By whatever way the purge has come in. */
    purge = resolve(json("{\"url\": \"/a\"}"), &shop);
    assert_int_equal(purge.tag_count, 2);
    assert_true(has_url(&purge, "https", "shop.example", "/a"));
    assert_true(has_url(&purge, "http", "shop.example", "/a"));
    refuse(json("{\"url\": \"/a\"}"), &nowhere, LARDER_INVALID,
           "\"/a\" is relative, and there is no host that it could be on");
}

static void
prefixes_are_directories_that_every_route_keeps(void **state)
{
    (void)state;
    struct purge purge = resolve(json("{\"prefix\": \"http://H:80/deep/x/\"}"), &nowhere);
    struct purge other = resolve(json("{\"prefix\": \"http://h./deep/x/\"}"), &nowhere);
    assert_int_equal(purge.tag_count, 1);
    assert_string_equal(purge.tags[0], other.tags[0]);
    assert_memory_equal(purge.tags[0], "dir:", 4);
    assert_int_equal(resolve(json("{\"prefix\": \"/deep/\"}"), &shop).tag_count, 2);
    refuse(json("{\"prefix\": \"http://h/deep/x/y/\"}"), &nowhere, LARDER_REFUSED,
           "prefix \"/deep/x/y/\": responses of the route \"/deep/**\" could not be found by it: "
           "that route has directory_tags = 3, expected 4 or more");
    /* Where the last route takes no part. */
    assert_int_equal(resolve(json("{\"prefix\": \"http://h/other/\"}"), &nowhere).tag_count, 1);
    refuse(json("{\"prefix\": \"http://a.example/other/\"}"), &nowhere, LARDER_REFUSED,
           "prefix \"/other/\": responses of the route \"/**\" could not be found by it: that "
           "route has directory_tags = 0, expected 2 or more");
}

static void
tags_groups_patterns_and_all(void **state)
{
    (void)state;
    char tag[STORE_TAG_SIZE];
    struct purge purge =
        resolve(json("{\"tags\": [\"a b\"], \"groups\": [\"g\"], \"origin\": \"https://H:443\","
                     "\"patterns\": [\"x:*\", \"y\"], \"all\": true, \"soft\": true}"),
                &nowhere);
    assert_true(has_tag(&purge, "all"));
    assert_true(has_tag(&purge, "tag:a%20b"));
    store_hash origin;
    assert_true(url_origin_hash(origin, slice_of("https"), slice_of("h"), arena));
    store_group_tag(tag, origin, slice_of("g"));
    assert_true(has_tag(&purge, tag));
    assert_int_equal(purge.tag_count, 3);
    assert_int_equal(purge.pattern_count, 2);
    assert_string_equal(purge.patterns[0], "x:*");
    assert_string_equal(purge.patterns[1], "y");
    assert_true(purge.soft);
    assert_int_equal(resolve(json("{\"group\": \"g\"}"), &shop).tag_count, 2);
    refuse(json("{\"group\": \"g\"}"), &nowhere, LARDER_INVALID,
           "\"g\" is relative, and there is no host that it could be on");
    refuse(json("{\"soft\": true}"), &shop, LARDER_INVALID,
           "found nothing to purge, expected urls, prefixes, tags, groups, patterns or all");
}

static void
the_ancestors_entries_have_no_tags(void **state)
{
    (void)state;
    config->compat_ancestor = true;
    refuse(json("{\"all\": true}"), &shop, LARDER_REFUSED,
           "with compat = \"ancestor\" responses have no tags: only patterns can be purged, such "
           "as \"*response:*\"");
    assert_int_equal(resolve(json("{\"pattern\": \"*response:*\"}"), &shop).pattern_count, 1);
    config->compat_ancestor = false;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_lists_and_single_texts),
        cmocka_unit_test(queries_say_the_same_decoded),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(json_that_is_none_is_refused_at_its_byte),
        cmocka_unit_test(there_is_an_end_to_items_and_patterns),
        cmocka_unit_test(a_purge_is_of_its_target_or_of_the_tags_it_names),
        cmocka_unit_test(urls_get_the_tag_that_a_key_has),
        cmocka_unit_test(prefixes_are_directories_that_every_route_keeps),
        cmocka_unit_test(tags_groups_patterns_and_all),
        cmocka_unit_test(the_ancestors_entries_have_no_tags),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
