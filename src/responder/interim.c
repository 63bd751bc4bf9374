/*
 * Interim responses.
 *
 * lighttpd takes a block with `Status: 103` before the one of the answer and
 * passes it on. Apache would make it the final status, and nginx 1.22 takes the
 * first block for the answer: behind those they are dropped, which RFC 9110
 * §15.2 allows a proxy that does not forward them.
 */
#include "responder/interim.h"

#include "responder/reply.h"

static bool
is_passed_on(const struct request *request)
{
    return request->mount == MOUNT_LIGHTTPD && !request->http10;
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
        exchange->interim_count == INTERIM_MAX || fields->bytes > INTERIM_BYTES_MAX)
        return false;
    struct slice head = head_of(status, fields, exchange->arena);
    if (!head.p || head.n > INTERIM_BYTES_MAX - exchange->interim_bytes)
        return false;
    exchange->interim_count++;
    exchange->interim_bytes += head.n;
    struct iovec piece = {(void *)head.p, head.n};
    return connection_send(exchange->connection, exchange->arena, &piece, 1, false, true) ==
           CONNECTION_DONE;
}
