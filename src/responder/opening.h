/* Fields that an answer's Vary names and that the backend has not got. */
#ifndef RESPONDER_OPENING_H
#define RESPONDER_OPENING_H

#include "responder/ask.h"
#include "responder/keep.h"

/*
 * Does this answer to `ask` depend on a field of the request that was kept from the
 * backend? Then it is an answer for somebody else: true, exchange->opening.opened has the
 * field, or exchange->opening.sends_all is set where Vary does not say which, and the
 * backend is to be asked again.
 */
bool opening_needed(struct exchange *exchange, const struct ask *ask, const struct fields *answer);

/* Was the backend asked something of this visitor's own, which its key so far does not have: a value of
 * a field that is opened only now, a range? Then its refusal says nothing to others. */
bool opening_is_own(const struct exchange *exchange, const struct ask *ask);

/* Before the backend is asked while Redis does not answer: what this process has seen last of the URL
 * stands in for the marker, or every request would be sent twice. */
void opening_recall(struct exchange *exchange);

/*
 * Before the backend is asked for a URL of which nothing is known: the fields that answers
 * of its kind name become opened.
 */
void opening_expect(struct exchange *exchange);

/*
 * Of an answer for which opening_needed() is not the case, when it is known what is kept of
 * it: is it everybody's, but made with a field that was only expected and that it does not
 * name; or a refusal that may be for want of a field, or of one that was only expected? Then
 * true: exchange says what is sent now, and the backend is to be asked again.
 */
bool opening_was_wrong(struct exchange *exchange, const struct ask *ask, const struct kept *kept);

/* Does a backend say so of a request that lacks a field? */
bool opening_is_refusal(int status);

/*
 * Of what may be stored: the answer may depend on each field that the backend got
 * because of exchange->opening.opened, whether its own Vary names it or not. Adds these to
 * the names that select it. false: no memory.
 */
bool opening_add_names(struct vary *vary, const struct exchange *exchange, const struct ask *ask);

#endif
