/*
 * Tags that a response brings.
 *
 * Nobody knew them when the backend was asked, so no generation of that time is at
 * hand. What stands in for it is the news: where they were has been noted before
 * the fetch, and what has come since then tells whether one of the tags was
 * invalidated meanwhile. What is purged for a mutation whose process is gone is in the
 * news like any other purge.
 *
 * Called by keep.c. One round trip, and only for responses that bring tags.
 */
#include "responder/own_tags.h"

#include "base/clock.h"
#include "http/response_tags.h"
#include "responder/url_tags.h"

_Static_assert(RESPONSE_TAG_MAX == STORE_TAG_NAME_MAX, "what is no tag is not tried as one");

/* Host as the visitor sees it. */
static struct slice
visible_host(const struct exchange *exchange)
{
    const struct cache_key *key = &exchange->key;
    return key->forwarded_host.p ? key->forwarded_host : key->host;
}

/* false: no memory. There is room. What is there already needs no second line. */
static bool
add_own(struct own_tags *own, const struct exchange *exchange, const char *tag)
{
    const struct store_tags *key_tags = &exchange->key.tags;
    for (size_t i = 0; i < key_tags->count; i++)
        if (strcmp(key_tags->name[i], tag) == 0)
            return true;
    for (size_t i = 0; i < own->count; i++)
        if (strcmp(own->name[i], tag) == 0)
            return true;
    own->name[own->count] = arena_strndup(exchange->arena, tag, strlen(tag));
    return own->name[own->count] && ++own->count;
}

enum reason
own_tags_find(struct own_tags *own, const struct exchange *exchange, const struct fields *fields,
              const struct own_tags *inherited)
{
    struct arena *arena = exchange->arena;
    struct response_tags found;
    /* The ancestor's entries hang on nothing. */
    if (exchange->site->config->response_tags == RESPONSE_TAGS_IGNORE ||
        exchange->site->config->compat_ancestor)
        return REASON_NONE;
    if (!response_tags_find(&found, fields, arena))
        return REASON_NO_MEMORY;
    if (found.too_many)
        return REASON_TAGS;
    size_t room = found.count + (inherited ? inherited->count : 0);
    if (room == 0)
        return REASON_NONE;
    own->name = arena_calloc(arena, room, sizeof *own->name);
    own->generation = arena_calloc(arena, room, sizeof *own->generation);
    if (!own->name || !own->generation)
        return REASON_NO_MEMORY;
    store_hash origin;
    if (!url_origin_hash(origin, exchange->request.scheme, visible_host(exchange), arena))
        return REASON_NO_MEMORY;
    for (size_t i = 0; i < found.count; i++) {
        char tag[STORE_TAG_SIZE];
        bool fits = found.list[i].group ? store_group_tag(tag, origin, found.list[i].name)
                                        : store_named_tag(tag, found.list[i].name);
        /* Of what cannot be named nobody could ever say that it is out of date. */
        if (!fits)
            return REASON_TAGS;
        if (!add_own(own, exchange, tag))
            return REASON_NO_MEMORY;
    }
    for (size_t i = 0; inherited && i < inherited->count; i++)
        if (!add_own(own, exchange, inherited->name[i]))
            return REASON_NO_MEMORY;
    return own->count <= STORE_OWN_TAGS_MAX ? REASON_NONE : REASON_TAGS;
}

/*
 * Are the tags that were there before worth the same still? The news tell of what
 * came since the position; but the bytes of what was there before are older, and
 * have been looked up before it was noted.
 */
static bool
is_unchanged(const struct own_tags *own, const struct own_tags *before)
{
    for (size_t i = 0; i < before->count; i++)
        for (size_t k = 0; k < own->count; k++)
            if (strcmp(before->name[i], own->name[k]) == 0 &&
                strcmp(before->generation[i], own->generation[k]) != 0)
                return false;
    return true;
}

enum reason
own_tags_prove(struct own_tags *own, const struct exchange *exchange, const struct own_tags *before)
{
    if (own->count == 0)
        return REASON_NONE;
    const struct config *config = exchange->site->config;
    int64_t now_ms = clock_now_ms();
    if (exchange->lookup.position.identity != exchange->lookup.identity)
        return REASON_OTHER_SERVER;
    switch (store_own_generations(exchange->site->cache, &exchange->lookup.position, own->name,
                                  own->count, now_ms + config->budget_ms, own->generation, NULL)) {
    case LARDER_OK:
        return before && !is_unchanged(own, before) ? REASON_INVALIDATED : REASON_NONE;
    case LARDER_MISS:
        return REASON_INVALIDATED;
    default:
        return REASON_NO_GENERATIONS;
    }
}
