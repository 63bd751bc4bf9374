/*
 * What became of a mutation, as far as its answer says. The idea stands in outcome.h.
 */
#include "responder/outcome.h"

#include <strings.h>

#include "base/glob.h"
#include "http/cache_control.h"

/* Might anybody be given that answer, as far as its Cache-Control says? */
static bool
is_public(const struct fields *response)
{
    struct cache_control cc;
    cache_control_parse(&cc, response);
    return !cc.no_cache && !cc.no_store && !cc.is_private;
}

/* Is the answer one that the route gives to those who may not? */
static bool
is_refusal(const struct route *route, int status, const struct fields *response)
{
    struct slice location = {NULL, 0};
    if (route && response && route->refused_public && is_public(response))
        return true;
    if (route && response && status >= 300 && status < 400)
        location = fields_get(response, "Location");
    for (size_t i = 0; location.p && i < route->refused_location.count; i++) {
        const char *glob = route->refused_location.list[i];
        if (glob_match(glob, strlen(glob), location.p, location.n))
            return true;
    }
    return false;
}

/* Does the answer have a field NAME whose value matches the glob behind "NAME:", if there is one? */
static bool
has_field_like(const struct fields *response, const char *wanted)
{
    const char *colon = strchr(wanted, ':');
    const char *glob = colon ? colon + 1 + strspn(colon + 1, " ") : "*";
    size_t n = colon ? (size_t)(colon - wanted) : strlen(wanted);
    for (size_t i = 0; i < response->count; i++) {
        const struct field *field = &response->list[i];
        if (field->name.n == n && strncasecmp(field->name.p, wanted, n) == 0 &&
            glob_match(glob, strlen(glob), field->value.p, field->value.n))
            return true;
    }
    return false;
}

bool
outcome_is_change(const struct route *route, const struct fields *response)
{
    if (!route || route->change_answer.count == 0)
        return true;
    for (size_t i = 0; response && i < route->change_answer.count; i++)
        if (has_field_like(response, route->change_answer.list[i]))
            return true;
    return false;
}

bool
outcome_is_purged(const struct fields *response)
{
    return response && slice_equal(fields_get(response, "Larder-Purge"), slice_of("done"));
}

enum outcome
outcome_find(const struct route *route, int status, bool received, const struct fields *response)
{
    if (status == 0)
        return received ? UNKNOWN : UNCHANGED;
    /* A gateway between us and the backend that got no answer, or a bad one, knows no more than we
     * would. */
    if (status == 502 || status == 504)
        return UNKNOWN;
    if (is_refusal(route, status, response))
        return UNCHANGED;
    return status >= 200 && status < 400 ? CHANGED : UNCHANGED;
}
