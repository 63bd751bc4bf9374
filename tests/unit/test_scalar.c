/* Durations, sizes, address blocks: what is of the form, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/scalar.h"

#define DAY INT64_C(86400000)

static void
durations_are_read_in_their_units(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},         {"0s", 0},         {"1ms", 1},
        {"500ms", 500},   {"30s", 30000},    {"5m", 300000},
        {"2h", 7200000},  {"30d", 30 * DAY}, {"1h30m", 5400000},
        {"1m30s", 90000}, {"1s500ms", 1500}, {"1d2h3m4s5ms", 93784005},
        {"007s", 7000},   {"90m", 5400000},  {"9223372036854775807ms", INT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int64_t ms = -1;
        if (!config_parse_duration(good[i].text, &ms) || ms != good[i].ms)
            fail_msg("%s: %lld", good[i].text, (long long)ms);
    }
}

static void
durations_of_any_other_form_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "5",
        "30",
        "-5s",
        "+5s",
        "5 s",
        " 5s",
        "5s ",
        "s",
        "5S",
        "5M",
        "5min",
        "5sec",
        "1.5s",
        "30s5",
        "30s1h",
        "1m1m",
        "1ms1s",
        "0x5s",
        "1e3s",
        "5s\n",
        "1w",
        "1h 5m",
        "ms",
        "--",
        "00",
        "5mss",
        "9223372036854775808ms",
        "9223372036854775807s",
        "106751991168d",
        "9223372036854775807ms1s",
        "9223372036854775s999999ms",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = -1;
        if (config_parse_duration(bad[i], &ms))
            fail_msg("\"%s\" is read as %lld", bad[i], (long long)ms);
        assert_int_equal(ms, -1);
    }
}

static void
durations_are_printed_as_one_would_write_them(void **state)
{
    static const int64_t values[] = {0, 1, 999, 1000, 90000, 5400000, 30 * DAY, 93784005};
    static const char *const texts[] = {"0",     "1ms",   "999ms", "1s",
                                        "1m30s", "1h30m", "30d",   "1d2h3m4s5ms"};
    char buf[SCALAR_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        int64_t back;
        scalar_print_duration(buf, sizeof buf, values[i]);
        assert_string_equal(buf, texts[i]);
        assert_true(config_parse_duration(buf, &back));
        assert_int_equal(back, values[i]);
    }
    scalar_print_duration(buf, sizeof buf, INT64_MAX);
    assert_string_equal(buf, "106751991167d7h12m55s807ms");
}

static void
sizes_are_read_in_powers_of_1024(void **state)
{
    static const struct {
        const char *text;
        size_t bytes;
    } good[] = {
        {"0", 0},
        {"512", 512},
        {"1K", 1024},
        {"64K", 65536},
        {"8M", 8388608},
        {"1G", 1073741824},
        {"8m", 8388608},
        {"1k", 1024},
        {"3g", 3221225472},
        {"8589934592", 8589934592},
        {"8589934591G", 9223372035781033984u},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        size_t bytes = 1;
        if (!config_parse_size(good[i].text, &bytes) || bytes != good[i].bytes)
            fail_msg("%s: %zu", good[i].text, bytes);
    }
}

static void
sizes_of_any_other_form_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "M",
                                      "-1",
                                      "8MB",
                                      "8MiB",
                                      "8 M",
                                      "1T",
                                      "1.5M",
                                      " 8M",
                                      "8M ",
                                      "0x8",
                                      "8MM",
                                      "9223372036854775808",
                                      "8589934592G",
                                      "99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t bytes = 77;
        if (config_parse_size(bad[i], &bytes))
            fail_msg("\"%s\" is read as %zu", bad[i], bytes);
        assert_int_equal(bytes, 77);
    }
}

static void
sizes_are_printed_as_one_would_write_them(void **state)
{
    char buf[SCALAR_TEXT_SIZE];
    (void)state;
    scalar_print_size(buf, sizeof buf, 8388608);
    assert_string_equal(buf, "8M");
    scalar_print_size(buf, sizeof buf, 1025);
    assert_string_equal(buf, "1025");
    scalar_print_size(buf, sizeof buf, 0);
    assert_string_equal(buf, "0");
    scalar_print_size(buf, sizeof buf, UINT64_C(1) << 44);
    assert_string_equal(buf, "16384G");
}

static bool
within(const char *block, const char *address)
{
    struct address_block parsed;
    const char *why;
    if (!scalar_parse_block(block, &parsed, &why))
        fail_msg("%s: expected %s", block, why);
    return scalar_block_has(&parsed, 1, address);
}

static void
block_has_its_addresses_and_no_others(void **state)
{
    static const struct {
        const char *block;
        const char *address;
        bool in;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0", true},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"10.128.0.0/9", "10.127.255.255", false},
        {"10.128.0.0/9", "10.128.0.1", true},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1/32", "192.0.2.0", false},
        {"0.0.0.0/0", "203.0.113.7", true},
        {"2001:db8::/32", "2001:db8:1::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::1", "2001:0db8:0:0::1", true},
        {"fe80::/10", "fe80::1%eth0", true},
        {"::1", "::1", true},
        {"::1", "::2", false},
        /* IPv4 in IPv6 form is IPv4, on either side. */
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"::ffff:10.0.0.1", "10.0.0.1", true},
        {"::ffff:10.0.0.0/104", "11.1.2.3", false},
        /* All of one family is nothing of the other. */
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"::/0", "::ffff:10.0.0.1", false},
        {"0.0.0.0/0", "::1", false},
        {"::1", "0.0.0.1", false},
        /* No address at all. */
        {"0.0.0.0/0", "", false},
        {"0.0.0.0/0", "unix:", false},
        {"0.0.0.0/0", "10.0.0.1:80", false},
        {"0.0.0.0/0", "10.0.0.1, 10.0.0.2", false},
        {"0.0.0.0/0", "010.0.0.1", false},
        {"0.0.0.0/0", "10.1", false},
        {"0.0.0.0/0", "localhost", false},
        {"0.0.0.0/0", NULL, false},
        {"0.0.0.0/0",
         "1111111111111111111111111111111111111111111111111111111111111111111111111111", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (within(cases[i].block, cases[i].address) != cases[i].in)
            fail_msg("%s in %s", cases[i].address ? cases[i].address : "NULL", cases[i].block);
}

static void
blocks_of_any_other_form_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.1/8",
        "10.0.0.0/8x",
        "10/8",
        "10.0.0/24",
        "2001:db8::/129",
        "2001:db8::1/32",
        "*",
        "localhost",
        "10.0.0.0/8 ",
        " 10.0.0.1",
        "fe80::1%eth0",
        "[::1]",
        "10.0.0.1-9",
        "::ffff:10.0.0.0/8",
        "::ffff:0:0/95",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/ 8",
        "10.0.0.0/+8",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct address_block block;
        const char *why = NULL;
        if (scalar_parse_block(bad[i], &block, &why))
            fail_msg("\"%s\" is a block", bad[i]);
        assert_non_null(why);
    }
}

static void
any_of_several_blocks_is_enough(void **state)
{
    struct address_block blocks[2];
    const char *why;
    (void)state;
    assert_true(scalar_parse_block("10.0.0.0/8", &blocks[0], &why));
    assert_true(scalar_parse_block("2001:db8::/32", &blocks[1], &why));
    assert_true(scalar_block_has(blocks, 2, "10.0.0.1"));
    assert_true(scalar_block_has(blocks, 2, "2001:db8::1"));
    assert_false(scalar_block_has(blocks, 2, "192.0.2.1"));
    assert_false(scalar_block_has(blocks, 0, "10.0.0.1"));
    assert_false(scalar_block_has(NULL, 0, "10.0.0.1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_in_their_units),
        cmocka_unit_test(durations_of_any_other_form_are_refused),
        cmocka_unit_test(durations_are_printed_as_one_would_write_them),
        cmocka_unit_test(sizes_are_read_in_powers_of_1024),
        cmocka_unit_test(sizes_of_any_other_form_are_refused),
        cmocka_unit_test(sizes_are_printed_as_one_would_write_them),
        cmocka_unit_test(block_has_its_addresses_and_no_others),
        cmocka_unit_test(blocks_of_any_other_form_are_refused),
        cmocka_unit_test(any_of_several_blocks_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
