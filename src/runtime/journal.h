/*
 * The journal of the machine: what could not be told to Redis, so that no
 * invalidation is lost. One file, <state_dir>/journal-<16 hex digits>, mapped by
 * every process of the machine and appended to by whoever has something to note;
 * while it holds anything that Redis has to be told, no process of the machine uses
 * what is in Redis (journal_pending()). Format and ideas: journal_file.c, journal_line.c.
 *
 * All calls may be made from any thread. A journal belongs to the process that
 * opened it: a child forked later opens it anew. Wall times are ms since 1970;
 * deadlines are absolute, on CLOCK_MONOTONIC, in ms.
 */
#ifndef RUNTIME_JOURNAL_H
#define RUNTIME_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "larder.h"

struct journal;

/*
 * Open the journal, or make it (mode 0600). hash says whose it is: of Redis
 * endpoint, database and namespace. What is in it from before is counted, so
 * journal_pending() is right at once. Past max bytes of records it collapses (see
 * journal_append()); at least JOURNAL_MAX_MIN.
 *
 * LARDER_UNAVAILABLE: the directory or the file cannot be used. LARDER_REFUSED:
 * the file is another user's, or others may write it. LARDER_CORRUPT: it is no
 * journal of this version; it is left alone. LARDER_TIMEOUT: it is locked by a
 * process that does not go on. The words name the file.
 */
#define JOURNAL_MAX_MIN ((size_t)4096)
#define JOURNAL_MAX_MAX ((size_t)1024 * 1024 * 1024)
enum larder_status journal_open(const char *state_dir, uint64_t hash, size_t max,
                                struct journal **out, struct larder_error *err);

/*
 * One that nobody else sees and that ends with the process (memory only), for
 * when journal_open() or journal_append() fails: what is noted in it still makes
 * this process distrust Redis, and is replayed by it.
 */
enum larder_status journal_open_private(size_t max, struct journal **out, struct larder_error *err);

/* The caller sees to it that no other thread is inside a call. NULL is allowed. */
void journal_close(struct journal *journal);

/*
 * How many records are not worked off; 0: Redis may be trusted, as far as what has
 * ended goes (journal_owners_live()). Every lookup asks: one load from shared memory (acquire). It is raised before an append is
 * acknowledged, and falls only when Redis has what the record said. After a
 * process was killed it may be too high, until the next journal_replay(): so call
 * that whenever this is not 0, not only after an append of one's own. NULL: 0.
 */
uint64_t journal_pending(const struct journal *journal);

/* How many records there are of mutations that are under way, and of their ends. They are no reason
 * not to trust Redis while the processes live that have them in hand. NULL: 0. */
uint64_t journal_intents(const struct journal *journal);

/* Do they? The kernel says so: each process has a lock in the file for as long as it is there. Reads
 * the file, and waits for nobody. false: one is gone, which journal_replay() notes; or the file
 * cannot be read. NULL: true. */
bool journal_owners_live(struct journal *journal);

enum journal_kind {
    JOURNAL_SILENT, /* a mutation of these tags has lost its process: they are to be purged, and
                       then again for hold_ms, which Redis is to be told */
    JOURNAL_HARD,   /* tags to purge */
    JOURNAL_SOFT,   /* tags to purge softly */
    JOURNAL_SWEEP,  /* globs: application values to delete */
    JOURNAL_INTENT, /* a mutation of this process is under way, and Redis does not know of it: token,
                       its tags, hold_ms */
    JOURNAL_DONE    /* its outcome is known: token */
};

/* Names and tokens are of 1 to JOURNAL_NAME_MAX bytes, any of them but NUL. */
#define JOURNAL_NAME_MAX ((size_t)4096)
struct journal_record {
    enum journal_kind kind;
    const char *const *names; /* none with JOURNAL_DONE */
    size_t count;
    const char *token; /* JOURNAL_INTENT, JOURNAL_DONE */
    int64_t
        hold_ms;    /* JOURNAL_INTENT, JOURNAL_SILENT: so long after its process is gone its backend
                          may still commit it; more than 0 */
    uint64_t owner; /* JOURNAL_INTENT: filled in by the journal */
};

/*
 * Note n records. LARDER_OK: they are on the disk (written, fdatasync), and every
 * process of the machine distrusts Redis until they are worked off, unless they are
 * intents, or ends of them. Several
 * threads that wait share one fdatasync. On any other status nothing was noted,
 * and the file is as long as before.
 *
 * If a process is killed in the middle, some of the first records may have been
 * noted: so put JOURNAL_DONE behind the purge that takes the place of its intent.
 * JOURNAL_DONE is for who has purged, or appends a purge, or knows that the
 * mutation changed nothing: the intent is dropped with it.
 *
 * Past `max` bytes everything noted becomes: one purge of the tag "all", one
 * JOURNAL_SILENT of "all" with the longest hold if there were any intents (their
 * JOURNAL_DONE does not end it) or any JOURNAL_SILENT, and each pattern cut behind its last literal ':'
 * with a `*` after it, or a single `*` if those alone take max / 4.
 *
 * LARDER_TIMEOUT: another process held the lock until deadline_ms (which does
 * not bound the disk's own time). LARDER_UNAVAILABLE: the disk is full, or
 * broken, or the file was removed. LARDER_INVALID: a name or token that cannot be.
 * Where RLIMIT_FSIZE is set, SIGXFSZ must be ignored.
 */
enum larder_status journal_append(struct journal *journal, const struct journal_record *records,
                                  size_t n, int64_t now_wall_ms, int64_t deadline_ms,
                                  struct larder_error *err);

/*
 * Tell Redis: n names of one kind, JOURNAL_SILENT (hold_ms: the longest of theirs),
 * JOURNAL_HARD, JOURNAL_SOFT or JOURNAL_SWEEP; at most JOURNAL_BATCH, none twice. Called by the thread that replays, without
 * any lock that an append would wait for. Anything but LARDER_OK ends the replay.
 */
#define JOURNAL_BATCH ((size_t)128)
typedef enum larder_status (*journal_work_fn)(void *arg, enum journal_kind kind,
                                              const char *const *names, size_t n, int64_t hold_ms,
                                              struct larder_error *err);

/*
 * Work off what was noted before this call: what is silent, hard purges, then soft
 * ones, then patterns, each name once. An intent whose process is gone is silent from
 * then on; one whose JOURNAL_DONE is there is dropped. What `work` did is dropped from the
 * file, the rest stays; nothing left: the file is cut to its head page, and
 * journal_pending() is 0. Killed in between, or cut off from the disk, it does
 * things again later, never less than once.
 *
 * LARDER_OK: all that was due is done (intents that are alive may be left, and
 * what came meanwhile). LARDER_EXISTS: another thread or process is at it.
 * LARDER_TIMEOUT, LARDER_UNAVAILABLE, LARDER_NOMEM: the file. Else what `work` said.
 */
enum larder_status journal_replay(struct journal *journal, journal_work_fn work, void *arg,
                                  struct larder_error *err);

struct journal_stats {
    uint64_t pending;  /* records that are not worked off, */
    uint64_t bytes;    /* ... that they take */
    uint64_t intents;  /* of them: mutations under way */
    int64_t oldest_ms; /* when the oldest of them was noted, wall; 0: there is none */
    bool damaged;      /* some of it cannot be read any more; "all" and `*` stand for it */
};

/* Reads the file, and waits for nobody. journal_stats_at(): without opening it, for larderctl; needs
 * no more than to read it. LARDER_MISS: there is none. */
enum larder_status journal_stats(struct journal *journal, struct journal_stats *out,
                                 struct larder_error *err);
enum larder_status journal_stats_at(const char *state_dir, uint64_t hash, struct journal_stats *out,
                                    struct larder_error *err);

#endif
