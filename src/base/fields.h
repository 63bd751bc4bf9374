/*
 * An ordered list of HTTP fields, repeats kept (RFC 9110 §5). Names and values
 * are slices into memory that outlives the list, mostly the request's arena.
 */
#ifndef BASE_FIELDS_H
#define BASE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"

struct field {
    struct slice name;
    struct slice value;
};

/* More fields than this in one message are refused, in a response with 502; a request has a bound of
 * its own. nginx and Apache bound the bytes of a response alone, so this is only what a list may cost. */
#define FIELDS_MAX 1024
/* All names and values of one message together. */
#define FIELDS_BYTES_MAX ((size_t)128 * 1024)

struct fields {
    struct field *list;
    size_t count;
    size_t room;
    size_t bytes;
};

/*
 * Append without copying the bytes. false: the name is not a token, the value
 * has CR, LF, NUL or another control character than TAB, the list is full, or
 * there is no memory. Leading and trailing blanks of the value are cut off.
 */
bool fields_add(struct fields *fields, struct arena *arena, struct slice name, struct slice value);

/* First value of a field, .p NULL if there is none. */
struct slice fields_get(const struct fields *fields, const char *name);

/* Has a line of this field a value that is not empty? */
bool fields_has_value(const struct fields *fields, const char *name);

/* Next occurrence at or after *cursor (start with 0), which it moves on. NULL: no more. */
const struct field *fields_next(const struct fields *fields, const char *name, size_t *cursor);

/* All values of a field joined by ", ", in the arena. .p NULL: absent, or no memory. */
struct slice fields_join(const struct fields *fields, struct arena *arena, const char *name);

/* Remove every occurrence; true if there was one. */
bool fields_remove(struct fields *fields, const char *name);

/* Remove every occurrence, then append. */
bool fields_set(struct fields *fields, struct arena *arena, struct slice name, struct slice value);

/*
 * Does a comma-separated list field (all its lines) have this member?
 * (Connection, Vary; ASCII case does not count.)
 */
bool fields_list_has(const struct fields *fields, const char *name, struct slice member);

/* The hop-by-hop fields of RFC 9110 §7.6.1: Connection, what it lists, Keep-Alive,
 * Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade, Proxy-Authenticate,
 * Proxy-Authorization, Proxy-Authentication-Info. Removes them. */
void fields_remove_hop_by_hop(struct fields *fields);

/* By the bytes in lower case; less, equal or greater than 0. */
int field_name_order(struct slice a, struct slice b);

bool field_name_valid(struct slice name);
bool field_value_valid(struct slice value);

#endif
