/*
 * May the cache have to do with a request, and is what it has the answer? RFC
 * 9111 sections 4, 4.2.4 and 5.2.1, RFC 5861.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "http/decide.h"

#define NOW_MS (NOW * 1000)

static const struct policy route = {.enabled = true, .has_route = true, .ttl_ms = 30000};

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
    struct policy p = route;
    assert_int_equal(asked(&p, "GET", "", none), REASON_NONE);
    assert_int_equal(asked(&p, "HEAD", "", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "Range: bytes=0-1", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "If-None-Match: \"a\"", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", (struct request_facts){.has_body = true}), REASON_BODY);
    assert_int_equal(asked(&p, "GET", "", (struct request_facts){.cookie_bypass = true}),
                     REASON_COOKIE);
    assert_int_equal(asked(&p, "GET", "", (struct request_facts){.query_bypass = true}),
                     REASON_QUERY);
    p.ttl_ms = 0;
    assert_int_equal(asked(&p, "GET", "", none), REASON_ROUTE_NO_TTL);
    p.rfc = true;
    assert_int_equal(asked(&p, "GET", "", none), REASON_NONE);
    p.rfc = false;
    p.ttl_override_ms = 1;
    assert_int_equal(asked(&p, "GET", "", none), REASON_NONE);
    p.has_route = false;
    assert_int_equal(asked(&p, "GET", "", none), REASON_NO_ROUTE);
    p.never = true;
    assert_int_equal(asked(&p, "GET", "", none), REASON_ROUTE_NEVER);
    p.enabled = false;
    assert_int_equal(asked(&p, "GET", "", none), REASON_DISABLED);
}

static void
unsafe_methods_must_be_written_through(void **state)
{
    (void)state;
    static const char *const other[] = {"POST",    "PUT",   "DELETE",   "PATCH", "get",
                                        "OPTIONS", "TRACE", "PROPFIND", "X",     ""};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_int_equal(asked(&route, other[i], "", (struct request_facts){0}), REASON_METHOD);
}

static void
methods_registered_as_safe_are_safe(void **state)
{
    (void)state;
    static const char *const safe[] = {"GET",   "HEAD",     "OPTIONS", "TRACE",
                                       "QUERY", "PROPFIND", "REPORT",  "SEARCH"};
    static const char *const unsafe[] = {"POST",  "PUT",       "DELETE",   "PATCH", "get",
                                         "query", "PROPPATCH", "M-SEARCH", "PURGE", ""};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++) {
        assert_true(method_is_safe(slice_of(safe[i])));
        assert_int_equal(method_may_have_content(slice_of(safe[i])), i >= 4);
    }
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++) {
        assert_false(method_is_safe(slice_of(unsafe[i])));
        assert_true(method_may_have_content(slice_of(unsafe[i])));
    }
}

static void
preconditions_for_the_origin_must_not_be_evaluated(void **state)
{
    (void)state;
    const struct request_facts none = {0};
    assert_int_equal(asked(&route, "GET", "If-Match: \"a\"", none), REASON_PRECONDITION);
    assert_int_equal(asked(&route, "GET", "If-Unmodified-Since: " DATE_NOW, none),
                     REASON_PRECONDITION);
}

static void
a_request_with_no_store_must_not_be_stored(void **state)
{
    (void)state;
    struct policy p = route;
    const struct request_facts none = {0};
    assert_int_equal(asked(&p, "GET", "Cache-Control: no-store", none), REASON_REQUEST_NO_STORE);
    p.client_control = CLIENT_CONTROL_HONOUR;
    assert_int_equal(asked(&p, "GET", "Cache-Control: no-store", none), REASON_REQUEST_NO_STORE);
    p.client_control = CLIENT_CONTROL_IGNORE;
    assert_int_equal(asked(&p, "GET", "Cache-Control: no-store", none), REASON_NONE);
}

static void
credentials_pass_unless_the_key_covers_them(void **state)
{
    (void)state;
    const struct request_facts none = {0}, user = {.remote_user = true};
    const struct request_facts certificate = {.client_certificate = true};
    struct policy p = route;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", none), REASON_AUTHORIZATION);
    assert_int_equal(asked(&p, "GET", "", user), REASON_REMOTE_USER);
    assert_int_equal(asked(&p, "GET", "", certificate), REASON_CLIENT_CERTIFICATE);
    p.authorization_rfc = true;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", user), REASON_REMOTE_USER);
    p = route;
    p.per_user = p.web_server_vouches = true;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", user), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", (struct request_facts){.user_missing = true}),
                     REASON_NO_USER);
    p = route;
    p.per_user = p.credentials_in_key = true;
    assert_int_equal(asked(&p, "GET", "Authorization: Basic x", none), REASON_NONE);
    assert_int_equal(asked(&p, "GET", "", user), REASON_REMOTE_USER);
}

/* ----------------------------------------------------------------------- a stored one */

/* Stored `age_s` ago with an hour of freshness. */
static struct stored
stored_before(int64_t age_s)
{
    static const struct fields none = {0};
    return (struct stored){.status = 200,
                           .fields = &none,
                           .stored_ms = NOW_MS - age_s * 1000,
                           .ttl_ms = 3600000,
                           .age_s = 0};
}

static struct reuse_decision
reuse_of(const struct policy *policy, const struct stored *stored, const char *cache_control)
{
    struct fields fields = {0};
    struct request_facts facts = {.method = slice_of("GET"), .fields = &fields};
    if (*cache_control)
        assert_true(fields_add(&fields, arena, slice_of("Cache-Control"), slice_of(cache_control)));
    return decide_reuse(policy, &facts, stored, REASON_MISS, NOW_MS);
}

static void
check(const struct policy *policy, const struct stored *stored, const char *cache_control,
      enum reuse reuse, enum reason reason)
{
    struct reuse_decision got = reuse_of(policy, stored, cache_control);
    if (got.reuse != reuse || got.reason != reason)
        fail_msg("\"%s\": %d %s", cache_control, got.reuse, reason_name(got.reason));
}

static void
a_fresh_one_is_the_answer(void **state)
{
    (void)state;
    struct stored stored = stored_before(60);
    check(&route, &stored, "", REUSE_SERVE, REASON_NONE);
    stored.ttl_ms = 60000; /* it ends at its last millisecond */
    check(&route, &stored, "", REUSE_VALIDATE, REASON_STALE);
    stored.ttl_ms = 60001;
    check(&route, &stored, "", REUSE_SERVE, REASON_NONE);
    struct reuse_decision got = reuse_of(&route, &stored, "");
    assert_int_equal(got.age_s, 60);
    assert_int_equal(got.fresh_left_ms, 1);
}

static void
a_stale_one_must_not_be_used_unasked(void **state)
{
    (void)state;
    struct stored stored = stored_before(3601);
    check(&route, &stored, "", REUSE_VALIDATE, REASON_STALE);
    assert_int_equal(reuse_of(&route, &stored, "").fresh_left_ms, -1000);
    stored.ttl_ms = -5000; /* stale on arrival */
    check(&route, &stored, "", REUSE_VALIDATE, REASON_STALE);
}

static void
no_cache_must_not_be_used_without_validation(void **state)
{
    (void)state;
    struct stored stored = stored_before(1);
    stored.flags = STORED_NO_CACHE;
    stored.stale_while_s = stored.stale_if_s = 1000;
    check(&route, &stored, "", REUSE_VALIDATE, REASON_MUST_VALIDATE);
    check(&route, &stored, "max-stale", REUSE_VALIDATE, REASON_MUST_VALIDATE);
}

static void
nothing_stored_is_fetched(void **state)
{
    (void)state;
    check(&route, NULL, "", REUSE_VALIDATE, REASON_MISS);
    check(&route, NULL, "max-stale", REUSE_VALIDATE, REASON_MISS);
}

static void
only_if_cached_never_asks(void **state)
{
    (void)state;
    struct stored fresh = stored_before(1), stale = stored_before(4000), asked_for = fresh;
    asked_for.flags = STORED_NO_CACHE;
    check(&route, NULL, "only-if-cached", REUSE_UNAVAILABLE, REASON_REQUEST_ONLY_IF_CACHED);
    check(&route, &stale, "only-if-cached", REUSE_UNAVAILABLE, REASON_REQUEST_ONLY_IF_CACHED);
    check(&route, &asked_for, "only-if-cached", REUSE_UNAVAILABLE, REASON_REQUEST_ONLY_IF_CACHED);
    check(&route, &fresh, "only-if-cached", REUSE_SERVE, REASON_NONE);
    check(&route, &stale, "only-if-cached, max-stale", REUSE_SERVE, REASON_STALE);
    struct policy deaf = route;
    deaf.client_control = CLIENT_CONTROL_IGNORE;
    check(&deaf, NULL, "only-if-cached", REUSE_VALIDATE, REASON_MISS);
}

static void
a_client_may_ask_for_something_newer(void **state)
{
    (void)state;
    static const struct {
        const char *cache_control;
        bool newer;
    } table[] = {
        {"no-cache", true},       {"max-age=0", true},          {"max-age=59", true},
        {"max-age=60", false},    {"max-age=3600", false},      {"min-fresh=3540", false},
        {"min-fresh=3541", true}, {"min-fresh=0", false},       {"no-transform", false},
        {"max-stale", false},     {"stale-if-error=60", false}, {"private", false},
    };
    struct stored stored = stored_before(60);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        enum reuse reuse = table[i].newer ? REUSE_VALIDATE : REUSE_SERVE;
        enum reason reason = table[i].newer ? REASON_REQUEST_NO_CACHE : REASON_NONE;
        check(&route, &stored, table[i].cache_control, reuse, reason);
    }
}

static void
a_crowd_of_reloads_is_one(void **state)
{
    (void)state;
    struct stored stored = stored_before(0);
    struct policy p = route;
    stored.stored_ms = NOW_MS - 999;
    check(&p, &stored, "no-cache", REUSE_SERVE, REASON_NONE);
    check(&p, &stored, "max-age=0", REUSE_SERVE, REASON_NONE);
    stored.stored_ms = NOW_MS - 1000;
    check(&p, &stored, "no-cache", REUSE_VALIDATE, REASON_REQUEST_NO_CACHE);
    /* From a clock that is ahead: nobody knows when it came. */
    stored.stored_ms = NOW_MS + DECIDE_AHEAD_MAX_MS;
    check(&p, &stored, "no-cache", REUSE_VALIDATE, REASON_REQUEST_NO_CACHE);
    stored.stored_ms = NOW_MS - 10;
    p.client_control = CLIENT_CONTROL_HONOUR;
    check(&p, &stored, "no-cache", REUSE_VALIDATE, REASON_REQUEST_NO_CACHE);
    p.client_control = CLIENT_CONTROL_IGNORE;
    stored.stored_ms = NOW_MS - 60000;
    check(&p, &stored, "no-cache", REUSE_SERVE, REASON_NONE);
}

static void
what_comes_from_the_future_is_stale(void **state)
{
    (void)state;
    struct fields none = {0};
    struct request_facts facts = {.method = slice_of("GET"), .fields = &none};
    struct stored stored = stored_before(0);
    stored.stale_while_s = stored.stale_if_s = 86400;
    stored.stored_ms = NOW_MS + DECIDE_AHEAD_MAX_MS;
    check(&route, &stored, "", REUSE_SERVE, REASON_NONE);
    static const int64_t ahead_s[] = {3, 3600, 10 * INT64_C(365) * 86400};
    for (size_t i = 0; i < sizeof ahead_s / sizeof *ahead_s; i++) {
        stored.stored_ms = NOW_MS + ahead_s[i] * 1000;
        check(&route, &stored, "", REUSE_VALIDATE, REASON_STALE);
        assert_false(decide_on_error(&route, &facts, &stored, NOW_MS));
        assert_false(decide_early(&stored, 1000, 0.001, NOW_MS));
    }
}

static void
a_client_may_take_a_stale_one(void **state)
{
    (void)state;
    struct stored stored = stored_before(3610);
    check(&route, &stored, "max-stale", REUSE_SERVE, REASON_STALE);
    check(&route, &stored, "max-stale=10", REUSE_SERVE, REASON_STALE);
    check(&route, &stored, "max-stale=9", REUSE_VALIDATE, REASON_STALE);
    check(&route, &stored, "max-stale=x", REUSE_VALIDATE, REASON_STALE);
    check(&route, &stored, "max-stale, no-cache", REUSE_VALIDATE, REASON_STALE);
    check(&route, &stored, "max-stale, min-fresh=1", REUSE_VALIDATE, REASON_STALE);
}

static void
must_revalidate_must_not_be_served_stale(void **state)
{
    (void)state;
    struct stored stored = stored_before(3610);
    struct fields none = {0};
    struct request_facts facts = {.method = slice_of("GET"), .fields = &none};
    stored.flags = STORED_MUST_REVALIDATE;
    stored.stale_while_s = stored.stale_if_s = 1000; /* not the origin's word */
    check(&route, &stored, "max-stale", REUSE_VALIDATE, REASON_STALE);
    check(&route, &stored, "", REUSE_VALIDATE, REASON_STALE);
    assert_false(decide_on_error(&route, &facts, &stored, NOW_MS));
    struct fields allows = fields_of("Cache-Control: stale-if-error=1000");
    facts.fields = &allows;
    assert_false(decide_on_error(&route, &facts, &stored, NOW_MS));
}

static void
stale_while_revalidate_answers_at_once(void **state)
{
    (void)state;
    struct stored stored = stored_before(3610);
    stored.stale_while_s = 11;
    check(&route, &stored, "", REUSE_SERVE_AND_REFRESH, REASON_STALE);
    stored.stale_while_s = 10;
    check(&route, &stored, "", REUSE_VALIDATE, REASON_STALE);
    stored.stale_while_s = 11;
    check(&route, &stored, "no-cache", REUSE_VALIDATE, REASON_STALE);
    check(&route, &stored, "max-age=60", REUSE_VALIDATE, REASON_STALE);
    /* Beside s-maxage, by the origin's own permission. */
    stored.flags = STORED_MUST_REVALIDATE | STORED_STALE_WHILE_OK;
    check(&route, &stored, "", REUSE_SERVE_AND_REFRESH, REASON_STALE);
}

static void
stale_if_error_stands_in_for_so_long(void **state)
{
    (void)state;
    struct stored stored = stored_before(3610);
    struct fields none = {0}, asks = fields_of("Cache-Control: stale-if-error=11");
    struct request_facts facts = {.method = slice_of("GET"), .fields = &none};
    assert_false(decide_on_error(&route, &facts, &stored, NOW_MS));
    stored.stale_if_s = 11;
    assert_true(decide_on_error(&route, &facts, &stored, NOW_MS));
    assert_false(decide_on_error(&route, &facts, &stored, NOW_MS + 1000));
    stored.stale_if_s = 0;
    facts.fields = &asks;
    assert_true(decide_on_error(&route, &facts, &stored, NOW_MS));
    assert_false(decide_on_error(&route, &facts, &stored, NOW_MS + 1000));
    /* Still fresh, and the client's reload failed. */
    struct stored fresh = stored_before(60);
    facts.fields = &none;
    assert_true(decide_on_error(&route, &facts, &fresh, NOW_MS));
    fresh.flags = STORED_NO_CACHE;
    assert_false(decide_on_error(&route, &facts, &fresh, NOW_MS));
    /* An old error is no better than a new one. */
    struct stored failure = stored_before(3610);
    failure.status = 503;
    failure.stale_if_s = 1000;
    assert_false(decide_on_error(&route, &facts, &failure, NOW_MS));
}

static void
five_xx_that_mean_the_backend_failed(void **state)
{
    (void)state;
    static const int failures[] = {500, 502, 503, 504};
    static const int others[] = {200, 304, 404, 429, 499, 501, 505, 507, 599};
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        assert_true(status_is_failure(failures[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(status_is_failure(others[i]));
}

static int64_t
fetch_age(enum client_control control, const char *fields)
{
    struct policy p = route;
    struct fields list = fields_of(fields);
    const struct request_facts facts = {.method = slice_of("GET"), .fields = &list};
    p.client_control = control;
    return decide_fetch_age_ms(&p, &facts);
}

static void
who_asks_for_something_new_does_not_get_what_somebody_else_has_asked_for_long_ago(void **state)
{
    (void)state;
    assert_int_equal(fetch_age(CLIENT_CONTROL_HONOUR, ""), INT64_MAX);
    assert_int_equal(fetch_age(CLIENT_CONTROL_HONOUR, "Cache-Control: no-cache"), 0);
    assert_int_equal(fetch_age(CLIENT_CONTROL_HONOUR, "Cache-Control: max-age=0"), 0);
    assert_int_equal(fetch_age(CLIENT_CONTROL_HONOUR, "Cache-Control: max-age=5"), 5000);
    /* A second old is new enough. */
    assert_int_equal(fetch_age(CLIENT_CONTROL_LIMITED, "Cache-Control: no-cache"), 1000);
    assert_int_equal(fetch_age(CLIENT_CONTROL_LIMITED, "Cache-Control: max-age=5"), 5000);
    assert_int_equal(fetch_age(CLIENT_CONTROL_IGNORE, "Cache-Control: no-cache"), INT64_MAX);
}

/* How often in a thousand. */
static int
early(int64_t fetch_ms, int percent, int64_t left_ms)
{
    const struct stored stored = {
        .stored_ms = NOW_MS - 10000, .ttl_ms = 10000 + left_ms, .fetch_ms = fetch_ms};
    int n = 0;
    for (int i = 1; i <= 1000; i++)
        n += decide_early(&stored, percent, i / 1000.0, NOW_MS);
    return n;
}

static void
what_is_fresh_is_fetched_early_by_chance_and_sooner_if_it_takes_long(void **state)
{
    (void)state;
    assert_int_equal(early(1000, 0, 1), 0);
    assert_int_equal(early(0, 100, 1), 0);
    /* P = exp(-left / fetch): one in e when what is left is what the fetch takes. */
    assert_in_range(early(1000, 100, 1000), 366, 369);
    assert_in_range(early(1000, 200, 1000), 605, 608);
    assert_in_range(early(1000, 100, 5000), 6, 7);
    assert_int_equal(early(1000, 100, 60000), 0);
    /* Beyond its time other rules hold. */
    assert_int_equal(early(1000, 100, 0), 0);
    assert_int_equal(early(1000, 100, -1), 0);
}

static void
the_ancestors_entries_are_fresh_while_redis_has_them(void **state)
{
    (void)state;
    struct stored stored = stored_before(999999);
    stored.age_s = -1;
    struct reuse_decision got = reuse_of(&route, &stored, "");
    assert_int_equal(got.reuse, REUSE_SERVE);
    assert_int_equal(got.age_s, -1);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_passed_for_the_first_reason_that_holds),
        cmocka_unit_test(unsafe_methods_must_be_written_through),
        cmocka_unit_test(methods_registered_as_safe_are_safe),
        cmocka_unit_test(preconditions_for_the_origin_must_not_be_evaluated),
        cmocka_unit_test(a_request_with_no_store_must_not_be_stored),
        cmocka_unit_test(credentials_pass_unless_the_key_covers_them),
        cmocka_unit_test(a_fresh_one_is_the_answer),
        cmocka_unit_test(a_stale_one_must_not_be_used_unasked),
        cmocka_unit_test(no_cache_must_not_be_used_without_validation),
        cmocka_unit_test(nothing_stored_is_fetched),
        cmocka_unit_test(only_if_cached_never_asks),
        cmocka_unit_test(a_client_may_ask_for_something_newer),
        cmocka_unit_test(a_crowd_of_reloads_is_one),
        cmocka_unit_test(what_comes_from_the_future_is_stale),
        cmocka_unit_test(a_client_may_take_a_stale_one),
        cmocka_unit_test(must_revalidate_must_not_be_served_stale),
        cmocka_unit_test(stale_while_revalidate_answers_at_once),
        cmocka_unit_test(stale_if_error_stands_in_for_so_long),
        cmocka_unit_test(five_xx_that_mean_the_backend_failed),
        cmocka_unit_test(
            who_asks_for_something_new_does_not_get_what_somebody_else_has_asked_for_long_ago),
        cmocka_unit_test(what_is_fresh_is_fetched_early_by_chance_and_sooner_if_it_takes_long),
        cmocka_unit_test(the_ancestors_entries_are_fresh_while_redis_has_them),
        cmocka_unit_test(age_grows_and_never_shrinks_below_what_it_was),
        cmocka_unit_test(every_reason_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
