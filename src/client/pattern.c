/*
 * Patterns and tags that somebody wants purged, looked at before they are carried out.
 *
 * A pattern is for keys. What begins with a slash, a scheme or ^ is what other
 * caches take for URLs: no key of a response begins like that, so going over all
 * keys would find nothing, and "done, 0 deleted" would be the answer. Keys of
 * application values are whatever an application likes; what could be one of
 * them is let through.
 *
 * Called for each item of an order, and by larderctl where there is no pool.
 */
#include <strings.h>

#include "client/store.h"

static bool
begins(struct slice text, const char *with)
{
    size_t n = strlen(with);
    return text.n >= n && strncasecmp(text.p, with, n) == 0;
}

static bool
is_for_urls(struct slice pattern)
{
    static const char *const beginnings[] = {"/", "^", "http://", "https://", "http*://", "*://"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (begins(pattern, beginnings[i]))
            return true;
    return false;
}

const char *
store_tag_name_wrong(struct slice name)
{
    if (name.n == 0)
        return "it is empty";
    if (name.n > STORE_TAG_NAME_MAX)
        return "no tag is so long";
    if (name.p[name.n - 1] == '*')
        return "no patterns of tags, expected the whole name of each, or all";
    return NULL;
}

const char *
store_pattern_wrong(struct slice pattern)
{
    size_t stars = 0;
    bool class = false;
    for (size_t i = 0; i < pattern.n; i++) {
        char c = pattern.p[i];
        if (c == '\\' && ++i == pattern.n)
            return "expected something behind the backslash";
        if (c == '\\')
            continue;
        stars += c == '*';
        class = class ? c != ']' : c == '[';
    }
    if (class)
        return "expected ] behind the [";
    if (stars > STORE_PATTERN_STARS_MAX || pattern.n > STORE_PATTERN_MAX)
        return "expected a Redis glob of at most 256 bytes and 16 stars";
    if (is_for_urls(pattern))
        return "a pattern is for keys, and no response's key has a URL in it: expected urls, "
               "prefixes or tags (keys of your own: larderctl purge-pattern)";
    return NULL;
}
