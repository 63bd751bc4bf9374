/*
 * A stored response as bytes: a header of 32, metadata as JSON, the body raw.
 *
 *   0  8  "LARDER1\n"
 *   8  4  length of the metadata, big-endian
 *  12  4  zero
 *  16  8  length of the body
 *  24  8  XXH3 64 bit of metadata and body together
 *  32     metadata, then body
 *
 * The metadata: {"key": material, "status_code": 200, "headers": [[name, value]
 * ...], "stored": ms, "ttl": ms, "age": s, "generations": {tag: value ...}}.
 * Bytes over 127 in strings are as they came; what does not decode is a miss.
 */
#ifndef RESPONDER_ENTRY_H
#define RESPONDER_ENTRY_H

#include "base/fields.h"
#include "client/store.h"

#define ENTRY_HEAD_SIZE 32
#define ENTRY_META_MAX ((size_t)1024 * 1024)

struct entry {
    struct slice material;
    int status;
    struct fields fields;
    int64_t stored_ms; /* wall clock */
    int64_t ttl_ms;
    int64_t age_s;                        /* when it was stored */
    struct store_generations generations; /* in the order of the key's tags */
    struct slice body;
};

/*
 * The head and metadata of an entry, malloc'd, *len bytes; the body follows it
 * in the store. NULL: no memory, or the metadata is too large.
 */
char *entry_encode(const struct entry *entry, const struct store_tags *tags, size_t *len);

/*
 * Decode; what entry points to is in `data` (the body) and in the arena.
 * false: not an entry of ours, damaged, of another version, or with fields that
 * must not go out.
 */
bool entry_decode(struct entry *entry, const char *data, size_t len, const struct store_tags *tags,
                  struct arena *arena);

/* Every generation there and the same. */
bool entry_generations_match(const struct entry *entry, const struct store_generations *current);

#endif
