/*
 * Threads for whatever may wait: the backend, a slow client, an invalidation.
 * The pool grows with what is queued, up to a limit, and shrinks when idle, so
 * that a hit never queues behind a slow miss.
 */
#ifndef RESPONDER_FETCHER_H
#define RESPONDER_FETCHER_H

#include <stdbool.h>
#include <stdint.h>

struct fetcher_job {
    void (*run)(struct fetcher_job *job);
    struct fetcher_job *next;
};

/* Jobs that may wait for a thread; more are refused, the caller answers 503. */
#define FETCHER_QUEUE_MAX 8192

void fetchers_start(int max_threads, int64_t idle_ms);

/* false: the queue is full, or no thread could be made to run it. */
bool fetchers_submit(struct fetcher_job *job);

/*
 * Wait until all jobs are done, then end the threads. Nobody submits any more.
 * At the deadline (monotonic, ms) what is under way is broken off (drain.h).
 */
void fetchers_stop(int64_t deadline_ms);

struct fetcher_numbers {
    int threads;
    int idle;
    int queued;
};
void fetchers_numbers(struct fetcher_numbers *out);

#endif
