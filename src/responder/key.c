/*
 * The key of a stored response.
 *
 * Whatever may change an answer must be in here, kept from the backend, or a
 * reason to pass: that is the whole defence against one visitor's page reaching
 * another. In here: scheme, host, the host a trusted proxy names, target, the
 * cookies and fields a route keys on, the user, and where the user is only the client's
 * word, all credentials that came along; and for a FastCGI backend the script that
 * the web server has chosen, which it does not only by scheme, host and target.
 * Kept from the backend: see backend_fields.c. HEAD is answered from GET's entry and has its
 * key.
 */
#include "responder/key.h"

#include <string.h>

#include "base/glob.h"
#include "base/number.h"
#include "http/uri.h"
#include "responder/backend_fields.h"
#include "responder/digest.h"
#include "responder/field_use.h"
#include "responder/key_tags.h"
#include "responder/query.h"
#include "responder/request_cookie.h"

#define USER_MAX 255

static enum cookie_mode
mode_on_route(const struct route *route, struct slice name)
{
    for (size_t i = 0; i < route->cookie_count; i++)
        if (glob_match(route->cookies[i].glob, strlen(route->cookies[i].glob), name.p, name.n))
            return route->cookies[i].mode;
    /* Per user by the client's word: the key covers every cookie that is not ignored. */
    if (route->user != USER_NONE && !route->user_trusted)
        return COOKIE_KEY;
    return COOKIE_BYPASS;
}

static enum cookie_mode
cookie_mode(const struct route_match *match, struct slice name)
{
    const struct route *beside = route_beside(match);
    enum cookie_mode mode = mode_on_route(match->route, name);
    enum cookie_mode other = beside ? mode_on_route(beside, name) : mode;
    return mode < other ? mode : other;
}

/* A name that is given twice names nobody: which of them the backend believes is not ours to know. */
static struct slice
only_value(const struct fields *fields, const char *name)
{
    size_t cursor = 0;
    const struct field *first = fields_next(fields, name, &cursor);
    if (!first || fields_next(fields, name, &cursor))
        return (struct slice){NULL, 0};
    return first->value;
}

static struct slice
user_of(const struct route *route, const struct request *request)
{
    switch (route->user) {
    case USER_REMOTE_USER:
        return request->remote_user;
    case USER_FIELD:
        return only_value(&request->fields, route->user_name);
    case USER_COOKIE:
        return request_cookie(request, route->user_name);
    case USER_NONE:
        break;
    }
    return (struct slice){NULL, 0};
}

struct cookie_list {
    char *p;
    size_t n;
};

static void
add_cookie(struct cookie_list *list, struct slice name, struct slice value)
{
    if (list->n) {
        list->p[list->n++] = ';';
        list->p[list->n++] = ' ';
    }
    if (name.n) {
        memcpy(list->p + list->n, name.p, name.n);
        list->n += name.n;
        list->p[list->n++] = '=';
    }
    if (value.n)
        memcpy(list->p + list->n, value.p, value.n);
    list->n += value.n;
}

static bool
is_bypass_query(const struct route *route, struct slice target)
{
    return route && target.p &&
           uri_query_has(target, route->query_bypass.list, route->query_bypass.count);
}

bool
key_examine(struct cache_key *key, struct request_facts *facts, const struct request *request,
            const struct route_match *match, const struct config *config, struct arena *arena)
{
    const struct route *route = match->route;
    if (!route)
        return true;
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *f = &request->fields.list[i];
        enum field_use use = field_use(match, config, f);
        if (use == FIELD_USE_BYPASSES && !facts->bypass_field.p)
            facts->bypass_field = f->name;
        key->keyed_fields += use == FIELD_USE_KEYED;
    }
    if (route->user != USER_NONE) {
        key->user = user_of(route, request);
        facts->user_missing = key->user.n == 0;
    }
    const struct route *asked_route = match->other ? match->other->route : route;
    facts->query_bypass = is_bypass_query(route, request->target) ||
                          is_bypass_query(asked_route, request->asked);
    struct slice all = fields_join(&request->fields, arena, "Cookie");
    if (!all.p) {
        /* No Cookie field, or no memory to look at it. */
        return !fields_get(&request->fields, "Cookie").p;
    }
    /* "; " where there was "," or ";": up to one byte more a pair. */
    size_t room = 2 * all.n + 2;
    struct cookie_list sent = {arena_alloc(arena, 2 * room), 0}, keyed = {sent.p, 0};
    if (!sent.p)
        return false;
    keyed.p += room;
    bool dropped = false, varies = false;
    struct cookie_walk walk = {0};
    struct slice name, value;
    while (request_next_cookie(request, &walk, &name, &value)) {
        enum cookie_mode mode = cookie_mode(match, name);
        facts->cookie_bypass |= mode == COOKIE_BYPASS;
        dropped |= mode == COOKIE_IGNORE;
        varies |= mode == COOKIE_VARY;
        if (mode != COOKIE_IGNORE)
            add_cookie(&sent, name, value);
        if (mode == COOKIE_KEY)
            add_cookie(&keyed, name, value);
    }
    /* Taken apart and put together again a value with a comma may become two, which is what it is to
     * some backends only. So where nothing is left out, the key has the bytes that are sent. */
    key->cookies = dropped ? (struct slice){sent.p, sent.n} : all;
    key->keyed_cookies = varies ? (struct slice){keyed.p, keyed.n} : key->cookies;
    return true;
}

struct material {
    char *p; /* room for every part, and PART_MAX bytes for each */
    size_t n;
};

#define PARTS_MAX 11
#define PART_MAX (NUMBER_DIGITS_MAX + 3)

/* "<tag><length>:<bytes>," : no list of parts can be mistaken for another. */
static void
part(struct material *m, char tag, struct slice value)
{
    m->p[m->n++] = tag;
    m->n += number_format(m->p + m->n, value.n);
    m->p[m->n++] = ':';
    if (value.n)
        memcpy(m->p + m->n, value.p, value.n);
    m->n += value.n;
    m->p[m->n++] = ',';
}

/*
 * The script is the web server's choice: by the port, the address, a rewriting
 * that asks who the client is. Two scripts' answers to one URL may be two sites'.
 * The query counts where a rewriting has changed it, without what the route leaves
 * out. Only hashed: all of it may have more than an entry should.
 */
static bool
script_hash(char hash[DIGEST_DIGITS_MAX + 1], const struct cache_key *key,
            const struct request *request, struct arena *arena)
{
    const struct chosen_script *script = &request->script;
    struct slice query = query_reduced(script->query, request->target, key->target, arena);
    if (script->query.p && !query.p)
        return false;
    if (slice_equal(query, query_of(key->target)))
        query = (struct slice){NULL, 0};
    const struct slice parts[] = {
        script->document_root, script->filename,        script->name,
        script->path_info,     script->path_translated, script->redirect_url,
        script->port,          script->settings,        query};
    static const char tags[] = "dfnitroeq";
    size_t room = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        room += parts[i].n + PART_MAX;
    struct material m = {.p = arena_alloc(arena, room), .n = 0};
    if (!m.p)
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        part(&m, tags[i], parts[i]);
    return digest_hex((struct slice){m.p, m.n}, hash, DIGEST_DIGITS_MAX);
}

/* Without what the route leaves out of the visitor's query. false: no memory. */
static bool
reduce_asked(struct cache_key *key, const struct request *request, struct arena *arena)
{
    key->asked = key->target;
    if (!request->asked.p)
        return true;
    struct slice query = query_of(request->asked);
    struct slice path = {request->asked.p, request->asked.n - query.n - (query.n > 0)};
    query = query_reduced(query, request->target, key->target, arena);
    if (!query.p)
        return false;
    key->asked = slice_of(arena_printf(arena, "%.*s%s%.*s", (int)path.n, path.p, query.n ? "?" : "",
                                       (int)query.n, query.p));
    return key->asked.p != NULL;
}

/*
 * The fields that the route keys by, as the backend gets them: by name, lines of
 * one name in their order. Only hashed, because one may be a credential.
 */
static bool
fields_hash(char hash[DIGEST_DIGITS_MAX + 1], const struct request *request,
            const struct route_match *match, const struct config *config, struct arena *arena)
{
    size_t count = 0, room = 1;
    struct field *list = arena_calloc(arena, request->fields.count, sizeof *list);
    if (!list)
        return false;
    for (size_t i = 0; i < request->fields.count; i++) {
        struct field f = request->fields.list[i];
        if (field_use(match, config, &f) != FIELD_USE_KEYED)
            continue;
        bool language = slice_equal_nocase(f.name, "Accept-Language");
        if (language)
            f.value = backend_language(match, &request->fields, arena);
        size_t at = count;
        while (at > 0 && field_name_order(f.name, list[at - 1].name) < 0)
            at--;
        /* Of a name that comes again the lines are joined already. */
        if (!f.value.p || (language && at > 0 && field_name_order(f.name, list[at - 1].name) == 0))
            continue;
        memmove(list + at + 1, list + at, (count - at) * sizeof *list);
        list[at] = f;
        count++;
        room += f.name.n + f.value.n + 2 * (PART_MAX);
    }
    struct material m = {.p = arena_alloc(arena, room), .n = 0};
    if (!m.p)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t start = m.n;
        part(&m, 'n', list[i].name);
        for (size_t k = start; k < m.n; k++)
            if (m.p[k] >= 'A' && m.p[k] <= 'Z')
                m.p[k] = (char)(m.p[k] - 'A' + 'a');
        part(&m, 'v', list[i].value);
    }
    hash[0] = '\0';
    return count == 0 || digest_hex((struct slice){m.p, m.n}, hash, DIGEST_DIGITS_MAX);
}

struct slice
key_normal_host(struct slice host, struct slice scheme, struct arena *arena)
{
    char *copy = arena_strndup(arena, host.p, host.n);
    if (!copy)
        return (struct slice){NULL, 0};
    for (size_t i = 0; i < host.n; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] - 'A' + 'a');
    const char *port = slice_equal(scheme, slice_of("https")) ? ":443" : ":80";
    size_t n = strlen(port);
    if (host.n > n && memcmp(copy + host.n - n, port, n) == 0)
        host.n -= n;
    return (struct slice){copy, host.n};
}

/* Does the route put the cookies it was not told to ignore into the key? */
static bool
has_credentials_in_key(const struct route *route)
{
    return route->user != USER_NONE && !route->user_trusted;
}

/* The ancestor's own key: target, and the user where the route is per user. */
static enum reason
ancestor_key(struct cache_key *key, const struct request *request, const struct route_match *match,
             const struct config *config, struct arena *arena)
{
    /* That key has no room for credentials or cookies: what depends on them cannot be shared. */
    if (has_credentials_in_key(match->route))
        return REASON_NO_USER;
    if (key->cookies.n)
        return REASON_COOKIE;
    if (request->script.name.n && !config->fastcgi)
        return REASON_REWRITTEN;
    if (key->keyed_fields > 0)
        return REASON_FIELD;
    char *target = arena_strndup(arena, request->target.p, request->target.n);
    char *user = key->user.n ? arena_strndup(arena, key->user.p, key->user.n) : NULL;
    char *name = arena_alloc(arena, 128);
    if (!target || !name || (key->user.n && !user))
        return REASON_NO_MEMORY;
    if (larder_response_key(name, 128, target, user) != LARDER_OK)
        return REASON_KEY_TOO_LONG;
    key->name = key->primary = name;
    key->material = key->primary_material = key->target = key->asked = request->target;
    key->tags.count = 0;
    return REASON_NONE;
}

/* NUL-terminated, in the arena. NULL: no memory. */
static char *
join(const struct slice *parts, size_t count, struct arena *arena)
{
    size_t room = 1;
    for (size_t i = 0; i < count; i++)
        room += parts[i].n;
    char *text = arena_alloc(arena, room), *p = text;
    if (!text)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n)
            memcpy(p, parts[i].p, parts[i].n);
        p += parts[i].n;
    }
    *p = '\0';
    return text;
}

/* "<prefix>response:<hash of the material>". NULL: no memory. */
static const char *
name_of(const struct cache_key *key, struct arena *arena)
{
    char hash[DIGEST_DIGITS_MAX + 1];
    if (!key->prefix || !digest_hex(key->material, hash, DIGEST_DIGITS_MAX))
        return NULL;
    const struct slice parts[] = {slice_of(key->prefix), slice_of(NAME_RESPONSE), slice_of(hash)};
    return join(parts, sizeof parts / sizeof *parts, arena);
}

/* By both routes where two count: what only one of them leaves out stays. */
static struct slice
reduced_target(struct slice target, const struct route_match *match, struct arena *arena)
{
    const struct route *beside = route_beside(match);
    struct slice reduced = key_target(target, match->route, arena);
    if (!beside || !reduced.p)
        return reduced;
    struct slice other = key_target(target, beside, arena);
    return other.p && !slice_equal(reduced, other) ? target : other;
}

enum reason
key_make(struct cache_key *key, const struct request *request, const struct route_match *match,
         const struct config *config, struct arena *arena)
{
    const struct route *route = match->route;
    if (key->user.n > USER_MAX)
        return REASON_KEY_TOO_LONG;
    if (config->compat_ancestor)
        return ancestor_key(key, request, match, config, arena);

    struct slice host = key_normal_host(request->host, request->scheme, arena);
    struct slice outer = request->forwarded_host;
    if (outer.p)
        outer = key_normal_host(outer, request->scheme, arena);
    if (!host.p || (request->forwarded_host.p && !outer.p))
        return REASON_NO_MEMORY;
    struct slice authorization = {NULL, 0};
    if (has_credentials_in_key(route))
        authorization = fields_join(&request->fields, arena, "Authorization");

    key->target = reduced_target(request->target, match, arena);
    if (!key->target.p || !reduce_asked(key, request, arena))
        return REASON_NO_MEMORY;
    struct material m = {.n = 0};
    m.p = arena_alloc(arena, host.n + outer.n + key->target.n + key->cookies.n + key->user.n +
                                 authorization.n + 160 + PARTS_MAX * PART_MAX);
    if (!m.p)
        return REASON_NO_MEMORY;
    part(&m, 's', request->scheme);
    part(&m, 'h', host);
    if (outer.p)
        part(&m, 'f', outer);
    part(&m, 'm', slice_of("GET"));
    part(&m, 't', key->target);
    char hash[DIGEST_DIGITS_MAX + 1];
    if (config->fastcgi || request->script.name.n) {
        if (!script_hash(hash, key, request, arena))
            return REASON_NO_MEMORY;
        part(&m, 'p', slice_of(hash));
    }
    /* What was fetched while rewritings were ignored, or followed, is another page. */
    if (request->script.name.n && !config->fastcgi && config->rewritten_ignored)
        part(&m, 'w', slice_of("ignore"));
    if (key->user.n)
        part(&m, 'u', key->user);
    if (key->keyed_fields > 0) {
        if (!fields_hash(hash, request, match, config, arena))
            return REASON_NO_MEMORY;
        if (hash[0])
            part(&m, 'k', slice_of(hash));
    }
    /* Credentials are only hashed into the material: an entry must not be a place to find them. */
    if (has_credentials_in_key(route)) {
        size_t start = m.n;
        part(&m, 'a', authorization);
        part(&m, 'c', key->cookies);
        if (!digest_hex((struct slice){m.p + start, m.n - start}, hash, DIGEST_DIGITS_MAX))
            return REASON_NO_MEMORY;
        m.n = start;
        part(&m, 'x', slice_of(hash));
    } else if (key->keyed_cookies.n) {
        if (!digest_hex(key->keyed_cookies, hash, DIGEST_DIGITS_MAX))
            return REASON_NO_MEMORY;
        part(&m, 'c', slice_of(hash));
    }
    key->material = key->primary_material = (struct slice){m.p, m.n};
    key->host = host;
    key->forwarded_host = outer;

    char user[3 * USER_MAX + 1] = "";
    if (key->user.n && !store_escape_user(user, sizeof user, key->user.p, key->user.n))
        return REASON_KEY_TOO_LONG;
    const char *resource = route->resource ? route->resource : "";
    const struct slice parts[] = {slice_of(resource), slice_of(*resource ? ":" : ""),
                                  slice_of(*user ? NAME_USER : ""), slice_of(user),
                                  slice_of(*user ? ":" : "")};
    key->prefix = join(parts, sizeof parts / sizeof *parts, arena);
    key->name = key->primary = name_of(key, arena);
    if (!key->name)
        return REASON_NO_MEMORY;
    return key_tags_add(key, request, outer.p ? outer : host, user, match, config, arena);
}

bool
key_select(struct cache_key *key, const struct vary *vary, const struct fields *selecting,
           struct arena *arena)
{
    struct slice values[VARY_NAMES_MAX];
    size_t room = key->primary_material.n;
    bool failed = false;
    for (size_t i = 0; i < vary->count; i++) {
        values[i] = vary_normal_value(selecting, vary->names[i], arena, &failed);
        room += vary->names[i].n + values[i].n + 2 * (PART_MAX);
    }
    struct material m = {.p = failed ? NULL : arena_alloc(arena, room), .n = 0};
    if (!m.p)
        return false;
    memcpy(m.p, key->primary_material.p, key->primary_material.n);
    m.n = key->primary_material.n;
    for (size_t i = 0; i < vary->count; i++) {
        part(&m, 'n', vary->names[i]);
        if (values[i].p) /* absent matches only absent: there is no part then */
            part(&m, 'v', values[i]);
    }
    struct slice before = key->material;
    key->material = (struct slice){m.p, m.n};
    const char *name = name_of(key, arena);
    if (name)
        key->name = name;
    else
        key->material = before;
    return name != NULL;
}

void
key_unselect(struct cache_key *key)
{
    key->name = key->primary;
    key->material = key->primary_material;
}

struct slice
key_target(struct slice target, const struct route *route, struct arena *arena)
{
    if (!route ||
        (route->query_ignore.count == 0 && route->query_allow.count == 0 && !route->query_sort))
        return target;
    const struct uri_query_rules rules = {.ignore = route->query_ignore.list,
                                          .ignore_count = route->query_ignore.count,
                                          .allow = route->query_allow.list,
                                          .allow_count = route->query_allow.count,
                                          .sort = route->query_sort};
    return uri_reduce_query(target, &rules, arena);
}
