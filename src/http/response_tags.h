/*
 * The tags that a response brings with it, and the groups that the answer to an
 * unsafe request invalidates. Pure: names in, names out; what they mean to the
 * store is the caller's.
 *
 *   Cache-Groups: "a", "b c"    a list of strings (RFC 9875 §2); groups of its origin
 *   Surrogate-Key: a b c        separated by blanks (Fastly)
 *   xkey: a b, c                separated by blanks or commas (Varnish)
 *   Cache-Tag: a, b c           separated by commas (Cloudflare, Akamai, CloudFront)
 *
 * "Surrogate-Key: /books, /books/1" is written too, and means /books and /books/1.
 * Where a field has the other's separator inside of a name, the name counts and
 * its parts count: a,b is a, b and a,b. The same on a response and on a PURGE.
 */
#ifndef HTTP_RESPONSE_TAGS_H
#define HTTP_RESPONSE_TAGS_H

#include "base/fields.h"

/* RFC 9875 §2.1 asks for 32 groups of 32 characters at least. */
#define RESPONSE_TAGS_MAX 64
/* No store takes a longer one (STORE_TAG_NAME_MAX). */
#define RESPONSE_TAG_MAX 128

struct response_tags {
    size_t count;
    bool too_many; /* more than RESPONSE_TAGS_MAX, each once: what is listed is not all */
    struct {
        struct slice name;
        bool group; /* of Cache-Groups */
    } list[RESPONSE_TAGS_MAX];
};

/*
 * Each name once. A Cache-Groups that is not a valid list of strings counts as
 * absent (RFC 9651 §4.2); members that are no strings are left out. Names point
 * into the fields or the arena. false: no memory.
 */
bool response_tags_find(struct response_tags *out, const struct fields *fields,
                        struct arena *arena);

/* The groups that Cache-Group-Invalidation names (RFC 9875 §3). The caller has seen to it that the
 * request was unsafe. */
bool response_tags_invalidated(struct response_tags *out, const struct fields *fields,
                               struct arena *arena);

/* Is this one of the fields that name tags for caches of Larder's kind alone? Cache-Groups is not:
 * it speaks to every cache. */
bool response_tags_is_field(struct slice name);

#endif
