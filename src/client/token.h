/* Random names: tokens of locks, generations of tags. */
#ifndef CLIENT_TOKEN_H
#define CLIENT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <openssl/rand.h>

#include "client/store.h"

#define TOKEN_DIGITS_MAX ((size_t)64)

/* `digits` hex digits (even, at most TOKEN_DIGITS_MAX) and a NUL. false: no random bytes. */
static inline bool
token_make(char *text, size_t digits)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[TOKEN_DIGITS_MAX / 2];

    text[0] = '\0';
    if (digits > TOKEN_DIGITS_MAX || RAND_bytes(bytes, (int)(digits / 2)) != 1)
        return false;
    for (size_t i = 0; i < digits / 2; i++) {
        text[2 * i] = hex[bytes[i] >> 4];
        text[2 * i + 1] = hex[bytes[i] & 15];
    }
    text[digits] = '\0';
    return true;
}

/* A new generation: nobody has the like of its hard part, and nobody has changed its soft part. */
static inline bool
generation_make(store_generation value)
{
    if (!token_make(value, STORE_HARD_LEN))
        return false;
    memset(value + STORE_HARD_LEN, '0', STORE_GENERATION_LEN - STORE_HARD_LEN);
    value[STORE_GENERATION_LEN] = '\0';
    return true;
}

#endif
