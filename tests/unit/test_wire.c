/*
 * Commands in Redis' wire format: what a person would type, and what is put in, byte by byte.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/wire.h"

static void
is(const struct wire *wire, const char *expected)
{
    struct iovec iov[16];
    char *all = calloc(1, wire->total + 1);
    size_t n = 0;

    assert_non_null(all);
    int count = wire_gather(wire, 0, iov, 16);
    for (int i = 0; i < count; i++) {
        memcpy(all + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    assert_false(wire->failed);
    assert_int_equal(n, wire->total);
    assert_string_equal(all, expected);
    free(all);
}

static void __attribute__((format(printf, 3, 4)))
write_words(struct wire *wire, size_t more, const char *words, ...)
{
    va_list ap;

    va_start(ap, words);
    wire_words(wire, slice_of("larder:"), more, words, ap);
    va_end(ap);
}

static void
words_are_arguments(void **state)
{
    struct wire wire;

    (void)state;
    wire_init(&wire);
    wire_command(&wire, "PING");
    wire_command(&wire, "INFO server");
    is(&wire, "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n");
    wire_free(&wire);
}

static void
what_is_put_in_is_one_argument(void **state)
{
    struct wire wire;

    (void)state;
    wire_init(&wire);
    write_words(&wire, 0, "SET :%s %.*s PX %lld NX", "a b:c%s", 3, "x y z", (long long)INT64_MIN);
    is(&wire, "*6\r\n$3\r\nSET\r\n$14\r\nlarder:a b:c%s\r\n$3\r\nx y\r\n$2\r\nPX\r\n"
              "$20\r\n-9223372036854775808\r\n$2\r\nNX\r\n");
    wire_reset(&wire);
    write_words(&wire, 0, "A :gen:%s! :%s:variants %s :news", "\r\n", "k", "");
    is(&wire, "*5\r\n$1\r\nA\r\n$14\r\nlarder:gen:\r\n!\r\n$17\r\nlarder:k:variants\r\n$0\r\n\r\n"
              "$11\r\nlarder:news\r\n");
    wire_free(&wire);
}

static void
more_arguments_follow(void **state)
{
    struct wire wire;

    (void)state;
    wire_init(&wire);
    write_words(&wire, 2, "DEL :%d", 7);
    wire_text(&wire, "x");
    wire_number(&wire, -1);
    is(&wire, "*4\r\n$3\r\nDEL\r\n$8\r\nlarder:7\r\n$1\r\nx\r\n$2\r\n-1\r\n");
    wire_free(&wire);
}

static void
large_arguments_are_sent_from_where_they_are(void **state)
{
    struct wire wire;
    char large[WIRE_COPY_MAX + 1], expected[WIRE_COPY_MAX + 64];

    (void)state;
    memset(large, 'l', WIRE_COPY_MAX);
    large[WIRE_COPY_MAX] = '\0';
    wire_init(&wire);
    write_words(&wire, 0, "SET :%s %s", large, large + 1);
    snprintf(expected, sizeof expected, "*3\r\n$3\r\nSET\r\n$%d\r\nlarder:", WIRE_COPY_MAX + 7);
    assert_int_equal(wire.loan_count, 1);
    assert_ptr_equal(wire.loans[0].p, large);
    assert_int_equal(wire.loans[0].at, strlen(expected));
    assert_memory_equal(wire.buf, expected, strlen(expected));
    wire_free(&wire);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_arguments),
        cmocka_unit_test(what_is_put_in_is_one_argument),
        cmocka_unit_test(more_arguments_follow),
        cmocka_unit_test(large_arguments_are_sent_from_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
