/*
 * An answer made of a stored response: the whole, a 304 where the client has it
 * already, the ranges it asked for, or the head alone.
 */
#ifndef RESPONDER_ANSWER_H
#define RESPONDER_ANSWER_H

#include "responder/cache_status.h"
#include "responder/exchange.h"

struct answer {
    int status;
    struct iovec *pieces; /* head and body, in the arena and in the entry */
    int count;
    size_t body_len;
};

/* How it came to be used. */
struct answer_origin {
    const char *x_cache; /* HIT, STALE, REVALIDATED */
    bool stale;
    bool personal; /* what came for it is not to be shared, though the body is what is stored */
    struct cache_status status; /* hit, forward, forward_status, stored, detail; the rest is filled
                                   in */
};

/*
 * Can this request be answered from this entry? Always from a whole; from a part
 * only if what is asked for lies within it (RFC 9111 §3.3).
 */
bool answer_is_possible(const struct exchange *exchange, const struct entry *entry,
                        int64_t wall_ms);

/* Make it; answer_is_possible() has said so. false: no memory. */
bool answer_make(struct answer *answer, struct exchange *exchange, const struct entry *entry,
                 const struct answer_origin *origin, int64_t wall_ms);

/* The head alone, for a whole whose body follows as it comes, of this length (-1: not known). In the
 * arena; .p NULL: no memory. */
struct slice answer_head(struct exchange *exchange, const struct entry *entry,
                         const struct answer_origin *origin, int64_t content_length,
                         int64_t wall_ms);

#endif
