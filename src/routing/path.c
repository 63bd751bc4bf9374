/*
 * Request paths in normal form.
 *
 * Two spellings of one path must meet the same route, or a policy that is laid
 * on /admin is walked around with /%61dmin. Nearly every path that arrives is
 * normal already: one pass over a table of bytes finds that out, and only the
 * others are rewritten, in the request's arena.
 *
 * Called by route.c, and for the tags of what is stored and of what is purged. The
 * target that goes to the backend and into the key is never touched.
 */
#include "routing/path.h"

#include <stdint.h>
#include <string.h>

enum {
    BYTE_ENCODED, /* a percent sign, or a byte that may only stand behind one */
    BYTE_PLAIN,   /* stands for itself and means nothing special */
    BYTE_SLASH,   /* may begin a dot segment or an empty one */
    BYTE_PARAM    /* begins parameters for some backends */
};

/* RFC 3986 §3.3: a segment is made of unreserved, sub-delims, : and @. */
/* clang-format off */
static const unsigned char kind_of[256] = {
    ['a' ... 'z'] = BYTE_PLAIN, ['A' ... 'Z'] = BYTE_PLAIN, ['0' ... '9'] = BYTE_PLAIN,
    ['-'] = BYTE_PLAIN, ['.'] = BYTE_PLAIN, ['_'] = BYTE_PLAIN, ['~'] = BYTE_PLAIN,
    ['!'] = BYTE_PLAIN, ['$'] = BYTE_PLAIN, ['&'] = BYTE_PLAIN, ['\''] = BYTE_PLAIN,
    ['('] = BYTE_PLAIN, [')'] = BYTE_PLAIN, ['*'] = BYTE_PLAIN, ['+'] = BYTE_PLAIN,
    [','] = BYTE_PLAIN, ['='] = BYTE_PLAIN, [':'] = BYTE_PLAIN, ['@'] = BYTE_PLAIN,
    [';'] = BYTE_PARAM, ['/'] = BYTE_SLASH,
};
/* clang-format on */

static bool
is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int
path_encoded_byte(struct slice text, size_t i)
{
    if (text.p[i] != '%' || text.n - i < 3)
        return -1;
    int high = hex_digit(text.p[i + 1]);
    int low = hex_digit(text.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* How long the dot segment at p is, without a slash; 0: it is none. */
static size_t
dot_segment(const char *p, size_t n)
{
    size_t dots = 0;
    while (dots < n && dots < 2 && p[dots] == '.')
        dots++;
    return dots && (dots == n || p[dots] == '/') ? dots : 0;
}

unsigned
path_look(struct slice path)
{
    unsigned look = 0;
    for (size_t i = 0; i < path.n; i++) {
        unsigned kind = kind_of[(unsigned char)path.p[i]];
        if (kind == BYTE_PLAIN)
            continue;
        if (kind == BYTE_ENCODED)
            return PATH_NOT_NORMAL | PATH_LENIENT;
        if (kind == BYTE_PARAM || (i + 1 < path.n && path.p[i + 1] == '/'))
            look |= PATH_LENIENT;
        else if (dot_segment(path.p + i + 1, path.n - i - 1))
            look |= PATH_NOT_NORMAL;
    }
    return look;
}

size_t
path_encode(char *buf, struct slice text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        int decoded = path_encoded_byte(text, i);
        if (decoded >= 0) {
            c = (unsigned char)decoded;
            i += 2;
        }
        if (decoded >= 0 ? is_unreserved(c) : kind_of[c] != BYTE_ENCODED) {
            buf[n++] = (char)c;
            continue;
        }
        buf[n++] = '%';
        buf[n++] = hex[c >> 4];
        buf[n++] = hex[c & 15];
    }
    return n;
}

size_t
path_remove_dot_segments(char *p, size_t n)
{
    size_t out = 0;
    size_t i = 0;
    while (i < n) {
        size_t dots = p[i] == '/' ? dot_segment(p + i + 1, n - i - 1) : 0;
        if (dots == 0) {
            p[out++] = p[i++];
            continue;
        }
        if (dots == 2) {
            while (out > 0 && p[--out] != '/')
                continue;
        }
        i += 1 + dots;
        if (i == n)
            p[out++] = '/';
    }
    return out;
}

bool
path_normalise(struct arena *arena, struct slice path, struct slice *out)
{
    if (path.n > SIZE_MAX / 3)
        return false;
    char *buf = arena_alloc(arena, path.n * 3);
    if (!buf)
        return false;
    size_t n = path_encode(buf, path);
    if (n && buf[0] == '/')
        n = path_remove_dot_segments(buf, n);
    *out = (struct slice){buf, n};
    return true;
}

/* lenient: \ is /, and ;parameters are nothing. */
static bool
decode(struct arena *arena, struct slice path, bool lenient, struct slice *out)
{
    char *buf = arena_alloc(arena, path.n);
    if (!buf)
        return false;
    size_t n = 0;
    bool parameters = false;
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        int decoded = path_encoded_byte(path, i);
        if (decoded >= 0) {
            c = (char)decoded;
            i += 2;
        }
        if (lenient && c == '\\')
            c = '/';
        if (lenient && (c == '/' || c == ';'))
            parameters = c == ';';
        if (parameters || (c == '/' && n && buf[n - 1] == '/'))
            continue;
        buf[n++] = c;
    }
    /* What is decoded now may be encoded once more: a backend that decodes twice is covered too. */
    return path_normalise(arena, (struct slice){buf, n}, out);
}

bool
path_loosen(struct arena *arena, struct slice path, struct slice *out)
{
    return decode(arena, path, true, out);
}

static void
add_reading(struct path_readings *readings, struct slice path)
{
    for (size_t i = 0; i < readings->count; i++)
        if (slice_equal(readings->list[i], path))
            return;
    readings->list[readings->count++] = path;
}

/* Decoded once and twice. */
static bool
add_decoded(struct path_readings *readings, struct arena *arena, struct slice path, bool lenient)
{
    for (int i = 0; i < 2 && (i == 0 || memchr(path.p, '%', path.n)); i++) {
        if (!decode(arena, path, lenient, &path))
            return false;
        add_reading(readings, path);
    }
    return true;
}

/* Is a \ or a ; in it, or may there be one when it is decoded? */
static bool
may_be_lenient(struct slice path)
{
    for (size_t i = 0; i < path.n; i++) {
        int c = path.p[i] == '%' ? path_encoded_byte(path, i) : path.p[i];
        if (c == '\\' || c == ';' || c == '%')
            return true;
    }
    return false;
}

bool
path_readings_find(struct path_readings *readings, struct arena *arena, struct slice path)
{
    unsigned look = path_look(path);
    struct slice reading = path;
    readings->count = 0;
    if ((look & PATH_NOT_NORMAL) && !path_normalise(arena, path, &reading))
        return false;
    add_reading(readings, reading);
    if (!(look & PATH_LENIENT))
        return true;
    if (!add_decoded(readings, arena, path, true))
        return false;
    return !may_be_lenient(path) || add_decoded(readings, arena, path, false);
}

/* As they are while a path is decoded: ended by \ and by parameters too. */
static bool
has_climbing_segment(struct slice text)
{
    bool begins = true;
    for (size_t i = 0; i < text.n; i++) {
        size_t rest = text.n - i;
        const char *p = text.p + i;
        if (begins && rest >= 2 && p[0] == '.' && p[1] == '.' &&
            (rest == 2 || p[2] == '/' || p[2] == '\\' || p[2] == ';'))
            return true;
        begins = *p == '/' || *p == '\\';
    }
    return false;
}

bool
path_climbs(struct arena *arena, struct slice path, bool *climbs)
{
    *climbs = has_climbing_segment(path);
    for (int i = 0; i < 2 && !*climbs && memchr(path.p, '%', path.n); i++) {
        char *buf = arena_alloc(arena, path.n);
        size_t n = 0;
        if (!buf)
            return false;
        for (size_t k = 0; k < path.n; k++) {
            int decoded = path_encoded_byte(path, k);
            buf[n++] = decoded < 0 ? path.p[k] : (char)decoded;
            k += decoded < 0 ? 0 : 2;
        }
        path = (struct slice){buf, n};
        *climbs = has_climbing_segment(path);
    }
    return true;
}

/* The first that the middle of the path names. */
static struct slice
first_script(struct slice path)
{
    static const struct slice suffix = {".php", 4};
    for (size_t i = suffix.n; i < path.n; i++)
        if (path.p[i] == '/' && memcmp(path.p + i - suffix.n, suffix.p, suffix.n) == 0)
            return (struct slice){path.p, i};
    return (struct slice){path.p, 0};
}

struct slice
path_script(struct slice path)
{
    static const struct slice front = {"/index.php", 10};
    struct slice script = first_script(path);
    if (script.n >= front.n && memcmp(path.p + script.n - front.n, front.p, front.n) == 0)
        script.n = 0;
    return script;
}

struct slice
path_without_script(struct arena *arena, struct slice path)
{
    struct slice script = first_script(path);
    size_t directory = script.n;
    if (script.n == 0)
        return script;
    while (directory > 0 && path.p[directory - 1] != '/')
        directory--;
    directory -= directory > 0; /* the slash behind the script takes its place */
    char *text = arena_alloc(arena, path.n);
    if (!text)
        return (struct slice){NULL, 0};
    memcpy(text, path.p, directory);
    memcpy(text + directory, path.p + script.n, path.n - script.n);
    return (struct slice){text, directory + path.n - script.n};
}

bool
path_has_script(struct slice path)
{
    return first_script(path).n > 0;
}
