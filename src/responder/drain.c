/*
 * The end of drain_timeout.
 *
 * A stopping process waits for many in turn: acceptors, kept connections, flights,
 * fetchers. Each of them may be waiting for somebody who says nothing: a backend,
 * a visitor who sends a body slowly, a Redis that goes over millions of keys. So
 * the deadline has a thread of its own. It says so by a flag, and wakes those who
 * look at no flag: in a wait for a backend by a descriptor that all of them watch,
 * in a read from a web server by the end of that direction. What is still to be
 * written can be written: a request without an answer gets one that says so. And
 * what Redis has to be told after the deadline is told at once or goes to the
 * journal.
 */
#include "responder/drain.h"

#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "client/store.h"
#include "responder/connection.h"
#include "responder/server.h"
#include "responder/streamer.h"
#include "upstream/upstream.h"

/* What is left to be told to Redis after the deadline may take so long, one step and all of them. */
#define LAST_STEP_MS 500
#define LAST_MS 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t changed;
static bool over;
static int64_t due_ms;

static pthread_t thread;
static bool running; /* the main thread's */

void
drain_give_up(void)
{
    /* First the flag: whoever begins something now sees it. Then the backends: who waits for one
     * would take the end of the web server's direction for a visitor who has left. */
    if (atomic_exchange(&server_giving_up, true))
        return;
    struct site *site = site_take();
    if (site->cache)
        store_hurry(site->cache, clock_now_ms() + LAST_MS);
    site_give(site);
    upstream_give_up();
    connections_give_up();
    streamer_wind();
}

int64_t
drain_bounded(int64_t wanted_ms)
{
    bool bounded = atomic_load_explicit(&server_giving_up, memory_order_relaxed);
    return bounded && wanted_ms > LAST_STEP_MS ? LAST_STEP_MS : wanted_ms;
}

static void *
wait_for_deadline(void *unused)
{
    struct timespec until = {(time_t)(due_ms / 1000), (long)(due_ms % 1000) * 1000000};
    int timed_out = 0;
    (void)unused;
    pthread_mutex_lock(&lock);
    while (!over && !timed_out)
        timed_out = pthread_cond_timedwait(&changed, &lock, &until);
    bool gives_up = !over;
    pthread_mutex_unlock(&lock);
    if (gives_up)
        drain_give_up();
    return NULL;
}

bool
drain_start(int64_t deadline_ms)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    due_ms = deadline_ms;
    running = pthread_create(&thread, NULL, wait_for_deadline, NULL) == 0;
    return running;
}

void
drain_stop(void)
{
    if (!running)
        return;
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    running = false;
}
