/*
 * Structured fields (RFC 9651), as far as caching needs them: a dictionary is
 * walked member by member, strictly: one mistake anywhere and the whole field
 * counts as absent (§4.2). No allocation.
 */
#ifndef HTTP_STRUCTURED_H
#define HTTP_STRUCTURED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum structured_type {
    STRUCTURED_BOOLEAN,
    STRUCTURED_INTEGER,
    STRUCTURED_DECIMAL,
    STRUCTURED_STRING,
    STRUCTURED_TOKEN,
    STRUCTURED_BYTES,
    STRUCTURED_DATE,
    STRUCTURED_DISPLAY,
    STRUCTURED_INNER_LIST
};

struct structured_item {
    enum structured_type type;
    struct slice text; /* as it stands there, without quotes; still escaped */
    int64_t integer;   /* INTEGER, DATE; BOOLEAN: 0 or 1 */
};

struct structured_walk {
    struct slice rest;
    bool any_case; /* keys may have capital letters: for those who write directives as they always
                      did (RFC 9111 §5.2), which §3.1.2 does not allow */
    bool started;
    bool failed;
};

/*
 * The next member of a dictionary (parameters are read past). Start with
 * {.rest = the field's lines joined by ", "}. false: the end, or walk->failed.
 * A key that comes twice is given twice: the last one counts (§4.2.2).
 */
bool structured_dictionary_next(struct structured_walk *walk, struct slice *key,
                                struct structured_item *item);

/* Is the whole a valid dictionary? */
bool structured_dictionary_valid(struct slice text);

/* The next member of a list, in the same way; an inner list is given as one member. */
bool structured_list_next(struct structured_walk *walk, struct structured_item *item);

#endif
