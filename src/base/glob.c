/*
 * Redis globs, matched as Redis matches them, so that what a sweep says of a
 * key here is what SCAN MATCH says of it there:
 *
 *   *          any run of bytes, also none
 *   ?          any one byte
 *   [a-cx]     one of these; the ends of a range may stand in either order, and
 *              are compared as `char`, signed or not as the machine has it
 *   [^a-cx]    none of these
 *   \c         c itself, in and out of a class; a single one at the end is a
 *              backslash
 *
 * A class that is not closed ends with the pattern; in `[a-]` the bracket is the
 * end of the range. Compared with the server itself in tests/unit/test_glob.c.
 *
 * The idea: apart from the star every element takes exactly one byte, so after
 * a mismatch only the last star needs to be tried with a longer run; what an
 * earlier one could give it up to then was enough. Time is at most pattern
 * times text, memory is constant.
 *
 * Never reads past either length, so neither needs a NUL.
 */
#include "base/glob.h"

#include <string.h>

/* The class whose '[' is behind us. Leaves *pos behind the ']', or at the end without one. */
static bool
class_accepts(const char *pattern, size_t len, size_t *pos, char byte)
{
    size_t i = *pos;
    bool negated = i < len && pattern[i] == '^';
    bool found = false;

    if (negated)
        i++;
    while (i < len && pattern[i] != ']') {
        if (pattern[i] == '\\' && len - i >= 2) {
            found |= pattern[i + 1] == byte;
            i += 2;
        } else if (len - i >= 3 && pattern[i + 1] == '-') {
            char a = pattern[i], b = pattern[i + 2];
            found |= a <= b ? a <= byte && byte <= b : b <= byte && byte <= a;
            i += 3;
        } else {
            found |= pattern[i] == byte;
            i++;
        }
    }
    *pos = i < len ? i + 1 : len;
    return found != negated;
}

bool
glob_element(const char *pattern, size_t len, size_t *pos, char byte)
{
    char c = pattern[(*pos)++];

    switch (c) {
    case '?':
        return true;
    case '[':
        return class_accepts(pattern, len, pos, byte);
    case '\\':
        if (*pos < len)
            c = pattern[(*pos)++];
        return c == byte;
    default:
        return c == byte;
    }
}

bool
glob_match(const char *pattern, size_t pattern_len, const char *text, size_t text_len)
{
    size_t p = 0, t = 0;
    size_t star = 0, star_text = 0; /* behind the last star; where its run ends */
    bool starred = false;

    /* The server's own oddity: the empty key answers to "*" but not to "**". */
    if (text_len == 0)
        return pattern_len == 0 || (pattern_len == 1 && pattern[0] == '*');

    while (t < text_len) {
        if (p < pattern_len && pattern[p] == '*') {
            starred = true;
            star = ++p;
            star_text = t;
            if (star == pattern_len)
                return true;
        } else if (p < pattern_len && glob_element(pattern, pattern_len, &p, text[t])) {
            t++;
        } else if (starred) {
            p = star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern_len && pattern[p] == '*')
        p++;
    return p == pattern_len;
}

bool
glob_any(const char *const *globs, size_t count, const char *text, size_t text_len)
{
    for (size_t i = 0; i < count; i++)
        if (glob_match(globs[i], strlen(globs[i]), text, text_len))
            return true;
    return false;
}
