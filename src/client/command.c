/*
 * The one table of commands and the one function that carries them out.
 *
 * A try ends in one of four ways. Answered: done, an error reply included,
 * unless it is one that passes (a start, a failover), which was not carried out
 * and is tried again. Not sent: tried again. Sent and not answered: tried again
 * if the table allows it, otherwise LARDER_UNKNOWN. Out of time: over. Between
 * tries the caller sleeps, longer each time and by chance, lest a thousand of
 * them come back in step. Everything of this library that talks to Redis for a
 * caller comes through here; only keeper.c talks by itself.
 */
#include "client/command.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"

/*
 * Repeatable means: carried out twice, it leaves what it leaves when carried
 * out once, and says so. Four are worth a word. A DEL that is repeated may
 * count too few. FLUSHALL takes what others wrote between the two. SET NX and
 * INCR would take their own first try for somebody else's, and a variant for one
 * that is asked for again.
 */
static const struct command_rule rules[COMMAND_COUNT] = {
    /*                           name          repeatable  writes */
    [COMMAND_PING] = {"PING", true, false},
    [COMMAND_INFO] = {"INFO", true, false},
    [COMMAND_GET] = {"GET", true, false},
    [COMMAND_MGET] = {"MGET", true, false},
    [COMMAND_EXISTS] = {"EXISTS", true, false},
    [COMMAND_TTL] = {"PTTL", true, false},
    [COMMAND_SIZE] = {"DBSIZE", true, false},
    [COMMAND_SCAN] = {"SCAN", true, false},
    [COMMAND_SET] = {"SET", true, true},
    [COMMAND_SET_IF_ABSENT] = {"SET NX", false, true},
    [COMMAND_INCREMENT] = {"INCRBY", false, true},
    [COMMAND_EXPIRE] = {"PEXPIRE", true, true},
    [COMMAND_DELETE] = {"DEL", true, true},
    [COMMAND_UNLINK] = {"UNLINK", true, true},
    [COMMAND_FLUSH_SERVER] = {"FLUSHALL", false, true},
    [COMMAND_LOCK] = {"SET NX (lock)", false, true},
    [COMMAND_UNLOCK] = {"EVAL (unlock)", true, true},
    [COMMAND_EXTEND] = {"EVAL (extend)", true, true},
    [COMMAND_LOOKUP] = {"MGET (lookup)", true, false},
    [COMMAND_GENERATIONS] = {"SET NX (generations)", true, true},
    [COMMAND_LIFE] = {"EVAL (life)", true, true},
    [COMMAND_CURRENT] = {"MGET (generations)", true, false},
    [COMMAND_PURGE] = {"DEL (purge)", true, true},
    [COMMAND_SOFT] = {"EVAL (soft purge)", true, true},
    [COMMAND_CLAIM] = {"EVAL (claim)", false, true},
    [COMMAND_REGISTER] = {"EVAL (mutation)", true, true},
    [COMMAND_LEAVE] = {"HDEL (mutation)", true, true},
    [COMMAND_SILENCE] = {"EVAL (silent mutation)", true, true},
    [COMMAND_READ] = {"HGETALL (mutations)", true, false},
    [COMMAND_NOTE] = {"EVAL (mutations)", true, true},
    [COMMAND_FORGET] = {"DEL (generations)", true, true},
    [COMMAND_NEWS] = {"XREVRANGE (news)", true, true},
    [COMMAND_OWN] = {"XRANGE (news)", true, true},
    [COMMAND_PUT_IF] = {"EVAL (put)", false, true},
    [COMMAND_PUT_UNLESS] = {"EVAL (put)", true, true},
    [COMMAND_DROP_IF] = {"EVAL (drop)", true, true},
    [COMMAND_LEASE] = {"SET NX (lease)", false, true},
    [COMMAND_LEASE_EXTEND] = {"EVAL (lease)", true, true},
    [COMMAND_LEASE_END] = {"PUBLISH (lease)", true, true},
    [COMMAND_ADMIT] = {"EVAL (variants)", false, true},
    [COMMAND_ROOM] = {"EVAL (variants)", true, false},
    [COMMAND_AGE] = {"EVAL (variants)", true, true},
    [COMMAND_TOUCH] = {"EVAL (use of a variant)", true, true},
    [COMMAND_VARIANT] = {"ZRANGE (variants)", true, true},
};

const struct command_rule *
command_rule(enum command command)
{
    return &rules[command];
}

int64_t
command_deadline(const struct larder *cache)
{
    return clock_now_ms() + cache->options.operation_timeout_ms;
}

/* ---------------------------------------------------------------- failures */

/*
 * Redis has answered something so lately that it cannot be dead: what did not come in a short
 * time is late, and who gets no connection has come too late (maxclients). A connection
 * that is refused or breaks says more, and counts at once.
 */
#define LIVELY_MS 200

static bool
is_lively(const struct larder *cache, enum larder_status status, const char *words, int64_t now_ms)
{
    return (status == LARDER_TIMEOUT || conn_found_no_room(words)) &&
           now_ms - atomic_load_explicit(&cache->answered_ms, memory_order_relaxed) < LIVELY_MS;
}

static void
note_failure(struct larder *cache, enum larder_status status, const char *words)
{
    int64_t now_ms = clock_now_ms();

    if (is_lively(cache, status, words, now_ms)) {
        breaker_note(&cache->breaker, words);
    } else if (breaker_failure(&cache->breaker, now_ms, words)) {
        pool_rest(&cache->pool);
        keeper_nudge(cache);
    }
}

void
command_note_answer(struct larder *cache)
{
    atomic_store_explicit(&cache->answered_ms, clock_now_ms(), memory_order_relaxed);
}

void
command_note_failure(struct larder *cache, const struct larder_error *err)
{
    note_failure(cache, err->status, err->message);
}

/* Out of memory is our own trouble, not the server's. */
static bool
is_servers_fault(enum larder_status status)
{
    return status == LARDER_TIMEOUT || status == LARDER_UNAVAILABLE || status == LARDER_PROTOCOL;
}

/* For jitter only: fast, no lock, no system call. */
static int64_t
random_below(int64_t bound)
{
    static _Thread_local uint64_t state;

    if (bound <= 0)
        return 0;
    if (state == 0)
        state = (uint64_t)(uintptr_t)&state ^ (uint64_t)clock_read_ms(CLOCK_REALTIME) << 20 ^ 1;
    /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (int64_t)((state * UINT64_C(0x2545f4914f6cdd1d) >> 33) % (uint64_t)bound);
}

/* Sleep before the n-th repetition (from 1): min + random below min * 2^n, at most max. false: the
 * time will be up before that, there is no point in waiting. */
static bool
back_off(const struct larder *cache, int n, int64_t deadline_ms)
{
    int64_t least = cache->options.retry_min_ms;
    int64_t most = cache->options.retry_max_ms;
    int64_t spread = n < 20 && least < most ? least << n : most;
    int64_t sleep_ms = least + random_below(spread);

    if (sleep_ms > most)
        sleep_ms = most;
    if (clock_now_ms() + sleep_ms >= deadline_ms)
        return false;
    struct timespec left = {(time_t)(sleep_ms / 1000), (long)(sleep_ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
    return true;
}

/* --------------------------------------------------------------- execution */

/* What one try came to. */
struct outcome {
    bool again;     /* a repetition is safe and may help */
    bool was_stale; /* the kept connection had died: try another one at once */
    bool unknown;
};

static enum larder_status
try_once(struct larder *cache, struct command_call *call, bool fresh, struct outcome *outcome,
         struct larder_error *err)
{
    const struct command_rule *rule = &rules[call->command];
    struct conn *conn = NULL;
    bool dialled = false;

    *outcome = (struct outcome){.again = false};
    enum larder_status status =
        pool_get(&cache->pool, call->deadline_ms, fresh, &conn, &dialled, err);
    if (status != LARDER_OK) {
        if (dialled && (is_servers_fault(status) || status == LARDER_REFUSED))
            note_failure(cache, status, err->message);
        outcome->again = status == LARDER_UNAVAILABLE || status == LARDER_TIMEOUT;
        return status;
    }

    conn_begin(conn, rule->name);
    call->identity = conn->identity;
    status = call->talk(conn, call->deadline_ms, call->arg, err);
    if (conn->sent)
        call->tries++;
    if (is_servers_fault(status)) {
        outcome->again = rule->repeatable || !conn->sent;
        outcome->unknown = !outcome->again;
        outcome->was_stale = conn->kept && !conn->answered && status == LARDER_UNAVAILABLE;
        /* It died while it was idle: that says nothing about the server of now. Nor is a server dead
         * that was in the middle of a large answer when the time was up. */
        bool was_answering = status == LARDER_TIMEOUT && conn->answered;
        if (!outcome->was_stale && !was_answering)
            note_failure(cache, status, err->message);
    } else if (status != LARDER_NOMEM) {
        /* It is alive, and may refuse all the same. */
        command_note_answer(cache);
        breaker_success(&cache->breaker);
        if (conn->refused)
            breaker_note(&cache->breaker, err->message);
        outcome->again = conn->passing;
    }
    /* Who refuses for a while may be a replica that should not be asked, or on its way out. */
    if (conn->passing)
        conn->pending = true;
    pool_put(&cache->pool, conn);
    return status;
}

enum larder_status
command_execute(struct larder *cache, struct command_call *call, struct larder_error *caller_err)
{
    struct larder_error err = {.status = LARDER_OK}; /* the words are needed for the log too */
    enum larder_status status;
    struct outcome outcome;
    bool fresh = false;

    call->tries = 0;
    for (int n = 1;; n++) {
        if (breaker_is_open(&cache->breaker)) {
            char why[LARDER_ERROR_MAX];
            breaker_why(&cache->breaker, why, sizeof why);
            status = error_set(&err, LARDER_UNAVAILABLE, "%s: %s: not asked after failures: %s",
                               cache->endpoint.where, rules[call->command].name, why);
            break;
        }
        if (n == 1 && clock_now_ms() >= call->deadline_ms) {
            status = error_set(&err, LARDER_TIMEOUT, "%s: %s: no time left", cache->endpoint.where,
                               rules[call->command].name);
            break;
        }
        status = try_once(cache, call, fresh, &outcome, &err);
        if (outcome.again && outcome.was_stale && !fresh) {
            fresh = true;
            status = try_once(cache, call, fresh, &outcome, &err);
        }
        if (outcome.unknown) {
            char words[LARDER_ERROR_MAX];
            memcpy(words, err.message, sizeof words);
            status = error_set(&err, LARDER_UNKNOWN, "%s; it may have been carried out", words);
        }
        if (!outcome.again || n > call->retries || !back_off(cache, n, call->deadline_ms))
            break;
        client_count(&cache->retries);
    }
    if (is_servers_fault(status) || status == LARDER_UNKNOWN || status == LARDER_REFUSED ||
        status == LARDER_NOMEM)
        client_count(&cache->errors);
    if (status != LARDER_OK && caller_err)
        *caller_err = err;
    return status;
}

/* ------------------------------------------------------- the ordinary case */

struct plain {
    const struct wire *wire;
    redisReply **replies;
    size_t n;
    const struct command_more *more;
    int64_t begun_ms;
};

static enum larder_status
talk_plain(struct conn *conn, int64_t deadline_ms, void *arg, struct larder_error *err)
{
    struct plain *plain = arg;
    enum larder_status status = LARDER_OK;
    size_t got = 0;

    plain->begun_ms = clock_boot_ms();
    if (plain->more->identifies) {
        const char *doing = conn->doing;
        status = conn_identify(conn, deadline_ms, err);
        if (status == LARDER_OK)
            conn_begin(conn, doing);
    }
    if (status == LARDER_OK)
        status = conn_send(conn, plain->wire, deadline_ms, err);
    while (status == LARDER_OK && got < plain->n) {
        int64_t limit_ms = conn_reply_deadline(conn, deadline_ms);
        if (got + 1 == plain->n)
            limit_ms += plain->more->patience_ms;
        if (limit_ms > deadline_ms)
            limit_ms = deadline_ms;
        status = conn_reply_by(conn, limit_ms, &plain->replies[got], err);
        if (status == LARDER_OK)
            got++;
    }
    if (status == LARDER_OK)
        status = conn_end(conn, err);
    for (size_t i = 0; status == LARDER_OK && i < got; i++) {
        const redisReply *reply = plain->replies[i];
        if (reply->type != REDIS_REPLY_ERROR)
            continue;
        enum larder_status refused = conn_refused(conn, reply->str, reply->len, err);
        if ((plain->n == 1 && !plain->more->judges) || conn->passing)
            status = refused;
    }
    if (status != LARDER_OK)
        command_free_replies(plain->replies, got);
    return status;
}

enum larder_status
command_run(struct larder *cache, enum command command, const struct wire *wire,
            int64_t deadline_ms, redisReply **replies, size_t n, struct command_more *more,
            struct larder_error *err)
{
    static const struct command_more nothing = {.judges = false};
    struct plain plain = {wire, replies, n, more ? more : &nothing, 0};
    struct command_call call = {.command = command,
                                .deadline_ms = deadline_ms,
                                .retries = cache->options.max_retries,
                                .talk = talk_plain,
                                .arg = &plain};

    for (size_t i = 0; i < n; i++)
        replies[i] = NULL;
    enum larder_status status = command_execute(cache, &call, err);
    if (more) {
        more->tries = call.tries;
        more->begun_ms = plain.begun_ms;
        more->identity = call.identity;
    }
    return status;
}

void
command_free_replies(redisReply **replies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (replies[i])
            freeReplyObject(replies[i]);
        replies[i] = NULL;
    }
}

enum larder_status
command_unexpected(struct larder *cache, enum command command, struct larder_error *err)
{
    client_count(&cache->errors);
    return error_set(err, LARDER_PROTOCOL, "%s: %s: not an answer to what was asked",
                     cache->endpoint.where, rules[command].name);
}

enum larder_status
command_refused(struct larder *cache, enum command command, const redisReply *reply,
                struct larder_error *err)
{
    client_count(&cache->errors);
    return error_set(err, LARDER_REFUSED, "%s: %s: %.200s", cache->endpoint.where,
                     rules[command].name, reply->str);
}

enum larder_status
command_ping(struct conn *conn, int64_t deadline_ms, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    wire_init(&wire);
    wire_command(&wire, "PING");
    conn_begin(conn, rules[COMMAND_PING].name);
    struct plain plain = {&wire, &reply, 1, &(struct command_more){.judges = false}, 0};
    enum larder_status status = talk_plain(conn, deadline_ms, &plain, err);
    wire_free(&wire);
    command_free_replies(&reply, 1);
    return status;
}

/* --------------------------------------------------------------------- keys */

enum larder_status
command_check_key(const struct larder *cache, const char *key, struct larder_error *err)
{
    if (!key || *key == '\0')
        return error_set(err, LARDER_INVALID, "a key must not be empty");
    if (strnlen(key, LARDER_KEY_MAX + 1) + cache->prefix_len > LARDER_KEY_MAX)
        return error_set(err, LARDER_INVALID, "a key has at most %d bytes, namespace included",
                         LARDER_KEY_MAX);
    return LARDER_OK;
}

/* ------------------------------------------------------------------ writing */

static struct slice
prefix_of(const struct larder *cache)
{
    return (struct slice){cache->prefix, cache->prefix_len};
}

void
command_write(const struct larder *cache, struct wire *wire, const char *words, ...)
{
    va_list ap;

    va_start(ap, words);
    wire_words(wire, prefix_of(cache), 0, words, ap);
    va_end(ap);
}

void
command_begin(const struct larder *cache, struct wire *wire, size_t more, const char *words, ...)
{
    va_list ap;

    va_start(ap, words);
    wire_words(wire, prefix_of(cache), more, words, ap);
    va_end(ap);
}

enum larder_status
command_ask(struct larder *cache, enum command command, int64_t deadline_ms, redisReply **reply,
            struct larder_error *err, const char *words, ...)
{
    struct wire wire;
    va_list ap;

    wire_init(&wire);
    va_start(ap, words);
    wire_words(&wire, prefix_of(cache), 0, words, ap);
    va_end(ap);
    enum larder_status status =
        command_run(cache, command, &wire, deadline_ms, reply, 1, NULL, err);
    wire_free(&wire);
    return status;
}

void
command_key(const struct larder *cache, struct wire *wire, const char *key)
{
    wire_join(wire, cache->prefix, cache->prefix_len, key, strlen(key));
}
