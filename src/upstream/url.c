/*
 * The URL of a backend.
 *
 * No user information, no path, no query: what is asked of the backend comes
 * from the visitor's request and from nowhere else. FastCGI has no port of its
 * own, so that one is to be named.
 *
 * Called by the configuration, which has the line for the message, and by
 * backend.c.
 */
#include "upstream/url.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/shown.h"

/* Letters, digits, dots, hyphens; or an IPv6 address in brackets. Everything that could be user
 * information, a path or a query is neither. */
static bool
host_valid(const char *host, size_t n)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char address[] = "0123456789abcdefABCDEF:.";
    if (n > 2 && host[0] == '[')
        return host[n - 1] == ']' && strspn(host + 1, address) == n - 2;
    return n > 0 && n <= UPSTREAM_HOST_MAX && strspn(host, name) >= n;
}

static bool
port_valid(const char *port, size_t n)
{
    long value = 0;
    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (port[i] < '0' || port[i] > '9')
            return false;
        value = value * 10 + (port[i] - '0');
    }
    return value >= 1 && value <= 65535;
}

/* host[:port][/] */
static bool
parse_authority(const char *text, struct upstream_url *url)
{
    size_t n = strlen(text);
    if (n > 0 && text[n - 1] == '/')
        n--;
    size_t host_n = n;
    const char *colon = memrchr(text, ':', n);
    const char *bracket = memrchr(text, ']', n);
    bool has_port = colon && (!bracket || colon > bracket);
    if (has_port) {
        host_n = (size_t)(colon - text);
        if (!port_valid(colon + 1, n - host_n - 1))
            return false;
    }
    if (!host_valid(text, host_n) || n >= sizeof url->host || (url->fastcgi && !has_port))
        return false;
    memcpy(url->host, text, n);
    url->host[n] = '\0';
    return true;
}

static bool
is_printable(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p == 0x7f)
            return false;
    return true;
}

enum larder_status
upstream_url_parse(const char *text, struct upstream_url *out, struct larder_error *err)
{
    static const struct {
        const char *scheme;
        bool unix_socket, fastcgi, tls;
    } schemes[] = {
        {"http+unix:", true, false, false}, {"fastcgi+unix:", true, true, false},
        {"http://", false, false, false},   {"https://", false, false, true},
        {"fastcgi://", false, true, false},
    };
    const struct sockaddr_un *address = NULL;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; text && i < sizeof schemes / sizeof *schemes; i++) {
        size_t n = strlen(schemes[i].scheme);
        if (strncmp(text, schemes[i].scheme, n) != 0)
            continue;
        out->fastcgi = schemes[i].fastcgi;
        out->tls = schemes[i].tls;
        if (schemes[i].unix_socket) {
            if (text[n] != '/' || !text[n + 1] || !is_printable(text) ||
                strlen(text + n) >= sizeof address->sun_path)
                return error_set(err, LARDER_INVALID,
                                 "\"%.120s\": not an absolute path of at most %zu bytes", text,
                                 sizeof address->sun_path - 1);
            out->unix_path = text + n;
            snprintf(out->host, sizeof out->host, "localhost");
            snprintf(out->name, sizeof out->name, "%s", text);
            return LARDER_OK;
        }
        if (is_printable(text) && parse_authority(text + n, out) &&
            snprintf(out->name, sizeof out->name, "%s%s", schemes[i].scheme, out->host) <
                (int)sizeof out->name)
            return LARDER_OK;
        break;
    }
    char shown[SHOWN_URL_SIZE];
    return error_set(err, LARDER_INVALID, "\"%.60s\" is none of " UPSTREAM_URL_FORMS,
                     text ? shown_url(shown, text, strlen(text)) : "");
}
