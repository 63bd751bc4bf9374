/* The journal's file: its head page, its locks, and writing to it so that it is whole at any
 * instruction (journal_file.c); making, checking and looking at it (journal_open.c). */
#ifndef RUNTIME_JOURNAL_FILE_H
#define RUNTIME_JOURNAL_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/slice.h"
#include "larder.h"

#define JOURNAL_MAGIC "Larder journal "
#define JOURNAL_VERSION "1\n"
#define JOURNAL_HEAD_SIZE 4096
#define JOURNAL_WORDS_OFFSET 3968
#define JOURNAL_BOOT_SIZE 40
#define JOURNAL_PATH_MAX 512

/* Locks: that of whoever writes, and that of whoever replays. */
enum journal_lock { JOURNAL_LOCK_WRITE, JOURNAL_LOCK_REPLAY };

/* Where the records are that count: [start, end). */
struct journal_extent {
    uint32_t start, end;
};

static inline uint64_t
journal_extent_pack(struct journal_extent extent)
{
    return (uint64_t)extent.start << 32 | extent.end;
}

static inline struct journal_extent
journal_extent_unpack(uint64_t word)
{
    return (struct journal_extent){(uint32_t)(word >> 32), (uint32_t)word};
}

/* Lookups read the second cache line, which only appends write; who waits writes the first. */
struct journal_words {
    char boot[JOURNAL_BOOT_SIZE]; /* of the machine when the words were last set right */
    _Atomic uint64_t extent;      /* start << 32 | end */
    _Atomic uint64_t moves;   /* how often the extent was set to something else than a later end */
    _Atomic uint64_t waiting; /* somebody waits for the lock; who releases it lets him have it */
    _Atomic uint64_t pending;
    _Atomic uint64_t intents;
    char text_again[48]; /* blank; ends with LF, so that the first record begins a line */
};

/* Records: those that Redis has to be told, and those of mutations under way. */
struct journal_counts {
    uint64_t pending, intents;
};

struct journal_head {
    char about[JOURNAL_WORDS_OFFSET];
    struct journal_words words;
};

struct journal_file {
    int fd;
    bool is_private;
    uint64_t owner;              /* whose lock lasts as long as this is open */
    struct journal_head *head;   /* mapped */
    char path[JOURNAL_PATH_MAX]; /* for words */
};

/* Make it if need be, check it, map it, and set its words right. */
enum larder_status journal_file_open(struct journal_file *file, const char *state_dir,
                                     uint64_t hash, struct larder_error *err);
enum larder_status journal_file_open_private(struct journal_file *file, struct larder_error *err);
void journal_file_close(struct journal_file *file);

uint64_t journal_file_pending(const struct journal_file *file);
uint64_t journal_file_intents(const struct journal_file *file);

/* Take a lock of one's own, for as long as the file is open. */
enum larder_status journal_file_own(struct journal_file *file, struct larder_error *err);
/* Is somebody there who has that one? fd may be open for reading only. */
bool journal_file_lives(int fd, uint64_t owner);

/*
 * One holder at a time, among all that opened the file: of the threads that share
 * a journal_file only one may ask. Waits until deadline_ms; LARDER_TIMEOUT then.
 */
enum larder_status journal_file_lock(struct journal_file *file, enum journal_lock lock,
                                     int64_t deadline_ms, struct larder_error *err);
void journal_file_unlock(struct journal_file *file, enum journal_lock lock);

/* ---- with the lock of whoever writes: */

struct journal_extent journal_file_extent(const struct journal_file *file);
/* Changes when what was written is moved: an offset from before is of no use then. */
uint64_t journal_file_moves(const struct journal_file *file);

/* The text of an extent, malloc'd. */
enum larder_status journal_file_read(const struct journal_file *file, struct journal_extent extent,
                                     char **text, struct larder_error *err);

/* Add records behind the others. */
enum larder_status journal_file_append(struct journal_file *file, struct slice text,
                                       struct journal_counts counts, struct larder_error *err);

/* This text, with these records, instead of all that is there. */
enum larder_status journal_file_replace(struct journal_file *file, struct slice text,
                                        struct journal_counts counts, struct larder_error *err);

/* What counts from here on, after it was written; and how many records that are. */
void journal_file_set(struct journal_file *file, struct journal_extent extent,
                      struct journal_counts counts);
/* Cut off what does not count behind the end; false with errno. */
bool journal_file_cut(const struct journal_file *file, uint32_t end, off_t size);
/* Only the number of records, which a process that was killed may have left too high. */
void journal_file_recount(struct journal_file *file, struct journal_counts counts);

/* ---- without any lock: */

/* A descriptor to read, path filled; -1 with words, LARDER_MISS if there is no file. */
int journal_file_open_to_look(const char *state_dir, uint64_t hash, char path[JOURNAL_PATH_MAX],
                              struct larder_error *err);
/* The text that counts, malloc'd, and the number of its bytes. */
enum larder_status journal_file_look(int fd, const char *path, char **text, size_t *n,
                                     struct larder_error *err);

/* Fewer than n only at the end of the file; -1 with errno. */
ssize_t journal_read_at(int fd, char *p, size_t n, off_t at);
bool journal_write_at(int fd, const char *p, size_t n, off_t at);
enum larder_status journal_file_fail(const struct journal_file *file, enum larder_status status,
                                     const char *what, int why, struct larder_error *err);

#endif
