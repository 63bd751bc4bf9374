/* The reasons of http/policy.h for people who have never read it. */
#include "responder/explain.h"

const char *
explain_reason(enum reason reason)
{
    static const char *const sentences[REASON_COUNT] = {
        [REASON_NONE] = "nothing stands against it",
        [REASON_DISABLED] = "caching is switched off (cache.enabled)",
        [REASON_LOOP] = "it has passed this pool before, as CDN-Loop or Via says",
        [REASON_SAME_STORE] =
            "it comes from a Larder with the same Redis and namespace, which keeps it there",
        [REASON_NO_ROUTE] = "no route in the configuration matches path, method and host",
        [REASON_ROUTE_NEVER] = "a route says client_cache = \"never\" for this path",
        [REASON_ROUTE_NO_TTL] =
            "the route caches nothing: it has neither cache = \"rfc\" nor a ttl",
        [REASON_METHOD] = "only GET and HEAD are answered from the cache",
        [REASON_BODY] = "the request has a body",
        [REASON_REWRITTEN] =
            "the web server has rewritten the URL to one that is not stored, or has another user",
        [REASON_ERROR_PAGE] =
            "the web server asks for a page to show for an error of its own (REDIRECT_STATUS)",
        [REASON_RANGE] = "the request asks for a range",
        [REASON_PRECONDITION] = "If-Match and If-Unmodified-Since are for the backend to evaluate",
        [REASON_COOKIE] = "the request has a cookie that no list in the route's cookies opens",
        [REASON_QUERY] = "the query has a parameter that the route's query.bypass names",
        [REASON_FIELD] =
            "the request has a field that passes it: by fields.bypass, or by its name a credential",
        [REASON_AUTHORIZATION] = "the request has Authorization, which the route does not open",
        [REASON_REMOTE_USER] = "the web server says who the user is, and the route is not per user",
        [REASON_CLIENT_CERTIFICATE] = "the client has a certificate, and the route is not per user",
        [REASON_NO_USER] = "the route is per user, and the request does not say who it is",
        [REASON_KEY_TOO_LONG] = "the name of its user or resource is too long for a key",
        [REASON_REQUEST_NO_STORE] = "the request says Cache-Control: no-store",
        [REASON_REQUEST_NO_CACHE] = "the request wants something newer (Cache-Control)",
        [REASON_REQUEST_ONLY_IF_CACHED] = "it says only-if-cached, and nothing may be used",
        [REASON_MISS] = "nothing is stored under this key",
        [REASON_VARY_MISS] = "other variants of the URL are stored, but none for these fields",
        [REASON_STALE] = "what is stored is no longer fresh",
        [REASON_MUST_VALIDATE] = "what is stored may never be used without asking (no-cache)",
        [REASON_INVALIDATED] = "what is stored has been invalidated, by a change or a purge",
        [REASON_TAGS_CHANGED] = "what is stored is from before the tags of its route were changed",
        [REASON_OTHER_SERVER] =
            "what is stored is from another Redis, or from before a restart (redis.after_restart)",
        [REASON_JOURNAL] = "this machine has invalidations in its journal that Redis has not got",
        [REASON_HIT_FOR_MISS] = "what came last forbids to store it, so nobody waits for another's",
        [REASON_PARTIAL] = "only a part is stored, and not what is asked for",
        [REASON_STATUS] = "its status says nothing to the next who asks",
        [REASON_ERROR_STATUS] = "it is an error (error_statuses)",
        [REASON_NO_STORE] = "the response says no-store",
        [REASON_PRIVATE] = "the response says private",
        [REASON_NO_CACHE] = "the response says no-cache and has no validator",
        [REASON_SET_COOKIE] = "the response sets a cookie (set_cookie)",
        [REASON_VARY] = "its Vary has too many names, or some that are none",
        [REASON_VARY_STAR] = "its Vary is \"*\"",
        [REASON_AUTHORIZED_RESPONSE] =
            "it answers Authorization and does not open itself to others",
        [REASON_NO_FRESHNESS] = "nobody says how long it is fresh",
        [REASON_EXPIRED] = "it came stale",
        [REASON_CONTENT_RANGE] = "it does not say which part it is",
        [REASON_MUST_UNDERSTAND] = "it says must-understand, and its status is not known",
        [REASON_CONTENT_LOCATION] = "it is not what its own URL would answer",
        [REASON_TOO_LARGE] = "it is larger than cache.max_object",
        [REASON_INCOMPLETE] = "it broke off",
        [REASON_UNTIL_CLOSE] = "it ended with the connection, so nobody knows whether it was whole",
        [REASON_STREAM] = "it is of a kind that has no end",
        [REASON_HEAD] = "it has no body to store",
        [REASON_NO_GENERATIONS] = "Redis did not answer, or not in time",
        [REASON_SILENT] = "what a mutation without an outcome changed was not dropped in time",
        [REASON_TAGS] = "it has too many tags, or one that is too long",
        [REASON_VARIANTS] =
            "the URL has as many variants as may be stored, all of them in use (variants)",
        [REASON_NO_MEMORY] = "there was no memory for it",
        [REASON_BACKEND_FAILED] = "the backend failed",
    };
    return reason < REASON_COUNT && sentences[reason] ? sentences[reason] : "unknown";
}
