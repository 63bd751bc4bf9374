/*
 * Parameters of CGI: of those that come twice, which value counts.
 *
 * The web servers send a parameter again where their configuration sets it again
 * (each was looked at, and so were the backends):
 *
 *   nginx     a fastcgi_param each time, in the order of the configuration, so before or
 *             behind those of the snippet's. A field of the request comes last; one
 *             that has the name of a fastcgi_param HTTP_... does not come at all
 *   lighttpd  its own, then the fields, then setenv.add-environment
 *   Apache    each name once, mod_proxy_fcgi and mod_fcgid alike: of its own and SetEnv's
 *             value its own, of two SetEnv's the last
 *
 * PHP-FPM, php-cgi and uwsgi take the last value, and so does whatever keeps parameters
 * in a hash; libfcgi alone takes the first (FCGX_GetParam()). So the last counts, in the
 * key, in routes and in what the backend gets, which is each parameter once: a web
 * server's `fastcgi_param SCRIPT_FILENAME ...` behind the include of a snippet does what
 * it does without Larder. No field of a client is such a parameter, whatever it is
 * called: they all have HTTP_ before their names.
 *
 * Where a parameter says something of the client, a second value must not make it less
 * than the first has said:
 *
 *   REMOTE_USER, AUTH_TYPE, those two and Authorization with REDIRECT_ before them
 *             one that is not empty counts: a request that names a user anywhere is that
 *             user's. The backend gets the last.
 *   SSL_CLIENT_VERIFY, REDIRECT_STATUS
 *             the same for "NONE" and "200": a certificate was shown, an error's page is
 *             asked for. The stock fastcgi.conf of nginx has a REDIRECT_STATUS 200, and a
 *             location may have to say an error's beside the snippet's (error_page 403 =
 *             @name).
 *   REMOTE_ADDR
 *             the last, for the backend. It is often made of a field ($http_x_real_ip),
 *             which a client may write: where the values differ neither is one of
 *             trusted_proxies, and neither is let in by admin.allow.
 *   SERVER_SOFTWARE
 *             which web server this is decides how many spellings a client has for a
 *             field. Where two known ones are named neither is believed, and the
 *             strictest rules hold (MOUNT_OTHER).
 *   CONTENT_LENGTH
 *             the last. nginx' own way to keep a body back is an empty one behind the
 *             first. It frames nothing: the body ends with FastCGI's records, and another
 *             length is refused (request_body.c).
 *   HTTP_HOST
 *             a field, see request.c.
 *
 * Called by request_parse(). No I/O.
 */
#include "responder/cgi.h"

#include <stddef.h>
#include <string.h>

#include "responder/settings.h"

struct row {
    const char *name;
    size_t n;
    size_t offset;
    /* Empty or this, it takes the place of no other value; NULL: the last value counts. */
    const char *harmless;
};

/* NULL: it means nothing to us. */
static const struct row *
row_of(struct slice name)
{
#define LAST(text, member)                                           \
    {                                                                \
        (text), sizeof(text) - 1, offsetof(struct cgi, member), NULL \
    }
#define CAREFUL(text, member, harmless)                                    \
    {                                                                      \
        (text), sizeof(text) - 1, offsetof(struct cgi, member), (harmless) \
    }
    static const struct row rows[] = {
        LAST("REQUEST_METHOD", request_method),
        LAST("REQUEST_URI", request_uri),
        LAST("SCRIPT_NAME", script_name),
        LAST("PATH_INFO", path_info),
        LAST("QUERY_STRING", query_string),
        LAST("HTTPS", https),
        LAST("REQUEST_SCHEME", request_scheme),
        LAST("SERVER_NAME", server_name),
        LAST("SERVER_ADDR", server_addr),
        LAST("SERVER_PORT", server_port),
        LAST("SERVER_SOFTWARE", server_software),
        LAST("SERVER_PROTOCOL", server_protocol),
        LAST("REMOTE_ADDR", remote_addr),
        LAST("CONTENT_LENGTH", content_length),
        LAST("CONTENT_TYPE", content_type),
        LAST("SCRIPT_FILENAME", script_filename),
        LAST("DOCUMENT_ROOT", document_root),
        LAST("DOCUMENT_URI", document_uri),
        LAST("PATH_TRANSLATED", path_translated),
        LAST("REDIRECT_URL", redirect_url),
        CAREFUL("REMOTE_USER", remote_user, ""),
        CAREFUL("AUTH_TYPE", auth_type, ""),
        CAREFUL("REDIRECT_REMOTE_USER", redirect_user, ""),
        CAREFUL("REDIRECT_AUTH_TYPE", redirect_auth_type, ""),
        CAREFUL("REDIRECT_HTTP_AUTHORIZATION", redirect_authorization, ""),
        CAREFUL("Authorization", authorization, ""),
        CAREFUL("SSL_CLIENT_VERIFY", ssl_client_verify, "NONE"),
        CAREFUL("REDIRECT_STATUS", redirect_status, "200"),
    };
#undef LAST
#undef CAREFUL
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].n == name.n && memcmp(rows[i].name, name.p, name.n) == 0)
            return &rows[i];
    return NULL;
}

static bool
is_field(struct slice name)
{
    return name.n > 5 && memcmp(name.p, "HTTP_", 5) == 0;
}

void
cgi_read(struct cgi *cgi, char **envp)
{
    for (char **e = envp; *e; e++) {
        const char *equals = strchr(*e, '=');
        struct slice name = {*e, equals ? (size_t)(equals - *e) : 0};
        const struct row *row = is_field(name) ? NULL : row_of(name);
        if (!equals)
            continue;
        struct slice value = slice_of(equals + 1);
        if (!row) {
            cgi->claims |= value.n > 0 && settings_is_claim(name);
            continue;
        }
        struct slice *slot = (struct slice *)((char *)cgi + row->offset);
        bool again = slot->p && !slice_equal(*slot, value);
        if (again && slot == &cgi->remote_addr)
            cgi->address_in_doubt = true;
        if (again && slot == &cgi->server_software && !cgi->first_software.p)
            cgi->first_software = *slot;
        if (!again || !row->harmless || (value.n && !slice_equal(value, slice_of(row->harmless))))
            *slot = value;
    }
}

/* ------------------------------------------------------------------- mounts */

static enum mount
mount_named(const struct cgi *cgi, struct slice software)
{
    static const struct slice lighttpd = {"lighttpd", 8}, nginx = {"nginx", 5},
                              apache = {"Apache", 6}, proxy = {"proxy:", 6};
#define STARTS(text, with) ((text).n >= (with).n && memcmp((text).p, (with).p, (with).n) == 0)
    if (!software.p)
        return MOUNT_OTHER;
    if (STARTS(software, lighttpd))
        return MOUNT_LIGHTTPD;
    if (STARTS(software, nginx))
        return MOUNT_NGINX;
    if (!STARTS(software, apache))
        return MOUNT_OTHER;
    /* mod_fcgid names the program that it runs; mod_proxy_fcgi a URL, or with the backend type
     * GENERIC the path that was asked for. */
    bool is_proxy = cgi->script_filename.p && (STARTS(cgi->script_filename, proxy) ||
                                               slice_equal(cgi->script_filename, cgi->script_name));
    return is_proxy ? MOUNT_APACHE_PROXY_FCGI : MOUNT_APACHE_FCGID;
#undef STARTS
}

enum mount
cgi_mount(const struct cgi *cgi)
{
    enum mount last = mount_named(cgi, cgi->server_software);
    enum mount first = mount_named(cgi, cgi->first_software);
    if (first == MOUNT_OTHER || first == last)
        return last;
    /* "nginx" hidden behind a name that means nothing is nginx still. */
    return last == MOUNT_OTHER ? first : MOUNT_OTHER;
}

bool
cgi_https(const struct cgi *cgi)
{
    struct slice value = cgi->https;
    return (value.n && !slice_equal_nocase(value, "off") && !slice_equal(value, slice_of("0"))) ||
           slice_equal_nocase(cgi->request_scheme, "https");
}

struct slice
cgi_server(const struct cgi *cgi, struct arena *arena)
{
    struct slice name = cgi->server_name.n ? cgi->server_name : cgi->server_addr;
    if (name.n == 0)
        return (struct slice){NULL, 0};
    bool is_ipv6 = name.p[0] != '[' && memchr(name.p, ':', name.n);
    return slice_of(arena_printf(arena, "%s%s%s%s%s", is_ipv6 ? "[" : "", name.p,
                                 is_ipv6 ? "]" : "", cgi->server_port.n ? ":" : "",
                                 cgi->server_port.n ? cgi->server_port.p : ""));
}

/* --------------------------------------------------------------- the backend's */

/* Of the connection, or said twice: no fields of the request, and a CGI script sees them. */
static bool
is_only_parameter(struct slice name)
{
    static const char *const names[] = {
        "HTTP_CONTENT_LENGTH",
        "HTTP_CONTENT_TYPE",
        "HTTP_CONNECTION",
        "HTTP_KEEP_ALIVE",
        "HTTP_TE",
        "HTTP_TRAILER",
        "HTTP_UPGRADE",
        "HTTP_PROXY_CONNECTION",
        "HTTP_TRANSFER_ENCODING",
    };
    if (!is_field(name))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_equal(name, slice_of(names[i])))
            return true;
    return false;
}

/* Only what the web server's configuration has comes twice, so what is compared is short. */
static struct upstream_parameter *
kept_before(const struct request *request, struct slice name)
{
    for (size_t i = 0; i < request->parameter_count; i++)
        if (slice_equal(request->parameters[i].name, name))
            return &request->parameters[i];
    return NULL;
}

int
cgi_keep(struct request *request, char **envp, struct arena *arena, const char **why)
{
    size_t count = 0, bytes = 0;
    for (char **e = envp; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (!equals || !is_only_parameter((struct slice){*e, (size_t)(equals - *e)}))
            continue;
        count++;
        bytes += strlen(*e);
    }
    if (count > REQUEST_PARAMETERS_MAX || bytes > REQUEST_PARAMETERS_BYTES_MAX) {
        *why = "the parameters are too many or too large";
        return 431;
    }
    request->parameters = arena_calloc(arena, count ? count : 1, sizeof *request->parameters);
    if (!request->parameters) {
        *why = "out of memory";
        return 500;
    }
    for (char **e = envp; *e; e++) {
        const char *equals = strchr(*e, '=');
        struct slice name = {*e, equals ? (size_t)(equals - *e) : 0};
        if (!equals || !is_only_parameter(name))
            continue;
        struct upstream_parameter *one = kept_before(request, name);
        if (!one)
            one = &request->parameters[request->parameter_count++];
        *one = (struct upstream_parameter){name, slice_of(equals + 1)};
    }
    return 0;
}
