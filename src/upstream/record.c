/*
 * FastCGI 1.0 records as bytes.
 *
 * The reader hands content on as it comes and keeps none of it: a record may be
 * 64 KiB, and half of one is worth sending.
 *
 * Called by fastcgi.c; never reads or writes a socket.
 */
#include "upstream/record.h"

#include <limits.h>
#include <string.h>

#define VERSION 1

size_t
record_header(char out[RECORD_HEADER], enum record_type type, uint16_t id, size_t content)
{
    size_t padding = (8 - content % 8) % 8;
    out[0] = VERSION;
    out[1] = (char)type;
    out[2] = (char)(id >> 8);
    out[3] = (char)(id & 0xff);
    out[4] = (char)(content >> 8);
    out[5] = (char)(content & 0xff);
    out[6] = (char)padding;
    out[7] = 0;
    return padding;
}

void
record_begin(char out[RECORD_BEGIN_SIZE], uint16_t id, bool keep)
{
    record_header(out, RECORD_BEGIN_REQUEST, id, 8);
    memset(out + RECORD_HEADER, 0, 8);
    out[RECORD_HEADER + 1] = RECORD_RESPONDER;
    out[RECORD_HEADER + 2] = keep ? RECORD_KEEP_CONN : 0;
}

size_t
record_length(char out[4], size_t n)
{
    if (n < 128) {
        out[0] = (char)n;
        return 1;
    }
    out[0] = (char)(0x80u | (n >> 24 & 0x7fu));
    out[1] = (char)(n >> 16 & 0xff);
    out[2] = (char)(n >> 8 & 0xff);
    out[3] = (char)(n & 0xff);
    return 4;
}

size_t
record_pair_size(size_t name, size_t value)
{
    return (size_t)(name < 128 ? 1 : 4) + (size_t)(value < 128 ? 1 : 4) + name + value;
}

char *
record_pair(char *p, struct slice name, struct slice value)
{
    char length[4];
    const struct slice both[2] = {name, value};
    for (int i = 0; i < 2; i++) {
        size_t n = record_length(length, both[i].n);
        memcpy(p, length, n);
        p += n;
    }
    for (int i = 0; i < 2; i++) {
        if (both[i].n)
            memcpy(p, both[i].p, both[i].n);
        p += both[i].n;
    }
    return p;
}

bool
record_reader_idle(const struct record_reader *reader)
{
    return reader->header_n == 0 && reader->content_left == 0 && reader->padding_left == 0;
}

ssize_t
record_read(struct record_reader *reader, const char *data, size_t n, struct record_piece *piece)
{
    size_t at = 0;
    *piece = (struct record_piece){.content = {data, 0}};
    if (n > SSIZE_MAX)
        n = SSIZE_MAX;
    if (reader->padding_left) {
        at = reader->padding_left < n ? reader->padding_left : n;
        reader->padding_left -= at;
        return (ssize_t)at;
    }
    if (reader->header_n < RECORD_HEADER) {
        at = RECORD_HEADER - reader->header_n < n ? RECORD_HEADER - reader->header_n : n;
        memcpy(reader->header + reader->header_n, data, at);
        reader->header_n += at;
        if (reader->header_n && reader->header[0] != VERSION)
            return -1;
        if (reader->header_n < RECORD_HEADER)
            return (ssize_t)at;
        reader->content_left = (size_t)reader->header[4] << 8 | reader->header[5];
        piece->first = true;
    }
    const unsigned char *h = reader->header;
    piece->here = true;
    size_t run = reader->content_left < n - at ? reader->content_left : n - at;
    piece->type = (enum record_type)h[1];
    piece->id = (uint16_t)(h[2] << 8 | h[3]);
    piece->length = (size_t)h[4] << 8 | h[5];
    piece->content = (struct slice){data + at, run};
    reader->content_left -= run;
    piece->last = reader->content_left == 0;
    if (piece->last) {
        reader->padding_left = h[6];
        reader->header_n = 0;
    }
    return (ssize_t)(at + run);
}
