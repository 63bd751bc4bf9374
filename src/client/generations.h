/* What liblarder's own modules share about generations; the calls themselves are in store.h. */
#ifndef CLIENT_GENERATIONS_H
#define CLIENT_GENERATIONS_H

#include "client/store.h"
#include "client/wire.h"

/* "gen:<tag>" with its namespace, as one argument. */
void generations_key(const struct larder *cache, struct wire *wire, const char *tag);

/* LARDER_INVALID: too many, or too long. */
enum larder_status generations_check(const struct store_tags *tags, struct larder_error *err);

#endif
