/*
 * What happens after the answer: stores, and invalidations of routes that asked
 * for the ancestor's way. One thread, a queue bounded in bytes and count.
 */
#ifndef RESPONDER_STORER_H
#define RESPONDER_STORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "responder/server.h"

/* false: no thread could be made. */
bool storer_start(void);

/*
 * Store head and body under key. Takes head and body (both malloc'd) in every
 * case; key is copied. A full queue drops it and counts that.
 */
void storer_put(struct site *site, const char *key, char *head, size_t head_len, char *body,
                size_t body_len, int64_t ttl_ms);

/* Invalidate after the answer. The patterns are copied. Never dropped for lack of room in the
 * queue; false: no memory. */
bool storer_invalidate(struct site *site, const char *const *patterns, size_t count);

/* Work off the queue, at most timeout_ms, then end the thread. */
void storer_stop(int64_t timeout_ms);

/* Jobs and bytes waiting. */
void storer_numbers(size_t *count, size_t *bytes);

#endif
