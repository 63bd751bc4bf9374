/*
 * FastCGI through the backend's face, against a backend that says what the test
 * wants it to say and notes what it is told.
 *
 * The backend reads our records as strictly as FastCGI 1.0 has them: what it finds
 * wrong is in `wrong`, which every test looks at in its end. Most cases are rows:
 * the records of an answer and what must come of them, whole and byte by byte.
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
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "raw_server.h"
#include "upstream/message.h"
#include "upstream/record.h"
#include "upstream/upstream.h"
#include "upstream_fixture.h"

/* ------------------------------------------------------------ the server side */

/* A record, or (type 0) bytes as they are. */
struct piece {
    int type;
    int id;
    const char *text;
    size_t n;
    int padding;
};

#define REC(type, id, s)                 \
    {                                    \
        type, id, "" s, sizeof(s) - 1, 0 \
    }
#define OUT(s) REC(RECORD_STDOUT, 1, s)
#define ERR(s) REC(RECORD_STDERR, 1, s)
#define RAW(s) REC(0, 0, s)
#define PADDED(type, s, padding)              \
    {                                         \
        type, 1, "" s, sizeof(s) - 1, padding \
    }
/* Application and protocol status, each as a string of one character. */
#define END(app, protocol) REC(RECORD_END_REQUEST, 1, "\0\0\0" app protocol "\0\0\0")
#define DONE END("\0", "\0")

#define PIECES_MAX 10

enum after { KEEP, CLOSE, RESET, HANG };
/* When a backend answers: with the whole request, with its parameters, with the first of its body.*/
enum when { WHOLE, PARAMETERS, FIRST };

#define PARAMETERS_MAX ((size_t)1 << 20)

/* What a backend says to each request, and what it has seen. */
struct script {
    const struct piece *reply;
    const struct piece *then; /* to every request but the first of all; NULL: the same */
    enum after after;
    enum after then_after;
    enum when when;
    bool drip;
    int pause_ms;     /* before each record */
    int late_ms;      /* before the end */
    int die_ms;       /* before closing so: */
    bool first_alone; /* closes at the second request of a connection, unanswered */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    char wrong[200];
    int begun;   /* BEGIN_REQUEST */
    int whole;   /* all of STDIN */
    int aborted; /* ABORT_REQUEST */
    int closed;  /* the client was the first to close */
    int values;  /* GET_VALUES_RESULT */
    int unknown; /* UNKNOWN_TYPE, and of which type the last was */
    int unknown_type;
    bool keep; /* of the last request */
    int records;
    char parameters[PARAMETERS_MAX];
    size_t parameters_n;
    char *body;
    size_t body_n, body_room;
};

static struct script *
script_new(const struct piece *reply, enum after after)
{
    struct script *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->reply = reply;
    s->after = s->then_after = after;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    return s;
}

static void
script_free(struct script *s)
{
    char wrong[sizeof s->wrong];
    memcpy(wrong, s->wrong, sizeof wrong);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s->body);
    free(s);
    if (wrong[0])
        fail_msg("what the backend was sent: %s", wrong);
}

static void
note(struct script *s, int *what)
{
    pthread_mutex_lock(&s->mutex);
    ++*what;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static int
count(struct script *s, const int *what)
{
    pthread_mutex_lock(&s->mutex);
    int n = *what;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

static bool
seen(struct script *s, const int *what, int n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&s->mutex);
    while (*what < n)
        if (pthread_cond_timedwait(&s->changed, &s->mutex, &until) != 0)
            break;
    bool there = *what >= n;
    pthread_mutex_unlock(&s->mutex);
    return there;
}

static void
blame(struct script *s, const char *what)
{
    pthread_mutex_lock(&s->mutex);
    if (!s->wrong[0])
        snprintf(s->wrong, sizeof s->wrong, "%s", what);
    pthread_mutex_unlock(&s->mutex);
}

static bool
read_whole(int fd, char *buf, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, buf, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        buf += got;
        n -= (size_t)got;
    }
    return true;
}

struct incoming {
    int type;
    int id;
    size_t n;
    char content[65535 + 255];
};

/* false: the client closed, between two records or (blamed unless it may) inside one. */
static bool
read_record_of(struct raw_conn *conn, struct incoming *in)
{
    struct script *s = conn->arg;
    unsigned char h[RECORD_HEADER];
    if (!read_whole(conn->fd, (char *)h, sizeof h))
        return false;
    in->type = h[1];
    in->id = h[2] << 8 | h[3];
    in->n = (size_t)h[4] << 8 | h[5];
    if (h[0] != 1 || h[7] != 0)
        blame(s, "a header that is none");
    if ((RECORD_HEADER + in->n + h[6]) % 8 != 0)
        blame(s, "a record that does not end at eight bytes");
    return read_whole(conn->fd, in->content, in->n + h[6]);
}

static void
take_parameters(struct script *s, const struct incoming *in)
{
    pthread_mutex_lock(&s->mutex);
    if (s->parameters_n + in->n > PARAMETERS_MAX)
        abort();
    memcpy(s->parameters + s->parameters_n, in->content, in->n);
    s->parameters_n += in->n;
    s->records++;
    pthread_mutex_unlock(&s->mutex);
}

static void
take_body(struct script *s, const struct incoming *in)
{
    pthread_mutex_lock(&s->mutex);
    if (s->body_n + in->n > s->body_room) {
        s->body_room = (s->body_n + in->n) * 2;
        s->body = realloc(s->body, s->body_room);
        if (!s->body)
            abort();
    }
    if (in->n)
        memcpy(s->body + s->body_n, in->content, in->n);
    s->body_n += in->n;
    pthread_mutex_unlock(&s->mutex);
}

enum progress { BEGUN, PARAMETERS_SOME, PARAMETERS_ALL, BODY_SOME, BODY_ALL, OTHER, GONE };

/* One record more of a request, judged by what came before it. */
static enum progress
take_record(struct raw_conn *conn, struct incoming *in, enum progress *state)
{
    struct script *s = conn->arg;
    if (!read_record_of(conn, in))
        return GONE;
    if (in->type == RECORD_GET_VALUES_RESULT || in->type == RECORD_UNKNOWN_TYPE) {
        if (in->id != 0)
            blame(s, "a management record with an id");
        if (in->type == RECORD_UNKNOWN_TYPE) {
            pthread_mutex_lock(&s->mutex);
            s->unknown_type = (unsigned char)in->content[0];
            pthread_mutex_unlock(&s->mutex);
            if (in->n != 8)
                blame(s, "an UNKNOWN_TYPE of another length");
            note(s, &s->unknown);
        } else {
            if (in->n != 18 || memcmp(in->content,
                                      "\x0f\x01"
                                      "FCGI_MPXS_CONNS0",
                                      18) != 0)
                blame(s, "other values than asked for");
            note(s, &s->values);
        }
        return OTHER;
    }
    if (in->id != 1)
        blame(s, "another id than 1");
    if (in->type == RECORD_ABORT_REQUEST) {
        if (in->n != 0)
            blame(s, "an ABORT_REQUEST with content");
        note(s, &s->aborted);
        return OTHER;
    }
    if (in->type == RECORD_BEGIN_REQUEST && *state == GONE) {
        if (in->n != 8 || in->content[0] != 0 || in->content[1] != 1 ||
            ((unsigned char)in->content[2] & 0xfe) != 0)
            blame(s, "a BEGIN_REQUEST for no responder");
        pthread_mutex_lock(&s->mutex);
        s->keep = in->content[2];
        s->parameters_n = s->body_n = 0;
        s->records = 0;
        pthread_mutex_unlock(&s->mutex);
        note(s, &s->begun);
        return *state = BEGUN;
    }
    if (in->type == RECORD_PARAMS && (*state == BEGUN || *state == PARAMETERS_SOME)) {
        take_parameters(s, in);
        return *state = in->n ? PARAMETERS_SOME : PARAMETERS_ALL;
    }
    if (in->type == RECORD_STDIN && (*state == PARAMETERS_ALL || *state == BODY_SOME)) {
        take_body(s, in);
        if (in->n == 0)
            note(s, &s->whole);
        return *state = in->n ? BODY_SOME : BODY_ALL;
    }
    blame(s, "a record out of order");
    return OTHER;
}

static size_t
put_record(char *to, int type, int id, const char *content, size_t n, int padding)
{
    record_header(to, (enum record_type)type, (uint16_t)id, n);
    to[6] = (char)padding;
    memcpy(to + RECORD_HEADER, content, n);
    memset(to + RECORD_HEADER + n, 'p', (size_t)padding);
    return RECORD_HEADER + n + (size_t)padding;
}

static bool
say(struct raw_conn *conn, const struct piece *piece)
{
    const struct script *s = conn->arg;
    static _Thread_local char record[RECORD_HEADER + 65535 + 255];
    size_t n = piece->n;
    if (piece->type)
        n = put_record(record, piece->type, piece->id, piece->text, n, piece->padding);
    else
        memcpy(record, piece->text, n);
    if (!s->drip)
        return raw_send(conn->fd, record, n);
    for (size_t i = 0; i < n; i++)
        if (!raw_send(conn->fd, record + i, 1))
            return false;
    return true;
}

static bool
is_end(const struct piece *p)
{
    return !p->text;
}

static bool
answer_with(struct raw_conn *conn, const struct piece *reply)
{
    const struct script *s = conn->arg;
    for (const struct piece *p = reply; p < reply + PIECES_MAX && !is_end(p); p++) {
        if (s->pause_ms)
            nap(s->pause_ms);
        if (s->late_ms && p->type == RECORD_END_REQUEST)
            nap(s->late_ms);
        if (!say(conn, p))
            return false;
    }
    return true;
}

/* Whatever the client still says, to its end. */
static void
hear_out(struct raw_conn *conn, struct incoming *in, enum progress state)
{
    struct script *s = conn->arg;
    while (take_record(conn, in, &state) != GONE)
        ;
    note(s, &s->closed);
}

static void
play(struct raw_conn *conn)
{
    struct script *s = conn->arg;
    struct incoming *in = malloc(sizeof *in);
    if (!in)
        abort();
    for (int k = 0;; k++) {
        enum progress state = GONE, now;
        do {
            now = take_record(conn, in, &state);
        } while (now != GONE && now != BODY_ALL &&
                 !(s->when == PARAMETERS && now == PARAMETERS_ALL) &&
                 !(s->when == FIRST && now == BODY_SOME));
        if (now == GONE) {
            note(s, &s->closed);
            break;
        }
        if (s->first_alone && k) {
            nap(s->die_ms);
            break;
        }
        bool then = s->then && (k || conn->number > 1);
        enum after after = then ? s->then_after : s->after;
        bool said = answer_with(conn, then ? s->then : s->reply);
        if (after == RESET)
            raw_reset(conn);
        if (after == HANG || (after == KEEP && state != BODY_ALL))
            hear_out(conn, in, state);
        if (after != KEEP || !said || state != BODY_ALL)
            break;
    }
    free(in);
}

static const char *
fastcgi_url(const struct raw_server *server)
{
    static _Thread_local char urls[8][200];
    static _Thread_local unsigned next;
    char *url = urls[next++ % 8];
    const char *text = raw_server_url(server);
    snprintf(url, sizeof urls[0], "fastcgi%s", text + strlen("http"));
    return url;
}

/* ------------------------------------------------------------ the client side */

static struct upstream *
open_several(const char *const *urls, size_t n, const char *backup,
             void (*change)(struct upstream_options *))
{
    struct upstream_options options;
    struct larder_error err;
    struct upstream *u;
    const char *list[8], *backups[1] = {backup};
    assert_true(n <= LENGTH_OF(list));
    memcpy(list, urls, n * sizeof *urls);
    upstream_options_init(&options);
    options.urls = list;
    options.url_count = n;
    options.backup_urls = backups;
    options.backup_count = backup ? 1 : 0;
    options.connect_timeout_ms = 2000;
    options.timeout_ms = 5000;
    options.idle_timeout_ms = 5000;
    options.max_idle = 0;
    if (change)
        change(&options);
    if (upstream_new(&options, &u, &err) != LARDER_OK)
        fail_msg("%s", err.message);
    return u;
}

static struct upstream *
open_one(const char *url, void (*change)(struct upstream_options *))
{
    return open_several(&url, 1, NULL, change);
}

static void
keeping(struct upstream_options *options)
{
    options->max_idle = 4;
}

static void
impatient(struct upstream_options *options)
{
    options->connect_timeout_ms = 150;
    options->timeout_ms = 150;
    options->idle_timeout_ms = 150;
}

/* Everything that a fetch may be given. */
struct asking {
    const char *method; /* NULL: GET */
    struct source *body;
    int64_t body_len;
    const struct upstream_parameter *parameters;
    size_t parameter_count;
    int (*client)(void *arg);
    enum upstream_client (*client_event)(void *arg);
    int64_t (*unattended)(void *arg);
    void *watcher; /* what those are given */
};

struct watched {
    struct answer *answer; /* first: for the sink's other calls */
    void *watcher;
    const struct asking *asking;
};

static bool
watched_head(void *arg, int status, struct fields *fields, bool until_close)
{
    return on_head(((struct watched *)arg)->answer, status, fields, until_close);
}

static bool
watched_body(void *arg, const char *data, size_t len)
{
    return on_body(((struct watched *)arg)->answer, data, len);
}

static void
watched_interim(void *arg, int status, struct fields *fields)
{
    on_interim(((struct watched *)arg)->answer, status, fields);
}

static int
watched_client(void *arg)
{
    const struct watched *w = arg;
    return w->asking->client(w->watcher);
}

static enum upstream_client
watched_event(void *arg)
{
    const struct watched *w = arg;
    return w->asking->client_event(w->watcher);
}

static int64_t
watched_unattended(void *arg)
{
    const struct watched *w = arg;
    return w->asking->unattended(w->watcher);
}

static enum upstream_outcome
ask_with(struct upstream *u, const struct asking *asking, struct answer *a)
{
    static const struct upstream_parameter usual[] = {
        {{"REQUEST_METHOD", 14}, {"GET", 3}},
        {{"SCRIPT_FILENAME", 15}, {"/a.php", 6}},
    };
    struct arena *arena = arena_new((size_t)4 << 20);
    struct fields fields = {0};
    add(&fields, arena, "Host", "example.org");
    struct upstream_request request = {
        .method = slice_of(asking->method ? asking->method : "GET"),
        .target = slice_of("/a?b"),
        .fields = &fields,
        .has_body = asking->body != NULL,
        .body_len = asking->body_len,
        .parameters = asking->parameters ? asking->parameters : usual,
        .parameter_count = asking->parameters ? asking->parameter_count : LENGTH_OF(usual),
        .body = read_source,
        .body_arg = asking->body,
    };
    struct watched watched = {a, asking->watcher, asking};
    struct upstream_sink sink = {.arg = &watched,
                                 .head = watched_head,
                                 .body = watched_body,
                                 .interim = watched_interim,
                                 .client = asking->client ? watched_client : NULL,
                                 .client_event = asking->client_event ? watched_event : NULL,
                                 .unattended = asking->unattended ? watched_unattended : NULL};
    upstream_fetch(u, arena, &request, &sink, &a->result);
    assert_int_equal(a->result.head_seen, a->heads);
    assert_int_equal(a->result.body_bytes, a->body_n);
    if (a->result.outcome != UPSTREAM_OK)
        assert_true(strlen(a->result.error.message) > 0);
    arena_free(arena);
    return a->result.outcome;
}

static enum upstream_outcome
ask(struct upstream *u, const char *method, struct answer *a)
{
    return ask_with(u, &(struct asking){.method = method}, a);
}

static void
expect_ok(struct upstream *u, const char *method, const char *body)
{
    struct answer a = {0};
    if (ask(u, method, &a) != UPSTREAM_OK)
        fail_msg("%s", a.result.error.message);
    assert_body(&a, body);
    answer_reset(&a);
}

static const struct piece hello[PIECES_MAX] = {OUT("Content-Type: a/b\r\n\r\nhello"), DONE};

/* ------------------------------------------------------------------- answers */

#define HEAD_ "Content-Type: a/b\r\n"
#define TYPE_ "Content-Type: a/b\n"
#define EITHER 2

/* Whole, and the connection serves the next; refused; cut off by the backend. */
#define GOOD(what_, status_, body_, fields_, ...)                                         \
    {                                                                                     \
        .what = what_, .reply = {__VA_ARGS__}, .outcome = UPSTREAM_OK, .status = status_, \
        .body = body_, .fields = fields_, .kept = true                                    \
    }
#define BAD(what_, status_, body_, ...)                                                       \
    {                                                                                         \
        .what = what_, .reply = {__VA_ARGS__}, .outcome = UPSTREAM_BROKEN, .status = status_, \
        .body = body_                                                                         \
    }
#define CUT(what_, status_, body_, ...)                                                    \
    {                                                                                      \
        .what = what_, .reply = {__VA_ARGS__}, .after = CLOSE, .outcome = UPSTREAM_BROKEN, \
        .status = status_, .body = body_                                                   \
    }

static const struct row {
    const char *what;
    struct piece reply[PIECES_MAX];
    enum after after;
    enum upstream_outcome outcome;
    int status; /* 0: no head */
    const char *body;
    const char *fields; /* NULL: not looked at */
    bool failed;
    int kept; /* the connection serves the next request; EITHER: as it comes */
    const char *method;
    const char *interim;
} rows[] = {
    /* the status */
    GOOD("no Status", 200, "hi", TYPE_, OUT(HEAD_ "\r\nhi"), DONE),
    GOOD("Status", 404, "hi", "A: b\n", OUT("Status: 404 Not Found\r\nA: b\r\n\r\nhi"), DONE),
    GOOD("Status in any case, without words", 500, "", "", OUT("sTATUS:500\r\n\r\n"), DONE),
    GOOD("Status twice the same", 404, "", "", OUT("Status: 404\r\nStatus: 404\r\n\r\n"), DONE),
    BAD("Status twice", 0, "", OUT("Status: 404\r\nStatus: 200\r\n\r\n"), DONE),
    BAD("Status that is no number", 0, "", OUT("Status: OK\r\n\r\n"), DONE),
    BAD("Status of four digits", 0, "", OUT("Status: 2000\r\n\r\n"), DONE),
    GOOD("Status 600", 600, "", "", OUT("Status: 600\r\n\r\n"), DONE),
    GOOD("Status 999", 999, "hi", "", OUT("Status: 999 No\r\n\r\nhi"), DONE),
    BAD("Status 99", 0, "", OUT("Status: 099\r\n\r\n"), DONE),
    BAD("empty Status", 0, "", OUT("Status:\r\n\r\n"), DONE),
    GOOD("Location", 302, "", "Location: http://a/b\n", OUT("Location: http://a/b\r\n\r\n"), DONE),
    GOOD("local Location", 302, "", "Location: /b\n", OUT("Location: /b\r\n\r\n"), DONE),
    GOOD("Location and Status", 201, "hi", "Location: /b\n",
         OUT("Location: /b\r\nStatus: 201 Created\r\n\r\nhi"), DONE),
    /* lines */
    GOOD("LF", 203, "hi", "A: b\n", OUT("Status: 203\nA: b\n\nhi"), DONE),
    GOOD("LF and CR LF", 200, "hi", "A: b\nC: d\n", OUT("A: b\nC: d\r\n\nhi"), DONE),
    {.what = "the body begins with an empty line",
     .reply = {OUT("A: b\n\n\r\n\nhi"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "\r\n\nhi",
     .kept = true},
    BAD("CR inside a line", 0, "", OUT("A: b\rC: d\n\nhi"), DONE),
    BAD("CR CR LF", 0, "", OUT("A: b\r\n\r\r\nhi\n\n"), DONE),
    BAD("NUL in a value", 0, "", OUT("A: b\0\r\n\r\nhi"), DONE),
    BAD("folded", 0, "", OUT("A: b\r\n c\r\n\r\nhi"), DONE),
    BAD("no colon", 0, "", OUT("A: b\r\nhello\r\n\r\nhi"), DONE),
    GOOD("blank before the colon", 404, "hi", "A: b\n", OUT("A : b\r\nStatus\t: 404\r\n\r\nhi"),
         DONE),
    BAD("blank before the colon of a length", 0, "", OUT("Content-Length : 2\r\n\r\nhi"), DONE),
    BAD("blank before any name", 0, "", OUT("A: b\r\n : c\r\n\r\nhi"), DONE),
    BAD("blank inside a name", 0, "", OUT("A b: c\r\n\r\nhi"), DONE),
    BAD("no fields", 0, "", OUT("\r\nhi"), DONE),
    BAD("a script that speaks for the server", 0, "", OUT("HTTP/1.1 200 OK\r\nA: b\r\n\r\nhi"),
        DONE),
    GOOD("hop-by-hop fields go", 200, "", "A: b\n",
         OUT("Connection: X\r\nX: 1\r\nKeep-Alive: 5\r\nA: b\r\n\r\n"), DONE),
    /* the length */
    BAD("Transfer-Encoding", 0, "", OUT("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        DONE),
    BAD("unknown Transfer-Encoding", 0, "", OUT("Transfer-Encoding: bar\r\n\r\nhi"), DONE),
    GOOD("Transfer-Encoding identity", 200, "hi", "A: b\n",
         OUT("Transfer-Encoding: identity\r\nA: b\r\n\r\nhi"), DONE),
    GOOD("Content-Length", 200, "hi", "Content-Length: 2\n", OUT("Content-Length: 2\r\n\r\nhi"),
         DONE),
    GOOD("Content-Length 0", 200, "", "Content-Length: 0\n", OUT("Content-Length: 0\r\n\r\n"),
         DONE),
    BAD("shorter than its length", 200, "hi", OUT("Content-Length: 3\r\n\r\nhi"), DONE),
    BAD("longer than its length", 200, "h", OUT("Content-Length: 1\r\n\r\nhi"), DONE),
    BAD("longer, in a record more", 200, "hi", OUT("Content-Length: 2\r\n\r\nhi"), OUT("more"),
        OUT("!"), DONE),
    GOOD("one length twice", 200, "hi", "Content-Length: 2\n",
         OUT("Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"), DONE),
    BAD("two lengths", 0, "", OUT("Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!"), DONE),
    BAD("negative length", 0, "", OUT("Content-Length: -2\r\n\r\nhi"), DONE),
    /* no body */
    {.what = "HEAD",
     .reply = {OUT("Content-Length: 7\r\n\r\n"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "",
     .fields = "Content-Length: 7\n",
     .kept = true,
     .method = "HEAD"},
    {.what = "HEAD with a body",
     .reply = {OUT("Content-Length: 7\r\n\r\nhello"), OUT(" you and you"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "",
     .fields = "Content-Length: 7\n",
     .kept = true,
     .method = "HEAD"},
    GOOD("204 with a body", 204, "", "", OUT("Status: 204\r\nContent-Length: 2\r\n\r\nhi"), DONE),
    GOOD("304 with a body", 304, "", "Content-Length: 9\nETag: \"a\"\n",
         OUT("Status: 304\r\nContent-Length: 9\r\nETag: \"a\"\r\n\r\nhi"), DONE),
    /* interim */
    {.what = "103",
     .reply = {OUT("Status: 103 Early Hints\r\nLink: </a>\r\n\r\nStatus: 404\r\nA: b\r\n\r\nhi"),
               DONE},
     .outcome = UPSTREAM_OK,
     .status = 404,
     .body = "hi",
     .fields = "A: b\n",
     .kept = true,
     .interim = "103\nLink: </a>\n"},
    {.what = "103 and 102",
     .reply = {OUT("Status: 103\n\n"), OUT("Status: 102\n\n"), OUT("A: b\n\nhi"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = "A: b\n",
     .kept = true,
     .interim = "103\n102\n"},
    {.what = "100 is nobody's",
     .reply = {OUT("Status: 100\n\nA: b\n\nhi"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = "A: b\n",
     .kept = true,
     .interim = ""},
    {.what = "101",
     .reply = {OUT("Status: 101\n\nA: b\n\nhi"), DONE},
     .outcome = UPSTREAM_BROKEN,
     .status = 0,
     .body = "",
     .interim = ""},
    {.what = "103 and no more",
     .reply = {OUT("Status: 103\n\n"), DONE},
     .outcome = UPSTREAM_BROKEN,
     .status = 0,
     .body = "",
     .interim = "103\n"},
    /* the end */
    CUT("closed without END_REQUEST", 200, "hi", OUT(HEAD_ "\r\nhi")),
    CUT("... although STDOUT ended", 200, "hi", OUT(HEAD_ "\r\nhi"), OUT("")),
    CUT("... although it is as long as it says", 200, "hi", OUT("Content-Length: 2\r\n\r\nhi"),
        OUT("")),
    CUT("closed inside END_REQUEST", 200, "hi", OUT(HEAD_ "\r\nhi"),
        RAW("\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0")),
    CUT("closed inside the head", 0, "", OUT(HEAD_)),
    CUT("closed inside a header", 0, "", RAW("\1\6\0")),
    CUT("closed at once", 0, "", RAW("")),
    {.what = "reset at once",
     .reply = {RAW("")},
     .after = RESET,
     .outcome = UPSTREAM_BROKEN,
     .status = 0,
     .body = ""},
    BAD("ended without a response", 0, "", DONE),
    BAD("ended inside the head", 0, "", OUT("A: b\r\n"), DONE),
    {.what = "closed after the end",
     .reply = {OUT(HEAD_ "\r\nhi"), OUT(""), DONE},
     .after = CLOSE,
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_},
    GOOD("no STDOUT end", 200, "hi", TYPE_, OUT(HEAD_ "\r\nhi"), DONE),
    GOOD("ends of both", 200, "hi", TYPE_, ERR(""), OUT(HEAD_ "\r\nhi"), OUT(""), ERR(""), DONE),
    BAD("more after the end of STDOUT", 200, "hi", OUT(HEAD_ "\r\nhi"), OUT(""), OUT("!"), DONE),
    BAD("END_REQUEST of 7 bytes", 200, "hi", OUT(HEAD_ "\r\nhi"), REC(3, 1, "\0\0\0\0\0\0\0")),
    BAD("END_REQUEST of 9 bytes", 200, "hi", OUT(HEAD_ "\r\nhi"), REC(3, 1, "\0\0\0\0\0\0\0\0\0")),
    BAD("END_REQUEST of 0 bytes", 200, "hi", OUT(HEAD_ "\r\nhi"), REC(3, 1, "")),
    /* what END_REQUEST says */
    {.what = "CANT_MPX_CONN",
     .reply = {END("\0", "\1")},
     .outcome = UPSTREAM_OVERLOADED,
     .status = 0,
     .body = ""},
    {.what = "OVERLOADED",
     .reply = {END("\0", "\2")},
     .outcome = UPSTREAM_OVERLOADED,
     .status = 0,
     .body = ""},
    BAD("UNKNOWN_ROLE", 0, "", END("\0", "\3")),
    BAD("protocol status 4", 200, "hi", OUT(HEAD_ "\r\nhi"), END("\0", "\4")),
    BAD("protocol status 255", 200, "hi", OUT(HEAD_ "\r\nhi"), END("\0", "\377")),
    BAD("OVERLOADED after an answer", 200, "hi", OUT(HEAD_ "\r\nhi"), END("\0", "\2")),
    BAD("OVERLOADED inside the head", 0, "", OUT("A"), END("\0", "\2")),
    {.what = "exit status 1",
     .reply = {OUT(HEAD_ "\r\nhi"), END("\1", "\0")},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_,
     .failed = true,
     .kept = true},
    {.what = "exit status 2^31",
     .reply = {OUT(HEAD_ "\r\nhi"), REC(3, 1, "\200\0\0\0\0\0\0\0")},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_,
     .failed = true,
     .kept = true},
    /* stderr */
    GOOD("stderr", 200, "hi", TYPE_, ERR("PHP Warning: a\n"), OUT(HEAD_ "\r\nhi"), ERR("fatal"),
         DONE),
    {.what = "PHP Fatal error",
     .reply = {OUT(HEAD_ "\r\nhi"), ERR("PHP message: PHP Fatal error:  a\n"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_,
     .failed = true,
     .kept = true},
    {.what = "PHP Parse error without a line end",
     .reply = {OUT(HEAD_ "\r\nhi"), ERR("PHP Parse error"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_,
     .failed = true,
     .kept = true},
    {.what = "PHP Fatal error across records",
     .reply = {ERR("a\nPHP Fat"), OUT(HEAD_ "\r\nhi"), ERR("al er"), ERR("ror"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_,
     .failed = true,
     .kept = true},
    GOOD("PHP Fatal error across lines is none", 200, "hi", TYPE_, ERR("PHP Fatal\n error\n"),
         OUT(HEAD_ "\r\nhi"), DONE),
    /* records */
    GOOD("many records", 200, "hi", TYPE_, OUT("Cont"), OUT("ent-Type: a"), OUT("/b\r\n\r"),
         OUT("\nh"), OUT("i"), DONE),
    GOOD("padding", 200, "hi!", TYPE_, PADDED(6, HEAD_ "\r\nhi", 255), PADDED(7, "x", 7),
         PADDED(6, "!", 1), DONE),
    {.what = "padding of END_REQUEST",
     .reply = {OUT(HEAD_ "\r\nhi"), PADDED(3, "\0\0\0\0\0\0\0\0", 9)},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_,
     .kept = EITHER},
    BAD("another id", 0, "", REC(6, 2, "A: b\n\nevil"), OUT(HEAD_ "\r\nhi"), DONE),
    BAD("id 257", 0, "", REC(6, 257, "A: b\n\nevil"), OUT(HEAD_ "\r\nhi"), DONE),
    BAD("END_REQUEST of another id", 200, "hi", OUT(HEAD_ "\r\nhi"), REC(3, 2, "\0\0\0\0\0\0\0\0")),
    BAD("an unknown type", 200, "hi", OUT(HEAD_ "\r\nhi"), REC(12, 1, "x"), DONE),
    BAD("a type of ours", 200, "hi", OUT(HEAD_ "\r\nhi"), REC(5, 1, "x"), DONE),
    BAD("type 0", 200, "hi", OUT(HEAD_ "\r\nhi"), RAW("\1\0\0\1\0\0\0\0"), DONE),
    BAD("version 2", 200, "hi", OUT(HEAD_ "\r\nhi"), RAW("\2\6\0\1\0\0\0\0")),
    CUT("HTTP", 0, "", RAW("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
    {.what = "bytes after the end",
     .reply = {OUT(HEAD_ "\r\nhi"), DONE, RAW("\1")},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_},
    {.what = "an answer after the end",
     .reply = {OUT(HEAD_ "\r\nhi"), DONE, OUT(HEAD_ "\r\nevil"), DONE},
     .outcome = UPSTREAM_OK,
     .status = 200,
     .body = "hi",
     .fields = TYPE_},
};

static void
check_row(const struct row *row, struct upstream *u, struct script *s, struct raw_server *server)
{
    const char *method = row->method ? row->method : "GET";
    struct answer a = {0};
    ask(u, method, &a);
    assert_int_equal(count(s, &s->begun), 1);
    assert_true(s->keep);
    if (a.result.outcome != row->outcome)
        fail_msg("%s: outcome %d, expected %d: %s", row->what, a.result.outcome, row->outcome,
                 a.result.error.message);
    if (a.status != row->status)
        fail_msg("%s: status %d, expected %d", row->what, a.status, row->status);
    if (a.body_n != strlen(row->body) || memcmp(a.body ? a.body : "", row->body, a.body_n) != 0)
        fail_msg("%s: %zu bytes of body", row->what, a.body_n);
    if (row->fields && strcmp(a.fields, row->fields) != 0)
        fail_msg("%s: fields:\n%s", row->what, a.fields);
    if (row->interim && strcmp(a.interim, row->interim) != 0)
        fail_msg("%s: interim:\n%s", row->what, a.interim);
    if (a.result.failed != row->failed)
        fail_msg("%s: failed %d", row->what, a.result.failed);
    if (row->outcome == UPSTREAM_OVERLOADED && a.result.maybe_received)
        fail_msg("%s: refused, and yet perhaps received", row->what);
    answer_reset(&a);
    if (!row->kept)
        nap(10); /* what comes after the end is there */
    ask(u, method, &a);
    int connections = raw_server_connections(server);
    if (row->kept != EITHER && (connections == 1) != row->kept)
        fail_msg("%s: %d connections", row->what, connections);
    answer_reset(&a);
}

static void
check_rows(bool drip)
{
    for (size_t i = 0; i < LENGTH_OF(rows); i++) {
        struct script *s = script_new(rows[i].reply, rows[i].after);
        s->drip = drip;
        struct raw_server *server = raw_server_start(NULL, play, s);
        struct upstream *u = open_one(fastcgi_url(server), keeping);
        check_row(&rows[i], u, s, server);
        upstream_free(u);
        raw_server_stop(server);
        script_free(s);
    }
}

static void
each_answer_is_understood_or_refused(void **state)
{
    (void)state;
    check_rows(false);
}

static void
where_an_answer_breaks_into_pieces_does_not_matter(void **state)
{
    (void)state;
    check_rows(true);
}

/* Text of n characters in the middle. */
static char *
long_text(const char *start, size_t n, const char *end)
{
    char *text = malloc(strlen(start) + n + strlen(end) + 1);
    assert_non_null(text);
    char *p = stpcpy(text, start);
    memset(p, 'x', n);
    strcpy(p + n, end);
    return text;
}

/* One answer, given as the text on stdout, of any length. */
static enum upstream_outcome
answer_of(const char *text, struct answer *a)
{
    struct piece reply[PIECES_MAX] = {{0}};
    size_t n = strlen(text), k = 0;
    for (size_t at = 0; at < n; at += 65535)
        reply[k++] =
            (struct piece){RECORD_STDOUT, 1, text + at, n - at < 65535 ? n - at : 65535, 0};
    reply[k] = (struct piece)DONE;
    struct script *s = script_new(reply, CLOSE);
    struct raw_server *server = raw_server_start(NULL, play, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    enum upstream_outcome outcome = ask(u, "GET", a);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
    return outcome;
}

static void
a_head_has_bounds(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        enum upstream_outcome outcome;
    } sizes[] = {{FIELDS_BYTES_MAX - 1, UPSTREAM_OK},
                 {FIELDS_BYTES_MAX, UPSTREAM_BROKEN},
                 {(size_t)400 * 1024, UPSTREAM_BROKEN}};
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        struct answer a = {0};
        char *text = long_text("A:", sizes[i].n, "\n\nhi");
        assert_int_equal(answer_of(text, &a), sizes[i].outcome);
        assert_body(&a, sizes[i].outcome == UPSTREAM_OK ? "hi" : "");
        if (sizes[i].n > MESSAGE_HEAD_MAX) /* and not looked at */
            assert_non_null(strstr(a.result.error.message, "too large"));
        free(text);
        answer_reset(&a);
    }
    for (size_t n = 32; n <= 33; n++) {
        struct answer a = {0};
        char text[33 * 13 + 20] = "", *p = text;
        for (size_t i = 0; i < n; i++)
            p = stpcpy(p, "Status: 103\n\n");
        stpcpy(p, "A: b\n\nhi");
        assert_int_equal(answer_of(text, &a), n == 32 ? UPSTREAM_OK : UPSTREAM_BROKEN);
        answer_reset(&a);
    }
}

static void
a_script_that_speaks_for_the_server_is_told_so(void **state)
{
    (void)state;
    struct answer a = {0};
    assert_int_equal(answer_of("HTTP/1.1 200 OK\r\nA: b\r\n\r\nhi", &a), UPSTREAM_BROKEN);
    assert_non_null(strstr(a.result.error.message, "non-parsed header"));
    answer_reset(&a);
}

/* ------------------------------------------------------------------- requests */

/* A length as FastCGI has it; moves *p on. */
static size_t
take_length(const unsigned char **p)
{
    if (**p < 128)
        return *(*p)++;
    size_t n = (size_t)((*p)[0] & 0x7f) << 24 | (size_t)(*p)[1] << 16 | (size_t)(*p)[2] << 8 |
               (*p)[3];
    *p += 4;
    return n;
}

static void
assert_parameters(struct script *s, const struct upstream_parameter *list, size_t n)
{
    const unsigned char *p = (const unsigned char *)s->parameters, *end = p + s->parameters_n;
    for (size_t i = 0; i < n; i++) {
        assert_true(p < end);
        size_t name = take_length(&p), value = take_length(&p);
        assert_int_equal(name, list[i].name.n);
        assert_int_equal(value, list[i].value.n);
        assert_true((size_t)(end - p) >= name + value);
        assert_memory_equal(p, list[i].name.p ? list[i].name.p : "", name);
        assert_memory_equal(p + name, list[i].value.p ? list[i].value.p : "", value);
        p += name + value;
    }
    assert_true(p == end);
}

static void
parameters_arrive_as_given(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 127, 128, 65528, 70000};
    enum { N = LENGTH_OF(lengths) };
    struct script *s = script_new(hello, KEEP);
    struct raw_server *server = raw_server_start(NULL, play, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    char *text = pattern(70000);
    struct upstream_parameter list[N * N];
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++)
            list[i * N + k] = (struct upstream_parameter){{text, lengths[i]},
                                                          {text + 1, lengths[k] - !!lengths[k]}};
    for (size_t i = 0; i < N * N; i++) {
        struct answer a = {0};
        struct asking asking = {.parameters = &list[i], .parameter_count = 1};
        assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_OK);
        assert_parameters(s, &list[i], 1);
        answer_reset(&a);
    }
    /* Several that lie across records, and none at all. */
    struct answer a = {0};
    struct asking asking = {.parameters = list + 2, .parameter_count = 7};
    assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_OK);
    assert_parameters(s, list + 2, 7);
    assert_int_equal(s->records, s->parameters_n / 65528 + 2);
    assert_true(s->records > 3);
    answer_reset(&a);
    asking.parameter_count = 0;
    assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_OK);
    assert_parameters(s, NULL, 0);
    assert_int_equal(s->records, 1);
    /* max_idle 0: the backend is told to close. */
    assert_false(s->keep);
    answer_reset(&a);
    free(text);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
}

static void
a_body_arrives_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     7,     65512, 65513,
                                   65519, 65520, 65521, 65536, (size_t)1 << 20};
    struct script *s = script_new(hello, KEEP);
    struct raw_server *server = raw_server_start(NULL, play, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    char *data = pattern((size_t)1 << 20);
    for (size_t i = 0; i < LENGTH_OF(sizes); i++) {
        struct source source = {.data = data, .n = sizes[i]};
        struct answer a = {0};
        struct asking asking = {.method = "POST", .body = &source, .body_len = (int64_t)sizes[i]};
        assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_OK);
        assert_body(&a, "hello");
        assert_true(a.result.maybe_received);
        assert_int_equal(s->body_n, sizes[i]);
        if (sizes[i])
            assert_memory_equal(s->body, data, sizes[i]);
        answer_reset(&a);
    }
    assert_int_equal(count(s, &s->whole), LENGTH_OF(sizes));
    assert_int_equal(count(s, &s->aborted), 0);

    /* FastCGI has to be told a length, and there is none. */
    struct source source = {.data = data, .n = 10};
    struct answer a = {0};
    struct asking asking = {.method = "POST", .body = &source, .body_len = -1};
    assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_BROKEN);
    assert_int_equal(a.result.error.status, LARDER_INVALID);
    assert_false(a.result.maybe_received);
    answer_reset(&a);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
}

static void
a_body_that_the_client_breaks_off_is_aborted_and_never_whole(void **state)
{
    (void)state;
    struct script *s = script_new(hello, KEEP);
    struct raw_server *server = raw_server_start(NULL, play, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    char *data = pattern(200000);
    struct source sources[] = {{.data = data, .n = 200000, .break_at = 100000},
                               {.data = data, .n = 200000, .end_at = 100000},
                               {.data = data, .n = 200000, .break_at = 199999}};
    for (size_t i = 0; i < LENGTH_OF(sources); i++) {
        struct answer a = {0};
        struct asking asking = {.method = "POST", .body = &sources[i], .body_len = 200000};
        assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_CLIENT_GONE);
        assert_true(a.result.maybe_received);
        assert_true(seen(s, &s->closed, (int)i + 1));
        assert_int_equal(count(s, &s->aborted), (int)i + 1);
        answer_reset(&a);
    }
    assert_int_equal(count(s, &s->whole), 0);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
}

static void
await_begun(void *arg)
{
    struct script *s = arg;
    seen(s, &s->begun, 1);
    nap(20);
}

static void
an_answer_before_the_body_is_sent_is_delivered(void **state)
{
    (void)state;
    static const struct piece large[PIECES_MAX] = {OUT("Status: 413\n\nno"), DONE};
    const size_t n = (size_t)8 << 20;
    char *data = pattern(n);
    for (int i = 0; i < 6; i++) {
        struct script *s = script_new(large, i % 3 == 0 ? CLOSE : i % 3 == 1 ? HANG : KEEP);
        s->when = i < 3 ? PARAMETERS : FIRST;
        struct raw_server *server = raw_server_start(NULL, play, s);
        struct upstream *u = open_one(fastcgi_url(server), keeping);
        struct source source = {
            .data = data, .n = n, .before = i < 3 ? await_begun : NULL, .before_arg = s};
        struct answer a = {0};
        struct asking asking = {.method = "POST", .body = &source, .body_len = (int64_t)n};
        enum upstream_outcome outcome = ask_with(u, &asking, &a);
        /* Closed with the body unread is a reset, which may overtake the answer. */
        if (outcome != UPSTREAM_OK && !(i % 3 == 0 && outcome == UPSTREAM_BROKEN))
            fail_msg("%s", a.result.error.message);
        if (outcome == UPSTREAM_OK) {
            assert_int_equal(a.status, 413);
            assert_body(&a, "no");
        }
        assert_true(source.at < n);
        answer_reset(&a);
        /* Half a request is in it. */
        expect_ok(u, "GET", "no");
        assert_int_equal(raw_server_connections(server), 2);
        upstream_free(u);
        raw_server_stop(server);
        s->wrong[0] = '\0'; /* cut in the middle of a record */
        script_free(s);
    }
    free(data);
}

/* --------------------------------------------------------------------- stderr */

/* What has been logged in `file`, and how many lines those are. */
static char *
read_log(const char *file, size_t *n, int *lines)
{
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    size_t room = (size_t)4 << 20;
    char *text = malloc(room);
    assert_non_null(text);
    *n = fread(text, 1, room - 1, f);
    text[*n] = '\0';
    *lines = 0;
    for (size_t i = 0; i < *n; i++)
        *lines += text[i] == '\n';
    fclose(f);
    return text;
}

/* What is logged of an answer, and whether it counts as failed. */
static char *
logged(const struct piece *reply, bool *failed, size_t *n, int *lines)
{
    char dir[] = "/tmp/larder-fastcgi-XXXXXX";
    char file[64];
    struct larder_error err;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof file, "%s/log", dir);
    assert_int_equal(log_open(LOG_TARGET_FILE, file, LARDER_LOG_INFO, &err), LARDER_OK);
    struct script *s = script_new(reply, CLOSE);
    struct raw_server *server = raw_server_start(NULL, play, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    struct answer a = {0};
    assert_int_equal(ask(u, "GET", &a), UPSTREAM_OK);
    *failed = a.result.failed;
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
    log_close();
    char *text = read_log(file, n, lines);
    unlink(file);
    assert_int_equal(rmdir(dir), 0);
    return text;
}

static void
stderr_is_logged_a_line_each(void **state)
{
    (void)state;
    static const struct piece reply[PIECES_MAX] = {ERR("one\n\ntw"), OUT("A: b\n\n"), ERR("o\nth"),
                                                   ERR("ree \x1b[1m\r"), DONE};
    bool failed;
    size_t n;
    int lines;
    char *text = logged(reply, &failed, &n, &lines);
    assert_int_equal(lines, 3);
    assert_false(failed);
    assert_non_null(strstr(text, "GET example.org/a?b: stderr: one\n"));
    assert_non_null(strstr(text, "GET example.org/a?b: stderr: two\n"));
    assert_non_null(strstr(text, "stderr: three \\x1b[1m\\x0d\n"));
    free(text);
}

/* A line that is longer than what is kept of one is looked through all the same. */
static void
a_fatal_error_is_found_wherever_a_long_line_is_broken(void **state)
{
    (void)state;
    for (size_t n = 1000; n <= 1030; n++) {
        char *line = long_text("", n, "PHP Fatal error: x");
        struct piece reply[PIECES_MAX] = {
            {RECORD_STDERR, 1, line, strlen(line), 0}, OUT("A: b\n\n"), DONE};
        bool failed;
        size_t bytes;
        int lines;
        free(logged(reply, &failed, &bytes, &lines));
        if (!failed)
            fail_msg("not found behind %zu characters", n);
        assert_int_equal(lines, strlen(line) > 1024 ? 2 : 1);
        free(line);
    }
}

static void
a_flood_of_stderr_is_bounded_in_the_log(void **state)
{
    (void)state;
    char *lines_of_one = malloc(65535), *one_line = long_text("", 65535, "");
    assert_non_null(lines_of_one);
    for (size_t i = 0; i < 65535; i++)
        lines_of_one[i] = i % 2 ? '\n' : 'x';
    const char *floods[] = {lines_of_one, one_line};
    for (size_t i = 0; i < LENGTH_OF(floods); i++) {
        struct piece flood = {RECORD_STDERR, 1, floods[i], 65535, 0};
        struct piece reply[PIECES_MAX] = {
            flood, flood, OUT("A: b\n\n"), flood, ERR("\nPHP Fatal error\n"), DONE};
        bool failed;
        size_t n;
        int lines;
        char *text = logged(reply, &failed, &n, &lines);
        assert_true(failed);
        assert_non_null(strstr(text, "left out"));
        assert_true(lines > 10);
        if (n > 32 * 1024)
            fail_msg("%zu bytes in the log, %d lines", n, lines);
        free(text);
    }
    free(lines_of_one);
    free(one_line);
}

/* --------------------------------------------------------- management records */

#define GET_VALUES \
    REC(RECORD_GET_VALUES, 0, "\x0e\0FCGI_MAX_CONNS\x0d\0FCGI_MAX_REQS\x0f\0FCGI_MPXS_CONNS")

static void
what_a_backend_asks_is_answered(void **state)
{
    (void)state;
    static const struct piece reply[PIECES_MAX] = {GET_VALUES, REC(77, 0, "abc"),
                                                   REC(RECORD_UNKNOWN_TYPE, 0, "\5\0\0\0\0\0\0\0"),
                                                   OUT("A: b\n\nhi"), DONE};
    for (int drip = 0; drip < 2; drip++) {
        struct script *s = script_new(reply, HANG);
        s->drip = drip;
        s->pause_ms = 30; /* so that one is answered before the next */
        struct raw_server *server = raw_server_start(NULL, play, s);
        struct upstream *u = open_one(fastcgi_url(server), NULL);
        expect_ok(u, "GET", "hi");
        assert_true(seen(s, &s->closed, 1));
        assert_int_equal(s->values, 1);
        assert_int_equal(s->unknown, 1);
        assert_int_equal(s->unknown_type, 77);
        upstream_free(u);
        raw_server_stop(server);
        script_free(s);
    }
}

static void
type_0_is_a_type_that_nobody_knows(void **state)
{
    (void)state;
    static const struct piece reply[PIECES_MAX] = {REC(1, 0, ""), RAW("\1\0\0\0\0\4\0\0abcd"),
                                                   OUT("A: b\n\nhi"), DONE};
    for (int drip = 0; drip < 2; drip++) {
        struct script *s = script_new(reply, HANG);
        s->drip = drip;
        s->pause_ms = 30;
        struct raw_server *server = raw_server_start(NULL, play, s);
        struct upstream *u = open_one(fastcgi_url(server), NULL);
        expect_ok(u, "GET", "hi");
        assert_true(seen(s, &s->closed, 1));
        assert_int_equal(s->unknown, 2);
        assert_int_equal(s->unknown_type, 0);
        upstream_free(u);
        raw_server_stop(server);
        script_free(s);
    }
}

/* Asks with the first of the body and answers with the last. */
static void
play_asking(struct raw_conn *conn)
{
    static const struct piece values = GET_VALUES, unknown = REC(99, 0, "");
    struct script *s = conn->arg;
    struct incoming *in = malloc(sizeof *in);
    enum progress state = GONE, now;
    if (!in)
        abort();
    for (bool first = true; (now = take_record(conn, in, &state)) != GONE && now != BODY_ALL;) {
        if (now == BODY_SOME && first) {
            nap(100); /* until a record is stuck half sent */
            say(conn, &values);
            first = false;
        }
        if (now == OTHER && in->type == RECORD_GET_VALUES_RESULT)
            say(conn, &unknown);
    }
    if (now != GONE)
        answer_with(conn, s->reply);
    hear_out(conn, in, state);
    free(in);
}

static void
what_a_backend_asks_while_a_body_is_sent_is_answered_between_its_records(void **state)
{
    (void)state;
    struct script *s = script_new(hello, KEEP);
    struct raw_server *server = raw_server_start(NULL, play_asking, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    const size_t n = (size_t)12 << 20;
    char *data = pattern(n);
    struct source source = {.data = data, .n = n};
    struct answer a = {0};
    struct asking asking = {.method = "POST", .body = &source, .body_len = (int64_t)n};
    assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_OK);
    assert_body(&a, "hello");
    assert_true(seen(s, &s->closed, 1));
    assert_int_equal(s->values, 1);
    assert_int_equal(s->unknown, 1);
    assert_int_equal(s->body_n, n);
    assert_memory_equal(s->body, data, n);
    answer_reset(&a);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
}

/* ---------------------------------------------------------- kept, and repeated */

struct server {
    struct script *script;
    struct raw_server *raw;
    const char *url;
};

static struct server
serve_at(const char *unix_path, struct script *script)
{
    struct server server = {script, raw_server_start(unix_path, play, script), NULL};
    server.url = fastcgi_url(server.raw);
    return server;
}

static struct server
serve(const struct piece *reply, enum after after)
{
    return serve_at(NULL, script_new(reply, after));
}

static void
server_end(struct server *server)
{
    raw_server_stop(server->raw);
    script_free(server->script);
}

static void
expect(struct upstream *u, const char *method, enum upstream_outcome outcome)
{
    struct answer a = {0};
    if (ask(u, method, &a) != outcome)
        fail_msg("outcome %d, expected %d: %s", a.result.outcome, outcome, a.result.error.message);
    answer_reset(&a);
}

static void
a_safe_request_is_repeated_once_when_a_kept_connection_dies(void **state)
{
    (void)state;
    struct script *s = script_new(hello, KEEP);
    s->first_alone = true;
    struct server server = serve_at(NULL, s);
    struct upstream *u = open_one(server.url, keeping);
    for (int i = 0; i < 3; i++) {
        expect_ok(u, "GET", "hello");
        assert_int_equal(count(s, &s->begun), 1 + 2 * i);
    }
    assert_int_equal(raw_server_connections(server.raw), 3);
    upstream_free(u);
    server_end(&server);

    /* And when the new one dies as well, that is that. */
    static const struct piece nothing[PIECES_MAX] = {RAW("")};
    server = serve(hello, KEEP);
    server.script->then = nothing;
    server.script->then_after = CLOSE;
    u = open_one(server.url, keeping);
    expect_ok(u, "GET", "hello");
    expect(u, "GET", UPSTREAM_BROKEN);
    assert_int_equal(count(server.script, &server.script->begun), 3);
    upstream_free(u);
    server_end(&server);
}

static void
an_unsafe_request_never_goes_out_on_a_kept_connection(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "DELETE", "PUT", "PURGE"};
    for (size_t i = 0; i < LENGTH_OF(methods); i++) {
        struct script *s = script_new(hello, KEEP);
        s->first_alone = true;
        struct server server = serve_at(NULL, s);
        struct upstream *u = open_one(server.url, keeping);
        expect_ok(u, "GET", "hello");
        expect_ok(u, methods[i], "hello");
        assert_int_equal(count(s, &s->begun), 2);
        assert_int_equal(raw_server_connections(server.raw), 2);
        upstream_free(u);
        server_end(&server);
    }
}

static void
slow_to_keep(struct upstream_options *options)
{
    options->max_idle = 4;
    options->connect_timeout_ms = 100;
}

/* A script that was given up would be given up again. */
static void
what_died_late_or_after_a_byte_is_not_repeated(void **state)
{
    (void)state;
    struct script *s = script_new(hello, KEEP);
    s->first_alone = true;
    s->die_ms = 250;
    struct server server = serve_at(NULL, s);
    struct upstream *u = open_one(server.url, slow_to_keep);
    expect_ok(u, "GET", "hello");
    expect(u, "GET", UPSTREAM_BROKEN);
    assert_int_equal(count(s, &s->begun), 2);
    upstream_free(u);
    server_end(&server);

    static const struct piece byte[PIECES_MAX] = {RAW("\1")};
    server = serve(hello, KEEP);
    server.script->then = byte;
    server.script->then_after = CLOSE;
    u = open_one(server.url, keeping);
    expect_ok(u, "GET", "hello");
    expect(u, "GET", UPSTREAM_BROKEN);
    assert_int_equal(count(server.script, &server.script->begun), 2);
    assert_int_equal(raw_server_connections(server.raw), 1);
    upstream_free(u);
    server_end(&server);
}

/* ----------------------------------------------------------------- deadlines */

static void
expect_timeout(const struct piece *reply, raw_server_fn fn, bool head)
{
    struct script *s = script_new(reply, HANG);
    struct raw_server *server = raw_server_start(NULL, fn, s);
    struct upstream *u = open_one(fastcgi_url(server), impatient);
    struct answer a = {0};
    int64_t start_ms = clock_now_ms();
    ask(u, "GET", &a);
    int64_t took_ms = clock_now_ms() - start_ms;
    if (a.result.outcome != UPSTREAM_TIMEOUT)
        fail_msg("outcome %d: %s", a.result.outcome, a.result.error.message);
    assert_in_range(took_ms, 140, 1500);
    assert_int_equal(a.heads, head);
    assert_int_equal(count(s, &s->begun), 1);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
}

/* One whole request, and then records without end. */
static void
play_for_ever(struct raw_conn *conn, const struct piece *what, int pause_ms)
{
    struct script *s = conn->arg;
    struct incoming *in = malloc(sizeof *in);
    enum progress state = GONE, now;
    if (!in)
        abort();
    do {
        now = take_record(conn, in, &state);
    } while (now != GONE && now != BODY_ALL);
    free(in);
    if (answer_with(conn, s->reply))
        while (say(conn, what))
            nap(pause_ms);
}

static void
play_flood(struct raw_conn *conn)
{
    /* Short lines: to read them costs more than to write them, so that there is always one more. */
    char *text = malloc(65528);
    if (!text)
        abort();
    memset(text, '\n', 65528);
    for (size_t i = 0; i < 65528; i += 2)
        text[i] = 'x';
    const struct piece flood = {RECORD_STDERR, 1, text, 65528, 0};
    play_for_ever(conn, &flood, 0);
    free(text);
}

static void
play_question_flood(struct raw_conn *conn)
{
    static const struct piece values = GET_VALUES;
    play_for_ever(conn, &values, 0);
}

static void
play_curious(struct raw_conn *conn)
{
    static const struct piece values = GET_VALUES;
    play_for_ever(conn, &values, 40);
}

static void
play_complaining(struct raw_conn *conn)
{
    static const struct piece complaint = ERR("a\n");
    play_for_ever(conn, &complaint, 40);
}

static void
an_answer_that_does_not_come_is_a_timeout_whatever_else_comes(void **state)
{
    (void)state;
    static const struct piece nothing[PIECES_MAX] = {RAW("")};
    static const struct piece some[PIECES_MAX] = {OUT("A: b\n")};
    static const struct piece early[PIECES_MAX] = {OUT("Status: 103\n\n")};
    static const struct piece head[PIECES_MAX] = {OUT("A: b\n\nhi")};
    expect_timeout(nothing, play, false);
    expect_timeout(some, play, false);
    expect_timeout(early, play, false);
    expect_timeout(head, play, true);
    expect_timeout(nothing, play_complaining, false);
    expect_timeout(nothing, play_curious, false);
    expect_timeout(some, play_flood, false);
    expect_timeout(nothing, play_question_flood, false);
}

static int64_t
until(void *arg)
{
    return *(int64_t *)arg;
}

/* Nobody waits for it, for so long. *ended: the backend has come to its end. */
static enum upstream_outcome
ask_unattended(const struct piece *reply, raw_server_fn fn, int late_ms, int64_t patience_ms,
               bool *ended)
{
    struct script *s = script_new(reply, HANG);
    struct raw_server *server = raw_server_start(NULL, fn, s);
    struct upstream *u = open_one(fastcgi_url(server), impatient);
    struct answer a = {0};
    int64_t start_ms = clock_now_ms(), until_ms = start_ms + patience_ms;
    s->late_ms = late_ms;
    ask_with(u, &(struct asking){.method = "POST", .unattended = until, .watcher = &until_ms}, &a);
    enum upstream_outcome outcome = a.result.outcome;
    *ended = a.result.ended;
    assert_int_equal(a.heads, 1);
    assert_in_range(clock_now_ms() - start_ms, late_ms ? late_ms - 10 : 240, 4000);
    answer_reset(&a);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
    return outcome;
}

static void
an_answer_that_nobody_waits_for_has_its_time_whatever_comes(void **state)
{
    (void)state;
    static const struct piece whole[PIECES_MAX] = {OUT("Content-Length: 2\n\nhi"), DONE};
    static const struct piece longer[PIECES_MAX] = {OUT("Content-Length: 2\n\nhi more"), DONE};
    static const struct piece head[PIECES_MAX] = {OUT("Content-Length: 2\n\nhi")};
    bool ended;
    /* Silence is no reason to give up, */
    assert_int_equal(ask_unattended(whole, play, 400, 10000, &ended), UPSTREAM_OK);
    assert_true(ended);
    /* nor is nonsense one to say that it did not come to its end. */
    assert_int_equal(ask_unattended(longer, play, 400, 10000, &ended), UPSTREAM_BROKEN);
    assert_true(ended);
    assert_int_equal(ask_unattended(head, play, 0, 250, &ended), UPSTREAM_TIMEOUT);
    assert_false(ended);
    assert_int_equal(ask_unattended(head, play_flood, 0, 250, &ended), UPSTREAM_TIMEOUT);
    assert_int_equal(ask_unattended(head, play_question_flood, 0, 250, &ended), UPSTREAM_TIMEOUT);
}

static void
a_body_that_makes_progress_is_not_cut(void **state)
{
    (void)state;
    static const struct piece slow[PIECES_MAX] = {OUT("A: b\n\nh"), OUT("i"), ERR("a"), ERR("b"),
                                                  OUT("!"),         OUT("!"), DONE};
    struct server server = serve(slow, CLOSE);
    server.script->pause_ms = 60;
    struct upstream *u = open_one(server.url, impatient);
    expect_ok(u, "GET", "hi!!");
    upstream_free(u);
    server_end(&server);
}

/* ------------------------------------------------------------ the client watched */

struct watcher {
    int fd[2]; /* ours, the client's */
    enum upstream_client says;
    int calls, events;
    bool reads; /* what the client says, one byte at each event */
};

static int
watcher_client(void *arg)
{
    struct watcher *w = arg;
    w->calls++;
    return w->fd[0];
}

static enum upstream_client
watcher_event(void *arg)
{
    struct watcher *w = arg;
    char byte;
    w->events++;
    if (w->reads)
        assert_int_equal(read(w->fd[0], &byte, 1), 1);
    return w->says;
}

static void
watcher_start(struct watcher *w, enum upstream_client says)
{
    *w = (struct watcher){.says = says};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, w->fd), 0);
}

static void
watcher_end(struct watcher *w)
{
    for (int i = 0; i < 2; i++)
        if (w->fd[i] >= 0)
            close(w->fd[i]);
}

static void
hang_up(struct watcher *w)
{
    close(w->fd[1]);
    w->fd[1] = -1;
}

static enum upstream_outcome
ask_watched(struct upstream *u, struct watcher *w, struct answer *a)
{
    struct asking asking = {.client = watcher_client, .client_event = watcher_event, .watcher = w};
    return ask_with(u, &asking, a);
}

static void
for_a_client_that_left_the_request_is_aborted(void **state)
{
    (void)state;
    static const struct piece nothing[PIECES_MAX] = {RAW("")};
    static const struct piece some[PIECES_MAX] = {OUT("A: b\n\nhi")};
    for (int i = 0; i < 2; i++) {
        struct server server = serve(i ? some : nothing, HANG);
        struct script *s = server.script;
        struct upstream *u = open_one(server.url, keeping);
        struct watcher w;
        struct answer a = {0};
        watcher_start(&w, UPSTREAM_CLIENT_LEFT);
        hang_up(&w);
        int64_t start_ms = clock_now_ms();
        assert_int_equal(ask_watched(u, &w, &a), UPSTREAM_CLIENT_GONE);
        assert_true(clock_now_ms() - start_ms < 2000);
        assert_int_equal(w.events, 1);
        assert_true(seen(s, &s->closed, 1));
        assert_int_equal(count(s, &s->aborted), 1);
        watcher_end(&w);
        answer_reset(&a);
        upstream_free(u);
        server_end(&server);
    }
}

static void
a_client_that_is_unclear_is_watched_no_more(void **state)
{
    (void)state;
    struct server server = serve(hello, CLOSE);
    server.script->late_ms = 150;
    struct upstream *u = open_one(server.url, NULL);
    struct watcher w;
    struct answer a = {0};
    watcher_start(&w, UPSTREAM_CLIENT_UNCLEAR);
    assert_int_equal(write(w.fd[1], "x", 1), 1);
    assert_int_equal(ask_watched(u, &w, &a), UPSTREAM_OK);
    assert_body(&a, "hello");
    assert_int_equal(w.events, 1);
    watcher_end(&w);
    answer_reset(&a);

    /* One that has said something and is there is watched on. */
    watcher_start(&w, UPSTREAM_CLIENT_THERE);
    w.reads = true;
    assert_int_equal(write(w.fd[1], "xyz", 3), 3);
    assert_int_equal(ask_watched(u, &w, &a), UPSTREAM_OK);
    assert_int_equal(w.events, 3);
    watcher_end(&w);
    answer_reset(&a);

    /* Nobody to watch. */
    watcher_start(&w, UPSTREAM_CLIENT_LEFT);
    hang_up(&w);
    close(w.fd[0]);
    w.fd[0] = -1;
    assert_int_equal(ask_watched(u, &w, &a), UPSTREAM_OK);
    assert_true(w.calls > 0);
    assert_int_equal(w.events, 0);
    answer_reset(&a);
    upstream_free(u);
    server_end(&server);
}

/* Reads nothing for a while, then everything. */
static void
play_late_reader(struct raw_conn *conn)
{
    struct incoming *in = malloc(sizeof *in);
    if (!in)
        abort();
    nap(300);
    hear_out(conn, in, GONE);
    free(in);
}

/* There it would be that one's content. */
static void
inside_a_record_nothing_is_aborted(void **state)
{
    (void)state;
    char dir[] = "/tmp/larder-fastcgi-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/backend.sock", dir);
    struct script *s = script_new(hello, CLOSE);
    struct raw_server *server = raw_server_start(path, play_late_reader, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    char *value = pattern(PARAMETERS_MAX - 8);
    struct upstream_parameter large = {slice_of(""), {value, PARAMETERS_MAX - 8}};
    struct watcher w;
    struct answer a = {0};
    watcher_start(&w, UPSTREAM_CLIENT_LEFT);
    hang_up(&w);
    struct asking asking = {.parameters = &large,
                            .parameter_count = 1,
                            .client = watcher_client,
                            .client_event = watcher_event,
                            .watcher = &w};
    assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_CLIENT_GONE);
    assert_true(seen(s, &s->closed, 1));
    assert_int_equal(count(s, &s->aborted), 0);
    assert_int_equal(count(s, &s->whole), 0);
    assert_true(s->parameters_n < PARAMETERS_MAX / 2);
    watcher_end(&w);
    answer_reset(&a);
    free(value);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

/* Takes the parameters, and then neither takes nor says anything. */
static void
play_deaf(struct raw_conn *conn)
{
    struct script *s = conn->arg;
    struct incoming *in = malloc(sizeof *in);
    enum progress state = GONE, now;
    if (!in)
        abort();
    do {
        now = take_record(conn, in, &state);
    } while (now != GONE && now != PARAMETERS_ALL);
    free(in);
    shutdown(conn->fd, SHUT_RD);
    note(s, &s->whole);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 3;
    pthread_mutex_lock(&s->mutex);
    while (s->closed == 0 && pthread_cond_timedwait(&s->changed, &s->mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&s->mutex);
}

static void
await_deaf(void *arg)
{
    struct script *s = arg;
    seen(s, &s->whole, 1);
}

static void
a_client_is_watched_when_its_body_is_of_no_use_any_more(void **state)
{
    (void)state;
    char dir[] = "/tmp/larder-fastcgi-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/backend.sock", dir);
    struct script *s = script_new(hello, CLOSE);
    struct raw_server *server = raw_server_start(path, play_deaf, s);
    struct upstream *u = open_one(fastcgi_url(server), NULL);
    const size_t n = (size_t)4 << 20;
    char *data = pattern(n);
    /* Sent before, it would fill the socket, and who waits for room is not told. */
    struct source source = {.data = data, .n = n, .before = await_deaf, .before_arg = s};
    struct watcher w;
    struct answer a = {0};
    watcher_start(&w, UPSTREAM_CLIENT_LEFT);
    hang_up(&w);
    struct asking asking = {.method = "POST",
                            .body = &source,
                            .body_len = (int64_t)n,
                            .client = watcher_client,
                            .client_event = watcher_event,
                            .watcher = &w};
    assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_CLIENT_GONE);
    assert_int_equal(w.events, 1);
    note(s, &s->closed);
    watcher_end(&w);
    answer_reset(&a);
    free(data);
    upstream_free(u);
    raw_server_stop(server);
    script_free(s);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

/* ------------------------------------------------------------ several backends */

static const struct piece overloaded[PIECES_MAX] = {END("\0", "\2")};

/* A port of 127.0.0.1 where nobody listens, and nobody else can. */
struct dead {
    int fd;
    struct sockaddr_in in;
    char url[64];
};

static void
dead_start(struct dead *d)
{
    socklen_t n = sizeof d->in;
    d->fd = socket(AF_INET, SOCK_STREAM, 0);
    d->in = (struct sockaddr_in){.sin_family = AF_INET};
    d->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(d->fd, (struct sockaddr *)&d->in, sizeof d->in), 0);
    assert_int_equal(getsockname(d->fd, (struct sockaddr *)&d->in, &n), 0);
    snprintf(d->url, sizeof d->url, "fastcgi://127.0.0.1:%d", ntohs(d->in.sin_port));
}

static void
short_rest(struct upstream_options *options)
{
    options->fail_timeout_ms = 500;
    options->connect_timeout_ms = 1000;
}

static void
what_takes_no_connection_is_followed_by_the_next(void **state)
{
    (void)state;
    struct dead d;
    dead_start(&d);
    struct server live = serve(hello, CLOSE);
    const char *urls[] = {d.url, live.url};
    struct upstream *u = open_several(urls, 2, NULL, NULL);
    struct source source = {.data = "0123456789", .n = 10};
    struct answer a = {0};
    struct asking asking = {.method = "POST", .body = &source, .body_len = 10};
    assert_int_equal(ask_with(u, &asking, &a), UPSTREAM_OK);
    assert_int_equal(source.at, 10);
    assert_int_equal(live.script->body_n, 10);
    assert_int_equal(count(live.script, &live.script->begun), 1);
    answer_reset(&a);
    upstream_free(u);

    /* When none takes one, the client is told so. */
    struct dead other;
    dead_start(&other);
    urls[1] = other.url;
    u = open_several(urls, 2, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(u, "POST", &a), UPSTREAM_UNREACHABLE);
        assert_false(a.result.maybe_received);
        assert_int_equal(a.result.error.status, LARDER_UNAVAILABLE);
        answer_reset(&a);
    }
    upstream_free(u);
    close(d.fd);
    close(other.fd);
    server_end(&live);
}

struct one_ask {
    struct upstream *u;
    enum upstream_outcome outcome;
    int64_t took_ms;
};

static void *
ask_once(void *arg)
{
    struct one_ask *one = arg;
    struct answer a = {0};
    int64_t start_ms = clock_now_ms();
    one->outcome = ask(one->u, "GET", &a);
    one->took_ms = clock_now_ms() - start_ms;
    answer_reset(&a);
    return NULL;
}

static void
one_that_rests_is_tried_again_by_one_request(void **state)
{
    (void)state;
    struct dead d;
    dead_start(&d);
    struct server live = serve(hello, CLOSE);
    const char *urls[] = {d.url, live.url};
    struct upstream *u = open_several(urls, 2, NULL, short_rest);
    expect_ok(u, "GET", "hello");

    /* Connecting to it takes for ever now. */
    int fill[4];
    assert_int_equal(listen(d.fd, 0), 0);
    for (int i = 0; i < 4; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], (struct sockaddr *)&d.in, sizeof d.in);
    }
    int64_t start_ms = clock_now_ms();
    for (int i = 0; i < 5; i++)
        expect_ok(u, "GET", "hello");
    assert_true(clock_now_ms() - start_ms < 450); /* it rests */
    live.script->late_ms = 400;
    struct one_ask asks[5];
    pthread_t threads[5];
    for (int i = 0; i < 5; i++) {
        /* The first while it rests; the second, with the other busy, is its trial. */
        if (i == 1)
            nap(550);
        asks[i] = (struct one_ask){.u = u};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &asks[i]), 0);
        nap(30);
    }
    for (int i = 0; i < 5; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(asks[i].outcome, UPSTREAM_OK);
        if (i == 1)
            assert_true(asks[i].took_ms >= 1000);
        else
            assert_true(asks[i].took_ms < 900);
    }
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    upstream_free(u);
    close(d.fd);
    server_end(&live);
}

static void
a_backup_is_asked_only_while_no_other_can_be_reached(void **state)
{
    (void)state;
    char dir[] = "/tmp/larder-fastcgi-XXXXXX";
    char path[64], url[96];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.sock", dir);
    snprintf(url, sizeof url, "fastcgi+unix:%s", path);
    struct server backup = serve(hello, CLOSE);
    const char *urls[] = {url};
    struct upstream *u = open_several(urls, 1, backup.url, short_rest);
    for (int i = 0; i < 3; i++)
        expect_ok(u, "GET", "hello");
    assert_int_equal(count(backup.script, &backup.script->begun), 3);

    /* It is there again, which shows when it has had its rest. */
    struct server own = serve_at(path, script_new(hello, CLOSE));
    nap(550);
    for (int i = 0; i < 5; i++)
        expect_ok(u, "GET", "hello");
    assert_int_equal(count(own.script, &own.script->begun), 5);
    assert_int_equal(count(backup.script, &backup.script->begun), 3);
    upstream_free(u);
    server_end(&own);
    server_end(&backup);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void
the_one_with_the_fewest_requests_is_asked(void **state)
{
    (void)state;
    struct server servers[2] = {serve(hello, CLOSE), serve(hello, CLOSE)};
    for (int i = 0; i < 2; i++)
        servers[i].script->late_ms = 300;
    const char *urls[] = {servers[0].url, servers[1].url};
    struct upstream *u = open_several(urls, 2, NULL, NULL);
    struct one_ask asks[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        asks[i] = (struct one_ask){.u = u};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &asks[i]), 0);
        nap(10);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(asks[i].outcome, UPSTREAM_OK);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(count(servers[i].script, &servers[i].script->begun), 2);

    /* One of them is busy, for the whole time. */
    servers[0].script->late_ms = 1500;
    servers[1].script->late_ms = 0;
    struct one_ask first = {.u = u};
    do { /* until it is the slow one's turn */
        int before = count(servers[0].script, &servers[0].script->begun);
        assert_int_equal(pthread_create(&threads[0], NULL, ask_once, &first), 0);
        nap(50);
        if (count(servers[0].script, &servers[0].script->begun) > before)
            break;
        pthread_join(threads[0], NULL);
    } while (true);
    int before = count(servers[1].script, &servers[1].script->begun);
    for (int i = 0; i < 5; i++)
        expect_ok(u, "GET", "hello");
    assert_int_equal(count(servers[1].script, &servers[1].script->begun), before + 5);
    pthread_join(threads[0], NULL);
    upstream_free(u);
    for (int i = 0; i < 2; i++)
        server_end(&servers[i]);
}

static int
begun(struct server *server)
{
    return count(server->script, &server->script->begun);
}

static void
what_is_refused_goes_to_the_next_if_there_is_no_body(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET", "DELETE", "POST", "HEAD"};
    struct server busy = serve(overloaded, CLOSE), live = serve(hello, CLOSE);
    const char *urls[] = {busy.url, live.url};
    struct upstream *u = open_several(urls, 2, NULL, NULL);
    for (int i = 0; i < 8; i++)
        expect_ok(u, methods[i / 2], i / 2 == 3 ? "" : "hello");
    assert_int_equal(begun(&live), 8);
    assert_in_range(begun(&busy), 1, 8);

    /* Of a body some has been taken from the client, and there is no second one. */
    int refused = 0, before = begun(&busy);
    for (int i = 0; i < 4; i++) {
        struct source source = {.data = "0123456789", .n = 10};
        struct answer a = {0};
        struct asking asking = {.method = "POST", .body = &source, .body_len = 10};
        enum upstream_outcome outcome = ask_with(u, &asking, &a);
        assert_true(outcome == UPSTREAM_OK || outcome == UPSTREAM_OVERLOADED);
        if (outcome == UPSTREAM_OVERLOADED)
            assert_false(a.result.maybe_received);
        refused += outcome == UPSTREAM_OVERLOADED;
        answer_reset(&a);
    }
    assert_true(refused > 0);
    assert_int_equal(begun(&busy) - before, refused);
    assert_int_equal(begun(&live), 8 + 4 - refused);
    upstream_free(u);
    server_end(&busy);
    server_end(&live);
}

/* Who has said something of an answer has begun, whatever he says then. */
static void
what_was_begun_is_not_refused(void **state)
{
    (void)state;
    static const struct {
        struct piece reply[PIECES_MAX];
    } replies[] = {
        {{OUT("Status: 103\n\n"), END("\0", "\2")}},
        {{OUT("Status: 103\n\n"), END("\0", "\3")}},
        {{OUT("A: b\n\nhi"), END("\0", "\3")}},
        {{OUT("A: b\n"), END("\0", "\3")}},
        {{OUT("Status: 100\r\n\r\n"), END("\0", "\1")}},
    };
    for (size_t i = 0; i < LENGTH_OF(replies); i++) {
        struct server one = serve(replies[i].reply, CLOSE), two = serve(replies[i].reply, CLOSE);
        const char *urls[] = {one.url, two.url};
        struct upstream *u = open_several(urls, 2, NULL, NULL);
        struct answer a = {0};
        assert_int_equal(ask(u, "DELETE", &a), UPSTREAM_BROKEN);
        assert_true(a.result.maybe_received);
        assert_int_equal(begun(&one) + begun(&two), 1);
        answer_reset(&a);
        upstream_free(u);
        server_end(&one);
        server_end(&two);
    }
}

/* The time that a fetch may take has to have an end. */
static void
what_is_refused_late_goes_nowhere(void **state)
{
    (void)state;
    struct server one = serve(overloaded, CLOSE), two = serve(overloaded, CLOSE);
    one.script->late_ms = two.script->late_ms = 250;
    const char *urls[] = {one.url, two.url};
    struct upstream *u = open_several(urls, 2, NULL, slow_to_keep);
    expect(u, "GET", UPSTREAM_OVERLOADED);
    assert_int_equal(begun(&one) + begun(&two), 1);
    upstream_free(u);
    server_end(&one);
    server_end(&two);
}

/* A Unix socket whose queue is full. */
struct full {
    char dir[64];
    char path[96];
    char url[128];
    int fd;
    int fill[16];
    int n;
    struct script *script; /* of whoever serves it in the end */
};

static void
full_start(struct full *f)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memset(f, 0, sizeof *f);
    strcpy(f->dir, "/tmp/larder-fastcgi-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/a.sock", f->dir);
    snprintf(f->url, sizeof f->url, "fastcgi+unix:%s", f->path);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", f->path);
    f->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(f->fd, 0), 0);
    for (;;) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fd, (struct sockaddr *)&un, sizeof un) < 0) {
            assert_int_equal(errno, EAGAIN);
            close(fd);
            return;
        }
        assert_true(f->n < (int)LENGTH_OF(f->fill));
        f->fill[f->n++] = fd;
    }
}

static void
full_end(struct full *f)
{
    for (int i = 0; i < f->n; i++)
        close(f->fill[i]);
    close(f->fd);
    unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0);
}

/* Takes those that wait and have gone, and one more. */
static void *
serve_full(void *arg)
{
    struct full *f = arg;
    nap(100);
    for (int i = 0; i < f->n; i++)
        close(f->fill[i]);
    for (int i = 0; i <= f->n; i++) {
        struct raw_conn conn = {NULL, accept(f->fd, NULL, NULL), 1, f->script};
        play(&conn);
        close(conn.fd);
    }
    f->n = 0;
    return NULL;
}

static void
full_patience(struct upstream_options *options)
{
    options->connect_timeout_ms = 300;
}

static void
a_full_queue_is_waited_for(void **state)
{
    (void)state;
    struct full f;
    full_start(&f);
    struct upstream *u = open_one(f.url, full_patience);
    struct answer a = {0};
    int64_t start_ms = clock_now_ms();
    assert_int_equal(ask(u, "POST", &a), UPSTREAM_OVERLOADED);
    assert_in_range(clock_now_ms() - start_ms, 290, 1500);
    assert_false(a.result.maybe_received);
    answer_reset(&a);

    pthread_t thread;
    f.script = script_new(hello, CLOSE);
    assert_int_equal(pthread_create(&thread, NULL, serve_full, &f), 0);
    expect_ok(u, "POST", "hello");
    pthread_join(thread, NULL);
    script_free(f.script);
    upstream_free(u);
    full_end(&f);
}

static void
beside_a_full_queue_nobody_is_asked_twice(void **state)
{
    (void)state;
    struct full f;
    full_start(&f);
    struct server busy = serve(overloaded, CLOSE);
    const char *urls[] = {f.url, busy.url};
    struct upstream *u = open_several(urls, 2, NULL, full_patience);
    for (int i = 1; i <= 2; i++) {
        expect(u, "GET", UPSTREAM_OVERLOADED);
        assert_int_equal(begun(&busy), i);
    }
    upstream_free(u);
    server_end(&busy);

    /* One whose queue is full is not down, whoever else is. */
    struct dead d;
    dead_start(&d);
    urls[1] = d.url;
    u = open_several(urls, 2, NULL, full_patience);
    for (int i = 0; i < 2; i++)
        expect(u, "GET", UPSTREAM_OVERLOADED);
    upstream_free(u);

    /* And another that takes it need not wait. */
    struct server live = serve(hello, CLOSE);
    urls[1] = live.url;
    u = open_several(urls, 2, NULL, NULL);
    int64_t start_ms = clock_now_ms();
    for (int i = 0; i < 4; i++)
        expect_ok(u, "GET", "hello");
    assert_true(clock_now_ms() - start_ms < 1000);
    upstream_free(u);
    server_end(&live);
    close(d.fd);
    full_end(&f);
}

/* ------------------------------------------------------------------- threads */

#define THREADS 8
#define ROUNDS 60

static void
brief(struct upstream_options *options)
{
    options->max_idle = 4;
    options->fail_timeout_ms = 5;
}

struct worker {
    struct upstream *u;
    int wrong;
    char why[LARDER_ERROR_MAX];
};

static void *
work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct answer a = {0};
        if (ask(w->u, i % 5 ? "GET" : "DELETE", &a) != UPSTREAM_OK || a.body_n != 5) {
            w->wrong++;
            snprintf(w->why, sizeof w->why, "%s", a.result.error.message);
        }
        answer_reset(&a);
    }
    return NULL;
}

static void
threads_and_backends_do_not_get_into_each_others_way(void **state)
{
    (void)state;
    struct dead d;
    dead_start(&d);
    struct server servers[3] = {serve(hello, KEEP), serve(hello, CLOSE), serve(overloaded, CLOSE)};
    servers[0].script->first_alone = true;
    const char *urls[] = {d.url, servers[0].url, servers[1].url};
    struct upstream *u = open_several(urls, 3, servers[2].url, brief);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.u = u};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        if (workers[i].wrong)
            fail_msg("%d wrong: %s", workers[i].wrong, workers[i].why);
    upstream_free(u);
    close(d.fd);
    for (int i = 0; i < 3; i++)
        server_end(&servers[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_understood_or_refused),
        cmocka_unit_test(where_an_answer_breaks_into_pieces_does_not_matter),
        cmocka_unit_test(a_head_has_bounds),
        cmocka_unit_test(a_script_that_speaks_for_the_server_is_told_so),
        cmocka_unit_test(parameters_arrive_as_given),
        cmocka_unit_test(a_body_arrives_whole),
        cmocka_unit_test(a_body_that_the_client_breaks_off_is_aborted_and_never_whole),
        cmocka_unit_test(an_answer_before_the_body_is_sent_is_delivered),
        cmocka_unit_test(stderr_is_logged_a_line_each),
        cmocka_unit_test(a_fatal_error_is_found_wherever_a_long_line_is_broken),
        cmocka_unit_test(a_flood_of_stderr_is_bounded_in_the_log),
        cmocka_unit_test(what_a_backend_asks_is_answered),
        cmocka_unit_test(type_0_is_a_type_that_nobody_knows),
        cmocka_unit_test(what_a_backend_asks_while_a_body_is_sent_is_answered_between_its_records),
        cmocka_unit_test(a_safe_request_is_repeated_once_when_a_kept_connection_dies),
        cmocka_unit_test(an_unsafe_request_never_goes_out_on_a_kept_connection),
        cmocka_unit_test(what_died_late_or_after_a_byte_is_not_repeated),
        cmocka_unit_test(an_answer_that_does_not_come_is_a_timeout_whatever_else_comes),
        cmocka_unit_test(an_answer_that_nobody_waits_for_has_its_time_whatever_comes),
        cmocka_unit_test(a_body_that_makes_progress_is_not_cut),
        cmocka_unit_test(for_a_client_that_left_the_request_is_aborted),
        cmocka_unit_test(a_client_that_is_unclear_is_watched_no_more),
        cmocka_unit_test(inside_a_record_nothing_is_aborted),
        cmocka_unit_test(a_client_is_watched_when_its_body_is_of_no_use_any_more),
        cmocka_unit_test(what_takes_no_connection_is_followed_by_the_next),
        cmocka_unit_test(one_that_rests_is_tried_again_by_one_request),
        cmocka_unit_test(a_backup_is_asked_only_while_no_other_can_be_reached),
        cmocka_unit_test(the_one_with_the_fewest_requests_is_asked),
        cmocka_unit_test(what_is_refused_goes_to_the_next_if_there_is_no_body),
        cmocka_unit_test(what_was_begun_is_not_refused),
        cmocka_unit_test(what_is_refused_late_goes_nowhere),
        cmocka_unit_test(a_full_queue_is_waited_for),
        cmocka_unit_test(beside_a_full_queue_nobody_is_asked_twice),
        cmocka_unit_test(threads_and_backends_do_not_get_into_each_others_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
