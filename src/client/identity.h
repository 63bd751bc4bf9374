/*
 * Which server is it? 64 bits made of its run_id (new with every start) and its
 * master_replid (new with every promotion), as INFO tells them.
 *
 * A server that comes back from a snapshot, or a replica that takes over, may
 * bring back entries together with the generations that let them count. So
 * whatever the cache reads is worth something only together with the identity of
 * the server that said it.
 */
#ifndef CLIENT_IDENTITY_H
#define CLIENT_IDENTITY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "larder.h"

/* What a client knows of its server; one for all of its connections. */
struct identity {
    larder_log_fn log;
    void *log_arg;
    const char *where;
    /* Of whom the last connection led to, 0: it does not tell. What was dialled to another is of no
     * use any more. */
    atomic_uint_fast64_t current;
    /* Its clock: milliseconds since 1970 less our CLOCK_BOOTTIME. IDENTITY_NO_CLOCK: it has not told. */
    atomic_int_fast64_t clock_ms;
    atomic_bool clocks_differ; /* it has been said that they do */
    pthread_mutex_t lock;      /* guards the rest; one change, and its log line, at a time */
    bool known;                /* there has been a connection */
    bool silent;               /* it has been said that the server does not tell */
    bool lost;                 /* it has been said that the server is no master any more */
};

void identity_init(struct identity *identity, const struct larder_options *options,
                   const char *where);
void identity_destroy(struct identity *identity);

#define IDENTITY_NO_CLOCK INT64_MIN

/* The answers to INFO server and INFO replication, NULL where one was refused. */
struct identity_info {
    const char *server;
    const char *replication;
};

/* 0: they do not tell. *role (NULL: it is a master, or does not say) points to a word of
 * role_len bytes in info->replication. */
uint64_t identity_of(const struct identity_info *info, const char **role, size_t *role_len);

/* This one has answered; says so in the log if it is another than before. seen 0: why, or "" where
 * nothing need be said. */
void identity_note(struct identity *identity, uint64_t seen, const char *why_not);
/* The server says that it is no master: no connection to it is of use. */
void identity_lose(struct identity *identity, const char *role);

/*
 * The server's clock, as its answer to INFO server has it, which was asked for and
 * came at these times of CLOCK_BOOTTIME. It is everybody's: what one machine has
 * stored another one reads, and the clock of either may be wrong.
 */
void identity_note_clock(struct identity *identity, const char *server, int64_t asked_ms,
                         int64_t answered_ms);
/* Milliseconds since 1970 by that clock; by our own while the server has not told. */
int64_t identity_clock_ms(const struct identity *identity);

/* Has any connection come about? */
bool identity_is_known(struct identity *identity);

static inline uint64_t
identity_current(const struct identity *identity)
{
    return atomic_load_explicit(&identity->current, memory_order_acquire);
}

#endif
