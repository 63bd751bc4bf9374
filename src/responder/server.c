/*
 * The site: configuration, client and upstream as one counted object.
 *
 * A request takes the current site at its start and works with that one to its
 * end, so a reload never pulls anything away from under it, and never waits.
 */
#include "responder/server.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "client/store.h"
#include "responder/keep.h"
#include "responder/reporter.h"

atomic_bool server_retiring;
atomic_bool server_stopping;
atomic_bool server_giving_up;

/* For the queues before a fetch, and clocks that are read at different moments. */
#define SLACK_MS 30000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards current */
static struct site *current;

static int
at_most(int value, int most)
{
    return value < most ? value : most;
}

int64_t
site_fetch_max_ms(const struct config *config)
{
    int64_t once_ms = upstream_dial_ms(&config->upstream) + config->upstream.timeout_ms;
    /* Some fetches ask twice (fetch.c). */
    return config->upstream.timeout_ms > 0 ? 2 * once_ms : config->mutation_max_ms;
}

enum larder_status
site_new(struct config *config, struct site **out, struct larder_error *err)
{
    *out = NULL;
    struct site *site = calloc(1, sizeof *site);
    if (!site)
        return error_set(err, LARDER_NOMEM, "out of memory");
    atomic_init(&site->users, 1);
    enum larder_status status = upstream_new(&config->upstream, &site->upstream, err);
    struct larder_options redis = config->redis;
    /* A pool of processes shares one server: no more is kept ready than the workers can use. */
    redis.pool_min_idle = config->cache_enabled ? at_most(redis.pool_min_idle, config->workers) : 0;
    /* Requests are answered without Redis too: nobody waits for it at the start. */
    redis.lazy = true;
    redis.log = log_from_client;
    /* A machine that serves and stores nothing has to tell the others what it changes. */
    redis.enabled = true;
    if (status == LARDER_OK)
        status = larder_open(&redis, &site->cache, err);
    if (status != LARDER_OK)
        goto fail;
    /* After that, what is stored, or soon will be, prolongs it. */
    store_new_generations_live(site->cache, site_fetch_max_ms(config) + KEEP_HOLD_MS + SLACK_MS);
    store_watch(site->cache);
    site->config = config;
    trouble_init(&site->trouble);
    expected_init(&site->expected);
    loop_id(site->loop_id, config);
    reporter_open(site);
    *out = site;
    return LARDER_OK;
fail:
    upstream_free(site->upstream);
    free(site);
    return status;
}

struct site *
site_again(struct site *site)
{
    atomic_fetch_add_explicit(&site->users, 1, memory_order_relaxed);
    return site;
}

struct site *
site_take(void)
{
    pthread_mutex_lock(&lock);
    struct site *site = site_again(current);
    pthread_mutex_unlock(&lock);
    return site;
}

void
site_give(struct site *site)
{
    if (!site || atomic_fetch_sub_explicit(&site->users, 1, memory_order_acq_rel) != 1)
        return;
    /* What it still has to tell Redis, its successor tells. */
    pthread_mutex_lock(&lock);
    struct site *now = current ? site_again(current) : NULL;
    pthread_mutex_unlock(&lock);
    if (now && now->serves == site->serves)
        store_mutations_move(now->cache, site->cache);
    larder_close(site->cache);
    reporter_close(site);
    upstream_free(site->upstream);
    config_free(site->config);
    trouble_free(&site->trouble);
    expected_free(&site->expected);
    free(site);
    site_give(now);
}

void
site_install(struct site *site)
{
    pthread_mutex_lock(&lock);
    struct site *old = current;
    current = site;
    pthread_mutex_unlock(&lock);
    site_give(old);
}
