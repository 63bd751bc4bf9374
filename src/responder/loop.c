/*
 * Backend requests that come back to the pool that sent them.
 *
 * A backend address that leads back to the same web server turns one request into
 * as many as there are fetchers, each of which waits for the next. So each backend
 * request carries a name of its pool, in CDN-Loop (RFC 8586) and, to HTTP
 * backends, in Via (RFC 9110 §7.6.3), for where a proxy on the way drops the one
 * or the other. A request that comes with our own name is answered 508 by the
 * worker: before Redis, before the cache, without a fetcher, because all of them
 * may be waiting for such requests.
 *
 * The name is the same for all processes of a pool on one machine. It is another
 * for another machine, configuration file, backend or namespace: a Larder in
 * front of a Larder is no loop, whether on one machine or with copies of one
 * file. A loop over two machines is seen when it comes back to the first. A hash
 * stands for all this, because the backend and its scripts see the name.
 *
 * The second line are requests that have passed HOPS_MAX Larders, whatever these
 * are called.
 *
 * The last part of the name is the store's: Redis and the namespace. A Larder that
 * gets a request from one with the same store passes it and keeps nothing: both
 * would use the same keys, and it would wait for the lease of the very request
 * that waits for its answer.
 *
 * Neither field is split as its grammar has it (quoted strings, comments): the
 * name is looked for between commas wherever they stand. An unfinished quotation
 * mark of a visitor's would otherwise hide what we append behind it. A visitor who
 * writes our name himself gets 508, and nobody else does.
 */
#include "responder/loop.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "runtime/counters.h"

/* More Larders than that are not put in a row. */
#define HOPS_MAX 8
/* One line in so long; a looped site is asked all the time. */
#define LOG_EVERY_MS 10000

#define NAME "larder-"
#define POOL_DIGITS ((size_t)12)
#define STORE_DIGITS ((size_t)8)
/* Where the store's digits begin, behind a hyphen. */
#define STORE_AT (sizeof NAME - 1 + POOL_DIGITS + 1)
_Static_assert(STORE_AT + STORE_DIGITS + 1 == LOOP_ID_SIZE, "the name fits");

/* ------------------------------------------------------------------------ the name */

/* With its length, so that no two lists of parts make the same bytes. */
static void
add_part(EVP_MD_CTX *digest, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    EVP_DigestUpdate(digest, &n, sizeof n);
    if (n)
        EVP_DigestUpdate(digest, text, n);
}

/* Machines that were cloned share one id, and containers often have none: so the name counts too. */
static void
add_machine(EVP_MD_CTX *digest)
{
    char id[64] = "", host[HOST_NAME_MAX + 1] = "";
    FILE *file = fopen("/etc/machine-id", "re");
    if (file) {
        if (!fgets(id, sizeof id, file))
            id[0] = '\0';
        fclose(file);
    }
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    add_part(digest, id);
    add_part(digest, host);
}

static void
add_pool(EVP_MD_CTX *digest, const struct config *config)
{
    const struct upstream_options *upstream = &config->upstream;
    char path[PATH_MAX];
    add_machine(digest);
    add_part(digest, config->file && realpath(config->file, path) ? path : config->file);
    add_part(digest, upstream->url);
    for (size_t i = 0; i < upstream->url_count; i++)
        add_part(digest, upstream->urls[i]);
    for (size_t i = 0; i < upstream->backup_count; i++)
        add_part(digest, upstream->backup_urls[i]);
    add_part(digest, config->redis.name_space);
}

static void
add_store(EVP_MD_CTX *digest, const struct config *config)
{
    const struct larder_options *redis = &config->redis;
    const char *host = redis->unix_path ? "" : redis->host ? redis->host : "";
    char number[48];
    snprintf(number, sizeof number, "%d %d", redis->unix_path ? 0 : redis->port, redis->database);
    /* Each machine has a 127.0.0.1 of its own. */
    if (redis->unix_path || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
        strcmp(host, "localhost") == 0)
        add_machine(digest);
    add_part(digest, redis->unix_path);
    add_part(digest, host);
    add_part(digest, number);
    add_part(digest, redis->name_space);
}

/* The first digits of a hash of what `add` adds. */
static void
put_hash(char *out, size_t digits, void (*add)(EVP_MD_CTX *digest, const struct config *config),
         const struct config *config)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE] = {0};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1) {
        add(digest, config);
        EVP_DigestFinal_ex(digest, sum, NULL);
    }
    EVP_MD_CTX_free(digest);
    for (size_t i = 0; i < digits; i++)
        out[i] = hex[i % 2 ? sum[i / 2] & 15 : sum[i / 2] >> 4];
}

void
loop_id(char id[LOOP_ID_SIZE], const struct config *config)
{
    memcpy(id, NAME, sizeof NAME - 1);
    put_hash(id + sizeof NAME - 1, POOL_DIGITS, add_pool, config);
    id[STORE_AT - 1] = '-';
    put_hash(id + STORE_AT, STORE_DIGITS, add_store, config);
    id[STORE_AT + STORE_DIGITS] = '\0';
}

/* --------------------------------------------------------------------- coming back */

/* The next word up to a comma, a semicolon or a blank, past blanks. */
static struct slice
next_word(const char **p, const char *end)
{
    while (*p < end && (**p == ' ' || **p == '\t'))
        ++*p;
    const char *start = *p;
    while (*p < end && **p != ',' && **p != ';' && **p != ' ' && **p != '\t')
        ++*p;
    return (struct slice){start, (size_t)(*p - start)};
}

/* The word `which` of the member at *p, which goes on to the next one. */
static struct slice
word_of_member(const char **p, const char *end, int which)
{
    struct slice word = {*p, 0};
    for (int i = 0; i <= which; i++)
        word = next_word(p, end);
    const char *comma = memchr(*p, ',', (size_t)(end - *p));
    *p = comma ? comma + 1 : end;
    return word;
}

/* What the members of a field say. */
struct passed {
    int hops; /* Larders */
    bool own, same_store;
};

/* The name is the word `which` of each member. */
static struct passed
read_members(const struct fields *request, const char *field, int which, const char *id)
{
    struct passed passed = {0};
    const struct field *f;
    size_t cursor = 0;
    while ((f = fields_next(request, field, &cursor))) {
        const char *p = f->value.p, *end = p + f->value.n;
        while (p < end) {
            struct slice word = word_of_member(&p, end, which);
            bool is_larder = word.n == LOOP_ID_SIZE - 1 &&
                             strncasecmp(word.p, NAME, sizeof NAME - 1) == 0;
            passed.hops += is_larder;
            passed.own |= slice_equal_nocase(word, id);
            passed.same_store |= is_larder &&
                                 strncasecmp(word.p + STORE_AT, id + STORE_AT, STORE_DIGITS) == 0;
        }
    }
    return passed;
}

enum loop
loop_of(const struct fields *request, const char *id)
{
    /* The one begins with the sender's name, the other has the protocol before it. */
    const struct passed by_loop = read_members(request, "CDN-Loop", 0, id);
    const struct passed by_via = read_members(request, "Via", 1, id);
    if (by_loop.own || by_via.own)
        return LOOP_OWN;
    if (by_loop.hops >= HOPS_MAX || by_via.hops >= HOPS_MAX)
        return LOOP_ENDLESS;
    return by_loop.same_store || by_via.same_store ? LOOP_SAME_STORE : LOOP_NONE;
}

/* Are these the bytes of a name as loop_id() makes them? */
static bool
is_name(struct slice word)
{
    if (word.n != LOOP_ID_SIZE - 1 || memcmp(word.p, NAME, sizeof NAME - 1) != 0)
        return false;
    for (size_t i = sizeof NAME - 1; i < word.n; i++)
        if (i == STORE_AT - 1 ? word.p[i] != '-' : !memchr("0123456789abcdef", word.p[i], 16))
            return false;
    return true;
}

/* The Larders that a request has passed, and nothing else that its field says: the word `which` of a
 * member is the name, `before` goes in front of each. At most HOPS_MAX are ever asked for (loop_of). */
static bool
plain_names(struct slice *out, const struct fields *request, const char *field, int which,
            const char *before, struct arena *arena)
{
    const struct field *f;
    size_t cursor = 0;
    *out = (struct slice){"", 0};
    while ((f = fields_next(request, field, &cursor))) {
        const char *p = f->value.p, *end = p + f->value.n;
        while (p < end) {
            struct slice word = word_of_member(&p, end, which);
            if (is_name(word)) {
                const char *text = arena_printf(arena, "%.*s%s%s%.*s", (int)out->n, out->p,
                                                out->n ? ", " : "", before, (int)word.n, word.p);
                if (!text)
                    return false;
                *out = slice_of(text);
            }
        }
    }
    return true;
}

/* `own` behind what came; own NULL: nothing is added. .p NULL: no memory. */
static struct slice
behind(struct slice before, const char *own, struct arena *arena)
{
    if (!own || before.n == 0)
        return own ? slice_of(own) : before;
    const char *text = arena_printf(arena, "%.*s, %s", (int)before.n, before.p, own);
    return text ? slice_of(text) : (struct slice){NULL, 0};
}

bool
loop_mark(struct fields *out, const struct fields *request, const char *id, bool is_hop,
          bool shared, struct arena *arena)
{
    /* What is passed has its Via already. */
    struct slice loops = {NULL, 0}, vias = {NULL, 0};
    const char *own_via = is_hop ? arena_printf(arena, "1.1 %s", id) : NULL;
    if (!shared)
        loops = fields_join(request, arena, "CDN-Loop");
    else if (!plain_names(&loops, request, "CDN-Loop", 0, "", arena) ||
             !plain_names(&vias, request, "Via", 1, "1.1 ", arena))
        return false;
    loops = behind(loops, id, arena);
    vias = behind(vias, own_via, arena);
    return loops.p && fields_add(out, arena, slice_of("CDN-Loop"), loops) &&
           (!is_hop || (own_via && vias.p)) &&
           (vias.n == 0 || fields_add(out, arena, slice_of("Via"), vias));
}

/* ------------------------------------------------------------------------- telling */

const char *
loop_setting(const struct config *config, struct arena *arena)
{
    const struct upstream_options *upstream = &config->upstream;
    bool one = upstream->url_count == 0;
    const char *text = arena_printf(arena, "upstream.%s = %s\"%s\"%s", one ? "url" : "urls",
                                    one ? "" : "[", one ? upstream->url : upstream->urls[0],
                                    one                        ? ""
                                    : upstream->url_count == 1 ? "]"
                                                               : ", ...]");
    return text ? text : "upstream.url";
}

void
loop_note(enum loop loop, const struct config *config, const struct request *request)
{
    static atomic_llong next_ms;
    static atomic_ullong unsaid;
    long long now_ms = clock_now_ms(), due_ms = atomic_load(&next_ms);
    counters_add(COUNTER_loops, 1);
    if (now_ms < due_ms ||
        !atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + LOG_EVERY_MS)) {
        atomic_fetch_add(&unsaid, 1);
        return;
    }
    unsigned long long more = atomic_exchange(&unsaid, 0);
    char times[64] = "";
    if (more)
        snprintf(times, sizeof times, " (and %llu more since the last such line)", more);
    struct arena *arena = arena_new((size_t)16 * 1024);
    const char *setting = arena ? loop_setting(config, arena) : "upstream.url";
    int host = request->host.n < 256 ? (int)request->host.n : 256;
    int target = request->target.n < 512 ? (int)request->target.n : 512;
    if (loop == LOOP_OWN)
        log_write(LARDER_LOG_ERROR,
                  "loop: %.*s %.*s%.*s came back from the backend and is answered 508%s: %s leads "
                  "back to this web server; set it to the address of the application itself",
                  (int)request->method.n, request->method.p, host, request->host.p, target,
                  request->target.p, times, setting);
    else
        log_write(LARDER_LOG_WARNING,
                  "loop: %.*s %.*s%.*s has passed %d Larders and is answered 508%s: %s of this one "
                  "or of another leads back to the first, or a client sends CDN-Loop or Via itself",
                  (int)request->method.n, request->method.p, host, request->host.p, target,
                  request->target.p, HOPS_MAX, times, setting);
    arena_free(arena);
}
