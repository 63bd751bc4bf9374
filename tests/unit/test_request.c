/* From FastCGI parameters to a request, its key, its backend fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "responder/backend_fields.h"
#include "responder/loop.h"
#include "responder/request.h"
#include "responder/request_cookie.h"

static struct arena *arena;
static struct config *config;
static char config_file[] = "/tmp/larder-test-XXXXXX";

static const char config_text[] =
    "upstream = { url = \"http://127.0.0.1:1\"; trusted_proxies = [\"10.0.0.0/8\"];\n"
    "  trusted_fields = [\"X-Vouched\", \"Vouched\"]; };\n"
    "routes = (\n"
    "  { path = \"/plain\"; ttl = \"30s\"; resource = \"r\";\n"
    "    cookies = { ignore = [\"_ga*\"]; key = [\"lang\"]; }; },\n"
    "  { path = \"/claimed\"; ttl = \"30s\"; user = \"field:X-User\";\n"
    "    cookies = { ignore = [\"_ga*\"]; }; },\n"
    "  { path = \"/query\"; ttl = \"30s\"; query = { ignore = [\"utm_*\"]; }; },\n"
    "  { path = \"/outer\"; ttl = \"30s\"; user = \"field:X-Forwarded-User\"; },\n"
    "  { path = \"/vouched\"; ttl = \"30s\"; user = \"REMOTE_USER\"; }\n"
    ");\n";

static int
setup(void **state)
{
    (void)state;
    int fd = mkstemp(config_file);
    ssize_t n = write(fd, config_text, sizeof config_text - 1);
    close(fd);
    struct larder_error err;
    config = n == (ssize_t)sizeof config_text - 1 ? config_load(config_file, &err) : NULL;
    unlink(config_file);
    if (!config)
        printf("%s\n", err.message);
    arena = arena_new((size_t)64 * 1024 * 1024);
    return config && arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    config_free(config);
    return 0;
}

static char *basics[] = {"REQUEST_METHOD=GET", "REQUEST_URI=/plain", "HTTP_HOST=Example.org",
                         "REMOTE_ADDR=192.0.2.1", NULL};

/* Parse with extra parameters in the place of the basic ones of their names. */
static int
parse(struct request *request, char *const *extra)
{
    char *envp[64];
    int n = 0;
    const char *why = "";
    for (char **b = basics; *b; b++) {
        char *const *e = extra;
        while (*e && strncmp(*e, *b, strcspn(*b, "=") + 1) != 0)
            e++;
        if (!*e)
            envp[n++] = *b;
    }
    /* What the web server has made of the URL: nothing, unless the test says so. */
    const char *target = "/plain";
    bool told = config->fastcgi;
    for (char *const *e = extra; *e; e++) {
        if (strncmp(*e, "REQUEST_URI=", 12) == 0)
            target = *e + 12;
        told = told || strncmp(*e, "SCRIPT_NAME=", 12) == 0 ||
               strncmp(*e, "DOCUMENT_URI=", 13) == 0;
    }
    if (!told) {
        const char *host = strstr(target, "://");
        if (host) {
            target = host + 3 + strcspn(host + 3, "/");
            target = *target ? target : "/";
        }
        const char *mark = strchr(target, '?');
        envp[n++] = arena_printf(arena, "SCRIPT_NAME=%.*s",
                                 mark ? (int)(mark - target) : (int)strlen(target), target);
        envp[n++] = arena_printf(arena, "QUERY_STRING=%s", mark ? mark + 1 : "");
    }
    for (; *extra; extra++)
        envp[n++] = *extra;
    envp[n] = NULL;
    char **kept = arena_calloc(arena, (size_t)n + 1, sizeof *kept);
    memcpy(kept, envp, ((size_t)n + 1) * sizeof *kept);
    return request_parse(request, kept, config, arena, &why);
}

#define PARSE(request, ...) parse((request), (char *const[]){__VA_ARGS__, NULL})

static void
assert_slice(struct slice s, const char *text)
{
    if (!slice_equal(s, slice_of(text)))
        fail_msg("\"%.*s\" instead of \"%s\"", (int)s.n, s.p ? s.p : "", text);
}

static void
fields_come_back_from_parameters(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "HTTP_ACCEPT_LANGUAGE=de", "HTTP_PROXY=http://evil/",
                           "HTTP_CONTENT_LENGTH=7", "CONTENT_TYPE=text/plain",
                           "HTTP_CONNECTION=close, x-hop", "HTTP_X_HOP=1"),
                     0);
    assert_slice(fields_get(&r.fields, "Accept-Language"), "de");
    assert_slice(fields_get(&r.fields, "Content-Type"), "text/plain");
    assert_null(fields_get(&r.fields, "Proxy").p);
    assert_null(fields_get(&r.fields, "Content-Length").p);
    assert_null(fields_get(&r.fields, "X-Hop").p);
    assert_null(fields_get(&r.fields, "Host").p);
    assert_slice(r.host, "Example.org");
    assert_false(r.has_body);
}

static void
absolute_form_is_cut(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(
        PARSE(&r, "REQUEST_URI=http://other.example:8080/a?b", "HTTP_HOST=other.example:8080"), 0);
    assert_slice(r.target, "/a?b");
    assert_slice(r.path, "/a");
    assert_slice(r.host, "other.example:8080");
    assert_int_equal(PARSE(&r, "REQUEST_URI=HTTPS://EXAMPLE.org"), 0);
    assert_slice(r.target, "/");
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://example.org.:80/"), 0);
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://[::1]:80/", "HTTP_HOST=[::1]"), 0);
    assert_slice(r.host, "[::1]");
}

static void
absolute_form_with_another_host_is_refused(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://other.example/"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=https://other.example:8080/a?b"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://example.org/", "HTTP_HOST="), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://user@example.org/"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=http:///"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://[::1]/", "HTTP_HOST=[::2]"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://[::1/", "HTTP_HOST=[::1]"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=http://a/", "HTTP_HOST=a.b"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=ftp://example.org/"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=a:b"), 400);
}

static void
without_request_uri_the_target_is_encoded_again(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(
        PARSE(&r, "REQUEST_URI=", "SCRIPT_NAME=/a b", "PATH_INFO=/\xc3\xa9?", "QUERY_STRING=x=%20"),
        0);
    assert_slice(r.target, "/a%20b/%C3%A9%3F?x=%20");
}

static void
targets_that_would_split_a_line_are_refused(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "REQUEST_URI=/a b"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=/a\r\nX: y"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=/a#b"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=a"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=*"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_METHOD=OPTIONS", "REQUEST_URI=*"), 0);
    assert_int_equal(PARSE(&r, "REQUEST_METHOD=G ET"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_METHOD="), 400);
    assert_int_equal(PARSE(&r, "HTTP_HOST=a b"), 400);
    assert_int_equal(PARSE(&r, "HTTP_HOST=a/b"), 400);
    assert_int_equal(PARSE(&r, "HTTP_X_A=a\nb"), 400);
    assert_int_equal(PARSE(&r, "CONTENT_LENGTH=-1"), 400);
    assert_int_equal(PARSE(&r, "CONTENT_LENGTH=99999999999999999999"), 400);
    char *big = malloc(REQUEST_TARGET_MAX + 100);
    memset(big, 'a', REQUEST_TARGET_MAX + 99);
    memcpy(big, "REQUEST_URI=/", 13);
    big[REQUEST_TARGET_MAX + 99] = '\0';
    assert_int_equal(PARSE(&r, big), 414);
    free(big);
}

static void
too_many_fields_are_431(void **state)
{
    (void)state;
    char *envp[400];
    static char text[300][32];
    int n = 0;
    for (; n < 300; n++) {
        snprintf(text[n], sizeof text[n], "HTTP_X_%d=1", n);
        envp[n] = text[n];
    }
    for (char **b = basics; *b; b++)
        envp[n++] = *b;
    envp[n] = NULL;
    struct request r;
    const char *why;
    assert_int_equal(request_parse(&r, envp, config, arena, &why), 431);
    /* One that is too large by itself, and one that leaves no room for what a proxy adds. */
    static char big[FIELDS_BYTES_MAX + 64];
    memset(big, 'x', sizeof big - 1);
    memcpy(big, "HTTP_X_BIG=", 11);
    assert_int_equal(PARSE(&r, big), 431);
    big[FIELDS_BYTES_MAX - 100] = '\0';
    assert_int_equal(PARSE(&r, big), 431);
    big[FIELDS_BYTES_MAX / 2] = '\0';
    assert_int_equal(PARSE(&r, big), 0);
}

static void
authorization_survives_under_any_of_its_names(void **state)
{
    (void)state;
    static char *const names[] = {"HTTP_AUTHORIZATION=Basic x",
                                  "REDIRECT_HTTP_AUTHORIZATION=Basic x", "Authorization=Basic x"};
    for (size_t i = 0; i < 3; i++) {
        struct request r;
        assert_int_equal(PARSE(&r, names[i]), 0);
        assert_slice(fields_get(&r.fields, "Authorization"), "Basic x");
    }
}

static enum reason
decided(char *const *extra)
{
    const struct policy policy = {.has_route = true, .enabled = true, .rfc = true};
    struct request r;
    assert_int_equal(parse(&r, extra), 0);
    const struct request_facts facts = {
        .method = r.method, .fields = &r.fields, .remote_user = r.authenticated};
    return decide_request(&policy, &facts);
}
#define DECIDED(...) decided((char *const[]){__VA_ARGS__, NULL})

static void
an_empty_user_is_none(void **state)
{
    (void)state;
    char *redirected = "REDIRECT_HTTP_AUTHORIZATION=", *field = "HTTP_AUTHORIZATION=";
    char *bare = "Authorization=";
    assert_int_equal(DECIDED(field), REASON_NONE);
    assert_int_equal(DECIDED(redirected), REASON_NONE);
    assert_int_equal(DECIDED(bare), REASON_NONE);
    assert_int_equal(DECIDED(field, redirected, bare), REASON_NONE);
    assert_int_equal(DECIDED("REMOTE_USER=", "AUTH_TYPE=", "REDIRECT_REMOTE_USER=",
                             "REDIRECT_AUTH_TYPE=", "SSL_CLIENT_VERIFY="),
                     REASON_NONE);
    /* Beside an empty one under another name a real one counts. */
    assert_int_equal(DECIDED(field, "REDIRECT_HTTP_AUTHORIZATION=Basic x"), REASON_AUTHORIZATION);
    assert_int_equal(DECIDED(field, redirected, "Authorization=Basic x"), REASON_AUTHORIZATION);
    assert_int_equal(DECIDED("SERVER_SOFTWARE=nginx/1", field, "HTTP_AUTHORIZATION=Basic x"),
                     REASON_AUTHORIZATION);
    assert_int_equal(DECIDED("REMOTE_USER=a"), REASON_REMOTE_USER);
    assert_int_equal(DECIDED("REDIRECT_REMOTE_USER=a"), REASON_REMOTE_USER);
    assert_int_equal(DECIDED("REDIRECT_AUTH_TYPE=Basic"), REASON_REMOTE_USER);
}

static void
body_length_is_known_unknown_or_none(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "CONTENT_LENGTH=12"), 0);
    assert_true(r.has_body && r.content_length == 12);
    assert_int_equal(PARSE(&r, "CONTENT_LENGTH=0"), 0);
    assert_true(!r.has_body && r.content_length == 0);
    assert_int_equal(PARSE(&r, "HTTP_TRANSFER_ENCODING=chunked"), 0);
    assert_true(r.has_body && r.content_length == -1);
}

static void
only_a_trusted_peer_may_say_who_asked(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "HTTP_X_FORWARDED_PROTO=https", "HTTP_X_FORWARDED_HOST=shop"), 0);
    assert_slice(r.scheme, "http");
    assert_null(r.forwarded_host.p);
    assert_int_equal(PARSE(&r, "REMOTE_ADDR=10.1.2.3", "HTTP_X_FORWARDED_PROTO=https",
                           "HTTP_X_FORWARDED_HOST=shop, x"),
                     0);
    assert_slice(r.scheme, "https");
    assert_slice(r.forwarded_host, "shop");
}

static void
no_cookie_hides_behind_a_comma(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "HTTP_COOKIE=a=1;b=2, session=3; c=x,y ;; d"), 0);
    static const char *const want[][2] = {
        {"a", "1"}, {"b", "2"}, {"session", "3"}, {"c", "x,y"}, {"", "d"}};
    struct cookie_walk walk = {0};
    struct slice name, value;
    for (size_t i = 0; i < 5; i++) {
        assert_true(request_next_cookie(&r, &walk, &name, &value));
        assert_slice(name, want[i][0]);
        assert_slice(value, want[i][1]);
    }
    assert_false(request_next_cookie(&r, &walk, &name, &value));
    assert_slice(request_cookie(&r, "session"), "3");
}

#define NGINX "SERVER_SOFTWARE=nginx/1.22.1"
#define LIGHTTPD "SERVER_SOFTWARE=lighttpd/1.4.69"
#define APACHE "SERVER_SOFTWARE=Apache/2.4.62"

static void
a_vouched_field_is_not_to_be_meddled_with(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, NGINX, "HTTP_X_VOUCHED="), 0);
    assert_false(r.authenticated);
    assert_int_equal(PARSE(&r, NGINX, "HTTP_X_VOUCHED=anna"), 0);
    assert_true(r.authenticated);
    assert_int_equal(PARSE(&r, APACHE, "HTTP_X_VOUCHED=anna"), 0);
    assert_true(r.authenticated);
    assert_int_equal(PARSE(&r, NGINX, "HTTP_X_VOUCHED=anna", "HTTP_X_VOUCHED=bert"), 400);
    assert_int_equal(PARSE(&r, NGINX, "HTTP_X_VOUCHED=anna", "HTTP_CONNECTION=close, x-vouched"),
                     400);
}

/* X_Vouched of a client's is the same parameter, and stands alone where the web server sets none. */
static void
behind_lighttpd_only_a_name_with_one_spelling_vouches(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, LIGHTTPD, "HTTP_X_VOUCHED=anna"), 500);
    assert_int_equal(PARSE(&r, "SERVER_SOFTWARE=my own tag", "HTTP_X_VOUCHED=anna"), 500);
    assert_int_equal(PARSE(&r, "HTTP_X_VOUCHED=anna"), 500);
    assert_int_equal(PARSE(&r, LIGHTTPD, "HTTP_VOUCHED=anna"), 0);
    assert_true(r.authenticated);
    assert_int_equal(PARSE(&r, LIGHTTPD, "HTTP_VOUCHED_=anna"), 0);
    assert_false(r.authenticated);
}

static void
two_spellings_of_a_field_are_refused(void **state)
{
    (void)state;
    struct request r;
    static const char *const names[] = {
        "X_FORWARDED_FOR", "X_LARDER_TOKEN", "CACHE_CONTROL", "IF_NONE_MATCH", "VIA", "X_ANYTHING"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *one = arena_printf(arena, "HTTP_%s=1", names[i]);
        char *two = arena_printf(arena, "HTTP_%s=2", names[i]);
        assert_int_equal(PARSE(&r, LIGHTTPD, one), 0);
        assert_int_equal(PARSE(&r, LIGHTTPD, one, two), 400);
        assert_int_equal(PARSE(&r, APACHE, one, two), 400);
        assert_int_equal(PARSE(&r, one, two), 400);
        /* Lines of one field. */
        assert_int_equal(PARSE(&r, NGINX, one, two), 0);
    }
    /* What is dropped anyway is not looked at. */
    assert_int_equal(PARSE(&r, LIGHTTPD, "HTTP_CONTENT_LENGTH=1", "HTTP_CONTENT_LENGTH=2"), 0);
}

static void
what_a_trusted_proxy_sets_is_not_taken_away(void **state)
{
    (void)state;
    struct request r;
    char *peer = "REMOTE_ADDR=10.1.2.3", *from = "HTTP_X_FORWARDED_FOR=192.0.2.9";
    assert_int_equal(PARSE(&r, peer, from, "HTTP_CONNECTION=close"), 0);
    assert_int_equal(PARSE(&r, peer, from, "HTTP_CONNECTION=close, x-forwarded-for"), 400);
    assert_int_equal(PARSE(&r, peer, from, "HTTP_CONNECTION=X-Forwarded-Host"), 400);
    assert_int_equal(PARSE(&r, peer, from, "HTTP_CONNECTION=X-Forwarded-Proto"), 400);
    assert_int_equal(PARSE(&r, from, "HTTP_CONNECTION=X-Forwarded-For"), 0);
}

/* ------------------------------------------------------------------- keys */

static struct exchange *
examined(char *const *extra)
{
    struct exchange *x = arena_calloc(arena, 1, sizeof *x);
    x->arena = arena;
    x->site = arena_calloc(arena, 1, sizeof *x->site);
    x->site->config = config;
    assert_int_equal(parse(&x->request, extra), 0);
    assert_true(route_find(&config->routes, arena, x->request.method, x->request.host,
                           x->request.path, &x->match));
    x->facts.fields = &x->request.fields;
    x->facts.method = x->request.method;
    assert_true(key_examine(&x->key, &x->facts, &x->request, &x->match, config, arena));
    x->reason = key_make(&x->key, &x->request, &x->match, config, arena);
    assert_int_equal(x->reason, REASON_NONE);
    return x;
}

#define EXAMINED(...) examined((char *const[]){__VA_ARGS__, NULL})
#define NAME(...) (EXAMINED(__VA_ARGS__)->key.name)

static void
whatever_can_change_the_answer_is_in_the_key(void **state)
{
    (void)state;
    const char *plain = NAME("REQUEST_URI=/plain");
    assert_memory_equal(plain, "r:response:", 11);
    assert_int_equal(strlen(plain), 11 + 64);
    assert_string_equal(plain, NAME("HTTP_HOST=EXAMPLE.org:80"));
    assert_string_equal(plain, NAME("HTTP_COOKIE=_ga=1"));
    assert_string_equal(plain, NAME("HTTP_X_FORWARDED_HOST=evil"));
    assert_string_equal(plain, NAME("REQUEST_METHOD=HEAD"));
    char *const *const different[] = {
        (char *const[]){"HTTPS=on", NULL},
        (char *const[]){"HTTP_HOST=example.org:8080", NULL},
        (char *const[]){"HTTP_HOST=example.com", NULL},
        (char *const[]){"REQUEST_URI=/plain?", NULL},
        (char *const[]){"REQUEST_URI=/plain?a", NULL},
        (char *const[]){"REQUEST_URI=/%70lain", NULL},
        (char *const[]){"HTTP_COOKIE=lang=de", NULL},
        (char *const[]){"HTTP_COOKIE=lang=en", NULL},
        (char *const[]){"HTTP_COOKIE=lang=en; lang=de", NULL},
        (char *const[]){"HTTP_COOKIE=lang=en,lang=de", NULL},
        (char *const[]){"HTTP_COOKIE=lang=en;lang=de", NULL},
        (char *const[]){"REMOTE_ADDR=10.0.0.1", "HTTP_X_FORWARDED_HOST=shop", NULL},
        (char *const[]){"REMOTE_ADDR=10.0.0.1", "HTTP_X_FORWARDED_PROTO=https",
                        "HTTP_X_FORWARDED_HOST=shop", NULL},
    };
    const char *seen[16] = {plain};
    size_t n = 1;
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        const char *name = examined(different[i])->key.name;
        for (size_t k = 0; k < n; k++)
            assert_string_not_equal(name, seen[k]);
        seen[n++] = name;
    }
}

/* As if the backend of the same configuration spoke FastCGI. */
static const char *
fastcgi_name(char *const *extra)
{
    config->fastcgi = true;
    const char *name = examined(extra)->key.name;
    config->fastcgi = false;
    return name;
}
#define FASTCGI_NAME(...) fastcgi_name((char *const[]){__VA_ARGS__, NULL})

static void
the_script_is_in_the_key_of_a_fastcgi_backend(void **state)
{
    (void)state;
    char *const *const different[] = {
        (char *const[]){"DOCUMENT_ROOT=/srv/a", "SCRIPT_FILENAME=/srv/a/p.php", NULL},
        (char *const[]){"DOCUMENT_ROOT=/srv/b", "SCRIPT_FILENAME=/srv/a/p.php", NULL},
        (char *const[]){"DOCUMENT_ROOT=/srv/a", "SCRIPT_FILENAME=/srv/b/p.php", NULL},
        (char *const[]){"DOCUMENT_ROOT=/srv/a", NULL},
        (char *const[]){"SCRIPT_NAME=/p.php", NULL},
        (char *const[]){"PATH_INFO=/p.php", NULL},
        (char *const[]){"PATH_TRANSLATED=/p.php", NULL},
        (char *const[]){"REDIRECT_URL=/p.php", NULL},
        (char *const[]){"QUERY_STRING=q=/p.php", NULL},
        (char *const[]){NULL},
    };
    const char *seen[16] = {NULL};
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        seen[i] = fastcgi_name(different[i]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
        /* A backend that speaks HTTP knows nothing of files. */
        const char *name = different[i][0];
        if (name && (strncmp(name, "DOCUMENT_ROOT", 13) == 0 || strstr(name, "_TRANSLATED")))
            assert_string_equal(NAME("REQUEST_URI=/plain"), examined(different[i])->key.name);
    }
    /* mod_rewrite puts the query behind it. */
    assert_string_equal(FASTCGI_NAME("SCRIPT_FILENAME=proxy:fcgi://php/p.php"),
                        FASTCGI_NAME("SCRIPT_FILENAME=proxy:fcgi://php/p.php?utm_source=x"));
    /* Whose it is, the key need not say: the tags are the URL's. */
    struct exchange *x = EXAMINED("REQUEST_URI=/plain");
    config->fastcgi = true;
    struct exchange *y = EXAMINED("REQUEST_URI=/plain", "SCRIPT_FILENAME=/p.php");
    config->fastcgi = false;
    assert_int_equal(x->key.tags.count, y->key.tags.count);
    for (size_t i = 0; i < x->key.tags.count; i++)
        assert_string_equal(x->key.tags.name[i], y->key.tags.name[i]);
}

static void
a_rewritten_query_has_nothing_of_what_the_route_leaves_out(void **state)
{
    (void)state;
    static char *const alike[][2] = {
        {"REQUEST_URI=/query?a=1", "QUERY_STRING=a=1"},
        {"REQUEST_URI=/query?a=1&utm_source=x", "QUERY_STRING=a=1&utm_source=x"},
        {"REQUEST_URI=/query?utm_source=x&a=1", "QUERY_STRING=utm_source=x&a=1"},
        {"REQUEST_URI=/query?utm_source=x&a=1", "QUERY_STRING=a=1"},
        /* lighttpd's own spelling */
        {"REQUEST_URI=/query?%75tm_source=x&a=1", "QUERY_STRING=utm_source=x&a=1"},
    };
    static char *const rewritten[][2] = {
        {"REQUEST_URI=/query?a=1", "QUERY_STRING=q=/page&a=1"},
        {"REQUEST_URI=/query?a=1&utm_source=x", "QUERY_STRING=q=/page&a=1&utm_source=x"},
        {"REQUEST_URI=/query?utm_source=y&a=1", "QUERY_STRING=q=/page&utm_source=y&a=1"},
        {"REQUEST_URI=/query?a=1&%75tm_source=x", "QUERY_STRING=q=/page&a=1&utm_source=x"},
    };
    const char *first = FASTCGI_NAME(alike[0][0], alike[0][1]);
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
        assert_string_equal(first, FASTCGI_NAME(alike[i][0], alike[i][1]));
    const char *second = FASTCGI_NAME(rewritten[0][0], rewritten[0][1]);
    assert_string_not_equal(first, second);
    for (size_t i = 0; i < sizeof rewritten / sizeof *rewritten; i++)
        assert_string_equal(second, FASTCGI_NAME(rewritten[i][0], rewritten[i][1]));
}

static void
a_claimed_user_has_credentials_in_the_key(void **state)
{
    (void)state;
    char *uri = "REQUEST_URI=/claimed", *user = "HTTP_X_USER=42";
    const char *alone = NAME(uri, user);
    assert_memory_equal(alone, "user:42:response:", 17);
    assert_string_not_equal(alone, NAME(uri, user, "HTTP_COOKIE=sid=1"));
    assert_string_not_equal(NAME(uri, user, "HTTP_COOKIE=sid=1"),
                            NAME(uri, user, "HTTP_COOKIE=sid=2"));
    assert_string_not_equal(alone, NAME(uri, user, "HTTP_AUTHORIZATION=Basic x"));
    assert_string_equal(alone, NAME(uri, user, "HTTP_COOKIE=_ga=2"));
    assert_null(memmem(EXAMINED(uri, user, "HTTP_COOKIE=sid=topsecret")->key.material.p,
                       EXAMINED(uri, user, "HTTP_COOKIE=sid=topsecret")->key.material.n,
                       "topsecret", 9));
}

static void
users_are_apart_and_escaped(void **state)
{
    (void)state;
    char *uri = "REQUEST_URI=/vouched";
    assert_memory_equal(NAME(uri, "REMOTE_USER=a"), "user:a:response:", 16);
    assert_memory_equal(NAME(uri, "REMOTE_USER=a:b*"), "user:a%3Ab%2A:response:", 23);
    assert_string_not_equal(NAME(uri, "REMOTE_USER=a") + 7, NAME(uri, "REMOTE_USER=b") + 7);
    assert_int_equal(EXAMINED(uri, "REMOTE_USER=a")->key.tags.count, 3);
}

static void
an_unopened_cookie_passes_and_a_missing_user_is_seen(void **state)
{
    (void)state;
    assert_true(EXAMINED("HTTP_COOKIE=_ga=1; sid=2")->facts.cookie_bypass);
    assert_true(EXAMINED("HTTP_COOKIE=_ga=1, sid=2")->facts.cookie_bypass);
    assert_false(EXAMINED("HTTP_COOKIE=_ga=1; lang=de")->facts.cookie_bypass);
    assert_true(EXAMINED("REQUEST_URI=/claimed")->facts.user_missing);
    assert_false(EXAMINED("REQUEST_URI=/claimed", "HTTP_X_USER=1")->facts.user_missing);
    assert_true(EXAMINED(NGINX, "REQUEST_URI=/claimed", "HTTP_X_USER=1", "HTTP_X_USER=2")
                    ->facts.user_missing);
    assert_true(EXAMINED("REQUEST_URI=/vouched", "HTTP_REMOTE_USER=x")->facts.user_missing);
}

/* --------------------------------------------------------- backend fields */

static void
whole_families_of_fields_stay_behind_but_for_the_user(void **state)
{
    (void)state;
    static const char *const gone[] = {"X-Forwarded-Uri", "X-Forwarded-Anything", "X-Original-Uri",
                                       "X-Http-Host-Override", "X-Envoy-Original-Path"};
    struct exchange *x = EXAMINED("REQUEST_URI=/outer", "HTTP_X_FORWARDED_URI=/x",
                                  "HTTP_X_FORWARDED_ANYTHING=1", "HTTP_X_ORIGINAL_URI=/x",
                                  "HTTP_X_HTTP_HOST_OVERRIDE=evil", "HTTP_X_ENVOY_ORIGINAL_PATH=/x",
                                  "HTTP_X_FORWARDED_USER=anna");
    struct fields out = {0};
    assert_true(backend_fields(&out, x, NULL));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_null(fields_get(&out, gone[i]).p);
    assert_slice(fields_get(&out, "X-Forwarded-User"), "anna");
}

static void
a_cacheable_miss_takes_no_unkeyed_input_along(void **state)
{
    (void)state;
    struct exchange *x = EXAMINED(
        "HTTP_COOKIE=_ga=1; lang=de", "HTTP_X_ORIGINAL_URL=/admin", "HTTP_FORWARDED=host=evil",
        "HTTP_IF_NONE_MATCH=\"x\"", "HTTP_X_FORWARDED_FOR=1.1.1.1", "HTTP_X_FORWARDED_HOST=evil",
        "HTTP_X_HTTP_METHOD_OVERRIDE=DELETE", "HTTP_EXPECT=100-continue", "HTTP_X_MINE=1",
        "HTTP_USER_AGENT=mine", "HTTP_X_REAL_IP=1.1.1.1", "HTTP_CF_VISITOR={\"scheme\":\"https\"}",
        "HTTP_HTTPS=on", "HTTP_ACCEPT_ENCODING=gzip;q=0.5, BR, foo");
    struct fields out = {0};
    assert_true(backend_fields(&out, x, NULL));
    assert_slice(fields_get(&out, "Accept-Encoding"), "br, gzip"); /* in one spelling */
    assert_slice(fields_get(&out, "Host"), "example.org");
    assert_slice(fields_get(&out, "Cookie"), "lang=de");
    assert_slice(fields_get(&out, "X-Forwarded-For"), "192.0.2.1");
    assert_slice(fields_get(&out, "X-Forwarded-Host"), "example.org");
    assert_slice(fields_get(&out, "X-Forwarded-Proto"), "http");
    assert_slice(fields_get(&out, "User-Agent"), "Mozilla/5.0 (compatible; Larder)");
    assert_slice(fields_get(&out, "Accept"), "*/*");
    static const char *const gone[] = {
        "X-Original-Url", "Forwarded", "If-None-Match", "X-Http-Method-Override",
        "Expect",         "X-Real-Ip", "Cf-Visitor",    "Https",
        "X-Mine"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        assert_null(fields_get(&out, gone[i]).p);
}

/* The value that a shared fetch has of a field; .p NULL: none. */
static struct slice
sent(const char *name, const char *const *opened, size_t count, char *const *extra)
{
    struct exchange *x = examined(extra);
    struct vary vary = {.count = 0};
    struct fields out = {0};
    for (size_t i = 0; i < count; i++)
        assert_true(vary_add(&vary, slice_of(opened[i]), arena));
    assert_true(backend_fields(&out, x, count ? &vary : NULL));
    return fields_join(&out, arena, name);
}

#define SENT(name, ...) sent(name, NULL, 0, (char *const[]){__VA_ARGS__, NULL})
#define SENT_OPEN(name, ...) \
    sent(name, (const char *const[]){name}, 1, (char *const[]){__VA_ARGS__, NULL})

static void
what_stands_for_a_visitors_fields_is_the_same_for_all(void **state)
{
    (void)state;
    assert_slice(SENT("User-Agent", "HTTP_X=1"), "Mozilla/5.0 (compatible; Larder)");
    assert_slice(SENT("User-Agent", "HTTP_USER_AGENT=mine"), "Mozilla/5.0 (compatible; Larder)");
    assert_slice(SENT_OPEN("User-Agent", "HTTP_USER_AGENT=mine"), "mine");
    assert_null(SENT_OPEN("User-Agent", "HTTP_X=1").p);
    assert_slice(SENT("Accept", "HTTP_ACCEPT=text/html"), "*/*");
    assert_slice(SENT_OPEN("Accept", "HTTP_ACCEPT=text/html"), "text/html");
    assert_null(SENT("Accept-Language", "HTTP_ACCEPT_LANGUAGE=de").p);
    assert_slice(SENT_OPEN("Accept-Language", "HTTP_ACCEPT_LANGUAGE=de"), "de");
    assert_slice(SENT("Cache-Control", "HTTP_CACHE_CONTROL=max-age=0, x=\"<i>\""), "max-age=0");
    assert_slice(SENT("Cache-Control", "HTTP_CACHE_CONTROL=no-cache, x"), "no-cache");
    assert_null(SENT("Cache-Control", "HTTP_CACHE_CONTROL=max-stale").p);
    assert_null(SENT("Pragma", "HTTP_PRAGMA=no-cache").p);
    assert_slice(SENT("X-Request-Id", "HTTP_X_REQUEST_ID=0123456789abcdef-01"),
                 "0123456789abcdef-01");
    assert_null(SENT("X-Request-Id", "HTTP_X_REQUEST_ID=0123456789abcdefg").p);
    assert_null(SENT("X-Request-Id", "HTTP_X_REQUEST_ID=dead-beef").p);
    char *trace = "HTTP_TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_slice(SENT("traceparent", trace), strchr(trace, '=') + 1);
    assert_null(SENT("X-Request-Id", "HTTP_X_REQUEST_ID=0123456789abcdef--01").p);
    assert_null(SENT("X-Request-Id", "HTTP_X_REQUEST_ID=0123456789abcdef-").p);
    assert_null(SENT("Via", "HTTP_VIA=1.0 a").p);
    assert_null(SENT("X-Requested-With", "HTTP_X_REQUESTED_WITH=com.android.browser").p);
    assert_slice(SENT("X-Requested-With", "HTTP_X_REQUESTED_WITH=XMLHttpRequest"),
                 "XMLHttpRequest");
    assert_string_not_equal(NAME("HTTP_X_REQUESTED_WITH=XMLHttpRequest"), NAME("HTTP_X=1"));
    assert_string_equal(NAME("HTTP_X_REQUESTED_WITH=other"), NAME("HTTP_X=1"));
}

static void
fields_that_are_credentials_pass(void **state)
{
    (void)state;
    static char *const passes[] = {"HTTP_X_API_KEY=1",         "HTTP_X_AUTH_TOKEN=1",
                                   "HTTP_X_ACCESS_TOKEN=1",    "HTTP_X_WP_NONCE=1",
                                   "HTTP_REMOTE_USER=1",       "HTTP_X_CSRF_TOKEN=1",
                                   "HTTP_PRIVATE_TOKEN=1",     "HTTP_API_KEY=1",
                                   "HTTP_X_FORWARDED_EMAIL=1", "HTTP_HX_REQUEST=true",
                                   "HTTP_X_PJAX=true",         "HTTP_TURBO_FRAME=a",
                                   "HTTP_SSL_CLIENT_CERT=1",   "HTTP_X_AUTH_REQUEST_USER=1"};
    static char *const does_not[] = {"HTTP_X_API_KEY=",
                                     "HTTP_X_USER_AGENT=1",
                                     "HTTP_USER_AGENT=token",
                                     "HTTP_X_REMOTE_IP=1",
                                     "HTTP_SEC_FETCH_MODE=cors",
                                     "HTTP_X_FORWARDED_SCHEME=1",
                                     "HTTP_ORIGIN=a",
                                     "HTTP_TOKENS=1",
                                     "HTTP_X_AP=1",
                                     "HTTP_X=1",
                                     "HTTP_XX=1"};
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        if (!EXAMINED(passes[i])->facts.bypass_field.p)
            fail_msg("%s does not pass", passes[i]);
    for (size_t i = 0; i < sizeof does_not / sizeof *does_not; i++)
        if (EXAMINED(does_not[i])->facts.bypass_field.p)
            fail_msg("%s passes", does_not[i]);
}

static void
a_pass_goes_as_it_came(void **state)
{
    (void)state;
    struct exchange *x = EXAMINED("HTTP_COOKIE=_ga=1; sid=2", "HTTP_IF_NONE_MATCH=\"x\"",
                                  "REMOTE_ADDR=10.0.0.9", "HTTP_X_FORWARDED_FOR=1.1.1.1",
                                  "HTTP_ACCEPT_ENCODING=gzip", "HTTP_VIA=1.0 a");
    x->reason = REASON_COOKIE;
    struct fields out = {0};
    assert_true(backend_fields(&out, x, NULL));
    assert_slice(fields_get(&out, "Host"), "Example.org");
    assert_slice(fields_get(&out, "Cookie"), "_ga=1; sid=2");
    assert_slice(fields_get(&out, "If-None-Match"), "\"x\"");
    assert_slice(fields_get(&out, "Accept-Encoding"), "gzip");
    assert_slice(fields_get(&out, "X-Forwarded-For"), "1.1.1.1, 10.0.0.9");
    assert_slice(fields_join(&out, arena, "Via"), "1.0 a");
    /* What a loop is seen by comes last (ask.c), and is nothing that Vary selects by. */
    assert_true(loop_mark(&out, &x->request.fields, "larder-0-1", true, false, arena));
    assert_slice(fields_join(&out, arena, "Via"), "1.0 a, 1.1 larder-0-1");
    assert_slice(fields_join(&out, arena, "CDN-Loop"), "larder-0-1");
}

/* ------------------------------------------------------------------- loops */

static enum loop
loop_with(char *field, char *other, const char *id)
{
    struct request r;
    assert_int_equal(PARSE(&r, NGINX, field, other), 0);
    return loop_of(&r.fields, id);
}

static void
a_pool_has_one_name_and_another_pool_another(void **state)
{
    (void)state;
    char id[LOOP_ID_SIZE], again[LOOP_ID_SIZE], other[LOOP_ID_SIZE];
    struct config copy = *config;
    loop_id(id, config);
    loop_id(again, config);
    assert_string_equal(id, again);
    assert_int_equal(strlen(id), LOOP_ID_SIZE - 1);
    /* Another backend on the same store: a Larder in front of this one. */
    copy.upstream.url = "http://127.0.0.1:2";
    loop_id(other, &copy);
    assert_string_not_equal(id, other);
    assert_string_equal(strrchr(id, '-'), strrchr(other, '-'));
    copy = *config;
    copy.file = "/etc/another.conf";
    loop_id(other, &copy);
    assert_string_not_equal(id, other);
    copy = *config;
    copy.redis.name_space = "another";
    loop_id(other, &copy);
    assert_string_not_equal(strrchr(id, '-'), strrchr(other, '-'));
    copy = *config;
    copy.redis.port = 1;
    loop_id(other, &copy);
    assert_string_not_equal(strrchr(id, '-'), strrchr(other, '-'));
}

static void
a_request_that_comes_back_is_known_by_either_field(void **state)
{
    (void)state;
    static const char id[] = "larder-0123456789ab-01234567";
    static char *const own[] = {
        "HTTP_CDN_LOOP=larder-0123456789ab-01234567",
        "HTTP_CDN_LOOP=a.example;x=\"1,2\", LARDER-0123456789AB-01234567 ;y=z",
        "HTTP_CDN_LOOP=,;,,\"open, larder-0123456789ab-01234567",
        "HTTP_VIA=1.1 larder-0123456789ab-01234567",
        "HTTP_VIA=1.0 fred (a, b, 1.1 x, HTTP/1.1\tlarder-0123456789ab-01234567 (y)",
        "HTTP_CONNECTION=close, Via, CDN-Loop",
    };
    static char *const not_own[] = {
        "HTTP_CDN_LOOP=a.example, larder-0123456789ab-012345678",
        "HTTP_CDN_LOOP=xlarder-0123456789ab-01234567",
        "HTTP_CDN_LOOP=",
        "HTTP_CDN_LOOP=a;b=larder-0123456789ab-01234567",
        "HTTP_VIA=larder-0123456789ab-01234567 x",
        "HTTP_VIA=1.1",
        "HTTP_X_CDN_LOOP=larder-0123456789ab-01234567",
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_int_equal(loop_with(own[i], i == 5 ? own[0] : "HTTP_X=1", id), LOOP_OWN);
    for (size_t i = 0; i < sizeof not_own / sizeof *not_own; i++)
        assert_int_equal(loop_with(not_own[i], "HTTP_X=1", id), LOOP_NONE);
    /* A line of a visitor's may stand before it. */
    assert_int_equal(loop_with("HTTP_CDN_LOOP=x", own[0], id), LOOP_OWN);
    assert_int_equal(loop_with("HTTP_CDN_LOOP=larder-000000000000-01234567", "HTTP_X=1", id),
                     LOOP_SAME_STORE);
    assert_int_equal(loop_with("HTTP_VIA=1.1 larder-000000000000-01234567", "HTTP_X=1", id),
                     LOOP_SAME_STORE);
#define OTHER "larder-000000000000-76543210"
#define SEVEN(before)                                                                \
    before OTHER "," before OTHER "," before OTHER "," before OTHER "," before OTHER \
                 "," before OTHER "," before OTHER
    assert_int_equal(loop_with("HTTP_CDN_LOOP=" SEVEN("") ", other", "HTTP_X=1", id), LOOP_NONE);
    assert_int_equal(loop_with("HTTP_VIA=" SEVEN("1.1 ") ", 1.1 " OTHER, "HTTP_X=1", id),
                     LOOP_ENDLESS);
    /* What has no name of our form is no Larder. */
    assert_int_equal(
        loop_with("HTTP_CDN_LOOP=larder,larder,larder,larder,larder,larder,larder,larder",
                  "HTTP_X=1", id),
        LOOP_NONE);
#undef SEVEN
#undef OTHER
}

/* -------------------------------------------------------------- parameters */

/* As a FastCGI backend gets it: the value of a parameter, .p NULL without it; *count of that name. */
static struct slice
parameter_of(const struct backend_parameters *list, const char *name, int *count)
{
    struct slice value = {NULL, 0};
    *count = 0;
    for (size_t i = 0; i < list->count; i++)
        if (slice_equal(list->list[i].name, slice_of(name))) {
            value = list->list[i].value;
            ++*count;
        }
    return value;
}

static void
assert_parameters(struct exchange *x, const char *const want[][2], size_t n)
{
    struct fields fields = {0};
    struct backend_parameters list;
    assert_true(backend_fields(&fields, x, NULL));
    assert_true(backend_parameters(&list, x, x->request.method, &fields));
    for (size_t i = 0; i < n; i++) {
        int count;
        struct slice value = parameter_of(&list, want[i][0], &count);
        if (count != (want[i][1] != NULL))
            fail_msg("%s is there %d times", want[i][0], count);
        if (want[i][1])
            assert_slice(value, want[i][1]);
    }
}

#define ASSERT_PARAMETERS(x, ...)                                  \
    do {                                                           \
        static const char *const want_[][2] = __VA_ARGS__;         \
        assert_parameters(x, want_, sizeof want_ / sizeof *want_); \
    } while (0)

static void
a_fastcgi_backend_gets_a_pass_as_it_came(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x = EXAMINED(
        "REQUEST_URI=/outer?a=1&utm_source=x", "QUERY_STRING=a=1&utm_source=x",
        "SCRIPT_FILENAME=/srv/a b.php", "PATH_INFO=/\xc3\xa9\n", "HTTP_X_FORWARDED_FOR=1.1.1.1",
        "HTTP_CONNECTION=keep-alive, X-Gone", "HTTP_X_GONE=1", "HTTP_KEEP_ALIVE=5",
        "HTTP_COOKIE=_ga=1; sid=2", "HTTP_PROXY=http://evil", "CONTENT_LENGTH=0",
        "HTTP_CONTENT_LENGTH=0", "CONTENT_TYPE=text/plain", "FCGI_ROLE=RESPONDER", "HTTP_VIA=1.0 a",
        "HTTP_EXPECT=100-continue", "HTTP_ORIGIN=null");
    x->reason = REASON_COOKIE;
    ASSERT_PARAMETERS(x, {{"REQUEST_URI", "/outer?a=1&utm_source=x"},
                          {"QUERY_STRING", "a=1&utm_source=x"},
                          {"SCRIPT_FILENAME", "/srv/a b.php"},
                          {"PATH_INFO", "/\xc3\xa9\n"},
                          {"REQUEST_METHOD", "GET"},
                          {"HTTP_HOST", "Example.org"},
                          {"HTTP_X_FORWARDED_FOR", "1.1.1.1"},
                          {"HTTP_X_FORWARDED_PROTO", NULL},
                          {"HTTP_CONNECTION", "keep-alive, X-Gone"},
                          {"HTTP_X_GONE", NULL},
                          {"HTTP_KEEP_ALIVE", "5"},
                          {"HTTP_COOKIE", "_ga=1; sid=2"},
                          {"HTTP_PROXY", NULL},
                          {"CONTENT_LENGTH", "0"},
                          {"HTTP_CONTENT_LENGTH", "0"},
                          {"CONTENT_TYPE", "text/plain"},
                          {"HTTP_CONTENT_TYPE", NULL},
                          {"FCGI_ROLE", NULL},
                          {"HTTP_VIA", "1.0 a"},
                          {"HTTP_EXPECT", "100-continue"},
                          {"HTTP_ORIGIN", "null"}});
    config->fastcgi = false;
}

static void
a_shared_miss_leaves_out_for_fastcgi_what_it_leaves_out_for_http(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x = EXAMINED(
        "HTTP_COOKIE=_ga=1; lang=de", "HTTP_X_ORIGINAL_URL=/admin", "HTTP_FORWARDED=host=evil",
        "HTTP_X_FORWARDED_FOR=1.1.1.1", "HTTP_X_FORWARDED_HOST=evil", "HTTP_CONNECTION=close",
        "HTTP_X_MINE=1", "REDIRECT_HTTP_X_MINE=1", "REDIRECT_REDIRECT_HTTP_X_MINE=1",
        "REDIRECT_HTTP_AUTHORIZATION=", "REDIRECT_UNIQUE_ID=1", "HTTP_USER_AGENT=mine",
        "REMOTE_ADDR=192.0.2.9", "HTTPS=on", "HTTP_ACCEPT_ENCODING=gzip;q=0.5, BR, foo",
        "HTTP_TE=trailers");
    ASSERT_PARAMETERS(x, {{"HTTP_COOKIE", "lang=de"},
                          {"HTTP_HOST", "example.org"},
                          {"HTTP_X_ORIGINAL_URL", NULL},
                          {"HTTP_FORWARDED", NULL},
                          {"HTTP_X_FORWARDED_FOR", NULL},
                          {"HTTP_X_FORWARDED_HOST", NULL},
                          {"HTTP_VIA", NULL},
                          {"HTTP_CONNECTION", NULL},
                          {"HTTP_TE", NULL},
                          {"HTTP_X_MINE", NULL},
                          {"REDIRECT_HTTP_X_MINE", NULL},
                          {"REDIRECT_REDIRECT_HTTP_X_MINE", NULL},
                          {"REDIRECT_HTTP_AUTHORIZATION", ""},
                          {"REDIRECT_UNIQUE_ID", "1"},
                          {"HTTP_USER_AGENT", "Mozilla/5.0 (compatible; Larder)"},
                          {"HTTP_ACCEPT", "*/*"},
                          {"REMOTE_ADDR", "192.0.2.9"},
                          {"HTTPS", "on"},
                          {"HTTP_ACCEPT_ENCODING", "br, gzip"}});
    config->fastcgi = false;
}

static void
what_a_trusted_proxy_says_reaches_a_script(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x = EXAMINED("REMOTE_ADDR=10.9.9.9", "HTTP_X_FORWARDED_FOR=1.1.1.1",
                                  "HTTP_X_FORWARDED_PROTO=https", "HTTP_X_FORWARDED_HOST=Www.A",
                                  "HTTP_X_FORWARDED_URI=/evil",
                                  "HTTP_CF_VISITOR={\"scheme\":\"http\"}");
    ASSERT_PARAMETERS(x, {{"HTTP_X_FORWARDED_FOR", "1.1.1.1"},
                          {"HTTP_X_FORWARDED_PROTO", "https"},
                          {"HTTP_X_FORWARDED_HOST", "www.a"},
                          {"HTTP_CF_VISITOR", "{\"scheme\":\"https\"}"},
                          {"HTTP_X_FORWARDED_URI", NULL}});
    config->fastcgi = false;
}

static void
what_the_route_ignores_is_in_no_query(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x = EXAMINED(
        "REQUEST_URI=/query?b=2&utm_source=x&a=1", "QUERY_STRING=q=/x&utm_source=x&b=2&a=1",
        "REDIRECT_QUERY_STRING=b=2&utm_source=x&a=1", "REDIRECT_URI=/index.php?utm_source=x");
    ASSERT_PARAMETERS(x, {{"REQUEST_URI", "/query?b=2&a=1"},
                          {"QUERY_STRING", "q=/x&b=2&a=1"},
                          {"REDIRECT_QUERY_STRING", "b=2&a=1"},
                          {"REDIRECT_URI", "/index.php"}});
    config->fastcgi = false;
}

/* lighttpd decodes %75 and writes %2f as %2F and %zz as %25zz; a parameter that the key has not must
 * not reach a script by that. */
static void
what_the_route_ignores_is_in_no_query_however_it_is_spelled(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x =
        EXAMINED("REQUEST_URI=/query?%75tm_source=evil&a=%41&utm_medium=%2f&utm_term=%zz",
                 "QUERY_STRING=q=1&utm_source=evil&a=A&utm_medium=%2F&utm_term=%25zz",
                 "REDIRECT_URI=/index.php?utm_source=evil&a=A&utm_medium=%2F&utm_term=%25zz");
    ASSERT_PARAMETERS(x, {{"REQUEST_URI", "/query?a=%41"},
                          {"QUERY_STRING", "q=1&a=A"},
                          {"REDIRECT_URI", "/index.php?a=A"}});
    /* What a rewriting web server has added stays, also when a visitor spells the same. */
    x = EXAMINED("REQUEST_URI=/query?utm_page=1&utm%5Fid%3D2", "QUERY_STRING=utm_page=1&utm_id=2&"
                                                               "utm_page=1&utm_id%3D2");
    ASSERT_PARAMETERS(x, {{"REQUEST_URI", "/query"}, {"QUERY_STRING", "utm_id=2&utm_page=1"}});
    config->fastcgi = false;
}

/* A script that looks for JSON in the body would not see the query, and answer everybody so. */
static void
a_shared_miss_has_no_type_of_a_body(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x =
        EXAMINED("CONTENT_TYPE=application/json", "HTTP_CONTENT_TYPE=application/json");
    ASSERT_PARAMETERS(x, {{"CONTENT_TYPE", ""}, {"HTTP_CONTENT_TYPE", NULL}});
    x = EXAMINED("HTTP_X_MINE=1");
    ASSERT_PARAMETERS(x, {{"CONTENT_TYPE", NULL}});
    config->fastcgi = false;
}

static void
a_length_that_was_counted_is_told(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x = EXAMINED("REQUEST_URI=/outer", "HTTP_TRANSFER_ENCODING=chunked");
    x->reason = REASON_METHOD;
    x->request.length_found = true;
    x->request.content_length = 12345;
    ASSERT_PARAMETERS(x, {{"CONTENT_LENGTH", "12345"}, {"HTTP_TRANSFER_ENCODING", NULL}});
    config->fastcgi = false;
}

static void
credentials_under_another_name_come_under_that(void **state)
{
    (void)state;
    config->fastcgi = true;
    struct exchange *x = EXAMINED("REQUEST_URI=/outer", "REDIRECT_HTTP_AUTHORIZATION=Basic YTpi");
    x->reason = REASON_AUTHORIZATION;
    ASSERT_PARAMETERS(
        x, {{"REDIRECT_HTTP_AUTHORIZATION", "Basic YTpi"}, {"HTTP_AUTHORIZATION", NULL}});
    config->fastcgi = false;
}

static void
parameters_outlive_their_connection_and_are_bounded(void **state)
{
    (void)state;
    struct request r;
    config->fastcgi = true;
    char *text = malloc(300 * 1024);
    assert_non_null(text);
    memset(text, 'x', 300 * 1024 - 1);
    memcpy(text, "LONG=", 5);
    text[300 * 1024 - 1] = '\0';
    assert_int_equal(PARSE(&r, text), 431);
    text[1000] = '\0';
    assert_int_equal(PARSE(&r, text), 0);
    assert_true(request_own(&r, arena));
    memset(text, 'y', 999);
    free(text);
    bool found = false;
    for (size_t i = 0; i < r.parameter_count; i++)
        if (slice_equal(r.parameters[i].name, slice_of("LONG"))) {
            found = r.parameters[i].value.n == 995 && r.parameters[i].value.p[994] == 'x';
        }
    assert_true(found);
    config->fastcgi = false;
}

static void
a_page_for_an_error_is_no_page(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "REDIRECT_STATUS=200"), 0);
    assert_false(r.error_page);
    config->fastcgi = true;
    assert_int_equal(PARSE(&r, "REDIRECT_STATUS=403"), 0);
    assert_true(r.error_page);
    config->fastcgi = false;
    assert_int_equal(PARSE(&r, "REDIRECT_STATUS=403"), 403);
    assert_int_equal(PARSE(&r, "REDIRECT_STATUS=403", "REDIRECT_STATUS=200"), 403);
    assert_int_equal(PARSE(&r, "REDIRECT_STATUS=200", "REDIRECT_STATUS=403"), 403);
    assert_int_equal(PARSE(&r, NGINX, "REDIRECT_STATUS=403", "DOCUMENT_URI=/plain"), 403);
    assert_int_equal(PARSE(&r, NGINX, "REDIRECT_STATUS=403", "DOCUMENT_URI=/denied"), 0);
    assert_true(r.error_page);
}

static void
assert_asked(char *const *parameters, const char *wanted)
{
    struct request r;
    assert_int_equal(parse(&r, parameters), 0);
    if (!wanted)
        assert_null(r.asked.p);
    else
        assert_true(slice_equal(r.asked, slice_of(wanted)));
    assert_int_equal(r.script.name.n > 0, wanted != NULL);
}
#define ASSERT_ASKED(wanted, ...) assert_asked((char *const[]){__VA_ARGS__, NULL}, wanted)

static void
dot_segments_are_what_the_web_server_has_read(void **state)
{
    (void)state;
    static const struct {
        char *server, *sent, *told, *query;
        const char *target;
    } known[] = {
        {NGINX, "REQUEST_URI=/a/../b/.", "DOCUMENT_URI=/b/", "QUERY_STRING=", "/b/"},
        {NGINX, "REQUEST_URI=/a/..//b", "DOCUMENT_URI=/b", "QUERY_STRING=", "/b"},
        {NGINX, "REQUEST_URI=/a//../b", "DOCUMENT_URI=/a/b", "QUERY_STRING=", "/a/b"},
        {NGINX, "REQUEST_URI=/gate//../denied", "DOCUMENT_URI=/denied", "QUERY_STRING=", "/denied"},
        {NGINX, "REQUEST_URI=/a/%2e%2E%2Fb%20?c=/../", "DOCUMENT_URI=/b ", "QUERY_STRING=c=/../",
         "/b%20?c=/../"},
        {NGINX, "REQUEST_URI=http://example.org/./a", "DOCUMENT_URI=/a", "QUERY_STRING=", "/a"},
        {APACHE, "REQUEST_URI=/a/../b%2Fc", "SCRIPT_NAME=/b/c", "QUERY_STRING=", "/b/c"},
        {APACHE, "REQUEST_URI=/a/..%2Fb", "SCRIPT_NAME=/b", "QUERY_STRING=", "/b"},
        {APACHE, "REQUEST_URI=/%252Fa/./1", "SCRIPT_NAME=/%2Fa/1", "QUERY_STRING=", "/%252Fa/1"},
        {APACHE, "REQUEST_URI=/a/..?x", "SCRIPT_NAME=/index.html", "QUERY_STRING=x", "/?x"},
        {LIGHTTPD, "REQUEST_URI=/a/../b?%41", "SCRIPT_NAME=/b", "QUERY_STRING=A", "/b?%41"},
        {LIGHTTPD, "REQUEST_URI=/a/../b?c?d", "SCRIPT_NAME=/b?c", "QUERY_STRING=d", "/b?c?d"},
    };
    struct request r;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(PARSE(&r, known[i].server, known[i].sent, known[i].told, known[i].query),
                         0);
        assert_null(r.asked.p);
        assert_true(slice_equal(r.target, slice_of(known[i].target)));
        assert_int_equal(r.path.n, strcspn(known[i].target, "?"));
    }
    ASSERT_ASKED("/new/b", NGINX, "REQUEST_URI=/a/../b", "DOCUMENT_URI=/new/b", "QUERY_STRING=");
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a/../b"), 400);
    assert_int_equal(PARSE(&r, "REQUEST_URI=/a/../b", "DOCUMENT_URI=/b", "SCRIPT_NAME=/b"), 0);
    assert_true(slice_equal(r.target, slice_of("/b")));
    static char *const none[] = {"REQUEST_URI=/a/...", "REQUEST_URI=/.a/..b/c../d.",
                                 "REQUEST_URI=/a%252F..%252Fb", "REQUEST_URI=/a?b=/../c",
                                 "REQUEST_URI=/a/..;/b"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(PARSE(&r, none[i]), 0);
    config->rewritten_ignored = true;
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a/../b", "DOCUMENT_URI=/b"), 0);
    assert_true(slice_equal(r.target, slice_of("/b")));
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a/../b", "DOCUMENT_URI=/index.php"), 400);
    config->rewritten_ignored = false;
    config->fastcgi = true;
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a/../b", "DOCUMENT_URI=/b"), 0);
    assert_true(slice_equal(r.target, slice_of("/a/../b")));
    config->fastcgi = false;
}

static void
a_rewriting_is_told_from_a_spelling(void **state)
{
    (void)state;
    static const struct {
        char *sent, *told;
    } same[] = {
        {"REQUEST_URI=/a//b", "DOCUMENT_URI=/a/b"},
        {"REQUEST_URI=/a%2Fb%2525%41", "DOCUMENT_URI=/a/b%25A"},
        {"REQUEST_URI=/a%252Fb", "DOCUMENT_URI=/a%2Fb"},
        {"REQUEST_URI=/caf\xc3\xa9", "DOCUMENT_URI=/caf\xc3\xa9"},
        {"REQUEST_URI=/a;b=1", "DOCUMENT_URI=/a;b=1"},
        {"REQUEST_URI=http://example.org/a%20b", "DOCUMENT_URI=/a b"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        ASSERT_ASKED(NULL, NGINX, same[i].sent, same[i].told, "QUERY_STRING=");
    ASSERT_ASKED(NULL, APACHE, "REQUEST_URI=/a%2Fb%2525%41", "SCRIPT_NAME=/a/b%25A",
                 "QUERY_STRING=");
    /* Of what was sent no more is decoded than the web server decodes. */
    ASSERT_ASKED("/denied", NGINX, "REQUEST_URI=/gate/..%252Fdenied", "DOCUMENT_URI=/denied");
    ASSERT_ASKED("/denied", LIGHTTPD, "REQUEST_URI=/gate/x/..%252F..%252fdenied",
                 "SCRIPT_NAME=/denied");
    ASSERT_ASKED("/denied", APACHE, "REQUEST_URI=/gate/..%252Fdenied", "SCRIPT_NAME=/denied");
    ASSERT_ASKED("/a/b", APACHE, "REQUEST_URI=/a%252Fb", "SCRIPT_NAME=/a/b");
    ASSERT_ASKED("/d/index.html", NGINX, "REQUEST_URI=/d/", "DOCUMENT_URI=/d/index.html");
    ASSERT_ASKED("/d/index.denied.html", APACHE, "REQUEST_URI=/d/",
                 "SCRIPT_NAME=/d/index.denied.html");
    /* lighttpd cuts at the last '?'. */
    ASSERT_ASKED(NULL, LIGHTTPD, "REQUEST_URI=/a?b?c", "SCRIPT_NAME=/a?b", "QUERY_STRING=c");
    ASSERT_ASKED(NULL, LIGHTTPD, "REQUEST_URI=/r?to=http://x/%2f?y", "SCRIPT_NAME=/r?to=http:/x/",
                 "QUERY_STRING=y");
    ASSERT_ASKED("/pub?x", LIGHTTPD, "REQUEST_URI=/secret?/../pub?x", "SCRIPT_NAME=/pub",
                 "QUERY_STRING=x");
    ASSERT_ASKED("/a%3Fd?c", LIGHTTPD, "REQUEST_URI=/a?b?c", "SCRIPT_NAME=/a?d", "QUERY_STRING=c");
    ASSERT_ASKED(NULL, NGINX, "REQUEST_URI=/a?", "DOCUMENT_URI=/a", "QUERY_STRING=");
    ASSERT_ASKED(NULL, NGINX, "REQUEST_URI=/a?b", "DOCUMENT_URI=/a");
    ASSERT_ASKED(NULL, LIGHTTPD, "REQUEST_URI=/a/b?%41=1", "SCRIPT_NAME=/a", "PATH_INFO=/b",
                 "QUERY_STRING=A=1");
    /* One that hides its name may be any of them, and tells in one way or the other. */
    ASSERT_ASKED("/b", "REQUEST_URI=/a", "DOCUMENT_URI=/b", "SCRIPT_NAME=/c");
    ASSERT_ASKED("/c", "REQUEST_URI=/a", "SCRIPT_NAME=/c");
    ASSERT_ASKED("/c/d", "REQUEST_URI=/a", "SCRIPT_NAME=/c", "PATH_INFO=/d");
    ASSERT_ASKED("/a?c", "REQUEST_URI=/a", "SCRIPT_NAME=/a", "QUERY_STRING=c");
    ASSERT_ASKED(NULL, "REQUEST_URI=/a//%62%2Fc", "SCRIPT_NAME=/a/b/c");
    ASSERT_ASKED(NULL, "REQUEST_URI=/a.php/b", "DOCUMENT_URI=/a.php", "SCRIPT_NAME=/a.php",
                 "PATH_INFO=/b");
    ASSERT_ASKED(NULL, "REQUEST_URI=/a.php/b", "DOCUMENT_URI=/a.php/b", "SCRIPT_NAME=/a.php");
    ASSERT_ASKED(NULL, "REQUEST_URI=/a?b?%41", "SCRIPT_NAME=/a?b", "QUERY_STRING=A");
    ASSERT_ASKED("/b", "SERVER_SOFTWARE=Apache", "SERVER_SOFTWARE=nginx/1", "REQUEST_URI=/a",
                 "DOCUMENT_URI=/b", "SCRIPT_NAME=/b");
    ASSERT_ASKED("/b", NGINX, "REQUEST_URI=/a", "SCRIPT_NAME=/b");

    ASSERT_ASKED("/denied", NGINX, "REQUEST_URI=/a?b", "DOCUMENT_URI=/denied", "QUERY_STRING=");
    ASSERT_ASKED("/denied", NGINX, "REQUEST_URI=/a?b", "DOCUMENT_URI=/denied");
    ASSERT_ASKED("/a?c", NGINX, "REQUEST_URI=/a", "DOCUMENT_URI=/a", "QUERY_STRING=c");
    ASSERT_ASKED("/a", NGINX, "REQUEST_URI=/a?c", "DOCUMENT_URI=/a", "QUERY_STRING=");
    ASSERT_ASKED("/d/login.html", NGINX, "REQUEST_URI=/d/", "DOCUMENT_URI=/d/login.html");
    ASSERT_ASKED("/d/index.d/x", NGINX, "REQUEST_URI=/d/", "DOCUMENT_URI=/d/index.d/x");
    ASSERT_ASKED("/b%20%25%3F%C3%A9%2541?x=%20y", NGINX, "REQUEST_URI=/a",
                 "DOCUMENT_URI=/b %?\xc3\xa9%41", "QUERY_STRING=x= y");
    ASSERT_ASKED("/b%252F", NGINX, "REQUEST_URI=/a", "DOCUMENT_URI=/b%2F");
    ASSERT_ASKED("/b%252F%25", APACHE, "REQUEST_URI=/a", "SCRIPT_NAME=/b%2F%");
    ASSERT_ASKED("/b/c", LIGHTTPD, "REQUEST_URI=/a", "SCRIPT_NAME=/b", "PATH_INFO=/c");

    struct request r;
    /* Where nothing is told nobody knows. */
    assert_int_equal(PARSE(&r, "REQUEST_URI=/a", "SCRIPT_NAME="), 500);
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a", "DOCUMENT_URI="), 500);
    assert_int_equal(PARSE(&r, "REQUEST_URI=/a?b", "SCRIPT_NAME=/a"), 500);
    config->rewritten_ignored = true;
    ASSERT_ASKED(NULL, "REQUEST_URI=/a", "SCRIPT_NAME=");
    config->rewritten_ignored = false;
    /* A directory's index, which a rule may have led to: asked for as it came, with a key of its own. */
    assert_int_equal(
        PARSE(&r, APACHE, "REQUEST_URI=/d/?a", "SCRIPT_NAME=/d/index.html", "QUERY_STRING=a"), 0);
    assert_null(r.asked.p);
    assert_true(slice_equal(r.script.name, slice_of("/d/index.html")));
    ASSERT_ASKED("/d/index.html?b", APACHE, "REQUEST_URI=/d/?a", "SCRIPT_NAME=/d/index.html",
                 "QUERY_STRING=b");
    /* No target at all. */
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a", "DOCUMENT_URI=denied"), 500);
    config->rewritten_ignored = true;
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a", "DOCUMENT_URI=denied"), 0);
    assert_true(r.script.name.n > 0);
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a", "DOCUMENT_URI=/b"), 0);
    config->rewritten_ignored = false;
    assert_null(r.asked.p);
    assert_true(r.script.name.n > 0);
    config->fastcgi = true;
    assert_int_equal(PARSE(&r, NGINX, "REQUEST_URI=/a", "DOCUMENT_URI=/b"), 0);
    config->fastcgi = false;
    assert_null(r.asked.p);
}

static void
settings_of_the_web_server_are_in_the_key_of_a_fastcgi_backend(void **state)
{
    (void)state;
    static const char *const without[] = {"TRACE_*"};
    const char *plain = FASTCGI_NAME("REQUEST_URI=/plain");
    char *const *const different[] = {
        (char *const[]){"SERVER_PORT=8080", NULL},
        (char *const[]){"ROLE=internal", NULL},
        (char *const[]){"ROLE=public", NULL},
        (char *const[]){"REDIRECT_MAGE_RUN_CODE=shop", NULL},
        (char *const[]){"SERVER_ENV=internal", NULL},
        (char *const[]){"PHP_VALUE=x", "ROLE=public", NULL},
        (char *const[]){"ROL=Epublic", NULL},
        (char *const[]){"TRACE_ID=1", NULL},
        (char *const[]){"no-gzip=1", NULL},
        (char *const[]){"GEOIP_COUNTRY_CODE=de", NULL},
        (char *const[]){"REMOTE_ROLE=internal", NULL},
        (char *const[]){"REDIRECT_REMOTE_ROLE=internal", NULL},
        (char *const[]){"FCGI_SITE=a", NULL},
        (char *const[]){"SSL_CLIENT_S_DN=CN=a", NULL},
        (char *const[]){"STATUS=a", NULL},
        (char *const[]){"SERVER_NAME=a", NULL},
        (char *const[]){"HTTPS=off", NULL},
        (char *const[]){"REQUEST_SCHEME=http", NULL},
        (char *const[]){"HTTPS=yes", NULL},
        (char *const[]){"HTTPS=on", NULL},
        (char *const[]){"DOCUMENT_URI=/b", NULL},
    };
    const char *seen[32] = {plain};
    size_t n = 1;
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        const char *name = fastcgi_name(different[i]);
        for (size_t k = 0; k < n; k++)
            assert_string_not_equal(name, seen[k]);
        seen[n++] = name;
    }
    assert_string_equal(
        FASTCGI_NAME("SCRIPT_NAME=/a.php", "PATH_INFO=/b"),
        FASTCGI_NAME("SCRIPT_NAME=/a.php", "PATH_INFO=/b", "DOCUMENT_URI=/a.php/b"));
    assert_string_equal(FASTCGI_NAME("B=1", "A=2"), FASTCGI_NAME("A=2", "B=1"));
    assert_string_equal(plain, FASTCGI_NAME("REMOTE_PORT=1", "UNIQUE_ID=x", "SSL_SESSION_ID=x",
                                            "REDIRECT_UNIQUE_ID=x", "REDIRECT_HTTP_X=y",
                                            "H2_PUSH=on", "REDIRECT_REDIRECT_STATUS=200",
                                            "GEOIP_ADDR=192.0.2.1", "REQUEST_ID=x"));
    /* Of a user for whom the request is passed, or whom the web server vouches for. */
    assert_string_equal(FASTCGI_NAME("SSL_CLIENT_VERIFY=SUCCESS"),
                        FASTCGI_NAME("SSL_CLIENT_VERIFY=SUCCESS", "SSL_CLIENT_S_DN=CN=a"));
    assert_string_equal(FASTCGI_NAME("ROLE=public"), FASTCGI_NAME("ROLE=x", "ROLE=public"));
    config->ignore_parameters = (struct string_list){(const char **)without, 1};
    assert_string_equal(plain, FASTCGI_NAME("TRACE_ID=1"));
    assert_string_equal(plain, FASTCGI_NAME("REDIRECT_TRACE_ID=1"));
    config->ignore_parameters = (struct string_list){NULL, 0};
    /* A backend that speaks HTTP sees none of it. */
    assert_string_equal(NAME("ROLE=internal"), NAME("SERVER_PORT=81"));
}

/* As PHP's applications read it: not empty, and not "off". */
static void
https_is_whatever_is_not_off(void **state)
{
    (void)state;
    static char *const on[] = {"HTTPS=on", "HTTPS=1", "HTTPS=yes", "HTTPS=https",
                               "REQUEST_SCHEME=https"};
    static char *const off[] = {"HTTPS=", "HTTPS=off", "HTTPS=OFF", "HTTPS=0",
                                "REQUEST_SCHEME=http"};
    struct request r;
    for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
        assert_int_equal(PARSE(&r, on[i]), 0);
        assert_slice(r.scheme, "https");
    }
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        assert_int_equal(PARSE(&r, off[i]), 0);
        assert_slice(r.scheme, "http");
    }
}

static void
a_claim_is_a_users(void **state)
{
    (void)state;
    static char *const claims[] = {"OIDC_CLAIM_sub=alice", "OIDC_access_token=x",
                                   "REDIRECT_OIDC_CLAIM_sub=alice"};
    static char *const none[] = {"OIDC_CLAIM_sub=", "OIDC_SITE=a", "CLAIM=x"};
    struct request r;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        assert_int_equal(PARSE(&r, claims[i]), 0);
        assert_true(r.authenticated);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(PARSE(&r, none[i]), 0);
        assert_false(r.authenticated);
    }
}

/* As PHP-FPM takes them; but what is said twice of the client is not the less for it. */
static void
of_what_comes_twice_the_last_counts(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, "REQUEST_URI=/a", "REQUEST_URI=/b", "HTTPS=on", "HTTPS="), 0);
    assert_slice(r.target, "/b");
    assert_false(r.https);
    assert_int_equal(PARSE(&r, "CONTENT_LENGTH=3", "CONTENT_LENGTH="), 0);
    assert_false(r.body_told);

    assert_int_equal(PARSE(&r, "REMOTE_USER=a", "REMOTE_USER="), 0);
    assert_true(r.authenticated);
    assert_int_equal(PARSE(&r, "AUTH_TYPE=", "AUTH_TYPE=Basic"), 0);
    assert_true(r.authenticated);
    assert_int_equal(PARSE(&r, "SSL_CLIENT_VERIFY=SUCCESS", "SSL_CLIENT_VERIFY=NONE"), 0);
    assert_true(r.client_certificate);
    /* An error's page has the URL of what was refused. */
    assert_int_equal(PARSE(&r, "REDIRECT_STATUS=403", "REDIRECT_STATUS=200"), 403);
    assert_int_equal(PARSE(&r, "REDIRECT_STATUS=200", "REDIRECT_STATUS=200"), 0);
    assert_false(r.error_page);

    assert_int_equal(PARSE(&r, "REMOTE_ADDR=192.0.2.1", "REMOTE_ADDR=10.0.0.1"), 0);
    assert_slice(r.remote_addr, "10.0.0.1");
    assert_true(r.address_in_doubt);
    assert_false(r.trusted_peer);
    assert_int_equal(PARSE(&r, "REMOTE_ADDR=10.0.0.1", "REMOTE_ADDR=10.0.0.1"), 0);
    assert_true(r.trusted_peer);
}

/* A client's second Host is refused by nginx and lighttpd; nobody knows what another web server does. */
static void
of_two_hosts_a_known_web_server_means_the_last(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, NGINX, "HTTP_HOST=a.test", "HTTP_HOST=b.test"), 0);
    assert_slice(r.host, "b.test");
    assert_slice(r.host_field, "b.test");
    assert_int_equal(PARSE(&r, LIGHTTPD, "HTTP_HOST=a.test", "HTTP_HOST=b.test"), 0);
    assert_slice(r.host, "b.test");
    assert_int_equal(PARSE(&r, "HTTP_HOST=a.test", "HTTP_HOST=b.test"), 400);
    assert_int_equal(PARSE(&r, "HTTP_HOST=a.test", "HTTP_HOST=a.test"), 0);
}

/* Hidden it is what it is; called like another it is held for neither. */
static void
a_web_server_that_gives_two_names_is_not_believed(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(PARSE(&r, NGINX, "SERVER_SOFTWARE=mine"), 0);
    assert_int_equal(r.mount, MOUNT_NGINX);
    assert_int_equal(PARSE(&r, "SERVER_SOFTWARE=mine", NGINX), 0);
    assert_int_equal(r.mount, MOUNT_NGINX);
    assert_int_equal(PARSE(&r, LIGHTTPD, NGINX), 0);
    assert_int_equal(r.mount, MOUNT_OTHER);
    assert_int_equal(PARSE(&r, LIGHTTPD, NGINX, "SERVER_SOFTWARE=mine"), 0);
    assert_int_equal(r.mount, MOUNT_LIGHTTPD);
}

/* Not mixed with what is asked for by the visitor's URL, nor with another rewriting's. */
static void
what_was_rewritten_has_a_key_of_its_own(void **state)
{
    (void)state;
    const char *plain = NAME(NGINX, "REQUEST_URI=/plain", "DOCUMENT_URI=/plain");
    const char *rewritten = NAME(NGINX, "REQUEST_URI=/plain", "DOCUMENT_URI=/query");
    assert_string_equal(plain, NAME("REQUEST_URI=/plain"));
    assert_string_not_equal(plain, rewritten);
    assert_string_not_equal(rewritten, NAME("REQUEST_URI=/query"));
    assert_string_not_equal(
        rewritten, NAME(NGINX, "REQUEST_URI=/plain", "DOCUMENT_URI=/plain", "QUERY_STRING=a"));
    config->rewritten_ignored = true;
    assert_string_not_equal(rewritten, NAME(NGINX, "REQUEST_URI=/plain", "DOCUMENT_URI=/query"));
    assert_string_equal(plain, NAME(NGINX, "REQUEST_URI=/plain", "DOCUMENT_URI=/plain"));
    config->rewritten_ignored = false;
    /* What the route leaves out of the visitor's query is not in the rewritten one either. */
    struct exchange *x = EXAMINED(NGINX, "REQUEST_URI=/query?b=1&utm_source=x&a=2",
                                  "DOCUMENT_URI=/plain", "QUERY_STRING=q=1&b=1&utm_source=x&a=2");
    assert_true(slice_equal(x->key.asked, slice_of("/plain?q=1&b=1&a=2")) ||
                slice_equal(x->key.asked, slice_of("/plain?q=1&a=2&b=1")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back_from_parameters),
        cmocka_unit_test(absolute_form_is_cut),
        cmocka_unit_test(absolute_form_with_another_host_is_refused),
        cmocka_unit_test(without_request_uri_the_target_is_encoded_again),
        cmocka_unit_test(targets_that_would_split_a_line_are_refused),
        cmocka_unit_test(too_many_fields_are_431),
        cmocka_unit_test(authorization_survives_under_any_of_its_names),
        cmocka_unit_test(an_empty_user_is_none),
        cmocka_unit_test(body_length_is_known_unknown_or_none),
        cmocka_unit_test(only_a_trusted_peer_may_say_who_asked),
        cmocka_unit_test(no_cookie_hides_behind_a_comma),
        cmocka_unit_test(a_vouched_field_is_not_to_be_meddled_with),
        cmocka_unit_test(behind_lighttpd_only_a_name_with_one_spelling_vouches),
        cmocka_unit_test(two_spellings_of_a_field_are_refused),
        cmocka_unit_test(what_a_trusted_proxy_sets_is_not_taken_away),
        cmocka_unit_test(whatever_can_change_the_answer_is_in_the_key),
        cmocka_unit_test(the_script_is_in_the_key_of_a_fastcgi_backend),
        cmocka_unit_test(a_rewritten_query_has_nothing_of_what_the_route_leaves_out),
        cmocka_unit_test(a_claimed_user_has_credentials_in_the_key),
        cmocka_unit_test(users_are_apart_and_escaped),
        cmocka_unit_test(an_unopened_cookie_passes_and_a_missing_user_is_seen),
        cmocka_unit_test(a_cacheable_miss_takes_no_unkeyed_input_along),
        cmocka_unit_test(whole_families_of_fields_stay_behind_but_for_the_user),
        cmocka_unit_test(what_stands_for_a_visitors_fields_is_the_same_for_all),
        cmocka_unit_test(fields_that_are_credentials_pass),
        cmocka_unit_test(a_pass_goes_as_it_came),
        cmocka_unit_test(a_pool_has_one_name_and_another_pool_another),
        cmocka_unit_test(a_request_that_comes_back_is_known_by_either_field),
        cmocka_unit_test(a_fastcgi_backend_gets_a_pass_as_it_came),
        cmocka_unit_test(a_shared_miss_leaves_out_for_fastcgi_what_it_leaves_out_for_http),
        cmocka_unit_test(what_a_trusted_proxy_says_reaches_a_script),
        cmocka_unit_test(what_the_route_ignores_is_in_no_query),
        cmocka_unit_test(what_the_route_ignores_is_in_no_query_however_it_is_spelled),
        cmocka_unit_test(a_shared_miss_has_no_type_of_a_body),
        cmocka_unit_test(a_length_that_was_counted_is_told),
        cmocka_unit_test(credentials_under_another_name_come_under_that),
        cmocka_unit_test(parameters_outlive_their_connection_and_are_bounded),
        cmocka_unit_test(a_page_for_an_error_is_no_page),
        cmocka_unit_test(dot_segments_are_what_the_web_server_has_read),
        cmocka_unit_test(a_rewriting_is_told_from_a_spelling),
        cmocka_unit_test(what_was_rewritten_has_a_key_of_its_own),
        cmocka_unit_test(settings_of_the_web_server_are_in_the_key_of_a_fastcgi_backend),
        cmocka_unit_test(https_is_whatever_is_not_off),
        cmocka_unit_test(a_claim_is_a_users),
        cmocka_unit_test(of_what_comes_twice_the_last_counts),
        cmocka_unit_test(of_two_hosts_a_known_web_server_means_the_last),
        cmocka_unit_test(a_web_server_that_gives_two_names_is_not_believed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
