/*
 * What this process has read of the mutation register; see the header. No I/O.
 *
 * The idea: nobody's clock is in the register. A reader that finds a beat, or a
 * purge, another than at its last reading knows that this happened after the
 * beginning of that reading, and counts from there: too early at worst, so that it
 * purges too soon and never too late. What it sees for the first time without
 * having read before may be of any age, and is overdue at once.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "client/registry.h"

void
registry_init(struct registry *registry)
{
    *registry = (struct registry){.own = NULL};
    pthread_mutex_init(&registry->lock, NULL);
}

void
watch_forget(struct registry *registry)
{
    for (size_t i = 0; i < registry->count; i++)
        free(registry->seen[i].field);
    free(registry->seen);
    registry->seen = NULL;
    registry->count = 0;
}

void
registry_destroy(struct registry *registry)
{
    while (registry->own) {
        struct store_mutation *next = registry->own->next;
        free(registry->own);
        registry->own = next;
    }
    watch_forget(registry);
    pthread_mutex_destroy(&registry->lock);
}

/* -------------------------------------------------------------------- reading */

static int
compare(const void *a, const void *b)
{
    const struct seen *left = a, *right = b;
    return strcmp(left->field, right->field);
}

/* A number of digits, and the blank or the line's end behind it. */
static bool
take_number(const char **text, int64_t *number)
{
    char *end = NULL;

    if (**text < '0' || **text > '9')
        return false;
    *number = strtoll(*text, &end, 10);
    *text = *end == ' ' || *end == '\n' ? end + 1 : end;
    return true;
}

/* What is not as ours is counts as silent for ever: somebody has meddled with it. `purges` 0 is due at
 * once, and with nothing left of its hold it is removed then. */
static void
parse(struct seen *seen)
{
    const char *at = seen->value;

    seen->silent = seen->field[0] == '=';
    if (seen->silent) {
        if (!take_number(&at, &seen->version) || !take_number(&at, &seen->purges) ||
            !take_number(&at, &seen->age_ms) || !take_number(&at, &seen->left_ms))
            seen->purges = seen->left_ms = 0;
    } else if (!take_number(&at, &seen->beat) || !take_number(&at, &seen->hold_ms)) {
        seen->hold_ms = 0;
    }
}

static bool
copy(struct seen *seen, const redisReply *field, const redisReply *value)
{
    if (field->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING ||
        field->len > STORE_TAG_SIZE)
        return false; /* somebody else's: then nobody can say what is under way */
    seen->field = malloc(field->len + value->len + 2);
    if (!seen->field)
        return false;
    memcpy(seen->field, field->str, field->len);
    seen->field[field->len] = '\0';
    memcpy(seen->field + field->len + 1, value->str, value->len);
    seen->field[field->len + 1 + value->len] = '\0';
    seen->value = seen->field + field->len + 1;
    parse(seen);
    return true;
}

/* When it lived, or was purged, at the earliest. */
static void
judge(const struct registry *registry, struct seen *seen, const struct seen *before, int64_t now_ms)
{
    bool same = before && strcmp(before->value, seen->value) == 0;

    seen->first_ms = same ? before->first_ms : now_ms;
    if (before && (same || (seen->silent && before->purges == seen->purges))) {
        seen->known = before->known;
        seen->covered_ms = before->covered_ms;
        return;
    }
    seen->known = registry->read_ms > 0 && !(seen->silent && seen->purges == 0);
    seen->covered_ms = registry->read_ms - (seen->silent ? seen->age_ms : 0);
    if (before && before->known && (!seen->known || before->covered_ms > seen->covered_ms)) {
        seen->known = true;
        seen->covered_ms = before->covered_ms;
    }
}

bool
watch_take(struct registry *registry, const redisReply *reply, int64_t start_ms, int64_t now_ms)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 0)
        return false;
    /* Somebody else has read since. */
    if (start_ms < registry->read_ms)
        return true;
    size_t n = reply->elements / 2, done = 0;
    struct seen *list = n ? calloc(n, sizeof *list) : NULL;
    if (n && !list)
        return false;
    while (done < n && copy(&list[done], reply->element[2 * done], reply->element[2 * done + 1]))
        done++;
    if (done < n) {
        while (done > 0)
            free(list[--done].field);
        free(list);
        return false;
    }
    bool clean = true;
    if (n > 1)
        qsort(list, n, sizeof *list, compare);
    for (size_t i = 0; i < n; i++) {
        const struct seen *before =
            registry->count
                ? bsearch(&list[i], registry->seen, registry->count, sizeof *list, compare)
                : NULL;
        judge(registry, &list[i], before, now_ms);
    }
    watch_forget(registry);
    registry->seen = list;
    registry->count = n;
    registry->read_ms = start_ms;
    for (size_t i = 0; i < n && clean; i++)
        clean = !watch_is_due(registry, &list[i], now_ms, 0);
    if (clean)
        atomic_store(&registry->clean_ms, start_ms);
    return true;
}

/* -------------------------------------------------------------------- judging */

/* A mutation of this process: it lives as we do. */
static bool
is_own(const struct registry *registry, const struct seen *seen)
{
    for (const struct store_mutation *own = registry->own; own; own = own->next)
        if (own->state != MUTATION_OVER && strcmp(own->token, seen->field) == 0)
            return true;
    return false;
}

bool
watch_is_silent(const struct registry *registry, const struct seen *seen, int64_t now_ms)
{
    return !seen->silent && now_ms - seen->first_ms >= REGISTRY_L_MS && !is_own(registry, seen);
}

bool
watch_is_over(const struct seen *seen, int64_t now_ms)
{
    return seen->silent && now_ms - seen->first_ms >= seen->left_ms;
}

bool
watch_is_due(const struct registry *registry, const struct seen *seen, int64_t now_ms,
             int64_t ahead_ms)
{
    if (watch_is_over(seen, now_ms))
        return true;
    if (seen->known && now_ms + ahead_ms - seen->covered_ms < REGISTRY_L_MS)
        return false;
    return seen->silent || !is_own(registry, seen);
}

void
watch_cover(struct registry *registry, int64_t begun_ms, int64_t now_ms)
{
    for (size_t i = 0; i < registry->count; i++) {
        struct seen *seen = &registry->seen[i];
        if (!seen->silent && seen->first_ms <= begun_ms &&
            watch_is_due(registry, seen, now_ms, 0)) {
            seen->known = true;
            seen->covered_ms = begun_ms;
        }
    }
}

bool
watch_tag(const struct seen *seen, const char **at, const char **tag, size_t *len)
{
    if (seen->silent) {
        if (*at)
            return false;
        *tag = *at = seen->field + 1;
        *len = strlen(*tag);
        return true;
    }
    if (!*at)
        *at = seen->value;
    *at = strchr(*at, '\n');
    if (!*at)
        return false;
    *tag = ++*at;
    *len = strcspn(*tag, "\n");
    return true;
}
