/*
 * One FastCGI 1.0 exchange over one connection: the client's side, responder role.
 *
 *   out   BEGIN_REQUEST  PARAMS...  PARAMS(empty)  STDIN...  STDIN(empty)
 *   in    STDOUT...  STDERR...  END_REQUEST
 *
 * A connection carries one request at a time, always with the id 1: PHP-FPM and
 * everything made with libfcgi can do no more, and a slow script would hold up
 * whoever shares its connection.
 *
 * The answer is whole when END_REQUEST has come and says so, and not before: a
 * child that is killed leaves an answer that looks like one. A body that is
 * shorter or longer than its Content-Length is not whole either. A script that
 * says itself that it failed (its exit status; PHP's "Fatal error" on stderr)
 * gives an answer that may be passed on, and must not be kept.
 *
 * A request's head goes out with one send(2), records of its body with one each:
 * header and content stand side by side in the block that is sent.
 *
 * Called by upstream.c; flow.c moves the bytes. It never dials, never repeats.
 */
#include "upstream/fastcgi.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "upstream/cgi.h"
#include "upstream/flow.h"
#include "upstream/message.h"
#include "upstream/record.h"

#define ID 1

/* Behind the last of the body stands the empty record that ends it. */
#define CONTENT_MAX (LINK_OUT_BYTES - 2 * (size_t)RECORD_HEADER)
_Static_assert(CONTENT_MAX <= RECORD_CONTENT_MAX && CONTENT_MAX % 8 == 0, "one record a block");

/* One line of what a script writes to stderr; what is longer is broken there. */
#define STDERR_LINE_MAX 1024
/* So much of what stood before the break is looked at again: no word of is_fatal() is longer. */
#define STDERR_CARRY 15
/* What one request may write into our log, the request's name in each line included. */
#define STDERR_LOGGED_MAX ((size_t)16 * 1024)
/* Of a line in the log: the time, the process, and the words between. */
#define LOG_AROUND 64

struct fastcgi_exchange {
    struct flow flow;  /* first: a flow is its exchange */
    int64_t body_left; /* of the request */

    struct record_reader reader;
    int scan;
    struct cgi_response response;
    int64_t got; /* of the response's body */
    bool stdout_ended;
    bool ended;        /* END_REQUEST is here, whole */
    bool excess_bytes; /* something came after it */

    char end[RECORD_END_CONTENT];
    size_t end_n;

    char line[STDERR_CARRY + STDERR_LINE_MAX]; /* what is carried stands right before the line */
    size_t carry_n;
    size_t line_n;
    size_t logged;

    /* An answer to a management record, until it is sent. */
    char reply[RECORD_HEADER + 32];
    size_t reply_n;
};

static bool
fail(struct fastcgi_exchange *x, enum upstream_outcome outcome, const char *words)
{
    return flow_fail(&x->flow, outcome, words);
}

/* -------------------------------------------------------------------- out */

static char *
put_header(char *p, enum record_type type, size_t content)
{
    record_header(p, type, ID, content);
    return p + RECORD_HEADER;
}

/* The parameters as one run of bytes cut into records: a name may lie across two. */
static bool
make_head(struct fastcgi_exchange *x)
{
    const struct transport_call *call = x->flow.call;
    const struct upstream_request *request = call->request;
    size_t size = 0;
    for (size_t i = 0; i < request->parameter_count; i++)
        size += record_pair_size(request->parameters[i].name.n, request->parameters[i].value.n);
    size_t records = size / RECORD_CONTENT_MAX + 1;
    size_t room = RECORD_BEGIN_SIZE + (records + 2) * RECORD_HEADER + size + 8;
    char *pairs = arena_alloc(call->arena, size + 1), *head = arena_alloc(call->arena, room);
    if (!pairs || !head)
        return fail(x, UPSTREAM_NOMEM, "no memory for the request");
    char *p = pairs;
    for (size_t i = 0; i < request->parameter_count; i++)
        p = record_pair(p, request->parameters[i].name, request->parameters[i].value);

    record_begin(head, ID, call->keep);
    p = head + RECORD_BEGIN_SIZE;
    for (size_t at = 0; at < size;) {
        size_t n = size - at < RECORD_CONTENT_MAX ? size - at : RECORD_CONTENT_MAX;
        size_t padding = record_header(p, RECORD_PARAMS, ID, n);
        p += RECORD_HEADER;
        memcpy(p, pairs + at, n);
        memset(p + n, 0, padding);
        p += n + padding;
        at += n;
    }
    p = put_header(p, RECORD_PARAMS, 0);
    if (!x->flow.more)
        p = put_header(p, RECORD_STDIN, 0);
    x->flow.out = head;
    x->flow.out_n = (size_t)(p - head);
    return true;
}

static bool
refill(struct flow *flow)
{
    struct fastcgi_exchange *x = (struct fastcgi_exchange *)flow;
    char *block = flow->call->link->out;
    if (x->reply_n) {
        memcpy(block, x->reply, x->reply_n);
        flow->out = block;
        flow->out_n = x->reply_n;
        x->reply_n = 0;
        flow->aside = true;
        flow->more = x->body_left > 0;
        return true;
    }
    flow->aside = false;
    ssize_t n = flow_read_body(flow, block + RECORD_HEADER, CONTENT_MAX, x->body_left);
    if (n < 0)
        return false;
    size_t padding = record_header(block, RECORD_STDIN, ID, (size_t)n);
    char *p = block + RECORD_HEADER + n;
    memset(p, 0, padding);
    p += padding;
    x->body_left -= n;
    if (x->body_left == 0)
        p = put_header(p, RECORD_STDIN, 0);
    flow->out = block;
    flow->out_n = (size_t)(p - block);
    flow->more = x->body_left > 0;
    return true;
}

/* The request is not wanted any more. What the backend makes of that is its affair; the connection
 * is closed behind it. */
static void
abort_request(struct fastcgi_exchange *x)
{
    char record[RECORD_HEADER];
    record_header(record, RECORD_ABORT_REQUEST, ID, 0);
    /* In the middle of another record it would be that one's content. */
    if (x->flow.out_n == 0)
        link_send(x->flow.call->link, record, sizeof record);
}

/* ----------------------------------------------------------------- stderr */

/* PHP's words for a script that did not come to its end. */
static bool
is_fatal(struct slice line)
{
    static const char *const words[] = {"PHP Fatal error", "PHP Parse error"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(line.p, line.n, words[i], strlen(words[i])))
            return true;
    return false;
}

static void
log_line(struct fastcgi_exchange *x, bool whole)
{
    const struct transport_call *call = x->flow.call;
    const struct upstream_request *request = call->request;
    struct slice host = fields_get(request->fields, "Host");
    char *line = x->line + STDERR_CARRY;
    size_t n = x->line_n, carry_n = x->carry_n;
    x->line_n = x->carry_n = 0;
    if (n == 0)
        return;
    if (is_fatal((struct slice){line - carry_n, carry_n + n}))
        call->result->failed = true;
    if (x->logged < STDERR_LOGGED_MAX) {
        size_t host_n = host.n < 256 ? host.n : 256;
        size_t target_n = request->target.n < 512 ? request->target.n : 512;
        x->logged += strlen(call->name) + request->method.n + host_n + target_n + n + LOG_AROUND;
        log_write(LARDER_LOG_WARNING, "backend %s: %.*s %.*s%.*s: stderr: %.*s%s", call->name,
                  (int)request->method.n, request->method.p, (int)host_n, host.p ? host.p : "",
                  (int)target_n, request->target.p, (int)n, line,
                  x->logged >= STDERR_LOGGED_MAX ? " (and what follows is left out)" : "");
    }
    if (!whole) {
        x->carry_n = n < STDERR_CARRY ? n : STDERR_CARRY;
        memcpy(line - x->carry_n, line + n - x->carry_n, x->carry_n);
    }
}

static void
take_stderr(struct fastcgi_exchange *x, struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n') {
            log_line(x, true);
            continue;
        }
        if (x->line_n == STDERR_LINE_MAX)
            log_line(x, false);
        x->line[STDERR_CARRY + x->line_n++] = text.p[i];
    }
}

/* --------------------------------------------------------------------- in */

static bool
head_complete(struct fastcgi_exchange *x)
{
    struct flow *flow = &x->flow;
    const struct transport_call *call = flow->call;
    struct larder_error why;
    bool to_head = slice_equal(call->request->method, slice_of("HEAD"));
    enum larder_status status =
        cgi_response(flow->head, flow->head_n, to_head, call->arena, &x->response, &why);
    if (status != LARDER_OK)
        return fail(x, status == LARDER_NOMEM ? UPSTREAM_NOMEM : UPSTREAM_BROKEN, why.message);
    if (x->response.status < 200)
        x->scan = 0;
    else
        flow->stage = FLOW_BODY;
    return flow_give_head(flow, x->response.status, &x->response.fields, false);
}

/* No more of it than its Content-Length says. */
static bool
take_body(struct fastcgi_exchange *x, struct slice body)
{
    const struct cgi_response *response = &x->response;
    if (!response->has_body)
        return true;
    int64_t before = x->got;
    x->got += (int64_t)body.n;
    if (response->length >= 0 && x->got > response->length)
        body.n = before < response->length ? (size_t)(response->length - before) : 0;
    return flow_give_body(&x->flow, body);
}

static bool
take_stdout(struct fastcgi_exchange *x, struct slice text, size_t length)
{
    if (x->stdout_ended && length)
        return fail(x, UPSTREAM_BROKEN, "more of the response after its end");
    x->stdout_ended = length == 0;
    while (text.n && x->flow.stage == FLOW_HEAD) {
        bool whole;
        size_t n = message_scan(&x->scan, text.p, text.n, &whole);
        if (!flow_keep_head(&x->flow, text.p, n) || (whole && !head_complete(x)))
            return false;
        text.p += n;
        text.n -= n;
    }
    return take_body(x, text);
}

/* Whatever has been read: is it an answer? */
static bool
take_end(struct fastcgi_exchange *x)
{
    const unsigned char *end = (const unsigned char *)x->end;
    const struct cgi_response *response = &x->response;
    struct upstream_result *result = x->flow.call->result;
    uint32_t exit_status = (uint32_t)end[0] << 24 | (uint32_t)end[1] << 16 | (uint32_t)end[2] << 8 |
                           end[3];
    char words[160];
    x->ended = true;
    log_line(x, true);
    /* Nobody who has said a word of an answer, an interim one included, has not begun (§5.5). */
    bool begun = x->flow.stage != FLOW_HEAD || x->flow.head_n > 0 || x->flow.interims > 0;
    switch (end[4]) {
    case RECORD_REQUEST_COMPLETE:
        break;
    case RECORD_OVERLOADED:
    case RECORD_CANT_MPX_CONN:
    case RECORD_UNKNOWN_ROLE:
        if (begun)
            return fail(x, UPSTREAM_BROKEN, "the backend refused the request while it answered it");
        result->maybe_received = false;
        if (end[4] == RECORD_OVERLOADED)
            return fail(x, UPSTREAM_OVERLOADED, "the backend is overloaded (FCGI_OVERLOADED)");
        if (end[4] == RECORD_CANT_MPX_CONN)
            return fail(x, UPSTREAM_OVERLOADED,
                        "the backend takes one request at a time (FCGI_CANT_MPX_CONN)");
        return fail(x, UPSTREAM_BROKEN, "the backend is no responder (FCGI_UNKNOWN_ROLE)");
    default:
        snprintf(words, sizeof words, "the backend ended the request with protocol status %u",
                 end[4]);
        return fail(x, UPSTREAM_BROKEN, words);
    }
    if (x->flow.stage == FLOW_HEAD) {
        snprintf(words, sizeof words, "the backend ended the request %s",
                 x->flow.head_n ? "inside the head of its response" : "without a response");
        return fail(x, UPSTREAM_BROKEN, words);
    }
    result->ended = true;
    if (response->has_body && response->length >= 0 && x->got != response->length) {
        snprintf(words, sizeof words,
                 "the response has %" PRId64 " bytes and its Content-Length says %" PRId64, x->got,
                 response->length);
        return fail(x, UPSTREAM_BROKEN, words);
    }
    result->failed |= exit_status != 0;
    x->flow.stage = FLOW_DONE;
    return true;
}

/* What a backend may want to know of us: that we do not multiplex. A record of a type that is none
 * is answered so that whoever sent it need not wait (§4.2). */
static void
answer_management(struct fastcgi_exchange *x, enum record_type type)
{
    char *p = x->reply + RECORD_HEADER;
    if (type == RECORD_GET_VALUES_RESULT || type == RECORD_UNKNOWN_TYPE || x->reply_n)
        return;
    if (type == RECORD_GET_VALUES) {
        p = record_pair(p, slice_of("FCGI_MPXS_CONNS"), slice_of("0"));
        type = RECORD_GET_VALUES_RESULT;
    } else {
        memset(p, 0, 8);
        *p = (char)type;
        p += 8;
        type = RECORD_UNKNOWN_TYPE;
    }
    size_t n = (size_t)(p - x->reply) - RECORD_HEADER;
    size_t padding = record_header(x->reply, type, 0, n);
    memset(p, 0, padding);
    x->reply_n = RECORD_HEADER + n + padding;
    x->flow.more = true;
    x->flow.sending = !x->flow.send_broke;
}

static bool
take_piece(struct fastcgi_exchange *x, const struct record_piece *piece)
{
    if (!piece->here)
        return true;
    if (piece->id == 0) {
        if (piece->last)
            answer_management(x, piece->type);
        return true;
    }
    if (piece->id != ID)
        return fail(x, UPSTREAM_BROKEN, "a record of a request that was never made");
    switch (piece->type) {
    case RECORD_STDOUT:
        return take_stdout(x, piece->content, piece->length);
    case RECORD_STDERR:
        take_stderr(x, piece->content);
        return true;
    case RECORD_END_REQUEST:
        if (piece->length != RECORD_END_CONTENT)
            return fail(x, UPSTREAM_BROKEN, "an END_REQUEST of another length than 8 bytes");
        memcpy(x->end + x->end_n, piece->content.p, piece->content.n);
        x->end_n += piece->content.n;
        return !piece->last || take_end(x);
    default:
        return fail(x, UPSTREAM_BROKEN, "a record that no backend sends");
    }
}

static bool
consume(struct flow *flow, const char *data, size_t n)
{
    struct fastcgi_exchange *x = (struct fastcgi_exchange *)flow;
    while (n > 0 && flow->stage != FLOW_DONE) {
        struct record_piece piece;
        ssize_t taken = record_read(&x->reader, data, n, &piece);
        if (taken < 0)
            return fail(x, UPSTREAM_BROKEN, "what came is not FastCGI 1.0");
        if (!take_piece(x, &piece))
            return false;
        data += taken;
        n -= (size_t)taken;
    }
    /* The padding of END_REQUEST. */
    while (n > 0 && !record_reader_idle(&x->reader) && x->reader.padding_left) {
        struct record_piece piece;
        ssize_t taken = record_read(&x->reader, data, n, &piece);
        data += taken;
        n -= (size_t)taken;
    }
    x->excess_bytes = n > 0;
    return true;
}

static bool
ended(struct flow *flow, bool orderly)
{
    struct fastcgi_exchange *x = (struct fastcgi_exchange *)flow;
    char words[160];
    const char *how = orderly ? "closed the connection" : "reset the connection";
    log_line(x, true);
    if (flow->stage == FLOW_HEAD)
        snprintf(words, sizeof words, "the backend %s %s", how,
                 flow->received     ? "before its response was whole"
                 : flow->send_broke ? "while the request was being sent"
                                    : "without a response");
    else
        snprintf(words, sizeof words, "the backend %s after %" PRId64 " bytes, without END_REQUEST",
                 how, flow->call->result->body_bytes);
    return fail(x, UPSTREAM_BROKEN, words);
}

/* --------------------------------------------------------------- the whole */

static const struct flow_protocol protocol = {refill, consume, ended};

static enum transport_end
fastcgi_exchange(const struct transport_call *call)
{
    const struct upstream_request *request = call->request;
    struct fastcgi_exchange x;
    memset(&x, 0, offsetof(struct fastcgi_exchange, line));
    x.carry_n = x.line_n = x.logged = x.reply_n = 0;
    x.flow.protocol = &protocol;
    x.flow.call = call;
    x.flow.progress_ms = call->start_ms;
    x.flow.sending = true;
    x.body_left = request->has_body ? request->body_len : 0;
    x.flow.more = x.body_left != 0;
    if (x.body_left < 0) {
        fail(&x, UPSTREAM_BROKEN, "a request body of unknown length");
        call->result->error.status = LARDER_INVALID;
        return TRANSPORT_KEEP;
    }
    if (!make_head(&x))
        return TRANSPORT_KEEP;
    if (!flow_run(&x.flow)) {
        if (call->result->outcome == UPSTREAM_CLIENT_GONE && !x.ended)
            abort_request(&x);
        return x.flow.received || call->result->outcome != UPSTREAM_BROKEN ? TRANSPORT_CLOSE
                                                                           : TRANSPORT_DEAD;
    }
    call->result->outcome = UPSTREAM_OK;
    /* Padding that is still to come would be taken for the beginning of another answer. */
    bool clean = !x.flow.sending && !x.flow.send_broke && !x.excess_bytes &&
                 record_reader_idle(&x.reader);
    return call->keep && clean ? TRANSPORT_KEEP : TRANSPORT_CLOSE;
}

const struct transport fastcgi_transport = {fastcgi_exchange};
