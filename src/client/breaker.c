/*
 * The circuit breaker: counting and the two changes of state; see the header.
 * Called by command.c after each exchange and by keeper.c for its probes. It
 * never touches the network and never reads the clock.
 */
#include "client/breaker.h"

#include <stdio.h>
#include <string.h>

void
breaker_init(struct breaker *breaker, const struct larder_options *options, const char *where)
{
    breaker->limit = options->breaker_failures;
    breaker->log = options->log;
    breaker->log_arg = options->log_arg;
    breaker->where = where;
    breaker->opened_ms = 0;
    atomic_init(&breaker->failures, 0);
    atomic_init(&breaker->open, false);
    atomic_init(&breaker->failing, false);
    breaker->why[0] = '\0';
    pthread_mutex_init(&breaker->lock, NULL);
}

void
breaker_destroy(struct breaker *breaker)
{
    pthread_mutex_destroy(&breaker->lock);
}

void
breaker_success(struct breaker *breaker)
{
    if (atomic_load_explicit(&breaker->failing, memory_order_relaxed))
        atomic_store_explicit(&breaker->failing, false, memory_order_relaxed);
    /* Read first: a store by every request would send the cache line round all cores. */
    if (atomic_load_explicit(&breaker->failures, memory_order_relaxed) != 0 &&
        !breaker_is_open(breaker))
        atomic_store_explicit(&breaker->failures, 0, memory_order_relaxed);
}

void
breaker_note(struct breaker *breaker, const char *why)
{
    size_t n = strlen(breaker->where);
    if (strncmp(why, breaker->where, n) == 0 && strncmp(why + n, ": ", 2) == 0)
        why += n + 2;
    pthread_mutex_lock(&breaker->lock);
    snprintf(breaker->why, sizeof breaker->why, "%s", why);
    pthread_mutex_unlock(&breaker->lock);
    atomic_store_explicit(&breaker->failing, true, memory_order_release);
}

void
breaker_why(struct breaker *breaker, char *out, size_t size)
{
    bool failing = breaker_is_open(breaker) ||
                   atomic_load_explicit(&breaker->failing, memory_order_acquire);
    pthread_mutex_lock(&breaker->lock);
    snprintf(out, size, "%s", failing ? breaker->why : "");
    pthread_mutex_unlock(&breaker->lock);
}

bool
breaker_failure(struct breaker *breaker, int64_t now_ms, const char *why)
{
    char line[LARDER_ERROR_MAX + 128];
    bool opened = false;

    breaker_note(breaker, why);
    if (breaker->limit == 0 || breaker_is_open(breaker))
        return false;
    int failures = atomic_fetch_add_explicit(&breaker->failures, 1, memory_order_relaxed) + 1;
    if (failures < breaker->limit)
        return false;

    pthread_mutex_lock(&breaker->lock);
    if (!breaker_is_open(breaker)) {
        opened = true;
        breaker->opened_ms = now_ms;
        atomic_store_explicit(&breaker->open, true, memory_order_release);
        if (breaker->log) {
            snprintf(line, sizeof line, "%s: not asked any more after %d failures in a row: %s",
                     breaker->where, failures, why);
            breaker->log(breaker->log_arg, LARDER_LOG_WARNING, line);
        }
    }
    pthread_mutex_unlock(&breaker->lock);
    return opened;
}

void
breaker_close(struct breaker *breaker, int64_t now_ms)
{
    char line[LARDER_ERROR_MAX];

    pthread_mutex_lock(&breaker->lock);
    if (breaker_is_open(breaker)) {
        atomic_store_explicit(&breaker->failures, 0, memory_order_relaxed);
        atomic_store_explicit(&breaker->open, false, memory_order_release);
        if (breaker->log) {
            snprintf(line, sizeof line, "%s: answers again after %lld ms", breaker->where,
                     (long long)(now_ms - breaker->opened_ms));
            breaker->log(breaker->log_arg, LARDER_LOG_INFO, line);
        }
    }
    pthread_mutex_unlock(&breaker->lock);
}
