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
 *
 * There are two of each. What makes responses stale is in the first, and while that
 * holds something what is in Redis is not used. Patterns for application values are
 * in the second, which no look-up asks: to go over millions of keys takes Redis its
 * time, and has a thread of its own.
 */
#include "responder/reporter.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "client/store.h"
#include "responder/drain.h"
#include "responder/purge.h"
#include "responder/served.h"
#include "runtime/journal.h"

/* How often it is looked whether there is something to tell: one load each. */
#define LOOK_MS 200
/* Whether those live whose mutations are in the journal has to be known so well. */
#define OWNERS_MS 1500
/* One batch of a replay. */
#define TELL_MS 5000
/* The walk over all keys: one that is broken off begins anew. Each of its steps has its own time. */
#define SWEEP_MS 60000
/* The journal of the sweeps is another file. */
#define SWEEPS_HASH UINT64_C(0x5357454550533a29)
/* A note waits for another process's write at most so long. */
#define NOTE_MS 2000
/* Redis is out of reach: once in so long is enough for the log. */
#define COMPLAIN_MS 60000

enum book {
    TAGS,   /* to be purged: Redis is not to be trusted */
    SWEEPS, /* of application values */
    BOOKS
};

/* What could not be written to a journal. For the process: they outlive a reload. */
static struct journal *in_memory[BOOKS];
/* The Redis that they are for. Guards in_memory_hash, and is held while one is told of what makes
 * responses stale. */
static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;
static uint64_t in_memory_hash;
static pthread_once_t in_memory_once = PTHREAD_ONCE_INIT;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t nudge;
static bool stopping, nudged[BOOKS];
static pthread_t threads[BOOKS];

/* ------------------------------------------------------------------------- the journals */

static void
open_in_memory(void)
{
    for (int book = 0; book < BOOKS; book++)
        if (journal_open_private(JOURNAL_MAX_MIN * 16, &in_memory[book], NULL) != LARDER_OK)
            in_memory[book] = NULL;
}

static struct journal *
journal_of(const struct site *site, enum book book)
{
    return book == TAGS ? site->journal : site->sweeps;
}

static uint64_t
pending_in_memory(void)
{
    return journal_pending(in_memory[TAGS]) + journal_pending(in_memory[SWEEPS]);
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

static bool append(struct site *site, enum book book, const struct journal_record *records,
                   size_t n);

static struct journal *
open_one(const struct config *config, uint64_t hash)
{
    struct journal *journal = NULL;
    struct larder_error err;
    if (journal_open(config->state_dir, hash, config->journal_max, &journal, &err) == LARDER_OK)
        return journal;
    log_write(
        LARDER_LOG_WARNING,
        "invalidations that Redis does not take will be known to this process alone, and whether "
        "another namespace was served before this start is not known: %s; "
        "cache.state_dir %s has to belong to the user of larder-fcgi, and a unit with "
        "ProtectSystem= has to let it write there (larder.service does in /var/lib/larder, and "
        "elsewhere with ReadWritePaths=)",
        err.message, config->state_dir);
    return NULL;
}

/*
 * What this machine has changed while it served another namespace, or Redis, was not
 * dropped in this one. `returns`: this process has served the other one itself, and
 * others of the pool may do so still.
 */
static void
come_home(struct site *site, uint64_t hash, bool returns)
{
    static const char *const all[] = {TAG_ALL};
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = all, .count = 1};
    if (site->config->compat_ancestor)
        return;
    bool noted = site->journal && served_another(site->config, hash);
    if (noted || returns) {
        log_write(LARDER_LOG_WARNING,
                  "another Redis, or namespace of it, was served before: all responses in this one "
                  "are dropped, because what was changed meanwhile is not known here");
        if (!append(site, TAGS, &record, 1))
            return;
    }
    if (site->journal)
        served_note(site->config, hash);
}

void
reporter_open(struct site *site)
{
    const struct config *config = site->config;
    pthread_once(&in_memory_once, open_in_memory);
    uint64_t hash = hash_of(config);
    site->serves = hash;
    site->journal = open_one(config, hash);
    site->sweeps = site->journal ? open_one(config, hash ^ SWEEPS_HASH) : NULL;
    pthread_mutex_lock(&telling);
    uint64_t before = in_memory_hash;
    in_memory_hash = hash;
    pthread_mutex_unlock(&telling);
    bool returns = before && before != hash;
    if (returns && pending_in_memory() > 0)
        log_write(LARDER_LOG_ERROR,
                  "%llu invalidations for another Redis were never told to it, and are forgotten",
                  (unsigned long long)pending_in_memory());
    come_home(site, hash, returns);
}

enum larder_status
reporter_may_move(const struct site *site, const struct config *next, struct larder_error *err)
{
    const struct config *config = site->config;
    uint64_t pending = journal_pending(site->journal) + journal_pending(site->sweeps);
    if (pending == 0 || hash_of(config) != hash_of(next) ||
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
    journal_close(site->sweeps);
    site->journal = site->sweeps = NULL;
}

bool
site_distrusts_redis(const struct site *site)
{
    if (journal_pending(site->journal) > 0 || journal_pending(in_memory[TAGS]) > 0)
        return true;
    return journal_intents(site->journal) > 0 &&
           clock_boot_ms() - atomic_load(&site->owners_ms) > OWNERS_MS;
}

/* ------------------------------------------------------------------------------- noting */

static void
look_soon(enum book book)
{
    pthread_mutex_lock(&lock);
    nudged[book] = true;
    pthread_cond_broadcast(&nudge);
    pthread_mutex_unlock(&lock);
}

static bool
append(struct site *site, enum book book, const struct journal_record *records, size_t n)
{
    struct journal *journal = journal_of(site, book);
    struct larder_error err = {0};
    int64_t now_ms = clock_wall_ms();
    bool noted = journal && journal_append(journal, records, n, now_ms, clock_now_ms() + NOTE_MS,
                                           &err) == LARDER_OK;
    if (!noted) {
        log_write(LARDER_LOG_ERROR, "the journal did not take it: %s",
                  journal ? err.message : "there is none (cache.state_dir)");
        if (!in_memory[book] || journal_append(in_memory[book], records, n, now_ms,
                                               clock_now_ms() + NOTE_MS, NULL) != LARDER_OK)
            log_write(LARDER_LOG_ERROR, "and there was no memory for it");
    }
    look_soon(book);
    return noted;
}

bool
site_note_sweep(struct site *site, const struct purge *purge)
{
    const struct journal_record record = {
        .kind = JOURNAL_SWEEP, .names = purge->patterns, .count = purge->pattern_count};
    return purge->pattern_count == 0 || append(site, SWEEPS, &record, 1);
}

/* The tags that cover the patterns. */
static bool
note_covering(struct site *site, const struct purge *purge)
{
    size_t n = purge->pattern_count, count = 0;
    char(*text)[STORE_TAG_SIZE] = calloc(n ? n : 1, sizeof *text);
    const char **names = calloc(n ? n : 1, sizeof *names);
    bool noted = text && names;
    for (size_t i = 0; noted && i < n; i++)
        if (store_tag_for_pattern(purge->patterns[i], text[count])) {
            names[count] = text[count];
            count++;
        }
    const struct journal_record record = {.kind = JOURNAL_HARD, .names = names, .count = count};
    if (noted && count > 0)
        noted = append(site, TAGS, &record, 1);
    free(text);
    free(names);
    return noted;
}

bool
site_note(struct site *site, const struct purge *purge)
{
    const struct journal_record record = {.kind = purge->soft ? JOURNAL_SOFT : JOURNAL_HARD,
                                          .names = purge->tags,
                                          .count = purge->tag_count};
    bool tags = purge->tag_count == 0 || append(site, TAGS, &record, 1);
    bool covering = purge->pattern_count == 0 || note_covering(site, purge);
    bool sweeps = site_note_sweep(site, purge);
    return tags && covering && sweeps;
}

bool
site_note_intent(struct site *site, const struct purge *purge, const char *token, int64_t hold_ms)
{
    const struct journal_record record = {.kind = JOURNAL_INTENT,
                                          .names = purge->tags,
                                          .count = purge->tag_count,
                                          .token = token,
                                          .hold_ms = hold_ms};
    return append(site, TAGS, &record, 1);
}

bool
site_note_silent(struct site *site, const struct purge *purge, int64_t hold_ms)
{
    const struct journal_record record = {.kind = JOURNAL_SILENT,
                                          .names = purge->tags,
                                          .count = purge->tag_count,
                                          .hold_ms = hold_ms};
    return append(site, TAGS, &record, 1);
}

void
site_note_done(struct site *site, const char *token)
{
    const struct journal_record record = {.kind = JOURNAL_DONE, .token = token};
    /* The intent is in the one or in the other; an end without one does no harm. */
    if (journal_intents(in_memory[TAGS]) > 0)
        (void)journal_append(in_memory[TAGS], &record, 1, clock_wall_ms(), clock_now_ms() + NOTE_MS,
                             NULL);
    if (journal_intents(site->journal) > 0)
        append(site, TAGS, &record, 1);
    else
        look_soon(TAGS);
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

static bool
goes_on(void *unused, int64_t scanned, int64_t matched)
{
    (void)unused;
    (void)scanned;
    (void)matched;
    return !is_stopping();
}

static enum larder_status
tell(void *arg, enum journal_kind kind, const char *const *names, size_t n, int64_t hold_ms,
     struct larder_error *err)
{
    struct site *site = arg;
    int64_t now_ms = clock_now_ms();
    if (kind == JOURNAL_SWEEP)
        return store_sweep(site->cache, names, n, now_ms + SWEEP_MS, goes_on, NULL, err);
    int64_t until_ms = now_ms + drain_bounded(TELL_MS);
    if (kind == JOURNAL_SILENT) {
        bool fresh;
        enum larder_status status =
            store_silence(site->cache, names, n, hold_ms, until_ms, &fresh, err);
        if (status != LARDER_OK)
            return status;
    }
    return store_purge_tags(site->cache, names, n, kind == JOURNAL_SOFT, until_ms, err);
}

static void
work_off(struct site *site, struct journal *journal, int64_t *complained_ms)
{
    struct larder_error err = {0};
    uint64_t before = journal_pending(journal);
    if (before + journal_intents(journal) == 0)
        return;
    enum larder_status status = journal_replay(journal, tell, site, &err);
    uint64_t after = journal_pending(journal);
    if (status == LARDER_OK && after == 0 && before > 0) {
        log_write(LARDER_LOG_INFO, "the journal is worked off: Redis has %llu records of it",
                  (unsigned long long)before);
        *complained_ms = 0;
    } else if (status != LARDER_OK && status != LARDER_EXISTS &&
               (*complained_ms == 0 || clock_now_ms() - *complained_ms > COMPLAIN_MS)) {
        log_write(LARDER_LOG_WARNING,
                  "%llu records of the journal are still to be told to Redis: %s",
                  (unsigned long long)after, err.message);
        *complained_ms = clock_now_ms();
    }
}

static void
look(enum book book, int64_t *complained_ms)
{
    struct site *site = site_take();
    if (book == TAGS) {
        int64_t now_ms = clock_boot_ms();
        if (journal_owners_live(site->journal))
            atomic_store(&site->owners_ms, now_ms);
    }
    work_off(site, journal_of(site, book), complained_ms);
    if (book == TAGS) {
        pthread_mutex_lock(&telling);
        /* A reload may have noted what is for the next site already. */
        if (site->serves == in_memory_hash)
            work_off(site, in_memory[book], complained_ms);
        pthread_mutex_unlock(&telling);
    } else {
        work_off(site, in_memory[book], complained_ms);
    }
    site_give(site);
}

static void
report(enum book book)
{
    int64_t complained_ms = 0;
    pthread_mutex_lock(&lock);
    while (!stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (!nudged[book])
            pthread_cond_timedwait(&nudge, &lock, &until);
        nudged[book] = false;
        pthread_mutex_unlock(&lock);
        look(book, &complained_ms);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    if (book == TAGS)
        look(book, &complained_ms); /* a last try; what is swept takes too long for that */
}

static void *
report_tags(void *unused)
{
    (void)unused;
    report(TAGS);
    return NULL;
}

static void *
report_sweeps(void *unused)
{
    (void)unused;
    report(SWEEPS);
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
    if (pthread_create(&threads[TAGS], NULL, report_tags, NULL) != 0)
        return false;
    if (pthread_create(&threads[SWEEPS], NULL, report_sweeps, NULL) == 0)
        return true;
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_broadcast(&nudge);
    pthread_mutex_unlock(&lock);
    pthread_join(threads[TAGS], NULL);
    return false;
}

void
reporter_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_broadcast(&nudge);
    pthread_mutex_unlock(&lock);
    for (int book = 0; book < BOOKS; book++)
        pthread_join(threads[book], NULL);
    if (pending_in_memory() > 0)
        log_write(LARDER_LOG_ERROR,
                  "%llu invalidations could be told neither Redis nor the journal, and are lost",
                  (unsigned long long)pending_in_memory());
    for (int book = 0; book < BOOKS; book++) {
        journal_close(in_memory[book]);
        in_memory[book] = NULL;
    }
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
    json_object_object_add(object, "sweeps",
                           json_object_new_int64((int64_t)journal_pending(site->sweeps)));
    json_object_object_add(
        object, "in_memory",
        json_object_new_int64((int64_t)(pending_in_memory() + journal_intents(in_memory[TAGS]))));
    return object;
}
