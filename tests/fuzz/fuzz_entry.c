/*
 * What lies in Redis (entry.c), which anybody may have written who can reach it.
 *
 * The input is taken twice: as it is, and as the recipe of an entry that
 * entry_encode() makes. That one must come out as it went in; then bytes of it
 * are changed where the input says so, the checksum is made right again (mere
 * damage ends there, a forger's work does not), and whatever is still decoded
 * must be within what was given, and fit to be sent.
 *
 * A recipe: four bytes of numbers, the count of changes (the low four bits) and
 * the changes, three bytes each (where: 16 bits; by what to xor), then lines
 * that end in LF: key, Range, fields, an empty one; then the body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "responder/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not for NDEBUG to switch off. */
#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

#define INPUT_MAX ((size_t)1024 * 1024)
#define CHECKSUM_AT (ENTRY_HEAD_SIZE - 8)
#define CHANGES_MAX 15

static const struct store_tags tags = {.count = 2, .name = {"all", "url:beef"}};

static const uint8_t *
take(struct slice *rest, size_t n)
{
    static const uint8_t zeros[3 * CHANGES_MAX];
    if (n > rest->n || n > sizeof zeros)
        return zeros;
    const uint8_t *p = (const uint8_t *)rest->p;
    rest->p += n;
    rest->n -= n;
    return p;
}

static struct slice
take_line(struct slice *rest)
{
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct slice line = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    rest->p += line.n + (end != NULL);
    rest->n -= line.n + (end != NULL);
    return line;
}

static void
cook(struct entry *entry, const uint8_t numbers[4], struct slice rest, struct arena *arena)
{
    *entry = (struct entry){.material = take_line(&rest), .range = take_line(&rest)};
    for (struct slice line = take_line(&rest); line.n; line = take_line(&rest)) {
        const char *colon = memchr(line.p, ':', line.n);
        size_t n = colon ? (size_t)(colon - line.p) : line.n;
        struct slice value = {line.p + n + (colon != NULL), line.n - n - (colon != NULL)};
        fields_add(&entry->fields, arena, (struct slice){line.p, n}, value);
    }
    entry->body = rest;
    entry->stored = (struct stored){
        .status = 200 + (numbers[0] & 1) * 6 + (numbers[0] & 2) * 102,
        .stored_ms = INT64_C(1700000000000) + numbers[1],
        .ttl_ms = (int64_t)numbers[2] * 1000,
        .age_s = numbers[2],
        .stale_while_s = numbers[1],
        .stale_if_s = numbers[3],
        .flags = numbers[0] >> 1,
        .fields = &entry->fields,
    };
    entry->range_first = numbers[3];
    entry->total = numbers[1] & 1 ? -1 : numbers[3] + (int64_t)entry->body.n + numbers[2];
    /* What entry_decode() refuses is for the changes to try. */
    unsigned *flags = &entry->stored.flags;
    if (entry->body.n == 0)
        *flags &= ~(unsigned)STORED_PARTIAL;
    if (!(*flags & STORED_PARTIAL))
        entry->range.n = 0;
    *flags &= ~(unsigned)STORED_VERBATIM;
    if (entry->range.n)
        *flags |= STORED_VERBATIM;
    entry->generations.count = tags.count;
    for (size_t i = 0; i < tags.count; i++)
        memset(entry->generations.value[i], "0f"[i % 2], STORE_GENERATION_LEN);
    /* As many tags of its own as the recipe says. */
    static const char *const some[] = {"tag:x", "ag:x", "g:x", ":x"};
    static const char *names[STORE_OWN_TAGS_MAX];
    static store_generation generations[STORE_OWN_TAGS_MAX];
    for (size_t i = 0; i < STORE_OWN_TAGS_MAX; i++) {
        names[i] = some[i % 4];
        memset(generations[i], "3a"[i % 2], STORE_GENERATION_LEN);
    }
    entry->own = (struct own_tags){numbers[3] % (STORE_OWN_TAGS_MAX + 1), names, generations};
    entry->identity = numbers[2] * UINT64_C(0x0101010101010101);
    entry->stored.fetch_ms = numbers[1];
}

static uint64_t
number_at(const char *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)p[i];
    return value;
}

/* As entry.h has it; true if that changed anything. */
static bool
seal(char *data, size_t len)
{
    size_t rest = len - ENTRY_HEAD_SIZE;
    uint64_t meta = number_at(data + 8, 4) + number_at(data + 12, 4) + number_at(data + 16, 4) +
                    number_at(data + 60, 4);
    if (meta > rest)
        meta = rest;
    const char *meta_at = data + ENTRY_HEAD_SIZE;
    uint64_t sum = XXH3_64bits(data, CHECKSUM_AT);
    sum = XXH3_64bits_withSeed(meta_at, (size_t)meta, sum);
    sum = XXH3_64bits_withSeed(meta_at + meta, rest - (size_t)meta, sum);
    bool changed = number_at(data + CHECKSUM_AT, 8) != sum;
    for (int i = 7; i >= 0; i--, sum >>= 8)
        data[CHECKSUM_AT + i] = (char)(sum & 0xff);
    return changed;
}

static bool
lies_in(struct slice s, const char *data, size_t len)
{
    return s.n == 0 || (s.p >= data && s.n <= len && s.p + s.n <= data + len);
}

/* Not by the function that let it in. */
static bool
is_one_line(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t')
            return false;
    return true;
}

static void
is_sound(const struct entry *entry, const char *data, size_t len)
{
    MUST(entry->stored.status >= 200 && entry->stored.status <= 599);
    MUST(entry->stored.fields == &entry->fields);
    MUST(entry->stored.stored_ms >= 0 && entry->stored.ttl_ms >= 0);
    MUST(entry->stored.ttl_ms <= STORE_TTL_MAX_S * 1000);
    MUST(lies_in(entry->material, data, len) && lies_in(entry->range, data, len));
    MUST(lies_in(entry->body, data, len));
    MUST(entry->generations.count == tags.count);
    MUST(entry->own.count <= STORE_OWN_TAGS_MAX);
    for (size_t i = 0; i < entry->own.count; i++)
        MUST(entry->own.name[i][0] && strlen(entry->own.name[i]) < STORE_TAG_SIZE &&
             strlen(entry->own.generation[i]) == STORE_GENERATION_LEN);
    MUST(entry->fields.count <= FIELDS_MAX && entry->fields.bytes <= FIELDS_BYTES_MAX);
    for (size_t i = 0; i < entry->fields.count; i++) {
        const struct field *f = &entry->fields.list[i];
        MUST(lies_in(f->name, data, len) && lies_in(f->value, data, len));
        MUST(f->name.n > 0 && is_one_line(f->name) && is_one_line(f->value));
        MUST(!memchr(f->name.p, ':', f->name.n));
    }
    if (entry->stored.flags & STORED_PARTIAL)
        MUST(entry->range_first >= 0 && entry->body.n > 0 &&
             (entry->total < 0 || entry->range_first + (int64_t)entry->body.n <= entry->total));
}

static void
is_the_same(const struct entry *a, const struct entry *b)
{
    MUST(slice_equal(a->material, b->material) && slice_equal(a->range, b->range) &&
         slice_equal(a->body, b->body));
    MUST(a->stored.status == b->stored.status && a->stored.flags == b->stored.flags);
    MUST(a->stored.stored_ms == b->stored.stored_ms && a->stored.ttl_ms == b->stored.ttl_ms &&
         a->stored.age_s == b->stored.age_s && a->stored.stale_if_s == b->stored.stale_if_s &&
         a->stored.stale_while_s == b->stored.stale_while_s);
    MUST(a->range_first == b->range_first && a->total == b->total);
    int64_t since_ms;
    MUST(a->own.count == b->own.count && a->identity == b->identity);
    MUST(a->stored.fetch_ms == b->stored.fetch_ms);
    for (size_t i = 0; i < a->own.count; i++)
        MUST(strcmp(a->own.name[i], b->own.name[i]) == 0);
    MUST(entry_judge(a, &b->generations, (const store_generation *)b->own.generation, &since_ms) ==
         ENTRY_VALID);
    MUST(a->fields.count == b->fields.count);
    for (size_t i = 0; i < a->fields.count; i++)
        MUST(slice_equal(a->fields.list[i].name, b->fields.list[i].name) &&
             slice_equal(a->fields.list[i].value, b->fields.list[i].value));
}

static void
make_and_change(struct slice recipe, struct arena *arena)
{
    struct entry in, out;
    const uint8_t *numbers = take(&recipe, 4);
    size_t changes = *take(&recipe, 1) & CHANGES_MAX;
    const uint8_t *change = take(&recipe, 3 * changes);
    cook(&in, numbers, recipe, arena);

    size_t head_len, len;
    char *head = entry_encode(&in, &tags, &head_len);
    MUST(head);
    len = head_len + in.body.n;
    char *data = malloc(len);
    MUST(data);
    memcpy(data, head, head_len);
    if (in.body.n)
        memcpy(data + head_len, in.body.p, in.body.n);
    free(head);

    MUST(entry_decode(&out, data, len, &tags, arena) == ENTRY_WHOLE);
    is_sound(&out, data, len);
    is_the_same(&in, &out);
    MUST(entry_decode(&out, data, len - 1, &tags, arena) == ENTRY_DAMAGED);
    MUST(!seal(data, len));

    for (size_t i = 0; i < changes; i++, change += 3)
        data[(change[0] * 256U + change[1]) % len] ^= (char)change[2];
    if (entry_decode(&out, data, len, &tags, arena) == ENTRY_WHOLE)
        is_sound(&out, data, len);
    if (seal(data, len) && entry_decode(&out, data, len, &tags, arena) == ENTRY_WHOLE)
        is_sound(&out, data, len);
    free(data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Of what is larger entry_encode() makes nothing. */
    if (size > INPUT_MAX / 2)
        return 0;
    struct arena *arena = arena_new((size_t)16 * 1024 * 1024);
    struct entry entry;
    const char *bytes = (const char *)data;
    MUST(arena);
    if (entry_decode(&entry, bytes, size, &tags, arena) == ENTRY_WHOLE)
        is_sound(&entry, bytes, size);
    make_and_change((struct slice){bytes, size}, arena);
    arena_free(arena);
    return 0;
}
