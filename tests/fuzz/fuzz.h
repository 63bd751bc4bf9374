/* What fuzz targets of src/http have in common. Included by one .c file of a program. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not for NDEBUG to switch off. */
#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

/* Up to the next line feed. */
static inline struct slice
take_line(struct slice *rest)
{
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct slice line = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    rest->p += line.n + (end != NULL);
    rest->n -= line.n + (end != NULL);
    return line;
}

/* "Name: value"; what is none is left out. */
static inline void
add_line(struct fields *fields, struct arena *arena, struct slice line)
{
    const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    size_t n = colon ? (size_t)(colon - line.p) : 0;
    if (n)
        (void)fields_add(fields, arena, (struct slice){line.p, n},
                         (struct slice){colon + 1, line.n - n - 1});
}

static inline struct fields
take_fields(struct slice *rest, struct arena *arena)
{
    struct fields fields = {0};
    while (rest->n)
        add_line(&fields, arena, take_line(rest));
    return fields;
}

/* The same fields and one more. */
static inline struct fields
with(const struct fields *fields, struct arena *arena, const char *name, const char *value)
{
    struct fields more = {0};
    for (size_t i = 0; i < fields->count; i++)
        MUST(fields_add(&more, arena, fields->list[i].name, fields->list[i].value));
    if (more.count < FIELDS_MAX)
        MUST(fields_add(&more, arena, slice_of(name), slice_of(value)));
    return more;
}

static inline bool
lies_in(struct slice s, const void *data, size_t size)
{
    const char *start = data;
    return s.n == 0 || (s.p >= start && s.n <= size && s.p + s.n <= start + size);
}

#endif
