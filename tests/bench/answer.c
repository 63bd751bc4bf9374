/*
 * Reads one HTTP/1.1 response byte by byte as it arrives and remembers only what
 * a load generator wants to know: status, whether the cache had it, length and
 * sum of the body, and whether it was whole.
 *
 * Called by load.c; it never reads a socket.
 */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pattern.h"

void
answer_start(struct answer *answer)
{
    answer->state = ANSWER_HEAD;
    answer->status = 0;
    answer->hit = false;
    answer->closing = false;
    answer->body = 0;
    answer->sum = UINT64_C(14695981039346656037);
    answer->pattern = true;
    answer->left = 0;
    answer->have = 0;
}

static const char *
field_value(const char *line, const char *name)
{
    const size_t len = strlen(name);

    if (strncasecmp(line, name, len) != 0 || line[len] != ':') {
        return NULL;
    }
    return line + len + 1 + strspn(line + len + 1, " \t");
}

/* The head is whole. */
static void
read_head(struct answer *answer)
{
    const char *value;
    bool chunked = false;
    bool has_length = false;

    answer->status = answer->have > 12 ? atoi(answer->head + 9) : 0;
    if (strncmp(answer->head, "HTTP/1.1 ", 9) != 0 || answer->status < 100) {
        answer->state = ANSWER_BAD;
        return;
    }
    for (const char *line = strstr(answer->head, "\r\n") + 2; *line != '\r';
         line = strstr(line, "\r\n") + 2) {
        if ((value = field_value(line, "Content-Length")) != NULL) {
            answer->left = strtoull(value, NULL, 10);
            has_length = true;
        } else if ((value = field_value(line, "Transfer-Encoding")) != NULL) {
            chunked = strncasecmp(value, "chunked", 7) == 0;
        } else if ((value = field_value(line, "Connection")) != NULL) {
            answer->closing = strncasecmp(value, "close", 5) == 0;
        } else if ((value = field_value(line, "X-Cache")) != NULL) {
            answer->hit = strncmp(value, "HIT", 3) == 0;
        }
    }
    answer->have = 0;
    if (answer->status < 200) {
        answer->state = ANSWER_HEAD; /* an interim response: the real one follows */
    } else if (answer->status == 204 || answer->status == 304) {
        answer->state = ANSWER_DONE;
    } else if (chunked) {
        answer->state = ANSWER_CHUNK_SIZE;
    } else if (has_length) {
        answer->state = answer->left > 0 ? ANSWER_LENGTH : ANSWER_DONE;
    } else {
        answer->state = ANSWER_CLOSE;
        answer->closing = true;
    }
}

/* True when the line that ends with this byte is whole; it is in head then, without its end. */
static bool
take_line(struct answer *answer, char c)
{
    if (c == '\n') {
        answer->head[answer->have] = '\0';
        answer->have = 0;
        return true;
    }
    if (c != '\r' && answer->have < ANSWER_HEAD_MAX) {
        answer->head[answer->have++] = c;
    }
    return false;
}

static void
take_framing(struct answer *answer, char c)
{
    if (answer->state == ANSWER_HEAD) {
        if (answer->have == ANSWER_HEAD_MAX) {
            answer->state = ANSWER_BAD;
            return;
        }
        answer->head[answer->have++] = c;
        answer->head[answer->have] = '\0';
        if (c == '\n' && answer->have >= 4 &&
            memcmp(answer->head + answer->have - 4, "\r\n\r\n", 4) == 0) {
            read_head(answer);
        }
        return;
    }
    if (!take_line(answer, c)) {
        return;
    }
    switch (answer->state) {
    case ANSWER_CHUNK_SIZE:
        answer->left = strtoull(answer->head, NULL, 16);
        answer->state = answer->left > 0 ? ANSWER_CHUNK : ANSWER_TRAILER;
        break;
    case ANSWER_CHUNK_END:
        answer->state = ANSWER_CHUNK_SIZE;
        break;
    default: /* ANSWER_TRAILER */
        if (answer->head[0] == '\0') {
            answer->state = ANSWER_DONE;
        }
        break;
    }
}

static void
take_body(struct answer *answer, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = (unsigned char)data[i];

        answer->sum = (answer->sum ^ byte) * UINT64_C(1099511628211);
        answer->pattern = answer->pattern && byte == pattern_byte((size_t)answer->body + i);
    }
    answer->body += len;
    if (answer->state == ANSWER_CLOSE) {
        return;
    }
    answer->left -= len;
    if (answer->left == 0) {
        answer->state = answer->state == ANSWER_CHUNK ? ANSWER_CHUNK_END : ANSWER_DONE;
    }
}

size_t
answer_take(struct answer *answer, const char *data, size_t len)
{
    size_t done = 0;

    while (done < len && answer->state != ANSWER_DONE && answer->state != ANSWER_BAD) {
        size_t n = len - done;

        switch (answer->state) {
        case ANSWER_LENGTH:
        case ANSWER_CHUNK:
            n = n < answer->left ? n : (size_t)answer->left;
            take_body(answer, data + done, n);
            break;
        case ANSWER_CLOSE:
            take_body(answer, data + done, n);
            break;
        default:
            n = 1;
            take_framing(answer, data[done]);
            break;
        }
        done += n;
    }
    return done;
}

bool
answer_end(struct answer *answer)
{
    if (answer->state != ANSWER_CLOSE) {
        return false;
    }
    answer->state = ANSWER_DONE;
    return true;
}
