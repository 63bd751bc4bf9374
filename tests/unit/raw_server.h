/*
 * A server for tests that does to its client whatever the test says: accepts on
 * a loopback port or a Unix socket and hands every connection to a function, in
 * a thread of its own.
 */
#ifndef TESTS_RAW_SERVER_H
#define TESTS_RAW_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct raw_server;

struct raw_conn {
    struct raw_server *server;
    int fd;     /* closed by the server when the function returns, unless it is -1 by then */
    int number; /* 1 for the first connection */
    void *arg;
};

typedef void (*raw_server_fn)(struct raw_conn *conn);

/* unix_path NULL: a free port of 127.0.0.1. Aborts the program when it cannot. */
struct raw_server *raw_server_start(const char *unix_path, raw_server_fn fn, void *arg);
/* Ends every connection and joins every thread. */
void raw_server_stop(struct raw_server *server);

const char *raw_server_url(const struct raw_server *server);
int raw_server_port(const struct raw_server *server);
int raw_server_connections(struct raw_server *server);

/* Read until the empty line; what was read beyond it is there too. *n: bytes in buf, which is
 * terminated. false: the client closed first, or buf is full. */
bool raw_read_head(int fd, char *buf, size_t size, size_t *n);
/* false: the client is gone. */
bool raw_send(int fd, const char *data, size_t n);
bool raw_say(int fd, const char *text);
/* Close so that the client gets a reset (TCP). */
void raw_reset(struct raw_conn *conn);
/* Wait for the client to close, reading whatever comes; how many bytes that was. */
size_t raw_drain(int fd);

#endif
