/*
 * Vary. Names become lower case, sorted and single, so that `Accept, Foo` and
 * `foo,accept` are one list and one key; values are compared with the blanks
 * gone that lists allow anywhere (RFC 9111 §4.1).
 */
#include "http/vary.h"

#include <stdlib.h>

static int
compare(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = n ? memcmp(x->p, y->p, n) : 0;
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* One member of the list. false: no memory. */
static bool
add(struct vary *vary, struct slice name, size_t *bytes, struct arena *arena)
{
    if (name.n == 1 && *name.p == '*') {
        vary->star = true;
        return true;
    }
    *bytes += name.n;
    if (!field_name_valid(name) || vary->count == VARY_NAMES_MAX || *bytes > VARY_BYTES_MAX) {
        vary->invalid = true;
        return true;
    }
    char *lower = arena_strndup(arena, name.p, name.n);
    if (!lower)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    for (size_t i = 0; i < vary->count; i++)
        if (slice_equal(vary->names[i], (struct slice){lower, name.n}))
            return true;
    vary->names[vary->count++] = (struct slice){lower, name.n};
    return true;
}

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

/* false: no memory. Empty members are allowed (RFC 9110 §5.6.1). */
static bool
add_list(struct vary *vary, struct slice list, size_t *bytes, struct arena *arena)
{
    const char *p = list.p, *end = list.p + list.n;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        struct slice name = trim((struct slice){p, (size_t)(stop - p)});
        if (name.n && !add(vary, name, bytes, arena))
            return false;
        p = stop + 1;
    }
    return true;
}

bool
vary_parse(struct vary *out, const struct fields *response, const char *extra, struct arena *arena)
{
    size_t cursor = 0, bytes = 0;
    const struct field *f;
    *out = (struct vary){.count = 0};
    while ((f = fields_next(response, "Vary", &cursor)))
        if (!add_list(out, f->value, &bytes, arena))
            return false;
    if (extra && !add(out, slice_of(extra), &bytes, arena))
        return false;
    qsort(out->names, out->count, sizeof out->names[0], compare);
    return true;
}

struct slice
vary_format(const struct vary *vary, struct arena *arena)
{
    size_t room = 1;
    for (size_t i = 0; i < vary->count; i++)
        room += vary->names[i].n + 1;
    char *text = arena_alloc(arena, room);
    if (!text)
        return (struct slice){NULL, 0};
    size_t n = 0;
    for (size_t i = 0; i < vary->count; i++) {
        if (i)
            text[n++] = ',';
        memcpy(text + n, vary->names[i].p, vary->names[i].n);
        n += vary->names[i].n;
    }
    return (struct slice){text, n};
}

bool
vary_unformat(struct vary *out, struct slice text, struct arena *arena)
{
    size_t bytes = 0;
    *out = (struct vary){.count = 0};
    if (!add_list(out, text, &bytes, arena) || out->star || out->invalid)
        return false;
    /* Only what vary_format() writes: anything else is another's work. */
    struct slice again = vary_format(out, arena);
    for (size_t i = 1; i < out->count; i++)
        if (compare(&out->names[i - 1], &out->names[i]) >= 0)
            return false;
    return again.p && slice_equal(again, text);
}

/* One line into out, which has room for it; how many bytes. */
static size_t
normal_line(char *out, struct slice line)
{
    size_t n = 0;
    bool quoted = false;
    line = trim(line);
    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i];
        if (quoted && c == '\\' && i + 1 < line.n) {
            out[n++] = c;
            out[n++] = line.p[++i];
            continue;
        }
        if (c == '"')
            quoted = !quoted;
        if (c == ',' && !quoted) {
            while (n && is_blank(out[n - 1]))
                n--;
            out[n++] = c;
            while (i + 1 < line.n && is_blank(line.p[i + 1]))
                i++;
            continue;
        }
        out[n++] = c;
    }
    return n;
}

struct slice
vary_normal_value(const struct fields *request, struct slice name, struct arena *arena,
                  bool *failed)
{
    struct slice none = {NULL, 0};
    size_t room = 1, n = 0;
    bool there = false;
    for (size_t i = 0; i < request->count; i++)
        if (request->list[i].name.n == name.n &&
            strncasecmp(request->list[i].name.p, name.p, name.n) == 0) {
            room += request->list[i].value.n + 1;
            there = true;
        }
    if (!there)
        return none;
    char *text = arena_alloc(arena, room);
    if (!text) {
        *failed = true;
        return none;
    }
    bool first = true;
    for (size_t i = 0; i < request->count; i++) {
        const struct field *f = &request->list[i];
        if (f->name.n != name.n || strncasecmp(f->name.p, name.p, name.n) != 0)
            continue;
        if (!first)
            text[n++] = ',';
        first = false;
        n += normal_line(text + n, f->value);
    }
    return (struct slice){text, n};
}
