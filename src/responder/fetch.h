/*
 * One question to the backend and what becomes of its answer: shared by fetch.c,
 * which asks and ends, and incoming.c, which takes in what comes.
 */
#ifndef RESPONDER_FETCH_H
#define RESPONDER_FETCH_H

#include <sys/uio.h>

#include "responder/ask.h"
#include "responder/copy.h"
#include "responder/exchange.h"
#include "responder/mutation.h"
#include "responder/keep.h"
#include "upstream/upstream.h"

/* What the head of the answer means. */
enum meaning {
    MEANS_ANSWER,    /* it is the answer, and is being sent */
    MEANS_FRESHENED, /* exchange->entry is, with new fields */
    MEANS_HEAD,      /* the same, said by a HEAD */
    MEANS_VARIANT,   /* a 304 named the tag of another variant */
    MEANS_FAILURE,   /* the backend failed, and the stale entry stands in for it */
    MEANS_AGAIN      /* of no use: ask again, as fetch->kind then says */
};

struct fetch {
    struct exchange *exchange;
    struct ask ask;
    enum ask_kind kind;
    enum meaning meaning;
    struct exchange *post; /* a GET of the same URL that a POST's answer may be stored for */
    struct mutation mutation;
    const char *invalidated; /* NULL: nothing was to be done; else the value of the field */
    int status;
    struct fields fields; /* the backend's, in the arena */
    struct response_times times;
    struct kept kept;
    bool cacheable;  /* kept is meant */
    size_t variant;  /* MEANS_VARIANT: which of the marker's tags */
    bool collecting; /* the head waits until the length is known (mod_fcgid) */
    bool head_sent;
    bool ended;             /* END_REQUEST is out */
    bool satisfied;         /* the client has what it wanted, and nobody else wants the rest */
    int64_t content_length; /* as the backend says; -1: unknown */
    struct copy copy;
    /* The client's view of the body: bytes from view_first up to view_end; seen so far. */
    bool viewed;
    int64_t view_first, view_end, seen;
    bool fill;   /* a 304 to the client's condition: fetch the whole afterwards */
    char *early; /* the beginning of a body that nobody announced */
    size_t early_n;
};

/* The callbacks for upstream_fetch(). */
struct upstream_sink incoming_sink(struct fetch *fetch);

/* The head of the backend's answer as the client gets it, with this length (-1: as it is there).
 * .p NULL: no memory. */
struct slice incoming_head(struct fetch *fetch, int64_t content_length);

/* To the client, if there is one and its answer has not ended. false: it is gone. */
bool incoming_send(struct fetch *fetch, const struct iovec *pieces, int count, bool last);

/* May exchange->entry stand in for a backend that failed? */
bool incoming_may_stand_in(const struct fetch *fetch);

#endif
