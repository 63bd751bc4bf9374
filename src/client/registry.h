/*
 * The mutation register: which mutations are under way, in one place that every
 * process of a site reads (registry.c, alive.c, reaper.c); and what this process has read of
 * it and makes of that (watch.c). The calls for the responder are in store.h.
 *
 * The key `gen-mutations` is a hash of two kinds of fields:
 *
 *   <token>  "<beat> <hold>\n<tag>\n<tag>..."
 *            A mutation whose owner lives: it changes the beat every second.
 *   =<tag>   "<version> <purges> <age> <left>"
 *            Some mutation of this tag has an owner that is dead or gave up, and
 *            its backend may still commit. The tag is purged every REGISTRY_L_MS
 *            until nothing is left of the hold, and once more. `purges` counts
 *            those, 0: none yet; the last began `age` ms before it was noted here,
 *            and then `left` ms of the hold were left. `version` counts the
 *            mutations whose hold has begun anew.
 *
 * All times are durations: each reader measures by its own CLOCK_BOOTTIME how long
 * a field has been as it is.
 */
#ifndef CLIENT_REGISTRY_H
#define CLIENT_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "client/redis.h"
#include "client/store.h"
#include "larder.h"

/* An owner that has said nothing for so long is silent; purges for it are so far apart at most. */
#define REGISTRY_L_MS INT64_C(3000)
/* How old a reading may be: what is read once a second, and may be late by half of that. */
#define REGISTRY_X_MS INT64_C(1500)
/* Signs of life and readings; readings while there is something to purge for, so that all know well
 * when it was last done, and none does it too soon. */
#define REGISTRY_BEAT_MS INT64_C(1000)
#define REGISTRY_SOON_MS INT64_C(250)

static inline bool
registry_is_key(const char *key, size_t len)
{
    return len == sizeof NAME_MUTATIONS - 1 && memcmp(key, NAME_MUTATIONS, len) == 0;
}

/* A mutation of this process. */
struct store_mutation {
    struct store_mutation *next;
    store_token token;
    int64_t hold_ms;
    atomic_llong alive_ms; /* boottime, before the last sign of life that Redis has taken */
    /* boottime; guarded by registry.lock */
    int64_t
        late_ms; /* a registration that was sent then was not answered, and may come late; 0: none */
    int64_t told_ms; /* Redis was told first that it is over; 0: not yet */
    enum {
        MUTATION_LIVES,
        MUTATION_LOST,    /* its record is gone: it is to be put back */
        MUTATION_LEAVING, /* its owner is removing its record: nobody else touches it */
        MUTATION_OVER /* its record is to be removed by the client's own thread, whose it is now */
    } state;          /* guarded by registry.lock */
    size_t count;
    const char **tags; /* of the same allocation */
};

/* What is known of one field. */
struct seen {
    char *field; /* its name, then its value, both with a NUL */
    const char *value;
    bool silent;
    bool known;            /* covered_ms is from something that was seen */
    int64_t first_ms;      /* when this value was first seen */
    int64_t covered_ms;    /* a sign of life or a purge that was not before this; known */
    int64_t beat, hold_ms; /* of a token */
    int64_t version, purges, age_ms, left_ms; /* of a silent one */
};

struct registry {
    pthread_mutex_t lock; /* guards all but the atomics */
    struct store_mutation *own;
    bool watched;      /* this process uses what is stored, or answers for who does */
    int64_t read_ms;   /* boottime, before the last reading; 0: there was none */
    struct seen *seen; /* sorted by name */
    size_t count;
    int64_t complained_ms;
    int64_t beat_ms; /* boottime, when it was last said what lives */
    struct larder_error
        why; /* why the last purge for the silent was not done; status LARDER_OK: it was */
    atomic_llong clean_ms; /* boottime, before the last reading that found nothing overdue */
};

void registry_init(struct registry *registry);
/* No call is under way. */
void registry_destroy(struct registry *registry);

/* ---- registry.c: */

struct wire;
/* EVAL of a script with this one key and so many arguments, which must follow. */
void registry_begin_script(const struct larder *cache, struct wire *wire, const char *script,
                           size_t arguments);
/* Its registration; a repeated one changes nothing. One reply, an integer. What it returns is to be
 * freed when it is sent; NULL: no memory, and nothing is written. */
char *registry_write_record(const struct larder *cache, struct wire *wire,
                            const struct store_mutation *mutation);
/* These tags are silent from here on, instead of a token ("": of none) if it still has this beat ("": any
 * has). due: a purge is overdue, if there is no silent record of the tag yet. */
void registry_write_silence(const struct larder *cache, struct wire *wire, const char *token,
                            const char *beat, int64_t hold_ms, bool due, const char *const *tags,
                            size_t n);
/* So many silent records, which must follow, were purged for: field and value as they were read, how
 * long ago that purge began, and what is left of the hold (negative: it is over, and the record is
 * removed, unless it has begun anew). */
void registry_begin_notes(const struct larder *cache, struct wire *wire, size_t n);
void registry_write_note(struct wire *wire, const char *field, const char *value, int64_t age_ms,
                         int64_t left_ms);
/* Forget one of our own; with the lock. */
void registry_delist(struct registry *registry, struct store_mutation *mutation);

/* ---- reaper.c: */

/* The question what is in the register, and its reply, asked at start_ms. */
void registry_write_read(const struct larder *cache, struct wire *wire);
enum larder_status registry_take(struct larder *cache, const redisReply *reply, int64_t start_ms,
                                 struct larder_error *err);
/* Purge for whoever is silent. */
void registry_reap(struct larder *cache, int64_t deadline_ms);
/* Is there anything to say or read? And how long until then? */
bool registry_is_used(struct larder *cache);
int64_t registry_pause_ms(struct larder *cache);

/* ---- alive.c, for the client's own thread: */

/* What is to be said and read once a second, on a connection of the caller's, and what follows from
 * it: purges for whoever is silent. Any failure leaves the connection pending, or says nothing. */
void registry_tend(struct larder *cache, struct conn *conn, int64_t deadline_ms);

/* ---- watch.c, with the lock: */

/* The reply to HGETALL, asked at start_ms. false: it is no such reply. */
bool watch_take(struct registry *registry, const redisReply *reply, int64_t start_ms,
                int64_t now_ms);
/* Is the owner of this token to be counted as silent? Is a purge of this field due, by ahead_ms from
 * now? Is its hold over? */
bool watch_is_silent(const struct registry *registry, const struct seen *seen, int64_t now_ms);
bool watch_is_due(const struct registry *registry, const struct seen *seen, int64_t now_ms,
                  int64_t ahead_ms);
bool watch_is_over(const struct seen *seen, int64_t now_ms);
/* All that was due was purged, by a round that began at begun_ms: so it was for the tokens, without being
 * silent, of which nothing was known. One that was read since is not among them. */
void watch_cover(struct registry *registry, int64_t begun_ms, int64_t now_ms);
/* Its tags: the next behind *at (NULL at first); its bytes, not NUL-terminated. false: no more. */
bool watch_tag(const struct seen *seen, const char **at, const char **tag, size_t *len);
void watch_forget(struct registry *registry);

#endif
