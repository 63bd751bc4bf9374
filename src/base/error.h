/* Words for a struct larder_error. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "larder.h"

/* Set status and message (cut to size; control characters become '?'), and return status, so that
 * `return error_set(err, ...)` reads well. err may be NULL. */
enum larder_status error_set(struct larder_error *err, enum larder_status status,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
