/*
 * The tags that a response brings with it. The forms stand in response_tags.h.
 *
 * Called for every response that may be stored, and for answers to unsafe
 * requests. Backends are not trusted with memory or time: the number of names is
 * bounded, and so is each by the field that it stands in.
 */
#include "http/response_tags.h"

#include "http/structured.h"

static void
add(struct response_tags *out, struct slice name, bool group)
{
    for (size_t i = 0; i < out->count; i++)
        if (out->list[i].group == group && slice_equal(out->list[i].name, name))
            return;
    if (out->count == RESPONSE_TAGS_MAX) {
        out->too_many = true;
        return;
    }
    out->list[out->count].name = name;
    out->list[out->count++].group = group;
}

static struct slice
trim(struct slice text)
{
    while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t')) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
        text.n--;
    return text;
}

/* The names between separators; empty ones are none. */
static void
split(struct response_tags *out, struct slice text, const char *separators)
{
    size_t start = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && !(text.p[i] && strchr(separators, text.p[i])))
            continue;
        struct slice name = trim((struct slice){text.p + start, i - start});
        if (name.n)
            add(out, name, false);
        start = i + 1;
    }
}

/* A string without its escapes: \" and \\ (RFC 9651 §4.2.5). .p NULL: no memory. */
static struct slice
unescape(struct slice text, struct arena *arena)
{
    if (text.n == 0 || !memchr(text.p, '\\', text.n))
        return text;
    char *copy = arena_alloc(arena, text.n);
    size_t n = 0;
    for (size_t i = 0; copy && i < text.n; i++) {
        if (text.p[i] == '\\' && i + 1 < text.n)
            i++;
        copy[n++] = text.p[i];
    }
    return (struct slice){copy, n};
}

static bool
add_groups(struct response_tags *out, const struct fields *fields, const char *field,
           struct arena *arena)
{
    struct slice text = fields_join(fields, arena, field);
    if (!text.p)
        return !fields_get(fields, field).p; /* absent, or no memory */
    struct structured_walk walk = {.rest = text};
    struct structured_item item;
    /* Twice: one mistake anywhere, and nothing of it counts. */
    while (structured_list_next(&walk, &item))
        ;
    if (walk.failed)
        return true;
    walk = (struct structured_walk){.rest = text};
    while (structured_list_next(&walk, &item)) {
        if (item.type != STRUCTURED_STRING)
            continue;
        struct slice name = unescape(item.text, arena);
        if (!name.p)
            return false;
        if (name.n)
            add(out, name, true);
    }
    return true;
}

bool
response_tags_find(struct response_tags *out, const struct fields *fields, struct arena *arena)
{
    static const struct {
        const char *field;
        const char *separators;
    } plain[] = {{"Surrogate-Key", " \t"}, {"xkey", " \t,"}, {"Cache-Tag", ","}};
    out->count = 0;
    out->too_many = false;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        size_t cursor = 0;
        const struct field *f;
        while ((f = fields_next(fields, plain[i].field, &cursor)))
            split(out, f->value, plain[i].separators);
    }
    return add_groups(out, fields, "Cache-Groups", arena);
}

bool
response_tags_invalidated(struct response_tags *out, const struct fields *fields,
                          struct arena *arena)
{
    out->count = 0;
    out->too_many = false;
    return add_groups(out, fields, "Cache-Group-Invalidation", arena);
}

bool
response_tags_is_field(struct slice name)
{
    return slice_equal_nocase(name, "Surrogate-Key") || slice_equal_nocase(name, "xkey") ||
           slice_equal_nocase(name, "Cache-Tag");
}
