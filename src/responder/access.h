/*
 * Who may purge over HTTP: what comes from an address that may, with the token.
 * Wrong tokens are limited.
 */
#ifndef RESPONDER_ACCESS_H
#define RESPONDER_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "responder/request.h"

enum access {
    ACCESS_GRANTED,
    ACCESS_TOKEN,    /* none, or a wrong one: 401 */
    ACCESS_ADDRESS,  /* not from here: 403 */
    ACCESS_IN_DOUBT, /* two addresses: 403 */
    ACCESS_RATE      /* a wrong one, too often: 429 */
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

/*
 * The part of X-Forwarded-For that trusted_proxies themselves have written: the addresses of that client and of
 * the proxies behind it. What is no address, and all that stands to the left of it, is left out, for that
 * is the client's word. In the arena; .p NULL: nothing.
 */
struct slice access_forwarded_for(const struct request *request, const struct config *config,
                                  struct arena *arena);

/* Does the request have the token? Takes as long for a wrong one as for the right one. */
bool access_has_token(const struct request *request, const char *token);

/* Does it have one at all, right or wrong? */
bool access_names_token(const struct request *request);

/* Is one of the words of this value, between blanks and commas, the token, whatever the scheme says?
 * Web servers join two lines of a field. The same holds of the time. */
bool access_mentions_token(struct slice authorization, const char *token);

#endif
