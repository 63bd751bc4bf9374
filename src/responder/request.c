/*
 * From FastCGI parameters to a request.
 *
 * What each mount does on the way, and what is done about it here:
 *
 *   all       fields arrive as HTTP_FOO_BAR: turned back to Foo-Bar. HTTP_PROXY
 *             (httpoxy), HTTP_CONTENT_LENGTH and HTTP_CONTENT_TYPE are dropped;
 *             CONTENT_LENGTH and CONTENT_TYPE count
 *   lighttpd  REQUEST_URI is raw, SCRIPT_NAME and PATH_INFO are normalised:
 *             REQUEST_URI counts. X-Name, X_Name and X.Name are one parameter,
 *             which then comes more than once: refused
 *   Apache    REQUEST_URI can be absolute-form: cut to origin-form, and refused
 *             unless Host names the same. Authorization comes under three names,
 *             empty where nobody sent it. A user who was found before an internal
 *             redirect comes as REDIRECT_REMOTE_USER
 *   mod_fcgid a chunked body comes without CONTENT_LENGTH: length unknown
 *
 * Of parameters that come twice the last counts (cgi.c says of which it is otherwise, and
 * why). Of fields nginx alone sends a name more than once: they are lines of one list
 * (RFC 9110 §5.3). Host is none. A client's second one is refused by nginx and lighttpd,
 * so what comes twice from them is the configuration's, and the last counts; from a web
 * server that is not known two that differ are refused.
 */
#include "responder/request.h"

#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "http/cache_control.h"
#include "responder/cgi.h"
#include "responder/rewriting.h"
#include "responder/settings.h"

static const struct slice absent = {NULL, 0};

/* FOO_BAR to Foo-Bar, in the arena. */
static struct slice
field_name(struct arena *arena, struct slice cgi)
{
    char *name = arena_strndup(arena, cgi.p, cgi.n);
    if (!name)
        return absent;
    bool start = true;
    for (size_t i = 0; i < cgi.n; i++) {
        char c = name[i];
        if (c == '_')
            c = '-';
        else if (!start && c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        start = c == '-';
        name[i] = c;
    }
    return (struct slice){name, cgi.n};
}

static bool
is_set(struct slice s)
{
    return s.p && s.n > 0;
}

/* Without REQUEST_URI: what is left of the target, encoded again. */
static struct slice
rebuild_target(const struct cgi *p, struct arena *arena)
{
    struct slice path = p->script_name;
    if (is_set(p->path_info))
        path = slice_of(arena_printf(arena, "%s%s", path.p ? path.p : "", p->path_info.p));
    return rewriting_target(path, p->query_string, arena);
}

/* "http://host:port/path?q" to "/path?q"; *authority gets the host if there was one. A URL of another
 * scheme is no target (target_valid). */
static struct slice
origin_form(struct slice target, struct slice *authority)
{
    size_t scheme = 0;
    if (target.n > 7 && strncasecmp(target.p, "http://", 7) == 0)
        scheme = 7;
    else if (target.n > 8 && strncasecmp(target.p, "https://", 8) == 0)
        scheme = 8;
    if (!scheme)
        return target;
    const char *start = target.p + scheme, *end = target.p + target.n, *p = start;
    while (p < end && *p != '/' && *p != '?')
        p++;
    *authority = (struct slice){start, (size_t)(p - start)};
    if (p == end)
        return slice_of("/");
    return (struct slice){p, (size_t)(end - p)};
}

static bool
target_valid(struct slice method, struct slice target)
{
    if (target.n == 0)
        return false;
    if (target.p[0] != '/' &&
        !(target.n == 1 && target.p[0] == '*' && slice_equal(method, slice_of("OPTIONS"))))
        return false;
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        /* A fragment never travels; a raw blank or control character would split the line. */
        if (c <= 0x20 || c == 0x7f || c == '#')
            return false;
    }
    return true;
}

/* RFC 3986 §3.2.2, generously: no blanks, no separators of the target, no userinfo. */
bool
request_host_valid(struct slice host)
{
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("/?#@\\\"<>^`{|}", c))
            return false;
    }
    return host.n > 0 && host.n <= 255 + 6;
}

/* The name alone: without the port, and without the dot of the root. */
static struct slice
host_name(struct slice host)
{
    bool literal = host.n && host.p[0] == '[';
    const char *colon = memchr(host.p, ':', literal ? 0 : host.n);
    const char *bracket = literal ? memchr(host.p, ']', host.n) : NULL;
    if (colon)
        host.n = (size_t)(colon - host.p);
    else if (bracket)
        host.n = (size_t)(bracket + 1 - host.p);
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

/*
 * Does the Host field name the host that a whole URL in the request line names?
 * A web server that has chosen the site by the request line makes Host the same
 * (RFC 9112 §3.2.2). Apache leaves Host as it came where the URL's scheme is not
 * the connection's ("https://..." without TLS), and has chosen by Host then. So
 * where the two differ nobody can tell whose page the answer would be.
 */
static bool
host_agrees(struct slice authority, struct slice host)
{
    if (!is_set(host))
        return false;
    authority = host_name(authority);
    host = host_name(host);
    return host.n == authority.n && strncasecmp(host.p, authority.p, host.n) == 0;
}

static const char too_large[] = "the request fields are too many or too large";

static int
read_fields(struct request *request, char **envp, struct arena *arena, const char **why)
{
    for (char **e = envp; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (!equals)
            continue;
        struct slice name = {*e, (size_t)(equals - *e)};
        if (name.n <= 5 || memcmp(name.p, "HTTP_", 5) != 0)
            continue;
        name.p += 5;
        name.n -= 5;
        if (slice_equal(name, slice_of("PROXY")) || slice_equal(name, slice_of("CONTENT_LENGTH")) ||
            slice_equal(name, slice_of("CONTENT_TYPE")))
            continue;
        name = field_name(arena, name);
        if (!name.p || !fields_add(&request->fields, arena, name, slice_of(equals + 1))) {
            bool well_formed = name.p && field_name_valid(name) &&
                               field_value_valid(slice_of(equals + 1));
            *why = well_formed ? too_large : "a request field is malformed";
            return well_formed ? 431 : 400;
        }
    }
    /* What a proxy adds must fit as well. */
    if (request->fields.count > REQUEST_FIELDS_MAX ||
        request->fields.bytes > REQUEST_FIELDS_BYTES_MAX) {
        *why = too_large;
        return 431;
    }
    return 0;
}

/* mod_rewrite's [P] puts the query behind the name, and PHP takes it off again. */
static struct slice
without_query(struct slice filename)
{
    static const char proxy[] = "proxy:";
    const char *mark = filename.n ? memchr(filename.p, '?', filename.n) : NULL;
    if (mark && filename.n >= sizeof proxy && memcmp(filename.p, proxy, sizeof proxy - 1) == 0)
        filename.n = (size_t)(mark - filename.p);
    return filename;
}

static struct chosen_script
chosen_script(const struct cgi *p)
{
    return (struct chosen_script){.document_root = p->document_root,
                                  .filename = without_query(p->script_filename),
                                  .name = p->script_name,
                                  .path_info = p->path_info,
                                  .path_translated = p->path_translated,
                                  .redirect_url = p->redirect_url,
                                  .port = p->server_port,
                                  .query = p->query_string};
}

/* Authorization under whatever name it survived Apache. */
static void
restore_authorization(struct request *request, const struct cgi *p, struct arena *arena)
{
    struct slice value = is_set(p->redirect_authorization) ? p->redirect_authorization
                                                           : p->authorization;
    if (!is_set(value) || fields_has_value(&request->fields, "Authorization"))
        return;
    if (!fields_set(&request->fields, arena, slice_of("Authorization"), value))
        request->authenticated = true; /* cannot be repeated, but it was there: pass */
    request->authorization_found = true;
}

static int
read_body_length(struct request *request, const struct cgi *p, const char **why)
{
    struct slice coding = fields_get(&request->fields, "Transfer-Encoding");
    request->body_told = is_set(p->content_length) || coding.p;
    if (is_set(p->content_length)) {
        if (!number_parse(p->content_length, &request->content_length)) {
            *why = "CONTENT_LENGTH is not a number";
            return 400;
        }
        request->has_body = request->content_length > 0;
    } else if (coding.p) {
        request->content_length = -1;
        request->has_body = true;
    }
    return 0;
}

/*
 * Apache and nginx drop a field whose name has anything but letters, digits and
 * '-'. lighttpd makes a '_' of each such character, so that a client can write a
 * '-' in 14 other ways. A server that does not say what it is may be lighttpd
 * with a server.tag of its own.
 */
static bool
has_one_spelling(enum mount mount, struct slice name)
{
    return mount == MOUNT_NGINX || mount == MOUNT_APACHE_PROXY_FCGI ||
           mount == MOUNT_APACHE_FCGID || !memchr(name.p, '-', name.n);
}

/* *why in words of the moment. */
static const char *
in_words(const char *text)
{
    return text ? text : "out of memory";
}

static size_t
times(const struct fields *fields, struct slice name)
{
    size_t n = 0;
    for (size_t i = 0; i < fields->count; i++)
        if (fields->list[i].name.n == name.n &&
            strncasecmp(fields->list[i].name.p, name.p, name.n) == 0)
            n++;
    return n;
}

/*
 * lighttpd and Apache join the lines of a field. What comes twice from lighttpd
 * has been written in two ways, and which of the two the proxy in front or the
 * operator meant nobody can tell.
 */
static int
check_repeats(const struct request *request, struct arena *arena, const char **why)
{
    if (request->mount == MOUNT_NGINX)
        return 0;
    for (size_t i = 0; i < request->fields.count; i++) {
        struct slice name = request->fields.list[i].name;
        if (times(&request->fields, name) < 2)
            continue;
        *why = in_words(arena_printf(
            arena,
            "%.*s came twice, once with another character for a '-': the web server takes them for "
            "one field%s",
            (int)name.n, name.p,
            request->mount == MOUNT_OTHER
                ? " (or it is nginx, which repeats fields, and does not send SERVER_SOFTWARE)"
                : ""));
        return 400;
    }
    return 0;
}

/* Nor may a client take a field away by calling it a matter of the connection. */
static int
check_not_taken_away(const struct request *request, struct slice name, struct arena *arena,
                     const char **why)
{
    if (!fields_list_has(&request->fields, "Connection", name))
        return 0;
    *why = in_words(arena_printf(arena, "Connection lists %.*s, which a proxy has set for us",
                                 (int)name.n, name.p));
    return 400;
}

/* What somebody in front vouches for is as it was sent from there, or the request is refused. */
static int
check_vouched_fields(const struct request *request, const struct config *config,
                     struct arena *arena, const char **why)
{
    static const char *const forwarded[] = {"X-Forwarded-For", "X-Forwarded-Proto",
                                            "X-Forwarded-Host"};
    int status = 0;
    for (size_t i = 0; !status && request->trusted_peer && i < 3; i++)
        status = check_not_taken_away(request, slice_of(forwarded[i]), arena, why);
    for (size_t i = 0; !status && i < config->trusted_fields.count; i++) {
        struct slice name = slice_of(config->trusted_fields.list[i]);
        size_t n = times(&request->fields, name);
        status = check_not_taken_away(request, name, arena, why);
        if (!status && n > 1) {
            *why = "a field that the web server vouches for came twice";
            status = 400;
        } else if (!status && n && !has_one_spelling(request->mount, name)) {
            *why = in_words(arena_printf(
                arena,
                "upstream.trusted_fields: %.*s cannot be trusted behind %s, where a client may "
                "write it with a '_': set and trust a field whose name has no '-' in it",
                (int)name.n, name.p,
                request->mount == MOUNT_LIGHTTPD
                    ? "lighttpd"
                    : "a web server whose SERVER_SOFTWARE is neither Apache nor nginx"));
            status = 500;
        }
    }
    return status;
}

/* Does a field that the web server sets name somebody? That is a user as REMOTE_USER is one. */
static bool
is_vouched_for(const struct request *request, const struct config *config)
{
    for (size_t i = 0; i < config->trusted_fields.count; i++)
        if (is_set(fields_get(&request->fields, config->trusted_fields.list[i])))
            return true;
    return false;
}

/* The first member of a comma-separated list. */
static struct slice
first_member(struct slice list)
{
    if (!list.p)
        return absent;
    const char *comma = memchr(list.p, ',', list.n);
    if (comma)
        list.n = (size_t)(comma - list.p);
    while (list.n && (list.p[list.n - 1] == ' ' || list.p[list.n - 1] == '\t'))
        list.n--;
    return list;
}

static void
forwarded(struct request *request)
{
    request->scheme = slice_of(request->https ? "https" : "http");
    if (!request->trusted_peer)
        return;
    struct slice proto = first_member(fields_get(&request->fields, "X-Forwarded-Proto"));
    if (slice_equal_nocase(proto, "https"))
        request->scheme = slice_of("https");
    else if (slice_equal_nocase(proto, "http"))
        request->scheme = slice_of("http");
    struct slice host = first_member(fields_get(&request->fields, "X-Forwarded-Host"));
    if (is_set(host) && request_host_valid(host))
        request->forwarded_host = host;
}

/* The last Host, which only the web server's configuration can have made a second one. */
static bool
find_host(struct request *request, const char **why)
{
    size_t cursor = 0;
    const struct field *host;
    while ((host = fields_next(&request->fields, "Host", &cursor))) {
        bool differs = request->host_field.p && !slice_equal(request->host_field, host->value);
        if (differs && request->mount != MOUNT_NGINX && request->mount != MOUNT_LIGHTTPD) {
            *why = "HTTP_HOST came twice with different values, and SERVER_SOFTWARE does not say "
                   "that nginx or lighttpd has sent it";
            return false;
        }
        request->host_field = host->value;
    }
    return true;
}

/* Once a process, where anything goes by the address. */
static void
say_address_in_doubt(const struct config *config)
{
    static atomic_bool said;
    if ((config->trusted_proxies.count || config->admin_allow.count) &&
        !atomic_exchange(&said, true))
        log_write(
            LARDER_LOG_WARNING,
            "REMOTE_ADDR came twice with different values: such requests are taken for none of "
            "trusted_proxies, and admin.allow lets none of them in. Have the web server find "
            "the client's address (nginx' real_ip_header, lighttpd's mod_extforward) instead "
            "of setting REMOTE_ADDR again");
}

int
request_parse(struct request *request, char **envp, const struct config *config,
              struct arena *arena, const char **why)
{
    struct cgi p = {0};
    *request =
        (struct request){.remote_user = absent, .forwarded_host = absent, .host_field = absent};
    int status = read_fields(request, envp, arena, why);
    if (status == 0 && config->fastcgi)
        status = cgi_keep(request, envp, arena, why);
    if (status)
        return status;
    cgi_read(&p, envp);
    if (config->fastcgi)
        request->script = chosen_script(&p);
    request->mount = cgi_mount(&p);
    request->http11 = slice_equal(p.server_protocol, slice_of("HTTP/1.1"));
    request->method = p.request_method;
    if (!field_name_valid(p.request_method) || p.request_method.n > 64) {
        *why = "REQUEST_METHOD is not a token";
        return 400;
    }
    struct slice authority = absent;
    request->target =
        origin_form(is_set(p.request_uri) ? p.request_uri : rebuild_target(&p, arena), &authority);
    if (request->target.n > REQUEST_TARGET_MAX) {
        *why = "the request target is too long";
        return 414;
    }
    if (!target_valid(request->method, request->target)) {
        *why =
            "the request target has a blank, a control character or a fragment, or is not a path";
        return 400;
    }
    const char *query = memchr(request->target.p, '?', request->target.n);
    request->path = request->target;
    if (query)
        request->path.n = (size_t)(query - request->target.p);

    request->https = cgi_https(&p);
    if (!find_host(request, why))
        return 400;
    if (authority.p && !host_agrees(authority, request->host_field)) {
        *why = "the request line names another host than the Host field";
        return 400;
    }
    request->host = request->host_field;
    if (!is_set(request->host))
        request->host = cgi_server(&p, arena);
    if (!is_set(request->host) || !request_host_valid(request->host)) {
        *why = "the host name is missing or malformed";
        return 400;
    }
    fields_remove(&request->fields, "Host");

    request->remote_addr = is_set(p.remote_addr) ? p.remote_addr : slice_of("");
    if (is_set(p.remote_user))
        request->remote_user = p.remote_user;
    request->authenticated = is_set(p.remote_user) || is_set(p.auth_type) ||
                             is_set(p.redirect_user) || is_set(p.redirect_auth_type) || p.claims ||
                             is_vouched_for(request, config);
    request->error_page = is_set(p.redirect_status) &&
                          !slice_equal(p.redirect_status, slice_of("200"));
    const struct told_url told = {p.document_uri, p.script_name, p.path_info, p.query_string};
    status = config->fastcgi ? 0 : rewriting_find(request, &told, config, arena, why);
    if (status)
        return status;
    if (request->asked.p && request->asked.p[0] != '/') {
        *why =
            "the web server has rewritten the URL to one that does not begin with a slash: write "
            "\"/\" before the target of its rewriting rule";
        return 500;
    }
    if (!config->fastcgi && rewriting_has_dots(request_asked(request))) {
        *why = "the path has dot segments (\".\" or \"..\", perhaps percent-encoded), and what the "
               "web server has read them as is not known: ask for the path without them";
        return 400;
    }
    if (request_asked(request).n > REQUEST_TARGET_MAX) {
        *why = "what the web server has made of the request target is too long";
        return 414;
    }
    /* Its URL is that of what was refused, and a backend that speaks HTTP knows nothing else. */
    if (request->error_page && !config->fastcgi && !request->asked.p) {
        *why = "the web server asks for the page of an error of its own by the URL that it has "
               "refused, which a backend that speaks HTTP would take for the page itself: name "
               "another URL or a file of the web server's (error_page, ErrorDocument, "
               "server.error-handler), not a named location";
        return 403;
    }
    request->client_certificate = is_set(p.ssl_client_verify) &&
                                  !slice_equal(p.ssl_client_verify, slice_of("NONE"));
    if (config->fastcgi && !settings_hash(&request->script.settings, request, config, arena)) {
        *why = "out of memory";
        return 500;
    }
    restore_authorization(request, &p, arena);
    status = read_body_length(request, &p, why);
    if (status)
        return status;
    char *address = arena_strndup(arena, request->remote_addr.p, request->remote_addr.n);
    request->address_in_doubt = p.address_in_doubt;
    if (p.address_in_doubt)
        say_address_in_doubt(config);
    request->trusted_peer = address && !p.address_in_doubt &&
                            config_address_trusted(config, address);
    status = check_repeats(request, arena, why);
    if (!status)
        status = check_vouched_fields(request, config, arena, why);
    if (status)
        return status;
    fields_remove_hop_by_hop(&request->fields);
    if (is_set(p.content_type) &&
        !fields_add(&request->fields, arena, slice_of("Content-Type"), p.content_type)) {
        *why = "CONTENT_TYPE is malformed";
        return 400;
    }
    forwarded(request);
    return 0;
}

bool
request_own(struct request *request, struct arena *arena)
{
    struct request own = *request;
    struct chosen_script *script = &own.script;
    enum { COUNT = 19 };
    struct slice *const slices[COUNT] = {&own.method,
                                         &own.target,
                                         &own.asked,
                                         &own.path,
                                         &own.host,
                                         &own.remote_addr,
                                         &own.remote_user,
                                         &own.host_field,
                                         &own.scheme,
                                         &own.forwarded_host,
                                         &script->document_root,
                                         &script->filename,
                                         &script->name,
                                         &script->path_info,
                                         &script->path_translated,
                                         &script->redirect_url,
                                         &script->port,
                                         &script->settings,
                                         &script->query};
    for (size_t i = 0; i < COUNT; i++)
        if (slices[i]->p && !(slices[i]->p = arena_strndup(arena, slices[i]->p, slices[i]->n)))
            return false;
    if (request->parameters) {
        own.parameters = arena_calloc(arena, request->parameter_count + 1, sizeof *own.parameters);
        if (!own.parameters)
            return false;
    }
    for (size_t i = 0; i < request->parameter_count; i++) {
        struct slice name = request->parameters[i].name, value = request->parameters[i].value;
        name.p = arena_strndup(arena, name.p, name.n);
        value.p = arena_strndup(arena, value.p, value.n);
        if (!name.p || !value.p)
            return false;
        own.parameters[i] = (struct upstream_parameter){name, value};
    }
    own.fields = (struct fields){0};
    for (size_t i = 0; i < request->fields.count; i++) {
        struct slice name = request->fields.list[i].name, value = request->fields.list[i].value;
        name.p = arena_strndup(arena, name.p, name.n);
        value.p = arena_strndup(arena, value.p, value.n);
        if (!name.p || !value.p || !fields_add(&own.fields, arena, name, value))
            return false;
    }
    *request = own;
    return true;
}
