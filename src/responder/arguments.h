/*
 * The command line of larder-fcgi.
 */
#ifndef RESPONDER_ARGUMENTS_H
#define RESPONDER_ARGUMENTS_H

#include <stdbool.h>

#include "larder.h"
#include "responder/listen.h"

struct arguments {
    const char *config_file;
    struct listen_options listen;
    bool test;
    bool unavailable;
    bool verbose;
};

/* Go on; the command line is wrong, and err says why. */
#define ARGUMENTS_FINE (-1)
#define ARGUMENTS_WRONG 2

/* Returns ARGUMENTS_FINE or what the process exits with; --help and the like are carried out. */
int arguments_parse(struct arguments *options, int argc, char **argv, struct larder_error *err);

#endif
