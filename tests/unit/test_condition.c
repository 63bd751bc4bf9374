/* Conditional requests and entity tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "http/condition.h"

static enum condition
evaluated(const char *request, const char *response)
{
    struct fields asked = fields_of(request), got = fields_of(response);
    return condition_evaluate(&asked, 200, &got, NOW, NOW + 100);
}

static void
tags_are_compared_weakly_for_if_none_match(void **state)
{
    (void)state;
    static const struct {
        const char *asked, *stored;
        bool matches;
    } table[] = {
        {"\"a\"", "\"a\"", true},
        {"W/\"a\"", "\"a\"", true},
        {"\"a\"", "W/\"a\"", true},
        {"W/\"a\"", "W/\"a\"", true},
        {"\"a\"", "\"b\"", false},
        {"*", "\"a\"", true},
        {"\"x\", \"a\"", "\"a\"", true},
        {"\"a\",\"x\"", "\"a\"", true},
        {"\"x\" , W/\"a\" ,", "\"a\"", true},
        {"a", "\"a\"", true},
        {"\"a\"", "a", true},
        {"a", "a", true},
        {"w/\"a\"", "w/\"a\"", true},
        {"W\\\"a\"", "W\\\"a\"", true},
        {"\"a,b\"", "\"a,b\"", true},
        {"\"a\"", "\"A\"", false},
        {"\"\xc3\xbc\"", "\"\xc3\xbc\"", true},
        {"\"a", "\"a\"", false},
        {"\"a\"junk", "\"a\"", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char request[128], response[128];
        snprintf(request, sizeof request, "If-None-Match: %s", table[i].asked);
        snprintf(response, sizeof response, "ETag: %s", table[i].stored);
        enum condition wanted = table[i].matches ? CONDITION_NOT_MODIFIED : CONDITION_TRUE;
        if (evaluated(request, response) != wanted)
            fail_msg("%s against %s", table[i].asked, table[i].stored);
    }
    assert_int_equal(evaluated("If-None-Match: \"x\"\nIf-None-Match: \"a\"", "ETag: \"a\""),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(evaluated("If-None-Match: *", ""), CONDITION_NOT_MODIFIED);
    assert_int_equal(evaluated("If-None-Match: \"a\"", ""), CONDITION_TRUE);
}

static void
if_none_match_goes_before_if_modified_since(void **state)
{
    (void)state;
    assert_int_equal(evaluated("If-None-Match: \"x\"\nIf-Modified-Since: " DATE_NOW,
                               "ETag: \"a\"\nLast-Modified: " DATE_NOW),
                     CONDITION_TRUE);
}

static void
if_modified_since_compares_times(void **state)
{
    (void)state;
    static const char modified[] = "Last-Modified: Tue, 14 Nov 2023 22:00:00 GMT";
    assert_int_equal(evaluated("If-Modified-Since: Tue, 14 Nov 2023 22:00:00 GMT", modified),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(evaluated("If-Modified-Since: Tue, 14 Nov 2023 22:00:01 GMT", modified),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(evaluated("If-Modified-Since: Tue, 14 Nov 2023 21:59:59 GMT", modified),
                     CONDITION_TRUE);
    assert_int_equal(evaluated("If-Modified-Since: Tuesday, 14-Nov-23 22:00:00 GMT", modified),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(evaluated("If-Modified-Since: yesterday", modified), CONDITION_NONE);
    assert_int_equal(evaluated("If-Modified-Since: Tue, 14 Nov 2033 22:00:00 GMT", modified),
                     CONDITION_NONE);
}

static void
without_last_modified_date_stands_in(void **state)
{
    (void)state;
    assert_int_equal(evaluated("If-Modified-Since: " DATE_NOW, "Date: " DATE_NOW),
                     CONDITION_NOT_MODIFIED);
    assert_int_equal(
        evaluated("If-Modified-Since: Tue, 14 Nov 2023 22:00:00 GMT", "Date: " DATE_NOW),
        CONDITION_TRUE);
    assert_int_equal(evaluated("If-Modified-Since: " DATE_NOW, ""), CONDITION_NOT_MODIFIED);
}

static void
only_a_200_or_its_part_is_evaluated(void **state)
{
    (void)state;
    struct fields asked = fields_of("If-None-Match: *"), got = fields_of("");
    assert_int_equal(condition_evaluate(&asked, 404, &got, NOW, NOW), CONDITION_NONE);
    assert_int_equal(condition_evaluate(&asked, 301, &got, NOW, NOW), CONDITION_NONE);
    assert_int_equal(condition_evaluate(&asked, 206, &got, NOW, NOW), CONDITION_NOT_MODIFIED);
}

static void
a_304_has_no_fields_about_content(void **state)
{
    (void)state;
    static const char *const sent[] = {"ETag", "Date",    "Cache-Control", "Content-Location",
                                       "Vary", "Expires", "Last-Modified", "X-Thing"};
    static const char *const not_sent[] = {"Content-Length", "content-type", "Content-Encoding",
                                           "Content-Range", "Content-Language"};
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
        assert_true(condition_is_sent_with_304(slice_of(sent[i])));
    for (size_t i = 0; i < sizeof not_sent / sizeof *not_sent; i++)
        assert_false(condition_is_sent_with_304(slice_of(not_sent[i])));
}

static bool
selects(const char *stored, const char *fresh)
{
    struct fields a = fields_of(stored), b = fields_of(fresh);
    return condition_selects(&a, &b);
}

static void
a_304_with_another_strong_tag_must_not_update(void **state)
{
    (void)state;
    assert_true(selects("ETag: \"a\"", "ETag: \"a\""));
    assert_false(selects("ETag: \"a\"", "ETag: \"b\""));
    assert_false(selects("ETag: W/\"a\"", "ETag: \"a\""));
    assert_true(selects("ETag: W/\"a\"", "ETag: W/\"a\""));
    assert_true(selects("ETag: \"a\"", ""));
    assert_true(selects("Last-Modified: " DATE_NOW, "Last-Modified: " DATE_NOW));
    assert_false(
        selects("Last-Modified: " DATE_NOW, "Last-Modified: Tue, 14 Nov 2023 22:00:00 GMT"));
}

static void
a_304_of_other_content_must_not_update(void **state)
{
    (void)state;
    const char stored[] = "ETag: \"a\"\nContent-Encoding: gzip\nContent-Type: text/css\n"
                          "Content-Language: de\nContent-Language: en";
    assert_true(selects(stored, "ETag: \"a\""));
    assert_true(selects(stored, "ETag: \"a\"\ncontent-encoding:  gzip\nContent-Type: text/css"));
    assert_false(selects(stored, "ETag: \"a\"\nContent-Encoding: br"));
    assert_false(selects(stored, "ETag: \"a\"\nContent-Encoding: gzip\nContent-Encoding: br"));
    assert_false(selects(stored, "Content-Type: text/html"));
    assert_false(selects(stored, "Content-Language: de"));
    assert_false(selects(stored, "Content-Range: bytes 0-1/2"));
    assert_false(selects("ETag: \"a\"", "ETag: \"a\"\nContent-Encoding: gzip"));
}

static void
only_a_tag_by_the_grammar_is_strong(void **state)
{
    (void)state;
    assert_true(etag_is_strong(slice_of("\"a\"")));
    assert_false(etag_is_strong(slice_of("W/\"a\"")));
    assert_false(etag_is_strong(slice_of("a")));
    assert_false(etag_is_strong(slice_of("\"a b\"")));
    assert_false(etag_equal_strong(slice_of("a"), slice_of("a")));
    assert_false(etag_equal_strong(slice_of("W/\"a\""), slice_of("W/\"a\"")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_compared_weakly_for_if_none_match),
        cmocka_unit_test(if_none_match_goes_before_if_modified_since),
        cmocka_unit_test(if_modified_since_compares_times),
        cmocka_unit_test(without_last_modified_date_stands_in),
        cmocka_unit_test(only_a_200_or_its_part_is_evaluated),
        cmocka_unit_test(a_304_has_no_fields_about_content),
        cmocka_unit_test(a_304_with_another_strong_tag_must_not_update),
        cmocka_unit_test(a_304_of_other_content_must_not_update),
        cmocka_unit_test(only_a_tag_by_the_grammar_is_strong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
