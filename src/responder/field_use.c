/*
 * What a field of a request does on its route.
 *
 * The principle: a field that could change an answer is in the key, passes the
 * request, or does not reach the backend on a fetch whose answer may be shared. A
 * list of dangerous names would always lack the next one, so every field is kept
 * back that nobody has named:
 *
 *   own         the fields of HTTP itself, which backend_fields.c knows
 *   route       fields.bypass, .key, .forward and .ignore, in this order
 *   user        the field that names the route's user is in the key
 *   trusted     trusted_fields, where the user that the web server names is in the key
 *   by name     Origin and versions of an interface are in the key; credentials, and
 *               what asks for a part of a page, pass
 *   else        withheld
 *
 * Why credentials pass: a client that sends an API key needs its own answer. The
 * answer to a request without the key would be wrong for it. Anybody can have a
 * request passed with a cookie or Authorization, so this opens no new way to load
 * the backend.
 *
 * Why Origin is in the key: many servers say Vary only to a request that has it, so
 * its absence would go unnoticed, and a page of another site would be refused what
 * it may have.
 *
 * Why fields pass by which libraries ask for a part of a page: applications seldom
 * say Vary for them, and the whole page in place of the part breaks the page that
 * the visitor sees. X-Requested-With has two meanings only and is part of the key:
 * jQuery says XMLHttpRequest, and any other value (Android sends the name of the
 * app with every request of a WebView) counts as absent.
 *
 * Called for every field of every request, so it allocates nothing, and a usual
 * name costs the comparison of a few bytes.
 */
#include "responder/field_use.h"

#include "base/glob.h"

#define COUNT_OF(list) (sizeof(list) / sizeof *(list))
/* Longest name that a glob is compared with; a longer one is withheld. */
#define NAME_MAX_BYTES 128

/* In lower case; * at the end stands for anything. */
static const char *const passing_x[] = {
    /* keys, tokens and signatures; what ends in one of `passing_ends` besides */
    "x-api-key*",
    "x-apikey*",
    "x-app-key",
    "x-access-*",
    "x-auth*",
    "x-csrf*",
    "x-xsrf*",
    "x-jwt*",
    "x-session*",
    "x-signature*",
    "x-hub-signature*",
    /* who the user is, as a proxy in front says */
    "x-user",
    "x-user-id",
    "x-userid",
    "x-user-name",
    "x-username",
    "x-user-email",
    "x-user-groups",
    "x-user-roles",
    "x-remote-user*",
    "x-remote-group*",
    "x-remote-email",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-webauth-*",
    "x-goog-iap-*",
    "x-goog-authenticated-*",
    "x-amzn-oidc-*",
    "x-ms-client-principal*",
    "x-ms-token-*",
    "x-ssl-client-*",
    "x-client-cert*",
    /* a part of a page */
    "x-pjax*",
    "x-inertia*",
    "x-livewire*",
    "x-up-version",
    "x-up-target",
};

static const char *const passing[] = {
    "api-key",
    "apikey",
    "nonce",
    "token",
    "remote-user",
    "remote-groups",
    "remote-name",
    "remote-email",
    "ssl-client-*",
    "client-cert*",
    "cf-access-*",
    "dpop",
    "signature",
    "signature-input",
    "ocp-apim-subscription-key",
    /* a part of a page */
    "hx-request",
    "turbo-frame",
    "datastar-request",
};

static const char *const passing_ends[] = {
    "-token", "-nonce", "-secret", "-api-key", "-apikey", "-jwt", "-assertion", "-credentials",
};

static const char *const keyed[] = {"origin", "api-version", "accept-version"};
static const char *const keyed_x[] = {"x-api-version"};

/* Fields of HTTP, and those that say where a request came from. */
static const char *const own[] = {
    "Accept-Encoding",
    "Authorization",
    "CDN-Loop",
    "Cf-Visitor",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Expect",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Range",
    "Transfer-Encoding",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Larder-Token",
};

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_own(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (lower(own[i][0]) == lower(name.p[0]) && slice_equal_nocase(name, own[i]))
            return true;
    return false;
}

static bool
in_list(struct slice name, const char *const *list, size_t count)
{
    size_t from = count && list[0][0] == 'x' ? 2 : 0; /* all begin with "x-" */
    for (size_t i = 0; i < count; i++) {
        const char *pattern = list[i];
        if (name.n <= from || pattern[from] != lower(name.p[from]))
            continue;
        size_t n = strlen(pattern);
        bool prefix = pattern[n - 1] == '*';
        n -= prefix;
        if ((prefix ? name.n >= n : name.n == n) && strncasecmp(name.p, pattern, n) == 0)
            return true;
    }
    return false;
}

static bool
passes_by_name(struct slice name)
{
    bool is_x = name.n > 2 && lower(name.p[0]) == 'x' && name.p[1] == '-';
    if (is_x ? in_list(name, passing_x, COUNT_OF(passing_x))
             : in_list(name, passing, COUNT_OF(passing)))
        return true;
    for (size_t i = 0; i < COUNT_OF(passing_ends); i++) {
        size_t n = strlen(passing_ends[i]);
        if (name.n > n && lower(name.p[name.n - 1]) == passing_ends[i][n - 1] &&
            strncasecmp(name.p + name.n - n, passing_ends[i], n) == 0)
            return true;
    }
    return false;
}

static enum field_use
by_route(const struct route *route, struct slice name)
{
    char small[NAME_MAX_BYTES];
    if (route->field_count == 0 || name.n > sizeof small)
        return FIELD_USE_WITHHELD;
    for (size_t i = 0; i < name.n; i++)
        small[i] = lower(name.p[i]);
    for (size_t i = 0; i < route->field_count; i++) {
        const struct field_rule *rule = &route->fields[i];
        if (!glob_match(rule->glob, strlen(rule->glob), small, name.n))
            continue;
        switch (rule->mode) {
        case FIELD_BYPASS:
            return FIELD_USE_BYPASSES;
        case FIELD_KEY:
            return FIELD_USE_KEYED;
        case FIELD_FORWARD:
            return FIELD_USE_FORWARDED;
        case FIELD_IGNORE:
            return FIELD_USE_IGNORED;
        }
    }
    return FIELD_USE_WITHHELD;
}

static enum field_use
use_on_route(const struct route *route, const struct config *config, const struct field *field)
{
    struct slice name = field->name;
    bool vouched = route->user != USER_NONE && route->user_trusted;
    if (is_own(name))
        return FIELD_USE_OWN;
    enum field_use use = by_route(route, name);
    if (use != FIELD_USE_WITHHELD)
        return use;
    /* Its value is in the key as the user. */
    if (route->user == USER_FIELD && slice_equal_nocase(name, route->user_name))
        return FIELD_USE_FORWARDED;
    for (size_t i = 0; vouched && i < config->trusted_fields.count; i++)
        if (slice_equal_nocase(name, config->trusted_fields.list[i]))
            return FIELD_USE_FORWARDED;
    if (in_list(name, keyed, COUNT_OF(keyed)) || in_list(name, keyed_x, COUNT_OF(keyed_x)))
        return field->value.n > 0 ? FIELD_USE_KEYED : FIELD_USE_WITHHELD;
    if (slice_equal_nocase(name, "X-Requested-With"))
        return slice_equal(field->value, slice_of("XMLHttpRequest")) ? FIELD_USE_KEYED
                                                                     : FIELD_USE_WITHHELD;
    /* Empty it names nobody and asks for nothing; some proxies send it so for every visitor. */
    return field->value.n > 0 && passes_by_name(name) ? FIELD_USE_BYPASSES : FIELD_USE_WITHHELD;
}

enum field_use
field_use(const struct route_match *match, const struct config *config, const struct field *field)
{
    const struct route *beside = route_beside(match);
    enum field_use use = use_on_route(match->route, config, field);
    if (!beside)
        return use;
    enum field_use other = use_on_route(beside, config, field);
    bool open = use < FIELD_USE_KEYED && other < FIELD_USE_KEYED;
    return open == (use < other) ? use : other;
}
