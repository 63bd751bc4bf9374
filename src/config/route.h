/*
 * From a request's path, method and host to the policy: the first entry of
 * `routes` that matches.
 *
 * Patterns: other characters stand for themselves; `{name}` is one or more
 * characters without '/', captured; `*` is any run without '/', also empty;
 * `**` is any run, also empty. The whole path must match. Paths are compared
 * in normal form (RFC 3986 §6.2.2: unreserved characters decoded, hex digits in
 * upper case, dot segments removed), so that /%61dmin is /admin here as it is
 * at the backend.
 */
#ifndef CONFIG_ROUTE_H
#define CONFIG_ROUTE_H

#include "base/arena.h"
#include "base/slice.h"
#include "larder.h"
#include "config/config.h"

struct route_match {
    const struct route *route; /* NULL: none */
    struct {
        struct slice name;
        struct slice value; /* as in the path; percent-encoded as there */
    } captures[ROUTE_CAPTURES_MAX];
    size_t capture_count;
    /* What the browser is told: from the route with the longest literal prefix among all that match
     * the path and set client_cache, whatever order they stand in; NULL: the backend's own. */
    const struct route *client_cache;
    bool never; /* client_cache says never: Larder does not look up or store either */
};

/* Compile a pattern for route->compiled. LARDER_INVALID with words. */
enum larder_status route_compile(struct route *route, struct arena *arena,
                                 struct larder_error *err);

/* path: raw, without query. host: as received, may have a port. false: no memory. */
bool route_find(const struct config *config, struct arena *arena, struct slice method,
                struct slice host, struct slice path, struct route_match *out);

/*
 * Expand an invalidation pattern: {user} and {capture} are replaced, glob
 * characters in them escaped; `user` "" when there is none. NULL: a placeholder
 * has no value (the pattern is then skipped by the caller) or no memory.
 */
char *route_expand(const struct route_match *match, struct arena *arena, const char *pattern,
                   struct slice user);

#endif
