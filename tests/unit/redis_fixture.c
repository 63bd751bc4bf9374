/*
 * A private redis-server for tests; see the header. It knows nothing of the
 * code under test, so that it can be believed when the two disagree.
 */
#include "redis_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#define START_TRIES 500 /* of 10 ms: valgrind and two busy cores are slow */

static void
pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

bool
redis_fixture_available(void)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path ? path : "/usr/bin:/usr/local/bin");
    char *rest = NULL;
    bool found = false;

    for (char *dir = copy ? strtok_r(copy, ":", &rest) : NULL; dir && !found;
         dir = strtok_r(NULL, ":", &rest)) {
        char file[4096];
        int n = snprintf(file, sizeof(file), "%s/redis-server", dir);
        found = n > 0 && (size_t)n < sizeof(file) && access(file, X_OK) == 0;
    }
    free(copy);
    return found;
}

static int
free_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(any);
    int port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0 &&
        getsockname(fd, (struct sockaddr *)&any, &len) == 0)
        port = ntohs(any.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

static void
become_server(const struct redis_fixture *redis)
{
    const char *argv[REDIS_FIXTURE_ARGS_MAX + 24];
    char port[16];
    char log[96];
    int n = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(port, sizeof(port), "%d", redis->port);
    snprintf(log, sizeof(log), "%s/log", redis->dir);
    argv[n++] = "redis-server";
    argv[n++] = "--unixsocket";
    argv[n++] = redis->socket;
    argv[n++] = "--port";
    argv[n++] = port;
    argv[n++] = "--bind";
    argv[n++] = "127.0.0.1";
    argv[n++] = "--save";
    argv[n++] = "";
    argv[n++] = "--appendonly";
    argv[n++] = "no";
    argv[n++] = "--dir";
    argv[n++] = redis->dir;
    argv[n++] = "--logfile";
    argv[n++] = log;
    for (int i = 0; i < REDIS_FIXTURE_ARGS_MAX && redis->args[i]; i++)
        argv[n++] = redis->args[i];
    argv[n] = NULL;
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void
print_log(const struct redis_fixture *redis)
{
    char path[96];
    char line[512];
    snprintf(path, sizeof(path), "%s/log", redis->dir);
    FILE *log = fopen(path, "re");

    while (log && fgets(line, sizeof(line), log))
        fputs(line, stderr);
    if (log)
        fclose(log);
}

static bool
launch(struct redis_fixture *redis)
{
    char answer[64];

    unlink(redis->socket);
    redis->pid = fork();
    if (redis->pid < 0) {
        perror("redis fixture: fork");
        redis->pid = 0;
        return false;
    }
    if (redis->pid == 0)
        become_server(redis);
    for (int i = 0; i < START_TRIES; i++) {
        int status;
        if (waitpid(redis->pid, &status, WNOHANG) == redis->pid) {
            redis->pid = 0;
            break;
        }
        /* Also -NOAUTH: it is up, and the password is the test's affair. */
        if (redis_fixture_command(redis, "PING", answer, sizeof(answer)) &&
            strncmp(answer, "-LOADING", 8) != 0)
            return true;
        pause_ms(10);
    }
    fprintf(stderr, "redis fixture: redis-server does not answer at %s\n", redis->socket);
    print_log(redis);
    return false;
}

static bool
start(struct redis_fixture *redis, const char *const *args, bool tcp)
{
    memset(redis, 0, sizeof(*redis));
    for (int i = 0; args && args[i]; i++) {
        if (i == REDIS_FIXTURE_ARGS_MAX - 1) {
            fprintf(stderr, "redis fixture: too many arguments\n");
            return false;
        }
        redis->args[i] = args[i];
    }
    /* Not under TMPDIR: the path of a Unix socket may have 107 bytes. */
    snprintf(redis->dir, sizeof(redis->dir), "/tmp/larder-redis-XXXXXX");
    if (!mkdtemp(redis->dir)) {
        perror("redis fixture: mkdtemp");
        redis->dir[0] = '\0';
        return false;
    }
    snprintf(redis->socket, sizeof(redis->socket), "%s/redis.sock", redis->dir);
    /* Somebody else may take the port between the look and the start. */
    for (int i = 0; i < (tcp ? 5 : 1); i++) {
        if (tcp)
            redis->port = free_port();
        if (launch(redis))
            return true;
        redis_fixture_kill(redis);
    }
    redis_fixture_stop(redis);
    return false;
}

bool
redis_fixture_start(struct redis_fixture *redis, const char *const *args)
{
    return start(redis, args, false);
}

bool
redis_fixture_start_tcp(struct redis_fixture *redis, const char *const *args)
{
    return start(redis, args, true);
}

void
redis_fixture_kill(struct redis_fixture *redis)
{
    if (redis->pid <= 0)
        return;
    kill(redis->pid, SIGKILL);
    while (waitpid(redis->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    redis->pid = 0;
}

bool
redis_fixture_restart(struct redis_fixture *redis)
{
    redis_fixture_kill(redis);
    return launch(redis);
}

void
redis_fixture_pause(struct redis_fixture *redis)
{
    int status;

    /* Wait until it really stands still: the signal alone takes effect some time later. */
    if (redis->pid > 0 && kill(redis->pid, SIGSTOP) == 0)
        waitpid(redis->pid, &status, WUNTRACED);
}

void
redis_fixture_resume(struct redis_fixture *redis)
{
    if (redis->pid > 0)
        kill(redis->pid, SIGCONT);
}

void
redis_fixture_stop(struct redis_fixture *redis)
{
    DIR *dir;
    struct dirent *entry;

    redis_fixture_kill(redis);
    if (redis->dir[0] == '\0')
        return;
    dir = opendir(redis->dir);
    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir)
        closedir(dir);
    rmdir(redis->dir);
    redis->dir[0] = '\0';
}

/* An inline command, as one would type it into nc. The whole answer is there when
 * what came so far ends in CRLF and nothing more follows for a moment. */
bool
redis_fixture_command(const struct redis_fixture *redis, const char *command, char *answer,
                      size_t size)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t have = 0;
    bool ok = false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || size == 0)
        goto out;
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", redis->socket);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        send(fd, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command) ||
        send(fd, "\r\n", 2, MSG_NOSIGNAL) != 2)
        goto out;
    for (int wait_ms = 2000; have + 1 < size; wait_ms = 20) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, wait_ms) <= 0)
            break;
        ssize_t n = recv(fd, answer + have, size - 1 - have, 0);
        if (n <= 0)
            break;
        have += (size_t)n;
        if (answer[0] != '*' && answer[0] != '$' && have >= 2 && answer[have - 1] == '\n')
            break;
    }
    if (have >= 2 && answer[have - 1] == '\n')
        have -= 2;
    answer[have] = '\0';
    ok = have > 0;
out:
    if (fd >= 0)
        close(fd);
    return ok;
}
