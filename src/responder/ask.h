/* What the backend is asked for a request: fields, conditions, ranges. */
#ifndef RESPONDER_ASK_H
#define RESPONDER_ASK_H

#include "responder/exchange.h"

struct ask {
    struct fields base;   /* without conditions and ranges: what Vary selects by */
    struct fields fields; /* what is sent */
    struct slice method;  /* the request's; GET for a HEAD whose page can be stored */
    bool head;            /* it is HEAD: no body comes */
    bool validates;       /* with the validators of exchange->lookup.entry */
    bool range;           /* with the client's Range */
    bool completes;       /* for the rest of the part that exchange->lookup.entry is */
    bool whole_for_range; /* the client wants a range, and the whole is asked for */
};

enum ask_kind {
    ASK_FIRST, /* as what is stored suggests */
    ASK_PLAIN, /* without validators and completion: the first answer was of no use */
    ASK_RANGE  /* for the client's range: the whole is too large, or not to be stored */
};

/*
 * Is a GET of use to this request: what it brings may be stored, or given to
 * others? A HEAD is asked as one then. Known once generations are
 * (exchange_note_generations()).
 */
bool ask_is_for_page(const struct exchange *exchange);

/* Does the client want several ranges of what is not stored? The backend gets them from this visitor
 * alone, beside all that came: in a request that is everybody's they would be words of its own. */
bool ask_has_own_ranges(const struct exchange *exchange);

/* false: no memory, or too many fields. */
bool ask_make(struct ask *ask, const struct exchange *exchange, enum ask_kind kind);

#endif
