/*
 * Structured fields (RFC 9651), strictly: the parser of RFC 9651 §4.2, without
 * building anything. One mistake anywhere makes the whole field count as absent,
 * so whoever uses it asks for validity first, or looks at walk->failed at the
 * end. Nothing nests deeper than an inner list, so nothing recurses.
 */
#include "http/structured.h"

#define INTEGER_DIGITS_MAX 15
#define DECIMAL_WHOLE_MAX 12
#define DECIMAL_FRACTION_MAX 3

struct cursor {
    const char *p;
    const char *end;
};

static bool
at(const struct cursor *c, char wanted)
{
    return c->p < c->end && *c->p == wanted;
}

static bool
take(struct cursor *c, char wanted)
{
    if (!at(c, wanted))
        return false;
    c->p++;
    return true;
}

static void
skip_spaces(struct cursor *c)
{
    while (at(c, ' '))
        c->p++;
}

static void
skip_blanks(struct cursor *c)
{
    while (at(c, ' ') || at(c, '\t'))
        c->p++;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool
is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool
is_token_char(char c)
{
    return is_alpha(c) || is_digit(c) || (c && strchr("!#$%&'*+-.^_`|~:/", c));
}

static bool
is_key_letter(char c, bool any_case)
{
    return is_lower(c) || (any_case && is_alpha(c));
}

static bool
key(struct cursor *c, bool any_case, struct slice *out)
{
    const char *start = c->p;
    if (c->p == c->end || !(is_key_letter(*c->p, any_case) || *c->p == '*'))
        return false;
    while (c->p < c->end &&
           (is_key_letter(*c->p, any_case) || is_digit(*c->p) || (*c->p && strchr("_-.*", *c->p))))
        c->p++;
    *out = (struct slice){start, (size_t)(c->p - start)};
    return true;
}

static bool
number(struct cursor *c, struct structured_item *item)
{
    const char *start = c->p;
    bool negative = take(c, '-');
    int64_t value = 0;
    size_t digits = 0;
    item->type = STRUCTURED_INTEGER;
    while (c->p < c->end && is_digit(*c->p) && digits <= INTEGER_DIGITS_MAX) {
        value = value * 10 + (*c->p++ - '0');
        digits++;
    }
    if (digits == 0 || digits > INTEGER_DIGITS_MAX)
        return false;
    if (take(c, '.')) {
        size_t fraction = 0;
        item->type = STRUCTURED_DECIMAL;
        while (c->p < c->end && is_digit(*c->p) && fraction <= DECIMAL_FRACTION_MAX) {
            c->p++;
            fraction++;
        }
        if (digits > DECIMAL_WHOLE_MAX || fraction == 0 || fraction > DECIMAL_FRACTION_MAX)
            return false;
    }
    item->integer = negative ? -value : value;
    item->text = (struct slice){start, (size_t)(c->p - start)};
    return true;
}

static bool
string(struct cursor *c, struct structured_item *item)
{
    const char *start = ++c->p;
    item->type = STRUCTURED_STRING;
    for (; c->p < c->end; c->p++) {
        if (*c->p == '"') {
            item->text = (struct slice){start, (size_t)(c->p++ - start)};
            return true;
        }
        if (*c->p == '\\') {
            c->p++;
            if (c->p == c->end || (*c->p != '"' && *c->p != '\\'))
                return false;
        } else if (*c->p < 0x20 || *c->p > 0x7e) {
            return false;
        }
    }
    return false;
}

static bool
token(struct cursor *c, struct structured_item *item)
{
    const char *start = c->p;
    item->type = STRUCTURED_TOKEN;
    while (c->p < c->end && is_token_char(*c->p))
        c->p++;
    item->text = (struct slice){start, (size_t)(c->p - start)};
    return true;
}

static bool
bytes(struct cursor *c, struct structured_item *item)
{
    const char *start = ++c->p;
    item->type = STRUCTURED_BYTES;
    while (c->p < c->end && (is_alpha(*c->p) || is_digit(*c->p) || (*c->p && strchr("+/=", *c->p))))
        c->p++;
    item->text = (struct slice){start, (size_t)(c->p - start)};
    return take(c, ':');
}

static bool
boolean(struct cursor *c, struct structured_item *item)
{
    c->p++;
    item->type = STRUCTURED_BOOLEAN;
    if (!at(c, '0') && !at(c, '1'))
        return false;
    item->text = (struct slice){c->p, 1};
    item->integer = *c->p++ - '0';
    return true;
}

static bool
date(struct cursor *c, struct structured_item *item)
{
    c->p++;
    if (!number(c, item) || item->type != STRUCTURED_INTEGER)
        return false;
    item->type = STRUCTURED_DATE;
    return true;
}

/* %"...": percent-encoded UTF-8, lower-case hex. */
static bool
display(struct cursor *c, struct structured_item *item)
{
    c->p++;
    if (!take(c, '"'))
        return false;
    const char *start = c->p;
    item->type = STRUCTURED_DISPLAY;
    while (c->p < c->end && *c->p != '"') {
        if (*c->p < 0x20 || *c->p > 0x7e)
            return false;
        if (*c->p == '%') {
            for (int i = 1; i <= 2; i++)
                if (c->end - c->p <= i ||
                    !(is_digit(c->p[i]) || (c->p[i] >= 'a' && c->p[i] <= 'f')))
                    return false;
            c->p += 2;
        }
        c->p++;
    }
    item->text = (struct slice){start, (size_t)(c->p - start)};
    return take(c, '"');
}

static bool
bare_item(struct cursor *c, struct structured_item *item)
{
    *item = (struct structured_item){.integer = 0};
    if (c->p == c->end)
        return false;
    switch (*c->p) {
    case '"':
        return string(c, item);
    case ':':
        return bytes(c, item);
    case '?':
        return boolean(c, item);
    case '@':
        return date(c, item);
    case '%':
        return display(c, item);
    default:
        if (*c->p == '-' || is_digit(*c->p))
            return number(c, item);
        return (is_alpha(*c->p) || *c->p == '*') && token(c, item);
    }
}

static bool
parameters(struct cursor *c)
{
    while (take(c, ';')) {
        struct slice name;
        struct structured_item value;
        skip_spaces(c);
        if (!key(c, false, &name) || (take(c, '=') && !bare_item(c, &value)))
            return false;
    }
    return true;
}

static bool
inner_list(struct cursor *c, struct structured_item *item)
{
    const char *start = ++c->p;
    while (c->p < c->end) {
        struct structured_item member;
        skip_spaces(c);
        if (at(c, ')')) {
            *item = (struct structured_item){.type = STRUCTURED_INNER_LIST,
                                             .text = {start, (size_t)(c->p - start)}};
            c->p++;
            return parameters(c);
        }
        if (!bare_item(c, &member) || !parameters(c) || (!at(c, ' ') && !at(c, ')')))
            return false;
    }
    return false;
}

static bool
member(struct cursor *c, struct structured_item *item)
{
    return at(c, '(') ? inner_list(c, item) : bare_item(c, item) && parameters(c);
}

/* To the next member. false: the end, or a mistake. */
static bool
next(struct structured_walk *walk, struct cursor *c)
{
    *c = (struct cursor){walk->rest.p, walk->rest.p + walk->rest.n};
    if (walk->failed || !walk->rest.p)
        return false;
    if (!walk->started) {
        walk->started = true;
        skip_spaces(c);
        return c->p < c->end;
    }
    skip_blanks(c);
    if (c->p == c->end)
        return false;
    if (take(c, ',')) {
        skip_blanks(c);
        if (c->p < c->end)
            return true;
    }
    walk->failed = true; /* a comma that nothing follows is a mistake too (§4.2.1) */
    return false;
}

static bool
done(struct structured_walk *walk, const struct cursor *c, bool ok)
{
    walk->rest = (struct slice){c->p, (size_t)(c->end - c->p)};
    walk->failed = !ok;
    return ok;
}

bool
structured_dictionary_next(struct structured_walk *walk, struct slice *name,
                           struct structured_item *item)
{
    struct cursor c;
    if (!next(walk, &c))
        return false;
    if (!key(&c, walk->any_case, name))
        return done(walk, &c, false);
    if (take(&c, '='))
        return done(walk, &c, member(&c, item));
    *item = (struct structured_item){.type = STRUCTURED_BOOLEAN, .integer = 1};
    return done(walk, &c, parameters(&c));
}

bool
structured_dictionary_valid(struct slice text)
{
    struct structured_walk walk = {.rest = text};
    struct slice name;
    struct structured_item item;
    while (structured_dictionary_next(&walk, &name, &item))
        continue;
    return !walk.failed;
}

bool
structured_list_next(struct structured_walk *walk, struct structured_item *item)
{
    struct cursor c;
    return next(walk, &c) && done(walk, &c, member(&c, item));
}
