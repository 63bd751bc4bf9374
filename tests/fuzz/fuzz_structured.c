/*
 * Dictionaries and lists of structured fields (structured.c).
 *
 * Must hold besides not crashing: a walk ends, and what it gives lies in the
 * input; a dictionary that is valid stays so with blanks around it, with another
 * member behind it, and where capitals are allowed; keys are keys.
 */
#include "fuzz.h"

#include "http/structured.h"

#define SIZE_LIMIT ((size_t)16 * 1024)

static bool
is_key(struct slice key, bool any_case)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (any_case && c >= 'A' && c <= 'Z');
        bool inside = i > 0 && ((c >= '0' && c <= '9') || strchr("_-.*", c));
        if (!letter && !inside && !(i == 0 && c == '*'))
            return false;
    }
    return key.n > 0;
}

static bool
walk_dictionary(struct slice text, bool any_case)
{
    struct structured_walk walk = {.rest = text, .any_case = any_case};
    struct structured_item item;
    struct slice key;
    size_t members = 0;
    while (structured_dictionary_next(&walk, &key, &item)) {
        MUST(++members <= text.n);
        MUST(lies_in(key, text.p, text.n) && is_key(key, any_case));
        MUST(lies_in(item.text, text.p, text.n));
        if (item.type == STRUCTURED_BOOLEAN)
            MUST(item.integer == 0 || item.integer == 1);
        if (item.type == STRUCTURED_INTEGER)
            MUST(item.integer >= -INT64_C(999999999999999) &&
                 item.integer <= INT64_C(999999999999999));
    }
    return !walk.failed;
}

static void
walk_list(struct slice text)
{
    struct structured_walk walk = {.rest = text};
    struct structured_item item;
    size_t members = 0;
    while (structured_list_next(&walk, &item)) {
        MUST(++members <= text.n);
        MUST(lies_in(item.text, text.p, text.n));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)1024 * 1024);
    MUST(arena);
    struct slice text = {(const char *)data, size};
    bool valid = walk_dictionary(text, false);
    MUST(valid == structured_dictionary_valid(text));
    if (valid) {
        MUST(walk_dictionary(text, true));
        char *around = arena_alloc(arena, size + 16);
        MUST(around);
        size_t n = 0;
        around[n++] = ' ';
        if (size)
            memcpy(around + n, data, size);
        n += size;
        around[n++] = ' ';
        MUST(structured_dictionary_valid((struct slice){around, n}));
        bool empty = true;
        for (size_t i = 0; i < size; i++)
            empty = empty && data[i] == ' ';
        if (!empty) {
            memcpy(around + n, ", zz9=1", 7);
            MUST(structured_dictionary_valid((struct slice){around, n + 7}));
        }
    }
    walk_list(text);
    arena_free(arena);
    return 0;
}
