/*
 * A route's say, as far as the rules of HTTP depend on it, and the words for
 * what was decided.
 */
#ifndef HTTP_POLICY_H
#define HTTP_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reason {
    REASON_NONE, /* it may */
    /* of the request */
    REASON_DISABLED,
    REASON_LOOP,       /* it has passed this pool before: 508 */
    REASON_SAME_STORE, /* the Larder in front of this one has the same store */
    REASON_NO_ROUTE,
    REASON_ROUTE_NEVER,
    REASON_ROUTE_NO_TTL,
    REASON_METHOD,
    REASON_BODY,
    REASON_REWRITTEN,  /* the web server has made a URL of it that must not be stored or shared */
    REASON_ERROR_PAGE, /* what the web server shows for an error of its own */
    REASON_RANGE,
    REASON_PRECONDITION,
    REASON_COOKIE,
    REASON_QUERY, /* a parameter that query.bypass names */
    REASON_FIELD, /* a field that fields.bypass names, or that passes by its name */
    REASON_AUTHORIZATION,
    REASON_REMOTE_USER,
    REASON_CLIENT_CERTIFICATE,
    REASON_NO_USER,
    REASON_KEY_TOO_LONG,
    REASON_REQUEST_NO_STORE,
    REASON_REQUEST_NO_CACHE,       /* no-cache, max-age, min-fresh: fetched or validated anew */
    REASON_REQUEST_ONLY_IF_CACHED, /* nothing stored that may be used: 504 */
    /* of the stored response */
    REASON_MISS,          /* nothing is stored */
    REASON_VARY_MISS,     /* something is, for other values of the selecting fields */
    REASON_STALE,         /* its time is over */
    REASON_MUST_VALIDATE, /* no-cache: never used unasked */
    REASON_INVALIDATED,   /* a generation does not match */
    REASON_TAGS_CHANGED,  /* it was stored when the route, or an older Larder, gave it other tags */
    REASON_OTHER_SERVER,  /* it is from before Redis was restarted, or from another master */
    REASON_JOURNAL,       /* this machine knows of invalidations that Redis has not got yet */
    REASON_HIT_FOR_MISS,  /* what came last must not be stored: no use in waiting for another's */
    REASON_PARTIAL,       /* only a part is stored, and not the one that was asked for */
    /* of the response */
    REASON_STATUS,
    REASON_ERROR_STATUS,
    REASON_NO_STORE,
    REASON_PRIVATE,
    REASON_NO_CACHE,
    REASON_SET_COOKIE,
    REASON_VARY,
    REASON_VARY_STAR,
    REASON_AUTHORIZED_RESPONSE,
    REASON_NO_FRESHNESS, /* no word on freshness, and nothing that stands in for one */
    REASON_EXPIRED,      /* stale on arrival, and without a validator */
    REASON_CONTENT_RANGE,
    REASON_MUST_UNDERSTAND,
    REASON_CONTENT_LOCATION, /* a POST whose answer is not that of its own URL */
    /* of the way it went */
    REASON_TOO_LARGE,
    REASON_INCOMPLETE,
    REASON_UNTIL_CLOSE, /* its body ends where the connection does: whole or cut, nobody knows */
    REASON_STREAM,      /* of a kind that has no end */
    REASON_HEAD,
    REASON_NO_GENERATIONS,
    REASON_SILENT,   /* a purge for a mutation of unknown outcome is overdue */
    REASON_TAGS,     /* it has too many tags, or one that is too long */
    REASON_VARIANTS, /* as many variants of its URL as may be stored are in use */
    REASON_NO_MEMORY,
    REASON_BACKEND_FAILED, /* unreachable, broken off, too slow, 5xx: the stale one was used */
    REASON_COUNT
};

/* The word for Cache-Status and the log: "set-cookie", "route-never" ... Static. */
const char *reason_name(enum reason reason);

/* What a request's Cache-Control may ask for. */
enum client_control {
    CLIENT_CONTROL_LIMITED, /* honoured, but what came within the last second is new enough */
    CLIENT_CONTROL_HONOUR,
    CLIENT_CONTROL_IGNORE
};

/* The strictest first. */
enum set_cookie_mode {
    SET_COOKIE_PASS,  /* a response with Set-Cookie is not stored */
    SET_COOKIE_STRIP, /* stored without it; who fetched it gets it */
    SET_COOKIE_KEEP   /* stored with it */
};

struct status_ttl {
    int status;
    int64_t ttl_ms; /* 0: not stored */
};

struct policy {
    bool enabled;
    bool has_route;
    bool never;
    bool rfc;                /* cache = "rfc": what HTTP allows, also where ttl is not set */
    int64_t ttl_ms;          /* where the origin is silent, for 2xx; 0: not set */
    int64_t ttl_override_ms; /* for every 2xx, whatever the origin says of time; 0: not set */
    const struct status_ttl *by_status; /* where the origin is silent, for these statuses */
    size_t by_status_count;
    int64_t min_ttl_ms;       /* 0: none; not for a response stale on arrival by its own word */
    int64_t max_ttl_ms;       /* 0: none */
    int64_t heuristic_min_ms; /* least of what Last-Modified gives, with rfc */
    int64_t heuristic_max_ms; /* most; 0: no heuristics */
    int64_t negative_max_ms;  /* most for 404 and 410 without errors_rfc */
    bool errors_rfc;          /* error_statuses = "rfc" */
    enum set_cookie_mode set_cookie;
    int64_t stale_while_ms; /* where the origin does not say: stale-while-revalidate */
    int64_t stale_if_ms;    /* ... and how long a stale one stands in for a failed backend */
    int64_t keep_ms;        /* how long an expired one with a validator is kept to be validated */
    enum client_control client_control;
    bool authorization_rfc;          /* Authorization follows RFC 9111 §3.5 */
    const char *const *forbidden_by; /* other caches' fields that may forbid to store */
    size_t forbidden_by_count;
    bool per_user;           /* the key has the user in it ... */
    bool credentials_in_key; /* ... and a hash of every credential besides */
    bool web_server_vouches; /* ... or the web server itself names the user */
    /* The request has two routes (rewriting.h): this counts besides. What either forbids is forbidden,
     * and what both allow is for the shorter time. NULL: it has one. */
    const struct policy *other;
};

/* Both count from here on. The caller keeps `other`. */
void policy_join(struct policy *policy, const struct policy *other);

#endif
