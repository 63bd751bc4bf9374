/*
 * Vary, and the values it compares (vary.c). The input's first line are names as
 * a marker keeps them, the second is the name of a field; of the other lines
 * those that begin with a blank are the field's, all others are Vary's.
 *
 * Must hold besides not crashing: names are lower case, sorted, single, within
 * the limits and not "*"; they come back from their text, and no other text is
 * taken for one; a normal form is its own normal form, no longer than what it is
 * of, and with the same bytes but blanks and the ends of lines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/vary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not for NDEBUG to switch off. */
#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

#define SIZE_LIMIT ((size_t)64 * 1024)

/* Up to the next line feed. */
static struct slice
line(struct slice *rest)
{
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct slice l = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    rest->p += l.n + (end != NULL);
    rest->n -= l.n + (end != NULL);
    return l;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void
names_are_sound(const struct vary *vary)
{
    size_t bytes = 0;
    MUST(vary->count <= VARY_NAMES_MAX);
    for (size_t i = 0; i < vary->count; i++) {
        struct slice name = vary->names[i];
        MUST(field_name_valid(name) && !(name.n == 1 && *name.p == '*'));
        for (size_t k = 0; k < name.n; k++)
            MUST(name.p[k] < 'A' || name.p[k] > 'Z');
        bytes += name.n;
        if (i == 0)
            continue;
        struct slice last = vary->names[i - 1];
        int order = memcmp(last.p, name.p, last.n < name.n ? last.n : name.n);
        MUST(order < 0 || (order == 0 && last.n < name.n));
    }
    MUST(bytes <= VARY_BYTES_MAX);
}

static void
names_come_back(const struct vary *vary, struct arena *arena)
{
    struct vary back;
    struct slice text = vary_format(vary, arena);
    MUST(text.p && vary_unformat(&back, text, arena));
    MUST(!back.star && !back.invalid && back.count == vary->count);
    for (size_t i = 0; i < back.count; i++)
        MUST(slice_equal(back.names[i], vary->names[i]));
}

/* The lines of a normal form as the fields of a message. */
static struct fields
message_of(struct slice normal, struct slice name, struct arena *arena)
{
    struct fields fields = {0};
    bool last;
    do {
        last = !normal.n || !memchr(normal.p, '\n', normal.n);
        MUST(fields_add(&fields, arena, name, line(&normal)));
    } while (!last);
    return fields;
}

/* The bytes of a value but blanks; `lines` counts the ends of lines that are commas by now. */
static bool
has_same_bytes(struct slice normal, const struct fields *fields)
{
    size_t n = 0;
    for (size_t i = 0; i < fields->count; i++) {
        struct slice value = fields->list[i].value;
        if (i) {
            if (n == normal.n || (normal.p[n] != ',' && normal.p[n] != '\n'))
                return false;
            n++;
        }
        for (size_t k = 0; k < value.n; k++) {
            if (n < normal.n && normal.p[n] == value.p[k])
                n++;
            else if (!is_blank(value.p[k]))
                return false;
        }
    }
    return n == normal.n;
}

static void
normal_form_is_sound(const struct fields *fields, struct slice name, struct arena *arena)
{
    bool failed = false;
    size_t most = fields->count;
    struct slice normal = vary_normal_value(fields, name, arena, &failed);
    MUST(!failed);
    MUST(!normal.p == (fields->count == 0));
    if (!normal.p)
        return;
    for (size_t i = 0; i < fields->count; i++)
        most += fields->list[i].value.n;
    MUST(normal.n < most);
    MUST(has_same_bytes(normal, fields));
    struct fields again = message_of(normal, name, arena);
    struct slice second = vary_normal_value(&again, name, arena, &failed);
    MUST(second.p && slice_equal(second, normal));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)16 * 1024 * 1024);
    MUST(arena);
    struct slice rest = {(const char *)data, size}, text = line(&rest), name = line(&rest);
    struct fields response = {0}, request = {0};
    struct vary vary;

    if (vary_unformat(&vary, text, arena)) {
        MUST(!vary.star && !vary.invalid);
        names_are_sound(&vary);
        MUST(slice_equal(vary_format(&vary, arena), text));
    }
    while (rest.n) {
        struct slice l = line(&rest);
        if (l.n && is_blank(*l.p))
            (void)fields_add(&request, arena, name, l);
        else
            (void)fields_add(&response, arena, slice_of("Vary"), l);
    }
    char *extra = arena_strndup(arena, name.p, name.n);
    MUST(extra);
    for (int with = 0; with < 2; with++) {
        MUST(vary_parse(&vary, &response, with ? extra : NULL, arena));
        names_are_sound(&vary);
        MUST(vary.star || !fields_list_has(&response, "Vary", slice_of("*")));
        names_come_back(&vary, arena);
    }
    normal_form_is_sound(&request, name, arena);
    arena_free(arena);
    return 0;
}
