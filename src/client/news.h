/*
 * The news: a capped stream under "news", one record for up to NEWS_TAGS_MAX
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

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "client/redis.h"
#include "client/store.h"
#include "client/wire.h"

#define NEWS_KEY "news"
/* Tags in one record. */
#define NEWS_TAGS_MAX ((size_t)128)

/* Is that the key of the stream? */
static inline bool
news_is_key(const char *key, size_t len)
{
    return len == sizeof NEWS_KEY - 1 && memcmp(key, NEWS_KEY, len) == 0;
}

/* The position that all of a client's callers share. */
struct news {
    pthread_mutex_t lock;           /* guards the rest */
    struct store_position position; /* id "": none yet */
    int64_t told_ms;                /* when Redis was asked for it */
    int64_t wanted_ms;              /* when somebody last wanted to have one; 0: nobody yet */
};

void news_init(struct news *news);
void news_destroy(struct news *news);

/* One command that appends these tags. false: no random bytes; nothing was added. */
bool news_append(const struct larder *cache, struct wire *wire, const char *const *tags, size_t n);
/* One command that deletes the stream: from then on nobody can prove anything by it. For a Redis
 * that is too full to append. */
void news_drop(const struct larder *cache, struct wire *wire);

/* For the background thread: has anybody wanted a position lately, and a newer one by its own
 * connection. */
bool news_wanted(struct larder *cache, int64_t now_ms);
enum larder_status news_refresh(struct larder *cache, struct conn *conn, int64_t deadline_ms,
                                struct larder_error *err);

#endif
