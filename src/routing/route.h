/*
 * From a request's path, method, host and query to the policy: the first entry of
 * `routes` that matches.
 *
 * Patterns: `{name}` is one or more characters without '/', captured, as few as
 * will do; `*` is any run without '/', also empty; `**` is any run, also empty;
 * other characters stand for themselves. Two of the three never touch. The whole
 * path must match. Paths are compared in normal form (path.h), so that /%61dmin
 * is /admin here as it is at the backend. GET includes HEAD.
 */
#ifndef ROUTING_ROUTE_H
#define ROUTING_ROUTE_H

#include "base/arena.h"
#include "base/slice.h"
#include "base/string_list.h"
#include "http/policy.h"
#include "larder.h"

/* The strictest first. */
enum cookie_mode {
    COOKIE_BYPASS, /* a request with this cookie is passed */
    COOKIE_KEY,    /* part of the key */
    COOKIE_VARY,   /* sent, and part of the key where the response's Vary names Cookie */
    COOKIE_IGNORE  /* as if it were not there; not sent to the backend on a cacheable miss */
};

/* First glob that matches a cookie's name decides; no match: bypass, or on a route whose user is
 * only the client's word, key. */
struct cookie_rule {
    const char *glob;
    enum cookie_mode mode;
};

/* What a request field does that Larder itself has no use for; no rule matches: the responder's
 * own table says. */
enum field_mode {
    FIELD_BYPASS,  /* a request with this field is passed */
    FIELD_KEY,     /* part of the key, and sent */
    FIELD_FORWARD, /* sent, and not part of the key */
    FIELD_IGNORE   /* as if it were not there; not sent to the backend on a cacheable miss */
};

struct field_rule {
    const char *glob; /* in lower case */
    enum field_mode mode;
};

enum user_source { USER_NONE, USER_REMOTE_USER, USER_FIELD, USER_COOKIE };

enum client_cache { CLIENT_CACHE_BACKEND, CLIENT_CACHE_PUBLIC, CLIENT_CACHE_NEVER };

struct route_segment; /* one piece of a compiled pattern, pattern.h */

#define ROUTE_CAPTURES_MAX 8
/* Longest path pattern. */
#define ROUTE_PATTERN_MAX 512
/* Longest invalidation pattern as written; what it expands to is bounded by LARDER_KEY_MAX. */
#define ROUTE_INVALIDATE_MAX 256

struct route {
    const char *name;              /* for messages: its path, or `name` */
    const char *path;              /* pattern; see route.h */
    struct string_list methods;    /* empty: all */
    struct string_list hosts;      /* globs on the lower-cased host without port; empty: all */
    struct string_list parameters; /* globs on NAME=VALUE of the query; empty: any query */
    const char *resource;          /* NULL: none; a token without ':' and glob characters */
    /* What the rules of HTTP need: cache, ttl, ttl_override, ttl_by_status, min_ttl, max_ttl,
     * heuristic_min, heuristic_max, negative_max, error_statuses, set_cookie,
     * stale_while_revalidate, stale_if_error, keep, client_control, authorization. The members
     * enabled, has_route, never and those about the user are filled in for each request. */
    struct policy policy;
    size_t range_fetch;           /* a range that misses has a whole of at most so many bytes
                                     fetched; 0: ranges are passed on */
    struct string_list languages; /* Accept-Language is reduced to one of these; empty: it is not */
    /* query = { bypass, ignore, allow, sort }. */
    struct string_list query_bypass;
    struct string_list query_ignore;
    struct string_list query_allow;
    /* In the order of cookies.bypass, .key, .vary, .ignore: what one list passes, no other opens. */
    struct cookie_rule *cookies;
    size_t cookie_count;
    /* Likewise, in the order of fields.bypass, .key, .forward, .ignore. */
    struct field_rule *fields;
    size_t field_count;
    const char *user_name;               /* field or cookie name; NULL for REMOTE_USER */
    struct string_list invalidate;       /* patterns with {user} and {captures} */
    struct string_list refused_location; /* globs on the Location of a 3xx that says no */
    bool refused_public;                 /* so does an answer that anybody might have */
    struct string_list change_script; /* globs on SCRIPT_NAME; only such scripts change something */
    struct string_list change_answer; /* such fields tell of one: "NAME: GLOB" */
    int64_t commit_delay_ms;          /* 0; a script goes on for so long behind its answer */
    struct string_list tags;          /* names with {user} and {captures} */
    const char *default_tag;          /* such a name, for what has no tags of its own; or NULL */
    int64_t client_cache_s;           /* for CLIENT_CACHE_PUBLIC */
    struct route_segment *compiled;
    size_t literal_prefix; /* length of the pattern before its first special character */
    int variants;          /* 64; most variants of one URL */
    int directory_tags;    /* levels of directories that are tags */
    int early_refresh;     /* percent; 0: none */
    enum user_source user;
    enum client_cache client_cache;
    bool client_cache_set; /* "backend" in so many words also ends what a shorter prefix says */
    bool user_trusted;     /* REMOTE_USER, or a field in trusted_fields */
    bool async;            /* invalidate after the answer, the ancestor's way */
    bool query_sort;
    bool coalesce;
};

/* All routes, in the order in which they are tried. */
struct route_table {
    struct route *list;
    size_t count;
    int directory_tags_max; /* of all of them */
    bool have_hosts;        /* some route looks at the host */
    bool have_never;        /* some route says client_cache = "never" */
    bool have_users;        /* some route is per user */
    bool reduce;            /* some route leaves parameters of the query out, or sorts them */
};

struct route_match {
    const struct route *route; /* NULL: none */
    struct {
        struct slice name;
        struct slice value; /* as in the path in normal form, percent-encoded as there */
    } captures[ROUTE_CAPTURES_MAX];
    size_t capture_count;
    /* What the browser is told: from the route with the longest literal prefix among all that match
     * and set client_cache, whatever order they stand in; NULL: the backend's own. */
    const struct route *client_cache;
    /* client_cache says never, for any method: Larder does not look up or store either. A path that
     * some backend may read as such a one (path_loosen) counts as well, and so does one that some
     * backend may read as a user's own while this route's key does not have that user in it. */
    bool never;
    bool by_asked; /* route and captures are those of what the web server has made of the URL */
    /* What the web server has made of the URL, where that counts beside it (rewriting.h): the stricter
     * of the two. NULL: nothing does. */
    const struct route_match *other;
};

/* The route of `other`, if it is not the same one. */
static inline const struct route *
route_beside(const struct route_match *match)
{
    const struct route *route = match->other ? match->other->route : NULL;
    return route != match->route ? route : NULL;
}

/* Compile route->path. LARDER_INVALID with words. */
enum larder_status route_compile(struct route *route, struct arena *arena,
                                 struct larder_error *err);

/* Does the one take every path of the other, as far as one can see without trying? */
bool route_takes_paths_of(const struct route *all, const struct route *some);

/* target: raw, with its query if it has one. host: as received, may have a port. false: no memory. */
bool route_find(const struct route_table *routes, struct arena *arena, struct slice method,
                struct slice host, struct slice target, struct route_match *out);

/* Does the key of the one have the other's user in it? */
bool route_has_user_of(const struct route *route, const struct route *other);

/* Is anything that this route answers ever cached? */
bool route_caches(const struct route *route);

/*
 * The first route by which something below a directory may be cached without
 * that directory among its tags; NULL: there is none. directory: in normal form,
 * with its last slash. host: as a request has it. any_host: it tells nothing of what the backend is asked for.
 */
const struct route *route_blind_below(const struct route_table *routes, struct slice host,
                                      bool any_host, struct slice directory);

/* Is there a {name} in the path of this compiled route? */
bool route_has_capture(const struct route *route, struct slice name);

/*
 * Expand an invalidation pattern: {user} and {capture} are replaced, glob
 * characters in them escaped; `user` "" when there is none. A capture is
 * percent-decoded, since that is how a backend names its keys; control
 * characters become `?`. NULL: a placeholder has no value, or the result is
 * longer than any key may be and so matches none; the caller skips the pattern.
 * No memory: "*", since to drop too much is the lesser harm.
 */
const char *route_expand(const struct route_match *match, struct arena *arena, const char *pattern,
                         struct slice user);

/* The same for a name that is no pattern: what is put in is percent-decoded and otherwise as it is.
 * .p NULL: a placeholder has no value, it is longer than a key may be, or no memory. */
struct slice route_expand_name(const struct route_match *match, struct arena *arena,
                               const char *name, struct slice user);

#endif
