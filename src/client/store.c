/*
 * The responder's calls: look up and store. (Generations are in generations.c,
 * variants in variants.c, invalidation by pattern in sweep.c.)
 *
 * The look-up is what Larder does all day, so it goes past hiredis: both
 * commands leave in one write, the answer mostly comes with one read into the
 * stack, and a large body goes from the socket into the memory that the caller
 * keeps. Nothing is allocated but that memory, no lock is held meanwhile.
 */
#include "client/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/generations.h"

#define READ_SIZE ((size_t)16 * 1024)
/* The longest line of a reply that is not a body: an error's words. */
#define LINE_MAX_LEN ((size_t)1024)
/* A value that is too long is read past up to this length; dialling anew is cheaper beyond. */
#define SKIP_MAX ((size_t)1024 * 1024)

static enum larder_status
disabled(struct larder_error *err)
{
    return error_set(err, LARDER_DISABLED, "the cache is switched off");
}

/* ------------------------------------------------- reading RESP2, our own way */

/* What a lookup gets after one that was not answered in its time. */
#define SUSPICIOUS_MS 10

/* What has come and has not been used yet: buf[at..end). */
struct reader {
    struct conn *conn;
    int64_t deadline_ms;
    size_t at;
    size_t end;
    char buf[READ_SIZE];
};

static enum larder_status
garbage(const struct reader *in, struct larder_error *err)
{
    (void)conn_error(in->conn, LARDER_PROTOCOL, err, "not an answer to what was asked");
    return LARDER_PROTOCOL;
}

static enum larder_status
read_more(struct reader *in, struct larder_error *err)
{
    size_t n = 0;

    if (in->at > 0) {
        memmove(in->buf, in->buf + in->at, in->end - in->at);
        in->end -= in->at;
        in->at = 0;
    }
    enum larder_status status = conn_receive(in->conn, in->buf + in->end, sizeof in->buf - in->end,
                                             in->deadline_ms, &n, err);
    in->end += n;
    return status;
}

/* The next line without its CRLF; valid until the next read. */
static enum larder_status
read_line(struct reader *in, const char **line, size_t *len, struct larder_error *err)
{
    size_t seen = 0;

    for (;;) {
        const char *start = in->buf + in->at;
        size_t have = in->end - in->at;
        const char *newline = have > seen ? memchr(start + seen, '\n', have - seen) : NULL;
        if (newline) {
            size_t n = (size_t)(newline - start);
            if (n < 2 || start[n - 1] != '\r')
                return garbage(in, err);
            *line = start;
            *len = n - 1;
            in->at += n + 1;
            return LARDER_OK;
        }
        if (have > LINE_MAX_LEN)
            return garbage(in, err);
        seen = have;
        enum larder_status status = read_more(in, err);
        if (status != LARDER_OK)
            return status;
    }
}

/* "*4" or "$16" or "$-1": the number behind the kind, -1 for nil. An error reply is LARDER_REFUSED
 * and has been read whole. */
static enum larder_status
read_count(struct reader *in, char kind, int64_t most, int64_t *count, struct larder_error *err)
{
    const char *line = NULL;
    size_t len = 0;
    int64_t value = 0;

    enum larder_status status = read_line(in, &line, &len, err);
    if (status != LARDER_OK)
        return status;
    if (line[0] == '-')
        return conn_refused(in->conn, line + 1, len - 1, err);
    if (line[0] != kind)
        return garbage(in, err);
    *count = -1;
    if (len == 3 && line[1] == '-' && line[2] == '1')
        return LARDER_OK;
    if (len < 2 || len > 12) /* so that it cannot overflow */
        return garbage(in, err);
    for (size_t i = 1; i < len; i++) {
        if (line[i] < '0' || line[i] > '9')
            return garbage(in, err);
        value = value * 10 + (line[i] - '0');
    }
    if (value > most)
        return garbage(in, err);
    *count = value;
    return LARDER_OK;
}

/* n bytes to `to`, NULL: nowhere. */
static enum larder_status
read_bytes(struct reader *in, char *to, size_t n, struct larder_error *err)
{
    while (n > 0) {
        size_t have = in->end - in->at;
        size_t part = have < n ? have : n;
        if (part > 0) {
            if (to) {
                memcpy(to, in->buf + in->at, part);
                to += part;
            }
            in->at += part;
            n -= part;
            continue;
        }
        enum larder_status status;
        if (to && n >= sizeof in->buf) { /* straight to where it belongs */
            size_t got = 0;
            status = conn_receive(in->conn, to, n, in->deadline_ms, &got, err);
            to += got;
            n -= got;
        } else {
            status = read_more(in, err);
        }
        if (status != LARDER_OK)
            return status;
    }
    return LARDER_OK;
}

/* The same, and the CRLF behind them. */
static enum larder_status
read_body(struct reader *in, char *to, size_t n, struct larder_error *err)
{
    enum larder_status bytes = read_bytes(in, to, n, err);

    if (bytes != LARDER_OK)
        return bytes;
    while (in->end - in->at < 2) {
        enum larder_status status = read_more(in, err);
        if (status != LARDER_OK)
            return status;
    }
    if (memcmp(in->buf + in->at, "\r\n", 2) != 0)
        return garbage(in, err);
    in->at += 2;
    return LARDER_OK;
}

/* --------------------------------------------------------------------- lookup */

struct lookup {
    const struct wire *wire;
    store_generation *generations;
    size_t count; /* of them */
    uint64_t *identity;
    struct store_value *value; /* NULL: only the generations */
    size_t max_len;
};

/* One generation. What is none counts as missing; of one that an older Larder has marked only that is
 * kept. */
static enum larder_status
read_generation(struct reader *in, store_generation out, struct larder_error *err)
{
    char first[STORE_GENERATION_LEN];
    int64_t len = 0;

    memset(out, 0, sizeof(store_generation));
    enum larder_status status = read_count(in, '$', (int64_t)SKIP_MAX, &len, err);
    if (status == LARDER_REFUSED)
        return garbage(in, err); /* inside an array there is no error in RESP2 */
    if (status != LARDER_OK || len <= 0)
        return status != LARDER_OK || len < 0 ? status : read_body(in, NULL, 0, err);
    size_t part = (size_t)len < sizeof first ? (size_t)len : sizeof first;
    status = read_bytes(in, first, part, err);
    if (status == LARDER_OK)
        status = read_body(in, NULL, (size_t)len - part, err);
    /* The bytes behind the first ones do not matter: a settled one has no more. */
    if (status == LARDER_OK)
        generation_read(out, first, (size_t)len);
    return status;
}

/* The reply's head and its generations; behind them comes the value, if it was asked for. */
static enum larder_status
read_generations(struct reader *in, const struct lookup *lookup, struct larder_error *err)
{
    int64_t count = 0;

    enum larder_status status = read_count(in, '*', STORE_OWN_TAGS_MAX + 1, &count, err);
    if (status != LARDER_OK)
        return status;
    if (count < 0 || (size_t)count != lookup->count + (lookup->value ? 1 : 0))
        return garbage(in, err);
    for (size_t i = 0; i < lookup->count && status == LARDER_OK; i++)
        status = read_generation(in, lookup->generations[i], err);
    return status;
}

/* The last element, or without generations the whole reply. */
static enum larder_status
read_value(struct reader *in, const struct lookup *lookup, struct larder_error *err)
{
    struct store_value *value = lookup->value;
    int64_t count = 0;

    enum larder_status status = read_count(in, '$', (int64_t)LARDER_VALUE_MAX, &count, err);
    if (status == LARDER_REFUSED && lookup->count > 0)
        return garbage(in, err);
    if (status != LARDER_OK)
        return status;
    if (count < 0)
        return conn_error(in->conn, LARDER_MISS, err, "there is no such key");
    size_t len = (size_t)count;
    if (len > lookup->max_len) {
        if (len <= SKIP_MAX)
            status = read_body(in, NULL, len, err);
        else
            in->conn->unwanted = true;
        return status != LARDER_OK ? status
                                   : conn_error(in->conn, LARDER_CORRUPT, err,
                                                "a value of %zu bytes, at most %zu are allowed",
                                                len, lookup->max_len);
    }
    value->data = malloc(len > 0 ? len : 1);
    if (!value->data)
        return conn_error(in->conn, LARDER_NOMEM, err, "no memory for %zu bytes", len);
    value->len = len;
    return read_body(in, value->data, len, err);
}

static enum larder_status
talk_lookup(struct conn *conn, int64_t deadline_ms, void *arg, struct larder_error *err)
{
    const struct lookup *lookup = arg;
    struct store_value *value = lookup->value;
    struct reader in;

    in.conn = conn;
    in.at = in.end = 0;
    *lookup->identity = conn->identity;
    /* It may be the second try. */
    for (size_t i = 0; i < lookup->count; i++)
        lookup->generations[i][0] = '\0';

    enum larder_status status = conn_send(conn, lookup->wire, deadline_ms, err);
    if (status != LARDER_OK)
        return status;
    in.deadline_ms = conn_reply_deadline(conn, deadline_ms);
    if (lookup->count > 0)
        status = read_generations(&in, lookup, err);
    if (status == LARDER_OK && value)
        status = read_value(&in, lookup, err);
    /* It must have been answered, and nothing else; otherwise the next caller would read it. */
    if ((status == LARDER_OK || status == LARDER_MISS || status == LARDER_REFUSED ||
         status == LARDER_CORRUPT) &&
        !conn->unwanted) {
        enum larder_status end = in.at == in.end ? conn_end(conn, err) : garbage(&in, err);
        if (end != LARDER_OK)
            status = end;
    }
    if (status != LARDER_OK && value) {
        free(value->data);
        value->data = NULL;
        value->len = 0;
    }
    return status;
}

/* Who comes after one that waited in vain may have waited for him already: he finds out in a moment
 * whether it was a moment's weakness. */
static int64_t
careful_deadline(const struct larder *cache, int64_t deadline_ms)
{
    if (!breaker_is_suspicious(&cache->breaker))
        return deadline_ms;
    int64_t soon_ms = clock_now_ms() + SUSPICIOUS_MS;
    return soon_ms < deadline_ms ? soon_ms : deadline_ms;
}

enum larder_status
store_lookup(struct larder *cache, const char *key, const struct store_tags *tags, size_t max_len,
             int64_t deadline_ms, struct store_value *value, struct larder_error *err)
{
    struct wire wire;
    struct lookup lookup = {.wire = &wire,
                            .generations = value->current.value,
                            .count = tags->count,
                            .identity = &value->identity,
                            .value = value,
                            .max_len = max_len};
    struct command_call call = {.command = COMMAND_LOOKUP, .talk = talk_lookup, .arg = &lookup};

    memset(value, 0, sizeof *value);
    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, key, err);
    if (status == LARDER_OK)
        status = generations_check(tags->name, tags->count, STORE_TAGS_MAX, err);
    if (status != LARDER_OK)
        return status;
    value->current.count = tags->count;
    call.deadline_ms = careful_deadline(cache, deadline_ms);

    wire_init(&wire);
    /* One command, so that generations and value are of one moment, and Redis has one to parse. */
    command_begin(cache, &wire, tags->count + 1, "%s", tags->count > 0 ? "MGET" : "GET");
    for (size_t i = 0; i < tags->count; i++)
        generations_key(cache, &wire, tags->name[i]);
    command_key(cache, &wire, key);
    status = command_execute(cache, &call, err);
    wire_free(&wire);
    if (status == LARDER_OK)
        client_count(&cache->hits);
    else if (status == LARDER_MISS)
        client_count(&cache->misses);
    return status;
}

enum larder_status
store_current(struct larder *cache, const char *const *tags, size_t n, int64_t deadline_ms,
              store_generation *out, uint64_t *identity, struct larder_error *err)
{
    struct wire wire;
    struct lookup lookup = {.wire = &wire, .generations = out, .count = n, .identity = identity};
    struct command_call call = {.command = COMMAND_CURRENT, .talk = talk_lookup, .arg = &lookup};

    *identity = 0;
    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = generations_check(tags, n, STORE_OWN_TAGS_MAX, err);
    if (status != LARDER_OK)
        return status;
    if (n == 0) { /* there is nothing to ask */
        *identity = identity_current(&cache->identity);
        return LARDER_OK;
    }
    call.deadline_ms = careful_deadline(cache, deadline_ms);
    wire_init(&wire);
    command_begin(cache, &wire, n, "MGET");
    for (size_t i = 0; i < n; i++)
        generations_key(cache, &wire, tags[i]);
    status = command_execute(cache, &call, err);
    wire_free(&wire);
    return status;
}

/* ------------------------------------------------------------------------ put */

/* 1: stored. 0: the guard forbids it. ARGV[4] is '1' where the bytes have to be there. */
static const char put_script[] =
    "local there = redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[2]) == ARGV[3]\n"
    "if there ~= (ARGV[4] == '1') then\n"
    "    return 0\n"
    "end\n"
    "redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6])\n"
    "return 1\n";

static const char drop_script[] =
    "local there = redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[2]) == ARGV[3]\n"
    "if there ~= (ARGV[4] == '1') then\n"
    "    return 0\n"
    "end\n"
    "local reply = redis.pcall('UNLINK', KEYS[1])\n" /* Redis 3 has none */
    "if type(reply) == 'table' and reply.err then\n"
    "    redis.call('DEL', KEYS[1])\n"
    "end\n"
    "return 1\n";

/* The beginning of either, with `more` arguments to come. */
static void
begin_guarded(const struct larder *cache, struct wire *wire, const char *script, const char *key,
              const struct store_guard *guard, size_t more)
{
    command_begin(cache, wire, more, "EVAL %s 1 :%s %lld %lld %.*s %d", script, key,
                  (long long)guard->offset, (long long)(guard->offset + guard->len - 1),
                  (int)guard->len, (const char *)guard->bytes, guard->unless ? 0 : 1);
}

static bool
guard_is_possible(const struct store_guard *guard)
{
    return guard->len > 0 && guard->len <= LARDER_VALUE_MAX &&
           guard->offset <= LARDER_VALUE_MAX - guard->len;
}

/* What a guarded command answers. */
static enum larder_status
guarded_reply(struct larder *cache, enum command command, const redisReply *reply, const char *key,
              struct larder_error *err)
{
    if (reply->type != REDIS_REPLY_INTEGER)
        return command_unexpected(cache, command, err);
    return reply->integer == 1 ? LARDER_OK
                               : error_set(err, LARDER_EXISTS, "%s is not what it was", key);
}

static void
put_guarded(const struct larder *cache, struct wire *wire, const char *key, const struct iovec *iov,
            int iovcnt, int64_t ttl_ms, const struct store_guard *guard)
{
    begin_guarded(cache, wire, put_script, key, guard, 2);
    wire_pieces(wire, iov, iovcnt);
    wire_number(wire, ttl_ms);
}

static void
put_plain(const struct larder *cache, struct wire *wire, const char *key, const struct iovec *iov,
          int iovcnt, int64_t ttl_ms)
{
    command_begin(cache, wire, 3, "SET :%s", key);
    wire_pieces(wire, iov, iovcnt);
    wire_text(wire, "PX");
    wire_number(wire, ttl_ms);
}

static enum larder_status
check_put(const struct larder *cache, const char *key, const struct iovec *iov, int iovcnt,
          int64_t ttl_ms, const struct store_guard *guard, struct larder_error *err)
{
    size_t total = 0;

    enum larder_status status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    if (ttl_ms <= 0 || ttl_ms > STORE_TTL_MAX_S * 1000)
        return error_set(err, LARDER_INVALID, "a time to live of %lld ms", (long long)ttl_ms);
    if (guard && !guard_is_possible(guard))
        return error_set(err, LARDER_INVALID, "a guard that cannot be");
    for (int i = 0; i < iovcnt; i++) {
        if (iov[i].iov_len > LARDER_VALUE_MAX - total)
            return error_set(err, LARDER_INVALID, "a value has at most %zu bytes",
                             LARDER_VALUE_MAX);
        total += iov[i].iov_len;
    }
    return LARDER_OK;
}

enum larder_status
store_put_under(struct larder *cache, const char *key, const struct iovec *iov, int iovcnt,
                int64_t ttl_ms, const struct store_guard *guard, const struct store_lives *lives,
                int64_t deadline_ms, struct larder_error *err)
{
    enum command command = !guard          ? COMMAND_SET
                           : guard->unless ? COMMAND_PUT_UNLESS
                                           : COMMAND_PUT_IF;
    redisReply *replies[2];
    size_t n = lives && lives->n > 0 ? 2 : 1;
    struct wire wire;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = check_put(cache, key, iov, iovcnt, ttl_ms, guard, err);
    if (status == LARDER_OK && n == 2)
        status = generations_check(lives->tags, lives->n, STORE_LIVES_MAX, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    if (guard)
        put_guarded(cache, &wire, key, iov, iovcnt, ttl_ms, guard);
    else
        put_plain(cache, &wire, key, iov, iovcnt, ttl_ms);
    if (n == 2)
        generations_write_lives(cache, &wire, lives, ttl_ms);
    status = command_run(cache, command, &wire, deadline_ms, replies, n, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    /* What became of the lives is of no consequence. */
    if (replies[0]->type == REDIS_REPLY_ERROR)
        status = command_refused(cache, command, replies[0], err);
    else if (guard)
        status = guarded_reply(cache, command, replies[0], key, err);
    else if (replies[0]->type != REDIS_REPLY_STATUS)
        status = command_unexpected(cache, command, err);
    command_free_replies(replies, n);
    return status;
}

enum larder_status
store_put(struct larder *cache, const char *key, const struct iovec *iov, int iovcnt,
          int64_t ttl_ms, const struct store_guard *guard, int64_t deadline_ms,
          struct larder_error *err)
{
    return store_put_under(cache, key, iov, iovcnt, ttl_ms, guard, NULL, deadline_ms, err);
}

enum larder_status
store_drop(struct larder *cache, const char *key, const struct store_guard *guard,
           int64_t deadline_ms, struct larder_error *err)
{
    enum command command = guard ? COMMAND_DROP_IF : COMMAND_UNLINK;
    redisReply *reply = NULL;
    struct wire wire;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    if (guard && !guard_is_possible(guard))
        return error_set(err, LARDER_INVALID, "a guard that cannot be");
    wire_init(&wire);
    if (guard)
        begin_guarded(cache, &wire, drop_script, key, guard, 0);
    else
        command_write(cache, &wire, "UNLINK :%s", key);
    status = command_run(cache, command, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (guard)
        status = guarded_reply(cache, command, reply, key, err);
    command_free_replies(&reply, 1);
    return status;
}

void
store_value_free(struct store_value *value)
{
    free(value->data);
    value->data = NULL;
}

int64_t
store_clock_ms(const struct larder *cache)
{
    return cache ? identity_clock_ms(&cache->identity) : clock_wall_ms();
}
