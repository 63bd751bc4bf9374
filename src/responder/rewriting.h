/*
 * What the web server has made of a URL before it handed the request on: by a
 * rewriting rule, by a page for an error of its own. A FastCGI backend is told by
 * its parameters; a backend that speaks HTTP by the URL that it is asked for.
 */
#ifndef RESPONDER_REWRITING_H
#define RESPONDER_REWRITING_H

#include "config/config.h"
#include "routing/route.h"
#include "responder/request.h"

/* Path and query as parameters have them. */
struct told_url {
    struct slice uri;        /* DOCUMENT_URI, nginx' name for the whole path; .n 0: not told */
    struct slice name, info; /* SCRIPT_NAME and PATH_INFO, which make the path elsewhere */
    struct slice query;      /* .p NULL: not told */
};

/* Has the path of the target a segment `.` or `..`, as it stands or decoded once? */
bool rewriting_has_dots(struct slice target);

/*
 * For a backend that speaks HTTP: if what is told is no spelling of request->target,
 * it becomes request->script (its path and query), and request->asked unless the
 * operator wants the visitor's URL asked for. If it is one, and request->target has
 * dot segments, it takes the place of that. 0: done; else as request_parse(): nothing is
 * told, or no memory.
 */
int rewriting_find(struct request *request, const struct told_url *told,
                   const struct config *config, struct arena *arena, const char **why);

/* request->asked again, from request->script. false: no memory. */
bool rewriting_ask(struct request *request, const struct config *config, struct arena *arena);

/* Path and query as a target: what may not stand in a path is encoded. .p NULL: no memory. */
struct slice rewriting_target(struct slice path, struct slice query, struct arena *arena);

/*
 * What the routes say of request->asked, beside what they say of the visitor's URL,
 * which is in `match`: it becomes match->other, or where the visitor's has no route,
 * takes its place. Does nothing where nothing was rewritten. false: no memory.
 */
bool rewriting_route(struct route_match *match, const struct request *request,
                     const struct config *config, struct arena *arena);

#endif
