/*
 * One fetch per miss.
 *
 *   worker    join ──┬─ nobody is at it ─ lead ── fetcher: lease ─┬─ fetch ─ head ─ share ─ store
 *                    │                                            └─ another process: park
 *                    └─ somebody is ── parked ─┬─ it may be shared: read the spool (streamer)
 *                                              └─ it may not: fetch, all at once
 *
 * Among processes a lease in Redis decides who fetches. It is named as the flight
 * is: by the key, by every generation that was read, by the server that said so.
 * A flight whose lease another process has is parked, and looks again when that
 * one says that it has stored something, or when its lease has run out.
 *
 * Whoever has waited in vain once does not wait again: what must not be shared
 * queues nobody behind anybody.
 */
#include "responder/coalesce.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "responder/ask.h"
#include "responder/backend_fields.h"
#include "responder/digest.h"
#include "responder/drain.h"
#include "responder/fetch.h"
#include "responder/gone.h"
#include "responder/lease.h"
#include "responder/streamer.h"
#include "responder/waiter.h"
#include "runtime/counters.h"

/* What a refresh may lose to Redis: nobody waits for it. */
#define REFRESH_BUDGET_MS 1000
/* Until the mark in Redis says so: what must not be shared. */
#define FORBIDDEN_MS 1000
/* How often coalesce_drain() looks. */
#define DRAIN_LOOK_MS 5

/* ------------------------------------------------------------------------ the name */

static bool
make_name(char name[FLIGHT_NAME_SIZE], const struct exchange *exchange)
{
    const struct store_generations *generations = &exchange->lookup.generations;
    size_t n = strlen(exchange->key.name) + 1, size = n + sizeof *generations + 16;
    char *text = arena_alloc(exchange->arena, size);
    if (!text)
        return false;
    memcpy(text, exchange->key.name, n);
    /* Without them it is a name of its own, which no other process has. */
    for (size_t i = 0; exchange->lookup.generations_complete && i < generations->count; i++) {
        memcpy(text + n, generations->value[i], STORE_GENERATION_LEN);
        n += STORE_GENERATION_LEN;
    }
    if (exchange->lookup.generations_complete) {
        memcpy(text + n, &exchange->lookup.identity, sizeof exchange->lookup.identity);
        n += sizeof exchange->lookup.identity;
    } else {
        /* Nor has a site from before a reload, which may be another backend's. */
        const uintptr_t site = (uintptr_t)exchange->site;
        memcpy(text + n, &site, sizeof site);
        n += sizeof site;
    }
    return digest_hex((struct slice){text, n}, name, FLIGHT_NAME_SIZE - 1);
}

/* ------------------------------------------------------------------------- joining */

static bool
is_get(const struct exchange *exchange)
{
    return slice_equal(exchange->request.method, slice_of("GET"));
}

/* Is there any use in waiting for somebody else's answer? */
static bool
may_join(const struct exchange *exchange)
{
    const struct route *beside = route_beside(&exchange->match);
    if (exchange->reason != REASON_NONE || exchange->wait.alone ||
        !exchange->site->config->coalesce || !exchange->match.route->coalesce ||
        (beside && !beside->coalesce) || exchange->lookup.missing == REASON_HIT_FOR_MISS)
        return false;
    /* Each use of it has to be asked for, so that nobody can have another's. */
    return exchange->forward != REASON_MUST_VALIDATE &&
           !(exchange->lookup.has_entry && exchange->lookup.entry.stored.ttl_ms <= 0);
}

/* Would the answer to this one do for others? Not a head, and not a part. */
static bool
may_lead(const struct exchange *exchange)
{
    bool ranged = fields_get(&exchange->request.fields, "Range").p != NULL;
    return ask_is_for_page(exchange) &&
           !(ranged && is_get(exchange) && exchange->match.route->range_fetch == 0);
}

/* What was found, and is not the answer, is not held while nobody knows how long it will be. */
void
coalesce_forget_entry(struct exchange *exchange)
{
    exchange->wait.had_entry |= exchange->lookup.has_entry;
    exchange->lookup.has_entry = exchange->lookup.use_entry = false;
    store_value_free(&exchange->lookup.value);
}

enum step
coalesce_rejoin(struct exchange *exchange)
{
    char name[FLIGHT_NAME_SIZE];
    struct spool *spool = NULL;
    int64_t now_ms = clock_now_ms();
    exchange->wait.rounds = !exchange->lookup.generations_complete;
    if (!make_name(name, exchange))
        return STEP_NEXT;
    /* Who leads looks once more, and gets it then. */
    if (exchange->lookup.has_entry && flight_exists(name))
        coalesce_forget_entry(exchange);
    exchange->wait.parked.since_ms = exchange->started_ms;
    exchange->wait.parked.until_ms = exchange->started_ms +
                                     exchange->site->config->coalesce_wait_ms;
    const struct flight_terms terms = {
        .may_lead = may_lead(exchange),
        .max_age_ms = decide_fetch_age_ms(&exchange->policy, &exchange->facts),
        .rounds = exchange->wait.rounds};
    switch (
        flight_join(name, &exchange->wait.parked, terms, now_ms, &exchange->wait.flight, &spool)) {
    case FLIGHT_WAITS:
        return STEP_HANDED_OFF;
    case FLIGHT_READS:
        waiter_read(exchange, spool);
        return STEP_HANDED_OFF;
    case FLIGHT_LEADS:
    case FLIGHT_APART:
        break;
    }
    return STEP_NEXT;
}

enum step
coalesce_join(struct exchange *exchange)
{
    if (exchange->reason == REASON_NONE && exchange->lookup.missing == REASON_HIT_FOR_MISS)
        counters_add(COUNTER_hit_for_miss, 1);
    if (!may_join(exchange))
        return STEP_NEXT;
    exchange_note_generations(exchange, exchange->redis_until_ms);
    return coalesce_rejoin(exchange);
}

bool
coalesce_refresh(struct exchange *exchange)
{
    char name[FLIGHT_NAME_SIZE];
    exchange->wait.rounds = false;
    if (!exchange->lookup.generations_complete || !make_name(name, exchange))
        return false;
    exchange->wait.flight = flight_lead(name, clock_now_ms());
    return exchange->wait.flight != NULL;
}

/* ------------------------------------------------------------------------- leading */

/* Look again. true: there is something that will do, in exchange->lookup.entry. */
static bool
look(struct exchange *exchange, int64_t wall_ms)
{
    int64_t budget_ms = exchange->background ? REFRESH_BUDGET_MS
                                             : exchange->site->config->budget_ms;
    exchange->redis_until_ms = clock_now_ms() + budget_ms;
    bool found = exchange_look(exchange, wall_ms).reuse == REUSE_SERVE;
    /* A refresh before its time wants another one than that. */
    return found &&
           !(exchange->early && exchange->lookup.entry.stored.stored_ms == exchange->seen_ms);
}

/* A part serves the one who asked for it; who waits may want another, or the whole, and looks for
 * himself when it is his turn. */
static bool
is_whole(const struct exchange *exchange)
{
    return !(exchange->lookup.entry.stored.flags & STORED_PARTIAL);
}

/* Give what has been found to all who wait for it, and to its own client. */
static enum step
serve_found(struct exchange *exchange, int64_t wall_ms)
{
    struct flight *flight = exchange->wait.flight;
    bool variant = exchange->key.name != exchange->key.primary;
    struct slice names = variant ? exchange->lookup.marker.names : (struct slice){NULL, 0};
    exchange->wait.flight = NULL;
    if (flight) {
        if (is_whole(exchange) && flight_wanted(flight) && keep_entry_spool(exchange, names))
            flight_share(flight, exchange->wait.spool, exchange->lookup.entry.own.count == 0);
        flight_done(flight);
    }
    if (!exchange->background)
        return exchange_hit(exchange, wall_ms);
    exchange_done(exchange);
    return STEP_DONE;
}

/* It has waited in vain, or had to, and had something stored: is that of use now? */
static enum step
serve_alone(struct exchange *exchange)
{
    int64_t wall_ms = store_clock_ms(exchange->site->cache);
    if (!exchange->wait.had_entry)
        return STEP_NEXT;
    if (look(exchange, wall_ms))
        return exchange_hit(exchange, wall_ms);
    return exchange->wait.failed ? fetch_stand_in(exchange) : STEP_NEXT;
}

/* It is no use to wait for this one; somebody has found out before. */
static void
let_all_go(struct exchange *exchange, struct lease *lease)
{
    counters_add(COUNTER_hit_for_miss, 1);
    coalesce_end(exchange, FLIGHT_ALONE);
    lease_end(lease, 'N');
}

/* Another process is at it, for so long at least. STEP_NEXT: not any more, as *word has it. */
static enum step
park(struct exchange *exchange, int64_t retry_ms, enum flight_word *word)
{
    struct flight *flight = exchange->wait.flight;
    bool waits = !exchange->background;
    exchange->wait.flight = NULL; /* who is parked leads nobody */
    if (!flight_park(flight, waits ? &exchange->wait.parked : NULL, retry_ms, word)) {
        exchange->wait.flight = flight;
        return STEP_NEXT;
    }
    if (waits)
        return STEP_HANDED_OFF;
    exchange_done(exchange);
    return STEP_DONE;
}

enum step
coalesce_lead(struct exchange *exchange)
{
    struct site *site = exchange->site;
    struct flight *flight = exchange->wait.flight;
    enum flight_word word = FLIGHT_LOOK;
    if (!flight) {
        if (exchange->wait.waited) /* and what it had for Redis is used up */
            exchange->redis_until_ms = clock_now_ms() + site->config->budget_ms;
        return serve_alone(exchange);
    }
    if (exchange->wait.rounds) {
        int64_t wall_ms = store_clock_ms(exchange->site->cache);
        /* The next round: what was missing may be there by now. Who comes while we look may have
         * come after an invalidation that what we find does not know of. */
        flight_seal(flight);
        if (exchange->wait.waited && look(exchange, wall_ms))
            return serve_found(exchange, wall_ms);
        flight_begin(flight, clock_now_ms());
        return STEP_NEXT;
    }
    while (word == FLIGHT_LOOK) {
        struct lease *lease = NULL;
        int64_t left_ms = 0, wall_ms = store_clock_ms(exchange->site->cache);
        int64_t until_ms = clock_now_ms() + site->config->budget_ms;
        flight_expect(flight);
        enum larder_status status = lease_take(
            site, flight_name(flight), site->config->coalesce_lease_ms, until_ms, &lease, &left_ms);
        if (status != LARDER_OK && status != LARDER_MISS)
            break; /* Redis is away: then nobody knows, and it is fetched */
        flight_seal(flight);
        if (look(exchange, wall_ms)) {
            lease_end(lease, 'S');
            return serve_found(exchange, wall_ms);
        }
        if (exchange->lookup.missing == REASON_HIT_FOR_MISS) {
            let_all_go(exchange, lease);
            return STEP_NEXT;
        }
        if (status == LARDER_OK) {
            exchange->wait.lease = lease;
            break;
        }
        exchange->wait.had_entry |= exchange->lookup.has_entry;
        enum step step = park(exchange, clock_now_ms() + left_ms, &word);
        if (step != STEP_NEXT)
            return step;
    }
    if (word == FLIGHT_LOOK) {
        flight_begin(flight, clock_now_ms());
        return STEP_NEXT;
    }
    coalesce_end(exchange, FLIGHT_ALONE);
    if (exchange->background) {
        exchange_done(exchange);
        return STEP_DONE;
    }
    exchange->wait.waited = exchange->wait.marks = true;
    return STEP_NEXT;
}

/* ------------------------------------------------------------------------ fetching */

/* Could who waits have it? */
static bool
may_share(const struct exchange *exchange, const struct kept *kept)
{
    const struct store_decision *decision = &kept->decision;
    if (kept->part || (decision->flags & STORED_NO_CACHE) || decision->ttl_ms <= 0)
        return false;
    return decision->reason == REASON_NONE || (exchange->wait.rounds && keep_is_unproven(kept));
}

/* Does the response itself forbid it: so that the next one will too? */
static bool
forbids(const struct kept *kept)
{
    if (kept->status >= 500 || kept->status == 206 || status_is_of_request(kept->status))
        return false;
    switch (kept->decision.reason) {
    case REASON_STATUS:
    case REASON_ERROR_STATUS:
    case REASON_NO_STORE:
    case REASON_PRIVATE:
    case REASON_NO_CACHE:
    case REASON_SET_COOKIE:
    case REASON_VARY:
    case REASON_VARY_STAR:
    case REASON_NO_FRESHNESS:
    case REASON_EXPIRED:
    case REASON_MUST_UNDERSTAND:
    case REASON_TOO_LARGE:
    case REASON_UNTIL_CLOSE:
    case REASON_STREAM:
        return true;
    default:
        return false;
    }
}

/* Would the next ones wait in vain as well? What is stored stays, unless there is something new in its
 * place. */
static bool
is_for_all(const struct exchange *exchange, const struct kept *kept)
{
    return (forbids(kept) || exchange->opening.refused) &&
           (!exchange->lookup.has_entry || gone_is_replaced(exchange, kept));
}

/* Will the next visitor's answer be made of its own fields, once there is a mark? */
static bool
mark_helps(const struct exchange *exchange)
{
    return exchange->reason == REASON_NONE && exchange->lookup.missing != REASON_HIT_FOR_MISS &&
           backend_fields_withheld(exchange);
}

/* Nobody else gets this one. Whoever waited for it, here or elsewhere, goes on, and if the next ones
 * would wait in vain as well, they are told. If nobody knows that, the next one leads the others. */
static void
refuse(struct exchange *exchange, const struct kept *kept)
{
    char name[FLIGHT_NAME_SIZE];
    if (!keep_tells_others(kept, exchange)) {
        waiters_part(exchange, true);
        coalesce_end(exchange, FLIGHT_LOOK);
        return;
    }
    int64_t now_ms = clock_now_ms(), forbidden_ms = exchange->site->config->hit_for_miss_ms;
    memcpy(name, flight_name(exchange->wait.flight), sizeof name);
    exchange->wait.waited |= flight_refuse(exchange->wait.flight, FLIGHT_ALONE);
    coalesce_end(exchange, FLIGHT_ALONE);
    if (!is_for_all(exchange, kept))
        return;
    if (!exchange->wait.waited) {
        if (mark_helps(exchange))
            keep_mark(kept, exchange);
        return;
    }
    if (exchange->lookup.generations_complete && forbidden_ms > FORBIDDEN_MS)
        forbidden_ms = FORBIDDEN_MS;
    flight_forbid(name, now_ms + forbidden_ms, now_ms);
    keep_mark(kept, exchange);
}

void
coalesce_seal(struct exchange *exchange)
{
    if (exchange->wait.flight)
        flight_seal(exchange->wait.flight);
}

void
coalesce_opened(struct exchange *exchange)
{
    waiters_part(exchange, exchange->opening.sends_all);
}

void
coalesce_head(struct exchange *exchange, const struct kept *kept, struct spool *spool)
{
    if (!exchange->wait.flight) {
        if (keep_tells_others(kept, exchange) && is_for_all(exchange, kept) &&
            (exchange->wait.marks || mark_helps(exchange)))
            keep_mark(kept, exchange);
        exchange->wait.marks = false;
        return;
    }
    if (spool && spool->described && may_share(exchange, kept))
        flight_share(exchange->wait.flight, spool, kept->own.count == 0);
    else if (!may_share(exchange, kept) || flight_wanted(exchange->wait.flight))
        refuse(exchange, kept);
}

bool
coalesce_is_wanted(const struct exchange *exchange, struct spool *spool)
{
    return (exchange->wait.flight && flight_wanted(exchange->wait.flight)) ||
           (spool && atomic_load(&spool->readers) > 0);
}

bool
coalesce_is_too_large(struct exchange *exchange, const struct kept *kept, struct spool *spool)
{
    /* First the others: nobody joins any more when they are counted. */
    exchange->wait.waited |= atomic_load(&spool->readers) > 0;
    if (exchange->wait.flight)
        refuse(exchange, kept);
    return atomic_load(&spool->readers) > 0;
}

void
coalesce_freshened(struct exchange *exchange, const struct kept *kept)
{
    if (!exchange->wait.flight)
        return;
    if (!exchange->wait.spool || !exchange->wait.spool->described || !may_share(exchange, kept))
        coalesce_end(exchange, FLIGHT_ALONE);
    else if (kept->own.count == 0 && is_whole(exchange))
        flight_share(exchange->wait.flight, exchange->wait.spool, false);
    /* Else it is a part, or nobody has proven that none of its own tags was purged while it was
     * validated: who waits looks when it is stored, and compares. */
}

/* -------------------------------------------------------------------------- the end */

/* What ends when it has been stored. */
struct landing {
    struct flight *flight;
    struct lease *lease;
};

static void
landed(void *arg, bool stored)
{
    struct landing *landing = arg;
    lease_end(landing->lease, stored ? 'S' : 'N');
    flight_done(landing->flight);
    free(landing);
}

struct keep_after
coalesce_until_stored(struct exchange *exchange)
{
    struct landing *landing = exchange->wait.flight ? malloc(sizeof *landing) : NULL;
    if (!landing) {
        coalesce_end(exchange, FLIGHT_ALONE);
        return (struct keep_after){.fn = NULL};
    }
    *landing = (struct landing){exchange->wait.flight, exchange->wait.lease};
    exchange->wait.flight = NULL;
    exchange->wait.lease = NULL;
    return (struct keep_after){.fn = landed, .arg = landing};
}

static void
over(struct exchange *exchange, char word)
{
    if (exchange->wait.flight)
        flight_done(exchange->wait.flight);
    exchange->wait.flight = NULL;
    lease_end(exchange->wait.lease, word);
    exchange->wait.lease = NULL;
}

void
coalesce_over(struct exchange *exchange)
{
    over(exchange, 'N');
}

void
coalesce_end(struct exchange *exchange, enum flight_word word)
{
    if (exchange->wait.flight && word != FLIGHT_LOOK)
        flight_refuse(exchange->wait.flight, word);
    over(exchange, word == FLIGHT_LOOK ? 'S' : 'N');
}

/* -------------------------------------------------------------------- the process */

static void
resume(struct parked *leader, struct flight *flight)
{
    struct exchange *exchange =
        (struct exchange *)((char *)leader - offsetof(struct exchange, wait.parked));
    exchange->wait.flight = flight;
    exchange->wait.waited = true;
    exchange_ask(exchange);
}

bool
coalesce_start(void)
{
    static const struct flight_calls calls = {waiters_take, waiters_release, resume, streamer_wind};
    flights_start(&calls);
    return leases_start() && streamer_start(flights_tick);
}

static void
wake(void *unused, const char *name, size_t len, char word)
{
    (void)unused;
    flight_wake((struct slice){name, len}, word == 'N' ? FLIGHT_ALONE : FLIGHT_LOOK);
}

void
coalesce_listen(struct site *site)
{
    struct larder_error err;
    if (site_caches(site) && site->config->coalesce &&
        store_listen(site->cache, wake, NULL, &err) != LARDER_OK)
        log_write(LARDER_LOG_WARNING, "cannot hear of other processes' fetches: %s", err.message);
}

void
coalesce_drain(int64_t deadline_ms)
{
    const struct timespec pause = {0, DRAIN_LOOK_MS * 1000000};
    size_t flights, parked, read;
    flights_drain();
    for (;;) {
        flights_numbers(&flights, &parked);
        read = streamer_count();
        if (parked == 0 && read == 0)
            return;
        if (clock_now_ms() >= deadline_ms)
            break;
        nanosleep(&pause, NULL);
    }
    /* A client that reads slowly enough would keep the process for ever; and who is parked still
     * must not begin anything. */
    log_write(LARDER_LOG_WARNING,
              "drain_timeout is over: breaking off %zu answers that are waited for", parked + read);
    drain_give_up();
}

void
coalesce_stop(int64_t timeout_ms)
{
    streamer_stop();
    leases_stop(timeout_ms);
}
