/*
 * The listener; see the header. It has a connection of its own, since a
 * subscribed one takes no other commands, and the pool never sees it.
 *
 * Pub/sub is not resumed: what was said while the connection was broken is lost.
 * So after each subscription who waits is told to look for himself. A server that
 * says nothing is asked for a sign of life, and a connection that leads to
 * another server than the pool's is given up.
 */
#include "client/listen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/command.h"

/* After so long a silence a PING, which must be answered within the same time. */
#define SILENCE_MS 1000
/* Between two tries to subscribe; doubled each time up to a second. */
#define FIRST_REST_MS 50
#define LONGEST_REST_MS 1000

static bool
is_word(const redisReply *reply, const char *word)
{
    return reply->type == REDIS_REPLY_STRING && reply->len == strlen(word) &&
           memcmp(reply->str, word, reply->len) == 0;
}

static enum larder_status
send_words(struct conn *conn, const struct larder *cache, const char *command, const char *channel,
           struct larder_error *err)
{
    struct wire wire;

    wire_init(&wire);
    if (channel)
        command_write(cache, &wire, "%s :%s", command, channel);
    else
        command_write(cache, &wire, "%s", command);
    enum larder_status status = conn_send(conn, &wire, clock_now_ms() + SILENCE_MS, err);
    wire_free(&wire);
    return status;
}

/* What came: message <channel> "<word> <name>". Everything else is an answer to us. */
static enum larder_status
hear(const struct listener *listener, const struct conn *conn, const redisReply *reply,
     struct larder_error *err)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return conn_error(conn, LARDER_REFUSED, err, "%.200s", reply->str);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
        return conn_error(conn, LARDER_PROTOCOL, err, "not an answer to what was asked");
    if (reply->elements != 3 || !is_word(reply->element[0], "message"))
        return LARDER_OK;
    const redisReply *text = reply->element[2];
    if (text->type == REDIS_REPLY_STRING && text->len >= 2 && text->str[1] == ' ')
        listener->fn(listener->arg, text->str + 2, text->len - 2, text->str[0]);
    return LARDER_OK;
}

/* Until something is wrong with the connection; *subscribed: it has worked. */
static enum larder_status
hear_all(struct larder *cache, struct conn *conn, bool *subscribed, struct larder_error *err)
{
    struct listener *listener = &cache->listener;
    bool asked = false;

    conn_begin(conn, "SUBSCRIBE");
    enum larder_status status = send_words(conn, cache, "SUBSCRIBE", NAME_WAKE, NULL);
    while (status == LARDER_OK && conn->identity == identity_current(&cache->identity)) {
        redisReply *reply = NULL;
        status = conn_reply_by(conn, clock_now_ms() + SILENCE_MS, &reply, NULL);
        if (status == LARDER_TIMEOUT && !asked && *subscribed) {
            asked = true;
            status = send_words(conn, cache, "PING", NULL, NULL);
            continue;
        }
        if (status != LARDER_OK)
            break;
        asked = false;
        if (!*subscribed && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
            is_word(reply->element[0], "subscribe")) {
            *subscribed = true;
            listener->fn(listener->arg, "", 0, '\0');
        } else {
            status = hear(listener, conn, reply, err);
        }
        freeReplyObject(reply);
    }
    return status;
}

/* An ACL without the channel; nobody would find out by himself why waiters wait so long. */
static void
complain(const struct larder *cache, const struct larder_error *err)
{
    char line[LARDER_ERROR_MAX + 64];

    if (!cache->options.log)
        return;
    snprintf(line, sizeof line, "leases that end elsewhere are not heard of: %s", err->message);
    cache->options.log(cache->options.log_arg, LARDER_LOG_WARNING, line);
}

static void *
listen_always(void *arg)
{
    struct larder *cache = arg;
    struct pollfd stop = {.fd = cache->listener.stop_fd, .events = POLLIN};
    struct larder_error err = {.message = ""};
    bool complained = false;
    int64_t rest_ms = 0;

    while (poll(&stop, 1, (int)rest_ms) == 0 || (errno == EINTR && stop.revents == 0)) {
        struct conn *conn = NULL;
        bool subscribed = false;
        int64_t deadline_ms = clock_now_ms() + cache->options.dial_timeout_ms;
        if (conn_dial(&cache->endpoint, deadline_ms, stop.fd, &conn, NULL) == LARDER_OK) {
            conn->cancel_fd = stop.fd;
            if (hear_all(cache, conn, &subscribed, &err) == LARDER_REFUSED && !complained) {
                complained = true;
                complain(cache, &err);
            }
            conn_close(conn);
        }
        rest_ms = subscribed || rest_ms == 0 ? FIRST_REST_MS : 2 * rest_ms;
        if (rest_ms > LONGEST_REST_MS)
            rest_ms = LONGEST_REST_MS;
    }
    return NULL;
}

void
listen_init(struct listener *listener)
{
    *listener = (struct listener){.stop_fd = -1};
    atomic_init(&listener->claimed, false);
}

enum larder_status
store_listen(struct larder *cache, store_wake_fn fn, void *arg, struct larder_error *err)
{
    struct listener *listener = &cache->listener;
    sigset_t all, before;

    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    if (atomic_exchange(&listener->claimed, true))
        return error_set(err, LARDER_INVALID, "there is a listener already");
    listener->fn = fn;
    listener->arg = arg;
    listener->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failure = listener->stop_fd < 0 ? errno : 0;
    if (failure == 0) {
        /* The program's signals are for the program's threads. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failure = pthread_create(&listener->thread, NULL, listen_always, cache);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    listener->running = failure == 0;
    if (failure == 0)
        return LARDER_OK;
    if (listener->stop_fd >= 0)
        close(listener->stop_fd);
    listener->stop_fd = -1;
    atomic_store(&listener->claimed, false);
    return error_set(err, LARDER_UNAVAILABLE, "%s: cannot start a thread: %s",
                     cache->endpoint.where, strerrordesc_np(failure));
}

void
listen_stop(struct larder *cache)
{
    struct listener *listener = &cache->listener;

    if (!listener->running)
        return;
    (void)eventfd_write(listener->stop_fd, 1);
    resolver_stop(cache->endpoint.resolver);
    pthread_join(listener->thread, NULL);
    close(listener->stop_fd);
    listener->stop_fd = -1;
    listener->running = false;
}
