/*
 * Mutations in two steps: mark what a mutation may make stale before the backend
 * hears of it, unmark afterwards. Called by the responder through store.h; what
 * happens to a generation is in scripts.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "client/change.h"
#include "client/client.h"
#include "client/generations.h"
#include "client/scripts.h"
#include "client/store.h"
#include "client/token.h"

bool
store_token_make(store_token token)
{
    return token_make(token, STORE_TOKEN_LEN);
}

static enum larder_status
check_marks(const struct larder *cache, const char *const *tags, size_t n, const char *token,
            struct larder_error *err)
{
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    if (strnlen(token, STORE_TOKEN_LEN + 1) != STORE_TOKEN_LEN ||
        strspn(token, "0123456789abcdef") != STORE_TOKEN_LEN)
        return error_set(err, LARDER_INVALID, "no token of a mutation");
    return generations_check(tags, n, n, err);
}

enum larder_status
store_mark(struct larder *cache, const char *const *tags, size_t n, const store_token token,
           int64_t max_ms, int64_t deadline_ms, struct larder_error *err)
{
    char life[24];
    bool refused = false;
    int results[NEWS_TAGS_MAX];
    const struct change change = {.command = COMMAND_MARK,
                                  .script = script_mark,
                                  .argument = {token, life},
                                  .arguments = 2,
                                  .tell = true,
                                  .insist = true};

    enum larder_status status = check_marks(cache, tags, n, token, err);
    if (status == LARDER_OK && (max_ms <= 0 || max_ms > STORE_TTL_MAX_S * 1000))
        status = error_set(err, LARDER_INVALID, "a mark for %lld ms", (long long)max_ms);
    snprintf(life, sizeof life, "%lld", (long long)max_ms);
    /* All of them, whatever becomes of the first ones: what is not marked must be purged. */
    for (size_t at = 0; at < n && status == LARDER_OK; at += NEWS_TAGS_MAX) {
        size_t some = n - at < NEWS_TAGS_MAX ? n - at : NEWS_TAGS_MAX;
        status = change_run(cache, &change, tags + at, some, deadline_ms, results, err);
        for (size_t i = 0; i < some && status == LARDER_OK; i++)
            refused = refused || results[i] != 1;
    }
    /* Not even a deletion was let through (MISCONF, NOREPLICAS, an ACL): nothing is purged, and to
     * the caller that is a server that he does not reach. */
    if (status == LARDER_REFUSED) {
        status = LARDER_UNAVAILABLE;
        if (err)
            err->status = status;
    }
    if (status == LARDER_OK && refused)
        status = error_set(err, LARDER_REFUSED,
                           "%s: %s: not marked but purged: no room, or not "
                           "allowed",
                           cache->endpoint.where, command_rule(change.command)->name);
    return status;
}

/* script_complete for one mutation. */
static struct change
completion(enum command command, const char *token, bool changed, const char *life,
           const char *next)
{
    return (struct change){.command = command,
                           .script = script_complete,
                           .argument = {token, changed ? "1" : "0", life, next},
                           .arguments = 4,
                           .tell = changed,
                           .insist = changed};
}

enum larder_status
store_unmark(struct larder *cache, const char *const *tags, size_t n, const store_token token,
             bool changed, int64_t deadline_ms, struct larder_error *err)
{
    char life[GENERATION_LIFE_SIZE];
    int results[NEWS_TAGS_MAX];
    struct change change = completion(COMMAND_UNMARK, token, changed, life, "");

    generation_life(cache, life);
    enum larder_status status = check_marks(cache, tags, n, token, err);
    for (size_t at = 0; at < n && status == LARDER_OK; at += NEWS_TAGS_MAX) {
        size_t some = n - at < NEWS_TAGS_MAX ? n - at : NEWS_TAGS_MAX;
        status = change_run(cache, &change, tags + at, some, deadline_ms, results, err);
        for (size_t i = 0; i < some && status == LARDER_OK; i++)
            if (results[i] == CHANGE_REFUSED)
                status = error_set(err, LARDER_REFUSED, "%s: %s: no room to write it down",
                                   cache->endpoint.where, command_rule(change.command)->name);
    }
    return status;
}

enum larder_status
store_renew(struct larder *cache, const char *tag, const store_token token, int64_t deadline_ms,
            store_generation next, bool *claimed, struct larder_error *err)
{
    char life[GENERATION_LIFE_SIZE];
    store_generation fresh;
    int result = 0;

    *claimed = false;
    next[0] = '\0';
    enum larder_status status = check_marks(cache, &tag, 1, token, err);
    if (status != LARDER_OK)
        return status;
    if (!generation_make(fresh))
        return error_set(err, LARDER_UNAVAILABLE, "no random bytes for a generation");
    generation_life(cache, life);
    struct change change = completion(COMMAND_RENEW, token, true, life, fresh);
    status = change_run(cache, &change, &tag, 1, deadline_ms, &result, NULL);
    if (status == LARDER_OK && result == 1) {
        memcpy(next, fresh, sizeof fresh);
        *claimed = true;
    }
    if (status == LARDER_OK && result != CHANGE_REFUSED)
        return LARDER_OK;
    /* Nobody knows; what may be repeated says so, or that it failed. */
    return store_unmark(cache, &tag, 1, token, true, deadline_ms, err);
}
