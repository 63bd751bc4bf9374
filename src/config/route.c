/*
 * From a request to its route.
 *
 * A pattern is compiled at load into a row of literals and wildcards. Matching
 * walks over the row once and remembers two places to go back to: the last
 * wildcard within a segment, and the last `**`. No more is needed. A wildcard
 * that stays within its segment and has found the literal behind it at the
 * leftmost place gains nothing from a later one, since the wildcards after it
 * reach just as far; and once the row is past a slash, the place of that slash
 * leaves the wildcard before it no choice. A wildcard that has failed from one
 * place fails from every later one in the same segment, so each segment is
 * searched once per wildcard: the time is linear in the path, whatever a client
 * sends.
 *
 * Fifty routes and fifteen thousand requests a second: the literal in front of
 * the first wildcard is compared before anything else, and nothing is copied
 * unless the path is not in normal form.
 *
 * Called by the responder for each request, and by route_entry.c at load.
 */
#include "config/route.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/glob.h"
#include "config/path.h"
#include "http/uri.h"

enum segment_kind {
    SEGMENT_END,
    SEGMENT_LITERAL,
    SEGMENT_CAPTURE, /* {name} */
    SEGMENT_STAR,    /* * */
    SEGMENT_DEEP     /* ** */
};

struct route_segment {
    enum segment_kind kind;
    struct slice text; /* a literal's bytes, a capture's name */
};

/* Wildcards in a pattern; between two of them stands a literal. */
#define WILDCARDS_MAX 16
#define SEGMENTS_MAX (2 * WILDCARDS_MAX + 2)
#define CAPTURE_NAME_MAX 32
/* RFC 1035 §2.3.4. What is longer is no host. */
#define HOST_MAX 255

/* ------------------------------------------------------------------ compile */

static bool
is_capture_name(struct slice name)
{
    if (name.n == 0 || name.n > CAPTURE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

/* Cut the next piece off *text. false: a { without its end or with a bad name. */
static bool
next_segment(struct slice *text, struct route_segment *out)
{
    const char *p = text->p;
    size_t n = 1;
    if (*p == '*') {
        n = text->n > 1 && p[1] == '*' ? 2 : 1;
        *out = (struct route_segment){n == 2 ? SEGMENT_DEEP : SEGMENT_STAR, {p, n}};
    } else if (*p == '{') {
        const char *end = memchr(p, '}', text->n);
        if (!end || !is_capture_name((struct slice){p + 1, (size_t)(end - p - 1)}))
            return false;
        n = (size_t)(end + 1 - p);
        *out = (struct route_segment){SEGMENT_CAPTURE, {p + 1, n - 2}};
    } else {
        while (n < text->n && p[n] != '*' && p[n] != '{')
            n++;
        *out = (struct route_segment){SEGMENT_LITERAL, {p, n}};
    }
    text->p += n;
    text->n -= n;
    return true;
}

/* Literals in normal form, so that they can be compared with paths in normal form. */
static bool
encode_literal(struct arena *arena, struct route_segment *segment)
{
    char *buf = arena_alloc(arena, segment->text.n * 3);
    if (!buf)
        return false;
    segment->text = (struct slice){buf, path_encode(buf, segment->text)};
    return true;
}

static enum larder_status
capture_fits(const struct route_segment *row, size_t count, struct larder_error *err)
{
    struct slice name = row[count].text;
    size_t captures = 1;
    if (slice_equal(name, slice_of("user")))
        return error_set(err, LARDER_INVALID,
                         "found {user}, expected another name: {user} is the request's user");
    for (size_t i = 0; i < count; i++) {
        if (row[i].kind != SEGMENT_CAPTURE)
            continue;
        captures++;
        if (slice_equal(row[i].text, name))
            return error_set(err, LARDER_INVALID, "found {%.*s} twice", (int)name.n, name.p);
    }
    if (captures > ROUTE_CAPTURES_MAX)
        return error_set(err, LARDER_INVALID, "found more than %d captures", ROUTE_CAPTURES_MAX);
    return LARDER_OK;
}

static enum larder_status
compile(struct slice pattern, struct arena *arena, struct route_segment **out,
        struct larder_error *err)
{
    struct route_segment row[SEGMENTS_MAX];
    size_t count = 0;
    size_t wildcards = 0;
    while (pattern.n) {
        struct route_segment *next = &row[count];
        struct slice rest = pattern;
        if (!next_segment(&pattern, next))
            return error_set(err, LARDER_INVALID,
                             "found `%.20s`, expected {name} with a name of letters, digits and _",
                             rest.p);
        bool wild = next->kind != SEGMENT_LITERAL;
        if (wild && count && row[count - 1].kind != SEGMENT_LITERAL)
            return error_set(err, LARDER_INVALID,
                             "found a wildcard right after another at `%.20s`, expected a literal "
                             "between them",
                             rest.p);
        wildcards += wild;
        if (wildcards > WILDCARDS_MAX)
            return error_set(err, LARDER_INVALID, "found more than %d wildcards", WILDCARDS_MAX);
        if (next->kind == SEGMENT_CAPTURE && capture_fits(row, count, err) != LARDER_OK)
            return LARDER_INVALID;
        if (!wild && !encode_literal(arena, next))
            return error_set(err, LARDER_NOMEM, "out of memory");
        count++;
    }
    row[count++] = (struct route_segment){SEGMENT_END, {NULL, 0}};
    *out = arena_calloc(arena, count, sizeof **out);
    if (!*out)
        return error_set(err, LARDER_NOMEM, "out of memory");
    memcpy(*out, row, count * sizeof *row);
    return LARDER_OK;
}

static enum larder_status
check_path(const char *path, struct larder_error *err)
{
    if (*path != '/' && strncmp(path, "**", 2) != 0)
        return error_set(err, LARDER_INVALID, "found `%.40s`, expected a path that begins with /",
                         path);
    if (strpbrk(path, "?#"))
        return error_set(err, LARDER_INVALID,
                         "found `%c`, expected the path alone: a query is no part of the pattern",
                         *strpbrk(path, "?#"));
    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        size_t n = strcspn(p + 1, "/");
        if ((n == 1 || n == 2) && strspn(p + 1, ".") >= n)
            return error_set(err, LARDER_INVALID,
                             "found the segment `%.*s`, which no path in normal form has", (int)n,
                             p + 1);
    }
    return LARDER_OK;
}

enum larder_status
route_compile(struct route *route, struct arena *arena, struct larder_error *err)
{
    enum larder_status status = check_path(route->path, err);
    if (status == LARDER_OK)
        status = compile(slice_of(route->path), arena, &route->compiled, err);
    if (status == LARDER_OK && route->compiled->kind == SEGMENT_LITERAL)
        route->literal_prefix = route->compiled->text.n;
    return status;
}

bool
route_has_capture(const struct route *route, struct slice name)
{
    for (const struct route_segment *s = route->compiled; s->kind != SEGMENT_END; s++)
        if (s->kind == SEGMENT_CAPTURE && slice_equal(s->text, name))
            return true;
    return false;
}

/* -------------------------------------------------------------------- match */

/* Where the captures of a row stand in the text, by the row's index. */
struct spans {
    size_t begin[SEGMENTS_MAX];
    size_t end[SEGMENTS_MAX];
};

struct walk {
    const struct route_segment *row;
    struct slice text;
    size_t at;   /* in the text */
    size_t next; /* in the row */
    size_t star; /* in the row: the last wildcard within a segment; 0 with star_set false */
    size_t deep; /* in the row: the last ** */
    size_t deep_end;
    bool star_set;
    bool deep_set;
};

/*
 * Enter a wildcard within a segment. It was entered before only if that failed:
 * then it fails from here too, unless a slash lies between.
 */
static bool
enter_star(struct walk *walk, struct spans *spans, size_t seen[SEGMENTS_MAX])
{
    size_t i = walk->next;
    struct slice text = walk->text;
    size_t before = seen[i];
    seen[i] = walk->at;
    if (before != SIZE_MAX && !memchr(text.p + before, '/', walk->at - before))
        return false;
    bool capture = walk->row[i].kind == SEGMENT_CAPTURE;
    if (capture && (walk->at == text.n || text.p[walk->at] == '/'))
        return false;
    spans->begin[i] = walk->at;
    walk->at += capture;
    spans->end[i] = walk->at;
    walk->star = i;
    walk->star_set = true;
    walk->next++;
    return true;
}

/* Nothing fits here: let the last wildcard within the segment take one byte more. */
static bool
extend_star(struct walk *walk, struct spans *spans)
{
    if (!walk->star_set)
        return false;
    size_t end = spans->end[walk->star];
    if (end == walk->text.n || walk->text.p[end] == '/')
        return false;
    spans->end[walk->star] = end + 1;
    walk->at = end + 1;
    walk->next = walk->star + 1;
    return true;
}

static bool
extend_deep(struct walk *walk)
{
    if (!walk->deep_set || walk->deep_end == walk->text.n)
        return false;
    walk->at = ++walk->deep_end;
    walk->next = walk->deep + 1;
    walk->star_set = false;
    return true;
}

static bool
match_row(const struct route_segment *row, struct slice text, struct spans *spans)
{
    size_t seen[SEGMENTS_MAX];
    memset(seen, 0xff, sizeof seen); /* SIZE_MAX: not entered */
    struct walk walk = {.row = row, .text = text};
    for (;;) {
        const struct route_segment *s = &row[walk.next];
        bool fits = false;
        switch (s->kind) {
        case SEGMENT_END:
            if (walk.at == text.n)
                return true;
            break;
        case SEGMENT_LITERAL:
            fits = s->text.n <= text.n - walk.at &&
                   memcmp(s->text.p, text.p + walk.at, s->text.n) == 0;
            if (fits) {
                walk.at += s->text.n;
                walk.next++;
            }
            break;
        case SEGMENT_CAPTURE:
        case SEGMENT_STAR:
            fits = enter_star(&walk, spans, seen);
            if (!fits)
                walk.star_set = false; /* the one before it has no other choice */
            break;
        case SEGMENT_DEEP:
            if (row[walk.next + 1].kind == SEGMENT_END)
                return true;
            walk.deep = walk.next++;
            walk.deep_end = walk.at;
            walk.deep_set = true;
            walk.star_set = false;
            fits = true;
            break;
        }
        if (!fits && !extend_star(&walk, spans) && !extend_deep(&walk))
            return false;
    }
}

/* --------------------------------------------------------------------- find */

struct lookup {
    const struct config *config;
    struct slice method;
    struct slice target;
    char host_bytes[HOST_MAX];
    struct slice host;
};

/* Without port, the brackets of an address and the dot of the root, in lower case. */
static void
take_host(struct lookup *lookup, struct slice host)
{
    lookup->host = (struct slice){lookup->host_bytes, 0};
    if (!host.p)
        return;
    const char *end = host.n && host.p[0] == '[' ? memchr(host.p, ']', host.n) : NULL;
    if (end)
        host = (struct slice){host.p + 1, (size_t)(end - host.p - 1)};
    else if ((end = memchr(host.p, ':', host.n)))
        host.n = (size_t)(end - host.p);
    while (host.n && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n > HOST_MAX)
        return;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        lookup->host_bytes[i] = c;
    }
    lookup->host.n = host.n;
}

static bool
host_matches(const struct route *route, struct slice host)
{
    const struct string_list *hosts = &route->hosts;
    for (size_t i = 0; i < hosts->count; i++)
        if (glob_match(hosts->list[i], strlen(hosts->list[i]), host.p, host.n))
            return true;
    return hosts->count == 0;
}

static bool
method_matches(const struct route *route, struct slice method)
{
    if (route->methods.count == 0)
        return true;
    bool head = slice_equal(method, slice_of("HEAD"));
    for (size_t i = 0; i < route->methods.count; i++) {
        struct slice listed = slice_of(route->methods.list[i]);
        if (slice_equal(listed, method) || (head && slice_equal(listed, slice_of("GET"))))
            return true;
    }
    return false;
}

static bool
parameters_match(const struct route *route, struct slice target)
{
    const struct string_list *globs = &route->parameters;
    return globs->count == 0 || uri_query_matches(target, globs->list, globs->count);
}

static bool
prefix_matches(const struct route *route, struct slice path)
{
    size_t n = route->literal_prefix;
    return n == 0 || (n <= path.n && memcmp(route->compiled->text.p, path.p, n) == 0);
}

static void
take_captures(struct route_match *out, const struct route_segment *row, const struct spans *spans,
              struct slice path)
{
    out->capture_count = 0;
    for (size_t i = 0; row[i].kind != SEGMENT_END; i++) {
        if (row[i].kind != SEGMENT_CAPTURE)
            continue;
        assert(out->capture_count < ROUTE_CAPTURES_MAX);
        out->captures[out->capture_count].name = row[i].text;
        out->captures[out->capture_count].value =
            (struct slice){path.p + spans->begin[i], spans->end[i] - spans->begin[i]};
        out->capture_count++;
    }
}

/* Does it decide what browsers are told, against the best so far? `never` wins a tie. */
static bool
outranks(const struct route *route, const struct route *best)
{
    if (!route->client_cache_set)
        return false;
    if (!best || route->literal_prefix != best->literal_prefix)
        return !best || route->literal_prefix > best->literal_prefix;
    return route->client_cache == CLIENT_CACHE_NEVER && best->client_cache != CLIENT_CACHE_NEVER;
}

/*
 * One pass over the routes: the first that matches into out (NULL: not wanted),
 * and the one that decides what browsers are told as the result.
 */
static const struct route *
search(const struct lookup *lookup, struct slice path, struct route_match *out)
{
    const struct route *best = NULL;
    struct spans spans;
    for (size_t i = 0; i < lookup->config->route_count; i++) {
        const struct route *route = &lookup->config->routes[i];
        if (!prefix_matches(route, path))
            continue;
        bool first = out && !out->route;
        bool ranks = outranks(route, best);
        if (!first && !ranks)
            continue;
        bool method = method_matches(route, lookup->method);
        if (!method && !(ranks && route->client_cache == CLIENT_CACHE_NEVER))
            continue;
        if (!host_matches(route, lookup->host) || !match_row(route->compiled, path, &spans) ||
            !parameters_match(route, lookup->target))
            continue;
        if (first && method) {
            out->route = route;
            take_captures(out, route->compiled, &spans, path);
        }
        if (ranks)
            best = route;
    }
    return best;
}

bool
route_has_user_of(const struct route *route, const struct route *other)
{
    return route->user == other->user &&
           (!other->user_name || strcmp(route->user_name, other->user_name) == 0);
}

/* What may not be shared when the path is read like this. */
static void
look_at_reading(const struct lookup *lookup, struct slice path, struct route_match *out,
                const struct route **said)
{
    struct route_match other = {.route = NULL};
    const struct route *says = search(lookup, path, &other);
    if (says && says->client_cache == CLIENT_CACHE_NEVER)
        *said = says;
    if (out->route && other.route && other.route->user != USER_NONE &&
        !route_has_user_of(out->route, other.route))
        out->never = true;
}

/*
 * A path that some backend may take for one that is never cached, or for one
 * user's own, is not cached either: nor is what a script in its middle may take the
 * rest for, or the script itself.
 */
static bool
look_at_other_readings(const struct lookup *lookup, struct arena *arena, struct slice path,
                       unsigned look, struct route_match *out, const struct route **said)
{
    struct path_readings readings;
    if (look & PATH_NOT_NORMAL)
        look_at_reading(lookup, path, out, said);
    if (!path_readings_find(&readings, arena, path))
        return false;
    for (size_t i = 0; i < readings.count; i++) {
        struct slice script = path_script(readings.list[i]);
        struct slice rest = path_without_script(arena, readings.list[i]);
        if (!rest.p)
            return false;
        if (i > 0)
            look_at_reading(lookup, readings.list[i], out, said);
        if (script.n > 0)
            look_at_reading(lookup, script, out, said);
        if (rest.n > 0)
            look_at_reading(lookup, rest, out, said);
    }
    return true;
}

bool
route_find(const struct config *config, struct arena *arena, struct slice method, struct slice host,
           struct slice target, struct route_match *out)
{
    const char *query = target.n ? memchr(target.p, '?', target.n) : NULL;
    struct slice path = {target.p, query ? (size_t)(query - target.p) : target.n};
    out->route = NULL;
    out->capture_count = 0;
    out->client_cache = NULL;
    out->never = out->by_asked = false;
    out->other = NULL;
    struct lookup lookup = {.config = config, .method = method, .target = target};
    if (config->routes_have_hosts)
        take_host(&lookup, host);

    unsigned look = path_look(path);
    struct slice normal = path;
    if ((look & PATH_NOT_NORMAL) && !path_normalise(arena, path, &normal))
        return false;
    const struct route *said = search(&lookup, normal, out);
    if ((config->routes_have_never || config->routes_have_users) &&
        (look || path_has_script(normal)) &&
        !look_at_other_readings(&lookup, arena, path, look, out, &said))
        return false;
    if (said && said->client_cache == CLIENT_CACHE_NEVER)
        out->never = true;
    else if (out->never)
        said = NULL; /* nor are browsers told to share it */
    if (said && said->client_cache != CLIENT_CACHE_BACKEND)
        out->client_cache = said;
    return true;
}

/* -------------------------------------------------------------- directories */

/* Only the beginning of a pattern is compared, up to its first wildcard: then it may match below
 * the directory, or it cannot. */
static bool
may_lie_below(const struct route *route, struct slice directory)
{
    const struct route_segment *first = route->compiled;
    size_t n = route->literal_prefix;
    if (n == 0)
        return true;
    if (n < directory.n && first[1].kind == SEGMENT_END)
        return false;
    return memcmp(first->text.p, directory.p, n < directory.n ? n : directory.n) == 0;
}

/* Does all that lies below the directory match, so that no later route gets any of it? */
static bool
takes_all_below(const struct route *route, struct slice directory)
{
    const struct route_segment *s = route->compiled;
    if (route->literal_prefix > directory.n || !may_lie_below(route, directory) ||
        route->parameters.count > 0)
        return false;
    s += s->kind == SEGMENT_LITERAL;
    return s->kind == SEGMENT_DEEP && s[1].kind == SEGMENT_END;
}

const struct route *
route_blind_below(const struct config *config, struct slice host, struct slice directory)
{
    struct lookup lookup = {.config = config};
    size_t levels = 0;
    /* What visitors see as the host is not what a trusted proxy asks for: then any may be it. */
    bool any_host = config->trusted_proxies.count > 0;
    take_host(&lookup, host);
    for (size_t i = 0; i < directory.n; i++)
        levels += directory.p[i] == '/';
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route *route = &config->routes[i];
        if (!method_matches(route, slice_of("GET")) ||
            (!any_host && !host_matches(route, lookup.host)) || !may_lie_below(route, directory))
            continue;
        if (route_caches(route) && (size_t)route->directory_tags < levels)
            return route;
        if (takes_all_below(route, directory) && (!any_host || route->hosts.count == 0))
            break;
    }
    return NULL;
}

/* ------------------------------------------------------------------- expand */

/* Longer than any key: what it would match is not there. */
#define EXPANDED_MAX LARDER_KEY_MAX

struct expansion {
    char *buf;
    size_t n;
    bool too_long;
    bool narrow; /* specials as `?`, one byte, instead of escaped, two */
    bool plain;  /* no pattern: nothing is special */
};

static void
expand_byte(struct expansion *to, char c)
{
    if (to->n == EXPANDED_MAX)
        to->too_long = true;
    else
        to->buf[to->n++] = c;
}

/* One byte of a value, so that it stands for nothing but itself. */
static void
expand_value_byte(struct expansion *to, unsigned char c)
{
    if (to->plain) {
        expand_byte(to, (char)c);
        return;
    }
    bool special = strchr("*?[]^-\\", c) != NULL;
    if (c < 0x20 || c == 0x7f || (special && to->narrow)) {
        expand_byte(to, '?');
        return;
    }
    if (special)
        expand_byte(to, '\\');
    expand_byte(to, (char)c);
}

static void
expand_value(struct expansion *to, struct slice value, bool encoded)
{
    for (size_t i = 0; i < value.n && !to->too_long; i++) {
        int decoded = encoded ? path_encoded_byte(value, i) : -1;
        expand_value_byte(to, (unsigned char)(decoded < 0 ? value.p[i] : decoded));
        i += decoded < 0 ? 0 : 2;
    }
}

static bool
placeholder_value(const struct route_match *match, struct slice name, struct slice user,
                  struct slice *value, bool *encoded)
{
    *encoded = false;
    *value = user;
    if (slice_equal(name, slice_of("user")))
        return user.n > 0;
    *encoded = true;
    for (size_t i = 0; i < match->capture_count; i++) {
        *value = match->captures[i].value;
        if (slice_equal(match->captures[i].name, name))
            return true;
    }
    return false;
}

/* false: a placeholder has no value. */
static bool
expand(struct expansion *to, const struct route_match *match, const char *pattern,
       struct slice user)
{
    to->n = 0;
    to->too_long = false;
    while (*pattern) {
        const char *end = *pattern == '{' ? strchr(pattern, '}') : NULL;
        if (!end) {
            expand_byte(to, *pattern++);
            continue;
        }
        struct slice value;
        bool encoded;
        struct slice name = {pattern + 1, (size_t)(end - pattern - 1)};
        if (!placeholder_value(match, name, user, &value, &encoded))
            return false;
        expand_value(to, value, encoded);
        pattern = end + 1;
    }
    return true;
}

const char *
route_expand(const struct route_match *match, struct arena *arena, const char *pattern,
             struct slice user)
{
    struct expansion to = {.buf = arena_alloc(arena, EXPANDED_MAX + 1)};
    if (!to.buf)
        return "*";
    bool known = expand(&to, match, pattern, user);
    if (known && to.too_long) {
        to.narrow = true;
        known = expand(&to, match, pattern, user);
    }
    if (!known || to.too_long)
        return NULL;
    to.buf[to.n] = '\0';
    return to.buf;
}

struct slice
route_expand_name(const struct route_match *match, struct arena *arena, const char *name,
                  struct slice user)
{
    struct expansion to = {.buf = arena_alloc(arena, EXPANDED_MAX + 1), .plain = true};
    if (!to.buf || !expand(&to, match, name, user) || to.too_long)
        return (struct slice){NULL, 0};
    return (struct slice){to.buf, to.n};
}
