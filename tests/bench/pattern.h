/*
 * The bodies that tests/bench/origin makes and tests/bench/load checks, without a
 * reference file between them: byte i is the low byte of i, turned by the block
 * of 256 it lies in. Each whole block holds every byte value once, and a body
 * that lost, doubled or swapped a block no longer fits.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>

static inline unsigned char
pattern_byte(size_t i)
{
    return (unsigned char)(i ^ (i >> 8) ^ (i >> 16));
}

#endif
