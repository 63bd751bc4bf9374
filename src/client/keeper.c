/*
 * The client's own thread; see the header. Once a second it asks which server
 * it is, says which mutations live, and reads the register of them. Started by larder_open(), nudged by
 * the pool and by command.c. All its waits are poll() on the stop descriptor
 * too, so that larder_close() does not wait for a server that hangs.
 */
#include "client/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/client.h"
#include "client/command.h"

/* The first probe after the breaker has opened, and the first new attempt to fill up the pool
 * after a failed one; doubled each time up to breaker_max_rest_ms. */
#define FIRST_REST_MS 100
/* Between two questions which server it is. */
#define WATCH_MS 1000
/* The longest that the thread waits for a server, since it has other things to do. */
#define PATIENCE_MS 1000

/* How long to rest, in one place for probes and for filling up. */
struct rest {
    int64_t next_ms; /* when to try again */
    int64_t rest_ms;
};

static int64_t
longest_rest(const struct larder *cache)
{
    int64_t most = cache->options.breaker_max_rest_ms;
    return most > FIRST_REST_MS ? most : FIRST_REST_MS;
}

static void
rest_again(const struct larder *cache, struct rest *rest, int64_t now_ms)
{
    rest->next_ms = now_ms + rest->rest_ms;
    rest->rest_ms *= 2;
    if (rest->rest_ms > longest_rest(cache))
        rest->rest_ms = longest_rest(cache);
}

/* One PING on a connection of its own. A server that is stopped accepts and says nothing, so that
 * is what closes the breaker: an answer, not a connection. */
static bool
probe(struct larder *cache, struct larder_error *err)
{
    struct conn *conn = NULL;
    int64_t deadline = clock_now_ms() + longest_rest(cache);

    if (conn_dial(&cache->endpoint, deadline, cache->keeper.stop_fd, &conn, err) != LARDER_OK)
        return false;
    conn->cancel_fd = cache->keeper.stop_fd;
    bool answered = command_ping(conn, deadline, err) == LARDER_OK && !conn->passing;
    conn_close(conn);
    return answered;
}

static void
look_after_breaker(struct larder *cache, struct rest *rest)
{
    int64_t now = clock_now_ms();

    if (now < rest->next_ms)
        return;
    rest_again(cache, rest, now);
    struct larder_error err = {.message = ""};
    if (probe(cache, &err)) {
        command_note_answer(cache);
        breaker_close(&cache->breaker, clock_now_ms());
    } else if (err.message[0]) {
        breaker_note(&cache->breaker, err.message);
    }
}

static void
fill_pool(struct larder *cache, struct rest *rest)
{
    struct larder_error err = {.status = LARDER_OK};
    struct conn *conn = NULL;

    if (clock_now_ms() < rest->next_ms)
        return;
    while (!breaker_is_open(&cache->breaker) && pool_reserve_spare(&cache->pool)) {
        int64_t deadline = clock_now_ms() + PATIENCE_MS;
        enum larder_status status =
            conn_dial(&cache->endpoint, deadline, cache->keeper.stop_fd, &conn, &err);
        if (status != LARDER_OK) {
            rest_again(cache, rest, clock_now_ms());
            if (!pool_dial_failed(&cache->pool, &err))
                command_note_failure(cache, &err);
            return;
        }
        pool_add_spare(&cache->pool, conn);
        command_note_answer(cache);
        rest->rest_ms = FIRST_REST_MS;
    }
}

/* The thread's own connection. */
struct watch {
    struct conn *conn; /* NULL: none at the moment */
    int64_t next_ms;
    int64_t register_ms;
};

/* Which server it is now. A client that has never met a server has none to watch. What fails here
 * fails callers as well: they count it. */
static void
look_at_server(struct larder *cache, struct watch *watch)
{
    int64_t now = clock_now_ms();

    watch->next_ms = now + WATCH_MS;
    /* Others have met another server since. */
    if (watch->conn && watch->conn->identity != identity_current(&cache->identity)) {
        conn_close(watch->conn);
        watch->conn = NULL;
    }
    if (!watch->conn && conn_dial(&cache->endpoint, now + PATIENCE_MS, cache->keeper.stop_fd,
                                  &watch->conn, NULL) != LARDER_OK)
        return;
    watch->conn->cancel_fd = cache->keeper.stop_fd;
    enum larder_status status = conn_identify(watch->conn, now + PATIENCE_MS, NULL);
    if (status != LARDER_OK && watch->conn->pending) {
        conn_close(watch->conn);
        watch->conn = NULL;
    }
}

static void
look_at_register(struct larder *cache, struct watch *watch)
{
    int64_t now = clock_now_ms();

    if (!registry_is_used(cache))
        return;
    watch->register_ms = now + registry_pause_ms(cache);
    if (!watch->conn)
        return;
    registry_tend(cache, watch->conn, now + PATIENCE_MS);
    if (watch->conn->pending) {
        conn_close(watch->conn);
        watch->conn = NULL;
    }
}

static void
look(struct larder *cache, struct watch *watch)
{
    if (!identity_is_known(&cache->identity))
        return;
    /* At once: nothing that is stored is used until this client has purged for the silent itself,
     * of whose purges before it knows nothing. */
    bool is_first = watch->register_ms == 0 && registry_is_used(cache);
    if (is_first || clock_now_ms() >= watch->next_ms)
        look_at_server(cache, watch);
    if (clock_now_ms() >= watch->register_ms)
        look_at_register(cache, watch);
}

/* When next: what is in the past waits for a server. */
static int64_t
next_look(const struct watch *watch, int64_t now_ms)
{
    int64_t next_ms = now_ms + WATCH_MS;

    if (watch->next_ms > now_ms && watch->next_ms < next_ms)
        next_ms = watch->next_ms;
    if (watch->register_ms > now_ms && watch->register_ms < next_ms)
        next_ms = watch->register_ms;
    return next_ms;
}

/* Wait until there may be something to do; false: it is over. */
static bool
wait_for_work(struct larder *cache, int64_t wait_ms)
{
    struct pollfd fds[2] = {{.fd = cache->keeper.stop_fd, .events = POLLIN},
                            {.fd = cache->keeper.wake_fd, .events = POLLIN}};
    eventfd_t value;

    (void)poll(fds, 2, wait_ms < 0 ? 0 : (int)wait_ms);
    if (fds[0].revents != 0)
        return false;
    if (fds[1].revents != 0)
        (void)eventfd_read(cache->keeper.wake_fd, &value);
    /* Before the look, so that a nudge during it is not lost. */
    atomic_store_explicit(&cache->keeper.nudged, false, memory_order_seq_cst);
    return true;
}

static void *
keep(void *arg)
{
    struct larder *cache = arg;
    struct rest probing = {0, FIRST_REST_MS};
    struct rest filling = {0, FIRST_REST_MS};
    struct watch watch = {.next_ms = clock_now_ms() + WATCH_MS};
    bool resting = false;
    int64_t wait_ms = 0;

    while (wait_for_work(cache, wait_ms)) {
        bool open = breaker_is_open(&cache->breaker);
        if (open && !resting) {
            probing.rest_ms = FIRST_REST_MS;
            rest_again(cache, &probing, clock_now_ms());
        }
        if (open)
            look_after_breaker(cache, &probing);
        if (!breaker_is_open(&cache->breaker)) {
            if (resting || open)
                filling.next_ms = 0;
            look(cache, &watch);
            pool_expire(&cache->pool, clock_now_ms());
            fill_pool(cache, &filling);
            if (watch.register_ms == 0) /* it may have met the server only now */
                look(cache, &watch);
            wait_ms = pool_expire(&cache->pool, clock_now_ms()); /* the new ones as well */
        }
        resting = breaker_is_open(&cache->breaker) && open;

        int64_t now = clock_now_ms();
        if (breaker_is_open(&cache->breaker))
            wait_ms = resting ? probing.next_ms - now : 0;
        else if (filling.next_ms > now && filling.next_ms - now < wait_ms)
            wait_ms = filling.next_ms - now;
        if (wait_ms > next_look(&watch, now) - now)
            wait_ms = next_look(&watch, now) - now;
    }
    conn_close(watch.conn);
    return NULL;
}

enum larder_status
keeper_start(struct larder *cache, struct larder_error *err)
{
    struct keeper *keeper = &cache->keeper;
    sigset_t all, before;
    int failure = 0;

    atomic_init(&keeper->nudged, false);
    keeper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    keeper->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->wake_fd < 0 || keeper->stop_fd < 0)
        failure = errno;
    if (failure == 0) {
        /* The program's signals are for the program's threads. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failure = pthread_create(&keeper->thread, NULL, keep, cache);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    keeper->running = failure == 0;
    if (failure == 0)
        return LARDER_OK;
    keeper_stop(cache);
    return error_set(err, LARDER_UNAVAILABLE, "%s: cannot start a thread: %s",
                     cache->endpoint.where, strerrordesc_np(failure));
}

void
keeper_stop(struct larder *cache)
{
    struct keeper *keeper = &cache->keeper;

    if (keeper->running) {
        (void)eventfd_write(keeper->stop_fd, 1);
        resolver_stop(cache->endpoint.resolver);
        pthread_join(keeper->thread, NULL);
        keeper->running = false;
    }
    if (keeper->wake_fd >= 0)
        close(keeper->wake_fd);
    if (keeper->stop_fd >= 0)
        close(keeper->stop_fd);
    keeper->wake_fd = keeper->stop_fd = -1;
}

void
keeper_nudge(void *arg)
{
    struct larder *cache = arg;

    /* One system call for any number of nudges before the thread wakes. */
    if (!atomic_exchange_explicit(&cache->keeper.nudged, true, memory_order_seq_cst) &&
        cache->keeper.wake_fd >= 0)
        (void)eventfd_write(cache->keeper.wake_fd, 1);
}
