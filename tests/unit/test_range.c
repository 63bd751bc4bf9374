/* Ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "http/range.h"

static enum range_verdict
asked(const char *value, int64_t length, struct ranges *out)
{
    struct fields fields = {0};
    assert_true(fields_add(&fields, arena, slice_of("Range"), slice_of(value)));
    return range_parse(&fields, length, out);
}

static void
each_form_names_its_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        enum range_verdict verdict;
        int64_t first, last;
    } table[] = {
        {"bytes=0-4", RANGE_PARTIAL, 0, 4},
        {"bytes=5-", RANGE_PARTIAL, 5, 9},
        {"bytes=-3", RANGE_PARTIAL, 7, 9},
        {"bytes=-99", RANGE_PARTIAL, 0, 9},
        {"bytes=0-99", RANGE_PARTIAL, 0, 9},
        {"BYTES=0-0", RANGE_PARTIAL, 0, 0},
        {"bytes=0-0, 1-1", RANGE_PARTIAL, 0, 1},
        {"bytes= 0-4 , 3-6", RANGE_PARTIAL, 0, 6},
        {"bytes=,0-1,", RANGE_PARTIAL, 0, 1},
        {"bytes=99-,0-1", RANGE_PARTIAL, 0, 1},
        {"bytes=0-99999999999999999999999", RANGE_PARTIAL, 0, 9},
        {"bytes=10-", RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=4-0", RANGE_NONE, 0, 0},
        {"bytes=", RANGE_NONE, 0, 0},
        {"bytes=-", RANGE_NONE, 0, 0},
        {"bytes=a-b", RANGE_NONE, 0, 0},
        {"bytes=0-1x", RANGE_NONE, 0, 0},
        {"lines=0-1", RANGE_NONE, 0, 0},
        {"bytes 0-1", RANGE_NONE, 0, 0},
        {"bytes=0 - 1", RANGE_NONE, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct ranges ranges;
        enum range_verdict verdict = asked(table[i].value, 10, &ranges);
        if (verdict != table[i].verdict)
            fail_msg("%s: %d", table[i].value, verdict);
        if (verdict != RANGE_PARTIAL)
            continue;
        assert_int_equal(ranges.count, 1);
        if (ranges.list[0].first != table[i].first || ranges.list[0].last != table[i].last)
            fail_msg("%s: %lld-%lld", table[i].value, (long long)ranges.list[0].first,
                     (long long)ranges.list[0].last);
    }
}

static void
a_range_is_written_anew_from_its_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *anew; /* NULL: it does not count */
    } table[] = {
        {"bytes=0-1", "bytes=0-1"},
        {"BYTES=\t00-1 ,, 5- ,-007", "bytes=0-1,5-,-7"},
        {"bytes=0-99999999999999999999", "bytes=0-2305843009213693951"},
        {"bytes=0-1;x", NULL},
        {"bytes=0-1, x", NULL},
        {"bytes=2-1", NULL},
        {"bytes=", NULL},
        {"bytes=<script>", NULL},
        {"<script>=0-1", NULL},
        {"", NULL},
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,30-"
         "30,"
         "32-32",
         NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fields request = {0};
        struct slice anew;
        assert_true(fields_add(&request, arena, slice_of("Range"), slice_of(table[i].value)));
        assert_true(range_rewrite(&anew, &request, arena));
        if (table[i].anew ? !slice_equal(anew, slice_of(table[i].anew)) : anew.p != NULL)
            fail_msg("%s: %.*s", table[i].value, (int)anew.n, anew.p ? anew.p : "");
    }
}

static void
ranges_apart_stay_apart_in_their_order(void **state)
{
    (void)state;
    struct ranges ranges;
    assert_int_equal(asked("bytes=8-9,0-1,4-5", 10, &ranges), RANGE_PARTIAL);
    assert_int_equal(ranges.count, 3);
    assert_int_equal(ranges.list[0].first, 8);
    assert_int_equal(ranges.list[1].first, 0);
    assert_int_equal(ranges.list[2].first, 4);
    assert_int_equal(asked("bytes=8-9,0-1,2-7", 10, &ranges), RANGE_PARTIAL);
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.list[0].last, 9);
}

static void
a_small_request_does_not_ask_for_more_than_there_is(void **state)
{
    (void)state;
    struct ranges ranges;
    assert_int_equal(asked("bytes=0-9,0-9,0-9,0-9", 10, &ranges), RANGE_PARTIAL);
    assert_int_equal(ranges.count, 1);
    char many[256] = "bytes=0-0";
    for (int i = 1; i <= RANGES_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), ",%d-%d", 2 * i, 2 * i);
    assert_int_equal(asked(many, 1000, &ranges), RANGE_NONE);
}

static void
an_unknown_length_allows_only_what_names_both_ends(void **state)
{
    (void)state;
    struct ranges ranges;
    assert_int_equal(asked("bytes=2-5", -1, &ranges), RANGE_PARTIAL);
    assert_int_equal(ranges.list[0].last, 5);
    assert_int_equal(asked("bytes=2-", -1, &ranges), RANGE_UNKNOWN);
    assert_int_equal(asked("bytes=-2", -1, &ranges), RANGE_UNKNOWN);
    assert_int_equal(asked("bytes=0-", 0, &ranges), RANGE_UNSATISFIABLE);
}

static void
two_lines_of_range_count_for_none(void **state)
{
    (void)state;
    struct ranges ranges;
    struct fields fields = fields_of("Range: bytes=0-1\nRange: bytes=2-3");
    assert_int_equal(range_parse(&fields, 10, &ranges), RANGE_NONE);
}

static bool
holds(const char *request, const char *response)
{
    struct fields asked_with = fields_of(request), got = fields_of(response);
    return range_if_range_holds(&asked_with, &got, NOW);
}

static void
if_range_takes_strong_validators_only(void **state)
{
    (void)state;
    assert_true(holds("", ""));
    assert_true(holds("If-Range: \"a\"", "ETag: \"a\""));
    assert_false(holds("If-Range: \"a\"", "ETag: \"b\""));
    assert_false(holds("If-Range: W/\"a\"", "ETag: W/\"a\""));
    assert_false(holds("If-Range: \"a\"", ""));
    static const char old[] = "If-Range: Tue, 14 Nov 2023 22:00:00 GMT";
    assert_true(holds(old, "Last-Modified: Tue, 14 Nov 2023 22:00:00 GMT\nDate: " DATE_NOW));
    assert_false(holds(old, "Last-Modified: Tue, 14 Nov 2023 22:00:00 GMT"));
    assert_false(holds(old, "Last-Modified: Tue, 14 Nov 2023 21:00:00 GMT\nDate: " DATE_NOW));
    assert_false(holds("If-Range: " DATE_NOW, "Last-Modified: " DATE_NOW "\nDate: " DATE_NOW));
}

static void
content_range_must_make_sense(void **state)
{
    (void)state;
    struct byte_range range;
    int64_t total;
    assert_true(range_content_parse(slice_of("bytes 0-4/10"), &range, &total));
    assert_int_equal(range.last, 4);
    assert_int_equal(total, 10);
    assert_true(range_content_parse(slice_of("bytes 0-4/*"), &range, &total));
    assert_int_equal(total, -1);
    static const char *const bad[] = {"bytes */10",
                                      "bytes 4-0/10",
                                      "bytes 0-10/10",
                                      "bytes 0-4",
                                      "bytes=0-4/10",
                                      "0-4/10",
                                      "bytes 0-4/10 ",
                                      "bytes -4/10",
                                      "bytes 0-99999999999999999999/*",
                                      ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (range_content_parse(slice_of(bad[i]), &range, &total))
            fail_msg("believed: %s", bad[i]);
}

static void
the_length_of_a_multipart_is_that_of_its_pieces(void **state)
{
    (void)state;
    struct ranges ranges = {2, {{0, 4}, {7, 9}}};
    struct multipart parts;
    assert_true(range_multipart(&parts, &ranges, 10, slice_of("text/plain"),
                                "0123456789abcdef0123456789abcdef", arena));
    assert_int_equal(parts.content_length,
                     parts.head[0].n + 5 + parts.head[1].n + 3 + parts.tail.n);
    assert_non_null(memmem(parts.head[1].p, parts.head[1].n, "Content-Range: bytes 7-9/10", 27));
    assert_non_null(strstr(parts.content_type.p, "boundary=0123456789abcdef0123456789abcdef"));
}

static void
parts_are_combined_only_by_the_same_strong_validator(void **state)
{
    (void)state;
    struct fields a = fields_of("ETag: \"a\""), b = fields_of("ETag: \"b\""), none = fields_of("");
    struct fields weak = fields_of("ETag: W/\"a\"");
    assert_true(range_may_combine(&a, &a, NOW));
    assert_false(range_may_combine(&a, &b, NOW));
    assert_false(range_may_combine(&weak, &weak, NOW));
    assert_false(range_may_combine(&none, &none, NOW));
    assert_false(range_may_combine(&a, &none, NOW));
}

/* Stock nginx gives one ETag to all codings. */
static void
parts_in_different_codings_are_not_combined(void **state)
{
    (void)state;
    struct fields plain = fields_of("ETag: \"a\"");
    struct fields coded = fields_of("ETag: \"a\"\nContent-Encoding: gzip");
    struct fields other = fields_of("ETag: \"a\"\nContent-Encoding: br");
    assert_false(range_may_combine(&plain, &coded, NOW));
    assert_false(range_may_combine(&other, &coded, NOW));
    assert_true(range_may_combine(&coded, &coded, NOW));
    /* An answer to If-Range need not repeat it. */
    assert_true(range_may_combine(&coded, &plain, NOW));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_names_its_bytes),
        cmocka_unit_test(a_range_is_written_anew_from_its_numbers),
        cmocka_unit_test(ranges_apart_stay_apart_in_their_order),
        cmocka_unit_test(a_small_request_does_not_ask_for_more_than_there_is),
        cmocka_unit_test(an_unknown_length_allows_only_what_names_both_ends),
        cmocka_unit_test(two_lines_of_range_count_for_none),
        cmocka_unit_test(if_range_takes_strong_validators_only),
        cmocka_unit_test(content_range_must_make_sense),
        cmocka_unit_test(the_length_of_a_multipart_is_that_of_its_pieces),
        cmocka_unit_test(parts_are_combined_only_by_the_same_strong_validator),
        cmocka_unit_test(parts_in_different_codings_are_not_combined),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
