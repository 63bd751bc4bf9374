/*
 * A response while it arrives.
 *
 * One thread appends, others read without a lock: what is at `size` or beyond
 * is the writer's, what is before it never changes any more, and `size` is
 * published after the bytes. For that the bytes must not move. Of a body whose
 * length is told there is one block; else a small one, and when that is full a
 * mapping as large as the limit, of which the kernel gives only the pages that
 * are written to; the small block stays for who is reading from it.
 *
 * Of a body beyond the limit a file takes the rest. It has no name, so that
 * nothing has to be cleaned up, whatever happens to the process. It is a ring. Its
 * writer sees to it that nothing is overwritten that somebody has yet to read; who
 * reads all the same what is being overwritten finds that out by `reserved`, which
 * is moved before the bytes are.
 */
#include "responder/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

/* Most pages whose length nobody tells are smaller. */
#define SMALL_ROOM ((size_t)32 * 1024)
/* Fields, key material, tags of a response. */
#define DESCRIPTION_MAX ((size_t)2 * 1024 * 1024)

struct spool *
spool_new(int64_t length, size_t limit)
{
    if (length >= 0 && (uint64_t)length > limit)
        return NULL;
    struct spool *spool = calloc(1, sizeof *spool);
    size_t room = length >= 0 ? (size_t)length : limit < SMALL_ROOM ? limit : SMALL_ROOM;
    if (!spool || !(spool->small = malloc(room ? room : 1))) {
        free(spool);
        return NULL;
    }
    atomic_init(&spool->users, 1);
    atomic_init(&spool->memory, spool->small);
    atomic_init(&spool->file, -1);
    spool->room = room;
    spool->limit = limit;
    spool->length = length;
    return spool;
}

struct spool *
spool_whole(char *block, struct slice body)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return NULL;
    atomic_init(&spool->users, 1);
    atomic_init(&spool->memory, (char *)body.p);
    atomic_init(&spool->in_memory, body.n);
    atomic_init(&spool->size, body.n);
    atomic_init(&spool->file, -1);
    atomic_init(&spool->state, SPOOL_WHOLE);
    spool->adopted = block;
    spool->room = spool->limit = body.n;
    spool->length = (int64_t)body.n;
    spool->entry.body = body;
    return spool;
}

struct spool *
spool_again(struct spool *spool)
{
    atomic_fetch_add_explicit(&spool->users, 1, memory_order_relaxed);
    return spool;
}

void
spool_give(struct spool *spool)
{
    if (!spool || atomic_fetch_sub_explicit(&spool->users, 1, memory_order_acq_rel) != 1)
        return;
    if (spool->all)
        munmap(spool->all, spool->limit);
    if (atomic_load(&spool->file) >= 0)
        close(atomic_load(&spool->file));
    arena_free(spool->arena);
    free(spool->small);
    free(spool->adopted);
    free(spool);
}

/* ------------------------------------------------------------------ what it is */

static bool
copy(struct slice *slice, struct arena *arena)
{
    if (!slice->p)
        return true;
    slice->p = arena_strndup(arena, slice->p, slice->n);
    return slice->p != NULL;
}

static bool
copy_own(struct own_tags *own, const struct own_tags *from, struct arena *arena)
{
    *own = (struct own_tags){.count = from->count};
    if (from->count == 0)
        return true;
    own->name = arena_calloc(arena, from->count, sizeof *own->name);
    own->generation = arena_calloc(arena, from->count, sizeof *own->generation);
    if (!own->name || !own->generation)
        return false;
    for (size_t i = 0; i < from->count; i++) {
        own->name[i] = arena_strndup(arena, from->name[i], strlen(from->name[i]));
        if (!own->name[i])
            return false;
        memcpy(own->generation[i], from->generation[i], sizeof own->generation[i]);
    }
    return true;
}

bool
spool_describe(struct spool *spool, const struct entry *entry, struct slice names)
{
    if (!spool->arena && !(spool->arena = arena_new(DESCRIPTION_MAX)))
        return false;
    struct arena *arena = spool->arena;
    struct slice body = spool->entry.body;
    struct entry *own = &spool->entry;
    *own = *entry;
    own->body = body;
    own->fields = (struct fields){0};
    own->stored.fields = &own->fields;
    if (!copy(&own->material, arena) || !copy(&own->range, arena) || !copy(&names, arena) ||
        !copy_own(&own->own, &entry->own, arena))
        return false;
    for (size_t i = 0; i < entry->fields.count; i++) {
        struct field field = entry->fields.list[i];
        if (!copy(&field.name, arena) || !copy(&field.value, arena) ||
            !fields_add(&own->fields, arena, field.name, field.value))
            return false;
    }
    spool->described = names.n == 0 || vary_unformat(&spool->vary, names, arena);
    return spool->described;
}

/* -------------------------------------------------------------------- the body */

/* Room for n more bytes in memory. */
static bool
grow(struct spool *spool, size_t used, size_t n)
{
    if (n <= spool->room - used)
        return true;
    if (n > spool->limit - used || spool->all || spool->adopted)
        return false;
    char *all = mmap(NULL, spool->limit, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED)
        return false;
    /* A page of 2 MiB for a body of 40 KiB would be what the queue of stores cannot count. */
    madvise(all, spool->limit, MADV_NOHUGEPAGE);
    memcpy(all, spool->small, used);
    spool->all = all;
    spool->room = spool->limit;
    atomic_store_explicit(&spool->memory, all, memory_order_release);
    return true;
}

/* Where byte `offset` of the body, which is not in memory, stands in the file, and how much of the ring
 * follows without a break. */
static off_t
place(const struct spool *spool, size_t offset, size_t in_memory, size_t *unbroken)
{
    size_t at = (offset - in_memory) % spool->ring;
    *unbroken = spool->ring - at;
    return (off_t)at;
}

static bool
write_all(int file, const char *data, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t written = pwrite(file, data, n, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        data += written;
        n -= (size_t)written;
        at += written;
    }
    return true;
}

bool
spool_append(struct spool *spool, const char *data, size_t n)
{
    size_t size = atomic_load_explicit(&spool->size, memory_order_relaxed);
    size_t in_memory = atomic_load_explicit(&spool->in_memory, memory_order_relaxed);
    int file = atomic_load_explicit(&spool->file, memory_order_relaxed);
    assert(spool_state(spool) == SPOOL_GROWING);
    if (file >= 0) {
        size_t unbroken;
        off_t at = place(spool, size, in_memory, &unbroken);
        size_t first = n < unbroken ? n : unbroken;
        if (n > spool->ring)
            return false;
        atomic_store(&spool->reserved, size + n);
        if (!write_all(file, data, first, at) || !write_all(file, data + first, n - first, 0))
            return false;
    } else {
        if (!grow(spool, size, n))
            return false;
        if (n)
            memcpy(atomic_load_explicit(&spool->memory, memory_order_relaxed) + size, data, n);
        atomic_store_explicit(&spool->in_memory, size + n, memory_order_relaxed);
    }
    atomic_store_explicit(&spool->size, size + n, memory_order_release);
    return true;
}

static int
open_in(const char *directory)
{
    int file = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return file;
    /* A file system without such files. */
    char path[512];
    if (snprintf(path, sizeof path, "%s/spool.XXXXXX", directory) >= (int)sizeof path)
        return -1;
    file = mkostemp(path, O_CLOEXEC);
    if (file >= 0)
        unlink(path);
    return file;
}

bool
spool_spill(struct spool *spool, const char *directory, size_t most)
{
    const char *temporary = getenv("TMPDIR");
    int file = open_in(directory);
    if (file < 0)
        file = open_in(temporary && *temporary ? temporary : "/tmp");
    if (file < 0) {
        int why = errno;
        log_write(LARDER_LOG_ERROR, "no file in %s for what is too large for memory: %s", directory,
                  strerror(why));
        errno = why;
        return false;
    }
    spool->ring = most;
    atomic_store(&spool->reserved, spool_size(spool));
    atomic_store_explicit(&spool->file, file, memory_order_release);
    return true;
}

bool
spool_has_room(const struct spool *spool, size_t n)
{
    size_t size = spool_size(spool), needed = atomic_load(&spool->needed);
    size_t in_memory = atomic_load_explicit(&spool->in_memory, memory_order_relaxed);
    if (needed < in_memory)
        needed = in_memory;
    return n <= spool->ring && size - needed <= spool->ring - n;
}

void
spool_end(struct spool *spool, bool whole)
{
    if (whole && spool_in_memory(spool))
        spool->entry.body = spool_body(spool);
    atomic_store_explicit(&spool->state, whole ? SPOOL_WHOLE : SPOOL_BROKEN, memory_order_release);
}

/* --------------------------------------------------------------------- reading */

enum spool_state
spool_state(const struct spool *spool)
{
    return (enum spool_state)atomic_load_explicit(&spool->state, memory_order_acquire);
}

size_t
spool_size(const struct spool *spool)
{
    return atomic_load_explicit(&spool->size, memory_order_acquire);
}

bool
spool_in_memory(const struct spool *spool)
{
    return atomic_load_explicit(&spool->file, memory_order_acquire) < 0;
}

struct slice
spool_body(const struct spool *spool)
{
    size_t n = spool_size(spool);
    return (struct slice){atomic_load_explicit(&spool->memory, memory_order_acquire), n};
}

struct slice
spool_read(const struct spool *spool, size_t offset, char *buf, bool *failed)
{
    size_t size = spool_size(spool);
    size_t in_memory = atomic_load_explicit(&spool->in_memory, memory_order_relaxed);
    *failed = false;
    if (offset >= size)
        return (struct slice){NULL, 0};
    if (in_memory > size) /* more has come in the meantime */
        in_memory = size;
    if (offset < in_memory)
        return (struct slice){atomic_load_explicit(&spool->memory, memory_order_acquire) + offset,
                              in_memory - offset};
    int file = atomic_load_explicit(&spool->file, memory_order_acquire);
    size_t n = size - offset < SPOOL_READ_MAX ? size - offset : SPOOL_READ_MAX, unbroken;
    off_t at = place(spool, offset, in_memory, &unbroken);
    ssize_t got;
    do
        got = pread(file, buf, n < unbroken ? n : unbroken, at);
    while (got < 0 && errno == EINTR);
    if (atomic_load(&spool->reserved) - offset > spool->ring)
        got = -1; /* overwritten meanwhile */
    *failed = got <= 0;
    return (struct slice){buf, got > 0 ? (size_t)got : 0};
}
