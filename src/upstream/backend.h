/*
 * The backends of an upstream: which of them a request goes to, the connections
 * that are kept to each, and whether it can be reached.
 */
#ifndef UPSTREAM_BACKEND_H
#define UPSTREAM_BACKEND_H

#include "upstream/transport.h"
#include "upstream/url.h"

struct backend {
    struct upstream_url url;
    const struct transport *transport;
    struct link_peer *peer;
    bool spare; /* asked only while none of the others can be reached */

    /* Guarded by the mutex of its backends. */
    int busy;              /* exchanges under way */
    int64_t rest_until_ms; /* it could not be reached; monotonic, 0: it could */
    bool on_trial;         /* its rest is over, and one request finds out */
    size_t idle_count;
    struct link *idle[UPSTREAM_IDLE_MAX]; /* the oldest first */
};

struct backends;

/* LARDER_INVALID with words; LARDER_NOMEM. Dials nothing. */
enum larder_status backends_new(const struct upstream_options *options, struct backends **out,
                                struct larder_error *err);
/* No exchange may be under way. */
void backends_free(struct backends *backends);

size_t backends_count(const struct backends *backends);
const struct backend *backends_first(const struct backends *backends);

/* upstream_state(). */
bool backends_state(struct backends *backends, size_t number, struct upstream_state *out);

/*
 * The one to ask next, which counts as busy until backends_leave(). *tried: a bit
 * for each that this request has had already; the one that is returned is added.
 * NULL: there is no other.
 */
struct backend *backends_choose(struct backends *backends, uint32_t *tried);
void backends_leave(struct backends *backends, struct backend *backend);

/* It took a connection, or did not. */
void backends_reached(struct backends *backends, struct backend *backend, bool reached);

/* It was chosen, and it never came to a connection. */
void backends_untried(struct backends *backends, struct backend *backend);

/* A kept connection that may be used, or NULL. */
struct link *backends_take(struct backends *backends, struct backend *backend);
/* Keep one, or close it. */
void backends_keep(struct backends *backends, struct backend *backend, struct link *link);

#endif
