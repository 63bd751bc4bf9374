/*
 * The body of a request on its way to the backend.
 *
 * It is streamed: what the client sends is passed on, and nothing is kept. But
 * FastCGI has no body of unknown length (a script reads CONTENT_LENGTH bytes), and
 * behind mod_fcgid a chunked body comes without one. Such a body is spooled first,
 * the beginning in memory, the rest in an unlinked file, up to a limit; what is
 * longer is refused before the backend hears of it. Spooled is also, for a FastCGI
 * backend, a body of known length up to that limit whose request is going to mark
 * something: a script sees no difference, and who sends slowly, or breaks off,
 * marks and drops nothing.
 *
 * Called by fetch.c, in a fetcher.
 */
#include "responder/request_body.h"

#include "http/decide.h"
#include "responder/mutation.h"

/* The first read of a body that nobody announced. */
#define EARLY_MAX ((size_t)8192)

/* Of a spooled body so much stands in memory. */
#define IN_MEMORY_MAX ((size_t)256 * 1024)

/*
 * A body may come without a word of it in the parameters (HTTP/2 without
 * content-length behind some web servers). The first read tells; what it brings
 * is the beginning of a body of unknown length.
 */
static enum request_body_status
find(struct request_body *body, struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (request->body_told || method_is_safe(request->method))
        return REQUEST_BODY_READY;
    body->early = arena_alloc(exchange->arena, EARLY_MAX);
    if (!body->early)
        return REQUEST_BODY_NO_ROOM;
    ssize_t n = connection_read(exchange->connection, body->early, EARLY_MAX);
    if (n > 0) {
        body->early_n = (size_t)n;
        request->has_body = true;
        request->content_length = -1;
    }
    return n >= 0 ? REQUEST_BODY_READY : REQUEST_BODY_GONE;
}

static ssize_t
read_early(struct request_body *body, struct exchange *exchange, char *buf, size_t room)
{
    if (body->early_n == 0)
        return connection_read(exchange->connection, buf, room);
    size_t n = body->early_n < room ? body->early_n : room;
    memcpy(buf, body->early, n);
    body->early += n;
    body->early_n -= n;
    return (ssize_t)n;
}

static enum request_body_status
keep(struct request_body *body, struct exchange *exchange, const char *data, size_t n)
{
    const struct config *config = exchange->site->config;
    if (n > config->body_spool_max - spool_size(body->spool))
        return REQUEST_BODY_TOO_LARGE;
    if (spool_append(body->spool, data, n))
        return REQUEST_BODY_READY;
    return spool_in_memory(body->spool) && spool_spill(body->spool, config->state_dir, SIZE_MAX) &&
                   spool_append(body->spool, data, n)
               ? REQUEST_BODY_READY
               : REQUEST_BODY_NO_ROOM;
}

static enum request_body_status
spool_all(struct request_body *body, struct exchange *exchange)
{
    struct request *request = &exchange->request;
    enum request_body_status status = REQUEST_BODY_READY;
    body->spool = spool_new(-1, IN_MEMORY_MAX);
    body->block = arena_alloc(exchange->arena, SPOOL_READ_MAX);
    if (!body->spool || !body->block)
        return REQUEST_BODY_NO_ROOM;
    ssize_t n;
    while (status == REQUEST_BODY_READY &&
           (n = read_early(body, exchange, body->block, SPOOL_READ_MAX)) != 0)
        status = n < 0 ? REQUEST_BODY_GONE : keep(body, exchange, body->block, (size_t)n);
    if (status != REQUEST_BODY_READY)
        return status;
    spool_end(body->spool, true);
    int64_t length = (int64_t)spool_size(body->spool);
    if (request->content_length >= 0 && length != request->content_length)
        return REQUEST_BODY_GONE;
    request->length_found = request->content_length < 0;
    request->content_length = length;
    request->has_body = length > 0;
    return status;
}

/* Of what will mark something, a slow visitor would keep that from being stored for as long as it takes
 * him to send what he has. */
static bool
is_spooled(const struct exchange *exchange)
{
    const struct config *config = exchange->site->config;
    const struct request *request = &exchange->request;
    if (!config->fastcgi || !request->has_body)
        return false;
    return request->content_length < 0 ||
           (mutation_marks(exchange) &&
            (uint64_t)request->content_length <= config->body_spool_max);
}

enum request_body_status
request_body_find(struct request_body *body, struct exchange *exchange)
{
    connection_expect_body(exchange->connection);
    enum request_body_status status = find(body, exchange);
    if (status == REQUEST_BODY_READY && is_spooled(exchange))
        status = spool_all(body, exchange);
    return status;
}

ssize_t
request_body_read(struct request_body *body, struct exchange *exchange, char *buf, size_t room)
{
    if (!body->spool)
        return read_early(body, exchange, buf, room);
    bool failed = false;
    struct slice some = spool_read(body->spool, body->offset, body->block, &failed);
    if (failed)
        return -1;
    size_t n = some.n < room ? some.n : room;
    if (n)
        memcpy(buf, some.p, n);
    body->offset += n;
    return (ssize_t)n;
}

void
request_body_done(struct request_body *body)
{
    spool_give(body->spool);
    body->spool = NULL;
}
