/* Structured fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "http/structured.h"

static void
what_follows_the_grammar_is_valid(void **state)
{
    (void)state;
    static const char *const valid[] = {
        "",           "a",        "a=1",      "a=-1",          "a=1.5",          "a=?1", "a=\"x\"",
        "a=\"\\\"\"", "a=tok/en", "a=:YWJj:", "a=@1659578233", "a=%\"f%c3%bc\"", "a, b", "a ,\tb",
        "a;p=1;q, b", "a=(1 2)",  "a=()",     "a=(1;x 2);y",   "*a-b.c_1=2",
    };
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        if (!structured_dictionary_valid(slice_of(valid[i])))
            fail_msg("refused: %s", valid[i]);
}

static void
one_mistake_makes_the_whole_invalid(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        "A",
        "a,",
        ",a",
        "a=",
        "a=1.",
        "a=.5",
        "a=1.2345",
        "a=1234567890123456",
        "a=1234567890123.5",
        "a=\"x",
        "a=\"\\x\"",
        "a=\"\x01\"",
        "a=?2",
        "a=:YW*:",
        "a=:YWJj",
        "a=(1 2",
        "a=(1,2)",
        "a=%\"%C3\"",
        "a=@1.5",
        "a b",
        "a=1 2",
        "a;=1",
        "a;P",
        "a=--1",
        "a =1",
        "a= 1",
        "1a",
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        if (structured_dictionary_valid(slice_of(invalid[i])))
            fail_msg("believed: %s", invalid[i]);
}

static void
members_come_in_order_with_their_types(void **state)
{
    (void)state;
    struct structured_walk walk = {.rest = slice_of("a, b=7, c=\"x y\";p=1, d=(1 2)")};
    struct slice key;
    struct structured_item item;
    assert_true(structured_dictionary_next(&walk, &key, &item));
    assert_int_equal(item.type, STRUCTURED_BOOLEAN);
    assert_int_equal(item.integer, 1);
    assert_true(structured_dictionary_next(&walk, &key, &item));
    assert_true(slice_equal(key, slice_of("b")));
    assert_int_equal(item.type, STRUCTURED_INTEGER);
    assert_int_equal(item.integer, 7);
    assert_true(structured_dictionary_next(&walk, &key, &item));
    assert_int_equal(item.type, STRUCTURED_STRING);
    assert_true(slice_equal(item.text, slice_of("x y")));
    assert_true(structured_dictionary_next(&walk, &key, &item));
    assert_int_equal(item.type, STRUCTURED_INNER_LIST);
    assert_true(slice_equal(item.text, slice_of("1 2")));
    assert_false(structured_dictionary_next(&walk, &key, &item));
    assert_false(walk.failed);
}

static void
a_list_is_walked_too(void **state)
{
    (void)state;
    struct structured_walk walk = {.rest = slice_of("\"a\", b;x=1,3")};
    struct structured_item item;
    for (int i = 0; i < 3; i++)
        assert_true(structured_list_next(&walk, &item));
    assert_int_equal(item.integer, 3);
    assert_false(structured_list_next(&walk, &item));
    assert_false(walk.failed);
}

static void
capitals_only_where_they_are_asked_for(void **state)
{
    (void)state;
    struct slice key;
    struct structured_item item;
    struct structured_walk walk = {.rest = slice_of("Max-Age=1"), .any_case = true};
    assert_true(structured_dictionary_next(&walk, &key, &item));
    walk = (struct structured_walk){.rest = slice_of("Max-Age=1")};
    assert_false(structured_dictionary_next(&walk, &key, &item));
    assert_true(walk.failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_follows_the_grammar_is_valid),
        cmocka_unit_test(one_mistake_makes_the_whole_invalid),
        cmocka_unit_test(members_come_in_order_with_their_types),
        cmocka_unit_test(a_list_is_walked_too),
        cmocka_unit_test(capitals_only_where_they_are_asked_for),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
