/*
 * References and queries (uri.c). The input's lines: scheme, host and target of
 * the base with blanks between them; a reference; globs to ignore; globs to
 * allow; the rest is a target whose query is reduced.
 *
 * Must hold besides not crashing: what a reference names is a path without dot
 * segments, fragment and controls, and names itself; of a query only what the
 * rules say is gone, the rest is there byte for byte, and a second time nothing
 * happens.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not for NDEBUG to switch off. */
#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

#define SIZE_LIMIT ((size_t)64 * 1024)
#define GLOBS_MAX 8
#define NAME_MAX_BYTES 256

/* Up to the next of these. */
static struct slice
until(struct slice *rest, char stop)
{
    const char *end = rest->n ? memchr(rest->p, stop, rest->n) : NULL;
    struct slice part = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    rest->p += part.n + (end != NULL);
    rest->n -= part.n + (end != NULL);
    return part;
}

static bool
has(struct slice text, char c)
{
    return text.n && memchr(text.p, c, text.n);
}

/* ---------------------------------------------------------------------- references */

static bool
is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] > 0x7f)
            return false;
    return true;
}

static void
target_is_sound(struct slice target)
{
    MUST(target.n && target.p[0] == '/' && !has(target, '#'));
    for (size_t i = 0; i < target.n; i++)
        MUST((unsigned char)target.p[i] > ' ' && target.p[i] != 0x7f);
    struct slice path = until(&target, '?');
    while (path.n) {
        struct slice segment = until(&path, '/');
        MUST(!slice_equal(segment, slice_of(".")) && !slice_equal(segment, slice_of("..")));
    }
}

static void
reference_is_resolved(const struct uri_base *base, struct slice reference, struct arena *arena)
{
    struct slice target = uri_same_origin_target(base, reference, arena);
    if (!target.p)
        return;
    MUST(reference.n <= URI_REFERENCE_MAX && is_ascii(reference) && !has(reference, '\\'));
    MUST(target.n <= base->target.n + reference.n + 1);
    target_is_sound(target);
    if (target.n > URI_REFERENCE_MAX || !is_ascii(target) || has(target, '\\'))
        return; /* the base's bytes */
    struct slice again = uri_same_origin_target(base, target, arena);
    if (target.n < 2 || target.p[1] != '/') /* that would be a host */
        MUST(slice_equal(again, target));
    if (!slice_equal(base->scheme, slice_of("http")) || has(base->host, '/') ||
        has(base->host, '?') || has(base->host, '#'))
        return;
    char *absolute = arena_printf(arena, "http://%.*s%.*s", (int)base->host.n, base->host.p,
                                  (int)target.n, target.p);
    MUST(absolute);
    again = uri_same_origin_target(base, slice_of(absolute), arena);
    MUST(!again.p || slice_equal(again, target)); /* the host may be none */
}

/* ------------------------------------------------------------------------- queries */

static int
digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)((at - digits) % 16) : -1;
}

/* The name of a parameter, decoded, in the arena. */
static struct slice
name_of(struct slice parameter, struct arena *arena)
{
    struct slice coded = until(&parameter, '=');
    char *name = arena_alloc(arena, coded.n);
    size_t n = 0;
    MUST(name);
    for (size_t i = 0; i < coded.n; i++) {
        name[n] = (char)(coded.p[i] == '+' ? ' ' : coded.p[i]);
        if (coded.p[i] == '%' && coded.n - i > 2 && digit(coded.p[i + 1]) >= 0 &&
            digit(coded.p[i + 2]) >= 0) {
            name[n] = (char)(digit(coded.p[i + 1]) * 16 + digit(coded.p[i + 2]));
            i += 2;
        }
        n++;
    }
    return (struct slice){name, n};
}

static bool
is_among(struct slice name, const char *const *globs, size_t count)
{
    return name.n <= NAME_MAX_BYTES && glob_any(globs, count, name.p, name.n);
}

static bool
stays(const struct uri_query_rules *rules, struct slice name)
{
    return !is_among(name, rules->ignore, rules->ignore_count) &&
           (!rules->allow_count || is_among(name, rules->allow, rules->allow_count));
}

/* The next parameter that is not empty; .n 0: there is none. */
static struct slice
next_parameter(struct slice *query)
{
    struct slice parameter = {NULL, 0};
    while (query->n && parameter.n == 0)
        parameter = until(query, '&');
    return parameter;
}

/* All that should, in the order that it had; sorted, as many and as many bytes. */
static void
right_ones_stay(struct slice query, struct slice reduced, const struct uri_query_rules *rules,
                struct arena *arena)
{
    struct slice parameter, other;
    size_t count = 0, bytes = 0;
    while ((parameter = next_parameter(&query)).n) {
        if (!stays(rules, name_of(parameter, arena)))
            continue;
        other = next_parameter(&reduced);
        MUST(other.n && (rules->sort || slice_equal(other, parameter)));
        count += 1;
        bytes += parameter.n - other.n; /* comes to nothing in the end */
    }
    MUST(next_parameter(&reduced).n == 0 && bytes == 0 && count <= URI_PARAMETERS_MAX);
}

static void
names_are_in_order(struct slice reduced, struct arena *arena)
{
    struct slice parameter, last = {"", 0};
    while ((parameter = next_parameter(&reduced)).n) {
        struct slice name = name_of(parameter, arena);
        int order = memcmp(last.p, name.p, last.n < name.n ? last.n : name.n);
        MUST(order < 0 || (order == 0 && last.n <= name.n));
        last = name;
    }
}

static void
query_is_reduced(struct slice target, const struct uri_query_rules *rules, struct arena *arena)
{
    struct slice reduced = uri_reduce_query(target, rules, arena);
    MUST(reduced.p);
    struct slice again = uri_reduce_query(reduced, rules, arena);
    MUST(again.p == reduced.p && again.n == reduced.n);
    size_t ends = 0;
    for (size_t i = 0; i < target.n; i++)
        ends += target.p[i] == '&';
    if (reduced.p == target.p) {
        MUST(reduced.n == target.n);
        if (ends >= URI_PARAMETERS_MAX)
            return;
    }
    struct slice query = target, reduced_query = reduced;
    MUST(slice_equal(until(&query, '?'), until(&reduced_query, '?')));
    right_ones_stay(query, reduced_query, rules, arena);
    if (rules->sort)
        names_are_in_order(reduced_query, arena);
}

static void
query_is_looked_through(struct slice target, const char *const *globs, size_t count,
                        struct arena *arena)
{
    struct slice query = target, parameter;
    bool among = false, is_plain = true;
    until(&query, '?');
    while ((parameter = next_parameter(&query)).n) {
        struct slice name = name_of(parameter, arena);
        among = is_among(name, globs, count) || among;
        is_plain = is_plain && name.n <= NAME_MAX_BYTES && !has(name, ' ') && !has(name, '.') &&
                   !has(name, '[') && !has(name, '\0');
    }
    /* Names that PHP reads in its own way, and long ones, may match besides. */
    bool found = uri_query_has(target, globs, count);
    MUST(found || !among);
    MUST(!is_plain || found == among);
}

/* One way to write it, which is its own, and has nothing in it but unreserved characters. */
static void
query_is_made_normal(struct slice target, struct arena *arena)
{
    until(&target, '?');
    struct slice normal = uri_query_normal(target, arena);
    MUST(normal.p && normal.n <= 3 * target.n);
    for (size_t i = 0; i < normal.n; i++)
        MUST(normal.p[i] > ' ' && normal.p[i] < 0x7f && !strchr("+?#/[]", normal.p[i]));
    struct slice again = uri_query_normal(normal, arena);
    MUST(slice_equal(again, normal));
}

static size_t
globs_of(const char **globs, struct slice text, struct arena *arena)
{
    size_t count = 0;
    while (text.n && count < GLOBS_MAX) {
        struct slice glob = until(&text, ' ');
        globs[count] = arena_strndup(arena, glob.p, glob.n);
        MUST(globs[count++]);
    }
    return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)16 * 1024 * 1024);
    MUST(arena);
    struct slice rest = {(const char *)data, size}, line = until(&rest, '\n');
    struct uri_base base = {.scheme = until(&line, ' '), .host = until(&line, ' '), .target = line};
    reference_is_resolved(&base, until(&rest, '\n'), arena);

    const char *ignore[GLOBS_MAX], *allow[GLOBS_MAX];
    struct uri_query_rules rules = {.ignore = ignore, .allow = allow};
    rules.ignore_count = globs_of(ignore, until(&rest, '\n'), arena);
    rules.allow_count = globs_of(allow, until(&rest, '\n'), arena);
    query_is_looked_through(rest, ignore, rules.ignore_count, arena);
    query_is_made_normal(rest, arena);
    for (int sort = 0; rest.n && sort < 2; sort++) {
        rules.sort = sort;
        query_is_reduced(rest, &rules, arena);
    }
    arena_free(arena);
    return 0;
}
