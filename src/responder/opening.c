/*
 * Fields that an answer's Vary names and that the backend has not got.
 *
 * A fetch that may be shared keeps most of the visitor's fields back
 * (backend_fields.c). If the answer says that it depends on one of them, the
 * backend is asked again with the visitor's own value, once for each URL: from then
 * on the marker of the URL names the field (lookup.c), and requests that waited
 * have it from the answer that they waited for (waiter.c). `Vary: *` does not say
 * which field counts, so the backend gets all of them and nothing is stored.
 *
 * A refusal that is not stored may be for want of a field: some interfaces want one
 * of their own as a protection against forged requests, firewalls want a browser's.
 * Then the backend gets all of them as well, and the mark of it stays until its time
 * is over.
 *
 * Not so if it has refused words of this visitor's: a value of a field that Vary names,
 * which everybody's request has not, or a range. That tells of nobody else, so it leaves no
 * mark (exchange->opening.unmarked). The same holds of any answer but a success that is not everybody's
 * and was made with an expected field (below): 404, 302 or 429 to an odd language.
 *
 * Where the pages of a route name the same field each time, this would cost every new page
 * two requests. So the fields that answers of its kind name (expected.c) are sent at once
 * while nothing is known of a URL. If its answer names them it is as if the URL had been
 * known. If it is everybody's and does not name them, it may still be made for this visitor, and
 * to store it under the visitor's value would split a page for all by what each one sends: it
 * is not used, and the backend is asked again without. So what is stored is the same, and for the same visitors,
 * whatever is expected: a wrong guess costs a request, and nothing else. An expected name
 * never comes from a visitor: backends have named it, and only where it made a difference.
 *
 * The reverse holds too. A field that was sent because Vary named it before may
 * have changed an answer whose Vary does not name it. Such an answer is stored
 * under the field's value all the same.
 */
#include "responder/opening.h"

#include <pthread.h>
#include <xxhash.h>

#include "responder/backend_fields.h"

/* URLs whose names a process remembers; a later one takes the place of another. */
#define PLACES 1024
/* Of one URL; with more it is asked for twice each time. */
#define NAMES_MAX 96

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards places */
static struct {
    uint64_t hash;         /* of the primary key */
    char names[NAMES_MAX]; /* as a marker has them */
    size_t n;              /* 0: the place is free */
} places[PLACES];

static void
learn(const struct exchange *exchange)
{
    const char *key = exchange->key.primary;
    struct slice names = vary_format(exchange->opening.opened, exchange->arena);
    uint64_t hash = XXH3_64bits(key, strlen(key));
    size_t at = (size_t)(hash % PLACES);
    if (names.n == 0 || names.n > NAMES_MAX)
        return;
    pthread_mutex_lock(&lock);
    places[at].hash = hash;
    places[at].n = names.n;
    memcpy(places[at].names, names.p, names.n);
    pthread_mutex_unlock(&lock);
}

void
opening_recall(struct exchange *exchange)
{
    char names[NAMES_MAX];
    size_t n = 0;
    struct vary vary;
    if (exchange->lookup.redis_answered || exchange->opening.opened || !exchange->key.primary ||
        !backend_is_shared(exchange))
        return;
    uint64_t hash = XXH3_64bits(exchange->key.primary, strlen(exchange->key.primary));
    size_t at = (size_t)(hash % PLACES);
    pthread_mutex_lock(&lock);
    if (places[at].hash == hash) {
        n = places[at].n;
        memcpy(names, places[at].names, n);
    }
    pthread_mutex_unlock(&lock);
    if (n && vary_unformat(&vary, (struct slice){names, n}, exchange->arena))
        (void)exchange_open(exchange, &vary);
}

/* Is the value of this field the same in both, as Vary compares? */
static bool
same_value(const struct fields *a, const struct fields *b, struct slice name, struct arena *arena)
{
    bool failed = false;
    struct slice x = vary_normal_value(a, name, arena, &failed);
    struct slice y = vary_normal_value(b, name, arena, &failed);
    return !failed && (x.p && y.p ? slice_equal(x, y) : x.p == y.p);
}

static uint64_t
kind_of(const struct exchange *exchange)
{
    const struct site *site = exchange->site;
    size_t route = (size_t)(exchange->match.route - site->config->routes.list);
    return expected_kind_of(route, exchange->key.host, exchange->key.target);
}

/*
 * What the first answer names tells of its kind; if it is everybody's, what it does not name
 * tells as well. Only where this visitor's own value is another than what everybody's request
 * has: elsewhere it makes no difference what is sent, and some servers say Vary only to a
 * request that has the field.
 */
static void
teach(struct exchange *exchange, const struct fields *answer, bool shared)
{
    struct expected *expected = &exchange->site->expected;
    struct arena *arena = exchange->arena;
    struct fields closed = {0}, own = {0};
    struct vary vary, known, all;
    if (!exchange->opening.teaches)
        return;
    exchange->opening.teaches = false;
    uint64_t kind = kind_of(exchange);
    if (!vary_parse(&vary, answer, NULL, arena) || vary.star || vary.invalid ||
        !expected_names(expected, kind, false, &known, arena) || !vary_union(&all, &vary, &known) ||
        all.count == 0 || !backend_fields(&closed, exchange, NULL) ||
        !backend_fields(&own, exchange, &all))
        return;
    for (size_t i = 0; i < all.count; i++) {
        bool named = vary_has(&vary, all.names[i]);
        if ((named || shared) && !same_value(&closed, &own, all.names[i], arena))
            expected_learn(expected, kind, all.names[i], named);
    }
}

bool
opening_is_own(const struct exchange *exchange, const struct ask *ask)
{
    const struct vary *opened = exchange->opening.opened;
    struct fields closed = {0};
    if (ask->range || ask->head)
        return true;
    if (!opened)
        return false;
    if (!backend_fields(&closed, exchange, NULL))
        return true;
    for (size_t i = 0; i < opened->count; i++)
        if (!(exchange->lookup.has_marker &&
              vary_has(&exchange->lookup.marker.vary, opened->names[i])) &&
            !same_value(&ask->base, &closed, opened->names[i], exchange->arena))
            return true;
    return false;
}

bool
opening_needed(struct exchange *exchange, const struct ask *ask, const struct fields *answer)
{
    struct arena *arena = exchange->arena;
    struct fields more = {0};
    struct vary vary;
    struct vary *before = exchange->opening.opened;
    if (!backend_is_shared(exchange) || !fields_get(answer, "Vary").p ||
        !vary_parse(&vary, answer, NULL, arena))
        return false;
    if (vary.star || vary.invalid) {
        exchange->opening.sends_all = backend_fields_withheld(exchange);
        return exchange->opening.sends_all;
    }
    /* What is expected and not named is not sent a second time. */
    if (exchange->opening.expected)
        exchange->opening.opened = NULL;
    if (vary.count == 0 || !exchange_open(exchange, &vary) ||
        !backend_fields(&more, exchange, exchange->opening.opened)) {
        exchange->opening.opened = before;
        return false;
    }
    for (size_t i = 0; i < vary.count; i++)
        if (!same_value(&ask->base, &more, vary.names[i], arena)) {
            learn(exchange);
            teach(exchange, answer, false);
            exchange->opening.expected = NULL;
            /* The answer to that has been seen: it was a refusal. */
            exchange->opening.sends_all = exchange->opening.refused_own;
            return true;
        }
    exchange->opening.opened = before;
    return false;
}

/* ----------------------------------------------------------------- what is expected */

void
opening_expect(struct exchange *exchange)
{
    struct vary names;
    if (!exchange->lookup.redis_answered || exchange->lookup.missing != REASON_MISS ||
        exchange->lookup.has_entry || exchange->opening.opened || !backend_is_shared(exchange))
        return;
    exchange->opening.teaches = true;
    if (!expected_names(&exchange->site->expected, kind_of(exchange), true, &names,
                        exchange->arena) ||
        names.count == 0)
        return;
    if (exchange_open(exchange, &names))
        exchange->opening.expected = exchange->opening.opened;
    else
        exchange->opening.opened = NULL;
}

/* Was it made with a field that it does not name? That is not sent any more. */
static bool
is_excess(struct exchange *exchange, const struct ask *ask, const struct fields *answer)
{
    const struct vary *expected = exchange->opening.expected;
    struct arena *arena = exchange->arena;
    struct fields closed = {0};
    struct vary vary;
    bool excess = false;
    /* Where this fails the answer is stored under the field's value (opening_add_names). */
    if (!expected || !vary_parse(&vary, answer, NULL, arena) ||
        !backend_fields(&closed, exchange, NULL))
        return false;
    for (size_t i = 0; i < expected->count; i++)
        excess |= !vary_has(&vary, expected->names[i]) &&
                  !same_value(&ask->base, &closed, expected->names[i], arena);
    exchange->opening.expected = NULL;
    if (!excess)
        return false;
    key_unselect(&exchange->key);
    exchange->opening.opened = NULL;
    if (vary.count > 0 && !exchange_open(exchange, &vary))
        exchange->opening.opened = NULL;
    return true;
}

bool
opening_is_refusal(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 406 || status == 428;
}

bool
opening_was_wrong(struct exchange *exchange, const struct ask *ask, const struct kept *kept)
{
    if (!backend_is_shared(exchange))
        return false;
    teach(exchange, kept->fields, kept->shared);
    if (kept->shared && is_excess(exchange, ask, kept->fields))
        return true;
    if (kept->shared || kept->decision.reason == REASON_NONE)
        return false;
    bool refusal = opening_is_refusal(kept->status);
    /* Of a success that is not everybody's: many a page is its visitor's own. It leaves a mark, if only a
     * short one where a value that is merely expected may have made it so (keep_mark). */
    bool tells = !refusal && (!exchange->opening.expected || kept->status < 300);
    bool own = !tells && opening_is_own(exchange, ask);
    if (exchange->opening.expected && own && refusal) {
        /* What does everybody get? */
        exchange->opening.expected = exchange->opening.opened = NULL;
        exchange->opening.refused_own = true;
        return true;
    }
    exchange->opening.unmarked |= own;
    if (!refusal || !backend_fields_withheld(exchange))
        return false;
    exchange->opening.refused = kept->status;
    exchange->opening.sends_all = true;
    return true;
}

bool
opening_add_names(struct vary *vary, const struct exchange *exchange, const struct ask *ask)
{
    const struct vary *opened = exchange->opening.opened;
    struct fields closed = {0};
    if (!opened || !backend_is_shared(exchange))
        return true;
    if (!backend_fields(&closed, exchange, NULL))
        return false;
    for (size_t i = 0; i < opened->count; i++)
        if (!same_value(&ask->base, &closed, opened->names[i], exchange->arena) &&
            !vary_add(vary, opened->names[i], exchange->arena))
            return false;
    return true;
}
