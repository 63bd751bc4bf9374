/*
 * The fields of a request as the backend gets them.
 *
 * A pass goes through as it came, but for what a proxy must say for itself
 * (Via, X-Forwarded-*). A miss that may be stored is everybody's request, not
 * this visitor's: what could change the answer without being in the key is
 * left out (the table), cookies that the route ignores are not sent, and
 * conditions are not either, because a 304 cannot be stored.
 */
#include "responder/backend_fields.h"

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
    "Accept-Encoding", /* until representations are kept apart: one that all can read */
    "If-None-Match",
    "If-Modified-Since",
    "If-Range",
    "Forwarded",
    "X-Forwarded-Server",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Path",
    "X-Forwarded-Scheme",
    "X-Forwarded-Ssl",
    "X-Forwarded-Protocol",
    "X-Url-Scheme",
    "Front-End-Https",
    "X-Host",
    "X-Original-Host",
    "X-Original-Url",
    "X-Rewrite-Url",
    "X-Http-Method",
    "X-Http-Method-Override",
    "X-Method-Override",
};

static bool
is_listed(struct slice name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal_nocase(name, list[i]))
            return true;
    return false;
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
            if (is_listed(f->name, cacheable_only, sizeof cacheable_only / sizeof *cacheable_only))
                continue;
            if (slice_equal_nocase(f->name, "Cookie"))
                continue;
        }
        if (!fields_add(out, arena, f->name, f->value))
            return false;
    }
    if (cacheable && exchange->key.cookies.n &&
        !fields_add(out, arena, slice_of("Cookie"), exchange->key.cookies))
        return false;
    return (peers.n == 0 || fields_add(out, arena, slice_of("X-Forwarded-For"), peers)) &&
           fields_add(out, arena, slice_of("X-Forwarded-Proto"), request->scheme) &&
           fields_add(out, arena, slice_of("X-Forwarded-Host"), outer) &&
           fields_add(out, arena, slice_of("Via"), slice_of("1.1 larder"));
}
