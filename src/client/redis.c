/*
 * One connection to Redis: dialling, sending, receiving, each by a deadline.
 *
 * hiredis' own sockets know a timeout per system call, no deadline; they raise
 * SIGPIPE and survive exec(). So the socket is ours and hiredis only reads
 * replies out of the bytes. Used by the pool (to dial), by command.c and by
 * store.c; knows neither pool nor retries. The password never gets into a message.
 */
#include "client/redis.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/identity.h"

/* How often who waits for an answer looks whether it must hurry (store_hurry()). */
#define HURRY_LOOK_MS 100
#define READ_SIZE ((size_t)16 * 1024)
#define SEND_PIECES 64
/* All of one reply; more than a thousand values of ordinary size or one of the longest. */
#define REPLY_BYTES_MAX (LARDER_VALUE_MAX * 2)
/* Elements of one array. We ask for a thousand at a time; SCAN may bring more than it was asked. */
#define REPLY_ELEMENTS_MAX (1024 * 1024)
/* Seconds of silence before the kernel asks whether the peer is still there, between two such
 * questions, and how many stay unanswered: a dead peer is noticed in half a minute. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3
/* Between two knocks at a Unix socket whose backlog is full. */
#define DIAL_PAUSE_MS 5
/* "master", "slave", "sentinel" */
#define ROLE_SIZE 24

enum larder_status
conn_error(const struct conn *conn, enum larder_status status, struct larder_error *err,
           const char *format, ...)
{
    char words[LARDER_ERROR_MAX];
    va_list args;

    if (!err)
        return status;
    va_start(args, format);
    if (vsnprintf(words, sizeof words, format, args) < 0)
        words[0] = '\0';
    va_end(args);
    (void)error_set(err, status, "%s: %s: %s", conn->endpoint->where, conn->doing, words);
    return status;
}

/* ------------------------------------------------------------------- waiting */

static int64_t
sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static enum larder_status
wait_for(const struct conn *conn, short events, int64_t deadline_ms, struct larder_error *err)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = conn->fd, .events = events},
                                {.fd = conn->cancel_fd, .events = POLLIN}};
        /* In slices, so that an order to hurry is seen. */
        int64_t slice_ms = conn->cancel_fd < 0 ? HURRY_LOOK_MS : 3600000;
        int64_t until_ms = sooner(
            deadline_ms, atomic_load_explicit(&conn->endpoint->until_ms, memory_order_relaxed));
        int64_t left = until_ms - clock_now_ms();
        int n = poll(fds, conn->cancel_fd < 0 ? 1 : 2, left <= 0 ? 0 : (int)sooner(left, slice_ms));
        if (n < 0 && errno != EINTR)
            return conn_error(conn, LARDER_UNAVAILABLE, err, "poll: %s", strerrordesc_np(errno));
        if (n > 0 && fds[1].revents != 0)
            return conn_error(conn, LARDER_UNAVAILABLE, err, "closing");
        if (n > 0)
            return LARDER_OK; /* an error too: the next system call has its name */
        if (left <= 0)
            return conn_error(conn, LARDER_TIMEOUT, err,
                              events == POLLIN ? "no answer in time" : "not sent in time");
    }
}

int64_t
conn_reply_deadline(const struct conn *conn, int64_t deadline_ms)
{
    return sooner(deadline_ms, clock_now_ms() + conn->endpoint->options->read_timeout_ms);
}

/* ------------------------------------------------------------------ exchange */

void
conn_begin(struct conn *conn, const char *doing)
{
    conn->doing = doing;
    conn->sent = false;
    conn->answered = false;
    conn->refused = false;
    conn->pending = true;
    conn->passing = false;
    conn->unwanted = false;
    conn->drained = true;
}

/* Redis says why before it closes ("-ERR max number of clients reached"). */
static enum larder_status
send_failed(struct conn *conn, int failure, struct larder_error *err)
{
    char words[128];
    ssize_t n = recv(conn->fd, words, sizeof words, MSG_DONTWAIT);

    if (n > 1 && words[0] == '-' && !conn->sent) {
        char *end = memchr(words, '\r', (size_t)n);
        return conn_refused(conn, words + 1, (size_t)((end ? end : words + n) - words - 1), err);
    }
    return conn_error(conn, LARDER_UNAVAILABLE, err, "%s", strerrordesc_np(failure));
}

enum larder_status
conn_send(struct conn *conn, const struct wire *wire, int64_t deadline_ms, struct larder_error *err)
{
    int64_t limit = 0; /* write_timeout_ms, read off the clock only when it matters */
    size_t done = 0;

    if (wire->failed)
        return conn_error(conn, LARDER_NOMEM, err, "no memory for the command");
    while (done < wire->total) {
        struct iovec iov[SEND_PIECES];
        struct msghdr message = {.msg_iov = iov};
        message.msg_iovlen = (size_t)wire_gather(wire, done, iov, SEND_PIECES);

        ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            conn->sent = true;
            done += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return send_failed(conn, errno, err);
        if (limit == 0)
            limit = sooner(deadline_ms, clock_now_ms() + conn->endpoint->options->write_timeout_ms);
        enum larder_status status = wait_for(conn, POLLOUT, limit, err);
        if (status != LARDER_OK)
            return status;
    }
    return LARDER_OK;
}

enum larder_status
conn_receive(struct conn *conn, void *buf, size_t size, int64_t deadline_ms, size_t *n,
             struct larder_error *err)
{
    for (;;) {
        /* Right after a command there is nothing yet: do not ask in vain. */
        if (conn->drained) {
            enum larder_status status = wait_for(conn, POLLIN, deadline_ms, err);
            if (status != LARDER_OK)
                return status;
        }
        ssize_t got = recv(conn->fd, buf, size, MSG_DONTWAIT);
        if (got > 0) {
            conn->answered = true;
            conn->drained = (size_t)got < size;
            *n = (size_t)got;
            return LARDER_OK;
        }
        if (got == 0)
            return conn_error(conn, LARDER_UNAVAILABLE, err, "connection closed by the server");
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            conn->drained = true;
        else if (errno != EINTR)
            return conn_error(conn, LARDER_UNAVAILABLE, err, "%s", strerrordesc_np(errno));
    }
}

#if HIREDIS_MAJOR < 1
/* hiredis 0.14 allocates whatever length an array announces; later ones have maxelements. */
static void *(*_Atomic create_array)(const redisReadTask *, int);

static void *
create_bounded_array(const redisReadTask *task, int elements)
{
    /* gcc reads an atomic that is called without the load it is due. */
    void *(*create)(const redisReadTask *, int) = atomic_load(&create_array);
    return elements > REPLY_ELEMENTS_MAX ? NULL : create(task, elements);
}
#endif

static bool
open_reader(struct conn *conn)
{
    conn->reader = redisReaderCreate();
    if (!conn->reader)
        return false;
#if HIREDIS_MAJOR < 1
    create_array = conn->reader->fn->createArray; /* the same for all */
    conn->functions = *conn->reader->fn;
    conn->functions.createArray = create_bounded_array;
    conn->reader->fn = &conn->functions;
#else
    conn->reader->maxelements = REPLY_ELEMENTS_MAX;
#endif
    return true;
}

enum larder_status
conn_reply(struct conn *conn, int64_t deadline_ms, redisReply **reply, struct larder_error *err)
{
    return conn_reply_by(conn, conn_reply_deadline(conn, deadline_ms), reply, err);
}

enum larder_status
conn_reply_by(struct conn *conn, int64_t limit_ms, redisReply **reply, struct larder_error *err)
{
    size_t total = 0;
    char buf[READ_SIZE];

    *reply = NULL;
    if (!conn->reader && !open_reader(conn))
        return conn_error(conn, LARDER_NOMEM, err, "no memory for the answer");
    for (;;) {
        void *got = NULL;
        if (redisReaderGetReply(conn->reader, &got) != REDIS_OK) {
            if (conn->reader->err == REDIS_ERR_OOM)
                return conn_error(conn, LARDER_NOMEM, err, "no memory for the answer");
            return conn_error(conn, LARDER_PROTOCOL, err, "%s", conn->reader->errstr);
        }
        if (got) {
            *reply = got;
            return LARDER_OK;
        }
        size_t n = 0;
        enum larder_status status = conn_receive(conn, buf, sizeof buf, limit_ms, &n, err);
        if (status != LARDER_OK)
            return status;
        total += n;
        if (total > REPLY_BYTES_MAX)
            return conn_error(conn, LARDER_PROTOCOL, err, "the answer does not end");
        if (redisReaderFeed(conn->reader, buf, n) != REDIS_OK)
            return conn_error(conn, LARDER_NOMEM, err, "no memory for the answer");
    }
}

enum larder_status
conn_end(struct conn *conn, struct larder_error *err)
{
    if (conn->reader && conn->reader->pos != conn->reader->len)
        return conn_error(conn, LARDER_PROTOCOL, err, "more came than was asked for");
    conn->pending = false;
    return LARDER_OK;
}

#define CROWDED "ERR max number of clients"

bool
conn_found_no_room(const char *why)
{
    return strstr(why, CROWDED) != NULL;
}

enum larder_status
conn_refused(struct conn *conn, const char *text, size_t len, struct larder_error *err)
{
    conn->refused = true;
    /* What a failover, a start, somebody's slow script or a full house makes it say; nothing was
     * done. */
    static const char *const passing[] = {"LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ",
                                          "BUSY ",    "TRYAGAIN ", CROWDED};

    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        size_t n = strlen(passing[i]);
        if (len >= n && memcmp(text, passing[i], n) == 0)
            conn->passing = true;
    }
    bool no_password = len >= 6 && memcmp(text, "NOAUTH", 6) == 0;
    return conn_error(conn, LARDER_REFUSED, err, "%.*s%s", (int)(len > 200 ? 200 : len), text,
                      no_password ? " Set redis.password_file in larder.conf." : "");
}

/* ------------------------------------------------------------------- dialling */

static bool
word_in(const char *text, const char *word)
{
    return word && *word && strstr(text, word);
}

/* The answer to AUTH or SELECT. An old Redis repeats the arguments of a command that it does not
 * know: an answer that holds a credential is cut to its first word. */
static enum larder_status
check_introduction(struct conn *conn, const redisReply *reply, struct larder_error *err)
{
    const struct larder_options *options = conn->endpoint->options;

    if (reply->type == REDIS_REPLY_STATUS)
        return LARDER_OK;
    if (reply->type != REDIS_REPLY_ERROR)
        return conn_error(conn, LARDER_PROTOCOL, err, "not an answer to what was asked");
    size_t len = reply->len;
    if (word_in(reply->str, options->password) || word_in(reply->str, options->user))
        len = strcspn(reply->str, " ");
    return conn_refused(conn, reply->str, len, err);
}

/* What INFO tells of a server. */
struct server {
    uint64_t identity;
    char role[ROLE_SIZE]; /* "": it is a master, or does not say */
    char why_not[160];    /* identity is 0 because of that; "": that need not be said */
};

static void
ask_info(struct wire *wire)
{
    wire_command(wire, "INFO server");
    wire_command(wire, "INFO replication");
}

/* Who must not ask (an ACL) works all the same, without an identity. Who has not given a password
 * hears of that from his first command, and need not hear it twice. */
static enum larder_status
check_info(struct conn *conn, const redisReply *reply, const char **text, struct server *server,
           struct larder_error *err)
{
    *text = NULL;
    if (reply->type == REDIS_REPLY_STRING) {
        *text = reply->str;
        return LARDER_OK;
    }
    if (reply->type != REDIS_REPLY_ERROR)
        return conn_error(conn, LARDER_PROTOCOL, err, "not an answer to what was asked");
    (void)conn_refused(conn, reply->str, reply->len, err);
    if (conn->passing)
        return LARDER_REFUSED; /* and no second answer will come from who sends us away */
    snprintf(server->why_not, sizeof server->why_not, "%s",
             strncmp(reply->str, "NOAUTH", 6) == 0 ? "" : reply->str);
    return LARDER_OK;
}

static enum larder_status
read_info(struct conn *conn, int64_t deadline_ms, struct server *server, struct larder_error *err)
{
    redisReply *replies[2] = {NULL, NULL};
    struct identity_info info = {NULL, NULL};
    const char *role = NULL;
    size_t role_len = 0;

    *server = (struct server){.why_not = "INFO does not have it"};
    conn->doing = "INFO";
    int64_t asked_ms = clock_boot_ms();
    enum larder_status status = conn_reply(conn, deadline_ms, &replies[0], err);
    int64_t answered_ms = clock_boot_ms();
    if (status == LARDER_OK && replies[0])
        status = check_info(conn, replies[0], &info.server, server, err);
    if (status == LARDER_OK)
        status = conn_reply(conn, deadline_ms, &replies[1], err);
    if (status == LARDER_OK && replies[1])
        status = check_info(conn, replies[1], &info.replication, server, err);
    if (status == LARDER_OK)
        status = conn_end(conn, err);
    if (status == LARDER_OK) {
        server->identity = identity_of(&info, &role, &role_len);
        if (role)
            snprintf(server->role, sizeof server->role, "%.*s", (int)role_len, role);
        else if (info.server)
            identity_note_clock(conn->endpoint->identity, info.server, asked_ms, answered_ms);
    }
    for (size_t i = 0; i < 2; i++)
        if (replies[i])
            freeReplyObject(replies[i]);
    return status;
}

static enum larder_status
is_replica(const struct conn *conn, const struct server *server, struct larder_error *err)
{
    return error_set(err, LARDER_UNAVAILABLE, "%s: is a replica (role:%s)", conn->endpoint->where,
                     server->role);
}

enum larder_status
conn_identify(struct conn *conn, int64_t deadline_ms, struct larder_error *err)
{
    struct server server;
    struct wire wire;

    wire_init(&wire);
    ask_info(&wire);
    conn_begin(conn, "INFO");
    enum larder_status status = conn_send(conn, &wire, deadline_ms, err);
    wire_free(&wire);
    if (status == LARDER_OK)
        status = read_info(conn, deadline_ms, &server, err);
    if (status != LARDER_OK)
        return status;
    if (server.role[0]) {
        identity_lose(conn->endpoint->identity, server.role);
        return is_replica(conn, &server, err);
    }
    if (server.identity == conn->identity)
        return LARDER_OK;
    identity_note(conn->endpoint->identity, server.identity, server.why_not);
    return conn_error(conn, LARDER_UNAVAILABLE, err, "it is another server than before");
}

/* AUTH, SELECT and INFO, in one round trip. */
static enum larder_status
introduce(struct conn *conn, int64_t deadline_ms, char role[ROLE_SIZE], struct larder_error *err)
{
    const struct larder_options *options = conn->endpoint->options;
    const char *doing[2];
    size_t due = 0;
    struct server server;
    struct wire wire;

    wire_init(&wire);
    if (options->password) {
        if (options->user)
            wire_command(&wire, "AUTH %s %s", options->user, options->password);
        else
            wire_command(&wire, "AUTH %s", options->password);
        doing[due++] = "AUTH";
    }
    if (options->database != 0) {
        wire_command(&wire, "SELECT %d", options->database);
        doing[due++] = "SELECT";
    }
    ask_info(&wire);
    conn_begin(conn, due > 0 ? doing[0] : "INFO");
    enum larder_status status = conn_send(conn, &wire, deadline_ms, err);
    explicit_bzero(wire.buf, wire.used);
    wire_free(&wire);
    for (size_t i = 0; i < due && status == LARDER_OK; i++) {
        redisReply *reply = NULL;
        conn->doing = doing[i];
        status = conn_reply(conn, deadline_ms, &reply, err);
        if (!reply)
            break;
        status = check_introduction(conn, reply, err);
        freeReplyObject(reply);
    }
    if (status == LARDER_OK)
        status = read_info(conn, deadline_ms, &server, err);
    if (status == LARDER_OK && server.role[0]) {
        snprintf(role, ROLE_SIZE, "%s", server.role);
        status = is_replica(conn, &server, err);
    }
    if (status == LARDER_OK) {
        conn->identity = server.identity;
        identity_note(conn->endpoint->identity, server.identity, server.why_not);
    }
    /* It may be over by the next try, like being unreachable. */
    return status == LARDER_REFUSED && conn->passing ? LARDER_UNAVAILABLE : status;
}

/* What helps but is not needed: a failure is of no consequence. */
static void
tune(int fd, int family)
{
    const int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S,
              probes = KEEPALIVE_PROBES;

    if (family == AF_UNIX)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static enum larder_status
pause_dialling(const struct conn *conn, int64_t deadline_ms, struct larder_error *err)
{
    struct pollfd cancel = {.fd = conn->cancel_fd, .events = POLLIN};

    if (clock_now_ms() >= deadline_ms)
        return conn_error(conn, LARDER_TIMEOUT, err, "the server does not accept");
    if (poll(&cancel, 1, DIAL_PAUSE_MS) > 0) /* a negative descriptor is passed over */
        return conn_error(conn, LARDER_UNAVAILABLE, err, "closing");
    return LARDER_OK;
}

static enum larder_status
connect_to(struct conn *conn, const struct address *address, int64_t deadline_ms,
           struct larder_error *err)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    enum larder_status status = LARDER_OK;

    conn->fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (conn->fd < 0)
        return conn_error(conn, LARDER_UNAVAILABLE, err, "%s", strerrordesc_np(errno));
    tune(conn->fd, address->at.ss_family);
    for (;;) {
        failure = connect(conn->fd, (const struct sockaddr *)&address->at, address->len) ? errno
                                                                                         : 0;
        /* A Unix socket whose backlog is full says EAGAIN, and poll() on it would not help. */
        if (failure != EAGAIN)
            break;
        failure = 0;
        status = pause_dialling(conn, deadline_ms, err);
        if (status != LARDER_OK)
            break;
    }
    if (failure == EINPROGRESS || failure == EINTR) {
        failure = 0;
        status = wait_for(conn, POLLOUT, deadline_ms, err);
        if (status == LARDER_OK && getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
    }
    if (status == LARDER_OK && failure != 0)
        status = conn_error(conn, LARDER_UNAVAILABLE, err, "%s", strerrordesc_np(failure));
    if (status != LARDER_OK) {
        close(conn->fd);
        conn->fd = -1;
    }
    return status;
}

/* Before another address is tried. */
static void
hang_up(struct conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    if (conn->reader)
        redisReaderFree(conn->reader);
    conn->reader = NULL;
    conn->doing = "connect";
}

enum larder_status
conn_dial(const struct endpoint *endpoint, int64_t deadline_ms, int cancel_fd, struct conn **out,
          struct larder_error *err)
{
    int64_t limit = sooner(deadline_ms, clock_now_ms() + endpoint->options->dial_timeout_ms);
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    char role[ROLE_SIZE] = ""; /* of a server that was no master */
    size_t count = 0;

    *out = NULL;
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return error_set(err, LARDER_NOMEM, "%s: no memory for a connection", endpoint->where);
    conn->fd = -1;
    conn->cancel_fd = cancel_fd;
    conn->endpoint = endpoint;
    conn->doing = "connect";

    enum larder_status status = resolver_get(endpoint->resolver, limit, addresses, &count, err);
    for (size_t i = 0; i < count; i++) {
        /* A black hole in front must not eat the time of the address behind it. */
        int64_t now = clock_now_ms();
        int64_t share = (limit - now) / (int64_t)(count - i);
        status = connect_to(conn, &addresses[i], now + share, err);
        if (status == LARDER_OK)
            status = introduce(conn, now + share, role, err);
        /* Only one of the addresses may be the master's. */
        if (i + 1 == count || (status != LARDER_UNAVAILABLE && status != LARDER_TIMEOUT))
            break;
        hang_up(conn);
    }
    if (count > 0 && status != LARDER_OK)
        resolver_distrust(endpoint->resolver);
    if (status == LARDER_OK) {
        conn->cancel_fd = -1;
        *out = conn;
        return LARDER_OK;
    }
    if (role[0])
        identity_lose(endpoint->identity, role); /* there was no other */
    if (err)
        err->status = status;
    /* The caller's time is not up; only dialling took too long. */
    if (status == LARDER_TIMEOUT && clock_now_ms() < deadline_ms) {
        status = LARDER_UNAVAILABLE;
        if (err)
            err->status = status;
    }
    conn_close(conn);
    return status;
}

void
conn_close(struct conn *conn)
{
    if (!conn)
        return;
    hang_up(conn);
    free(conn);
}

bool
conn_is_alive(const struct conn *conn)
{
    char byte;

    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}
