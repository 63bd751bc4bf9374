/*
 * The end of drain_timeout: what is still under way is broken off, whatever it
 * waits for. The idea stands in drain.c.
 */
#ifndef RESPONDER_DRAIN_H
#define RESPONDER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

/* Give up at the deadline (monotonic, ms), wherever the main thread is by then. false: no thread for
 * it; then who waits for the end has to see to it by himself, with drain_give_up(). */
bool drain_start(int64_t deadline_ms);

/* All has come to its end, or has been broken off. */
void drain_stop(void);

/* Set server_giving_up and wake whoever waits for a backend or a web server. Any thread, more than
 * once. */
void drain_give_up(void);

/* So long may something take that is still to be done: wanted_ms, and a moment only when we are
 * giving up. */
int64_t drain_bounded(int64_t wanted_ms);

#endif
