/*
 * `larderctl explain`: what the next request for a URL will get. (With --preset:
 * preset.c.)
 *
 * The answer is a process' own: it runs the question through what serves
 * requests (responder/explain.c). Here the URL is taken apart, all processes of
 * the pool are asked, and the first that answers is believed: they have the same
 * Redis, and the same configuration unless one of them has not yet read it anew.
 * Only which scripts a FastCGI backend runs, and what the web server has rewritten,
 * each process has seen for itself.
 */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/shown.h"
#include "ctl/ctl.h"
#include "runtime/control.h"

/* Longer than a process may take for it. */
#define ASK_MS 3000

struct url {
    const char *scheme;
    const char *host; /* not NUL-terminated */
    size_t host_len;
    const char *target; /* "": it ends behind the host */
};

/* "http://host/path", or "/path" of a host that -H names, or of localhost. */
static bool
url_parse(struct url *url, const char *text)
{
    *url = (struct url){.scheme = "http", .host = "localhost", .host_len = 9, .target = text};
    if (*text == '/')
        return true;
    if (strncasecmp(text, "https://", 8) == 0) {
        url->scheme = "https";
        url->host = text + 8;
    } else if (strncasecmp(text, "http://", 7) == 0) {
        url->host = text + 7;
    } else {
        return false;
    }
    url->host_len = strcspn(url->host, "/?#");
    url->target = url->host + url->host_len;
    return url->host_len > 0 && !memchr(url->host, '@', url->host_len);
}

/* What never travels, or travels otherwise. */
static json_object *
target_of(const struct url *url)
{
    char text[8192];
    size_t n = strcspn(url->target, "#");
    const char *slash = *url->target == '/' ? "" : "/";

    if (n + 2 > sizeof text)
        return NULL;
    snprintf(text, sizeof text, "%s%.*s", slash, (int)n, url->target);
    return json_text(text, strlen(text));
}

static json_object *
question(const struct ctl *ctl, const struct url *url)
{
    json_object *object = json_new(), *fields = json_object_new_array();
    const char *host = url->host;
    size_t host_len = url->host_len;

    for (int64_t i = 0; i < ctl->field_count; i++) {
        const char *field = ctl->fields[i];
        if (strncasecmp(field, "Host:", 5) == 0) {
            host = field + 5 + strspn(field + 5, " \t");
            host_len = strlen(host);
        } else {
            json_object_array_add(fields, json_text(field, strlen(field)));
        }
    }
    json_put(object, "command", json_text("explain", 7));
    json_put(object, "scheme", json_text(url->scheme, strlen(url->scheme)));
    json_put(object, "host", json_text(host, host_len));
    json_put(object, "target", target_of(url));
    json_put(object, "fields", fields);
    if (ctl->method)
        json_put(object, "method", json_text(ctl->method, strlen(ctl->method)));
    if (ctl->rewritten)
        json_put(object, "rewritten", json_text(ctl->rewritten, strlen(ctl->rewritten)));
    if (ctl->as)
        json_put(object, "remote_user", json_text(ctl->as, strlen(ctl->as)));
    return object;
}

/* What a process has to say: in the way that was asked for. */
static int
tell(const struct ctl *ctl, json_object *answer)
{
    json_object *lines, *error;

    if (!json_object_get_boolean(json_object_object_get(answer, "ok"))) {
        error = json_object_object_get(answer, "error");
        complain("explain: %s", error ? json_object_get_string(error) : "no answer");
        return CTL_USAGE;
    }
    if (ctl->json) {
        print_json(json_object_get(answer));
        return CTL_OK;
    }
    lines = json_object_object_get(answer, "text");
    for (size_t i = 0;
         json_object_is_type(lines, json_type_array) && i < json_object_array_length(lines); i++) {
        json_object *line = json_object_array_get_idx(lines, i);
        print_visible(stdout, json_object_get_string(line),
                      (size_t)json_object_get_string_len(line));
        putchar('\n');
    }
    return CTL_OK;
}

/* More for one that has found something stored, or needed neither a script nor a rewriting; then for one
 * that has seen some of the host's. */
static int
knowledge(json_object *answer)
{
    json_object *script = json_object_object_get(answer, "script");

    if (!script)
        script = json_object_object_get(answer, "rewriting");
    if (!script || json_object_get_boolean(json_object_object_get(script, "found")))
        return 2;
    return json_object_get_int64(json_object_object_get(script, "seen")) > 0;
}

/* How long ago it has seen the backend fail; less for one that has seen its requests come back. */
static int64_t
trouble_age_ms(json_object *answer)
{
    json_object *failure = json_object_object_get(answer, "backend_failure");

    if (json_object_object_get(answer, "loops"))
        return -1;
    return failure ? json_object_get_int64(json_object_object_get(failure, "age_ms")) : INT64_MAX;
}

static json_object *
best_of(json_object *answers)
{
    json_object *best = json_object_array_get_idx(answers, 0);

    for (size_t i = 1; i < json_object_array_length(answers); i++) {
        json_object *other = json_object_array_get_idx(answers, i);
        int more = knowledge(other) - knowledge(best);
        if (more > 0 || (more == 0 && trouble_age_ms(other) < trouble_age_ms(best)))
            best = other;
    }
    return best;
}

int
ctl_explain(struct ctl *ctl)
{
    struct larder_error err = {0};
    json_object *asked, *answers;
    struct url url;
    int code;

    if (ctl->preset)
        return explain_preset(ctl);
    if (ctl->arg_count == 0)
        return options_usage(ctl->command);
    code = settings_load_for_pool(ctl);
    if (code != CTL_OK)
        return code;
    if (!url_parse(&url, ctl->args[0])) {
        char shown[SHOWN_URL_SIZE];
        complain("explain: '%s' is neither http://HOST/PATH, https://HOST/PATH nor /PATH",
                 shown_url(shown, ctl->args[0], strlen(ctl->args[0])));
        return CTL_USAGE;
    }
    if (strlen(ctl->args[0]) > 8000) {
        complain("explain: a URL of more than 8000 bytes");
        return CTL_USAGE;
    }
    asked = question(ctl, &url);
    enum larder_status status =
        pool_ask(ctl, asked, ctl->timeout_ms > 0 ? ctl->timeout_ms : ASK_MS, &answers, &err);
    json_object_put(asked);
    if (status != LARDER_OK)
        return fail(status, &err);
    if (json_object_array_length(answers) == 0) {
        code = fail(LARDER_UNAVAILABLE, &err);
    } else {
        code = tell(ctl, best_of(answers));
    }
    json_object_put(answers);
    return code;
}
