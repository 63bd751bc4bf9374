/*
 * A request that may change something, and what that makes stale.
 *
 *   mutation_begin    before it goes to the backend: it is registered in Redis, or noted in
 *                     the journal of the machine
 *   mutation_end      at the head of the answer, or when there is none: what it has changed
 *                     is dropped; or nothing is; or nobody knows, and it is dropped again
 *                     and again until no backend can be at it any more
 *   mutation_again    before the client has the last byte: once more
 *   mutation_whole    at the end of the answer: what the backend has changed behind the head
 *                     is dropped too
 *   mutation_done     it is registered no more
 *
 * The client gets head and end of the answer only after that. For a process that dies
 * in between, the others drop what it leaves.
 */
#ifndef RESPONDER_MUTATION_H
#define RESPONDER_MUTATION_H

#include "responder/exchange.h"
#include "responder/purge.h"

struct store_mutation;

struct mutation {
    struct purge known; /* what is known to become stale before the backend is asked; its tags are
                           those of the routes, then those of the URL */
    size_t of_route;    /* how many of its tags are the routes' */
    struct store_mutation *registered; /* NULL: it is not */
    bool noted;                        /* it is an intent in the journal, */
    bool in_memory;                    /* ... or in this process alone */
    bool ended;
    bool changed;      /* it did something, which was dropped at the head of the answer */
    bool claimed;      /* ... but for what its own answer may be stored under */
    bool undropped;    /* nobody could be told what is to be dropped: others are to do it */
    store_token token; /* of the intent */
};

enum mutation_start {
    MUTATION_GO,
    MUTATION_REFUSED, /* Redis is out of reach, and the configuration says refuse: 503 */
    MUTATION_NO_MEMORY
};

/* A safe request, or one on a site without a cache, has nothing to begin. */
enum mutation_start mutation_begin(struct mutation *mutation, struct exchange *exchange);

/* At the last moment before it goes to the backend: a process that has slept since is registered
 * again, because the others may take it for dead. */
enum mutation_start mutation_send(struct mutation *mutation, struct exchange *exchange);

/*
 * Carry out what follows, once, each step within cache.invalidate_timeout.
 * status and response: of the answer; 0 and NULL without one. received: the
 * backend may have seen the request. *post: the GET that the answer to a POST may
 * be stored for, or NULL; its URL's generation is exchanged if it may, and *post
 * becomes NULL if it may not. Returns the value for X-Cache-Invalidate, NULL if
 * there is nothing to say: "done", "journal", "failed", "queued" (a route with
 * async), "unknown" (it is not known whether something changed). Static.
 */
const char *mutation_end(struct mutation *mutation, struct exchange *exchange, int status,
                         bool received, const struct fields *response, struct exchange **post);

/* Behind the head, before the client gets the last byte: the backend may have changed more by now. */
void mutation_again(struct mutation *mutation, struct exchange *exchange,
                    const struct fields *response, struct exchange **post);

/*
 * The answer is whole, or (broken) came to no end. response: its fields. *post as above:
 * NULL if what it would be stored under is not valid any more.
 */
void mutation_whole(struct mutation *mutation, struct exchange *exchange, bool broken,
                    const struct fields *response, struct exchange **post);

/* Whatever came of it. */
void mutation_done(struct mutation *mutation, struct exchange *exchange);

#endif
