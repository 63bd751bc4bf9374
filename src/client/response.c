/*
 * The ancestor's cached response: JSON text to struct larder_response and back.
 *
 *     {"status_code":200,"headers":{"Content-Type":"text/html"},"body":"..."}
 *
 * with two extensions where the ancestor has no word: an array of strings for a
 * field that occurs more than once, in the place of its first occurrence, and
 * "body_base64" instead of "body" for a body that is not UTF-8 or holds a NUL.
 *
 * Reading is json-c's. Writing is done here, once to count and once to write:
 * the text is one allocation of exactly its size, and no memory that ran out
 * half-way can leave text that looks whole.
 *
 * What is read comes from Redis, where anybody may have put it: whatever could
 * not have been sent by an honest backend (CR, LF, NUL in a field, a status out
 * of range) is refused, as is the same from the caller when writing.
 *
 * Called by applications through larder.h and by the responder in
 * compat = "ancestor". Never talks to Redis and keeps nothing between calls.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>
#include <openssl/evp.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/slice.h"
#include "client/names.h"
#include "larder.h"

#define STATUS_MIN 100
#define STATUS_MAX 599
/* Ours has three levels; the rest is for members that a later version may add. */
#define JSON_DEPTH_MAX 8
/* SHA-256 in hex. */
#define HASH_LEN 64

static bool
is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* RFC 3629: no overlong forms, no surrogates, nothing over U+10FFFF. */
static bool
is_utf8(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len;

    while (p < end) {
        size_t left = (size_t)(end - p);
        if (p[0] < 0x80) {
            p++;
        } else if (p[0] >= 0xc2 && p[0] <= 0xdf && left >= 2 && is_continuation(p[1])) {
            p += 2;
        } else if ((p[0] & 0xf0) == 0xe0 && left >= 3 && is_continuation(p[1]) &&
                   is_continuation(p[2])) {
            if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
                return false;
            p += 3;
        } else if (p[0] >= 0xf0 && p[0] <= 0xf4 && left >= 4 && is_continuation(p[1]) &&
                   is_continuation(p[2]) && is_continuation(p[3])) {
            if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
                return false;
            p += 4;
        } else {
            return false;
        }
    }
    return true;
}

/* ----------------------------------------------------------------------------------- writing */

/* p NULL: only count. Either way len is where the next byte goes. */
struct out {
    char *p;
    size_t len;
};

static void
put(struct out *out, const char *bytes, size_t n)
{
    if (out->p && n > 0)
        memcpy(out->p + out->len, bytes, n);
    out->len += n;
}

static void
put_text(struct out *out, const char *text)
{
    put(out, text, strlen(text));
}

static void
put_string(struct out *out, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t begin = 0; /* of what needs no escape and is not yet written */

    put_text(out, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(out, text + begin, i - begin);
        begin = i + 1;
        if (c == '"' || c == '\\')
            put(out, (char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            put_text(out, "\\n");
        else if (c == '\r')
            put_text(out, "\\r");
        else if (c == '\t')
            put_text(out, "\\t");
        else
            put(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    }
    put(out, text + begin, n - begin);
    put_text(out, "\"");
}

static void
put_base64(struct out *out, const void *data, size_t n)
{
    put_text(out, "\"");
    /* n is at most LARDER_VALUE_MAX, which fits an int. It adds a NUL, which the quote replaces. */
    if (out->p)
        EVP_EncodeBlock((unsigned char *)out->p + out->len, data, (int)n);
    out->len += (n + 2) / 3 * 4;
    put_text(out, "\"");
}

static bool
same_name(const struct larder_header *a, const struct larder_header *b)
{
    return strcasecmp(a->name, b->name) == 0;
}

/* The next occurrence of the same field behind `i`, count if none. */
static size_t
next_of(const struct larder_response *response, size_t i)
{
    size_t k = i + 1;
    while (k < response->header_count && !same_name(&response->headers[i], &response->headers[k]))
        k++;
    return k;
}

static bool
is_first(const struct larder_response *response, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_name(&response->headers[i], &response->headers[k]))
            return false;
    return true;
}

static void
put_headers(struct out *out, const struct larder_response *response)
{
    const char *separator = "";

    put_text(out, "{");
    for (size_t i = 0; i < response->header_count; i++) {
        const struct larder_header *h = &response->headers[i];
        if (!is_first(response, i))
            continue;
        put_text(out, separator);
        separator = ",";
        put_string(out, h->name, strlen(h->name));
        put_text(out, ":");
        size_t k = next_of(response, i);
        bool repeated = k < response->header_count;
        put_text(out, repeated ? "[" : "");
        put_string(out, h->value, strlen(h->value));
        for (; k < response->header_count; k = next_of(response, k)) {
            put_text(out, ",");
            put_string(out, response->headers[k].value, strlen(response->headers[k].value));
        }
        put_text(out, repeated ? "]" : "");
    }
    put_text(out, "}");
}

static void
put_response(struct out *out, const struct larder_response *response, bool text)
{
    char status[4] = {(char)('0' + response->status_code / 100),
                      (char)('0' + response->status_code / 10 % 10),
                      (char)('0' + response->status_code % 10), '\0'};

    put_text(out, "{\"status_code\":");
    put_text(out, status);
    put_text(out, ",\"headers\":");
    put_headers(out, response);
    if (text) {
        put_text(out, ",\"body\":");
        put_string(out, response->body, response->body_len);
    } else {
        put_text(out, ",\"body_base64\":");
        put_base64(out, response->body, response->body_len);
    }
    put_text(out, "}");
}

static enum larder_status
check(const struct larder_response *response, struct larder_error *err)
{
    size_t bytes = 0;

    if (response->status_code < STATUS_MIN || response->status_code > STATUS_MAX)
        return error_set(err, LARDER_INVALID, "response: status %d is not in %d to %d",
                         response->status_code, STATUS_MIN, STATUS_MAX);
    if (response->header_count > FIELDS_MAX)
        return error_set(err, LARDER_INVALID, "response: %zu fields, at most %d can be stored",
                         response->header_count, FIELDS_MAX);
    if (response->body_len > LARDER_VALUE_MAX || (!response->body && response->body_len > 0))
        return error_set(err, LARDER_INVALID, "response: a body of %zu bytes cannot be stored",
                         response->body_len);
    for (size_t i = 0; i < response->header_count; i++) {
        struct slice name = slice_of(response->headers[i].name);
        struct slice value = slice_of(response->headers[i].value);
        if (!field_name_valid(name))
            return error_set(err, LARDER_INVALID, "response: field %zu: its name is no token", i);
        /* JSON text is UTF-8; anything else would come back as something else. */
        if (!value.p || !field_value_valid(value) || !is_utf8(value.p, value.n))
            return error_set(err, LARDER_INVALID,
                             "response: field %.64s: CR, LF, a control character or bytes that "
                             "are not UTF-8 in its value",
                             name.p);
        if (name.n > FIELDS_BYTES_MAX - bytes || value.n > FIELDS_BYTES_MAX - bytes - name.n)
            return error_set(err, LARDER_INVALID, "response: more than %zu bytes of fields",
                             FIELDS_BYTES_MAX);
        bytes += name.n + value.n;
    }
    return LARDER_OK;
}

enum larder_status
larder_response_encode(const struct larder_response *response, char **text, size_t *len,
                       struct larder_error *err)
{
    struct out out = {NULL, 0};

    *text = NULL;
    *len = 0;
    enum larder_status status = check(response, err);
    if (status != LARDER_OK)
        return status;
    bool is_text = response->body_len == 0 || (!memchr(response->body, '\0', response->body_len) &&
                                               is_utf8(response->body, response->body_len));
    put_response(&out, response, is_text);
    if (out.len > LARDER_VALUE_MAX)
        return error_set(err, LARDER_INVALID, "response: %zu bytes of JSON, at most %zu", out.len,
                         LARDER_VALUE_MAX);
    size_t size = out.len + 1;
    out = (struct out){malloc(size), 0};
    if (!out.p)
        return error_set(err, LARDER_NOMEM, "response: no memory for %zu bytes of JSON", size);
    put_response(&out, response, is_text);
    out.p[out.len] = '\0';
    *text = out.p;
    *len = out.len;
    return LARDER_OK;
}

/* ----------------------------------------------------------------------------------- reading */

/* What the JSON holds, still in json-c's memory. */
struct parsed {
    int status_code;
    size_t header_count;
    struct larder_header headers[FIELDS_MAX];
    size_t bytes; /* of names and values, their NULs included */
    struct slice body;
    bool base64;
};

static enum larder_status
corrupt(struct larder_error *err, const char *why)
{
    return error_set(err, LARDER_CORRUPT, "response: %s", why);
}

/* JSON text, whole and with nothing behind it. */
static enum larder_status
parse(const void *text, size_t len, json_object **root, struct larder_error *err)
{
    if (len == 0 || len > LARDER_VALUE_MAX)
        return corrupt(err, len ? "too long" : "empty");
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (!tokener)
        return error_set(err, LARDER_NOMEM, "response: no memory to read JSON");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    *root = json_tokener_parse_ex(tokener, text, (int)len);
    enum json_tokener_error why = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (why == json_tokener_continue)
        return corrupt(err, "cut off");
    if (why != json_tokener_success)
        return corrupt(err, json_tokener_error_desc(why));
    if (end != len)
        return corrupt(err, "something follows the JSON text");
    return LARDER_OK;
}

static bool
is_string(const json_object *value)
{
    return json_object_is_type(value, json_type_string);
}

static struct slice
string_of(json_object *value)
{
    return (struct slice){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static enum larder_status
read_header(struct parsed *parsed, const char *name, json_object *value, struct larder_error *err)
{
    if (!is_string(value))
        return corrupt(err, "the value of a field is no string");
    struct slice text = string_of(value);
    size_t name_len = strlen(name);
    if (!field_name_valid(slice_of(name)) || !field_value_valid(text))
        return corrupt(err, "a field that must not go out");
    size_t so_far = parsed->bytes - 2 * parsed->header_count;
    if (parsed->header_count == FIELDS_MAX || name_len + text.n > FIELDS_BYTES_MAX - so_far)
        return corrupt(err, "too many fields");
    parsed->headers[parsed->header_count++] = (struct larder_header){name, text.p};
    parsed->bytes += name_len + text.n + 2;
    return LARDER_OK;
}

static enum larder_status
read_headers(struct parsed *parsed, json_object *headers, struct larder_error *err)
{
    /* The ancestor writes an empty map that was never made as null. */
    if (!headers)
        return LARDER_OK;
    if (!json_object_is_type(headers, json_type_object))
        return corrupt(err, "headers is no object");
    json_object_object_foreach(headers, name, value)
    {
        enum larder_status status = LARDER_OK;
        if (!json_object_is_type(value, json_type_array)) {
            status = read_header(parsed, name, value, err);
        } else {
            size_t n = json_object_array_length(value);
            for (size_t i = 0; i < n && status == LARDER_OK; i++)
                status = read_header(parsed, name, json_object_array_get_idx(value, i), err);
        }
        if (status != LARDER_OK)
            return status;
    }
    return LARDER_OK;
}

/* Groups of four, '=' only at the end: EVP_DecodeBlock() itself takes '=' anywhere, and blanks. */
static bool
is_base64(struct slice text)
{
    size_t n = text.n;

    if (n % 4 != 0)
        return false;
    for (int i = 0; i < 2 && n > 0 && text.p[n - 1] == '='; i++)
        n--;
    for (size_t i = 0; i < n; i++) {
        char c = text.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false;
    }
    return true;
}

static enum larder_status
read_root(struct parsed *parsed, json_object *root, struct larder_error *err)
{
    json_object *status_code, *headers, *body = NULL, *base64 = NULL;

    if (!json_object_is_type(root, json_type_object))
        return corrupt(err, "no object");
    if (!json_object_object_get_ex(root, "status_code", &status_code) ||
        !json_object_is_type(status_code, json_type_int))
        return corrupt(err, "no status_code");
    int64_t code = json_object_get_int64(status_code);
    if (code < STATUS_MIN || code > STATUS_MAX)
        return corrupt(err, "status_code out of range");
    parsed->status_code = (int)code;
    if (!json_object_object_get_ex(root, "headers", &headers))
        return corrupt(err, "no headers");
    json_object_object_get_ex(root, "body", &body);
    json_object_object_get_ex(root, "body_base64", &base64);
    parsed->base64 = base64 != NULL;
    if (!is_string(base64 ? base64 : body) || (base64 && body))
        return corrupt(err, "not one body, as a string");
    parsed->body = string_of(base64 ? base64 : body);
    if (base64 && !is_base64(parsed->body))
        return corrupt(err, "body_base64 is not base64");
    return read_headers(parsed, headers, err);
}

/* Copy with its NUL; returns where the next thing goes. */
static char *
copy_text(char *to, const char *text)
{
    size_t n = strlen(text) + 1;
    memcpy(to, text, n);
    return to + n;
}

/* struct, array, strings and body in one piece. */
static struct larder_response *
gather(const struct parsed *parsed)
{
    size_t n = parsed->header_count;
    size_t room = parsed->base64 ? parsed->body.n / 4 * 3 : parsed->body.n;
    struct larder_response *response =
        malloc(sizeof *response + n * sizeof(struct larder_header) + parsed->bytes + room + 1);

    if (!response)
        return NULL;
    struct larder_header *headers = (struct larder_header *)(response + 1);
    char *p = (char *)(headers + n);
    for (size_t i = 0; i < n; i++) {
        headers[i].name = p;
        p = copy_text(p, parsed->headers[i].name);
        headers[i].value = p;
        p = copy_text(p, parsed->headers[i].value);
    }
    *response = (struct larder_response){
        .status_code = parsed->status_code, .headers = headers, .header_count = n, .body = p};
    if (!parsed->base64) {
        memcpy(p, parsed->body.p, room);
        response->body_len = room;
    } else if (room > 0) {
        EVP_DecodeBlock((unsigned char *)p, (const unsigned char *)parsed->body.p,
                        (int)parsed->body.n);
        /* It decodes the padding too, as zeros. */
        for (size_t i = parsed->body.n; parsed->body.p[i - 1] == '='; i--)
            room--;
        response->body_len = room;
    }
    p[response->body_len] = '\0';
    return response;
}

enum larder_status
larder_response_decode(const void *text, size_t len, struct larder_response **out,
                       struct larder_error *err)
{
    struct parsed parsed = {.body = {"", 0}};
    json_object *root = NULL;

    *out = NULL;
    enum larder_status status = parse(text, len, &root, err);
    if (status == LARDER_OK)
        status = read_root(&parsed, root, err);
    if (status == LARDER_OK) {
        *out = gather(&parsed);
        if (!*out)
            status = error_set(err, LARDER_NOMEM, "response: no memory for a body of %zu bytes",
                               parsed.body.n);
    }
    json_object_put(root);
    return status;
}

void
larder_response_free(struct larder_response *response)
{
    free(response);
}

/* --------------------------------------------------------------------------------------- key */

/* SHA-256 over the pieces, in hex with a NUL. */
static bool
hash_hex(const struct slice *pieces, size_t n, char hex[HASH_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < n; i++)
        ok = EVP_DigestUpdate(ctx, pieces[i].p, pieces[i].n) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; ok && i < HASH_LEN / 2; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    hex[HASH_LEN] = '\0';
    return ok;
}

enum larder_status
larder_response_key(char *buf, size_t size, const char *target, const char *uid)
{
    static const char prefix[] = NAME_RESPONSE;
    struct slice pieces[3] = {slice_of(target), slice_of(":" NAME_USER), slice_of(uid)};
    char hex[HASH_LEN + 1];

    if (buf && size > 0)
        buf[0] = '\0';
    if (!target)
        return LARDER_INVALID;
    if (!buf || size < sizeof prefix + HASH_LEN)
        return LARDER_TRUNCATED;
    if (!hash_hex(pieces, uid ? 3 : 1, hex))
        return LARDER_NOMEM;
    memcpy(buf, prefix, sizeof prefix - 1);
    memcpy(buf + sizeof prefix - 1, hex, sizeof hex);
    return LARDER_OK;
}
