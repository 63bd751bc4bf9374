/*
 * What a URL's variants need of Redis beside their values: a sorted set of their
 * keys, so that their number stays bounded, and small calls for the marker.
 *
 * Its score says until when a variant keeps its place: a newcomer for a moment,
 * one that is asked for again for minutes from then. A newcomer to a full set takes
 * the place of the one whose time has been over longest; where there is none it is
 * not stored. So a visitor who makes up variants displaces what was made up, and
 * nothing that is in use.
 *
 * The whole step is one script, because processes and machines admit at once. A
 * variant is in the set before its value is stored, and leaves it together with
 * its value, so that no crash leaves one that is not counted. Redis is not trusted:
 * what the set names is unlinked only if it is the key of a response.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/store.h"
#include "client/token.h"

/* The set of a primary key, for command_write(). */
#define SET_NAME ":%s" NAME_VARIANTS
#define HASH_LEN 64
/* Surplus that is cleared in one go; a set that is far over its bound shrinks step by step. */
#define SURPLUS_MAX 16

static enum larder_status
disabled(struct larder_error *err)
{
    return error_set(err, LARDER_DISABLED, "the cache is switched off");
}

static bool
is_response_key(const char *key, size_t len)
{
    static const char part[] = NAME_RESPONSE;
    size_t tail = sizeof part - 1 + HASH_LEN;

    if (len < tail || len > LARDER_KEY_MAX || memcmp(key + len - tail, part, sizeof part - 1) != 0)
        return false;
    for (size_t i = len - HASH_LEN; i < len; i++)
        if (!((key[i] >= '0' && key[i] <= '9') || (key[i] >= 'a' && key[i] <= 'f')))
            return false;
    return true;
}

static bool
is_member(const redisReply *element)
{
    return element->type == REDIS_REPLY_STRING && is_response_key(element->str, element->len);
}

/* Redis 3 has no UNLINK. */
#define UNLINK_FUNCTION                                  \
    "local function unlink(key)\n"                       \
    "    local reply = redis.pcall('UNLINK', key)\n"     \
    "    if type(reply) == 'table' and reply.err then\n" \
    "        redis.call('DEL', key)\n"                   \
    "    end\n"                                          \
    "end\n"

/*
 * Has a variant a place in the set? 1: it has, 0: it has none. With a life of 0 that is only asked. With
 * none ('') it is in use: where the set has lost it (Redis evicts the one and not the other) it gets a
 * place again, if its value is still there, which is unlinked where there is no place for it.
 * A score in a future farther than the longest place is from before the clock was set back.
 */
static const char admit_script[] = UNLINK_FUNCTION
    "local set, own = KEYS[1], ARGV[1]\n"
    "local now, life, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])\n"
    "local new, used = tonumber(ARGV[5]), tonumber(ARGV[6])\n"
    "local known, count = redis.call('ZSCORE', set, own), redis.call('ZCARD', set)\n"
    "local function drop(member)\n"
    "    redis.call('ZREM', set, member)\n"
    "    count = count - 1\n"
    "    local hash = string.match(member, '" NAME_RESPONSE "([0-9a-f]+)$')\n"
    "    if hash and #hash == 64 then\n"
    "        unlink(ARGV[7] .. member)\n"
    "    end\n"
    "end\n"
    "local touched = not life\n"
    "if touched and known then\n"
    "    redis.call('ZADD', set, now + used, own)\n"
    "    return 1\n"
    "elseif touched then\n"
    "    life = redis.call('PTTL', ARGV[7] .. own)\n"
    "    if life <= 0 then\n"
    "        return 0\n"
    "    end\n"
    "end\n"
    "if life > 0 and count > most then\n"
    "    local last = math.min(count - most, tonumber(ARGV[8])) - 1\n"
    "    for _, member in ipairs(redis.call('ZRANGE', set, 0, last)) do\n"
    "        if member ~= own then\n"
    "            drop(member)\n"
    "        end\n"
    "    end\n"
    "end\n"
    "if not known and count >= most then\n"
    "    local lowest = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')\n"
    "    local ends = tonumber(lowest[2])\n"
    "    if count > most or (ends > now and ends <= now + used) then\n"
    "        if touched then\n"
    "            unlink(ARGV[7] .. own)\n"
    "        end\n"
    "        return 0\n"
    "    end\n"
    "    if life > 0 then\n"
    "        drop(lowest[1])\n"
    "    end\n"
    "end\n"
    "if life > 0 then\n"
    "    redis.call('ZADD', set, now + ((known or touched) and used or new), own)\n"
    "    if redis.call('PTTL', set) < life + used then\n"
    "        redis.call('PEXPIRE', set, life + used)\n"
    "    end\n"
    "end\n"
    "return 1\n";

/* life: in milliseconds, or "". */
static enum larder_status
run_admit(struct larder *cache, enum command command, const char *primary, const char *key,
          const char *life, int64_t now_wall_ms, size_t max_variants, int64_t deadline_ms,
          redisReply **reply, struct larder_error *err)
{
    return command_ask(cache, command, deadline_ms, reply, err,
                       "EVAL %s 1 " SET_NAME " %s %lld %s %lld %lld %lld %s %d", admit_script,
                       primary, key, (long long)now_wall_ms, life, (long long)max_variants,
                       (long long)STORE_VARIANT_NEW_MS, (long long)STORE_VARIANT_USED_MS,
                       cache->prefix, SURPLUS_MAX);
}

enum larder_status
store_variant_admit(struct larder *cache, const char *primary, const char *key, int64_t life_ms,
                    int64_t now_wall_ms, size_t max_variants, int64_t deadline_ms, bool *admitted,
                    struct larder_error *err)
{
    redisReply *reply = NULL;
    char life[24];

    *admitted = false;
    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, primary, err);
    if (status == LARDER_OK)
        status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    if (life_ms < 0 || life_ms > STORE_TTL_MAX_S * 1000)
        return error_set(err, LARDER_INVALID, "a time to live of %lld ms", (long long)life_ms);
    snprintf(life, sizeof life, "%lld", (long long)life_ms);
    status = run_admit(cache, life_ms > 0 ? COMMAND_ADMIT : COMMAND_ROOM, primary, key, life,
                       now_wall_ms, max_variants, deadline_ms, &reply, err);
    if (status != LARDER_OK)
        return status;
    if (reply->type == REDIS_REPLY_INTEGER)
        *admitted = reply->integer == 1;
    else
        status = command_unexpected(cache, COMMAND_ADMIT, err);
    command_free_replies(&reply, 1);
    return status;
}

static const char age_script[] = UNLINK_FUNCTION
    "local now, at = tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "local members = redis.call('ZRANGE', KEYS[1], 0, -1)\n"
    "if #members == 0 then\n"
    "    members = {ARGV[4]}\n"
    "end\n"
    "for _, member in ipairs(members) do\n"
    "    local hash = string.match(member, '" NAME_RESPONSE "([0-9a-f]+)$')\n"
    "    if hash and #hash == 64 then\n"
    "        local key, left = ARGV[1] .. member, 0\n"
    "        local times = redis.pcall('GETRANGE', key, at, at + 15)\n"
    "        if type(times) == 'string' and #times == 16 then\n"
    "            local came, fresh = struct.unpack('>i8i8', times)\n"
    "            left = math.min(came, now) + fresh - now\n"
    "        end\n"
    "        if left <= 0 then\n"
    "            unlink(key)\n"
    "        elseif redis.call('PTTL', key) > left then\n"
    "            redis.call('PEXPIRE', key, string.format('%.0f', left))\n"
    "        end\n"
    "    end\n"
    "end\n"
    "return 1\n";

enum larder_status
store_variants_age(struct larder *cache, const char *primary, size_t times_at, int64_t now_wall_ms,
                   int64_t deadline_ms, struct larder_error *err)
{
    redisReply *reply = NULL;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, primary, err);
    if (status != LARDER_OK)
        return status;
    status = command_ask(cache, COMMAND_AGE, deadline_ms, &reply, err,
                         "EVAL %s 1 " SET_NAME " %s %lld %lld %s", age_script, primary,
                         cache->prefix, (long long)now_wall_ms, (long long)times_at, primary);
    if (status != LARDER_OK)
        return status;
    if (reply->type != REDIS_REPLY_INTEGER)
        status = command_unexpected(cache, COMMAND_AGE, err);
    command_free_replies(&reply, 1);
    return status;
}

/* n of the members; old: a Redis before 4.0, which has no UNLINK. */
static enum larder_status
unlink_members(struct larder *cache, const redisReply *members, size_t n, bool old,
               int64_t deadline_ms, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;
    enum command command = old ? COMMAND_DELETE : COMMAND_UNLINK;

    wire_init(&wire);
    command_begin(cache, &wire, n, "%s", old ? "DEL" : "UNLINK");
    for (size_t i = 0; i < members->elements; i++)
        if (is_member(members->element[i]))
            wire_join(&wire, cache->prefix, cache->prefix_len, members->element[i]->str,
                      members->element[i]->len);
    enum larder_status status =
        command_run(cache, command, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (reply->type == REDIS_REPLY_ERROR)
        status = command_refused(cache, command, reply, err);
    command_free_replies(&reply, 1);
    return status;
}

enum larder_status
store_variants_drop(struct larder *cache, const char *primary, int64_t deadline_ms,
                    struct larder_error *err)
{
    struct larder_error own = {.status = LARDER_OK};
    redisReply *members = NULL;
    size_t n = 0;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, primary, err);
    if (status != LARDER_OK)
        return status;
    status = command_ask(cache, COMMAND_VARIANT, deadline_ms, &members, err,
                         "ZRANGE " SET_NAME " 0 -1", primary);
    if (status != LARDER_OK)
        return status;
    if (members->type != REDIS_REPLY_ARRAY) {
        command_free_replies(&members, 1);
        return command_unexpected(cache, COMMAND_VARIANT, err);
    }
    for (size_t i = 0; i < members->elements; i++)
        n += is_member(members->element[i]);
    if (n > 0) {
        bool old = atomic_load_explicit(&cache->no_unlink, memory_order_relaxed);
        status = unlink_members(cache, members, n, old, deadline_ms, &own);
        if (!old && status == LARDER_REFUSED && strstr(own.message, "unknown command")) {
            atomic_store_explicit(&cache->no_unlink, true, memory_order_relaxed);
            status = unlink_members(cache, members, n, true, deadline_ms, &own);
        }
        if (status != LARDER_OK && err)
            *err = own;
    }
    command_free_replies(&members, 1);
    return status;
}

enum larder_status
store_variant_touch(struct larder *cache, const char *primary, const char *key, int64_t now_wall_ms,
                    size_t max_variants, int64_t deadline_ms, struct larder_error *err)
{
    redisReply *reply = NULL;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, primary, err);
    if (status == LARDER_OK)
        status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    status = run_admit(cache, COMMAND_TOUCH, primary, key, "", now_wall_ms, max_variants,
                       deadline_ms, &reply, err);
    if (status == LARDER_OK)
        command_free_replies(&reply, 1);
    return status;
}

enum larder_status
store_peek(struct larder *cache, const char *key, size_t max_len, int64_t deadline_ms,
           struct store_value *value, int64_t *ttl_ms, struct larder_error *err)
{
    redisReply *replies[2];
    struct wire wire;

    memset(value, 0, sizeof *value);
    *ttl_ms = 0;
    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    command_write(cache, &wire, "PTTL :%s", key);
    /* No more of a value that is no marker than it takes to see that. */
    command_write(cache, &wire, "GETRANGE :%s 0 %lld", key, (long long)max_len);
    status = command_run(cache, COMMAND_GET, &wire, deadline_ms, replies, 2, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (replies[0]->type == REDIS_REPLY_ERROR || replies[1]->type == REDIS_REPLY_ERROR)
        status = command_refused(cache, COMMAND_GET,
                                 replies[replies[0]->type == REDIS_REPLY_ERROR ? 0 : 1], err);
    else if (replies[0]->type != REDIS_REPLY_INTEGER || replies[1]->type != REDIS_REPLY_STRING)
        status = command_unexpected(cache, COMMAND_GET, err);
    else if (replies[0]->integer == -2)
        status = error_set(err, LARDER_MISS, "there is no such key");
    else if (replies[1]->len > max_len)
        status = error_set(err, LARDER_CORRUPT, "a value of more than %zu bytes", max_len);
    if (status == LARDER_OK) {
        value->data = malloc(replies[1]->len ? replies[1]->len : 1);
        if (!value->data) {
            status = error_set(err, LARDER_NOMEM, "no memory for %zu bytes", replies[1]->len);
        } else {
            memcpy(value->data, replies[1]->str, replies[1]->len);
            value->len = replies[1]->len;
            *ttl_ms = replies[0]->integer;
        }
    }
    command_free_replies(replies, 2);
    return status;
}
