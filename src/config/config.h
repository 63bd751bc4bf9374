/*
 * The configuration of larder-fcgi: what etc/larder.conf says, checked, with
 * defaults filled in. Immutable once loaded; a reload makes a new one, and
 * the old one lives as long as the site that owns it (responder/server.h).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/string_list.h"
#include "larder.h"
#include "routing/route.h"
#include "upstream/upstream.h"

/* An address or a CIDR block; IPv4 in the last four bytes. */
struct address_block {
    unsigned char bytes[16];
    unsigned bits;
    bool ipv4;
};

#define ROUTES_MAX 4096
#define CONFIG_PASSWORD_MAX 4096
/* Less is guessed. */
#define ADMIN_TOKEN_MIN 16

/* What an answer's Cache-Status has: everything; no key and no detail; no such field. */
enum cache_status_mode { CACHE_STATUS_FULL, CACHE_STATUS_SHORT, CACHE_STATUS_OFF };

/* What becomes of a response's own tags. */
enum tags_mode { RESPONSE_TAGS_STRIP, RESPONSE_TAGS_KEEP, RESPONSE_TAGS_IGNORE };

enum log_destination { LOG_TO_SYSLOG, LOG_TO_FILE, LOG_TO_STDERR };

struct config {
    struct arena *arena; /* owns everything below */
    const char *file;
    const char *preset; /* as it is written: a name, or a file; NULL: none */

    struct upstream_options upstream;
    struct string_list upstream_urls, upstream_backups; /* what upstream points to */
    size_t body_spool_max;                              /* 1G; of a request body */
    size_t body_spool_total;                            /* 2G; of all that a process collects */
    struct string_list trusted_proxies; /* addresses or CIDR blocks: X-Forwarded-* is appended to */
    struct address_block *trusted;      /* trusted_proxies, ready to compare with */
    struct string_list ignore_parameters; /* globs on parameters of a FastCGI backend */
    struct string_list trusted_fields;    /* request fields that the web server itself sets */

    struct larder_options redis; /* enabled, namespace, pool, timeouts, password from file or env */
    const char *redis_password_file; /* where redis.password came from; NULL: elsewhere */

    bool fastcgi;           /* the upstream speaks FastCGI */
    bool rewritten_ignored; /* upstream.rewritten = "ignore" */
    bool trust_restart;     /* redis.after_restart = "trust" */
    bool cache_enabled;
    bool compat_ancestor;            /* compat = "ancestor" */
    bool refuse_unreachable;         /* on_unreachable = "refuse" */
    size_t max_object;               /* 8M; body bytes */
    int64_t budget_ms;               /* 50; what one request may lose to Redis */
    int64_t invalidate_timeout_ms;   /* 2000; each of the two steps of a mutation */
    int64_t mutation_max_ms;         /* 300000; the longest that a backend takes to commit */
    const char *state_dir;           /* "/var/lib/larder" */
    size_t journal_max;              /* 1M; bytes of the journal before it is collapsed */
    size_t store_queue_bytes;        /* 64M waiting to be stored, a process */
    size_t store_queue_count;        /* 1024 */
    struct string_list encodings;    /* codings that Accept-Encoding is reduced to; empty: it is
                                      not sent on a cacheable miss */
    struct string_list forbidden_by; /* fields of responses that are for other caches */
    enum cache_status_mode cache_status;
    enum tags_mode response_tags;

    bool coalesce;             /* coalesce.enabled */
    int64_t coalesce_wait_ms;  /* 10000 */
    int64_t coalesce_lease_ms; /* 3000 */
    int64_t hit_for_miss_ms;   /* 120000; 0: none */

    const char *admin_token;      /* NULL: nobody may purge over HTTP */
    const char *admin_token_file; /* where it came from; NULL: from the file itself */
    const char *admin_path;       /* "/.larder/purge" */
    struct string_list admin_allow;
    struct address_block *admin_blocks; /* admin_allow, ready to compare with */
    int admin_rate;                     /* 600 a minute from one address; 0: no limit */

    int workers;               /* 2 */
    int max_fetchers;          /* 256 */
    int64_t fetcher_idle_ms;   /* 30000 */
    int64_t drain_timeout_ms;  /* 30000 */
    int64_t client_timeout_ms; /* 60000; longest stall of a read from or write to the web server */
    int max_kept;              /* 1024 idle connections kept for the web server */
    const char *runtime_dir;   /* "/run/larder" */

    struct route_table routes;

    enum log_destination log_to;
    const char *log_file;
    enum larder_log_level log_level;
    bool log_requests; /* a line per request at info */
};

/*
 * Load and check. NULL: err has "FILE:LINE: what was found, what was expected".
 * Reads the environment for overrides (LARDER_REDIS_PASSWORD). No network.
 * A file must name the upstream. file NULL: the defaults alone, with no routes
 * and upstream.url NULL, which is for tools that do not need a backend.
 */
struct config *config_load(const char *file, struct larder_error *err);

/* Files with secrets that the caller has no use for, and perhaps no permission to read: they are not
 * opened, and the secret is NULL. */
#define CONFIG_WITHOUT_TOKEN 1u
#define CONFIG_WITHOUT_PASSWORD 2u
struct config *config_load_without(const char *file, unsigned without, struct larder_error *err);
/* NULL is allowed. */
void config_free(struct config *config);

/* Is this peer one of trusted_proxies? IPv4, IPv6, or IPv4 in IPv6 form; anything else is not. */
bool config_address_trusted(const struct config *config, const char *addr);

/* May purges come from this address: is it one of admin.allow, or is that not set? */
bool config_address_may_purge(const struct config *config, const char *addr);

/* Print every option, one per line: name, type, default, range, help. For --help-config and the
 * test that compares with larder.conf(5). */
void config_print_options(void);

/* "30s", "5m", "1h30m", "500ms", "0". false: not a duration. */
bool config_parse_duration(const char *text, int64_t *ms);
/* "8M", "64K", "1G", "512". false: not a size. */
bool config_parse_size(const char *text, size_t *bytes);

#endif
