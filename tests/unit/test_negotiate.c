/* Negotiation: a thousand spellings, a few outcomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/negotiate.h"

#define NAMES 6

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

static size_t
count_of(const char *const *names)
{
    size_t n = 0;
    while (n < NAMES && names[n])
        n++;
    return n;
}

struct encoding_case {
    const char *value;
    const char *reduced; /* NULL: nothing is left */
};

/* Offered are br, gzip and zstd. */
static void
assert_encodings(const struct encoding_case *cases, size_t count)
{
    static const char *const codings[] = {"br", "gzip", "zstd"};
    for (size_t i = 0; i < count; i++) {
        bool failed = false;
        struct slice reduced =
            negotiate_encoding(slice_of(cases[i].value), codings, 3, arena, &failed);
        assert_false(failed);
        if (!!reduced.p != !!cases[i].reduced || !slice_equal(reduced, slice_of(cases[i].reduced)))
            fail_msg("\"%s\": \"%.*s\"", cases[i].value, (int)reduced.n, reduced.p);
        struct slice again = negotiate_encoding(reduced, codings, 3, arena, &failed);
        if (!slice_equal(again, reduced))
            fail_msg("\"%s\": \"%.*s\" the second time", cases[i].value, (int)again.n, again.p);
    }
}

struct language_case {
    const char *value;
    const char *languages[NAMES];
    const char *liked; /* NULL: none */
};

static void
assert_languages(const struct language_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct language_case *c = &cases[i];
        const char *liked =
            negotiate_language(slice_of(c->value), c->languages, count_of(c->languages));
        if (!slice_equal(slice_of(liked), slice_of(c->liked)))
            fail_msg("\"%s\": %s", c->value, liked ? liked : "none");
    }
}

/* ------------------------------------------------------------------------- weights */

static void
weights_follow_the_grammar_or_the_member_counts_as_absent(void **state)
{
    static const char *const good[] = {
        "gzip",       "gzip;q=1",     "gzip;q=1.",    "gzip;q=1.0", "gzip;q=1.000",
        "gzip;q=0.5", "gzip;q=0.05",  "gzip;q=0.001", "gzip;Q=0.5", "gzip; q=1",
        "gzip ;q=1",  "gzip\t;\tq=1", " gzip",        ",, gzip ,",  "gzip ; q=1\t",
    };
    static const char *const refused[] = {"gzip;q=0", "gzip;q=0.", "gzip;q=0.0", "gzip;q=0.000"};
    static const char *const bad[] = {
        "gzip;",         "gzip;q",          "gzip;q=",        "gzip;q=.5",
        "gzip;q=2",      "gzip;q=1.1",      "gzip;q=1.001",   "gzip;q=0.0001",
        "gzip;q=1.0000", "gzip;q=01",       "gzip;q=-1",      "gzip;q=+1",
        "gzip;q=1x",     "gzip;q=0.x",      "gzip;q = 1",     "gzip;q= 1",
        "gzip;q=\"1\"",  "gzip;x=1",        "gzip;x=1;q=1",   "gzip;q=1;x=1",
        "gzip;q=1;q=1",  "gzip;;q=1",       "gzip q=1",       ";q=1",
        "\"gzip\"",      "gzip=1",          "gz ip",          "gzip;q=1e0",
        "gzip;q=0x1",    "gzip;q=1 .0",     "gzip/2",         "gzip;qq=1",
        "gzip;q=nan",    "gzip;q=\xc2\xb9", "gzip;q=0.1234",  "(gzip)",
        "g\xc3\xa9zip",  "gzip:",           "gzip@1",         "gzip;q=10",
        "gzip;weight=1", "gzip;q=1..0",     "gzip;q=1.00000",
    };
    static const char *const codings[] = {"gzip"};
    bool failed = false;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!negotiate_encoding(slice_of(good[i]), codings, 1, arena, &failed).p)
            fail_msg("%s is not taken", good[i]);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (negotiate_encoding(slice_of(refused[i]), codings, 1, arena, &failed).p)
            fail_msg("%s is taken", refused[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        if (negotiate_encoding(slice_of(bad[i]), codings, 1, arena, &failed).p)
            fail_msg("%s is taken", bad[i]);
        /* And says nothing of what stands beside it. */
        snprintf(text, sizeof text, "%s, *", bad[i]);
        struct slice any = negotiate_encoding(slice_of(text), codings, 1, arena, &failed);
        if (!slice_equal(any, slice_of("gzip")))
            fail_msg("%s: \"%.*s\"", text, (int)any.n, any.p);
    }
    assert_false(failed);
}

/* ------------------------------------------------------------------------- codings */

static void
encodings_become_those_that_are_offered_in_their_order(void **state)
{
    static const struct encoding_case cases[] = {
        {"", NULL},
        {",", NULL},
        {"gzip", "gzip"},
        {"gzip, br", "br, gzip"},
        {"br,gzip", "br, gzip"},
        {"gzip, deflate, br, zstd", "br, gzip, zstd"},
        {"gzip;q=0.1, br;q=1.0", "br, gzip"},
        {"deflate", NULL},
        {"identity", NULL},
        {"deflate, identity;q=0.5", NULL},
        {"GZip, BR", "br, gzip"},
        {"x-gzip", "gzip"},
        {"X-GZIP;q=0.5", "gzip"},
        {"x-br", NULL},
        {"gzipx, xgzip, -gzip", NULL},
        {"gzip, gzip, gzip", "gzip"},
    };
    (void)state;
    assert_encodings(cases, sizeof cases / sizeof cases[0]);
}

static void
encodings_with_a_star_are_all_that_nobody_names(void **state)
{
    static const struct encoding_case cases[] = {
        {"*", "br, gzip, zstd"},           {"*;q=0.001", "br, gzip, zstd"},
        {"gzip;q=0, *", "br, zstd"},       {"*, gzip;q=0", "br, zstd"},
        {"*;q=0, gzip, identity", "gzip"}, {"identity;q=0.5, *;q=0", NULL},
        {"x-gzip;q=0, *", "br, zstd"},     {"**", NULL},
    };
    (void)state;
    assert_encodings(cases, sizeof cases / sizeof cases[0]);
}

static void
encodings_with_weight_zero_are_refused(void **state)
{
    static const struct encoding_case cases[] = {
        {"gzip;q=0", NULL},       {"gzip;q=0, br", "br"},     {"gzip;q=0, gzip", NULL},
        {"gzip, gzip;q=0", NULL}, {"x-gzip;q=0, gzip", NULL}, {"gzip;q=0.000, br;q=0.001", "br"},
    };
    (void)state;
    assert_encodings(cases, sizeof cases / sizeof cases[0]);
}

static void
encodings_say_when_the_content_must_not_go_without(void **state)
{
    static const struct encoding_case cases[] = {
        {"identity;q=0", "identity;q=0"},
        {"gzip, identity;q=0", "gzip, identity;q=0"},
        {"IDENTITY;q=0.0,gzip", "gzip, identity;q=0"},
        {"*;q=0", "identity;q=0"},
        {"gzip, *;q=0", "gzip, identity;q=0"},
        {"gzip, *;q=0, identity;q=0.1", "gzip"},
        {"identity;q=0, *", "br, gzip, zstd, identity;q=0"},
        {"deflate, identity;q=0", "identity;q=0"},
    };
    (void)state;
    assert_encodings(cases, sizeof cases / sizeof cases[0]);
}

static void
compress_has_an_old_name_too(void **state)
{
    static const char *const codings[] = {"compress"};
    bool failed = false;
    (void)state;
    struct slice reduced = negotiate_encoding(slice_of("x-compress"), codings, 1, arena, &failed);
    assert_true(slice_equal(reduced, slice_of("compress")));
    assert_null(negotiate_encoding(slice_of("x-gzip"), codings, 1, arena, &failed).p);
}

static void
members_beyond_the_limit_count_as_absent(void **state)
{
    static const char *const codings[] = {"gzip"}, *const languages[] = {"de"};
    char text[2 * NEGOTIATE_MEMBERS_MAX + 8] = "";
    bool failed = false;
    (void)state;
    for (size_t i = 0; i < NEGOTIATE_MEMBERS_MAX; i++)
        memcpy(text + 2 * i, "x,", 2);
    memcpy(text + 2 * (NEGOTIATE_MEMBERS_MAX - 1), "gzip", 4);
    assert_non_null(negotiate_encoding(slice_of(text), codings, 1, arena, &failed).p);
    memcpy(text + 2 * (NEGOTIATE_MEMBERS_MAX - 1), "x,gzip", 6);
    assert_null(negotiate_encoding(slice_of(text), codings, 1, arena, &failed).p);
    memcpy(text + 2 * (NEGOTIATE_MEMBERS_MAX - 1), "de\0", 3);
    assert_non_null(negotiate_language(slice_of(text), languages, 1));
    memcpy(text + 2 * (NEGOTIATE_MEMBERS_MAX - 1), "x,de\0", 5);
    assert_null(negotiate_language(slice_of(text), languages, 1));
}

static void
no_memory_is_not_an_empty_answer(void **state)
{
    static const char *const codings[] = {"gzip"};
    struct arena *none = arena_new(0);
    bool failed = false;
    (void)state;
    assert_null(negotiate_encoding(slice_of("gzip"), codings, 1, none, &failed).p);
    assert_true(failed);
    arena_free(none);
}

/* ----------------------------------------------------------------------- languages */

static void
languages_have_one_spelling_whatever_the_client_writes(void **state)
{
    static const struct language_case cases[] = {
        {"en, de", {"de", "en"}, "de"},
        {"de, en", {"de", "en"}, "de"},
        {"eN, De", {"de", "en"}, "de"},
        {" en ,   de", {"de", "en"}, "de"},
        {"fr;q=0.5, de;q=1.0", {"de", "en"}, "de"},
        {"DE", {"de", "en"}, "de"},
        {"en", {"de", "EN"}, "EN"},
        {"de-ch", {"de-CH"}, "de-CH"},
    };
    (void)state;
    assert_languages(cases, sizeof cases / sizeof cases[0]);
}

static void
languages_are_liked_by_weight_then_by_the_order_of_the_offer(void **state)
{
    static const struct language_case cases[] = {
        {"de;q=0.5, en;q=0.6", {"de", "en"}, "en"},
        {"de;q=0.500, en;q=0.501", {"de", "en"}, "en"},
        {"de;q=0.6, en;q=0.6", {"de", "en"}, "de"},
        {"de;q=0.6, en;q=0.6", {"en", "de"}, "en"},
        {"da, en-gb;q=0.8, en;q=0.7", {"en", "da"}, "da"},
        {"fr", {"de", "en"}, NULL},
        {"", {"de", "en"}, NULL},
        {"de", {NULL}, NULL},
        {"de;q=0.9, de;q=0.1, en;q=0.5", {"de", "en"}, "en"},
        {"de;q=0.1, de;q=0.9, en;q=0.5", {"de", "en"}, "en"},
        {"de;q=x, en;q=0.1", {"de", "en"}, "en"},
    };
    (void)state;
    assert_languages(cases, sizeof cases / sizeof cases[0]);
}

static void
languages_with_weight_zero_are_refused(void **state)
{
    static const struct language_case cases[] = {
        {"de;q=0", {"de", "en"}, NULL},           {"de;q=0, en;q=0.1", {"de", "en"}, "en"},
        {"de;q=0, *", {"de", "en"}, "en"},        {"*, de;q=0", {"de", "en"}, "en"},
        {"de, de;q=0", {"de", "en"}, NULL},       {"*;q=0", {"de", "en"}, NULL},
        {"de-CH;q=0, de", {"de-CH", "de"}, "de"}, {"de;q=0, de-CH", {"de", "de-CH"}, "de-CH"},
        {"de;q=0, de-CH", {"de"}, NULL},          {"de-CH;q=0", {"de"}, NULL},
    };
    (void)state;
    assert_languages(cases, sizeof cases / sizeof cases[0]);
}

static void
language_ranges_take_what_begins_with_them(void **state)
{
    static const struct language_case cases[] = {
        {"de", {"en", "de-CH"}, "de-CH"},
        {"de-de", {"de-DE-1996", "de-Deva"}, "de-DE-1996"},
        {"de-de", {"de-Deva"}, NULL},
        {"d", {"de"}, NULL},
        {"de", {"den"}, NULL},
        {"zh-Hant", {"zh-Hans-TW", "zh-Hant-TW"}, "zh-Hant-TW"},
        {"*", {"en", "de"}, "en"},
        {"*;q=0.1, de;q=0.2", {"en", "de"}, "de"},
        {"de;q=0.1, *;q=0.2", {"de", "en"}, "en"},
        /* The longest range that takes a language speaks for it. */
        {"de, de-CH;q=0.1, en;q=0.5", {"de-CH", "en"}, "en"},
        {"de;q=0.1, de-CH, en;q=0.5", {"de-CH", "en"}, "de-CH"},
    };
    (void)state;
    assert_languages(cases, sizeof cases / sizeof cases[0]);
}

static void
language_ranges_that_take_none_fall_back(void **state)
{
    static const struct language_case cases[] = {
        {"de-CH", {"en", "de"}, "de"},
        {"de-ch-1996", {"en", "DE"}, "DE"},
        {"zh-Hant-CN-x-private1-private2", {"en", "zh", "zh-Hant"}, "zh-Hant"},
        {"de-*-DE", {"en", "de"}, "de"},
        {"de-CH, en;q=0.5", {"en", "de"}, "de"},
        {"de-CH;q=0.4, en;q=0.5", {"de", "en"}, "en"},
        {"de-CH, *;q=0.5", {"en", "de"}, "de"},
        {"de-CH;q=0.1, de-AT;q=0.9, en;q=0.5", {"en", "de"}, "de"},
        {"de-CH", {"de-AT"}, NULL},
        {"den", {"de"}, NULL},
        /* Not when they take one, nor when the language has a range of its own. */
        {"de-CH", {"de", "de-CH-1901"}, "de-CH-1901"},
        {"de-CH, de;q=0.1, en;q=0.5", {"de", "en"}, "en"},
        {"de-CH, de;q=0", {"de", "en"}, NULL},
    };
    (void)state;
    assert_languages(cases, sizeof cases / sizeof cases[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_follow_the_grammar_or_the_member_counts_as_absent),
        cmocka_unit_test(encodings_become_those_that_are_offered_in_their_order),
        cmocka_unit_test(encodings_with_a_star_are_all_that_nobody_names),
        cmocka_unit_test(encodings_with_weight_zero_are_refused),
        cmocka_unit_test(encodings_say_when_the_content_must_not_go_without),
        cmocka_unit_test(compress_has_an_old_name_too),
        cmocka_unit_test(members_beyond_the_limit_count_as_absent),
        cmocka_unit_test(no_memory_is_not_an_empty_answer),
        cmocka_unit_test(languages_have_one_spelling_whatever_the_client_writes),
        cmocka_unit_test(languages_are_liked_by_weight_then_by_the_order_of_the_offer),
        cmocka_unit_test(languages_with_weight_zero_are_refused),
        cmocka_unit_test(language_ranges_take_what_begins_with_them),
        cmocka_unit_test(language_ranges_that_take_none_fall_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
