/* What stands under a URL that has variants (marker.c), which anybody may have written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "responder/marker.h"

#define NAMES "accept,accept-encoding"
/* As Larder 0.1 had them. */
#define TAG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \"1\"\n"

static void
what_was_written_is_read(void **state)
{
    (void)state;
    struct slice text = marker_encode(slice_of(NAMES), arena);
    struct marker marker;
    assert_true(marker_decode(&marker, text.p, text.n, arena));
    assert_true(slice_equal(marker.names, slice_of(NAMES)));
    assert_int_equal(marker.vary.count, 2);
    assert_true(slice_equal(marker.vary.names[1], slice_of("accept-encoding")));
}

static void
the_largest_can_be_read(void **state)
{
    (void)state;
    assert_true(VARY_BYTES_MAX + VARY_NAMES_MAX + 16 <= MARKER_SIZE_MAX);
}

static void
tags_of_an_older_larder_say_nothing(void **state)
{
    (void)state;
    const char text[] = "LARDERV1\naccept\n" TAG;
    struct marker marker;
    assert_true(marker_decode(&marker, text, sizeof text - 1, arena));
    assert_true(slice_equal(marker.names, slice_of("accept")));
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
        "LARDERV1\naccept\r\n",
    };
    struct marker marker;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (marker_decode(&marker, bad[i], strlen(bad[i]), arena))
            fail_msg("taken: %s", bad[i]);
    /* A NUL is part of nothing. */
    const char nul[] = "LARDERV1\nacc\0ept\n";
    assert_false(marker_decode(&marker, nul, sizeof nul - 1, arena));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(the_largest_can_be_read),
        cmocka_unit_test(tags_of_an_older_larder_say_nothing),
        cmocka_unit_test(what_is_damaged_or_forged_is_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
