/* Two policies that count both; and the words for what was decided, which are read by people and by
 * scripts: once out, they stay. */
#include "http/policy.h"

void
policy_join(struct policy *policy, const struct policy *other)
{
    policy->other = other;
    if (other->set_cookie < policy->set_cookie)
        policy->set_cookie = other->set_cookie;
    /* What the client asks for is ignored if both ignore it, and limited unless one honours it. */
    if (policy->client_control != other->client_control)
        policy->client_control = policy->client_control == CLIENT_CONTROL_HONOUR ||
                                         other->client_control == CLIENT_CONTROL_HONOUR
                                     ? CLIENT_CONTROL_HONOUR
                                     : CLIENT_CONTROL_LIMITED;
}

const char *
reason_name(enum reason reason)
{
    static const char *const names[REASON_COUNT] = {
        [REASON_NONE] = "none",
        [REASON_DISABLED] = "disabled",
        [REASON_LOOP] = "loop",
        [REASON_SAME_STORE] = "same-store",
        [REASON_NO_ROUTE] = "no-route",
        [REASON_ROUTE_NEVER] = "route-never",
        [REASON_ROUTE_NO_TTL] = "route-no-ttl",
        [REASON_METHOD] = "method",
        [REASON_BODY] = "body-in-request",
        [REASON_REWRITTEN] = "rewritten",
        [REASON_ERROR_PAGE] = "error-page",
        [REASON_RANGE] = "range-in-request",
        [REASON_PRECONDITION] = "precondition-in-request",
        [REASON_COOKIE] = "cookie-in-request",
        [REASON_QUERY] = "query-in-request",
        [REASON_FIELD] = "field-in-request",
        [REASON_AUTHORIZATION] = "authorization-in-request",
        [REASON_REMOTE_USER] = "remote-user",
        [REASON_CLIENT_CERTIFICATE] = "client-certificate",
        [REASON_NO_USER] = "no-user",
        [REASON_KEY_TOO_LONG] = "key-too-long",
        [REASON_REQUEST_NO_STORE] = "no-store-in-request",
        [REASON_REQUEST_NO_CACHE] = "no-cache-in-request",
        [REASON_REQUEST_ONLY_IF_CACHED] = "only-if-cached",
        [REASON_MISS] = "uri-miss",
        [REASON_VARY_MISS] = "vary-miss",
        [REASON_STALE] = "stale",
        [REASON_MUST_VALIDATE] = "must-validate",
        [REASON_INVALIDATED] = "invalidated",
        [REASON_TAGS_CHANGED] = "tags-changed",
        [REASON_OTHER_SERVER] = "redis-restarted",
        [REASON_JOURNAL] = "journal",
        [REASON_HIT_FOR_MISS] = "hit-for-miss",
        [REASON_PARTIAL] = "partial",
        [REASON_STATUS] = "status",
        [REASON_ERROR_STATUS] = "error-status",
        [REASON_NO_STORE] = "no-store",
        [REASON_PRIVATE] = "private",
        [REASON_NO_CACHE] = "no-cache",
        [REASON_SET_COOKIE] = "set-cookie",
        [REASON_VARY] = "vary",
        [REASON_VARY_STAR] = "vary-star",
        [REASON_AUTHORIZED_RESPONSE] = "authorized-response",
        [REASON_NO_FRESHNESS] = "no-freshness",
        [REASON_EXPIRED] = "expired",
        [REASON_CONTENT_RANGE] = "content-range",
        [REASON_MUST_UNDERSTAND] = "must-understand",
        [REASON_CONTENT_LOCATION] = "content-location",
        [REASON_TOO_LARGE] = "too-large",
        [REASON_INCOMPLETE] = "incomplete",
        [REASON_UNTIL_CLOSE] = "until-close",
        [REASON_STREAM] = "stream",
        [REASON_HEAD] = "head",
        [REASON_NO_GENERATIONS] = "no-generations",
        [REASON_SILENT] = "silent-mutation",
        [REASON_TAGS] = "tags",
        [REASON_VARIANTS] = "variants",
        [REASON_NO_MEMORY] = "no-memory",
        [REASON_BACKEND_FAILED] = "backend-failed",
    };
    return reason < REASON_COUNT && names[reason] ? names[reason] : "unknown";
}
