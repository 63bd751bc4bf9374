/*
 * The caching rules of one entry of `routes`: times by status, languages, query
 * strings, and which of the settings cannot be meant together.
 */
#include "config/route_rules.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fields.h"
#include "client/store.h"
#include "routing/route.h"

#define SECTION "routes"
#define QUERY_SECTION "routes.query"
#define QUERY_GLOB_MAX 128
#define LANGUAGE_MAX 35
/* What glob matching may cost. */
#define STARS_MAX 16

struct rules {
    struct reader *reader;
    const config_setting_t *group;
    struct route *route;
};

static const config_setting_t *
setting(const struct rules *rules, const char *name)
{
    return reader_setting(rules->reader, SECTION, name);
}

/* ------------------------------------------------------------------ ttl_by_status */

/* "404 10s". false: not of that form. */
static bool
parse_status_ttl(const char *text, struct status_ttl *out)
{
    size_t digits = strspn(text, "0123456789");
    const char *duration = text + digits;
    if (digits != 3 || (*duration != ' ' && *duration != '\t'))
        return false;
    duration += strspn(duration, " \t");
    out->status = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
    return config_parse_duration(duration, &out->ttl_ms) && out->ttl_ms >= 0 &&
           out->ttl_ms <= STORE_TTL_MAX_S * 1000;
}

static int
by_status(const void *a, const void *b)
{
    const struct status_ttl *x = a, *y = b;
    return (x->status > y->status) - (x->status < y->status);
}

static enum larder_status
add_status_ttl(struct rules *rules, const config_setting_t *where, const char *text,
               struct status_ttl *list)
{
    struct policy *policy = &rules->route->policy;
    struct status_ttl *one = &list[policy->by_status_count];
    if (!parse_status_ttl(text, one))
        return reader_error(rules->reader, where,
                            "ttl_by_status: found \"%.40s\", expected a status and a duration up "
                            "to 30d, such as \"404 10s\"",
                            text);
    if (one->status < 200 || one->status > 599 || one->status == 206 || one->status == 304)
        return reader_error(rules->reader, where,
                            "ttl_by_status: found %d, expected a status from 200 to 599 that is "
                            "neither 206 nor 304",
                            one->status);
    if (policy->max_ttl_ms > 0 && one->ttl_ms > policy->max_ttl_ms)
        return reader_error(rules->reader, where,
                            "ttl_by_status: found \"%.40s\", more than max_ttl", text);
    for (size_t i = 0; i < policy->by_status_count; i++)
        if (list[i].status == one->status)
            return reader_error(rules->reader, where, "ttl_by_status: found %d twice", one->status);
    policy->by_status_count++;
    return LARDER_OK;
}

static enum larder_status
read_by_status(struct rules *rules)
{
    const config_setting_t *list = setting(rules, "ttl_by_status");
    struct string_list texts = {NULL, 0};
    if (!list)
        return LARDER_OK;
    enum larder_status status = reader_strings(rules->reader, list, &texts);
    if (status != LARDER_OK || texts.count == 0)
        return status;
    struct status_ttl *out = arena_calloc(rules->reader->arena, texts.count, sizeof *out);
    if (!out)
        return reader_no_memory(rules->reader);
    for (size_t i = 0; i < texts.count && status == LARDER_OK; i++)
        status =
            add_status_ttl(rules, config_setting_get_elem(list, (unsigned)i), texts.list[i], out);
    qsort(out, rules->route->policy.by_status_count, sizeof *out, by_status);
    rules->route->policy.by_status = out;
    return status;
}

/* ---------------------------------------------------------------- lists of names */

static enum larder_status
check_languages(struct rules *rules)
{
    const struct string_list *list = &rules->route->languages;
    const config_setting_t *where = setting(rules, "languages");
    for (size_t i = 0; i < list->count; i++) {
        const char *tag = list->list[i];
        const config_setting_t *element = config_setting_get_elem(where, (unsigned)i);
        size_t n = strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
        if (tag[n] || n == 0 || n > LANGUAGE_MAX || *tag == '-' || tag[n - 1] == '-')
            return reader_error(rules->reader, element,
                                "languages: found \"%.40s\", expected a language tag such as "
                                "\"de\" or \"pt-BR\"",
                                tag);
        for (size_t k = 0; k < i; k++)
            if (strcasecmp(list->list[k], tag) == 0)
                return reader_error(rules->reader, element, "languages: found \"%s\" twice", tag);
    }
    return LARDER_OK;
}

static enum larder_status
check_globs(struct rules *rules, const char *name, const struct string_list *globs)
{
    const config_setting_t *where = reader_setting(rules->reader, QUERY_SECTION, name);
    for (size_t i = 0; i < globs->count; i++) {
        size_t stars = 0;
        const char *glob = globs->list[i];
        for (const char *p = glob; *p; p++)
            stars += *p == '*';
        if (!*glob || strlen(glob) > QUERY_GLOB_MAX || stars > STARS_MAX || strpbrk(glob, "&=#"))
            return reader_error(rules->reader, config_setting_get_elem(where, (unsigned)i),
                                "query.%s: found \"%.40s\", expected a glob on a parameter's name, "
                                "of at most %d bytes",
                                name, glob, QUERY_GLOB_MAX);
    }
    return LARDER_OK;
}

static enum larder_status
read_query(struct rules *rules)
{
    const config_setting_t *group = setting(rules, "query");
    if (!group)
        return LARDER_OK;
    enum larder_status status = reader_section(rules->reader, QUERY_SECTION, group, rules->route);
    if (status == LARDER_OK)
        status = check_globs(rules, "bypass", &rules->route->query_bypass);
    if (status == LARDER_OK)
        status = check_globs(rules, "ignore", &rules->route->query_ignore);
    if (status == LARDER_OK)
        status = check_globs(rules, "allow", &rules->route->query_allow);
    const config_setting_t *allow = reader_setting(rules->reader, QUERY_SECTION, "allow");
    if (status == LARDER_OK && allow && rules->route->query_allow.count == 0)
        status = reader_error(rules->reader, allow,
                              "query.allow: found an empty list; to ignore all parameters write "
                              "ignore = [ \"*\" ]");
    return status;
}

/* ------------------------------------------------------------- what goes together */

/* Settings that say how something is cached, and mean nothing where nothing is. */
static const char *const caching[] = {
    "ttl",          "ttl_override",   "ttl_by_status",  "min_ttl",
    "max_ttl",      "heuristic_min",  "heuristic_max",  "error_statuses",
    "negative_ttl", "set_cookie",     "stale_if_error", "stale_while_revalidate",
    "keep",         "client_control", "range_fetch",    "variants",
    "languages",    "query",          "cache",
};

/* What the ancestor's entries have no room for. */
static const char *const not_ancestor[] = {
    "cache",         "ttl_by_status",  "heuristic_min",
    "heuristic_max", "stale_if_error", "stale_while_revalidate",
    "keep",          "range_fetch",    "variants",
    "languages",     "query",          "error_statuses",
};

static bool
has_method(const struct route *route, const char *method)
{
    for (size_t i = 0; i < route->methods.count; i++)
        if (strcmp(route->methods.list[i], method) == 0)
            return true;
    return route->methods.count == 0;
}

static enum larder_status
check_together(struct rules *rules, const struct config *config)
{
    const struct route *route = rules->route;
    const struct policy *policy = &route->policy;
    bool readable = has_method(route, "GET") || has_method(route, "HEAD");
    for (size_t i = 0; i < sizeof caching / sizeof *caching; i++) {
        const config_setting_t *where = setting(rules, caching[i]);
        if (where && !readable)
            return reader_error(rules->reader, where,
                                "%s: methods has neither GET nor HEAD, and nothing else is cached",
                                caching[i]);
        bool makes = strcmp(caching[i], "ttl") == 0 || strcmp(caching[i], "cache") == 0;
        if (where && !makes && !route_caches(route))
            return reader_error(rules->reader, where,
                                "%s: nothing is cached on this route; it has neither cache = "
                                "\"rfc\" nor a ttl",
                                caching[i]);
    }
    if (policy->max_ttl_ms > 0 && policy->min_ttl_ms > policy->max_ttl_ms)
        return reader_error(rules->reader, setting(rules, "min_ttl"),
                            "min_ttl: found more than max_ttl");
    if (policy->max_ttl_ms > 0 && policy->ttl_ms > policy->max_ttl_ms)
        return reader_error(rules->reader, setting(rules, "ttl"), "ttl: found more than max_ttl");
    if (policy->max_ttl_ms > 0 && policy->ttl_override_ms > policy->max_ttl_ms)
        return reader_error(rules->reader, setting(rules, "ttl_override"),
                            "ttl_override: found more than max_ttl");
    if (policy->heuristic_max_ms > 0 && policy->heuristic_min_ms > policy->heuristic_max_ms)
        return reader_error(
            rules->reader,
            setting(rules, setting(rules, "heuristic_min") ? "heuristic_min" : "heuristic_max"),
            "heuristic_min is more than heuristic_max");
    for (size_t i = 0; config->compat_ancestor && i < sizeof not_ancestor / sizeof *not_ancestor;
         i++)
        if (setting(rules, not_ancestor[i]))
            return reader_error(rules->reader, setting(rules, not_ancestor[i]),
                                "%s: the ancestor's entries have no room for it (cache.compat)",
                                not_ancestor[i]);
    return LARDER_OK;
}

enum larder_status
route_rules_read(struct reader *reader, const config_setting_t *group, const struct config *config,
                 struct route *route)
{
    struct rules rules = {reader, group, route};
    enum larder_status status = read_by_status(&rules);
    if (status == LARDER_OK)
        status = check_languages(&rules);
    if (status == LARDER_OK)
        status = read_query(&rules);
    return status == LARDER_OK ? check_together(&rules, config) : status;
}
