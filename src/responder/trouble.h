/*
 * What has lately gone wrong between a site and its backend, for `larderctl explain`.
 *
 * Of one process, and of one configuration: a reload begins anew, so that what an
 * operator has mended is not held against the new setting. It is forgotten after
 * TROUBLE_LASTS_MS without more of it.
 */
#ifndef RESPONDER_TROUBLE_H
#define RESPONDER_TROUBLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "larder.h"

#define TROUBLE_LASTS_MS INT64_C(300000)

struct trouble {
    pthread_mutex_t mutex; /* guards what follows */
    int64_t loops;         /* requests that have come back from the backend */
    int64_t looped_ms;     /* when the last of them came; 0: none has */
    int64_t failed_ms;     /* when the backend last failed; 0: it has not */
    char failure[LARDER_ERROR_MAX];
    int64_t refused_ms; /* when the log had that last; 0: it has not */
    char refused[LARDER_ERROR_MAX];
};

void trouble_init(struct trouble *trouble);
void trouble_free(struct trouble *trouble);

/* Any thread. */
void trouble_note_loop(struct trouble *trouble, int64_t now_ms);
void trouble_note_failure(struct trouble *trouble, const char *words, int64_t now_ms);

/* Has the log had these words in the last minute? If not, it has them now. */
bool trouble_is_repeated(struct trouble *trouble, const char *words, int64_t now_ms);

/* What is recent. -1 in age: there is nothing. */
struct trouble_told {
    int64_t loops, loop_age_ms;
    int64_t failure_age_ms;
    char failure[LARDER_ERROR_MAX];
};
void trouble_tell(struct trouble *trouble, int64_t now_ms, struct trouble_told *out);

#endif
