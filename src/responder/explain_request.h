/* The request that a question of `larderctl explain` is about. */
#ifndef RESPONDER_EXPLAIN_REQUEST_H
#define RESPONDER_EXPLAIN_REQUEST_H

#include <json-c/json.h>

#include "responder/exchange.h"

/*
 * Make exchange->request, in exchange->arena, of what explain() is asked; site
 * is set. NULL: done; else what is wrong with the question.
 */
const char *explain_request(struct exchange *exchange, json_object *question);

#endif
