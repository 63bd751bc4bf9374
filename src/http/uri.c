/*
 * References and queries.
 *
 * Of a reference nothing is decoded or rewritten but what RFC 3986 §5.2 itself
 * rewrites: the dot segments. Whatever is doubtful
 * names nothing. An invalidation too few for a Location on which two parsers
 * would not agree is what RFC 9111 §4.4 allows; the target of the request itself
 * is invalidated in any case.
 *
 * Everything is linear in its input, but for the sort of at most
 * URI_PARAMETERS_MAX parameters.
 */
#include "http/uri.h"

#include <stdlib.h>

#include "base/glob.h"

static const struct slice nothing = {NULL, 0};

/* Bytes before the first of a character, or all. */
static size_t
before(struct slice text, char stop)
{
    const char *at = text.n ? memchr(text.p, stop, text.n) : NULL;
    return at ? (size_t)(at - text.p) : text.n;
}

static struct slice
first(struct slice text, size_t n)
{
    return (struct slice){text.p, n};
}

static struct slice
skip(struct slice text, size_t n)
{
    return n ? (struct slice){text.p + n, text.n - n} : text;
}

/* ---------------------------------------------------------------------- references */

/* What RFC 3986 lets stand in a reference, and the few that browsers send all the same. */
static bool
is_plain(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= ' ' || c >= 0x7f || c == '\\')
            return false;
    }
    return true;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
equal_nocase(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* The length of "http" in "http:...", 0 if it does not begin with a scheme (§3.1). */
static size_t
scheme_length(struct slice text)
{
    size_t n = 0;
    for (; n < text.n; n++) {
        char c = text.p[n], letter = (char)(c | 0x20);
        if (letter >= 'a' && letter <= 'z')
            continue;
        if (n == 0 || !(is_digit(c) || c == '+' || c == '-' || c == '.'))
            break;
    }
    return n < text.n && text.p[n] == ':' ? n : 0;
}

/* Host, and port with the default filled in (§3.2). false: with userinfo, or not of that form. */
static bool
split_authority(struct slice text, struct slice scheme, struct slice *host, unsigned *port)
{
    bool literal = text.n && *text.p == '['; /* an IPv6 address has colons of its own */
    size_t n = literal ? before(text, ']') + 1 : before(text, ':');
    if (n == 0 || n > text.n || before(text, '@') < text.n)
        return false;
    *host = first(text, n);
    while (!literal && host->n > 1 &&
           host->p[host->n - 1] == '.') /* the root's, which all are below */
        host->n--;
    *port = slice_equal_nocase(scheme, "https") ? 443 : 80;
    struct slice digits = skip(text, n);
    if (digits.n == 0)
        return true;
    if (*digits.p != ':')
        return false;
    unsigned value = 0;
    for (size_t i = 1; i < digits.n; i++) {
        if (!is_digit(digits.p[i]))
            return false;
        value = value * 10 + (unsigned)(digits.p[i] - '0');
        if (value > 65535)
            return false;
    }
    if (digits.n > 1) /* "example.org:" is "example.org" (§6.2.3) */
        *port = value;
    return true;
}

static bool
is_same_authority(const struct uri_base *base, struct slice authority)
{
    struct slice host, our_host;
    unsigned port, our_port;
    return split_authority(authority, base->scheme, &host, &port) &&
           split_authority(base->host, base->scheme, &our_host, &our_port) && port == our_port &&
           equal_nocase(host, our_host);
}

/* Remove dot segments (§5.2.4) in place from a path that begins with '/'. */
static size_t
remove_dots(char *path, size_t n)
{
    size_t out = 0;
    for (size_t in = 0, len; in < n; in += len) {
        len = 1 + before((struct slice){path + in + 1, n - in - 1}, '/');
        bool up = len == 3 && path[in + 1] == '.' && path[in + 2] == '.';
        bool here = len == 2 && path[in + 1] == '.';
        if (!up && !here) {
            memmove(path + out, path + in, len);
            out += len;
            continue;
        }
        while (up && out && path[--out] != '/')
            continue;
        if (in + len == n)
            path[out++] = '/';
    }
    return out;
}

/* They are put together, and the dots removed. directory: "", or from '/' to '/'. */
static struct slice
assemble(struct slice directory, struct slice path, struct slice query, struct arena *arena)
{
    char *text = arena_alloc(arena, directory.n + path.n + query.n + 1);
    size_t n = 0;
    if (!text)
        return nothing;
    const struct slice parts[] = {directory, path};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].n)
            memcpy(text + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    if (n == 0) /* of "http://example.org" (RFC 9110 §4.2.3) */
        text[n++] = '/';
    n = remove_dots(text, n);
    if (query.n)
        memcpy(text + n, query.p, query.n);
    return (struct slice){text, n + query.n};
}

/* Relative to the path of the base (§5.2.2, §5.2.3). */
static struct slice
resolve(struct slice target, struct slice path, struct slice query, struct arena *arena)
{
    /* What a client asked for is taken as it came, unless it can be no target at all. "*" has no
     * path (RFC 9112 §3.2.4). */
    if (target.n == 0 || *target.p != '/')
        return nothing;
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 0x7f || target.p[i] == '#')
            return nothing;
    /* "a:b" cannot be relative: before the colon stands a scheme, or nothing (§4.2). */
    struct slice segment = first(path, before(path, '/'));
    if (before(segment, ':') < segment.n)
        return nothing;
    size_t n = before(target, '?');
    struct slice our_path = first(target, n), our_query = skip(target, n);
    if (path.n == 0)
        return assemble(nothing, our_path, query.n ? query : our_query, arena);
    while (our_path.p[our_path.n - 1] != '/')
        our_path.n--;
    return assemble(our_path, path, query, arena);
}

struct slice
uri_same_origin_target(const struct uri_base *base, struct slice reference, struct arena *arena)
{
    if (!reference.p || reference.n > URI_REFERENCE_MAX || !is_plain(reference))
        return nothing;
    struct slice rest = first(reference, before(reference, '#'));
    size_t scheme = scheme_length(rest);
    if (scheme) {
        if (!equal_nocase(first(rest, scheme), base->scheme))
            return nothing;
        rest = skip(rest, scheme + 1);
    }
    bool authority = rest.n >= 2 && rest.p[0] == '/' && rest.p[1] == '/';
    if (scheme && !authority) /* "http:g": two readings (§5.4.2) */
        return nothing;
    if (authority) {
        rest = skip(rest, 2);
        struct slice host = first(rest, before(rest, '?'));
        host.n = before(host, '/');
        if (!is_same_authority(base, host))
            return nothing;
        rest = skip(rest, host.n);
    }
    size_t n = before(rest, '?');
    struct slice path = first(rest, n), query = skip(rest, n);
    if (authority || (path.n && *path.p == '/'))
        return assemble(nothing, path, query, arena);
    return resolve(base->target, path, query, arena);
}

/* ------------------------------------------------------------------------- queries */

/* What is longer, decoded, is compared as far as that, or not at all. */
#define NAME_MAX_BYTES 256
#define PARAMETER_MAX_BYTES 1024

struct parameter {
    struct slice text;
    struct slice name; /* all of it, if there is no '=' */
    size_t place;
};

static int
hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte of a name that has one, decoded. What is no escape stands for itself. */
static unsigned char
take_decoded(struct slice *name)
{
    unsigned char c = (unsigned char)*name->p;
    size_t used = 1;
    if (c == '+') {
        c = ' ';
    } else if (c == '%' && name->n >= 3) {
        int high = hex_digit(name->p[1]), low = hex_digit(name->p[2]);
        if (high >= 0 && low >= 0) {
            c = (unsigned char)(high * 16 + low);
            used = 3;
        }
    }
    *name = skip(*name, used);
    return c;
}

/* Equal names stay as they stand: of two values the backend may take the first or the last. */
static int
by_name(const void *a, const void *b)
{
    const struct parameter *left = a, *right = b;
    struct slice x = left->name, y = right->name;
    while (x.n && y.n) {
        unsigned char c = take_decoded(&x), d = take_decoded(&y);
        if (c != d)
            return c < d ? -1 : 1;
    }
    if (x.n || y.n)
        return x.n ? 1 : -1;
    return (left->place > right->place) - (left->place < right->place);
}

struct globs {
    const char *const *list;
    size_t count;
};

/* As much of it as has room. */
static size_t
decode(char *out, size_t room, struct slice text)
{
    size_t n = 0;
    while (text.n && n < room)
        out[n++] = (char)take_decoded(&text);
    return n;
}

/* max: of what is decoded; what is longer matches nothing. */
static bool
is_matched(const struct globs *globs, struct slice text, size_t max)
{
    char decoded[PARAMETER_MAX_BYTES + 1];
    size_t n = decode(decoded, max + 1, text);
    return n <= max && glob_any(globs->list, globs->count, decoded, n);
}

static void
php_marks(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] == ' ' || text[i] == '.' || text[i] == '[')
            text[i] = '_';
}

/*
 * The parameters that a decoded name may be for PHP (main/php_variables.c): blanks
 * before it do not count, a NUL ends it, an index begins at '[', and a blank, a '.'
 * or a '[' that no ']' closes is a '_'. Behind such a '[' versions differ in whether
 * the rest is changed as well. `more` is put behind each: "=" and the value.
 */
static bool
is_matched_as_php(const struct globs *globs, const char *decoded, size_t n, size_t more)
{
    char text[PARAMETER_MAX_BYTES + NAME_MAX_BYTES + 2];
    const char *name = decoded, *behind = decoded + n;
    while (n && *name == ' ') {
        name++;
        n--;
    }
    const char *end = n ? memchr(name, '\0', n) : NULL;
    if (end)
        n = (size_t)(end - name);
    const char *open = n ? memchr(name, '[', n) : NULL;
    size_t plain = open ? (size_t)(open - name) : n;
    if (plain == 0) /* PHP has no parameter without a name */
        return false;
    if (open && memchr(open, ']', n - plain))
        n = plain;
    memcpy(text, name, n);
    memcpy(text + n, behind, more);
    php_marks(text, plain < n ? plain + 1 : plain);
    if (glob_any(globs->list, globs->count, text, n + more))
        return true;
    php_marks(text, n);
    return plain < n && glob_any(globs->list, globs->count, text, n + more);
}

static bool
stays(const struct uri_query_rules *rules, struct slice name)
{
    const struct globs ignore = {rules->ignore, rules->ignore_count};
    const struct globs allow = {rules->allow, rules->allow_count};
    if (ignore.count && is_matched(&ignore, name, NAME_MAX_BYTES))
        return false;
    return allow.count == 0 || is_matched(&allow, name, NAME_MAX_BYTES);
}

/* Cut the first parameter off, which may be empty. */
static struct slice
take_parameter(struct slice *query, struct slice *name)
{
    struct slice text = first(*query, before(*query, '&'));
    *name = first(text, before(text, '='));
    *query = skip(*query, text.n < query->n ? text.n + 1 : text.n);
    return text;
}

bool
uri_query_has(struct slice target, const char *const *globs, size_t count)
{
    size_t path = before(target, '?');
    struct slice query = skip(target, path < target.n ? path + 1 : path);
    const struct globs all = {globs, count};
    char decoded[NAME_MAX_BYTES + 1];
    while (count && query.n) {
        struct slice name;
        if (take_parameter(&query, &name).n == 0)
            continue;
        size_t n = decode(decoded, sizeof decoded, name);
        if (n > NAME_MAX_BYTES || glob_any(all.list, all.count, decoded, n) ||
            is_matched_as_php(&all, decoded, n, 0))
            return true;
    }
    return false;
}

bool
uri_query_matches(struct slice target, const char *const *globs, size_t count)
{
    size_t path = before(target, '?');
    struct slice query = skip(target, path < target.n ? path + 1 : path);
    const struct globs all = {globs, count};
    char decoded[PARAMETER_MAX_BYTES];
    while (count && query.n) {
        struct slice name, text = take_parameter(&query, &name);
        if (text.n == 0)
            continue;
        size_t n = decode(decoded, sizeof decoded, text);
        if (glob_any(all.list, all.count, decoded, n))
            return true;
        struct slice value = skip(text, name.n);
        n = decode(decoded, NAME_MAX_BYTES, name);
        size_t more = decode(decoded + n, sizeof decoded - n, value);
        if (is_matched_as_php(&all, decoded, n, more))
            return true;
    }
    return false;
}

static bool
is_same_decoded(struct slice a, struct slice b)
{
    while (a.n && b.n)
        if (take_decoded(&a) != take_decoded(&b))
            return false;
    return a.n == b.n;
}

bool
uri_same_parameter(struct slice a, struct slice b)
{
    /* "a%3Db" is a name, "a=b" a name and a value. */
    size_t n = before(a, '='), m = before(b, '=');
    return (n == a.n) == (m == b.n) && is_same_decoded(first(a, n), first(b, m)) &&
           is_same_decoded(skip(a, n), skip(b, m));
}

/* The parameters that stay, empty ones apart; *change: another one was there. */
static size_t
select_parameters(struct parameter *list, struct slice query, const struct uri_query_rules *rules,
                  bool *change)
{
    size_t count = 0;
    while (query.n) {
        struct slice name;
        struct slice text = take_parameter(&query, &name);
        if (text.n == 0)
            continue;
        if (stays(rules, name)) {
            list[count] = (struct parameter){text, name, count};
            count++;
        } else {
            *change = true;
        }
    }
    return count;
}

/* What a form means by this text, written in one way: unreserved characters as they are, the rest as
 * %XX. Returns where it ends. */
static char *
write_decoded(char *to, struct slice text)
{
    static const char hex[] = "0123456789ABCDEF";
    while (text.n) {
        unsigned char c = take_decoded(&text);
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit((char)c) ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    return to;
}

/* Behind those that are there already, which begin at `text`. */
static char *
write_parameter(const char *text, char *end, struct slice parameter, struct slice name)
{
    char *to = end;
    if (end > text)
        *to++ = '&';
    char *begin = to;
    to = write_decoded(to, name);
    if (parameter.n > name.n + 1) { /* "a=" is "a", and "=" is nothing */
        *to++ = '=';
        to = write_decoded(to, skip(parameter, name.n + 1));
    }
    return to > begin ? to : end;
}

struct slice
uri_query_normal(struct slice query, struct arena *arena)
{
    static const struct uri_query_rules all = {.ignore_count = 0};
    size_t room = 1, count = 0;
    bool other = false;
    query = skip(query, query.n > 0 && *query.p == '?');
    for (size_t i = 0; i < query.n; i++)
        room += query.p[i] == '&';
    char *text = arena_alloc(arena, 3 * query.n + 1);
    if (!text)
        return nothing;
    char *end = text;
    if (room > URI_PARAMETERS_MAX) {
        while (query.n) {
            struct slice name, parameter = take_parameter(&query, &name);
            end = write_parameter(text, end, parameter, name);
        }
        return (struct slice){text, (size_t)(end - text)};
    }
    struct parameter list[URI_PARAMETERS_MAX];
    count = select_parameters(list, query, &all, &other);
    if (count > 1)
        qsort(list, count, sizeof *list, by_name);
    for (size_t i = 0; i < count; i++)
        end = write_parameter(text, end, list[i].text, list[i].name);
    return (struct slice){text, (size_t)(end - text)};
}

struct slice
uri_reduce_query(struct slice target, const struct uri_query_rules *rules, struct arena *arena)
{
    size_t path = before(target, '?'), room = 1;
    if (path == target.n)
        return target;
    struct slice query = skip(target, path + 1);
    for (size_t i = 0; i < query.n; i++)
        room += query.p[i] == '&';
    if (room > URI_PARAMETERS_MAX)
        return target;
    struct parameter *list = arena_calloc(arena, room, sizeof *list);
    if (!list)
        return nothing;
    bool change = false;
    size_t count = select_parameters(list, query, rules, &change);
    if (rules->sort && count) {
        qsort(list, count, sizeof *list, by_name);
        for (size_t i = 0; i < count; i++)
            change = change || list[i].place != i;
    }
    if (!change)
        return target;
    char *text = arena_alloc(arena, target.n);
    if (!text)
        return nothing;
    memcpy(text, target.p, path);
    for (size_t i = 0; i < count; i++) {
        text[path++] = i ? '&' : '?';
        memcpy(text + path, list[i].text.p, list[i].text.n);
        path += list[i].text.n;
    }
    return (struct slice){text, path};
}
