/*
 * A request that may change something, and what that makes stale.
 *
 *   mutation_begin    before it goes to the backend: what it may make stale matches
 *                     nothing from here on (marked in Redis, or noted in the journal)
 *   mutation_end      when the backend has answered, or did not: it is stale, or is as
 *                     it was, or nobody knows
 *
 * Only then does the client get the answer. A process that dies in between leaves
 * a mark that ends by itself when no backend can commit any more.
 */
#ifndef RESPONDER_MUTATION_H
#define RESPONDER_MUTATION_H

#include "responder/exchange.h"
#include "responder/purge.h"

struct mutation {
    struct purge known; /* what is known to become stale before the backend is asked; its tags are
                           those of the route, then those of the URL */
    size_t of_route;    /* how many of its tags are the route's */
    bool marked;        /* ... is marked in Redis */
    bool noted;         /* ... is an intent in the journal, */
    bool in_memory;     /* ... or in this process alone */
    bool ended;
    int64_t marked_ms; /* when that was last tried */
    store_token token;
};

enum mutation_start {
    MUTATION_GO,
    MUTATION_REFUSED, /* Redis is out of reach, and the configuration says refuse: 503 */
    MUTATION_NO_MEMORY
};

/* A safe request, or one on a site without a cache, has nothing to begin. */
enum mutation_start mutation_begin(struct mutation *mutation, struct exchange *exchange);

/*
 * How old a place in the news may be that is to prove something. A mutation whose
 * process dies says no more in the news than when it was marked: it is the mark
 * that a fetch from before the backend's commit must meet, and that ends so long
 * after the commit at the earliest.
 */
int64_t mutation_proof_ms(const struct config *config);

/* The request's body is coming in, which may take its time: so that the mark does not end before the
 * backend has begun. To be called with each piece; mostly it does nothing. */
void mutation_body(struct mutation *mutation, struct exchange *exchange);

/*
 * Carry out what follows, once, each step within cache.invalidate_timeout.
 * status and response: of the answer; 0 and NULL without one. received: the
 * backend may have seen the request. *post: the GET that the answer to a POST may
 * be stored for, or NULL; its URL's generation is exchanged if it may, and *post
 * becomes NULL if it may not. Returns the value for X-Cache-Invalidate, NULL if
 * there is nothing to say: "done", "journal", "failed", "queued" (a route with
 * async), "marked" (it is not known whether something changed). Static.
 */
const char *mutation_end(struct mutation *mutation, struct exchange *exchange, int status,
                         bool received, const struct fields *response, struct exchange **post);

#endif
