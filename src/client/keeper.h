/*
 * The client's own thread. It keeps pool_min_idle connections ready, closes
 * those that were idle for too long, asks every second which server it is, tends
 * the mutation register, and asks after a Redis that the breaker has given up, so that no caller ever waits
 * for any of this.
 */
#ifndef CLIENT_KEEPER_H
#define CLIENT_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "larder.h"

struct keeper {
    pthread_t thread;
    bool running;
    int wake_fd; /* eventfd: look again */
    int stop_fd; /* eventfd: end; also interrupts whatever the thread waits for */
    atomic_bool nudged;
};

enum larder_status keeper_start(struct larder *cache, struct larder_error *err);
/* Returns when the thread has ended: at once, whatever it was doing. */
void keeper_stop(struct larder *cache);

/* Look again, there is something to do. arg is the struct larder; any thread, never blocks. */
void keeper_nudge(void *arg);

#endif
