/*
 * Counters of the whole pool, in one file mapped by every process:
 * <runtime_dir>/counters. One slot a process, so that counting is a plain
 * atomic add on a line of its own; what a process has counted stays in its slot
 * when it dies, and whoever takes the slot next goes on from there. larderctl
 * reads the file.
 *
 * Format: a header page (magic, version, sizes, a fingerprint of the names
 * below), then slots; a slot is claimed by a lock on its first byte, which the
 * kernel lets go when the process is gone. See counters.c.
 */
#ifndef RUNTIME_COUNTERS_H
#define RUNTIME_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "larder.h"

/* X(name, what it counts) */
#define COUNTERS(X)                                                                 \
    X(requests, "requests received")                                                \
    X(hits, "answered from the cache")                                              \
    X(stale, "answered with a stale response")                                      \
    X(revalidated, "answered from the cache after a 304")                           \
    X(refreshes, "stale entries fetched anew in the background")                    \
    X(misses, "fetched from the backend and cacheable")                             \
    X(collapsed, "answered with what was fetched for somebody else")                \
    X(coalesce_timeouts, "waited for somebody else's fetch for too long")           \
    X(hit_for_miss, "waited for nobody, because it is nobody else's")               \
    X(bypasses, "passed to the backend without the cache")                          \
    X(disabled, "passed because the cache is disabled")                             \
    X(stored, "responses stored")                                                   \
    X(store_skipped_queue, "stores skipped: queue full")                            \
    X(store_skipped_variants, "stores skipped: as many variants are in use")        \
    X(store_failed, "stores that Redis did not take")                               \
    X(store_too_large, "responses over max_object")                                 \
    X(redis_errors, "lookups that Redis did not answer in time or at all")          \
    X(corrupt, "entries that did not decode")                                       \
    X(invalidations, "mutations that invalidated something")                        \
    X(invalidated_keys, "keys deleted by invalidations")                            \
    X(invalidate_journal, "invalidations that went to the journal")                 \
    X(unproven, "responses not stored: a tag of theirs was invalidated meanwhile")  \
    X(invalidate_failed, "invalidations that failed")                               \
    X(purges, "purges by operators and applications")                               \
    X(purges_refused, "purges refused")                                             \
    X(upstream_requests, "requests sent to the backend")                            \
    X(asked_again, "... once more, because of the Vary of the answer or a refusal") \
    X(upstream_unreachable, "answered 502")                                         \
    X(upstream_overloaded, "answered 503")                                          \
    X(upstream_timeout, "answered 504")                                             \
    X(upstream_broken, "answers that broke off")                                    \
    X(client_gone, "clients that left before the end")                              \
    X(bad_requests, "requests refused")                                             \
    X(loops, "answered 508: they had come back from the backend")                   \
    X(bytes_out, "body bytes sent to web servers")

enum counter {
#define COUNTERS_ENUM(name, help) COUNTER_##name,
    COUNTERS(COUNTERS_ENUM)
#undef COUNTERS_ENUM
        COUNTER_COUNT
};

/* Map the file and claim a slot. On failure counting goes to private memory, so that the responder
 * works all the same; err says why. Creates runtime_dir/counters with mode 0640; the directory must
 * be there. A file that another version of Larder laid out, or that is cut short, is replaced; one
 * that is not ours (no magic, another owner, writable by others, no regular file) is refused.
 * Main thread, before others count; what was counted before goes into the slot. */
enum larder_status counters_open(const char *runtime_dir, struct larder_error *err);
/* Give the slot back; its counts stay. A late counters_add() by another thread does no harm. */
void counters_close(void);

/* Any thread; relaxed atomic. Before counters_open() it counts into private memory. */
void counters_add(enum counter counter, uint64_t n);

struct counters_total {
    uint64_t value[COUNTER_COUNT];
    int processes; /* living ones */
};

/* Sum over all slots, for larderctl and tests; needs no counters_open(), and no more than to read
 * the file. LARDER_MISS: there is none. LARDER_CORRUPT: not one that this version can read. */
enum larder_status counters_read(const char *runtime_dir, struct counters_total *out,
                                 struct larder_error *err);
const char *counter_name(enum counter counter);
const char *counter_help(enum counter counter);

#endif
