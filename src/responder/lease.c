/*
 * The leases that this process holds.
 *
 * One thread for all of them, many in one round trip. It extends each when a third
 * of its life is over, so that two attempts may fail before anybody else thinks that
 * we are dead, and gives back those that have ended: nobody's answer waits for that. A process
 * that dies is missed when its leases have run out, `coalesce.lease` later.
 */
#include "responder/lease.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* What giving one back may take; then it runs out by itself. */
#define END_TIMEOUT_MS 1000

struct lease {
    struct lease *next;
    struct site *site;
    struct store_lease store; /* lost: somebody else has it, or nobody: we were too slow */
    int64_t due_ms;           /* to be extended */
    char name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t changed;
static struct lease *held, *ended, **last_ended = &ended;
static bool stopping;
static int64_t give_up_ms; /* when stopping */
static pthread_t thread;

enum larder_status
lease_take(struct site *site, const char *name, int64_t life_ms, int64_t deadline_ms,
           struct lease **out, int64_t *left_ms)
{
    size_t n = strlen(name) + 1;
    struct lease *lease = calloc(1, sizeof *lease + n);
    if (!lease)
        return LARDER_NOMEM;
    memcpy(lease->name, name, n);
    /* From before it is asked for: so it never lives longer than we think. */
    lease->due_ms = clock_now_ms() + life_ms / 3;
    lease->store = (struct store_lease){.name = lease->name, .life_ms = life_ms};
    enum larder_status status = store_lease_take(site->cache, name, life_ms, deadline_ms,
                                                 lease->store.token, left_ms, NULL);
    if (status != LARDER_OK) {
        free(lease);
        return status;
    }
    lease->site = site_again(site);
    pthread_mutex_lock(&lock);
    lease->next = held;
    held = lease;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    *out = lease;
    return LARDER_OK;
}

void
lease_end(struct lease *lease, char word)
{
    if (!lease)
        return;
    pthread_mutex_lock(&lock);
    struct lease **at = &held;
    while (*at != lease)
        at = &(*at)->next;
    *at = lease->next;
    lease->next = NULL;
    lease->store.word = word;
    *last_ended = lease;
    last_ended = &lease->next;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------- the thread */

/* Some of one site's, for one call. */
struct batch {
    struct lease *of[STORE_LEASES_MAX];
    struct store_lease *stores[STORE_LEASES_MAX];
    size_t n;
};

/* false: there is no room, or it is another site's. */
static bool
batch_add(struct batch *batch, struct lease *lease)
{
    if (batch->n == STORE_LEASES_MAX || (batch->n > 0 && batch->of[0]->site != lease->site))
        return false;
    batch->of[batch->n] = lease;
    batch->stores[batch->n++] = &lease->store;
    return true;
}

/* With the lock held. */
static void
pop_ended(struct batch *batch)
{
    while (ended && batch_add(batch, ended)) {
        ended = ended->next;
        if (!ended)
            last_ended = &ended;
    }
}

/* With the lock held: the one that is due first, NULL: none is held. */
static struct lease *
first_due(void)
{
    struct lease *first = NULL;
    for (struct lease *lease = held; lease; lease = lease->next)
        if (!lease->store.lost && (!first || lease->due_ms < first->due_ms))
            first = lease;
    return first;
}

/* With the lock held, which is let go while Redis is asked: meanwhile a lease may end, and be
 * pushed to those that have ended, but only this thread takes them from there. */
static void
extend(struct lease *first, int64_t now_ms)
{
    const int64_t until_ms = now_ms + first->store.life_ms / 3;
    struct batch batch = {.n = 0};
    batch_add(&batch, first);
    for (struct lease *lease = held; lease; lease = lease->next)
        if (lease != first && !lease->store.lost && lease->due_ms <= now_ms)
            batch_add(&batch, lease);
    for (size_t i = 0; i < batch.n; i++)
        batch.of[i]->due_ms = now_ms + batch.of[i]->store.life_ms / 3;
    pthread_mutex_unlock(&lock);
    store_leases_extend(first->site->cache, batch.stores, batch.n, until_ms, NULL);
    pthread_mutex_lock(&lock);
}

static void
give_back(struct batch *batch, bool too_late)
{
    if (!too_late)
        store_leases_end(batch->of[0]->site->cache, batch->stores, batch->n,
                         clock_now_ms() + END_TIMEOUT_MS, NULL);
    for (size_t i = 0; i < batch->n; i++) {
        site_give(batch->of[i]->site);
        free(batch->of[i]);
    }
}

static void
wait_until(int64_t ms)
{
    struct timespec until = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    if (ms < 0)
        pthread_cond_wait(&changed, &lock);
    else
        pthread_cond_timedwait(&changed, &lock, &until);
}

static void *
keeper(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        struct batch batch = {.n = 0};
        int64_t now_ms = clock_now_ms();
        struct lease *due = stopping ? NULL : first_due();
        /* First what would be lost: giving back may take its time. */
        if (due && due->due_ms <= now_ms) {
            extend(due, now_ms);
            continue;
        }
        pop_ended(&batch);
        if (batch.n > 0) {
            bool too_late = stopping && now_ms >= give_up_ms;
            pthread_mutex_unlock(&lock);
            give_back(&batch, too_late);
            pthread_mutex_lock(&lock);
            continue;
        }
        if (stopping)
            break;
        wait_until(due ? due->due_ms : -1);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

bool
leases_start(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    stopping = false;
    return pthread_create(&thread, NULL, keeper, NULL) == 0;
}

void
leases_stop(int64_t timeout_ms)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    give_up_ms = clock_now_ms() + timeout_ms;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}
