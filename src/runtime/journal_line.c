/*
 * One record of the journal as a line of text, to be read with less at three in
 * the morning:
 *
 *   8c1d...f3 2026-10-05T03:12:44.123Z purge tag:shop url:1a2b
 *   03b9...5e 2026-10-05T03:12:44.123Z soft tag:news
 *   77f0...9a 2026-10-05T03:12:44.123Z sweep product:42:*
 *   e2a5...01 2026-10-05T03:12:45.001Z mutation 0123456789abcdef 81985529216486 300000 tag:shop
 *   1f4c...b7 2026-10-05T03:12:45.220Z done 0123456789abcdef
 *   9c02...4d 2026-10-05T03:12:46.310Z silent 300000 tag:shop
 *
 * An older Larder wrote `intent TOKEN DEADLINE TAG...` instead of the fourth; its
 * process is gone.
 *
 * The first word is a checksum, 64 bits, of all that follows the blank behind it:
 * a line that a crash has torn, or a disk has damaged, is none. Parts are
 * separated by one blank (which is why a blank in a name is %20, like every other
 * byte that would break a line, and '%' itself).
 *
 * The file may have been damaged in any way, so everything is checked again after
 * the checksum. No I/O, no clock.
 */
#include "runtime/journal_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/number.h"
#define SUM_LEN 16
#define TIME_LEN 24
/* 9999-12-31T23:59:59.999Z, the last one that can be written. */
#define TIME_MAX INT64_C(253402300799999)
/* A record with more names is continued on another line: what is torn or damaged is one line. */
#define LINE_GOAL ((size_t)16 * 1024)
/* The longest hold, and that of an older Larder's intent that does not say. */
#define HOLD_MAX_MS (INT64_C(366) * 86400 * 1000)
#define HOLD_OLD_MS (INT64_C(600) * 1000)

static const char *const words[] = {
    [JOURNAL_HARD] = "purge",      [JOURNAL_SOFT] = "soft", [JOURNAL_SWEEP] = "sweep",
    [JOURNAL_INTENT] = "mutation", [JOURNAL_DONE] = "done", [JOURNAL_SILENT] = "silent",
};
static const char old_intent[] = "intent";
#define WORD_COUNT (sizeof words / sizeof *words)

static bool
has_token(enum journal_kind kind)
{
    return kind == JOURNAL_INTENT || kind == JOURNAL_DONE;
}

static bool
has_hold(enum journal_kind kind)
{
    return kind == JOURNAL_INTENT || kind == JOURNAL_SILENT;
}

/* FNV-1a: it is accidents that are to be found, not forgers, who could make any checksum right. Each
 * step is a bijection, so one changed byte always changes the sum. */
uint64_t
journal_line_sum(struct slice rest)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < rest.n; i++)
        hash = (hash ^ (unsigned char)rest.p[i]) * UINT64_C(1099511628211);
    return hash;
}

/* ------------------------------------------------------------------------------------ writing */

void
journal_text_add(struct journal_text *text, const char *bytes, size_t n)
{
    if (text->failed || n == 0)
        return;
    if (n > text->room - text->n) {
        size_t room = text->room ? text->room : 256;
        while (room <= SIZE_MAX / 2 && n > room - text->n)
            room *= 2;
        char *p = n > room - text->n ? NULL : realloc(text->p, room);
        if (!p) {
            text->failed = true;
            return;
        }
        text->p = p;
        text->room = room;
    }
    memcpy(text->p + text->n, bytes, n);
    text->n += n;
}

static void
add_string(struct journal_text *text, const char *string)
{
    journal_text_add(text, string, strlen(string));
}

/* Bytes over 0x7f stay: UTF-8 is readable. */
static bool
breaks_line(char byte)
{
    unsigned char c = (unsigned char)byte;
    return c <= 0x20 || c == 0x7f || c == '%';
}

static void
add_name(struct journal_text *text, const char *name)
{
    add_string(text, " ");
    while (*name) {
        size_t plain = 0;
        while (name[plain] && !breaks_line(name[plain]))
            plain++;
        journal_text_add(text, name, plain);
        name += plain;
        if (*name) {
            char escaped[4];
            snprintf(escaped, sizeof escaped, "%%%02x", (unsigned)(unsigned char)*name++);
            journal_text_add(text, escaped, 3);
        }
    }
}

static void
add_time(struct journal_text *text, int64_t ms)
{
    char out[64];
    struct tm tm = {0};
    ms = ms < 0 ? 0 : ms > TIME_MAX ? TIME_MAX : ms;
    time_t seconds = (time_t)(ms / 1000);
    gmtime_r(&seconds, &tm);
    snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms % 1000));
    add_string(text, out);
}

static void
add_number(struct journal_text *text, uint64_t number)
{
    char out[24];
    snprintf(out, sizeof out, " %llu", (unsigned long long)number);
    add_string(text, out);
}

/* As many names from *next on as fit. */
static void
write_line(struct journal_text *text, const struct journal_record *record, int64_t now_wall_ms,
           size_t *next)
{
    size_t begin = text->n;
    add_string(text, "0000000000000000 ");
    add_time(text, now_wall_ms);
    add_string(text, " ");
    add_string(text, words[record->kind]);
    if (has_token(record->kind))
        add_name(text, record->token);
    if (record->kind == JOURNAL_INTENT)
        add_number(text, record->owner);
    if (has_hold(record->kind))
        add_number(text, (uint64_t)record->hold_ms);
    while (*next < record->count && text->n - begin < LINE_GOAL && !text->failed)
        add_name(text, record->names[(*next)++]);
    if (text->failed)
        return;
    char sum[SUM_LEN + 1];
    struct slice rest = {text->p + begin + SUM_LEN + 1, text->n - begin - SUM_LEN - 1};
    snprintf(sum, sizeof sum, "%016llx", (unsigned long long)journal_line_sum(rest));
    memcpy(text->p + begin, sum, SUM_LEN);
    add_string(text, "\n");
}

size_t
journal_line_write(struct journal_text *text, const struct journal_record *record,
                   int64_t now_wall_ms)
{
    size_t next = 0, lines = 0;
    if (record->count == 0 && record->kind != JOURNAL_DONE)
        return 0;
    do {
        write_line(text, record, now_wall_ms, &next);
        lines++;
    } while (next < record->count && !text->failed);
    return lines;
}

/* ------------------------------------------------------------------------------------ reading */

/* Small letters only: what is not as it was written has been damaged. */
static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
read_sum(struct slice line, uint64_t *sum)
{
    *sum = 0;
    if (line.n <= SUM_LEN || line.p[SUM_LEN] != ' ')
        return false;
    for (size_t i = 0; i < SUM_LEN; i++) {
        int digit = hex_digit(line.p[i]);
        if (digit < 0)
            return false;
        *sum = *sum << 4 | (uint64_t)digit;
    }
    return true;
}

/* Up to the next blank, which is taken with it. */
static struct slice
take_part(struct slice *rest)
{
    const char *end = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
    struct slice part = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    rest->p += part.n + (end != NULL);
    rest->n -= part.n + (end != NULL);
    return part;
}

/* -1: not all of them are digits. */
static int
number(const char *p, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

static bool
read_time(struct slice part, int64_t *ms)
{
    static const char shape[] = "....-..-..T..:..:......Z";
    const char *p = part.p;

    if (part.n != TIME_LEN || p[19] != '.')
        return false;
    for (size_t i = 0; i < TIME_LEN; i++)
        if (shape[i] != '.' && p[i] != shape[i])
            return false;
    struct tm tm = {.tm_year = number(p, 4) - 1900,
                    .tm_mon = number(p + 5, 2) - 1,
                    .tm_mday = number(p + 8, 2),
                    .tm_hour = number(p + 11, 2),
                    .tm_min = number(p + 14, 2),
                    .tm_sec = number(p + 17, 2)};
    int fraction = number(p + 20, 3);
    if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
        tm.tm_sec > 59 || fraction < 0)
        return false;
    *ms = (int64_t)timegm(&tm) * 1000 + fraction;
    return true;
}

/* Without leading zeros, so that it is written as it was read. */
static bool
read_number(struct slice part, uint64_t *value)
{
    int64_t number = 0;
    bool ok = number_parse(part, &number) && (part.p[0] != '0' || part.n == 1);
    *value = (uint64_t)number;
    return ok;
}

/* Into *out, NUL-terminated, behind which it is moved. */
static bool
read_name(struct slice part, char **out)
{
    char *p = *out;
    for (size_t i = 0; i < part.n; i++) {
        int high, low;
        if (part.p[i] != '%') {
            if (breaks_line(part.p[i]))
                return false;
            *p++ = part.p[i];
            continue;
        }
        if (part.n - i < 3 || (high = hex_digit(part.p[i + 1])) < 0 ||
            (low = hex_digit(part.p[i + 2])) < 0 || high + low == 0)
            return false;
        *p++ = (char)(high << 4 | low);
        i += 2;
    }
    *p++ = '\0';
    size_t len = (size_t)(p - *out) - 1;
    *out = p;
    return len >= 1 && len <= JOURNAL_NAME_MAX;
}

static bool
read_kind(struct slice word, enum journal_kind *kind)
{
    for (size_t i = 0; i < WORD_COUNT; i++)
        if (slice_equal(word, slice_of(words[i]))) {
            *kind = (enum journal_kind)i;
            return true;
        }
    return false;
}

enum journal_verdict
journal_line_read(struct slice line, struct arena *arena, struct journal_line *out)
{
    uint64_t sum;
    *out = (struct journal_line){.text = line};
    struct journal_record *record = &out->record;
    if (!read_sum(line, &sum))
        return JOURNAL_LINE_BAD;
    struct slice rest = {line.p + SUM_LEN + 1, line.n - SUM_LEN - 1};
    if (sum != journal_line_sum(rest) || !read_time(take_part(&rest), &out->time_ms))
        return JOURNAL_LINE_BAD;
    struct slice word = take_part(&rest);
    bool is_old = slice_equal(word, slice_of(old_intent));
    if (is_old)
        record->kind = JOURNAL_SILENT;
    else if (!read_kind(word, &record->kind))
        return JOURNAL_LINE_BAD;

    /* A name does not become longer, and its blank becomes its NUL. */
    char *space = arena_alloc(arena, rest.n + 1);
    if (!space)
        return JOURNAL_LINE_NO_MEMORY;
    if (has_token(record->kind) || is_old) {
        record->token = space;
        if (!read_name(take_part(&rest), &space))
            return JOURNAL_LINE_BAD;
    }
    uint64_t hold = 1;
    int64_t until_ms = 0;
    if ((is_old && !read_time(take_part(&rest), &until_ms)) ||
        (record->kind == JOURNAL_INTENT && !read_number(take_part(&rest), &record->owner)) ||
        (!is_old && has_hold(record->kind) && !read_number(take_part(&rest), &hold)) || hold == 0 ||
        hold > (uint64_t)HOLD_MAX_MS)
        return JOURNAL_LINE_BAD;
    if (has_hold(record->kind))
        record->hold_ms = (int64_t)hold;
    if (is_old)
        record->hold_ms = until_ms - out->time_ms > 0 && until_ms - out->time_ms < HOLD_MAX_MS
                              ? until_ms - out->time_ms
                              : HOLD_OLD_MS;
    if (is_old)
        record->token = NULL;
    if (record->kind == JOURNAL_DONE)
        return rest.n == 0 ? JOURNAL_LINE_GOOD : JOURNAL_LINE_BAD;

    size_t count = 1;
    for (size_t i = 0; i < rest.n; i++)
        count += rest.p[i] == ' ';
    const char **names = arena_calloc(arena, count, sizeof *names);
    if (!names)
        return JOURNAL_LINE_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        names[i] = space;
        if (!read_name(take_part(&rest), &space))
            return JOURNAL_LINE_BAD;
    }
    record->names = names;
    record->count = count;
    return JOURNAL_LINE_GOOD;
}
