/*
 * 503 in the place of a pool that could not be started. The idea stands in unavailable.h.
 *
 * The records of FastCGI are read and written here, not by libfcgi, which serves one connection
 * after the other and waits for each without an end. One thread has up to CLIENTS_MAX of them in
 * a poll loop. Nothing of the configuration is used, since it may be what is wrong. Connections
 * are closed, also where the web server would keep them: the next request shall be the pool's.
 */
#include "responder/unavailable.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"

/* While larder.conf is wrong, and while it is right: then something else is, and is tried again soon. */
#define WRONG_LASTS_MS 5000
#define RIGHT_LASTS_MS 2000
/* How often larder.conf is read again. */
#define LOOK_MS 500
/* A web server sends the whole of a request's parameters at once, and reads its answer. */
#define CLIENT_MS 2000
#define CLIENTS_MAX 200
#define READS_MAX 16

struct client {
    int64_t due_ms;
    size_t header_n, left; /* bytes of a record's header; content and padding still to be read */
    size_t at;             /* bytes of its content that were read */
    size_t nginx_n;        /* bytes of nginx_says that its parameters end with, until it is found */
    int fd;
    int request_id;
    unsigned char header[8];
    bool keeps;    /* the web server would use the connection again */
    bool answered; /* the rest is read, so that the close does not take the answer away */
};

/* A parameter's name and value, one behind the other as they are sent. A visitor who makes them up gets a
 * record too many, on a connection of the web server's that ends anyway. */
static const char nginx_says[] = "SERVER_SOFTWAREnginx";

static bool
is_right(const char *config_file, struct larder_error *err)
{
    struct config *config = config_load(config_file, err);
    config_free(config);
    return config != NULL;
}

static size_t
put_header(unsigned char *p, int type, int request_id, size_t content)
{
    const unsigned char header[8] = {FCGI_VERSION_1,
                                     (unsigned char)type,
                                     (unsigned char)(request_id >> 8),
                                     (unsigned char)request_id,
                                     (unsigned char)(content >> 8),
                                     (unsigned char)content,
                                     0,
                                     0};
    memcpy(p, header, sizeof header);
    return sizeof header;
}

static bool
is_nginx(const struct client *client)
{
    return client->nginx_n == sizeof nginx_says - 1;
}

/* The next byte behind a record's header. */
static void
take_byte(struct client *client, char byte)
{
    int type = client->header[1];
    if (client->left <= client->header[6])
        return; /* padding */
    /* FCGI_BeginRequestBody: two bytes of the role, then the flags. */
    if (type == FCGI_BEGIN_REQUEST && client->at == 2)
        client->keeps = byte & FCGI_KEEP_CONN;
    if (type == FCGI_PARAMS && !is_nginx(client))
        client->nginx_n = byte == nginx_says[client->nginx_n] ? client->nginx_n + 1
                                                              : byte == nginx_says[0];
    client->at++;
}

static void
answer(struct client *client)
{
    static const char text[] = "Status: 503 Service Unavailable\r\n"
                               "Content-Type: text/plain\r\n"
                               "Cache-Control: no-store\r\n"
                               "Retry-After: 5\r\n"
                               "\r\n"
                               "This site is not available at the moment.\n";
    unsigned char out[sizeof text + 56];
    size_t n = put_header(out, FCGI_STDOUT, client->request_id, sizeof text - 1);
    memcpy(out + n, text, sizeof text - 1);
    n += sizeof text - 1;
    n += put_header(out + n, FCGI_STDOUT, client->request_id, 0);
    n += put_header(out + n, FCGI_END_REQUEST, client->request_id, 8);
    memset(out + n, 0, 8); /* FCGI_REQUEST_COMPLETE */
    n += 8;
    /* By this nginx knows that the connection ends (put_last_records() in connection.c). */
    if (client->keeps && is_nginx(client)) {
        n += put_header(out + n, FCGI_UNKNOWN_TYPE, 0, 8);
        memset(out + n, 0, 8);
        n += 8;
    }
    ssize_t sent = send(client->fd, out, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* less than what a socket takes at once, or the web server has gone */
    shutdown(client->fd, SHUT_WR);
    client->answered = true;
}

/* A record's header is complete. */
static bool
take_record(struct client *client)
{
    const unsigned char *h = client->header;
    int type = h[1], id = h[2] << 8 | h[3];
    size_t content = (size_t)(h[4] << 8 | h[5]);
    if (h[0] != FCGI_VERSION_1)
        return false;
    client->left = content + h[6];
    client->header_n = 0;
    client->at = 0;
    if (type == FCGI_BEGIN_REQUEST)
        client->request_id = id;
    /* The body is not waited for: a visitor may send it slowly. */
    if (type == FCGI_PARAMS && content == 0 && id == client->request_id && !client->answered)
        answer(client);
    return true;
}

/* Read what there is. false: the connection is to be closed. */
static bool
serve(struct client *client)
{
    char buf[16 * 1024];
    /* A client that sends a large body fast does not hold up the others. */
    for (int reads = 0; reads < READS_MAX; reads++) {
        bool in_record = client->left > 0;
        size_t wanted = in_record ? client->left : sizeof client->header - client->header_n;
        ssize_t n =
            in_record
                ? recv(client->fd, buf, wanted < sizeof buf ? wanted : sizeof buf, MSG_DONTWAIT)
                : recv(client->fd, client->header + client->header_n, wanted, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        if (in_record)
            for (ssize_t i = 0; i < n; i++, client->left--)
                take_byte(client, buf[i]);
        else if ((client->header_n += (size_t)n) == sizeof client->header && !take_record(client))
            return false;
    }
    return true;
}

/* Serve all that is there within LOOK_MS; returns how many clients there are then. */
static size_t
serve_once(int listen_fd, struct client *clients, size_t n, bool accepts)
{
    struct pollfd fds[CLIENTS_MAX + 1];
    for (size_t i = 0; i < n; i++)
        fds[i] = (struct pollfd){clients[i].fd, POLLIN, 0};
    accepts = accepts && n < CLIENTS_MAX;
    fds[n] = (struct pollfd){accepts ? listen_fd : -1, POLLIN, 0};
    if (poll(fds, (nfds_t)n + 1, LOOK_MS / 5) < 0)
        return n;
    int64_t now_ms = clock_now_ms();
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if ((fds[i].revents && !serve(&clients[i])) || now_ms >= clients[i].due_ms)
            close(clients[i].fd);
        else
            clients[left++] = clients[i];
    }
    if (fds[n].revents) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            clients[left++] = (struct client){.fd = fd, .due_ms = now_ms + CLIENT_MS};
    }
    return left;
}

enum larder_status
unavailable_serve(int listen_fd, const char *config_file, struct larder_error *err)
{
    static struct client clients[CLIENTS_MAX];
    size_t n = 0;
    struct larder_error why;
    int flags = fcntl(listen_fd, F_GETFL);
    /* A connection that has gone again must not be waited for. */
    if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return error_set(err, LARDER_INVALID, "the listening socket: %s", strerror(errno));
    bool wrong = !is_right(config_file, &why);
    if (wrong)
        log_write(LARDER_LOG_ERROR, "visitors are answered 503 until this is right: %s",
                  why.message);
    else
        log_write(LARDER_LOG_ERROR,
                  "visitors are answered 503 for %d s: the pool could not be started, although %s "
                  "is right; the lines above this one say why",
                  RIGHT_LASTS_MS / 1000, config_file);
    int64_t now_ms = clock_now_ms(), looked_ms = now_ms;
    int64_t end_ms = now_ms + (wrong ? WRONG_LASTS_MS : RIGHT_LASTS_MS);
    for (; now_ms < end_ms; now_ms = clock_now_ms()) {
        n = serve_once(listen_fd, clients, n, true);
        if (!wrong || clock_now_ms() - looked_ms < LOOK_MS)
            continue;
        looked_ms = clock_now_ms();
        if (is_right(config_file, &why))
            break;
    }
    /* Requests that have begun get their answer; the others wait for the pool. */
    for (end_ms = clock_now_ms() + LOOK_MS; n > 0 && clock_now_ms() < end_ms;)
        n = serve_once(listen_fd, clients, n, false);
    while (n > 0)
        close(clients[--n].fd);
    /* The flag is the socket's, which the pool takes over. */
    fcntl(listen_fd, F_SETFL, flags);
    return LARDER_OK;
}
