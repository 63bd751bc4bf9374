/*
 * Parameters of the web server's own, in the key of a FastCGI backend's pages.
 *
 * Two virtual hosts may differ in nothing else: one name, one document root, one
 * script, and `fastcgi_param ROLE internal`. A script may answer by any of them, so all
 * are hashed, whatever they are called and however many they are, but those that are
 * known to be another with each request or connection and to make no page: fields, what
 * CGI has, which is in the key where it matters, and what web servers and their modules
 * add without being told. They are named one by one, because an operator may call a
 * setting REMOTE_ROLE or SSL_SITE. What is found out about the client is a setting as
 * well: a page for one country is none for another.
 *
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
#include <xxhash.h>

#include "base/glob.h"
#include "base/log.h"
#include "base/number.h"
#include "responder/digest.h"

/* More values of one are taken for none of a configuration's. */
#define VALUES_MAX 64
/* Parameters that are watched. */
#define WATCHED_MAX 64

/* Each request is compared with all of these: their lengths are the compiler's work. */
#define KNOWN(text)              \
    {                            \
        (text), sizeof(text) - 1 \
    }

/* What mod_auth_openidc says of one who has logged in: such a request is that user's (request.c). */
static const struct slice claim_family = KNOWN("OIDC_CLAIM_");
static const struct slice claim_names[] = {
    KNOWN("OIDC_access_token"),     KNOWN("OIDC_access_token_expires"), KNOWN("OIDC_id_token"),
    KNOWN("OIDC_id_token_payload"), KNOWN("OIDC_refresh_token"),        KNOWN("OIDC_session"),
    KNOWN("OIDC_userinfo_json"),    KNOWN("OIDC_userinfo_jwt")};

/* Fields of the request. */
static const struct slice field_family = KNOWN("HTTP_");

static const struct slice known_names[] = {
    /* CGI's, and nginx' additions. */
    KNOWN("AUTH_TYPE"), KNOWN("CONTENT_LENGTH"), KNOWN("CONTENT_TYPE"), KNOWN("DOCUMENT_ROOT"),
    KNOWN("FCGI_ROLE"), KNOWN("GATEWAY_INTERFACE"), KNOWN("PATH_INFO"), KNOWN("PATH_TRANSLATED"),
    KNOWN("QUERY_STRING"), KNOWN("REMOTE_ADDR"), KNOWN("REMOTE_HOST"), KNOWN("REMOTE_IDENT"),
    KNOWN("REMOTE_PORT"), KNOWN("REMOTE_USER"), KNOWN("REQUEST_METHOD"), KNOWN("REQUEST_URI"),
    KNOWN("SCRIPT_FILENAME"), KNOWN("SCRIPT_NAME"), KNOWN("SERVER_ADDR"), KNOWN("SERVER_PORT"),
    KNOWN("SERVER_PROTOCOL"), KNOWN("SERVER_SOFTWARE"),
    /* Apache's: a field of the request, which is Authorization for us; of the URL; of the request. */
    KNOWN("Authorization"), KNOWN("SCRIPT_URI"), KNOWN("SCRIPT_URL"), KNOWN("SERVER_SIGNATURE"),
    KNOWN("UNIQUE_ID"),
    /* mod_ssl's and lighttpd's, of a connection. What they say of a client's certificate: below. */
    KNOWN("SSL_CIPHER"), KNOWN("SSL_CIPHER_ALGKEYSIZE"), KNOWN("SSL_CIPHER_EXPORT"),
    KNOWN("SSL_CIPHER_USEKEYSIZE"), KNOWN("SSL_CLIENT_VERIFY"), KNOWN("SSL_COMPRESS_METHOD"),
    KNOWN("SSL_PROTOCOL"), KNOWN("SSL_SECURE_RENEG"), KNOWN("SSL_SESSION_ID"),
    KNOWN("SSL_SESSION_RESUMED"), KNOWN("SSL_TLS_SNI"),
    /* mod_http2's, and what nginx' variables of these names are called. */
    KNOWN("H2PUSH"), KNOWN("H2_PUSH"), KNOWN("H2_PUSHED"), KNOWN("H2_PUSHED_ON"),
    KNOWN("H2_STREAM_ID"), KNOWN("H2_STREAM_TAG"), KNOWN("HTTP2"), KNOWN("HTTP3"), KNOWN("MSEC"),
    KNOWN("REQUEST_ID"), KNOWN("REQUEST_LENGTH"), KNOWN("REQUEST_TIME"), KNOWN("TIME_ISO8601"),
    KNOWN("TIME_LOCAL"),
    /* The client's address, by mod_geoip and mod_maxminddb. */
    KNOWN("GEOIP_ADDR"), KNOWN("MMDB_ADDR")};

/* Apache's and lighttpd's behind REDIRECT_: the URL before a rewriting, what an error was. */
static const struct slice redirected_names[] = {KNOWN("ERROR_NOTES"), KNOWN("STATUS"), KNOWN("URI"),
                                                KNOWN("URL")};

/* In a list of hosts they have as many values as the list, and follow from what the key has. */
static const struct slice unwatched_names[] = {KNOWN("SERVER_NAME"), KNOWN("SERVER_ADMIN"),
                                               KNOWN("CONTEXT_PREFIX"), KNOWN("DOCUMENT_URI"),
                                               KNOWN("CONTEXT_DOCUMENT_ROOT")};
#define COUNT_OF(table) (sizeof(table) / sizeof *(table))
#undef KNOWN

static bool
begins(struct slice name, struct slice with)
{
    return name.n >= with.n && name.p[0] == with.p[0] && memcmp(name.p, with.p, with.n) == 0;
}

static bool
is_one_of(struct slice name, const struct slice *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (name.n == list[i].n && begins(name, list[i]))
            return true;
    return false;
}

/* Without the REDIRECT_ that redirects inside Apache have put before it. */
static struct slice
plain_name(struct slice name)
{
    static const struct slice before = {"REDIRECT_", 9};
    while (begins(name, before)) {
        name.p += before.n;
        name.n -= before.n;
    }
    return name;
}

bool
settings_is_claim(struct slice name)
{
    struct slice plain = plain_name(name);
    return begins(plain, claim_family) || is_one_of(plain, claim_names, COUNT_OF(claim_names));
}

/* nginx' whole path; where it is not the two others together, a script may go by either. */
static bool
is_path_by_another_name(const struct upstream_parameter *one, const struct request *request)
{
    const struct chosen_script *script = &request->script;
    struct slice name = script->name, info = script->path_info, uri = one->value;
    if (!slice_equal(one->name, slice_of("DOCUMENT_URI")))
        return false;
    return uri.n == name.n + info.n && (!name.n || memcmp(uri.p, name.p, name.n) == 0) &&
           (!info.n || memcmp(uri.p + name.n, info.p, info.n) == 0);
}

static bool
is_left_out(struct slice name, const struct config *config)
{
    const struct string_list *globs = &config->ignore_parameters;
    return glob_any(globs->list, globs->count, name.p, name.n);
}

/*
 * A setting as it was before a redirect inside Apache is one still: some applications look for it.
 * What is said of a client's certificate is a setting unless SSL_CLIENT_VERIFY says that there is
 * one: then the request is not shared, or its route says that it is the same for all users.
 */
static bool
is_setting(const struct upstream_parameter *one, const struct request *request,
           const struct config *config)
{
    static const struct slice certificate = {"SSL_CLIENT_", 11};
    struct slice name = one->name, plain = plain_name(name);
    if (plain.n == 0 || begins(plain, field_family) || settings_is_claim(plain) ||
        is_one_of(plain, known_names, COUNT_OF(known_names)) ||
        is_path_by_another_name(one, request) ||
        (request->client_certificate && begins(plain, certificate)) ||
        (plain.n < name.n && is_one_of(plain, redirected_names, COUNT_OF(redirected_names))))
        return false;
    return !is_left_out(plain, config) && !is_left_out(name, config);
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

/* What is one user's has many values, and that request most likely has no stored page. */
static bool
is_watched(const struct request *request, struct slice name)
{
    return !request->authenticated && !request->client_certificate &&
           !fields_has_value(&request->fields, "Authorization") &&
           !is_one_of(name, unwatched_names, COUNT_OF(unwatched_names));
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

bool
settings_hash(struct slice *out, const struct request *request, const struct config *config,
              struct arena *arena)
{
    size_t count = 0, room = 0, n = 0;
    struct upstream_parameter *list =
        arena_calloc(arena, request->parameter_count + 1, sizeof *list);
    if (!list)
        return false;
    *out = (struct slice){"", 0};
    for (size_t i = 0; i < request->parameter_count; i++) {
        const struct upstream_parameter *one = &request->parameters[i];
        if (!is_setting(one, request, config))
            continue;
        list[count++] = *one;
        if (is_watched(request, one->name))
            watch(one);
        room += one->name.n + one->value.n + 2 * (NUMBER_DIGITS_MAX + 1);
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
