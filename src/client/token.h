/* Random names: tokens of locks, generations of tags. */
#ifndef CLIENT_TOKEN_H
#define CLIENT_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/rand.h>

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

#endif
