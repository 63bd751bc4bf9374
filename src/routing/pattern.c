/*
 * Path patterns: compiled at load into a row of literals and wildcards. Matching
 * walks over the row once and remembers two places to go back to: the last
 * wildcard within a segment, and the last `**`. No more is needed. A wildcard
 * that stays within its segment and has found the literal behind it at the
 * leftmost place gains nothing from a later one, since the wildcards after it
 * reach just as far; and once the row is past a slash, the place of that slash
 * leaves the wildcard before it no choice. A wildcard that has failed from one
 * place fails from every later one in the same segment, so each segment is
 * searched once per wildcard: the time is linear in the path, whatever a client
 * sends.
 */
#include "routing/pattern.h"

#include <stdint.h>

#include "base/error.h"
#include "routing/path.h"
#include "routing/route.h"

#define CAPTURE_NAME_MAX 32

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

bool
pattern_match(const struct route_segment *row, struct slice text, struct spans *spans)
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

bool
route_takes_paths_of(const struct route *all, const struct route *some)
{
    const struct route_segment *row = all->compiled, *of = some->compiled;
    struct spans spans;
    size_t n = all->literal_prefix;
    if (n > some->literal_prefix || (n > 0 && memcmp(row->text.p, of->text.p, n) != 0))
        return false;
    if (of->kind == SEGMENT_LITERAL && of[1].kind == SEGMENT_END)
        return pattern_match(row, of->text, &spans);
    row += row->kind == SEGMENT_LITERAL;
    return row->kind == SEGMENT_DEEP && row[1].kind == SEGMENT_END;
}
