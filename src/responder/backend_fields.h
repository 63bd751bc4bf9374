/* A request as the backend gets it. */
#ifndef RESPONDER_BACKEND_FIELDS_H
#define RESPONDER_BACKEND_FIELDS_H

#include "responder/exchange.h"

/*
 * Conditions and Range are in it only when the request is passed. On a
 * cacheable request this is also what Vary selects by. false: no memory, or too
 * many fields.
 */
bool backend_fields(struct fields *out, const struct exchange *exchange);

struct backend_parameters {
    struct upstream_parameter *list;
    size_t count;
};

/* The whole of it for a FastCGI backend: the method, `fields`, which are backend_fields() and what was
 * added to them, and the parameters that are none. false: no memory. */
bool backend_parameters(struct backend_parameters *out, const struct exchange *exchange,
                        struct slice method, const struct fields *fields);

#endif
