/*
 * The text of a configuration: the file and all that it includes, as one text
 * without comments, whose grammar has been checked, and which knows where each
 * of its lines came from.
 */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <sys/types.h>

#include "larder.h"

/* All files of one configuration together. */
#define SOURCE_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define SOURCE_FILES_MAX 256
/* @include within @include. */
#define SOURCE_DEPTH_MAX 10
/* Longest piece of the operator's text that a message shows. */
#define SOURCE_SHOWN_MAX 40

struct source;

struct place {
    const char *file;
    unsigned line; /* 0: the file as a whole */
};

/*
 * NULL: err has "FILE:LINE: what was found, what was expected". from: the place
 * that names the file, where it is an error that it cannot be read; line 0: the
 * file itself.
 */
struct source *source_read(const char *file, struct place from, struct larder_error *err);
/* Overwrites the text first: it may hold a password. */
void source_free(struct source *source);

const char *source_text(const struct source *source);
/* Where a line of the text (from 1) stands. */
struct place source_place(const struct source *source, unsigned line);
/* The permissions of the file at a place. */
mode_t source_mode(const struct source *source, struct place place);

/* Words with the place before them; returns LARDER_INVALID. */
enum larder_status place_error(struct larder_error *err, struct place place, const char *format,
                               ...) __attribute__((format(printf, 3, 4)));

/* Why a file cannot be opened, for a message: who was not let in, and what would. Returns buf. */
#define SOURCE_WHY_SIZE 192
const char *source_why(char buf[SOURCE_WHY_SIZE], int error);
/* For a tool of operators, before it reads anything: source_why() then names the users that may read
 * the files, and does not say how to open them to the caller's group. */
void source_set_tool(void);

/* At most SOURCE_SHOWN_MAX bytes of text, dots where it was cut. Returns buf. */
#define SOURCE_SHOWN_SIZE (SOURCE_SHOWN_MAX + 4)
const char *source_shown(char buf[SOURCE_SHOWN_SIZE], const char *text, size_t n);

#endif
