/*
 * One connection to the backend: libcurl resolves, connects and speaks TLS, a Unix
 * socket is ours alone; the bytes are ours. One thread at a time.
 */
#ifndef UPSTREAM_LINK_H
#define UPSTREAM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <curl/curl.h>

#include "larder.h"

/* Bytes read at once. A response of common size comes in one piece. */
#define LINK_IN_BYTES ((size_t)64 * 1024)
/* A block of a request body on its way out. */
#define LINK_OUT_BYTES ((size_t)64 * 1024)

struct link_peer;

struct link {
    struct link_peer *peer;
    CURL *easy;            /* NULL: a Unix socket */
    int fd;                /* libcurl's: for poll(2) alone */
    bool tls_ended;        /* the peer has said close_notify */
    int64_t idle_since_ms; /* the keeper's note */
    char in[LINK_IN_BYTES];
    char out[LINK_OUT_BYTES];
};

/* What link_send() and link_recv() return instead of a count. */
#define LINK_AGAIN ((ssize_t)-1)
#define LINK_FAILED ((ssize_t)-2)

/*
 * Whom to call. unix_path NULL: what the URL says. tls_ca_file NULL: the
 * system's. Strings are copied, certificates read here, once. NULL: err says
 * why. Shared by all threads.
 */
struct link_peer *link_peer_new(const char *url, const char *unix_path, bool tls_verify,
                                const char *tls_ca_file, struct larder_error *err);
void link_peer_free(struct link_peer *peer);

/* A new connection, TLS handshake included, in at most timeout_ms. NULL: err has the words,
 * LARDER_UNAVAILABLE, LARDER_NOMEM, or LARDER_TIMEOUT: a Unix socket whose queue is full. */
struct link *link_dial(struct link_peer *peer, int64_t timeout_ms, struct larder_error *err);
void link_free(struct link *link);

/* Some bytes out or in, without waiting. link_recv: 0 is the peer's end. Repeat a send that said
 * LINK_AGAIN with the same bytes. */
ssize_t link_send(struct link *link, const char *data, size_t n);
ssize_t link_recv(struct link *link, char *buf, size_t room);

struct link_events {
    bool stopped;  /* link_stop_all() was called */
    bool readable; /* link_recv is worth trying */
    bool watched;  /* there is something to read at the other descriptor, or it hung up */
};

/* Every wait, on every connection, ends at once from here on, and nobody is dialled any more: the
 * process ends. Any thread. */
void link_stop_all(void);
bool link_is_stopped(void);

/* Wait until link_recv (or, with `writable`, link_send) is worth trying, or something happens at
 * `watched` (-1: none); deadline_ms < 0: for ever. false: the deadline passed. */
bool link_wait(struct link *link, bool writable, int watched, int64_t deadline_ms,
               struct link_events *events);

/* Nothing to read and not closed: the only state in which a kept connection may be used again. */
bool link_quiet(struct link *link);

#endif
