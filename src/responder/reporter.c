/*
 * The reporter.
 *
 * Noting is done by the thread that has the mutation or the purge in hand, and is
 * written through before anybody is answered. Telling is done here, by one thread
 * of each process that looks a few times a second; the journal sees to it that only
 * one of the machine is at it. It also tells what a process left behind that was
 * killed.
 *
 * When the journal itself fails (no directory, disk full) the note goes to one in
 * memory: then only this process knows, which is less than promised, so the answer
 * says "failed" and the log why; but the process does not use what it knows to be
 * stale, and tells Redis later.
 */
#include "responder/reporter.h"

#include <pthread.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "client/store.h"
#include "responder/purge.h"
#include "runtime/journal.h"

/* How often it is looked whether there is something to tell: one load each. */
#define LOOK_MS 200
/* One batch of a replay. */
#define TELL_MS 5000
/* The walk over all keys: a Redis of some millions takes longer than a batch may, and one that is
 * broken off begins anew each time. Each of its steps has its own time. */
#define SWEEP_MS 60000
/* A note waits for another process's write at most so long. */
#define NOTE_MS 2000
/* Redis is out of reach: once in so long is enough for the log. */
#define COMPLAIN_MS 60000

/* What could not be written to the journal. One for the process: it outlives a reload. */
static struct journal *in_memory;
static uint64_t in_memory_hash;
static pthread_once_t in_memory_once = PTHREAD_ONCE_INIT;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t nudge;
static bool stopping, nudged;
static pthread_t thread;

/* ------------------------------------------------------------------------- the journal */

static void
open_in_memory(void)
{
    if (journal_open_private(JOURNAL_MAX_MIN * 16, &in_memory, NULL) != LARDER_OK)
        in_memory = NULL;
}

/* Which Redis it is about: another one, or another namespace, has a journal of its own. */
static uint64_t
hash_of(const struct config *config)
{
    const struct larder_options *redis = &config->redis;
    char text[1024];
    int n = snprintf(text, sizeof text, "%s|%s|%d|%d|%s", redis->unix_path ? redis->unix_path : "",
                     redis->unix_path ? "" : redis->host, redis->unix_path ? 0 : redis->port,
                     redis->database, redis->name_space);
    return XXH3_64bits(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void
reporter_open(struct site *site)
{
    const struct config *config = site->config;
    struct larder_error err;
    pthread_once(&in_memory_once, open_in_memory);
    uint64_t hash = hash_of(config);
    if (journal_open(config->state_dir, hash, config->journal_max, &site->journal, &err) !=
        LARDER_OK) {
        site->journal = NULL;
        log_write(LARDER_LOG_WARNING,
                  "invalidations that Redis does not take will be known to this process alone: %s",
                  err.message);
    }
    if (in_memory_hash && in_memory_hash != hash && journal_pending(in_memory) > 0)
        log_write(LARDER_LOG_ERROR,
                  "%llu invalidations for another Redis were never told to it, and are forgotten",
                  (unsigned long long)journal_pending(in_memory));
    in_memory_hash = hash;
}

enum larder_status
reporter_may_move(const struct site *site, const struct config *next, struct larder_error *err)
{
    const struct config *config = site->config;
    uint64_t pending = journal_pending(site->journal);
    if (pending == 0 || !next->cache_enabled || hash_of(config) != hash_of(next) ||
        strcmp(config->state_dir, next->state_dir) == 0)
        return LARDER_OK;
    return error_set(err, LARDER_REFUSED,
                     "cache.state_dir: the journal in %s still has %llu records that Redis has "
                     "not got",
                     config->state_dir, (unsigned long long)pending);
}

void
reporter_close(struct site *site)
{
    journal_close(site->journal);
    site->journal = NULL;
}

bool
site_distrusts_redis(const struct site *site)
{
    return journal_pending(site->journal) > 0 || journal_pending(in_memory) > 0;
}

static void
look_soon(void)
{
    pthread_mutex_lock(&lock);
    nudged = true;
    pthread_cond_signal(&nudge);
    pthread_mutex_unlock(&lock);
}

static bool
append(struct site *site, const struct journal_record *records, size_t n)
{
    struct larder_error err = {0};
    int64_t now_ms = clock_wall_ms();
    bool noted = site->journal && journal_append(site->journal, records, n, now_ms,
                                                 clock_now_ms() + NOTE_MS, &err) == LARDER_OK;
    if (!noted) {
        log_write(LARDER_LOG_ERROR, "the journal did not take it: %s",
                  site->journal ? err.message : "there is none (cache.state_dir)");
        if (!in_memory || journal_append(in_memory, records, n, now_ms, clock_now_ms() + NOTE_MS,
                                         NULL) != LARDER_OK)
            log_write(LARDER_LOG_ERROR, "and there was no memory for it");
    }
    look_soon();
    return noted;
}

bool
site_note(struct site *site, const struct purge *purge)
{
    struct journal_record records[2];
    size_t n = 0;
    if (purge->tag_count > 0)
        records[n++] = (struct journal_record){.kind = purge->soft ? JOURNAL_SOFT : JOURNAL_HARD,
                                               .names = purge->tags,
                                               .count = purge->tag_count};
    if (purge->pattern_count > 0)
        records[n++] = (struct journal_record){
            .kind = JOURNAL_SWEEP, .names = purge->patterns, .count = purge->pattern_count};
    return n == 0 || append(site, records, n);
}

bool
site_note_intent(struct site *site, const struct purge *purge, const char *token,
                 int64_t deadline_wall_ms)
{
    const struct journal_record record = {.kind = JOURNAL_INTENT,
                                          .names = purge->tags,
                                          .count = purge->tag_count,
                                          .token = token,
                                          .until_wall_ms = deadline_wall_ms};
    return append(site, &record, 1);
}

void
site_note_done(struct site *site, const char *token)
{
    const struct journal_record record = {.kind = JOURNAL_DONE, .token = token};
    /* The intent is in the one or in the other; an end without one does no harm. */
    if (journal_pending(in_memory) > 0)
        (void)journal_append(in_memory, &record, 1, clock_wall_ms(), clock_now_ms() + NOTE_MS,
                             NULL);
    if (journal_pending(site->journal) > 0)
        append(site, &record, 1);
    else
        look_soon();
}

/* ----------------------------------------------------------------------------- telling */

static bool
is_stopping(void)
{
    pthread_mutex_lock(&lock);
    bool yes = stopping;
    pthread_mutex_unlock(&lock);
    return yes;
}

static enum larder_status
tell(void *arg, enum journal_kind kind, const char *const *names, size_t n,
     struct larder_error *err)
{
    struct site *site = arg;
    bool patient = kind == JOURNAL_SWEEP && !is_stopping();
    int64_t deadline_ms = clock_now_ms() + (patient ? SWEEP_MS : TELL_MS);
    int64_t deleted = 0;
    bool invalidated = false;
    if (kind == JOURNAL_SWEEP)
        return store_invalidate(site->cache, names, n, deadline_ms, &deleted, &invalidated, err);
    return store_purge_tags(site->cache, names, n, kind == JOURNAL_SOFT, deadline_ms, err);
}

static void
work_off(struct site *site, struct journal *journal)
{
    static int64_t complained_ms; /* this thread's own */
    struct larder_error err = {0};
    uint64_t before = journal_pending(journal);
    if (before == 0)
        return;
    enum larder_status status = journal_replay(journal, tell, site, clock_wall_ms(), &err);
    uint64_t after = journal_pending(journal);
    if (status == LARDER_OK && after == 0) {
        log_write(LARDER_LOG_INFO, "the journal is worked off: Redis has %llu records of it",
                  (unsigned long long)before);
        complained_ms = 0;
    } else if (status != LARDER_OK && status != LARDER_EXISTS &&
               (complained_ms == 0 || clock_now_ms() - complained_ms > COMPLAIN_MS)) {
        log_write(LARDER_LOG_WARNING,
                  "%llu records of the journal are still to be told to Redis: %s",
                  (unsigned long long)after, err.message);
        complained_ms = clock_now_ms();
    }
}

static void
look(void)
{
    struct site *site = site_take();
    if (site->cache && larder_is_enabled(site->cache)) {
        work_off(site, site->journal);
        work_off(site, in_memory);
    }
    site_give(site);
}

static void *
report(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    while (!stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (!nudged)
            pthread_cond_timedwait(&nudge, &lock, &until);
        nudged = false;
        pthread_mutex_unlock(&lock);
        look();
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

bool
reporter_start(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&nudge, &attributes);
    pthread_condattr_destroy(&attributes);
    return pthread_create(&thread, NULL, report, NULL) == 0;
}

void
reporter_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_signal(&nudge);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    look();
    if (journal_pending(in_memory) > 0)
        log_write(LARDER_LOG_ERROR,
                  "%llu invalidations could be told neither Redis nor the journal, and are lost",
                  (unsigned long long)journal_pending(in_memory));
    journal_close(in_memory);
    in_memory = NULL;
}

/* -------------------------------------------------------------------------- the operator */

json_object *
reporter_status(const struct site *site)
{
    json_object *object = json_object_new_object();
    struct journal_stats stats = {0};
    struct larder_error err = {0};
    bool there = site->journal && journal_stats(site->journal, &stats, &err) == LARDER_OK;
    json_object_object_add(object, "usable", json_object_new_boolean(there));
    json_object_object_add(object, "pending", json_object_new_int64((int64_t)stats.pending));
    json_object_object_add(object, "bytes", json_object_new_int64((int64_t)stats.bytes));
    json_object_object_add(object, "intents", json_object_new_int64((int64_t)stats.intents));
    json_object_object_add(object, "oldest", json_object_new_int64(stats.oldest_ms / 1000));
    json_object_object_add(object, "in_memory",
                           json_object_new_int64((int64_t)journal_pending(in_memory)));
    return object;
}
