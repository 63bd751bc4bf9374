/* What a web server makes of the query of a request, and what is left of that. */
#ifndef RESPONDER_QUERY_H
#define RESPONDER_QUERY_H

#include "base/arena.h"
#include "base/slice.h"

/* What is behind the '?' of a target; .n 0: nothing is. */
struct slice query_of(struct slice target);

/*
 * The query that the web server has for a script, without what the route leaves
 * out: `asked` is the target that came, `kept` what the route has made of it
 * (key_target). .p NULL: no memory.
 */
struct slice query_reduced(struct slice text, struct slice asked, struct slice kept,
                           struct arena *arena);

#endif
