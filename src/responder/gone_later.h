/* What is gone stays gone: what is to be dropped and could not be, because Redis did not answer. */
#ifndef RESPONDER_GONE_LATER_H
#define RESPONDER_GONE_LATER_H

#include <stdint.h>

#include "responder/server.h"

/* What goes; of two words about one key the later one in this list. */
enum gone_extent {
    GONE_STALE, /* what is stale under this primary key, now; what is fresh, with its freshness */
    GONE_ONE,   /* what is under this key, if it has the checksum; "": whatever it has */
    GONE_PAGE   /* what is under this primary key, and its variants */
};

/* Drop it as soon as Redis answers. There is room for so many; the newest win. Any thread. */
#define GONE_LATER_MAX 1024
void gone_later(const struct site *site, const char *key, enum gone_extent extent,
                const char *checksum);

/* Called by the storer: drop some of it. In how many ms it is to be called again; -1: nothing is left. */
int64_t gone_later_run(void);

#endif
