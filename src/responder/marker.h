/*
 * What stands under a URL's primary key when its responses have Vary: the names
 * of the selecting fields, and the entity tags of some variants. A hint and no
 * more: an entry's own key material decides whether it is the one.
 *
 *   LARDERV1\n
 *   accept-encoding,accept-language\n       names, in order
 *   <64 hex of the variant's key> <etag>\n   the most recent first; at most MARKER_TAGS_MAX
 */
#ifndef RESPONDER_MARKER_H
#define RESPONDER_MARKER_H

#include "http/vary.h"

/* More than a backend would look through, and far less than a request may have. */
#define MARKER_TAGS_MAX 8
#define MARKER_ETAG_MAX 256
/* Longest marker that is read. */
#define MARKER_SIZE_MAX ((size_t)4096)

struct marker {
    struct slice names; /* as text */
    struct vary vary;
    size_t count;
    struct {
        struct slice hash; /* 64 hex digits: the end of the variant's key */
        struct slice etag;
    } tags[MARKER_TAGS_MAX];
};

/* Does it begin like one? */
bool marker_is_one(const char *data, size_t len);

/* What the result points to is copied into the arena. false: not one, damaged, no memory. */
bool marker_decode(struct marker *marker, const char *data, size_t len, struct arena *arena);

/*
 * A marker with these names, and this variant's tag before those that `before`
 * (NULL: there was none) has for the same names. In the arena; .p NULL: no
 * memory. etag .n 0, or longer than MARKER_ETAG_MAX: none is added.
 */
struct slice marker_encode(struct slice names, struct slice hash, struct slice etag,
                           const struct marker *before, struct arena *arena);

/* Does it have nothing to learn from that? */
bool marker_says(const struct marker *marker, struct slice names, struct slice hash,
                 struct slice etag);

#endif
