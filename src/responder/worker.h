/*
 * Workers: the threads that take requests and serve hits. One half waits in
 * accept(), the other for connections that the web server keeps open.
 */
#ifndef RESPONDER_WORKER_H
#define RESPONDER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "larder.h"
#include "responder/connection.h"

enum larder_status workers_start(int listen_fd, int count, int max_kept, int64_t client_timeout_ms,
                                 struct larder_error *err);

/* Close each kept connection after its next answer, and go on with all else; returns when none is left,
 * none was used for a second, after three seconds, or at the deadline (monotonic, ms). */
void workers_retire(int64_t deadline_ms);

/* Accept no more; take what waits in the listen queue; returns when the acceptors have ended. */
void workers_stop_accepting(void);

/* Close the connections that are still kept; a request that is there already is answered if the
 * deadline (monotonic, ms) has not come. */
void workers_stop(int64_t deadline_ms);

/*
 * A connection is ready for its next request: wait for it without a thread. It
 * is closed instead when there are too many, or when we are about to stop.
 */
void worker_keep(struct connection *connection);

int workers_kept(void);

#endif
