/*
 * The pool: a stack of idle connections, a count of slots, a line of waiters.
 * Used by command.c for every exchange and by keeper.c to keep it warm. It
 * knows nothing of commands, retries or the breaker.
 */
#include "client/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/identity.h"

/* Idle connections looked at before a new one is dialled: when three in a row have died, the
 * others have as well, and each look costs a system call. */
#define IDLE_TRIES 3
/* The background thread looks at least this often, and as often as connections live or may idle:
 * what callers give back meanwhile is closed within twice its time. */
#define EXPIRE_LOOK_MS 60000
#define EXPIRE_LOOK_LEAST_MS 10

/* A server that takes no more is asked for one more so often, and the log is told so often. */
#define LIMITED_MS 5000
#define TELL_MS 60000

/* Somebody in line; lives on his stack. */
struct pool_waiter {
    pthread_cond_t wake;
    struct conn *conn; /* handed over */
    bool slot;         /* or the right to dial */
    bool sent_away;
    struct pool_waiter *next;
};

void
pool_init(struct pool *pool, const struct larder_options *options, const struct endpoint *endpoint,
          void (*nudge)(void *arg), void *nudge_arg)
{
    *pool = (struct pool){
        .options = options, .endpoint = endpoint, .nudge = nudge, .nudge_arg = nudge_arg};
    pthread_mutex_init(&pool->lock, NULL);
}

void
pool_destroy(struct pool *pool)
{
    pool_rest(pool);
    pthread_mutex_destroy(&pool->lock);
}

static void
count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ------------------------------------------------ all with the lock held ---- */

static struct conn *
pop_idle(struct pool *pool)
{
    struct conn *conn = pool->idle;

    if (conn) {
        pool->idle = conn->next;
        pool->idle_count--;
        conn->next = NULL;
        conn->kept = true;
    }
    return conn;
}

static struct pool_waiter *
head_of_line(struct pool *pool)
{
    struct pool_waiter *waiter = pool->first;

    if (waiter) {
        pool->first = waiter->next;
        if (!pool->first)
            pool->last = NULL;
    }
    return waiter;
}

static void
release_slot(struct pool *pool)
{
    struct pool_waiter *waiter = head_of_line(pool);

    if (waiter) {
        waiter->slot = true;
        pthread_cond_signal(&waiter->wake);
    } else {
        pool->total--;
    }
}

static bool
may_grow(const struct pool *pool)
{
    return pool->total < pool->options->pool_max &&
           (pool->total < pool->limit || clock_now_ms() >= pool->limited_until_ms);
}

static bool
spare_is_wanted(const struct pool *pool)
{
    int least = pool->options->pool_min_idle;

    /* More than may stay idle would be dialled and closed in turns. */
    if (least > pool->options->pool_max_idle)
        least = pool->options->pool_max_idle;
    return pool->idle_count < least && may_grow(pool);
}

/* Wait for a turn: a connection, or a slot to dial in. */
static enum larder_status
wait_in_line(struct pool *pool, int64_t deadline_ms, struct conn **out, struct larder_error *err)
{
    struct pool_waiter me = {.conn = NULL};
    int64_t limit = clock_now_ms() + pool->options->pool_timeout_ms;
    bool late = false;
    pthread_condattr_t attr;

    if (limit > deadline_ms)
        limit = deadline_ms;
    struct timespec until = {(time_t)(limit / 1000), (long)(limit % 1000) * 1000000};

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&me.wake, &attr);
    pthread_condattr_destroy(&attr);

    if (pool->last)
        pool->last->next = &me;
    else
        pool->first = &me;
    pool->last = &me;
    while (!me.conn && !me.slot && !me.sent_away && !late)
        late = pthread_cond_timedwait(&me.wake, &pool->lock, &until) == ETIMEDOUT;
    pthread_cond_destroy(&me.wake);

    if (me.conn || me.slot) {
        *out = me.conn;
        return LARDER_OK;
    }
    if (me.sent_away)
        return error_set(err, LARDER_UNAVAILABLE, "%s: given up for now", pool->endpoint->where);

    struct pool_waiter *before = NULL;
    for (struct pool_waiter *i = pool->first; i != &me; i = i->next)
        before = i;
    if (before)
        before->next = me.next;
    else
        pool->first = me.next;
    if (pool->last == &me)
        pool->last = before;
    count(&pool->timeouts);
    return error_set(err, LARDER_TIMEOUT, "%s: all %d connections are in use",
                     pool->endpoint->where, pool->total);
}

/* --------------------------------------------------------------------------- */

/* Does it lead to the server that was met last? */
static bool
is_current(const struct pool *pool, const struct conn *conn)
{
    return conn->identity == identity_current(pool->endpoint->identity);
}

static bool
is_expired(const struct pool *pool, const struct conn *conn, int64_t now_ms)
{
    int64_t max_idle_ms = pool->options->conn_max_idle_ms;

    return !is_current(pool, conn) || now_ms >= conn->expires_ms ||
           (max_idle_ms > 0 && now_ms - conn->idle_since_ms >= max_idle_ms);
}

/* With the lock held: is it time to tell the log? */
static bool
tell(struct pool *pool, int64_t now_ms)
{
    if (!pool->options->log || (pool->told_ms != 0 && now_ms - pool->told_ms < TELL_MS))
        return false;
    pool->told_ms = now_ms;
    return true;
}

bool
pool_dial_failed(struct pool *pool, const struct larder_error *err)
{
    char line[LARDER_ERROR_MAX + 64];
    int64_t now_ms = clock_now_ms();
    bool told = false;

    pthread_mutex_lock(&pool->lock);
    int others = pool->total - 1;
    bool limited = others > 0 && conn_found_no_room(err->message);
    if (limited) {
        pool->total = pool->limit = others;
        pool->limited_until_ms = now_ms + LIMITED_MS;
        told = tell(pool, now_ms);
    } else {
        release_slot(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (told) {
        snprintf(line, sizeof line, "%s; going on with the %d connections that there are",
                 err->message, others);
        pool->options->log(pool->options->log_arg, LARDER_LOG_WARNING, line);
    }
    return limited;
}

/* Dial in a slot that is ours; on failure the slot is given back. *limited: there are others. */
static enum larder_status
dial(struct pool *pool, int64_t deadline_ms, struct conn **out, bool *limited,
     struct larder_error *caller_err)
{
    struct larder_error err = {.status = LARDER_OK};

    count(&pool->misses);
    enum larder_status status = conn_dial(pool->endpoint, deadline_ms, -1, out, &err);
    *limited = status != LARDER_OK && pool_dial_failed(pool, &err);
    if (status != LARDER_OK && caller_err)
        *caller_err = err;
    return status;
}

/* If the server refuses one more connection, wait for one of those that there are. */
static enum larder_status
dial_or_wait(struct pool *pool, int64_t deadline_ms, struct conn **out, bool *dialled,
             struct larder_error *err)
{
    bool limited;
    enum larder_status status = dial(pool, deadline_ms, out, &limited, err);

    *dialled = true;
    if (!limited)
        return status;
    pthread_mutex_lock(&pool->lock);
    /* Unless the last of them has ended meanwhile. */
    if (pool->total > 0) {
        *dialled = false;
        *out = pop_idle(pool);
        status = *out ? LARDER_OK : wait_in_line(pool, deadline_ms, out, err);
    }
    pthread_mutex_unlock(&pool->lock);
    if (status == LARDER_OK && !*out) { /* a slot, because one of them has ended */
        *dialled = true;
        status = dial(pool, deadline_ms, out, &limited, err);
    }
    return status;
}

enum larder_status
pool_get(struct pool *pool, int64_t deadline_ms, bool fresh, struct conn **out, bool *dialled,
         struct larder_error *err)
{
    enum larder_status status = LARDER_OK;
    struct conn *conn = NULL;
    struct conn *doomed = NULL;
    bool slot = false;

    *out = NULL;
    *dialled = false;
    pthread_mutex_lock(&pool->lock);
    for (int i = 0; i < IDLE_TRIES && !fresh && (conn = pop_idle(pool)); i++) {
        bool nudge = spare_is_wanted(pool);
        if (slot)
            release_slot(pool); /* the one of the dead connection before */
        pthread_mutex_unlock(&pool->lock);
        if (nudge)
            pool->nudge(pool->nudge_arg);
        if (!is_expired(pool, conn, clock_now_ms()) && conn_is_alive(conn)) {
            count(&pool->hits);
            *out = conn;
            return LARDER_OK;
        }
        count(&pool->stale);
        conn_close(conn);
        slot = true;
        pthread_mutex_lock(&pool->lock);
    }
    if (!slot && may_grow(pool)) {
        pool->total++;
        slot = true;
    }
    if (!slot && (doomed = pop_idle(pool)))
        slot = true; /* only when a fresh one must be had: an idle one makes room */
    conn = NULL;
    if (!slot)
        status = wait_in_line(pool, deadline_ms, &conn, err);
    pthread_mutex_unlock(&pool->lock);

    conn_close(doomed);
    if (status != LARDER_OK)
        return status;
    if (conn && !fresh && conn_is_alive(conn)) {
        count(&pool->hits);
        *out = conn;
        return LARDER_OK;
    }
    if (conn && !fresh)
        count(&pool->stale);
    conn_close(conn);
    return dial_or_wait(pool, deadline_ms, out, dialled, err);
}

/* When a connection of now will have lived long enough. Up to a tenth less for each, so that those
 * which were born together do not die together. */
static int64_t
end_of_life(const struct pool *pool, int64_t now_ms, const struct conn *conn)
{
    int64_t life = pool->options->conn_max_lifetime_ms;
    uint64_t mix = ((uint64_t)(uintptr_t)conn ^ (uint64_t)now_ms) * UINT64_C(0x9e3779b97f4a7c15);

    if (life <= 0)
        return INT64_MAX;
    return now_ms + life - (int64_t)((mix >> 33) % (uint64_t)(life / 10 + 1));
}

void
pool_put(struct pool *pool, struct conn *conn)
{
    int64_t now = clock_now_ms();
    bool keep = !conn->pending && is_current(pool, conn);
    bool nudge = false;

    if (conn->expires_ms == 0)
        conn->expires_ms = end_of_life(pool, now, conn);
    conn->idle_since_ms = now;

    pthread_mutex_lock(&pool->lock);
    struct pool_waiter *waiter = keep ? head_of_line(pool) : NULL;
    if (waiter) {
        conn->kept = true;
        waiter->conn = conn;
        conn = NULL;
        pthread_cond_signal(&waiter->wake);
    } else if (keep && pool->idle_count < pool->options->pool_max_idle) {
        conn->next = pool->idle;
        pool->idle = conn;
        pool->idle_count++;
        conn = NULL;
    } else {
        release_slot(pool);
        nudge = spare_is_wanted(pool);
    }
    pthread_mutex_unlock(&pool->lock);

    conn_close(conn);
    if (nudge)
        pool->nudge(pool->nudge_arg);
}

void
pool_rest(struct pool *pool)
{
    struct pool_waiter *waiter;

    pthread_mutex_lock(&pool->lock);
    struct conn *list = pool->idle;
    pool->total -= pool->idle_count;
    pool->idle_count = 0;
    pool->idle = NULL;
    while ((waiter = head_of_line(pool))) {
        waiter->sent_away = true;
        pthread_cond_signal(&waiter->wake);
    }
    pthread_mutex_unlock(&pool->lock);

    while (list) {
        struct conn *next = list->next;
        conn_close(list);
        list = next;
    }
}

int64_t
pool_expire(struct pool *pool, int64_t now_ms)
{
    int64_t max_idle_ms = pool->options->conn_max_idle_ms;
    int64_t life_ms = pool->options->conn_max_lifetime_ms;
    int64_t look_ms = EXPIRE_LOOK_MS;
    struct conn *doomed = NULL;

    if (max_idle_ms > 0 && max_idle_ms < look_ms)
        look_ms = max_idle_ms;
    if (life_ms > 0 && life_ms < look_ms)
        look_ms = life_ms;
    if (look_ms < EXPIRE_LOOK_LEAST_MS)
        look_ms = EXPIRE_LOOK_LEAST_MS;
    int64_t next_ms = now_ms + look_ms;

    pthread_mutex_lock(&pool->lock);
    for (struct conn **at = &pool->idle; *at;) {
        struct conn *conn = *at;
        if (is_expired(pool, conn, now_ms)) {
            *at = conn->next;
            conn->next = doomed;
            doomed = conn;
            pool->idle_count--;
            release_slot(pool);
            continue;
        }
        if (conn->expires_ms < next_ms)
            next_ms = conn->expires_ms;
        if (max_idle_ms > 0 && conn->idle_since_ms + max_idle_ms < next_ms)
            next_ms = conn->idle_since_ms + max_idle_ms;
        at = &conn->next;
    }
    pthread_mutex_unlock(&pool->lock);

    while (doomed) {
        struct conn *next = doomed->next;
        count(&pool->stale);
        conn_close(doomed);
        doomed = next;
    }
    return next_ms - now_ms;
}

bool
pool_reserve_spare(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool wanted = spare_is_wanted(pool);
    if (wanted)
        pool->total++;
    pthread_mutex_unlock(&pool->lock);
    return wanted;
}

void
pool_add_spare(struct pool *pool, struct conn *conn)
{
    pool_put(pool, conn);
}

void
pool_stats(struct pool *pool, struct larder_stats *out)
{
    pthread_mutex_lock(&pool->lock);
    out->pool_total = (uint32_t)pool->total;
    out->pool_idle = (uint32_t)pool->idle_count;
    pthread_mutex_unlock(&pool->lock);
    out->pool_hits = atomic_load_explicit(&pool->hits, memory_order_relaxed);
    out->pool_misses = atomic_load_explicit(&pool->misses, memory_order_relaxed);
    out->pool_timeouts = atomic_load_explicit(&pool->timeouts, memory_order_relaxed);
    out->pool_stale = atomic_load_explicit(&pool->stale, memory_order_relaxed);
}
