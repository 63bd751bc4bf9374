/*
 * What a mutation made stale: the patterns of its route, dropped before the
 * client hears that the mutation is done. Whoever asks after that gets nothing
 * that was fetched before it: the generations go first, so that a fill in
 * flight is dead too; the sweep for application values comes second.
 */
#include "responder/invalidate.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/store.h"
#include "runtime/counters.h"

bool
invalidation_expand(struct invalidation *out, const struct route_match *match, struct slice user,
                    struct arena *arena)
{
    *out = (struct invalidation){NULL, 0};
    const struct route *route = match->route;
    if (!route || route->invalidate.count == 0)
        return true;
    /* In the keys of responses a user stands escaped, in those of the application as he is. */
    char escaped[STORE_TAG_SIZE];
    struct slice in_response = user;
    if (user.n && store_escape_user(escaped, sizeof escaped, user.p, user.n))
        in_response = slice_of(escaped);
    bool twice = !slice_equal(user, in_response);
    out->patterns = arena_calloc(arena, 2 * route->invalidate.count, sizeof *out->patterns);
    if (!out->patterns)
        return false;
    for (size_t i = 0; i < route->invalidate.count; i++) {
        const char *source = route->invalidate.list[i];
        const char *pattern = route_expand(match, arena, source, user);
        if (pattern)
            out->patterns[out->count++] = pattern;
        if (!twice || !strstr(source, "{user}"))
            continue;
        pattern = route_expand(match, arena, source, in_response);
        if (pattern)
            out->patterns[out->count++] = pattern;
    }
    return true;
}

const char *
invalidate_now(struct site *site, const char *const *patterns, size_t count)
{
    struct larder_error err = {0};
    int64_t deleted = 0;
    bool invalidated = false;
    enum larder_status status = store_invalidate(
        site->cache, patterns, count, clock_now_ms() + site->config->invalidate_timeout_ms,
        &deleted, &invalidated, &err);
    counters_add(COUNTER_invalidations, 1);
    counters_add(COUNTER_invalidated_keys, deleted > 0 ? (uint64_t)deleted : 0);
    if (status == LARDER_OK)
        return "done";
    counters_add(COUNTER_invalidate_failed, 1);
    log_write(LARDER_LOG_ERROR, "invalidation of \"%s\"%s failed%s: %s", patterns[0],
              count > 1 ? " and others" : "",
              invalidated ? " half-way (responses are dropped, application values may be left)"
                          : "",
              err.message);
    return "failed";
}
