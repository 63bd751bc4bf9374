/* Variants that are in use keep their place (client/store.h): Redis is told of it now and then. */
#ifndef RESPONDER_VARIANT_USE_H
#define RESPONDER_VARIANT_USE_H

#include "responder/entry.h"
#include "responder/server.h"

/* A request has found this variant, in the form that has this checksum. Costs no round trip; most calls
 * do nothing. From any thread. */
void variant_use_note(struct site *site, const char *primary, const char *key,
                      const char checksum[ENTRY_CHECKSUM_SIZE], size_t max_variants,
                      int64_t wall_ms);

#endif
