/*
 * A file of fixed size that all processes of the pool map: <runtime_dir>/<name>,
 * behind a head that says its layout. See shared_file.c.
 */
#ifndef RUNTIME_SHARED_FILE_H
#define RUNTIME_SHARED_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "larder.h"

/* The head begins with so many bytes that only a file of ours has. */
#define SHARED_FILE_MAGIC 8

struct shared_file {
    const char *name;
    const void *head; /* what the file begins with */
    size_t head_size;
    size_t random_size; /* so many random bytes come behind it; the rest is zero */
    off_t size;
    mode_t mode;
};

/*
 * A descriptor to read and write it, made where it is missing and replaced where
 * another version of Larder has laid it out; -1 with words. One that is not ours
 * (another owner, writable by others, no regular file, no magic) is refused.
 * Waits for another process for a second at most.
 */
int shared_file_open(const struct shared_file *file, const char *dir, struct larder_error *err);

/* The same to read what is there; err->status LARDER_MISS: there is none. Nothing is made. */
int shared_file_read(const struct shared_file *file, const char *dir, struct larder_error *err);

/* Lock bytes for this open file, type F_WRLCK or F_UNLCK; does not wait. */
bool shared_file_lock(int fd, short type, off_t offset, off_t len);

#endif
