/*
 * One connection to the backend.
 *
 * libcurl does what has nothing to do with HTTP: names, addresses tried side by
 * side, TLS with its verification (CURLOPT_CONNECT_ONLY). The HTTP on top is
 * http.c's, for libcurl's own is made for clients and not for a gateway that
 * keeps connections for many users. Seen with 7.88: bytes after a HEAD, 204, 304
 * or chunked answer are thrown away and the connection is used again; any
 * request without a body is repeated when a kept connection dies; an answer that
 * arrives while a body is being sent is lost when the sending fails.
 *
 * A Unix socket needs none of that: connect(2) is all, and a tenth of the cost,
 * which counts where a connection is made for each request (PHP-FPM). Its full
 * queue libcurl would not know for what it is, either.
 *
 * One easy handle is one connection: performing a second time on a CONNECT_ONLY
 * handle leaks the first one's socket. The certificates that we trust are read
 * once and shared, or every dial over TLS would parse the system's bundle again.
 *
 * Called by upstream.c (dialling, keeping) and by the transports. It never
 * repeats, follows, or interprets anything.
 */
#include "upstream/link.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/account.h"
#include "base/clock.h"
#include "base/error.h"

struct link_peer {
    char *url;
    char *unix_path; /* NULL: by the URL */
    bool tls;
    bool tls_verify;
    X509_STORE *trust; /* NULL: nothing to verify; counted and locked by OpenSSL */
    CURLSH *share;     /* resolved names and TLS sessions; locked by share_mutex */
    pthread_mutex_t share_mutex;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;
static int stop_fd = -1; /* watched in every wait; readable from link_stop_all() on */
static atomic_bool stopped;

static void
init(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void
link_stop_all(void)
{
    atomic_store(&stopped, true);
    /* Without a descriptor they end by their timeouts. */
    if (stop_fd >= 0)
        (void)eventfd_write(stop_fd, 1);
}

bool
link_is_stopped(void)
{
    return atomic_load_explicit(&stopped, memory_order_relaxed);
}

/* ------------------------------------------------------------------- peer */

/* One mutex for all that is shared: it is held for a lookup, never for a network wait. */
static void
lock_share(CURL *easy, curl_lock_data data, curl_lock_access access, void *arg)
{
    (void)easy;
    (void)data;
    (void)access;
    struct link_peer *peer = arg;
    pthread_mutex_lock(&peer->share_mutex);
}

static void
unlock_share(CURL *easy, curl_lock_data data, void *arg)
{
    (void)easy;
    (void)data;
    struct link_peer *peer = arg;
    pthread_mutex_unlock(&peer->share_mutex);
}

static enum larder_status
load_trust(struct link_peer *peer, const char *ca_file, struct larder_error *err)
{
    peer->trust = X509_STORE_new();
    if (!peer->trust)
        return error_set(err, LARDER_NOMEM, "no memory for certificates");
    int ok = ca_file ? X509_STORE_load_file(peer->trust, ca_file)
                     : X509_STORE_set_default_paths(peer->trust);
    if (ok != 1) {
        unsigned long code = ERR_get_error();
        const char *why = ERR_reason_error_string(code);
        ERR_clear_error();
        return error_set(err, LARDER_INVALID, "certificates %s: %s",
                         ca_file ? ca_file : "of the system", why ? why : "cannot be read");
    }
    return LARDER_OK;
}

struct link_peer *
link_peer_new(const char *url, const char *unix_path, bool tls_verify, const char *tls_ca_file,
              struct larder_error *err)
{
    pthread_once(&once, init);
    if (curl_ready != CURLE_OK) {
        error_set(err, LARDER_NOMEM, "libcurl: %s", curl_easy_strerror(curl_ready));
        return NULL;
    }
    struct link_peer *peer = calloc(1, sizeof *peer);
    if (!peer) {
        error_set(err, LARDER_NOMEM, "no memory for the upstream");
        return NULL;
    }
    pthread_mutex_init(&peer->share_mutex, NULL);
    peer->tls_verify = tls_verify;
    peer->url = strdup(url);
    peer->unix_path = unix_path ? strdup(unix_path) : NULL;
    peer->share = curl_share_init();
    if (!peer->url || (unix_path && !peer->unix_path) || !peer->share) {
        error_set(err, LARDER_NOMEM, "no memory for the upstream");
        goto fail;
    }
    if (curl_share_setopt(peer->share, CURLSHOPT_USERDATA, peer) != CURLSHE_OK ||
        curl_share_setopt(peer->share, CURLSHOPT_LOCKFUNC, lock_share) != CURLSHE_OK ||
        curl_share_setopt(peer->share, CURLSHOPT_UNLOCKFUNC, unlock_share) != CURLSHE_OK ||
        curl_share_setopt(peer->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
        curl_share_setopt(peer->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK) {
        error_set(err, LARDER_NOMEM, "libcurl cannot share names and TLS sessions");
        goto fail;
    }
    peer->tls = strncmp(url, "https:", 6) == 0;
    if (peer->tls && tls_verify && load_trust(peer, tls_ca_file, err) != LARDER_OK)
        goto fail;
    return peer;
fail:
    link_peer_free(peer);
    return NULL;
}

void
link_peer_free(struct link_peer *peer)
{
    if (!peer)
        return;
    if (peer->share)
        curl_share_cleanup(peer->share);
    X509_STORE_free(peer->trust);
    pthread_mutex_destroy(&peer->share_mutex);
    free(peer->unix_path);
    free(peer->url);
    free(peer);
}

/* ------------------------------------------------------------------- dial */

/* Called by OpenSSL; the only alert of interest is the peer's orderly end. */
static void
note_alert(const SSL *ssl, int where, int alert)
{
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (alert & 0xff) == SSL_AD_CLOSE_NOTIFY) {
        struct link *link = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
        link->tls_ended = true;
    }
}

static CURLcode
prepare_tls(CURL *easy, void *ssl_ctx, void *arg)
{
    (void)easy;
    struct link *link = arg;
    if (link->peer->trust)
        SSL_CTX_set1_cert_store(ssl_ctx, link->peer->trust);
    SSL_CTX_set_app_data(ssl_ctx, link);
    SSL_CTX_set_info_callback(ssl_ctx, note_alert);
    return CURLE_OK;
}

/* libcurl asks at least once a second while it dials. */
static int
goes_on(void *arg, curl_off_t down, curl_off_t downloaded, curl_off_t up, curl_off_t uploaded)
{
    (void)arg;
    (void)down;
    (void)downloaded;
    (void)up;
    (void)uploaded;
    return link_is_stopped();
}

/* The first option that libcurl refuses decides: a build that lacks one must not run without it. */
#define SET(option, value)                                     \
    do {                                                       \
        CURLcode set_ = curl_easy_setopt(easy, option, value); \
        if (set_ != CURLE_OK)                                  \
            return set_;                                       \
    } while (0)

static CURLcode
set_options(struct link *link, int64_t timeout_ms, char *words)
{
    CURL *easy = link->easy;
    struct link_peer *peer = link->peer;
    SET(CURLOPT_ERRORBUFFER, words);
    SET(CURLOPT_URL, peer->url);
    SET(CURLOPT_CONNECT_ONLY, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, goes_on);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A name that is not resolved in time is not waited for. */
    SET(CURLOPT_QUICK_EXIT, 1L);
#endif
    SET(CURLOPT_SHARE, peer->share);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* what TLS offers in ALPN */
    SET(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms > LONG_MAX ? LONG_MAX : (long)timeout_ms);
    /* Neither http_proxy nor HTTP_PROXY (httpoxy) decides where requests go. */
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_SSL_VERIFYPEER, peer->tls_verify ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, peer->tls_verify ? 2L : 0L);
    if (peer->tls) {
        SET(CURLOPT_CAINFO, NULL);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_SSL_CTX_FUNCTION, prepare_tls);
        SET(CURLOPT_SSL_CTX_DATA, link);
    }
    return CURLE_OK;
}

/* libcurl says that it could not connect, the system says why not. */
static void
say_why(const struct link *link, CURLcode code, const char *words, struct larder_error *err)
{
    long number = 0;
    if (code == CURLE_COULDNT_CONNECT)
        curl_easy_getinfo(link->easy, CURLINFO_OS_ERRNO, &number);
    const char *why = number ? strerrordesc_np((int)number) : NULL;
    error_set(err, code == CURLE_OUT_OF_MEMORY ? LARDER_NOMEM : LARDER_UNAVAILABLE, "%s%s%s",
              words[0] ? words : curl_easy_strerror(code), why ? ": " : "", why ? why : "");
}

/* By name and address, with TLS where the URL says so. */
static bool
dial_network(struct link *link, int64_t timeout_ms, struct larder_error *err)
{
    char words[CURL_ERROR_SIZE] = "";
    CURL *easy = link->easy = curl_easy_init();
    if (!easy) {
        error_set(err, LARDER_NOMEM, "no memory for a connection");
        return false;
    }
    CURLcode code = set_options(link, timeout_ms < 1 ? 1 : timeout_ms, words);
    if (code == CURLE_OK)
        code = curl_easy_perform(easy);
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (code == CURLE_OK)
        code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    if (code != CURLE_OK || fd == CURL_SOCKET_BAD) {
        say_why(link, code, words, err);
        return false;
    }
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL); /* it was on this stack */
    link->fd = fd;
    return true;
}

/* The commonest mistake with PHP-FPM, and the system's two words for it do not lead out of it. */
static void
say_denied(const char *path, struct larder_error *err)
{
    char user[ACCOUNT_NAME_SIZE], owner[ACCOUNT_NAME_SIZE], group[ACCOUNT_NAME_SIZE];
    struct stat st;
    account_user(user, geteuid());
    if (stat(path, &st) != 0) {
        error_set(err, LARDER_UNAVAILABLE,
                  "cannot connect: Permission denied for user %s in a directory above the socket "
                  "(a unit with ProtectHome= hides /home and /root)",
                  user);
        return;
    }
    account_user(owner, st.st_uid);
    account_group(group, st.st_gid);
    error_set(err, LARDER_UNAVAILABLE,
              "cannot connect: Permission denied for user %s: the socket is %s:%s, mode %04o; put "
              "the user into group %s and restart larder",
              user, owner, group, (unsigned)st.st_mode & 07777, group);
}

/* A Unix socket takes a connection at once, or has no room in its queue (EAGAIN), or there is none. */
static bool
dial_unix(struct link *link, struct larder_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = link->peer->unix_path;
    memcpy(address.sun_path, path, strlen(path) + 1);
    link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd >= 0 && connect(link->fd, (struct sockaddr *)&address, sizeof address) == 0)
        return true;
    if (errno == EAGAIN)
        error_set(err, LARDER_TIMEOUT, "the queue of its socket is full");
    else if (errno == EACCES)
        say_denied(path, err);
    else
        error_set(
            err, LARDER_UNAVAILABLE, "cannot connect: %s%s", strerrordesc_np(errno),
            errno == ENOENT
                ? "; does the backend run (PHP-FPM: systemctl status 'php*-fpm'), and is this "
                  "the socket of its `listen`?"
            : errno == ECONNREFUSED
                ? "; nobody listens there: does the backend run (PHP-FPM: systemctl status "
                  "'php*-fpm')?"
                : "");
    return false;
}

struct link *
link_dial(struct link_peer *peer, int64_t timeout_ms, struct larder_error *err)
{
    struct link *link = malloc(sizeof *link);
    if (!link) {
        error_set(err, LARDER_NOMEM, "no memory for a connection");
        return NULL;
    }
    link->easy = NULL;
    link->peer = peer;
    link->fd = -1;
    link->tls_ended = false;
    link->idle_since_ms = 0;
    if (peer->unix_path ? dial_unix(link, err) : dial_network(link, timeout_ms, err))
        return link;
    link_free(link);
    return NULL;
}

void
link_free(struct link *link)
{
    if (!link)
        return;
    if (link->peer->unix_path && link->fd >= 0)
        close(link->fd);
    curl_easy_cleanup(link->easy);
    free(link);
}

/* ------------------------------------------------------------------ bytes */

static ssize_t
outcome_of(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? LINK_AGAIN : LINK_FAILED;
}

ssize_t
link_send(struct link *link, const char *data, size_t n)
{
    if (!link->easy)
        return outcome_of(send(link->fd, data, n, MSG_NOSIGNAL));
    size_t sent = 0;
    CURLcode code = curl_easy_send(link->easy, data, n, &sent);
    if (code == CURLE_OK)
        return sent ? (ssize_t)sent : LINK_AGAIN;
    return code == CURLE_AGAIN ? LINK_AGAIN : LINK_FAILED;
}

ssize_t
link_recv(struct link *link, char *buf, size_t room)
{
    if (!link->easy)
        return outcome_of(recv(link->fd, buf, room, 0));
    size_t got = 0;
    CURLcode code = curl_easy_recv(link->easy, buf, room, &got);
    /* libcurl takes a TCP close for the end of TLS as well. A body that lasts until the close could
     * then be cut by anybody on the way and look whole. */
    if (code == CURLE_OK && got == 0 && link->peer->tls && !link->tls_ended)
        return LINK_FAILED;
    if (code == CURLE_OK)
        return (ssize_t)got;
    return code == CURLE_AGAIN ? LINK_AGAIN : LINK_FAILED;
}

bool
link_wait(struct link *link, bool writable, int watched, int64_t deadline_ms,
          struct link_events *events)
{
    /* A negative descriptor is passed over. */
    struct pollfd p[3] = {{.fd = link->fd, .events = (short)(POLLIN | (writable ? POLLOUT : 0))},
                          {.fd = stop_fd, .events = POLLIN},
                          {.fd = watched, .events = POLLIN | POLLRDHUP}};
    for (;;) {
        int wait_ms = -1;
        if (deadline_ms >= 0) {
            int64_t left = deadline_ms - clock_now_ms();
            wait_ms = left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
        }
        int n = poll(p, watched >= 0 ? 3 : 2, wait_ms);
        if (n > 0) {
            /* An error or hang-up shows its cause to the next read. */
            events->readable = (p[0].revents & ~POLLOUT) != 0;
            events->stopped = p[1].revents != 0;
            events->watched = watched >= 0 && p[2].revents != 0;
            return true;
        }
        if (n == 0 && clock_now_ms() >= deadline_ms)
            return false;
        /* n < 0 is EINTR: the arguments cannot be wrong. */
    }
}

bool
link_quiet(struct link *link)
{
    /* Through libcurl and not by recv(2): bytes may already wait inside the TLS layer, and a TLS
     * session ticket is no answer. */
    char byte;
    return link_recv(link, &byte, 1) == LINK_AGAIN;
}
