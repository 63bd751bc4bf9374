/*
 * May the cache have to do with a request, and is what it has the answer
 * (RFC 9111 §4)? Storing is in store_rules.c.
 *
 * The order of the tests is the order in which an operator would want to hear
 * the reasons: first what the configuration says, then the request, then the
 * response. Nothing here knows a socket, a clock or a configuration file.
 */
#include "http/decide.h"

#include <math.h>

/* With CLIENT_CONTROL_LIMITED: what came or was validated within this time is new enough for a
 * client that asks for something new. */
#define RELOAD_MS 1000

bool
method_is_safe(struct slice method)
{
    /* The registry's other safe ones (PRI) are no requests that get here. */
    static const char *const with_content[] = {"QUERY", "PROPFIND", "REPORT", "SEARCH"};
    for (size_t i = 0; i < sizeof with_content / sizeof *with_content; i++)
        if (slice_equal(method, slice_of(with_content[i])))
            return true;
    return !method_may_have_content(method);
}

bool
method_may_have_content(struct slice method)
{
    static const char *const without[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (slice_equal(method, slice_of(without[i]))) /* methods are case-sensitive */
            return false;
    return true;
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
    /* Empty it names nobody. WordPress' .htaccess makes Apache send it so for every visitor. */
    bool authorization = fields_has_value(request->fields, "Authorization");
    if (authorization && !policy->authorization_rfc && !covered)
        return REASON_AUTHORIZATION;
    if (request->remote_user && !policy->web_server_vouches &&
        !(policy->authorization_rfc && authorization))
        return REASON_REMOTE_USER;
    if (request->client_certificate && !policy->web_server_vouches)
        return REASON_CLIENT_CERTIFICATE;
    return REASON_NONE;
}

static bool
caches(const struct policy *policy)
{
    return policy->rfc || policy->ttl_ms > 0 || policy->ttl_override_ms > 0 ||
           policy->by_status_count > 0;
}

/* What the client's Cache-Control says, where it counts at all. */
static void
asked(struct cache_control *out, const struct policy *policy, const struct request_facts *request)
{
    static const struct fields none = {NULL, 0, 0, 0};
    bool ignored = policy->client_control == CLIENT_CONTROL_IGNORE;
    cache_control_parse(out, ignored ? &none : request->fields);
}

static enum reason
decide_by_one(const struct policy *policy, const struct request_facts *request)
{
    struct cache_control cc;
    if (!policy->enabled)
        return REASON_DISABLED;
    if (policy->never)
        return REASON_ROUTE_NEVER;
    if (!policy->has_route)
        return REASON_NO_ROUTE;
    if (!slice_equal(request->method, slice_of("GET")) &&
        !slice_equal(request->method, slice_of("HEAD")))
        return REASON_METHOD;
    if (!caches(policy))
        return REASON_ROUTE_NO_TTL;
    /* Content in a GET has no meaning that a cache could know (RFC 9110 §9.3.1). */
    if (request->has_body)
        return REASON_BODY;
    /* Asked for by the web server in place of what was asked for, with the URL that was: what is
     * stored under that URL is what it has just refused, and its error is not that URL's page. */
    if (request->error_page)
        return REASON_ERROR_PAGE;
    /* Evaluated by the origin (RFC 9111 §4.3.2). */
    if (has(request->fields, "If-Match") || has(request->fields, "If-Unmodified-Since"))
        return REASON_PRECONDITION;
    enum reason reason = credentials(policy, request);
    if (reason != REASON_NONE)
        return reason;
    if (request->query_bypass)
        return REASON_QUERY;
    if (request->bypass_field.p)
        return REASON_FIELD;
    asked(&cc, policy, request);
    /* §5.2.1.5: it must not be stored; and who says so hardly wants a stored one. */
    return cc.no_store ? REASON_REQUEST_NO_STORE : REASON_NONE;
}

enum reason
decide_request(const struct policy *policy, const struct request_facts *request)
{
    enum reason reason = decide_by_one(policy, request);
    if (reason != REASON_NONE || !policy->other)
        return reason;
    reason = decide_by_one(policy->other, request);
    bool closed = reason == REASON_ROUTE_NEVER || reason == REASON_ROUTE_NO_TTL;
    return closed ? REASON_REWRITTEN : reason;
}

/* ------------------------------------------------------------------------- reuse */

int64_t
response_age_s(int64_t initial_age_s, int64_t stored_ms, int64_t now_ms)
{
    /* A clock that was set back must not make a response younger than it arrived. */
    int64_t resident_s = now_ms > stored_ms ? (now_ms - stored_ms) / 1000 : 0;
    int64_t age_s = initial_age_s + resident_s;
    return age_s < HTTP_SECONDS_MAX ? age_s : HTTP_SECONDS_MAX;
}

/*
 * Time of freshness that is left; negative: stale for so long. What was stored
 * later than now was stored, or is read, by a clock that is wrong, and nobody knows
 * for how long it has been there: it is as stale as can be.
 */
static int64_t
fresh_left_ms(const struct stored *stored, int64_t now_ms)
{
    if (stored->stored_ms - now_ms > DECIDE_AHEAD_MAX_MS)
        return -INT64_MAX / 2;
    int64_t resident_ms = now_ms > stored->stored_ms ? now_ms - stored->stored_ms : 0;
    return stored->ttl_ms - resident_ms;
}

bool
stored_is_fresh(const struct stored *stored, int64_t now_ms)
{
    return !(stored->flags & STORED_NO_CACHE) && fresh_left_ms(stored, now_ms) > 0;
}

/* Does the client want something newer than this fresh response (§5.2.1)? */
static bool
wants_newer(const struct cache_control *cc, int64_t age_s, int64_t left_ms)
{
    return cc->no_cache || (cc->max_age_s >= 0 && age_s > cc->max_age_s) ||
           (cc->min_fresh_s >= 0 && left_ms < cc->min_fresh_s * 1000);
}

/* Has the client said that a response stale for so long will do (§5.2.1.2)? */
static bool
takes_stale(const struct cache_control *cc, int64_t stale_ms)
{
    return cc->max_stale_any || (cc->max_stale_s >= 0 && stale_ms <= cc->max_stale_s * 1000);
}

static struct reuse_decision
ask_backend(struct reuse_decision decision, const struct cache_control *cc, enum reason reason)
{
    decision.reuse = cc->only_if_cached ? REUSE_UNAVAILABLE : REUSE_VALIDATE;
    decision.reason = cc->only_if_cached ? REASON_REQUEST_ONLY_IF_CACHED : reason;
    return decision;
}

struct reuse_decision
decide_reuse(const struct policy *policy, const struct request_facts *request,
             const struct stored *stored, enum reason missing, int64_t now_ms)
{
    struct reuse_decision decision = {.reuse = REUSE_SERVE, .reason = REASON_NONE, .age_s = -1};
    struct cache_control cc;
    asked(&cc, policy, request);
    if (!stored)
        return ask_backend(decision, &cc, missing);
    decision.fresh_left_ms = fresh_left_ms(stored, now_ms);
    if (stored->age_s < 0) /* the ancestor's: as long as Redis has it */
        return decision;
    decision.age_s = response_age_s(stored->age_s, stored->stored_ms, now_ms);
    if (stored->flags & STORED_NO_CACHE)
        return ask_backend(decision, &cc, REASON_MUST_VALIDATE);
    if (decision.fresh_left_ms > 0) {
        if (!wants_newer(&cc, decision.age_s, decision.fresh_left_ms))
            return decision;
        bool just_came = now_ms >= stored->stored_ms && now_ms - stored->stored_ms < RELOAD_MS;
        if (policy->client_control == CLIENT_CONTROL_LIMITED && just_came)
            return decision;
        return ask_backend(decision, &cc, REASON_REQUEST_NO_CACHE);
    }
    int64_t stale_ms = -decision.fresh_left_ms;
    decision.reason = REASON_STALE;
    bool must_ask = stored->flags & STORED_MUST_REVALIDATE;
    bool newer =
        cc.no_cache || cc.min_fresh_s >= 0 ||
        (cc.max_age_s >= 0 && decision.age_s > cc.max_age_s && !takes_stale(&cc, stale_ms));
    if (newer)
        return ask_backend(decision, &cc, REASON_STALE);
    if (!must_ask && takes_stale(&cc, stale_ms))
        return decision;
    if ((!must_ask || (stored->flags & STORED_STALE_WHILE_OK)) &&
        stale_ms < stored->stale_while_s * 1000) {
        decision.reuse = REUSE_SERVE_AND_REFRESH;
        return decision;
    }
    return ask_backend(decision, &cc, REASON_STALE);
}

bool
decide_early(const struct stored *stored, int percent, double random, int64_t now_ms)
{
    int64_t left_ms = fresh_left_ms(stored, now_ms);
    if (percent <= 0 || stored->age_s < 0 || left_ms <= 0)
        return false;
    return -log(random) * (double)stored->fetch_ms * percent / 100 >= (double)left_ms;
}

int64_t
decide_fetch_age_ms(const struct policy *policy, const struct request_facts *request)
{
    struct cache_control cc;
    asked(&cc, policy, request);
    if (!cc.no_cache && cc.max_age_s < 0)
        return INT64_MAX;
    int64_t age_ms = cc.no_cache ? 0 : cc.max_age_s * 1000;
    bool limited = policy->client_control == CLIENT_CONTROL_LIMITED;
    return limited && age_ms < RELOAD_MS ? RELOAD_MS : age_ms;
}

bool
status_is_failure(int status)
{
    return status == 500 || (status >= 502 && status <= 504);
}

bool
decide_on_error(const struct policy *policy, const struct request_facts *request,
                const struct stored *stored, int64_t now_ms)
{
    struct cache_control cc;
    asked(&cc, policy, request);
    /* An old error is no better than a new one. */
    if (status_is_failure(stored->status) || (stored->flags & STORED_NO_CACHE))
        return false;
    int64_t left_ms = fresh_left_ms(stored, now_ms);
    if (left_ms > 0)
        return true;
    bool must_ask = stored->flags & STORED_MUST_REVALIDATE;
    if (cc.stale_if_s >= 0 && !must_ask && -left_ms < cc.stale_if_s * 1000)
        return true;
    return (!must_ask || (stored->flags & STORED_STALE_IF_OK)) &&
           -left_ms < stored->stale_if_s * 1000;
}
