/*
 * Connections and commands when things go wrong: what is said, what is tried
 * again and how often, and that no answer ever reaches another caller.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "client/command.h"
#include "client/store.h"
#include "client_fixture.h"
#include "raw_server.h"

/* ------------------------------------- a server that counts and plays a script */

#define ANSWERS_MAX 8

/* What the n-th command gets; the last is for all that follow. NULL: hang up. "": nothing. */
struct script {
    const char *answers[ANSWERS_MAX];
    atomic_int commands;
};

static void
play(struct raw_conn *conn)
{
    struct script *script = conn->arg;
    char command[4096];

    while (redis_hears(conn->fd, command, sizeof command) > 0) {
        int n = atomic_fetch_add(&script->commands, 1);
        while (n > 0 && (n >= ANSWERS_MAX || !script->answers[n]))
            n--;
        const char *answer = script->answers[n];
        if (!answer || !raw_say(conn->fd, answer))
            return;
    }
}

static struct larder_options
fast_options(struct raw_server *server)
{
    struct larder_options options;

    larder_options_init(&options);
    options.port = raw_server_port(server);
    options.lazy = true;
    options.pool_min_idle = 0;
    options.read_timeout_ms = 100;
    options.retry_min_ms = 1;
    options.retry_max_ms = 4;
    return options;
}

static struct raw_server *
start_script(struct script *script, struct larder **cache)
{
    struct raw_server *server = raw_server_start(NULL, play, script);
    struct larder_options options = fast_options(server);

    *cache = open_with(&options);
    return server;
}

static void
stop_script(struct raw_server *server, struct larder *cache)
{
    larder_close(cache);
    raw_server_stop(server);
}

/* ------------------------------------------------------------- trying again */

static void
every_command_has_a_rule(void **state)
{
    (void)state;
    for (int i = 0; i < COMMAND_COUNT; i++) {
        const struct command_rule *rule = command_rule((enum command)i);
        assert_non_null(rule->name);
        if (!rule->writes)
            assert_true(rule->repeatable);
    }
}

static enum larder_status
increment(struct larder *cache, struct larder_error *err)
{
    return larder_increment(cache, "n", NULL, err);
}

static enum larder_status
set_if_absent(struct larder *cache, struct larder_error *err)
{
    return larder_set_if_absent(cache, "n", NULL, 0, err);
}

static enum larder_status
take_lock(struct larder *cache, struct larder_error *err)
{
    char token[LARDER_TOKEN_SIZE];
    enum larder_status status = larder_lock(cache, "l", 1000, token, err);

    assert_int_equal(strlen(token), 32); /* to unlock what may be held */
    return status;
}

static enum larder_status
read_value(struct larder *cache, struct larder_error *err)
{
    json_object *value = NULL;

    return larder_get(cache, "k", &value, err);
}

static enum larder_status
write_value(struct larder *cache, struct larder_error *err)
{
    return larder_set(cache, "k", NULL, 0, err);
}

static enum larder_status
delete_value(struct larder *cache, struct larder_error *err)
{
    return larder_delete(cache, &(const char *){"k"}, 1, NULL, err);
}

static enum larder_status
let_go(struct larder *cache, struct larder_error *err)
{
    return larder_unlock(cache, "l", "0123456789abcdef0123456789abcdef", err);
}

static void
what_must_not_be_repeated_is_sent_once(void **state)
{
    enum larder_status (*const calls[])(struct larder *, struct larder_error *) = {
        increment, set_if_absent, take_lock, larder_flush_server};
    /* silence, garbage, a closed connection */
    static const char *const answers[] = {"", "@\r\n", NULL};

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (size_t j = 0; j < sizeof answers / sizeof *answers; j++) {
            struct script script = {.answers = {answers[j]}};
            struct larder_error err = {.message = ""};
            struct larder *cache;
            struct raw_server *server = start_script(&script, &cache);
            assert_status(calls[i](cache, &err), LARDER_UNKNOWN);
            assert_int_equal(script.commands, 1);
            assert_non_null(strstr(err.message, "; it may have been carried out"));
            assert_int_equal(err.status, LARDER_UNKNOWN);
            stop_script(server, cache);
        }
    }
}

static void
what_may_be_repeated_is_tried_four_times(void **state)
{
    enum larder_status (*const calls[])(struct larder *, struct larder_error *) = {
        read_value, write_value, delete_value, let_go};

    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct script script = {.answers = {NULL}}; /* hangs up without a word */
        struct larder_error err = {.message = ""};
        struct larder_stats stats;
        struct larder *cache;
        struct raw_server *server = start_script(&script, &cache);
        assert_status(calls[i](cache, &err), LARDER_UNAVAILABLE);
        assert_int_equal(script.commands, 4);
        larder_stats(cache, &stats);
        assert_int_equal(stats.retries, 3);
        assert_int_equal(stats.errors, 1);
        stop_script(server, cache);
    }
}

static void
a_refusal_that_passes_is_tried_again_for_every_command(void **state)
{
    struct script script = {
        .answers = {"-LOADING Redis is loading the dataset in memory\r\n",
                    "-READONLY You can't write against a read only replica.\r\n",
                    "-MASTERDOWN Link with MASTER is down\r\n", ":7\r\n"}};
    struct larder_error err = {.message = ""};
    struct larder *cache;
    struct raw_server *server = start_script(&script, &cache);
    int64_t value = 0;

    (void)state;
    assert_ok(larder_increment(cache, "n", &value, &err));
    assert_int_equal(value, 7);
    assert_int_equal(script.commands, 4);
    assert_int_equal(raw_server_connections(server), 4); /* the next may lead to the new master */
    stop_script(server, cache);
}

static void
any_other_refusal_is_final(void **state)
{
    struct script script = {.answers = {"-OOM command not allowed\r\n", "+OK\r\n"}};
    struct larder_error err = {.message = ""};
    struct larder *cache;
    struct raw_server *server = start_script(&script, &cache);

    (void)state;
    assert_status(write_value(cache, &err), LARDER_REFUSED);
    assert_int_equal(script.commands, 1);
    assert_ok(write_value(cache, &err));
    assert_int_equal(raw_server_connections(server), 1);
    stop_script(server, cache);
}

static void
the_third_refusal_that_passes_is_reported_at_last(void **state)
{
    struct script script = {.answers = {"-LOADING x\r\n"}};
    struct larder_error err = {.message = ""};
    struct larder *cache;
    struct raw_server *server = start_script(&script, &cache);

    (void)state;
    assert_status(increment(cache, &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "INCRBY: LOADING x"));
    assert_int_equal(script.commands, 4);
    stop_script(server, cache);
}

static void
an_unlock_whose_answer_was_lost_does_not_claim_success(void **state)
{
    struct script script = {.answers = {"", ":0\r\n"}}; /* "": none within read_timeout_ms */
    struct larder_error err = {.message = ""};
    struct larder *cache;
    struct raw_server *server = start_script(&script, &cache);

    (void)state;
    assert_status(let_go(cache, &err), LARDER_MISS);
    assert_non_null(strstr(err.message, "an earlier try"));
    stop_script(server, cache);
}

static void
tries_are_apart_by_more_each_time(void **state)
{
    struct script script = {.answers = {"-LOADING x\r\n"}};
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct larder_options options = fast_options(server);
    options.retry_min_ms = 10;
    options.retry_max_ms = 512;
    struct larder *cache = open_with(&options);
    int64_t longest = 0;

    (void)state;
    /* 10 to 30, 10 to 50, 10 to 90; of ten, hardly all are shorter than thrice the first at most */
    for (int i = 0; i < 10; i++) {
        int64_t before = clock_now_ms();
        assert_status(write_value(cache, NULL), LARDER_REFUSED);
        int64_t took = clock_now_ms() - before;
        assert_in_range(took, 30, 170 + 400);
        longest = took > longest ? took : longest;
    }
    assert_true(longest > 95);
    larder_close(cache);

    options.retry_min_ms = 200;
    options.retry_max_ms = 10; /* the cap wins */
    cache = open_with(&options);
    int64_t before = clock_now_ms();
    assert_status(write_value(cache, NULL), LARDER_REFUSED);
    assert_in_range(clock_now_ms() - before, 30, 30 + 500);
    larder_close(cache);

    options.max_retries = 0;
    cache = open_with(&options);
    int commands = script.commands;
    assert_status(write_value(cache, NULL), LARDER_REFUSED);
    assert_int_equal(script.commands, commands + 1);
    larder_close(cache);
    raw_server_stop(server);
}

static void
a_call_ends_with_its_budget_retries_included(void **state)
{
    struct script script = {.answers = {""}};
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct larder_options options = fast_options(server);
    options.max_retries = 50;
    options.operation_timeout_ms = 250; /* two and a half tries */
    struct larder *cache = open_with(&options);
    struct larder_error err;

    (void)state;
    int64_t before = clock_now_ms();
    assert_status(write_value(cache, &err), LARDER_TIMEOUT);
    assert_in_range(clock_now_ms() - before, 200, 1500);
    assert_non_null(strstr(err.message, "SET: no answer in time"));
    stop_script(server, cache);
}

/* --------------------------------------------------- answers to the right caller */

static void
an_answer_too_many_is_not_the_next_callers(void **state)
{
    struct script script = {.answers = {"$1\r\n1\r\n$1\r\n2\r\n", "$1\r\n3\r\n"}};
    struct larder *cache;
    struct raw_server *server = start_script(&script, &cache);
    json_object *value = NULL;

    (void)state;
    /* The first is no good either: who knows whose it was. */
    assert_ok(larder_get(cache, "k", &value, NULL));
    assert_int_equal(json_object_get_int(value), 3);
    json_object_put(value);
    assert_int_equal(raw_server_connections(server), 2);
    stop_script(server, cache);
}

static void
answer_late(struct raw_conn *conn)
{
    char command[4096];
    atomic_int *served = conn->arg;

    while (redis_hears(conn->fd, command, sizeof command) > 0) {
        bool first = atomic_fetch_add(served, 1) == 0;
        if (first)
            pause_ms(60);
        if (!raw_say(conn->fd, first ? "$4\r\n\"A!\"\r\n" : "$4\r\n\"B!\"\r\n"))
            return;
    }
}

static void
a_late_answer_reaches_nobody(void **state)
{
    atomic_int served = 0;
    struct raw_server *server = raw_server_start(NULL, answer_late, &served);
    struct larder_options options = fast_options(server);
    struct larder *cache = open_with(&options);
    struct store_tags none = {.count = 0};
    struct store_value value;

    (void)state;
    /* Until one was sent: on a busy machine the time may be up before that. */
    while (atomic_load(&served) == 0)
        assert_status(store_lookup(cache, "a", &none, 9, clock_now_ms() + 20, &value, NULL),
                      LARDER_TIMEOUT);
    for (int i = 0; i < 20; i++) {
        assert_ok(store_lookup(cache, "b", &none, 9, clock_now_ms() + 1000, &value, NULL));
        assert_memory_equal(value.data, "\"B!\"", 4);
        free(value.data);
        pause_ms(5);
    }
    stop_script(server, cache);
}

static void
an_answer_before_the_question_is_thrown_away(void **state)
{
    struct script script = {.answers = {"$1\r\n1\r\n", "$1\r\n2\r\n"}};
    struct larder *cache;
    struct raw_server *server = start_script(&script, &cache);
    json_object *value = NULL;

    (void)state;
    assert_ok(larder_get(cache, "k", &value, NULL));
    json_object_put(value);
    assert_ok(larder_get(cache, "k", &value, NULL));
    assert_int_equal(json_object_get_int(value), 2);
    json_object_put(value);
    assert_int_equal(raw_server_connections(server), 1);
    stop_script(server, cache);
}

static void
absurd_answers_are_refused_without_harm(void **state)
{
    static const char *const absurd[] = {
        "*2000000000\r\n",
        "*2000000\r\n$1\r\n1\r\n",
        "$99999999999999999999\r\n",
        "*1\r\n$1\r\n1\r\n",
        ":1\r\n",
        "+OK\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        struct script script = {.answers = {absurd[i]}};
        struct larder *cache;
        struct raw_server *server = start_script(&script, &cache);
        json_object *values[2];
        enum larder_status each[2];
        const char *keys[2] = {"a", "b"};
        enum larder_status status = larder_get_many(cache, keys, 2, values, each, NULL);
        assert_true(status == LARDER_PROTOCOL || status == LARDER_NOMEM ||
                    status == LARDER_TIMEOUT);
        status = read_value(cache, NULL);
        assert_true(status == LARDER_PROTOCOL || status == LARDER_NOMEM ||
                    status == LARDER_TIMEOUT);
        stop_script(server, cache);
    }
}

/* ------------------------------------------------- connections that end too soon */

/* Answers once on each connection, and hangs up when asked again. */
static void
answer_once(struct raw_conn *conn)
{
    atomic_int *commands = conn->arg;
    char command[4096];

    if (redis_hears(conn->fd, command, sizeof command) > 0) {
        atomic_fetch_add(commands, 1);
        raw_say(conn->fd, strstr(command, "INCRBY") ? ":1\r\n" : "$1\r\n1\r\n");
    }
    if (redis_hears(conn->fd, command, sizeof command) > 0)
        atomic_fetch_add(commands, 1);
}

static void
a_kept_connection_that_ends_is_replaced_at_once(void **state)
{
    atomic_int commands = 0;
    struct raw_server *server = raw_server_start(NULL, answer_once, &commands);
    struct larder_options options = fast_options(server);
    options.breaker_failures = 1; /* and it is nobody's failure */
    options.max_retries = 0;
    struct larder *cache = open_with(&options);
    struct store_tags none = {.count = 0};
    struct store_value value;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_ok(store_lookup(cache, "k", &none, 9, clock_now_ms() + 1000, &value, NULL));
        free(value.data);
    }
    assert_int_equal(raw_server_connections(server), 5);
    assert_int_equal(commands, 9);
    /* What must not be repeated is not, for the same reason as ever. */
    assert_status(increment(cache, NULL), LARDER_UNKNOWN);
    assert_int_equal(commands, 10);
    stop_script(server, cache);
}

static void
take_a_little(struct raw_conn *conn)
{
    char byte;

    (void)recv(conn->fd, &byte, 1, 0);
}

static void
a_connection_that_ends_under_a_large_value_ends_nothing_else(void **state)
{
    char path[128];
    struct larder_options options = redis_options();
    char *large = calloc(1, 8u << 20);

    (void)state;
    assert_non_null(large);
    snprintf(path, sizeof path, "%s/ends", redis.dir);
    struct raw_server *server = raw_server_start(path, take_a_little, NULL);
    options.unix_path = path;
    options.lazy = true;
    options.max_retries = 1;
    struct larder *cache = open_with(&options);
    /* Without MSG_NOSIGNAL this would be the end of the program. */
    assert_status(larder_set_raw(cache, "k", large, 8u << 20, 0, NULL), LARDER_UNAVAILABLE);
    free(large);
    stop_script(server, cache);
}

/* ------------------------------------------------------------- AUTH and SELECT */

static void
a_password_opens_and_is_never_told(void **state)
{
    static const char *const args[] = {"--requirepass", "s3cret-word", "--user", "alice", "on",
                                       ">al1ce",        "~*",          "+@all",  NULL};
    struct redis_fixture closed;
    struct larder_options options = redis_options();
    struct larder *cache = NULL;
    struct larder_error err;

    (void)state;
    assert_true(redis_fixture_start(&closed, args));
    options.unix_path = closed.socket;
    assert_status(larder_open(&options, &cache, &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "Set redis.password_file in larder.conf."));
    options.password = "wr0ng-word";
    assert_status(larder_open(&options, &cache, &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "AUTH: WRONGPASS"));
    assert_null(strstr(err.message, "wr0ng"));
    options.password = "s3cret-word";
    cache = open_with(&options);
    assert_ok(write_value(cache, NULL));
    larder_close(cache);
    options.user = "alice";
    assert_status(larder_open(&options, &cache, &err), LARDER_REFUSED);
    options.password = "al1ce";
    cache = open_with(&options);
    assert_ok(write_value(cache, NULL));
    larder_close(cache);
    redis_fixture_stop(&closed);
}

static void
a_server_that_repeats_the_password_is_not_repeated(void **state)
{
    struct script script = {.answers = {"-ERR unknown command `AUTH`, with args beginning with: "
                                        "`hunter2`, \r\n"}};
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct larder_options options = fast_options(server);
    struct larder_error err;

    (void)state;
    options.password = "hunter2";
    struct larder *cache = open_with(&options);
    assert_status(read_value(cache, &err), LARDER_REFUSED);
    assert_null(strstr(err.message, "hunter2"));
    assert_non_null(strstr(err.message, "AUTH: ERR"));
    stop_script(server, cache);
}

static void
the_database_is_selected_on_every_connection(void **state)
{
    struct larder_options options = redis_options();
    struct larder *zero = open_redis();
    struct larder *cache = NULL;
    struct larder_error err;
    json_object *value = NULL;
    char answer[16];

    (void)state;
    options.database = 3;
    cache = open_with(&options);
    assert_ok(write_value(cache, NULL));
    redis_fixture_command(&redis, "CLIENT KILL TYPE normal SKIPME yes", answer, sizeof answer);
    assert_ok(larder_get(cache, "k", &value, NULL));
    assert_status(larder_get(zero, "k", &value, NULL), LARDER_MISS);
    larder_close(cache);
    larder_close(zero);
    options.database = 9999;
    assert_status(larder_open(&options, &cache, &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "SELECT: ERR DB index is out of range"));
}

/* ------------------------------------------------------- the server as a whole */

static void
a_refused_connection_is_named(void **state)
{
    struct raw_server *server = raw_server_start(NULL, play, NULL);
    struct larder_options options = fast_options(server);
    struct larder *cache = NULL;
    struct larder_error err;
    char expected[96];

    (void)state;
    raw_server_stop(server);
    options.lazy = false;
    assert_status(larder_open(&options, &cache, &err), LARDER_UNAVAILABLE);
    snprintf(expected, sizeof expected, "redis 127.0.0.1:%d: connect: Connection refused",
             options.port);
    assert_string_equal(err.message, expected);
    assert_null(cache);
}

static void
a_server_that_is_full_is_tried_again(void **state)
{
    struct script script = {.answers = {"-ERR max number of clients reached\r\n", "+OK\r\n"}};
    struct larder *cache;
    struct raw_server *server = start_script(&script, &cache);

    (void)state;
    assert_ok(write_value(cache, NULL));
    stop_script(server, cache);
}

static void
a_restart_is_not_noticed_by_callers(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_ok(write_value(cache, NULL));
        assert_true(redis_fixture_restart(&redis));
        struct store_tags none = {.count = 0};
        struct store_value value;
        assert_status(store_lookup(cache, "k", &none, 9, clock_now_ms() + 1000, &value, NULL),
                      LARDER_MISS);
    }
    larder_close(cache);
}

static void
a_hung_server_costs_the_budget_and_no_more(void **state)
{
    struct larder_options options = redis_options();
    options.operation_timeout_ms = 150;
    struct larder *cache = open_with(&options);
    struct store_tags none = {.count = 0};
    struct store_value value;

    (void)state;
    redis_fixture_pause(&redis);
    for (int i = 0; i < 5; i++) {
        int64_t before = clock_now_ms();
        assert_status(store_lookup(cache, "k", &none, 9, before + 30, &value, NULL),
                      LARDER_TIMEOUT);
        assert_in_range(clock_now_ms() - before, 29, 500);
    }
    /* No connection comes about: nothing was done. */
    int64_t before = clock_now_ms();
    assert_status(write_value(cache, NULL), LARDER_TIMEOUT);
    assert_in_range(clock_now_ms() - before, 149, 1500);
    before = clock_now_ms();
    assert_status(increment(cache, NULL), LARDER_TIMEOUT);
    assert_in_range(clock_now_ms() - before, 149, 1500);
    redis_fixture_resume(&redis);
    /* There is one: nobody knows. */
    assert_ok(write_value(cache, NULL));
    redis_fixture_pause(&redis);
    before = clock_now_ms();
    assert_status(increment(cache, NULL), LARDER_UNKNOWN);
    assert_in_range(clock_now_ms() - before, 149, 1500);
    redis_fixture_resume(&redis);
    /* More than a socket's buffer holds. */
    char *large = calloc(1, 4u << 20);
    assert_non_null(large);
    assert_ok(write_value(cache, NULL));
    redis_fixture_pause(&redis);
    before = clock_now_ms();
    assert_status(larder_set_raw(cache, "k", large, 4u << 20, 0, NULL), LARDER_TIMEOUT);
    assert_in_range(clock_now_ms() - before, 149, 1500);
    redis_fixture_resume(&redis);
    assert_ok(write_value(cache, NULL));
    free(large);
    larder_close(cache);
}

struct load {
    struct larder *cache;
    atomic_bool over;
    atomic_int answered;
    atomic_int failed;
    atomic_int wrong;
    atomic_int slow;
    atomic_int next;
};

/* Writes and reads its own key; whatever happens to Redis, it never reads another's value. */
static void *
press(void *arg)
{
    struct load *load = arg;
    int id = atomic_fetch_add(&load->next, 1);
    char key[16], text[32];

    snprintf(key, sizeof key, "k%d", id);
    for (int i = 0; !atomic_load(&load->over); i++) {
        struct store_tags none = {.count = 0};
        struct store_value value;
        int n = snprintf(text, sizeof text, "value of %d", id);
        struct iovec iov = {text, (size_t)n};
        int64_t before = clock_now_ms();
        (void)store_put(load->cache, key, &iov, 1, 60000, NULL, before + 50, NULL);
        enum larder_status status =
            store_lookup(load->cache, key, &none, 100, clock_now_ms() + 50, &value, NULL);
        if (clock_now_ms() - before > 500)
            atomic_fetch_add(&load->slow, 1);
        if (status == LARDER_OK && (value.len != (size_t)n || memcmp(value.data, text, value.len)))
            atomic_fetch_add(&load->wrong, 1);
        else if (status == LARDER_OK || status == LARDER_MISS)
            atomic_fetch_add(&load->answered, 1);
        else
            atomic_fetch_add(&load->failed, 1);
        if (status == LARDER_UNAVAILABLE)
            pause_ms(2); /* as if it asked a backend; sixteen threads in a tight loop starve all */
        free(value.data);
    }
    return NULL;
}

static void
under_load_nothing_that_happens_to_redis_mixes_answers_up(void **state)
{
    struct larder_options options = redis_options();
    options.breaker_failures = 5;
    options.pool_min_idle = 5;
    options.pool_max = 8;
    struct load load = {.cache = open_with(&options)};
    pthread_t threads[16];

    (void)state;
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, press, &load), 0);
    for (int i = 0; i < 3; i++) {
        int answered = load.answered;
        await(load.answered > answered + 100);
        redis_fixture_pause(&redis);
        pause_ms(120);
        redis_fixture_resume(&redis);
        answered = load.answered;
        await(load.answered > answered + 100);
        redis_fixture_kill(&redis);
        pause_ms(50);
        assert_true(redis_fixture_restart(&redis));
    }
    int answered = load.answered;
    await(load.answered > answered + 100);
    load.over = true;
    for (int i = 0; i < 16; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(load.wrong, 0);
    assert_true(load.failed > 0);
    assert_int_equal(load.slow, 0);
    larder_close(load.cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_a_rule),
        cmocka_unit_test(what_must_not_be_repeated_is_sent_once),
        cmocka_unit_test(what_may_be_repeated_is_tried_four_times),
        cmocka_unit_test(a_refusal_that_passes_is_tried_again_for_every_command),
        cmocka_unit_test(any_other_refusal_is_final),
        cmocka_unit_test(the_third_refusal_that_passes_is_reported_at_last),
        cmocka_unit_test(an_unlock_whose_answer_was_lost_does_not_claim_success),
        cmocka_unit_test(tries_are_apart_by_more_each_time),
        cmocka_unit_test(a_call_ends_with_its_budget_retries_included),
        cmocka_unit_test(an_answer_too_many_is_not_the_next_callers),
        cmocka_unit_test(a_late_answer_reaches_nobody),
        cmocka_unit_test(an_answer_before_the_question_is_thrown_away),
        cmocka_unit_test(absurd_answers_are_refused_without_harm),
        cmocka_unit_test(a_kept_connection_that_ends_is_replaced_at_once),
        cmocka_unit_test(a_connection_that_ends_under_a_large_value_ends_nothing_else),
        cmocka_unit_test(a_password_opens_and_is_never_told),
        cmocka_unit_test(a_server_that_repeats_the_password_is_not_repeated),
        cmocka_unit_test(the_database_is_selected_on_every_connection),
        cmocka_unit_test(a_refused_connection_is_named),
        cmocka_unit_test(a_server_that_is_full_is_tried_again),
        cmocka_unit_test(a_restart_is_not_noticed_by_callers),
        cmocka_unit_test(a_hung_server_costs_the_budget_and_no_more),
        cmocka_unit_test(under_load_nothing_that_happens_to_redis_mixes_answers_up),
    };

    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
