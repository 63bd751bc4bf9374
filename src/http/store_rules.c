/*
 * May a response be stored, and for how long is it fresh (RFC 9111 §3, §4.2)?
 *
 * Prohibitions come first and nothing beats them: a route that says "ten
 * minutes, whatever the backend says" speaks of time, not of whose page it is.
 */
#include "http/condition.h"
#include "http/date.h"
#include "http/decide.h"

/* "A typical setting of this fraction might be 10%" (§4.2.2). */
#define HEURISTIC_DIVISOR 10

static bool
is_one_of(int status, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == status)
            return true;
    return false;
}

/* Those whose meaning for caches is known to us (§5.2.2.3): RFC 9110 §15, and what was registered
 * beside it without rules of its own. */
static bool
is_understood(int status)
{
    static const int known[] = {
        200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 307, 308, 400, 401,
        402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422,
        423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 511};
    return is_one_of(status, known, sizeof known / sizeof *known);
}

/* RFC 9110 §15.1. */
static bool
is_heuristic(int status)
{
    static const int cacheable[] = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501};
    return is_one_of(status, cacheable, sizeof cacheable / sizeof *cacheable);
}

static bool
is_success(int status)
{
    return status >= 200 && status <= 299;
}

/* Said of a status by the route: -1: nothing. */
static int64_t
status_ttl_ms(const struct policy *policy, int status)
{
    for (size_t i = 0; i < policy->by_status_count; i++)
        if (policy->by_status[i].status == status)
            return policy->by_status[i].ttl_ms;
    return -1;
}

static bool
has(const struct fields *fields, const char *name)
{
    return fields_get(fields, name).p != NULL;
}

/* ------------------------------------------------------------------- prohibitions */

static bool
another_cache_forbids(const struct policy *policy, const struct fields *response, int64_t now_s)
{
    for (size_t i = 0; i < policy->forbidden_by_count; i++)
        if (cache_control_forbids(response, policy->forbidden_by[i], now_s))
            return true;
    return false;
}

static enum reason
prohibition(const struct policy *policy, const struct request_facts *request, int status,
            const struct fields *response, const struct cache_control *cc, int64_t now_s)
{
    if (slice_equal(request->method, slice_of("HEAD")))
        return REASON_HEAD;
    if (status < 200 || status > 599 || status == 304)
        return REASON_STATUS;
    if (cc->must_understand && !is_understood(status))
        return REASON_MUST_UNDERSTAND;
    /* Beside must-understand it is for those who do not understand (§5.2.2.3). */
    if ((cc->no_store && !cc->must_understand) || another_cache_forbids(policy, response, now_s))
        return REASON_NO_STORE;
    bool covered = policy->credentials_in_key || policy->web_server_vouches;
    if (cc->is_private)
        return REASON_PRIVATE;
    if (policy->set_cookie == SET_COOKIE_PASS &&
        (has(response, "Set-Cookie") || has(response, "Set-Cookie2")))
        return REASON_SET_COOKIE;
    if (fields_list_has(response, "Vary", slice_of("*")))
        return REASON_VARY_STAR;
    /* §3.5; where the key has the credentials in it, the response is the user's own. */
    if (fields_has_value(request->fields, "Authorization") && !covered && !cc->is_public &&
        !cc->must_revalidate && cc->s_maxage_s < 0)
        return REASON_AUTHORIZED_RESPONSE;
    bool brief = status == 404 || status == 410;
    if (status >= 400 && !brief && !policy->errors_rfc && status_ttl_ms(policy, status) < 0)
        return REASON_ERROR_STATUS;
    return REASON_NONE;
}

/* ---------------------------------------------------------------------- freshness */

int64_t
response_initial_age_s(const struct fields *response, const struct response_times *times)
{
    int64_t date_s, apparent_s = 0, response_s = times->response_ms / 1000;
    /* Of two clocks one may be wrong: what came is as old as both of them say. */
    if (times->local_ms / 1000 < response_s)
        response_s = times->local_ms / 1000;
    /* §4.2.3: corrected_age_value = age_value + response_delay */
    int64_t delay_ms = times->response_ms - times->request_ms;
    int64_t age_s = http_age_parse(response) + (delay_ms > 0 ? delay_ms / 1000 : 0);
    if (http_date_parse(fields_get(response, "Date"), response_s, &date_s) && date_s < response_s)
        apparent_s = response_s - date_s;
    int64_t larger_s = age_s > apparent_s ? age_s : apparent_s;
    return larger_s < HTTP_SECONDS_MAX ? larger_s : HTTP_SECONDS_MAX;
}

/* What the origin says itself; -1: nothing. */
static int64_t
explicit_s(const struct cache_control *cc, bool targeted, const struct fields *response,
           int64_t now_s)
{
    if (cc->s_maxage_s >= 0)
        return cc->s_maxage_s;
    if (cc->max_age_s >= 0)
        return cc->max_age_s;
    size_t cursor = 0;
    const struct field *expires = targeted ? NULL : fields_next(response, "Expires", &cursor);
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

/* A tenth of the time that it has not changed for (§4.2.2); -1: there is nothing to go by. */
static int64_t
heuristic_ms(const struct policy *policy, const struct cache_control *cc, int status,
             const struct fields *response, int64_t now_s)
{
    int64_t modified_s, date_s;
    if (!policy->rfc || policy->heuristic_max_ms <= 0 || (!is_heuristic(status) && !cc->is_public))
        return -1;
    if (!http_date_parse(fields_get(response, "Last-Modified"), now_s, &modified_s))
        return -1;
    if (!http_date_parse(fields_get(response, "Date"), now_s, &date_s))
        date_s = now_s;
    if (modified_s > date_s)
        return -1;
    int64_t unchanged_s = date_s - modified_s;
    /* The years of a date are bounded, so this cannot overflow. */
    int64_t ttl_ms = unchanged_s * 1000 / HEURISTIC_DIVISOR;
    if (ttl_ms < policy->heuristic_min_ms)
        ttl_ms = policy->heuristic_min_ms;
    return ttl_ms < policy->heuristic_max_ms ? ttl_ms : policy->heuristic_max_ms;
}

struct lifetime {
    int64_t ttl_ms;    /* -1: nobody says anything */
    bool from_arrival; /* the route's word, which does not count what the response's age was */
    bool heuristic;
};

static struct lifetime
lifetime_of(const struct policy *policy, const struct cache_control *cc, bool targeted, int status,
            const struct fields *response, int64_t now_s)
{
    if (policy->ttl_override_ms > 0 && is_success(status))
        return (struct lifetime){.ttl_ms = policy->ttl_override_ms, .from_arrival = true};
    int64_t origin_s = explicit_s(cc, targeted, response, now_s);
    if (origin_s >= 0)
        return (struct lifetime){.ttl_ms = origin_s * 1000};
    int64_t route_ms = status_ttl_ms(policy, status);
    if (route_ms == 0) /* "not this one": nobody guesses either */
        return (struct lifetime){.ttl_ms = -1};
    if (route_ms < 0 && policy->ttl_ms > 0 && is_success(status))
        route_ms = policy->ttl_ms;
    if (route_ms >= 0)
        return (struct lifetime){.ttl_ms = route_ms, .from_arrival = true};
    return (struct lifetime){.ttl_ms = heuristic_ms(policy, cc, status, response, now_s),
                             .heuristic = true};
}

static int64_t
at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

/* ------------------------------------------------------------------- the decision */

/*
 * How long it may be used past its time, and by whose word. What its origin gives no
 * time at all ("max-age=0" or an Expires of the past, most often beside an ETag) is to be
 * asked about each time: the route's word, which is for pages whose time is over, does
 * not make ten seconds of nothing. While the origin fails it may still be used.
 */
static void
staleness(struct store_decision *out, const struct policy *policy, const struct cache_control *cc,
          bool never_fresh)
{
    bool never = cc->must_revalidate || cc->proxy_revalidate || cc->no_cache;
    bool own_word_only = never || cc->s_maxage_s >= 0; /* §5.2.2.10 */
    if (policy->ttl_override_ms > 0)
        never = own_word_only = false; /* the route says what time means here */
    if (cc->no_cache && policy->ttl_override_ms <= 0)
        out->flags |= STORED_NO_CACHE;
    if (own_word_only)
        out->flags |= STORED_MUST_REVALIDATE;
    if (never)
        return;
    out->stale_while_s = own_word_only || never_fresh ? 0 : policy->stale_while_ms / 1000;
    out->stale_if_s = own_word_only ? 0 : policy->stale_if_ms / 1000;
    /* RFC 5861; beside s-maxage it is the origin's explicit permission. */
    if (cc->stale_while_s >= 0) {
        out->stale_while_s = cc->stale_while_s;
        out->flags |= STORED_STALE_WHILE_OK;
    }
    if (cc->stale_if_s >= 0) {
        out->stale_if_s = cc->stale_if_s;
        out->flags |= STORED_STALE_IF_OK;
    }
}

static int64_t
keep_ms(const struct store_decision *decision, const struct policy *policy, bool validator)
{
    int64_t beyond_ms = decision->stale_while_s * 1000;
    if (decision->stale_if_s * 1000 > beyond_ms)
        beyond_ms = decision->stale_if_s * 1000;
    int64_t kept_ms = decision->ttl_ms + beyond_ms;
    int64_t fresh_ms = decision->ttl_ms > 0 ? decision->ttl_ms : 0;
    if (validator && fresh_ms + policy->keep_ms > kept_ms)
        kept_ms = fresh_ms + policy->keep_ms;
    return at_most(kept_ms, DECIDE_TTL_MAX_MS);
}

static bool
begins_nocase(struct slice text, const char *with)
{
    size_t n = strlen(with);
    return text.n >= n && strncasecmp(text.p, with, n) == 0;
}

bool
response_is_stream(const struct fields *response)
{
    static const char *const endless[] = {"text/event-stream", "multipart/x-mixed-replace"};
    static const char *const live[] = {"audio/", "video/", "application/ogg"};
    struct slice type = fields_get(response, "Content-Type");
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++)
        if (begins_nocase(type, endless[i]))
            return true;
    for (size_t i = 0; i < sizeof live / sizeof *live; i++)
        if (begins_nocase(type, live[i]))
            return !fields_get(response, "Content-Length").p;
    return false;
}

bool
status_is_of_request(int status)
{
    static const int list[] = {304, 400, 408, 411, 412, 413, 414, 415,
                               416, 417, 421, 425, 426, 428, 429, 431};
    return is_one_of(status, list, sizeof list / sizeof *list);
}

bool
status_is_of_sender(int status)
{
    static const int list[] = {401, 403, 407, 451};
    return is_one_of(status, list, sizeof list / sizeof *list);
}

bool
decide_replaces(int status, enum reason reason, bool fresh)
{
    if (status < 200 || status >= 500 || status_is_of_request(status) ||
        (fresh && status_is_of_sender(status)))
        return false;
    /* REASON_UNTIL_CLOSE counts: one that was cut costs a miss, and without it a page that has lost
     * its length would be served in its old form for as long as that may be used stale. */
    return reason != REASON_INCOMPLETE && reason != REASON_NO_MEMORY &&
           reason != REASON_CONTENT_RANGE && reason != REASON_BACKEND_FAILED;
}

bool
decision_shares(const struct store_decision *decision)
{
    return decision->reason == REASON_NONE && decision->ttl_ms > 0 &&
           !(decision->flags & STORED_NO_CACHE);
}

static struct store_decision
decide_by_one(const struct policy *policy, const struct request_facts *request, int status,
              const struct fields *response, const struct response_times *times)
{
    struct store_decision decision = {.reason = REASON_NONE};
    struct cache_control cc;
    bool targeted;
    /* Of two clocks one may be wrong: what ends at a time ends when one of them says so. */
    int64_t now_s = (times->local_ms > times->response_ms ? times->local_ms : times->response_ms) /
                    1000;
    cache_control_of_response(&cc, response, &targeted);
    decision.reason = prohibition(policy, request, status, response, &cc, now_s);
    if (decision.reason != REASON_NONE)
        return decision;

    bool validator = has(response, "ETag") || has(response, "Last-Modified");
    decision.age_s = response_initial_age_s(response, times);
    struct lifetime life = lifetime_of(policy, &cc, targeted, status, response, now_s);
    /* "no-cache" alone is word enough: it may be stored, to be asked about (§5.2.2.4). */
    if (life.ttl_ms < 0 && !(cc.no_cache && validator && policy->rfc)) {
        decision.reason = cc.no_cache ? REASON_NO_CACHE : REASON_NO_FRESHNESS;
        return decision;
    }
    bool by_origin_itself = !life.from_arrival && !life.heuristic;
    staleness(&decision, policy, &cc, by_origin_itself && life.ttl_ms == 0);
    if (life.heuristic && life.ttl_ms >= 0)
        decision.flags |= STORED_HEURISTIC;

    int64_t ttl_ms = life.ttl_ms > 0 ? life.ttl_ms : 0;
    if ((status == 404 || status == 410) && !policy->errors_rfc &&
        status_ttl_ms(policy, status) < 0)
        ttl_ms = at_most(ttl_ms, policy->negative_max_ms);
    if (ttl_ms > 0 && ttl_ms < policy->min_ttl_ms)
        ttl_ms = policy->min_ttl_ms;
    if (!life.from_arrival)
        ttl_ms -= decision.age_s * 1000;
    if (policy->max_ttl_ms > 0)
        ttl_ms = at_most(ttl_ms, policy->max_ttl_ms);
    ttl_ms = at_most(ttl_ms, DECIDE_TTL_MAX_MS);
    decision.ttl_ms = ttl_ms > -DECIDE_TTL_MAX_MS ? ttl_ms : -DECIDE_TTL_MAX_MS;
    decision.keep_ms = keep_ms(&decision, policy, validator);
    bool of_use = decision.ttl_ms > 0 && !(decision.flags & STORED_NO_CACHE);
    /* What never was fresh is worth storing if it can be asked about, or used stale; by the route's
     * word only where it wants all that HTTP allows: elsewhere that would be a write for each answer
     * that is hardly ever read. */
    bool by_origin = ((decision.flags & STORED_STALE_WHILE_OK) && decision.stale_while_s > 0) ||
                     ((decision.flags & STORED_STALE_IF_OK) && decision.stale_if_s > 0);
    bool by_route = policy->rfc && (decision.stale_while_s > 0 || decision.stale_if_s > 0);
    if (decision.keep_ms <= 0 || (!of_use && !validator && !by_origin && !by_route))
        decision.reason = cc.no_cache ? REASON_NO_CACHE : REASON_EXPIRED;
    return decision;
}

struct store_decision
decide_store(const struct policy *policy, const struct request_facts *request, int status,
             const struct fields *response, const struct response_times *times)
{
    static const unsigned permissions = STORED_STALE_WHILE_OK | STORED_STALE_IF_OK;
    struct store_decision one = decide_by_one(policy, request, status, response, times);
    if (!policy->other || one.reason != REASON_NONE)
        return one;
    struct store_decision other = decide_by_one(policy->other, request, status, response, times);
    if (other.reason != REASON_NONE)
        return other;
    one.ttl_ms = at_most(one.ttl_ms, other.ttl_ms);
    one.stale_while_s = at_most(one.stale_while_s, other.stale_while_s);
    one.stale_if_s = at_most(one.stale_if_s, other.stale_if_s);
    one.keep_ms = at_most(one.keep_ms, other.keep_ms);
    one.flags = ((one.flags | other.flags) & ~permissions) |
                (one.flags & other.flags & permissions);
    return one;
}
