/*
 * The backend's row, what has been promised about it, and Redis: generations, the
 * register of mutations, the news, the entry; each inline is a command or a script
 * of the client's. Who calls them makes them atomic.
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

inline read_generation(hard_part, soft_part)
{
    hard_part = hard; soft_part = soft
}

/* What a fill does: create it if it is missing, read it, extend its life. */
inline begin_generation(hard_is, soft_is)
{
    if
    :: hard == 0 && !crammed -> unused++; hard = unused; soft = 0
    :: else
    fi;
    read_generation(hard_is, soft_is)
}

inline purge()
{
    hard = 0; soft = 0
}

inline soft_purge()
{
    if
    :: hard != 0 -> unused++; soft = unused
    :: else
    fi
}

/* ----------------------------------------------------------------------------------- the register */

#if REGISTERS
/* HEAD: it has answered, and commits behind the head of the answer. */
mtype = { IDLE, SENT, HEAD, COMMITTED, FAILED };
#define MUTATIONS 2
#ifndef MACHINES
#define MACHINES 1
#endif
/*
 * Ticks. A mutation goes to the backend at most SLACK after its registration was
 * asked for, or it is registered again; the backend commits within LONGEST of that,
 * or never. L: how long an owner may be silent, and how far apart purges are. X: how
 * old a reading may be.
 */
#ifndef L
#define L 1
#endif
#define X 1
#define SLACK 0
#define LONGEST 1
#define HOLD (SLACK + LONGEST + 1)
#define BOUND (L + X)

mtype phase[MUTATIONS] = IDLE; /* what the backend knows */
bool under_way[MUTATIONS];     /* a living process has it in hand */
bool busy[MACHINES];           /* the machine is at a purge, */
byte since[MACHINES];          /* begun so long ago */

/* How often owners say that they live: those that do not for L are as good as dead. */
byte beats = 0;

/* What nobody acknowledges is not lost either: so long after the commit, and after the last sign of
 * life of its owner, no stored page is older. */
byte grace[MUTATIONS];

/* Living records, by their token; and the silent one of the tag, which is one for all. */
bool registered[MUTATIONS];
bool silent = false;
bool touched[MACHINES]; /* its version is another than when this machine read it */
byte hold_left = 0;
byte note_age = 0;    /* how long before its note the last purge had begun */

/*
 * What each machine knows. Nobody's clock is in the register: a reader sees that a
 * beat is another than when it last read, and that was not before then.
 */
#define SEEN(r, m) ((r) * MUTATIONS + (m))
bool beaten[MACHINES * MUTATIONS];    /* a sign of life since its last reading */
byte life_left[MACHINES * MUTATIONS]; /* until the owner counts as silent */
bool noted[MACHINES];                 /* a purge since its last reading */
byte purge_left[MACHINES];            /* until the next one is due */
byte read_age[MACHINES];              /* since it last read; more than L: never, or long ago */
byte clean_left[MACHINES];            /* until stored responses are not used any more */
#define NEVER (L + 1)

#define OVERDUE_TOKEN(r, m) (registered[m] && life_left[SEEN(r, m)] == 0)
#define OVERDUE_SILENT(r) (silent && (purge_left[r] == 0 || hold_left == 0))

#if MACHINES == 2
#define EACH_MACHINE(what) what(0); what(1)
#define USABLE (clean_left[0] > 0 || clean_left[1] > 0 || !READ_LATELY)
#else
#define EACH_MACHINE(what) what(0)
#define USABLE (clean_left[0] > 0 || !READ_LATELY)
#endif

#define BEATEN_0(r) beaten[SEEN(r, 0)] = true
#define BEATEN_1(r) beaten[SEEN(r, 1)] = true
#define NOTED(r) noted[r] = true
#define TOUCHED(r) touched[r] = true
#define PURGE_DUE(r) noted[r] = false; purge_left[r] = 0

inline sign_of_life(m)
{
    if
    :: m == 0 -> EACH_MACHINE(BEATEN_0)
    :: else -> EACH_MACHINE(BEATEN_1)
    fi
}

/* HSETNX: what is there already was asked for before. */
inline enroll(m)
{
    if
    :: registered[m]
    :: else -> registered[m] = true; sign_of_life(m)
    fi
}

#define FORGET_0(r) beaten[SEEN(r, 0)] = false; life_left[SEEN(r, 0)] = 0
#define FORGET_1(r) beaten[SEEN(r, 1)] = false; life_left[SEEN(r, 1)] = 0
#define FORGET_SILENT(r) noted[r] = false; touched[r] = false; purge_left[r] = 0

inline leave(m)
{
    registered[m] = false;
    if
    :: m == 0 -> EACH_MACHINE(FORGET_0)
    :: else -> EACH_MACHINE(FORGET_1)
    fi
}

inline drop_silent() { silent = false; note_age = 0; hold_left = 0; EACH_MACHINE(FORGET_SILENT) }

/* The tag has a silent record from here on, and the hold begins anew. What an owner makes is due in L,
 * as if it had been purged now; what is made for one that is dead, at once. */
inline silence(m, by_owner)
{
    leave(m);
    if
    :: silent
    :: !silent && by_owner -> silent = true; note_age = 0; EACH_MACHINE(PURGE_DUE);
        EACH_MACHINE(NOTED)
    :: else -> silent = true; EACH_MACHINE(PURGE_DUE)
    fi;
    EACH_MACHINE(TOUCHED);
    hold_left = HOLD
}

#define AGED(r) (SINCE_LAST_READING -> read_age[r] : 0)

/* HGETALL. */
inline read_record(r, m)
{
    if
    :: registered[m] && beaten[SEEN(r, m)] ->
        life_left[SEEN(r, m)] = (AGED(r) < L -> L - AGED(r) : (UNSEEN_IS_OVERDUE -> 0 : L))
    :: else
    fi;
    beaten[SEEN(r, m)] = false
}

inline read_register(r)
{
    read_record(r, 0); read_record(r, 1);
    if
    :: silent && noted[r] && AGED(r) + note_age < L && purge_left[r] < L - AGED(r) - note_age ->
        purge_left[r] = L - AGED(r) - note_age
    :: else
    fi;
    noted[r] = false; touched[r] = false; read_age[r] = 0
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
    (e.row != 0 && (g) != 0 && e.hard == g && (e.identity == id || !IDENTITY_COMPARED))
