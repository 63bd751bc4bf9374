/*
 * One way to ask Redis something: take a connection, talk, give it back, and
 * know what to do when it fails. The table says which command may be repeated
 * when nobody knows whether it was carried out.
 */
#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/redis.h"
#include "client/wire.h"
#include "larder.h"

enum command {
    COMMAND_PING,
    COMMAND_INFO,
    COMMAND_GET,
    COMMAND_MGET,
    COMMAND_EXISTS,
    COMMAND_TTL,
    COMMAND_SIZE,
    COMMAND_SCAN,
    COMMAND_SET,
    COMMAND_SET_IF_ABSENT,
    COMMAND_INCREMENT,
    COMMAND_EXPIRE,
    COMMAND_DELETE,
    COMMAND_UNLINK,
    COMMAND_FLUSH_SERVER,
    COMMAND_LOCK,
    COMMAND_UNLOCK,
    COMMAND_EXTEND,
    COMMAND_LOOKUP,
    COMMAND_GENERATIONS,
    COMMAND_LIFE,
    COMMAND_CURRENT,
    COMMAND_PURGE,
    COMMAND_SOFT,
    COMMAND_CLAIM,
    COMMAND_REGISTER,
    COMMAND_LEAVE,
    COMMAND_SILENCE,
    COMMAND_READ,
    COMMAND_NOTE,
    COMMAND_FORGET,
    COMMAND_NEWS,
    COMMAND_OWN,
    COMMAND_PUT_IF,
    COMMAND_PUT_UNLESS,
    COMMAND_DROP_IF,
    COMMAND_LEASE,
    COMMAND_LEASE_EXTEND,
    COMMAND_LEASE_END,
    COMMAND_ADMIT,
    COMMAND_ROOM,
    COMMAND_AGE,
    COMMAND_TOUCH,
    COMMAND_VARIANT,
    COMMAND_COUNT
};

struct command_rule {
    const char *name; /* in messages */
    bool repeatable;  /* when the outcome of the first try is unknown */
    bool writes;
};

const struct command_rule *command_rule(enum command command);

/* One exchange on a connection: send, receive all that is due, conn_end(). */
typedef enum larder_status (*command_talk)(struct conn *conn, int64_t deadline_ms, void *arg,
                                           struct larder_error *err);

struct command_call {
    enum command command;
    int64_t deadline_ms;
    int retries; /* after the first try, at most */
    command_talk talk;
    void *arg;
    int tries;         /* out: how many times something was sent */
    uint64_t identity; /* out: of the server that was asked last */
};

/*
 * Carry out one exchange by the deadline. LARDER_UNKNOWN: sent, no answer, and the rule says that
 * it must not be repeated. A kept connection that turns out to be dead before a byte of the
 * answer has come is replaced once, at once, also where retries are 0.
 */
enum larder_status command_execute(struct larder *cache, struct command_call *call,
                                   struct larder_error *err);

/* What few callers want to know or need. */
struct command_more {
    bool judges;         /* in: an error reply is his affair also where it is the only reply */
    bool identifies;     /* in: the server is asked first which it is, and whether it is a master */
    int64_t patience_ms; /* in: how much longer than any other the last reply may take (WAIT) */
    int64_t begun_ms;    /* out: boottime, before the last try */
    int tries;           /* out, as above */
    uint64_t identity;
};

/*
 * The ordinary case: send what is in wire, read n replies by hiredis with all
 * of the client's retries. With n 1 an error reply is LARDER_REFUSED (but see
 * command_more); with more each of them may be one. On LARDER_OK the caller frees by command_free_replies().
 */
enum larder_status command_run(struct larder *cache, enum command command, const struct wire *wire,
                               int64_t deadline_ms, redisReply **replies, size_t n,
                               struct command_more *more, struct larder_error *err);
void command_free_replies(redisReply **replies, size_t n);

/* The reply has a type that this command never has. */
enum larder_status command_unexpected(struct larder *cache, enum command command,
                                      struct larder_error *err);
/* An error reply among several: its words, LARDER_REFUSED. */
enum larder_status command_refused(struct larder *cache, enum command command,
                                   const redisReply *reply, struct larder_error *err);

/* PING on a connection of one's own. */
enum larder_status command_ping(struct conn *conn, int64_t deadline_ms, struct larder_error *err);

/* The background thread reports: Redis has answered; dialling has failed. */
void command_note_answer(struct larder *cache);
void command_note_failure(struct larder *cache, const struct larder_error *err);

/* The deadline of an ordinary call that begins now. */
int64_t command_deadline(const struct larder *cache);

/* NULL, empty, or too long together with the namespace: LARDER_INVALID. */
enum larder_status command_check_key(const struct larder *cache, const char *key,
                                     struct larder_error *err);

/* A command into wire, as wire_words() has it: ":key" is in the client's namespace. */
void command_write(const struct larder *cache, struct wire *wire, const char *words, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with `more` arguments to come. */
void command_begin(const struct larder *cache, struct wire *wire, size_t more, const char *words,
                   ...) __attribute__((format(printf, 4, 5)));

/* Write one command and run it: command_run() with its one reply. */
enum larder_status command_ask(struct larder *cache, enum command command, int64_t deadline_ms,
                               redisReply **reply, struct larder_error *err, const char *words, ...)
    __attribute__((format(printf, 6, 7)));

/* The key with its namespace, as one more argument. */
void command_key(const struct larder *cache, struct wire *wire, const char *key);

#endif
