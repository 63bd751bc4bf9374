/*
 * What all threads of one process share: the site (configuration, client,
 * upstream), which a reload replaces while requests go on with the old one, and
 * the order to stop.
 */
#ifndef RESPONDER_SERVER_H
#define RESPONDER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "responder/expected.h"
#include "responder/loop.h"
#include "responder/trouble.h"
#include "upstream/upstream.h"

/* Immutable but for its count. Lives until the last request that took it gives it back. */
struct site {
    atomic_int users;
    struct config *config;
    struct larder *cache; /* never NULL; where the cache is switched off, for what is invalidated */
    struct upstream *upstream;
    char loop_id[LOOP_ID_SIZE]; /* what this pool is called in CDN-Loop and Via */
    struct trouble trouble;     /* with the backend, of late */
    struct expected expected;   /* what its answers name in Vary */
    uint64_t serves;            /* which Redis and namespace: two sites of one have the same */
    struct journal *journal;    /* NULL: there is no state_dir */
    atomic_llong owners_ms;     /* boottime: all that have something in the journal were alive */
    struct journal *sweeps;     /* likewise; of application values, which lookups do not use */
};

/*
 * The longest that a fetch may be under way before the head of its answer is
 * here. Without an upstream.timeout: as long as a mutation may take.
 */
int64_t site_fetch_max_ms(const struct config *config);

/* Make a site of a configuration, which it then owns. Touches no network. */
enum larder_status site_new(struct config *config, struct site **out, struct larder_error *err);
struct site *site_take(void);               /* the current one, counted */
struct site *site_again(struct site *site); /* count once more */
void site_give(struct site *site);
/* Make it the current one; the old one goes when its last user is done. NULL: at the end. */
void site_install(struct site *site);

/*
 * What Redis could not be told goes to the journal of the machine. While that
 * holds something, what Redis has is not used by any process of the machine.
 */
bool site_distrusts_redis(const struct site *site);
/* false: it could not be written; logged. */
struct purge;
bool site_note(struct site *site, const struct purge *purge);
/* The patterns of it alone, where responses are dead already and only application values are left:
 * Redis is used all the same. */
bool site_note_sweep(struct site *site, const struct purge *purge);
/* A mutation of these tags is under way: should this process be killed, its backend may be at it for
 * hold_ms more. site_note_done() ends it. */
bool site_note_intent(struct site *site, const struct purge *purge, const char *token,
                      int64_t hold_ms);
void site_note_done(struct site *site, const char *token);
/* Its backend may be at it for so long, and nobody knows. */
bool site_note_silent(struct site *site, const struct purge *purge, int64_t hold_ms);

/* Does it serve and store? */
static inline bool
site_caches(const struct site *site)
{
    return site->config->cache_enabled;
}

/* Set once, by the main thread: each connection is closed after its next answer. */
extern atomic_bool server_retiring;

/* Set after that, by the main thread: accept no more. */
extern atomic_bool server_stopping;

/* Set after drain_timeout: break off what is still under way. */
extern atomic_bool server_giving_up;

#endif
