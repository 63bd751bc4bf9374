/*
 * FastCGI 1.0 records as bytes. Pure: no I/O, no memory.
 */
#ifndef UPSTREAM_RECORD_H
#define UPSTREAM_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"

/* FastCGI 1.0 §3.3, §8. */
enum record_type {
    RECORD_BEGIN_REQUEST = 1,
    RECORD_ABORT_REQUEST = 2,
    RECORD_END_REQUEST = 3,
    RECORD_PARAMS = 4,
    RECORD_STDIN = 5,
    RECORD_STDOUT = 6,
    RECORD_STDERR = 7,
    RECORD_DATA = 8,
    RECORD_GET_VALUES = 9,
    RECORD_GET_VALUES_RESULT = 10,
    RECORD_UNKNOWN_TYPE = 11
};

enum record_protocol_status {
    RECORD_REQUEST_COMPLETE = 0,
    RECORD_CANT_MPX_CONN = 1,
    RECORD_OVERLOADED = 2,
    RECORD_UNKNOWN_ROLE = 3
};

#define RECORD_HEADER 8
#define RECORD_RESPONDER 1
#define RECORD_KEEP_CONN 1
/* A multiple of eight, so that a full record needs no padding (§3.3 recommends that). */
#define RECORD_CONTENT_MAX ((size_t)65528)
/* BEGIN_REQUEST and END_REQUEST whole. */
#define RECORD_BEGIN_SIZE 16
#define RECORD_END_CONTENT 8

/* The header of a record; its padding is what aligns its end to eight bytes. Returns that padding. */
size_t record_header(char out[RECORD_HEADER], enum record_type type, uint16_t id, size_t content);
void record_begin(char out[RECORD_BEGIN_SIZE], uint16_t id, bool keep);

/* The length of a name or a value (§3.4): one byte, or four. Returns how many. */
size_t record_length(char out[4], size_t n);
/* Bytes of a name-value pair. */
size_t record_pair_size(size_t name, size_t value);
/* Writes one at p; returns the end. */
char *record_pair(char *p, struct slice name, struct slice value);

/* Records as they come, in whatever pieces. */
struct record_reader {
    unsigned char header[RECORD_HEADER]; /* zero-initialise */
    size_t header_n;
    size_t content_left;
    size_t padding_left;
};

struct record_piece {
    bool here; /* false: header or padding alone, nothing of what follows means anything */
    enum record_type type;
    uint16_t id;
    struct slice content; /* some of it, perhaps empty */
    size_t length;        /* of all of it */
    bool first;           /* it begins here */
    bool last;            /* it ends here */
};

/* Take some of data. Returns how many bytes were taken, at least one unless n is 0. -1: not a record
 * of version 1. */
ssize_t record_read(struct record_reader *reader, const char *data, size_t n,
                    struct record_piece *piece);

/* Between two records? */
bool record_reader_idle(const struct record_reader *reader);

#endif
