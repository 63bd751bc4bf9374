/*
 * Cache-Control (RFC 9111 §5.2), read the careful way: a doubtful prohibition is
 * read as one, a doubtful permission is not, since the price of a wrong guess is
 * one more fetch on one side and somebody else's page on the other.
 *
 * The targeted fields (RFC 9213) are structured and parsed strictly; one that
 * does not parse, or has a known directive of another type than it must have,
 * says nothing at all.
 */
#include "http/cache_control.h"

#include "http/structured.h"

static const struct cache_control nothing = {.max_age_s = -1,
                                             .s_maxage_s = -1,
                                             .max_stale_s = -1,
                                             .min_fresh_s = -1,
                                             .stale_while_s = -1,
                                             .stale_if_s = -1};

/* The number that a text begins with; how many digits it has. */
static size_t
leading_seconds(struct slice text, int64_t *out_s)
{
    int64_t value = 0;
    size_t i = 0;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        value = value * 10 + (text.p[i] - '0');
        if (value > HTTP_SECONDS_MAX)
            value = HTTP_SECONDS_MAX;
    }
    *out_s = value;
    return i;
}

bool
http_seconds_parse(struct slice text, int64_t *out_s)
{
    int64_t value;
    if (text.n == 0 || leading_seconds(text, &value) != text.n)
        return false;
    *out_s = value;
    return true;
}

int64_t
http_age_parse(const struct fields *response)
{
    struct slice text = fields_get(response, "Age");
    int64_t age_s = 0;
    size_t n = 0;
    /* The first member of the list; parameters that somebody hung on it do not make it young. */
    while (n < text.n && text.p[n] != ',' && text.p[n] != ';')
        n++;
    while (n && (text.p[n - 1] == ' ' || text.p[n - 1] == '\t'))
        n--;
    return http_seconds_parse((struct slice){text.p, n}, &age_s) ? age_s : 0;
}

/* --------------------------------------------------------------------- directives */

enum directive_kind {
    FLAG,      /* bool */
    NAMES,     /* bool, unless its argument names fields */
    FRESHNESS, /* seconds; what is no number is 0: stale */
    ALLOWANCE, /* seconds; what is no number is nothing */
    MAX_STALE
};

static const struct directive {
    const char *name;
    enum directive_kind kind;
    size_t offset;
} directives[] = {
    {"no-store", FLAG, offsetof(struct cache_control, no_store)},
    {"no-cache", NAMES, offsetof(struct cache_control, no_cache)},
    {"private", NAMES, offsetof(struct cache_control, is_private)},
    {"public", FLAG, offsetof(struct cache_control, is_public)},
    {"must-revalidate", FLAG, offsetof(struct cache_control, must_revalidate)},
    {"proxy-revalidate", FLAG, offsetof(struct cache_control, proxy_revalidate)},
    {"must-understand", FLAG, offsetof(struct cache_control, must_understand)},
    {"no-transform", FLAG, offsetof(struct cache_control, no_transform)},
    {"only-if-cached", FLAG, offsetof(struct cache_control, only_if_cached)},
    {"immutable", FLAG, offsetof(struct cache_control, immutable)},
    {"max-age", FRESHNESS, offsetof(struct cache_control, max_age_s)},
    {"s-maxage", FRESHNESS, offsetof(struct cache_control, s_maxage_s)},
    {"min-fresh", ALLOWANCE, offsetof(struct cache_control, min_fresh_s)},
    {"stale-while-revalidate", ALLOWANCE, offsetof(struct cache_control, stale_while_s)},
    {"stale-if-error", ALLOWANCE, offsetof(struct cache_control, stale_if_s)},
    {"max-stale", MAX_STALE, offsetof(struct cache_control, max_stale_s)},
};

static const struct directive *
find(struct slice name)
{
    for (size_t i = 0; i < sizeof directives / sizeof *directives; i++)
        if (slice_equal_nocase(name, directives[i].name))
            return &directives[i];
    return NULL;
}

/* In place of a hyphen: a blank, an underscore, or what an editor has made of it. */
static bool
is_like_hyphen(char c)
{
    return c == '-' || c == '_' || c == ' ' || c == '\t' || (unsigned char)c >= 0x80;
}

/* The same but for hyphens. */
static bool
is_nearly(struct slice name, const char *directive)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (is_like_hyphen(c))
            continue;
        if (*directive == '-')
            directive++;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != *directive++)
            return false;
    }
    return *directive == '\0';
}

/* "nostore", "no_cache", "s-max-age=0". */
static void
apply_misspelt(struct cache_control *cc, struct slice name, int64_t seconds)
{
    if (is_nearly(name, "no-store"))
        cc->no_store = true;
    else if (is_nearly(name, "no-cache"))
        cc->no_cache = true;
    else if (is_nearly(name, "must-revalidate"))
        cc->must_revalidate = true;
    else if (is_nearly(name, "proxy-revalidate"))
        cc->proxy_revalidate = true;
    else if (seconds == 0 && is_nearly(name, "max-age"))
        cc->max_age_s = 0;
    else if (seconds == 0 && is_nearly(name, "s-max-age"))
        cc->s_maxage_s = 0;
}

/* In place of a list of fields: what says that the directive is meant. */
static bool
is_yes(struct slice text)
{
    static const char *const words[] = {"true", "1", "yes", "on"};
    while (text.n && (*text.p == ' ' || *text.p == '\t')) {
        text.p++;
        text.n--;
    }
    while (text.n && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
        text.n--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (slice_equal_nocase(text, words[i]))
            return true;
    return false;
}

/* "a, b" into the list of names. false: it does not count, and the directive stands without one. */
static bool
add_names(struct cache_control *cc, struct slice list)
{
    size_t before = cc->name_count;
    if (is_yes(list))
        return false;
    const char *p = list.p, *end = list.p + list.n;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end, *last = stop;
        while (p < last && (*p == ' ' || *p == '\t'))
            p++;
        while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        struct slice name = {p, (size_t)(last - p)};
        if (name.n) {
            /* No field is called "*": all of them are meant. */
            if (!field_name_valid(name) || slice_equal(name, slice_of("*")) ||
                cc->name_count == CACHE_CONTROL_NAMES_MAX) {
                cc->name_count = before;
                return false;
            }
            cc->names[cc->name_count++] = name;
        }
        p = stop + 1;
    }
    return cc->name_count > before;
}

/*
 * §1.2.2 wants digits alone. A letter or a fraction too many ("60s", "60.0", "a60") still says what
 * was meant, and is read so as other caches do; anything else, a sign or a quote above all, is no
 * number, which a cache is encouraged to take for stale (§4.2.1).
 */
static int64_t
tolerant_seconds(struct slice text)
{
    int64_t value;
    while (text.n && ((*text.p >= 'a' && *text.p <= 'z') || (*text.p >= 'A' && *text.p <= 'Z'))) {
        text.p++;
        text.n--;
    }
    return leading_seconds(text, &value) ? value : 0;
}

/* argument .p NULL: there is none. clean: it stands behind a "=" without blanks around. */
static void
apply(struct cache_control *cc, struct slice name, struct slice argument, bool clean)
{
    const struct directive *directive = find(name);
    if (!directive) {
        apply_misspelt(cc, name, clean ? tolerant_seconds(argument) : 0);
        return;
    }
    bool *flag = (bool *)((char *)cc + directive->offset);
    int64_t *slot = (int64_t *)((char *)cc + directive->offset), value;
    switch (directive->kind) {
    case FLAG:
        *flag = true;
        break;
    case NAMES:
        if (!argument.p || !clean || !add_names(cc, argument))
            *flag = true;
        break;
    case FRESHNESS:
        /* What a blank or a colon has made of it nobody knows: no time at all. Nor does a first word
         * outlive a second one that is 0 (§4.2.1: the first one, or stale). */
        value = clean ? tolerant_seconds(argument) : 0;
        if (*slot < 0 || value == 0)
            *slot = value;
        break;
    case ALLOWANCE:
        if (*slot < 0 && clean && http_seconds_parse(argument, &value))
            *slot = value;
        break;
    case MAX_STALE:
        if (!argument.p)
            cc->max_stale_any = true;
        else if (*slot < 0 && clean && http_seconds_parse(argument, &value))
            *slot = value;
        break;
    }
}

/* ------------------------------------------------------------------ Cache-Control */

/* A semicolon and quotes around the whole are common mistakes of those who mean "no-store". */
static bool
is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == ';' || c == '"' || c == '\'';
}

/* Where the quoted text that starts at p ends; NULL: nowhere. */
static const char *
closing_quote(const char *p, const char *end)
{
    while (p < end && *p != '"')
        p += *p == '\\' && p + 1 < end ? 2 : 1;
    return p < end ? p : NULL;
}

static const char *
skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/*
 * "no store", "no - store": where a name ends that begins at start and has its first blank at p, if it
 * is nearly a prohibition when blanks are taken for hyphens; else p.
 */
static const char *
name_with_blanks(const char *start, const char *p, const char *end)
{
    static const char *const names[] = {"no-store",         "no-cache", "must-revalidate",
                                        "proxy-revalidate", "max-age",  "s-max-age"};
    const char *stop = p;
    while (stop < end && is_like_hyphen(*stop))
        stop++;
    const char *word = stop;
    while (stop < end && *stop != '=' && *stop != ':' && !is_separator(*stop))
        stop++;
    if (stop == word)
        return p;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_nearly((struct slice){start, (size_t)(stop - start)}, names[i]))
            return stop;
    return p;
}

static void
parse_line(struct cache_control *cc, struct slice line)
{
    const char *p = line.p, *end = line.p + line.n;
    while (p < end) {
        if (is_separator(*p)) {
            p++;
            continue;
        }
        const char *start = p;
        while (p < end && *p != '=' && *p != ':' && !is_separator(*p))
            p++;
        struct slice name = {start, (size_t)(p - start)}, argument = {NULL, 0};
        if (!find(name)) {
            p = name_with_blanks(start, p, end);
            name.n = (size_t)(p - start);
        }
        const char *equals = skip_blanks(p, end);
        bool clean = equals == p;
        if (equals < end && *equals == '=') {
            p = skip_blanks(equals + 1, end);
            clean = clean && p == equals + 1;
            const char *quote = p < end && *p == '"' ? closing_quote(p + 1, end) : NULL;
            start = quote ? p + 1 : p;
            if (quote)
                p = quote;
            else /* a quote that nobody closes hides nothing */
                while (p < end && !is_separator(*p))
                    p++;
            argument = (struct slice){start, (size_t)(p - start)};
            p += quote != NULL;
        } else if (equals < end && *equals == ':') {
            /* As in a program's map: "no-store: 1", "max-age:0". Behind a blank comes the next word, which
             * may be a directive: "Cache-Control: private" is a common value of Cache-Control. */
            start = p = equals + 1;
            while (p < end && !is_separator(*p))
                p++;
            argument = (struct slice){start, (size_t)(p - start)};
            clean = false;
        } else {
            clean = true;
        }
        apply(cc, name, argument, clean);
    }
}

void
cache_control_parse(struct cache_control *out, const struct fields *fields)
{
    *out = nothing;
    size_t cursor = 0;
    const struct field *f;
    while ((f = fields_next(fields, "Cache-Control", &cursor))) {
        out->present = true;
        parse_line(out, f->value);
    }
}

/* ----------------------------------------------------------------- targeted fields */

/* One member. false: a directive that we know has a value that it cannot have. */
static bool
apply_member(struct cache_control *cc, struct slice key, const struct structured_item *item)
{
    const struct directive *directive = find(key);
    if (!directive)
        return true;
    bool *flag = (bool *)((char *)cc + directive->offset);
    int64_t *slot = (int64_t *)((char *)cc + directive->offset);
    switch (directive->kind) {
    case NAMES:
        if (item->type == STRUCTURED_STRING || item->type == STRUCTURED_TOKEN) {
            *flag = !add_names(cc, item->text);
            return true;
        }
        /* fall through */
    case FLAG:
        *flag = item->integer == 1;
        return item->type == STRUCTURED_BOOLEAN;
    case FRESHNESS:
    case ALLOWANCE:
    case MAX_STALE:
        *slot = item->integer < HTTP_SECONDS_MAX ? item->integer : HTTP_SECONDS_MAX;
        return item->type == STRUCTURED_INTEGER && item->integer >= 0;
    }
    return true;
}

static bool
is_prohibition(const struct cache_control *cc)
{
    return cc->no_store || cc->no_cache || cc->is_private || cc->max_age_s == 0 ||
           cc->s_maxage_s == 0;
}

/* Would these lines forbid to keep the response if they were Cache-Control? */
static bool
lines_forbid(const struct fields *response, const char *name)
{
    struct cache_control cc = nothing;
    size_t cursor = 0;
    const struct field *f;
    while ((f = fields_next(response, name, &cursor)))
        parse_line(&cc, f->value);
    return is_prohibition(&cc);
}

/* A targeted field's lines, which are one dictionary; a member does not span lines. */
static bool
parse_dictionary(struct cache_control *out, const struct fields *response, const char *name)
{
    size_t cursor = 0, members = 0;
    const struct field *f;
    *out = nothing;
    while ((f = fields_next(response, name, &cursor))) {
        struct structured_walk walk = {.rest = f->value, .any_case = true};
        struct slice key;
        struct structured_item item;
        while (structured_dictionary_next(&walk, &key, &item)) {
            members++;
            if (!apply_member(out, key, &item))
                return false;
        }
        if (walk.failed)
            return false;
    }
    out->present = members > 0;
    return members > 0;
}

/* One that does not parse is ignored (RFC 9213 §2.2), but for what it forbids by any reading. */
static bool
parse_targeted(struct cache_control *out, const struct fields *response, const char *name)
{
    if (parse_dictionary(out, response, name))
        return true;
    bool forbids = lines_forbid(response, name);
    *out = nothing;
    out->present = out->no_store = forbids;
    return forbids;
}

/*
 * Surrogate-Control, from before there was RFC 9213: read like Cache-Control,
 * but for "max-age=60+30", whose second number is for how long it may be used
 * stale. It counts if it says anything about time or storing.
 */
static bool
parse_surrogate(struct cache_control *out, const struct fields *response)
{
    size_t cursor = 0;
    const struct field *f;
    *out = nothing;
    while ((f = fields_next(response, "Surrogate-Control", &cursor))) {
        int64_t seconds;
        parse_line(out, f->value);
        const char *age = f->value.n ? memmem(f->value.p, f->value.n, "max-age=", 8) : NULL;
        const char *end = f->value.p + f->value.n;
        const char *plus = age ? age + 8 : end;
        while (plus < end && *plus >= '0' && *plus <= '9')
            plus++;
        if (plus < end && *plus == '+' &&
            leading_seconds((struct slice){plus + 1, (size_t)(end - plus - 1)}, &seconds))
            out->stale_while_s = seconds;
    }
    out->present = out->max_age_s >= 0 || out->no_store || out->no_cache || out->is_private;
    return out->present;
}

bool
cache_control_forbids(const struct fields *response, const char *name, int64_t now_s)
{
    size_t cursor = 0;
    const struct field *f;
    while ((f = fields_next(response, name, &cursor))) {
        struct slice text = f->value;
        bool absolute = text.n && *text.p == '@';
        int64_t seconds;
        if (absolute) {
            text.p++;
            text.n--;
        }
        if (text.n && http_seconds_parse(text, &seconds)) {
            if (seconds <= (absolute ? now_s : 0))
                return true;
        } else if (absolute || (text.n && *text.p == '-') || slice_equal_nocase(text, "off")) {
            return true;
        }
    }
    return lines_forbid(response, name);
}

/* What Cache-Control forbids, and nothing that it permits. */
static void
add_prohibitions(struct cache_control *cc, const struct fields *response)
{
    struct cache_control beside;
    cache_control_parse(&beside, response);
    cc->no_store |= beside.no_store;
    cc->no_cache |= beside.no_cache;
    cc->is_private |= beside.is_private;
    if (beside.max_age_s == 0 || beside.s_maxage_s == 0)
        cc->max_age_s = 0;
    for (size_t i = 0; i < beside.name_count; i++) {
        if (cc->name_count == CACHE_CONTROL_NAMES_MAX)
            cc->is_private = true;
        else
            cc->names[cc->name_count++] = beside.names[i];
    }
}

void
cache_control_of_response(struct cache_control *out, const struct fields *response, bool *targeted)
{
    *targeted = parse_targeted(out, response, "Larder-Cache-Control") ||
                parse_targeted(out, response, "CDN-Cache-Control") ||
                parse_surrogate(out, response);
    if (!*targeted)
        cache_control_parse(out, response);
    else if (out->max_age_s < 0 && out->s_maxage_s < 0)
        /* RFC 9213 §2.2 has it ignored. But then the route's time would apply to what is private,
         * because somebody has said for how long it may be used when the backend fails. */
        add_prohibitions(out, response);
}
