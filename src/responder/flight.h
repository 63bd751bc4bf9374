/*
 * One fetch that others may wait for.
 *
 * A flight is named by what is fetched and by every generation that its requests
 * have read, so that nobody joins a fetch that a purge has killed. The first who
 * comes leads it, the others are parked: they hold no thread and no connection
 * to Redis, and are handed on by one of the calls below.
 *
 *            join                     share ──────── take (they read the spool)
 *   leads ───────────── at work ──┬── refuse ─────── release
 *                                 ├── done ───────── gone, or the next one leads
 *                                 └── park ─ parked ─ wake, timer ─ resume ─ at work
 *
 * A flight is parked while another process fetches the same: then it has no
 * leader, and whoever has waited longest becomes it when there is something to
 * do. Nothing in here knows what a request is, or touches a network.
 */
#ifndef RESPONDER_FLIGHT_H
#define RESPONDER_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "responder/spool.h"

/* With its NUL: 32 hex digits. */
#define FLIGHT_NAME_SIZE 33

struct flight;

/* What waits. Part of a request; the flight's from when it is parked until it is handed on. */
struct parked {
    struct parked *next;
    int64_t since_ms; /* when the request came */
    int64_t until_ms; /* it waits no longer than this */
    bool late;        /* private to flight.c */
};

/* Why somebody waits no longer. */
enum flight_word {
    FLIGHT_LOOK,   /* it may be in the store: look again */
    FLIGHT_ALONE,  /* nobody shares this one: fetch, without waiting for anybody again */
    FLIGHT_FAILED, /* the backend failed; likewise, or what is stale and may stand in */
    FLIGHT_LATE    /* until_ms is over; likewise */
};

/* Called without a lock, from any thread; lists are linked by `next`. */
struct flight_calls {
    /* They may read this; it is counted for each, and each among its readers. */
    void (*take)(struct parked *list, struct spool *spool);
    /* They go on by themselves. */
    void (*release)(struct parked *list, enum flight_word word);
    /* This one leads now, and finds in the flight what it has to. */
    void (*resume)(struct parked *leader, struct flight *flight);
    /* Somebody is parked, or has been woken: flights_tick() has to be called. */
    void (*wind)(void);
};
void flights_start(const struct flight_calls *calls);

enum flight_place {
    FLIGHT_LEADS, /* *flight is his, until flight_done() or flight_park() */
    FLIGHT_WAITS, /* he is parked, and perhaps handed on already */
    FLIGHT_READS, /* *spool is what he wants, counted for him, and he among its readers */
    FLIGHT_APART  /* there is nobody to wait for, and he shall not lead; or it is of no use */
};
struct flight_terms {
    bool may_lead;      /* what he fetches could be given to the others */
    int64_t max_age_ms; /* of no use to him is what began longer ago */
    /* There are no generations: nobody knows what was invalidated since a fetch began. Then only
     * those get it who had come before it began; the others have the next. */
    bool rounds;
};
enum flight_place flight_join(const char *name, struct parked *parked, struct flight_terms terms,
                              int64_t now_ms, struct flight **flight, struct spool **spool);

/* Is anybody at work on that? Only for who can do with a wrong answer. */
bool flight_exists(const char *name);

/* Lead what nobody is at work on, with nobody who waits for it oneself: a refresh. NULL: somebody
 * is. */
struct flight *flight_lead(const char *name, int64_t now_ms);

/* ------------------------------------------------------------------ for its leader */

const char *flight_name(const struct flight *flight);

/* The backend is about to be asked. */
void flight_begin(struct flight *flight, int64_t now_ms);

/*
 * Redis is about to be asked whether something that the response brings has been
 * invalidated. What it says holds for who is there now: who comes after this may
 * have come after an invalidation that the answer does not know of, and is not
 * given what flight_share() shares, unless that is open.
 */
void flight_seal(struct flight *flight);

/* The head has come, and others may have this answer. open: so may those who come from now on, else
 * they wait for flight_done(). */
void flight_share(struct flight *flight, struct spool *spool, bool open);

/* Nobody else may have it, or there is none: who waits is released, and nobody joins any more.
 * Returns whether anybody was waiting. */
bool flight_refuse(struct flight *flight, enum flight_word word);

/* All who wait, handed to the caller: more is known of what they want. Others may join meanwhile. */
struct parked *flight_part(struct flight *flight);

/* One of them goes on waiting. */
void flight_repark(struct flight *flight, struct parked *parked);

/* Does anybody wait for the answer? */
bool flight_wanted(struct flight *flight);

/* It is over, and what came of it is in the store, if it goes there at all. Who waits all the same
 * is next: one of them leads and looks. */
void flight_done(struct flight *flight);

/* Of no use to anybody until then, under this name: who comes fetches at once. */
void flight_forbid(const char *name, int64_t until_ms, int64_t now_ms);

/* --------------------------------------------------------------- across processes */

/* Before another process is asked whether it is at work on this: what it says from here on is not
 * missed. */
void flight_expect(struct flight *flight);

/*
 * It is, and says so until retry_ms. leader (NULL: he does not wait himself) is
 * parked, and the flight is not the caller's any more: true. Or something has
 * been heard since flight_expect(), and *word says what: false, nothing has changed.
 */
bool flight_park(struct flight *flight, struct parked *leader, int64_t retry_ms,
                 enum flight_word *word);

/* A process has done with a name: FLIGHT_LOOK or FLIGHT_ALONE. .n 0: look, all of you. Only noted,
 * so that whoever hears it need not wait; flights_tick() does what follows. */
void flight_wake(struct slice name, enum flight_word word);

/* ---------------------------------------------------------------- for the process */

/* Who has waited long enough is released, and parked flights whose time it is go on. Returns in how
 * many ms it wants to be called again; -1: not until somebody is parked. */
int64_t flights_tick(int64_t now_ms);

/* The process ends: nobody waits for another process any more. */
void flights_drain(void);

void flights_numbers(size_t *flights, size_t *parked);

/* How many were released by FLIGHT_LATE is for the caller of release() to count. */

#endif
