/*
 * Who invalidates: purges, mutations in two steps; and what may happen to the
 * store and to time meanwhile.
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
proctype Evictor(byte evictions)
{
    do
    :: evictions == 0 -> break
#if MARKS && !defined(AND_KILLED)
    /* What is assumed: not the mark of a mutation that nobody will complete. */
    :: atomic {
        evictions > 0 && !lost[0] -> evictions--; settle(0, 0);
        NOTE("store: evicts the mark\n")
       }
#else
    :: atomic { evictions > 0 -> evictions--; settle(0, 0); NOTE("store: evicts the generation\n") }
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

#if MARKS
mtype = { IDLE, SENT, COMMITTED, FAILED };

mtype phase[MUTATIONS] = IDLE; /* what the backend knows */
byte backend_left[MUTATIONS];  /* until it has committed, or never will */
byte row_of[MUTATIONS];        /* the row that it made */
byte mark_age[MUTATIONS];      /* since the mark was asked for, by the process' own clock */
byte ended = 0;

/* What was sent on a connection that was given up arrives later, or never. */
mtype = { NOTHING, MARK, CHANGED, UNCHANGED };
mtype late[MUTATIONS] = NOTHING;

/* How often the process of mutation 0 may be killed, or get no answer. */
byte deaths = 0, silences = 0;

/* What nobody acknowledges is not lost either: once it is committed, and its process is gone, no
 * stored page is older. */
inline give_up(m)
{
    lost[m] = true;
    if
    :: phase[m] == COMMITTED -> promise(row_of[m])
    :: else
    fi
}

proctype Backend()
{
    byte m;

end:
    do
    :: atomic {
        phase[0] == SENT || phase[1] == SENT ->
        if
        :: phase[0] == SENT -> m = 0
        :: phase[1] == SENT -> m = 1
        fi;
        if
        :: row++; row_of[m] = row; phase[m] = COMMITTED;
            NOTE("backend: mutation %d makes row %d\n", m, row);
            if
            :: lost[m] -> promise(row)
            :: else
            fi
        :: phase[m] = FAILED; NOTE("backend: mutation %d changes nothing\n", m)
        fi;
        backend_left[m] = 0; m = 0
       }
    od
}

#define OR_DIES(m) \
    :: atomic { \
        m == 0 && deaths > 0 -> deaths--; give_up(m); \
        NOTE("mutation %d: its process is killed\n", m); \
        goto dead \
       }
/* A command that may be repeated is, when no reply comes. */
#define OR_LATE(m, what) \
    :: atomic { \
        faults > 0 -> faults--; late[m] = what; NOTE("mutation %d: no reply, tries again\n", m) \
       }

proctype Mutation(byte m)
{
    bool again = false;
    byte g;

#if TWO_STEPS
#if OWN_TAG && MARK_APPENDS
    atomic { append(true); NOTE("mutation %d: XADD %d\n", m, news_last) }
#endif
remark:
    /* The clock of the process runs from here on: see mark_age. */
    mark_age[m] = 0;
    if
    :: skip
    OR_LATE(m, MARK)
    fi;
    atomic { mark(m); NOTE("mutation %d: marks\n", m) }
#endif
    if
    OR_DIES(m)
    :: atomic {
        mark_age[m] <= SLACK || !SENT_YOUNG || !TWO_STEPS ->
        NOTE("mutation %d: goes to the backend, %d ticks after it was marked\n", m, mark_age[m]);
        phase[m] = SENT; backend_left[m] = LONGEST; mark_age[m] = 0
       }
#if TWO_STEPS && SENT_YOUNG
    :: atomic { mark_age[m] > SLACK && !again -> again = true; goto remark }
    :: atomic {
        mark_age[m] > SLACK && again ->
        complete(m, false); NOTE("mutation %d: was too slow twice, is refused\n", m);
        goto dead
       }
#endif
    fi;

    if
    OR_DIES(m)
    :: phase[m] == COMMITTED ->
#if OWN_TAG && COMPLETION_APPENDS
        atomic { append(true); NOTE("mutation %d: XADD %d\n", m, news_last) }
#endif
        if
        :: skip
        OR_LATE(m, CHANGED)
        fi;
        if
        OR_DIES(m)
#ifdef RENEW
        :: atomic {
            renew(m, g);
            NOTE("mutation %d: renews, has generation %d\n", m, g);
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
        :: atomic { complete(m, true); NOTE("mutation %d: completes\n", m) }
#endif
        fi;
        atomic {
            promise(row_of[m]);
            NOTE("mutation %d: acknowledged, row %d is promised\n", m, row_of[m])
        }
    :: phase[m] == FAILED ->
        if
        :: skip
        OR_LATE(m, UNCHANGED)
        fi;
        atomic { complete(m, false); NOTE("mutation %d: has failed, completes\n", m) }
    :: atomic {
        m == 0 && silences > 0 -> silences--;
        NOTE("mutation %d: has no answer in time\n", m)
       };
#if UNKNOWN_MARKS_AGAIN && TWO_STEPS
#if OWN_TAG && MARK_APPENDS
        atomic { append(true); NOTE("mutation %d: XADD %d\n", m, news_last) }
#endif
        if
        OR_DIES(m)
        :: atomic { mark(m); lost[m] = true; NOTE("mutation %d: marks again\n", m) }
        fi;
#endif
        atomic { give_up(m); NOTE("mutation %d: answers that nobody knows\n", m) }
    fi;
dead:
    ended++
}

proctype Network()
{
    byte m;

end:
    do
    :: atomic {
        late[0] != NOTHING || late[1] != NOTHING ->
        m = (late[0] != NOTHING -> 0 : 1);
        if
        :: late[m] == MARK -> mark(m); NOTE("network: late, %d marks\n", m)
        :: late[m] == CHANGED -> complete(m, true); NOTE("network: late, %d completes\n", m)
        :: late[m] == UNCHANGED -> complete(m, false); NOTE("network: late, %d has failed\n", m)
        :: skip
        fi;
        late[m] = NOTHING; m = 0
       }
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
#if MARKS
#define OVERDUE(m) (phase[m] == SENT && backend_left[m] == 0)
#define MAY_TICK \
    (!OVERDUE(0) && !OVERDUE(1) && \
     ((MARK_ENDS && (mark_left[0] > 0 || mark_left[1] > 0)) || phase[0] == SENT || \
      phase[1] == SENT))

proctype Clock()
{
    byte i;

end:
    do
    :: d_step {
        MAY_TICK ->
        for (i : 0 .. MUTATIONS - 1) {
            if
            :: MARK_ENDS -> count_down(mark_left[i])
            :: else
            fi;
            if
            :: phase[i] == SENT -> count_down(backend_left[i])
            :: else
            fi;
            if
            :: phase[i] == IDLE && mark_age[i] <= SLACK -> mark_age[i]++
            :: else
            fi
        }
#if !SHARES
        for (i : 0 .. FILLERS - 1) {
            if
            :: position_age[i] <= FETCH -> position_age[i]++
            :: else
            fi
        }
#endif
        i = 0;
        if
        :: marked && mark_left[0] == 0 && mark_left[1] == 0 && !prolonged ->
            settle(0, 0); NOTE("clock: ticks; the mark expires\n")
        :: else -> NOTE("clock: ticks\n")
        fi
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
