/*
 * Negotiation made small.
 *
 * Both fields are lists of names with a weight (RFC 9110 §12.4.2). A member that
 * does not follow the grammar counts as absent: what a client did not manage to
 * say must not become a variant. Where a name stands twice the lower weight
 * counts, so that the order of members makes no difference and who says no once
 * is believed.
 */
#include "http/negotiate.h"

#include <stdint.h>

#include "base/fields.h"

/* A quality of 1; three decimals are all there may be. */
#define Q_ONE 1000
/* What is said of a name that is not in the list. */
#define Q_UNSAID (-1)

/* An index into the languages that is none. */
#define NO_LANGUAGE SIZE_MAX

struct member {
    struct slice name;
    int q;           /* 0 to Q_ONE */
    size_t fallback; /* the language that it falls back to */
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
    while (text.n && is_blank(text.p[0])) {
        text.p++;
        text.n--;
    }
    while (text.n && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

/* What stands before the first of these, without blanks; *text begins behind it. false: there is
 * none, so that it is all of the text. */
static bool
take_until(struct slice *text, char stop, struct slice *out)
{
    const char *at = text->n ? memchr(text->p, stop, text->n) : NULL;
    size_t n = at ? (size_t)(at - text->p) : text->n;
    *out = trim((struct slice){text->p, n});
    *text = (struct slice){text->p + (at ? n + 1 : n), text->n - (at ? n + 1 : n)};
    return at != NULL;
}

/* "q=0.5": 0 or 1, and up to three decimals. */
static bool
parse_weight(struct slice text, int *q)
{
    if (text.n < 3 || text.n > 7 || strncasecmp(text.p, "q=", 2) != 0 ||
        (text.p[2] != '0' && text.p[2] != '1') || (text.n > 3 && text.p[3] != '.'))
        return false;
    *q = (text.p[2] - '0') * Q_ONE;
    int scale = Q_ONE / 10;
    for (size_t i = 4; i < text.n; i++, scale /= 10) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *q += (text.p[i] - '0') * scale;
    }
    return *q <= Q_ONE;
}

/* Neither codings nor language ranges have other parameters than the weight. */
static bool
parse_member(struct slice text, struct member *out)
{
    out->q = Q_ONE;
    out->fallback = NO_LANGUAGE;
    return (!take_until(&text, ';', &out->name) || parse_weight(trim(text), &out->q)) &&
           field_name_valid(out->name);
}

static void
parse(struct members *out, struct slice value)
{
    out->count = 0;
    while (value.n && out->count < NEGOTIATE_MEMBERS_MAX) {
        struct slice text;
        take_until(&value, ',', &text);
        if (parse_member(text, &out->list[out->count]))
            out->count++;
    }
}

/* ------------------------------------------------------------------------- codings */

/* "x-gzip" is "gzip", "x-compress" is "compress" (RFC 9110 §8.4.1). */
static bool
is_coding(struct slice name, const char *coding)
{
    if (slice_equal_nocase(name, coding))
        return true;
    if (name.n < 2 || strncasecmp(name.p, "x-", 2) != 0)
        return false;
    return (strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "compress") == 0) &&
           slice_equal_nocase((struct slice){name.p + 2, name.n - 2}, coding);
}

static int
coding_quality(const struct members *members, const char *coding)
{
    int q = Q_UNSAID;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *m = &members->list[i];
        if (is_coding(m->name, coding) && (q == Q_UNSAID || m->q < q))
            q = m->q;
    }
    return q;
}

static size_t
append(char *text, size_t n, const char *member)
{
    size_t len = strlen(member);
    if (n) {
        text[n++] = ',';
        text[n++] = ' ';
    }
    memcpy(text + n, member, len);
    return n + len;
}

struct slice
negotiate_encoding(struct slice value, const char *const *codings, size_t count,
                   struct arena *arena, bool *failed)
{
    static const char no_identity[] = "identity;q=0";
    struct members members;
    size_t room = sizeof no_identity + 2, n = 0;
    parse(&members, value);
    int any = coding_quality(&members, "*"), identity = coding_quality(&members, "identity");
    for (size_t i = 0; i < count; i++)
        room += strlen(codings[i]) + 2;
    char *text = arena_alloc(arena, room);
    if (!text) {
        *failed = true;
        return (struct slice){NULL, 0};
    }
    for (size_t i = 0; i < count; i++) {
        int q = coding_quality(&members, codings[i]);
        if ((q == Q_UNSAID ? any : q) > 0)
            n = append(text, n, codings[i]);
    }
    /* The only one that is accepted without a word (RFC 9110 §12.5.3). */
    if ((identity == Q_UNSAID ? any : identity) == 0)
        n = append(text, n, no_identity);
    return n ? (struct slice){text, n} : (struct slice){NULL, 0};
}

/* ----------------------------------------------------------------------- languages */

#define FIT_NONE ((size_t)0)
#define FIT_ANY ((size_t)1) /* "*": whatever nobody names */

/* Is it the other one, or does the other one go on behind it with "-"? */
static bool
is_prefix(struct slice prefix, struct slice text)
{
    return prefix.n && prefix.n <= text.n && strncasecmp(prefix.p, text.p, prefix.n) == 0 &&
           (prefix.n == text.n || text.p[prefix.n] == '-');
}

/* Basic filtering (RFC 4647 §3.3.1); a longer range that takes the language fits better. */
static size_t
fit(struct slice range, struct slice language)
{
    if (range.n == 1 && *range.p == '*')
        return FIT_ANY;
    return is_prefix(range, language) ? FIT_ANY + range.n : FIT_NONE;
}

/*
 * Lookup (RFC 4647 §3.4) for a range that takes none of the languages: the one
 * that is left first when subtags are cut off at its end, which is the longest
 * that it begins with.
 */
static size_t
fall_back(struct slice range, const char *const *languages, size_t count)
{
    size_t found = NO_LANGUAGE, longest = 0;
    for (size_t i = 0; i < count; i++) {
        struct slice language = slice_of(languages[i]);
        if (fit(range, language) != FIT_NONE)
            return NO_LANGUAGE;
        if (language.n > longest && is_prefix(language, range)) {
            longest = language.n;
            found = i;
        }
    }
    return found;
}

/* The best fit decides: a refusal of "de-CH" is none of "de", and the other way round. */
static size_t
filter_quality(const struct members *members, struct slice language, int *q)
{
    size_t best = FIT_NONE;
    *q = 0;
    for (size_t i = 0; i < members->count; i++) {
        const struct member *m = &members->list[i];
        size_t own = fit(m->name, language);
        if (own == FIT_NONE || own < best || (own == best && m->q >= *q))
            continue;
        best = own;
        *q = m->q;
    }
    return best;
}

const char *
negotiate_language(struct slice value, const char *const *languages, size_t count)
{
    struct members members;
    const char *liked = NULL;
    int most = 0;
    parse(&members, value);
    for (size_t i = 0; i < members.count; i++)
        members.list[i].fallback = fall_back(members.list[i].name, languages, count);
    for (size_t i = 0; i < count; i++) {
        int q, fallback_q = 0;
        size_t best = filter_quality(&members, slice_of(languages[i]), &q);
        for (size_t k = 0; k < members.count; k++)
            if (members.list[k].fallback == i && members.list[k].q > fallback_q)
                fallback_q = members.list[k].q;
        /* What it says of "de" by name counts before what it says of "de-CH". */
        if (best <= FIT_ANY && fallback_q > 0)
            q = fallback_q;
        if (q > most) {
            most = q;
            liked = languages[i];
        }
    }
    return liked;
}
