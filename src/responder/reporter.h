/*
 * What Redis could not be told: noted in the journal of the machine at once, and
 * told by a thread of its own as soon as Redis can be reached again. The calls for
 * requests are site_note() and its siblings in server.h.
 */
#ifndef RESPONDER_REPORTER_H
#define RESPONDER_REPORTER_H

#include <json-c/json.h>

#include "responder/server.h"

/* Open the journal of a site that is being made. Where it cannot be used this is logged, and a
 * journal in memory stands in, which only this process knows. */
void reporter_open(struct site *site);
void reporter_close(struct site *site);
/* LARDER_REFUSED: with that configuration in its place, what the journal of this site holds would
 * never be told, and be forgotten although the same Redis is used. */
enum larder_status reporter_may_move(const struct site *site, const struct config *next,
                                     struct larder_error *err);

/* Begin to work off what is noted, also by processes that are no more. false: no thread. */
bool reporter_start(void);
/* A last try, and the end. */
void reporter_stop(void);

/* For `larderctl status`: a new object. */
json_object *reporter_status(const struct site *site);

#endif
