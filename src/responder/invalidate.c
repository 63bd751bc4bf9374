/*
 * What a mutation made stale: its own URL and those that its answer names, as
 * RFC 9111 §4.4 has it for every cache, and the patterns of its route; dropped
 * before the client hears that the mutation is done. Whoever asks after that
 * gets nothing that was fetched before it: the generations go first, so that a
 * fill in flight is dead too; the sweep for application values comes second.
 */
#include "responder/invalidate.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/uri.h"
#include "responder/key.h"
#include "runtime/counters.h"

bool
invalidation_expand(struct invalidation *out, const struct route_match *match, struct slice user,
                    struct arena *arena)
{
    *out = (struct invalidation){.patterns = NULL};
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

/* The key of a GET for this target has its query reduced as that route says. */
static bool
add_url(struct invalidation *out, const struct config *config, const struct uri_base *base,
        struct slice target, struct arena *arena)
{
    static const struct slice get = {"GET", 3};
    struct route_match match;
    const char *query = memchr(target.p, '?', target.n);
    struct slice path = {target.p, query ? (size_t)(query - target.p) : target.n};
    if (!route_find(config, arena, get, base->host, path, &match))
        return false;
    struct slice reduced = key_target(target, match.route, arena);
    if (!reduced.p)
        return false;
    store_url_tag(out->tags[out->tag_count++], key_url_hash(base->scheme, base->host, reduced));
    return true;
}

bool
invalidation_urls(struct invalidation *out, const struct config *config,
                  const struct request *request, const struct fields *response, struct arena *arena)
{
    static const char *const names[] = {"Location", "Content-Location"};
    struct slice host = request->forwarded_host.p ? request->forwarded_host : request->host;
    const struct uri_base base = {.scheme = request->scheme,
                                  .host = key_normal_host(host, request->scheme, arena),
                                  .target = request->target};
    out->tag_count = 0;
    if (!base.host.p || !add_url(out, config, &base, request->target, arena))
        return false;
    for (size_t i = 0; response && i < sizeof names / sizeof *names; i++) {
        struct slice reference = fields_get(response, names[i]);
        if (!reference.p)
            continue;
        struct slice target = uri_same_origin_target(&base, reference, arena);
        if (target.p && !slice_equal(target, request->target) &&
            !add_url(out, config, &base, target, arena))
            return false;
    }
    return true;
}

const char *
invalidate_now(struct site *site, const struct invalidation *invalidation)
{
    struct larder_error err = {0};
    int64_t deleted = 0, deadline_ms = clock_now_ms() + site->config->invalidate_timeout_ms;
    bool invalidated = false;
    enum larder_status status = LARDER_OK;
    size_t done = invalidation->tags_done;
    if (invalidation->tag_count > done)
        status = store_invalidate_tags(site->cache,
                                       (const char(*)[STORE_TAG_SIZE])invalidation->tags + done,
                                       invalidation->tag_count - done, deadline_ms, &err);
    if (invalidation->count) {
        /* Whatever became of the URLs. */
        struct larder_error own = {0};
        enum larder_status swept = store_invalidate(site->cache, invalidation->patterns,
                                                    invalidation->count, deadline_ms, &deleted,
                                                    &invalidated, &own);
        if (swept != LARDER_OK) {
            status = swept;
            err = own;
        }
    }
    counters_add(COUNTER_invalidations, 1);
    counters_add(COUNTER_invalidated_keys, deleted > 0 ? (uint64_t)deleted : 0);
    if (status == LARDER_OK)
        return "done";
    counters_add(COUNTER_invalidate_failed, 1);
    log_write(
        LARDER_LOG_ERROR, "invalidation of %s%s%s%s failed%s: %s",
        invalidation->count ? "\"" : "a URL", invalidation->count ? invalidation->patterns[0] : "",
        invalidation->count ? "\"" : "", invalidation->count > 1 ? " and others" : "",
        invalidated ? " half-way (responses are dropped, application values may be left)" : "",
        err.message);
    return "failed";
}
