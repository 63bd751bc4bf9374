/*
 * Cache-Control (RFC 9111 §5.2), read the careful way: whatever is doubtful is
 * read as the more restrictive of its meanings, since the price of a wrong
 * guess is one more fetch on one side and somebody else's page on the other.
 */
#include "http/cache_control.h"

bool
http_seconds_parse(struct slice text, int64_t *out_s)
{
    int64_t value = 0;
    if (text.n == 0)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (text.p[i] - '0');
        if (value > HTTP_SECONDS_MAX)
            value = HTTP_SECONDS_MAX;
    }
    *out_s = value;
    return true;
}

static void
seconds(int64_t *slot, struct slice argument)
{
    int64_t value;
    /* A cache is encouraged to consider a response with invalid freshness stale (§4.2.1). */
    if (!http_seconds_parse(argument, &value))
        value = 0;
    if (*slot < 0 || value < *slot)
        *slot = value;
}

static void
directive(struct cache_control *cc, struct slice name, struct slice argument)
{
    static const struct {
        const char *name;
        size_t offset;
    } flags[] = {
        {"no-store", offsetof(struct cache_control, no_store)},
        {"no-cache", offsetof(struct cache_control, no_cache)},
        {"private", offsetof(struct cache_control, is_private)},
        {"public", offsetof(struct cache_control, is_public)},
        {"must-revalidate", offsetof(struct cache_control, must_revalidate)},
        {"proxy-revalidate", offsetof(struct cache_control, proxy_revalidate)},
        {"must-understand", offsetof(struct cache_control, must_understand)},
        {"no-transform", offsetof(struct cache_control, no_transform)},
        {"only-if-cached", offsetof(struct cache_control, only_if_cached)},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (slice_equal_nocase(name, flags[i].name)) {
            *(bool *)((char *)cc + flags[i].offset) = true;
            return;
        }
    if (slice_equal_nocase(name, "max-age"))
        seconds(&cc->max_age_s, argument);
    else if (slice_equal_nocase(name, "s-maxage"))
        seconds(&cc->s_maxage_s, argument);
}

/* A semicolon and a quote around the whole are common mistakes of those who mean "no-store". */
static bool
is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == ';' || c == '"';
}

/* Where the quoted text that starts at p ends; NULL: nowhere. */
static const char *
closing_quote(const char *p, const char *end)
{
    while (p < end && *p != '"')
        p += *p == '\\' && p + 1 < end ? 2 : 1;
    return p < end ? p : NULL;
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
        while (p < end && *p != '=' && !is_separator(*p))
            p++;
        struct slice name = {start, (size_t)(p - start)};
        struct slice argument = {NULL, 0};
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        if (p < end && *p == '=') {
            p++;
            while (p < end && (*p == ' ' || *p == '\t'))
                p++;
            const char *quote = p < end && *p == '"' ? closing_quote(p + 1, end) : NULL;
            start = quote ? p + 1 : p;
            if (quote)
                p = quote;
            else /* a quote that nobody closes hides nothing */
                while (p < end && !is_separator(*p))
                    p++;
            argument = (struct slice){start, (size_t)(p - start)};
            p += quote != NULL;
        }
        directive(cc, name, argument);
    }
}

void
cache_control_parse(struct cache_control *out, const struct fields *fields)
{
    *out = (struct cache_control){.max_age_s = -1, .s_maxage_s = -1};
    size_t cursor = 0;
    const struct field *f;
    while ((f = fields_next(fields, "Cache-Control", &cursor))) {
        out->present = true;
        parse_line(out, f->value);
    }
}
