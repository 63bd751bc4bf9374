/*
 * One exchange over one connection.
 *
 * One loop moves both directions: what has come is read before more is sent,
 * because a backend that has seen enough answers and closes, and the answer is
 * lost to whoever finds out by a failed write. A failed write therefore ends the
 * sending only; what the backend still has to say is read to its end.
 *
 * While there is nothing to do but wait, the client is watched as well: who has
 * gone need not be waited for.
 *
 * Called by the protocols. It never dials, never repeats, and keeps nothing of a
 * body beyond the block in hand.
 */
#include "upstream/flow.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "upstream/message.h"

/* More 1xx than that before one answer is a backend gone wild. */
#define INTERIM_MAX 32

bool
flow_fail(struct flow *flow, enum upstream_outcome outcome, const char *words)
{
    return transport_fail(flow->call, outcome, words);
}

/* -------------------------------------------------------------------- out */

ssize_t
flow_read_body(struct flow *flow, char *buf, size_t room, int64_t left)
{
    const struct upstream_request *request = flow->call->request;
    if (left >= 0 && (uint64_t)left < room)
        room = (size_t)left;
    ssize_t n = request->body(request->body_arg, buf, room);
    flow->progress_ms = clock_now_ms();
    if (n < 0 || (size_t)n > room) {
        flow_fail(flow, UPSTREAM_CLIENT_GONE, "the request body cannot be read to its end");
        return -1;
    }
    if (n == 0 && left >= 0) {
        flow_fail(flow, UPSTREAM_CLIENT_GONE, "the request body is shorter than its length");
        return -1;
    }
    return n;
}

/* Send what is in hand. false: the connection takes no more for now. */
static bool
send_some(struct flow *flow)
{
    ssize_t n = link_send(flow->call->link, flow->out, flow->out_n);
    if (n == LINK_AGAIN)
        return false;
    /* Even what failed may have left in part. */
    flow->call->result->maybe_received = true;
    if (n == LINK_FAILED) {
        flow->send_broke = true;
        flow->sending = false;
        return true;
    }
    flow->out += n;
    flow->out_n -= (size_t)n;
    if (!flow->aside)
        flow->progress_ms = clock_now_ms();
    flow->sending = flow->out_n > 0 || flow->more;
    return true;
}

/* --------------------------------------------------------------------- in */

bool
flow_keep_head(struct flow *flow, const char *data, size_t n)
{
    if (n > MESSAGE_HEAD_MAX - flow->head_n)
        return flow_fail(flow, UPSTREAM_BROKEN, "the head of the response is too large");
    if (n > flow->head_room - flow->head_n) {
        /* The first piece is mostly the whole. */
        size_t room = flow->head_n ? (flow->head_n + n) * 2 : n;
        char *grown = arena_alloc(flow->call->arena, room);
        if (!grown)
            return flow_fail(flow, UPSTREAM_NOMEM, "no memory for the head of the response");
        if (flow->head_n)
            memcpy(grown, flow->head, flow->head_n);
        flow->head = grown;
        flow->head_room = room;
    }
    memcpy(flow->head + flow->head_n, data, n);
    flow->head_n += n;
    return true;
}

/* A 1xx: tell, and wait for the next. The bytes of its fields stay. */
static bool
interim(struct flow *flow, int status, struct fields *fields)
{
    const struct upstream_sink *sink = flow->call->sink;
    if (status == 101)
        return flow_fail(flow, UPSTREAM_BROKEN, "the backend changed the protocol unasked (101)");
    if (++flow->interims > INTERIM_MAX)
        return flow_fail(flow, UPSTREAM_BROKEN, "too many interim responses");
    if (status != 100 && sink->interim) {
        /* A callback's time is not the backend's. */
        int64_t since_ms = clock_now_ms();
        sink->interim(sink->arg, status, fields);
        flow->progress_ms += clock_now_ms() - since_ms;
    }
    flow->head = NULL;
    flow->head_n = flow->head_room = 0;
    return true;
}

bool
flow_give_head(struct flow *flow, int status, struct fields *fields, bool until_close)
{
    const struct transport_call *call = flow->call;
    if (status < 200)
        return interim(flow, status, fields);
    call->result->head_seen = true;
    bool wanted = call->sink->head(call->sink->arg, status, fields, until_close);
    flow->progress_ms = clock_now_ms();
    return wanted || flow_fail(flow, UPSTREAM_CLIENT_GONE, "nobody wants the response");
}

bool
flow_give_body(struct flow *flow, struct slice body)
{
    if (body.n == 0)
        return true;
    const struct upstream_sink *sink = flow->call->sink;
    flow->call->result->body_bytes += (int64_t)body.n;
    bool wanted = sink->body(sink->arg, body.p, body.n);
    flow->progress_ms = clock_now_ms();
    return wanted || flow_fail(flow, UPSTREAM_CLIENT_GONE, "nobody wants the rest of the response");
}

/* --------------------------------------------------------------- the loop */

static int64_t
limit(const struct flow *flow)
{
    return flow->stage != FLOW_HEAD ? flow->call->idle_timeout_ms : flow->call->timeout_ms;
}

static bool
late(struct flow *flow)
{
    char words[120];
    int64_t limit_ms = limit(flow);
    snprintf(words, sizeof words, "%s within %" PRId64 " ms",
             flow->stage != FLOW_HEAD ? "nothing more of the response"
             : flow->sending          ? "the request was not taken"
                                      : "no response",
             limit_ms);
    return flow_fail(flow, UPSTREAM_TIMEOUT, words);
}

/* -1: idle_timeout counts. */
static int64_t
unattended_until(const struct flow *flow)
{
    const struct upstream_sink *sink = flow->call->sink;
    return flow->stage == FLOW_BODY && sink->unattended ? sink->unattended(sink->arg) : -1;
}

static bool
no_end(struct flow *flow)
{
    return flow_fail(flow, UPSTREAM_TIMEOUT,
                     "no end of the response, which is waited for no longer without its client");
}

/* *readable: the backend has something to say. false: the exchange has failed. */
static bool
wait_for_backend(struct flow *flow, bool *readable)
{
    const struct transport_call *call = flow->call;
    const struct upstream_sink *sink = call->sink;
    int64_t limit_ms = limit(flow);
    int64_t deadline_ms = limit_ms > 0 ? flow->progress_ms + limit_ms : -1;
    int64_t until_ms = unattended_until(flow);
    if (until_ms >= 0)
        deadline_ms = until_ms;
    /* While its body comes, the client is heard anyway. */
    bool watches = sink->client && !flow->unwatched && !(flow->sending && flow->more);
    struct link_events events;
    if (!link_wait(call->link, flow->sending && flow->out_n > 0,
                   watches ? sink->client(sink->arg) : -1, deadline_ms, &events))
        return until_ms >= 0 ? no_end(flow) : late(flow);
    if (events.stopped)
        return flow_fail(flow, UPSTREAM_GIVEN_UP, UPSTREAM_GIVEN_UP_WORDS);
    *readable = events.readable;
    if (!events.watched)
        return true;
    enum upstream_client client = sink->client_event(sink->arg);
    if (client == UPSTREAM_CLIENT_LEFT)
        return flow_fail(flow, UPSTREAM_CLIENT_GONE, "the client is gone");
    flow->unwatched = client == UPSTREAM_CLIENT_UNCLEAR;
    return true;
}

/* Read what has come until the answer is whole or there is no more for now. */
static bool
read_all(struct flow *flow)
{
    struct link *link = flow->call->link;
    while (flow->stage != FLOW_DONE) {
        ssize_t n = link_recv(link, link->in, LINK_IN_BYTES);
        if (n == LINK_AGAIN)
            return true;
        if (n <= 0)
            return flow->protocol->ended(flow, n == 0);
        flow->received = true;
        if (flow->stage == FLOW_BODY)
            flow->progress_ms = clock_now_ms();
        if (!flow->protocol->consume(flow, link->in, (size_t)n))
            return false;
        /* Who never stops talking and never comes to the point would not be waited for. */
        if (flow->stage == FLOW_HEAD && limit(flow) > 0 &&
            clock_now_ms() - flow->progress_ms >= limit(flow))
            return late(flow);
        int64_t until_ms = unattended_until(flow);
        if (until_ms >= 0 && clock_now_ms() >= until_ms)
            return no_end(flow);
    }
    return true;
}

bool
flow_run(struct flow *flow)
{
    while (flow->stage != FLOW_DONE) {
        bool readable = false;
        if (flow->sending && flow->out_n == 0) {
            if (!flow->protocol->refill(flow))
                return false;
            /* The client may have taken its time: has the backend said something meanwhile? */
            if (!read_all(flow))
                return false;
            continue;
        }
        if (flow->sending && send_some(flow)) {
            if (!flow->send_broke)
                continue;
            readable = true;
        } else if (!wait_for_backend(flow, &readable)) {
            return false;
        }
        if (readable && !read_all(flow))
            return false;
    }
    return true;
}
