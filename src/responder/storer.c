/*
 * What happens after the answer.
 *
 * No client waits for a store, so it gets a budget of its own; but a queue that
 * grows while Redis is slow would eat the memory of the machine, so it is
 * bounded and what does not fit is dropped: a cache may always forget. An
 * invalidation may not, and has no such bound.
 */
#include "responder/storer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/store.h"
#include "responder/invalidate.h"
#include "runtime/counters.h"

#define STORE_TIMEOUT_MS 3000

struct job {
    struct job *next;
    struct site *site;
    char *key; /* NULL: an invalidation */
    char *head, *body;
    size_t head_len, body_len;
    int64_t ttl_ms;
    char **patterns;
    size_t pattern_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static size_t count, bytes;
static bool stopping;
static int64_t give_up_ms; /* when stopping: do not store beyond this time */
static pthread_t thread;

static void
job_free(struct job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->pattern_count; i++)
        free(job->patterns[i]);
    free(job->patterns);
    free(job->key);
    free(job->head);
    free(job->body);
    site_give(job->site);
    free(job);
}

static void
run(const struct job *job)
{
    if (!job->key) {
        invalidate_now(job->site, (const char *const *)job->patterns, job->pattern_count);
        return;
    }
    struct iovec value[2] = {{job->head, job->head_len}, {job->body, job->body_len}};
    struct larder_error err;
    enum larder_status status = store_put(job->site->cache, job->key, value, 2, job->ttl_ms,
                                          clock_now_ms() + STORE_TIMEOUT_MS, &err);
    if (status == LARDER_OK) {
        counters_add(COUNTER_stored, 1);
        return;
    }
    counters_add(COUNTER_store_failed, 1);
    log_write(LARDER_LOG_DEBUG, "cannot store %s: %s", job->key, err.message);
}

static void *
storer(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!first && !stopping)
            pthread_cond_wait(&work, &lock);
        if (!first)
            break;
        struct job *job = first;
        first = job->next;
        if (!first)
            last = &first;
        bool too_late = stopping && job->key && clock_now_ms() >= give_up_ms;
        pthread_mutex_unlock(&lock);
        if (too_late)
            counters_add(COUNTER_store_skipped_queue, 1);
        else
            run(job);
        size_t size = job->head_len + job->body_len;
        job_free(job);
        pthread_mutex_lock(&lock);
        /* Until now, so that what is being sent counts against the bound as well. */
        count--;
        bytes -= size;
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

bool
storer_start(void)
{
    return pthread_create(&thread, NULL, storer, NULL) == 0;
}

/* Called with the lock held. */
static void
append(struct job *job)
{
    *last = job;
    last = &job->next;
    count++;
    bytes += job->head_len + job->body_len;
    pthread_cond_signal(&work);
}

void
storer_put(struct site *site, const char *key, char *head, size_t head_len, char *body,
           size_t body_len, int64_t ttl_ms)
{
    struct job *job = calloc(1, sizeof *job);
    char *copy = strdup(key);
    if (!job || !copy) {
        free(job);
        free(copy);
        free(head);
        free(body);
        counters_add(COUNTER_store_failed, 1);
        return;
    }
    *job = (struct job){.site = site_again(site),
                        .key = copy,
                        .head = head,
                        .head_len = head_len,
                        .body = body,
                        .body_len = body_len,
                        .ttl_ms = ttl_ms};
    const struct config *config = site->config;
    pthread_mutex_lock(&lock);
    bool fits = count < config->store_queue_count && bytes < config->store_queue_bytes &&
                head_len + body_len <= config->store_queue_bytes - bytes;
    if (fits)
        append(job);
    pthread_mutex_unlock(&lock);
    if (!fits) {
        counters_add(COUNTER_store_skipped_queue, 1);
        job_free(job);
    }
}

bool
storer_invalidate(struct site *site, const char *const *patterns, size_t pattern_count)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return false;
    job->site = site_again(site);
    job->patterns = calloc(pattern_count ? pattern_count : 1, sizeof *job->patterns);
    for (size_t i = 0; job->patterns && i < pattern_count; i++) {
        job->patterns[i] = strdup(patterns[i]);
        if (!job->patterns[i])
            break;
        job->pattern_count++;
    }
    if (!job->patterns || job->pattern_count < pattern_count) {
        job_free(job);
        return false;
    }
    pthread_mutex_lock(&lock);
    append(job);
    pthread_mutex_unlock(&lock);
    return true;
}

void
storer_stop(int64_t timeout_ms)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    give_up_ms = clock_now_ms() + timeout_ms;
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
}

void
storer_numbers(size_t *out_count, size_t *out_bytes)
{
    pthread_mutex_lock(&lock);
    *out_count = count;
    *out_bytes = bytes;
    pthread_mutex_unlock(&lock);
}
