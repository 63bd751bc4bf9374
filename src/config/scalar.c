/*
 * The small values of a configuration: durations, sizes, address blocks.
 *
 * Pure functions on text. Anything that is not exactly of the documented form
 * is refused: an operator who wrote "5 min" is told so at start and does not
 * find out from a page that stays for five milliseconds.
 */
#include "config/scalar.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- durations */

struct unit {
    const char *name;
    int64_t value;
};

/* Descending: a duration names each unit once, the larger before the smaller. */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
#define DURATION_UNITS (sizeof duration_units / sizeof duration_units[0])

/* Digits at *text, moved past them. false: none, or more than an int64_t holds. */
static bool
parse_digits(const char **text, int64_t *value)
{
    const char *p = *text;
    int64_t sum = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, *p - '0', &sum))
            return false;
    }
    *text = p;
    *value = sum;
    return true;
}

bool
config_parse_duration(const char *text, int64_t *ms)
{
    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return true;
    }
    int64_t sum = 0;
    size_t next_unit = 0;
    do {
        int64_t value;
        if (!parse_digits(&text, &value))
            return false;
        size_t letters = 0;
        while (text[letters] >= 'a' && text[letters] <= 'z')
            letters++;
        size_t i = next_unit;
        while (i < DURATION_UNITS && (strlen(duration_units[i].name) != letters ||
                                      strncmp(duration_units[i].name, text, letters) != 0))
            i++;
        if (i == DURATION_UNITS)
            return false;
        if (__builtin_mul_overflow(value, duration_units[i].value, &value) ||
            __builtin_add_overflow(sum, value, &sum))
            return false;
        text += letters;
        next_unit = i + 1;
    } while (*text);
    *ms = sum;
    return true;
}

void
scalar_print_duration(char *buf, size_t size, int64_t ms)
{
    size_t used = 0;
    snprintf(buf, size, "0");
    for (size_t i = 0; i < DURATION_UNITS && ms > 0; i++) {
        int64_t n = ms / duration_units[i].value;
        ms %= duration_units[i].value;
        if (n == 0 || used >= size)
            continue;
        int written = snprintf(buf + used, size - used, "%" PRId64 "%s", n, duration_units[i].name);
        if (written > 0)
            used += (size_t)written;
    }
}

/* -------------------------------------------------------------------- sizes */

bool
config_parse_size(const char *text, size_t *bytes)
{
    int64_t value;
    if (!parse_digits(&text, &value))
        return false;
    unsigned shift = 0;
    switch (*text) {
    case 'K':
    case 'k':
        shift = 10;
        break;
    case 'M':
    case 'm':
        shift = 20;
        break;
    case 'G':
    case 'g':
        shift = 30;
        break;
    default:
        break;
    }
    if (shift)
        text++;
    if (*text || value > INT64_MAX >> shift || (uint64_t)(value << shift) > SIZE_MAX)
        return false;
    *bytes = (size_t)(value << shift);
    return true;
}

void
scalar_print_size(char *buf, size_t size, uint64_t bytes)
{
    static const char suffix[] = {'\0', 'K', 'M', 'G'};
    size_t i = 0;
    while (i + 1 < sizeof suffix && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    const char unit[2] = {suffix[i], '\0'};
    snprintf(buf, size, "%" PRIu64 "%s", bytes, unit);
}

/* ---------------------------------------------------------------- addresses */

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/*
 * Both families in sixteen bytes. They stay apart by `ipv4`, since ::/0 is
 * everybody with an IPv6 address and not everybody.
 */
static bool
parse_address(const char *text, size_t n, unsigned char bytes[16], bool *ipv4)
{
    char copy[INET6_ADDRSTRLEN];
    if (n >= sizeof copy)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (inet_pton(AF_INET, copy, bytes + 12) == 1) {
        memcpy(bytes, mapped_prefix, sizeof mapped_prefix);
        *ipv4 = true;
        return true;
    }
    if (inet_pton(AF_INET6, copy, bytes) != 1)
        return false;
    *ipv4 = memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0;
    return true;
}

/* Are the first `bits` bits the same? */
static bool
same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

/* Is every bit after the first `bits` zero? */
static bool
zero_after(const unsigned char *bytes, unsigned bits)
{
    for (unsigned bit = bits; bit < 128; bit++)
        if (bytes[bit / 8] & (0x80u >> (bit % 8)))
            return false;
    return true;
}

bool
scalar_parse_block(const char *text, struct address_block *block, const char **why)
{
    *why = "an IPv4 or IPv6 address, or a block such as \"10.0.0.0/8\"";
    size_t n = strcspn(text, "/");
    if (!parse_address(text, n, block->bytes, &block->ipv4))
        return false;
    block->bits = 128;
    if (text[n] == '\0')
        return true;

    /* ::ffff:10.0.0.0/104 counts its bits from the front, 10.0.0.0/8 from the IPv4 part. */
    bool dotted = memchr(text, ':', n) == NULL;
    const char *p = text + n + 1;
    int64_t bits;
    *why = dotted ? "a prefix length from 0 to 32" : "a prefix length from 0 to 128";
    if (!parse_digits(&p, &bits) || *p || bits > (dotted ? 32 : 128))
        return false;
    if (block->ipv4 && !dotted && bits < 96) {
        *why = "a prefix length from 96 to 128 on an IPv4 address in IPv6 form";
        return false;
    }
    block->bits = (unsigned)bits + (dotted ? 96 : 0);
    *why = "a block whose bits after the prefix are zero";
    return zero_after(block->bytes, block->bits);
}

bool
scalar_block_has(const struct address_block *block, size_t count, const char *address)
{
    if (!address || count == 0)
        return false;
    unsigned char bytes[16];
    bool ipv4;
    /* The zone of a link-local address (fe80::1%eth0) is not part of any block. */
    if (!parse_address(address, strcspn(address, "%"), bytes, &ipv4))
        return false;
    for (size_t i = 0; i < count; i++)
        if (block[i].ipv4 == ipv4 && same_prefix(block[i].bytes, bytes, block[i].bits))
            return true;
    return false;
}
