/*
 * The tags of URLs. The idea stands in url_tags.h.
 *
 * Called for every request (key.c), for what mutations and purges name (purge.c,
 * order_resolve.c), and for the groups of responses (own_tags.c, mutation.c).
 */
#include "responder/url_tags.h"

#include "base/number.h"
#include "http/uri.h"
#include "responder/digest.h"
#include "responder/key.h"

struct url
url_make(struct slice scheme, struct slice host, struct slice target)
{
    const char *query = target.n ? memchr(target.p, '?', target.n) : NULL;
    size_t n = query ? (size_t)(query - target.p) : target.n;
    return (struct url){scheme, host, {target.p, n}, {target.p + n, target.n - n}};
}

struct slice
url_target(const struct url *url, struct slice path, struct arena *arena)
{
    if (url->query.n == 0)
        return path;
    char *text = arena_alloc(arena, path.n + url->query.n);
    if (!text)
        return (struct slice){NULL, 0};
    memcpy(text, path.p, path.n);
    memcpy(text + path.n, url->query.p, url->query.n);
    return (struct slice){text, path.n + url->query.n};
}

/* ------------------------------------------------------------------------ the hash */

/* The host without what names the port that the scheme has anyhow, in lower case, into room for
 * host.n bytes. Returns the length. */
static size_t
write_host(char *to, struct slice host, struct slice scheme)
{
    unsigned own = slice_equal(scheme, slice_of("https")) ? 443 : 80, port = 0;
    size_t digits = host.n, end = host.n;
    while (digits > 0 && host.p[digits - 1] >= '0' && host.p[digits - 1] <= '9')
        digits--;
    if (digits > 0 && host.p[digits - 1] == ':') {
        for (size_t i = digits; i < host.n && port <= 65535; i++)
            port = port * 10 + (unsigned)(host.p[i] - '0');
        end = digits - 1;
    }
    size_t name = end;
    while (name > 1 && host.p[name - 1] == '.')
        name--;
    size_t n = 0;
    for (size_t i = 0; i < name; i++) {
        char c = host.p[i];
        to[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    if (end == host.n || digits == host.n || port == own) /* none, an empty one, the scheme's */
        return n;
    while (digits < host.n - 1 && host.p[digits] == '0')
        digits++;
    to[n++] = ':';
    memcpy(to + n, host.p + digits, host.n - digits);
    return n + host.n - digits;
}

static size_t
write_part(char *to, struct slice part)
{
    size_t n = number_format(to, part.n);
    to[n++] = ':';
    if (part.n)
        memcpy(to + n, part.p, part.n);
    return n + part.n;
}

/* path and query in normal form. kind keeps what is no URL apart from what is. */
static bool
hash(store_hash out, char kind, const struct url *url, struct slice path, struct slice query,
     struct arena *arena)
{
    enum { PARTS = 4, PART_MAX = NUMBER_DIGITS_MAX + 1 };
    char *host = arena_alloc(arena, url->host.n + 1);
    char *text =
        arena_alloc(arena, 1 + PARTS * PART_MAX + url->scheme.n + url->host.n + path.n + query.n);
    if (!host || !text)
        return false;
    size_t n = 0;
    text[n++] = kind;
    n += write_part(text + n, url->scheme);
    n += write_part(text + n, (struct slice){host, write_host(host, url->host, url->scheme)});
    n += write_part(text + n, path);
    n += write_part(text + n, query);
    return digest_hex((struct slice){text, n}, out, STORE_HASH_LEN);
}

bool
url_origin_hash(store_hash out, struct slice scheme, struct slice host, struct arena *arena)
{
    const struct url url = {.scheme = scheme, .host = host};
    return hash(out, 'o', &url, url.path, url.query, arena);
}

/* ------------------------------------------------------------------------ the tags */

struct tagging {
    const struct url *url;
    const struct config *config;
    struct arena *arena;
    url_tag_fn *fn;
    void *arg;
};

/* One reading, its query reduced as this route says. */
static bool
tell_url(const struct tagging *t, struct slice path, const struct route *route)
{
    char tag[STORE_TAG_SIZE];
    store_hash name;
    struct slice query = t->url->query;
    if (query.n) {
        query = key_target(query, route, t->arena);
        if (query.p)
            query = uri_query_normal(query, t->arena);
        if (!query.p)
            return false;
    }
    if (!hash(name, 'u', t->url, path, query, t->arena))
        return false;
    store_url_tag(tag, name);
    return t->fn(t->arg, tag);
}

static bool
tell_reading(const struct tagging *t, struct slice path, struct slice routed_host)
{
    struct route_match match = {.route = NULL};
    if (t->url->query.n == 0 || !t->config->routes.reduce)
        return tell_url(t, path, NULL);
    /* The key of a GET for it has its query reduced as its route says. */
    bool known = routed_host.p != NULL || !t->config->routes.have_hosts;
    if (known) {
        struct slice target = url_target(t->url, path, t->arena);
        return target.p &&
               route_find(&t->config->routes, t->arena, slice_of("GET"), routed_host, target,
                          &match) &&
               tell_url(t, path, match.route);
    }
    if (!tell_url(t, path, NULL))
        return false;
    for (size_t i = 0; i < t->config->routes.count; i++)
        if (!tell_url(t, path, &t->config->routes.list[i]))
            return false;
    return true;
}

bool
url_tags(const struct url *url, const struct path_readings *readings, const struct config *config,
         struct slice routed_host, struct arena *arena, url_tag_fn *fn, void *arg)
{
    const struct tagging t = {url, config, arena, fn, arg};
    for (size_t i = 0; i < readings->count; i++)
        if (!tell_reading(&t, readings->list[i], routed_host))
            return false;
    return true;
}

static bool
tell_directory(const struct url *url, struct slice directory, struct arena *arena, url_tag_fn *fn,
               void *arg)
{
    char tag[STORE_TAG_SIZE];
    store_hash name;
    if (!hash(name, 'd', url, directory, slice_of(""), arena))
        return false;
    store_directory_tag(tag, name);
    return fn(arg, tag);
}

bool
url_directory_tag(const struct url *url, const struct path_readings *readings, struct arena *arena,
                  url_tag_fn *fn, void *arg)
{
    for (size_t i = 0; i < readings->count; i++)
        if (!tell_directory(url, readings->list[i], arena, fn, arg))
            return false;
    return true;
}

bool
url_directory_tags(const struct url *url, const struct path_readings *readings, int levels,
                   struct arena *arena, url_tag_fn *fn, void *arg)
{
    for (size_t k = 0; k < readings->count; k++) {
        struct slice path = readings->list[k];
        int left = levels;
        for (size_t i = 0; i < path.n && left > 0; i++) {
            if (path.p[i] != '/')
                continue;
            if (!tell_directory(url, (struct slice){path.p, i + 1}, arena, fn, arg))
                return false;
            left--;
        }
    }
    return true;
}
