/*
 * One fetch per miss: flights within a process, leases among processes.
 */

#if SHARES
#define SHARERS 3
#define LEASE_LIFE 1
#if LEASES
#define PROCESS(v) ((v) == 2 -> 1 : 0)
#else
#define PROCESS(v) 0
#endif
#define NOBODY 9

mtype = { NO_FLIGHT, OPEN, CLOSED, SHAREABLE, NOT_SHAREABLE, LOOK_AGAIN };

/* Each visitor's flight, if he leads one; his process has a table of them by name. */
mtype flight[SHARERS] = NO_FLIGHT;
byte flight_name[SHARERS];
byte flight_row[SHARERS];
bool dead[2];
byte answered = 0;

#define FLIES(v, me, name) \
    (v != me && PROCESS(v) == PROCESS(me) && flight_name[v] == name && \
     (flight[v] == OPEN || (flight[v] == CLOSED && !CLOSED_BEFORE_PROOF)))

#if LEASES
/* Leases in Redis, by their holder. */
byte lease_name[SHARERS];
byte lease_row[SHARERS]; /* what is fetched under it is this row, or a later one */
bool waits[SHARERS];     /* to be woken */
mtype woken[SHARERS] = NO_FLIGHT;

#define TAKEN(v, me, name) (v != me && lease_left[v] > 0 && lease_name[v] == name)
#define ANY_TAKEN(me, name) (TAKEN(0, me, name) || TAKEN(1, me, name) || TAKEN(2, me, name))

inline wake(v, me, word)
{
    if
    :: v != me && waits[v] && flight_name[v] == flight_name[me] ->
        if
        :: woken[v] = word
        :: faults > 0 -> faults--; NOTE("sharer %d: the word for %d is lost\n", me, v)
        fi
    :: else
    fi
}
#endif

/* The table tells those who have joined, the lease those in other processes. */
inline end_flight(me, how)
{
    atomic {
        flight[me] = how;
#if LEASES
        lease_left[me] = 0;
        wake(0, me, how); wake(1, me, how); wake(2, me, how);
#endif
        NOTE("sharer %d: ends its flight: %e\n", me, how)
    }
}

proctype Sharer(byte me)
{
    byte needed, g, s, name, at_stream, at;
    byte leader = NOBODY;
    bool good, holds, was_woken;

    {
        skip;
look:
        /* Whether he asked long ago makes no difference: he was promised no more then. What he has
         * not found is missing, or stale. */
        atomic {
            needed = (needed == 0 -> promised : needed);
#if OWN_TAG
            note_position(at_stream, at); name = 1;
            NOTE("sharer %d: asks, row %d is promised; MISS, the news are at %d\n", me, needed, at)
#else
            begin_generation(g, s); name = (NAME_HAS_GENERATION -> g : 1);
            NOTE("sharer %d: asks, row %d is promised; MISS, generation %d\n", me, needed, g)
#endif
        }
        atomic {
            if
            :: FLIES(0, me, name) -> leader = 0
            :: FLIES(1, me, name) -> leader = 1
            :: FLIES(2, me, name) -> leader = 2
            :: else ->
                flight[me] = OPEN; flight_name[me] = name;
                NOTE("sharer %d: leads a flight named %d\n", me, name)
            fi;
            if
            :: leader != NOBODY -> NOTE("sharer %d: joins the flight of %d\n", me, leader)
            :: else
            fi
        }
        if
        :: leader != NOBODY ->
            if
            :: atomic {
                flight[leader] == SHAREABLE ->
                NOTE("sharer %d: is given row %d\n", me, flight_row[leader]);
                FOUND(FIND_SHARED);
                assert(flight_row[leader] >= needed);
                goto done
               }
            :: atomic { flight[leader] == LOOK_AGAIN -> leader = NOBODY; goto look }
            :: flight[leader] == NOT_SHAREABLE -> goto alone
            fi
        :: else
        fi;

#if LEASES
        /* Among processes the lease decides. Who wants to be woken says so before he asks. */
take:
        atomic {
            waits[me] = true; woken[me] = NO_FLIGHT;
            holds = !ANY_TAKEN(me, name);
            if
            :: holds ->
                lease_left[me] = LEASE_LIFE; lease_name[me] = name; lease_row[me] = row;
                waits[me] = false;
                NOTE("sharer %d: takes the lease %d\n", me, name)
            :: else -> NOTE("sharer %d: another has the lease %d\n", me, name)
            fi
        }
        /* With the lease and without: it may have been stored meanwhile. */
        atomic {
            good = MATCHES(entry, hard, identity);
            if
            :: good ->
                waits[me] = false;
                NOTE("sharer %d: HIT, row %d, as it looks again\n", me, entry.row);
                FOUND(FIND_WOKEN && was_woken);
                assert(entry.row >= needed)
            :: else
            fi
        }
        if
        :: good -> end_flight(me, LOOK_AGAIN); goto done
        :: !good && !holds ->
            /* Nobody waits for a fetch that began before what he was promised. */
            assert(!TAKEN(0, me, name) || lease_row[0] >= needed);
            assert(!TAKEN(1, me, name) || lease_row[1] >= needed);
            assert(!TAKEN(2, me, name) || lease_row[2] >= needed);
            if
            :: atomic {
                woken[me] == SHAREABLE || woken[me] == LOOK_AGAIN ->
                was_woken = true; NOTE("sharer %d: is woken, looks\n", me); goto take
               }
            :: atomic { woken[me] == NOT_SHAREABLE -> NOTE("sharer %d: is woken, fetches\n", me) }
            :: atomic {
                !ANY_TAKEN(me, name) && WAITER_HAS_CLOCK ->
                NOTE("sharer %d: the lease has ended\n", me); goto take
               }
            fi
        :: !good && holds
        fi;
        waits[me] = false;
#endif
        atomic { flight_row[me] = row; NOTE("sharer %d: fetches row %d\n", me, row) }
#if OWN_TAG
        /* The head names the tag. */
        atomic { flight[me] = CLOSED; NOTE("sharer %d: begins to prove\n", me) }
        atomic {
            begin_generation(g, s);
            NOTE("sharer %d: generation of the tag in the head %d\n", me, g)
        }
        atomic { good = PROVED(at_stream, at); NOTE("sharer %d: news proved %d\n", me, good) }
#else
        good = true;
#endif
        if
        :: good ->
            atomic {
                store(flight_row[me], flight_row[me], g, s, identity);
                NOTE("sharer %d: stores row %d under generation %d\n", me, flight_row[me], g)
            }
            end_flight(me, SHAREABLE)
        :: else -> end_flight(me, NOT_SHAREABLE)
        fi;
        goto done;
alone:
        /* In parallel, for nobody else: what he gets began after he came. */
        skip;
done:
        answered++
    } unless {
        atomic { dead[PROCESS(me)] -> answered++ }
    }
}

proctype KillProcess(byte p)
{
    if
    :: atomic { dead[p] = true; NOTE("process %d is killed\n", p) }
    :: skip
    fi
}
#endif
