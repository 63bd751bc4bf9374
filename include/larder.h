/*
 * liblarder: application values, locks and key names in a Redis shared with the
 * Larder response cache.
 *
 * A `struct larder` is one client: a pool of connections to one Redis, safe to
 * use from any number of threads at once. Nothing here is global. Every call
 * that can fail returns an enum larder_status and takes a struct larder_error *
 * for the words (NULL: the caller does not want them). No call blocks past
 * larder_options.operation_timeout_ms, retries and waiting for a connection
 * included; the sweeps (larder_delete_pattern, larder_delete_user,
 * larder_flush, larder_keys) take their own budget as an argument.
 *
 * Keys given to these calls are without the namespace; it is put before each
 * key and taken off again from each key that is reported.
 *
 * The manual is larder(3).
 */
#ifndef LARDER_H
#define LARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LARDER_VERSION "0.1.0"

/* The version of the library at run time, e.g. "0.1.0". Static; never freed. */
const char *larder_version(void);

/* ------------------------------------------------------------------ errors */

enum larder_status {
    LARDER_OK = 0,
    LARDER_MISS,        /* there is no such key */
    LARDER_EXISTS,      /* set-if-absent: the key was there; a lock is held by another */
    LARDER_DISABLED,    /* the cache is switched off by configuration */
    LARDER_TIMEOUT,     /* the budget ran out before the command was sent or repeatable */
    LARDER_UNAVAILABLE, /* no connection: refused, unresolved, circuit breaker open */
    LARDER_UNKNOWN,     /* sent, no answer, must not be repeated: it may have happened */
    LARDER_REFUSED,     /* Redis answered with an error (NOAUTH, OOM, WRONGTYPE ...) */
    LARDER_PROTOCOL,    /* what came back is not an answer to what was asked */
    LARDER_CORRUPT,     /* the value is there but is not JSON, or not a cached response */
    LARDER_INVALID,     /* an argument that cannot be right; nothing was done */
    LARDER_TRUNCATED,   /* the caller's buffer is too small; it holds "" */
    LARDER_NOMEM
};

#define LARDER_ERROR_MAX 256

/* What was tried, on what, and why it failed:
 * "redis 10.0.0.5:6379: AUTH: WRONGPASS invalid username-password pair". */
struct larder_error {
    enum larder_status status;
    char message[LARDER_ERROR_MAX];
};

/* A short word for a status: "ok", "miss", "timeout" ... Static. */
const char *larder_status_name(enum larder_status status);

/* ----------------------------------------------------------- configuration */

enum larder_log_level { LARDER_LOG_ERROR, LARDER_LOG_WARNING, LARDER_LOG_INFO, LARDER_LOG_DEBUG };

/* Called from any thread, also the pool's own; must not call back into the client. */
typedef void (*larder_log_fn)(void *arg, enum larder_log_level level, const char *message);

/*
 * Fill with larder_options_init(), then change what should differ. Strings are
 * copied by larder_open(). Durations are in milliseconds.
 */
struct larder_options {
    size_t size;                  /* set by larder_options_init(): the caller's sizeof */
    bool enabled;                 /* true */
    bool lazy;                    /* false: larder_open() fails unless PING answers */
    const char *host;             /* "127.0.0.1"; name or address */
    int port;                     /* 6379 */
    const char *unix_path;        /* NULL; when set, host and port are not used */
    const char *user;             /* NULL: AUTH with the password alone */
    const char *password;         /* NULL: no AUTH */
    int database;                 /* 0 */
    const char *name_space;       /* "larder"; "" shares key names with the ancestor */
    int pool_max;                 /* 25 connections at most, in use and idle */
    int pool_min_idle;            /* 5 kept ready by a background thread */
    int pool_max_idle;            /* -1: pool_max; a connection given back beyond that is closed */
    int64_t conn_max_lifetime_ms; /* 300000; 0: no limit */
    int64_t conn_max_idle_ms;     /* 60000; 0: no limit */
    int64_t pool_timeout_ms;      /* -1: read_timeout_ms + 1000; longest wait for a slot */
    int64_t dial_timeout_ms;      /* 5000 */
    int64_t read_timeout_ms;      /* 3000; for one reply */
    int64_t write_timeout_ms;     /* 3000; for one command */
    int max_retries;              /* 3; after the first try, only where safe; 0: none */
    int64_t retry_min_ms;         /* 8 */
    int64_t retry_max_ms;         /* 512 */
    int64_t operation_timeout_ms; /* 10000; the budget of one call, everything included */
    int breaker_failures;         /* 0: no circuit breaker; n: open after n failures in a row */
    int wait_replicas;            /* 0; so many replicas must have an invalidation (WAIT) */
    int64_t breaker_max_rest_ms;  /* 1000; longest time between two probes while open */
    int64_t wait_timeout_ms;      /* 1000; longest wait for them */
    int news_length;              /* 10000; invalidations that the news stream keeps, about */
    larder_log_fn log;            /* NULL; one line per change of state, never per request */
    void *log_arg;
};

#define larder_options_init(o) larder_options_init_sized((o), sizeof(struct larder_options))
void larder_options_init_sized(struct larder_options *options, size_t size);

/* ------------------------------------------------------------------ client */

struct larder;

/*
 * Open a client. Dials and PINGs unless options->lazy or !options->enabled; on
 * failure *out is NULL and err has the server's words. Start it after fork(),
 * not before: it owns a thread. LARDER_INVALID: an option is out of range.
 */
enum larder_status larder_open(const struct larder_options *options, struct larder **out,
                               struct larder_error *err);

/* Close. The caller sees to it that no other thread is inside a call. NULL is allowed. */
void larder_close(struct larder *cache);

bool larder_is_enabled(const struct larder *cache);

/* The namespace, "" if none. Owned by the client. */
const char *larder_namespace(const struct larder *cache);

/* Ask Redis for a sign of life; *rtt_us (may be NULL) gets the round trip in microseconds. */
enum larder_status larder_ping(struct larder *cache, int64_t *rtt_us, struct larder_error *err);

/* ------------------------------------------------------------------ values */

/* The longest value that is read or written: 512 MiB, Redis' own limit. */
#define LARDER_VALUE_MAX ((size_t)512 * 1024 * 1024)
/* The longest key, namespace included. */
#define LARDER_KEY_MAX 1024

/* *value is a new reference that the caller gives back with json_object_put().
 * LARDER_MISS, LARDER_DISABLED, LARDER_CORRUPT (not JSON). JSON null is stored as "null" and read
 * as LARDER_OK with *value NULL. */
enum larder_status larder_get(struct larder *cache, const char *key, json_object **value,
                              struct larder_error *err);

/* Store as JSON text. ttl_ms 0: without expiry; negative: LARDER_INVALID. Repeated when the first
 * outcome is unknown: setting the same value twice is setting it once. */
enum larder_status larder_set(struct larder *cache, const char *key, json_object *value,
                              int64_t ttl_ms, struct larder_error *err);

/* The same on raw bytes. *data is malloc'd, *len bytes and a NUL that is not counted; free() it. */
enum larder_status larder_get_raw(struct larder *cache, const char *key, void **data, size_t *len,
                                  struct larder_error *err);
enum larder_status larder_set_raw(struct larder *cache, const char *key, const void *data,
                                  size_t len, int64_t ttl_ms, struct larder_error *err);

/* Many at once, in one round trip (split in batches of 1,000 keys). values[i] is a new reference;
 * status[i] says LARDER_OK, LARDER_MISS or LARDER_CORRUPT. Any other failure is the call's. */
enum larder_status larder_get_many(struct larder *cache, const char *const *keys, size_t n,
                                   json_object **values, enum larder_status *status,
                                   struct larder_error *err);

struct larder_item {
    const char *key;
    json_object *value;
    int64_t ttl_ms;
};

/* Pipelined; not atomic. LARDER_OK only if every item was stored; *stored (may be NULL) counts. */
enum larder_status larder_set_many(struct larder *cache, const struct larder_item *items, size_t n,
                                   size_t *stored, struct larder_error *err);

/* *deleted (may be NULL) gets how many there were. Deleting nothing is no error. */
enum larder_status larder_delete(struct larder *cache, const char *const *keys, size_t n,
                                 int64_t *deleted, struct larder_error *err);

enum larder_status larder_exists(struct larder *cache, const char *key, bool *exists,
                                 struct larder_error *err);

/* LARDER_MISS: no such key. */
enum larder_status larder_expire(struct larder *cache, const char *key, int64_t ttl_ms,
                                 struct larder_error *err);

#define LARDER_NO_EXPIRY INT64_C(-1)

/* LARDER_MISS: no such key. LARDER_OK with *ttl_ms LARDER_NO_EXPIRY: it stays until deleted. */
enum larder_status larder_ttl(struct larder *cache, const char *key, int64_t *ttl_ms,
                              struct larder_error *err);

/* LARDER_EXISTS: the key was there and is as it was. LARDER_UNKNOWN: see the status; never
 * repeated, since the repetition would report our own first try as somebody else's. */
enum larder_status larder_set_if_absent(struct larder *cache, const char *key, json_object *value,
                                        int64_t ttl_ms, struct larder_error *err);

/* Never repeated when the outcome is unknown. *value (may be NULL) gets the new value. */
enum larder_status larder_increment(struct larder *cache, const char *key, int64_t *value,
                                    struct larder_error *err);
enum larder_status larder_increment_by(struct larder *cache, const char *key, int64_t by,
                                       int64_t *value, struct larder_error *err);

/* ------------------------------------------------------------------ sweeps */

/* How far a sweep is: about how many keys of the database have been gone over, and how many of
 * them matched. Return false to stop it; what is deleted stays deleted, and the call is LARDER_OK. */
typedef bool (*larder_progress_fn)(void *arg, int64_t scanned, int64_t matched);

struct larder_sweep {
    int64_t timeout_ms;          /* budget of the whole sweep; 0: none */
    bool dry_run;                /* count, delete nothing */
    larder_progress_fn progress; /* NULL: none; called once a batch */
    void *progress_arg;
};

/*
 * Delete what matches a Redis glob, in the namespace, by SCAN and UNLINK in
 * bounded batches, and invalidate the stored responses that the pattern covers,
 * also those being fetched while the sweep runs. What is written meanwhile by
 * others may survive. *deleted (may be NULL) counts. sweep may be NULL.
 * At most 1,024 bytes and 16 stars; LARDER_INVALID beyond.
 */
enum larder_status larder_delete_pattern(struct larder *cache, const char *pattern,
                                         const struct larder_sweep *sweep, int64_t *deleted,
                                         struct larder_error *err);

/*
 * What the ancestor's pattern `*:user:<uid>*` was meant to do: delete
 * `user:<uid>`, every key with `:user:<uid>` as whole segments, `quota:`,
 * `stats:`, `share:` and favourites of that user, and the user's responses;
 * nothing of any other user, also not of one whose id begins alike.
 */
enum larder_status larder_delete_user(struct larder *cache, const char *uid,
                                      const struct larder_sweep *sweep, int64_t *deleted,
                                      struct larder_error *err);

/* Report the keys that match, without the namespace; the callback returns false to stop.
 * A key may be reported twice (SCAN). key is NUL-terminated and len bytes long. */
typedef bool (*larder_key_fn)(void *arg, const char *key, size_t len);
enum larder_status larder_keys(struct larder *cache, const char *pattern, int64_t timeout_ms,
                               larder_key_fn fn, void *arg, struct larder_error *err);

/* Everything in this namespace. LARDER_INVALID when the namespace is "": that would be everybody's
 * keys; larder_flush_server() says so in its name. */
enum larder_status larder_flush(struct larder *cache, const struct larder_sweep *sweep,
                                int64_t *deleted, struct larder_error *err);

/* FLUSHALL: every database of the server, whoever uses it. */
enum larder_status larder_flush_server(struct larder *cache, struct larder_error *err);

/* --------------------------------------------------------------- statistics */

struct larder_stats {
    bool enabled;
    bool available; /* the circuit breaker is closed */
    /* pool */
    uint64_t pool_hits;     /* a healthy idle connection was found */
    uint64_t pool_misses;   /* one had to be dialled */
    uint64_t pool_timeouts; /* waited for a slot in vain */
    uint64_t pool_stale;    /* closed for age, idle time, or because dead */
    uint32_t pool_total;
    uint32_t pool_idle;
    /* cache calls */
    uint64_t hits;
    uint64_t misses;
    uint64_t errors;
    uint64_t retries;
};

/* The client's own counters; no round trip. */
void larder_stats(const struct larder *cache, struct larder_stats *out);

/* Redis' INFO stats as a JSON object of strings and integers; a new reference. */
enum larder_status larder_server_stats(struct larder *cache, json_object **info,
                                       struct larder_error *err);

/* -------------------------------------------------------------------- locks */

#define LARDER_TOKEN_SIZE 33 /* 128 random bits in hex, and a NUL */

/*
 * Take the lock `key` for ttl_ms. token is written before anything is sent, so
 * that after LARDER_UNKNOWN the caller can larder_unlock() what it may hold.
 * LARDER_EXISTS: somebody else holds it. How long it is held, counted from before
 * this call, only CLOCK_BOOTTIME tells: it goes on while the machine is suspended,
 * as the life of the lock does.
 */
enum larder_status larder_lock(struct larder *cache, const char *key, int64_t ttl_ms,
                               char token[LARDER_TOKEN_SIZE], struct larder_error *err);

/* Only by the holder of the token. LARDER_MISS: not held (expired). LARDER_EXISTS: held by
 * another. */
enum larder_status larder_unlock(struct larder *cache, const char *key, const char *token,
                                 struct larder_error *err);
enum larder_status larder_lock_extend(struct larder *cache, const char *key, const char *token,
                                      int64_t ttl_ms, struct larder_error *err);

/* ---------------------------------------------------------------- key names */

#define LARDER_PREFIX_SESSION "session"
#define LARDER_PREFIX_USER "user"
#define LARDER_PREFIX_TEMPLATE "template"
#define LARDER_PREFIX_QUOTA "quota"
#define LARDER_PREFIX_CONFIG "config"
#define LARDER_PREFIX_REPOSITORY "repository"
#define LARDER_PREFIX_SHARE "share"
#define LARDER_PREFIX_STATS "stats"

/*
 * Each writes one key name, NUL-terminated, into buf of `size` bytes.
 * LARDER_TRUNCATED: it did not fit; buf is "" (if size > 0). LARDER_INVALID: an
 * identifier is NULL or empty. Identifiers go in as they are; in the pattern
 * functions the bytes * ? [ ] ^ - \ of an identifier are escaped.
 */
enum larder_status larder_key_session(char *buf, size_t size, const char *id);
enum larder_status larder_key_session_user_list(char *buf, size_t size, const char *uid);
enum larder_status larder_key_session_all(char *buf, size_t size);
enum larder_status larder_key_session_stats(char *buf, size_t size, const char *id);
enum larder_status larder_key_user(char *buf, size_t size, const char *id);
enum larder_status larder_key_user_by_username(char *buf, size_t size, const char *name);
enum larder_status larder_key_user_by_email(char *buf, size_t size, const char *email);
enum larder_status larder_key_user_all(char *buf, size_t size);
enum larder_status larder_key_template(char *buf, size_t size, const char *name);
enum larder_status larder_key_template_category(char *buf, size_t size, const char *category);
enum larder_status larder_key_template_all(char *buf, size_t size);
enum larder_status larder_key_template_featured(char *buf, size_t size);
enum larder_status larder_key_template_favorites(char *buf, size_t size, const char *uid);
enum larder_status larder_key_quota_user(char *buf, size_t size, const char *uid);
enum larder_status larder_key_quota_all(char *buf, size_t size);
enum larder_status larder_key_config(char *buf, size_t size, const char *name);
enum larder_status larder_key_config_all(char *buf, size_t size);
enum larder_status larder_key_repository(char *buf, size_t size, const char *id);
enum larder_status larder_key_repository_all(char *buf, size_t size);
enum larder_status larder_key_share_session(char *buf, size_t size, const char *sid);
enum larder_status larder_key_share_user(char *buf, size_t size, const char *uid);
enum larder_status larder_key_share_invitation(char *buf, size_t size, const char *token);
enum larder_status larder_key_share_collaborators(char *buf, size_t size, const char *sid);
enum larder_status larder_key_stats_user(char *buf, size_t size, const char *uid);
enum larder_status larder_key_stats_template(char *buf, size_t size, const char *name);
enum larder_status larder_key_stats_global(char *buf, size_t size);

enum larder_status larder_pattern_sessions(char *buf, size_t size);  /* session:* */
enum larder_status larder_pattern_templates(char *buf, size_t size); /* template:* */
enum larder_status larder_pattern_quotas(char *buf, size_t size);    /* quota:* */
enum larder_status larder_pattern_template_favorites(char *buf,
                                                     size_t size); /* template:favorites:* */
/* `*:user:<uid>*`, the ancestor's. It misses `user:<uid>` and takes user `<uid>4` along:
 * larder_delete_user() is what one wants. */
enum larder_status larder_pattern_user(char *buf, size_t size, const char *uid);

/* Escape the glob characters of `text` for use inside a pattern. */
enum larder_status larder_pattern_escape(char *buf, size_t size, const char *text);

/* --------------------------------------------- the ancestor's cached response */

struct larder_header {
    const char *name;
    const char *value;
};

/*
 * {"status_code":200,"headers":{"Content-Type":"text/html"},"body":"..."}
 *
 * Two extensions, written only where they are needed, so that what the ancestor
 * could have written is byte for byte readable by it: a field that occurs more
 * than once has an array of strings as its value, and a body that is not UTF-8
 * (or holds a NUL) is in "body_base64" while "body" is absent.
 */
struct larder_response {
    int status_code;                     /* 100 to 599 */
    const struct larder_header *headers; /* in order, with repeats */
    size_t header_count;
    const void *body;
    size_t body_len;
};

/* JSON text of a response; malloc'd, *len bytes and a NUL. LARDER_INVALID: CR, LF or NUL in a
 * header, or a name that is no token. */
enum larder_status larder_response_encode(const struct larder_response *response, char **text,
                                          size_t *len, struct larder_error *err);

/* Decode; *out is one allocation, given back by larder_response_free(). LARDER_CORRUPT: not such a
 * value, or one with a header that must not go out. */
enum larder_status larder_response_decode(const void *text, size_t len,
                                          struct larder_response **out, struct larder_error *err);
void larder_response_free(struct larder_response *response);

/* The ancestor's key: "response:" and the SHA-256 in hex of `target`, with ":user:<uid>" appended
 * to the target before hashing unless uid is NULL. */
enum larder_status larder_response_key(char *buf, size_t size, const char *target, const char *uid);

#ifdef __cplusplus
}
#endif

#endif
