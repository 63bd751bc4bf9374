/*
 * Who waits for somebody else's fetch, or reads it.
 *
 *   parked ─┬─ taken ─ begin ─┬─ another variant ─ look for its own flight
 *           │                 ├─ not what it asked for ─ alone
 *           │                 ├─ long, or of unknown length ─ the head, and the body as it comes
 *           │                 └─ else ─ wait for the whole ─ the answer, in one write
 *           └─ released ─ alone
 *
 * What a waiter gets is what it would have got a moment later from the store:
 * the fields in the form in which they are kept, chosen by its own values of what
 * Vary names, judged by its own Cache-Control. So nothing reaches it that is
 * another visitor's. All of this runs in the streamer's thread, which waits for
 * nobody; who goes alone is handed to a fetcher, as any request.
 */
#include "responder/waiter.h"

#include "base/clock.h"
#include "responder/answer.h"
#include "responder/backend_fields.h"
#include "responder/coalesce.h"
#include "runtime/counters.h"

/* What is smaller goes out in one write when it is whole, which costs less than to stream it. */
#define STREAM_MIN (INT64_C(64) * 1024)
/* Another variant than the one that came: so often a request looks for its own. */
#define REJOINS_MAX 2

static struct exchange *
of_parked(struct parked *parked)
{
    return (struct exchange *)((char *)parked - offsetof(struct exchange, wait.parked));
}

static struct exchange *
of_reader(struct reader *reader)
{
    return (struct exchange *)((char *)reader - offsetof(struct exchange, wait.reader));
}

static void
finish(struct exchange *exchange, bool ended)
{
    exchange_let_go(exchange, ended);
    exchange_done(exchange);
}

static void
drop_spool(struct exchange *exchange)
{
    if (exchange->wait.reads)
        atomic_fetch_sub(&exchange->wait.spool->readers, 1);
    exchange->wait.reads = false;
    spool_give(exchange->wait.spool);
    exchange->wait.spool = NULL;
}

/* Not by this one, and it waits for no other. */
static void
go_alone(struct exchange *exchange)
{
    if (exchange->wait.spool)
        drop_spool(exchange);
    exchange->wait.alone = exchange->wait.waited = true;
    exchange_ask(exchange);
}

void
waiters_release(struct parked *list, enum flight_word word)
{
    bool first = true;
    while (list) {
        struct exchange *exchange = of_parked(list);
        list = list->next;
        if (word == FLIGHT_LATE)
            counters_add(COUNTER_coalesce_timeouts, 1);
        exchange->wait.failed = word == FLIGHT_FAILED;
        /* Each gets the answer to its own fields. */
        exchange->opening.sends_all = word == FLIGHT_ALONE;
        /* One of them is enough to tell the next ones. */
        exchange->wait.marks = word == FLIGHT_ALONE && first;
        first = false;
        go_alone(exchange);
    }
}

void
waiters_take(struct parked *list, struct spool *spool)
{
    while (list) {
        struct exchange *exchange = of_parked(list);
        list = list->next;
        waiter_read(exchange, spool);
    }
}

/* -------------------------------------------------------------------- what they get */

static struct answer_origin
origin_of(const struct exchange *exchange)
{
    return (struct answer_origin){.x_cache = "HIT",
                                  .status = {.forward = exchange->forward, .collapsed = true}};
}

/* Is this what the request selects (RFC 9111 §4.1)? */
static bool
selects(struct exchange *exchange, const struct vary *names, struct slice material)
{
    struct fields selecting = {0};
    key_unselect(&exchange->key);
    /* Whatever this request does next, the backend has to hear of these. */
    if (names->count > 0 && (!exchange_open(exchange, names) ||
                             !backend_fields(&selecting, exchange, exchange->opening.opened) ||
                             !key_select(&exchange->key, names, &selecting, exchange->arena))) {
        exchange->wait.alone = true; /* no memory */
        return false;
    }
    return slice_equal(exchange->key.material, material);
}

/* Its own is another variant than the one that it waited for. */
static void
look_for_own(struct exchange *exchange)
{
    exchange->lookup.missing = exchange->forward = REASON_VARY_MISS;
    if (exchange->wait.alone || exchange->wait.rejoins++ == REJOINS_MAX ||
        coalesce_rejoin(exchange) == STEP_NEXT)
        exchange_ask(exchange);
}

/* What the leader's request selects by the fields that it opens, as everybody's request has them. */
static bool
leaders_material(struct exchange *leader, struct slice *material)
{
    struct cache_key key = leader->key;
    struct fields selecting = {0};
    bool sends_all = leader->opening.sends_all;
    leader->opening.sends_all = false;
    bool ok = backend_fields(&selecting, leader, leader->opening.opened);
    leader->opening.sends_all = sends_all;
    key_unselect(&key);
    ok = ok && key_select(&key, leader->opening.opened, &selecting, leader->arena);
    *material = key.material;
    return ok;
}

void
waiters_part(struct exchange *leader, bool own)
{
    struct slice material;
    if (!leader->wait.flight || !leader->opening.opened || !leaders_material(leader, &material))
        return;
    struct parked *list = flight_part(leader->wait.flight);
    while (list) {
        struct exchange *exchange = of_parked(list);
        list = list->next;
        bool same = selects(exchange, leader->opening.opened, material);
        if (leader->opening.expected && !exchange->lookup.has_marker)
            exchange->opening.expected = exchange->opening.opened;
        else
            exchange->opening.unmarked |= leader->opening.unmarked;
        if (!same) {
            look_for_own(exchange);
        } else if (own) {
            exchange->opening.sends_all = exchange->opening.unmarked = true;
            go_alone(exchange);
        } else {
            flight_repark(leader->wait.flight, &exchange->wait.parked);
        }
    }
}

/* What its Cache-Control says of a response that has just come. */
static bool
accepts(const struct exchange *exchange)
{
    const struct entry *entry = &exchange->wait.spool->entry;
    int64_t wall_ms = store_clock_ms(exchange->site->cache);
    return answer_is_possible(exchange, entry, wall_ms) &&
           decide_reuse(&exchange->policy, &exchange->facts, &entry->stored, REASON_MISS, wall_ms)
                   .reuse == REUSE_SERVE;
}

/* It gets the body while it comes; anything but a plain GET needs to know how long that is. */
static bool
streams(const struct exchange *exchange)
{
    const struct spool *spool = exchange->wait.spool;
    const struct fields *asked = &exchange->request.fields;
    return spool_state(spool) == SPOOL_GROWING &&
           slice_equal(exchange->request.method, slice_of("GET")) &&
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
    const struct spool *spool = exchange->wait.spool;
    struct slice head = answer_head(exchange, &spool->entry, &origin, spool->length,
                                    store_clock_ms(exchange->site->cache));
    struct iovec piece = {(void *)head.p, head.n};
    if (!head.p) {
        finish(exchange, false);
        return false;
    }
    exchange->delivery.status = spool->entry.stored.status;
    exchange->delivery.x_cache = origin.x_cache;
    exchange->wait.reader.offset = 0;
    exchange->wait.reader.end = SIZE_MAX;
    counters_add(COUNTER_collapsed, 1);
    /* What the socket does not take, and that it is gone, is seen by who goes on. */
    connection_send(exchange->connection, exchange->arena, &piece, 1, false, false);
    return true;
}

static bool
begin(struct exchange *exchange)
{
    struct spool *spool = exchange->wait.spool;
    if (!selects(exchange, &spool->vary, spool->entry.material)) {
        drop_spool(exchange);
        /* The page is everybody's. What its own value brings may be nobody else's all the same. */
        exchange->opening.unmarked = true;
        look_for_own(exchange);
        return false;
    }
    if (spool_state(spool) == SPOOL_BROKEN || !accepts(exchange)) {
        go_alone(exchange);
        return false;
    }
    if (streams(exchange))
        return begin_stream(exchange);
    exchange->wait.reader.waits_for_whole = true;
    exchange->wait.reader.until_ms = exchange->wait.parked.until_ms;
    return true;
}

static bool
send_whole(struct exchange *exchange)
{
    const struct answer_origin origin = origin_of(exchange);
    struct answer answer;
    exchange->delivery.x_cache = origin.x_cache;
    if (!answer_make(&answer, exchange, &exchange->wait.spool->entry, &origin,
                     store_clock_ms(exchange->site->cache))) {
        finish(exchange, false);
        return false;
    }
    counters_add(COUNTER_collapsed, 1);
    exchange->delivery.status = answer.status;
    exchange->delivery.body_sent = answer.body_len;
    switch (connection_send(exchange->connection, exchange->arena, answer.pieces, answer.count,
                            true, false)) {
    case CONNECTION_AGAIN:
        exchange->wait.reader.ended = true;
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
    connection_break_off(exchange->connection, true);
    finish(exchange, false);
}

bool
waiter_event(struct reader *reader, enum reader_event event)
{
    struct exchange *exchange = of_reader(reader);
    if (!reader->ended && !reader->waits_for_whole &&
        (event == READER_SENT || event == READER_GONE || event == READER_BROKEN))
        exchange->delivery.body_sent += reader->offset - exchange->wait.body_from;
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
        if (atomic_load(&server_giving_up) || !fetchers_submit(&exchange->job)) {
            connection_break_off(exchange->connection, false);
            finish(exchange, false);
        }
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

void
waiter_read(struct exchange *exchange, struct spool *spool)
{
    coalesce_forget_entry(exchange);
    exchange->wait.spool = spool;
    exchange->wait.reads = true;
    exchange->wait.reader =
        (struct reader){.connection = exchange->connection, .spool = spool, .event = waiter_event};
    streamer_add(&exchange->wait.reader);
}
