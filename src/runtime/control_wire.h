/*
 * What the two sides of the control socket have in common: where it is, and how
 * a line is read. See control.h.
 */
#ifndef RUNTIME_CONTROL_WIRE_H
#define RUNTIME_CONTROL_WIRE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#include <json-c/json.h>

#include "larder.h"

/* A question about a request has all of its fields. */
#define CONTROL_REQUEST_MAX 16384

/* false: too long for the name of a socket. */
bool control_address(struct sockaddr_un *address, const char *dir, pid_t pid);

/* Of runtime_dir, unless it is a symbolic link. NULL with words; `denied` goes behind "Permission
 * denied". */
DIR *control_open_dir(const char *dir, const char *denied, struct larder_error *err);
/* The pid of the next socket in it; 0: no more. */
pid_t control_next_pid(DIR *list);

/* A connected, non-blocking socket; -1 with errno. */
int control_dial(const struct sockaddr_un *address);

/* A JSON object and nothing else; NULL if it is not, or no memory. At most INT_MAX bytes. */
json_object *control_parse(const char *text, size_t len);
/* On one line; owned by value. NULL: no memory. */
const char *control_text(json_object *value, size_t *len);

/* May a failed send() or recv() be tried again? */
bool control_transient(int why);

#endif
