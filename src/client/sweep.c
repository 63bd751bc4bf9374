/*
 * Sweeps: what concerns more keys than one can name. Walk the keys of the
 * namespace by SCAN and unlink what is wanted, in batches small enough not to
 * keep Redis from its other callers; before that, delete the generations that
 * cover the pattern, so that stored responses are dead at once, those in flight
 * included, however long the walk takes (store.h).
 *
 * What comes back from SCAN is not believed: a key counts only if it begins
 * with our namespace and matches here as well. So several patterns cost one
 * walk, and a mistake in a pattern never touches a neighbour's key.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/glob.h"
#include "client/change.h"
#include "client/client.h"
#include "client/command.h"
#include "client/store.h"
#include "larder.h"

#define PATTERN_MAX ((size_t)1024)
#define STARS_MAX 16 /* each makes a comparison dearer, here and in Redis */
#define PATTERNS_MAX ((size_t)256)
#define USER_MAX ((size_t)256)
/* Keys that Redis looks at in one step: half a millisecond. */
#define SCAN_COUNT 1000
/* Keys that are unlinked in one command. */
#define BATCH ((size_t)500)
/* A cursor is an unsigned 64-bit number. */
#define CURSOR_SIZE 24
/* Without a budget of its own a sweep ends all the same, after a year. */
#define NO_BUDGET_MS (INT64_C(366) * 86400 * 1000)

/* One walk over the namespace. */
struct walk {
    struct larder *cache;
    const char *match; /* for SCAN, without the namespace */
    bool (*wants)(const struct walk *walk, const char *key, size_t len);
    const void *arg; /* of wants */
    bool remove;
    larder_key_fn report; /* NULL: none */
    void *report_arg;
    larder_progress_fn progress; /* NULL: none */
    void *progress_arg;
    int64_t deadline_ms;

    int64_t size; /* of the database, for progress */
    int64_t scanned;
    int64_t matched;
    int64_t removed;
    bool stopped; /* by a callback */
};

static bool
starts_with(const char *text, size_t len, const char *start)
{
    size_t n = strlen(start);

    return len >= n && memcmp(text, start, n) == 0;
}

/* Each step has the time of an ordinary call, within that of the sweep. */
static int64_t
step_deadline(const struct larder *cache, int64_t deadline_ms)
{
    int64_t step_ms = command_deadline(cache);

    return step_ms < deadline_ms ? step_ms : deadline_ms;
}

/* ------------------------------------------------------------------ unlinking */

static enum larder_status
unlink_by(struct larder *cache, enum command command, redisReply *const *keys, size_t n,
          int64_t deadline_ms, int64_t *removed, struct larder_error *err)
{
    redisReply *reply = NULL;
    struct wire wire;

    wire_init(&wire);
    command_begin(cache, &wire, n, "%s", command_rule(command)->name);
    for (size_t i = 0; i < n; i++)
        wire_arg(&wire, keys[i]->str, keys[i]->len);
    enum larder_status status =
        command_run(cache, command, &wire, step_deadline(cache, deadline_ms), &reply, 1, NULL, err);
    wire_free(&wire);
    if (status != LARDER_OK)
        return status;
    if (reply->type == REDIS_REPLY_INTEGER)
        *removed += reply->integer;
    else
        status = command_unexpected(cache, command, err);
    command_free_replies(&reply, 1);
    return status;
}

static enum larder_status
unlink_keys(struct walk *walk, redisReply *const *keys, size_t n, struct larder_error *caller_err)
{
    struct larder *cache = walk->cache;
    struct larder_error err = {.status = LARDER_OK};
    enum larder_status status = LARDER_OK;

    if (n == 0)
        return LARDER_OK;
    if (!atomic_load_explicit(&cache->no_unlink, memory_order_relaxed)) {
        status = unlink_by(cache, COMMAND_UNLINK, keys, n, walk->deadline_ms, &walk->removed, &err);
        if (status == LARDER_REFUSED && strstr(err.message, "unknown command"))
            atomic_store_explicit(&cache->no_unlink, true, memory_order_relaxed);
    }
    /* Redis before 4.0 */
    if (atomic_load_explicit(&cache->no_unlink, memory_order_relaxed))
        status = unlink_by(cache, COMMAND_DELETE, keys, n, walk->deadline_ms, &walk->removed, &err);
    if (status != LARDER_OK && caller_err)
        *caller_err = err;
    return status;
}

/* -------------------------------------------------------------------- walking */

/* The namespace, its own glob characters escaped, and then the pattern. */
static bool
scan_pattern(const struct walk *walk, char **text)
{
    char escaped[2 * LARDER_KEY_MAX];

    *text = NULL;
    if (larder_pattern_escape(escaped, sizeof escaped, walk->cache->prefix) != LARDER_OK)
        return false;
    if (asprintf(text, "%s%s", escaped, walk->match) < 0)
        *text = NULL;
    return *text != NULL;
}

static enum larder_status
scan(const struct walk *walk, const char *pattern, const char *cursor, redisReply **reply,
     struct larder_error *err)
{
    struct larder *cache = walk->cache;

    enum larder_status status =
        command_ask(cache, COMMAND_SCAN, step_deadline(cache, walk->deadline_ms), reply, err,
                    "SCAN %s MATCH %s COUNT %d", cursor, pattern, SCAN_COUNT);
    if (status != LARDER_OK)
        return status;

    bool ok = (*reply)->type == REDIS_REPLY_ARRAY && (*reply)->elements == 2 &&
              (*reply)->element[0]->type == REDIS_REPLY_STRING &&
              (*reply)->element[1]->type == REDIS_REPLY_ARRAY;
    if (ok) {
        const redisReply *next = (*reply)->element[0];
        ok = next->len > 0 && next->len < CURSOR_SIZE &&
             strspn(next->str, "0123456789") == next->len;
        for (size_t i = 0; ok && i < (*reply)->element[1]->elements; i++)
            ok = (*reply)->element[1]->element[i]->type == REDIS_REPLY_STRING;
    }
    if (ok)
        return LARDER_OK;
    command_free_replies(reply, 1);
    return command_unexpected(cache, COMMAND_SCAN, err);
}

/* Generations: the news of it have been told, with the tag that covers the pattern. */
static enum larder_status
forget_generations(struct walk *walk, const char *const *tags, size_t n, struct larder_error *err)
{
    if (n == 0)
        return LARDER_OK;
    enum larder_status status =
        purge_untold(walk->cache, tags, n, step_deadline(walk->cache, walk->deadline_ms), err);
    if (status == LARDER_OK)
        walk->removed += (int64_t)n;
    return status;
}

/* What one step of SCAN brought: report, unlink. */
static enum larder_status
handle_keys(struct walk *walk, const redisReply *keys, struct larder_error *err)
{
    static const char generation[] = NAME_GENERATION;
    const struct larder *cache = walk->cache;
    enum larder_status status = LARDER_OK;
    redisReply *batch[BATCH];
    const char *tags[NEWS_TAGS_MAX];
    size_t n = 0, tag_count = 0;

    for (size_t i = 0; i < keys->elements && status == LARDER_OK && !walk->stopped; i++) {
        redisReply *key = keys->element[i];
        if (key->len < cache->prefix_len || memcmp(key->str, cache->prefix, cache->prefix_len) != 0)
            continue;
        const char *bare = key->str + cache->prefix_len;
        size_t len = key->len - cache->prefix_len;
        /* The news must tell of this sweep too, and mutations are under way after it as before. */
        if (news_is_key(bare, len) || registry_is_key(bare, len) || !walk->wants(walk, bare, len))
            continue;
        walk->matched++;
        if (walk->report && !walk->report(walk->report_arg, bare, len))
            walk->stopped = true;
        if (!walk->remove)
            continue;
        if (starts_with(bare, len, generation) && len < STORE_TAG_SIZE)
            tags[tag_count++] = bare + sizeof generation - 1;
        else
            batch[n++] = key;
        if (n == BATCH) {
            status = unlink_keys(walk, batch, n, err);
            n = 0;
        } else if (tag_count == NEWS_TAGS_MAX) {
            status = forget_generations(walk, tags, tag_count, err);
            tag_count = 0;
        }
    }
    if (status == LARDER_OK)
        status = unlink_keys(walk, batch, n, err);
    if (status == LARDER_OK)
        status = forget_generations(walk, tags, tag_count, err);
    return status;
}

/* How many keys SCAN will go over, so that progress does not run past the end. */
static enum larder_status
read_size(struct walk *walk, struct larder_error *err)
{
    redisReply *reply = NULL;

    enum larder_status status = command_ask(walk->cache, COMMAND_SIZE,
                                            step_deadline(walk->cache, walk->deadline_ms), &reply,
                                            err, "DBSIZE");
    if (status != LARDER_OK)
        return status;
    if (reply->type == REDIS_REPLY_INTEGER)
        walk->size = reply->integer;
    else
        status = command_unexpected(walk->cache, COMMAND_SIZE, err);
    command_free_replies(&reply, 1);
    return status;
}

static enum larder_status
walk_namespace(struct walk *walk, struct larder_error *err)
{
    enum larder_status status = LARDER_OK;
    char cursor[CURSOR_SIZE] = "0";
    char *pattern = NULL;

    if (!scan_pattern(walk, &pattern))
        return error_set(err, LARDER_NOMEM, "no memory for a pattern");
    if (walk->progress)
        status = read_size(walk, err);
    while (status == LARDER_OK) {
        redisReply *reply = NULL;
        if (clock_now_ms() >= walk->deadline_ms) {
            status = error_set(err, LARDER_TIMEOUT, "%s: SCAN: no time left",
                               walk->cache->endpoint.where);
            break;
        }
        status = scan(walk, pattern, cursor, &reply, err);
        if (status != LARDER_OK)
            break;
        memcpy(cursor, reply->element[0]->str, reply->element[0]->len + 1);
        status = handle_keys(walk, reply->element[1], err);
        command_free_replies(&reply, 1);

        bool last = strcmp(cursor, "0") == 0;
        walk->scanned += SCAN_COUNT;
        if (last || walk->scanned > walk->size)
            walk->scanned = walk->size;
        if (status == LARDER_OK && !walk->stopped && walk->progress &&
            !walk->progress(walk->progress_arg, walk->scanned, walk->matched))
            walk->stopped = true;
        if (last || walk->stopped)
            break;
    }
    free(pattern);
    return status;
}

/* -------------------------------------------------------------------- wanting */

struct patterns {
    const char *const *list;
    size_t n;
};

static bool
wants_patterns(const struct walk *walk, const char *key, size_t len)
{
    const struct patterns *patterns = walk->arg;

    for (size_t i = 0; i < patterns->n; i++)
        if (glob_match(patterns->list[i], strlen(patterns->list[i]), key, len))
            return true;
    return false;
}

struct user {
    const char *id;
    char escaped[3 * USER_MAX + 1]; /* as the responder writes it */
};

/* Is `user:<id>` in the key, as whole segments? */
static bool
names_user(const char *key, size_t len, const char *id)
{
    static const char word[] = NAME_USER;
    size_t id_len = strlen(id);
    size_t need = sizeof word - 1 + id_len;

    for (size_t at = 0; at + need <= len; at++) {
        if ((at > 0 && key[at - 1] != ':') || memcmp(key + at, word, sizeof word - 1) != 0 ||
            memcmp(key + at + sizeof word - 1, id, id_len) != 0)
            continue;
        const char *rest = key + at + need;
        size_t rest_len = len - at - need;
        if (rest_len > 0 && rest[0] != ':')
            continue; /* user <id>4 */
        /* `user:username:<name>` and `user:email:<address>` belong to others than a user of the
         * name "username"; only what the responder stores for him is his. */
        bool family = at == 0 && (strcmp(id, "username") == 0 || strcmp(id, "email") == 0);
        if (rest_len == 0 || !family || starts_with(rest, rest_len, ":" NAME_RESPONSE))
            return true;
    }
    return false;
}

static bool
wants_user(const struct walk *walk, const char *key, size_t len)
{
    const struct user *user = walk->arg;

    /* Generations are no values of his; they die by their tag. */
    return !starts_with(key, len, NAME_GENERATION) &&
           (names_user(key, len, user->id) || names_user(key, len, user->escaped));
}

/* ---------------------------------------------------------------- generations */

/* The generations that cover the patterns, each once. */
static enum larder_status
forget_patterns(struct larder *cache, const struct patterns *patterns, int64_t deadline_ms,
                struct larder_error *err)
{
    char(*tags)[STORE_TAG_SIZE] = calloc(patterns->n, sizeof *tags);
    const char *names[PATTERNS_MAX];
    size_t n = 0;

    if (!tags)
        return error_set(err, LARDER_NOMEM, "no memory for tags");
    for (size_t i = 0; i < patterns->n; i++) {
        if (!store_tag_for_pattern(patterns->list[i], tags[n]))
            continue;
        size_t same = 0;
        while (same < n && strcmp(tags[same], tags[n]) != 0)
            same++;
        names[n] = tags[n];
        if (same == n)
            n++;
    }
    enum larder_status status =
        store_purge_tags(cache, names, n, false, step_deadline(cache, deadline_ms), err);
    free(tags);
    return status;
}

static enum larder_status
check_pattern(const char *pattern, struct larder_error *err)
{
    int stars = 0;

    if (!pattern || *pattern == '\0')
        return error_set(err, LARDER_INVALID, "a pattern must not be empty");
    if (strnlen(pattern, PATTERN_MAX + 1) > PATTERN_MAX)
        return error_set(err, LARDER_INVALID, "a pattern has at most %zu bytes", PATTERN_MAX);
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '*')
            stars++;
    }
    if (stars > STARS_MAX)
        return error_set(err, LARDER_INVALID, "a pattern has at most %d stars", STARS_MAX);
    return LARDER_OK;
}

/* ------------------------------------------------------------------ the calls */

static void
apply_sweep(struct walk *walk, const struct larder_sweep *sweep)
{
    int64_t timeout_ms = sweep && sweep->timeout_ms > 0 ? sweep->timeout_ms : NO_BUDGET_MS;

    if (timeout_ms > NO_BUDGET_MS)
        timeout_ms = NO_BUDGET_MS;
    walk->deadline_ms = clock_now_ms() + timeout_ms;
    walk->remove = !sweep || !sweep->dry_run;
    walk->progress = sweep ? sweep->progress : NULL;
    walk->progress_arg = sweep ? sweep->progress_arg : NULL;
}

static enum larder_status
finish(const struct walk *walk, enum larder_status status, int64_t *deleted)
{
    if (deleted)
        *deleted = walk->remove ? walk->removed : walk->matched;
    return status;
}

static enum larder_status
sweep_patterns(struct walk *walk, const struct patterns *patterns, bool *invalidated,
               struct larder_error *err)
{
    enum larder_status status = LARDER_OK;

    for (size_t i = 0; i < patterns->n && status == LARDER_OK; i++)
        status = check_pattern(patterns->list[i], err);
    if (status == LARDER_OK && walk->remove)
        status = forget_patterns(walk->cache, patterns, walk->deadline_ms, err);
    if (status != LARDER_OK)
        return status;
    *invalidated = true;
    walk->match = patterns->n == 1 ? patterns->list[0] : "*";
    walk->wants = wants_patterns;
    walk->arg = patterns;
    return walk_namespace(walk, err);
}

enum larder_status
store_invalidate(struct larder *cache, const char *const *patterns, size_t n, int64_t deadline_ms,
                 larder_progress_fn progress, void *arg, int64_t *deleted, bool *invalidated,
                 struct larder_error *err)
{
    struct walk walk = {.cache = cache,
                        .remove = true,
                        .progress = progress,
                        .progress_arg = arg,
                        .deadline_ms = deadline_ms};
    struct patterns all = {patterns, n};

    *invalidated = false;
    if (deleted)
        *deleted = 0;
    if (n > PATTERNS_MAX)
        return error_set(err, LARDER_INVALID, "at most %zu patterns at a time", PATTERNS_MAX);
    if (!cache->options.enabled || n == 0) {
        *invalidated = true;
        return LARDER_OK;
    }
    enum larder_status status = sweep_patterns(&walk, &all, invalidated, err);
    if (status == LARDER_OK && walk.stopped)
        status = error_set(err, LARDER_TIMEOUT, "%s: the sweep was stopped", cache->endpoint.where);
    return finish(&walk, status, deleted);
}

enum larder_status
store_sweep(struct larder *cache, const char *const *patterns, size_t n, int64_t deadline_ms,
            larder_progress_fn progress, void *arg, struct larder_error *err)
{
    struct patterns all = {patterns, n};
    struct walk walk = {.cache = cache,
                        .match = n == 1 ? patterns[0] : "*",
                        .wants = wants_patterns,
                        .arg = &all,
                        .remove = true,
                        .progress = progress,
                        .progress_arg = arg,
                        .deadline_ms = deadline_ms};
    enum larder_status status = LARDER_OK;

    if (!cache->options.enabled || n == 0)
        return LARDER_OK;
    for (size_t i = 0; i < n && status == LARDER_OK; i++)
        status = check_pattern(patterns[i], err);
    if (status == LARDER_OK)
        status = walk_namespace(&walk, err);
    if (status == LARDER_OK && walk.stopped)
        status = error_set(err, LARDER_TIMEOUT, "%s: the sweep was stopped", cache->endpoint.where);
    return status;
}

enum larder_status
larder_delete_pattern(struct larder *cache, const char *pattern, const struct larder_sweep *sweep,
                      int64_t *deleted, struct larder_error *err)
{
    struct walk walk = {.cache = cache};
    struct patterns one = {&pattern, 1};
    bool invalidated = false;

    if (deleted)
        *deleted = 0;
    if (!cache->options.enabled)
        return LARDER_OK;
    apply_sweep(&walk, sweep);
    return finish(&walk, sweep_patterns(&walk, &one, &invalidated, err), deleted);
}

enum larder_status
larder_delete_user(struct larder *cache, const char *uid, const struct larder_sweep *sweep,
                   int64_t *deleted, struct larder_error *err)
{
    struct walk walk = {.cache = cache, .wants = wants_user};
    char escaped[2 * USER_MAX + 1];
    char pattern[sizeof escaped + sizeof "*" NAME_USER "*"];
    char tag[STORE_TAG_SIZE];
    struct user user = {.id = uid};

    if (deleted)
        *deleted = 0;
    if (!cache->options.enabled)
        return LARDER_OK;
    if (!uid || *uid == '\0' || strnlen(uid, USER_MAX + 1) > USER_MAX)
        return error_set(err, LARDER_INVALID, "a user id has between 1 and %zu bytes", USER_MAX);
    /* Who has no tag has no stored responses: store_tags_for() refuses what does not fit. */
    bool tagged = store_escape_user(user.escaped, sizeof user.escaped, uid, strlen(uid)) &&
                  strlen(user.escaped) < sizeof tag - sizeof TAG_USER;
    if (tagged)
        snprintf(tag, sizeof tag, TAG_USER "%.*s", (int)(sizeof tag - sizeof TAG_USER),
                 user.escaped);

    apply_sweep(&walk, sweep);
    walk.arg = &user;
    walk.match = "*" NAME_USER "*";
    if (strcmp(user.escaped, uid) == 0 &&
        larder_pattern_escape(escaped, sizeof escaped, uid) == LARDER_OK) {
        snprintf(pattern, sizeof pattern, "*" NAME_USER "%s*", escaped);
        walk.match = pattern;
    }
    enum larder_status status = LARDER_OK;
    if (walk.remove && tagged)
        status = store_purge_tags(cache, &(const char *){tag}, 1, false,
                                  step_deadline(cache, walk.deadline_ms), err);
    if (status == LARDER_OK)
        status = walk_namespace(&walk, err);
    return finish(&walk, status, deleted);
}

enum larder_status
larder_flush(struct larder *cache, const struct larder_sweep *sweep, int64_t *deleted,
             struct larder_error *err)
{
    if (deleted)
        *deleted = 0;
    if (!cache->options.enabled)
        return LARDER_OK;
    if (cache->prefix_len == 0)
        return error_set(err, LARDER_INVALID,
                         "without a namespace a flush would delete everybody's keys");
    return larder_delete_pattern(cache, "*", sweep, deleted, err);
}

enum larder_status
larder_keys(struct larder *cache, const char *pattern, int64_t timeout_ms, larder_key_fn fn,
            void *arg, struct larder_error *err)
{
    struct walk walk = {.cache = cache, .report = fn, .report_arg = arg};
    struct larder_sweep sweep = {.timeout_ms = timeout_ms, .dry_run = true};
    struct patterns one = {&pattern, 1};
    bool invalidated = false;

    if (!cache->options.enabled)
        return error_set(err, LARDER_DISABLED, "the cache is switched off");
    apply_sweep(&walk, &sweep);
    return sweep_patterns(&walk, &one, &invalidated, err);
}

enum larder_status
larder_flush_server(struct larder *cache, struct larder_error *err)
{
    redisReply *reply = NULL;

    if (!cache->options.enabled)
        return LARDER_OK;
    enum larder_status status =
        command_ask(cache, COMMAND_FLUSH_SERVER, command_deadline(cache), &reply, err, "FLUSHALL");
    if (status != LARDER_OK)
        return status;
    if (reply->type != REDIS_REPLY_STATUS)
        status = command_unexpected(cache, COMMAND_FLUSH_SERVER, err);
    command_free_replies(&reply, 1);
    return status;
}
