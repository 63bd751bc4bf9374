/*
 * The listener: that who waits hears of a lease's end wherever it ends, that he
 * looks for himself when something may have been missed, and that nothing of it
 * holds up the end of a client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>

#include "client/store.h"
#include "client_fixture.h"

/* What one listener has heard. */
struct heard {
    pthread_mutex_t lock;
    int missed; /* word 0 */
    int words;
    char last[128];
    char word;
};

static enum larder_status
end(struct larder *cache, const char *name, const char *token, char word)
{
    struct store_lease lease = {.name = name, .word = word}, *list = &lease;
    snprintf(lease.token, sizeof lease.token, "%s", token);
    return store_leases_end(cache, &list, 1, soon(), NULL);
}

static void
hear(void *arg, const char *name, size_t len, char word)
{
    struct heard *heard = arg;

    pthread_mutex_lock(&heard->lock);
    if (word == '\0') {
        heard->missed += len == 0 && *name == '\0' ? 1 : 100;
    } else {
        heard->words++;
        heard->word = word;
        snprintf(heard->last, sizeof heard->last, "%.*s", (int)len, name);
    }
    pthread_mutex_unlock(&heard->lock);
}

static int
missed(struct heard *heard)
{
    pthread_mutex_lock(&heard->lock);
    int n = heard->missed;
    pthread_mutex_unlock(&heard->lock);
    return n;
}

static bool
has_heard(struct heard *heard, int words, const char *name, char word)
{
    pthread_mutex_lock(&heard->lock);
    bool yes = heard->words == words && strcmp(heard->last, name) == 0 && heard->word == word;
    pthread_mutex_unlock(&heard->lock);
    return yes;
}

static struct heard
nothing(void)
{
    return (struct heard){.lock = PTHREAD_MUTEX_INITIALIZER};
}

static void
end_lease(struct larder *cache, const char *name, char word)
{
    assert_ok(end(cache, name, "0123456789abcdef", word));
}

static void
the_end_of_a_lease_is_heard_by_all(void **state)
{
    (void)state;
    struct heard one = nothing(), two = nothing(), other = nothing();
    struct larder *first = open_redis();
    struct larder *second = open_redis();
    struct larder_options options = redis_options();
    options.name_space = "t2";
    struct larder *neighbour = open_with(&options);
    assert_ok(store_listen(first, hear, &one, NULL));
    assert_ok(store_listen(second, hear, &two, NULL));
    assert_ok(store_listen(neighbour, hear, &other, NULL));
    /* Nobody knows what was said before: each is told to look, once. */
    await(missed(&one) == 1 && missed(&two) == 1 && missed(&other) == 1);
    store_token token;
    int64_t left_ms = 0;
    assert_ok(store_lease_take(first, "response:x y", 10000, soon(), token, &left_ms, NULL));
    assert_ok(end(first, "response:x y", token, 'S'));
    await(has_heard(&one, 1, "response:x y", 'S') && has_heard(&two, 1, "response:x y", 'S'));
    /* Also when the lease was lost meanwhile. */
    end_lease(second, "b", 'N');
    await(has_heard(&one, 2, "b", 'N') && has_heard(&two, 2, "b", 'N'));
    assert_true(has_heard(&other, 0, "", '\0'));
    assert_int_equal(missed(&one), 1);
    larder_close(first);
    larder_close(second);
    larder_close(neighbour);
}

static void
after_a_break_who_waits_is_told_to_look(void **state)
{
    (void)state;
    struct heard heard = nothing();
    struct larder *cache = open_redis();
    char answer[32];
    assert_ok(store_listen(cache, hear, &heard, NULL));
    await(missed(&heard) == 1);
    assert_true(redis_fixture_command(&redis, "CLIENT KILL TYPE pubsub", answer, sizeof answer));
    assert_string_equal(answer, ":1");
    await(missed(&heard) == 2);
    end_lease(cache, "a", 'S');
    await(has_heard(&heard, 1, "a", 'S'));
    assert_true(redis_fixture_restart(&redis));
    await(missed(&heard) >= 3);
    end_lease(cache, "b", 'S');
    await(has_heard(&heard, 2, "b", 'S'));
    larder_close(cache);
}

static void
a_server_that_has_gone_silent_is_given_up(void **state)
{
    (void)state;
    struct heard heard = nothing();
    struct larder *cache = open_redis();
    assert_ok(store_listen(cache, hear, &heard, NULL));
    await(missed(&heard) == 1);
    pause_ms(1500); /* silence alone is no reason: it answers when asked */
    assert_int_equal(missed(&heard), 1);
    redis_fixture_pause(&redis);
    pause_ms(2500);
    redis_fixture_resume(&redis);
    await(missed(&heard) >= 2);
    end_lease(cache, "a", 'S');
    await(has_heard(&heard, 1, "a", 'S'));
    larder_close(cache);
}

static void
a_listener_that_comes_before_the_server_hears_it_later(void **state)
{
    (void)state;
    struct heard heard = nothing();
    struct larder_options options = redis_options();
    options.lazy = true;
    redis_fixture_kill(&redis);
    struct larder *cache = open_with(&options);
    assert_ok(store_listen(cache, hear, &heard, NULL));
    pause_ms(100);
    assert_int_equal(missed(&heard), 0);
    assert_true(redis_fixture_restart(&redis));
    await(missed(&heard) == 1);
    end_lease(cache, "a", 'S');
    await(has_heard(&heard, 1, "a", 'S'));
    larder_close(cache);
}

static atomic_int complaints;

static void
count_complaints(void *arg, enum larder_log_level level, const char *message)
{
    (void)arg, (void)level;
    if (strstr(message, "leases that end elsewhere are not heard of: "))
        atomic_fetch_add(&complaints, 1);
}

static void
who_may_not_listen_says_so_once(void **state)
{
    (void)state;
    struct heard heard = nothing();
    struct larder_options options = redis_options();
    redis_says("ACL SETUSER deaf on >secret ~* resetchannels +@all", "+OK");
    options.user = "deaf";
    options.password = "secret";
    options.log = count_complaints;
    struct larder *cache = open_with(&options);
    assert_ok(store_listen(cache, hear, &heard, NULL));
    await(complaints == 1);
    pause_ms(300);
    assert_int_equal(complaints, 1);
    assert_int_equal(missed(&heard), 0);
    larder_close(cache);
    redis_says("ACL DELUSER deaf", ":1");
}

static void
there_is_one_listener(void **state)
{
    (void)state;
    struct heard heard = nothing();
    struct larder *cache = open_redis();
    struct larder *off = open_disabled();
    assert_ok(store_listen(cache, hear, &heard, NULL));
    assert_status(store_listen(cache, hear, &heard, NULL), LARDER_INVALID);
    assert_status(store_listen(off, hear, &heard, NULL), LARDER_DISABLED);
    larder_close(cache);
    larder_close(off);
}

static void
closing_waits_for_nobody(void **state)
{
    (void)state;
    struct heard heard = nothing();
    struct larder *cache = open_redis();
    assert_ok(store_listen(cache, hear, &heard, NULL));
    await(missed(&heard) == 1);
    redis_fixture_pause(&redis);
    pause_ms(50);
    int64_t before = clock_now_ms();
    larder_close(cache);
    assert_in_range(clock_now_ms() - before, 0, 700);
    redis_fixture_resume(&redis);

    struct larder_options options = redis_options();
    options.unix_path = NULL;
    options.host = "no-such-host.invalid";
    options.lazy = true;
    cache = open_with(&options);
    assert_ok(store_listen(cache, hear, &heard, NULL));
    pause_ms(20);
    before = clock_now_ms();
    larder_close(cache);
    assert_in_range(clock_now_ms() - before, 0, 1500);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_redis)
    const struct CMUnitTest tests[] = {
        TEST(the_end_of_a_lease_is_heard_by_all),
        TEST(after_a_break_who_waits_is_told_to_look),
        TEST(a_server_that_has_gone_silent_is_given_up),
        TEST(a_listener_that_comes_before_the_server_hears_it_later),
        TEST(who_may_not_listen_says_so_once),
        TEST(there_is_one_listener),
        TEST(closing_waits_for_nobody),
    };
    if (!redis_fixture_available())
        return REDIS_FIXTURE_SKIP;
    return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
