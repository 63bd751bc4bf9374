/*
 * One request to the backend, whatever protocol it speaks.
 *
 * A `struct upstream` is made once from the configuration and shared by all
 * threads. upstream_fetch() does one exchange in the calling thread and streams
 * both ways through callbacks: nothing is buffered here beyond one block.
 * Connections are kept in a LIFO, so that a fetcher that comes and goes leaves
 * its connections to the next.
 *
 * It never decides anything about caching and knows nothing of the store.
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/fields.h"
#include "larder.h"

struct upstream;

struct upstream_options {
    const char *url;   /* http://host:port, https://host[:port], http+unix:/path.sock,
                                   fastcgi://host:port, fastcgi+unix:/path.sock */
    const char **urls; /* several instead of it, of one protocol; NULL: url alone */
    size_t url_count;
    const char **backup_urls; /* asked while none of those can be reached; NULL: none */
    size_t backup_count;
    int64_t fail_timeout_ms;    /* 5000; how long one of several rests that took no connection */
    int64_t connect_timeout_ms; /* 5000 */
    int64_t timeout_ms;         /* from the request, or the last of its body that the backend took,
                                   to the whole head of the response; 60000; 0: none */
    int64_t idle_timeout_ms;    /* longest silence after that; 30000; 0: none */
    int max_idle;               /* kept connections to each; 32, at most UPSTREAM_IDLE_MAX */
    int64_t keepalive_ms;       /* do not reuse a connection idle for longer; 4000 */
    bool tls_verify;            /* true */
    const char *tls_ca_file;    /* NULL: the system's */
};

/* Neither clock counts while a callback runs: a slow client is not a slow backend. */

#define UPSTREAM_IDLE_MAX 1024
/* url, urls and backup_urls together. */
#define UPSTREAM_BACKENDS_MAX 32
/* Of several backends so many are dialled for one request at most. */
#define UPSTREAM_DIALS_MAX 3

void upstream_options_init(struct upstream_options *options);

/* LARDER_INVALID with words when a URL is none of the forms. Dials nothing. */
enum larder_status upstream_new(const struct upstream_options *options, struct upstream **out,
                                struct larder_error *err);
/* No fetch may be under way. */
void upstream_free(struct upstream *upstream);

/* "http://127.0.0.1:8080" or "fastcgi+unix:/a.sock and 2 more", for messages; owned by the
 * upstream. */
const char *upstream_name(const struct upstream *upstream);

/* FastCGI: requests are parameters. */
bool upstream_is_fastcgi(const struct upstream *upstream);

/* How one of its backends is, as this process has found it. */
struct upstream_state {
    const char *url; /* owned by the upstream */
    bool backup;
    int busy;         /* exchanges under way */
    int idle;         /* connections kept */
    int64_t rests_ms; /* it took no connection, and is left alone for so long yet; 0: it is asked */
};

/* Of the backend with this number, from 0. false: there is no such. Any thread. */
bool upstream_state(struct upstream *upstream, size_t number, struct upstream_state *out);

/* The longest that upstream_fetch() may look for a backend that takes a connection and the request:
 * what comes before timeout_ms. */
int64_t upstream_dial_ms(const struct upstream_options *options);

/* Read up to `room` bytes of the request body; 0: its end; -1: the client broke off. */
typedef ssize_t (*upstream_body_fn)(void *arg, char *buf, size_t room);

struct upstream_parameter {
    struct slice name, value;
};

struct upstream_request {
    struct slice method;         /* any token */
    struct slice target;         /* raw, as the client sent it; no blanks, no controls */
    const struct fields *fields; /* as they shall arrive, Host included; no hop-by-hop fields, no
                                    Content-Length, no Transfer-Encoding: framing is ours */
    bool has_body;
    int64_t body_len; /* -1: unknown, sent chunked; not to FastCGI, which knows no such thing */
    /* FastCGI: all of the request, as the backend shall see it; method, target and fields are for
     * messages then. */
    const struct upstream_parameter *parameters;
    size_t parameter_count;
    upstream_body_fn body;
    void *body_arg;
};

/* What has happened to a client that is watched. */
enum upstream_client {
    UPSTREAM_CLIENT_THERE, /* nothing that is still to be seen at its descriptor: go on watching */
    UPSTREAM_CLIENT_UNCLEAR, /* it said something that is no hang-up: do not watch it any more */
    UPSTREAM_CLIENT_LEFT     /* and nobody else wants the answer: stop */
};

struct upstream_sink {
    void *arg;
    /* The final status line and fields, hop-by-hop fields already gone. What the list points to is in
     * the arena; the struct itself is gone when upstream_fetch() returns. Content-Length is there if
     * the backend sent it. until_close: the body ends where the connection does, so that nobody can
     * tell a whole one from one whose sender was killed. false: stop. */
    bool (*head)(void *arg, int status, struct fields *fields, bool until_close);
    /* Some of the body. false: stop (the client is gone and nobody else wants it). */
    bool (*body)(void *arg, const char *data, size_t len);
    /* A 1xx response other than 100 and 101; NULL: not wanted. */
    void (*interim)(void *arg, int status, struct fields *fields);
    /* While nothing comes: the client's descriptor, which may tell that it is gone; -1: nobody to
     * watch. NULL: never. And what to do when something has happened there. */
    int (*client)(void *arg);
    enum upstream_client (*client_event)(void *arg);
    /* Behind the head: nobody waits for the answer, which is read to its end because of what that tells.
     * Until then (monotonic, ms) it may be silent, or talk; -1: somebody does. NULL: always. */
    int64_t (*unattended)(void *arg);
};

enum upstream_outcome {
    UPSTREAM_OK,          /* whole answer, framing intact */
    UPSTREAM_UNREACHABLE, /* nothing was delivered: refused, unresolved, connect timeout -> 502 */
    UPSTREAM_TIMEOUT,     /* connected, too slow; see head_seen -> 504, or a broken body */
    UPSTREAM_BROKEN,      /* closed early or not HTTP; see head_seen -> 502, or a broken body; a
                             request that must not be sent (error.status LARDER_INVALID) */
    UPSTREAM_CLIENT_GONE, /* the request body or the sink said stop, or the client left */
    UPSTREAM_OVERLOADED,  /* refused before it was begun: FCGI_OVERLOADED, FCGI_CANT_MPX_CONN, or
                             the queue of a socket is full -> 503 */
    UPSTREAM_GIVEN_UP,    /* upstream_give_up() was called while it was under way, or before -> 504;
                            503 if nothing was delivered */
    UPSTREAM_NOMEM
};

#define UPSTREAM_GIVEN_UP_WORDS "not waited for any longer, because this process stops"

struct upstream_result {
    enum upstream_outcome outcome;
    bool head_seen;      /* sink.head was called */
    bool maybe_received; /* some of the request may have reached the backend */
    bool failed;         /* whole, but the script says that it failed: not to be kept */
    bool ended;          /* the backend has come to its end behind the head, whatever it has sent */
    int64_t body_bytes;
    struct larder_error error; /* what was tried, where, why it failed */
};

/* Whatever is under way ends at once, with UPSTREAM_GIVEN_UP, and nothing begins any more: for the
 * end of a process. Of all upstreams; any thread. */
void upstream_give_up(void);

/*
 * A backend that takes no connection is followed by the next, for any request;
 * so is one that refuses it before it has begun, at once, if there is no body.
 *
 * No request with another method than GET, HEAD, OPTIONS and TRACE is ever sent twice: they go out on
 * a fresh connection. Those without a body are repeated once if a kept connection turned out
 * dead before any byte of an answer, at once (within connect_timeout).
 */
void upstream_fetch(struct upstream *upstream, struct arena *arena,
                    const struct upstream_request *request, const struct upstream_sink *sink,
                    struct upstream_result *result);

#endif
