/*
 * Commands that go over many keys: keys, purge-pattern, purge-user, flush.
 *
 * A sweep of a large Redis takes a while. It shows how far it is when somebody
 * watches, and Ctrl-C stops it between two batches: what is deleted stays
 * deleted, and the answer says how much that is (exit code 5). A second Ctrl-C
 * ends the program at once. What takes everything along asks first.
 *
 * Called by the table in main.c. The sweeping itself is the library's.
 */
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/ctl.h"

/* The eye does not follow more. */
#define PROGRESS_EVERY_MS 100

static volatile sig_atomic_t interrupted;

struct sweep_state {
    const struct ctl *ctl;
    int64_t matched;
    int64_t shown_ms;
    bool visible; /* stderr is a terminal, and --quiet is not set */
    bool shown;
    bool stopped; /* by a signal, before its end */
};

static void
on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static bool
on_progress(void *arg, int64_t scanned, int64_t matched)
{
    struct sweep_state *state = arg;
    int64_t now_ms = clock_now_ms();

    state->matched = matched;
    if (state->visible && now_ms - state->shown_ms >= PROGRESS_EVERY_MS) {
        fprintf(stderr, "\r%" PRId64 " keys seen, %" PRId64 " %s\033[K", scanned, matched,
                state->ctl->dry_run ? "match" : "deleted");
        fflush(stderr);
        state->shown_ms = now_ms;
        state->shown = true;
    }
    state->stopped = interrupted;
    return !interrupted;
}

/* Unless the caller had it ignored (nohup, a shell's background job). */
static void
stop_on(int signal_number)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct sigaction before;

    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
    if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(signal_number, &action, NULL);
}

static struct larder_sweep
sweep_begin(const struct ctl *ctl, struct sweep_state *state)
{
    *state = (struct sweep_state){.ctl = ctl, .shown_ms = clock_now_ms()};
    state->visible = !ctl->quiet && isatty(STDERR_FILENO);
    stop_on(SIGINT);
    stop_on(SIGTERM);
    return (struct larder_sweep){.timeout_ms = ctl->timeout_ms,
                                 .dry_run = ctl->dry_run,
                                 .progress = on_progress,
                                 .progress_arg = state};
}

/* Say what a sweep did, whole or not. `what` names it in the JSON answer: "pattern", "user". */
static int
sweep_end(struct sweep_state *state, enum larder_status status, const struct larder_error *err,
          int64_t count, const char *what, const char *value)
{
    const struct ctl *ctl = state->ctl;
    bool broken_off = state->stopped || status != LARDER_OK;
    int code = CTL_OK;

    if (state->shown)
        fputs("\r\033[K", stderr);
    if (state->stopped)
        code = CTL_PARTIAL;
    else if (status != LARDER_OK)
        code = fail(status, err);
    /* Out of reach after some was deleted is not the same as out of reach. */
    if (code != CTL_OK && count > 0 && !ctl->dry_run)
        code = CTL_PARTIAL;
    if (broken_off && code != CTL_PARTIAL)
        return code;

    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, what, json_text(value, strlen(value)));
        json_put(answer, ctl->dry_run ? "matched" : "deleted", json_object_new_int64(count));
        json_put(answer, "complete", json_object_new_boolean(!broken_off));
        print_json(answer);
    }
    if (broken_off)
        complain("%s after %" PRId64 " keys %s; the rest is as it was",
                 state->stopped ? "interrupted" : "broken off", count,
                 ctl->dry_run ? "matched" : "were deleted");
    else
        confirm_done(ctl,
                     ctl->dry_run ? "%" PRId64 " keys match; nothing was deleted"
                                  : "deleted %" PRId64 " keys",
                     count);
    return code;
}

/* ------------------------------------------------------------------ listing */

struct listing {
    const struct ctl *ctl;
    bool visible; /* stdout is a terminal */
    int64_t count;
};

/* The JSON array is written as the keys come: there may be millions. */
static bool
on_key(void *arg, const char *key, size_t len)
{
    struct listing *listing = arg;

    if (listing->ctl->json) {
        if (listing->count > 0)
            putchar(',');
        json_write(json_text(key, len));
    } else if (listing->ctl->nul) {
        fwrite(key, 1, len, stdout);
        putchar('\0');
    } else {
        if (listing->visible)
            print_visible(stdout, key, len);
        else
            fwrite(key, 1, len, stdout);
        putchar('\n');
    }
    listing->count++;
    /* A full disk or a reader that has gone: no use in asking Redis for more. */
    return !ferror(stdout);
}

/* Print the keys that match and count them. CTL_PARTIAL: the list is not complete. */
static int
list_keys(const struct ctl *ctl, struct larder *cache, const char *pattern, int64_t *count)
{
    struct listing listing = {.ctl = ctl, .visible = isatty(STDOUT_FILENO)};
    struct larder_error err = {0};
    enum larder_status status;
    int code;

    if (ctl->json)
        putchar('[');
    status = larder_keys(cache, pattern, ctl->timeout_ms, on_key, &listing, &err);
    if (ctl->json)
        putchar(']');
    *count = listing.count;
    if (status == LARDER_OK || ferror(stdout))
        return CTL_OK;
    code = fail(status, &err);
    if (listing.count == 0)
        return code;
    complain("%s: the list is not complete", ctl->command->name);
    return CTL_PARTIAL;
}

int
ctl_keys(struct ctl *ctl)
{
    struct larder *cache;
    int64_t count;
    int code;

    if (ctl->json && ctl->nul) {
        complain("keys: --json and --null exclude each other");
        return CTL_USAGE;
    }
    code = settings_open(ctl, &cache);
    if (code != CTL_OK)
        return code;
    code = list_keys(ctl, cache, ctl->arg_count > 0 ? ctl->args[0] : "*", &count);
    if (ctl->json)
        putchar('\n');
    larder_close(cache);
    return code;
}

/* ----------------------------------------------------------------- purging */

/* Nothing in the pattern narrows it: every key matches, or nearly. */
static bool
takes_everything(const char *pattern)
{
    return pattern[strspn(pattern, "*?")] == '\0';
}

/* --dry-run --verbose: the keys, then their number. */
static int
list_matches(const struct ctl *ctl, struct larder *cache, const char *pattern)
{
    int64_t count;
    int code;

    if (ctl->json) {
        fputs("{\"pattern\":", stdout);
        json_write(json_text(pattern, strlen(pattern)));
        fputs(",\"keys\":", stdout);
    }
    code = list_keys(ctl, cache, pattern, &count);
    if (ctl->json)
        printf(",\"matched\":%" PRId64 "}\n", count);
    else if (code == CTL_OK)
        remark(ctl, "%" PRId64 " keys match; nothing was deleted", count);
    return code;
}

int
ctl_purge_pattern(struct ctl *ctl)
{
    const char *pattern = ctl->args[0];
    bool asks = takes_everything(pattern) && !ctl->dry_run;
    struct larder_error err = {0};
    struct sweep_state state;
    struct larder_sweep sweep;
    enum larder_status status;
    struct larder *cache;
    char server[256];
    int64_t count = 0;
    int code;

    if (ctl->verbose && !ctl->dry_run) {
        complain("purge-pattern: --verbose goes with --dry-run");
        return CTL_USAGE;
    }
    if (asks && ask_possible(ctl) != CTL_OK)
        return CTL_USAGE;
    code = settings_open(ctl, &cache);
    if (code != CTL_OK)
        return code;
    if (ctl->verbose) {
        code = list_matches(ctl, cache, pattern);
        goto out;
    }
    if (asks) {
        settings_server(ctl, server, sizeof server);
        code = ask(ctl, "This deletes every key in the namespace \"%s\" of %s.",
                   larder_namespace(cache), server);
        if (code != CTL_OK)
            goto out;
    }
    sweep = sweep_begin(ctl, &state);
    status = larder_delete_pattern(cache, pattern, &sweep, &count, &err);
    code = sweep_end(&state, status, &err, count, "pattern", pattern);
out:
    larder_close(cache);
    return code;
}

int
ctl_purge_user(struct ctl *ctl)
{
    const char *uid = ctl->args[0];
    struct larder_error err = {0};
    struct sweep_state state;
    struct larder_sweep sweep;
    enum larder_status status;
    struct larder *cache;
    int64_t count = 0;
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    sweep = sweep_begin(ctl, &state);
    status = larder_delete_user(cache, uid, &sweep, &count, &err);
    larder_close(cache);
    return sweep_end(&state, status, &err, count, "user", uid);
}

static int
flush_server(struct ctl *ctl, struct larder *cache)
{
    struct larder_error err = {0};
    enum larder_status status;
    char server[256];
    int code;

    settings_server(ctl, server, sizeof server);
    code = ask(ctl, "This deletes every key of every database of %s, whoever uses it.", server);
    if (code != CTL_OK)
        return code;
    status = larder_flush_server(cache, &err);
    if (status != LARDER_OK)
        return fail(status, &err);
    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, "flushed", json_text(server, strlen(server)));
        print_json(answer);
    }
    confirm_done(ctl, "flushed all of %s", server);
    return CTL_OK;
}

static int
flush_namespace(struct ctl *ctl, struct larder *cache)
{
    const char *name_space = larder_namespace(cache);
    struct larder_error err = {0};
    struct sweep_state state;
    struct larder_sweep sweep;
    enum larder_status status;
    char server[256];
    int64_t count = 0;
    int code;

    if (*name_space == '\0') {
        complain("flush: the namespace is empty, so this would be everybody's keys; "
                 "--server says that this is meant");
        return CTL_USAGE;
    }
    if (!ctl->dry_run) {
        settings_server(ctl, server, sizeof server);
        code =
            ask(ctl, "This deletes every key in the namespace \"%s\" of %s.", name_space, server);
        if (code != CTL_OK)
            return code;
    }
    sweep = sweep_begin(ctl, &state);
    status = larder_flush(cache, &sweep, &count, &err);
    return sweep_end(&state, status, &err, count, "namespace", name_space);
}

int
ctl_flush(struct ctl *ctl)
{
    struct larder *cache;
    int code;

    if (ctl->server && ctl->dry_run) {
        complain("flush: --server and --dry-run exclude each other");
        return CTL_USAGE;
    }
    if (!ctl->dry_run && ask_possible(ctl) != CTL_OK)
        return CTL_USAGE;
    code = settings_open(ctl, &cache);
    if (code != CTL_OK)
        return code;
    code = ctl->server ? flush_server(ctl, cache) : flush_namespace(ctl, cache);
    larder_close(cache);
    return code;
}
