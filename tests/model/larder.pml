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
 *   MUTATION  two-step mutations that fail, die, or commit late
 *   RENEW     two mutations whose answers are stored themselves
 *   UNKNOWN   a mutation of unknown outcome, and a tag that only the response names
 *   EVICTED   the store loses the mark of a mutation
 *   PURGED    one such mutation between a hard and a soft purge
 *   SHARE     flights within processes, leases among them, a purge
 *   DIES      the same without it; a process is killed, a word is lost
 *   MEET      a flight that meets two mutations
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
 */

/* ------------------------------------------------------------------------------------ the rules */

/* -DRULE=0 takes one away. */

/* A fill reads the generation before it asks the backend. */
#ifndef GENERATION_FIRST
#define GENERATION_FIRST 1
#endif
/* A 304 is stored under the generation that the look-up matched: not one from after the 304, */
#ifndef FRESHEN_NOT_AFTER
#define FRESHEN_NOT_AFTER 1
#endif
/* and not one that was read again before the conditional request either; */
#ifndef FRESHEN_AS_LOOKED_UP
#define FRESHEN_AS_LOOKED_UP 1
#endif
/* and only in place of the entry that was validated. */
#ifndef FRESHEN_GUARDED
#define FRESHEN_GUARDED 1
#endif
/* What is hard-dead is not validated. */
#ifndef DEAD_NOT_VALIDATED
#define DEAD_NOT_VALIDATED 1
#endif

/* Whether a tag of the response's own was invalidated during the fetch, the news tell, */
#ifndef NEWS_CONSULTED
#define NEWS_CONSULTED 1
#endif
/* read after the generation, */
#ifndef NEWS_AFTER_GENERATION
#define NEWS_AFTER_GENERATION 1
#endif
/* from a position of before the fetch, */
#ifndef POSITION_FIRST
#define POSITION_FIRST 1
#endif
/* whose record is still there, */
#ifndef POSITION_IN_STREAM
#define POSITION_IN_STREAM 1
#endif
/* recognised by its random digits and not by its number alone. */
#ifndef POSITION_NONCE
#define POSITION_NONCE 1
#endif
/* An invalidation appends to the news, then purges. */
#ifndef APPEND_FIRST
#define APPEND_FIRST 1
#endif
/* Where the news take no record they are deleted, and the tag is purged once more. */
#ifndef REFUSED_PURGES_AGAIN
#define REFUSED_PURGES_AGAIN 1
#endif

/* A mutation marks before it goes to the backend. */
#ifndef TWO_STEPS
#define TWO_STEPS 1
#endif
/* A purge leaves a mark where it is, */
#ifndef PURGE_KEEPS_MARK
#define PURGE_KEEPS_MARK 1
#endif
/* and is counted, so that a mutation that failed does not bring back the value from before it; */
#ifndef PURGE_COUNTED
#define PURGE_COUNTED 1
#endif
/* a soft purge changes that value, */
#ifndef SOFT_REACHES_MARK
#define SOFT_REACHES_MARK 1
#endif
/* and a token past its deadline counts like a purge: nobody knows what became of it. */
#ifndef DEAD_TOKEN_COUNTED
#define DEAD_TOKEN_COUNTED 1
#endif
/* A mutation that is sent long after its mark was asked for is marked again before. */
#ifndef SENT_YOUNG
#define SENT_YOUNG 1
#endif
/* A mark outlives the last commit by the longest fetch that may prove own tags. */
#ifndef MARK_OUTLIVES_FETCH
#define MARK_OUTLIVES_FETCH 1
#endif
/* Who does not know the outcome marks again: what was evicted is there again. */
#ifndef UNKNOWN_MARKS_AGAIN
#define UNKNOWN_MARKS_AGAIN 1
#endif
/* A mark has a deadline, */
#ifndef MARK_ENDS
#define MARK_ENDS 1
#endif
/* and a fill that prolongs a generation does not prolong a mark. */
#ifndef FILL_LEAVES_MARK
#define FILL_LEAVES_MARK 1
#endif
/* What renew claims was marked by its own token alone, and not purged. */
#ifndef RENEW_ALONE
#define RENEW_ALONE 1
#endif

/* The name of a flight and its lease has the generation in it. */
#ifndef NAME_HAS_GENERATION
#define NAME_HAS_GENERATION 1
#endif
/* Who finds a mark fetches alone: "marked" names no moment. */
#ifndef MARKED_FETCH_ALONE
#define MARKED_FETCH_ALONE 1
#endif
/* A flight is closed before its own tags are proved. */
#ifndef CLOSED_BEFORE_PROOF
#define CLOSED_BEFORE_PROOF 1
#endif
/* A lease has an end of its own, */
#ifndef LEASE_ENDS
#define LEASE_ENDS 1
#endif
/* and who waits for it has a clock: to be woken is a kindness. */
#ifndef WAITER_HAS_CLOCK
#define WAITER_HAS_CLOCK 1
#endif
/* The leader of a lease looks again before it fetches. */
#ifndef LEADER_LOOKS_AGAIN
#define LEADER_LOOKS_AGAIN 1
#endif

/* While the journal holds something no process of the machine uses entries; */
#ifndef WORD_CHECKED
#define WORD_CHECKED 1
#endif
/* a look-up reads the word before it asks Redis. */
#ifndef WORD_FIRST
#define WORD_FIRST 1
#endif
/* The epoch in a flight's name is never one that was there before, */
#ifndef EPOCH_NEW
#define EPOCH_NEW 1
#endif
/* and changes with each invalidation of the machine, also one that Redis took. */
#ifndef EPOCH_COUNTS_ALL
#define EPOCH_COUNTS_ALL 1
#endif
/* An intent is in the journal before the mutation goes to the backend. */
#ifndef INTENT_FIRST
#define INTENT_FIRST 1
#endif
/* The journal is emptied after Redis has it all, */
#ifndef TRUNCATE_LAST
#define TRUNCATE_LAST 1
#endif
/* and nobody appends between. */
#ifndef REPLAY_LOCKS
#define REPLAY_LOCKS 1
#endif

/* An entry counts only on the server that it was filled on, */
#ifndef IDENTITY_COMPARED
#define IDENTITY_COMPARED 1
#endif
/* by which its own tags are compared as well; */
#ifndef IDENTITY_OF_OWN_TAGS
#define IDENTITY_OF_OWN_TAGS 1
#endif
/* so is the position from before the fetch. */
#ifndef IDENTITY_OF_POSITION
#define IDENTITY_OF_POSITION 1
#endif
/* A purge whose connection broke is tried again as a whole, news first. */
#ifndef RETRY_WHOLE
#define RETRY_WHOLE 1
#endif

/* Sanity: -DFIND_X=1 claims that X never happens. */
#ifndef FIND_HIT
#define FIND_HIT 0
#endif
#ifndef FIND_STORED
#define FIND_STORED 0
#endif
#ifndef FIND_FRESHENED
#define FIND_FRESHENED 0
#endif
#ifndef FIND_RESTORED
#define FIND_RESTORED 0
#endif
#ifndef FIND_CLAIMED
#define FIND_CLAIMED 0
#endif
#ifndef FIND_SHARED
#define FIND_SHARED 0
#endif
#ifndef FIND_WOKEN
#define FIND_WOKEN 0
#endif
#ifndef FIND_REPLAYED
#define FIND_REPLAYED 0
#endif

#define NOTE(...) printf(__VA_ARGS__)
#define FOUND(x) assert(!(x))

#if defined(OWN) || defined(UNKNOWN) || defined(PROOF) || (defined(ROLLBACK) && !defined(KNOWN))
#define OWN_TAG 1
#else
#define OWN_TAG 0
#endif
#if defined(MUTATION) || defined(RENEW) || defined(UNKNOWN) || defined(EVICTED) || \
    defined(PURGED) || defined(MEET)
#define MARKS 1
#else
#define MARKS 0
#endif
#if defined(SHARE) || defined(DIES)
#define LEASES 1
#else
#define LEASES 0
#endif
#if LEASES || defined(MEET) || defined(PROOF)
#define SHARES 1
#else
#define SHARES 0
#endif
#if defined(JOURNAL) || defined(INTENT)
#define JOURNALS 1
#else
#define JOURNALS 0
#endif

/* ------------------------------------------------------------------ the backend, and the promise */

byte row = 1;

/* What a request that is received from now on may see at least: any answer, and one given as
 * fresh. They rise when an invalidation is acknowledged. */
byte promised = 0;
byte promised_fresh = 0;

inline promise(version)
{
    promised = (version > promised -> version : promised);
    promised_fresh = (version > promised_fresh -> version : promised_fresh)
}

/* ------------------------------------------------------------------------------------------ Redis */

/* The server's run, and whether it refuses what makes it grow. */
byte identity = 1;
bool crammed = false;

/* A generation is a number never used before, as a random one is in practice. 0: missing. */
byte unused = 0;
byte hard = 0, soft = 0;

bool marked = false;
byte previous = 0, previous_soft = 0;
bool purges = false;    /* something was invalidated while it was marked */
byte tokens = 0;        /* one bit a mutation, those past their deadline among them */
bool prolonged = false; /* the mark's key outlives its tokens */

/* The one entry. row: whose fetch the body is from; 0: there is no entry. checked: what the backend
 * had when it was last asked about it. */
typedef Entry {
    byte row;
    byte checked;
    byte hard;
    byte soft;
    byte identity
};
Entry entry;

/*
 * The news. A record is its number in the stream; what counts is the last one, the
 * first that is still there, and the last that names our tag. A stream that was
 * deleted and begun again in the same millisecond may repeat its numbers, but never
 * the random digits in its records, which `stream` stands for.
 */
byte stream = 0; /* 0: there is none */
byte streams = 0;
byte news_first = 0, news_last = 0, news_tag = 0;

/* ------------------------------------------------------------------------------------ generations */

#define MARKED 200 /* what a reader makes of a marked one */
#define SETTLED(g) ((g) != 0 && (g) != MARKED)

inline read_generation(hard_part, soft_part)
{
    if
    :: marked -> hard_part = MARKED; soft_part = 0
    :: else -> hard_part = hard; soft_part = soft
    fi
}

/* What a fill does: create it if it is missing, read it, extend its life. */
inline begin_generation(hard_is, soft_is)
{
    if
    :: !marked && hard == 0 && !crammed -> unused++; hard = unused; soft = 0
    :: marked && !FILL_LEAVES_MARK -> prolonged = true
    :: else
    fi;
    read_generation(hard_is, soft_is)
}

inline settle(hard_part, soft_part)
{
    hard = hard_part; soft = soft_part;
    marked = false; tokens = 0; purges = false; previous = 0; previous_soft = 0; prolonged = false
}

inline purge()
{
    if
    :: !marked || !PURGE_KEEPS_MARK -> settle(0, 0)
    :: else -> purges = PURGE_COUNTED
    fi
}

inline soft_purge()
{
    if
    :: !marked && hard != 0 -> unused++; soft = unused
    :: marked && SOFT_REACHES_MARK -> unused++; previous_soft = unused
    :: else
    fi
}

/* ------------------------------------------------------------------------------------------ marks */

#if MARKS
#define MUTATIONS 2
/*
 * Ticks. A mutation goes to the backend at most SLACK after its mark was asked for, or
 * it is marked again; the backend commits within LONGEST of that, or never; own tags are
 * proved with a position of at most FETCH, or not at all.
 */
#define SLACK 0
#define LONGEST 1
#define FETCH 1
#define MARK_LIFE (SLACK + LONGEST + 1 + ((OWN_TAG && MARK_OUTLIVES_FETCH) -> FETCH : 0))

byte mark_left[MUTATIONS]; /* until the token's deadline */
bool lost[MUTATIONS];      /* nobody will complete it, or acknowledge it */

#define OTHER(m) (1 - (m))
#define HAS_TOKEN(m) ((tokens & (1 << (m))) != 0)

inline drop_dead(m)
{
    if
    :: HAS_TOKEN(m) && mark_left[m] == 0 ->
        tokens = tokens & ~(1 << (m));
        purges = purges || DEAD_TOKEN_COUNTED
    :: else
    fi
}

inline mark(m)
{
    if
    :: marked -> drop_dead(OTHER(m))
    :: else -> previous = hard; previous_soft = soft; hard = 0; soft = 0; marked = true
    fi;
    tokens = tokens | (1 << (m));
    mark_left[m] = MARK_LIFE
}

inline complete(m, changed)
{
    if
    :: !marked && changed -> settle(0, 0)
    :: !marked && !changed
    :: marked && !HAS_TOKEN(m) -> purges = purges || changed
    :: marked && HAS_TOKEN(m) ->
        tokens = tokens & ~(1 << (m));
        mark_left[m] = 0;
        drop_dead(OTHER(m));
        purges = purges || changed;
        if
        :: tokens == 0 && !purges ->
            settle(previous, previous_soft);
            FOUND(FIND_RESTORED && hard != 0)
        :: tokens == 0 && purges -> settle(0, 0)
        :: else
        fi
    fi
}

/* Complete, and begin the next generation in the same step, if the answer may be stored under it. */
inline renew(m, claimed)
{
    if
    :: marked && HAS_TOKEN(m) && ((!HAS_TOKEN(OTHER(m)) && !purges) || !RENEW_ALONE) ->
        mark_left[m] = 0;
        unused++; claimed = unused; settle(unused, 0)
    :: else -> claimed = 0; complete(m, true)
    fi
}
#endif

/* ------------------------------------------------------------------------------------------- news */

inline append(ours)
{
    if
    :: stream == 0 -> streams++; stream = streams; news_first = 1; news_last = 1
    :: else -> news_last++
    fi;
    if
    :: ours -> news_tag = news_last
    :: else
    fi
}

inline drop_news()
{
    stream = 0; news_first = 0; news_last = 0; news_tag = 0
}

/* A position is a record that is there, so one that means nothing begins a missing stream. */
inline note_position(in_stream, record)
{
    if
    :: stream == 0 && !crammed -> append(false)
    :: else
    fi;
    in_stream = stream; record = news_last
}

/* XRANGE from the position on: is its record the first, and is our tag in none after it? What was
 * trimmed away is not seen. */
#define REACHES(at_stream, at) \
    (at_stream != 0 && stream != 0 && (stream == at_stream || !POSITION_NONCE) && \
     ((at >= news_first && at <= news_last) || !POSITION_IN_STREAM))
#define NAMED_SINCE(at) (news_tag > at && news_tag >= news_first)
#define PROVED(at_stream, at) \
    (!NEWS_CONSULTED || (REACHES(at_stream, at) && !NAMED_SINCE(at)))

/* ---------------------------------------------------------------------------------------- entries */

inline copy_entry(to)
{
    to.row = entry.row; to.checked = entry.checked; to.hard = entry.hard; to.soft = entry.soft;
    to.identity = entry.identity
}

inline drop_entry()
{
    entry.row = 0; entry.checked = 0; entry.hard = 0; entry.soft = 0; entry.identity = 0
}

inline store(fetched, as_of, hard_part, soft_part, filled_on)
{
    if
    :: !crammed ->
        entry.row = fetched; entry.checked = as_of; entry.hard = hard_part;
        entry.soft = soft_part; entry.identity = filled_on
    :: else
    fi
}

#define MATCHES(e, g, id) \
    (e.row != 0 && SETTLED(g) && e.hard == g && (e.identity == id || !IDENTITY_COMPARED))


/* ----------------------------------------------------------------------------- look-up and fill */

#if JOURNALS
byte promised_b = 0; /* to who asks machine B, which is not cut off */
#define PROMISED promised_b
#define PROMISED_FRESH promised_b
#else
#define PROMISED promised
#define PROMISED_FRESH promised_fresh
#endif

/*
 * Somebody asks now and looks up now. Only what is wrong is a step: whoever asked
 * earlier was promised no more, and a look-up changes nothing.
 */
#define OLD(e, current, wants, wants_fresh) \
    (e.row < wants || (e.soft == current && e.checked < wants_fresh))

proctype Reader()
{
#if OWN_TAG
    /* An entry's own tags are known when it has been read, and are compared by a second command. */
    byte wants;
    Entry found;

end:
    atomic {
        entry.row != 0 && (entry.row < PROMISED || FIND_HIT) ->
        copy_entry(found); wants = PROMISED;
        NOTE("reader: asks, row %d is promised; finds row %d of generation %d\n",
             wants, found.row, found.hard)
    }
end_of_reader:
    atomic {
        !marked && MATCHES(found, hard, identity) ->
        NOTE("reader: generation %d is valid, HIT\n", hard);
        FOUND(FIND_HIT);
        assert(found.row >= wants)
    }
#else
end:
    atomic {
        !marked && MATCHES(entry, hard, identity) &&
        (OLD(entry, soft, PROMISED, PROMISED_FRESH) || FIND_HIT) ->
        NOTE("reader: asks, row %d is promised, fresh %d; HIT, row %d, asked for when it was %d\n",
             PROMISED, PROMISED_FRESH, entry.row, entry.checked);
        FOUND(FIND_HIT);
        assert(entry.row >= PROMISED);
        assert(entry.soft != soft || entry.checked >= PROMISED_FRESH)
    }
#endif
}

#if !SHARES && !JOURNALS
#define FILLERS 2
#if MARKS
byte position_age[FILLERS];
#endif

/* A miss, or a refresh. Its answer goes to who asked before the fetch began, and is right for him
 * in any case; what counts is what it stores. */
proctype Filler(byte me; byte fills)
{
    byte g, s, id, body, at_stream, at, at_identity;
    bool good;

    do
    :: fills == 0 -> break
    :: atomic {
        fills > 0 -> fills--;
#if OWN_TAG && POSITION_FIRST
        note_position(at_stream, at); at_identity = identity;
#if MARKS
        position_age[me] = 0;
#endif
        NOTE("filler %d: the news are at %d\n", me, at)
#elif !OWN_TAG && GENERATION_FIRST
        begin_generation(g, s); id = identity;
        NOTE("filler %d: generation %d\n", me, g)
#else
        NOTE("filler %d: begins\n", me)
#endif
       };
        atomic { body = row; NOTE("filler %d: fetches row %d\n", me, body) }
#if OWN_TAG
#if !POSITION_FIRST
        atomic {
            note_position(at_stream, at); at_identity = identity;
            NOTE("filler %d: the news are at %d\n", me, at)
        }
#endif
        /* The head names the tag. */
#if NEWS_AFTER_GENERATION
        atomic {
            begin_generation(g, s); id = identity;
            NOTE("filler %d: generation of the tag in the head %d\n", me, g)
        }
#endif
        atomic {
            good = PROVED(at_stream, at);
#if IDENTITY_OF_POSITION
            good = good && identity == at_identity && (id == identity || !NEWS_AFTER_GENERATION);
#endif
#if MARKS
            good = good && position_age[me] <= FETCH;
#endif
            NOTE("filler %d: the news go from %d to %d, proved %d\n", me, news_first, news_last, good)
        }
#if !NEWS_AFTER_GENERATION
        atomic {
            begin_generation(g, s); id = identity;
            NOTE("filler %d: generation of the tag in the head %d\n", me, g)
        }
#endif
#else
        good = true;
#if !GENERATION_FIRST
        atomic {
            begin_generation(g, s); id = identity;
            NOTE("filler %d: generation %d, after the fetch\n", me, g)
        }
#endif
#endif
        atomic {
            if
            :: good && SETTLED(g) && !crammed ->
                store(body, body, g, s, id);
                NOTE("filler %d: stores row %d under generation %d\n", me, body, g);
                FOUND(FIND_STORED)
            :: else -> NOTE("filler %d: does not store row %d\n", me, body)
            fi;
            g = 0; s = 0; id = 0; body = 0; at_stream = 0; at = 0; at_identity = 0; good = false;
#if MARKS
            position_age[me] = 0
#endif
        }
    od
}
#endif

/* --------------------------------------------------------------------------------------- validate */

#ifdef FRESHEN
/*
 * A 304 says that the entity tag is the same, and no more: a page that was purged
 * for being wrong may have kept it. So the body stays that of its own fetch.
 */
proctype Freshener()
{
    byte g, s, check;
    Entry found;

    atomic {
        copy_entry(found); read_generation(g, s);
        if
        :: MATCHES(found, g, identity) || (found.row != 0 && !DEAD_NOT_VALIDATED) ->
            NOTE("freshener: finds row %d of generation %d\n", found.row, found.hard)
        :: else -> goto done
        fi
    }
#if !FRESHEN_AS_LOOKED_UP || !DEAD_NOT_VALIDATED
    atomic { begin_generation(g, s); NOTE("freshener: reads generation %d again\n", g) }
#endif
    atomic { check = row; NOTE("freshener: asks the backend, 304\n") }
#if !FRESHEN_NOT_AFTER
    atomic { begin_generation(g, s); NOTE("freshener: generation %d, after the 304\n", g) }
#endif
    atomic {
        if
        :: SETTLED(g) && ((entry.row == found.row && entry.checked == found.checked &&
                           entry.hard == found.hard && entry.soft == found.soft) ||
                          !FRESHEN_GUARDED) -> skip
        :: else -> goto done
        fi;
        NOTE("freshener: stores row %d under generation %d\n", found.row, g);
        FOUND(FIND_FRESHENED && found.soft != s);
        /* Not over something newer that was good. */
        assert(!(MATCHES(entry, hard, identity) && entry.row > found.row));
        store(found.row, check, g, s, identity)
    }
done:
    skip
}
#endif

/* ------------------------------------------------------------------------------------ invalidation */

byte faults = 0; /* how many replies, or requests, may still get lost */

/* Somebody has changed the row, and now asks for the purge. */
proctype Purger(bool softly)
{
    byte version, id;
    bool refused = false;

    atomic { row++; version = row; NOTE("purger: the row is %d; asks for a purge, soft %d\n", row, softly) }
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
#if OWN_TAG && APPEND_FIRST
        if
        :: identity != id && RETRY_WHOLE -> goto again
        :: else
        fi;
#endif
        id = identity;
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
    atomic { !crammed && stream != 0 -> append(false); NOTE("crowd: XADD %d of another tag\n", news_last) }
end_of_news:
    atomic { stream != 0 -> news_first = news_last; NOTE("crowd: the news before %d are trimmed\n", news_last) }
}

/* A store short of memory drops what it likes. */
proctype Evictor(byte evictions)
{
    do
    :: evictions == 0 -> break
#if MARKS && !defined(AND_KILLED)
    /* What is assumed: not the mark of a mutation that nobody will complete. */
    :: atomic { evictions > 0 && !lost[0] -> evictions--; settle(0, 0); NOTE("store: evicts the mark\n") }
#else
    :: atomic { evictions > 0 -> evictions--; settle(0, 0); NOTE("store: evicts the generation\n") }
#endif
    :: atomic { evictions > 0 -> evictions--; drop_entry(); NOTE("store: evicts the entry\n") }
    :: atomic { evictions > 0 && OWN_TAG -> evictions--; drop_news(); NOTE("store: evicts the news\n") }
    :: evictions > 0 -> break
    od
}

proctype Fullness()
{
    atomic { crammed = true; NOTE("store: is full\n") }
    atomic { crammed = false; NOTE("store: has room again\n") }
}

/* -------------------------------------------------------------------------------------- mutations */

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
        m == 0 && deaths > 0 -> deaths--; give_up(m); NOTE("mutation %d: its process is killed\n", m); \
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
#if OWN_TAG
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
#if OWN_TAG
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
    :: atomic { m == 0 && silences > 0 -> silences--; NOTE("mutation %d: has no answer in time\n", m) };
#if UNKNOWN_MARKS_AGAIN && TWO_STEPS
#if OWN_TAG
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
        :: late[m] == MARK -> mark(m); NOTE("network: a late command marks for mutation %d\n", m)
        :: late[m] == CHANGED -> complete(m, true); NOTE("network: a late command completes mutation %d\n", m)
        :: late[m] == UNCHANGED -> complete(m, false); NOTE("network: a late command completes mutation %d\n", m)
        :: skip
        fi;
        late[m] = NOTHING; m = 0
       }
    od
}
#endif

/* ------------------------------------------------------------------------------------------- time */

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
     (mark_left[0] > 0 || mark_left[1] > 0 || phase[0] == SENT || phase[1] == SENT))

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

/* ----------------------------------------------------------------------------- one fetch per miss */

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
            NOTE("sharer %d: asks, row %d is promised; MISS, generation %d\n", me, needed, g);
            if
            :: g == MARKED && MARKED_FETCH_ALONE -> goto alone
            :: else
            fi
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
        /* The lease decides among processes. Who wants to be woken says so before he asks for it. */
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
            good = !marked && MATCHES(entry, hard, identity);
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
        :: good && (SETTLED(g) || !MARKED_FETCH_ALONE) ->
            if
            :: atomic {
                SETTLED(g) ->
                store(flight_row[me], flight_row[me], g, s, identity);
                NOTE("sharer %d: stores row %d under generation %d\n", me, flight_row[me], g)
               }
            :: !SETTLED(g)
            fi;
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

/* ---------------------------------------------------------------------------------------- journal */

#if JOURNALS
/*
 * Machine A has the processes 0 and 1; machine B has the reader. The word and the
 * epoch are memory that the processes of A share; the journal is a file of theirs
 * with one lock. `word` counts the records in it.
 */
bool reaches[2] = true; /* a process reaches Redis */
bool locked = false;    /* the replay is at it */
byte word = 0;
byte epoch = 0;
byte recorded = 0;      /* the row of the last purge in it */
bool intent = false, completed = false;

mtype = { IDLE, SENT, COMMITTED, FAILED };
mtype phase = IDLE;
byte row_of = 0;
bool killed = false, lost = false;

inline promise_all(version)
{
    promise(version);
    promised_b = (version > promised_b -> version : promised_b)
}

/* A flight of a process; it goes on without Redis, and has no generation in its name then. */
#define ASKERS 2
bool flies[ASKERS];
byte flight_process[ASKERS], flight_g[ASKERS], flight_epoch[ASKERS], flight_row[ASKERS];

#define FLIES(v, p, g, e) \
    (flies[v] && flight_process[v] == p && flight_g[v] == g && flight_epoch[v] == e && \
     flight_row[v] != 0)

proctype Asker(byte me; byte p)
{
    byte needed, g, s, seen, e, body;
    Entry found;

    atomic {
        needed = promised;
        NOTE("asker %d in process %d: asks, row %d is promised\n", me, p, needed);
#if WORD_FIRST
        seen = word; e = epoch; NOTE("asker %d: the word is %d, the epoch %d\n", me, seen, e)
#endif
    }
    atomic {
        if
        :: reaches[p] ->
            copy_entry(found); begin_generation(g, s);
            NOTE("asker %d: reads row %d of generation %d, valid is %d\n", me, found.row, found.hard, g)
        :: else -> NOTE("asker %d: does not reach Redis\n", me)
        fi
    }
#if !WORD_FIRST
    atomic { seen = word; e = epoch; NOTE("asker %d: the word is %d, the epoch %d\n", me, seen, e) }
#endif
    atomic {
        if
        :: MATCHES(found, g, identity) && (seen == 0 || !WORD_CHECKED) ->
            NOTE("asker %d: HIT, row %d\n", me, found.row);
            FOUND(FIND_HIT);
            assert(found.row >= needed);
            goto done
        :: else
        fi;
        if
        :: FLIES(0, p, g, e) -> body = flight_row[0]
        :: FLIES(1, p, g, e) -> body = flight_row[1]
        :: else ->
            flies[me] = true; flight_process[me] = p; flight_g[me] = g; flight_epoch[me] = e;
            NOTE("asker %d: leads a flight named %d in epoch %d\n", me, g, e)
        fi;
        if
        :: body != 0 ->
            NOTE("asker %d: joins a flight, is given row %d\n", me, body);
            FOUND(FIND_SHARED);
            assert(body >= needed);
            goto done
        :: else
        fi
    }
    atomic { body = row; flight_row[me] = row; NOTE("asker %d: MISS, fetches row %d\n", me, body) }
    atomic {
        if
        :: reaches[p] && SETTLED(g) ->
            store(body, body, g, s, identity);
            NOTE("asker %d: stores row %d under generation %d\n", me, body, g)
        :: else -> NOTE("asker %d: does not store\n", me)
        fi;
        flies[me] = false; flight_row[me] = 0; flight_g[me] = 0; flight_epoch[me] = 0
    }
done:
    skip
}

proctype MachinePurger(byte p)
{
    byte version;

    atomic { row++; version = row; NOTE("process %d: the row is %d; is asked for a purge\n", p, row) }
    if
    :: atomic { reaches[p] -> purge(); NOTE("process %d: purges\n", p) };
        atomic {
            epoch = epoch + EPOCH_COUNTS_ALL;
            promise_all(version);
            NOTE("process %d: acknowledges, row %d is promised\n", p, version)
        }
    :: atomic {
        !reaches[p] && (!locked || !REPLAY_LOCKS) ->
        word++; epoch++; recorded = version; NOTE("process %d: a purge goes to the journal\n", p)
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
            word++; epoch++; intent = true; NOTE("mutation: its intent goes to the journal\n")
        }
#endif
        atomic { phase = SENT; NOTE("mutation: goes to the backend\n") }
        phase == COMMITTED || phase == FAILED;
        atomic {
            !locked ->
            if
            :: !intent -> word++; intent = true
            :: else
            fi;
            epoch++; completed = true;
            recorded = (row_of > recorded -> row_of : recorded);
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

/* What nobody acknowledged is not lost: it holds when the journal is empty again. */
proctype Aftermath()
{
end:
    atomic {
        lost && phase == COMMITTED && word == 0 ->
        promise_all(row_of); NOTE("afterwards: row %d is promised\n", row_of)
    }
}

/* Whatever process of the machine reaches Redis and finds something in the journal. It may die on
 * its way: the kernel takes its lock away, and another begins anew. An intent ends with its
 * completion, or when no backend can be at it any more. */
#define RESOLVED (completed || (lost && phase != SENT))
proctype Replayer(byte p)
{
end:
    do
    :: atomic {
        word > 0 && reaches[p] && !locked && (!intent || RESOLVED || recorded > 0) ->
        locked = true; NOTE("replay: begins\n")
       };
#if !TRUNCATE_LAST
        atomic { word = 0; NOTE("replay: empties the journal\n") }
#endif
        if
        :: atomic { reaches[p] -> purge(); NOTE("replay: purges\n") }
        :: atomic { !reaches[p] -> locked = false; NOTE("replay: Redis is away\n"); goto again }
        :: atomic { faults > 0 -> faults--; locked = false; NOTE("replay: is killed\n"); goto again }
        fi;
        atomic {
            promise_all(recorded);
            recorded = 0;
            if
            :: intent && !RESOLVED -> word = 1
            :: else -> word = 0; intent = false; completed = false
            fi;
            FOUND(FIND_REPLAYED && word == 0);
            epoch = (EPOCH_NEW -> epoch : word);
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
    :: atomic { cuts > 0 && reaches[p] -> cuts--; reaches[p] = false; NOTE("process %d: cut off\n", p) }
    :: atomic { !reaches[p] -> reaches[p] = true; NOTE("process %d: reaches Redis again\n", p) }
    :: reaches[p] -> break
    od
}
#endif

/* -------------------------------------------------------------------------------------- roll back */

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

/* ---------------------------------------------------------------------------------- who takes part */

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
#if MARKS
        run Backend(); run Network();
#endif
#ifdef MUTATION
        run Clock();
        begin_with_an_entry();
        if
        :: deaths = 1
        :: silences = 1
        :: faults = 1
        fi;
        run Mutation(0); run Mutation(1); run Filler(0, 1);
#endif
#ifdef PURGED
        run Clock();
        begin_with_an_entry();
        if
        :: deaths = 1
        :: silences = 1
        fi;
        ended = 1;
        run Mutation(0); run Filler(0, 2);
        if
        :: run Purger(false)
        :: run Purger(true)
        fi;
#endif
#ifdef RENEW
        run Clock();
        run Mutation(0); run Mutation(1); run Purger(false);
#endif
#ifdef UNKNOWN
        run Clock();
        deaths = 1; silences = 1; ended = 1;
        run Mutation(0); run Filler(0, 1); run Filler(1, 1);
#endif
#ifdef EVICTED
        run Clock();
        silences = 1; ended = 1;
#ifdef AND_KILLED
        deaths = 1;
#endif
        run Mutation(0); run Filler(0, 1); run Filler(1, 1); run Evictor(1);
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
#ifdef MEET
        run Sharer(0); run Sharer(1); run Mutation(0); run Mutation(1);
        answered = 1;
#endif
#ifdef PROOF
        run Sharer(0); run Sharer(1); run Sharer(2); run Purger(false);
#endif
#ifdef JOURNAL
        faults = 1;
        begin_with_an_entry();
        run Asker(0, 0); run Asker(1, 0);
        run MachinePurger(0); run MachinePurger(1); run Replayer(1); run Cutter(0, 1);
#endif
#ifdef INTENT
        faults = 1;
        begin_with_an_entry();
        run Asker(0, 0); run Asker(1, 1);
        run MachineMutation(); run Backend(); run KillMutation(); run Aftermath();
        run Replayer(1); run Cutter(0, 1);
#endif
        skip
    }
    /* Nothing lasts for ever: not a mark, whatever became of its process, nor a lease, nor a wait. */
#if MARKS
    ended == MUTATIONS && late[0] == NOTHING && late[1] == NOTHING && !marked;
#endif
#if SHARES
    answered == SHARERS;
#endif
#if LEASES
    lease_left[0] + lease_left[1] + lease_left[2] == 0;
#endif
#if JOURNALS
    word == 0;
#endif
    skip
}
