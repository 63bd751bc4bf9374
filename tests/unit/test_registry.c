/*
 * The mutation register; purges hard and soft, claims, and what they do to each
 * other: that nothing which was invalidated ever counts again, and that what was
 * not does. Against a real Redis, also a full one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "client/client.h"
#include "client/command.h"
#include "client/generations.h"
#include "client/store.h"
#include "client_fixture.h"

#define TAG "user:42"
#define KEY "t:gen:user:42"
#define OLD "0123456789abcdef0000000000000000"
#define REGISTER "t:gen-mutations"
#define HOLD 60000

static const char *const one_tag[] = {TAG};

/* The value of a reply to a command, "" if there is none; good until the next call. */
static const char *
value_of(const char *command)
{
    static char answer[2 * GENERATION_MARKED_MAX];

    assert_true(redis_fixture_command(&redis, command, answer, sizeof answer));
    char *line = strchr(answer, '\n');
    return line ? line + 1 : "";
}

static const char *
generation(void)
{
    return value_of("GET " KEY);
}

static void
begin(void)
{
    redis_says("SET " KEY " " OLD " EX 5184000", "+OK");
}

static struct store_mutation *
enroll(struct larder *cache, int64_t hold_ms)
{
    struct store_mutation *mutation = NULL;
    struct larder_error err = {.message = ""};

    if (store_mutation_begin(cache, one_tag, 1, hold_ms, soon(), &mutation, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    assert_non_null(mutation);
    return mutation;
}

static void
silence(struct larder *cache, struct store_mutation *mutation, bool wanted)
{
    bool fresh = !wanted;

    assert_ok(store_mutation_silence(cache, mutation, soon(), &fresh, NULL));
    assert_int_equal(fresh, wanted);
}

static bool
is_silent(void)
{
    return strcmp(value_of("HGET " REGISTER " =" TAG), "") != 0;
}

static bool
may_use(struct larder *cache)
{
    return store_may_use(cache, soon(), NULL) == LARDER_OK;
}

static void
purge(struct larder *cache, bool soft)
{
    assert_ok(store_purge_tags(cache, one_tag, 1, soft, soon(), NULL));
}

static void
fill_memory(bool full)
{
    redis_says(full ? "CONFIG SET maxmemory 1" : "CONFIG SET maxmemory 0", "+OK");
}

/* --------------------------------------------------------------------- one mutation */

static atomic_bool tending;

/* What the client's own thread does once a second, all the time. */
static void *
tend(void *arg)
{
    struct larder *cache = arg;
    struct conn *conn = NULL;

    if (conn_dial(&cache->endpoint, soon(), -1, &conn, NULL) != LARDER_OK)
        return NULL;
    while (atomic_load(&tending) && !conn->pending) {
        pthread_mutex_lock(&cache->registry.lock);
        cache->registry.beat_ms = 0;
        pthread_mutex_unlock(&cache->registry.lock);
        registry_tend(cache, conn, soon());
    }
    bool well = !conn->pending;
    conn_close(conn);
    return well ? cache : NULL;
}

/* It is freed once, by its owner or by the client's own thread. */
static void
leaving_and_tending_do_not_meet(void **state)
{
    struct larder *cache = open_redis();
    pthread_t thread;
    void *well = NULL;

    (void)state;
    atomic_store(&tending, true);
    assert_int_equal(pthread_create(&thread, NULL, tend, cache), 0);
    for (int i = 0; i < 2000; i++)
        store_mutation_leave(cache, enroll(cache, HOLD), soon());
    atomic_store(&tending, false);
    pthread_join(thread, &well);
    assert_non_null(well);
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
}

static void
a_mutation_is_registered_until_it_leaves(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    struct store_mutation *mutation = enroll(cache, HOLD);
    assert_true(store_mutation_is_young(mutation));
    redis_says("HLEN " REGISTER, ":1");
    assert_non_null(strstr(value_of("HVALS " REGISTER), "0 60000\n" TAG));
    assert_string_equal(generation(), OLD);
    store_mutation_leave(cache, mutation, soon());
    redis_says("EXISTS " REGISTER, ":0");
    assert_string_equal(generation(), OLD);
    larder_close(cache);
}

static void
its_client_says_that_it_lives(void **state)
{
    struct larder *cache = open_redis(), *other = open_redis();

    (void)state;
    struct store_mutation *mutation = enroll(cache, HOLD);
    store_watch(other);
    await(strstr(value_of("HVALS " REGISTER), "3 60000\n" TAG) != NULL);
    assert_true(store_mutation_is_young(mutation));
    /* Nobody purges for it. */
    begin();
    await(strstr(value_of("HVALS " REGISTER), "7 60000\n" TAG) != NULL);
    assert_string_equal(generation(), OLD);
    assert_true(may_use(other));
    store_mutation_leave(cache, mutation, soon());
    larder_close(other);
    larder_close(cache);
}

static void
what_cannot_be_is_refused(void **state)
{
    char tag[STORE_TAG_SIZE + 1];
    const char *const tags[] = {tag};
    struct larder_options options = redis_options();
    struct larder *cache = open_redis();
    struct store_mutation *mutation = NULL;
    bool fresh;

    (void)state;
    options.enabled = false;
    struct larder *off = open_with(&options);
    memset(tag, 'x', sizeof tag - 1);
    tag[sizeof tag - 1] = '\0';
    assert_status(store_mutation_begin(cache, tags, 1, 1000, soon(), &mutation, NULL),
                  LARDER_INVALID);
    assert_status(store_mutation_begin(cache, one_tag, 0, 1000, soon(), &mutation, NULL),
                  LARDER_INVALID);
    assert_status(store_mutation_begin(cache, one_tag, 1, 0, soon(), &mutation, NULL),
                  LARDER_INVALID);
    assert_status(store_silence(cache, tags, 1, 1000, soon(), &fresh, NULL), LARDER_INVALID);
    assert_status(store_purge_tags(cache, tags, 1, false, soon(), NULL), LARDER_INVALID);
    assert_status(store_mutation_begin(off, one_tag, 1, 1000, soon(), &mutation, NULL),
                  LARDER_DISABLED);
    assert_status(store_silence(off, one_tag, 1, 1000, soon(), &fresh, NULL), LARDER_DISABLED);
    assert_status(store_may_use(off, soon(), NULL), LARDER_DISABLED);
    assert_status(store_purge_tags(off, one_tag, 1, true, soon(), NULL), LARDER_DISABLED);
    assert_null(mutation);
    assert_ok(store_purge_tags(cache, NULL, 0, false, soon(), NULL));
    larder_close(off);
    larder_close(cache);
}

/* ------------------------------------------------------------------------- the silent */

static void
a_mutation_of_unknown_outcome_is_purged_for_until_its_hold_is_over(void **state)
{
    struct larder *cache = open_redis();
    int purges = 0;

    (void)state;
    store_watch(cache);
    assert_true(may_use(cache));
    silence(cache, enroll(cache, 5000), true);
    redis_says("HLEN " REGISTER, ":1");
    assert_true(is_silent());
    int64_t begun_ms = clock_now_ms();
    while (is_silent()) {
        assert_true(clock_now_ms() - begun_ms < 20000);
        begin();
        int64_t since_ms = clock_now_ms();
        while (is_silent() && strcmp(generation(), OLD) == 0)
            assert_true(clock_now_ms() - since_ms < 4500);
        purges++;
    }
    assert_true(clock_now_ms() - begun_ms >= 5000);
    assert_in_range(purges, 2, 5);
    redis_says("EXISTS " REGISTER, ":0");
    /* The last purge comes before that. */
    assert_string_equal(generation(), "");
    begin();
    assert_true(may_use(cache));
    assert_string_equal(generation(), OLD);
    larder_close(cache);
}

static void
who_comes_when_the_owner_is_dead_finds_out(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    /* Its record, of which nobody says anything any more. */
    struct store_mutation *mutation = enroll(cache, HOLD);
    (void)mutation;
    larder_close(cache); /* without a word */
    redis_says("HLEN " REGISTER, ":1");
    begin();
    cache = open_redis();
    /* It may have been dead for long. */
    assert_status(store_may_use(cache, soon(), NULL), LARDER_MISS);
    store_watch(cache);
    await(may_use(cache));
    assert_string_equal(generation(), "");
    begin();
    await(is_silent());
    redis_says("HLEN " REGISTER, ":1");
    await(strcmp(generation(), "") == 0);
    larder_close(cache);
}

/* A reload, or a start, uses what is stored as soon as it has purged for the silent itself. */
static void
who_comes_while_somebody_is_silent_purges_at_once(void **state)
{
    (void)state;
    redis_says("HSET " REGISTER " =" TAG " \"1 3 0 60000\"", ":1");
    int64_t begun_ms = clock_now_ms();
    struct larder *cache = open_redis();
    store_watch(cache);
    await(may_use(cache));
    assert_in_range(clock_now_ms() - begun_ms, 0, 800); /* not what the thread does once a second */
    larder_close(cache);
}

static void
silent_ones_of_a_tag_are_one_and_the_longest_hold_counts(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    silence(cache, enroll(cache, 50000), true);
    for (int i = 0; i < 100; i++)
        silence(cache, enroll(cache, 30000), false);
    redis_says("HLEN " REGISTER, ":1");
    assert_string_equal(value_of("HGET " REGISTER " =" TAG), "101 1 0 50000");
    silence(cache, enroll(cache, 60000), false);
    assert_string_equal(value_of("HGET " REGISTER " =" TAG), "102 1 0 60000");
    larder_close(cache);
}

/* A purge is noted of the tag's silent record, which was as `read` says when it began. */
static void
note(struct larder *cache, const char *read, int64_t age_ms, int64_t left_ms)
{
    redisReply *reply = NULL;
    struct wire wire;

    wire_init(&wire);
    registry_begin_notes(cache, &wire, 1);
    registry_write_note(&wire, "=" TAG, read, age_ms, left_ms);
    assert_ok(command_run(cache, COMMAND_NOTE, &wire, soon(), &reply, 1, NULL, NULL));
    command_free_replies(&reply, 1);
    wire_free(&wire);
}

static void
assert_noted(const char *wanted)
{
    assert_string_equal(value_of("HGET " REGISTER " =" TAG), wanted);
}

/* Where they come one behind the other without end no purge would ever be noted otherwise. */
static void
a_purge_counts_also_if_another_mutation_became_silent_meanwhile(void **state)
{
    struct larder *cache = open_redis();
    bool fresh;

    (void)state;
    assert_ok(store_silence(cache, one_tag, 1, 50000, soon(), &fresh, NULL));
    assert_noted("1 1 0 50000");
    note(cache, "1 1 0 50000", 70, 40000);
    assert_noted("1 2 70 40000");
    assert_ok(store_silence(cache, one_tag, 1, 45000, soon(), &fresh, NULL));
    assert_noted("2 2 70 45000");
    note(cache, "1 2 70 40000", 80, 35000); /* its hold is not what was read */
    assert_noted("2 3 80 45000");
    larder_close(cache);
}

static void
of_two_who_purge_for_it_the_first_counts(void **state)
{
    struct larder *cache = open_redis();
    bool fresh;

    (void)state;
    assert_ok(store_silence(cache, one_tag, 1, 50000, soon(), &fresh, NULL));
    note(cache, "1 1 0 50000", 70, 40000);
    note(cache, "1 1 0 50000", 900, 30000);
    assert_noted("1 2 70 40000");
    assert_ok(store_silence(cache, one_tag, 1, 50000, soon(), &fresh, NULL));
    note(cache, "1 1 0 50000", 900, 30000);
    assert_noted("2 2 70 50000");
    larder_close(cache);
}

static void
a_record_is_removed_only_as_it_was_read(void **state)
{
    struct larder *cache = open_redis();
    bool fresh;

    (void)state;
    assert_ok(store_silence(cache, one_tag, 1, 50000, soon(), &fresh, NULL));
    assert_ok(store_silence(cache, one_tag, 1, 50000, soon(), &fresh, NULL));
    note(cache, "1 1 0 50000", 70, -1); /* the last purge of the first, and another of both */
    assert_noted("2 2 70 50000");
    note(cache, "2 1 0 50000", 80, -1);
    assert_noted("2 2 70 50000");
    note(cache, "2 2 70 50000", 80, -1);
    assert_noted("");
    note(cache, "2 2 70 50000", 80, 40000); /* nothing comes back */
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
}

/* Who took it for silent has read a beat that it has not any more. */
static void
who_has_just_given_a_sign_of_life_is_not_silent(void **state)
{
    struct larder *cache = open_redis();
    redisReply *reply = NULL;
    struct wire wire;

    (void)state;
    struct store_mutation *mutation = enroll(cache, HOLD);
    await(strstr(value_of("HVALS " REGISTER), "1 60000\n" TAG) != NULL);
    wire_init(&wire);
    registry_write_silence(cache, &wire, mutation->token, "0", HOLD, true, one_tag, 1);
    assert_ok(command_run(cache, COMMAND_SILENCE, &wire, soon(), &reply, 1, NULL, NULL));
    command_free_replies(&reply, 1);
    wire_free(&wire);
    assert_false(is_silent());
    redis_says("HLEN " REGISTER, ":1");
    store_mutation_leave(cache, mutation, soon());
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
}

/* A reading of nothing but one field, with a value, between two times. */
static void
read_field(struct registry *registry, const char *field, const char *value, int64_t from_ms,
           int64_t to_ms)
{
    char name[64], text[64];
    redisReply parts[2] = {{.type = REDIS_REPLY_STRING, .str = name, .len = strlen(field)},
                           {.type = REDIS_REPLY_STRING, .str = text, .len = strlen(value)}};
    redisReply *both[2] = {&parts[0], &parts[1]};
    const redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = both};

    snprintf(name, sizeof name, "%s", field);
    snprintf(text, sizeof text, "%s", value);
    assert_true(watch_take(registry, &reply, from_ms, to_ms));
}

/* A machine that has just been started has a clock that is younger than L. */
static void
what_is_read_first_is_overdue_also_right_after_the_start_of_the_machine(void **state)
{
    static const char *const fields[][2] = {{"=" TAG, "1 1 0 60000"},
                                            {"0123456789abcdef", "0 60000\n" TAG}};
    struct registry registry;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        registry_init(&registry);
        read_field(&registry, fields[i][0], fields[i][1], 1000, 1010);
        assert_int_equal(atomic_load(&registry.clean_ms), 0);
        assert_true(watch_is_due(&registry, registry.seen, 1010, 0));
        registry_destroy(&registry);
    }
}

/* Its tags are not among those that the round has purged. */
static void
what_is_first_read_during_a_round_was_not_purged(void **state)
{
    char token[] = "0123", value[] = "1 60000\n" TAG;
    redisReply field = {.type = REDIS_REPLY_STRING, .str = token, .len = sizeof token - 1};
    redisReply record = {.type = REDIS_REPLY_STRING, .str = value, .len = sizeof value - 1};
    redisReply *elements[] = {&field, &record};
    const redisReply reply = {.type = REDIS_REPLY_ARRAY, .elements = 2, .element = elements};
    struct registry registry;

    (void)state;
    registry_init(&registry);
    assert_true(watch_take(&registry, &reply, 10000, 10000));
    assert_true(watch_is_due(&registry, registry.seen, 10200, 0));
    watch_cover(&registry, 9999, 10200);
    assert_true(watch_is_due(&registry, registry.seen, 10200, 0));
    watch_cover(&registry, 10100, 10200);
    assert_false(watch_is_due(&registry, registry.seen, 10200, 0));
    assert_false(watch_is_due(&registry, registry.seen, 10100 + REGISTRY_L_MS - 1, 0));
    assert_true(watch_is_due(&registry, registry.seen, 10100 + REGISTRY_L_MS, 0));
    registry_destroy(&registry);
}

static void
too_many_silent_tags_become_all_of_them(void **state)
{
    struct larder *cache = open_redis();
    char tag[32];
    const char *const tags[] = {tag};
    bool fresh;

    (void)state;
    for (int i = 0; i < 520; i++) {
        snprintf(tag, sizeof tag, "url:%d", i);
        assert_ok(store_silence(cache, tags, 1, HOLD, soon(), &fresh, NULL));
    }
    redis_says("HLEN " REGISTER, ":513");
    assert_string_equal(value_of("HGET " REGISTER " =all"), "8 1 0 60000");
    larder_close(cache);
}

/* And it is over with the mutation: a Redis that has lost it has made nothing unknown. */
static void
a_record_that_was_lost_is_put_back(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    struct store_mutation *mutation = enroll(cache, HOLD);
    redis_says("DEL " REGISTER, ":1");
    await(strstr(value_of("HVALS " REGISTER), " 60000\n" TAG) != NULL);
    await(strstr(value_of("HVALS " REGISTER), "2 60000\n" TAG) != NULL);
    assert_false(is_silent());
    assert_true(store_mutation_is_young(mutation));
    store_mutation_leave(cache, mutation, soon());
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
}

static bool
is_empty(void)
{
    char answer[64];

    assert_true(redis_fixture_command(&redis, "EXISTS " REGISTER, answer, sizeof answer));
    return strcmp(answer, ":0") == 0;
}

static bool
has_beaten(struct registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    bool has = registry->beat_ms != 0;
    pthread_mutex_unlock(&registry->lock);
    return has;
}

static bool
has_none(struct registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    bool none = registry->own == NULL;
    pthread_mutex_unlock(&registry->lock);
    return none;
}

struct one_turn {
    struct larder *cache;
    struct conn *conn;
};

static void *
tend_once(void *arg)
{
    struct one_turn *turn = arg;

    registry_tend(turn->cache, turn->conn, soon());
    return NULL;
}

/* That its record is lost is told when its owner has left it: it is not to be put back. */
static void
what_is_lost_when_it_is_over_is_not_put_back(void **state)
{
    struct larder *cache = open_redis();
    struct registry *registry = &cache->registry;
    struct one_turn turn = {cache, NULL};
    pthread_t thread;

    (void)state;
    assert_ok(conn_dial(&cache->endpoint, soon(), -1, &turn.conn, NULL));
    struct store_mutation *mutation = enroll(cache, HOLD);
    redis_says("DEL " REGISTER, ":1");
    redis_fixture_pause(&redis);
    pthread_mutex_lock(&registry->lock);
    registry->beat_ms = 0;
    pthread_mutex_unlock(&registry->lock);
    assert_int_equal(pthread_create(&thread, NULL, tend_once, &turn), 0);
    await(has_beaten(registry));
    store_mutation_leave(cache, mutation, clock_now_ms() + 50);
    redis_fixture_resume(&redis);
    pthread_join(thread, NULL);
    conn_close(turn.conn);
    await(has_none(registry));
    assert_true(is_empty());
    larder_close(cache);
}

/* A Redis that hangs carries the registration out when it wakes; a network may bring it later still. */
static void
what_was_never_sent_leaves_nothing_although_redis_hears_of_it_late(void **state)
{
    struct larder *cache = open_redis();
    struct store_mutation *mutation = NULL;
    char command[128];

    (void)state;
    assert_true(may_use(cache));
    redis_fixture_pause(&redis);
    assert_status(
        store_mutation_begin(cache, one_tag, 1, HOLD, clock_now_ms() + 100, &mutation, NULL),
        LARDER_TIMEOUT);
    pthread_mutex_lock(&cache->registry.lock);
    assert_non_null(cache->registry.own);
    snprintf(command, sizeof command, "HSETNX " REGISTER " %s 0", cache->registry.own->token);
    pthread_mutex_unlock(&cache->registry.lock);
    redis_fixture_resume(&redis);
    /* Whichever of the two comes first; then once more, and later. */
    await(is_empty());
    for (int i = 0; i < 2; i++) {
        redis_says(command, ":1");
        await(is_empty());
    }
    assert_false(is_silent());
    larder_close(cache);
}

/* The same, where it was to be put back. */
static void
what_may_be_put_back_late_is_removed_again(void **state)
{
    struct larder *cache = open_redis();
    struct conn *conn = NULL;
    char command[128];

    (void)state;
    assert_ok(conn_dial(&cache->endpoint, soon(), -1, &conn, NULL));
    struct store_mutation *mutation = enroll(cache, HOLD);
    snprintf(command, sizeof command, "HSETNX " REGISTER " %s 0", mutation->token);
    redis_says("DEL " REGISTER, ":1");
    await(atomic_load(&mutation->alive_ms) < 0);
    redis_fixture_pause(&redis);
    pthread_mutex_lock(&cache->registry.lock);
    cache->registry.beat_ms = 0;
    pthread_mutex_unlock(&cache->registry.lock);
    registry_tend(cache, conn, clock_now_ms() + 100);
    redis_fixture_resume(&redis);
    conn_close(conn);
    await(store_mutation_is_young(mutation));
    store_mutation_leave(cache, mutation, soon());
    await(is_empty());
    redis_says(command, ":1");
    await(is_empty());
    larder_close(cache);
}

/* Its record may be on its way back. */
static void
what_ends_while_its_record_is_lost_leaves_nothing(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    struct store_mutation *mutation = enroll(cache, HOLD);
    redis_says("DEL " REGISTER, ":1");
    await(atomic_load(&mutation->alive_ms) < 0);
    assert_false(store_mutation_is_young(mutation));
    store_mutation_leave(cache, mutation, soon());
    pthread_mutex_lock(&cache->registry.lock);
    /* Not in the owner's hand: HDEL by another connection may come before what puts it back. */
    assert_ptr_equal(cache->registry.own, mutation);
    assert_int_equal(mutation->state, MUTATION_OVER);
    pthread_mutex_unlock(&cache->registry.lock);
    mutation = enroll(cache, HOLD);
    await(strstr(value_of("HVALS " REGISTER), "2 60000\n" TAG) != NULL);
    redis_says("HLEN " REGISTER, ":1");
    store_mutation_leave(cache, mutation, soon());
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
}

static void
any_number_of_mutations_gives_signs_of_life(void **state)
{
    enum { N = 1500 };
    struct larder *cache = open_redis();
    static struct store_mutation *mutations[N];

    (void)state;
    for (int i = 0; i < N; i++)
        mutations[i] = enroll(cache, HOLD);
    const char *const first = "HGET " REGISTER " ";
    char command[128];
    snprintf(command, sizeof command, "%s%s", first, mutations[0]->token);
    await(value_of(command)[0] >= '2');
    for (int i = 0; i < N; i++)
        store_mutation_leave(cache, mutations[i], soon());
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
}

static void
nothing_is_used_while_the_register_cannot_be_read(void **state)
{
    struct larder_options options = redis_options();
    struct larder_error err = {.message = ""};

    (void)state;
    redis_says("ACL SETUSER plain on >secret ~* &* +@all -hgetall", "+OK");
    options.user = "plain";
    options.password = "secret";
    struct larder *cache = open_with(&options);
    assert_status(store_may_use(cache, soon(), &err), LARDER_REFUSED);
    assert_non_null(strstr(err.message, "NOPERM"));
    larder_close(cache);
    redis_says("SET " REGISTER " x", "+OK");
    cache = open_redis();
    assert_status(store_may_use(cache, soon(), &err), LARDER_REFUSED);
    larder_close(cache);
    redis_says("DEL " REGISTER, ":1");
    redis_says("ACL DELUSER plain", ":1");
}

/* A reading that is too old when it is here says nothing, and no mutation is overdue for that. */
static void
a_reading_that_took_too_long_is_repeated(void **state)
{
    struct larder_options options = redis_options();
    struct larder_error err = {.message = ""};

    (void)state;
    options.read_timeout_ms = 4 * REGISTRY_X_MS;
    struct larder *cache = open_with(&options);
    assert_true(may_use(cache));
    atomic_store(&cache->registry.clean_ms, 0);
    redis_says("CLIENT PAUSE 1700", "+OK");
    enum larder_status status = store_may_use(cache, clock_now_ms() + 10 * REGISTRY_X_MS, &err);
    if (status != LARDER_OK)
        print_error("%s\n", err.message);
    assert_ok(status);
    larder_close(cache);
}

static void
what_is_no_record_is_purged_for_and_removed(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    redis_says("HSET " REGISTER " foo bar =baz x", ":2");
    assert_status(store_may_use(cache, soon(), NULL), LARDER_MISS);
    store_watch(cache);
    await(strcmp(value_of("HGET " REGISTER " foo"), "") == 0);
    await(strcmp(value_of("HGET " REGISTER " =baz"), "") == 0);
    await(may_use(cache));
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
}

static void
what_may_not_be_purged_is_not_registered(void **state)
{
    struct larder_options options = redis_options();
    struct larder_error err = {.message = ""};
    struct store_mutation *mutation = NULL;

    (void)state;
    redis_says("ACL SETUSER plain on >secret %R~* ~t:gen-* &* +@all", "+OK");
    options.user = "plain";
    options.password = "secret";
    struct larder *cache = open_with(&options);
    assert_status(store_mutation_begin(cache, one_tag, 1, HOLD, soon(), &mutation, &err),
                  LARDER_REFUSED);
    assert_non_null(strstr(err.message, "NOPERM"));
    assert_null(mutation);
    redis_says("EXISTS " REGISTER, ":0");
    larder_close(cache);
    redis_says("ACL DELUSER plain", ":1");
}

static void
a_flush_does_not_forget_a_mutation(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    struct store_mutation *mutation = enroll(cache, HOLD);
    assert_ok(larder_flush(cache, NULL, NULL, NULL));
    assert_string_equal(generation(), "");
    redis_says("HLEN " REGISTER, ":1");
    store_mutation_leave(cache, mutation, soon());
    larder_close(cache);
}

/* -------------------------------------------------------------------------- purges */

static void
a_purge_deletes_and_may_be_repeated(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    purge(cache, false);
    assert_string_equal(generation(), "");
    purge(cache, false);
    purge(cache, true);
    assert_string_equal(generation(), "");
    redis_says("LPUSH " KEY " x", ":1");
    purge(cache, false);
    redis_says("EXISTS " KEY, ":0");
    redis_says("SET " KEY " nonsense", "+OK");
    purge(cache, true);
    redis_says("EXISTS " KEY, ":0");
    larder_close(cache);
}

static void
a_soft_purge_leaves_the_hard_part_and_tells_its_time(void **state)
{
    struct larder *cache = open_redis();
    store_generation first, second;
    char answer[64];

    (void)state;
    begin();
    int64_t before = clock_wall_ms();
    purge(cache, true);
    assert_int_equal(strlen(generation()), STORE_GENERATION_LEN);
    memcpy(first, generation(), sizeof first);
    assert_memory_equal(first, OLD, STORE_HARD_LEN);
    assert_true(store_soft_time_ms(first) >= before);
    assert_true(store_soft_time_ms(first) <= clock_wall_ms());
    assert_true(redis_fixture_command(&redis, "TTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 5183000, 5184000);
    purge(cache, true);
    memcpy(second, generation(), sizeof second);
    assert_string_not_equal(first, second);
    assert_memory_equal(second, OLD, STORE_HARD_LEN);
    larder_close(cache);
}

static void
any_number_of_tags_is_done_in_batches(void **state)
{
    enum { N = 300 };
    struct larder *cache = open_redis();
    static char names[N][STORE_TAG_SIZE];
    const char *tags[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        char command[128];
        snprintf(names[i], sizeof names[i], "tag:%d", i);
        snprintf(command, sizeof command, "SET t:gen:tag:%d " OLD, i);
        redis_says(command, "+OK");
        tags[i] = names[i];
    }
    assert_ok(store_purge_tags(cache, tags, N, false, soon(), NULL));
    redis_says("XLEN t:gen-news", ":3");
    redis_says("DBSIZE", ":1");
    larder_close(cache);
}

static void
what_an_older_larder_has_marked_matches_nothing_and_is_left(void **state)
{
    struct larder *cache = open_redis();
    struct store_tags tags = {.count = 1, .name = {TAG}};
    struct store_generations now;
    uint64_t identity = 0;

    (void)state;
    redis_says("SET " KEY " M0_-_0123456789abcdef:1 EX 100", "+OK");
    assert_ok(store_generations(cache, &tags, soon(), &now, &identity, NULL, NULL));
    assert_false(store_generation_settled(now.value[0]));
    purge(cache, true);
    assert_string_equal(generation(), "M0_-_0123456789abcdef:1");
    purge(cache, false);
    assert_string_equal(generation(), "");
    larder_close(cache);
}

/* -------------------------------------------------------------------------- claims */

static void
what_nobody_has_invalidated_since_is_claimed_in_one_step(void **state)
{
    struct larder *cache = open_redis();
    store_generation next;
    bool claimed = false;
    char answer[64];

    (void)state;
    begin();
    assert_ok(store_claim(cache, TAG, OLD, soon(), next, &claimed, NULL));
    assert_true(claimed);
    assert_true(store_generation_settled(next));
    assert_string_equal(generation(), next);
    assert_memory_not_equal(next, OLD, STORE_HARD_LEN);
    /* As long as a fetch, until something is stored under it. */
    assert_true(redis_fixture_command(&redis, "TTL " KEY, answer, sizeof answer));
    assert_in_range(strtol(answer + 1, NULL, 10), 1, STORE_GENERATION_NEW_S);
    redis_says("XLEN t:gen-news", ":1");
    /* Again, it is not what it was. */
    assert_ok(store_claim(cache, TAG, OLD, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(next, "");
    assert_string_equal(generation(), "");

    begin(); /* purged softly */
    purge(cache, true);
    assert_ok(store_claim(cache, TAG, OLD, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(generation(), "");

    purge(cache, false);
    assert_ok(store_claim(cache, TAG, "", soon(), next, &claimed, NULL));
    assert_false(claimed);
    larder_close(cache);
}

/* ------------------------------------------------------------------- a full Redis */

static void
a_full_redis_registers_mutations(void **state)
{
    struct larder *cache = open_redis();
    store_generation next;
    bool claimed = true;

    (void)state;
    begin();
    fill_memory(true);
    struct store_mutation *mutation = enroll(cache, HOLD);
    redis_says("HLEN " REGISTER, ":1");
    await(strstr(value_of("HVALS " REGISTER), "1 60000\n" TAG) != NULL);
    store_mutation_leave(cache, mutation, soon());
    redis_says("EXISTS " REGISTER, ":0");
    silence(cache, enroll(cache, HOLD), true);
    assert_true(is_silent());
    assert_ok(store_claim(cache, TAG, OLD, soon(), next, &claimed, NULL));
    assert_false(claimed); /* the news could not be told: they are void, and so is it */
    assert_string_equal(generation(), "");
    fill_memory(false);
    larder_close(cache);
}

static void
a_redis_that_takes_no_writes_at_all_registers_nothing(void **state)
{
    struct larder *cache = open_redis();
    struct larder_error err = {.message = ""};
    struct store_mutation *mutation = NULL;

    (void)state;
    begin();
    redis_says("CONFIG SET min-replicas-to-write 1", "+OK");
    enum larder_status status =
        store_mutation_begin(cache, one_tag, 1, HOLD, soon(), &mutation, &err);
    redis_says("CONFIG SET min-replicas-to-write 0", "+OK");
    assert_status(status, LARDER_REFUSED);
    assert_non_null(strstr(err.message, "NOREPLICAS"));
    assert_null(mutation);
    assert_string_equal(generation(), OLD);
    larder_close(cache);
}

static void
a_full_redis_can_be_purged(void **state)
{
    struct larder *cache = open_redis();

    (void)state;
    begin();
    purge(cache, false);
    begin();
    redis_says("XLEN t:gen-news", ":1");
    fill_memory(true);
    purge(cache, false);
    assert_string_equal(generation(), "");
    redis_says("EXISTS t:gen-news", ":0");
    fill_memory(false);
    begin();
    fill_memory(true);
    purge(cache, true);
    assert_memory_equal(generation(), OLD, STORE_HARD_LEN);
    assert_true(store_soft_time_ms(generation()) > 0);
    fill_memory(false);
    larder_close(cache);
}

/* ------------------------------------------------- who may not run scripts; replicas */

static void
without_scripts_what_would_need_one_is_deleted(void **state)
{
    struct larder_options options = redis_options();
    struct larder_error err = {.message = ""};
    struct store_mutation *mutation = NULL;
    store_generation next;
    bool claimed = true;

    (void)state;
    redis_says("ACL SETUSER plain on >secret ~* &* +@all -@scripting", "+OK");
    options.user = "plain";
    options.password = "secret";
    struct larder *cache = open_with(&options);
    begin();
    purge(cache, false);
    assert_string_equal(generation(), "");
    begin();
    purge(cache, true);
    assert_string_equal(generation(), "");
    begin();
    assert_status(store_mutation_begin(cache, one_tag, 1, HOLD, soon(), &mutation, &err),
                  LARDER_REFUSED);
    assert_non_null(strstr(err.message, "NOPERM"));
    assert_string_equal(generation(), OLD);
    assert_ok(store_claim(cache, TAG, OLD, soon(), next, &claimed, NULL));
    assert_false(claimed);
    assert_string_equal(generation(), "");
    larder_close(cache);
    redis_says("ACL DELUSER plain", ":1");
}

static void
without_the_news_they_are_void(void **state)
{
    struct larder_options options = redis_options();

    (void)state;
    redis_says("ACL SETUSER plain on >secret ~* &* +@all -xadd", "+OK");
    redis_says("XADD t:gen-news 1-1 n x", "$3\r\n1-1");
    options.user = "plain";
    options.password = "secret";
    struct larder *cache = open_with(&options);
    begin();
    purge(cache, false);
    assert_string_equal(generation(), "");
    redis_says("EXISTS t:gen-news", ":0");
    larder_close(cache);
    redis_says("ACL DELUSER plain", ":1");
}

static void
a_purge_waits_for_replicas(void **state)
{
    struct larder_options options = redis_options();
    struct redis_fixture master, replica;
    struct larder_error err = {.message = ""};
    char port[16];

    (void)state;
    assert_true(redis_fixture_start_tcp(&master, NULL));
    snprintf(port, sizeof port, "%d", master.port);
    options.unix_path = master.socket;
    options.wait_replicas = 1;
    options.wait_timeout_ms = 50;
    struct larder *cache = open_with(&options);
    assert_status(store_purge_tags(cache, one_tag, 1, false, soon(), &err), LARDER_UNAVAILABLE);
    assert_non_null(strstr(err.message, "WAIT: 0 of 1 replicas have it"));
    larder_close(cache);

    const char *const args[] = {"--replicaof", "127.0.0.1", port, NULL};
    assert_true(redis_fixture_start(&replica, args));
    options.wait_timeout_ms = 4000;
    options.read_timeout_ms = 1000;
    cache = open_with(&options);
    /* It has to fetch the snapshot first, which takes longer than one reply may. */
    await(store_purge_tags(cache, one_tag, 1, false, soon(), &err) == LARDER_OK);
    larder_close(cache);
    redis_fixture_stop(&replica);
    redis_fixture_stop(&master);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        TEST(a_mutation_is_registered_until_it_leaves),
        TEST(leaving_and_tending_do_not_meet),
        TEST(its_client_says_that_it_lives),
        TEST(what_cannot_be_is_refused),
        TEST(a_mutation_of_unknown_outcome_is_purged_for_until_its_hold_is_over),
        TEST(who_comes_when_the_owner_is_dead_finds_out),
        TEST(who_comes_while_somebody_is_silent_purges_at_once),
        TEST(silent_ones_of_a_tag_are_one_and_the_longest_hold_counts),
        TEST(a_purge_counts_also_if_another_mutation_became_silent_meanwhile),
        TEST(of_two_who_purge_for_it_the_first_counts),
        TEST(a_record_is_removed_only_as_it_was_read),
        TEST(who_has_just_given_a_sign_of_life_is_not_silent),
        TEST(what_is_read_first_is_overdue_also_right_after_the_start_of_the_machine),
        TEST(what_is_first_read_during_a_round_was_not_purged),
        TEST(what_ends_while_its_record_is_lost_leaves_nothing),
        TEST(what_is_lost_when_it_is_over_is_not_put_back),
        TEST(what_was_never_sent_leaves_nothing_although_redis_hears_of_it_late),
        TEST(what_may_be_put_back_late_is_removed_again),
        TEST(any_number_of_mutations_gives_signs_of_life),
        TEST(too_many_silent_tags_become_all_of_them),
        TEST(a_record_that_was_lost_is_put_back),
        TEST(nothing_is_used_while_the_register_cannot_be_read),
        TEST(a_reading_that_took_too_long_is_repeated),
        TEST(what_is_no_record_is_purged_for_and_removed),
        TEST(what_may_not_be_purged_is_not_registered),
        TEST(a_flush_does_not_forget_a_mutation),
        TEST(a_purge_deletes_and_may_be_repeated),
        TEST(a_soft_purge_leaves_the_hard_part_and_tells_its_time),
        TEST(any_number_of_tags_is_done_in_batches),
        TEST(what_an_older_larder_has_marked_matches_nothing_and_is_left),
        TEST(what_nobody_has_invalidated_since_is_claimed_in_one_step),
        TEST(a_full_redis_registers_mutations),
        TEST(a_redis_that_takes_no_writes_at_all_registers_nothing),
        TEST(a_full_redis_can_be_purged),
        TEST(without_scripts_what_would_need_one_is_deleted),
        TEST(without_the_news_they_are_void),
        TEST(a_purge_waits_for_replicas),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
