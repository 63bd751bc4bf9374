/*
 * A backend for tests and benchmarks that does what the request line asks for.
 *
 * The idea: a case says in the URL how the backend shall behave, so that a test
 * reads in one place, and what really arrived stands in a log to be counted. It
 * is a thread per connection and little else, so that a benchmark is never bound
 * by it. It is no web server: it trusts its callers and serves loopback only.
 *
 *   origin [-l PORT | -u SOCKET] [-o LOG] [-g DIRECTORY] [-p PIDFILE]
 *
 * It goes to the background once it listens. -o gets a line "METHOD TARGET" per
 * request, written before anything is answered. Parameters of the target:
 *
 *   status=N        200 when absent
 *   size=N          a body of N bytes (pattern.h); when absent, and there is no sum or echo, a
 *                   line "METHOD TARGET #COUNT" with the number of such requests so far
 *   delay=MS        wait before the head
 *   drip=MS         wait before each 16 KiB of the body
 *   gate=NAME       wait before the head until DIRECTORY/NAME is there
 *   midgate=NAME    the same before the second half of the body
 *   cut=N           close the connection after N bytes of the body
 *   framing=length|chunked|close
 *   type=T          Content-Type, text/plain when absent
 *   h=NAME:VALUE    a response field, %-encoded; may be repeated
 *   hangup=1        close the connection without a word, in place of the head
 *   early=1         103 Early Hints first
 *   echo=1          the body is the request's head as it arrived
 *   sum=1           the body is the request body's length and SHA-256
 *   bye=1           no connection reuse: Connection: close
 *   after=N         the first N requests of this target, of whatever method, are answered as if the
 *                   parameters before this one were not there
 *
 * What stands in the query travels in the request target: it is what a cache
 * keys on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

#define HEAD_MAX 65536
#define BLOCK 16384
#define TARGETS_MAX 4096
#define STACK_SIZE (512 * 1024)
#define BACKLOG 1024

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

/* One connection, and the request that is being read from it. */
struct peer {
    int fd;
    size_t have; /* bytes in buf */
    size_t head; /* length of the head, blank line included */
    char method[32];
    char target[8192];
    char *fields; /* within buf, after the request line */
    uint64_t body_len;
    char body_sum[2 * EVP_MAX_MD_SIZE + 1];
    const char *said; /* the target, or what of it counts: see after=N */
    char first[8192];
    char buf[HEAD_MAX + 1];
};

static const char *gate_directory = ".";
static int log_fd = -1;

static pthread_mutex_t targets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char *line;
    unsigned count;
} targets[TARGETS_MAX]; /* guarded by targets_lock */

static void
die(const char *what)
{
    fprintf(stderr, "origin: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
nap(long ms)
{
    struct timespec left = {ms / 1000, (ms % 1000) * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static bool
send_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        const ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* How often this line has been asked for, this time included. */
static unsigned
count_request(const char *line)
{
    unsigned hash = 5381;
    unsigned count = 0;

    for (const char *c = line; *c != '\0'; c++) {
        hash = hash * 33 + (unsigned char)*c;
    }
    pthread_mutex_lock(&targets_lock);
    for (unsigned i = 0; i < TARGETS_MAX; i++) {
        const unsigned slot = (hash + i) % TARGETS_MAX;

        if (targets[slot].line == NULL) {
            targets[slot].line = strdup(line);
        }
        if (targets[slot].line != NULL && strcmp(targets[slot].line, line) == 0) {
            count = ++targets[slot].count;
            break;
        }
    }
    pthread_mutex_unlock(&targets_lock);
    return count;
}

/* ---------------------------------------------------------------- the request */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
decode(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
            *to++ = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* The nth parameter of that name, decoded, into out. */
static bool
parameter_nth(const char *target, const char *name, int nth, char *out, size_t size)
{
    const size_t name_len = strlen(name);
    const char *at = strchr(target, '?');

    while (at != NULL) {
        const size_t len = strcspn(++at, "&");

        if (len > name_len && at[name_len] == '=' && strncmp(at, name, name_len) == 0 &&
            nth-- == 0) {
            snprintf(out, size, "%.*s", (int)(len - name_len - 1), at + name_len + 1);
            decode(out);
            return true;
        }
        at = strchr(at, '&');
    }
    return false;
}

static bool
parameter(const struct peer *peer, const char *name, char *out, size_t size)
{
    return parameter_nth(peer->said, name, 0, out, size);
}

static long long
number(const struct peer *peer, const char *name, long long otherwise)
{
    char text[32];

    return parameter(peer, name, text, sizeof(text)) ? atoll(text) : otherwise;
}

static bool
field(const struct peer *peer, const char *name, char *out, size_t size)
{
    const size_t name_len = strlen(name);

    for (const char *line = peer->fields; line != NULL && line < peer->buf + peer->head;) {
        const size_t len = strcspn(line, "\r\n");

        if (len > name_len && line[name_len] == ':' && strncasecmp(line, name, name_len) == 0) {
            const char *value = line + name_len + 1;

            value += strspn(value, " \t");
            snprintf(out, size, "%.*s", (int)(line + len - value), value);
            return true;
        }
        line += len + 2;
    }
    return false;
}

/* False: the peer has gone, or what it sent is no request. */
static bool
read_head(struct peer *peer)
{
    char *end;
    int consumed = 0;

    for (;;) {
        ssize_t n;

        peer->buf[peer->have] = '\0';
        end = strstr(peer->buf, "\r\n\r\n");
        if (end != NULL) {
            break;
        }
        if (peer->have == HEAD_MAX) {
            return false;
        }
        n = recv(peer->fd, peer->buf + peer->have, HEAD_MAX - peer->have, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        peer->have += (size_t)n;
    }
    peer->head = (size_t)(end - peer->buf) + 4;
    if (sscanf(peer->buf, "%31s %8191s HTTP/1.%*d%n", peer->method, peer->target, &consumed) < 2) {
        return false;
    }
    peer->fields = strstr(peer->buf, "\r\n") + 2;
    return true;
}

/* Drop the first len bytes of the buffer. */
static void
consume(struct peer *peer, size_t len)
{
    peer->have -= len;
    memmove(peer->buf, peer->buf + len, peer->have);
}

/* At least one byte in the buffer. */
static bool
fill(struct peer *peer)
{
    while (peer->have == 0) {
        const ssize_t n = recv(peer->fd, peer->buf, HEAD_MAX, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        peer->have = (size_t)n;
    }
    return true;
}

/* Take len bytes of the body into the sum. */
static bool
take(struct peer *peer, EVP_MD_CTX *sum, uint64_t len)
{
    while (len > 0) {
        size_t n;

        if (!fill(peer)) {
            return false;
        }
        n = peer->have < len ? peer->have : (size_t)len;
        EVP_DigestUpdate(sum, peer->buf, n);
        peer->body_len += n;
        len -= n;
        consume(peer, n);
    }
    return true;
}

/* One line without its end, of a chunked body. */
static bool
take_line(struct peer *peer, char *out, size_t size)
{
    size_t len = 0;

    for (;;) {
        char c;

        if (!fill(peer)) {
            return false;
        }
        c = peer->buf[0];
        consume(peer, 1);
        if (c == '\n') {
            out[len] = '\0';
            return true;
        }
        if (c != '\r' && len + 1 < size) {
            out[len++] = c;
        }
    }
}

static bool
take_chunks(struct peer *peer, EVP_MD_CTX *sum)
{
    char line[256];
    uint64_t len;

    do {
        if (!take_line(peer, line, sizeof(line))) {
            return false;
        }
        len = strtoull(line, NULL, 16);
        if (!take(peer, sum, len)) {
            return false;
        }
        if (len > 0 && !take_line(peer, line, sizeof(line))) {
            return false;
        }
    } while (len > 0);
    do { /* trailers */
        if (!take_line(peer, line, sizeof(line))) {
            return false;
        }
    } while (line[0] != '\0');
    return true;
}

static bool
read_body(struct peer *peer)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    char value[64];
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    bool ok;

    if (sum == NULL) {
        return false;
    }
    EVP_DigestInit_ex(sum, EVP_sha256(), NULL);
    peer->body_len = 0;
    /* Look before the head is consumed. */
    if (field(peer, "Transfer-Encoding", value, sizeof(value)) &&
        strcasecmp(value, "chunked") == 0) {
        consume(peer, peer->head);
        ok = take_chunks(peer, sum);
    } else {
        const uint64_t len =
            field(peer, "Content-Length", value, sizeof(value)) ? strtoull(value, NULL, 10) : 0;

        consume(peer, peer->head);
        ok = take(peer, sum, len);
    }
    EVP_DigestFinal_ex(sum, digest, &digest_len);
    EVP_MD_CTX_free(sum);
    for (unsigned i = 0; i < digest_len; i++) {
        snprintf(peer->body_sum + 2 * i, 3, "%02x", digest[i]);
    }
    return ok;
}

/* ----------------------------------------------------------------- the answer */

static void
wait_for_gate(const struct peer *peer, const char *name)
{
    char gate[128], path[1024];

    if (!parameter(peer, name, gate, sizeof(gate))) {
        return;
    }
    snprintf(path, sizeof(path), "%s/%s", gate_directory, gate);
    while (access(path, F_OK) != 0) {
        nap(5);
    }
}

/* A piece of the body in the framing that was asked for. */
static bool
send_piece(struct peer *peer, enum framing framing, const void *data, size_t len)
{
    char line[32];

    if (framing != FRAMING_CHUNKED) {
        return send_all(peer->fd, data, len);
    }
    snprintf(line, sizeof(line), "%zx\r\n", len);
    return send_all(peer->fd, line, strlen(line)) && send_all(peer->fd, data, len) &&
           send_all(peer->fd, "\r\n", 2);
}

/* text NULL: the pattern. False: the connection is over, by cut or by the peer. */
static bool
send_body(struct peer *peer, enum framing framing, const char *text, size_t size)
{
    const long drip = (long)number(peer, "drip", 0);
    const long long cut = number(peer, "cut", -1);
    const size_t end = cut >= 0 && (size_t)cut < size ? (size_t)cut : size;
    char block[BLOCK];
    bool half = false;
    size_t done = 0;

    while (done < end) {
        size_t len = end - done < BLOCK ? end - done : BLOCK;

        if (!half && done + len > size / 2) {
            if (done >= size / 2) {
                half = true;
                wait_for_gate(peer, "midgate");
            } else {
                len = size / 2 - done;
            }
        }
        if (drip > 0) {
            nap(drip);
        }
        for (size_t i = 0; text == NULL && i < len; i++) {
            block[i] = (char)pattern_byte(done + i);
        }
        if (!send_piece(peer, framing, text == NULL ? block : text + done, len)) {
            return false;
        }
        done += len;
    }
    if (end < size || cut == (long long)size) {
        return false;
    }
    return framing != FRAMING_CHUNKED || send_all(peer->fd, "0\r\n\r\n", 5);
}

static enum framing
framing_of(const struct peer *peer)
{
    char name[16];

    if (!parameter(peer, "framing", name, sizeof(name)) || strcmp(name, "length") == 0) {
        return FRAMING_LENGTH;
    }
    return strcmp(name, "chunked") == 0 ? FRAMING_CHUNKED : FRAMING_CLOSE;
}

static bool
send_head(struct peer *peer, enum framing framing, int status, bool bodyless, size_t size)
{
    char head[HEAD_MAX], value[4096];
    size_t len;

    if (!parameter(peer, "type", value, sizeof(value))) {
        snprintf(value, sizeof(value), "text/plain");
    }
    len = (size_t)snprintf(head, sizeof(head), "HTTP/1.1 %d Whatever\r\nContent-Type: %.200s\r\n",
                           status, value);
    for (int i = 0; parameter_nth(peer->said, "h", i, value, sizeof(value)); i++) {
        char *colon = strchr(value, ':');

        if (colon == NULL || len + strlen(value) + 256 > sizeof(head)) {
            continue;
        }
        *colon = '\0';
        len += (size_t)snprintf(head + len, sizeof(head) - len, "%s: %s\r\n", value, colon + 1);
    }
    if (framing == FRAMING_LENGTH && !bodyless) {
        len += (size_t)snprintf(head + len, sizeof(head) - len, "Content-Length: %zu\r\n", size);
    } else if (framing == FRAMING_CHUNKED && !bodyless) {
        len += (size_t)snprintf(head + len, sizeof(head) - len, "Transfer-Encoding: chunked\r\n");
    }
    if (framing == FRAMING_CLOSE || number(peer, "bye", 0) != 0) {
        len += (size_t)snprintf(head + len, sizeof(head) - len, "Connection: close\r\n");
    }
    len += (size_t)snprintf(head + len, sizeof(head) - len, "\r\n");
    return send_all(peer->fd, head, len);
}

/* What the target says this time. */
static void
listen_to(struct peer *peer)
{
    const char *after = strstr(peer->target, "after=");

    peer->said = peer->target;
    if (after != NULL && count_request(peer->target) <= (unsigned)atoi(after + 6)) {
        const char *rest = strchr(after, '&');

        /* Where parameter_nth() looks for them. */
        snprintf(peer->first, sizeof(peer->first), "?%s", rest != NULL ? rest + 1 : "");
        peer->said = peer->first;
    }
}

/* False: close the connection. */
static bool
answer(struct peer *peer, const char *head)
{
    char line[sizeof(peer->method) + sizeof(peer->target) + 32];
    const char *text = line;
    size_t size;
    int len;

    len = snprintf(line, sizeof(line), "%s %s\n", peer->method, peer->target);
    if (log_fd >= 0 && write(log_fd, line, (size_t)len) != len) {
        return false;
    }
    const unsigned count = count_request(line);
    listen_to(peer);
    const enum framing framing = framing_of(peer);
    const int status = (int)number(peer, "status", 200);
    const bool bodyless = status == 204 || status == 304;
    const long long wanted = number(peer, "size", -1);
    len = snprintf(line, sizeof(line), "%s %s #%u\n", peer->method, peer->target, count);
    if (number(peer, "echo", 0) != 0) {
        text = head;
        size = strlen(head);
    } else if (number(peer, "sum", 0) != 0) {
        size = (size_t)snprintf(line, sizeof(line), "%llu %s\n", (unsigned long long)peer->body_len,
                                peer->body_sum);
    } else if (wanted >= 0) {
        text = NULL;
        size = (size_t)wanted;
    } else {
        size = (size_t)len;
    }

    if (number(peer, "early", 0) != 0) {
        static const char hints[] =
            "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

        if (!send_all(peer->fd, hints, sizeof(hints) - 1)) {
            return false;
        }
    }
    nap((long)number(peer, "delay", 0));
    wait_for_gate(peer, "gate");
    if (number(peer, "hangup", 0) != 0) {
        return false;
    }
    if (!send_head(peer, framing, status, bodyless, size)) {
        return false;
    }
    if (!bodyless && strcmp(peer->method, "HEAD") != 0 && !send_body(peer, framing, text, size)) {
        return false;
    }
    return framing != FRAMING_CLOSE && number(peer, "bye", 0) == 0;
}

static void *
serve(void *arg)
{
    struct peer *peer = arg;
    char *head = malloc(HEAD_MAX + 1);
    bool more = head != NULL;

    while (more && read_head(peer)) {
        char value[64];

        snprintf(head, peer->head + 1, "%.*s", (int)peer->head, peer->buf);
        if (field(peer, "Expect", value, sizeof(value)) &&
            !send_all(peer->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25)) {
            break;
        }
        more = read_body(peer) && answer(peer, head);
    }
    close(peer->fd);
    free(head);
    free(peer);
    return NULL;
}

/* ------------------------------------------------------------------- the start */

static int
listen_on(const char *socket_path, int port)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in address = {.sin_family = AF_INET};
    const int on = 1;
    int fd;
    int rc;

    fd = socket(socket_path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket");
    }
    if (socket_path != NULL) {
        snprintf(path.sun_path, sizeof(path.sun_path), "%s", socket_path);
        unlink(socket_path);
        rc = bind(fd, (struct sockaddr *)&path, sizeof(path));
        chmod(socket_path, 0666);
    } else {
        address.sin_port = htons((uint16_t)port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
    }
    if (rc != 0 || listen(fd, BACKLOG) != 0) {
        die("listen");
    }
    return fd;
}

static void
accept_forever(int listener)
{
    const int on = 1;
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        struct peer *peer;

        if (fd < 0) {
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        peer = malloc(sizeof(*peer));
        if (peer == NULL) {
            close(fd);
            continue;
        }
        peer->fd = fd;
        peer->have = 0;
        if (pthread_create(&thread, &attributes, serve, peer) != 0) {
            close(fd);
            free(peer);
        }
    }
}

/* It listens already: when the parent ends, whoever started us can connect, and knows our pid. */
static void
detach(const char *pid_file)
{
    const pid_t child = fork();
    FILE *file;

    if (child < 0) {
        die("fork");
    }
    if (child == 0) {
        setsid();
        return;
    }
    if (pid_file != NULL) {
        file = fopen(pid_file, "we");
        if (file == NULL) {
            die(pid_file);
        }
        fprintf(file, "%d\n", (int)child);
        fclose(file);
    }
    _exit(0);
}

int
main(int argc, char **argv)
{
    const char *socket_path = NULL;
    const char *pid_file = NULL;
    int port = 0;
    int option, listener;

    while ((option = getopt(argc, argv, "l:u:o:g:p:")) != -1) {
        switch (option) {
        case 'l':
            port = atoi(optarg);
            break;
        case 'u':
            socket_path = optarg;
            break;
        case 'o':
            log_fd = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
            if (log_fd < 0) {
                die(optarg);
            }
            break;
        case 'g':
            gate_directory = optarg;
            break;
        case 'p':
            pid_file = optarg;
            break;
        default:
            return 2;
        }
    }
    if ((port <= 0) == (socket_path == NULL)) {
        fprintf(stderr, "usage: origin -l PORT | -u SOCKET [-o LOG] [-g DIRECTORY] [-p PIDFILE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    listener = listen_on(socket_path, port);
    detach(pid_file);
    accept_forever(listener);
    return 0;
}
