/* Whole configurations: what is accepted, what is refused and where, and that the table, the
 * example and the manual say the same. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/shown.h"
#include "client/store.h"
#include "config/config.h"
#include "config/options.h"
#include "routing/route.h"
#include "upstream/url.h"

#define URL "upstream = { url = \"http://127.0.0.1:8080\"; };\n"

static char dir[] = "/tmp/larder-config.XXXXXX";

static int
make_dir(void **state)
{
    (void)state;
    unsetenv("LARDER_REDIS_PASSWORD");
    unsetenv("LARDER_PRESET_DIR");
    return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void
path_of(char *buf, size_t size, const char *name)
{
    assert_in_range(snprintf(buf, size, "%s/%s", dir, name), 1, size - 1);
}

static void
write_bytes(const char *name, const char *text, size_t n, mode_t mode)
{
    char path[512];
    path_of(path, sizeof path, name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void
write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text), 0600);
}

/* NULL: refused, message is without the directory in front. */
static struct config *
load(const char *name, char message[LARDER_ERROR_MAX])
{
    char path[512];
    struct larder_error err = {0};
    path_of(path, sizeof path, name);
    struct config *config = config_load(path, &err);
    size_t n = strlen(dir) + 1;
    message[0] = '\0';
    if (!config) {
        assert_int_equal(err.status, LARDER_INVALID);
        snprintf(message, LARDER_ERROR_MAX, "%s",
                 strncmp(err.message, dir, n - 1) == 0 ? err.message + n : err.message);
    }
    return config;
}

static struct config *
load_text(const char *text)
{
    char message[LARDER_ERROR_MAX];
    write_file("t.conf", text);
    struct config *config = load("t.conf", message);
    if (!config)
        fail_msg("%s\n%s", text, message);
    return config;
}

static void
refuse(const char *text, const char *expected)
{
    char message[LARDER_ERROR_MAX];
    write_file("t.conf", text);
    struct config *config = load("t.conf", message);
    if (config || strcmp(message, expected) != 0)
        fail_msg("%s\nexpected: %s\nfound:    %s", text, expected, config ? "accepted" : message);
}

struct refusal {
    const char *text;
    const char *message;
};

static void
refuse_all(const struct refusal *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refuse(list[i].text, list[i].message);
}

#define REFUSE_ALL(list) refuse_all(list, sizeof(list) / sizeof((list)[0]))

/* ------------------------------------------------------------------ grammar */

static void
grammar_is_checked_at_the_right_line(void **state)
{
    static const struct refusal list[] = {
        {"\n\n/* a\n b\n", "t.conf:3: found a comment without its end, expected */"},
        {"x = \"abc\ny = 1;\n",
         "t.conf:1: found a string without its closing quote, expected \" on this line"},
        {"\nx = \"abc", "t.conf:2: found a string without its closing quote, expected \" on this "
                        "line"},
        {"\nx = \"a\tb\";", "t.conf:2: found a control character in a string"},
        {"x = \"\\q\";", "t.conf:1: found a lone backslash in a string, expected \\\\ for a "
                         "backslash or \\\" for a quote"},
        {"x = \"a\\x00b\";", "t.conf:1: found \\x00 in a string"},
        {"cache = {\n  budget =\n\n  enabled = true;\n};",
         "t.conf:2: `budget` has no value: found `enabled` after ="},
        {"cache = {\n  budget =\n\n};", "t.conf:2: `budget` has no value: found `}` after ="},
        {"cache = {\n  budget = ;\n};", "t.conf:2: `budget` has no value: found `;` after ="},
        {"# a\rcache = {\r enabled = on;\r};", "t.conf:3: found `on`, expected true or false"},
        {"cache = {\n enabled = Yes;\n};", "t.conf:2: found `Yes`, expected true or false"},
        {"cache = {\n budget = 30s;\n};", "t.conf:2: found `30s`, expected it in quotes: \"30s\""},
        {"log = {\n to = syslog;\n};",
         "t.conf:2: found `syslog`, expected it in quotes: \"syslog\""},
        /* No secret in a message, whatever is wrong with its line. */
        {"redis = {\n password = s3cret;\n};",
         "t.conf:2: found `...`, expected it in quotes: \"...\""},
        {"redis = { pasword = s3cret; };", "t.conf:1: found `...`, expected it in quotes: \"...\""},
        {"admin = {\n tokn: s3cret;\n};", "t.conf:2: found `...`, expected it in quotes: \"...\""},
        {"redis = {\n password = \"a\"s3cret\";\n};",
         "t.conf:2: found `\"` after `...`, expected ="},
        {"redis = {\n password = s3cret = \"a\";\n};",
         "t.conf:2: `password` has no value: found `...` after ="},
        {"redis = {\n password = \"a\" 5s3cret;\n};", "t.conf:2: found `...`, expected ;"},
        {"redis = {\n password = 123456789012345;\n};",
         "t.conf:2: found ..., expected an integer of 32 bits (sizes and durations are strings: "
         "\"8M\", \"30s\")"},
        {"redis = {\n password = \"a\";\n port = x;\n};",
         "t.conf:3: found `x`, expected it in quotes: \"x\""},
        {"log = {\n to \"syslog\";\n};", "t.conf:2: found `\"` after `to`, expected ="},
        {"log = {\n 5 = 1;\n};", "t.conf:2: found `5`, expected the name of a setting, or }"},
        {"log.to = \"syslog\";", "t.conf:1: found `log.to`, expected the name of a setting"},
        {"true = 1;", "t.conf:1: found `true`, expected the name of a setting"},
        {"log = { };;", "t.conf:1: found `;`, expected the name of a setting"},
        {"routes = (\n {path = \"/\";},\n);", "t.conf:3: found a comma before `)`, expected none"},
        {"a = [\n\"x\"\n\"y\"];", "t.conf:3: found `\"`, expected a comma or ]"},
        {"a = (\"x\" 5);", "t.conf:1: found `5`, expected a comma or )"},
        {"a = (\"x\"; 5);", "t.conf:1: found `;`, expected a comma or )"},
        {"a = [{b = 1;}];", "t.conf:1: found `{` within [ ], expected a string, a number, true or "
                            "false"},
        {"a = {\nb = 1;\n", "t.conf:1: found `{` without its end"},
        {"a = {\nb = (1;\n}", "t.conf:2: found `;`, expected a comma or )"},
        {"a = {\nb = (1\n}", "t.conf:3: found `}`, but `(` of line 2 is open"},
        {"}", "t.conf:1: found `}` where nothing is open"},
        {"a = 1;\nb", "t.conf:2: found the end of the file after `b`, expected ="},
        {"a = 1;\nb =", "t.conf:2: found the end of the file after `b`, expected a value"},
        {"a = $;", "t.conf:1: `a` has no value: found `$` after ="},
        {"\n\x01", "t.conf:2: found byte 0x01 outside a string"},
        {"a = 1;\n\xc3\xbc = 2;", "t.conf:2: found byte 0xc3 outside a string"},
        {"a = 1;\nb = \xe2\x80\x9cx\xe2\x80\x9d;", "t.conf:2: found a typographic quote, expected "
                                                   "\" (as editors for letters and web pages do "
                                                   "not write it)"},
        {"cache = {};\nlog = {};\ncache = {};",
         "t.conf:3: found `cache` a second time, first in line 1"},
        {"cache = {\n budget = \"1s\";\n budget = \"2s\";\n};",
         "t.conf:3: found `budget` a second time, first in line 2"},
        {" x = 1; @include \"a\"",
         "t.conf:1: found `@`, expected it only as @include \"FILE\" on a line of its own"},
        {"@includes \"a\"", "t.conf:1: found @include without a file, expected @include \"FILE\""},
        {"@include a", "t.conf:1: found @include without a file, expected @include \"FILE\""},
        {"@include \"a", "t.conf:1: found @include without a file, expected @include \"FILE\""},
        {"a=[[", "t.conf:1: found `[` within [ ], expected a string, a number, true or false"},
        {"a=((((((((((((((((((((((((((((((((((((", "t.conf:1: brackets are nested more than 32 "
                                                   "deep"},
    };
    (void)state;
    REFUSE_ALL(list);
    write_bytes("t.conf", "a\0b", 3, 0600);
    char message[LARDER_ERROR_MAX];
    assert_null(load("t.conf", message));
    assert_string_equal(message, "t.conf:1: found byte 0x00 outside a string");
}

/* libconfig would wrap each of them around. */
static void
integers_beyond_32_bits_are_refused_as_written(void **state)
{
    static const char *const written[] = {
        "3000000000",
        "8589934592",
        "-3000000000",
        "2147483648",
        "+99999999999",
        "5000000000L",
        "0xffffffff",
        "0x1ffffffffL",
        "99999999999999999999",
        "9223372036854775808LL",
        "1111111111111111111111111111111111111111111111111111111111111111",
    };
    (void)state;
    for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
        char text[256], expected[256];
        snprintf(text, sizeof text, URL "redis = {\n port = %s;\n};", written[i]);
        snprintf(expected, sizeof expected,
                 "t.conf:3: found %.40s%s, expected an integer of 32 bits (sizes and durations are "
                 "strings: \"8M\", \"30s\")",
                 written[i], strlen(written[i]) > 40 ? "..." : "");
        refuse(text, expected);
    }
    refuse(URL "redis = {\n port = 2147483647;\n};",
           "t.conf:3: redis.port: found the integer 2147483647, expected an integer from 1 to "
           "65535");
    config_free(load_text(URL "redis = { port = 0x18eb; database = 7L; };"));
}

static void
grammar_allows_what_libconfig_does(void **state)
{
    (void)state;
    struct config *config =
        load_text("\xef\xbb\xbf# comment\r\n// another\r\n/* and\n a third */\r\n"
                  "upstream : { url = \"http://\" /* joined */ \n \"127.0.0.1:8080\" },\r\n"
                  "redis = { port = 0x10 host = \"a\" } log = {requests = TRUE; level=\"debug\",};"
                  "cache={enabled=False}\nroutes = ( );");
    assert_string_equal(config->upstream.url, "http://127.0.0.1:8080");
    assert_int_equal(config->redis.port, 16);
    assert_string_equal(config->redis.host, "a");
    assert_true(config->log_requests);
    assert_false(config->cache_enabled);
    assert_false(config->redis.enabled);
    assert_int_equal(config->routes.count, 0);
    config_free(config);
}

/* ----------------------------------------------------------------- includes */

static void
includes_stand_beside_their_file_and_keep_their_lines(void **state)
{
    char path[512];
    char message[LARDER_ERROR_MAX];
    (void)state;
    path_of(path, sizeof path, "sub");
    mkdir(path, 0700);
    write_file("main.conf", URL "\n@include \"sub/a.conf\" # here\ncache = {\n budget = 5;\n};\n");
    write_file("sub/a.conf", "redis = {\n  @include \"b.conf\"\n  database = 3;\n};\n");
    write_file("sub/b.conf", "port = 7000;");
    assert_null(load("main.conf", message));
    assert_string_equal(message, "main.conf:5: cache.budget: found the integer 5, expected a "
                                 "duration with its unit, such as \"5s\"");

    write_file("main.conf", URL "\n@include \"sub/a.conf\"\n");
    struct config *config = load("main.conf", message);
    assert_non_null(config);
    assert_int_equal(config->redis.port, 7000);
    assert_int_equal(config->redis.database, 3);
    config_free(config);

    write_file("sub/b.conf", "/* two\nlines */ port = 70000;");
    assert_null(load("main.conf", message));
    assert_string_equal(message, "sub/b.conf:2: redis.port: found the integer 70000, expected an "
                                 "integer from 1 to 65535");
    write_file("sub/b.conf", "host = \"a\";\nport");
    assert_null(load("main.conf", message));
    assert_string_equal(message, "sub/a.conf:3: found `database` after `port`, expected =");
    write_file("sub/b.conf", "port = 7000;\n/*");
    assert_null(load("main.conf", message));
    assert_string_equal(message, "sub/b.conf:2: found a comment without its end, expected */");
    write_file("sub/b.conf", "port = 7000;\n)");
    assert_null(load("main.conf", message));
    char expected[512];
    snprintf(expected, sizeof expected,
             "sub/b.conf:2: found `)`, but `{` of line 1 is open in %s/sub/a.conf", dir);
    assert_string_equal(message, expected);

    write_file("sub/b.conf", "\nprt = 7000;");
    assert_null(load("main.conf", message));
    assert_string_equal(message, "sub/b.conf:2: unknown setting `prt` in redis; did you mean "
                                 "`port`?");
}

static void
includes_that_cannot_be_read_are_errors_of_their_line(void **state)
{
    char message[LARDER_ERROR_MAX];
    char text[256];
    (void)state;
    snprintf(text, sizeof text, "\n@include \"/nonexistent/larder.conf\"");
    refuse(text, "t.conf:2: cannot read /nonexistent/larder.conf: No such file or directory");
    refuse("\n@include \"/\"", "t.conf:2: cannot read /: not a regular file");

    write_file("self.conf", "\n\n@include \"self.conf\"\n");
    assert_null(load("self.conf", message));
    char expected[512];
    snprintf(expected, sizeof expected, "self.conf:3: %s/self.conf includes itself", dir);
    assert_string_equal(message, expected);
    write_file("one.conf", "@include \"two.conf\"\n");
    write_file("two.conf", "\n@include \"./one.conf\"\n");
    assert_null(load("one.conf", message));
    snprintf(expected, sizeof expected, "two.conf:2: %s/./one.conf includes itself", dir);
    assert_string_equal(message, expected);

    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "deep%d.conf", i);
        snprintf(text, sizeof text, "@include \"deep%d.conf\"\n", i + 1);
        write_file(name, i < 10 ? text : i == 10 ? URL : "");
    }
    struct config *config = load("deep0.conf", message);
    assert_non_null(config);
    config_free(config);
    write_file("deep10.conf", "\n@include \"deep11.conf\"");
    assert_null(load("deep0.conf", message));
    assert_string_equal(message, "deep10.conf:2: @include is nested more than 10 deep");

    write_file("twice.conf", "# nothing\n");
    config_free(load_text(URL "@include \"twice.conf\"\n@include \"twice.conf\"\n"));
}

static void
files_that_cannot_be_read_say_why(void **state)
{
    char message[LARDER_ERROR_MAX];
    (void)state;
    assert_null(load("nothing.conf", message));
    assert_string_equal(message, "nothing.conf: cannot read the file: No such file or directory");
    assert_null(load("", message));
    assert_string_equal(message, ": cannot read the file: not a regular file");
    if (geteuid() != 0) {
        write_bytes("secret.conf", URL, strlen(URL), 0000);
        assert_null(load("secret.conf", message));
        assert_non_null(
            strstr(message, "secret.conf: cannot read the file: Permission denied for "));
    }
    refuse("", "t.conf: upstream.url is not set, expected the backend's URL");
    refuse("\n\nupstream = {\n};", "t.conf:3: upstream.url is not set, expected the backend's URL");
}

/* ----------------------------------------------------------- types and names */

static void
unknown_settings_name_the_nearest(void **state)
{
    static const struct refusal list[] = {
        {URL "cach = {};", "t.conf:2: unknown setting `cach`; did you mean `cache`?"},
        {URL "route = ();", "t.conf:2: unknown setting `route`; did you mean `routes`?"},
        {URL "ttl = 5;", "t.conf:2: unknown setting `ttl`; did you mean `routes.ttl`?"},
        {URL "redis = { port = 1; };\nport = 1;",
         "t.conf:3: unknown setting `port`; did you mean `redis.port`?"},
        {URL "qwerty = 5;", "t.conf:2: unknown setting `qwerty`"},
        {URL "redis = {\n prot = 1;\n};",
         "t.conf:3: unknown setting `prot` in redis; did you mean `port`?"},
        {URL "redis = {\n\n budget = 1;\n};",
         "t.conf:4: unknown setting `budget` in redis; did you mean `cache.budget`?"},
        {URL "redis = { x = 1; };", "t.conf:2: unknown setting `x` in redis"},
        {URL "routes = ({\n path = \"/\";\n ttll = \"1s\";\n});",
         "t.conf:4: unknown setting `ttll` in routes; did you mean `ttl`?"},
        {URL "routes = ({ path = \"/\"; cookies = {\n ignored = []; };});",
         "t.conf:3: unknown setting `ignored` in routes.cookies; did you mean `ignore`?"},
        {URL "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz = 1;",
         "t.conf:2: unknown setting `abcdefghijklmnopqrstuvwxyzabcdefghijklmn...`"},
    };
    (void)state;
    REFUSE_ALL(list);
}

static void
types_are_named_in_words(void **state)
{
    static const struct refusal list[] = {
        {URL "redis = {\n port = \"6379\";\n};",
         "t.conf:3: redis.port: found \"6379\", expected an integer from 1 to 65535"},
        {URL "redis = { port = 6379.5; };",
         "t.conf:2: redis.port: found the number 6379.5, expected an integer from 1 to 65535"},
        {"redis = {\n port = 6379.0;\n};",
         "t.conf:2: redis.port: found the number 6379.0, expected an integer from 1 to 65535"},
        {URL "redis = { port = true; };",
         "t.conf:2: redis.port: found true, expected an integer from 1 to 65535"},
        {URL "redis = { host = 127; };",
         "t.conf:2: redis.host: found the integer 127, expected a string of 1 to 255 bytes"},
        {URL "redis = { host = [\"a\"]; };",
         "t.conf:2: redis.host: found a list, expected a string of 1 to 255 bytes"},
        {URL "redis = { host = \"\"; };",
         "t.conf:2: redis.host: found \"\", expected a string of 1 to 255 bytes"},
        {URL "redis = { password = 12345; };",
         "t.conf:2: redis.password: found a value, expected a string of 1 to 4096 bytes"},
        {URL "admin = { token = 12345; };",
         "t.conf:2: admin.token: found a value, expected a string of 16 to 4096 bytes"},
        {URL "admin = { token = \"s3cret\"; };",
         "t.conf:2: admin.token: found a value, expected a string of 16 to 4096 bytes"},
        {URL "cache = { enabled = 1; };",
         "t.conf:2: cache.enabled: found the integer 1, expected true or false, without quotes"},
        {URL "cache = { enabled = \"yes\"; };",
         "t.conf:2: cache.enabled: found \"yes\", expected true or false, without quotes"},
        {URL "cache = { budget = 0; };", "t.conf:2: cache.budget: found the integer 0, expected a "
                                         "duration with its unit, such as \"0s\""},
        {URL "cache = { budget = \"50\"; };",
         "t.conf:2: cache.budget: found \"50\", expected a duration in quotes from 1ms to 10s, "
         "such as \"30s\""},
        {URL "cache = { budget = \"11s\"; };",
         "t.conf:2: cache.budget: found \"11s\", expected a duration in quotes from 1ms to 10s, "
         "such as \"30s\""},
        {URL "cache = { max_object = 8; };", "t.conf:2: cache.max_object: found the integer 8, "
                                             "expected a size with its unit, such as \"8M\""},
        {URL "cache = { max_object = \"257M\"; };",
         "t.conf:2: cache.max_object: found \"257M\", expected a size in quotes from 1 to 256M, "
         "such as \"8M\""},
        {URL "cache = { store_queue_count = -1; };",
         "t.conf:2: cache.store_queue_count: found the integer -1, expected an integer from 1 to "
         "1000000"},
        {URL "cache = { compat = \"yes\"; };",
         "t.conf:2: cache.compat: found \"yes\", expected in quotes none or ancestor"},
        {URL "log = { to = \"stdout\"; };",
         "t.conf:2: log.to: found \"stdout\", expected in quotes syslog, file or stderr"},
        {URL "cache = 5;", "t.conf:2: cache: found the integer 5, expected a group: { ... }"},
        {URL "cache = ({});", "t.conf:2: cache: found a list, expected a group: { ... }"},
        {URL "routes = {\n};",
         "t.conf:2: routes: expected a list of at most 4096 groups: ( { ... }, { ... } )"},
        {URL "routes = (\n {path = \"/\";},\n 5);",
         "t.conf:4: routes: found the integer 5, expected a group: { ... }"},
        {URL "routes = ({path = \"/\"; methods = \"GET\";});",
         "t.conf:2: routes.methods: found \"GET\", expected a list of strings, at most 32: "
         "[\"...\", \"...\"]"},
        {URL "routes = ({path = \"/\"; methods = (\n\"GET\",\n5);});",
         "t.conf:4: methods: found the integer 5, expected a string in quotes"},
        {URL "routes = ({path = \"/\"; methods = [\"\"];});",
         "t.conf:2: methods: found \"\", expected 1 to 1024 bytes without control characters"},
        {URL "routes = ({path = \"/\"; cookies = [\"a\"];});",
         "t.conf:2: routes.cookies: found a list, expected a group: { ... }"},
        {URL "routes = ({path = \"/\"; ttl = \"31d\";});",
         "t.conf:2: routes.ttl: found \"31d\", expected a duration in quotes from 0 to 30d, such "
         "as \"30s\""},
        {URL "redis = { user = \"a\\nb\"; };", "t.conf:2: redis.user: found a control character"},
    };
    (void)state;
    REFUSE_ALL(list);
}

/* Every number, duration and size of the table, at its ends and just beyond. */
static void
ranges_hold_at_their_ends(void **state)
{
    char text[512];
    char message[LARDER_ERROR_MAX];
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];
        bool number = option->type == OPTION_INT || option->type == OPTION_COUNT;
        if ((!number && option->type != OPTION_DURATION && option->type != OPTION_SIZE) ||
            strchr(option->section, '.') || strcmp(option->section, "routes") == 0 ||
            strcmp(option->section, "upstream") == 0)
            continue;
        const int64_t values[] = {option->min - 1, option->min, option->max, option->max + 1};
        for (int k = 0; k < 4; k++) {
            const char *unit = option->type == OPTION_DURATION ? "ms" : "";
            const char *quote = number ? "" : "\"";
            snprintf(text, sizeof text, URL "%s = {\n %s = %s%lld%s%s;\n};", option->section,
                     option->name, quote, (long long)values[k], unit, quote);
            write_file("t.conf", text);
            struct config *config = load("t.conf", message);
            bool in = k == 1 || k == 2;
            /* Within its range an option may still contradict the default of another. */
            bool range = !config && strstr(message, ", expected a");
            if (in ? range : config || strncmp(message, "t.conf:3: ", 10) != 0)
                fail_msg("%s%s", text, message);
            config_free(config);
        }
    }
}

/* ----------------------------------------------------------- contradictions */

static void
contradictions_are_refused(void **state)
{
    static const struct refusal list[] = {
        {URL "redis = {\n host = \"a\";\n socket = \"/s\";\n};",
         "t.conf:4: redis.socket: host or port is set as well, expected one or the other"},
        {URL "redis = {\n host = \"/run/redis.sock\";\n};",
         "t.conf:3: redis.host: found \"/run/redis.sock\", expected a name or an address; the path "
         "of "
         "a Unix socket is redis.socket"},
        {URL "redis = {\n host = \"db:6379\";\n};",
         "t.conf:3: redis.host: found \"db:6379\", expected a name or an address alone, without "
         "brackets; the port is redis.port"},
        {URL "redis = {\n host = \"u:s3cretpw@h\";\n};",
         "t.conf:3: redis.host: found \"...@h\", expected a name or an address alone, without "
         "brackets; the port is redis.port"},
        {URL "redis = {\n host = \"http:/u:s3cretpw@h\";\n};",
         "t.conf:3: redis.host: found \"http:/...@h\", expected a name or an address; the path of "
         "a "
         "Unix socket is redis.socket"},
        {"upstream = {\n url = \"http:/u:s3cretpw@h\";\n};",
         "t.conf:2: upstream.url: found \"http:/...@h\", expected " UPSTREAM_URL_FORMS},
        {"upstream = {\n url = \"http://u:s3cretpw\";\n};",
         "t.conf:2: upstream.url: found \"http://u:...\", expected " UPSTREAM_URL_FORMS},
        {"upstream = {\n url = \"http://u%3as3cretpw%40h/\";\n};",
         "t.conf:2: upstream.url: found \"http://...%40h/\", expected " UPSTREAM_URL_FORMS},
        {URL "redis = {\n host = \"[::1]\";\n};",
         "t.conf:3: redis.host: found \"[::1]\", expected a name or an address alone, without "
         "brackets; the port is redis.port"},
        {URL "redis = {\n host = \"db \";\n};",
         "t.conf:3: redis.host: found \"db \", expected a name or an address alone"},
        {URL "redis = {\n host = \"redis://db:6379/0\";\n};",
         "t.conf:3: redis.host: found \"redis://db:6379/0\", expected a name or an address alone; "
         "the "
         "port, the user and the number of the database have settings of their own"},
        {URL "redis = {\n password = \"a\";\n password_file = \"/s\";\n};",
         "t.conf:4: redis.password_file: redis.password is set as well, expected one"},
        {URL "redis = {\n user = \"larder\";\n};",
         "t.conf:3: redis.user: found \"larder\" without a password, expected redis.password, "
         "redis.password_file or LARDER_REDIS_PASSWORD"},
        {URL "redis = {\n pool_max = 5;\n pool_max_idle = 6;\n};",
         "t.conf:4: redis.pool_max_idle: found 6, expected no more than pool_max, 5"},
        {URL "redis = {\n pool_min_idle = 26;\n};",
         "t.conf:3: redis.pool_min_idle: found 26, expected no more than pool_max_idle, 25"},
        {URL "redis = {\n retry_min = \"1s\";\n};",
         "t.conf:3: redis.retry_min: 1000ms is more than retry_max, 512ms"},
        {URL "redis = {\n retry_max = \"1ms\";\n};",
         "t.conf:3: redis.retry_min: 8ms is more than retry_max, 1ms"},
        {URL "redis = {\n namespace = \"a*\";\n};",
         "t.conf:3: redis.namespace: found \"a*\", expected letters, digits, _ - . and :"},
        {URL "cache = {\n max_object = \"65M\";\n};",
         "t.conf:3: cache.store_queue_bytes: 67108864 bytes are less than max_object, 68157440: "
         "such a response would never be stored"},
        {URL "log = {\n to = \"file\";\n};",
         "t.conf:3: log.to: found \"file\", but log.file is not set"},
        {URL "log = {\n file = \"/x\";\n};", "t.conf:3: log.file: log.to is not \"file\""},
        {"upstream = {\n url = \"http://a\";\n tls_ca_file = \"/dev/null\";\n};",
         "t.conf:3: upstream.tls_ca_file: the url is not https"},
        {"upstream = {\n url = \"http://a\";\n ignore_parameters = [\"A\"];\n};",
         "t.conf:3: upstream.ignore_parameters: a backend that speaks HTTP gets no parameters, so "
         "none is in the key: take it out"},
        {"upstream = {\n url = \"fastcgi+unix:/run/a\";\n rewritten = \"ignore\";\n};",
         "t.conf:3: upstream.rewritten: a FastCGI backend gets what the web server says of the "
         "script, whatever this says: take it out"},
        {"upstream = {\n url = \"https://a\";\n tls_verify = false;\n tls_ca_file = \"/x\";\n};",
         "t.conf:4: upstream.tls_ca_file: tls_verify is false"},
        {"upstream = {\n url = \"https://a\";\n tls_ca_file = \"/nonexistent\";\n};",
         "t.conf:3: upstream.tls_ca_file: cannot read /nonexistent: No such file or directory"},
        {"upstream = {\n url = \"http://a\";\n trusted_proxies = [\"10.0.0.0/8\",\n "
         "\"10.0.0.1/8\"];\n};",
         "t.conf:4: upstream.trusted_proxies: found \"10.0.0.1/8\", expected a block whose bits "
         "after the prefix are zero"},
        {"upstream = {\n url = \"http://a\";\n trusted_proxies = [\"proxy.example\"];\n};",
         "t.conf:3: upstream.trusted_proxies: found \"proxy.example\", expected an IPv4 or IPv6 "
         "address, or a block such as \"10.0.0.0/8\""},
        {"upstream = {\n url = \"http://a\";\n trusted_fields = [\"X_User\"];\n};",
         "t.conf:3: upstream.trusted_fields: found \"X_User\", expected the name of a field, of "
         "letters, digits and - alone"},
    };
    (void)state;
    REFUSE_ALL(list);
}

static void
urls_are_of_one_of_the_forms(void **state)
{
    static const char *const good[] = {
        "http://127.0.0.1:8080", "http://backend",        "https://backend.example:8443",
        "http://[::1]:8080",     "https://[2001:db8::1]", "http+unix:/run/app.sock",
        "fastcgi://[::1]:9000",  "fastcgi://php:9000",    "fastcgi+unix:/run/php/fpm.sock",
    };
    static const char *const bad[] = {
        "127.0.0.1:8080",     "ftp://a",     "http://",        "http://:80",
        "http://a:",          "http://a:0",  "http://a:65536", "http://a:8o",
        "http://a/path",      "http://a?@",  "http://a?b",     "http://a b",
        "http+unix:relative", "http+unix:/", "http+unix://",   "HTTP://a",
        "http://[::1",        "http://[]",   "http://a:80:80", "https//a",
        "http://a:000080",    "http://a#b",  "http://a:+80",   "http://[::1]x",
        "fastcgi://php",      "fcgi://a:1",  "fastcgi:/a",     "fastcgi+unix:a",
        "fastcgi+unix:/a b",
    };
    char text[512], expected[512], shown[SHOWN_URL_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(text, sizeof text, "upstream = { url = \"%s\"; };", good[i]);
        struct config *config = load_text(text);
        assert_string_equal(config->upstream.url, good[i]);
        config_free(config);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (strcmp(bad[i], "http+unix://") == 0)
            continue; /* a socket whose name is a slash: refused when it is dialled */
        snprintf(text, sizeof text, "upstream = {\n url = \"%s\"; };", bad[i]);
        snprintf(expected, sizeof expected,
                 "t.conf:2: upstream.url: found \"%s\", expected http://HOST[:PORT], "
                 "https://HOST[:PORT], http+unix:/PATH, fastcgi://HOST:PORT or fastcgi+unix:/PATH",
                 shown_url(shown, bad[i], strlen(bad[i])));
        refuse(text, expected);
    }
}

static void
what_stands_before_the_host_is_not_shown(void **state)
{
    static const char *const urls[][2] = {
        {"http://u:s3cret@host", "http://...@host"},
        {"http://u:s3/cr?et@host:80/", "http://...@host:80/"},
        {"u:s3cret@host:80", "...@host:80"},
        {"fastcgi://s3cret@[::1]:9000", "fastcgi://...@[::1]:9000"},
        {"http://u:s3@cret@host/@name", "http://...@host/@name"},
        {"http://host:80/@name", "http://host:80/@name"},
        {"http://[::1]/@name", "http://[::1]/@name"},
    };
    char text[512], expected[512];
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        snprintf(text, sizeof text, "upstream = {\n url = \"%s\"; };", urls[i][0]);
        snprintf(expected, sizeof expected,
                 "t.conf:2: upstream.url: found \"%s\", expected http://HOST[:PORT], "
                 "https://HOST[:PORT], http+unix:/PATH, fastcgi://HOST:PORT or fastcgi+unix:/PATH",
                 urls[i][1]);
        refuse(text, expected);
    }
}

static void
backends_are_one_or_several_of_one_protocol(void **state)
{
    static const struct refusal list[] = {
        {"upstream = {\n url = \"http://a\";\n urls = [\"http://b\"]; };",
         "t.conf:3: upstream.urls: url is set as well, expected one"},
        {"upstream = {\n urls = []; };", "t.conf:2: upstream.urls: found no backend"},
        {"upstream = {\n urls = [\"http://a\",\n \"b\"]; };",
         "t.conf:3: upstream.urls: found \"b\", expected http://HOST[:PORT], https://HOST[:PORT], "
         "http+unix:/PATH, fastcgi://HOST:PORT or fastcgi+unix:/PATH"},
        {"upstream = {\n urls = [\"http://a\",\n \"fastcgi://b:1\"]; };",
         "t.conf:3: upstream.urls: found \"fastcgi://b:1\", expected the protocol of the first "
         "backend, HTTP"},
        {"upstream = {\n url = \"fastcgi://a:1\";\n backup_urls = [\"http://b\"]; };",
         "t.conf:3: upstream.backup_urls: found \"http://b\", expected the protocol of the first "
         "backend, FastCGI"},
        {"upstream = {\n backup_urls = [\"http://b\"]; };",
         "t.conf:1: upstream.url is not set, expected the backend's URL"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        refuse(list[i].text, list[i].message);
    struct config *config = load_text("upstream = { urls = [\"http://a\", \"https://b\"]; "
                                      "backup_urls = [\"http+unix:/c\"]; };");
    assert_int_equal(config->upstream.url_count, 2);
    assert_string_equal(config->upstream.urls[1], "https://b");
    assert_int_equal(config->upstream.backup_count, 1);
    assert_int_equal(config->upstream.max_idle, 32);
    assert_false(config->fastcgi);
    config_free(config);
    /* A kept connection is a child of PHP-FPM. */
    config = load_text("upstream = { url = \"fastcgi://a:1\"; };");
    assert_true(config->fastcgi);
    assert_int_equal(config->upstream.max_idle, 0);
    config_free(config);
    config = load_text("upstream = { url = \"fastcgi://a:1\"; max_idle = 3; };");
    assert_int_equal(config->upstream.max_idle, 3);
    config_free(config);
}

/* Inside one route of three lines: path, then the settings. */
#define ROUTE(settings) URL "routes = ({ path = \"/a/{id}\";\n" settings "\n});"

static void
routes_that_cannot_do_what_they_say_are_refused(void **state)
{
    static const struct refusal list[] = {
        {URL "routes = (\n{ ttl = \"1s\"; });", "t.conf:3: a route without `path`"},
        {URL "routes = ({\n path = \"a\"; });",
         "t.conf:3: path: found `a`, expected a path that begins with /"},
        {URL "routes = ({\n path = \"/{a}{b}\"; });",
         "t.conf:3: path: found a wildcard right after another at `{b}`, expected a literal "
         "between them"},
        {ROUTE("directory_tags = 2;"),
         "t.conf:3: directory_tags: the route has neither a ttl nor cache = \"rfc\", so nothing of "
         "it is ever stored"},
        {ROUTE("early_refresh = 100;"),
         "t.conf:3: early_refresh: the route has neither a ttl nor cache = \"rfc\", so nothing of "
         "it is ever stored"},
        {ROUTE("tags = [\"a b\"];"),
         "t.conf:3: tags: found \"a b\", expected a name without blanks, commas, quotes and *"},
        {ROUTE("tags = [\"a:{user}\"];"),
         "t.conf:3: tags: found {user}, but the route has no `user` that says who that is"},
        {ROUTE("methods = [];"),
         "t.conf:3: methods: found an empty list, expected methods; leave it out for all"},
        {ROUTE("methods = [\"GET\",\n\"post\"];"),
         "t.conf:4: methods: found \"post\", expected \"POST\": case counts"},
        {ROUTE("methods = [\"GET\", \"GET\"];"), "t.conf:3: methods: found \"GET\" twice"},
        {ROUTE("methods = [\"A B\"];"),
         "t.conf:3: methods: found \"A B\", expected the name of a method"},
        {ROUTE("hosts = [];"),
         "t.conf:3: hosts: found an empty list, expected hosts; leave it out for all"},
        {ROUTE("hosts = [\"a:80\"];"),
         "t.conf:3: hosts: found \"a:80\", expected a name or a glob, without port"},
        {ROUTE("hosts = [\"http://a\"];"),
         "t.conf:3: hosts: found \"http://a\", expected a name or a glob, without port"},
        {ROUTE("resource = \"a:b\";"),
         "t.conf:3: resource: found \"a:b\", expected letters, digits, _ - and ."},
        {ROUTE("resource = \"a*\";"),
         "t.conf:3: resource: found \"a*\", expected letters, digits, _ - and ."},
        {ROUTE("resource = \"response\";"),
         "t.conf:3: resource: found \"response\", a word that Larder uses in its own keys"},
        {ROUTE("methods = [\"POST\"];\nttl = \"1s\";"),
         "t.conf:4: ttl: methods has neither GET nor HEAD, and nothing else is cached"},
        {ROUTE("user = \"X-User\";"), "t.conf:3: user: found \"X-User\", expected \"REMOTE_USER\", "
                                      "\"field:NAME\" or \"cookie:NAME\""},
        {ROUTE("user = \"field:\";"), "t.conf:3: user: found \"field:\", expected \"REMOTE_USER\", "
                                      "\"field:NAME\" or \"cookie:NAME\""},
        {ROUTE("user = \"remote_user\";"),
         "t.conf:3: user: found \"remote_user\", expected \"REMOTE_USER\", \"field:NAME\" or "
         "\"cookie:NAME\""},
        {ROUTE("user = \"field:X_User\";"),
         "t.conf:3: user: found the field \"X_User\", expected the name of a field, with - and "
         "not _"},
        {ROUTE("user = \"field:Cookie\";"),
         "t.conf:3: user: found the field \"Cookie\", expected one that holds an identity"},
        {ROUTE("user = \"cookie:a b\";"),
         "t.conf:3: user: found the cookie \"a b\", expected the name of a cookie"},
        {ROUTE("cookies = { key = [\"a\"];\n ignore = [\"b\", \"a\"]; };"),
         "t.conf:4: cookies: found \"a\" in ignore, but it stands in another list as well"},
        {ROUTE("cookies = { key = [\"a=b\"]; };"),
         "t.conf:3: cookies: found \"a=b\", expected a glob on a cookie's name"},
        {ROUTE("fields = { key = [\"X-A\"];\n forward = [\"X-B\", \"x-a\"]; };"),
         "t.conf:4: fields: found \"x-a\" in forward, but it stands in key already"},
        {ROUTE("fields = { bypass = [\"X-A\", \"X-A\"]; };"),
         "t.conf:3: fields: found \"X-A\" in bypass, but it stands in bypass already"},
        {ROUTE("fields = { key = [\"X_A\"]; };"),
         "t.conf:3: fields: found \"X_A\" in key, expected a glob on a field's name, of letters, "
         "digits, - and not _, such as \"X-Api-*\""},
        {ROUTE("fields = { key = [\"X-A: b\"]; };"),
         "t.conf:3: fields: found \"X-A: b\" in key, expected a glob on a field's name, of "
         "letters, digits, - and not _, such as \"X-Api-*\""},
        {ROUTE("fields = { forward = [\"X-[ab\"]; };"),
         "t.conf:3: fields: found \"X-[ab\" in forward, expected a glob on a field's name, of "
         "letters, digits, - and not _, such as \"X-Api-*\""},
        {ROUTE("fields = { bypass = [\"**\"]; };"),
         "t.conf:3: fields: found \"**\" in bypass, which would pass every request; a route "
         "without ttl does that"},
        {ROUTE("fields = { key = [\"Cookie\"]; };"),
         "t.conf:3: fields: found \"Cookie\" in key, a field that Larder treats by itself: use "
         "`cookies`"},
        {ROUTE("fields = { forward = [\"x-forwarded-for\"]; };"),
         "t.conf:3: fields: found \"x-forwarded-for\" in forward, a field that Larder treats by "
         "itself: use upstream.trusted_proxies"},
        {ROUTE("user = \"field:X-User\";\nfields = { bypass = [\"x-us*\"]; };"),
         "t.conf:3: user: the field \"X-User\" is in fields.bypass, expected it in no list"},
        {ROUTE("ttl = \"1m\";\nfields = { keys = [\"a\"]; };"),
         "t.conf:4: unknown setting `keys` in routes.fields; did you mean `key`?"},
        {ROUTE("fields = { key = [\"X-A\"]; };\nclient_cache = \"1m\";"),
         "t.conf:4: client_cache: found \"1m\", which says public, on a route whose pages differ "
         "by the field x-a (fields.key)"},
        {ROUTE("user = \"cookie:uid\";\ncookies = { bypass = [\"u*\"]; };"),
         "t.conf:3: user: the cookie \"uid\" is in cookies.bypass, expected it in cookies.key or "
         "in no list"},
        {ROUTE("user = \"cookie:uid\";\ncookies = { vary = [\"*\"]; };"),
         "t.conf:3: user: the cookie \"uid\" is in cookies.vary, expected it in cookies.key or "
         "in no list"},
        {ROUTE("cookies = { vary = [\"a\"]; };\nclient_cache = \"1m\";"),
         "t.conf:4: client_cache: found \"1m\", which says public, on a route whose pages differ "
         "by cookie"},
        {ROUTE("user = \"cookie:uid\";\ncookies = { ignore = [\"*\"]; };"),
         "t.conf:3: user: the cookie \"uid\" is in cookies.ignore, expected it in cookies.key or "
         "in no list"},
        {ROUTE("ttl = \"1m\";\nttl_by_status = [\"404\"];"),
         "t.conf:4: ttl_by_status: found \"404\", expected a status and a duration up to 30d, such "
         "as \"404 10s\""},
        {ROUTE("ttl_by_status = [\"301 1h\",\n\"404 31d\"];"),
         "t.conf:4: ttl_by_status: found \"404 31d\", expected a status and a duration up to 30d, "
         "such as \"404 10s\""},
        {ROUTE("ttl_by_status = [\"304 1m\"];"), "t.conf:3: ttl_by_status: found 304, expected a "
                                                 "status from 200 to 599 that is neither 206 "
                                                 "nor 304"},
        {ROUTE("ttl_by_status = [\"100 1m\"];"), "t.conf:3: ttl_by_status: found 100, expected a "
                                                 "status from 200 to 599 that is neither 206 "
                                                 "nor 304"},
        {ROUTE("ttl_by_status = [\"404 1m\",\n\"404 2m\"];"),
         "t.conf:4: ttl_by_status: found 404 twice"},
        {ROUTE("max_ttl = \"1m\";\nttl_by_status = [\"404 2m\"];"),
         "t.conf:4: ttl_by_status: found \"404 2m\", more than max_ttl"},
        {ROUTE("max_ttl = \"1m\";\nttl = \"2m\";"), "t.conf:4: ttl: found more than max_ttl"},
        {ROUTE("max_ttl = \"1m\";\nttl_override = \"2m\";"),
         "t.conf:4: ttl_override: found more than max_ttl"},
        {ROUTE("ttl = \"1s\";\nmax_ttl = \"1m\";\nmin_ttl = \"2m\";"),
         "t.conf:5: min_ttl: found more than max_ttl"},
        {ROUTE("cache = \"rfc\";\nheuristic_min = \"1m\"; heuristic_max = \"1s\";"),
         "t.conf:4: heuristic_min is more than heuristic_max"},
        {ROUTE("stale_if_error = \"1m\";"), "t.conf:3: stale_if_error: nothing is cached on this "
                                            "route; it has neither cache = \"rfc\" "
                                            "nor a ttl"},
        {ROUTE("cache = \"all\";"),
         "t.conf:3: routes.cache: found \"all\", expected in quotes ttl or rfc"},
        {ROUTE("ttl = \"1m\";\nset_cookie = \"drop\";"),
         "t.conf:4: routes.set_cookie: found \"drop\", expected in quotes pass, strip or keep"},
        {ROUTE("ttl = \"1m\";\nvariants = 0;"),
         "t.conf:4: routes.variants: found the integer 0, expected an integer from 1 to 10000"},
        {ROUTE("ttl = \"1m\";\nlanguages = [\"de\",\n\"d e\"];"),
         "t.conf:5: languages: found \"d e\", expected a language tag such as \"de\" or \"pt-BR\""},
        {ROUTE("ttl = \"1m\";\nlanguages = [\"de\", \"DE\"];"),
         "t.conf:4: languages: found \"DE\" twice"},
        {ROUTE("ttl = \"1m\";\nquery = { allow = []; };"),
         "t.conf:4: query.allow: found an empty list; to ignore all parameters write ignore = [ "
         "\"*\" ]"},
        {ROUTE("ttl = \"1m\";\nquery = { ignore = [\"a=b\"]; };"),
         "t.conf:4: query.ignore: found \"a=b\", expected a glob on a parameter's name, of at most "
         "128 bytes"},
        {ROUTE("ttl = \"1m\";\nquery = { bypass = [\"a&b\"]; };"),
         "t.conf:4: query.bypass: found \"a&b\", expected a glob on a parameter's name, of at most "
         "128 bytes"},
        {ROUTE("ttl = \"1m\";\nquery = { ignored = [\"a\"]; };"),
         "t.conf:4: unknown setting `ignored` in routes.query; did you mean `ignore`?"},
        {ROUTE("methods = [\"POST\"];\nvariants = 3;"),
         "t.conf:4: variants: methods has neither GET nor HEAD, and nothing else is cached"},
        {URL
         "cache = { compat = \"ancestor\"; };\nroutes = ({ path = \"/\"; ttl = \"1m\";\n keep = "
         "\"1m\"; });",
         "t.conf:4: keep: the ancestor's entries have no room for it (cache.compat)"},
        {ROUTE("invalidate = [\"a:{user}\"];"),
         "t.conf:3: invalidate: found {user}, but the route has no `user` that says who that is"},
        {ROUTE("invalidate = [\"ok:{id}\",\n\"a:{name}\"];"),
         "t.conf:4: invalidate: found `{name}`, expected {user} or a {name} of the path"},
        {ROUTE("invalidate = [\"a:{id\"];"),
         "t.conf:3: invalidate: found `{id`, expected a } after it"},
        {ROUTE("invalidate = [\"a:[bc\"];"),
         "t.conf:3: invalidate: found [ without its ] in \"a:[bc\""},
        {ROUTE("invalidate = [\"a\\\\\"];"),
         "t.conf:3: invalidate: found a backslash at the end of \"a\\\""},
        {ROUTE("invalidate = [\"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*\"];"),
         "t.conf:3: invalidate: found 17 stars in \"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*\", expected "
         "at most 16"},
        {ROUTE("methods = [\"GET\"];\ninvalidate = [\"a:*\"];"),
         "t.conf:4: invalidate: no method of this route changes anything, so nothing would ever be "
         "invalidated"},
        {ROUTE("methods = [\"GET\"];\nrefused_location = [\"*/login*\"];"),
         "t.conf:4: refused_location: no method of this route changes anything, so nothing is ever "
         "refused"},
        {ROUTE("methods = [\"GET\"];\nrefused_public = true;"),
         "t.conf:4: refused_public: no method of this route changes anything, so nothing is ever "
         "refused"},
        {ROUTE("methods = [\"GET\"];\nchange_script = [\"*/a.php\"];"),
         "t.conf:4: change_script: no method of this route changes anything, so there is no change "
         "to tell from others"},
        {ROUTE("change_answer = [];"),
         "t.conf:3: change_answer: found an empty list, expected globs; leave it out for any"},
        {ROUTE("change_answer = [\"X-A\",\n\"X-*: a\"];"),
         "t.conf:4: change_answer: found \"X-*: a\", expected a field, such as \"X-App-Saved\" or "
         "\"X-App: *saved*\", of at most 255 bytes and 16 stars"},
        {ROUTE("change_script = [\"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*\"];"),
         "t.conf:3: change_script: found \"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*\", expected a glob "
         "on a script, such as "
         "\"*/admin/*.php\", of at most 255 bytes and 16 stars"},
        {ROUTE("methods = [\"GET\"];\nmark = false;"),
         "t.conf:4: mark: there is no such setting any more: a mutation under way keeps nothing "
         "out "
         "of use; take the line out"},
        {ROUTE("parameters = [];"),
         "t.conf:3: parameters: found an empty list, expected globs; leave it out for any query"},
        {ROUTE("parameters = [\"a=b\",\n\"a&b\"];"),
         "t.conf:4: parameters: found \"a&b\", expected a glob on a parameter, such as "
         "\"action=edit*\", of at most 255 bytes"},
        {ROUTE("default_tag = \"a\";"),
         "t.conf:3: default_tag: the route has neither a ttl nor cache = \"rfc\", so nothing of it "
         "is ever stored"},
        {ROUTE("ttl = \"1m\";\ndefault_tag = \"a b\";"),
         "t.conf:4: default_tag: found \"a b\", expected a name without blanks, commas, quotes and "
         "*"},
        {ROUTE("ttl = \"1m\";\ndefault_tag = \"a{name}\";"),
         "t.conf:4: default_tag: found `{name}`, expected {user} or a {name} of the path"},
        {ROUTE("methods = [\"GET\"]; ttl = \"1m\"; commit_delay = \"5s\";"),
         "t.conf:3: commit_delay: no method of this route changes anything, so nothing is to be "
         "dropped"},
        {ROUTE("async = true;"), "t.conf:3: async: found true, but the route invalidates nothing"},
        {ROUTE("ttl = \"1s\";\nclient_cache = \"never\";"),
         "t.conf:4: client_cache: found \"never\" on a route with a ttl; one of them is not "
         "meant"},
        {ROUTE("client_cache = \"500ms\";"),
         "t.conf:3: client_cache: found \"500ms\", expected whole seconds from \"1s\" to \"365d\", "
         "\"never\" or \"backend\""},
        {ROUTE("client_cache = \"0\";"),
         "t.conf:3: client_cache: found \"0\", expected whole seconds from \"1s\" to \"365d\", "
         "\"never\" or \"backend\""},
        {ROUTE("user = \"REMOTE_USER\";\nclient_cache = \"1m\";"),
         "t.conf:4: client_cache: found \"1m\", which says public, on a route per user"},
        {ROUTE("cookies = { key = [\"a\"]; };\nclient_cache = \"1m\";"),
         "t.conf:4: client_cache: found \"1m\", which says public, on a route whose pages differ "
         "by cookie"},
        {URL "routes = (\n{ path = \"/a\"; },\n{ path = \"/a\"; methods = [\"GET\"]; });",
         "t.conf:4: the route \"/a\" is never reached: the one in line 3 takes the same path, "
         "methods, hosts and parameters"},
        {URL "routes = (\n{ path = \"/a\"; name = \"x\"; },\n{ path = \"/b\";\n name = \"x\"; });",
         "t.conf:5: name: found \"x\", which is the name of the route in line 3"},
    };
    (void)state;
    REFUSE_ALL(list);
}

/* ---------------------------------------------------------------- what is good */

static void
everything_has_its_place(void **state)
{
    (void)state;
    struct config *config = load_text(
        "upstream = { url = \"http://a\"; trusted_fields = [\"X-Trusted\"];\n"
        " trusted_proxies = [\"10.0.0.0/8\", \"::1\"]; timeout = \"0\"; tls_verify = false; };\n"
        "routes = (\n"
        " { name = \"one\"; path = \"/a/{id}/{x}\"; methods = [\"GET\", \"PUT\"];\n"
        "   hosts = (\"Example.ORG\", \"[::1]\"); resource = \"session\"; ttl = \"1m30s\";\n"
        "   authorization = \"rfc\"; user = \"field:x-trusted\";\n"
        "   cookies = { ignore = [\"*\"]; key = [\"theme\"]; bypass = [\"s*\", \"t\"]; };\n"
        "   invalidate = [\"session:*\", \"user:{user}\", \"t:{x}\"]; async = true;\n"
        "   client_cache = \"backend\"; },\n"
        " { path = \"/b**\"; client_cache = \"5m\"; },\n"
        " { path = \"/c\"; methods = [\"GET\"]; },\n"
        " { path = \"/c\"; methods = [\"POST\"]; user = \"cookie:uid\"; },\n"
        " { path = \"/d\"; user = \"field:X-User\"; client_cache = \"never\"; },\n"
        " { path = \"/e\"; user = \"REMOTE_USER\"; ttl = \"30d\"; }\n"
        ");\nlog = { to = \"file\"; file = \"/l\"; level = \"debug\"; };\n"
        "cache = { compat = \"ancestor\"; store_queue_count = 7; max_object = \"1K\"; };\n");
    assert_int_equal(config->upstream.timeout_ms, 0);
    assert_false(config->upstream.tls_verify);
    assert_true(config_address_trusted(config, "10.1.2.3"));
    assert_true(config_address_trusted(config, "::ffff:10.1.2.3"));
    assert_true(config_address_trusted(config, "::1"));
    assert_false(config_address_trusted(config, "11.1.2.3"));
    assert_false(config_address_trusted(config, ""));
    assert_int_equal(config->log_to, LOG_TO_FILE);
    assert_string_equal(config->log_file, "/l");
    assert_int_equal(config->log_level, LARDER_LOG_DEBUG);
    assert_true(config->compat_ancestor);
    assert_int_equal(config->store_queue_count, 7);
    assert_int_equal(config->max_object, 1024);
    assert_true(config->routes.have_hosts);
    assert_true(config->routes.have_never);
    assert_int_equal(config->routes.count, 6);

    const struct route *route = &config->routes.list[0];
    assert_string_equal(route->name, "one");
    assert_int_equal(route->methods.count, 2);
    assert_string_equal(route->methods.list[1], "PUT");
    assert_string_equal(route->hosts.list[0], "example.org");
    assert_string_equal(route->hosts.list[1], "::1");
    assert_string_equal(route->resource, "session");
    assert_int_equal(route->policy.ttl_ms, 90000);
    assert_true(route->policy.authorization_rfc);
    assert_int_equal(route->user, USER_FIELD);
    assert_string_equal(route->user_name, "x-trusted");
    assert_true(route->user_trusted);
    assert_int_equal(route->cookie_count, 4);
    static const struct cookie_rule rules[] = {
        {"s*", COOKIE_BYPASS}, {"t", COOKIE_BYPASS}, {"theme", COOKIE_KEY}, {"*", COOKIE_IGNORE}};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(route->cookies[i].glob, rules[i].glob);
        assert_int_equal(route->cookies[i].mode, rules[i].mode);
    }
    assert_int_equal(route->invalidate.count, 3);
    assert_string_equal(route->invalidate.list[2], "t:{x}");
    assert_true(route->async);
    assert_true(route->client_cache_set);
    assert_int_equal(route->client_cache, CLIENT_CACHE_BACKEND);
    assert_int_equal(route->literal_prefix, 3);

    route = &config->routes.list[1];
    assert_string_equal(route->name, "/b**");
    assert_int_equal(route->client_cache, CLIENT_CACHE_PUBLIC);
    assert_int_equal(route->client_cache_s, 300);
    assert_int_equal(route->policy.ttl_ms, 0);
    assert_false(route->policy.authorization_rfc);
    assert_null(route->resource);
    assert_int_equal(route->user, USER_NONE);
    assert_false(config->routes.list[2].client_cache_set);
    assert_int_equal(config->routes.list[3].user, USER_COOKIE);
    assert_false(config->routes.list[3].user_trusted);
    assert_false(config->routes.list[4].user_trusted);
    assert_int_equal(config->routes.list[4].client_cache, CLIENT_CACHE_NEVER);
    assert_int_equal(config->routes.list[5].user, USER_REMOTE_USER);
    assert_true(config->routes.list[5].user_trusted);
    assert_null(config->routes.list[5].user_name);
    assert_int_equal(config->routes.list[5].policy.ttl_ms, STORE_TTL_MAX_S * 1000);
    config_free(config);
}

/* The rules of HTTP caching, as a route sets them. */
static void
caching_rules_have_their_place(void **state)
{
    (void)state;
    struct config *config = load_text(
        "upstream = { url = \"http://a\"; };\n"
        "cache = { encodings = [\"br\"]; cache_status = \"short\"; };\n"
        "routes = (\n"
        " { path = \"/a\"; cache = \"rfc\"; ttl = \"1m\"; ttl_override = \"2m\";\n"
        "   ttl_by_status = [\"404 10s\", \"301 1h\", \"410 0\"]; min_ttl = \"1s\"; max_ttl = "
        "\"1d\";\n"
        "   heuristic_min = \"2s\"; heuristic_max = \"3h\"; error_statuses = \"rfc\";\n"
        "   negative_ttl = \"4s\"; set_cookie = \"strip\"; stale_while_revalidate = \"5s\";\n"
        "   stale_if_error = \"6s\"; keep = \"7s\"; client_control = \"ignore\"; range_fetch = "
        "\"1M\";\n"
        "   variants = 8; languages = [\"en\", \"pt-BR\"];\n"
        "   query = { bypass = [\"preview\"]; ignore = [\"utm_*\"]; allow = [\"a\", \"b\"]; "
        "sort = true; };\n"
        "   cookies = { vary = [\"*\"]; }; },\n"
        " { path = \"/b\"; ttl = \"1m\"; }\n"
        ");\n");
    assert_int_equal(config->encodings.count, 1);
    assert_string_equal(config->encodings.list[0], "br");
    assert_int_equal(config->cache_status, CACHE_STATUS_SHORT);
    const struct route *route = &config->routes.list[0];
    const struct policy *p = &route->policy;
    assert_true(p->rfc && p->errors_rfc);
    assert_int_equal(p->ttl_ms, 60000);
    assert_int_equal(p->ttl_override_ms, 120000);
    assert_int_equal(p->by_status_count, 3);
    assert_int_equal(p->by_status[0].status, 301);
    assert_int_equal(p->by_status[0].ttl_ms, 3600000);
    assert_int_equal(p->by_status[1].status, 404);
    assert_int_equal(p->by_status[2].ttl_ms, 0);
    assert_int_equal(p->min_ttl_ms, 1000);
    assert_int_equal(p->max_ttl_ms, 86400000);
    assert_int_equal(p->heuristic_min_ms, 2000);
    assert_int_equal(p->heuristic_max_ms, 3 * 3600000);
    assert_int_equal(p->negative_max_ms, 4000);
    assert_int_equal(p->set_cookie, SET_COOKIE_STRIP);
    assert_int_equal(p->stale_while_ms, 5000);
    assert_int_equal(p->stale_if_ms, 6000);
    assert_int_equal(p->keep_ms, 7000);
    assert_int_equal(p->client_control, CLIENT_CONTROL_IGNORE);
    assert_int_equal(route->range_fetch, 1024 * 1024);
    assert_int_equal(route->variants, 8);
    assert_string_equal(route->languages.list[1], "pt-BR");
    assert_string_equal(route->query_bypass.list[0], "preview");
    assert_string_equal(route->query_ignore.list[0], "utm_*");
    assert_int_equal(route->query_allow.count, 2);
    assert_true(route->query_sort);
    assert_int_equal(route->cookies[0].mode, COOKIE_VARY);

    p = &config->routes.list[1].policy;
    assert_false(p->rfc || p->errors_rfc);
    assert_int_equal(p->negative_max_ms, 60000);
    assert_int_equal(p->set_cookie, SET_COOKIE_PASS);
    assert_int_equal(p->stale_while_ms, 0);
    assert_int_equal(p->stale_if_ms, 600000);
    assert_int_equal(p->keep_ms, 600000);
    assert_int_equal(p->client_control, CLIENT_CONTROL_LIMITED);
    assert_int_equal(config->routes.list[1].range_fetch, 0);
    assert_int_equal(config->routes.list[1].variants, 64);
    config_free(config);
}

static void
thousands_of_routes_are_no_trouble(void **state)
{
    size_t room = (size_t)1 << 20;
    char *text = test_malloc(room);
    size_t n = (size_t)snprintf(text, room, URL "routes = (");
    (void)state;
    for (int i = 0; i < ROUTES_MAX; i++)
        n += (size_t)snprintf(text + n, room - n, "%s{ path = \"/%d/{id}\"; ttl = \"%ds\"; }",
                              i ? ",\n" : "\n", i, i + 1);
    snprintf(text + n, room - n, ");");
    struct config *config = load_text(text);
    assert_int_equal(config->routes.count, ROUTES_MAX);
    assert_int_equal(config->routes.list[ROUTES_MAX - 1].policy.ttl_ms, (int64_t)ROUTES_MAX * 1000);
    config_free(config);
    snprintf(text + n, room - n, ",{ path = \"/\"; });");
    write_file("t.conf", text);
    char message[LARDER_ERROR_MAX];
    assert_null(load("t.conf", message));
    assert_string_equal(message, "t.conf:2: routes: expected a list of at most 4096 groups: "
                                 "( { ... }, { ... } )");
    test_free(text);
}

static void
defaults_that_were_not_chosen_give_way(void **state)
{
    (void)state;
    struct config *config = load_text(URL "redis = { pool_max = 3; };");
    assert_int_equal(config->redis.pool_max_idle, 3);
    assert_int_equal(config->redis.pool_min_idle, 3);
    config_free(config);
    config = load_text(URL "redis = { pool_max = 40; };");
    assert_int_equal(config->redis.pool_max_idle, 40);
    assert_int_equal(config->redis.pool_min_idle, 5);
    config_free(config);
    config = load_text(URL "redis = { pool_max_idle = 0; };");
    assert_int_equal(config->redis.pool_min_idle, 0);
    config_free(config);
}

static void
relative_names_stand_beside_their_file(void **state)
{
    char expected[1024];
    char message[LARDER_ERROR_MAX];
    (void)state;
    char *real = realpath(dir, NULL);
    assert_non_null(real);
    path_of(expected, sizeof expected, "sub");
    mkdir(expected, 0700);
    write_file("t.conf",
               URL "@include \"sub/redis.conf\"\nresponder = { runtime_dir = \"run\"; };");
    write_file("sub/redis.conf", "redis = { socket = \"redis.sock\"; };");
    struct config *config = load("t.conf", message);
    assert_non_null(config);
    snprintf(expected, sizeof expected, "%s/sub/redis.sock", real);
    assert_string_equal(config->redis.unix_path, expected);
    snprintf(expected, sizeof expected, "%s/run", real);
    assert_string_equal(config->runtime_dir, expected);
    config_free(config);

    /* A configuration named without a directory stands in the working directory. */
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct larder_error err;
    assert_int_equal(chdir(dir), 0);
    config = config_load("t.conf", &err);
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_non_null(config);
    assert_string_equal(config->runtime_dir, expected);
    config_free(config);
    free(real);
}

/* ----------------------------------------------------------------- password */

#define WITH_FILE URL "redis = {\n password_file = \"pw\";\n};"

static void
password_comes_from_file_or_environment(void **state)
{
    (void)state;
    write_bytes("pw", "secret\n", 7, 0600);
    struct config *config = load_text(WITH_FILE);
    assert_string_equal(config->redis.password, "secret");
    assert_non_null(config->redis_password_file);
    config_free(config);
    write_bytes("pw", " two words \r\n", 13, 0640);
    config = load_text(WITH_FILE);
    assert_string_equal(config->redis.password, " two words ");
    config_free(config);
    write_bytes("pw", "a\n\n", 3, 0400);
    config = load_text(WITH_FILE);
    assert_string_equal(config->redis.password, "a\n");
    config_free(config);
    config = load_text(URL "redis = { user = \"u\"; password = \"inline\"; };");
    assert_string_equal(config->redis.password, "inline");
    config_free(config);

    setenv("LARDER_REDIS_PASSWORD", "outer", 1);
    config = load_text(URL "redis = { user = \"u\"; password = \"inline\"; };");
    assert_string_equal(config->redis.password, "outer");
    config_free(config);
    config = load_text(URL "redis = { user = \"u\"; };");
    assert_string_equal(config->redis.password, "outer");
    config_free(config);
    config = load_text(URL "redis = { password_file = \"/nonexistent\"; };");
    assert_string_equal(config->redis.password, "outer");
    assert_null(config->redis_password_file);
    config_free(config);
    config = config_load(NULL, NULL);
    assert_string_equal(config->redis.password, "outer");
    config_free(config);

    setenv("LARDER_REDIS_PASSWORD", "", 1);
    config = load_text(WITH_FILE);
    assert_string_equal(config->redis.password, "a\n");
    config_free(config);
    char longest[CONFIG_PASSWORD_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    setenv("LARDER_REDIS_PASSWORD", longest, 1);
    refuse(URL, "LARDER_REDIS_PASSWORD: found 4097 bytes, expected at most 4096");
    unsetenv("LARDER_REDIS_PASSWORD");
}

static void
password_files_that_are_not_safe_or_not_one_are_refused(void **state)
{
    char expected[512];
    char longest[CONFIG_PASSWORD_MAX + 1];
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {{"", 0}, {"\n", 1}, {"\r\n", 2}, {"a\0b", 3}};
    (void)state;
    write_bytes("pw", "secret", 6, 0620);
    snprintf(expected, sizeof expected,
             "t.conf:3: redis.password_file: others than its owner may write %s/pw: mode 0620, "
             "expected 0600 or 0640",
             dir);
    refuse(WITH_FILE, expected);
    write_bytes("pw", "secret", 6, 0602);
    snprintf(expected, sizeof expected,
             "t.conf:3: redis.password_file: others than its owner may write %s/pw: mode 0602, "
             "expected 0600 or 0640",
             dir);
    refuse(WITH_FILE, expected);
    snprintf(expected, sizeof expected,
             "t.conf:3: redis.password_file: %s/pw: expected a password of 1 to 4096 bytes", dir);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_bytes("pw", bad[i].bytes, bad[i].n, 0600);
        refuse(WITH_FILE, expected);
    }
    memset(longest, 'x', sizeof longest);
    write_bytes("pw", longest, sizeof longest, 0600);
    refuse(WITH_FILE, expected);
    write_bytes("pw", longest, sizeof longest - 1, 0600);
    config_free(load_text(WITH_FILE));
    refuse(URL "redis = {\n password_file = \"/nonexistent\";\n};",
           "t.conf:3: redis.password_file: cannot read /nonexistent: No such file or directory");
    refuse(URL "redis = {\n password_file = \"/\";\n};",
           "t.conf:3: redis.password_file: / is not a regular file");
}

/* -------------------------------------------------------------------- admin */

static void
tokens_come_from_the_text_or_a_file(void **state)
{
    (void)state;
    struct config *config = load_text(URL);
    assert_null(config->admin_token);
    assert_string_equal(config->admin_path, "/.larder/purge");
    assert_true(config_address_may_purge(config, "192.0.2.1"));
    config_free(config);
    config = load_text(URL "admin = { token = \"sixteen and more\"; path = \"/purge/\";\n"
                           "  allow = [\"10.0.0.0/8\", \"::1\"]; };");
    assert_string_equal(config->admin_token, "sixteen and more");
    assert_string_equal(config->admin_path, "/purge/");
    assert_true(config_address_may_purge(config, "10.1.2.3"));
    assert_true(config_address_may_purge(config, "::ffff:10.1.2.3"));
    assert_true(config_address_may_purge(config, "::1"));
    assert_false(config_address_may_purge(config, "11.1.2.3"));
    assert_false(config_address_may_purge(config, ""));
    config_free(config);
    write_bytes("token", "0123456789abcdefg\n", 18, 0600);
    config = load_text(URL "admin = { token_file = \"token\"; };");
    assert_string_equal(config->admin_token, "0123456789abcdefg");
    config_free(config);
}

static void
what_nobody_should_purge_with_is_refused(void **state)
{
    char expected[512];
    (void)state;
#define ADMIN(text) URL "admin = {\n " text "\n};"
    refuse(ADMIN("token = \"0123456789abcde\";"),
           "t.conf:3: admin.token: found a value, expected a string of 16 to 4096 "
           "bytes");
    refuse(ADMIN("token = \" 0123456789 abcdef\";"),
           "t.conf:3: admin.token: expected letters, digits and signs of ASCII, without blanks at "
           "its ends");
    refuse(ADMIN("token = \"0123456789 abcdef \";"),
           "t.conf:3: admin.token: expected letters, digits and signs of ASCII, without blanks at "
           "its ends");
    refuse(ADMIN("token = \"0123456789\xc3\xa4"
                 "bcdef\";"),
           "t.conf:3: admin.token: expected letters, digits and signs of ASCII, without blanks at "
           "its ends");
    refuse(ADMIN("token = \"0123456789abcdef\"; token_file = \"token\";"),
           "t.conf:3: admin.token_file: admin.token is set as well, expected one");
    refuse(ADMIN("allow = [];"),
           "t.conf:3: admin.allow: found no address; without a token nobody may purge");
    refuse(ADMIN("allow = [\"10.0.0.1/8\"];"),
           "t.conf:3: admin.allow: found \"10.0.0.1/8\", expected a block whose bits after the "
           "prefix are zero");
    static const char *const paths[] = {"purge", "/a/../b", "/a?b", "/%61", "/ b"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, ADMIN("path = \"%s\";"), paths[i]);
        snprintf(expected, sizeof expected,
                 "t.conf:3: admin.path: found \"%s\", expected a path in normal form such as "
                 "\"/.larder/purge\"",
                 paths[i]);
        refuse(text, expected);
    }
    write_bytes("token", "0123456789abcdef", 16, 0622);
    snprintf(expected, sizeof expected,
             "t.conf:3: admin.token_file: others than its owner may write %s/token: mode 0622, "
             "expected 0600 or 0640",
             dir);
    refuse(ADMIN("token_file = \"token\";"), expected);
    write_bytes("token", "0123456789abcde\n", 16, 0600);
    snprintf(expected, sizeof expected,
             "t.conf:3: admin.token_file: %s/token: expected a token of 16 to 4096 bytes", dir);
    refuse(ADMIN("token_file = \"token\";"), expected);
    write_bytes("token", "0123456789\tabcdef\n", 18, 0600);
    refuse(ADMIN("token_file = \"token\";"),
           "t.conf:3: admin.token_file: expected letters, digits and signs of ASCII, without "
           "blanks at its ends");
#undef ADMIN
}

/* How many lines the log got while a text was loaded; each has to contain these words. */
static int
warnings(const char *text, mode_t mode, const char *words)
{
    char log[512];
    char message[LARDER_ERROR_MAX];
    char line[512];
    struct larder_error err;
    int n = 0;
    path_of(log, sizeof log, "log");
    unlink(log);
    write_bytes("t.conf", text, strlen(text), mode);
    assert_int_equal(log_open(LOG_TARGET_FILE, log, LARDER_LOG_WARNING, &err), LARDER_OK);
    struct config *config = load("t.conf", message);
    log_open(LOG_TARGET_STDERR, NULL, LARDER_LOG_INFO, &err);
    assert_non_null(config);
    config_free(config);
    FILE *f = fopen(log, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        assert_non_null(strstr(line, words));
        n++;
    }
    fclose(f);
    return n;
}

static void
password_that_everybody_may_read_is_warned_of(void **state)
{
    static const char words[] = "holds a password and everybody may read it";
    (void)state;
    write_bytes("pw", "secret", 6, 0644);
    assert_int_equal(warnings(WITH_FILE, 0644, words), 1);
    write_bytes("pw", "secret", 6, 0640);
    assert_int_equal(warnings(WITH_FILE, 0644, words), 0);
    assert_int_equal(warnings(URL "redis = { password = \"x\"; };", 0644, words), 1);
    assert_int_equal(warnings(URL "redis = { password = \"x\"; };", 0640, words), 0);
    assert_int_equal(warnings(URL, 0644, words), 0);
}

static void
route_that_is_never_reached_is_warned_of(void **state)
{
    static const char words[] = "never reached: \"/x/**\" in line";
    (void)state;
#define AFTER(more) URL "routes = ({ path = \"/x/**\"; },\n" more ");"
    assert_int_equal(warnings(AFTER("{ path = \"/x/a\"; }"), 0600, words), 1);
    assert_int_equal(warnings(AFTER("{ path = \"/x/{a}/*.html\"; }"), 0600, words), 1);
    assert_int_equal(warnings(AFTER("{ path = \"/x/a\"; methods = [\"PUT\"]; }"), 0600, words), 1);
    assert_int_equal(warnings(AFTER("{ path = \"/x\"; }, { path = \"/{a}/x\"; }"), 0600, words), 0);
    /* client_cache is by the longest prefix. */
    assert_int_equal(warnings(AFTER("{ path = \"/x/a\"; client_cache = \"never\"; }"), 0600, words),
                     0);
#undef AFTER
#define ONLY(what) URL "routes = ({ path = \"/x/**\"; " what " }, { path = \"/x/a\"; });"
    assert_int_equal(warnings(ONLY("methods = [\"GET\"];"), 0600, words), 0);
    assert_int_equal(warnings(ONLY("hosts = [\"a\"];"), 0600, words), 0);
    assert_int_equal(warnings(ONLY("parameters = [\"a=*\"];"), 0600, words), 0);
    assert_int_equal(warnings(ONLY("ttl = \"1m\";"), 0600, words), 1);
#undef ONLY
}

/* ------------------------------------------------- defaults, examples, manual */

static void
defaults_are_those_of_the_library_and_of_the_headers(void **state)
{
    (void)state;
    struct larder_options redis;
    struct upstream_options upstream;
    larder_options_init(&redis);
    upstream_options_init(&upstream);
    struct config *config = config_load(NULL, NULL);
    assert_non_null(config);
    assert_null(config->upstream.url);
    assert_int_equal(config->upstream.connect_timeout_ms, upstream.connect_timeout_ms);
    assert_int_equal(config->upstream.timeout_ms, upstream.timeout_ms);
    assert_int_equal(config->upstream.idle_timeout_ms, upstream.idle_timeout_ms);
    assert_int_equal(config->upstream.max_idle, upstream.max_idle);
    assert_int_equal(config->upstream.keepalive_ms, upstream.keepalive_ms);
    assert_int_equal(config->upstream.tls_verify, upstream.tls_verify);
    assert_string_equal(config->redis.host, redis.host);
    assert_int_equal(config->redis.port, redis.port);
    assert_int_equal(config->redis.database, redis.database);
    assert_string_equal(config->redis.name_space, redis.name_space);
    assert_int_equal(config->redis.pool_max, redis.pool_max);
    assert_int_equal(config->redis.pool_min_idle, redis.pool_min_idle);
    assert_int_equal(config->redis.pool_max_idle, redis.pool_max_idle);
    assert_int_equal(config->redis.conn_max_lifetime_ms, redis.conn_max_lifetime_ms);
    assert_int_equal(config->redis.conn_max_idle_ms, redis.conn_max_idle_ms);
    assert_int_equal(config->redis.pool_timeout_ms, -1);
    assert_int_equal(config->redis.dial_timeout_ms, redis.dial_timeout_ms);
    assert_int_equal(config->redis.read_timeout_ms, redis.read_timeout_ms);
    assert_int_equal(config->redis.write_timeout_ms, redis.write_timeout_ms);
    assert_int_equal(config->redis.max_retries, redis.max_retries);
    assert_int_equal(config->redis.retry_min_ms, redis.retry_min_ms);
    assert_int_equal(config->redis.retry_max_ms, redis.retry_max_ms);
    assert_int_equal(config->redis.breaker_failures, 2);
    assert_int_equal(config->redis.breaker_max_rest_ms, redis.breaker_max_rest_ms);
    assert_true(config->redis.enabled);
    assert_true(config->cache_enabled);
    assert_int_equal(config->max_object, 8 << 20);
    assert_int_equal(config->budget_ms, 50);
    assert_int_equal(config->invalidate_timeout_ms, 2000);
    assert_int_equal(config->store_queue_bytes, 64 << 20);
    assert_int_equal(config->store_queue_count, 1024);
    assert_false(config->compat_ancestor);
    assert_int_equal(config->workers, 2);
    assert_int_equal(config->max_fetchers, 256);
    assert_int_equal(config->fetcher_idle_ms, 30000);
    assert_int_equal(config->drain_timeout_ms, 30000);
    assert_int_equal(config->client_timeout_ms, 60000);
    assert_int_equal(config->max_kept, 1024);
    assert_string_equal(config->runtime_dir, "/run/larder");
    assert_int_equal(config->log_to, LOG_TO_SYSLOG);
    assert_int_equal(config->log_level, LARDER_LOG_INFO);
    assert_false(config->log_requests);
    assert_int_equal(config->routes.count, 0);
    assert_false(config_address_trusted(config, "127.0.0.1"));
    config_free(config);
    config_free(NULL);
}

/* A file of the source tree, whole; freed with test_free(). */
static char *
source_file(const char *name)
{
    char path[1024];
    const char *top = getenv("srcdir");
    snprintf(path, sizeof path, "%s/%s", top ? top : ".", name);
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s: %s", path, strerror(errno));
    size_t room = (size_t)1 << 20;
    char *text = test_malloc(room);
    size_t n = fread(text, 1, room - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

static void
shipped_configurations_load(void **state)
{
    static const char *const names[] = {"etc/larder.conf", "etc/larder-streamspace.conf"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *text = source_file(names[i]);
        struct config *config = load_text(text);
        assert_true(config->routes.count > 0);
        config_free(config);
        test_free(text);
    }
}

/* And say what they are for, and call each of their routes by a name. */
static void
shipped_presets_load(void **state)
{
    static const char *const names[] = {"etc/presets/generic-php.conf",
                                        "etc/presets/wordpress.conf"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *text = source_file(names[i]);
        write_file("shipped.conf", text);
        struct config *config = load_text("preset = \"./shipped.conf\";\n" URL);
        assert_true(config->routes.count > 0);
        for (size_t k = 0; k < config->routes.count; k++)
            assert_ptr_not_equal(config->routes.list[k].name, config->routes.list[k].path);
        assert_int_equal(strncmp(text, "# ", 2), 0);
        config_free(config);
        test_free(text);
    }
}

static void
ancestor_has_its_routes(void **state)
{
    static const struct {
        const char *path;
        int64_t ttl_s; /* -1: never */
    } cases[] = {
        {"/api/v1/sessions", 30},        {"/api/v1/sessions/by-tags", 30},
        {"/api/v1/sessions/7", 30},      {"/api/v1/sessions/7/connect", 0},
        {"/api/v1/templates", 300},      {"/api/v1/templates/firefox", 300},
        {"/api/v1/config", 300},         {"/api/v1/catalog/repositories", 600},
        {"/api/v1/cluster/nodes", 60},   {"/api/v1/cluster/namespaces", 120},
        {"/api/v1/dashboard/me", 30},    {"/api/v1/dashboard/timeline", 300},
        {"/api/v1/auth/login", -1},      {"/api/v1/users/me", -1},
        {"/api/v1/users/me/groups", -1}, {"/api/v1/notifications", -1},
        {"/api/v1/preferences", -1},     {"/api/v1/users/7", 0},
    };
    (void)state;
    char *text = source_file("etc/larder-streamspace.conf");
    struct config *config = load_text(text);
    struct arena *arena = arena_new(65536);
    struct route_match match;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(route_find(&config->routes, arena, slice_of("GET"), slice_of("h"),
                               slice_of(cases[i].path), &match));
        int64_t ttl = match.never ? -1 : match.route ? match.route->policy.ttl_ms / 1000 : 0;
        if (ttl != cases[i].ttl_s)
            fail_msg("%s: %lld", cases[i].path, (long long)ttl);
    }
    assert_true(route_find(&config->routes, arena, slice_of("PATCH"), slice_of("h"),
                           slice_of("/api/v1/sessions/7/tags"), &match));
    assert_string_equal(match.route->invalidate.list[0], "session:*");
    arena_free(arena);
    config_free(config);
    test_free(text);
}

/* What stands commented out in larder.conf is true: with every # taken away it says the same. */
/* ------------------------------------------------------------------ presets */

static void
make_sub(const char *name)
{
    char path[512];
    path_of(path, sizeof path, name);
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
}

/* Presets are found in here, until preset_home_gone(). */
static void
preset_home(const char *name)
{
    char path[512];
    make_sub(name);
    path_of(path, sizeof path, name);
    setenv("LARDER_PRESET_DIR", path, 1);
}

static void
preset_home_gone(void)
{
    unsetenv("LARDER_PRESET_DIR");
}

#define OWN(text) "preset = \"p\";\n" URL text

static void
preset_gives_way_to_what_the_file_says(void **state)
{
    (void)state;
    preset_home("home");
    write_file("home/p.conf", "cache = { max_object = \"1M\"; budget = \"60ms\"; "
                              "encodings = [\"br\"]; };\n"
                              "coalesce = { wait = \"3s\"; };\n");
    struct config *config = load_text(OWN("cache = { budget = \"70ms\"; };\n"));
    assert_string_equal(config->preset, "p");
    assert_int_equal(config->max_object, 1024 * 1024);
    assert_int_equal(config->budget_ms, 70);
    assert_int_equal(config->encodings.count, 1);
    assert_int_equal(config->coalesce_wait_ms, 3000);
    assert_int_equal(config->coalesce_lease_ms, 3000);
    assert_int_equal(config->routes.count, 0);
    config_free(config);

    /* Wherever in the file it stands, and in an included one. */
    write_file("inner.conf", "preset = \"p\";\n");
    config = load_text("cache = { budget = \"70ms\"; };\n" URL "@include \"inner.conf\"\n");
    assert_int_equal(config->max_object, 1024 * 1024);
    assert_int_equal(config->budget_ms, 70);
    config_free(config);
    preset_home_gone();
}

static void
assert_routes(const struct config *config, const char *const *names, size_t count)
{
    assert_int_equal(config->routes.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(config->routes.list[i].name, names[i]);
}

/* One of the file may take a path of the preset's, or its place by its name. */
static void
preset_has_its_routes_behind_those_of_the_file(void **state)
{
    (void)state;
    preset_home("home");
    write_file("home/p.conf", "routes = ( { name = \"p-a\"; path = \"/a\"; ttl = \"1m\"; },\n"
                              "  { name = \"p-b\"; path = \"/b\"; client_cache = \"never\"; },\n"
                              "  { path = \"/c\"; hosts = [\"c\"]; } );\n");
    struct config *config = load_text(OWN(""));
    static const char *const alone[] = {"p-a", "p-b", "/c"};
    assert_routes(config, alone, 3);
    assert_true(config->routes.have_never);
    assert_true(config->routes.have_hosts);
    config_free(config);

    config = load_text(OWN("routes = ( { path = \"/z\"; }, { path = \"/a\"; } );\n"));
    static const char *const both[] = {"/z", "/a", "p-a", "p-b", "/c"};
    assert_routes(config, both, 5);
    struct route_match match;
    assert_true(route_find(&config->routes, config->arena, slice_of("GET"), slice_of(""),
                           slice_of("/a"), &match));
    assert_ptr_equal(match.route, &config->routes.list[1]);
    config_free(config);

    config = load_text(OWN("routes = ( { name = \"p-b\"; path = \"/b\"; ttl = \"2m\"; } );\n"));
    static const char *const replaced[] = {"p-b", "p-a", "/c"};
    assert_routes(config, replaced, 3);
    assert_int_equal(config->routes.list[0].policy.ttl_ms, 120000);
    assert_false(config->routes.have_never);
    config_free(config);
    preset_home_gone();
}

/* By its name in one directory; a file beside the one that names it. */
static void
preset_is_found_by_name_or_as_a_file(void **state)
{
    char text[512];
    (void)state;
    make_sub("sub");
    write_file("own.conf", "cache = { budget = \"61ms\"; };\n");
    write_file("sub/own.conf", "cache = { budget = \"62ms\"; };\n");
    struct config *config = load_text("preset = \"./own.conf\";\n" URL);
    assert_int_equal(config->budget_ms, 61);
    config_free(config);
    config = load_text("preset = \"sub/own.conf\";\n" URL);
    assert_int_equal(config->budget_ms, 62);
    config_free(config);
    write_file("sub/in.conf", "preset = \"./own.conf\";\n");
    config = load_text("@include \"sub/in.conf\"\n" URL);
    assert_int_equal(config->budget_ms, 62);
    config_free(config);
    snprintf(text, sizeof text, "preset = \"%s/own.conf\";\n" URL, dir);
    config = load_text(text);
    assert_int_equal(config->budget_ms, 61);
    config_free(config);

    /* A preset includes what is beside it, and is read anew each time. */
    preset_home("home");
    write_file("home/p.conf", "@include \"more.conf\"\n");
    write_file("home/more.conf", "cache = { budget = \"63ms\"; };\n");
    config = load_text(OWN(""));
    assert_int_equal(config->budget_ms, 63);
    config_free(config);
    write_file("home/more.conf", "cache = { budget = \"64ms\"; };\n");
    config = load_text(OWN(""));
    assert_int_equal(config->budget_ms, 64);
    config_free(config);
    preset_home_gone();
}

static void
preset_that_is_not_there_is_refused_with_those_that_are(void **state)
{
    char expected[512];
    (void)state;
    preset_home("few");
    write_file("few/b-2.conf", "");
    write_file("few/a_1.conf", "");
    write_file("few/.hidden.conf", "");
    write_file("few/README", "");
    refuse("\npreset = \"wordpres\";\n" URL,
           "t.conf:2: preset: there is no preset \"wordpres\"; there are: a_1, b-2");
    refuse("preset = \"b.2\";\n" URL,
           "t.conf:1: preset: found \"b.2\", expected the name of a preset (letters, digits, - and "
           "_), or a file with a / in its name");
    refuse("preset = 5;\n" URL,
           "t.conf:1: preset: found the integer 5, expected a string of 1 to 1024 bytes");
    refuse("preset = \"\";\n" URL,
           "t.conf:1: preset: found \"\", expected a string of 1 to 1024 bytes");
    refuse("\nprest = \"a_1\";\n" URL, "t.conf:2: unknown setting `prest`; did you mean `preset`?");
    refuse(URL "preset = \"a_1\";\npreset = \"b-2\";\n",
           "t.conf:3: found `preset` a second time, first in line 2");
    snprintf(expected, sizeof expected,
             "t.conf:1: cannot read %s/few/none.conf: No such file or directory", dir);
    refuse("preset = \"few/none.conf\";\n" URL, expected);
    preset_home("empty");
    refuse("preset = \"a_1\";\n" URL,
           "t.conf:1: preset: there is no preset \"a_1\"; there are: none");
    setenv("LARDER_PRESET_DIR", "/nonexistent/presets", 1);
    refuse("preset = \"a_1\";\n" URL,
           "t.conf:1: preset: cannot read the directory of presets, /nonexistent/presets: No such "
           "file or directory");
    preset_home_gone();
}

/* Where the mistake is: in the preset, or in the file. */
static void
preset_with_a_mistake_is_refused_at_its_own_line(void **state)
{
    static const struct {
        const char *preset;
        const char *own;
        const char *message;
    } list[] = {
        {"\nupstream = { };\n", "",
         "home/p.conf:2: found `upstream` in a preset, expected cache, coalesce or routes"},
        {"redis = { };\n", "",
         "home/p.conf:1: found `redis` in a preset, expected cache, coalesce or routes"},
        {"admin = { };\n", "",
         "home/p.conf:1: found `admin` in a preset, expected cache, coalesce or routes"},
        {"log = { };\n", "",
         "home/p.conf:1: found `log` in a preset, expected cache, coalesce or routes"},
        {"responder = { };\n", "",
         "home/p.conf:1: found `responder` in a preset, expected cache, coalesce or routes"},
        {"preset = \"p\";\n", "",
         "home/p.conf:1: found `preset` in a preset, expected cache, coalesce or routes"},
        {"cach = { };\n", "",
         "home/p.conf:1: found `cach` in a preset, expected cache, coalesce or routes"},
        {"cache = {\n", "", "home/p.conf:1: found `{` without its end"},
        {"cache = {\n budgt = \"1s\";\n};\n", "",
         "home/p.conf:2: unknown setting `budgt` in cache; did you mean `budget`?"},
        {"cache = {\n budget = 5;\n};\n", "",
         "home/p.conf:2: cache.budget: found the integer 5, expected a duration with its unit, "
         "such "
         "as \"5s\""},
        {"\n\ncache = {\n max_object = \"80M\";\n};\n", "",
         "home/p.conf:4: cache.store_queue_bytes: 67108864 bytes are less than max_object, "
         "83886080: "
         "such a response would never be stored"},
        {"cache = { max_object = \"80M\"; };\n", "\ncache = { store_queue_bytes = \"70M\"; };\n",
         "t.conf:4: cache.store_queue_bytes: 73400320 bytes are less than max_object, 83886080: "
         "such "
         "a response would never be stored"},
        {"cache = { encodings = [\"br\",\n\"BR\"]; };\n", "",
         "home/p.conf:2: cache.encodings: found \"BR\", expected the name of a coding in lower "
         "case, "
         "such as \"gzip\""},
        {"\nroutes = { };\n", "",
         "home/p.conf:2: routes: expected a list of at most 4096 groups: ( { ... }, { ... } )"},
        {"routes = (\n { path = \"/\"; ttl = 5; } );\n", "",
         "home/p.conf:2: routes.ttl: found the integer 5, expected a duration with its unit, such "
         "as "
         "\"5s\""},
        {"routes = ( { path = \"/\"; },\n { path = \"/\"; } );\n",
         "routes = ( { path = \"/\"; } );",
         "home/p.conf:2: the route \"/\" is never reached: the one in line 1 takes the same path, "
         "methods, hosts and parameters"},
        {"routes = ( { name = \"x\"; path = \"/a\"; },\n { name = \"x\"; path = \"/b\"; } );\n", "",
         "home/p.conf:2: name: found \"x\", which is the name of the route in line 1"},
        {"routes = ( { path = \"/a\"; } );\n", "routes = ( { path = \"/b\"; },\n{ path = 5; } );",
         "t.conf:4: routes.path: found the integer 5, expected a string of 1 to 512 bytes"},
    };
    (void)state;
    preset_home("home");
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char own[512];
        write_file("home/p.conf", list[i].preset);
        snprintf(own, sizeof own, OWN("%s"), list[i].own);
        refuse(own, list[i].message);
    }
    preset_home_gone();
}

static void
example_shows_every_option_with_its_default(void **state)
{
    char *text = source_file("etc/larder.conf");
    char section[32] = "";
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];
        if (strncmp(option->section, "routes", 6) == 0)
            continue;
        char name[80];
        if (!option->section[0]) {
            snprintf(name, sizeof name, "\n# %s = ", option->name);
            assert_non_null(strstr(text, name));
            continue;
        }
        snprintf(section, sizeof section, "\n%s = {", option->section);
        const char *group = strstr(text, section);
        const char *end = group ? strstr(group, "\n};") : NULL;
        snprintf(name, sizeof name, " %s = ", option->name);
        const char *at = group ? strstr(group, name) : NULL;
        if (!group || !end || !at || at > end)
            fail_msg("etc/larder.conf does not have %s.%s", option->section, option->name);
        bool quoted = option->type != OPTION_BOOL && option->type != OPTION_INT &&
                      option->type != OPTION_COUNT;
        if (!option->initial)
            continue;
        char value[96];
        snprintf(value, sizeof value, "%s%s%s;", quoted ? "\"" : "", option->initial,
                 quoted ? "\"" : "");
        if (strncmp(at + strlen(name), value, strlen(value)) != 0)
            fail_msg("etc/larder.conf: %s.%s is not %s", option->section, option->name, value);
    }
    test_free(text);
}

static void
manual_has_every_option_as_the_table_has_it(void **state)
{
    char *page = source_file("doc/larder.conf.5");
    size_t documented = 0;
    char section[64] = "";
    bool settings = false;
    (void)state;
    char *rest = page;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (strncmp(line, ".SH ", 4) == 0)
            settings = strcmp(line, ".SH SETTINGS") == 0;
        if (settings && strncmp(line, ".SS ", 4) == 0)
            snprintf(section, sizeof section, "%s", line + 4);
        if (!settings || strcmp(line, ".TP") != 0)
            continue;
        const char *name = strsep(&rest, "\n");
        const char *spec = strsep(&rest, "\n");
        assert_int_equal(strncmp(name, ".B ", 3), 0);
        const struct option *option = option_find(section, name + 3);
        if (!option)
            fail_msg("larder.conf.5 has %s.%s, the table has not", section, name + 3);
        char range[OPTION_RANGE_SIZE];
        char expected[256];
        bool plain = option->type == OPTION_BOOL;
        snprintf(expected, sizeof expected, "%s%s%s; %s%s", option_type_name(option),
                 plain ? "" : ", ", plain ? "" : option_range(option, range),
                 option->initial ? "default " : "no default",
                 option->initial ? option->initial : "");
        if (strcmp(spec, expected) != 0)
            fail_msg("larder.conf.5: %s.%s: %s, the table says %s", section, option->name, spec,
                     expected);
        documented++;
    }
    size_t known = 0;
    for (size_t i = 0; i < option_count; i++)
        known += options[i].type != OPTION_GROUP;
    assert_int_equal(documented, known);
    test_free(page);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar_is_checked_at_the_right_line),
        cmocka_unit_test(integers_beyond_32_bits_are_refused_as_written),
        cmocka_unit_test(grammar_allows_what_libconfig_does),
        cmocka_unit_test(includes_stand_beside_their_file_and_keep_their_lines),
        cmocka_unit_test(includes_that_cannot_be_read_are_errors_of_their_line),
        cmocka_unit_test(files_that_cannot_be_read_say_why),
        cmocka_unit_test(unknown_settings_name_the_nearest),
        cmocka_unit_test(types_are_named_in_words),
        cmocka_unit_test(ranges_hold_at_their_ends),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(urls_are_of_one_of_the_forms),
        cmocka_unit_test(what_stands_before_the_host_is_not_shown),
        cmocka_unit_test(backends_are_one_or_several_of_one_protocol),
        cmocka_unit_test(routes_that_cannot_do_what_they_say_are_refused),
        cmocka_unit_test(everything_has_its_place),
        cmocka_unit_test(caching_rules_have_their_place),
        cmocka_unit_test(thousands_of_routes_are_no_trouble),
        cmocka_unit_test(defaults_that_were_not_chosen_give_way),
        cmocka_unit_test(relative_names_stand_beside_their_file),
        cmocka_unit_test(password_comes_from_file_or_environment),
        cmocka_unit_test(password_files_that_are_not_safe_or_not_one_are_refused),
        cmocka_unit_test(password_that_everybody_may_read_is_warned_of),
        cmocka_unit_test(route_that_is_never_reached_is_warned_of),
        cmocka_unit_test(tokens_come_from_the_text_or_a_file),
        cmocka_unit_test(what_nobody_should_purge_with_is_refused),
        cmocka_unit_test(defaults_are_those_of_the_library_and_of_the_headers),
        cmocka_unit_test(shipped_configurations_load),
        cmocka_unit_test(shipped_presets_load),
        cmocka_unit_test(ancestor_has_its_routes),
        cmocka_unit_test(preset_gives_way_to_what_the_file_says),
        cmocka_unit_test(preset_has_its_routes_behind_those_of_the_file),
        cmocka_unit_test(preset_is_found_by_name_or_as_a_file),
        cmocka_unit_test(preset_that_is_not_there_is_refused_with_those_that_are),
        cmocka_unit_test(preset_with_a_mistake_is_refused_at_its_own_line),
        cmocka_unit_test(example_shows_every_option_with_its_default),
        cmocka_unit_test(manual_has_every_option_as_the_table_has_it),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
