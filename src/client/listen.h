/*
 * One thread that hears, by a subscription, of leases that have ended anywhere,
 * and tells who waits for them in this process.
 */
#ifndef CLIENT_LISTEN_H
#define CLIENT_LISTEN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "client/store.h"

struct listener {
    pthread_t thread;
    atomic_bool claimed; /* somebody has called store_listen() */
    bool running;
    int stop_fd; /* eventfd: end; also interrupts whatever the thread waits for */
    store_wake_fn fn;
    void *arg;
};

void listen_init(struct listener *listener);
/* Returns when the thread has ended: at once, whatever it was doing. */
void listen_stop(struct larder *cache);

/* NAME_WAKE is one word. Redis' channels know no databases, so what tells one
 * cache from another has to be in the name. */

#endif
