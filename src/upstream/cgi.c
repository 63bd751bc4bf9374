/*
 * The head of a CGI response.
 *
 *   Status     the status; without it 302 if there is a Location, else 200
 *   Location   a client redirect (RFC 3875 §6.2.3), or a path alone: a local
 *              redirect (§6.2.2), which the server that runs the script would
 *              follow by itself. We are not that server and do not know what it
 *              would run, so the client is sent there (302), which is what
 *              lighttpd and nginx make of it
 *   HTTP/1.1   as the first line is a script that speaks for the server
 *              (non-parsed header): refused, because nothing says then where its
 *              answer ends
 *
 * PHP always writes a Content-Type, and Status where it is not 200.
 *
 * Called by fastcgi.c; never reads or writes a socket.
 */
#include "upstream/cgi.h"

#include <string.h>

#include "base/error.h"
#include "upstream/message.h"

/* The next line, without its end. */
static struct slice
next_line(const char **rest, const char *end)
{
    const char *start = *rest;
    const char *eol = memchr(start, '\n', (size_t)(end - start));
    size_t n = (size_t)((eol ? eol : end) - start);
    *rest = eol ? eol + 1 : end;
    if (n && start[n - 1] == '\r')
        n--;
    return (struct slice){start, n};
}

/* "404", "404 Not Found". */
static bool
parse_status(struct slice value, int *status)
{
    int n = 0;
    if (value.n < 3 || (value.n > 3 && value.p[3] != ' '))
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        n = n * 10 + (value.p[i] - '0');
    }
    *status = n;
    return n >= 100;
}

static enum larder_status
take_status(struct cgi_response *r, struct larder_error *err)
{
    size_t cursor = 0;
    const struct field *f;
    while ((f = fields_next(&r->fields, "Status", &cursor))) {
        int status;
        if (!parse_status(f->value, &status))
            return error_set(err, LARDER_PROTOCOL, "invalid Status in the response: \"%.*s\"",
                             (int)(f->value.n < 40 ? f->value.n : 40), f->value.p);
        if (r->status && r->status != status)
            return error_set(err, LARDER_PROTOCOL, "two Status fields in the response, %d and %d",
                             r->status, status);
        r->status = status;
    }
    fields_remove(&r->fields, "Status");
    if (!r->status)
        r->status = fields_get(&r->fields, "Location").p ? 302 : 200;
    return LARDER_OK;
}

static enum larder_status
decide_body(struct cgi_response *r, bool to_head_request, struct arena *arena,
            struct larder_error *err)
{
    /* A script has no business with it (RFC 3875 §6.3.4); some chunk their answers all the same, and
     * what is meant by that the server in front can only guess. */
    bool chunked;
    enum larder_status status = message_transfer_encoding(&r->fields, &chunked, err);
    if (status == LARDER_OK && chunked)
        return error_set(err, LARDER_PROTOCOL, "Transfer-Encoding in a CGI response");
    if (status == LARDER_OK)
        status = message_content_length(&r->fields, arena, &r->length, err);
    if (status != LARDER_OK)
        return status;
    fields_remove_hop_by_hop(&r->fields);
    r->has_body = r->status >= 200 && r->status != 204 && r->status != 304 && !to_head_request;
    if (r->status < 200 || r->status == 204)
        fields_remove(&r->fields, "Content-Length");
    return LARDER_OK;
}

enum larder_status
cgi_response(const char *head, size_t n, bool to_head_request, struct arena *arena,
             struct cgi_response *out, struct larder_error *err)
{
    memset(out, 0, sizeof *out);
    const char *rest = head, *end = head + n;
    if (n >= 5 && memcmp(head, "HTTP/", 5) == 0)
        return error_set(err, LARDER_PROTOCOL,
                         "the response begins with \"HTTP/\" and not with fields: a script that "
                         "speaks for the server (non-parsed header) is not supported");
    for (;;) {
        struct slice line = next_line(&rest, end);
        if (line.n == 0)
            break;
        if (line.p[0] == ' ' || line.p[0] == '\t')
            return error_set(err, LARDER_PROTOCOL, "a folded field in the response");
        enum larder_status status = message_field(line, false, arena, &out->fields, err);
        if (status != LARDER_OK)
            return status;
    }
    if (out->fields.count == 0)
        return error_set(err, LARDER_PROTOCOL, "a response without fields");
    enum larder_status status = take_status(out, err);
    return status == LARDER_OK ? decide_body(out, to_head_request, arena, err) : status;
}
