/*
 * The command line of larderctl: options, the command, its arguments.
 *
 * One table lists every option; a command names those that are its own, the
 * others are for every command and may stand before or behind it. The parser is
 * ours and not getopt's for two reasons: a value may be a negative number
 * (`set k -5`), which is no option, and what follows `--` of `lock` is another
 * command line that must stay untouched.
 *
 * Called once by main(). It connects to nothing and reads no file.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

enum kind { KIND_FLAG, KIND_TEXT, KIND_NUMBER, KIND_DURATION, KIND_FIELD, KIND_ITEM };

struct option_spec {
    const char *name;
    const char *arg;
    size_t
        offset; /* in struct ctl; bool, const char * or int64_t by kind; the list of fields, of items */
    int64_t min;
    int64_t max;
    const char *help;
    enum kind kind;
    char letter; /* '\0': has none */
    bool global;
};

#define FIELD(name) offsetof(struct ctl, name)

static const struct option_spec option_table[] = {
    {"config", "FILE", FIELD(config_file), 0, 0, "take Redis and runtime_dir from FILE", KIND_TEXT,
     'f', true},
    {"no-config", NULL, FIELD(no_config), 0, 0, "read no configuration, not even the installed one",
     KIND_FLAG, '\0', true},
    {"host", "HOST", FIELD(host), 0, 0, "where Redis is", KIND_TEXT, '\0', true},
    {"port", "PORT", FIELD(port), 1, 65535, NULL, KIND_NUMBER, '\0', true},
    {"socket", "PATH", FIELD(socket), 0, 0, "Unix socket of Redis, instead of host and port",
     KIND_TEXT, '\0', true},
    {"user", "NAME", FIELD(user), 0, 0, "ACL user", KIND_TEXT, '\0', true},
    {"password-file", "FILE", FIELD(password_file), 0, 0,
     "its first line is the password; also: $LARDER_REDIS_PASSWORD", KIND_TEXT, '\0', true},
    {"database", "N", FIELD(database), 0, INT_MAX, NULL, KIND_NUMBER, '\0', true},
    {"namespace", "NAME", FIELD(name_space), 0, 0, "the site's prefix of every key", KIND_TEXT,
     '\0', true},
    {"runtime-dir", "DIR", FIELD(runtime_dir), 0, 0, "where the pool has its counters and sockets",
     KIND_TEXT, '\0', true},
    {"timeout", "DURATION", FIELD(timeout_ms), 1, INT64_C(86400000),
     "longest time for one call (10s), or for a sweep (no limit)", KIND_DURATION, '\0', true},
    {"json", NULL, FIELD(json), 0, 0, "answer in JSON", KIND_FLAG, '\0', true},
    {"quiet", NULL, FIELD(quiet), 0, 0, "only what was asked for, and errors", KIND_FLAG, 'q',
     true},
    {"help", NULL, FIELD(help), 0, 0, "explain the tool, or the command", KIND_FLAG, 'h', true},
    {"version", NULL, FIELD(version), 0, 0, NULL, KIND_FLAG, 'V', true},

    {"ttl", "DURATION", FIELD(ttl_ms), 1, INT64_C(315360000000),
     "how long it lives: 500ms, 30s, 5m, 1h30m", KIND_DURATION, '\0', false},
    {"if-absent", NULL, FIELD(if_absent), 0, 0,
     "only if there is no such key; exit code 1 if there is", KIND_FLAG, '\0', false},
    {"raw", NULL, FIELD(raw), 0, 0, "bytes instead of JSON", KIND_FLAG, '\0', false},
    {"null", NULL, FIELD(nul), 0, 0,
     "end each key with a NUL instead of a newline, and change no byte of it", KIND_FLAG, '0',
     false},
    {"dry-run", NULL, FIELD(dry_run), 0, 0, "count, delete nothing", KIND_FLAG, 'n', false},
    {"verbose", NULL, FIELD(verbose), 0, 0, "with --dry-run: list the keys", KIND_FLAG, 'v', false},
    {"yes", NULL, FIELD(yes), 0, 0, "do not ask", KIND_FLAG, 'y', false},
    {"server", NULL, FIELD(server), 0, 0, "every database of the server, whoever uses it",
     KIND_FLAG, '\0', false},
    {"header", "FIELD", FIELD(fields), 0, 0, "a field of the request, \"Name: value\"; repeatable",
     KIND_FIELD, 'H', false},
    {"method", "METHOD", FIELD(method), 0, 0, "instead of GET", KIND_TEXT, 'm', false},
    {"as", "USER", FIELD(as), 0, 0, "as if the web server had said that this is the user",
     KIND_TEXT, '\0', false},
    {"rewritten", "TARGET", FIELD(rewritten), 0, 0,
     "as if the web server had rewritten the URL to this path and query", KIND_TEXT, '\0', false},
    {"preset", NULL, FIELD(preset), 0, 0, "print the preset NAME, or a list of all of them",
     KIND_FLAG, '\0', false},
    {"url", "URL", FIELD(items), 0, 0, "http://HOST/PATH or https://HOST/PATH; repeatable, as are",
     KIND_ITEM, '\0', false},
    {"prefix", "URL", FIELD(items), 0, 0, "everything below a directory, http://HOST/DIRECTORY/",
     KIND_ITEM, '\0', false},
    {"tag", "TAG", FIELD(items), 0, 0, "of a route (tags), or of responses (Surrogate-Key ...)",
     KIND_ITEM, '\0', false},
    {"group", "NAME", FIELD(items), 0, 0, "of responses (Cache-Groups) of --origin", KIND_ITEM,
     '\0', false},
    {"pattern", "PATTERN", FIELD(items), 0, 0, "a Redis glob: responses, and application values",
     KIND_ITEM, '\0', false},
    {"origin", "ORIGIN", FIELD(origin), 0, 0, "http://HOST or https://HOST", KIND_TEXT, '\0',
     false},
    {"all", NULL, FIELD(everything), 0, 0, "every response of the site", KIND_FLAG, '\0', false},
    {"stdin", NULL, FIELD(from_stdin), 0, 0, "URLs from standard input, one a line", KIND_FLAG,
     '\0', false},
    {"soft", NULL, FIELD(soft), 0, 0, "make stale instead of dropping", KIND_FLAG, '\0', false},
    {"pool", NULL, FIELD(pool), 0, 0, "ask the processes, not Redis", KIND_FLAG, '\0', false},
};

#define OPTION_COUNT (sizeof option_table / sizeof option_table[0])

static bool
command_has(const struct command *command, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = command->options; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        if (strncmp(p, name, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
            return true;
    }
    return false;
}

static bool
number_parse(const char *text, int64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && !isspace((unsigned char)*text);
}

static int
add_item(struct ctl *ctl, const char *what, const char *text)
{
    struct ctl_item *items = reallocarray(ctl->items, ctl->item_count + 1, sizeof *items);

    if (!items) {
        complain("--%s: no memory", what);
        return CTL_FAILED;
    }
    ctl->items = items;
    ctl->items[ctl->item_count++] = (struct ctl_item){what, text};
    return CTL_OK;
}

static int
option_apply(struct ctl *ctl, const struct option_spec *spec, const char *value)
{
    char *field = (char *)ctl + spec->offset;
    int64_t number;

    switch (spec->kind) {
    case KIND_FLAG:
        memcpy(field, &(bool){true}, sizeof(bool));
        return CTL_OK;
    case KIND_TEXT:
        memcpy(field, &value, sizeof value);
        return CTL_OK;
    case KIND_FIELD:
        if (!strchr(value, ':')) {
            complain("--%s: '%s' is not of the form \"Name: value\"", spec->name, value);
            return CTL_USAGE;
        }
        if (ctl->field_count == CTL_FIELDS_MAX) {
            complain("--%s: more than %d", spec->name, CTL_FIELDS_MAX);
            return CTL_USAGE;
        }
        ctl->fields[ctl->field_count++] = value;
        return CTL_OK;
    case KIND_ITEM:
        return add_item(ctl, spec->name, value);
    case KIND_NUMBER:
        if (!number_parse(value, &number) || number < spec->min || number > spec->max) {
            complain("--%s: '%s' is not a number from %lld to %lld", spec->name, value,
                     (long long)spec->min, (long long)spec->max);
            return CTL_USAGE;
        }
        break;
    case KIND_DURATION:
        if (!config_parse_duration(value, &number) || number < spec->min || number > spec->max) {
            complain("--%s: '%s' is not a duration like 500ms, 30s or 5m", spec->name, value);
            return CTL_USAGE;
        }
        break;
    }
    memcpy(field, &number, sizeof number);
    return CTL_OK;
}

/* NULL: there is no such option, or it is another command's. */
static const struct option_spec *
option_find(const struct ctl *ctl, char letter, const char *name, size_t name_len)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_spec *spec = &option_table[i];

        if (name ? strlen(spec->name) != name_len || strncmp(spec->name, name, name_len) != 0
                 : spec->letter != letter)
            continue;
        if (spec->global || (ctl->command && command_has(ctl->command, spec->name)))
            return spec;
    }
    return NULL;
}

static int
option_unknown(const struct ctl *ctl, int dashes, const char *name, size_t name_len)
{
    if (ctl->command)
        complain("%s has no option %.*s%.*s; larderctl %s --help lists them", ctl->command->name,
                 dashes, "--", (int)name_len, name, ctl->command->name);
    else
        complain("no option %.*s%.*s before the command; larderctl --help lists them", dashes, "--",
                 (int)name_len, name);
    return CTL_USAGE;
}

/* --name, --name=value, --name value. *i is moved past what was used. */
static int
parse_long(struct ctl *ctl, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    size_t name_len = strcspn(name, "=");
    const struct option_spec *spec = option_find(ctl, '\0', name, name_len);
    const char *value = NULL;

    if (!spec)
        return option_unknown(ctl, 2, name, name_len);
    if (spec->kind == KIND_FLAG) {
        if (name[name_len] == '=') {
            complain("--%s takes no value", spec->name);
            return CTL_USAGE;
        }
    } else if (name[name_len] == '=') {
        value = name + name_len + 1;
    } else {
        value = argv[*i + 1];
        if (!value) {
            complain("--%s: %s is missing", spec->name, spec->arg);
            return CTL_USAGE;
        }
        (*i)++;
    }
    return option_apply(ctl, spec, value);
}

/* -q, -qv, -f FILE, -fFILE. */
static int
parse_short(struct ctl *ctl, char **argv, int *i)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const struct option_spec *spec = option_find(ctl, *p, NULL, 0);
        const char *value;
        int code;

        if (!spec)
            return option_unknown(ctl, 1, p, 1);
        if (spec->kind == KIND_FLAG) {
            code = option_apply(ctl, spec, NULL);
            if (code != CTL_OK)
                return code;
            continue;
        }
        value = p[1] ? p + 1 : argv[*i + 1];
        if (!value) {
            complain("-%c: %s is missing", spec->letter, spec->arg);
            return CTL_USAGE;
        }
        if (!p[1])
            (*i)++;
        return option_apply(ctl, spec, value);
    }
    return CTL_OK;
}

/* "-" is standard input, "-5" a number; "-0" is a flag of `keys`, which takes no number. */
static bool
is_option(const struct ctl *ctl, const char *arg)
{
    if (arg[0] != '-' || arg[1] == '\0')
        return false;
    if (isdigit((unsigned char)arg[1]))
        return ctl->command && option_find(ctl, arg[1], NULL, 0);
    return true;
}

static const struct command *
command_find(const char *name)
{
    for (const struct command *command = ctl_commands; command->name; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

int
options_usage(const struct command *command)
{
    complain("usage: larderctl %s%s%s; larderctl %s --help explains it", command->name,
             *command->args ? " " : "", command->args, command->name);
    return CTL_USAGE;
}

static int
check_arguments(const struct ctl *ctl)
{
    const struct command *command = ctl->command;

    if (ctl->arg_count < command->min_args ||
        (command->max_args >= 0 && ctl->arg_count > command->max_args))
        return options_usage(command);
    if (ctl->program && !ctl->program[0]) {
        complain("%s: no command after --", command->name);
        return CTL_USAGE;
    }
    if (ctl->socket && (ctl->host || ctl->port)) {
        complain("--socket and --host or --port: Redis is in one place or the other");
        return CTL_USAGE;
    }
    if (ctl->no_config && ctl->config_file) {
        complain("--config and --no-config exclude each other");
        return CTL_USAGE;
    }
    return CTL_OK;
}

int
options_parse(struct ctl *ctl, int argc, char **argv)
{
    int code = CTL_OK;
    int i;

    /* Arguments are gathered at the start of argv, which the loop has always passed already: the
     * program's name and the command's make room for them. */
    ctl->args = argv;
    for (i = 1; i < argc && code == CTL_OK; i++) {
        char *arg = argv[i];

        if (strcmp(arg, "--") == 0) {
            i++;
            break;
        }
        if (is_option(ctl, arg)) {
            code = arg[1] == '-' ? parse_long(ctl, argv, &i) : parse_short(ctl, argv, &i);
        } else if (ctl->command) {
            ctl->args[ctl->arg_count++] = arg;
        } else {
            ctl->command = command_find(arg);
            if (!ctl->command) {
                complain("there is no command '%s'; larderctl --help lists them", arg);
                return CTL_USAGE;
            }
        }
    }
    if (code != CTL_OK || ctl->help || ctl->version)
        return code;
    if (!ctl->command) {
        complain("which command? larderctl --help lists them");
        return CTL_USAGE;
    }
    if (ctl->command->runs && strcmp(argv[i - 1], "--") == 0) {
        ctl->program = argv + i;
    } else {
        while (i < argc)
            ctl->args[ctl->arg_count++] = argv[i++];
    }
    return check_arguments(ctl);
}

static void
print_option(FILE *to, const struct option_spec *spec)
{
    char text[64];

    snprintf(text, sizeof text, "%c%c%s --%s%s%s", spec->letter ? '-' : ' ',
             spec->letter ? spec->letter : ' ', spec->letter ? "," : " ", spec->name,
             spec->arg ? " " : "", spec->arg ? spec->arg : "");
    if (spec->help)
        fprintf(to, "  %-26s %s\n", text, spec->help);
    else
        fprintf(to, "  %s\n", text);
}

static void
print_command_help(FILE *to, const struct command *command)
{
    bool first = true;

    fprintf(to, "Usage: larderctl [OPTION]... %s%s%s\n\n%s\n\n", command->name,
            *command->args ? " " : "", command->args, command->help);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (option_table[i].global || !command_has(command, option_table[i].name))
            continue;
        if (first)
            fputs("Options:\n", to);
        first = false;
        print_option(to, &option_table[i]);
    }
    fprintf(to, "%sExample:\n  %s\n\nOptions for every command, and exit codes: larderctl --help\n",
            first ? "" : "\n", command->example);
}

void
options_print_help(FILE *to, const struct command *command)
{
    if (command) {
        print_command_help(to, command);
        return;
    }
    fputs("Usage: larderctl [OPTION]... COMMAND [ARGUMENT]...\n"
          "\n"
          "Look at a Larder cache, purge it, use its values and locks.\n"
          "\n"
          "Commands (larderctl COMMAND --help explains one):\n",
          to);
    for (const struct command *c = ctl_commands; c->name; c++)
        fprintf(to, "  %s%s%s\n", c->name, *c->args ? " " : "", c->args);
    fputs("\nOptions:\n", to);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (option_table[i].global)
            print_option(to, &option_table[i]);
    }
    fputs("\n"
          "Exit codes: 0 done or yes; 1 no, not found, held by another; 2 wrong usage or\n"
          "configuration; 3 Redis or the pool does not answer; 4 refused, corrupt or failed;\n"
          "5 broken off, perhaps done in part.\n"
          "\n"
          "The manual is larderctl(1).\n",
          to);
}
