/*
 * What a mutation makes stale; when, mutation.c decides. The idea stands in effect.h.
 *
 * Never asks Redis, and never looks at what the answer says of the outcome (outcome.c).
 */
#include "responder/effect.h"

#include "base/glob.h"
#include "routing/path.h"
#include "http/response_tags.h"
#include "http/uri.h"
#include "responder/key.h"
#include "responder/url_tags.h"

/* ------------------------------------------------------------------ the route's */

/* Each reading may have another in which the path ends at a script. */
#define MATCHES_MAX ((size_t)2 * PATH_READINGS_MAX)

/* The route by each reading of the path, which differ in their captures at most. */
struct matches {
    size_t count;
    struct route_match list[MATCHES_MAX];
};

static bool
has_names(const struct route *route)
{
    return route && (route->tags.count > 0 || route->invalidate.count > 0);
}

/* May what the web server has run for the request change what the route names? A path can be made to
 * look like that of another script; which one runs is for the web server to say. */
static bool
is_changing_script(const struct exchange *exchange, const struct route *route)
{
    const struct request *request = &exchange->request;
    const struct string_list *globs = &route->change_script;
    struct slice script = {"", 0};
    if (globs->count == 0 || !exchange->site->config->fastcgi)
        return true;
    for (size_t i = 0; i < request->parameter_count; i++)
        if (slice_equal(request->parameters[i].name, slice_of("SCRIPT_NAME"))) {
            script = request->parameters[i].value;
            break;
        }
    return glob_any(globs->list, globs->count, script.p, script.n);
}

/* Do they drop the same, by the same answers? */
static bool
has_effect_of(const struct route *route, const struct route *other)
{
    if (route == other)
        return true;
    return other && string_lists_equal(&route->tags, &other->tags) &&
           string_lists_equal(&route->invalidate, &other->invalidate) &&
           string_lists_equal(&route->refused_location, &other->refused_location) &&
           route->refused_public == other->refused_public &&
           string_lists_equal(&route->change_script, &other->change_script) &&
           string_lists_equal(&route->change_answer, &other->change_answer) &&
           route_has_user_of(route, other);
}

/* One reading's. *alike becomes false where its route has another effect than that. */
static bool
add_match(struct matches *matches, const struct exchange *exchange, const struct route *route,
          const struct url *url, struct slice path, bool *alike)
{
    const struct request *request = &exchange->request;
    struct route_match *match = &matches->list[matches->count];
    struct slice target = url_target(url, path, exchange->arena);
    if (!target.p || !route_find(&exchange->site->config->routes, exchange->arena, request->method,
                                 request->host, target, match))
        return false;
    if (has_effect_of(route, match->route))
        matches->count++;
    else
        *alike = false;
    return true;
}

/*
 * The route by all readings of the path. *alike: it is that of the match by each of
 * them, or one that drops the same. false: no memory.
 */
static bool
find_matches(struct matches *matches, const struct exchange *exchange,
             const struct route_match *match, bool *alike)
{
    const struct request *request = &exchange->request;
    bool by_asked = match->by_asked || match == exchange->match.other;
    struct slice target = by_asked ? request->asked : request->target;
    const struct url url = url_make(request->scheme, request->host, target);
    /* The pattern knows of the script itself: /remote.php/dav/{path}. */
    bool scripts = strstr(match->route->path, ".php/") == NULL;
    struct path_readings readings;
    bool climbs;
    matches->count = 0;
    *alike = true;
    if (path_look(url.path) == 0 && (!scripts || path_script(url.path).n == 0)) {
        matches->list[matches->count++] = *match;
        return true;
    }
    if (!path_climbs(exchange->arena, url.path, &climbs) ||
        !path_readings_find(&readings, exchange->arena, url.path))
        return false;
    *alike = !climbs;
    for (size_t i = 0; *alike && i < readings.count; i++) {
        struct slice script = path_script(readings.list[i]);
        if (!add_match(matches, exchange, match->route, &url, readings.list[i], alike) ||
            (*alike && scripts && script.n > 0 &&
             !add_match(matches, exchange, match->route, &url, script, alike)))
            return false;
    }
    return true;
}

/* Two readings have mostly the same. */
static bool
has_pattern(const struct purge *purge, const char *pattern)
{
    for (size_t i = 0; i < purge->pattern_count; i++)
        if (strcmp(purge->patterns[i], pattern) == 0)
            return true;
    return false;
}

/* The patterns of the route with this request's user and captures, and the tags that cover them.
 * Patterns with a placeholder that has no value are left out. There is room for them. */
static bool
add_patterns(struct purge *purge, const struct exchange *exchange, const struct route_match *match)
{
    const struct route *route = match->route;
    struct arena *arena = exchange->arena;
    struct slice user = exchange->key.user;
    /* In the keys of responses a user stands escaped, in those of the application as he is. */
    char escaped[STORE_TAG_SIZE];
    struct slice in_response = user;
    if (user.n && store_escape_user(escaped, sizeof escaped, user.p, user.n))
        in_response = slice_of(escaped);
    bool twice = !slice_equal(user, in_response);
    for (size_t i = 0; i < 2 * route->invalidate.count; i++) {
        const char *source = route->invalidate.list[i / 2];
        if (i % 2 == 1 && (!twice || !strstr(source, "{user}")))
            continue;
        const char *pattern = route_expand(match, arena, source, i % 2 == 0 ? user : in_response);
        char tag[STORE_TAG_SIZE];
        if (!pattern || has_pattern(purge, pattern))
            continue;
        purge->patterns[purge->pattern_count++] = pattern;
        if (!exchange->site->config->compat_ancestor && store_tag_for_pattern(pattern, tag) &&
            !purge_add_tag(purge, arena, tag))
            return false;
    }
    return true;
}

static bool
add_tags(struct purge *purge, const struct exchange *exchange, const struct route_match *match)
{
    const struct route *route = match->route;
    for (size_t i = 0; i < route->tags.count; i++) {
        char tag[STORE_TAG_SIZE];
        struct slice name =
            route_expand_name(match, exchange->arena, route->tags.list[i], exchange->key.user);
        /* Without it no response is stored under it either. */
        if (name.p && store_named_tag(tag, name) && !purge_add_tag(purge, exchange->arena, tag))
            return false;
    }
    return true;
}

/* Room for the patterns of the match, besides those that are there. */
static bool
make_room(struct purge *purge, const struct exchange *exchange, size_t count)
{
    const char **list =
        arena_calloc(exchange->arena, purge->pattern_count + count + 1, sizeof *list);
    if (!list)
        return false;
    if (purge->pattern_count > 0)
        memcpy(list, purge->patterns, purge->pattern_count * sizeof *list);
    purge->patterns = list;
    return true;
}

bool
effect_add_route(struct purge *purge, const struct exchange *exchange,
                 const struct route_match *match)
{
    const struct route *route = match ? match->route : NULL;
    struct matches matches;
    bool alike;
    if (!has_names(route) || !is_changing_script(exchange, route))
        return true;
    if (!find_matches(&matches, exchange, match, &alike))
        return false;
    if (!alike)
        return true;
    if (!make_room(purge, exchange, 2 * matches.count * route->invalidate.count))
        return false;
    for (size_t i = 0; i < matches.count; i++)
        if (!add_patterns(purge, exchange, &matches.list[i]) ||
            (!exchange->site->config->compat_ancestor &&
             !add_tags(purge, exchange, &matches.list[i])))
            return false;
    return true;
}

/* ------------------------------------------------------------------ URLs and groups */

static struct slice
visible_host(const struct request *request)
{
    return request->forwarded_host.p ? request->forwarded_host : request->host;
}

bool
effect_add_url(struct purge *purge, const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    const struct config *config = exchange->site->config;
    struct slice host = visible_host(request);
    struct arena *arena = exchange->arena;
    return purge_add_url(purge, config, request->scheme, host, request->target, arena) &&
           (!request->asked.p ||
            purge_add_url(purge, config, request->scheme, host, request->asked, arena));
}

static bool
target_is_cached(const struct exchange *exchange, struct slice asked)
{
    const struct request *request = &exchange->request;
    const struct url url = url_make(request->scheme, request->host, asked);
    struct arena *arena = exchange->arena;
    struct path_readings readings;
    struct route_match match;
    if (!path_readings_find(&readings, arena, url.path))
        return true;
    for (size_t i = 0; i < readings.count; i++) {
        struct slice target = url_target(&url, readings.list[i], arena);
        if (!target.p ||
            !route_find(&exchange->site->config->routes, arena, slice_of("GET"), request->host,
                        target, &match) ||
            (match.route && !match.never && route_caches(match.route)))
            return true;
    }
    return false;
}

bool
effect_url_is_cached(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    return target_is_cached(exchange, request->target) ||
           (request->asked.p && target_is_cached(exchange, request->asked));
}

/* What a reference names on this origin, seen from the target. */
static bool
add_reference(struct purge *purge, const struct exchange *exchange, struct slice host,
              struct slice from, struct slice reference)
{
    const struct request *request = &exchange->request;
    const struct uri_base base = {.scheme = request->scheme, .host = host, .target = from};
    struct slice target = uri_same_origin_target(&base, reference, exchange->arena);
    return !target.p || slice_equal(target, request->target) ||
           (request->asked.p && slice_equal(target, request->asked)) ||
           purge_add_url(purge, exchange->site->config, request->scheme, host, target,
                         exchange->arena);
}

/* What the answer names on its own origin: from the URL that the backend knows, and the visitor's. */
static bool
add_answers_urls(struct purge *purge, const struct exchange *exchange,
                 const struct fields *response)
{
    static const char *const names[] = {"Location", "Content-Location"};
    const struct request *request = &exchange->request;
    struct slice host = key_normal_host(visible_host(request), request->scheme, exchange->arena);
    if (!host.p)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct field *f;
        size_t cursor = 0;
        while ((f = fields_next(response, names[i], &cursor)))
            if (!add_reference(purge, exchange, host, request->target, f->value) ||
                (request->asked.p &&
                 !add_reference(purge, exchange, host, request->asked, f->value)))
                return false;
    }
    return true;
}

/* RFC 9875 §3: all responses of these groups that came from the same origin. */
static bool
add_answers_groups(struct purge *purge, const struct exchange *exchange,
                   const struct fields *response)
{
    const struct request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    struct response_tags groups;
    store_hash origin;
    if (exchange->site->config->response_tags == RESPONSE_TAGS_IGNORE)
        return true;
    if (!response_tags_invalidated(&groups, response, arena))
        return false;
    /* Nobody knows what the others are called. */
    if (groups.too_many)
        return purge_add_tag(purge, arena, TAG_ALL);
    if (!url_origin_hash(origin, request->scheme, visible_host(request), arena))
        return false;
    for (size_t i = 0; i < groups.count; i++) {
        char tag[STORE_TAG_SIZE];
        /* A group whose name is too long has no stored responses (keep.c). */
        if (store_group_tag(tag, origin, groups.list[i].name) && !purge_add_tag(purge, arena, tag))
            return false;
    }
    return true;
}

bool
effect_add_answer(struct purge *purge, const struct exchange *exchange,
                  const struct fields *response)
{
    return add_answers_urls(purge, exchange, response) &&
           add_answers_groups(purge, exchange, response);
}
