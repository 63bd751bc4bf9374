/*
 * From a request's path, method, host and query to the policy: the first entry of
 * `routes` that matches.
 *
 * Patterns: `{name}` is one or more characters without '/', captured, as few as
 * will do; `*` is any run without '/', also empty; `**` is any run, also empty;
 * other characters stand for themselves. Two of the three never touch. The whole
 * path must match. Paths are compared in normal form (path.h), so that /%61dmin
 * is /admin here as it is at the backend. GET includes HEAD.
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
        struct slice value; /* as in the path in normal form, percent-encoded as there */
    } captures[ROUTE_CAPTURES_MAX];
    size_t capture_count;
    /* What the browser is told: from the route with the longest literal prefix among all that match
     * and set client_cache, whatever order they stand in; NULL: the backend's own. */
    const struct route *client_cache;
    /* client_cache says never, for any method: Larder does not look up or store either. A path that
     * some backend may read as such a one (path_loosen) counts as well, and so does one that some
     * backend may read as a user's own while this route's key does not have that user in it. */
    bool never;
    bool by_asked; /* route and captures are those of what the web server has made of the URL */
    /* What the web server has made of the URL, where that counts beside it (rewriting.h): the stricter
     * of the two. NULL: nothing does. */
    const struct route_match *other;
};

/* The route of `other`, if it is not the same one. */
static inline const struct route *
route_beside(const struct route_match *match)
{
    const struct route *route = match->other ? match->other->route : NULL;
    return route != match->route ? route : NULL;
}

/* Compile route->path. LARDER_INVALID with words. */
enum larder_status route_compile(struct route *route, struct arena *arena,
                                 struct larder_error *err);

/* target: raw, with its query if it has one. host: as received, may have a port. false: no memory. */
bool route_find(const struct config *config, struct arena *arena, struct slice method,
                struct slice host, struct slice target, struct route_match *out);

/* Does the key of the one have the other's user in it? */
bool route_has_user_of(const struct route *route, const struct route *other);

/* Is anything that this route answers ever cached? */
bool route_caches(const struct route *route);

/*
 * The first route by which something below a directory may be cached without
 * that directory among its tags; NULL: there is none. directory: in normal form,
 * with its last slash. host: as a request has it.
 */
const struct route *route_blind_below(const struct config *config, struct slice host,
                                      struct slice directory);

/* Is there a {name} in the path of this compiled route? */
bool route_has_capture(const struct route *route, struct slice name);

/*
 * Expand an invalidation pattern: {user} and {capture} are replaced, glob
 * characters in them escaped; `user` "" when there is none. A capture is
 * percent-decoded, since that is how a backend names its keys; control
 * characters become `?`. NULL: a placeholder has no value, or the result is
 * longer than any key may be and so matches none; the caller skips the pattern.
 * No memory: "*", since to drop too much is the lesser harm.
 */
const char *route_expand(const struct route_match *match, struct arena *arena, const char *pattern,
                         struct slice user);

/* The same for a name that is no pattern: what is put in is percent-decoded and otherwise as it is.
 * .p NULL: a placeholder has no value, it is longer than a key may be, or no memory. */
struct slice route_expand_name(const struct route_match *match, struct arena *arena,
                               const char *name, struct slice user);

#endif
