/*
 * From a request to its route.
 *
 * Fifty routes and fifteen thousand requests a second: the literal in front of
 * the first wildcard is compared before anything else, and nothing is copied
 * unless the path is not in normal form.
 */
#include "routing/route.h"

#include <assert.h>

#include "base/glob.h"
#include "http/uri.h"
#include "routing/path.h"
#include "routing/pattern.h"

/* RFC 1035 §2.3.4. What is longer is no host. */
#define HOST_MAX 255

/* --------------------------------------------------------------------- find */

struct lookup {
    const struct route_table *routes;
    struct slice method;
    struct slice target;
    char host_bytes[HOST_MAX];
    struct slice host;
};

/* Without port, the brackets of an address and the dot of the root, in lower case. */
static void
take_host(struct lookup *lookup, struct slice host)
{
    lookup->host = (struct slice){lookup->host_bytes, 0};
    if (!host.p)
        return;
    const char *end = host.n && host.p[0] == '[' ? memchr(host.p, ']', host.n) : NULL;
    if (end)
        host = (struct slice){host.p + 1, (size_t)(end - host.p - 1)};
    else if ((end = memchr(host.p, ':', host.n)))
        host.n = (size_t)(end - host.p);
    while (host.n && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n > HOST_MAX)
        return;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        lookup->host_bytes[i] = c;
    }
    lookup->host.n = host.n;
}

static bool
host_matches(const struct route *route, struct slice host)
{
    const struct string_list *hosts = &route->hosts;
    return hosts->count == 0 || glob_any(hosts->list, hosts->count, host.p, host.n);
}

static bool
method_matches(const struct route *route, struct slice method)
{
    if (route->methods.count == 0)
        return true;
    bool head = slice_equal(method, slice_of("HEAD"));
    for (size_t i = 0; i < route->methods.count; i++) {
        struct slice listed = slice_of(route->methods.list[i]);
        if (slice_equal(listed, method) || (head && slice_equal(listed, slice_of("GET"))))
            return true;
    }
    return false;
}

static bool
parameters_match(const struct route *route, struct slice target)
{
    const struct string_list *globs = &route->parameters;
    return globs->count == 0 || uri_query_matches(target, globs->list, globs->count);
}

static bool
prefix_matches(const struct route *route, struct slice path)
{
    size_t n = route->literal_prefix;
    return n == 0 || (n <= path.n && memcmp(route->compiled->text.p, path.p, n) == 0);
}

static void
take_captures(struct route_match *out, const struct route_segment *row, const struct spans *spans,
              struct slice path)
{
    out->capture_count = 0;
    for (size_t i = 0; row[i].kind != SEGMENT_END; i++) {
        if (row[i].kind != SEGMENT_CAPTURE)
            continue;
        assert(out->capture_count < ROUTE_CAPTURES_MAX);
        out->captures[out->capture_count].name = row[i].text;
        out->captures[out->capture_count].value =
            (struct slice){path.p + spans->begin[i], spans->end[i] - spans->begin[i]};
        out->capture_count++;
    }
}

/* Does it decide what browsers are told, against the best so far? `never` wins a tie. */
static bool
outranks(const struct route *route, const struct route *best)
{
    if (!route->client_cache_set)
        return false;
    if (!best || route->literal_prefix != best->literal_prefix)
        return !best || route->literal_prefix > best->literal_prefix;
    return route->client_cache == CLIENT_CACHE_NEVER && best->client_cache != CLIENT_CACHE_NEVER;
}

/*
 * One pass over the routes: the first that matches into out (NULL: not wanted),
 * and the one that decides what browsers are told as the result.
 */
static const struct route *
search(const struct lookup *lookup, struct slice path, struct route_match *out)
{
    const struct route *best = NULL;
    struct spans spans;
    for (size_t i = 0; i < lookup->routes->count; i++) {
        const struct route *route = &lookup->routes->list[i];
        if (!prefix_matches(route, path))
            continue;
        bool first = out && !out->route;
        bool ranks = outranks(route, best);
        if (!first && !ranks)
            continue;
        bool method = method_matches(route, lookup->method);
        if (!method && !(ranks && route->client_cache == CLIENT_CACHE_NEVER))
            continue;
        if (!host_matches(route, lookup->host) || !pattern_match(route->compiled, path, &spans) ||
            !parameters_match(route, lookup->target))
            continue;
        if (first && method) {
            out->route = route;
            take_captures(out, route->compiled, &spans, path);
        }
        if (ranks)
            best = route;
    }
    return best;
}

bool
route_has_user_of(const struct route *route, const struct route *other)
{
    return route->user == other->user &&
           (!other->user_name || strcmp(route->user_name, other->user_name) == 0);
}

/* What may not be shared when the path is read like this. */
static void
look_at_reading(const struct lookup *lookup, struct slice path, struct route_match *out,
                const struct route **said)
{
    struct route_match other = {.route = NULL};
    const struct route *says = search(lookup, path, &other);
    if (says && says->client_cache == CLIENT_CACHE_NEVER)
        *said = says;
    if (out->route && other.route && other.route->user != USER_NONE &&
        !route_has_user_of(out->route, other.route))
        out->never = true;
}

/*
 * A path that some backend may take for one that is never cached, or for one
 * user's own, is not cached either: nor is what a script in its middle may take the
 * rest for, or the script itself.
 */
static bool
look_at_other_readings(const struct lookup *lookup, struct arena *arena, struct slice path,
                       unsigned look, struct route_match *out, const struct route **said)
{
    struct path_readings readings;
    if (look & PATH_NOT_NORMAL)
        look_at_reading(lookup, path, out, said);
    if (!path_readings_find(&readings, arena, path))
        return false;
    for (size_t i = 0; i < readings.count; i++) {
        struct slice script = path_script(readings.list[i]);
        struct slice rest = path_without_script(arena, readings.list[i]);
        if (!rest.p)
            return false;
        if (i > 0)
            look_at_reading(lookup, readings.list[i], out, said);
        if (script.n > 0)
            look_at_reading(lookup, script, out, said);
        if (rest.n > 0)
            look_at_reading(lookup, rest, out, said);
    }
    return true;
}

bool
route_find(const struct route_table *routes, struct arena *arena, struct slice method,
           struct slice host, struct slice target, struct route_match *out)
{
    const char *query = target.n ? memchr(target.p, '?', target.n) : NULL;
    struct slice path = {target.p, query ? (size_t)(query - target.p) : target.n};
    out->route = NULL;
    out->capture_count = 0;
    out->client_cache = NULL;
    out->never = out->by_asked = false;
    out->other = NULL;
    struct lookup lookup = {.routes = routes, .method = method, .target = target};
    if (routes->have_hosts)
        take_host(&lookup, host);

    unsigned look = path_look(path);
    struct slice normal = path;
    if ((look & PATH_NOT_NORMAL) && !path_normalise(arena, path, &normal))
        return false;
    const struct route *said = search(&lookup, normal, out);
    if ((routes->have_never || routes->have_users) && (look || path_has_script(normal)) &&
        !look_at_other_readings(&lookup, arena, path, look, out, &said))
        return false;
    if (said && said->client_cache == CLIENT_CACHE_NEVER)
        out->never = true;
    else if (out->never)
        said = NULL; /* nor are browsers told to share it */
    if (said && said->client_cache != CLIENT_CACHE_BACKEND)
        out->client_cache = said;
    return true;
}

/* -------------------------------------------------------------- directories */

bool
route_caches(const struct route *route)
{
    const struct policy *policy = &route->policy;
    return policy->rfc || policy->ttl_ms > 0 || policy->ttl_override_ms > 0 ||
           policy->by_status_count > 0;
}

/* Only the beginning of a pattern is compared, up to its first wildcard: then it may match below
 * the directory, or it cannot. */
static bool
may_lie_below(const struct route *route, struct slice directory)
{
    const struct route_segment *first = route->compiled;
    size_t n = route->literal_prefix;
    if (n == 0)
        return true;
    if (n < directory.n && first[1].kind == SEGMENT_END)
        return false;
    return memcmp(first->text.p, directory.p, n < directory.n ? n : directory.n) == 0;
}

/* Does all that lies below the directory match, so that no later route gets any of it? */
static bool
takes_all_below(const struct route *route, struct slice directory)
{
    const struct route_segment *s = route->compiled;
    if (route->literal_prefix > directory.n || !may_lie_below(route, directory) ||
        route->parameters.count > 0)
        return false;
    s += s->kind == SEGMENT_LITERAL;
    return s->kind == SEGMENT_DEEP && s[1].kind == SEGMENT_END;
}

const struct route *
route_blind_below(const struct route_table *routes, struct slice host, bool any_host,
                  struct slice directory)
{
    struct lookup lookup = {.routes = routes};
    size_t levels = 0;
    take_host(&lookup, host);
    for (size_t i = 0; i < directory.n; i++)
        levels += directory.p[i] == '/';
    for (size_t i = 0; i < routes->count; i++) {
        const struct route *route = &routes->list[i];
        if (!method_matches(route, slice_of("GET")) ||
            (!any_host && !host_matches(route, lookup.host)) || !may_lie_below(route, directory))
            continue;
        if (route_caches(route) && (size_t)route->directory_tags < levels)
            return route;
        if (takes_all_below(route, directory) && (!any_host || route->hosts.count == 0))
            break;
    }
    return NULL;
}
