/*
 * Workers.
 *
 * Acceptors block in accept() on the listening socket that all processes of a
 * pool share: the kernel wakes one thread for one connection, where an epoll
 * set per process would wake several and cost a call more. To stop them they
 * are sent a signal whose handler does nothing, again and again until they have
 * noticed, because a signal that arrives just before accept() is lost. It must
 * not arrive anywhere else: libfcgi takes an interrupted read for the end of the
 * connection, and a request would be lost.
 *
 * A connection that the web server keeps open (nginx, mod_proxy_fcgi with
 * enablereuse) is put into an epoll set between requests, each armed for one
 * event, and holds no thread.
 *
 * Who runs a request until it would have to wait is always a worker; then the
 * request goes to a fetcher (exchange.c).
 */
#include "responder/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "responder/exchange.h"
#include "responder/server.h"

/* The signal that gets a thread out of accept(). */
#define KICK SIGRTMIN
/* What one process takes from the listen queue when it stops; others share the socket. */
#define LAST_ACCEPTS 256
/* A process without descriptors fails fifty times a second; one line in so long is enough. */
#define ACCEPT_LOG_MS 10000

struct acceptor {
    pthread_t thread;
    atomic_bool accepting; /* in accept(), or about to be: may be kicked */
    atomic_bool done;
};

/* After SIGTERM, for connections that the web server keeps: since one was used last, and in all. */
#define IDLE_GRACE_MS 1000
#define GRACE_MS 3000

static int listener = -1, epoll_fd = -1, stop_fd = -1;
static struct acceptor *acceptors;
static pthread_t *keepers;
static int worker_count, keeper_count;
static int max_kept;
static int64_t timeout_ms;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* guards kept_first and the links */
static struct connection *kept_first;
static atomic_int kept;
static atomic_bool keepers_stopping;

static void
kicked(int signal_number)
{
    (void)signal_number;
}

static void
log_accept_failure(int why)
{
    static atomic_llong next_ms;
    long long now_ms = clock_now_ms(), due_ms = atomic_load(&next_ms);
    if (now_ms >= due_ms &&
        atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + ACCEPT_LOG_MS))
        log_write(LARDER_LOG_ERROR, "accept: %s", strerror(why));
}

static void
let_kicks(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, KICK);
    pthread_sigmask(how, &set, NULL);
}

/*
 * Kicks come only after the order to stop, and only to who says that it accepts.
 * Whoever kicks gives the order first and looks then; we take back our word
 * first and look then: so either no kick is sent, or we see the order and shut
 * it out before it can interrupt a request.
 */
static int
accept_kickable(struct acceptor *self)
{
    atomic_store(&self->accepting, true);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    int why = errno;
    atomic_store(&self->accepting, false);
    if (atomic_load(&server_stopping))
        let_kicks(SIG_BLOCK);
    errno = why;
    return fd;
}

static bool
accept_one(struct acceptor *self)
{
    int fd = accept_kickable(self);
    if (fd >= 0) {
        struct connection *connection = connection_new(fd, timeout_ms);
        if (connection)
            exchange_serve(connection);
        return true;
    }
    switch (errno) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
        break;
    case EAGAIN: {
        /* Somebody made the shared socket non-blocking. */
        struct pollfd poll_fd = {listener, POLLIN, 0};
        poll(&poll_fd, 1, 1000);
        break;
    }
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: {
        log_accept_failure(errno);
        struct timespec pause = {0, 20 * 1000000};
        nanosleep(&pause, NULL);
        break;
    }
    default:
        log_accept_failure(errno);
        struct timespec pause = {1, 0};
        nanosleep(&pause, NULL);
    }
    return false;
}

static bool
is_readable(int fd)
{
    struct pollfd poll_fd = {fd, POLLIN, 0};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN);
}

static void *
accept_loop(void *arg)
{
    struct acceptor *self = arg;
    let_kicks(SIG_UNBLOCK); /* whoever started us may have blocked them */
    while (!atomic_load_explicit(&server_stopping, memory_order_relaxed))
        accept_one(self);
    /* Connections that are already in the queue were promised an answer. If another process is
     * faster the next accept() blocks and the kick ends it. */
    for (int i = 0; i < LAST_ACCEPTS && !atomic_load(&server_giving_up) && is_readable(listener);
         i++) {
        let_kicks(SIG_UNBLOCK);
        accept_one(self);
    }
    atomic_store(&self->done, true);
    return NULL;
}

/* false: there are too many. */
static bool
kept_link(struct connection *connection)
{
    if (atomic_fetch_add(&kept, 1) >= max_kept) {
        atomic_fetch_sub(&kept, 1);
        return false;
    }
    pthread_mutex_lock(&kept_lock);
    connection->kept_prev = NULL;
    connection->kept_next = kept_first;
    if (kept_first)
        kept_first->kept_prev = connection;
    kept_first = connection;
    pthread_mutex_unlock(&kept_lock);
    return true;
}

static void
kept_unlink(struct connection *connection)
{
    pthread_mutex_lock(&kept_lock);
    if (connection->kept_prev)
        connection->kept_prev->kept_next = connection->kept_next;
    else
        kept_first = connection->kept_next;
    if (connection->kept_next)
        connection->kept_next->kept_prev = connection->kept_prev;
    pthread_mutex_unlock(&kept_lock);
    atomic_fetch_sub(&kept, 1);
}

static void *
keep_loop(void *unused)
{
    (void)unused;
    struct epoll_event event;
    while (!atomic_load_explicit(&keepers_stopping, memory_order_relaxed)) {
        int n = epoll_wait(epoll_fd, &event, 1, -1);
        if (n != 1 || !event.data.ptr)
            continue;
        struct connection *connection = event.data.ptr;
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
        kept_unlink(connection);
        exchange_serve(connection);
    }
    return NULL;
}

void
worker_keep(struct connection *connection)
{
    if (connection->leaves || atomic_load_explicit(&server_stopping, memory_order_relaxed)) {
        connection_free(connection);
        return;
    }
    if (!kept_link(connection)) {
        connection_free(connection);
        return;
    }
    struct epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, {.ptr = connection}};
    /* From here on it may already be another worker's. */
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        kept_unlink(connection);
        connection_free(connection);
    }
}

int
workers_kept(void)
{
    return atomic_load(&kept);
}

enum larder_status
workers_start(int listen_fd, int count, int kept_limit, int64_t client_timeout_ms,
              struct larder_error *err)
{
    struct sigaction action = {.sa_handler = kicked}; /* no SA_RESTART: accept() shall return */
    sigaction(KICK, &action, NULL);
    listener = listen_fd;
    max_kept = kept_limit;
    timeout_ms = client_timeout_ms;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
    acceptors = calloc((size_t)count, sizeof *acceptors);
    keepers = calloc((size_t)count, sizeof *keepers);
    if (epoll_fd < 0 || stop_fd < 0 || !acceptors || !keepers ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, stop_fd, &event) != 0)
        return error_set(err, LARDER_NOMEM, "cannot start workers: %s", strerror(errno));
    for (; worker_count < count; worker_count++)
        if (pthread_create(&acceptors[worker_count].thread, NULL, accept_loop,
                           &acceptors[worker_count]) != 0)
            return error_set(err, LARDER_NOMEM, "cannot start a worker thread");
    for (; keeper_count < count; keeper_count++)
        if (pthread_create(&keepers[keeper_count], NULL, keep_loop, NULL) != 0)
            return error_set(err, LARDER_NOMEM, "cannot start a worker thread");
    return LARDER_OK;
}

static void
pause_ms(long ms)
{
    struct timespec pause = {0, ms * 1000000};
    nanosleep(&pause, NULL);
}

void
workers_retire(int64_t deadline_ms)
{
    atomic_store(&server_retiring, true);
    /* The web server takes the connections that it used last, and each of these is closed after its
     * answer. Those that it has left alone for a while it would keep for as long as we let it: it sees
     * them closed, and opens others. New ones are accepted: if the whole pool ends nobody else does. */
    int left = connections_kept();
    int64_t idle_since_ms = clock_now_ms();
    if (deadline_ms > idle_since_ms + GRACE_MS)
        deadline_ms = idle_since_ms + GRACE_MS;
    while (left > 0) {
        int64_t now_ms = clock_now_ms();
        if (now_ms >= deadline_ms || now_ms - idle_since_ms >= IDLE_GRACE_MS)
            break;
        pause_ms(10);
        int before = left;
        left = connections_kept();
        if (left != before)
            idle_since_ms = now_ms;
    }
}

void
workers_stop_accepting(void)
{
    atomic_store(&server_stopping, true);
    for (int i = 0; i < worker_count; i++) {
        while (!atomic_load(&acceptors[i].done)) {
            if (atomic_load(&acceptors[i].accepting))
                pthread_kill(acceptors[i].thread, KICK);
            pause_ms(2);
        }
        pthread_join(acceptors[i].thread, NULL);
    }
}

void
workers_stop(int64_t deadline_ms)
{
    atomic_store(&keepers_stopping, true);
    uint64_t one = 1;
    ssize_t written = write(stop_fd, &one, sizeof one);
    (void)written; /* a fresh eventfd takes its first write */
    for (int i = 0; i < keeper_count; i++)
        pthread_join(keepers[i], NULL);
    while (kept_first) {
        struct connection *connection = kept_first;
        kept_unlink(connection);
        /* The request that came at the last moment is answered all the same. */
        if (clock_now_ms() < deadline_ms && is_readable(connection->fd))
            exchange_serve(connection);
        else
            connection_free(connection);
    }
    close(epoll_fd);
    close(stop_fd);
    free(acceptors);
    free(keepers);
}
