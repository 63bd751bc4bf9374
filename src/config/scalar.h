/*
 * The small values of a configuration: durations, sizes, address blocks.
 */
#ifndef CONFIG_SCALAR_H
#define CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* Longest text that the functions below write, with its NUL. */
#define SCALAR_TEXT_SIZE 48

/* As one would write it: 90000 -> "1m30s", 0 -> "0". */
void scalar_print_duration(char *buf, size_t size, int64_t ms);
/* As one would write it: 8388608 -> "8M", 0 -> "0". */
void scalar_print_size(char *buf, size_t size, uint64_t bytes);

/*
 * An address with or without a prefix length. An IPv4 address that is written
 * as ::ffff:a.b.c.d is an IPv4 address. On failure *why says what is expected.
 */
bool scalar_parse_block(const char *text, struct address_block *block, const char **why);
/* Is the address in the block? Text that is no address is in none. */
bool scalar_block_has(const struct address_block *block, size_t count, const char *address);

#endif
