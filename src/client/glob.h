/*
 * One element of a Redis glob at a time; glob_match() itself is in store.h.
 */
#ifndef CLIENT_GLOB_H
#define CLIENT_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Does the element at *pos, which is not a star, accept this byte? Every such
 * element takes exactly one. Moves *pos behind the element, whatever the answer.
 */
bool glob_element(const char *pattern, size_t len, size_t *pos, char byte);

#endif
