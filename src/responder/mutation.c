/*
 * How what a mutation makes stale (effect.h) is dropped.
 *
 * Known before the backend is asked: its own URL, as RFC 9111 §4.4 has it for
 * every cache, and what its route names: patterns, by the tag that covers them,
 * and tags. These are registered first, so that they are dropped whatever becomes of
 * this process. Known only by the answer: what Location and Content-Location name,
 * and Cache-Group-Invalidation. All of it is dropped before the answer goes out, and
 * once more before its end does, because a backend may go on behind the head. Where the
 * client knows the end by the length, a script that speaks FastCGI may go on behind that:
 * it is dropped before the last byte, and again when the script has come to its end. An
 * application that has purged by itself what it has changed says so in
 * its answer (Larder-Purge: done), and what the route names stays. Last come the
 * application values that the patterns match.
 *
 * A URL of which nothing is ever cached is not registered: it would cost two round
 * trips more. That what is cached under it after all (by another method's route) is
 * dropped with the answer is enough.
 */
#include "responder/mutation.h"

#include "base/clock.h"
#include "base/log.h"
#include "responder/drain.h"
#include "responder/effect.h"
#include "responder/outcome.h"
#include "responder/post.h"
#include "responder/storer.h"
#include "runtime/counters.h"

/* A process may be stopped for so long between its last look at the clock and the backend, beside the
 * time that dialling takes. */
#define MARGIN_MS 5000

/* ------------------------------------------------------------------------- before */

static bool
has_cache(const struct exchange *exchange)
{
    /* Also where nothing is served or stored: other machines have what it makes stale. */
    return exchange->site->cache && !method_is_safe(exchange->request.method);
}

/* Where an invalidation that Redis does not take must not happen, each is registered: the answer to
 * any mutation may name what is cached, and its own URL goes by another method's route. */
static bool
registers_url(const struct exchange *exchange)
{
    return exchange->site->config->refuse_unreachable || effect_url_is_cached(exchange);
}

static bool
is_async(const struct exchange *exchange)
{
    const struct route *route = exchange->match.route, *beside = route_beside(&exchange->match);
    return route && route->async && (!beside || beside->async);
}

/* The ancestor's entries have no generations, and what it drops later nobody waits for. */
static bool
is_unregistered(const struct exchange *exchange)
{
    return exchange->site->config->compat_ancestor || is_async(exchange);
}

/* How long a script may go on behind the end of its answer: the longer word of two routes. */
static int64_t
commit_delay_ms(const struct exchange *exchange)
{
    const struct route *route = exchange->match.route, *beside = route_beside(&exchange->match);
    int64_t own_ms = route ? route->commit_delay_ms : 0;
    int64_t other_ms = beside ? beside->commit_delay_ms : 0;
    return own_ms > other_ms ? own_ms : other_ms;
}

/* How long the backend may be at it after we have been heard of last. That nobody has seen the end of the
 * answer does not mean that the script has not come to it, and gone on. */
static int64_t
hold_ms(const struct exchange *exchange)
{
    const struct config *config = exchange->site->config;
    return config->mutation_max_ms + upstream_dial_ms(&config->upstream) + MARGIN_MS +
           commit_delay_ms(exchange);
}

static int64_t
step_deadline(const struct exchange *exchange)
{
    return clock_now_ms() + drain_bounded(exchange->site->config->invalidate_timeout_ms);
}

static void
log_trouble(const struct exchange *exchange, const char *what, const struct larder_error *err)
{
    const struct request *request = &exchange->request;
    log_write(LARDER_LOG_ERROR, "%.*s %.*s: %s: %s", (int)request->method.n, request->method.p,
              (int)request->target.n, request->target.p, what, err->message);
}

static void
tell_outcome(const struct exchange *exchange, enum purge_outcome outcome,
             const struct larder_error *err)
{
    switch (outcome) {
    case PURGE_DONE:
    case PURGE_QUEUED:
        break;
    case PURGE_JOURNAL:
        counters_add(COUNTER_invalidate_journal, 1);
        log_trouble(exchange, "invalidation went to the journal", err);
        break;
    case PURGE_FAILED:
        counters_add(COUNTER_invalidate_failed, 1);
        log_trouble(exchange, "invalidation is known to this process alone", err);
        break;
    }
}

static const char refused[] = "refused, because Redis cannot be told of it (cache.on_unreachable)";

/* Redis does not know of it: the journal does, until the outcome is known. */
static enum mutation_start
note(struct mutation *mutation, const struct exchange *exchange, const struct larder_error *why)
{
    const struct config *config = exchange->site->config;
    if (config->refuse_unreachable) {
        log_trouble(exchange, refused, why);
        return MUTATION_REFUSED;
    }
    if (!store_token_make(mutation->token))
        return MUTATION_NO_MEMORY;
    mutation->noted = true;
    mutation->in_memory =
        !site_note_intent(exchange->site, &mutation->known, mutation->token, hold_ms(exchange));
    if (mutation->in_memory)
        log_trouble(exchange, "what it invalidates could be told neither Redis nor the journal",
                    why);
    return MUTATION_GO;
}

static enum mutation_start
enroll(struct mutation *mutation, const struct exchange *exchange)
{
    struct larder_error err = {0};
    enum larder_status status = store_mutation_begin(
        exchange->site->cache, mutation->known.tags, mutation->known.tag_count, hold_ms(exchange),
        step_deadline(exchange), &mutation->registered, &err);
    if (status == LARDER_OK)
        return MUTATION_GO;
    if (status == LARDER_NOMEM)
        return MUTATION_NO_MEMORY;
    return note(mutation, exchange, &err);
}

/* What is not registered is dropped all the same: Redis must be there for it, if it may not be told by
 * the journal. */
static enum mutation_start
begin_unregistered(const struct exchange *exchange)
{
    static const char *const any[] = {TAG_ALL};
    const struct config *config = exchange->site->config;
    store_generation now[1];
    struct larder_error err = {0};
    uint64_t identity;
    if (!config->refuse_unreachable ||
        store_current(exchange->site->cache, any, 1, step_deadline(exchange), now, &identity,
                      &err) == LARDER_OK)
        return MUTATION_GO;
    log_trouble(exchange, refused, &err);
    return MUTATION_REFUSED;
}

enum mutation_start
mutation_begin(struct mutation *mutation, struct exchange *exchange)
{
    *mutation = (struct mutation){.registered = NULL};
    if (!has_cache(exchange))
        return MUTATION_GO;
    if (!effect_add_route(&mutation->known, exchange, &exchange->match) ||
        !effect_add_route(&mutation->known, exchange, exchange->match.other))
        return MUTATION_NO_MEMORY;
    mutation->of_route = mutation->known.tag_count;
    /* Also where nothing is registered: it is held if nobody knows the outcome. */
    if (!exchange->site->config->compat_ancestor &&
        (mutation->known.tag_count > 0 || registers_url(exchange)) &&
        !effect_add_url(&mutation->known, exchange))
        return MUTATION_NO_MEMORY;
    if (is_unregistered(exchange))
        return begin_unregistered(exchange);
    return mutation->known.tag_count > 0 ? enroll(mutation, exchange) : MUTATION_GO;
}

enum mutation_start
mutation_send(struct mutation *mutation, struct exchange *exchange)
{
    if (!mutation->registered || mutation->ended || store_mutation_is_young(mutation->registered))
        return MUTATION_GO;
    store_mutation_leave(exchange->site->cache, mutation->registered, step_deadline(exchange));
    mutation->registered = NULL;
    enum mutation_start start = enroll(mutation, exchange);
    mutation->ended = start != MUTATION_GO; /* the backend never hears of it */
    return start;
}

/* -------------------------------------------------------------------------- after */

/*
 * The URL's generation is exchanged for the one that the answer to the POST is
 * stored under, unless somebody else has invalidated it since it was last looked at.
 * true: it is invalidated.
 */
static bool
claim(struct mutation *mutation, const struct exchange *exchange, struct exchange **post)
{
    const char *tag = post_tag(*post);
    mutation->claimed = false;
    bool done = tag &&
                post_claim(*post, tag, step_deadline(exchange), &mutation->claimed) == LARDER_OK;
    if (!mutation->claimed)
        *post = NULL;
    return done;
}

/* Drop it: what was known before, and what the answer names; but for `rest` (or NULL), which the caller
 * has dropped. */
static enum purge_outcome
drop(struct mutation *mutation, struct exchange *exchange, const struct fields *response,
     const char *rest, bool patterns)
{
    struct purge all = {.tags = NULL};
    struct larder_error err = {0};
    int64_t deleted = 0;
    bool begun = mutation->registered || mutation->noted;
    mutation->undropped = true;
    for (size_t i = 0; i < mutation->known.tag_count; i++)
        if (!purge_add_tag(&all, exchange->arena, mutation->known.tags[i]))
            return PURGE_FAILED;
    if (!exchange->site->config->compat_ancestor &&
        ((!begun && !effect_add_url(&all, exchange)) ||
         (response && !effect_add_answer(&all, exchange, response))))
        return PURGE_FAILED;
    size_t n = 0;
    for (size_t i = 0; i < all.tag_count; i++)
        if (!rest || strcmp(all.tags[i], rest) != 0)
            all.tags[n++] = all.tags[i];
    all.tag_count = n;
    mutation->undropped = false;
    if (patterns) {
        all.patterns = mutation->known.patterns;
        all.pattern_count = mutation->known.pattern_count;
    }
    enum purge_outcome outcome = PURGE_DONE;
    if (all.tag_count > 0 || all.pattern_count > 0)
        outcome = purge_run(exchange->site, &all, step_deadline(exchange), &deleted, &err);
    enum purge_outcome moved = purge_moved(exchange->site, step_deadline(exchange), &err);
    if (moved > outcome)
        outcome = moved;
    counters_add(COUNTER_invalidated_keys, deleted > 0 ? (uint64_t)deleted : 0);
    mutation->undropped = outcome == PURGE_FAILED;
    tell_outcome(exchange, outcome, &err);
    return outcome;
}

/* Has such an answer changed what the route of the match names, as far as is known? */
static bool
is_change_by(const struct route_match *match, int status, bool received,
             const struct fields *response)
{
    return match && outcome_find(match->route, status, received, response) == CHANGED &&
           outcome_is_change(match->route, response);
}

/*
 * Something was changed. What a route names that takes the answer for no change, or what
 * the application has purged, is not dropped: only what HTTP has every cache drop is,
 * and what the other of two routes names. Without memory for that, all is.
 */
static void
leave_routes(struct mutation *mutation, const struct exchange *exchange, int status, bool received,
             const struct fields *response)
{
    const struct route_match *match = &exchange->match, *other = match->other;
    bool purged = outcome_is_purged(response);
    bool by_own = !purged && is_change_by(match, status, received, response);
    bool by_other = !purged && is_change_by(other, status, received, response);
    struct purge left = {.tags = NULL};
    if ((by_own && (by_other || !other)) ||
        !effect_add_route(&left, exchange, by_own ? match : NULL) ||
        !effect_add_route(&left, exchange, by_other ? other : NULL))
        return;
    size_t of_routes = left.tag_count;
    for (size_t i = mutation->of_route; i < mutation->known.tag_count; i++)
        if (!purge_add_tag(&left, exchange->arena, mutation->known.tags[i]))
            return;
    mutation->known = left;
    mutation->of_route = of_routes;
}

/* A reload has gone to another Redis, or namespace, meanwhile: there it may be anything. false: none
 * has. */
static bool
hold_moved(struct mutation *mutation, const struct exchange *exchange, int64_t for_ms)
{
    const char *all[] = {TAG_ALL};
    const struct purge purge = {.tags = all, .tag_count = 1};
    bool fresh;
    struct site *now = site_take();
    bool moved = now->serves != exchange->site->serves && !now->config->compat_ancestor;
    if (moved &&
        store_silence(now->cache, all, 1, for_ms, step_deadline(exchange), &fresh, NULL) !=
            LARDER_OK &&
        !site_note_silent(now, &purge, for_ms))
        mutation->in_memory = true;
    site_give(now);
    return moved;
}

/*
 * The backend may be at it for so long yet, and is not heard of: it is dropped by all meanwhile,
 * whatever becomes of this process. registered: by what is so no more then, or NULL. true: nobody is
 * at that already, so that it is to be dropped now. A flood of them drops no more than one does.
 */
static bool
hold_for(struct mutation *mutation, struct exchange *exchange, struct store_mutation *registered,
         int64_t for_ms)
{
    bool fresh = true;
    struct site *site = exchange->site;
    const struct purge *known = &mutation->known;
    struct larder_error err = {0};
    enum larder_status status;
    if (registered)
        status =
            store_mutation_silence(site->cache, registered, step_deadline(exchange), &fresh, &err);
    else
        status = store_silence(site->cache, known->tags, known->tag_count, for_ms,
                               step_deadline(exchange), &fresh, &err);
    mutation->in_memory = status != LARDER_OK && !site_note_silent(site, known, for_ms);
    if (mutation->in_memory)
        log_trouble(exchange, "what it invalidates could be told neither Redis nor the journal",
                    &err);
    bool moved = hold_moved(mutation, exchange, for_ms);
    return moved || fresh || status != LARDER_OK;
}

/* Nobody knows the outcome: the backend has its time from now on. */
static bool
hold(struct mutation *mutation, struct exchange *exchange)
{
    struct store_mutation *registered = mutation->registered;
    mutation->registered = NULL;
    return hold_for(mutation, exchange, registered, hold_ms(exchange));
}

/* The ancestor's way: after the answer. */
static const char *
queue(struct mutation *mutation, struct exchange *exchange, const struct fields *response,
      bool patterns)
{
    struct purge all = mutation->known;
    if (!patterns)
        all.pattern_count = 0;
    if (!exchange->site->config->compat_ancestor &&
        (!effect_add_url(&all, exchange) ||
         (response && !effect_add_answer(&all, exchange, response))))
        return "failed";
    return storer_invalidate(exchange->site, &all) ? "queued" : NULL;
}

static const char *
end_unknown(struct mutation *mutation, struct exchange *exchange)
{
    if (mutation->known.tag_count == 0)
        return purge_outcome_name(drop(mutation, exchange, NULL, NULL, true));
    enum purge_outcome dropped = PURGE_DONE;
    if (hold(mutation, exchange))
        dropped = drop(mutation, exchange, NULL, NULL, true);
    else if (!site_note_sweep(exchange->site, &mutation->known))
        dropped = PURGE_FAILED;
    if (mutation->in_memory)
        return purge_outcome_name(PURGE_FAILED);
    return dropped == PURGE_DONE ? "unknown" : purge_outcome_name(dropped);
}

const char *
mutation_end(struct mutation *mutation, struct exchange *exchange, int status, bool received,
             const struct fields *response, struct exchange **post)
{
    const struct route_match *other = exchange->match.other;
    enum outcome outcome = outcome_find(exchange->match.route, status, received, response);
    /* One of two routes may take for a refusal what is none to the other. */
    if (other && outcome == UNCHANGED)
        outcome = outcome_find(other->route, status, received, response);
    if (mutation->ended || !has_cache(exchange))
        return NULL;
    mutation->ended = true;
    if (outcome != CHANGED)
        *post = NULL;
    if (outcome == UNCHANGED)
        return NULL;
    if (outcome == CHANGED)
        leave_routes(mutation, exchange, status, received, response);
    /* The ancestor's entries are found by the patterns of a route alone. */
    if (exchange->site->config->compat_ancestor && mutation->known.pattern_count == 0)
        return NULL;
    counters_add(COUNTER_invalidations, 1);
    if (outcome == UNKNOWN)
        return end_unknown(mutation, exchange);
    mutation->changed = true;
    if (is_async(exchange)) {
        const char *said = queue(mutation, exchange, response, true);
        if (said)
            return said;
    }
    const char *own = NULL;
    if (*post && !(mutation->registered && post_is_own(exchange, status, response)))
        *post = NULL;
    if (*post) {
        const char *tag = post_tag(*post);
        own = claim(mutation, exchange, post) ? tag : NULL;
    }
    return purge_outcome_name(drop(mutation, exchange, response, own, true));
}

void
mutation_again(struct mutation *mutation, struct exchange *exchange, const struct fields *response,
               struct exchange **post)
{
    if (!mutation->changed || (is_async(exchange) && queue(mutation, exchange, response, false)))
        return;
    const char *own = NULL;
    if (mutation->claimed && *post) {
        const char *tag = post_tag(*post);
        own = claim(mutation, exchange, post) ? tag : NULL;
    }
    (void)drop(mutation, exchange, response, own, false);
}

void
mutation_whole(struct mutation *mutation, struct exchange *exchange, bool broken,
               const struct fields *response, struct exchange **post)
{
    if (!mutation->changed)
        return;
    int64_t rest_ms = commit_delay_ms(exchange);
    bool drops = true;
    if (broken) {
        /* It may still be at it. */
        *post = NULL;
        drops = mutation->known.tag_count == 0 || hold(mutation, exchange);
    } else if (rest_ms > 0 && mutation->known.tag_count > 0) {
        /* The script goes on behind the end of its answer (fastcgi_finish_request()). */
        (void)hold_for(mutation, exchange, NULL, rest_ms);
    }
    if (drops)
        mutation_again(mutation, exchange, response, post);
    mutation->changed = false;
}

void
mutation_done(struct mutation *mutation, struct exchange *exchange)
{
    /* What only this process knows ends with it; a record that stays has the others drop it. */
    if (mutation->registered && mutation->undropped)
        (void)hold(mutation, exchange);
    else if (mutation->registered)
        store_mutation_leave(exchange->site->cache, mutation->registered, step_deadline(exchange));
    mutation->registered = NULL;
    /* The intent is of use no longer, now that something stands in its place. */
    if (mutation->noted)
        site_note_done(exchange->site, mutation->token);
    mutation->noted = false;
}
