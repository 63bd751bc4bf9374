/*
 * HTTP/1.1 messages as bytes (RFC 9112): the head of a request out, the head of
 * a response in, and what the latter says about the body. Pure: no I/O.
 */
#ifndef UPSTREAM_MESSAGE_H
#define UPSTREAM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fields.h"
#include "base/slice.h"
#include "larder.h"
#include "upstream/upstream.h"

/* The head of one response as it comes over the wire: the fields at their largest, with colon,
 * blank and line end each, and a status line. */
#define MESSAGE_HEAD_MAX (FIELDS_BYTES_MAX + (size_t)FIELDS_MAX * 4 + 1024)

enum message_framing {
    FRAMING_NONE,       /* no body, whatever the fields say */
    FRAMING_LENGTH,     /* `length` bytes */
    FRAMING_CHUNKED,    /* until the last chunk */
    FRAMING_UNTIL_CLOSE /* until the backend closes */
};

struct message_response {
    int status;
    struct fields fields; /* for the sink: hop-by-hop fields gone, Content-Length only if true */
    enum message_framing framing;
    int64_t length;
    bool keep; /* the connection may serve another request once the body is whole */
};

/*
 * The request's head, ready to send. host is for a request without Host.
 * LARDER_INVALID: something in it would be another request on the wire; LARDER_NOMEM.
 */
enum larder_status message_request(const struct upstream_request *request, const char *host,
                                   struct arena *arena, struct slice *out,
                                   struct larder_error *err);

/* How many bytes of `data` belong to the head, *whole set when it ends there; lines end in CR LF or in
 * LF (RFC 9112 §2.2, RFC 3875 §6.2). *state starts at 0. */
size_t message_scan(int *state, const char *data, size_t n, bool *whole);

/*
 * Understand a whole head, status line to empty line. It is rewritten in place
 * (folded lines are joined) and the fields point into it. LARDER_PROTOCOL: it
 * is not one, or its framing is open to doubt; LARDER_NOMEM.
 */
enum larder_status message_response(char *head, size_t n, bool to_head_request, struct arena *arena,
                                    struct message_response *out, struct larder_error *err);

/* One line of a head, without its end, as a field more of `fields`. */
enum larder_status message_field(struct slice line, bool folded, struct arena *arena,
                                 struct fields *fields, struct larder_error *err);

/* Refuses every Transfer-Encoding that is not one "chunked" (*chunked) or one "identity". */
enum larder_status message_transfer_encoding(const struct fields *fields, bool *chunked,
                                             struct larder_error *err);

/* *length is -1 without Content-Length. Equal repeats become one, others are refused. */
enum larder_status message_content_length(struct fields *fields, struct arena *arena,
                                          int64_t *length, struct larder_error *err);

#endif
