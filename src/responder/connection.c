/*
 * One FastCGI connection from the web server.
 *
 * libfcgi parses what comes in; it is handed a descriptor that we accepted
 * ourselves (it does not accept while ipcFd is set), with keepConnection 1 (or
 * it would close that descriptor first) and listen_sock -1 (so that garbage
 * ends in an error instead of its own accept()).
 *
 * What goes out is built here: the record format is eight bytes and a length,
 * and by writing it ourselves a whole hit is one sendmsg without a copy, a
 * large body goes in records of 64 KiB, and a socket that is full can be left
 * to a thread that may wait. Ending a request is two records; a request that
 * must not look ended (a body that broke off) is simply closed without them.
 */
#include "responder/connection.h"

#include <errno.h>
#include <fastcgi.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "responder/server.h"

/* The largest content that is a multiple of eight: no padding needed in between. */
#define RECORD_MAX ((size_t)65528)
/* Pieces in one sendmsg; Linux takes 1,024. */
#define IOV_BATCH 512
/* A web server has the parameters at hand when it connects; who stalls here holds a worker. */
#define PARAMETERS_MS 5000
/* Read of an unread request body before we close over it: no more than this, no longer. */
#define DRAIN_BYTES ((size_t)64 * 1024 * 1024)
#define DRAIN_MS 10000
/* How long a web server may take to read what was sent before an answer breaks off, and then to
 * begin its own. */
#define BREAK_OFF_MS 2000
/* ... and when the process has no time any more. */
#define BREAK_OFF_LAST_MS 200
#define BREAK_OFF_PAUSE_MS 50
/* How often a thread that waits for a slow reader looks whether the process gives up. */
#define GIVING_UP_LOOK_MS 200

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `open` and the links */
static struct connection *open_first;

static bool
is_giving_up(void)
{
    return atomic_load_explicit(&server_giving_up, memory_order_relaxed);
}

/* libfcgi takes it for the end of the connection, in a read under way as well. */
static void
end_reading(struct connection *connection)
{
    if (connection->fd >= 0)
        shutdown(connection->fd, SHUT_RD);
}

static atomic_int kept;

static void
link_open(struct connection *connection)
{
    pthread_mutex_lock(&lock);
    connection->next = open_first;
    if (open_first)
        open_first->prev = connection;
    open_first = connection;
    pthread_mutex_unlock(&lock);
    if (atomic_load(&server_giving_up))
        end_reading(connection);
}

static void
unlink_open(struct connection *connection)
{
    pthread_mutex_lock(&lock);
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        open_first = connection->next;
    if (connection->next)
        connection->next->prev = connection->prev;
    pthread_mutex_unlock(&lock);
}

int
connections_kept(void)
{
    return atomic_load(&kept);
}

void
connections_give_up(void)
{
    pthread_mutex_lock(&lock);
    for (struct connection *connection = open_first; connection; connection = connection->next)
        end_reading(connection);
    pthread_mutex_unlock(&lock);
}

/* Bounds every read that libfcgi does. */
static void
set_patience(struct connection *connection, int64_t ms)
{
    struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
    setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

struct connection *
connection_new(int fd, int64_t client_timeout_ms)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection || FCGX_InitRequest(&connection->fcgi, -1, 0) != 0) {
        free(connection);
        close(fd);
        return NULL;
    }
    connection->fd = fd;
    connection->fcgi.ipcFd = fd;
    connection->client_timeout_ms = client_timeout_ms;
    link_open(connection);
    set_patience(connection, client_timeout_ms < PARAMETERS_MS ? client_timeout_ms : PARAMETERS_MS);
    return connection;
}

void
connection_free(struct connection *connection)
{
    if (!connection)
        return;
    unlink_open(connection);
    if (connection->counted)
        atomic_fetch_sub(&kept, 1);
    /* 0: not its close, which waits for the other side. */
    FCGX_Free(&connection->fcgi, 0);
    if (connection->fd >= 0)
        close(connection->fd);
    free(connection);
}

static void
put_header(unsigned char *p, int type, int request_id, size_t content, size_t padding)
{
    p[0] = FCGI_VERSION_1;
    p[1] = (unsigned char)type;
    p[2] = (unsigned char)(request_id >> 8);
    p[3] = (unsigned char)request_id;
    p[4] = (unsigned char)(content >> 8);
    p[5] = (unsigned char)content;
    p[6] = (unsigned char)padding;
    p[7] = 0;
}

static void
put_end(unsigned char *p, int request_id, int protocol_status)
{
    put_header(p, FCGI_END_REQUEST, request_id, 8, 0);
    memset(p + 8, 0, 8);
    p[12] = (unsigned char)protocol_status;
}

/*
 * The records that end an answer; returns their length.
 *
 * A busy nginx sends its next request the moment it has the end of an answer. A close right after it
 * comes too late then, the request is lost, and a POST is answered 502. But nginx does not use a
 * connection again on which something follows the end (ngx_http_fastcgi_module.c: upstream_done
 * without keepalive), so with the last answer goes a record that FastCGI allows at any time
 * (FastCGI 1.0, 4.2). mod_proxy_fcgi would take it for the beginning of the next answer.
 */
static size_t
put_last_records(unsigned char *p, struct connection *connection)
{
    FCGX_Request *fcgi = &connection->fcgi;
    put_header(p, FCGI_STDOUT, fcgi->requestId, 0, 0);
    put_end(p + 8, fcgi->requestId, FCGI_REQUEST_COMPLETE);
    connection->leaves = atomic_load(&server_retiring);
    const char *software = FCGX_GetParam("SERVER_SOFTWARE", fcgi->envp);
    if (!connection->leaves || !connection->keep || !software || strncmp(software, "nginx", 5) != 0)
        return 24;
    put_header(p + 24, FCGI_UNKNOWN_TYPE, 0, 8, 0);
    memset(p + 32, 0, 8);
    return CONNECTION_END_MAX;
}

bool
connection_receive(struct connection *connection)
{
    FCGX_Request *fcgi = &connection->fcgi;
    fcgi->ipcFd = connection->fd;
    fcgi->keepConnection = 1;
    fcgi->listen_sock = -1;
    connection->body_ended = false;
    connection->stdin_read = 0;
    connection->pending = NULL;
    connection->pending_count = 0;
    memset(&connection->record, 0, sizeof connection->record);
    if (FCGX_Accept_r(fcgi) != 0) {
        /* On garbage libfcgi has closed the descriptor. */
        if (fcgi->ipcFd < 0) {
            pthread_mutex_lock(&lock); /* connections_give_up() looks at it */
            connection->fd = -1;
            pthread_mutex_unlock(&lock);
        }
        return false;
    }
    connection->keep = fcgi->keepConnection;
    if (connection->keep && !connection->counted) {
        connection->counted = true;
        atomic_fetch_add(&kept, 1);
    }
    if (fcgi->role == FCGI_RESPONDER)
        return true;
    unsigned char end[16];
    put_end(end, fcgi->requestId, FCGI_UNKNOWN_ROLE);
    ssize_t sent = send(connection->fd, end, sizeof end, MSG_NOSIGNAL);
    (void)sent; /* it is closed next, whether this arrived or not */
    return false;
}

void
connection_expect_body(struct connection *connection)
{
    if (connection->client_timeout_ms > PARAMETERS_MS && !connection->patient) {
        set_patience(connection, connection->client_timeout_ms);
        connection->patient = true;
    }
}

ssize_t
connection_read(struct connection *connection, char *buf, size_t room)
{
    FCGX_Stream *in = connection->fcgi.in;
    size_t n = 0;
    if (connection->body_ended || room == 0)
        return 0;
    /* What is there. FCGX_GetStr() alone would wait until all of the room is filled, and a slow
     * visitor's body would stand still here. */
    if (in->rdNext == in->stop) {
        int first = FCGX_GetChar(in);
        if (first < 0 && FCGX_GetError(in) != 0) {
            connection->broken = true;
            return -1;
        }
        if (first < 0) {
            connection->body_ended = true;
            return 0;
        }
        buf[n++] = (char)first;
    }
    size_t there = (size_t)(in->stop - in->rdNext);
    int some = (int)(there < room - n ? there : room - n); /* of a buffer of 8 KiB */
    if (some > 0)
        n += (size_t)FCGX_GetStr(buf + n, some, in);
    connection->stdin_read += n;
    return (ssize_t)n;
}

enum connection_peer
connection_look(struct connection *connection)
{
    unsigned char header[8];
    ssize_t n = recv(connection->fd, header, sizeof header, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return CONNECTION_QUIET;
    if (n <= 0)
        return CONNECTION_LEFT;
    if (n < (ssize_t)sizeof header || header[0] != FCGI_VERSION_1)
        return CONNECTION_TALKS;
    if (header[1] == FCGI_ABORT_REQUEST)
        return CONNECTION_LEFT;
    /* The end of a body that there is not, sent behind the parameters. */
    bool end = header[1] == FCGI_STDIN && header[4] == 0 && header[5] == 0;
    FCGX_Stream *in = connection->fcgi.in;
    if (!end || connection->body_ended || in->rdNext != in->stop)
        return CONNECTION_TALKS;
    char byte;
    return connection_read(connection, &byte, 1) < 0 ? CONNECTION_LEFT : CONNECTION_QUIET;
}

static void
pause_ms(long ms)
{
    struct timespec pause = {0, ms * 1000000};
    nanosleep(&pause, NULL);
}

static bool
wait_writable(struct connection *connection)
{
    struct pollfd poll_fd = {connection->fd, POLLOUT, 0};
    int64_t deadline = clock_now_ms() + connection->client_timeout_ms;
    while (!is_giving_up()) {
        int64_t left = deadline - clock_now_ms();
        /* In slices, so that the order to give up is seen. */
        int n = poll(&poll_fd, 1,
                     left > GIVING_UP_LOOK_MS ? GIVING_UP_LOOK_MS
                     : left > 0               ? (int)left
                                              : 0);
        if (n > 0)
            return true;
        if (n < 0 ? errno != EINTR : left <= 0)
            return false;
    }
    return false;
}

enum connection_status
connection_flush(struct connection *connection, bool may_block)
{
    while (connection->pending_count > 0 && !connection->broken) {
        int batch = connection->pending_count < IOV_BATCH ? connection->pending_count : IOV_BATCH;
        struct msghdr message = {.msg_iov = connection->pending, .msg_iovlen = (size_t)batch};
        ssize_t n = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                if (!may_block)
                    return CONNECTION_AGAIN;
                if (wait_writable(connection))
                    continue;
            }
            connection->broken = true;
            break;
        }
        size_t sent = (size_t)n;
        while (connection->pending_count > 0 && sent >= connection->pending->iov_len) {
            sent -= connection->pending->iov_len;
            connection->pending++;
            connection->pending_count--;
        }
        if (sent) {
            connection->pending->iov_base = (char *)connection->pending->iov_base + sent;
            connection->pending->iov_len -= sent;
        }
    }
    return connection->broken ? CONNECTION_GONE : CONNECTION_DONE;
}

/*
 * Cut the pieces into records. Each record is a header and as many (parts of)
 * pieces as fit; since every record but the last is full, padding is needed
 * only once.
 */
enum connection_status
connection_send(struct connection *connection, struct arena *arena, const struct iovec *pieces,
                int count, bool last, bool may_block)
{
    static const unsigned char zeros[8];
    if (connection->broken)
        return CONNECTION_GONE;
    size_t total = 0;
    for (int i = 0; i < count; i++)
        total += pieces[i].iov_len;
    size_t records = (total + RECORD_MAX - 1) / RECORD_MAX;
    size_t room = 2 * records + (size_t)count + 3;
    /* A piece of a stream is gone when this returns: nothing of it has to last, and a long stream
     * must not eat up the arena. */
    struct iovec local[16];
    unsigned char local_headers[80];
    bool is_local = may_block && room <= sizeof local / sizeof *local &&
                    records * 8 + CONNECTION_END_MAX <= sizeof local_headers;
    struct iovec *out = is_local ? local : arena_calloc(arena, room, sizeof *out);
    unsigned char *headers = is_local ? local_headers
                                      : arena_alloc(arena, records * 8 + CONNECTION_END_MAX);
    if (!out || !headers) {
        connection->broken = true;
        return CONNECTION_GONE;
    }
    int id = connection->fcgi.requestId, n = 0, piece = 0;
    size_t offset = 0;
    for (size_t left = total; left > 0;) {
        size_t content = left < RECORD_MAX ? left : RECORD_MAX;
        size_t padding = (8 - content % 8) % 8;
        put_header(headers, FCGI_STDOUT, id, content, padding);
        out[n++] = (struct iovec){headers, 8};
        headers += 8;
        for (size_t rest = content; rest > 0;) {
            size_t part = pieces[piece].iov_len - offset;
            part = part < rest ? part : rest;
            if (part)
                out[n++] = (struct iovec){(char *)pieces[piece].iov_base + offset, part};
            rest -= part;
            offset += part;
            if (offset == pieces[piece].iov_len) {
                piece++;
                offset = 0;
            }
        }
        if (padding)
            out[n++] = (struct iovec){(void *)zeros, padding};
        left -= content;
    }
    if (last) {
        size_t end = put_last_records(headers, connection);
        out[n++] = (struct iovec){headers, end};
    }
    connection->pending = out;
    connection->pending_count = n;
    return connection_flush(connection, may_block);
}

/* A record of what there is to send, or the end if that is all. */
static void
begin_record(struct connection *connection, size_t n, bool last)
{
    int id = connection->fcgi.requestId;
    size_t content = n < RECORD_MAX ? n : RECORD_MAX;
    if (content) {
        connection->record.content_left = content;
        connection->record.padding_left = (8 - content % 8) % 8;
        connection->record.head_left = 8;
        put_header(connection->record.head, FCGI_STDOUT, id, content,
                   connection->record.padding_left);
    }
    if (content == n && last && !connection->record.ended) {
        connection->record.end_size = put_last_records(connection->record.end, connection);
        connection->record.end_left = connection->record.end_size;
        connection->record.ended = true;
    }
}

/* So many bytes less of this; what is left of `sent`. */
static size_t
take_off(size_t *left, size_t sent)
{
    size_t n = sent < *left ? sent : *left;
    *left -= n;
    return sent - n;
}

enum connection_status
connection_stream(struct connection *connection, const char *data, size_t n, bool last,
                  bool may_block, size_t *taken)
{
    static const unsigned char zeros[8];
    size_t *head = &connection->record.head_left, *content = &connection->record.content_left;
    size_t *padding = &connection->record.padding_left, *end = &connection->record.end_left;
    *taken = 0;
    enum connection_status status = connection_flush(connection, may_block);
    while (status == CONNECTION_DONE) {
        if (*head + *content + *padding == 0)
            begin_record(connection, n - *taken, last);
        size_t now = *content < n - *taken ? *content : n - *taken;
        bool whole = now == *content;
        if (*head + now + (whole ? *padding : 0) + *end == 0)
            return CONNECTION_DONE;
        struct iovec pieces[4] = {
            {connection->record.head + 8 - *head, *head},
            {(void *)(data + *taken), now},
            {(void *)zeros, whole ? *padding : 0},
            {connection->record.end + connection->record.end_size - *end, whole ? *end : 0}};
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 4};
        ssize_t sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!may_block)
                return CONNECTION_AGAIN;
            if (wait_writable(connection))
                continue;
        }
        if (sent < 0) {
            connection->broken = true;
            return CONNECTION_GONE;
        }
        size_t before = *content, rest = take_off(head, (size_t)sent);
        if (*head == 0)
            rest = take_off(content, rest);
        *taken += before - *content;
        if (*content == 0)
            rest = take_off(padding, rest);
        if (*content + *padding == 0)
            take_off(end, rest);
    }
    return status;
}

/*
 * Three web servers, three ways to take a cut answer for a whole one:
 *
 *   lighttpd  if head, body and the close arrive together, before it has begun
 *             to answer, it counts what is there and sends that as the length.
 *             So the close waits until it has read what was sent, and a moment.
 *   nginx     without buffering takes a close for the end, and leaves the client
 *             waiting for the rest of Content-Length.
 *   mod_fcgid takes a close for the end where there is no Content-Length.
 *
 * The last two give up as they should when they read a record of a version that
 * does not exist; lighttpd skips it with a line in its log.
 */
void
connection_break_off(struct connection *connection, bool may_wait)
{
    static const unsigned char no_record[8];
    int64_t deadline = clock_now_ms() + (is_giving_up() ? BREAK_OFF_LAST_MS : BREAK_OFF_MS);
    int unread = 0;
    if (connection->broken)
        return;
    /* On a Unix socket: not read yet by the peer; on TCP: not acknowledged yet. */
    while (may_wait && ioctl(connection->fd, SIOCOUTQ, &unread) == 0 && unread > 0 &&
           clock_now_ms() < deadline)
        pause_ms(2);
    if (may_wait)
        pause_ms(BREAK_OFF_PAUSE_MS);
    ssize_t sent = send(connection->fd, no_record, sizeof no_record, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* if it cannot be written, the web server has noticed already */
    connection->broken = true;
}

/* Read the rest of the request body. false: it did not end within the bounds. */
static bool
drain(struct connection *connection)
{
    char buf[16 * 1024];
    size_t total = 0;
    int64_t deadline = clock_now_ms() + DRAIN_MS;
    while (!connection->body_ended) {
        ssize_t n = connection_read(connection, buf, sizeof buf);
        if (n < 0 || total > DRAIN_BYTES || (n > 0 && clock_now_ms() > deadline))
            return false;
        total += (size_t)n;
    }
    return true;
}

bool
connection_finish(struct connection *connection, bool ended)
{
    if (connection->broken || !ended)
        return false;
    if (!drain(connection) || !connection->keep)
        return false;
    FCGX_Free(&connection->fcgi, 0);
    return true;
}
