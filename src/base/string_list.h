#ifndef BASE_STRING_LIST_H
#define BASE_STRING_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A list of strings; count 0 if empty or not set. */
struct string_list {
    const char **list;
    size_t count;
};

/* The same strings in the same order? */
static inline bool
string_lists_equal(const struct string_list *a, const struct string_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->list[i], b->list[i]) != 0)
            return false;
    return true;
}

#endif
