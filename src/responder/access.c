/*
 * Who may purge over HTTP.
 *
 * The address comes first, then the token, of which only a hash is compared, so
 * that neither its length nor its beginning shows in the time that it takes. What
 * has the right token has no limit: others on the same address, who guess or have
 * an old one, could use it up. Wrong ones are limited for each address, over all
 * processes of the machine (limits.h); what keeps the token from being guessed is
 * its length, the limit keeps guessing from being a load.
 *
 * Two addresses for one client are none (cgi.c): where only some may purge it may not, and all
 * such clients together have one limit.
 *
 * Called by admin.c for each purge. No I/O.
 */
#include "responder/access.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "runtime/limits.h"

/* Proxies one behind the other. Only who has an address of theirs can write more. */
#define HOPS_MAX 16
#define PORT_DIGITS 5

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
    while (list.p && list.n && address && !request->address_in_doubt &&
           config_address_trusted(config, address)) {
        struct slice last = take_last(&list);
        address = arena_strndup(arena, last.p, last.n);
    }
    return address ? address : "";
}

static bool
reads_as(int family, struct slice text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    if (text.n >= sizeof address)
        return false;
    memcpy(address, text.p, text.n);
    address[text.n] = '\0';
    return inet_pton(family, address, bytes) == 1;
}

/* An IP address, alone or with a port; of IPv6 in brackets then. */
static bool
is_address(struct slice text)
{
    size_t digits = 0;
    if (reads_as(AF_INET, text) || reads_as(AF_INET6, text))
        return true;
    while (digits < text.n && text.p[text.n - digits - 1] >= '0' &&
           text.p[text.n - digits - 1] <= '9')
        digits++;
    if (digits > 0 && digits <= PORT_DIGITS && digits < text.n &&
        text.p[text.n - digits - 1] == ':')
        text.n -= digits + 1;
    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        return reads_as(AF_INET6, (struct slice){text.p + 1, text.n - 2});
    return reads_as(AF_INET, text);
}

struct slice
access_forwarded_for(const struct request *request, const struct config *config,
                     struct arena *arena)
{
    const char *address = arena_strndup(arena, request->remote_addr.p, request->remote_addr.n);
    struct slice list = fields_join(&request->fields, arena, "X-Forwarded-For");
    struct slice told = {NULL, 0};
    const char *end = list.p ? list.p + list.n : NULL;
    for (int hops = 0; hops < HOPS_MAX && list.n && address && !request->address_in_doubt &&
                       config_address_trusted(config, address);
         hops++) {
        struct slice last = take_last(&list);
        if (!is_address(last))
            break;
        told = (struct slice){last.p, (size_t)(end - last.p)};
        address = arena_strndup(arena, last.p, last.n);
    }
    return told;
}

/* Of IPv6 whoever has one address has all of its /64. */
static int64_t
take_for(const char *address, int rate, int64_t now_us)
{
    struct in6_addr bytes;
    if (inet_pton(AF_INET6, address, &bytes) == 1 && !IN6_IS_ADDR_V4MAPPED(&bytes))
        return limits_take(&bytes, 8, rate, now_us);
    return limits_take(address, strlen(address), rate, now_us);
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

/* What stands behind the scheme; empty where it is another, or there is nothing. */
static struct slice
bearer_of(const struct request *request)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;
    struct slice authorization = fields_get(&request->fields, "Authorization");
    struct slice bearer = {"", 0};
    if (authorization.n > n && strncasecmp(authorization.p, scheme, n) == 0)
        bearer = (struct slice){authorization.p + n, authorization.n - n};
    while (bearer.n && bearer.p[0] == ' ') {
        bearer.p++;
        bearer.n--;
    }
    return bearer;
}

bool
access_mentions_token(struct slice authorization, const char *token)
{
    const char *p = authorization.p, *end = p + authorization.n;
    while (p < end) {
        const char *start = p;
        while (p < end && *p != ' ' && *p != '\t' && *p != ',')
            p++;
        if (is_token((struct slice){start, (size_t)(p - start)}, token))
            return true;
        if (p < end)
            p++;
    }
    return false;
}

bool
access_has_token(const struct request *request, const char *token)
{
    struct slice own = fields_get(&request->fields, "X-Larder-Token");
    bool by_authorization = is_token(bearer_of(request), token);
    bool by_own_field = is_token(own.p ? own : slice_of(""), token);
    return by_authorization || by_own_field;
}

bool
access_names_token(const struct request *request)
{
    return bearer_of(request).n || fields_get(&request->fields, "X-Larder-Token").n;
}

/* -------------------------------------------------------------------- whole */

enum access
access_check(const struct request *request, const struct config *config, int64_t now_us,
             int64_t *retry_after_s, struct arena *arena)
{
    const char *client = access_client(request, config, arena);
    *retry_after_s = 0;
    if (request->address_in_doubt) {
        if (config->admin_allow.count > 0)
            return ACCESS_IN_DOUBT;
        client = "";
    }
    if (!config_address_may_purge(config, client))
        return ACCESS_ADDRESS;
    if (access_has_token(request, config->admin_token))
        return ACCESS_GRANTED;
    int64_t wait_us = config->admin_rate ? take_for(client, config->admin_rate, now_us) : 0;
    *retry_after_s = (wait_us + 999999) / 1000000;
    return wait_us > 0 ? ACCESS_RATE : ACCESS_TOKEN;
}
