/*
 * The mutation register: readings, and purges for the silent; see registry.h. Called
 * once a second, behind the signs of life (alive.c), and by look-ups whose last
 * reading is too old.
 *
 * Whatever process finds a purge overdue carries it out, and notes in the register
 * when it began, so that the others need not. A process that has found one overdue
 * uses nothing that is stored until it has read that it is done.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/news.h"
#include "client/registry.h"

/* A purge for the silent is begun so long before it is overdue, so that one process does it, and the
 * others see that it has been done. */
#define AHEAD_MS (REGISTRY_SOON_MS + 150)
/* Tags that are purged for at once. */
#define DUE_MAX ((size_t)1024)
#define COMPLAIN_MS INT64_C(60000)

/* ---------------------------------------------------------------------- reading */

void
registry_write_read(const struct larder *cache, struct wire *wire)
{
    command_write(cache, wire, "HGETALL :" NAME_MUTATIONS);
}

enum larder_status
registry_take(struct larder *cache, const redisReply *reply, int64_t start_ms,
              struct larder_error *err)
{
    struct registry *registry = &cache->registry;

    if (reply->type == REDIS_REPLY_ERROR)
        return command_refused(cache, COMMAND_READ, reply, err);
    pthread_mutex_lock(&registry->lock);
    bool taken = watch_take(registry, reply, start_ms, clock_boot_ms());
    pthread_mutex_unlock(&registry->lock);
    return taken ? LARDER_OK : command_unexpected(cache, COMMAND_READ, err);
}

static bool
is_clean(struct larder *cache)
{
    int64_t clean_ms = atomic_load(&cache->registry.clean_ms);

    return clean_ms > 0 && clock_boot_ms() - clean_ms <= REGISTRY_X_MS;
}

void
store_watch(struct larder *cache)
{
    pthread_mutex_lock(&cache->registry.lock);
    cache->registry.watched = true;
    pthread_mutex_unlock(&cache->registry.lock);
    keeper_nudge(cache);
}

/*
 * For whoever cannot wait for the keeper, who may not have looked for as long as the
 * machine was suspended: so the server is asked as well whether it is still the one
 * that it was. *begun_ms: before it.
 */
static enum larder_status
read_now(struct larder *cache, int64_t deadline_ms, int64_t *begun_ms, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;
    struct command_more more = {.judges = true, .identifies = true};

    wire_init(&wire);
    registry_write_read(cache, &wire);
    enum larder_status status =
        command_run(cache, COMMAND_READ, &wire, deadline_ms, &reply, 1, &more, err);
    wire_free(&wire);
    *begun_ms = more.begun_ms;
    if (status != LARDER_OK)
        return status;
    status = registry_take(cache, reply, more.begun_ms, err);
    command_free_replies(&reply, 1);
    return status;
}

enum larder_status
store_may_use(struct larder *cache, int64_t deadline_ms, struct larder_error *err)
{
    int64_t begun_ms;

    if (is_clean(cache))
        return LARDER_OK;
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    do {
        enum larder_status status = read_now(cache, deadline_ms, &begun_ms, err);
        if (status != LARDER_OK || is_clean(cache))
            return status;
        /* Nothing was overdue, but Redis took too long to say so. */
    } while (atomic_load(&cache->registry.clean_ms) >= begun_ms);
    keeper_nudge(cache);
    return error_set(err, LARDER_MISS,
                     "%s: a mutation of a silent process is to be purged for first",
                     cache->endpoint.where);
}

/* ----------------------------------------------------------- for the silent: purge */

/* What a round has to do, copied, since nothing is locked meanwhile. */
struct due {
    char *field, *value; /* of a silent record; NULL: of a token */
    const char *tag;
    bool over;
    int64_t first_ms, left_ms;
};

struct round {
    struct due list[DUE_MAX];
    const char *tags[DUE_MAX];
    size_t count;
    bool whole; /* there was room for all */
};

static bool
add_due(struct round *round, const struct seen *seen, int64_t now_ms)
{
    const char *at = NULL, *tag;
    size_t len;

    while (watch_tag(seen, &at, &tag, &len)) {
        if (round->count == DUE_MAX)
            return false;
        struct due *due = &round->list[round->count];
        *due = (struct due){.over = watch_is_over(seen, now_ms),
                            .first_ms = seen->first_ms,
                            .left_ms = seen->left_ms};
        if (len >= STORE_TAG_SIZE)
            continue;
        if (seen->silent) {
            due->field = strdup(seen->field);
            due->value = strdup(seen->value);
            due->tag = due->field ? due->field + 1 : NULL;
        } else {
            due->field = strndup(tag, len);
            due->tag = due->field;
        }
        if (!due->tag || (seen->silent && !due->value)) {
            free(due->field);
            free(due->value);
            *due = (struct due){.field = NULL};
            return false;
        }
        round->tags[round->count++] = due->tag;
    }
    return true;
}

static void
free_round(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        free(round->list[i].field);
        free(round->list[i].value);
    }
    free(round);
}

/* Whether there is anything to note. */
static bool
write_notes(const struct larder *cache, struct wire *wire, const struct due *list, size_t count,
            int64_t begun_ms)
{
    size_t n = 0;
    int64_t now_ms = clock_boot_ms();

    for (const struct due *due = list; due < list + count; due++)
        n += due->value != NULL;
    registry_begin_notes(cache, wire, n);
    for (const struct due *due = list; due < list + count; due++) {
        int64_t left_ms = due->left_ms - (now_ms - due->first_ms);
        if (due->value)
            registry_write_note(wire, due->field, due->value, now_ms - begun_ms,
                                due->over     ? -1
                                : left_ms > 0 ? left_ms
                                              : 0);
    }
    return n > 0;
}

static void
complain(struct larder *cache, const struct larder_error *err)
{
    struct registry *registry = &cache->registry;
    int64_t now_ms = clock_boot_ms();
    bool says = false;

    pthread_mutex_lock(&registry->lock);
    registry->why = *err;
    if (err->status != LARDER_OK &&
        (registry->complained_ms == 0 || now_ms - registry->complained_ms >= COMPLAIN_MS)) {
        registry->complained_ms = now_ms;
        says = true;
    }
    pthread_mutex_unlock(&registry->lock);
    if (says && cache->options.log) {
        char line[LARDER_ERROR_MAX + 160];
        snprintf(line, sizeof line,
                 "a mutation of unknown outcome cannot be purged for, and nothing that is stored "
                 "is used until it is: %s",
                 err->message);
        cache->options.log(cache->options.log_arg, LARDER_LOG_ERROR, line);
    }
}

/* Purge so many at once, and note it. */
static bool
purge_some(struct larder *cache, const struct due *list, const char *const *tags, size_t count,
           int64_t deadline_ms)
{
    struct larder_error err = {.status = LARDER_OK};
    redisReply *reply = NULL;
    struct wire wire;
    bool noted = true;
    int64_t begun_ms = clock_boot_ms();

    if (store_purge_tags(cache, tags, count, false, deadline_ms, &err) != LARDER_OK) {
        complain(cache, &err);
        return false;
    }
    err.status = LARDER_OK;
    complain(cache, &err);
    wire_init(&wire);
    if (write_notes(cache, &wire, list, count, begun_ms)) {
        noted = command_run(cache, COMMAND_NOTE, &wire, deadline_ms, &reply, 1, NULL, NULL) ==
                LARDER_OK;
        if (noted)
            command_free_replies(&reply, 1);
    }
    wire_free(&wire);
    return noted;
}

/* So many at once, each noted: where there is no time for all, the next round goes on from there. */
static void
purge_due(struct larder *cache, const struct round *round, int64_t deadline_ms)
{
    int64_t begun_ms = clock_boot_ms();

    for (size_t i = 0; i < round->count; i += NEWS_TAGS_MAX) {
        size_t rest = round->count - i;
        if (!purge_some(cache, round->list + i, round->tags + i,
                        rest < NEWS_TAGS_MAX ? rest : NEWS_TAGS_MAX, deadline_ms))
            return;
    }
    if (!round->whole)
        return;
    pthread_mutex_lock(&cache->registry.lock);
    watch_cover(&cache->registry, begun_ms, clock_boot_ms());
    pthread_mutex_unlock(&cache->registry.lock);
}

/* Make silent records of the tokens that have been silent for L. How many. */
static size_t
declare_silent(struct larder *cache, int64_t deadline_ms)
{
    struct registry *registry = &cache->registry;
    redisReply *replies[NEWS_TAGS_MAX];
    struct wire wire;
    size_t n = 0;

    wire_init(&wire);
    pthread_mutex_lock(&registry->lock);
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < registry->count && n < NEWS_TAGS_MAX; i++) {
        const struct seen *seen = &registry->seen[i];
        const char *tags[STORE_TAGS_MAX * 8];
        char beat[24];
        struct round *round = NULL;
        size_t count = 0;
        if (!watch_is_silent(registry, seen, now_ms) || !(round = calloc(1, sizeof *round)))
            continue;
        (void)add_due(round, seen, now_ms);
        for (; count < round->count && count < sizeof tags / sizeof *tags; count++)
            tags[count] = round->tags[count];
        if (count == 0 || count < round->count) { /* more than it can be, or none: somebody's */
            tags[0] = TAG_ALL;
            count = 1;
        }
        snprintf(beat, sizeof beat, "%lld", (long long)seen->beat);
        registry_write_silence(cache, &wire, seen->field, seen->hold_ms > 0 ? beat : "",
                               seen->hold_ms, true, tags, count);
        free_round(round);
        n++;
    }
    pthread_mutex_unlock(&registry->lock);
    if (n > 0 && command_run(cache, COMMAND_SILENCE, &wire, deadline_ms, replies, n, NULL, NULL) ==
                     LARDER_OK)
        command_free_replies(replies, n);
    wire_free(&wire);
    if (n > 0 && cache->options.log) {
        char line[160];
        snprintf(line, sizeof line,
                 "%zu mutations have lost their process: what they may have changed is dropped "
                 "every %lld s until no backend can be at it any more",
                 n, (long long)REGISTRY_L_MS / 1000);
        cache->options.log(cache->options.log_arg, LARDER_LOG_WARNING, line);
    }
    return n;
}

static struct round *
find_due(struct registry *registry)
{
    struct round *round = calloc(1, sizeof *round);
    int64_t now_ms = clock_boot_ms();
    bool room = round != NULL;

    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->count && room; i++)
        if (watch_is_due(registry, &registry->seen[i], now_ms,
                         registry->seen[i].silent ? AHEAD_MS : 0))
            room = add_due(round, &registry->seen[i], now_ms);
    pthread_mutex_unlock(&registry->lock);
    if (round)
        round->whole = room;
    if (round && round->count == 0) {
        free_round(round);
        return NULL;
    }
    return round;
}

static bool
is_watched(struct registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    bool watched = registry->watched;
    pthread_mutex_unlock(&registry->lock);
    return watched;
}

void
registry_reap(struct larder *cache, int64_t deadline_ms)
{
    int64_t begun_ms;

    if (!is_watched(&cache->registry))
        return;
    if (declare_silent(cache, deadline_ms) > 0)
        (void)read_now(cache, deadline_ms, &begun_ms, NULL);
    struct round *round = find_due(&cache->registry);
    if (!round)
        return;
    purge_due(cache, round, deadline_ms);
    free_round(round);
    (void)read_now(cache, deadline_ms, &begun_ms, NULL);
}

/* ------------------------------------------------------------------ once a second */

int64_t
registry_pause_ms(struct larder *cache)
{
    struct registry *registry = &cache->registry;
    int64_t pause_ms = REGISTRY_BEAT_MS;

    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->count; i++)
        if (registry->seen[i].silent)
            pause_ms = REGISTRY_SOON_MS;
    pthread_mutex_unlock(&registry->lock);
    return pause_ms;
}

bool
registry_is_used(struct larder *cache)
{
    struct registry *registry = &cache->registry;

    pthread_mutex_lock(&registry->lock);
    bool used = registry->watched || registry->own;
    pthread_mutex_unlock(&registry->lock);
    return used;
}

/* ----------------------------------------------------------------------- the operator */

void
store_register_state(struct larder *cache, struct store_register_state *out)
{
    struct registry *registry = &cache->registry;

    *out = (struct store_register_state){.usable = is_clean(cache)};
    pthread_mutex_lock(&registry->lock);
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < registry->count; i++) {
        const struct seen *seen = &registry->seen[i];
        if (!seen->silent) {
            out->living++;
            continue;
        }
        out->silent++;
        int64_t left_ms = seen->left_ms - (now_ms - seen->first_ms);
        if (left_ms >= out->left_ms) {
            out->left_ms = left_ms;
            snprintf(out->tag, sizeof out->tag, "%s", seen->field + 1);
        }
    }
    if (registry->why.status != LARDER_OK)
        snprintf(out->why, sizeof out->why, "%s", registry->why.message);
    pthread_mutex_unlock(&registry->lock);
}
