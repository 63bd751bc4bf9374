/* HTTP dates (RFC 9110 §5.6.7). */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define HTTP_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL */

/*
 * Parse any of the three formats: IMF-fixdate, RFC 850, asctime. Names of
 * months count in any case; the day name is not checked against the date.
 * now_s decides the century of a two-digit year: more than 50 years ahead means
 * the past. false: not a date, and then the field counts as invalid.
 */
bool http_date_parse(struct slice text, int64_t now_s, int64_t *out_s);

/* Write IMF-fixdate. Times outside the years 1 to 9999 are cut to them. */
void http_date_format(int64_t time_s, char out[HTTP_DATE_SIZE]);

#endif
