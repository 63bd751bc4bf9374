/*
 * One request, whatever web server and module it came through. Made once from
 * the FastCGI parameters; nothing after it reads a parameter. What the mounts
 * do to a request on the way is undone here (see request.c).
 */
#ifndef RESPONDER_REQUEST_H
#define RESPONDER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fields.h"
#include "config/config.h"
#include "upstream/upstream.h"

enum mount {
    MOUNT_OTHER,
    MOUNT_LIGHTTPD,
    MOUNT_APACHE_PROXY_FCGI,
    MOUNT_APACHE_FCGID,
    MOUNT_NGINX
};

/* Longest request target that is taken; 414 beyond. */
#define REQUEST_TARGET_MAX ((size_t)16 * 1024)

/* Fields of a request that are taken; 431 beyond: each is compared with all the others. */
#define REQUEST_FIELDS_MAX 240
#define REQUEST_FIELDS_BYTES_MAX (FIELDS_BYTES_MAX - (size_t)4096)

/* Parameters that are kept for a FastCGI backend, names and values together; 431 beyond. */
#define REQUEST_PARAMETERS_MAX 1024
#define REQUEST_PARAMETERS_BYTES_MAX ((size_t)256 * 1024)

/* What the web server has chosen to run, where the backend speaks FastCGI; .p NULL: it does not say.
 * For a backend that speaks HTTP: name and query of the URL, decoded, to which the web server has
 * rewritten another; all empty: to none (rewriting.h). */
struct chosen_script {
    struct slice document_root, filename, name, path_info;
    struct slice path_translated, redirect_url; /* Apache's, by which PHP goes as well */
    struct slice port;     /* that the request came to; behind Apache that of Host */
    struct slice settings; /* a hash (settings.h) */
    struct slice query;    /* that of the target, or what a rewriting made of it */
};

struct request {
    struct slice method;
    struct slice target; /* raw, origin-form: path and query as the client sent them */
    struct slice path;   /* the target up to '?' */
    struct slice asked;  /* what the web server has made of the target; .p NULL: nothing else */
    struct slice host;   /* as asked for: Host, or the server's name (or address) and port */
    struct slice remote_addr;
    struct slice remote_user; /* .p NULL: none */
    struct fields fields;     /* hop-by-hop fields gone, Host not among them */
    int64_t content_length;   /* -1: unknown (mod_fcgid with a chunked body) */

    /* What a trusted proxy in front says, else of this hop (see config trusted_proxies). */
    struct slice scheme;         /* "http" or "https", as the visitor sees it */
    struct slice forwarded_host; /* .p NULL: nobody rewrote the host */

    /* For a FastCGI backend: the parameters as they came, but for what is in `fields`. */
    struct upstream_parameter *parameters;
    size_t parameter_count;
    struct slice host_field; /* Host as it came; .p NULL: it did not */
    struct chosen_script script;

    enum mount mount;
    bool trusted_peer;
    bool address_in_doubt; /* REMOTE_ADDR came twice with different values: trust neither */
    bool https;            /* of this hop */
    bool http11;           /* the client speaks HTTP/1.1, nothing older or newer */
    bool authenticated; /* REMOTE_USER, AUTH_TYPE, a claim or one of trusted_fields is not empty */
    bool client_certificate;
    bool has_body;
    bool body_told;    /* the parameters say whether there is one */
    bool length_found; /* nobody had said it; we counted */
    bool error_page;   /* the web server asks for what it shows instead of what was asked for */
    bool authorization_found; /* Authorization is among the parameters, under another name */
};

/*
 * Parse. 0: fine. Otherwise the status to answer with (400, 414, 431, 500) and
 * *why. The result points into envp, which lasts as long as the request, and
 * into the arena.
 */
int request_parse(struct request *request, char **envp, const struct config *config,
                  struct arena *arena, const char **why);

/*
 * Copy what still points into envp, so that the request outlives its connection.
 * false: no memory; the request is as it was.
 */
bool request_own(struct request *request, struct arena *arena);

/* The target that the backend is asked for, unless the route leaves something out of it. */
static inline struct slice
request_asked(const struct request *request)
{
    return request->asked.p ? request->asked : request->target;
}

/* Can this be the name of a host, with or without a port? */
bool request_host_valid(struct slice host);

#endif
