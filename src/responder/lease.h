/*
 * The leases that this process holds: one of all processes fetches a page, and
 * says so in Redis for as long as it does.
 */
#ifndef RESPONDER_LEASE_H
#define RESPONDER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/store.h"
#include "responder/server.h"

struct lease;

/* false: no thread could be made. */
bool leases_start(void);

/* Take it for life_ms, extended until lease_end(). As store_lease_take(); *lease only on LARDER_OK. */
enum larder_status lease_take(struct site *site, const char *name, int64_t life_ms,
                              int64_t deadline_ms, struct lease **lease, int64_t *left_ms);

/* Give it back, in the background; what is heard by who waits for it is `word` ('S' or 'N'). NULL
 * is allowed. */
void lease_end(struct lease *lease, char word);

/* Give back what is to be given back, at most for timeout_ms, then end the thread. */
void leases_stop(int64_t timeout_ms);

#endif
