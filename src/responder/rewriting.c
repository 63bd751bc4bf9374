/*
 * Rewritings by the web server, for a backend that speaks HTTP.
 *
 * The web servers' own proxies ask for the URL as it came, and for what a rewriting
 * has made of it if there was one. Larder gets both: REQUEST_URI as it came, and
 * beside it the path as the web server goes by it, decoded and without dot segments.
 * Whether that is the same URL is found out by doing to the first what web servers
 * do: all of them decode once, "%2F" as well (Apache by the snippets' AllowEncodedSlashes
 * On), and merge slashes, before or after dot segments. A wrong "not the same"
 * does little harm: the backend is asked for the web server's spelling of the URL.
 *
 * What a URL with dot segments means depends on who resolves them, and when: before or
 * after it decodes "%2F" and merges slashes. The web server's rules have seen its own
 * reading, so that takes the place of what was sent. Where it is not known, or has dot
 * segments still, the request is refused (request.c).
 *
 * Every mount's parameters were looked at for this (tests/vtc/rewriting.sh). A web
 * server that hides its name may be any of them, so that what it tells is the URL if it is
 * one by any of their readings, and is asked for if it is none. One that takes a prefix off
 * the path needs rewritten = "ignore", as does one that tells nothing.
 */
#include "responder/rewriting.h"

#include <string.h>

#include "client/store.h"
#include "routing/path.h"
#include "http/uri.h"
#include "responder/query.h"

static bool
may_stand_in_path(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~/!$&'()*+,;=:@", c));
}

static size_t
put_encoded(char *text, size_t n, char byte)
{
    static const char hex[] = "0123456789ABCDEF";
    unsigned char c = (unsigned char)byte;
    text[n++] = '%';
    text[n++] = hex[c >> 4];
    text[n++] = hex[c & 15];
    return n;
}

struct slice
rewriting_target(struct slice path, struct slice query, struct arena *arena)
{
    char *text = arena_alloc(arena, 3 * (path.n + query.n) + 2);
    size_t n = 0;
    if (!text)
        return (struct slice){NULL, 0};
    for (size_t i = 0; i < path.n; i++) {
        if (may_stand_in_path((unsigned char)path.p[i]))
            text[n++] = path.p[i];
        else
            n = put_encoded(text, n, path.p[i]);
    }
    if (query.n)
        text[n++] = '?';
    for (size_t i = 0; i < query.n; i++) {
        /* It is encoded as it came; a rule may have put a blank of the path into it. */
        unsigned char c = (unsigned char)query.p[i];
        if (c <= 0x20 || c == 0x7f || c == '#')
            n = put_encoded(text, n, query.p[i]);
        else
            text[n++] = query.p[i];
    }
    return (struct slice){text, n};
}

/* ------------------------------------------------------------------ comparing */

static size_t
merge_slashes(char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] != '/' || out == 0 || p[out - 1] != '/')
            p[out++] = p[i];
    return out;
}

/*
 * As a web server reads a path that was sent, in one of two ways: decoded once,
 * slashes merged before or after dot segments are resolved. (Apache resolves them before
 * it decodes "%2F", and once more after it; where that makes a difference its own reading
 * is asked for.) Decoding more than the web server did would make what a visitor sent the
 * same as what a rule made of it: "/closed/..%252Fdenied" and "/denied".
 */
static struct slice
read_path(char *out, struct slice path, bool merge_first)
{
    size_t n = 0;
    for (size_t i = 0; i < path.n; i++) {
        int byte = path_encoded_byte(path, i);
        out[n++] = byte < 0 ? path.p[i] : (char)byte;
        i += byte < 0 ? 0 : 2;
    }
    if (merge_first)
        n = merge_slashes(out, n);
    n = path_remove_dot_segments(out, n);
    return (struct slice){out, merge_slashes(out, n)};
}

/* false: no memory. */
static bool
is_same_path(bool *same, struct slice sent, struct slice told, struct arena *arena)
{
    *same = slice_equal(sent, told);
    if (*same)
        return true;
    char *room = arena_alloc(arena, sent.n + told.n + 1);
    if (!room)
        return false;
    memcpy(room + sent.n, told.p, told.n);
    struct slice b = {room + sent.n, merge_slashes(room + sent.n, told.n)};
    for (int i = 0; !*same && i < 2; i++) {
        struct slice a = read_path(room, sent, i == 0);
        *same = slice_equal(a, b);
    }
    return true;
}

/* lighttpd has a spelling of its own for what it has not rewritten. false: no memory. */
static bool
is_same_query(bool *same, enum mount mount, struct slice sent, struct slice told,
              struct arena *arena)
{
    *same = slice_equal(sent, told);
    if (*same || (mount != MOUNT_LIGHTTPD && mount != MOUNT_OTHER))
        return true;
    struct slice a = uri_query_normal(sent, arena), b = uri_query_normal(told, arena);
    *same = a.p && b.p && slice_equal(a, b);
    return a.p && b.p;
}

/*
 * lighttpd 1.4 ends a path at the last '?' and not at the first: of "/a?b?c" it makes
 * the path "/a?b" and the query "c". That is the same URL if its path is the one that
 * was sent up to the first '?', so that no rule about a directory saw another one.
 * Leaves in *sent what is still to be compared with lighttpd's query. false: no
 * memory.
 */
static bool
is_cut_at_last_mark(struct slice path, struct slice *sent, struct slice told, bool *same,
                    struct arena *arena)
{
    const char *mark = told.n ? memchr(told.p, '?', told.n) : NULL;
    const char *last = sent->n ? memrchr(sent->p, '?', sent->n) : NULL;
    *same = false;
    if (!mark || !last)
        return true;
    struct slice before = {told.p, (size_t)(mark - told.p)};
    struct slice rest = {mark + 1, told.n - before.n - 1};
    struct slice sent_rest = {sent->p, (size_t)(last - sent->p)};
    if (!is_same_path(same, path, before, arena))
        return false;
    if (!*same)
        return true;
    char *room = arena_alloc(arena, sent_rest.n + rest.n + 1);
    if (!room)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < sent_rest.n; i++) {
        int byte = path_encoded_byte(sent_rest, i);
        room[n++] = byte >= 0 ? (char)byte : sent_rest.p[i];
        i += byte >= 0 ? 2 : 0;
    }
    struct slice a = {room, merge_slashes(room, n)};
    if (rest.n)
        memcpy(room + n, rest.p, rest.n);
    struct slice b = {room + n, merge_slashes(room + n, rest.n)};
    *same = slice_equal(a, b);
    sent->n -= sent_rest.n + 1;
    sent->p = last + 1;
    return true;
}

/* What the web server says of the path; a known one says it once. */
struct told_paths {
    size_t count;
    struct slice list[2];
};

/* false: no memory. */
static bool
find_told(struct told_paths *out, enum mount mount, const struct told_url *told,
          struct arena *arena)
{
    out->count = 0;
    if (told->uri.n && (mount == MOUNT_NGINX || mount == MOUNT_OTHER))
        out->list[out->count++] = told->uri;
    size_t n = told->name.n + told->info.n;
    if (n == 0 || (out->count && mount == MOUNT_NGINX))
        return true;
    char *path = arena_alloc(arena, n);
    if (!path)
        return false;
    if (told->name.n)
        memcpy(path, told->name.p, told->name.n);
    if (told->info.n)
        memcpy(path + told->name.n, told->info.p, told->info.n);
    out->list[out->count++] = (struct slice){path, n};
    return true;
}

/* Is that, with the query that is told, a spelling of what was sent? Without what lighttpd has
 * left of the query in *path. false: no memory. */
static bool
is_spelling(bool *is, const struct request *request, const struct told_url *told,
            struct slice *path, struct arena *arena)
{
    bool same_path, is_cut = false, same_query = true;
    bool may_cut = request->mount == MOUNT_LIGHTTPD || request->mount == MOUNT_OTHER;
    struct slice sent_query = query_of(request->target);
    if (!is_same_path(&same_path, request->path, *path, arena) ||
        (!same_path && may_cut && told->query.p &&
         !is_cut_at_last_mark(request->path, &sent_query, *path, &is_cut, arena)) ||
        (told->query.p &&
         !is_same_query(&same_query, request->mount, sent_query, told->query, arena)))
        return false;
    *is = (same_path || is_cut) && same_query;
    if (*is && is_cut)
        path->n = (size_t)((const char *)memchr(path->p, '?', path->n) - path->p);
    return true;
}

/* ------------------------------------------------------------------ dot segments */

bool
rewriting_has_dots(struct slice target)
{
    size_t dots = 0, others = 0;
    for (size_t i = 0; i < target.n && target.p[i] != '?'; i++) {
        int byte = path_encoded_byte(target, i);
        i += byte < 0 ? 0 : 2;
        byte = byte < 0 ? target.p[i] : byte;
        if (byte == '/' && others == 0 && (dots == 1 || dots == 2))
            return true;
        dots = byte == '/' ? 0 : dots + (byte == '.');
        others = byte == '/' ? 0 : others + (byte != '.');
    }
    return others == 0 && (dots == 1 || dots == 2);
}

/* The web server's reading of the path becomes the target, if it is needed. false: no memory. */
static bool
take_reading(struct request *request, struct slice path, struct arena *arena)
{
    if (!rewriting_has_dots(request->target))
        return true;
    struct slice target = rewriting_target(path, query_of(request->target), arena);
    const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
    if (!target.p)
        return false;
    request->target = request->path = target;
    if (mark)
        request->path.n = (size_t)(mark - target.p);
    return true;
}

static const char untold[] = "the web server does not say what it has made of the URL, so that a "
                             "page which it keeps a visitor "
                             "from by a rewriting could be had: have it send SCRIPT_NAME and "
                             "PATH_INFO (or DOCUMENT_URI) and "
                             "QUERY_STRING, or if it keeps nobody from anything that way, or takes "
                             "a prefix off the path, set "
                             "rewritten = \"ignore\" in upstream of larder.conf";

int
rewriting_find(struct request *request, const struct told_url *told, const struct config *config,
               struct arena *arena, const char **why)
{
    struct told_paths paths;
    bool same = false;
    *why = "out of memory";
    if (request->path.p[0] != '/')
        return 0;
    if (!find_told(&paths, request->mount, told, arena))
        return 500;
    bool no_query = request->mount == MOUNT_OTHER && !told->query.p && query_of(request->target).n;
    if ((paths.count == 0 || no_query) && !config->rewritten_ignored) {
        *why = untold;
        return 500;
    }
    if (paths.count == 0)
        return 0;
    for (size_t i = 0; i < paths.count; i++) {
        struct slice path = paths.list[i];
        if (!is_spelling(&same, request, told, &path, arena))
            return 500;
        if (same)
            return take_reading(request, path, arena) ? 0 : 500;
    }
    struct slice path = paths.list[0];
    request->script.name = path;
    request->script.query = told->query.p ? told->query : slice_of("");
    if (!rewriting_ask(request, config, arena))
        return 500;
    if (request->asked.p || config->rewritten_ignored)
        return 0;
    /* The index of a directory, for which the backend is asked. */
    while (path.n > 0 && path.p[path.n - 1] != '/')
        path.n--;
    return take_reading(request, path, arena) ? 0 : 500;
}

/* By the names of Apache's DirectoryIndex, as Debian has it. */
static bool
is_index_of(struct slice directory, struct slice file)
{
    static const char *const names[] = {"index.html", "index.cgi",   "index.pl",
                                        "index.php",  "index.xhtml", "index.htm"};
    size_t n = directory.n;
    if (n == 0 || directory.p[n - 1] != '/' || file.n < n || memcmp(file.p, directory.p, n) != 0)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_equal((struct slice){file.p + n, file.n - n}, slice_of(names[i])))
            return true;
    return false;
}

/*
 * Apache tells the file that its DirectoryIndex has found in its own document root,
 * of which a backend knows nothing: that is asked for the directory. A rule may have
 * led there all the same, so the file stays in the key. false: no memory.
 */
static bool
is_directory_index(bool *is, const struct request *request, struct arena *arena)
{
    const struct chosen_script *script = &request->script;
    *is = false;
    bool is_apache = request->mount == MOUNT_APACHE_PROXY_FCGI ||
                     request->mount == MOUNT_APACHE_FCGID;
    if (!is_apache || !slice_equal(script->query, query_of(request->target)))
        return true;
    char *room = arena_alloc(arena, request->path.n + 1);
    for (int i = 0; room && !*is && i < 2; i++)
        *is = is_index_of(read_path(room, request->path, i == 0), script->name);
    return room != NULL;
}

bool
rewriting_ask(struct request *request, const struct config *config, struct arena *arena)
{
    const struct chosen_script *script = &request->script;
    request->asked = (struct slice){NULL, 0};
    if (config->fastcgi || config->rewritten_ignored || script->name.n == 0)
        return true;
    bool is_index;
    if (!is_directory_index(&is_index, request, arena))
        return false;
    if (is_index)
        return true;
    request->asked = rewriting_target(script->name, script->query, arena);
    return request->asked.p != NULL;
}

/* -------------------------------------------------------------------- routes */

/* Browsers ask by the visitor's URL: what is said of that counts, but not for longer than for the other. */
static const struct route *
shorter_for_browsers(const struct route *visitors, const struct route *other)
{
    bool both = visitors && other && visitors->client_cache == CLIENT_CACHE_PUBLIC &&
                other->client_cache == CLIENT_CACHE_PUBLIC;
    return both && other->client_cache_s < visitors->client_cache_s ? other : visitors;
}

bool
rewriting_route(struct route_match *match, const struct request *request,
                const struct config *config, struct arena *arena)
{
    if (!request->asked.p)
        return true;
    struct route_match *other = arena_alloc(arena, sizeof *other);
    if (!other ||
        !route_find(&config->routes, arena, request->method, request->host, request->asked, other))
        return false;
    if (!match->route && !match->never) {
        *match = *other;
        match->by_asked = other->route != NULL;
        return true;
    }
    /* A URL without a route says nothing of the pages that another one leads to. */
    if (!other->route && !other->never)
        return true;
    match->other = other;
    match->client_cache = other->never
                              ? other->client_cache
                              : shorter_for_browsers(match->client_cache, other->client_cache);
    return true;
}
