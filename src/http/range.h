/*
 * Ranges (RFC 9110 §14): which bytes of a representation a request asks for,
 * and how they go out. Pure; the caller sends the pieces.
 */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fields.h"

/* More ranges in one request than this: the field is ignored, the whole is sent (§14.2). */
#define RANGES_MAX 16

struct byte_range {
    int64_t first;
    int64_t last; /* inclusive */
};

enum range_verdict {
    RANGE_NONE,          /* no Range, not for bytes, not by the grammar, too many, or ranges that
                            together ask for more than the whole: send the whole */
    RANGE_PARTIAL,       /* 206 with these ranges */
    RANGE_UNSATISFIABLE, /* 416 with "bytes * /length" */
    RANGE_UNKNOWN        /* length is not known (-1) and a range depends on it */
};

struct ranges {
    size_t count;
    struct byte_range list[RANGES_MAX]; /* as asked for; overlapping and touching ones made one */
};

/*
 * What a Range field asks of a representation of `length` bytes (-1: unknown).
 * Only the first line of the field counts when there are several: RANGE_NONE
 * then. Ranges that cannot be satisfied are left out if another can.
 */
enum range_verdict range_parse(const struct fields *request, int64_t length, struct ranges *out);

/* How many ranges it asks for, as it stands; 0: it does not count. */
size_t range_count(const struct fields *request);

/* The same Range, written anew from its numbers, in the arena; .p NULL: it does not count, as above.
 * false: no memory. */
bool range_rewrite(struct slice *out, const struct fields *request, struct arena *arena);

/*
 * Does If-Range let the range count (§13.1.5)? True without the field. A tag by
 * strong comparison with ETag; a date only if it equals Last-Modified and that
 * is strong (§8.8.2.2: a second or more before Date).
 */
bool range_if_range_holds(const struct fields *request, const struct fields *response,
                          int64_t now_s);

/* "bytes 0-4/10". *total -1: "/ *". false: not by the grammar, or last < first, or beyond total. */
bool range_content_parse(struct slice text, struct byte_range *out, int64_t *total);

/* "bytes 0-4/10" in the arena; total -1: "*". .p NULL: no memory. */
struct slice range_content_format(struct byte_range range, int64_t total, struct arena *arena);

/*
 * multipart/byteranges (§14.6). The boundary must not occur in the content by
 * chance: 128 random bits that the caller gives as 32 characters. Part i is
 * head[i], then its bytes; the end is `tail`. All in the arena; false: no memory.
 */
struct multipart {
    struct slice content_type; /* value for the answer's Content-Type */
    struct slice head[RANGES_MAX];
    struct slice tail;
    int64_t content_length;
};
bool range_multipart(struct multipart *out, const struct ranges *ranges, int64_t total,
                     struct slice part_content_type, const char boundary[32], struct arena *arena);

/*
 * May two parts of a representation be made one (RFC 9111 §3.4)? Both have the
 * same strong ETag (or, without any ETag, the same strong Last-Modified), and what
 * b says of its type and coding is true of a: some servers give one ETag to all
 * codings. b may leave them out, as the answer to If-Range does (RFC 9110 §15.3.7).
 */
bool range_may_combine(const struct fields *a, const struct fields *b, int64_t now_s);

#endif
