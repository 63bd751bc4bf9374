/*
 * Locks on set-if-absent, done right: each holder has a random token, and only
 * who knows it can release or extend the lock. So a holder who overslept his
 * time does not release his successor's lock. Called by programs through
 * larder.h. (One Redis: a lock that must survive its loss needs something else.)
 */
#include "larder.h"

#include <string.h>

#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/token.h"

/* Compare and act in one step, which no sequence of commands could. 1: done, 0: no such lock,
 * -1: another's. */
static const char unlock_script[] = "local t = redis.call('GET', KEYS[1])\n"
                                    "if t == ARGV[1] then\n"
                                    "    redis.call('DEL', KEYS[1])\n"
                                    "    return 1\n"
                                    "end\n"
                                    "return t and -1 or 0\n";
static const char extend_script[] = "local t = redis.call('GET', KEYS[1])\n"
                                    "if t == ARGV[1] then\n"
                                    "    return redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
                                    "end\n"
                                    "return t and -1 or 0\n";

static enum larder_status
check_lock(const struct larder *cache, const char *key, const char *token, int64_t ttl_ms,
           struct larder_error *err)
{
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    if (ttl_ms <= 0 || ttl_ms > INT64_MAX / 4)
        return error_set(err, LARDER_INVALID, "a lock for %lld ms", (long long)ttl_ms);
    if (token && strnlen(token, LARDER_TOKEN_SIZE) != LARDER_TOKEN_SIZE - 1)
        return error_set(err, LARDER_INVALID, "no token of a lock");
    return command_check_key(cache, key, err);
}

enum larder_status
larder_lock(struct larder *cache, const char *key, int64_t ttl_ms, char token[LARDER_TOKEN_SIZE],
            struct larder_error *err)
{
    redisReply *reply = NULL;

    token[0] = '\0';
    enum larder_status status = check_lock(cache, key, NULL, ttl_ms, err);
    if (status != LARDER_OK)
        return status;
    if (!token_make(token, LARDER_TOKEN_SIZE - 1))
        return error_set(err, LARDER_UNAVAILABLE, "no random bytes for a token");
    status = command_ask(cache, COMMAND_LOCK, command_deadline(cache), &reply, err,
                         "SET :%s %s PX %lld NX", key, token, (long long)ttl_ms);
    if (status != LARDER_OK)
        return status;
    if (reply->type == REDIS_REPLY_NIL)
        status = error_set(err, LARDER_EXISTS, "%s is held by another", key);
    else if (reply->type != REDIS_REPLY_STATUS)
        status = command_unexpected(cache, COMMAND_LOCK, err);
    command_free_replies(&reply, 1);
    return status;
}

static enum larder_status
run_script(struct larder *cache, enum command command, const char *script, const char *key,
           const char *token, int64_t ttl_ms, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;
    struct command_more more = {.judges = false};

    enum larder_status status = check_lock(cache, key, token, ttl_ms, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    command_write(cache, &wire, "EVAL %s 1 :%s %s %lld", script, key, token, (long long)ttl_ms);
    status = command_run(cache, command, &wire, command_deadline(cache), &reply, 1, &more, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (reply->type != REDIS_REPLY_INTEGER)
        status = command_unexpected(cache, command, err);
    else if (reply->integer < 0)
        status = error_set(err, LARDER_EXISTS, "%s is held by another", key);
    else if (reply->integer == 0)
        /* A repetition cannot tell an expired lock from one that its own first try released. The
         * safe answer is the one that makes the caller doubt. */
        status =
            error_set(err, LARDER_MISS, "%s is not held%s", key,
                      more.tries > 1 ? "; an earlier try, unanswered, may have released it" : "");
    command_free_replies(&reply, 1);
    return status;
}

enum larder_status
larder_unlock(struct larder *cache, const char *key, const char *token, struct larder_error *err)
{
    return run_script(cache, COMMAND_UNLOCK, unlock_script, key, token, 1, err);
}

enum larder_status
larder_lock_extend(struct larder *cache, const char *key, const char *token, int64_t ttl_ms,
                   struct larder_error *err)
{
    return run_script(cache, COMMAND_EXTEND, extend_script, key, token, ttl_ms, err);
}
