/*
 * Backend requests that come back. The idea stands in loop.c.
 */
#ifndef RESPONDER_LOOP_H
#define RESPONDER_LOOP_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/fields.h"
#include "config/config.h"
#include "responder/request.h"

/* "larder-", 12 hex digits of the pool, "-", 8 of its store; with its NUL. */
#define LOOP_ID_SIZE 29

enum loop {
    LOOP_NONE,
    LOOP_SAME_STORE, /* a Larder in front of this one keeps in the same place what it gets from us */
    LOOP_OWN,        /* this pool has sent it to its backend before */
    LOOP_ENDLESS     /* it has passed more Larders than anybody puts in a row */
};

/* The name of this pool in CDN-Loop and Via. Reads the machine's id and name. */
void loop_id(char id[LOOP_ID_SIZE], const struct config *config);

/* What the request says of the Larders that it has passed. */
enum loop loop_of(const struct fields *request, const char *id);

/* Add what says that this pool has passed the request on: CDN-Loop behind what came, and, where we
 * are a hop of HTTP, Via. shared: for an answer that is everybody's; of both fields only the names of
 * Larders. false: no memory, or too many fields. */
bool loop_mark(struct fields *out, const struct fields *request, const char *id, bool is_hop,
               bool shared, struct arena *arena);

/* Count it, and tell the operator which setting is wrong: one line in a while. */
void loop_note(enum loop loop, const struct config *config, const struct request *request);

/* How an operator reads that setting: upstream.url = "...". In the arena; "upstream.url" without
 * memory. */
const char *loop_setting(const struct config *config, struct arena *arena);

#endif
