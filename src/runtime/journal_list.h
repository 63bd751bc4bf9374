/* What the journal says, taken together: what is to be done, what stays. See journal_list.c. */
#ifndef RUNTIME_JOURNAL_LIST_H
#define RUNTIME_JOURNAL_LIST_H

#include "runtime/journal_file.h"
#include "runtime/journal_line.h"

enum journal_fate {
    JOURNAL_WORK, /* its names are to be told to Redis */
    JOURNAL_KEEP, /* an intent whose process lives */
    JOURNAL_DROP  /* of no use any more */
};

struct journal_noted {
    struct journal_line line;
    enum journal_fate fate;
    size_t left; /* JOURNAL_WORK: names that are not done */
};

/* A name that is to be told to Redis, and for which record. */
struct journal_job {
    enum journal_kind kind;
    const char *name;
    struct journal_noted *noted;
    bool done;
};

struct journal_list {
    struct arena *arena;
    struct journal_noted *noted;
    size_t count;
    size_t bytes; /* of the text, that count */
    bool damaged;
    struct journal_job *jobs; /* after journal_list_plan() */
    size_t job_count;
    size_t dead; /* intents among the work: their processes are gone */
};

/* Does the process live that has noted an intent? NULL: all do. */
typedef bool (*journal_lives_fn)(void *arg, uint64_t owner);

/*
 * All lines of a text, into memory of its own; names are copied, the text must
 * stay. What cannot be read among the first `acknowledged` bytes stands for
 * everything: it becomes a purge of "all" and a sweep of `*`. Behind them the text
 * ends with the first line that cannot be read, and so does `bytes`. false: no
 * memory.
 */
bool journal_list_read(struct journal_list *list, struct slice text, size_t acknowledged);
void journal_list_free(struct journal_list *list);

/* How many of its records are of which sort. */
struct journal_counts journal_list_counts(const struct journal_list *list);

/* The fates, as of now, and the jobs, in the order in which they are to be done. */
bool journal_list_plan(struct journal_list *list, journal_lives_fn lives, void *arg);

/* The next jobs of one kind, each name once, at most JOURNAL_BATCH; *next moves on over all that are
 * done with them. How many names. */
size_t journal_list_batch(struct journal_list *list, size_t *next, enum journal_kind *kind,
                          int64_t *hold_ms, const char *names[JOURNAL_BATCH]);
/* What journal_list_batch() moved over has been done. */
void journal_list_did(struct journal_list *list, size_t from, size_t to);

/* Append the lines that are left, after a plan, with intents that are dead as JOURNAL_SILENT. */
struct journal_counts journal_list_rest(const struct journal_list *list, struct journal_text *text);

/* Append what all of it collapses to, after a plan, in about max bytes. */
struct journal_counts journal_list_collapse(const struct journal_list *list, size_t max,
                                            struct journal_text *text);

#endif
