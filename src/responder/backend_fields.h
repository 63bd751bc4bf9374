/* A request as the backend gets it. */
#ifndef RESPONDER_BACKEND_FIELDS_H
#define RESPONDER_BACKEND_FIELDS_H

#include "responder/exchange.h"

/*
 * Conditions and Range are in it only when the request is passed. On a
 * cacheable request this is also what Vary selects by; opened (NULL: none) are the
 * fields that the URL's Vary names. false: no memory, or too many fields.
 */
bool backend_fields(struct fields *out, const struct exchange *exchange, const struct vary *opened);

/* May the answer to what the backend is asked be given to others? */
bool backend_is_shared(const struct exchange *exchange);

/* Would a fetch for a cacheable request leave a field of this request out? */
bool backend_fields_withheld(const struct exchange *exchange);

/* Accept-Language as the backend gets it where it gets it: reduced as the route says. .p NULL: absent,
 * nothing fits, or no memory. */
struct slice backend_language(const struct route_match *match, const struct fields *fields,
                              struct arena *arena);

struct backend_parameters {
    struct upstream_parameter *list;
    size_t count;
};

/* The whole of it for a FastCGI backend: the method, `fields`, which are backend_fields() and what was
 * added to them, and the parameters that are none. false: no memory. */
bool backend_parameters(struct backend_parameters *out, const struct exchange *exchange,
                        struct slice method, const struct fields *fields);

#endif
