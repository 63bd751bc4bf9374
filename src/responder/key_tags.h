/* The tags of a key. */
#ifndef RESPONDER_KEY_TAGS_H
#define RESPONDER_KEY_TAGS_H

#include "responder/key.h"

/*
 * Into key->tags, and key->default_tag. host: as visitors see it; user: key->user as
 * it stands in keys. REASON_KEY_TOO_LONG, REASON_TAGS (too many, or no name),
 * REASON_NO_MEMORY, or REASON_NONE.
 */
enum reason key_tags_add(struct cache_key *key, const struct request *request, struct slice host,
                         const char *user, const struct route_match *match,
                         const struct config *config, struct arena *arena);

#endif
