/*
 * Locks from a shell: lock, unlock, extend, and `lock KEY -- COMMAND`.
 *
 * A lock is a key with a random token and a life. Alone, `lock` prints the token
 * and the caller sees to the rest. With a command, larderctl holds the lock
 * while the command runs: it extends it after each third of its life, so that
 * two extensions may fail before anything is lost, and gives it back afterwards.
 * A command that has lost its lock is told to end (SIGTERM), since somebody
 * else may be at the same work by then. The life of a lock goes on while this
 * machine is suspended, so it is measured by CLOCK_BOOTTIME.
 *
 * Signals are taken by sigtimedwait() in the one loop that also waits for the
 * time to extend; there is no handler. Called by the table in main.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/ctl.h"

/* What a shell says for a command that it cannot run, and for one that is not there. */
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128 /* plus the number of the signal that ended it */

/* How soon after a failed extension the next one is tried, at the least. */
#define EXTEND_AGAIN_MS INT64_C(50)
/* How soon after the machine has woken it is seen that a lock has run out: sigtimedwait() does not count
 * the time in which it slept. */
#define LOOK_MS INT64_C(1000)

struct held {
    struct larder *cache;
    const char *key;
    const char *token;
    int64_t ttl_ms;
    int64_t until_ms; /* ours at least until then; counted from before the command went out */
    int64_t next_ms;  /* when to extend */
    bool lost;
    pid_t child;
};

static int64_t
lock_ttl(const struct ctl *ctl)
{
    return ctl->ttl_ms ? ctl->ttl_ms : CTL_LOCK_TTL_MS;
}

static void
print_lock(const struct ctl *ctl, const char *token)
{
    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, "key", json_text(ctl->args[0], strlen(ctl->args[0])));
        json_put(answer, "token", json_text(token, strlen(token)));
        json_put(answer, "ttl_ms", json_object_new_int64(lock_ttl(ctl)));
        print_json(answer);
    } else {
        puts(token);
    }
}

/* CTL_OK: taken. Otherwise it has been said why not, and nothing is held as far as can be known. */
static int
take(struct ctl *ctl, struct larder *cache, char token[LARDER_TOKEN_SIZE])
{
    const char *key = ctl->args[0];
    struct larder_error err = {0};
    enum larder_status status = larder_lock(cache, key, lock_ttl(ctl), token, &err);

    if (status == LARDER_EXISTS) {
        remark(ctl, "%s: held by another", key);
        return CTL_NO;
    }
    if (status == LARDER_UNKNOWN) {
        /* It may be ours without our knowing; nobody would give it back. */
        enum larder_status undone = larder_unlock(cache, key, token, NULL);
        if (undone == LARDER_OK || undone == LARDER_MISS || undone == LARDER_EXISTS) {
            complain("%s", err.message);
            return CTL_UNREACHABLE;
        }
    }
    return status == LARDER_OK ? CTL_OK : fail(status, &err);
}

/* Another life from now. Sets held->lost once the lock is gone, or may be. */
static void
extend_held(struct held *held)
{
    struct larder_error err = {0};
    int64_t started = clock_boot_ms();
    enum larder_status status;

    status = larder_lock_extend(held->cache, held->key, held->token, held->ttl_ms, &err);
    if (status == LARDER_OK) {
        held->until_ms = started + held->ttl_ms;
        held->next_ms = started + held->ttl_ms / 3;
        return;
    }
    if (status == LARDER_MISS || status == LARDER_EXISTS || clock_boot_ms() >= held->until_ms) {
        held->lost = true;
        complain("%s: the lock is lost (%s); ending the command", held->key,
                 status == LARDER_MISS     ? "it ran out"
                 : status == LARDER_EXISTS ? "another holds it"
                                           : err.message);
        kill(held->child, SIGTERM);
        return;
    }
    held->next_ms = clock_boot_ms() + held->ttl_ms / 10;
    if (held->next_ms < started + EXTEND_AGAIN_MS)
        held->next_ms = started + EXTEND_AGAIN_MS;
    if (held->next_ms > held->until_ms)
        held->next_ms = held->until_ms;
}

/* Wait for the command, extending and handing on signals. Its wait status. */
static int
watch(struct held *held, const sigset_t *signals)
{
    for (;;) {
        int64_t wait_ms = held->lost ? LOOK_MS : held->next_ms - clock_boot_ms();
        siginfo_t info;
        int status;
        int got;

        if (wait_ms < 0)
            wait_ms = 0;
        if (wait_ms > LOOK_MS)
            wait_ms = LOOK_MS;
        got = sigtimedwait(
            signals, &info,
            &(struct timespec){(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * 1000000});
        if (waitpid(held->child, &status, WNOHANG) == held->child)
            return status;
        /* What the terminal sends reaches the whole group; what a process sends reached us alone. */
        if (got > 0 && got != SIGCHLD && info.si_code <= 0)
            kill(held->child, got);
        if (!held->lost && clock_boot_ms() >= held->next_ms)
            extend_held(held);
    }
}

/* posix_spawnp() with the signals as they were when larderctl started. 0, or an errno. */
static int
spawn(char **program, const sigset_t *mask, pid_t *child)
{
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int error = posix_spawnattr_init(&attributes);

    if (error != 0)
        return error;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, mask);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    error = posix_spawnp(child, program[0], NULL, &attributes, program, environ);
    posix_spawnattr_destroy(&attributes);
    return error;
}

/* Give the lock back; the exit code of it all, given the command's. */
static int
release(const struct held *held, int code)
{
    struct larder_error err = {0};
    enum larder_status status = larder_unlock(held->cache, held->key, held->token, &err);

    if (held->lost)
        return CTL_PARTIAL;
    if (status == LARDER_MISS || status == LARDER_EXISTS) {
        complain("%s: the lock was lost while the command ran", held->key);
        return CTL_PARTIAL;
    }
    if (status != LARDER_OK)
        complain("%s: not given back, it runs out by itself: %s", held->key, err.message);
    return code;
}

static int
run_holding(struct ctl *ctl)
{
    struct held held = {.key = ctl->args[0], .ttl_ms = lock_ttl(ctl)};
    char token[LARDER_TOKEN_SIZE];
    sigset_t signals, before;
    int code, error, status;

    /* Blocked before the client starts a thread, which would take them otherwise; sigtimedwait()
     * gets what is blocked. An inherited SIG_IGN on SIGCHLD would reap the command unseen. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGQUIT);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);

    code = settings_load(ctl);
    if (code != CTL_OK)
        return code;
    /* No single call may outlast what is left between two extensions. */
    if (ctl->redis.operation_timeout_ms > held.ttl_ms / 3)
        ctl->redis.operation_timeout_ms = held.ttl_ms / 3 > 0 ? held.ttl_ms / 3 : 1;
    code = settings_connect(ctl, &held.cache);
    if (code != CTL_OK)
        return code;
    held.until_ms = clock_boot_ms() + held.ttl_ms;
    held.next_ms = held.until_ms - held.ttl_ms + held.ttl_ms / 3;
    held.token = token;
    code = take(ctl, held.cache, token);
    if (code != CTL_OK)
        goto out;

    error = spawn(ctl->program, &before, &held.child);
    if (error != 0) {
        complain("%s: %s", ctl->program[0], strerror(error));
        code = release(&held, error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
        goto out;
    }
    status = watch(&held, &signals);
    code = release(&held, WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL + WTERMSIG(status));
out:
    larder_close(held.cache);
    return code;
}

int
ctl_lock(struct ctl *ctl)
{
    char token[LARDER_TOKEN_SIZE];
    struct larder *cache;
    int code;

    if (ctl->program)
        return run_holding(ctl);
    code = settings_open(ctl, &cache);
    if (code != CTL_OK)
        return code;
    code = take(ctl, cache, token);
    if (code == CTL_OK)
        print_lock(ctl, token);
    larder_close(cache);
    return code;
}

/* unlock and extend answer alike. */
static int
report(const struct ctl *ctl, enum larder_status status, const struct larder_error *err,
       const char *done)
{
    const char *key = ctl->args[0];

    if (status == LARDER_MISS) {
        remark(ctl, "%s: not held (it ran out, or was given back)", key);
        return CTL_NO;
    }
    if (status == LARDER_EXISTS) {
        remark(ctl, "%s: held by another", key);
        return CTL_NO;
    }
    if (status != LARDER_OK)
        return fail(status, err);
    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, "key", json_text(key, strlen(key)));
        json_put(answer, done, json_object_new_boolean(true));
        print_json(answer);
    }
    confirm_done(ctl, "%s", done);
    return CTL_OK;
}

int
ctl_unlock(struct ctl *ctl)
{
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    status = larder_unlock(cache, ctl->args[0], ctl->args[1], &err);
    larder_close(cache);
    return report(ctl, status, &err, "unlocked");
}

int
ctl_extend(struct ctl *ctl)
{
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    status = larder_lock_extend(cache, ctl->args[0], ctl->args[1], lock_ttl(ctl), &err);
    larder_close(cache);
    return report(ctl, status, &err, "extended");
}
