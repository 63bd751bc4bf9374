/*
 * A request as the backend gets it: fields for one that speaks HTTP, parameters
 * for one that speaks FastCGI, by one table.
 *
 * A pass goes through as it came, but for what a proxy must say for itself to an
 * HTTP backend (X-Forwarded-*); to a FastCGI backend we are not there at all, and
 * it sees what it would have seen from the web server. To both ask.c adds what
 * makes a loop seen (loop.c).
 *
 * A miss that may be stored is everybody's request, not this visitor's. It has the
 * fields of HTTP in the form that the key or Vary compares, those that the route
 * names (field_use.c), and those that the URL's Vary names: exchange->opening.opened. All
 * others stay here, and what most backends expect has one value for everybody:
 *
 *   User-Agent    a fixed one, because firewalls refuse a request without
 *   Accept        any type
 *   X-Forwarded-For  the addresses that trusted proxies have written, no word of a visitor
 *   Cache-Control no-cache and max-age of a client that asks for something newer
 *   X-Request-Id, traceparent   where they have the form of a number in hex: whoever
 *                 looks for a slow miss in the backend's log needs them, and no word
 *                 or markup has that form
 *
 * Conditions and ranges depend on what is stored: ask.c adds them.
 */
#include "responder/backend_fields.h"

#include "base/number.h"
#include "http/cache_control.h"
#include "http/negotiate.h"
#include "responder/access.h"
#include "responder/field_use.h"
#include "responder/key.h"
#include "responder/query.h"

enum treatment {
    KEEP, /* as it came */
    DROP,
    OURS /* left out, and what stands for it is added below */
};

/* To an HTTP backend, passed or for everybody; to a FastCGI backend the same. */
enum way { HTTP_PASSED, HTTP_SHARED, FASTCGI_PASSED, FASTCGI_SHARED, WAYS };

struct rule {
    const char *name;
    enum treatment treatment[WAYS];
};

/* Fields that no route opens or closes. */
static const struct rule field_rules[] = {
    {"Host", {OURS, OURS, OURS, OURS}},
    /* Not what Vary selects by: they name machines and pools (loop.c adds them). */
    {"CDN-Loop", {OURS, OURS, OURS, OURS}},
    {"Via", {KEEP, OURS, KEEP, OURS}},
    {"Cookie", {KEEP, OURS, KEEP, OURS}},
    /* Where the answer may be shared all the same, the key or RFC 9111 §3.5 sees to it. */
    {"Authorization", {KEEP, KEEP, KEEP, KEEP}},
    {"Accept-Encoding", {KEEP, OURS, KEEP, OURS}},
    {"X-Forwarded-For", {OURS, OURS, KEEP, OURS}},
    {"X-Forwarded-Proto", {OURS, OURS, KEEP, OURS}},
    {"X-Forwarded-Host", {OURS, OURS, KEEP, OURS}},
    /* What a proxy says of the scheme, from one that is trusted. */
    {"Cf-Visitor", {KEEP, OURS, KEEP, OURS}},
    /* Answered by us or for us. */
    {"Expect", {DROP, DROP, KEEP, DROP}},
    /* A parameter of its own. */
    {"Content-Type", {KEEP, DROP, OURS, OURS}},
    /* For us, right or wrong, wherever it was sent to. */
    {"X-Larder-Token", {DROP, DROP, DROP, DROP}},
};

/* Parameters that are no fields; all others are kept. HTTP_PROXY (httpoxy) never comes this far. */
static const struct rule parameter_rules[] = {
    {"REQUEST_METHOD", {[FASTCGI_PASSED] = OURS, [FASTCGI_SHARED] = OURS}},
    {"CONTENT_LENGTH", {[FASTCGI_PASSED] = OURS, [FASTCGI_SHARED] = OURS}},
    {"CONTENT_TYPE", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = OURS}},
    /* Without what the route leaves out of the key. */
    {"REQUEST_URI", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = OURS}},
    {"QUERY_STRING", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = OURS}},
    {"REDIRECT_QUERY_STRING", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = OURS}},
    {"REDIRECT_URI", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = OURS}},
    /* libfcgi's own. */
    {"FCGI_ROLE", {[FASTCGI_PASSED] = DROP, [FASTCGI_SHARED] = DROP}},
    /* Of this visitor's connection, or of the body that is not there. */
    {"HTTP_CONNECTION", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    {"HTTP_CONTENT_LENGTH", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    {"HTTP_CONTENT_TYPE", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    {"HTTP_KEEP_ALIVE", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    {"HTTP_PROXY_CONNECTION", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    {"HTTP_TE", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    {"HTTP_TRAILER", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    {"HTTP_TRANSFER_ENCODING", {[FASTCGI_PASSED] = OURS, [FASTCGI_SHARED] = DROP}},
    {"HTTP_UPGRADE", {[FASTCGI_PASSED] = KEEP, [FASTCGI_SHARED] = DROP}},
    /* As Apache names what it had before a rewriting. */
    {"REDIRECT_HTTP_X_LARDER_TOKEN", {[FASTCGI_PASSED] = DROP, [FASTCGI_SHARED] = DROP}},
};

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

#define NEUTRAL_USER_AGENT "Mozilla/5.0 (compatible; Larder)"
/* Of X-Request-Id and traceparent: shorter ones could be words ("dead-beef"), longer ones are no
 * numbers that anybody counts with. */
#define TRACE_MIN 16
#define TRACE_MAX 64

bool
backend_is_shared(const struct exchange *exchange)
{
    return exchange->reason == REASON_NONE && !exchange->opening.sends_all;
}

static enum way
which_way(const struct exchange *exchange)
{
    bool shared = backend_is_shared(exchange);
    if (exchange->site->config->fastcgi)
        return shared ? FASTCGI_SHARED : FASTCGI_PASSED;
    return shared ? HTTP_SHARED : HTTP_PASSED;
}

/* Does the backend get the client's own value of this field, or its absence? Of an answer that may be
 * shared, and for a field that Larder does not treat by itself. */
static bool
is_open(const struct exchange *exchange, const struct vary *opened, const struct field *field)
{
    switch (field_use(&exchange->match, exchange->site->config, field)) {
    case FIELD_USE_FORWARDED:
    case FIELD_USE_KEYED:
        return true;
    case FIELD_USE_WITHHELD:
    case FIELD_USE_BYPASSES: /* by its value; this one is empty */
        return opened && vary_has(opened, field->name);
    case FIELD_USE_IGNORED:
    case FIELD_USE_OWN:
        break;
    }
    return false;
}

static bool
is_open_name(const struct exchange *exchange, const struct vary *opened, const char *name)
{
    const struct field field = {slice_of(name), {"", 0}};
    return is_open(exchange, opened, &field);
}

static enum treatment
field_treatment(const struct field *field, const struct exchange *exchange, enum way way,
                const struct vary *opened)
{
    for (size_t i = 0; i < COUNT_OF(field_rules); i++)
        if (slice_equal_nocase(field->name, field_rules[i].name))
            return field_rules[i].treatment[way];
    if (way == HTTP_PASSED || way == FASTCGI_PASSED)
        return KEEP;
    /* Reduced where the route has a list. */
    if (slice_equal_nocase(field->name, "Accept-Language"))
        return OURS;
    return is_open(exchange, opened, field) ? KEEP : DROP;
}

/* Reduced to what makes a difference, so that a thousand browsers share one variant. */
static bool
add_negotiated(struct fields *out, const struct exchange *exchange, const struct vary *opened)
{
    struct arena *arena = exchange->arena;
    const struct config *config = exchange->site->config;
    bool failed = false;
    struct slice encoding = fields_join(&exchange->request.fields, arena, "Accept-Encoding");
    if (encoding.p)
        encoding = negotiate_encoding(encoding, config->encodings.list, config->encodings.count,
                                      arena, &failed);
    if (failed || (encoding.p && !fields_add(out, arena, slice_of("Accept-Encoding"), encoding)))
        return false;
    struct slice language = {NULL, 0};
    if (is_open_name(exchange, opened, "Accept-Language"))
        language = backend_language(&exchange->match, &exchange->request.fields, arena);
    return !language.p || fields_add(out, arena, slice_of("Accept-Language"), language);
}

/* In hex, with single hyphens between: two of them begin a comment in SQL, and firewalls know that. */
static bool
is_number(struct slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
              (c == '-' && i > 0 && text.p[i - 1] != '-' && i + 1 < text.n)))
            return false;
    }
    return text.n >= TRACE_MIN && text.n <= TRACE_MAX;
}

/* What stands for the fields that stay here. */
static bool
add_neutral(struct fields *out, const struct exchange *exchange, const struct vary *opened)
{
    static const struct {
        const char *name, *value;
    } fixed[] = {{"User-Agent", NEUTRAL_USER_AGENT}, {"Accept", "*/*"}};
    static const char *const numbers[] = {"X-Request-Id", "Traceparent"};
    struct arena *arena = exchange->arena;
    const struct fields *client = &exchange->request.fields;
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        if (!is_open_name(exchange, opened, fixed[i].name) &&
            !fields_add(out, arena, slice_of(fixed[i].name), slice_of(fixed[i].value)))
            return false;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct slice value = fields_get(client, numbers[i]);
        if (is_number(value) && !is_open_name(exchange, opened, numbers[i]) &&
            !fields_add(out, arena, slice_of(numbers[i]), value))
            return false;
    }
    struct cache_control cc;
    if (exchange->policy.client_control == CLIENT_CONTROL_IGNORE ||
        is_open_name(exchange, opened, "Cache-Control"))
        return true;
    cache_control_parse(&cc, client);
    const char *asked = cc.no_cache ? "no-cache" : NULL;
    if (!asked && cc.max_age_s >= 0 &&
        !(asked = arena_printf(arena, "max-age=%lld", (long long)cc.max_age_s)))
        return false;
    return !asked || fields_add(out, arena, slice_of("Cache-Control"), slice_of(asked));
}

/* The X-Forwarded-For that came from a trusted proxy in front; .p NULL: none did. For a request whose answer
 * is everybody's it is without the part that the proxy has only passed on. */
static struct slice
told_for(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    if (!request->trusted_peer)
        return (struct slice){NULL, 0};
    return backend_is_shared(exchange)
               ? access_forwarded_for(request, exchange->site->config, exchange->arena)
               : fields_join(&request->fields, exchange->arena, "X-Forwarded-For");
}

/* The peer's address behind that; alone otherwise. */
static struct slice
forwarded_for(const struct exchange *exchange, struct arena *arena)
{
    const struct request *request = &exchange->request;
    struct slice before = told_for(exchange);
    if (!before.p || before.n == 0)
        return request->remote_addr;
    return slice_of(arena_printf(arena, "%.*s, %.*s", (int)before.n, before.p,
                                 (int)request->remote_addr.n, request->remote_addr.p));
}

/* As a trusted proxy has it: the scheme that it names is in the key, as X-Forwarded-Proto. */
static bool
add_visitor(struct fields *out, const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    struct slice visitor = fields_get(&request->fields, "Cf-Visitor");
    if (!request->trusted_peer || !visitor.p)
        return true;
    return fields_add(out, exchange->arena, slice_of("Cf-Visitor"),
                      slice_of(slice_equal(request->scheme, slice_of("https"))
                                   ? "{\"scheme\":\"https\"}"
                                   : "{\"scheme\":\"http\"}"));
}

/* What this hop has to say of itself, and of those before it. */
static bool
add_forwarded(struct fields *out, const struct exchange *exchange, struct slice host,
              struct slice outer)
{
    const struct request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    if (exchange->site->config->fastcgi) {
        /* We are no hop. Who asked comes as REMOTE_ADDR; what a trusted proxy says is in the key. */
        if (!request->trusted_peer)
            return true;
        struct slice before = told_for(exchange);
        return (!before.p || fields_add(out, arena, slice_of("X-Forwarded-For"), before)) &&
               (!fields_get(&request->fields, "X-Forwarded-Proto").p ||
                fields_add(out, arena, slice_of("X-Forwarded-Proto"), request->scheme)) &&
               (!outer.p || fields_add(out, arena, slice_of("X-Forwarded-Host"), outer));
    }
    struct slice peers = forwarded_for(exchange, arena);
    return peers.p &&
           (peers.n == 0 || fields_add(out, arena, slice_of("X-Forwarded-For"), peers)) &&
           fields_add(out, arena, slice_of("X-Forwarded-Proto"), request->scheme) &&
           fields_add(out, arena, slice_of("X-Forwarded-Host"), outer.p ? outer : host);
}

/* A backend that logs what it gets is no place for the token. */
static bool
holds_token(const struct exchange *exchange, struct slice name, struct slice value)
{
    const char *token = exchange->site->config->admin_token;
    bool is_authorization = slice_equal_nocase(name, "Authorization") ||
                            slice_equal(name, slice_of("REDIRECT_HTTP_AUTHORIZATION"));
    return token && is_authorization && access_mentions_token(value, token);
}

struct slice
backend_language(const struct route_match *match, const struct fields *fields, struct arena *arena)
{
    const struct route *route = match->route, *beside = route_beside(match);
    struct slice language = fields_join(fields, arena, "Accept-Language");
    if (!language.p || route->languages.count == 0)
        return language;
    /* Two routes that have not the same: neither may take from it what counts for the other. */
    if (beside && !string_lists_equal(&route->languages, &beside->languages))
        return language;
    return slice_of(negotiate_language(language, route->languages.list, route->languages.count));
}

bool
backend_fields(struct fields *out, const struct exchange *exchange, const struct vary *opened)
{
    const struct request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    enum way way = which_way(exchange);
    bool shared = backend_is_shared(exchange);
    /* In the spelling that is in the key: a backend to which WWW.EXAMPLE is another host would
     * otherwise answer for www.example. */
    bool keyed = shared && exchange->key.host.p;
    struct slice host = keyed                ? exchange->key.host
                        : way == HTTP_PASSED ? request->host
                                             : request->host_field;
    struct slice outer = keyed ? exchange->key.forwarded_host : request->forwarded_host;

    if (host.p && !fields_add(out, arena, slice_of("Host"), host))
        return false;
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *f = &request->fields.list[i];
        /* Empty it counts as none (decide.c), so an answer for everybody does not depend on it. */
        if (shared && f->value.n == 0 && slice_equal_nocase(f->name, "Authorization"))
            continue;
        if (field_treatment(f, exchange, way, opened) == KEEP &&
            !holds_token(exchange, f->name, f->value) && !fields_add(out, arena, f->name, f->value))
            return false;
    }
    if (shared && (!add_negotiated(out, exchange, opened) || !add_neutral(out, exchange, opened) ||
                   !add_visitor(out, exchange)))
        return false;
    if (shared && exchange->key.cookies.n &&
        !fields_add(out, arena, slice_of("Cookie"), exchange->key.cookies))
        return false;
    return way == FASTCGI_PASSED || add_forwarded(out, exchange, host, outer);
}

/* Left out of every shared fetch, and ask.c or the body says what stands for it. */
static bool
is_condition(struct slice name)
{
    static const char *const names[] = {
        "If-None-Match", "If-Modified-Since", "If-Range",      "Range",
        "Expect",        "Content-Type",      "X-Larder-Token"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal_nocase(name, names[i]))
            return true;
    return false;
}

bool
backend_fields_withheld(const struct exchange *exchange)
{
    const struct fields *client = &exchange->request.fields;
    enum way way = exchange->site->config->fastcgi ? FASTCGI_SHARED : HTTP_SHARED;
    for (size_t i = 0; i < client->count; i++) {
        const struct field *f = &client->list[i];
        bool same = slice_equal_nocase(f->name, "Accept") && slice_equal(f->value, slice_of("*/*"));
        if (field_treatment(f, exchange, way, NULL) == DROP && !same && !is_condition(f->name))
            return true;
    }
    return fields_get(client, "Accept-Language").p &&
           !is_open_name(exchange, NULL, "Accept-Language");
}

/* -------------------------------------------------------------- parameters */

/* REDIRECT_HTTP_FOO, REDIRECT_REDIRECT_HTTP_FOO ...: what Apache's own redirects leave of a field. */
static bool
is_redirected_field(struct slice name)
{
    static const struct slice prefix = {"REDIRECT_", 9}, field = {"HTTP_", 5};
    size_t at = 0;
    while (name.n - at > prefix.n && memcmp(name.p + at, prefix.p, prefix.n) == 0)
        at += prefix.n;
    return at > 0 && name.n - at > field.n && memcmp(name.p + at, field.p, field.n) == 0 &&
           !slice_equal((struct slice){name.p + at, name.n - at}, slice_of("HTTP_AUTHORIZATION"));
}

static enum treatment
parameter_treatment(struct slice name, enum way way)
{
    for (size_t i = 0; i < COUNT_OF(parameter_rules); i++)
        if (slice_equal(name, slice_of(parameter_rules[i].name)))
            return parameter_rules[i].treatment[way];
    return way == FASTCGI_SHARED && is_redirected_field(name) ? DROP : KEEP;
}

/* "Accept-Language" to "HTTP_ACCEPT_LANGUAGE". .p NULL: no memory. */
static struct slice
parameter_name(struct slice field, struct arena *arena)
{
    char *name = arena_alloc(arena, field.n + 5);
    if (!name)
        return (struct slice){NULL, 0};
    memcpy(name, "HTTP_", 5);
    for (size_t i = 0; i < field.n; i++) {
        char c = field.p[i];
        name[5 + i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return (struct slice){name, field.n + 5};
}

/* The value of one that is ours; .p NULL: it is left out (*failed: no memory). */
static struct slice
own_value(struct slice name, struct slice value, const struct exchange *exchange,
          struct slice method, bool *failed)
{
    const struct request *request = &exchange->request;
    struct slice own = {NULL, 0};
    if (slice_equal(name, slice_of("REQUEST_METHOD")))
        return method;
    if (slice_equal(name, slice_of("CONTENT_LENGTH")))
        return request->length_found ? own : value; /* added at the end */
    /* Of a body that is not there; a framework would look for what is asked in it. nginx always
     * sends it, empty. */
    if (slice_equal(name, slice_of("CONTENT_TYPE")))
        return slice_of("");
    if (slice_equal(name, slice_of("HTTP_TRANSFER_ENCODING")))
        return request->length_found ? own : value; /* it is not chunked any more */
    if (slice_equal(name, slice_of("REQUEST_URI")))
        return exchange->key.target;
    if (slice_equal(name, slice_of("REDIRECT_URI"))) {
        struct slice query = query_of(value);
        if (query.n == 0)
            return value;
        size_t path = value.n - query.n;
        query = query_reduced(query, request->target, exchange->key.target, exchange->arena);
        own = slice_of(query.p ? arena_printf(exchange->arena, "%.*s%.*s",
                                              (int)(query.n ? path : path - 1), value.p,
                                              (int)query.n, query.p)
                               : NULL);
    } else {
        own = query_reduced(value, request->target, exchange->key.target, exchange->arena);
    }
    *failed |= !own.p;
    return own;
}

bool
backend_parameters(struct backend_parameters *out, const struct exchange *exchange,
                   struct slice method, const struct fields *fields)
{
    const struct request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    enum way way = which_way(exchange);
    bool failed = false;
    out->count = 0;
    out->list =
        arena_calloc(arena, request->parameter_count + fields->count + 1, sizeof *out->list);
    if (!out->list)
        return false;
    for (size_t i = 0; i < request->parameter_count; i++) {
        struct upstream_parameter one = request->parameters[i];
        enum treatment treatment = parameter_treatment(one.name, way);
        if (treatment == OURS)
            one.value = own_value(one.name, one.value, exchange, method, &failed);
        if (treatment != DROP && one.value.p && !holds_token(exchange, one.name, one.value))
            out->list[out->count++] = one;
    }
    for (size_t i = 0; i < fields->count; i++) {
        /* There already, under the name by which the web server lets it through. */
        if (request->authorization_found &&
            slice_equal_nocase(fields->list[i].name, "Authorization"))
            continue;
        struct slice name = parameter_name(fields->list[i].name, arena);
        failed |= !name.p;
        out->list[out->count++] = (struct upstream_parameter){name, fields->list[i].value};
    }
    if (request->length_found) {
        char *text = arena_alloc(arena, NUMBER_DIGITS_MAX);
        failed |= !text;
        if (text)
            out->list[out->count++] = (struct upstream_parameter){
                slice_of("CONTENT_LENGTH"),
                {text, number_format(text, (uint64_t)request->content_length)}};
    }
    return !failed;
}
