/* One record of the journal as a line of text. See journal_line.c. */
#ifndef RUNTIME_JOURNAL_LINE_H
#define RUNTIME_JOURNAL_LINE_H

#include <stdbool.h>

#include "base/arena.h"
#include "runtime/journal.h"

/* Text that grows; free(p). failed: no memory, and the text is of no use. */
struct journal_text {
    char *p;
    size_t n, room;
    bool failed;
};

void journal_text_add(struct journal_text *text, const char *bytes, size_t n);

struct journal_line {
    struct journal_record record;
    int64_t time_ms;   /* when it was noted, wall */
    struct slice text; /* the line with its LF; .p NULL: stands for what could not be read */
};

/* Append a record, as several lines if it has many names. How many lines; 0: it has no names, which
 * JOURNAL_DONE need not have. */
size_t journal_line_write(struct journal_text *text, const struct journal_record *record,
                          int64_t now_wall_ms);

enum journal_verdict { JOURNAL_LINE_GOOD, JOURNAL_LINE_BAD, JOURNAL_LINE_NO_MEMORY };

/* The line without its LF; what is in *out lives in the arena. */
enum journal_verdict journal_line_read(struct slice line, struct arena *arena,
                                       struct journal_line *out);

/* The checksum that a line begins with, of what follows behind the blank. */
uint64_t journal_line_sum(struct slice rest);

#endif
