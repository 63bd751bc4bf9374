/*
 * Hints: a table of a fixed number of places, found by the hash of the key; who
 * comes later takes the place. A place that another key has taken costs a round
 * trip, a wrong hint some bytes. Only pages that bring tags are in here, so a site
 * without such never takes the lock.
 */
#include "responder/hints.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#define PLACES 4096
#define LOCKS 16
/* Of one response; with more than this it asks a second time each time. */
#define TEXT_MAX 2048

struct hint {
    uint64_t hash; /* of the key */
    char *text;    /* the tags, each with its NUL; NULL: the place is free */
    size_t len;
};

static struct hint places[PLACES];
/* Each guards every LOCKS-th place. */
static pthread_mutex_t locks[LOCKS] = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER};
static atomic_bool any; /* something has been learned */

static size_t
place_of(uint64_t hash)
{
    return (size_t)(hash % PLACES);
}

void
hints_add(struct store_tags *tags, const char *key, struct arena *arena)
{
    char text[TEXT_MAX];
    size_t len = 0;
    if (!atomic_load_explicit(&any, memory_order_relaxed))
        return;
    uint64_t hash = XXH3_64bits(key, strlen(key));
    const struct hint *hint = &places[place_of(hash)];
    pthread_mutex_t *lock = &locks[place_of(hash) % LOCKS];
    pthread_mutex_lock(lock);
    if (hint->text && hint->hash == hash) {
        len = hint->len;
        memcpy(text, hint->text, len);
    }
    pthread_mutex_unlock(lock);
    for (size_t at = 0; at < len && tags->count < STORE_TAGS_MAX; at += strlen(text + at) + 1)
        if (!store_tags_add(tags, arena, text + at))
            return;
}

void
hints_learn(const char *key, const struct own_tags *own)
{
    char text[TEXT_MAX];
    size_t len = 0;
    for (size_t i = 0; i < own->count; i++) {
        size_t n = strlen(own->name[i]) + 1;
        if (n > sizeof text - len)
            break;
        memcpy(text + len, own->name[i], n);
        len += n;
    }
    uint64_t hash = XXH3_64bits(key, strlen(key));
    struct hint *hint = &places[place_of(hash)];
    pthread_mutex_t *lock = &locks[place_of(hash) % LOCKS];
    pthread_mutex_lock(lock);
    bool same = hint->text && hint->hash == hash && hint->len == len &&
                memcmp(hint->text, text, len) == 0;
    if (!same) {
        char *copy = len ? malloc(len) : NULL;
        if (copy)
            memcpy(copy, text, len);
        free(hint->text);
        *hint = (struct hint){hash, copy, copy ? len : 0};
    }
    pthread_mutex_unlock(lock);
    atomic_store_explicit(&any, true, memory_order_relaxed);
}

void
hints_cleanup(void)
{
    for (size_t i = 0; i < PLACES; i++) {
        free(places[i].text);
        places[i] = (struct hint){.text = NULL};
    }
}
