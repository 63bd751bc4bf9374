/*
 * Who invalidates: purges, mutations and their register; and what may happen to
 * the store and to time meanwhile.
 */

/* --------------------------------------------------------------------------------- invalidation */

byte faults = 0; /* how many replies, or requests, may still get lost */

/* Somebody has changed the row, and now asks for the purge. */
proctype Purger(bool softly)
{
    byte version, id;
    bool refused = false;

    atomic {
        row++; version = row;
        NOTE("purger: the row is %d; asks for a purge, soft %d\n", row, softly)
    }
again:
#if OWN_TAG && APPEND_FIRST
    atomic {
        id = identity;
        if
        :: crammed -> refused = true; NOTE("purger: XADD is refused\n")
        :: else -> append(true); NOTE("purger: XADD %d\n", news_last)
        fi
    }
#endif
    atomic {
        /* Both go out in one pipeline, which a restart breaks. */
        if
        :: identity != id && OWN_TAG && APPEND_FIRST -> goto again
        :: else
        fi;
        if
        :: softly -> soft_purge()
        :: else -> purge()
        fi;
        NOTE("purger: purges\n")
    }
#if OWN_TAG && !APPEND_FIRST
    atomic { append(true); NOTE("purger: XADD %d\n", news_last) }
#endif
#if OWN_TAG
    if
    :: refused ->
        atomic { drop_news(); NOTE("purger: deletes the news\n") }
#if REFUSED_PURGES_AGAIN
        atomic { purge(); NOTE("purger: purges again\n") }
#endif
    :: else
    fi;
    refused = false;
#endif
    if
    :: atomic { faults > 0 -> faults--; NOTE("purger: the reply is lost\n"); goto again }
    :: atomic {
        if
        :: softly -> promised_fresh = (version > promised_fresh -> version : promised_fresh)
        :: else -> promise(version)
        fi;
        NOTE("purger: acknowledged, row %d is promised\n", version)
       }
    fi
}

/* Invalidations of other tags fill the news, which forget. */
proctype Crowd()
{
end:
    atomic {
        !crammed && stream != 0 -> append(false);
        NOTE("crowd: XADD %d of another tag\n", news_last)
    }
end_of_news:
    atomic {
        stream != 0 -> news_first = news_last;
        NOTE("crowd: the news before %d are trimmed\n", news_last)
    }
}

/* A store short of memory drops what it likes. */
#ifdef AND_KILLED
#define MAY_BE_LOST true
#else
#define MAY_BE_LOST (under_way[0] && registered[0] && !silent && beats > 0 && (phase[0] != COMMITTED || grace[0] > 0))
#endif
proctype Evictor(byte evictions)
{
    do
    :: evictions == 0 -> break
    :: atomic { evictions > 0 -> evictions--; purge(); NOTE("store: evicts the generation\n") }
#if REGISTERS
    /* What is assumed: not the record of a mutation that is dead, or of which nobody knows. */
    :: atomic {
        evictions > 0 && (registered[0] || silent) && MAY_BE_LOST ->
        evictions--; leave(0); drop_silent(); NOTE("store: evicts the register\n")
       }
#endif
    :: atomic { evictions > 0 -> evictions--; drop_entry(); NOTE("store: evicts the entry\n") }
    :: atomic {
        evictions > 0 && OWN_TAG -> evictions--; drop_news();
        NOTE("store: evicts the news\n")
       }
    :: evictions > 0 -> break
    od
}

proctype Fullness()
{
    atomic { crammed = true; NOTE("store: is full\n") }
    atomic { crammed = false; NOTE("store: has room again\n") }
}

/* ------------------------------------------------------------------------------------ mutations */

#if REGISTERS
#define MAY_COMMIT(m) (phase[m] == SENT || phase[m] == HEAD)
byte backend_left[MUTATIONS]; /* until it has committed, or never will */
byte row_of[MUTATIONS];       /* the row that it made */
byte age[MUTATIONS];          /* since its registration was asked for, by the process' own clock */
byte ended = 0;
bool late[MUTATIONS];         /* a registration that was given up arrives later, or never */

/* How often the process of mutation 0 may be killed, or get no answer. */
byte deaths = 0, silences = 0;

inline owner_lives(m) { grace[m] = (grace[m] > 0 -> BOUND : 0) }

proctype Backend()
{
    byte m;

end:
    do
    :: atomic {
        MAY_COMMIT(0) || MAY_COMMIT(1) ->
        if
        :: MAY_COMMIT(0) -> m = 0
        :: MAY_COMMIT(1) -> m = 1
        fi;
        if
        :: row++; row_of[m] = row; phase[m] = COMMITTED; grace[m] = BOUND; backend_left[m] = 0;
            NOTE("backend: mutation %d makes row %d\n", m, row)
#ifdef LATE
        :: phase[m] == SENT -> phase[m] = HEAD; NOTE("backend: sends the head of %d\n", m)
#endif
#if !defined(BOTH) && !defined(EVICTED) && !defined(PURGED) /* where that is of no interest */
        :: phase[m] == SENT ->
            phase[m] = FAILED; backend_left[m] = 0; NOTE("backend: mutation %d changes nothing\n", m)
#endif
        fi;
        m = 0
       }
    od
}

#define OR_DIES(m) \
    :: atomic { \
        m == 0 && deaths > 0 -> deaths--; under_way[m] = false; \
        NOTE("mutation %d: its process is killed\n", m); \
        goto dead \
       }
#define MUTATION_APPENDS(m) \
    atomic { append(true); NOTE("mutation %d: XADD %d\n", m, news_last) }

proctype Mutation(byte m)
{
    bool again = false;
    byte g, s;

#if REGISTER_FIRST
again_from_here:
    /* The clock of the process runs from here on: see age. */
    age[m] = 0;
    if
    :: skip
    :: atomic {
        faults > 0 -> faults--; late[m] = true; NOTE("mutation %d: no reply, tries again\n", m)
       }
    fi;
    atomic {
        if
        :: again -> registered[m] = true; sign_of_life(m) /* a new token */
        :: else -> enroll(m)
        fi;
        under_way[m] = true; NOTE("mutation %d: is registered\n", m)
    }
#endif
#ifdef CLAIM
    atomic { begin_generation(g, s); NOTE("mutation %d: generation %d\n", m, g) }
#endif
    if
    OR_DIES(m)
    :: atomic {
        age[m] <= SLACK || !SENT_YOUNG || !REGISTER_FIRST ->
        NOTE("mutation %d: goes to the backend, %d ticks after it was registered\n", m, age[m]);
        phase[m] = SENT; backend_left[m] = LONGEST; age[m] = 0
       }
#if REGISTER_FIRST && SENT_YOUNG
    :: atomic { age[m] > SLACK && !again -> again = true; goto again_from_here }
    :: atomic {
        age[m] > SLACK && again ->
        under_way[m] = false; leave(m); NOTE("mutation %d: was too slow twice, is refused\n", m);
        goto dead
       }
#endif
    fi;

#ifdef LATE
    if
    OR_DIES(m)
    :: phase[m] == HEAD || phase[m] == COMMITTED || phase[m] == FAILED
    fi;
    if
    :: phase[m] == FAILED
    :: else ->
#if OWN_TAG
        MUTATION_APPENDS(m);
#endif
        atomic { purge(); NOTE("mutation %d: purges at the head\n", m) }
    fi;
#endif
    if
    OR_DIES(m)
#ifndef BOTH /* where it does nothing else */
    :: phase[m] == COMMITTED ->
#if !PURGE_THEN_LEAVE
        atomic { under_way[m] = false; leave(m); NOTE("mutation %d: leaves\n", m) }
        if
        OR_DIES(m)
        :: skip
        fi;
#endif
#if OWN_TAG && CHANGE_APPENDS
        MUTATION_APPENDS(m);
#endif
        if
        OR_DIES(m)
#ifdef CLAIM
        :: atomic {
            if
            :: g != 0 && ((hard == g && soft == s) || !CLAIM_COMPARES) ->
                unused++; hard = unused; soft = 0; g = hard
            :: else -> purge(); g = 0
            fi;
            NOTE("mutation %d: claims generation %d\n", m, g);
            FOUND(FIND_CLAIMED && g != 0)
           };
            atomic {
                if
                :: g != 0 ->
                    store(row_of[m], row_of[m], g, 0, identity);
                    NOTE("mutation %d: stores its answer, row %d\n", m, row_of[m])
                :: else
                fi
            }
#else
#if PURGES_AT_END
        :: atomic { purge(); NOTE("mutation %d: purges\n", m) }
#else
        :: skip
#endif
#endif
        fi;
        atomic {
            promise(row_of[m]);
            NOTE("mutation %d: acknowledged, row %d is promised\n", m, row_of[m])
        }
        if
        OR_DIES(m)
        :: atomic { under_way[m] = false; leave(m); NOTE("mutation %d: leaves\n", m) }
        fi
    :: phase[m] == FAILED ->
        atomic { under_way[m] = false; leave(m); NOTE("mutation %d: has failed, leaves\n", m) }
    :: atomic {
        m == 0 && silences > 0 -> silences--; under_way[m] = false; owner_lives(m);
        if
        :: UNKNOWN_STAYS -> silence(m, true)
        :: else -> leave(m)
        fi;
        NOTE("mutation %d: has no answer in time, stays silent\n", m)
       }
#endif
    fi;
dead:
    ended++
}

/* Another of which nobody knows the outcome. */
proctype Unheard()
{
    atomic {
        phase[1] = SENT; backend_left[1] = LONGEST; owner_lives(1); silence(1, true); ended++;
        NOTE("mutation 1: goes to the backend, has no answer, stays silent\n")
    }
}

proctype Network()
{
    byte m;

end:
    do
    :: atomic {
        late[0] || late[1] ->
        m = (late[0] -> 0 : 1);
        if
        :: enroll(m); NOTE("network: late, %d is registered\n", m)
        :: skip
        fi;
        late[m] = false; m = 0
       }
    od
}

/* Of the processes that own them. */
proctype Keeper()
{
    byte m;

end:
    do
    :: atomic {
        beats > 0 && (under_way[0] || under_way[1]) ->
        if
        :: under_way[0] -> m = 0
        :: under_way[1] -> m = 1
        fi;
        beats--;
        if
        :: registered[m] -> sign_of_life(m)
        :: !registered[m] && BEATS_RESTORE -> registered[m] = true; sign_of_life(m)
        :: !registered[m] && !BEATS_RESTORE
        fi;
        owner_lives(m);
        NOTE("mutation %d: gives a sign of life\n", m); m = 0
       }
    od
}

/* One on each machine, which reads the register, and purges for whoever is silent. It may stop for as
 * long as it likes. */
#define NONE 9
proctype Reaper(byte r)
{
    byte m = NONE;
    bool over, unseen;

end:
    do
    :: atomic {
        clean_left[r] < X || OVERDUE_TOKEN(r, 0) || OVERDUE_TOKEN(r, 1) || OVERDUE_SILENT(r) ->
        unseen = false;
        if
        :: registered[0] && beaten[SEEN(r, 0)] && read_age[r] >= L -> unseen = true
        :: registered[1] && beaten[SEEN(r, 1)] && read_age[r] >= L -> unseen = true
        :: else
        fi;
        read_register(r);
        if
        :: OVERDUE_TOKEN(r, 0) -> m = 0
        :: OVERDUE_TOKEN(r, 1) -> m = 1
        :: else -> m = NONE
        fi;
        if
        :: (m == NONE && !OVERDUE_SILENT(r)) || !CLEAN_ONLY -> clean_left[r] = X
        :: else
        fi;
        if
        :: m == NONE && !OVERDUE_SILENT(r) ->
            NOTE("reaper %d: reads the register, nothing is overdue\n", r)
        :: else ->
            busy[r] = true; since[r] = 0; over = silent && hold_left == 0;
            NOTE("reaper %d: reads the register: %d is overdue, silent %d, hold %d\n",
                 r, m, silent, hold_left);
            /* The owner has not been seen to live for L. A second command, which does nothing if
             * the record has changed: as if it had come at once, or not at all. */
            if
            :: m != NONE && !unseen -> silence(m, false)
            :: else
            fi
        fi
       };
        if
        :: busy[r] ->
            if
            :: over && !LAST_PURGE
            :: else ->
#if OWN_TAG && REAPER_APPENDS
                atomic { append(true); NOTE("reaper %d: XADD %d\n", r, news_last) }
#endif
                atomic { purge(); NOTE("reaper %d: purges\n", r) }
            fi;
            atomic {
                if
                :: !AS_OF_START -> since[r] = 0
                :: else
                fi;
                if
                :: m != NONE && unseen && !beaten[SEEN(r, m)] -> life_left[SEEN(r, m)] = L - since[r]
                :: else
                fi;
                if
                :: !silent
                :: silent && over && (!touched[r] || !REMOVES_WHAT_WAS_READ) ->
                    drop_silent(); NOTE("reaper %d: removes the silent record\n", r)
                :: else ->
                    if
                    :: !PURGED_AGAIN -> drop_silent()
                    :: else ->
                        note_age = since[r]; EACH_MACHINE(NOTED);
                        NOTE("reaper %d: notes its purge of %d ticks ago\n", r, since[r]);
                        if
                        :: purge_left[r] < L - since[r] -> purge_left[r] = L - since[r]
                        :: else
                        fi
                    fi
                fi;
                m = NONE; over = false; unseen = false; busy[r] = false; since[r] = 0
            }
        :: else
        fi
    od
}
#endif

/* ----------------------------------------------------------------------------------------- time */

inline count_down(left)
{
    if
    :: left > 0 -> left--
    :: else
    fi
}

/* It ticks only while something counts down, so that what is at its end stays there. */
#if REGISTERS
#define OVERDUE(m) (MAY_COMMIT(m) && backend_left[m] == 0)
#if MACHINES == 2
#define ANY_LIFE(m) (life_left[SEEN(0, m)] > 0 || life_left[SEEN(1, m)] > 0)
#else
#define ANY_LIFE(m) (life_left[SEEN(0, m)] > 0)
#endif
/* An owner whose record was lost lives, and says so: see doc/model. */
#ifdef EVICTED
#define MUST_BEAT (under_way[0] && !registered[0] && !silent && beats > 0 && (phase[0] != COMMITTED || grace[0] > 0))
#else
#define MUST_BEAT false
#endif
#define MAY_TICK \
    (!OVERDUE(0) && !OVERDUE(1) && !MUST_BEAT && \
     (MAY_COMMIT(0) || MAY_COMMIT(1) || grace[0] > 0 || grace[1] > 0 || hold_left > 0 || \
      (registered[0] && ANY_LIFE(0)) || (registered[1] && ANY_LIFE(1))))

proctype Clock()
{
    byte i;

end:
    do
    :: d_step {
        MAY_TICK ->
        for (i : 0 .. MUTATIONS - 1) {
            if
            :: MAY_COMMIT(i) -> count_down(backend_left[i])
            :: else
            fi;
            if
            :: phase[i] == IDLE && age[i] <= SLACK -> age[i]++
            :: else
            fi;
            if
            :: grace[i] == 1 ->
                grace[i] = 0; promise(row_of[i]);
                NOTE("clock: %d is silent for long enough, row %d is promised\n", i, row_of[i])
            :: grace[i] > 1 -> grace[i]--
            :: else
            fi
        }
        for (i : 0 .. MACHINES * MUTATIONS - 1) {
            count_down(life_left[i])
        }
        for (i : 0 .. MACHINES - 1) {
            count_down(purge_left[i]);
            count_down(clean_left[i]);
            if
            :: read_age[i] < NEVER -> read_age[i]++
            :: else
            fi;
            if
            :: busy[i] && since[i] < L -> since[i]++
            :: else
            fi
        }
        count_down(hold_left);
        i = 0;
        NOTE("clock: ticks\n")
       }
    od
}
#endif

#if LEASES
byte lease_left[3];

proctype Clock()
{
end:
    do
    :: d_step {
        LEASE_ENDS && lease_left[0] + lease_left[1] + lease_left[2] > 0 ->
        count_down(lease_left[0]); count_down(lease_left[1]); count_down(lease_left[2]);
        NOTE("clock: ticks\n")
       }
    od
}
#endif

/* ------------------------------------------------------------------------------------ roll back */

#ifdef ROLLBACK
/* A snapshot, or a replica that lags behind; later it is what there is. Then every connection is a
 * new one, and learns whom it has reached. */
proctype Rollback()
{
    byte was_hard, was_soft, was_stream, was_first, was_last, was_tag;
    Entry was;

    atomic {
        was_hard = hard; was_soft = soft; copy_entry(was);
        was_stream = stream; was_first = news_first; was_last = news_last; was_tag = news_tag;
        NOTE("store: a snapshot, generation %d\n", hard)
    }
    atomic {
        hard = was_hard; soft = was_soft;
        entry.row = was.row; entry.checked = was.checked; entry.hard = was.hard;
        entry.soft = was.soft; entry.identity = was.identity;
        stream = was_stream; news_first = was_first; news_last = was_last; news_tag = was_tag;
        identity++;
        NOTE("store: is back from the snapshot, generation %d, identity %d\n", hard, identity)
    }
}
#endif
