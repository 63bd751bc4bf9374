/*
 * A request that goes to the backend: misses, passes, mutations.
 *
 *   fields for the backend ─ fetch ─ head: invalidate, decide ─ tee ─ end ─ store
 *
 * Runs in a fetcher, which may wait. The answer streams through as it arrives;
 * while it may be stored and fits max_object, a copy is kept. Nothing is stored
 * before the backend's last byte is there and its framing is whole, and the
 * client never sees a proper end of an answer that had none.
 *
 * A mutation's invalidation is done before its answer's first byte goes out:
 * whoever has been told that a thing is changed never reads the old one.
 */
#include "responder/exchange.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/date.h"
#include "responder/backend_fields.h"
#include "responder/entry.h"
#include "responder/invalidate.h"
#include "responder/reply.h"
#include "responder/storer.h"
#include "runtime/counters.h"

/* The first read of a body that nobody announced. */
#define EARLY_MAX ((size_t)8192)

/* A body that is kept while it streams by. */
struct copy {
    bool active;
    char *p;
    size_t n;
    size_t room;
};

struct fetch {
    struct exchange *exchange;
    struct invalidation invalidation;
    const char *invalidated; /* NULL: nothing was to be done; else the value of the field */
    int status;
    struct fields fields; /* the backend's, in the arena */
    struct store_decision store;
    bool cacheable;  /* store.reason is meant */
    bool collecting; /* the head waits until the length is known (mod_fcgid) */
    bool head_sent;
    bool ended;             /* END_REQUEST is out */
    int64_t content_length; /* as the backend says; -1: unknown */
    struct copy copy;
    int64_t head_wall_ms; /* when the head came: from then on the answer ages */
    char *early;          /* the beginning of a body that nobody announced */
    size_t early_n;
};

/* ------------------------------------------------------------------- copy */

static void
copy_drop(struct copy *copy)
{
    free(copy->p);
    *copy = (struct copy){0};
}

/* false: over the limit or no memory; the copy is as it was. */
static bool
copy_append(struct copy *copy, const char *data, size_t n, size_t limit)
{
    if (n > limit - copy->n)
        return false;
    if (n > copy->room - copy->n) {
        size_t room = copy->room ? copy->room * 2 : (size_t)16 * 1024;
        while (room < copy->n + n)
            room *= 2;
        if (room > limit)
            room = limit;
        char *p = realloc(copy->p, room);
        if (!p)
            return false;
        copy->p = p;
        copy->room = room;
    }
    memcpy(copy->p + copy->n, data, n);
    copy->n += n;
    return true;
}

/* It may wait in a queue that counts what is used, not what is held. */
static void
copy_fit(struct copy *copy)
{
    char *p = copy->n ? realloc(copy->p, copy->n) : NULL;
    if (p) {
        copy->p = p;
        copy->room = copy->n;
    }
}

/* --------------------------------------------------------------- mutations */

/* Does this answer, or its absence, mean that something may have changed? */
static bool
may_have_changed(const struct fetch *fetch, bool maybe_received)
{
    if (fetch->status)
        return fetch->status >= 200 && fetch->status < 400;
    /* No answer: the backend may have done it all the same. */
    return maybe_received;
}

static void
invalidate(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    if (fetch->invalidation.count == 0 || fetch->invalidated)
        return;
    if (exchange->match.route->async) {
        bool queued = storer_invalidate(exchange->site, fetch->invalidation.patterns,
                                        fetch->invalidation.count);
        if (queued) {
            fetch->invalidated = "queued";
            return;
        }
        /* No memory to do it later: do it now. */
    }
    fetch->invalidated =
        invalidate_now(exchange->site, fetch->invalidation.patterns, fetch->invalidation.count);
}

/* ------------------------------------------------------------------ answer */

static bool
has_no_body(const struct exchange *exchange, int status)
{
    return status == 204 || status == 304 ||
           slice_equal(exchange->request.method, slice_of("HEAD"));
}

static bool
send_pieces(struct fetch *fetch, const struct iovec *pieces, int count, bool last)
{
    struct exchange *exchange = fetch->exchange;
    if (connection_send(exchange->connection, exchange->arena, pieces, count, last, true) !=
        CONNECTION_DONE)
        return false;
    fetch->ended = last;
    return true;
}

static struct slice
head_bytes(struct fetch *fetch, int64_t content_length)
{
    struct exchange *exchange = fetch->exchange;
    struct reply reply = {
        .status = fetch->status,
        .fields = &fetch->fields,
        .mount = exchange->request.mount,
        .x_cache = exchange->x_cache,
        .invalidation = fetch->invalidated,
        .age_s = -1,
        .content_length = content_length,
        .client_cache = exchange->match.client_cache,
        .per_user = exchange->policy.per_user,
        .via = true,
    };
    exchange->status = fetch->status;
    return reply_head(&reply, exchange->arena);
}

static int64_t
content_length_of(const struct fields *fields)
{
    struct slice text = fields_get(fields, "Content-Length");
    int64_t n = 0;
    if (!text.p || text.n == 0 || text.n > 18)
        return -1;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        n = n * 10 + (text.p[i] - '0');
    }
    return n;
}

static void
decide(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    size_t most = exchange->site->config->max_object;
    if (exchange->reason != REASON_NONE)
        return;
    fetch->store = decide_store(&exchange->policy, &exchange->facts, fetch->status, &fetch->fields,
                                fetch->head_wall_ms / 1000);
    if (fetch->store.reason == REASON_NONE && !exchange->generations_complete)
        fetch->store.reason = REASON_NO_GENERATIONS;
    if (fetch->store.reason == REASON_NONE && fetch->content_length > (int64_t)most) {
        fetch->store.reason = REASON_TOO_LARGE;
        counters_add(COUNTER_store_too_large, 1);
    }
    exchange->reason = fetch->store.reason;
    fetch->cacheable = fetch->store.reason == REASON_NONE;
    fetch->copy.active = fetch->cacheable;
}

static bool
on_head(void *arg, int status, struct fields *fields)
{
    struct fetch *fetch = arg;
    struct exchange *exchange = fetch->exchange;
    fetch->status = status;
    fetch->fields = *fields;
    fetch->head_wall_ms = clock_wall_ms();
    bool bodiless = has_no_body(exchange, status);
    fetch->content_length = bodiless ? -1 : content_length_of(fields);
    if (may_have_changed(fetch, true))
        invalidate(fetch);
    decide(fetch);
    if (exchange->request.mount == MOUNT_APACHE_FCGID && !bodiless && fetch->content_length < 0) {
        /* A body that breaks off would look whole behind mod_fcgid: send it with its length. */
        fetch->collecting = true;
        fetch->copy.active = true;
        return true;
    }
    struct slice head = head_bytes(fetch, -1);
    struct iovec piece = {(void *)head.p, head.n};
    fetch->head_sent = head.p != NULL;
    /* What has no body ends with its head. */
    return head.p && send_pieces(fetch, &piece, 1, bodiless || fetch->content_length == 0);
}

/* The head and what was collected, when it grows beyond what is kept. */
static bool
give_up_collecting(struct fetch *fetch)
{
    struct slice head = head_bytes(fetch, -1);
    if (!head.p)
        return false;
    struct iovec pieces[2] = {{(void *)head.p, head.n}, {fetch->copy.p, fetch->copy.n}};
    fetch->collecting = false;
    fetch->head_sent = true;
    fetch->exchange->body_sent += fetch->copy.n;
    return send_pieces(fetch, pieces, 2, false);
}

static bool
on_body(void *arg, const char *data, size_t n)
{
    struct fetch *fetch = arg;
    struct exchange *exchange = fetch->exchange;
    if (atomic_load_explicit(&server_giving_up, memory_order_relaxed))
        return false;
    if (fetch->copy.active &&
        !copy_append(&fetch->copy, data, n, exchange->site->config->max_object)) {
        if (fetch->collecting && !give_up_collecting(fetch))
            return false;
        copy_drop(&fetch->copy);
        if (fetch->cacheable) {
            fetch->cacheable = false;
            exchange->reason = REASON_TOO_LARGE;
            counters_add(COUNTER_store_too_large, 1);
        }
    }
    if (fetch->collecting)
        return true;
    exchange->body_sent += n;
    /* With the last byte the end goes along: one write and one wake-up less at the web server. */
    bool last = fetch->content_length >= 0 &&
                exchange->body_sent == (uint64_t)fetch->content_length;
    struct iovec piece = {(void *)data, n};
    return send_pieces(fetch, &piece, 1, last);
}

/* ------------------------------------------------------------------- store */

/* The fields of a response as they are kept: without what is said anew each time. */
static bool
stored_fields(struct fields *out, struct fetch *fetch, int64_t wall_ms)
{
    struct arena *arena = fetch->exchange->arena;
    static const char *const left_out[] = {"Content-Length", "Age", "X-Cache",
                                           "X-Cache-Invalidate"};
    for (size_t i = 0; i < fetch->fields.count; i++) {
        const struct field *f = &fetch->fields.list[i];
        bool skip = false;
        for (size_t k = 0; k < sizeof left_out / sizeof *left_out && !skip; k++)
            skip = slice_equal_nocase(f->name, left_out[k]);
        if (!skip && !fields_add(out, arena, f->name, f->value))
            return false;
    }
    if (fields_get(out, "Date").p)
        return true;
    /* RFC 9110 §6.6.1: a recipient with a clock records when it came. */
    char date[HTTP_DATE_SIZE];
    http_date_format(wall_ms / 1000, date);
    char *copy = arena_strndup(arena, date, sizeof date - 1);
    return copy && fields_add(out, arena, slice_of("Date"), slice_of(copy));
}

static char *
encode_ancestor(struct fetch *fetch, const struct fields *fields, size_t *len)
{
    struct arena *arena = fetch->exchange->arena;
    struct larder_header *headers = arena_calloc(arena, fields->count + 1, sizeof *headers);
    if (!headers)
        return NULL;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->list[i];
        headers[i].name = arena_strndup(arena, f->name.p, f->name.n);
        headers[i].value = arena_strndup(arena, f->value.p, f->value.n);
        if (!headers[i].name || !headers[i].value)
            return NULL;
    }
    struct larder_response response = {.status_code = fetch->status,
                                       .headers = headers,
                                       .header_count = fields->count,
                                       .body = fetch->copy.p,
                                       .body_len = fetch->copy.n};
    char *text = NULL;
    return larder_response_encode(&response, &text, len, NULL) == LARDER_OK ? text : NULL;
}

static void
store(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    int64_t ttl_ms = fetch->store.ttl_ms;
    if (ttl_ms > STORE_TTL_MAX_S * 1000)
        ttl_ms = STORE_TTL_MAX_S * 1000;
    /* What of its time a long body has taken is over. */
    int64_t left_ms = ttl_ms - (clock_wall_ms() - fetch->head_wall_ms);
    if (left_ms <= 0)
        return;
    if (left_ms > ttl_ms)
        left_ms = ttl_ms; /* the clock was set back meanwhile */
    struct entry entry = {
        .material = exchange->key.material,
        .status = fetch->status,
        .stored_ms = fetch->head_wall_ms,
        .ttl_ms = ttl_ms,
        .age_s = fetch->store.age_s,
        .generations = exchange->generations,
        .body = {fetch->copy.p, fetch->copy.n},
    };
    size_t len = 0;
    char *head = NULL;
    if (stored_fields(&entry.fields, fetch, fetch->head_wall_ms))
        head = exchange->site->config->compat_ancestor
                   ? encode_ancestor(fetch, &entry.fields, &len)
                   : entry_encode(&entry, &exchange->key.tags, &len);
    if (!head) {
        counters_add(COUNTER_store_failed, 1);
        return;
    }
    /* The ancestor's JSON has the body in it. */
    if (exchange->site->config->compat_ancestor)
        copy_drop(&fetch->copy);
    copy_fit(&fetch->copy);
    storer_put(exchange->site, exchange->key.name, head, len, fetch->copy.p, fetch->copy.n,
               left_ms);
    fetch->copy = (struct copy){0};
}

/* ---------------------------------------------------------------- the whole */

static ssize_t
read_body(void *arg, char *buf, size_t room)
{
    struct fetch *fetch = arg;
    if (fetch->early_n == 0)
        return connection_read(fetch->exchange->connection, buf, room);
    size_t n = fetch->early_n < room ? fetch->early_n : room;
    memcpy(buf, fetch->early, n);
    fetch->early += n;
    fetch->early_n -= n;
    return (ssize_t)n;
}

/*
 * A body may come without a word of it in the parameters (HTTP/2 without
 * content-length behind some web servers). The first read tells; what it brings
 * is sent on as a body of unknown length. false: the client broke off.
 */
static bool
find_body(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    struct request *request = &exchange->request;
    if (request->body_told || method_is_safe(request->method))
        return true;
    fetch->early = arena_alloc(exchange->arena, EARLY_MAX);
    ssize_t n = fetch->early ? connection_read(exchange->connection, fetch->early, EARLY_MAX) : -1;
    if (n > 0) {
        fetch->early_n = (size_t)n;
        request->has_body = true;
        request->content_length = -1;
    }
    return n >= 0;
}

/* A whole answer: send what is still to be sent, let the client go, then store. */
static void
finish_whole(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    bool sent = true;
    if (fetch->collecting) {
        struct slice head = head_bytes(fetch, (int64_t)fetch->copy.n);
        struct iovec pieces[2] = {{(void *)head.p, head.n}, {fetch->copy.p, fetch->copy.n}};
        exchange->body_sent = fetch->copy.n;
        sent = head.p && send_pieces(fetch, pieces, 2, true);
    } else if (!fetch->ended) {
        sent = send_pieces(fetch, NULL, 0, true);
    }
    if (!sent)
        counters_add(COUNTER_client_gone, 1);
    exchange_let_go(exchange, sent);
    if (fetch->cacheable)
        store(fetch);
}

/* Not whole. Before the head an error can be told; after it only the broken connection tells. */
static void
finish_broken(struct fetch *fetch, const struct upstream_result *result)
{
    struct exchange *exchange = fetch->exchange;
    const struct request *request = &exchange->request;
    if (may_have_changed(fetch, result->maybe_received))
        invalidate(fetch);
    int status = 502;
    const char *why = "The backend's answer could not be understood.";
    switch (result->outcome) {
    case UPSTREAM_CLIENT_GONE:
        /* Or we gave up at the end of drain_timeout, and the client is still there. */
        counters_add(COUNTER_client_gone, 1);
        if (fetch->head_sent && !fetch->ended)
            connection_break_off(exchange->connection);
        exchange_let_go(exchange, false);
        return;
    case UPSTREAM_UNREACHABLE:
        counters_add(COUNTER_upstream_unreachable, 1);
        why = "The backend cannot be reached.";
        break;
    case UPSTREAM_TIMEOUT:
        counters_add(COUNTER_upstream_timeout, 1);
        status = 504;
        why = "The backend did not answer in time.";
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
    log_write(LARDER_LOG_WARNING, "%.*s %.*s: %s%s", (int)request->method.n, request->method.p,
              (int)request->target.n, request->target.p, result->error.message,
              fetch->head_sent ? " (the answer was under way: connection closed)" : "");
    if (fetch->head_sent && !fetch->ended)
        connection_break_off(exchange->connection);
    if (fetch->head_sent || exchange->connection->broken)
        exchange_let_go(exchange, false);
    else
        exchange_refuse(exchange, status, why, fetch->invalidated);
}

static bool
make_request(struct fetch *fetch, struct fields *fields, struct upstream_request *out)
{
    struct exchange *exchange = fetch->exchange;
    const struct request *request = &exchange->request;
    if (!backend_fields(fields, exchange))
        return false;
    bool expects_body = slice_equal(request->method, slice_of("POST")) ||
                        slice_equal(request->method, slice_of("PUT")) ||
                        slice_equal(request->method, slice_of("PATCH"));
    *out = (struct upstream_request){
        .method = request->method,
        .target = request->target,
        .fields = fields,
        .has_body = request->has_body || expects_body,
        .body_len = request->has_body ? request->content_length : 0,
        .body = read_body,
        .body_arg = fetch,
    };
    return true;
}

void
exchange_fetch(struct exchange *exchange)
{
    struct fetch fetch = {.exchange = exchange, .content_length = -1};
    struct site *site = exchange->site;
    free(exchange->value.data); /* an entry that did not count */
    exchange->value.data = NULL;

    connection_expect_body(exchange->connection);
    if (!find_body(&fetch)) {
        counters_add(COUNTER_client_gone, 1);
        exchange_done(exchange);
        return;
    }
    struct fields fields = {0};
    struct upstream_request request;
    if (!make_request(&fetch, &fields, &request) ||
        (site->cache && !method_is_safe(exchange->request.method) &&
         !invalidation_expand(&fetch.invalidation, &exchange->match, exchange->key.user,
                              exchange->arena))) {
        exchange_refuse(exchange, 500, "Out of memory.", NULL);
        exchange_done(exchange);
        return;
    }
    /* Before the backend is asked: what is invalidated from here on kills what we fetch. */
    if (exchange->reason == REASON_NONE && exchange->redis_answered &&
        !exchange->generations_complete)
        exchange->generations_complete =
            store_generations(site->cache, &exchange->key.tags, exchange->redis_until_ms,
                              &exchange->generations, NULL) == LARDER_OK &&
            exchange_has_generations(exchange);

    struct upstream_sink sink = {.arg = &fetch, .head = on_head, .body = on_body};
    struct upstream_result result = {0};
    counters_add(COUNTER_upstream_requests, 1);
    upstream_fetch(site->upstream, exchange->arena, &request, &sink, &result);
    if (result.outcome == UPSTREAM_OK && fetch.status)
        finish_whole(&fetch);
    else
        finish_broken(&fetch, &result);
    copy_drop(&fetch.copy);
    exchange_done(exchange);
}
