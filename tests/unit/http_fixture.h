/* What the tests of src/http have in common. Included by one .c file of a program, after cmocka. */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

#include <string.h>

#include "base/arena.h"
#include "base/fields.h"

#define NOW INT64_C(1700000000) /* Tue, 14 Nov 2023 22:13:20 GMT */
#define DATE_NOW "Tue, 14 Nov 2023 22:13:20 GMT"

static struct arena *arena;

static inline int
setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)1024 * 1024);
    return arena ? 0 : -1;
}

static inline int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* "Name: value\nName: value" */
static inline struct fields
fields_of(const char *text)
{
    struct fields fields = {0};
    while (*text) {
        const char *colon = strchr(text, ':'), *end = strchr(text, '\n');
        if (!end)
            end = text + strlen(text);
        assert_true(fields_add(&fields, arena, (struct slice){text, (size_t)(colon - text)},
                               (struct slice){colon + 1, (size_t)(end - colon - 1)}));
        text = *end ? end + 1 : end;
    }
    return fields;
}

#endif
