/*
 * The records of a journal (journal_line.c, journal_list.c), from a file that may
 * have been damaged in any way. The input are lines without their checksums; the
 * first byte of the first says which processes live. It is read as it is, and
 * with checksums made right (mere damage ends there).
 *
 * Must hold besides not crashing: what can be read is written as it was read; a
 * name is told once, and no tag softly that is told hard; what is left after
 * nothing or all was done, and what it collapses to, can be read whole, and says
 * no less: a tag that was to be purged is still, or "all" is; a pattern, or one
 * that begins like it; an intent, or a silent one of no shorter hold.
 */
#include "fuzz.h"

#include <stdio.h>

#include "runtime/journal_list.h"

#define SIZE_LIMIT ((size_t)16 * 1024)
#define COLLAPSED_MAX ((size_t)4096)

static struct slice
slice_in(const struct journal_text *text)
{
    return (struct slice){text->p, text->n};
}

static struct journal_text
with_sums(struct slice rest)
{
    struct journal_text text = {.n = 0};
    while (rest.n) {
        char sum[32];
        struct slice line = take_line(&rest);
        snprintf(sum, sizeof sum, "%016llx ", (unsigned long long)journal_line_sum(line));
        journal_text_add(&text, sum, 17);
        journal_text_add(&text, line.p, line.n);
        journal_text_add(&text, "\n", 1);
    }
    MUST(!text.failed);
    return text;
}

static bool
has_job(const struct journal_list *list, enum journal_kind kind, const char *name)
{
    for (size_t i = 0; i < list->job_count; i++)
        if (list->jobs[i].kind == kind && strcmp(list->jobs[i].name, name) == 0)
            return true;
    return false;
}

/* Whatever was to be done is to be done in the other, or more than that. */
static void
says_no_less(const struct journal_list *list, const struct journal_list *collapsed)
{
    int64_t longest = 0, kept = 0;

    for (size_t i = 0; i < list->job_count; i++) {
        const struct journal_job *job = &list->jobs[i];
        if (job->kind == JOURNAL_SILENT)
            continue;
        bool found = job->kind != JOURNAL_SWEEP ? has_job(collapsed, JOURNAL_HARD, "all")
                                                : has_job(collapsed, JOURNAL_SWEEP, "*");
        for (size_t k = 0; !found && k < collapsed->job_count; k++) {
            const char *pattern = collapsed->jobs[k].name;
            size_t n = strlen(pattern) - 1;
            found = collapsed->jobs[k].kind == JOURNAL_SWEEP && pattern[n] == '*' &&
                    strncmp(pattern, job->name, n) == 0;
        }
        MUST(found);
    }
    for (size_t i = 0; i < list->count; i++)
        if (list->noted[i].fate != JOURNAL_DROP && list->noted[i].line.record.hold_ms > longest)
            longest = list->noted[i].line.record.hold_ms;
    for (size_t i = 0; i < collapsed->count; i++)
        if (collapsed->noted[i].line.record.kind == JOURNAL_SILENT)
            kept = collapsed->noted[i].line.record.hold_ms;
    MUST(kept == longest);
}

static void
collapses_well(const struct journal_list *list)
{
    struct journal_text text = {.n = 0};
    struct journal_list collapsed;

    struct journal_counts counts = journal_list_collapse(list, COLLAPSED_MAX, &text);
    size_t lines = counts.pending;
    MUST(counts.intents == 0);
    MUST(!text.failed && lines <= 3 && text.n <= COLLAPSED_MAX);
    MUST(journal_list_read(&collapsed, slice_in(&text), text.n) && !collapsed.damaged);
    MUST(collapsed.count == lines && journal_list_plan(&collapsed, NULL, NULL));
    says_no_less(list, &collapsed);
    journal_list_free(&collapsed);
    free(text.p);
}

static void
rest_is_whole(const struct journal_list *list)
{
    struct journal_text text = {.n = 0};
    struct journal_list rest;

    struct journal_counts counts = journal_list_rest(list, &text);
    size_t lines = counts.pending + counts.intents;
    MUST(!text.failed && journal_list_read(&rest, slice_in(&text), text.n));
    MUST(!rest.damaged && rest.count == lines && rest.bytes == text.n);
    journal_list_free(&rest);
    free(text.p);
}

static void
is_told_once(struct journal_list *list)
{
    const char *names[JOURNAL_BATCH];
    enum journal_kind kind = JOURNAL_SILENT, last_kind = JOURNAL_SILENT;
    int64_t hold_ms = 0;
    const char *last = NULL;

    for (size_t at = 0, next = 0; at < list->job_count; at = next) {
        size_t n = journal_list_batch(list, &next, &kind, &hold_ms, names);
        MUST(next > at && n <= JOURNAL_BATCH && kind >= last_kind && kind <= JOURNAL_SWEEP);
        for (size_t i = 0; i < n; i++) {
            size_t len = strlen(names[i]);
            MUST(len >= 1 && len <= JOURNAL_NAME_MAX);
            MUST(!last || kind != last_kind || strcmp(last, names[i]) < 0);
            MUST(kind != JOURNAL_SOFT || !has_job(list, JOURNAL_HARD, names[i]));
            last = names[i];
            last_kind = kind;
        }
        journal_list_did(list, at, next);
    }
    for (size_t i = 0; i < list->count; i++)
        MUST(list->noted[i].left == 0);
}

/* Written again it is the same line: whoever reads it says the same. */
static void
comes_out_as_it_went_in(const struct journal_line *line)
{
    struct journal_text text = {.n = 0};
    struct journal_list list;
    size_t names = 0;

    MUST(journal_line_write(&text, &line->record, line->time_ms) >= 1 && !text.failed);
    MUST(journal_list_read(&list, slice_in(&text), text.n) && !list.damaged);
    for (size_t i = 0; i < list.count; i++) {
        const struct journal_line *again = &list.noted[i].line;
        MUST(again->record.kind == line->record.kind && again->time_ms == line->time_ms);
        MUST(again->record.hold_ms == line->record.hold_ms);
        MUST(again->record.owner == line->record.owner);
        MUST(!line->record.token || strcmp(line->record.token, again->record.token) == 0);
        for (size_t k = 0; k < again->record.count; k++)
            MUST(strcmp(again->record.names[k], line->record.names[names++]) == 0);
    }
    MUST(names == line->record.count);
    journal_list_free(&list);
    free(text.p);
}

/* dead 0: nobody, 1: everybody; else those whose number it divides. */
static bool
lives(void *arg, uint64_t owner)
{
    const uint64_t *dead = arg;
    return *dead == 0 || owner % *dead != 0;
}

static void
is_sound(struct slice text, uint64_t dead, size_t acknowledged)
{
    struct journal_list list;

    MUST(journal_list_read(&list, text, acknowledged));
    MUST(list.bytes <= text.n && list.bytes >= (acknowledged < text.n ? acknowledged : text.n));
    MUST(acknowledged > 0 || !list.damaged);
    for (size_t i = 0; i < list.count; i++) {
        MUST(!list.noted[i].line.text.p || lies_in(list.noted[i].line.text, text.p, text.n));
        comes_out_as_it_went_in(&list.noted[i].line);
    }
    MUST(journal_list_plan(&list, lives, &dead));
    rest_is_whole(&list);
    collapses_well(&list);
    is_told_once(&list);
    rest_is_whole(&list);
    journal_list_free(&list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_LIMIT)
        return 0;
    struct slice rest = {(const char *)data, size};
    is_sound(rest, 1, 0);
    is_sound(rest, 1, size / 2);
    is_sound(rest, 1, size);
    struct slice first = take_line(&rest);
    uint64_t dead = first.n ? (unsigned char)first.p[0] % 4 : 0;
    struct journal_text text = with_sums(rest);
    is_sound(slice_in(&text), dead, text.n);
    free(text.p);
    return 0;
}
