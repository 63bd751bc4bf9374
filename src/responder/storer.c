/*
 * What happens after the answer.
 *
 * No client waits for a store, so it gets a budget of its own; but a queue that
 * grows while Redis is slow would eat the memory of the machine, so it is
 * bounded and what does not fit is dropped: a cache may always forget. An
 * invalidation may not, and has no such bound.
 *
 * Redis may be some milliseconds away, so there are several threads, each with a
 * lane of its own. All that is stored of one URL goes into the same lane, in order;
 * invalidations have one to themselves, because each may take seconds.
 */
#include "responder/storer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/store.h"
#include "responder/drain.h"
#include "responder/entry.h"
#include "responder/gone_later.h"
#include "responder/marker.h"
#include "runtime/counters.h"

#define STORE_TIMEOUT_MS 3000
/* Entries and markers begin with the same bytes: "LARDER". */
#define OURS_LEN 6

/* More small work than this is dropped: it is worth less than what waits. */
#define SMALL_MAX ((size_t)256)

enum job_kind { JOB_PUT, JOB_TOUCH, JOB_DROP, JOB_INVALIDATE };

struct job {
    struct job *next;
    enum job_kind kind;
    struct site *site;
    char *key;
    char *head;
    size_t head_len;
    struct spool *body; /* NULL: none */
    int64_t ttl_ms;
    void (*done)(void *arg, bool stored);
    void *arg;
    bool replaces; /* a put, a drop: only what has this: */
    char checksum[ENTRY_CHECKSUM_SIZE];
    char *primary; /* NULL: no variant */
    struct slice names;
    bool names_all;
    bool yields; /* a put */
    size_t max_variants;
    struct purge purge;
};

struct queue {
    struct job *first, **last;
};

/* Of jobs that are about URLs, and that of invalidations, behind them. */
#define URL_LANES 4
#define LANES (URL_LANES + 1)

struct lane {
    pthread_t thread;
    pthread_cond_t work; /* by CLOCK_MONOTONIC */
    struct queue stores, touches;
    size_t count, bytes; /* of what is to be stored, with what is at work */
    bool touched;        /* the last one was a touch: what is to be stored has its turn */
    int64_t gone_ms; /* when to see to what is gone; 0: there is nothing, or it is another lane's */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct lane lanes[LANES];
/* Of all lanes, with what is at work. */
static size_t stores, touches, bytes;
static bool stopping;
static int64_t give_up_ms; /* when stopping: do not store beyond this time */

static void
job_free(struct job *job)
{
    if (!job)
        return;
    purge_free(&job->purge);
    free(job->key);
    free(job->head);
    spool_give(job->body);
    free(job->primary);
    free((char *)job->names.p);
    site_give(job->site);
    free(job);
}

/* What it holds. */
static size_t
size_of(const struct job *job)
{
    return job->head_len + (job->body ? spool_size(job->body) : 0);
}

/* Say what became of it, to who wants to know. */
static void
tell(struct job *job, bool stored)
{
    if (job->done)
        job->done(job->arg, stored);
    job->done = NULL;
}

/* The names of both; those of the job alone if that is too much. .p NULL: no memory. */
static struct slice
names_together(const struct marker *there, struct slice names, struct arena *arena)
{
    struct vary own, all;
    if (!vary_unformat(&own, names, arena) || !vary_union(&all, &there->vary, &own))
        return names;
    return vary_format(&all, arena);
}

/*
 * The marker under the primary key: that there are variants, and by which fields.
 * Mostly it is there already and lives long enough. Names come to it as responses
 * bring them, and go with it: it lives as long as the last response that had them
 * all, so that a name which nobody has any more does not split a page for ever.
 */
static enum larder_status
put_marker(const struct job *job, int64_t deadline_ms, struct larder_error *err)
{
    struct larder *cache = job->site->cache;
    struct store_value value = {.data = NULL};
    struct marker marker;
    int64_t left_ms = 0;
    struct arena *arena = arena_new((size_t)64 * 1024);
    if (!arena)
        return LARDER_NOMEM;
    bool there = store_peek(cache, job->primary, MARKER_SIZE_MAX, deadline_ms, &value, &left_ms,
                            err) == LARDER_OK &&
                 marker_decode(&marker, value.data, value.len, arena);
    enum larder_status status = LARDER_OK;
    bool lasts = there && (left_ms < 0 || left_ms >= job->ttl_ms || !job->names_all);
    struct slice names = there ? names_together(&marker, job->names, arena) : job->names;
    if (!there || !slice_equal(marker.names, names) ||
        (!lasts && slice_equal(marker.names, job->names))) {
        struct slice text = names.p ? marker_encode(names, arena) : names;
        struct iovec piece = {(void *)text.p, text.n};
        int64_t ttl_ms = there && left_ms > job->ttl_ms ? left_ms : job->ttl_ms;
        if (ttl_ms > STORE_TTL_MAX_S * 1000)
            ttl_ms = STORE_TTL_MAX_S * 1000;
        status = text.p ? store_put(cache, job->primary, &piece, 1, ttl_ms, NULL, deadline_ms, err)
                        : LARDER_NOMEM;
    }
    store_value_free(&value);
    arena_free(arena);
    return status;
}

/* The entry, and the generations under which it is stored live as long as it does. */
static enum larder_status
put_entry(const struct job *job, const struct store_guard *guard, int64_t deadline_ms,
          struct larder_error *err)
{
    struct slice body = job->body ? spool_body(job->body) : (struct slice){NULL, 0};
    const struct iovec value[2] = {{job->head, job->head_len}, {(void *)body.p, body.n}};
    const char *tags[STORE_LIVES_MAX];
    store_generation values[STORE_LIVES_MAX];
    struct arena *arena = arena_new((size_t)STORE_LIVES_MAX * STORE_TAG_SIZE);
    struct store_lives lives = {tags, (const store_generation *)values, 0};
    if (arena)
        lives.n = entry_tags(job->head, job->head_len, tags, values, STORE_LIVES_MAX, arena);
    enum larder_status status = store_put_under(job->site->cache, job->key, value, 2, job->ttl_ms,
                                                guard, &lives, deadline_ms, err);
    arena_free(arena);
    return status;
}

static void
run_put(struct job *job, int64_t deadline_ms)
{
    struct larder_error err = {0};
    struct larder *cache = job->site->cache;
    enum larder_status status;
    const struct store_guard same = {
        .offset = ENTRY_CHECKSUM_AT, .bytes = job->checksum, .len = sizeof job->checksum};
    /* One with Vary has come while this one was fetched: its variants stay. */
    const struct store_guard marker = {
        .bytes = MARKER_MAGIC, .len = sizeof MARKER_MAGIC - 1, .unless = true};
    const struct store_guard ours = {.bytes = MARKER_MAGIC, .len = OURS_LEN, .unless = true};
    const struct store_guard *guard = job->replaces ? &same : job->yields ? &ours : NULL;
    if (!job->primary) {
        if (!guard && !job->site->config->compat_ancestor)
            guard = &marker;
        status = put_entry(job, guard, deadline_ms, &err);
    } else {
        bool admitted = false;
        status = store_variant_admit(cache, job->primary, job->key, job->ttl_ms,
                                     store_clock_ms(cache), job->max_variants, deadline_ms,
                                     &admitted, &err);
        if (status == LARDER_OK && !admitted) {
            tell(job, false);
            counters_add(COUNTER_store_skipped_variants, 1);
            return;
        }
        if (status == LARDER_OK)
            status = put_entry(job, guard, deadline_ms, &err);
        if (status == LARDER_OK)
            status = put_marker(job, deadline_ms, &err);
    }
    tell(job, status == LARDER_OK || status == LARDER_EXISTS);
    if (status == LARDER_OK) {
        counters_add(COUNTER_stored, 1);
        return;
    }
    if (status == LARDER_EXISTS) {
        log_write(LARDER_LOG_DEBUG, "%s is another one by now: not replaced", job->key);
        return;
    }
    counters_add(COUNTER_store_failed, 1);
    log_write(LARDER_LOG_DEBUG, "cannot store %s: %s", job->key, err.message);
}

static void
run_drop(const struct job *job, int64_t deadline_ms)
{
    const struct store_guard same = {
        .offset = ENTRY_CHECKSUM_AT, .bytes = job->checksum, .len = sizeof job->checksum};
    (void)store_drop(job->site->cache, job->key, job->replaces ? &same : NULL, deadline_ms, NULL);
}

static void
run_purge(const struct job *job)
{
    struct larder_error err = {0};
    int64_t deleted = 0;
    int64_t deadline_ms = clock_now_ms() + drain_bounded(job->site->config->invalidate_timeout_ms);
    enum purge_outcome outcome = purge_run(job->site, &job->purge, deadline_ms, &deleted, &err);
    counters_add(COUNTER_invalidated_keys, deleted > 0 ? (uint64_t)deleted : 0);
    enum purge_outcome moved = purge_moved(job->site, deadline_ms, &err);
    if (moved > outcome)
        outcome = moved;
    if (outcome == PURGE_DONE || outcome == PURGE_QUEUED)
        return;
    bool noted = outcome == PURGE_JOURNAL;
    counters_add(noted ? COUNTER_invalidate_journal : COUNTER_invalidate_failed, 1);
    log_write(LARDER_LOG_ERROR, "an invalidation after the answer %s: %s",
              noted ? "went to the journal" : "is known to this process alone", err.message);
}

static void
run(struct job *job)
{
    int64_t deadline_ms = clock_now_ms() + drain_bounded(STORE_TIMEOUT_MS);
    switch (job->kind) {
    case JOB_PUT:
        run_put(job, deadline_ms);
        break;
    case JOB_TOUCH:
        store_variant_touch(job->site->cache, job->primary, job->key,
                            store_clock_ms(job->site->cache), job->max_variants, deadline_ms, NULL);
        break;
    case JOB_DROP:
        run_drop(job, deadline_ms);
        break;
    case JOB_INVALIDATE:
        run_purge(job);
        break;
    }
}

/* Called with the lock held: until there is something to do. */
static void
wait_for_work(struct lane *lane)
{
    const struct timespec until = {(time_t)(lane->gone_ms / 1000),
                                   (long)(lane->gone_ms % 1000) * 1000000};
    if (lane->gone_ms > 0)
        pthread_cond_timedwait(&lane->work, &lock, &until);
    else
        pthread_cond_wait(&lane->work, &lock);
}

static bool
is_waiting(const struct lane *lane)
{
    return lane->stores.first || lane->touches.first;
}

/* Where both wait: by turns, so that neither keeps the other from Redis where that is slow. */
static struct queue *
turn(struct lane *lane)
{
    lane->touched = lane->touches.first && !(lane->touched && lane->stores.first);
    return lane->touched ? &lane->touches : &lane->stores;
}

static struct job *
take(struct queue *queue)
{
    struct job *job = queue->first;
    queue->first = job->next;
    if (!queue->first)
        queue->last = &queue->first;
    return job;
}

static bool
is_gone_due(const struct lane *lane)
{
    return lane->gone_ms > 0 &&
           (clock_now_ms() >= lane->gone_ms || (stopping && !is_waiting(lane)));
}

/* Called with the lock held, which it gives up meanwhile. */
static void
drop_gone(struct lane *lane)
{
    lane->gone_ms = 0;
    pthread_mutex_unlock(&lock);
    int64_t again_ms = gone_later_run();
    pthread_mutex_lock(&lock);
    /* One that has come meanwhile waits no longer. */
    bool is_last = stopping && (again_ms > 0 || clock_now_ms() >= give_up_ms);
    if (again_ms >= 0 && lane->gone_ms == 0 && !is_last)
        lane->gone_ms = clock_now_ms() + again_ms;
}

static size_t *
count_of(const struct job *job)
{
    return job->kind == JOB_TOUCH ? &touches : &stores;
}

static void *
storer(void *arg)
{
    struct lane *lane = arg;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!is_waiting(lane) && !stopping && !is_gone_due(lane))
            wait_for_work(lane);
        if (is_gone_due(lane))
            drop_gone(lane);
        if (!is_waiting(lane) && stopping && lane->gone_ms == 0)
            break;
        if (!is_waiting(lane))
            continue;
        struct job *job = take(turn(lane));
        bool too_late = stopping && job->kind != JOB_INVALIDATE && clock_now_ms() >= give_up_ms;
        pthread_mutex_unlock(&lock);
        if (too_late)
            counters_add(COUNTER_store_skipped_queue, 1);
        else
            run(job);
        size_t size = size_of(job), *count = count_of(job);
        bool is_touch = job->kind == JOB_TOUCH;
        tell(job, false); /* unless it has been told already */
        job_free(job);
        pthread_mutex_lock(&lock);
        /* Until now, so that what is being sent counts against the bound as well. */
        (*count)--;
        bytes -= size;
        lane->count -= !is_touch;
        lane->bytes -= size;
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

bool
storer_start(void)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    bool ok = true;
    for (size_t i = 0; i < LANES && ok; i++) {
        struct lane *lane = &lanes[i];
        lane->stores.last = &lane->stores.first;
        lane->touches.last = &lane->touches.first;
        pthread_cond_init(&lane->work, &monotonic);
        ok = pthread_create(&lane->thread, NULL, storer, lane) == 0;
    }
    pthread_condattr_destroy(&monotonic);
    return ok;
}

/* That of its URL: a variant goes with all others of the page. */
static struct lane *
lane_of(const struct job *job)
{
    const char *name = job->primary ? job->primary : job->key;
    if (job->kind == JOB_INVALIDATE)
        return &lanes[URL_LANES];
    return &lanes[XXH3_64bits(name, strlen(name)) % URL_LANES];
}

/* Called with the lock held. */
static void
append(struct job *job)
{
    struct lane *lane = lane_of(job);
    struct queue *queue = job->kind == JOB_TOUCH ? &lane->touches : &lane->stores;
    *queue->last = job;
    queue->last = &job->next;
    (*count_of(job))++;
    bytes += size_of(job);
    lane->count += job->kind != JOB_TOUCH;
    lane->bytes += size_of(job);
    pthread_cond_signal(&lane->work);
}

static char *
copy_of(struct slice text)
{
    return text.n ? strndup(text.p, text.n) : NULL;
}

static struct job *
job_new(struct site *site, enum job_kind kind, const char *key, const char *primary)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->kind = kind;
    job->site = site_again(site);
    job->key = strdup(key);
    job->primary = primary ? strdup(primary) : NULL;
    if (!job->key || (primary && !job->primary)) {
        job_free(job);
        return NULL;
    }
    return job;
}

/* Takes head. NULL: no memory, which is counted and told. */
static struct job *
job_put(struct site *site, const struct storer_item *item)
{
    struct job *job = job_new(site, JOB_PUT, item->key, item->primary);
    if (job)
        job->names = (struct slice){copy_of(item->names), item->names.n};
    if (!job || (item->names.n && !job->names.p)) {
        job_free(job);
        free(item->head);
        if (item->done)
            item->done(item->arg, false);
        counters_add(COUNTER_store_failed, 1);
        return NULL;
    }
    job->head = item->head;
    job->head_len = item->head_len;
    job->body = item->body ? spool_again(item->body) : NULL;
    job->done = item->done;
    job->arg = item->arg;
    job->ttl_ms = item->ttl_ms;
    job->replaces = item->replaces != NULL;
    if (item->replaces)
        memcpy(job->checksum, item->replaces, sizeof job->checksum);
    job->names_all = item->names_all;
    job->yields = item->yields;
    job->max_variants = item->max_variants;
    return job;
}

/* Called with the lock held. A lane has half of the room at most: all variants of one page go into the same,
 * and however many visitors make up, other pages are stored. */
static bool
has_room(const struct config *config, const struct lane *lane, size_t size)
{
    return stores < config->store_queue_count && bytes < config->store_queue_bytes &&
           size <= config->store_queue_bytes - bytes &&
           (lane->count == 0 || (lane->count <= config->store_queue_count / 2 &&
                                 lane->bytes + size <= config->store_queue_bytes / 2));
}

void
storer_put(struct site *site, const struct storer_item *item)
{
    const struct config *config = site->config;
    struct job *job = job_put(site, item);
    if (!job)
        return;
    size_t size = size_of(job);
    pthread_mutex_lock(&lock);
    bool fits = has_room(config, lane_of(job), size);
    if (fits)
        append(job);
    pthread_mutex_unlock(&lock);
    if (!fits) {
        counters_add(COUNTER_store_skipped_queue, 1);
        tell(job, false);
        job_free(job);
    }
}

void
storer_put_now(struct site *site, const struct storer_item *item, int64_t deadline_ms)
{
    if (item->head_len + (item->body ? spool_size(item->body) : 0) > STORER_NOW_MAX) {
        storer_put(site, item);
        return;
    }
    struct job *job = job_put(site, item);
    if (job)
        run_put(job, deadline_ms);
    job_free(job);
}

static void
put_small(struct job *job)
{
    if (!job)
        return;
    pthread_mutex_lock(&lock);
    bool fits = stores < SMALL_MAX;
    if (fits)
        append(job);
    pthread_mutex_unlock(&lock);
    if (!fits)
        job_free(job);
}

bool
storer_touch(struct site *site, const char *primary, const char *key, size_t max_variants)
{
    struct job *job = job_new(site, JOB_TOUCH, key, primary);
    if (!job)
        return false;
    job->max_variants = max_variants;
    pthread_mutex_lock(&lock);
    bool fits = touches < SMALL_MAX;
    if (fits)
        append(job);
    pthread_mutex_unlock(&lock);
    if (!fits)
        job_free(job);
    return fits;
}

void
storer_drop(struct site *site, const char *key, const char *checksum)
{
    struct job *job = job_new(site, JOB_DROP, key, NULL);
    if (job && checksum) {
        job->replaces = true;
        memcpy(job->checksum, checksum, sizeof job->checksum);
    }
    put_small(job);
}

void
storer_nudge(void)
{
    struct lane *lane = &lanes[URL_LANES];
    pthread_mutex_lock(&lock);
    if (lane->gone_ms == 0)
        lane->gone_ms = clock_now_ms();
    pthread_cond_signal(&lane->work);
    pthread_mutex_unlock(&lock);
}

bool
storer_invalidate(struct site *site, const struct purge *purge)
{
    struct job *job = job_new(site, JOB_INVALIDATE, "", NULL);
    if (!job || !purge_copy(&job->purge, purge)) {
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
    for (size_t i = 0; i < LANES; i++)
        pthread_cond_signal(&lanes[i].work);
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < LANES; i++)
        pthread_join(lanes[i].thread, NULL);
}

void
storer_numbers(size_t *out_count, size_t *out_bytes)
{
    pthread_mutex_lock(&lock);
    *out_count = stores + touches;
    *out_bytes = bytes;
    pthread_mutex_unlock(&lock);
}
