/*
 * What a shared cache may do: pure functions of request, policy, stored
 * response and time. No I/O, no clock, no allocation. Each answers with a
 * reason, so that every "no" has a name that the operator can be told.
 *
 *   decide_request   may the cache have anything to do with this request?
 *   decide_reuse     there is a stored response: is it the answer?
 *   decide_on_error  the backend failed: may the stale one stand in?
 *   decide_store     may this response be stored, and for how long?
 *   decide_early     it is fresh: is it time to fetch it anew all the same?
 *   decide_fetch_age_ms  somebody else is fetching it: may this request have that?
 */
#ifndef HTTP_DECIDE_H
#define HTTP_DECIDE_H

#include "base/fields.h"
#include "http/cache_control.h"
#include "http/policy.h"

/* Nothing is fresh, or kept, for longer; the store's own limit. */
#define DECIDE_TTL_MAX_MS (INT64_C(30) * 86400 * 1000)

/* Two machines' clocks may differ by so much, and a response be stored as long "before" its time. */
#define DECIDE_AHEAD_MAX_MS INT64_C(2000)

/* What is known of a request when the decision is made. */
struct request_facts {
    struct slice method;
    const struct fields *fields;
    bool has_body;
    bool error_page;  /* the web server wants something to show for an error of its own */
    bool remote_user; /* REMOTE_USER or AUTH_TYPE is set */
    bool client_certificate;
    bool cookie_bypass;        /* a cookie that the route does not open */
    struct slice bypass_field; /* the name of one that passes the request; .p NULL: none does */
    bool query_bypass;         /* a parameter of the query that the route does not want cached */
    bool user_missing;         /* the route is per user and nobody says who it is */
};

/*
 * May this request be answered from the cache, and its answer be stored? A
 * Range, a condition that a cache evaluates, and a directive of the client are
 * no reason against it. If-Match and If-Unmodified-Since are: REASON_PRECONDITION.
 * no-store (unless policy.client_control ignores it) is: REASON_REQUEST_NO_STORE.
 */
enum reason decide_request(const struct policy *policy, const struct request_facts *request);

/* Is the method safe (RFC 9110 §9.2.1)? Unknown ones are not. */
bool method_is_safe(struct slice method);

/* May content come with it that nobody has announced? Not with GET, HEAD, OPTIONS and TRACE. */
bool method_may_have_content(struct slice method);

/* ---------------------------------------------------------------------------- storing */

enum stored_flags {
    STORED_NO_CACHE = 1,        /* never used without validation (§5.2.2.4) */
    STORED_MUST_REVALIDATE = 2, /* never used stale, whatever else is said (§4.2.4) */
    STORED_HEURISTIC = 4,       /* its freshness is our own guess */
    STORED_STALE_WHILE_OK = 8,  /* stale_while_s is the origin's explicit word */
    STORED_STALE_IF_OK = 16,    /* stale_if_s likewise */
    STORED_PARTIAL = 32,        /* the body is a part: see range_first, total */
    STORED_VERBATIM = 64,       /* ... which is shorter than its Content-Range says */
    STORED_HIT_FOR_MISS = 128   /* no response: the last one must not be stored */
};

/* What is known of a stored response. */
struct stored {
    int status;
    const struct fields *fields;
    int64_t
        stored_ms; /* the clock that all machines share: when its head, or that of its last validation, came */
    int64_t ttl_ms; /* fresh until stored_ms + ttl_ms; negative: stale on arrival */
    int64_t age_s;  /* corrected initial age at stored_ms (§4.2.3); -1: not known */
    int64_t stale_while_s;
    int64_t stale_if_s;
    int64_t fetch_ms; /* how long the backend took for it */
    unsigned flags;
};

struct store_decision {
    enum reason reason;    /* REASON_NONE: store it */
    int64_t ttl_ms;        /* fresh for so long from now on; negative: stale for so long already */
    int64_t age_s;         /* corrected initial age */
    int64_t stale_while_s; /* usable for so long after that while it is being fetched anew */
    int64_t stale_if_s;    /* ... while the backend fails */
    int64_t keep_ms;       /* of use in the store for so long altogether; > 0, >= ttl_ms */
    unsigned flags;
};

/* When things happened, by the clock that all machines share. */
struct response_times {
    int64_t request_ms;  /* the request went out */
    int64_t response_ms; /* the head came; now */
    int64_t local_ms;    /* the same by this machine's own clock */
};

/*
 * May this response be stored, and for how long? RFC 9111 §3, §4.2, §5.2.2;
 * the order of what decides about freshness:
 *
 *   ttl_override (2xx) > targeted field > s-maxage > max-age > Expires - Date
 *   > ttl_by_status > ttl (2xx) > heuristic (10 % of Date - Last-Modified; policy.rfc, and a
 *     heuristically cacheable status or "public") > not stored
 *
 * then max_ttl, and min_ttl where there is freshness at all. Prohibitions
 * (no-store, private, Set-Cookie, Authorization, Vary: *) come first and beat
 * all of them, ttl_override too. 206 and POST are judged like 200 and GET (the
 * caller looks at Content-Range and Content-Location itself). no-store beside
 * must-understand does not count when the status is one that we understand
 * (§5.2.2.3). What is stale on arrival or "no-cache" is stored only with a
 * validator, or if the origin itself allows to use it stale (RFC 5861), or with
 * policy.rfc if the policy does.
 */
struct store_decision decide_store(const struct policy *policy, const struct request_facts *request,
                                   int status, const struct fields *response,
                                   const struct response_times *times);

/* Is a response on which this was decided everybody's for a while, whether or not it can be stored
 * here? Not what has to be asked about each time. */
bool decision_shares(const struct store_decision *decision);

/* A kind of content that has no end: events, pictures that replace each other, sound and film without a
 * length. As the backend sent it, with its Content-Length. */
bool response_is_stream(const struct fields *response);

/* Is it about the request or the connection, and not about the page: 400, 429, a condition or a range
 * that is not met ...? */
bool status_is_of_request(int status);

/* Is it about the one who asks: 401, 403, 407, 451? Another one may have the page. */
bool status_is_of_sender(int status);

/*
 * The backend has answered with this status, and the answer is not stored, for this
 * reason: does it take the place of what is stored all the same? Not if it is a
 * failure (5xx, broken off), and not if it is about the request. One about the sender
 * does not take the place of what is fresh: nobody would have asked if that one had not
 * wished it, and whoever is refused everywhere could take page after page from all.
 */
bool decide_replaces(int status, enum reason reason, bool fresh);

/* Within its time, and usable without asking? */
bool stored_is_fresh(const struct stored *stored, int64_t now_ms);

/* Corrected initial age (§4.2.3): apparent age, Age and the delay of this exchange. Seconds. */
int64_t response_initial_age_s(const struct fields *response, const struct response_times *times);

/* Is this field left out of the stored copy: named by no-cache= or private=, Set-Cookie where the
 * policy strips it, or one that is said anew with each answer (Age, Content-Length, X-Cache,
 * X-Cache-Invalidate, Warning with a 1xx code)? */
bool response_field_is_left_out(const struct policy *policy, const struct cache_control *cc,
                                const struct field *field);

/* ----------------------------------------------------------------------------- reusing */

enum reuse {
    REUSE_SERVE,             /* it is the answer */
    REUSE_SERVE_AND_REFRESH, /* it is, though stale; one refresh in the background */
    REUSE_VALIDATE,          /* ask the backend; with its validators if it has any */
    REUSE_UNAVAILABLE        /* only-if-cached: 504 */
};

struct reuse_decision {
    enum reuse reuse;
    enum reason reason;    /* why not REUSE_SERVE, or why it is served stale: REASON_STALE */
    int64_t age_s;         /* current age; -1: not known */
    int64_t fresh_left_ms; /* negative: stale for so long */
};

/*
 * RFC 9111 §4, §4.2.4, §5.2.1. stored NULL: there is none; then reason says
 * `missing` and reuse is REUSE_VALIDATE, or REUSE_UNAVAILABLE with only-if-cached.
 * Client directives by policy.client_control: max-age, min-fresh, no-cache ask
 * for more, max-stale for less (never past STORED_MUST_REVALIDATE or NO_CACHE).
 */
struct reuse_decision decide_reuse(const struct policy *policy, const struct request_facts *request,
                                   const struct stored *stored, enum reason missing,
                                   int64_t now_ms);

/*
 * Shall a fresh response be fetched anew in the background, so that it is never
 * seen to expire? By chance, the sooner the longer its fetch took (XFetch:
 * Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
 * Prevention", 2015). percent of what they recommend; random in (0, 1].
 */
bool decide_early(const struct stored *stored, int percent, double random, int64_t now_ms);

/*
 * A fetch for another request is under way: this one may have what it brings if
 * it began at most so many ms ago. INT64_MAX: whenever; 0: not at all. By the
 * client's max-age and no-cache, as decide_reuse() reads them.
 */
int64_t decide_fetch_age_ms(const struct policy *policy, const struct request_facts *request);

/*
 * The backend could not be reached, broke off, was too slow, or answered with
 * 500, 502, 503 or 504: may the stored response stand in (RFC 9111 §4.2.4,
 * §4.3.3, RFC 5861 §4)? By the origin's stale-if-error, beside s-maxage as
 * well, since that is its explicit word; else within policy.stale_if_ms unless
 * must-revalidate, proxy-revalidate, s-maxage or no-cache forbids it.
 */
bool decide_on_error(const struct policy *policy, const struct request_facts *request,
                     const struct stored *stored, int64_t now_ms);

/* Is this one of the statuses that decide_on_error is asked about? */
bool status_is_failure(int status);

/* Current age in whole seconds of a stored response (RFC 9111 §4.2.3), never negative. */
int64_t response_age_s(int64_t initial_age_s, int64_t stored_ms, int64_t now_ms);

/* ---------------------------------------------------------------------------- updating */

/*
 * The fields of a stored response after a 304, or a 200 to HEAD (RFC 9111 §3.2,
 * §4.3.4, §4.3.5): those of `update` replace all of the same name, but for
 * Content-Length, and on a part Content-Range. Set-Cookie of a 304 follows
 * policy.set_cookie as at the first store. false: no memory.
 */
bool response_update_fields(struct fields *out, struct arena *arena, const struct policy *policy,
                            const struct fields *stored, const struct fields *update);

/* Of a 304's own fields those that are not kept (response_field_is_left_out()), but for those that are
 * said anew with each answer: the visitor whose request brought it gets them, in `out`. false: no
 * memory. */
bool response_own_fields(struct fields *out, struct arena *arena, const struct policy *policy,
                         const struct fields *update);

/*
 * A HEAD was answered with 200 while a GET's response is stored (§4.3.5): true
 * if it may freshen it (validators and Content-Length agree), false: what is
 * stored is out of date.
 */
bool response_head_agrees(const struct fields *stored, int64_t stored_length,
                          const struct fields *head);

#endif
