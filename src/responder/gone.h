/* What is gone stays gone: dropping the stored response whose place an answer takes that is not kept. */
#ifndef RESPONDER_GONE_H
#define RESPONDER_GONE_H

#include "responder/fetch.h"

/*
 * The answer of fetch has come, whole or so far as anybody wants it, and is not
 * stored yet, or never: if it is of the page, what was stored before goes. A round
 * trip to Redis or two, within cache.budget, where there is something to drop.
 */
void gone_settle(struct fetch *fetch);

/* Does this answer, which is not stored, take the place of what the look-up found all the same? */
bool gone_is_replaced(const struct exchange *exchange, const struct kept *kept);

/* exchange->lookup.entry, found by the look-up, counts no more. Likewise. */
void gone_drop(struct exchange *exchange);

#endif
