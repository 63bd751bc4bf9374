/* What stands under a URL that has variants (marker.c), which anybody may have written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "responder/marker.h"

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NAMES "accept,accept-encoding"

static struct marker
decoded(struct slice text)
{
    struct marker marker;
    assert_true(marker_decode(&marker, text.p, text.n, arena));
    return marker;
}

static struct slice
encoded(const char *hash, const char *etag, const struct marker *before)
{
    struct slice text =
        marker_encode(slice_of(NAMES), slice_of(hash), slice_of(etag), before, arena);
    assert_non_null(text.p);
    return text;
}

static void
what_was_written_is_read(void **state)
{
    (void)state;
    struct marker first = decoded(encoded(HASH_A, "\"1\"", NULL));
    assert_int_equal(first.vary.count, 2);
    assert_true(slice_equal(first.vary.names[1], slice_of("accept-encoding")));
    assert_int_equal(first.count, 1);
    struct marker both = decoded(encoded(HASH_B, "W/\"2\"", &first));
    assert_int_equal(both.count, 2);
    assert_true(slice_equal(both.tags[0].hash, slice_of(HASH_B)));
    assert_true(slice_equal(both.tags[0].etag, slice_of("W/\"2\"")));
    assert_true(slice_equal(both.tags[1].etag, slice_of("\"1\"")));
}

static void
a_variant_has_one_tag_its_last(void **state)
{
    (void)state;
    struct marker first = decoded(encoded(HASH_A, "\"1\"", NULL));
    struct marker later = decoded(encoded(HASH_A, "\"2\"", &first));
    assert_int_equal(later.count, 1);
    assert_true(slice_equal(later.tags[0].etag, slice_of("\"2\"")));
    /* One without a tag loses it. */
    assert_int_equal(decoded(encoded(HASH_A, "", &later)).count, 0);
}

static void
other_names_begin_anew(void **state)
{
    (void)state;
    struct marker first = decoded(encoded(HASH_A, "\"1\"", NULL));
    struct slice text =
        marker_encode(slice_of("cookie"), slice_of(HASH_B), slice_of("\"2\""), &first, arena);
    assert_int_equal(decoded(text).count, 1);
}

static void
the_newest_tags_are_kept_within_the_limit(void **state)
{
    (void)state;
    char etag[MARKER_ETAG_MAX + 1], hash[65];
    struct marker marker;
    struct slice text = {NULL, 0};
    memset(etag, 'x', MARKER_ETAG_MAX);
    etag[0] = etag[MARKER_ETAG_MAX - 1] = '"';
    etag[MARKER_ETAG_MAX] = '\0';
    for (int i = 0; i < MARKER_TAGS_MAX + 3; i++) {
        snprintf(hash, sizeof hash, "%064d", i);
        text = encoded(hash, etag, text.p ? &marker : NULL);
        marker = decoded(text);
    }
    assert_int_equal(marker.count, MARKER_TAGS_MAX);
    assert_true(slice_equal(marker.tags[0].hash, slice_of(hash)));
    /* Whatever may be written can be read again. */
    assert_true(text.n + VARY_BYTES_MAX + VARY_NAMES_MAX <= MARKER_SIZE_MAX);
    char longer[MARKER_ETAG_MAX + 2];
    memset(longer, 'x', MARKER_ETAG_MAX + 1);
    longer[MARKER_ETAG_MAX + 1] = '\0';
    assert_int_equal(decoded(encoded(HASH_A, longer, NULL)).count, 0);
}

static void
what_is_damaged_or_forged_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "LARDERV1\n",
        "LARDERV1\naccept",
        "LARDERV2\naccept\n",
        "LARDERV1\n\n",
        "LARDERV1\n*\n",
        "LARDERV1\nAccept\n",
        "LARDERV1\nb,a\n",
        "LARDERV1\na a\n",
        "LARDERV1\naccept\n" HASH_A "\n",
        "LARDERV1\naccept\n" HASH_A " \n",
        "LARDERV1\naccept\n" HASH_A " \"1\"",
        "LARDERV1\naccept\n" HASH_A " \"1\"\n\n",
        "LARDERV1\naccept\nx" HASH_A " \"1\"\n",
        "LARDERV1\naccept\nA" HASH_A " \"1\"\n",
        "LARDERV1\naccept\n" HASH_A " \"1\"\r\n",
    };
    struct marker marker;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (marker_decode(&marker, bad[i], strlen(bad[i]), arena))
            fail_msg("taken: %s", bad[i]);
    const char good[] = "LARDERV1\naccept\n" HASH_A " \"1\"\n";
    assert_true(marker_decode(&marker, good, sizeof good - 1, arena));
    /* A NUL is part of nothing. */
    assert_false(marker_decode(&marker, good, sizeof good, arena));
}

static void
nothing_is_written_that_says_nothing_new(void **state)
{
    (void)state;
    struct marker marker = decoded(encoded(HASH_A, "\"1\"", NULL));
    struct slice names = slice_of(NAMES), a = slice_of(HASH_A), b = slice_of(HASH_B);
    assert_true(marker_says(&marker, names, a, slice_of("\"1\"")));
    assert_false(marker_says(&marker, names, a, slice_of("\"2\"")));
    assert_false(marker_says(&marker, names, b, slice_of("\"1\"")));
    assert_true(marker_says(&marker, names, b, slice_of("")));
    assert_false(marker_says(&marker, slice_of("accept"), a, slice_of("\"1\"")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_variant_has_one_tag_its_last),
        cmocka_unit_test(other_names_begin_anew),
        cmocka_unit_test(the_newest_tags_are_kept_within_the_limit),
        cmocka_unit_test(what_is_damaged_or_forged_is_none),
        cmocka_unit_test(nothing_is_written_that_says_nothing_new),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
