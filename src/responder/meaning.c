/*
 * What the head of the backend's answer means: is it the answer, is what is stored,
 * or is it of no use? By what the backend was asked (ask.c), and before anything of
 * it is sent or kept. Called by incoming.c, in a fetcher.
 */
#include "responder/meaning.h"

#include "http/condition.h"
#include "http/range.h"
#include "responder/backend_fields.h"
#include "responder/opening.h"

bool
meaning_may_stand_in(const struct fetch *fetch)
{
    const struct exchange *exchange = fetch->exchange;
    return exchange->reason == REASON_NONE && exchange->lookup.use_entry &&
           decide_on_error(&exchange->policy, &exchange->facts, &exchange->lookup.entry.stored,
                           store_clock_ms(exchange->site->cache));
}

/* The rest of the part that we have, of the very same representation? */
static bool
completes(const struct fetch *fetch)
{
    const struct entry *part = &fetch->exchange->lookup.entry;
    struct byte_range range;
    int64_t total;
    return range_content_parse(fields_get(&fetch->fields, "Content-Range"), &range, &total) &&
           range.first == (int64_t)part->body.n && range.last == total - 1 &&
           total == part->total &&
           range_may_combine(&part->fields, &fetch->fields, fetch->times.response_ms / 1000);
}

/* Has the backend been asked something to which 304 is an answer? A pass goes through as it is. */
static bool
has_asked_condition(const struct fetch *fetch)
{
    const struct exchange *exchange = fetch->exchange;
    const struct fields *client = &exchange->request.fields;
    if (backend_is_shared(exchange))
        return fetch->ask.validates;
    return exchange->reason != REASON_NONE || fields_get(client, "If-None-Match").p ||
           fields_get(client, "If-Modified-Since").p;
}

/* A part of another representation than the one of which the client has the rest? */
static bool
is_part_of_another(const struct fetch *fetch)
{
    return fetch->ask.range && (fetch->status == 206 || fetch->status == 416) &&
           !range_if_range_holds(&fetch->exchange->request.fields, &fetch->fields,
                                 fetch->times.response_ms / 1000);
}

enum meaning
meaning_of(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    const struct ask *ask = &fetch->ask;
    if (fetch->status == 304 && !has_asked_condition(fetch))
        return MEANS_NOTHING;
    if (!backend_is_shared(exchange))
        return MEANS_ANSWER;
    /* What everybody is refused, as a field of this visitor's was before: it is not sent again. */
    bool refused = exchange->opening.refused_own && opening_is_refusal(fetch->status);
    if (!status_is_failure(fetch->status) && fetch->openings < MEANING_OPENINGS_MAX && !refused &&
        opening_needed(exchange, ask, &fetch->fields)) {
        fetch->openings++;
        return MEANS_OPENED;
    }
    if (fetch->status == 304)
        /* One that names another representation must not freshen this one (§4.3.4). */
        return condition_selects(&exchange->lookup.entry.fields, &fetch->fields) ? MEANS_FRESHENED
                                                                                 : MEANS_AGAIN;
    if (status_is_failure(fetch->status) && meaning_may_stand_in(fetch))
        return MEANS_FAILURE;
    if (fetch->ask.head && fetch->status == 200 && exchange->lookup.use_entry) {
        if (response_head_agrees(&exchange->lookup.entry.fields,
                                 (int64_t)exchange->lookup.entry.body.n, &fetch->fields))
            return MEANS_HEAD;
        fetch->outdates = true;
    }
    if (is_part_of_another(fetch)) {
        fetch->kind = ASK_PLAIN;
        return MEANS_AGAIN;
    }
    if (ask->completes && (fetch->status == 416 || (fetch->status == 206 && !completes(fetch))))
        return MEANS_AGAIN;
    return MEANS_ANSWER;
}
