/*
 * Proactive negotiation made small (RFC 9110 §12.5): fields with a thousand
 * spellings reduced to the few that make a difference, before they become part
 * of a key. What goes into the key also goes to the backend.
 *
 * A member that does not follow the grammar counts as absent; of two weights for
 * the same name the lower one counts.
 */
#ifndef HTTP_NEGOTIATE_H
#define HTTP_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"

/* Members of Accept-Encoding or Accept-Language that are looked at; the rest counts as absent. */
#define NEGOTIATE_MEMBERS_MAX 64

/*
 * Accept-Encoding (all lines joined) reduced to those of `codings` that it
 * accepts (q > 0, by name or by "*"), in the order of `codings`, joined by ", ";
 * "x-gzip" is "gzip", "x-compress" is "compress". "identity;q=0" (or "*;q=0"
 * without identity) is kept at the end, since it changes what may be sent.
 * .p NULL: none of it is left: the field is not sent. *failed: no memory.
 */
struct slice negotiate_encoding(struct slice value, const char *const *codings, size_t count,
                                struct arena *arena, bool *failed);

/*
 * Accept-Language reduced to the one of `languages` that is liked best: highest
 * q by basic filtering (RFC 4647 §3.3.1: a range "de" takes "de-CH", and of
 * several that take a language the longest counts). A range "de-CH" that takes
 * none of them falls back to "de" (§3.4), unless "de" has a range of its own.
 * Ties go to the earlier in `languages`; q=0 excludes. Case does not count. The
 * answer is one of `languages`, NULL if nothing fits (then the field is not
 * sent).
 */
const char *negotiate_language(struct slice value, const char *const *languages, size_t count);

#endif
