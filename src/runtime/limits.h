/*
 * Limits that hold for all processes of the pool together, in one shared file:
 * <runtime_dir>/limits. How often an address may try, and how often one thing may
 * be said in the log. A pool of a hundred processes would otherwise allow a
 * hundred times as much.
 */
#ifndef RUNTIME_LIMITS_H
#define RUNTIME_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "larder.h"

/*
 * Map the file, and make it where it is missing (mode 0600). On failure limits
 * are this process's own, as they are before the call; err says why. Main
 * thread, before others use them.
 */
enum larder_status limits_open(const char *runtime_dir, struct larder_error *err);

/* Back to this process's own. A late call by another thread does no harm. */
void limits_close(void);

/*
 * One more of at most `rate` in any minute by the same one; name is what tells it
 * from others (a few of all share a limit, nobody outside knows which). 0: taken;
 * else so many microseconds are to be waited. Any thread.
 */
int64_t limits_take(const void *name, size_t len, int rate, int64_t now_us);

/* What is said at a bounded rate. */
enum limits_said { LIMITS_REFUSED, LIMITS_OFF, LIMITS_SAID };

/* May it be said again, `every_ms` after the last time? *unsaid: how often it was not, since then.
 * Any thread. */
bool limits_say(enum limits_said what, int64_t every_ms, int64_t now_ms, uint64_t *unsaid);

#endif
