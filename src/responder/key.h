/*
 * The key of a stored response, and what has to be said about it to compare:
 *
 *   [<resource>:][user:<id>:]response:<sha256 hex>
 *
 * The hash covers the key's material: length-prefixed, so that no two lists of
 * parts have the same bytes. The material is stored in the entry and compared
 * on lookup, so that a collision is a miss.
 */
#ifndef RESPONDER_KEY_H
#define RESPONDER_KEY_H

#include "client/store.h"
#include "config/config.h"
#include "routing/route.h"
#include "http/decide.h"
#include "http/vary.h"
#include "responder/request.h"

struct cache_key {
    const char *name; /* NUL-terminated, without the namespace */
    struct slice material;
    const char *primary; /* the name before a variant was chosen; the same as name without one */
    struct slice primary_material;
    const char *prefix; /* what stands before "response:" in the name */
    struct slice user;  /* as the request names it; .n 0: none */
    struct store_tags tags;
    size_t default_tag; /* which of them is the route's default_tag, counted from 1; 0: none is */
    /* What the key says is what the backend is told on a cacheable miss. */
    struct slice target;         /* the query reduced as the route says */
    struct slice asked;          /* the same, or what the web server has made of it (rewriting.h) */
    struct slice cookies;        /* .n 0: none; of these some may count only for Vary: Cookie */
    struct slice keyed_cookies;  /* those that are part of every key */
    size_t keyed_fields;         /* how many fields are part of the key */
    struct slice host;           /* .p NULL: not in the key (compat = "ancestor") */
    struct slice forwarded_host; /* .p NULL: nobody rewrote the host */
};

/*
 * What the cookies, the fields, the query and the user of a request mean on its
 * route: fills facts->cookie_bypass, facts->bypass_field, facts->query_bypass and
 * facts->user_missing, key->user, key->cookies, key->keyed_cookies and
 * key->keyed_fields.
 */
bool key_examine(struct cache_key *key, struct request_facts *facts, const struct request *request,
                 const struct route_match *match, const struct config *config, struct arena *arena);

/* Make the key. REASON_KEY_TOO_LONG, REASON_NO_MEMORY, or REASON_NONE. */
enum reason key_make(struct cache_key *key, const struct request *request,
                     const struct route_match *match, const struct config *config,
                     struct arena *arena);

/*
 * The key of the variant (RFC 9111 §4.1) that the request selects by these
 * fields, whose values are those in `selecting`, the request as the backend
 * gets it: key->name and key->material change, key->primary stays.
 * false: no memory.
 */
bool key_select(struct cache_key *key, const struct vary *vary, const struct fields *selecting,
                struct arena *arena);

/* Back to the primary key. */
void key_unselect(struct cache_key *key);

/* Host in lower case and without the scheme's own port (RFC 9110 §4.2.3). .p NULL: no memory. */
struct slice key_normal_host(struct slice host, struct slice scheme, struct arena *arena);

/* The target with its query reduced as the route says; route NULL: as it is. .p NULL: no memory. */
struct slice key_target(struct slice target, const struct route *route, struct arena *arena);

#endif
