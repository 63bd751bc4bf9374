/* From a response to what is kept of it: the entry, its variant's key, its part of a whole. */
#ifndef RESPONDER_KEEP_H
#define RESPONDER_KEEP_H

#include "responder/ask.h"
#include "responder/exchange.h"
#include "responder/spool.h"

/* A response that may be stored. */
struct kept {
    struct store_decision decision; /* reason REASON_NONE: it may, and everything below counts */
    bool
        shared; /* the response itself is everybody's; what is against storing it is of our making */
    int status;
    const struct fields *fields; /* the backend's; for a freshened entry the updated ones */
    int64_t head_wall_ms;
    int64_t fetch_ms;    /* from the question to the head, so far */
    struct slice names;  /* of the fields that select it at this URL; .n 0: none do */
    bool names_all;      /* ... and its own Vary has them all */
    bool crowded;        /* the storer will hardly find a place for this variant */
    struct own_tags own; /* that it brings, proven not to have been invalidated meanwhile */
    bool replaces;       /* exchange->lookup.entry, under its very key: and nothing else */
    bool part;           /* the body is a part: */
    int64_t range_first;
    int64_t total;      /* -1: not known */
    int64_t told;       /* how long it is by its Content-Range */
    struct slice range; /* the Range that it answers */
};

/*
 * May it be stored, where, and as what? Chooses exchange->key for its Vary.
 * times: when the request went out and the head came. Where it brings tags of its
 * own, Redis is asked whether one of them was invalidated since
 * exchange->lookup.position: that costs a round trip, within cache.budget.
 */
void keep_decide(struct kept *kept, struct exchange *exchange, const struct ask *ask, int status,
                 const struct fields *fields, const struct response_times *times);

/* Are as many variants of the URL in use as may be stored, and this request's is none of them? Asks Redis
 * where the look-up has found that it is not stored. */
bool keep_is_crowded(const struct exchange *exchange);

/*
 * Could it be given to others, if not stored: nothing is against it but that
 * nobody can tell what is invalidated while it is fetched?
 */
bool keep_is_unproven(const struct kept *kept);

/*
 * For its body, of `length` bytes as its head says (-1: it does not), as it will
 * be kept: with its metadata, unless it is a part, of which only the end tells
 * what it is. NULL: no memory, or too large.
 */
struct spool *keep_spool(const struct kept *kept, const struct exchange *exchange, int64_t length);

/*
 * The body comes in, and takes its time: what it is to be stored under must not
 * end meanwhile. To be called every KEEP_HOLD_MS; a round trip, within
 * cache.budget.
 */
#define KEEP_HOLD_MS 30000
void keep_hold(const struct kept *kept, const struct exchange *exchange);

/* Called once, whatever becomes of it, by any thread or before the call returns; fn NULL: nobody
 * wants to know. */
struct keep_after {
    void (*fn)(void *arg, bool stored);
    void *arg;
};

/*
 * Store it with the body in keep_spool()'s spool, in the background. A part is
 * first made one with the part that exchange->lookup.entry is, if the two fit.
 */
void keep_store(struct kept *kept, struct exchange *exchange, struct spool *spool,
                const struct keep_after *after);

/* Does it say something to those who ask after this visitor? Not what was made of the visitor's own words,
 * unless they select the key as well. */
bool keep_tells_others(const struct kept *kept, const struct exchange *exchange);

/*
 * A mark in the place of what must not be stored: that no use is made of waiting
 * for another's fetch of it.
 */
void keep_mark(const struct kept *kept, struct exchange *exchange);

/* The bytes that exchange->lookup.entry stands in, as exchange->wait.spool, with these selecting names (.n 0:
 * none). false: no memory, and nobody else can have it; the entry itself is as it was. */
bool keep_entry_spool(struct exchange *exchange, struct slice names);

/*
 * exchange->lookup.entry after a 304 or a HEAD that says the same (RFC 9111 §4.3.4,
 * §4.3.5): its fields and times become those of now, and *kept says whether it
 * may go on being stored. false: no memory.
 */
bool keep_freshen(struct kept *kept, struct exchange *exchange, const struct ask *ask,
                  const struct fields *update, const struct response_times *times);

/* Store the freshened entry again, with its body in keep_entry_spool()'s spool, before its answer
 * goes out: who asks next should not find it stale. A large one follows in the background. */
void keep_store_freshened(struct kept *kept, struct exchange *exchange,
                          const struct keep_after *after);

#endif
