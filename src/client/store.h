/*
 * What the responder asks of the store: the internal face of liblarder, beside
 * the public one in larder.h. Sentinel, Cluster and a store of a single machine
 * fit behind these calls.
 *
 * All deadlines are absolute, on CLOCK_MONOTONIC, in milliseconds. All calls
 * may be made from any thread. Keys are without the namespace.
 *
 * Tags and generations. A stored response carries the generations of its tags
 * (doc/design, Invalidation). A generation is 16 random hex digits under the
 * key `gen:<tag>`. A fill gets them by store_generations() *before* it asks the
 * backend and stores them with the entry; an entry counts only while all of
 * them still match; missing means mismatch. To invalidate is to delete the
 * generation, so that a fill in flight is dead on arrival.
 */
#ifndef CLIENT_STORE_H
#define CLIENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "larder.h"

#define STORE_TAGS_MAX 5
#define STORE_TAG_SIZE 512
#define STORE_GENERATION_LEN 16
/* A generation outlives every entry that names it: no entry may live longer than STORE_TTL_MAX_S,
 * and each fill extends its generations to STORE_GENERATION_TTL_S. */
#define STORE_TTL_MAX_S ((int64_t)30 * 86400)
#define STORE_GENERATION_TTL_S ((int64_t)60 * 86400)

struct store_tags {
    size_t count;
    char name[STORE_TAGS_MAX][STORE_TAG_SIZE];
};

struct store_generations {
    size_t count;
    /* NUL-terminated; "" where there is none (missing, or refused by a full Redis). */
    char value[STORE_TAGS_MAX][STORE_GENERATION_LEN + 1];
};

/*
 * The tags of a response: the namespace ("all"), its URL (store_url_tag), its
 * resource ("resource:<r>"), its user ("user:<u>"), resource and user together
 * ("resource:<r>:user:<u>"). resource and user are "" or NULL when there are none.
 * false: a tag does not fit STORE_TAG_SIZE; the response must not be stored.
 * user is as it stands in the key (already escaped by the caller).
 */
bool store_tags_for(struct store_tags *tags, const char *resource, const char *user,
                    uint64_t url_hash);

/*
 * "url:<4 hex>": URLs share 65,536 generations, so that they cost megabytes and
 * not a key each; two that share one are invalidated together. url_hash is any
 * good hash of scheme, host and target, whose low 16 bits count.
 */
void store_url_tag(char tag[STORE_TAG_SIZE], uint64_t url_hash);

/*
 * The narrowest tag that covers every stored response whose key the Redis glob
 * may match, into tag. Response keys have the form
 * `[<resource>:][user:<id>:]response:<sha256 hex>`.
 * false: no response key can match it.
 * "session:*" -> resource:session; "*:user:42:*" and "*:user:42*" -> user:42 only
 * where the glob cannot match another user's key, else all; "*" -> all.
 */
bool store_tag_for_pattern(const char *pattern, char tag[STORE_TAG_SIZE]);

/*
 * An identity as it stands in keys and tags: every byte other than
 * A-Za-z0-9._@- as %XX, so that no id can pass for another, for two segments of
 * a key, or for a glob. false: it does not fit; buf is "" (if size > 0).
 */
bool store_escape_user(char *buf, size_t size, const char *id, size_t len);

/* A value read: bytes malloc'd, *not* NUL-terminated. */
struct store_value {
    char *data;
    size_t len;
    struct store_generations current; /* what Redis has now for the tags asked for */
};

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

/* Read the generations, creating the missing and extending the life of all. */
enum larder_status store_generations(struct larder *cache, const struct store_tags *tags,
                                     int64_t deadline_ms, struct store_generations *out,
                                     struct larder_error *err);

/* SET key <iov> PX ttl_ms; the value goes out by sendmsg, without a copy. ttl_ms is at least 1 and
 * at most STORE_TTL_MAX_S. */
enum larder_status store_put(struct larder *cache, const char *key, const struct iovec *iov,
                             int iovcnt, int64_t ttl_ms, int64_t deadline_ms,
                             struct larder_error *err);

/*
 * Invalidate by patterns: first delete the generations that cover them (now
 * every stored response concerned, and every fill in flight, is dead), then one
 * SCAN over the namespace that unlinks what matches any of them. *deleted (may
 * be NULL) counts keys. LARDER_TIMEOUT with *invalidated true: responses are
 * dead, application values may be left.
 */
enum larder_status store_invalidate(struct larder *cache, const char *const *patterns, size_t n,
                                    int64_t deadline_ms, int64_t *deleted, bool *invalidated,
                                    struct larder_error *err);

/*
 * Invalidate by tags alone: delete their generations, in one round trip, without
 * a sweep. Tried again like any command that may be repeated, until deadline_ms.
 * n at most STORE_INVALIDATE_TAGS_MAX.
 */
#define STORE_INVALIDATE_TAGS_MAX 16
enum larder_status store_invalidate_tags(struct larder *cache, const char (*tags)[STORE_TAG_SIZE],
                                         size_t n, int64_t deadline_ms, struct larder_error *err);

/*
 * Invalidate one tag and begin its next generation in one step, if nobody else
 * has invalidated it meanwhile: *claimed and `next` if the generation was still
 * `seen`; otherwise the tag is just deleted. For an answer to an unsafe request
 * that may itself be stored: what it stores is dead if any other invalidation
 * came between. Never repeated when its fate is unknown: then the tag is
 * deleted (which may be repeated) and *claimed is false.
 */
enum larder_status store_renew_generation(struct larder *cache, const char *tag, const char *seen,
                                          int64_t deadline_ms, char next[STORE_GENERATION_LEN + 1],
                                          bool *claimed, struct larder_error *err);

/*
 * One of all processes may do a thing (refresh an entry) for life_ms at most.
 * name is without the namespace and gets the prefix "lease:". LARDER_OK: it is
 * ours, token (STORE_GENERATION_LEN hex digits) gives it back; LARDER_MISS:
 * somebody else has it. Not repeated.
 */
enum larder_status store_lease_take(struct larder *cache, const char *name, int64_t life_ms,
                                    int64_t deadline_ms, char token[STORE_GENERATION_LEN + 1],
                                    struct larder_error *err);
/* Give it back if it is still ours. */
enum larder_status store_lease_drop(struct larder *cache, const char *name, const char *token,
                                    int64_t deadline_ms, struct larder_error *err);

/*
 * Variants of a URL (Vary). Under the primary key stands a marker, which the
 * responder makes; beside it, under "<primary>:variants", a sorted set of the
 * variants' keys by the time of their last use.
 *
 * store_variant_put: SET the variant's value as store_put does, count it as used
 * now, and if there are more than max_variants unlink the least recently used
 * ones. The set lives as long as its longest-lived variant at least. Several
 * round trips; the variant is in the set before its value is stored, so that no
 * crash leaves one that is not counted.
 * store_variant_touch: it has been used (only if it is in the set).
 */
enum larder_status store_variant_put(struct larder *cache, const char *primary, const char *key,
                                     const struct iovec *iov, int iovcnt, int64_t ttl_ms,
                                     int64_t now_wall_ms, size_t max_variants, int64_t deadline_ms,
                                     struct larder_error *err);
enum larder_status store_variant_touch(struct larder *cache, const char *primary, const char *key,
                                       int64_t now_wall_ms, int64_t deadline_ms,
                                       struct larder_error *err);

/* How long a key will live, and its value, in one round trip; *ttl_ms -1: for ever. For the marker.
 * LARDER_MISS: no such key. On LARDER_OK free(value->data). */
enum larder_status store_peek(struct larder *cache, const char *key, size_t max_len,
                              int64_t deadline_ms, struct store_value *value, int64_t *ttl_ms,
                              struct larder_error *err);

/* Unlink one key; for an entry that is known to be of no use. */
enum larder_status store_drop(struct larder *cache, const char *key, int64_t deadline_ms,
                              struct larder_error *err);

/* Does the glob match? Redis' own rules: * ? [..] [^..] and backslash. Linear in memory, bounded
 * in time by backtracking over the last star only. */
bool glob_match(const char *pattern, size_t pattern_len, const char *text, size_t text_len);

#endif
