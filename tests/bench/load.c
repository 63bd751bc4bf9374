/*
 * A load generator that accounts for every request it made: each answer is
 * checked, each latency kept, each loss reported. One thread and epoll, so that
 * on a small machine most of the processor is left to what is measured.
 *
 *   load [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] [-r RATE] [-s STATUS] [-b CHECK] [-1]
 *        [-w MS] [-H FIELD]... URL...
 *
 *   -r  a fixed rate a second instead of "when the answer is there". A latency then counts from
 *       when the request was due, so that a stall shows in every request it held up and not
 *       only in those under way.
 *   -b  pattern: bodies are those of pattern.h; same: all bodies of one URL are alike
 *   -1  a connection per request
 *   -w  the connections begin one after the other over so many ms: clients that do not know each
 *       other do not ask in step
 *
 * URLs (http://ADDRESS:PORT/TARGET, all with the same address) take turns; `{n}` in one becomes the
 * number of the request. The result is lines of "NAME VALUE"; exit status 1 if any answer was
 * missing or wrong.
 *
 * Called by the scripts beside it and by cases under tests/vtc.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"

#define URLS_MAX 64
#define FIELDS_MAX 4096
#define CONNECTIONS_MAX 2000
#define REQUEST_MAX 8192
#define ANSWER_TIMEOUT_US INT64_C(60000000)
#define COMPLAINTS_MAX 5

struct url {
    char target[REQUEST_MAX / 2];
    bool seen; /* the first answer's length and sum are known */
    uint64_t body;
    uint64_t sum;
};

struct connection {
    int fd; /* -1: closed */
    bool busy;
    int64_t started_us;
    struct url *url;
    size_t sent, len; /* of request */
    char request[REQUEST_MAX];
    struct answer answer;
};

static struct {
    int connections;
    double seconds;
    int64_t requests; /* 0: no limit */
    double rate;      /* 0: as fast as the answers come */
    int64_t warm_up_us;
    int status;
    bool check_pattern, check_same, one_shot;
    struct sockaddr_in address;
    char host[64];
    char fields[FIELDS_MAX];
    struct url urls[URLS_MAX];
    int url_count;
} want = {.connections = 1, .seconds = 5, .status = 200};

static struct {
    int64_t started; /* requests */
    int64_t answered, hits;
    int64_t lost, bad_status, bad_body;
    uint32_t *latency_us;
    size_t room;
} got;

static struct connection *connections;
static int epoll_fd;
static int64_t begin_us;

static void
die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static int64_t
now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
complain(const struct connection *c, const char *what)
{
    static int complaints;

    if (complaints++ < COMPLAINTS_MAX) {
        fprintf(stderr, "load: %.3f s: %s: %s (status %d, %llu bytes of body)\n",
                (double)(now_us() - begin_us) / 1e6, c->url->target, what, c->answer.status,
                (unsigned long long)c->answer.body);
    }
}

/* ----------------------------------------------------------------- connections */

static void
watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};

    if (epoll_ctl(epoll_fd, operation, c->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void
hang_up(struct connection *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

/* The answer to this request will not come. */
static void
lose(struct connection *c, const char *why)
{
    complain(c, why);
    got.lost++;
    c->busy = false;
    hang_up(c);
}

static void
push(struct connection *c)
{
    while (c->sent < c->len) {
        const ssize_t n = send(c->fd, c->request + c->sent, c->len - c->sent, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) {
            return;
        }
        if (n <= 0) {
            lose(c, strerror(errno));
            return;
        }
        c->sent += (size_t)n;
        if (c->sent == c->len) {
            watch(c, EPOLL_CTL_MOD, EPOLLIN);
        }
    }
}

static void
dial(struct connection *c)
{
    const int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        die("socket");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(c->fd, (struct sockaddr *)&want.address, sizeof(want.address)) != 0 &&
        errno != EINPROGRESS) {
        lose(c, strerror(errno));
        return;
    }
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void
begin(struct connection *c, int64_t due_us)
{
    char target[REQUEST_MAX / 2];
    const char *mark;
    int len;

    c->url = &want.urls[got.started % want.url_count];
    mark = strstr(c->url->target, "{n}");
    if (mark != NULL) {
        snprintf(target, sizeof(target), "%.*s%lld%s", (int)(mark - c->url->target), c->url->target,
                 (long long)got.started, mark + 3);
    }
    len = snprintf(c->request, sizeof(c->request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n",
                   mark != NULL ? target : c->url->target, want.host, want.fields,
                   want.one_shot ? "Connection: close\r\n" : "");
    if (len < 0 || (size_t)len >= sizeof(c->request)) {
        errno = E2BIG;
        die(c->url->target);
    }
    c->len = (size_t)len;
    c->sent = 0;
    c->busy = true;
    c->started_us = due_us;
    answer_start(&c->answer);
    got.started++;
    if (c->fd < 0) {
        dial(c);
    } else {
        push(c);
        if (c->busy && c->sent < c->len) {
            watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
        }
    }
}

static void
finish(struct connection *c)
{
    const int64_t took = now_us() - c->started_us;
    struct url *url = c->url;

    if ((size_t)got.answered == got.room) {
        got.room = got.room == 0 ? 65536 : got.room * 2;
        got.latency_us = realloc(got.latency_us, got.room * sizeof(*got.latency_us));
        if (got.latency_us == NULL) {
            die("realloc");
        }
    }
    got.latency_us[got.answered++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    got.hits += c->answer.hit;
    if (c->answer.status != want.status) {
        complain(c, "wrong status");
        got.bad_status++;
    } else if (want.check_pattern && !c->answer.pattern) {
        complain(c, "not the bytes of the pattern");
        got.bad_body++;
    } else if (want.check_same && url->seen &&
               (url->body != c->answer.body || url->sum != c->answer.sum)) {
        complain(c, "another body than before");
        got.bad_body++;
    } else if (!url->seen) {
        url->seen = true;
        url->body = c->answer.body;
        url->sum = c->answer.sum;
    }
    c->busy = false;
    if (c->answer.closing || want.one_shot) {
        hang_up(c);
    }
}

static void
pull(struct connection *c)
{
    char data[65536];

    while (c->fd >= 0) {
        const ssize_t n = recv(c->fd, data, sizeof(data), 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (!c->busy) { /* an idle connection that the server closed, or worse */
            if (n > 0) {
                got.bad_body++;
                complain(c, "bytes after the answer");
            }
            hang_up(c);
            return;
        }
        if (n <= 0) {
            if (n == 0 && answer_end(&c->answer)) {
                finish(c);
            } else {
                lose(c, n == 0 ? "the connection was closed" : strerror(errno));
            }
            return;
        }
        if (answer_take(&c->answer, data, (size_t)n) < (size_t)n || c->answer.state == ANSWER_BAD) {
            lose(c, "not an HTTP answer");
            return;
        }
        if (c->answer.state == ANSWER_DONE) {
            finish(c);
            return;
        }
    }
}

/* --------------------------------------------------------------------- the run */

/* Start what is due on idle connections; when the next one is, 0 if that depends on answers. */
static int64_t
start_due(int64_t end_us)
{
    for (int i = 0; i < want.connections; i++) {
        struct connection *c = &connections[i];
        const int64_t now = now_us();
        int64_t due = now;

        if (c->busy) {
            continue;
        }
        if (now >= end_us || (want.requests > 0 && got.started >= want.requests)) {
            return 0;
        }
        if (now - begin_us < want.warm_up_us * i / want.connections) {
            return begin_us + want.warm_up_us * i / want.connections;
        }
        if (want.rate > 0) {
            due = begin_us + (int64_t)((double)got.started * 1e6 / want.rate);
            if (due > now) {
                return due;
            }
        }
        begin(c, due);
    }
    return 0;
}

static int
busy_count(void)
{
    int count = 0;

    for (int i = 0; i < want.connections; i++) {
        struct connection *c = &connections[i];

        if (c->busy && now_us() - c->started_us > ANSWER_TIMEOUT_US) {
            lose(c, "no answer in time");
        }
        count += c->busy;
    }
    return count;
}

static void
run(void)
{
    struct epoll_event events[256];
    struct connection timer_mark; /* only its address counts */
    struct epoll_event timer_event = {.events = EPOLLIN, .data.ptr = &timer_mark};
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int64_t end_us;

    if (timer < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &timer_event) != 0) {
        die("timerfd");
    }
    begin_us = now_us();
    end_us = begin_us + (int64_t)(want.seconds * 1e6);
    for (;;) {
        const int64_t due = start_due(end_us);
        int count;

        if (due > 0) {
            const struct itimerspec at = {
                .it_value = {(time_t)(due / 1000000), (long)(due % 1000000) * 1000}};

            timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
        } else if ((now_us() >= end_us || (want.requests > 0 && got.started >= want.requests)) &&
                   busy_count() == 0) {
            break;
        }
        count = epoll_wait(epoll_fd, events, 256, 1000);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            uint64_t expirations;

            if (c == &timer_mark) {
                if (read(timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN) {
                    die("timerfd");
                }
                continue;
            }
            if (c->busy && (events[i].events & EPOLLOUT) != 0) {
                push(c);
            }
            if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
                pull(c);
            }
        }
    }
    close(timer);
}

static int
compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double
percentile(double share)
{
    size_t rank;

    if (got.answered == 0) {
        return 0;
    }
    rank = (size_t)((double)got.answered * share);
    return got.latency_us[rank < (size_t)got.answered ? rank : (size_t)got.answered - 1] / 1e3;
}

static bool
report(void)
{
    const double seconds = (double)(now_us() - begin_us) / 1e6;

    if (got.answered > 0) {
        qsort(got.latency_us, (size_t)got.answered, sizeof(*got.latency_us), compare);
    }
    printf("requests %lld\n", (long long)got.started);
    printf("answered %lld\n", (long long)got.answered);
    printf("hits %lld\n", (long long)got.hits);
    printf("lost %lld\n", (long long)got.lost);
    printf("bad_status %lld\n", (long long)got.bad_status);
    printf("bad_body %lld\n", (long long)got.bad_body);
    printf("rate %.0f\n", (double)got.answered / seconds);
    printf("p50_ms %.3f\n", percentile(0.5));
    printf("p99_ms %.3f\n", percentile(0.99));
    printf("p999_ms %.3f\n", percentile(0.999));
    printf("max_ms %.3f\n", percentile(1));
    return got.answered > 0 && got.lost == 0 && got.bad_status == 0 && got.bad_body == 0;
}

/* ----------------------------------------------------------------- the options */

static void
add_field(const char *line)
{
    const size_t have = strlen(want.fields);

    if (have + strlen(line) + 3 > sizeof(want.fields)) {
        errno = E2BIG;
        die("-H");
    }
    snprintf(want.fields + have, sizeof(want.fields) - have, "%s\r\n", line);
}

static bool
add_url(const char *text)
{
    char address[32];
    int port;
    int target = 0;
    struct url *url;

    if (want.url_count == URLS_MAX ||
        sscanf(text, "http://%31[0-9.]:%d%n", address, &port, &target) != 2 ||
        text[target] != '/' || strlen(text + target) >= sizeof(url->target)) {
        return false;
    }
    url = &want.urls[want.url_count++];
    snprintf(url->target, sizeof(url->target), "%s", text + target);
    snprintf(want.host, sizeof(want.host), "%s:%d", address, port);
    want.address.sin_family = AF_INET;
    want.address.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, address, &want.address.sin_addr) == 1;
}

static bool
read_options(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "c:d:n:r:s:b:w:H:1")) != -1) {
        switch (option) {
        case 'c':
            want.connections = atoi(optarg);
            break;
        case 'd':
            want.seconds = atof(optarg);
            break;
        case 'n':
            want.requests = atoll(optarg);
            want.seconds = 3600;
            break;
        case 'r':
            want.rate = atof(optarg);
            break;
        case 's':
            want.status = atoi(optarg);
            break;
        case 'b':
            want.check_pattern = strcmp(optarg, "pattern") == 0;
            want.check_same = strcmp(optarg, "same") == 0;
            if (!want.check_pattern && !want.check_same) {
                return false;
            }
            break;
        case 'w':
            want.warm_up_us = atoll(optarg) * 1000;
            break;
        case 'H':
            add_field(optarg);
            break;
        case '1':
            want.one_shot = true;
            break;
        default:
            return false;
        }
    }
    for (; optind < argc; optind++) {
        if (!add_url(argv[optind])) {
            return false;
        }
    }
    return want.url_count > 0 && want.connections > 0 && want.connections <= CONNECTIONS_MAX;
}

int
main(int argc, char **argv)
{
    if (!read_options(argc, argv)) {
        fprintf(stderr,
                "usage: load [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] [-r RATE]\n"
                "            [-s STATUS] [-b pattern|same] [-1] [-w MS] [-H FIELD]... URL...\n");
        return 2;
    }
    connections = calloc((size_t)want.connections, sizeof(*connections));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || epoll_fd < 0) {
        die("start");
    }
    for (int i = 0; i < want.connections; i++) {
        connections[i].fd = -1;
    }
    run();
    return report() ? 0 : 1;
}
