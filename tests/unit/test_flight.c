/*
 * One fetch that others may wait for: who leads, who waits, and what becomes of
 * each, whatever the leader's fetch comes to.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "responder/flight.h"

#define NAME "0123456789abcdef0123456789abcdef"
#define OTHER "ffffffffffffffffffffffffffffffff"
#define FORBIDDEN_NAME "00000000000000000000000000000000"

/* One request. */
struct waiter {
    struct parked parked; /* first */
    struct flight *flight;
    struct spool *spool;
    enum { NOTHING, TAKEN, RELEASED, RESUMED } came;
    enum flight_word word;
};

static atomic_int taken, released, resumed, wound;

static void
take(struct parked *list, struct spool *spool)
{
    while (list) {
        struct waiter *waiter = (struct waiter *)list;
        list = list->next;
        waiter->came = TAKEN;
        waiter->spool = spool;
        spool_give(spool);
        atomic_fetch_add(&taken, 1);
    }
}

static void
release(struct parked *list, enum flight_word word)
{
    while (list) {
        struct waiter *waiter = (struct waiter *)list;
        list = list->next;
        waiter->came = RELEASED;
        waiter->word = word;
        atomic_fetch_add(&released, 1);
    }
}

static void
resume(struct parked *leader, struct flight *flight)
{
    struct waiter *waiter = (struct waiter *)leader;
    waiter->came = RESUMED;
    waiter->flight = flight;
    atomic_fetch_add(&resumed, 1);
}

static void
wind(void)
{
    atomic_fetch_add(&wound, 1);
}

static int
reset(void **state)
{
    static const struct flight_calls calls = {take, release, resume, wind};
    (void)state;
    taken = released = resumed = wound = 0;
    flights_start(&calls);
    return 0;
}

/* Nothing may be left behind. */
static int
over(void **state)
{
    size_t flights, parked;
    (void)state;
    flights_numbers(&flights, &parked);
    return flights == 0 && parked == 0 ? 0 : -1;
}

static const struct flight_terms leads = {.may_lead = true, .max_age_ms = INT64_MAX};
static const struct flight_terms in_rounds = {
    .may_lead = true, .max_age_ms = INT64_MAX, .rounds = true};

static enum flight_place
join(struct waiter *waiter, const char *name, int64_t since_ms, struct flight_terms terms)
{
    *waiter = (struct waiter){.parked = {.since_ms = since_ms, .until_ms = since_ms + 1000}};
    return flight_join(name, &waiter->parked, terms, since_ms, &waiter->flight, &waiter->spool);
}

static struct spool *
whole(void)
{
    struct spool *spool = spool_new(1, 10);
    spool_append(spool, "x", 1);
    spool_end(spool, true);
    return spool;
}

static void
what_goes_on_for_longer_than_anybody_waits_is_not_joined(void **state)
{
    struct waiter a, b, c, d;
    struct spool *spool = spool_new(-1, 10);
    (void)state;
    join(&a, NAME, 1, leads);
    flight_begin(a.flight, 1);
    flight_share(a.flight, spool, true);
    assert_int_equal(join(&b, NAME, 900, leads), FLIGHT_READS);
    assert_int_equal(join(&c, NAME, 1100, leads), FLIGHT_APART);
    spool_end(spool, true);
    assert_int_equal(join(&d, NAME, 1100, leads), FLIGHT_READS);
    flight_done(a.flight);
    spool_give(b.spool);
    spool_give(d.spool);
    spool_give(spool);
}

static void
the_first_leads_and_the_others_get_what_it_brings(void **state)
{
    struct waiter a, b, c, other;
    struct spool *spool = whole();
    (void)state;
    assert_int_equal(join(&a, NAME, 1, leads), FLIGHT_LEADS);
    assert_string_equal(flight_name(a.flight), NAME);
    assert_false(flight_wanted(a.flight));
    assert_int_equal(join(&b, NAME, 2, leads), FLIGHT_WAITS);
    assert_int_equal(join(&c, NAME, 3, leads), FLIGHT_WAITS);
    assert_int_equal(join(&other, OTHER, 3, leads), FLIGHT_LEADS);
    assert_true(flight_wanted(a.flight));
    flight_begin(a.flight, 1);
    flight_share(a.flight, spool, true);
    assert_int_equal(b.came, TAKEN);
    assert_int_equal(c.came, TAKEN);
    assert_ptr_equal(b.spool, spool);
    flight_done(a.flight);
    flight_done(other.flight);
    spool_give(spool);
}

/* Whether a tag that came with it has been invalidated is asked after the seal: what was true then
 * says nothing to who came later. */
static void
who_comes_after_the_seal_gets_only_what_is_open(void **state)
{
    struct waiter a, b, c, d;
    struct spool *spool = whole();
    (void)state;
    for (int open = 0; open < 2; open++) {
        join(&a, NAME, 1, leads);
        join(&b, NAME, 2, leads);
        flight_begin(a.flight, 1);
        flight_seal(a.flight);
        assert_int_equal(join(&c, NAME, 3, leads), FLIGHT_WAITS);
        flight_share(a.flight, spool, open);
        assert_int_equal(b.came, TAKEN);
        assert_int_equal(c.came, open ? TAKEN : NOTHING);
        if (!open) {
            /* It looks for itself when that is over, and is not late for what it begins. */
            flight_done(a.flight);
            assert_int_equal(c.came, RESUMED);
            assert_int_equal(join(&d, NAME, 4, leads), FLIGHT_WAITS);
            flight_share(c.flight, spool, false);
            assert_int_equal(d.came, TAKEN);
            flight_done(c.flight);
        } else {
            flight_done(a.flight);
        }
    }
    spool_give(spool);
}

static void
who_comes_while_it_is_being_stored_reads_it_too(void **state)
{
    struct waiter a, b, c;
    struct spool *spool = whole();
    (void)state;
    join(&a, NAME, 1, leads);
    flight_begin(a.flight, 1);
    flight_share(a.flight, spool, true);
    assert_int_equal(join(&b, NAME, 2, leads), FLIGHT_READS);
    assert_ptr_equal(b.spool, spool);
    spool_give(b.spool);
    flight_done(a.flight);
    assert_int_equal(join(&c, NAME, 3, leads), FLIGHT_LEADS);
    flight_done(c.flight);
    spool_give(spool);
}

static void
after_a_head_with_tags_of_its_own_the_next_one_looks(void **state)
{
    struct waiter a, b, c, d;
    struct spool *spool = whole();
    (void)state;
    join(&a, NAME, 1, leads);
    join(&b, NAME, 2, leads);
    flight_begin(a.flight, 1);
    flight_share(a.flight, spool, false);
    assert_int_equal(b.came, TAKEN);
    assert_int_equal(join(&c, NAME, 3, leads), FLIGHT_WAITS);
    assert_int_equal(join(&d, NAME, 4, leads), FLIGHT_WAITS);
    flight_done(a.flight);
    assert_int_equal(c.came, RESUMED);
    assert_int_equal(d.came, NOTHING);
    flight_share(c.flight, spool, true);
    assert_int_equal(d.came, TAKEN);
    flight_done(c.flight);
    spool_give(spool);
}

static void
what_must_not_be_shared_releases_all_at_once(void **state)
{
    struct waiter a, b, c, d;
    (void)state;
    join(&a, NAME, 1, leads);
    join(&b, NAME, 2, leads);
    join(&c, NAME, 3, leads);
    assert_true(flight_refuse(a.flight, FLIGHT_ALONE));
    assert_int_equal(b.came, RELEASED);
    assert_int_equal(b.word, FLIGHT_ALONE);
    assert_int_equal(c.came, RELEASED);
    /* And nobody joins what has been refused. */
    assert_int_equal(join(&d, NAME, 4, leads), FLIGHT_LEADS);
    assert_false(flight_refuse(d.flight, FLIGHT_ALONE));
    flight_done(a.flight);
    flight_done(d.flight);
}

static void
what_is_forbidden_makes_nobody_wait(void **state)
{
    struct waiter a;
    (void)state;
    flight_forbid(FORBIDDEN_NAME, 100, 0);
    assert_int_equal(join(&a, FORBIDDEN_NAME, 50, leads), FLIGHT_APART);
    assert_null(flight_lead(FORBIDDEN_NAME, 50));
    assert_int_equal(join(&a, FORBIDDEN_NAME, 100, leads), FLIGHT_LEADS);
    flight_done(a.flight);
}

static void
who_may_not_lead_waits_only_for_somebody(void **state)
{
    static const struct flight_terms follows = {.may_lead = false, .max_age_ms = INT64_MAX};
    struct waiter a, b;
    struct spool *spool = whole();
    (void)state;
    assert_int_equal(join(&a, NAME, 1, follows), FLIGHT_APART);
    assert_int_equal(join(&a, NAME, 1, leads), FLIGHT_LEADS);
    assert_int_equal(join(&b, NAME, 2, follows), FLIGHT_WAITS);
    flight_share(a.flight, spool, true);
    assert_int_equal(b.came, TAKEN);
    flight_done(a.flight);
    spool_give(spool);
}

static void
who_wants_something_new_does_not_get_what_began_long_ago(void **state)
{
    const struct flight_terms recent = {.may_lead = true, .max_age_ms = 1000};
    const struct flight_terms newest = {.may_lead = true, .max_age_ms = 0};
    struct waiter a, b, c, d;
    (void)state;
    assert_int_equal(join(&a, NAME, 1, newest), FLIGHT_LEADS);
    assert_int_equal(join(&b, NAME, 5000, recent), FLIGHT_WAITS);
    flight_begin(a.flight, 5000);
    assert_int_equal(join(&c, NAME, 6000, recent), FLIGHT_WAITS);
    assert_int_equal(join(&d, NAME, 6001, recent), FLIGHT_APART);
    assert_int_equal(join(&d, NAME, 5000, newest), FLIGHT_APART);
    flight_refuse(a.flight, FLIGHT_ALONE);
    flight_done(a.flight);
}

static void
nobody_waits_longer_than_he_may(void **state)
{
    struct waiter a, b, c;
    (void)state;
    join(&a, NAME, 0, leads);
    join(&b, NAME, 10, leads);
    join(&c, NAME, 500, leads);
    assert_int_equal(wound, 1);
    assert_true(flights_tick(1009) > 0);
    assert_int_equal(b.came, NOTHING);
    assert_true(flights_tick(1010) > 0);
    assert_int_equal(b.came, RELEASED);
    assert_int_equal(b.word, FLIGHT_LATE);
    assert_int_equal(c.came, NOTHING);
    assert_int_equal(flights_tick(1500), -1);
    assert_int_equal(c.came, RELEASED);
    /* Who has waited elsewhere so long is not parked at all. */
    *(&b) = (struct waiter){.parked = {.since_ms = 10, .until_ms = 1010}};
    assert_int_equal(flight_join(NAME, &b.parked, leads, 1600, &b.flight, &b.spool), FLIGHT_APART);
    flight_done(a.flight);
}

/* ---------------------------------------------------------------- without generations */

static void
without_generations_nobody_gets_what_began_before_he_came(void **state)
{
    struct waiter a, b, c, d;
    struct spool *spool = whole();
    (void)state;
    join(&a, NAME, 1, in_rounds);
    join(&b, NAME, 2, in_rounds);
    flight_begin(a.flight, 1);
    join(&c, NAME, 3, in_rounds);
    join(&d, NAME, 4, in_rounds);
    flight_share(a.flight, spool, true);
    assert_int_equal(b.came, TAKEN);
    assert_int_equal(c.came, NOTHING);
    assert_false(flight_wanted(a.flight));
    flight_done(a.flight);
    assert_int_equal(c.came, RESUMED);
    assert_true(flight_wanted(c.flight));
    flight_begin(c.flight, 1);
    flight_share(c.flight, spool, true);
    assert_int_equal(d.came, TAKEN);
    flight_done(c.flight);
    spool_give(spool);
}

static void
without_generations_what_is_refused_releases_the_late_ones_too(void **state)
{
    struct waiter a, b;
    (void)state;
    join(&a, NAME, 1, in_rounds);
    flight_begin(a.flight, 1);
    join(&b, NAME, 2, in_rounds);
    flight_refuse(a.flight, FLIGHT_ALONE);
    assert_int_equal(b.came, RELEASED);
    flight_done(a.flight);
}

/* ------------------------------------------------------------------- across processes */

static struct slice
name_of(const char *name)
{
    return slice_of(name);
}

static void
a_parked_flight_goes_on_when_it_is_woken(void **state)
{
    struct waiter a, b;
    enum flight_word word;
    (void)state;
    join(&a, NAME, 1, leads);
    flight_expect(a.flight);
    assert_true(flight_park(a.flight, &a.parked, 3000, &word));
    assert_int_equal(join(&b, NAME, 2, leads), FLIGHT_WAITS);
    flight_wake(name_of(OTHER), FLIGHT_LOOK);
    flights_tick(3);
    assert_int_equal(resumed, 0);
    flight_wake(name_of(NAME), FLIGHT_LOOK);
    flights_tick(3);
    assert_int_equal(a.came, RESUMED);
    assert_int_equal(b.came, NOTHING);
    flight_refuse(a.flight, FLIGHT_ALONE);
    flight_done(a.flight);
}

static void
what_is_said_before_it_is_parked_is_heard(void **state)
{
    struct waiter a;
    enum flight_word word;
    (void)state;
    join(&a, NAME, 1, leads);
    flight_expect(a.flight);
    flight_wake(name_of(NAME), FLIGHT_LOOK);
    assert_false(flight_park(a.flight, &a.parked, 3000, &word));
    assert_int_equal(word, FLIGHT_LOOK);
    assert_true(flight_park(a.flight, &a.parked, 3000, &word));
    flight_wake((struct slice){NULL, 0}, FLIGHT_LOOK);
    flights_tick(3);
    assert_int_equal(a.came, RESUMED);
    flight_done(a.flight);
}

static void
a_parked_flight_whose_answer_is_nobodys_ends(void **state)
{
    struct waiter a, b;
    enum flight_word word;
    (void)state;
    join(&a, NAME, 1, leads);
    join(&b, NAME, 2, leads);
    flight_expect(a.flight);
    assert_true(flight_park(a.flight, &a.parked, 3000, &word));
    flight_wake(name_of(NAME), FLIGHT_ALONE);
    flights_tick(3);
    assert_int_equal(a.came, RELEASED);
    assert_int_equal(a.word, FLIGHT_ALONE);
    assert_int_equal(b.came, RELEASED);
}

static void
a_parked_flight_looks_by_itself_when_the_lease_is_over(void **state)
{
    struct waiter a, b;
    enum flight_word word;
    (void)state;
    join(&a, NAME, 1, leads);
    join(&b, NAME, 2, leads);
    flight_expect(a.flight);
    assert_true(flight_park(a.flight, &a.parked, 300, &word));
    flights_tick(299);
    assert_int_equal(resumed, 0);
    flights_tick(300);
    /* The one that has waited longest. */
    assert_int_equal(a.came, RESUMED);
    flight_expect(a.flight);
    assert_true(flight_park(a.flight, &a.parked, 5000, &word));
    flights_tick(1001);
    assert_int_equal(a.came, RELEASED);
    assert_int_equal(a.word, FLIGHT_LATE);
    flights_tick(1002);
    assert_int_equal(b.came, RELEASED);
}

static void
a_refresh_that_another_process_does_leaves_nothing_behind(void **state)
{
    enum flight_word word;
    struct flight *flight = flight_lead(NAME, 0);
    (void)state;
    assert_non_null(flight);
    assert_null(flight_lead(NAME, 0));
    flight_expect(flight);
    assert_true(flight_park(flight, NULL, 3000, &word));
    flight = flight_lead(NAME, 0);
    assert_non_null(flight);
    flight_done(flight);
}

static void
at_the_end_nobody_waits_for_another_process(void **state)
{
    struct waiter a, b;
    enum flight_word word;
    (void)state;
    join(&a, NAME, 1, leads);
    flight_expect(a.flight);
    assert_true(flight_park(a.flight, &a.parked, 3000, &word));
    flights_drain();
    assert_int_equal(a.came, RELEASED);
    join(&b, NAME, 2, leads);
    flight_expect(b.flight);
    assert_false(flight_park(b.flight, &b.parked, 3000, &word));
    assert_int_equal(word, FLIGHT_ALONE);
    flight_done(b.flight);
}

/* -------------------------------------------------------------------------- threads */

static atomic_int at_work, most_at_work, led;

/* Requests for one name without end: each leads or is handed on, and two never lead at once. */
static void *
crowd(void *arg)
{
    struct waiter *waiters = arg;
    for (int i = 0; i < 2000; i++) {
        struct waiter *waiter = &waiters[i];
        enum flight_place place = join(waiter, NAME, 1, leads);
        if (place == FLIGHT_READS)
            spool_give(waiter->spool);
        if (place != FLIGHT_LEADS)
            continue;
        int now = atomic_fetch_add(&at_work, 1) + 1, most = atomic_load(&most_at_work);
        while (now > most && !atomic_compare_exchange_weak(&most_at_work, &most, now)) {
        }
        atomic_fetch_add(&led, 1);
        flight_begin(waiter->flight, 1);
        struct spool *spool = whole();
        flight_share(waiter->flight, spool, true);
        spool_give(spool);
        atomic_fetch_sub(&at_work, 1);
        flight_done(waiter->flight);
    }
    return NULL;
}

static void *
clock_thread(void *arg)
{
    atomic_bool *stop = arg;
    while (!atomic_load(stop)) {
        flights_tick(2);
        flight_wake((struct slice){NULL, 0}, FLIGHT_LOOK);
        flights_tick(3);
    }
    return NULL;
}

static void
a_crowd_has_one_leader_at_a_time(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS], ticking;
    struct waiter *waiters = calloc((size_t)THREADS * 2000, sizeof *waiters);
    atomic_bool stop = false;
    (void)state;
    at_work = most_at_work = led = 0;
    pthread_create(&ticking, NULL, clock_thread, &stop);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, crowd, waiters + (size_t)i * 2000);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    pthread_join(ticking, NULL);
    assert_int_equal(most_at_work, 1);
    assert_int_equal(resumed, 0);
    free(waiters);
}

static void
who_waits_may_be_told_apart_and_wait_on(void **state)
{
    struct waiter a, b, c, d;
    struct spool *spool = whole();
    (void)state;
    join(&a, NAME, 1, leads);
    flight_begin(a.flight, 1);
    join(&b, NAME, 2, leads);
    join(&c, NAME, 3, leads);
    struct parked *list = flight_part(a.flight);
    assert_ptr_equal(list, &b.parked);
    assert_ptr_equal(list->next, &c.parked);
    assert_null(c.parked.next);
    assert_false(flight_wanted(a.flight));
    assert_int_equal(join(&d, NAME, 4, leads), FLIGHT_WAITS);
    int before = wound;
    flight_repark(a.flight, &b.parked);
    assert_int_equal(wound, before);
    flight_share(a.flight, spool, true);
    assert_int_equal(b.came, TAKEN);
    assert_int_equal(c.came, NOTHING);
    assert_int_equal(d.came, TAKEN);
    /* The clock runs for one that is parked again alone. */
    before = wound;
    flight_repark(a.flight, &c.parked);
    assert_int_equal(wound, before + 1);
    flight_refuse(a.flight, FLIGHT_ALONE);
    assert_int_equal(c.came, RELEASED);
    flight_done(a.flight);
    spool_give(spool);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, over)
    const struct CMUnitTest tests[] = {
        CASE(what_goes_on_for_longer_than_anybody_waits_is_not_joined),
        CASE(the_first_leads_and_the_others_get_what_it_brings),
        CASE(who_comes_after_the_seal_gets_only_what_is_open),
        CASE(who_comes_while_it_is_being_stored_reads_it_too),
        CASE(after_a_head_with_tags_of_its_own_the_next_one_looks),
        CASE(what_must_not_be_shared_releases_all_at_once),
        CASE(what_is_forbidden_makes_nobody_wait),
        CASE(who_may_not_lead_waits_only_for_somebody),
        CASE(who_wants_something_new_does_not_get_what_began_long_ago),
        CASE(nobody_waits_longer_than_he_may),
        CASE(without_generations_nobody_gets_what_began_before_he_came),
        CASE(without_generations_what_is_refused_releases_the_late_ones_too),
        CASE(a_parked_flight_goes_on_when_it_is_woken),
        CASE(what_is_said_before_it_is_parked_is_heard),
        CASE(a_parked_flight_whose_answer_is_nobodys_ends),
        CASE(a_parked_flight_looks_by_itself_when_the_lease_is_over),
        CASE(a_refresh_that_another_process_does_leaves_nothing_behind),
        CASE(at_the_end_nobody_waits_for_another_process),
        CASE(who_waits_may_be_told_apart_and_wait_on),
        CASE(a_crowd_has_one_leader_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
