/*
 * The text of a configuration, read, joined and checked.
 *
 * libconfig builds the tree, but it cannot be asked to read the files: its
 * includes follow the working directory, an unterminated comment swallows the
 * rest in silence, 3000000000 becomes a negative number, and a missing value is
 * reported somewhere below. So the files are read here, the includes are
 * resolved here, and a small scanner walks over every token in the order that
 * the grammar allows. What is left for libconfig is one text without comments
 * or includes that it will accept. A table says which file and line each line of that text came from.
 *
 * Called by config.c. It never interprets a setting.
 */
#include "config/source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* Longest file name in front of a message; of a longer one the end is shown. */
#define PLACE_FILE_MAX 96
/* The joined text: a line end before and after each included file comes on top. */
#define OUTPUT_MAX (SOURCE_BYTES_MAX + 4 * SOURCE_FILES_MAX)

struct source_file {
    char *name;
    dev_t device;
    ino_t inode;
    mode_t mode;
};

struct source_line {
    unsigned file;
    unsigned line;
};

struct source {
    char *text; /* NUL-terminated */
    size_t len;
    size_t room;
    struct source_line *lines; /* of text, from 0 */
    size_t line_count;
    size_t line_room;
    struct source_file files[SOURCE_FILES_MAX];
    unsigned file_count;
};

/* What may come next. */
enum expect {
    EXPECT_NAME,          /* in a group: a setting, or its end */
    EXPECT_ASSIGN,        /* after a name */
    EXPECT_VALUE,         /* after = */
    EXPECT_FIRST_ELEMENT, /* after [ or (: an element, or its end */
    EXPECT_ELEMENT,       /* after a comma in [ ] or ( ) */
    EXPECT_SEPARATOR      /* after a value */
};

struct bracket {
    char open;
    unsigned file;
    unsigned line;
    size_t names; /* of scan->names, from here on they are in this group */
};

/* A setting's name in a group that is still open. */
struct given_name {
    size_t at; /* in the joined text */
    size_t len;
    unsigned line;
};

/* Settings that stand in all groups around a place together. */
#define NAMES_MAX 512

struct scan {
    struct source *source;
    struct larder_error *err;
    enum expect expect;
    bool after_string; /* the last token was a string: in a group another may follow it */
    char name[SOURCE_SHOWN_SIZE]; /* of the setting whose value is awaited, and where it stands */
    unsigned name_file;
    unsigned name_line;
    struct bracket open[SOURCE_BRACKETS_MAX];
    unsigned depth;
    struct given_name names[NAMES_MAX];
    size_t name_count;
    unsigned chain[SOURCE_DEPTH_MAX + 1]; /* files being read, the outermost first */
    unsigned chain_len;
};

/* One file under the scanner. */
struct cursor {
    const char *p;
    const char *end;
    unsigned file;
    unsigned line;
    bool line_begin; /* nothing but blanks so far on this line */
};

/* ------------------------------------------------------------------- places */

enum larder_status
place_error(struct larder_error *err, struct place place, const char *format, ...)
{
    char words[LARDER_ERROR_MAX];
    va_list args;
    va_start(args, format);
    if (vsnprintf(words, sizeof words, format, args) < 0)
        words[0] = '\0';
    va_end(args);

    size_t n = strlen(place.file);
    const char *dots = n > PLACE_FILE_MAX ? "..." : "";
    const char *file = n > PLACE_FILE_MAX ? place.file + n - PLACE_FILE_MAX : place.file;
    if (place.line == 0)
        return error_set(err, LARDER_INVALID, "%s%s: %s", dots, file, words);
    return error_set(err, LARDER_INVALID, "%s%s:%u: %s", dots, file, place.line, words);
}

const char *
source_shown(char buf[SOURCE_SHOWN_SIZE], const char *text, size_t n)
{
    bool cut = n > SOURCE_SHOWN_MAX;
    snprintf(buf, SOURCE_SHOWN_SIZE, "%.*s%s", cut ? SOURCE_SHOWN_MAX : (int)n, text,
             cut ? "..." : "");
    return buf;
}

static struct place
place_in(const struct source *source, unsigned file, unsigned line)
{
    return (struct place){source->files[file].name, line};
}

struct place
source_place(const struct source *source, unsigned line)
{
    if (line == 0 || line > source->line_count)
        return place_in(source, 0, 0);
    const struct source_line *at = &source->lines[line - 1];
    return place_in(source, at->file, at->line);
}

mode_t
source_mode(const struct source *source, struct place place)
{
    for (unsigned i = 0; i < source->file_count; i++)
        if (source->files[i].name == place.file)
            return source->files[i].mode;
    return 0;
}

const char *
source_text(const struct source *source)
{
    return source->text;
}

/* ------------------------------------------------------------------- output */

static bool
grow(struct source *source, size_t more)
{
    if (more > OUTPUT_MAX - source->len)
        return false;
    size_t need = source->len + more + 1;
    if (need <= source->room)
        return true;
    size_t room = source->room ? source->room : 16384;
    while (room < need)
        room *= 2;
    /* Not realloc(): it would leave a copy of a password behind. */
    char *text = malloc(room);
    if (!text)
        return false;
    if (source->text) {
        memcpy(text, source->text, source->len);
        explicit_bzero(source->text, source->len);
        free(source->text);
    }
    source->text = text;
    source->room = room;
    return true;
}

static enum larder_status
emit(struct scan *scan, const char *text, size_t n)
{
    struct source *source = scan->source;
    if (!grow(source, n))
        return error_set(scan->err, LARDER_NOMEM, "%s: out of memory", source->files[0].name);
    if (n)
        memcpy(source->text + source->len, text, n);
    source->len += n;
    source->text[source->len] = '\0';
    return LARDER_OK;
}

/* The line of the text that begins now stands at `line` of `file`. */
static enum larder_status
begin_line(struct scan *scan, unsigned file, unsigned line)
{
    struct source *source = scan->source;
    if (source->line_count == source->line_room) {
        size_t room = source->line_room ? source->line_room * 2 : 512;
        struct source_line *lines = reallocarray(source->lines, room, sizeof *lines);
        if (!lines)
            return error_set(scan->err, LARDER_NOMEM, "%s: out of memory", source->files[0].name);
        source->lines = lines;
        source->line_room = room;
    }
    source->lines[source->line_count++] = (struct source_line){file, line};
    return LARDER_OK;
}

static enum larder_status
emit_newline(struct scan *scan, unsigned file, unsigned line)
{
    enum larder_status status = emit(scan, "\n", 1);
    return status == LARDER_OK ? begin_line(scan, file, line) : status;
}

/* ------------------------------------------------------------------ grammar */

static struct place
here(const struct scan *scan, const struct cursor *at)
{
    return place_in(scan->source, at->file, at->line);
}

static const char *
expected(const struct scan *scan)
{
    switch (scan->expect) {
    case EXPECT_NAME:
        return scan->depth ? "the name of a setting, or }" : "the name of a setting";
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
    if (scan->depth == 0 || scan->open[scan->depth - 1].open == '{')
        return ";";
    return scan->open[scan->depth - 1].open == '[' ? "a comma or ]" : "a comma or )";
}

static enum larder_status
unexpected(struct scan *scan, const struct cursor *at, const char *what, size_t n)
{
    char shown[SOURCE_SHOWN_SIZE];
    source_shown(shown, what, n);
    if (scan->expect == EXPECT_VALUE)
        return place_error(scan->err, place_in(scan->source, scan->name_file, scan->name_line),
                           "`%s` has no value: found `%s` after =", scan->name, shown);
    if (scan->expect == EXPECT_ASSIGN)
        return place_error(scan->err, here(scan, at), "found `%s` after `%s`, expected =", shown,
                           scan->name);
    if (scan->expect == EXPECT_ELEMENT && n == 1 && (*what == ']' || *what == ')'))
        return place_error(scan->err, here(scan, at), "found a comma before `%s`, expected none",
                           shown);
    return place_error(scan->err, here(scan, at), "found `%s`, expected %s", shown, expected(scan));
}

/* May a value stand here? */
static bool
value_expected(const struct scan *scan)
{
    return scan->expect == EXPECT_VALUE || scan->expect == EXPECT_FIRST_ELEMENT ||
           scan->expect == EXPECT_ELEMENT;
}

static enum larder_status
open_bracket(struct scan *scan, const struct cursor *at)
{
    if (!value_expected(scan))
        return unexpected(scan, at, at->p, 1);
    if (scan->depth && scan->open[scan->depth - 1].open == '[')
        return place_error(scan->err, here(scan, at),
                           "found `%c` within [ ], expected a string, a number, true or false",
                           *at->p);
    if (scan->depth == SOURCE_BRACKETS_MAX)
        return place_error(scan->err, here(scan, at), "brackets are nested more than %d deep",
                           SOURCE_BRACKETS_MAX);
    scan->open[scan->depth++] = (struct bracket){*at->p, at->file, at->line, scan->name_count};
    scan->expect = *at->p == '{' ? EXPECT_NAME : EXPECT_FIRST_ELEMENT;
    return LARDER_OK;
}

static enum larder_status
close_bracket(struct scan *scan, const struct cursor *at)
{
    char open = *at->p == '}' ? '{' : *at->p == ']' ? '[' : '(';
    if (scan->depth == 0)
        return place_error(scan->err, here(scan, at), "found `%c` where nothing is open", *at->p);
    const struct bracket *last = &scan->open[scan->depth - 1];
    if (last->open != open) {
        struct place place = place_in(scan->source, last->file, last->line);
        return place_error(scan->err, here(scan, at), "found `%c`, but `%c` of line %u is open%s%s",
                           *at->p, last->open, last->line, last->file == at->file ? "" : " in ",
                           last->file == at->file ? "" : place.file);
    }
    if (scan->expect != EXPECT_SEPARATOR && scan->expect != EXPECT_NAME &&
        scan->expect != EXPECT_FIRST_ELEMENT)
        return unexpected(scan, at, at->p, 1);
    scan->depth--;
    scan->name_count = last->names;
    scan->expect = EXPECT_SEPARATOR;
    return LARDER_OK;
}

static enum larder_status
separator(struct scan *scan, const struct cursor *at)
{
    bool in_group = scan->depth == 0 || scan->open[scan->depth - 1].open == '{';
    if (scan->expect != EXPECT_SEPARATOR || (!in_group && *at->p == ';'))
        return unexpected(scan, at, at->p, 1);
    scan->expect = in_group ? EXPECT_NAME : EXPECT_ELEMENT;
    return LARDER_OK;
}

/* ------------------------------------------------------------------- tokens */

static bool
is_word(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_*.+-", c));
}

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

static enum larder_status
value_word(struct scan *scan, struct cursor *at, size_t n)
{
    char shown[SOURCE_SHOWN_SIZE];
    source_shown(shown, at->p, n);
    bool fits = true;
    if (!is_boolean(at->p, n) && !is_number(at->p, n, &fits)) {
        size_t next = n;
        while (at->p + next < at->end && (at->p[next] == ' ' || at->p[next] == '\t'))
            next++;
        /* The name of the next setting: it is this one's value that is missing. */
        if (at->p + next < at->end && (at->p[next] == '=' || at->p[next] == ':') &&
            scan->expect == EXPECT_VALUE)
            return unexpected(scan, at, at->p, n);
        return place_error(scan->err, here(scan, at), "found `%s`, expected it in quotes: \"%s\"",
                           shown, shown);
    }
    if (!fits)
        return place_error(scan->err, here(scan, at),
                           "found %s, expected an integer of 32 bits (sizes and durations are "
                           "strings: \"8M\", \"30s\")",
                           shown);
    scan->expect = EXPECT_SEPARATOR;
    return LARDER_OK;
}

/* libconfig would find a name given twice, but cannot say which, nor where it was before. */
static enum larder_status
scan_name(struct scan *scan, const struct cursor *at, size_t n)
{
    source_shown(scan->name, at->p, n); /* after a value: its ; may be left out */
    scan->name_file = at->file;
    scan->name_line = at->line;
    scan->expect = EXPECT_ASSIGN;
    size_t first = scan->depth ? scan->open[scan->depth - 1].names : 0;
    for (size_t i = first; i < scan->name_count; i++)
        if (scan->names[i].len == n &&
            memcmp(scan->source->text + scan->names[i].at, at->p, n) == 0)
            return place_error(scan->err, here(scan, at),
                               "found `%s` a second time, first in line %u", scan->name,
                               scan->names[i].line);
    if (scan->name_count == NAMES_MAX)
        return place_error(scan->err, here(scan, at), "found more than %d settings", NAMES_MAX);
    scan->names[scan->name_count++] = (struct given_name){scan->source->len, n, at->line};
    return LARDER_OK;
}

static enum larder_status
scan_word(struct scan *scan, struct cursor *at)
{
    size_t n = 1;
    while (at->p + n < at->end && is_word(at->p[n]))
        n++;
    enum larder_status status = LARDER_OK;
    bool in_group = scan->depth == 0 || scan->open[scan->depth - 1].open == '{';
    if (value_expected(scan)) {
        status = value_word(scan, at, n);
    } else if (scan->expect != EXPECT_ASSIGN && in_group && is_name(at->p, n)) {
        status = scan_name(scan, at, n);
    } else {
        status = unexpected(scan, at, at->p, n);
    }
    scan->after_string = false;
    if (status == LARDER_OK)
        status = emit(scan, at->p, n);
    at->p += n;
    return status;
}

/* From the opening quote to behind the closing one. */
static enum larder_status
scan_string(struct scan *scan, struct cursor *at)
{
    bool in_group = scan->depth == 0 || scan->open[scan->depth - 1].open == '{';
    bool joined = scan->expect == EXPECT_SEPARATOR && scan->after_string && in_group;
    if (!value_expected(scan) && !joined)
        return unexpected(scan, at, "\"", 1);
    const char *p = at->p + 1;
    for (; p < at->end && *p != '"'; p++) {
        if (*p == '\n' || *p == '\r')
            break;
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return place_error(scan->err, here(scan, at), "found a control character in a string");
        if (*p != '\\')
            continue;
        p++;
        bool hex = at->end - p > 2 && *p == 'x' && isxdigit((unsigned char)p[1]) &&
                   isxdigit((unsigned char)p[2]);
        if (hex && p[1] == '0' && p[2] == '0')
            return place_error(scan->err, here(scan, at), "found \\x00 in a string");
        if (p == at->end || (!hex && !memchr("\\\"nrtf", *p, 6)))
            return place_error(scan->err, here(scan, at),
                               "found a lone backslash in a string, expected \\\\ for a backslash "
                               "or \\\" for a quote");
    }
    if (p == at->end || *p != '"')
        return place_error(scan->err, here(scan, at),
                           "found a string without its closing quote, expected \" on this line");
    p++;
    enum larder_status status = emit(scan, at->p, (size_t)(p - at->p));
    at->p = p;
    scan->expect = EXPECT_SEPARATOR;
    scan->after_string = true;
    return status;
}

static enum larder_status
scan_comment(struct scan *scan, struct cursor *at)
{
    if (at->p[0] == '#' || at->p[1] == '/') {
        while (at->p < at->end && *at->p != '\n')
            at->p++;
        return LARDER_OK;
    }
    struct place begin = here(scan, at);
    enum larder_status status = emit(scan, " ", 1);
    for (at->p += 2; status == LARDER_OK; at->p++) {
        if (at->end - at->p < 2)
            return place_error(scan->err, begin, "found a comment without its end, expected */");
        if (at->p[0] == '*' && at->p[1] == '/')
            break;
        if (*at->p == '\n')
            status = emit_newline(scan, at->file, ++at->line);
    }
    at->p += 2;
    return status;
}

static enum larder_status scan_file(struct scan *scan, const char *name, struct place from);

/* @include "FILE", beside the file that it stands in. */
static enum larder_status
scan_include(struct scan *scan, struct cursor *at)
{
    static const char word[] = "@include";
    size_t n = sizeof word - 1;
    if (!at->line_begin || (size_t)(at->end - at->p) < n || memcmp(at->p, word, n) != 0)
        return place_error(scan->err, here(scan, at),
                           "found `@`, expected it only as @include \"FILE\" on a line of its own");
    const char *p = at->p + n;
    while (p < at->end && (*p == ' ' || *p == '\t'))
        p++;
    const char *quote = p < at->end && *p == '"' ? p + 1 : NULL;
    const char *close = quote;
    while (close && close < at->end && *close != '"' && (unsigned char)*close >= 0x20)
        close++;
    if (!quote || close == at->end || *close != '"' || close == quote || close - quote >= PATH_MAX)
        return place_error(scan->err, here(scan, at),
                           "found @include without a file, expected @include \"FILE\"");

    const char *self = scan->source->files[at->file].name;
    const char *slash = strrchr(self, '/');
    int dir = *quote == '/' || !slash ? 0 : (int)(slash + 1 - self);
    char path[2 * PATH_MAX];
    int len = snprintf(path, sizeof path, "%.*s%.*s", dir, self, (int)(close - quote), quote);
    if (len < 0 || (size_t)len >= sizeof path)
        return place_error(scan->err, here(scan, at), "the name of the included file is too long");

    enum larder_status status = scan_file(scan, path, here(scan, at));
    at->p = close + 1;
    if (status == LARDER_OK)
        status = emit_newline(scan, at->file, at->line);
    return status;
}

/* -------------------------------------------------------------------- files */

static enum larder_status
scan_text(struct scan *scan, struct cursor *at)
{
    enum larder_status status = LARDER_OK;
    while (status == LARDER_OK && at->p < at->end) {
        char c = *at->p;
        bool two = at->end - at->p > 1;
        if (c == '\n') {
            at->line++;
            at->p++;
            at->line_begin = true;
            status = emit_newline(scan, at->file, at->line);
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\r' || c == '\f') {
            at->p++;
            status = emit(scan, " ", 1);
            continue;
        }
        if (c == '#' || (c == '/' && two && (at->p[1] == '/' || at->p[1] == '*'))) {
            status = scan_comment(scan, at);
            continue;
        }
        if (c == '@') {
            status = scan_include(scan, at);
        } else if (c == '"') {
            status = scan_string(scan, at);
        } else if (is_word(c)) {
            status = scan_word(scan, at);
        } else if (c && strchr("{[(}]);,=:", c)) {
            if (c == '{' || c == '[' || c == '(')
                status = open_bracket(scan, at);
            else if (c == '}' || c == ']' || c == ')')
                status = close_bracket(scan, at);
            else if (c == ';' || c == ',')
                status = separator(scan, at);
            else if (scan->expect == EXPECT_ASSIGN)
                scan->expect = EXPECT_VALUE;
            else
                status = unexpected(scan, at, at->p, 1);
            scan->after_string = false;
            if (status == LARDER_OK)
                status = emit(scan, at->p, 1);
            at->p++;
        } else if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f) {
            status = place_error(scan->err, here(scan, at), "found byte 0x%02x outside a string",
                                 (unsigned char)c);
        } else {
            status = unexpected(scan, at, at->p, 1);
        }
        at->line_begin = false;
    }
    return status;
}

/* Read a file whole. *data is malloc'd. */
static enum larder_status
read_whole(struct scan *scan, const char *name, struct place from, char **data, size_t *len,
           struct stat *st)
{
    enum larder_status status = LARDER_OK;
    char *buf = NULL;
    size_t used = 0;
    /* What an include cannot read is an error of the including line. */
    bool included = from.line != 0;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, st) < 0)
        status = place_error(scan->err, from, "cannot read %s%s%s", included ? name : "the file",
                             ": ", strerror(errno));
    else if (!S_ISREG(st->st_mode))
        status = place_error(scan->err, from, "cannot read %s: not a regular file",
                             included ? name : "it");
    else if ((uintmax_t)st->st_size + scan->source->len > SOURCE_BYTES_MAX)
        status = place_error(scan->err, from, "more than %zu MiB of configuration",
                             SOURCE_BYTES_MAX >> 20);
    size_t room = status == LARDER_OK ? (size_t)st->st_size : 0;
    if (status == LARDER_OK && !(buf = malloc(room + 1)))
        status = error_set(scan->err, LARDER_NOMEM, "%s: out of memory", name);
    while (status == LARDER_OK && used < room) {
        ssize_t n = read(fd, buf + used, room - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = place_error(scan->err, from, "cannot read %s: %s", name, strerror(errno));
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (status != LARDER_OK) {
        free(buf);
        return status;
    }
    buf[used] = '\0';
    *data = buf;
    *len = used;
    return LARDER_OK;
}

static enum larder_status
scan_file(struct scan *scan, const char *name, struct place from)
{
    struct source *source = scan->source;
    if (scan->chain_len > SOURCE_DEPTH_MAX)
        return place_error(scan->err, from, "@include is nested more than %d deep",
                           SOURCE_DEPTH_MAX);
    if (source->file_count == SOURCE_FILES_MAX)
        return place_error(scan->err, from, "more than %d files", SOURCE_FILES_MAX);

    char *data = NULL;
    size_t len = 0;
    struct stat st;
    enum larder_status status = read_whole(scan, name, from, &data, &len, &st);
    if (status != LARDER_OK)
        return status;
    for (unsigned i = 0; i < scan->chain_len && status == LARDER_OK; i++) {
        const struct source_file *outer = &source->files[scan->chain[i]];
        if (outer->device == st.st_dev && outer->inode == st.st_ino)
            status = place_error(scan->err, from, "%s includes itself", name);
    }
    unsigned file = source->file_count;
    char *copy = status == LARDER_OK ? strdup(name) : NULL;
    if (status == LARDER_OK && !copy)
        status = error_set(scan->err, LARDER_NOMEM, "%s: out of memory", name);
    if (status == LARDER_OK) {
        source->files[file] = (struct source_file){copy, st.st_dev, st.st_ino, st.st_mode};
        source->file_count++;
        scan->chain[scan->chain_len++] = file;
        size_t bom = len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        struct cursor at = {data + bom, data + len, file, 1, true};
        status = source->line_count ? emit_newline(scan, file, 1) : begin_line(scan, file, 1);
        if (status == LARDER_OK)
            status = scan_text(scan, &at);
        scan->chain_len--;
    }
    explicit_bzero(data, len);
    free(data);
    return status;
}

struct source *
source_read(const char *file, struct larder_error *err)
{
    struct source *source = calloc(1, sizeof *source);
    if (!source) {
        error_set(err, LARDER_NOMEM, "%s: out of memory", file);
        return NULL;
    }
    struct scan scan = {.source = source, .err = err, .expect = EXPECT_NAME};
    enum larder_status status = scan_file(&scan, file, (struct place){file, 0});
    if (status == LARDER_OK)
        status = emit(&scan, "\n", 1);
    if (status == LARDER_OK && scan.depth) {
        const struct bracket *last = &scan.open[scan.depth - 1];
        status = place_error(err, place_in(source, last->file, last->line),
                             "found `%c` without its end", last->open);
    } else if (status == LARDER_OK && scan.expect != EXPECT_NAME &&
               scan.expect != EXPECT_SEPARATOR) {
        status = place_error(err, source_place(source, (unsigned)source->line_count),
                             "found the end of the file after `%s`, expected %s", scan.name,
                             expected(&scan));
    }
    if (status == LARDER_OK)
        return source;
    source_free(source);
    return NULL;
}

void
source_free(struct source *source)
{
    if (!source)
        return;
    for (unsigned i = 0; i < source->file_count; i++)
        free(source->files[i].name);
    if (source->text)
        explicit_bzero(source->text, source->len);
    free(source->text);
    free(source->lines);
    free(source);
}
