/*
 * Preloaded into a program: the clocks of a machine that has been suspended for as many seconds as the
 * file $SLEPT says (CLOCK_BOOTTIME and the wall clock have gone on, CLOCK_MONOTONIC has not), and whose
 * wall clock is ahead by as many more as the file $JUMPED says. A test replaces the files by rename(2), so
 * that they are never seen half written. (libfaketime wakes waits for CLOCK_MONOTONIC too soon.)
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long
read_s(const char *name)
{
    char text[32] = "";
    const char *path = getenv(name);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (fd >= 0)
        close(fd);
    return n > 0 ? atol(text) : 0;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
    int result = (int)syscall(SYS_clock_gettime, id, t);

    if (result == 0 && (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME))
        t->tv_sec += read_s("SLEPT");
    if (result == 0 && id == CLOCK_REALTIME)
        t->tv_sec += read_s("JUMPED");
    return result;
}

int
gettimeofday(struct timeval *t, void *zone)
{
    int result = (int)syscall(SYS_gettimeofday, t, zone);

    if (result == 0)
        t->tv_sec += read_s("SLEPT") + read_s("JUMPED");
    return result;
}

time_t
time(time_t *t)
{
    struct timeval now;

    gettimeofday(&now, NULL);
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}
