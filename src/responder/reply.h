/* The head of an answer as CGI has it (RFC 3875 §6), whatever the web server in front. */
#ifndef RESPONDER_REPLY_H
#define RESPONDER_REPLY_H

#include "base/arena.h"
#include "base/fields.h"
#include "config/config.h"
#include "responder/request.h"

struct reply {
    int status;
    const struct fields *fields; /* of the backend or the entry */
    enum mount mount;
    const char *x_cache;              /* HIT, MISS, STALE, REVALIDATED, BYPASS, DISABLED */
    struct slice cache_status;        /* .n 0: none */
    const char *invalidation;         /* NULL: no X-Cache-Invalidate */
    int64_t age_s;                    /* -1: leave the field as it is */
    int64_t content_length;           /* -1: leave the field as it is */
    const struct route *client_cache; /* NULL: leave Cache-Control as it is */
    bool shared; /* the cache takes the answer for everybody's: what opens it to browsers counts */
    bool per_user; /* then the browser's copy is private */
    bool via;
    bool stale; /* then it is said, for those who still read Warning */
    /* A part of what `fields` describe: .n 0: the field as it is there. */
    struct slice content_range;
    struct slice content_type;
    bool may_be_cut;   /* the request has a Range, by which the web server may cut a 200 */
    bool error_page;   /* it is shown for an error of the web server's, whose status stays */
    bool under_way;    /* it comes from the backend while it is sent */
    bool not_modified; /* a 304 made of it: no fields about content that is not sent */
};

/* The bytes up to and including the empty line, in the arena. .p NULL: no memory. */
struct slice reply_head(const struct reply *reply, struct arena *arena);

/* A field that has power over the web server, or that is ours alone to say. */
bool reply_field_is_withheld(struct slice name);

/* The standard reason phrase, or "Unknown". Static. */
const char *reply_reason(int status);

#endif
