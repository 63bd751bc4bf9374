/*
 * What is inside a struct larder, for the files of this directory only.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/breaker.h"
#include "client/identity.h"
#include "client/keeper.h"
#include "client/listen.h"
#include "client/pool.h"
#include "client/redis.h"
#include "client/registry.h"
#include "larder.h"

struct larder {
    struct larder_options options; /* strings are our own */
    char *prefix;                  /* the namespace and a colon, or "" */
    size_t prefix_len;
    int64_t new_life_ms; /* of a generation under which nothing has been stored yet */
    struct endpoint endpoint;
    struct identity identity;
    struct pool pool;
    struct breaker breaker;
    atomic_int_least64_t answered_ms; /* monotonic; when Redis did last */
    struct keeper keeper;
    struct listener listener;
    struct registry registry;
    atomic_bool no_unlink; /* this server is too old for UNLINK */

    atomic_uint_fast64_t hits;
    atomic_uint_fast64_t misses;
    atomic_uint_fast64_t errors;
    atomic_uint_fast64_t retries;
};

static inline void
client_count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
