/*
 * One HTTP/1.1 exchange over one connection.
 *
 * One loop moves both directions: what has come is read before more is sent,
 * because a backend that has seen enough answers and closes, and the answer is
 * lost to whoever finds out by a failed write. A failed write therefore ends the
 * sending only; what the backend still has to say is read to its end.
 *
 * A body that the client does not finish is never finished by us: the connection
 * is closed with the length unfulfilled or the last chunk missing, so that the
 * backend cannot take it for whole. The same the other way round: only an answer
 * whose framing is intact is UPSTREAM_OK.
 *
 * Called by upstream.c. It never dials, never repeats, and keeps nothing of the
 * body beyond the block in hand.
 */
#include "upstream/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "upstream/chunked.h"
#include "upstream/message.h"

/* More 1xx than that before one answer is a backend gone wild. */
#define INTERIM_MAX 32

/* "<hex>\r\n" before a chunk and "\r\n" after it. */
#define CHUNK_BEFORE ((size_t)10)
#define CHUNK_AFTER ((size_t)2)

enum stage { STAGE_HEAD, STAGE_BODY, STAGE_DONE };

struct exchange {
    const struct transport_call *call;
    int64_t progress_ms; /* the last thing that keeps the clock from running out */

    /* out */
    const char *out; /* what is to be sent next */
    size_t out_n;
    bool sending;      /* there is more to send, in out or from the callback */
    bool body_pending; /* the callback has more */
    int64_t body_left; /* -1: unknown, chunked */
    bool send_broke;

    /* in */
    enum stage stage;
    bool received; /* a byte of an answer has come */
    bool excess;   /* more came than the answer has */
    int scan;
    int interims;
    char *head;
    size_t head_n;
    size_t head_room;
    struct message_response response;
    int64_t left;
    struct chunked chunks;
};

static bool
fail(struct exchange *x, enum upstream_outcome outcome, const char *words)
{
    return transport_fail(x->call, outcome, words);
}

/* Let a callback's time not count as the backend's. */
static void
not_counted(struct exchange *x, int64_t since_ms)
{
    x->progress_ms += clock_now_ms() - since_ms;
}

/* -------------------------------------------------------------------- out */

/* The next block of the request body into link->out; may block in the callback. */
static bool
refill(struct exchange *x)
{
    const struct upstream_request *request = x->call->request;
    char *block = x->call->link->out;
    bool chunked = x->body_left < 0;
    size_t room = LINK_OUT_BYTES - CHUNK_BEFORE - CHUNK_AFTER;
    if (!chunked && (uint64_t)x->body_left < room)
        room = (size_t)x->body_left;
    ssize_t n = request->body(request->body_arg, block + CHUNK_BEFORE, room);
    x->progress_ms = clock_now_ms();
    if (n < 0 || (size_t)n > room)
        return fail(x, UPSTREAM_CLIENT_GONE, "the client broke off the request body");
    if (!chunked) {
        if (n == 0)
            return fail(x, UPSTREAM_CLIENT_GONE, "the request body is shorter than its length");
        x->out = block + CHUNK_BEFORE;
        x->out_n = (size_t)n;
        x->body_left -= n;
        x->body_pending = x->body_left > 0;
        return true;
    }
    if (n == 0) {
        x->out = "0\r\n\r\n";
        x->out_n = 5;
        x->body_pending = false;
        return true;
    }
    char size[CHUNK_BEFORE + 1];
    int digits = snprintf(size, sizeof size, "%zx\r\n", (size_t)n);
    char *start = block + CHUNK_BEFORE - digits;
    memcpy(start, size, (size_t)digits);
    memcpy(block + CHUNK_BEFORE + n, "\r\n", CHUNK_AFTER);
    x->out = start;
    x->out_n = (size_t)digits + (size_t)n + CHUNK_AFTER;
    return true;
}

/* Send what is in hand. false: the connection takes no more for now. */
static bool
send_some(struct exchange *x)
{
    ssize_t n = link_send(x->call->link, x->out, x->out_n);
    if (n == LINK_AGAIN)
        return false;
    /* Even what failed may have left in part. */
    x->call->result->maybe_received = true;
    if (n == LINK_FAILED) {
        x->send_broke = true;
        x->sending = false;
        return true;
    }
    x->out += n;
    x->out_n -= (size_t)n;
    x->progress_ms = clock_now_ms();
    x->sending = x->out_n > 0 || x->body_pending;
    return true;
}

/* --------------------------------------------------------------------- in */

static bool
keep_head(struct exchange *x, const char *data, size_t n)
{
    if (n > MESSAGE_HEAD_MAX - x->head_n)
        return fail(x, UPSTREAM_BROKEN, "the head of the response is too large");
    if (n > x->head_room - x->head_n) {
        /* The first piece is mostly the whole. */
        size_t room = x->head_n ? (x->head_n + n) * 2 : n;
        char *grown = arena_alloc(x->call->arena, room);
        if (!grown)
            return fail(x, UPSTREAM_NOMEM, "no memory for the head of the response");
        if (x->head_n)
            memcpy(grown, x->head, x->head_n);
        x->head = grown;
        x->head_room = room;
    }
    memcpy(x->head + x->head_n, data, n);
    x->head_n += n;
    return true;
}

/* A 1xx: tell, and wait for the next. The bytes of its fields stay. */
static bool
interim(struct exchange *x)
{
    const struct upstream_sink *sink = x->call->sink;
    int status = x->response.status;
    if (status == 101)
        return fail(x, UPSTREAM_BROKEN, "the backend changed the protocol unasked (101)");
    if (++x->interims > INTERIM_MAX)
        return fail(x, UPSTREAM_BROKEN, "too many interim responses");
    if (status != 100 && sink->interim) {
        int64_t since = clock_now_ms();
        sink->interim(sink->arg, status, &x->response.fields);
        not_counted(x, since);
    }
    x->head = NULL;
    x->head_n = x->head_room = 0;
    x->scan = 0;
    return true;
}

static bool
head_complete(struct exchange *x)
{
    const struct transport_call *call = x->call;
    struct larder_error why;
    bool to_head = slice_equal(call->request->method, slice_of("HEAD"));
    enum larder_status status =
        message_response(x->head, x->head_n, to_head, call->arena, &x->response, &why);
    if (status != LARDER_OK)
        return fail(x, status == LARDER_NOMEM ? UPSTREAM_NOMEM : UPSTREAM_BROKEN, why.message);
    if (x->response.status < 200)
        return interim(x);
    call->result->head_seen = true;
    x->left = x->response.length;
    x->stage = x->response.framing == FRAMING_NONE ||
                       (x->response.framing == FRAMING_LENGTH && x->left == 0)
                   ? STAGE_DONE
                   : STAGE_BODY;
    bool wanted = call->sink->head(call->sink->arg, x->response.status, &x->response.fields);
    x->progress_ms = clock_now_ms();
    return wanted || fail(x, UPSTREAM_CLIENT_GONE, "nobody wants the response");
}

static bool
give_body(struct exchange *x, struct slice body)
{
    if (body.n == 0)
        return true;
    const struct upstream_sink *sink = x->call->sink;
    x->call->result->body_bytes += (int64_t)body.n;
    bool wanted = sink->body(sink->arg, body.p, body.n);
    x->progress_ms = clock_now_ms();
    return wanted || fail(x, UPSTREAM_CLIENT_GONE, "nobody wants the rest of the response");
}

/* Some of the body; *taken says how much of data it was. */
static bool
body_some(struct exchange *x, const char *data, size_t n, size_t *taken)
{
    struct slice body = {data, n};
    *taken = n;
    switch (x->response.framing) {
    case FRAMING_LENGTH:
        if ((uint64_t)x->left < n)
            *taken = body.n = (size_t)x->left;
        x->left -= (int64_t)body.n;
        if (x->left == 0)
            x->stage = STAGE_DONE;
        break;
    case FRAMING_CHUNKED: {
        ssize_t used = chunked_read(&x->chunks, data, n, &body);
        if (used < 0)
            return fail(x, UPSTREAM_BROKEN, "malformed chunk in the response");
        *taken = (size_t)used;
        if (x->chunks.done)
            x->stage = STAGE_DONE;
        break;
    }
    case FRAMING_UNTIL_CLOSE:
    case FRAMING_NONE:
        break;
    }
    return give_body(x, body);
}

/* Bytes from the backend. false: the exchange has failed. */
static bool
consume(struct exchange *x, const char *data, size_t n)
{
    x->received = true;
    if (x->stage == STAGE_BODY)
        x->progress_ms = clock_now_ms();
    while (n > 0 && x->stage != STAGE_DONE) {
        size_t taken;
        if (x->stage == STAGE_HEAD) {
            bool whole;
            ssize_t used = message_scan(&x->scan, data, n, &whole);
            if (used < 0)
                return fail(x, UPSTREAM_BROKEN,
                            "a line in the head of the response ends in a bare LF");
            taken = (size_t)used;
            if (!keep_head(x, data, taken) || (whole && !head_complete(x)))
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

/* The backend will send no more: is what it sent an answer? */
static bool
ended(struct exchange *x, bool orderly)
{
    char words[160];
    if (x->stage == STAGE_BODY && x->response.framing == FRAMING_UNTIL_CLOSE && orderly) {
        x->stage = STAGE_DONE;
        return true;
    }
    const char *how = orderly ? "closed the connection" : "reset the connection";
    if (x->stage == STAGE_HEAD)
        snprintf(words, sizeof words, "the backend %s %s", how,
                 x->received     ? "inside the head of its response"
                 : x->send_broke ? "while the request was being sent"
                                 : "without a response");
    else if (x->response.framing == FRAMING_LENGTH)
        snprintf(words, sizeof words, "the backend %s after %" PRId64 " of %" PRId64 " bytes", how,
                 x->response.length - x->left, x->response.length);
    else
        snprintf(words, sizeof words, "the backend %s after %" PRId64 " bytes, in mid-response",
                 how, x->call->result->body_bytes);
    return fail(x, UPSTREAM_BROKEN, words);
}

/* --------------------------------------------------------------- the loop */

static bool
wait_for_backend(struct exchange *x, bool *readable)
{
    const struct transport_call *call = x->call;
    bool body = x->stage != STAGE_HEAD;
    int64_t limit = body ? call->idle_timeout_ms : call->timeout_ms;
    int64_t deadline = limit > 0 ? x->progress_ms + limit : -1;
    if (link_wait(call->link, x->sending && x->out_n > 0, deadline, readable))
        return true;
    char words[120];
    snprintf(words, sizeof words, "%s within %" PRId64 " ms",
             body         ? "nothing more of the response"
             : x->sending ? "the request was not taken"
                          : "no response",
             limit);
    return fail(x, UPSTREAM_TIMEOUT, words);
}

/* Read what has come until the answer is whole or there is no more for now. */
static bool
read_all(struct exchange *x)
{
    struct link *link = x->call->link;
    while (x->stage != STAGE_DONE) {
        ssize_t n = link_recv(link, link->in, LINK_IN_BYTES);
        if (n == LINK_AGAIN)
            return true;
        if (n <= 0)
            return ended(x, n == 0);
        if (!consume(x, link->in, (size_t)n))
            return false;
    }
    return true;
}

static bool
run(struct exchange *x)
{
    while (x->stage != STAGE_DONE) {
        bool readable = false;
        if (x->sending && x->out_n == 0) {
            if (!refill(x))
                return false;
            /* The client may have taken its time: has the backend said something meanwhile? */
            if (!read_all(x))
                return false;
            continue;
        }
        if (x->sending && send_some(x)) {
            if (!x->send_broke)
                continue;
            readable = true;
        } else if (!wait_for_backend(x, &readable)) {
            return false;
        }
        if (readable && !read_all(x))
            return false;
    }
    return true;
}

static enum transport_end
http_exchange(const struct transport_call *call)
{
    const struct upstream_request *request = call->request;
    struct exchange x = {.call = call, .progress_ms = call->start_ms, .sending = true};
    struct larder_error why;
    struct slice head;

    enum larder_status status = message_request(request, call->host, call->arena, &head, &why);
    if (status != LARDER_OK) {
        fail(&x, status == LARDER_NOMEM ? UPSTREAM_NOMEM : UPSTREAM_BROKEN, why.message);
        if (status == LARDER_INVALID)
            call->result->error.status = LARDER_INVALID;
        return TRANSPORT_KEEP;
    }
    x.out = head.p;
    x.out_n = head.n;
    x.body_left = request->has_body ? request->body_len : 0;
    x.body_pending = x.body_left != 0;

    if (!run(&x))
        return x.received || call->result->outcome != UPSTREAM_BROKEN ? TRANSPORT_CLOSE
                                                                      : TRANSPORT_DEAD;
    call->result->outcome = UPSTREAM_OK;
    bool whole = !x.sending && !x.send_broke && !x.excess;
    return whole && x.response.keep ? TRANSPORT_KEEP : TRANSPORT_CLOSE;
}

const struct transport http_transport = {http_exchange};
