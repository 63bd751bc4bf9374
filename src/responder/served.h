/* Which Redis and namespace this machine has served last; see served.c. */
#ifndef RESPONDER_SERVED_H
#define RESPONDER_SERVED_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

/* Was it another one than `hash` says? false also where nobody knows. */
bool served_another(const struct config *config, uint64_t hash);
/* It is this one from here on. Where that cannot be noted the log says why. */
void served_note(const struct config *config, uint64_t hash);

#endif
