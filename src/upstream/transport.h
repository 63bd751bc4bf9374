/*
 * What upstream.c asks of a protocol: one exchange over one connection that is
 * there already. Dialling, keeping and repeating are not the protocol's.
 */
#ifndef UPSTREAM_TRANSPORT_H
#define UPSTREAM_TRANSPORT_H

#include <stdint.h>

#include "base/arena.h"
#include "upstream/link.h"
#include "upstream/upstream.h"

/* What became of the connection. */
enum transport_end {
    TRANSPORT_KEEP,  /* may serve another request */
    TRANSPORT_CLOSE, /* may not */
    TRANSPORT_DEAD   /* closed without a byte of an answer; result is filled as for CLOSE */
};

struct transport_call {
    struct link *link;
    const char *name; /* for messages, and for nothing else */
    const char *host; /* for a request without Host */
    bool keep;        /* the connection is wanted back */
    int64_t timeout_ms;
    int64_t idle_timeout_ms;
    int64_t start_ms; /* when upstream_fetch() was called */
    struct arena *arena;
    const struct upstream_request *request;
    const struct upstream_sink *sink;
    struct upstream_result *result; /* zeroed, but for maybe_received */
};

struct transport {
    enum transport_end (*exchange)(const struct transport_call *call);
};

/* result.outcome and result.error: "backend <name>: <METHOD>: <words>". Always false, so that
 * `return transport_fail(...)` reads well. */
bool transport_fail(const struct transport_call *call, enum upstream_outcome outcome,
                    const char *words);

#endif
