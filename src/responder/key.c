/*
 * The key of a stored response.
 *
 * Whatever may change an answer must be in here, kept from the backend, or a
 * reason to pass: that is the whole defence against one visitor's page reaching
 * another. In here: scheme, host, the host a trusted proxy names, target, the
 * cookies a route keys on, the user, and where the user is only the client's
 * word, all credentials that came along. Kept from the backend: see
 * backend_fields in exchange.c. HEAD is answered from GET's entry and has its
 * key.
 */
#include "responder/key.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/number.h"

#define USER_MAX 255

static enum cookie_mode
cookie_mode(const struct route *route, struct slice name)
{
    for (size_t i = 0; i < route->cookie_count; i++)
        if (glob_match(route->cookies[i].glob, strlen(route->cookies[i].glob), name.p, name.n))
            return route->cookies[i].mode;
    /* Per user by the client's word: the key covers every cookie that is not ignored. */
    if (route->user != USER_NONE && !route->user_trusted)
        return COOKIE_KEY;
    return COOKIE_BYPASS;
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

bool
key_examine(struct cache_key *key, struct request_facts *facts, const struct request *request,
            const struct route_match *match, struct arena *arena)
{
    const struct route *route = match->route;
    if (!route)
        return true;
    if (route->user != USER_NONE) {
        key->user = user_of(route, request);
        facts->user_missing = key->user.n == 0;
    }
    struct slice all = fields_join(&request->fields, arena, "Cookie");
    if (!all.p) {
        /* No Cookie field, or no memory to look at it. */
        return !fields_get(&request->fields, "Cookie").p;
    }
    /* "; " where there was "," or ";": up to one byte more a pair. */
    char *kept = arena_alloc(arena, 2 * all.n + 2);
    if (!kept)
        return false;
    size_t n = 0;
    bool dropped = false;
    struct cookie_walk walk = {0};
    struct slice name, value;
    while (request_next_cookie(request, &walk, &name, &value)) {
        enum cookie_mode mode = cookie_mode(route, name);
        if (mode == COOKIE_BYPASS)
            facts->cookie_bypass = true;
        if (mode == COOKIE_IGNORE) {
            dropped = true;
            continue;
        }
        if (n) {
            kept[n++] = ';';
            kept[n++] = ' ';
        }
        if (name.n) {
            memcpy(kept + n, name.p, name.n);
            n += name.n;
            kept[n++] = '=';
        }
        memcpy(kept + n, value.p, value.n);
        n += value.n;
    }
    /* Taken apart and put together again a value with a comma may become two, which is what it is to
     * some backends only. So where nothing is left out, the key has the bytes that are sent. */
    key->cookies = dropped ? (struct slice){kept, n} : all;
    return true;
}

struct material {
    char *p; /* room for every part, and PART_MAX bytes for each */
    size_t n;
};

#define PARTS_MAX 9
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

/* Host names are compared without case and without the scheme's own port (RFC 9110 §4.2.3). */
static struct slice
normal_host(struct slice host, struct slice scheme, struct arena *arena)
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

/* EVP_sha256() would be looked up again in every call: a tenth of a hit's time. */
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

static void
fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void
key_cleanup(void)
{
    EVP_MD_free(sha256);
    sha256 = NULL;
}

static bool
sha256_hex(struct slice data, char out[65])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    pthread_once(&sha256_once, fetch_sha256);
    if (!sha256 || EVP_Digest(data.p, data.n, digest, &n, sha256, NULL) != 1 || n != 32)
        return false;
    for (unsigned int i = 0; i < 32; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[64] = '\0';
    return true;
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
             struct arena *arena)
{
    /* That key has no room for credentials or cookies: what depends on them cannot be shared. */
    if (has_credentials_in_key(match->route))
        return REASON_NO_USER;
    if (key->cookies.n)
        return REASON_COOKIE;
    char *target = arena_strndup(arena, request->target.p, request->target.n);
    char *user = key->user.n ? arena_strndup(arena, key->user.p, key->user.n) : NULL;
    char *name = arena_alloc(arena, 128);
    if (!target || !name || (key->user.n && !user))
        return REASON_NO_MEMORY;
    if (larder_response_key(name, 128, target, user) != LARDER_OK)
        return REASON_KEY_TOO_LONG;
    key->name = name;
    key->material = request->target;
    key->tags.count = 0;
    return REASON_NONE;
}

enum reason
key_make(struct cache_key *key, const struct request *request, const struct route_match *match,
         const struct config *config, struct arena *arena)
{
    const struct route *route = match->route;
    if (key->user.n > USER_MAX)
        return REASON_KEY_TOO_LONG;
    if (config->compat_ancestor)
        return ancestor_key(key, request, match, arena);

    struct slice host = normal_host(request->host, request->scheme, arena);
    struct slice outer = request->forwarded_host;
    if (outer.p)
        outer = normal_host(outer, request->scheme, arena);
    if (!host.p || (request->forwarded_host.p && !outer.p))
        return REASON_NO_MEMORY;
    struct slice authorization = {NULL, 0};
    if (has_credentials_in_key(route))
        authorization = fields_join(&request->fields, arena, "Authorization");

    struct material m = {.n = 0};
    m.p = arena_alloc(arena, host.n + outer.n + request->target.n + key->cookies.n + key->user.n +
                                 authorization.n + 80 + PARTS_MAX * PART_MAX);
    if (!m.p)
        return REASON_NO_MEMORY;
    part(&m, 's', request->scheme);
    part(&m, 'h', host);
    if (outer.p)
        part(&m, 'f', outer);
    part(&m, 'm', slice_of("GET"));
    part(&m, 't', request->target);
    if (key->user.n)
        part(&m, 'u', key->user);
    /* Credentials are only hashed into the material: an entry must not be a place to find them. */
    char hash[65];
    if (has_credentials_in_key(route)) {
        size_t start = m.n;
        part(&m, 'a', authorization);
        part(&m, 'c', key->cookies);
        if (!sha256_hex((struct slice){m.p + start, m.n - start}, hash))
            return REASON_NO_MEMORY;
        m.n = start;
        part(&m, 'x', slice_of(hash));
    } else if (key->cookies.n) {
        if (!sha256_hex(key->cookies, hash))
            return REASON_NO_MEMORY;
        part(&m, 'c', slice_of(hash));
    }
    key->material = (struct slice){m.p, m.n};
    key->host = host;
    key->forwarded_host = outer;
    if (!sha256_hex(key->material, hash))
        return REASON_NO_MEMORY;

    char user[3 * USER_MAX + 1] = "";
    if (key->user.n && !store_escape_user(user, sizeof user, key->user.p, key->user.n))
        return REASON_KEY_TOO_LONG;
    const char *resource = route->resource ? route->resource : "";
    const struct slice parts[] = {
        slice_of(resource), slice_of(*resource ? ":" : ""), slice_of(*user ? "user:" : ""),
        slice_of(user),     slice_of(*user ? ":" : ""),     slice_of("response:"),
        slice_of(hash)};
    size_t room = 1, count = sizeof parts / sizeof *parts;
    for (size_t i = 0; i < count; i++)
        room += parts[i].n;
    char *name = arena_alloc(arena, room);
    if (!name)
        return REASON_NO_MEMORY;
    key->name = name;
    for (size_t i = 0; i < count; i++) {
        memcpy(name, parts[i].p, parts[i].n);
        name += parts[i].n;
    }
    *name = '\0';
    if (!store_tags_for(&key->tags, resource, user))
        return REASON_KEY_TOO_LONG;
    return REASON_NONE;
}
