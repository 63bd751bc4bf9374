/*
 * The order in which tokens of a configuration may come.
 */
#ifndef CONFIG_GRAMMAR_H
#define CONFIG_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

#include "config/source.h"
#include "larder.h"

/* Brackets within brackets. */
#define GRAMMAR_BRACKETS_MAX 32
/* Settings that stand in all groups around a place together. */
#define GRAMMAR_NAMES_MAX 512
/* Of longer names libconfig finds the second one. */
#define GRAMMAR_NAME_MAX 47

/* What may come next. */
enum expect {
    EXPECT_NAME,          /* in a group: a setting, or its end */
    EXPECT_ASSIGN,        /* after a name */
    EXPECT_VALUE,         /* after = */
    EXPECT_FIRST_ELEMENT, /* after [ or (: an element, or its end */
    EXPECT_ELEMENT,       /* after a comma in [ ] or ( ) */
    EXPECT_SEPARATOR      /* after a value */
};

struct grammar {
    struct larder_error *err;
    enum expect expect;
    bool after_string;            /* in a group another string may follow, and is joined to it */
    char name[SOURCE_SHOWN_SIZE]; /* of the setting whose value is awaited */
    struct place name_place;
    bool secret;               /* that one is, or may be, a secret: no word of it is shown ... */
    struct place secret_place; /* ... nor what stands on the line of the last one */
    struct {
        char open;
        struct place place;
        size_t names; /* of `names`, from here on they are in this group */
    } brackets[GRAMMAR_BRACKETS_MAX];
    unsigned depth;
    struct {
        char text[GRAMMAR_NAME_MAX + 1];
        unsigned line;
    } names[GRAMMAR_NAMES_MAX];
    size_t name_count;
};

/* Each takes one token and where it stands; LARDER_INVALID with words if it may not stand there. */

/* A run of characters that grammar_is_word() has. assigned: a = or : comes after it. */
enum larder_status grammar_word(struct grammar *grammar, struct place place, const char *word,
                                size_t n, bool assigned);
enum larder_status grammar_string(struct grammar *grammar, struct place place);
/* Any other character. */
enum larder_status grammar_mark(struct grammar *grammar, struct place place, char mark);
enum larder_status grammar_end(struct grammar *grammar, struct place place);

bool grammar_is_word(char c);

#endif
