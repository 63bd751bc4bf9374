/*
 * The news: a capped stream under "gen-news", one record for up to NEWS_TAGS_MAX
 * tags that were invalidated, appended before their generations are touched.
 *
 *     n <16 random digits> t <tag> t <tag> ...
 *
 * Who notes where the stream is, does something that takes a while, and then
 * reads on from there, knows what was invalidated meanwhile; also where he did
 * not know, when he began, which tags would matter to him. The random digits make
 * a record one of a kind: a stream that was deleted and begun anew within one
 * millisecond has the same ids.
 */
#ifndef CLIENT_NEWS_H
#define CLIENT_NEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "client/redis.h"
#include "client/store.h"
#include "client/wire.h"

/* Tags in one record. */
#define NEWS_TAGS_MAX ((size_t)128)

/* Is that the key of the stream? */
static inline bool
news_is_key(const char *key, size_t len)
{
    return len == sizeof NAME_NEWS - 1 && memcmp(key, NAME_NEWS, len) == 0;
}

/* One command that appends these tags. false: no random bytes; nothing was added. */
bool news_append(const struct larder *cache, struct wire *wire, const char *const *tags, size_t n);
/* One command that deletes the stream: from then on nobody can prove anything by it. For a Redis
 * that is too full to append. */
void news_drop(const struct larder *cache, struct wire *wire);

/* The command for the last record, and what it answered: a position without its identity, whose id is
 * "" if there is no record. false: it is not an answer to that. */
void news_ask_last(const struct larder *cache, struct wire *wire);
bool news_read_last(const redisReply *reply, struct store_position *position);

#endif
