/*
 * Commands in Redis' wire format. The buffer holds everything that was copied;
 * a loan is an argument that was not, with the place in the buffer where it
 * belongs. Used by whatever sends a command; never reads a reply, never does
 * I/O.
 */
#include "client/wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
wire_init(struct wire *wire)
{
    wire->buf = wire->inline_buf;
    wire->room = sizeof wire->inline_buf;
    wire->loans = wire->loans_inline;
    wire->loan_room = WIRE_INLINE_LOANS;
    wire_reset(wire);
}

void
wire_free(struct wire *wire)
{
    if (wire->buf != wire->inline_buf)
        free(wire->buf);
    if (wire->loans != wire->loans_inline)
        free(wire->loans);
    wire_init(wire);
}

void
wire_reset(struct wire *wire)
{
    wire->used = 0;
    wire->loan_count = 0;
    wire->total = 0;
    wire->failed = false;
}

/* Grow by doubling, first off the stack. */
static bool
reserve(struct wire *wire, size_t n)
{
    if (wire->failed)
        return false;
    if (n <= wire->room - wire->used)
        return true;

    size_t room = wire->room;
    while (room - wire->used < n) {
        if (room > SIZE_MAX / 2) {
            wire->failed = true;
            return false;
        }
        room *= 2;
    }
    char *buf = realloc(wire->buf == wire->inline_buf ? NULL : wire->buf, room);
    if (!buf) {
        wire->failed = true;
        return false;
    }
    if (wire->buf == wire->inline_buf)
        memcpy(buf, wire->inline_buf, wire->used);
    wire->buf = buf;
    wire->room = room;
    return true;
}

static void
append(struct wire *wire, const void *p, size_t n)
{
    if (n == 0 || !reserve(wire, n))
        return;
    memcpy(wire->buf + wire->used, p, n);
    wire->used += n;
    wire->total += n;
}

/* "*3\r\n" or "$5\r\n". By hand: this is most of what a lookup computes, and snprintf would be most
 * of its time. */
static void
append_count(struct wire *wire, char kind, size_t count)
{
    char text[24];
    char *p = text + sizeof text;

    *--p = '\n';
    *--p = '\r';
    do {
        *--p = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    *--p = kind;
    append(wire, p, (size_t)(text + sizeof text - p));
}

static void
lend(struct wire *wire, const void *p, size_t n)
{
    if (wire->failed || n == 0)
        return;
    if (wire->loan_count == wire->loan_room) {
        bool first = wire->loans == wire->loans_inline;
        struct wire_loan *loans =
            reallocarray(first ? NULL : wire->loans, wire->loan_room * 2, sizeof *loans);
        if (!loans) {
            wire->failed = true;
            return;
        }
        if (first)
            memcpy(loans, wire->loans_inline, sizeof wire->loans_inline);
        wire->loans = loans;
        wire->loan_room *= 2;
    }
    wire->loans[wire->loan_count++] = (struct wire_loan){wire->used, p, n};
    wire->total += n;
}

void
wire_arg(struct wire *wire, const void *p, size_t n)
{
    append_count(wire, '$', n);
    if (n < WIRE_COPY_MAX)
        append(wire, p, n);
    else
        lend(wire, p, n);
    append(wire, "\r\n", 2);
}

void
wire_text(struct wire *wire, const char *text)
{
    wire_arg(wire, text, strlen(text));
}

void
wire_number(struct wire *wire, int64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)number);

    append_count(wire, '$', (size_t)n);
    append(wire, text, (size_t)n);
    append(wire, "\r\n", 2);
}

void
wire_join(struct wire *wire, const char *a, size_t a_len, const char *b, size_t b_len)
{
    append_count(wire, '$', a_len + b_len);
    append(wire, a, a_len);
    append(wire, b, b_len);
    append(wire, "\r\n", 2);
}

void
wire_pieces(struct wire *wire, const struct iovec *iov, int iovcnt)
{
    size_t total = 0;

    for (int i = 0; i < iovcnt; i++)
        total += iov[i].iov_len;
    append_count(wire, '$', total);
    for (int i = 0; i < iovcnt; i++)
        lend(wire, iov[i].iov_base, iov[i].iov_len);
    append(wire, "\r\n", 2);
}

/* ------------------------------------------------------------------- commands */

/* Of one argument: literal text and what is put in. */
#define PIECES_MAX 5
#define NUMBER_SIZE 24

/* The value of the conversion at *words, which is moved behind it. A number is written to room. */
static struct slice
convert(const char **words, char room[NUMBER_SIZE], va_list *ap)
{
    const char *at = *words;
    struct slice value = {room, 0};

    if (strncmp(at, "%.*s", 4) == 0) {
        int n = va_arg(*ap, int);
        value = (struct slice){va_arg(*ap, const char *), n > 0 ? (size_t)n : 0};
        *words = at + 4;
    } else if (strncmp(at, "%s", 2) == 0) {
        value = slice_of(va_arg(*ap, const char *));
        *words = at + 2;
    } else if (strncmp(at, "%d", 2) == 0) {
        value.n = (size_t)snprintf(room, NUMBER_SIZE, "%d", va_arg(*ap, int));
        *words = at + 2;
    } else {
        assert(strncmp(at, "%lld", 4) == 0);
        value.n = (size_t)snprintf(room, NUMBER_SIZE, "%lld", va_arg(*ap, long long));
        *words = at + 4;
    }
    return value;
}

/* The argument that begins at words; where the next one does, or the end. */
static const char *
add_word(struct wire *wire, struct slice prefix, const char *words, va_list *ap)
{
    struct slice pieces[PIECES_MAX];
    char numbers[PIECES_MAX][NUMBER_SIZE];
    size_t count = 0, total = 0;

    if (*words == ':') {
        pieces[count++] = prefix;
        words++;
    }
    while (*words && *words != ' ') {
        assert(count < PIECES_MAX);
        if (*words == '%') {
            pieces[count] = convert(&words, numbers[count], ap);
        } else {
            pieces[count] = (struct slice){words, strcspn(words, " %")};
            words += pieces[count].n;
        }
        count++;
    }
    for (size_t i = 0; i < count; i++)
        total += pieces[i].n;
    append_count(wire, '$', total);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].n < WIRE_COPY_MAX)
            append(wire, pieces[i].p, pieces[i].n);
        else
            lend(wire, pieces[i].p, pieces[i].n);
    }
    append(wire, "\r\n", 2);
    return *words ? words + 1 : words;
}

void
wire_words(struct wire *wire, struct slice prefix, size_t more, const char *words, va_list ap)
{
    va_list values;
    size_t argc = 1 + more;

    for (const char *p = words; *p; p++)
        argc += *p == ' ';
    append_count(wire, '*', argc);
    va_copy(values, ap);
    while (*words)
        words = add_word(wire, prefix, words, &values);
    va_end(values);
}

void
wire_command(struct wire *wire, const char *words, ...)
{
    va_list ap;

    va_start(ap, words);
    wire_words(wire, slice_of(""), 0, words, ap);
    va_end(ap);
}

/* One more piece for sendmsg(), after skipping what is already on its way. */
static int
gather_piece(struct iovec *iov, int count, size_t *skip, const void *p, size_t n)
{
    if (*skip >= n) {
        *skip -= n;
        return count;
    }
    union {
        const void *from;
        void *to;
    } base = {.from = (const char *)p + *skip}; /* sendmsg() only reads */
    iov[count] = (struct iovec){base.to, n - *skip};
    *skip = 0;
    return count + 1;
}

int
wire_gather(const struct wire *wire, size_t from, struct iovec *iov, int max)
{
    size_t at = 0;
    int count = 0;

    for (size_t i = 0; i < wire->loan_count && count < max; i++) {
        const struct wire_loan *loan = &wire->loans[i];
        count = gather_piece(iov, count, &from, wire->buf + at, loan->at - at);
        at = loan->at;
        if (count < max)
            count = gather_piece(iov, count, &from, loan->p, loan->n);
        else
            return count;
    }
    if (count < max)
        count = gather_piece(iov, count, &from, wire->buf + at, wire->used - at);
    return count;
}
