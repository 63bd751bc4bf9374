/*
 * Purging by an operator or an application.
 *
 *   dialect.c         is it another cache that they talk to?
 *   access.c          may they?
 *   order.c           what do they want?
 *   order_resolve.c   which tags and patterns is that?
 *   purge.c           away with it
 *
 * Here is the order of these steps, for both ways in which one can ask; what
 * becomes of it is answered, logged with where it came from, and counted. It is
 * acknowledged when it is done, as a mutation is: whoever asks after the answer
 * gets nothing from before it.
 *
 * What could be meant for Larder is answered here, whether it is understood or
 * not: a backend that gets a PURGE says 200 to it as often as not, and gets the
 * token too.
 *
 * On a fetcher. What is not to be answered with 200 has not purged anything,
 * except where it says so (503, and a URL that looks like a pattern).
 */
#include "responder/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "routing/path.h"
#include "responder/access.h"
#include "responder/dialect.h"
#include "responder/order.h"
#include "responder/reply.h"
#include "runtime/counters.h"
#include "runtime/limits.h"

/* Room for a body, at first. */
#define READ_PIECE ((size_t)16 * 1024)
/* Refused attempts in the log of the pool: one in so long, and how many there were. */
#define REFUSED_EVERY_MS 1000
#define OFF_EVERY_MS 60000
/* Going over a million keys takes Redis about a second. What takes longer than this goes on in the
 * background. */
#define SWEEP_MS INT64_C(30000)

/* One purge, from whomever. */
struct work {
    struct site *site;
    struct arena *arena; /* of its own: an order may be larger than a request */
    const char *origin;  /* who asked, for the log */
    struct order order;
    struct order_site own; /* what relative URLs are relative to */
};

/* ------------------------------------------------------------------- the log */

/* Anybody on the net can be refused at any rate. */
static void
log_refused(const char *origin, int status, const char *why)
{
    uint64_t unsaid;
    counters_add(COUNTER_purges_refused, 1);
    if (!limits_say(LIMITS_REFUSED, REFUSED_EVERY_MS, clock_now_ms(), &unsaid))
        return;
    if (unsaid > 0)
        log_write(LARDER_LOG_WARNING, "%" PRIu64 " more purges were refused in the meantime",
                  unsaid);
    log_write(LARDER_LOG_WARNING, "purge from %s refused with %d: %s", origin, status, why);
}

/* An application that purges what it has deleted sends thousands, and does not look at the answers. */
static void
log_off(const char *origin, const struct request *request, int status)
{
    char shown[ORDER_SHOWN_SIZE];
    uint64_t unsaid;
    counters_add(COUNTER_purges_refused, 1);
    if (!limits_say(LIMITS_OFF, OFF_EVERY_MS, clock_now_ms(), &unsaid))
        return;
    log_write(LARDER_LOG_WARNING,
              "%.*s %s from %s refused with %d (%" PRIu64 " before it): purging is off; set "
              "token or token_file of admin in larder.conf, and send it as X-Larder-Token",
              (int)request->method.n, request->method.p, order_shown(shown, request->target),
              origin, status, unsaid);
}

/* "2 urls (/a ...), everything". */
static const char *
what_of(const struct order *order, struct arena *arena)
{
    const char *text = order->all ? "everything" : "";
    for (int kind = 0; text && kind < ORDER_KINDS; kind++) {
        const struct order_list *list = &order->list[kind];
        if (list->count == 0)
            continue;
        int shown = (int)(list->items[0].n < 100 ? list->items[0].n : 100);
        text = arena_printf(arena, "%s%s%zu %s (%.*s%s)", text, *text ? ", " : "", list->count,
                            order_kind_name((enum order_kind)kind), shown, list->items[0].p,
                            list->count > 1 ? " ..." : "");
    }
    return text ? text : "?";
}

/* ---------------------------------------------------------------- the answer */

static void
put(json_object *answer, const char *name, json_object *value)
{
    if (json_object_object_add(answer, name, value) != 0)
        json_object_put(value);
}

static int
say_error(json_object *answer, int status, const char *why)
{
    put(answer, "ok", json_object_new_boolean(false));
    put(answer, "error", json_object_new_string(why));
    return status;
}

/* 0: fine. */
static int
status_of(enum larder_status status)
{
    switch (status) {
    case LARDER_OK:
        return 0;
    case LARDER_INVALID:
        return 400;
    case LARDER_REFUSED:
        return 409;
    default:
        return 500;
    }
}

static int
refuse(const struct work *work, json_object *answer, int status, const char *why)
{
    log_refused(work->origin, status, why);
    return say_error(answer, status, why);
}

/* What was asked for, in numbers. */
static void
say_purged(const struct order *order, json_object *answer)
{
    json_object *purged = json_object_new_object();
    for (int kind = 0; kind < ORDER_KINDS; kind++)
        if (order->list[kind].count > 0)
            put(purged, order_kind_name((enum order_kind)kind),
                json_object_new_int64((int64_t)order->list[kind].count));
    if (order->all)
        put(purged, "all", json_object_new_boolean(true));
    put(answer, "purged", purged);
    put(answer, "soft", json_object_new_boolean(order->soft));
}

/* ------------------------------------------------------------------ the work */

static bool
work_begin(struct work *work, struct site *site, const char *origin)
{
    *work = (struct work){.site = site, .arena = arena_new(ORDER_ARENA_MAX), .origin = origin};
    return work->arena != NULL;
}

/* Patterns only, which no response's key can match. */
static bool
is_for_values_alone(const struct purge *purge)
{
    char tag[STORE_TAG_SIZE];
    for (size_t i = 0; i < purge->pattern_count; i++)
        if (store_tag_for_pattern(purge->patterns[i], tag))
            return false;
    return purge->pattern_count > 0 && purge->tag_count == 0;
}

/* Carry out the order. Fills the answer and returns the status; *said: for X-Cache-Invalidate. */
static int
work_do(struct work *work, json_object *answer, const char **said)
{
    const struct site *site = work->site;
    const struct order *order = &work->order;
    struct larder_error err = {0};
    struct purge purge = {.soft = false};
    int64_t deleted = 0, start_us = clock_now_us();
    enum larder_status resolved =
        order_resolve(order, site->config, &work->own, &purge, work->arena, &err);
    if (resolved != LARDER_OK)
        return refuse(work, answer, status_of(resolved), err.message);
    if (!site->cache)
        return refuse(work, answer, 503, "the cache is switched off");

    int64_t patience_ms = site->config->invalidate_timeout_ms;
    if (purge.pattern_count > 0 && patience_ms < SWEEP_MS)
        patience_ms = SWEEP_MS;
    enum purge_outcome outcome =
        purge_run(work->site, &purge, clock_now_ms() + patience_ms, &deleted, &err);
    double took_ms = (double)(clock_now_us() - start_us) / 1000;
    /* Somebody who wants mutations refused rather than known to this machine alone. */
    bool done = outcome == PURGE_DONE || outcome == PURGE_QUEUED;
    bool ok = done || (outcome == PURGE_JOURNAL && !site->config->refuse_unreachable);
    counters_add(COUNTER_purges, 1);
    counters_add(COUNTER_invalidated_keys, deleted > 0 ? (uint64_t)deleted : 0);
    counters_add(COUNTER_invalidate_failed, !done);
    log_write(done ? LARDER_LOG_INFO : LARDER_LOG_ERROR, "%s from %s: %s: %s in %.3f ms%s%s",
              order->soft ? "soft purge" : "purge", work->origin, what_of(order, work->arena),
              purge_outcome_name(outcome), took_ms, outcome == PURGE_DONE ? "" : ": ",
              outcome == PURGE_DONE ? "" : err.message);

    *said = purge_outcome_name(outcome);
    put(answer, "ok", json_object_new_boolean(ok));
    if (outcome == PURGE_DONE && deleted == 0 && is_for_values_alone(&purge))
        put(answer, "note",
            json_object_new_string("no key matches: the patterns are none of responses, and of "
                                   "application values there is none"));
    if (outcome != PURGE_DONE)
        put(answer, ok ? "note" : "error", json_object_new_string(err.message));
    say_purged(order, answer);
    put(answer, "outcome", json_object_new_string(*said));
    if (order->list[ORDER_PATTERNS].count > 0)
        put(answer, "deleted", json_object_new_int64(deleted));
    char text[32];
    snprintf(text, sizeof text, "%.3f", took_ms);
    put(answer, "took_ms", json_object_new_double_s(took_ms, text));
    return ok ? 200 : 503;
}

/* ---------------------------------------------------------------------- HTTP */

/* What a request wants of Larder itself. */
enum asked {
    ASKED_NOTHING, /* it is the backend's */
    ASKED_PURGE,   /* by the method */
    ASKED_POSTED,  /* at admin.path */
    ASKED_NEAR,    /* at a path that some server takes for admin.path, or below /.larder/ */
    ASKED_FOREIGN, /* by the method of another cache */
    ASKED_OFF      /* a purge, and there is no token in the configuration */
};

/* Nothing below it is passed on, whatever is configured: who sends it means Larder, and may send
 * the token along. */
#define OWN_DIRECTORY "/.larder"

/* How often a path may be encoded over again. */
#define LOOSEN_TIMES 4

static bool
begins_nocase(struct slice text, const char *with)
{
    size_t n = strlen(with);
    return text.n >= n && strncasecmp(text.p, with, n) == 0;
}

static struct slice
without_slash(struct slice path)
{
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

/* As the most lenient server reads it. .p NULL: no memory. */
static struct slice
loosened(struct slice path, struct arena *arena)
{
    bool same = false;
    for (int i = 0; i < LOOSEN_TIMES && !same; i++) {
        struct slice looser;
        if (!path_loosen(arena, path, &looser))
            return (struct slice){NULL, 0};
        same = slice_equal(path, looser);
        path = looser;
    }
    return path;
}

/* Is it admin.path in another spelling, or below our own directory? */
static bool
is_near(struct slice path, const struct config *config, struct arena *arena)
{
    struct slice own = slice_of(config->admin_path);
    if (path_look(path) != 0) {
        path = loosened(path, arena);
        own = loosened(own, arena);
        /* Without memory for it nothing is passed on that may hold the token. */
        if (!path.p || !own.p)
            return true;
    }
    path = without_slash(path);
    own = without_slash(own);
    return (path.n == own.n && strncasecmp(path.p, own.p, path.n) == 0) ||
           (begins_nocase(path, OWN_DIRECTORY) &&
            (path.n == strlen(OWN_DIRECTORY) || path.p[strlen(OWN_DIRECTORY)] == '/'));
}

static enum asked
what_is_asked(const struct exchange *exchange)
{
    const struct config *config = exchange->site->config;
    const struct request *request = &exchange->request;
    bool purge = slice_equal(request->method, slice_of("PURGE"));
    bool posted = slice_equal(request->path, slice_of(config->admin_path));
    bool near = !posted && is_near(request->path, config, exchange->arena);
    if (!config->admin_token)
        return purge || posted || near ? ASKED_OFF : ASKED_NOTHING;
    return near                         ? ASKED_NEAR
           : purge                      ? ASKED_PURGE
           : posted                     ? ASKED_POSTED
           : dialect_is_method(request) ? ASKED_FOREIGN
                                        : ASKED_NOTHING;
}

bool
admin_takes(const struct exchange *exchange)
{
    return what_is_asked(exchange) != ASKED_NOTHING;
}

/* `curl -d` calls everything a form. */
static bool
is_json(const struct fields *fields)
{
    struct slice type = fields_get(fields, "Content-Type");
    if (!type.p)
        return true;
    const char *end = memchr(type.p, ';', type.n);
    if (end)
        type.n = (size_t)(end - type.p);
    while (type.n && type.p[type.n - 1] == ' ')
        type.n--;
    return type.n == 0 || slice_equal_nocase(type, "application/json") ||
           slice_equal_nocase(type, "application/x-www-form-urlencoded") ||
           (type.n > 5 && strncasecmp(type.p + type.n - 5, "+json", 5) == 0);
}

static int
wrong(int status, const char *words, struct larder_error *err)
{
    error_set(err, LARDER_INVALID, "%s", words);
    return status;
}

/* 0: fine, and *body (malloc'd) is the caller's to free; else the status. */
static int
read_body(struct exchange *exchange, char **body, size_t *len, struct larder_error *err)
{
    static const char too_large[] = "expected a body of at most 4 MiB";
    const struct request *request = &exchange->request;
    size_t room = 0, n = 0;
    ssize_t got = 1;
    if (request->content_length > (int64_t)ORDER_TEXT_MAX)
        return wrong(413, too_large, err);
    connection_expect_body(exchange->connection);
    while (got > 0) {
        if (n == room) {
            room = room ? 2 * room : READ_PIECE;
            char *more = realloc(*body, room);
            if (!more)
                return wrong(500, "no memory for the body", err);
            *body = more;
        }
        got = connection_read(exchange->connection, *body + n, room - n);
        n += got > 0 ? (size_t)got : 0;
        if (n > ORDER_TEXT_MAX)
            return wrong(413, too_large, err);
    }
    if (got < 0 || (request->content_length > 0 && n < (size_t)request->content_length))
        return wrong(400, "the body broke off", err);
    *len = n;
    return 0;
}

/* By JSON in the body or by a query, not both: nobody could say which of them was meant. */
static int
read_posted(struct exchange *exchange, struct work *work, struct larder_error *err)
{
    const struct request *request = &exchange->request;
    struct slice query = {request->path.p + request->path.n, request->target.n - request->path.n};
    char *body = NULL;
    size_t len = 0;
    enum larder_status status = LARDER_OK;
    int code = request->has_body ? read_body(exchange, &body, &len, err) : 0;
    if (code)
        goto out;
    if (query.n > 1 && len > 0) {
        code = wrong(400, "expected a body or a query, not both", err);
    } else if (query.n > 1) {
        query.p++; /* past the '?' */
        query.n--;
        status = order_read_query(&work->order, query, work->arena, err);
    } else if (len > 0 && !is_json(&request->fields)) {
        code = wrong(415, "expected a body of the type application/json", err);
    } else {
        status = order_read_json(&work->order, (struct slice){body, len}, work->arena, err);
    }
out:
    free(body);
    return code ? code : status_of(status);
}

static void
send_answer(struct exchange *exchange, int status, struct fields *fields, json_object *answer,
            const char *said)
{
    struct arena *arena = exchange->arena;
    size_t n = 0;
    const char *text = json_object_to_json_string_length(
        answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
    const char *body = text ? arena_printf(arena, "%s\n", text) : NULL;
    bool head_only = slice_equal(exchange->request.method, slice_of("HEAD"));
    if (!body ||
        !fields_add(fields, arena, slice_of("Content-Type"), slice_of("application/json")) ||
        !fields_add(fields, arena, slice_of("Cache-Control"), slice_of("no-store"))) {
        exchange_let_go(exchange, false);
        return;
    }
    const struct reply reply = {.status = status,
                                .fields = fields,
                                .mount = exchange->request.mount,
                                .x_cache = exchange->delivery.x_cache,
                                .invalidation = said,
                                .age_s = -1,
                                .content_length = (int64_t)n + 1};
    struct slice head = reply_head(&reply, arena);
    if (!head.p) {
        exchange_let_go(exchange, false);
        return;
    }
    exchange->delivery.status = status;
    struct iovec pieces[2] = {{(void *)head.p, head.n}, {(void *)body, head_only ? 0 : n + 1}};
    exchange_let_go(exchange, connection_send(exchange->connection, arena, pieces, 2, true, true) ==
                                  CONNECTION_DONE);
}

static void
allow(struct exchange *exchange, struct fields *fields, const char *methods)
{
    fields_add(fields, exchange->arena, slice_of("Allow"), slice_of(methods));
}

/* 0: it is one of ours, in a form that can be read. Else the status, the answer, and what belongs
 * to it. These need no token: they purge nothing, and say what the manual says. */
static int
check_form(struct exchange *exchange, enum asked asked, struct work *work, struct fields *fields,
           json_object *answer)
{
    const struct request *request = &exchange->request;
    const struct config *config = exchange->site->config;
    struct larder_error err = {0};
    switch (asked) {
    case ASKED_OFF: {
        bool purge = slice_equal(request->method, slice_of("PURGE"));
        int status = purge ? 405 : 404;
        log_off(work->origin, request, status);
        if (purge)
            allow(exchange, fields, "GET, HEAD");
        return say_error(answer, status,
                         "purging is off: set token or token_file of admin in larder.conf, and "
                         "reload the pool");
    }
    case ASKED_NEAR:
        error_set(&err, LARDER_INVALID, "expected the path %s as it is written here",
                  config->admin_path);
        return refuse(work, answer, 404, err.message);
    case ASKED_FOREIGN:
        allow(exchange, fields, "GET, HEAD, PURGE");
        dialect_refuse_method(request, config->admin_path, &err);
        return refuse(work, answer, 405, err.message);
    case ASKED_POSTED:
        if (slice_equal(request->method, slice_of("POST")) ||
            slice_equal(request->method, slice_of("DELETE")))
            return 0;
        allow(exchange, fields, "POST, DELETE, PURGE");
        return say_error(answer, 405, "expected POST or DELETE");
    case ASKED_PURGE:
    case ASKED_NOTHING:
        break;
    }
    return 0;
}

/* 0: the sender may. Else as check_form(). */
static int
check_access(struct exchange *exchange, struct work *work, struct fields *fields,
             json_object *answer)
{
    const struct request *request = &exchange->request;
    struct arena *arena = exchange->arena;
    int64_t retry_after_s;
    switch (access_check(request, exchange->site->config, clock_now_us(), &retry_after_s, arena)) {
    case ACCESS_TOKEN:
        fields_add(fields, arena, slice_of("WWW-Authenticate"), slice_of("Bearer"));
        return refuse(work, answer, 401,
                      access_names_token(request)
                          ? "expected the token of admin in larder.conf, and another one came: "
                            "compare them, and reload the pool if the token has changed"
                          : "expected the token, as Authorization: Bearer TOKEN or as "
                            "X-Larder-Token, and none came");
    case ACCESS_ADDRESS:
        return refuse(work, answer, 403, "no purges from this address");
    case ACCESS_IN_DOUBT:
        return refuse(
            work, answer, 403,
            "REMOTE_ADDR came twice with different values, so allow of admin in larder.conf "
            "lets nobody in: leave REMOTE_ADDR as the web server has it");
    case ACCESS_RATE:
        fields_add(fields, arena, slice_of("Retry-After"),
                   slice_of(arena_printf(arena, "%lld", (long long)retry_after_s)));
        return refuse(work, answer, 429, "too many wrong tokens from this address");
    case ACCESS_GRANTED:
        break;
    }
    return 0;
}

/* A PURGE says all in its target and its fields. 0: it is read; else the status. */
static int
read_purge(struct exchange *exchange, struct work *work, struct larder_error *err)
{
    const struct request *request = &exchange->request;
    const char *path = exchange->site->config->admin_path;
    bool at_own_path = slice_equal(request->path, slice_of(path));
    if (request->has_body || (at_own_path && request->target.n > request->path.n)) {
        error_set(err, LARDER_INVALID,
                  "found a PURGE with a %s, expected POST %.80s for what is not a URL of its own",
                  request->has_body ? "body" : "query", path);
        return 400;
    }
    enum larder_status status =
        order_read_request(&work->order, request->target, &request->fields, work->arena, err);
    if (status == LARDER_OK && at_own_path && work->order.list[ORDER_URLS].count > 0)
        status = error_set(err, LARDER_INVALID,
                           "found a PURGE of %.80s itself, expected one of a page, or POST", path);
    return status_of(status);
}

/*
 * A PURGE of /blog/.* is meant for more than it names, in another cache. But it
 * may be the URL of a page too, as /wiki/Sagittarius_A*: the page is dropped, and
 * the answer is no success.
 */
static int
warn_of_pattern(struct work *work, const struct request *request, json_object *answer, int status)
{
    struct larder_error err = {0};
    const char *sign = dialect_pattern_sign(request->target);
    if (status != 200 || work->order.list[ORDER_URLS].count == 0 || !sign)
        return status;
    error_set(&err, LARDER_INVALID,
              "found %s in the URL: only the URL itself was purged, expected POST {\"prefixes\": "
              "[\"/blog/\"]} to %.80s, or the sign as %%XX where it is part of the URL",
              sign, work->site->config->admin_path);
    return refuse(work, answer, 400, err.message);
}

void
admin_serve(struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    json_object *answer = json_object_new_object();
    struct fields fields = {0};
    struct larder_error err = {0};
    const char *said = NULL;
    struct work work;
    bool begun = work_begin(&work, exchange->site,
                            access_client(request, exchange->site->config, exchange->arena));
    exchange->delivery.x_cache = "BYPASS";
    if (!answer || !begun) {
        json_object_put(answer);
        arena_free(work.arena);
        exchange_refuse(exchange, 503, "There is no memory for it.", NULL);
        exchange_done(exchange);
        return;
    }
    enum asked asked = what_is_asked(exchange);
    int status = check_form(exchange, asked, &work, &fields, answer);
    if (status == 0)
        status = check_access(exchange, &work, &fields, answer);
    if (status == 0) {
        status = status_of(dialect_check_fields(request, asked == ASKED_POSTED,
                                                exchange->site->config->admin_path, &err));
        if (status == 0)
            status = asked == ASKED_PURGE ? read_purge(exchange, &work, &err)
                                          : read_posted(exchange, &work, &err);
        if (status)
            refuse(&work, answer, status, err.message);
    }
    if (status == 0) {
        work.own = (struct order_site){
            request->scheme, request->forwarded_host.p ? request->forwarded_host : request->host};
        status = work_do(&work, answer, &said);
        if (asked == ASKED_PURGE)
            status = warn_of_pattern(&work, request, answer, status);
    }
    send_answer(exchange, status, &fields, answer, said);
    json_object_put(answer);
    arena_free(work.arena);
    exchange_done(exchange);
}

/* ------------------------------------------------------------ control socket */

struct control_job {
    struct fetcher_job job; /* first: a job is this */
    struct work work;
    struct control_later *later;
};

static void
end_job(struct control_job *job, int status)
{
    put(control_later_answer(job->later), "status", json_object_new_int(status));
    control_answer(job->later);
    arena_free(job->work.arena);
    site_give(job->work.site);
    free(job);
}

static void
run_job(struct fetcher_job *fetcher_job)
{
    struct control_job *job = (struct control_job *)fetcher_job;
    const char *said;
    end_job(job, work_do(&job->work, control_later_answer(job->later), &said));
}

void
admin_control(struct control *control, json_object *question, json_object *answer)
{
    struct larder_error err = {0};
    struct control_job *job = calloc(1, sizeof *job);
    bool begun = job && work_begin(&job->work, site_take(), "the control socket");
    if (begun)
        job->later = control_later(control, answer);
    if (!begun || !job->later) {
        say_error(answer, 500, "no memory");
        if (job) {
            arena_free(job->work.arena);
            site_give(job->work.site);
        }
        free(job);
        return;
    }
    /* Before another thread has it: what json-c counts is not counted by atoms. */
    json_object_object_del(question, "command");
    enum larder_status status =
        order_read_object(&job->work.order, question, job->work.arena, &err);
    job->job.run = run_job;
    if (status != LARDER_OK)
        end_job(job, refuse(&job->work, answer, status_of(status), err.message));
    else if (!fetchers_submit(&job->job))
        end_job(job, say_error(answer, 503, "too many requests are waiting"));
}
