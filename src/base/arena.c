/*
 * Memory that lives as long as one request.
 *
 * A list of chunks; allocation moves a pointer forward in the newest one.
 * Nothing is freed one by one, so nothing can be freed twice or forgotten. A
 * reset keeps the first chunk, because nearly every request fits in it, and
 * gives the others back. The limit bounds what one request may make us hold,
 * whatever it sends.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A hit with twenty fields takes about 6 KiB. */
#define FIRST_CHUNK ((size_t)16 * 1024)
#define ALIGNMENT (sizeof(max_align_t) > 16 ? sizeof(max_align_t) : (size_t)16)

struct chunk {
    struct chunk *older;
    size_t size;
    size_t used;
    _Alignas(16) char bytes[];
};

struct arena {
    struct chunk *newest;
    size_t limit;
    size_t given;
};

static struct chunk *
chunk_new(size_t size)
{
    struct chunk *chunk = malloc(sizeof *chunk + size);
    if (chunk) {
        chunk->older = NULL;
        chunk->size = size;
        chunk->used = 0;
    }
    return chunk;
}

struct arena *
arena_new(size_t limit)
{
    struct arena *arena = malloc(sizeof *arena);
    if (!arena)
        return NULL;
    arena->limit = limit;
    arena->given = 0;
    arena->newest = chunk_new(FIRST_CHUNK);
    if (!arena->newest) {
        free(arena);
        return NULL;
    }
    return arena;
}

void
arena_reset(struct arena *arena)
{
    while (arena->newest->older) {
        struct chunk *older = arena->newest->older;
        free(arena->newest);
        arena->newest = older;
    }
    arena->newest->used = 0;
    arena->given = 0;
}

void
arena_free(struct arena *arena)
{
    if (!arena)
        return;
    arena_reset(arena);
    free(arena->newest);
    free(arena);
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    if (size > arena->limit - arena->given)
        return NULL;
    struct chunk *chunk = arena->newest;
    if (size > chunk->size - chunk->used) {
        /* Twice the last, so that many small pieces cost few chunks. */
        size_t room = chunk->size <= SIZE_MAX / 4 ? chunk->size * 2 : chunk->size;
        chunk = chunk_new(room > size ? room : size);
        if (!chunk)
            return NULL;
        chunk->older = arena->newest;
        arena->newest = chunk;
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += size;
    arena->given += size;
    return p;
}

void *
arena_calloc(struct arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *p = arena_alloc(arena, count * size);
    if (p)
        memset(p, 0, count * size);
    return p;
}

char *
arena_strndup(struct arena *arena, const char *text, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(arena, n + 1);
    if (copy) {
        if (n)
            memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return NULL;
    char *text = arena_alloc(arena, (size_t)n + 1);
    if (text) {
        va_start(args, format);
        vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
    }
    return text;
}
