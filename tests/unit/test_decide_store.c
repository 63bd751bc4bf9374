/*
 * May a response be stored, and for how long is it fresh? Each MUST and MUST NOT
 * of RFC 9111 sections 3, 4.2 and 5.2.2 that concerns it has a test of its name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "http/decide.h"

#define HOUR_MS INT64_C(3600000)
#define MODIFIED_DAYS_AGO "Last-Modified: Sat, 04 Nov 2023 22:13:20 GMT" /* ten before NOW */

/* Those of a configuration that sets nothing but ttl. */
static const struct policy silent = {
    .enabled = true,
    .has_route = true,
    .ttl_ms = 30000,
    .heuristic_max_ms = 24 * HOUR_MS,
    .negative_max_ms = 10000,
    .stale_if_ms = 600000,
    .keep_ms = 600000,
};

/* The route that has everything as the RFC has it. */
static const struct policy rfc = {
    .enabled = true,
    .has_route = true,
    .rfc = true,
    .heuristic_max_ms = 24 * HOUR_MS,
    .negative_max_ms = 10000,
    .errors_rfc = true,
    .authorization_rfc = true,
    .set_cookie = SET_COOKIE_KEEP,
    .keep_ms = 600000,
};

static struct store_decision
answered(const struct policy *policy, const char *method, const char *request, int status,
         const char *response)
{
    static const struct response_times times = {NOW * 1000, NOW * 1000, NOW * 1000};
    struct fields asked_with = fields_of(request), got = fields_of(response);
    struct request_facts facts = {.method = slice_of(method), .fields = &asked_with};
    return decide_store(policy, &facts, status, &got, &times);
}

static enum reason
why_not(const struct policy *policy, int status, const char *response)
{
    return answered(policy, "GET", "", status, response).reason;
}

static int64_t
ttl_of(const struct policy *policy, int status, const char *response)
{
    struct store_decision d = answered(policy, "GET", "", status, response);
    if (d.reason != REASON_NONE)
        fail_msg("%d %s: %s", status, response, reason_name(d.reason));
    return d.ttl_ms;
}

static void
a_response_to_a_method_that_is_not_understood_must_not_be_stored(void **state)
{
    (void)state;
    /* §3: that a HEAD's has no content is all that there is to it; others never come here but POST,
     * which follows RFC 9110 §9.3.3. */
    assert_int_equal(answered(&rfc, "HEAD", "", 200, "Cache-Control: max-age=60").reason,
                     REASON_HEAD);
    assert_int_equal(answered(&rfc, "POST", "", 200, "Cache-Control: max-age=60").reason,
                     REASON_NONE);
    assert_int_equal(answered(&rfc, "GET", "", 200, "Cache-Control: max-age=60").reason,
                     REASON_NONE);
}

static void
a_response_that_is_not_final_must_not_be_stored(void **state)
{
    (void)state;
    assert_int_equal(why_not(&rfc, 100, "Cache-Control: max-age=60"), REASON_STATUS);
    assert_int_equal(why_not(&rfc, 103, "Cache-Control: max-age=60"), REASON_STATUS);
    assert_int_equal(why_not(&rfc, 600, "Cache-Control: max-age=60"), REASON_STATUS);
    assert_int_equal(why_not(&rfc, 304, "Cache-Control: max-age=60"), REASON_STATUS);
}

static void
no_store_must_not_be_stored(void **state)
{
    (void)state;
    struct policy override = silent;
    override.ttl_override_ms = 60000;
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: no-store"), REASON_NO_STORE);
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: max-age=60, no-store"), REASON_NO_STORE);
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: public\nCache-Control: NO-STORE"),
                     REASON_NO_STORE);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: no-store"), REASON_NO_STORE);
    assert_int_equal(why_not(&override, 200, "Cache-Control: no-store"), REASON_NO_STORE);
}

static void
private_must_not_be_stored_by_a_shared_cache(void **state)
{
    (void)state;
    struct policy override = silent, user = silent;
    override.ttl_override_ms = 60000;
    user.per_user = user.web_server_vouches = true;
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: private, max-age=60"), REASON_PRIVATE);
    assert_int_equal(why_not(&override, 200, "Cache-Control: private"), REASON_PRIVATE);
    assert_int_equal(why_not(&user, 200, "Cache-Control: private"), REASON_PRIVATE);
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: public, private, max-age=60"),
                     REASON_PRIVATE);
}

static void
private_with_fields_may_be_stored_without_them(void **state)
{
    (void)state;
    assert_int_equal(ttl_of(&rfc, 200, "Cache-Control: private=\"x-name\", max-age=60"), 60000);
    /* A list that is none counts as the bare directive. */
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: private=\"\", max-age=60"), REASON_PRIVATE);
}

static void
authorization_must_not_be_stored_without_leave(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        enum reason reason;
    } table[] = {
        {"Cache-Control: max-age=60", REASON_AUTHORIZED_RESPONSE},
        {"Expires: Tue, 14 Nov 2023 22:14:20 GMT", REASON_AUTHORIZED_RESPONSE},
        {"Cache-Control: max-age=60, proxy-revalidate", REASON_AUTHORIZED_RESPONSE},
        {"Cache-Control: max-age=60, public", REASON_NONE},
        {"Cache-Control: max-age=60, must-revalidate", REASON_NONE},
        {"Cache-Control: s-maxage=60", REASON_NONE},
        {"Cache-Control: s-maxage=60, private", REASON_PRIVATE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (answered(&rfc, "GET", "Authorization: Basic x", 200, table[i].response).reason !=
            table[i].reason)
            fail_msg("%s", table[i].response);
    /* Where the key has the credentials in it, the response is nobody else's. */
    struct policy own = rfc;
    own.credentials_in_key = true;
    assert_int_equal(
        answered(&own, "GET", "Authorization: Basic x", 200, "Cache-Control: max-age=60").reason,
        REASON_NONE);
}

static void
must_understand_is_stored_if_the_status_is_understood(void **state)
{
    (void)state;
    const char *both = "Cache-Control: must-understand, no-store, max-age=60";
    assert_int_equal(why_not(&rfc, 200, both), REASON_NONE);
    assert_int_equal(why_not(&rfc, 404, both), REASON_NONE);
    assert_int_equal(why_not(&rfc, 599, both), REASON_MUST_UNDERSTAND);
    assert_int_equal(why_not(&rfc, 299, "Cache-Control: must-understand, max-age=60"),
                     REASON_MUST_UNDERSTAND);
    /* Without the directive an unknown status with explicit freshness may be stored. */
    assert_int_equal(why_not(&rfc, 599, "Cache-Control: max-age=60"), REASON_NONE);
    assert_int_equal(why_not(&rfc, 599, "Cache-Control: no-store, max-age=60"), REASON_NO_STORE);
}

static void
without_a_word_on_freshness_it_must_not_be_stored(void **state)
{
    (void)state;
    assert_int_equal(why_not(&rfc, 200, ""), REASON_NO_FRESHNESS);
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: public"), REASON_NO_FRESHNESS);
    assert_int_equal(why_not(&rfc, 302, MODIFIED_DAYS_AGO), REASON_NO_FRESHNESS);
    assert_int_equal(why_not(&rfc, 599, MODIFIED_DAYS_AGO), REASON_NO_FRESHNESS);
    assert_int_equal(why_not(&silent, 302, ""), REASON_NO_FRESHNESS);
    assert_int_equal(ttl_of(&silent, 200, ""), 30000);
    assert_int_equal(ttl_of(&rfc, 302, "Cache-Control: max-age=60"), 60000);
}

static void
set_cookie_is_stored_only_where_a_route_allows_it(void **state)
{
    (void)state;
    struct policy p = silent;
    assert_int_equal(why_not(&p, 200, "Set-Cookie: a=b"), REASON_SET_COOKIE);
    assert_int_equal(why_not(&p, 200, "Set-Cookie2: a=b"), REASON_SET_COOKIE);
    p.ttl_override_ms = 1000;
    assert_int_equal(why_not(&p, 200, "Set-Cookie: a=b"), REASON_SET_COOKIE);
    p.set_cookie = SET_COOKIE_STRIP;
    assert_int_equal(why_not(&p, 200, "Set-Cookie: a=b"), REASON_NONE);
    p.set_cookie = SET_COOKIE_KEEP;
    assert_int_equal(why_not(&p, 200, "Set-Cookie: a=b"), REASON_NONE);
}

static void
vary_star_is_never_stored(void **state)
{
    (void)state;
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: max-age=60\nVary: *"), REASON_VARY_STAR);
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: max-age=60\nVary: Accept\nVary: x, *"),
                     REASON_VARY_STAR);
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: max-age=60\nVary: Accept"), REASON_NONE);
}

static void
errors_come_in_where_a_route_asks_for_them(void **state)
{
    (void)state;
    static const int errors[] = {400, 401, 403, 405, 414, 429, 500, 501, 502, 503, 504};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        assert_int_equal(why_not(&silent, errors[i], "Cache-Control: max-age=60"),
                         REASON_ERROR_STATUS);
        assert_int_equal(ttl_of(&rfc, errors[i], "Cache-Control: max-age=60"), 60000);
    }
    /* That a page is not there is worth remembering, but not for long. */
    assert_int_equal(ttl_of(&silent, 404, "Cache-Control: max-age=60"), 10000);
    assert_int_equal(ttl_of(&silent, 410, "Cache-Control: max-age=5"), 5000);
    assert_int_equal(ttl_of(&rfc, 404, "Cache-Control: max-age=60"), 60000);
    assert_int_equal(why_not(&silent, 404, ""), REASON_NO_FRESHNESS);
}

static void
a_route_names_statuses_of_its_own(void **state)
{
    (void)state;
    static const struct status_ttl list[] = {{301, 90000}, {404, 20000}, {503, 2000}, {410, 0}};
    struct policy p = silent;
    p.by_status = list;
    p.by_status_count = sizeof list / sizeof *list;
    assert_int_equal(ttl_of(&p, 301, ""), 90000);
    assert_int_equal(ttl_of(&p, 404, ""), 20000);
    assert_int_equal(ttl_of(&p, 503, ""), 2000);
    assert_int_equal(why_not(&p, 410, MODIFIED_DAYS_AGO), REASON_NO_FRESHNESS);
    assert_int_equal(why_not(&p, 302, ""), REASON_NO_FRESHNESS);
    assert_int_equal(ttl_of(&p, 200, ""), 30000);
    /* The origin's word counts where it speaks. */
    assert_int_equal(ttl_of(&p, 301, "Cache-Control: max-age=60"), 60000);
    assert_int_equal(why_not(&p, 503, "Cache-Control: no-store"), REASON_NO_STORE);
}

static void
freshness_comes_from_the_first_that_speaks(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        int64_t ttl_ms;
    } table[] = {
        {"Larder-Cache-Control: max-age=1\nCDN-Cache-Control: max-age=2\nCache-Control: "
         "s-maxage=3",
         1000},
        {"CDN-Cache-Control: max-age=2\nCache-Control: s-maxage=3, max-age=4", 2000},
        {"Cache-Control: s-maxage=3, max-age=4\nExpires: Tue, 14 Nov 2023 22:14:20 GMT", 3000},
        {"Cache-Control: max-age=4\nExpires: Tue, 14 Nov 2023 22:14:20 GMT", 4000},
        {"Date: " DATE_NOW "\nExpires: Tue, 14 Nov 2023 22:14:20 GMT", 60000},
        {"Expires: Tue, 14 Nov 2023 22:14:20 GMT", 60000},
        {"", 30000},
        {MODIFIED_DAYS_AGO, 30000}, /* the route says something, so nobody guesses */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (ttl_of(&silent, 200, table[i].response) != table[i].ttl_ms)
            fail_msg("%s: %lld", table[i].response,
                     (long long)ttl_of(&silent, 200, table[i].response));
}

static void
max_age_makes_expires_not_count(void **state)
{
    (void)state;
    assert_int_equal(ttl_of(&rfc, 200, "Cache-Control: max-age=9\nExpires: 0"), 9000);
    assert_int_equal(ttl_of(&rfc, 200, "Cache-Control: s-maxage=9\nExpires: 0"), 9000);
}

static void
an_invalid_expires_is_the_past(void **state)
{
    (void)state;
    static const char *const past[] = {
        "Expires: 0",
        "Expires: -1",
        "Expires: never",
        "Expires: Tue, 14 Nov 2023 22:13:20 GMT",
        "Expires: Tue, 14 Nov 2023 22:13:19 GMT",
        "Expires: Tue, 14 Nov 2023 22:14:20 GMT\nExpires: Tue, 14 Nov 2023 22:15:20 GMT",
    };
    for (size_t i = 0; i < sizeof past / sizeof *past; i++)
        if (why_not(&silent, 200, past[i]) != REASON_EXPIRED)
            fail_msg("%s", past[i]);
}

static void
invalid_freshness_is_stale(void **state)
{
    (void)state;
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=-1"), REASON_EXPIRED);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age="), REASON_EXPIRED);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=0"), REASON_EXPIRED);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=60\nAge: 60"), REASON_EXPIRED);
}

static void
heuristics_must_not_be_used_where_anything_is_explicit(void **state)
{
    (void)state;
    /* A tenth of ten days. */
    assert_int_equal(ttl_of(&rfc, 200, MODIFIED_DAYS_AGO), 24 * HOUR_MS);
    struct store_decision guessed = answered(&rfc, "GET", "", 200, MODIFIED_DAYS_AGO);
    assert_true(guessed.flags & STORED_HEURISTIC);
    struct store_decision said =
        answered(&rfc, "GET", "", 200, MODIFIED_DAYS_AGO "\nCache-Control: max-age=5");
    assert_int_equal(said.ttl_ms, 5000);
    assert_false(said.flags & STORED_HEURISTIC);
    said = answered(&rfc, "GET", "", 200, MODIFIED_DAYS_AGO "\nExpires: 0");
    assert_true(said.ttl_ms <= 0);
    said = answered(&rfc, "GET", "", 200,
                    MODIFIED_DAYS_AGO "\nExpires: Tue, 14 Nov 2023 22:14:20 GMT");
    assert_int_equal(said.ttl_ms, 60000);
}

static void
heuristics_are_for_the_statuses_that_allow_them(void **state)
{
    (void)state;
    static const int yes[] = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501};
    static const int no[] = {201, 202, 299, 302, 303, 307, 400, 403, 500, 503, 599};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_int_equal(ttl_of(&rfc, yes[i], MODIFIED_DAYS_AGO), 24 * HOUR_MS);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        assert_int_equal(why_not(&rfc, no[i], MODIFIED_DAYS_AGO), REASON_NO_FRESHNESS);
        /* "public" opens them (§4.2.2). */
        assert_int_equal(ttl_of(&rfc, no[i], MODIFIED_DAYS_AGO "\nCache-Control: public"),
                         24 * HOUR_MS);
    }
}

static void
heuristics_are_a_tenth_within_bounds(void **state)
{
    (void)state;
    struct policy p = rfc;
    p.heuristic_max_ms = 240 * HOUR_MS;
    assert_int_equal(ttl_of(&p, 200, MODIFIED_DAYS_AGO), 24 * HOUR_MS);
    p.heuristic_max_ms = HOUR_MS;
    assert_int_equal(ttl_of(&p, 200, MODIFIED_DAYS_AGO), HOUR_MS);
    p.heuristic_min_ms = 60000;
    assert_int_equal(ttl_of(&p, 200, "Last-Modified: Tue, 14 Nov 2023 22:13:19 GMT"), 60000);
    p.heuristic_max_ms = 0;
    assert_int_equal(why_not(&p, 200, MODIFIED_DAYS_AGO), REASON_NO_FRESHNESS);
    /* In the future: no basis for a guess. */
    assert_int_equal(why_not(&rfc, 200, "Last-Modified: Wed, 15 Nov 2023 22:13:20 GMT"),
                     REASON_NO_FRESHNESS);
    assert_int_equal(why_not(&rfc, 200, "Last-Modified: yesterday"), REASON_NO_FRESHNESS);
}

static void
age_is_the_larger_of_what_two_ways_give(void **state)
{
    (void)state;
    static const struct response_times slow = {(NOW - 7) * 1000, NOW * 1000, NOW * 1000};
    static const struct {
        const char *response;
        int64_t age_s;
    } table[] = {
        {"", 7},
        {"Age: 20", 27},                             /* + the delay of the exchange */
        {"Date: Tue, 14 Nov 2023 22:12:20 GMT", 60}, /* apparent */
        {"Date: Tue, 14 Nov 2023 22:12:20 GMT\nAge: 100", 107},
        {"Date: Tue, 14 Nov 2023 22:12:20 GMT\nAge: 10", 60},
        {"Date: Tue, 14 Nov 2023 23:13:20 GMT", 7}, /* a clock ahead of ours */
        {"Age: x", 7},
        {"Age: 99999999999999", HTTP_SECONDS_MAX},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fields got = fields_of(table[i].response);
        if (response_initial_age_s(&got, &slow) != table[i].age_s)
            fail_msg("%s: %lld", table[i].response, (long long)response_initial_age_s(&got, &slow));
    }
    /* Of two clocks one may be wrong, an hour or ten years ahead. */
    static const int64_t ahead_ms[] = {3600 * 1000, INT64_C(10) * 365 * 86400 * 1000};
    for (size_t i = 0; i < 2; i++) {
        const struct response_times local = {NOW * 1000, NOW * 1000, NOW * 1000 + ahead_ms[i]};
        const struct response_times shared = {NOW * 1000 + ahead_ms[i], NOW * 1000 + ahead_ms[i],
                                              NOW * 1000};
        struct fields dated = fields_of("Date: Sun, 06 Nov 1994 08:49:37 GMT");
        assert_true(response_initial_age_s(&dated, &local) ==
                    response_initial_age_s(&dated, &shared));
    }
    static const struct response_times backwards = {NOW * 1000, (NOW - 50) * 1000,
                                                    (NOW - 50) * 1000};
    struct fields none = {0};
    assert_int_equal(response_initial_age_s(&none, &backwards), 0);
}

static void
age_shortens_what_the_origin_grants_but_not_the_route(void **state)
{
    (void)state;
    assert_int_equal(ttl_of(&rfc, 200, "Cache-Control: max-age=60\nAge: 20"), 40000);
    assert_int_equal(
        ttl_of(&rfc, 200, "Cache-Control: max-age=60\nDate: Tue, 14 Nov 2023 22:13:10 GMT"), 50000);
    assert_int_equal(ttl_of(&silent, 200, "Age: 20"), 30000);
}

static void
ttl_override_beats_the_origin_for_every_2xx(void **state)
{
    (void)state;
    struct policy p = silent;
    p.ttl_override_ms = 5000;
    assert_int_equal(ttl_of(&p, 200, "Cache-Control: max-age=60"), 5000);
    assert_int_equal(ttl_of(&p, 201, "Cache-Control: max-age=0"), 5000);
    assert_int_equal(ttl_of(&p, 200, "Expires: 0\nAge: 100"), 5000);
    assert_int_equal(ttl_of(&p, 200, "Cache-Control: no-cache"), 5000);
    assert_int_equal(ttl_of(&p, 301, "Cache-Control: max-age=60"), 60000);
    struct store_decision d = answered(&p, "GET", "", 200, "Cache-Control: no-cache");
    assert_false(d.flags & STORED_NO_CACHE);
}

static void
min_and_max_bound_what_there_is(void **state)
{
    (void)state;
    struct policy p = silent;
    p.min_ttl_ms = 10000;
    p.max_ttl_ms = 50000;
    assert_int_equal(ttl_of(&p, 200, "Cache-Control: max-age=1"), 10000);
    assert_int_equal(ttl_of(&p, 200, "Cache-Control: max-age=99"), 50000);
    assert_int_equal(ttl_of(&p, 200, "Cache-Control: max-age=20"), 20000);
    /* What is stale by its own word is not made fresh. */
    assert_true(answered(&p, "GET", "", 200, "Cache-Control: max-age=0").ttl_ms <= 0);
    p.max_ttl_ms = 0;
    assert_int_equal(ttl_of(&p, 200, "Cache-Control: max-age=99999999999"), DECIDE_TTL_MAX_MS);
}

static void
no_cache_is_stored_to_be_asked_about(void **state)
{
    (void)state;
    struct store_decision d =
        answered(&rfc, "GET", "", 200, "Cache-Control: no-cache\nETag: \"a\"");
    assert_int_equal(d.reason, REASON_NONE);
    assert_true(d.flags & STORED_NO_CACHE);
    assert_true(d.keep_ms > 0);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: no-cache"), REASON_NO_CACHE);
    assert_int_equal(why_not(&rfc, 200, "Cache-Control: no-cache"), REASON_NO_CACHE);
    /* With a list it concerns those fields alone. */
    d = answered(&rfc, "GET", "", 200, "Cache-Control: no-cache=\"x-a\", max-age=9");
    assert_int_equal(d.reason, REASON_NONE);
    assert_false(d.flags & STORED_NO_CACHE);
}

static void
what_must_be_revalidated_is_marked(void **state)
{
    (void)state;
    static const char *const must[] = {
        "Cache-Control: max-age=9, must-revalidate",
        "Cache-Control: max-age=9, proxy-revalidate",
        "Cache-Control: s-maxage=9",
    };
    struct policy p = silent;
    p.stale_while_ms = 20000;
    for (size_t i = 0; i < sizeof must / sizeof *must; i++) {
        struct store_decision d = answered(&p, "GET", "", 200, must[i]);
        assert_true(d.flags & STORED_MUST_REVALIDATE);
        assert_int_equal(d.stale_while_s, 0);
        assert_int_equal(d.stale_if_s, 0);
    }
    struct store_decision d = answered(&p, "GET", "", 200, "Cache-Control: max-age=9");
    assert_false(d.flags & STORED_MUST_REVALIDATE);
    assert_int_equal(d.stale_while_s, 20);
    assert_int_equal(d.stale_if_s, 600);
}

/* The route's stale_while_revalidate is for what was fresh once. */
static void
what_never_was_fresh_is_asked_about(void **state)
{
    (void)state;
    static const char *const never[] = {
        "Cache-Control: max-age=0\nETag: \"a\"",
        "Cache-Control: public, max-age=0\nETag: \"a\"",
        "Expires: 0\nETag: \"a\"",
        "Expires: Mon, 26 Jul 1997 05:00:00 GMT\nLast-Modified: Mon, 26 Jul 1997 05:00:00 GMT",
        "Surrogate-Control: max-age=0\nETag: \"a\"",
    };
    struct policy p = silent;
    p.stale_while_ms = 20000;
    p.keep_ms = 60000;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        struct store_decision d = answered(&p, "GET", "", 200, never[i]);
        assert_int_equal(d.reason, REASON_NONE);
        assert_int_equal(d.stale_while_s, 0);
        assert_int_equal(d.stale_if_s, 600);
    }
    struct store_decision d = answered(
        &p, "GET", "", 200, "Cache-Control: max-age=0, stale-while-revalidate=5\nETag: \"a\"");
    assert_int_equal(d.stale_while_s, 5);
    /* Where the route says what time means, its word counts in this too. */
    p.ttl_override_ms = 60000;
    d = answered(&p, "GET", "", 200, never[0]);
    assert_int_equal(d.stale_while_s, 20);
}

static void
rfc_5861_is_the_origins_own_word(void **state)
{
    (void)state;
    struct store_decision d =
        answered(&silent, "GET", "", 200,
                 "Cache-Control: max-age=9, stale-while-revalidate=30, stale-if-error=40");
    assert_int_equal(d.stale_while_s, 30);
    assert_int_equal(d.stale_if_s, 40);
    assert_true((d.flags & STORED_STALE_WHILE_OK) && (d.flags & STORED_STALE_IF_OK));
    /* Beside s-maxage it is explicit permission; beside must-revalidate there is none. */
    d = answered(&silent, "GET", "", 200, "Cache-Control: s-maxage=9, stale-if-error=40");
    assert_int_equal(d.stale_if_s, 40);
    d = answered(&silent, "GET", "", 200,
                 "Cache-Control: max-age=9, must-revalidate, stale-while-revalidate=30, "
                 "stale-if-error=40");
    assert_int_equal(d.stale_while_s, 0);
    assert_int_equal(d.stale_if_s, 0);
    /* The origin may also want less than the route. */
    d = answered(&silent, "GET", "", 200, "Cache-Control: max-age=9, stale-if-error=0");
    assert_int_equal(d.stale_if_s, 0);
}

static void
what_never_was_fresh_is_stored_only_if_it_can_be_of_use(void **state)
{
    (void)state;
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=0"), REASON_EXPIRED);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=0\nETag: \"a\""), REASON_NONE);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=0, stale-if-error=9"),
                     REASON_NONE);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=0, stale-while-revalidate=9"),
                     REASON_NONE);
    assert_int_equal(why_not(&silent, 200, "Cache-Control: max-age=0, stale-if-error=0"),
                     REASON_EXPIRED);
    struct policy all = rfc;
    assert_int_equal(why_not(&all, 200, "Cache-Control: max-age=0"), REASON_EXPIRED);
    all.stale_if_ms = 60000;
    assert_int_equal(why_not(&all, 200, "Cache-Control: max-age=0"), REASON_NONE);
    assert_int_equal(why_not(&all, 200, "Cache-Control: max-age=0, must-revalidate"),
                     REASON_EXPIRED);
}

static void
it_is_kept_for_as_long_as_it_is_of_use(void **state)
{
    (void)state;
    struct policy p = silent;
    p.stale_if_ms = 0;
    assert_int_equal(answered(&p, "GET", "", 200, "Cache-Control: max-age=9").keep_ms, 9000);
    assert_int_equal(answered(&p, "GET", "", 200, "Cache-Control: max-age=9\nETag: \"a\"").keep_ms,
                     609000);
    assert_int_equal(
        answered(&p, "GET", "", 200, "Cache-Control: max-age=9, stale-if-error=99").keep_ms,
        108000);
    p.keep_ms = 0;
    assert_int_equal(answered(&p, "GET", "", 200, "Cache-Control: max-age=9\nETag: \"a\"").keep_ms,
                     9000);
    assert_int_equal(answered(&p, "GET", "", 200,
                              "Cache-Control: max-age=2592000, "
                              "stale-if-error=2592000")
                         .keep_ms,
                     DECIDE_TTL_MAX_MS);
}

static void
what_is_no_failure_takes_the_place_of_what_is_stored(void **state)
{
    (void)state;
    static const int gone[] = {200, 204, 301, 302, 303, 307, 401, 403, 404, 405, 410, 451};
    static const int kept[] = {304, 400, 408, 412, 414, 416, 421,
                               425, 429, 431, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_true(decide_replaces(gone[i], REASON_ERROR_STATUS, false));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_false(decide_replaces(kept[i], REASON_ERROR_STATUS, false));
    /* Who is refused and wanted a newer one than what is fresh takes it from nobody. */
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        bool sender = gone[i] == 401 || gone[i] == 403 || gone[i] == 451;
        assert_int_equal(decide_replaces(gone[i], REASON_ERROR_STATUS, true), !sender);
    }
    static const enum reason own[] = {REASON_NO_STORE,  REASON_PRIVATE,  REASON_SET_COOKIE,
                                      REASON_VARY_STAR, REASON_NO_CACHE, REASON_NO_FRESHNESS,
                                      REASON_TOO_LARGE, REASON_EXPIRED};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_true(decide_replaces(200, own[i], false));
    assert_false(decide_replaces(200, REASON_INCOMPLETE, false));
    assert_false(decide_replaces(200, REASON_NO_MEMORY, false));
    assert_false(decide_replaces(206, REASON_CONTENT_RANGE, false));
}

static void
kinds_without_an_end_are_known(void **state)
{
    (void)state;
    static const char *const endless[] = {
        "Content-Type: text/event-stream",
        "Content-Type: Text/Event-Stream; charset=utf-8\nContent-Length: 9",
        "Content-Type: multipart/x-mixed-replace; boundary=a",
        "Content-Type: audio/mpeg",
        "content-type: VIDEO/mp2t",
        "Content-Type: application/ogg"};
    static const char *const others[] = {"", "Content-Type: text/html", "Content-Type: text/event",
                                         "Content-Type: audio/mpeg\nContent-Length: 9",
                                         "Content-Type: multipart/mixed"};
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        struct fields fields = fields_of(endless[i]);
        assert_true(response_is_stream(&fields));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct fields fields = fields_of(others[i]);
        assert_false(response_is_stream(&fields));
    }
    assert_true(decide_replaces(200, REASON_STREAM, false));
    /* Nobody knows whether it was cut; but the page has changed. */
    assert_true(decide_replaces(200, REASON_UNTIL_CLOSE, false));
}

static void
of_two_routes_the_stricter_counts(void **state)
{
    (void)state;
    struct policy strict = silent, lax = rfc;
    strict.ttl_override_ms = 20000;
    lax.stale_while_ms = 60000;
    for (int i = 0; i < 2; i++) {
        struct policy one = i == 0 ? strict : lax, other = i == 0 ? lax : strict;
        policy_join(&one, &other);
        assert_int_equal(ttl_of(&one, 200, "Cache-Control: max-age=60"), 20000);
        assert_int_equal(ttl_of(&one, 200, "Cache-Control: max-age=10"), 10000);
        assert_int_equal(answered(&one, "GET", "", 200, "Cache-Control: max-age=60").stale_while_s,
                         0);
        /* The one has a time for it, and the other none. */
        assert_int_equal(why_not(&one, 200, ""), REASON_NO_FRESHNESS);
        assert_int_equal(why_not(&one, 200, "Cache-Control: max-age=60\nSet-Cookie: a=b"),
                         REASON_SET_COOKIE);
        /* What the one must validate is not fresh because the other says what time means. */
        struct store_decision d =
            answered(&one, "GET", "", 200, "Cache-Control: no-cache, max-age=60\nETag: \"a\"");
        assert_int_equal(d.reason, REASON_NONE);
        assert_true(d.flags & STORED_NO_CACHE);
        assert_false(d.flags & (STORED_STALE_WHILE_OK | STORED_STALE_IF_OK));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_without_an_end_are_known),
        cmocka_unit_test(what_is_no_failure_takes_the_place_of_what_is_stored),
        cmocka_unit_test(a_response_to_a_method_that_is_not_understood_must_not_be_stored),
        cmocka_unit_test(a_response_that_is_not_final_must_not_be_stored),
        cmocka_unit_test(no_store_must_not_be_stored),
        cmocka_unit_test(private_must_not_be_stored_by_a_shared_cache),
        cmocka_unit_test(private_with_fields_may_be_stored_without_them),
        cmocka_unit_test(authorization_must_not_be_stored_without_leave),
        cmocka_unit_test(must_understand_is_stored_if_the_status_is_understood),
        cmocka_unit_test(without_a_word_on_freshness_it_must_not_be_stored),
        cmocka_unit_test(set_cookie_is_stored_only_where_a_route_allows_it),
        cmocka_unit_test(vary_star_is_never_stored),
        cmocka_unit_test(errors_come_in_where_a_route_asks_for_them),
        cmocka_unit_test(a_route_names_statuses_of_its_own),
        cmocka_unit_test(freshness_comes_from_the_first_that_speaks),
        cmocka_unit_test(max_age_makes_expires_not_count),
        cmocka_unit_test(an_invalid_expires_is_the_past),
        cmocka_unit_test(invalid_freshness_is_stale),
        cmocka_unit_test(heuristics_must_not_be_used_where_anything_is_explicit),
        cmocka_unit_test(heuristics_are_for_the_statuses_that_allow_them),
        cmocka_unit_test(heuristics_are_a_tenth_within_bounds),
        cmocka_unit_test(age_is_the_larger_of_what_two_ways_give),
        cmocka_unit_test(age_shortens_what_the_origin_grants_but_not_the_route),
        cmocka_unit_test(ttl_override_beats_the_origin_for_every_2xx),
        cmocka_unit_test(min_and_max_bound_what_there_is),
        cmocka_unit_test(no_cache_is_stored_to_be_asked_about),
        cmocka_unit_test(what_must_be_revalidated_is_marked),
        cmocka_unit_test(what_never_was_fresh_is_asked_about),
        cmocka_unit_test(rfc_5861_is_the_origins_own_word),
        cmocka_unit_test(what_never_was_fresh_is_stored_only_if_it_can_be_of_use),
        cmocka_unit_test(it_is_kept_for_as_long_as_it_is_of_use),
        cmocka_unit_test(of_two_routes_the_stricter_counts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
