/* The URL of a backend: which protocol, and whom to call. Pure. */
#ifndef UPSTREAM_URL_H
#define UPSTREAM_URL_H

#include <stdbool.h>

#include "larder.h"

/* As text; 255 octets on the wire (RFC 1035 §3.1). */
#define UPSTREAM_HOST_MAX 253
#define UPSTREAM_URL_SIZE 300

struct upstream_url {
    char name[UPSTREAM_URL_SIZE]; /* what messages call it */
    char host[UPSTREAM_URL_SIZE]; /* host[:port]; "localhost" for a Unix socket */
    const char *unix_path;        /* in the text that was parsed; NULL: host says where */
    bool fastcgi;
    bool tls;
};

/* What is expected, for messages. */
#define UPSTREAM_URL_FORMS                                                           \
    "http://HOST[:PORT], https://HOST[:PORT], http+unix:/PATH, fastcgi://HOST:PORT " \
    "or fastcgi+unix:/PATH"

/* LARDER_INVALID: it is none of the forms; err says what is wrong with it. */
enum larder_status upstream_url_parse(const char *text, struct upstream_url *out,
                                      struct larder_error *err);

#endif
