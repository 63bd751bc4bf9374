/*
 * Conditional requests on a stored response.
 *
 * The order is that of RFC 9110 §13.2.2: where there is an If-None-Match,
 * If-Modified-Since does not count; Range comes after both and is range.h's.
 *
 * Entity tags are read tolerantly where a mistake costs a 304 at most: many
 * servers forget the quotes, and what a client sends back is what it was given.
 * Where bytes of two responses are put together only tags by the grammar count.
 */
#include "http/condition.h"

#include "http/date.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice
trim(struct slice text)
{
    while (text.n && is_blank(*text.p)) {
        text.p++;
        text.n--;
    }
    while (text.n && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* etagc (RFC 9110 §8.8.3): no quote, no blank, no control; bytes over 0x7f are allowed. */
static bool
is_opaque(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x21 || c == '"' || c == 0x7f)
            return false;
    }
    return true;
}

/* By the grammar: [W/]"opaque". */
static bool
parse_strictly(struct slice text, struct etag *out)
{
    bool weak = text.n > 2 && text.p[0] == 'W' && text.p[1] == '/';
    struct slice rest = weak ? (struct slice){text.p + 2, text.n - 2} : text;
    if (rest.n < 2 || rest.p[0] != '"' || rest.p[rest.n - 1] != '"')
        return false;
    *out = (struct etag){weak, {rest.p + 1, rest.n - 2}};
    return is_opaque(out->opaque);
}

bool
etag_parse(struct slice text, struct etag *out)
{
    text = trim(text);
    if (parse_strictly(text, out))
        return true;
    *out = (struct etag){false, text};
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return false;
    return text.n > 0;
}

bool
etag_is_strong(struct slice text)
{
    struct etag etag;
    return text.p && parse_strictly(trim(text), &etag) && !etag.weak;
}

bool
etag_equal_weak(struct slice a, struct slice b)
{
    struct etag x, y;
    return a.p && b.p && etag_parse(a, &x) && etag_parse(b, &y) && slice_equal(x.opaque, y.opaque);
}

bool
etag_equal_strong(struct slice a, struct slice b)
{
    return etag_is_strong(a) && etag_is_strong(b) && slice_equal(trim(a), trim(b));
}

/* ------------------------------------------------------------------------- lists */

/* The next member of a list of tags: commas inside of quotes do not count. .p NULL: no more. */
static struct slice
next_member(const char **p, const char *end)
{
    while (*p < end && (is_blank(**p) || **p == ','))
        (*p)++;
    if (*p == end)
        return (struct slice){NULL, 0};
    const char *start = *p;
    const char *quote = start;
    if (end - start > 2 && start[0] == 'W' && start[1] == '/')
        quote += 2;
    if (*quote == '"') {
        const char *closing = memchr(quote + 1, '"', (size_t)(end - quote - 1));
        if (closing) {
            *p = closing + 1;
            /* Something behind the tag makes it another. */
            while (*p < end && **p != ',')
                (*p)++;
            return trim((struct slice){start, (size_t)(*p - start)});
        }
    }
    while (*p < end && **p != ',')
        (*p)++;
    return trim((struct slice){start, (size_t)(*p - start)});
}

/* -------------------------------------------------------------------- evaluation */

static bool
none_match(const struct fields *request, struct slice etag)
{
    size_t cursor = 0, seen = 0;
    const struct field *f;
    while ((f = fields_next(request, "If-None-Match", &cursor))) {
        const char *p = f->value.p, *end = p + f->value.n;
        struct slice member;
        while ((member = next_member(&p, end)).p) {
            if (seen++ == ETAG_LIST_MAX)
                return true;
            if (slice_equal(member, slice_of("*")) || etag_equal_weak(member, etag))
                return false;
        }
    }
    return true;
}

/* When the response was last modified, as far as it tells (RFC 9111 §4.3.2). */
static int64_t
modified_s(const struct fields *response, int64_t received_s, int64_t now_s)
{
    int64_t time_s;
    if (http_date_parse(fields_get(response, "Last-Modified"), now_s, &time_s) ||
        http_date_parse(fields_get(response, "Date"), now_s, &time_s))
        return time_s;
    return received_s;
}

enum condition
condition_evaluate(const struct fields *request, int status, const struct fields *response,
                   int64_t received_s, int64_t now_s)
{
    if (status != 200 && status != 206)
        return CONDITION_NONE;
    if (fields_get(request, "If-None-Match").p)
        return none_match(request, fields_get(response, "ETag")) ? CONDITION_TRUE
                                                                 : CONDITION_NOT_MODIFIED;
    size_t cursor = 0;
    const struct field *since = fields_next(request, "If-Modified-Since", &cursor);
    int64_t since_s;
    if (!since || fields_next(request, "If-Modified-Since", &cursor) ||
        !http_date_parse(since->value, now_s, &since_s) || since_s > now_s)
        return CONDITION_NONE;
    return modified_s(response, received_s, now_s) <= since_s ? CONDITION_NOT_MODIFIED
                                                              : CONDITION_TRUE;
}

bool
condition_is_sent_with_304(struct slice name)
{
    static const char *const of_content[] = {
        "Content-Length", "Content-Type", "Content-Encoding", "Content-Language",
        "Content-Range",  "Content-MD5",  "Content-Digest"};
    if (name.n < 8 || (name.p[0] | 0x20) != 'c')
        return true;
    for (size_t i = 0; i < sizeof of_content / sizeof *of_content; i++)
        if (slice_equal_nocase(name, of_content[i]))
            return false;
    return true;
}

static bool
lines_agree(const struct fields *stored, const struct fields *fresh, const char *name)
{
    size_t old_at = 0, new_at = 0;
    for (;;) {
        const struct field *old = fields_next(stored, name, &old_at);
        const struct field *new = fields_next(fresh, name, &new_at);
        if (!old || !new)
            return !old && !new;
        if (!slice_equal(trim(old->value), trim(new->value)))
            return false;
    }
}

bool
condition_coding_agrees(const struct fields *stored, const struct fields *fresh)
{
    static const char *const names[] = {"Content-Type", "Content-Encoding"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fields_get(fresh, names[i]).p && !lines_agree(stored, fresh, names[i]))
            return false;
    return true;
}

bool
condition_content_agrees(const struct fields *stored, const struct fields *fresh)
{
    static const char *const names[] = {"Content-Type", "Content-Encoding", "Content-Language",
                                        "Content-Range"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fields_get(fresh, names[i]).p && !lines_agree(stored, fresh, names[i]))
            return false;
    return true;
}

bool
condition_selects(const struct fields *stored, const struct fields *fresh)
{
    if (!condition_content_agrees(stored, fresh))
        return false;
    struct slice etag = fields_get(fresh, "ETag"), modified = fields_get(fresh, "Last-Modified");
    struct slice old = fields_get(stored, "ETag");
    if (etag_is_strong(etag))
        return etag_equal_strong(etag, old);
    if (etag.n) /* what is no tag at all is still the same if it is */
        return etag_equal_weak(etag, old) || slice_equal(etag, old);
    if (modified.n && fields_get(stored, "Last-Modified").n)
        return slice_equal(modified, fields_get(stored, "Last-Modified"));
    return true;
}
