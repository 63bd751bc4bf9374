/*
 * A server for tests that does to its client whatever the test says.
 *
 * One thread accepts, one serves each connection. Stopping shuts every socket
 * down, so that a handler blocked in a read returns, and joins the threads: a
 * test that ends leaves nothing running.
 */
#include "raw_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define BACKLOG 512

struct raw_server {
    int fd;
    int port;
    char url[160];
    raw_server_fn fn;
    void *arg;
    pthread_t acceptor;
    pthread_mutex_t mutex;
    struct raw_conn *conns[CONNECTIONS_MAX]; /* guarded by mutex, with their fd */
    pthread_t threads[CONNECTIONS_MAX];      /* written by the acceptor alone */
    int count;                               /* guarded by mutex */
};

static void
die(const char *what)
{
    fprintf(stderr, "raw server: %s: %s\n", what, strerror(errno));
    abort();
}

static void *
serve(void *arg)
{
    struct raw_conn *conn = arg;
    /* In our threads alone: the code under test must live with SIGPIPE as it is. */
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    conn->server->fn(conn);
    pthread_mutex_lock(&conn->server->mutex);
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    pthread_mutex_unlock(&conn->server->mutex);
    return NULL;
}

static void *
accept_all(void *arg)
{
    struct raw_server *s = arg;
    for (;;) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR)
            continue;
        if (fd < 0)
            return NULL;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct raw_conn *conn = calloc(1, sizeof *conn);
        if (!conn)
            die("memory");
        pthread_mutex_lock(&s->mutex);
        if (s->count == CONNECTIONS_MAX)
            die("too many connections");
        *conn = (struct raw_conn){s, fd, s->count + 1, s->arg};
        s->conns[s->count] = conn;
        if (pthread_create(&s->threads[s->count], NULL, serve, conn) != 0)
            die("thread");
        s->count++;
        pthread_mutex_unlock(&s->mutex);
    }
}

struct raw_server *
raw_server_start(const char *unix_path, raw_server_fn fn, void *arg)
{
    struct raw_server *s = calloc(1, sizeof *s);
    if (!s)
        die("memory");
    s->fn = fn;
    s->arg = arg;
    pthread_mutex_init(&s->mutex, NULL);
    s->fd = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        die("socket");
    if (unix_path) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof un.sun_path, "%s", unix_path);
        if (bind(s->fd, (struct sockaddr *)&un, sizeof un) < 0)
            die("bind");
        snprintf(s->url, sizeof s->url, "http+unix:%s", unix_path);
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET};
        socklen_t n = sizeof in;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(s->fd, (struct sockaddr *)&in, sizeof in) < 0 ||
            getsockname(s->fd, (struct sockaddr *)&in, &n) < 0)
            die("bind");
        s->port = ntohs(in.sin_port);
        snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    }
    if (listen(s->fd, BACKLOG) < 0)
        die("listen");
    if (pthread_create(&s->acceptor, NULL, accept_all, s) != 0)
        die("thread");
    return s;
}

void
raw_server_stop(struct raw_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    close(s->fd);
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->count; i++)
        if (s->conns[i]->fd >= 0)
            shutdown(s->conns[i]->fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->mutex);
    for (int i = 0; i < s->count; i++) {
        pthread_join(s->threads[i], NULL);
        free(s->conns[i]);
    }
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

const char *
raw_server_url(const struct raw_server *s)
{
    return s->url;
}

int
raw_server_port(const struct raw_server *s)
{
    return s->port;
}

int
raw_server_connections(struct raw_server *s)
{
    pthread_mutex_lock(&s->mutex);
    int count = s->count;
    pthread_mutex_unlock(&s->mutex);
    return count;
}

bool
raw_read_head(int fd, char *buf, size_t size, size_t *n)
{
    *n = 0;
    while (*n + 1 < size) {
        ssize_t got = recv(fd, buf + *n, size - 1 - *n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        *n += (size_t)got;
        buf[*n] = '\0';
        if (memmem(buf, *n, "\r\n\r\n", 4))
            return true;
    }
    return false;
}

bool
raw_send(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        n -= (size_t)sent;
    }
    return true;
}

bool
raw_say(int fd, const char *text)
{
    return raw_send(fd, text, strlen(text));
}

void
raw_reset(struct raw_conn *conn)
{
    struct linger now = {1, 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    pthread_mutex_lock(&conn->server->mutex);
    close(conn->fd);
    conn->fd = -1;
    pthread_mutex_unlock(&conn->server->mutex);
}

size_t
raw_drain(int fd)
{
    char buf[65536];
    size_t total = 0;
    for (;;) {
        ssize_t got = recv(fd, buf, sizeof buf, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return total;
        total += (size_t)got;
    }
}
