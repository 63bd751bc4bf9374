/*
 * The mutation register: signs of life for what this process has under way; see
 * registry.h. Called by keeper.c once a second.
 *
 * A record that is gone while its owner lives is put back as it was: a Redis has lost
 * it, or somebody took this process for dead, and what that one made of it stays
 * beside. What an owner says of the end of such a one goes behind that on the same
 * connection, so that no record comes back after its end.
 *
 * Where a registration was sent and never answered there is no such order: a Redis that
 * hung carries it out when it wakes, one behind a network that was away gets it when that
 * is back. So the end of such a one is said once a second for a while.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client/client.h"
#include "client/command.h"
#include "client/registry.h"

#define LONG_AGO_MS (-(INT64_C(1) << 40))
/* How late a registration may come after Redis has first answered again: TCP repeats what it has not
 * got through within as much time as that has been so, and within two minutes. */
#define LATE_MIN_MS REGISTRY_L_MS
#define LATE_MAX_MS INT64_C(120000)

/* ARGV: tokens. The numbers of those that are not there. */
static const char beat_script[] =
    "redis.call('HDEL', KEYS[1], '')\n"
    "local lost = {}\n"
    "for i, token in ipairs(ARGV) do\n"
    "    local beat, rest = string.match(redis.call('HGET', KEYS[1], token) or '', '^(%d+)(.+)$')\n"
    "    if beat then\n"
    "        redis.call('HSET', KEYS[1], token, string.format('%.0f', beat + 1) .. rest)\n"
    "    else\n"
    "        lost[#lost + 1] = i\n"
    "    end\n"
    "end\n"
    "return lost\n";

/* The signs of life of the mutations of this process, all by tokens that are copied: one may end while
 * the words are under way. */
struct words {
    store_token *said; /* those that live, those that were lost, those that are over */
    char **values;     /* of those that were lost: to be freed when they are sent */
    size_t lives, lost, over;
};

static size_t
count_own(const struct registry *registry, int state)
{
    size_t n = 0;

    for (const struct store_mutation *own = registry->own; own; own = own->next)
        n += (int)own->state == state;
    return n;
}

static void
write_tokens(const struct registry *registry, struct wire *wire, int state, store_token *said)
{
    for (const struct store_mutation *own = registry->own; own; own = own->next)
        if ((int)own->state == state) {
            wire_arg(wire, own->token, STORE_TOKEN_LEN);
            memcpy(*said++, own->token, sizeof(store_token));
        }
}

static void
free_words(struct words *words)
{
    for (size_t i = 0; i < words->lost; i++)
        free(words->values[i]);
    free(words->values);
    free(words->said);
}

/* With the lock. false: no memory. */
static bool
write_words(struct larder *cache, struct wire *wire, struct words *words)
{
    struct registry *registry = &cache->registry;
    int64_t now_ms = clock_boot_ms();
    size_t n = 0;

    *words = (struct words){.said = NULL};
    if (now_ms - registry->beat_ms < REGISTRY_BEAT_MS - REGISTRY_SOON_MS / 2) {
        registry_write_read(cache, wire);
        return true;
    }
    size_t lives = count_own(registry, MUTATION_LIVES), lost = count_own(registry, MUTATION_LOST),
           over = count_own(registry, MUTATION_OVER);
    words->said = calloc(lives + lost + over + 1, sizeof *words->said);
    words->values = calloc(lost + 1, sizeof *words->values);
    if (!words->said || !words->values)
        return false;
    if (lives > 0) {
        registry_begin_script(cache, wire, beat_script, lives);
        write_tokens(registry, wire, MUTATION_LIVES, words->said);
    }
    for (const struct store_mutation *own = registry->own; own; own = own->next)
        if (own->state == MUTATION_LOST &&
            (words->values[n] = registry_write_record(cache, wire, own)))
            memcpy(words->said[lives + n++], own->token, sizeof(store_token));
    if (over > 0) {
        command_begin(cache, wire, over, "HDEL :" NAME_MUTATIONS);
        write_tokens(registry, wire, MUTATION_OVER, words->said + lives + n);
    }
    registry_write_read(cache, wire);
    registry->beat_ms = now_ms;
    words->lives = lives;
    words->lost = n;
    words->over = over;
    return true;
}

static struct store_mutation *
find_own(struct registry *registry, const store_token token)
{
    struct store_mutation *own = registry->own;

    while (own && strcmp(own->token, token) != 0)
        own = own->next;
    return own;
}

/* Which of those that were said to live have a record still? */
static void
take_beat(struct registry *registry, const redisReply *reply, store_token *said, size_t n,
          int64_t start_ms)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return;
    for (size_t i = 0; i < n; i++) {
        struct store_mutation *own = find_own(registry, said[i]);
        if (own)
            atomic_store(&own->alive_ms, start_ms);
    }
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *lost = reply->element[i];
        struct store_mutation *own = NULL;
        if (lost->type == REDIS_REPLY_INTEGER && lost->integer >= 1 && (size_t)lost->integer <= n)
            own = find_own(registry, said[lost->integer - 1]);
        if (own && own->state == MUTATION_LIVES) {
            own->state = MUTATION_LOST;
            atomic_store(&own->alive_ms, LONG_AGO_MS); /* not to be sent like that */
        }
    }
}

static void
take_restored(struct registry *registry, const redisReply *reply, const store_token said,
              int64_t start_ms)
{
    struct store_mutation *own = find_own(registry, said);

    if (reply->type != REDIS_REPLY_INTEGER || !own || own->state != MUTATION_LOST)
        return;
    own->state = MUTATION_LIVES;
    atomic_store(&own->alive_ms, start_ms);
}

/* Redis has been told that it is over. Is it to be told again? */
static bool
may_come_back(struct store_mutation *own, int64_t now_ms)
{
    if (own->late_ms == 0)
        return false;
    if (own->told_ms == 0)
        own->told_ms = now_ms;
    int64_t away_ms = own->told_ms - own->late_ms;
    if (away_ms < LATE_MIN_MS)
        away_ms = LATE_MIN_MS;
    return now_ms - own->told_ms < (away_ms < LATE_MAX_MS ? away_ms : LATE_MAX_MS);
}

static void
take_ends(struct registry *registry, const redisReply *reply, store_token *said, size_t n)
{
    int64_t now_ms = clock_boot_ms();

    if (reply->type != REDIS_REPLY_INTEGER)
        return;
    for (size_t i = 0; i < n; i++) {
        struct store_mutation *own = find_own(registry, said[i]);
        if (own && own->state == MUTATION_OVER && !may_come_back(own, now_ms))
            registry_delist(registry, own);
    }
}

/* No answer has come to what was to put them back. */
static void
note_late(struct registry *registry, const struct words *words, int64_t start_ms)
{
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < words->lost; i++) {
        struct store_mutation *own = find_own(registry, words->said[words->lives + i]);
        if (own)
            own->late_ms = start_ms;
    }
    pthread_mutex_unlock(&registry->lock);
}

/* The replies to them, in their order. */
static enum larder_status
take_words(struct registry *registry, struct conn *conn, const struct words *words,
           int64_t start_ms, int64_t deadline_ms)
{
    size_t beats = words->lives > 0, n = beats + words->lost + (words->over > 0);

    for (size_t i = 0; i < n; i++) {
        redisReply *reply = NULL;
        enum larder_status status = conn_reply(conn, deadline_ms, &reply, NULL);
        if (status != LARDER_OK)
            return status;
        pthread_mutex_lock(&registry->lock);
        if (i < beats)
            take_beat(registry, reply, words->said, words->lives, start_ms);
        else if (i < beats + words->lost)
            take_restored(registry, reply, words->said[words->lives + i - beats], start_ms);
        else
            take_ends(registry, reply, words->said + words->lives + words->lost, words->over);
        pthread_mutex_unlock(&registry->lock);
        freeReplyObject(reply);
    }
    return LARDER_OK;
}

void
registry_tend(struct larder *cache, struct conn *conn, int64_t deadline_ms)
{
    struct registry *registry = &cache->registry;
    int64_t start_ms = clock_boot_ms();
    redisReply *reply = NULL;
    struct words words;
    struct wire wire;

    wire_init(&wire);
    pthread_mutex_lock(&registry->lock);
    bool written = write_words(cache, &wire, &words);
    pthread_mutex_unlock(&registry->lock);
    if (!written) {
        wire_free(&wire);
        free_words(&words);
        return;
    }
    /* Never a second time: what comes late is no sign of life. */
    conn_begin(conn, command_rule(COMMAND_READ)->name);
    enum larder_status status = conn_send(conn, &wire, deadline_ms, NULL);
    wire_free(&wire);
    if (status == LARDER_OK)
        status = take_words(registry, conn, &words, start_ms, deadline_ms);
    if (status != LARDER_OK)
        note_late(registry, &words, start_ms);
    free_words(&words);
    if (status == LARDER_OK)
        status = conn_reply(conn, deadline_ms, &reply, NULL);
    if (status == LARDER_OK) {
        (void)registry_take(cache, reply, start_ms, NULL);
        freeReplyObject(reply);
        status = conn_end(conn, NULL);
    }
    if (status == LARDER_OK)
        registry_reap(cache, deadline_ms);
}
