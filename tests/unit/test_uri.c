/* References of the same origin, and queries reduced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/uri.h"

#define GLOBS 4

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

struct reference_case {
    const char *reference;
    const char *target; /* NULL: none of this origin */
};

static struct uri_base
base_of(const char *scheme, const char *host, const char *target)
{
    return (struct uri_base){slice_of(scheme), slice_of(host), slice_of(target)};
}

static void
assert_targets(struct uri_base base, const struct reference_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice target = uri_same_origin_target(&base, slice_of(cases[i].reference), arena);
        if (!!target.p != !!cases[i].target || !slice_equal(target, slice_of(cases[i].target)))
            fail_msg("\"%s\": \"%.*s\"", cases[i].reference, (int)target.n, target.p);
    }
}

/* ---------------------------------------------------------------------- references */

static void
references_resolve_as_in_the_examples_of_rfc_3986(void **state)
{
    /* §5.4.1 and §5.4.2. */
    static const struct reference_case cases[] = {
        {"g:h", NULL},
        {"g", "/b/c/g"},
        {"./g", "/b/c/g"},
        {"g/", "/b/c/g/"},
        {"/g", "/g"},
        {"//g", NULL},
        {"?y", "/b/c/d;p?y"},
        {"g?y", "/b/c/g?y"},
        {"#s", "/b/c/d;p?q"},
        {"g#s", "/b/c/g"},
        {"g?y#s", "/b/c/g?y"},
        {";x", "/b/c/;x"},
        {"g;x", "/b/c/g;x"},
        {"g;x?y#s", "/b/c/g;x?y"},
        {"", "/b/c/d;p?q"},
        {".", "/b/c/"},
        {"./", "/b/c/"},
        {"..", "/b/"},
        {"../", "/b/"},
        {"../g", "/b/g"},
        {"../..", "/"},
        {"../../", "/"},
        {"../../g", "/g"},
        {"../../../g", "/g"},
        {"../../../../g", "/g"},
        {"/./g", "/g"},
        {"/../g", "/g"},
        {"g.", "/b/c/g."},
        {".g", "/b/c/.g"},
        {"g..", "/b/c/g.."},
        {"..g", "/b/c/..g"},
        {"./../g", "/b/g"},
        {"./g/.", "/b/c/g/"},
        {"g/./h", "/b/c/g/h"},
        {"g/../h", "/b/c/h"},
        {"g;x=1/./y", "/b/c/g;x=1/y"},
        {"g;x=1/../y", "/b/c/y"},
        {"g?y/./x", "/b/c/g?y/./x"},
        {"g?y/../x", "/b/c/g?y/../x"},
        {"g#s/./x", "/b/c/g"},
        {"g#s/../x", "/b/c/g"},
        {"http:g", NULL},
    };
    (void)state;
    assert_targets(base_of("http", "a", "/b/c/d;p?q"), cases, sizeof cases / sizeof cases[0]);
}

static void
references_with_authority_are_ours_if_host_and_port_are(void **state)
{
    static const struct reference_case cases[] = {
        {"http://example.org/x", "/x"},
        {"HTTP://Example.ORG/x", "/x"},
        {"http://example.org", "/"},
        {"http://example.org?q", "/?q"},
        {"http://example.org#f", "/"},
        {"http://example.org/a/../b?q#f", "/b?q"},
        {"http://example.org:80/x", "/x"},
        {"http://example.org:0080/x", "/x"},
        {"http://example.org:/x", "/x"},
        {"//example.org/x", "/x"},
        {"//EXAMPLE.org:80", "/"},
        {"//example.org//x", "//x"},
        {"http://example.org//x", "//x"},
        {"https://example.org/x", NULL},
        {"http://example.org:81/x", NULL},
        {"http://example.org:443/x", NULL},
        {"http://www.example.org/x", NULL},
        {"http://example.org.evil/x", NULL},
        {"http://example.or/x", NULL},
        {"http://example.org./x", "/x"},
        {"http://example.org..:80/x", "/x"},
        {"http://./x", NULL},
        {"http://example.org:65616/x", NULL}, /* 80 + 2^16 */
        {"http://example.org:4294967376/x", NULL},
        {"http://example.org:80:80/x", NULL},
        {"http://example.org:8 0/x", NULL},
        {"http://example.org:+80/x", NULL},
        {"http://example.org:8x/x", NULL},
        {"http://user@example.org/x", NULL},
        {"http://user:80@example.org/x", NULL},
        {"http://@example.org/x", NULL},
        {"http://example.org@evil/x", NULL},
        {"http://evil@example.org:80/x", NULL},
        {"http://example.org:80@evil/x", NULL},
        {"http://ex%61mple.org/x", NULL},
        {"http:///x", NULL},
        {"http://", NULL},
        {"//", NULL},
        {"///x", NULL},
        {"http://:80/x", NULL},
        {"http:/x", NULL},
        {"http:", NULL},
        {"http:example.org/x", NULL},
        {"ftp://example.org/x", NULL},
        {"javascript:alert(1)", NULL},
        {"h2+x-1.0://example.org/", NULL},
    };
    (void)state;
    assert_targets(base_of("http", "example.org", "/"), cases, sizeof cases / sizeof cases[0]);
}

static void
references_know_the_default_port_of_the_scheme(void **state)
{
    static const struct reference_case https[] = {
        {"https://h/x", "/x"},    {"https://h:443/x", "/x"}, {"//h:443/x", "/x"},
        {"https://h:80/x", NULL}, {"//h:80/x", NULL},        {"http://h/x", NULL},
        {"http://h:443/x", NULL},
    };
    static const struct reference_case other[] = {
        {"http://h:8080/x", "/x"}, {"//h:8080/x", "/x"}, {"//h:08080/x", "/x"},
        {"http://h/x", NULL},      {"//h:80/x", NULL},   {"/x", "/x"},
    };
    static const struct reference_case spelled_out[] = {{"//h/x", "/x"}, {"//h:80/x", "/x"}};
    (void)state;
    assert_targets(base_of("https", "h", "/"), https, sizeof https / sizeof https[0]);
    assert_targets(base_of("http", "h:8080", "/"), other, sizeof other / sizeof other[0]);
    assert_targets(base_of("HTTP", "h:80", "/"), spelled_out, 2);
}

static void
references_know_addresses_in_brackets(void **state)
{
    static const struct reference_case cases[] = {
        {"//[2001:DB8::1]/x", "/x"},    {"//[2001:db8::1]:80/x", "/x"},
        {"//[2001:db8::1]:81/x", NULL}, {"//[2001:db8::1/x", NULL},
        {"//2001:db8::1/x", NULL},      {"//[2001:db8::1]80/x", NULL},
        {"//[2001:db8::1]x/x", NULL},
    };
    static const struct reference_case other[] = {
        {"//[::1]:8080/x", "/x"}, {"//[::1]/x", NULL}, {"//[::1:8080]/x", NULL}};
    (void)state;
    assert_targets(base_of("http", "[2001:db8::1]", "/"), cases, sizeof cases / sizeof cases[0]);
    assert_targets(base_of("http", "[::1]:8080", "/"), other, sizeof other / sizeof other[0]);
}

static void
references_that_no_two_parsers_agree_on_name_nothing(void **state)
{
    static const struct reference_case cases[] = {
        {"/a b", NULL},
        {" /a", NULL},
        {"/a ", NULL},
        {"/a\tb", NULL},
        {"/a\r\nb", NULL},
        {"/a\x7f", NULL},
        {"/a\x01", NULL},
        {"/\xc3\xa9", NULL},
        {"\\\\h\\x", NULL},
        {"/\\h/x", NULL},
        {"/a\\b", NULL},
        {"/a#\\", NULL},
        {"http://h\\@x", NULL},
        {"1:2", NULL},
        {":", NULL},
        {"a_b:c", NULL},
        {"a%3a:c", NULL},
        {":80/x", NULL},
        {"/a#b c", NULL},
        /* These are of this world. */
        {"./1:2", "/p/1:2"},
        {"a/b:c", "/p/a/b:c"},
        {"?a:b", "/p/x?a:b"},
        {"/a:b", "/a:b"},
        {"/a|b{c}", "/a|b{c}"},
        {"/a?b?c", "/a?b?c"},
        {"/%2e%2e/%7Ea%", "/%2e%2e/%7Ea%"},
        {"?", "/p/x?"},
        {"/a?#", "/a?"},
        {"/@/[x]", "/@/[x]"},
        {"/*", "/*"},
    };
    (void)state;
    assert_targets(base_of("http", "h", "/p/x?q"), cases, sizeof cases / sizeof cases[0]);
    const struct uri_base base = base_of("http", "h", "/p/x?q");
    assert_null(uri_same_origin_target(&base, (struct slice){"/a\0b", 4}, arena).p);
    assert_null(uri_same_origin_target(&base, (struct slice){NULL, 0}, arena).p);
}

static void
dot_segments_are_removed_and_nothing_else(void **state)
{
    static const struct reference_case cases[] = {
        {"/a/b/c/./../../g", "/a/g"},
        {"/a//b", "/a//b"},
        {"/a//../b", "/a/b"},
        {"/a/b/../../..", "/"},
        {"/a/b/..", "/a/"},
        {"/a/b/.", "/a/b/"},
        {"/.", "/"},
        {"/..", "/"},
        {"/../..", "/"},
        {"/./", "/"},
        {"/.//x", "//x"},
        {"/..//x", "//x"},
        {"/...", "/..."},
        {"/.../..", "/"},
        {"/a./.b/..c/d..", "/a./.b/..c/d.."},
        {"/a/%2e%2e/b", "/a/%2e%2e/b"},
        {"/a/..;x/b", "/a/..;x/b"},
        {"/a/..?x/..", "/?x/.."},
        {"/a/.?", "/a/?"},
    };
    (void)state;
    assert_targets(base_of("http", "h", "/"), cases, sizeof cases / sizeof cases[0]);
}

static void
references_are_relative_to_the_path_of_the_base(void **state)
{
    static const struct {
        const char *target;
        struct reference_case is;
    } cases[] = {
        {"/", {"x", "/x"}},
        {"/", {"", "/"}},
        {"/a?b=/c/d", {"x", "/x"}},
        {"/a?b=/c/d", {"", "/a?b=/c/d"}},
        {"/a?b=/c/d", {"?", "/a?"}},
        {"/a/?b", {"../x", "/x"}},
        {"/a/b", {"?q", "/a/b?q"}},
        {"/a/../b", {"?q", "/b?q"}},
        {"/a/../b?q", {"", "/b?q"}},
        {"/\xc3\xa9/\\", {"x", "/\xc3\xa9/x"}},
        {"//a/b", {"x", "//a/x"}},
        /* Without a path only what brings its own. */
        {"*", {"x", NULL}},
        {"*", {"", NULL}},
        {"*", {"?q", NULL}},
        {"*", {"#f", NULL}},
        {"*", {"..", NULL}},
        {"*", {"/x", "/x"}},
        {"*", {"//h/x", "/x"}},
        {"*", {"http://h/x", "/x"}},
        {"", {"x", NULL}},
        {"", {"/x", "/x"}},
        {"http://h/a", {"x", NULL}},
        {"a/b", {"x", NULL}},
        {"/a b", {"x", NULL}},
        {"/a#b", {"x", NULL}},
        {"/a?\x01", {"", NULL}},
        {"/a\x7f/b", {"?q", NULL}},
        {"/a#b", {"/x", "/x"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_targets(base_of("http", "h", cases[i].target), &cases[i].is, 1);
}

static void
references_are_looked_at_up_to_the_limit_and_quickly(void **state)
{
    const struct uri_base base = base_of("http", "h", "/");
    char *text = arena_alloc(arena, URI_REFERENCE_MAX + 1);
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i <= URI_REFERENCE_MAX; i++)
        text[i] = "/a/.."[i % 5];
    struct slice target =
        uri_same_origin_target(&base, (struct slice){text, URI_REFERENCE_MAX}, arena);
    assert_non_null(target.p);
    assert_true(target.n <= 4);
    assert_null(
        uri_same_origin_target(&base, (struct slice){text, URI_REFERENCE_MAX + 1}, arena).p);
    struct arena *none = arena_new(0);
    assert_null(uri_same_origin_target(&base, slice_of("/x"), none).p);
    arena_free(none);
}

/* ------------------------------------------------------------------------- queries */

struct query_case {
    const char *target;
    const char *reduced; /* NULL: target itself */
};

static struct uri_query_rules
rules_of(const char *const *ignore, const char *const *allow, bool sort)
{
    struct uri_query_rules rules = {.ignore = ignore, .allow = allow, .sort = sort};
    while (ignore && rules.ignore_count < GLOBS && ignore[rules.ignore_count])
        rules.ignore_count++;
    while (allow && rules.allow_count < GLOBS && allow[rules.allow_count])
        rules.allow_count++;
    return rules;
}

static void
assert_queries(struct uri_query_rules rules, const struct query_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice target = slice_of(cases[i].target);
        const char *expected = cases[i].reduced ? cases[i].reduced : cases[i].target;
        struct slice reduced = uri_reduce_query(target, &rules, arena);
        if (!slice_equal(reduced, slice_of(expected)))
            fail_msg("%s: \"%.*s\"", cases[i].target, (int)reduced.n, reduced.p);
        if (!cases[i].reduced && reduced.p != target.p)
            fail_msg("%s: a copy", cases[i].target);
        struct slice again = uri_reduce_query(reduced, &rules, arena);
        if (again.p != reduced.p || again.n != reduced.n)
            fail_msg("%s: \"%.*s\" the second time", cases[i].target, (int)again.n, again.p);
    }
}

static void
query_without_rules_stays(void **state)
{
    static const struct query_case cases[] = {
        {"/", NULL},      {"/?", NULL},      {"/?a", NULL}, {"/?b=1&a=2", NULL}, {"/?a&&b", NULL},
        {"/?a=1&", NULL}, {"/?%41=?", NULL}, {"*", NULL},   {"", NULL},          {"?", NULL},
    };
    (void)state;
    assert_queries(rules_of(NULL, NULL, false), cases, sizeof cases / sizeof cases[0]);
}

static void
query_loses_the_parameters_that_are_ignored(void **state)
{
    static const struct query_case cases[] = {
        {"/", NULL},
        {"/?", NULL},
        {"/?utm", NULL},
        {"/?a=utm_x", NULL},
        {"/?utm_source=x", "/"},
        {"/a?utm_source=x&utm_medium=y", "/a"},
        {"/?a=1&utm_source=x&b=2", "/?a=1&b=2"},
        {"/?utm_source=x&a=1", "/?a=1"},
        {"/?a=1&utm_source", "/?a=1"},
        {"/?fbclid", "/"},
        {"/?fbclid=1?2", "/"},
        {"/?fbclid2=1", NULL},
        {"/?FBCLID=1", NULL},
        /* Names are compared decoded. */
        {"/?%66bclid=1&a=%31", "/?a=%31"},
        {"/?utm%5Fid=1", "/"},
        {"/?utm%5fid=1", "/"},
        {"/?a+b=1&c", "/?c"},
        {"/?a%20b=1&c", "/?c"},
        {"/?a%2Bb=1&c", NULL},
        {"/?fbclid%=1", NULL},
        {"/?fbcli%6", NULL},
        {"/?%zzfbclid", NULL},
        {"/?fbclid%3D=1", NULL},
        {"/?fbclid%00=1", NULL},
        /* '&' alone splits, the first '?' alone begins. */
        {"/?a=1;fbclid=2", NULL},
        {"/;fbclid=1?a", NULL},
        {"/fbclid&fbclid?a", NULL},
        {"/?a?fbclid=1", NULL},
        {"/?a=1%26fbclid=2", NULL},
        {"/?=fbclid", NULL},
        /* Empty ones go along with others. */
        {"/?a&&b", NULL},
        {"/?&", NULL},
        {"/?&&fbclid=1", "/"},
        {"/?a&&fbclid&b&", "/?a&b"},
    };
    static const char *const ignore[GLOBS] = {"utm_*", "fbclid", "a b"};
    (void)state;
    assert_queries(rules_of(ignore, NULL, false), cases, sizeof cases / sizeof cases[0]);
}

static void
query_keeps_only_what_is_allowed(void **state)
{
    static const struct query_case cases[] = {
        {"/?page=2", NULL},
        {"/?page=2&page=3", NULL},
        {"/?q", NULL},
        {"/?x=1", "/"},
        {"/?x=1&page=2", "/?page=2"},
        {"/?page=2&x&q=%20&y", "/?page=2&q=%20"},
        {"/?Page=2", "/"},
        {"/?p%61ge=2", NULL},
        {"/?=1&q", "/?q"},
        {"/?", NULL},
        {"/", NULL},
        /* What is ignored is not allowed. */
        {"/?f_a=1&f_b=2", "/?f_a=1"},
    };
    static const char *const allow[GLOBS] = {"page", "q", "f_*"}, *const ignore[GLOBS] = {"f_b"};
    (void)state;
    assert_queries(rules_of(ignore, allow, false), cases, sizeof cases / sizeof cases[0]);
}

static void
query_is_sorted_by_name_and_equal_names_stay_in_order(void **state)
{
    static const struct query_case cases[] = {
        {"/?", NULL},
        {"/?a", NULL},
        {"/?a=1&b=2", NULL},
        {"/?a=2&a=1", NULL},
        {"/?b=2&a=1", "/?a=1&b=2"},
        {"/?b=1&a=2&b=0&a=1", "/?a=2&a=1&b=1&b=0"},
        {"/?a=1&a", NULL},
        {"/?ab=1&a=2", "/?a=2&ab=1"},
        {"/?a-=1&a=2", "/?a=2&a-=1"},
        {"/?b&%61", "/?%61&b"},
        {"/?%62=1&b=0&a", "/?a&%62=1&b=0"},
        {"/?a+a&a!&a%20", "/?a%20&a+a&a!"},
        {"/?b&=1", "/?=1&b"},
        {"/?\xff&z", "/?z&\xff"},
        {"/?%ff&z", "/?z&%ff"},
        {"/?%zz&%", "/?%&%zz"},
        /* Nothing changes: empty ones stay. */
        {"/?a&&b&", NULL},
        {"/?b&&a&", "/?a&b"},
    };
    (void)state;
    assert_queries(rules_of(NULL, NULL, true), cases, sizeof cases / sizeof cases[0]);
}

static void
query_rules_work_together(void **state)
{
    static const struct query_case cases[] = {
        {"/?q=1&page=2&utm_x=3&z", "/?page=2&q=1"},
        {"/?page=2&q=1", NULL},
        {"/?page=2&utm_x&q=1", "/?page=2&q=1"},
        {"/?utm_x&z", "/"},
    };
    static const char *const allow[GLOBS] = {"page", "q", "utm_*"}, *const ignore[GLOBS] = {
                                                                        "utm_*"};
    (void)state;
    assert_queries(rules_of(ignore, allow, true), cases, sizeof cases / sizeof cases[0]);
}

/* "/?" and a name of so many bytes, written as `unit`. */
static const char *
long_name(const char *unit, size_t count)
{
    size_t n = strlen(unit);
    char *text = arena_calloc(arena, count * n + 3, 1);
    assert_non_null(text);
    memcpy(text, "/?", 2);
    for (size_t i = 0; i < count; i++)
        memcpy(text + 2 + i * n, unit, n);
    return text;
}

static void
query_names_that_are_too_long_match_no_glob(void **state)
{
    static const char *const all[GLOBS] = {"*"};
    const struct query_case ignored[] = {
        {long_name("x", 256), "/"},
        {long_name("%78", 256), "/"},
        {long_name("x", 257), NULL},
        {long_name("%78", 257), NULL},
    };
    const struct query_case allowed[] = {
        {long_name("x", 256), NULL},
        {long_name("%78", 256), NULL},
        {long_name("x", 257), "/"},
    };
    (void)state;
    assert_queries(rules_of(all, NULL, false), ignored, sizeof ignored / sizeof ignored[0]);
    assert_queries(rules_of(NULL, all, false), allowed, sizeof allowed / sizeof allowed[0]);
}

static void
query_with_too_many_parameters_stays(void **state)
{
    char text[2 * (URI_PARAMETERS_MAX + 1) + 2] = "/?";
    const struct uri_query_rules sort = rules_of(NULL, NULL, true);
    (void)state;
    for (size_t i = 0; i < URI_PARAMETERS_MAX + 1; i++) {
        text[2 + 2 * i] = (char)('a' + (URI_PARAMETERS_MAX - i) % 26);
        text[3 + 2 * i] = '&';
    }
    struct slice target = {text, 2 + 2 * (URI_PARAMETERS_MAX + 1) - 1};
    assert_ptr_equal(uri_reduce_query(target, &sort, arena).p, text);
    target.n -= 2;
    struct slice sorted = uri_reduce_query(target, &sort, arena);
    assert_ptr_not_equal(sorted.p, text);
    assert_int_equal(sorted.n, target.n);
    for (size_t i = 2; i + 2 < sorted.n; i += 2)
        assert_true(sorted.p[i] <= sorted.p[i + 2]);
}

static void
query_without_memory_is_no_target(void **state)
{
    const struct uri_query_rules sort = rules_of(NULL, NULL, true);
    struct arena *none = arena_new(0);
    (void)state;
    assert_null(uri_reduce_query(slice_of("/?b&a"), &sort, none).p);
    assert_non_null(uri_reduce_query(slice_of("/"), &sort, none).p);
    arena_free(none);
}

/* As the names of those that go or stay are compared; and however many stand before it. */
static void
query_has_a_parameter_by_its_name_alone(void **state)
{
    static const char *const globs[] = {"preview*", "wc-ajax"};
    static const char *const with[] = {"/?preview=true", "/?a&preview",      "/?preview_id=7",
                                       "/?preview[]=",   "/?&&wc-ajax=",     "/?%70review=1",
                                       "/?a?b&preview",  "/?+preview",       "/?a&%20+preview=",
                                       "/?wc-ajax[]=1",  "/?wc-ajax%5bx%5D", "/?wc-ajax%00x=1",
                                       "/?wc-ajax[a][b", "/?+wc-ajax[x]y="};
    static const char *const without[] = {
        "/", "/?", "/preview",    "/?a=preview",  "/?a?preview", "/?Preview", "/?wc-ajax2",
        "",  "*",  "/?[preview]", "/?%00preview", "/?wc-ajax[x", "/?wc.ajax", "/?wc-ajax+="};
    char many[2 * URI_PARAMETERS_MAX + 64] = "/?";
    (void)state;
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (!uri_query_has(slice_of(with[i]), globs, 2))
            fail_msg("%s: has none", with[i]);
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (uri_query_has(slice_of(without[i]), globs, 2))
            fail_msg("%s: has one", without[i]);
    assert_false(uri_query_has(slice_of("/?a"), NULL, 0));
    for (size_t i = 0; i <= URI_PARAMETERS_MAX; i++)
        strcat(many, "a&");
    assert_false(uri_query_has(slice_of(many), globs, 2));
    strcat(many, "preview");
    assert_true(uri_query_has(slice_of(many), globs, 2));
}

/* Each of these is the parameter of that name for parse_str() of PHP 8.2. */
static void
names_of_parameters_are_read_as_php_reads_them(void **state)
{
    static const struct {
        const char *target, *name;
    } table[] = {
        {"/?rest.route=", "rest_route"},
        {"/?rest+route=", "rest_route"},
        {"/?rest%2eroute=", "rest_route"},
        {"/?rest%20route=", "rest_route"},
        {"/?+preview=", "preview"},
        {"/?%20%20preview=", "preview"},
        {"/?add-to-cart[]=", "add-to-cart"},
        {"/?add-to-cart%5B%5D=", "add-to-cart"},
        {"/?a[b=", "a_b"},
        {"/?a%5Bb.c=", "a_b_c"},
        {"/?a.b[c=", "a_b_c"},
        {"/?a[b[c]=", "a"},
        {"/?preview%00x=", "preview"},
        {"/?preview%00", "preview"},
        {"/?preview+=", "preview_"},
        {"/?preview[a][b=", "preview"},
        {"/?preview]=", "preview]"},
        {"/?a][b=", "a]_b"},
    };
    char large[400] = "/?x=1&a";
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!uri_query_has(slice_of(table[i].target), &table[i].name, 1))
            fail_msg("%s is not %s", table[i].target, table[i].name);
    /* What is too long to be looked at may be anything. */
    const char *const other = "preview";
    memset(large + 7, 'a', 255);
    assert_false(uri_query_has(slice_of(large), &other, 1));
    strcat(large, "a");
    assert_true(uri_query_has(slice_of(large), &other, 1));
}

static void
query_has_a_whole_parameter_as_it_is_decoded(void **state)
{
    static const char *const globs[] = {"rest?route*=/v2/*", "a=b"};
    static const char *const with[] = {"/?rest_route=/v2/x",
                                       "/?x&rest.route=%2Fv2%2F",
                                       "/?rest+route=/v2/=&y",
                                       "/?%72est_route[x]=/v2/a?b",
                                       "/?a=b",
                                       "/?+a=b",
                                       "/?a[]=b",
                                       "/?a%00x=b",
                                       "/?+rest_route=/v2/",
                                       "/?%61%3Db"};
    static const char *const without[] = {
        "/",      "/?",           "/rest_route=/v2/x",    "",
        "/?a=b=", "/?rest_route", "/?x=rest_route=/v2/x", "/?A=b"};
    char large[1200] = "/?rest_route=/v2/";
    (void)state;
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (!uri_query_matches(slice_of(with[i]), globs, 2))
            fail_msg("%s: has none", with[i]);
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (uri_query_matches(slice_of(without[i]), globs, 2))
            fail_msg("%s: has one", without[i]);
    assert_false(uri_query_matches(slice_of("/?a=b"), NULL, 0));
    size_t n = strlen(large);
    memset(large + n, 'x', 2 + 1024 - n);
    assert_true(uri_query_matches(slice_of(large), globs, 2));
    strcat(large, "x"); /* compared as far as that */
    assert_true(uri_query_matches(slice_of(large), globs, 2));
}

static void
parameters_are_the_same_however_they_are_spelled(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"", ""},
        {"a", "a"},
        {"a=1", "%61=%31"},
        {"a=%2f", "a=%2F"},
        {"a+b=c+d", "a%20b=c%20d"},
        {"a=%zz", "a=%25zz"},
        {"a==", "a=%3D"},
    };
    static const char *const other[][2] = {
        {"a", "b"},  {"a", ""},        {"a=1", "a=2"},   {"a=1", "a=12"},
        {"a", "a="}, {"a=1", "a%3D1"}, {"a=+", "a=%2B"}, {"a=1", "A=1"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!uri_same_parameter(slice_of(same[i][0]), slice_of(same[i][1])))
            fail_msg("%s and %s", same[i][0], same[i][1]);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (uri_same_parameter(slice_of(other[i][0]), slice_of(other[i][1])))
            fail_msg("%s and %s", other[i][0], other[i][1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_resolve_as_in_the_examples_of_rfc_3986),
        cmocka_unit_test(references_with_authority_are_ours_if_host_and_port_are),
        cmocka_unit_test(references_know_the_default_port_of_the_scheme),
        cmocka_unit_test(references_know_addresses_in_brackets),
        cmocka_unit_test(references_that_no_two_parsers_agree_on_name_nothing),
        cmocka_unit_test(dot_segments_are_removed_and_nothing_else),
        cmocka_unit_test(references_are_relative_to_the_path_of_the_base),
        cmocka_unit_test(references_are_looked_at_up_to_the_limit_and_quickly),
        cmocka_unit_test(query_without_rules_stays),
        cmocka_unit_test(query_loses_the_parameters_that_are_ignored),
        cmocka_unit_test(query_keeps_only_what_is_allowed),
        cmocka_unit_test(query_is_sorted_by_name_and_equal_names_stay_in_order),
        cmocka_unit_test(query_rules_work_together),
        cmocka_unit_test(query_names_that_are_too_long_match_no_glob),
        cmocka_unit_test(query_with_too_many_parameters_stays),
        cmocka_unit_test(query_without_memory_is_no_target),
        cmocka_unit_test(query_has_a_parameter_by_its_name_alone),
        cmocka_unit_test(names_of_parameters_are_read_as_php_reads_them),
        cmocka_unit_test(query_has_a_whole_parameter_as_it_is_decoded),
        cmocka_unit_test(parameters_are_the_same_however_they_are_spelled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
