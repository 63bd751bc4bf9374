/*
 * Who may purge over HTTP: who has the token, comes from an address that may, and
 * does not try too often.
 */
#ifndef RESPONDER_ACCESS_H
#define RESPONDER_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "responder/request.h"

enum access {
    ACCESS_GRANTED,
    ACCESS_TOKEN,   /* none, or a wrong one: 401 */
    ACCESS_ADDRESS, /* not from here: 403 */
    ACCESS_RATE     /* too often: 429 */
};

/* Any thread. config->admin_token is set. *retry_after_s, for ACCESS_RATE: in so many seconds. */
enum access access_check(const struct request *request, const struct config *config, int64_t now_us,
                         int64_t *retry_after_s, struct arena *arena);

/*
 * Whose request it is: the peer's address, unless the peer is one of
 * trusted_proxies; then the last in X-Forwarded-For that is none of them, for
 * what stands before that one is its sender's own word. In the arena or the
 * request; "" where nobody can say.
 */
const char *access_client(const struct request *request, const struct config *config,
                          struct arena *arena);

/* Does the request have the token? Takes as long for a wrong one as for the right one. */
bool access_has_token(const struct request *request, const char *token);

/*
 * One more of at most `rate` in any minute. *until_us is what is kept about them
 * between calls, 0 at first. 0: taken; else so many microseconds are to be waited.
 */
int64_t access_take(int64_t *until_us, int rate, int64_t now_us);

#endif
