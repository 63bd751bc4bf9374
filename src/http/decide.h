/*
 * What a shared cache may do: pure functions of request, policy, response and
 * time. No I/O, no clock, no allocation. Each answers with a reason, so that
 * every "no" has a name that the operator can be told.
 */
#ifndef HTTP_DECIDE_H
#define HTTP_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fields.h"

enum reason {
    REASON_NONE, /* it may */
    /* of the request */
    REASON_DISABLED,
    REASON_NO_ROUTE,
    REASON_ROUTE_NEVER,
    REASON_ROUTE_NO_TTL,
    REASON_METHOD,
    REASON_BODY,
    REASON_RANGE,
    REASON_PRECONDITION,
    REASON_COOKIE,
    REASON_AUTHORIZATION,
    REASON_REMOTE_USER,
    REASON_CLIENT_CERTIFICATE,
    REASON_NO_USER,
    REASON_KEY_TOO_LONG,
    REASON_REQUEST_NO_STORE,
    /* of the response */
    REASON_STATUS,
    REASON_NO_STORE,
    REASON_PRIVATE,
    REASON_NO_CACHE,
    REASON_SET_COOKIE,
    REASON_VARY,
    REASON_AUTHORIZED_RESPONSE,
    REASON_EXPIRED,
    REASON_CONTENT_RANGE,
    /* of the way it went */
    REASON_TOO_LARGE,
    REASON_INCOMPLETE,
    REASON_HEAD,
    REASON_NO_GENERATIONS,
    REASON_NO_MEMORY,
    REASON_COUNT
};

/* The word for Cache-Status and the log: "set-cookie", "route-never" ... Static. */
const char *reason_name(enum reason reason);

/* The route's say, as far as the rules of HTTP depend on it. */
struct policy {
    bool enabled;
    bool has_route;
    bool never;
    int64_t ttl_ms;          /* applies where the origin is silent; 0: not cached */
    bool authorization_rfc;  /* Authorization follows RFC 9111 §3.5 */
    bool per_user;           /* the key has the user in it ... */
    bool credentials_in_key; /* ... and a hash of every credential besides */
    bool web_server_vouches; /* ... or the web server itself names the user */
};

/* What is known of a request when the decision is made. */
struct request_facts {
    struct slice method;
    const struct fields *fields;
    bool has_body;
    bool remote_user; /* REMOTE_USER or AUTH_TYPE is set */
    bool client_certificate;
    bool cookie_bypass; /* a cookie that the route does not open */
    bool user_missing;  /* the route is per user and nobody says who it is */
};

/* May this request be answered from the cache, and its answer be stored? */
enum reason decide_request(const struct policy *policy, const struct request_facts *request);

/* Is the method safe (RFC 9110 §9.2.1)? Unknown ones are not. */
bool method_is_safe(struct slice method);

struct store_decision {
    enum reason reason; /* REASON_NONE: store it */
    int64_t ttl_ms;     /* fresh for so long from now, > 0 */
    int64_t age_s;      /* how old it is already */
};

/*
 * May this response be stored, and for how long? RFC 9111 §3 and §4.2.1: the
 * origin's s-maxage, max-age or Expires; the route's ttl where it says nothing.
 */
struct store_decision decide_store(const struct policy *policy, const struct request_facts *request,
                                   int status, const struct fields *response, int64_t now_s);

/* Current age in whole seconds of a stored response (RFC 9111 §4.2.3), never negative. */
int64_t response_age_s(int64_t initial_age_s, int64_t stored_ms, int64_t now_ms);

#endif
