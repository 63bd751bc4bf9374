/*
 * Host names to addresses; see the header. The struct is shared by the client
 * and by the thread that is looking up at the moment, if any, and freed by
 * whoever leaves last: larder_close() never waits for a name server. Called by
 * redis.c for each new connection.
 */
#include "client/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/error.h"

/* How long addresses are used without looking whether there are newer ones. A failover by DNS
 * announces itself by refused connections, too: see resolver_distrust(). */
#define RESOLVE_FRESH_MS 30000
/* No more often than this, whatever happens. */
#define RESOLVE_REST_MS 1000

struct resolver {
    pthread_mutex_t lock; /* guards everything below it */
    pthread_cond_t known; /* on CLOCK_MONOTONIC */
    int owners;           /* the client, and the thread that is looking up */
    bool fixed;           /* an address or a path: there is nothing to look up */
    bool looking;
    bool stopped;
    bool distrusted;
    int64_t looked_ms; /* when the last look-up ended; 0: none has */
    int failure;       /* of the last look-up, EAI_...; 0: none */
    size_t count;
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    char port[8];
    char host[]; /* not guarded: never changes */
};

/* Numbers are read here, names by the thread. */
static bool
read_address(struct resolver *resolver, const char *host, int port, const char *unix_path)
{
    struct address *address = &resolver->addresses[0];
    struct sockaddr_un *un = (struct sockaddr_un *)&address->at;
    struct sockaddr_in *in = (struct sockaddr_in *)&address->at;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->at;

    if (unix_path) {
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, unix_path, strlen(unix_path) + 1);
        address->len = sizeof *un;
    } else if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        address->len = sizeof *in;
    } else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        address->len = sizeof *in6;
    } else {
        return false;
    }
    resolver->count = 1;
    return true;
}

struct resolver *
resolver_new(const char *host, int port, const char *unix_path, struct larder_error *err)
{
    if (unix_path && strlen(unix_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        error_set(err, LARDER_INVALID, "redis: the path of a Unix socket is too long: %s",
                  unix_path);
        return NULL;
    }
    size_t host_len = unix_path ? 0 : strlen(host);
    struct resolver *resolver = calloc(1, sizeof *resolver + host_len + 1);
    if (!resolver) {
        error_set(err, LARDER_NOMEM, "redis: no memory");
        return NULL;
    }
    if (!unix_path)
        memcpy(resolver->host, host, host_len);
    snprintf(resolver->port, sizeof resolver->port, "%d", port);
    resolver->owners = 1;
    resolver->fixed = read_address(resolver, host, port, unix_path);

    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&resolver->known, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&resolver->lock, NULL);
    return resolver;
}

/* With the lock held; gives it back. */
static void
leave(struct resolver *resolver)
{
    bool last = --resolver->owners == 0;

    pthread_mutex_unlock(&resolver->lock);
    if (!last)
        return;
    pthread_cond_destroy(&resolver->known);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

static void *
look_up(void *arg)
{
    struct resolver *resolver = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(resolver->host, resolver->port, &hints, &found);

    pthread_mutex_lock(&resolver->lock);
    resolver->failure = failure;
    if (failure == 0) {
        resolver->count = 0;
        for (struct addrinfo *i = found; i && resolver->count < RESOLVE_ADDRESSES_MAX;
             i = i->ai_next) {
            struct address *address = &resolver->addresses[resolver->count];
            if (i->ai_addrlen > sizeof address->at)
                continue;
            memcpy(&address->at, i->ai_addr, i->ai_addrlen);
            address->len = i->ai_addrlen;
            resolver->count++;
        }
        freeaddrinfo(found);
    }
    resolver->looking = false;
    resolver->distrusted = false;
    resolver->looked_ms = clock_now_ms();
    pthread_cond_broadcast(&resolver->known);
    leave(resolver);
    return NULL;
}

/* With the lock held. */
static int
start_looking(struct resolver *resolver)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;

    /* The program's signals are for the program's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    resolver->owners++;
    resolver->looking = true;
    int failure = pthread_create(&thread, &attr, look_up, resolver);
    if (failure != 0) {
        resolver->owners--;
        resolver->looking = false;
    }
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

enum larder_status
resolver_get(struct resolver *resolver, int64_t deadline_ms,
             struct address addresses[RESOLVE_ADDRESSES_MAX], size_t *count,
             struct larder_error *err)
{
    enum larder_status status = LARDER_OK;
    struct timespec until = {(time_t)(deadline_ms / 1000), (long)(deadline_ms % 1000) * 1000000};
    bool late = false;

    pthread_mutex_lock(&resolver->lock);
    int64_t age = clock_now_ms() - resolver->looked_ms;
    bool wanted = resolver->count == 0 || resolver->distrusted || age > RESOLVE_FRESH_MS;
    bool rested = resolver->looked_ms == 0 || age > RESOLVE_REST_MS;
    int failure = 0;
    if (!resolver->fixed && !resolver->looking && wanted && rested)
        failure = start_looking(resolver);
    while (resolver->count == 0 && resolver->looking && !resolver->stopped && !late)
        late = pthread_cond_timedwait(&resolver->known, &resolver->lock, &until) == ETIMEDOUT;

    if (resolver->stopped)
        status = error_set(err, LARDER_UNAVAILABLE, "redis %s: closing", resolver->host);
    else if (resolver->count > 0) {
        memcpy(addresses, resolver->addresses, resolver->count * sizeof *addresses);
        *count = resolver->count;
    } else if (failure != 0)
        status = error_set(err, LARDER_UNAVAILABLE, "redis %s: cannot start a thread: %s",
                           resolver->host, strerrordesc_np(failure));
    else if (resolver->looking)
        status = error_set(err, LARDER_TIMEOUT, "redis %s: the name is still being looked up",
                           resolver->host);
    else
        status = error_set(err, LARDER_UNAVAILABLE, "redis %s: cannot look up the name: %s",
                           resolver->host, gai_strerror(resolver->failure));
    pthread_mutex_unlock(&resolver->lock);
    return status;
}

void
resolver_distrust(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->distrusted = true;
    pthread_mutex_unlock(&resolver->lock);
}

void
resolver_stop(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->stopped = true;
    pthread_cond_broadcast(&resolver->known);
    pthread_mutex_unlock(&resolver->lock);
}

void
resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    leave(resolver);
}
