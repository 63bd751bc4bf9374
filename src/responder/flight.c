/*
 * One fetch that others may wait for.
 *
 * One table, one lock, held for a few instructions; lists are cut off under it
 * and handed on after it. A flight is in the table while somebody may join it;
 * it exists while it has a leader or somebody waits.
 *
 * Without generations a fetch that began before a request came proves nothing
 * about what was invalidated in between. So a flight then goes in rounds: who
 * comes while the backend is being asked is late, and gets the fetch that begins
 * when this one is over, together with all who are late as he is. Nobody is ever
 * answered by what began before he came, and the backend is asked by one at a
 * time.
 */
#include "responder/flight.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define BUCKETS 1024
/* Names that are of no use to anybody, by hash: two that meet only mean that one is tried again. */
#define FORBIDDEN 1024
/* How exact the end of a wait is. */
#define TICK_MS 20

struct flight {
    char name[FLIGHT_NAME_SIZE];
    struct flight *next;                /* in its bucket */
    struct flight *prev_any, *next_any; /* of all that exist */
    struct parked *first;               /* by since_ms */
    size_t count;
    struct spool *spool; /* what may be read by who joins; NULL: nothing yet */
    bool listed;         /* in its bucket */
    bool led;
    bool rounds;
    bool begun;  /* the backend has been asked: in rounds who comes is late */
    bool sealed; /* so is who comes from now on, by flight_seal() */
    int64_t begun_ms;
    bool expecting;
    bool heard; /* since flight_expect(): */
    enum flight_word word;
    int64_t retry_ms; /* parked: look by oneself */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct flight_calls calls;
static struct flight *buckets[BUCKETS];
static struct flight *any;
static size_t flight_count, parked_count;
static bool draining;
static struct {
    uint64_t hash;
    int64_t until_ms;
} forbidden[FORBIDDEN];

void
flights_start(const struct flight_calls *use)
{
    pthread_mutex_lock(&lock);
    calls = *use;
    draining = false;
    pthread_mutex_unlock(&lock);
}

/* --------------------------------------------------------- with the lock held */

static uint64_t
hash_of(const char *name)
{
    return XXH3_64bits(name, strlen(name));
}

static struct flight *
find(const char *name, uint64_t hash)
{
    struct flight *flight = buckets[hash % BUCKETS];
    while (flight && strcmp(flight->name, name) != 0)
        flight = flight->next;
    return flight;
}

static struct flight *
add(const char *name, uint64_t hash)
{
    struct flight *flight = calloc(1, sizeof *flight);
    if (!flight)
        return NULL;
    assert(strlen(name) < sizeof flight->name);
    memcpy(flight->name, name, strlen(name));
    flight->next = buckets[hash % BUCKETS];
    buckets[hash % BUCKETS] = flight;
    flight->listed = flight->led = true;
    flight->next_any = any;
    if (any)
        any->prev_any = flight;
    any = flight;
    flight_count++;
    return flight;
}

static void
unlist(struct flight *flight)
{
    struct flight **at = &buckets[hash_of(flight->name) % BUCKETS];
    if (!flight->listed)
        return;
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    flight->listed = false;
}

static void
end(struct flight *flight)
{
    assert(!flight->first);
    unlist(flight);
    if (flight->prev_any)
        flight->prev_any->next_any = flight->next_any;
    else
        any = flight->next_any;
    if (flight->next_any)
        flight->next_any->prev_any = flight->prev_any;
    flight_count--;
    spool_give(flight->spool);
    free(flight);
}

/* Mostly they come in order; one that has waited elsewhere before goes before who came later. */
static void
park(struct flight *flight, struct parked *parked)
{
    struct parked **at = &flight->first;
    while (*at && (*at)->since_ms <= parked->since_ms)
        at = &(*at)->next;
    parked->next = *at;
    *at = parked;
    flight->count++;
    parked_count++;
}

static struct parked *
pop(struct flight *flight)
{
    struct parked *parked = flight->first;
    flight->first = parked->next;
    parked->next = NULL;
    flight->count--;
    parked_count--;
    return parked;
}

/* All, or those who are not late. */
static struct parked *
cut(struct flight *flight, bool late_too)
{
    struct parked *list = NULL, **last = &list, **at = &flight->first;
    while (*at) {
        struct parked *parked = *at;
        if (parked->late && !late_too) {
            at = &parked->next;
            continue;
        }
        *at = parked->next;
        parked->next = NULL;
        *last = parked;
        last = &parked->next;
        flight->count--;
        parked_count--;
    }
    return list;
}

/* Nobody is late for what begins now. */
static void
unseal(struct flight *flight)
{
    flight->sealed = false;
    for (struct parked *p = flight->first; p; p = p->next)
        p->late = false;
}

/* Somebody has to go on with it: who has waited longest. */
static struct parked *
promote(struct flight *flight)
{
    struct parked *leader = pop(flight);
    spool_give(flight->spool);
    flight->spool = NULL;
    flight->led = true;
    flight->begun = flight->expecting = flight->heard = false;
    unseal(flight);
    return leader;
}

/* ------------------------------------------------------------------------ joining */

/* Under the lock, so that who writes it knows whether anybody reads it when it is closed. */
static struct spool *
add_reader(struct spool *spool)
{
    atomic_fetch_add(&spool->readers, 1);
    return spool_again(spool);
}

static bool
is_forbidden(uint64_t hash, int64_t now_ms)
{
    return forbidden[hash % FORBIDDEN].hash == hash &&
           now_ms < forbidden[hash % FORBIDDEN].until_ms;
}

/* Of a body without a length nobody knows whether it comes to an end. One that has gone on for longer
 * than anybody would wait may be a stream of what is live: who comes now wants that from its own
 * beginning. */
static bool
is_endless(const struct flight *flight, const struct parked *parked, int64_t now_ms)
{
    const struct spool *spool = flight->spool;
    return spool && spool->length < 0 && flight->begun && spool_state(spool) == SPOOL_GROWING &&
           now_ms - flight->begun_ms > parked->until_ms - parked->since_ms;
}

enum flight_place
flight_join(const char *name, struct parked *parked, struct flight_terms terms, int64_t now_ms,
            struct flight **flight, struct spool **spool)
{
    uint64_t hash = hash_of(name);
    enum flight_place place = FLIGHT_APART;
    bool first = false;
    pthread_mutex_lock(&lock);
    struct flight *there = find(name, hash);
    if (is_forbidden(hash, now_ms) || now_ms >= parked->until_ms) {
        place = FLIGHT_APART;
    } else if (!there) {
        there = terms.may_lead ? add(name, hash) : NULL;
        if (there) {
            there->rounds = terms.rounds;
            *flight = there;
            place = FLIGHT_LEADS;
        }
    } else if (terms.max_age_ms == 0 ||
               (there->begun && now_ms - there->begun_ms > terms.max_age_ms)) {
        place = FLIGHT_APART;
    } else if (is_endless(there, parked, now_ms)) {
        place = FLIGHT_APART;
    } else if (there->spool) {
        *spool = add_reader(there->spool);
        place = FLIGHT_READS;
    } else {
        parked->late = (there->rounds && there->begun) || there->sealed;
        first = parked_count == 0;
        park(there, parked);
        place = FLIGHT_WAITS;
    }
    pthread_mutex_unlock(&lock);
    if (first)
        calls.wind();
    return place;
}

bool
flight_exists(const char *name)
{
    uint64_t hash = hash_of(name);
    pthread_mutex_lock(&lock);
    bool exists = find(name, hash) != NULL;
    pthread_mutex_unlock(&lock);
    return exists;
}

struct flight *
flight_lead(const char *name, int64_t now_ms)
{
    uint64_t hash = hash_of(name);
    pthread_mutex_lock(&lock);
    struct flight *flight = NULL;
    if (!find(name, hash) && !is_forbidden(hash, now_ms))
        flight = add(name, hash);
    pthread_mutex_unlock(&lock);
    return flight;
}

void
flight_forbid(const char *name, int64_t until_ms, int64_t now_ms)
{
    uint64_t hash = hash_of(name);
    pthread_mutex_lock(&lock);
    if (until_ms > now_ms) {
        forbidden[hash % FORBIDDEN].hash = hash;
        forbidden[hash % FORBIDDEN].until_ms = until_ms;
    }
    pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------------ leading */

const char *
flight_name(const struct flight *flight)
{
    return flight->name; /* never changes */
}

void
flight_begin(struct flight *flight, int64_t now_ms)
{
    pthread_mutex_lock(&lock);
    assert(flight->led);
    unseal(flight);
    flight->begun = true;
    flight->begun_ms = now_ms;
    pthread_mutex_unlock(&lock);
}

void
flight_seal(struct flight *flight)
{
    pthread_mutex_lock(&lock);
    flight->sealed = true;
    pthread_mutex_unlock(&lock);
}

void
flight_share(struct flight *flight, struct spool *spool, bool open)
{
    pthread_mutex_lock(&lock);
    assert(flight->led);
    /* What is open to who comes later is so to who came after the seal. */
    struct parked *list = cut(flight, open && !flight->rounds);
    if (open && !flight->rounds && !flight->spool && flight->listed)
        flight->spool = spool_again(spool);
    for (struct parked *p = list; p; p = p->next)
        add_reader(spool);
    pthread_mutex_unlock(&lock);
    if (list)
        calls.take(list, spool);
}

bool
flight_refuse(struct flight *flight, enum flight_word word)
{
    pthread_mutex_lock(&lock);
    assert(flight->led);
    struct parked *list = cut(flight, true);
    unlist(flight);
    pthread_mutex_unlock(&lock);
    if (list)
        calls.release(list, word);
    return list != NULL;
}

struct parked *
flight_part(struct flight *flight)
{
    pthread_mutex_lock(&lock);
    assert(flight->led);
    struct parked *list = cut(flight, true);
    pthread_mutex_unlock(&lock);
    return list;
}

void
flight_repark(struct flight *flight, struct parked *parked)
{
    pthread_mutex_lock(&lock);
    assert(flight->led);
    bool first = parked_count == 0;
    park(flight, parked);
    pthread_mutex_unlock(&lock);
    if (first)
        calls.wind();
}

bool
flight_wanted(struct flight *flight)
{
    pthread_mutex_lock(&lock);
    bool wanted = false;
    for (struct parked *p = flight->first; p && !wanted; p = p->next)
        wanted = !p->late;
    pthread_mutex_unlock(&lock);
    return wanted;
}

void
flight_done(struct flight *flight)
{
    struct parked *leader = NULL;
    pthread_mutex_lock(&lock);
    assert(flight->led);
    if (flight->first)
        leader = promote(flight);
    else
        end(flight);
    pthread_mutex_unlock(&lock);
    if (leader)
        calls.resume(leader, flight);
}

/* --------------------------------------------------------------- across processes */

void
flight_expect(struct flight *flight)
{
    pthread_mutex_lock(&lock);
    flight->expecting = true;
    flight->heard = false;
    pthread_mutex_unlock(&lock);
}

bool
flight_park(struct flight *flight, struct parked *leader, int64_t retry_ms, enum flight_word *word)
{
    bool first = false, parks = true;
    pthread_mutex_lock(&lock);
    assert(flight->led && flight->expecting);
    if (draining || flight->heard) {
        *word = draining ? FLIGHT_ALONE : flight->word;
        flight->heard = false;
        parks = false;
    } else {
        first = parked_count == 0;
        if (leader) {
            leader->late = false;
            park(flight, leader);
        }
        unseal(flight);
        flight->led = flight->heard = false;
        flight->retry_ms = retry_ms;
        if (!flight->first)
            end(flight);
    }
    pthread_mutex_unlock(&lock);
    if (first)
        calls.wind();
    return parks;
}

/* With the lock held. true: it is parked, and has to go on. */
static bool
note(struct flight *flight, enum flight_word word)
{
    if (flight->led && !flight->expecting)
        return false;
    /* Of two words the one that frees them counts. */
    if (!flight->heard || flight->word != FLIGHT_ALONE)
        flight->word = word;
    flight->heard = true;
    return !flight->led;
}

void
flight_wake(struct slice name, enum flight_word word)
{
    char text[FLIGHT_NAME_SIZE] = "";
    bool winds = false;
    if (name.n >= sizeof text)
        return; /* none of ours */
    if (name.n)
        memcpy(text, name.p, name.n);
    pthread_mutex_lock(&lock);
    struct flight *named = name.n ? find(text, hash_of(text)) : NULL;
    if (named)
        winds = note(named, word);
    for (struct flight *flight = name.n ? NULL : any; flight; flight = flight->next_any)
        winds |= note(flight, FLIGHT_LOOK);
    pthread_mutex_unlock(&lock);
    if (winds)
        calls.wind();
}

/* ------------------------------------------------------------------------- the clock */

/* Whoever has waited long enough, with the lock held. They stand in the order in which they came,
 * but each may have a patience of its own. */
static struct parked *
cut_late(struct flight *flight, int64_t now_ms)
{
    struct parked *list = NULL, **last = &list, **at = &flight->first;
    while (*at) {
        struct parked *parked = *at;
        if (now_ms < parked->until_ms) {
            at = &parked->next;
            continue;
        }
        *at = parked->next;
        parked->next = NULL;
        *last = parked;
        last = &parked->next;
        flight->count--;
        parked_count--;
    }
    return list;
}

/* What is handed on when the lock is free again. */
struct outcome {
    struct parked *late, **last_late;
    struct parked *alone, **last_alone;
    struct {
        struct parked *leader;
        struct flight *flight;
    } resumed[64];
    size_t resumed_count;
};

static void
append(struct parked ***last, struct parked *list)
{
    **last = list;
    while (**last)
        *last = &(**last)->next;
}

/* Somebody has to look. When there is no room for one more it is the next turn's. */
static void
go_on(struct flight *flight, struct outcome *out)
{
    if (out->resumed_count == sizeof out->resumed / sizeof *out->resumed)
        return;
    out->resumed[out->resumed_count].flight = flight;
    out->resumed[out->resumed_count++].leader = promote(flight);
}

static void
hand_on(struct outcome *out)
{
    for (size_t i = 0; i < out->resumed_count; i++)
        calls.resume(out->resumed[i].leader, out->resumed[i].flight);
    if (out->late)
        calls.release(out->late, FLIGHT_LATE);
    if (out->alone)
        calls.release(out->alone, FLIGHT_ALONE);
}

int64_t
flights_tick(int64_t now_ms)
{
    struct outcome out = {.last_late = &out.late, .last_alone = &out.alone};
    struct flight *next;
    pthread_mutex_lock(&lock);
    for (struct flight *flight = any; flight && parked_count > 0; flight = next) {
        next = flight->next_any;
        append(&out.last_late, cut_late(flight, now_ms));
        if (flight->led)
            continue;
        if (flight->heard && flight->word == FLIGHT_ALONE)
            append(&out.last_alone, cut(flight, true));
        if (!flight->first)
            end(flight);
        else if (flight->heard || flight->retry_ms <= now_ms)
            go_on(flight, &out);
    }
    int64_t again_ms = parked_count > 0 ? TICK_MS : -1;
    pthread_mutex_unlock(&lock);
    hand_on(&out);
    return again_ms;
}

void
flights_drain(void)
{
    struct outcome out = {.last_late = &out.late, .last_alone = &out.alone};
    struct flight *next;
    pthread_mutex_lock(&lock);
    draining = true;
    for (struct flight *flight = any; flight; flight = next) {
        next = flight->next_any;
        if (flight->led)
            continue;
        append(&out.last_alone, cut(flight, true));
        end(flight);
    }
    pthread_mutex_unlock(&lock);
    hand_on(&out);
}

void
flights_numbers(size_t *flights, size_t *parked)
{
    pthread_mutex_lock(&lock);
    *flights = flight_count;
    *parked = parked_count;
    pthread_mutex_unlock(&lock);
}
