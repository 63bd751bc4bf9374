/* The clocks, mostly in milliseconds. Only callers at the top read them; the rest is told. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t
clock_read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* For how long to wait. It stands still while the machine is suspended: no promise may rest on it. */
static inline int64_t
clock_now_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

/* Goes on while the machine is suspended, and nobody sets it: for what others count on as well (Redis,
 * other machines). */
static inline int64_t
clock_boot_ms(void)
{
    return clock_read_ms(CLOCK_BOOTTIME);
}

/* What is too short to be told in milliseconds. */
static inline int64_t
clock_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Since 1970, by this machine alone; what machines compare goes by store_clock_ms(). */
static inline int64_t
clock_wall_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

#endif
