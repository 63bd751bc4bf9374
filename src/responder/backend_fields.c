/*
 * A request as the backend gets it: fields for one that speaks HTTP, parameters
 * for one that speaks FastCGI, by one table.
 *
 * A pass goes through as it came, but for what a proxy must say for itself to an
 * HTTP backend (X-Forwarded-*); to a FastCGI backend we are not there at all, and
 * it sees what it would have seen from the web server. To both ask.c adds what
 * makes a loop seen (loop.c). A miss that may
 * be stored is everybody's request, not this visitor's: what could change the
 * answer without being in the key is left out, cookies that the route ignores are
 * not sent, and what is negotiated goes out in the form in which Vary will
 * compare it. Conditions and ranges depend on what is stored: ask.c adds them.
 */
#include "responder/backend_fields.h"

#include "base/number.h"
#include "http/negotiate.h"
#include "responder/access.h"
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

static const struct rule field_rules[] = {
    {"Host", {OURS, OURS, OURS, OURS}},
    /* Not what Vary selects by: it names machines and pools (loop.c adds it). */
    {"CDN-Loop", {OURS, OURS, OURS, OURS}},
    {"Cookie", {KEEP, OURS, KEEP, OURS}},
    {"Accept-Encoding", {KEEP, OURS, KEEP, OURS}},
    {"Accept-Language", {KEEP, OURS, KEEP, OURS}},
    {"X-Forwarded-For", {OURS, OURS, KEEP, OURS}},
    {"X-Forwarded-Proto", {OURS, OURS, KEEP, OURS}},
    {"X-Forwarded-Host", {OURS, OURS, KEEP, OURS}},
    /* Answered by us or for us. */
    {"Expect", {DROP, DROP, KEEP, DROP}},
    /* A parameter of its own. */
    {"Content-Type", {KEEP, KEEP, OURS, OURS}},
    /* They make the answer one that is of use to this visitor alone. */
    {"If-None-Match", {KEEP, DROP, KEEP, DROP}},
    {"If-Modified-Since", {KEEP, DROP, KEEP, DROP}},
    {"If-Range", {KEEP, DROP, KEEP, DROP}},
    {"Range", {KEEP, DROP, KEEP, DROP}},
    /* Known to change what frameworks answer while no cache has them in its key (the "unkeyed input"
     * of cache poisoning). */
    {"Forwarded", {KEEP, DROP, KEEP, DROP}},
    {"X-Url-Scheme", {KEEP, DROP, KEEP, DROP}},
    {"Front-End-Https", {KEEP, DROP, KEEP, DROP}},
    {"X-Host", {KEEP, DROP, KEEP, DROP}},
    {"X-Forwarded", {KEEP, DROP, KEEP, DROP}},
    {"Https", {KEEP, DROP, KEEP, DROP}},
    {"Client-Ip", {KEEP, DROP, KEEP, DROP}},
    {"X-Client-Ip", {KEEP, DROP, KEEP, DROP}},
    {"X-Real-Ip", {KEEP, DROP, KEEP, DROP}},
    {"True-Client-Ip", {KEEP, DROP, KEEP, DROP}},
    {"Cf-Connecting-Ip", {KEEP, DROP, KEEP, DROP}},
    /* What a proxy says of the scheme, from one that is trusted. */
    {"Cf-Visitor", {KEEP, OURS, KEEP, OURS}},
    {"X-Method-Override", {KEEP, DROP, KEEP, DROP}},
    /* For us, right or wrong, wherever it was sent to. */
    {"X-Larder-Token", {DROP, DROP, DROP, DROP}},
};

/* The same, by how their names begin: new ones appear, and mean another host, path or method. */
static const struct rule field_families[] = {
    {"X-Forwarded-", {KEEP, DROP, KEEP, DROP}}, {"X-Original-", {KEEP, DROP, KEEP, DROP}},
    {"X-Rewrite-", {KEEP, DROP, KEEP, DROP}},   {"X-Http-", {KEEP, DROP, KEEP, DROP}},
    {"X-Envoy-", {KEEP, DROP, KEEP, DROP}},
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

static enum way
which_way(const struct exchange *exchange)
{
    bool shared = exchange->reason == REASON_NONE;
    if (exchange->site->config->fastcgi)
        return shared ? FASTCGI_SHARED : FASTCGI_PASSED;
    return shared ? HTTP_SHARED : HTTP_PASSED;
}

static enum treatment
field_treatment(struct slice name, const struct exchange *exchange, enum way way)
{
    const struct route *route = exchange->match.route;
    bool shared = way == HTTP_SHARED || way == FASTCGI_SHARED;
    enum treatment treatment = KEEP;
    for (size_t i = 0; i < COUNT_OF(field_families); i++) {
        size_t n = strlen(field_families[i].name);
        if (name.n > n && strncasecmp(name.p, field_families[i].name, n) == 0)
            treatment = field_families[i].treatment[way];
    }
    for (size_t i = 0; i < COUNT_OF(field_rules); i++)
        if (slice_equal_nocase(name, field_rules[i].name))
            treatment = field_rules[i].treatment[way];
    /* The name of the route's user is in the key. */
    bool keyed = shared && route->user == USER_FIELD && slice_equal_nocase(name, route->user_name);
    return treatment == DROP && keyed ? KEEP : treatment;
}

/* Reduced to what makes a difference, so that a thousand browsers share one variant. */
static bool
add_negotiated(struct fields *out, const struct exchange *exchange)
{
    struct arena *arena = exchange->arena;
    const struct config *config = exchange->site->config;
    const struct route *route = exchange->match.route;
    bool failed = false;
    struct slice encoding = fields_join(&exchange->request.fields, arena, "Accept-Encoding");
    if (encoding.p)
        encoding = negotiate_encoding(encoding, config->encodings.list, config->encodings.count,
                                      arena, &failed);
    if (failed || (encoding.p && !fields_add(out, arena, slice_of("Accept-Encoding"), encoding)))
        return false;
    struct slice language = fields_join(&exchange->request.fields, arena, "Accept-Language");
    if (!language.p)
        return true;
    if (route->languages.count)
        language =
            slice_of(negotiate_language(language, route->languages.list, route->languages.count));
    return !language.p || fields_add(out, arena, slice_of("Accept-Language"), language);
}

/* The peer's address behind what a trusted proxy in front has said; alone otherwise. */
static struct slice
forwarded_for(const struct request *request, struct arena *arena)
{
    struct slice before = {NULL, 0};
    if (request->trusted_peer)
        before = fields_join(&request->fields, arena, "X-Forwarded-For");
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
        struct slice before = fields_join(&request->fields, arena, "X-Forwarded-For");
        return (!before.p || fields_add(out, arena, slice_of("X-Forwarded-For"), before)) &&
               (!fields_get(&request->fields, "X-Forwarded-Proto").p ||
                fields_add(out, arena, slice_of("X-Forwarded-Proto"), request->scheme)) &&
               (!outer.p || fields_add(out, arena, slice_of("X-Forwarded-Host"), outer));
    }
    struct slice peers = forwarded_for(request, arena);
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

bool
backend_fields(struct fields *out, const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    enum way way = which_way(exchange);
    bool shared = exchange->reason == REASON_NONE;
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
        if (field_treatment(f->name, exchange, way) == KEEP &&
            !holds_token(exchange, f->name, f->value) && !fields_add(out, arena, f->name, f->value))
            return false;
    }
    if (shared && !add_negotiated(out, exchange))
        return false;
    if (shared && !add_visitor(out, exchange))
        return false;
    if (shared && exchange->key.cookies.n &&
        !fields_add(out, arena, slice_of("Cookie"), exchange->key.cookies))
        return false;
    return way == FASTCGI_PASSED || add_forwarded(out, exchange, host, outer);
}

/* -------------------------------------------------------------- parameters */

static enum treatment
parameter_treatment(struct slice name, enum way way)
{
    for (size_t i = 0; i < COUNT_OF(parameter_rules); i++)
        if (slice_equal(name, slice_of(parameter_rules[i].name)))
            return parameter_rules[i].treatment[way];
    return KEEP;
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
