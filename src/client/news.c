/*
 * The news, and the proof by them; see the header and doc/design, Invalidation.
 *
 * Why it proves something: an invalidation appends to the stream and then deletes
 * the generation; a fill reads the generation and then the stream. If the record
 * was not there yet when the fill read the stream, the generation is deleted
 * after the fill has read it, and what the fill stores matches nothing.
 *
 * Called by fills through store.h, and by change.c for every invalidation.
 *
 * A position is asked for by each fetch, although one that all share and that is
 * a second old would cost nothing: after a purge everybody fetches at once what it
 * has dropped, and with a position from before the purge nothing of it could be
 * stored or shared.
 */
#include "client/news.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/command.h"
#include "client/generations.h"
#include "client/token.h"

#define NONCE_LEN ((size_t)16)
/* Records after the position that are looked through; a millisecond or two of work. */
#define READ_MAX 1000

/* -------------------------------------------------------------------- writing */

bool
news_append(const struct larder *cache, struct wire *wire, const char *const *tags, size_t n)
{
    char nonce[NONCE_LEN + 1];

    if (!token_make(nonce, NONCE_LEN))
        return false;
    command_begin(cache, wire, 2 * n, "XADD :" NAME_NEWS " MAXLEN ~ %d * n %s",
                  cache->options.news_length, nonce);
    for (size_t i = 0; i < n; i++) {
        wire_text(wire, "t");
        wire_text(wire, tags[i]);
    }
    return true;
}

void
news_drop(const struct larder *cache, struct wire *wire)
{
    command_write(cache, wire, "DEL :" NAME_NEWS);
}

/* -------------------------------------------------------------------- records */

/* One record of an answer: its id and its fields. */
struct record {
    const redisReply *id;
    const redisReply *fields;
};

static bool
record_of(const redisReply *reply, struct record *record)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_ARRAY || reply->element[1]->elements % 2 != 0)
        return false;
    *record = (struct record){reply->element[0], reply->element[1]};
    for (size_t i = 0; i < record->fields->elements; i++)
        if (record->fields->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

static bool
is_text(const redisReply *reply, const char *text)
{
    return reply->len == strlen(text) && memcmp(reply->str, text, reply->len) == 0;
}

/* "<id>/<nonce>", the name of a record in a struct store_position. false: it does not fit. */
static bool
record_name(const struct record *record, char *name, size_t size)
{
    const redisReply *fields = record->fields;
    int n = snprintf(
        name, size, "%s/%s", record->id->str,
        fields->elements > 0 && is_text(fields->element[0], "n") ? fields->element[1]->str : "");

    return n > 0 && (size_t)n < size;
}

static bool
names_tag(const struct record *record, const char *const *tags, size_t n)
{
    for (size_t i = 0; i < record->fields->elements; i += 2) {
        if (!is_text(record->fields->element[i], "t"))
            continue;
        for (size_t j = 0; j < n; j++)
            if (is_text(record->fields->element[i + 1], tags[j]))
                return true;
    }
    return false;
}

/* ------------------------------------------------------------------- position */

static enum larder_status
exchange(struct conn *conn, const struct wire *wire, int64_t deadline_ms, redisReply **reply,
         struct larder_error *err)
{
    enum larder_status status = conn_send(conn, wire, deadline_ms, err);

    *reply = NULL;
    if (status == LARDER_OK)
        status = conn_reply(conn, deadline_ms, reply, err);
    if (status == LARDER_OK)
        status = conn_end(conn, err);
    if (status == LARDER_OK && (*reply)->type == REDIS_REPLY_ERROR)
        status = conn_refused(conn, (*reply)->str, (*reply)->len, err);
    if (status != LARDER_OK && *reply) {
        freeReplyObject(*reply);
        *reply = NULL;
    }
    return status;
}

void
news_ask_last(const struct larder *cache, struct wire *wire)
{
    command_write(cache, wire, "XREVRANGE :" NAME_NEWS " + - COUNT 1");
}

bool
news_read_last(const redisReply *reply, struct store_position *position)
{
    struct record record;

    position->id[0] = '\0';
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements > 1 ||
        (reply->elements == 1 && !record_of(reply->element[0], &record)))
        return false;
    if (reply->elements == 1 && !record_name(&record, position->id, sizeof position->id))
        position->id[0] = '\0'; /* nobody of ours makes such ids */
    return true;
}

static enum larder_status
last_record(const struct larder *cache, struct conn *conn, int64_t deadline_ms,
            struct store_position *position, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    position->id[0] = '\0';
    position->identity = conn->identity;
    wire_init(&wire);
    news_ask_last(cache, &wire);
    enum larder_status status = exchange(conn, &wire, deadline_ms, &reply, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (!news_read_last(reply, position))
        status = conn_error(conn, LARDER_PROTOCOL, err, "not an answer to what was asked");
    freeReplyObject(reply);
    return status;
}

/* A record without a tag that matters to anybody, so that there is one to point to. */
static enum larder_status
begin(const struct larder *cache, struct conn *conn, int64_t deadline_ms, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    wire_init(&wire);
    if (!news_append(cache, &wire, &(const char *){"-"}, 1)) {
        wire_free(&wire);
        return error_set(err, LARDER_UNAVAILABLE, "no random bytes for the news");
    }
    enum larder_status status = exchange(conn, &wire, deadline_ms, &reply, err);
    wire_free(&wire);
    if (reply)
        freeReplyObject(reply);
    return status;
}

struct ask {
    struct larder *cache;
    struct store_position position;
};

static enum larder_status
talk_position(struct conn *conn, int64_t deadline_ms, void *arg, struct larder_error *err)
{
    struct ask *ask = arg;
    enum larder_status status = last_record(ask->cache, conn, deadline_ms, &ask->position, err);

    if (status == LARDER_OK && !ask->position.id[0])
        status = begin(ask->cache, conn, deadline_ms, err);
    else
        return status;
    if (status == LARDER_OK)
        status = last_record(ask->cache, conn, deadline_ms, &ask->position, err);
    return status;
}

enum larder_status
store_position(struct larder *cache, int64_t deadline_ms, struct store_position *out,
               struct larder_error *err)
{
    struct ask ask = {.cache = cache};
    struct command_call call = {.command = COMMAND_NEWS,
                                .deadline_ms = deadline_ms,
                                .retries = cache->options.max_retries,
                                .talk = talk_position,
                                .arg = &ask};

    *out = (struct store_position){.identity = 0};
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = command_execute(cache, &call, err);
    if (status == LARDER_OK)
        *out = ask.position;
    return status;
}

/* ---------------------------------------------------------------------- proof */

/* Everything after the position, which comes first; one more than may be, so that one sees whether
 * there is more. */
static void
ask_news(const struct larder *cache, struct wire *wire, const char *id, size_t id_len)
{
    command_write(cache, wire, "XRANGE :" NAME_NEWS " %.*s + COUNT %d", (int)id_len, id,
                  READ_MAX + 2);
}

/* NULL: none of the tags was invalidated since. Otherwise why that is not proven. */
static const char *
doubt(const redisReply *news, const char *position, const char *const *tags, size_t n)
{
    char name[sizeof((struct store_position *)NULL)->id];
    struct record record;

    if (news->type != REDIS_REPLY_ARRAY)
        return "the news cannot be read";
    if (news->elements == 0 || !record_of(news->element[0], &record) ||
        !record_name(&record, name, sizeof name) || strcmp(name, position) != 0)
        return "the news do not reach back so far";
    if (news->elements > READ_MAX + 1)
        return "there are too many news since";
    for (size_t i = 1; i < news->elements; i++)
        if (!record_of(news->element[i], &record) || names_tag(&record, tags, n))
            return "a tag was invalidated meanwhile";
    return NULL;
}

enum larder_status
store_own_generations(struct larder *cache, const struct store_position *since,
                      const char *const *tags, size_t n, int64_t deadline_ms, store_generation *out,
                      struct larder_error *err)
{
    redisReply *replies[STORE_OWN_TAGS_MAX * GENERATIONS_PER_TAG + 1];
    struct command_more more = {.judges = false};
    const char *why = NULL;
    struct wire wire;

    for (size_t i = 0; i < n && i < STORE_OWN_TAGS_MAX; i++)
        memset(out[i], 0, sizeof out[i]);
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = generations_check(tags, n, STORE_OWN_TAGS_MAX, err);
    if (status != LARDER_OK || n == 0)
        return status;
    size_t id_len = strcspn(since->id, "/");
    if (id_len == 0)
        return error_set(err, LARDER_MISS, "there is no position in the news");

    wire_init(&wire);
    status = generations_ask(cache, &wire, tags, n, err);
    if (status == LARDER_OK) {
        ask_news(cache, &wire, since->id, id_len);
        status = command_run(cache, COMMAND_OWN, &wire, deadline_ms, replies,
                             n * GENERATIONS_PER_TAG + 1, &more, err);
    }
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    generations_read(replies, n, out);
    for (size_t i = 0; i < n && !why; i++)
        if (!store_generation_settled(out[i]))
            why = "a tag is being invalidated, or has no generation";
    if (!why && more.identity != since->identity)
        why = "it is another server";
    if (!why)
        why = doubt(replies[n * GENERATIONS_PER_TAG], since->id, tags, n);
    if (why)
        status = error_set(err, LARDER_MISS, "%s", why);
    generations_tend(cache, tags, n, replies, deadline_ms);
    command_free_replies(replies, n * GENERATIONS_PER_TAG + 1);
    return status;
}
