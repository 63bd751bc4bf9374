/* The fields of a stored response, and what later answers make of them (RFC 9111 §3.1, §3.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "http/decide.h"

static const struct policy passes = {.set_cookie = SET_COOKIE_PASS};
static const struct policy keeps = {.set_cookie = SET_COOKIE_KEEP};
static const struct policy strips = {.set_cookie = SET_COOKIE_STRIP};

static bool
is_left_out(const struct policy *policy, const char *cache_control, const char *line)
{
    struct fields control = fields_of(cache_control), field = fields_of(line);
    struct cache_control cc;
    bool targeted;
    cache_control_of_response(&cc, &control, &targeted);
    return response_field_is_left_out(policy, &cc, &field.list[0]);
}

static void
every_field_must_be_stored_but_those_that_are_excepted(void **state)
{
    (void)state;
    static const char *const kept[] = {"X-Unknown: 1",
                                       "ETag: \"a\"",
                                       "Vary: Accept",
                                       "Cache-Control: max-age=1",
                                       "Date: x",
                                       "Warning: 214 - \"x\"",
                                       "Content-Type: a/b",
                                       "Via: 1.1 x",
                                       "Cache-Status: x; hit"};
    static const char *const said_anew[] = {"Age: 5", "content-length: 7", "X-Cache: HIT",
                                            "X-Cache-Invalidate: done", "Warning: 110 - \"stale\""};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (is_left_out(&passes, "", kept[i]))
            fail_msg("left out: %s", kept[i]);
    for (size_t i = 0; i < sizeof said_anew / sizeof *said_anew; i++)
        if (!is_left_out(&passes, "", said_anew[i]))
            fail_msg("stored: %s", said_anew[i]);
}

static void
fields_that_no_cache_or_private_name_must_not_be_stored(void **state)
{
    (void)state;
    assert_true(is_left_out(&passes, "Cache-Control: private=\"x-a, X-B\"", "X-A: 1"));
    assert_true(is_left_out(&passes, "Cache-Control: private=\"x-a, X-B\"", "x-b: 1"));
    assert_true(is_left_out(&passes, "Cache-Control: no-cache=\"x-c\"", "X-C: 1"));
    assert_false(is_left_out(&passes, "Cache-Control: no-cache=\"x-c\"", "X-CC: 1"));
    assert_true(is_left_out(&keeps, "Cache-Control: no-cache=\"set-cookie\"", "Set-Cookie: a=b"));
}

static void
cookies_are_stored_only_where_the_route_keeps_them(void **state)
{
    (void)state;
    assert_true(is_left_out(&strips, "", "Set-Cookie: a=b"));
    assert_true(is_left_out(&strips, "", "set-cookie2: a=b"));
    assert_true(is_left_out(&passes, "", "Set-Cookie: a=b"));
    assert_false(is_left_out(&keeps, "", "Set-Cookie: a=b"));
}

static void
updated_is(const struct policy *policy, const char *stored, const char *update, const char *wanted)
{
    struct fields old = fields_of(stored), new = fields_of(update), out = {0};
    struct fields expected = fields_of(wanted);
    assert_true(response_update_fields(&out, arena, policy, &old, &new));
    bool same = out.count == expected.count;
    for (size_t i = 0; same && i < out.count; i++)
        same = slice_equal(out.list[i].name, expected.list[i].name) &&
               slice_equal(out.list[i].value, expected.list[i].value);
    if (!same)
        for (size_t i = 0; i < out.count; i++)
            print_error("%.*s: %.*s\n", (int)out.list[i].name.n, out.list[i].name.p,
                        (int)out.list[i].value.n, out.list[i].value.p);
    assert_true(same);
}

static void
an_update_must_replace_all_fields_of_a_name(void **state)
{
    (void)state;
    updated_is(&passes, "A: 1\nB: 2\nB: 3\nC: 4", "b: 5", "A: 1\nC: 4\nb: 5");
    updated_is(&passes, "A: 1", "B: 2\nB: 3", "A: 1\nB: 2\nB: 3");
    updated_is(&passes, "A: 1\nExpires: 0", "", "A: 1\nExpires: 0");
    updated_is(&passes, "Cache-Control: max-age=1", "Cache-Control: max-age=9, private",
               "Cache-Control: max-age=9, private");
}

static void
an_update_takes_no_name_out_of_vary(void **state)
{
    (void)state;
    updated_is(&passes, "Vary: Accept-Language, Accept-Encoding\nA: 1", "Vary: accept-language",
               "Vary: Accept-Language, Accept-Encoding\nA: 1");
    updated_is(&passes, "Vary: Accept-Encoding", "Vary: Accept-Language",
               "Vary: Accept-Encoding\nVary: Accept-Language");
    updated_is(&passes, "Vary: Accept-Encoding\nVary: Accept-Language", "Vary: Accept-Language",
               "Vary: Accept-Encoding\nVary: Accept-Language");
    updated_is(&passes, "Vary: Accept", "Vary: Accept, Origin", "Vary: Accept, Origin");
    updated_is(&passes, "Vary: Accept, Origin", "Vary:", "Vary: Accept, Origin");
    updated_is(&passes, "A: 1", "Vary: Accept", "A: 1\nVary: Accept");
    updated_is(&passes, "Vary: Accept", "Vary: *", "Vary: *");
}

static void
an_update_must_not_touch_the_length_of_the_body(void **state)
{
    (void)state;
    updated_is(&passes, "Content-Length: 10\nA: 1", "Content-Length: 0\nA: 2",
               "Content-Length: 10\nA: 2");
    updated_is(&passes, "A: 1", "Content-Length: 99", "A: 1");
}

static void
an_update_brings_no_cookie_past_a_route_that_strips_them(void **state)
{
    (void)state;
    updated_is(&strips, "A: 1", "Set-Cookie: a=b", "A: 1");
    updated_is(&keeps, "A: 1", "Set-Cookie: a=b", "A: 1\nSet-Cookie: a=b");
    /* There the decision that follows refuses the whole. */
    updated_is(&passes, "A: 1", "Set-Cookie: a=b", "A: 1\nSet-Cookie: a=b");
}

static void
what_a_304_sets_is_its_own_visitors(void **state)
{
    (void)state;
    struct fields update = fields_of("Age: 1\nSet-Cookie: a=b\nA: 1\nB: 2\n"
                                     "Warning: 113 - \"x\"\nCache-Control: private=\"b\"");
    struct fields out = {0};
    assert_true(response_own_fields(&out, arena, &passes, &update));
    assert_int_equal(out.count, 2);
    assert_true(slice_equal(fields_get(&out, "Set-Cookie"), slice_of("a=b")));
    assert_true(slice_equal(fields_get(&out, "B"), slice_of("2")));
    out = (struct fields){0};
    assert_true(response_own_fields(&out, arena, &strips, &update));
    assert_int_equal(out.count, 2);
    /* Kept, it is among the stored ones already. */
    out = (struct fields){0};
    assert_true(response_own_fields(&out, arena, &keeps, &update));
    assert_int_equal(out.count, 1);
}

static bool
agrees(const char *stored, int64_t length, const char *head)
{
    struct fields old = fields_of(stored), new = fields_of(head);
    return response_head_agrees(&old, length, &new);
}

static void
a_head_that_differs_makes_the_stored_one_old(void **state)
{
    (void)state;
    assert_true(agrees("ETag: \"a\"", 10, "ETag: \"a\"\nContent-Length: 10"));
    assert_true(agrees("ETag: \"a\"", 10, ""));
    assert_true(agrees("ETag: \"a\"", 10, "ETag: W/\"a\""));
    assert_false(agrees("ETag: \"a\"", 10, "ETag: \"b\""));
    assert_false(agrees("ETag: \"a\"", 10, "ETag: \"a\"\nContent-Length: 11"));
    assert_false(agrees("ETag: \"a\"", 10, "ETag: \"a\"\nContent-Length: x"));
    assert_false(agrees("", 10, "ETag: \"a\""));
    assert_false(agrees("Content-Type: text/css", 10, "Content-Type: text/html"));
    assert_true(agrees("Last-Modified: " DATE_NOW, 10, "Last-Modified: " DATE_NOW));
    assert_false(
        agrees("Last-Modified: " DATE_NOW, 10, "Last-Modified: Tue, 14 Nov 2023 22:13:21 GMT"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_must_be_stored_but_those_that_are_excepted),
        cmocka_unit_test(fields_that_no_cache_or_private_name_must_not_be_stored),
        cmocka_unit_test(cookies_are_stored_only_where_the_route_keeps_them),
        cmocka_unit_test(an_update_must_replace_all_fields_of_a_name),
        cmocka_unit_test(an_update_takes_no_name_out_of_vary),
        cmocka_unit_test(an_update_must_not_touch_the_length_of_the_body),
        cmocka_unit_test(an_update_brings_no_cookie_past_a_route_that_strips_them),
        cmocka_unit_test(what_a_304_sets_is_its_own_visitors),
        cmocka_unit_test(a_head_that_differs_makes_the_stored_one_old),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
