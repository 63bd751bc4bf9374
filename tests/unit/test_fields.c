/* Arena and field lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/fields.h"

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

static bool
add(struct fields *fields, const char *name, const char *value)
{
    return fields_add(fields, arena, slice_of(name), slice_of(value));
}

static void
arena_never_gives_more_than_its_limit(void **state)
{
    (void)state;
    struct arena *small = arena_new(1000);
    assert_non_null(arena_alloc(small, 500));
    assert_null(arena_alloc(small, 600));
    assert_non_null(arena_alloc(small, 400));
    arena_reset(small);
    assert_non_null(arena_alloc(small, 900));
    assert_null(arena_alloc(small, SIZE_MAX));
    assert_null(arena_calloc(small, SIZE_MAX / 2, 4));
    arena_free(small);
}

static void
arena_pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    char *last = NULL;
    for (size_t i = 1; i < 3000; i += 7) {
        char *p = arena_alloc(arena, i);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 'x', i);
        if (last)
            assert_int_equal(*last, 'x');
        last = p;
    }
    assert_string_equal(arena_printf(arena, "%s-%d", "a", 7), "a-7");
}

static void
a_value_that_could_split_an_answer_is_refused(void **state)
{
    (void)state;
    struct fields fields = {0};
    static const char *const bad[] = {"a\rb", "a\nb", "a\r\nSet-Cookie: x=1", "a\x7f", "a\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(add(&fields, "X-A", bad[i]));
    assert_false(fields_add(&fields, arena, slice_of("X-A"), (struct slice){"a\0b", 3}));
    assert_int_equal(fields.count, 0);
    assert_true(add(&fields, "X-A", "tab\there, \xe9 and \"quotes\""));
}

static void
a_name_that_is_no_token_is_refused(void **state)
{
    (void)state;
    struct fields fields = {0};
    static const char *const bad[] = {"", "A B", "A:", "A\n", "\xc3\xa9", "A\x01", "(x)"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(add(&fields, bad[i], "v"));
    assert_true(add(&fields, "x!#$%&'*+-.^_`|~9", "v"));
}

static void
repeats_and_order_survive(void **state)
{
    (void)state;
    struct fields fields = {0};
    assert_true(add(&fields, "Link", "one"));
    assert_true(add(&fields, "X", "  y\t "));
    assert_true(add(&fields, "link", "two"));
    size_t cursor = 0;
    assert_true(slice_equal(fields_next(&fields, "LINK", &cursor)->value, slice_of("one")));
    assert_true(slice_equal(fields_next(&fields, "LINK", &cursor)->value, slice_of("two")));
    assert_null(fields_next(&fields, "LINK", &cursor));
    assert_true(slice_equal(fields_get(&fields, "x"), slice_of("y")));
    assert_true(slice_equal(fields_join(&fields, arena, "Link"), slice_of("one, two")));
    assert_null(fields_join(&fields, arena, "Absent").p);
}

static void
the_list_is_bounded_in_count_and_bytes(void **state)
{
    (void)state;
    struct fields fields = {0};
    for (int i = 0; i < FIELDS_MAX; i++)
        assert_true(add(&fields, "A", "b"));
    assert_false(add(&fields, "A", "b"));
    static char big[FIELDS_BYTES_MAX];
    memset(big, 'x', sizeof big);
    struct fields other = {0};
    assert_false(fields_add(&other, arena, slice_of("A"), (struct slice){big, sizeof big}));
    assert_true(fields_add(&other, arena, slice_of("A"), (struct slice){big, sizeof big - 1}));
    assert_false(add(&other, "B", ""));
    assert_true(fields_remove(&other, "a"));
    assert_true(add(&other, "B", ""));
}

static void
what_connection_lists_goes_with_the_hop(void **state)
{
    (void)state;
    struct fields fields = {0};
    add(&fields, "Connection", "close, X-Secret");
    add(&fields, "connection", " x-other ,");
    add(&fields, "X-Secret", "1");
    add(&fields, "X-OTHER", "1");
    add(&fields, "Keep-Alive", "timeout=5");
    add(&fields, "TE", "trailers");
    add(&fields, "Trailer", "Foo");
    add(&fields, "Transfer-Encoding", "chunked");
    add(&fields, "Upgrade", "h2c");
    add(&fields, "Proxy-Authorization", "x");
    add(&fields, "Proxy-Connection", "x");
    add(&fields, "X-Secrets", "stays");
    fields_remove_hop_by_hop(&fields);
    assert_int_equal(fields.count, 1);
    assert_true(slice_equal(fields_get(&fields, "X-Secrets"), slice_of("stays")));
    assert_int_equal(fields.bytes, strlen("X-Secretsstays"));
}

static void
what_speaks_to_everybody_is_no_matter_of_the_hop(void **state)
{
    (void)state;
    static const char *const names[] = {"Cache-Control",
                                        "Set-Cookie",
                                        "Vary",
                                        "Cookie",
                                        "Authorization",
                                        "Content-Encoding",
                                        "Larder-Cache-Control",
                                        "larder-purge",
                                        "CDN-Cache-Control",
                                        "Surrogate-Control",
                                        "Surrogate-Key",
                                        "xkey",
                                        "Cache-Tag",
                                        "Cache-Groups",
                                        "Cache-Group-Invalidation",
                                        "X-Accel-Expires",
                                        "X-LiteSpeed-Cache-Control",
                                        "Expires",
                                        "Pragma",
                                        "Age",
                                        "Date",
                                        "ETag",
                                        "Last-Modified",
                                        "Location",
                                        "Content-Location",
                                        "Content-Digest",
                                        "Set-Cookie2",
                                        "Via"};
    struct fields fields = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        add(&fields, "Connection", names[i]);
        add(&fields, names[i], "1");
    }
    fields_remove_hop_by_hop(&fields);
    assert_int_equal(fields.count, sizeof names / sizeof *names);
}

static void
setting_replaces_every_line(void **state)
{
    (void)state;
    struct fields fields = {0};
    add(&fields, "A", "1");
    add(&fields, "B", "2");
    add(&fields, "a", "3");
    assert_true(fields_set(&fields, arena, slice_of("A"), slice_of("4")));
    assert_int_equal(fields.count, 2);
    assert_true(slice_equal(fields_get(&fields, "a"), slice_of("4")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_never_gives_more_than_its_limit),
        cmocka_unit_test_setup_teardown(arena_pieces_are_aligned_and_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_value_that_could_split_an_answer_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_no_token_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(repeats_and_order_survive, setup, teardown),
        cmocka_unit_test_setup_teardown(the_list_is_bounded_in_count_and_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_connection_lists_goes_with_the_hop, setup, teardown),
        cmocka_unit_test_setup_teardown(what_speaks_to_everybody_is_no_matter_of_the_hop, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(setting_replaces_every_line, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
