/*
 * Every option of larder.conf(5), in one table.
 *
 * The table drives everything that concerns an option: parsing, the check of
 * type and range, the default, the suggestion for a misspelt name,
 * `larder-fcgi --help-config`, and the test that the manual page says the same.
 * A new option is a line here, a field in struct config and a paragraph in the
 * manual. Checks that concern two options at once are in config.c and
 * route_entry.c.
 */
#include "config/options.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/store.h"
#include "config/config.h"
#include "config/scalar.h"

#define S_MS ((int64_t)1000)
#define M_MS (60 * S_MS)
#define H_MS (60 * M_MS)
#define D_MS (24 * H_MS)

#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* sun_path, less its NUL. */
#define UNIX_PATH_MAX 107
#define FILE_NAME_MAX 1024

static const char *const compat_choices[] = {"none", "ancestor", NULL};
static const char *const log_choices[] = {"syslog", "file", "stderr", NULL};
static const char *const level_choices[] = {"error", "warning", "info", "debug", NULL};
static const char *const authorization_choices[] = {"pass", "rfc", NULL};
static const char *const cache_choices[] = {"ttl", "rfc", NULL};
static const char *const error_choices[] = {"safe", "rfc", NULL};
static const char *const set_cookie_choices[] = {"pass", "strip", "keep", NULL};
static const char *const client_control_choices[] = {"limited", "honour", "ignore", NULL};
static const char *const restart_choices[] = {"cold", "trust", NULL};
static const char *const rewritten_choices[] = {"follow", "ignore", NULL};
static const char *const unreachable_choices[] = {"journal", "refuse", NULL};
static const char *const tags_choices[] = {"strip", "keep", "ignore", NULL};
static const char *const cache_status_choices[] = {"full", "short", "off", NULL};

#define IN_CONFIG(field) offsetof(struct config, field)
#define IN_ROUTE(field) offsetof(struct route, field)

/* clang-format off */
const struct option options[] = {
    {"", "preset", OPTION_STRING, NULL, 1, FILE_NAME_MAX, NULL,
     "rules for an application, behind those of this file: wordpress, generic-php, or a file",
     IN_CONFIG(preset)},

    {"upstream", "url", OPTION_STRING, NULL, 1, 2048, NULL,
     "the backend: http://host[:port], https://host[:port], http+unix:/path.sock, "
     "fastcgi://host:port or fastcgi+unix:/path.sock",
     IN_CONFIG(upstream.url)},
    {"upstream", "urls", OPTION_STRINGS, NULL, 1, UPSTREAM_BACKENDS_MAX, NULL,
     "several backends instead of url, of one protocol; the least busy one is asked",
     IN_CONFIG(upstream_urls)},
    {"upstream", "backup_urls", OPTION_STRINGS, NULL, 0, UPSTREAM_BACKENDS_MAX, NULL,
     "backends that are asked while none of the others takes a connection",
     IN_CONFIG(upstream_backups)},
    {"upstream", "fail_timeout", OPTION_DURATION, "5s", 0, H_MS, NULL,
     "one of several backends that took no connection is left alone for so long",
     IN_CONFIG(upstream.fail_timeout_ms)},
    {"upstream", "connect_timeout", OPTION_DURATION, "5s", 1, 10 * M_MS, NULL,
     "longest wait for a connection",
     IN_CONFIG(upstream.connect_timeout_ms)},
    {"upstream", "timeout", OPTION_DURATION, "60s", 0, D_MS, NULL,
     "longest wait for the head of the answer; 0: no limit",
     IN_CONFIG(upstream.timeout_ms)},
    {"upstream", "idle_timeout", OPTION_DURATION, "30s", 1, D_MS, NULL,
     "longest silence while a response is under way",
     IN_CONFIG(upstream.idle_timeout_ms)},
    {"upstream", "max_idle", OPTION_INT, "32", 0, UPSTREAM_IDLE_MAX, NULL,
     "connections kept for reuse, to each backend; 0 for FastCGI unless it is set",
     IN_CONFIG(upstream.max_idle)},
    {"upstream", "keepalive", OPTION_DURATION, "4s", 0, H_MS, NULL,
     "a connection that was idle for longer is not used again",
     IN_CONFIG(upstream.keepalive_ms)},
    {"upstream", "body_spool_max", OPTION_SIZE, "1G", 0, 1024 * GIB, NULL,
     "largest request body that is taken; it is collected before the backend is asked",
     IN_CONFIG(body_spool_max)},
    {"upstream", "body_spool_total", OPTION_SIZE, "2G", 0, 1024 * GIB, NULL,
     "most that the request bodies hold that a process is collecting",
     IN_CONFIG(body_spool_total)},
    {"upstream", "tls_verify", OPTION_BOOL, "true", 0, 0, NULL,
     "check the certificate of an https backend",
     IN_CONFIG(upstream.tls_verify)},
    {"upstream", "tls_ca_file", OPTION_PATH, NULL, 1, FILE_NAME_MAX, NULL,
     "certificates to check it against; not set: the system's",
     IN_CONFIG(upstream.tls_ca_file)},
    {"upstream", "trusted_proxies", OPTION_STRINGS, NULL, 0, 256, NULL,
     "addresses and CIDR blocks of proxies whose X-Forwarded-* is appended to",
     IN_CONFIG(trusted_proxies)},
    {"upstream", "trusted_fields", OPTION_STRINGS, NULL, 0, 64, NULL,
     "request fields that the web server sets itself, whatever the client sends",
     IN_CONFIG(trusted_fields)},
    {"upstream", "ignore_parameters", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of the web server's parameters on which no page of a FastCGI backend depends",
     IN_CONFIG(ignore_parameters)},
    {"upstream", "rewritten", OPTION_SWITCH, "follow", 0, 0, rewritten_choices,
     "ask an HTTP backend for the URL that the web server has rewritten, or ignore that",
     IN_CONFIG(rewritten_ignored)},

    {"redis", "host", OPTION_STRING, "127.0.0.1", 1, 255, NULL,
     "name or address",
     IN_CONFIG(redis.host)},
    {"redis", "port", OPTION_INT, "6379", 1, 65535, NULL,
     "TCP port",
     IN_CONFIG(redis.port)},
    {"redis", "socket", OPTION_PATH, NULL, 1, UNIX_PATH_MAX, NULL,
     "Unix socket, instead of host and port",
     IN_CONFIG(redis.unix_path)},
    {"redis", "user", OPTION_STRING, NULL, 1, 255, NULL,
     "ACL user; not set: AUTH with the password alone",
     IN_CONFIG(redis.user)},
    {"redis", "password", OPTION_STRING, NULL, 1, CONFIG_PASSWORD_MAX, NULL,
     "password; LARDER_REDIS_PASSWORD in the environment goes before it",
     IN_CONFIG(redis.password)},
    {"redis", "password_file", OPTION_PATH, NULL, 1, FILE_NAME_MAX, NULL,
     "file that holds the password",
     IN_CONFIG(redis_password_file)},
    {"redis", "database", OPTION_INT, "0", 0, 65535, NULL,
     "number of the database",
     IN_CONFIG(redis.database)},
    {"redis", "namespace", OPTION_STRING, "larder", 0, 64, NULL,
     "prefix of every key; empty: shares key names with the ancestor",
     IN_CONFIG(redis.name_space)},
    {"redis", "pool_max", OPTION_INT, "25", 1, 10000, NULL,
     "connections of a process at most, in use and idle",
     IN_CONFIG(redis.pool_max)},
    {"redis", "pool_min_idle", OPTION_INT, "5", 0, 10000, NULL,
     "idle connections kept ready",
     IN_CONFIG(redis.pool_min_idle)},
    {"redis", "pool_max_idle", OPTION_INT, NULL, 0, 10000, NULL,
     "idle connections at most; not set: pool_max",
     IN_CONFIG(redis.pool_max_idle)},
    {"redis", "conn_max_lifetime", OPTION_DURATION, "5m", 0, D_MS, NULL,
     "a connection is closed at this age; 0: no limit",
     IN_CONFIG(redis.conn_max_lifetime_ms)},
    {"redis", "conn_max_idle", OPTION_DURATION, "1m", 0, D_MS, NULL,
     "a connection is closed when idle for so long; 0: no limit",
     IN_CONFIG(redis.conn_max_idle_ms)},
    {"redis", "pool_timeout", OPTION_DURATION, NULL, 0, M_MS, NULL,
     "longest wait for a connection of the pool; not set: read_timeout and 1s",
     IN_CONFIG(redis.pool_timeout_ms)},
    {"redis", "dial_timeout", OPTION_DURATION, "5s", 1, M_MS, NULL,
     "longest wait for a new connection",
     IN_CONFIG(redis.dial_timeout_ms)},
    {"redis", "read_timeout", OPTION_DURATION, "3s", 1, M_MS, NULL,
     "longest wait for one reply",
     IN_CONFIG(redis.read_timeout_ms)},
    {"redis", "write_timeout", OPTION_DURATION, "3s", 1, M_MS, NULL,
     "longest time to send one command",
     IN_CONFIG(redis.write_timeout_ms)},
    {"redis", "max_retries", OPTION_INT, "3", 0, 10, NULL,
     "repetitions of a command that may be repeated",
     IN_CONFIG(redis.max_retries)},
    {"redis", "retry_min", OPTION_DURATION, "8ms", 1, 10 * S_MS, NULL,
     "shortest pause before a repetition",
     IN_CONFIG(redis.retry_min_ms)},
    {"redis", "retry_max", OPTION_DURATION, "512ms", 1, M_MS, NULL,
     "longest pause before a repetition",
     IN_CONFIG(redis.retry_max_ms)},
    {"redis", "breaker_failures", OPTION_INT, "2", 0, 1000, NULL,
     "failures in a row after which Redis is left alone for a while; 0: never",
     IN_CONFIG(redis.breaker_failures)},
    {"redis", "breaker_max_rest", OPTION_DURATION, "1s", 10, 10 * M_MS, NULL,
     "longest time between two tries to find it back",
     IN_CONFIG(redis.breaker_max_rest_ms)},
    {"redis", "after_restart", OPTION_SWITCH, "cold", 0, 0, restart_choices,
     "what a server held before it was restarted or took over: not used, or trusted",
     IN_CONFIG(trust_restart)},
    {"redis", "wait_replicas", OPTION_INT, "0", 0, 100, NULL,
     "replicas that must have an invalidation before it counts as done",
     IN_CONFIG(redis.wait_replicas)},
    {"redis", "wait_timeout", OPTION_DURATION, "1s", 1, M_MS, NULL,
     "longest wait for them",
     IN_CONFIG(redis.wait_timeout_ms)},
    {"redis", "news_length", OPTION_INT, "10000", 100, 10000000, NULL,
     "invalidations that are remembered for responses that name their own tags",
     IN_CONFIG(redis.news_length)},

    {"cache", "enabled", OPTION_BOOL, "true", 0, 0, NULL,
     "false: every request goes to the backend, Redis is not asked",
     IN_CONFIG(cache_enabled)},
    {"cache", "max_object", OPTION_SIZE, "8M", 1, 256 * MIB, NULL,
     "largest body that is stored",
     IN_CONFIG(max_object)},
    {"cache", "budget", OPTION_DURATION, "50ms", 1, 10 * S_MS, NULL,
     "what one request may lose to Redis",
     IN_CONFIG(budget_ms)},
    {"cache", "invalidate_timeout", OPTION_DURATION, "2s", 1, 10 * M_MS, NULL,
     "longest time that a mutation waits for Redis, before and after it",
     IN_CONFIG(invalidate_timeout_ms)},
    {"cache", "mutation_max", OPTION_DURATION, "5m", S_MS, D_MS, NULL,
     "longest time from a mutation's request until the backend has done it or never will",
     IN_CONFIG(mutation_max_ms)},
    {"cache", "on_unreachable", OPTION_SWITCH, "journal", 0, 0, unreachable_choices,
     "a mutation while Redis is away: noted on this machine, or answered 503",
     IN_CONFIG(refuse_unreachable)},
    {"cache", "state_dir", OPTION_PATH, "/var/lib/larder", 1, FILE_NAME_MAX, NULL,
     "directory of the journal of invalidations that Redis has not got yet",
     IN_CONFIG(state_dir)},
    {"cache", "journal_max", OPTION_SIZE, "1M", 64 * KIB, GIB, NULL,
     "a longer journal becomes one record that drops everything",
     IN_CONFIG(journal_max)},
    {"cache", "response_tags", OPTION_CHOICE, "strip", 0, 0, tags_choices,
     "Cache-Groups, Surrogate-Key, xkey, Cache-Tag: used and removed, used and sent on, ignored",
     IN_CONFIG(response_tags)},
    {"cache", "store_queue_bytes", OPTION_SIZE, "64M", KIB, 16 * GIB, NULL,
     "responses that wait to be stored, a process; beyond it the store is skipped",
     IN_CONFIG(store_queue_bytes)},
    {"cache", "store_queue_count", OPTION_COUNT, "1024", 1, 1000000, NULL,
     "the same as a number of responses",
     IN_CONFIG(store_queue_count)},
    {"cache", "compat", OPTION_SWITCH, "none", 0, 0, compat_choices,
     "ancestor: its keys and its JSON for responses",
     IN_CONFIG(compat_ancestor)},
    {"cache", "encodings", OPTION_STRINGS, NULL, 0, 8, NULL,
     "codings that Accept-Encoding is reduced to; not set: zstd, br, gzip",
     IN_CONFIG(encodings)},
    {"cache", "forbidden_by", OPTION_STRINGS, NULL, 0, 16, NULL,
     "fields for other caches by which a backend may forbid to store a response",
     IN_CONFIG(forbidden_by)},
    {"cache", "cache_status", OPTION_CHOICE, "full", 0, 0, cache_status_choices,
     "the Cache-Status field: with all it has, without key and detail, or none",
     IN_CONFIG(cache_status)},

    {"coalesce", "enabled", OPTION_BOOL, "true", 0, 0, NULL,
     "one fetch for all who ask for the same response at once",
     IN_CONFIG(coalesce)},
    {"coalesce", "wait", OPTION_DURATION, "10s", 1, 10 * M_MS, NULL,
     "longest wait for somebody else's fetch to begin its answer",
     IN_CONFIG(coalesce_wait_ms)},
    {"coalesce", "lease", OPTION_DURATION, "3s", 100, 10 * M_MS, NULL,
     "a process that has died while it fetched is waited for so long; extended while it lives",
     IN_CONFIG(coalesce_lease_ms)},
    {"coalesce", "hit_for_miss", OPTION_DURATION, "2m", 0, D_MS, NULL,
     "after a response that must not be stored nobody waits for the same for so long; 0: off",
     IN_CONFIG(hit_for_miss_ms)},

    {"admin", "token", OPTION_STRING, NULL, ADMIN_TOKEN_MIN, CONFIG_PASSWORD_MAX, NULL,
     "secret of who may purge over HTTP; without one nobody may",
     IN_CONFIG(admin_token)},
    {"admin", "token_file", OPTION_PATH, NULL, 1, FILE_NAME_MAX, NULL,
     "file that holds it",
     IN_CONFIG(admin_token_file)},
    {"admin", "path", OPTION_STRING, "/.larder/purge", 2, 256, NULL,
     "path that takes purges by POST and DELETE",
     IN_CONFIG(admin_path)},
    {"admin", "allow", OPTION_STRINGS, NULL, 0, 256, NULL,
     "addresses and CIDR blocks that purges may come from; not set: all who have the token",
     IN_CONFIG(admin_allow)},
    {"admin", "rate", OPTION_INT, "600", 0, 1000000, NULL,
     "purge requests from one address in a minute, a process; 0: no limit",
     IN_CONFIG(admin_rate)},

    {"responder", "workers", OPTION_INT, "2", 1, 256, NULL,
     "threads that accept, look up and serve",
     IN_CONFIG(workers)},
    {"responder", "max_fetchers", OPTION_INT, "256", 1, 4096, NULL,
     "threads that wait for the backend, at most",
     IN_CONFIG(max_fetchers)},
    {"responder", "fetcher_idle", OPTION_DURATION, "30s", 100, D_MS, NULL,
     "a fetcher without work ends after so long",
     IN_CONFIG(fetcher_idle_ms)},
    {"responder", "drain_timeout", OPTION_DURATION, "30s", 0, H_MS, NULL,
     "longest time that requests in hand get at shutdown",
     IN_CONFIG(drain_timeout_ms)},
    {"responder", "client_timeout", OPTION_DURATION, "60s", 100, H_MS, NULL,
     "longest stall of one read from or write to the web server",
     IN_CONFIG(client_timeout_ms)},
    {"responder", "max_kept", OPTION_INT, "1024", 0, 65536, NULL,
     "idle connections kept for the web server",
     IN_CONFIG(max_kept)},
    {"responder", "runtime_dir", OPTION_PATH, "/run/larder", 1, 90, NULL,
     "directory of counters and control sockets",
     IN_CONFIG(runtime_dir)},

    {"routes", "name", OPTION_STRING, NULL, 1, 64, NULL,
     "for messages; not set: the path",
     IN_ROUTE(name)},
    {"routes", "path", OPTION_STRING, NULL, 1, ROUTE_PATTERN_MAX, NULL,
     "pattern of the path, with {name}, * and **; required",
     IN_ROUTE(path)},
    {"routes", "methods", OPTION_STRINGS, NULL, 0, 32, NULL,
     "not set: all; GET includes HEAD",
     IN_ROUTE(methods)},
    {"routes", "hosts", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs on the host without port; not set: all",
     IN_ROUTE(hosts)},
    {"routes", "parameters", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs on NAME=VALUE: for requests whose query has one of these; not set: for any query",
     IN_ROUTE(parameters)},
    {"routes", "resource", OPTION_STRING, NULL, 1, 64, NULL,
     "first part of the keys of its responses",
     IN_ROUTE(resource)},
    {"routes", "cache", OPTION_SWITCH, "ttl", 0, 0, cache_choices,
     "what is cached: what the route gives a ttl, or whatever RFC 9111 allows",
     IN_ROUTE(policy.rfc)},
    {"routes", "ttl", OPTION_DURATION, "0", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "how long a 2xx is fresh where the backend does not say; 0: not set",
     IN_ROUTE(policy.ttl_ms)},
    {"routes", "ttl_override", OPTION_DURATION, "0", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "how long a 2xx is fresh whatever the backend says; 0: not set",
     IN_ROUTE(policy.ttl_override_ms)},
    {"routes", "ttl_by_status", OPTION_STRINGS, NULL, 0, 32, NULL,
     "\"STATUS DURATION\": how long these are fresh where the backend does not say",
     OPTION_APART},
    {"routes", "min_ttl", OPTION_DURATION, "0", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "least time that what is fresh at all is fresh",
     IN_ROUTE(policy.min_ttl_ms)},
    {"routes", "max_ttl", OPTION_DURATION, "0", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "longest time that anything is fresh; 0: no limit",
     IN_ROUTE(policy.max_ttl_ms)},
    {"routes", "heuristic_min", OPTION_DURATION, "5s", 0, H_MS, NULL,
     "least time that Last-Modified alone gives, with cache = \"rfc\"",
     IN_ROUTE(policy.heuristic_min_ms)},
    {"routes", "heuristic_max", OPTION_DURATION, "1d", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "longest time that Last-Modified alone gives; 0: none",
     IN_ROUTE(policy.heuristic_max_ms)},
    {"routes", "error_statuses", OPTION_SWITCH, "safe", 0, 0, error_choices,
     "4xx and 5xx: 404 and 410 briefly and nothing else, or by the rules of RFC 9111",
     IN_ROUTE(policy.errors_rfc)},
    {"routes", "negative_ttl", OPTION_DURATION, "1m", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "longest time for a 404 or 410 with error_statuses = \"safe\"",
     IN_ROUTE(policy.negative_max_ms)},
    {"routes", "set_cookie", OPTION_CHOICE, "pass", 0, 0, set_cookie_choices,
     "a response with Set-Cookie: not stored, stored without it, stored with it",
     IN_ROUTE(policy.set_cookie)},
    {"routes", "stale_while_revalidate", OPTION_DURATION, "0", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "used so long beyond its time while it is fetched anew, where the backend does not say",
     IN_ROUTE(policy.stale_while_ms)},
    {"routes", "stale_if_error", OPTION_DURATION, "10m", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "used so long beyond its time while the backend fails, where it does not say",
     IN_ROUTE(policy.stale_if_ms)},
    {"routes", "keep", OPTION_DURATION, "10m", 0, STORE_TTL_MAX_S * S_MS, NULL,
     "an expired response with a validator is kept for so long, to be validated",
     IN_ROUTE(policy.keep_ms)},
    {"routes", "client_control", OPTION_CHOICE, "limited", 0, 0, client_control_choices,
     "Cache-Control of requests: honoured once a second, always, or not at all",
     IN_ROUTE(policy.client_control)},
    {"routes", "authorization", OPTION_SWITCH, "pass", 0, 0, authorization_choices,
     "requests with credentials: passed, or by the rules of RFC 9111",
     IN_ROUTE(policy.authorization_rfc)},
    {"routes", "range_fetch", OPTION_SIZE, "0", 0, 256 * MIB, NULL,
     "a range that is not stored has the whole fetched up to this size; 0: the range alone",
     IN_ROUTE(range_fetch)},
    {"routes", "variants", OPTION_INT, "64", 1, 10000, NULL,
     "most variants of one URL; those in use stay",
     IN_ROUTE(variants)},
    {"routes", "languages", OPTION_STRINGS, NULL, 0, 32, NULL,
     "Accept-Language is reduced to the one of these that it likes best",
     IN_ROUTE(languages)},
    {"routes", "query", OPTION_GROUP, NULL, 0, 0, NULL,
     "what of the query string counts",
     OPTION_APART},
    {"routes", "cookies", OPTION_GROUP, NULL, 0, 0, NULL,
     "what cookies do; a cookie that no list names has its request passed",
     OPTION_APART},
    {"routes", "fields", OPTION_GROUP, NULL, 0, 0, NULL,
     "what request fields do; one that no list names is sent on a cacheable miss only where Vary "
     "names it",
     OPTION_APART},
    {"routes", "user", OPTION_STRING, NULL, 1, 128, NULL,
     "entries per user: REMOTE_USER, field:NAME or cookie:NAME",
     OPTION_APART},
    {"routes", "invalidate", OPTION_STRINGS, NULL, 0, 16, NULL,
     "patterns that a successful mutation drops, with {user} and {captures}",
     IN_ROUTE(invalidate)},
    {"routes", "refused_location", OPTION_STRINGS, NULL, 0, 16, NULL,
     "globs on the Location of a redirect that says that a mutation was refused: a log-in page",
     IN_ROUTE(refused_location)},
    {"routes", "refused_public", OPTION_BOOL, "false", 0, 0, NULL,
     "an answer without no-cache, no-store and private says that a mutation was refused",
     IN_ROUTE(refused_public)},
    {"routes", "change_script", OPTION_STRINGS, NULL, 0, 16, NULL,
     "globs on SCRIPT_NAME: with a FastCGI backend no other script changes what the route names",
     IN_ROUTE(change_script)},
    {"routes", "change_answer", OPTION_STRINGS, NULL, 0, 16, NULL,
     "\"NAME: GLOB\" of fields: an answer without any of these changes nothing that the route names",
     IN_ROUTE(change_answer)},
    {"routes", "commit_delay", OPTION_DURATION, "0", 0, H_MS, NULL,
     "how long behind the end of an answer its script may go on changing what the route names",
     IN_ROUTE(commit_delay_ms)},
    {"routes", "tags", OPTION_STRINGS, NULL, 0, 8, NULL,
     "tags of its responses, and of what its mutations drop, with {user} and {captures}",
     IN_ROUTE(tags)},
    {"routes", "default_tag", OPTION_STRING, NULL, 1, 128, NULL,
     "a tag of those of its responses that name none themselves, with {user} and {captures}",
     IN_ROUTE(default_tag)},
    {"routes", "directory_tags", OPTION_INT, "0", 0, 8, NULL,
     "levels of directories that can be purged by prefix",
     IN_ROUTE(directory_tags)},
    {"routes", "coalesce", OPTION_BOOL, "true", 0, 0, NULL,
     "one fetch for all who ask at once",
     IN_ROUTE(coalesce)},
    {"routes", "early_refresh", OPTION_INT, "0", 0, 1000, NULL,
     "refreshed before it expires, by chance: percent of the fetch's time; 0: never",
     IN_ROUTE(early_refresh)},
    {"routes", "async", OPTION_BOOL, "false", 0, 0, NULL,
     "invalidate after the answer, not before",
     IN_ROUTE(async)},
    {"routes", "client_cache", OPTION_STRING, NULL, 1, 32, NULL,
     "what browsers are told: a duration, never, or backend",
     OPTION_APART},

    {"routes.cookies", "bypass", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of cookies whose request is passed",
     OPTION_APART},
    {"routes.cookies", "key", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of cookies that are part of the key",
     OPTION_APART},
    {"routes.cookies", "vary", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of cookies that count where the response's Vary names Cookie",
     OPTION_APART},
    {"routes.cookies", "ignore", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of cookies that count as absent and are not sent on a cacheable miss",
     OPTION_APART},

    {"routes.fields", "bypass", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of request fields whose request is passed",
     OPTION_APART},
    {"routes.fields", "key", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of request fields that are part of the key and sent",
     OPTION_APART},
    {"routes.fields", "forward", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of request fields that are sent and not part of the key, at the operator's risk",
     OPTION_APART},
    {"routes.fields", "ignore", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of request fields that count as absent, whatever they are by their names",
     OPTION_APART},

    {"routes.query", "bypass", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of parameters whose request is passed",
     IN_ROUTE(query_bypass)},
    {"routes.query", "ignore", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of parameters that count as absent and are not sent on a cacheable miss",
     IN_ROUTE(query_ignore)},
    {"routes.query", "allow", OPTION_STRINGS, NULL, 0, 64, NULL,
     "globs of the only parameters that count; not set: all",
     IN_ROUTE(query_allow)},
    {"routes.query", "sort", OPTION_BOOL, "false", 0, 0, NULL,
     "order the parameters by name",
     IN_ROUTE(query_sort)},

    {"log", "to", OPTION_CHOICE, "syslog", 0, 0, log_choices,
     "where the log goes",
     IN_CONFIG(log_to)},
    {"log", "file", OPTION_PATH, NULL, 1, FILE_NAME_MAX, NULL,
     "for to = \"file\"",
     IN_CONFIG(log_file)},
    {"log", "level", OPTION_CHOICE, "info", 0, 0, level_choices,
     "the least important lines that are written",
     IN_CONFIG(log_level)},
    {"log", "requests", OPTION_BOOL, "false", 0, 0, NULL,
     "a line per request",
     IN_CONFIG(log_requests)},
};
/* clang-format on */
const size_t option_count = sizeof options / sizeof options[0];

_Static_assert(sizeof options / sizeof options[0] <= OPTIONS_MAX, "OPTIONS_MAX is too small");
_Static_assert(sizeof(enum log_destination) == sizeof(int), "a choice is stored as an int");
_Static_assert(sizeof(enum larder_log_level) == sizeof(int), "a choice is stored as an int");
_Static_assert(sizeof(enum set_cookie_mode) == sizeof(int), "a choice is stored as an int");
_Static_assert(sizeof(enum client_control) == sizeof(int), "a choice is stored as an int");
_Static_assert(sizeof(enum cache_status_mode) == sizeof(int), "a choice is stored as an int");
_Static_assert(SET_COOKIE_PASS == 0 && SET_COOKIE_STRIP == 1 && SET_COOKIE_KEEP == 2,
               "see set_cookie_choices");
_Static_assert(CLIENT_CONTROL_LIMITED == 0 && CLIENT_CONTROL_HONOUR == 1 &&
                   CLIENT_CONTROL_IGNORE == 2,
               "see client_control_choices");
_Static_assert(sizeof(enum tags_mode) == sizeof(int), "a choice is stored as an int");
_Static_assert(RESPONSE_TAGS_STRIP == 0 && RESPONSE_TAGS_KEEP == 1 && RESPONSE_TAGS_IGNORE == 2,
               "see tags_choices");
_Static_assert(CACHE_STATUS_FULL == 0 && CACHE_STATUS_SHORT == 1 && CACHE_STATUS_OFF == 2,
               "see cache_status_choices");
_Static_assert(LOG_TO_SYSLOG == 0 && LOG_TO_FILE == 1 && LOG_TO_STDERR == 2, "see log_choices");
_Static_assert(LARDER_LOG_ERROR == 0 && LARDER_LOG_WARNING == 1 && LARDER_LOG_INFO == 2 &&
                   LARDER_LOG_DEBUG == 3,
               "see level_choices");

/* -------------------------------------------------------------------- names */

bool
option_section_known(const char *name)
{
    for (size_t i = 0; i < option_count; i++)
        if (*name && strcmp(options[i].section, name) == 0 && !strchr(name, '.'))
            return true;
    return false;
}

const struct option *
option_find(const char *section, const char *name)
{
    for (size_t i = 0; i < option_count; i++)
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0)
            return &options[i];
    return NULL;
}

size_t
option_index(const struct option *option)
{
    return (size_t)(option - options);
}

/* Insertions, deletions, changes and swaps of neighbours from one name to the other; names are cut
 * to 32 bytes. */
static size_t
distance(const char *a, const char *b)
{
    enum { CUT = 32 };
    size_t rows[3][CUT + 1]; /* the last two and the one in hand, in turn */
    size_t a_len = strnlen(a, CUT);
    size_t b_len = strnlen(b, CUT);
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        const size_t *above = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                rows[(i - 2) % 3][j - 2] + 1 < best)
                best = rows[(i - 2) % 3][j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *
option_full_name(char buf[OPTION_NAME_SIZE], const struct option *option)
{
    const char *dot = option->section[0] ? "." : "";
    snprintf(buf, OPTION_NAME_SIZE, "%s%s%s", option->section, dot, option->name);
    return buf;
}

const char *
option_nearest(char buf[OPTION_NAME_SIZE], const char *section, const char *name)
{
    buf[0] = '\0';
    /* A third of the name may be wrong: `ttll` is ttl, `cat` is nothing. */
    size_t nearest = strnlen(name, 32) / 3 + 1;
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];
        bool top = section[0] == '\0';
        if (!top && strcmp(option->section, section) != 0)
            continue;
        const char *candidate = top && option->section[0] ? option->section : option->name;
        if (top && strchr(candidate, '.'))
            continue;
        size_t d = distance(name, candidate);
        if (d < nearest) {
            nearest = d;
            snprintf(buf, OPTION_NAME_SIZE, "%s", candidate);
        }
    }
    if (buf[0])
        return buf;
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].section[0] && strcmp(options[i].name, name) == 0) {
            option_full_name(buf, &options[i]);
            break;
        }
    }
    return buf;
}

/* -------------------------------------------------------------------- words */

const char *
option_type_name(const struct option *option)
{
    switch (option->type) {
    case OPTION_BOOL:
        return "boolean";
    case OPTION_INT:
    case OPTION_COUNT:
        return "integer";
    case OPTION_DURATION:
        return "duration";
    case OPTION_SIZE:
        return "size";
    case OPTION_STRING:
        return "string";
    case OPTION_PATH:
        return "path";
    case OPTION_STRINGS:
        return "list of strings";
    case OPTION_CHOICE:
    case OPTION_SWITCH:
        return "choice";
    case OPTION_GROUP:
        break;
    }
    return "group";
}

static void
print_choices(const struct option *option, char *buf, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; option->choices[i] && used < size; i++) {
        const char *before = i == 0 ? "" : option->choices[i + 1] ? ", " : " or ";
        int n = snprintf(buf + used, size - used, "%s%s", before, option->choices[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

const char *
option_range(const struct option *option, char buf[OPTION_RANGE_SIZE])
{
    char low[SCALAR_TEXT_SIZE];
    char high[SCALAR_TEXT_SIZE];
    snprintf(buf, OPTION_RANGE_SIZE, "-");
    switch (option->type) {
    case OPTION_BOOL:
        snprintf(buf, OPTION_RANGE_SIZE, "true or false");
        break;
    case OPTION_INT:
    case OPTION_COUNT:
        snprintf(buf, OPTION_RANGE_SIZE, "%" PRId64 " to %" PRId64, option->min, option->max);
        break;
    case OPTION_DURATION:
        scalar_print_duration(low, sizeof low, option->min);
        scalar_print_duration(high, sizeof high, option->max);
        snprintf(buf, OPTION_RANGE_SIZE, "%s to %s", low, high);
        break;
    case OPTION_SIZE:
        scalar_print_size(low, sizeof low, (uint64_t)option->min);
        scalar_print_size(high, sizeof high, (uint64_t)option->max);
        snprintf(buf, OPTION_RANGE_SIZE, "%s to %s", low, high);
        break;
    case OPTION_STRING:
    case OPTION_PATH:
        snprintf(buf, OPTION_RANGE_SIZE, "%" PRId64 " to %" PRId64 " bytes", option->min,
                 option->max);
        break;
    case OPTION_STRINGS:
        snprintf(buf, OPTION_RANGE_SIZE, "at most %" PRId64, option->max);
        break;
    case OPTION_CHOICE:
    case OPTION_SWITCH:
        print_choices(option, buf, OPTION_RANGE_SIZE);
        break;
    case OPTION_GROUP:
        break;
    }
    return buf;
}

const char *
option_expected(const struct option *option, char buf[OPTION_EXPECTED_SIZE])
{
    char range[OPTION_RANGE_SIZE];
    option_range(option, range);
    switch (option->type) {
    case OPTION_BOOL:
        snprintf(buf, OPTION_EXPECTED_SIZE, "true or false, without quotes");
        break;
    case OPTION_INT:
    case OPTION_COUNT:
        snprintf(buf, OPTION_EXPECTED_SIZE, "an integer from %s", range);
        break;
    case OPTION_DURATION:
        snprintf(buf, OPTION_EXPECTED_SIZE, "a duration in quotes from %s, such as \"30s\"", range);
        break;
    case OPTION_SIZE:
        snprintf(buf, OPTION_EXPECTED_SIZE, "a size in quotes from %s, such as \"8M\"", range);
        break;
    case OPTION_STRING:
    case OPTION_PATH:
        snprintf(buf, OPTION_EXPECTED_SIZE, "a string of %s", range);
        break;
    case OPTION_STRINGS:
        snprintf(buf, OPTION_EXPECTED_SIZE, "a list of strings, %s: [\"...\", \"...\"]", range);
        break;
    case OPTION_CHOICE:
    case OPTION_SWITCH:
        snprintf(buf, OPTION_EXPECTED_SIZE, "in quotes %s", range);
        break;
    case OPTION_GROUP:
        snprintf(buf, OPTION_EXPECTED_SIZE, "a group: { ... }");
        break;
    }
    return buf;
}

/* ------------------------------------------------------------------- values */

/* Plain copies into the field: the table's offsets are not known to be aligned for the compiler. */
static void *
field_at(const struct option *option, void *base)
{
    assert(option->offset != OPTION_APART);
    return (char *)base + option->offset;
}

bool
option_set_number(const struct option *option, void *base, int64_t value)
{
    if (value < option->min || value > option->max)
        return false;
    int as_int = (int)value;
    size_t as_size = (size_t)value;
    switch (option->type) {
    case OPTION_INT:
        memcpy(field_at(option, base), &as_int, sizeof as_int);
        return true;
    case OPTION_COUNT:
    case OPTION_SIZE:
        memcpy(field_at(option, base), &as_size, sizeof as_size);
        return true;
    case OPTION_DURATION:
        memcpy(field_at(option, base), &value, sizeof value);
        return true;
    default:
        return false;
    }
}

bool
option_set_bool(const struct option *option, void *base, bool value)
{
    memcpy(field_at(option, base), &value, sizeof value);
    return true;
}

bool
option_set_text(const struct option *option, void *base, const char *text)
{
    int64_t ms;
    size_t bytes;
    if (option->type == OPTION_DURATION)
        return config_parse_duration(text, &ms) && option_set_number(option, base, ms);
    if (option->type == OPTION_SIZE)
        return config_parse_size(text, &bytes) && bytes <= INT64_MAX &&
               option_set_number(option, base, (int64_t)bytes);
    if (option->type != OPTION_CHOICE && option->type != OPTION_SWITCH)
        return false;
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) != 0)
            continue;
        if (option->type == OPTION_SWITCH)
            return option_set_bool(option, base, i == 1);
        memcpy(field_at(option, base), &i, sizeof i);
        return true;
    }
    return false;
}

void
option_set_defaults(const char *section, void *base)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];
        if (strcmp(option->section, section) != 0 || !option->initial)
            continue;
        bool fits = true;
        if (option->type == OPTION_BOOL)
            fits = option_set_bool(option, base, strcmp(option->initial, "true") == 0);
        else if (option->type == OPTION_INT || option->type == OPTION_COUNT)
            fits = option_set_number(option, base, strtoll(option->initial, NULL, 10));
        else if (option->type == OPTION_STRING || option->type == OPTION_PATH)
            memcpy(field_at(option, base), &option->initial, sizeof option->initial);
        else
            fits = option_set_text(option, base, option->initial);
        assert(fits);
        (void)fits;
    }
}

void
config_print_options(void)
{
    char range[OPTION_RANGE_SIZE];
    char name[OPTION_NAME_SIZE];
    printf("%-26s %-15s %-12s %-24s %s\n", "option", "type", "default", "range", "what it is");
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &options[i];
        if (option->type == OPTION_GROUP)
            continue;
        printf("%-26s %-15s %-12s %-24s %s\n", option_full_name(name, option),
               option_type_name(option), option->initial ? option->initial : "not set",
               option_range(option, range), option->help);
    }
}
