/*
 * The journal of the machine: what could not be told to Redis. What it promises
 * stands in journal.h; how the file stays whole, in journal_file.c; what its lines
 * mean together, in journal_list.c.
 *
 * The idea of appending: a thread puts its lines into a queue. Whoever finds
 * nobody at the file goes there for all: he takes the lock that processes share,
 * and only then the queue, so that what came while he waited (for another process,
 * or for the fdatasync of the one before) goes out with the same fdatasync.
 *
 * The idea of replaying: what is there is copied under the lock, told to Redis
 * without it (which may take seconds, and appends go on meanwhile), and then, under
 * the lock again, replaced by what was not done and what came since. If somebody
 * has moved it meanwhile (it was too long, and collapsed), nothing is dropped, and
 * it is all told again next time. Of those who want to replay one does, by a lock
 * of its own.
 *
 * Called by the responder from any thread; larderctl reads. Never waits for another
 * process longer than it was told to.
 */
#include "runtime/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/journal_file.h"
#include "runtime/journal_list.h"

/* For the lock, when a replay wants it: a few fdatasyncs of a slow disk. */
#define REPLAY_WAIT_MS 5000

/* Records of one append that wait to be written. On the stack of the thread that waits. */
struct waiter {
    struct journal_text text;
    struct journal_counts counts;
    enum { WAITER_QUEUED, WAITER_TAKEN, WAITER_DONE } state;
    enum larder_status status;
    struct larder_error error;
    struct waiter *next;
};

struct journal {
    struct journal_file file;
    size_t max;
    pid_t owner; /* who opened it; a fork shares its locks, and would take them for its own */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Guarded by lock: */
    bool busy;      /* a thread is at the file */
    bool replaying; /* a thread holds the lock of whoever replays, or asks for it */
    struct waiter *first, **last;
};

uint64_t
journal_pending(const struct journal *journal)
{
    return journal ? journal_file_pending(&journal->file) : 0;
}

uint64_t
journal_intents(const struct journal *journal)
{
    return journal ? journal_file_intents(&journal->file) : 0;
}

/* An open file whose locks are asked for; its own it does not see. */
struct whom {
    int fd;
    uint64_t own;
};

static bool
lives(void *arg, uint64_t owner)
{
    const struct whom *whom = arg;
    return owner == whom->own || journal_file_lives(whom->fd, owner);
}

static enum larder_status
check_owner(const struct journal *journal, struct larder_error *err)
{
    if (journal->owner == getpid())
        return LARDER_OK;
    return error_set(err, LARDER_INVALID, "journal %s: opened by process %ld, not by this one",
                     journal->file.path, (long)journal->owner);
}

/* ------------------------------------------------------------------------- one thread at the file */

/* With the lock: until something has changed. false: deadline_ms is over. */
static bool
wait_changed(struct journal *journal, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    return pthread_cond_timedwait(&journal->changed, &journal->lock, &until) != ETIMEDOUT;
}

static void
leave(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->busy = false;
    pthread_cond_broadcast(&journal->changed);
    pthread_mutex_unlock(&journal->lock);
}

/* The file for ourselves, among threads and processes. */
static enum larder_status
enter_file(struct journal *journal, int64_t deadline_ms, struct larder_error *err)
{
    bool waits = true;

    pthread_mutex_lock(&journal->lock);
    while (journal->busy && waits)
        waits = wait_changed(journal, deadline_ms);
    bool ours = !journal->busy;
    journal->busy = true; /* if it is not ours it is already */
    pthread_mutex_unlock(&journal->lock);
    if (!ours)
        return error_set(err, LARDER_TIMEOUT, "journal %s: busy", journal->file.path);
    enum larder_status status =
        journal_file_lock(&journal->file, JOURNAL_LOCK_WRITE, deadline_ms, err);
    if (status != LARDER_OK)
        leave(journal);
    return status;
}

static void
leave_file(struct journal *journal)
{
    journal_file_unlock(&journal->file, JOURNAL_LOCK_WRITE);
    leave(journal);
}

/* ---------------------------------------------------------------------------------- appending */

/* Everything that is there, and what is to be added, becomes a few lines. */
static enum larder_status
collapse(struct journal *journal, struct slice more, struct larder_error *err)
{
    struct whom whom = {journal->file.fd, journal->file.owner};
    struct journal_counts counts = {0, 0};
    struct journal_extent extent = journal_file_extent(&journal->file);
    struct journal_text all = {.n = extent.end - extent.start}, less = {.n = 0};
    struct journal_list list = {.arena = NULL};

    enum larder_status status = journal_file_read(&journal->file, extent, &all.p, err);
    if (status != LARDER_OK)
        return status;
    all.room = all.n;
    journal_text_add(&all, more.p, more.n);
    if (!all.failed && journal_list_read(&list, (struct slice){all.p, all.n}, all.n) &&
        journal_list_plan(&list, lives, &whom))
        counts = journal_list_collapse(&list, journal->max, &less);
    else
        less.failed = true;
    if (less.failed)
        status = error_set(err, LARDER_NOMEM, "journal %s: no memory", journal->file.path);
    else
        status = journal_file_replace(&journal->file, (struct slice){less.p, less.n}, counts, err);
    journal_list_free(&list);
    free(all.p);
    free(less.p);
    return status;
}

static enum larder_status
write_batch(struct journal *journal, struct slice text, struct journal_counts counts,
            struct larder_error *err)
{
    struct journal_extent extent = journal_file_extent(&journal->file);
    if (text.n > journal->max || extent.end - extent.start > journal->max - text.n)
        return collapse(journal, text, err);
    return journal_file_append(&journal->file, text, counts, err);
}

static struct waiter *
take_queue(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct waiter *batch = journal->first;
    journal->first = NULL;
    journal->last = &journal->first;
    for (struct waiter *w = batch; w; w = w->next)
        w->state = WAITER_TAKEN;
    pthread_mutex_unlock(&journal->lock);
    return batch;
}

/* Write what all that wait in the queue have. They are done before the lock goes, which may take a
 * moment. If there is no lock to be had they stay in the queue. */
static enum larder_status
write_queue(struct journal *journal, int64_t deadline_ms, struct larder_error *err)
{
    struct journal_text text = {.n = 0};
    struct larder_error error = {LARDER_OK, ""};
    struct journal_counts counts = {0, 0};

    enum larder_status status =
        journal_file_lock(&journal->file, JOURNAL_LOCK_WRITE, deadline_ms, err);
    if (status != LARDER_OK)
        return status;
    struct waiter *batch = take_queue(journal);
    for (struct waiter *w = batch; w; w = w->next) {
        journal_text_add(&text, w->text.p, w->text.n);
        counts.pending += w->counts.pending;
        counts.intents += w->counts.intents;
    }
    enum larder_status written =
        text.failed ? error_set(&error, LARDER_NOMEM, "journal %s: no memory", journal->file.path)
                    : write_batch(journal, (struct slice){text.p, text.n}, counts, &error);
    free(text.p);
    pthread_mutex_lock(&journal->lock);
    while (batch) {
        struct waiter *w = batch;
        batch = w->next;
        w->status = written;
        w->error = error;
        w->state = WAITER_DONE; /* from here on it may be gone */
    }
    pthread_cond_broadcast(&journal->changed);
    pthread_mutex_unlock(&journal->lock);
    journal_file_unlock(&journal->file, JOURNAL_LOCK_WRITE);
    return LARDER_OK;
}

/* With the lock. */
static void
take_out(struct journal *journal, const struct waiter *self)
{
    struct waiter **p = &journal->first;
    while (*p != self)
        p = &(*p)->next;
    *p = self->next;
    if (!*p)
        journal->last = p;
}

static enum larder_status
wait_written(struct journal *journal, struct waiter *self, int64_t deadline_ms,
             struct larder_error *err)
{
    enum larder_status status = LARDER_OK;

    pthread_mutex_lock(&journal->lock);
    *journal->last = self;
    journal->last = &self->next;
    while (self->state != WAITER_DONE && status == LARDER_OK) {
        if (!journal->busy) {
            journal->busy = true;
            pthread_mutex_unlock(&journal->lock);
            status = write_queue(journal, deadline_ms, err);
            pthread_mutex_lock(&journal->lock);
            journal->busy = false;
            pthread_cond_broadcast(&journal->changed);
        } else if (self->state == WAITER_TAKEN) {
            pthread_cond_wait(&journal->changed, &journal->lock); /* the disk's own time */
        } else if (!wait_changed(journal, deadline_ms) && self->state == WAITER_QUEUED) {
            status = error_set(err, LARDER_TIMEOUT, "journal %s: busy", journal->file.path);
        }
    }
    if (self->state == WAITER_QUEUED)
        take_out(journal, self);
    pthread_mutex_unlock(&journal->lock);
    if (self->state != WAITER_DONE)
        return status;
    return self->status == LARDER_OK ? LARDER_OK
                                     : error_set(err, self->status, "%s", self->error.message);
}

static bool
is_name(const char *name)
{
    return name && *name && strnlen(name, JOURNAL_NAME_MAX + 1) <= JOURNAL_NAME_MAX;
}

static bool
is_record(const struct journal_record *record)
{
    bool good = record->kind == JOURNAL_DONE ? record->count == 0 : record->count > 0;
    if (record->kind == JOURNAL_INTENT || record->kind == JOURNAL_DONE)
        good = good && is_name(record->token);
    if (record->kind == JOURNAL_INTENT || record->kind == JOURNAL_SILENT)
        good = good && record->hold_ms > 0;
    for (size_t i = 0; good && i < record->count; i++)
        good = is_name(record->names[i]);
    return good;
}

enum larder_status
journal_append(struct journal *journal, const struct journal_record *records, size_t n,
               int64_t now_wall_ms, int64_t deadline_ms, struct larder_error *err)
{
    struct waiter self = {.state = WAITER_QUEUED};

    enum larder_status status = check_owner(journal, err);
    for (size_t i = 0; status == LARDER_OK && i < n; i++) {
        struct journal_record record = records[i];
        bool is_intent = record.kind == JOURNAL_INTENT || record.kind == JOURNAL_DONE;
        record.owner = journal->file.owner;
        if (is_record(&record))
            *(is_intent ? &self.counts.intents : &self.counts.pending) +=
                journal_line_write(&self.text, &record, now_wall_ms);
        else
            status = error_set(err, LARDER_INVALID, "journal %s: no such record can be",
                               journal->file.path);
    }
    if (status == LARDER_OK && self.text.failed)
        status = error_set(err, LARDER_NOMEM, "journal %s: no memory", journal->file.path);
    if (status == LARDER_OK && self.counts.pending + self.counts.intents > 0)
        status = wait_written(journal, &self, deadline_ms, err);
    free(self.text.p);
    return status;
}

/* ---------------------------------------------------------------------------------- replaying */

/* What was there when a replay began. */
struct snapshot {
    struct journal_extent extent;
    uint64_t moves;
    char *text;
    struct journal_list list;
};

static enum larder_status
read_snapshot(struct journal *journal, struct snapshot *shot, struct larder_error *err)
{
    struct whom whom = {journal->file.fd, journal->file.owner};

    journal_list_free(&shot->list);
    free(shot->text);
    shot->text = NULL;
    shot->extent = journal_file_extent(&journal->file);
    shot->moves = journal_file_moves(&journal->file);
    enum larder_status status = journal_file_read(&journal->file, shot->extent, &shot->text, err);
    if (status != LARDER_OK)
        return status;
    struct slice text = {shot->text, shot->extent.end - shot->extent.start};
    if (journal_list_read(&shot->list, text, text.n) &&
        journal_list_plan(&shot->list, lives, &whom))
        return LARDER_OK;
    return error_set(err, LARDER_NOMEM, "journal %s: no memory", journal->file.path);
}

/* Intents that are dead are written down as silent first: from then on nobody trusts Redis, which may
 * not hear of them for long. */
static enum larder_status
bury_dead(struct journal *journal, struct snapshot *shot, struct larder_error *err)
{
    struct journal_text text = {.n = 0};
    struct journal_counts counts = journal_list_rest(&shot->list, &text);
    enum larder_status status =
        text.failed
            ? error_set(err, LARDER_NOMEM, "journal %s: no memory", journal->file.path)
            : journal_file_replace(&journal->file, (struct slice){text.p, text.n}, counts, err);

    free(text.p);
    return status == LARDER_OK ? read_snapshot(journal, shot, err) : status;
}

static enum larder_status
take_snapshot(struct journal *journal, struct snapshot *shot, struct larder_error *err)
{
    enum larder_status status = enter_file(journal, clock_now_ms() + REPLAY_WAIT_MS, err);
    if (status != LARDER_OK)
        return status;
    status = read_snapshot(journal, shot, err);
    if (status == LARDER_OK && shot->list.dead > 0)
        status = bury_dead(journal, shot, err);
    leave_file(journal);
    return status;
}

static enum larder_status
work_off(struct journal_list *list, journal_work_fn work, void *arg, struct larder_error *err)
{
    const char *names[JOURNAL_BATCH];
    enum journal_kind kind = JOURNAL_HARD;
    enum larder_status status = LARDER_OK;

    for (size_t at = 0, next = 0; at < list->job_count && status == LARDER_OK; at = next) {
        int64_t hold_ms = 0;
        size_t n = journal_list_batch(list, &next, &kind, &hold_ms, names);
        if (n > 0)
            status = work(arg, kind, names, n, hold_ms, err);
        if (status == LARDER_OK)
            journal_list_did(list, at, next);
    }
    return status;
}

/* With the file for ourselves: what was not done, and what came since, instead of all of it. */
static enum larder_status
drop_done(struct journal *journal, const struct snapshot *shot, struct larder_error *err)
{
    struct journal_extent since = {shot->extent.end, journal_file_extent(&journal->file).end};
    struct journal_text rest = {.n = 0};
    struct journal_list more = {.arena = NULL};
    char *added = NULL;

    struct journal_counts counts = journal_list_rest(&shot->list, &rest);
    enum larder_status status = journal_file_read(&journal->file, since, &added, err);
    if (status != LARDER_OK)
        goto out;
    size_t n = since.end - since.start;
    if (!journal_list_read(&more, (struct slice){added, n}, n)) {
        status = error_set(err, LARDER_NOMEM, "journal %s: no memory", journal->file.path);
        goto out;
    }
    struct journal_counts since_counts = journal_list_counts(&more);
    counts.pending += since_counts.pending;
    counts.intents += since_counts.intents;
    if (rest.n == shot->extent.end - shot->extent.start) {
        journal_file_recount(&journal->file, counts);
        goto out;
    }
    journal_text_add(&rest, added, n);
    if (rest.failed)
        status = error_set(err, LARDER_NOMEM, "journal %s: no memory", journal->file.path);
    else
        status = journal_file_replace(&journal->file, (struct slice){rest.p, rest.n}, counts, err);
out:
    journal_list_free(&more);
    free(rest.p);
    free(added);
    return status;
}

/* We are the one who replays. */
static enum larder_status
replay(struct journal *journal, journal_work_fn work, void *arg, struct larder_error *err)
{
    struct larder_error why = {LARDER_OK, ""};
    struct snapshot shot = {.text = NULL};

    enum larder_status status = take_snapshot(journal, &shot, &why);
    if (status == LARDER_OK) {
        struct larder_error file_why = {LARDER_OK, ""};
        status = work_off(&shot.list, work, arg, &why);
        enum larder_status file = enter_file(journal, clock_now_ms() + REPLAY_WAIT_MS, &file_why);
        if (file == LARDER_OK) {
            if (journal_file_moves(&journal->file) == shot.moves)
                file = drop_done(journal, &shot, &file_why);
            leave_file(journal);
        }
        if (status == LARDER_OK && file != LARDER_OK) {
            status = file;
            why = file_why;
        }
    }
    journal_list_free(&shot.list);
    free(shot.text);
    return status == LARDER_OK ? LARDER_OK : error_set(err, status, "%s", why.message);
}

enum larder_status
journal_replay(struct journal *journal, journal_work_fn work, void *arg, struct larder_error *err)
{
    enum larder_status status = check_owner(journal, err);
    if (status != LARDER_OK || journal_pending(journal) + journal_intents(journal) == 0)
        return status;
    /* Of all threads one, then of all processes. */
    pthread_mutex_lock(&journal->lock);
    bool others = journal->replaying;
    journal->replaying = true;
    pthread_mutex_unlock(&journal->lock);
    if (others)
        return error_set(err, LARDER_EXISTS, "journal %s: another thread replays it",
                         journal->file.path);
    status = journal_file_lock(&journal->file, JOURNAL_LOCK_REPLAY, 0, err);
    if (status == LARDER_OK) {
        status = replay(journal, work, arg, err);
        journal_file_unlock(&journal->file, JOURNAL_LOCK_REPLAY);
    } else if (status == LARDER_TIMEOUT) {
        status = error_set(err, LARDER_EXISTS, "journal %s: another process replays it",
                           journal->file.path);
    }
    pthread_mutex_lock(&journal->lock);
    journal->replaying = false;
    pthread_mutex_unlock(&journal->lock);
    return status;
}

/* -------------------------------------------------------------------------- opening and looking */

static enum larder_status
make(size_t max, struct journal **out, struct larder_error *err)
{
    pthread_condattr_t monotonic;

    *out = NULL;
    if (max < JOURNAL_MAX_MIN || max > JOURNAL_MAX_MAX)
        return error_set(err, LARDER_INVALID, "journal: %zu bytes at most cannot be", max);
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return error_set(err, LARDER_NOMEM, "journal: no memory");
    journal->max = max;
    journal->owner = getpid();
    journal->last = &journal->first;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = journal;
    return LARDER_OK;
}

static void
destroy(struct journal *journal)
{
    pthread_cond_destroy(&journal->changed);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

enum larder_status
journal_open(const char *state_dir, uint64_t hash, size_t max, struct journal **out,
             struct larder_error *err)
{
    enum larder_status status = make(max, out, err);
    if (status == LARDER_OK)
        status = journal_file_open(&(*out)->file, state_dir, hash, err);
    if (status != LARDER_OK && *out) {
        destroy(*out);
        *out = NULL;
    }
    return status;
}

enum larder_status
journal_open_private(size_t max, struct journal **out, struct larder_error *err)
{
    enum larder_status status = make(max, out, err);
    if (status == LARDER_OK)
        status = journal_file_open_private(&(*out)->file, err);
    if (status != LARDER_OK && *out) {
        destroy(*out);
        *out = NULL;
    }
    return status;
}

void
journal_close(struct journal *journal)
{
    if (!journal)
        return;
    journal_file_close(&journal->file);
    destroy(journal);
}

static void
count(const struct journal_list *list, struct journal_stats *out)
{
    const char *token = ""; /* of the line before: a long intent has several */

    for (size_t i = 0; i < list->count; i++) {
        const struct journal_noted *noted = &list->noted[i];
        bool is_intent = noted->line.record.kind == JOURNAL_INTENT && noted->fate != JOURNAL_DROP;
        if (is_intent && strcmp(noted->line.record.token, token) != 0)
            out->intents++;
        token = is_intent ? noted->line.record.token : "";
        if (i == 0 || noted->line.time_ms < out->oldest_ms)
            out->oldest_ms = noted->line.time_ms;
    }
    out->pending = list->count;
    out->damaged = list->damaged;
}

static enum larder_status
look(int fd, const char *path, struct journal_stats *out, struct larder_error *err)
{
    struct journal_list list = {.arena = NULL};
    char *text = NULL;
    size_t n = 0;

    *out = (struct journal_stats){.pending = 0};
    enum larder_status status = journal_file_look(fd, path, &text, &n, err);
    if (status != LARDER_OK)
        return status;
    out->bytes = n;
    if (journal_list_read(&list, (struct slice){text, n}, n) &&
        journal_list_plan(&list, NULL, NULL))
        count(&list, out);
    else
        status = error_set(err, LARDER_NOMEM, "journal %s: no memory", path);
    journal_list_free(&list);
    free(text);
    return status;
}

bool
journal_owners_live(struct journal *journal)
{
    struct journal_list list = {.arena = NULL};
    char *text = NULL;
    size_t n = 0;

    if (journal_intents(journal) == 0)
        return true;
    struct whom whom = {journal->file.fd, journal->file.owner};
    bool all = journal_file_look(whom.fd, journal->file.path, &text, &n, NULL) == LARDER_OK &&
               journal_list_read(&list, (struct slice){text, n}, n) &&
               journal_list_plan(&list, lives, &whom) && list.dead == 0;
    journal_list_free(&list);
    free(text);
    return all;
}

enum larder_status
journal_stats(struct journal *journal, struct journal_stats *out, struct larder_error *err)
{
    return look(journal->file.fd, journal->file.path, out, err);
}

enum larder_status
journal_stats_at(const char *state_dir, uint64_t hash, struct journal_stats *out,
                 struct larder_error *err)
{
    struct larder_error why = {LARDER_OK, ""};
    char path[JOURNAL_PATH_MAX];

    *out = (struct journal_stats){.pending = 0};
    int fd = journal_file_open_to_look(state_dir, hash, path, &why);
    if (fd < 0)
        return error_set(err, why.status, "%s", why.message);
    enum larder_status status = look(fd, path, out, err);
    close(fd);
    return status;
}
