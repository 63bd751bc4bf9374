/*
 * The fields of a request as the backend gets them.
 *
 * A pass goes through as it came, but for what a proxy must say for itself
 * (Via, X-Forwarded-*). A miss that may be stored is everybody's request, not
 * this visitor's: what could change the answer without being in the key is
 * left out (the tables), cookies that the route ignores are not sent, and what
 * is negotiated goes out in the form in which Vary will compare it. Conditions
 * and ranges depend on what is stored: fetch.c adds them.
 */
#include "responder/backend_fields.h"

#include "http/negotiate.h"

/* Answered by us or for us, never passed on. */
static const char *const always[] = {
    "Host", "Expect", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
};

/*
 * Known to change what frameworks answer while no cache has them in its key
 * (the "unkeyed input" of cache poisoning), or to make the answer one that is
 * of use to this visitor alone.
 */
static const char *const cacheable_only[] = {
    "If-None-Match",     "If-Modified-Since", "If-Range",        "Range",
    "Forwarded",         "X-Url-Scheme",      "Front-End-Https", "X-Host",
    "X-Method-Override",
};

/* The same, by how their names begin: new ones appear, and mean another host, path or method. */
static const char *const cacheable_only_families[] = {
    "X-Forwarded-", "X-Original-", "X-Rewrite-", "X-Http-", "X-Envoy-",
};

static bool
is_listed(struct slice name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal_nocase(name, list[i]))
            return true;
    return false;
}

/* Would it change the answer without being in the key? The name of the route's user is in it. */
static bool
is_unkeyed(struct slice name, const struct route *route)
{
    if (route->user == USER_FIELD && slice_equal_nocase(name, route->user_name))
        return false;
    for (size_t i = 0; i < sizeof cacheable_only_families / sizeof *cacheable_only_families; i++) {
        size_t n = strlen(cacheable_only_families[i]);
        if (name.n > n && strncasecmp(name.p, cacheable_only_families[i], n) == 0)
            return true;
    }
    return is_listed(name, cacheable_only, sizeof cacheable_only / sizeof *cacheable_only);
}

/* Reduced to what makes a difference, so that a thousand browsers share one variant. */
static bool
add_negotiated(struct fields *out, const struct exchange *exchange)
{
    struct arena *arena = exchange->arena;
    const struct config *config = exchange->site->config;
    const struct route *route = exchange->match.route;
    bool failed = false;
    struct slice encoding = fields_join(&exchange->request.fields, arena, "Accept-Encoding");
    if (encoding.p)
        encoding = negotiate_encoding(encoding, config->encodings.list, config->encodings.count,
                                      arena, &failed);
    if (failed || (encoding.p && !fields_add(out, arena, slice_of("Accept-Encoding"), encoding)))
        return false;
    struct slice language = fields_join(&exchange->request.fields, arena, "Accept-Language");
    if (!language.p)
        return true;
    if (route->languages.count)
        language =
            slice_of(negotiate_language(language, route->languages.list, route->languages.count));
    return !language.p || fields_add(out, arena, slice_of("Accept-Language"), language);
}

/* The peer's address behind what a trusted proxy in front has said; alone otherwise. */
static struct slice
forwarded_for(const struct request *request, struct arena *arena)
{
    struct slice before = {NULL, 0};
    if (request->trusted_peer)
        before = fields_join(&request->fields, arena, "X-Forwarded-For");
    if (!before.p || before.n == 0)
        return request->remote_addr;
    return slice_of(arena_printf(arena, "%.*s, %.*s", (int)before.n, before.p,
                                 (int)request->remote_addr.n, request->remote_addr.p));
}

bool
backend_fields(struct fields *out, const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    bool cacheable = exchange->reason == REASON_NONE;
    /* In the spelling that is in the key: a backend to which WWW.EXAMPLE is another host would
     * otherwise answer for www.example. */
    bool keyed = cacheable && exchange->key.host.p;
    struct slice host = keyed ? exchange->key.host : request->host;
    struct slice outer = keyed ? exchange->key.forwarded_host : request->forwarded_host;
    if (!outer.p)
        outer = host;
    struct slice peers = forwarded_for(request, arena);

    if (!peers.p || !fields_add(out, arena, slice_of("Host"), host))
        return false;
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *f = &request->fields.list[i];
        if (is_listed(f->name, always, sizeof always / sizeof *always))
            continue;
        if (cacheable) {
            if (is_unkeyed(f->name, exchange->match.route))
                continue;
            if (slice_equal_nocase(f->name, "Cookie") ||
                slice_equal_nocase(f->name, "Accept-Encoding") ||
                slice_equal_nocase(f->name, "Accept-Language"))
                continue;
        }
        if (!fields_add(out, arena, f->name, f->value))
            return false;
    }
    if (cacheable && !add_negotiated(out, exchange))
        return false;
    if (cacheable && exchange->key.cookies.n &&
        !fields_add(out, arena, slice_of("Cookie"), exchange->key.cookies))
        return false;
    return (peers.n == 0 || fields_add(out, arena, slice_of("X-Forwarded-For"), peers)) &&
           fields_add(out, arena, slice_of("X-Forwarded-Proto"), request->scheme) &&
           fields_add(out, arena, slice_of("X-Forwarded-Host"), outer) &&
           fields_add(out, arena, slice_of("Via"), slice_of("1.1 larder"));
}
