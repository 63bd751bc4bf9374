/*
 * A process of the pool without its web server and its Redis, for the test of
 * larderctl: it counts a little and answers on a control socket, until it is
 * killed.
 *
 *     pool_stand_in DIR [hang]
 *
 * With `hang` it counts itself as living and never answers. Says "ready" when
 * it can be asked.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/control.h"
#include "runtime/counters.h"

static bool
answer_status(void *arg, const char *command, json_object *request, json_object *answer)
{
    json_object *redis;

    (void)arg;
    (void)request;
    if (strcmp(command, "status") != 0)
        return false;
    redis = json_object_new_object();
    json_object_object_add(redis, "hits", json_object_new_int(6));
    json_object_object_add(answer, "config", json_object_new_string("a\x1b[2Jb"));
    json_object_object_add(answer, "started", json_object_new_int64(clock_wall_ms() / 1000 - 3700));
    json_object_object_add(answer, "workers", json_object_new_int(4));
    json_object_object_add(answer, "redis", redis);
    return true;
}

int
main(int argc, char **argv)
{
    struct control *control = NULL;
    struct larder_error err = {0};
    bool hangs = argc == 3 && strcmp(argv[2], "hang") == 0;

    if (argc < 2 || counters_open(argv[1], &err) != LARDER_OK ||
        control_open(argv[1], &control, &err) != LARDER_OK) {
        fprintf(stderr, "pool_stand_in: %s\n", err.message);
        return 99;
    }
    counters_add(COUNTER_requests, 10);
    counters_add(COUNTER_hits, 6);
    counters_add(COUNTER_misses, 2);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd waiting = {.fd = control_fd(control), .events = POLLIN};

        if (hangs)
            pause();
        else if (poll(&waiting, 1, -1) == 1)
            control_serve(control, answer_status, NULL);
    }
}
