/*
 * Changes to generations; see the header. Each has up to three steps, each one
 * round trip and nearly always the first alone:
 *
 *     XADD news, the changes, WAIT
 *     DEL news, the changes, WAIT        when XADD was refused: a full Redis
 *     DEL the generations, WAIT          when scripts were: an ACL without EVAL
 *
 * A change is a DEL, or a script. The second in this order: a fill that still read
 * the old news has read a generation that is changed after them. DEL works in a
 * full Redis.
 *
 * Used by purge.c and the sweeps. One key a command, for a cluster.
 */
#include "client/change.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/generations.h"

/* What goes before the scripts, and what behind them. */
enum first { FIRST_NOTHING, FIRST_APPEND, FIRST_DROP };

struct step {
    enum command command;
    enum first first;
    bool remove;                             /* DEL instead of the script */
    bool chosen[NEWS_TAGS_MAX];              /* these tags */
    redisReply *replies[NEWS_TAGS_MAX + 2];  /* the first, the tags', WAIT's */
    const redisReply *head;                  /* NULL: FIRST_NOTHING */
    const redisReply *answer[NEWS_TAGS_MAX]; /* NULL: not chosen */
    const redisReply *wait;                  /* NULL: nobody is waited for */
    size_t count;
};

/* WAIT's 0 would mean for ever. */
static int64_t
wait_ms(const struct larder *cache, int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_now_ms();
    int64_t most_ms = cache->options.wait_timeout_ms;

    return left_ms < 1 ? 1 : left_ms < most_ms ? left_ms : most_ms;
}

static bool
write_step(const struct larder *cache, struct wire *wire, const struct change *change,
           const struct step *step, const char *const *tags, size_t n, int64_t patience_ms)
{
    if (step->first == FIRST_DROP)
        news_drop(cache, wire);
    else if (step->first == FIRST_APPEND && !news_append(cache, wire, tags, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!step->chosen[i])
            continue;
        if (step->remove || !change->script) {
            command_write(cache, wire, "DEL " GENERATION_NAME, tags[i]);
            continue;
        }
        command_begin(cache, wire, change->arguments, "EVAL %s 1 " GENERATION_NAME, change->script,
                      tags[i]);
        for (size_t j = 0; j < change->arguments; j++)
            wire_text(wire, change->argument[j]);
    }
    if (cache->options.wait_replicas > 0)
        command_write(cache, wire, "WAIT %d %lld", cache->options.wait_replicas,
                      (long long)patience_ms);
    return true;
}

static void
free_step(struct step *step)
{
    command_free_replies(step->replies, step->count);
    step->count = 0;
}

/* On LARDER_OK the replies are there, each of them perhaps an error; free_step(). */
static enum larder_status
run_step(struct larder *cache, const struct change *change, struct step *step,
         const char *const *tags, size_t n, int64_t deadline_ms, struct larder_error *err)
{
    struct command_more more = {.judges = true};
    bool waits = cache->options.wait_replicas > 0;
    struct wire wire;
    size_t at = 0;

    if (waits)
        more.patience_ms = wait_ms(cache, deadline_ms);
    if (step->first != FIRST_NOTHING)
        step->count++;
    for (size_t i = 0; i < n; i++)
        if (step->chosen[i])
            step->count++;
    if (waits)
        step->count++;
    wire_init(&wire);
    enum larder_status status = LARDER_OK;
    if (!write_step(cache, &wire, change, step, tags, n, more.patience_ms))
        status = error_set(err, LARDER_UNAVAILABLE, "no random bytes for the news");
    if (status == LARDER_OK)
        status = command_run(cache, step->command, &wire, deadline_ms, step->replies, step->count,
                             &more, err);
    wire_free(&wire);
    if (status != LARDER_OK) {
        step->count = 0;
        return status;
    }
    step->head = step->first == FIRST_NOTHING ? NULL : step->replies[at++];
    for (size_t i = 0; i < n; i++)
        step->answer[i] = step->chosen[i] ? step->replies[at++] : NULL;
    step->wait = waits ? step->replies[at] : NULL;
    return LARDER_OK;
}

/* Did what was to be written reach as many replicas as it had to? */
static enum larder_status
check_wait(struct larder *cache, const struct step *step, struct larder_error *err)
{
    const redisReply *wait = step->wait;

    if (!wait)
        return LARDER_OK;
    if (wait->type == REDIS_REPLY_ERROR)
        return command_refused(cache, step->command, wait, err);
    if (wait->type != REDIS_REPLY_INTEGER)
        return command_unexpected(cache, step->command, err);
    if (wait->integer >= cache->options.wait_replicas)
        return LARDER_OK;
    return error_set(err, LARDER_UNAVAILABLE, "%s: WAIT: %lld of %d replicas have it",
                     cache->endpoint.where, wait->integer, cache->options.wait_replicas);
}

/* All were deleted? */
static enum larder_status
check_removed(struct larder *cache, const struct step *step, size_t n, struct larder_error *err)
{
    enum larder_status status = LARDER_OK;

    for (size_t i = 0; i < n && status == LARDER_OK; i++) {
        if (step->answer[i] && step->answer[i]->type == REDIS_REPLY_ERROR)
            status = command_refused(cache, step->command, step->answer[i], err);
        else if (step->answer[i] && step->answer[i]->type != REDIS_REPLY_INTEGER)
            status = command_unexpected(cache, step->command, err);
    }
    return status;
}

/* What the scripts said; those that were not let run are chosen in `rest`. */
static enum larder_status
take_answers(struct larder *cache, const struct change *change, const struct step *step, size_t n,
             int *results, struct step *rest, bool *any, struct larder_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const redisReply *answer = step->answer[i];
        rest->chosen[i] = false;
        results[i] = CHANGE_REFUSED;
        if (!answer)
            continue; /* all are chosen */
        if (answer->type == REDIS_REPLY_INTEGER) {
            results[i] = change->script ? (int)answer->integer : 0;
        } else if (answer->type == REDIS_REPLY_ERROR && change->script && change->insist) {
            results[i] = CHANGE_DELETED;
            rest->chosen[i] = *any = true;
        } else if (answer->type == REDIS_REPLY_ERROR) {
            return command_refused(cache, step->command, answer, err);
        } else {
            return command_unexpected(cache, step->command, err);
        }
    }
    return LARDER_OK;
}

enum larder_status
change_run(struct larder *cache, const struct change *change, const char *const *tags, size_t n,
           int64_t deadline_ms, int *results, struct larder_error *err)
{
    struct step step = {.command = change->command,
                        .first = change->tell ? FIRST_APPEND : FIRST_NOTHING};
    struct step rest = {.command = COMMAND_FORGET, .remove = true};
    int own[NEWS_TAGS_MAX];
    bool any = false;

    if (!results)
        results = own;
    if (n == 0)
        return LARDER_OK;
    if (n > NEWS_TAGS_MAX)
        return error_set(err, LARDER_INVALID, "%zu tags, at most %zu", n, NEWS_TAGS_MAX);
    memset(step.chosen, true, sizeof step.chosen);
    enum larder_status status = run_step(cache, change, &step, tags, n, deadline_ms, err);
    if (status == LARDER_OK && step.head && step.head->type == REDIS_REPLY_ERROR) {
        free_step(&step);
        step.first = FIRST_DROP;
        status = run_step(cache, change, &step, tags, n, deadline_ms, err);
        if (status == LARDER_OK && step.head && step.head->type == REDIS_REPLY_ERROR)
            status = command_refused(cache, step.command, step.head, err);
    }
    if (status == LARDER_OK)
        status = take_answers(cache, change, &step, n, results, &rest, &any, err);
    if (status == LARDER_OK)
        status = check_wait(cache, &step, err);
    if (status == LARDER_OK && any)
        status = run_step(cache, change, &rest, tags, n, deadline_ms, err);
    if (status == LARDER_OK && any)
        status = check_removed(cache, &rest, n, err);
    if (status == LARDER_OK && any)
        status = check_wait(cache, &rest, err); /* for writes of its own connection only */
    free_step(&step);
    free_step(&rest);
    return status;
}
