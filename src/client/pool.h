/*
 * The pool of connections of one client.
 *
 * A slot is the right to have one connection: idle, in use, or being dialled.
 * There are pool_max of them. Who finds neither an idle connection nor a free
 * slot waits in line; a connection or slot that comes back goes to the head of
 * the line, so nobody is overtaken. The lock is held for moves in lists only,
 * never across a system call on a socket.
 */
#ifndef CLIENT_POOL_H
#define CLIENT_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/redis.h"
#include "larder.h"

struct pool_waiter;

struct pool {
    const struct larder_options *options;
    const struct endpoint *endpoint;
    void (*nudge)(void *arg); /* fewer idle ones than should be; must not block */
    void *nudge_arg;

    pthread_mutex_t lock; /* guards the rest but the counters */
    struct conn *idle;    /* last used first */
    int idle_count;
    int total;                /* slots taken */
    int limit;                /* the server has refused one more than these ... */
    int64_t limited_until_ms; /* ... and is not tried again before then; monotonic */
    int64_t told_ms;          /* when the log was told of it; 0: never */
    struct pool_waiter *first;
    struct pool_waiter *last;

    atomic_uint_fast64_t hits;
    atomic_uint_fast64_t misses;
    atomic_uint_fast64_t timeouts;
    atomic_uint_fast64_t stale;
};

void pool_init(struct pool *pool, const struct larder_options *options,
               const struct endpoint *endpoint, void (*nudge)(void *arg), void *nudge_arg);
/* Everything must have been given back. */
void pool_destroy(struct pool *pool);

/*
 * Take a connection: a warm idle one if there is one (fresh: not even then), a
 * new one if there is a free slot and the server takes one more, otherwise the next
 * that comes back, waiting until the deadline or for pool_timeout_ms.
 *
 * LARDER_TIMEOUT with *dialled false: none came back in time. Any failure with
 * *dialled true is the server's; err has its words. The caller gives the
 * connection back with pool_put(), clean or not.
 */
enum larder_status pool_get(struct pool *pool, int64_t deadline_ms, bool fresh, struct conn **out,
                            bool *dialled, struct larder_error *err);

/* Give back. One that is pending is closed: its answer would be taken for the next one's. So is one
 * that leads to another server than the one that was met last. */
void pool_put(struct pool *pool, struct conn *conn);

/* The server is given up for now: close what is idle, send away who waits. */
void pool_rest(struct pool *pool);

/* For the background thread: */
/* Close what is idle for too long, too old, or another server's; ms until the next one will be, at most a minute. */
int64_t pool_expire(struct pool *pool, int64_t now_ms);
/* Take a slot for a spare connection, if one more should be idle. */
bool pool_reserve_spare(struct pool *pool);
/* A new connection into a reserved slot. */
void pool_add_spare(struct pool *pool, struct conn *conn);
/*
 * Dialling into a slot has failed, which is free again. true: the server takes no more (maxclients),
 * but there are connections that it has taken: these have to do for a while. That is no failure.
 */
bool pool_dial_failed(struct pool *pool, const struct larder_error *err);

/* Fills the pool's part. */
void pool_stats(struct pool *pool, struct larder_stats *out);

#endif
