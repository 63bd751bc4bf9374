/*
 * What the cookies and the fields of a request do on one route: the lists of
 * `cookies` and `fields`.
 *
 * A name that stands in two lists is refused, because the operator means one of
 * them, and which of them counts decides about privacy. A field that Larder treats
 * by itself is refused too: a list that named it would have no effect.
 *
 * Called by route_entry.c.
 */
#include "config/route_lists.h"

#include <string.h>
#include <strings.h>

#include "base/glob.h"

#define SECTION "routes"
/* Lists of one route together. */
#define COOKIES_MAX 192
#define FIELDS_LISTED_MAX 256
#define FIELD_GLOB_MAX 128

struct entry {
    struct reader *reader;
    struct route *route;
};

static const config_setting_t *
setting(const struct entry *entry, const char *name)
{
    return reader_setting(entry->reader, SECTION, name);
}

/* ------------------------------------------------------------------ cookies */

static const struct {
    const char *name;
    enum cookie_mode mode;
} cookie_lists[] = {{"bypass", COOKIE_BYPASS},
                    {"key", COOKIE_KEY},
                    {"vary", COOKIE_VARY},
                    {"ignore", COOKIE_IGNORE}};

static enum larder_status
add_cookie(struct entry *entry, const config_setting_t *where, const char *glob, size_t list)
{
    struct route *route = entry->route;
    for (const char *p = glob; *p; p++)
        if (*p <= ' ' || strchr("=;,\"", *p))
            return reader_error(entry->reader, where,
                                "cookies: found \"%.40s\", expected a glob on a cookie's name",
                                glob);
    for (size_t i = 0; i < route->cookie_count; i++) {
        if (strcmp(route->cookies[i].glob, glob) != 0)
            continue;
        return reader_error(entry->reader, where,
                            "cookies: found \"%.40s\" in %s, but it stands in another list as well",
                            glob, cookie_lists[list].name);
    }
    route->cookies[route->cookie_count++] = (struct cookie_rule){glob, cookie_lists[list].mode};
    return LARDER_OK;
}

/* The cookie that names the user must reach the key and the backend. */
static enum larder_status
check_user_cookie(struct entry *entry)
{
    const struct route *route = entry->route;
    if (route->user != USER_COOKIE)
        return LARDER_OK;
    for (size_t i = 0; i < route->cookie_count; i++) {
        const struct cookie_rule *rule = &route->cookies[i];
        if (!glob_match(rule->glob, strlen(rule->glob), route->user_name, strlen(route->user_name)))
            continue;
        if (rule->mode == COOKIE_KEY)
            return LARDER_OK;
        const char *list = "";
        for (size_t k = 0; k < sizeof cookie_lists / sizeof cookie_lists[0]; k++)
            if (cookie_lists[k].mode == rule->mode)
                list = cookie_lists[k].name;
        return reader_error(entry->reader, setting(entry, "user"),
                            "user: the cookie \"%.40s\" is in cookies.%s, expected it in "
                            "cookies.key or in no list",
                            route->user_name, list);
    }
    return LARDER_OK;
}

static enum larder_status
read_cookies(struct entry *entry)
{
    const config_setting_t *group = setting(entry, "cookies");
    if (!group)
        return LARDER_OK;
    enum larder_status status =
        reader_section(entry->reader, SECTION ".cookies", group, entry->route);
    if (status != LARDER_OK)
        return status;
    entry->route->cookies =
        arena_calloc(entry->reader->arena, COOKIES_MAX, sizeof *entry->route->cookies);
    if (!entry->route->cookies)
        return reader_no_memory(entry->reader);
    for (size_t i = 0; i < sizeof cookie_lists / sizeof cookie_lists[0]; i++) {
        const config_setting_t *list =
            reader_setting(entry->reader, SECTION ".cookies", cookie_lists[i].name);
        struct string_list globs = {NULL, 0};
        if (list)
            status = reader_strings(entry->reader, list, &globs);
        for (size_t k = 0; k < globs.count && status == LARDER_OK; k++)
            status =
                add_cookie(entry, config_setting_get_elem(list, (unsigned)k), globs.list[k], i);
        if (status != LARDER_OK)
            return status;
    }
    return check_user_cookie(entry);
}

/* ------------------------------------------------------------------- fields */

static const struct {
    const char *name;
    enum field_mode mode;
} field_lists[] = {{"bypass", FIELD_BYPASS},
                   {"key", FIELD_KEY},
                   {"forward", FIELD_FORWARD},
                   {"ignore", FIELD_IGNORE}};

/* Fields that no list opens or closes, and what the operator uses instead. */
static const struct {
    const char *name, *instead;
} own_fields[] = {
    {"host", "the key always has the host"},
    {"cookie", "use `cookies`"},
    {"authorization", "use `authorization` or `user`"},
    {"accept-encoding", "use cache.encodings; Vary selects by it"},
    {"range", "use range_fetch"},
    {"if-range", "conditions are Larder's"},
    {"if-none-match", "conditions are Larder's"},
    {"if-modified-since", "conditions are Larder's"},
    {"if-match", "it always passes"},
    {"if-unmodified-since", "it always passes"},
    {"x-forwarded-for", "use upstream.trusted_proxies"},
    {"x-forwarded-proto", "the key always has the scheme; use upstream.trusted_proxies"},
    {"x-forwarded-host", "use upstream.trusted_proxies"},
    {"cf-visitor", "the key always has the scheme; use upstream.trusted_proxies"},
    {"connection", "it is of this connection alone"},
    {"keep-alive", "it is of this connection alone"},
    {"proxy-authorization", "it is of this connection alone"},
    {"proxy-connection", "it is of this connection alone"},
    {"te", "it is of this connection alone"},
    {"trailer", "it is of this connection alone"},
    {"transfer-encoding", "it is of this connection alone"},
    {"upgrade", "it is of this connection alone"},
    {"content-length", "a request with a body always passes"},
    {"content-type", "a request with a body always passes"},
    {"expect", "Larder answers it"},
    {"proxy", "no backend ever gets it (httpoxy)"},
    {"via", "Larder sends its own"},
    {"cdn-loop", "Larder sends its own"},
    {"x-larder-token", "no backend ever gets it"},
};

/* A glob on a field's name in lower case. The web server turns both X-Key and X_Key into HTTP_X_KEY,
 * so only one way of writing counts. NULL: it is none. */
static char *
field_glob(struct arena *arena, const char *text)
{
    size_t n = strlen(text);
    bool class = false;
    char *glob = arena_strndup(arena, text, n);
    if (!glob || n == 0 || n > FIELD_GLOB_MAX)
        return NULL;
    for (char *p = glob; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
        if (*p == '[' && !class)
            class = true;
        else if (*p == ']' && class)
            class = false;
        else if (!letter && !strchr(class ? "-^" : "-.*?", *p))
            return NULL;
    }
    return class ? NULL : glob;
}

static enum larder_status
add_field(struct entry *entry, const config_setting_t *where, const char *text, size_t list)
{
    struct route *route = entry->route;
    const char *in = field_lists[list].name;
    const char *glob = field_glob(entry->reader->arena, text);
    if (!glob)
        return reader_error(entry->reader, where,
                            "fields: found \"%.40s\" in %s, expected a glob on a field's name, of "
                            "letters, digits, - and not _, such as \"X-Api-*\"",
                            text, in);
    if (field_lists[list].mode == FIELD_BYPASS && strspn(glob, "*") == strlen(glob))
        return reader_error(entry->reader, where,
                            "fields: found \"%s\" in bypass, which would pass every request; a "
                            "route without ttl does that",
                            text);
    for (size_t i = 0; i < sizeof own_fields / sizeof own_fields[0]; i++)
        if (strcmp(own_fields[i].name, glob) == 0)
            return reader_error(entry->reader, where,
                                "fields: found \"%.40s\" in %s, a field that Larder treats by "
                                "itself: %s",
                                text, in, own_fields[i].instead);
    for (size_t i = 0; i < route->field_count; i++) {
        if (strcmp(route->fields[i].glob, glob) != 0)
            continue;
        const char *before = "";
        for (size_t k = 0; k < sizeof field_lists / sizeof field_lists[0]; k++)
            if (field_lists[k].mode == route->fields[i].mode)
                before = field_lists[k].name;
        return reader_error(entry->reader, where,
                            "fields: found \"%.40s\" in %s, but it stands in %s already", text, in,
                            before);
    }
    route->fields[route->field_count++] = (struct field_rule){glob, field_lists[list].mode};
    return LARDER_OK;
}

/* The field that names the user is part of the key. */
static enum larder_status
check_user_field(struct entry *entry)
{
    const struct route *route = entry->route;
    char name[FIELD_GLOB_MAX + 1];
    size_t n = route->user == USER_FIELD ? strlen(route->user_name) : 0;
    if (n == 0 || n > FIELD_GLOB_MAX)
        return LARDER_OK;
    for (size_t i = 0; i < n; i++) {
        char c = route->user_name[i];
        name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    for (size_t i = 0; i < route->field_count; i++) {
        const struct field_rule *rule = &route->fields[i];
        if (!glob_match(rule->glob, strlen(rule->glob), name, n))
            continue;
        if (rule->mode == FIELD_KEY || rule->mode == FIELD_FORWARD)
            return LARDER_OK;
        return reader_error(entry->reader, setting(entry, "user"),
                            "user: the field \"%.40s\" is in fields.%s, expected it in no list",
                            route->user_name, rule->mode == FIELD_BYPASS ? "bypass" : "ignore");
    }
    return LARDER_OK;
}

static enum larder_status
read_fields(struct entry *entry)
{
    const config_setting_t *group = setting(entry, "fields");
    if (!group)
        return LARDER_OK;
    enum larder_status status =
        reader_section(entry->reader, SECTION ".fields", group, entry->route);
    if (status != LARDER_OK)
        return status;
    entry->route->fields =
        arena_calloc(entry->reader->arena, FIELDS_LISTED_MAX, sizeof *entry->route->fields);
    if (!entry->route->fields)
        return reader_no_memory(entry->reader);
    for (size_t i = 0; i < sizeof field_lists / sizeof field_lists[0]; i++) {
        const config_setting_t *list =
            reader_setting(entry->reader, SECTION ".fields", field_lists[i].name);
        struct string_list globs = {NULL, 0};
        if (list)
            status = reader_strings(entry->reader, list, &globs);
        for (size_t k = 0; k < globs.count && status == LARDER_OK; k++)
            status = add_field(entry, config_setting_get_elem(list, (unsigned)k), globs.list[k], i);
        if (status != LARDER_OK)
            return status;
    }
    return check_user_field(entry);
}

enum larder_status
route_lists_read(struct reader *reader, struct route *route)
{
    struct entry entry = {reader, route};
    enum larder_status status = read_cookies(&entry);
    return status == LARDER_OK ? read_fields(&entry) : status;
}
