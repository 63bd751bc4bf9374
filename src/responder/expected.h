/*
 * What fields answers are expected to name in Vary: names that earlier answers of the
 * same kind have named.
 *
 * Of one process, and of one configuration: a reload begins anew. A kind is a route, a
 * host and the extension of the path, so that the files of a route tell nothing of its
 * pages. Its size is bounded; a kind may take the place of another, which then has to be
 * learned again.
 */
#ifndef RESPONDER_EXPECTED_H
#define RESPONDER_EXPECTED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/vary.h"

#define EXPECTED_KINDS 512
/* Names of one kind; a further one is not learned. */
#define EXPECTED_NAMES 8
/* Bytes of a name; a longer one is not learned. */
#define EXPECTED_NAME_BYTES 38

struct expected {
    pthread_mutex_t mutex; /* guards kinds */
    struct expected_kind {
        uint64_t hash; /* 0: the place is free */
        struct {
            unsigned char weight; /* see expected.c */
            unsigned char n;      /* 0: none */
            char text[EXPECTED_NAME_BYTES];
        } names[EXPECTED_NAMES];
    } kinds[EXPECTED_KINDS];
};

void expected_init(struct expected *expected);
void expected_free(struct expected *expected);

/* route: any number that stands for it. target: path and query. */
uint64_t expected_kind_of(size_t route, struct slice host, struct slice target);

/* All names that are known of a kind, or those alone that its next answer is likely to have. false: no
 * memory. */
bool expected_names(struct expected *expected, uint64_t kind, bool likely, struct vary *out,
                    struct arena *arena);

/* One answer of the kind has, or has not, named this field, where that made a difference. */
void expected_learn(struct expected *expected, uint64_t kind, struct slice name, bool named);

#endif
