/*
 * One fetch per miss.
 *
 *   worker    join ──┬─ nobody is at it ─ lead ── fetcher: lease ─┬─ fetch ─ head ─ share ─ store
 *                    │                                            └─ another process: park
 *                    └─ somebody is ── parked ─┬─ it may be shared: read the spool (streamer)
 *                                              └─ it may not: fetch, all at once
 *
 * What a waiter gets is what he would have got a moment later from the store:
 * the fields in the form in which they are kept, chosen by his own values of what
 * Vary names, judged by his own Cache-Control. So nothing reaches him that is
 * another visitor's.
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

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "responder/answer.h"
#include "responder/backend_fields.h"
#include "responder/fetch.h"
#include "responder/flight.h"
#include "responder/lease.h"
#include "responder/lookup.h"
#include "responder/streamer.h"
#include "runtime/counters.h"

/* What is smaller goes out in one write when it is whole, which costs less than to stream it. */
#define STREAM_MIN (INT64_C(64) * 1024)
/* Another variant than the one that came: so often a request looks for its own. */
#define REJOINS_MAX 2
/* What a refresh may lose to Redis: nobody waits for it. */
#define REFRESH_BUDGET_MS 1000
/* Until the mark in Redis says so: what must not be shared. */
#define FORBIDDEN_MS 1000
/* How often coalesce_drain() looks. */
#define DRAIN_LOOK_MS 5

static struct exchange *
of_parked(struct parked *parked)
{
    return (struct exchange *)((char *)parked - offsetof(struct exchange, parked));
}

static struct exchange *
of_reader(struct reader *reader)
{
    return (struct exchange *)((char *)reader - offsetof(struct exchange, reader));
}

static void
finish(struct exchange *exchange, bool ended)
{
    exchange_let_go(exchange, ended);
    exchange_done(exchange);
}

/* ------------------------------------------------------------------------ the name */

static bool
make_name(char name[FLIGHT_NAME_SIZE], const struct exchange *exchange)
{
    static const char hex[] = "0123456789abcdef";
    const struct store_generations *generations = &exchange->generations;
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t n = strlen(exchange->key.name) + 1, size = n + sizeof *generations + 16;
    char *text = arena_alloc(exchange->arena, size);
    if (!text)
        return false;
    memcpy(text, exchange->key.name, n);
    /* Without them it is a name of its own, which no other process has. */
    for (size_t i = 0; exchange->generations_complete && i < generations->count; i++) {
        memcpy(text + n, generations->value[i], STORE_GENERATION_LEN);
        n += STORE_GENERATION_LEN;
    }
    if (exchange->generations_complete) {
        memcpy(text + n, &exchange->identity, sizeof exchange->identity);
        n += sizeof exchange->identity;
    }
    if (EVP_Digest(text, n, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    for (size_t i = 0; i < (FLIGHT_NAME_SIZE - 1) / 2; i++) {
        name[2 * i] = hex[digest[i] >> 4];
        name[2 * i + 1] = hex[digest[i] & 15];
    }
    name[FLIGHT_NAME_SIZE - 1] = '\0';
    return true;
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
    if (exchange->reason != REASON_NONE || exchange->alone || !exchange->site->config->coalesce ||
        !exchange->match.route->coalesce || exchange->missing == REASON_HIT_FOR_MISS)
        return false;
    /* Each use of it has to be asked for, so that nobody can have another's. */
    return exchange->forward != REASON_MUST_VALIDATE &&
           !(exchange->has_entry && exchange->entry.stored.ttl_ms <= 0);
}

/* Would the answer to this one do for others? Not a head, and not a part. */
static bool
may_lead(const struct exchange *exchange)
{
    bool ranged = fields_get(&exchange->request.fields, "Range").p != NULL;
    return is_get(exchange) && !(ranged && exchange->match.route->range_fetch == 0);
}

/* What was found, and is not the answer, is not held while nobody knows how long it will be. */
static void
forget_entry(struct exchange *exchange)
{
    exchange->had_entry |= exchange->has_entry;
    exchange->has_entry = exchange->use_entry = false;
    free(exchange->value.data);
    exchange->value.data = NULL;
}

static void read_spool(struct exchange *exchange, struct spool *spool);

/* As coalesce_join(), with what is known of generations. */
static bool
join(struct exchange *exchange)
{
    char name[FLIGHT_NAME_SIZE];
    struct spool *spool = NULL;
    int64_t now_ms = clock_now_ms();
    exchange->rounds = !exchange->generations_complete;
    if (!make_name(name, exchange))
        return false;
    /* Who leads looks once more, and gets it then. */
    if (exchange->has_entry && flight_exists(name))
        forget_entry(exchange);
    exchange->parked.since_ms = exchange->started_ms;
    exchange->parked.until_ms = exchange->started_ms + exchange->site->config->coalesce_wait_ms;
    const struct flight_terms terms = {
        .may_lead = may_lead(exchange),
        .max_age_ms = decide_fetch_age_ms(&exchange->policy, &exchange->facts),
        .rounds = exchange->rounds};
    switch (flight_join(name, &exchange->parked, terms, now_ms, &exchange->flight, &spool)) {
    case FLIGHT_WAITS:
        return true;
    case FLIGHT_READS:
        read_spool(exchange, spool);
        return true;
    case FLIGHT_LEADS:
    case FLIGHT_APART:
        break;
    }
    return false;
}

bool
coalesce_join(struct exchange *exchange)
{
    if (exchange->reason == REASON_NONE && exchange->missing == REASON_HIT_FOR_MISS)
        counters_add(COUNTER_hit_for_miss, 1);
    if (!may_join(exchange))
        return false;
    exchange_note_generations(exchange, exchange->redis_until_ms);
    return join(exchange);
}

bool
coalesce_refresh(struct exchange *exchange)
{
    char name[FLIGHT_NAME_SIZE];
    exchange->rounds = false;
    if (!exchange->generations_complete || !make_name(name, exchange))
        return false;
    exchange->flight = flight_lead(name, clock_now_ms());
    return exchange->flight != NULL;
}

/* ------------------------------------------------------------------ who is handed on */

static void
drop_spool(struct exchange *exchange)
{
    if (exchange->reads)
        atomic_fetch_sub(&exchange->spool->readers, 1);
    exchange->reads = false;
    spool_give(exchange->spool);
    exchange->spool = NULL;
}

/* Not by this one, and it waits for no other. */
static void
go_alone(struct exchange *exchange)
{
    if (exchange->spool)
        drop_spool(exchange);
    exchange->alone = exchange->waited = true;
    exchange_ask(exchange);
}

static void
release(struct parked *list, enum flight_word word)
{
    bool first = true;
    while (list) {
        struct exchange *exchange = of_parked(list);
        list = list->next;
        if (word == FLIGHT_LATE)
            counters_add(COUNTER_coalesce_timeouts, 1);
        exchange->failed = word == FLIGHT_FAILED;
        /* One of them is enough to tell the next ones. */
        exchange->marks = word == FLIGHT_ALONE && first;
        first = false;
        go_alone(exchange);
    }
}

static void
resume(struct parked *leader, struct flight *flight)
{
    struct exchange *exchange = of_parked(leader);
    exchange->flight = flight;
    exchange->waited = true;
    exchange_ask(exchange);
}

static void
take(struct parked *list, struct spool *spool)
{
    while (list) {
        struct exchange *exchange = of_parked(list);
        list = list->next;
        read_spool(exchange, spool);
    }
}

/* -------------------------------------------------------------------- what they get */

static struct answer_origin
origin_of(const struct exchange *exchange)
{
    return (struct answer_origin){.x_cache = "HIT",
                                  .status = {.forward = exchange->forward, .collapsed = true}};
}

/* Is it what this request selects (RFC 9111 §4.1)? */
static bool
selects(struct exchange *exchange)
{
    struct spool *spool = exchange->spool;
    struct fields selecting = {0};
    key_unselect(&exchange->key);
    if (spool->vary.count > 0 &&
        (!backend_fields(&selecting, exchange) ||
         !key_select(&exchange->key, &spool->vary, &selecting, exchange->arena))) {
        exchange->alone = true; /* no memory */
        return false;
    }
    return slice_equal(exchange->key.material, spool->entry.material);
}

/* What its Cache-Control says of a response that has just come. */
static bool
accepts(const struct exchange *exchange)
{
    const struct stored *stored = &exchange->spool->entry.stored;
    return decide_reuse(&exchange->policy, &exchange->facts, stored, REASON_MISS, clock_wall_ms())
               .reuse == REUSE_SERVE;
}

/* It gets the body while it comes; anything but a plain GET needs to know how long that is. */
static bool
streams(const struct exchange *exchange)
{
    const struct spool *spool = exchange->spool;
    const struct fields *asked = &exchange->request.fields;
    return spool_state(spool) == SPOOL_GROWING && is_get(exchange) &&
           (spool->length < 0 || spool->length > STREAM_MIN) && spool->entry.stored.status != 204 &&
           /* A body that breaks off would look whole behind mod_fcgid. */
           !(spool->length < 0 && exchange->request.mount == MOUNT_APACHE_FCGID) &&
           !fields_get(asked, "Range").p && !fields_get(asked, "If-None-Match").p &&
           !fields_get(asked, "If-Modified-Since").p;
}

static bool
begin_stream(struct exchange *exchange)
{
    const struct answer_origin origin = origin_of(exchange);
    const struct spool *spool = exchange->spool;
    struct slice head =
        answer_head(exchange, &spool->entry, &origin, spool->length, clock_wall_ms());
    struct iovec piece = {(void *)head.p, head.n};
    if (!head.p) {
        finish(exchange, false);
        return false;
    }
    exchange->status = spool->entry.stored.status;
    exchange->x_cache = origin.x_cache;
    exchange->reader.offset = 0;
    exchange->reader.end = SIZE_MAX;
    counters_add(COUNTER_collapsed, 1);
    /* What the socket does not take, and that it is gone, is seen by who goes on. */
    connection_send(exchange->connection, exchange->arena, &piece, 1, false, false);
    return true;
}

static bool
begin(struct exchange *exchange)
{
    struct spool *spool = exchange->spool;
    if (!selects(exchange)) {
        drop_spool(exchange);
        exchange->missing = exchange->forward = REASON_VARY_MISS;
        if (exchange->alone || exchange->rejoins++ == REJOINS_MAX || !join(exchange))
            exchange_ask(exchange);
        return false;
    }
    if (spool_state(spool) == SPOOL_BROKEN || !accepts(exchange)) {
        go_alone(exchange);
        return false;
    }
    if (streams(exchange))
        return begin_stream(exchange);
    exchange->reader.waits_for_whole = true;
    exchange->reader.until_ms = exchange->parked.until_ms;
    return true;
}

static bool
send_whole(struct exchange *exchange)
{
    const struct answer_origin origin = origin_of(exchange);
    struct answer answer;
    exchange->x_cache = origin.x_cache;
    if (!answer_make(&answer, exchange, &exchange->spool->entry, &origin, clock_wall_ms())) {
        finish(exchange, false);
        return false;
    }
    counters_add(COUNTER_collapsed, 1);
    exchange->status = answer.status;
    exchange->body_sent = answer.body_len;
    switch (connection_send(exchange->connection, exchange->arena, answer.pieces, answer.count,
                            true, false)) {
    case CONNECTION_AGAIN:
        exchange->reader.ended = true;
        return true;
    case CONNECTION_DONE:
        finish(exchange, true);
        return false;
    case CONNECTION_GONE:
        break;
    }
    counters_add(COUNTER_client_gone, 1);
    finish(exchange, false);
    return false;
}

static void
break_off_job(struct fetcher_job *job)
{
    struct exchange *exchange = (struct exchange *)job;
    connection_break_off(exchange->connection);
    finish(exchange, false);
}

bool
coalesce_reads(struct reader *reader, enum reader_event event)
{
    struct exchange *exchange = of_reader(reader);
    if (!reader->ended && !reader->waits_for_whole &&
        (event == READER_SENT || event == READER_GONE || event == READER_BROKEN))
        exchange->body_sent += reader->offset - exchange->body_from;
    switch (event) {
    case READER_NONE:
        break;
    case READER_BEGIN:
        return exchange->parted || begin(exchange);
    case READER_WHOLE:
        return send_whole(exchange);
    case READER_SENT:
        finish(exchange, true);
        break;
    case READER_GONE:
        counters_add(COUNTER_client_gone, 1);
        finish(exchange, false);
        break;
    case READER_BROKEN:
        if (reader->waits_for_whole) {
            go_alone(exchange);
            break;
        }
        exchange->job.run = break_off_job;
        if (atomic_load(&server_giving_up) || !fetchers_submit(&exchange->job))
            finish(exchange, false);
        break;
    case READER_LATE:
        counters_add(COUNTER_coalesce_timeouts, 1);
        go_alone(exchange);
        break;
    case READER_SPILLED:
        go_alone(exchange);
        break;
    }
    return false;
}

static void
read_spool(struct exchange *exchange, struct spool *spool)
{
    forget_entry(exchange);
    exchange->spool = spool;
    exchange->reads = true;
    exchange->reader = (struct reader){
        .connection = exchange->connection, .spool = spool, .event = coalesce_reads};
    streamer_add(&exchange->reader);
}

/* ------------------------------------------------------------------------- leading */

/* Look again. true: there is something that will do, in exchange->entry. */
static bool
look(struct exchange *exchange, int64_t wall_ms)
{
    int64_t budget_ms = exchange->background ? REFRESH_BUDGET_MS
                                             : exchange->site->config->budget_ms;
    exchange->redis_until_ms = clock_now_ms() + budget_ms;
    bool found = exchange_look(exchange, wall_ms).reuse == REUSE_SERVE;
    /* A refresh before its time wants another one than that. */
    return found && !(exchange->early && exchange->entry.stored.stored_ms == exchange->seen_ms);
}

/* Give what has been found to all who wait for it, and to its own client. */
static void
serve_found(struct exchange *exchange, int64_t wall_ms)
{
    struct flight *flight = exchange->flight;
    bool variant = exchange->key.name != exchange->key.primary;
    struct slice names = variant ? exchange->marker.names : (struct slice){NULL, 0};
    exchange->flight = NULL;
    if (flight) {
        if (flight_wanted(flight) && keep_entry_spool(exchange, names))
            flight_share(flight, exchange->spool, false);
        flight_done(flight);
    }
    if (exchange->background)
        exchange_done(exchange);
    else
        exchange_hit(exchange, wall_ms);
}

/* It has waited in vain, or had to, and had something stored: is that of use now? */
static bool
serve_alone(struct exchange *exchange)
{
    int64_t wall_ms = clock_wall_ms();
    if (!exchange->had_entry)
        return false;
    if (look(exchange, wall_ms)) {
        exchange_hit(exchange, wall_ms);
        return true;
    }
    return exchange->failed && fetch_stand_in(exchange);
}

/* It is no use to wait for this one; somebody has found out before. */
static void
let_all_go(struct exchange *exchange, struct lease *lease)
{
    counters_add(COUNTER_hit_for_miss, 1);
    coalesce_end(exchange, FLIGHT_ALONE);
    lease_end(lease, 'N');
}

/* Another process is at it, for so long at least. true: the exchange is not the caller's any more. */
static bool
park(struct exchange *exchange, int64_t retry_ms, enum flight_word *word)
{
    struct flight *flight = exchange->flight;
    bool waits = !exchange->background;
    exchange->flight = NULL; /* who is parked leads nobody */
    if (!flight_park(flight, waits ? &exchange->parked : NULL, retry_ms, word)) {
        exchange->flight = flight;
        return false;
    }
    if (!waits)
        exchange_done(exchange);
    return true;
}

bool
coalesce_lead(struct exchange *exchange)
{
    struct site *site = exchange->site;
    struct flight *flight = exchange->flight;
    enum flight_word word = FLIGHT_LOOK;
    if (!flight) {
        if (exchange->waited) /* and what it had for Redis is used up */
            exchange->redis_until_ms = clock_now_ms() + site->config->budget_ms;
        return !serve_alone(exchange);
    }
    if (exchange->rounds) {
        flight_begin(flight, clock_now_ms());
        return true;
    }
    while (word == FLIGHT_LOOK) {
        struct lease *lease = NULL;
        int64_t left_ms = 0, wall_ms = clock_wall_ms();
        int64_t until_ms = clock_now_ms() + site->config->budget_ms;
        flight_expect(flight);
        enum larder_status status = lease_take(
            site, flight_name(flight), site->config->coalesce_lease_ms, until_ms, &lease, &left_ms);
        if (status != LARDER_OK && status != LARDER_MISS)
            break; /* Redis is away: then nobody knows, and it is fetched */
        if (look(exchange, wall_ms)) {
            lease_end(lease, 'S');
            serve_found(exchange, wall_ms);
            return false;
        }
        if (exchange->missing == REASON_HIT_FOR_MISS) {
            let_all_go(exchange, lease);
            return true;
        }
        if (status == LARDER_OK) {
            exchange->lease = lease;
            break;
        }
        exchange->had_entry |= exchange->has_entry;
        if (park(exchange, clock_now_ms() + left_ms, &word))
            return false;
    }
    if (word == FLIGHT_LOOK) {
        flight_begin(flight, clock_now_ms());
        return true;
    }
    coalesce_end(exchange, FLIGHT_ALONE);
    if (exchange->background) {
        exchange_done(exchange);
        return false;
    }
    exchange->waited = exchange->marks = true;
    return true;
}

/* ------------------------------------------------------------------------ fetching */

/* Could who waits have it? */
static bool
may_share(const struct exchange *exchange, const struct kept *kept)
{
    const struct store_decision *decision = &kept->decision;
    if (kept->part || (decision->flags & STORED_NO_CACHE) || decision->ttl_ms <= 0)
        return false;
    return decision->reason == REASON_NONE || (exchange->rounds && keep_is_unproven(kept));
}

/* Does the response itself forbid it: so that the next one will too? */
static bool
forbids(const struct kept *kept)
{
    if (kept->status >= 500 || kept->status == 206 || kept->status == 304 || kept->status == 412 ||
        kept->status == 416)
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
        return true;
    default:
        return false;
    }
}

static void
mark(struct exchange *exchange, const struct kept *kept)
{
    /* What is stale and was asked for with a condition stays, unless there is something new. */
    if (!exchange->has_entry || kept->status == 200)
        keep_mark(kept, exchange);
}

/* Nobody else gets this one. Whoever waited for it, here or elsewhere, goes on, and if the next ones
 * would wait in vain as well, they are told. */
static void
refuse(struct exchange *exchange, const struct kept *kept)
{
    char name[FLIGHT_NAME_SIZE];
    int64_t now_ms = clock_now_ms(), forbidden_ms = exchange->site->config->hit_for_miss_ms;
    memcpy(name, flight_name(exchange->flight), sizeof name);
    exchange->waited |= flight_refuse(exchange->flight, FLIGHT_ALONE);
    coalesce_end(exchange, FLIGHT_ALONE);
    if (!exchange->waited || !forbids(kept))
        return;
    if (exchange->generations_complete && forbidden_ms > FORBIDDEN_MS)
        forbidden_ms = FORBIDDEN_MS;
    flight_forbid(name, now_ms + forbidden_ms, now_ms);
    mark(exchange, kept);
}

void
coalesce_head(struct exchange *exchange, const struct kept *kept, struct spool *spool)
{
    if (!exchange->flight) {
        if (exchange->marks && forbids(kept))
            mark(exchange, kept);
        exchange->marks = false;
        return;
    }
    if (spool && spool->described && may_share(exchange, kept))
        flight_share(exchange->flight, spool, kept->own.count == 0);
    else if (!may_share(exchange, kept) || flight_wanted(exchange->flight))
        refuse(exchange, kept);
}

bool
coalesce_is_wanted(const struct exchange *exchange, struct spool *spool)
{
    return (exchange->flight && flight_wanted(exchange->flight)) ||
           (spool && atomic_load(&spool->readers) > 0);
}

bool
coalesce_is_too_large(struct exchange *exchange, const struct kept *kept, struct spool *spool)
{
    /* First the others: nobody joins any more when they are counted. */
    exchange->waited |= atomic_load(&spool->readers) > 0;
    if (exchange->flight)
        refuse(exchange, kept);
    return atomic_load(&spool->readers) > 0;
}

void
coalesce_freshened(struct exchange *exchange, const struct kept *kept)
{
    if (!exchange->flight)
        return;
    if (exchange->spool && exchange->spool->described && may_share(exchange, kept))
        flight_share(exchange->flight, exchange->spool, false);
    else
        coalesce_end(exchange, FLIGHT_ALONE);
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
    struct landing *landing = exchange->flight ? malloc(sizeof *landing) : NULL;
    if (!landing) {
        coalesce_end(exchange, FLIGHT_ALONE);
        return (struct keep_after){.fn = NULL};
    }
    *landing = (struct landing){exchange->flight, exchange->lease};
    exchange->flight = NULL;
    exchange->lease = NULL;
    return (struct keep_after){.fn = landed, .arg = landing};
}

void
coalesce_over(struct exchange *exchange)
{
    if (exchange->flight)
        flight_done(exchange->flight);
    exchange->flight = NULL;
    lease_end(exchange->lease, 'N');
    exchange->lease = NULL;
}

void
coalesce_end(struct exchange *exchange, enum flight_word word)
{
    if (exchange->flight)
        flight_refuse(exchange->flight, word);
    coalesce_over(exchange);
}

/* -------------------------------------------------------------------- the process */

bool
coalesce_start(void)
{
    static const struct flight_calls calls = {take, release, resume, streamer_wind};
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
    if (site->cache && site->config->coalesce &&
        store_listen(site->cache, wake, NULL, &err) != LARDER_OK)
        log_write(LARDER_LOG_WARNING, "cannot hear of other processes' fetches: %s", err.message);
}

void
coalesce_drain(int64_t deadline_ms)
{
    const struct timespec pause = {0, DRAIN_LOOK_MS * 1000000};
    size_t flights, parked;
    flights_drain();
    for (;;) {
        flights_numbers(&flights, &parked);
        if ((parked == 0 && streamer_count() == 0) || clock_now_ms() >= deadline_ms)
            return;
        nanosleep(&pause, NULL);
    }
}

void
coalesce_stop(int64_t timeout_ms)
{
    streamer_stop();
    leases_stop(timeout_ms);
}
