/*
 * Ranges.
 *
 * A cache that cuts ranges is a lever: a small request for many overlapping
 * pieces of a large page could ask for more bytes than the page has. So ranges
 * that overlap or touch become one, their number is bounded, and what would
 * still be more than the whole is answered with the whole (RFC 9110 §14.2 lets a
 * server ignore the field, §17.15 says why it should here).
 */
#include "http/range.h"

#include <stdio.h>

#include "http/condition.h"
#include "http/date.h"

/* Positions beyond that are as good as the end. */
#define POSITION_MAX (INT64_MAX / 4)

struct cursor {
    const char *p;
    const char *end;
};

static void
skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
        c->p++;
}

static bool
take(struct cursor *c, char wanted)
{
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool
take_number(struct cursor *c, int64_t *out)
{
    const char *start = c->p;
    int64_t value = 0;
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        int digit = *c->p++ - '0';
        value = value <= (POSITION_MAX - digit) / 10 ? value * 10 + digit : POSITION_MAX;
    }
    *out = value;
    return c->p > start;
}

static bool
take_unit(struct cursor *c, char after)
{
    if (c->end - c->p < 6 || strncasecmp(c->p, "bytes", 5) != 0 || c->p[5] != after)
        return false;
    c->p += 6;
    return true;
}

/* ------------------------------------------------------------------------- Range */

/* One range-spec as it is written; -1 where there is no number. false: not one. */
static bool
take_spec(struct cursor *c, int64_t *first, int64_t *last)
{
    *first = *last = -1;
    bool has_first = take_number(c, first);
    if (!has_first)
        *first = -1;
    if (!take(c, '-'))
        return false;
    bool has_last = take_number(c, last);
    if (!has_last)
        *last = -1;
    return (has_first || has_last) && (!has_first || !has_last || *first <= *last);
}

/* Of a representation of that length. false: it cannot be satisfied. */
static bool
resolve(int64_t first, int64_t last, int64_t length, struct byte_range *out)
{
    if (first < 0) { /* a suffix of `last` bytes */
        if (last == 0 || length == 0)
            return false;
        *out = (struct byte_range){last < length ? length - last : 0, length - 1};
        return true;
    }
    if (first >= length)
        return false;
    *out = (struct byte_range){first, last < 0 || last >= length ? length - 1 : last};
    return true;
}

/* The new one joined with all that it overlaps or touches, in the place of the first of them. */
static void
add(struct ranges *ranges, struct byte_range range)
{
    size_t place = ranges->count;
    for (size_t i = 0; i < ranges->count;) {
        const struct byte_range other = ranges->list[i];
        if (range.first > other.last + 1 || other.first > range.last + 1) {
            i++;
            continue;
        }
        if (other.first < range.first)
            range.first = other.first;
        if (other.last > range.last)
            range.last = other.last;
        memmove(ranges->list + i, ranges->list + i + 1,
                (ranges->count - i - 1) * sizeof *ranges->list);
        ranges->count--;
        if (place > i)
            place = i;
        i = 0; /* it has grown */
    }
    if (place > ranges->count)
        place = ranges->count;
    memmove(ranges->list + place + 1, ranges->list + place,
            (ranges->count - place) * sizeof *ranges->list);
    ranges->list[place] = range;
    ranges->count++;
}

/* The range-specs of a request, -1 where one has no number; how many: 0 if the field does not count. */
static size_t
parse_specs(const struct fields *request, struct byte_range specs[RANGES_MAX])
{
    size_t cursor = 0, count = 0;
    const struct field *f = fields_next(request, "Range", &cursor);
    if (!f || fields_next(request, "Range", &cursor))
        return 0;
    struct cursor c = {f->value.p, f->value.p + f->value.n};
    if (!take_unit(&c, '='))
        return 0;
    for (;;) {
        struct byte_range spec;
        skip_blanks(&c);
        if (c.p == c.end)
            return count;
        if (take(&c, ','))
            continue;
        if (!take_spec(&c, &spec.first, &spec.last) || count == RANGES_MAX)
            return 0;
        specs[count++] = spec;
        skip_blanks(&c);
        if (c.p < c.end && !take(&c, ','))
            return 0;
    }
}

size_t
range_count(const struct fields *request)
{
    struct byte_range specs[RANGES_MAX];
    return parse_specs(request, specs);
}

bool
range_rewrite(struct slice *out, const struct fields *request, struct arena *arena)
{
    struct byte_range specs[RANGES_MAX];
    size_t count = parse_specs(request, specs);
    const char *text = count ? "bytes=" : NULL;
    *out = (struct slice){NULL, 0};
    for (size_t i = 0; i < count && text; i++) {
        long long first = specs[i].first, last = specs[i].last;
        const char *comma = i ? "," : "";
        text = first < 0  ? arena_printf(arena, "%s%s-%lld", text, comma, last)
               : last < 0 ? arena_printf(arena, "%s%s%lld-", text, comma, first)
                          : arena_printf(arena, "%s%s%lld-%lld", text, comma, first, last);
    }
    if (text)
        *out = slice_of(text);
    return text || count == 0;
}

enum range_verdict
range_parse(const struct fields *request, int64_t length, struct ranges *out)
{
    struct byte_range specs[RANGES_MAX], range;
    size_t count = parse_specs(request, specs);
    bool unknown = false;
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (length < 0 && (specs[i].first < 0 || specs[i].last < 0))
            unknown = true;
        else if (length < 0)
            add(out, specs[i]);
        else if (resolve(specs[i].first, specs[i].last, length, &range))
            add(out, range);
    }
    if (count == 0)
        return RANGE_NONE;
    if (unknown)
        return RANGE_UNKNOWN;
    if (out->count == 0)
        return RANGE_UNSATISFIABLE;
    return RANGE_PARTIAL;
}

/* Strong as §8.8.2.2 has it: no change in the same second could have gone unseen. */
static bool
is_strong_date(const struct fields *response, int64_t now_s, int64_t *modified_s)
{
    int64_t date_s;
    return http_date_parse(fields_get(response, "Last-Modified"), now_s, modified_s) &&
           http_date_parse(fields_get(response, "Date"), now_s, &date_s) && *modified_s < date_s;
}

bool
range_if_range_holds(const struct fields *request, const struct fields *response, int64_t now_s)
{
    size_t cursor = 0;
    const struct field *f = fields_next(request, "If-Range", &cursor);
    int64_t asked_s, modified_s;
    if (!f)
        return true;
    if (fields_next(request, "If-Range", &cursor))
        return false;
    if (http_date_parse(f->value, now_s, &asked_s))
        return is_strong_date(response, now_s, &modified_s) && asked_s == modified_s;
    return etag_equal_strong(f->value, fields_get(response, "ETag"));
}

/* ----------------------------------------------------------------- Content-Range */

bool
range_content_parse(struct slice text, struct byte_range *out, int64_t *total)
{
    struct cursor c = {text.p, text.p + text.n};
    if (!text.p || !take_unit(&c, ' ') || !take_number(&c, &out->first) || !take(&c, '-') ||
        !take_number(&c, &out->last) || !take(&c, '/'))
        return false;
    *total = -1;
    if (!take(&c, '*') && !take_number(&c, total))
        return false;
    return c.p == c.end && out->first <= out->last && out->last < POSITION_MAX &&
           (*total < 0 || out->last < *total);
}

struct slice
range_content_format(struct byte_range range, int64_t total, struct arena *arena)
{
    if (total < 0)
        return slice_of(arena_printf(arena, "bytes %lld-%lld/*", (long long)range.first,
                                     (long long)range.last));
    return slice_of(arena_printf(arena, "bytes %lld-%lld/%lld", (long long)range.first,
                                 (long long)range.last, (long long)total));
}

/* ---------------------------------------------------------------------- multipart */

bool
range_multipart(struct multipart *out, const struct ranges *ranges, int64_t total,
                struct slice part_content_type, const char boundary[32], struct arena *arena)
{
    *out = (struct multipart){.content_length = 0};
    out->content_type =
        slice_of(arena_printf(arena, "multipart/byteranges; boundary=%.32s", boundary));
    out->tail = slice_of(arena_printf(arena, "\r\n--%.32s--\r\n", boundary));
    if (!out->content_type.p || !out->tail.p)
        return false;
    for (size_t i = 0; i < ranges->count; i++) {
        struct slice where = range_content_format(ranges->list[i], total, arena);
        if (!where.p)
            return false;
        out->head[i] = slice_of(
            part_content_type.n
                ? arena_printf(arena,
                               "%s--%.32s\r\nContent-Type: %.*s\r\nContent-Range: %s\r\n\r\n",
                               i ? "\r\n" : "", boundary, (int)part_content_type.n,
                               part_content_type.p, where.p)
                : arena_printf(arena, "%s--%.32s\r\nContent-Range: %s\r\n\r\n", i ? "\r\n" : "",
                               boundary, where.p));
        if (!out->head[i].p)
            return false;
        out->content_length += (int64_t)out->head[i].n + ranges->list[i].last -
                               ranges->list[i].first + 1;
    }
    out->content_length += (int64_t)out->tail.n;
    return true;
}

bool
range_may_combine(const struct fields *a, const struct fields *b, int64_t now_s)
{
    struct slice x = fields_get(a, "ETag"), y = fields_get(b, "ETag");
    int64_t a_s, b_s;
    if (!condition_coding_agrees(a, b))
        return false;
    if (x.p || y.p)
        return etag_equal_strong(x, y);
    return is_strong_date(a, now_s, &a_s) && is_strong_date(b, now_s, &b_s) && a_s == b_s;
}
