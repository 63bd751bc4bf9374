/* One HTTP/1.1 exchange over one connection. */
#ifndef UPSTREAM_HTTP_H
#define UPSTREAM_HTTP_H

#include "upstream/transport.h"

extern const struct transport http_transport;

#endif
