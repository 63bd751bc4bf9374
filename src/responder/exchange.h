/*
 * One request from its first byte to its last: the one place that reads like
 * the picture in doc/design.
 */
#ifndef RESPONDER_EXCHANGE_H
#define RESPONDER_EXCHANGE_H

#include "client/store.h"
#include "routing/route.h"
#include "http/decide.h"
#include "responder/connection.h"
#include "responder/entry.h"
#include "responder/fetcher.h"
#include "responder/flight.h"
#include "responder/key.h"
#include "responder/marker.h"
#include "responder/request.h"
#include "responder/server.h"
#include "responder/spool.h"
#include "responder/streamer.h"

/* What one request may hold besides bodies: parameters, fields, key, metadata of an entry. */
#define EXCHANGE_ARENA_MAX ((size_t)4 * 1024 * 1024)

/* What the look-up found, and what was noted before the backend is asked (lookup.c, exchange.c). */
struct lookup {
    /* complete: every tag has a settled one. */
    struct store_generations generations;
    bool generations_complete;
    uint64_t identity;              /* of the server that said so */
    struct store_position position; /* where the news were then; id "": not known */

    struct store_value value; /* the bytes of the entry */
    struct entry entry;
    const char *found; /* the key's name under which that is */
    /* The checksum of what stands there, whatever it is worth; zeros: nothing. */
    char stands[ENTRY_CHECKSUM_SIZE];
    struct marker marker;
    enum reason missing;       /* why there is no entry */
    const char *redis_failure; /* why it did not answer; NULL: it did, or was not asked */
    bool redis_answered;
    bool has_entry;    /* it is this request's, and no generation is against it; fresh or not */
    bool use_entry;    /* has_entry, and what is asked for can be made of it */
    bool other_fields; /* has_entry, but the answer to this one's fields is another */
    bool has_marker;   /* the URL has variants */
    bool unseen;       /* there may be a stored response that the look-up could not look at */
};

/* One fetch for many (coalesce.c, waiter.c). */
struct wait {
    struct flight *flight; /* it leads this one ... */
    struct lease *lease;   /* ... and holds this, which others wait for; NULL: Redis was away */
    struct parked parked;  /* it waits for another's fetch ... */
    struct reader reader;  /* ... or reads it */
    struct spool *spool;   /* what it reads, or what holds the bytes of lookup.entry */
    uint64_t body_from;    /* parted: reader.offset at its beginning */
    int rejoins;
    bool rounds;    /* its flight has no generations */
    bool alone;     /* it waits for nobody any more */
    bool waited;    /* for somebody, or somebody for it */
    bool marks;     /* if its answer is nobody else's, it says so for the next ones */
    bool failed;    /* whom it waited for has found that the backend fails */
    bool had_entry; /* there was one, which it did not hold while it waited */
    bool reads;     /* it is among the spool's readers */
};

/* What of the visitor's words the backend gets (opening.c). */
struct opening {
    /* Fields that the URL's Vary names, by the marker or by an answer that has come: on a fetch that
     * may be shared the backend gets them. NULL: none is known. */
    struct vary *opened;
    /* `opened`, where it is only what other answers have named: this URL's first one has still to say.
     * NULL: it is not. */
    const struct vary *expected;
    int refused; /* the status of a refusal that may be for want of the visitor's fields; 0: none */
    bool refused_own; /* the backend has refused a field that was only expected */
    bool teaches;     /* nothing is known of the URL, so its first answer tells of its kind */
    bool sends_all;   /* nobody else gets the answer, so the backend gets every field */
    /* What comes now tells of this visitor's own words, and of nothing that others get. */
    bool unmarked;
};

/* What the client has got. */
struct delivery {
    int status; /* 0: nothing yet */
    const char *x_cache;
    uint64_t body_sent;
    int interim_count; /* 1xx that have been passed on */
    size_t interim_bytes;
    const char *refuse_why; /* for a request that a fetcher shall refuse */
    int refuse_status;
};

/* Whose an exchange is, after what may have finished it or given it away. */
enum step {
    STEP_NEXT,      /* the caller's, who goes on */
    STEP_DONE,      /* nobody's: it is answered, and has been given back */
    STEP_HANDED_OFF /* another's: a fetcher has it, or it waits for one */
};

struct exchange {
    struct fetcher_job job; /* first: a job is its exchange */
    struct exchange *next_free;
    struct arena *arena;
    struct connection *connection;
    struct site *site;

    /* What is asked, and what is to be done about it: exchange_examine(). */
    struct request request;
    struct route_match match;
    struct policy policy;
    struct request_facts facts;
    struct cache_key key;
    enum loop loop;         /* what it says of Larders that it has passed */
    enum reason reason;     /* why the cache stays out of it; REASON_NONE: it does not */
    enum reason forward;    /* why the backend is asked, where the cache is in it */
    int64_t started_ms;     /* monotonic */
    int64_t redis_until_ms; /* what this request may lose to Redis ends here */

    struct lookup lookup;
    struct wait wait;
    struct opening opening;
    struct delivery delivery;

    bool background; /* a refresh, or its client has left: there is none any more */
    bool parted;     /* the client of somebody else's fetch, which reads it at its own pace */
    bool early;      /* a refresh of what is still fresh ... */
    int64_t seen_ms; /* ... and of the entry with this stored_ms */
};

/*
 * Serve one request on a connection that has one to read. Called by a worker.
 * The connection is taken: when it returns, the request is answered or with a
 * fetcher, and the connection is closed or waits for its next request.
 */
void exchange_serve(struct connection *connection);

/*
 * Route, policy, cookies, user, key of exchange->request: everything that can be
 * known without asking anybody. REASON_NONE: the cache has to do with it.
 */
enum reason exchange_examine(struct exchange *exchange);

/*
 * Then look it up, within exchange->redis_until_ms, and decide what is to be
 * done. Changes nothing anywhere but in the exchange.
 */
struct reuse_decision exchange_look(struct exchange *exchange, int64_t wall_ms);

/* Answer with exchange->lookup.entry, which is fresh, and be done with it. */
enum step exchange_hit(struct exchange *exchange, int64_t wall_ms);

/* Hand it to a fetcher, which asks the backend. Any thread. */
void exchange_ask(struct exchange *exchange);

/* The request must wait for the backend (fetch.c); called by a fetcher. */
void exchange_fetch(struct exchange *exchange);

/* Fetch anew what is stale or soon will be, unless another process does. Called by a fetcher, after
 * coalesce_refresh(). */
void exchange_refresh(struct exchange *exchange);

/* An exchange for what is left of the answer, which takes the connection: this one goes on without
 * a client. NULL: no memory; nothing has changed. */
struct exchange *exchange_part(struct exchange *exchange);

/* Copy what lies in the connection, so that the exchange can do without. false: no memory. */
bool exchange_own(struct exchange *exchange);

/*
 * Answer with an error of ours, when nothing has been sent, and let the
 * connection go. why is for the visitor; invalidation is the value of
 * X-Cache-Invalidate or NULL.
 */
void exchange_refuse(struct exchange *exchange, int status, const char *why,
                     const char *invalidation);

/*
 * The connection goes back to the web server or is closed; the exchange stays
 * for what is left to do. ended: the client has the whole answer and its end;
 * false: the connection is closed without one, so that the client sees that the
 * answer is cut. The second call does nothing.
 */
void exchange_let_go(struct exchange *exchange, bool ended);

/* The names become opened, besides those that are. false: no memory, or too many. */
bool exchange_open(struct exchange *exchange, const struct vary *names);

/* It is over: everything the exchange holds is given back. */
void exchange_done(struct exchange *exchange);

/* The route's say, and what the request's match adds to it. */
struct policy route_policy(const struct site *site, const struct route_match *match);

/* Is there a settled generation for every tag of the key? */
bool exchange_has_generations(const struct exchange *exchange);

/*
 * Before the backend is asked: the generations that are missing, and where the
 * news are. What is invalidated from here on kills what is fetched. Two round
 * trips at most, by deadline_ms.
 */
void exchange_note_generations(struct exchange *exchange, int64_t deadline_ms);

/* Give back what is kept for reuse; at the end of the process. */
void exchange_cleanup(void);

#endif
