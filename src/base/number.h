/* Decimal digits without printf, for the path of a hit. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

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

#endif
