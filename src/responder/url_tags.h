/*
 * The tags of URLs, of directories and of origins: what a stored response and a
 * purge must agree on.
 *
 * The key of a response is made of the target as it was sent, so that no spelling
 * gets what the backend has said to another. Its tags are made of what the URL
 * means, so that a purge or a mutation in one spelling reaches the responses that
 * are stored under all the others:
 *
 *   host    in lower case, without dots at its end, an empty port, or the scheme's own
 *   path    every way in which a backend may read it (config/path.h): RFC 3986's,
 *           that of one which takes %2F and // for /, and ; for parameters
 *   query   as a form reads it (http/uri.h), reduced as the route of that path says
 *
 * So one URL may have up to five tags, and nearly always has one. Two URLs that
 * share one are such that some backend takes them for the same: to drop too much
 * costs a fetch, and nobody can drop a page by anything but a URL that a backend
 * could take for that page's.
 *
 * In a tag stands a hash: the first 96 bits of SHA-256 over the parts, each with its
 * length before it. There is no secret in it, which all machines of a site would
 * have to share and keep; what it rests on is that nobody finds a second URL with
 * the hash of a given one, which takes 2^96 tries (two URLs that collide with each
 * other take 2^48, and concern nobody who has chosen neither).
 */
#ifndef RESPONDER_URL_TAGS_H
#define RESPONDER_URL_TAGS_H

#include "base/arena.h"
#include "base/slice.h"
#include "client/store.h"
#include "routing/path.h"
#include "config/config.h"
#include "routing/route.h"

/* A URL as visitors name it. */
struct url {
    struct slice scheme; /* "http", "https" */
    struct slice host;   /* in any spelling */
    struct slice path;   /* begins with '/', or is "*" */
    struct slice query;  /* with its '?'; .n 0: none */
};

/* target: origin-form. */
struct url url_make(struct slice scheme, struct slice host, struct slice target);

/* The target of a URL with another path, in the arena where it has a query. .p NULL: no memory. */
struct slice url_target(const struct url *url, struct slice path, struct arena *arena);

/* Called with each tag, some perhaps twice; false: stop, there is no memory. */
typedef bool url_tag_fn(void *arg, const char *tag);

/*
 * The tags of a URL with these readings of its path. routed_host is the one that
 * routes see; .p NULL: nobody knows it, and the query may be reduced as any route
 * says. false: no memory, or fn said so.
 */
bool url_tags(const struct url *url, const struct path_readings *readings,
              const struct config *config, struct slice routed_host, struct arena *arena,
              url_tag_fn *fn, void *arg);

/* The tags of the directories above a URL, `levels` from the root down: "/", "/blog/",
 * "/blog/2026/". false: no memory, or fn said so. */
bool url_directory_tags(const struct url *url, const struct path_readings *readings, int levels,
                        struct arena *arena, url_tag_fn *fn, void *arg);

/* The tags of a directory itself, of whose path these are the readings. */
bool url_directory_tag(const struct url *url, const struct path_readings *readings,
                       struct arena *arena, url_tag_fn *fn, void *arg);

/* The hash of an origin (RFC 6454), to which cache groups belong. false: no memory. */
bool url_origin_hash(store_hash out, struct slice scheme, struct slice host, struct arena *arena);

#endif
