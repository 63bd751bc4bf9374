/* Finding the stored response for a request, variants included. */
#ifndef RESPONDER_LOOKUP_H
#define RESPONDER_LOOKUP_H

#include "responder/exchange.h"

/*
 * Look up exchange->key within exchange->redis_until_ms: one round trip, two
 * where the URL has variants. Afterwards exchange->lookup.has_entry says whether there
 * is one for this very request whose generations match (fresh or not), and if
 * not exchange->lookup.missing says why. What Redis has for generations is left for
 * the fetch.
 */
void lookup(struct exchange *exchange, int64_t wall_ms);

#endif
