/* Dates, Cache-Control, and the decisions of a shared cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/cache_control.h"
#include "http/date.h"
#include "http/decide.h"

#define NOW INT64_C(1700000000) /* Tue, 14 Nov 2023 22:13:20 GMT */

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

/* "Name: value\nName: value" */
static struct fields
fields_of(const char *text)
{
    struct fields fields = {0};
    while (*text) {
        const char *colon = strchr(text, ':'), *end = strchr(text, '\n');
        if (!end)
            end = text + strlen(text);
        assert_true(fields_add(&fields, arena, (struct slice){text, (size_t)(colon - text)},
                               (struct slice){colon + 1, (size_t)(end - colon - 1)}));
        text = *end ? end + 1 : end;
    }
    return fields;
}

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

static struct cache_control
parsed(const char *value)
{
    struct fields fields = {0};
    struct cache_control cc;
    assert_true(fields_add(&fields, arena, slice_of("Cache-Control"), slice_of(value)));
    cache_control_parse(&cc, &fields);
    return cc;
}

static void
directives_are_found_in_any_dress(void **state)
{
    (void)state;
    assert_true(parsed("no-store").no_store);
    assert_true(parsed("a=b,  NO-STORE").no_store);
    assert_true(parsed("private=\"set-cookie, no-store\"").is_private);
    assert_false(parsed("private=\"set-cookie, no-store\"").no_store);
    assert_false(parsed("x=\"no-store\"").no_store);
    assert_true(parsed("x=\"a\\\"b\", no-store").no_store);
    assert_true(parsed("x=\"unterminated, no-store").no_store);
    assert_true(parsed("private;max-age=60").is_private);
    assert_true(parsed("no-cache; no-store").no_cache);
    assert_true(parsed("no-cache; no-store").no_store);
    assert_true(parsed("max-age=60;private").is_private);
    assert_int_equal(parsed("max-age=60;private").max_age_s, 60);
    assert_true(parsed("\"no-store\"").no_store);
    assert_true(parsed("\"max-age=60, private\"").is_private);
    assert_false(parsed("no-storex").no_store);
    assert_int_equal(parsed("max-age=60").max_age_s, 60);
    assert_int_equal(parsed("max-age=\"60\"").max_age_s, 60);
    assert_int_equal(parsed("Max-Age=60, s-maxage=5").s_maxage_s, 5);
    assert_int_equal(parsed("public").max_age_s, -1);
}

static void
doubtful_freshness_is_none(void **state)
{
    (void)state;
    assert_int_equal(parsed("max-age=abc").max_age_s, 0);
    assert_int_equal(parsed("max-age=-1").max_age_s, 0);
    assert_int_equal(parsed("max-age=1.5").max_age_s, 0);
    assert_int_equal(parsed("max-age").max_age_s, 0);
    assert_int_equal(parsed("max-age=").max_age_s, 0);
    assert_int_equal(parsed("max-age=100, max-age=5").max_age_s, 5);
    assert_int_equal(parsed("max-age=99999999999999999999999").max_age_s, HTTP_SECONDS_MAX);
}

static const struct policy open_route = {.enabled = true, .has_route = true, .ttl_ms = 30000};

static enum reason
asked(const struct policy *policy, const char *method, const char *fields,
      struct request_facts facts)
{
    struct fields list = fields_of(fields);
    facts.method = slice_of(method);
    facts.fields = &list;
    return decide_request(policy, &facts);
}

static void
a_request_is_passed_for_the_first_reason_that_holds(void **state)
{
    (void)state;
    const struct request_facts none = {0};
    struct policy p = open_route;
    assert_int_equal(asked(&p, "GET", "", none), REASON_NONE);
    assert_int_equal(asked(&p, "HEAD", "", none), REASON_NONE);
    assert_int_equal(asked(&p, "POST", "", none), REASON_METHOD);
    assert_int_equal(asked(&p, "get", "", none), REASON_METHOD);
    assert_int_equal(asked(&p, "GET", "Range: bytes=0-1", none), REASON_RANGE);
    assert_int_equal(asked(&p, "GET", "If-Match: \"a\"", none), REASON_PRECONDITION);
    assert_int_equal(asked(&p, "GET", "If-Unmodified-Since: x", none), REASON_PRECONDITION);
    assert_int_equal(asked(&p, "GET", "If-None-Match: \"a\"", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", (struct request_facts){.has_body = true}), REASON_BODY);
    assert_int_equal(asked(&p, "GET", "", (struct request_facts){.cookie_bypass = true}),
                     REASON_COOKIE);
    p.ttl_ms = 0;
    assert_int_equal(asked(&p, "GET", "", none), REASON_ROUTE_NO_TTL);
    p.has_route = false;
    assert_int_equal(asked(&p, "GET", "", none), REASON_NO_ROUTE);
    p.never = true;
    assert_int_equal(asked(&p, "GET", "", none), REASON_ROUTE_NEVER);
    p.enabled = false;
    assert_int_equal(asked(&p, "GET", "", none), REASON_DISABLED);
}

static void
credentials_pass_unless_the_key_covers_them(void **state)
{
    (void)state;
    const struct request_facts none = {0}, user = {.remote_user = true};
    const struct request_facts certificate = {.client_certificate = true};
    struct policy p = open_route;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", none), REASON_AUTHORIZATION);
    assert_int_equal(asked(&p, "GET", "", user), REASON_REMOTE_USER);
    assert_int_equal(asked(&p, "GET", "", certificate), REASON_CLIENT_CERTIFICATE);
    p.authorization_rfc = true;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", user), REASON_REMOTE_USER);
    p = open_route;
    p.per_user = p.web_server_vouches = true;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", user), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", (struct request_facts){.user_missing = true}),
                     REASON_NO_USER);
    p = open_route;
    p.per_user = p.credentials_in_key = true;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", user), REASON_REMOTE_USER);
}

static struct store_decision
answered(const struct policy *policy, const char *method, const char *request, int status,
         const char *response)
{
    struct fields asked_with = fields_of(request), got = fields_of(response);
    struct request_facts facts = {.method = slice_of(method), .fields = &asked_with};
    return decide_store(policy, &facts, status, &got, NOW);
}

static void
what_is_not_for_everybody_is_not_stored(void **state)
{
    (void)state;
    static const struct {
        const char *method, *request;
        int status;
        const char *response;
        enum reason reason;
    } table[] = {
        {"GET", "", 200, "", REASON_NONE},
        {"GET", "", 203, "", REASON_NONE},
        {"GET", "", 204, "", REASON_NONE},
        {"HEAD", "", 200, "", REASON_HEAD},
        {"GET", "", 206, "Content-Range: bytes 0-1/2", REASON_STATUS},
        {"GET", "", 200, "Content-Range: bytes 0-1/2", REASON_CONTENT_RANGE},
        {"GET", "", 301, "", REASON_STATUS},
        {"GET", "", 304, "", REASON_STATUS},
        {"GET", "", 404, "Cache-Control: max-age=60", REASON_STATUS},
        {"GET", "", 500, "", REASON_STATUS},
        {"GET", "", 200, "Cache-Control: no-store", REASON_NO_STORE},
        {"GET", "", 200, "Cache-Control: public\nCache-Control: no-store", REASON_NO_STORE},
        {"GET", "", 200, "Cache-Control: private", REASON_PRIVATE},
        {"GET", "", 200, "Cache-Control: private=\"x\"", REASON_PRIVATE},
        {"GET", "", 200, "Cache-Control: no-cache", REASON_NO_CACHE},
        {"GET", "", 200, "Set-Cookie: a=b", REASON_SET_COOKIE},
        {"GET", "", 200, "Vary: Accept", REASON_VARY},
        {"GET", "", 200, "Vary: *", REASON_VARY},
        {"GET", "Cache-Control: no-store", 200, "", REASON_REQUEST_NO_STORE},
        {"GET", "Authorization: x", 200, "", REASON_AUTHORIZED_RESPONSE},
        {"GET", "Authorization: x", 200, "Cache-Control: max-age=60", REASON_AUTHORIZED_RESPONSE},
        {"GET", "Authorization: x", 200, "Cache-Control: public", REASON_NONE},
        {"GET", "Authorization: x", 200, "Cache-Control: must-revalidate", REASON_NONE},
        {"GET", "Authorization: x", 200, "Cache-Control: s-maxage=9", REASON_NONE},
        {"GET", "", 200, "Cache-Control: max-age=0", REASON_EXPIRED},
        {"GET", "", 200, "Cache-Control: max-age=60\nAge: 60", REASON_EXPIRED},
        {"GET", "", 200, "Expires: 0", REASON_EXPIRED},
        {"GET", "", 200, "Expires: Tue, 14 Nov 2023 22:13:19 GMT", REASON_EXPIRED},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct store_decision d = answered(&open_route, table[i].method, table[i].request,
                                           table[i].status, table[i].response);
        if (d.reason != table[i].reason)
            fail_msg("%d %s | %s: %s instead of %s", table[i].status, table[i].request,
                     table[i].response, reason_name(d.reason), reason_name(table[i].reason));
        assert_true((d.ttl_ms > 0) == (d.reason == REASON_NONE));
    }
}

static void
the_origin_decides_how_long_where_it_speaks(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        int64_t ttl_ms;
        int64_t age_s;
    } table[] = {
        {"", 30000, 0},
        {"Cache-Control: max-age=60", 60000, 0},
        {"Cache-Control: max-age=60, s-maxage=10", 10000, 0},
        {"Cache-Control: max-age=60\nAge: 20", 40000, 20},
        {"Cache-Control: max-age=60\nDate: Tue, 14 Nov 2023 22:13:10 GMT", 50000, 10},
        {"Date: Tue, 14 Nov 2023 22:13:10 GMT", 30000, 10},
        {"Date: Tue, 14 Nov 2023 22:13:20 GMT\nExpires: Tue, 14 Nov 2023 22:14:20 GMT", 60000, 0},
        {"Expires: Tue, 14 Nov 2023 22:14:20 GMT", 60000, 0},
        {"Cache-Control: max-age=5\nExpires: Tue, 14 Nov 2023 22:14:20 GMT", 5000, 0},
        {"Cache-Control: max-age=60\nAge: bogus", 60000, 0},
        {"Date: Wed, 15 Nov 2023 00:00:00 GMT", 30000, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct store_decision d = answered(&open_route, "GET", "", 200, table[i].response);
        if (d.reason != REASON_NONE || d.ttl_ms != table[i].ttl_ms || d.age_s != table[i].age_s)
            fail_msg("%s: %s, ttl %lld, age %lld", table[i].response, reason_name(d.reason),
                     (long long)d.ttl_ms, (long long)d.age_s);
    }
}

static void
age_grows_and_never_shrinks_below_what_it_was(void **state)
{
    (void)state;
    assert_int_equal(response_age_s(5, 1000, 4999), 8);
    assert_int_equal(response_age_s(5, 5000, 1000), 5);
    assert_int_equal(response_age_s(HTTP_SECONDS_MAX, 0, 5000), HTTP_SECONDS_MAX);
}

static void
every_reason_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        assert_string_not_equal(reason_name((enum reason)i), "unknown");
        for (int k = 0; k < i; k++)
            assert_string_not_equal(reason_name((enum reason)i), reason_name((enum reason)k));
    }
}

static void
only_four_methods_are_safe(void **state)
{
    (void)state;
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
    static const char *const unsafe[] = {"POST", "PUT", "DELETE", "PATCH", "get", "PROPFIND", ""};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        assert_true(method_is_safe(slice_of(safe[i])));
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        assert_false(method_is_safe(slice_of(unsafe[i])));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_date_formats_are_one_time),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(two_digit_years_more_than_fifty_ahead_are_past),
        cmocka_unit_test(dates_are_written_as_they_are_read),
        cmocka_unit_test(directives_are_found_in_any_dress),
        cmocka_unit_test(doubtful_freshness_is_none),
        cmocka_unit_test(a_request_is_passed_for_the_first_reason_that_holds),
        cmocka_unit_test(credentials_pass_unless_the_key_covers_them),
        cmocka_unit_test(what_is_not_for_everybody_is_not_stored),
        cmocka_unit_test(the_origin_decides_how_long_where_it_speaks),
        cmocka_unit_test(age_grows_and_never_shrinks_below_what_it_was),
        cmocka_unit_test(every_reason_has_a_name_of_its_own),
        cmocka_unit_test(only_four_methods_are_safe),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
