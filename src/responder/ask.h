/* What the backend is asked for a request: fields, conditions, ranges. */
#ifndef RESPONDER_ASK_H
#define RESPONDER_ASK_H

#include "responder/exchange.h"

struct ask {
    struct fields base;      /* without conditions and ranges: what Vary selects by */
    struct fields fields;    /* what is sent */
    bool validates;          /* with the validators of exchange->entry */
    bool validates_variants; /* with the tags of exchange->marker */
    bool conditions;         /* with the client's own conditions */
    bool range;              /* with the client's own Range */
    bool completes;          /* for the rest of the part that exchange->entry is */
};

/*
 * plain: without validators, conditions of the client and completion, for a
 * second try after an answer that could not be used. false: no memory, or too
 * many fields.
 */
bool ask_make(struct ask *ask, const struct exchange *exchange, bool plain);

#endif
