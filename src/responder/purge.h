/*
 * The one way in which the responder invalidates: whatever a mutation, an
 * answer's fields or an operator make stale is a list of tags, and of patterns
 * for application values, and goes through here. What Redis does not take goes
 * to the journal of the machine, so that it is never lost.
 */
#ifndef RESPONDER_PURGE_H
#define RESPONDER_PURGE_H

#include "base/arena.h"
#include "base/slice.h"
#include "client/store.h"
#include "routing/path.h"
#include "responder/server.h"

struct purge {
    const char **tags; /* as store.h names them */
    size_t tag_count, tag_room;
    const char **patterns; /* Redis globs: their tags, then the keys that match, are dropped */
    size_t pattern_count;
    bool soft; /* tags only become stale; patterns are hard in any case */
};

/* The tag goes into the arena, once. false: no memory. */
bool purge_add_tag(struct purge *purge, struct arena *arena, const char *tag);

/*
 * The tags of a URL of this site, in any spelling: the query is reduced as the
 * route of a GET for it says. false: no memory.
 */
bool purge_add_url(struct purge *purge, const struct config *config, struct slice scheme,
                   struct slice host, struct slice target, struct arena *arena);

/* The tags of a directory, of whose path these are the readings. false: no memory. */
bool purge_add_directory(struct purge *purge, struct slice scheme, struct slice host,
                         const struct path_readings *readings, struct arena *arena);

enum purge_outcome {
    PURGE_DONE,    /* in force on every machine */
    PURGE_QUEUED,  /* so it is, but application values that patterns match may be there yet */
    PURGE_JOURNAL, /* in force on this machine; the others hear of it when Redis is back */
    PURGE_FAILED   /* neither Redis nor the journal took it */
};

/*
 * Invalidate, by deadline_ms (monotonic). What went wrong with Redis is in err
 * also when the journal has it. *deleted (may be NULL): keys that patterns
 * dropped. Counts and logs nothing.
 */
enum purge_outcome purge_run(struct site *site, const struct purge *purge, int64_t deadline_ms,
                             int64_t *deleted, struct larder_error *err);

/*
 * What was changed for a site, while a reload has gone to another Redis, or namespace,
 * was not dropped in that one, nor can it be known there: everything is. Does nothing
 * where both are the same. As purge_run().
 */
enum purge_outcome purge_moved(const struct site *site, int64_t deadline_ms,
                               struct larder_error *err);

/* A copy of its own, by malloc, and its end. false: no memory. */
bool purge_copy(struct purge *out, const struct purge *purge);
void purge_free(struct purge *purge);

/* "done", "queued", "journal", "failed": the value of X-Cache-Invalidate. Static. */
const char *purge_outcome_name(enum purge_outcome outcome);

#endif
