/* The listening socket: handed over by whoever started us, or our own. */
#ifndef RESPONDER_LISTEN_H
#define RESPONDER_LISTEN_H

#include "larder.h"

struct listen_options {
    const char *address; /* path, host:port, [v6]:port or :port; NULL: handed over */
    const char *mode;    /* octal, of a Unix socket; NULL: "0660" */
    const char *owner;   /* user[:group] of a Unix socket; NULL: ours */
};

/*
 * Open or find the socket. Handed over: the first of LISTEN_FDS (systemd), else
 * descriptor 0 (spawn-fcgi and all others). On LARDER_OK *fd listens.
 */
enum larder_status listen_open(const struct listen_options *options, int *fd,
                               struct larder_error *err);

/* Close it; a Unix socket of our own is removed from its directory. */
void listen_close(int fd);

#endif
