/*
 * The circuit breaker: after a few failures in a row nobody asks Redis any more
 * until it has answered a PING again.
 *
 * A failure is a connection that does not come about, a timeout, or garbage. An
 * error reply is none: whoever answers OOM is alive. The probes are sent by the
 * client's own thread (keeper.c), so that no request ever pays for one.
 */
#ifndef CLIENT_BREAKER_H
#define CLIENT_BREAKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "larder.h"

struct breaker {
    int limit; /* failures in a row; 0: no breaker */
    larder_log_fn log;
    void *log_arg;
    const char *where;
    atomic_int failures;
    atomic_bool open;
    pthread_mutex_t lock;       /* one change of state, and its log line, at a time */
    int64_t opened_ms;          /* guarded by lock */
    char why[LARDER_ERROR_MAX]; /* the last failure; guarded by lock */
    atomic_bool failing;        /* ... and nothing has been answered since */
};

void breaker_init(struct breaker *breaker, const struct larder_options *options, const char *where);
void breaker_destroy(struct breaker *breaker);

static inline bool
breaker_is_open(const struct breaker *breaker)
{
    return atomic_load_explicit(&breaker->open, memory_order_acquire);
}

/* It has failed lately, and not answered since. */
static inline bool
breaker_is_suspicious(const struct breaker *breaker)
{
    return breaker->limit > 0 && atomic_load_explicit(&breaker->failures, memory_order_relaxed) > 0;
}

/* Redis answered. While open this changes nothing: an answer that was on its way for long proves
 * little, the probe decides. */
void breaker_success(struct breaker *breaker);

/* It did not; why is for the log. true: this failure has opened the breaker. */
bool breaker_failure(struct breaker *breaker, int64_t now_ms, const char *why);

/* What is the matter, for who asks: an error reply, or a probe that failed as well. Counts nothing. */
void breaker_note(struct breaker *breaker, const char *why);

/* The words of the last failure, without `where`; "" if Redis has answered since. */
void breaker_why(struct breaker *breaker, char *out, size_t size);

/* The probe was answered. */
void breaker_close(struct breaker *breaker, int64_t now_ms);

#endif
