/*
 * Purges in the words of other caches. Most are refused, with the sentence that
 * names the right form here: to take a PURGE for one of its URL, and to answer
 * that it is done, leaves behind what was meant by the field that was not read.
 */
#ifndef RESPONDER_DIALECT_H
#define RESPONDER_DIALECT_H

#include "responder/request.h"

/* Does the method, or the one that X-HTTP-Method-Override and the like put in its place, purge in
 * some other cache? PURGE itself is ours. */
bool dialect_is_method(const struct request *request);

/* LARDER_INVALID, with the words for such a request. admin_path: where ours are posted to. */
enum larder_status dialect_refuse_method(const struct request *request, const char *admin_path,
                                         struct larder_error *err);

/*
 * Are there fields that could have been meant to narrow, widen or soften the
 * purge, and that are not read? LARDER_INVALID names the first. posted: it is
 * for admin_path, where the body or the query says all; else it is a PURGE.
 */
enum larder_status dialect_check_fields(const struct request *request, bool posted,
                                        const char *admin_path, struct larder_error *err);

/*
 * What makes a URL one that is meant as a pattern: "a * at its end". Static.
 * NULL: nothing. Only shapes that clients of other caches send: stars and
 * brackets within a name are part of many a title.
 */
const char *dialect_pattern_sign(struct slice target);

#endif
