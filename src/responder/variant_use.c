/*
 * A hit on a variant costs no write: each process tells Redis of a variant's use
 * once in NOTE_MS, by the storer. The first use is told at once, since it is what
 * tells a variant in use from one that somebody has made up. One that is stored
 * anew may be a newcomer again (Redis had lost it), so each form of it is told of.
 *
 * What has been told stands in a small table, one word a slot: a part of the hash of
 * the key and the entry's checksum, and the second. Whoever needs the same slot takes it; then more is told
 * than needs to be, and a process that has just begun tells everything again.
 */
#include "responder/variant_use.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "client/store.h"
#include "responder/storer.h"

#define SLOTS 4096
/* Many times within the time for which a place is kept, so that one that is lost does no harm. */
#define NOTE_S 30
#define SECONDS_MASK ((uint64_t)0xfffff)

_Static_assert(NOTE_S * 1000 * 4 <= STORE_VARIANT_USED_MS, "what is in use is told in time");

static atomic_uint_least64_t told[SLOTS];

void
variant_use_note(struct site *site, const char *primary, const char *key,
                 const char checksum[ENTRY_CHECKSUM_SIZE], size_t max_variants, int64_t wall_ms)
{
    uint64_t form;
    _Static_assert(sizeof form == ENTRY_CHECKSUM_SIZE, "a checksum is a number of 64 bits");
    memcpy(&form, checksum, sizeof form);
    uint64_t hash = XXH3_64bits_withSeed(key, strlen(key), form);
    uint64_t second = (uint64_t)(wall_ms / 1000) & SECONDS_MASK;
    atomic_uint_least64_t *slot = &told[hash % SLOTS];
    uint64_t before = atomic_load_explicit(slot, memory_order_relaxed);
    bool same = ((before ^ hash) & ~SECONDS_MASK) == 0;
    if (same && ((second - before) & SECONDS_MASK) < NOTE_S)
        return;
    if (storer_touch(site, primary, key, max_variants))
        atomic_store_explicit(slot, (hash & ~SECONDS_MASK) | second, memory_order_relaxed);
}
