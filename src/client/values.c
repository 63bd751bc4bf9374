/*
 * Application values: one key or a few, JSON or raw bytes. Each call here is
 * the words of one command and what its reply means; sending, waiting and
 * repeating are command.c's. Called by programs through larder.h.
 */
#include "larder.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/client.h"
#include "client/command.h"

/* Keys in one round trip of the calls on many. */
#define BATCH ((size_t)1000)
/* Bytes of values in one round trip of larder_set_many(); what is beyond waits for the next. */
#define BATCH_BYTES ((size_t)16 * 1024 * 1024)
/* Nesting of JSON that is read: json-c recurses, and its default of 32 is less than people write. */
#define JSON_DEPTH_MAX 256

static enum larder_status
disabled(struct larder_error *err)
{
    return error_set(err, LARDER_DISABLED, "the cache is switched off");
}

static enum larder_status
no_memory(struct larder_error *err)
{
    return error_set(err, LARDER_NOMEM, "no memory");
}

static enum larder_status
no_key(const char *key, struct larder_error *err)
{
    (void)error_set(err, LARDER_MISS, "there is no key %s", key);
    return LARDER_MISS;
}

static enum larder_status
check_ttl(int64_t ttl_ms, int64_t least, struct larder_error *err)
{
    /* Redis adds it to its clock: no more than can be added. */
    if (ttl_ms < least || ttl_ms > INT64_MAX / 4)
        return error_set(err, LARDER_INVALID, "a time to live of %lld ms", (long long)ttl_ms);
    return LARDER_OK;
}

/* A command whose only argument is one key, or which is complete but for it. */
static enum larder_status
run_one(struct larder *cache, enum command command, struct wire *wire, redisReply **reply,
        struct larder_error *err)
{
    enum larder_status status =
        command_run(cache, command, wire, command_deadline(cache), reply, 1, NULL, err);
    wire_free(wire);
    return status;
}

static enum larder_status
integer_of(struct larder *cache, enum command command, redisReply *reply, int64_t *value,
           struct larder_error *err)
{
    enum larder_status status = LARDER_OK;

    if (reply->type == REDIS_REPLY_INTEGER)
        *value = reply->integer;
    else
        status = command_unexpected(cache, command, err);
    command_free_replies(&reply, 1);
    return status;
}

/* -------------------------------------------------------------------- JSON */

/* Text to a value; the text must be JSON to its last byte. text[len] is NUL. */
static enum larder_status
parse(const char *text, size_t len, json_object **value)
{
    *value = NULL;
    if (len >= INT_MAX)
        return LARDER_CORRUPT;
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (!tokener)
        return LARDER_NOMEM;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    /* With the NUL: a number at the very end is only then known to be complete. */
    *value = json_tokener_parse_ex(tokener, text, (int)len + 1);
    bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
                 json_tokener_get_parse_end(tokener) >= len;
    json_tokener_free(tokener);
    if (whole)
        return LARDER_OK;
    if (*value)
        json_object_put(*value);
    *value = NULL;
    return LARDER_CORRUPT;
}

static const char *
print(json_object *value, size_t *len)
{
    if (value)
        return json_object_to_json_string_length(
            value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
    *len = 4;
    return "null";
}

/* --------------------------------------------------------------------- get */

/* A string reply, to be freed; NULL: *status says why. */
static redisReply *
fetch(struct larder *cache, const char *key, enum larder_status *status, struct larder_error *err)
{
    redisReply *reply = NULL;

    *status = cache->options.enabled ? command_check_key(cache, key, err) : disabled(err);
    if (*status != LARDER_OK)
        return NULL;
    *status = command_ask(cache, COMMAND_GET, command_deadline(cache), &reply, err, "GET :%s", key);
    if (*status != LARDER_OK)
        return NULL;
    if (reply->type == REDIS_REPLY_STRING) {
        client_count(&cache->hits);
        return reply;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        client_count(&cache->misses);
        *status = no_key(key, err);
    } else {
        *status = command_unexpected(cache, COMMAND_GET, err);
    }
    command_free_replies(&reply, 1);
    return NULL;
}

enum larder_status
larder_get(struct larder *cache, const char *key, json_object **value, struct larder_error *err)
{
    enum larder_status status;
    redisReply *reply = fetch(cache, key, &status, err);

    *value = NULL;
    if (!reply)
        return status;
    status = parse(reply->str, reply->len, value);
    command_free_replies(&reply, 1);
    if (status == LARDER_CORRUPT)
        return error_set(err, status, "the value of %s is not JSON", key);
    return status == LARDER_OK ? status : no_memory(err);
}

enum larder_status
larder_get_raw(struct larder *cache, const char *key, void **data, size_t *len,
               struct larder_error *err)
{
    enum larder_status status;
    redisReply *reply = fetch(cache, key, &status, err);

    *data = NULL;
    *len = 0;
    if (!reply)
        return status;
    char *copy = malloc(reply->len + 1);
    if (copy) {
        memcpy(copy, reply->str, reply->len);
        copy[reply->len] = '\0';
        *data = copy;
        *len = reply->len;
    } else {
        status = no_memory(err);
    }
    command_free_replies(&reply, 1);
    return status;
}

static enum larder_status
get_batch(struct larder *cache, const char *const *keys, size_t n, int64_t deadline_ms,
          json_object **values, enum larder_status *statuses, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    wire_init(&wire);
    command_begin(cache, &wire, n, "MGET");
    for (size_t i = 0; i < n; i++)
        command_key(cache, &wire, keys[i]);
    enum larder_status status =
        command_run(cache, COMMAND_MGET, &wire, deadline_ms, &reply, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)
        status = command_unexpected(cache, COMMAND_MGET, err);
    for (size_t i = 0; status == LARDER_OK && i < n; i++) {
        const redisReply *element = reply->element[i];
        if (element->type == REDIS_REPLY_STRING) {
            client_count(&cache->hits);
            statuses[i] = parse(element->str, element->len, &values[i]);
            if (statuses[i] == LARDER_NOMEM)
                status = no_memory(err);
        } else if (element->type == REDIS_REPLY_NIL) {
            client_count(&cache->misses);
            statuses[i] = LARDER_MISS;
        } else {
            status = command_unexpected(cache, COMMAND_MGET, err);
        }
    }
    command_free_replies(&reply, 1);
    return status;
}

enum larder_status
larder_get_many(struct larder *cache, const char *const *keys, size_t n, json_object **values,
                enum larder_status *statuses, struct larder_error *err)
{
    int64_t deadline = command_deadline(cache);
    enum larder_status status = LARDER_OK;

    for (size_t i = 0; i < n; i++) {
        values[i] = NULL;
        statuses[i] = LARDER_MISS;
    }
    if (!cache->options.enabled)
        return disabled(err);
    for (size_t i = 0; i < n && status == LARDER_OK; i++)
        status = command_check_key(cache, keys[i], err);
    for (size_t at = 0; at < n && status == LARDER_OK; at += BATCH) {
        size_t some = n - at < BATCH ? n - at : BATCH;
        status = get_batch(cache, keys + at, some, deadline, values + at, statuses + at, err);
    }
    if (status == LARDER_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        json_object_put(values[i]); /* NULL is allowed */
        values[i] = NULL;
    }
    return status;
}

/* --------------------------------------------------------------------- set */

static void
write_set(const struct larder *cache, struct wire *wire, const char *key, const void *data,
          size_t len, int64_t ttl_ms, bool if_absent)
{
    command_begin(cache, wire, 1u + (ttl_ms > 0 ? 2u : 0u) + (if_absent ? 1u : 0u), "SET :%s", key);
    wire_arg(wire, data, len);
    if (ttl_ms > 0) {
        wire_text(wire, "PX");
        wire_number(wire, ttl_ms);
    }
    if (if_absent)
        wire_text(wire, "NX");
}

static enum larder_status
check_item(const struct larder *cache, const char *key, size_t len, int64_t ttl_ms,
           struct larder_error *err)
{
    enum larder_status status = command_check_key(cache, key, err);

    if (status == LARDER_OK)
        status = check_ttl(ttl_ms, 0, err);
    if (status == LARDER_OK && len > LARDER_VALUE_MAX)
        status = error_set(err, LARDER_INVALID, "a value has at most %zu bytes", LARDER_VALUE_MAX);
    return status;
}

enum larder_status
larder_set_raw(struct larder *cache, const char *key, const void *data, size_t len, int64_t ttl_ms,
               struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    if (!cache->options.enabled)
        return LARDER_OK;
    enum larder_status status = check_item(cache, key, len, ttl_ms, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    write_set(cache, &wire, key, data, len, ttl_ms, false);
    status = run_one(cache, COMMAND_SET, &wire, &reply, err);
    if (status != LARDER_OK)
        return status;
    if (reply->type != REDIS_REPLY_STATUS)
        status = command_unexpected(cache, COMMAND_SET, err);
    command_free_replies(&reply, 1);
    return status;
}

enum larder_status
larder_set(struct larder *cache, const char *key, json_object *value, int64_t ttl_ms,
           struct larder_error *err)
{
    size_t len = 0;

    if (!cache->options.enabled)
        return LARDER_OK;
    const char *text = print(value, &len);
    return text ? larder_set_raw(cache, key, text, len, ttl_ms, err) : no_memory(err);
}

/* One pipeline of n items; counts those which were stored. */
static enum larder_status
set_batch(struct larder *cache, const struct wire *wire, size_t n, int64_t deadline_ms,
          size_t *stored, struct larder_error *err)
{
    redisReply *replies[BATCH];
    enum larder_status status =
        command_run(cache, COMMAND_SET, wire, deadline_ms, replies, n, NULL, err);

    if (status != LARDER_OK)
        return status;
    for (size_t i = 0; i < n; i++) {
        if (replies[i]->type == REDIS_REPLY_STATUS)
            ++*stored;
        else if (status == LARDER_OK && replies[i]->type == REDIS_REPLY_ERROR)
            status = command_refused(cache, COMMAND_SET, replies[i], err);
        else if (status == LARDER_OK)
            status = command_unexpected(cache, COMMAND_SET, err);
    }
    command_free_replies(replies, n);
    return status;
}

enum larder_status
larder_set_many(struct larder *cache, const struct larder_item *items, size_t n, size_t *stored,
                struct larder_error *err)
{
    int64_t deadline = command_deadline(cache);
    enum larder_status status = LARDER_OK;
    size_t done = 0, queued = 0;
    struct wire wire;

    if (stored)
        *stored = 0;
    if (!cache->options.enabled)
        return LARDER_OK;
    wire_init(&wire);
    for (size_t i = 0; i < n && status == LARDER_OK; i++) {
        size_t len = 0;
        const char *text = print(items[i].value, &len);
        status = text ? check_item(cache, items[i].key, len, items[i].ttl_ms, err) : no_memory(err);
    }
    for (size_t i = 0; i < n && status == LARDER_OK; i++) {
        size_t len = 0;
        const char *text = print(items[i].value, &len);
        if (!text) {
            status = no_memory(err);
            break;
        }
        write_set(cache, &wire, items[i].key, text, len, items[i].ttl_ms, false);
        queued++;
        if (queued == BATCH || wire.total >= BATCH_BYTES || i + 1 == n) {
            status = set_batch(cache, &wire, queued, deadline, &done, err);
            wire_reset(&wire);
            queued = 0;
        }
    }
    wire_free(&wire);
    if (stored)
        *stored = done;
    return status;
}

enum larder_status
larder_set_if_absent(struct larder *cache, const char *key, json_object *value, int64_t ttl_ms,
                     struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;
    size_t len = 0;

    if (!cache->options.enabled)
        return disabled(err);
    const char *text = print(value, &len);
    if (!text)
        return no_memory(err);
    enum larder_status status = check_item(cache, key, len, ttl_ms, err);
    if (status != LARDER_OK)
        return status;
    wire_init(&wire);
    write_set(cache, &wire, key, text, len, ttl_ms, true);
    status = run_one(cache, COMMAND_SET_IF_ABSENT, &wire, &reply, err);
    if (status != LARDER_OK)
        return status;
    if (reply->type == REDIS_REPLY_NIL)
        status = error_set(err, LARDER_EXISTS, "%s is there already", key);
    else if (reply->type != REDIS_REPLY_STATUS)
        status = command_unexpected(cache, COMMAND_SET_IF_ABSENT, err);
    command_free_replies(&reply, 1);
    return status;
}

/* ------------------------------------------------------------------ the rest */

enum larder_status
larder_delete(struct larder *cache, const char *const *keys, size_t n, int64_t *deleted,
              struct larder_error *err)
{
    int64_t deadline = command_deadline(cache);
    enum larder_status status = LARDER_OK;
    struct wire wire;

    if (deleted)
        *deleted = 0;
    if (!cache->options.enabled)
        return LARDER_OK;
    for (size_t i = 0; i < n && status == LARDER_OK; i++)
        status = command_check_key(cache, keys[i], err);
    wire_init(&wire);
    for (size_t at = 0; at < n && status == LARDER_OK; at += BATCH) {
        size_t some = n - at < BATCH ? n - at : BATCH;
        redisReply *reply = NULL;
        int64_t count = 0;
        wire_reset(&wire);
        command_begin(cache, &wire, some, "DEL");
        for (size_t i = 0; i < some; i++)
            command_key(cache, &wire, keys[at + i]);
        status = command_run(cache, COMMAND_DELETE, &wire, deadline, &reply, 1, NULL, err);
        if (status == LARDER_OK)
            status = integer_of(cache, COMMAND_DELETE, reply, &count, err);
        if (deleted)
            *deleted += count;
    }
    wire_free(&wire);
    return status;
}

enum larder_status
larder_exists(struct larder *cache, const char *key, bool *exists, struct larder_error *err)
{
    redisReply *reply = NULL;
    int64_t count = 0;

    *exists = false;
    if (!cache->options.enabled)
        return LARDER_OK;
    enum larder_status status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    status =
        command_ask(cache, COMMAND_EXISTS, command_deadline(cache), &reply, err, "EXISTS :%s", key);
    if (status == LARDER_OK)
        status = integer_of(cache, COMMAND_EXISTS, reply, &count, err);
    *exists = status == LARDER_OK && count > 0;
    return status;
}

enum larder_status
larder_expire(struct larder *cache, const char *key, int64_t ttl_ms, struct larder_error *err)
{
    redisReply *reply = NULL;
    int64_t count = 0;

    if (!cache->options.enabled)
        return LARDER_OK;
    enum larder_status status = command_check_key(cache, key, err);
    if (status == LARDER_OK)
        status = check_ttl(ttl_ms, 1, err);
    if (status != LARDER_OK)
        return status;
    status = command_ask(cache, COMMAND_EXPIRE, command_deadline(cache), &reply, err,
                         "PEXPIRE :%s %lld", key, (long long)ttl_ms);
    if (status == LARDER_OK)
        status = integer_of(cache, COMMAND_EXPIRE, reply, &count, err);
    if (status == LARDER_OK && count == 0)
        return no_key(key, err);
    return status;
}

enum larder_status
larder_ttl(struct larder *cache, const char *key, int64_t *ttl_ms, struct larder_error *err)
{
    redisReply *reply = NULL;

    *ttl_ms = 0;
    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    status = command_ask(cache, COMMAND_TTL, command_deadline(cache), &reply, err, "PTTL :%s", key);
    if (status == LARDER_OK)
        status = integer_of(cache, COMMAND_TTL, reply, ttl_ms, err);
    if (status == LARDER_OK && *ttl_ms == -2) { /* so PTTL says that there is no key */
        *ttl_ms = 0;
        return no_key(key, err);
    }
    return status;
}

enum larder_status
larder_increment(struct larder *cache, const char *key, int64_t *value, struct larder_error *err)
{
    return larder_increment_by(cache, key, 1, value, err);
}

enum larder_status
larder_increment_by(struct larder *cache, const char *key, int64_t by, int64_t *value,
                    struct larder_error *err)
{
    redisReply *reply = NULL;
    int64_t sum = 0;

    if (value)
        *value = 0;
    if (!cache->options.enabled)
        return disabled(err);
    enum larder_status status = command_check_key(cache, key, err);
    if (status != LARDER_OK)
        return status;
    status = command_ask(cache, COMMAND_INCREMENT, command_deadline(cache), &reply, err,
                         "INCRBY :%s %lld", key, (long long)by);
    if (status == LARDER_OK)
        status = integer_of(cache, COMMAND_INCREMENT, reply, &sum, err);
    if (status == LARDER_OK && value)
        *value = sum;
    return status;
}
