/*
 * What somebody wants purged, in his words: read from JSON, from a query or from
 * the fields of a PURGE, checked item by item, then translated to tags and
 * patterns. No I/O.
 *
 *   {"urls": ["https://shop.example/a?b=1", "/a"], "prefixes": ["/blog/"],
 *    "tags": ["product:7"], "groups": ["a"], "origin": "https://shop.example",
 *    "patterns": ["session:*"], "all": true, "soft": false}
 *   url=/a&url=/b&prefix=/blog/&tag=product:7&group=a&pattern=session:*&all=1&soft=1
 *
 * Each list may also be a single string, and has its name in singular and plural.
 */
#ifndef RESPONDER_ORDER_H
#define RESPONDER_ORDER_H

#include <json-c/json.h>

#include "base/arena.h"
#include "base/fields.h"
#include "base/slice.h"
#include "config/config.h"
#include "larder.h"
#include "responder/purge.h"

/* The longest text that is read. */
#define ORDER_TEXT_MAX ((size_t)4 * 1024 * 1024)
/* Items of one order, all kinds together. */
#define ORDER_ITEMS_MAX 10000
/* Patterns of one order: as many as go into one sweep. */
#define ORDER_PATTERNS_MAX 256
/* What an order and the purge that it becomes may take. */
#define ORDER_ARENA_MAX ((size_t)64 * 1024 * 1024)

enum order_kind {
    ORDER_URLS,
    ORDER_PREFIXES,
    ORDER_TAGS,
    ORDER_GROUPS,
    ORDER_PATTERNS,
    ORDER_KINDS
};

struct order_list {
    struct slice *items;
    size_t count, room;
};

/* Begins zeroed. Everything lies in the arena of whoever reads it. */
struct order {
    struct order_list list[ORDER_KINDS];
    size_t count;        /* of items */
    struct slice origin; /* of the groups; .p NULL: that of the request */
    bool all;
    bool soft;
};

/* Whom a relative URL is relative to; host.p NULL: nobody. */
struct order_site {
    struct slice scheme, host;
};

/*
 * Add to an order. LARDER_INVALID: err names the member, what was found there and
 * what was expected. LARDER_NOMEM.
 */
enum larder_status order_read_json(struct order *order, struct slice text, struct arena *arena,
                                   struct larder_error *err);
enum larder_status order_read_object(struct order *order, json_object *object, struct arena *arena,
                                     struct larder_error *err);
enum larder_status order_read_query(struct order *order, struct slice query, struct arena *arena,
                                    struct larder_error *err);
/* A PURGE: of its target, or of the tags that Surrogate-Key, xkey and Cache-Tag name; X-Larder-Soft
 * or Soft-Purge make it soft. */
enum larder_status order_read_request(struct order *order, struct slice target,
                                      const struct fields *fields, struct arena *arena,
                                      struct larder_error *err);

/* The name of a kind: "urls". Static. */
const char *order_kind_name(enum order_kind kind);

/*
 * The tags and patterns that an order means; its items stay where they are.
 * What is relative is meant for http and https: a purge comes in by whatever way
 * is open, and not always by the visitors'. LARDER_INVALID: a relative item and
 * no site, or nothing to do. LARDER_REFUSED: the configuration does not allow to
 * prove that nothing would be left. LARDER_NOMEM.
 */
enum larder_status order_resolve(const struct order *order, const struct config *config,
                                 const struct order_site *site, struct purge *purge,
                                 struct arena *arena, struct larder_error *err);

/* In order.c for order_resolve.c: the parts of a URL as an order has it (scheme.p NULL: it is
 * relative), and of other people's bytes so many as go into a message, printable. Returns buf. */
struct order_url {
    struct slice scheme, host, target;
};
struct order_url order_split(struct slice url);
#define ORDER_SHOWN_SIZE 64
const char *order_shown(char buf[ORDER_SHOWN_SIZE], struct slice text);

#endif
