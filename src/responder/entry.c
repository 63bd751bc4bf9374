/*
 * A stored response as bytes. The format stands in entry.h.
 *
 * Redis is not trusted: whoever can write there could otherwise split answers
 * or run the process out of bounds. Every length is checked against what is
 * there, the checksum against what was stored, and the fields go through the
 * same gate as those of a backend.
 */
#include "responder/entry.h"

#include <stdlib.h>
#include <xxhash.h>

#define CHECKSUM_AT 80

static const char magic[8] = "LARDER2\n";

static void
put_be(char *p, uint64_t value, int bytes)
{
    while (bytes-- > 0) {
        p[bytes] = (char)(value & 0xff);
        value >>= 8;
    }
}

static uint64_t
get_be(const char *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)p[i];
    return value;
}

/* Chained by the seed instead of streamed: the body lies elsewhere when an entry is made. */
static uint64_t
checksum(const char *data, size_t meta_len, struct slice body)
{
    uint64_t seed = XXH3_64bits(data, CHECKSUM_AT);
    seed = XXH3_64bits_withSeed(data + ENTRY_HEAD_SIZE, meta_len, seed);
    return XXH3_64bits_withSeed(body.n ? body.p : "", body.n, seed);
}

static char *
append(char *p, const char *text, size_t n)
{
    if (n)
        memcpy(p, text, n);
    return p + n;
}

char *
entry_encode(const struct entry *entry, const struct store_tags *tags, size_t *len)
{
    size_t tags_len = 0, fields_len = entry->fields.bytes + 4 * entry->fields.count;
    for (size_t i = 0; i < tags->count; i++)
        tags_len += strlen(tags->name[i]) + 1 + strlen(entry->generations.value[i]) + 1;
    size_t meta_len = entry->material.n + tags_len + fields_len + entry->range.n;
    if (meta_len > ENTRY_META_MAX)
        return NULL;
    char *data = calloc(1, ENTRY_HEAD_SIZE + meta_len);
    if (!data)
        return NULL;
    char *p = append(data + ENTRY_HEAD_SIZE, entry->material.p, entry->material.n);
    for (size_t i = 0; i < tags->count; i++) {
        p = append(p, tags->name[i], strlen(tags->name[i]));
        *p++ = ' ';
        p = append(p, entry->generations.value[i], strlen(entry->generations.value[i]));
        *p++ = '\n';
    }
    for (size_t i = 0; i < entry->fields.count; i++) {
        p = append(p, entry->fields.list[i].name.p, entry->fields.list[i].name.n);
        p = append(p, ": ", 2);
        p = append(p, entry->fields.list[i].value.p, entry->fields.list[i].value.n);
        p = append(p, "\r\n", 2);
    }
    append(p, entry->range.p, entry->range.n);
    const struct stored *stored = &entry->stored;
    memcpy(data, magic, sizeof magic);
    put_be(data + 8, entry->material.n, 4);
    put_be(data + 12, tags_len, 4);
    put_be(data + 16, fields_len, 4);
    put_be(data + 20, (uint64_t)stored->status, 2);
    put_be(data + 22, stored->flags, 2);
    put_be(data + 24, (uint64_t)stored->age_s, 4);
    put_be(data + 28, (uint64_t)stored->stale_while_s, 4);
    put_be(data + 32, (uint64_t)stored->stored_ms, 8);
    put_be(data + 40, (uint64_t)stored->ttl_ms, 8);
    put_be(data + 48, entry->body.n, 8);
    put_be(data + 56, (uint64_t)stored->stale_if_s, 4);
    put_be(data + 60, entry->range.n, 4);
    put_be(data + 64, (uint64_t)entry->range_first, 8);
    put_be(data + 72, (uint64_t)entry->total, 8);
    put_be(data + CHECKSUM_AT, checksum(data, meta_len, entry->body), 8);
    *len = ENTRY_HEAD_SIZE + meta_len;
    return data;
}

/* The tags must be those of the key, in their order. */
static bool
take_tags(struct entry *entry, const char *p, const char *end, const struct store_tags *tags)
{
    for (size_t i = 0; i < tags->count; i++) {
        size_t n = strlen(tags->name[i]);
        if ((size_t)(end - p) < n + STORE_GENERATION_LEN + 2 || memcmp(p, tags->name[i], n) != 0 ||
            p[n] != ' ' || p[n + 1 + STORE_GENERATION_LEN] != '\n')
            return false;
        memcpy(entry->generations.value[i], p + n + 1, STORE_GENERATION_LEN);
        p += n + STORE_GENERATION_LEN + 2;
    }
    entry->generations.count = tags->count;
    return p == end;
}

static bool
take_fields(struct entry *entry, const char *p, const char *end, struct arena *arena)
{
    while (p < end) {
        const char *line_end = memmem(p, (size_t)(end - p), "\r\n", 2);
        const char *colon = line_end ? memchr(p, ':', (size_t)(line_end - p)) : NULL;
        if (!colon || !fields_add(&entry->fields, arena, (struct slice){p, (size_t)(colon - p)},
                                  (struct slice){colon + 1, (size_t)(line_end - colon - 1)}))
            return false;
        p = line_end + 2;
    }
    return true;
}

/* A part must be one of a whole that has room for it. */
static bool
part_is_sound(const struct entry *entry)
{
    if (!(entry->stored.flags & STORED_PARTIAL))
        return entry->range.n == 0;
    if (!(entry->stored.flags & STORED_VERBATIM) != (entry->range.n == 0))
        return false;
    return entry->range_first >= 0 && entry->total >= -1 && entry->body.n > 0 &&
           entry->range_first <= INT64_MAX / 2 &&
           (entry->total < 0 || entry->range_first <= entry->total - (int64_t)entry->body.n);
}

static bool
times_are_sound(const struct stored *stored)
{
    return stored->stored_ms >= 0 && stored->stored_ms <= INT64_MAX / 2 &&
           stored->ttl_ms >= -DECIDE_TTL_MAX_MS && stored->ttl_ms <= DECIDE_TTL_MAX_MS;
}

bool
entry_decode(struct entry *entry, const char *data, size_t len, const struct store_tags *tags,
             struct arena *arena)
{
    *entry = (struct entry){.total = -1};
    if (len < ENTRY_HEAD_SIZE || memcmp(data, magic, sizeof magic) != 0)
        return false;
    size_t key_len = get_be(data + 8, 4), tags_len = get_be(data + 12, 4);
    size_t fields_len = get_be(data + 16, 4), range_len = get_be(data + 60, 4);
    size_t meta_len = key_len + tags_len + fields_len + range_len, rest = len - ENTRY_HEAD_SIZE;
    if (meta_len > ENTRY_META_MAX || meta_len > rest || get_be(data + 48, 8) != rest - meta_len)
        return false;
    const char *key = data + ENTRY_HEAD_SIZE, *tag_lines = key + key_len;
    const char *field_lines = tag_lines + tags_len, *range = field_lines + fields_len;
    entry->range = (struct slice){range, range_len};
    entry->body = (struct slice){range + range_len, rest - meta_len};
    if (get_be(data + CHECKSUM_AT, 8) != checksum(data, meta_len, entry->body))
        return false;
    entry->material = (struct slice){key, key_len};
    entry->range_first = (int64_t)get_be(data + 64, 8);
    entry->total = (int64_t)get_be(data + 72, 8);
    entry->stored = (struct stored){
        .status = (int)get_be(data + 20, 2),
        .fields = &entry->fields,
        .stored_ms = (int64_t)get_be(data + 32, 8),
        .ttl_ms = (int64_t)get_be(data + 40, 8),
        .age_s = (int64_t)get_be(data + 24, 4),
        .stale_while_s = (int64_t)get_be(data + 28, 4),
        .stale_if_s = (int64_t)get_be(data + 56, 4),
        .flags = (unsigned)get_be(data + 22, 2),
    };
    return entry->stored.status >= 200 && entry->stored.status <= 599 &&
           times_are_sound(&entry->stored) && part_is_sound(entry) &&
           take_tags(entry, tag_lines, field_lines, tags) &&
           take_fields(entry, field_lines, range, arena);
}

bool
entry_generations_match(const struct entry *entry, const struct store_generations *current)
{
    if (entry->generations.count != current->count)
        return false;
    for (size_t i = 0; i < current->count; i++)
        if (!current->value[i][0] ||
            memcmp(entry->generations.value[i], current->value[i], STORE_GENERATION_LEN) != 0)
            return false;
    return true;
}
