/*
 * One question to the backend and what becomes of its answer: shared by fetch.c,
 * which asks and ends, incoming.c, which takes in what comes, and client.c, which
 * sends it on.
 */
#ifndef RESPONDER_FETCH_H
#define RESPONDER_FETCH_H

#include <sys/uio.h>

#include "responder/ask.h"
#include "responder/exchange.h"
#include "responder/keep.h"
#include "responder/mutation.h"
#include "responder/request_body.h"
#include "upstream/upstream.h"

/* What the head of the answer means. */
enum meaning {
    MEANS_ANSWER,    /* it is the answer, and is being sent */
    MEANS_FRESHENED, /* exchange->lookup.entry is, with new fields */
    MEANS_HEAD,      /* the same, said by a HEAD */
    MEANS_FAILURE,   /* the backend failed, and the stale entry stands in for it */
    MEANS_OPENED,    /* it depends on fields that the backend has not got: ask again with them */
    MEANS_NOTHING,   /* a 304, and nobody has asked a condition */
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
    int openings;            /* how often MEANS_OPENED */
    int status;
    struct fields fields; /* the backend's, in the arena */
    struct response_times times;
    int64_t asked_ms; /* monotonic: the backend has heard of it after that */
    struct kept kept;
    bool cacheable;  /* kept is meant */
    bool outdates;   /* a HEAD says that what is stored is out of date */
    bool shared;     /* the cache takes it for everybody's, if it is not stored either */
    bool collecting; /* the head waits until the length is known (mod_fcgid) */
    bool head_sent;
    bool ended;              /* END_REQUEST is out */
    bool unattended;         /* a mutation that goes on without its client (client.c) */
    bool satisfied;          /* the client has what it wanted, and nobody else wants the rest */
    bool until_close;        /* the body ends where the backend's connection does */
    int64_t content_length;  /* as the backend says; -1: unknown */
    int64_t held_ms;         /* since then what it is to be stored under lives long enough */
    struct spool *spool;     /* what is kept of the body, and others may read; NULL: nothing */
    struct exchange *client; /* the client's, while the streamer feeds it from the spool */
    /* The client's view of the body: bytes from view_first up to view_end (-1: to its end) of those
     * that come; `seen` have come so far. */
    bool viewed;
    int64_t view_first, view_end, seen;
    struct request_body body;
};

/* The callbacks for upstream_fetch(). */
struct upstream_sink incoming_sink(struct fetch *fetch);

/* The head of the backend's answer as the client gets it, with this length (-1: as it is there).
 * .p NULL: no memory. */
struct slice incoming_head(struct fetch *fetch, int64_t content_length);

/* What the mutation has changed is dropped again: before the last byte that the client gets, and when the
 * answer is whole. Not where there is nothing to drop. */
void fetch_changed(struct fetch *fetch, bool whole);

/* The answer is whole, and the script that made it says that it failed: it is not kept. */
void incoming_failed(struct fetch *fetch);

/* Answer with exchange->lookup.entry, for who has heard that the backend failed, and be done with it.
 * STEP_NEXT: it must not stand in; nothing has changed. */
enum step fetch_stand_in(struct exchange *exchange);

#endif
