/* The chunked transfer coding (RFC 9112 §7.1), incoming. Pure: no I/O, no memory. */
#ifndef UPSTREAM_CHUNKED_H
#define UPSTREAM_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"

/* A chunk-size line, extensions included. */
#define CHUNKED_LINE_MAX ((size_t)1024)
/* The trailer section; its fields are read over, never merged (RFC 9110 §6.5.1). */
#define CHUNKED_TRAILER_MAX ((size_t)16 * 1024)

struct chunked {
    int state; /* zero-initialise */
    uint64_t left;
    size_t digits;
    size_t line;
    size_t trailer;
    bool done; /* the last byte of the body has been read */
};

/* Take some of `data`; *body is the run of body bytes in it, perhaps empty. Returns how many bytes
 * were taken, at least one unless n is 0 or all is done; -1: not chunked coding. */
ssize_t chunked_read(struct chunked *c, const char *data, size_t n, struct slice *body);

#endif
