/*
 * SHA-256, of which every request needs two or more.
 *
 * EVP_sha256() would be looked up again in every call, and a context allocated: a
 * tenth of a hit's time. So the algorithm is fetched once, and each thread keeps a
 * context.
 *
 * Called for keys, for tags and for the names of flights.
 */
#include "responder/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static pthread_key_t context_key; /* of each thread its EVP_MD_CTX */
static bool has_key;

static void
free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void
fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    has_key = pthread_key_create(&context_key, free_context) == 0;
}

/* NULL: no memory. */
static EVP_MD_CTX *
context_of_thread(void)
{
    pthread_once(&once, fetch);
    if (!sha256 || !has_key)
        return NULL;
    EVP_MD_CTX *context = pthread_getspecific(context_key);
    if (context)
        return context;
    context = EVP_MD_CTX_new();
    if (context && pthread_setspecific(context_key, context) != 0) {
        EVP_MD_CTX_free(context);
        return NULL;
    }
    return context;
}

bool
digest_hex(struct slice data, char *out, size_t digits)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    EVP_MD_CTX *context = context_of_thread();
    if (!context || EVP_DigestInit_ex2(context, sha256, NULL) != 1 ||
        EVP_DigestUpdate(context, data.p, data.n) != 1 ||
        EVP_DigestFinal_ex(context, digest, &n) != 1 || n != DIGEST_DIGITS_MAX / 2)
        return false;
    for (size_t i = 0; i < digits / 2; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[digits] = '\0';
    return true;
}

void
digest_cleanup(void)
{
    if (has_key) {
        EVP_MD_CTX_free(pthread_getspecific(context_key));
        pthread_key_delete(context_key);
    }
    has_key = false;
    EVP_MD_free(sha256);
    sha256 = NULL;
}
