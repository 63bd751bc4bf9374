/*
 * One connection to Redis.
 *
 * Every wait has a deadline: the socket never blocks, and poll() gets what is
 * left of the time. Every exchange leaves the connection either clean (all of
 * the answer read, nothing after it) or pending, and a pending one is closed:
 * on it the next caller would read somebody else's answer.
 */
#ifndef CLIENT_REDIS_H
#define CLIENT_REDIS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "client/resolve.h"
#include "client/wire.h"
#include "larder.h"

struct identity;

/* Where connections lead to; shared by all of a client, never changes but for until_ms. */
struct endpoint {
    const struct larder_options *options;
    struct resolver *resolver;
    struct identity *identity; /* of the server that was met there last */
    atomic_llong until_ms;     /* nothing is waited for beyond it; see store_hurry() */
    char where[160];           /* "redis 10.0.0.5:6379", for messages */
};

struct conn {
    int fd;
    int cancel_fd;     /* readable: give up waiting; -1: none */
    const char *doing; /* name of the command in hand, for messages */
    bool kept;         /* it was idle before this use, so that it may have died meanwhile */
    /* The exchange in hand: */
    bool sent;     /* the kernel has taken bytes of it */
    bool answered; /* a byte of the answer came */
    bool refused;  /* some of the answer is an error */
    bool pending;  /* the answer has not been read whole */
    bool passing;  /* the refusal is one that passes (LOADING ...): nothing was done, try again */
    bool unwanted; /* the rest of the answer is not worth reading: close it, nobody is to blame */
    bool drained;  /* the last recv() took all there was */

    redisReader *reader; /* NULL until the first reply goes through hiredis */
#if HIREDIS_MAJOR < 1
    redisReplyObjectFunctions functions; /* the reader's, with a bound on arrays */
#endif
    const struct endpoint *endpoint;
    uint64_t
        identity; /* of the server at the other end, when it was dialled; 0: it does not tell */
    int64_t expires_ms; /* lifetime; INT64_MAX: no limit */
    int64_t idle_since_ms;
    struct conn *next; /* in the pool's list */
};

/* Connect, AUTH, SELECT, INFO: all of it by the deadline and within dial_timeout_ms.
 * LARDER_UNAVAILABLE (also: it is a replica), LARDER_TIMEOUT (the deadline), LARDER_REFUSED (wrong
 * password and the like). */
enum larder_status conn_dial(const struct endpoint *endpoint, int64_t deadline_ms, int cancel_fd,
                             struct conn **out, struct larder_error *err);
void conn_close(struct conn *conn);

/* Which server is it now, and still a master? For who keeps a connection of his own: an exchange of
 * its own. LARDER_UNAVAILABLE: it is none any more, or another than it was; the connection is of no
 * use then, and the endpoint's identity says so to all others. */
enum larder_status conn_identify(struct conn *conn, int64_t deadline_ms, struct larder_error *err);

/* Is it quiet and open? EOF and a stray byte both mean that it is of no use. */
bool conn_is_alive(const struct conn *conn);

/* An exchange is: conn_begin, conn_send, then conn_reply or conn_receive for all that is due, then
 * conn_end. Any failure in between leaves the connection pending. */
void conn_begin(struct conn *conn, const char *doing);
enum larder_status conn_send(struct conn *conn, const struct wire *wire, int64_t deadline_ms,
                             struct larder_error *err);
/* One reply, errors included; freeReplyObject(). */
enum larder_status conn_reply(struct conn *conn, int64_t deadline_ms, redisReply **reply,
                              struct larder_error *err);
/* The same, with its own deadline instead of read_timeout_ms. */
enum larder_status conn_reply_by(struct conn *conn, int64_t limit_ms, redisReply **reply,
                                 struct larder_error *err);
/* Some bytes, at least one, for who parses by himself; not to be mixed with conn_reply(). */
enum larder_status conn_receive(struct conn *conn, void *buf, size_t size, int64_t deadline_ms,
                                size_t *n, struct larder_error *err);
/* All is read: LARDER_PROTOCOL if there is more than that. */
enum larder_status conn_end(struct conn *conn, struct larder_error *err);

/* When one reply must be here: read_timeout_ms from now, but by the deadline. */
int64_t conn_reply_deadline(const struct conn *conn, int64_t deadline_ms);

/* Did dialling fail, by these words of larder_error, because the server has too many clients? */
bool conn_found_no_room(const char *why);

/* Redis answered with an error: its words into err, LARDER_REFUSED; notes whether it passes. */
enum larder_status conn_refused(struct conn *conn, const char *text, size_t len,
                                struct larder_error *err);

/* "redis HOST:PORT: COMMAND: " and then the words. */
enum larder_status conn_error(const struct conn *conn, enum larder_status status,
                              struct larder_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
