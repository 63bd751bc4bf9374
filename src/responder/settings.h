/*
 * What the web server's configuration gives a FastCGI backend beside the request:
 * `fastcgi_param APP_ENV`, SetEnv, setenv.add-environment.
 */
#ifndef RESPONDER_SETTINGS_H
#define RESPONDER_SETTINGS_H

#include "responder/request.h"

/* Does it say something of a user who has logged in, as REMOTE_USER does? */
bool settings_is_claim(struct slice name);

/*
 * A hash of request->parameters that are neither CGI's nor known to be of the request or
 * the connection, and that the operator has not left out; .n 0: there are none. All else of
 * the request is read by then. false: no memory.
 */
bool settings_hash(struct slice *out, const struct request *request, const struct config *config,
                   struct arena *arena);

#endif
