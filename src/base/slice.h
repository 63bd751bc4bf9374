/*
 * A run of bytes that somebody else owns. Not NUL-terminated, may hold any byte.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *p; /* NULL: absent, as opposed to empty */
    size_t n;
};

static inline struct slice
slice_of(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII case does not count (field names, host names). */
static inline bool
slice_equal_nocase(struct slice a, const char *text)
{
    return strlen(text) == a.n && (a.n == 0 || strncasecmp(a.p, text, a.n) == 0);
}

#endif
