/*
 * Purging by an operator or an application: over HTTP, and by the control socket
 * for larderctl.
 *
 *   PURGE <any URL>              that URL, or the tags that its fields name
 *   POST, DELETE <admin.path>    what the JSON body or the query says (order.h)
 *
 *   {"ok":true,"purged":{"urls":2,"tags":1},"soft":false,"outcome":"done","took_ms":1.234}
 *   {"ok":false,"error":"urls[3]: found ..."}
 *
 * "outcome" is purge_outcome_name(); with patterns there is "deleted", the number
 * of keys. All of it is off until the configuration has a token; until then it is
 * refused with 405. Nothing of it reaches the backend, nor does what is near it:
 * admin.path in other spellings, what is below /.larder/, and while there is a
 * token the methods by which other caches purge (dialect.h).
 */
#ifndef RESPONDER_ADMIN_H
#define RESPONDER_ADMIN_H

#include <json-c/json.h>
#include <stdbool.h>

#include "responder/exchange.h"
#include "runtime/control.h"

/* Is this request ours, and not the backend's? */
bool admin_takes(const struct exchange *exchange);

/* Answer it; the exchange is over then. Called by a fetcher: it waits for the body and for Redis. */
void admin_serve(struct exchange *exchange);

/*
 * question: as the JSON body, with absolute URLs and its "command", for which no
 * token is asked: the socket's mode is the permission. The answer is as the one
 * over HTTP, and has "status", what would be the status there. It is sent by a
 * fetcher. Called by the main thread.
 */
void admin_control(struct control *control, json_object *question, json_object *answer);

#endif
