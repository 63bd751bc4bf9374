/* An HTTP/1.1 response, read as it comes; see answer.c. */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_HEAD_MAX 16384

enum answer_state {
    ANSWER_HEAD,
    ANSWER_LENGTH,     /* in a body of known length */
    ANSWER_CHUNK_SIZE, /* in the line before a chunk */
    ANSWER_CHUNK,
    ANSWER_CHUNK_END, /* in the line end after a chunk */
    ANSWER_TRAILER,
    ANSWER_CLOSE, /* in a body that ends with the connection */
    ANSWER_DONE,
    ANSWER_BAD
};

struct answer {
    enum answer_state state;
    int status;
    bool hit;      /* X-Cache: HIT */
    bool closing;  /* the connection is not for reuse */
    uint64_t body; /* bytes of the body so far */
    uint64_t sum;  /* FNV-1a of them */
    bool pattern;  /* so far they are those of pattern.h */
    uint64_t left; /* of the body, or of the chunk */
    size_t have;   /* bytes in head, or of a line */
    char head[ANSWER_HEAD_MAX + 1];
};

void answer_start(struct answer *answer);
/* Take what was received; how much belonged to this answer. */
size_t answer_take(struct answer *answer, const char *data, size_t len);
/* The connection has ended: true if that was the right place for it. */
bool answer_end(struct answer *answer);

#endif
