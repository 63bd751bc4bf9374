/*
 * Which tags the response under a key brought when it was last seen: so that
 * their generations can be asked for together with it, in one round trip. A hint
 * and no more: what the entry itself says decides, and a tag that was not asked
 * for costs a second round trip (lookup.c).
 *
 * Shared by all threads of the process.
 */
#ifndef RESPONDER_HINTS_H
#define RESPONDER_HINTS_H

#include "responder/entry.h"

/* Append what is known to `tags`, as far as there is room; copied into the arena. */
void hints_add(struct store_tags *tags, const char *key, struct arena *arena);

/* The response under this key has these tags. */
void hints_learn(const char *key, const struct own_tags *own);

/* Forget everything; at the end of the process. */
void hints_cleanup(void);

#endif
