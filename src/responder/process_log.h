/*
 * Where this process's log goes, and what is said where there is none yet.
 *
 * A log that cannot be opened ends no start: the site would be gone for a file that no
 * visitor needs. The lines go where those of a failed start do.
 */
#ifndef RESPONDER_PROCESS_LOG_H
#define RESPONDER_PROCESS_LOG_H

#include <stdbool.h>

#include "config/config.h"
#include "larder.h"

/* verbose: everything, to stderr, whatever the configuration says. */

/* At a start: what larder.conf names, or else stderr or syslog, with a line that says why. */
void process_log_start(const struct config *config, bool verbose);
/* At a reload: on failure the log stays where it is, with a line that says why. */
void process_log_move(const struct config *config, bool verbose);
/* For a test of the configuration: say on stderr what this user can know to be wrong. Changes nothing. */
void process_log_test(const struct config *config);

/* Say why there is no pool wherever the operator may look for it: on stderr, in the log once there is
 * one, and in syslog unless somebody reads stderr. */
void process_log_no_start(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
