/*
 * Changes to generations: DEL, or the same script, on each of some tags, after the news of
 * it, and before the word of the replicas that they have it.
 */
#ifndef CLIENT_CHANGE_H
#define CLIENT_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/command.h"
#include "client/news.h"
#include "larder.h"

#define CHANGE_ARGS_MAX 4

/* What a script on a tag came to; not negative: what it says itself. */
enum {
    CHANGE_REFUSED = -1, /* there was no room: it is as it was */
    CHANGE_DELETED = -2  /* the script was not let run, the generation is deleted instead */
};

struct change {
    enum command command;
    const char *script; /* KEYS[1]: the generation; returns an integer, CHANGE_REFUSED included;
                           NULL: it is deleted */
    const char *argument[CHANGE_ARGS_MAX]; /* ARGV, the same for all tags */
    size_t arguments;
    bool tell;   /* append to the news first */
    bool insist; /* where the script is not let run, delete; otherwise that is LARDER_REFUSED */
};

/*
 * One pipeline on one connection: XADD, the scripts, WAIT. n is at most NEWS_TAGS_MAX. Where the
 * news cannot be appended to they are deleted, and then the scripts run again; so a script must be
 * repeatable. Fewer replicas than asked for: LARDER_UNAVAILABLE. results (n of them, may be NULL)
 * are right with LARDER_OK.
 */
enum larder_status change_run(struct larder *cache, const struct change *change,
                              const char *const *tags, size_t n, int64_t deadline_ms, int *results,
                              struct larder_error *err);

/* store_purge_tags() of at most NEWS_TAGS_MAX, hard, without the news: for who has told them. */
enum larder_status purge_untold(struct larder *cache, const char *const *tags, size_t n,
                                int64_t deadline_ms, struct larder_error *err);

#endif
