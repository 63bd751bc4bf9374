/* Cache-Control (RFC 9111 §5.2). */
#ifndef HTTP_CACHE_CONTROL_H
#define HTTP_CACHE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fields.h"

/* A number of seconds that overflowed (RFC 9111 §1.2.2). */
#define HTTP_SECONDS_MAX INT64_C(2147483648)

struct cache_control {
    bool present;
    bool no_store;
    bool no_cache;   /* also when it names fields: until those are left out one by one */
    bool is_private; /* also when it names fields */
    bool is_public;
    bool must_revalidate;
    bool proxy_revalidate;
    bool must_understand;
    bool no_transform;
    bool only_if_cached;
    int64_t max_age_s;  /* -1: absent; an invalid argument counts as 0: stale (§4.2.1) */
    int64_t s_maxage_s; /* likewise */
};

/*
 * Parse every line of the field. Names count in any case, arguments may be
 * tokens or quoted strings, unknown directives are skipped, a directive that
 * occurs twice has the more restrictive value.
 */
void cache_control_parse(struct cache_control *out, const struct fields *fields);

/* Delta-seconds: digits only; overflow is HTTP_SECONDS_MAX. false: not a number. */
bool http_seconds_parse(struct slice text, int64_t *out_s);

#endif
