/*
 * The body of a request on its way to the backend.
 */
#ifndef RESPONDER_REQUEST_BODY_H
#define RESPONDER_REQUEST_BODY_H

#include "responder/exchange.h"

struct request_body {
    struct spool *spool; /* all of it, until the backend has it; NULL: there is none */
    size_t held;         /* so much of what all bodies may hold */
    char *block;         /* what comes from the client, then what comes from the file */
    struct slice ready;  /* read from the spool, and not given yet */
    size_t offset;       /* of the spool so much has been read */
};

enum request_body_status {
    REQUEST_BODY_READY,        /* all of it is here, or there is none */
    REQUEST_BODY_GONE,         /* the client or the web server broke off: nobody waits */
    REQUEST_BODY_WRONG_LENGTH, /* it ended elsewhere than CONTENT_LENGTH says: 400 */
    REQUEST_BODY_TOO_LARGE,    /* over upstream.body_spool_max: 413 */
    REQUEST_BODY_TOO_MANY,     /* all of them are over upstream.body_spool_total: 503 */
    REQUEST_BODY_NO_ROOM,      /* no room on the disk: 507 */
    REQUEST_BODY_NO_MEMORY     /* 500 */
};

/*
 * Wait for all of it: the backend is not to hear of a request whose body breaks off.
 * May take as long as the client does, and client_timeout between two pieces. Then the
 * request says whether there is one, and its length.
 */
enum request_body_status request_body_collect(struct request_body *body, struct exchange *exchange);

/* Some of it, as upstream_body_fn; once, from its beginning to its end. */
ssize_t request_body_read(struct request_body *body, const struct exchange *exchange, char *buf,
                          size_t room);

/* Give back what it holds. */
void request_body_done(struct request_body *body);

#endif
