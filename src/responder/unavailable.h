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

/* For 5 s at most while larder.conf is wrong, until it is right; for 2 s if it is right and the start
 * failed for another reason; and half a second more for connections in hand. */
enum larder_status unavailable_serve(int listen_fd, const char *config_file,
                                     struct larder_error *err);

#endif
