/* Interim responses (1xx) on their way to the client. */
#ifndef RESPONDER_INTERIM_H
#define RESPONDER_INTERIM_H

#include "responder/exchange.h"

/* Interim responses that one answer may have, and bytes of all of them; the rest is dropped. */
#define INTERIM_MAX 8
#define INTERIM_BYTES_MAX ((size_t)16 * 1024)

/*
 * Send an interim response, if the web server in front passes it on to this
 * client (see interim.c). false: it was not sent; the answer goes on all the
 * same.
 */
bool interim_send(struct exchange *exchange, int status, const struct fields *fields);

#endif
