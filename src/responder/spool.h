/*
 * A response while it arrives: one writes, any number read, each at its own
 * pace. Shared and counted; whoever holds it reads what is there, whatever
 * becomes of the fetch that writes it.
 *
 * The body stands in memory, at an address that never moves, up to a limit; what
 * is more goes to an unlinked file, if spool_spill() was called, and else is
 * refused. What is in memory is never taken away again. The file is a ring, so that
 * it does not grow with a body that has no end: what all have read gives room for
 * what comes.
 */
#ifndef RESPONDER_SPOOL_H
#define RESPONDER_SPOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "http/vary.h"
#include "responder/entry.h"

/* Most that the file has, and so the most by which one who reads may lag behind what comes. */
#define SPOOL_FILE_MAX ((size_t)64 * 1024 * 1024)
/* Read from the file at once. */
#define SPOOL_READ_MAX ((size_t)64 * 1024)

enum spool_state { SPOOL_GROWING, SPOOL_WHOLE, SPOOL_BROKEN };

struct spool {
    atomic_int users;

    /* The response in the form in which it is kept, in memory of the spool's own. Set before it is
     * shared, by spool_describe(); its body is set when it is whole. */
    struct entry entry;
    struct vary vary; /* the fields that select it */
    bool described;
    int64_t length; /* as its head says; -1: not known */

    size_t low;            /* the streamer's, while it looks for who is furthest behind */
    atomic_size_t needed;  /* what is before this has been read by all */
    atomic_size_t lagging; /* one who has read no further than this is too slow */
    atomic_int readers;    /* besides the client that it was fetched for */

    /* Private to spool.c. */
    struct arena *arena;
    size_t limit;            /* most that stands in memory */
    size_t room;             /* of it so much is there; the writer's */
    char *small;             /* the first bytes, malloc'd; they stay when `all` has taken over */
    char *all;               /* of `limit` bytes, mapped; the writer's */
    char *adopted;           /* malloc'd by somebody else */
    _Atomic(char *) memory;  /* where the body stands: in one of the three */
    atomic_size_t in_memory; /* so much of it */
    atomic_size_t size;      /* all that can be read */
    atomic_int file;         /* -1: none */
    size_t ring;             /* bytes of it */
    atomic_size_t reserved;  /* up to here it is written, or being written */
    atomic_int state;
};

/* For a body of `length` bytes (-1: not known), of which at most `limit` stand in memory. NULL: no
 * memory, or length is more than limit. */
struct spool *spool_new(int64_t length, size_t limit);

/* A whole body that is there already; `block`, malloc'd, holds it and is the spool's from here on.
 * NULL: no memory; then it is not. */
struct spool *spool_whole(char *block, struct slice body);

struct spool *spool_again(struct spool *spool);
void spool_give(struct spool *spool); /* NULL is allowed */

/* Copy an entry's metadata (not its body), and what selects it (.n 0: no Vary). false: no memory. */
bool spool_describe(struct spool *spool, const struct entry *entry, struct slice names);

/* The writer: more of the body. false: over the limit, no memory, no room on the disk; then nothing
 * of it was taken. */
bool spool_append(struct spool *spool, const char *data, size_t n);

/* The writer: from here on into a file of at most `most` bytes. false: none could be made. */
bool spool_spill(struct spool *spool, const char *directory, size_t most);

/* The writer: can n bytes more be appended to the file without taking away what somebody has not read
 * (spool->needed)? */
bool spool_has_room(const struct spool *spool, size_t n);

/* The writer: there is no more. Then entry.body is set, if it is whole and all in memory. */
void spool_end(struct spool *spool, bool whole);

enum spool_state spool_state(const struct spool *spool);
size_t spool_size(const struct spool *spool);
/* All of it stands in memory? */
bool spool_in_memory(const struct spool *spool);
/* The body so far; only while it is all in memory. It stays where it is. */
struct slice spool_body(const struct spool *spool);

/*
 * Some of what is there from `offset` on; .n 0: nothing yet, or the file cannot
 * be read or does not have it any more (*failed). What is in the file is read into buf, of SPOOL_READ_MAX bytes.
 */
struct slice spool_read(const struct spool *spool, size_t offset, char *buf, bool *failed);

#endif
