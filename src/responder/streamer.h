/*
 * The thread that feeds those who read what somebody else fetches: each as fast
 * as it takes it, none holding a thread. It never waits for anybody but its own
 * epoll set, and calls what has to be called from time to time.
 */
#ifndef RESPONDER_STREAMER_H
#define RESPONDER_STREAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "responder/connection.h"
#include "responder/spool.h"

enum reader_event {
    READER_NONE,
    READER_BEGIN,   /* it is the streamer's now */
    READER_WHOLE,   /* waits_for_whole, and it is */
    READER_SENT,    /* everything is out, END_REQUEST too */
    READER_GONE,    /* the client is, or has taken nothing for client_timeout */
    READER_BROKEN,  /* there will be no more: the fetch broke off */
    READER_SPILLED, /* waits_for_whole, and it will not be in memory */
    READER_LATE     /* waits_for_whole, and until_ms is over */
};

/*
 * One who reads. Part of a request; the streamer's from streamer_add() until
 * event() has returned false or been told one of the last five; event() is called
 * by the streamer's thread and must not wait.
 */
struct reader {
    struct connection *connection;
    struct spool *spool;
    /* true: go on. READER_BEGIN: offset, end, waits_for_whole are set now, and the head is sent or
     * left for connection_flush(). READER_WHOLE: the same with a whole answer in the place of it;
     * then `ended` is set. */
    bool (*event)(struct reader *reader, enum reader_event event);
    size_t offset;        /* of the body: the next byte to be sent */
    size_t end;           /* ... and the first that is not; SIZE_MAX: all */
    bool ended;           /* the end of the request is out, or among what is left for flush */
    bool waits_for_whole; /* it gets nothing before that */
    int64_t until_ms;     /* waits_for_whole: no longer than this */

    /* Private to streamer.c. */
    struct reader *prev, *next, *next_added;
    int64_t stalled_ms; /* the socket takes nothing since then; 0: it is not full */
    bool in_epoll;
    bool held;        /* by streamer_hold(): its end is kept for who holds it */
    bool called_back; /* streamer_reclaim() waits */
    enum reader_event outcome;
};

/* tick: returns in how many ms it wants to be called again, -1: not by itself. false: no thread. */
bool streamer_start(int64_t (*tick)(int64_t now_ms));

/*
 * For the writer of a spool that has gone on in a file: wait until n bytes more have
 * room there, which is at the pace of the slowest reader; but one that gives no room
 * for two seconds is left behind, so that it does not keep the others waiting for
 * ever. false: nobody reads it any more, or no room came.
 */
bool streamer_make_room(struct spool *spool, size_t n);

/* Call tick() soon. Any thread. */
void streamer_wind(void);

/* Any thread. */
void streamer_add(struct reader *reader);

/* More of some spool is there, or it has come to its end. By its writer. */
void streamer_grew(void);

/*
 * For who fetches and has his own client fed by the streamer: before
 * streamer_add(). What happens to it is then not called out but kept until one
 * of the following. streamer_outcome(): READER_NONE while it is being fed.
 * streamer_reclaim(): waits until it has all that there is, and takes it back;
 * READER_NONE, or how it had ended before. streamer_leave(): from here on by
 * itself, event() will be called as with any other.
 */
void streamer_hold(struct reader *reader);
enum reader_event streamer_outcome(struct reader *reader);
enum reader_event streamer_reclaim(struct reader *reader);
void streamer_leave(struct reader *reader);

/* Readers, the waiting ones included. */
size_t streamer_count(void);

/* Nobody adds any more; ends the thread when the last reader is gone. */
void streamer_stop(void);

#endif
