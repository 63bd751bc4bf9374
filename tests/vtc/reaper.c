/*
 * Runs one whole-system case and leaves nothing of it behind.
 *
 * The daemons of a case detach themselves (spawn-fcgi, Apache, nginx), so killing
 * the case's process group would miss them. The idea: be the subreaper of
 * everything below. Whoever detaches becomes our child instead of init's, so
 * that /proc names each one however it got away, and each is ended by its pid:
 * first by SIGTERM (what a sanitizer or a coverage build has to say is written
 * at exit), then, after GRACE_MS, by SIGKILL. A process that needs SIGKILL has
 * not ended as it should, and fails the case.
 *
 *   reaper [-p PORTS] [-t SECONDS] COMMAND [ARGUMENT]...
 *
 * PORT1, PORT2 ... in the command's environment are loopback ports that nobody
 * listens on. They lie below the ephemeral range and are reserved, by an
 * abstract Unix socket named after each, against cases that run at the same time.
 *
 * Exit status: the command's; 1 if it ran for too long, died by a signal or left
 * a process that would not end. Called by tests/vtc/run; it never starts
 * anything but the command.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 15000
#define PORTS_MAX 32
#define PORT_FIRST 20000
#define PORT_COUNT 12000
#define PROCESSES_MAX 65536
#define PID_LIMIT 4194304 /* PID_MAX_LIMIT of a 64-bit Linux */

struct process {
    pid_t pid;
    pid_t parent;
    char state;
    bool ours;
    char name[32];
};

static struct process processes[PROCESSES_MAX];
static unsigned char told[PID_LIMIT / 8 + 1]; /* a bit per pid: SIGTERM has been sent */
static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
    interrupted = number;
}

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
nap(long ms)
{
    const struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

static void
die(const char *what)
{
    fprintf(stderr, "reaper: %s: %s\n", what, strerror(errno));
    exit(99); /* automake: the harness itself failed */
}

/* ------------------------------------------------------------------- ports */

/* The descriptor of a reservation is not closed: it lasts as long as we do. */
static bool
reserve(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_in address = {.sin_family = AF_INET};
    const int on = 1;
    int lock, probe;
    int len;
    bool is_free;

    lock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (lock < 0 || probe < 0) {
        die("socket");
    }
    len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "larder-test-port-%d", port);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_free = bind(lock, (struct sockaddr *)&name,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0;
    /* As a server would bind it: a port in TIME_WAIT is free, one with a listener is not. */
    setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    is_free = is_free && bind(probe, (struct sockaddr *)&address, sizeof(address)) == 0 &&
              listen(probe, 1) == 0;
    close(probe);
    if (!is_free) {
        close(lock);
    }
    return is_free;
}

static void
export_ports(int count)
{
    char name[16], value[16];
    uint32_t seed;
    int found = 0;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        die("getrandom");
    }
    for (int i = 0; i < PORT_COUNT && found < count; i++) {
        const int port = PORT_FIRST + (int)((seed + (uint32_t)i) % PORT_COUNT);

        if (!reserve(port)) {
            continue;
        }
        found++;
        snprintf(name, sizeof(name), "PORT%d", found);
        snprintf(value, sizeof(value), "%d", port);
        setenv(name, value, 1);
    }
    if (found < count) {
        fprintf(stderr, "reaper: no %d free ports\n", count);
        exit(99);
    }
}

/* --------------------------------------------------------------- processes */

/* "PID (NAME) STATE PPID ...": the name may hold blanks and parentheses, so the last ')' ends it. */
static bool
read_process(const char *pid, struct process *out)
{
    char path[64], line[512];
    char *open, *end;
    FILE *file;
    bool ok;
    int parent;

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return false; /* gone meanwhile */
    }
    ok = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    if (!ok) {
        return false;
    }
    open = strchr(line, '(');
    end = strrchr(line, ')');
    if (open == NULL || end == NULL || sscanf(end + 1, " %c %d", &out->state, &parent) != 2) {
        return false;
    }
    *end = '\0';
    out->pid = (pid_t)atoi(pid);
    out->parent = (pid_t)parent;
    out->ours = false;
    snprintf(out->name, sizeof(out->name), "%.31s", open + 1);
    return true;
}

/* Marks everything below us; the number of processes in the table. */
static size_t
scan(void)
{
    const pid_t self = getpid();
    size_t count = 0;
    bool changed = true;
    struct dirent *entry;
    DIR *proc;

    proc = opendir("/proc");
    if (proc == NULL) {
        die("/proc");
    }
    while ((entry = readdir(proc)) != NULL && count < PROCESSES_MAX) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            read_process(entry->d_name, &processes[count])) {
            count++;
        }
    }
    closedir(proc);

    while (changed) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            if (processes[i].ours) {
                continue;
            }
            for (size_t j = 0; j < count && !processes[i].ours; j++) {
                processes[i].ours = processes[j].pid == processes[i].parent && processes[j].ours;
            }
            processes[i].ours = processes[i].ours || processes[i].parent == self;
            changed = changed || processes[i].ours;
        }
    }
    return count;
}

/* SIGTERM to each once (a second one would mean "at once" to some), SIGCONT so that a stopped one
 * can obey. */
static void
ask_to_end(pid_t pid)
{
    const unsigned char bit = (unsigned char)(1u << (pid % 8));

    if (pid >= PID_LIMIT || (told[pid / 8] & bit) != 0) {
        return;
    }
    told[pid / 8] |= bit;
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
}

/* True if everything ended on SIGTERM. */
static bool
end_all(void)
{
    const int64_t started = now_ms();
    bool clean = true;
    bool more = true;

    while (more) {
        const bool patient = now_ms() - started < GRACE_MS;
        const size_t count = scan();

        more = false;
        for (size_t i = 0; i < count; i++) {
            if (!processes[i].ours || processes[i].state == 'Z') {
                continue;
            }
            more = true;
            if (patient) {
                ask_to_end(processes[i].pid);
            } else {
                fprintf(stderr, "reaper: %s (%d) did not end on SIGTERM within %d s\n",
                        processes[i].name, (int)processes[i].pid, GRACE_MS / 1000);
                clean = false;
                kill(processes[i].pid, SIGKILL);
            }
        }
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        if (more) {
            nap(10);
        }
    }
    return clean;
}

/* Wait for the command; orphans that end meanwhile are reaped as well. */
static int
wait_for(pid_t child, int64_t limit_ms)
{
    const int64_t deadline = now_ms() + limit_ms;
    int status;
    pid_t pid;

    for (;;) {
        pid = waitpid(-1, &status, WNOHANG);
        if (pid == child) {
            break;
        }
        if (pid > 0) {
            continue;
        }
        if (interrupted != 0) {
            fprintf(stderr, "reaper: interrupted by signal %d\n", (int)interrupted);
            return 1;
        }
        if (now_ms() > deadline) {
            fprintf(stderr, "reaper: the case took longer than %lld s\n",
                    (long long)(limit_ms / 1000));
            return 1;
        }
        nap(5);
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "reaper: the command died by signal %d\n", WTERMSIG(status));
        return 1;
    }
    return WEXITSTATUS(status);
}

int
main(int argc, char **argv)
{
    const struct sigaction action = {.sa_handler = on_signal};
    int ports = 0;
    int64_t limit_ms = 120 * 1000;
    int option, result;
    pid_t child;

    while ((option = getopt(argc, argv, "+p:t:")) != -1) {
        switch (option) {
        case 'p':
            ports = atoi(optarg);
            break;
        case 't':
            limit_ms = (int64_t)atoi(optarg) * 1000;
            break;
        default:
            return 99;
        }
    }
    if (optind == argc || ports < 0 || ports > PORTS_MAX || limit_ms <= 0) {
        fprintf(stderr, "usage: reaper [-p PORTS] [-t SECONDS] COMMAND [ARGUMENT]...\n");
        return 99;
    }
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        die("prctl");
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    export_ports(ports);

    child = fork();
    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        execvp(argv[optind], argv + optind);
        fprintf(stderr, "reaper: %s: %s\n", argv[optind], strerror(errno));
        _exit(99);
    }
    result = wait_for(child, limit_ms);
    if (!end_all() && result == 0) {
        result = 1;
    }
    return result;
}
