/* Vary: which names select, and which values of a field are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/vary.h"

#define LINES 4

static struct arena *arena;

static int
setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)1024 * 1024);
    return arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* A message with these lines of a field, up to the first NULL, and another field around them. */
static struct fields
message(const char *name, const char *const *lines)
{
    struct fields fields = {0};
    assert_true(fields_add(&fields, arena, slice_of("Other"), slice_of("o")));
    for (size_t i = 0; i < LINES && lines[i]; i++)
        assert_true(fields_add(&fields, arena, slice_of(name), slice_of(lines[i])));
    assert_true(fields_add(&fields, arena, slice_of("Others"), slice_of("o")));
    return fields;
}

static struct vary
parsed(const char *const *lines, const char *extra)
{
    struct fields fields = message("Vary", lines);
    struct vary vary;
    assert_true(vary_parse(&vary, &fields, extra, arena));
    return vary;
}

static void
assert_names(const struct vary *vary, const char *names)
{
    struct slice text = vary_format(vary, arena);
    assert_non_null(text.p);
    if (!slice_equal(text, slice_of(names)))
        fail_msg("\"%.*s\", not \"%s\"", (int)text.n, text.p, names);
}

/* --------------------------------------------------------------------------- names */

static void
vary_names_are_lower_case_sorted_and_single(void **state)
{
    static const struct {
        const char *lines[LINES];
        const char *names;
    } cases[] = {
        {{NULL}, ""},
        {{""}, ""},
        {{"Foo"}, "foo"},
        {{"Foo, Bar"}, "bar,foo"},
        {{"Bar, Foo"}, "bar,foo"},
        {{"BAR,foo"}, "bar,foo"},
        {{"foo", "Bar"}, "bar,foo"},
        {{"Foo, foo", "FOO"}, "foo"},
        {{" Foo\t,\t bar , baz"}, "bar,baz,foo"},
        {{",, Foo,, ,Bar,"}, "bar,foo"},
        {{"Accept-Encoding, Accept"}, "accept,accept-encoding"},
        {{"!#$%&'*+-.^_`|~9"}, "!#$%&'*+-.^_`|~9"},
        {{"c, a, b, a, c", "b, d, a"}, "a,b,c,d"},
        {{"_, Z, ^"}, "^,_,z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vary vary = parsed(cases[i].lines, NULL);
        assert_false(vary.star);
        assert_false(vary.invalid);
        assert_names(&vary, cases[i].names);
    }
}

static void
vary_star_in_any_place_is_star(void **state)
{
    static const char *const cases[][LINES] = {
        {"*"},      {"*, *"},   {"*", "*"},       {", *"},         {"", "*"},
        {"*, Foo"}, {"Foo, *"}, {"Foo, *", "Ba"}, {"Foo", " * ,"}, {"not a token, *"},
    };
    static const char *const none[][LINES] = {{"**"}, {"*foo"}, {"foo*"}, {NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!parsed(cases[i], NULL).star)
            fail_msg("%s is no star", cases[i][0]);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(parsed(none[i], NULL).star);
}

static void
vary_that_is_no_list_of_tokens_is_invalid(void **state)
{
    static const char *const cases[][LINES] = {{"foo bar"},      {"\"foo\""},     {"foo;q=1"},
                                               {"foo:"},         {"foo, (bar)"},  {"foo", "b@r"},
                                               {"foo/bar, a"},   {"f\xc3\xb6o"},  {"{}"},
                                               {"foo, bar=baz"}, {"a\tb", "c, d"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!parsed(cases[i], NULL).invalid)
            fail_msg("%s is valid", cases[i][0]);
}

static void
vary_extra_name_counts_as_if_it_stood_there(void **state)
{
    static const char *const foo[LINES] = {"Foo"}, *const absent[LINES] = {NULL};
    (void)state;
    struct vary vary = parsed(foo, "Accept-Encoding");
    assert_names(&vary, "accept-encoding,foo");
    vary = parsed(foo, "foo");
    assert_names(&vary, "foo");
    vary = parsed(absent, "accept-encoding");
    assert_names(&vary, "accept-encoding");
    assert_true(parsed(foo, "*").star);
}

/* "aa,ab,ac...": so many names; a further comma at the end. */
static const char *
many_names(size_t count)
{
    char *text = arena_calloc(arena, 3 * count + 1, 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        text[3 * i] = (char)('a' + i / 26);
        text[3 * i + 1] = (char)('a' + i % 26);
        text[3 * i + 2] = ',';
    }
    return text;
}

static void
vary_with_more_names_than_the_limit_is_invalid(void **state)
{
    (void)state;
    const char *most = many_names(VARY_NAMES_MAX), *too_many = many_names(VARY_NAMES_MAX + 1);
    struct vary vary = parsed((const char *[LINES]){most}, NULL);
    assert_false(vary.invalid);
    assert_int_equal(vary.count, VARY_NAMES_MAX);
    assert_true(parsed((const char *[LINES]){too_many}, NULL).invalid);
    assert_true(parsed((const char *[LINES]){most}, "foo").invalid);
    /* A name that is there already is not one more. */
    vary = parsed((const char *[LINES]){most, most, "AA, ap"}, "aa");
    assert_false(vary.invalid);
    assert_int_equal(vary.count, VARY_NAMES_MAX);
}

static void
vary_with_more_bytes_than_the_limit_is_invalid(void **state)
{
    char name[VARY_BYTES_MAX + 2] = "";
    (void)state;
    memset(name, 'x', VARY_BYTES_MAX + 1);
    assert_true(parsed((const char *[LINES]){name}, NULL).invalid);
    name[VARY_BYTES_MAX] = '\0';
    assert_false(parsed((const char *[LINES]){name, name}, NULL).invalid);
    assert_true(parsed((const char *[LINES]){name, "y"}, NULL).invalid);
    name[VARY_BYTES_MAX - 1] = '\0';
    assert_false(parsed((const char *[LINES]){name, "y"}, NULL).invalid);
}

static void
vary_of_many_lines_takes_little_memory(void **state)
{
    struct fields fields = {0};
    char line[512];
    (void)state;
    for (size_t i = 0; i + 2 < sizeof line; i += 2) {
        line[i] = 'a';
        line[i + 1] = ',';
    }
    for (size_t i = 0; i < FIELDS_BYTES_MAX / (sizeof line + 2); i++)
        assert_true(
            fields_add(&fields, arena, slice_of("vary"), (struct slice){line, sizeof line - 2}));
    struct arena *small = arena_new(64);
    struct vary vary;
    assert_true(vary_parse(&vary, &fields, NULL, small));
    assert_int_equal(vary.count, 1);
    arena_free(small);
}

static void
vary_names_survive_the_marker(void **state)
{
    static const char *const cases[][LINES] = {
        {NULL}, {"Foo"}, {"Foo, bar, BAZ"}, {"x-a", "x-b", "x"}, {"!,~,*a"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vary vary = parsed(cases[i], NULL), back;
        assert_true(vary_unformat(&back, vary_format(&vary, arena), arena));
        assert_int_equal(back.count, vary.count);
        assert_false(back.star || back.invalid);
        for (size_t k = 0; k < vary.count; k++)
            assert_true(slice_equal(back.names[k], vary.names[k]));
    }
    struct vary most = parsed((const char *[LINES]){many_names(VARY_NAMES_MAX)}, NULL), back;
    assert_true(vary_unformat(&back, vary_format(&most, arena), arena));
    assert_int_equal(back.count, VARY_NAMES_MAX);
}

static void
vary_unformat_takes_nothing_that_format_does_not_write(void **state)
{
    static const char *const bad[] = {
        "*",      "*,a",    "a,*",    "b,a",    "a,a",   "a,b,a", "A",    "a,B", ",",
        "a,",     ",a",     "a,,b",   "a, b",   " a",    "a ",    "a;b",  "a b", "\"a\"",
        "a\tb,c", "a\xff,", "a,b,\n", "aa,a,b", "a,b\n", "ab,ab", "b,ab",
    };
    (void)state;
    struct vary vary;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (vary_unformat(&vary, slice_of(bad[i]), arena))
            fail_msg("\"%s\" is taken", bad[i]);
    assert_false(vary_unformat(&vary, (struct slice){"a\0b", 3}, arena));
    assert_true(vary_unformat(&vary, (struct slice){NULL, 0}, arena));
    struct slice text = slice_of(many_names(VARY_NAMES_MAX + 1));
    text.n--;
    assert_false(vary_unformat(&vary, text, arena));
    char name[VARY_BYTES_MAX + 2] = "";
    memset(name, 'x', VARY_BYTES_MAX + 1);
    assert_false(vary_unformat(&vary, slice_of(name), arena));
    assert_true(vary_unformat(&vary, (struct slice){name, VARY_BYTES_MAX}, arena));
    name[1] = ',';
    name[0] = 'a';
    assert_true(vary_unformat(&vary, slice_of(name), arena));
    char longer[VARY_BYTES_MAX + 3] = "";
    memset(longer, 'x', VARY_BYTES_MAX + 2);
    longer[0] = 'a';
    longer[1] = ',';
    assert_false(vary_unformat(&vary, slice_of(longer), arena));
}

/* -------------------------------------------------------------------------- values */

static struct slice
normal_of(const char *name, const char *const *lines)
{
    struct fields fields = message(name, lines);
    bool failed = false;
    struct slice value = vary_normal_value(&fields, slice_of(name), arena, &failed);
    assert_false(failed);
    return value;
}

static void
normal_value_absent_matches_only_absent(void **state)
{
    (void)state;
    assert_null(normal_of("Foo", (const char *[LINES]){NULL}).p);
    struct slice empty = normal_of("Foo", (const char *[LINES]){""});
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
    /* An empty list of two lines is not the empty value. */
    assert_int_equal(normal_of("Foo", (const char *[LINES]){"", ""}).n, 1);
}

static void
normal_value_is_found_without_case(void **state)
{
    struct fields fields = message("x-FOO", (const char *[LINES]){"1", "2"});
    bool failed = false;
    (void)state;
    struct slice value = vary_normal_value(&fields, slice_of("X-foo"), arena, &failed);
    assert_true(slice_equal(value, slice_of("1,2")));
    assert_null(vary_normal_value(&fields, slice_of("x-fo"), arena, &failed).p);
}

static void
normal_value_does_without_blanks_and_lines_of_lists(void **state)
{
    static const struct {
        const char *lines[LINES];
        const char *normal;
    } cases[] = {
        {{"1"}, "1"},
        {{" 1\t"}, "1"},
        {{"1,2"}, "1,2"},
        {{"1, 2"}, "1,2"},
        {{" 1, 2 "}, "1,2"},
        {{"1 \t,\t 2"}, "1,2"},
        {{"1", "2"}, "1,2"},
        {{"1, 2", "3"}, "1,2,3"},
        {{"1", "2 ,3"}, "1,2,3"},
        /* Blanks elsewhere have a meaning, or may have. */
        {{"a b, c  d"}, "a b,c  d"},
        {{"a; b=c , d"}, "a; b=c,d"},
        /* Empty members stay. */
        {{"1,,2"}, "1,,2"},
        {{"1, ,2,"}, "1,,2,"},
        {{" , 1"}, ",1"},
        {{"", "1"}, ",1"},
        /* What is in quotes stays. */
        {{"\"a , b\" , c"}, "\"a , b\",c"},
        {{"\"a \\\" , b\" , c"}, "\"a \\\" , b\",c"},
        {{"\"a \\\\\" , b"}, "\"a \\\\\",b"},
        {{"x=\" , \" , y=\" , \""}, "x=\" , \",y=\" , \""},
        {{"\"a\"\" , \" , b"}, "\"a\"\" , \",b"},
        {{"a\\\" , b\" , c"}, "a\\\" , b\",c"},
        {{"\"\" , 1", "2"}, "\"\",1,2"},
        /* And so does what follows a quote that does not end. */
        {{"1 , \"a , b"}, "1,\"a , b"},
        {{"1 , \"a , b\\\" , c"}, "1,\"a , b\\\" , c"},
        {{"1 , \"a \\"}, "1,\"a \\"},
        {{"1 , \"a", "b\" , c", "d , e"}, "1,\"a\nb\" , c\nd , e"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice value = normal_of("Foo", cases[i].lines);
        if (!slice_equal(value, slice_of(cases[i].normal)))
            fail_msg("%s: \"%.*s\"", cases[i].lines[0], (int)value.n, value.p);
    }
}

static void
normal_values_of_different_meaning_differ(void **state)
{
    static const struct {
        const char *name;
        const char *a[LINES];
        const char *b[LINES];
    } cases[] = {
        {"Foo", {"1, 2"}, {"2, 1"}},
        {"Foo", {"1, 2"}, {"1 2"}},
        {"Foo", {"1, 2"}, {"12"}},
        {"Foo", {"a"}, {"A"}},
        {"Foo", {"1"}, {"1,"}},
        {"Foo", {"1", ""}, {"1"}},
        {"Foo", {"\"a, b\""}, {"\"a,b\""}},
        {"Foo", {"\"a, b\""}, {"\"a", "b\""}},
        {"Foo", {"\"a,b\""}, {"\"a", "b\""}},
        {"Foo", {"\"a", "b , c"}, {"\"a", "b, c"}},
        {"Foo", {"\"a", "b", "c"}, {"\"a", "b,c"}},
        {"Cookie", {"a=1, 2"}, {"a=1,2"}},
        {"Cookie", {"a=1", "2"}, {"a=1,2"}},
        {"COOKIE", {"a=1", "2"}, {"a=1, 2"}},
        {"User-Agent", {"X (KHTML, like Gecko)"}, {"X (KHTML,like Gecko)"}},
        {"If-Modified-Since", {"Sun, 06 Nov 1994"}, {"Sun,06 Nov 1994"}},
        {"Authorization", {"X a, b"}, {"X a,b"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice a = normal_of(cases[i].name, cases[i].a);
        struct slice b = normal_of(cases[i].name, cases[i].b);
        if (slice_equal(a, b))
            fail_msg("%s: %s is %s", cases[i].name, cases[i].a[0], cases[i].b[0]);
    }
}

static void
normal_value_of_a_field_that_is_no_list_stays_as_it_is(void **state)
{
    (void)state;
    struct slice value = normal_of("Cookie", (const char *[LINES]){" a=1 , \"2 ", "b"});
    assert_true(slice_equal(value, slice_of("a=1 , \"2\nb")));
    value = normal_of("User-Agent", (const char *[LINES]){"X (KHTML, like Gecko)"});
    assert_true(slice_equal(value, slice_of("X (KHTML, like Gecko)")));
}

static void
no_memory_is_not_an_absent_field(void **state)
{
    static const char *const lines[LINES] = {"1 , 2"};
    struct fields fields = message("Foo", lines), vary_fields = message("Vary", lines);
    struct arena *none = arena_new(0);
    struct vary vary;
    bool failed = false;
    (void)state;
    assert_null(vary_normal_value(&fields, slice_of("foo"), none, &failed).p);
    assert_true(failed);
    assert_false(vary_parse(&vary, &vary_fields, NULL, none));
    vary = parsed(lines, NULL);
    assert_null(vary_format(&vary, none).p);
    assert_false(vary_unformat(&vary, slice_of("a,b"), none));
    arena_free(none);
}

static void
union_has_each_name_once_and_in_order(void **state)
{
    (void)state;
    struct vary a, b, all;
    assert_true(vary_unformat(&a, slice_of("accept,cookie"), arena));
    assert_true(vary_unformat(&b, slice_of("a,cookie,origin"), arena));
    assert_true(vary_union(&all, &a, &b));
    assert_true(slice_equal(vary_format(&all, arena), slice_of("a,accept,cookie,origin")));
    assert_true(vary_unformat(&b, slice_of(""), arena));
    assert_true(vary_union(&all, &b, &a));
    assert_true(slice_equal(vary_format(&all, arena), slice_of("accept,cookie")));
}

static void
union_of_too_many_names_is_none(void **state)
{
    (void)state;
    struct vary a, b, all;
    assert_true(vary_unformat(&a, slice_of("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"), arena));
    assert_int_equal(a.count, VARY_NAMES_MAX);
    assert_true(vary_unformat(&b, slice_of("p"), arena));
    assert_true(vary_union(&all, &a, &b));
    assert_true(vary_unformat(&b, slice_of("q"), arena));
    assert_false(vary_union(&all, &a, &b));
}

static void
a_name_is_added_once_and_found_in_any_case(void **state)
{
    (void)state;
    struct vary vary = {.count = 0};
    assert_true(vary_add(&vary, slice_of("X-B"), arena));
    assert_true(vary_add(&vary, slice_of("x-a"), arena));
    assert_true(vary_add(&vary, slice_of("x-b"), arena));
    assert_int_equal(vary.count, 2);
    assert_true(vary_has(&vary, slice_of("X-A")));
    assert_false(vary_has(&vary, slice_of("X")));
    assert_false(vary_has(&vary, slice_of("X-Abc")));
    for (int i = 0; i < VARY_NAMES_MAX; i++) {
        char name[8] = {'n', (char)('a' + i), 0};
        assert_true(vary_add(&vary, slice_of(name), arena));
    }
    assert_true(vary.invalid);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_added_once_and_found_in_any_case),
        cmocka_unit_test(union_has_each_name_once_and_in_order),
        cmocka_unit_test(union_of_too_many_names_is_none),
        cmocka_unit_test(vary_names_are_lower_case_sorted_and_single),
        cmocka_unit_test(vary_star_in_any_place_is_star),
        cmocka_unit_test(vary_that_is_no_list_of_tokens_is_invalid),
        cmocka_unit_test(vary_extra_name_counts_as_if_it_stood_there),
        cmocka_unit_test(vary_with_more_names_than_the_limit_is_invalid),
        cmocka_unit_test(vary_with_more_bytes_than_the_limit_is_invalid),
        cmocka_unit_test(vary_of_many_lines_takes_little_memory),
        cmocka_unit_test(vary_names_survive_the_marker),
        cmocka_unit_test(vary_unformat_takes_nothing_that_format_does_not_write),
        cmocka_unit_test(normal_value_absent_matches_only_absent),
        cmocka_unit_test(normal_value_is_found_without_case),
        cmocka_unit_test(normal_value_does_without_blanks_and_lines_of_lists),
        cmocka_unit_test(normal_values_of_different_meaning_differ),
        cmocka_unit_test(normal_value_of_a_field_that_is_no_list_stays_as_it_is),
        cmocka_unit_test(no_memory_is_not_an_absent_field),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
