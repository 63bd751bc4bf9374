/*
 * Every option of larder.conf(5), in one table: what it is called, what it may
 * be, what it is when nothing is said, and where its value goes.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum option_type {
    OPTION_BOOL,     /* bool; true or false */
    OPTION_INT,      /* int; an integer */
    OPTION_COUNT,    /* size_t; an integer */
    OPTION_DURATION, /* int64_t, milliseconds; a string such as "30s" */
    OPTION_SIZE,     /* size_t, bytes; a string such as "8M" */
    OPTION_STRING,   /* const char *; min and max count bytes */
    OPTION_PATH,     /* const char *; a relative one stands beside the file that names it */
    OPTION_STRINGS,  /* struct string_list; max counts elements */
    OPTION_CHOICE,   /* an enum whose values are the choices in order */
    OPTION_SWITCH,   /* bool; two choices, the second means true */
    OPTION_GROUP     /* a group with options of its own; has no value */
};

/* Where `offset` leads nowhere: whoever reads the section stores the value. */
#define OPTION_APART SIZE_MAX

struct option {
    const char *section; /* "redis"; "routes" for one entry of the list, "routes.cookies"; "": it
                            stands at the top level */
    const char *name;
    enum option_type type;
    const char *initial; /* as in the file, without quotes; NULL: not set */
    int64_t min, max;
    const char *const *choices; /* ends with NULL */
    const char *help;
    size_t offset; /* in struct config; for routes and below, in struct route */
};

extern const struct option options[];
extern const size_t option_count;
/* At least option_count, for arrays beside the table. */
#define OPTIONS_MAX 160

/* Is this the name of a section, or `routes`? */
bool option_section_known(const char *name);

/* NULL: there is none. */
const struct option *option_find(const char *section, const char *name);
/* Its place in the table. */
size_t option_index(const struct option *option);

/* How it is written in a message: "redis.port". Returns buf. */
#define OPTION_NAME_SIZE 64
const char *option_full_name(char buf[OPTION_NAME_SIZE], const struct option *option);

/*
 * What somebody who wrote `name` in `section` ("": the top level) meant: a name
 * there that differs by little, or the same name in another section, written
 * with it ("redis.port"). "" if nothing is near. Returns buf.
 */
const char *option_nearest(char buf[OPTION_NAME_SIZE], const char *section, const char *name);

/* "duration", "integer" ... */
const char *option_type_name(const struct option *option);
/* What may be written: "1 to 65535", "10ms to 1h", "syslog, file or stderr". Returns buf. */
#define OPTION_RANGE_SIZE 104
const char *option_range(const struct option *option, char buf[OPTION_RANGE_SIZE]);
/* What a message says it expected: "a duration from 10ms to 1h, such as \"30s\"". Returns buf. */
#define OPTION_EXPECTED_SIZE 192
const char *option_expected(const struct option *option, char buf[OPTION_EXPECTED_SIZE]);

/*
 * The value of a duration, size, choice or switch from its text, into the field
 * at base. false: not of that form, or out of range.
 */
bool option_set_text(const struct option *option, void *base, const char *text);
bool option_set_number(const struct option *option, void *base, int64_t value);
bool option_set_bool(const struct option *option, void *base, bool value);

/* What the table says for a section into the fields at base. */
void option_set_defaults(const char *section, void *base);

#endif
