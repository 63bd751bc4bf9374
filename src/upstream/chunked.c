/*
 * The chunked transfer coding, incoming.
 *
 * A state machine fed with whatever has arrived. It is strict on purpose: where
 * two readers could disagree about a length (bare LF, signs, blanks before the
 * size, sizes past 60 bits), one of them gets a request or an answer that the
 * other never saw. So all of that is malformed here.
 *
 * Called by http.c. It never keeps a byte.
 */
#include "upstream/chunked.h"

#include <limits.h>

enum {
    SIZE = 0,     /* hex digits */
    EXTENSION,    /* after the size, until CR */
    SIZE_LF,      /* the LF of that line */
    DATA,         /* chunk bytes */
    DATA_CR,      /* the line end after them */
    DATA_LF,      /* … */
    TRAILER,      /* first byte of a trailer line, or CR of the last */
    TRAILER_LINE, /* inside one */
    TRAILER_LF,   /* the LF of one */
    LAST_LF       /* the LF that ends the body */
};

/* 15 hex digits stay below 2^60: no sum of such sizes that anybody can send overflows. */
#define SIZE_DIGITS_MAX 15

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool
is_text(char c)
{
    return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

/* One byte of framing. false: malformed. */
static bool
step(struct chunked *c, char b)
{
    switch (c->state) {
    case SIZE: {
        int value = hex_value(b);
        if (value >= 0) {
            c->left = c->left * 16 + (uint64_t)value;
            return ++c->digits <= SIZE_DIGITS_MAX;
        }
        if (c->digits == 0)
            return false;
        c->line = 0;
        c->state = b == '\r' ? SIZE_LF : EXTENSION;
        return b == '\r' || b == ';' || b == ' ' || b == '\t';
    }
    case EXTENSION:
        if (b == '\r') {
            c->state = SIZE_LF;
            return true;
        }
        return is_text(b) && ++c->line <= CHUNKED_LINE_MAX;
    case SIZE_LF:
        c->state = c->left ? DATA : TRAILER;
        c->digits = 0;
        return b == '\n';
    case DATA_CR:
        c->state = DATA_LF;
        return b == '\r';
    case DATA_LF:
        c->state = SIZE;
        return b == '\n';
    case TRAILER:
        c->state = b == '\r' ? LAST_LF : TRAILER_LINE;
        return ++c->trailer <= CHUNKED_TRAILER_MAX && (b == '\r' || is_text(b));
    case TRAILER_LINE:
        if (b == '\r') {
            c->state = TRAILER_LF;
            return true;
        }
        return is_text(b) && ++c->trailer <= CHUNKED_TRAILER_MAX;
    case TRAILER_LF:
        c->state = TRAILER;
        return b == '\n';
    case LAST_LF:
        c->done = true;
        return b == '\n';
    default:
        return false;
    }
}

ssize_t
chunked_read(struct chunked *c, const char *data, size_t n, struct slice *body)
{
    *body = (struct slice){data, 0};
    if (n > SSIZE_MAX)
        n = SSIZE_MAX;
    size_t i = 0;
    while (i < n && !c->done) {
        if (c->state == DATA) {
            size_t run = c->left < n - i ? (size_t)c->left : n - i;
            *body = (struct slice){data + i, run};
            c->left -= run;
            if (c->left == 0)
                c->state = DATA_CR;
            return (ssize_t)(i + run);
        }
        if (!step(c, data[i++]))
            return -1;
    }
    return (ssize_t)i;
}
