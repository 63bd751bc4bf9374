/*
 * Which entries this process is refreshing: a few hashes under a lock. Two keys
 * with one hash only mean that one of them is refreshed a moment later.
 */
#include "responder/refresh.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards both below */
static uint64_t under_way[REFRESH_MAX];
static int count;

static uint64_t
hash_of(const char *key)
{
    return XXH3_64bits(key, strlen(key));
}

/* Called with the lock held. Its place, or count. */
static int
find(uint64_t hash)
{
    int i = 0;
    while (i < count && under_way[i] != hash)
        i++;
    return i;
}

bool
refresh_begin(const char *key)
{
    uint64_t hash = hash_of(key);
    pthread_mutex_lock(&lock);
    bool ours = count < REFRESH_MAX && find(hash) == count;
    if (ours)
        under_way[count++] = hash;
    pthread_mutex_unlock(&lock);
    return ours;
}

void
refresh_end(const char *key)
{
    uint64_t hash = hash_of(key);
    pthread_mutex_lock(&lock);
    int i = find(hash);
    if (i < count)
        under_way[i] = under_way[--count];
    pthread_mutex_unlock(&lock);
}
