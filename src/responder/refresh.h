/*
 * One refresh of a stale entry at a time, however many requests find it stale:
 * in this process by a list, among all processes by a lease (store.h).
 */
#ifndef RESPONDER_REFRESH_H
#define RESPONDER_REFRESH_H

#include <stdbool.h>

/* Refreshes under way in one process; more wait for another request. */
#define REFRESH_MAX 64

/* true: it is the caller's, until refresh_end() with the same name. Any thread. */
bool refresh_begin(const char *key);
void refresh_end(const char *key);

#endif
