/*
 * References in Location and Content-Location (RFC 3986 §5), for one question:
 * which target of this very site do they name? And query strings reduced to
 * what matters.
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"

/* Longest reference that is looked at. */
#define URI_REFERENCE_MAX ((size_t)16 * 1024)
/* Parameters of a query; a longer list is left as it is. */
#define URI_PARAMETERS_MAX 256

struct uri_base {
    struct slice scheme; /* "http", "https" */
    struct slice host;   /* normal: lower case, without the scheme's own port */
    struct slice target; /* origin-form: path and query */
};

/*
 * The target (path and query, in the arena, dot segments removed, no fragment)
 * that `reference` names, if it is of the same origin as base: scheme, host
 * without case, port with the default filled in (RFC 9110 §4.3.1). .p NULL:
 * another origin, another scheme, not a reference (controls, blanks, bytes that
 * are not ASCII, backslashes, userinfo), relative to a base without a path
 * ("*"), too long, or no memory.
 */
struct slice uri_same_origin_target(const struct uri_base *base, struct slice reference,
                                    struct arena *arena);

/* What a route says of query strings; all of it NULL or false: nothing is done. */
struct uri_query_rules {
    const char *const *ignore; /* globs on the names of parameters that are left out */
    size_t ignore_count;
    const char *const *allow; /* globs: all others are left out; count 0: all are allowed */
    size_t allow_count;
    bool sort; /* by name; equal names stay in their order */
};

/*
 * The target with its query so reduced. Parameters are split at '&' only; names
 * are compared percent-decoded and '+' as a blank; what stays, stays byte for
 * byte. A name of more than 256 bytes matches no glob. Empty parameters ("a&&b")
 * go when anything else changes. A query of which nothing is left goes with its
 * '?'. `target` itself where nothing changes, or where there are more than
 * URI_PARAMETERS_MAX. .p NULL: no memory.
 */
struct slice uri_reduce_query(struct slice target, const struct uri_query_rules *rules,
                              struct arena *arena);

/*
 * Has the target's query a parameter whose name one of these globs matches? Compared
 * as above, and as PHP names it ("rest.route", "+rest_route" and "rest_route[]" are
 * its rest_route); of however many there are. A name of more than 256 bytes is
 * matched by any.
 */
bool uri_query_has(struct slice target, const char *const *globs, size_t count);

/* The same of whole parameters, NAME=VALUE, which are compared up to 1024 bytes when decoded. */
bool uri_query_matches(struct slice target, const char *const *globs, size_t count);

/*
 * What a query (with or without its '?') says to whoever reads it as a form, in
 * one way for all spellings, in the arena: names and values decoded and written
 * again, '+' as a blank; parameters in the order of their names, equal names as
 * they stand; empty parameters and an '=' without a value left out. Of more than
 * URI_PARAMETERS_MAX the order stays. For comparing, not for sending. .p NULL: no
 * memory.
 */
struct slice uri_query_normal(struct slice query, struct arena *arena);

/* Are two parameters the same to whoever decodes them? */
bool uri_same_parameter(struct slice a, struct slice b);

#endif
