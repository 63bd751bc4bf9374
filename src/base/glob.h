/*
 * Redis globs.
 */
#ifndef BASE_GLOB_H
#define BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Does the glob match? Redis' own rules: * ? [..] [^..] and backslash. Memory is constant, time at most
 * pattern times text. Neither needs a NUL. */
bool glob_match(const char *pattern, size_t pattern_len, const char *text, size_t text_len);

/* Does one of these globs, which end with a NUL? */
bool glob_any(const char *const *globs, size_t count, const char *text, size_t text_len);

/*
 * Does the element at *pos, which is not a star, accept this byte? Every such
 * element takes exactly one. Moves *pos behind the element, whatever the answer.
 */
bool glob_element(const char *pattern, size_t len, size_t *pos, char byte);

#endif
