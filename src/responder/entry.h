/*
 * A stored response as bytes. Numbers are big-endian.
 *
 *   0  8  "LARDER3\n"
 *   8  4  length of the key material
 *  12  4  length of the tag lines
 *  16  4  length of the field lines
 *  20  2  status code
 *  22  2  flags (enum stored_flags)
 *  24  4  corrected initial age in seconds
 *  28  4  usable for so many seconds beyond its time while it is fetched anew
 *  32  8  time when its head came, ms since 1970
 *  40  8  how long it is fresh from then, ms
 *  48  8  length of the body
 *  56  4  usable for so many seconds beyond its time while the backend fails
 *  60  4  length of the Range that a verbatim part answers
 *  64  8  a part: where in the whole its first byte stands
 *  72  8  a part: length of the whole; all bits set: not known
 *  80  8  identity of the server whose generations these are
 *  88  4  how long the backend took, ms
 *  92  4  0
 *  96  8  XXH3 of the 96 bytes before, and seeded with that of all that follows
 * 104     key material
 *         tag lines: "<tag> <generation>\n"; those of the key, then those it brought; a tag of
 *         the key that is none of this response's (the route's default_tag) has zeros
 *         field lines: "<name>: <value>\r\n", in order, with repeats
 *         Range
 *         body
 *
 * `redis-cli --raw getrange KEY 104 2000` shows it as text. Nothing in it is
 * copied or converted on the way out, which is why this is not JSON: a hit
 * spent a third of its time in the parser (9 of 28 µs).
 */
#ifndef RESPONDER_ENTRY_H
#define RESPONDER_ENTRY_H

#include "base/fields.h"
#include "client/store.h"
#include "http/decide.h"

#define ENTRY_HEAD_SIZE 104
/* When its head came, and for how long it is fresh. */
#define ENTRY_TIMES_AT 32
/* The checksum: it tells one entry from another under the same key. */
#define ENTRY_CHECKSUM_AT 96
#define ENTRY_CHECKSUM_SIZE 8
/* Key material, tags and fields together. */
#define ENTRY_META_MAX ((size_t)1024 * 1024)

/* Tags that a response brought, with their generations; all in the arena. */
struct own_tags {
    size_t count;
    const char **name;
    store_generation *generation;
};

/* In the place of a generation: the tag is one of the key's, and none of this response's. */
#define ENTRY_NO_GENERATION "00000000000000000000000000000000"

struct entry {
    struct slice material;
    struct stored stored; /* its fields point to `fields` below */
    struct fields fields;
    struct store_generations generations; /* in the order of the key's tags */
    struct own_tags own;
    uint64_t identity;
    char checksum[ENTRY_CHECKSUM_SIZE];
    int64_t range_first; /* STORED_PARTIAL */
    int64_t total;       /* STORED_PARTIAL: of the whole; -1: not known */
    struct slice range;  /* STORED_VERBATIM: the Range that it answers */
    struct slice body;
};

/*
 * Everything before the body, malloc'd, *len bytes. NULL: no memory, or too
 * large.
 */
char *entry_encode(const struct entry *entry, const struct store_tags *tags, size_t *len);

/*
 * Decode; what entry points to stays in `data`, the list of fields is in the
 * arena. tags: those that the key has now.
 */
enum entry_decoded {
    ENTRY_DAMAGED,  /* no entry of ours, damaged, of another version, with fields that must not go
                      out, or no memory */
    ENTRY_RETAGGED, /* sound, but stored when its key had other tags; its own are not filled in */
    ENTRY_WHOLE
};
enum entry_decoded entry_decode(struct entry *entry, const char *data, size_t len,
                                const struct store_tags *tags, struct arena *arena);

/* The tags of what entry_encode() made, and their generations: at most `most`; 0: it is none of
 * ours. The names are copied into the arena. */
size_t entry_tags(const char *head, size_t len, const char **tags, store_generation *values,
                  size_t most, struct arena *arena);

/*
 * What the generations of now say: `own` are those of entry->own, in its order.
 * ENTRY_SOFT: one of them was purged softly since, for the first time at
 * *stale_since_ms (wall clock, by Redis).
 */
enum entry_state { ENTRY_VALID, ENTRY_SOFT, ENTRY_DEAD };
enum entry_state entry_judge(const struct entry *entry, const struct store_generations *current,
                             const store_generation *own, int64_t *stale_since_ms);

#endif
