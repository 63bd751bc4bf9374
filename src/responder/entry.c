/*
 * A stored response as bytes. The format stands in entry.h.
 *
 * Redis is not trusted: whoever can write there could otherwise split answers
 * or run the process out of bounds. Every length is checked against what is
 * there, the checksum against what was stored, and the fields go through the
 * same gate as those of a backend.
 */
#include "responder/entry.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <xxhash.h>

static const char magic[8] = "LARDER1\n";

static void
put_be(unsigned char *p, uint64_t value, int bytes)
{
    while (bytes-- > 0) {
        p[bytes] = (unsigned char)value;
        value >>= 8;
    }
}

static uint64_t
get_be(const unsigned char *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static uint64_t
checksum(const char *meta, size_t meta_len, const char *body, size_t body_len)
{
    /* Chained instead of streamed: the streaming state is 576 bytes and slower to set up. */
    uint64_t hash = XXH3_64bits(meta, meta_len);
    return XXH3_64bits_withSeed(body ? body : "", body_len, hash);
}

static json_object *
string_of(struct slice s)
{
    return json_object_new_string_len(s.p, (int)s.n);
}

static json_object *
metadata(const struct entry *entry, const struct store_tags *tags)
{
    json_object *meta = json_object_new_object();
    json_object *headers = json_object_new_array_ext((int)entry->fields.count);
    json_object *generations = json_object_new_object();
    if (!meta || !headers || !generations) {
        json_object_put(meta);
        json_object_put(headers);
        json_object_put(generations);
        return NULL;
    }
    bool ok = true;
    ok &= json_object_object_add(meta, "key", string_of(entry->material)) == 0;
    ok &= json_object_object_add(meta, "status_code", json_object_new_int(entry->status)) == 0;
    ok &= json_object_object_add(meta, "headers", headers) == 0;
    for (size_t i = 0; ok && i < entry->fields.count; i++) {
        json_object *pair = json_object_new_array_ext(2);
        ok = pair && json_object_array_add(pair, string_of(entry->fields.list[i].name)) == 0 &&
             json_object_array_add(pair, string_of(entry->fields.list[i].value)) == 0 &&
             json_object_array_add(headers, pair) == 0;
    }
    ok &= json_object_object_add(meta, "stored", json_object_new_int64(entry->stored_ms)) == 0;
    ok &= json_object_object_add(meta, "ttl", json_object_new_int64(entry->ttl_ms)) == 0;
    ok &= json_object_object_add(meta, "age", json_object_new_int64(entry->age_s)) == 0;
    ok &= json_object_object_add(meta, "generations", generations) == 0;
    for (size_t i = 0; ok && i < tags->count; i++)
        ok = json_object_object_add(generations, tags->name[i],
                                    json_object_new_string(entry->generations.value[i])) == 0;
    if (!ok) {
        json_object_put(meta);
        return NULL;
    }
    return meta;
}

char *
entry_encode(const struct entry *entry, const struct store_tags *tags, size_t *len)
{
    json_object *meta = metadata(entry, tags);
    if (!meta)
        return NULL;
    size_t n = 0;
    const char *text = json_object_to_json_string_length(
        meta, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
    char *data = text && n <= ENTRY_META_MAX ? malloc(ENTRY_HEAD_SIZE + n) : NULL;
    if (data) {
        unsigned char *head = (unsigned char *)data;
        memcpy(head, magic, sizeof magic);
        put_be(head + 8, n, 4);
        put_be(head + 12, 0, 4);
        put_be(head + 16, entry->body.n, 8);
        put_be(head + 24, checksum(text, n, entry->body.p, entry->body.n), 8);
        memcpy(data + ENTRY_HEAD_SIZE, text, n);
        *len = ENTRY_HEAD_SIZE + n;
    }
    json_object_put(meta);
    return data;
}

static bool
take_string(json_object *value, struct arena *arena, struct slice *out)
{
    if (!json_object_is_type(value, json_type_string))
        return false;
    size_t n = (size_t)json_object_get_string_len(value);
    char *copy = arena_strndup(arena, json_object_get_string(value), n);
    *out = (struct slice){copy, n};
    return copy != NULL;
}

static bool
take_number(json_object *meta, const char *name, int64_t least, int64_t most, int64_t *out)
{
    json_object *value;
    if (!json_object_object_get_ex(meta, name, &value) ||
        !json_object_is_type(value, json_type_int))
        return false;
    *out = json_object_get_int64(value);
    return *out >= least && *out <= most;
}

static bool
take_headers(json_object *meta, struct entry *entry, struct arena *arena)
{
    json_object *headers;
    if (!json_object_object_get_ex(meta, "headers", &headers) ||
        !json_object_is_type(headers, json_type_array))
        return false;
    size_t count = json_object_array_length(headers);
    for (size_t i = 0; i < count; i++) {
        json_object *pair = json_object_array_get_idx(headers, i);
        struct slice name, value;
        if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) != 2 ||
            !take_string(json_object_array_get_idx(pair, 0), arena, &name) ||
            !take_string(json_object_array_get_idx(pair, 1), arena, &value) ||
            !fields_add(&entry->fields, arena, name, value))
            return false;
    }
    return true;
}

static bool
take_generations(json_object *meta, struct entry *entry, const struct store_tags *tags)
{
    json_object *generations;
    if (!json_object_object_get_ex(meta, "generations", &generations) ||
        !json_object_is_type(generations, json_type_object))
        return false;
    for (size_t i = 0; i < tags->count; i++) {
        json_object *value;
        if (!json_object_object_get_ex(generations, tags->name[i], &value) ||
            !json_object_is_type(value, json_type_string) ||
            json_object_get_string_len(value) != STORE_GENERATION_LEN)
            return false;
        memcpy(entry->generations.value[i], json_object_get_string(value),
               STORE_GENERATION_LEN + 1);
    }
    entry->generations.count = tags->count;
    return true;
}

static bool
take_metadata(json_object *meta, struct entry *entry, const struct store_tags *tags,
              struct arena *arena)
{
    json_object *material;
    int64_t status;
    if (!json_object_is_type(meta, json_type_object) ||
        !json_object_object_get_ex(meta, "key", &material) ||
        !take_string(material, arena, &entry->material) ||
        !take_number(meta, "status_code", 200, 599, &status) ||
        !take_number(meta, "stored", 0, INT64_MAX / 2, &entry->stored_ms) ||
        !take_number(meta, "ttl", 0, INT64_MAX / 2, &entry->ttl_ms) ||
        !take_number(meta, "age", 0, INT64_MAX / 2, &entry->age_s) ||
        !take_headers(meta, entry, arena) || !take_generations(meta, entry, tags))
        return false;
    entry->status = (int)status;
    return true;
}

bool
entry_decode(struct entry *entry, const char *data, size_t len, const struct store_tags *tags,
             struct arena *arena)
{
    *entry = (struct entry){0};
    const unsigned char *head = (const unsigned char *)data;
    if (len < ENTRY_HEAD_SIZE || memcmp(head, magic, sizeof magic) != 0)
        return false;
    uint64_t meta_len = get_be(head + 8, 4), body_len = get_be(head + 16, 8);
    size_t rest = len - ENTRY_HEAD_SIZE;
    if (get_be(head + 12, 4) != 0 || meta_len > ENTRY_META_MAX || meta_len > rest ||
        body_len != rest - meta_len)
        return false;
    const char *text = data + ENTRY_HEAD_SIZE;
    entry->body = (struct slice){text + meta_len, (size_t)body_len};
    if (get_be(head + 24, 8) != checksum(text, (size_t)meta_len, entry->body.p, entry->body.n))
        return false;
    json_tokener *tokener = json_tokener_new_ex(4);
    if (!tokener)
        return false;
    json_object *meta = json_tokener_parse_ex(tokener, text, (int)meta_len);
    bool ok = json_tokener_get_error(tokener) == json_tokener_success &&
              take_metadata(meta, entry, tags, arena);
    json_object_put(meta);
    json_tokener_free(tokener);
    return ok;
}

bool
entry_generations_match(const struct entry *entry, const struct store_generations *current)
{
    if (entry->generations.count != current->count)
        return false;
    for (size_t i = 0; i < current->count; i++)
        if (!current->value[i][0] || strcmp(entry->generations.value[i], current->value[i]) != 0)
            return false;
    return true;
}
