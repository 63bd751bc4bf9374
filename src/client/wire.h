/*
 * Commands in Redis' wire format (RESP2), as argument vectors only.
 *
 * Small arguments are copied into one buffer, on the caller's stack as long as
 * they fit; large ones are sent from where they are. A failure sticks: check
 * once, by sending.
 */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/slice.h"

#define WIRE_INLINE 4096
#define WIRE_INLINE_LOANS 8
/* Arguments from this length on are not copied: below it a copy is cheaper than an iovec. */
#define WIRE_COPY_MAX 1024

struct wire_loan {
    size_t at; /* it goes out before this byte of the buffer */
    const void *p;
    size_t n;
};

/* Commands under construction. Arguments must stay as they are until they are sent. */
struct wire {
    char *buf;
    size_t used;
    size_t room;
    struct wire_loan *loans;
    size_t loan_count;
    size_t loan_room;
    size_t total; /* bytes to send */
    bool failed;  /* no memory */
    struct wire_loan loans_inline[WIRE_INLINE_LOANS];
    char inline_buf[WIRE_INLINE];
};

void wire_init(struct wire *wire);
void wire_free(struct wire *wire);
/* Start over, keeping the memory. */
void wire_reset(struct wire *wire);

/*
 * A command, by its arguments as a person would type them, with one blank between two:
 * "SET :lease:%s %.*s PX %lld". Of printf()'s conversions it knows %s, %.*s, %d and
 * %lld, also within an argument; what is put in may be anything, and empty, and is one
 * argument. An argument that begins with ':' is a name in the namespace: `prefix`
 * takes the place of the ':'. more: arguments that follow, by wire_arg() and its like.
 */
void wire_command(struct wire *wire, const char *words, ...) __attribute__((format(printf, 2, 3)));
void wire_words(struct wire *wire, struct slice prefix, size_t more, const char *words, va_list ap)
    __attribute__((format(printf, 4, 0)));
void wire_arg(struct wire *wire, const void *p, size_t n);
void wire_text(struct wire *wire, const char *text);
void wire_number(struct wire *wire, int64_t number);
/* One argument made of two parts. */
void wire_join(struct wire *wire, const char *a, size_t a_len, const char *b, size_t b_len);
/* One argument in pieces, none of them copied. */
void wire_pieces(struct wire *wire, const struct iovec *iov, int iovcnt);

/* What is to be sent from byte `from` on, in at most max pieces; how many. */
int wire_gather(const struct wire *wire, size_t from, struct iovec *iov, int max);

#endif
