/*
 * Vary (RFC 9110 §12.5.5, RFC 9111 §4.1): which request fields select a
 * representation, and the normal form in which their values are compared.
 */
#ifndef HTTP_VARY_H
#define HTTP_VARY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/fields.h"

/* Names in one Vary; a response that names more is not stored. */
#define VARY_NAMES_MAX 16
/* Bytes of all names together. */
#define VARY_BYTES_MAX 512

struct vary {
    bool star;    /* "*" anywhere: never matches */
    bool invalid; /* not a list of tokens, or too many: as if "*" */
    size_t count;
    struct slice names[VARY_NAMES_MAX]; /* lower case, sorted, each once; in the arena */
};

/* All lines of a response's Vary, empty members left out. `extra` (NULL: none) is one more name that
 * counts as if it stood there. false: no memory. */
bool vary_parse(struct vary *out, const struct fields *response, const char *extra,
                struct arena *arena);

/* All names of both. false: more than there may be. The names stay where they are. */
bool vary_union(struct vary *out, const struct vary *a, const struct vary *b);

/* Is this one of the names? In any case. */
bool vary_has(const struct vary *vary, struct slice name);

/* Add a name, copied into the arena; too many: invalid. false: no memory. */
bool vary_add(struct vary *vary, struct slice name, struct arena *arena);

/* "accept-encoding,foo": the names as a marker keeps them; and back. false: not of that form. */
struct slice vary_format(const struct vary *vary, struct arena *arena);
bool vary_unformat(struct vary *out, struct slice text, struct arena *arena);

/*
 * The normal form of a field's value: lines joined by ",", blanks around commas
 * and at the ends gone, outside of quoted strings (§4.1). Empty members stay.
 * Fields that are known to be no list (Cookie, User-Agent ...), and all that
 * follows a quote without an end, stay as they are, a line feed between lines.
 * To compare, not to send. In the arena, or where the field's value is.
 * .p NULL: the field is absent (or there is no memory and *failed is set).
 */
struct slice vary_normal_value(const struct fields *request, struct slice name, struct arena *arena,
                               bool *failed);

#endif
