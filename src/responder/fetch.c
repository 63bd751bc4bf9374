/*
 * A request that goes to the backend: misses, validations, passes, mutations.
 *
 *   ask ─ fetch ─ head: what does it mean? ─┬─ an answer: send, tee ─ end ─ store
 *                                           ├─ 304: freshen ─ answer from the entry ─ store
 *                                           ├─ a failure: the stale entry, where it may
 *                                           └─ of no use: ask again, plainly or for the range
 *
 * Runs in a fetcher, which may wait. The answer streams through as it arrives;
 * while it may be stored and fits max_object, a copy is kept. Nothing is stored
 * before the backend's last byte is there and its framing is whole, and the
 * client never sees a proper end of an answer that had none. What comes in is
 * taken by incoming.c; what it means says meaning.c.
 *
 * A mutation's invalidation is done before its answer's first byte goes out:
 * whoever has been told that a thing is changed never reads the old one.
 *
 * A refresh in the background goes the same way, with nobody to send to; so does what
 * follows the head that a HEAD has got.
 */
#include "responder/fetch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "responder/answer.h"
#include "responder/backend_fields.h"
#include "responder/client.h"
#include "responder/coalesce.h"
#include "responder/gone.h"
#include "responder/meaning.h"
#include "responder/opening.h"
#include "responder/post.h"
#include "responder/shared_parameters.h"
#include "responder/storer.h"
#include "runtime/counters.h"

/* ---------------------------------------------------------------- the whole */

static ssize_t
read_body(void *arg, char *buf, size_t room)
{
    struct fetch *fetch = arg;
    return request_body_read(&fetch->body, fetch->exchange, buf, room);
}

/* An answer from the entry: freshened, or in place of a backend that failed. */
static void
answer_from_entry(struct fetch *fetch, const struct answer_origin *origin)
{
    struct exchange *exchange = fetch->exchange;
    struct answer answer;
    if (exchange->background)
        return;
    exchange->delivery.x_cache = origin->x_cache;
    if (!answer_make(&answer, exchange, &exchange->lookup.entry, origin,
                     store_clock_ms(exchange->site->cache))) {
        exchange_let_go(exchange, false);
        return;
    }
    exchange->delivery.status = answer.status;
    exchange->delivery.body_sent = answer.body_len;
    bool sent = client_send(fetch, answer.pieces, answer.count, true);
    if (!sent)
        counters_add(COUNTER_client_gone, 1);
    exchange_let_go(exchange, sent);
}

/* false: the two cannot be put together (too many fields, no memory). */
static bool
answer_freshened(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    struct kept kept;
    if (!keep_freshen(&kept, exchange, &fetch->ask, &fetch->fields, &fetch->times))
        return false;
    bool stored = kept.decision.reason == REASON_NONE;
    const struct answer_origin origin = {.x_cache = "REVALIDATED",
                                         .personal = !kept.shared,
                                         .status = {.forward = exchange->forward,
                                                    .forward_status = fetch->status,
                                                    .stored = stored,
                                                    .detail = kept.decision.reason}};
    counters_add(COUNTER_revalidated, 1);
    if (!keep_entry_spool(exchange, kept.names))
        counters_add(COUNTER_store_failed, 1);
    coalesce_freshened(exchange, &kept);
    /* First the store: who asks again at once should find it. */
    if (stored && exchange->wait.spool) {
        const struct keep_after after = coalesce_until_stored(exchange);
        keep_store_freshened(&kept, exchange, &after);
    } else {
        if (!keep_is_unproven(&kept))
            gone_drop(exchange);
        coalesce_over(exchange);
    }
    /* What the 304 sets is for the visitor whose request brought it, and has been stored for nobody. */
    if (!response_own_fields(&exchange->lookup.entry.fields, exchange->arena, &exchange->policy,
                             &fetch->fields)) {
        exchange_let_go(exchange, false);
        return true;
    }
    answer_from_entry(fetch, &origin);
    return true;
}

static void
answer_stale(struct fetch *fetch)
{
    const struct answer_origin origin = {.x_cache = "STALE",
                                         .stale = true,
                                         .status = {.hit = true,
                                                    .forward = fetch->exchange->forward,
                                                    .forward_status = fetch->status,
                                                    .detail = REASON_BACKEND_FAILED}};
    if (!fetch->exchange->background)
        counters_add(COUNTER_stale, 1);
    /* Those who wait have the same right to it, if they have. */
    coalesce_end(fetch->exchange, FLIGHT_FAILED);
    answer_from_entry(fetch, &origin);
}

enum step
fetch_stand_in(struct exchange *exchange)
{
    struct fetch fetch = {.exchange = exchange};
    if (!meaning_may_stand_in(&fetch))
        return STEP_NEXT;
    answer_stale(&fetch);
    exchange_done(exchange);
    return STEP_DONE;
}

void
fetch_changed(struct fetch *fetch, bool whole)
{
    bool stores = fetch->post != NULL;
    if (!fetch->mutation.changed)
        return;
    if (whole)
        mutation_whole(&fetch->mutation, fetch->exchange, false, &fetch->fields, &fetch->post);
    else
        mutation_again(&fetch->mutation, fetch->exchange, &fetch->fields, &fetch->post);
    if (stores && !fetch->post)
        fetch->cacheable = false;
    else if (stores && fetch->spool)
        fetch->spool->entry.generations = fetch->post->lookup.generations;
}

/* A whole answer: send what is still to be sent, let the client go, then store. */
static void
finish_answer(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    struct spool *spool = fetch->spool;
    bool sent = true;
    /* What was fetched between head and end may be from before what the backend did then. */
    fetch_changed(fetch, true);
    if (spool) {
        spool_end(spool, true);
        streamer_grew();
    }
    if (fetch->collecting) {
        struct slice body = spool_body(spool), head = incoming_head(fetch, (int64_t)body.n);
        struct iovec pieces[2] = {{(void *)head.p, head.n}, {(void *)body.p, body.n}};
        exchange->delivery.body_sent = body.n;
        sent = head.p && client_send(fetch, pieces, 2, true);
    } else if (!fetch->ended) {
        sent = client_send(fetch, NULL, 0, true);
    }
    if (!sent)
        counters_add(COUNTER_client_gone, 1);
    exchange_let_go(exchange, sent);
    client_leave(fetch);
    if (fetch->outdates)
        gone_drop(exchange);
    else
        gone_settle(fetch);
    if (fetch->cacheable) {
        const struct keep_after after = coalesce_until_stored(exchange);
        keep_store(&fetch->kept, fetch->post ? fetch->post : exchange, spool, &after);
    } else {
        coalesce_over(exchange);
    }
}

/* And neither ours nor that of a request that could not be sent. */
static bool
is_backends_fault(const struct upstream_result *result)
{
    return result->outcome == UPSTREAM_UNREACHABLE || result->outcome == UPSTREAM_TIMEOUT ||
           result->outcome == UPSTREAM_OVERLOADED ||
           (result->outcome == UPSTREAM_BROKEN && result->error.status != LARDER_INVALID);
}

/* Not whole. Before the head an error can be told; after it only the broken connection tells. */
static void
finish_broken(struct fetch *fetch, const struct upstream_result *result)
{
    struct exchange *exchange = fetch->exchange;
    const struct request *request = &exchange->request;
    const char *said = mutation_end(&fetch->mutation, exchange, fetch->status,
                                    result->maybe_received, NULL, &fetch->post);
    if (said)
        fetch->invalidated = said;
    mutation_whole(&fetch->mutation, exchange, !result->ended, &fetch->fields, &fetch->post);
    if (fetch->spool) {
        spool_end(fetch->spool, false);
        streamer_grew();
    }
    client_leave(fetch);
    coalesce_end(exchange, result->outcome == UPSTREAM_CLIENT_GONE ? FLIGHT_LOOK : FLIGHT_FAILED);
    int status = 502;
    const char *why = "The backend's answer could not be understood.";
    switch (result->outcome) {
    case UPSTREAM_CLIENT_GONE:
        /* Or we gave up at the end of drain_timeout, in the midst of an answer. */
        if (!exchange->background)
            counters_add(COUNTER_client_gone, 1);
        if (fetch->head_sent && !fetch->ended && !exchange->background)
            connection_break_off(exchange->connection, true);
        exchange_let_go(exchange, fetch->ended);
        /* What the head has said holds without the rest of the body. */
        if (fetch->meaning == MEANS_ANSWER && fetch->kept.decision.reason != REASON_NONE)
            gone_settle(fetch);
        return;
    case UPSTREAM_UNREACHABLE:
        counters_add(COUNTER_upstream_unreachable, 1);
        why = "The backend cannot be reached.";
        break;
    case UPSTREAM_OVERLOADED:
        counters_add(COUNTER_upstream_overloaded, 1);
        status = 503;
        why = "The backend is overloaded.";
        break;
    case UPSTREAM_TIMEOUT:
        counters_add(COUNTER_upstream_timeout, 1);
        status = 504;
        why = "The backend did not answer in time.";
        break;
    case UPSTREAM_GIVEN_UP:
        status = result->maybe_received ? 504 : 503;
        why = "The cache is being stopped, and could not wait for the backend any longer.";
        break;
    case UPSTREAM_NOMEM:
        status = 500;
        why = "Out of memory.";
        break;
    case UPSTREAM_BROKEN:
    case UPSTREAM_OK:
        counters_add(COUNTER_upstream_broken, 1);
        break;
    }
    if (is_backends_fault(result))
        trouble_note_failure(&exchange->site->trouble, result->error.message, clock_now_ms());
    log_write(LARDER_LOG_WARNING, "%.*s %.*s: %s%s", (int)request->method.n, request->method.p,
              (int)request->target.n, request->target.p, result->error.message,
              fetch->head_sent ? " (the answer was under way: connection closed)" : "");
    if (exchange->background)
        return;
    if (!fetch->head_sent && result->outcome != UPSTREAM_NOMEM && meaning_may_stand_in(fetch)) {
        answer_stale(fetch);
        return;
    }
    if (fetch->head_sent && !fetch->ended)
        connection_break_off(exchange->connection, true);
    if (fetch->head_sent || exchange->connection->broken)
        exchange_let_go(exchange, fetch->ended);
    else
        exchange_refuse(exchange, status, why, fetch->invalidated);
}

static bool
make_request(struct fetch *fetch, struct upstream_request *out)
{
    struct exchange *exchange = fetch->exchange;
    const struct request *request = &exchange->request;
    if (!ask_make(&fetch->ask, exchange, fetch->kind))
        return false;
    /* Named when the backend fails, and by then the connection it came on may be gone. */
    struct slice asked = fetch->ask.method;
    struct slice method = {arena_strndup(exchange->arena, asked.p, asked.n), asked.n};
    if (!method.p)
        return false;
    bool expects_body = slice_equal(request->method, slice_of("POST")) ||
                        slice_equal(request->method, slice_of("PUT")) ||
                        slice_equal(request->method, slice_of("PATCH"));
    bool keyed = backend_is_shared(exchange);
    struct backend_parameters parameters = {NULL, 0};
    if (exchange->site->config->fastcgi &&
        !backend_parameters(&parameters, exchange, method, &fetch->ask.fields))
        return false;
    if (exchange->site->config->fastcgi && keyed && !request->has_body &&
        !shared_parameters(&parameters, exchange->arena))
        return false;
    *out = (struct upstream_request){
        .method = method,
        /* What is not in the key is not sent either. */
        .target = keyed ? exchange->key.asked : request_asked(request),
        .fields = &fetch->ask.fields,
        .has_body = request->has_body || expects_body,
        .body_len = request->has_body ? request->content_length : 0,
        .parameters = parameters.list,
        .parameter_count = parameters.count,
        .body = read_body,
        .body_arg = fetch,
    };
    return true;
}

/* false: it is refused. */
static bool
may_go_on(struct exchange *exchange, enum mutation_start start)
{
    switch (start) {
    case MUTATION_GO:
        break;
    case MUTATION_REFUSED:
        exchange_refuse(exchange, 503, "What this would change could not be invalidated.", NULL);
        break;
    case MUTATION_NO_MEMORY:
        exchange_refuse(exchange, 500, "Out of memory.", NULL);
        break;
    }
    return start == MUTATION_GO;
}

/* One question to the backend. true: what came of it calls for another. */
static bool
ask_backend(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    struct upstream_request request;
    if (!make_request(fetch, &request)) {
        /* The backend never hears of it. */
        mutation_end(&fetch->mutation, exchange, 0, false, NULL, &fetch->post);
        if (!exchange->background)
            exchange_refuse(exchange, 500, "Out of memory.", NULL);
        return false;
    }
    if (!may_go_on(exchange, mutation_send(&fetch->mutation, exchange)))
        return false;
    const struct upstream_sink sink = incoming_sink(fetch);
    struct upstream_result result = {0};
    counters_add(COUNTER_upstream_requests, 1);
    fetch->status = 0;
    fetch->content_length = -1;
    fetch->seen = fetch->view_first = 0;
    fetch->view_end = -1;
    fetch->viewed = false;
    fetch->meaning = MEANS_ANSWER;
    fetch->times.request_ms = store_clock_ms(exchange->site->cache);
    fetch->asked_ms = clock_now_ms();
    upstream_fetch(exchange->site->upstream, exchange->arena, &request, &sink, &result);
    if (fetch->satisfied && exchange->background) {
        client_leave(fetch);
        gone_settle(fetch);
        return false;
    }
    bool whole = (result.outcome == UPSTREAM_OK && fetch->status) || fetch->satisfied;
    if (result.failed && fetch->meaning == MEANS_ANSWER)
        incoming_failed(fetch);
    else if (result.failed && fetch->meaning != MEANS_FAILURE && fetch->meaning != MEANS_NOTHING)
        fetch->meaning = MEANS_AGAIN; /* what it said of the stored one is not to be relied on */
    /* Of an answer whose head was enough, what became of its body does not matter. */
    if (!whole && fetch->meaning == MEANS_ANSWER) {
        finish_broken(fetch, &result);
        return false;
    }
    switch (fetch->meaning) {
    case MEANS_ANSWER:
        finish_answer(fetch);
        break;
    case MEANS_FRESHENED:
    case MEANS_HEAD:
        return !answer_freshened(fetch);
    case MEANS_FAILURE:
        answer_stale(fetch);
        break;
    case MEANS_NOTHING:
        result.outcome = UPSTREAM_BROKEN;
        (void)error_set(&result.error, LARDER_UNAVAILABLE,
                        "the backend says 304 (Not Modified) to a request without a condition");
        finish_broken(fetch, &result);
        break;
    case MEANS_AGAIN:
    case MEANS_OPENED:
        return true;
    }
    return false;
}

/* Before the backend and the register hear of it. false: it is over. */
static bool
receive_body(struct fetch *fetch)
{
    static const struct refusal {
        int status;
        const char *why;
    } refusals[] = {
        [REQUEST_BODY_WRONG_LENGTH] = {400, "The request body has another length than it says."},
        [REQUEST_BODY_TOO_LARGE] = {413, "The request body is larger than this site takes."},
        [REQUEST_BODY_TOO_MANY] = {503, "Too many request bodies are on their way."},
        [REQUEST_BODY_NO_ROOM] = {507, "There is no room for the request body."},
        [REQUEST_BODY_NO_MEMORY] = {500, "Out of memory."},
    };
    enum request_body_status status = request_body_collect(&fetch->body, fetch->exchange);
    if (status == REQUEST_BODY_READY)
        return true;
    if (status == REQUEST_BODY_GONE)
        counters_add(COUNTER_client_gone, 1);
    else
        exchange_refuse(fetch->exchange, refusals[status].status, refusals[status].why, NULL);
    return false;
}

static void
fetch_and_answer(struct exchange *exchange)
{
    struct fetch fetch = {.exchange = exchange, .content_length = -1};
    struct site *site = exchange->site;
    if (!exchange->lookup.has_entry) /* one that did not count */
        store_value_free(&exchange->lookup.value);
    if (!exchange->background && !receive_body(&fetch))
        return;
    /* It is gone on with without its client, whose connection has the words of the request. */
    if (!method_is_safe(exchange->request.method) && !exchange_own(exchange)) {
        exchange_refuse(exchange, 500, "Out of memory.", NULL);
        request_body_done(&fetch.body);
        return;
    }
    if (!may_go_on(exchange, mutation_begin(&fetch.mutation, exchange))) {
        mutation_done(&fetch.mutation, exchange);
        request_body_done(&fetch.body);
        return;
    }
    exchange_note_generations(exchange, exchange->redis_until_ms);
    if (site->cache)
        fetch.post = post_prepare(exchange);
    /* Of what must not be shared, each visitor gets his own. */
    exchange->opening.sends_all |= exchange->reason == REASON_NONE && !exchange->lookup.has_entry &&
                                   exchange->lookup.missing == REASON_HIT_FOR_MISS;
    if (ask_has_own_ranges(exchange) && exchange->match.route->range_fetch == 0)
        exchange->opening.sends_all = exchange->opening.unmarked = true;
    opening_recall(exchange);
    opening_expect(exchange);
    while (ask_backend(&fetch)) {
        spool_give(fetch.spool);
        fetch.spool = NULL;
        if (fetch.meaning == MEANS_OPENED) {
            exchange->lookup.other_fields = true;
            exchange->lookup.use_entry = false;
            counters_add(COUNTER_asked_again, 1);
        } else if (fetch.kind == ASK_FIRST) {
            fetch.kind = ASK_PLAIN;
        }
    }
    client_over(&fetch);
    mutation_done(&fetch.mutation, exchange);
    spool_give(fetch.spool);
    request_body_done(&fetch.body);
}

void
exchange_refresh(struct exchange *exchange)
{
    exchange->background = true;
    if (coalesce_lead(exchange) != STEP_NEXT)
        return;
    counters_add(COUNTER_refreshes, 1);
    fetch_and_answer(exchange);
    exchange_done(exchange);
}

void
exchange_fetch(struct exchange *exchange)
{
    if (coalesce_lead(exchange) != STEP_NEXT)
        return;
    counters_add(exchange->reason == REASON_NONE       ? COUNTER_misses
                 : exchange->reason == REASON_DISABLED ? COUNTER_disabled
                                                       : COUNTER_bypasses,
                 1);
    fetch_and_answer(exchange);
    exchange_done(exchange);
}
