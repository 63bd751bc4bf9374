/*
 * What is gone stays gone, also where Redis is away.
 *
 * A page that was not looked up, because Redis did not answer or is not to be believed,
 * may be stored all the same, and would come back with Redis. So its key is remembered
 * here, in the process alone, and the storer drops it when Redis is there. Nothing of
 * this is written to the disk, or else a flood of 404s while Redis is away would write
 * without end; what does not fit, or ends with the process, comes back.
 *
 * Another process may have stored a newer page meanwhile: that this is dropped too
 * costs a miss. A key is of one Redis and namespace; after a reload to another one
 * nobody can drop it.
 */
#include "responder/gone_later.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/store.h"
#include "responder/entry.h"
#include "responder/storer.h"

/* Redis is tried so often; what it refuses, so many times. */
#define AGAIN_MS 500
#define REFUSALS_MAX 100
/* The storer has other things to do as well. */
#define AT_ONCE 32
#define TIMEOUT_MS 1000

struct gone {
    char *key; /* NULL: no longer */
    uint64_t serves;
    enum gone_extent extent;
    char checksum[ENTRY_CHECKSUM_SIZE];
    bool guarded;
    int refusals;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct gone ring[GONE_LATER_MAX];
static size_t oldest, count;

static struct gone *
at(size_t i)
{
    return &ring[(oldest + i) % GONE_LATER_MAX];
}

static void
forget_oldest(void)
{
    free(at(0)->key);
    *at(0) = (struct gone){.key = NULL};
    oldest = (oldest + 1) % GONE_LATER_MAX;
    count--;
}

/* Takes the key. */
static void
append(const struct gone *gone)
{
    if (count == GONE_LATER_MAX)
        forget_oldest();
    *at(count++) = *gone;
}

static struct gone *
find(const struct gone *gone)
{
    for (size_t i = 0; i < count; i++)
        if (at(i)->serves == gone->serves && strcmp(at(i)->key, gone->key) == 0)
            return at(i);
    return NULL;
}

/* Two words about one key. */
static void
merge(struct gone *into, const struct gone *gone)
{
    if (gone->extent >= into->extent) {
        into->guarded =
            gone->guarded &&
            (into->extent < GONE_ONE ||
             (into->guarded && memcmp(into->checksum, gone->checksum, sizeof gone->checksum) == 0));
        memcpy(into->checksum, gone->checksum, sizeof gone->checksum);
        into->extent = gone->extent;
    }
}

void
gone_later(const struct site *site, const char *key, enum gone_extent extent, const char *checksum)
{
    struct gone gone = {.key = strdup(key), .serves = site->serves, .extent = extent};
    if (!gone.key)
        return;
    gone.guarded = checksum != NULL;
    if (checksum)
        memcpy(gone.checksum, checksum, sizeof gone.checksum);
    pthread_mutex_lock(&lock);
    struct gone *known = find(&gone);
    if (known) {
        merge(known, &gone);
        free(gone.key);
    } else {
        append(&gone);
    }
    pthread_mutex_unlock(&lock);
    storer_nudge();
}

static enum larder_status
drop(const struct site *site, const struct gone *gone, struct larder_error *err)
{
    struct larder *cache = site->cache;
    int64_t until_ms = clock_now_ms() + TIMEOUT_MS;
    enum larder_status status = LARDER_OK;
    const struct store_guard same = {
        .offset = ENTRY_CHECKSUM_AT, .bytes = gone->checksum, .len = sizeof gone->checksum};
    if (gone->extent == GONE_STALE)
        return store_variants_age(cache, gone->key, ENTRY_TIMES_AT, store_clock_ms(cache), until_ms,
                                  err);
    if (gone->extent == GONE_PAGE)
        status = store_variants_drop(cache, gone->key, until_ms, err);
    if (status == LARDER_OK)
        status = store_drop(cache, gone->key, gone->guarded ? &same : NULL, until_ms, err);
    return status;
}

/* false: nothing is there. */
static bool
take_oldest(struct gone *out)
{
    pthread_mutex_lock(&lock);
    bool there = count > 0;
    if (there) {
        *out = *at(0);
        at(0)->key = NULL;
        forget_oldest();
    }
    pthread_mutex_unlock(&lock);
    return there;
}

/* Where it was, unless there is no room for the oldest any more. What Redis refuses goes behind the
 * others, lest it keep them waiting. */
static void
put_back(struct gone *gone, bool refused)
{
    pthread_mutex_lock(&lock);
    struct gone *known = find(gone);
    if (known)
        merge(known, gone);
    if (known || count == GONE_LATER_MAX) {
        free(gone->key);
    } else if (refused) {
        append(gone);
    } else {
        oldest = (oldest + GONE_LATER_MAX - 1) % GONE_LATER_MAX;
        count++;
        *at(0) = *gone;
    }
    pthread_mutex_unlock(&lock);
}

int64_t
gone_later_run(void)
{
    struct site *site = site_take();
    struct gone gone;
    int64_t again_ms = 0;
    int n = 0;
    while (again_ms == 0 && n++ < AT_ONCE) {
        struct larder_error err = {0};
        if (!take_oldest(&gone)) {
            again_ms = -1;
            break;
        }
        enum larder_status status = gone.serves == site->serves ? drop(site, &gone, &err)
                                                                : LARDER_OK;
        if (status == LARDER_OK || status == LARDER_EXISTS || status == LARDER_INVALID ||
            (status == LARDER_REFUSED && ++gone.refusals == REFUSALS_MAX)) {
            if (status == LARDER_REFUSED)
                log_write(LARDER_LOG_WARNING, "cannot drop %s, which is gone: %s", gone.key,
                          err.message);
            free(gone.key);
            continue;
        }
        put_back(&gone, status == LARDER_REFUSED);
        again_ms = AGAIN_MS;
    }
    site_give(site);
    return again_ms;
}
