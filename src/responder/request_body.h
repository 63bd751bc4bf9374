/*
 * The body of a request on its way to the backend.
 */
#ifndef RESPONDER_REQUEST_BODY_H
#define RESPONDER_REQUEST_BODY_H

#include "responder/exchange.h"

struct request_body {
    char *early; /* the beginning of a body that nobody announced */
    size_t early_n;
    struct spool *spool; /* all of it: its length had to be known first */
    size_t offset;       /* of it so much has been read */
    char *block;         /* for what of it is in a file */
};

enum request_body_status {
    REQUEST_BODY_READY,
    REQUEST_BODY_GONE,      /* the client broke off */
    REQUEST_BODY_TOO_LARGE, /* of unknown length, and longer than upstream.body_spool_max: 413 */
    REQUEST_BODY_NO_ROOM    /* no memory, or no room on the disk: 500 */
};

/*
 * Find out whether there is one. For a FastCGI backend also how long it is, since
 * that reads exactly CONTENT_LENGTH bytes; and what is going to mark something is
 * read to its end first. May take as long as the client does.
 */
enum request_body_status request_body_find(struct request_body *body, struct exchange *exchange);

/* Some of it, as upstream_body_fn. */
ssize_t request_body_read(struct request_body *body, struct exchange *exchange, char *buf,
                          size_t room);

/* Give back what it holds. */
void request_body_done(struct request_body *body);

#endif
