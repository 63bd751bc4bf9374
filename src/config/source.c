/*
 * The text of a configuration, read, joined and checked.
 *
 * libconfig builds the tree, but it cannot be asked to read the files: its
 * includes follow the working directory, an unterminated comment swallows the
 * rest in silence, 3000000000 becomes a negative number, and a missing value is
 * reported somewhere below. So the files are read here, the includes are
 * resolved here, and every token is shown to grammar.c. What is left for
 * libconfig is one text without comments or includes that it will accept. A
 * table says which file and line each line of that text came from.
 *
 * Called by document.c. It never interprets a setting.
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
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/error.h"
#include "config/grammar.h"

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

struct scan {
    struct source *source;
    struct grammar grammar;
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

/* An operator's tool must not be let in by group: its user is whoever calls it, and the file may hold
 * the token that says who may purge. */
static bool read_by_tool;

void
source_set_tool(void)
{
    read_by_tool = true;
}

/* Of a web server and its scripts, or of whatever has no group. */
static bool
is_shared_group(const char *name)
{
    static const char *const shared[] = {"www-data", "apache",  "nginx", "http",
                                         "www",      "nogroup", "nobody"};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        if (strcmp(name, shared[i]) == 0)
            return true;
    return false;
}

const char *
source_why(char buf[SOURCE_WHY_SIZE], int error)
{
    char user[ACCOUNT_NAME_SIZE];
    char group[ACCOUNT_NAME_SIZE];
    if (error != EACCES || geteuid() == 0)
        return strerror_r(error, buf, SOURCE_WHY_SIZE);
    account_user(user, geteuid());
    account_group(group, getegid());
    if (read_by_tool)
        snprintf(buf, SOURCE_WHY_SIZE,
                 "Permission denied for user %s; run it as root or as the user of larder-fcgi",
                 user);
    else if (is_shared_group(group))
        snprintf(buf, SOURCE_WHY_SIZE,
                 "Permission denied for user %s; other programs have its group %s too: run "
                 "larder-fcgi as a user of its own, such as larder",
                 user, group);
    else
        snprintf(buf, SOURCE_WHY_SIZE,
                 "Permission denied for user %s; chgrp %s and chmod 640 let it read the file", user,
                 group);
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
        return error_set(scan->grammar.err, LARDER_NOMEM, "%s: out of memory",
                         source->files[0].name);
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
            return error_set(scan->grammar.err, LARDER_NOMEM, "%s: out of memory",
                             source->files[0].name);
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

/* ------------------------------------------------------------------- tokens */

static struct place
here(const struct scan *scan, const struct cursor *at)
{
    return place_in(scan->source, at->file, at->line);
}

static enum larder_status
scan_word(struct scan *scan, struct cursor *at)
{
    size_t n = 1;
    while (at->p + n < at->end && grammar_is_word(at->p[n]))
        n++;
    const char *next = at->p + n;
    while (next < at->end && (*next == ' ' || *next == '\t'))
        next++;
    bool assigned = next < at->end && (*next == '=' || *next == ':');
    enum larder_status status = grammar_word(&scan->grammar, here(scan, at), at->p, n, assigned);
    if (status == LARDER_OK)
        status = emit(scan, at->p, n);
    at->p += n;
    return status;
}

/* From the opening quote to behind the closing one. */
static enum larder_status
scan_string(struct scan *scan, struct cursor *at)
{
    enum larder_status status = grammar_string(&scan->grammar, here(scan, at));
    if (status != LARDER_OK)
        return status;
    const char *p = at->p + 1;
    for (; p < at->end && *p != '"'; p++) {
        if (*p == '\n' || *p == '\r')
            break;
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return place_error(scan->grammar.err, here(scan, at),
                               "found a control character in a string");
        if (*p != '\\')
            continue;
        p++;
        bool hex = at->end - p > 2 && *p == 'x' && isxdigit((unsigned char)p[1]) &&
                   isxdigit((unsigned char)p[2]);
        if (hex && p[1] == '0' && p[2] == '0')
            return place_error(scan->grammar.err, here(scan, at), "found \\x00 in a string");
        if (p == at->end || *p == '\0' || (!hex && !strchr("\\\"nrtf", *p)))
            return place_error(scan->grammar.err, here(scan, at),
                               "found a lone backslash in a string, expected \\\\ for a backslash "
                               "or \\\" for a quote");
    }
    if (p == at->end || *p != '"')
        return place_error(scan->grammar.err, here(scan, at),
                           "found a string without its closing quote, expected \" on this line");
    p++;
    status = emit(scan, at->p, (size_t)(p - at->p));
    at->p = p;
    return status;
}

static enum larder_status
scan_comment(struct scan *scan, struct cursor *at)
{
    if (at->p[0] == '#' || at->p[1] == '/') {
        while (at->p < at->end && *at->p != '\n' && *at->p != '\r')
            at->p++;
        return LARDER_OK;
    }
    struct place begin = here(scan, at);
    enum larder_status status = emit(scan, " ", 1);
    for (at->p += 2; status == LARDER_OK; at->p++) {
        if (at->end - at->p < 2)
            return place_error(scan->grammar.err, begin,
                               "found a comment without its end, expected */");
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
        return place_error(scan->grammar.err, here(scan, at),
                           "found `@`, expected it only as @include \"FILE\" on a line of its own");
    const char *p = at->p + n;
    while (p < at->end && (*p == ' ' || *p == '\t'))
        p++;
    const char *quote = p < at->end && *p == '"' ? p + 1 : NULL;
    const char *close = quote;
    while (close && close < at->end && *close != '"' && (unsigned char)*close >= 0x20)
        close++;
    if (!quote || close == at->end || *close != '"' || close == quote || close - quote >= PATH_MAX)
        return place_error(scan->grammar.err, here(scan, at),
                           "found @include without a file, expected @include \"FILE\"");

    const char *self = scan->source->files[at->file].name;
    const char *slash = strrchr(self, '/');
    int dir = *quote == '/' || !slash ? 0 : (int)(slash + 1 - self);
    char path[2 * PATH_MAX];
    int len = snprintf(path, sizeof path, "%.*s%.*s", dir, self, (int)(close - quote), quote);
    if (len < 0 || (size_t)len >= sizeof path)
        return place_error(scan->grammar.err, here(scan, at),
                           "the name of the included file is too long");

    enum larder_status status = scan_file(scan, path, here(scan, at));
    at->p = close + 1;
    if (status == LARDER_OK)
        status = emit_newline(scan, at->file, at->line);
    return status;
}

/* -------------------------------------------------------------------- files */

/* U+2018 to U+201F, which text has in place of " and ' when it is copied from a page. */
static bool
is_typographic(const struct cursor *at)
{
    return at->end - at->p > 2 && memcmp(at->p, "\xe2\x80", 2) == 0 &&
           (unsigned char)at->p[2] >= 0x98 && (unsigned char)at->p[2] <= 0x9f;
}

static enum larder_status
scan_text(struct scan *scan, struct cursor *at)
{
    enum larder_status status = LARDER_OK;
    while (status == LARDER_OK && at->p < at->end) {
        char c = *at->p;
        bool two = at->end - at->p > 1;
        /* CR LF ends a line at its LF; CR alone, as some editors write it, does as well. */
        if (c == '\n' || (c == '\r' && !(two && at->p[1] == '\n'))) {
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
        } else if (grammar_is_word(c)) {
            status = scan_word(scan, at);
        } else if (is_typographic(at)) {
            status =
                place_error(scan->grammar.err, here(scan, at),
                            "found a typographic quote, expected \" (as editors for letters and "
                            "web pages do not write it)");
        } else {
            status = grammar_mark(&scan->grammar, here(scan, at), c);
            if (status == LARDER_OK)
                status = emit(scan, &c, 1);
            at->p++;
        }
        at->line_begin = false;
    }
    return status;
}

/* Read a file whole. *data is malloc'd. What an include cannot read is an error of its line. */
static enum larder_status
read_whole(struct scan *scan, const char *name, struct place from, char **data, size_t *len,
           struct stat *st)
{
    struct larder_error *err = scan->grammar.err;
    const char *what = from.line ? name : "the file";
    char why[SOURCE_WHY_SIZE];
    enum larder_status status = LARDER_INVALID;
    char *buf = NULL;
    size_t room = 0;
    size_t used = 0;
    ssize_t got = 0;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        place_error(err, from, "cannot read %s: %s", what, source_why(why, errno));
        return LARDER_INVALID;
    }
    if (fstat(fd, st) < 0) {
        place_error(err, from, "cannot read %s: %s", what, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st->st_mode)) {
        place_error(err, from, "cannot read %s: not a regular file", what);
        goto out;
    }
    if ((uintmax_t)st->st_size + scan->source->len > SOURCE_BYTES_MAX) {
        place_error(err, from, "found more than %zu MiB of configuration", SOURCE_BYTES_MAX >> 20);
        goto out;
    }
    room = (size_t)st->st_size;
    buf = malloc(room + 1);
    if (!buf) {
        error_set(err, LARDER_NOMEM, "%s: out of memory", name);
        status = LARDER_NOMEM;
        goto out;
    }
    do {
        got = read(fd, buf + used, room - used);
        used += got > 0 ? (size_t)got : 0;
    } while (used < room && (got > 0 || (got < 0 && errno == EINTR)));
    if (got < 0) {
        place_error(err, from, "cannot read %s: %s", what, strerror(errno));
        goto out;
    }
    buf[used] = '\0';
    *data = buf;
    *len = used;
    buf = NULL;
    status = LARDER_OK;
out:
    free(buf);
    close(fd);
    return status;
}

static enum larder_status
scan_file(struct scan *scan, const char *name, struct place from)
{
    struct source *source = scan->source;
    if (scan->chain_len > SOURCE_DEPTH_MAX)
        return place_error(scan->grammar.err, from, "@include is nested more than %d deep",
                           SOURCE_DEPTH_MAX);
    if (source->file_count == SOURCE_FILES_MAX)
        return place_error(scan->grammar.err, from, "more than %d files", SOURCE_FILES_MAX);

    char *data = NULL;
    size_t len = 0;
    struct stat st;
    enum larder_status status = read_whole(scan, name, from, &data, &len, &st);
    if (status != LARDER_OK)
        return status;
    for (unsigned i = 0; i < scan->chain_len && status == LARDER_OK; i++) {
        const struct source_file *outer = &source->files[scan->chain[i]];
        if (outer->device == st.st_dev && outer->inode == st.st_ino)
            status = place_error(scan->grammar.err, from, "%s includes itself", name);
    }
    unsigned file = source->file_count;
    char *copy = status == LARDER_OK ? strdup(name) : NULL;
    if (status == LARDER_OK && !copy)
        status = error_set(scan->grammar.err, LARDER_NOMEM, "%s: out of memory", name);
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
source_read(const char *file, struct place from, struct larder_error *err)
{
    struct source *source = calloc(1, sizeof *source);
    if (!source) {
        error_set(err, LARDER_NOMEM, "%s: out of memory", file);
        return NULL;
    }
    struct scan scan = {.source = source, .grammar = {.err = err}};
    enum larder_status status = scan_file(&scan, file, from);
    if (status == LARDER_OK)
        status = grammar_end(&scan.grammar, source_place(source, (unsigned)source->line_count));
    if (status == LARDER_OK)
        status = emit(&scan, "\n", 1);
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
