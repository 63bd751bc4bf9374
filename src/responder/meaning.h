/* What the head of the backend's answer means. */
#ifndef RESPONDER_MEANING_H
#define RESPONDER_MEANING_H

#include "responder/fetch.h"

/* So often an answer may name yet another field before nobody believes that it ever ends. */
#define MEANING_OPENINGS_MAX 3

/* Of fetch->status and fetch->fields. Where it is to be asked again, fetch->kind and fetch->openings say
 * how; fetch->outdates is set where a HEAD says that what is stored is out of date. */
enum meaning meaning_of(struct fetch *fetch);

/* May exchange->lookup.entry stand in for a backend that failed? */
bool meaning_may_stand_in(const struct fetch *fetch);

#endif
