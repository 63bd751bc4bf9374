/*
 * What a request would get, and why: for `larderctl explain`.
 *
 * The request is made of words instead of a connection; from there on it is
 * parsed, examined, looked up and decided by the very functions that serve
 * requests, so that what is said is what will be done. Nothing changes by it:
 * neither Redis nor the counters of hits, and the backend is not asked.
 */
#ifndef RESPONDER_EXPLAIN_H
#define RESPONDER_EXPLAIN_H

#include <json-c/json.h>

#include "http/policy.h"
#include "responder/server.h"

/*
 * question: {"method", "scheme", "host", "target": texts; "fields": ["Name: value", ...];
 * "remote_user", "rewritten": texts}, all but target with a default. Fills answer: "request",
 * "route", "script" (with a FastCGI backend: "seen", how many of the host's it may be; "found", whether
 * one has something stored; which) or "rewriting" (likewise), "key", "stored", "next" and "text", lines for people; or "ok": false
 * and "error". Waits for Redis for the time that a request may lose to it, half
 * a second at most. Called by the main thread.
 */
void explain(struct site *site, json_object *question, json_object *answer);

/* A reason in a sentence, without its capital and its full stop. Static. */
const char *explain_reason(enum reason reason);

#endif
