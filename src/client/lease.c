/*
 * Leases: one of all processes may do a thing, for a while. A lease is only ever
 * given back by who has it: it carries a random token, and giving back compares.
 * Who loses one in a failure waits for its life to end; nobody waits for ever.
 */
#include <string.h>

#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/store.h"
#include "client/token.h"

static const char drop_script[] = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
                                  "    return redis.call('DEL', KEYS[1])\n"
                                  "end\n"
                                  "return 0\n";

static void
lease_key(const struct larder *cache, struct wire *wire, const char *name)
{
    static const char prefix[] = "lease:";
    char key[sizeof prefix + LARDER_KEY_MAX];
    size_t n = strnlen(name, LARDER_KEY_MAX);

    memcpy(key, prefix, sizeof prefix - 1);
    memcpy(key + sizeof prefix - 1, name, n);
    wire_join(wire, cache->prefix, cache->prefix_len, key, sizeof prefix - 1 + n);
}

enum larder_status
store_lease_take(struct larder *cache, const char *name, int64_t life_ms, int64_t deadline_ms,
                 char token[STORE_GENERATION_LEN + 1], struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    token[0] = '\0';
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = command_check_key(cache, name, err);
    if (status != LARDER_OK)
        return status;
    if (life_ms <= 0 || !token_make(token, STORE_GENERATION_LEN))
        return error_set(err, LARDER_INVALID, "a lease for %lld ms, or no random bytes",
                         (long long)life_ms);
    wire_init(&wire);
    wire_begin(&wire, 6);
    wire_text(&wire, "SET");
    lease_key(cache, &wire, name);
    wire_text(&wire, token);
    wire_text(&wire, "NX");
    wire_text(&wire, "PX");
    wire_number(&wire, life_ms);
    status = command_run(cache, COMMAND_LEASE, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (reply->type == REDIS_REPLY_NIL)
        status = error_set(err, LARDER_MISS, "somebody else has the lease of %s", name);
    else if (reply->type != REDIS_REPLY_STATUS)
        status = command_unexpected(cache, COMMAND_LEASE, err);
    command_free_replies(&reply, 1);
    return status;
}

enum larder_status
store_lease_drop(struct larder *cache, const char *name, const char *token, int64_t deadline_ms,
                 struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = command_check_key(cache, name, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    wire_begin(&wire, 5);
    wire_text(&wire, "EVAL");
    wire_text(&wire, drop_script);
    wire_number(&wire, 1);
    lease_key(cache, &wire, name);
    wire_text(&wire, token);
    status = command_run(cache, COMMAND_UNLOCK, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status == LARDER_OK)
        command_free_replies(&reply, 1);
    return status;
}
