/* Cache-Status (RFC 9211): what Larder did with a request, in one field. */
#ifndef RESPONDER_CACHE_STATUS_H
#define RESPONDER_CACHE_STATUS_H

#include "base/arena.h"
#include "config/config.h"
#include "http/policy.h"

struct cache_status {
    bool hit;
    enum reason forward; /* why the backend was asked; REASON_NONE: it was not */
    int forward_status;  /* its answer; 0: none, or the one that is sent */
    bool stored;         /* the answer is being kept */
    bool collapsed;      /* it came with somebody else's fetch */
    bool has_ttl;
    int64_t ttl_s;      /* fresh for so long; negative: stale for so long */
    enum reason detail; /* why it was not stored, or not a hit; REASON_NONE: nothing to add */
    const char *key;    /* NULL: none was made */
};

/* The value, in the arena; .n 0: the configuration says off, or there is no memory. */
struct slice cache_status_format(const struct cache_status *status, enum cache_status_mode mode,
                                 struct arena *arena);

/* The fwd parameter for a reason: "bypass", "uri-miss", "stale" ... Static. */
const char *cache_status_forward(enum reason reason);

#endif
