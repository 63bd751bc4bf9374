/*
 * Markers. The format stands in marker.h. Redis is not trusted: what does not
 * read as one is none, and what it leads to is compared with the entry itself.
 */
#include "responder/marker.h"

static const char magic[] = MARKER_MAGIC;
#define MAGIC_LEN (sizeof magic - 1)

bool
marker_is_one(const char *data, size_t len)
{
    return len > MAGIC_LEN && memcmp(data, magic, MAGIC_LEN) == 0;
}

bool
marker_decode(struct marker *marker, const char *data, size_t len, struct arena *arena)
{
    *marker = (struct marker){.names = {NULL, 0}};
    if (!marker_is_one(data, len) || len > MARKER_SIZE_MAX)
        return false;
    const char *names = data + MAGIC_LEN;
    const char *end = memchr(names, '\n', len - MAGIC_LEN);
    if (!end)
        return false;
    size_t n = (size_t)(end - names);
    marker->names = (struct slice){arena_strndup(arena, names, n), n};
    return marker->names.p && vary_unformat(&marker->vary, marker->names, arena) &&
           marker->vary.count > 0;
}

struct slice
marker_encode(struct slice names, struct arena *arena)
{
    return slice_of(arena_printf(arena, "%s%.*s\n", magic, (int)names.n, names.p));
}
