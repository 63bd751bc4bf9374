/*
 * The order in which tokens of a configuration may come.
 *
 * libconfig's own grammar, with better words: which setting has no value, which
 * bracket of which line is still open, what should have been in quotes, what
 * was said twice. libconfig gets the text afterwards and finds nothing to
 * complain about. Stricter in three places: an integer fits 32 bits, because
 * libconfig wraps larger ones; a number or word stands alone; and two strings
 * in a list have a comma between them, because without one they are joined.
 *
 * Called by source.c, which knows files and characters. It never looks at what
 * a setting means.
 */
#include "config/grammar.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/shown.h"

static bool
in_group(const struct grammar *grammar)
{
    return grammar->depth == 0 || grammar->brackets[grammar->depth - 1].open == '{';
}

static const char *
expected(const struct grammar *grammar)
{
    switch (grammar->expect) {
    case EXPECT_NAME:
        return grammar->depth ? "the name of a setting, or }" : "the name of a setting";
    case EXPECT_ASSIGN:
        return "=";
    case EXPECT_VALUE:
        return "a value";
    case EXPECT_FIRST_ELEMENT:
    case EXPECT_ELEMENT:
        return "an element";
    case EXPECT_SEPARATOR:
        break;
    }
    if (in_group(grammar))
        return ";";
    return grammar->brackets[grammar->depth - 1].open == '[' ? "a comma or ]" : "a comma or )";
}

static bool
is_beside_secret(const struct grammar *grammar, struct place place)
{
    return grammar->secret_place.line && grammar->secret_place.line == place.line &&
           grammar->secret_place.file == place.file;
}

/* A word, as it may be shown: a password whose quotes are missing or end too early is none. */
static const char *
show(const struct grammar *grammar, struct place place, char buf[SOURCE_SHOWN_SIZE],
     const char *text, size_t n)
{
    bool mark = n == 1 && strchr("{}[]();,=:\"", *text);
    if (!mark && (grammar->secret || is_beside_secret(grammar, place)))
        return "...";
    return source_shown(buf, text, n);
}

static enum larder_status
unexpected(struct grammar *grammar, struct place place, const char *what, size_t n)
{
    char buf[SOURCE_SHOWN_SIZE];
    const char *shown = show(grammar, place, buf, what, n);
    if (grammar->expect == EXPECT_VALUE)
        return place_error(grammar->err, grammar->name_place,
                           "`%s` has no value: found `%s` after =", grammar->name, shown);
    if (grammar->expect == EXPECT_ASSIGN)
        return place_error(grammar->err, place, "found `%s` after `%s`, expected =", shown,
                           grammar->name);
    if (grammar->expect == EXPECT_ELEMENT && n == 1 && (*what == ']' || *what == ')'))
        return place_error(grammar->err, place, "found a comma before `%s`, expected none", shown);
    return place_error(grammar->err, place, "found `%s`, expected %s", shown, expected(grammar));
}

/* May a value stand here? */
static bool
value_expected(const struct grammar *grammar)
{
    return grammar->expect == EXPECT_VALUE || grammar->expect == EXPECT_FIRST_ELEMENT ||
           grammar->expect == EXPECT_ELEMENT;
}

/* -------------------------------------------------------------------- words */

static bool
is_boolean(const char *word, size_t n)
{
    return (n == 4 && strncasecmp(word, "true", 4) == 0) ||
           (n == 5 && strncasecmp(word, "false", 5) == 0);
}

static bool
is_name(const char *word, size_t n)
{
    if (!isalpha((unsigned char)word[0]) || is_boolean(word, n))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!isalnum((unsigned char)word[i]) && word[i] != '_' && word[i] != '-')
            return false;
    return true;
}

/* A number as libconfig reads it. *fits: a 32-bit integer, or no integer at all. */
static bool
is_number(const char *word, size_t n, bool *fits)
{
    char copy[64];
    *fits = false;
    size_t digits = word[0] == '-' || word[0] == '+';
    if (digits == n || n >= sizeof copy)
        return strspn(word + digits, "0123456789") >= n - digits && digits < n;
    memcpy(copy, word, n);
    copy[n] = '\0';

    bool hex = n > 2 && copy[0] == '0' && (copy[1] == 'x' || copy[1] == 'X');
    size_t end = n; /* 5L and 5LL are 64-bit integers to libconfig */
    if (copy[end - 1] == 'L')
        end -= end > 2 && copy[end - 2] == 'L' ? 2 : 1;
    const char *body = copy + (hex ? 2 : digits);
    const char *set = hex ? "0123456789abcdefABCDEF" : "0123456789";
    if (end > (size_t)(body - copy) && strspn(body, set) == end - (size_t)(body - copy)) {
        errno = 0;
        long long value = strtoll(copy, NULL, hex ? 16 : 10);
        *fits = errno == 0 && value >= INT32_MIN && value <= INT32_MAX;
        return true;
    }
    if (hex || strspn(copy, "0123456789.eE+-") != n)
        return false;
    char *rest;
    strtod(copy, &rest);
    *fits = true;
    return *rest == '\0';
}

/* What other programs take for a boolean. */
static bool
is_yes_or_no(const char *word, size_t n)
{
    static const char *const known[] = {"yes", "no", "on", "off", "enabled", "disabled", NULL};
    for (size_t i = 0; known[i]; i++)
        if (strlen(known[i]) == n && strncasecmp(known[i], word, n) == 0)
            return true;
    return false;
}

static enum larder_status
value_word(struct grammar *grammar, struct place place, const char *word, size_t n, bool assigned)
{
    char buf[SOURCE_SHOWN_SIZE];
    const char *shown = show(grammar, place, buf, word, n);
    bool fits = true;
    if (!is_boolean(word, n) && !is_number(word, n, &fits)) {
        /* The name of the next setting: it is this one's value that is missing. */
        if (assigned && grammar->expect == EXPECT_VALUE)
            return unexpected(grammar, place, word, n);
        if (is_yes_or_no(word, n))
            return place_error(grammar->err, place, "found `%s`, expected true or false", shown);
        return place_error(grammar->err, place, "found `%s`, expected it in quotes: \"%s\"", shown,
                           shown);
    }
    if (!fits)
        return place_error(grammar->err, place,
                           "found %s, expected an integer of 32 bits (sizes and durations are "
                           "strings: \"8M\", \"30s\")",
                           shown);
    grammar->expect = EXPECT_SEPARATOR;
    return LARDER_OK;
}

/* libconfig would find a name given twice, but cannot say which, nor where it was before. */
static enum larder_status
setting_name(struct grammar *grammar, struct place place, const char *word, size_t n)
{
    /* Without a separator before it, it may be the rest of a password with a quote in it. */
    bool rest = grammar->expect == EXPECT_SEPARATOR && is_beside_secret(grammar, place);
    source_shown(grammar->name, rest ? "..." : word, rest ? 3 : n);
    grammar->secret = rest || shown_is_secret(word, n);
    if (grammar->secret)
        grammar->secret_place = place;
    grammar->name_place = place;
    grammar->expect = EXPECT_ASSIGN;
    if (n > GRAMMAR_NAME_MAX)
        return LARDER_OK;
    size_t first = grammar->depth ? grammar->brackets[grammar->depth - 1].names : 0;
    for (size_t i = first; i < grammar->name_count; i++)
        if (strncmp(grammar->names[i].text, word, n) == 0 && !grammar->names[i].text[n])
            return place_error(grammar->err, place, "found `%s` a second time, first in line %u",
                               grammar->name, grammar->names[i].line);
    if (grammar->name_count == GRAMMAR_NAMES_MAX)
        return place_error(grammar->err, place, "found more than %d settings", GRAMMAR_NAMES_MAX);
    memcpy(grammar->names[grammar->name_count].text, word, n);
    grammar->names[grammar->name_count].text[n] = '\0';
    grammar->names[grammar->name_count].line = place.line;
    grammar->name_count++;
    return LARDER_OK;
}

/* -------------------------------------------------------------------- marks */

static enum larder_status
open_bracket(struct grammar *grammar, struct place place, char mark)
{
    if (!value_expected(grammar))
        return unexpected(grammar, place, &mark, 1);
    if (grammar->depth && grammar->brackets[grammar->depth - 1].open == '[')
        return place_error(grammar->err, place,
                           "found `%c` within [ ], expected a string, a number, true or false",
                           mark);
    if (grammar->depth == GRAMMAR_BRACKETS_MAX)
        return place_error(grammar->err, place, "brackets are nested more than %d deep",
                           GRAMMAR_BRACKETS_MAX);
    grammar->brackets[grammar->depth].open = mark;
    grammar->brackets[grammar->depth].place = place;
    grammar->brackets[grammar->depth].names = grammar->name_count;
    grammar->depth++;
    grammar->expect = mark == '{' ? EXPECT_NAME : EXPECT_FIRST_ELEMENT;
    return LARDER_OK;
}

static enum larder_status
close_bracket(struct grammar *grammar, struct place place, char mark)
{
    char open = '(';
    if (mark == '}')
        open = '{';
    else if (mark == ']')
        open = '[';
    if (grammar->depth == 0)
        return place_error(grammar->err, place, "found `%c` where nothing is open", mark);
    char last = grammar->brackets[grammar->depth - 1].open;
    struct place opened = grammar->brackets[grammar->depth - 1].place;
    if (last != open) {
        bool here = opened.file == place.file;
        return place_error(grammar->err, place, "found `%c`, but `%c` of line %u is open%s%s", mark,
                           last, opened.line, here ? "" : " in ", here ? "" : opened.file);
    }
    if (grammar->expect != EXPECT_SEPARATOR && grammar->expect != EXPECT_NAME &&
        grammar->expect != EXPECT_FIRST_ELEMENT)
        return unexpected(grammar, place, &mark, 1);
    grammar->depth--;
    grammar->name_count = grammar->brackets[grammar->depth].names;
    grammar->expect = EXPECT_SEPARATOR;
    return LARDER_OK;
}

static enum larder_status
separator(struct grammar *grammar, struct place place, char mark)
{
    if (grammar->expect != EXPECT_SEPARATOR || (!in_group(grammar) && mark == ';'))
        return unexpected(grammar, place, &mark, 1);
    grammar->expect = in_group(grammar) ? EXPECT_NAME : EXPECT_ELEMENT;
    return LARDER_OK;
}

/* ------------------------------------------------------------------- tokens */

enum larder_status
grammar_word(struct grammar *grammar, struct place place, const char *word, size_t n, bool assigned)
{
    grammar->after_string = false;
    if (value_expected(grammar))
        return value_word(grammar, place, word, n, assigned);
    /* After a value in a group: its separator may be left out. */
    if (grammar->expect != EXPECT_ASSIGN && in_group(grammar) && is_name(word, n))
        return setting_name(grammar, place, word, n);
    return unexpected(grammar, place, word, n);
}

enum larder_status
grammar_string(struct grammar *grammar, struct place place)
{
    bool joined = grammar->expect == EXPECT_SEPARATOR && grammar->after_string && in_group(grammar);
    if (!value_expected(grammar) && !joined)
        return unexpected(grammar, place, "\"", 1);
    grammar->expect = EXPECT_SEPARATOR;
    grammar->after_string = true;
    return LARDER_OK;
}

enum larder_status
grammar_mark(struct grammar *grammar, struct place place, char mark)
{
    grammar->after_string = false;
    switch (mark) {
    case '{':
    case '[':
    case '(':
        return open_bracket(grammar, place, mark);
    case '}':
    case ']':
    case ')':
        return close_bracket(grammar, place, mark);
    case ';':
    case ',':
        return separator(grammar, place, mark);
    case '=':
    case ':':
        if (grammar->expect != EXPECT_ASSIGN)
            break;
        grammar->expect = EXPECT_VALUE;
        return LARDER_OK;
    default:
        break;
    }
    if ((unsigned char)mark < 0x20 || (unsigned char)mark >= 0x7f)
        return place_error(grammar->err, place, "found byte 0x%02x outside a string",
                           (unsigned char)mark);
    return unexpected(grammar, place, &mark, 1);
}

enum larder_status
grammar_end(struct grammar *grammar, struct place place)
{
    if (grammar->depth)
        return place_error(grammar->err, grammar->brackets[grammar->depth - 1].place,
                           "found `%c` without its end",
                           grammar->brackets[grammar->depth - 1].open);
    if (grammar->expect != EXPECT_NAME && grammar->expect != EXPECT_SEPARATOR)
        return place_error(grammar->err, place, "found the end of the file after `%s`, expected %s",
                           grammar->name, expected(grammar));
    return LARDER_OK;
}

bool
grammar_is_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_*.+-", c));
}
