/*
 * The process's log: syslog, a file (reopened on request), or stderr. One line
 * a message, control characters made visible, at most 2,000 bytes. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "larder.h"

enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_FILE };

/* file only for LOG_TARGET_FILE. May be called again (SIGHUP). On failure the old target stays,
 * and errno has the reason. */
enum larder_status log_open(enum log_target target, const char *file, enum larder_log_level level,
                            struct larder_error *err);
/* SIGUSR2: open the file anew (logrotate). */
void log_reopen(void);
void log_close(void);

bool log_wants(enum larder_log_level level);
void log_write(enum larder_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Shaped for larder_options.log. */
void log_from_client(void *arg, enum larder_log_level level, const char *message);

#endif
