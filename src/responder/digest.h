/* SHA-256 of what has been put together, as hex digits. */
#ifndef RESPONDER_DIGEST_H
#define RESPONDER_DIGEST_H

#include <stdbool.h>

#include "base/slice.h"

#define DIGEST_DIGITS_MAX 64

/* The first `digits` of it (at most DIGEST_DIGITS_MAX, even) and a NUL. false: no memory. Any thread. */
bool digest_hex(struct slice data, char *out, size_t digits);

/* Give back what is kept between calls; at the end of the process. */
void digest_cleanup(void);

#endif
