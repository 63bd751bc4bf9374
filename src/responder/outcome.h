/*
 * What became of a mutation, as far as its answer says.
 *
 * By the status first (RFC 9111 §4.4), and by what the route says of the answers of its
 * application: refused_location, refused_public, change_answer.
 */
#ifndef RESPONDER_OUTCOME_H
#define RESPONDER_OUTCOME_H

#include "base/fields.h"
#include "routing/route.h"

enum outcome {
    CHANGED,   /* the backend says that it did something (RFC 9111 §4.4: 2xx, 3xx) */
    UNCHANGED, /* it says that it did not, or never heard of it */
    UNKNOWN    /* it heard of it, and did not say */
};

/*
 * status and response: of the answer; 0 and NULL without one. received: the backend may
 * have seen the request. route may be NULL.
 */
enum outcome outcome_find(const struct route *route, int status, bool received,
                          const struct fields *response);

/* Is the answer one of those by which the application tells of a change to what the route names? */
bool outcome_is_change(const struct route *route, const struct fields *response);

/* Has the application purged by itself what the request has changed? */
bool outcome_is_purged(const struct fields *response);

#endif
