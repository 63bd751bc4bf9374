/*
 * What a backend sends: the head of a response (message.c) and the chunks after
 * it (chunked.c). The input is the connection's bytes, as http.c would read them.
 *
 * Must hold besides not crashing: where the head ends does not depend on how the
 * bytes arrive; what is understood could be sent on without splitting an answer
 * or leaving its length open to doubt; chunks give the same body in whatever
 * pieces they come; and no method, target and fields, wherever they are from,
 * become more than one request.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "upstream/chunked.h"
#include "upstream/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not for NDEBUG to switch off. */
#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

#define BODY_MAX ((size_t)1024 * 1024)

/* Length of the head when it comes in pieces of `piece` bytes; 0: not whole. */
static size_t
scan(const char *data, size_t n, size_t piece)
{
    int state = 0;
    size_t at = 0;
    while (at < n) {
        size_t some = n - at < piece ? n - at : piece;
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
response_is_sound(const struct message_response *r, size_t head_n)
{
    static const char *const gone[] = {"Connection",       "Keep-Alive", "Transfer-Encoding",
                                       "Proxy-Connection", "Upgrade",    "Trailer"};
    MUST(r->status >= 100 && r->status <= 999);
    MUST(r->fields.count <= FIELDS_MAX && r->fields.bytes <= head_n);
    for (size_t i = 0; i < r->fields.count; i++) {
        const struct field *f = &r->fields.list[i];
        MUST(f->name.n > 0 && is_one_line(f->name) && is_one_line(f->value));
    }
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        MUST(!fields_get(&r->fields, gone[i]).p);
    if (r->framing == FRAMING_LENGTH)
        MUST(r->length >= 0 && fields_get(&r->fields, "Content-Length").n > 0);
    if (r->framing == FRAMING_CHUNKED)
        MUST(!fields_get(&r->fields, "Content-Length").p);
    if (r->framing == FRAMING_UNTIL_CLOSE)
        MUST(!r->keep);
    if (r->status < 200 || r->status == 204 || r->status == 304)
        MUST(r->framing == FRAMING_NONE);
}

/* The body that chunks make when they come in pieces of that size. false: no chunked coding. */
static bool
unchunk(const char *data, size_t n, size_t piece, char *body, size_t *body_n, size_t *taken)
{
    struct chunked chunked = {0};
    *body_n = *taken = 0;
    while (*taken < n && !chunked.done) {
        size_t some = n - *taken < piece ? n - *taken : piece;
        struct slice run;
        ssize_t used = chunked_read(&chunked, data + *taken, some, &run);
        if (used < 0)
            return false;
        MUST(used > 0 && (size_t)used <= some);
        MUST(run.n <= (size_t)used &&
             (run.n == 0 || (run.p >= data + *taken && run.p + run.n <= data + *taken + used)));
        if (run.n)
            memcpy(body + *body_n, run.p, run.n);
        *body_n += run.n;
        *taken += (size_t)used;
    }
    return true;
}

static void
chunks_do_not_depend_on_pieces(const char *data, size_t n)
{
    /* A body is never longer than what it came in. */
    char *bodies[2] = {malloc(n + 1), malloc(n + 1)};
    MUST(bodies[0] && bodies[1]);
    size_t whole_n, whole_taken;
    bool whole = unchunk(data, n, n + 1, bodies[0], &whole_n, &whole_taken);
    for (size_t piece = 1; piece <= 7; piece += 3) {
        size_t body_n, taken;
        bool good = unchunk(data, n, piece, bodies[1], &body_n, &taken);
        MUST(good == whole);
        if (good)
            MUST(body_n == whole_n && taken == whole_taken &&
                 memcmp(bodies[0], bodies[1], whole_n) == 0);
    }
    free(bodies[0]);
    free(bodies[1]);
}

/* Up to the next blank. */
static struct slice
word(struct slice *rest)
{
    const char *blank = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
    struct slice w = {rest->p, blank ? (size_t)(blank - rest->p) : rest->n};
    rest->p += w.n + (blank != NULL);
    rest->n -= w.n + (blank != NULL);
    return w;
}

/* The input's first two words as method and target. */
static void
request_is_one(struct slice input, const struct fields *fields, struct arena *arena)
{
    struct upstream_request request = {.method = word(&input),
                                       .target = word(&input),
                                       .fields = fields,
                                       .has_body = true,
                                       .body_len = input.n % 2 ? -1 : (int64_t)input.n};
    struct larder_error err;
    struct slice head;
    if (message_request(&request, "host", arena, &head, &err) != LARDER_OK)
        return;
    MUST(scan(head.p, head.n, head.n) == head.n);
    MUST(memchr(head.p, '\0', head.n) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > BODY_MAX)
        return 0;
    const char *bytes = (const char *)data;
    struct arena *arena = arena_new((size_t)8 * 1024 * 1024);
    MUST(arena);
    struct fields none = {0};
    request_is_one((struct slice){bytes, size}, &none, arena);

    size_t end = scan(bytes, size, size + 1);
    MUST(end == scan(bytes, size, 1) && end == scan(bytes, size, 3));
    for (int to_head = 0; end > 0 && to_head < 2; to_head++) {
        char *head = malloc(end);
        struct message_response response;
        struct larder_error err;
        MUST(head);
        memcpy(head, bytes, end);
        if (message_response(head, end, to_head, arena, &response, &err) == LARDER_OK) {
            response_is_sound(&response, end);
            MUST(!to_head || response.framing == FRAMING_NONE);
            request_is_one((struct slice){bytes, size}, &response.fields, arena);
        }
        free(head);
    }
    size_t head_n = end > 0 ? end : 0;
    chunks_do_not_depend_on_pieces(bytes + head_n, size - head_n);
    arena_free(arena);
    return 0;
}
