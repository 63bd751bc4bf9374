/*
 * Explaining. The idea stands in explain.h: a question goes the way of a request
 * up to the point where something would be sent or fetched, and what has been
 * found there is told: as JSON for programs, as lines for people.
 */
#include "responder/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "responder/explain_request.h"
#include "responder/explain_say.h"
#include "responder/field_use.h"
#include "responder/keep.h"
#include "responder/opening.h"
#include "responder/rewriting.h"
#include "responder/seen.h"

#define WAIT_MAX_MS 500

/* ------------------------------------------------------------------------- request, route, key */

static void
tell_request(struct explanation *e)
{
    const struct request *request = &e->exchange.request;
    json_object *object = json_object_new_object();
    explain_put_text(e, object, "method", request->method);
    explain_put_text(e, object, "scheme", request->scheme);
    explain_put_text(e, object, "host", request->host);
    explain_put_text(e, object, "target", request->target);
    explain_put(e->answer, "request", object);
    explain_say(e, "Request:", "%s %s://%s%s", explain_shown(e, request->method),
                explain_shown(e, request->scheme), explain_shown(e, request->host),
                explain_shown(e, request->target));
}

/* How long an answer of the backend is kept. */
static const char *
lifetime_words(struct explanation *e)
{
    const struct policy *policy = &e->exchange.policy;
    struct arena *arena = e->exchange.arena;
    if (policy->ttl_override_ms > 0)
        return arena_printf(arena, "fresh for %s, whatever the backend says of time",
                            explain_duration(e, policy->ttl_override_ms));
    if (policy->ttl_ms > 0)
        return arena_printf(arena, "fresh for as long as the backend says, else for %s",
                            explain_duration(e, policy->ttl_ms));
    return policy->rfc ? "fresh for as long as the backend says"
                       : "fresh for as long as the backend or ttl_by_status says";
}

/* Of two routes the other one. */
static void
tell_beside(struct explanation *e)
{
    const struct route *beside = route_beside(&e->exchange.match);
    if (!beside)
        return;
    explain_put_text(e, e->answer, "route_beside", slice_of(beside->name));
    explain_say(e, "", "and that of the rewritten URL: %s; the stricter word counts",
                explain_shown(e, slice_of(beside->path)));
}

static void
tell_route(struct explanation *e)
{
    const struct exchange *exchange = &e->exchange;
    const struct route *route = exchange->match.route;
    if (!route) {
        explain_put(e->answer, "route", NULL);
        explain_say(e, "Route:", "none matches");
        return;
    }
    json_object *object = json_object_new_object();
    explain_put_text(e, object, "name", slice_of(route->name));
    explain_put_text(e, object, "path", slice_of(route->path));
    explain_put_text(e, object, "resource", slice_of(route->resource));
    explain_put(object, "ttl_ms", json_object_new_int64(route->policy.ttl_ms));
    explain_put(object, "per_user", json_object_new_boolean(exchange->policy.per_user));
    explain_put(e->answer, "route", object);
    bool named = strcmp(route->name, route->path) != 0;
    explain_say(e, "Route:", "%s%s%s%s", explain_shown(e, slice_of(route->path)), named ? " (" : "",
                named ? explain_shown(e, slice_of(route->name)) : "", named ? ")" : "");
    tell_beside(e);
}

static void
tell_key(struct explanation *e)
{
    const struct exchange *exchange = &e->exchange;
    const char *space = exchange->site->config->redis.name_space;
    const struct cache_key *key = &exchange->key;
    if (!key->name)
        return;
    struct arena *arena = exchange->arena;
    const char *between = *space ? ":" : "";
    const char *name = arena_printf(arena, "%s%s%s", space, between, key->name);
    json_object *object = json_object_new_object(), *tags = json_object_new_array();
    explain_put_text(e, object, "name", slice_of(name));
    for (size_t i = 0; i < key->tags.count; i++)
        json_object_array_add(
            tags, json_object_new_string(explain_shown(e, slice_of(key->tags.name[i]))));
    explain_put(object, "tags", tags);
    explain_say(e, "Key:", "%s", name ? name : "?");
    if (exchange->lookup.has_marker) {
        const char *primary = arena_printf(arena, "%s%s%s", space, between, key->primary);
        explain_put_text(e, object, "primary", slice_of(primary));
        json_object *names = json_object_new_array();
        for (size_t i = 0; i < exchange->lookup.marker.vary.count; i++)
            json_object_array_add(names, json_object_new_string(explain_shown(
                                             e, exchange->lookup.marker.vary.names[i])));
        explain_put(object, "vary", names);
        explain_say(e, "Vary:", "%s; the variant of this request's values",
                    explain_shown(e, exchange->lookup.marker.names));
    }
    explain_put(e->answer, "key", object);
}

/* Why it goes past the cache; of a field with its name. */
static const char *
bypass_words(struct explanation *e)
{
    const struct exchange *exchange = &e->exchange;
    struct slice field = exchange->facts.bypass_field;
    const char *words = explain_reason(exchange->reason);
    if (exchange->reason != REASON_FIELD || !field.p)
        return words;
    return arena_printf(exchange->arena, "%s: %s", words, explain_shown(e, field));
}

/* What the fields do that are not HTTP's own. */
static void
tell_fields(struct explanation *e)
{
    static const char *const names[] = {"keyed", "forwarded", "expected", "withheld"};
    static const char *const words[] = {
        "part of the key", "sent to the backend",
        "sent to the backend, because other answers of this kind name it in Vary",
        "kept from the backend"};
    const struct exchange *exchange = &e->exchange;
    const struct fields *client = &exchange->request.fields;
    json_object *object = json_object_new_object();
    for (size_t which = 0; which < 4; which++) {
        json_object *list = json_object_new_array();
        const char *text = NULL;
        for (size_t i = 0; i < client->count; i++) {
            const struct field *f = &client->list[i];
            enum field_use use = field_use(&exchange->match, exchange->site->config, f);
            bool varies = use == FIELD_USE_WITHHELD && exchange->opening.opened &&
                          vary_has(exchange->opening.opened, f->name);
            size_t sent = varies && exchange->opening.expected ? 2 : 1;
            size_t its = use == FIELD_USE_KEYED                 ? 0
                         : varies || use == FIELD_USE_FORWARDED ? sent
                                                                : 3;
            if (use == FIELD_USE_OWN || its != which)
                continue;
            const char *name = explain_shown(e, f->name);
            text = text ? arena_printf(exchange->arena, "%s, %s", text, name) : name;
            json_object_array_add(list, json_object_new_string(name));
        }
        explain_put(object, names[which], list);
        if (text)
            explain_say(e, "Fields:", "%s: %s", words[which], text);
    }
    explain_put(e->answer, "fields", object);
}

/* ------------------------------------------------------------------------- what is stored */

static void
tell_staleness(struct explanation *e, const struct stored *stored, int64_t left_ms)
{
    int64_t while_ms = left_ms + stored->stale_while_s * 1000;
    int64_t if_ms = left_ms + stored->stale_if_s * 1000;
    if (left_ms > 0)
        explain_say(e, "Fresh:", "for another %s", explain_duration(e, left_ms));
    else
        explain_say(e, "Fresh:", "no longer, since %s", explain_duration(e, -left_ms));
    if (stored->stale_while_s > 0 && while_ms > 0)
        explain_say(e, "", "used while it is fetched anew for another %s",
                    explain_duration(e, while_ms));
    if (stored->stale_if_s > 0 && if_ms > 0)
        explain_say(e, "", "used if the backend fails for another %s", explain_duration(e, if_ms));
}

/* Why nobody knows what is stored. */
static const char *
no_redis(struct explanation *e)
{
    const struct exchange *exchange = &e->exchange;
    char why[LARDER_ERROR_MAX] = "";
    const char *text = exchange->lookup.redis_failure;
    if (exchange->lookup.missing == REASON_JOURNAL) {
        text = explain_reason(REASON_JOURNAL);
        store_failure(exchange->site->cache, why, sizeof why);
        if (why[0])
            text = arena_printf(exchange->arena, "%s (%s)", text, why);
    }
    return text ? explain_shown(e, slice_of(text)) : explain_reason(REASON_NO_GENERATIONS);
}

static void
tell_stored(struct explanation *e, const struct reuse_decision *decision)
{
    static const char *const fields[] = {
        "Cache-Control", "CDN-Cache-Control", "Expires", "ETag", "Last-Modified",
        "Vary",          "Content-Type",      "Date"};
    const struct exchange *exchange = &e->exchange;
    const struct entry *entry = &exchange->lookup.entry;
    const struct stored *stored = &entry->stored;
    if (!exchange->lookup.has_entry) {
        explain_put(e->answer, "stored", NULL);
        if (exchange->lookup.redis_answered)
            explain_say(e, "Stored:", "nothing that this request may have: %s",
                        explain_reason(exchange->lookup.missing));
        else
            explain_say(e, "Stored:", "unknown: %s", no_redis(e));
        return;
    }
    bool part = stored->flags & STORED_PARTIAL;
    json_object *object = json_object_new_object(), *list = json_object_new_object();
    explain_put(object, "status", json_object_new_int(stored->status));
    explain_put(object, "body_bytes", json_object_new_int64((int64_t)entry->body.n));
    explain_put(object, "partial", json_object_new_boolean(part));
    if (stored->age_s >= 0) {
        explain_put(object, "age_s", json_object_new_int64(decision->age_s));
        explain_put(object, "fresh_left_ms", json_object_new_int64(decision->fresh_left_ms));
        explain_put(object, "stale_while_revalidate_s",
                    json_object_new_int64(stored->stale_while_s));
        explain_put(object, "stale_if_error_s", json_object_new_int64(stored->stale_if_s));
        explain_put(object, "no_cache", json_object_new_boolean(stored->flags & STORED_NO_CACHE));
        explain_put(object, "must_revalidate",
                    json_object_new_boolean(stored->flags & STORED_MUST_REVALIDATE));
        explain_put(object, "heuristic", json_object_new_boolean(stored->flags & STORED_HEURISTIC));
    }
    explain_say(e, "Stored:", "%d with %s%zu bytes", stored->status, part ? "a part, " : "",
                entry->body.n);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct slice value = fields_get(&entry->fields, fields[i]);
        if (!value.p)
            continue;
        explain_put_text(e, list, fields[i], value);
        explain_say(e, "", "%s: %s", fields[i], explain_shown(e, value));
    }
    explain_put(object, "fields", list);
    explain_put(e->answer, "stored", object);
    if (stored->age_s < 0)
        return; /* the ancestor's: fresh while it is there */
    explain_say(e, "Age:", "%s", explain_duration(e, decision->age_s * 1000));
    if (exchange->lookup.use_entry)
        tell_staleness(e, stored, decision->fresh_left_ms);
    if (stored->flags & STORED_HEURISTIC)
        explain_say(e, "", "by our own guess from Last-Modified");
}

/* ------------------------------------------------------------------------- what will be done */

static void
tell_next(struct explanation *e, const char *x_cache, enum reason reason, const char *words)
{
    json_object *object = json_object_new_object();
    explain_put(object, "x_cache", json_object_new_string(x_cache));
    explain_put(object, "reason", json_object_new_string(reason_name(reason)));
    explain_put(object, "text", json_object_new_string(words ? words : "?"));
    explain_put(e->answer, "next", object);
    if (reason == REASON_NONE)
        explain_say(e, "Next:", "%s: %s.", x_cache, words ? words : "?");
    else
        explain_say(e, "Next:", "%s (%s): %s.", x_cache, reason_name(reason), words ? words : "?");
}

static void
tell_fetch(struct explanation *e, const struct reuse_decision *decision)
{
    const struct exchange *exchange = &e->exchange;
    struct arena *arena = exchange->arena;
    const char *why = explain_reason(decision->reason);
    if (!exchange->lookup.redis_answered) {
        bool journal = exchange->lookup.missing == REASON_JOURNAL;
        tell_next(
            e, "MISS", journal ? REASON_JOURNAL : REASON_NO_GENERATIONS,
            arena_printf(arena, "%s; the backend is asked, and nothing is stored", no_redis(e)));
        return;
    }
    if (!exchange->lookup.use_entry && keep_is_crowded(exchange)) {
        tell_next(e, "MISS", decision->reason,
                  arena_printf(arena, "%s; the backend is asked, and nothing is stored: %s", why,
                               explain_reason(REASON_VARIANTS)));
        return;
    }
    if (!exchange->lookup.use_entry) {
        tell_next(e, "MISS", decision->reason,
                  arena_printf(arena,
                               "%s; the backend is asked, and what it says is stored if it may "
                               "be, %s",
                               why, lifetime_words(e)));
        return;
    }
    const struct fields *fields = &exchange->lookup.entry.fields;
    bool validator = fields_get(fields, "ETag").n > 0 || fields_get(fields, "Last-Modified").n > 0;
    const char *fallback = decide_on_error(&exchange->policy, &exchange->facts,
                                           &exchange->lookup.entry.stored,
                                           store_clock_ms(exchange->site->cache))
                               ? "; if it fails, what is stored is used"
                               : "";
    if (validator)
        tell_next(e, "REVALIDATED", decision->reason,
                  arena_printf(arena,
                               "%s; the backend is asked whether it still holds (if it sends "
                               "another: MISS)%s",
                               why, fallback));
    else
        tell_next(
            e, "MISS", decision->reason,
            arena_printf(arena, "%s and has no validator; the backend is asked%s", why, fallback));
}

static void
tell_decision(struct explanation *e, const struct reuse_decision *decision)
{
    struct arena *arena = e->exchange.arena;
    bool stale = decision->reason == REASON_STALE;
    switch (decision->reuse) {
    case REUSE_SERVE:
        if (stale)
            tell_next(e, "STALE", REASON_STALE,
                      "it is answered from the store, because the request says that a stale one "
                      "will do");
        else if (e->exchange.lookup.entry.stored.age_s < 0)
            tell_next(e, "HIT", REASON_NONE, "it is answered from the store");
        else
            tell_next(e, "HIT", REASON_NONE,
                      arena_printf(arena, "it is answered from the store, for another %s",
                                   explain_duration(e, decision->fresh_left_ms)));
        break;
    case REUSE_SERVE_AND_REFRESH:
        tell_next(e, "STALE", REASON_STALE,
                  "it is answered from the store at once, and fetched anew behind that");
        break;
    case REUSE_UNAVAILABLE:
        tell_next(e, "MISS", decision->reason,
                  arena_printf(arena, "%s; it gets 504", explain_reason(decision->reason)));
        break;
    case REUSE_VALIDATE:
        tell_fetch(e, decision);
        break;
    }
}

/* Of this process and this configuration: larderctl believes the process that has something to tell. */
static void
tell_trouble(struct explanation *e)
{
    const struct config *config = e->exchange.site->config;
    struct trouble_told told;
    trouble_tell(&e->exchange.site->trouble, clock_now_ms(), &told);
    if (told.failure_age_ms >= 0) {
        json_object *object = json_object_new_object();
        explain_put(object, "age_ms", json_object_new_int64(told.failure_age_ms));
        explain_put_text(e, object, "error", slice_of(told.failure));
        explain_put(e->answer, "backend_failure", object);
        explain_say(e, "Backend:", "its last failure was %s ago: %s",
                    explain_duration(e, told.failure_age_ms),
                    explain_shown(e, slice_of(told.failure)));
    }
    if (told.loop_age_ms >= 0) {
        explain_put(e->answer, "loops", json_object_new_int64(told.loops));
        explain_say(
            e, "Loop:",
            "%lld requests have come back from the backend and got 508, the last of them %s ago: "
            "%s leads back to this web server.",
            (long long)told.loops, explain_duration(e, told.loop_age_ms),
            loop_setting(config, e->exchange.arena));
    }
}

static bool
look_as(struct exchange *exchange, const struct chosen_script *script,
        struct reuse_decision *decision)
{
    exchange->request.script = *script;
    *decision = (struct reuse_decision){.reuse = REUSE_VALIDATE, .reason = REASON_NO_MEMORY};
    if (!rewriting_ask(&exchange->request, exchange->site->config, exchange->arena))
        return false;
    exchange->key = (struct cache_key){.name = NULL};
    exchange->reason = exchange_examine(exchange);
    *decision = (struct reuse_decision){.reuse = REUSE_VALIDATE, .reason = exchange->reason};
    if (exchange->reason == REASON_NONE)
        *decision = exchange_look(exchange, store_clock_ms(exchange->site->cache));
    return exchange->reason == REASON_NONE;
}

static bool
has_something(const struct exchange *exchange)
{
    return exchange->lookup.has_entry ||
           (exchange->lookup.redis_answered && exchange->lookup.missing != REASON_MISS);
}

static void
tell_script(struct explanation *e, size_t seen, size_t found)
{
    const struct chosen_script *script = &e->exchange.request.script;
    json_object *object = json_object_new_object();
    explain_put(object, "seen", json_object_new_int64((int64_t)seen));
    explain_put(object, "found", json_object_new_boolean(found > 0));
    if (found) {
        explain_put_text(e, object, "document_root", script->document_root);
        explain_put_text(e, object, "filename", script->filename);
        explain_say(e, "Script:", "%s, of %s", explain_shown(e, script->filename),
                    explain_shown(e, script->document_root));
        if (found > 1)
            explain_say(e, "",
                        "the one that was seen last, of %zu that have something stored for the URL",
                        found);
    } else if (seen) {
        explain_say(e,
                    "Script:", "none of those that the web server may choose has anything stored");
    } else {
        explain_say(e, "Script:",
                    "unknown: this process has not yet seen which one the web server chooses "
                    "for this host; ask for the URL once");
    }
    explain_put(e->answer, "script", object);
}

/* For a backend that speaks HTTP. */
static void
tell_rewriting(struct explanation *e, size_t seen, size_t found)
{
    const struct request *request = &e->exchange.request;
    json_object *object = json_object_new_object();
    explain_put(object, "seen", json_object_new_int64((int64_t)seen));
    explain_put(object, "found", json_object_new_boolean(found > 0));
    explain_put(e->answer, "rewriting", object);
    if (found == 0 && request->script.name.n == 0) {
        explain_say(e, "Rewrite:",
                    "none is known here; if the web server rewrites it, say to what (--rewritten)");
        return;
    }
    if (request->script.name.n == 0 && found < 2)
        return;
    if (request->script.name.n == 0) {
        explain_say(e, "Rewrite:", "not, as far as it is told here");
    } else {
        struct slice asked =
            rewriting_target(request->script.name, request->script.query, e->exchange.arena);
        explain_put_text(e, e->answer, "rewritten", asked);
        explain_say(e, "Rewrite:", "by the web server, to %s", explain_shown(e, asked));
        if (seen > 0)
            tell_beside(e); /* else it is told beside the route */
    }
    if (found > 1)
        explain_say(e, "", "one of %zu that have something stored for the URL", found);
}

/*
 * The web server says which script it is, or to what it has rewritten the URL, and a
 * question does not: what has been seen for its host is tried, the last one first. A
 * URL for a backend that speaks HTTP is mostly not rewritten, which is tried first.
 */
static struct reuse_decision
look_by_script(struct explanation *e)
{
    struct exchange *exchange = &e->exchange;
    const bool fastcgi = exchange->site->config->fastcgi;
    struct chosen_script list[SEEN_MAX + 1] = {{.filename = {NULL, 0}}};
    const char *names[SEEN_MAX + 1];
    struct reuse_decision decision;
    size_t first = fastcgi ? 0 : 1, seen = 0;
    if (!fastcgi && exchange->request.script.name.n > 0)
        list[0] = exchange->request.script; /* the question says it */
    else
        seen =
            seen_candidates(list + first, &exchange->request, exchange->key.host, exchange->arena);
    size_t found = 0, which = 0;
    int64_t until_ms = clock_now_ms() + WAIT_MAX_MS;
    for (size_t i = 0; i < first + seen && clock_now_ms() < until_ms; i++) {
        if (i >= first)
            exchange->redis_until_ms = until_ms;
        bool looked = look_as(exchange, &list[i], &decision);
        if (looked && !exchange->lookup.redis_answered && i < first)
            return decision;
        if (looked && !exchange->lookup.redis_answered)
            break;
        if (!looked && fastcgi)
            break;
        size_t known = 0;
        while (looked && known < found && strcmp(names[known], exchange->key.primary) != 0)
            known++;
        if (!looked || known < found || !has_something(exchange))
            continue;
        if (found == 0)
            which = i;
        names[found++] = exchange->key.primary;
    }
    look_as(exchange, &list[which], &decision);
    if (fastcgi)
        tell_script(e, seen, found);
    else
        tell_rewriting(e, seen, found);
    return decision;
}

static void
look(struct explanation *e)
{
    struct exchange *exchange = &e->exchange;
    int64_t budget_ms = exchange->site->config->budget_ms;
    exchange->loop = loop_of(&exchange->request.fields, exchange->site->loop_id);
    if (exchange->loop == LOOP_OWN || exchange->loop == LOOP_ENDLESS) {
        tell_next(e, "BYPASS", REASON_LOOP,
                  arena_printf(exchange->arena, "%s; it gets 508", explain_reason(REASON_LOOP)));
        return;
    }
    exchange->reason = exchange_examine(exchange);
    tell_route(e);
    if (exchange->reason != REASON_NONE) {
        bool disabled = exchange->reason == REASON_DISABLED;
        tell_next(e, disabled ? "DISABLED" : "BYPASS", exchange->reason,
                  arena_printf(exchange->arena, "it goes to the backend, and nothing is stored: %s",
                               bypass_words(e)));
        return;
    }
    exchange->redis_until_ms = clock_now_ms() + (budget_ms < WAIT_MAX_MS ? budget_ms : WAIT_MAX_MS);
    bool by_script = exchange->key.host.p != NULL;
    const struct reuse_decision decision =
        by_script ? look_by_script(e)
                  : exchange_look(exchange, store_clock_ms(exchange->site->cache));
    tell_key(e);
    opening_expect(exchange);
    tell_fields(e);
    tell_stored(e, &decision);
    tell_decision(e, &decision);
}

void
explain(struct site *site, json_object *question, json_object *answer)
{
    struct explanation *e = calloc(1, sizeof *e);
    const char *wrong = "no memory";
    if (e)
        e->exchange.arena = arena_new(EXCHANGE_ARENA_MAX);
    if (e && e->exchange.arena) {
        e->exchange.site = site;
        e->answer = answer;
        e->text = json_object_new_array();
        wrong = explain_request(&e->exchange, question);
        if (!wrong) {
            tell_request(e);
            look(e);
            tell_trouble(e);
            explain_put(answer, "text", e->text);
        } else {
            json_object_put(e->text);
        }
        store_value_free(&e->exchange.lookup.value);
        arena_free(e->exchange.arena);
    }
    if (wrong) {
        explain_put(answer, "ok", json_object_new_boolean(false));
        explain_put(answer, "error", json_object_new_string(wrong));
    }
    free(e);
}
