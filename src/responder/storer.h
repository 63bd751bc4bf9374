/*
 * What happens after the answer: stores, and invalidations of routes that asked
 * for the ancestor's way. A few threads, a queue bounded in bytes and count.
 */
#ifndef RESPONDER_STORER_H
#define RESPONDER_STORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "responder/purge.h"
#include "responder/server.h"
#include "responder/spool.h"

/* false: no thread could be made. */
bool storer_start(void);

/* A response to be stored. */
struct storer_item {
    const char *key;
    char *head; /* malloc'd */
    size_t head_len;
    struct spool *body; /* whole, in memory; NULL: none */
    int64_t ttl_ms;
    const char *replaces; /* NULL, or the checksum of the entry that this is the successor of: it is
                             stored only if that one is still there */
    bool yields;          /* it is stored only where nothing of ours is */
    /* A variant: key is its own; NULL: none of this counts. */
    const char *primary;
    struct slice names; /* of the selecting fields, as the marker has them */
    bool names_all;     /* the response has them all in its own Vary */
    size_t max_variants;
    /* NULL, or called once, whatever became of it: by the storer's thread, or before the call
     * returns. stored: there is one under this key now, this or a newer one. */
    void (*done)(void *arg, bool stored);
    void *arg;
};

/*
 * Store it. Takes head in every case; everything else is copied or counted. A
 * full queue drops it and counts that.
 */
void storer_put(struct site *site, const struct storer_item *item);

/*
 * The same at once, in the calling thread, by deadline_ms: for what is asked for
 * again as soon as it is answered. What is larger than STORER_NOW_MAX is queued.
 */
#define STORER_NOW_MAX ((size_t)64 * 1024)
void storer_put_now(struct site *site, const struct storer_item *item, int64_t deadline_ms);

/* A variant has been used, and keeps its place. It does not wait for all that is to be stored, since its
 * place may be lost meanwhile, but goes by turns with it. false: dropped, because there is much of that kind, or no memory. */
bool storer_touch(struct site *site, const char *primary, const char *key, size_t max_variants);

/* An entry is of no use any more: unlink it, if it is still the one with this checksum (NULL: whatever
 * is there). Dropped when the queue is busy. */
void storer_drop(struct site *site, const char *key, const char *checksum);

/* There is something for gone_later_run(). */
void storer_nudge(void);

/* Invalidate after the answer. What it names is copied. Never dropped for lack of room in the
 * queue; false: no memory. */
bool storer_invalidate(struct site *site, const struct purge *purge);

/* Work off the queue, at most timeout_ms, then end the thread. */
void storer_stop(int64_t timeout_ms);

/* Jobs and bytes waiting. */
void storer_numbers(size_t *count, size_t *bytes);

#endif
