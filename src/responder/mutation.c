/*
 * How what a mutation makes stale (effect.h) is dropped.
 *
 * Known before the backend is asked: its own URL, as RFC 9111 §4.4 has it for
 * every cache, and what its route names: patterns, by the tag that covers them,
 * and tags. These are marked first, so that nothing that is fetched while the
 * backend works is stored, and whoever reads after the answer gets nothing from
 * before it. Known only by the answer: what Location and Content-Location name,
 * and Cache-Group-Invalidation. These are dropped in one step, before the answer
 * goes out. An application that has purged by itself what it has changed says so in
 * its answer (Larder-Purge: done), and what the route names stays. Last come the
 * application values that the patterns match.
 *
 * A URL of which nothing is ever cached is not marked: it would cost a round trip
 * more. That what is cached under it after all (by another method's route) is dropped in
 * one step is enough: no fill of it can be under way.
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

/* While a request's body comes in, it is marked again after so long, or half of the margin. */
#define AGAIN_MS 30000

/* ------------------------------------------------------------------------- before */

static bool
has_cache(const struct exchange *exchange)
{
    return exchange->site->cache && larder_is_enabled(exchange->site->cache) &&
           !method_is_safe(exchange->request.method);
}

/* Where an invalidation that Redis does not take must not happen, each is begun with a mark: the answer
 * to any mutation may name what is cached, and its own URL goes by another method's route. */
static bool
marks_url(const struct exchange *exchange)
{
    return exchange->site->config->refuse_unreachable || effect_url_is_cached(exchange);
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
note(struct mutation *mutation, const struct exchange *exchange, const struct larder_error *why,
     bool unreachable)
{
    const struct config *config = exchange->site->config;
    if (unreachable && config->refuse_unreachable) {
        log_trouble(exchange, refused, why);
        return MUTATION_REFUSED;
    }
    mutation->noted = true;
    mutation->in_memory = !site_note_intent(exchange->site, &mutation->known, mutation->token,
                                            clock_wall_ms() + config->mutation_max_ms);
    if (mutation->in_memory)
        log_trouble(exchange, "what it invalidates could be told neither Redis nor the journal",
                    why);
    return MUTATION_GO;
}

/*
 * How much longer than mutation_max a mark lives: the longest fetch. One that began
 * before the backend committed, and whose head names a tag of its own, must meet
 * the mark, since nothing in the news speaks of a mutation whose process has died.
 */
static int64_t
margin_ms(const struct config *config)
{
    return site_fetch_max_ms(config);
}

/* So long ago a mark may have been made when the last of a request's body comes. */
static int64_t
again_ms(const struct config *config)
{
    int64_t half_ms = margin_ms(config) / 2;
    return half_ms < AGAIN_MS ? half_ms : AGAIN_MS;
}

int64_t
mutation_proof_ms(const struct config *config)
{
    return margin_ms(config) - again_ms(config);
}

static enum larder_status
mark(struct mutation *mutation, const struct exchange *exchange, struct larder_error *err)
{
    const struct config *config = exchange->site->config;
    mutation->marked_ms = clock_now_ms();
    return store_mark(exchange->site->cache, mutation->known.tags, mutation->known.tag_count,
                      mutation->token, config->mutation_max_ms + margin_ms(config),
                      step_deadline(exchange), err);
}

/* What is not marked beforehand is dropped all the same: Redis must be there for it, if it may not be
 * told by the journal. */
static enum mutation_start
begin_unmarked(const struct exchange *exchange)
{
    static const char *const any[] = {"all"};
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
    const struct config *config = exchange->site->config;
    const struct route *route = exchange->match.route;
    struct larder_error err = {0};
    *mutation = (struct mutation){.marked = false};
    if (!has_cache(exchange))
        return MUTATION_GO;
    if (!effect_add_route(&mutation->known, exchange))
        return MUTATION_NO_MEMORY;
    mutation->of_route = mutation->known.tag_count;
    /* The ancestor's entries have no generations. With mark = false the tags of the route go in one
     * step with what the answer names. */
    if (config->compat_ancestor || (route && (route->async || !route->mark)))
        return begin_unmarked(exchange);
    if (!store_token_make(mutation->token))
        return MUTATION_GO;
    if ((mutation->known.tag_count > 0 || marks_url(exchange)) &&
        !effect_add_url(&mutation->known, exchange))
        return MUTATION_NO_MEMORY;
    if (mutation->known.tag_count == 0)
        return MUTATION_GO;
    switch (mark(mutation, exchange, &err)) {
    case LARDER_OK:
        mutation->marked = true;
        return MUTATION_GO;
    case LARDER_REFUSED:
        return note(mutation, exchange, &err, false);
    default:
        return note(mutation, exchange, &err, true);
    }
}

void
mutation_body(struct mutation *mutation, struct exchange *exchange)
{
    if (!mutation->marked ||
        clock_now_ms() - mutation->marked_ms < again_ms(exchange->site->config))
        return;
    /* What fails is tried again after as long, and at the end of an unknown outcome. */
    (void)mark(mutation, exchange, NULL);
}

/* -------------------------------------------------------------------------- after */

static enum purge_outcome
worse(enum purge_outcome a, enum purge_outcome b)
{
    return a > b ? a : b;
}

/*
 * The URL's generation is exchanged for the one that the answer to the POST is
 * stored under, unless somebody else has invalidated it meanwhile; the other
 * tags that were marked are left.
 */
static void
claim(struct mutation *mutation, struct exchange *exchange, const struct fields *response,
      int status, struct exchange **post)
{
    bool claimed = false;
    const char *tag = post_tag(*post);
    if (mutation->marked && tag && post_is_own(exchange, status, response) &&
        post_claim(*post, tag, mutation->token, step_deadline(exchange), &claimed) == LARDER_OK &&
        claimed) {
        struct purge *known = &mutation->known;
        size_t n = 0;
        for (size_t i = 0; i < known->tag_count; i++)
            if (strcmp(known->tags[i], tag) != 0)
                known->tags[n++] = known->tags[i];
        known->tag_count = n;
        return;
    }
    *post = NULL;
}

/*
 * The tags that were marked or noted. What is noted may be marked as well: by a
 * command whose answer was lost.
 */
static enum purge_outcome
settle(struct mutation *mutation, struct exchange *exchange, bool changed)
{
    const struct purge tags = {.tags = mutation->known.tags,
                               .tag_count = mutation->known.tag_count};
    struct larder_error err = {0};
    enum purge_outcome outcome = PURGE_DONE;
    if (tags.tag_count == 0)
        return PURGE_DONE;
    if (!mutation->marked && !mutation->noted)
        outcome = purge_run(exchange->site, &tags, step_deadline(exchange), NULL, &err);
    else if (store_unmark(exchange->site->cache, tags.tags, tags.tag_count, mutation->token,
                          changed, step_deadline(exchange), &err) != LARDER_OK &&
             changed)
        outcome = site_note(exchange->site, &tags) ? PURGE_JOURNAL : PURGE_FAILED;
    /* What did not change is only not stored until the mark ends; and the intent is of use no
     * longer, now that something stands in its place. */
    if (mutation->noted && outcome != PURGE_FAILED)
        site_note_done(exchange->site, mutation->token);
    tell_outcome(exchange, outcome, &err);
    return outcome;
}

/*
 * The request did not change what the route names, or the application has purged it:
 * only what HTTP has every cache drop is left to be dropped.
 */
static void
leave_route(struct mutation *mutation, const struct exchange *exchange)
{
    struct purge *known = &mutation->known;
    struct larder_error err = {0};
    if (mutation->marked && mutation->of_route > 0 &&
        store_unmark(exchange->site->cache, known->tags, mutation->of_route, mutation->token, false,
                     step_deadline(exchange), &err) != LARDER_OK)
        log_trouble(exchange, "what it has not changed is not stored until the mark ends", &err);
    known->tags += mutation->of_route;
    known->tag_count -= mutation->of_route;
    known->tag_room -= mutation->of_route;
    known->pattern_count = 0;
    mutation->of_route = 0;
}

/*
 * Nobody knows the outcome: the backend has its time from now on. And if Redis has
 * lost the mark meanwhile (evicted it, or was restarted), it is there again.
 */
static void
hold(struct mutation *mutation, struct exchange *exchange)
{
    const struct config *config = exchange->site->config;
    struct larder_error err = {0};
    if (!mutation->token[0] && !store_token_make(mutation->token)) {
        settle(mutation, exchange,
               true); /* no random numbers: dropped now is better than nothing */
        return;
    }
    if (mark(mutation, exchange, &err) != LARDER_OK &&
        !site_note_intent(exchange->site, &mutation->known, mutation->token,
                          clock_wall_ms() + config->mutation_max_ms))
        log_trouble(exchange, "what it invalidates could be told neither Redis nor the journal",
                    &err);
}

/* What is dropped in one step: that which the answer names, and application values. */
static enum purge_outcome
drop(struct mutation *mutation, struct exchange *exchange, const struct fields *response)
{
    struct purge rest = {.patterns = mutation->known.patterns,
                         .pattern_count = mutation->known.pattern_count};
    struct larder_error err = {0};
    int64_t deleted = 0;
    bool begun = mutation->marked || mutation->noted;
    if (!exchange->site->config->compat_ancestor &&
        ((!begun && !effect_add_url(&rest, exchange)) ||
         (response && !effect_add_answer(&rest, exchange, response))))
        return PURGE_FAILED;
    if (rest.tag_count == 0 && rest.pattern_count == 0)
        return PURGE_DONE;
    enum purge_outcome outcome =
        purge_run(exchange->site, &rest, step_deadline(exchange), &deleted, &err);
    counters_add(COUNTER_invalidated_keys, deleted > 0 ? (uint64_t)deleted : 0);
    tell_outcome(exchange, outcome, &err);
    return outcome;
}

/* The ancestor's way: after the answer. */
static const char *
queue(struct mutation *mutation, struct exchange *exchange, const struct fields *response)
{
    struct purge all = mutation->known;
    if (!exchange->site->config->compat_ancestor &&
        (!effect_add_url(&all, exchange) ||
         (response && !effect_add_answer(&all, exchange, response))))
        return "failed";
    return storer_invalidate(exchange->site, &all) ? "queued" : NULL;
}

const char *
mutation_end(struct mutation *mutation, struct exchange *exchange, int status, bool received,
             const struct fields *response, struct exchange **post)
{
    const struct route *route = exchange->match.route;
    enum outcome outcome = outcome_find(route, status, received, response);
    if (mutation->ended || !has_cache(exchange))
        return NULL;
    mutation->ended = true;
    if (outcome != CHANGED)
        *post = NULL;
    bool begun = mutation->marked || mutation->noted;
    if (outcome == UNCHANGED) {
        if (begun)
            settle(mutation, exchange, false);
        return NULL;
    }
    if (outcome == CHANGED && (outcome_is_purged(response) || !outcome_is_change(route, response)))
        leave_route(mutation, exchange);
    /* The ancestor's entries are found by the patterns of a route alone. */
    if (exchange->site->config->compat_ancestor && mutation->known.pattern_count == 0)
        return NULL;
    counters_add(COUNTER_invalidations, 1);
    if (outcome == UNKNOWN) {
        /* The mark stays, for as long as the backend may still be at it; and what it may have done
         * already is dropped. */
        /* Also where nothing was marked before: on a route with async, or mark = false. */
        begun = begun || mutation->known.tag_count > 0;
        if (begun)
            hold(mutation, exchange);
        enum purge_outcome dropped = drop(mutation, exchange, NULL);
        if (mutation->in_memory)
            return purge_outcome_name(PURGE_FAILED);
        return begun && dropped == PURGE_DONE ? "marked" : purge_outcome_name(dropped);
    }
    if (route && route->async) {
        const char *said = queue(mutation, exchange, response);
        if (said)
            return said;
    }
    if (*post)
        claim(mutation, exchange, response, status, post);
    enum purge_outcome settled = settle(mutation, exchange, true);
    return purge_outcome_name(worse(settled, drop(mutation, exchange, response)));
}
