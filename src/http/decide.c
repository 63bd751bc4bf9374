/*
 * What a shared cache may do (RFC 9111 §3, §4).
 *
 * The order of the tests is the order in which an operator would want to hear
 * the reasons: first what the configuration says, then the request, then the
 * response. Nothing here knows a socket, a clock or a configuration file.
 */
#include "http/decide.h"

#include "http/cache_control.h"
#include "http/date.h"

const char *
reason_name(enum reason reason)
{
    static const char *const names[REASON_COUNT] = {
        [REASON_NONE] = "none",
        [REASON_DISABLED] = "disabled",
        [REASON_NO_ROUTE] = "no-route",
        [REASON_ROUTE_NEVER] = "route-never",
        [REASON_ROUTE_NO_TTL] = "route-no-ttl",
        [REASON_METHOD] = "method",
        [REASON_BODY] = "body-in-request",
        [REASON_RANGE] = "range-in-request",
        [REASON_PRECONDITION] = "precondition-in-request",
        [REASON_COOKIE] = "cookie-in-request",
        [REASON_AUTHORIZATION] = "authorization-in-request",
        [REASON_REMOTE_USER] = "remote-user",
        [REASON_CLIENT_CERTIFICATE] = "client-certificate",
        [REASON_NO_USER] = "no-user",
        [REASON_KEY_TOO_LONG] = "key-too-long",
        [REASON_REQUEST_NO_STORE] = "no-store-in-request",
        [REASON_STATUS] = "status",
        [REASON_NO_STORE] = "no-store",
        [REASON_PRIVATE] = "private",
        [REASON_NO_CACHE] = "no-cache",
        [REASON_SET_COOKIE] = "set-cookie",
        [REASON_VARY] = "vary",
        [REASON_AUTHORIZED_RESPONSE] = "authorized-response",
        [REASON_EXPIRED] = "expired",
        [REASON_CONTENT_RANGE] = "content-range",
        [REASON_TOO_LARGE] = "too-large",
        [REASON_INCOMPLETE] = "incomplete",
        [REASON_HEAD] = "head",
        [REASON_NO_GENERATIONS] = "no-generations",
        [REASON_NO_MEMORY] = "no-memory",
    };
    return reason < REASON_COUNT && names[reason] ? names[reason] : "unknown";
}

bool
method_is_safe(struct slice method)
{
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        if (slice_equal(method, slice_of(safe[i]))) /* methods are case-sensitive */
            return true;
    return false;
}

static bool
has(const struct fields *fields, const char *name)
{
    return fields_get(fields, name).p != NULL;
}

/* Credentials of any kind that the key does not cover make a request personal. */
static enum reason
credentials(const struct policy *policy, const struct request_facts *request)
{
    if (policy->per_user && request->user_missing)
        return REASON_NO_USER;
    if (request->cookie_bypass)
        return REASON_COOKIE;
    bool covered = policy->credentials_in_key || policy->web_server_vouches;
    if (has(request->fields, "Authorization") && !policy->authorization_rfc && !covered)
        return REASON_AUTHORIZATION;
    if (request->remote_user && !policy->web_server_vouches &&
        !(policy->authorization_rfc && has(request->fields, "Authorization")))
        return REASON_REMOTE_USER;
    if (request->client_certificate && !policy->web_server_vouches)
        return REASON_CLIENT_CERTIFICATE;
    return REASON_NONE;
}

enum reason
decide_request(const struct policy *policy, const struct request_facts *request)
{
    if (!policy->enabled)
        return REASON_DISABLED;
    if (policy->never)
        return REASON_ROUTE_NEVER;
    if (!policy->has_route)
        return REASON_NO_ROUTE;
    if (!slice_equal(request->method, slice_of("GET")) &&
        !slice_equal(request->method, slice_of("HEAD")))
        return REASON_METHOD;
    if (policy->ttl_ms <= 0)
        return REASON_ROUTE_NO_TTL;
    /* Content in a GET has no meaning that a cache could know (RFC 9110 §9.3.1). */
    if (request->has_body)
        return REASON_BODY;
    if (has(request->fields, "Range"))
        return REASON_RANGE;
    /* Evaluated by the origin (RFC 9111 §4.3.2). */
    if (has(request->fields, "If-Match") || has(request->fields, "If-Unmodified-Since"))
        return REASON_PRECONDITION;
    return credentials(policy, request);
}

/* Seconds of freshness by the origin's word; -1: it is silent. */
static int64_t
explicit_freshness(const struct cache_control *cc, const struct fields *response, int64_t now_s)
{
    if (cc->s_maxage_s >= 0)
        return cc->s_maxage_s;
    if (cc->max_age_s >= 0)
        return cc->max_age_s;
    size_t cursor = 0;
    const struct field *expires = fields_next(response, "Expires", &cursor);
    if (!expires)
        return -1;
    int64_t expires_s, date_s;
    /* Invalid, "0" above all, means the past (§5.3); so do two of them. */
    if (!http_date_parse(expires->value, now_s, &expires_s) ||
        fields_next(response, "Expires", &cursor))
        return 0;
    if (!http_date_parse(fields_get(response, "Date"), now_s, &date_s))
        date_s = now_s;
    return expires_s > date_s ? expires_s - date_s : 0;
}

/* Age on arrival (§4.2.3): the larger of what Age says and what Date lets one see. */
static int64_t
initial_age(const struct fields *response, int64_t now_s)
{
    int64_t age_s = 0, date_s, apparent_s = 0;
    struct slice age = fields_get(response, "Age");
    if (age.p && !http_seconds_parse(age, &age_s))
        age_s = 0;
    if (http_date_parse(fields_get(response, "Date"), now_s, &date_s) && date_s < now_s)
        apparent_s = now_s - date_s;
    int64_t larger = age_s > apparent_s ? age_s : apparent_s;
    return larger < HTTP_SECONDS_MAX ? larger : HTTP_SECONDS_MAX;
}

struct store_decision
decide_store(const struct policy *policy, const struct request_facts *request, int status,
             const struct fields *response, int64_t now_s)
{
    struct store_decision no = {REASON_NONE, 0, 0};
    struct cache_control asked, cc;
    cache_control_parse(&asked, request->fields);
    cache_control_parse(&cc, response);

#define REFUSE_IF(condition, why) \
    do {                          \
        if (condition) {          \
            no.reason = (why);    \
            return no;            \
        }                         \
    } while (0)

    REFUSE_IF(slice_equal(request->method, slice_of("HEAD")), REASON_HEAD);
    REFUSE_IF(asked.no_store, REASON_REQUEST_NO_STORE);
    REFUSE_IF(status < 200 || status > 299 || status == 206, REASON_STATUS);
    REFUSE_IF(has(response, "Content-Range"), REASON_CONTENT_RANGE);
    REFUSE_IF(cc.no_store, REASON_NO_STORE);
    REFUSE_IF(cc.is_private, REASON_PRIVATE);
    /* Reuse would need validation first (§5.2.2.4); Pragma in a response means nothing (§5.4). */
    REFUSE_IF(cc.no_cache, REASON_NO_CACHE);
    REFUSE_IF(has(response, "Set-Cookie"), REASON_SET_COOKIE);
    REFUSE_IF(has(response, "Vary"), REASON_VARY);
    /* §3.5; where the key has the credentials in it, the response is the user's own. */
    bool covered = policy->credentials_in_key || policy->web_server_vouches;
    REFUSE_IF(has(request->fields, "Authorization") && !covered && !cc.is_public &&
                  !cc.must_revalidate && cc.s_maxage_s < 0,
              REASON_AUTHORIZED_RESPONSE);
#undef REFUSE_IF

    struct store_decision yes = {REASON_NONE, policy->ttl_ms, initial_age(response, now_s)};
    int64_t origin_s = explicit_freshness(&cc, response, now_s);
    if (origin_s >= 0) {
        yes.ttl_ms = (origin_s - yes.age_s) * 1000;
        if (yes.ttl_ms <= 0) {
            no.reason = REASON_EXPIRED;
            return no;
        }
    }
    return yes;
}

int64_t
response_age_s(int64_t initial_age_s, int64_t stored_ms, int64_t now_ms)
{
    /* A clock that was set back must not make a response younger than it arrived. */
    int64_t resident_s = now_ms > stored_ms ? (now_ms - stored_ms) / 1000 : 0;
    int64_t age_s = initial_age_s + resident_s;
    return age_s < HTTP_SECONDS_MAX ? age_s : HTTP_SECONDS_MAX;
}
