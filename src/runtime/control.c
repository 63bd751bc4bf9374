/*
 * The control socket of a process: how larderctl asks a living one. The other
 * side is control_ask.c.
 *
 * The idea: no session and no state. A connection is one line of JSON in, one
 * line out, within one second and 16 KiB, served by the main thread when it has
 * nothing else to do; whoever stalls is dropped. What takes longer is handed to
 * another thread with the connection. The socket's mode (0600) is
 * the permission: who may connect is the pool's own user, or root.
 *
 * A process that was killed leaves its socket behind. The next one that starts
 * removes it, but only if its process is gone and nobody accepts on it: in a
 * directory that containers share, a pid alone says little.
 *
 * Called by the responder's main thread. Never blocks without a deadline.
 */
#include "runtime/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "runtime/control_wire.h"

#define SOCKET_MODE 0600
#define BACKLOG 16
/* One exchange, from accept to the last byte of the answer. */
#define SERVE_MS 1000
/* accept() without a free descriptor leaves the client in the queue: no spinning on it. */
#define NO_DESCRIPTOR_PAUSE_MS 10

struct control {
    int fd;
    pid_t pid; /* a forked child must not remove its parent's socket */
    struct sockaddr_un address;
    int serving;                 /* the connection in hand */
    struct control_later *later; /* ... which somebody else will answer; NULL: nobody */
};

/* An answer under way, and where it goes. */
struct control_later {
    int fd;
    json_object *answer;
};

/* Is somebody accepting there? */
static bool
is_served(const struct sockaddr_un *address)
{
    int fd = control_dial(address);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || (errno != ECONNREFUSED && errno != ENOENT);
}

static void
remove_leftovers(DIR *list, const char *dir)
{
    for (pid_t pid; (pid = control_next_pid(list)) > 0;) {
        struct sockaddr_un address;
        struct stat st;
        if (kill(pid, 0) == 0 || errno != ESRCH)
            continue;
        if (control_address(&address, dir, pid) && lstat(address.sun_path, &st) == 0 &&
            S_ISSOCK(st.st_mode) && !is_served(&address))
            unlink(address.sun_path);
    }
}

/* A socket under our own pid is left over from a process that had it before us. */
static enum larder_status
clear_own_name(const struct sockaddr_un *address, struct larder_error *err)
{
    struct stat st;

    if (lstat(address->sun_path, &st) != 0)
        return LARDER_OK; /* bind() has the words for whatever else is wrong */
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, LARDER_REFUSED, "control %s: there, and no socket",
                         address->sun_path);
    if (is_served(address))
        return error_set(err, LARDER_REFUSED, "control %s: served by another process",
                         address->sun_path);
    unlink(address->sun_path);
    return LARDER_OK;
}

/* The mode is set before the name appears; on Linux bind() takes it from the socket. */
static int
listen_at(const struct sockaddr_un *address, struct larder_error *err)
{
    struct stat st;
    const char *what = "socket";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        goto failed;
    what = "mode";
    if (fchmod(fd, SOCKET_MODE) != 0)
        goto failed;
    what = "bind";
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        goto failed;
    what = "mode";
    if (lstat(address->sun_path, &st) != 0 ||
        ((st.st_mode & 07777) != SOCKET_MODE && chmod(address->sun_path, SOCKET_MODE) != 0))
        goto failed_bound;
    what = "listen";
    if (listen(fd, BACKLOG) == 0)
        return fd;
failed_bound:
    error_set(err, LARDER_UNAVAILABLE, "control %s: %s: %s", address->sun_path, what,
              strerror(errno));
    unlink(address->sun_path);
    close(fd);
    return -1;
failed:
    error_set(err, LARDER_UNAVAILABLE, "control %s: %s: %s", address->sun_path, what,
              strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

enum larder_status
control_open(const char *runtime_dir, struct control **out, struct larder_error *err)
{
    struct control *control;
    enum larder_status status;

    *out = NULL;
    DIR *list = control_open_dir(runtime_dir, "", err);
    if (!list)
        return LARDER_UNAVAILABLE;
    remove_leftovers(list, runtime_dir);
    closedir(list);

    control = calloc(1, sizeof *control);
    if (!control)
        return error_set(err, LARDER_NOMEM, "control %s: no memory", runtime_dir);
    control->pid = getpid();
    if (!control_address(&control->address, runtime_dir, control->pid)) {
        status = error_set(err, LARDER_INVALID,
                           "control %s: too long for the name of a socket (%zu bytes in all)",
                           runtime_dir, sizeof control->address.sun_path - 1);
        goto failed;
    }
    status = clear_own_name(&control->address, err);
    if (status != LARDER_OK)
        goto failed;
    control->fd = listen_at(&control->address, err);
    if (control->fd < 0) {
        status = LARDER_UNAVAILABLE;
        goto failed;
    }
    *out = control;
    return LARDER_OK;
failed:
    free(control);
    return status;
}

void
control_close(struct control *control)
{
    if (!control)
        return;
    if (control->pid == getpid())
        unlink(control->address.sun_path);
    close(control->fd);
    free(control);
}

int
control_fd(const struct control *control)
{
    return control->fd;
}

/* false: the deadline has passed, or poll failed. */
static bool
wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - clock_now_ms();
        struct pollfd poll_fd = {.fd = fd, .events = events};
        if (left <= 0)
            return false;
        int n = poll(&poll_fd, 1, (int)left);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

/* One line without its end: up to a newline, or what there was when the client shut its side.
 * Its length, CONTROL_REQUEST_MAX + 1 if it is longer, 0 if none came in time. */
static size_t
read_request(int fd, char line[CONTROL_REQUEST_MAX + 1], int64_t deadline_ms)
{
    size_t len = 0;

    while (len <= CONTROL_REQUEST_MAX) {
        ssize_t n = recv(fd, line + len, CONTROL_REQUEST_MAX + 1 - len, 0);
        if (n == 0)
            return len;
        if (n < 0 && !control_transient(errno))
            return 0;
        if (n < 0) {
            if (!wait_for(fd, POLLIN, deadline_ms))
                return 0;
            continue;
        }
        const char *end = memchr(line + len, '\n', (size_t)n);
        if (end)
            return (size_t)(end - line);
        len += (size_t)n;
    }
    return len;
}

static void
write_answer(int fd, const char *text, size_t len, int64_t deadline_ms)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && (!control_transient(errno) || !wait_for(fd, POLLOUT, deadline_ms)))
            return;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
}

/* Take the reference to value, also when there is no memory to keep it. */
static void
put_member(json_object *object, const char *name, json_object *value)
{
    if (json_object_object_add(object, name, value) != 0)
        json_object_put(value);
}

static void __attribute__((format(printf, 2, 3)))
say_error(json_object *answer, const char *format, ...)
{
    char text[CONTROL_REQUEST_MAX + 64]; /* never cut: half a character would not be UTF-8 */
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_member(answer, "ok", json_object_new_boolean(false));
    put_member(answer, "error", json_object_new_string(text));
}

static void
answer_line(json_object *answer, const char *line, size_t len, control_fn fn, void *arg)
{
    json_object *command = NULL;

    put_member(answer, "ok", json_object_new_boolean(true));
    put_member(answer, "pid", json_object_new_int64(getpid()));
    if (len > CONTROL_REQUEST_MAX) {
        say_error(answer, "a request has at most %d bytes", CONTROL_REQUEST_MAX);
        return;
    }
    json_object *request = control_parse(line, len);
    if (!request || !json_object_object_get_ex(request, "command", &command) ||
        !json_object_is_type(command, json_type_string)) {
        say_error(answer, "expected {\"command\":\"...\"}");
    } else {
        const char *name = json_object_get_string(command);
        if (strcmp(name, "ping") == 0)
            put_member(answer, "version", json_object_new_string(LARDER_VERSION));
        else if (!fn || !fn(arg, name, request, answer))
            say_error(answer, "unknown command: %s", name);
    }
    json_object_put(request);
}

static void
send_answer(int fd, json_object *answer, int64_t deadline_ms)
{
    size_t len = 0;
    const char *text = control_text(answer, &len);
    if (text) {
        write_answer(fd, text, len, deadline_ms);
        write_answer(fd, "\n", 1, deadline_ms);
    }
}

void
control_serve(struct control *control, control_fn fn, void *arg)
{
    int64_t deadline_ms = clock_now_ms() + SERVE_MS;
    char line[CONTROL_REQUEST_MAX + 1];
    int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            poll(NULL, 0, NO_DESCRIPTOR_PAUSE_MS);
        return;
    }
    size_t len = read_request(fd, line, deadline_ms);
    json_object *answer = len > 0 ? json_object_new_object() : NULL;
    control->serving = fd;
    control->later = NULL;
    if (answer)
        answer_line(answer, line, len, fn, arg);
    /* Then both are another thread's, and may be gone already. */
    if (control->later)
        return;
    if (answer)
        send_answer(fd, answer, deadline_ms);
    json_object_put(answer);
    close(fd);
}

struct control_later *
control_later(struct control *control, json_object *answer)
{
    struct control_later *later = calloc(1, sizeof *later);

    if (later)
        *later = (struct control_later){control->serving, answer};
    control->later = later;
    return later;
}

json_object *
control_later_answer(struct control_later *later)
{
    return later->answer;
}

void
control_answer(struct control_later *later)
{
    send_answer(later->fd, later->answer, clock_now_ms() + SERVE_MS);
    json_object_put(later->answer);
    close(later->fd);
    free(later);
}
