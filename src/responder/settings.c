/*
 * Parameters of the web server's own, in the key of a FastCGI backend's pages.
 *
 * Two virtual hosts may differ in nothing else: one name, one document root, one
 * script, and `fastcgi_param ROLE internal`. A script may answer by any of them, so all
 * are hashed but those that are known: what CGI has, which is in the key where it
 * matters, and what differs with each request or connection and makes no page.
 * What the list does not know and differs with each request would give each request
 * an entry of its own; so a parameter with many values is named in the log, once a
 * process.
 *
 * Called once for each request to a FastCGI backend (request.c).
 */
#include "responder/settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/number.h"
#include "client/store.h"
#include "responder/digest.h"

/* More is no list that a person has written. */
#define SETTINGS_MAX 128

/* More values of one are taken for none of a configuration's. */
#define VALUES_MAX 64
/* Parameters that are watched. */
#define WATCHED_MAX 16

/* Each request is compared with all of these: their lengths are the compiler's work. */
#define KNOWN(text)              \
    {                            \
        (text), sizeof(text) - 1 \
    }

/* By the beginnings of their names: of a field, of the client, of TLS, of HTTP/2, of where the client
 * is, of one who has logged in. */
static const struct slice known_families[] = {
    KNOWN("HTTP_"), KNOWN("REMOTE_"), KNOWN("REQUEST_"), KNOWN("SSL_"),  KNOWN("TLS_"),
    KNOWN("H2_"),   KNOWN("H2PUSH"),  KNOWN("HTTP2"),    KNOWN("HTTP3"), KNOWN("GEOIP_"),
    KNOWN("MM_"),   KNOWN("MMDB_"),   KNOWN("OIDC_"),    KNOWN("FCGI_")};

/* CGI's; Apache's, some of them only behind REDIRECT_; what nginx' own variables are mostly called. */
static const struct slice known_names[] = {KNOWN("AUTH_TYPE"),
                                           KNOWN("CONTENT_LENGTH"),
                                           KNOWN("CONTENT_TYPE"),
                                           KNOWN("DOCUMENT_ROOT"),
                                           KNOWN("DOCUMENT_URI"),
                                           KNOWN("GATEWAY_INTERFACE"),
                                           KNOWN("HTTPS"),
                                           KNOWN("PATH_INFO"),
                                           KNOWN("PATH_TRANSLATED"),
                                           KNOWN("QUERY_STRING"),
                                           KNOWN("SCRIPT_FILENAME"),
                                           KNOWN("SCRIPT_NAME"),
                                           KNOWN("SERVER_ADDR"),
                                           KNOWN("SERVER_NAME"),
                                           KNOWN("SERVER_PORT"),
                                           KNOWN("SERVER_PROTOCOL"),
                                           KNOWN("SERVER_SOFTWARE"),
                                           KNOWN("Authorization"),
                                           KNOWN("AUTHORIZATION"),
                                           KNOWN("CONTEXT_DOCUMENT_ROOT"),
                                           KNOWN("CONTEXT_PREFIX"),
                                           KNOWN("ERROR_NOTES"),
                                           KNOWN("HANDLER"),
                                           KNOWN("PATH"),
                                           KNOWN("SCRIPT_URI"),
                                           KNOWN("SCRIPT_URL"),
                                           KNOWN("SERVER_ADMIN"),
                                           KNOWN("SERVER_SIGNATURE"),
                                           KNOWN("STATUS"),
                                           KNOWN("TZ"),
                                           KNOWN("UNIQUE_ID"),
                                           KNOWN("URI"),
                                           KNOWN("URL"),
                                           KNOWN("ap_trust_cgilike_cl"),
                                           KNOWN("nokeepalive"),
                                           KNOWN("CONNECTION"),
                                           KNOWN("MSEC"),
                                           KNOWN("TIME_LOCAL")};
#undef KNOWN

static bool
begins(struct slice name, struct slice with)
{
    return name.n >= with.n && name.p[0] == with.p[0] && memcmp(name.p, with.p, with.n) == 0;
}

static bool
is_known(struct slice name)
{
    for (size_t i = 0; i < sizeof known_families / sizeof *known_families; i++)
        if (begins(name, known_families[i]))
            return true;
    for (size_t i = 0; i < sizeof known_names / sizeof *known_names; i++)
        if (name.n == known_names[i].n && begins(name, known_names[i]))
            return true;
    /* Apache's word to itself: force-response-1.0, proxy-nokeepalive. */
    return memchr(name.p, '-', name.n) != NULL;
}

static bool
is_left_out(struct slice name, const struct config *config)
{
    const struct string_list *globs = &config->ignore_parameters;
    for (size_t i = 0; i < globs->count; i++)
        if (glob_match(globs->list[i], strlen(globs->list[i]), name.p, name.n))
            return true;
    return false;
}

/* A setting as it was before a redirect inside Apache is one still: some applications look for it. */
static bool
is_setting(struct slice name, const struct config *config)
{
    static const struct slice before = {"REDIRECT_", 9};
    struct slice plain = name;
    while (begins(plain, before)) {
        plain.p += before.n;
        plain.n -= before.n;
    }
    return plain.n && !is_known(plain) && !is_left_out(plain, config) && !is_left_out(name, config);
}

/* ------------------------------------------------------------------ those with many values */

struct watched {
    uint64_t name;
    size_t count;
    uint64_t values[VALUES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards watched and watched_count */
static struct watched watched[WATCHED_MAX];
static size_t watched_count;

/* true: this is one value too many, for the first time. */
static bool
is_one_too_many(uint64_t name, uint64_t value)
{
    size_t i = 0;
    while (i < watched_count && watched[i].name != name)
        i++;
    if (i == WATCHED_MAX)
        return false;
    if (i == watched_count)
        watched[watched_count++] = (struct watched){.name = name};
    struct watched *w = &watched[i];
    if (w->count > VALUES_MAX)
        return false;
    for (size_t k = 0; k < w->count; k++)
        if (w->values[k] == value)
            return false;
    if (w->count < VALUES_MAX)
        w->values[w->count] = value;
    w->count++;
    return w->count > VALUES_MAX;
}

/* Only now and then somebody else is at it, and then it is left to the next request. */
static void
watch(const struct upstream_parameter *one)
{
    if (pthread_mutex_trylock(&lock) != 0)
        return;
    bool tell = is_one_too_many(XXH3_64bits(one->name.p, one->name.n),
                                XXH3_64bits(one->value.p, one->value.n));
    pthread_mutex_unlock(&lock);
    if (tell)
        log_write(LARDER_LOG_WARNING,
                  "the web server's parameter %.*s has had more than %d values, each of which has "
                  "stored pages of its own: if pages do not depend on it, add its name to "
                  "ignore_parameters of upstream",
                  (int)(one->name.n < 200 ? one->name.n : 200), one->name.p, VALUES_MAX);
}

/* ------------------------------------------------------------------ the hash */

static int
by_name(const void *a, const void *b)
{
    const struct upstream_parameter *one = a, *two = b;
    struct slice x = one->name, y = two->name;
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    return order ? order : (x.n > y.n) - (x.n < y.n);
}

static size_t
write_part(char *to, struct slice part)
{
    size_t n = number_format(to, part.n);
    to[n++] = ':';
    if (part.n)
        memcpy(to + n, part.p, part.n);
    return n + part.n;
}

/*
 * The server's name, where it is not the host that was asked for, which is in the key
 * already: two servers of one root, reached by one Host on two addresses, are told
 * apart by nothing else.
 */
static bool
is_other_name(struct slice name, struct slice host)
{
    const char *port = host.n && host.p[0] != '[' ? memchr(host.p, ':', host.n) : NULL;
    if (port)
        host.n = (size_t)(port - host.p);
    return name.n != host.n || strncasecmp(name.p, host.p, name.n) != 0;
}

bool
settings_hash(struct slice *out, const struct request *request, const struct config *config,
              struct arena *arena)
{
    struct upstream_parameter list[SETTINGS_MAX];
    size_t count = 0, room = 0, n = 0;
    *out = (struct slice){"", 0};
    for (size_t i = 0; i < request->parameter_count && count < SETTINGS_MAX; i++) {
        const struct upstream_parameter *one = &request->parameters[i];
        if (slice_equal(one->name, slice_of("SERVER_NAME"))
                ? one->value.n == 0 || !is_other_name(one->value, request->host)
                : !is_setting(one->name, config))
            continue;
        list[count++] = *one;
        room += one->name.n + one->value.n + 2 * (NUMBER_DIGITS_MAX + 1);
        watch(one);
    }
    if (count == 0)
        return true;
    qsort(list, count, sizeof *list, by_name);
    char *text = arena_alloc(arena, room), *hash = arena_alloc(arena, DIGEST_DIGITS_MAX + 1);
    if (!text || !hash)
        return false;
    for (size_t i = 0; i < count; i++) {
        n += write_part(text + n, list[i].name);
        n += write_part(text + n, list[i].value);
    }
    *out = (struct slice){hash, DIGEST_DIGITS_MAX};
    return digest_hex((struct slice){text, n}, hash, DIGEST_DIGITS_MAX);
}
