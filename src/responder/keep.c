/*
 * What is kept of a response.
 *
 * The decision is http/decide.h's; here stand the things that it cannot know:
 * the generations that were read before the backend was asked, the limit on
 * bodies, where variants go, and how parts of a whole are put together.
 *
 * A part that is shorter than its Content-Range says is an incomplete one
 * (RFC 9111 §3.3): the bytes that are there serve the ranges inside of them, the
 * very same Range gets what the backend gave for it, and it is combined with
 * nothing.
 */
#include "responder/keep.h"

#include "base/clock.h"
#include "http/condition.h"
#include "http/date.h"
#include "http/range.h"
#include "http/response_tags.h"
#include "responder/opening.h"
#include "responder/own_tags.h"
#include "responder/storer.h"
#include "runtime/counters.h"

/* So long a mark lives that may be one visitor's fault. */
#define IN_DOUBT_MS 2000

/* ------------------------------------------------------------------------ deciding */

/* A coding that nobody says depends on Accept-Encoding does all the same: a visitor who cannot read
 * it must not get it. */
static const char *
implied_name(const struct fields *fields)
{
    struct slice coding = fields_get(fields, "Content-Encoding");
    return coding.n && !slice_equal_nocase(coding, "identity") ? "accept-encoding" : NULL;
}

/*
 * The key under which a response with this Vary stands. What selects at a URL are
 * the fields that all its responses name together, as the marker has them: an
 * answer without Vary is then one for requests like the one that brought it, and
 * takes nothing away from those that have one (RFC 9111 §4.1).
 */
static enum reason
choose_key(struct kept *kept, struct exchange *exchange, const struct ask *ask)
{
    struct vary vary, all;
    if (exchange->site->config->compat_ancestor)
        return fields_get(kept->fields, "Vary").p ? REASON_VARY : REASON_NONE;
    if (!vary_parse(&vary, kept->fields, implied_name(kept->fields), exchange->arena))
        return REASON_NO_MEMORY;
    if (vary.star)
        return REASON_VARY_STAR;
    if (vary.invalid)
        return REASON_VARY;
    size_t own = vary.count;
    if (exchange->lookup.has_marker && vary_union(&all, &exchange->lookup.marker.vary, &vary))
        vary = all;
    if (!opening_add_names(&vary, exchange, ask))
        return REASON_NO_MEMORY;
    if (vary.invalid)
        return REASON_VARY;
    kept->names_all = own == vary.count;
    key_unselect(&exchange->key);
    if (vary.count == 0)
        return REASON_NONE;
    kept->names = vary_format(&vary, exchange->arena);
    return kept->names.p && key_select(&exchange->key, &vary, &ask->base, exchange->arena)
               ? REASON_NONE
               : REASON_NO_MEMORY;
}

/* A 206 is one only if a range was asked for, and says which it is. */
static enum reason
part_of(struct kept *kept, const struct exchange *exchange, const struct ask *ask)
{
    struct byte_range range;
    if (kept->status != 206)
        return fields_get(kept->fields, "Content-Range").p && kept->status == 200 && ask->range
                   ? REASON_CONTENT_RANGE
                   : REASON_NONE;
    if (!ask->range ||
        !range_content_parse(fields_get(kept->fields, "Content-Range"), &range, &kept->total))
        return REASON_CONTENT_RANGE;
    struct slice asked = fields_get(&exchange->request.fields, "Range");
    kept->part = true;
    kept->range_first = range.first;
    kept->told = range.last - range.first + 1;
    /* The request lies in the connection, which is gone when this is stored. */
    kept->range = (struct slice){arena_strndup(exchange->arena, asked.p, asked.n), asked.n};
    return kept->range.p ? REASON_NONE : REASON_NO_MEMORY;
}

static enum reason
limits(struct exchange *exchange, const struct fields *fields)
{
    struct slice length = fields_get(fields, "Content-Length");
    int64_t n;
    /* It stops counting at 2 GiB, far beyond what max_object may be. */
    if (http_seconds_parse(length, &n) && n > (int64_t)exchange->site->config->max_object) {
        counters_add(COUNTER_store_too_large, 1);
        return REASON_TOO_LARGE;
    }
    if (exchange->lookup.missing == REASON_JOURNAL)
        return REASON_JOURNAL;
    if (!exchange->lookup.generations_complete)
        return REASON_NO_GENERATIONS;
    return REASON_NONE;
}

/* A 206 need not repeat the tags of the part that it will be joined to (RFC 9110 §15.3.7). */
static const struct own_tags *
parts_tags(const struct exchange *exchange)
{
    bool part = exchange->lookup.has_entry &&
                (exchange->lookup.entry.stored.flags & STORED_PARTIAL);
    return part ? &exchange->lookup.entry.own : NULL;
}

static int64_t
fetch_time_ms(const struct response_times *times)
{
    int64_t ms = times->response_ms - times->request_ms;
    return ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : ms;
}

bool
keep_is_crowded(const struct exchange *exchange)
{
    struct larder *cache = exchange->site->cache;
    int64_t until_ms = clock_now_ms() + exchange->site->config->budget_ms;
    bool admitted = true;
    if (!exchange->lookup.has_marker || exchange->lookup.missing != REASON_VARY_MISS ||
        exchange->key.name == exchange->key.primary)
        return false;
    return store_variant_admit(cache, exchange->key.primary, exchange->key.name, 0,
                               store_clock_ms(cache), (size_t)exchange->match.route->variants,
                               until_ms, &admitted, NULL) == LARDER_OK &&
           !admitted;
}

void
keep_decide(struct kept *kept, struct exchange *exchange, const struct ask *ask, int status,
            const struct fields *fields, const struct response_times *times)
{
    *kept = (struct kept){.status = status,
                          .fields = fields,
                          .head_wall_ms = times->response_ms,
                          .fetch_ms = fetch_time_ms(times),
                          .total = -1};
    struct request_facts facts = exchange->facts;
    if (!ask->head)
        facts.method = slice_of("GET"); /* as which a HEAD may have been asked */
    kept->decision = decide_store(&exchange->policy, &facts, status, fields, times);
    enum reason *reason = &kept->decision.reason;
    /* Answers to a condition or a range say nothing to those who did not ask so. */
    if (*reason == REASON_NONE && (status == 304 || status == 412 || status == 416))
        *reason = REASON_STATUS;
    if (*reason == REASON_NONE)
        *reason = part_of(kept, exchange, ask);
    if (*reason == REASON_NONE)
        *reason = choose_key(kept, exchange, ask);
    kept->shared = decision_shares(&kept->decision);
    if (*reason == REASON_NONE)
        *reason = limits(exchange, fields);
    const struct own_tags *before = kept->part || ask->completes ? parts_tags(exchange) : NULL;
    if (*reason == REASON_NONE)
        *reason = own_tags_find(&kept->own, exchange, fields, before);
    if (*reason == REASON_NONE)
        *reason = own_tags_prove(&kept->own, exchange, before);
    if (*reason == REASON_INVALIDATED)
        counters_add(COUNTER_unproven, 1);
    kept->crowded = *reason == REASON_NONE && keep_is_crowded(exchange);
}

bool
keep_is_unproven(const struct kept *kept)
{
    switch (kept->decision.reason) {
    case REASON_JOURNAL:
    case REASON_INVALIDATED:
    case REASON_NO_GENERATIONS:
    case REASON_OTHER_SERVER:
        return true;
    default:
        return false;
    }
}

/* ------------------------------------------------------------------------- storing */

/* Is it about the bytes of this part alone (RFC 9530 §2), which may be joined to another? */
static bool
is_of_one_part(struct slice name)
{
    return slice_equal_nocase(name, "Content-Range") ||
           slice_equal_nocase(name, "Content-Digest") || slice_equal_nocase(name, "Content-MD5");
}

/* The fields of a response as they are kept: without what is said anew each time. */
static bool
stored_fields(struct fields *out, const struct kept *kept, const struct exchange *exchange,
              bool with_range)
{
    struct arena *arena = exchange->arena;
    struct cache_control cc;
    bool targeted;
    cache_control_of_response(&cc, kept->fields, &targeted);
    for (size_t i = 0; i < kept->fields->count; i++) {
        const struct field *f = &kept->fields->list[i];
        bool tags = exchange->site->config->response_tags == RESPONSE_TAGS_STRIP &&
                    response_tags_is_field(f->name);
        if (tags || response_field_is_left_out(&exchange->policy, &cc, f) ||
            (!with_range && is_of_one_part(f->name)))
            continue;
        if (!fields_add(out, arena, f->name, f->value))
            return false;
    }
    if (fields_get(out, "Date").p)
        return true;
    /* RFC 9110 §6.6.1: a recipient with a clock records when it came. */
    char date[HTTP_DATE_SIZE];
    http_date_format(kept->head_wall_ms / 1000, date);
    char *copy = arena_strndup(arena, date, sizeof date - 1);
    return copy && fields_add(out, arena, slice_of("Date"), slice_of(copy));
}

static char *
encode_ancestor(const struct kept *kept, const struct fields *fields, struct slice body,
                struct arena *arena, size_t *len)
{
    struct larder_header *headers = arena_calloc(arena, fields->count + 1, sizeof *headers);
    if (!headers)
        return NULL;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->list[i];
        headers[i].name = arena_strndup(arena, f->name.p, f->name.n);
        headers[i].value = arena_strndup(arena, f->value.p, f->value.n);
        if (!headers[i].name || !headers[i].value)
            return NULL;
    }
    struct larder_response response = {.status_code = kept->status,
                                       .headers = headers,
                                       .header_count = fields->count,
                                       .body = body.p,
                                       .body_len = body.n};
    char *text = NULL;
    return larder_response_encode(&response, &text, len, NULL) == LARDER_OK ? text : NULL;
}

static void
not_stored(const struct keep_after *after)
{
    if (after->fn)
        after->fn(after->arg, false);
}

/* What a variant needs besides. */
static void
add_variant(struct storer_item *item, const struct exchange *exchange, struct slice names,
            bool names_all)
{
    if (names.n == 0)
        return;
    item->primary = exchange->key.primary;
    item->names = names;
    item->names_all = names_all;
    item->max_variants = (size_t)exchange->match.route->variants;
}

/* Hand head and body to the storer. now: before anything else. */
static void
put(const struct kept *kept, struct exchange *exchange, const struct entry *entry,
    struct spool *body, bool now, const struct keep_after *after)
{
    const struct config *config = exchange->site->config;
    struct cache_key *key = &exchange->key;
    /* What of its time a long body has taken is over. */
    int64_t passed_ms = store_clock_ms(exchange->site->cache) - kept->head_wall_ms;
    if (passed_ms < 0) /* the clock has been set back */
        passed_ms = 0;
    /* To the ancestor what is in Redis is fresh. */
    int64_t life_ms = config->compat_ancestor ? kept->decision.ttl_ms : kept->decision.keep_ms;
    int64_t left_ms = life_ms - (passed_ms > 0 ? passed_ms : 0);
    if (left_ms <= 0) {
        not_stored(after);
        return;
    }
    size_t len = 0;
    char *head = config->compat_ancestor
                     ? encode_ancestor(kept, &entry->fields, entry->body, exchange->arena, &len)
                     : entry_encode(entry, &key->tags, &len);
    if (!head) {
        counters_add(COUNTER_store_failed, 1);
        not_stored(after);
        return;
    }
    struct storer_item item = {.key = key->name,
                               .head = head,
                               .head_len = len,
                               .body = config->compat_ancestor ? NULL : body, /* else in the JSON */
                               .ttl_ms = left_ms,
                               .done = after->fn,
                               .arg = after->arg};
    /* Only in place of the very entry that was validated: another one may be newer. */
    if (kept->replaces && !config->compat_ancestor)
        item.replaces = exchange->lookup.entry.checksum;
    add_variant(&item, exchange, kept->names, kept->names_all);
    if (now)
        storer_put_now(exchange->site, &item, clock_now_ms() + config->budget_ms);
    else
        storer_put(exchange->site, &item);
}

static void
describe(struct entry *entry, const struct kept *kept, const struct exchange *exchange)
{
    const struct store_decision *decision = &kept->decision;
    size_t default_tag = exchange->key.default_tag;
    entry->material = exchange->key.material;
    entry->generations = exchange->lookup.generations;
    if (default_tag > 0 && kept->own.count > 0)
        memcpy(entry->generations.value[default_tag - 1], ENTRY_NO_GENERATION,
               sizeof(store_generation));
    entry->identity = exchange->lookup.identity;
    entry->own = kept->own;
    entry->stored = (struct stored){.status = kept->status,
                                    .fields = &entry->fields,
                                    .stored_ms = kept->head_wall_ms,
                                    .ttl_ms = decision->ttl_ms,
                                    .age_s = decision->age_s,
                                    .stale_while_s = decision->stale_while_s,
                                    .stale_if_s = decision->stale_if_s,
                                    .fetch_ms = kept->fetch_ms,
                                    .flags = decision->flags};
}

/*
 * Two parts of one representation that overlap or touch become one (RFC 9111
 * §3.4); where both have a byte the newer one's counts. NULL: they do not fit, or
 * there is no room; nothing has changed.
 */
static struct spool *
combine(struct kept *kept, const struct exchange *exchange, struct slice body)
{
    const struct entry *old = &exchange->lookup.entry;
    if (!exchange->lookup.has_entry || !(old->stored.flags & STORED_PARTIAL) ||
        (old->stored.flags & STORED_VERBATIM) || old->total != kept->total || kept->total < 0 ||
        !slice_equal(old->material, exchange->key.material) ||
        !range_may_combine(&old->fields, kept->fields, kept->head_wall_ms / 1000) ||
        !range_may_combine(kept->fields, &old->fields, kept->head_wall_ms / 1000))
        return NULL;
    int64_t old_end = old->range_first + (int64_t)old->body.n;
    int64_t new_end = kept->range_first + (int64_t)body.n;
    if (kept->range_first > old_end || old->range_first > new_end)
        return NULL;
    int64_t first = old->range_first < kept->range_first ? old->range_first : kept->range_first;
    int64_t end = old_end > new_end ? old_end : new_end;
    struct spool *both = spool_new(end - first, exchange->site->config->max_object);
    if (!both)
        return NULL;
    /* Up to the newer one, the newer one, and what the older one has beyond it. */
    int64_t before = kept->range_first - first, after = end - new_end;
    spool_append(both, old->body.p, (size_t)before);
    spool_append(both, body.p, body.n);
    spool_append(both, old->body.p + old->body.n - after, (size_t)after);
    spool_end(both, true);
    kept->range_first = first;
    return both;
}

struct spool *
keep_spool(const struct kept *kept, const struct exchange *exchange, int64_t length)
{
    struct entry entry = {.total = -1};
    struct spool *spool = spool_new(length, exchange->site->config->max_object);
    if (!spool || kept->part)
        return spool;
    if (stored_fields(&entry.fields, kept, exchange, true)) {
        describe(&entry, kept, exchange);
        if (spool_describe(spool, &entry, kept->names))
            return spool;
    }
    spool_give(spool);
    return NULL;
}

void
keep_hold(const struct kept *kept, const struct exchange *exchange)
{
    struct larder *cache = exchange->site->cache;
    const struct store_tags *tags = &exchange->key.tags;
    int64_t until_ms = clock_now_ms() + exchange->site->config->budget_ms;
    if (exchange->site->config->compat_ancestor)
        return;
    /* What fails costs a fetch later. */
    const struct store_lives lives[] = {
        {tags->name, (const store_generation *)exchange->lookup.generations.value, tags->count},
        {kept->own.name, (const store_generation *)kept->own.generation, kept->own.count}};
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++)
        (void)store_generations_keep(cache, &lives[i], kept->decision.keep_ms, until_ms, NULL);
}

/* Of a part it is known now what it is. */
static void
store_part(struct kept *kept, struct exchange *exchange, struct spool *spool,
           const struct keep_after *after)
{
    struct entry entry = {.total = -1};
    struct slice body = spool_body(spool);
    bool verbatim = (int64_t)body.n < kept->told;
    if (body.n == 0 || (int64_t)body.n > kept->told) {
        not_stored(after); /* of no range that anybody could know */
        return;
    }
    struct spool *both = verbatim ? NULL : combine(kept, exchange, body);
    if (both)
        body = spool_body(both);
    bool whole = !verbatim && kept->range_first == 0 && (int64_t)body.n == kept->total;
    if (whole) {
        kept->part = false; /* nothing is missing any more */
        kept->status = 200;
    }
    if (stored_fields(&entry.fields, kept, exchange, verbatim)) {
        if (!whole) {
            kept->decision.flags |= STORED_PARTIAL | (verbatim ? STORED_VERBATIM : 0u);
            entry.range_first = kept->range_first;
            entry.total = kept->total;
            if (verbatim)
                entry.range = kept->range;
        }
        describe(&entry, kept, exchange);
        entry.body = body;
        put(kept, exchange, &entry, both ? both : spool, false, after);
    } else {
        counters_add(COUNTER_store_failed, 1);
        not_stored(after);
    }
    spool_give(both);
}

void
keep_store(struct kept *kept, struct exchange *exchange, struct spool *spool,
           const struct keep_after *after)
{
    if (kept->part)
        store_part(kept, exchange, spool, after);
    else
        put(kept, exchange, &spool->entry, spool, false, after);
}

bool
keep_tells_others(const struct kept *kept, const struct exchange *exchange)
{
    return !exchange->opening.unmarked || kept->names.n > 0;
}

/* A backend that refuses may refuse this visitor's address, which it always hears of, and what is made with
 * a field that is only expected may be made for this visitor: soon somebody tries again for all. */
static int64_t
mark_ms(const struct kept *kept, const struct exchange *exchange)
{
    int64_t ms = exchange->site->config->hit_for_miss_ms;
    bool in_doubt = exchange->opening.refused || exchange->opening.expected ||
                    opening_is_refusal(kept->status) || status_is_of_sender(kept->status);
    return in_doubt && ms > IN_DOUBT_MS ? IN_DOUBT_MS : ms;
}

void
keep_mark(const struct kept *kept, struct exchange *exchange)
{
    /* That this visitor was refused with all fields is no refusal of the page. */
    int status = exchange->opening.refused     ? exchange->opening.refused
                 : exchange->opening.sends_all ? 200
                                               : kept->status;
    int64_t life_ms = mark_ms(kept, exchange);
    const struct cache_key *key = &exchange->key;
    struct entry entry = {.material = key->material,
                          .generations = exchange->lookup.generations,
                          .identity = exchange->lookup.identity,
                          .total = -1};
    entry.stored = (struct stored){.status = status,
                                   .fields = &entry.fields,
                                   .stored_ms = kept->head_wall_ms,
                                   .ttl_ms = life_ms,
                                   .flags = STORED_HIT_FOR_MISS};
    if (!exchange->lookup.generations_complete || life_ms == 0 ||
        exchange->site->config->compat_ancestor)
        return;
    /* A page that was stored meanwhile says more than this answer, which was asked for before. */
    static const char nothing[ENTRY_CHECKSUM_SIZE];
    bool over = exchange->lookup.found && strcmp(exchange->lookup.found, key->name) == 0 &&
                memcmp(exchange->lookup.stands, nothing, sizeof nothing) != 0;
    struct storer_item item = {.key = key->name,
                               .ttl_ms = life_ms,
                               .replaces = over ? exchange->lookup.stands : NULL,
                               .yields = !over};
    item.head = entry_encode(&entry, &key->tags, &item.head_len);
    if (!item.head)
        return;
    if (key->name != key->primary)
        add_variant(&item, exchange, kept->names.n ? kept->names : exchange->lookup.marker.names,
                    false);
    storer_put(exchange->site, &item);
}

/* --------------------------------------------------------------------- freshening */

/*
 * A freshen is a fill: what it is stored under is from before the conditional
 * request. The tags are those that the 304 names, if it names any, else those
 * that the entry has.
 */
static enum reason
freshen_own(struct kept *kept, const struct exchange *exchange, const struct fields *update)
{
    const struct own_tags *before = &exchange->lookup.entry.own;
    struct own_tags named = {.count = 0};
    enum reason reason = own_tags_find(&named, exchange, update, NULL);
    if (reason == REASON_NONE && named.count == 0) {
        kept->own = *before;
        return REASON_NONE;
    }
    /* The body is the old one, so what the old tags say counts for it still; then they go. */
    if (reason == REASON_NONE)
        reason = own_tags_find(&kept->own, exchange, update, before);
    if (reason == REASON_NONE)
        reason = own_tags_prove(&kept->own, exchange, before);
    if (reason == REASON_NONE)
        kept->own.count = named.count;
    return reason;
}

bool
keep_freshen(struct kept *kept, struct exchange *exchange, const struct ask *ask,
             const struct fields *update, const struct response_times *times)
{
    struct entry *entry = &exchange->lookup.entry;
    struct arena *arena = exchange->arena;
    struct fields merged = {0}, own = *update;
    /* Without a Date of its own the old one would make the new answer old (RFC 9110 §6.6.1). */
    if (!fields_get(update, "Date").p) {
        char date[HTTP_DATE_SIZE];
        http_date_format(times->response_ms / 1000, date);
        own = (struct fields){0};
        for (size_t i = 0; i < update->count; i++)
            if (!fields_add(&own, arena, update->list[i].name, update->list[i].value))
                return false;
        char *copy = arena_strndup(arena, date, sizeof date - 1);
        if (!copy || !fields_add(&own, arena, slice_of("Date"), slice_of(copy)))
            return false;
    }
    if (!response_update_fields(&merged, arena, &exchange->policy, &entry->fields, &own))
        return false;
    unsigned part = entry->stored.flags & (STORED_PARTIAL | STORED_VERBATIM);
    bool with_range = !(part & STORED_PARTIAL) || (part & STORED_VERBATIM);
    struct fields *all = arena_calloc(arena, 1, sizeof *all);
    if (!all)
        return false;
    *all = merged;
    struct request_facts facts = exchange->facts;
    facts.method = slice_of("GET"); /* a HEAD freshens GET's entry */
    *kept = (struct kept){.status = entry->stored.status,
                          .fields = all,
                          .head_wall_ms = times->response_ms,
                          .fetch_ms = fetch_time_ms(times),
                          .total = entry->total};
    kept->decision = decide_store(&exchange->policy, &facts, kept->status, all, times);
    kept->decision.flags |= part;
    if (kept->decision.reason == REASON_NONE)
        kept->decision.reason = choose_key(kept, exchange, ask);
    kept->shared = decision_shares(&kept->decision);
    if (kept->decision.reason == REASON_NONE && !exchange->lookup.generations_complete)
        kept->decision.reason = REASON_NO_GENERATIONS;
    if (kept->decision.reason == REASON_NONE)
        kept->decision.reason = freshen_own(kept, exchange, update);
    entry->fields = (struct fields){0};
    if (!stored_fields(&entry->fields, kept, exchange, with_range))
        return false;
    kept->replaces = slice_equal(entry->material, exchange->key.material);
    if (kept->decision.reason == REASON_NONE)
        describe(entry, kept, exchange);
    else {
        entry->stored.age_s = response_initial_age_s(all, times);
        entry->stored.stored_ms = times->response_ms;
    }
    return true;
}

bool
keep_entry_spool(struct exchange *exchange, struct slice names)
{
    struct entry *entry = &exchange->lookup.entry;
    struct spool *spool = spool_whole(exchange->lookup.value.data, entry->body);
    if (!spool)
        return false;
    /* Held in any case: the entry lies in what it has taken over. */
    exchange->wait.spool = spool;
    exchange->lookup.value.data = NULL;
    return spool_describe(spool, entry, names);
}

void
keep_store_freshened(struct kept *kept, struct exchange *exchange, const struct keep_after *after)
{
    put(kept, exchange, &exchange->lookup.entry, exchange->wait.spool, true, after);
}
