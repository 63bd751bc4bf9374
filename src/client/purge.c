/*
 * Purges: invalidate tags now, whatever hangs on them. Called by the responder
 * through store.h and by the sweeps. A hard purge deletes the generation, what a
 * soft one does to it is in scripts.c; that none is lost on the way, in change.c.
 */
#include <string.h>

#include "base/error.h"
#include "client/change.h"
#include "client/client.h"
#include "client/generations.h"
#include "client/scripts.h"
#include "client/store.h"
#include "client/token.h"

#define SOFT_RANDOM_DIGITS ((size_t)4)

static enum larder_status
purge_some(struct larder *cache, const struct change *change, const char *const *tags, size_t n,
           int64_t deadline_ms, struct larder_error *err)
{
    int results[NEWS_TAGS_MAX];
    enum larder_status status = change_run(cache, change, tags, n, deadline_ms, results, err);

    for (size_t i = 0; i < n && status == LARDER_OK; i++)
        if (results[i] == CHANGE_REFUSED)
            status = error_set(err, LARDER_REFUSED, "%s: %s: no room to write it down",
                               cache->endpoint.where, command_rule(change->command)->name);
    return status;
}

static struct change
hard_purge(void)
{
    return (struct change){.command = COMMAND_PURGE, .insist = true};
}

static struct change
soft_purge(const char *digits, const char *life)
{
    return (struct change){.command = COMMAND_SOFT,
                           .script = script_soft,
                           .argument = {digits, life},
                           .arguments = 2,
                           .insist = true};
}

enum larder_status
purge_untold(struct larder *cache, const char *const *tags, size_t n, int64_t deadline_ms,
             struct larder_error *err)
{
    const struct change change = hard_purge();

    return purge_some(cache, &change, tags, n, deadline_ms, err);
}

enum larder_status
store_purge_tags(struct larder *cache, const char *const *tags, size_t n, bool soft,
                 int64_t deadline_ms, struct larder_error *err)
{
    char life[GENERATION_LIFE_SIZE], digits[SOFT_RANDOM_DIGITS + 1];

    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    if (!token_make(digits, SOFT_RANDOM_DIGITS))
        return error_set(err, LARDER_UNAVAILABLE, "no random bytes for a generation");
    enum larder_status status = generations_check(tags, n, n, err);
    generation_life(cache, life);
    struct change change = soft ? soft_purge(digits, life) : hard_purge();
    change.tell = true;
    for (size_t at = 0; at < n && status == LARDER_OK; at += NEWS_TAGS_MAX) {
        size_t some = n - at < NEWS_TAGS_MAX ? n - at : NEWS_TAGS_MAX;
        status = purge_some(cache, &change, tags + at, some, deadline_ms, err);
    }
    return status;
}

enum larder_status
store_claim(struct larder *cache, const char *tag, const store_generation before,
            int64_t deadline_ms, store_generation next, bool *claimed, struct larder_error *err)
{
    char life[GENERATION_LIFE_SIZE];
    store_generation fresh;
    int result = 0;

    *claimed = false;
    next[0] = '\0';
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = generations_check(&tag, 1, 1, err);
    if (status != LARDER_OK)
        return status;
    if (!store_generation_settled(before) || !generation_make(fresh))
        return store_purge_tags(cache, &tag, 1, false, deadline_ms, err);
    generation_life(cache, life);
    const struct change change = {.command = COMMAND_CLAIM,
                                  .script = script_claim,
                                  .argument = {before, fresh, life},
                                  .arguments = 3,
                                  .tell = true,
                                  .insist = true};
    status = change_run(cache, &change, &tag, 1, deadline_ms, &result, NULL);
    if (status == LARDER_OK && result == 1) {
        memcpy(next, fresh, sizeof fresh);
        *claimed = true;
    }
    /* Of what nobody knows may be repeated what is only a purge. */
    return status == LARDER_OK ? status : store_purge_tags(cache, &tag, 1, false, deadline_ms, err);
}
