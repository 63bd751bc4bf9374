/*
 * Limits of the whole pool in one shared file.
 *
 *   offset 0   head: magic, version, sizes
 *   then       a secret seed, what has been said, and slots
 *
 * Each limit is one 64-bit number that is changed by compare-and-swap: the time
 * up to which what was taken is paid for. There is nothing to lock and nothing
 * to be left half done, so a process may be killed at any point; and nothing to
 * clean up, since a time that has passed means nothing. Addresses share the
 * slots of a table of fixed size, so that no number of them makes it grow.
 *
 * Times are of the monotonic clock, which is the machine's and begins anew when
 * it does, where the file may not: a time that is further away than anything
 * that is ever lent is one of another boot, and counts as none.
 *
 * Called by access.c and admin.c for what is refused. Never waits.
 */
#include "runtime/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <openssl/rand.h>

#include "base/error.h"
#include "runtime/shared_file.h"

#define NAME "limits"
/* Whoever can read the seed can make an address share another's slot. */
#define FILE_MODE 0600
#define VERSION 1
#define MINUTE_US INT64_C(60000000)
#define SLOTS 4096
/* No period of limits_say() is longer. */
#define PERIOD_MAX_MS INT64_C(3600000)

struct head {
    char magic[SHARED_FILE_MAGIC];
    uint32_t version;
    uint32_t size;
};

struct limits {
    struct head head;
    uint64_t seed;
    struct {
        _Atomic int64_t quiet_until_ms;
        _Atomic uint64_t unsaid;
    } said[LIMITS_SAID];
    alignas(64) _Atomic int64_t until_us[SLOTS];
};

static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
              "a lock inside the process would not work between processes");
static_assert(offsetof(struct limits, seed) == sizeof(struct head), "random bytes follow the head");

/* Used until there is a file, and for ever if there is none. */
static struct limits own;
static _Atomic(struct limits *) current = &own;

enum larder_status
limits_open(const char *runtime_dir, struct larder_error *err)
{
    const struct head head = {"LARDLIM", VERSION, sizeof(struct limits)};
    const struct shared_file file = {.name = NAME,
                                     .head = &head,
                                     .head_size = sizeof head,
                                     .random_size = sizeof own.seed,
                                     .size = sizeof(struct limits),
                                     .mode = FILE_MODE};
    struct larder_error why = {LARDER_OK, ""};

    if (RAND_bytes((unsigned char *)&own.seed, sizeof own.seed) != 1)
        own.seed = (uint64_t)getpid(); /* worse, and better than none */
    int fd = shared_file_open(&file, runtime_dir, &why);
    if (fd < 0)
        return error_set(err, why.status, "%s", why.message);
    void *map = mmap(NULL, sizeof(struct limits), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int failed = errno;
    close(fd);
    if (map == MAP_FAILED)
        return error_set(err, LARDER_UNAVAILABLE, NAME " %s/" NAME ": mmap: %s", runtime_dir,
                         strerror(failed));
    atomic_store(&current, (struct limits *)map);
    return LARDER_OK;
}

/* The file stays mapped: a thread that has just loaded `current` may still use it. */
void
limits_close(void)
{
    atomic_store(&current, &own);
}

int64_t
limits_take(const void *name, size_t len, int rate, int64_t now_us)
{
    struct limits *limits = atomic_load_explicit(&current, memory_order_acquire);
    _Atomic int64_t *slot =
        &limits->until_us[XXH3_64bits_withSeed(name, len, limits->seed) % SLOTS];
    /* Each costs the same share of a minute, and no more than a minute is lent in advance. */
    int64_t share_us = MINUTE_US / rate;
    int64_t until_us = atomic_load_explicit(slot, memory_order_relaxed), next_us;

    do {
        bool is_past = until_us <= now_us || until_us > now_us + MINUTE_US;
        next_us = (is_past ? now_us : until_us) + share_us;
        if (next_us - now_us > MINUTE_US)
            return next_us - now_us - MINUTE_US;
    } while (!atomic_compare_exchange_weak(slot, &until_us, next_us));
    return 0;
}

bool
limits_say(enum limits_said what, int64_t every_ms, int64_t now_ms, uint64_t *unsaid)
{
    struct limits *limits = atomic_load_explicit(&current, memory_order_acquire);
    _Atomic int64_t *quiet = &limits->said[what].quiet_until_ms;
    int64_t until_ms = atomic_load_explicit(quiet, memory_order_relaxed);
    bool is_quiet = until_ms > now_ms && until_ms <= now_ms + PERIOD_MAX_MS;

    /* Whoever loses to another process leaves it to that one to speak. */
    if (is_quiet || !atomic_compare_exchange_strong(quiet, &until_ms, now_ms + every_ms)) {
        atomic_fetch_add_explicit(&limits->said[what].unsaid, 1, memory_order_relaxed);
        return false;
    }
    *unsaid = atomic_exchange_explicit(&limits->said[what].unsaid, 0, memory_order_relaxed);
    return true;
}
