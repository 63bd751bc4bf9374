/* Purges in the words of other caches: each is refused by its own sentence, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "responder/dialect.h"

static struct arena *arena;

static int
setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)4 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct request
request(const char *method, const char *name, const char *value)
{
    struct request made = {
        .method = slice_of(method), .target = slice_of("/a?b"), .host = slice_of("shop.example")};
    if (name)
        assert_true(fields_add(&made.fields, arena, slice_of(name), slice_of(value)));
    return made;
}

/* NULL: it is fine. */
static const char *
words(const char *name, const char *value, bool posted)
{
    static struct larder_error err;
    const struct request made = request(posted ? "POST" : "PURGE", name, value);
    err = (struct larder_error){0};
    return dialect_check_fields(&made, posted, "/.larder/purge", &err) == LARDER_OK ? NULL
                                                                                    : err.message;
}

static void
a_field_of_another_cache_gets_the_right_form(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *part;
    } cases[] = {
        {"X-Cache-Tags", "a", "\"tags\""},
        {"X-Cache-Tags-Pattern", "a", "\"tags\""},
        {"X-Magento-Tags-Pattern", "((^|,)cat_p(,|$))", "\"tags\""},
        {"Xkey-Purge", "a", "\"tags\""},
        {"Xkey-Softpurge", "a", "\"tags\""},
        {"Cache-Tags", "a", "\"tags\""},
        {"X-Acquia-Purge-Tags", "a", "\"tags\""},
        {"Surrogate-Keys", "a", "\"tags\""},
        {"Key", "ez-all", "\"tags\""},
        {"X-Location-Id", "7", "\"tags\""},
        {"X-Litespeed-Purge", "tag=a", "\"tags\""},
        {"Cache-Groups", "\"a\"", "\"groups\""},
        {"Clear-Cache", "1", "\"all\""},
        {"Varnish-Ban-All", "1", "\"all\""},
        {"X-Ban-Url", "/a.*", "\"prefixes\""},
        {"X-Purge-Regex", ".*", "\"prefixes\""},
        {"X-Purge-Method", "regex", "\"prefixes\""},
        {"X-Vc-Purge-Method", "regex", "\"prefixes\""},
        {"Apiplatform-Ban-Regex", "a", "\"prefixes\""},
        {"X-Content-Type", "text/html", "\"prefixes\""},
        {"X-Host", "(www.)?shop.example", "name the host"},
        {"X-Purge-Host", "other.example", "name the host"},
        {"X-Url", "/b", "\"urls\""},
        {"Fastly-Soft-Purge", "1", "X-Larder-Soft: 1"},
        {"X-Magento-Purge-Soft", "true", "X-Larder-Soft: 1"},
        {"X-Http-Method-Override", "BAN", "the method PURGE itself"},
        {"X-Somebody-Invalidates", "a", "say what is meant"},
        {"X-Larder-Tags", "a", "\"tags\""},
        {"X-Larder-Prefix", "/a/", "say what is meant"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = words(cases[i].name, cases[i].value, false);
        if (!found || !strstr(found, cases[i].part) || !strstr(found, cases[i].name))
            fail_msg("%s: %s", cases[i].name, found ? found : "taken");
    }
}

static void
what_says_nothing_of_its_own_is_let_through(void **state)
{
    (void)state;
    static const char *const fine[][2] = {
        {"Surrogate-Key", "a"},
        {"Xkey", "a"},
        {"Cache-Tag", "a"},
        {"X-Larder-Soft", "1"},
        {"Soft-Purge", "0"},
        {"X-Larder-Token", "x"},
        {"X-Purge-Method", "default"},
        {"X-Vc-Purge-Method", "exact"},
        {"X-Purge-Host", "SHOP.example"},
        {"X-Host", "shop.example"},
        {"X-Vc-Purge-Key", "secret"},
        {"X-Purge-Token", "secret"},
        {"Fastly-Soft-Purge", "0"},
        {"X-Http-Method-Override", "PURGE"},
        {"X-Url", "/a?b"},
        {"User-Agent", "WordPress/6.1"},
        {"Accept", "*/*"},
        {"Authorization", "Bearer x"},
        {"Cache-Control", "no-cache"},
        {"X-Forwarded-For", "192.0.2.1"},
        {"If-None-Match", "\"etag\""},
        {"X-Request-Id", "7"},
        {"Surrogate-Capability", "front=\"Surrogate/1.0 ESI/1.0\""},
        {"X-Stage", "urban"},
        {"X-Api-Key", "k"},
    };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        const char *found = words(fine[i][0], fine[i][1], false);
        if (found)
            fail_msg("%s: %s", fine[i][0], found);
    }
    /* A body says all; a field beside it would be read by nobody. */
    assert_non_null(strstr(words("Surrogate-Key", "a", true), "\"tags\" in it"));
    assert_non_null(strstr(words("X-Larder-Soft", "1", true), "\"soft\" in it"));
    assert_non_null(words("X-Cache-Tags", "a", true));
    assert_null(words("X-Larder-Token", "a", true));
    assert_null(words("Content-Type", "application/json", true));
}

static void
methods_of_other_caches_are_known(void **state)
{
    (void)state;
    static const char *const foreign[] = {"BAN",       "PURGEKEYS", "URLPURGE", "REFRESH",
                                          "PURGEALL",  "FULLBAN",   "URIBAN",   "PURGEHOST",
                                          "SOFTPURGE", "purge",     "Purge",    "FLUSH",
                                          "XPURGE",    "PURGEBOTH", "BANURL"};
    static const char *const others[] = {"GET",   "HEAD", "POST",     "PUT",    "DELETE",
                                         "PURGE", "COPY", "PROPFIND", "REPORT", "BASELINE-CONTROL"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        const struct request made = request(foreign[i], NULL, NULL);
        struct larder_error err = {0};
        assert_true(dialect_is_method(&made));
        assert_int_equal(dialect_refuse_method(&made, "/p", &err), LARDER_INVALID);
        assert_non_null(strstr(err.message, foreign[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const struct request made = request(others[i], NULL, NULL);
        assert_false(dialect_is_method(&made));
    }
    struct request made = request("POST", "X-Http-Method-Override", "PURGE");
    assert_true(dialect_is_method(&made));
    made = request("POST", "X-Http-Method-Override", "PUT");
    assert_false(dialect_is_method(&made));
    made = request("GET", "X-Http-Method-Override", "PURGE");
    assert_false(dialect_is_method(&made));
}

static void
shapes_that_clients_send_are_patterns_and_titles_are_not(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "/.*",        "/blog/.*", "/x/*",          "/*",        "/(.*)",    "/^/",     "/^blog",
        "/a/*/feed",  "/*.css",   "/.*projects.*", "/a\\.css$", "/a[0-9]+", "/a[^/]+", "/(a|b)/",
        "/(?!admin)", "/a(.+)",   "/a*",           "/a?b=*",    "/a?*",     "/a?.*",   "/a$",
        "/x/**",      "/a*?b",
    };
    static const char *const urls[] = {
        "/",           "/a",           "/wiki/Foo_(bar)", "/wiki/M*A*S*H", "/wiki/C*-algebra",
        "/a?b[]=1",    "/wiki/*NSYNC", "/a?q=a.+b",       "/wiki/(.hack)", "/a%2A",
        "/wiki/Ke$ha", "/a?b=c|d",     "/index.php/x",    "/a/..b",        "/a?q=1*2",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (!dialect_pattern_sign(slice_of(patterns[i])))
            fail_msg("%s is taken for a URL", patterns[i]);
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        if (dialect_pattern_sign(slice_of(urls[i])))
            fail_msg("%s: %s", urls[i], dialect_pattern_sign(slice_of(urls[i])));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_of_another_cache_gets_the_right_form),
        cmocka_unit_test(what_says_nothing_of_its_own_is_let_through),
        cmocka_unit_test(methods_of_other_caches_are_known),
        cmocka_unit_test(shapes_that_clients_send_are_patterns_and_titles_are_not),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
