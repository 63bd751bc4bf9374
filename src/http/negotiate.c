/*
 * Negotiation made small. Members that do not follow the grammar count as
 * absent: what a client did not manage to say must not become a variant.
 */
#include "http/negotiate.h"

#include <string.h>

/* A quality of 1; three decimals are all there may be (RFC 9110 §12.4.2). */
#define Q_ONE 1000

struct member {
    struct slice name;
    int q; /* 0 to Q_ONE */
};

struct members {
    size_t count;
    struct member list[NEGOTIATE_MEMBERS_MAX];
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice
trim(struct slice text)
{
    while (text.n && is_blank(*text.p)) {
        text.p++;
        text.n--;
    }
    while (text.n && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* Up to `stop` or the end; the rest begins behind it. */
static struct slice
split(struct slice *rest, char stop)
{
    const char *at = rest->n ? memchr(rest->p, stop, rest->n) : NULL;
    size_t n = at ? (size_t)(at - rest->p) : rest->n;
    struct slice part = {rest->p, n};
    size_t used = at ? n + 1 : n;
    rest->p += used;
    rest->n -= used;
    return trim(part);
}

static bool
parse_q(struct slice text, int *q)
{
    int scale = 100;
    if (text.n < 1 || text.n > 5 || (text.p[0] != '0' && text.p[0] != '1') ||
        (text.n > 1 && text.p[1] != '.'))
        return false;
    *q = (text.p[0] - '0') * Q_ONE;
    for (size_t i = 2; i < text.n; i++, scale /= 10) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *q += (text.p[i] - '0') * scale;
    }
    return *q <= Q_ONE;
}

static bool
parse_member(struct slice text, struct member *out)
{
    out->name = split(&text, ';');
    out->q = Q_ONE;
    while (text.n) {
        struct slice parameter = split(&text, ';');
        if (parameter.n >= 2 && (parameter.p[0] | 0x20) == 'q' && parameter.p[1] == '=' &&
            !parse_q((struct slice){parameter.p + 2, parameter.n - 2}, &out->q))
            return false;
    }
    for (size_t i = 0; i < out->name.n; i++)
        if ((unsigned char)out->name.p[i] <= ' ' || (unsigned char)out->name.p[i] >= 0x7f)
            return false;
    return out->name.n > 0;
}

static void
parse(struct members *out, struct slice value)
{
    out->count = 0;
    while (value.n && out->count < NEGOTIATE_MEMBERS_MAX) {
        struct slice text = split(&value, ',');
        if (text.n && parse_member(text, &out->list[out->count]))
            out->count++;
    }
}

/* ------------------------------------------------------------------------ codings */

/* What it says of a coding: its quality, or -1 where it says nothing. */
static int
quality_of(const struct members *members, const char *coding)
{
    for (size_t i = 0; i < members->count; i++) {
        struct slice name = members->list[i].name;
        if (slice_equal_nocase(name, coding) ||
            (slice_equal_nocase(name, "x-gzip") && strcmp(coding, "gzip") == 0))
            return members->list[i].q;
    }
    return -1;
}

struct slice
negotiate_encoding(struct slice value, const char *const *codings, size_t count,
                   struct arena *arena, bool *failed)
{
    static const char no_identity[] = "identity;q=0";
    struct members members;
    size_t room = sizeof no_identity + 2, n = 0;
    parse(&members, value);
    int any = quality_of(&members, "*"), identity = quality_of(&members, "identity");
    for (size_t i = 0; i < count; i++)
        room += strlen(codings[i]) + 2;
    char *text = arena_alloc(arena, room);
    if (!text) {
        *failed = true;
        return (struct slice){NULL, 0};
    }
    for (size_t i = 0; i < count; i++) {
        int q = quality_of(&members, codings[i]);
        if (q == 0 || (q < 0 && any <= 0))
            continue;
        if (n) {
            text[n++] = ',';
            text[n++] = ' ';
        }
        size_t len = strlen(codings[i]);
        memcpy(text + n, codings[i], len);
        n += len;
    }
    if (identity == 0 || (identity < 0 && any == 0)) {
        if (n) {
            text[n++] = ',';
            text[n++] = ' ';
        }
        memcpy(text + n, no_identity, sizeof no_identity - 1);
        n += sizeof no_identity - 1;
    }
    return n ? (struct slice){text, n} : (struct slice){NULL, 0};
}

/* ---------------------------------------------------------------------- languages */

static bool
starts_with(struct slice text, struct slice with)
{
    return text.n >= with.n && strncasecmp(text.p, with.p, with.n) == 0;
}

/* How well a range of the client fits a language: its length if it takes it, 0 if not. */
static size_t
fits(struct slice range, struct slice language)
{
    if (range.n == 1 && *range.p == '*')
        return 1;
    bool takes = starts_with(language, range) &&
                 (language.n == range.n || language.p[range.n] == '-');
    return takes ? range.n + 1 : 0;
}

/* The quality of a language: by the longest range that takes it (RFC 4647 §3.3.1, RFC 9110
 * §12.5.4). 0: not wanted, or nothing takes it. */
static int
language_quality(const struct members *members, struct slice language)
{
    size_t best = 0;
    int q = 0;
    for (size_t i = 0; i < members->count; i++) {
        size_t fit = fits(members->list[i].name, language);
        if (fit > best) {
            best = fit;
            q = members->list[i].q;
        }
    }
    return q;
}

static const char *
best_of(const struct members *members, const char *const *languages, size_t count)
{
    const char *best = NULL;
    int q = 0;
    for (size_t i = 0; i < count; i++) {
        int own = language_quality(members, slice_of(languages[i]));
        if (own > q) {
            q = own;
            best = languages[i];
        }
    }
    return best;
}

const char *
negotiate_language(struct slice value, const char *const *languages, size_t count)
{
    struct members members;
    parse(&members, value);
    const char *best = best_of(&members, languages, count);
    /* Nothing: "de-CH" may be content with "de" (lookup, RFC 4647 §3.4). */
    for (bool shorter = true; !best && shorter;) {
        shorter = false;
        for (size_t i = 0; i < members.count; i++) {
            struct slice *range = &members.list[i].name;
            size_t n = range->n;
            while (n && range->p[n - 1] != '-')
                n--;
            if (n < 2 || members.list[i].q == 0)
                continue;
            range->n = n - 1;
            shorter = true;
        }
        if (shorter)
            best = best_of(&members, languages, count);
    }
    return best;
}
