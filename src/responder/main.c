/*
 * larder-fcgi: start, signals, reload, stop.
 *
 * The main thread does no request. It waits for signals (signalfd; they are
 * blocked everywhere else) and for questions on the control socket. Whatever is
 * wrong with the configuration is said before anything is started, and ends the
 * process with 1 at once: spawn-fcgi looks for 100 ms only. process_log.c
 * says it.
 */
#include <errno.h>
#include <fcntl.h>
#include <fcgiapp.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/store.h"
#include "config/config.h"
#include "responder/admin.h"
#include "responder/arguments.h"
#include "responder/coalesce.h"
#include "responder/digest.h"
#include "responder/drain.h"
#include "responder/exchange.h"
#include "responder/explain.h"
#include "responder/fetcher.h"
#include "responder/hints.h"
#include "responder/listen.h"
#include "responder/process_log.h"
#include "responder/reporter.h"
#include "responder/seen.h"
#include "responder/server.h"
#include "responder/storer.h"
#include "responder/unavailable.h"
#include "responder/worker.h"
#include "runtime/control.h"
#include "runtime/counters.h"
#include "runtime/limits.h"

/* Stores that are still queued at the end get this long. */
#define LAST_STORES_MS 5000

/* File descriptors that are asked for, where the hard limit allows. */
#define DESCRIPTORS 16384

static struct {
    struct arguments options;
    int64_t started_wall_ms;
} self;

static void
ignore_signal(int signal_number)
{
    (void)signal_number;
}

/*
 * Block what the main thread reads from a signalfd, in all threads to come, and
 * set handlers that do nothing: FCGX_Init() would put its own where there are
 * none; neither SIGPIPE nor a file that a limit (RLIMIT_FSIZE) lets grow no more
 * must end the process.
 */
static int
take_signals(void)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < sizeof handled / sizeof *handled; i++) {
        sigaddset(&set, handled[i]);
        sigaction(handled[i], &action, NULL);
    }
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What only a start can change. */
static void
note_unchanged(const struct config *old, const struct config *new)
{
    if (old->workers != new->workers || old->max_fetchers != new->max_fetchers ||
        old->fetcher_idle_ms != new->fetcher_idle_ms || old->max_kept != new->max_kept ||
        old->client_timeout_ms != new->client_timeout_ms ||
        strcmp(old->runtime_dir, new->runtime_dir) != 0)
        log_write(LARDER_LOG_WARNING,
                  "responder settings have changed: they take effect with the next start");
}

static void
reload(void)
{
    struct larder_error err;
    struct site *site;
    struct config *config = config_load(self.options.config_file, &err);
    if (!config) {
        log_write(LARDER_LOG_ERROR, "configuration refused, the old one stays: %s", err.message);
        return;
    }
    if (self.options.verbose)
        config->log_requests = true;
    struct site *old = site_take();
    enum larder_status status = reporter_may_move(old, config, &err);
    if (status == LARDER_OK)
        status = site_new(config, &site, &err);
    if (status != LARDER_OK) {
        site_give(old);
        log_write(LARDER_LOG_ERROR, "configuration refused, the old one stays: %s", err.message);
        config_free(config);
        return;
    }
    process_log_move(config, self.options.verbose);
    note_unchanged(old->config, config);
    site_give(old);
    coalesce_listen(site);
    site_install(site);
    log_write(LARDER_LOG_INFO, "configuration %s read again", self.options.config_file);
}

static void
add_number(json_object *object, const char *name, int64_t value)
{
    json_object_object_add(object, name, json_object_new_int64(value));
}

static json_object *
redis_status(const struct site *site)
{
    json_object *redis = json_object_new_object();
    struct larder_stats stats = {0};
    larder_stats(site->cache, &stats);
    json_object_object_add(redis, "enabled", json_object_new_boolean(site_caches(site)));
    json_object_object_add(redis, "available", json_object_new_boolean(stats.available));
    char why[LARDER_ERROR_MAX] = "";
    store_failure(site->cache, why, sizeof why);
    if (why[0])
        json_object_object_add(redis, "error", json_object_new_string(why));
    add_number(redis, "pool_hits", (int64_t)stats.pool_hits);
    add_number(redis, "pool_misses", (int64_t)stats.pool_misses);
    add_number(redis, "pool_timeouts", (int64_t)stats.pool_timeouts);
    add_number(redis, "pool_stale", (int64_t)stats.pool_stale);
    add_number(redis, "pool_total", stats.pool_total);
    add_number(redis, "pool_idle", stats.pool_idle);
    return redis;
}

/* Which mutations are under way, or have lost their process. */
static json_object *
mutations_status(const struct site *site)
{
    json_object *object = json_object_new_object();
    struct store_register_state state;
    store_register_state(site->cache, &state);
    json_object_object_add(object, "usable", json_object_new_boolean(state.usable));
    add_number(object, "living", (int64_t)state.living);
    add_number(object, "silent", (int64_t)state.silent);
    if (state.silent > 0) {
        json_object_object_add(object, "tag", json_object_new_string(state.tag));
        add_number(object, "left_s", state.left_ms > 0 ? (state.left_ms + 999) / 1000 : 0);
    }
    if (state.why[0])
        json_object_object_add(object, "error", json_object_new_string(state.why));
    return object;
}

static json_object *
backend_status(const struct site *site)
{
    json_object *backends = json_object_new_object();
    struct upstream_state state;
    for (size_t i = 0; upstream_state(site->upstream, i, &state); i++) {
        json_object *one = json_object_new_object();
        if (state.backup)
            json_object_object_add(one, "backup", json_object_new_boolean(true));
        add_number(one, "busy", state.busy);
        add_number(one, "idle", state.idle);
        add_number(one, "rests_ms", state.rests_ms);
        json_object_object_add(backends, state.url, one);
    }
    return backends;
}

static void
tell_status(struct site *site, json_object *answer)
{
    struct fetcher_numbers fetchers;
    size_t store_count, store_bytes, flights, parked;
    add_number(answer, "pid", getpid());
    json_object_object_add(answer, "version", json_object_new_string(larder_version()));
    fetchers_numbers(&fetchers);
    flights_numbers(&flights, &parked);
    storer_numbers(&store_count, &store_bytes);
    add_number(answer, "started", self.started_wall_ms / 1000);
    json_object_object_add(answer, "config", json_object_new_string(self.options.config_file));
    json_object_object_add(answer, "upstream",
                           json_object_new_string(upstream_name(site->upstream)));
    add_number(answer, "workers", site->config->workers);
    add_number(answer, "fetchers", fetchers.threads);
    add_number(answer, "fetchers_idle", fetchers.idle);
    add_number(answer, "fetches_queued", fetchers.queued);
    add_number(answer, "flights", (int64_t)flights);
    add_number(answer, "parked", (int64_t)(parked + streamer_count()));
    add_number(answer, "kept_connections", workers_kept());
    add_number(answer, "stores_queued", (int64_t)store_count);
    add_number(answer, "stores_queued_bytes", (int64_t)store_bytes);
    json_object_object_add(answer, "backends", backend_status(site));
    json_object_object_add(answer, "redis", redis_status(site));
    json_object_object_add(answer, "mutations", mutations_status(site));
    json_object_object_add(answer, "journal", reporter_status(site));
}

static bool
answer_control(void *arg, const char *command, json_object *request, json_object *answer)
{
    struct site *site = site_take();
    bool known = true;
    if (strcmp(command, "status") == 0)
        tell_status(site, answer);
    else if (strcmp(command, "explain") == 0)
        explain(site, request, answer);
    else if (strcmp(command, "purge") == 0)
        admin_control(arg, request, answer);
    else
        known = false;
    site_give(site);
    return known;
}

/* true: stop. */
static bool
handle_signals(int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP:
            reload();
            break;
        case SIGUSR2:
            log_reopen();
            log_write(LARDER_LOG_INFO, "log opened anew");
            break;
        default:
            return true;
        }
    }
    return false;
}

static void
wait_for_stop(int signal_fd, struct control *control)
{
    struct pollfd fds[2] = {{signal_fd, POLLIN, 0}, {-1, POLLIN, 0}};
    if (control)
        fds[1].fd = control_fd(control);
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents && handle_signals(signal_fd))
            return;
        if (fds[1].revents)
            control_serve(control, answer_control, control);
    }
}

/* Counters, limits and control are for the operator: without them requests are served all the same. */
static struct control *
open_runtime(const char *directory)
{
    struct larder_error err;
    struct control *control = NULL;
    bool whole = true;
    if (counters_open(directory, &err) != LARDER_OK) {
        log_write(LARDER_LOG_WARNING, "counters are this process's own: %s", err.message);
        whole = false;
    }
    if (limits_open(directory, &err) != LARDER_OK) {
        log_write(LARDER_LOG_WARNING, "limits are this process's own: %s", err.message);
        whole = false;
    }
    if (control_open(directory, &control, &err) != LARDER_OK) {
        log_write(LARDER_LOG_WARNING, "no control socket: %s", err.message);
        whole = false;
    }
    if (!whole)
        log_write(
            LARDER_LOG_WARNING,
            "responder.runtime_dir %s has to be there and to belong to the user of larder-fcgi "
            "(`systemd-tmpfiles --create` makes /run/larder); a unit with ProtectHome= or "
            "ProtectSystem= hides or locks others, unless ReadWritePaths= names them",
            directory);
    return control;
}

/*
 * Each request takes and gives back some blocks of 8 KiB (libfcgi's streams) and
 * the bytes of an entry. With its defaults glibc then consolidates its fast bins
 * and trims the heap again and again: 5 % of a hit's time for memory that is
 * wanted back at once.
 */
static void
tune_allocator(void)
{
#ifdef __GLIBC__
    mallopt(M_MXFAST, 0);
    mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
#endif
}

/*
 * A request that waits for the backend takes four descriptors (the web server's,
 * the backend's, and a pair that libcurl keeps with each connection): 256
 * fetchers do not fit into the usual 1,024. Nothing here uses select(2).
 */
static void
raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &limit); /* what is there has to do, if not */
}

/* Idle connections that are kept must leave descriptors for the requests. */
static int
kept_limit(int configured)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 2 > INT_MAX)
        return configured;
    int half = (int)(limit.rlim_cur / 2);
    return configured < half ? configured : half;
}

static int
serve(struct config *config, int listen_fd)
{
    struct larder_error err;
    struct site *site;
    int result = EXIT_FAILURE;
    int signal_fd = take_signals();
    /* Its close after garbage would wait up to 2 s for the other side. */
    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 0);
    if (signal_fd < 0 || FCGX_Init() != 0) {
        process_log_no_start("no signals, or no FastCGI: %s", strerror(errno));
        config_free(config);
        return result;
    }
    if (site_new(config, &site, &err) != LARDER_OK) {
        process_log_no_start("%s: %s", self.options.config_file, err.message);
        config_free(config);
        return result;
    }
    /* These last for the process; a reload may free the configuration. */
    int64_t drain_ms = config->drain_timeout_ms;
    coalesce_listen(site);
    site_install(site);
    struct control *control = open_runtime(config->runtime_dir);
    fetchers_start(config->max_fetchers, config->fetcher_idle_ms);
    if (!storer_start() || !coalesce_start()) {
        process_log_no_start("no threads: the limit of processes or of memory is too low");
        control_close(control);
        counters_close();
        limits_close();
        return result;
    }
    if (!reporter_start()) {
        process_log_no_start(
            "no thread for the journal: the limit of processes or of memory is too low");
        storer_stop(0);
        control_close(control);
        counters_close();
        limits_close();
        return result;
    }
    if (workers_start(listen_fd, config->workers, kept_limit(config->max_kept),
                      config->client_timeout_ms, &err) == LARDER_OK) {
        log_write(LARDER_LOG_INFO, "larder-fcgi %s started, backend %s", larder_version(),
                  upstream_name(site->upstream));
        wait_for_stop(signal_fd, control);
        log_write(LARDER_LOG_INFO, "stopping: finishing what is in hand");
        result = EXIT_SUCCESS;
    } else {
        /* Workers that did start may have a request in hand already: the same way out. */
        process_log_no_start("%s", err.message);
        drain_ms = 0;
    }
    int64_t deadline_ms = clock_now_ms() + drain_ms;
    if (!drain_start(deadline_ms))
        log_write(LARDER_LOG_WARNING, "no thread that ends what lasts longer than drain_timeout");
    workers_retire(deadline_ms);
    workers_stop_accepting();
    workers_stop(deadline_ms);
    coalesce_drain(deadline_ms);
    fetchers_stop(deadline_ms);
    storer_stop(drain_bounded(LAST_STORES_MS));
    coalesce_stop(drain_bounded(LAST_STORES_MS));
    reporter_stop();
    drain_stop();
    log_write(LARDER_LOG_INFO, "stopped");
    control_close(control);
    counters_close();
    limits_close();
    site_install(NULL);
    exchange_cleanup();
    digest_cleanup();
    seen_cleanup();
    hints_cleanup();
    close(signal_fd);
    return result;
}

/* In the place of a pool that could not be started. */
static int
be_unavailable(void)
{
    struct larder_error err;
    int listen_fd = -1;
    if (listen_open(&self.options.listen, &listen_fd, &err) != LARDER_OK ||
        unavailable_serve(listen_fd, self.options.config_file, &err) != LARDER_OK) {
        process_log_no_start("%s", err.message);
        listen_close(listen_fd);
        return EXIT_FAILURE;
    }
    listen_close(listen_fd);
    return EXIT_SUCCESS;
}

/* Whoever started us may have closed them: then the first thing opened, a visitor's connection
 * perhaps, would be what messages to stderr are written to. */
static bool
fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return false;
    return true;
}

int
main(int argc, char **argv)
{
    if (!fill_standard_descriptors()) {
        process_log_no_start("/dev/null cannot be opened: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    struct larder_error err;
    int status = arguments_parse(&self.options, argc, argv, &err);
    if (status == ARGUMENTS_WRONG) {
        process_log_no_start("%s", err.message);
        fputs("Try 'larder-fcgi --help'.\n", stderr);
    }
    if (status != ARGUMENTS_FINE)
        return status;
    self.started_wall_ms = clock_wall_ms();
    tune_allocator();
    raise_descriptor_limit();

    if (self.options.unavailable)
        return be_unavailable();
    struct config *config = config_load(self.options.config_file, &err);
    if (!config && self.options.test) {
        fprintf(stderr, "larder-fcgi: %s\n", err.message);
        return EXIT_FAILURE;
    }
    if (!config) {
        process_log_no_start("%s", err.message);
        return EXIT_FAILURE;
    }
    if (self.options.test) {
        struct upstream *upstream;
        if (upstream_new(&config->upstream, &upstream, &err) != LARDER_OK) {
            fprintf(stderr, "larder-fcgi: %s: %s\n", self.options.config_file, err.message);
            config_free(config);
            return EXIT_FAILURE;
        }
        upstream_free(upstream);
        process_log_test(config);
        config_free(config);
        printf("%s: fine\n", self.options.config_file);
        return EXIT_SUCCESS;
    }
    if (self.options.verbose)
        config->log_requests = true;
    int listen_fd = -1;
    if (listen_open(&self.options.listen, &listen_fd, &err) != LARDER_OK) {
        process_log_no_start("%s", err.message);
        config_free(config);
        return EXIT_FAILURE;
    }
    process_log_start(config, self.options.verbose);
    status = serve(config, listen_fd);
    listen_close(listen_fd);
    log_close();
    return status;
}
