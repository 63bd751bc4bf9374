/*
 * Preloaded into a program, a machine that has been suspended for as many seconds as the file $SLEPT
 * says: CLOCK_BOOTTIME and the wall clock have gone on, CLOCK_MONOTONIC has not. A case replaces the
 * file by rename(2), so that it is never seen half written.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long
slept_s(void)
{
    char text[32] = "";
    const char *path = getenv("SLEPT");
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
        t->tv_sec += slept_s();
    return result;
}

int
gettimeofday(struct timeval *t, void *zone)
{
    int result = (int)syscall(SYS_gettimeofday, t, zone);

    if (result == 0)
        t->tv_sec += slept_s();
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
