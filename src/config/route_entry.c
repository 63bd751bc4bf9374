/*
 * One entry of `routes`: read, checked, compiled.
 *
 * The table knows what each setting may be; here stands what settings mean
 * together. An entry that cannot do what it says is refused: a TTL on a path
 * that is never cached, an invalidation that no method sets off, a page of one
 * user that is called public. Each of them looks fine in the file and costs an
 * evening, or somebody's privacy, to find out later.
 *
 * Called by config.c.
 */
#include "config/route_entry.h"

#include <string.h>
#include <strings.h>

#include "base/fields.h"
#include "client/store.h"
#include "routing/route.h"
#include "config/route_lists.h"
#include "config/route_rules.h"
#include "http/decide.h"

#define SECTION "routes"
/* What a client of Redis lets through (larder.h). */
#define PATTERN_STARS_MAX 16
#define HOST_GLOB_MAX 255
#define PARAMETER_GLOB_MAX 255
#define CHANGE_GLOB_MAX 255
#define CLIENT_CACHE_MAX_S ((int64_t)365 * 86400)

struct entry {
    struct reader *reader;
    const config_setting_t *group;
    struct route *route;
};

static const config_setting_t *
setting(const struct entry *entry, const char *name)
{
    return reader_setting(entry->reader, SECTION, name);
}

static bool
is_token(const char *text)
{
    return field_name_valid(slice_of(text));
}

/* ------------------------------------------------------------------ methods */

static const char *const known_methods[] = {"GET",   "HEAD",    "POST",  "PUT", "DELETE",
                                            "PATCH", "OPTIONS", "TRACE", NULL};

static enum larder_status
check_methods(struct entry *entry)
{
    const struct string_list *methods = &entry->route->methods;
    const config_setting_t *list = setting(entry, "methods");
    if (list && methods->count == 0)
        return reader_error(entry->reader, list,
                            "methods: found an empty list, expected methods; leave it out for all");
    for (size_t i = 0; i < methods->count; i++) {
        const config_setting_t *element = config_setting_get_elem(list, (unsigned)i);
        const char *method = methods->list[i];
        if (!is_token(method) || strlen(method) > 32)
            return reader_error(entry->reader, element,
                                "methods: found \"%.40s\", expected the name of a method", method);
        for (size_t k = 0; known_methods[k]; k++)
            if (strcasecmp(method, known_methods[k]) == 0 && strcmp(method, known_methods[k]) != 0)
                return reader_error(entry->reader, element,
                                    "methods: found \"%s\", expected \"%s\": case counts", method,
                                    known_methods[k]);
        for (size_t k = 0; k < i; k++)
            if (strcmp(method, methods->list[k]) == 0)
                return reader_error(entry->reader, element, "methods: found \"%s\" twice", method);
    }
    return LARDER_OK;
}

/* Methods that change nothing never set off an invalidation (RFC 9110 §9.2.1). */
static bool
has_unsafe_method(const struct route *route)
{
    for (size_t i = 0; i < route->methods.count; i++)
        if (!method_is_safe(slice_of(route->methods.list[i])))
            return true;
    return route->methods.count == 0;
}

/* ------------------------------------------------------ hosts and resources */

/* One colon outside of a class is a port; an address has several. */
static bool
has_port(const char *host)
{
    const char *colon = strchr(host, ':');
    return colon && !strchr(colon + 1, ':') && !strchr(colon, ']');
}

/* In lower case, and an IPv6 address without its brackets: to a glob they would be a class. */
static char *
normal_host(struct arena *arena, const char *host)
{
    size_t n = strlen(host);
    bool address = host[0] == '[' && host[n - 1] == ']' && strchr(host, ':');
    char *copy = arena_strndup(arena, host + address, n - 2 * address);
    for (char *p = copy; p && *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return copy;
}

static enum larder_status
check_hosts(struct entry *entry)
{
    const struct string_list *hosts = &entry->route->hosts;
    const config_setting_t *list = setting(entry, "hosts");
    if (list && hosts->count == 0)
        return reader_error(entry->reader, list,
                            "hosts: found an empty list, expected hosts; leave it out for all");
    for (size_t i = 0; i < hosts->count; i++) {
        const char *host = hosts->list[i];
        const config_setting_t *element = config_setting_get_elem(list, (unsigned)i);
        if (strlen(host) > HOST_GLOB_MAX || strpbrk(host, "/@ ") || has_port(host))
            return reader_error(entry->reader, element,
                                "hosts: found \"%.40s\", expected a name or a glob, without port",
                                host);
        hosts->list[i] = normal_host(entry->reader->arena, host);
        if (!hosts->list[i])
            return reader_no_memory(entry->reader);
    }
    return LARDER_OK;
}

static enum larder_status
check_parameters(struct entry *entry)
{
    const struct string_list *globs = &entry->route->parameters;
    const config_setting_t *list = setting(entry, "parameters");
    if (list && globs->count == 0)
        return reader_error(entry->reader, list,
                            "parameters: found an empty list, expected globs; leave it out for "
                            "any query");
    for (size_t i = 0; i < globs->count; i++) {
        const char *glob = globs->list[i];
        size_t stars = 0;
        for (const char *p = glob; *p; p++)
            stars += *p == '*';
        if (!*glob || strlen(glob) > PARAMETER_GLOB_MAX || stars > PATTERN_STARS_MAX ||
            strpbrk(glob, "&#"))
            return reader_error(entry->reader, config_setting_get_elem(list, (unsigned)i),
                                "parameters: found \"%.40s\", expected a glob on a parameter, "
                                "such as \"action=edit*\", of at most %d bytes",
                                glob, PARAMETER_GLOB_MAX);
    }
    return LARDER_OK;
}

static enum larder_status
check_resource(struct entry *entry)
{
    const char *resource = entry->route->resource;
    if (!resource)
        return LARDER_OK;
    /* In keys it stands between colons, in patterns between globs. */
    if (resource[strspn(resource, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-.")])
        return reader_error(entry->reader, setting(entry, "resource"),
                            "resource: found \"%.40s\", expected letters, digits, _ - and .",
                            resource);
    if (strcmp(resource, "response") == 0 || strcmp(resource, "gen") == 0 ||
        strcmp(resource, "lease") == 0 || strcmp(resource, "gen-news") == 0)
        return reader_error(entry->reader, setting(entry, "resource"),
                            "resource: found \"%s\", a word that Larder uses in its own keys",
                            resource);
    return LARDER_OK;
}

/* --------------------------------------------------------------------- user */

/* The web server turns both X-User and X_User into HTTP_X_USER, so only one way of writing counts.
 */
static enum larder_status
check_field_name(struct entry *entry, const config_setting_t *where, const char *name)
{
    if (!is_token(name) || strchr(name, '_'))
        return reader_error(entry->reader, where,
                            "user: found the field \"%.40s\", expected the name of a field, with - "
                            "and not _",
                            name);
    if (strcasecmp(name, "Cookie") == 0 || strcasecmp(name, "Authorization") == 0)
        return reader_error(entry->reader, where,
                            "user: found the field \"%s\", expected one that holds an identity",
                            name);
    return LARDER_OK;
}

static enum larder_status
read_user(struct entry *entry, const struct config *config)
{
    struct route *route = entry->route;
    const config_setting_t *where = setting(entry, "user");
    if (!where)
        return LARDER_OK;
    const char *text = config_setting_get_string(where);
    bool field = strncmp(text, "field:", 6) == 0;
    bool cookie = strncmp(text, "cookie:", 7) == 0;
    if (strcmp(text, "REMOTE_USER") == 0) {
        route->user = USER_REMOTE_USER;
        route->user_trusted = true;
        return LARDER_OK;
    }
    const char *name = text + (field ? 6 : 7);
    if ((!field && !cookie) || !*name)
        return reader_error(entry->reader, where,
                            "user: found \"%.40s\", expected \"REMOTE_USER\", \"field:NAME\" or "
                            "\"cookie:NAME\"",
                            text);
    route->user_name = arena_strndup(entry->reader->arena, name, strlen(name));
    if (!route->user_name)
        return reader_no_memory(entry->reader);
    if (cookie) {
        route->user = USER_COOKIE;
        return is_token(name) ? LARDER_OK
                              : reader_error(entry->reader, where,
                                             "user: found the cookie \"%.40s\", expected the name "
                                             "of a cookie",
                                             name);
    }
    route->user = USER_FIELD;
    for (size_t i = 0; i < config->trusted_fields.count; i++)
        if (strcasecmp(config->trusted_fields.list[i], name) == 0)
            route->user_trusted = true;
    return check_field_name(entry, where, name);
}

/* ------------------------------------------------------------- invalidation */

/* What stands at a { and where it ends. NULL: reported. */
static const char *
check_placeholder(struct entry *entry, const config_setting_t *where, const char *option,
                  const char *at)
{
    const struct route *route = entry->route;
    const char *end = strchr(at, '}');
    if (!end) {
        reader_error(entry->reader, where, "%s: found `%.40s`, expected a } after it", option, at);
        return NULL;
    }
    struct slice name = {at + 1, (size_t)(end - at - 1)};
    bool user = slice_equal(name, slice_of("user"));
    if (user && route->user == USER_NONE) {
        reader_error(entry->reader, where,
                     "%s: found {user}, but the route has no `user` that says who that is", option);
        return NULL;
    }
    if (!user && !route_has_capture(route, name)) {
        reader_error(entry->reader, where,
                     "%s: found `%.*s`, expected {user} or a {name} of the path", option,
                     (int)(name.n < 40 ? name.n + 2 : 42), at);
        return NULL;
    }
    return end + 1;
}

static enum larder_status
check_pattern(struct entry *entry, const config_setting_t *where, const char *pattern)
{
    size_t stars = 0;
    bool class = false;
    if (strlen(pattern) > ROUTE_INVALIDATE_MAX)
        return reader_error(entry->reader, where,
                            "invalidate: found a pattern of %zu bytes, expected at most %d",
                            strlen(pattern), ROUTE_INVALIDATE_MAX);
    for (const char *p = pattern; *p;) {
        if (*p == '\\' && !p[1])
            return reader_error(entry->reader, where,
                                "invalidate: found a backslash at the end of \"%.40s\"", pattern);
        if (*p == '{') {
            p = check_placeholder(entry, where, "invalidate", p);
            if (!p)
                return LARDER_INVALID;
            continue;
        }
        stars += *p == '*'; /* in a class as well: the client counts so */
        class = class ? *p != ']' : *p == '[';
        p += *p == '\\' ? 2 : 1;
    }
    if (class)
        return reader_error(entry->reader, where, "invalidate: found [ without its ] in \"%.40s\"",
                            pattern);
    if (stars > PATTERN_STARS_MAX)
        return reader_error(entry->reader, where,
                            "invalidate: found %zu stars in \"%.40s\", expected at most %d", stars,
                            pattern, PATTERN_STARS_MAX);
    return LARDER_OK;
}

/* The globs that tell a change from what only looks like one; those on fields with their names. */
static enum larder_status
check_change(struct entry *entry, const char *name, const struct string_list *globs, bool fields)
{
    const config_setting_t *list = setting(entry, name);
    if (!list)
        return LARDER_OK;
    if (!has_unsafe_method(entry->route))
        return reader_error(entry->reader, list,
                            "%s: no method of this route changes anything, so there is no change "
                            "to tell from others",
                            name);
    if (globs->count == 0)
        return reader_error(entry->reader, list,
                            "%s: found an empty list, expected globs; leave it out for any", name);
    for (size_t i = 0; i < globs->count; i++) {
        const char *glob = globs->list[i];
        size_t stars = 0;
        for (const char *p = glob; *p; p++)
            stars += *p == '*';
        struct slice field = {glob, strcspn(glob, ":")};
        bool valid = strlen(glob) <= CHANGE_GLOB_MAX && stars <= PATTERN_STARS_MAX;
        if (fields)
            valid = valid && field_name_valid(field) && !memchr(field.p, '*', field.n);
        if (!valid)
            return reader_error(entry->reader, config_setting_get_elem(list, (unsigned)i),
                                "%s: found \"%.40s\", expected %s, of at most %d bytes and %d "
                                "stars",
                                name, glob,
                                fields ? "a field, such as \"X-App-Saved\" or \"X-App: *saved*\""
                                       : "a glob on a script, such as \"*/admin/*.php\"",
                                CHANGE_GLOB_MAX, PATTERN_STARS_MAX);
    }
    return LARDER_OK;
}

static enum larder_status
check_invalidate(struct entry *entry)
{
    const struct route *route = entry->route;
    const config_setting_t *list = setting(entry, "invalidate");
    if (list && !has_unsafe_method(route))
        return reader_error(entry->reader, list,
                            "invalidate: no method of this route changes anything, so nothing "
                            "would ever be invalidated");
    const config_setting_t *refused = setting(entry, "refused_location");
    if (refused && !has_unsafe_method(route))
        return reader_error(
            entry->reader, refused,
            "refused_location: no method of this route changes anything, so nothing "
            "is ever refused");
    const config_setting_t *public = setting(entry, "refused_public");
    if (public && route->refused_public && !has_unsafe_method(route))
        return reader_error(entry->reader, public,
                            "refused_public: no method of this route changes anything, so nothing "
                            "is ever refused");
    const config_setting_t *delay = setting(entry, "commit_delay");
    if (delay && route->commit_delay_ms > 0 && !has_unsafe_method(route))
        return reader_error(entry->reader, delay,
                            "commit_delay: no method of this route changes anything, so nothing "
                            "is to be dropped");
    if (delay && route->commit_delay_ms > 0 && route->async)
        return reader_error(
            entry->reader, delay,
            "commit_delay: what async drops behind the answer is registered nowhere; "
            "leave out one of the two");
    if (route->async && !list)
        return reader_error(entry->reader, setting(entry, "async"),
                            "async: found true, but the route invalidates nothing");
    enum larder_status status = LARDER_OK;
    for (size_t i = 0; i < route->invalidate.count && status == LARDER_OK; i++)
        status = check_pattern(entry, config_setting_get_elem(list, (unsigned)i),
                               route->invalidate.list[i]);
    return status;
}

/* A name of which nothing could ever be purged, or never whole, is a mistake. */
static enum larder_status
check_tag(struct entry *entry, const config_setting_t *where, const char *option, const char *name)
{
    if (!*name || strlen(name) > STORE_TAG_NAME_MAX)
        return reader_error(entry->reader, where, "%s: found a name of %zu bytes, expected 1 to %d",
                            option, strlen(name), STORE_TAG_NAME_MAX);
    for (const char *p = name; *p;) {
        if (*p == '{') {
            p = check_placeholder(entry, where, option, p);
            if (!p)
                return LARDER_INVALID;
            continue;
        }
        if (*p <= ' ' || *p == ',' || *p == '*' || *p == '"' || (unsigned char)*p >= 0x7f)
            return reader_error(entry->reader, where,
                                "%s: found \"%.40s\", expected a name without blanks, "
                                "commas, quotes and *",
                                option, name);
        p++;
    }
    return LARDER_OK;
}

static enum larder_status
check_tags(struct entry *entry)
{
    const struct route *route = entry->route;
    const config_setting_t *list = setting(entry, "tags");
    enum larder_status status = LARDER_OK;
    for (size_t i = 0; i < route->tags.count && status == LARDER_OK; i++)
        status = check_tag(entry, config_setting_get_elem(list, (unsigned)i), "tags",
                           route->tags.list[i]);
    if (status == LARDER_OK && route->default_tag)
        status = check_tag(entry, setting(entry, "default_tag"), "default_tag", route->default_tag);
    return status;
}

/* ------------------------------------------------------------- client cache */

static enum larder_status
read_client_cache(struct entry *entry)
{
    struct route *route = entry->route;
    const config_setting_t *where = setting(entry, "client_cache");
    if (!where)
        return LARDER_OK;
    const char *text = config_setting_get_string(where);
    int64_t ms;
    route->client_cache_set = true;
    if (strcmp(text, "backend") == 0)
        return LARDER_OK;
    if (strcmp(text, "never") == 0) {
        route->client_cache = CLIENT_CACHE_NEVER;
        if (route_caches(route))
            return reader_error(entry->reader, where,
                                "client_cache: found \"never\" on a route with %s; one of them is "
                                "not meant",
                                route->policy.rfc ? "cache = \"rfc\"" : "a ttl");
        return LARDER_OK;
    }
    if (!config_parse_duration(text, &ms) || ms < 1000 || ms % 1000 != 0 ||
        ms / 1000 > CLIENT_CACHE_MAX_S)
        return reader_error(entry->reader, where,
                            "client_cache: found \"%.40s\", expected whole seconds from \"1s\" to "
                            "\"365d\", \"never\" or \"backend\"",
                            text);
    route->client_cache = CLIENT_CACHE_PUBLIC;
    route->client_cache_s = ms / 1000;
    if (route->user != USER_NONE)
        return reader_error(entry->reader, where,
                            "client_cache: found \"%s\", which says public, on a route per user",
                            text);
    for (size_t i = 0; i < route->cookie_count; i++)
        if (route->cookies[i].mode == COOKIE_KEY || route->cookies[i].mode == COOKIE_VARY)
            return reader_error(entry->reader, where,
                                "client_cache: found \"%s\", which says public, on a route whose "
                                "pages differ by cookie",
                                text);
    for (size_t i = 0; i < route->field_count; i++)
        if (route->fields[i].mode == FIELD_KEY)
            return reader_error(entry->reader, where,
                                "client_cache: found \"%s\", which says public, on a route whose "
                                "pages differ by the field %s (fields.key)",
                                text, route->fields[i].glob);
    return LARDER_OK;
}

/* What says something about stored responses says nothing where none are stored. (tags does: its
 * mutations drop what other routes store under them.) */
static enum larder_status
check_stored(struct entry *entry)
{
    static const char *const names[] = {"default_tag", "directory_tags", "early_refresh"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const config_setting_t *where = setting(entry, names[i]);
        if (where && !route_caches(entry->route))
            return reader_error(
                entry->reader, where,
                "%s: the route has neither a ttl nor cache = \"rfc\", so nothing of "
                "it is ever stored",
                names[i]);
    }
    return LARDER_OK;
}

/* -------------------------------------------------------------------- entry */

static enum larder_status
read_path(struct entry *entry)
{
    struct route *route = entry->route;
    struct larder_error why;
    if (!route->path)
        return reader_error(entry->reader, entry->group, "a route without `path`");
    if (!route->name)
        route->name = route->path;
    enum larder_status status = route_compile(route, entry->reader->arena, &why);
    if (status == LARDER_NOMEM)
        return reader_no_memory(entry->reader);
    if (status != LARDER_OK)
        return reader_error(entry->reader, setting(entry, "path"), "path: %s", why.message);
    return LARDER_OK;
}

enum larder_status
route_entry_read(struct reader *reader, const config_setting_t *group, const struct config *config,
                 struct route *route)
{
    struct entry entry = {reader, group, route};
    option_set_defaults(SECTION, route);
    enum larder_status status = reader_section(reader, SECTION, group, route);
    if (status == LARDER_OK)
        status = check_methods(&entry);
    if (status == LARDER_OK)
        status = check_hosts(&entry);
    if (status == LARDER_OK)
        status = check_parameters(&entry);
    if (status == LARDER_OK)
        status = read_path(&entry);
    if (status == LARDER_OK)
        status = check_resource(&entry);
    if (status == LARDER_OK)
        status = read_user(&entry, config);
    if (status == LARDER_OK)
        status = route_lists_read(reader, route);
    if (status == LARDER_OK)
        status = check_invalidate(&entry);
    if (status == LARDER_OK)
        status = check_change(&entry, "change_script", &route->change_script, false);
    if (status == LARDER_OK)
        status = check_change(&entry, "change_answer", &route->change_answer, true);
    if (status == LARDER_OK)
        status = check_tags(&entry);
    if (status == LARDER_OK)
        status = route_rules_read(reader, group, config, route);
    if (status == LARDER_OK)
        status = read_client_cache(&entry);
    if (status == LARDER_OK)
        status = check_stored(&entry);
    return status;
}
