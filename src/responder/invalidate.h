/* What a mutation made stale. */
#ifndef RESPONDER_INVALIDATE_H
#define RESPONDER_INVALIDATE_H

#include "client/store.h"
#include "config/route.h"
#include "responder/request.h"
#include "responder/server.h"

/* Target, Location, Content-Location. */
#define INVALIDATION_TAGS_MAX 3

struct invalidation {
    const char **patterns; /* expanded, in the request's arena */
    size_t count;
    char tags[INVALIDATION_TAGS_MAX][STORE_TAG_SIZE]; /* of URLs */
    size_t tag_count;
    size_t tags_done; /* so many of the first have been seen to already */
};

/* The patterns of a route with this request's user and captures. false: no memory. Patterns with a
 * placeholder that has no value are left out. */
bool invalidation_expand(struct invalidation *out, const struct route_match *match,
                         struct slice user, struct arena *arena);

/*
 * The URLs that an unsafe request made stale (RFC 9111 §4.4): its target, and
 * what Location and Content-Location of its answer name on the same origin.
 * response NULL: there is no answer; the target alone. false: no memory.
 */
bool invalidation_urls(struct invalidation *out, const struct config *config,
                       const struct request *request, const struct fields *response,
                       struct arena *arena);

/*
 * Drop them, within invalidate_timeout. What went wrong is logged and counted.
 * Returns the value for the answer's X-Cache-Invalidate field: "done" or
 * "failed". Static.
 */
const char *invalidate_now(struct site *site, const struct invalidation *invalidation);

#endif
