/*
 * References and queries.
 *
 * A URL is compared byte for byte with the target of a request, as the key of a
 * stored response is made of it; so nothing is decoded or rewritten here but
 * what RFC 3986 §5.2 itself rewrites: dot segments of the reference. Whatever is
 * doubtful names nothing: an invalidation that is not done for a Location that
 * no parser agrees on costs less than one that an attacker can aim.
 */
#include "http/uri.h"

#include <stdlib.h>
#include <string.h>

static const struct slice nothing = {NULL, 0};

/* --------------------------------------------------------------------- references */

static bool
is_clean(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\\\"<>^`{|}", c))
            return false;
    }
    return true;
}

/* Bytes before the first of these, or all. */
static size_t
before(struct slice text, const char *stops)
{
    size_t n = 0;
    while (n < text.n && !strchr(stops, text.p[n]))
        n++;
    return n;
}

static struct slice
skip(struct slice text, size_t n)
{
    return (struct slice){text.p + n, text.n - n};
}

static bool
equal_nocase(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* "http:" and the like at the start; the length of the scheme, 0 if there is none. */
static size_t
scheme_length(struct slice text)
{
    size_t n = before(text, ":/?#");
    if (n == 0 || n == text.n || text.p[n] != ':')
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = (char)(text.p[i] | 0x20);
        bool letter = c >= 'a' && c <= 'z';
        if (!letter && (i == 0 || !strchr("0123456789+-.", text.p[i])))
            return 0;
    }
    return n;
}

/* The port of a host, the default filled in; *host without it. false: not a port. */
static bool
split_port(struct slice scheme, struct slice *host, unsigned *port)
{
    size_t n = host->n;
    *port = equal_nocase(scheme, (struct slice){"https", 5}) ? 443 : 80;
    while (n && host->p[n - 1] >= '0' && host->p[n - 1] <= '9')
        n--;
    if (n == 0 || host->p[n - 1] != ':')
        return host->n > 0;
    /* A colon inside of brackets belongs to the address; a port then stands behind the bracket. */
    if (memchr(host->p, '[', host->n) && host->p[host->n - 1] == ']')
        return true;
    unsigned value = 0;
    for (size_t i = n; i < host->n; i++) {
        value = value * 10 + (unsigned)(host->p[i] - '0');
        if (value > 65535)
            return false;
    }
    if (n < host->n)
        *port = value;
    host->n = n - 1;
    return host->n > 0;
}

static bool
is_same_authority(const struct uri_base *base, struct slice authority)
{
    struct slice ours = base->host;
    unsigned port, our_port;
    return authority.n > 0 && !memchr(authority.p, '@', authority.n) &&
           split_port(base->scheme, &authority, &port) &&
           split_port(base->scheme, &ours, &our_port) && port == our_port &&
           equal_nocase(authority, ours);
}

/* Remove dot segments (RFC 3986 §5.2.4) in place; the path begins with '/'. */
static size_t
remove_dots(char *path, size_t n)
{
    size_t in = 0, out = 0;
    while (in < n) {
        size_t end = in + 1;
        while (end < n && path[end] != '/')
            end++;
        size_t len = end - in;
        bool last = end == n;
        if (len == 2 && path[in + 1] == '.') {
            if (last)
                path[out++] = '/';
        } else if (len == 3 && path[in + 1] == '.' && path[in + 2] == '.') {
            while (out && path[--out] != '/')
                continue;
            if (last)
                path[out++] = '/';
        } else {
            memmove(path + out, path + in, len);
            out += len;
        }
        in = end;
    }
    return out;
}

/* path and query together, dots removed; both in the arena. */
static struct slice
assemble(struct slice dir, struct slice path, struct slice query, struct arena *arena)
{
    char *text = arena_alloc(arena, dir.n + path.n + query.n + 2);
    if (!text)
        return nothing;
    size_t n = 0;
    if (dir.n)
        memcpy(text, dir.p, dir.n);
    n += dir.n;
    if (path.n)
        memcpy(text + n, path.p, path.n);
    n += path.n;
    if (n == 0 || *text != '/') {
        memmove(text + 1, text, n);
        *text = '/';
        n++;
    }
    n = remove_dots(text, n);
    if (n == 0)
        text[n++] = '/';
    if (query.n)
        memcpy(text + n, query.p, query.n);
    return (struct slice){text, n + query.n};
}

struct slice
uri_same_origin_target(const struct uri_base *base, struct slice reference, struct arena *arena)
{
    if (!reference.p || reference.n > URI_REFERENCE_MAX || !is_clean(reference))
        return nothing;
    reference.n = before(reference, "#");
    bool rooted = false;
    size_t scheme = scheme_length(reference);
    if (scheme) {
        if (!equal_nocase((struct slice){reference.p, scheme}, base->scheme))
            return nothing;
        reference = skip(reference, scheme + 1);
        rooted = true; /* "http:path" is no form that anybody writes */
    }
    if (reference.n >= 2 && reference.p[0] == '/' && reference.p[1] == '/') {
        reference = skip(reference, 2);
        size_t n = before(reference, "/?");
        if (!is_same_authority(base, (struct slice){reference.p, n}))
            return nothing;
        reference = skip(reference, n);
    } else if (rooted) {
        return nothing;
    }
    size_t path_n = before(reference, "?");
    struct slice path = {reference.p, path_n}, query = skip(reference, path_n);
    if (rooted || (path.n && *path.p == '/'))
        return assemble(nothing, path, query, arena);
    if (base->target.n == 0 || *base->target.p != '/')
        return nothing;
    struct slice base_path = {base->target.p, before(base->target, "?")};
    if (path.n == 0 && query.n == 0) { /* the very same */
        char *copy = arena_strndup(arena, base->target.p, base->target.n);
        return copy ? (struct slice){copy, base->target.n} : nothing;
    }
    if (path.n == 0)
        return assemble(nothing, base_path, query, arena);
    struct slice dir = base_path;
    while (dir.n && dir.p[dir.n - 1] != '/')
        dir.n--;
    return assemble(dir, path, query, arena);
}

/* ------------------------------------------------------------------------ queries */

/* Longer names match no glob. */
#define NAME_MAX_DECODED 256

struct parameter {
    struct slice text;
    size_t name_len;
    size_t order; /* so that equal names stay as they were */
};

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of a name, decoded; *p moves on. */
static unsigned char
decoded(const char **p, const char *end)
{
    unsigned char c = (unsigned char)*(*p)++;
    if (c == '+')
        return ' ';
    if (c == '%' && end - *p >= 2) {
        int high = hex_digit((*p)[0]), low = hex_digit((*p)[1]);
        if (high >= 0 && low >= 0) {
            *p += 2;
            return (unsigned char)(high << 4 | low);
        }
    }
    return c;
}

static int
compare(const void *a, const void *b)
{
    const struct parameter *x = a, *y = b;
    const char *p = x->text.p, *p_end = p + x->name_len;
    const char *q = y->text.p, *q_end = q + y->name_len;
    while (p < p_end && q < q_end) {
        unsigned char c = decoded(&p, p_end), d = decoded(&q, q_end);
        if (c != d)
            return c < d ? -1 : 1;
    }
    if (p < p_end || q < q_end)
        return p < p_end ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

static bool
matches(const struct uri_query_rules *rules, const char *const *globs, size_t count,
        const struct parameter *parameter)
{
    char name[NAME_MAX_DECODED];
    size_t n = 0;
    const char *p = parameter->text.p, *end = p + parameter->name_len;
    while (p < end) {
        if (n == sizeof name)
            return false;
        name[n++] = (char)decoded(&p, end);
    }
    for (size_t i = 0; i < count; i++)
        if (rules->match(globs[i], strlen(globs[i]), name, n))
            return true;
    return false;
}

static bool
stays(const struct uri_query_rules *rules, const struct parameter *parameter)
{
    if (rules->ignore_count && matches(rules, rules->ignore, rules->ignore_count, parameter))
        return false;
    return rules->allow_count == 0 || matches(rules, rules->allow, rules->allow_count, parameter);
}

struct slice
uri_reduce_query(struct slice target, const struct uri_query_rules *rules, struct arena *arena)
{
    size_t path_n = before(target, "?");
    if (path_n == target.n)
        return target;
    struct slice query = skip(target, path_n + 1);
    size_t all = 1;
    for (size_t i = 0; i < query.n; i++)
        all += query.p[i] == '&';
    if (all > URI_PARAMETERS_MAX)
        return target;
    struct parameter *list = arena_calloc(arena, all, sizeof *list);
    if (!list)
        return nothing;
    size_t count = 0;
    bool change = false;
    while (query.p <= target.p + target.n) {
        size_t n = before(query, "&");
        struct parameter *one = &list[count];
        *one = (struct parameter){.text = {query.p, n}, .order = count};
        one->name_len = before(one->text, "=");
        if (n && stays(rules, one))
            count++;
        else
            change = change || n > 0;
        if (n == query.n)
            break;
        query = skip(query, n + 1);
    }
    if (rules->sort) {
        qsort(list, count, sizeof *list, compare);
        change = true;
    }
    if (!change)
        return target;
    char *text = arena_alloc(arena, target.n + 1);
    if (!text)
        return nothing;
    size_t n = path_n;
    if (path_n)
        memcpy(text, target.p, path_n);
    for (size_t i = 0; i < count; i++) {
        text[n++] = i ? '&' : '?';
        memcpy(text + n, list[i].text.p, list[i].text.n);
        n += list[i].text.n;
    }
    return (struct slice){text, n};
}
