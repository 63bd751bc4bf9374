/* What fields answers of a kind are expected to name in Vary, from those that earlier ones named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "responder/expected.h"

static struct expected *expected;
static struct arena *arena;

static int
begin(void **state)
{
    (void)state;
    expected = malloc(sizeof *expected);
    arena = arena_new((size_t)1024 * 1024);
    assert_non_null(expected);
    expected_init(expected);
    return 0;
}

static int
end(void **state)
{
    (void)state;
    expected_free(expected);
    free(expected);
    arena_free(arena);
    return 0;
}

static uint64_t
kind(const char *target)
{
    return expected_kind_of(1, slice_of("a.test"), slice_of(target));
}

/* Answers to /page: V names the field, N does not. */
static void
learn(const char *name, const char *answers)
{
    for (; *answers; answers++)
        expected_learn(expected, kind("/page"), slice_of(name), *answers == 'V');
}

static const char *
likely(const char *target)
{
    struct vary vary;
    assert_true(expected_names(expected, kind(target), true, &vary, arena));
    struct slice text = vary_format(&vary, arena);
    return vary.count ? arena_strndup(arena, text.p, text.n) : "";
}

static void
two_answers_tell_of_the_next(void **state)
{
    (void)state;
    learn("accept", "V");
    assert_string_equal(likely("/page"), "");
    learn("accept", "V");
    assert_string_equal(likely("/other?x=1.css"), "accept");
    learn("accept-language", "VV");
    assert_string_equal(likely("/page"), "accept,accept-language");
}

static void
an_answer_without_it_that_none_has_named_tells_nothing(void **state)
{
    (void)state;
    learn("accept", "NNN");
    assert_string_equal(likely("/page"), "");
    learn("accept", "VV");
    assert_string_equal(likely("/page"), "accept");
}

static void
what_most_answers_do_not_name_is_not_expected(void **state)
{
    (void)state;
    learn("accept", "VVN");
    assert_string_equal(likely("/page"), "");
    learn("accept", "VNVVNVNVVVN");
    assert_string_equal(likely("/page"), "");
    learn("accept", "VVVVV");
    assert_string_equal(likely("/page"), "accept");
}

static void
one_exception_among_many_changes_nothing(void **state)
{
    (void)state;
    learn("accept", "VVVVVN");
    assert_string_equal(likely("/page"), "accept");
    learn("accept", "VVVNVVVNVVVN");
    assert_string_equal(likely("/page"), "accept");
    learn("accept", "NN");
    assert_string_equal(likely("/page"), "");
}

static void
kinds_are_told_apart_by_route_host_and_extension(void **state)
{
    (void)state;
    static const char *const same[] = {"/page",   "/",          "/a.b/c",      "/a?b.css", "/v1.2",
                                       "/a.css/", "/a.longest", "/Mr._Smith.", "/.-css"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (kind(same[i]) != kind("/page"))
            fail_msg("%s is of another kind", same[i]);
    assert_int_equal(kind("/a.css"), kind("/b/c.css?v=1"));
    assert_int_not_equal(kind("/a.css"), kind("/a"));
    assert_int_not_equal(kind("/a.css"), kind("/a.js"));
    assert_int_not_equal(kind("/"), expected_kind_of(2, slice_of("a.test"), slice_of("/")));
    assert_int_not_equal(kind("/"), expected_kind_of(1, slice_of("b.test"), slice_of("/")));
}

static void
names_are_bounded(void **state)
{
    (void)state;
    char name[EXPECTED_NAME_BYTES + 2] = "x-0";
    struct vary vary;
    for (int i = 0; i < EXPECTED_NAMES + 1; i++) {
        name[2] = (char)('0' + i);
        learn(name, "VV");
    }
    assert_true(expected_names(expected, kind("/"), false, &vary, arena));
    assert_int_equal(vary.count, EXPECTED_NAMES);
    assert_false(vary_has(&vary, slice_of(name)));
    /* One without weight makes room. */
    learn("x-3", "NN");
    learn(name, "V");
    assert_true(expected_names(expected, kind("/"), false, &vary, arena));
    assert_int_equal(vary.count, EXPECTED_NAMES);
    assert_true(vary_has(&vary, slice_of(name)));
    assert_false(vary_has(&vary, slice_of("x-3")));
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    learn("x-4", "NN");
    learn(name, "V");
    assert_null(strstr(likely("/"), "xxx"));
}

static void
kinds_are_bounded(void **state)
{
    (void)state;
    size_t known = 0;
    struct vary vary;
    for (int round = 0; round < 2; round++)
        for (size_t i = 1; i <= (size_t)4 * EXPECTED_KINDS; i++) {
            uint64_t its = expected_kind_of(i, slice_of("a.test"), slice_of("/"));
            if (round == 0)
                expected_learn(expected, its, slice_of("accept"), true);
            assert_true(expected_names(expected, its, false, &vary, arena));
            known += round == 1 && vary.count > 0;
        }
    assert_in_range(known, 1, EXPECTED_KINDS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_answers_tell_of_the_next, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_without_it_that_none_has_named_tells_nothing,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_most_answers_do_not_name_is_not_expected, begin, end),
        cmocka_unit_test_setup_teardown(one_exception_among_many_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(kinds_are_told_apart_by_route_host_and_extension, begin,
                                        end),
        cmocka_unit_test_setup_teardown(names_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(kinds_are_bounded, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
