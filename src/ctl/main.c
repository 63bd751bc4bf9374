/*
 * larderctl: look at a Larder cache, purge it, and use its values and locks from
 * a shell.
 *
 * This file is the table of commands and the way from the command line to one of
 * them. A command is a function from struct ctl to an exit code; it connects by
 * itself, so that wrong usage never waits for a network.
 *
 * It never takes a password from the command line, where any user of the machine
 * could read it, and never asks when there is nobody to answer.
 */
#include <signal.h>
#include <string.h>

#include "config/source.h"
#include "ctl/ctl.h"

static int ctl_help(struct ctl *ctl);

const struct command ctl_commands[] = {
    {"get", "KEY", "Print a value as JSON text, or with --raw its bytes as they are stored.",
     "larderctl get config:motd", "raw", 1, 1, false, ctl_get},
    {"set", "KEY VALUE|-",
     "Store JSON text; - reads it from standard input. With --raw any bytes, unchecked.",
     "larderctl set config:motd '{\"text\":\"Hello\"}' --ttl 5m", "ttl if-absent raw", 2, 2, false,
     ctl_set},
    {"del", "KEY...", "Delete keys and say how many there were. None is no failure.",
     "larderctl del session:abc session:abc:stats", "", 1, -1, false, ctl_del},
    {"exists", "KEY", "Say yes (exit code 0) or no (exit code 1).",
     "larderctl --quiet exists session:abc && echo still there", "", 1, 1, false, ctl_exists},
    {"ttl", "KEY", "Print how long a key has to live, or \"never\" if it does not expire.",
     "larderctl ttl session:abc", "", 1, 1, false, ctl_ttl},
    {"expire", "KEY DURATION", "Let a key live for DURATION from now.",
     "larderctl expire session:abc 10m", "", 2, 2, false, ctl_expire},
    {"incr", "KEY [BY]", "Add BY (default 1, may be negative) to a number and print the sum.",
     "larderctl incr stats:global 10", "", 1, 2, false, ctl_incr},
    {"keys", "[PATTERN]",
     "List the keys that match a Redis glob (default *). A key may come twice when others write\n"
     "meanwhile.",
     "larderctl keys 'session:user:*:list'", "null", 0, 1, false, ctl_keys},
    {"lock", "KEY [-- COMMAND...]",
     "Take a lock and print its token. With a COMMAND, hold the lock while it runs, and exit with\n"
     "its exit code. Exit code 1: somebody else holds it.",
     "larderctl lock nightly --ttl 30s -- /usr/local/bin/report --all", "ttl", 1, 1, true,
     ctl_lock},
    {"unlock", "KEY TOKEN", "Give a lock back. Only the token that took it can.",
     "larderctl unlock nightly \"$token\"", "", 2, 2, false, ctl_unlock},
    {"extend", "KEY TOKEN", "Hold a lock for another --ttl from now.",
     "larderctl extend nightly \"$token\" --ttl 1m", "ttl", 2, 2, false, ctl_extend},
    {"purge", "",
     "Purge stored responses by URL, directory, tag, group, pattern, or all, also those that are\n"
     "being fetched. Asks a process of the running pool.",
     "larderctl purge --url https://shop.example/offers --tag product:7",
     "url prefix tag group origin pattern all stdin soft yes", 0, 0, false, ctl_purge},
    {"purge-pattern", "PATTERN",
     "Delete the keys that match a Redis glob, and invalidate the stored responses it covers.",
     "larderctl purge-pattern --dry-run -v 'template:*'", "dry-run verbose yes", 1, 1, false,
     ctl_purge_pattern},
    {"purge-user", "UID",
     "Delete everything of one user, values and responses, and nothing of any other.",
     "larderctl purge-user 42", "dry-run", 1, 1, false, ctl_purge_user},
    {"flush", "", "Delete everything in the namespace, or with --server on the whole server.",
     "larderctl --namespace shop flush", "dry-run server yes", 0, 0, false, ctl_flush},
    {"explain", "URL | --preset [NAME]",
     "Say what the next request for a URL will get, and why: its route, its key, what is stored\n"
     "and how fresh that is. Asks the running pool, and changes nothing. Or print a preset, which\n"
     "says itself what it does.",
     "larderctl explain http://localhost/news -H 'Accept-Encoding: gzip'",
     "header method as rewritten preset", 0, 1, false, ctl_explain},
    {"stats", "", "Print what the pool counted, its processes, and what Redis says of itself.",
     "larderctl stats --json | jq .pool.counters.hits", "", 0, 0, false, ctl_stats},
    {"status", "", "Ask every process of the pool on this machine how it is.", "larderctl status",
     "", 0, 0, false, ctl_status},
    {"ping", "", "Ask Redis for a sign of life, or with --pool every process of the pool.",
     "larderctl ping --pool", "pool", 0, 0, false, ctl_ping},
    {"check-config", "[FILE]",
     "Say whether a configuration can be used, or what is wrong and where.",
     "larderctl check-config /etc/larder.conf", "", 0, 1, false, ctl_check_config},
    {"help", "[COMMAND]", "Explain the tool or one command.", "larderctl help purge-pattern", "", 0,
     1, false, ctl_help},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, false, NULL},
};

static int
ctl_help(struct ctl *ctl)
{
    const struct command *command = NULL;

    if (ctl->arg_count > 0) {
        for (command = ctl_commands; command->name; command++) {
            if (strcmp(command->name, ctl->args[0]) == 0)
                break;
        }
        if (!command->name) {
            complain("there is no command '%s'; larderctl --help lists them", ctl->args[0]);
            return CTL_USAGE;
        }
    }
    options_print_help(stdout, command);
    return CTL_OK;
}

int
main(int argc, char **argv)
{
    struct ctl ctl = {.database = -1};
    int code;

    /* A reader that goes (`larderctl keys | head`) and a Redis that goes are errors of a call. */
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);

    source_set_tool();
    code = options_parse(&ctl, argc, argv);
    if (code == CTL_OK) {
        if (ctl.help)
            options_print_help(stdout, ctl.command);
        else if (ctl.version)
            printf("larderctl %s\n", LARDER_VERSION);
        else
            code = ctl.command->run(&ctl);
    }
    settings_free(&ctl);
    return finish_output(code);
}
