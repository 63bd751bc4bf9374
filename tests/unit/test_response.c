/*
 * The ancestor's cached response: its own text is read, ours is text that it
 * could have written, nothing hostile gets in or out, nothing is lost between.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#define HEADERS(...)                                  \
    .headers = (struct larder_header[]){__VA_ARGS__}, \
    .header_count = sizeof((struct larder_header[]){__VA_ARGS__}) / sizeof(struct larder_header)
#define BODY(text) .body = (text), .body_len = sizeof(text) - 1

static void
writes(const struct larder_response *response, const char *want)
{
    struct larder_error err = {0};
    char *text;
    size_t len;

    if (larder_response_encode(response, &text, &len, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    free(text);
}

static void
refuses_to_write(const struct larder_response *response)
{
    struct larder_error err = {0};
    char *text = (char *)1;
    size_t len = 1;

    assert_int_equal(larder_response_encode(response, &text, &len, &err), LARDER_INVALID);
    assert_null(text);
    assert_int_equal(len, 0);
    assert_int_equal(err.status, LARDER_INVALID);
    assert_true(err.message[0] != '\0');
    assert_int_equal(larder_response_encode(response, &text, &len, NULL), LARDER_INVALID);
}

/* The text is copied to a block of its exact size: a byte read too far is the sanitizer's. */
static enum larder_status
decode(const char *text, size_t len, struct larder_response **out)
{
    struct larder_error err = {0};
    char *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    memcpy(copy, text, len);
    enum larder_status status = larder_response_decode(copy, len, out, &err);
    free(copy);
    assert_true((status == LARDER_OK) == (*out != NULL));
    assert_true(status == LARDER_OK || (err.status == status && err.message[0]));
    return status;
}

static struct larder_response *
reads(const char *text)
{
    struct larder_response *response;
    if (decode(text, strlen(text), &response) != LARDER_OK)
        fail_msg("not read: %s", text);
    return response;
}

static void
same(const struct larder_response *a, const struct larder_response *b)
{
    assert_int_equal(a->status_code, b->status_code);
    assert_int_equal(a->header_count, b->header_count);
    for (size_t i = 0; i < a->header_count; i++) {
        assert_string_equal(a->headers[i].name, b->headers[i].name);
        assert_string_equal(a->headers[i].value, b->headers[i].value);
    }
    assert_int_equal(a->body_len, b->body_len);
    if (a->body_len)
        assert_memory_equal(a->body, b->body, a->body_len);
}

static void
comes_back(const struct larder_response *response)
{
    struct larder_response *back;
    char *text;
    size_t len;

    assert_int_equal(larder_response_encode(response, &text, &len, NULL), LARDER_OK);
    assert_int_equal(decode(text, len, &back), LARDER_OK);
    same(back, response);
    larder_response_free(back);
    free(text);
}

/* -------------------------------------------------------------------------------------- shape */

static void
the_ancestors_own_shape_is_read(void **state)
{
    (void)state;
    struct larder_response *r = reads(
        "{\"status_code\":200,\"headers\":{\"Content-Type\":\"application/json; charset=utf-8\","
        "\"X-Empty\":\"\"},\"body\":\"{\\\"a\\\":\\u003cb\\u003e,\\n\\\"\\u00e9\\\":1}\"}");

    assert_int_equal(r->status_code, 200);
    assert_int_equal(r->header_count, 2);
    assert_string_equal(r->headers[0].name, "Content-Type");
    assert_string_equal(r->headers[0].value, "application/json; charset=utf-8");
    assert_string_equal(r->headers[1].name, "X-Empty");
    assert_string_equal(r->headers[1].value, "");
    assert_int_equal(r->body_len, strlen("{\"a\":<b>,\n\"\xc3\xa9\":1}"));
    assert_memory_equal(r->body, "{\"a\":<b>,\n\"\xc3\xa9\":1}", r->body_len);
    larder_response_free(r);

    r = reads(" {\"body\":\"a\\u0000b\", \"headers\":null, \"status_code\":599, \"later\":[{}]}\n");
    assert_int_equal(r->status_code, 599);
    assert_int_equal(r->header_count, 0);
    assert_int_equal(r->body_len, 3);
    assert_memory_equal(r->body, "a\0b", 3);
    larder_response_free(r);
}

static void
the_ancestors_own_shape_is_written_where_it_can_be(void **state)
{
    (void)state;
    writes(&(struct larder_response){.status_code = 404},
           "{\"status_code\":404,\"headers\":{},\"body\":\"\"}");
    writes(
        &(struct larder_response){.status_code = 200,
                                  HEADERS({"Content-Type", "text/html"}, {"ETag", "\"a\\b\""}),
                                  BODY("<a href=\"/x\">\n\t\x01\x7f\xe2\x82\xac</a>")},
        "{\"status_code\":200,\"headers\":{\"Content-Type\":\"text/html\",\"ETag\":"
        "\"\\\"a\\\\b\\\"\"},\"body\":\"<a href=\\\"/x\\\">\\n\\t\\u0001\x7f\xe2\x82\xac</a>\"}");
}

static void
repeated_fields_are_an_array_in_the_place_of_the_first(void **state)
{
    (void)state;
    struct larder_response response = {
        .status_code = 200,
        HEADERS({"Link", "1"}, {"A", "x"}, {"link", "2"}, {"B", "y"}, {"LINK", "3"})};
    static const char want[] =
        "{\"status_code\":200,\"headers\":{\"Link\":[\"1\",\"2\",\"3\"],\"A\":\"x\",\"B\":\"y\"},"
        "\"body\":\"\"}";

    writes(&response, want);
    struct larder_response *r = reads(want);
    same(r, &(struct larder_response){
                .status_code = 200,
                HEADERS({"Link", "1"}, {"Link", "2"}, {"Link", "3"}, {"A", "x"}, {"B", "y"})});
    larder_response_free(r);
}

static void
a_body_that_is_no_text_is_in_base64(void **state)
{
    (void)state;
    writes(&(struct larder_response){.status_code = 200, BODY("\xff")},
           "{\"status_code\":200,\"headers\":{},\"body_base64\":\"/w==\"}");
    writes(&(struct larder_response){.status_code = 200, BODY("a\0b")},
           "{\"status_code\":200,\"headers\":{},\"body_base64\":\"YQBi\"}");
    /* Overlong, surrogate, too large, cut short. */
    static const char *const bad[] = {
        "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xe2\x82", "\xf0\x9f\x98", "\x80",         "\xf0\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct larder_response response = {
            .status_code = 200, .body = bad[i], .body_len = strlen(bad[i])};
        char *text;
        size_t len;
        assert_int_equal(larder_response_encode(&response, &text, &len, NULL), LARDER_OK);
        assert_non_null(strstr(text, "body_base64"));
        free(text);
        comes_back(&response);
    }
}

static void
every_byte_value_comes_back(void **state)
{
    (void)state;
    unsigned char all[256 * 3];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)(i * 7);
    for (size_t n = 0; n <= sizeof all; n++)
        comes_back(&(struct larder_response){.status_code = 200, .body = all, .body_len = n});
    for (int c = 0; c < 256; c++) {
        char one[3] = {'<', (char)c, '>'};
        comes_back(&(struct larder_response){.status_code = 200, .body = one, .body_len = 3});
    }
    comes_back(
        &(struct larder_response){.status_code = 100,
                                  HEADERS({"A", ""}, {"B", "\t \"\\/\xf0\x9f\x98\x80"}),
                                  BODY("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\xef\xbf\xbe")});
}

static void
a_large_body_comes_back(void **state)
{
    (void)state;
    size_t n = (size_t)9 << 20;
    char *body = malloc(n);
    assert_non_null(body);
    memset(body, 1, n); /* the longest escapes */
    comes_back(&(struct larder_response){.status_code = 200, .body = body, .body_len = n});
    memset(body, 0xfe, n);
    comes_back(&(struct larder_response){.status_code = 200, .body = body, .body_len = n});
    free(body);
}

/* ------------------------------------------------------------------------------------ hostile */

static void
what_could_split_a_response_is_not_written(void **state)
{
    (void)state;
    static const char *const names[] = {"", "A B", "A:", "A\r\nB", "\xc3\xa9", "A\t"};
    static const char *const values[] = {"a\rb", "a\nb", "\x01", "\x7f", "\xff", "\xc0\x80"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        refuses_to_write(
            &(struct larder_response){.status_code = 200, HEADERS({"A", "1"}, {names[i], "x"})});
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        refuses_to_write(
            &(struct larder_response){.status_code = 200, HEADERS({"A", "1"}, {"B", values[i]})});
    refuses_to_write(&(struct larder_response){.status_code = 200, HEADERS({NULL, "x"})});
    refuses_to_write(&(struct larder_response){.status_code = 200, HEADERS({"A", NULL})});
    refuses_to_write(&(struct larder_response){.status_code = 99});
    refuses_to_write(&(struct larder_response){.status_code = 600});
    refuses_to_write(&(struct larder_response){.status_code = -200});
    refuses_to_write(&(struct larder_response){.status_code = 200, .body = NULL, .body_len = 1});
    refuses_to_write(
        &(struct larder_response){.status_code = 200, .body = "", .body_len = SIZE_MAX});
}

static void
what_is_no_response_is_not_read(void **state)
{
    (void)state;
#define R(status, headers, rest) "{\"status_code\":" status ",\"headers\":" headers rest "}"
#define B ",\"body\":\"x\""
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "[]",
        "\"x\"",
        "{}",
        "{",
        R("200", "{}", ""),
        R("200", "{}", ",\"body\":null"),
        R("200", "{}", ",\"body\":1"),
        R("200", "{}", B ",\"body_base64\":\"\""),
        R("200", "{}", ",\"body_base64\":\"a\""),
        R("200", "{}", ",\"body_base64\":\"a=bc\""),
        R("200", "{}", ",\"body_base64\":\"a===\""),
        R("200", "{}", ",\"body_base64\":\"====\""),
        R("200", "{}", ",\"body_base64\":\" YQ==\""),
        R("200", "{}", ",\"body_base64\":\"YQ==YQ==\""),
        R("200", "{}", ",\"body_base64\":\"YW\\n=\""),
        R("200", "{}", ",\"body_base64\":[]"),
        R("\"200\"", "{}", B),
        R("200.0", "{}", B),
        R("99", "{}", B),
        R("600", "{}", B),
        R("-200", "{}", B),
        R("4294967496", "{}", B),
        R("18446744073709551816", "{}", B),
        R("null", "{}", B),
        R("200", "[]", B),
        R("200", "\"A: b\"", B),
        "{\"status_code\":200" B "}",
        "{\"headers\":{}" B "}",
        R("200", "{\"A\":1}", B),
        R("200", "{\"A\":null}", B),
        R("200", "{\"A\":{}}", B),
        R("200", "{\"A\":[\"x\",1]}", B),
        R("200", "{\"A\":[[\"x\"]]}", B),
        R("200", "{\"\":\"x\"}", B),
        R("200", "{\"A B\":\"x\"}", B),
        R("200", "{\"A\\r\\nB\":\"x\"}", B),
        R("200", "{\"A\":\"x\\r\\nSet-Cookie: a\"}", B),
        R("200", "{\"A\":\"x\\ny\"}", B),
        R("200", "{\"A\":\"x\\u0000y\"}", B),
        R("200", "{\"A\":[\"x\",\"x\\ry\"]}", B),
        R("200", "{}", B) "x",
        R("200", "{}", B) "{}",
        R("200", "{}", ",\"body\":\"\xff\""),
        R("200", "{}", B ",\"deep\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"),
        "/* */" R("200", "{}", B),
        R("200", "{}", ",\"body\":'x'"),
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct larder_response *r;
        if (decode(texts[i], strlen(texts[i]), &r) != LARDER_CORRUPT)
            fail_msg("read: %s", texts[i]);
    }
}

static void
text_cut_anywhere_is_not_read(void **state)
{
    (void)state;
    static const char text[] = R("200", "{\"A\":[\"x\",\"y\"]}", ",\"body\":\"\\u00e9z\"");
    struct larder_response *r;

    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_int_equal(decode(text, n, &r), LARDER_CORRUPT);
    assert_int_equal(decode(text, sizeof text, &r), LARDER_CORRUPT); /* the NUL is not JSON */
    assert_int_equal(decode(text, sizeof text - 1, &r), LARDER_OK);
    larder_response_free(r);
}

/* n fields of value_len bytes each, as an array of one name. */
static enum larder_status
read_many(size_t n, size_t value_len)
{
    char *text = malloc(n * (value_len + 3) + 100), *p = text;
    struct larder_response *r;
    assert_non_null(text);

    p += sprintf(p, "{\"status_code\":200,\"body\":\"\",\"headers\":{\"A\":[");
    for (size_t i = 0; i < n; i++) {
        p += sprintf(p, i ? ",\"" : "\"");
        memset(p, 'v', value_len);
        p += value_len;
        *p++ = '"';
    }
    p += sprintf(p, "]}}");
    enum larder_status status = decode(text, (size_t)(p - text), &r);
    larder_response_free(r);
    free(text);
    return status;
}

static enum larder_status
write_many(size_t n, size_t value_len)
{
    char *value = calloc(1, value_len + 1);
    struct larder_header *headers = calloc(n, sizeof *headers);
    char *text;
    size_t len;
    assert_true(value && headers);

    memset(value, 'v', value_len);
    for (size_t i = 0; i < n; i++)
        headers[i] = (struct larder_header){"A", value};
    struct larder_response response = {.status_code = 200, .headers = headers, .header_count = n};
    enum larder_status status = larder_response_encode(&response, &text, &len, NULL);
    free(text);
    free(headers);
    free(value);
    return status;
}

static void
too_many_fields_are_refused(void **state)
{
    (void)state;
    /* FIELDS_MAX is 1024, FIELDS_BYTES_MAX 131072: 128 times 1023 bytes and a name of one. */
    assert_int_equal(read_many(1024, 1), LARDER_OK);
    assert_int_equal(read_many(1025, 1), LARDER_CORRUPT);
    assert_int_equal(read_many(128, 1023), LARDER_OK);
    assert_int_equal(read_many(128, 1024), LARDER_CORRUPT);
    assert_int_equal(read_many(1, 1 << 20), LARDER_CORRUPT);
    assert_int_equal(write_many(1024, 1), LARDER_OK);
    assert_int_equal(write_many(1025, 1), LARDER_INVALID);
    assert_int_equal(write_many(128, 1023), LARDER_OK);
    assert_int_equal(write_many(128, 1024), LARDER_INVALID);
    assert_int_equal(write_many(1, 1 << 20), LARDER_INVALID);
}

static void
damaged_text_is_read_or_refused_but_never_worse(void **state)
{
    (void)state;
    static const char text[] = "{\"status_code\":200,\"headers\":{\"A\":[\"x\",\"y\"],\"B\":\"z\"},"
                               "\"body_base64\":\"YWJj\"}";
    char damaged[sizeof text];

    for (size_t i = 0; i < sizeof text - 1; i++) {
        for (int c = 0; c < 256; c++) {
            struct larder_response *r;
            memcpy(damaged, text, sizeof text);
            damaged[i] = (char)c;
            decode(damaged, sizeof text - 1, &r);
            for (size_t k = 0; r && k < r->header_count; k++)
                assert_null(strpbrk(r->headers[k].value, "\r\n"));
            larder_response_free(r);
        }
    }
}

/* ---------------------------------------------------------------------------------------- key */

static void
the_key_is_the_ancestors(void **state)
{
    (void)state;
    char buf[128];

    /* printf %s /api/v1/sessions | sha256sum */
    assert_int_equal(larder_response_key(buf, sizeof buf, "/api/v1/sessions", NULL), LARDER_OK);
    assert_string_equal(
        buf, "response:43e9300c31e4fb4ecc870c3bbb5fad58967e774d98b54e08f7e7886fb6769533");
    assert_int_equal(larder_response_key(buf, sizeof buf, "/api/v1/sessions", "42"), LARDER_OK);
    assert_string_equal(
        buf, "response:d895c5de844a1d68b30af2a80e6ef6d2cdc98b8bba97a56cac090a23c1f4f28e");
    assert_int_equal(larder_response_key(buf, sizeof buf, NULL, "42"), LARDER_INVALID);
    assert_string_equal(buf, "");
    for (size_t size = 0; size <= 80; size++) {
        char *exact = malloc(size + 1);
        assert_non_null(exact);
        memset(exact, 0x5a, size + 1);
        assert_int_equal(larder_response_key(exact, size, "/", NULL),
                         size >= 74 ? LARDER_OK : LARDER_TRUNCATED);
        if (size > 0)
            assert_int_equal(strlen(exact), size >= 74 ? 73 : 0);
        assert_int_equal(exact[size], 0x5a);
        free(exact);
    }
    assert_int_equal(larder_response_key(NULL, 0, "/", NULL), LARDER_TRUNCATED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ancestors_own_shape_is_read),
        cmocka_unit_test(the_ancestors_own_shape_is_written_where_it_can_be),
        cmocka_unit_test(repeated_fields_are_an_array_in_the_place_of_the_first),
        cmocka_unit_test(a_body_that_is_no_text_is_in_base64),
        cmocka_unit_test(every_byte_value_comes_back),
        cmocka_unit_test(a_large_body_comes_back),
        cmocka_unit_test(what_could_split_a_response_is_not_written),
        cmocka_unit_test(what_is_no_response_is_not_read),
        cmocka_unit_test(text_cut_anywhere_is_not_read),
        cmocka_unit_test(too_many_fields_are_refused),
        cmocka_unit_test(damaged_text_is_read_or_refused_but_never_worse),
        cmocka_unit_test(the_key_is_the_ancestors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
