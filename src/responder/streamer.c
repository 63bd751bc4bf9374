/*
 * The thread that feeds those who read what somebody else fetches.
 *
 * It owns all readers. Others give it work under a lock (who has been added,
 * that something has grown) and ring an eventfd. A reader whose socket is full
 * stands in the epoll set until there is room; one that has all that is there
 * waits for its spool to grow. All are walked when any spool has grown, and when
 * the clock has moved by a tick: to find that there is nothing to send costs no
 * system call, and there are hundreds, not millions.
 */
#include "responder/streamer.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "responder/server.h"

#define EVENTS 64
/* While there are readers: how often clients that stall and waits that end are looked for. */
#define TICK_MS 50
/* How long a reader may keep the next piece of a body from having room in its file, and how often the
 * writer looks. */
#define LAG_PATIENCE_MS 2000
#define LAG_LOOK_MS 5
/* Sent to one reader before it is another's turn. */
#define TURN_BYTES ((size_t)256 * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows up to `stopping` */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct reader *added, **last_added = &added;
static bool grown;
static size_t count;
static bool rung; /* the eventfd is */
static bool wound;
static bool stopping;

static int epoll_fd = -1, bell = -1;
static pthread_t thread;
static int64_t (*tick)(int64_t now_ms);

/* The thread's own. */
static struct reader *readers;
static char buf[SPOOL_READ_MAX];

/* With the lock held. */
static void
ring(void)
{
    uint64_t one = 1;
    if (rung)
        return;
    rung = true;
    ssize_t n = write(bell, &one, sizeof one);
    (void)n; /* it cannot be full */
}

void
streamer_wind(void)
{
    pthread_mutex_lock(&lock);
    wound = true;
    ring();
    pthread_mutex_unlock(&lock);
}

void
streamer_add(struct reader *reader)
{
    reader->prev = reader->next = reader->next_added = NULL;
    reader->stalled_ms = 0;
    reader->in_epoll = false;
    pthread_mutex_lock(&lock);
    *last_added = reader;
    last_added = &reader->next_added;
    count++;
    ring();
    pthread_mutex_unlock(&lock);
}

void
streamer_grew(void)
{
    pthread_mutex_lock(&lock);
    /* Without readers there is nobody to tell; who is added later looks for himself. */
    if (count > 0) {
        grown = true;
        ring();
    }
    pthread_mutex_unlock(&lock);
}

bool
streamer_make_room(struct spool *spool, size_t n)
{
    const struct timespec pause = {0, LAG_LOOK_MS * 1000000};
    int64_t began_ms = clock_now_ms(), waited_ms = 0;
    while (!spool_has_room(spool, n)) {
        if (atomic_load(&spool->readers) == 0 || waited_ms > 2 * LAG_PATIENCE_MS ||
            atomic_load_explicit(&server_giving_up, memory_order_relaxed))
            return false;
        if (waited_ms > LAG_PATIENCE_MS)
            atomic_store(&spool->lagging, spool_size(spool) + n - spool->ring);
        nanosleep(&pause, NULL);
        waited_ms = clock_now_ms() - began_ms;
    }
    return true;
}

/* -------------------------------------------------------------------- its holder */

void
streamer_hold(struct reader *reader)
{
    reader->held = true;
    reader->called_back = false;
    reader->outcome = READER_NONE;
}

enum reader_event
streamer_outcome(struct reader *reader)
{
    pthread_mutex_lock(&lock);
    enum reader_event outcome = reader->outcome;
    pthread_mutex_unlock(&lock);
    return outcome;
}

enum reader_event
streamer_reclaim(struct reader *reader)
{
    pthread_mutex_lock(&lock);
    if (reader->outcome == READER_NONE) {
        reader->called_back = true;
        wound = true;
        ring();
        while (reader->called_back && reader->outcome == READER_NONE)
            pthread_cond_wait(&changed, &lock);
    }
    reader->held = reader->called_back = false;
    enum reader_event outcome = reader->outcome;
    pthread_mutex_unlock(&lock);
    return outcome;
}

void
streamer_leave(struct reader *reader)
{
    pthread_mutex_lock(&lock);
    reader->held = false;
    enum reader_event outcome = reader->outcome;
    pthread_mutex_unlock(&lock);
    if (outcome != READER_NONE)
        reader->event(reader, outcome);
}

/* ------------------------------------------------------------- the streamer's thread */

static void
link_reader(struct reader *reader)
{
    reader->prev = NULL;
    reader->next = readers;
    if (readers)
        readers->prev = reader;
    readers = reader;
}

/* It is not ours any more. */
static void
let_go(struct reader *reader)
{
    if (reader->in_epoll)
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, reader->connection->fd, NULL);
    reader->in_epoll = false;
    if (reader->prev)
        reader->prev->next = reader->next;
    else
        readers = reader->next;
    if (reader->next)
        reader->next->prev = reader->prev;
}

/* The count goes down last: who waits for the end of all must not find one half ended. */
static void
uncount(void)
{
    pthread_mutex_lock(&lock);
    count--;
    pthread_mutex_unlock(&lock);
}

static void
finish(struct reader *reader, enum reader_event outcome)
{
    let_go(reader);
    pthread_mutex_lock(&lock);
    bool held = reader->held;
    if (held) {
        reader->outcome = outcome;
        count--;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
    if (held)
        return;
    reader->event(reader, outcome);
    uncount();
}

/* Afterwards the reader may be gone. */
static void
wait_for_room(struct reader *reader)
{
    struct epoll_event event = {EPOLLOUT | EPOLLONESHOT, {.ptr = reader}};
    int how = reader->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    reader->in_epoll = epoll_ctl(epoll_fd, how, reader->connection->fd, &event) == 0;
    if (!reader->in_epoll)
        finish(reader, READER_GONE);
}

/* true: it has been given back to who called it. */
static bool
give_back(struct reader *reader)
{
    pthread_mutex_lock(&lock);
    bool back = reader->called_back;
    pthread_mutex_unlock(&lock);
    if (!back)
        return false;
    let_go(reader);
    pthread_mutex_lock(&lock);
    reader->called_back = false;
    count--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return true;
}

/* Send what there is. Afterwards the reader may be gone. */
static void
push(struct reader *reader)
{
    size_t sent = 0;
    for (;;) {
        /* First the state: what is there when it is whole is all of it. */
        enum spool_state state = spool_state(reader->spool);
        struct slice piece = {NULL, 0};
        bool failed = false, last = false;
        if (!reader->ended && !reader->waits_for_whole) {
            piece = spool_read(reader->spool, reader->offset, buf, &failed);
            if (piece.n > TURN_BYTES)
                piece.n = TURN_BYTES;
            if (piece.n > reader->end - reader->offset)
                piece.n = reader->end - reader->offset;
            size_t after = reader->offset + piece.n;
            last = after == reader->end ||
                   (state == SPOOL_WHOLE && after == spool_size(reader->spool));
        }
        size_t taken;
        enum connection_status status =
            connection_stream(reader->connection, piece.p, piece.n, last, false, &taken);
        reader->offset += taken;
        sent += taken;
        if (taken)
            reader->stalled_ms = 0;
        if (status == CONNECTION_GONE) {
            finish(reader, READER_GONE);
            return;
        }
        if (status == CONNECTION_AGAIN) {
            if (reader->stalled_ms == 0)
                reader->stalled_ms = clock_now_ms();
            wait_for_room(reader);
            return;
        }
        reader->stalled_ms = 0;
        if (last || reader->ended) {
            finish(reader, READER_SENT);
            return;
        }
        if (piece.n == 0) {
            if (failed || state == SPOOL_BROKEN)
                finish(reader, READER_BROKEN);
            else
                give_back(reader);
            return;
        }
        if (sent >= TURN_BYTES) {
            wait_for_room(reader); /* there is room: its turn comes after the others' */
            return;
        }
    }
}

/* Who waits for all of it. */
static void
look(struct reader *reader, int64_t now_ms)
{
    enum spool_state state = spool_state(reader->spool);
    if (!spool_in_memory(reader->spool)) {
        finish(reader, READER_SPILLED);
    } else if (state == SPOOL_BROKEN) {
        finish(reader, READER_BROKEN);
    } else if (state == SPOOL_WHOLE) {
        /* Off the list first: it may be gone when event() returns. */
        let_go(reader);
        reader->waits_for_whole = false;
        if (reader->event(reader, READER_WHOLE)) {
            link_reader(reader);
            push(reader);
        } else {
            uncount();
        }
    } else if (now_ms >= reader->until_ms) {
        finish(reader, READER_LATE);
    }
}

static void
begin(struct reader *reader)
{
    if (!reader->event(reader, READER_BEGIN)) {
        uncount();
        return;
    }
    link_reader(reader);
    if (reader->waits_for_whole)
        look(reader, clock_now_ms());
    else
        push(reader);
}

static void
take_added(void)
{
    pthread_mutex_lock(&lock);
    struct reader *list = added, *next;
    added = NULL;
    last_added = &added;
    pthread_mutex_unlock(&lock);
    for (; list; list = next) {
        next = list->next_added;
        begin(list);
    }
}

/* Something has grown: whose, costs more to know than to try. */
static void
feed(int64_t now_ms)
{
    struct reader *next;
    for (struct reader *reader = readers; reader; reader = next) {
        next = reader->next;
        /* One whose socket is full will find the new bytes there when there is room. */
        if (reader->waits_for_whole)
            look(reader, now_ms);
        else if (!reader->stalled_ms)
            push(reader);
    }
}

/*
 * How far those who read from a file have all come: so much of it has room for what
 * comes. One whose lag keeps the writer from going on is left behind.
 */
static void
note_progress(void)
{
    struct reader *next;
    for (struct reader *reader = readers; reader; reader = next) {
        next = reader->next;
        struct spool *spool = reader->spool;
        spool->low = SIZE_MAX;
        if (!reader->ended && !spool_in_memory(spool) &&
            reader->offset < atomic_load(&spool->lagging))
            finish(reader, READER_GONE);
    }
    for (struct reader *reader = readers; reader; reader = reader->next)
        if (!reader->ended && reader->offset < reader->spool->low)
            reader->spool->low = reader->offset;
    for (struct reader *reader = readers; reader; reader = reader->next)
        if (reader->spool->low != SIZE_MAX)
            atomic_store(&reader->spool->needed, reader->spool->low);
}

/* Who has taken nothing for too long. */
static void
drop_stalled(int64_t now_ms)
{
    bool giving_up = atomic_load_explicit(&server_giving_up, memory_order_relaxed);
    struct reader *next;
    for (struct reader *reader = readers; reader; reader = next) {
        int64_t patience_ms = giving_up ? 0 : reader->connection->client_timeout_ms;
        next = reader->next;
        if (reader->stalled_ms && now_ms - reader->stalled_ms >= patience_ms)
            finish(reader, READER_GONE);
    }
}

static int
sooner(int64_t a, int64_t b)
{
    return (int)(a < 0 ? b : b < 0 || a < b ? a : b);
}

static void *
streamer(void *unused)
{
    struct epoll_event events[EVENTS];
    int64_t wait_ms = -1, looked_ms = 0;
    (void)unused;
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, (int)wait_ms);
        bool bell_rang = false, feeds, ends, stop;
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                push(events[i].data.ptr);
            else
                bell_rang = true;
        }
        pthread_mutex_lock(&lock);
        if (bell_rang) {
            uint64_t times;
            ssize_t got = read(bell, &times, sizeof times);
            (void)got;
            rung = false;
        }
        feeds = grown || wound;
        grown = wound = false;
        ends = stopping;
        stop = ends && count == 0;
        pthread_mutex_unlock(&lock);
        if (stop)
            return NULL;
        take_added();
        int64_t now_ms = clock_now_ms();
        bool ticks = now_ms - looked_ms >= TICK_MS;
        if (feeds || ticks) {
            feed(now_ms);
            note_progress();
        }
        if (ticks) {
            drop_stalled(now_ms);
            looked_ms = now_ms;
        }
        /* The last reader may be gone since the order to stop was seen. */
        wait_ms = sooner(tick(now_ms), readers || ends ? TICK_MS : -1);
    }
}

bool
streamer_start(int64_t (*call)(int64_t now_ms))
{
    tick = call;
    stopping = false;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
    return epoll_fd >= 0 && bell >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, bell, &event) == 0 &&
           pthread_create(&thread, NULL, streamer, NULL) == 0;
}

size_t
streamer_count(void)
{
    pthread_mutex_lock(&lock);
    size_t n = count;
    pthread_mutex_unlock(&lock);
    return n;
}

void
streamer_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    ring();
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    close(epoll_fd);
    close(bell);
}
