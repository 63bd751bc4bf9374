/*
 * Vary.
 *
 * The names become lower case, sorted and single, so that "Accept, Foo" and
 * "foo,accept" are one list and one key. Of the values only what RFC 9111 §4.1
 * allows for any list is made equal: lines are joined, blanks around commas go.
 * Everything else keeps two values apart, since a variant too many costs a
 * fetch, and one too few serves somebody the wrong page:
 *
 *   - members are not sorted, and empty ones stay: for a structured field
 *     (RFC 9651) "1,,2" is a mistake and "1,2" is not
 *   - what stands in quotes is as it was; a quote without an end reaches to the
 *     end of all lines
 *   - fields that are no lists (below) stay as they are: in a cookie or a
 *     product comment the comma is an ordinary byte
 *
 * Lines that are not to be joined have a line feed between them, which no value
 * can hold, so that they equal nothing but themselves.
 */
#include "http/vary.h"

/* No lists (RFC 9110 §5.5, RFC 6265 §4.2, RFC 7089 §2.1.1), by what people vary on. */
static const char *const no_lists[] = {
    "accept-datetime",
    "authorization",
    "cookie",
    "date",
    "from",
    "host",
    "if-range",
    "if-modified-since",
    "if-unmodified-since",
    "origin",
    "referer",
    "proxy-authorization",
    "user-agent",
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice
trim(struct slice text)
{
    while (text.n && is_blank(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* What stands before the next comma, without blanks; *text begins behind the comma. */
static struct slice
take_member(struct slice *text)
{
    const char *comma = memchr(text->p, ',', text->n);
    size_t n = comma ? (size_t)(comma - text->p) : text->n;
    struct slice member = {text->p, n};
    size_t used = comma ? n + 1 : n;
    text->p += used;
    text->n -= used;
    return trim(member);
}

/* --------------------------------------------------------------------------- names */

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_star(struct slice name)
{
    return name.n == 1 && *name.p == '*';
}

/* Into its place, if it is not there yet. false: no memory. */
static bool
add(struct vary *vary, struct slice name, size_t *bytes, struct arena *arena)
{
    if (is_star(name)) {
        vary->star = true;
        return true;
    }
    size_t place = vary->count;
    int last = 1;
    while (place && (last = field_name_order(name, vary->names[place - 1])) < 0)
        place--;
    if (last == 0)
        return true;
    if (!field_name_valid(name) || vary->count == VARY_NAMES_MAX ||
        name.n > VARY_BYTES_MAX - *bytes) {
        vary->invalid = true;
        return true;
    }
    char *copy = arena_strndup(arena, name.p, name.n);
    if (!copy)
        return false;
    for (size_t i = 0; i < name.n; i++)
        copy[i] = lower(copy[i]);
    memmove(vary->names + place + 1, vary->names + place,
            (vary->count - place) * sizeof vary->names[0]);
    vary->names[place] = (struct slice){copy, name.n};
    vary->count++;
    *bytes += name.n;
    return true;
}

bool
vary_parse(struct vary *out, const struct fields *response, const char *extra, struct arena *arena)
{
    size_t cursor = 0, bytes = 0;
    const struct field *f;
    *out = (struct vary){.count = 0};
    while ((f = fields_next(response, "Vary", &cursor))) {
        struct slice list = f->value;
        while (list.n) {
            struct slice name = take_member(&list);
            /* Empty members say nothing (RFC 9110 §5.6.1.2). */
            if (name.n && !add(out, name, &bytes, arena))
                return false;
        }
    }
    return !extra || add(out, slice_of(extra), &bytes, arena);
}

bool
vary_union(struct vary *out, const struct vary *a, const struct vary *b)
{
    size_t i = 0, k = 0, bytes = 0;
    *out = (struct vary){.count = 0};
    while (i < a->count || k < b->count) {
        int which = i == a->count   ? 1
                    : k == b->count ? -1
                                    : field_name_order(a->names[i], b->names[k]);
        struct slice name = which > 0 ? b->names[k] : a->names[i];
        i += which <= 0;
        k += which >= 0;
        if (out->count == VARY_NAMES_MAX || name.n > VARY_BYTES_MAX - bytes)
            return false;
        out->names[out->count++] = name;
        bytes += name.n;
    }
    return true;
}

bool
vary_has(const struct vary *vary, struct slice name)
{
    for (size_t i = 0; i < vary->count; i++)
        if (field_name_order(vary->names[i], name) == 0)
            return true;
    return false;
}

bool
vary_add(struct vary *vary, struct slice name, struct arena *arena)
{
    size_t bytes = 0;
    for (size_t i = 0; i < vary->count; i++)
        bytes += vary->names[i].n;
    return add(vary, name, &bytes, arena);
}

struct slice
vary_format(const struct vary *vary, struct arena *arena)
{
    size_t room = 0, n = 0;
    for (size_t i = 0; i < vary->count; i++)
        room += vary->names[i].n + 1;
    char *text = arena_alloc(arena, room);
    if (!text)
        return (struct slice){NULL, 0};
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
    *out = (struct vary){.count = 0};
    if (text.n == 0)
        return true;
    /* That many bytes and commas are all that there can be of them. */
    if (text.n > VARY_BYTES_MAX + VARY_NAMES_MAX - 1)
        return false;
    const char *copy = arena_strndup(arena, text.p, text.n);
    if (!copy)
        return false;
    size_t bytes = 0, start = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && copy[i] != ',') {
            if (copy[i] != lower(copy[i]))
                return false;
            continue;
        }
        struct slice name = {copy + start, i - start};
        if (!field_name_valid(name) || is_star(name) || out->count == VARY_NAMES_MAX ||
            (out->count && field_name_order(out->names[out->count - 1], name) >= 0))
            return false;
        out->names[out->count++] = name;
        bytes += name.n;
        start = i + 1;
    }
    return bytes <= VARY_BYTES_MAX;
}

/* -------------------------------------------------------------------------- values */

/* One line to out, which has room for it; how many bytes. *open: it ends within quotes. */
static size_t
normal_line(char *out, struct slice line, bool *open)
{
    size_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < line.n; i++) {
        char c = line.p[i];
        if (quoted) {
            out[n++] = c;
            if (c == '\\' && i + 1 < line.n)
                out[n++] = line.p[++i];
            else if (c == '"')
                quoted = false;
            continue;
        }
        if (c == ',') {
            /* None of them is a quoted string's, which ends in a quote. */
            while (n && is_blank(out[n - 1]))
                n--;
            while (i + 1 < line.n && is_blank(line.p[i + 1]))
                i++;
        }
        quoted = c == '"';
        out[n++] = c;
    }
    *open = quoted;
    return n;
}

static bool
is_named(const struct field *f, struct slice name)
{
    return f->name.n == name.n && strncasecmp(f->name.p, name.p, name.n) == 0;
}

static bool
is_list(struct slice name)
{
    for (size_t i = 0; i < sizeof no_lists / sizeof no_lists[0]; i++)
        if (slice_equal_nocase(name, no_lists[i]))
            return false;
    return true;
}

struct slice
vary_normal_value(const struct fields *request, struct slice name, struct arena *arena,
                  bool *failed)
{
    struct slice only = {NULL, 0};
    size_t lines = 0, room = 0, n = 0;
    for (size_t i = 0; i < request->count; i++)
        if (is_named(&request->list[i], name)) {
            only = request->list[i].value;
            room += only.n + 1;
            lines++;
        }
    if (lines == 0)
        return only;
    bool raw = !is_list(name);
    /* Nearly always: nothing to change, nothing to copy. */
    if (lines == 1 && (raw || only.n == 0 || !memchr(only.p, ',', only.n))) {
        only = trim(only);
        return only.p ? only : (struct slice){"", 0};
    }
    char *text = arena_alloc(arena, room);
    if (!text) {
        *failed = true;
        return (struct slice){NULL, 0};
    }
    for (size_t i = 0, line = 0; i < request->count; i++) {
        if (!is_named(&request->list[i], name))
            continue;
        struct slice value = trim(request->list[i].value);
        if (line++)
            text[n++] = raw ? '\n' : ',';
        if (!raw) {
            n += normal_line(text + n, value, &raw);
        } else if (value.n) {
            memcpy(text + n, value.p, value.n);
            n += value.n;
        }
    }
    return (struct slice){text, n};
}
