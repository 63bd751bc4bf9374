/*
 * Which server it is: that a restart, a replica and a promotion are noticed, that
 * connections to what was a master before are not used any more, and that a
 * server that does not tell works all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>

#include "client/client.h"
#include "client/store.h"
#include "client_fixture.h"

/* What was logged. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_lines[16][512];
static int log_count;

static void
note(void *arg, enum larder_log_level level, const char *message)
{
    (void)arg, (void)level;
    pthread_mutex_lock(&log_lock);
    if (log_count < 16)
        snprintf(log_lines[log_count], sizeof log_lines[0], "%s", message);
    log_count++;
    pthread_mutex_unlock(&log_lock);
}

/* How many lines have these words. */
static int
logged(const char *words)
{
    int n = 0;

    pthread_mutex_lock(&log_lock);
    for (int i = 0; i < log_count && i < 16; i++)
        n += strstr(log_lines[i], words) != NULL;
    pthread_mutex_unlock(&log_lock);
    return n;
}

static struct larder_options
noting_options(void)
{
    struct larder_options options = redis_options();

    pthread_mutex_lock(&log_lock);
    log_count = 0;
    pthread_mutex_unlock(&log_lock);
    options.log = note;
    options.retry_min_ms = 1;
    options.retry_max_ms = 5;
    return options;
}

/* As a look-up has it. */
static uint64_t
identity_now(struct larder *cache)
{
    struct store_tags none = {.count = 0};
    struct store_value value;

    assert_status(store_lookup(cache, "none", &none, 0, soon(), &value, NULL), LARDER_MISS);
    return value.identity;
}

static uint32_t
connections(const struct larder *cache)
{
    struct larder_stats stats;

    larder_stats(cache, &stats);
    return stats.pool_total;
}

/* ------------------------------------------------------------------ what INFO says */

#define SERVER "# Server\r\nredis_version:7.0.15\r\nrun_id:0123456789\r\ntcp_port:0\r\n"
#define MASTER "# Replication\r\nrole:master\r\nmaster_replid:abcdef\r\nmaster_replid2:000\r\n"
#define REPLICA "# Replication\r\nrole:slave\r\nmaster_replid:abcdef\r\n"

static uint64_t
of(const char *server, const char *replication, const char *expected_role)
{
    struct identity_info info = {server, replication};
    const char *role = NULL;
    size_t len = 0;
    uint64_t identity = identity_of(&info, &role, &len);

    if (expected_role) {
        assert_int_equal(len, strlen(expected_role));
        assert_memory_equal(role, expected_role, len);
    } else {
        assert_null(role);
    }
    return identity;
}

static void
an_identity_is_made_of_run_and_replication(void **state)
{
    (void)state;
    uint64_t one = of(SERVER, MASTER, NULL);
    assert_true(one != 0);
    assert_true(one == of(SERVER, MASTER, NULL));
    assert_true(one != of("run_id:0123456780\r\n", MASTER, NULL));
    assert_true(one != of(SERVER, "role:master\r\nmaster_replid:abcdee\r\n", NULL));
    assert_true(of("run_id:ab\r\n", "master_replid:c\r\n", NULL) !=
                of("run_id:a\r\n", "master_replid:bc\r\n", NULL));
    assert_true(one == of("run_id:0123456789", "role:master\nmaster_replid:abcdef", NULL));
}

static void
half_an_identity_is_none(void **state)
{
    (void)state;
    static const char *const broken[] = {"",      "run_id",  "run_id:\r\n", "xrun_id:a\r\n",
                                         ":\r\n", "\r\n\r\n"};
    assert_true(of(NULL, MASTER, NULL) == 0);
    assert_true(of(SERVER, NULL, NULL) == 0);
    assert_true(of(NULL, NULL, NULL) == 0);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_true(of(broken[i], MASTER, NULL) == 0);
    assert_true(of(SERVER, "role:master\r\n", NULL) == 0);
}

static void
only_a_master_is_one(void **state)
{
    (void)state;
    of(SERVER, REPLICA, "slave");
    of(NULL, "role:sentinel\r\n", "sentinel");
    of(NULL, "role:masters\r\n", "masters");
    of(SERVER, "", NULL);
}

/* -------------------------------------------------------------------- in the client */

static void
all_that_is_read_tells_whose_it_is(void **state)
{
    (void)state;
    struct larder *cache = open_redis();
    struct larder *other = open_redis();
    struct store_tags tags = tags_for(NULL, NULL);
    struct store_generations now;
    store_generation current[2];
    struct store_position at;
    uint64_t made = 0, read = 0, mine = identity_now(cache);
    assert_true(mine != 0);
    assert_true(identity_now(other) == mine);
    assert_ok(store_generations(cache, &tags, soon(), &now, &made, NULL, NULL));
    assert_ok(store_current(cache, tags.name, tags.count, soon(), current, &read, NULL));
    assert_ok(store_position(cache, soon(), &at, NULL));
    assert_true(made == mine && read == mine && at.identity == mine);
    larder_close(cache);
    larder_close(other);
}

static void
a_restart_makes_another_server_of_it(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    struct larder *cache = open_with(&options);
    const char *tags[] = {"tag:a"};
    store_generation now[1];
    struct store_position at, after;
    uint64_t before = identity_now(cache);
    assert_ok(store_position(cache, soon(), &at, NULL));
    assert_ok(store_own_generations(cache, &at, tags, 1, soon(), now, NULL));
    assert_true(redis_fixture_restart(&redis));
    assert_true(identity_now(cache) != before);
    assert_status(store_own_generations(cache, &at, tags, 1, soon(), now, NULL), LARDER_MISS);
    /* What is kept is not of the old one. */
    assert_ok(store_position(cache, soon(), &after, NULL));
    assert_true(after.identity == identity_now(cache));
    assert_ok(store_own_generations(cache, &after, tags, 1, soon(), now, NULL));
    assert_int_equal(logged("is another server now, or has been restarted"), 1);
    assert_int_equal(log_count, 1);
    larder_close(cache);
}

static void
an_idle_client_notices_a_restart_by_itself(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    options.pool_min_idle = 3;
    struct larder *cache = open_with(&options);
    await(connections(cache) == 3);
    assert_true(redis_fixture_restart(&redis));
    await(logged("is another server now") == 1);
    larder_close(cache);
}

static void
a_replica_is_not_used(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    struct larder_error err = {.message = ""};
    struct larder *cache = NULL;
    char expected[200];
    redis_says("REPLICAOF 127.0.0.1 1", "+OK");
    options.max_retries = 0;
    assert_status(larder_open(&options, &cache, &err), LARDER_UNAVAILABLE);
    snprintf(expected, sizeof expected, "redis %s: is a replica (role:slave)", redis.socket);
    assert_string_equal(err.message, expected);
    redis_says("REPLICAOF NO ONE", "+OK");
    larder_close(open_with(&options));
}

static void
connections_to_what_became_a_replica_are_dropped(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    struct store_tags none = {.count = 0};
    struct store_value value;
    options.max_retries = 0;
    struct larder *cache = open_with(&options);
    redis_says("SET t:k old", "+OK");
    uint64_t before = identity_now(cache);
    assert_int_equal(connections(cache), 1);
    /* The old connections stay open, and answer. */
    redis_says("REPLICAOF 127.0.0.1 1", "+OK");
    await(logged("is no master any more: role:slave") == 1);
    await(connections(cache) == 0);
    assert_status(store_lookup(cache, "k", &none, 9, soon(), &value, NULL), LARDER_UNAVAILABLE);
    assert_int_equal(log_count, 1);
    redis_says("REPLICAOF NO ONE", "+OK");
    uint64_t after = identity_now(cache);
    assert_true(after != 0 && after != before); /* who knows what it has copied meanwhile */
    assert_int_equal(logged("leads to a master again"), 1);
    pause_ms(1200); /* it stays at that */
    assert_int_equal(log_count, 2);
    assert_true(identity_now(cache) == after);
    assert_int_equal(connections(cache), 1);
    larder_close(cache);
}

static void
a_promotion_that_nobody_saw_makes_another_server_of_it(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    options.pool_min_idle = 2;
    struct larder *cache = open_with(&options);
    await(connections(cache) == 2);
    uint64_t before = identity_now(cache);
    redis_says("REPLICAOF 127.0.0.1 1", "+OK");
    redis_says("REPLICAOF NO ONE", "+OK");
    await(identity_now(cache) != before);
    assert_true(logged("is another server now") + logged("is no master any more") >= 1);
    larder_close(cache);
}

/* Keeps a connection in use while the server changes under it. */
static void *
look_often(void *arg)
{
    struct larder *cache = arg;

    for (int i = 0; i < 200; i++) {
        struct store_tags none = {.count = 0};
        struct store_value value;
        (void)store_lookup(cache, "k", &none, 9, soon(), &value, NULL);
        pause_ms(10);
    }
    return NULL;
}

static void
a_connection_in_use_is_not_kept_either(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    options.max_retries = 0;
    struct larder *cache = open_with(&options);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look_often, cache), 0);
    redis_says("REPLICAOF 127.0.0.1 1", "+OK");
    await(logged("is no master any more") == 1);
    await(connections(cache) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    redis_says("REPLICAOF NO ONE", "+OK");
    larder_close(cache);
}

static void
a_server_that_does_not_tell_works_and_is_named_once(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    const char *tags[] = {"tag:a"};
    store_generation now[1];
    struct store_position at;
    redis_says("ACL SETUSER mute on >secret ~* &* +@all -info", "+OK");
    options.user = "mute";
    options.password = "secret";
    options.pool_min_idle = 3;
    struct larder *cache = open_with(&options);
    await(connections(cache) >= 3);
    assert_true(identity_now(cache) == 0);
    assert_ok(store_position(cache, soon(), &at, NULL));
    assert_ok(store_own_generations(cache, &at, tags, 1, soon(), now, NULL));
    pause_ms(1200);
    assert_true(connections(cache) >= 3);
    assert_int_equal(logged("does not tell which server it is, no restart will be noticed: NOPERM"),
                     1);
    assert_int_equal(log_count, 1);
    larder_close(cache);
    redis_says("ACL DELUSER mute", ":1");
}

static void
answer_slowly(struct raw_conn *conn)
{
    char command[4096];

    while (redis_hears(conn->fd, command, sizeof command) > 0) {
        pause_ms(200);
        if (!raw_say(conn->fd, "$1\r\n1\r\n"))
            return;
    }
}

static void *
get_one(void *arg)
{
    json_object *value = NULL;
    enum larder_status status = larder_get(arg, "k", &value, NULL);

    json_object_put(value);
    return status == LARDER_OK ? arg : NULL;
}

static void
who_waits_in_line_gets_no_connection_to_the_old_server(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start(NULL, answer_slowly, NULL);
    struct larder_options options;
    pthread_t threads[2];
    larder_options_init(&options);
    options.port = raw_server_port(server);
    options.lazy = true;
    options.pool_min_idle = 0;
    options.pool_max = 1;
    options.max_retries = 0;
    struct larder *cache = open_with(&options);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, get_one, cache), 0);
        pause_ms(50);
    }
    identity_note(&cache->identity, 4711, ""); /* as somebody else's connection would */
    for (int i = 0; i < 2; i++) {
        void *answered = NULL;
        pthread_join(threads[i], &answered);
        assert_non_null(answered);
    }
    assert_int_equal(raw_server_connections(server), 2);
    larder_close(cache);
    raw_server_stop(server);
}

static void *
run_for_ever(void *unused)
{
    char answer[64];

    (void)unused;
    redis_fixture_command(&redis, "EVAL repeat(type)(1)until(false) 0", answer, sizeof answer);
    return NULL;
}

static void
a_server_that_runs_somebodys_slow_script_is_the_same_afterwards(void **state)
{
    (void)state;
    struct larder_options options = noting_options();
    struct larder *cache = open_with(&options);
    uint64_t before = identity_now(cache);
    struct store_tags none = {.count = 0};
    struct store_value value;
    pthread_t thread;
    redis_says("CONFIG SET lua-time-limit 50", "+OK");
    assert_int_equal(pthread_create(&thread, NULL, run_for_ever, NULL), 0);
    pause_ms(1500); /* it is asked once a second which one it is */
    assert_true(store_lookup(cache, "none", &none, 0, soon(), &value, NULL) != LARDER_MISS);
    redis_says("SCRIPT KILL", "+OK");
    pthread_join(thread, NULL);
    await(store_lookup(cache, "none", &none, 0, soon(), &value, NULL) == LARDER_MISS);
    assert_true(identity_now(cache) == before);
    assert_int_equal(logged("another server"), 0);
    assert_int_equal(logged("does not tell"), 0);
    larder_close(cache);
    redis_says("CONFIG SET lua-time-limit 5000", "+OK");
}

/* ------------------------------------------------------------------------- dialling */

static void
answer_at_once(struct raw_conn *conn)
{
    char *heard = conn->arg;
    ssize_t n = recv(conn->fd, heard, 4095, 0);

    heard[n > 0 ? n : 0] = '\0';
    raw_say(conn->fd,
            "+OK\r\n+OK\r\n$10\r\nrun_id:abc\r\n$31\r\nrole:master\r\nmaster_replid:12\r\n\r\n");
    while (recv(conn->fd, heard + 4096, 4096, 0) > 0)
        raw_say(conn->fd, "$1\r\n1\r\n");
}

static void
dialling_takes_one_round_trip(void **state)
{
    (void)state;
    static char heard[2 * 4096];
    struct raw_server *server = raw_server_start(NULL, answer_at_once, heard);
    struct larder_options options;
    json_object *value = NULL;
    larder_options_init(&options);
    options.port = raw_server_port(server);
    options.lazy = true;
    options.pool_min_idle = 0;
    options.password = "secret";
    options.database = 3;
    options.max_retries = 0;
    struct larder *cache = open_with(&options);
    assert_ok(larder_get(cache, "k", &value, NULL));
    json_object_put(value);
    larder_close(cache);
    raw_server_stop(server);
    assert_non_null(strstr(heard, "AUTH"));
    assert_non_null(strstr(heard, "SELECT"));
    assert_non_null(strstr(heard, "server"));
    assert_non_null(strstr(heard, "replication"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identity_is_made_of_run_and_replication),
        cmocka_unit_test(half_an_identity_is_none),
        cmocka_unit_test(only_a_master_is_one),
        TEST(all_that_is_read_tells_whose_it_is),
        TEST(a_restart_makes_another_server_of_it),
        TEST(an_idle_client_notices_a_restart_by_itself),
        TEST(a_replica_is_not_used),
        TEST(connections_to_what_became_a_replica_are_dropped),
        TEST(a_promotion_that_nobody_saw_makes_another_server_of_it),
        TEST(a_connection_in_use_is_not_kept_either),
        cmocka_unit_test(who_waits_in_line_gets_no_connection_to_the_old_server),
        TEST(a_server_that_does_not_tell_works_and_is_named_once),
        TEST(a_server_that_runs_somebodys_slow_script_is_the_same_afterwards),
        TEST(dialling_takes_one_round_trip),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
