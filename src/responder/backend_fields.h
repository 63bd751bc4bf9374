/* The fields of a request as the backend gets them. */
#ifndef RESPONDER_BACKEND_FIELDS_H
#define RESPONDER_BACKEND_FIELDS_H

#include "responder/exchange.h"

/* false: no memory, or too many fields. */
bool backend_fields(struct fields *out, const struct exchange *exchange);

#endif
