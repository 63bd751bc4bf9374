/* Fields that an answer's Vary names and that the backend has not got. */
#ifndef RESPONDER_OPENING_H
#define RESPONDER_OPENING_H

#include "responder/ask.h"

/*
 * Does this answer to `ask` depend on a field of the request that was kept from the
 * backend? Then it is an answer for somebody else: true, exchange->opened has the
 * field, or exchange->sends_all is set where Vary does not say which, and the
 * backend is to be asked again.
 */
bool opening_needed(struct exchange *exchange, const struct ask *ask, const struct fields *answer);

/* Before the backend is asked while Redis does not answer: what this process has seen last of the URL
 * stands in for the marker, or every request would be sent twice. */
void opening_recall(struct exchange *exchange);

/* Does a backend say so of a request that lacks a field? */
bool opening_is_refusal(int status);

/*
 * Of what may be stored: the answer may depend on each field that the backend got
 * because of exchange->opened, whether its own Vary names it or not. Adds these to
 * the names that select it. false: no memory.
 */
bool opening_add_names(struct vary *vary, const struct exchange *exchange, const struct ask *ask);

#endif
