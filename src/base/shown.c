/*
 * What may stand in a message of a text that somebody has written.
 *
 * Messages go to logs, to syslog, to terminals that others see, and into reports of
 * faults. A password must not go there with them, least of all where it was written
 * into the wrong place: into a URL, or behind a setting whose name or quotes are wrong.
 *
 * Called by whatever refuses a text and says which.
 */
#include "base/shown.h"

#include <string.h>
#include <strings.h>

/* Where the authority of a URL begins, also where a slash was forgotten; 0 where there is no scheme. */
static size_t
authority_of(const char *text, size_t n)
{
    const char *mark = memmem(text, n, ":/", 2);
    size_t begin = mark ? (size_t)(mark - text) + 2 : 0;
    return begin && begin < n && text[begin] == '/' ? begin + 1 : begin;
}

/* The last @, in either spelling; NULL: there is none. */
static const char *
last_at(const char *text, size_t n)
{
    for (size_t i = n; i > 0; i--)
        if (text[i - 1] == '@' || (n - i >= 2 && memcmp(text + i - 1, "%40", 3) == 0))
            return text + i - 1;
    return NULL;
}

/* A password with a slash in it does not end where a URL's authority does. What stands there is then
 * no port. */
static bool
has_port_or_none(const char *authority, size_t n)
{
    const char *colon = memrchr(authority, ':', n);
    if (!colon || (n && authority[n - 1] == ']'))
        return true;
    for (const char *p = colon + 1; p < authority + n; p++)
        if (*p < '0' || *p > '9')
            return false;
    return true;
}

/* As much of it as there is room for, without what would end the text or the line. */
static size_t
add(char buf[SHOWN_URL_SIZE], size_t len, const char *text, size_t n)
{
    for (size_t i = 0; i < n && len < SHOWN_URL_SIZE - 1; i++)
        buf[len++] = (unsigned char)text[i] < 0x20 ? '?' : text[i];
    buf[len] = '\0';
    return len;
}

const char *
shown_url(char buf[SHOWN_URL_SIZE], const char *text, size_t n)
{
    size_t begin = authority_of(text, n), end = begin;
    while (end < n && !strchr("/?#", text[end]))
        end++;
    const char *at = last_at(text + begin, end - begin);
    bool odd = !at && begin > 0 && !has_port_or_none(text + begin, end - begin);
    if (odd)
        at = last_at(text + begin, n - begin);
    size_t rest = at ? (size_t)(at - text) : odd ? n : begin;
    /* What is no port may be a password whose @ was forgotten. */
    if (odd && !at)
        begin = (size_t)((const char *)memchr(text + begin, ':', end - begin) - text) + 1;
    size_t len = add(buf, 0, text, begin);
    len = add(buf, len, "...", at || odd ? 3 : 0);
    add(buf, len, text + rest, n - rest);
    return buf;
}

static bool
begins(const char *name, size_t n, const char *with)
{
    return n >= strlen(with) && strncasecmp(name, with, strlen(with)) == 0;
}

static bool
ends(const char *name, size_t n, const char *with)
{
    size_t m = strlen(with);
    return n >= m && strncasecmp(name + n - m, with, m) == 0;
}

bool
shown_is_secret(const char *name, size_t n)
{
    static const char *const beginnings[] = {"pas", "pw", "tok", "secr", "auth"};
    static const char *const endings[] = {"word", "wd", "oken", "secret"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (begins(name, n, beginnings[i]))
            return true;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends(name, n, endings[i]))
            return true;
    return false;
}
