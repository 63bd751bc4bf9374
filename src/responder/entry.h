/*
 * A stored response as bytes. Numbers are big-endian.
 *
 *   0  8  "LARDER1\n"
 *   8  4  length of the key material
 *  12  4  length of the tag lines
 *  16  4  length of the field lines
 *  20  2  status code
 *  22  2  zero
 *  24  4  age in seconds when it was stored
 *  28  4  zero
 *  32  8  time when it was stored, ms since 1970
 *  40  8  how long it is fresh from then, ms
 *  48  8  length of the body
 *  56  8  XXH3 of the 56 bytes before, and seeded with that of all that follows
 *  64     key material
 *         tag lines: "<tag> <generation>\n"
 *         field lines: "<name>: <value>\r\n", in order, with repeats
 *         body
 *
 * `redis-cli --raw getrange KEY 64 2000` shows it as text. Nothing in it is
 * copied or converted on the way out, which is why this is not JSON: a hit
 * spent a third of its time in the parser (9 of 28 µs).
 */
#ifndef RESPONDER_ENTRY_H
#define RESPONDER_ENTRY_H

#include "base/fields.h"
#include "client/store.h"

#define ENTRY_HEAD_SIZE 64
/* Key material, tags and fields together. */
#define ENTRY_META_MAX ((size_t)1024 * 1024)

struct entry {
    struct slice material;
    int status;
    struct fields fields;
    int64_t stored_ms; /* wall clock */
    int64_t ttl_ms;
    int64_t age_s;                        /* when it was stored; -1: not known */
    struct store_generations generations; /* in the order of the key's tags */
    struct slice body;
};

/*
 * Everything before the body, malloc'd, *len bytes. NULL: no memory, or too
 * large.
 */
char *entry_encode(const struct entry *entry, const struct store_tags *tags, size_t *len);

/*
 * Decode; what entry points to stays in `data`, the list of fields is in the
 * arena. false: not an entry of ours, damaged, of another version, with other
 * tags, or with fields that must not go out.
 */
bool entry_decode(struct entry *entry, const char *data, size_t len, const struct store_tags *tags,
                  struct arena *arena);

/* Every generation there and the same. */
bool entry_generations_match(const struct entry *entry, const struct store_generations *current);

#endif
