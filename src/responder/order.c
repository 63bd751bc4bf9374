/*
 * What somebody wants purged, read. The forms stand in order.h.
 *
 * Nothing is guessed: a purge that does not say what its sender meant would
 * leave a stale page behind and answer that all is well. So what is unknown,
 * misspelt or of another type is an error that names the place, and an order is
 * carried out whole or not at all.
 *
 * Called by admin.c, for whoever has shown that he may, on a thread that may
 * take its time. What it means in tags is in order_resolve.c.
 */
#include "responder/order.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/shown.h"
#include "client/store.h"
#include "routing/path.h"
#include "http/response_tags.h"
#include "responder/dialect.h"
#include "responder/request.h"

#define JSON_DEPTH_MAX 16
#define ROOM_FIRST 8
/* More members than an order has names for are not needed: each comes once. */
#define MEMBERS_MAX 32

static const struct {
    const char *one;
    const char *many;
} names[ORDER_KINDS] = {
    [ORDER_URLS] = {"url", "urls"},
    [ORDER_PREFIXES] = {"prefix", "prefixes"},
    [ORDER_TAGS] = {"tag", "tags"},
    [ORDER_GROUPS] = {"group", "groups"},
    [ORDER_PATTERNS] = {"pattern", "patterns"},
};

const char *
order_kind_name(enum order_kind kind)
{
    return names[kind].many;
}

const char *
order_shown(char buf[ORDER_SHOWN_SIZE], struct slice text)
{
    char url[SHOWN_URL_SIZE];
    text = slice_of(shown_url(url, text.p, text.n));
    size_t n = text.n < ORDER_SHOWN_SIZE - 4 ? text.n : ORDER_SHOWN_SIZE - 4;
    for (size_t i = 0; i < n; i++)
        buf[i] = text.p[i] >= 0x20 && text.p[i] < 0x7f ? text.p[i] : '?';
    memcpy(buf + n, n < text.n ? "..." : "", n < text.n ? 4 : 1);
    return buf;
}

/* Where in an order something stands: "urls[3]", "url". */
struct place {
    const char *name;
    int64_t index; /* -1: it is not one of a list */
};

static enum larder_status __attribute__((format(printf, 3, 4)))
refuse(const struct place *place, struct larder_error *err, const char *format, ...)
{
    char words[LARDER_ERROR_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (place->index < 0)
        return error_set(err, LARDER_INVALID, "%s: %s", place->name, words);
    return error_set(err, LARDER_INVALID, "%s[%lld]: %s", place->name, (long long)place->index,
                     words);
}

static enum larder_status
no_memory(struct larder_error *err)
{
    return error_set(err, LARDER_NOMEM, "no memory for all of it");
}

/* ---------------------------------------------------------------- one item */

struct order_url
order_split(struct slice url)
{
    static const char *const schemes[] = {"http", "https"};
    struct order_url parts = {.target = url};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i]);
        if (url.n < n + 3 || strncasecmp(url.p, schemes[i], n) != 0 ||
            memcmp(url.p + n, "://", 3) != 0)
            continue;
        parts.scheme = slice_of(schemes[i]);
        parts.host.p = url.p + n + 3;
        size_t left = url.n - n - 3;
        while (parts.host.n < left && !strchr("/?", parts.host.p[parts.host.n]))
            parts.host.n++;
        parts.target = (struct slice){parts.host.p + parts.host.n, left - parts.host.n};
        if (parts.target.n == 0)
            parts.target = slice_of("/");
    }
    return parts;
}

/* NULL: fine. */
static const char *
wrong_with_url(struct slice url)
{
    struct order_url parts = order_split(url);
    for (size_t i = 0; i < url.n; i++) {
        unsigned char c = (unsigned char)url.p[i];
        if (c <= ' ' || c >= 0x7f)
            return "expected a URL as it is sent, with what is no letter, digit or sign of ASCII "
                   "written as %XX";
        if (c == '#')
            return "expected a URL without a fragment: that is never sent";
    }
    if (parts.scheme.p && !request_host_valid(parts.host))
        return "expected the name of a host behind the scheme";
    if (!parts.scheme.p && (url.p[0] != '/' || (url.n > 1 && url.p[1] == '/')))
        return "expected http://HOST/PATH, https://HOST/PATH or /PATH";
    if (parts.target.n > REQUEST_TARGET_MAX)
        return "no URL is so long";
    return NULL;
}

/* Other caches take globs and regular expressions for URLs. */
static const char *
wrong_with_exact_url(struct slice url, struct arena *arena)
{
    const char *wrong = wrong_with_url(url);
    const char *sign = wrong ? NULL : dialect_pattern_sign(order_split(url).target);
    if (!sign)
        return wrong;
    wrong = arena_printf(arena,
                         "found %s: no patterns of URLs, expected prefixes such as /blog/, or the "
                         "sign as %%XX where it is part of the URL",
                         sign);
    return wrong ? wrong : "no memory";
}

static const char *
wrong_with_prefix(struct slice prefix, struct arena *arena)
{
    const char *wrong = wrong_with_url(prefix);
    struct slice path = order_split(prefix).target, normal;
    if (wrong)
        return wrong;
    if (path.p[0] != '/' || memchr(path.p, '?', path.n))
        return "expected a directory, without a query";
    if (dialect_pattern_sign(path))
        return "expected a directory, without * or other signs of patterns: all that is below it "
               "is meant in any case";
    if (path.p[path.n - 1] != '/')
        return "expected a directory, which ends with /";
    if (!path_normalise(arena, path, &normal))
        return "no memory";
    if (!slice_equal(path, normal))
        return "expected a path in normal form: without . and .. segments, and %XX only where it "
               "has to be, in capitals";
    return NULL;
}

static const char *
wrong_with(enum order_kind kind, struct slice item, struct arena *arena)
{
    for (size_t i = 0; i < item.n; i++)
        if ((unsigned char)item.p[i] < ' ' || item.p[i] == 0x7f)
            return "found a control character";
    if (item.n == 0)
        return "it is empty";
    switch (kind) {
    case ORDER_URLS:
        return wrong_with_exact_url(item, arena);
    case ORDER_PREFIXES:
        return wrong_with_prefix(item, arena);
    case ORDER_PATTERNS:
        return store_pattern_wrong(item);
    case ORDER_TAGS:
    case ORDER_GROUPS:
        return store_tag_name_wrong(item);
    case ORDER_KINDS:
        break;
    }
    return NULL;
}

/* It is copied. */
static enum larder_status
add(struct order *order, enum order_kind kind, const struct place *place, struct slice item,
    struct arena *arena, struct larder_error *err)
{
    struct order_list *list = &order->list[kind];
    char buf[ORDER_SHOWN_SIZE];
    if (order->count == ORDER_ITEMS_MAX)
        return error_set(err, LARDER_INVALID, "more than %d items; send them in several requests",
                         ORDER_ITEMS_MAX);
    if (kind == ORDER_PATTERNS && list->count == ORDER_PATTERNS_MAX)
        return error_set(err, LARDER_INVALID, "more than %d patterns", ORDER_PATTERNS_MAX);
    const char *wrong = wrong_with(kind, item, arena);
    if (wrong)
        return refuse(place, err, "found \"%s\": %s", order_shown(buf, item), wrong);
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : ROOM_FIRST;
        struct slice *items = arena_calloc(arena, room, sizeof *items);
        if (!items)
            return no_memory(err);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    char *copy = arena_strndup(arena, item.p, item.n);
    if (!copy)
        return no_memory(err);
    list->items[list->count++] = (struct slice){copy, item.n};
    order->count++;
    return LARDER_OK;
}

static enum larder_status
take_origin(struct order *order, struct slice origin, struct arena *arena, struct larder_error *err)
{
    const struct place place = {"origin", -1};
    struct order_url parts = order_split(origin);
    char buf[ORDER_SHOWN_SIZE];
    if (wrong_with_url(origin.n ? origin : slice_of("?")) || !parts.scheme.p ||
        !slice_equal(parts.target, slice_of("/")))
        return refuse(&place, err,
                      "found \"%s\", expected http://HOST or https://HOST without a path",
                      order_shown(buf, origin));
    char *copy = arena_strndup(arena, origin.p, origin.n);
    if (!copy)
        return no_memory(err);
    order->origin = (struct slice){copy, origin.n};
    return LARDER_OK;
}

/* ORDER_KINDS: it is none of them. */
static enum order_kind
kind_of(struct slice name)
{
    for (int i = 0; i < ORDER_KINDS; i++)
        if (slice_equal(name, slice_of(names[i].one)) || slice_equal(name, slice_of(names[i].many)))
            return (enum order_kind)i;
    return ORDER_KINDS;
}

static enum larder_status
unknown(struct slice name, struct larder_error *err)
{
    char buf[ORDER_SHOWN_SIZE];
    return error_set(err, LARDER_INVALID,
                     "found \"%s\", expected urls, prefixes, tags, groups, origin, patterns, all "
                     "or soft",
                     order_shown(buf, name));
}

/* -------------------------------------------------------------------- JSON */

static enum larder_status
wrong_type(const struct place *place, json_object *found, const char *expected,
           struct larder_error *err)
{
    return refuse(place, err, "found %s %s, expected %s",
                  json_object_is_type(found, json_type_object)  ? "an"
                  : json_object_is_type(found, json_type_array) ? "an"
                  : json_object_is_type(found, json_type_int)   ? "an"
                  : found                                       ? "a"
                                                                : "the value",
                  json_type_to_name(json_object_get_type(found)), expected);
}

static struct slice
text_of(json_object *string)
{
    return (struct slice){json_object_get_string(string),
                          (size_t)json_object_get_string_len(string)};
}

static enum larder_status
read_list(struct order *order, enum order_kind kind, const char *name, json_object *value,
          struct arena *arena, struct larder_error *err)
{
    struct place place = {name, -1};
    enum larder_status status = LARDER_OK;
    if (json_object_is_type(value, json_type_string))
        return add(order, kind, &place, text_of(value), arena, err);
    if (!json_object_is_type(value, json_type_array))
        return wrong_type(&place, value, "an array of strings", err);
    size_t count = json_object_array_length(value);
    for (size_t i = 0; i < count && status == LARDER_OK; i++) {
        json_object *item = json_object_array_get_idx(value, i);
        place.index = (int64_t)i;
        status = json_object_is_type(item, json_type_string)
                     ? add(order, kind, &place, text_of(item), arena, err)
                     : wrong_type(&place, item, "a string", err);
    }
    return status;
}

static enum larder_status
read_member(struct order *order, const char *name, json_object *value, struct arena *arena,
            struct larder_error *err)
{
    const struct place place = {name, -1};
    enum order_kind kind = kind_of(slice_of(name));
    if (kind != ORDER_KINDS)
        return read_list(order, kind, name, value, arena, err);
    bool all = strcmp(name, "all") == 0;
    if (all || strcmp(name, "soft") == 0) {
        if (!json_object_is_type(value, json_type_boolean))
            return wrong_type(&place, value, "true or false", err);
        *(all ? &order->all : &order->soft) = json_object_get_boolean(value);
        return LARDER_OK;
    }
    if (strcmp(name, "origin") != 0)
        return unknown(slice_of(name), err);
    if (!json_object_is_type(value, json_type_string))
        return wrong_type(&place, value, "a string", err);
    return take_origin(order, text_of(value), arena, err);
}

enum larder_status
order_read_object(struct order *order, json_object *object, struct arena *arena,
                  struct larder_error *err)
{
    json_object_object_foreach(object, name, value)
    {
        enum larder_status status = read_member(order, name, value, arena, err);
        if (status != LARDER_OK)
            return status;
    }
    return LARDER_OK;
}

/* The string that begins at text[*at], as it is written; *at is past it then. .p NULL: it has no end. */
static struct slice
written_string(struct slice text, size_t *at)
{
    size_t start = ++*at;
    while (*at < text.n && text.p[*at] != '"')
        *at += text.p[*at] == '\\' ? 2 : 1;
    if (*at >= text.n)
        return (struct slice){NULL, 0};
    return (struct slice){text.p + start, (*at)++ - start};
}

/* Whichever of two members of one name is meant, the other is not. */
static enum larder_status
add_member_name(struct slice *names_seen, size_t *count, struct slice name,
                struct larder_error *err)
{
    char buf[ORDER_SHOWN_SIZE];
    /* A name that is written in another way would be compared in vain. */
    if (memchr(name.p, '\\', name.n))
        return unknown(name, err);
    for (size_t i = 0; i < *count; i++)
        if (slice_equal(names_seen[i], name))
            return error_set(err, LARDER_INVALID,
                             "found \"%s\" twice, expected each member once, with a list of all "
                             "that is meant",
                             order_shown(buf, name));
    if (*count == MEMBERS_MAX)
        return unknown(name, err);
    names_seen[(*count)++] = name;
    return LARDER_OK;
}

/*
 * Of members with one name json-c keeps the last and says nothing. So the names
 * are read once more as they are written, from text that is known to be valid.
 */
static enum larder_status
check_member_names(struct slice text, struct larder_error *err)
{
    struct slice seen[MEMBERS_MAX];
    size_t count = 0, depth = 0, at = 0;
    bool is_name = true;
    while (at < text.n) {
        char c = text.p[at];
        if (c == '"') {
            struct slice string = written_string(text, &at);
            enum larder_status status = string.p && depth == 1 && is_name
                                            ? add_member_name(seen, &count, string, err)
                                            : LARDER_OK;
            if (!string.p || status != LARDER_OK)
                return status;
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (depth == 1 && (c == ':' || c == ','))
            is_name = c == ',';
        at++;
    }
    return LARDER_OK;
}

#define EXPECTED_JSON "expected JSON: {\"urls\": [\"/page\"]}"

/* The first single quote that is in no string: json-c, strict or not, takes names in such, and has no
 * word for the others. text.n: there is none. */
static size_t
single_quote(struct slice text)
{
    size_t at = 0;
    while (at < text.n && text.p[at] != '\'') {
        if (text.p[at] != '"')
            at++;
        else if (!written_string(text, &at).p)
            return text.n;
    }
    return at;
}

enum larder_status
order_read_json(struct order *order, struct slice text, struct arena *arena,
                struct larder_error *err)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    enum larder_status status = LARDER_INVALID;
    if (!tokener)
        return no_memory(err);
    while (text.n && strchr(" \t\r\n", text.p[text.n - 1]) && text.p[text.n - 1])
        text.n--;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    json_object *object =
        text.n <= ORDER_TEXT_MAX ? json_tokener_parse_ex(tokener, text.p, (int)text.n) : NULL;
    enum json_tokener_error wrong = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    size_t quote = single_quote(text);
    if (text.n == 0)
        error_set(err, status, "found nothing, " EXPECTED_JSON);
    else if (quote < text.n)
        error_set(
            err, status,
            "no JSON: found a single quote at byte %zu, where double quotes belong; " EXPECTED_JSON,
            quote + 1);
    else if (wrong == json_tokener_continue)
        error_set(err, status, "the JSON ends too early; " EXPECTED_JSON);
    else if (wrong != json_tokener_success || end != text.n)
        error_set(err, status, "no JSON: %s at byte %zu; " EXPECTED_JSON,
                  wrong == json_tokener_success ? "more follows" : json_tokener_error_desc(wrong),
                  end + 1);
    else if (!json_object_is_type(object, json_type_object))
        error_set(err, status, "found JSON without an object, expected {\"urls\": [\"/page\"]}");
    else if ((status = check_member_names(text, err)) == LARDER_OK)
        status = order_read_object(order, object, arena, err);
    json_object_put(object);
    json_tokener_free(tokener);
    return status;
}

/* ------------------------------------------------------------------- query */

/* As HTML forms have it. .p NULL: no memory. */
static struct slice
decode(struct slice text, struct arena *arena)
{
    char *copy = arena_alloc(arena, text.n ? text.n : 1);
    size_t n = 0;
    for (size_t i = 0; copy && i < text.n; i++) {
        int byte = path_encoded_byte(text, i);
        copy[n++] = byte >= 0 ? (char)byte : text.p[i] == '+' ? ' ' : text.p[i];
        i += byte >= 0 ? 2 : 0;
    }
    return (struct slice){copy, n};
}

static enum larder_status
read_switch(bool *out, const char *name, struct slice value, struct larder_error *err)
{
    const struct place place = {name, -1};
    char buf[ORDER_SHOWN_SIZE];
    bool on = slice_equal(value, slice_of("1")) || slice_equal(value, slice_of("true"));
    if (!on && !slice_equal(value, slice_of("0")) && !slice_equal(value, slice_of("false")))
        return refuse(&place, err, "found \"%s\", expected 1, true, 0 or false",
                      order_shown(buf, value));
    *out = on;
    return LARDER_OK;
}

static enum larder_status
read_parameter(struct order *order, struct slice name, struct slice value, unsigned *seen,
               struct arena *arena, struct larder_error *err)
{
    static const char *const single[] = {"all", "soft", "origin"};
    enum order_kind kind = kind_of(name);
    const struct place place = {kind == ORDER_KINDS ? "" : names[kind].one, -1};
    if (kind != ORDER_KINDS)
        return add(order, kind, &place, value, arena, err);
    for (unsigned i = 0; i < sizeof single / sizeof *single; i++) {
        if (!slice_equal(name, slice_of(single[i])))
            continue;
        if (*seen & 1u << i)
            return error_set(err, LARDER_INVALID, "found \"%s\" twice, expected it once",
                             single[i]);
        *seen |= 1u << i;
        return i == 0   ? read_switch(&order->all, "all", value, err)
               : i == 1 ? read_switch(&order->soft, "soft", value, err)
                        : take_origin(order, value, arena, err);
    }
    return unknown(name, err);
}

enum larder_status
order_read_query(struct order *order, struct slice query, struct arena *arena,
                 struct larder_error *err)
{
    enum larder_status status = LARDER_OK;
    unsigned seen = 0;
    while (query.n && status == LARDER_OK) {
        const char *end = memchr(query.p, '&', query.n);
        struct slice pair = {query.p, end ? (size_t)(end - query.p) : query.n};
        query.p += pair.n + (end != NULL);
        query.n -= pair.n + (end != NULL);
        if (pair.n == 0)
            continue;
        const char *equals = memchr(pair.p, '=', pair.n);
        struct slice name = {pair.p, equals ? (size_t)(equals - pair.p) : pair.n};
        struct slice value = {name.p + name.n, 0};
        if (equals)
            value = (struct slice){equals + 1, pair.n - name.n - 1};
        name = decode(name, arena);
        value = decode(value, arena);
        status = name.p && value.p ? read_parameter(order, name, value, &seen, arena, err)
                                   : no_memory(err);
    }
    return status;
}

/* ------------------------------------------------------------------- PURGE */

/* By the fields that say so; two that do not agree are none. */
static enum larder_status
read_soft(struct order *order, const struct fields *fields, struct larder_error *err)
{
    static const char *const names_of_soft[] = {"X-Larder-Soft", "Soft-Purge"};
    bool found = false;
    for (size_t i = 0; i < sizeof names_of_soft / sizeof *names_of_soft; i++) {
        const struct field *f;
        size_t cursor = 0;
        while ((f = fields_next(fields, names_of_soft[i], &cursor))) {
            bool before = order->soft;
            enum larder_status status = read_switch(&order->soft, names_of_soft[i], f->value, err);
            if (status != LARDER_OK)
                return status;
            if (found && before != order->soft)
                return error_set(err, LARDER_INVALID,
                                 "found %s saying something else than a field before it",
                                 names_of_soft[i]);
            found = true;
        }
    }
    return LARDER_OK;
}

enum larder_status
order_read_request(struct order *order, struct slice target, const struct fields *fields,
                   struct arena *arena, struct larder_error *err)
{
    struct fields own = {0};
    struct response_tags tags;
    enum larder_status status = read_soft(order, fields, err);
    if (status != LARDER_OK)
        return status;
    for (size_t i = 0; i < fields->count; i++)
        if (response_tags_is_field(fields->list[i].name) &&
            !fields_add(&own, arena, fields->list[i].name, fields->list[i].value))
            return no_memory(err);
    if (!response_tags_find(&tags, &own, arena))
        return no_memory(err);
    if (tags.too_many)
        return error_set(err, LARDER_INVALID, "found more than %d tags in the fields",
                         RESPONSE_TAGS_MAX);
    const struct place place = {"tag", -1};
    for (size_t i = 0; i < tags.count && status == LARDER_OK; i++)
        status = add(order, ORDER_TAGS, &place, tags.list[i].name, arena, err);
    if (own.count > 0)
        return order->count > 0 || status != LARDER_OK
                   ? status
                   : error_set(err, LARDER_INVALID, "found a field for tags, and no tag in it");
    /* The server has let it through, as it would that of a GET: nothing to check. */
    struct order_list *list = &order->list[ORDER_URLS];
    list->items = arena_calloc(arena, 1, sizeof *list->items);
    if (!list->items)
        return no_memory(err);
    list->items[0] = target;
    order->count = list->count = list->room = 1;
    return LARDER_OK;
}
