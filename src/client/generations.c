/*
 * Generations: what a stored response's tags are worth now.
 *
 * A fill reads them before it asks the backend, and creates those that are
 * missing, for as long as a fetch may take; whoever stores something under them
 * prolongs that. Two
 * commands a tag, none of which writes where the generation is there, as nearly
 * always. (SET NX GET would be one command less, from Redis 7 on.) How they
 * change is in change.c.
 */
#include "client/generations.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "client/change.h"
#include "client/client.h"
#include "client/command.h"
#include "client/news.h"
#include "client/token.h"

/* What the life of a generation is compared with is a little more than that of the entry. */
#define SLACK_MS INT64_C(60000)
/* All tags of one entry. */
/* The time in a soft part, before its random digits. */
#define SOFT_TIME_DIGITS 12

/* Of each tag: ARGV[1] is what its generation has to live, ARGV[2] what it gets if it would not. Not what
 * came meanwhile, which has a life of its own. */
static const char lives_script[] = "for i, key in ipairs(KEYS) do\n"
                                   "    local left = redis.call('PTTL', key)\n"
                                   "    if left >= 0 and left < tonumber(ARGV[1]) and "
                                   "redis.pcall('GET', key) == ARGV[i + 2] then\n"
                                   "        redis.call('PEXPIRE', key, ARGV[2])\n"
                                   "    end\n"
                                   "end\n"
                                   "return 0\n";

void
generations_key(const struct larder *cache, struct wire *wire, const char *tag)
{
    char key[sizeof NAME_GENERATION + STORE_TAG_SIZE];
    size_t n = strlen(tag);

    memcpy(key, NAME_GENERATION, NAME_LEN(NAME_GENERATION));
    memcpy(key + NAME_LEN(NAME_GENERATION), tag, n);
    wire_join(wire, cache->prefix, cache->prefix_len, key, NAME_LEN(NAME_GENERATION) + n);
}

enum larder_status
generations_check(const char *const *tags, size_t n, size_t most, struct larder_error *err)
{
    bool ok = n <= most;

    for (size_t i = 0; ok && i < n; i++)
        ok = tags[i] && strnlen(tags[i], STORE_TAG_SIZE) < STORE_TAG_SIZE;
    return ok ? LARDER_OK : error_set(err, LARDER_INVALID, "tags that cannot be");
}

/* -------------------------------------------------------------------- reading */

void
generation_read(store_generation out, const char *value, size_t len)
{
    memset(out, 0, sizeof(store_generation));
    /* An older Larder's, which marked what a mutation might change: it matches nothing, and ends by
     * itself. */
    if (len > 0 && len <= GENERATION_MARKED_MAX && value[0] == 'M')
        out[0] = 'M';
    else if (len == STORE_GENERATION_LEN && !memchr(value, '\0', len))
        memcpy(out, value, len);
}

void
generation_life(const struct larder *cache, char life[GENERATION_LIFE_SIZE])
{
    snprintf(life, GENERATION_LIFE_SIZE, "%lld", (long long)cache->new_life_ms);
}

enum larder_status
generations_ask(const struct larder *cache, struct wire *wire, const char *const *tags, size_t n,
                struct larder_error *err)
{
    for (size_t i = 0; i < n; i++) {
        store_generation fresh;
        if (!generation_make(fresh))
            return error_set(err, LARDER_UNAVAILABLE, "no random bytes for a generation");
        command_write(cache, wire, "SET " GENERATION_NAME " %s PX %lld NX", tags[i], fresh,
                      (long long)cache->new_life_ms);
        command_write(cache, wire, "GET " GENERATION_NAME, tags[i]);
    }
    return LARDER_OK;
}

void
generations_read(redisReply *const *replies, size_t n, store_generation *out)
{
    for (size_t i = 0; i < n; i++) {
        const redisReply *value = replies[i * GENERATIONS_PER_TAG + 1];
        if (value->type == REDIS_REPLY_STRING)
            generation_read(out[i], value->str, value->len);
        else
            memset(out[i], 0, sizeof out[i]);
    }
}

void
generations_tend(struct larder *cache, const char *const *tags, size_t n,
                 redisReply *const *replies, int64_t deadline_ms)
{
    for (size_t i = 0; i < n; i++) {
        const redisReply *value = replies[i * GENERATIONS_PER_TAG + 1];
        store_generation now = "";
        if (value->type == REDIS_REPLY_STRING)
            generation_read(now, value->str, value->len);
        if (!now[0] &&
            (value->type == REDIS_REPLY_STRING ||
             (value->type == REDIS_REPLY_ERROR && strncmp(value->str, "WRONGTYPE", 9) == 0)))
            (void)store_purge_tags(cache, &tags[i], 1, false, deadline_ms, NULL);
    }
}

/* ------------------------------------------------------------------------ how long */

void
store_new_generations_live(struct larder *cache, int64_t life_ms)
{
    const int64_t most_ms = STORE_GENERATION_TTL_S * 1000;
    cache->new_life_ms = life_ms < 1 ? 1 : life_ms < most_ms ? life_ms : most_ms;
}

void
generations_write_lives(const struct larder *cache, struct wire *wire,
                        const struct store_lives *lives, int64_t ttl_ms)
{
    const int64_t needed_ms = ttl_ms + SLACK_MS, most_ms = STORE_GENERATION_TTL_S * 1000;

    command_begin(cache, wire, 2 * lives->n + 2, "EVAL %s %d", lives_script, (int)lives->n);
    for (size_t i = 0; i < lives->n; i++)
        generations_key(cache, wire, lives->tags[i]);
    wire_number(wire, needed_ms);
    wire_number(wire, 2 * needed_ms < most_ms ? 2 * needed_ms : most_ms);
    for (size_t i = 0; i < lives->n; i++)
        wire_arg(wire, lives->values[i], STORE_GENERATION_LEN);
}

enum larder_status
store_generations_keep(struct larder *cache, const struct store_lives *lives, int64_t ttl_ms,
                       int64_t deadline_ms, struct larder_error *err)
{
    redisReply *reply;
    struct wire wire;

    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = generations_check(lives->tags, lives->n, STORE_LIVES_MAX, err);
    if (status != LARDER_OK || lives->n == 0)
        return status;
    wire_init(&wire);
    generations_write_lives(cache, &wire, lives, ttl_ms);
    status = command_run(cache, COMMAND_LIFE, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status == LARDER_OK)
        command_free_replies(&reply, 1);
    return status;
}

enum larder_status
store_generations(struct larder *cache, const struct store_tags *tags, int64_t deadline_ms,
                  struct store_generations *out, uint64_t *identity,
                  struct store_position *position, struct larder_error *err)
{
    redisReply *replies[STORE_TAGS_MAX * GENERATIONS_PER_TAG + 1];
    const size_t due = tags->count * GENERATIONS_PER_TAG + (position ? 1 : 0);
    struct command_more more = {.judges = false};
    struct wire wire;

    memset(out, 0, sizeof *out);
    *identity = 0;
    if (position)
        *position = (struct store_position){.identity = 0};
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = generations_check(tags->name, tags->count, STORE_TAGS_MAX, err);
    if (status != LARDER_OK)
        return status;
    out->count = tags->count;
    if (tags->count == 0)
        return LARDER_OK;

    /* One pipeline, so that all are of one connection and with that of one server. */
    wire_init(&wire);
    status = generations_ask(cache, &wire, tags->name, tags->count, err);
    if (position)
        news_ask_last(cache, &wire);
    if (status == LARDER_OK)
        status =
            command_run(cache, COMMAND_GENERATIONS, &wire, deadline_ms, replies, due, &more, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    *identity = more.identity;
    generations_read(replies, tags->count, out->value);
    generations_tend(cache, tags->name, tags->count, replies, deadline_ms);
    /* If this is no record, store_position() finds that out and says so. */
    if (position && news_read_last(replies[due - 1], position))
        position->identity = more.identity;
    command_free_replies(replies, due);
    return LARDER_OK;
}

int64_t
store_soft_time_ms(const store_generation value)
{
    int64_t time_ms = 0;

    if (!store_generation_settled(value))
        return 0;
    for (int i = 0; i < SOFT_TIME_DIGITS; i++) {
        char c = value[STORE_HARD_LEN + i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return 0;
        time_ms = time_ms * 16 + digit;
    }
    return time_ms;
}
