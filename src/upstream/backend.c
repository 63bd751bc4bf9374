/*
 * The backends of an upstream.
 *
 * Asked is the one with the fewest exchanges under way, of equals the one whose
 * turn it is. One that takes no connection rests for fail_timeout; after that one
 * request tries it again, while the others still go elsewhere. A spare (`backup`)
 * is asked only while all others rest. When all of them rest, all of them are
 * tried: what may be answered is not refused because of what was true a second
 * ago.
 *
 * Idle connections of a backend wait in a LIFO: the one used last is the one most
 * likely to be alive, and the others get old and go. The mutex is held to choose,
 * push or pop, never for a network wait.
 *
 * Each process finds out for itself. Called by upstream.c.
 */
#include "upstream/backend.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "upstream/fastcgi.h"
#include "upstream/http.h"

struct backends {
    int max_idle;
    int64_t keepalive_ms;
    int64_t fail_timeout_ms;
    pthread_mutex_t mutex;
    size_t next; /* guarded by mutex: whose turn it is among equals */
    size_t count;
    struct backend *list;
};

/* ----------------------------------------------------------- open, close */

static enum larder_status
open_backend(struct backend *backend, const char *text, const struct upstream_options *options,
             struct larder_error *err)
{
    struct larder_error why;
    char dial[UPSTREAM_URL_SIZE + 8];
    struct upstream_url *url = &backend->url;
    enum larder_status status = upstream_url_parse(text, url, &why);
    if (status != LARDER_OK)
        return error_set(err, status, "upstream: %s", why.message);
    backend->transport = url->fastcgi ? &fastcgi_transport : &http_transport;
    /* libcurl dials; to it whatever has no TLS is http. */
    snprintf(dial, sizeof dial, "http%s://%s", url->tls ? "s" : "", url->host);
    backend->peer =
        link_peer_new(dial, url->unix_path, options->tls_verify, options->tls_ca_file, &why);
    url->unix_path = NULL; /* what was parsed may go */
    return backend->peer ? LARDER_OK
                         : error_set(err, why.status, "upstream %s: %s", url->name, why.message);
}

enum larder_status
backends_new(const struct upstream_options *options, struct backends **out,
             struct larder_error *err)
{
    size_t own = options->url_count ? options->url_count : 1;
    size_t count = own + options->backup_count;
    *out = NULL;
    if (count > UPSTREAM_BACKENDS_MAX)
        return error_set(err, LARDER_INVALID, "upstream: more than %d backends",
                         UPSTREAM_BACKENDS_MAX);
    struct backends *b = calloc(1, sizeof *b);
    if (b)
        b->list = calloc(count, sizeof *b->list);
    if (!b || !b->list) {
        free(b);
        return error_set(err, LARDER_NOMEM, "no memory for the upstream");
    }
    pthread_mutex_init(&b->mutex, NULL);
    b->max_idle = options->max_idle;
    b->keepalive_ms = options->keepalive_ms;
    b->fail_timeout_ms = options->fail_timeout_ms;
    for (size_t i = 0; i < count; i++) {
        const char *url = i >= own             ? options->backup_urls[i - own]
                          : options->url_count ? options->urls[i]
                                               : options->url;
        struct backend *backend = &b->list[b->count++];
        backend->spare = i >= own;
        enum larder_status status = open_backend(backend, url, options, err);
        if (status == LARDER_OK && backend->transport != b->list[0].transport)
            status = error_set(err, LARDER_INVALID,
                               "upstream %s: all backends speak the same protocol, and the first "
                               "is %s",
                               backend->url.name, b->list[0].url.name);
        if (status != LARDER_OK) {
            backends_free(b);
            return status;
        }
    }
    *out = b;
    return LARDER_OK;
}

void
backends_free(struct backends *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->count; i++) {
        for (size_t k = 0; k < b->list[i].idle_count; k++)
            link_free(b->list[i].idle[k]);
        link_peer_free(b->list[i].peer);
    }
    pthread_mutex_destroy(&b->mutex);
    free(b->list);
    free(b);
}

size_t
backends_count(const struct backends *b)
{
    return b->count;
}

const struct backend *
backends_first(const struct backends *b)
{
    return &b->list[0];
}

bool
backends_state(struct backends *b, size_t number, struct upstream_state *out)
{
    if (number >= b->count)
        return false;
    const struct backend *backend = &b->list[number];
    int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&b->mutex);
    *out = (struct upstream_state){
        .url = backend->url.name,
        .backup = backend->spare,
        .busy = backend->busy,
        .idle = (int)backend->idle_count,
        .rests_ms = backend->rest_until_ms > now_ms ? backend->rest_until_ms - now_ms : 0};
    pthread_mutex_unlock(&b->mutex);
    return true;
}

/* ----------------------------------------------------------------- choice */

/* The lower the better: those that can be reached, the spares, those that rest. */
static int
rank(const struct backend *backend, int64_t now_ms)
{
    if (backend->rest_until_ms > now_ms || backend->on_trial)
        return backend->spare ? 3 : 2;
    return backend->spare ? 1 : 0;
}

struct backend *
backends_choose(struct backends *b, uint32_t *tried)
{
    int64_t now_ms = b->count > 1 ? clock_now_ms() : 0;
    struct backend *best = NULL;
    size_t at = 0;
    pthread_mutex_lock(&b->mutex);
    for (size_t k = 0; k < b->count; k++) {
        size_t i = (b->next + k) % b->count;
        struct backend *one = &b->list[i];
        if (*tried & (uint32_t)1 << i)
            continue;
        int better = best ? rank(one, now_ms) - rank(best, now_ms) : -1;
        if (better < 0 || (better == 0 && one->busy < best->busy)) {
            best = one;
            at = i;
        }
    }
    if (best) {
        *tried |= (uint32_t)1 << at;
        b->next = (at + 1) % b->count;
        best->busy++;
        if (best->rest_until_ms)
            best->on_trial = true;
    }
    pthread_mutex_unlock(&b->mutex);
    return best;
}

void
backends_leave(struct backends *b, struct backend *backend)
{
    pthread_mutex_lock(&b->mutex);
    backend->busy--;
    pthread_mutex_unlock(&b->mutex);
}

void
backends_reached(struct backends *b, struct backend *backend, bool reached)
{
    if (b->count == 1)
        return; /* there is no choice that would depend on it */
    bool told;
    pthread_mutex_lock(&b->mutex);
    told = reached != (backend->rest_until_ms == 0);
    backend->rest_until_ms = reached ? 0 : clock_now_ms() + b->fail_timeout_ms;
    backend->on_trial = false;
    pthread_mutex_unlock(&b->mutex);
    if (told && reached)
        log_write(LARDER_LOG_INFO, "backend %s: can be reached again", backend->url.name);
    else if (told)
        log_write(LARDER_LOG_WARNING,
                  "backend %s: cannot be reached; the others take its requests for %lld ms",
                  backend->url.name, (long long)b->fail_timeout_ms);
}

void
backends_untried(struct backends *b, struct backend *backend)
{
    pthread_mutex_lock(&b->mutex);
    backend->on_trial = false;
    pthread_mutex_unlock(&b->mutex);
}

/* ------------------------------------------------------- idle connections */

static bool
too_old(const struct backends *b, const struct link *link, int64_t now_ms)
{
    return now_ms - link->idle_since_ms >= b->keepalive_ms;
}

struct link *
backends_take(struct backends *b, struct backend *backend)
{
    int64_t now_ms = clock_now_ms();
    for (;;) {
        struct link *link = NULL;
        pthread_mutex_lock(&b->mutex);
        if (backend->idle_count > 0)
            link = backend->idle[--backend->idle_count];
        pthread_mutex_unlock(&b->mutex);
        if (!link)
            return NULL;
        if (!too_old(b, link, now_ms) && link_quiet(link))
            return link;
        link_free(link);
    }
}

void
backends_keep(struct backends *b, struct backend *backend, struct link *link)
{
    size_t room = (size_t)b->max_idle;
    struct link *gone = NULL;
    int64_t now_ms = clock_now_ms();
    link->idle_since_ms = now_ms;
    if (room == 0 || b->keepalive_ms == 0) {
        link_free(link);
        return;
    }
    pthread_mutex_lock(&b->mutex);
    /* One in, at most one out: the old ones at the bottom go as fast as new ones come. */
    if (backend->idle_count == room ||
        (backend->idle_count > 0 && too_old(b, backend->idle[0], now_ms))) {
        gone = backend->idle[0];
        backend->idle_count--;
        memmove(backend->idle, backend->idle + 1, backend->idle_count * sizeof(struct link *));
    }
    backend->idle[backend->idle_count++] = link;
    pthread_mutex_unlock(&b->mutex);
    link_free(gone);
}
