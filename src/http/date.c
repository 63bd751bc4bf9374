/*
 * HTTP dates (RFC 9110 §5.6.7).
 *
 * Written by hand and not with strptime(), which follows the locale, takes
 * more than the grammar does and needs a NUL at the end. Days are counted with
 * the usual civil calendar formula, so that no time zone database is touched.
 */
#include "http/date.h"

#include <stdio.h>

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekdays[] = "SunMonTueWedThuFriSat";

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. */
static int64_t
days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void
civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

struct cursor {
    const char *p;
    const char *end;
};

static bool
take_char(struct cursor *c, char wanted)
{
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool
take_digits(struct cursor *c, int count, int *out)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (c->p == c->end || *c->p < '0' || *c->p > '9')
            return false;
        value = value * 10 + (*c->p++ - '0');
    }
    *out = value;
    return true;
}

static bool
take_month(struct cursor *c, int *out)
{
    if (c->end - c->p < 3)
        return false;
    for (int i = 0; i < 12; i++)
        if (strncasecmp(c->p, months + 3 * i, 3) == 0) {
            c->p += 3;
            *out = i + 1;
            return true;
        }
    return false;
}

static bool
take_time(struct cursor *c, int *h, int *m, int *s)
{
    return take_digits(c, 2, h) && take_char(c, ':') && take_digits(c, 2, m) && take_char(c, ':') &&
           take_digits(c, 2, s);
}

static bool
take_letters(struct cursor *c)
{
    const char *start = c->p;
    while (c->p < c->end && ((*c->p >= 'A' && *c->p <= 'Z') || (*c->p >= 'a' && *c->p <= 'z')))
        c->p++;
    return c->p - start >= 3;
}

static bool
take_gmt(struct cursor *c)
{
    if (c->end - c->p != 4 || strncasecmp(c->p, " GMT", 4) != 0)
        return false;
    c->p += 4;
    return true;
}

static bool
combine(int64_t year, int month, int day, int h, int m, int s, int64_t *out)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int length = lengths[month - 1] + (month == 2 && leap);
    /* 60: a leap second is part of the grammar. */
    if (day < 1 || day > length || h > 23 || m > 59 || s > 60)
        return false;
    *out = days_from_civil(year, month, day) * 86400 + h * 3600 + m * 60 + s;
    return true;
}

bool
http_date_parse(struct slice text, int64_t now_s, int64_t *out_s)
{
    int day, month, year, h, m, s;
    if (text.n == 0 || text.n > 40)
        return false;
    struct cursor c = {text.p, text.p + text.n};
    if (!take_letters(&c))
        return false;
    if (take_char(&c, ',')) {
        if (!take_char(&c, ' ') || !take_digits(&c, 2, &day))
            return false;
        if (take_char(&c, ' ')) { /* Sun, 06 Nov 1994 08:49:37 GMT */
            if (!take_month(&c, &month) || !take_char(&c, ' ') || !take_digits(&c, 4, &year))
                return false;
        } else { /* Sunday, 06-Nov-94 08:49:37 GMT */
            if (!take_char(&c, '-') || !take_month(&c, &month) || !take_char(&c, '-') ||
                !take_digits(&c, 2, &year))
                return false;
            int64_t this_year;
            int unused_month, unused_day;
            civil_from_days(now_s / 86400, &this_year, &unused_month, &unused_day);
            year += (int)(this_year / 100 * 100);
            if (year > this_year + 50)
                year -= 100;
        }
        return take_char(&c, ' ') && take_time(&c, &h, &m, &s) && take_gmt(&c) &&
               combine(year, month, day, h, m, s, out_s);
    }
    /* Sun Nov  6 08:49:37 1994 */
    if (!take_char(&c, ' ') || !take_month(&c, &month) || !take_char(&c, ' '))
        return false;
    if (take_char(&c, ' ') ? !take_digits(&c, 1, &day) : !take_digits(&c, 2, &day))
        return false;
    return take_char(&c, ' ') && take_time(&c, &h, &m, &s) && take_char(&c, ' ') &&
           take_digits(&c, 4, &year) && c.p == c.end && combine(year, month, day, h, m, s, out_s);
}

void
http_date_format(int64_t time_s, char out[HTTP_DATE_SIZE])
{
    const int64_t first = days_from_civil(1, 1, 1) * 86400;
    const int64_t last = days_from_civil(10000, 1, 1) * 86400 - 1;
    time_s = time_s < first ? first : time_s > last ? last : time_s;
    int64_t days = (time_s >= 0 ? time_s : time_s - 86399) / 86400;
    int rest = (int)(time_s - days * 86400);
    int64_t year;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    int weekday = (int)(((days + 4) % 7 + 7) % 7);
    /* Unsigned and reduced, so that the compiler can see that it fits. */
    snprintf(out, HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", weekdays + 3 * weekday,
             (unsigned)day % 100u, months + 3 * (month - 1), (unsigned)year % 10000u,
             (unsigned)rest / 3600u % 100u, (unsigned)rest / 60u % 60u, (unsigned)rest % 60u);
}
