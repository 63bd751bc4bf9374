/* Decimal digits, strictly and without printf: a Content-Length, an age, for the path of a hit. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define NUMBER_DIGITS_MAX 20

/* Write the digits of value, no NUL; how many there are. out has room for NUMBER_DIGITS_MAX. */
static inline size_t
number_format(char *out, uint64_t value)
{
    char digits[NUMBER_DIGITS_MAX];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

/* Digits and nothing else, 18 at most, so that sums of a few overflow nothing. */
static inline bool
number_parse(struct slice text, int64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        if (i < 18)
            *value = *value * 10 + (text.p[i] - '0');
    }
    return text.n > 0 && text.n <= 18;
}

#endif
