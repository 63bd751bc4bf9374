/* HTTP dates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/date.h"

#define NOW INT64_C(1700000000) /* Tue, 14 Nov 2023 22:13:20 GMT */

static void
three_date_formats_are_one_time(void **state)
{
    (void)state;
    static const char *const same[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "sun, 06 nov 1994 08:49:37 gmt",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        int64_t t = 0;
        assert_true(http_date_parse(slice_of(same[i]), NOW, &t));
        assert_int_equal(t, 784111777);
    }
    int64_t t;
    assert_true(http_date_parse(slice_of("Thu, 29 Feb 2024 23:59:60 GMT"), NOW, &t));
}

static void
what_is_no_date_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "0",
        "-1",
        "now",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Thu, 29 Feb 2023 00:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun Nov  6 08:49:37 1994 GMT",
        "1994-11-06T08:49:37Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t t;
        if (http_date_parse(slice_of(bad[i]), NOW, &t))
            fail_msg("taken: \"%s\"", bad[i]);
    }
}

static void
two_digit_years_more_than_fifty_ahead_are_past(void **state)
{
    (void)state;
    int64_t t;
    assert_true(http_date_parse(slice_of("Monday, 01-Jan-73 00:00:00 GMT"), NOW, &t));
    assert_int_equal(t, INT64_C(3250454400)); /* 2073: exactly fifty years ahead */
    assert_true(http_date_parse(slice_of("Tuesday, 01-Jan-74 00:00:00 GMT"), NOW, &t));
    assert_int_equal(t, INT64_C(126230400)); /* 1974 */
}

static void
dates_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 784111777, 951782400, 1709251199, 4102444800, -1};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[HTTP_DATE_SIZE];
        int64_t t;
        http_date_format(times[i], text);
        assert_true(http_date_parse(slice_of(text), NOW, &t));
        assert_int_equal(t, times[i]);
    }
    char text[HTTP_DATE_SIZE];
    http_date_format(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date_format(INT64_MAX, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_date_formats_are_one_time),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(two_digit_years_more_than_fifty_ahead_are_past),
        cmocka_unit_test(dates_are_written_as_they_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
