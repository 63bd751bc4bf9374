/*
 * The face of the backend: whom to ask, with which protocol, on which
 * connection, and whether a request may be sent a second time.
 *
 * Not safe to repeat means never sent on a kept connection at all: when such a
 * connection dies after the request went out, nobody can know whether the backend
 * acted on it, and a client that sees 502 for a DELETE that the backend never got
 * is as wrong as one that sends it twice. What never arrived anywhere (no
 * connection; refused before it was begun) is another matter: that may go to the
 * next backend, whatever it is.
 *
 * A protocol is a struct transport; which one it is, the URL says.
 *
 * Called by the responder's fetchers, any number of threads. It decides nothing
 * about caching.
 */
#include "upstream/upstream.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "upstream/backend.h"
#include "upstream/link.h"
#include "upstream/transport.h"

struct upstream {
    struct upstream_options options; /* strings not valid any more */
    struct backends *backends;
    char name[UPSTREAM_URL_SIZE + 32];
};

void
upstream_options_init(struct upstream_options *options)
{
    *options = (struct upstream_options){
        .fail_timeout_ms = 5000,
        .connect_timeout_ms = 5000,
        .timeout_ms = 60000,
        .idle_timeout_ms = 30000,
        .max_idle = 32,
        .keepalive_ms = 4000,
        .tls_verify = true,
    };
}

/* ----------------------------------------------------------- open, close */

enum larder_status
upstream_new(const struct upstream_options *options, struct upstream **out,
             struct larder_error *err)
{
    *out = NULL;
    if (options->max_idle < 0 || options->max_idle > UPSTREAM_IDLE_MAX ||
        options->connect_timeout_ms < 1 || options->timeout_ms < 0 ||
        options->idle_timeout_ms < 0 || options->keepalive_ms < 0 || options->fail_timeout_ms < 0)
        return error_set(err, LARDER_INVALID, "upstream: a timeout or a count is out of range");
    struct upstream *u = calloc(1, sizeof *u);
    if (!u)
        return error_set(err, LARDER_NOMEM, "no memory for the upstream");
    u->options = *options;
    enum larder_status status = backends_new(options, &u->backends, err);
    if (status != LARDER_OK) {
        free(u);
        return status;
    }
    size_t more = backends_count(u->backends) - 1;
    snprintf(u->name, sizeof u->name, more ? "%s and %zu more" : "%s",
             backends_first(u->backends)->url.name, more);
    *out = u;
    return LARDER_OK;
}

void
upstream_free(struct upstream *u)
{
    if (!u)
        return;
    backends_free(u->backends);
    free(u);
}

const char *
upstream_name(const struct upstream *u)
{
    return u->name;
}

void
upstream_give_up(void)
{
    link_stop_all();
}

bool
upstream_is_fastcgi(const struct upstream *u)
{
    return backends_first(u->backends)->url.fastcgi;
}

bool
upstream_state(struct upstream *u, size_t number, struct upstream_state *out)
{
    return backends_state(u->backends, number, out);
}

int64_t
upstream_dial_ms(const struct upstream_options *options)
{
    size_t count = (options->url_count ? options->url_count : 1) + options->backup_count;
    int dials = count < UPSTREAM_DIALS_MAX ? (int)count : UPSTREAM_DIALS_MAX;
    /* To each a kept connection that turns out dead, a new one, and a refusal; before all that a
     * queue that stays full. */
    return (3 * dials + 1) * options->connect_timeout_ms;
}

/* ------------------------------------------------------------------ fetch */

bool
transport_fail(const struct transport_call *call, enum upstream_outcome outcome, const char *words)
{
    static const enum larder_status status[] = {
        [UPSTREAM_OK] = LARDER_OK,
        [UPSTREAM_UNREACHABLE] = LARDER_UNAVAILABLE,
        [UPSTREAM_TIMEOUT] = LARDER_TIMEOUT,
        [UPSTREAM_BROKEN] = LARDER_PROTOCOL,
        [UPSTREAM_CLIENT_GONE] = LARDER_UNKNOWN,
        [UPSTREAM_OVERLOADED] = LARDER_UNAVAILABLE,
        [UPSTREAM_GIVEN_UP] = LARDER_UNAVAILABLE,
        [UPSTREAM_NOMEM] = LARDER_NOMEM,
    };
    struct slice method = call->request->method;
    call->result->outcome = outcome;
    error_set(&call->result->error, status[outcome], "backend %s: %.*s: %s", call->name,
              (int)(method.n < 32 ? method.n : 32), method.p, words);
    return false;
}

static bool
has_body(const struct upstream_request *r)
{
    return r->has_body && r->body_len != 0;
}

/* Safe (RFC 9110 §9.2.1), and without content by its nature; and there is no body that a first try may have eaten. */
static bool
may_repeat(const struct upstream_request *r)
{
    return (slice_equal(r->method, slice_of("GET")) || slice_equal(r->method, slice_of("HEAD")) ||
            slice_equal(r->method, slice_of("OPTIONS")) ||
            slice_equal(r->method, slice_of("TRACE"))) &&
           !has_body(r);
}

static enum transport_end
run(struct upstream *u, struct backend *backend, const struct transport_call *call)
{
    enum transport_end end = backend->transport->exchange(call);
    if (end == TRANSPORT_KEEP)
        backends_keep(u->backends, backend, call->link);
    else
        link_free(call->link);
    return end;
}

/* A queue that is full is asked again so often. */
#define FULL_PAUSE_MS 20

/* false: it took no connection. */
static bool
dial(struct upstream *u, struct backend *backend, struct transport_call *call)
{
    int64_t patience_ms = u->options.connect_timeout_ms;
    struct larder_error why;
    if (u->options.timeout_ms > 0 && u->options.timeout_ms < patience_ms)
        patience_ms = u->options.timeout_ms;
    call->link = link_dial(backend->peer, patience_ms, &why);
    if (!call->link && link_is_stopped()) {
        backends_untried(u->backends, backend);
        return transport_fail(call, UPSTREAM_GIVEN_UP, UPSTREAM_GIVEN_UP_WORDS);
    }
    /* That its queue is full does not make it one that cannot be reached; that we have no memory
     * says nothing of it. */
    if (!call->link && why.status == LARDER_NOMEM)
        backends_untried(u->backends, backend);
    else
        backends_reached(u->backends, backend, call->link || why.status != LARDER_UNAVAILABLE);
    if (!call->link)
        transport_fail(call,
                       why.status == LARDER_NOMEM     ? UPSTREAM_NOMEM
                       : why.status == LARDER_TIMEOUT ? UPSTREAM_OVERLOADED
                                                      : UPSTREAM_UNREACHABLE,
                       why.message);
    return call->link != NULL;
}

/* One backend. true: the request may go to another, if there is one; *full: because the queue of
 * its socket was. */
static bool
ask(struct upstream *u, struct backend *backend, struct transport_call *call, bool *full)
{
    struct upstream_result *result = call->result;
    int64_t at_once_ms = u->options.connect_timeout_ms;
    bool died = false;
    call->name = backend->url.name;
    call->host = backend->url.host;
    if (link_is_stopped()) {
        backends_untried(u->backends, backend);
        memset(result, 0, sizeof *result);
        return transport_fail(call, UPSTREAM_GIVEN_UP, UPSTREAM_GIVEN_UP_WORDS);
    }
    if (may_repeat(call->request) && (call->link = backends_take(u->backends, backend))) {
        backends_reached(u->backends, backend, true);
        /* One that the backend had closed shows it at once. What took longer was a request that
         * the backend gave up, and would give up again. */
        died = run(u, backend, call) == TRANSPORT_DEAD &&
               clock_now_ms() - call->start_ms < at_once_ms;
        if (!died)
            return result->outcome == UPSTREAM_OVERLOADED &&
                   clock_now_ms() - call->start_ms < at_once_ms;
    }
    memset(result, 0, sizeof *result);
    result->maybe_received = died;
    if (!dial(u, backend, call)) {
        *full = result->outcome == UPSTREAM_OVERLOADED;
        return result->outcome != UPSTREAM_NOMEM && result->outcome != UPSTREAM_GIVEN_UP;
    }
    int64_t dialled_ms = clock_now_ms();
    run(u, backend, call);
    /* So is a refusal: several that come late would add up. */
    return result->outcome == UPSTREAM_OVERLOADED && !has_body(call->request) &&
           clock_now_ms() - dialled_ms < at_once_ms;
}

void
upstream_fetch(struct upstream *u, struct arena *arena, const struct upstream_request *request,
               const struct upstream_sink *sink, struct upstream_result *result)
{
    struct transport_call call = {
        .keep = u->options.max_idle > 0 && u->options.keepalive_ms > 0,
        .timeout_ms = u->options.timeout_ms,
        .idle_timeout_ms = u->options.idle_timeout_ms,
        .start_ms = clock_now_ms(),
        .arena = arena,
        .request = request,
        .sink = sink,
        .result = result,
    };
    int64_t full_until_ms = call.start_ms + u->options.connect_timeout_ms;
    uint32_t tried = 0;
    memset(result, 0, sizeof *result);
    for (;;) {
        bool another = true;
        uint32_t full = 0;
        for (int dials = 0; another && dials < UPSTREAM_DIALS_MAX; dials++) {
            uint32_t before = tried;
            struct backend *backend = backends_choose(u->backends, &tried);
            if (!backend)
                break;
            bool queue_full = false;
            another = ask(u, backend, &call, &queue_full);
            backends_leave(u->backends, backend);
            call.start_ms = clock_now_ms();
            if (queue_full)
                full |= tried & ~before;
        }
        /* Children that are busy leave a place in the queue as soon as one of them is done. */
        if (!another || !full || call.start_ms >= full_until_ms)
            return;
        poll(NULL, 0, FULL_PAUSE_MS);
        call.start_ms = clock_now_ms();
        /* Those alone: who has refused it need not do so fifty times a second. */
        tried &= ~full;
    }
}
