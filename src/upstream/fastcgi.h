/* One FastCGI 1.0 exchange, responder role, over one connection. */
#ifndef UPSTREAM_FASTCGI_H
#define UPSTREAM_FASTCGI_H

#include "upstream/transport.h"

extern const struct transport fastcgi_transport;

#endif
