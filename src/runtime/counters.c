/*
 * Counters of the whole pool in one shared file.
 *
 *   offset 0      header: magic, version, sizes, fingerprint of the names
 *   offset 4096   slot 0, shared by those who found no slot of their own
 *   then          slots 1 to 1023, one for each living process
 *
 * A slot is an array of 64-bit counters in the order of COUNTERS. All of it is
 * in the byte order and the alignment of the machine: the file never leaves it.
 *
 * The idea: nothing needs to be done when a process dies, because it may die at
 * any moment and so would whoever does it. A slot is claimed by a lock on its
 * first byte that belongs to the open file, which the kernel releases with the
 * last descriptor, kill -9 or not. The counts are not moved or cleared; the next
 * owner adds to them. So the sum over all slots is always the sum of what was
 * ever counted, and there is no moment at which a crash could lose or double it.
 *
 * How the file is made, found and replaced is in shared_file.c. Readers do not
 * map it.
 *
 * Called by the responder's main thread (open, close), by all its threads (add)
 * and by larderctl (read). Never waits for another process longer than a second.
 * A child forked after counters_open() counts into its parent's slot.
 */
#include "runtime/counters.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/shared_file.h"

#define NAME "counters"
#define FILE_MODE 0640
#define MAGIC "LARDCNT"
#define VERSION 1

#define HEADER_SIZE 4096
/* Eight cache lines: room for thirty more counters, and neighbours are not prefetched together. */
#define SLOT_SIZE 512
#define SLOT_COUNT 1024
#define FILE_SIZE (HEADER_SIZE + SLOT_COUNT * SLOT_SIZE)
#define SHARED_SLOT 0

struct header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint32_t slot_size;
    uint32_t slot_count;
    uint64_t names; /* fingerprint: a counter added or moved makes another layout */
};

typedef _Atomic uint64_t count_t;

static_assert(sizeof(struct header) == 32, "no padding in what is written to the file");
static_assert(sizeof(count_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2,
              "a lock inside the process would not work between processes");
static_assert(COUNTER_COUNT * sizeof(count_t) <= SLOT_SIZE, "make the slots larger");

/* Counted here until there is a slot, and for ever if there is none. */
static alignas(64) count_t private_slot[COUNTER_COUNT];
static _Atomic(count_t *) current = private_slot;
/* Holds the lock on our slot. Only the main thread opens and closes. */
static int claimed_fd = -1;

static const struct {
    const char *name, *help;
} words[] = {
#define COUNTERS_WORDS(name, help) {#name, help},
    COUNTERS(COUNTERS_WORDS)
#undef COUNTERS_WORDS
};

const char *
counter_name(enum counter counter)
{
    return words[counter].name;
}

const char *
counter_help(enum counter counter)
{
    return words[counter].help;
}

void
counters_add(enum counter counter, uint64_t n)
{
    count_t *slot = atomic_load_explicit(&current, memory_order_acquire);
    atomic_fetch_add_explicit(&slot[counter], n, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------ layout */

/* FNV-1a. It need not withstand anybody: who can write the file can write its fingerprint. */
static uint64_t
fingerprint(void)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < COUNTER_COUNT; i++)
        for (const char *p = words[i].name;; p++) {
            hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
            if (!*p)
                break;
        }
    return hash;
}

static struct header
layout(void)
{
    return (struct header){.magic = MAGIC,
                           .version = VERSION,
                           .header_size = HEADER_SIZE,
                           .slot_size = SLOT_SIZE,
                           .slot_count = SLOT_COUNT,
                           .names = fingerprint()};
}

static struct shared_file
file_of(const struct header *head)
{
    return (struct shared_file){.name = NAME,
                                .head = head,
                                .head_size = sizeof *head,
                                .size = FILE_SIZE,
                                .mode = FILE_MODE};
}

static off_t
slot_offset(int slot)
{
    return HEADER_SIZE + (off_t)slot * SLOT_SIZE;
}

/* ---------------------------------------------------------------------------- the public face */

/* A slot that no living process has. */
static int
claim_slot(int fd)
{
    for (int i = SHARED_SLOT + 1; i < SLOT_COUNT; i++)
        if (shared_file_lock(fd, F_WRLCK, slot_offset(i), 1))
            return i;
    return SHARED_SLOT;
}

/* Only the page with the slot. */
static count_t *
map_slot(int fd, int slot)
{
    off_t page = (off_t)sysconf(_SC_PAGESIZE);
    off_t inside = slot_offset(slot) % page;
    char *base = mmap(NULL, (size_t)inside + SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      slot_offset(slot) - inside);
    return base == MAP_FAILED ? NULL : (count_t *)(void *)(base + inside);
}

enum larder_status
counters_open(const char *runtime_dir, struct larder_error *err)
{
    struct larder_error why = {LARDER_OK, ""};
    const struct header head = layout();
    const struct shared_file file = file_of(&head);
    count_t *slot = NULL;

    counters_close();
    int fd = shared_file_open(&file, runtime_dir, &why);
    if (fd >= 0) {
        slot = map_slot(fd, claim_slot(fd));
        if (!slot) {
            error_set(&why, LARDER_UNAVAILABLE, NAME " %s/" NAME ": mmap: %s", runtime_dir,
                      strerror(errno));
            close(fd);
        }
    }
    if (!slot)
        return error_set(err, why.status, "%s", why.message);
    claimed_fd = fd;
    atomic_store_explicit(&current, slot, memory_order_release);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        atomic_fetch_add_explicit(&slot[i], atomic_exchange(&private_slot[i], 0),
                                  memory_order_relaxed);
    return LARDER_OK;
}

/* The page stays mapped: a thread that has just loaded `current` may still add, and it is one page.
 * The mapping keeps the open file, and so its lock, alive after close(): let it go by hand. */
void
counters_close(void)
{
    atomic_store_explicit(&current, private_slot, memory_order_release);
    if (claimed_fd < 0)
        return;
    shared_file_lock(claimed_fd, F_UNLCK, 0, 0);
    close(claimed_fd);
    claimed_fd = -1;
}

static bool
is_claimed(int fd, int slot)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot_offset(slot), .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static enum larder_status
sum_slots(int fd, const char *dir, struct counters_total *out, struct larder_error *err)
{
    uint64_t slot[SLOT_SIZE / sizeof(uint64_t)];

    for (int i = 0; i < SLOT_COUNT; i++) {
        if (pread(fd, slot, sizeof slot, slot_offset(i)) != (ssize_t)sizeof slot)
            return error_set(err, LARDER_CORRUPT, NAME " %s/" NAME ": cut short", dir);
        for (size_t k = 0; k < COUNTER_COUNT; k++)
            out->value[k] += slot[k];
        out->processes += i != SHARED_SLOT && is_claimed(fd, i);
    }
    return LARDER_OK;
}

enum larder_status
counters_read(const char *runtime_dir, struct counters_total *out, struct larder_error *err)
{
    struct larder_error why = {LARDER_OK, ""};
    const struct header head = layout();
    const struct shared_file file = file_of(&head);

    memset(out, 0, sizeof *out);
    int fd = shared_file_read(&file, runtime_dir, &why);
    enum larder_status status = fd >= 0 ? sum_slots(fd, runtime_dir, out, &why) : why.status;
    if (fd >= 0)
        close(fd);
    return status == LARDER_OK ? LARDER_OK : error_set(err, status, "%s", why.message);
}
