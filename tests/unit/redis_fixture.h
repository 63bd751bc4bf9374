/*
 * A private redis-server for one test program: on a Unix socket in a directory
 * of its own, nothing saved, no port unless asked for. It dies with the test.
 *
 *     struct redis_fixture redis;
 *     if (!redis_fixture_available())
 *         return REDIS_FIXTURE_SKIP;
 *     assert_true(redis_fixture_start(&redis, NULL));
 *     ... options.unix_path = redis.socket ...
 *     redis_fixture_stop(&redis);
 *
 * Start it from the main thread: the kernel ends the server when the thread
 * that started it ends.
 */
#ifndef TESTS_UNIT_REDIS_FIXTURE_H
#define TESTS_UNIT_REDIS_FIXTURE_H

#include <stdbool.h>
#include <sys/types.h>

/* What automake reads as "skipped". */
#define REDIS_FIXTURE_SKIP 77
#define REDIS_FIXTURE_ARGS_MAX 16

struct redis_fixture {
    char dir[64];
    char socket[96];
    int port;  /* 0: none */
    pid_t pid; /* 0: not running */
    const char *args[REDIS_FIXTURE_ARGS_MAX];
};

/* Is there a redis-server on this machine? */
bool redis_fixture_available(void);

/*
 * Start and wait until it answers. args (NULL: none) are further arguments,
 * NULL-terminated: { "--requirepass", "secret", NULL }; the strings must outlive the
 * fixture. false: says why on stderr, leaves nothing behind.
 */
bool redis_fixture_start(struct redis_fixture *redis, const char *const *args);

/* The same, and on a free TCP port of 127.0.0.1 too: redis->port. */
bool redis_fixture_start_tcp(struct redis_fixture *redis, const char *const *args);

/* kill -9; the directory stays for redis_fixture_restart(). */
void redis_fixture_kill(struct redis_fixture *redis);

/* Start again after redis_fixture_kill(), empty, at the same socket and port. */
bool redis_fixture_restart(struct redis_fixture *redis);

/* SIGSTOP and SIGCONT: a server that hangs. */
void redis_fixture_pause(struct redis_fixture *redis);
void redis_fixture_resume(struct redis_fixture *redis);

/* End it and remove its directory. May be called twice. */
void redis_fixture_stop(struct redis_fixture *redis);

/*
 * One command by a plain connection of its own, apart from the code under
 * test; the words are split at blanks. The answer is cut to `size` and NUL-terminated,
 * as it came over the wire without its last CRLF. false: no answer within two seconds.
 */
bool redis_fixture_command(const struct redis_fixture *redis, const char *command, char *answer,
                           size_t size);

#endif
