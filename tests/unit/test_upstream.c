/*
 * The backend's face against a backend that says what the test wants it to say.
 *
 * Most cases are rows: the bytes of an answer, what the backend does after
 * them, and what must come of it. They are run whole and byte by byte, for
 * where the pieces of an answer break is the network's choice.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/clock.h"
#include "raw_server.h"
#include "upstream/chunked.h"
#include "upstream/upstream.h"
#include "upstream_fixture.h"

/* ------------------------------------------------------------ the client side */

/* body NULL: none; body_len -1: sent chunked. */
static enum upstream_outcome
fetch_body(struct upstream *u, const char *method, const char *target, struct source *body,
           int64_t body_len, struct answer *a)
{
    struct arena *arena = arena_new((size_t)4 << 20);
    struct fields fields = {0};
    add(&fields, arena, "Host", "example.org");
    struct upstream_request request = {
        .method = slice_of(method),
        .target = slice_of(target),
        .fields = &fields,
        .has_body = body != NULL,
        .body_len = body_len,
        .body = read_source,
        .body_arg = body,
    };
    struct upstream_sink sink = {.arg = a, .head = on_head, .body = on_body, .interim = on_interim};
    upstream_fetch(u, arena, &request, &sink, &a->result);
    assert_int_equal(a->result.head_seen, a->heads);
    assert_int_equal(a->result.body_bytes, a->body_n);
    if (a->result.outcome != UPSTREAM_OK)
        assert_true(strlen(a->result.error.message) > 0);
    arena_free(arena);
    return a->result.outcome;
}

static enum upstream_outcome
fetch(struct upstream *u, const char *method, const char *target, struct answer *a)
{
    return fetch_body(u, method, target, NULL, 0, a);
}

static struct upstream *
open_upstream(const char *url, void (*change)(struct upstream_options *))
{
    struct upstream_options options;
    struct larder_error err;
    struct upstream *u;
    upstream_options_init(&options);
    options.url = url;
    options.connect_timeout_ms = 2000;
    options.timeout_ms = 5000;
    options.idle_timeout_ms = 5000;
    if (change)
        change(&options);
    if (upstream_new(&options, &u, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    return u;
}

static void
impatient(struct upstream_options *options)
{
    options->connect_timeout_ms = 150;
    options->timeout_ms = 150;
    options->idle_timeout_ms = 150;
}

/* ------------------------------------------------------------ the server side */

enum after { KEEP, CLOSE, RESET, HANG };

/* What a scripted backend says to each request, and what it has seen. */
struct script {
    const char *reply;
    size_t n; /* 0: strlen */
    enum after after;
    bool drip;
    int late_ms;      /* say this much later ... */
    const char *late; /* ... that */
    const char *then; /* the answer to every request but the first; NULL: the same */
    atomic_int requests;
    atomic_int gets, posts, puts, deletes;
    pthread_mutex_t mutex;
    char last[8192]; /* the last request's head and what came with it */
};

#define SCRIPT(...)                                     \
    {                                                   \
        .mutex = PTHREAD_MUTEX_INITIALIZER, __VA_ARGS__ \
    }

static void
note_request(struct script *s, const char *head)
{
    pthread_mutex_lock(&s->mutex);
    s->requests++;
    s->gets += strncmp(head, "GET ", 4) == 0;
    s->posts += strncmp(head, "POST ", 5) == 0;
    s->puts += strncmp(head, "PUT ", 4) == 0;
    s->deletes += strncmp(head, "DELETE ", 7) == 0;
    snprintf(s->last, sizeof s->last, "%s", head);
    pthread_mutex_unlock(&s->mutex);
}

static void
assert_last(struct script *s, const char *expected)
{
    pthread_mutex_lock(&s->mutex);
    assert_string_equal(s->last, expected);
    pthread_mutex_unlock(&s->mutex);
}

static void
play(struct raw_conn *conn)
{
    struct script *s = conn->arg;
    char head[16384];
    size_t n;
    for (int k = 0; raw_read_head(conn->fd, head, sizeof head, &n); k++) {
        note_request(s, head);
        const char *reply = s->then && (k || conn->number > 1) ? s->then : s->reply;
        size_t len = reply == s->reply && s->n ? s->n : strlen(reply);
        if (s->drip) {
            for (size_t i = 0; i < len; i++)
                if (!raw_send(conn->fd, reply + i, 1))
                    return;
        } else if (!raw_send(conn->fd, reply, len)) {
            return;
        }
        if (s->late) {
            nap(s->late_ms);
            raw_say(conn->fd, s->late);
        }
        if (s->after == RESET)
            raw_reset(conn);
        if (s->after == HANG)
            raw_drain(conn->fd);
        if (s->after != KEEP)
            return;
    }
}

/* ------------------------------------------------------------------- answers */

static const struct row {
    const char *what;
    const char *reply;
    size_t n; /* 0: strlen */
    enum after after;
    enum upstream_outcome outcome;
    bool head;
    const char *body;
    const char *fields; /* NULL: not looked at */
    bool kept;          /* the connection serves the next request */
    const char *method; /* NULL: GET */
} rows[] = {
    /* framing */
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, KEEP, UPSTREAM_OK, true,
     "hello", "Content-Length: 5\n", true, NULL},
    {"length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_OK, true, "",
     "Content-Length: 0\n", true, NULL},
    {"equal lengths are one",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\nContent-Length: 2"
     "\r\n\r\nhi",
     0, KEEP, UPSTREAM_OK, true, "hi", "A: b\nContent-Length: 2\n", true, NULL},
    {"conflicting lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
     0, KEEP, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", 0, KEEP,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi", 0, CLOSE,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"signed length", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi", 0, CLOSE, UPSTREAM_BROKEN,
     false, "", NULL, false, NULL},
    {"hex length", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nhi", 0, CLOSE, UPSTREAM_BROKEN,
     false, "", NULL, false, NULL},
    {"empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhi", 0, CLOSE, UPSTREAM_BROKEN,
     false, "", NULL, false, NULL},
    {"length of 2^64 + 2", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nhi", 0,
     CLOSE, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"body shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", 0, CLOSE,
     UPSTREAM_BROKEN, true, "hello", NULL, false, NULL},
    {"reset in mid-body", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", 0, RESET,
     UPSTREAM_BROKEN, true, "", NULL, false, NULL},
    {"chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n5\r\nhello\r\n1;x=y"
     "\r\n!\r\n0\r\n\r\n",
     0, KEEP, UPSTREAM_OK, true, "hello!", "A: b\n", true, NULL},
    {"chunked in any case",
     "HTTP/1.1 200 OK\r\ntransfer-encoding:CHUNKED\r\n\r\n"
     "A\r\n0123456789\r\n0\r\n\r\n",
     0, KEEP, UPSTREAM_OK, true, "0123456789", "", true, NULL},
    {"trailers are read over",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
     "2\r\nhi\r\n0\r\nX: y\r\nSet-Cookie: a=b\r\nContent-Length: 7\r\n\r\n",
     0, KEEP, UPSTREAM_OK, true, "hi", "", true, NULL},
    {"cut inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 0,
     CLOSE, UPSTREAM_BROKEN, true, "hel", NULL, false, NULL},
    {"cut between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", 0,
     CLOSE, UPSTREAM_BROKEN, true, "hi", NULL, false, NULL},
    {"cut before the last line",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
     "0\r\n",
     0, CLOSE, UPSTREAM_BROKEN, true, "hi", NULL, false, NULL},
    {"chunk size with a sign",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n"
     "0\r\n\r\n",
     0, KEEP, UPSTREAM_BROKEN, true, "", NULL, false, NULL},
    {"chunk size too large",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "10000000000000002\r\nhi\r\n0\r\n\r\n",
     0, KEEP, UPSTREAM_BROKEN, true, "", NULL, false, NULL},
    {"chunk with bare LF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nhi\n0\n\n", 0,
     KEEP, UPSTREAM_BROKEN, true, "", NULL, false, NULL},
    {"chunk longer than its size",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "2\r\nhiX\r\n0\r\n\r\n",
     0, KEEP, UPSTREAM_BROKEN, true, "hi", NULL, false, NULL},
    {"chunk that ends in CR alone",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\rX0\r\n\r\n", 0, KEEP,
     UPSTREAM_BROKEN, true, "hi", NULL, false, NULL},
    {"chunked and length",
     "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n"
     "\r\n2\r\nhi\r\n0\r\n\r\n",
     0, KEEP, UPSTREAM_OK, true, "hi", "", false, NULL},
    {"length and chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n"
     "\r\n2\r\nhi\r\n0\r\n\r\n",
     0, KEEP, UPSTREAM_OK, true, "hi", "", false, NULL},
    {"identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Identity\r\nContent-Length: 2\r\n\r\nhi", 0,
     KEEP, UPSTREAM_OK, true, "hi", "Content-Length: 2\n", true, NULL},
    {"identity until close", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello", 0,
     CLOSE, UPSTREAM_OK, true, "hello", "", false, NULL},
    {"identity from HTTP/1.0",
     "HTTP/1.0 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", 0, KEEP,
     UPSTREAM_OK, true, "hi", "Content-Length: 2\n", false, NULL},
    {"identity, chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 0, KEEP,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"identity and chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\r\n",
     0, KEEP, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"chunked and identity",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"
     "0\r\n\r\n",
     0, KEEP, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: bar\r\n\r\nhello", 0, CLOSE,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"unknown coding and length",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: bar\r\nContent-Length: 5\r\n\r\nhello", 0, KEEP,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"empty coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", 0,
     KEEP, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"chunked with a parameter",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;x=y\r\n\r\n0\r\n\r\n", 0, KEEP, UPSTREAM_BROKEN,
     false, "", NULL, false, NULL},
    {"gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0,
     KEEP, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"chunked twice",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked"
     "\r\n\r\n0\r\n\r\n",
     0, KEEP, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"chunked from HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0,
     CLOSE, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"until close", "HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello", 0, CLOSE, UPSTREAM_OK, true, "hello",
     "A: b\n", false, NULL},
    {"until reset", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 0, RESET, UPSTREAM_BROKEN, true, "", NULL,
     false, NULL},
    {"HTTP/1.0 until close", "HTTP/1.0 200 OK\r\n\r\nold", 0, CLOSE, UPSTREAM_OK, true, "old", "",
     false, NULL},
    {"HTTP/1.0 with length", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", 0, KEEP,
     UPSTREAM_OK, true, "old", "Content-Length: 3\n", false, NULL},
    {"HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
     0, KEEP, UPSTREAM_OK, true, "old", "Content-Length: 3\n", true, NULL},
    {"close announced",
     "HTTP/1.1 200 OK\r\nConnection: X, close\r\nX: 1\r\nContent-Length: 2\r\n"
     "\r\nhi",
     0, KEEP, UPSTREAM_OK, true, "hi", "Content-Length: 2\n", false, NULL},
    /* no body */
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 0, KEEP, UPSTREAM_OK, true, "",
     "Content-Length: 1000\n", true, "HEAD"},
    {"HEAD, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, KEEP, UPSTREAM_OK,
     true, "", "", true, "HEAD"},
    {"204", "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", 0, KEEP, UPSTREAM_OK, true, "", "A: b\n",
     true, NULL},
    {"204 with length", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", 0, KEEP,
     UPSTREAM_OK, true, "", "", false, NULL},
    {"204 with length, nothing after it", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", 0,
     KEEP, UPSTREAM_OK, true, "", "", false, NULL},
    {"304 with length", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 9\r\n\r\n", 0,
     KEEP, UPSTREAM_OK, true, "", "ETag: \"a\"\nContent-Length: 9\n", true, NULL},
    /* more than the answer */
    {"excess after length",
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n"
     "Content-Length: 4\r\n\r\nevil",
     0, KEEP, UPSTREAM_OK, true, "hi", NULL, false, NULL},
    {"excess after chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
     "\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
     0, KEEP, UPSTREAM_OK, true, "hi", NULL, false, NULL},
    {"body after HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 0, KEEP, UPSTREAM_OK,
     true, "", NULL, false, "HEAD"},
    {"body after 304",
     "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
     "\r\nevil",
     0, KEEP, UPSTREAM_OK, true, "", NULL, false, NULL},
    {"body after 204", "HTTP/1.1 204 No Content\r\n\r\nevil", 0, KEEP, UPSTREAM_OK, true, "", NULL,
     false, NULL},
    /* fields */
    {"order and repeats stay",
     "HTTP/1.1 200 OK\r\nLink: a\r\nb:2\r\nLink:  c \t\r\nEmpty:\r\n"
     "Content-Length: 0\r\n\r\n",
     0, KEEP, UPSTREAM_OK, true, "", "Link: a\nb: 2\nLink: c\nEmpty: \nContent-Length: 0\n", true,
     NULL},
    {"hop-by-hop fields go",
     "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\n"
     "X-Hop: 1\r\nProxy-Connection: k\r\nUpgrade: h2c\r\nTE: x\r\nA: b\r\nContent-Length: 0\r\n"
     "\r\n",
     0, KEEP, UPSTREAM_OK, true, "", "A: b\nContent-Length: 0\n", true, NULL},
    {"folded value",
     "HTTP/1.1 200 OK\r\nA: one\r\n\t  two  \r\n three\r\nContent-Length: 0\r\n"
     "\r\n",
     0, KEEP, UPSTREAM_OK, true, "", "A: one two three\nContent-Length: 0\n", true, NULL},
    {"folded length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nhi", 0, KEEP,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"folded chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 0,
     KEEP, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"fold before any field", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", 0, CLOSE, UPSTREAM_BROKEN, false,
     "", NULL, false, NULL},
    {"blank before the colon",
     "HTTP/1.1 200 OK\r\nX-Foo : a\r\nB\t \t:\r\nContent-Length: 2\r\n\r\nhi", 0, KEEP, UPSTREAM_OK,
     true, "hi", "X-Foo: a\nB: \nContent-Length: 2\n", true, NULL},
    {"blank before the colon of a length", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi", 0,
     CLOSE, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"blank before the colon of chunked",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 0, CLOSE, UPSTREAM_BROKEN,
     false, "", NULL, false, NULL},
    {"blank inside a name", "HTTP/1.1 200 OK\r\nX Foo: a\r\nContent-Length: 2\r\n\r\nhi", 0, CLOSE,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"blanks for a name", "HTTP/1.1 200 OK\r\nA: b\r\n : x\r\nContent-Length: 2\r\n\r\nhi", 0, KEEP,
     UPSTREAM_OK, true, "hi", "A: b : x\nContent-Length: 2\n", true, NULL},
    {"no colon", "HTTP/1.1 200 OK\r\nhello\r\n\r\n", 0, CLOSE, UPSTREAM_BROKEN, false, "", NULL,
     false, NULL},
    {"no name", "HTTP/1.1 200 OK\r\n: x\r\n\r\n", 0, CLOSE, UPSTREAM_BROKEN, false, "", NULL, false,
     NULL},
    {"NUL in a value", "HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n", 46, CLOSE,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"bare CR in a value", "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n", 0, CLOSE,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"bare LF", "HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nhi", 0, KEEP, UPSTREAM_OK, true, "hi",
     "A: b\nContent-Length: 2\n", true, NULL},
    {"one bare LF", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_OK,
     true, "", "A: b\nContent-Length: 0\n", true, NULL},
    {"bare LF at the end", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nhi", 0, KEEP, UPSTREAM_OK,
     true, "hi", "Content-Length: 2\n", true, NULL},
    {"bare LF before the end", "HTTP/1.1 200 OK\nContent-Length: 2\n\r\nhi", 0, KEEP, UPSTREAM_OK,
     true, "hi", "Content-Length: 2\n", true, NULL},
    {"bare LF and a fold", "HTTP/1.1 200 OK\nA: one\n two\nContent-Length: 2\n\nhi", 0, KEEP,
     UPSTREAM_OK, true, "hi", "A: one two\nContent-Length: 2\n", true, NULL},
    {"bare LF, no fields", "HTTP/1.1 204 No\n\n", 0, KEEP, UPSTREAM_OK, true, "", "", true, NULL},
    {"CR CR LF", "HTTP/1.1 200 OK\r\nA: b\r\r\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_BROKEN,
     false, "", NULL, false, NULL},
    /* status lines */
    {"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_OK, true, "", NULL,
     true, NULL},
    {"HTTP/0.9", "<html>hello</html>", 0, CLOSE, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"HTTP/2", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_BROKEN, false, "",
     NULL, false, NULL},
    {"HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_BROKEN, false,
     "", NULL, false, NULL},
    {"status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", 0, KEEP,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"status 600", "HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_OK, true, "",
     NULL, true, NULL},
    {"status 999", "HTTP/1.1 999 No\r\nContent-Length: 2\r\n\r\nhi", 0, KEEP, UPSTREAM_OK, true,
     "hi", NULL, true, NULL},
    {"status 099", "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n", 0, KEEP, UPSTREAM_BROKEN, false,
     "", NULL, false, NULL},
    {"empty line first", "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 0, CLOSE, UPSTREAM_BROKEN, false, "",
     NULL, false, NULL},
    {"another protocol", "SSH-2.0-OpenSSH_9.2p1\r\n", 0, CLOSE, UPSTREAM_BROKEN, false, "", NULL,
     false, NULL},
    {"cut inside the head", "HTTP/1.1 200 OK\r\nContent-Le", 0, CLOSE, UPSTREAM_BROKEN, false, "",
     NULL, false, NULL},
    {"no answer", "", 0, CLOSE, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"reset", "", 0, RESET, UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    /* 1xx */
    {"101 unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nx", 0, KEEP,
     UPSTREAM_BROKEN, false, "", NULL, false, NULL},
    {"100 and 103 before the answer",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
     "Link: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
     0, KEEP, UPSTREAM_OK, true, "hi", "Content-Length: 2\n", true, NULL},
    {"1xx and no answer", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0, CLOSE, UPSTREAM_BROKEN,
     false, "", NULL, false, NULL},
};

static void
run_row(const struct row *row, bool drip, const char *unix_path)
{
    static const char next[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext";
    struct script script =
        SCRIPT(.reply = row->reply, .n = row->n, .after = row->after, .drip = drip, .then = next);
    struct raw_server *server = raw_server_start(unix_path, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct answer a = {0};
    enum upstream_outcome outcome = fetch(u, row->method ? row->method : "GET", "/", &a);
    if (outcome != row->outcome || (a.heads == 1) != row->head)
        fail_msg("%s%s: outcome %d, %d heads (%s)", row->what, drip ? ", byte by byte" : "",
                 (int)outcome, a.heads, a.result.error.message);
    if (row->after != RESET || outcome == UPSTREAM_OK)
        if (a.body_n != strlen(row->body) || memcmp(a.body ? a.body : "", row->body, a.body_n) != 0)
            fail_msg("%s: body \"%.*s\"", row->what, (int)a.body_n, a.body);
    if (a.heads == 1 && strstr(row->what, "until close") && !a.until_close)
        fail_msg("%s: nobody says that it ends with the connection", row->what);
    if (a.until_close && (row->kept || strstr(row->what, "chunk")))
        fail_msg("%s: said to end with the connection", row->what);
    if (row->fields && strcmp(a.fields, row->fields) != 0)
        fail_msg("%s: fields %s", row->what, a.fields);
    assert_int_equal(script.requests, 1);
    answer_reset(&a);
    /* Byte by byte, what is too much may still be under way; the rows that say so are the ones
     * that must not be kept whatever happens. */
    if (row->after == KEEP && outcome == UPSTREAM_OK && !drip) {
        fetch(u, "GET", "/next", &a);
        int connections = raw_server_connections(server);
        if (connections != (row->kept ? 1 : 2))
            fail_msg("%s: %d connections for two requests", row->what, connections);
        assert_body(&a, "next");
        answer_reset(&a);
    }
    upstream_free(u);
    raw_server_stop(server);
    if (unix_path)
        unlink(unix_path);
}

static void
each_answer_is_understood_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        run_row(&rows[i], false, NULL);
}

static void
where_an_answer_breaks_into_pieces_does_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        if (rows[i].after != RESET)
            run_row(&rows[i], true, NULL);
}

static void
a_unix_socket_is_as_good_as_a_port(void **state)
{
    (void)state;
    char dir[] = "/tmp/larder-upstream-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/backend.sock", dir);
    for (size_t i = 0; i < LENGTH_OF(rows); i++)
        if (rows[i].after != RESET)
            run_row(&rows[i], false, path);
    assert_int_equal(rmdir(dir), 0);
}

static void
interim_answers_are_passed_on_but_not_100(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(.reply = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n"
                        "Connection: Link2\r\nLink2: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                        "HTTP/1.1 204 No Content\r\n\r\n");
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct answer a = {0};
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
    assert_string_equal(a.interim, "103\nLink: </a>\n102\n");
    assert_int_equal(a.status, 204);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

/* `count` times `line` between head and empty line. */
static char *
repeat(const char *start, const char *line, size_t count, const char *end)
{
    size_t n = strlen(line);
    char *text = malloc(strlen(start) + n * count + strlen(end) + 1);
    assert_non_null(text);
    char *p = stpcpy(text, start);
    for (size_t i = 0; i < count; i++)
        p = stpcpy(p, line);
    strcpy(p, end);
    return text;
}

static void
expect_reply(const char *reply, enum upstream_outcome outcome)
{
    struct script script = SCRIPT(.reply = reply, .after = CLOSE);
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct answer a = {0};
    assert_int_equal(fetch(u, "GET", "/", &a), outcome);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

static void
a_head_has_bounds(void **state)
{
    (void)state;
    char *text = repeat("HTTP/1.1 204 No\r\n", "A: b\r\n", FIELDS_MAX, "\r\n");
    expect_reply(text, UPSTREAM_OK);
    free(text);
    text = repeat("HTTP/1.1 204 No\r\n", "A: b\r\n", FIELDS_MAX + 1, "\r\n");
    expect_reply(text, UPSTREAM_BROKEN);
    free(text);
    text = repeat("HTTP/1.1 204 No\r\nA:", "0123456789", FIELDS_BYTES_MAX / 10, "\r\n\r\n");
    expect_reply(text, UPSTREAM_OK);
    free(text);
    text = repeat("HTTP/1.1 204 No\r\nA:", "0123456789", FIELDS_BYTES_MAX / 10 + 1, "\r\n\r\n");
    expect_reply(text, UPSTREAM_BROKEN);
    free(text);
    text = repeat("HTTP/1.1 204 No\r\nA: ", "0123456789", 1000000, "");
    expect_reply(text, UPSTREAM_BROKEN);
    free(text);
    text = repeat("", "HTTP/1.1 103 E\r\n\r\n", 32, "HTTP/1.1 204 No\r\n\r\n");
    expect_reply(text, UPSTREAM_OK);
    free(text);
    text = repeat("", "HTTP/1.1 103 E\r\n\r\n", 33, "HTTP/1.1 204 No\r\n\r\n");
    expect_reply(text, UPSTREAM_BROKEN);
    free(text);
    text = repeat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: 0123456789\r\n",
                  CHUNKED_TRAILER_MAX / 10, "\r\n");
    expect_reply(text, UPSTREAM_BROKEN);
    free(text);
    text = repeat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0;", "0123456789",
                  CHUNKED_LINE_MAX / 10 + 2, "\r\n\r\n");
    expect_reply(text, UPSTREAM_BROKEN);
    free(text);
}

static void
what_is_refused_names_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *words;
    } refused[] = {
        {"Content-Length: 2\r\nContent-Length: 3\r\n",
         "two values of Content-Length in the response, 2 and 3"},
        {"Content-Length: 2, 2\r\n", "invalid Content-Length in the response: \"2, 2\""},
        {"Transfer-Encoding: gzip, chunked\r\n",
         "Transfer-Encoding other than chunked in the response: \"gzip, chunked\""},
        {"Content-Length : 2\r\n", "blank before the colon of Content-Length"},
        {"Transfer-Encoding:\r\n chunked\r\n", "folded Transfer-Encoding"},
        {"X Y: 2\r\n", "field 1 of the response has no valid name: \"X Y: 2\""},
        {"X-Foo: a\1b\r\n", "invalid character in the response's field X-Foo"},
    };
    for (size_t i = 0; i < LENGTH_OF(refused); i++) {
        char reply[256];
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\n%s\r\nhi", refused[i].reply);
        struct script script = SCRIPT(.reply = reply, .after = CLOSE);
        struct raw_server *server = raw_server_start(NULL, play, &script);
        struct upstream *u = open_upstream(raw_server_url(server), NULL);
        struct answer a = {0};
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_BROKEN);
        if (!strstr(a.result.error.message, refused[i].words))
            fail_msg("\"%s\" does not say \"%s\"", a.result.error.message, refused[i].words);
        answer_reset(&a);
        upstream_free(u);
        raw_server_stop(server);
    }
}

/* ------------------------------------------------------------------ requests */

static void
a_request_arrives_exactly_as_given(void **state)
{
    (void)state;
    struct script script = SCRIPT(.reply = "HTTP/1.1 204 No Content\r\n\r\n");
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct arena *arena = arena_new(1 << 20);
    struct fields fields = {0};
    add(&fields, arena, "X-First", "1");
    add(&fields, arena, "host", "Example.ORG:81");
    add(&fields, arena, "Accept-Encoding", "gzip, br");
    add(&fields, arena, "Empty", "");
    add(&fields, arena, "X-Bytes", "caf\xc3\xa9 \xff\t;");
    add(&fields, arena, "Cookie", "a=b");
    add(&fields, arena, "Cookie", "c=d");
    /* Framing and the connection are ours, whatever we are told. */
    add(&fields, arena, "Content-Length", "1000");
    add(&fields, arena, "Transfer-Encoding", "chunked");
    add(&fields, arena, "Connection", "close");
    add(&fields, arena, "Expect", "100-continue");
    struct answer a = {0};
    struct upstream_sink sink = {
        .arg = &a, .head = on_head, .body = on_body, .interim = on_interim};
    struct upstream_request request = {.method = slice_of("GET"),
                                       .target = slice_of("//a/../%2e%00?\"<>|\\^`{}\xff#x"),
                                       .fields = &fields};
    upstream_fetch(u, arena, &request, &sink, &a.result);
    assert_int_equal(a.result.outcome, UPSTREAM_OK);
    assert_true(a.result.maybe_received);
    assert_last(&script, "GET //a/../%2e%00?\"<>|\\^`{}\xff#x HTTP/1.1\r\n"
                         "X-First: 1\r\nhost: Example.ORG:81\r\n"
                         "Accept-Encoding: gzip, br\r\nEmpty: \r\n"
                         "X-Bytes: caf\xc3\xa9 \xff\t;\r\nCookie: a=b\r\n"
                         "Cookie: c=d\r\n\r\n");

    fields = (struct fields){0};
    request.method = slice_of("M-SEARCH");
    request.target = slice_of("*");
    upstream_fetch(u, arena, &request, &sink, &a.result);
    char expected[128];
    snprintf(expected, sizeof expected, "M-SEARCH * HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
             raw_server_port(server));
    assert_last(&script, expected);

    request.method = slice_of("POST");
    add(&fields, arena, "Host", "x");
    upstream_fetch(u, arena, &request, &sink, &a.result);
    assert_last(&script, "POST * HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    answer_reset(&a);
    arena_free(arena);
    upstream_free(u);
    raw_server_stop(server);
}

static void
what_could_become_a_second_request_is_not_sent(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *target;
        const char *name;
        const char *value;
    } bad[] = {
        {"GET", "/a b", "A", "b"},
        {"GET", "/a\r\nX: y", "A", "b"},
        {"GET", "/a\nX: y", "A", "b"},
        {"GET", "/a\tb", "A", "b"},
        {"GET", "/a\x7f", "A", "b"},
        {"GET", "", "A", "b"},
        {"GET /x HTTP/1.1\r\nA:", "/", "A", "b"},
        {"", "/", "A", "b"},
        {"CONNECT", "a:1", "A", "b"},
        {"GET", "/", "A", "b\r\nX: y"},
        {"GET", "/", "A", "b\nX: y"},
        {"GET", "/", "A", "b\rX: y"},
        {"GET", "/", "A: x\r\nB", "c"},
        {"GET", "/", "", "c"},
        {"GET", "/", "Host", "two"},
    };
    struct script script = SCRIPT(.reply = "HTTP/1.1 204 No Content\r\n\r\n");
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct arena *arena = arena_new(1 << 20);
    struct answer a = {0};
    for (size_t i = 0; i < LENGTH_OF(bad); i++) {
        /* By hand: fields_add() would refuse them as well. */
        struct field list[] = {{slice_of("Host"), slice_of("one")},
                               {slice_of(bad[i].name), slice_of(bad[i].value)}};
        struct fields fields = {list, 2, 2, 0};
        struct upstream_request request = {.method = slice_of(bad[i].method),
                                           .target = slice_of(bad[i].target),
                                           .fields = &fields};
        struct upstream_sink sink = {.arg = &a, .head = on_head, .body = on_body};
        upstream_fetch(u, arena, &request, &sink, &a.result);
        assert_int_equal(a.result.outcome, UPSTREAM_BROKEN);
        assert_int_equal(a.result.error.status, LARDER_INVALID);
        assert_false(a.result.maybe_received);
    }
    /* NUL does not end anything here. */
    struct fields none = {0};
    struct upstream_request request = {
        .method = slice_of("GET"), .target = {"/a\0b", 4}, .fields = &none};
    struct upstream_sink sink = {.arg = &a, .head = on_head, .body = on_body};
    upstream_fetch(u, arena, &request, &sink, &a.result);
    assert_int_equal(a.result.error.status, LARDER_INVALID);
    assert_int_equal(script.requests, 0);
    answer_reset(&a);
    arena_free(arena);
    upstream_free(u);
    raw_server_stop(server);
}

/* -------------------------------------------------------------- request bodies */

#define BIG ((size_t)5 << 20)

/* Reads a body by its framing and sends it back; "incomplete" is noted when the client stops. */
struct echo {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int complete;
    int incomplete;
    char head[4096];
};

struct reader {
    int fd;
    char buf[65536];
    size_t at, n;
};

static int
next_byte(struct reader *r)
{
    if (r->at == r->n) {
        ssize_t got = recv(r->fd, r->buf, sizeof r->buf, 0);
        if (got <= 0)
            return -1;
        r->n = (size_t)got;
        r->at = 0;
    }
    return (unsigned char)r->buf[r->at++];
}

static bool
read_line(struct reader *r, char *line, size_t size)
{
    size_t n = 0;
    int c;
    while ((c = next_byte(r)) >= 0 && n + 1 < size) {
        line[n++] = (char)c;
        line[n] = '\0';
        if (n >= 2 && line[n - 2] == '\r' && c == '\n') {
            line[n - 2] = '\0';
            return true;
        }
    }
    return false;
}

static bool
read_bytes(struct reader *r, char *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int c = next_byte(r);
        if (c < 0)
            return false;
        to[i] = (char)c;
    }
    return true;
}

static bool
read_request(struct reader *r, struct echo *e, char *body, size_t *n, bool *any)
{
    char line[1024], head[4096] = "";
    long length = 0;
    bool chunked = false;
    *n = 0;
    *any = false;
    for (;;) {
        if (!read_line(r, line, sizeof line))
            return false;
        *any = true;
        if (!*line)
            break;
        strncat(head, line, sizeof head - strlen(head) - 1);
        strncat(head, "\n", sizeof head - strlen(head) - 1);
        sscanf(line, "Content-Length: %ld", &length);
        chunked = chunked || strcmp(line, "Transfer-Encoding: chunked") == 0;
    }
    pthread_mutex_lock(&e->mutex);
    memcpy(e->head, head, sizeof head);
    pthread_mutex_unlock(&e->mutex);
    if (!chunked) {
        *n = (size_t)length;
        return read_bytes(r, body, *n);
    }
    for (;;) {
        if (!read_line(r, line, sizeof line))
            return false;
        size_t size = strtoul(line, NULL, 16);
        if (*n + size > BIG || !read_bytes(r, body + *n, size) ||
            !read_line(r, line, sizeof line) || *line)
            return false;
        if (size == 0)
            return true;
        *n += size;
    }
}

static int
complete_requests(struct echo *e)
{
    pthread_mutex_lock(&e->mutex);
    int n = e->complete;
    pthread_mutex_unlock(&e->mutex);
    return n;
}

static void
play_echo(struct raw_conn *conn)
{
    struct echo *e = conn->arg;
    struct reader *r = calloc(1, sizeof *r);
    char *body = malloc(BIG + 1);
    size_t n;
    bool any = true;
    if (!r || !body)
        abort();
    r->fd = conn->fd;
    while (any) {
        bool whole = read_request(r, e, body, &n, &any);
        pthread_mutex_lock(&e->mutex);
        e->complete += whole;
        e->incomplete += !whole && any;
        pthread_cond_broadcast(&e->changed);
        pthread_mutex_unlock(&e->mutex);
        char head[100];
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
        if (!whole || !raw_say(conn->fd, head) || !raw_send(conn->fd, body, n))
            break;
    }
    free(body);
    free(r);
}

static void
a_body_of_known_length_and_one_in_chunks_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 32754, 32755, 32756, 65536, BIG};
    struct echo echo = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct raw_server *server = raw_server_start(NULL, play_echo, &echo);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    char *data = pattern(BIG);
    const char *methods[] = {"POST", "PUT", "GET", "PURGE"};
    int done = 0;
    for (size_t i = 0; i < LENGTH_OF(sizes); i++)
        for (int chunked = 0; chunked < 2; chunked++) {
            struct source source = {.data = data, .n = sizes[i]};
            struct answer a = {0};
            const char *method = methods[done % 4];
            assert_int_equal(
                fetch_body(u, method, "/", &source, chunked ? -1 : (int64_t)sizes[i], &a),
                UPSTREAM_OK);
            assert_int_equal(a.body_n, sizes[i]);
            if (a.body_n)
                assert_memory_equal(a.body, data, a.body_n);
            char expected[200], framing[64];
            snprintf(framing, sizeof framing,
                     chunked ? "Transfer-Encoding: chunked" : "Content-Length: %zu", sizes[i]);
            snprintf(expected, sizeof expected, "%s / HTTP/1.1\nHost: example.org\n%s\n", method,
                     framing);
            pthread_mutex_lock(&echo.mutex);
            assert_string_equal(echo.head, expected);
            pthread_mutex_unlock(&echo.mutex);
            done++;
            answer_reset(&a);
        }
    assert_int_equal(complete_requests(&echo), done);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
}

/* Wait until the backend has seen the end of n requests that were cut short. */
static void
await_incomplete(struct echo *e, int n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&e->mutex);
    while (e->incomplete < n)
        if (pthread_cond_timedwait(&e->changed, &e->mutex, &until) != 0)
            break;
    int seen = e->incomplete;
    pthread_mutex_unlock(&e->mutex);
    assert_int_equal(seen, n);
}

static void
a_body_that_the_client_breaks_off_is_never_whole_at_the_backend(void **state)
{
    (void)state;
    struct echo echo = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct raw_server *server = raw_server_start(NULL, play_echo, &echo);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    char *data = pattern(100000);
    struct source sources[] = {
        {.data = data, .n = 100000, .break_at = 50000},
        {.data = data, .n = 100000, .break_at = 100000}, /* all of it, and then: no */
        {.data = data, .n = 100000, .end_at = 50000},
        {.data = data, .n = 100000, .break_at = 99999},
    };
    int64_t lengths[] = {100000, -1, 100000, -1};
    for (size_t i = 0; i < LENGTH_OF(sources); i++) {
        struct answer a = {0};
        assert_int_equal(fetch_body(u, "POST", "/", &sources[i], lengths[i], &a),
                         UPSTREAM_CLIENT_GONE);
        assert_true(a.result.maybe_received);
        assert_int_equal(a.heads, 0);
        await_incomplete(&echo, (int)i + 1);
        answer_reset(&a);
    }
    assert_int_equal(complete_requests(&echo), 0);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
}

static void
no_more_is_asked_of_the_client_than_its_length(void **state)
{
    (void)state;
    struct echo echo = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct raw_server *server = raw_server_start(NULL, play_echo, &echo);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct source source = {.data = "0123456789GET /smuggled HTTP/1.1\r\n\r\n", .n = 36};
    struct answer a = {0};
    assert_int_equal(fetch_body(u, "POST", "/", &source, 10, &a), UPSTREAM_OK);
    assert_body(&a, "0123456789");
    assert_int_equal(source.at, 10);
    assert_int_equal(source.calls, 1);
    assert_int_equal(complete_requests(&echo), 1);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

/* Answers after the first byte of a body and closes with the rest unread. */
struct early {
    const char *reply;
    bool reads_on; /* does not close, but reads what nobody needs */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool answered;
};

static void
play_early(struct raw_conn *conn)
{
    struct early *e = conn->arg;
    char head[4096];
    size_t n;
    if (!raw_read_head(conn->fd, head, sizeof head, &n))
        return;
    raw_say(conn->fd, e->reply);
    if (!e->reads_on)
        shutdown(conn->fd, SHUT_RDWR);
    pthread_mutex_lock(&e->mutex);
    e->answered = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
    if (e->reads_on)
        raw_drain(conn->fd);
}

static void
await_answered(void *arg)
{
    struct early *e = arg;
    pthread_mutex_lock(&e->mutex);
    while (!e->answered)
        pthread_cond_wait(&e->changed, &e->mutex);
    pthread_mutex_unlock(&e->mutex);
    nap(20);
}

static void
early_case(const char *reply, bool wait, bool over_unix, bool reads_on)
{
    char dir[] = "/tmp/larder-upstream-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/backend.sock", dir);
    struct early early = {.reply = reply,
                          .reads_on = reads_on,
                          .mutex = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    struct raw_server *server = raw_server_start(over_unix ? path : NULL, play_early, &early);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    char *data = pattern(BIG);
    struct source source = {
        .data = data, .n = BIG, .before = wait ? await_answered : NULL, .before_arg = &early};
    struct answer a = {0};
    enum upstream_outcome outcome = fetch_body(u, "POST", "/", &source, (int64_t)BIG, &a);
    if (outcome != UPSTREAM_OK)
        fail_msg("%s", a.result.error.message);
    assert_int_equal(a.status, 413);
    assert_body(&a, "no");
    assert_true(source.at < BIG);
    answer_reset(&a);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void
an_answer_before_the_end_of_the_request_is_delivered(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 413 Large\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < LENGTH_OF(replies); i++)
        for (int over_unix = 0; over_unix < 2; over_unix++) {
            early_case(replies[i], false, over_unix, false);
            early_case(replies[i], true, over_unix, false);
            early_case(replies[i], true, over_unix, true);
        }
}

/* An overloaded server does this: answers whoever connects, and closes. */
static void
play_turned_away(struct raw_conn *conn)
{
    raw_say(conn->fd, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy");
}

/* Often the request cannot even be sent any more, sometimes the connecting itself looks failed. */
static void
an_answer_that_comes_before_the_request_is_delivered(void **state)
{
    (void)state;
    char dir[] = "/tmp/larder-upstream-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/backend.sock", dir);
    struct raw_server *server = raw_server_start(path, play_turned_away, NULL);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    for (int i = 0; i < 300; i++) {
        struct answer a = {0};
        enum upstream_outcome outcome = fetch(u, "DELETE", "/", &a);
        if (outcome != UPSTREAM_OK && outcome != UPSTREAM_UNREACHABLE)
            fail_msg("%s", a.result.error.message);
        if (outcome == UPSTREAM_OK)
            assert_body(&a, "busy");
        answer_reset(&a);
    }
    upstream_free(u);
    raw_server_stop(server);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

/* ------------------------------------------------------------ never twice */

/* Answers the first request of a connection and closes upon the second, unanswered. */
static void
play_closing(struct raw_conn *conn)
{
    struct script *s = conn->arg;
    char head[16384];
    size_t n;
    if (!raw_read_head(conn->fd, head, sizeof head, &n))
        return;
    note_request(s, head);
    if (conn->number > 1 && s->after == CLOSE)
        return;
    raw_say(conn->fd, s->reply);
    if (raw_read_head(conn->fd, head, sizeof head, &n))
        note_request(s, head);
}

static void
an_unsafe_request_is_sent_once_even_if_a_kept_connection_would_die(void **state)
{
    (void)state;
    static const char *const methods[] = {"DELETE", "POST", "PUT"};
    for (size_t i = 0; i < LENGTH_OF(methods); i++) {
        struct script script =
            SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .after = KEEP);
        struct raw_server *server = raw_server_start(NULL, play_closing, &script);
        struct upstream *u = open_upstream(raw_server_url(server), NULL);
        struct answer a = {0};
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        answer_reset(&a);
        assert_int_equal(fetch(u, methods[i], "/", &a), UPSTREAM_OK);
        answer_reset(&a);
        assert_int_equal(script.deletes + script.posts + script.puts, 1);
        assert_int_equal(raw_server_connections(server), 2);
        upstream_free(u);
        raw_server_stop(server);
    }
}

static void
an_unsafe_request_whose_connection_dies_is_broken_not_repeated(void **state)
{
    (void)state;
    static const char *const methods[] = {"DELETE", "POST", "PUT"};
    for (size_t i = 0; i < LENGTH_OF(methods); i++) {
        struct script script =
            SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .after = CLOSE);
        struct raw_server *server = raw_server_start(NULL, play_closing, &script);
        struct upstream *u = open_upstream(raw_server_url(server), NULL);
        struct answer a = {0};
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        answer_reset(&a);
        assert_int_equal(fetch(u, methods[i], "/", &a), UPSTREAM_BROKEN);
        assert_true(a.result.maybe_received);
        assert_false(a.result.head_seen);
        assert_int_equal(script.deletes + script.posts + script.puts, 1);
        answer_reset(&a);
        upstream_free(u);
        raw_server_stop(server);
    }
}

static void
a_safe_request_is_repeated_once_when_a_kept_connection_dies(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .after = KEEP);
    struct raw_server *server = raw_server_start(NULL, play_closing, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct answer a = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        assert_body(&a, "ok");
        answer_reset(&a);
    }
    assert_int_equal(script.gets, 1 + 2 + 2);
    assert_int_equal(raw_server_connections(server), 3);
    upstream_free(u);
    raw_server_stop(server);

    struct script dead =
        SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .after = CLOSE);
    server = raw_server_start(NULL, play_closing, &dead);
    u = open_upstream(raw_server_url(server), NULL);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
    answer_reset(&a);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_BROKEN);
    assert_int_equal(dead.gets, 1 + 2);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

/* A first try would have eaten it. */
static void
a_safe_request_with_a_body_is_sent_once(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .after = KEEP);
    struct raw_server *server = raw_server_start(NULL, play_closing, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct source source = {.data = "x", .n = 1};
    struct answer a = {0};
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
    answer_reset(&a);
    assert_int_equal(fetch_body(u, "GET", "/", &source, 1, &a), UPSTREAM_OK);
    assert_body(&a, "ok");
    assert_int_equal(script.gets, 2);
    assert_int_equal(raw_server_connections(server), 2);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

static void
a_connection_closed_while_idle_costs_no_request(void **state)
{
    (void)state;
    struct script script =
        SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .after = CLOSE);
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct answer a = {0};
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        answer_reset(&a);
        nap(20);
        assert_int_equal(script.gets, i);
    }
    upstream_free(u);
    raw_server_stop(server);
}

static void
bytes_that_come_while_idle_are_never_an_answer(void **state)
{
    (void)state;
    struct script script = SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
                                  .late_ms = 10,
                                  .late = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct answer a = {0};
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        assert_body(&a, "good");
        answer_reset(&a);
        nap(40);
    }
    assert_int_equal(raw_server_connections(server), 3);
    upstream_free(u);
    raw_server_stop(server);
}

static void
short_keepalive(struct upstream_options *options)
{
    options->keepalive_ms = 60;
}

static void
a_connection_idle_for_too_long_is_not_used(void **state)
{
    (void)state;
    struct script script = SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), short_keepalive);
    struct answer a = {0};
    static const int naps[] = {0, 0, 80, 0};
    static const int connections[] = {1, 1, 2, 2};
    for (size_t i = 0; i < LENGTH_OF(naps); i++) {
        nap(naps[i]);
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        assert_int_equal(raw_server_connections(server), connections[i]);
        answer_reset(&a);
    }
    upstream_free(u);
    raw_server_stop(server);
}

/* ------------------------------------------------------------------ timeouts */

static void
expect_timeout(const char *reply, bool head)
{
    struct script script = SCRIPT(.reply = reply, .after = HANG);
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), impatient);
    struct answer a = {0};
    int64_t start = clock_now_ms();
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_TIMEOUT);
    int64_t took = clock_now_ms() - start;
    assert_in_range(took, 140, 1500);
    assert_int_equal(a.heads, head);
    assert_true(a.result.maybe_received);
    assert_int_equal(a.result.error.status, LARDER_TIMEOUT);
    /* Not repeated: the backend may be busy with it. */
    assert_int_equal(script.requests, 1);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

static void
a_silent_backend_is_a_timeout(void **state)
{
    (void)state;
    expect_timeout("", false);
    expect_timeout("HTTP/1.1 200 OK\r\nA:", false);
    expect_timeout("HTTP/1.1 103 Early Hints\r\n\r\n", false);
    expect_timeout("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true);
    expect_timeout("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true);
}

/* A byte of the head every 20 ms: progress in the head does not count. */
static void
play_slow_head(struct raw_conn *conn)
{
    char head[4096];
    size_t n;
    if (raw_read_head(conn->fd, head, sizeof head, &n))
        while (raw_say(conn->fd, "H"))
            nap(20);
}

/* A byte of the body every 50 ms. */
static void
play_slow_body(struct raw_conn *conn)
{
    char head[4096];
    size_t n;
    if (!raw_read_head(conn->fd, head, sizeof head, &n))
        return;
    raw_say(conn->fd, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
    for (int i = 0; i < 8; i++) {
        nap(50);
        raw_say(conn->fd, "x");
    }
    raw_drain(conn->fd);
}

static void
a_body_that_makes_progress_is_not_cut_and_a_head_that_drips_is(void **state)
{
    (void)state;
    struct answer a = {0};
    struct raw_server *server = raw_server_start(NULL, play_slow_body, NULL);
    struct upstream *u = open_upstream(raw_server_url(server), impatient);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
    assert_body(&a, "xxxxxxxx");
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);

    server = raw_server_start(NULL, play_slow_head, NULL);
    u = open_upstream(raw_server_url(server), impatient);
    int64_t start = clock_now_ms();
    fetch(u, "GET", "/", &a);
    assert_true(a.result.outcome == UPSTREAM_TIMEOUT);
    assert_in_range(clock_now_ms() - start, 140, 1500);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

/* The second half of the body 100 ms after the first. */
static void
play_two_halves(struct raw_conn *conn)
{
    char head[4096];
    size_t n;
    if (!raw_read_head(conn->fd, head, sizeof head, &n))
        return;
    raw_say(conn->fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1");
    nap(400);
    raw_say(conn->fd, "2");
    raw_drain(conn->fd);
}

static void
a_slow_client_is_not_a_silent_backend(void **state)
{
    (void)state;
    struct answer a = {.slow_ms = 350};
    struct raw_server *server = raw_server_start(NULL, play_two_halves, NULL);
    struct upstream *u = open_upstream(raw_server_url(server), impatient);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
    assert_body(&a, "12");
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

static void
nap_before(void *arg)
{
    (void)arg;
    nap(250);
}

static void
a_slow_request_body_is_not_a_silent_backend(void **state)
{
    (void)state;
    struct echo echo = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct raw_server *server = raw_server_start(NULL, play_echo, &echo);
    struct upstream *u = open_upstream(raw_server_url(server), impatient);
    struct source source = {.data = "hello", .n = 5, .before = nap_before};
    struct answer a = {0};
    assert_int_equal(fetch_body(u, "POST", "/", &source, -1, &a), UPSTREAM_OK);
    assert_body(&a, "hello");
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

static void
play_not_reading(struct raw_conn *conn)
{
    (void)conn;
    nap(600);
}

static void
a_backend_that_does_not_read_is_a_timeout(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start(NULL, play_not_reading, NULL);
    struct upstream *u = open_upstream(raw_server_url(server), impatient);
    size_t n = (size_t)64 << 20;
    char *data = calloc(1, n);
    assert_non_null(data);
    struct source source = {.data = data, .n = n};
    struct answer a = {0};
    assert_int_equal(fetch_body(u, "POST", "/", &source, (int64_t)n, &a), UPSTREAM_TIMEOUT);
    assert_true(a.result.maybe_received);
    answer_reset(&a);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
}

static void
a_backend_that_is_not_there_is_unreachable(void **state)
{
    (void)state;
    /* Bound and not listening: refused, and nobody else can take the port. */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t n = sizeof in;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(in.sin_port));
    const char *urls[] = {url, "http+unix:/nonexistent/larder.sock", "http://larder.invalid"};
    for (size_t i = 0; i < LENGTH_OF(urls); i++) {
        struct upstream *u = open_upstream(urls[i], NULL);
        struct answer a = {0};
        assert_int_equal(fetch(u, "DELETE", "/", &a), UPSTREAM_UNREACHABLE);
        assert_false(a.result.maybe_received);
        assert_int_equal(a.result.error.status, LARDER_UNAVAILABLE);
        assert_non_null(strstr(a.result.error.message, urls[i]));
        answer_reset(&a);
        upstream_free(u);
    }

    /* A full backlog: connecting takes for ever. */
    assert_int_equal(listen(fd, 0), 0);
    int fill[4];
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&in, sizeof in);
    }
    struct upstream *u = open_upstream(url, impatient);
    struct answer a = {0};
    int64_t start = clock_now_ms();
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_UNREACHABLE);
    assert_in_range(clock_now_ms() - start, 140, 1500);
    answer_reset(&a);
    upstream_free(u);
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    close(fd);
}

/* The operator learns whose the socket is and what to do; the directory may be what is in the way. */
static void
a_socket_that_is_anothers_is_named(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    char directory[] = "/tmp/larder-test-XXXXXX", path[64], url[80];
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chmod(directory, 0755), 0);
    snprintf(path, sizeof path, "%s/a.sock", directory);
    snprintf(url, sizeof url, "http+unix:%s", path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(listen(fd, 1), 0);
    static const char *const wanted[] = {
        "Permission denied for user nobody: the socket is root:root, mode 0600; put the user into "
        "group root and restart larder",
        "Permission denied for user nobody in a directory above the socket"};
    for (size_t i = 0; i < LENGTH_OF(wanted); i++) {
        struct upstream *u = open_upstream(url, NULL);
        struct answer a = {0};
        assert_int_equal(chmod(directory, i ? 0700 : 0755), 0);
        assert_int_equal(seteuid(65534), 0);
        int outcome = fetch(u, "GET", "/", &a);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(outcome, UPSTREAM_UNREACHABLE);
        assert_non_null(strstr(a.result.error.message, wanted[i]));
        answer_reset(&a);
        upstream_free(u);
    }
    close(fd);
    unlink(path);
    rmdir(directory);
}

/* ---------------------------------------------------------------- the sink */

/* Notes when the client has gone. */
static void
play_endless(struct raw_conn *conn)
{
    atomic_int *gone = conn->arg;
    char block[4096];
    size_t n;
    if (!raw_read_head(conn->fd, block, sizeof block, &n))
        return;
    raw_say(conn->fd, "HTTP/1.1 200 OK\r\n\r\n");
    memset(block, 'x', sizeof block);
    while (raw_send(conn->fd, block, sizeof block))
        ;
    atomic_store(gone, 1);
}

static void
a_sink_that_says_stop_ends_the_exchange(void **state)
{
    (void)state;
    struct answer answers[] = {{.stop_at_head = true}, {.stop_after = 1000000}};
    for (size_t i = 0; i < LENGTH_OF(answers); i++) {
        atomic_int gone = 0;
        struct raw_server *server = raw_server_start(NULL, play_endless, &gone);
        struct upstream *u = open_upstream(raw_server_url(server), NULL);
        assert_int_equal(fetch(u, "GET", "/", &answers[i]), UPSTREAM_CLIENT_GONE);
        for (int wait = 0; wait < 200 && !atomic_load(&gone); wait++)
            nap(10);
        assert_int_equal(atomic_load(&gone), 1);
        answer_reset(&answers[i]);
        upstream_free(u);
        raw_server_stop(server);
    }
}

/* ------------------------------------------------------------------- threads */

#define THREADS 16
#define ROUNDS 60

/* Each answer says whose it is. */
static void
play_personal(struct raw_conn *conn)
{
    char head[4096], target[64], reply[200];
    size_t n;
    for (int k = 1; raw_read_head(conn->fd, head, sizeof head, &n); k++) {
        if (sscanf(head, "%*s %63s", target) != 1)
            return;
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(target), target);
        raw_say(conn->fd, reply);
        if (k % 7 == 0)
            return;
    }
}

struct worker {
    struct upstream *upstream;
    int number;
    int wrong;
    char why[LARDER_ERROR_MAX];
};

static void *
work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        char target[64];
        struct answer a = {0};
        snprintf(target, sizeof target, "/%d/%d", w->number, i);
        if (fetch(w->upstream, i % 5 ? "GET" : "DELETE", target, &a) != UPSTREAM_OK ||
            a.body_n != strlen(target) || memcmp(a.body, target, a.body_n) != 0) {
            w->wrong++;
            snprintf(w->why, sizeof w->why, "%s", a.result.error.message);
        }
        answer_reset(&a);
    }
    return NULL;
}

static void
sixteen_threads_get_their_own_answers(void **state)
{
    (void)state;
    struct raw_server *server = raw_server_start(NULL, play_personal, NULL);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.upstream = u, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        if (workers[i].wrong)
            fail_msg("%d wrong: %s", workers[i].wrong, workers[i].why);
    /* Connections are really kept. */
    assert_true(raw_server_connections(server) < THREADS * ROUNDS / 2);
    upstream_free(u);
    raw_server_stop(server);
}

/* ----------------------------------------------------------------------- TLS */

struct tls_server {
    SSL_CTX *ctx;
    const char *reply;
    bool notify; /* close_notify before closing */
    bool close;
    atomic_int requests;
};

static void
play_tls(struct raw_conn *conn)
{
    struct tls_server *t = conn->arg;
    SSL *ssl = SSL_new(t->ctx);
    char head[4096];
    if (!ssl)
        abort();
    SSL_set_fd(ssl, conn->fd);
    if (SSL_accept(ssl) == 1) {
        while (SSL_read(ssl, head, sizeof head) > 0) { /* one small request, one record */
            atomic_fetch_add(&t->requests, 1);
            SSL_write(ssl, t->reply, (int)strlen(t->reply));
            if (t->close)
                break;
        }
        if (t->notify)
            SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

/* A certificate of our own for localhost; its PEM in `file`. */
static SSL_CTX *
make_tls(const char *file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert_non_null(key);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    assert_non_null(alt);
    X509_add_ext(cert, alt, -1);
    X509_EXTENSION_free(alt);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

struct tls_case {
    char dir[64];
    char ca[96];
    char url[64];
    struct tls_server tls;
    struct raw_server *server;
};

static void
tls_start(struct tls_case *c, const char *reply)
{
    memset(c, 0, sizeof *c);
    strcpy(c->dir, "/tmp/larder-upstream-XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    snprintf(c->ca, sizeof c->ca, "%s/ca.pem", c->dir);
    c->tls.ctx = make_tls(c->ca);
    c->tls.reply = reply;
    c->server = raw_server_start(NULL, play_tls, &c->tls);
    snprintf(c->url, sizeof c->url, "https://localhost:%d", raw_server_port(c->server));
}

static void
tls_stop(struct tls_case *c)
{
    raw_server_stop(c->server);
    SSL_CTX_free(c->tls.ctx);
    unlink(c->ca);
    assert_int_equal(rmdir(c->dir), 0);
}

static const char *ca_file;

static void
with_ca(struct upstream_options *options)
{
    options->tls_ca_file = ca_file;
}

static void
without_verification(struct upstream_options *options)
{
    options->tls_verify = false;
}

static void
tls_is_verified_against_the_given_certificates(void **state)
{
    (void)state;
    struct tls_case c;
    struct answer a = {0};
    tls_start(&c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    ca_file = c.ca;
    struct upstream *u = open_upstream(c.url, with_ca);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        assert_body(&a, "ok");
        answer_reset(&a);
    }
    assert_int_equal(raw_server_connections(c.server), 1);
    assert_int_equal(fetch(u, "DELETE", "/", &a), UPSTREAM_OK);
    assert_int_equal(raw_server_connections(c.server), 2);
    answer_reset(&a);
    upstream_free(u);

    /* Unknown to the system; another name; not asked to verify. */
    u = open_upstream(c.url, NULL);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_UNREACHABLE);
    assert_non_null(strstr(a.result.error.message, "certificate"));
    answer_reset(&a);
    upstream_free(u);
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d", raw_server_port(c.server));
    u = open_upstream(url, with_ca);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_UNREACHABLE);
    answer_reset(&a);
    upstream_free(u);
    assert_int_equal(atomic_load(&c.tls.requests), 4);
    u = open_upstream(url, without_verification);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
    answer_reset(&a);
    upstream_free(u);
    tls_stop(&c);
}

static void
excess_inside_tls_is_never_an_answer(void **state)
{
    (void)state;
    struct tls_case c;
    struct answer a = {0};
    tls_start(&c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\n"
                  "Content-Length: 4\r\n\r\nevil");
    ca_file = c.ca;
    struct upstream *u = open_upstream(c.url, with_ca);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        assert_body(&a, "good");
        assert_int_equal(raw_server_connections(c.server), i);
        answer_reset(&a);
    }
    upstream_free(u);
    tls_stop(&c);
}

static void
a_body_until_close_needs_the_end_of_tls(void **state)
{
    (void)state;
    for (int notify = 0; notify < 2; notify++) {
        struct tls_case c;
        struct answer a = {0};
        tls_start(&c, "HTTP/1.1 200 OK\r\n\r\nhello");
        c.tls.close = true;
        c.tls.notify = notify;
        ca_file = c.ca;
        struct upstream *u = open_upstream(c.url, with_ca);
        assert_int_equal(fetch(u, "GET", "/", &a), notify ? UPSTREAM_OK : UPSTREAM_BROKEN);
        assert_body(&a, "hello");
        answer_reset(&a);
        upstream_free(u);
        tls_stop(&c);
    }
}

/* ------------------------------------------------------------------- options */

/* 110 characters; sun_path has room for 107. */
#define TEN "0123456789"
#define LONG_PATH "http+unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void
only_the_forms_of_url_are_taken(void **state)
{
    (void)state;
    static const char *const good[] = {
        "http://a",
        "http://a.example-1:8080",
        "http://127.0.0.1:80/",
        "https://[::1]:443",
        "http+unix:/run/a.sock",
        "http://[::1]",
        "http://a_b:65535",
        "fastcgi://127.0.0.1:9000",
        "fastcgi+unix:/run/php/fpm.sock",
        "fastcgi://[::1]:9000",
    };
    static const char *const bad[] = {
        "",
        "a",
        "http:",
        "http://",
        "http:///",
        "http://a:",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a:123456",
        "http://u@a",
        "http://u:p@a",
        "http://a/x",
        "http://a?x",
        "http://a#x",
        "http://a b",
        "http://a\r\nX: y",
        "ftp://a",
        "file:///etc/passwd",
        "HTTP://a",
        "http+unix:a.sock",
        "http+unix:",
        "http://[::1",
        "http://[]",
        "http://::1:80",
        "fastcgi://a",
        "fastcgi://[::1]",
        "fastcgi:///a.sock",
        "fastcgi+unix:a.sock",
        "fastcgi+unix:",
        "fcgi://a:9000",
        LONG_PATH,
    };
    struct upstream_options options;
    struct upstream *u;
    struct larder_error err;
    upstream_options_init(&options);
    for (size_t i = 0; i < LENGTH_OF(good); i++) {
        options.url = good[i];
        if (upstream_new(&options, &u, &err) != LARDER_OK)
            fail_msg("%s", err.message);
        assert_int_equal(strncmp(upstream_name(u), good[i], strlen(upstream_name(u))), 0);
        upstream_free(u);
    }
    for (size_t i = 0; i < LENGTH_OF(bad); i++) {
        options.url = bad[i];
        if (upstream_new(&options, &u, &err) != LARDER_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_null(u);
    }
    options.url = NULL;
    assert_int_equal(upstream_new(&options, &u, &err), LARDER_INVALID);
    options.url = "https://a";
    options.tls_ca_file = "/nonexistent/ca.pem";
    assert_int_equal(upstream_new(&options, &u, &err), LARDER_INVALID);
    assert_non_null(strstr(err.message, "/nonexistent/ca.pem"));
    upstream_free(NULL);
}

static void
proxies_in_the_environment_are_ignored(void **state)
{
    (void)state;
    struct script script = SCRIPT(.reply = "HTTP/1.1 204 No Content\r\n\r\n");
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct answer a = {0};
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "socks5://127.0.0.1:1", 1);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
}

/* -------------------------------------------------------------------- the cost */

static double
now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Printed, not judged: the machine decides. */
static void
what_an_exchange_costs_beside_a_bare_socket(void **state)
{
    (void)state;
    enum { TIMES = 3000 };
    struct script script = SCRIPT(.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    struct raw_server *server = raw_server_start(NULL, play, &script);
    struct upstream *u = open_upstream(raw_server_url(server), NULL);
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)raw_server_port(server))};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
    char buf[256];
    double bare = 0, ours = 0, start;
    for (int round = 0; round < 6; round++) {
        start = now_us();
        for (int i = 0; i < TIMES / 6; i++) {
            raw_say(fd, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
            assert_true(recv(fd, buf, sizeof buf, 0) > 0);
        }
        bare += now_us() - start;
        struct answer a = {0};
        start = now_us();
        for (int i = 0; i < TIMES / 6; i++) {
            a.body_n = 0;
            a.heads = 0;
            a.fields[0] = '\0';
            assert_int_equal(fetch(u, "GET", "/", &a), UPSTREAM_OK);
        }
        ours += now_us() - start;
        answer_reset(&a);
    }
    printf("an exchange: %.1f us, on a bare socket: %.1f us\n", ours / TIMES, bare / TIMES);
    assert_int_equal(raw_server_connections(server), 2);
    close(fd);
    upstream_free(u);
    raw_server_stop(server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_understood_or_refused),
        cmocka_unit_test(where_an_answer_breaks_into_pieces_does_not_matter),
        cmocka_unit_test(a_unix_socket_is_as_good_as_a_port),
        cmocka_unit_test(interim_answers_are_passed_on_but_not_100),
        cmocka_unit_test(a_head_has_bounds),
        cmocka_unit_test(what_is_refused_names_the_field),
        cmocka_unit_test(a_request_arrives_exactly_as_given),
        cmocka_unit_test(what_could_become_a_second_request_is_not_sent),
        cmocka_unit_test(a_body_of_known_length_and_one_in_chunks_arrive_whole),
        cmocka_unit_test(a_body_that_the_client_breaks_off_is_never_whole_at_the_backend),
        cmocka_unit_test(no_more_is_asked_of_the_client_than_its_length),
        cmocka_unit_test(an_answer_before_the_end_of_the_request_is_delivered),
        cmocka_unit_test(an_unsafe_request_is_sent_once_even_if_a_kept_connection_would_die),
        cmocka_unit_test(an_unsafe_request_whose_connection_dies_is_broken_not_repeated),
        cmocka_unit_test(a_safe_request_is_repeated_once_when_a_kept_connection_dies),
        cmocka_unit_test(a_safe_request_with_a_body_is_sent_once),
        cmocka_unit_test(an_answer_that_comes_before_the_request_is_delivered),
        cmocka_unit_test(a_connection_closed_while_idle_costs_no_request),
        cmocka_unit_test(bytes_that_come_while_idle_are_never_an_answer),
        cmocka_unit_test(a_connection_idle_for_too_long_is_not_used),
        cmocka_unit_test(a_silent_backend_is_a_timeout),
        cmocka_unit_test(a_body_that_makes_progress_is_not_cut_and_a_head_that_drips_is),
        cmocka_unit_test(a_slow_client_is_not_a_silent_backend),
        cmocka_unit_test(a_slow_request_body_is_not_a_silent_backend),
        cmocka_unit_test(a_backend_that_does_not_read_is_a_timeout),
        cmocka_unit_test(a_backend_that_is_not_there_is_unreachable),
        cmocka_unit_test(a_socket_that_is_anothers_is_named),
        cmocka_unit_test(a_sink_that_says_stop_ends_the_exchange),
        cmocka_unit_test(sixteen_threads_get_their_own_answers),
        cmocka_unit_test(tls_is_verified_against_the_given_certificates),
        cmocka_unit_test(excess_inside_tls_is_never_an_answer),
        cmocka_unit_test(a_body_until_close_needs_the_end_of_tls),
        cmocka_unit_test(only_the_forms_of_url_are_taken),
        cmocka_unit_test(proxies_in_the_environment_are_ignored),
        cmocka_unit_test(what_an_exchange_costs_beside_a_bare_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
