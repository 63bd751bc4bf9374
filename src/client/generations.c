/*
 * Generations: what a stored response's tags are worth now.
 *
 * A fill reads them before it asks the backend, and creates those that are
 * missing. To invalidate is to delete: it works in a full Redis and may be
 * repeated. Only who invalidates and stores in one go (an answer to POST) has to
 * know that nobody else invalidated meanwhile, and exchanges the generation in
 * one step.
 */
#include "client/generations.h"

#include <string.h>

#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/token.h"

static enum larder_status
disabled(struct larder_error *err)
{
    return error_set(err, LARDER_DISABLED, "the cache is switched off");
}

void
generations_key(const struct larder *cache, struct wire *wire, const char *tag)
{
    char key[sizeof "gen:" + STORE_TAG_SIZE];
    size_t n = strlen(tag);

    memcpy(key, "gen:", 4);
    memcpy(key + 4, tag, n);
    wire_join(wire, cache->prefix, cache->prefix_len, key, n + 4);
}

enum larder_status
generations_check(const struct store_tags *tags, struct larder_error *err)
{
    bool ok = tags->count <= STORE_TAGS_MAX;

    for (size_t i = 0; ok && i < tags->count; i++)
        ok = strnlen(tags->name[i], STORE_TAG_SIZE) < STORE_TAG_SIZE;
    return ok ? LARDER_OK : error_set(err, LARDER_INVALID, "tags that cannot be");
}

/* Three commands a tag: create it unless it is there, let it live, read it. (SET NX GET would be
 * one, from Redis 7 on.) */
#define PER_TAG ((size_t)3)

enum larder_status
store_generations(struct larder *cache, const struct store_tags *tags, int64_t deadline_ms,
                  struct store_generations *out, struct larder_error *err)
{
    redisReply *replies[STORE_TAGS_MAX * PER_TAG];
    struct wire wire;

    memset(out, 0, sizeof *out);
    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = generations_check(tags, err);
    if (status != LARDER_OK)
        return status;
    out->count = tags->count;
    if (tags->count == 0)
        return LARDER_OK;

    wire_init(&wire);
    for (size_t i = 0; i < tags->count; i++) {
        char fresh[STORE_GENERATION_LEN + 1];
        if (!token_make(fresh, STORE_GENERATION_LEN)) {
            wire_free(&wire);
            return error_set(err, LARDER_UNAVAILABLE, "no random bytes for a generation");
        }
        wire_begin(&wire, 6);
        wire_text(&wire, "SET");
        generations_key(cache, &wire, tags->name[i]);
        wire_arg(&wire, fresh, STORE_GENERATION_LEN);
        wire_text(&wire, "EX");
        wire_number(&wire, STORE_GENERATION_TTL_S);
        wire_text(&wire, "NX");
        wire_begin(&wire, 3);
        wire_text(&wire, "EXPIRE");
        generations_key(cache, &wire, tags->name[i]);
        wire_number(&wire, STORE_GENERATION_TTL_S);
        wire_begin(&wire, 2);
        wire_text(&wire, "GET");
        generations_key(cache, &wire, tags->name[i]);
    }
    status = command_run(cache, COMMAND_GENERATIONS, &wire, deadline_ms, replies,
                         tags->count * PER_TAG, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    for (size_t i = 0; i < tags->count; i++) {
        const redisReply *life = replies[i * PER_TAG + 1];
        const redisReply *value = replies[i * PER_TAG + 2];
        /* One whose life was not extended could die, and be missed, before the entry does: it
         * would only be a miss, but a refused GET is no value at all. */
        if (life->type == REDIS_REPLY_INTEGER && life->integer == 1 &&
            value->type == REDIS_REPLY_STRING && value->len == STORE_GENERATION_LEN &&
            !memchr(value->str, '\0', value->len))
            memcpy(out->value[i], value->str, STORE_GENERATION_LEN);
    }
    command_free_replies(replies, tags->count * PER_TAG);
    return LARDER_OK;
}

/* ---------------------------------------------------------------- invalidation */

/* One DEL each, in one round trip: never two keys in one command, which a cluster refuses. */
enum larder_status
store_invalidate_tags(struct larder *cache, const char (*tags)[STORE_TAG_SIZE], size_t n,
                      int64_t deadline_ms, struct larder_error *err)
{
    redisReply *replies[STORE_INVALIDATE_TAGS_MAX];
    struct wire wire;

    if (!cache->options.enabled)
        return disabled(err);
    if (n > STORE_INVALIDATE_TAGS_MAX)
        return error_set(err, LARDER_INVALID, "%zu tags, at most %d", n, STORE_INVALIDATE_TAGS_MAX);
    for (size_t i = 0; i < n; i++)
        if (strnlen(tags[i], STORE_TAG_SIZE) == STORE_TAG_SIZE)
            return error_set(err, LARDER_INVALID, "a tag that cannot be");
    if (n == 0)
        return LARDER_OK;
    wire_init(&wire);
    for (size_t i = 0; i < n; i++) {
        wire_begin(&wire, 2);
        wire_text(&wire, "DEL");
        generations_key(cache, &wire, tags[i]);
    }
    enum larder_status status =
        command_run(cache, COMMAND_INVALIDATE, &wire, deadline_ms, replies, n, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    for (size_t i = 0; i < n && status == LARDER_OK; i++) {
        if (replies[i]->type == REDIS_REPLY_ERROR)
            status = command_refused(cache, COMMAND_INVALIDATE, replies[i], err);
        else if (replies[i]->type != REDIS_REPLY_INTEGER)
            status = command_unexpected(cache, COMMAND_INVALIDATE, err);
    }
    command_free_replies(replies, n);
    return status;
}

/* 1: exchanged. 0: it was another's already, and is deleted. */
static const char renew_script[] = "if redis.call('GET', KEYS[1]) == ARGV[1] then\n"
                                   "    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\n"
                                   "    return 1\n"
                                   "end\n"
                                   "redis.call('DEL', KEYS[1])\n"
                                   "return 0\n";

enum larder_status
store_renew_generation(struct larder *cache, const char *tag, const char *seen, int64_t deadline_ms,
                       char next[STORE_GENERATION_LEN + 1], bool *claimed, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;
    struct larder_error ignored;
    char fresh[STORE_GENERATION_LEN + 1], name[1][STORE_TAG_SIZE] = {""};

    *claimed = false;
    if (!cache->options.enabled)
        return disabled(err);
    if (strnlen(tag, STORE_TAG_SIZE) == STORE_TAG_SIZE || !token_make(fresh, STORE_GENERATION_LEN))
        return error_set(err, LARDER_INVALID, "a tag that cannot be, or no random bytes");
    memcpy(name[0], tag, strlen(tag) + 1);
    wire_init(&wire);
    wire_begin(&wire, 7);
    wire_text(&wire, "EVAL");
    wire_text(&wire, renew_script);
    wire_number(&wire, 1);
    generations_key(cache, &wire, tag);
    wire_text(&wire, seen);
    wire_text(&wire, fresh);
    wire_number(&wire, STORE_GENERATION_TTL_S);
    enum larder_status status =
        command_run(cache, COMMAND_RENEW, &wire, deadline_ms, &reply, 1, NULL, &ignored);
    wire_free(&wire);
    if (status == LARDER_OK) {
        bool ours = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
        bool gone = reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;
        command_free_replies(&reply, 1);
        if (ours) {
            memcpy(next, fresh, sizeof fresh);
            *claimed = true;
        }
        if (ours || gone)
            return LARDER_OK;
    }
    /* A full Redis refuses the SET, an ACL the script, or nobody knows: deleting always does. */
    return store_invalidate_tags(cache, (const char(*)[STORE_TAG_SIZE])name, 1, deadline_ms, err);
}
