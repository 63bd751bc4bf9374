/* A body that is kept while it streams by; bounded. */
#ifndef RESPONDER_COPY_H
#define RESPONDER_COPY_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct copy {
    bool active;
    char *p; /* malloc'd */
    size_t n;
    size_t room;
};

static inline void
copy_drop(struct copy *copy)
{
    free(copy->p);
    *copy = (struct copy){.active = false};
}

/* false: over the limit or no memory; the copy is as it was. */
static inline bool
copy_append(struct copy *copy, const char *data, size_t n, size_t limit)
{
    if (copy->n > limit || n > limit - copy->n)
        return false;
    if (n > copy->room - copy->n) {
        size_t room = copy->room ? copy->room * 2 : (size_t)16 * 1024;
        while (room < copy->n + n)
            room *= 2;
        if (room > limit)
            room = limit;
        char *p = realloc(copy->p, room);
        if (!p)
            return false;
        copy->p = p;
        copy->room = room;
    }
    if (n)
        memcpy(copy->p + copy->n, data, n);
    copy->n += n;
    return true;
}

/* It may wait in a queue that counts what is used, not what is held. */
static inline void
copy_fit(struct copy *copy)
{
    char *p = copy->n ? realloc(copy->p, copy->n) : NULL;
    if (p) {
        copy->p = p;
        copy->room = copy->n;
    }
}

#endif
