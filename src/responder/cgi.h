/*
 * The parameters of CGI that mean something to Larder, and all those that a FastCGI
 * backend gets. Which value counts where a parameter comes twice: see cgi.c.
 */
#ifndef RESPONDER_CGI_H
#define RESPONDER_CGI_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"
#include "responder/request.h"

/* .p NULL: it did not come. */
struct cgi {
    struct slice request_method, request_uri, script_name, path_info, query_string;
    struct slice https, request_scheme, server_name, server_addr, server_port;
    struct slice server_software;
    struct slice first_software; /* the first of them, if they differ */
    struct slice remote_addr, remote_user, auth_type, content_length, content_type;
    struct slice server_protocol, redirect_status;
    struct slice script_filename, ssl_client_verify, authorization, redirect_authorization;
    struct slice redirect_user, redirect_auth_type;
    struct slice document_root, document_uri, path_translated, redirect_url;
    bool address_in_doubt; /* REMOTE_ADDR came with two values */
    bool claims;           /* what a log-in has said of the user (settings_is_claim), not empty */
};

/* All members point into envp. */
void cgi_read(struct cgi *cgi, char **envp);

enum mount cgi_mount(const struct cgi *cgi);

/* HTTPS as PHP's applications read it, and REQUEST_SCHEME. */
bool cgi_https(const struct cgi *cgi);

/* For HTTP/1.0 without Host: the server's name, where it has none its address, and the port. .p NULL:
 * it says neither, or no memory. */
struct slice cgi_server(const struct cgi *cgi, struct arena *arena);

/* Set request->parameters, which point into envp. 0: done; else as request_parse(). */
int cgi_keep(struct request *request, char **envp, struct arena *arena, const char **why);

#endif
