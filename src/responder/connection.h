/*
 * One FastCGI connection from the web server, and on it one request at a time.
 *
 * Reading (BEGIN_REQUEST, PARAMS, STDIN) is libfcgi's. Writing is ours: the
 * answer goes out as records of up to 64 KiB by sendmsg, head, body and
 * END_REQUEST together, where libfcgi would copy through an 8 KiB stream and
 * wait up to 2 s at each close.
 *
 * A connection belongs to one thread at a time; it may be handed over.
 */
#ifndef RESPONDER_CONNECTION_H
#define RESPONDER_CONNECTION_H

#include <fcgiapp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/arena.h"

#define CONNECTION_END_MAX 40 /* the records that end an answer */

struct connection {
    FCGX_Request fcgi;
    int fd;
    bool keep;       /* the web server wants the connection back (FCGI_KEEP_CONN) */
    bool body_ended; /* STDIN is read to its end */
    bool patient;    /* connection_expect_body() was called */
    bool leaves;  /* the web server has been told that the connection is closed after this answer */
    bool counted; /* in connections_kept() */
    bool broken;  /* nothing can be written any more */
    int64_t client_timeout_ms;
    struct connection *prev, *next;           /* among all that are open */
    struct connection *kept_prev, *kept_next; /* worker.c: waiting for its next request */
    uint64_t stdin_read;                      /* bytes of the request body so far */

    /* What connection_flush() still has to send; iovecs in the request's arena. */
    struct iovec *pending;
    int pending_count;

    /* The record that connection_stream() has begun: so much of it is still to be sent. */
    struct {
        unsigned char head[8], end[CONNECTION_END_MAX];
        size_t head_left, content_left, padding_left, end_left, end_size;
        bool ended; /* `end` has been made */
    } record;
};

/* A connection on a descriptor that accept() gave; it owns the descriptor. NULL: no memory (the
 * descriptor is closed). */
struct connection *connection_new(int fd, int64_t client_timeout_ms);
void connection_free(struct connection *connection);

/* How many there are that a web server may use again, or uses now. Any thread. */
int connections_kept(void);

/* The process ends: nothing more is read from any connection than what is there. What is to be
 * written still can be. Call with server_giving_up set. */
void connections_give_up(void);

/* Read a request's parameters: connection->fcgi.envp. false: end, garbage, timeout, or a role that
 * is not ours (then answered); the connection is to be freed. */
bool connection_receive(struct connection *connection);

/* The body of the request in hand may take client_timeout_ms between two pieces; until this is
 * called a read waits for a few seconds only. */
void connection_expect_body(struct connection *connection);

/* Read of the request body what is there, at least a byte. 0: its end. -1: the web server broke off or stalled. */
ssize_t connection_read(struct connection *connection, char *buf, size_t room);

/* Is the web server still there, while it has nothing to say? Does not wait. */
enum connection_peer {
    CONNECTION_QUIET, /* as far as can be seen */
    CONNECTION_TALKS, /* it has sent something that is no hang-up */
    CONNECTION_LEFT   /* it has closed, or sent ABORT_REQUEST */
};
enum connection_peer connection_look(struct connection *connection);

/*
 * Send bytes as STDOUT, and with `last` the end of the stream and END_REQUEST.
 * The pieces must stay where they are until all is sent. may_block false: send
 * what the socket takes; CONNECTION_AGAIN says that connection_flush() is to be
 * called where blocking is allowed.
 */
enum connection_status { CONNECTION_DONE, CONNECTION_AGAIN, CONNECTION_GONE };
enum connection_status connection_send(struct connection *connection, struct arena *arena,
                                       const struct iovec *pieces, int count, bool last,
                                       bool may_block);
enum connection_status connection_flush(struct connection *connection, bool may_block);

/*
 * The same for a body in pieces of which nothing has to stay: *taken says how
 * many of the n bytes are out or in the socket, the next call goes on with the
 * one after them. CONNECTION_DONE: all are, and with `last` the end too. What
 * connection_send() has left is sent first. Takes no memory.
 */
enum connection_status connection_stream(struct connection *connection, const char *data, size_t n,
                                         bool last, bool may_block, size_t *taken);

/*
 * The answer under way breaks off here: make the web server break it off at the
 * client too, whatever it takes (see connection.c); may_wait false: as well as it
 * can be done at once. Then connection_finish() with ended false.
 */
void connection_break_off(struct connection *connection, bool may_wait);

/*
 * The request is over. ended: its end was sent. true: the connection is ready
 * for another request (wait for input); false: it is to be freed, which closes
 * it. Call before connection_free() in every case: it reads what is left of the
 * request body, so that closing does not reset the answer away.
 */
bool connection_finish(struct connection *connection, bool ended);

#endif
