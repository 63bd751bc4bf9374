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

static const char magic[8] = "LARDER3\n";

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
    uint64_t seed = XXH3_64bits(data, ENTRY_CHECKSUM_AT);
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

static char *
append_tag(char *p, const char *tag, const store_generation generation)
{
    p = append(p, tag, strlen(tag));
    *p++ = ' ';
    p = append(p, generation, STORE_GENERATION_LEN);
    *p++ = '\n';
    return p;
}

/* Without a settled generation for each tag it would be dead as soon as it is stored. */
static bool
is_complete(const struct entry *entry, const struct store_tags *tags)
{
    if (entry->generations.count != tags->count)
        return false;
    for (size_t i = 0; i < tags->count; i++)
        if (!store_generation_settled(entry->generations.value[i]))
            return false;
    for (size_t i = 0; i < entry->own.count; i++)
        if (!store_generation_settled(entry->own.generation[i]))
            return false;
    return true;
}

char *
entry_encode(const struct entry *entry, const struct store_tags *tags, size_t *len)
{
    if (!is_complete(entry, tags))
        return NULL;
    size_t tags_len = 0, fields_len = entry->fields.bytes + 4 * entry->fields.count;
    for (size_t i = 0; i < tags->count; i++)
        tags_len += strlen(tags->name[i]) + STORE_GENERATION_LEN + 2;
    for (size_t i = 0; i < entry->own.count; i++)
        tags_len += strlen(entry->own.name[i]) + STORE_GENERATION_LEN + 2;
    size_t meta_len = entry->material.n + tags_len + fields_len + entry->range.n;
    if (meta_len > ENTRY_META_MAX)
        return NULL;
    char *data = calloc(1, ENTRY_HEAD_SIZE + meta_len);
    if (!data)
        return NULL;
    char *p = append(data + ENTRY_HEAD_SIZE, entry->material.p, entry->material.n);
    for (size_t i = 0; i < tags->count; i++)
        p = append_tag(p, tags->name[i], entry->generations.value[i]);
    for (size_t i = 0; i < entry->own.count; i++)
        p = append_tag(p, entry->own.name[i], entry->own.generation[i]);
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
    put_be(data + 80, entry->identity, 8);
    put_be(data + 88, (uint64_t)stored->fetch_ms, 4);
    put_be(data + ENTRY_CHECKSUM_AT, checksum(data, meta_len, entry->body), 8);
    *len = ENTRY_HEAD_SIZE + meta_len;
    return data;
}

/* The generation behind a tag's name and its blank. */
static bool
take_generation(const char *p, store_generation out)
{
    for (size_t i = 0; i < STORE_GENERATION_LEN; i++)
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
    memcpy(out, p, STORE_GENERATION_LEN);
    out[STORE_GENERATION_LEN] = '\0';
    return p[STORE_GENERATION_LEN] == '\n';
}

/* One tag line: the name is what is before the blank. Returns what follows it; NULL: it is none. */
static const char *
take_tag(const char *p, const char *end, struct slice *name, store_generation generation)
{
    const char *blank = memchr(p, ' ', (size_t)(end - p));
    *name = (struct slice){p, blank ? (size_t)(blank - p) : 0};
    if (name->n == 0 || name->n >= STORE_TAG_SIZE || memchr(p, '\0', name->n) ||
        (size_t)(end - blank) < STORE_GENERATION_LEN + 2 || !take_generation(blank + 1, generation))
        return NULL;
    return blank + STORE_GENERATION_LEN + 2;
}

/*
 * The key's tags in their order, then those that the response brought. Where the
 * first are others than the key has now, somebody has changed the route's tags: of
 * such an entry nobody can say any more whether it was invalidated.
 */
static enum entry_decoded
take_tags(struct entry *entry, const char *p, const char *end, const struct store_tags *tags,
          struct arena *arena)
{
    struct own_tags *own = &entry->own;
    store_generation generation;
    struct slice name;
    bool retagged = false;
    size_t count = 0;
    for (; p < end; count++) {
        p = take_tag(p, end, &name, generation);
        if (!p)
            return ENTRY_DAMAGED;
        if (count < tags->count) {
            memcpy(entry->generations.value[count], generation, sizeof generation);
            retagged |= !slice_equal(name, slice_of(tags->name[count]));
            continue;
        }
        if (count == tags->count) {
            own->name = arena_calloc(arena, STORE_OWN_TAGS_MAX, sizeof *own->name);
            own->generation = arena_calloc(arena, STORE_OWN_TAGS_MAX, sizeof *own->generation);
        }
        if (own->count == STORE_OWN_TAGS_MAX)
            retagged = true; /* it had more tags of the key's */
        if (retagged)
            continue;
        if (!own->name || !own->generation ||
            !(own->name[own->count] = arena_strndup(arena, name.p, name.n)))
            return ENTRY_DAMAGED;
        memcpy(own->generation[own->count++], generation, sizeof generation);
    }
    entry->generations.count = tags->count;
    return retagged || count < tags->count ? ENTRY_RETAGGED : ENTRY_WHOLE;
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

enum entry_decoded
entry_decode(struct entry *entry, const char *data, size_t len, const struct store_tags *tags,
             struct arena *arena)
{
    *entry = (struct entry){.total = -1};
    if (len < ENTRY_HEAD_SIZE || memcmp(data, magic, sizeof magic) != 0)
        return ENTRY_DAMAGED;
    size_t key_len = get_be(data + 8, 4), tags_len = get_be(data + 12, 4);
    size_t fields_len = get_be(data + 16, 4), range_len = get_be(data + 60, 4);
    size_t meta_len = key_len + tags_len + fields_len + range_len, rest = len - ENTRY_HEAD_SIZE;
    if (meta_len > ENTRY_META_MAX || meta_len > rest || get_be(data + 48, 8) != rest - meta_len)
        return ENTRY_DAMAGED;
    const char *key = data + ENTRY_HEAD_SIZE, *tag_lines = key + key_len;
    const char *field_lines = tag_lines + tags_len, *range = field_lines + fields_len;
    entry->range = (struct slice){range, range_len};
    entry->body = (struct slice){range + range_len, rest - meta_len};
    if (get_be(data + ENTRY_CHECKSUM_AT, 8) != checksum(data, meta_len, entry->body))
        return ENTRY_DAMAGED;
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
        .fetch_ms = (int64_t)get_be(data + 88, 4),
        .flags = (unsigned)get_be(data + 22, 2),
    };
    entry->identity = get_be(data + 80, 8);
    memcpy(entry->checksum, data + ENTRY_CHECKSUM_AT, sizeof entry->checksum);
    if (entry->stored.status < 200 || entry->stored.status > 599 ||
        !times_are_sound(&entry->stored) || !part_is_sound(entry) ||
        !take_fields(entry, field_lines, range, arena))
        return ENTRY_DAMAGED;
    return take_tags(entry, tag_lines, field_lines, tags, arena);
}

size_t
entry_tags(const char *head, size_t len, const char **tags, store_generation *values, size_t most,
           struct arena *arena)
{
    if (len < ENTRY_HEAD_SIZE || memcmp(head, magic, sizeof magic) != 0)
        return 0;
    const char *p = head + ENTRY_HEAD_SIZE + get_be(head + 8, 4), *end = p + get_be(head + 12, 4);
    struct slice name;
    size_t n = 0;
    for (; n < most && p < end; n++) {
        p = take_tag(p, end, &name, values[n]);
        if (!p || !(tags[n] = arena_strndup(arena, name.p, name.n)))
            return 0;
    }
    return n;
}

/* One tag: what it was worth then, and what it is worth now. */
static enum entry_state
compare(const store_generation then, const store_generation now, int64_t *stale_since_ms)
{
    if (memcmp(then, ENTRY_NO_GENERATION, STORE_GENERATION_LEN) == 0)
        return ENTRY_VALID;
    if (!store_generation_settled(now) || memcmp(then, now, STORE_HARD_LEN) != 0)
        return ENTRY_DEAD;
    if (memcmp(then, now, STORE_GENERATION_LEN) == 0)
        return ENTRY_VALID;
    int64_t since_ms = store_soft_time_ms(now);
    if (since_ms < *stale_since_ms)
        *stale_since_ms = since_ms;
    return ENTRY_SOFT;
}

enum entry_state
entry_judge(const struct entry *entry, const struct store_generations *current,
            const store_generation *own, int64_t *stale_since_ms)
{
    enum entry_state worst = ENTRY_VALID;
    *stale_since_ms = INT64_MAX;
    if (entry->generations.count != current->count)
        return ENTRY_DEAD;
    for (size_t i = 0; i < current->count && worst != ENTRY_DEAD; i++) {
        enum entry_state state =
            compare(entry->generations.value[i], current->value[i], stale_since_ms);
        worst = state > worst ? state : worst;
    }
    for (size_t i = 0; i < entry->own.count && worst != ENTRY_DEAD; i++) {
        enum entry_state state = compare(entry->own.generation[i], own[i], stale_since_ms);
        worst = state > worst ? state : worst;
    }
    return worst;
}
