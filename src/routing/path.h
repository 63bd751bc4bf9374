/*
 * Request paths in normal form, for comparing with patterns.
 */
#ifndef ROUTING_PATH_H
#define ROUTING_PATH_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

/* What path_look() finds. 0: the path is in normal form, and there is one way to read it. */
#define PATH_NOT_NORMAL 1u /* path_normalise() makes something else of it */
#define PATH_LENIENT 2u    /* path_loosen() may: some backend may read it in another way */

unsigned path_look(struct slice path);

/*
 * RFC 3986 §6.2.2: unreserved characters decoded, hex digits in upper case, dot
 * segments removed; bytes that may not stand in a path at all are encoded.
 * false: no memory.
 */
bool path_normalise(struct arena *arena, struct slice path, struct slice *out);

/*
 * As the most lenient backend might read it: everything decoded once, \ taken
 * for /, empty segments and ;parameters dropped; then in normal form.
 */
bool path_loosen(struct arena *arena, struct slice path, struct slice *out);

/*
 * What backends may take a path for, each in normal form and once: by RFC 3986
 * first; then as the most lenient do, and as one of them that decodes twice; then as
 * web servers do, which decode and merge slashes, and to which \ and ; are nothing
 * special. Two paths that some backend takes for one have a reading in common.
 */
#define PATH_READINGS_MAX 5
struct path_readings {
    size_t count;
    struct slice list[PATH_READINGS_MAX];
};

/* Most paths have one, which is themselves. false: no memory. */
bool path_readings_find(struct path_readings *readings, struct arena *arena, struct slice path);

/*
 * Has the path a segment `..` for some backend: as it stands, decoded once or twice,
 * with \ for / or parameters behind it? What it leads to depends on what the backend
 * takes for segments. No client sends one by itself (RFC 3986 §6.2.2.3).
 */
bool path_climbs(struct arena *arena, struct slice path, bool *climbs);

/*
 * A path whose middle names a PHP script: that script's own path, since web servers run it and
 * hand it the rest (PATH_INFO). index.php does not count: what stands behind it is what
 * an application takes for the path. .n 0: there is none. path: in normal form.
 */
struct slice path_script(struct slice path);

/*
 * The same path without the script: what an application takes for the path where it is a front
 * controller, "/blog/account/x" of "/blog/index.php/account/x". .n 0: no script is in its middle.
 * .p NULL: no memory. path: in normal form.
 */
struct slice path_without_script(struct arena *arena, struct slice path);

/* Does the middle of the path name a script? path: in normal form. */
bool path_has_script(struct slice path);

/* Text in normal form but for its dot segments, into room for 3 * n bytes. Returns the length. */
size_t path_encode(char *buf, struct slice text);

/* RFC 3986 §5.2.4, in place. Returns the length. */
size_t path_remove_dot_segments(char *p, size_t n);

/* The byte that %XX at text[i] stands for; -1: no such thing there. */
int path_encoded_byte(struct slice text, size_t i);

#endif
