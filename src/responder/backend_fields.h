/* The fields of a request as the backend gets them. */
#ifndef RESPONDER_BACKEND_FIELDS_H
#define RESPONDER_BACKEND_FIELDS_H

#include "responder/exchange.h"

/*
 * Conditions and Range are in it only when the request is passed. On a
 * cacheable request this is also what Vary selects by. false: no memory, or too
 * many fields.
 */
bool backend_fields(struct fields *out, const struct exchange *exchange);

#endif
