/*
 * A question becomes the parameters that a web server would send, so that it is
 * parsed, and refused, like any other request.
 */
#include "responder/explain_request.h"

#include <ctype.h>
#include <string.h>

#include "routing/path.h"
#include "responder/rewriting.h"

#define PARAMETERS_MAX (REQUEST_FIELDS_MAX + 16)

struct parameters {
    struct arena *arena;
    size_t envc;
    char *envp[PARAMETERS_MAX + 1];
};

static void
parameter(struct parameters *e, const char *name, const char *value)
{
    char *text = arena_printf(e->arena, "%s=%s", name, value);
    if (text && e->envc < PARAMETERS_MAX)
        e->envp[e->envc++] = text;
}

static const char *
member(json_object *object, const char *name, const char *otherwise)
{
    json_object *value;
    return json_object_object_get_ex(object, name, &value) &&
                   json_object_is_type(value, json_type_string)
               ? json_object_get_string(value)
               : otherwise;
}

/* "Accept-Encoding: gzip" as a web server hands it on. Of a name that comes twice the values are
 * joined, as lighttpd and Apache do. */
static bool
field_parameter(struct parameters *e, const char *line)
{
    struct arena *arena = e->arena;
    const char *colon = strchr(line, ':');
    struct slice name = {line, colon ? (size_t)(colon - line) : 0};
    if (!colon || !field_name_valid(name))
        return false;
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    char *variable = arena_printf(arena, "HTTP_%.*s", (int)name.n, name.p);
    if (!variable)
        return false;
    size_t n = strlen(variable);
    for (size_t i = 5; i < n; i++)
        variable[i] = variable[i] == '-' ? '_' : (char)toupper((unsigned char)variable[i]);
    for (size_t i = 0; i < e->envc; i++)
        if (strncmp(e->envp[i], variable, n) == 0 && e->envp[i][n] == '=') {
            const char *between = strcmp(variable, "HTTP_COOKIE") == 0 ? "; " : ", ";
            char *joined = arena_printf(arena, "%s%s%s", e->envp[i], between, value);
            if (joined)
                e->envp[i] = joined;
            return joined != NULL;
        }
    parameter(e, variable, value);
    return true;
}

/* The URL as it came. The web server would resolve its dot segments, and how is not known. */
static const char *
unchanged_parameters(struct parameters *e, const char *target)
{
    const char *path = arena_strndup(e->arena, target, strcspn(target, "?"));
    if (!path)
        return "no memory";
    if (rewriting_has_dots(slice_of(target)))
        return "the path has dot segments (\".\" or \"..\"), which the web server resolves: ask "
               "for "
               "the path without them";
    parameter(e, "DOCUMENT_URI", path);
    return NULL;
}

/* As nginx tells it: the path decoded. */
static const char *
rewritten_parameters(struct parameters *e, const char *target, bool fastcgi)
{
    size_t length = strcspn(target, "?"), n = 0;
    char *path = arena_alloc(e->arena, length + 1);
    if (fastcgi)
        return "--rewritten is for a backend that speaks HTTP; a FastCGI backend's script is found "
               "by "
               "itself";
    if (*target != '/')
        return "--rewritten is a path and a query: it begins with a slash";
    if (!path)
        return "no memory";
    for (size_t i = 0; i < length; i++) {
        int byte = path_encoded_byte((struct slice){target, length}, i);
        path[n++] = byte < 0 ? target[i] : (char)byte;
        i += byte < 0 ? 0 : 2;
    }
    path[n] = '\0';
    parameter(e, "DOCUMENT_URI", path);
    parameter(e, "QUERY_STRING", target[length] ? target + length + 1 : "");
    return NULL;
}

const char *
explain_request(struct exchange *exchange, json_object *question)
{
    struct parameters parameters = {.arena = exchange->arena}, *e = &parameters;
    const char *scheme = member(question, "scheme", "http"), *why = "";
    const char *user = member(question, "remote_user", NULL);
    const char *rewritten = member(question, "rewritten", NULL);
    json_object *fields;
    parameter(e, "SERVER_PROTOCOL", "HTTP/1.1");
    parameter(e, "REQUEST_METHOD", member(question, "method", "GET"));
    parameter(e, "REQUEST_URI", member(question, "target", ""));
    parameter(e, "REMOTE_ADDR", "127.0.0.1");
    parameter(e, "HTTP_HOST", member(question, "host", "localhost"));
    /* Whatever is asked is asked as if it had come in the right spelling. */
    parameter(e, "SERVER_SOFTWARE", "nginx");
    if (strcmp(scheme, "https") == 0)
        parameter(e, "HTTPS", "on");
    else if (strcmp(scheme, "http") != 0)
        return "the scheme is neither http nor https";
    if (user)
        parameter(e, "REMOTE_USER", user);
    const char *wrong = NULL;
    if (rewritten)
        wrong = rewritten_parameters(e, rewritten, exchange->site->config->fastcgi);
    else if (!exchange->site->config->fastcgi)
        wrong = unchanged_parameters(e, member(question, "target", ""));
    if (wrong)
        return wrong;
    if (json_object_object_get_ex(question, "fields", &fields)) {
        if (!json_object_is_type(fields, json_type_array))
            return "fields is no list";
        size_t count = json_object_array_length(fields);
        if (count > REQUEST_FIELDS_MAX)
            return "too many fields";
        for (size_t i = 0; i < count; i++) {
            const char *line = json_object_get_string(json_object_array_get_idx(fields, i));
            if (!line || !field_parameter(e, line))
                return "a field is not of the form \"Name: value\"";
        }
    }
    int status =
        request_parse(&exchange->request, e->envp, exchange->site->config, exchange->arena, &why);
    return status == 0 ? NULL : why;
}
