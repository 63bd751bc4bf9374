/*
 * What an order means: the tags that its URLs, directories, tags and groups have
 * in the store, and its patterns. An order is refused where the configuration
 * leaves it open whether a response that is meant would go.
 */
#include <string.h>

#include "base/error.h"
#include "client/store.h"
#include "routing/route.h"
#include "responder/key.h"
#include "responder/order.h"
#include "responder/url_tags.h"

struct resolving {
    const struct config *config;
    const struct order_site *site;
    struct purge *purge;
    struct arena *arena;
    struct larder_error *err;
};

static enum larder_status
no_memory(const struct resolving *r)
{
    return error_set(r->err, LARDER_NOMEM, "no memory for all of it");
}

/* A URL on one of the origins that it is on. */
typedef enum larder_status (*resolve_fn)(const struct resolving *r, struct slice scheme,
                                         struct slice host, struct slice text);

/* What names its host is on that one; the rest is on the site's, for http and https. */
static enum larder_status
each_origin(const struct resolving *r, const struct order_url *url, struct slice text,
            resolve_fn fn)
{
    static const char *const schemes[] = {"http", "https"};
    char buf[ORDER_SHOWN_SIZE];
    if (url->scheme.p)
        return fn(r, url->scheme, url->host, text);
    if (!r->site->host.p)
        return error_set(r->err, LARDER_INVALID,
                         "\"%s\" is relative, and there is no host that it could be on",
                         order_shown(buf, text));
    /* The port of the scheme that it came by is not the other's. */
    struct slice host = key_normal_host(r->site->host, r->site->scheme, r->arena);
    if (!host.p)
        return no_memory(r);
    enum larder_status status = LARDER_OK;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes && status == LARDER_OK; i++)
        status = fn(r, slice_of(schemes[i]), host, text);
    return status;
}

static enum larder_status
add_tag(const struct resolving *r, const char *tag)
{
    return purge_add_tag(r->purge, r->arena, tag) ? LARDER_OK : no_memory(r);
}

static enum larder_status
add_url(const struct resolving *r, struct slice scheme, struct slice host, struct slice target)
{
    /* https://shop.example?b is sent as /?b. */
    if (target.p[0] != '/')
        target = slice_of(arena_printf(r->arena, "/%.*s", (int)target.n, target.p));
    /* /a%2A is how one writes that /a* is no pattern: it is the same URL. */
    return target.p && purge_add_url(r->purge, r->config, scheme, host, target, r->arena)
               ? LARDER_OK
               : no_memory(r);
}

static enum larder_status
add_directory(const struct resolving *r, struct slice scheme, struct slice host,
              struct slice directory)
{
    char buf[ORDER_SHOWN_SIZE];
    struct path_readings readings;
    const struct route *blind = NULL;
    int levels = 0;
    if (!path_readings_find(&readings, r->arena, directory))
        return no_memory(r);
    /* What visitors see as the host is not what a trusted proxy asks for: then any may be it. */
    bool any_host = r->config->trusted_proxies.count > 0;
    for (size_t i = 0; i < readings.count && !blind; i++)
        blind = route_blind_below(&r->config->routes, host, any_host, readings.list[i]);
    for (size_t i = 0; i < directory.n; i++)
        levels += directory.p[i] == '/';
    if (blind)
        return error_set(r->err, LARDER_REFUSED,
                         "prefix \"%s\": responses of the route \"%.60s\" could not be found by "
                         "it: that route has directory_tags = %d, expected %d or more",
                         order_shown(buf, directory), blind->name, blind->directory_tags, levels);
    return purge_add_directory(r->purge, scheme, host, &readings, r->arena) ? LARDER_OK
                                                                            : no_memory(r);
}

static enum larder_status
add_group(const struct resolving *r, struct slice scheme, struct slice host, struct slice name)
{
    char tag[STORE_TAG_SIZE];
    store_hash origin;
    if (!url_origin_hash(origin, scheme, host, r->arena) || !store_group_tag(tag, origin, name))
        return no_memory(r);
    return add_tag(r, tag);
}

static enum larder_status
add_item(const struct resolving *r, const struct order *order, enum order_kind kind,
         struct slice item)
{
    char tag[STORE_TAG_SIZE];
    struct order_url url = order_split(item);
    switch (kind) {
    case ORDER_URLS:
        return each_origin(r, &url, url.target, add_url);
    case ORDER_PREFIXES:
        return each_origin(r, &url, url.target, add_directory);
    case ORDER_GROUPS:
        url = order_split(order->origin.p ? order->origin : slice_of("/"));
        return each_origin(r, &url, item, add_group);
    case ORDER_TAGS:
        return store_named_tag(tag, item) ? add_tag(r, tag) : no_memory(r);
    case ORDER_PATTERNS:
    case ORDER_KINDS:
        break;
    }
    r->purge->patterns[r->purge->pattern_count++] = item.p; /* NUL-terminated, like all items */
    return LARDER_OK;
}

enum larder_status
order_resolve(const struct order *order, const struct config *config, const struct order_site *site,
              struct purge *purge, struct arena *arena, struct larder_error *err)
{
    *purge = (struct purge){.soft = order->soft};
    const struct resolving r = {config, site, purge, arena, err};
    enum larder_status status = LARDER_OK;
    if (order->count == 0 && !order->all)
        return error_set(err, LARDER_INVALID,
                         "found nothing to purge, expected urls, prefixes, tags, groups, patterns "
                         "or all");
    /* The ancestor's entries hang on nothing. */
    if (config->compat_ancestor && (order->all || order->count > order->list[ORDER_PATTERNS].count))
        return error_set(err, LARDER_REFUSED,
                         "with compat = \"ancestor\" responses have no tags: only patterns can be "
                         "purged, such as \"*response:*\"");
    purge->patterns =
        arena_calloc(arena, order->list[ORDER_PATTERNS].count + 1, sizeof *purge->patterns);
    if (!purge->patterns)
        return no_memory(&r);
    if (order->all)
        status = add_tag(&r, TAG_ALL);
    for (int kind = 0; kind < ORDER_KINDS; kind++)
        for (size_t i = 0; i < order->list[kind].count && status == LARDER_OK; i++)
            status = add_item(&r, order, (enum order_kind)kind, order->list[kind].items[i]);
    return status;
}
