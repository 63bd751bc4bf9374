/*
 * Look-up.
 *
 * Under a URL's primary key stands its response, or, where its responses have
 * Vary, a marker that names the selecting fields; then the variant's key is made
 * of this request's values, and a second round trip fetches the variant. An
 * entry is only the one if its key material is this request's, byte for byte,
 * and all of its generations are those of now: the marker decides nothing.
 *
 * The generations are read before the variant. What is invalidated in between
 * was asked for after this request came, and may still be served.
 */
#include "responder/lookup.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "responder/backend_fields.h"
#include "responder/hints.h"
#include "runtime/counters.h"

/* Lookups that fail are told of once in so long. */
#define COMPLAIN_MS 60000

/* The ancestor's value instead of an entry: no generations, no age; Redis' own expiry counts. */
static bool
decode_ancestor(struct exchange *exchange, struct entry *entry, int64_t wall_ms)
{
    struct larder_response *response;
    if (larder_response_decode(exchange->lookup.value.data, exchange->lookup.value.len, &response,
                               NULL) != LARDER_OK)
        return false;
    struct arena *arena = exchange->arena;
    *entry = (struct entry){.total = -1};
    entry->stored = (struct stored){.status = response->status_code,
                                    .fields = &entry->fields,
                                    .stored_ms = wall_ms,
                                    .ttl_ms = STORE_TTL_MAX_S * 1000,
                                    .age_s = -1};
    bool ok = true;
    for (size_t i = 0; ok && i < response->header_count; i++) {
        struct slice name = slice_of(response->headers[i].name);
        struct slice value = slice_of(response->headers[i].value);
        name.p = arena_strndup(arena, name.p, name.n);
        value.p = arena_strndup(arena, value.p, value.n);
        ok = name.p && value.p && fields_add(&entry->fields, arena, name, value);
    }
    char *body = malloc(response->body_len ? response->body_len : 1);
    ok = ok && body;
    if (ok) {
        if (response->body_len)
            memcpy(body, response->body, response->body_len);
        entry->body = (struct slice){body, response->body_len};
        store_value_free(&exchange->lookup.value);
        exchange->lookup.value.data = body;
        exchange->lookup.value.len = response->body_len;
    } else {
        free(body);
    }
    larder_response_free(response);
    fields_remove_hop_by_hop(&entry->fields);
    return ok;
}

/*
 * The ancestor stored whatever came. What we would not have stored is not
 * served either: another visitor's Set-Cookie, a private page, an error.
 */
static bool
may_be_served(const struct exchange *exchange, const struct entry *entry, int64_t wall_ms)
{
    struct request_facts facts = exchange->facts;
    facts.method = slice_of("GET"); /* whose entry answers HEAD as well */
    const struct response_times now = {wall_ms, wall_ms, wall_ms};
    struct store_decision decision =
        decide_store(&exchange->policy, &facts, entry->stored.status, &entry->fields, &now);
    return decision.reason == REASON_NONE && decision.ttl_ms > 0 &&
           !fields_get(&entry->fields, "Vary").p;
}

/*
 * The generations of the tags that an entry brought. Those that a hint has named
 * came with it; if one is missing all are asked for now. What is invalidated
 * between the two round trips was asked for after this request came.
 */
static bool
own_generations(const struct exchange *exchange, const struct entry *entry,
                const struct store_tags *asked, store_generation *out, uint64_t *identity,
                int64_t deadline_ms)
{
    const struct own_tags *own = &entry->own;
    const struct store_generations *current = &exchange->lookup.value.current;
    size_t known = 0;
    for (size_t i = 0; asked && i < own->count && known == i; i++)
        for (size_t k = 0; k < asked->count && known == i; k++)
            if (strcmp(asked->name[k], own->name[i]) == 0) {
                memcpy(out[i], current->value[k], sizeof out[i]);
                known++;
            }
    *identity = exchange->lookup.value.identity;
    if (known == own->count)
        return true;
    hints_learn(exchange->key.name, own);
    return store_current(exchange->site->cache, own->name, own->count, deadline_ms, out, identity,
                         NULL) == LARDER_OK;
}

/* What the generations say about an entry; asked: the tags that were asked for with it. */
static enum reason
judge(struct exchange *exchange, struct entry *entry, const struct store_tags *asked,
      int64_t wall_ms, int64_t deadline_ms)
{
    store_generation own[STORE_OWN_TAGS_MAX];
    uint64_t identity = exchange->lookup.identity;
    int64_t since_ms = 0;
    if (entry->own.count > 0 &&
        !own_generations(exchange, entry, asked, own, &identity, deadline_ms))
        return REASON_NO_GENERATIONS;
    if (identity != exchange->lookup.identity ||
        (entry->identity != identity && !exchange->site->config->trust_restart))
        return REASON_OTHER_SERVER;
    enum entry_state state = entry_judge(entry, &exchange->lookup.generations, own, &since_ms);
    if (state == ENTRY_DEAD)
        return REASON_INVALIDATED;
    if (state == ENTRY_SOFT) {
        /* Stale from then on, whatever the clocks of this machine and of Redis say: now at the
         * latest. */
        if (since_ms > wall_ms)
            since_ms = wall_ms;
        int64_t ttl_ms = since_ms - entry->stored.stored_ms;
        int64_t resident_ms = wall_ms - entry->stored.stored_ms;
        if (ttl_ms > resident_ms)
            ttl_ms = resident_ms;
        if (ttl_ms < entry->stored.ttl_ms)
            entry->stored.ttl_ms = ttl_ms;
    }
    /* What they are worth now is what a validation of the entry is made under. */
    for (size_t i = 0; i < entry->own.count; i++)
        memcpy(entry->own.generation[i], own[i], sizeof own[i]);
    return REASON_NONE;
}

/* The bytes in exchange->lookup.value, as an entry for this request. */
static enum reason
examine(struct exchange *exchange, const struct store_tags *asked, int64_t wall_ms)
{
    struct entry *entry = &exchange->lookup.entry;
    bool ancestor = exchange->site->config->compat_ancestor;
    enum entry_decoded decoded = ENTRY_DAMAGED;
    if (!ancestor)
        decoded = entry_decode(entry, exchange->lookup.value.data, exchange->lookup.value.len,
                               &exchange->key.tags, exchange->arena);
    else if (decode_ancestor(exchange, entry, wall_ms))
        decoded = ENTRY_WHOLE;
    if (decoded == ENTRY_RETAGGED)
        return REASON_TAGS_CHANGED;
    if (decoded == ENTRY_DAMAGED) {
        counters_add(COUNTER_corrupt, 1);
        log_write(LARDER_LOG_WARNING, "entry %s is not one of ours or damaged: taken as a miss",
                  exchange->key.name);
        return REASON_MISS;
    }
    if (ancestor)
        return may_be_served(exchange, entry, wall_ms) ? REASON_NONE : REASON_MISS;
    if (!slice_equal(entry->material, exchange->key.material))
        return REASON_MISS;
    enum reason reason = judge(exchange, entry, asked, wall_ms, exchange->redis_until_ms);
    return reason == REASON_NONE && (entry->stored.flags & STORED_HIT_FOR_MISS)
               ? REASON_HIT_FOR_MISS
               : reason;
}

/* Without it an operator would see misses and no reason: an error reply opens no breaker. */
static void
log_failure(const struct larder_error *err)
{
    static atomic_llong next_ms;
    long long now_ms = clock_now_ms(), due_ms = atomic_load(&next_ms);
    if (now_ms >= due_ms && atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + COMPLAIN_MS))
        log_write(LARDER_LOG_WARNING, "not looked up, and taken as a miss: %s", err->message);
}

static void
note_failure(struct exchange *exchange, const struct larder_error *err)
{
    counters_add(COUNTER_redis_errors, 1);
    log_failure(err);
    exchange->lookup.redis_failure =
        arena_strndup(exchange->arena, err->message, strlen(err->message));
}

static enum larder_status
get(struct exchange *exchange, const struct store_tags *tags, int64_t deadline_ms)
{
    const struct config *config = exchange->site->config;
    struct larder_error err;
    size_t most = config->max_object + ENTRY_META_MAX + ENTRY_HEAD_SIZE;
    if (config->compat_ancestor)
        most = 2 * config->max_object + ENTRY_META_MAX; /* base64 and JSON escapes */
    struct lookup *lookup = &exchange->lookup;
    store_value_free(&lookup->value);
    memset(lookup->stands, 0, sizeof lookup->stands);
    enum larder_status status = store_lookup(exchange->site->cache, exchange->key.name, tags, most,
                                             deadline_ms, &lookup->value, &err);
    if (status != LARDER_OK && status != LARDER_MISS)
        log_write(LARDER_LOG_DEBUG, "lookup of %s: %s", exchange->key.name, err.message);
    /* LARDER_CORRUPT: stored while max_object was larger. */
    if (status != LARDER_OK && status != LARDER_MISS && status != LARDER_CORRUPT)
        note_failure(exchange, &err);
    if (status == LARDER_OK && lookup->value.len >= ENTRY_HEAD_SIZE)
        memcpy(lookup->stands, lookup->value.data + ENTRY_CHECKSUM_AT, sizeof lookup->stands);
    return status;
}

/* The variant that this request selects. */
static enum reason
follow_marker(struct exchange *exchange, int64_t wall_ms)
{
    struct store_tags asked = {.count = 0};
    struct fields selecting = {0};
    if (!marker_decode(&exchange->lookup.marker, exchange->lookup.value.data,
                       exchange->lookup.value.len, exchange->arena)) {
        counters_add(COUNTER_corrupt, 1);
        return REASON_MISS;
    }
    exchange->lookup.has_marker = true;
    if (!exchange->opening.opened)
        exchange->opening.opened = &exchange->lookup.marker.vary;
    else if (exchange->opening.opened != &exchange->lookup.marker.vary &&
             !exchange_open(exchange, &exchange->lookup.marker.vary))
        return REASON_NO_MEMORY;
    if (!backend_fields(&selecting, exchange, exchange->opening.opened) ||
        !key_select(&exchange->key, &exchange->lookup.marker.vary, &selecting, exchange->arena))
        return REASON_NO_MEMORY;
    hints_add(&asked, exchange->key.name, exchange->arena);
    enum larder_status status = get(exchange, &asked, exchange->redis_until_ms);
    exchange->lookup.unseen = status != LARDER_OK && status != LARDER_MISS;
    if (status != LARDER_OK)
        return REASON_VARY_MISS;
    enum reason reason = examine(exchange, &asked, wall_ms);
    return reason == REASON_MISS ? REASON_VARY_MISS : reason;
}

/* Is there a mutation of which nobody knows, and for which a purge is overdue? *failed: nobody can
 * say, because Redis does not. */
static bool
is_overdue(struct exchange *exchange, bool *failed)
{
    struct larder_error err;
    *failed = false;
    if (exchange->site->config->compat_ancestor)
        return false;
    enum larder_status status =
        store_may_use(exchange->site->cache, exchange->redis_until_ms, &err);
    *failed = status != LARDER_OK && status != LARDER_MISS;
    if (*failed)
        note_failure(exchange, &err);
    return status == LARDER_MISS;
}

void
lookup(struct exchange *exchange, int64_t wall_ms)
{
    bool failed;
    exchange->lookup.missing = REASON_MISS;
    exchange->lookup.has_entry = exchange->lookup.has_marker = false;
    exchange->lookup.unseen = true;
    /* What Redis has may be what somebody has been told is gone. */
    if (site_distrusts_redis(exchange->site)) {
        exchange->lookup.missing = REASON_JOURNAL;
        return;
    }
    /* Before what is stored is read: whoever purges after that purges for who comes after us. */
    bool overdue = is_overdue(exchange, &failed);
    if (failed)
        return;
    struct store_tags asked = exchange->key.tags;
    hints_add(&asked, exchange->key.name, exchange->arena);
    enum larder_status status = get(exchange, &asked, exchange->redis_until_ms);
    if (status != LARDER_OK && status != LARDER_MISS && status != LARDER_CORRUPT)
        return;
    exchange->lookup.redis_answered = true;
    exchange->lookup.generations = exchange->lookup.value.current;
    exchange->lookup.generations.count = exchange->key.tags.count;
    exchange->lookup.identity = exchange->lookup.value.identity;
    exchange->lookup.generations_complete = exchange_has_generations(exchange);
    exchange->lookup.unseen = status != LARDER_MISS;
    if (overdue)
        exchange->lookup.missing = REASON_SILENT;
    if (status != LARDER_OK || overdue)
        return;
    bool marker = !exchange->site->config->compat_ancestor &&
                  marker_is_one(exchange->lookup.value.data, exchange->lookup.value.len);
    exchange->lookup.unseen = false;
    exchange->lookup.missing = marker ? follow_marker(exchange, wall_ms)
                                      : examine(exchange, &asked, wall_ms);
    exchange->lookup.unseen |= exchange->lookup.missing == REASON_NO_GENERATIONS ||
                               exchange->lookup.missing == REASON_NO_MEMORY;
    exchange->lookup.has_entry = exchange->lookup.missing == REASON_NONE;
    exchange->lookup.found = exchange->key.name;
}
