/*
 * The command line of larder-fcgi.
 */
#include "responder/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "config/config.h"

#ifndef LARDER_SYSCONFDIR
#define LARDER_SYSCONFDIR "/etc"
#endif

static const char usage[] =
    "Usage: larder-fcgi [-f FILE] [-s ADDRESS] [options]\n"
    "\n"
    "The Larder FastCGI responder: an HTTP response cache between a web server and\n"
    "its backend. Started by spawn-fcgi, mod_fcgid, lighttpd, multiwatch or systemd\n"
    "it takes the listening socket from them; with -s it opens its own.\n"
    "\n"
    "  -f, --config FILE        configuration; default $LARDER_CONFIG, else\n"
    "                           " LARDER_SYSCONFDIR "/larder.conf\n"
    "  -s, --socket ADDRESS     listen on a path, HOST:PORT, [V6]:PORT or :PORT\n"
    "      --socket-mode MODE   mode of a Unix socket, octal; default 0660\n"
    "      --socket-owner USER[:GROUP]\n"
    "                           owner of a Unix socket\n"
    "  -t, --test               check the configuration and exit\n"
    "      --unavailable        answer every request 503, for 5 s or until a configuration\n"
    "                           that is wrong is right; if it is right, for 2 s\n"
    "      --help-config        print every option of the configuration and exit\n"
    "  -v, --verbose            log to stderr, with every request\n"
    "  -V, --version            print the version and exit\n"
    "  -h, --help               print this and exit\n"
    "\n"
    "Signals: TERM and USR1 finish what is in hand and exit; HUP reads the\n"
    "configuration again; USR2 opens the log file anew.\n"
    "\n"
    "See larder-fcgi(8) and larder.conf(5).\n";

int
arguments_parse(struct arguments *options, int argc, char **argv, struct larder_error *err)
{
    enum { OPTION_MODE = 256, OPTION_OWNER, OPTION_HELP_CONFIG, OPTION_UNAVAILABLE };
    static const struct option table[] = {
        {"config", required_argument, NULL, 'f'},
        {"socket", required_argument, NULL, 's'},
        {"socket-mode", required_argument, NULL, OPTION_MODE},
        {"socket-owner", required_argument, NULL, OPTION_OWNER},
        {"test", no_argument, NULL, 't'},
        {"unavailable", no_argument, NULL, OPTION_UNAVAILABLE},
        {"help-config", no_argument, NULL, OPTION_HELP_CONFIG},
        {"verbose", no_argument, NULL, 'v'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    opterr = 0; /* the caller says it */
    while ((c = getopt_long(argc, argv, "f:s:tvVh", table, NULL)) != -1) {
        switch (c) {
        case 'f':
            options->config_file = optarg;
            break;
        case 's':
            options->listen.address = optarg;
            break;
        case OPTION_MODE:
            options->listen.mode = optarg;
            break;
        case OPTION_OWNER:
            options->listen.owner = optarg;
            break;
        case 't':
            options->test = true;
            break;
        case OPTION_UNAVAILABLE:
            options->unavailable = true;
            break;
        case OPTION_HELP_CONFIG:
            config_print_options();
            return EXIT_SUCCESS;
        case 'v':
            options->verbose = true;
            break;
        case 'V':
            printf("larder-fcgi %s\n", larder_version());
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            if (optopt > 0 && optopt < OPTION_MODE)
                error_set(err, LARDER_INVALID, "option -%c is unknown, or its argument is missing",
                          optopt);
            else
                error_set(err, LARDER_INVALID, "option %s is unknown, or its argument is missing",
                          argv[optind - 1]);
            return ARGUMENTS_WRONG;
        }
    }
    if (optind < argc) {
        error_set(err, LARDER_INVALID, "unexpected argument '%s'", argv[optind]);
        return ARGUMENTS_WRONG;
    }
    if (!options->config_file)
        options->config_file = getenv("LARDER_CONFIG");
    if (!options->config_file || !*options->config_file)
        options->config_file = LARDER_SYSCONFDIR "/larder.conf";
    return ARGUMENTS_FINE;
}
