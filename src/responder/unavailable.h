/*
 * 503 in the place of a pool that could not be started (larder-fcgi --unavailable).
 *
 * Whoever holds the pool's socket while there is none, as systemd does, has web
 * servers connect and wait: nginx for 90 s, lighttpd without an end, each visitor with a
 * connection of the whole web server. So between a start that has failed and the next
 * the requests are answered.
 */
#ifndef RESPONDER_UNAVAILABLE_H
#define RESPONDER_UNAVAILABLE_H

#include "larder.h"

/* For 5 s, or until a larder.conf that is wrong is right. A connection that sends nothing holds it, and
 * the others, for 6 s in all: then the process ends, with EXIT_SUCCESS. */
enum larder_status unavailable_serve(int listen_fd, const char *config_file,
                                     struct larder_error *err);

#endif
