/*
 * Larder's invalidation and coalescing, as a model for spin: can a visitor who
 * comes after an acknowledged invalidation see what was fetched before it, and can
 * anybody wait for ever? doc/model explains it; `check` beside this file verifies
 * every configuration, and finds the error in every broken variant.
 *
 * One macro chooses who takes part:
 *
 *   FILL      look-up, fill, purge; a store that evicts
 *   FRESHEN   the same with conditional requests, hard and soft purges
 *   OWN       a tag that only the response names, and the news; a store that is full
 *   MUTATION  two mutations that fail, die, or commit late; a fill
 *   REPEATED  one whose registration is repeated, or comes late
 *   LATE      one that commits behind the head of its answer
 *   BOTH      one, and two machines that purge for it
 *   RENEWED   one of which nobody knows the outcome, after another
 *   CLAIM     two mutations whose answers are stored themselves
 *   UNKNOWN   a mutation of unknown outcome, and a tag that only the response names
 *   EVICTED   the store loses the record of a mutation
 *   PURGED    one mutation beside a soft purge
 *   SHARE     flights within processes, leases among them, a purge
 *   DIES      the same without it; a process is killed, a word is lost
 *   PROOF     a flight whose response brings its own tag
 *   JOURNAL   purges of a machine that is cut off from Redis, and one that is not
 *   INTENT    a mutation of such a machine; its process may be killed
 *   ROLLBACK  Redis comes back with an older state
 *
 * One page, one row of the backend's that it shows, one tag: no command of the
 * protocol has to do with two tags, and an entry counts only while each of its
 * tags matches, so each is safe by itself or not at all. An atomic block is one
 * command of Redis', one record of the journal's, or one thing that a process does
 * under a lock. NOTE prints, when spin replays a trail, who did what.
 *
 *   rules.pml    what can be taken away
 *   redis.pml    the backend, the promise, Redis and the register
 *   fill.pml     look-up, fill, freshen
 *   change.pml   purges, mutations, and what goes wrong
 *   flight.pml   flights and leases
 *   journal.pml  the journal of a machine
 */

#include "rules.pml"

#define NOTE(...) printf(__VA_ARGS__)
#define FOUND(x) assert(!(x))

#if defined(OWN) || defined(UNKNOWN) || defined(PROOF) || (defined(ROLLBACK) && !defined(KNOWN))
#define OWN_TAG 1
#else
#define OWN_TAG 0
#endif
#if defined(MUTATION) || defined(REPEATED) || defined(LATE) || defined(BOTH) || defined(RENEWED) || \
    defined(CLAIM) || defined(UNKNOWN) || defined(EVICTED) || defined(PURGED)
#define REGISTERS 1
#else
#define REGISTERS 0
#endif
#ifdef BOTH
#define MACHINES 2
#endif
#if defined(SHARE) || defined(DIES)
#define LEASES 1
#else
#define LEASES 0
#endif
#if LEASES || defined(PROOF)
#define SHARES 1
#else
#define SHARES 0
#endif
#if defined(JOURNAL) || defined(INTENT)
#define JOURNALS 1
#else
#define JOURNALS 0
#endif

#include "redis.pml"
#include "fill.pml"
#include "change.pml"
#include "flight.pml"
#include "journal.pml"

/* ------------------------------------------------------------------------------- who takes part */

inline begin_with_an_entry()
{
    unused = 1; hard = 1;
    entry.row = 1; entry.checked = 1; entry.hard = 1; entry.identity = 1
}

init {
    atomic {
        run Reader();
#ifdef FILL
        faults = 1;
        run Filler(0, 2); run Filler(1, 1); run Purger(false); run Purger(true); run Evictor(2);
#endif
#ifdef FRESHEN
        begin_with_an_entry();
        run Freshener(); run Filler(0, 2); run Purger(false); run Purger(true);
#endif
#ifdef OWN
        run Filler(0, 1); run Filler(1, 1); run Purger(false); run Crowd(); run Evictor(1);
        run Fullness();
#endif
#ifdef ROLLBACK
        run Filler(0, 2); run Filler(1, 1); run Purger(false); run Rollback();
#endif
#if REGISTERS
        run Backend();
#ifndef CLAIM
        run Keeper(); run Reaper(0); run Clock();
#endif
        read_age[0] = NEVER;
#endif
#ifdef MUTATION
        begin_with_an_entry();
        deaths = 1;
        run Mutation(0); run Mutation(1);
#endif
#ifdef REPEATED
        begin_with_an_entry();
        run Network();
        deaths = 1; faults = 1; ended = 1;
        run Mutation(0); run Filler(0, 1);
#endif
#ifdef LATE
        begin_with_an_entry();
        deaths = 1; ended = 1;
        run Mutation(0); run Filler(0, 1);
#endif
#ifdef BOTH
        begin_with_an_entry();
        read_age[1] = NEVER;
        run Reaper(1);
        deaths = 1; ended = 1;
        run Mutation(0); run Filler(0, 1);
#endif
#ifdef RENEWED
        begin_with_an_entry();
        ended = 1;
        silence(0, true); run Unheard(); run Filler(0, 1);
#endif
#ifdef PURGED
        begin_with_an_entry();
        silences = 1; ended = 1;
        run Mutation(0); run Filler(0, 1);
        run Purger(true);
#endif
#ifdef CLAIM
        run Mutation(0); run Mutation(1); run Purger(false);
#endif
#ifdef UNKNOWN
        if
        :: deaths = 1
        :: silences = 1
        fi;
        ended = 1;
        run Mutation(0); run Filler(0, 1);
#endif
#ifdef EVICTED
        begin_with_an_entry();
        silences = 1; ended = 1; beats = 1;
#ifdef AND_KILLED
        deaths = 1;
#endif
        run Mutation(0); run Filler(0, 1); run Evictor(1);
#endif
#ifdef SHARE
        run Clock();
        run Sharer(0); run Sharer(1); run Sharer(2); run Purger(false);
#endif
#ifdef DIES
        faults = 1;
        run Clock();
        run Sharer(0); run Sharer(1); run Sharer(2); run KillProcess(0);
#endif
#ifdef PROOF
        run Sharer(0); run Sharer(1); run Sharer(2); run Purger(false);
#endif
#ifdef JOURNAL
        begin_with_an_entry();
#ifdef TWICE
        faults = 1;
        run Asker(0, 1); run MachinePurger(0); run MachinePurger(0);
#else
        run Asker(0, 0); run Asker(1, 0); run MachinePurger(0); run MachinePurger(1);
#endif
        run Replayer(1); run Cutter(0, 1);
#endif
#ifdef INTENT
        begin_with_an_entry();
        run Asker(0, 0); run Asker(1, 1);
        run MachineMutation(); run Backend(); run KillMutation(); run Aftermath(); run Holder();
        run Replayer(1); run Cutter(0, 1);
#endif
        skip
    }
    /* Nothing lasts for ever: no record, whatever became of its process, no lease, and no wait. */
#if REGISTERS
    ended == MUTATIONS && !late[0] && !late[1] && !registered[0] && !registered[1] && !silent;
#endif
#if SHARES
    answered == SHARERS;
#endif
#if LEASES
    lease_left[0] + lease_left[1] + lease_left[2] == 0;
#endif
#if JOURNALS
    word == 0 && !held && (!intent || phase == IDLE);
#endif
    skip
}
