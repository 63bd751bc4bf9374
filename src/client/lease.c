/*
 * Leases: one of all processes may do a thing, for a while. A lease is only ever
 * given back by who has it: it carries a random token, and giving back compares. Who
 * gives it back, or has lost it meanwhile, wakes all who wait for it (listen.c).
 * A lease that is lost in a failure ends with its life; nobody waits for ever.
 */
#include <string.h>

#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/store.h"
#include "client/token.h"

/* For command_write(). */
#define LEASE_NAME ":" NAME_LEASE "%s"

static const char drop_script[] = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
                                  "    return redis.call('DEL', KEYS[1])\n"
                                  "end\n"
                                  "return 0\n";

static const char extend_script[] = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
                                    "    return redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
                                    "end\n"
                                    "return 0\n";

static enum larder_status
check_lease(const struct larder *cache, const char *name, struct larder_error *err)
{
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    return command_check_key(cache, name, err);
}

enum larder_status
store_lease_take(struct larder *cache, const char *name, int64_t life_ms, int64_t deadline_ms,
                 store_token token, int64_t *left_ms, struct larder_error *err)
{
    redisReply *replies[2];
    struct wire wire;

    token[0] = '\0';
    *left_ms = 0;
    enum larder_status status = check_lease(cache, name, err);
    if (status != LARDER_OK)
        return status;
    if (life_ms <= 0 || !token_make(token, STORE_TOKEN_LEN))
        return error_set(err, LARDER_INVALID, "a lease for %lld ms, or no random bytes",
                         (long long)life_ms);
    wire_init(&wire);
    command_write(cache, &wire, "SET " LEASE_NAME " %s NX PX %lld", name, token,
                  (long long)life_ms);
    command_write(cache, &wire, "PTTL " LEASE_NAME, name);
    status = command_run(cache, COMMAND_LEASE, &wire, deadline_ms, replies, 2, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (replies[0]->type == REDIS_REPLY_ERROR) {
        status = command_refused(cache, COMMAND_LEASE, replies[0], err);
    } else if (replies[0]->type == REDIS_REPLY_NIL) {
        status = error_set(err, LARDER_MISS, "somebody else has the lease of %s", name);
        /* It may have ended between the two, and then it has nothing left. */
        if (replies[1]->type == REDIS_REPLY_INTEGER && replies[1]->integer > 0)
            *left_ms = replies[1]->integer;
    } else if (replies[0]->type != REDIS_REPLY_STATUS) {
        status = command_unexpected(cache, COMMAND_LEASE, err);
    }
    command_free_replies(replies, 2);
    return status;
}

enum larder_status
store_leases_extend(struct larder *cache, struct store_lease *const *leases, size_t n,
                    int64_t deadline_ms, struct larder_error *err)
{
    redisReply *replies[STORE_LEASES_MAX];
    struct wire wire;
    enum larder_status status =
        n <= STORE_LEASES_MAX ? LARDER_OK : error_set(err, LARDER_INVALID, "%zu leases at once", n);

    for (size_t i = 0; i < n && status == LARDER_OK; i++)
        status = check_lease(cache, leases[i]->name, err);
    if (status != LARDER_OK || n == 0)
        return status;
    wire_init(&wire);
    for (size_t i = 0; i < n; i++)
        command_write(cache, &wire, "EVAL %s 1 " LEASE_NAME " %s %lld", extend_script,
                      leases[i]->name, leases[i]->token, (long long)leases[i]->life_ms);
    status = command_run(cache, COMMAND_LEASE_EXTEND, &wire, deadline_ms, replies, n, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        leases[i]->lost = replies[i]->type == REDIS_REPLY_INTEGER && replies[i]->integer != 1;
    command_free_replies(replies, n);
    return LARDER_OK;
}

enum larder_status
store_leases_end(struct larder *cache, struct store_lease *const *leases, size_t n,
                 int64_t deadline_ms, struct larder_error *err)
{
    redisReply *replies[2 * STORE_LEASES_MAX];
    struct wire wire;
    enum larder_status status =
        n <= STORE_LEASES_MAX ? LARDER_OK : error_set(err, LARDER_INVALID, "%zu leases at once", n);

    for (size_t i = 0; i < n && status == LARDER_OK; i++)
        status = check_lease(cache, leases[i]->name, err);
    if (status != LARDER_OK || n == 0)
        return status;
    wire_init(&wire);
    for (size_t i = 0; i < n; i++) {
        command_write(cache, &wire, "EVAL %s 1 " LEASE_NAME " %s", drop_script, leases[i]->name,
                      leases[i]->token);
        /* "<word> <name>" to all who listen. */
        command_begin(cache, &wire, 1, "PUBLISH :" NAME_WAKE);
        wire_join(&wire, (char[]){leases[i]->word, ' '}, 2, leases[i]->name,
                  strlen(leases[i]->name));
    }
    status = command_run(cache, COMMAND_LEASE_END, &wire, deadline_ms, replies, 2 * n, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    for (size_t i = 0; i < 2 * n && status == LARDER_OK; i++) {
        if (replies[i]->type == REDIS_REPLY_ERROR)
            status = command_refused(cache, COMMAND_LEASE_END, replies[i], err);
        else if (replies[i]->type != REDIS_REPLY_INTEGER)
            status = command_unexpected(cache, COMMAND_LEASE_END, err);
    }
    command_free_replies(replies, 2 * n);
    return status;
}
