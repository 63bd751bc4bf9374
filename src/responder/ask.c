/*
 * What the backend is asked.
 *
 *   passed                     the request as it came
 *   a stored response          its validators; never the client's, whose turn comes
 *                              when the answer is known (RFC 9111 §4.3.1, §4.3.2), and
 *                              never another variant's: the same tag may stand for
 *                              other bytes there (RFC 9110 §8.8.1)
 *   a part that begins at the  the rest of it, if the backend still has that very
 *   beginning                  representation (If-Range, RFC 9111 §3.4)
 *   nothing                    the whole, or the client's Range unless the route has
 *                              the whole fetched
 *
 * What is asked for everybody has no words of the client's: a firewall that answers
 * to one, or a page that prints one, would speak to all who come after. So the range
 * is written anew from its numbers, and the client's conditions and If-Range stay
 * here. They are evaluated on what comes (incoming.c), as a 304 could not be stored.
 * Several ranges are asked for by their visitor alone, and nothing of that is kept.
 *
 * A HEAD that misses is asked as GET, so that the next one does not.
 */
#include "responder/ask.h"

#include "http/condition.h"
#include "http/range.h"
#include "responder/backend_fields.h"

static bool
add(struct ask *ask, struct arena *arena, const char *name, struct slice value)
{
    return fields_add(&ask->fields, arena, slice_of(name), value);
}

static bool
validators(struct ask *ask, const struct exchange *exchange)
{
    const struct fields *stored = &exchange->lookup.entry.fields;
    struct slice etag = fields_get(stored, "ETag");
    struct slice modified = fields_get(stored, "Last-Modified");
    ask->validates = etag.n > 0 || modified.n > 0;
    return (etag.n == 0 || add(ask, exchange->arena, "If-None-Match", etag)) &&
           (modified.n == 0 || add(ask, exchange->arena, "If-Modified-Since", modified));
}

static bool
completion(struct ask *ask, const struct exchange *exchange)
{
    char *range = arena_printf(exchange->arena, "bytes=%zu-", exchange->lookup.entry.body.n);
    ask->completes = true;
    return range && add(ask, exchange->arena, "Range", slice_of(range)) &&
           add(ask, exchange->arena, "If-Range",
               fields_get(&exchange->lookup.entry.fields, "ETag"));
}

/* The whole is asked for, and its beginning is here. */
static bool
can_be_completed(const struct exchange *exchange)
{
    const struct entry *entry = &exchange->lookup.entry;
    return exchange->lookup.has_entry && !exchange->lookup.other_fields &&
           (entry->stored.flags & STORED_PARTIAL) && !(entry->stored.flags & STORED_VERBATIM) &&
           entry->range_first == 0 && entry->total > (int64_t)entry->body.n &&
           slice_equal(exchange->request.method, slice_of("GET")) &&
           !fields_get(&exchange->request.fields, "Range").p &&
           etag_is_strong(fields_get(&entry->fields, "ETag"));
}

/*
 * What a HEAD brings cannot be stored, so the next HEAD would miss again, and the
 * next GET too. But it is enough to freshen what is stored and no longer fresh
 * (RFC 9111 §4.3.5), and where nothing would come of a GET it is the lesser work.
 */
bool
ask_is_for_page(const struct exchange *exchange)
{
    if (!slice_equal(exchange->request.method, slice_of("HEAD")))
        return slice_equal(exchange->request.method, slice_of("GET"));
    /* Others wait for it. */
    if (exchange->wait.flight || exchange->background)
        return true;
    return backend_is_shared(exchange) && !exchange->lookup.use_entry &&
           exchange->lookup.missing != REASON_HIT_FOR_MISS && exchange->lookup.generations_complete;
}

bool
ask_has_own_ranges(const struct exchange *exchange)
{
    return backend_is_shared(exchange) && !exchange->lookup.use_entry && !exchange->background &&
           slice_equal(exchange->request.method, slice_of("GET")) &&
           range_count(&exchange->request.fields) > 1;
}

bool
ask_make(struct ask *ask, const struct exchange *exchange, enum ask_kind kind)
{
    const struct fields *client = &exchange->request.fields;
    bool get = slice_equal(exchange->request.method, slice_of("GET"));
    *ask = (struct ask){.method = exchange->request.method};
    ask->head = slice_equal(ask->method, slice_of("HEAD")) && !ask_is_for_page(exchange);
    if (!get && !ask->head && ask_is_for_page(exchange))
        ask->method = slice_of("GET");
    if (!backend_fields(&ask->base, exchange, exchange->opening.opened))
        return false;
    for (size_t i = 0; i < ask->base.count; i++)
        if (!fields_add(&ask->fields, exchange->arena, ask->base.list[i].name,
                        ask->base.list[i].value))
            return false;
    bool shared = backend_is_shared(exchange);
    if (!loop_mark(&ask->fields, client, exchange->site->loop_id, !exchange->site->config->fastcgi,
                   shared, exchange->arena))
        return false;
    if (!shared || kind == ASK_PLAIN)
        return true;
    if (kind == ASK_FIRST && exchange->lookup.use_entry)
        return validators(ask, exchange);
    if (kind == ASK_FIRST && can_be_completed(exchange))
        return completion(ask, exchange);
    if (exchange->background)
        return true;
    struct slice range = {NULL, 0};
    if (get && !range_rewrite(&range, client, exchange->arena))
        return false;
    ask->range = range.p && (exchange->match.route->range_fetch == 0 || kind == ASK_RANGE);
    ask->whole_for_range = range.p && !ask->range;
    return !ask->range || add(ask, exchange->arena, "Range", range);
}
