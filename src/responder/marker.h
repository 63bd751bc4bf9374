/*
 * What stands under a URL's primary key when its responses have Vary: the names
 * of the selecting fields. A hint and no more: an entry's own key material decides
 * whether it is the one.
 *
 *   LARDERV1\n
 *   accept-encoding,accept-language\n       names, in order
 *
 * Larder 0.1 wrote lines with the variants' entity tags behind that, and asked the
 * backend about them. They are not read any more: servers give one tag to all
 * codings of a page, and frameworks to all users' versions of a record.
 */
#ifndef RESPONDER_MARKER_H
#define RESPONDER_MARKER_H

#include "http/vary.h"

/* Longest marker that is read; one of Larder 0.1 has up to eight tags. */
#define MARKER_SIZE_MAX ((size_t)4096)

struct marker {
    struct slice names; /* as text */
    struct vary vary;
};

/* Does it begin like one? Its first bytes, for who must not replace one: MARKER_MAGIC. */
#define MARKER_MAGIC "LARDERV1\n"
bool marker_is_one(const char *data, size_t len);

/* What the result points to is copied into the arena. false: not one, damaged, no memory. */
bool marker_decode(struct marker *marker, const char *data, size_t len, struct arena *arena);

/* A marker with these names, in the arena; .p NULL: no memory. */
struct slice marker_encode(struct slice names, struct arena *arena);

#endif
