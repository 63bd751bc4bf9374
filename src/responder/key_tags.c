/*
 * The tags of a key: everything that can make a response stale and is known before
 * it is fetched. Those of the namespace, the resource and the user, by which patterns
 * find it; of the URL, by each of its readings; of the route, and of the directories.
 * Where the web server has made another URL of the visitor's, those of both.
 *
 * Called by key.c. What a response brings itself is in own_tags.c.
 */
#include "responder/key_tags.h"

#include "responder/url_tags.h"

struct tag_list {
    struct store_tags *tags;
    struct arena *arena;
};

static bool
add_tag(void *arg, const char *tag)
{
    struct tag_list *list = arg;
    return store_tags_add(list->tags, list->arena, tag);
}

/* By what the visitor asks for, and by what the web server has made of it. */
static bool
add_url_tags(struct cache_key *key, const struct request *request, struct slice host,
             struct slice target, const struct config *config, struct arena *arena)
{
    const struct url url = url_make(request->scheme, host, target);
    struct tag_list list = {&key->tags, arena};
    struct path_readings readings;
    return path_readings_find(&readings, arena, url.path) &&
           url_tags(&url, &readings, config, request->host, arena, add_tag, &list);
}

static bool
add_directory_tags(struct cache_key *key, const struct request *request, struct slice host,
                   struct slice target, const struct route *route, const struct config *config,
                   struct arena *arena)
{
    const struct url url = url_make(request->scheme, host, target);
    struct tag_list list = {&key->tags, arena};
    struct path_readings readings;
    if (!path_readings_find(&readings, arena, url.path))
        return false;
    /* What some backend takes for a path of another route is found by that one's directories; so is
     * what the web server takes for another URL. */
    bool is_of_others = readings.count > 1 || request->asked.p;
    int levels = is_of_others ? config->routes.directory_tags_max : route->directory_tags;
    return url_directory_tags(&url, &readings, levels, arena, add_tag, &list);
}

/* Why a tag did not go in: two routes, and two URLs in many readings, may have too many. */
static enum reason
no_room(const struct cache_key *key)
{
    return key->tags.count == STORE_TAGS_MAX ? REASON_TAGS : REASON_NO_MEMORY;
}

/* Those that the route of the match names. is_beside: it is the other one of two, whose default_tag
 * counts whether or not a response has tags of its own, since the key has room for one that may not. */
static enum reason
add_named_tags(struct cache_key *key, const struct route_match *match, bool is_beside,
               struct arena *arena)
{
    const struct route *route = match->route;
    for (size_t i = 0; i <= route->tags.count; i++) {
        bool is_default = i == route->tags.count;
        const char *written = is_default ? route->default_tag : route->tags.list[i];
        char tag[STORE_TAG_SIZE];
        if (!written)
            continue;
        struct slice name = route_expand_name(match, arena, written, key->user);
        if (!name.p || !store_named_tag(tag, name))
            return REASON_TAGS;
        size_t before = key->tags.count;
        if (!store_tags_add(&key->tags, arena, tag))
            return no_room(key);
        /* One of `tags` as well: it counts for all. */
        if (is_default && !is_beside && key->tags.count > before)
            key->default_tag = key->tags.count;
    }
    return REASON_NONE;
}

/* By which patterns find it. */
static enum reason
add_resource_tags(struct cache_key *key, const struct route *route, const char *user,
                  struct arena *arena)
{
    struct store_tags tags = {.count = 0};
    if (!store_tags_for(&tags, arena, route->resource, user))
        return REASON_KEY_TOO_LONG;
    for (size_t i = 0; i < tags.count; i++)
        if (!store_tags_add(&key->tags, arena, tags.name[i]))
            return no_room(key);
    return REASON_NONE;
}

enum reason
key_tags_add(struct cache_key *key, const struct request *request, struct slice host,
             const char *user, const struct route_match *match, const struct config *config,
             struct arena *arena)
{
    const struct route *route = match->route, *beside = route_beside(match);
    if (!store_tags_for(&key->tags, arena, route->resource, user))
        return REASON_KEY_TOO_LONG;
    if (!add_url_tags(key, request, host, request->target, config, arena) ||
        (request->asked.p && !add_url_tags(key, request, host, key->asked, config, arena)))
        return no_room(key);
    enum reason reason = add_named_tags(key, match, false, arena);
    if (reason == REASON_NONE && beside)
        reason = add_resource_tags(key, beside, user, arena);
    if (reason == REASON_NONE && match->other && match->other->route)
        reason = add_named_tags(key, match->other, true, arena);
    if (reason != REASON_NONE)
        return reason;
    if (!add_directory_tags(key, request, host, request->target, route, config, arena) ||
        (request->asked.p &&
         !add_directory_tags(key, request, host, key->asked, route, config, arena)))
        return no_room(key);
    return REASON_NONE;
}
