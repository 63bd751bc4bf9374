/*
 * Who reads and who stores: look-up, fill, freshen.
 */

/* ----------------------------------------------------------------------------- look-up and fill */

#if JOURNALS
byte promised_b = 0; /* to who asks machine B, which is not cut off */
#define PROMISED promised_b
#define PROMISED_FRESH promised_b
#else
#define PROMISED promised
#define PROMISED_FRESH promised_fresh
#endif
#if !REGISTERS || defined(CLAIM)
#undef USABLE
#define USABLE true
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
    byte wants, id;
    Entry found;

end:
    atomic {
        USABLE && entry.row != 0 && (entry.row < PROMISED || FIND_HIT) ->
        copy_entry(found); wants = PROMISED; id = identity;
        NOTE("reader: asks, row %d is promised; finds row %d of generation %d\n",
             wants, found.row, found.hard)
    }
end_of_reader:
    atomic {
        MATCHES(found, hard, id) && (id == identity || !IDENTITY_OF_OWN_TAGS) ->
        NOTE("reader: generation %d is valid, HIT\n", hard);
        FOUND(FIND_HIT);
        assert(found.row >= wants)
    }
#else
end:
    atomic {
        USABLE && MATCHES(entry, hard, identity) &&
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
            NOTE("filler %d: the news are %d to %d, proved %d\n", me, news_first, news_last, good)
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
            :: good && g != 0 && !crammed ->
                store(body, body, g, s, id);
                NOTE("filler %d: stores row %d under generation %d\n", me, body, g);
                FOUND(FIND_STORED)
#if REGISTERS
                ;
                FOUND(FIND_BESIDE && phase[0] == SENT && g == hard);
                FOUND(FIND_MICRO && silent && g == hard && clean_left[0] > 0)
#endif
            :: else -> NOTE("filler %d: does not store row %d\n", me, body)
            fi;
            g = 0; s = 0; id = 0; body = 0; at_stream = 0; at = 0; at_identity = 0; good = false
        }
    od
}
#endif

/* ------------------------------------------------------------------------------------- validate */

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
        :: g != 0 && ((entry.row == found.row && entry.checked == found.checked &&
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
