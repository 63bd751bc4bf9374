/*
 * What the journal says, taken together.
 *
 * A record is worked off name by name, because the same few tags are noted again
 * and again while Redis is away: the jobs of all records are sorted, so that each
 * name is told to Redis once, hard purges before soft ones (a tag that was purged
 * hard needs no soft purge) and both before patterns, which take long.
 * That may be done in any order, and a name once for all records that have it,
 * since all of them were noted before the first of them is told to Redis.
 *
 * An intent is a mutation of which Redis does not know. While its process lives it
 * only stays. Its end drops it, wherever in the text that stands; the end of its
 * process makes it a silent one, which is told to Redis like a purge, and from then
 * on is in the register there.
 *
 * Memory is one arena, bounded by the size of the text. No I/O, no clock.
 */
#include "runtime/journal_list.h"

#include <assert.h>
#include <stdlib.h>

static const char *const everything[] = {"all"};
static const char *const anything[] = {"*"};

/* ------------------------------------------------------------------------------------ reading */

/* No line that can be read is shorter: checksum, time, a word of four letters, LF. */
#define LINE_MIN ((size_t)47)

/* Names of one letter cost the most: two bytes of text, a pointer and a job. */
static size_t
memory_for(size_t text)
{
    return (text + 4096) * 64;
}

static void
add_stand_in(struct journal_list *list, enum journal_kind kind, int64_t time_ms)
{
    struct journal_noted *noted = &list->noted[list->count++];
    *noted = (struct journal_noted){
        .line = {.time_ms = time_ms,
                 .record = {.kind = kind,
                            .names = kind == JOURNAL_SWEEP ? anything : everything,
                            .count = 1}}};
    list->damaged = true;
}

/* One run of damage is as bad as many. */
static void
add_damage(struct journal_list *list)
{
    int64_t time_ms = list->count ? list->noted[list->count - 1].line.time_ms : 0;
    if (list->damaged)
        return;
    add_stand_in(list, JOURNAL_HARD, time_ms);
    add_stand_in(list, JOURNAL_SWEEP, time_ms);
}

bool
journal_list_read(struct journal_list *list, struct slice text, size_t acknowledged)
{
    bool bad = false; /* what was read last */
    size_t at = 0;

    *list = (struct journal_list){.arena = arena_new(memory_for(text.n))};
    if (list->arena)
        list->noted = arena_calloc(list->arena, text.n / LINE_MIN + 2, sizeof *list->noted);
    if (!list->noted)
        return false;
    while (at < text.n) {
        const char *p = text.p + at;
        const char *end = memchr(p, '\n', text.n - at);
        struct slice line = {p, end ? (size_t)(end - p) : text.n - at};
        struct journal_line read;
        enum journal_verdict verdict = end ? journal_line_read(line, list->arena, &read)
                                           : JOURNAL_LINE_BAD;

        if (verdict == JOURNAL_LINE_NO_MEMORY)
            return false;
        if (verdict == JOURNAL_LINE_BAD && at >= acknowledged)
            break;
        if (bad && verdict == JOURNAL_LINE_GOOD)
            add_damage(list);
        if (verdict == JOURNAL_LINE_GOOD) {
            read.text.n = line.n + 1;
            list->noted[list->count++].line = read;
        }
        bad = verdict == JOURNAL_LINE_BAD;
        at += line.n + (end != NULL);
    }
    if (bad)
        add_damage(list);
    list->bytes = at;
    return true;
}

void
journal_list_free(struct journal_list *list)
{
    arena_free(list->arena);
    *list = (struct journal_list){.arena = NULL};
}

/* ----------------------------------------------------------------------------------- planning */

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
compare_jobs(const void *a, const void *b)
{
    const struct journal_job *left = a, *right = b;
    if (left->kind != right->kind)
        return left->kind < right->kind ? -1 : 1;
    return strcmp(left->name, right->name);
}

/* The tokens of all ends, sorted. NULL: no memory. */
static const char **
find_ends(const struct journal_list *list, size_t *count)
{
    const char **ends = arena_calloc(list->arena, list->count, sizeof *ends);
    *count = 0;
    for (size_t i = 0; ends && i < list->count; i++)
        if (list->noted[i].line.record.kind == JOURNAL_DONE)
            ends[(*count)++] = list->noted[i].line.record.token;
    if (*count > 0)
        qsort(ends, *count, sizeof *ends, compare_names);
    return ends;
}

static enum journal_fate
fate_of(const struct journal_record *record, const char **ends, size_t end_count,
        journal_lives_fn lives, void *arg)
{
    if (record->kind == JOURNAL_DONE)
        return JOURNAL_DROP;
    if (record->kind != JOURNAL_INTENT)
        return JOURNAL_WORK;
    if (end_count > 0 &&
        bsearch(&record->token, ends, end_count, sizeof *ends, compare_names) != NULL)
        return JOURNAL_DROP;
    return !lives || lives(arg, record->owner) ? JOURNAL_KEEP : JOURNAL_WORK;
}

struct journal_counts
journal_list_counts(const struct journal_list *list)
{
    struct journal_counts counts = {0, 0};
    for (size_t i = 0; i < list->count; i++) {
        enum journal_kind kind = list->noted[i].line.record.kind;
        if (kind == JOURNAL_INTENT || kind == JOURNAL_DONE)
            counts.intents++;
        else
            counts.pending++;
    }
    return counts;
}

bool
journal_list_plan(struct journal_list *list, journal_lives_fn lives, void *arg)
{
    size_t end_count, names = 0;
    const char **ends = find_ends(list, &end_count);

    list->dead = 0;
    if (!ends)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct journal_noted *noted = &list->noted[i];
        noted->fate = fate_of(&noted->line.record, ends, end_count, lives, arg);
        list->dead += noted->fate == JOURNAL_WORK && noted->line.record.kind == JOURNAL_INTENT;
        noted->left = noted->fate == JOURNAL_WORK ? noted->line.record.count : 0;
        names += noted->left;
    }
    list->job_count = 0;
    list->jobs = arena_calloc(list->arena, names, sizeof *list->jobs);
    if (!list->jobs)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct journal_noted *noted = &list->noted[i];
        const struct journal_record *record = &noted->line.record;
        for (size_t k = 0; k < noted->left; k++)
            list->jobs[list->job_count++] = (struct journal_job){
                .kind = record->kind == JOURNAL_INTENT ? JOURNAL_SILENT : record->kind,
                .name = record->names[k],
                .noted = noted};
    }
    if (list->job_count > 0)
        qsort(list->jobs, list->job_count, sizeof *list->jobs, compare_jobs);
    return true;
}

/* Is the tag purged hard as well? Then it has been already: the hard ones stand first. */
static bool
is_covered(const struct journal_list *list, const struct journal_job *soft)
{
    const struct journal_job hard = {.kind = JOURNAL_HARD, .name = soft->name};
    return bsearch(&hard, list->jobs, list->job_count, sizeof *list->jobs, compare_jobs) != NULL;
}

size_t
journal_list_batch(struct journal_list *list, size_t *next, enum journal_kind *kind,
                   int64_t *hold_ms, const char *names[JOURNAL_BATCH])
{
    size_t n = 0;

    *hold_ms = 0;
    while (*next < list->job_count) {
        const struct journal_job *job = &list->jobs[*next];
        bool again = n > 0 && strcmp(names[n - 1], job->name) == 0;
        if (n > 0 && job->kind != *kind)
            break;
        *kind = job->kind;
        if (!again && !(job->kind == JOURNAL_SOFT && is_covered(list, job))) {
            if (n == JOURNAL_BATCH)
                break;
            names[n++] = job->name;
        }
        if (job->noted->line.record.hold_ms > *hold_ms)
            *hold_ms = job->noted->line.record.hold_ms;
        (*next)++;
    }
    return n;
}

void
journal_list_did(struct journal_list *list, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        struct journal_job *job = &list->jobs[i];
        assert(!job->done && job->noted->left > 0);
        job->done = true;
        job->noted->left--;
    }
}

/* ----------------------------------------------------------------------- what is written again */

struct journal_counts
journal_list_rest(const struct journal_list *list, struct journal_text *text)
{
    struct journal_counts counts = {0, 0};

    for (size_t i = 0; i < list->count; i++) {
        const struct journal_noted *noted = &list->noted[i];
        const struct journal_line *line = &noted->line;
        if (noted->fate != JOURNAL_KEEP && noted->left == 0)
            continue;
        struct journal_record record = line->record;
        bool dead = noted->fate == JOURNAL_WORK && record.kind == JOURNAL_INTENT;
        if (dead)
            record.kind = JOURNAL_SILENT;
        if (line->text.p && !dead) {
            journal_text_add(text, line->text.p, line->text.n);
            *(noted->fate == JOURNAL_KEEP ? &counts.intents : &counts.pending) += 1;
        } else {
            counts.pending += journal_line_write(text, &record, line->time_ms);
        }
    }
    return counts;
}

/* What is before the first wildcard, up to its last ':', in the pattern's own spelling. */
static size_t
literal_prefix(const char *pattern)
{
    size_t prefix = 0;
    for (size_t i = 0; pattern[i] && !strchr("*?[", pattern[i]); i++) {
        if (pattern[i] == '\\' && pattern[i + 1])
            i++;
        if (pattern[i] == ':')
            prefix = i + 1;
    }
    return prefix;
}

/* Every pattern of the list, cut, once; NULL: a single `*` will do, *count is 1 then (or 0). */
static const char **
cut_patterns(const struct journal_list *list, size_t max, size_t *count)
{
    size_t n = 0, bytes = 0;

    *count = 0;
    for (size_t i = 0; i < list->job_count; i++)
        *count += list->jobs[i].kind == JOURNAL_SWEEP;
    const char **cut = arena_calloc(list->arena, *count, sizeof *cut);
    if (*count == 0 || !cut) /* without memory it is more, never less */
        goto all;
    for (size_t i = 0; i < list->job_count; i++) {
        const char *name = list->jobs[i].name;
        if (list->jobs[i].kind != JOURNAL_SWEEP)
            continue;
        size_t prefix = literal_prefix(name);
        cut[n] = arena_printf(list->arena, "%.*s*", (int)prefix, name);
        if (prefix == 0 || !cut[n++])
            goto all;
    }
    qsort(cut, n, sizeof *cut, compare_names);
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        if (*count > 0 && strcmp(cut[i], cut[*count - 1]) == 0)
            continue;
        cut[(*count)++] = cut[i];
        bytes += strlen(cut[i]) + 1;
        if (bytes > max / 4)
            goto all;
    }
    return cut;
all:
    *count = *count > 0;
    return NULL;
}

struct journal_counts
journal_list_collapse(const struct journal_list *list, size_t max, struct journal_text *text)
{
    struct journal_record tags = {.kind = JOURNAL_HARD, .names = everything};
    struct journal_record silent = {.kind = JOURNAL_SILENT, .names = everything};
    struct journal_record patterns = {.kind = JOURNAL_SWEEP};
    int64_t oldest_ms = INT64_MAX;

    for (size_t i = 0; i < list->count; i++) {
        const struct journal_noted *noted = &list->noted[i];
        const struct journal_record *record = &noted->line.record;
        if (noted->fate == JOURNAL_DROP)
            continue;
        if (noted->line.time_ms < oldest_ms)
            oldest_ms = noted->line.time_ms;
        if (record->kind == JOURNAL_INTENT || record->kind == JOURNAL_SILENT) {
            silent.count = 1;
            if (record->hold_ms > silent.hold_ms)
                silent.hold_ms = record->hold_ms;
        } else if (record->kind != JOURNAL_SWEEP) {
            tags.count = 1;
        }
    }
    patterns.names = cut_patterns(list, max, &patterns.count);
    if (!patterns.names)
        patterns.names = anything;
    struct journal_counts counts = {journal_line_write(text, &silent, oldest_ms), 0};
    counts.pending += journal_line_write(text, &tags, oldest_ms);
    counts.pending += journal_line_write(text, &patterns, oldest_ms);
    return counts;
}
