/*
 * One request from its first byte to its last.
 *
 *   receive ─ parse ─ route ─ examine ─ decide ─ key ─ lookup ─┬─ hit: send
 *                                                              └─ else: a fetcher (fetch.c)
 *
 * A worker goes through all of this without waiting for anybody but Redis, and
 * for that at most cache.budget. A hit that the socket does not take at once (a
 * large body, a slow visitor) is finished by a fetcher.
 */
#include "responder/exchange.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "responder/entry.h"
#include "responder/reply.h"
#include "responder/worker.h"
#include "runtime/counters.h"

/* Exchanges kept for reuse, each with its arena's first chunk. */
#define FREE_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards free_list and free_count */
static struct exchange *free_list;
static int free_count;

static struct exchange *
exchange_take(void)
{
    pthread_mutex_lock(&lock);
    struct exchange *exchange = free_list;
    if (exchange) {
        free_list = exchange->next_free;
        free_count--;
    }
    pthread_mutex_unlock(&lock);
    if (exchange) {
        struct arena *arena = exchange->arena;
        *exchange = (struct exchange){.arena = arena};
        return exchange;
    }
    exchange = calloc(1, sizeof *exchange);
    if (exchange && !(exchange->arena = arena_new(EXCHANGE_ARENA_MAX))) {
        free(exchange);
        return NULL;
    }
    return exchange;
}

static void
exchange_free(struct exchange *exchange)
{
    arena_free(exchange->arena);
    free(exchange);
}

static void
exchange_give(struct exchange *exchange)
{
    arena_reset(exchange->arena);
    pthread_mutex_lock(&lock);
    bool keep = free_count < FREE_MAX;
    if (keep) {
        exchange->next_free = free_list;
        free_list = exchange;
        free_count++;
    }
    pthread_mutex_unlock(&lock);
    if (!keep)
        exchange_free(exchange);
}

void
exchange_cleanup(void)
{
    while (free_list) {
        struct exchange *next = free_list->next_free;
        exchange_free(free_list);
        free_list = next;
    }
    free_count = 0;
}

static void
log_request(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    if (!exchange->site || !exchange->site->config->log_requests || !log_wants(LARDER_LOG_INFO))
        return;
    log_write(LARDER_LOG_INFO, "%.*s %.*s%.*s %d %s %s %lld ms", (int)request->method.n,
              request->method.p ? request->method.p : "", (int)request->host.n,
              request->host.p ? request->host.p : "", (int)request->target.n,
              request->target.p ? request->target.p : "", exchange->status,
              exchange->x_cache ? exchange->x_cache : "-", reason_name(exchange->reason),
              (long long)(clock_now_ms() - exchange->started_ms));
}

void
exchange_let_go(struct exchange *exchange, bool ended)
{
    struct connection *connection = exchange->connection;
    if (!connection)
        return;
    exchange->connection = NULL;
    log_request(exchange);
    counters_add(COUNTER_bytes_out, exchange->body_sent);
    if (connection_finish(connection, ended))
        worker_keep(connection);
    else
        connection_free(connection);
}

void
exchange_done(struct exchange *exchange)
{
    exchange_let_go(exchange, false);
    free(exchange->value.data);
    site_give(exchange->site);
    exchange_give(exchange);
}

static void
finish(struct exchange *exchange, bool ended)
{
    exchange_let_go(exchange, ended);
    exchange_done(exchange);
}

/* ------------------------------------------------------------------ errors */

void
exchange_refuse(struct exchange *exchange, int status, const char *why, const char *invalidation)
{
    struct arena *arena = exchange->arena;
    char *body = arena_printf(arena, "%d %s\n%s\n", status, reply_reason(status), why);
    struct fields fields = {0};
    fields_add(&fields, arena, slice_of("Content-Type"), slice_of("text/plain; charset=utf-8"));
    fields_add(&fields, arena, slice_of("Cache-Control"), slice_of("no-store"));
    if (status == 503)
        fields_add(&fields, arena, slice_of("Retry-After"), slice_of("1"));
    struct slice text = slice_of(body);
    struct reply reply = {.status = status,
                          .fields = &fields,
                          .mount = exchange->request.mount,
                          .x_cache = exchange->x_cache ? exchange->x_cache : "BYPASS",
                          .invalidation = invalidation,
                          .age_s = -1,
                          .content_length = (int64_t)text.n};
    struct slice head = body ? reply_head(&reply, arena) : (struct slice){NULL, 0};
    if (!head.p) {
        exchange_let_go(exchange, false);
        return;
    }
    exchange->status = status;
    bool head_only = slice_equal(exchange->request.method, slice_of("HEAD"));
    struct iovec pieces[2] = {{(void *)head.p, head.n}, {(void *)text.p, head_only ? 0 : text.n}};
    exchange_let_go(exchange, connection_send(exchange->connection, arena, pieces, 2, true, true) ==
                                  CONNECTION_DONE);
}

static void
refusal_job(struct fetcher_job *job)
{
    struct exchange *exchange = (struct exchange *)job;
    exchange_refuse(exchange, exchange->refuse_status, exchange->refuse_why, NULL);
    exchange_done(exchange);
}

/* There is no thread for it. Said at once, by the worker, which cannot wait for what is left of the
 * request body: so the connection is closed over it. */
static void
refuse_overload(struct exchange *exchange)
{
    exchange->connection->keep = false;
    exchange->connection->body_ended = true;
    exchange_refuse(exchange, 503, "Too many requests are waiting.", NULL);
    exchange_done(exchange);
}

/* By a fetcher, because what is left of the request body is read past before the connection is
 * closed, and that may take its time. */
static void
refuse_later(struct exchange *exchange, int status, const char *why)
{
    exchange->refuse_status = status;
    exchange->refuse_why = why;
    exchange->job.run = refusal_job;
    if (!fetchers_submit(&exchange->job))
        finish(exchange, false);
}

/* ------------------------------------------------------------ what it means */

/* Route, policy, cookies, user, key: everything that can be known without asking anybody. */
static enum reason
examine(struct exchange *exchange)
{
    const struct config *config = exchange->site->config;
    struct request *request = &exchange->request;
    if (!route_find(config, exchange->arena, request->method, request->host, request->path,
                    &exchange->match))
        return REASON_NO_MEMORY;
    const struct route *route = exchange->match.route;
    exchange->policy = (struct policy){
        .enabled = exchange->site->cache && larder_is_enabled(exchange->site->cache),
        .has_route = route != NULL,
        .never = exchange->match.never,
    };
    if (route) {
        exchange->policy.ttl_ms = route->ttl_ms;
        exchange->policy.authorization_rfc = route->authorization_rfc;
        exchange->policy.per_user = route->user != USER_NONE;
        exchange->policy.web_server_vouches = route->user != USER_NONE && route->user_trusted;
        exchange->policy.credentials_in_key = route->user != USER_NONE && !route->user_trusted;
    }
    exchange->facts = (struct request_facts){
        .method = request->method,
        .fields = &request->fields,
        .has_body = request->has_body,
        .remote_user = request->authenticated,
        .client_certificate = request->client_certificate,
    };
    if (!key_examine(&exchange->key, &exchange->facts, request, &exchange->match, exchange->arena))
        return REASON_NO_MEMORY;
    enum reason reason = decide_request(&exchange->policy, &exchange->facts);
    if (reason != REASON_NONE)
        return reason;
    return key_make(&exchange->key, request, &exchange->match, config, exchange->arena);
}

/* ------------------------------------------------------------------- lookup */

/* The ancestor's value instead of an entry: no generations, no age; Redis' own expiry counts. */
static bool
decode_ancestor(struct exchange *exchange, struct entry *entry)
{
    struct larder_response *response;
    if (larder_response_decode(exchange->value.data, exchange->value.len, &response, NULL) !=
        LARDER_OK)
        return false;
    struct arena *arena = exchange->arena;
    *entry = (struct entry){.status = response->status_code, .age_s = -1};
    bool ok = true;
    for (size_t i = 0; ok && i < response->header_count; i++) {
        struct slice name = slice_of(response->headers[i].name);
        struct slice value = slice_of(response->headers[i].value);
        name.p = arena_strndup(arena, name.p, name.n);
        value.p = arena_strndup(arena, value.p, value.n);
        ok = name.p && value.p && fields_add(&entry->fields, arena, name, value);
    }
    char *body = malloc(response->body_len ? response->body_len : 1);
    ok = ok && body;
    if (ok) {
        if (response->body_len)
            memcpy(body, response->body, response->body_len);
        entry->body = (struct slice){body, response->body_len};
        free(exchange->value.data);
        exchange->value.data = body;
        exchange->value.len = response->body_len;
    } else {
        free(body);
    }
    larder_response_free(response);
    fields_remove_hop_by_hop(&entry->fields);
    return ok;
}

static bool
decode(struct exchange *exchange, struct entry *entry)
{
    if (exchange->site->config->compat_ancestor)
        return decode_ancestor(exchange, entry);
    return entry_decode(entry, exchange->value.data, exchange->value.len, &exchange->key.tags,
                        exchange->arena);
}

/*
 * The ancestor stored whatever came. What we would not have stored is not
 * served either: another visitor's Set-Cookie, a private page, an error.
 */
static bool
may_be_served(const struct exchange *exchange, const struct entry *entry, int64_t wall_ms)
{
    struct request_facts facts = exchange->facts;
    facts.method = slice_of("GET"); /* whose entry answers HEAD as well */
    struct store_decision decision =
        decide_store(&exchange->policy, &facts, entry->status, &entry->fields, wall_ms / 1000);
    return decision.reason == REASON_NONE;
}

static bool
is_usable(const struct exchange *exchange, const struct entry *entry, int64_t wall_ms)
{
    if (exchange->site->config->compat_ancestor)
        return may_be_served(exchange, entry, wall_ms);
    return slice_equal(entry->material, exchange->key.material) &&
           entry->stored_ms + entry->ttl_ms > wall_ms &&
           entry_generations_match(entry, &exchange->value.current);
}

bool
exchange_has_generations(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->key.tags.count; i++)
        if (i >= exchange->generations.count || !exchange->generations.value[i][0])
            return false;
    return true;
}

/* true: *entry is to be served. Otherwise what is known about generations is left for the fetch. */
static bool
lookup(struct exchange *exchange, struct entry *entry, int64_t wall_ms)
{
    const struct config *config = exchange->site->config;
    struct larder_error err;
    size_t most = config->max_object + ENTRY_META_MAX + ENTRY_HEAD_SIZE;
    if (config->compat_ancestor)
        most = 2 * config->max_object + ENTRY_META_MAX; /* base64 and JSON escapes */
    enum larder_status status = store_lookup(exchange->site->cache, exchange->key.name,
                                             &exchange->key.tags, most, exchange->redis_until_ms,
                                             &exchange->value, &err);
    if (status != LARDER_OK && status != LARDER_MISS && status != LARDER_CORRUPT) {
        counters_add(COUNTER_redis_errors, 1);
        log_write(LARDER_LOG_DEBUG, "lookup of %s: %s", exchange->key.name, err.message);
        return false;
    }
    exchange->redis_answered = true;
    exchange->generations = exchange->value.current;
    exchange->generations_complete = exchange_has_generations(exchange);
    if (status == LARDER_MISS)
        return false;
    if (status == LARDER_CORRUPT) {
        /* Stored while max_object was larger. */
        log_write(LARDER_LOG_DEBUG, "lookup of %s: %s", exchange->key.name, err.message);
        return false;
    }
    if (!decode(exchange, entry)) {
        counters_add(COUNTER_corrupt, 1);
        log_write(LARDER_LOG_WARNING, "entry %s is not one of ours or damaged: taken as a miss",
                  exchange->key.name);
        return false;
    }
    return is_usable(exchange, entry, wall_ms);
}

/* --------------------------------------------------------------------- hit */

static void
flush_job(struct fetcher_job *job)
{
    struct exchange *exchange = (struct exchange *)job;
    finish(exchange, connection_flush(exchange->connection, true) == CONNECTION_DONE);
}

static void
serve_hit(struct exchange *exchange, const struct entry *entry, int64_t wall_ms)
{
    const struct request *request = &exchange->request;
    bool bodiless = entry->status == 204 || entry->status == 304;
    struct reply reply = {
        .status = entry->status,
        .fields = &entry->fields,
        .mount = request->mount,
        .x_cache = "HIT",
        .age_s = entry->age_s < 0 ? -1 : response_age_s(entry->age_s, entry->stored_ms, wall_ms),
        .content_length = bodiless ? -1 : (int64_t)entry->body.n,
        .client_cache = exchange->match.client_cache,
        .per_user = exchange->policy.per_user,
        .via = true,
    };
    exchange->x_cache = "HIT";
    exchange->status = entry->status;
    counters_add(COUNTER_hits, 1);
    struct slice head = reply_head(&reply, exchange->arena);
    if (!head.p) {
        finish(exchange, false);
        return;
    }
    bool with_body = !bodiless && !slice_equal(request->method, slice_of("HEAD"));
    exchange->body_sent = with_body ? entry->body.n : 0;
    struct iovec pieces[2] = {{(void *)head.p, head.n},
                              {(void *)entry->body.p, with_body ? entry->body.n : 0}};
    enum connection_status sent =
        connection_send(exchange->connection, exchange->arena, pieces, 2, true, false);
    if (sent == CONNECTION_AGAIN) {
        exchange->job.run = flush_job;
        if (fetchers_submit(&exchange->job))
            return;
    }
    if (sent == CONNECTION_GONE)
        counters_add(COUNTER_client_gone, 1);
    finish(exchange, sent == CONNECTION_DONE);
}

/* ---------------------------------------------------------------- the whole */

static void
fetch_job(struct fetcher_job *job)
{
    exchange_fetch((struct exchange *)job);
}

void
exchange_serve(struct connection *connection)
{
    struct exchange *exchange = exchange_take();
    if (!exchange) {
        connection_free(connection);
        return;
    }
    if (!connection_receive(connection)) {
        connection_free(connection);
        exchange_give(exchange);
        return;
    }
    exchange->connection = connection;
    exchange->site = site_take();
    exchange->started_ms = clock_now_ms();
    exchange->redis_until_ms = exchange->started_ms + exchange->site->config->budget_ms;
    counters_add(COUNTER_requests, 1);

    const char *why = "";
    int status = request_parse(&exchange->request, connection->fcgi.envp, exchange->site->config,
                               exchange->arena, &why);
    if (status) {
        counters_add(COUNTER_bad_requests, 1);
        log_write(LARDER_LOG_INFO, "refused with %d: %s", status, why);
        refuse_later(exchange, status, why);
        return;
    }
    exchange->reason = examine(exchange);
    if (exchange->reason == REASON_NONE) {
        struct entry entry;
        int64_t wall_ms = clock_wall_ms();
        if (lookup(exchange, &entry, wall_ms)) {
            serve_hit(exchange, &entry, wall_ms);
            return;
        }
    }
    exchange->x_cache = exchange->reason == REASON_NONE       ? "MISS"
                        : exchange->reason == REASON_DISABLED ? "DISABLED"
                                                              : "BYPASS";
    counters_add(exchange->reason == REASON_NONE       ? COUNTER_misses
                 : exchange->reason == REASON_DISABLED ? COUNTER_disabled
                                                       : COUNTER_bypasses,
                 1);
    exchange->job.run = fetch_job;
    if (!fetchers_submit(&exchange->job))
        refuse_overload(exchange);
}
