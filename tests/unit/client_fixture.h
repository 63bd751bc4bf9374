/*
 * What the tests of the client have in common: one private Redis for the
 * program and clients of it. Included by one .c file of a program, after cmocka.
 */
#ifndef TESTS_UNIT_CLIENT_FIXTURE_H
#define TESTS_UNIT_CLIENT_FIXTURE_H

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "client/store.h"
#include "larder.h"
#include "raw_server.h"
#include "redis_fixture.h"

static struct redis_fixture redis;
static struct arena *arena; /* for tags; lives as long as the Redis */

#define assert_status(call, expected) \
    assert_string_equal(larder_status_name(call), larder_status_name(expected))
#define assert_ok(call) assert_status(call, LARDER_OK)

static inline struct larder_options
redis_options(void)
{
    struct larder_options options;

    larder_options_init(&options);
    options.unix_path = redis.socket;
    options.name_space = "t";
    options.pool_min_idle = 0;
    return options;
}

static inline struct larder *
open_with(const struct larder_options *options)
{
    struct larder *cache = NULL;
    struct larder_error err = {.message = ""};

    enum larder_status status = larder_open(options, &cache, &err);
    if (status != LARDER_OK)
        print_error("larder_open: %s\n", err.message);
    assert_ok(status);
    return cache;
}

static inline struct larder *
open_redis(void)
{
    struct larder_options options = redis_options();

    return open_with(&options);
}

static inline struct larder *
open_disabled(void)
{
    struct larder_options options = redis_options();

    options.enabled = false;
    return open_with(&options);
}

/* A client of a Redis that is not there. */
static inline struct larder *
open_gone(void)
{
    struct larder_options options = redis_options();

    options.unix_path = "/nonexistent/redis.sock";
    options.lazy = true;
    options.retry_min_ms = 1;
    options.retry_max_ms = 2;
    return open_with(&options);
}

static inline void
pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){(time_t)(ms / 1000), (long)(ms % 1000) * 1000000}, NULL);
}

/* Wait for a condition, at most five seconds; it is not evaluated again once it has held. */
#define await(condition)                                                                \
    do {                                                                                \
        bool await_held = false;                                                        \
        for (int await_i = 0; await_i < 1000 && !(await_held = (condition)); await_i++) \
            pause_ms(5);                                                                \
        assert_true(await_held);                                                        \
    } while (0)

static inline void
redis_says(const char *command, const char *expected)
{
    char answer[512];

    assert_true(redis_fixture_command(&redis, command, answer, sizeof answer));
    assert_string_equal(answer, expected);
}

static inline int
empty_redis(void **state)
{
    char answer[64];

    (void)state;
    return redis_fixture_command(&redis, "FLUSHALL", answer, sizeof answer) ? 0 : -1;
}

static inline int
start_redis(void **state)
{
    (void)state;
    arena = arena_new((size_t)1024 * 1024);
    return arena && redis_fixture_start(&redis, NULL) ? 0 : -1;
}

static inline int
stop_redis(void **state)
{
    (void)state;
    redis_fixture_stop(&redis);
    arena_free(arena);
    return 0;
}

/* A deadline that no test should come near. */
static inline int64_t
soon(void)
{
    return clock_now_ms() + 5000;
}

static inline struct store_tags
tags_for(const char *resource, const char *user)
{
    struct store_tags tags;

    assert_true(store_tags_for(&tags, arena, resource, user));
    assert_true(store_tags_add(&tags, arena, "url:1234"));
    memmove(&tags.name[2], &tags.name[1], (tags.count - 2) * sizeof *tags.name);
    tags.name[1] = "url:1234";
    return tags;
}

/*
 * recv() for a server that plays Redis: what every connection begins with, and
 * what the client's own thread asks every second (INFO), is answered here as a
 * master does, and everything else is the test's.
 */
static inline ssize_t
redis_hears(int fd, char *buf, size_t size)
{
    static const char info[] =
        "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n*2\r\n$4\r\nINFO\r\n$11\r\nreplication\r\n";
    static const char answer[] =
        "$10\r\nrun_id:abc\r\n$31\r\nrole:master\r\nmaster_replid:12\r\n\r\n";
    ssize_t n;

    while ((n = recv(fd, buf, size, 0)) == (ssize_t)sizeof info - 1 &&
           memcmp(buf, info, sizeof info - 1) == 0)
        if (!raw_say(fd, answer))
            return 0;
    return n;
}

#endif
