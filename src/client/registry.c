/*
 * The mutation register: what is written to it; see the header, and doc/design,
 * Mutations. Called by the responder through store.h, and by keeper.c.
 *
 * A record is made before the backend hears of the mutation, and is removed when
 * what the mutation has changed is purged, or nothing was. Between the two the
 * client's own thread says once a second that the owner lives. Where the owner
 * does not know what became of it, or is dead, the record becomes a silent one of
 * each of its tags, which all processes purge for until no backend can be at it
 * any more (reaper.c).
 *
 * Each script has one key. It begins with a write that a full Redis lets through,
 * which makes Redis let the others through as well.
 */
#include "client/registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/generations.h"
#include "client/token.h"

/* A registration that took longer is made again, under another token: it may have been declared dead,
 * and be over, before the backend hears of the mutation. store_mutation_is_young() asks the same. */
#define YOUNG_MS REGISTRY_BEAT_MS
/* Fields of the register: when there are more, what becomes silent is silent for the tag "all". */
#define FIELDS_MAX "512"
/* ARGV: token, value. A repeated one changes nothing, and is no sign of life. */
static const char register_script[] = "redis.call('HDEL', KEYS[1], '')\n"
                                      "return redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])\n";

/* ARGV: token ('': none), its beat ('': any), hold, purges of a new record, tags. How many of them had
 * no silent record before. */
static const char silence_script[] =
    "redis.call('HDEL', KEYS[1], '')\n"
    "if ARGV[2] ~= '' and\n"
    "   string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+) ') ~= ARGV[2] then\n"
    "    return 0\n"
    "end\n"
    "redis.call('HDEL', KEYS[1], ARGV[1])\n"
    "local fresh = 0\n"
    "for i = 5, #ARGV do\n"
    "    local field = '=' .. ARGV[i]\n"
    "    local value = redis.call('HGET', KEYS[1], field)\n"
    "    if not value and redis.call('HLEN', KEYS[1]) >= " FIELDS_MAX " then\n"
    "        field = '=all'\n"
    "        value = redis.call('HGET', KEYS[1], field)\n"
    "    end\n"
    "    local version, purges, age, left = string.match(value or '', '^(%d+) (%d+) (%d+) "
    "(%d+)$')\n"
    "    local hold = tonumber(ARGV[3])\n"
    "    if version then\n"
    "        hold = math.max(hold, tonumber(left))\n"
    "    else\n"
    "        fresh = fresh + 1\n"
    "    end\n"
    "    redis.call('HSET', KEYS[1], field, string.format('%.0f %.0f %.0f %.0f', (version or 0) + "
    "1,\n"
    "               purges or ARGV[4], age or 0, hold))\n"
    "end\n"
    "return fresh\n";

/*
 * ARGV: field, its value as it was read, how long before now the purge began, and what
 * is left of the hold ('': it is over), ... Whoever notes second has purged in vain. A
 * record whose hold has begun anew since keeps what is left of that, and the purge
 * counts all the same: what that one may still commit is purged for by the next.
 */
static const char note_script[] =
    "redis.call('HDEL', KEYS[1], '')\n"
    "for i = 1, #ARGV, 4 do\n"
    "    local value = redis.call('HGET', KEYS[1], ARGV[i]) or ''\n"
    "    local known, purges = string.match(ARGV[i + 1], '^(%d+) (%d+) ')\n"
    "    local version, count, left = string.match(value, '^(%d+) (%d+) %d+ (%d+)$')\n"
    "    if ARGV[i + 3] == '' and value == ARGV[i + 1] then\n"
    "        redis.call('HDEL', KEYS[1], ARGV[i])\n"
    "    elseif count and count == purges then\n"
    "        if version == known and ARGV[i + 3] ~= '' then\n"
    "            left = ARGV[i + 3]\n"
    "        end\n"
    "        redis.call('HSET', KEYS[1], ARGV[i], string.format('%s %.0f %s %s', version,\n"
    "                   count + 1, ARGV[i + 2], left))\n"
    "    end\n"
    "end\n"
    "return 1\n";

void
registry_begin_script(const struct larder *cache, struct wire *wire, const char *script,
                      size_t arguments)
{
    command_begin(cache, wire, arguments, "EVAL %s 1 :" NAME_MUTATIONS, script);
}

/* --------------------------------------------------------------- registration */

bool
store_token_make(store_token token)
{
    return token_make(token, STORE_TOKEN_LEN);
}

static struct store_mutation *
make(const char *const *tags, size_t n, int64_t hold_ms)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += strlen(tags[i]) + 1;
    struct store_mutation *mutation = calloc(1, sizeof *mutation + n * sizeof *tags + bytes);
    if (!mutation)
        return NULL;
    mutation->hold_ms = hold_ms;
    mutation->count = n;
    mutation->tags = (const char **)(void *)(mutation + 1);
    char *p = (char *)(mutation->tags + n);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(tags[i]) + 1;
        memcpy(p, tags[i], len);
        mutation->tags[i] = p;
        p += len;
    }
    return mutation;
}

/* The value of its record; NULL: no memory. To be kept until it is sent. */
static char *
make_value(const struct store_mutation *mutation, size_t *len)
{
    char *value = NULL;
    FILE *out = open_memstream(&value, len);

    if (!out)
        return NULL;
    fprintf(out, "0 %lld", (long long)mutation->hold_ms);
    for (size_t i = 0; i < mutation->count; i++)
        fprintf(out, "\n%s", mutation->tags[i]);
    if (fclose(out) == 0)
        return value;
    free(value);
    return NULL;
}

/*
 * Of each tag a key is deleted beside its generation, which is not there: what may
 * not be, or cannot be reached, could not be purged for the mutation either, and a
 * record that nobody can purge would keep everybody from what is stored.
 */
static void
write_probes(const struct larder *cache, struct wire *wire, const struct store_mutation *mutation)
{
    for (size_t i = 0; i < mutation->count; i++)
        command_write(cache, wire, "DEL " GENERATION_NAME "!", mutation->tags[i]);
}

char *
registry_write_record(const struct larder *cache, struct wire *wire,
                      const struct store_mutation *mutation)
{
    size_t len = 0;
    char *value = make_value(mutation, &len);

    if (!value)
        return NULL;
    registry_begin_script(cache, wire, register_script, 2);
    wire_arg(wire, mutation->token, STORE_TOKEN_LEN);
    wire_arg(wire, value, len);
    return value;
}

static enum larder_status
remove_record(struct larder *cache, const struct store_mutation *mutation, int64_t deadline_ms,
              struct larder_error *err)
{
    redisReply *reply = NULL;

    enum larder_status status = command_ask(cache, COMMAND_LEAVE, deadline_ms, &reply, err,
                                            "HDEL :" NAME_MUTATIONS " %s", mutation->token);
    if (status == LARDER_OK)
        command_free_replies(&reply, 1);
    return status;
}

/* By command_run(), as whose replies the last one's and the first error count. What a failure may have
 * left behind has a late_ms. */
static enum larder_status
try_to_register(struct larder *cache, struct store_mutation *mutation, int64_t deadline_ms,
                struct larder_error *err)
{
    size_t n = mutation->count + 1;
    struct command_more more = {.judges = true};
    redisReply **replies = calloc(n, sizeof(redisReply *));
    char *value = NULL;
    struct wire wire;

    wire_init(&wire);
    if (replies && token_make(mutation->token, STORE_TOKEN_LEN)) {
        write_probes(cache, &wire, mutation);
        value = registry_write_record(cache, &wire, mutation);
    }
    if (!value) {
        free(replies);
        wire_free(&wire);
        return error_set(err, LARDER_NOMEM, "no memory, or no random bytes, for a mutation");
    }
    atomic_store(&mutation->alive_ms, clock_boot_ms());
    enum larder_status status =
        command_run(cache, COMMAND_REGISTER, &wire, deadline_ms, replies, n, &more, err);
    wire_free(&wire);
    free(value);
    bool made = status == LARDER_OK && replies[n - 1]->type == REDIS_REPLY_INTEGER;
    for (size_t i = 0; i < n && status == LARDER_OK; i++)
        if (replies[i]->type == REDIS_REPLY_ERROR)
            status = command_refused(cache, COMMAND_REGISTER, replies[i], err);
        else if (replies[i]->type != REDIS_REPLY_INTEGER)
            status = command_unexpected(cache, COMMAND_REGISTER, err);
    /* One that was repeated may have a first one on its way. */
    if (more.tries > 1 ||
        (status != LARDER_OK && more.tries == 1 &&
         (!made || remove_record(cache, mutation, deadline_ms, NULL) != LARDER_OK)))
        mutation->late_ms = atomic_load(&mutation->alive_ms);
    command_free_replies(replies, n);
    free(replies);
    return status;
}

static bool
is_young(const struct store_mutation *mutation)
{
    return clock_boot_ms() - atomic_load(&mutation->alive_ms) <= YOUNG_MS;
}

static void
enlist(struct larder *cache, struct store_mutation *mutation)
{
    struct registry *registry = &cache->registry;

    pthread_mutex_lock(&registry->lock);
    mutation->next = registry->own;
    registry->own = mutation;
    pthread_mutex_unlock(&registry->lock);
}

/* The backend never hears of it. Redis may carry its registration out all the same, when it wakes: then
 * the client's own thread removes that, lest the others take it for a mutation without an owner. */
static void
forget(struct larder *cache, struct store_mutation *mutation)
{
    if (mutation->late_ms == 0) {
        free(mutation);
        return;
    }
    mutation->state = MUTATION_OVER;
    enlist(cache, mutation);
}

/* With the lock. */
void
registry_delist(struct registry *registry, struct store_mutation *mutation)
{
    struct store_mutation **at = &registry->own;

    while (*at && *at != mutation)
        at = &(*at)->next;
    if (*at)
        *at = mutation->next;
    free(mutation);
}

enum larder_status
store_mutation_begin(struct larder *cache, const char *const *tags, size_t n, int64_t hold_ms,
                     int64_t deadline_ms, struct store_mutation **out, struct larder_error *err)
{
    *out = NULL;
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = generations_check(tags, n, n, err);
    if (status == LARDER_OK && (n == 0 || hold_ms <= 0 || hold_ms > STORE_TTL_MAX_S * 1000))
        status = error_set(err, LARDER_INVALID, "a mutation of %zu tags for %lld ms", n,
                           (long long)hold_ms);
    if (status != LARDER_OK)
        return status;
    for (int tries = 1; !*out; tries++) {
        struct store_mutation *mutation = make(tags, n, hold_ms);
        if (!mutation)
            return error_set(err, LARDER_NOMEM, "no memory for a mutation");
        status = try_to_register(cache, mutation, deadline_ms, err);
        if (status != LARDER_OK) {
            forget(cache, mutation);
            return status;
        }
        enlist(cache, mutation);
        if (is_young(mutation)) {
            *out = mutation;
        } else {
            store_mutation_leave(cache, mutation, deadline_ms);
            if (tries == 2)
                return error_set(err, LARDER_TIMEOUT, "%s: too slow for a mutation twice",
                                 cache->endpoint.where);
        }
    }
    return LARDER_OK;
}

bool
store_mutation_is_young(const struct store_mutation *mutation)
{
    /* One beat may be on its way. */
    return clock_boot_ms() - atomic_load(&mutation->alive_ms) <= 2 * YOUNG_MS;
}

void
store_mutation_leave(struct larder *cache, struct store_mutation *mutation, int64_t deadline_ms)
{
    struct registry *registry = &cache->registry;

    pthread_mutex_lock(&registry->lock);
    /* It may be on its way back: what comes behind that on the same connection removes it, or what is
     * said again later. */
    bool lost = mutation->state == MUTATION_LOST || mutation->late_ms > 0;
    mutation->state = lost ? MUTATION_OVER : MUTATION_LEAVING;
    pthread_mutex_unlock(&registry->lock);
    if (lost)
        return;
    enum larder_status status = remove_record(cache, mutation, deadline_ms, NULL);
    pthread_mutex_lock(&registry->lock);
    if (status == LARDER_OK)
        registry_delist(registry, mutation);
    else
        mutation->state = MUTATION_OVER; /* reaper.c says it later, and frees it then */
    pthread_mutex_unlock(&registry->lock);
}

void
store_mutations_move(struct larder *to, struct larder *from)
{
    struct registry *registry = &from->registry;
    struct store_mutation *over = NULL;

    pthread_mutex_lock(&registry->lock);
    for (struct store_mutation **at = &registry->own; *at;) {
        struct store_mutation *mutation = *at;
        if (mutation->state != MUTATION_OVER) {
            at = &mutation->next;
            continue;
        }
        *at = mutation->next;
        mutation->next = over;
        over = mutation;
    }
    pthread_mutex_unlock(&registry->lock);
    while (over) {
        struct store_mutation *mutation = over;
        over = mutation->next;
        enlist(to, mutation);
    }
}

/* ---------------------------------------------------------------------- silence */

void
registry_write_silence(const struct larder *cache, struct wire *wire, const char *token,
                       const char *beat, int64_t hold_ms, bool due, const char *const *tags,
                       size_t n)
{
    registry_begin_script(cache, wire, silence_script, 4 + n);
    wire_text(wire, token);
    wire_text(wire, beat);
    wire_number(wire, hold_ms);
    wire_number(wire, due ? 0 : 1);
    for (size_t i = 0; i < n; i++)
        wire_text(wire, tags[i]);
}

void
registry_begin_notes(const struct larder *cache, struct wire *wire, size_t n)
{
    registry_begin_script(cache, wire, note_script, 4 * n);
}

void
registry_write_note(struct wire *wire, const char *field, const char *value, int64_t age_ms,
                    int64_t left_ms)
{
    wire_text(wire, field);
    wire_text(wire, value);
    wire_number(wire, age_ms);
    if (left_ms < 0)
        wire_text(wire, "");
    else
        wire_number(wire, left_ms);
}

static enum larder_status
silence(struct larder *cache, const char *token, const char *const *tags, size_t n, int64_t hold_ms,
        int64_t deadline_ms, bool *fresh, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    *fresh = true;
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = generations_check(tags, n, n, err);
    if (status != LARDER_OK || n == 0)
        return status;
    wire_init(&wire);
    registry_write_silence(cache, &wire, token, "", hold_ms, false, tags, n);
    status = command_run(cache, COMMAND_SILENCE, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    *fresh = reply->type != REDIS_REPLY_INTEGER || reply->integer > 0;
    command_free_replies(&reply, 1);
    return LARDER_OK;
}

enum larder_status
store_silence(struct larder *cache, const char *const *tags, size_t n, int64_t hold_ms,
              int64_t deadline_ms, bool *fresh, struct larder_error *err)
{
    return silence(cache, "", tags, n, hold_ms, deadline_ms, fresh, err);
}

enum larder_status
store_mutation_silence(struct larder *cache, struct store_mutation *mutation, int64_t deadline_ms,
                       bool *fresh, struct larder_error *err)
{
    struct registry *registry = &cache->registry;
    enum larder_status status = silence(cache, mutation->token, mutation->tags, mutation->count,
                                        mutation->hold_ms, deadline_ms, fresh, err);

    /* Where that could not be said nobody beats for it: the others find out by themselves. */
    pthread_mutex_lock(&registry->lock);
    registry_delist(registry, mutation);
    pthread_mutex_unlock(&registry->lock);
    return status;
}
