/*
 * The head of an answer.
 *
 * A `Status:` line, because without one Apache would evaluate the conditionals
 * itself; but none for a page that is shown for an error of the web server's, or
 * it would say 200 instead of the error. Never an `HTTP/1.1` line, which it refuses. Some fields
 * have power over the web server in front (X-Sendfile and its like would make
 * it send any file): those never go out, neither from a backend nor from a
 * stored response that somebody put into Redis.
 */
#include "responder/reply.h"

#include "base/number.h"
#include "http/cache_control.h"
#include "http/condition.h"

/* RFC 9111 §5.5 obsoletes the field, and older clients know no other word for it. */
#define STALE_WARNING "Warning: 110 larder \"Response is Stale\"\r\n"

const char *
reply_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
        {511, "Network Authentication Required"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

static bool
starts_nocase(struct slice s, const char *with, size_t n)
{
    return s.n >= n && strncasecmp(s.p, with, n) == 0;
}

/* What a backend must not be able to tell the web server, and what is ours to say. */
bool
reply_field_is_withheld(struct slice name)
{
    switch (name.p[0] | 0x20) {
    case 's':
        return slice_equal_nocase(name, "Status") ||
               slice_equal_nocase(name, "Surrogate-Control"); /* it is for us and for nobody else */
    case 'l':
        return slice_equal_nocase(name, "Larder-Cache-Control") ||
               slice_equal_nocase(name, "Larder-Purge");
    case 'x':
        break;
    /* A backend's have been removed, but anybody may have written an entry: a Transfer-Encoding
     * would make the web server look for chunks in the body. */
    case 'c':
        return slice_equal_nocase(name, "Connection");
    case 'k':
        return slice_equal_nocase(name, "Keep-Alive");
    case 'p':
        return slice_equal_nocase(name, "Proxy-Connection") ||
               slice_equal_nocase(name, "Proxy-Authenticate") ||
               slice_equal_nocase(name, "Proxy-Authentication-Info");
    case 't':
        return slice_equal_nocase(name, "Transfer-Encoding") || slice_equal_nocase(name, "TE") ||
               slice_equal_nocase(name, "Trailer");
    case 'u':
        return slice_equal_nocase(name, "Upgrade");
    default:
        return false;
    }
    return starts_nocase(name, "X-Sendfile", 10) || starts_nocase(name, "X-Accel-", 8) ||
           slice_equal_nocase(name, "X-LIGHTTPD-send-file") ||
           slice_equal_nocase(name, "X-LIGHTTPD-send-tempfile") ||
           slice_equal_nocase(name, "X-LIGHTTPD-KBytes-per-second") ||
           slice_equal_nocase(name, "X-Cache") || slice_equal_nocase(name, "X-Cache-Invalidate");
}

struct writer {
    char *p;
    size_t n;
};

static void
put(struct writer *w, const char *text, size_t n)
{
    if (n)
        memcpy(w->p + w->n, text, n);
    w->n += n;
}

static void
put_field(struct writer *w, struct slice name, struct slice value)
{
    put(w, name.p, name.n);
    put(w, ": ", 2);
    put(w, value.p, value.n);
    put(w, "\r\n", 2);
}

static void
put_number(struct writer *w, const char *before, uint64_t value)
{
    put(w, before, strlen(before));
    w->n += number_format(w->p + w->n, value);
}

static bool
says_private(const struct fields *fields)
{
    struct cache_control cc;
    cache_control_parse(&cc, fields);
    /* private="field" too: this answer has that field. */
    return cc.is_private || cc.name_count > 0 || cc.no_store || fields_get(fields, "Set-Cookie").p;
}

/* What the browser is told, if the route says so; "" : what the backend says. */
static struct slice
client_cache_control(const struct reply *reply, struct arena *arena)
{
    const struct route *route = reply->client_cache;
    if (!route || route->client_cache == CLIENT_CACHE_BACKEND)
        return slice_of("");
    if (route->client_cache == CLIENT_CACHE_NEVER)
        return slice_of("no-store, no-cache, must-revalidate");
    /* A route opens pages to browsers and proxies on the way, not errors, and neither what the cache
     * itself would not keep for others nor what the backend calls somebody's own. */
    if (!reply->shared || reply->status >= 400 || says_private(reply->fields))
        return slice_of("");
    return slice_of(arena_printf(arena, "%s, max-age=%lld", reply->per_user ? "private" : "public",
                                 (long long)route->client_cache_s));
}

/* Is the content, here or in the web server, a part of the one that the fields describe? A digest of
 * the content (RFC 9530 §2) is then another one's; Repr-Digest is about the whole in any case. */
static bool
is_part(const struct reply *reply)
{
    return reply->content_range.n || reply->content_type.n ||
           (reply->may_be_cut && reply->status == 200);
}

/* Is there something else in the reply that is sent in place of this field, or nothing at all? */
static bool
is_replaced(const struct reply *reply, struct slice name, bool with_cache_control)
{
    switch (name.p[0] | 0x20) {
    case 'a':
        return reply->age_s >= 0 && slice_equal_nocase(name, "Age");
    case 'c':
        return (reply->content_length >= 0 && slice_equal_nocase(name, "Content-Length")) ||
               ((reply->content_range.n || reply->content_type.n) &&
                slice_equal_nocase(name, "Content-Range")) ||
               (reply->content_type.n && slice_equal_nocase(name, "Content-Type")) ||
               (is_part(reply) && (slice_equal_nocase(name, "Content-Digest") ||
                                   slice_equal_nocase(name, "Content-MD5"))) ||
               (with_cache_control && slice_equal_nocase(name, "Cache-Control"));
    case 'e':
        return with_cache_control && slice_equal_nocase(name, "Expires");
    case 'p':
        return with_cache_control && slice_equal_nocase(name, "Pragma");
    case 'l':
        /* mod_fcgid would take a 200 with Location for an internal redirect. */
        return reply->mount == MOUNT_APACHE_FCGID && reply->status == 200 &&
               slice_equal_nocase(name, "Location");
    default:
        return false;
    }
}

static bool
is_event_stream(struct slice type)
{
    static const char name[] = "text/event-stream";
    size_t n = sizeof name - 1;
    return type.p && starts_nocase(type, name, n) &&
           (type.n == n || strchr("; \t", type.p[n]) != NULL);
}

/*
 * nginx collects an answer before it sends it on, unless X-Accel-Buffering is
 * "no". A backend's is withheld like all X-Accel fields; that a script wants its
 * answer to be sent as it comes is said in our own words, of the answer that the
 * script is giving and of none that is stored.
 */
static bool
is_sent_as_it_comes(const struct reply *reply)
{
    return reply->under_way && reply->mount == MOUNT_NGINX &&
           (slice_equal_nocase(fields_get(reply->fields, "X-Accel-Buffering"), "no") ||
            is_event_stream(fields_get(reply->fields, "Content-Type")));
}

struct slice
reply_head(const struct reply *reply, struct arena *arena)
{
    const struct fields *fields = reply->fields;
    struct slice cache_control = client_cache_control(reply, arena);
    struct writer w = {.n = 0};
    /* Room: each field has four bytes of its own; ours have 640 together. */
    w.p = arena_alloc(arena, fields->bytes + 4 * fields->count + cache_control.n +
                                 reply->cache_status.n + reply->content_range.n +
                                 reply->content_type.n + 640);
    if (!w.p || !cache_control.p)
        return (struct slice){NULL, 0};

    struct slice reason = slice_of(reply_reason(reply->status));
    if (!reply->error_page || reply->status != 200) {
        put_number(&w, "Status: ", (uint64_t)reply->status);
        put(&w, " ", 1);
        put(&w, reason.p, reason.n);
        put(&w, "\r\n", 2);
    }
    for (size_t i = 0; i < fields->count; i++) {
        struct slice name = fields->list[i].name;
        if (reply_field_is_withheld(name) || is_replaced(reply, name, cache_control.n > 0) ||
            (reply->not_modified && !condition_is_sent_with_304(name)))
            continue;
        put_field(&w, name, fields->list[i].value);
    }
    if (cache_control.n)
        put_field(&w, slice_of("Cache-Control"), cache_control);
    if (reply->content_range.n)
        put_field(&w, slice_of("Content-Range"), reply->content_range);
    if (reply->content_type.n)
        put_field(&w, slice_of("Content-Type"), reply->content_type);
    if (reply->age_s >= 0) {
        put_number(&w, "Age: ", (uint64_t)reply->age_s);
        put(&w, "\r\n", 2);
    }
    if (reply->content_length >= 0) {
        put_number(&w, "Content-Length: ", (uint64_t)reply->content_length);
        put(&w, "\r\n", 2);
    }
    if (is_sent_as_it_comes(reply))
        put(&w, "X-Accel-Buffering: no\r\n", 23);
    if (reply->stale)
        put(&w, STALE_WARNING, sizeof STALE_WARNING - 1);
    if (reply->via)
        put(&w, "Via: 1.1 larder\r\n", 17);
    put_field(&w, slice_of("X-Cache"), slice_of(reply->x_cache));
    if (reply->cache_status.n)
        put_field(&w, slice_of("Cache-Status"), reply->cache_status);
    if (reply->invalidation)
        put_field(&w, slice_of("X-Cache-Invalidate"), slice_of(reply->invalidation));
    put(&w, "\r\n", 2);
    return (struct slice){w.p, w.n};
}
