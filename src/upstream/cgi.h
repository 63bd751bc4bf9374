/*
 * The head of a CGI response (RFC 3875 §6), which is what a FastCGI backend
 * answers with. Pure: no I/O.
 */
#ifndef UPSTREAM_CGI_H
#define UPSTREAM_CGI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/fields.h"
#include "larder.h"

struct cgi_response {
    int status;
    struct fields fields; /* for the sink: Status and hop-by-hop fields gone */
    bool has_body;        /* false: whatever comes after the head is none */
    int64_t length;       /* of the body, as Content-Length says; -1: unknown */
};

/*
 * Understand a whole head, empty line included; the fields point into it.
 * LARDER_PROTOCOL: it is not one, or its length is open to doubt; LARDER_NOMEM.
 */
enum larder_status cgi_response(const char *head, size_t n, bool to_head_request,
                                struct arena *arena, struct cgi_response *out,
                                struct larder_error *err);

#endif
