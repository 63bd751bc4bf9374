/*
 * What `set` is given: bytes from standard input, and JSON from anywhere.
 *
 * json-c checks the structure, but even its strict mode takes things that other
 * readers of the same Redis refuse or read otherwise: NaN and Infinity, `1.`,
 * names in single quotes, raw newlines in strings, and whole numbers over 64
 * bits, which it changes in silence. A scan of the tokens finds those.
 *
 * Called by values.c, before anything is connected to.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* Deeper JSON is refused: the library's readers have the same limit by default. */
#define JSON_DEPTH_MAX 32
/* Digits of UINT64_MAX. */
#define INTEGER_DIGITS_MAX 20

char *
input_read(size_t *len)
{
    size_t room = 65536, n = 0;
    char *data = malloc(room);

    while (data) {
        size_t got = fread(data + n, 1, room - n, stdin);
        char *more;

        n += got;
        if (got == 0)
            break;
        if (n < room)
            continue;
        if (n > LARDER_VALUE_MAX) {
            complain("standard input: over %zu MiB, the longest value that Redis takes",
                     LARDER_VALUE_MAX >> 20);
            free(data);
            return NULL;
        }
        more = realloc(data, room * 2);
        if (!more)
            free(data);
        data = more;
        room *= 2;
    }
    if (!data) {
        complain("standard input: no memory");
        return NULL;
    }
    if (ferror(stdin)) {
        complain("standard input: %s", strerror(errno));
        free(data);
        return NULL;
    }
    *len = n;
    return data;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t
digits(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && isdigit((unsigned char)p[i]))
        i++;
    return i;
}

/* Does a run of at least one and at most INTEGER_DIGITS_MAX digits fit what json-c counts in? */
static bool
integer_fits(const char *p, size_t n, bool negative)
{
    char text[INTEGER_DIGITS_MAX + 1];
    unsigned long long value;

    if (n > INTEGER_DIGITS_MAX)
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    errno = 0;
    value = strtoull(text, NULL, 10);
    return errno == 0 && (!negative || value <= (unsigned long long)INT64_MAX + 1);
}

/* One number at p (RFC 8259 §6; a leading zero has been refused by then). Its length goes to *len;
 * what is wrong with it is returned. */
static const char *
scan_number(const char *p, size_t n, size_t *len)
{
    size_t i = p[0] == '-', whole = digits(p + i, n - i), more;
    bool integer = true;

    if (whole == 0)
        return "a number without digits";
    i += whole;
    if (i < n && p[i] == '.') {
        more = digits(p + i + 1, n - i - 1);
        if (more == 0)
            return "a number that ends with its point";
        i += 1 + more;
        integer = false;
    }
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        i++;
        if (i < n && (p[i] == '+' || p[i] == '-'))
            i++;
        more = digits(p + i, n - i);
        if (more == 0)
            return "a number that ends with its exponent's sign";
        i += more;
        integer = false;
    }
    if (integer && !integer_fits(p + i - whole, whole, p[0] == '-'))
        return "a whole number over 64 bits, which many readers would change (a string keeps it)";
    *len = i;
    return NULL;
}

/* What json-c lets through in text whose structure it has accepted. NULL: nothing; otherwise *at is
 * where it is. */
static const char *
find_objection(const char *text, size_t len, size_t *at)
{
    for (size_t i = 0, step; i < len; i += step) {
        const char *p = text + i, *objection = NULL;

        *at = i;
        step = 1;
        if (*p == '"') {
            while (i + step < len && p[step] != '"') {
                if ((unsigned char)p[step] < 0x20)
                    return "a control character in a string";
                step += p[step] == '\\' ? 2 : 1;
            }
            step++;
        } else if (*p == '-' || isdigit((unsigned char)*p)) {
            objection = scan_number(p, len - i, &step);
        } else if (isalpha((unsigned char)*p)) {
            while (i + step < len && isalpha((unsigned char)p[step]))
                step++;
            if ((step != 4 || (memcmp(p, "true", 4) != 0 && memcmp(p, "null", 4) != 0)) &&
                (step != 5 || memcmp(p, "false", 5) != 0))
                return "a word that is none of true, false, null";
        } else if (*p == '\'') {
            return "single quotes";
        }
        if (objection)
            return objection;
    }
    return NULL;
}

int
input_parse(const char *text, size_t len, json_object **value)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    enum json_tokener_error error;
    const char *objection;
    size_t end;

    *value = NULL;
    if (!tokener) {
        complain("value: no memory");
        return CTL_FAILED;
    }
    if (len > INT32_MAX - 1) { /* json-c counts in int */
        complain("value: too long");
        json_tokener_free(tokener);
        return CTL_FAILED;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    *value = json_tokener_parse_ex(tokener, text, (int)len);
    error = json_tokener_get_error(tokener);
    /* A bare number or word may go on in the next call, for all the tokener knows; a blank ends
     * it. */
    if (error == json_tokener_continue) {
        *value = json_tokener_parse_ex(tokener, "\n", 1);
        error = json_tokener_get_error(tokener);
        end = len;
    } else {
        end = json_tokener_get_parse_end(tokener);
    }
    json_tokener_free(tokener);
    if (error == json_tokener_success) {
        while (end < len && is_blank(text[end]))
            end++;
        objection = end < len ? "more follows it" : find_objection(text, len, &end);
        if (!objection)
            return CTL_OK;
        complain("value: not JSON: %s at byte %zu", objection, end + 1);
    } else if (error == json_tokener_continue) {
        complain("value: not JSON: it ends too early");
    } else {
        complain("value: not JSON: %s at byte %zu (a string needs its quotes; --raw stores any "
                 "bytes)",
                 json_tokener_error_desc(error), end + 1);
    }
    json_object_put(*value);
    *value = NULL;
    return CTL_FAILED;
}
