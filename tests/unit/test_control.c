/*
 * The control socket: one line in, one line out, and neither a dead process nor
 * a client that stalls is in anybody's way.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/control.h"

#define CHILDREN_MAX 8
/* A second, and what a busy machine adds to it. */
#define SECOND_AT_MOST_MS 2500
/* How long a late answer takes. */
#define LATE_MS 400

struct place {
    char dir[64];
    pid_t child[CHILDREN_MAX];
    int children;
    struct control *control;
};

static int
set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    const char *tmp = getenv("TMPDIR");

    assert_non_null(place);
    /* The name of a socket has to fit in 107 bytes. */
    snprintf(place->dir, sizeof place->dir, "%s/larder-XXXXXX",
             tmp && strlen(tmp) < 48 ? tmp : "/tmp");
    assert_non_null(mkdtemp(place->dir));
    *state = place;
    return 0;
}

static int
files_in(const char *dir, bool remove_them)
{
    DIR *list = opendir(dir);
    int n = 0;

    assert_non_null(list);
    for (const struct dirent *entry; (entry = readdir(list));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        n++;
        if (remove_them)
            unlinkat(dirfd(list), entry->d_name, 0);
    }
    closedir(list);
    return n;
}

static void
end_child(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int
tear_down(void **state)
{
    struct place *place = *state;

    control_close(place->control);
    for (int i = 0; i < place->children; i++)
        end_child(place->child[i]);
    files_in(place->dir, true);
    assert_int_equal(rmdir(place->dir), 0);
    free(place);
    return 0;
}

static void *
answer_late(void *arg)
{
    struct control_later *later = arg;
    poll(NULL, 0, LATE_MS);
    json_object_object_add(control_later_answer(later), "late", json_object_new_boolean(true));
    control_answer(later);
    return NULL;
}

static bool
answer(void *arg, const char *command, json_object *request, json_object *out)
{
    if (strcmp(command, "late") == 0) {
        pthread_t thread;
        struct control_later *later = control_later(arg, out);
        assert_non_null(later);
        assert_int_equal(pthread_create(&thread, NULL, answer_late, later), 0);
        pthread_detach(thread);
        return true;
    }
    if (strcmp(command, "echo") == 0) {
        json_object_object_add(out, "request", json_object_get(request));
        return true;
    }
    if (strcmp(command, "long") == 0) {
        size_t n = (size_t)json_object_get_int64(json_object_object_get(request, "n"));
        char *text = malloc(n + 1);
        if (!text)
            return false;
        memset(text, 'x', n);
        text[n] = '\0';
        json_object_object_add(out, "text", json_object_new_string(text));
        free(text);
        return true;
    }
    return false;
}

static void
serve_for_ever(struct control *control)
{
    for (;;) {
        struct pollfd fd = {.fd = control_fd(control), .events = POLLIN};
        if (poll(&fd, 1, -1) > 0)
            control_serve(control, answer, control);
    }
}

/* A process of the pool: it is listening when this returns. */
static pid_t
start_process(struct place *place)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct control *control;
        if (control_open(place->dir, &control, NULL) != LARDER_OK)
            _exit(1);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        close(ready[1]);
        serve_for_ever(control);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_true(place->children < CHILDREN_MAX);
    place->child[place->children++] = pid;
    return pid;
}

/* And one that is gone, its socket left behind. */
static pid_t
kill_process(struct place *place)
{
    pid_t pid = place->child[--place->children];
    end_child(pid);
    return pid;
}

static void
name_of(const struct place *place, pid_t pid, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "%.64s/%ld.sock", place->dir, (long)pid);
}

static bool
has_socket(const struct place *place, pid_t pid)
{
    struct sockaddr_un address;
    name_of(place, pid, &address);
    return access(address.sun_path, F_OK) == 0;
}

static int
dial(const struct place *place, pid_t pid)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name_of(place, pid, &address);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Everything up to the end of the connection, as JSON; NULL if there was nothing. */
static json_object *
read_all(int fd)
{
    size_t room = 4 << 20, len = 0;
    char *text = malloc(room);
    ssize_t n;

    assert_non_null(text);
    while ((n = recv(fd, text + len, room - 1 - len, 0)) > 0)
        len += (size_t)n;
    close(fd);
    text[len] = '\0';
    json_object *value = NULL;
    if (len > 0) {
        assert_int_equal(text[len - 1], '\n');
        assert_ptr_equal(strchr(text, '\n'), text + len - 1);
        value = json_tokener_parse(text);
        assert_non_null(value);
    }
    free(text);
    return value;
}

static json_object *
say(const struct place *place, pid_t pid, const char *bytes, size_t n)
{
    int fd = dial(place, pid);
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
    shutdown(fd, SHUT_WR);
    return read_all(fd);
}

static const char *
string_in(json_object *object, const char *name)
{
    return json_object_get_string(json_object_object_get(object, name));
}

static bool
is_ok(json_object *object)
{
    return json_object_get_boolean(json_object_object_get(object, "ok"));
}

static int64_t
pid_in(json_object *object)
{
    return json_object_get_int64(json_object_object_get(object, "pid"));
}

static void
opens(struct place *place)
{
    struct larder_error err = {0};
    if (control_open(place->dir, &place->control, &err) != LARDER_OK)
        fail_msg("%s", err.message);
}

static void
does_not_open(const char *dir, enum larder_status want)
{
    struct larder_error err = {0};
    struct control *control;

    assert_int_equal(control_open(dir, &control, &err), want);
    assert_null(control);
    assert_int_equal(err.status, want);
    assert_true(strlen(err.message) > 10);
}

/* -------------------------------------------------------------------------------- exchanges */

static void
a_ping_is_answered_without_anybody_being_asked(void **state)
{
    struct place *place = *state;
    pid_t pid = start_process(place);
    static const char *const requests[] = {"{\"command\":\"ping\"}\n", "{\"command\":\"ping\"}",
                                           " { \"command\" : \"ping\", \"x\":[1] } \n",
                                           "{\"command\":\"ping\"}\nand more that is not read\n"};

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        json_object *a = say(place, pid, requests[i], strlen(requests[i]));
        assert_true(is_ok(a));
        assert_int_equal(pid_in(a), pid);
        assert_string_equal(string_in(a, "version"), LARDER_VERSION);
        json_object_put(a);
    }
}

static void
a_command_gets_its_request_and_a_long_answer_back(void **state)
{
    struct place *place = *state;
    pid_t pid = start_process(place);
    static const char echo[] = "{\"command\":\"echo\",\"a\":[1,\"\\u00e9/\\n\"]}\n";
    static const char many[] = "{\"command\":\"long\",\"n\":3000000}\n";

    json_object *a = say(place, pid, echo, sizeof echo - 1);
    assert_true(is_ok(a));
    json_object *list = json_object_object_get(json_object_object_get(a, "request"), "a");
    assert_string_equal(json_object_get_string(json_object_array_get_idx(list, 1)), "\xc3\xa9/\n");
    json_object_put(a);
    a = say(place, pid, many, sizeof many - 1);
    assert_true(is_ok(a));
    assert_int_equal(json_object_get_string_len(json_object_object_get(a, "text")), 3000000);
    json_object_put(a);
}

static void
what_is_no_command_is_refused_with_words(void **state)
{
    struct place *place = *state;
    pid_t pid = start_process(place);
    static const char *const requests[] = {"{\"command\":\"dance \xc3\xa9\"}\n",
                                           "{\"command\":1}\n",
                                           "{\"command\":null}\n",
                                           "{}\n",
                                           "[]\n",
                                           "null\n",
                                           "ping\n",
                                           "{\"command\":\"ping\"\n",
                                           "{\"command\":\"ping\"}x\n",
                                           "{\"command\":\"ping\xff\"}\n",
                                           " \n",
                                           "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"};

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        json_object *a = say(place, pid, requests[i], strlen(requests[i]));
        assert_non_null(a);
        assert_false(is_ok(a));
        assert_int_equal(pid_in(a), pid);
        assert_true(strlen(string_in(a, "error")) > 5);
        json_object_put(a);
    }
    json_object *a = say(place, pid, "{\"command\":\"x\0y\"}\n", 18);
    assert_false(is_ok(a));
    json_object_put(a);
    /* No line at all: no answer. */
    assert_null(say(place, pid, "", 0));
    assert_null(say(place, pid, "\n", 1));
}

static void
a_request_has_at_most_16_kib(void **state)
{
    struct place *place = *state;
    pid_t pid = start_process(place);
    char line[6001];

    for (size_t n = 4094; n <= 6000; n += n < 4099 ? 1 : 1901) {
        memset(line, ' ', sizeof line);
        memcpy(line, "{\"command\":\"ping\"}", 18);
        line[n] = '\n';
        json_object *a = say(place, pid, line, n + 1);
        assert_non_null(a);
        assert_true(is_ok(a) == (n <= 16384));
        json_object_put(a);
    }
    /* An unknown command as long as may be comes back whole, multibyte characters and all. */
    size_t n = (size_t)snprintf(line, sizeof line, "{\"command\":\"");
    while (n < 4090) {
        memcpy(line + n, "\xc3\xa9", 2);
        n += 2;
    }
    memcpy(line + n, "\"}\n", 3);
    json_object *a = say(place, pid, line, n + 3);
    assert_false(is_ok(a));
    assert_non_null(strstr(string_in(a, "error"), "\xc3\xa9\xc3\xa9"));
    json_object_put(a);
}

/* ------------------------------------------------------------------------------------ stalls */

static void
serves_within_a_second(struct place *place)
{
    int64_t begin = clock_now_ms();
    control_serve(place->control, answer, place->control);
    assert_true(clock_now_ms() - begin < SECOND_AT_MOST_MS);
}

static void
a_client_that_says_nothing_is_dropped(void **state)
{
    struct place *place = *state;
    opens(place);
    int silent = dial(place, getpid());
    int half = dial(place, getpid());
    assert_int_equal(send(half, "{\"command\"", 10, 0), 10);
    serves_within_a_second(place);
    serves_within_a_second(place);
    assert_null(read_all(silent));
    assert_null(read_all(half));
}

static void
a_client_that_drips_is_dropped(void **state)
{
    struct place *place = *state;
    opens(place);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = dial(place, getppid());
        for (int i = 0; i < 200 && send(fd, " ", 1, MSG_NOSIGNAL) == 1; i++)
            poll(NULL, 0, 50);
        _exit(0);
    }
    place->child[place->children++] = pid;
    struct pollfd fd = {.fd = control_fd(place->control), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 20000), 1);
    serves_within_a_second(place);
}

static void
a_client_that_does_not_read_is_dropped(void **state)
{
    struct place *place = *state;
    static const char request[] = "{\"command\":\"long\",\"n\":8000000}\n";
    opens(place);
    int fd = dial(place, getpid());
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    serves_within_a_second(place);
    close(fd);
}

static void
a_client_that_left_does_no_harm(void **state)
{
    struct place *place = *state;
    static const char request[] = "{\"command\":\"long\",\"n\":8000000}\n";
    opens(place);
    int fd = dial(place, getpid());
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    close(fd);
    serves_within_a_second(place); /* SIGPIPE would end the test */
    close(dial(place, getpid()));
    serves_within_a_second(place);
    serves_within_a_second(place); /* nobody there */
}

/* --------------------------------------------------------------------------------- the socket */

static void
the_socket_is_for_its_owner_alone_whatever_the_umask(void **state)
{
    struct place *place = *state;
    static const mode_t masks[] = {0, 022, 0177, 0777};

    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        struct sockaddr_un address;
        struct stat st;
        mode_t before = umask(masks[i]);
        opens(place);
        umask(before);
        name_of(place, getpid(), &address);
        assert_int_equal(stat(address.sun_path, &st), 0);
        assert_true(S_ISSOCK(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0600);
        control_close(place->control);
        place->control = NULL;
        assert_int_equal(files_in(place->dir, false), 0);
    }
    control_close(NULL);
}

static void
what_dead_processes_left_is_removed_and_nothing_else(void **state)
{
    struct place *place = *state;
    pid_t living = start_process(place);
    pid_t other, dead;
    struct sockaddr_un address;

    start_process(place);
    dead = kill_process(place);
    assert_true(has_socket(place, dead));
    /* A file by the name of a dead process's socket, and one that only looks like a name. */
    start_process(place);
    other = kill_process(place);
    name_of(place, other, &address);
    assert_int_equal(unlink(address.sun_path), 0);
    close(open(address.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    snprintf(address.sun_path, sizeof address.sun_path, "%.64s/%ld.socket", place->dir, (long)dead);
    close(open(address.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));

    opens(place);
    assert_false(has_socket(place, dead));
    assert_true(has_socket(place, other));
    assert_true(has_socket(place, living));
    assert_true(has_socket(place, getpid()));
    assert_int_equal(files_in(place->dir, false), 4);
}

/* The process is in another container: its pid means nothing here, but it answers. */
static void
a_socket_that_somebody_serves_is_left_whatever_its_pid(void **state)
{
    struct place *place = *state;
    struct sockaddr_un address;
    pid_t dead;

    start_process(place);
    dead = kill_process(place);
    name_of(place, dead, &address);
    assert_int_equal(unlink(address.sun_path), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    opens(place);
    assert_true(has_socket(place, dead));
    close(fd);
}

static void
a_socket_left_under_our_own_pid_is_replaced(void **state)
{
    struct place *place = *state;
    struct sockaddr_un address;

    name_of(place, getpid(), &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    opens(place);
    does_not_open(place->dir, LARDER_REFUSED); /* now somebody serves it */
    control_close(place->control);
    place->control = NULL;
    close(open(address.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    does_not_open(place->dir, LARDER_REFUSED);
    assert_int_equal(unlink(address.sun_path), 0);
    assert_int_equal(symlink("elsewhere", address.sun_path), 0);
    does_not_open(place->dir, LARDER_REFUSED);
}

static void
a_forked_child_does_not_remove_its_parents_socket(void **state)
{
    struct place *place = *state;
    int status;

    opens(place);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        control_close(place->control);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(has_socket(place, getpid()));
}

static void
a_bad_directory_is_refused(void **state)
{
    struct place *place = *state;
    char path[256];
    json_object *answers;
    json_object *request = json_object_new_object();

    snprintf(path, sizeof path, "%s/none", place->dir);
    does_not_open(path, LARDER_UNAVAILABLE);
    assert_int_equal(control_ask(path, request, 100, &answers, NULL), LARDER_UNAVAILABLE);
    assert_null(answers);
    assert_int_equal(symlink(".", path), 0);
    does_not_open(path, LARDER_UNAVAILABLE);
    snprintf(path, sizeof path, "%s/%0*d", place->dir, 110, 0);
    assert_int_equal(mkdir(path, 0700), 0);
    does_not_open(path, LARDER_INVALID);
    assert_int_equal(rmdir(path), 0);
    json_object_put(request);
}

/* ------------------------------------------------------------------------------- asking them */

static json_object *
ask(const struct place *place, const char *request_text, int64_t timeout_ms)
{
    struct larder_error err = {0};
    json_object *request = json_tokener_parse(request_text);
    json_object *answers;

    assert_non_null(request);
    int64_t begin = clock_now_ms();
    if (control_ask(place->dir, request, timeout_ms, &answers, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    assert_true(clock_now_ms() - begin < timeout_ms + 1500);
    json_object_put(request);
    return answers;
}

static void
every_process_answers_in_the_order_of_their_pids(void **state)
{
    struct place *place = *state;

    for (int i = 0; i < 5; i++)
        start_process(place);
    json_object *answers = ask(place, "{\"command\":\"long\",\"n\":300000}", 20000);
    assert_int_equal(json_object_array_length(answers), 5);
    for (size_t i = 0; i < 5; i++) {
        json_object *a = json_object_array_get_idx(answers, i);
        assert_true(is_ok(a));
        assert_int_equal(json_object_get_string_len(json_object_object_get(a, "text")), 300000);
        if (i > 0)
            assert_true(pid_in(a) > pid_in(json_object_array_get_idx(answers, i - 1)));
    }
    json_object_put(answers);
}

static void
one_that_hangs_or_is_dead_costs_only_its_own_answer(void **state)
{
    struct place *place = *state;
    pid_t hung = start_process(place);

    start_process(place);
    start_process(place);
    kill_process(place);
    assert_int_equal(kill(hung, SIGSTOP), 0);
    json_object *answers = ask(place, "{\"command\":\"ping\"}", 300);
    assert_int_equal(json_object_array_length(answers), 1);
    assert_int_equal(pid_in(json_object_array_get_idx(answers, 0)), place->child[1]);
    json_object_put(answers);
}

static void
an_empty_pool_gives_no_answers_at_once(void **state)
{
    struct place *place = *state;
    int64_t begin = clock_now_ms();
    json_object *answers = ask(place, "{\"command\":\"ping\"}", 60000);
    assert_int_equal(json_object_array_length(answers), 0);
    assert_true(clock_now_ms() - begin < 5000);
    json_object_put(answers);
}

static void
a_request_too_long_to_ask_is_refused(void **state)
{
    struct place *place = *state;
    char text[20000];
    json_object *request = json_object_new_object(), *answers;

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    json_object_object_add(request, "command", json_object_new_string(text));
    assert_int_equal(control_ask(place->dir, request, 100, &answers, NULL), LARDER_INVALID);
    assert_null(answers);
    json_object_put(request);
}

/* Something else listens under the name of a process, and says this to whoever connects. */
static void
start_impostor(struct place *place, const char *bytes, bool for_ever)
{
    struct sockaddr_un address;
    int ready[2];
    char byte;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        name_of(place, getpid(), &address);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4) != 0 ||
            write(ready[1], "r", 1) != 1)
            _exit(1);
        int client = accept(fd, NULL, NULL);
        while (send(client, bytes, strlen(bytes), MSG_NOSIGNAL) > 0 && for_ever)
            ;
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    place->child[place->children++] = pid;
}

static void
an_answer_that_is_none_is_left_out(void **state)
{
    struct place *place = *state;

    start_impostor(place, "", false);
    start_impostor(place, "{\"ok\":true}", false); /* no newline: cut off */
    start_impostor(place, "garbage\n", false);
    start_impostor(place, "[]\n", false);
    start_impostor(place, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", true);
    start_process(place);
    int64_t begin = clock_now_ms();
    json_object *answers = ask(place, "{\"command\":\"ping\"}", 60000);
    assert_true(clock_now_ms() - begin < 20000); /* the endless one is given up for its length */
    assert_int_equal(json_object_array_length(answers), 1);
    json_object_put(answers);
}

static void
whom_the_sockets_let_not_in_is_told(void **state)
{
    struct place *place = *state;
    int status;

    if (geteuid() != 0)
        skip();
    /* Somewhere that the other user can reach. */
    assert_int_equal(rmdir(place->dir), 0);
    snprintf(place->dir, sizeof place->dir, "/tmp/larder-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    start_process(place);
    assert_int_equal(chmod(place->dir, 0755), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        json_object *request = json_object_new_object(), *answers;
        struct larder_error err = {0};
        if (setuid(65534) != 0)
            _exit(2);
        bool told = control_ask(place->dir, request, 1000, &answers, &err) == LARDER_REFUSED &&
                    !answers && strstr(err.message, "ermission");
        json_object_put(request);
        _exit(told ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---------------------------------------------------------------------- later and one by one */

static json_object *
ask_one(struct place *place, pid_t pid, const char *command, int64_t timeout_ms,
        enum larder_status expected)
{
    json_object *request = json_object_new_object(), *one = NULL;
    json_object_object_add(request, "command", json_object_new_string(command));
    struct larder_error err = {0};
    assert_int_equal(control_ask_one(place->dir, pid, request, timeout_ms, &one, &err), expected);
    json_object_put(request);
    return one;
}

static void
one_process_is_asked_alone(void **state)
{
    struct place *place = *state;
    pid_t first = start_process(place), second = start_process(place);
    json_object *one = ask_one(place, second, "ping", 1000, LARDER_OK);
    assert_int_equal(json_object_get_int64(json_object_object_get(one, "pid")), second);
    json_object_put(one);
    assert_int_equal(kill(first, SIGSTOP), 0);
    assert_null(ask_one(place, first, "ping", 100, LARDER_UNAVAILABLE));
    kill_process(place);
    assert_null(ask_one(place, second, "ping", 1000, LARDER_UNAVAILABLE));
}

static void
a_late_answer_keeps_nobody_waiting_but_its_asker(void **state)
{
    struct place *place = *state;
    pid_t pid = start_process(place);
    int64_t begin = clock_now_ms();
    pid_t asker = fork();
    assert_true(asker >= 0);
    if (asker == 0) {
        json_object *one = ask_one(place, pid, "late", 5000, LARDER_OK);
        _exit(json_object_get_boolean(json_object_object_get(one, "late")) &&
                      json_object_get_boolean(json_object_object_get(one, "ok"))
                  ? 0
                  : 1);
    }
    while (clock_now_ms() - begin < LATE_MS / 2) {
        int64_t asked = clock_now_ms();
        json_object_put(ask_one(place, pid, "ping", 5000, LARDER_OK));
        assert_true(clock_now_ms() - asked < LATE_MS / 2);
    }
    int status;
    assert_int_equal(waitpid(asker, &status, 0), asker);
    assert_int_equal(status, 0);
    assert_true(clock_now_ms() - begin >= LATE_MS);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_ping_is_answered_without_anybody_being_asked),
        CASE(a_command_gets_its_request_and_a_long_answer_back),
        CASE(what_is_no_command_is_refused_with_words),
        CASE(a_request_has_at_most_16_kib),
        CASE(a_client_that_says_nothing_is_dropped),
        CASE(a_client_that_drips_is_dropped),
        CASE(a_client_that_does_not_read_is_dropped),
        CASE(a_client_that_left_does_no_harm),
        CASE(the_socket_is_for_its_owner_alone_whatever_the_umask),
        CASE(what_dead_processes_left_is_removed_and_nothing_else),
        CASE(a_socket_that_somebody_serves_is_left_whatever_its_pid),
        CASE(a_socket_left_under_our_own_pid_is_replaced),
        CASE(a_forked_child_does_not_remove_its_parents_socket),
        CASE(a_bad_directory_is_refused),
        CASE(every_process_answers_in_the_order_of_their_pids),
        CASE(one_that_hangs_or_is_dead_costs_only_its_own_answer),
        CASE(an_empty_pool_gives_no_answers_at_once),
        CASE(a_request_too_long_to_ask_is_refused),
        CASE(an_answer_that_is_none_is_left_out),
        CASE(whom_the_sockets_let_not_in_is_told),
        CASE(one_process_is_asked_alone),
        CASE(a_late_answer_keeps_nobody_waiting_but_its_asker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
