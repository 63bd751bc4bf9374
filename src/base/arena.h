/*
 * Memory that lives as long as one request. Handed out by bumping a pointer,
 * never freed by hand, taken back all at once. One thread at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct arena;

/* An arena that gives out at most `limit` bytes between two resets. NULL: no memory. */
struct arena *arena_new(size_t limit);
void arena_free(struct arena *arena);

/* Take everything back; the first chunk is kept for the next request. */
void arena_reset(struct arena *arena);

/* Aligned for any type, not zeroed. NULL: no memory, or over the limit. */
void *arena_alloc(struct arena *arena, size_t size);

/* Zeroed array; checks the multiplication. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* NUL-terminated copy. */
char *arena_strndup(struct arena *arena, const char *text, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
