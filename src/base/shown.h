/* Texts that somebody has written, as messages show them: without passwords. */
#ifndef BASE_SHOWN_H
#define BASE_SHOWN_H

#include <stdbool.h>
#include <stddef.h>

/* The longest URL that a message shows, with its NUL. */
#define SHOWN_URL_SIZE 128

/* A text that may be a URL, without what stands before its @: "http://...@host". Returns buf. */
const char *shown_url(char buf[SHOWN_URL_SIZE], const char *text, size_t n);

/* Is a setting with such a name a secret, also where the name is misspelled? */
bool shown_is_secret(const char *name, size_t n);

#endif
