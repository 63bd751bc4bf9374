/* Who may purge over HTTP: the token, the address, the rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "responder/access.h"

#define TOKEN "0123456789abcdef"
#define SECOND_US INT64_C(1000000)

static struct arena *arena;
static struct config *config;
static char config_file[] = "/tmp/larder-test-XXXXXX";

static const char config_text[] =
    "upstream = { url = \"http://127.0.0.1:1\"; trusted_proxies = [\"10.0.0.0/8\", \"::1\"]; };\n"
    "admin = { token = \"" TOKEN "\"; allow = [\"192.0.2.0/24\", \"2001:db8::/32\"]; rate = 3; "
    "};\n";

static int
setup(void **state)
{
    (void)state;
    int fd = mkstemp(config_file);
    ssize_t n = write(fd, config_text, sizeof config_text - 1);
    close(fd);
    struct larder_error err;
    config = n == (ssize_t)sizeof config_text - 1 ? config_load(config_file, &err) : NULL;
    unlink(config_file);
    if (!config)
        printf("%s\n", err.message);
    arena = arena_new((size_t)1024 * 1024);
    return config && arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    config_free(config);
    return 0;
}

static struct request
from(const char *address, const char *name, const char *value)
{
    struct request request = {.remote_addr = slice_of(address)};
    request.trusted_peer = config_address_trusted(config, address);
    if (name)
        assert_true(fields_add(&request.fields, arena, slice_of(name), slice_of(value)));
    return request;
}

static bool
has_token(const char *name, const char *value)
{
    const struct request request = from("", name, value);
    return access_has_token(&request, TOKEN);
}

static void
the_token_comes_in_two_fields_and_is_the_whole_one(void **state)
{
    (void)state;
    assert_true(has_token("Authorization", "Bearer " TOKEN));
    assert_true(has_token("Authorization", "bearer   " TOKEN));
    assert_true(has_token("X-Larder-Token", TOKEN));
    assert_false(has_token("Authorization", TOKEN));
    assert_false(has_token("Authorization", "Bearer"));
    assert_false(has_token("Authorization", "Bearer "));
    assert_false(has_token("Authorization", "Basic " TOKEN));
    assert_false(has_token("Authorization", "Bearer " TOKEN "0"));
    assert_false(has_token("Authorization", "Bearer 0123456789abcde"));
    assert_false(has_token("Authorization", "Bearer 0123456789ABCDEF"));
    assert_false(has_token("X-Larder-Token", ""));
    assert_false(has_token("X-Larder-Token", "Bearer " TOKEN));
    assert_false(has_token("Cookie", TOKEN));
    assert_false(has_token(NULL, NULL));
    const struct request spaced = from("", "Authorization", "Bearer a pass phrase of one's own");
    assert_true(access_has_token(&spaced, "a pass phrase of one's own"));
    /* Apache's own credentials beside it. */
    struct request request = from("", "Authorization", "Basic eDp5");
    assert_true(fields_add(&request.fields, arena, slice_of("X-Larder-Token"), slice_of(TOKEN)));
    assert_true(access_has_token(&request, TOKEN));
}

static void
assert_client(const char *peer, const char *forwarded, const char *client)
{
    const struct request request = from(peer, forwarded ? "X-Forwarded-For" : NULL, forwarded);
    assert_string_equal(access_client(&request, config, arena), client);
}

static void
only_a_trusted_proxy_says_for_whom_it_asks(void **state)
{
    (void)state;
    assert_client("198.51.100.1", NULL, "198.51.100.1");
    assert_client("198.51.100.1", "192.0.2.1", "198.51.100.1");
    assert_client("10.0.0.1", NULL, "10.0.0.1");
    assert_client("10.0.0.1", "", "10.0.0.1");
    assert_client("10.0.0.1", "192.0.2.1", "192.0.2.1");
    assert_client("::1", "192.0.2.1", "192.0.2.1");
    assert_client("10.0.0.1", "192.0.2.1, 198.51.100.1", "198.51.100.1");
    assert_client("10.0.0.1", "192.0.2.1,198.51.100.1 ,\t10.2.3.4", "198.51.100.1");
    assert_client("10.0.0.1", "10.9.9.9, 10.2.3.4", "10.9.9.9");
    assert_client("10.0.0.1", "192.0.2.1, nonsense", "nonsense");
    assert_client("10.0.0.1", "192.0.2.1, ", "");
    assert_client("", "192.0.2.1", "");
}

static enum access
check(const char *address, const char *token, int64_t now_us, int64_t *retry_s)
{
    const struct request request = from(address, "X-Larder-Token", token);
    return access_check(&request, config, now_us, retry_s, arena);
}

static void
only_wrong_tokens_are_counted(void **state)
{
    (void)state;
    int64_t retry_s = -1, now_us = 5000 * SECOND_US;
    /* Who may not at all uses up nobody's rate. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(check("198.51.100.1", "wrong", now_us, &retry_s), ACCESS_ADDRESS);
    assert_int_equal(check("", TOKEN, now_us, &retry_s), ACCESS_ADDRESS);
    assert_int_equal(check("nonsense", TOKEN, now_us, &retry_s), ACCESS_ADDRESS);
    for (int i = 0; i < 100; i++)
        assert_int_equal(check("192.0.2.1", TOKEN, now_us, &retry_s), ACCESS_GRANTED);
    for (int i = 0; i < 3; i++)
        assert_int_equal(check("192.0.2.1", "wrong", now_us, &retry_s), ACCESS_TOKEN);
    assert_int_equal(check("192.0.2.1", "wrong", now_us, &retry_s), ACCESS_RATE);
    assert_int_equal(retry_s, 20);
    /* Nor does a storm of wrong ones keep out the right one. */
    assert_int_equal(check("192.0.2.1", TOKEN, now_us, &retry_s), ACCESS_GRANTED);
    assert_int_equal(check("192.0.2.1", "wrong", now_us + 20 * SECOND_US, &retry_s), ACCESS_TOKEN);
}

static void
one_address_does_not_use_up_the_rate_of_others(void **state)
{
    (void)state;
    int64_t retry_s, now_us = 9000 * SECOND_US;
    char address[32];
    int refused = 0;
    /* A /64 is one. */
    for (int i = 0; i < 3; i++) {
        snprintf(address, sizeof address, "2001:db8::%x", i + 1);
        assert_int_equal(check(address, "wrong", now_us, &retry_s), ACCESS_TOKEN);
    }
    assert_int_equal(check("2001:db8::ffff", "wrong", now_us, &retry_s), ACCESS_RATE);
    /* Of others at most a few share its slot. */
    for (int i = 0; i < 100; i++) {
        snprintf(address, sizeof address, "2001:db8:1:%x::1", i);
        refused += check(address, "wrong", now_us, &retry_s) != ACCESS_TOKEN;
    }
    assert_in_range(refused, 0, 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_comes_in_two_fields_and_is_the_whole_one),
        cmocka_unit_test(only_a_trusted_proxy_says_for_whom_it_asks),
        cmocka_unit_test(only_wrong_tokens_are_counted),
        cmocka_unit_test(one_address_does_not_use_up_the_rate_of_others),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
