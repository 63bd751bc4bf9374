/* The parameters of a FastCGI request whose answer may be shared. */
#ifndef RESPONDER_SHARED_PARAMETERS_H
#define RESPONDER_SHARED_PARAMETERS_H

#include "base/arena.h"
#include "responder/backend_fields.h"

/* Have those that depend on how a visitor asked the same for all visitors. Only for a request without a
 * body, whose answer may be shared. false: no memory; the list is unchanged. */
bool shared_parameters(struct backend_parameters *parameters, struct arena *arena);

#endif
