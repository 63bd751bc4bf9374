/*
 * Which scripts the web server has chosen, as far as this process has seen:
 * `larderctl explain` has a URL alone, and the key has the script.
 */
#ifndef RESPONDER_SEEN_H
#define RESPONDER_SEEN_H

#include "responder/request.h"

/* How many ways of choosing one are remembered; the oldest goes. */
#define SEEN_MAX 64

/* The web server has chosen request->script for this host, in the key's spelling. Any thread. */
void seen_note(const struct request *request, struct slice host);

/*
 * What it may choose for another URL of that host, the latest first: at most
 * SEEN_MAX, in the arena. Any thread.
 */
size_t seen_candidates(struct chosen_script *out, const struct request *request, struct slice host,
                       struct arena *arena);

/* Forget all; at the end of the process. */
void seen_cleanup(void);

#endif
