/*
 * HTTP/1.1 messages as bytes.
 *
 * Two rules make this file. What goes out is built from checked parts only, so
 * that no field value or target can become a second request. What comes in is
 * refused as soon as its length could be read in two ways (RFC 9112 §6.3, §11.2):
 * a cache that guesses stores one user's answer under another's key.
 *
 * Called by http.c, in part by cgi.c; never reads or writes a socket.
 */
#include "upstream/message.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/number.h"

/* ---------------------------------------------------------------- request */

/* Fields that we set ourselves, or that speak about a connection that is not this one. The caller
 * has removed them; a second look is cheaper than a smuggled request. Expect: the web server has
 * answered it, and we do not wait before we send. */
static bool
is_ours(struct slice name)
{
    static const char *const names[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "TE",
        "Trailer",        "Upgrade",           "Expect",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_equal_nocase(name, names[i]))
            return true;
    return false;
}

static bool
target_valid(struct slice target)
{
    if (target.n == 0)
        return false;
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c <= 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

/* RFC 9110 §8.6: a method that anticipates content says that there is none. */
static bool
wants_length(struct slice method)
{
    return slice_equal(method, slice_of("POST")) || slice_equal(method, slice_of("PUT")) ||
           slice_equal(method, slice_of("PATCH"));
}

static enum larder_status
check_request(const struct upstream_request *r, struct larder_error *err)
{
    if (!field_name_valid(r->method))
        return error_set(err, LARDER_INVALID, "the method is no token");
    /* Its 2xx would turn the connection into a tunnel. */
    if (slice_equal(r->method, slice_of("CONNECT")))
        return error_set(err, LARDER_INVALID, "CONNECT is not forwarded");
    if (!target_valid(r->target))
        return error_set(err, LARDER_INVALID, "blank or control character in the target");
    size_t hosts = 0;
    for (size_t i = 0; i < r->fields->count; i++) {
        const struct field *f = &r->fields->list[i];
        if (!field_name_valid(f->name) || !field_value_valid(f->value))
            return error_set(err, LARDER_INVALID, "invalid character in field %zu", i + 1);
        hosts += slice_equal_nocase(f->name, "Host");
    }
    if (hosts > 1)
        return error_set(err, LARDER_INVALID, "more than one Host field");
    return LARDER_OK;
}

static char *
put(char *p, const char *text, size_t n)
{
    if (n)
        memcpy(p, text, n);
    return p + n;
}

static char *
put_field(char *p, struct slice name, struct slice value)
{
    p = put(p, name.p, name.n);
    p = put(p, ": ", 2);
    p = put(p, value.p, value.n);
    return put(p, "\r\n", 2);
}

enum larder_status
message_request(const struct upstream_request *r, const char *host, struct arena *arena,
                struct slice *out, struct larder_error *err)
{
    enum larder_status status = check_request(r, err);
    if (status != LARDER_OK)
        return status;

    char length[32];
    struct slice framing = {NULL, 0};
    struct slice framing_value = {NULL, 0};
    if (r->has_body && r->body_len < 0) {
        framing = slice_of("Transfer-Encoding");
        framing_value = slice_of("chunked");
    } else if (r->has_body || wants_length(r->method)) {
        snprintf(length, sizeof length, "%lld", r->has_body ? (long long)r->body_len : 0LL);
        framing = slice_of("Content-Length");
        framing_value = slice_of(length);
    }
    struct slice host_value = slice_of(host);

    size_t size = r->method.n + r->target.n + sizeof "  HTTP/1.1\r\n" + sizeof "Host: \r\n" +
                  host_value.n + framing.n + framing_value.n + 8;
    for (size_t i = 0; i < r->fields->count; i++)
        size += r->fields->list[i].name.n + r->fields->list[i].value.n + 4;
    char *head = arena_alloc(arena, size);
    if (!head)
        return error_set(err, LARDER_NOMEM, "no memory for the request");

    char *p = put(head, r->method.p, r->method.n);
    p = put(p, " ", 1);
    p = put(p, r->target.p, r->target.n);
    p = put(p, " HTTP/1.1\r\n", 11);
    if (!fields_get(r->fields, "Host").p)
        p = put_field(p, slice_of("Host"), host_value);
    for (size_t i = 0; i < r->fields->count; i++)
        if (!is_ours(r->fields->list[i].name))
            p = put_field(p, r->fields->list[i].name, r->fields->list[i].value);
    if (framing.p)
        p = put_field(p, framing, framing_value);
    p = put(p, "\r\n", 2);
    *out = (struct slice){head, (size_t)(p - head)};
    return LARDER_OK;
}

/* --------------------------------------------------------------- response */

size_t
message_scan(int *state, const char *data, size_t n, bool *whole)
{
    /* 0: at the beginning of a line; 1: behind a CR there; 2: inside one. */
    int s = *state;
    *whole = false;
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            if (s != 2) {
                *whole = true;
                return i + 1;
            }
            s = 0;
        } else {
            s = s == 0 && data[i] == '\r' ? 1 : 2;
        }
    }
    *state = s;
    return n;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK"; the reason may be missing, with or without its blank. */
static bool
parse_status_line(struct slice line, int *minor, int *status)
{
    if (line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0)
        return false;
    const char *p = line.p + 7;
    if ((*p != '0' && *p != '1') || p[1] != ' ' || !is_digit(p[2]) || !is_digit(p[3]) ||
        !is_digit(p[4]) || (line.n > 12 && p[5] != ' '))
        return false;
    *minor = *p - '0';
    *status = (p[2] - '0') * 100 + (p[3] - '0') * 10 + (p[4] - '0');
    return *status >= 100 && field_value_valid((struct slice){line.p + 12, line.n - 12});
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next line, without its end, which may be a bare LF (RFC 9112 §2.2); *rest moves on. Folded
 * lines (§5.2) are joined with one blank, in place. */
static struct slice
next_line(char **rest, char *end, bool *folded)
{
    char *start = *rest;
    char *to = NULL;
    *folded = false;
    for (;;) {
        char *eol = memchr(*rest, '\n', (size_t)(end - *rest));
        if (!eol) /* cannot be: the head ends in LF */
            eol = end;
        size_t n = (size_t)(eol - *rest);
        if (n && eol[-1] == '\r')
            n--;
        if (to)
            memmove(to, *rest, n);
        else
            to = start;
        to += n;
        *rest = eol < end ? eol + 1 : end;
        if (*rest == end || !is_blank(**rest))
            return (struct slice){start, (size_t)(to - start)};
        *folded = true;
        while (*rest < end && is_blank(**rest))
            ++*rest;
        while (to > start && is_blank(to[-1]))
            to--;
        *to++ = ' ';
    }
}

static bool
is_framing(struct slice name)
{
    return slice_equal_nocase(name, "Content-Length") ||
           slice_equal_nocase(name, "Transfer-Encoding") || slice_equal_nocase(name, "Connection");
}

enum larder_status
message_field(struct slice line, bool folded, struct arena *arena, struct fields *fields,
              struct larder_error *err)
{
    const char *colon = memchr(line.p, ':', line.n);
    struct slice name = {line.p, colon ? (size_t)(colon - line.p) : 0};
    while (name.n && is_blank(name.p[name.n - 1]))
        name.n--;
    bool spaced = colon && name.p + name.n < colon;
    if (!colon || !field_name_valid(name))
        return error_set(err, LARDER_PROTOCOL,
                         "field %zu of the response has no valid name: \"%.*s\"", fields->count + 1,
                         (int)(line.n < 60 ? line.n : 60), line.p);
    struct slice value = {colon + 1, (size_t)(line.p + line.n - colon - 1)};
    if (!field_value_valid(value))
        return error_set(err, LARDER_PROTOCOL, "invalid character in the response's field %.*s",
                         (int)(name.n < 64 ? name.n : 64), name.p);
    /* A blank before the colon goes (RFC 9112 §5.1), and lines that were folded are one (§5.2), but
     * nobody writes these so in good faith, and not everybody between here and there reads it so. */
    if ((folded || spaced) && is_framing(name))
        return error_set(err, LARDER_PROTOCOL, "%s %.*s in the response",
                         folded ? "folded" : "blank before the colon of", (int)name.n, name.p);
    if (fields->count >= FIELDS_MAX)
        return error_set(err, LARDER_PROTOCOL, "more than %d fields in the response", FIELDS_MAX);
    if (!fields_add(fields, arena, name, value))
        return fields->bytes + name.n + value.n > FIELDS_BYTES_MAX
                   ? error_set(err, LARDER_PROTOCOL, "fields of more than %zu bytes",
                               FIELDS_BYTES_MAX)
                   : error_set(err, LARDER_NOMEM, "no memory for the response's fields");
    return LARDER_OK;
}

/* RFC 9112 §6.3 lets a list of equal values pass as one; nobody who sends that is worth the doubt. */
enum larder_status
message_content_length(struct fields *fields, struct arena *arena, int64_t *length,
                       struct larder_error *err)
{
    size_t cursor = 0, lines = 0;
    struct slice value = {NULL, 0};
    const struct field *f;
    *length = -1;
    while ((f = fields_next(fields, "Content-Length", &cursor))) {
        int64_t one;
        if (!number_parse(f->value, &one))
            return error_set(err, LARDER_PROTOCOL,
                             "invalid Content-Length in the response: \"%.*s\"",
                             (int)(f->value.n < 60 ? f->value.n : 60), f->value.p);
        if (*length >= 0 && one != *length)
            return error_set(err, LARDER_PROTOCOL,
                             "two values of Content-Length in the response, %lld and %lld",
                             (long long)*length, (long long)one);
        *length = one;
        value = f->value;
        lines++;
    }
    if (lines > 1 && !fields_set(fields, arena, slice_of("Content-Length"), value))
        return error_set(err, LARDER_NOMEM, "no memory for the response's fields");
    return LARDER_OK;
}

/*
 * RFC 9112 §6.1: chunked, and only once. "identity" (RFC 2616 §3.6) says that there is no coding.
 * Another coding's bytes are not the content's, and we have asked for none.
 */
enum larder_status
message_transfer_encoding(const struct fields *fields, bool *chunked, struct larder_error *err)
{
    size_t cursor = 0;
    const struct field *f = fields_next(fields, "Transfer-Encoding", &cursor);
    *chunked = false;
    if (!f)
        return LARDER_OK;
    if (fields_next(fields, "Transfer-Encoding", &cursor))
        return error_set(err, LARDER_PROTOCOL, "more than one Transfer-Encoding in the response");
    *chunked = slice_equal_nocase(f->value, "chunked");
    if (!*chunked && !slice_equal_nocase(f->value, "identity"))
        return error_set(err, LARDER_PROTOCOL,
                         "Transfer-Encoding other than chunked in the response: \"%.*s\"",
                         (int)(f->value.n < 60 ? f->value.n : 60), f->value.p);
    return LARDER_OK;
}

/* RFC 9112 §6.3, in its order. */
static enum larder_status
decide_framing(struct message_response *r, int minor, bool to_head_request, struct arena *arena,
               struct larder_error *err)
{
    int64_t length;
    bool chunked;
    enum larder_status status = message_content_length(&r->fields, arena, &length, err);
    if (status == LARDER_OK)
        status = message_transfer_encoding(&r->fields, &chunked, err);
    if (status != LARDER_OK)
        return status;
    if (chunked && minor == 0) /* §6.1: the framing of such a message is faulty */
        return error_set(err, LARDER_PROTOCOL, "Transfer-Encoding in a response of HTTP/1.0");

    r->keep = minor == 1 ? !fields_list_has(&r->fields, "Connection", slice_of("close"))
                         : fields_list_has(&r->fields, "Connection", slice_of("keep-alive"));
    fields_remove_hop_by_hop(&r->fields);

    bool bodyless = r->status < 200 || r->status == 204;
    if (bodyless || chunked)
        fields_remove(&r->fields, "Content-Length");
    /* Both: a sender that may be attacked (§6.1). No body, and yet a length: one that may send it
     * after all. */
    if ((chunked && length >= 0) || (bodyless && (chunked || length > 0)))
        r->keep = false;

    if (bodyless || to_head_request || r->status == 304) {
        r->framing = FRAMING_NONE;
    } else if (chunked) {
        r->framing = FRAMING_CHUNKED;
    } else if (length >= 0) {
        r->framing = FRAMING_LENGTH;
        r->length = length;
    } else {
        r->framing = FRAMING_UNTIL_CLOSE;
        r->keep = false;
    }
    return LARDER_OK;
}

enum larder_status
message_response(char *head, size_t n, bool to_head_request, struct arena *arena,
                 struct message_response *out, struct larder_error *err)
{
    memset(out, 0, sizeof *out);
    char *rest = head;
    char *end = head + n - 1; /* without the empty line */
    if (end > head && end[-1] == '\r')
        end--;
    bool folded;
    int minor;
    struct slice line = next_line(&rest, end, &folded);
    if (folded || !parse_status_line(line, &minor, &out->status))
        return error_set(err, LARDER_PROTOCOL, "no HTTP/1.x status line: \"%.*s\"",
                         (int)(line.n < 60 ? line.n : 60), line.p);
    while (rest < end) {
        line = next_line(&rest, end, &folded);
        enum larder_status status = message_field(line, folded, arena, &out->fields, err);
        if (status != LARDER_OK)
            return status;
    }
    return decide_framing(out, minor, to_head_request, arena, err);
}
