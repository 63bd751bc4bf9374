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

/* How a field that separates its names by one sign is taken where somebody has used the other. */
struct plain_field {
    const char *name;
    const char *separators;
    const char *mistaken; /* what other fields separate by; "": nothing */
    bool parts_first;     /* a part between them is more likely to be meant than the whole */
};

static const struct plain_field plain[] = {
    /* Fastly: separated by blanks. Lists with commas are written by hand and by frameworks. */
    {"Surrogate-Key", " \t", ",", true},
    /* vmod_xkey: blanks and commas. */
    {"xkey", " \t,", "", true},
    /* Cloudflare, Akamai, CloudFront: commas, and a tag may have blanks in it. */
    {"Cache-Tag", ",", " \t", false},
};
#define PLAIN_COUNT (sizeof plain / sizeof *plain)

/* The next name in *rest, without the separators around it; .n 0: there is none. */
static struct slice
next_name(struct slice *rest, const char *separators)
{
    struct slice name = {rest->p, 0};
    while (rest->n > 0 && rest->p[0] && strchr(separators, rest->p[0])) {
        rest->p++;
        rest->n--;
    }
    name.p = rest->p;
    while (name.n < rest->n && !(name.p[name.n] && strchr(separators, name.p[name.n])))
        name.n++;
    rest->p += name.n;
    rest->n -= name.n;
    return trim(name);
}

/* Without separators at its ends: "/books," is /books. */
static struct slice
strip(struct slice text, const char *separators)
{
    while (text.n > 0 && text.p[0] && strchr(separators, text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n > 0 && text.p[text.n - 1] && strchr(separators, text.p[text.n - 1]))
        text.n--;
    return text;
}

static bool
is_in(struct slice name, const char *separators)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] && strchr(separators, name.p[i]))
            return true;
    return false;
}

/* What only might be meant must not keep a response from being stored. */
static void
add_if_room(struct response_tags *out, struct slice name)
{
    if (name.n <= RESPONSE_TAG_MAX && out->count < RESPONSE_TAGS_MAX)
        add(out, name, false);
}

/*
 * The names that the field's own separators make, or (`doubtful`) those that are
 * left when they are read in the other way. A tag too many is a response that is
 * dropped once too often; one too few is a stale one.
 */
static void
split(struct response_tags *out, const struct plain_field *field, struct slice text, bool doubtful)
{
    for (struct slice name; (name = next_name(&text, field->separators)).n > 0 || text.n > 0;) {
        name = strip(name, field->mistaken);
        if (name.n == 0)
            continue;
        bool mixed = is_in(name, field->mistaken);
        if (!mixed || !field->parts_first) {
            if (!doubtful)
                add(out, name, false);
        } else if (doubtful) {
            add_if_room(out, name);
        }
        if (!mixed || doubtful == field->parts_first)
            continue;
        for (struct slice part; (part = next_name(&name, field->mistaken)).n > 0 || name.n > 0;) {
            if (part.n > 0 && doubtful)
                add_if_room(out, part);
            else if (part.n > 0)
                add(out, part, false);
        }
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
    out->count = 0;
    out->too_many = false;
    for (size_t i = 0; i < PLAIN_COUNT; i++) {
        size_t cursor = 0;
        const struct field *f;
        while ((f = fields_next(fields, plain[i].name, &cursor)))
            split(out, &plain[i], f->value, false);
    }
    if (!add_groups(out, fields, "Cache-Groups", arena))
        return false;
    /* Last, so that they take the room of nothing that was said. */
    for (size_t i = 0; i < PLAIN_COUNT; i++) {
        size_t cursor = 0;
        const struct field *f;
        while ((f = fields_next(fields, plain[i].name, &cursor)))
            split(out, &plain[i], f->value, true);
    }
    return true;
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
    for (size_t i = 0; i < PLAIN_COUNT; i++)
        if (slice_equal_nocase(name, plain[i].name))
            return true;
    return false;
}
