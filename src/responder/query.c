/*
 * The query in the hands of a web server.
 *
 * A web server that rewrites adds parameters of its own, of which the route says
 * nothing, and lighttpd has a spelling of its own. Only what was in the visitor's
 * query, and is not in the key's, is left out, and as often as it was there: the
 * server's own may be spelled like a visitor's. Where the visitor's query stands
 * in the text as it came, the key's takes its place, in the key's order.
 *
 * Called for the key and for what the backend gets, which must be the same.
 */
#include "responder/query.h"

#include <string.h>

#include "http/uri.h"

struct slice
query_of(struct slice target)
{
    const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
    return mark ? (struct slice){mark + 1, (size_t)(target.p + target.n - mark - 1)}
                : (struct slice){target.p + target.n, 0};
}

/* How often it is there, in whatever spelling. */
static size_t
times_in(struct slice query, struct slice one)
{
    const char *p = query.p, *end = query.p + query.n;
    size_t times = 0;
    while (p < end) {
        const char *stop = memchr(p, '&', (size_t)(end - p));
        if (!stop)
            stop = end;
        times += uri_same_parameter((struct slice){p, (size_t)(stop - p)}, one);
        p = stop + 1;
    }
    return times;
}

/* Where `asked` begins in the text, between '&' and '&'; NULL: it is not there. */
static const char *
find_whole(struct slice text, struct slice asked)
{
    const char *end = text.p + text.n, *from = text.p;
    while (asked.n && from < end) {
        const char *p = memmem(from, (size_t)(end - from), asked.p, asked.n);
        if (!p)
            return NULL;
        if ((p == text.p || p[-1] == '&') && (p + asked.n == end || p[asked.n] == '&'))
            return p;
        from = p + 1;
    }
    return NULL;
}

static size_t
append(char *out, size_t n, const char *p, size_t len)
{
    if (len == 0)
        return n;
    if (n)
        out[n++] = '&';
    memcpy(out + n, p, len);
    return n + len;
}

struct slice
query_reduced(struct slice text, struct slice asked_target, struct slice kept_target,
              struct arena *arena)
{
    struct slice asked = query_of(asked_target), kept = query_of(kept_target);
    if (text.n == 0 || slice_equal(asked, kept))
        return text;
    if (slice_equal(text, asked))
        return kept;
    char *out = arena_alloc(arena, text.n + kept.n + 2);
    size_t n = 0;
    if (!out)
        return (struct slice){NULL, 0};
    const char *whole = find_whole(text, asked), *end = text.p + text.n;
    if (whole) {
        const char *behind = whole + asked.n;
        if (whole > text.p)
            n = append(out, n, text.p, (size_t)(whole - text.p) - 1);
        n = append(out, n, kept.p, kept.n);
        if (behind < end)
            n = append(out, n, behind + 1, (size_t)(end - behind) - 1);
        return (struct slice){out, n};
    }
    for (const char *p = text.p; p < end;) {
        const char *stop = memchr(p, '&', (size_t)(end - p));
        if (!stop)
            stop = end;
        struct slice one = {p, (size_t)(stop - p)};
        p = stop + 1;
        struct slice before = {text.p, (size_t)(one.p - text.p)};
        if (times_in(before, one) + times_in(kept, one) < times_in(asked, one))
            continue;
        n = append(out, n, one.p, one.n);
    }
    return (struct slice){out, n};
}
