/*
 * The one way in which the responder invalidates. The idea stands in purge.h.
 *
 * Called by mutation.c and by the purge interface; for routes with async by the
 * storer, hence purge_copy().
 */
#include "responder/purge.h"

#include <stdlib.h>

#include "base/clock.h"
#include "responder/url_tags.h"

#define ROOM_FIRST 8

bool
purge_add_tag(struct purge *purge, struct arena *arena, const char *tag)
{
    for (size_t i = 0; purge->tag_count <= 64 && i < purge->tag_count; i++)
        if (strcmp(purge->tags[i], tag) == 0)
            return true;
    if (purge->tag_count == purge->tag_room) {
        size_t room = purge->tag_room ? 2 * purge->tag_room : ROOM_FIRST;
        const char **tags = arena_calloc(arena, room, sizeof *tags);
        if (!tags)
            return false;
        for (size_t i = 0; i < purge->tag_count; i++)
            tags[i] = purge->tags[i];
        purge->tags = tags;
        purge->tag_room = room;
    }
    const char *copy = arena_strndup(arena, tag, strlen(tag));
    if (!copy)
        return false;
    purge->tags[purge->tag_count++] = copy;
    return true;
}

struct tag_list {
    struct purge *purge;
    struct arena *arena;
};

static bool
add_tag(void *arg, const char *tag)
{
    struct tag_list *list = arg;
    const struct purge *purge = list->purge;
    /* Routes that reduce nothing come one after the other, and an order may be long. */
    if (purge->tag_count > 0 && strcmp(purge->tags[purge->tag_count - 1], tag) == 0)
        return true;
    return purge_add_tag(list->purge, list->arena, tag);
}

bool
purge_add_url(struct purge *purge, const struct config *config, struct slice scheme,
              struct slice host, struct slice target, struct arena *arena)
{
    const struct url url = url_make(scheme, host, target);
    struct tag_list list = {purge, arena};
    struct path_readings readings;
    /* Behind a trusted proxy the host that the routes see may be another one than the visitors'. */
    if (config->trusted_proxies.count > 0)
        host = (struct slice){NULL, 0};
    return path_readings_find(&readings, arena, url.path) &&
           url_tags(&url, &readings, config, host, arena, add_tag, &list);
}

bool
purge_add_directory(struct purge *purge, struct slice scheme, struct slice host,
                    const struct path_readings *readings, struct arena *arena)
{
    const struct url url = {.scheme = scheme, .host = host};
    struct tag_list list = {purge, arena};
    return url_directory_tag(&url, readings, arena, add_tag, &list);
}

/* What is left goes on from the journal. */
static bool
goes_on(void *unused, int64_t scanned, int64_t matched)
{
    (void)unused;
    (void)scanned;
    (void)matched;
    return !atomic_load_explicit(&server_giving_up, memory_order_relaxed);
}

enum purge_outcome
purge_run(struct site *site, const struct purge *purge, int64_t deadline_ms, int64_t *deleted,
          struct larder_error *err)
{
    struct larder_error own = {0};
    bool tags_done = true, patterns_done = true, invalidated = false;
    if (deleted)
        *deleted = 0;
    if (purge->tag_count > 0)
        tags_done = store_purge_tags(site->cache, purge->tags, purge->tag_count, purge->soft,
                                     deadline_ms, err) == LARDER_OK;
    if (purge->pattern_count > 0)
        patterns_done = store_invalidate(site->cache, purge->patterns, purge->pattern_count,
                                         deadline_ms, goes_on, NULL, deleted, &invalidated,
                                         tags_done ? err : &own) == LARDER_OK;
    if (tags_done && patterns_done)
        return PURGE_DONE;
    /* A Redis of millions of keys takes a while to be gone over, which is no reason not to use it. */
    if (tags_done && invalidated)
        return site_note_sweep(site, purge) ? PURGE_QUEUED : PURGE_FAILED;
    struct purge rest = *purge;
    if (tags_done)
        rest.tag_count = 0;
    if (patterns_done)
        rest.pattern_count = 0;
    return site_note(site, &rest) ? PURGE_JOURNAL : PURGE_FAILED;
}

enum purge_outcome
purge_moved(const struct site *site, int64_t deadline_ms, struct larder_error *err)
{
    const char *all[] = {"all"};
    const struct purge purge = {.tags = all, .tag_count = 1};
    enum purge_outcome outcome = PURGE_DONE;
    struct site *now = site_take();
    if (now->serves != site->serves && !now->config->compat_ancestor)
        outcome = purge_run(now, &purge, deadline_ms, NULL, err);
    site_give(now);
    return outcome;
}

const char *
purge_outcome_name(enum purge_outcome outcome)
{
    switch (outcome) {
    case PURGE_DONE:
        return "done";
    case PURGE_QUEUED:
        return "queued";
    case PURGE_JOURNAL:
        return "journal";
    case PURGE_FAILED:
        break;
    }
    return "failed";
}

/* ------------------------------------------------------- for who works on it later */

static const char **
copy_list(const char *const *list, size_t count)
{
    const char **copy = calloc(count ? count : 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(list[i]);
        if (copy[i])
            continue;
        while (i-- > 0)
            free((char *)copy[i]);
        free(copy);
        return NULL;
    }
    return copy;
}

bool
purge_copy(struct purge *out, const struct purge *purge)
{
    *out = (struct purge){.soft = purge->soft};
    out->tags = copy_list(purge->tags, purge->tag_count);
    if (!out->tags)
        return false;
    out->tag_count = out->tag_room = purge->tag_count;
    out->patterns = copy_list(purge->patterns, purge->pattern_count);
    if (!out->patterns) {
        purge_free(out);
        return false;
    }
    out->pattern_count = purge->pattern_count;
    return true;
}

void
purge_free(struct purge *purge)
{
    for (size_t i = 0; i < purge->tag_count; i++)
        free((char *)purge->tags[i]);
    for (size_t i = 0; purge->patterns && i < purge->pattern_count; i++)
        free((char *)purge->patterns[i]);
    free(purge->tags);
    free(purge->patterns);
    *purge = (struct purge){.soft = false};
}
