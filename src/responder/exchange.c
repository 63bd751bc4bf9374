/*
 * One request from its first byte to its last.
 *
 *   receive ─ parse ─ route ─ examine ─ key ─ lookup ─ decide ─┬─ hit: send
 *              │                                               ├─ stale: send, then refresh
 *              ├─ loop: refuse (loop.c)                        ├─ somebody fetches it: wait
 *              └─ purge: a fetcher (admin.c)                   └─ else: a fetcher (fetch.c)
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
#include "responder/admin.h"
#include "responder/answer.h"
#include "responder/coalesce.h"
#include "responder/lookup.h"
#include "responder/reply.h"
#include "responder/rewriting.h"
#include "responder/seen.h"
#include "responder/storer.h"
#include "responder/variant_use.h"
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

struct exchange *
exchange_part(struct exchange *exchange)
{
    struct exchange *other = exchange_own(exchange) ? exchange_take() : NULL;
    if (!other)
        return NULL;
    /* What the log says of it. */
    const struct request *from = &exchange->request;
    enum { COUNT = 3 };
    struct slice *const to[COUNT] = {&other->request.method, &other->request.host,
                                     &other->request.target};
    const struct slice text[COUNT] = {from->method, from->host, from->target};
    for (size_t i = 0; i < COUNT; i++)
        if (text[i].p)
            *to[i] = (struct slice){arena_strndup(other->arena, text[i].p, text[i].n), text[i].n};
    other->site = site_again(exchange->site);
    other->started_ms = exchange->started_ms;
    other->reason = exchange->reason;
    other->forward = exchange->forward;
    other->delivery.status = exchange->delivery.status;
    other->delivery.x_cache = exchange->delivery.x_cache;
    other->delivery.body_sent = exchange->delivery.body_sent;
    other->connection = exchange->connection;
    other->parted = true;
    exchange->connection = NULL;
    exchange->background = true;
    return other;
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
              request->target.p ? request->target.p : "", exchange->delivery.status,
              exchange->delivery.x_cache ? exchange->delivery.x_cache : "-",
              reason_name(exchange->reason != REASON_NONE ? exchange->reason : exchange->forward),
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
    counters_add(COUNTER_bytes_out, exchange->delivery.body_sent);
    if (connection_finish(connection, ended))
        worker_keep(connection);
    else
        connection_free(connection);
}

void
exchange_done(struct exchange *exchange)
{
    exchange_let_go(exchange, false);
    coalesce_end(exchange, FLIGHT_ALONE);
    if (exchange->wait.reads)
        atomic_fetch_sub(&exchange->wait.spool->readers, 1);
    spool_give(exchange->wait.spool);
    store_value_free(&exchange->lookup.value);
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

/* Send an error of ours. true: the client has it, with its end. */
static bool
send_refusal(struct exchange *exchange, int status, const char *why, const char *invalidation)
{
    struct arena *arena = exchange->arena;
    char *body = arena_printf(arena, "%d %s\n%s\n", status, reply_reason(status), why);
    struct fields fields = {0};
    fields_add(&fields, arena, slice_of("Content-Type"), slice_of("text/plain; charset=utf-8"));
    fields_add(&fields, arena, slice_of("Cache-Control"), slice_of("no-store"));
    if (status == 503)
        fields_add(&fields, arena, slice_of("Retry-After"), slice_of("1"));
    struct slice text = slice_of(body);
    enum reason forward = exchange->reason != REASON_NONE ? exchange->reason : exchange->forward;
    const struct cache_status said = {.forward = forward, .detail = forward};
    struct reply reply = {
        .status = status,
        .fields = &fields,
        .mount = exchange->request.mount,
        .x_cache = exchange->delivery.x_cache ? exchange->delivery.x_cache : "BYPASS",
        .cache_status =
            exchange->site ? cache_status_format(&said, exchange->site->config->cache_status, arena)
                           : (struct slice){NULL, 0},
        .invalidation = invalidation,
        .age_s = -1,
        .content_length = (int64_t)text.n};
    struct slice head = body ? reply_head(&reply, arena) : (struct slice){NULL, 0};
    if (!head.p)
        return false;
    exchange->delivery.status = status;
    bool head_only = slice_equal(exchange->request.method, slice_of("HEAD"));
    struct iovec pieces[2] = {{(void *)head.p, head.n}, {(void *)text.p, head_only ? 0 : text.n}};
    return connection_send(exchange->connection, arena, pieces, 2, true, true) == CONNECTION_DONE;
}

void
exchange_refuse(struct exchange *exchange, int status, const char *why, const char *invalidation)
{
    exchange_let_go(exchange, send_refusal(exchange, status, why, invalidation));
}

static void
refusal_job(struct fetcher_job *job)
{
    struct exchange *exchange = (struct exchange *)job;
    exchange_refuse(exchange, exchange->delivery.refuse_status, exchange->delivery.refuse_why,
                    NULL);
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
    exchange->delivery.refuse_status = status;
    exchange->delivery.refuse_why = why;
    exchange->job.run = refusal_job;
    if (!fetchers_submit(&exchange->job))
        finish(exchange, false);
}

static void
let_go_job(struct fetcher_job *job)
{
    finish((struct exchange *)job, true);
}

/*
 * A request that we have sent ourselves. Answered by the worker: every fetcher may
 * be waiting for the answer to such a one. What is left of a request body is read
 * past by a fetcher all the same, when there is one.
 */
static void
refuse_loop(struct exchange *exchange)
{
    trouble_note_loop(&exchange->site->trouble, clock_now_ms());
    loop_note(exchange->loop, exchange->site->config, &exchange->request);
    exchange->reason = REASON_LOOP;
    bool sent = send_refusal(exchange, 508,
                             "The request came back to the cache that had sent it: the address of "
                             "its backend leads back to this web server.",
                             NULL);
    bool may_have_body = !exchange->request.body_told &&
                         method_may_have_content(exchange->request.method);
    if (sent && (exchange->request.has_body || may_have_body)) {
        exchange->job.run = let_go_job;
        if (fetchers_submit(&exchange->job))
            return;
        exchange->connection->keep = false;
        exchange->connection->body_ended = true;
    }
    finish(exchange, sent);
}

/* ------------------------------------------------------------ what it means */

struct policy
route_policy(const struct site *site, const struct route_match *match)
{
    const struct route *route = match->route;
    struct policy policy = {.never = false};
    if (route) {
        policy = route->policy;
        policy.has_route = true;
        policy.per_user = route->user != USER_NONE;
        policy.web_server_vouches = policy.per_user && route->user_trusted;
        policy.credentials_in_key = policy.per_user && !route->user_trusted;
    }
    policy.enabled = site_caches(site);
    policy.forbidden_by = site->config->forbidden_by.list;
    policy.forbidden_by_count = site->config->forbidden_by.count;
    policy.never = match->never;
    return policy;
}

/* One user's entries are not another one's, so two routes that have not the same user cannot both be
 * right. false: no memory. */
static bool
join_other(struct exchange *exchange)
{
    const struct route_match *match = &exchange->match, *other = match->other;
    if (!other)
        return true;
    struct policy *policy = arena_alloc(exchange->arena, sizeof *policy);
    if (!policy)
        return false;
    *policy = route_policy(exchange->site, other);
    policy->never |= match->route && other->route && !route_has_user_of(match->route, other->route);
    policy_join(&exchange->policy, policy);
    return true;
}

enum reason
exchange_examine(struct exchange *exchange)
{
    const struct config *config = exchange->site->config;
    struct request *request = &exchange->request;
    if (!route_find(&config->routes, exchange->arena, request->method, request->host,
                    request->target, &exchange->match))
        return REASON_NO_MEMORY;
    if (!rewriting_route(&exchange->match, request, config, exchange->arena))
        return REASON_NO_MEMORY;
    exchange->policy = route_policy(exchange->site, &exchange->match);
    if (!join_other(exchange))
        return REASON_NO_MEMORY;
    exchange->facts = (struct request_facts){
        .method = request->method,
        .fields = &request->fields,
        .has_body = request->has_body,
        .error_page = request->error_page,
        .remote_user = request->authenticated,
        .client_certificate = request->client_certificate,
    };
    if (!key_examine(&exchange->key, &exchange->facts, request, &exchange->match, config,
                     exchange->arena))
        return REASON_NO_MEMORY;
    enum reason reason = decide_request(&exchange->policy, &exchange->facts);
    if (reason != REASON_NONE)
        return reason;
    if (exchange->loop == LOOP_SAME_STORE)
        return REASON_SAME_STORE;
    return key_make(&exchange->key, request, &exchange->match, config, exchange->arena);
}

bool
exchange_own(struct exchange *exchange)
{
    struct arena *arena = exchange->arena;
    enum { COUNT = 5 };
    struct slice *const slices[COUNT] = {&exchange->key.target, &exchange->key.asked,
                                         &exchange->key.cookies, &exchange->key.keyed_cookies,
                                         &exchange->key.user};
    if (!request_own(&exchange->request, arena))
        return false;
    exchange->facts.method = exchange->request.method;
    for (size_t i = 0; i < COUNT; i++)
        if (slices[i]->p && !(slices[i]->p = arena_strndup(arena, slices[i]->p, slices[i]->n)))
            return false;
    return true;
}

bool
exchange_open(struct exchange *exchange, const struct vary *names)
{
    struct arena *arena = exchange->arena;
    struct vary *all = arena_calloc(arena, 1, sizeof *all);
    if (!all)
        return false;
    if (exchange->opening.opened)
        *all = *exchange->opening.opened;
    for (size_t i = 0; i < names->count; i++)
        if (!vary_add(all, names->names[i], arena))
            return false;
    exchange->opening.opened = all;
    return !all->invalid;
}

bool
exchange_has_generations(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->key.tags.count; i++)
        if (i >= exchange->lookup.generations.count ||
            !store_generation_settled(exchange->lookup.generations.value[i]))
            return false;
    return true;
}

void
exchange_note_generations(struct exchange *exchange, int64_t deadline_ms)
{
    struct larder *cache = exchange->site->cache;
    if (exchange->reason != REASON_NONE || !exchange->lookup.redis_answered)
        return;
    bool needs_position = !exchange->lookup.position.id[0] &&
                          exchange->site->config->response_tags != RESPONSE_TAGS_IGNORE &&
                          !exchange->site->config->compat_ancestor;
    if (!exchange->lookup.generations_complete)
        exchange->lookup.generations_complete =
            store_generations(cache, &exchange->key.tags, deadline_ms,
                              &exchange->lookup.generations, &exchange->lookup.identity,
                              needs_position ? &exchange->lookup.position : NULL,
                              NULL) == LARDER_OK &&
            exchange_has_generations(exchange);
    if (!exchange->lookup.generations_complete || exchange->lookup.position.id[0] ||
        !needs_position)
        return;
    if (store_position(cache, deadline_ms, &exchange->lookup.position, NULL) != LARDER_OK)
        exchange->lookup.position.id[0] = '\0';
}

/* --------------------------------------------------------------------- hit */

static void
flush_job(struct fetcher_job *job)
{
    struct exchange *exchange = (struct exchange *)job;
    finish(exchange, connection_flush(exchange->connection, true) == CONNECTION_DONE);
}

static void
fetch_job(struct fetcher_job *job)
{
    exchange_fetch((struct exchange *)job);
}

static void
refresh_job(struct fetcher_job *job)
{
    exchange_refresh((struct exchange *)job);
}

/* STEP_NEXT: the answer is out, and the client has been let go. */
static enum step
serve(struct exchange *exchange, const struct answer_origin *origin, int64_t wall_ms)
{
    struct answer answer;
    exchange->delivery.x_cache = origin->x_cache;
    if (!answer_make(&answer, exchange, &exchange->lookup.entry, origin, wall_ms)) {
        finish(exchange, false);
        return STEP_DONE;
    }
    exchange->delivery.status = answer.status;
    exchange->delivery.body_sent = answer.body_len;
    enum connection_status sent = connection_send(exchange->connection, exchange->arena,
                                                  answer.pieces, answer.count, true, false);
    if (sent == CONNECTION_AGAIN) {
        exchange->job.run = flush_job;
        if (fetchers_submit(&exchange->job))
            return STEP_HANDED_OFF;
    }
    if (sent == CONNECTION_GONE)
        counters_add(COUNTER_client_gone, 1);
    exchange_let_go(exchange, sent == CONNECTION_DONE);
    return STEP_NEXT;
}

/* From the store; past its time where the client has said that this will do (max-stale). */
static struct answer_origin
origin_of(bool stale)
{
    counters_add(COUNTER_hits, 1);
    if (stale)
        counters_add(COUNTER_stale, 1);
    return (struct answer_origin){
        .x_cache = stale ? "STALE" : "HIT",
        .stale = stale,
        .status = {.hit = true, .detail = stale ? REASON_STALE : REASON_NONE}};
}

static enum step
serve_stored(struct exchange *exchange, bool stale, int64_t wall_ms)
{
    const struct answer_origin origin = origin_of(stale);
    enum step step = serve(exchange, &origin, wall_ms);
    if (step != STEP_NEXT)
        return step;
    exchange_done(exchange);
    return STEP_DONE;
}

/* Also where it is stale: then it is in use all the same, and the backend may fail. */
static void
note_use(const struct exchange *exchange, int64_t wall_ms)
{
    if (exchange->lookup.has_entry && exchange->lookup.found != exchange->key.primary)
        variant_use_note(exchange->site, exchange->key.primary, exchange->lookup.found,
                         exchange->lookup.entry.checksum, (size_t)exchange->match.route->variants,
                         wall_ms);
}

enum step
exchange_hit(struct exchange *exchange, int64_t wall_ms)
{
    note_use(exchange, wall_ms);
    return serve_stored(exchange, false, wall_ms);
}

/*
 * Stale, and allowed to be (RFC 5861 §3), or soon to be: the visitor does not
 * wait. Of the request what the refresh needs is copied first, because it lies in
 * the connection, which has the next one soon. When a slow visitor leaves the
 * answer to a fetcher, somebody else's request will see to the refresh.
 */
static enum step
serve_and_refresh(struct exchange *exchange, bool stale, int64_t wall_ms)
{
    const struct answer_origin origin = origin_of(stale);
    bool refreshes = exchange_own(exchange) && coalesce_refresh(exchange);
    struct flight *flight = exchange->wait.flight;
    exchange->wait.flight = NULL;
    enum step step = serve(exchange, &origin, wall_ms);
    if (step != STEP_NEXT) {
        if (refreshes)
            flight_done(flight);
        return step;
    }
    if (refreshes) {
        exchange->wait.flight = flight;
        exchange->early = !stale;
        exchange->seen_ms = exchange->lookup.entry.stored.stored_ms;
        exchange->forward = REASON_STALE;
        exchange->job.run = refresh_job;
        if (fetchers_submit(&exchange->job))
            return STEP_HANDED_OFF;
    }
    exchange_done(exchange);
    return STEP_DONE;
}

/* ------------------------------------------------------------------- purge */

static void
admin_job(struct fetcher_job *job)
{
    admin_serve((struct exchange *)job);
}

/* ----------------------------------------------------------------- refresh */

/* In (0, 1]; from a generator of the thread's own. */
static double
random_fraction(void)
{
    static _Thread_local struct drand48_data state;
    static _Thread_local bool seeded;
    double x = 0;
    if (!seeded)
        srand48_r((long)(clock_now_ms() ^ (int64_t)(uintptr_t)&state), &state);
    seeded = true;
    drand48_r(&state, &x);
    return 1 - x;
}

/* Fresh, and to be fetched anew all the same? */
static bool
is_time(const struct exchange *exchange, int64_t wall_ms)
{
    int percent = exchange->match.route->early_refresh;
    return percent > 0 && exchange->site->config->coalesce &&
           decide_early(&exchange->lookup.entry.stored, percent, random_fraction(), wall_ms);
}

/* ---------------------------------------------------------------- the whole */

struct reuse_decision
exchange_look(struct exchange *exchange, int64_t wall_ms)
{
    key_unselect(&exchange->key); /* it may not be the first time */
    lookup(exchange, wall_ms);
    exchange->lookup.use_entry = exchange->lookup.has_entry &&
                                 answer_is_possible(exchange, &exchange->lookup.entry, wall_ms);
    enum reason missing = exchange->lookup.has_entry ? REASON_PARTIAL : exchange->lookup.missing;
    struct reuse_decision decision = decide_reuse(
        &exchange->policy, &exchange->facts,
        exchange->lookup.use_entry ? &exchange->lookup.entry.stored : NULL, missing, wall_ms);
    exchange->forward = decision.reason;
    return decision;
}

/* Look up and decide. STEP_NEXT: the backend is to be asked. */
static enum step
serve_from_cache(struct exchange *exchange)
{
    int64_t wall_ms = store_clock_ms(exchange->site->cache);
    const struct reuse_decision decision = exchange_look(exchange, wall_ms);
    note_use(exchange, wall_ms);
    switch (decision.reuse) {
    case REUSE_SERVE:
        if (decision.reason != REASON_STALE && is_time(exchange, wall_ms))
            return serve_and_refresh(exchange, false, wall_ms);
        return serve_stored(exchange, decision.reason == REASON_STALE, wall_ms);
    case REUSE_SERVE_AND_REFRESH:
        return serve_and_refresh(exchange, true, wall_ms);
    case REUSE_UNAVAILABLE:
        exchange->delivery.x_cache = "MISS";
        counters_add(COUNTER_misses, 1);
        refuse_later(exchange, 504, "Not in the cache, and only-if-cached was asked for.");
        return STEP_HANDED_OFF;
    case REUSE_VALIDATE:
        break;
    }
    return STEP_NEXT;
}

void
exchange_ask(struct exchange *exchange)
{
    exchange->delivery.x_cache = exchange->reason == REASON_NONE       ? "MISS"
                                 : exchange->reason == REASON_DISABLED ? "DISABLED"
                                                                       : "BYPASS";
    exchange->job.run = fetch_job;
    if (atomic_load_explicit(&server_giving_up, memory_order_relaxed) ||
        !fetchers_submit(&exchange->job))
        refuse_overload(exchange);
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
        /* 500 is the operator's to mend, and may be the answer to all requests. */
        if (status < 500)
            log_write(LARDER_LOG_INFO, "refused with %d: %s", status, why);
        else if (!trouble_is_repeated(&exchange->site->trouble, why, clock_now_ms()))
            log_write(LARDER_LOG_ERROR, "refused with %d: %s", status, why);
        refuse_later(exchange, status, why);
        return;
    }
    exchange->loop = loop_of(&exchange->request.fields, exchange->site->loop_id);
    if (exchange->loop == LOOP_OWN || exchange->loop == LOOP_ENDLESS) {
        refuse_loop(exchange);
        return;
    }
    if (admin_takes(exchange)) {
        exchange->job.run = admin_job;
        if (!fetchers_submit(&exchange->job))
            refuse_overload(exchange);
        return;
    }
    exchange->reason = exchange_examine(exchange);
    if (exchange->reason == REASON_NONE && exchange->key.host.p &&
        (exchange->site->config->fastcgi || exchange->request.script.name.n))
        seen_note(&exchange->request, exchange->key.host);
    enum step step = exchange->reason == REASON_NONE ? serve_from_cache(exchange) : STEP_NEXT;
    if (step == STEP_NEXT)
        step = coalesce_join(exchange);
    if (step == STEP_NEXT)
        exchange_ask(exchange);
}
