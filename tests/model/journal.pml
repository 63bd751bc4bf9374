/*
 * A machine that is cut off from Redis: its journal, and the word that says
 * whether there is something in it.
 */

#if JOURNALS
/*
 * Machine A has the processes 0 and 1; machine B has the reader. The word is memory
 * that the processes of A share, and counts the records in the journal, a file of
 * theirs with one lock.
 */
bool reaches[2] = true; /* a process reaches Redis */
bool locked = false;    /* the replay is at it */
byte word = 0;
byte recorded = 0;      /* the row of the last purge in it */
/* An intent is in the journal besides; the word does not count it while its process lives, which the
 * kernel tells. A dead one is told to Redis, where it is a silent record (redis.pml) from then on. */
bool intent = false, completed = false, held = false;

mtype = { IDLE, SENT, COMMITTED, FAILED };
mtype phase = IDLE;
byte row_of = 0;
bool killed = false, lost = false;

inline promise_all(version)
{
    promise(version);
    promised_b = (version > promised_b -> version : promised_b)
}

/* Flights within a process. Without Redis, or while the journal holds something, they have no
 * generation in their name, and go in rounds. */
#define ASKERS 2
bool flies[ASKERS];
byte flight_process[ASKERS], flight_g[ASKERS], flight_row[ASKERS];

#define FLIES(v, p, g) \
    (flies[v] && flight_process[v] == p && flight_g[v] == g && \
     (g != 0 || flight_row[v] == 0 || !ROUNDS))
#define DEAD_INTENT (intent && lost && !completed)
#define DISTRUSTS(seen) ((seen != 0 && WORD_CHECKED) || seen == DEAD)
#define DEAD 99
#define WORD ((DEAD_INTENT && DEAD_INTENT_DISTRUSTS) -> DEAD : word)
#define NO_FLIGHT 9

proctype Asker(byte me; byte p)
{
    byte needed, g, s, seen;
    byte leader = NO_FLIGHT;
    Entry found;

    atomic {
        needed = promised;
        NOTE("asker %d in process %d: asks, row %d is promised\n", me, p, needed);
#if WORD_FIRST
        seen = WORD; NOTE("asker %d: the word is %d\n", me, seen)
#endif
    }
    atomic {
        if
        :: reaches[p] && !DISTRUSTS(seen) ->
            copy_entry(found); begin_generation(g, s);
            NOTE("asker %d: reads row %d of generation %d, valid is %d\n",
                 me, found.row, found.hard, g)
        :: else -> NOTE("asker %d: does not ask Redis\n", me)
        fi
    }
#if !WORD_FIRST
    atomic {
        seen = WORD; NOTE("asker %d: the word is %d\n", me, seen);
        if
        :: DISTRUSTS(seen) -> g = 0; found.row = 0
        :: else
        fi
    }
#endif
    atomic {
        if
        :: MATCHES(found, g, identity) ->
            NOTE("asker %d: HIT, row %d\n", me, found.row);
            FOUND(FIND_HIT);
            FOUND(FIND_BESIDE && intent && phase == SENT && !lost);
            assert(found.row >= needed);
            goto done
        :: else
        fi;
        if
        :: FLIES(0, p, g) -> leader = 0
        :: FLIES(1, p, g) -> leader = 1
        :: else ->
            flies[me] = true; flight_process[me] = p; flight_g[me] = g;
            NOTE("asker %d: leads a flight named %d\n", me, g)
        fi
    }
    if
    :: atomic {
        leader != NO_FLIGHT && flight_row[leader] != 0 ->
        NOTE("asker %d: has joined, is given row %d\n", me, flight_row[leader]);
        FOUND(FIND_SHARED && g == 0);
        assert(flight_row[leader] >= needed);
        goto done
       }
    :: leader == NO_FLIGHT
    fi;
    atomic { flight_row[me] = row; NOTE("asker %d: MISS, fetches row %d\n", me, row) }
    atomic {
        if
        :: reaches[p] && g != 0 ->
            store(flight_row[me], flight_row[me], g, s, identity);
            NOTE("asker %d: stores row %d under generation %d\n", me, flight_row[me], g)
        :: else -> NOTE("asker %d: does not store\n", me)
        fi;
        flies[me] = false
    }
done:
    skip
}

proctype MachinePurger(byte p)
{
    byte version;

    atomic {
        row++; version = row;
        NOTE("process %d: the row is %d; is asked for a purge\n", p, row)
    }
    if
    :: atomic { reaches[p] -> purge(); NOTE("process %d: purges\n", p) };
        atomic {
            promise_all(version);
            NOTE("process %d: acknowledges, row %d is promised\n", p, version)
        }
    :: atomic {
        !reaches[p] && (!locked || !REPLAY_LOCKS) ->
        word++; recorded = version; NOTE("process %d: a purge goes to the journal\n", p)
       };
        atomic {
            promise(version);
            NOTE("process %d: acknowledges, row %d is promised on this machine\n", p, version)
        }
    fi
}

proctype Backend()
{
end:
    atomic {
        phase == SENT ->
        if
        :: row++; row_of = row; phase = COMMITTED; NOTE("backend: makes row %d\n", row)
        :: phase = FAILED
        fi
    }
}

proctype MachineMutation()
{
    {
#if INTENT_FIRST
        atomic {
            !locked ->
            intent = true; NOTE("mutation: its intent goes to the journal\n")
        }
#endif
        atomic { phase = SENT; NOTE("mutation: goes to the backend\n") }
        phase == COMMITTED || phase == FAILED;
        atomic {
            !locked ->
            if
            :: phase == COMMITTED -> word++; recorded = (row_of > recorded -> row_of : recorded)
            :: else
            fi;
            completed = true;
            NOTE("mutation: its end goes to the journal\n")
        }
        atomic {
            if
            :: phase == COMMITTED ->
                promise(row_of);
                NOTE("mutation: acknowledged, row %d is promised on this machine\n", row_of)
            :: else
            fi
        }
    } unless {
        atomic { killed -> lost = true; NOTE("mutation: its process is killed\n") }
    }
}

proctype KillMutation()
{
    if
    :: killed = true
    :: skip
    fi
}

/* What nobody acknowledged is not lost: on this machine it holds at once, since nobody trusts Redis
 * until it has been told; on the others when what Redis was told has come to its end. */
proctype Aftermath()
{
end:
    do
    :: atomic {
        lost && phase == COMMITTED && promised < row_of && !completed && !held ->
        promise(row_of); NOTE("afterwards: row %d is promised on this machine\n", row_of)
       }
    :: atomic {
        lost && phase == COMMITTED && promised_b < row_of && word == 0 && !intent && !held ->
        promise_all(row_of); NOTE("afterwards: row %d is promised\n", row_of)
       }
    od
}

/* The reapers (change.pml), which purge for as long as the backend may be at it, and once after that. */
proctype Holder()
{
end:
    do
    :: atomic {
        held ->
        held = (phase == SENT); purge(); NOTE("reaper: purges, held %d\n", held)
       }
    od
}

/* Whatever process of the machine reaches Redis and finds something in the journal. It may die on
 * its way: the kernel takes its lock away, and another begins anew. An intent ends with its
 * completion, or is told when its process is gone. */
#define RESOLVED (completed || lost || !INTENT_LIVES)
proctype Replayer(byte p)
{
    bool dead;

end:
    do
    :: atomic {
        (word > 0 || (intent && RESOLVED)) && reaches[p] && !locked ->
        locked = true; dead = DEAD_INTENT || (intent && !INTENT_LIVES && !completed);
        NOTE("replay: begins, dead intent %d\n", dead)
       };
#if !TRUNCATE_LAST
        atomic { word = 0; NOTE("replay: empties the journal\n") }
#endif
        if
        :: atomic {
            reaches[p] ->
            held = held || (dead && DEAD_INTENT_HELD && lost); purge(); NOTE("replay: purges\n")
           }
        :: atomic { !reaches[p] -> locked = false; NOTE("replay: Redis is away\n"); goto again }
        :: atomic {
            faults > 0 -> faults--; locked = false;
            NOTE("replay: is killed\n");
            goto again
           }
        fi;
        atomic {
            promise_all(recorded);
            recorded = 0;
            word = 0;
            if
            :: dead || completed -> intent = false; dead = false
            :: else
            fi;
            FOUND(FIND_REPLAYED && word == 0);
            locked = false;
            NOTE("replay: %d records are left in the journal\n", word)
        }
again:
        skip
    od
}

proctype Cutter(byte p; byte cuts)
{
    do
    :: atomic {
        cuts > 0 && reaches[p] -> cuts--; reaches[p] = false;
        NOTE("process %d: cut off\n", p)
       }
    :: atomic { !reaches[p] -> reaches[p] = true; NOTE("process %d: reaches Redis again\n", p) }
    :: reaches[p] -> break
    od
}
#endif
