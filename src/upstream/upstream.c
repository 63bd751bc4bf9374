/*
 * The face of the backend: whom to call, with which protocol, on which
 * connection, and whether a request may be sent a second time.
 *
 * Idle connections wait in a LIFO: the one used last is the one most likely to
 * be alive, and the others get old and go. Its mutex is held to push or pop a
 * pointer, nothing else. Not safe to repeat means never sent on a kept
 * connection at all: when such a connection dies after the request went out,
 * nobody can know whether the backend acted on it, and a client that sees 502
 * for a DELETE that the backend never got is as wrong as one that sends it twice.
 *
 * A protocol is a struct transport; which one it is, the URL says.
 *
 * Called by the responder's fetchers, any number of threads. It decides nothing
 * about caching.
 */
#include "upstream/upstream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/error.h"
#include "upstream/http.h"
#include "upstream/link.h"
#include "upstream/transport.h"

/* As text; 255 octets on the wire (RFC 1035 §3.1). */
#define HOST_MAX 253
#define URL_MAX 300

struct upstream {
    struct upstream_options options; /* url and tls_ca_file not valid any more */
    const struct transport *transport;
    struct link_peer *peer;
    char name[URL_MAX]; /* what messages call it */
    char host[URL_MAX]; /* for a request without Host */
    pthread_mutex_t mutex;
    struct link *idle[UPSTREAM_IDLE_MAX]; /* guarded by mutex; the oldest first */
    size_t idle_count;                    /* guarded by mutex */
};

void
upstream_options_init(struct upstream_options *options)
{
    *options = (struct upstream_options){
        .connect_timeout_ms = 5000,
        .timeout_ms = 60000,
        .idle_timeout_ms = 30000,
        .max_idle = 32,
        .keepalive_ms = 4000,
        .tls_verify = true,
    };
}

/* -------------------------------------------------------------------- URL */

/* Letters, digits, dots, hyphens; or an IPv6 address in brackets. Everything that could be user
 * information, a path or a query is neither. */
static bool
host_valid(const char *host, size_t n)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char address[] = "0123456789abcdefABCDEF:.";
    if (n > 2 && host[0] == '[')
        return host[n - 1] == ']' && strspn(host + 1, address) == n - 2;
    return n > 0 && n <= HOST_MAX && strspn(host, name) >= n;
}

static bool
port_valid(const char *port, size_t n)
{
    long value = 0;
    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (port[i] < '0' || port[i] > '9')
            return false;
        value = value * 10 + (port[i] - '0');
    }
    return value >= 1 && value <= 65535;
}

/* host[:port][/] */
static bool
parse_authority(const char *text, struct upstream *u)
{
    size_t n = strlen(text);
    if (n > 0 && text[n - 1] == '/')
        n--;
    size_t host_n = n;
    const char *colon = memrchr(text, ':', n);
    const char *bracket = memrchr(text, ']', n);
    if (colon && (!bracket || colon > bracket)) {
        host_n = (size_t)(colon - text);
        if (!port_valid(colon + 1, n - host_n - 1))
            return false;
    }
    if (!host_valid(text, host_n) || n >= sizeof u->host)
        return false;
    memcpy(u->host, text, n);
    u->host[n] = '\0';
    return true;
}

static enum larder_status
parse_url(const char *url, struct upstream *u, const char **unix_path, struct larder_error *err)
{
    static const char unix_scheme[] = "http+unix:";
    const struct sockaddr_un *address = NULL;
    size_t scheme = 0;
    *unix_path = NULL;
    if (!url)
        return error_set(err, LARDER_INVALID, "no upstream URL");
    if (strncmp(url, unix_scheme, sizeof unix_scheme - 1) == 0) {
        const char *path = url + sizeof unix_scheme - 1;
        if (path[0] != '/' || strlen(path) >= sizeof address->sun_path)
            return error_set(err, LARDER_INVALID,
                             "upstream \"%s\": not an absolute path of at most %zu bytes", url,
                             sizeof address->sun_path - 1);
        *unix_path = path;
        snprintf(u->host, sizeof u->host, "localhost");
        snprintf(u->name, sizeof u->name, "%s", url);
        return LARDER_OK;
    }
    if (strncmp(url, "http://", 7) == 0)
        scheme = 7;
    else if (strncmp(url, "https://", 8) == 0)
        scheme = 8;
    if (!scheme || !parse_authority(url + scheme, u) ||
        snprintf(u->name, sizeof u->name, "%.*s%s", (int)scheme, url, u->host) >=
            (int)sizeof u->name)
        return error_set(err, LARDER_INVALID,
                         "upstream \"%s\": neither http://host[:port], https://host[:port] nor "
                         "http+unix:/path",
                         url);
    return LARDER_OK;
}

/* ----------------------------------------------------------- open, close */

enum larder_status
upstream_new(const struct upstream_options *options, struct upstream **out,
             struct larder_error *err)
{
    *out = NULL;
    if (options->max_idle < 0 || options->max_idle > UPSTREAM_IDLE_MAX ||
        options->connect_timeout_ms < 1 || options->timeout_ms < 0 ||
        options->idle_timeout_ms < 0 || options->keepalive_ms < 0)
        return error_set(err, LARDER_INVALID, "upstream: a timeout or a count is out of range");
    struct upstream *u = calloc(1, sizeof *u);
    if (!u)
        return error_set(err, LARDER_NOMEM, "no memory for the upstream");
    pthread_mutex_init(&u->mutex, NULL);
    u->options = *options;
    u->transport = &http_transport;
    struct larder_error why;
    const char *unix_path;
    enum larder_status status = parse_url(options->url, u, &unix_path, err);
    if (status != LARDER_OK)
        goto fail;
    u->peer = link_peer_new(unix_path ? "http://localhost" : u->name, unix_path,
                            options->tls_verify, options->tls_ca_file, &why);
    if (!u->peer) {
        status = error_set(err, why.status, "upstream %s: %s", u->name, why.message);
        goto fail;
    }
    *out = u;
    return LARDER_OK;
fail:
    upstream_free(u);
    return status;
}

void
upstream_free(struct upstream *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->idle_count; i++)
        link_free(u->idle[i]);
    link_peer_free(u->peer);
    pthread_mutex_destroy(&u->mutex);
    free(u);
}

const char *
upstream_name(const struct upstream *u)
{
    return u->name;
}

/* ------------------------------------------------------- idle connections */

static bool
too_old(const struct upstream *u, const struct link *link, int64_t now_ms)
{
    return now_ms - link->idle_since_ms >= u->options.keepalive_ms;
}

/* A kept connection that may be used, or NULL. */
static struct link *
take_idle(struct upstream *u, int64_t now_ms)
{
    for (;;) {
        struct link *link = NULL;
        pthread_mutex_lock(&u->mutex);
        if (u->idle_count > 0)
            link = u->idle[--u->idle_count];
        pthread_mutex_unlock(&u->mutex);
        if (!link)
            return NULL;
        if (!too_old(u, link, now_ms) && link_quiet(link))
            return link;
        link_free(link);
    }
}

static void
keep_idle(struct upstream *u, struct link *link)
{
    size_t room = (size_t)u->options.max_idle;
    struct link *gone = NULL;
    int64_t now_ms = clock_now_ms();
    link->idle_since_ms = now_ms;
    if (room == 0 || u->options.keepalive_ms == 0) {
        link_free(link);
        return;
    }
    pthread_mutex_lock(&u->mutex);
    /* One in, at most one out: the old ones at the bottom go as fast as new ones come. */
    if (u->idle_count == room || (u->idle_count > 0 && too_old(u, u->idle[0], now_ms))) {
        gone = u->idle[0];
        u->idle_count--;
        memmove(u->idle, u->idle + 1, u->idle_count * sizeof(struct link *));
    }
    u->idle[u->idle_count++] = link;
    pthread_mutex_unlock(&u->mutex);
    link_free(gone);
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
        [UPSTREAM_NOMEM] = LARDER_NOMEM,
    };
    struct slice method = call->request->method;
    call->result->outcome = outcome;
    error_set(&call->result->error, status[outcome], "backend %s: %.*s: %s", call->name,
              (int)(method.n < 32 ? method.n : 32), method.p, words);
    return false;
}

/* RFC 9110 §9.2.1; and there is no body that a first try may have eaten. */
static bool
may_repeat(const struct upstream_request *r)
{
    return (slice_equal(r->method, slice_of("GET")) || slice_equal(r->method, slice_of("HEAD")) ||
            slice_equal(r->method, slice_of("OPTIONS")) ||
            slice_equal(r->method, slice_of("TRACE"))) &&
           (!r->has_body || r->body_len == 0);
}

static void
settle(struct upstream *u, struct link *link, enum transport_end end)
{
    if (end == TRANSPORT_KEEP)
        keep_idle(u, link);
    else
        link_free(link);
}

void
upstream_fetch(struct upstream *u, struct arena *arena, const struct upstream_request *request,
               const struct upstream_sink *sink, struct upstream_result *result)
{
    memset(result, 0, sizeof *result);
    struct transport_call call = {
        .name = u->name,
        .host = u->host,
        .timeout_ms = u->options.timeout_ms,
        .idle_timeout_ms = u->options.idle_timeout_ms,
        .start_ms = clock_now_ms(),
        .arena = arena,
        .request = request,
        .sink = sink,
        .result = result,
    };
    if (may_repeat(request) && (call.link = take_idle(u, call.start_ms))) {
        enum transport_end end = u->transport->exchange(&call);
        settle(u, call.link, end);
        if (end != TRANSPORT_DEAD)
            return;
        memset(result, 0, sizeof *result);
        result->maybe_received = true;
    }
    int64_t patience = u->options.connect_timeout_ms;
    if (u->options.timeout_ms > 0 && u->options.timeout_ms < patience)
        patience = u->options.timeout_ms;
    struct larder_error why;
    call.link = link_dial(u->peer, patience, &why);
    if (!call.link) {
        transport_fail(&call, why.status == LARDER_NOMEM ? UPSTREAM_NOMEM : UPSTREAM_UNREACHABLE,
                       why.message);
        return;
    }
    settle(u, call.link, u->transport->exchange(&call));
}
