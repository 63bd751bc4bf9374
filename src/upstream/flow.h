/*
 * One exchange over one connection, in both directions at once: what the
 * protocols have in common. A protocol says what goes out next and what the bytes
 * that come mean; when to send, to read, to wait and to give up is decided here.
 */
#ifndef UPSTREAM_FLOW_H
#define UPSTREAM_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fields.h"
#include "base/slice.h"
#include "upstream/transport.h"

enum flow_stage { FLOW_HEAD, FLOW_BODY, FLOW_DONE };

struct flow;

/* Each returns false when the exchange has failed, which it has then said by flow_fail(). */
struct flow_protocol {
    /* What is to be sent next: set out and out_n, and `more`. May block in the request's body. */
    bool (*refill)(struct flow *flow);
    /* Bytes from the backend. */
    bool (*consume)(struct flow *flow, const char *data, size_t n);
    /* The backend will send no more, while the stage is not FLOW_DONE. orderly: closed, not reset. */
    bool (*ended)(struct flow *flow, bool orderly);
};

struct flow {
    const struct flow_protocol *protocol;
    const struct transport_call *call;
    int64_t progress_ms; /* the last thing that keeps the clock from running out */

    /* out */
    const char *out; /* what is to be sent next */
    size_t out_n;
    bool more;    /* refill() has more after that */
    bool sending; /* there is something to send, there or here */
    bool aside;   /* it is no part of the request, and no progress */
    bool send_broke;

    /* in */
    enum flow_stage stage;
    bool received; /* a byte of an answer has come */
    int interims;
    char *head; /* as it has come so far, in the arena */
    size_t head_n;
    size_t head_room;

    bool unwatched; /* the client has something to say that is no hang-up */
};

/* Until the stage is FLOW_DONE. false: it has failed. */
bool flow_run(struct flow *flow);

/* transport_fail(), for this call. */
bool flow_fail(struct flow *flow, enum upstream_outcome outcome, const char *words);

/* Read some of the request body into buf. left < 0: its length is not known, and 0 is its end; else
 * 0 is a failure. -1: failed. */
ssize_t flow_read_body(struct flow *flow, char *buf, size_t room, int64_t left);

/* More of the head, which may have MESSAGE_HEAD_MAX bytes. */
bool flow_keep_head(struct flow *flow, const char *data, size_t n);

/* The whole head, understood: an interim response (status < 200), after which there is another head
 * to come, or the final one. The stage is the caller's. */
bool flow_give_head(struct flow *flow, int status, struct fields *fields, bool until_close);

/* Some of the body. */
bool flow_give_body(struct flow *flow, struct slice body);

#endif
