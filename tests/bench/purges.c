/*
 * What does it cost to purge a tag, with few entries hanging on it and with a
 * million? And beside it what caches do that know no generations: SCAN and UNLINK
 * of the same keys.
 *
 *   purges SOCKET ENTRIES [ROUNDS]
 *
 * Fills the Redis on that socket with ENTRIES entries of a tag (in the namespace
 * "bench", as larder-fcgi would name and tag them, with small bodies), purges the
 * tag ROUNDS times (200), each time after its generation has been made anew, as a
 * fill does, then sweeps them once. Lines of "NAME VALUE": entries, purge_us (the
 * median), purge_p99_us, sweep_ms, swept.
 *
 * Called by the script purge-tag beside it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "client/store.h"

#define BATCH 1000
#define LIFE_MS "3600000"
#define CALL_MS 10000
#define SWEEP_MS 600000

static const char *const tag = "tag:bench";

static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "purges: %s: %s\n", what, why);
    exit(1);
}

static int64_t
now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Keys and values like those of stored pages; only their number and names matter here. */
static void
fill(const char *socket, int64_t entries, const char *generation)
{
    redisContext *redis = redisConnectUnix(socket);
    char key[160], value[512];
    if (!redis || redis->err)
        fail(socket, redis ? redis->errstr : "no memory");
    for (int64_t done = 0; done < entries;) {
        int64_t some = entries - done < BATCH ? entries - done : BATCH;
        for (int64_t i = done; i < done + some; i++) {
            snprintf(key, sizeof key, "bench:response:%064" PRIx64, (uint64_t)i);
            snprintf(value, sizeof value, "%s %s\nContent-Type: text/html\r\n<p>%" PRId64 "</p>",
                     tag, generation, i);
            const char *argv[] = {"SET", key, value, "PX", LIFE_MS};
            redisAppendCommandArgv(redis, 5, argv, NULL);
        }
        for (int64_t i = 0; i < some; i++) {
            redisReply *reply = NULL;
            if (redisGetReply(redis, (void **)&reply) != REDIS_OK ||
                reply->type != REDIS_REPLY_STATUS)
                fail("SET", reply ? reply->str : redis->errstr);
            freeReplyObject(reply);
        }
        done += some;
    }
    redisFree(redis);
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fputs("usage: purges SOCKET ENTRIES [ROUNDS]\n", stderr);
        return 2;
    }
    int64_t entries = strtoll(argv[2], NULL, 10);
    int rounds = argc > 3 ? atoi(argv[3]) : 200;
    int64_t *took = calloc(rounds > 0 ? (size_t)rounds : 1, sizeof *took);
    struct larder_options options;
    struct larder_error err;
    struct larder *cache;
    struct store_tags tags = {.count = 1, .name = {tag}};
    struct store_generations generations;
    uint64_t identity;
    larder_options_init(&options);
    options.unix_path = argv[1];
    options.name_space = "bench";
    if (entries < 0 || rounds < 1 || !took)
        fail("arguments", "numbers are expected");
    if (larder_open(&options, &cache, &err) != LARDER_OK)
        fail("redis", err.message);
    if (store_generations(cache, &tags, clock_now_ms() + CALL_MS, &generations, &identity, NULL,
                          &err) != LARDER_OK)
        fail("generations", err.message);
    fill(argv[1], entries, generations.value[0]);
    for (int i = 0; i < rounds; i++) {
        if (store_generations(cache, &tags, clock_now_ms() + CALL_MS, &generations, &identity, NULL,
                              &err) != LARDER_OK)
            fail("generations", err.message);
        int64_t begin = now_us();
        if (store_purge_tags(cache, tags.name, 1, false, clock_now_ms() + CALL_MS, &err) !=
            LARDER_OK)
            fail("purge", err.message);
        took[i] = now_us() - begin;
    }
    qsort(took, (size_t)rounds, sizeof *took, compare);
    int64_t deleted = 0, begin = now_us();
    const struct larder_sweep sweep = {.timeout_ms = SWEEP_MS};
    if (larder_delete_pattern(cache, "response:*", &sweep, &deleted, &err) != LARDER_OK)
        fail("sweep", err.message);
    int64_t swept_us = now_us() - begin;
    printf("entries %" PRId64 "\npurge_us %" PRId64 "\npurge_p99_us %" PRId64
           "\nsweep_ms %.1f\nswept %" PRId64 "\n",
           entries, took[rounds / 2], took[rounds * 99 / 100], (double)swept_us / 1000, deleted);
    larder_close(cache);
    free(took);
    return deleted == entries ? 0 : 1;
}
