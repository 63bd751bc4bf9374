/*
 * Commands that ask how things are: stats, status, ping, check-config.
 *
 * The pool of this machine is asked twice: its counters stand in a file that all
 * processes map (so that they survive each of them), and every living process
 * answers on a control socket. Redis is the third witness. They fail apart from
 * each other: stats prints what it can get, says of the rest why it is not
 * there, and the exit code tells that something was missing.
 *
 * Called by the table in main.c. Nothing here changes anything.
 */
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "ctl/ctl.h"
#include "runtime/control.h"
#include "runtime/counters.h"

/* A process answers between two signals, at once; one that does not within this time hangs. */
#define POOL_TIMEOUT_MS INT64_C(2000)
/* Answers are nested once or twice; what is deeper is not printed as text. */
#define FLATTEN_DEPTH_MAX 4

/* What of Redis' INFO stats tells an operator something about the cache. */
static const char *const info_shown[] = {
    "keyspace_hits",        "keyspace_misses",           "expired_keys",
    "evicted_keys",         "instantaneous_ops_per_sec", "total_commands_processed",
    "rejected_connections",
};

/* How long a pool that has a socket may take until a process of it is there, and how often to look. */
#define START_MS INT64_C(2000)
#define LOOK_MS 50

/* Like settings_server(): where somebody was asked, then what went wrong there. */
struct part {
    json_object *answer;     /* NULL: not to be had */
    struct larder_error err; /* then why */
};

/* The pool's own socket is there: systemd's, or spawn-fcgi's. */
static bool
is_pool_meant(const char *runtime_dir)
{
    char path[4200];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/larder.sock", runtime_dir);

    return n > 0 && (size_t)n < sizeof path && stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

enum larder_status
pool_ask(const struct ctl *ctl, json_object *request, int64_t timeout_ms, json_object **answers,
         struct larder_error *err)
{
    int64_t begun_ms = clock_now_ms();
    int64_t most_ms = ctl->timeout_ms > 0 && ctl->timeout_ms < START_MS ? ctl->timeout_ms
                                                                        : START_MS;

    for (;;) {
        enum larder_status status =
            control_ask(ctl->runtime_dir, request, timeout_ms, answers, err);
        if (status != LARDER_OK || json_object_array_length(*answers) > 0 ||
            clock_now_ms() - begun_ms >= most_ms || !is_pool_meant(ctl->runtime_dir))
            return status;
        json_object_put(*answers);
        poll(NULL, 0, LOOK_MS);
    }
}

static struct part
ask_counters(const struct ctl *ctl)
{
    struct part part = {0};
    struct counters_total total;
    json_object *counters;

    if (counters_read(ctl->runtime_dir, &total, &part.err) != LARDER_OK)
        return part;
    counters = json_new();
    for (int i = 0; i < COUNTER_COUNT; i++)
        json_put(counters, counter_name((enum counter)i),
                 json_object_new_int64(total.value[i] > INT64_MAX ? INT64_MAX
                                                                  : (int64_t)total.value[i]));
    part.answer = json_new();
    json_put(part.answer, "processes", json_object_new_int(total.processes));
    json_put(part.answer, "counters", counters);
    return part;
}

/* An array with an answer of each process; at least one. */
static struct part
ask_processes(const struct ctl *ctl, const char *command)
{
    struct part part = {0};
    json_object *request = json_new();
    enum larder_status status;

    json_put(request, "command", json_object_new_string(command));
    status = control_ask(ctl->runtime_dir, request,
                         ctl->timeout_ms ? ctl->timeout_ms : POOL_TIMEOUT_MS, &part.answer,
                         &part.err);
    json_object_put(request);
    if (status != LARDER_OK) {
        part.answer = NULL;
    } else if (json_object_array_length(part.answer) == 0) {
        json_object_put(part.answer);
        part.answer = NULL;
        part.err.status = LARDER_UNAVAILABLE;
    }
    return part;
}

static struct part
ask_redis(struct ctl *ctl)
{
    struct part part = {0};
    struct larder *cache = NULL;
    json_object *info = NULL;
    char server[256];
    int64_t rtt_us = 0;

    if (larder_open(&ctl->redis, &cache, &part.err) != LARDER_OK)
        return part;
    if (larder_ping(cache, &rtt_us, &part.err) == LARDER_OK &&
        larder_server_stats(cache, &info, &part.err) == LARDER_OK) {
        settings_server(ctl, server, sizeof server);
        part.answer = json_new();
        json_put(part.answer, "server", json_text(server, strlen(server)));
        json_put(part.answer, "rtt_us", json_object_new_int64(rtt_us));
        json_put(part.answer, "info", info);
    }
    larder_close(cache);
    return part;
}

/* Into the JSON answer of stats; takes the reference. */
static void
put_part(json_object *all, const char *name, const struct part *part)
{
    json_object *missing;

    if (part->answer) {
        json_put(all, name, part->answer);
        return;
    }
    missing = json_new();
    json_put(missing, "error", json_text(part->err.message, strlen(part->err.message)));
    json_put(all, name, missing);
}

static int64_t
member(json_object *object, const char *name)
{
    return json_object_get_int64(json_object_object_get(object, name));
}

static void
print_ratio(int64_t hits, int64_t misses, const char *of)
{
    if (hits + misses > 0)
        printf("  %-28s %20.1f  %s\n", "hit ratio", 100.0 * (double)hits / (double)(hits + misses),
               of);
}

static void
print_counters(const struct ctl *ctl, const struct part *part)
{
    json_object *counters;

    if (!part->answer) {
        printf("pool %s: %s\n", ctl->runtime_dir, part->err.message);
        return;
    }
    counters = json_object_object_get(part->answer, "counters");
    printf("pool %s: processes living: %" PRId64 "\n", ctl->runtime_dir,
           member(part->answer, "processes"));
    for (int i = 0; i < COUNTER_COUNT; i++)
        printf("  %-28s %20" PRId64 "  %s\n", counter_name((enum counter)i),
               member(counters, counter_name((enum counter)i)), counter_help((enum counter)i));
    print_ratio(member(counters, "hits"), member(counters, "misses"), "% of hits and misses");
}

static void
print_redis(const struct part *part)
{
    json_object *info;

    if (!part->answer) {
        printf("redis: %s\n", part->err.message);
        return;
    }
    info = json_object_object_get(part->answer, "info");
    printf("%s: answered in %.2f ms\n",
           json_object_get_string(json_object_object_get(part->answer, "server")),
           (double)member(part->answer, "rtt_us") / 1000.0);
    for (size_t i = 0; i < sizeof info_shown / sizeof info_shown[0]; i++) {
        if (json_object_object_get_ex(info, info_shown[i], NULL))
            printf("  %-28s %20" PRId64 "\n", info_shown[i], member(info, info_shown[i]));
    }
    print_ratio(member(info, "keyspace_hits"), member(info, "keyspace_misses"),
                "% of all reads of this Redis");
}

int
ctl_stats(struct ctl *ctl)
{
    struct part counters, processes, redis;
    int64_t answering, living;
    int code = settings_load(ctl);

    if (code != CTL_OK)
        return code;
    counters = ask_counters(ctl);
    processes = ask_processes(ctl, "status");
    redis = ask_redis(ctl);
    answering = processes.answer ? (int64_t)json_object_array_length(processes.answer) : 0;
    living = counters.answer ? member(counters.answer, "processes") : answering;
    if (!counters.answer || !processes.answer || !redis.answer || answering < living)
        code = CTL_UNREACHABLE;

    if (ctl->json) {
        json_object *all = json_new();
        put_part(all, "pool", &counters);
        put_part(all, "processes", &processes);
        put_part(all, "redis", &redis);
        print_json(all);
        return code;
    }
    print_counters(ctl, &counters);
    if (processes.answer)
        printf("processes answering: %" PRId64 " of %" PRId64 " (larderctl status shows each)\n",
               answering, living > answering ? living : answering);
    else
        printf("processes: %s\n", processes.err.message);
    print_redis(&redis);
    json_object_put(counters.answer);
    json_object_put(processes.answer);
    json_object_put(redis.answer);
    return code;
}

/* "redis.hits  12": an answer's members, one a line. */
static void
print_flat(const char *prefix, json_object *value, int depth)
{
    char name[128];

    if (json_object_is_type(value, json_type_object) && depth < FLATTEN_DEPTH_MAX) {
        json_object_object_foreach(value, key, child)
        {
            snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
            print_flat(name, child, depth + 1);
        }
        return;
    }
    if (json_object_is_type(value, json_type_string)) {
        printf("  %-28s ", prefix);
        print_visible(stdout, json_object_get_string(value),
                      (size_t)json_object_get_string_len(value));
        putchar('\n');
    } else {
        printf("  %-28s %s\n", prefix,
               json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
    }
}

/* How many processes count themselves as living, but said nothing. */
static int64_t
silent_processes(const struct ctl *ctl, size_t answered)
{
    struct counters_total total;

    if (counters_read(ctl->runtime_dir, &total, NULL) != LARDER_OK ||
        total.processes <= (int)answered)
        return 0;
    return total.processes - (int64_t)answered;
}

/* Ask every process, and complain about those that do not answer (CTL_UNREACHABLE, with the answers
 * of the others). *answers NULL: none. */
static int
ask_pool(struct ctl *ctl, const char *command, json_object **answers)
{
    struct part part;
    int64_t silent;
    int code = settings_load_for_pool(ctl);

    *answers = NULL;
    if (code != CTL_OK)
        return code;
    part = ask_processes(ctl, command);
    if (!part.answer)
        return fail(part.err.status, &part.err);
    *answers = part.answer;
    silent = silent_processes(ctl, json_object_array_length(part.answer));
    if (silent > 0) {
        complain("pool %s: %" PRId64 " more did not answer", ctl->runtime_dir, silent);
        return CTL_UNREACHABLE;
    }
    return CTL_OK;
}

/* For people: how long a process has been up, instead of the second in which it started. */
static void
print_age(json_object *answer)
{
    int64_t started_s = member(answer, "started");
    char age[DURATION_SIZE];

    if (started_s <= 0 || started_s > clock_wall_ms() / 1000)
        return;
    printf("  %-28s %s\n", "up", duration_text(clock_wall_ms() - started_s * 1000, age));
    json_object_object_del(answer, "started");
}

int
ctl_status(struct ctl *ctl)
{
    json_object *answers;
    int code = ask_pool(ctl, "status", &answers);

    if (!answers)
        return code;
    if (ctl->json) {
        print_json(answers);
        return code;
    }
    for (size_t i = 0; i < json_object_array_length(answers); i++) {
        json_object *answer = json_object_array_get_idx(answers, i);

        printf("process %" PRId64 "\n", member(answer, "pid"));
        print_age(answer);
        json_object_object_del(answer, "pid");
        json_object_object_del(answer, "ok");
        print_flat("", answer, 0);
    }
    json_object_put(answers);
    return code;
}

static int
ping_pool(struct ctl *ctl)
{
    json_object *answers;
    int code = ask_pool(ctl, "ping", &answers);

    if (!answers)
        return code;
    if (ctl->json) {
        print_json(answers);
        return code;
    }
    for (size_t i = 0; i < json_object_array_length(answers); i++)
        confirm_done(ctl, "process %" PRId64 ": answers",
                     member(json_object_array_get_idx(answers, i), "pid"));
    json_object_put(answers);
    return code;
}

int
ctl_ping(struct ctl *ctl)
{
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    char server[256];
    int64_t rtt_us = 0;
    int code;

    if (ctl->pool)
        return ping_pool(ctl);
    code = settings_open(ctl, &cache);
    if (code != CTL_OK)
        return code;
    status = larder_ping(cache, &rtt_us, &err);
    larder_close(cache);
    if (status != LARDER_OK)
        return fail(status, &err);
    settings_server(ctl, server, sizeof server);
    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, "server", json_text(server, strlen(server)));
        json_put(answer, "rtt_us", json_object_new_int64(rtt_us));
        print_json(answer);
    }
    confirm_done(ctl, "%s: answered in %.2f ms", server, (double)rtt_us / 1000.0);
    return CTL_OK;
}

int
ctl_check_config(struct ctl *ctl)
{
    const char *file = ctl->arg_count > 0 ? ctl->args[0] : settings_file(ctl);
    struct larder_error err = {0};
    struct config *config = config_load(file, &err);

    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, "file", json_text(file, strlen(file)));
        json_put(answer, "fine", json_object_new_boolean(config != NULL));
        if (!config)
            json_put(answer, "error", json_text(err.message, strlen(err.message)));
        print_json(answer);
    } else if (!config) {
        complain("%s", err.message);
    }
    if (!config)
        return CTL_NO;
    config_free(config);
    confirm_done(ctl, "%s: fine", file);
    return CTL_OK;
}
