/*
 * The other side of the control socket: ask every process of the pool at once,
 * so that one that hangs costs its own answer and no other's. Those that are not
 * there any more, or say nothing in time, are left out; the counters file knows
 * how many there should be.
 *
 * Called by larderctl. Never blocks longer than it was told.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/control.h"
#include "runtime/control_wire.h"

/* From a process of our own user; but a runaway answer should not eat larderctl. */
#define ANSWER_MAX ((size_t)1024 * 1024)
#define PEERS_MAX 4096

/* Behind "Permission denied": the sockets are their owner's alone. */
#define WHOSE "; run it as root or as the user of larder-fcgi"

struct peer {
    pid_t pid;
    int fd;      /* -1: done, with or without an answer */
    size_t sent; /* of the request */
    char *text;  /* of the answer, as far as it is there */
    size_t len, room;
    bool dialled, late; /* it was there; ... and had said nothing when the time was over */
    json_object *answer;
};

struct round {
    struct peer *list;
    size_t count;
    const char *request; /* with its newline */
    size_t request_len;
    int refused; /* errno of a socket that was there and let nobody in */
    int64_t timeout_ms;
};

static int
by_pid(const void *a, const void *b)
{
    const struct peer *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Who is there, in the order of their pids. */
static enum larder_status
find_peers(struct round *round, const char *dir, struct larder_error *err)
{
    DIR *list = control_open_dir(dir, WHOSE, err);
    size_t room = 0;

    if (!list)
        return LARDER_UNAVAILABLE;
    for (pid_t pid; round->count < PEERS_MAX && (pid = control_next_pid(list)) > 0;) {
        if (round->count == room) {
            struct peer *more = reallocarray(round->list, room ? room * 2 : 64, sizeof *more);
            if (!more) {
                closedir(list);
                return error_set(err, LARDER_NOMEM, "control %s: no memory", dir);
            }
            round->list = more;
            room = room ? room * 2 : 64;
        }
        round->list[round->count++] = (struct peer){.pid = pid, .fd = -1};
    }
    closedir(list);
    if (round->count > 0)
        qsort(round->list, round->count, sizeof *round->list, by_pid);
    return LARDER_OK;
}

/* One that left its socket behind, or leaves just now, is nobody to report. */
static void
dial_peers(struct round *round, const char *dir)
{
    for (size_t i = 0; i < round->count; i++) {
        struct sockaddr_un address;
        if (!control_address(&address, dir, round->list[i].pid)) {
            round->refused = ENAMETOOLONG;
            continue;
        }
        round->list[i].fd = control_dial(&address);
        round->list[i].dialled = round->list[i].fd >= 0;
        if (round->list[i].fd < 0 && errno != ECONNREFUSED && errno != ENOENT)
            round->refused = errno;
    }
}

/* What became of those who gave no answer, when nobody did. */
static void
say_why(const struct round *round, const char *dir, struct larder_error *err)
{
    size_t silent = 0, closed = 0;
    for (size_t i = 0; i < round->count; i++) {
        silent += round->list[i].late;
        closed += round->list[i].dialled && !round->list[i].late;
    }
    if (round->count == 0)
        error_set(
            err, LARDER_UNAVAILABLE,
            "pool %.120s: no process answers: no socket of one is there; does larder-fcgi run, "
            "with this runtime_dir?",
            dir);
    else if (silent > 0)
        error_set(err, LARDER_UNAVAILABLE,
                  "pool %.120s: no process answers: %zu took the question and said nothing within "
                  "%lld ms",
                  dir, silent, (long long)round->timeout_ms);
    else if (closed > 0)
        error_set(err, LARDER_UNAVAILABLE,
                  "pool %.120s: no process answers: %zu closed the connection", dir, closed);
    else
        error_set(
            err, LARDER_UNAVAILABLE,
            "pool %.120s: no process answers: nobody listens on the sockets of %zu, which have "
            "ended",
            dir, round->count);
}

static void
hang_up(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

static void
send_request(struct round *round, struct peer *peer)
{
    ssize_t n =
        send(peer->fd, round->request + peer->sent, round->request_len - peer->sent, MSG_NOSIGNAL);
    if (n > 0)
        peer->sent += (size_t)n;
    else if (n < 0 && !control_transient(errno))
        hang_up(peer);
}

static void
receive_answer(struct peer *peer)
{
    if (peer->len == peer->room) {
        size_t room = peer->room ? peer->room * 2 : 4096;
        char *more = room <= ANSWER_MAX ? realloc(peer->text, room) : NULL;
        if (!more) {
            hang_up(peer);
            return;
        }
        peer->text = more;
        peer->room = room;
    }
    ssize_t n = recv(peer->fd, peer->text + peer->len, peer->room - peer->len, 0);
    if (n < 0 && control_transient(errno))
        return;
    const char *end = n > 0 ? memchr(peer->text + peer->len, '\n', (size_t)n) : NULL;
    if (n > 0 && !end) {
        peer->len += (size_t)n;
        return;
    }
    if (end)
        peer->answer = control_parse(peer->text, (size_t)(end - peer->text));
    hang_up(peer);
}

/* Until all have answered or the time is over. */
static enum larder_status
talk(struct round *round, int64_t deadline_ms, struct larder_error *err)
{
    struct pollfd *fds = calloc(round->count, sizeof *fds);
    enum larder_status status = LARDER_OK;

    if (!fds)
        return error_set(err, LARDER_NOMEM, "control: no memory to ask %zu processes",
                         round->count);
    for (;;) {
        size_t open = 0;
        for (size_t i = 0; i < round->count; i++) {
            const struct peer *peer = &round->list[i];
            fds[i] = (struct pollfd){.fd = peer->fd,
                                     .events = peer->sent < round->request_len ? POLLOUT : POLLIN};
            open += peer->fd >= 0;
        }
        int64_t left = deadline_ms - clock_now_ms();
        if (open == 0 || left <= 0)
            break;
        int n = poll(fds, round->count, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n < 0 && errno != EINTR) {
            status = error_set(err, LARDER_UNAVAILABLE, "control: poll: %s", strerror(errno));
            break;
        }
        if (n <= 0)
            continue;
        for (size_t i = 0; i < round->count; i++) {
            struct peer *peer = &round->list[i];
            if (peer->fd < 0 || fds[i].revents == 0)
                continue;
            if (peer->sent < round->request_len)
                send_request(round, peer);
            else
                receive_answer(peer);
        }
    }
    for (size_t i = 0; i < round->count; i++)
        round->list[i].late = round->list[i].fd >= 0;
    free(fds);
    return status;
}

static enum larder_status
collect(struct round *round, const char *dir, json_object **answers, struct larder_error *err)
{
    json_object *array = json_object_new_array();
    bool ok = array != NULL;

    for (size_t i = 0; ok && i < round->count; i++) {
        if (!round->list[i].answer)
            continue;
        ok = json_object_array_add(array, round->list[i].answer) == 0;
        if (ok)
            round->list[i].answer = NULL;
    }
    if (!ok) {
        json_object_put(array);
        return error_set(err, LARDER_NOMEM, "control %s: no memory for the answers", dir);
    }
    if (json_object_array_length(array) == 0 && round->refused) {
        json_object_put(array);
        return error_set(err, round->refused == EACCES ? LARDER_REFUSED : LARDER_UNAVAILABLE,
                         "control %s: connect: %s%s", dir, strerror(round->refused),
                         round->refused == EACCES ? WHOSE : "");
    }
    if (json_object_array_length(array) == 0)
        say_why(round, dir, err);
    *answers = array;
    return LARDER_OK;
}

static void
end_round(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        hang_up(&round->list[i]);
        free(round->list[i].text);
        json_object_put(round->list[i].answer);
    }
    free(round->list);
}

/* line has room for the longest request and its newline. */
static enum larder_status
take_request(struct round *round, char *line, json_object *request, struct larder_error *err)
{
    size_t len = 0;
    const char *text = control_text(request, &len);

    if (!text || len > CONTROL_REQUEST_MAX)
        return error_set(err, LARDER_INVALID, "control: a request has at most %d bytes",
                         CONTROL_REQUEST_MAX);
    memcpy(line, text, len);
    line[len] = '\n';
    round->request = line;
    round->request_len = len + 1;
    return LARDER_OK;
}

enum larder_status
control_ask(const char *runtime_dir, json_object *request, int64_t timeout_ms,
            json_object **answers, struct larder_error *err)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    struct round round = {.timeout_ms = timeout_ms};
    char line[CONTROL_REQUEST_MAX + 1];

    *answers = NULL;
    enum larder_status status = take_request(&round, line, request, err);
    if (status == LARDER_OK)
        status = find_peers(&round, runtime_dir, err);
    if (status == LARDER_OK && round.count > 0) {
        dial_peers(&round, runtime_dir);
        status = talk(&round, deadline_ms, err);
    }
    if (status == LARDER_OK)
        status = collect(&round, runtime_dir, answers, err);
    end_round(&round);
    return status;
}

enum larder_status
control_ask_one(const char *runtime_dir, pid_t pid, json_object *request, int64_t timeout_ms,
                json_object **answer, struct larder_error *err)
{
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    struct peer peer = {.pid = pid, .fd = -1};
    struct round round = {.list = &peer, .count = 1};
    char line[CONTROL_REQUEST_MAX + 1];

    *answer = NULL;
    enum larder_status status = take_request(&round, line, request, err);
    if (status == LARDER_OK) {
        dial_peers(&round, runtime_dir);
        status = talk(&round, deadline_ms, err);
    }
    *answer = peer.answer;
    hang_up(&peer);
    free(peer.text);
    if (status == LARDER_OK && !*answer && round.refused)
        status = error_set(err, LARDER_UNAVAILABLE, "control %.120s: process %ld: connect: %s",
                           runtime_dir, (long)pid, strerror(round.refused));
    else if (status == LARDER_OK && !*answer)
        status = error_set(err, LARDER_UNAVAILABLE, "control %.120s: process %ld %s", runtime_dir,
                           (long)pid,
                           peer.late      ? "does not answer in time"
                           : peer.dialled ? "closed the connection without an answer"
                                          : "does not answer: it has ended");
    return status;
}
