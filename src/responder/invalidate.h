/* What a mutation made stale. */
#ifndef RESPONDER_INVALIDATE_H
#define RESPONDER_INVALIDATE_H

#include "config/route.h"
#include "responder/server.h"

struct invalidation {
    const char **patterns; /* expanded, in the request's arena */
    size_t count;
};

/* The patterns of a route with this request's user and captures. false: no memory. Patterns with a
 * placeholder that has no value are left out. */
bool invalidation_expand(struct invalidation *out, const struct route_match *match,
                         struct slice user, struct arena *arena);

/*
 * Drop them, within invalidate_timeout. What went wrong is logged and counted.
 * Returns the value for the answer's X-Cache-Invalidate field: "done" or
 * "failed". Static.
 */
const char *invalidate_now(struct site *site, const char *const *patterns, size_t count);

#endif
