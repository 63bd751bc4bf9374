/*
 * From a host name to addresses without anybody waiting longer than he wants.
 *
 * getaddrinfo() blocks for as long as it likes (5 s and more a name server) and
 * cannot be called off, so it runs in a thread of its own that nobody joins.
 * An address or a Unix socket never needs it. Known addresses are used while
 * newer ones are being looked up.
 */
#ifndef CLIENT_RESOLVE_H
#define CLIENT_RESOLVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "larder.h"

/* More addresses of one name than this are not tried. */
#define RESOLVE_ADDRESSES_MAX 8

struct address {
    struct sockaddr_storage at;
    socklen_t len;
};

struct resolver;

/* unix_path NULL: host and port. Does not wait. NULL: err has the words. */
struct resolver *resolver_new(const char *host, int port, const char *unix_path,
                              struct larder_error *err);

/*
 * The addresses, at least one, best first. LARDER_TIMEOUT: not known at the
 * deadline. LARDER_UNAVAILABLE: there are none; err has the resolver's words.
 */
enum larder_status resolver_get(struct resolver *resolver, int64_t deadline_ms,
                                struct address addresses[RESOLVE_ADDRESSES_MAX], size_t *count,
                                struct larder_error *err);

/* No address let us in: look again, in the background. */
void resolver_distrust(struct resolver *resolver);

/* Make all who wait give up, now and in future; to be followed by resolver_free(). */
void resolver_stop(struct resolver *resolver);
void resolver_free(struct resolver *resolver);

#endif
