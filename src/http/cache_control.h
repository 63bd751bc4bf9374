/* Cache-Control (RFC 9111 §5.2), and the targeted fields that speak for it (RFC 9213). */
#ifndef HTTP_CACHE_CONTROL_H
#define HTTP_CACHE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fields.h"

/* A number of seconds that overflowed (RFC 9111 §1.2.2). */
#define HTTP_SECONDS_MAX INT64_C(2147483648)

/* Field names that a qualified no-cache or private names; more make it unqualified. */
#define CACHE_CONTROL_NAMES_MAX 16

struct cache_control {
    bool present;
    bool no_store;
    bool no_cache;   /* without a list of fields, or with one that does not count */
    bool is_private; /* likewise */
    bool is_public;
    bool must_revalidate;
    bool proxy_revalidate;
    bool must_understand;
    bool no_transform;
    bool only_if_cached;
    bool immutable;
    bool max_stale_any;    /* max-stale without an argument */
    int64_t max_age_s;     /* -1: absent; an invalid argument counts as 0: stale (§4.2.1) */
    int64_t s_maxage_s;    /* likewise */
    int64_t max_stale_s;   /* -1: absent or without a valid argument */
    int64_t min_fresh_s;   /* -1: absent or invalid */
    int64_t stale_while_s; /* stale-while-revalidate (RFC 5861); -1: absent or invalid */
    int64_t stale_if_s;    /* stale-if-error; -1: absent or invalid */
    /* no-cache="a, b" and private="a, b" together: fields that are not kept (§5.2.2.4, §5.2.2.7:
     * whoever may not use a field without asking again can as well not have it). They point into
     * the field's value. */
    struct slice names[CACHE_CONTROL_NAMES_MAX];
    size_t name_count;
};

/*
 * Parse every line of the field. Names count in any case, arguments may be
 * tokens or quoted strings, unknown directives are skipped. Of a freshness
 * directive that comes twice the first counts, unless one of them is 0 (§4.2.1).
 * No blank may stand around "=": "max-age =1" is "max-age=0".
 */
void cache_control_parse(struct cache_control *out, const struct fields *fields);

/*
 * A response's: as the first of the targeted fields that is there and valid
 * says (Larder-Cache-Control, CDN-Cache-Control; RFC 9213 §2.2; then
 * Surrogate-Control), else as Cache-Control does. *targeted: whether one of
 * them was it; then Expires and Pragma do not count either.
 */
void cache_control_of_response(struct cache_control *out, const struct fields *response,
                               bool *targeted);

/*
 * Does a field of another cache's forbid to keep the response? As Cache-Control it
 * may say no-store, no-cache, private, max-age=0 or s-maxage=0; as X-Accel-Expires
 * 0, a time that is over (@SECONDS), or what is no time. It never permits anything.
 */
bool cache_control_forbids(const struct fields *response, const char *name, int64_t now_s);

/* Delta-seconds: digits only; overflow is HTTP_SECONDS_MAX. false: not a number. */
bool http_seconds_parse(struct slice text, int64_t *out_s);

/*
 * Age (RFC 9111 §5.1) of all its lines: the first member of the list counts; 0
 * when it is absent or not a number.
 */
int64_t http_age_parse(const struct fields *response);

#endif
