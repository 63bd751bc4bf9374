/*
 * Dates in their three formats (date.c).
 *
 * Must hold besides not crashing: what is one can be written and is then the
 * same second; a date with two digits for the year is at most fifty years ahead;
 * no byte in front or behind makes another date of it.
 */
#include "fuzz.h"

#include "http/date.h"

#define SIZE_LIMIT ((size_t)256)
#define NOW INT64_C(1700000000)
#define YEAR_1 (-INT64_C(62135596800))
#define YEAR_9999_END INT64_C(253402300800)
#define FIFTY_ONE_YEARS (INT64_C(51) * 366 * 86400)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t times[] = {0, NOW, INT64_C(4102444800), -1};
    if (size > SIZE_LIMIT)
        return 0;
    struct slice text = {(const char *)data, size};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t t, again;
        if (!http_date_parse(text, times[i], &t))
            continue;
        char out[HTTP_DATE_SIZE];
        http_date_format(t, out);
        MUST(strlen(out) == HTTP_DATE_SIZE - 1);
        if (t >= YEAR_1 && t < YEAR_9999_END) {
            MUST(http_date_parse(slice_of(out), times[i], &again));
            MUST(again == t);
        }
        /* "Sunday, 06-Nov-94 08:49:37 GMT" */
        if (memchr(data, '-', size))
            MUST(t < times[i] + FIFTY_ONE_YEARS);
        char longer[SIZE_LIMIT + 1];
        memcpy(longer, data, size);
        longer[size] = 'x';
        MUST(!http_date_parse((struct slice){longer, size + 1}, times[i], &again));
    }
    return 0;
}
