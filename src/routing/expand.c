/*
 * Names and patterns of a route with what this request puts into them.
 */
#include "larder.h"
#include "routing/path.h"
#include "routing/route.h"

/* Longer than any key: what it would match is not there. */
#define EXPANDED_MAX LARDER_KEY_MAX

struct expansion {
    char *buf;
    size_t n;
    bool too_long;
    bool narrow; /* specials as `?`, one byte, instead of escaped, two */
    bool plain;  /* no pattern: nothing is special */
};

static void
expand_byte(struct expansion *to, char c)
{
    if (to->n == EXPANDED_MAX)
        to->too_long = true;
    else
        to->buf[to->n++] = c;
}

/* One byte of a value, so that it stands for nothing but itself. */
static void
expand_value_byte(struct expansion *to, unsigned char c)
{
    if (to->plain) {
        expand_byte(to, (char)c);
        return;
    }
    bool special = strchr("*?[]^-\\", c) != NULL;
    if (c < 0x20 || c == 0x7f || (special && to->narrow)) {
        expand_byte(to, '?');
        return;
    }
    if (special)
        expand_byte(to, '\\');
    expand_byte(to, (char)c);
}

static void
expand_value(struct expansion *to, struct slice value, bool encoded)
{
    for (size_t i = 0; i < value.n && !to->too_long; i++) {
        int decoded = encoded ? path_encoded_byte(value, i) : -1;
        expand_value_byte(to, (unsigned char)(decoded < 0 ? value.p[i] : decoded));
        i += decoded < 0 ? 0 : 2;
    }
}

static bool
placeholder_value(const struct route_match *match, struct slice name, struct slice user,
                  struct slice *value, bool *encoded)
{
    *encoded = false;
    *value = user;
    if (slice_equal(name, slice_of("user")))
        return user.n > 0;
    *encoded = true;
    for (size_t i = 0; i < match->capture_count; i++) {
        *value = match->captures[i].value;
        if (slice_equal(match->captures[i].name, name))
            return true;
    }
    return false;
}

/* false: a placeholder has no value. */
static bool
expand(struct expansion *to, const struct route_match *match, const char *pattern,
       struct slice user)
{
    to->n = 0;
    to->too_long = false;
    while (*pattern) {
        const char *end = *pattern == '{' ? strchr(pattern, '}') : NULL;
        if (!end) {
            expand_byte(to, *pattern++);
            continue;
        }
        struct slice value;
        bool encoded;
        struct slice name = {pattern + 1, (size_t)(end - pattern - 1)};
        if (!placeholder_value(match, name, user, &value, &encoded))
            return false;
        expand_value(to, value, encoded);
        pattern = end + 1;
    }
    return true;
}

const char *
route_expand(const struct route_match *match, struct arena *arena, const char *pattern,
             struct slice user)
{
    struct expansion to = {.buf = arena_alloc(arena, EXPANDED_MAX + 1)};
    if (!to.buf)
        return "*";
    bool known = expand(&to, match, pattern, user);
    if (known && to.too_long) {
        to.narrow = true;
        known = expand(&to, match, pattern, user);
    }
    if (!known || to.too_long)
        return NULL;
    to.buf[to.n] = '\0';
    return to.buf;
}

struct slice
route_expand_name(const struct route_match *match, struct arena *arena, const char *name,
                  struct slice user)
{
    struct expansion to = {.buf = arena_alloc(arena, EXPANDED_MAX + 1), .plain = true};
    if (!to.buf || !expand(&to, match, name, user) || to.too_long)
        return (struct slice){NULL, 0};
    return (struct slice){to.buf, to.n};
}
