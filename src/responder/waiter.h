/* Requests that wait for somebody else's fetch, or read it: what they get of it. */
#ifndef RESPONDER_WAITER_H
#define RESPONDER_WAITER_H

#include "responder/exchange.h"

/* It reads this from here on; counted for it, and it among the readers. Any thread. */
void waiter_read(struct exchange *exchange, struct spool *spool);

/* As struct flight_calls has them. */
void waiters_take(struct parked *list, struct spool *spool);
void waiters_release(struct parked *list, enum flight_word word);

/*
 * What selects the leader's answer is known: leader->opening.opened. Those who wait for it and have other values
 * look for flights of their own; the others go on waiting. own: what comes is for the leader alone, so
 * they ask by themselves.
 */
void waiters_part(struct exchange *leader, bool own);

/* The event() of exchange->wait.reader; also of a client that its own fetch has left to the streamer. */
bool waiter_event(struct reader *reader, enum reader_event event);

#endif
