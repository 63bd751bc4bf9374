/*
 * What a URL's variants need of Redis beside their values: a sorted set of their
 * keys by last use, so that their number stays bounded, and small calls for the
 * marker and for the lease of a refresh.
 *
 * A variant is in the set before its value is stored, so that no crash leaves
 * one that is not counted. Redis is not trusted: what the set names is unlinked
 * only if it is the key of a response.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/store.h"
#include "client/token.h"

#define HASH_LEN 64
/* Surplus that is cleared in one go; a set that is far over its bound shrinks step by step. */
#define SURPLUS_MAX 16

static enum larder_status
disabled(struct larder_error *err)
{
    return error_set(err, LARDER_DISABLED, "the cache is switched off");
}

static void
variants_key(const struct larder *cache, struct wire *wire, const char *primary)
{
    static const char suffix[] = ":variants";
    char key[LARDER_KEY_MAX + sizeof suffix];
    size_t n = strnlen(primary, LARDER_KEY_MAX);

    memcpy(key, primary, n);
    memcpy(key + n, suffix, sizeof suffix - 1);
    wire_join(wire, cache->prefix, cache->prefix_len, key, n + sizeof suffix - 1);
}

static bool
is_response_key(const char *key, size_t len)
{
    static const char part[] = "response:";
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

/* The least recently used that are over the bound: out of the set, and then out of the store. */
static enum larder_status
drop_surplus(struct larder *cache, const char *primary, const char *own, size_t surplus,
             int64_t deadline_ms, struct larder_error *err)
{
    redisReply *members = NULL, *replies[2 * SURPLUS_MAX];
    struct wire wire;
    size_t n = 0;

    if (surplus > SURPLUS_MAX)
        surplus = SURPLUS_MAX;
    wire_init(&wire);
    wire_begin(&wire, 4);
    wire_text(&wire, "ZRANGE");
    variants_key(cache, &wire, primary);
    wire_number(&wire, 0);
    wire_number(&wire, (int64_t)surplus - 1);
    enum larder_status status =
        command_run(cache, COMMAND_VARIANT, &wire, deadline_ms, &members, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (members->type != REDIS_REPLY_ARRAY) {
        command_free_replies(&members, 1);
        return command_unexpected(cache, COMMAND_VARIANT, err);
    }
    wire_init(&wire);
    for (size_t i = 0; i < members->elements && i < surplus; i++) {
        const redisReply *member = members->element[i];
        if (member->type != REDIS_REPLY_STRING ||
            (member->len == strlen(own) && memcmp(member->str, own, member->len) == 0))
            continue;
        wire_begin(&wire, 3);
        wire_text(&wire, "ZREM");
        variants_key(cache, &wire, primary);
        wire_arg(&wire, member->str, member->len);
        n++;
        if (!is_response_key(member->str, member->len))
            continue;
        wire_begin(&wire, 2);
        wire_text(&wire, "UNLINK");
        wire_join(&wire, cache->prefix, cache->prefix_len, member->str, member->len);
        n++;
    }
    if (n > 0) {
        status = command_run(cache, COMMAND_VARIANT, &wire, deadline_ms, replies, n, NULL, err);
        if (status == LARDER_OK)
            command_free_replies(replies, n);
    }
    wire_free(&wire);
    command_free_replies(&members, 1);
    return status;
}

/* Into the set, and how many there are then. The set lives as long as this variant at least. */
static enum larder_status
count_variant(struct larder *cache, const char *primary, const char *key, int64_t ttl_ms,
              int64_t now_wall_ms, int64_t deadline_ms, size_t *count, struct larder_error *err)
{
    redisReply *replies[3];
    struct wire wire;

    wire_init(&wire);
    wire_begin(&wire, 4);
    wire_text(&wire, "ZADD");
    variants_key(cache, &wire, primary);
    wire_number(&wire, now_wall_ms);
    wire_text(&wire, key);
    wire_begin(&wire, 2);
    wire_text(&wire, "ZCARD");
    variants_key(cache, &wire, primary);
    wire_begin(&wire, 2);
    wire_text(&wire, "PTTL");
    variants_key(cache, &wire, primary);
    enum larder_status status =
        command_run(cache, COMMAND_VARIANT, &wire, deadline_ms, replies, 3, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    int64_t left_ms = 0;
    for (size_t i = 0; i < 3 && status == LARDER_OK; i++) {
        if (replies[i]->type == REDIS_REPLY_ERROR)
            status = command_refused(cache, COMMAND_VARIANT, replies[i], err);
        else if (replies[i]->type != REDIS_REPLY_INTEGER)
            status = command_unexpected(cache, COMMAND_VARIANT, err);
    }
    if (status == LARDER_OK) {
        *count = replies[1]->integer > 0 ? (size_t)replies[1]->integer : 0;
        left_ms = replies[2]->integer;
    }
    command_free_replies(replies, 3);
    if (status != LARDER_OK || left_ms >= ttl_ms)
        return status;
    redisReply *reply = NULL;
    wire_init(&wire);
    wire_begin(&wire, 3);
    wire_text(&wire, "PEXPIRE");
    variants_key(cache, &wire, primary);
    wire_number(&wire, ttl_ms);
    status = command_run(cache, COMMAND_VARIANT, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status == LARDER_OK)
        command_free_replies(&reply, 1);
    return status;
}

enum larder_status
store_variant_put(struct larder *cache, const char *primary, const char *key,
                  const struct iovec *iov, int iovcnt, int64_t ttl_ms,
                  const struct store_guard *guard, int64_t now_wall_ms, size_t max_variants,
                  int64_t deadline_ms, struct larder_error *err)
{
    size_t count = 0;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, primary, err);
    if (status == LARDER_OK)
        status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    if (ttl_ms <= 0 || ttl_ms > STORE_TTL_MAX_S * 1000)
        return error_set(err, LARDER_INVALID, "a time to live of %lld ms", (long long)ttl_ms);
    status = count_variant(cache, primary, key, ttl_ms, now_wall_ms, deadline_ms, &count, err);
    if (status == LARDER_OK && count > max_variants)
        status = drop_surplus(cache, primary, key, count - max_variants, deadline_ms, err);
    if (status != LARDER_OK)
        return status;
    return store_put(cache, key, iov, iovcnt, ttl_ms, guard, deadline_ms, err);
}

enum larder_status
store_variants_drop(struct larder *cache, const char *primary, int64_t deadline_ms,
                    struct larder_error *err)
{
    redisReply *members = NULL, *reply = NULL;
    struct wire wire;
    size_t n = 0;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, primary, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    wire_begin(&wire, 4);
    wire_text(&wire, "ZRANGE");
    variants_key(cache, &wire, primary);
    wire_number(&wire, 0);
    wire_number(&wire, -1);
    status = command_run(cache, COMMAND_VARIANT, &wire, deadline_ms, &members, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (members->type != REDIS_REPLY_ARRAY) {
        command_free_replies(&members, 1);
        return command_unexpected(cache, COMMAND_VARIANT, err);
    }
    for (size_t i = 0; i < members->elements; i++)
        n += is_member(members->element[i]);
    if (n > 0) {
        wire_init(&wire);
        wire_begin(&wire, n + 1);
        wire_text(&wire, "UNLINK");
        for (size_t i = 0; i < members->elements; i++)
            if (is_member(members->element[i]))
                wire_join(&wire, cache->prefix, cache->prefix_len, members->element[i]->str,
                          members->element[i]->len);
        status = command_run(cache, COMMAND_UNLINK, &wire, deadline_ms, &reply, 1, NULL, err);
        wire_free(&wire);
        if (status == LARDER_OK)
            command_free_replies(&reply, 1);
    }
    command_free_replies(&members, 1);
    return status;
}

/* One command whose reply does not matter beyond being one. */
static enum larder_status
run_plain(struct larder *cache, enum command command, struct wire *wire, int64_t deadline_ms,
          struct larder_error *err)
{
    redisReply *reply = NULL;
    enum larder_status status =
        command_run(cache, command, wire, deadline_ms, &reply, 1, NULL, err);

    wire_free(wire);
    if (status == LARDER_OK)
        command_free_replies(&reply, 1);
    return status;
}

enum larder_status
store_variant_touch(struct larder *cache, const char *primary, const char *key, int64_t now_wall_ms,
                    int64_t deadline_ms, struct larder_error *err)
{
    struct wire wire;

    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, primary, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    wire_begin(&wire, 5);
    wire_text(&wire, "ZADD");
    variants_key(cache, &wire, primary);
    wire_text(&wire, "XX");
    wire_number(&wire, now_wall_ms);
    wire_text(&wire, key);
    return run_plain(cache, COMMAND_VARIANT, &wire, deadline_ms, err);
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
    wire_begin(&wire, 2);
    wire_text(&wire, "PTTL");
    command_key(cache, &wire, key);
    wire_begin(&wire, 4); /* no more of a value that is no marker than it takes to see that */
    wire_text(&wire, "GETRANGE");
    command_key(cache, &wire, key);
    wire_number(&wire, 0);
    wire_number(&wire, (int64_t)max_len);
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
