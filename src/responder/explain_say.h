/* What `larderctl explain` is told, as it is put together. */
#ifndef RESPONDER_EXPLAIN_SAY_H
#define RESPONDER_EXPLAIN_SAY_H

#include <json-c/json.h>

#include "responder/exchange.h"

struct explanation {
    struct exchange exchange;
    json_object *answer; /* for programs */
    json_object *text;   /* the lines */
};

/* Takes the value. */
void explain_put(json_object *object, const char *name, json_object *value);

/* .p NULL: nothing is put. */
void explain_put_text(struct explanation *e, json_object *object, const char *name,
                      struct slice value);

/* "Route: ..." for people. */
void explain_say(struct explanation *e, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Printable, and not endless: it may be the visitor's, the backend's or Redis'. In the arena. */
const char *explain_shown(struct explanation *e, struct slice value);

/* In the arena. */
const char *explain_duration(struct explanation *e, int64_t ms);

#endif
