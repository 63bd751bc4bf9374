/* The tags that a response brings: which they are, and the proof that none of them is out of date. */
#ifndef RESPONDER_OWN_TAGS_H
#define RESPONDER_OWN_TAGS_H

#include "responder/exchange.h"

/*
 * The tags that a response with these fields names, and those of `inherited`
 * (NULL: none), what it is put together with; those of the key are left out, each
 * comes once. REASON_TAGS: too many, or one that cannot be named. Without
 * generations yet; in the arena.
 */
enum reason own_tags_find(struct own_tags *own, const struct exchange *exchange,
                          const struct fields *fields, const struct own_tags *inherited);

/*
 * Their generations, if none of them was invalidated since exchange->lookup.position,
 * within cache.budget. before: those of what it is put together with, as they were
 * when that was looked up, or NULL; they are in `own` as well. REASON_INVALIDATED: one
 * was, or nobody can say.
 */
enum reason own_tags_prove(struct own_tags *own, const struct exchange *exchange,
                           const struct own_tags *before);

#endif
