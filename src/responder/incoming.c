/*
 * What comes from the backend: what the client gets of it, and what is kept. What
 * its head means is in meaning.c.
 *
 * What the client gets of a whole that is being stored (all of it, a range, or a
 * 304) is decided when the head comes: its view. Where the client's view ends
 * before the body does, the rest is still read for who else wants it.
 */
#include "responder/fetch.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/condition.h"
#include "http/range.h"
#include "responder/backend_fields.h"
#include "responder/cache_status.h"
#include "responder/client.h"
#include "responder/coalesce.h"
#include "responder/interim.h"
#include "responder/meaning.h"
#include "responder/opening.h"
#include "responder/post.h"
#include "responder/reply.h"
#include "responder/storer.h"
#include "runtime/counters.h"

/* The body of an answer whose head said all. */
#define SKIP_MAX (INT64_C(64) * 1024)

/* ------------------------------------------------------------------ answer */

static bool
is_head(const struct exchange *exchange)
{
    return slice_equal(exchange->request.method, slice_of("HEAD"));
}

/* Nothing but a head comes from the backend. */
static bool
brings_no_body(const struct fetch *fetch)
{
    return fetch->status == 204 || fetch->status == 304 || fetch->ask.head;
}

/* The head of the backend's own answer, or of the client's view of it. */
static struct reply
reply_of(const struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    enum reason reason = exchange->reason;
    bool in_cache = reason == REASON_NONE;
    bool crowded = fetch->cacheable && fetch->kept.crowded;
    const struct cache_status said = {
        .forward = in_cache ? exchange->forward : reason,
        .forward_status = fetch->status,
        .stored = fetch->cacheable && !crowded,
        .has_ttl = fetch->cacheable,
        .ttl_s = fetch->kept.decision.ttl_ms / 1000,
        .detail = !in_cache ? reason
                  : crowded ? REASON_VARIANTS
                            : fetch->kept.decision.reason,
        .key = exchange->key.name,
    };
    int64_t age_s = response_initial_age_s(&fetch->fields, &fetch->times);
    return (struct reply){
        .status = fetch->status,
        .fields = &fetch->fields,
        .mount = exchange->request.mount,
        .x_cache = exchange->delivery.x_cache,
        .cache_status =
            cache_status_format(&said, exchange->site->config->cache_status, exchange->arena),
        .invalidation = fetch->invalidated,
        /* §5.1: said when it is known to be old. A pass goes through as it is. */
        .age_s = in_cache && age_s > 0 ? age_s : -1,
        .content_length = -1,
        .client_cache = exchange->match.client_cache,
        .shared = in_cache && fetch->shared,
        .per_user = exchange->policy.per_user,
        .error_page = exchange->request.error_page,
        .may_be_cut = fields_get(&exchange->request.fields, "Range").p != NULL,
        .under_way = true,
        .via = true,
    };
}

struct slice
incoming_head(struct fetch *fetch, int64_t content_length)
{
    struct reply reply = reply_of(fetch);
    reply.content_length = content_length;
    fetch->exchange->delivery.status = reply.status;
    return reply_head(&reply, fetch->exchange->arena);
}

static int64_t
content_length_of(const struct fields *fields)
{
    struct slice text = fields_get(fields, "Content-Length");
    int64_t n = 0;
    if (!text.p || text.n == 0 || text.n > 18)
        return -1;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return -1;
        n = n * 10 + (text.p[i] - '0');
    }
    return n;
}

/*
 * The client asked for less than the whole that the backend sends: a range of
 * it, or nothing if it has it already. true: the head for that is made, and the
 * view is set.
 */
static bool
make_view(struct fetch *fetch, struct reply *reply)
{
    struct exchange *exchange = fetch->exchange;
    const struct fields *asked = &exchange->request.fields;
    int64_t now_s = fetch->times.response_ms / 1000;
    struct ranges ranges;
    if (!backend_is_shared(exchange) || exchange->background)
        return false;
    *reply = reply_of(fetch);
    if (condition_evaluate(asked, fetch->status, &fetch->fields, now_s, now_s) ==
        CONDITION_NOT_MODIFIED) {
        reply->status = 304;
        reply->not_modified = true;
        fetch->view_first = fetch->view_end = 0;
        return true;
    }
    if (fetch->status != 200 || is_head(exchange) || !fields_get(asked, "Range").p ||
        fetch->content_length < 0 || !range_if_range_holds(asked, &fetch->fields, now_s))
        return false;
    switch (range_parse(asked, fetch->content_length, &ranges)) {
    case RANGE_PARTIAL:
        if (ranges.count != 1)
            return false;
        reply->status = 206;
        reply->content_range =
            range_content_format(ranges.list[0], fetch->content_length, exchange->arena);
        fetch->view_first = ranges.list[0].first;
        fetch->view_end = ranges.list[0].last + 1;
        reply->content_length = fetch->view_end - fetch->view_first;
        return reply->content_range.p != NULL;
    case RANGE_UNSATISFIABLE:
        reply->status = 416;
        reply->not_modified = true;
        reply->content_range = slice_of(
            arena_printf(exchange->arena, "bytes */%lld", (long long)fetch->content_length));
        reply->content_length = 0;
        fetch->view_first = fetch->view_end = 0;
        return reply->content_range.p != NULL;
    case RANGE_NONE:
    case RANGE_UNKNOWN:
        break;
    }
    return false;
}

/* ------------------------------------------------------------------- the head */

/* The part that we have and the rest that comes are one 200. */
static bool
begin_completion(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    const struct entry *part = &exchange->lookup.entry;
    struct fields merged = {0};
    if (!response_update_fields(&merged, exchange->arena, &exchange->policy, &part->fields,
                                &fetch->fields))
        return false;
    fields_remove(&merged, "Content-Range");
    fields_remove(&merged, "Content-Length");
    const char *length = arena_printf(exchange->arena, "%lld", (long long)part->total);
    if (!length ||
        !fields_add(&merged, exchange->arena, slice_of("Content-Length"), slice_of(length)))
        return false;
    fetch->fields = merged;
    fetch->status = 200;
    fetch->content_length = part->total;
    return true;
}

/* What is kept, or given to others: a place for it. */
static void
begin_spool(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    bool for_others = exchange->wait.rounds && keep_is_unproven(&fetch->kept) &&
                      coalesce_is_wanted(exchange, NULL);
    if (!fetch->cacheable && !for_others)
        return;
    fetch->spool =
        keep_spool(&fetch->kept, fetch->post ? fetch->post : exchange, fetch->content_length);
    if (!fetch->spool && fetch->cacheable) {
        fetch->cacheable = false;
        fetch->kept.decision.reason = REASON_NO_MEMORY;
        counters_add(COUNTER_store_failed, 1);
    }
}

/* May it be stored, and is it everybody's? */
static void
decide(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    const struct cache_key before = exchange->key;
    if (fetch->post)
        post_decide(&fetch->kept, fetch->post, fetch->status, &fetch->fields, &fetch->times);
    else if (exchange->reason == REASON_NONE)
        keep_decide(&fetch->kept, exchange, &fetch->ask, fetch->status, &fetch->fields,
                    &fetch->times);
    struct store_decision *decision = &fetch->kept.decision;
    bool stream = response_is_stream(&fetch->fields);
    if ((stream || fetch->until_close) && !brings_no_body(fetch) &&
        (decision->reason == REASON_NONE || keep_is_unproven(&fetch->kept))) {
        decision->reason = stream ? REASON_STREAM : REASON_UNTIL_CLOSE;
        fetch->kept.shared = false;
    }
    /* No visitor's own answer is given to others. If the next one might be, it is fetched for all. */
    if (exchange->opening.sends_all && fetch->kept.decision.reason == REASON_NONE) {
        fetch->kept.decision.reason = REASON_HIT_FOR_MISS;
        if (exchange->lookup.missing == REASON_HIT_FOR_MISS &&
            (!opening_is_refusal(exchange->lookup.entry.stored.status) ||
             !backend_fields_withheld(exchange)))
            storer_drop(exchange->site, exchange->lookup.found, exchange->lookup.entry.checksum);
    }
    if (exchange->opening.sends_all) {
        /* A mark stands where the next look-up finds it. */
        exchange->key = before;
        fetch->kept.names = (struct slice){NULL, 0};
    }
    /* The limit was reached. */
    if (fetch->openings == MEANING_OPENINGS_MAX && fetch->kept.decision.reason == REASON_NONE &&
        opening_needed(exchange, &fetch->ask, &fetch->fields))
        fetch->kept.decision.reason = REASON_VARY;
    fetch->cacheable = (fetch->post || exchange->reason == REASON_NONE) &&
                       fetch->kept.decision.reason == REASON_NONE;
    fetch->shared = fetch->kept.shared && !exchange->opening.sends_all;
    if (!backend_is_shared(exchange) || !fetch->ask.head)
        return;
    /* A head alone is judged as the page that it speaks of. */
    struct request_facts facts = exchange->facts;
    facts.method = slice_of("GET");
    const struct store_decision whole =
        decide_store(&exchange->policy, &facts, fetch->status, &fetch->fields, &fetch->times);
    fetch->shared = decision_shares(&whole) && !stream;
}

/* Tags are between the backend and us; which they are is known by now. */
static void
strip_tags(struct fetch *fetch)
{
    static const char *const names[] = {"Surrogate-Key", "xkey", "Cache-Tag"};
    if (fetch->exchange->site->config->response_tags != RESPONSE_TAGS_STRIP)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fields_remove(&fetch->fields, names[i]);
}

/*
 * The whole was asked for because of a range, and it is too large for that, or
 * nobody else is to have it: then the range alone costs less than to read up to
 * it. Not where the client gets no body anyway.
 */
static bool
is_too_much(const struct fetch *fetch)
{
    const struct exchange *exchange = fetch->exchange;
    const struct fields *asked = &exchange->request.fields;
    int64_t now_s = fetch->times.response_ms / 1000, length = fetch->content_length;
    struct ranges ranges;
    if (!fetch->ask.whole_for_range || fetch->kind != ASK_FIRST || fetch->status != 200)
        return false;
    if (fetch->cacheable && length >= 0 && length <= (int64_t)exchange->match.route->range_fetch)
        return false;
    if (condition_evaluate(asked, 200, &fetch->fields, now_s, now_s) == CONDITION_NOT_MODIFIED ||
        !range_if_range_holds(asked, &fetch->fields, now_s))
        return false;
    enum range_verdict verdict = range_parse(asked, length, &ranges);
    return verdict == RANGE_PARTIAL || verdict == RANGE_UNKNOWN;
}

static bool on_body(void *arg, const char *data, size_t n);

static bool
send_head(struct fetch *fetch)
{
    struct exchange *exchange = fetch->exchange;
    bool bodiless = brings_no_body(fetch) || is_head(exchange);
    struct reply view;
    fetch->viewed = make_view(fetch, &view);
    if (!fetch->viewed && exchange->request.mount == MOUNT_APACHE_FCGID && !bodiless &&
        fetch->content_length < 0 && !exchange->background) {
        /* A body that breaks off would look whole behind mod_fcgid: send it with its length. */
        if (!fetch->spool)
            fetch->spool = spool_new(-1, exchange->site->config->max_object);
        fetch->collecting = fetch->spool != NULL;
    }
    if (fetch->collecting)
        return true;
    struct slice head;
    if (fetch->viewed) {
        head = reply_head(&view, exchange->arena);
        exchange->delivery.status = view.status;
    } else {
        head = incoming_head(fetch, -1);
    }
    struct iovec piece = {(void *)head.p, head.n};
    fetch->head_sent = head.p != NULL;
    /* What has no body ends with its head. */
    bool last = bodiless || fetch->content_length == 0 ||
                (fetch->viewed && fetch->view_first == fetch->view_end);
    return head.p && client_send(fetch, &piece, 1, last);
}

/*
 * The client has all that it gets, a HEAD its head, and the body is still to come.
 * If it is to be stored, or somebody waits for it, the connection need not stay
 * for it. false: it is for nobody.
 */
static bool
goes_on_for_others(struct fetch *fetch)
{
    bool has_all = brings_no_body(fetch) || fetch->content_length == 0;
    if (fetch->exchange->background || !fetch->ended || (has_all && !fetch->mutation.changed))
        return true;
    fetch->satisfied = !fetch->cacheable && !client_is_not_alone(fetch);
    if (!fetch->satisfied)
        client_let_go(fetch);
    return !fetch->satisfied;
}

/*
 * The backend is to be asked again. If this answer was everybody's, what follows is made of the
 * visitor's own words: it tells nobody else to expect nothing of the page.
 */
static void
ask_again(struct fetch *fetch, bool everybodys)
{
    struct exchange *exchange = fetch->exchange;
    struct request_facts facts = exchange->facts;
    fetch->cacheable = false;
    if (!everybodys)
        return;
    facts.method = slice_of("GET");
    const struct store_decision decision =
        decide_store(&exchange->policy, &facts, fetch->status, &fetch->fields, &fetch->times);
    exchange->opening.unmarked |= fetch->status == 304 || decision_shares(&decision);
}

static bool
on_head(void *arg, int status, struct fields *fields, bool until_close)
{
    struct fetch *fetch = arg;
    struct exchange *exchange = fetch->exchange;
    fetch->status = status;
    fetch->fields = *fields;
    fetch->until_close = until_close;
    fetch->times.response_ms = store_clock_ms(exchange->site->cache);
    fetch->times.local_ms = clock_wall_ms();
    fetch->held_ms = clock_now_ms();
    fetch->content_length = brings_no_body(fetch) ? -1 : content_length_of(fields);
    const char *said = mutation_end(&fetch->mutation, exchange, status, true, fields, &fetch->post);
    if (said)
        fetch->invalidated = said;
    coalesce_seal(exchange);
    bool everybodys = backend_is_shared(exchange) && !opening_is_own(exchange, &fetch->ask);
    fetch->meaning = meaning_of(fetch);
    if (fetch->meaning == MEANS_OPENED) {
        ask_again(fetch, everybodys);
        coalesce_opened(exchange);
    }
    if (fetch->meaning != MEANS_ANSWER)
        return true;
    bool completion = fetch->ask.completes && status == 206;
    if (completion && !begin_completion(fetch))
        return false;
    decide(fetch);
    if (opening_was_wrong(exchange, &fetch->ask, &fetch->kept)) {
        ask_again(fetch, everybodys);
        /* What follows is this visitor's own: nobody need wait for it. */
        if (exchange->opening.refused)
            coalesce_head(exchange, &fetch->kept, NULL);
        fetch->openings++;
        fetch->meaning = MEANS_OPENED;
        return true;
    }
    strip_tags(fetch);
    if (is_too_much(fetch)) {
        fetch->meaning = MEANS_AGAIN;
        fetch->kind = ASK_RANGE;
        if (ask_has_own_ranges(exchange)) {
            coalesce_end(exchange, FLIGHT_ALONE);
            exchange->opening.sends_all = exchange->opening.unmarked = true;
        }
        fetch->cacheable = false;
        return true;
    }
    begin_spool(fetch);
    /* Who waits need not wait for our client. */
    if (exchange->reason == REASON_NONE && !exchange->opening.refused)
        coalesce_head(exchange, &fetch->kept, fetch->spool);
    if (!send_head(fetch) && client_is_missed_by_nobody(fetch))
        return false;
    if (!goes_on_for_others(fetch))
        return false;
    const struct entry *part = &exchange->lookup.entry;
    return !completion || on_body(fetch, part->body.p, part->body.n);
}

static void
on_interim(void *arg, int status, struct fields *fields)
{
    struct fetch *fetch = arg;
    if (!fetch->exchange->background && fetch->kind == ASK_FIRST && fetch->openings == 0)
        interim_send(fetch->exchange, status, fields);
}

/* ------------------------------------------------------------------- the body */

/* The head and what was collected, when it grows beyond what is kept. */
static bool
give_up_collecting(struct fetch *fetch)
{
    struct slice head = incoming_head(fetch, -1), body = spool_body(fetch->spool);
    struct iovec pieces[2] = {{(void *)head.p, head.n}, {(void *)body.p, body.n}};
    fetch->collecting = false;
    fetch->head_sent = head.p != NULL;
    fetch->exchange->delivery.body_sent += body.n;
    return head.p && client_send(fetch, pieces, 2, false);
}

/* Nobody but the client is there for it any more. false: neither is the client. */
static bool
drop_spool(struct fetch *fetch)
{
    bool there = client_take_back(fetch) && (!fetch->collecting || give_up_collecting(fetch));
    spool_end(fetch->spool, false);
    spool_give(fetch->spool);
    fetch->spool = NULL;
    return there;
}

/*
 * More than is kept: it is not stored. While others read it, it goes on in a
 * file, so that it is not taken away from under them; without them the client has
 * it directly, at its own pace.
 */
static bool
outgrow_spool(struct fetch *fetch, const char *data, size_t n)
{
    struct exchange *exchange = fetch->exchange;
    bool in_file = !spool_in_memory(fetch->spool);
    if (fetch->cacheable) {
        fetch->cacheable = false;
        fetch->kept.decision.reason = REASON_TOO_LARGE;
        counters_add(COUNTER_store_too_large, 1);
    }
    if (coalesce_is_too_large(exchange, &fetch->kept, fetch->spool) && !fetch->collecting &&
        !in_file && spool_spill(fetch->spool, exchange->site->config->state_dir, SPOOL_FILE_MAX) &&
        spool_append(fetch->spool, data, n)) {
        streamer_grew();
        return true;
    }
    return drop_spool(fetch);
}

/* false: there is nobody any more. */
static bool
keep_bytes(struct fetch *fetch, const char *data, size_t n)
{
    struct spool *spool = fetch->spool;
    int64_t now_ms = clock_now_ms();
    if (!spool)
        return true;
    if (fetch->cacheable && now_ms - fetch->held_ms >= KEEP_HOLD_MS) {
        keep_hold(&fetch->kept, fetch->post ? fetch->post : fetch->exchange);
        fetch->held_ms = now_ms;
    }
    /* The file is for others; when they are gone it has no end but the client's patience. */
    if (!spool_in_memory(spool) &&
        (atomic_load(&spool->readers) == 0 || !streamer_make_room(fetch->spool, n)))
        return drop_spool(fetch);
    if (!spool_append(spool, data, n))
        return outgrow_spool(fetch, data, n);
    streamer_grew();
    return true;
}

static bool
on_body(void *arg, const char *data, size_t n)
{
    struct fetch *fetch = arg;
    if (atomic_load_explicit(&server_giving_up, memory_order_relaxed))
        return false;
    if (fetch->meaning != MEANS_ANSWER) {
        /* Of no use; read past while that is cheaper than a new connection. */
        fetch->seen += (int64_t)n;
        return fetch->seen <= SKIP_MAX;
    }
    /* Whoever has the last byte takes the answer for whole; a FastCGI backend may go on all the same. */
    if (fetch->content_length >= 0 && fetch->seen + (int64_t)n >= fetch->content_length)
        fetch_changed(fetch, false);
    if (!keep_bytes(fetch, data, n) && client_is_missed_by_nobody(fetch))
        return false;
    if (fetch->collecting)
        return true;
    if (!client_pass_on(fetch, data, n) && client_is_missed_by_nobody(fetch))
        return false;
    /* Who has all he wanted does not make us fetch the rest, if nobody else is to have it. */
    fetch->satisfied = !fetch->cacheable && !client_wants_more(fetch) &&
                       !client_is_not_alone(fetch);
    if (fetch->mutation.changed)
        client_let_go(fetch);
    return !fetch->satisfied;
}

void
incoming_failed(struct fetch *fetch)
{
    if (!fetch->cacheable)
        return;
    fetch->cacheable = false;
    fetch->kept.decision.reason = REASON_INCOMPLETE;
    log_write(LARDER_LOG_WARNING, "%.*s %.*s: the script failed; its answer is not stored",
              (int)fetch->exchange->request.method.n, fetch->exchange->request.method.p,
              (int)fetch->exchange->request.target.n, fetch->exchange->request.target.p);
}

/* ----------------------------------------------------------------- the client */

/* Whom a hang-up tells something: a request that changes nothing, and its answer has not been seen.
 * One that may change something goes on, so that it becomes known what it did. */
static int
on_client(void *arg)
{
    const struct fetch *fetch = arg;
    const struct exchange *exchange = fetch->exchange;
    if (exchange->background || fetch->ended || fetch->client ||
        !method_is_safe(exchange->request.method))
        return -1;
    return exchange->connection->fd;
}

static enum upstream_client
on_client_event(void *arg)
{
    struct fetch *fetch = arg;
    switch (connection_look(fetch->exchange->connection)) {
    case CONNECTION_QUIET:
        return UPSTREAM_CLIENT_THERE;
    case CONNECTION_TALKS:
        return UPSTREAM_CLIENT_UNCLEAR;
    case CONNECTION_LEFT:
        break;
    }
    return client_is_missed_by_nobody(fetch) ? UPSTREAM_CLIENT_LEFT : UPSTREAM_CLIENT_THERE;
}

/* A mutation that nobody waits for any more but we: its silence tells nothing, and its talk is none of
 * our business. */
static int64_t
on_unattended(void *arg)
{
    const struct fetch *fetch = arg;
    if (!fetch->mutation.changed || client_wants_more(fetch))
        return -1;
    return fetch->asked_ms + fetch->exchange->site->config->mutation_max_ms;
}

struct upstream_sink
incoming_sink(struct fetch *fetch)
{
    return (struct upstream_sink){.arg = fetch,
                                  .head = on_head,
                                  .body = on_body,
                                  .interim = on_interim,
                                  .client = on_client,
                                  .client_event = on_client_event,
                                  .unattended = on_unattended};
}
