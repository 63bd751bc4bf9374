/*
 * The backend's row, what has been promised about it, and Redis: generations with
 * their marks, the news, the entry; each inline is a command or a script of the
 * client's. Who calls them makes them atomic.
 */

/* ----------------------------------------------------------------- the backend, and the promise */

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

/* ---------------------------------------------------------------------------------------- Redis */

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

/* ---------------------------------------------------------------------------------- generations */

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

/* ---------------------------------------------------------------------------------------- marks */

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

/* Complete, and in the same step begin the generation that the answer may be stored under. */
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

/* ----------------------------------------------------------------------------------------- news */

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

/* -------------------------------------------------------------------------------------- entries */

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
