/*
 * What the responder asks of the store: the internal face of liblarder, beside
 * the public one in larder.h. Sentinel, Cluster and a store of a single machine
 * fit behind these calls.
 *
 * All deadlines are absolute, on CLOCK_MONOTONIC, in milliseconds. All calls
 * may be made from any thread. Keys are without the namespace.
 *
 * Tags and generations. A stored response carries the generations of its tags
 * (doc/design, Invalidation). A generation is a small string under the key
 * `gen:<tag>`: <hard: 16 hex digits><soft: 16 hex digits>. A fill gets it by
 * store_generations() *before* it asks the backend and stores it with the entry;
 * the entry counts only while the hard part is the same, and is fresh only while
 * the soft part is. Missing means mismatch, so to invalidate is to delete, and a
 * fill in flight is dead on arrival.
 *
 * Tags that a response brings are not known before its fetch. For them there is
 * the news: a capped stream to which every invalidation is appended before it
 * touches a generation (store_own_generations()).
 *
 * Mutations are registered before the backend hears of them, so that what they
 * change is purged whatever becomes of the process that has them in hand
 * (store_mutation_begin()). For that to be so, whoever uses what is stored asks
 * store_may_use() first.
 *
 * The identity of the server (64 bits made of its run_id and master_replid) is
 * known for each connection. Generations of one identity say nothing about
 * entries of another: a server that was restarted from a snapshot, or a replica
 * that was promoted, may have brought back both.
 */
#ifndef CLIENT_STORE_H
#define CLIENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/slice.h"
#include "client/names.h"
#include "larder.h"

/* Tags that are known before the backend is asked: 4 of the namespace, the resource and the user, 3
 * of the URL, 8 of the route and its default, 8 directories in 3 readings. */
#define STORE_TAGS_MAX 40
/* Tags that one response may bring. */
#define STORE_OWN_TAGS_MAX 64
/* With its NUL. */
#define STORE_TAG_SIZE 512
#define STORE_GENERATION_LEN 32
#define STORE_HARD_LEN 16
#define STORE_TOKEN_LEN 16
/* A URL, a directory or an origin in a tag: hex digits of a hash (responder/url_tags.h), and a NUL. */
#define STORE_HASH_LEN 24
typedef char store_hash[STORE_HASH_LEN + 1];
/*
 * Each URL and each directory has a generation of its own, which must cost no more
 * than what is stored under it. It outlives every entry that names it, by twice the
 * life of the entry at most (store_generations_keep(), STORE_GENERATION_TTL_S); no
 * entry may live longer than STORE_TTL_MAX_S. A new one lives only as long as a
 * fetch may take (store_new_generations_live(), STORE_GENERATION_NEW_S unless that
 * says otherwise), so that visitors who ask for what is never stored do not fill
 * Redis with them.
 */
#define STORE_TTL_MAX_S ((int64_t)30 * 86400)
#define STORE_GENERATION_TTL_S ((int64_t)60 * 86400)
#define STORE_GENERATION_NEW_S ((int64_t)3600)

/* For the end of a process: no call waits for an answer beyond this time, those under way included.
 * Calls that begin later fail unless the answer is there at once. */
void store_hurry(struct larder *cache, int64_t until_ms);

/* Why Redis is not asked at the moment: the words of the last failure; "" if it is asked. */
void store_failure(struct larder *cache, char *out, size_t size);

/* NUL-terminated, settled; "" where there is none (missing, or refused by a full Redis); "M" where
 * an older Larder has marked it, which matches nothing. */
typedef char store_generation[STORE_GENERATION_LEN + 1];
typedef char store_token[STORE_TOKEN_LEN + 1];

/* Names live in the arena of whoever made the list. */
struct store_tags {
    size_t count;
    const char *name[STORE_TAGS_MAX];
};

struct store_generations {
    size_t count;
    store_generation value[STORE_TAGS_MAX];
};

/*
 * The tags of a response's key: the namespace ("all"), its resource
 * ("resource:<r>"), its user ("user:<u>"), resource and user together
 * ("resource:<r>:user:<u>"). resource and user are "" or NULL when there are none.
 * false: a tag does not fit STORE_TAG_SIZE, or no memory; the response must not be
 * stored. user is as it stands in the key (already escaped by the caller).
 */
bool store_tags_for(struct store_tags *tags, struct arena *arena, const char *resource,
                    const char *user);

/* One more; it is copied. The same tag twice is one. false: STORE_TAGS_MAX, or no memory. */
bool store_tags_add(struct store_tags *tags, struct arena *arena, const char *tag);

/*
 * "tag:<name>": what routes, responses (Surrogate-Key, xkey, Cache-Tag) and
 * purges call a tag. "group:<24 hex>:<name>": a cache group (RFC 9875), which
 * belongs to one origin. Bytes of a name other than letters, digits and
 * `-._~/@+=` are written as %XX. false: empty, or too long (STORE_TAG_NAME_MAX).
 */
#define STORE_TAG_NAME_MAX 128
bool store_named_tag(char tag[STORE_TAG_SIZE], struct slice name);
bool store_group_tag(char tag[STORE_TAG_SIZE], const store_hash origin, struct slice name);

/* "dir:<24 hex>": everything below a directory of a site. "url:<24 hex>": a URL, in all spellings. */
void store_directory_tag(char tag[STORE_TAG_SIZE], const store_hash directory);
void store_url_tag(char tag[STORE_TAG_SIZE], const store_hash url);

/*
 * The narrowest tag that covers every stored response whose key the Redis glob
 * may match, into tag. Response keys have the form
 * `[<resource>:][user:<id>:]response:<sha256 hex>`.
 * false: no response key can match it.
 * "session:*" -> resource:session; "*:user:42:*" and "*:user:42*" -> user:42 only
 * where the glob cannot match another user's key, else all; "*" -> all.
 */
bool store_tag_for_pattern(const char *pattern, char tag[STORE_TAG_SIZE]);

/* The longest pattern of a purge or of a configuration, and how many stars it may have: one is dear,
 * here and in Redis. */
#define STORE_PATTERN_MAX 256
#define STORE_PATTERN_STARS_MAX 16

/* What is wrong with a pattern that somebody wants purged, static; NULL: nothing. */
const char *store_pattern_wrong(struct slice pattern);
/* The same of the name of a tag: it is the whole name. */
const char *store_tag_name_wrong(struct slice name);

/*
 * An identity as it stands in keys and tags: every byte other than
 * A-Za-z0-9._@- as %XX, so that no id can pass for another, for two segments of
 * a key, or for a glob. false: it does not fit; buf is "" (if size > 0).
 */
bool store_escape_user(char *buf, size_t size, const char *id, size_t len);

/* A value read: bytes malloc'd, *not* NUL-terminated, to be given back by store_value_free(). */
struct store_value {
    char *data;
    size_t len;
    struct store_generations current; /* what Redis has now for the tags asked for */
    uint64_t identity;                /* of the server that said so */
};
/* Its bytes; data is NULL afterwards. Allowed where it is NULL already. */
void store_value_free(struct store_value *value);

/*
 * Entry and the generations of its tags in one round trip. LARDER_MISS: no
 * entry (value->current is filled all the same). A value over max_len is read
 * past and reported as LARDER_CORRUPT. On LARDER_OK free(value->data).
 * Spends nothing but the deadline: waiting for a connection and dialling one
 * count against it, and no failure is tried again, except that a kept
 * connection which had died while idle is replaced once. An open circuit
 * breaker answers at once.
 */
enum larder_status store_lookup(struct larder *cache, const char *key,
                                const struct store_tags *tags, size_t max_len, int64_t deadline_ms,
                                struct store_value *value, struct larder_error *err);

/* The generations of these tags as they are now, n at most STORE_OWN_TAGS_MAX; changes nothing.
 * One MGET; spends what store_lookup() spends. */
enum larder_status store_current(struct larder *cache, const char *const *tags, size_t n,
                                 int64_t deadline_ms, store_generation *out, uint64_t *identity,
                                 struct larder_error *err);

struct store_position;

/* Read the generations, creating the missing, and in the same round trip where the news are; position
 * NULL: that is not asked for, id "": store_position() has to. */
enum larder_status store_generations(struct larder *cache, const struct store_tags *tags,
                                     int64_t deadline_ms, struct store_generations *out,
                                     uint64_t *identity, struct store_position *position,
                                     struct larder_error *err);

/* For how long a generation is created: as long as the fetch may take that is stored under it. To be
 * said before any other call; at most STORE_GENERATION_TTL_S. */
void store_new_generations_live(struct larder *cache, int64_t life_ms);

/* Tags, and the generations of theirs that an entry has. */
struct store_lives {
    const char *const *tags;
    const store_generation *values;
    size_t n; /* STORE_LIVES_MAX at most */
};
#define STORE_LIVES_MAX (STORE_TAGS_MAX + STORE_OWN_TAGS_MAX)

/*
 * An entry with these generations has been stored for ttl_ms, or soon will be: let
 * those live longer that would not live as long, if they are still what they were;
 * for twice as long, so that the next time nothing is to be done. One round trip;
 * what fails only makes the entry die early.
 */
enum larder_status store_generations_keep(struct larder *cache, const struct store_lives *lives,
                                          int64_t ttl_ms, int64_t deadline_ms,
                                          struct larder_error *err);

/* Is it settled, so that an entry may carry it? */
static inline bool
store_generation_settled(const store_generation value)
{
    return value[0] != '\0' && value[0] != 'M';
}

/* When the soft purge was that made this soft part, ms since 1970 by Redis' clock; 0: none was. */
int64_t store_soft_time_ms(const store_generation value);

/*
 * Where the news were at a moment that has passed: taken before a fetch, it
 * tells afterwards what was invalidated since. One round trip, by deadline_ms. id
 * is "" when there is none; then store_own_generations() proves nothing.
 */
struct store_position {
    uint64_t identity;
    char id[48];
};
enum larder_status store_position(struct larder *cache, int64_t deadline_ms,
                                  struct store_position *out, struct larder_error *err);

/*
 * The generations of tags that a response brought, creating the missing, and
 * then the proof that none of them was invalidated since the position, which is
 * from before the fetch: in one round trip, in this order. LARDER_MISS: one was,
 * or nobody can say (the stream does not reach back so far, is
 * another, another server's, or too long to read): the response must not be
 * stored, or given to anybody but who asked for it.
 */
enum larder_status store_own_generations(struct larder *cache, const struct store_position *since,
                                         const char *const *tags, size_t n, int64_t deadline_ms,
                                         store_generation *out, struct larder_error *err);

/*
 * SET key <iov> PX ttl_ms; the value goes out by sendmsg, without a copy. ttl_ms
 * is at least 1 and at most STORE_TTL_MAX_S. With `guard` it is stored only if the
 * value that is there has these bytes at guard->offset (replaces what was read, and
 * not what came since), or with guard->unless only if it has others or there is
 * none. LARDER_EXISTS: the guard forbids it.
 */
struct store_guard {
    size_t offset;
    const void *bytes;
    size_t len;
    bool unless;
};
enum larder_status store_put(struct larder *cache, const char *key, const struct iovec *iov,
                             int iovcnt, int64_t ttl_ms, const struct store_guard *guard,
                             int64_t deadline_ms, struct larder_error *err);

/* The same for an entry, with store_generations_keep() in the same round trip. */
enum larder_status store_put_under(struct larder *cache, const char *key, const struct iovec *iov,
                                   int iovcnt, int64_t ttl_ms, const struct store_guard *guard,
                                   const struct store_lives *lives, int64_t deadline_ms,
                                   struct larder_error *err);

/*
 * Invalidate tags, any number: append to the news, then delete their generations,
 * or with `soft` change their soft part. Pipelined in batches. Tried again like any command that may be repeated,
 * until deadline_ms. With wait_replicas (struct larder_options) each batch is
 * followed by WAIT on the same connection; fewer replicas than asked for are
 * LARDER_UNAVAILABLE. LARDER_OK: every one of them is done; anything else: some may be.
 */
enum larder_status store_purge_tags(struct larder *cache, const char *const *tags, size_t n,
                                    bool soft, int64_t deadline_ms, struct larder_error *err);

/*
 * Invalidate by patterns: first purge (hard) the tags that cover them (now
 * every stored response concerned, and every fill in flight, is dead), then one
 * SCAN over the namespace that unlinks what matches any of them. *deleted (may
 * be NULL) counts keys. progress (NULL: none) is called once a batch, and may end
 * the walk by false. LARDER_TIMEOUT with *invalidated true: responses are dead,
 * application values may be left.
 */
enum larder_status store_invalidate(struct larder *cache, const char *const *patterns, size_t n,
                                    int64_t deadline_ms, larder_progress_fn progress, void *arg,
                                    int64_t *deleted, bool *invalidated, struct larder_error *err);

/*
 * The second part of that alone, for what did not come to its end: responses are
 * dead already. progress (NULL: none) is called once a batch; when it returns
 * false the sweep ends with LARDER_TIMEOUT.
 */
enum larder_status store_sweep(struct larder *cache, const char *const *patterns, size_t n,
                               int64_t deadline_ms, larder_progress_fn progress, void *arg,
                               struct larder_error *err);

/*
 * Invalidate one tag and begin its next generation in one step, if it still is what
 * it was `before`: *claimed and `next`. Otherwise as store_purge_tags(), hard. For an
 * answer to an unsafe request that may itself be stored: what it stores is dead if any
 * other invalidation came between. Never repeated when its fate is unknown: then the
 * tag is purged (which may be repeated) and *claimed is false.
 */
enum larder_status store_claim(struct larder *cache, const char *tag, const store_generation before,
                               int64_t deadline_ms, store_generation next, bool *claimed,
                               struct larder_error *err);

/*
 * The mutation register. store_mutation_begin(): before the backend hears of a
 * mutation of these tags. Until it ends the client says once a second that it is
 * under way; if the process is gone, all others purge its tags, again and again,
 * until hold_ms after its last word, by when no backend can commit it any more.
 * LARDER_REFUSED: what Redis does not let us purge could not be purged for it
 * either; nothing is registered. Repeatable. It ends by one of
 *   store_mutation_leave()    nothing was changed, or what was is purged. What cannot be
 *                             said by deadline_ms the client says later.
 *   store_mutation_silence()  nobody knows: it stays, as if the process were gone.
 *                             LARDER_OK: Redis knows of it. fresh: the caller purges once;
 *                             otherwise the others are at it for one like it already.
 * which free it. store_mutation_is_young(): to be asked at the last moment before it
 * goes to the backend. false: the process has slept, and it may be over for the others;
 * begin another one.
 */
bool store_token_make(store_token token); /* a name for a mutation that is not registered */
struct store_mutation;
enum larder_status store_mutation_begin(struct larder *cache, const char *const *tags, size_t n,
                                        int64_t hold_ms, int64_t deadline_ms,
                                        struct store_mutation **out, struct larder_error *err);
bool store_mutation_is_young(const struct store_mutation *mutation);
void store_mutation_leave(struct larder *cache, struct store_mutation *mutation,
                          int64_t deadline_ms);
/* A client is about to be closed whose Redis did not take the ends of all its mutations: another one of
 * the same server and namespace says them from now on. No mutation of `from` is under way. */
void store_mutations_move(struct larder *to, struct larder *from);
enum larder_status store_mutation_silence(struct larder *cache, struct store_mutation *mutation,
                                          int64_t deadline_ms, bool *fresh,
                                          struct larder_error *err);
/* The same for a mutation that was never registered. */
enum larder_status store_silence(struct larder *cache, const char *const *tags, size_t n,
                                 int64_t hold_ms, int64_t deadline_ms, bool *fresh,
                                 struct larder_error *err);

/* This client reads the register once a second, and purges for the silent. To be said once, by whoever
 * uses what is stored. */
void store_watch(struct larder *cache);

/*
 * May what is stored be used now? LARDER_OK: the register was read a moment ago, and
 * nothing in it is overdue; otherwise it is read now, by deadline_ms. LARDER_MISS: a
 * purge is overdue; that is seen to. Of any other status: nobody knows.
 */
enum larder_status store_may_use(struct larder *cache, int64_t deadline_ms,
                                 struct larder_error *err);

/* For `status`, as it was last read. */
struct store_register_state {
    bool usable;           /* store_may_use() says yes without asking */
    size_t living, silent; /* mutations of living processes; tags that are purged for the others */
    int64_t left_ms;       /* until the last of those is no more, */
    char tag[STORE_TAG_SIZE];   /* ... which is this; "": there is none */
    char why[LARDER_ERROR_MAX]; /* why the last purge for them was not done; "": it was */
};
void store_register_state(struct larder *cache, struct store_register_state *out);

/*
 * One of all processes may do a thing (fetch a page) for life_ms at most. name
 * is without the namespace and gets the prefix "lease:". store_lease_take():
 * LARDER_OK: it is ours, token gives it back; LARDER_MISS: somebody else has it,
 * for *left_ms more unless he extends it. Not repeated.
 */
enum larder_status store_lease_take(struct larder *cache, const char *name, int64_t life_ms,
                                    int64_t deadline_ms, store_token token, int64_t *left_ms,
                                    struct larder_error *err);

/* One that is ours. */
struct store_lease {
    const char *name;
    store_token token;
    int64_t life_ms;
    char
        word; /* for who waits, when it ends: 'S' it is stored, look; 'N' it is not, fetch yourselves */
    bool lost; /* out, store_leases_extend(): it is not ours any more */
};
/* So many at once, in one round trip. */
#define STORE_LEASES_MAX 32

/* Let each live for its life from now on. */
enum larder_status store_leases_extend(struct larder *cache, struct store_lease *const *leases,
                                       size_t n, int64_t deadline_ms, struct larder_error *err);
/* Give each back if it is still ours, and in any case wake who waits for it, on every process
 * (store_listen()), with its word. */
enum larder_status store_leases_end(struct larder *cache, struct store_lease *const *leases,
                                    size_t n, int64_t deadline_ms, struct larder_error *err);

/*
 * Hear of leases that end, on all processes. fn is called from a thread of the
 * client's with the name that store_leases_end() got, and must not block; word 0
 * and name "" mean that some may have been missed (the connection was broken).
 * One listener a client, to be set once, before the first lease is asked for; it
 * keeps a connection of its own, outside of the pool, and tries again by itself.
 * larder_close() ends it.
 */
typedef void (*store_wake_fn)(void *arg, const char *name, size_t len, char word);
enum larder_status store_listen(struct larder *cache, store_wake_fn fn, void *arg,
                                struct larder_error *err);

/* Milliseconds since 1970 by the clock of the server, which is the same for all machines; by our own if
 * it is not known, or cache is NULL. Never blocks. */
int64_t store_clock_ms(const struct larder *cache);

/*
 * Variants of a URL (Vary). Under the primary key stands a marker, which the
 * responder makes; beside it, under "<primary>:variants", a sorted set of the
 * variants' keys, each with the time until which it keeps its place.
 *
 * store_variant_admit: a variant is to be stored, for life_ms. One that is in the
 * set already has been asked for again, and keeps its place for
 * STORE_VARIANT_USED_MS from now. A new one gets a place for STORE_VARIANT_NEW_MS,
 * if there are fewer than max_variants, or one whose time is over, which is
 * unlinked. Otherwise *admitted is false, and it must not be stored. life_ms 0:
 * it is only asked, and nothing changes. The set outlives its longest-lived variant
 * by STORE_VARIANT_USED_MS, so that one which runs out and is stored again keeps
 * its place. One round trip.
 * store_variant_touch: it has been used, and keeps its place for
 * STORE_VARIANT_USED_MS from now. One that is stored and that the set has lost gets its
 * place back as one that is new, or is unlinked.
 */
/* Long enough for its first visitor to come again, and for that to be noted; short, because it is
 * for so long that strangers hold the places of others. */
#define STORE_VARIANT_NEW_MS ((int64_t)1000)
#define STORE_VARIANT_USED_MS ((int64_t)300 * 1000)
enum larder_status store_variant_admit(struct larder *cache, const char *primary, const char *key,
                                       int64_t life_ms, int64_t now_wall_ms, size_t max_variants,
                                       int64_t deadline_ms, bool *admitted,
                                       struct larder_error *err);
enum larder_status store_variant_touch(struct larder *cache, const char *primary, const char *key,
                                       int64_t now_wall_ms, size_t max_variants,
                                       int64_t deadline_ms, struct larder_error *err);

/*
 * All variants that are known of under this primary key end with their freshness: those that are stale
 * at once, and so does what is none. Where there are no variants this goes for what stands under it. Each has at `times_at`, as big-endian numbers of 8 bytes, when
 * it came and how long it is fresh from then, in milliseconds. The marker stays.
 */
enum larder_status store_variants_age(struct larder *cache, const char *primary, size_t times_at,
                                      int64_t now_wall_ms, int64_t deadline_ms,
                                      struct larder_error *err);

/* Unlink all variants that are known of under this primary key; the marker stays. */
enum larder_status store_variants_drop(struct larder *cache, const char *primary,
                                       int64_t deadline_ms, struct larder_error *err);

/* How long a key will live, and its value, in one round trip; *ttl_ms -1: for ever. For the marker.
 * LARDER_MISS: no such key. On LARDER_OK free(value->data). */
enum larder_status store_peek(struct larder *cache, const char *key, size_t max_len,
                              int64_t deadline_ms, struct store_value *value, int64_t *ttl_ms,
                              struct larder_error *err);

/* Unlink one key, for an entry that is known to be of no use; with `guard` (NULL: none) only if that
 * allows it, so that what somebody else has stored meanwhile stays. LARDER_EXISTS: it does not. */
enum larder_status store_drop(struct larder *cache, const char *key,
                              const struct store_guard *guard, int64_t deadline_ms,
                              struct larder_error *err);

#endif
