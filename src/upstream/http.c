/*
 * One HTTP/1.1 exchange over one connection.
 *
 * A body that the client does not finish is never finished by us: the connection
 * is closed with the length unfulfilled or the last chunk missing, so that the
 * backend cannot take it for whole. The same the other way round: only an answer
 * whose framing is intact is UPSTREAM_OK.
 *
 * Called by upstream.c; flow.c moves the bytes. It never dials, never repeats.
 */
#include "upstream/http.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "upstream/chunked.h"
#include "upstream/flow.h"
#include "upstream/message.h"

/* "<hex>\r\n" before a chunk and "\r\n" after it. */
#define CHUNK_BEFORE ((size_t)10)
#define CHUNK_AFTER ((size_t)2)

struct http_exchange {
    struct flow flow;  /* first: a flow is its exchange */
    int64_t body_left; /* of the request; -1: unknown, chunked */
    int scan;
    struct message_response response;
    int64_t left;
    struct chunked chunks;
    bool excess; /* more came than the answer has */
};

static bool
fail(struct http_exchange *x, enum upstream_outcome outcome, const char *words)
{
    return flow_fail(&x->flow, outcome, words);
}

/* -------------------------------------------------------------------- out */

static bool
refill(struct flow *flow)
{
    struct http_exchange *x = (struct http_exchange *)flow;
    char *block = flow->call->link->out;
    ssize_t n = flow_read_body(flow, block + CHUNK_BEFORE,
                               LINK_OUT_BYTES - CHUNK_BEFORE - CHUNK_AFTER, x->body_left);
    if (n < 0)
        return false;
    if (x->body_left >= 0) {
        flow->out = block + CHUNK_BEFORE;
        flow->out_n = (size_t)n;
        x->body_left -= n;
        flow->more = x->body_left > 0;
        return true;
    }
    if (n == 0) {
        flow->out = "0\r\n\r\n";
        flow->out_n = 5;
        flow->more = false;
        return true;
    }
    char size[CHUNK_BEFORE + 1];
    int digits = snprintf(size, sizeof size, "%zx\r\n", (size_t)n);
    char *start = block + CHUNK_BEFORE - digits;
    memcpy(start, size, (size_t)digits);
    memcpy(block + CHUNK_BEFORE + n, "\r\n", CHUNK_AFTER);
    flow->out = start;
    flow->out_n = (size_t)digits + (size_t)n + CHUNK_AFTER;
    return true;
}

/* --------------------------------------------------------------------- in */

static bool
head_complete(struct http_exchange *x)
{
    struct flow *flow = &x->flow;
    const struct transport_call *call = flow->call;
    struct message_response *response = &x->response;
    struct larder_error why;
    bool to_head = slice_equal(call->request->method, slice_of("HEAD"));
    enum larder_status status =
        message_response(flow->head, flow->head_n, to_head, call->arena, response, &why);
    if (status != LARDER_OK)
        return fail(x, status == LARDER_NOMEM ? UPSTREAM_NOMEM : UPSTREAM_BROKEN, why.message);
    if (response->status < 200) {
        x->scan = 0;
    } else {
        x->left = response->length;
        flow->stage = response->framing == FRAMING_NONE ||
                              (response->framing == FRAMING_LENGTH && x->left == 0)
                          ? FLOW_DONE
                          : FLOW_BODY;
    }
    return flow_give_head(flow, response->status, &response->fields,
                          response->framing == FRAMING_UNTIL_CLOSE);
}

/* Some of the body; *taken says how much of data it was. */
static bool
body_some(struct http_exchange *x, const char *data, size_t n, size_t *taken)
{
    struct slice body = {data, n};
    *taken = n;
    switch (x->response.framing) {
    case FRAMING_LENGTH:
        if ((uint64_t)x->left < n)
            *taken = body.n = (size_t)x->left;
        x->left -= (int64_t)body.n;
        if (x->left == 0)
            x->flow.stage = FLOW_DONE;
        break;
    case FRAMING_CHUNKED: {
        ssize_t used = chunked_read(&x->chunks, data, n, &body);
        if (used < 0)
            return fail(x, UPSTREAM_BROKEN, "malformed chunk in the response");
        *taken = (size_t)used;
        if (x->chunks.done)
            x->flow.stage = FLOW_DONE;
        break;
    }
    case FRAMING_UNTIL_CLOSE:
    case FRAMING_NONE:
        break;
    }
    return flow_give_body(&x->flow, body);
}

static bool
consume(struct flow *flow, const char *data, size_t n)
{
    struct http_exchange *x = (struct http_exchange *)flow;
    while (n > 0 && flow->stage != FLOW_DONE) {
        size_t taken;
        if (flow->stage == FLOW_HEAD) {
            bool whole;
            taken = message_scan(&x->scan, data, n, &whole);
            if (!flow_keep_head(flow, data, taken) || (whole && !head_complete(x)))
                return false;
        } else if (!body_some(x, data, n, &taken)) {
            return false;
        }
        data += taken;
        n -= taken;
    }
    x->excess = n > 0;
    return true;
}

/* Is what the backend sent an answer? */
static bool
ended(struct flow *flow, bool orderly)
{
    struct http_exchange *x = (struct http_exchange *)flow;
    char words[160];
    if (flow->stage == FLOW_BODY && x->response.framing == FRAMING_UNTIL_CLOSE && orderly) {
        flow->stage = FLOW_DONE;
        return true;
    }
    const char *how = orderly ? "closed the connection" : "reset the connection";
    if (flow->stage == FLOW_HEAD)
        snprintf(words, sizeof words, "the backend %s %s", how,
                 flow->received     ? "inside the head of its response"
                 : flow->send_broke ? "while the request was being sent"
                                    : "without a response");
    else if (x->response.framing == FRAMING_LENGTH)
        snprintf(words, sizeof words, "the backend %s after %" PRId64 " of %" PRId64 " bytes", how,
                 x->response.length - x->left, x->response.length);
    else
        snprintf(words, sizeof words, "the backend %s after %" PRId64 " bytes, in mid-response",
                 how, flow->call->result->body_bytes);
    return fail(x, UPSTREAM_BROKEN, words);
}

/* --------------------------------------------------------------- the whole */

static const struct flow_protocol protocol = {refill, consume, ended};

static enum transport_end
http_exchange(const struct transport_call *call)
{
    const struct upstream_request *request = call->request;
    struct http_exchange x = {
        .flow = {
            .protocol = &protocol, .call = call, .progress_ms = call->start_ms, .sending = true}};
    struct larder_error why;
    struct slice head;

    enum larder_status status = message_request(request, call->host, call->arena, &head, &why);
    if (status != LARDER_OK) {
        fail(&x, status == LARDER_NOMEM ? UPSTREAM_NOMEM : UPSTREAM_BROKEN, why.message);
        if (status == LARDER_INVALID)
            call->result->error.status = LARDER_INVALID;
        return TRANSPORT_KEEP;
    }
    x.flow.out = head.p;
    x.flow.out_n = head.n;
    x.body_left = request->has_body ? request->body_len : 0;
    x.flow.more = x.body_left != 0;

    if (!flow_run(&x.flow))
        return x.flow.received || call->result->outcome != UPSTREAM_BROKEN ? TRANSPORT_CLOSE
                                                                           : TRANSPORT_DEAD;
    call->result->outcome = UPSTREAM_OK;
    call->result->ended = true;
    bool whole = !x.flow.sending && !x.flow.send_broke && !x.excess;
    return whole && x.response.keep ? TRANSPORT_KEEP : TRANSPORT_CLOSE;
}

const struct transport http_transport = {http_exchange};
