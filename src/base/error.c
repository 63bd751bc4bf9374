/*
 * Words for a struct larder_error. What goes into a message may come from
 * Redis, a backend or a configuration file, and ends up in logs and terminals:
 * control characters are replaced.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum larder_status
error_set(struct larder_error *err, enum larder_status status, const char *format, ...)
{
    if (!err)
        return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    if (vsnprintf(err->message, sizeof err->message, format, args) < 0)
        err->message[0] = '\0';
    va_end(args);
    for (char *p = err->message; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return status;
}
