/*
 * The client as a whole: options, open, close, and what it can tell about
 * itself. Called by programs through larder.h. What it does not do: talk to
 * Redis by itself; that is command.c.
 */
#include "larder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/store.h"
#include "client/command.h"

/* A generation key is namespace, ":gen:" and a tag, so there must be room for the rest. */
#define NAMESPACE_MAX 200
#define POOL_MAX 10000
#define RETRIES_MAX 100
#define DATABASE_MAX 65535
#define CREDENTIAL_MAX 4096
#define REPLICAS_MAX 1000
/* Shorter, and hardly any fetch ends before the news of its beginning are gone; longer, and they
 * are a gigabyte. */
#define NEWS_LENGTH_MIN 100
#define NEWS_LENGTH_MAX 10000000
/* Any duration: a day for one wait, a year for the life of a connection. */
#define WAIT_MAX_MS (INT64_C(86400) * 1000)
#define LIFE_MAX_MS (INT64_C(366) * 86400 * 1000)

const char *
larder_version(void)
{
    return LARDER_VERSION;
}

const char *
larder_status_name(enum larder_status status)
{
    static const char *const names[] = {
        [LARDER_OK] = "ok",
        [LARDER_MISS] = "miss",
        [LARDER_EXISTS] = "exists",
        [LARDER_DISABLED] = "disabled",
        [LARDER_TIMEOUT] = "timeout",
        [LARDER_UNAVAILABLE] = "unavailable",
        [LARDER_UNKNOWN] = "unknown",
        [LARDER_REFUSED] = "refused",
        [LARDER_PROTOCOL] = "protocol",
        [LARDER_CORRUPT] = "corrupt",
        [LARDER_INVALID] = "invalid",
        [LARDER_TRUNCATED] = "truncated",
        [LARDER_NOMEM] = "nomem",
    };

    return (size_t)status < sizeof names / sizeof *names ? names[status] : "?";
}

/* ----------------------------------------------------------------- options */

static const struct larder_options defaults = {
    .enabled = true,
    .host = "127.0.0.1",
    .port = 6379,
    .name_space = "larder",
    .pool_max = 25,
    .pool_min_idle = 5,
    .pool_max_idle = -1,
    .conn_max_lifetime_ms = 300000,
    .conn_max_idle_ms = 60000,
    .pool_timeout_ms = -1,
    .dial_timeout_ms = 5000,
    .read_timeout_ms = 3000,
    .write_timeout_ms = 3000,
    .max_retries = 3,
    .retry_min_ms = 8,
    .retry_max_ms = 512,
    .operation_timeout_ms = 10000,
    .breaker_max_rest_ms = 1000,
    .wait_timeout_ms = 1000,
    .news_length = 10000,
};

void
larder_options_init_sized(struct larder_options *options, size_t size)
{
    struct larder_options filled = defaults;

    /* A program built with an older header has less room, one with a newer header more. */
    filled.size = size;
    memset(options, 0, size);
    memcpy(options, &filled, size < sizeof filled ? size : sizeof filled);
}

static enum larder_status
check_number(const char *name, int64_t value, int64_t least, int64_t most, struct larder_error *err)
{
    if (value >= least && value <= most)
        return LARDER_OK;
    return error_set(err, LARDER_INVALID, "%s is %lld: between %lld and %lld is expected", name,
                     (long long)value, (long long)least, (long long)most);
}

static enum larder_status
check_numbers(const struct larder_options *options, struct larder_error *err)
{
    const struct {
        const char *name;
        int64_t value;
        int64_t least;
        int64_t most;
    } numbers[] = {
        {"port", options->unix_path ? 1 : options->port, 1, 65535},
        {"database", options->database, 0, DATABASE_MAX},
        {"pool_max", options->pool_max, 1, POOL_MAX},
        {"pool_min_idle", options->pool_min_idle, 0, POOL_MAX},
        {"pool_max_idle", options->pool_max_idle, -1, POOL_MAX},
        {"conn_max_lifetime_ms", options->conn_max_lifetime_ms, 0, LIFE_MAX_MS},
        {"conn_max_idle_ms", options->conn_max_idle_ms, 0, LIFE_MAX_MS},
        {"pool_timeout_ms", options->pool_timeout_ms, -1, WAIT_MAX_MS},
        {"dial_timeout_ms", options->dial_timeout_ms, 1, WAIT_MAX_MS},
        {"read_timeout_ms", options->read_timeout_ms, 1, WAIT_MAX_MS},
        {"write_timeout_ms", options->write_timeout_ms, 1, WAIT_MAX_MS},
        {"max_retries", options->max_retries, 0, RETRIES_MAX},
        {"retry_min_ms", options->retry_min_ms, 0, WAIT_MAX_MS},
        {"retry_max_ms", options->retry_max_ms, 0, WAIT_MAX_MS},
        {"operation_timeout_ms", options->operation_timeout_ms, 1, WAIT_MAX_MS},
        {"breaker_failures", options->breaker_failures, 0, 1000000},
        {"breaker_max_rest_ms", options->breaker_max_rest_ms, 1, WAIT_MAX_MS},
        {"wait_replicas", options->wait_replicas, 0, REPLICAS_MAX},
        {"wait_timeout_ms", options->wait_timeout_ms, 1, WAIT_MAX_MS},
        {"news_length", options->news_length, NEWS_LENGTH_MIN, NEWS_LENGTH_MAX},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        enum larder_status status =
            check_number(numbers[i].name, numbers[i].value, numbers[i].least, numbers[i].most, err);
        if (status != LARDER_OK)
            return status;
    }
    return LARDER_OK;
}

static bool
too_long(const char *text, size_t most)
{
    return text && strnlen(text, most + 1) > most;
}

static enum larder_status
check_strings(const struct larder_options *options, struct larder_error *err)
{
    if (!options->name_space || too_long(options->name_space, NAMESPACE_MAX))
        return error_set(err, LARDER_INVALID, "name_space has at most %d bytes", NAMESPACE_MAX);
    for (const char *p = options->name_space; *p; p++)
        if ((unsigned char)*p < 0x21 || *p == 0x7f)
            return error_set(err, LARDER_INVALID,
                             "name_space has neither blanks nor control characters");
    if (!options->unix_path && (!options->host || !*options->host || too_long(options->host, 255)))
        return error_set(err, LARDER_INVALID, "host is a name or an address");
    if (options->user && !options->password)
        return error_set(err, LARDER_INVALID, "a user without a password");
    if (too_long(options->user, CREDENTIAL_MAX) || too_long(options->password, CREDENTIAL_MAX))
        return error_set(err, LARDER_INVALID, "user and password have at most %d bytes",
                         CREDENTIAL_MAX);
    return LARDER_OK;
}

/* ------------------------------------------------------------ open and close */

static bool
copy_string(const char **at)
{
    if (!*at)
        return true;
    *at = strdup(*at);
    return *at != NULL;
}

static void
free_string(const char *text)
{
    union {
        const char *from;
        char *to;
    } ours = {.from = text}; /* const for readers, a copy of our own all the same */

    free(ours.to);
}

/* Takes the options over, with copies of what they point to. */
static bool
copy_options(struct larder *cache, const struct larder_options *options)
{
    struct larder_options *copy = &cache->options;

    *copy = *options;
    if (copy->pool_max_idle < 0)
        copy->pool_max_idle = copy->pool_max;
    if (copy->pool_timeout_ms < 0)
        copy->pool_timeout_ms = copy->read_timeout_ms + 1000;
    bool ok = copy_string(&copy->host);
    ok = copy_string(&copy->unix_path) && ok;
    ok = copy_string(&copy->user) && ok;
    ok = copy_string(&copy->password) && ok;
    ok = copy_string(&copy->name_space) && ok;
    if (!ok)
        return false;
    cache->new_life_ms = STORE_GENERATION_NEW_S * 1000;
    cache->prefix_len = *copy->name_space ? strlen(copy->name_space) + 1 : 0;
    return asprintf(&cache->prefix, "%s%s", copy->name_space, cache->prefix_len ? ":" : "") >= 0;
}

static void
name_endpoint(struct endpoint *endpoint, const struct larder_options *options)
{
    endpoint->options = options;
    atomic_init(&endpoint->until_ms, INT64_MAX);
    if (options->unix_path)
        snprintf(endpoint->where, sizeof endpoint->where, "redis %s", options->unix_path);
    else if (strchr(options->host, ':'))
        snprintf(endpoint->where, sizeof endpoint->where, "redis [%s]:%d", options->host,
                 options->port);
    else
        snprintf(endpoint->where, sizeof endpoint->where, "redis %s:%d", options->host,
                 options->port);
}

static void
release(struct larder *cache)
{
    if (cache->options.password) {
        union {
            const char *from;
            char *to;
        } password = {.from = cache->options.password};
        explicit_bzero(password.to, strlen(password.to));
    }
    free_string(cache->options.host);
    free_string(cache->options.unix_path);
    free_string(cache->options.user);
    free_string(cache->options.password);
    free_string(cache->options.name_space);
    resolver_free(cache->endpoint.resolver);
    free(cache->prefix);
    free(cache);
}

enum larder_status
larder_open(const struct larder_options *options, struct larder **out, struct larder_error *err)
{
    *out = NULL;
    if (options->size < sizeof *options)
        return error_set(err, LARDER_INVALID, "the options have not been initialised");
    enum larder_status status = check_strings(options, err);
    if (status == LARDER_OK)
        status = check_numbers(options, err);
    if (status != LARDER_OK)
        return status;

    struct larder *cache = calloc(1, sizeof *cache);
    if (!cache)
        return error_set(err, LARDER_NOMEM, "no memory for a client");
    cache->keeper.wake_fd = cache->keeper.stop_fd = -1;
    if (!copy_options(cache, options)) {
        release(cache);
        return error_set(err, LARDER_NOMEM, "no memory for a client");
    }
    name_endpoint(&cache->endpoint, &cache->options);
    struct larder_error words;
    cache->endpoint.resolver =
        resolver_new(cache->options.host, cache->options.port, cache->options.unix_path, &words);
    if (!cache->endpoint.resolver) {
        release(cache);
        if (err)
            *err = words;
        return words.status;
    }
    identity_init(&cache->identity, &cache->options, cache->endpoint.where);
    cache->endpoint.identity = &cache->identity;
    listen_init(&cache->listener);
    registry_init(&cache->registry);
    pool_init(&cache->pool, &cache->options, &cache->endpoint, keeper_nudge, cache);
    breaker_init(&cache->breaker, &cache->options, cache->endpoint.where);

    if (cache->options.enabled) {
        if (!cache->options.lazy)
            status = larder_ping(cache, NULL, err);
        if (status == LARDER_OK)
            status = keeper_start(cache, err);
        if (status != LARDER_OK) {
            larder_close(cache);
            return status;
        }
    }
    *out = cache;
    return LARDER_OK;
}

void
larder_close(struct larder *cache)
{
    if (!cache)
        return;
    listen_stop(cache);
    keeper_stop(cache);
    pool_destroy(&cache->pool);
    breaker_destroy(&cache->breaker);
    identity_destroy(&cache->identity);
    registry_destroy(&cache->registry);
    release(cache);
}

void
store_failure(struct larder *cache, char *out, size_t size)
{
    breaker_why(&cache->breaker, out, size);
}

void
store_hurry(struct larder *cache, int64_t until_ms)
{
    atomic_store(&cache->endpoint.until_ms, until_ms);
}

bool
larder_is_enabled(const struct larder *cache)
{
    return cache->options.enabled;
}

const char *
larder_namespace(const struct larder *cache)
{
    return cache->options.name_space;
}

/* ------------------------------------------------------------- signs of life */

static int64_t
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static enum larder_status
talk_ping(struct conn *conn, int64_t deadline_ms, void *arg, struct larder_error *err)
{
    int64_t *rtt_us = arg;
    int64_t before = now_us();
    enum larder_status status = command_ping(conn, deadline_ms, err);

    *rtt_us = now_us() - before;
    return status;
}

enum larder_status
larder_ping(struct larder *cache, int64_t *rtt_us, struct larder_error *err)
{
    int64_t rtt = 0;
    struct command_call call = {.command = COMMAND_PING,
                                .deadline_ms = command_deadline(cache),
                                .retries = cache->options.max_retries,
                                .talk = talk_ping,
                                .arg = &rtt};

    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status = command_execute(cache, &call, err);
    if (status == LARDER_OK && rtt_us)
        *rtt_us = rtt;
    return status;
}

/* ---------------------------------------------------------------- statistics */

void
larder_stats(const struct larder *cache, struct larder_stats *out)
{
    /* Only its lock is written to. */
    union {
        const struct larder *from;
        struct larder *to;
    } self = {.from = cache};

    *out = (struct larder_stats){.enabled = cache->options.enabled};
    out->available = cache->options.enabled && !breaker_is_open(&cache->breaker);
    pool_stats(&self.to->pool, out);
    out->hits = atomic_load_explicit(&cache->hits, memory_order_relaxed);
    out->misses = atomic_load_explicit(&cache->misses, memory_order_relaxed);
    out->errors = atomic_load_explicit(&cache->errors, memory_order_relaxed);
    out->retries = atomic_load_explicit(&cache->retries, memory_order_relaxed);
}

/* "name:value" into the object: an integer where it is one, the text otherwise. */
static bool
add_info(json_object *info, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    char name[64];
    char number[32];

    if (!colon || len == 0 || line[0] == '#')
        return true;
    size_t name_len = (size_t)(colon - line);
    size_t value_len = len - name_len - 1;
    if (name_len >= sizeof name)
        return true;
    memcpy(name, line, name_len);
    name[name_len] = '\0';

    json_object *value = NULL;
    if (value_len > 0 && value_len < 19 && strspn(colon + 1, "-0123456789") >= value_len) {
        char *end = NULL;
        memcpy(number, colon + 1, value_len);
        number[value_len] = '\0';
        long long parsed = strtoll(number, &end, 10);
        if (*end == '\0')
            value = json_object_new_int64(parsed);
    }
    if (!value)
        value = json_object_new_string_len(colon + 1, (int)value_len);
    if (!value)
        return false;
    if (json_object_object_add(info, name, value) != 0) {
        json_object_put(value);
        return false;
    }
    return true;
}

static json_object *
parse_info(const char *text, size_t len)
{
    json_object *info = json_object_new_object();

    while (info && len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line = end ? (size_t)(end - text) : len;
        size_t bare = line > 0 && text[line - 1] == '\r' ? line - 1 : line;
        if (!add_info(info, text, bare)) {
            json_object_put(info);
            return NULL;
        }
        text += line + (end ? 1 : 0);
        len -= line + (end ? 1 : 0);
    }
    return info;
}

/* INFO stats has some four thousand bytes; json-c wants lengths as int. */
#define INFO_MAX ((size_t)1024 * 1024)

enum larder_status
larder_server_stats(struct larder *cache, json_object **info, struct larder_error *err)
{
    redisReply *reply;

    *info = NULL;
    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    enum larder_status status =
        command_ask(cache, COMMAND_INFO, command_deadline(cache), &reply, err, "INFO stats");
    if (status != LARDER_OK)
        return status;
    if (reply->type != REDIS_REPLY_STRING || reply->len > INFO_MAX) {
        status = command_unexpected(cache, COMMAND_INFO, err);
    } else {
        *info = parse_info(reply->str, reply->len);
        if (!*info)
            status = error_set(err, LARDER_NOMEM, "no memory for the statistics");
    }
    command_free_replies(&reply, 1);
    return status;
}
