/*
 * The list of routes.
 *
 * The first route that matches is a request's, so order is all there is to it:
 * the file's own come first and have their say before the preset's. Within one
 * list an entry that an earlier one leaves nothing to is a mistake, and so is a
 * name given twice. Between the two lists both are meant: a route of the file
 * that takes the path of one of the preset's overrides it, and one that has its
 * name, as whoever copies a route out of a preset and changes it will have, stands
 * in its place.
 *
 * Called by config.c.
 */
#include "config/routes.h"

#include <string.h>

#include "base/log.h"
#include "config/document.h"
#include "config/route_entry.h"
#include "routing/route.h"

static bool
list_covers(const struct string_list *all, const struct string_list *some)
{
    if (all->count == 0)
        return true;
    size_t found = 0;
    for (size_t i = 0; i < some->count; i++)
        for (size_t k = 0; k < all->count; k++)
            if (strcmp(some->list[i], all->list[k]) == 0) {
                found++;
                break;
            }
    return some->count > 0 && found == some->count;
}

/* By its name, which is not just its path. */
static bool
is_called_as(const struct route *route, const struct route *other)
{
    return route->name != route->path && strcmp(route->name, other->name) == 0;
}

/* Routes that are never reached which the log is told of, of one list. */
#define WARNINGS_MAX 5

/* routes: those of one list, of which `at` is being read. warned: how many the log was told of. */
static enum larder_status
compare_with_earlier(const struct route *routes, struct reader *reader,
                     const config_setting_t *list, size_t at, unsigned *warned)
{
    const struct route *route = &routes[at];
    const config_setting_t *entry = config_setting_get_elem(list, (unsigned)at);
    for (size_t i = 0; i < at; i++) {
        const struct route *earlier = &routes[i];
        unsigned line = document_place(config_setting_get_elem(list, (unsigned)i)).line;
        if (is_called_as(route, earlier))
            return reader_error(reader, reader_setting(reader, "routes", "name"),
                                "name: found \"%.40s\", which is the name of the route in line %u",
                                route->name, line);
        if (!list_covers(&earlier->methods, &route->methods) ||
            !list_covers(&earlier->hosts, &route->hosts) ||
            !list_covers(&earlier->parameters, &route->parameters))
            continue;
        if (strcmp(route->path, earlier->path) == 0)
            return reader_error(reader, entry,
                                "the route \"%.40s\" is never reached: the one in line %u takes "
                                "the same path, methods, hosts and parameters",
                                route->name, line);
        /* client_cache is decided by the longest prefix, not by the order: such a route counts. */
        if (!route->client_cache_set && *warned < WARNINGS_MAX &&
            route_takes_paths_of(earlier, route)) {
            (*warned)++;
            struct place place = document_place(entry);
            log_write(
                LARDER_LOG_WARNING,
                "%s:%u: the route \"%.40s\" is never reached: \"%.40s\" in line %u takes all "
                "of its paths; the first route that matches counts, so put it before that one",
                place.file, place.line, route->name, earlier->name, line);
            break;
        }
    }
    return LARDER_OK;
}

/* How many there are in a list. SIZE_MAX: reported. */
static size_t
length_of(struct reader *reader, const config_setting_t *list)
{
    if (!list)
        return 0;
    bool is_list = config_setting_type(list) == CONFIG_TYPE_LIST;
    if (is_list && config_setting_length(list) <= ROUTES_MAX)
        return (size_t)config_setting_length(list);
    reader_error(reader, list, "routes: expected a list of at most %d groups: ( { ... }, { ... } )",
                 ROUTES_MAX);
    return SIZE_MAX;
}

static enum larder_status
read_list(const struct config *config, const struct reader *reader, const config_setting_t *list,
          struct route *routes, size_t count)
{
    enum larder_status status = LARDER_OK;
    unsigned warned = 0;
    for (size_t i = 0; i < count && status == LARDER_OK; i++) {
        struct reader own = *reader;
        status =
            route_entry_read(&own, config_setting_get_elem(list, (unsigned)i), config, &routes[i]);
        if (status == LARDER_OK)
            status = compare_with_earlier(routes, &own, list, i, &warned);
    }
    return status;
}

enum larder_status
routes_read(struct config *config, struct reader *reader, const config_setting_t *own,
            const config_setting_t *preset)
{
    size_t own_count = length_of(reader, own);
    size_t preset_count = own_count == SIZE_MAX ? SIZE_MAX : length_of(reader, preset);
    if (preset_count == SIZE_MAX)
        return LARDER_INVALID;
    struct route *routes =
        arena_calloc(config->arena, own_count + preset_count + 1, sizeof *routes);
    if (!routes)
        return reader_no_memory(reader);
    enum larder_status status = read_list(config, reader, own, routes, own_count);
    if (status == LARDER_OK)
        status = read_list(config, reader, preset, routes + own_count, preset_count);
    if (status != LARDER_OK)
        return status;
    size_t count = 0;
    for (size_t i = 0; i < own_count + preset_count; i++) {
        bool replaced = false;
        for (size_t k = 0; i >= own_count && k < own_count && !replaced; k++)
            replaced = is_called_as(&routes[i], &routes[k]);
        if (replaced)
            continue;
        config->routes.have_hosts |= routes[i].hosts.count > 0;
        config->routes.have_never |= routes[i].client_cache == CLIENT_CACHE_NEVER;
        config->routes.have_users |= routes[i].user != USER_NONE;
        config->routes.reduce |= routes[i].query_ignore.count > 0 ||
                                 routes[i].query_allow.count > 0 || routes[i].query_sort;
        if (routes[i].directory_tags > config->routes.directory_tags_max)
            config->routes.directory_tags_max = routes[i].directory_tags;
        routes[count++] = routes[i];
    }
    config->routes.list = routes;
    config->routes.count = count;
    return LARDER_OK;
}
