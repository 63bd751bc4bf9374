/*
 * Who may purge over HTTP.
 *
 * The address comes first: who is not to purge at all should not be able to keep
 * others from it. Then the rate, in which failed attempts count, so that guessing
 * is slow. It is counted for each address: counted for all together, anybody on
 * the net could use up what the operator needs. The token is last, and only its
 * hash is compared, so that neither its length nor its beginning shows in the
 * time that it takes.
 *
 * Called by admin.c for each purge. No I/O.
 */
#include "responder/access.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <xxhash.h>

/* Addresses that share a slot share a rate: a table that cannot be filled up. */
#define SLOTS 256
#define MINUTE_US INT64_C(60000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static int64_t slots[SLOTS];
static uint64_t seed; /* nobody outside knows who shares a slot with whom */
static bool has_seed;

/* ------------------------------------------------------------------ address */

/* The last member of a comma-separated list, which is cut off from it. */
static struct slice
take_last(struct slice *list)
{
    size_t start = list->n;
    while (start > 0 && list->p[start - 1] != ',')
        start--;
    struct slice last = {list->p + start, list->n - start};
    list->n = start > 0 ? start - 1 : 0;
    while (last.n && (last.p[0] == ' ' || last.p[0] == '\t')) {
        last.p++;
        last.n--;
    }
    while (last.n && (last.p[last.n - 1] == ' ' || last.p[last.n - 1] == '\t'))
        last.n--;
    return last;
}

const char *
access_client(const struct request *request, const struct config *config, struct arena *arena)
{
    const char *address = arena_strndup(arena, request->remote_addr.p, request->remote_addr.n);
    struct slice list = fields_join(&request->fields, arena, "X-Forwarded-For");
    while (list.p && list.n && address && config_address_trusted(config, address)) {
        struct slice last = take_last(&list);
        address = arena_strndup(arena, last.p, last.n);
    }
    return address ? address : "";
}

/* Of IPv6 whoever has one address has all of its /64. */
static uint64_t
address_hash(const char *address)
{
    struct in6_addr bytes;
    if (inet_pton(AF_INET6, address, &bytes) == 1 && !IN6_IS_ADDR_V4MAPPED(&bytes))
        return XXH3_64bits_withSeed(&bytes, 8, seed);
    return XXH3_64bits_withSeed(address, strlen(address), seed);
}

/* --------------------------------------------------------------------- rate */

int64_t
access_take(int64_t *until_us, int rate, int64_t now_us)
{
    /* Each costs the same share of a minute, and no more than a minute is lent in advance. */
    int64_t share_us = MINUTE_US / rate;
    int64_t from_us = *until_us > now_us ? *until_us : now_us;
    int64_t over_us = from_us + share_us - now_us - MINUTE_US;
    if (over_us > 0)
        return over_us;
    *until_us = from_us + share_us;
    return 0;
}

static int64_t
take_for(const char *address, int rate, int64_t now_us)
{
    pthread_mutex_lock(&lock);
    if (!has_seed)
        has_seed = RAND_bytes((unsigned char *)&seed, sizeof seed) == 1;
    int64_t wait_us = access_take(&slots[address_hash(address) % SLOTS], rate, now_us);
    pthread_mutex_unlock(&lock);
    return wait_us;
}

/* -------------------------------------------------------------------- token */

static bool
is_token(struct slice text, const char *token)
{
    unsigned char a[EVP_MAX_MD_SIZE], b[EVP_MAX_MD_SIZE];
    unsigned int n = 0, m = 0;
    return EVP_Digest(text.p, text.n, a, &n, EVP_sha256(), NULL) == 1 &&
           EVP_Digest(token, strlen(token), b, &m, EVP_sha256(), NULL) == 1 && n == m &&
           CRYPTO_memcmp(a, b, n) == 0;
}

bool
access_has_token(const struct request *request, const char *token)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;
    struct slice authorization = fields_get(&request->fields, "Authorization");
    struct slice own = fields_get(&request->fields, "X-Larder-Token");
    struct slice bearer = {"", 0};
    if (authorization.n > n && strncasecmp(authorization.p, scheme, n) == 0)
        bearer = (struct slice){authorization.p + n, authorization.n - n};
    while (bearer.n && bearer.p[0] == ' ') {
        bearer.p++;
        bearer.n--;
    }
    bool by_authorization = is_token(bearer, token);
    bool by_own_field = is_token(own.p ? own : slice_of(""), token);
    return by_authorization || by_own_field;
}

/* -------------------------------------------------------------------- whole */

enum access
access_check(const struct request *request, const struct config *config, int64_t now_us,
             int64_t *retry_after_s, struct arena *arena)
{
    const char *client = access_client(request, config, arena);
    *retry_after_s = 0;
    if (!config_address_may_purge(config, client))
        return ACCESS_ADDRESS;
    int64_t wait_us = config->admin_rate ? take_for(client, config->admin_rate, now_us) : 0;
    if (wait_us > 0) {
        *retry_after_s = (wait_us + 999999) / 1000000;
        return ACCESS_RATE;
    }
    return access_has_token(request, config->admin_token) ? ACCESS_GRANTED : ACCESS_TOKEN;
}
