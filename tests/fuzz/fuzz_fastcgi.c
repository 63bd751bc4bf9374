/*
 * What a FastCGI backend sends: records (record.c) and in them the head of a CGI
 * response (cgi.c). The input is the connection's bytes, as fastcgi.c would read
 * them; and once more, as if it were such a head itself.
 *
 * Must hold besides not crashing: records have the same contents in whatever
 * pieces they come, none of it from outside the input; where a head ends does not
 * depend on how it arrives; and what is understood could be sent on without
 * splitting an answer or leaving its length open to doubt.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "upstream/cgi.h"
#include "upstream/message.h"
#include "upstream/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not for NDEBUG to switch off. */
#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

#define INPUT_MAX ((size_t)1024 * 1024)

/* All that records are, as bytes: type, id and length of each, and its content. */
struct told {
    char *text;
    size_t n;
    char *out; /* of STDOUT alone */
    size_t out_n;
    bool broken;
    bool idle;
};

static void
tell(struct told *told, const void *data, size_t n)
{
    if (n)
        memcpy(told->text + told->n, data, n);
    told->n += n;
}

/* A record is at least as long as what is told of it. */
static void
read_records(const char *data, size_t n, size_t step, struct told *told)
{
    struct record_reader reader = {0};
    size_t at = 0, content = 0;
    bool inside = false;
    told->text = malloc(n + 1);
    told->out = malloc(n + 1);
    told->n = told->out_n = 0;
    MUST(told->text && told->out);
    while (at < n) {
        size_t some = n - at < step ? n - at : step;
        struct record_piece piece;
        ssize_t taken = record_read(&reader, data + at, some, &piece);
        told->broken = taken < 0;
        if (told->broken)
            break;
        MUST(taken > 0 && (size_t)taken <= some);
        if (piece.here) {
            MUST(piece.first == !inside);
            if (piece.first) {
                const unsigned char head[5] = {
                    (unsigned char)piece.type, (unsigned char)(piece.id >> 8),
                    (unsigned char)piece.id, (unsigned char)(piece.length >> 8),
                    (unsigned char)piece.length};
                tell(told, head, sizeof head);
                content = 0;
            }
            content += piece.content.n;
            MUST(piece.content.n == 0 || (piece.content.p >= data + at &&
                                          piece.content.p + piece.content.n <= data + at + taken));
            MUST(content <= piece.length && piece.last == (content == piece.length));
            tell(told, piece.content.p, piece.content.n);
            if (piece.type == RECORD_STDOUT && piece.content.n) {
                memcpy(told->out + told->out_n, piece.content.p, piece.content.n);
                told->out_n += piece.content.n;
            }
            inside = !piece.last;
        } else {
            MUST(piece.content.n == 0);
        }
        at += (size_t)taken;
    }
    told->idle = record_reader_idle(&reader);
}

static void
told_free(struct told *told)
{
    free(told->text);
    free(told->out);
}

/* Length of the head when it comes in pieces of `step` bytes; 0: not whole. */
static size_t
scan(const char *data, size_t n, size_t step)
{
    int state = 0;
    for (size_t at = 0; at < n;) {
        size_t some = n - at < step ? n - at : step;
        bool whole;
        size_t used = message_scan(&state, data + at, some, &whole);
        MUST(used <= some && (whole || used == some));
        at += used;
        if (whole)
            return at;
    }
    return 0;
}

/* Not by the function that let it in. */
static bool
is_one_line(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t')
            return false;
    return true;
}

static void
response_is_sound(const struct cgi_response *r, size_t head_n, bool to_head)
{
    static const char *const gone[] = {
        "Status",           "Connection", "Keep-Alive", "Transfer-Encoding",
        "Proxy-Connection", "Upgrade",    "Trailer"};
    size_t cursor = 0, lengths = 0;
    MUST(r->status >= 100 && r->status <= 999);
    MUST(r->fields.count <= FIELDS_MAX && r->fields.bytes <= head_n);
    for (size_t i = 0; i < r->fields.count; i++) {
        const struct field *f = &r->fields.list[i];
        MUST(f->name.n > 0 && is_one_line(f->name) && is_one_line(f->value));
    }
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        MUST(!fields_get(&r->fields, gone[i]).p);
    while (fields_next(&r->fields, "Content-Length", &cursor))
        lengths++;
    MUST(lengths <= 1 && (lengths == 0 || r->length >= 0));
    if (r->status < 200 || r->status == 204)
        MUST(lengths == 0);
    if (to_head || r->status < 200 || r->status == 204 || r->status == 304)
        MUST(!r->has_body);
    else
        MUST(r->has_body && (lengths == 1) == (r->length >= 0));
}

static void
head_is_sound(const char *bytes, size_t n)
{
    size_t end = scan(bytes, n, n + 1);
    MUST(end == scan(bytes, n, 1) && end == scan(bytes, n, 3));
    for (int to_head = 0; end > 0 && to_head < 2; to_head++) {
        /* Of its own size, so that a sanitizer sees who reads beyond. */
        char *head = malloc(end);
        struct arena *arena = arena_new((size_t)8 * 1024 * 1024);
        struct cgi_response response;
        struct larder_error err;
        MUST(head && arena);
        memcpy(head, bytes, end);
        if (cgi_response(head, end, to_head, arena, &response, &err) == LARDER_OK)
            response_is_sound(&response, end, to_head);
        else
            MUST(err.message[0]);
        arena_free(arena);
        free(head);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    const char *bytes = (const char *)data;
    struct told whole = {0};
    read_records(bytes, size, size + 1, &whole);
    for (size_t step = 1; step <= 13; step += 6) {
        struct told told = {0};
        read_records(bytes, size, step, &told);
        MUST(told.broken == whole.broken && told.n == whole.n &&
             memcmp(told.text, whole.text, told.n) == 0);
        MUST(told.broken || told.idle == whole.idle);
        told_free(&told);
    }
    head_is_sound(whole.out, whole.out_n);
    head_is_sound(bytes, size);
    told_free(&whole);
    return 0;
}
