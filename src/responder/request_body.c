/*
 * The body of a request on its way to the backend.
 *
 * All of it is collected before the backend hears of the request: a backend that
 * has begun with a body that then breaks off may change something later, when
 * nobody waits for its answer any more, and what was cached meanwhile would be
 * stale. A client that breaks off, or a web server that dies, has changed nothing,
 * and a slow client holds no process of the backend's. (FastCGI has no body of
 * unknown length either: a script reads CONTENT_LENGTH bytes.)
 *
 * The beginning stands in memory, the rest in an unlinked file, until the backend
 * has it. A body may have upstream.body_spool_max bytes, all bodies of the process
 * together upstream.body_spool_total; what is more is refused before the backend
 * hears of it. A body that is being collected holds one fetcher, so that there are
 * never more of them than max_fetchers, and no worker.
 *
 * Called by fetch.c, in a fetcher.
 */
#include "responder/request_body.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/decide.h"

/* Of a body so much stands in memory. */
#define IN_MEMORY_MAX ((size_t)256 * 1024)

/* Clients cause the refusals; one line in so long is enough for an operator. */
#define LOG_MS 10000

/* What the bodies of this process hold, in memory and in files. */
static atomic_size_t held;

/* Tell the operator; *next_ms is when the next line of this kind may be written. */
static void
tell(atomic_llong *next_ms, enum larder_log_level level, const struct exchange *exchange,
     const char *words)
{
    const struct request *request = &exchange->request;
    long long now_ms = clock_now_ms(), due_ms = atomic_load(next_ms);
    if (words && now_ms >= due_ms &&
        atomic_compare_exchange_strong(next_ms, &due_ms, now_ms + LOG_MS))
        log_write(level, "%.*s %.*s: answered %s", (int)request->method.n, request->method.p,
                  (int)request->target.n, request->target.p, words);
}

static enum request_body_status
too_large(const struct exchange *exchange)
{
    static atomic_llong next_ms;
    tell(&next_ms, LARDER_LOG_WARNING, exchange,
         arena_printf(exchange->arena,
                      "413, because its body has more than %zu bytes; a site that takes larger "
                      "uploads sets upstream.body_spool_max",
                      exchange->site->config->body_spool_max));
    return REQUEST_BODY_TOO_LARGE;
}

static enum request_body_status
too_many(const struct exchange *exchange)
{
    static atomic_llong next_ms;
    tell(&next_ms, LARDER_LOG_WARNING, exchange,
         arena_printf(exchange->arena,
                      "503, because the request bodies on their way may have %zu bytes together; "
                      "if there is room in %s, set upstream.body_spool_total higher",
                      exchange->site->config->body_spool_total, exchange->site->config->state_dir));
    return REQUEST_BODY_TOO_MANY;
}

static enum request_body_status
no_room(const struct exchange *exchange, int why)
{
    static atomic_llong next_ms;
    tell(&next_ms, LARDER_LOG_ERROR, exchange,
         arena_printf(exchange->arena,
                      "507, because its body cannot be kept in a file in %s: %s; make room there, "
                      "or set cache.state_dir to a directory on a larger disk",
                      exchange->site->config->state_dir, strerror(why)));
    return REQUEST_BODY_NO_ROOM;
}

/* ---------------------------------------------------------------- collecting */

static bool
hold(struct request_body *body, size_t n, size_t total)
{
    size_t before = atomic_fetch_add(&held, n);
    if (before > total || n > total - before) {
        atomic_fetch_sub(&held, n);
        return false;
    }
    body->held += n;
    return true;
}

static enum request_body_status
keep(struct request_body *body, const struct exchange *exchange, const char *data, size_t n)
{
    const struct config *config = exchange->site->config;
    if (n > config->body_spool_max - spool_size(body->spool))
        return too_large(exchange);
    if (!hold(body, n, config->body_spool_total))
        return too_many(exchange);
    if (spool_append(body->spool, data, n))
        return REQUEST_BODY_READY;
    errno = 0;
    if (spool_in_memory(body->spool) && !spool_spill(body->spool, config->state_dir, SIZE_MAX))
        return no_room(exchange, errno);
    return spool_append(body->spool, data, n) ? REQUEST_BODY_READY : no_room(exchange, errno);
}

/* A block of it, the last one with what there is; 0: there is no more. */
static ssize_t
receive(struct exchange *exchange, char *block, size_t room)
{
    size_t n = 0;
    while (n < room) {
        ssize_t some = connection_read(exchange->connection, block + n, room - n);
        if (some < 0)
            return -1;
        if (some == 0)
            break;
        n += (size_t)some;
    }
    return (ssize_t)n;
}

static enum request_body_status
collect(struct request_body *body, struct exchange *exchange)
{
    struct request *request = &exchange->request;
    int64_t told = request->has_body ? request->content_length : -1;
    size_t room = told > 0 && told < (int64_t)SPOOL_READ_MAX ? (size_t)told : SPOOL_READ_MAX;
    body->spool = spool_new(told > (int64_t)IN_MEMORY_MAX ? -1 : told, IN_MEMORY_MAX);
    body->block = arena_alloc(exchange->arena, room);
    if (!body->spool || !body->block)
        return REQUEST_BODY_NO_MEMORY;
    ssize_t n;
    while ((n = receive(exchange, body->block, room)) > 0) {
        if (told >= 0 && n > told - (int64_t)spool_size(body->spool))
            return REQUEST_BODY_WRONG_LENGTH;
        enum request_body_status status = keep(body, exchange, body->block, (size_t)n);
        if (status != REQUEST_BODY_READY)
            return status;
    }
    if (n < 0)
        return REQUEST_BODY_GONE;
    int64_t length = (int64_t)spool_size(body->spool);
    if (told >= 0 && length != told)
        return REQUEST_BODY_WRONG_LENGTH;
    spool_end(body->spool, true);
    request->length_found = told < 0 && (request->has_body || length > 0);
    request->content_length = length;
    request->has_body = length > 0;
    return REQUEST_BODY_READY;
}

/*
 * A body may come without a word of it in the parameters (HTTP/2 without
 * content-length behind some web servers): only what is read tells.
 */
static bool
may_have_body(const struct request *request)
{
    return request->has_body || (!request->body_told && method_may_have_content(request->method));
}

enum request_body_status
request_body_collect(struct request_body *body, struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    if (!may_have_body(request))
        return REQUEST_BODY_READY;
    if (request->has_body && request->content_length > 0 &&
        (uint64_t)request->content_length > exchange->site->config->body_spool_max)
        return too_large(exchange);
    connection_expect_body(exchange->connection);
    enum request_body_status status = collect(body, exchange);
    if (status != REQUEST_BODY_READY)
        request_body_done(body);
    return status;
}

/* ------------------------------------------------------------------ giving */

ssize_t
request_body_read(struct request_body *body, const struct exchange *exchange, char *buf,
                  size_t room)
{
    if (!body->spool)
        return 0;
    if (body->ready.n == 0) {
        bool failed = false;
        body->ready = spool_read(body->spool, body->offset, body->block, &failed);
        body->offset += body->ready.n;
        if (failed) {
            log_write(LARDER_LOG_ERROR, "%.*s %.*s: its body, in a file in %s, cannot be read: %s",
                      (int)exchange->request.method.n, exchange->request.method.p,
                      (int)exchange->request.target.n, exchange->request.target.p,
                      exchange->site->config->state_dir, strerror(errno));
            return -1;
        }
    }
    size_t n = body->ready.n < room ? body->ready.n : room;
    if (n) {
        memcpy(buf, body->ready.p, n);
        body->ready.p += n;
        body->ready.n -= n;
    }
    /* The backend has it: an answer that takes its time need not hold the file. */
    if (body->ready.n == 0 && body->offset == spool_size(body->spool))
        request_body_done(body);
    return (ssize_t)n;
}

void
request_body_done(struct request_body *body)
{
    spool_give(body->spool);
    body->spool = NULL;
    atomic_fetch_sub(&held, body->held);
    body->held = 0;
}
