/* The client of a fetch: what it is sent, and by whom. */
#ifndef RESPONDER_CLIENT_H
#define RESPONDER_CLIENT_H

#include <sys/uio.h>

#include "responder/fetch.h"

/* To the client, if there is one and its answer has not ended; waits for it. false: it is gone. */
bool client_send(struct fetch *fetch, const struct iovec *pieces, int count, bool last);

/*
 * Bytes of the body, those after fetch->seen: what of them the client sees goes
 * out. With a spool that has them nobody waits for the client: if it takes them
 * slowly the streamer feeds it from there. false: it is gone.
 */
bool client_pass_on(struct fetch *fetch, const char *data, size_t n);

/* Does it want more than it has got? */
bool client_wants_more(const struct fetch *fetch);

/* Before the spool is dropped: if the streamer feeds the client, it is ours again when it has all
 * there is. This may take it as long as it may stall. false: it is gone. */
bool client_take_back(struct fetch *fetch);

/* The fetch is over, and the spool has been ended: whatever is still to be sent the streamer sends. */
void client_leave(struct fetch *fetch);

/* Does anybody want the rest without it: others, or we, because what a mutation did has to become known? */
bool client_is_not_alone(const struct fetch *fetch);

/* It is gone. false: the rest is wanted all the same, and the fetch goes on without it. */
bool client_is_missed_by_nobody(struct fetch *fetch);

/* The fetch is at its end: another may go on without its client. */
void client_over(struct fetch *fetch);

/* It has all that it gets, and the fetch goes on without it: the web server may send its next request on
 * the connection. Not so without memory. */
void client_let_go(struct fetch *fetch);

#endif
