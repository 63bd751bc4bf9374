/*
 * Conditional requests (RFC 9110 §13) on a stored response, and entity tags
 * (§8.8.3).
 */
#ifndef HTTP_CONDITION_H
#define HTTP_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fields.h"

/* Members of If-None-Match that are looked at; the rest does not match. */
#define ETAG_LIST_MAX 64

struct etag {
    bool weak;
    struct slice opaque; /* without the quotes; .p NULL: there is none */
};

/*
 * One entity tag. What is not one by the grammar (no quotes: many servers)
 * is taken whole as the opaque part of a strong tag that equals only itself,
 * with or without quotes around. false: empty, or a control character in it.
 */
bool etag_parse(struct slice text, struct etag *out);

/* May it be used where the strong comparison is asked for: quoted, not weak. */
bool etag_is_strong(struct slice text);

bool etag_equal_weak(struct slice a, struct slice b);
bool etag_equal_strong(struct slice a, struct slice b);

enum condition {
    CONDITION_NONE,        /* the request has none that a cache evaluates */
    CONDITION_TRUE,        /* send the response */
    CONDITION_NOT_MODIFIED /* 304 */
};

/*
 * If-None-Match (weak comparison, "*", all its lines), and where there is none
 * If-Modified-Since, on a stored or just fetched response with that status and
 * those fields (RFC 9110 §13.1.2, §13.1.3, RFC 9111 §4.3.2). Only of a 200 (and
 * of a 206, which answers for its whole). If-Modified-Since compares with
 * Last-Modified, without one with Date, without that with received_s.
 * An invalid date, or one in the future of now_s: the field does not count.
 */
enum condition condition_evaluate(const struct fields *request, int status,
                                  const struct fields *response, int64_t received_s, int64_t now_s);

/* The fields that a 304 made from this response has (RFC 9110 §15.4.5): all but those that describe
 * the content it does not have (Content-Length, Content-Type, Content-Encoding, Content-Language,
 * Content-Range). */
bool condition_is_sent_with_304(struct slice name);

/*
 * Is the response of the same representation as the stored one, so that a 304
 * or a HEAD with it may freshen it (RFC 9111 §4.3.4)? By strong validator if
 * the new one has one, then by weak ones, then, without any, true. Not if what it
 * says of the content (condition_content_agrees()) is not true of the stored body.
 */
bool condition_selects(const struct fields *stored, const struct fields *fresh);

/* Have both the same Content-Type, Content-Encoding, Content-Language and Content-Range, as far as
 * `fresh` has them? */
bool condition_content_agrees(const struct fields *stored, const struct fields *fresh);
/* The same for two parts, whose Content-Range differs. */
bool condition_coding_agrees(const struct fields *stored, const struct fields *fresh);

#endif
