/*
 * Interim responses.
 *
 * lighttpd takes a block with `Status: 103` before the one of the answer and
 * passes it on at once. For Apache (both modules) and nginx 1.22 the first block
 * is the answer's and the answer itself becomes its body: behind those, and
 * behind what is not known, they are dropped. RFC 9110 §15.2 wants a proxy to
 * forward them, but a page that arrives is worth more.
 *
 * Only to HTTP/1.1. HTTP/1.0 has none (§15.2). And to a client that speaks
 * HTTP/2 lighttpd 1.4.69 sends the names of their fields with the capitals they
 * have, which ends the stream as malformed, and where the final head is read
 * together with one of them it puts bytes of the first into the second.
 */
#include "responder/interim.h"

#include "responder/reply.h"

static bool
is_passed_on(const struct request *request)
{
    return request->mount == MOUNT_LIGHTTPD && request->http11;
}

static struct slice
head_of(int status, const struct fields *fields, struct arena *arena)
{
    char *text = arena_alloc(arena, fields->bytes + 4 * fields->count + 32);
    size_t n = 0;
    if (!text)
        return (struct slice){NULL, 0};
#define PUT(data, len)                   \
    do {                                 \
        memcpy(text + n, (data), (len)); \
        n += (len);                      \
    } while (0)
    char digits[3] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                      (char)('0' + status % 10)};
    PUT("Status: ", 8);
    PUT(digits, 3);
    PUT("\r\n", 2);
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->list[i];
        if (reply_field_is_withheld(f->name))
            continue;
        PUT(f->name.p, f->name.n);
        PUT(": ", 2);
        if (f->value.n)
            PUT(f->value.p, f->value.n);
        PUT("\r\n", 2);
    }
    PUT("\r\n", 2);
#undef PUT
    return (struct slice){text, n};
}

bool
interim_send(struct exchange *exchange, int status, const struct fields *fields)
{
    if (!is_passed_on(&exchange->request) || status < 102 || status > 199 ||
        exchange->delivery.interim_count == INTERIM_MAX || fields->bytes > INTERIM_BYTES_MAX)
        return false;
    struct slice head = head_of(status, fields, exchange->arena);
    if (!head.p || head.n > INTERIM_BYTES_MAX - exchange->delivery.interim_bytes)
        return false;
    exchange->delivery.interim_count++;
    exchange->delivery.interim_bytes += head.n;
    struct iovec piece = {(void *)head.p, head.n};
    return connection_send(exchange->connection, exchange->arena, &piece, 1, false, true) ==
           CONNECTION_DONE;
}
