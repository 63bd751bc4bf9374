/*
 * The configuration: read, checked, with defaults filled in.
 *
 * source.c makes one text of the files, document.c a tree of the text, reader.c
 * fields of the tree by the table in options.c, and routes.c the routes. A preset
 * is a second tree, whose sections are read before the file's and its routes
 * after them; secrets.c takes the password and the token. Here stand the order of it
 * all and what sections mean together. Either all of it is right, or nothing is
 * returned and the error says where to look: a process that runs never runs on half
 * of a configuration.
 *
 * Called by larder-fcgi at start, for -t and on SIGHUP, and by larderctl. It
 * opens no connection and resolves no name.
 */
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fields.h"
#include "base/shown.h"
#include "config/document.h"
#include "config/options.h"
#include "routing/path.h"
#include "config/preset.h"
#include "config/reader.h"
#include "config/routes.h"
#include "config/scalar.h"
#include "config/secrets.h"
#include "upstream/url.h"

/* All that one configuration keeps: the largest text, and what is compiled from it. */
#define CONFIG_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* -------------------------------------------------------------------- redis */

/* low must not be above high. What was not set gives way to what was. */
static enum larder_status
order(struct reader *reader, const char *low_name, int *low, const char *high_name, int high)
{
    const config_setting_t *where = reader_setting(reader, "redis", low_name);
    if (*low <= high)
        return LARDER_OK;
    if (where)
        return reader_error(reader, where, "redis.%s: found %d, expected no more than %s, %d",
                            low_name, *low, high_name, high);
    *low = high;
    return LARDER_OK;
}

static enum larder_status
check_redis(struct config *config, struct reader *reader)
{
    struct larder_options *redis = &config->redis;
    const config_setting_t *socket = reader_setting(reader, "redis", "socket");
    if (socket &&
        (reader_setting(reader, "redis", "host") || reader_setting(reader, "redis", "port")))
        return reader_error(reader, socket,
                            "redis.socket: host or port is set as well, expected one or the other");
    const config_setting_t *host = reader_setting(reader, "redis", "host");
    char shown[SHOWN_URL_SIZE];
    shown_url(shown, redis->host, strlen(redis->host));
    if (host && strstr(redis->host, "://"))
        return reader_error(
            reader, host,
            "redis.host: found \"%.60s\", expected a name or an address alone; the "
            "port, the user and the number of the database have settings of their own",
            shown);
    if (host && strchr(redis->host, '/'))
        return reader_error(reader, host,
                            "redis.host: found \"%.60s\", expected a name or an address; the path "
                            "of a Unix socket is redis.socket",
                            shown);
    const char *colon = host ? strchr(redis->host, ':') : NULL;
    if (host && (*redis->host == '[' || (colon && !strchr(colon + 1, ':'))))
        return reader_error(reader, host,
                            "redis.host: found \"%.60s\", expected a name or an address alone, "
                            "without brackets; the port is redis.port",
                            shown);
    if (host && redis->host[strcspn(redis->host, " \t\r\n\"'@?#\\")])
        return reader_error(reader, host,
                            "redis.host: found \"%.60s\", expected a name or an address alone",
                            shown);
    const config_setting_t *name = reader_setting(reader, "redis", "namespace");
    /* In every key and, escaped, in every pattern: kept to what reads well in both. */
    if (name && redis->name_space[strspn(redis->name_space,
                                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789_-.:")])
        return reader_error(reader, name,
                            "redis.namespace: found \"%.40s\", expected letters, digits, _ - . "
                            "and :",
                            redis->name_space);
    if (!reader_setting(reader, "redis", "pool_max_idle"))
        redis->pool_max_idle = redis->pool_max;
    enum larder_status status =
        order(reader, "pool_max_idle", &redis->pool_max_idle, "pool_max", redis->pool_max);
    if (status == LARDER_OK)
        status = order(reader, "pool_min_idle", &redis->pool_min_idle, "pool_max_idle",
                       redis->pool_max_idle);
    if (status != LARDER_OK)
        return status;
    if (redis->retry_min_ms > redis->retry_max_ms) {
        const config_setting_t *where = reader_setting(reader, "redis", "retry_min");
        return reader_error(reader, where ? where : reader_setting(reader, "redis", "retry_max"),
                            "redis.retry_min: %" PRId64 "ms is more than retry_max, %" PRId64 "ms",
                            redis->retry_min_ms, redis->retry_max_ms);
    }
    redis->enabled = config->cache_enabled;
    return secrets_take_password(config, reader);
}

/* ----------------------------------------------------------------- upstream */

/* One of upstream's URLs; `first` is what the first one was, NULL: this is it. */
static enum larder_status
check_url(struct reader *reader, const config_setting_t *where, const char *option,
          const char *text, const struct upstream_url *first, struct upstream_url *url)
{
    struct larder_error why;
    char shown[SHOWN_URL_SIZE];
    shown_url(shown, text, strlen(text));
    if (upstream_url_parse(text, url, &why) != LARDER_OK)
        return reader_error(reader, where,
                            "upstream.%s: found \"%.60s\", expected " UPSTREAM_URL_FORMS, option,
                            shown);
    if (first && first->fastcgi != url->fastcgi)
        return reader_error(reader, where,
                            "upstream.%s: found \"%.60s\", expected the protocol of the first "
                            "backend, %s",
                            option, shown, first->fastcgi ? "FastCGI" : "HTTP");
    return LARDER_OK;
}

static enum larder_status
check_url_list(struct reader *reader, const char *option, const struct string_list *list,
               struct upstream_url *first, bool *any_tls)
{
    const config_setting_t *setting = reader_setting(reader, "upstream", option);
    for (size_t i = 0; i < list->count; i++) {
        struct upstream_url url;
        enum larder_status status = check_url(reader, config_setting_get_elem(setting, (unsigned)i),
                                              option, list->list[i], first->name[0] ? first : NULL,
                                              &url);
        if (status != LARDER_OK)
            return status;
        *any_tls |= url.tls;
        if (!first->name[0])
            *first = url;
    }
    return LARDER_OK;
}

/* url or urls, backup_urls; *any_tls: one of them is https. */
static enum larder_status
check_urls(struct config *config, struct reader *reader, const config_setting_t *root,
           bool *any_tls)
{
    const config_setting_t *url = reader_setting(reader, "upstream", "url");
    const config_setting_t *urls = reader_setting(reader, "upstream", "urls");
    struct upstream_url first = {.name = ""};
    if (!url && !urls) {
        const config_setting_t *group = config_setting_get_member(root, "upstream");
        return reader_error(reader, group ? group : root,
                            "upstream.url is not set, expected the backend's URL");
    }
    if (url && urls)
        return reader_error(reader, urls, "upstream.urls: url is set as well, expected one");
    if (urls && config->upstream_urls.count == 0)
        return reader_error(reader, urls, "upstream.urls: found no backend");
    if (config->upstream_urls.count + config->upstream_backups.count + (url != NULL) >
        UPSTREAM_BACKENDS_MAX)
        return reader_error(reader, reader_setting(reader, "upstream", "backup_urls"),
                            "upstream: found %zu backends, expected at most %d",
                            config->upstream_urls.count + config->upstream_backups.count +
                                (url != NULL),
                            UPSTREAM_BACKENDS_MAX);
    enum larder_status status = LARDER_OK;
    if (url) {
        status = check_url(reader, url, "url", config->upstream.url, NULL, &first);
        *any_tls = first.tls;
    }
    if (status == LARDER_OK)
        status = check_url_list(reader, "urls", &config->upstream_urls, &first, any_tls);
    if (status == LARDER_OK)
        status = check_url_list(reader, "backup_urls", &config->upstream_backups, &first, any_tls);
    if (status != LARDER_OK)
        return status;
    config->fastcgi = first.fastcgi;
    config->upstream.urls = config->upstream_urls.list;
    config->upstream.url_count = config->upstream_urls.count;
    config->upstream.backup_urls = config->upstream_backups.list;
    config->upstream.backup_count = config->upstream_backups.count;
    /* A connection that PHP-FPM keeps open is a child that does nothing else. */
    if (config->fastcgi && !reader_setting(reader, "upstream", "max_idle"))
        config->upstream.max_idle = 0;
    return LARDER_OK;
}

static enum larder_status
check_fields(struct config *config, struct reader *reader)
{
    const config_setting_t *list = reader_setting(reader, "upstream", "trusted_fields");
    for (size_t i = 0; i < config->trusted_fields.count; i++) {
        const char *name = config->trusted_fields.list[i];
        size_t n = strspn(name, "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
        if (n == 0 || name[n])
            return reader_error(reader, config_setting_get_elem(list, (unsigned)i),
                                "upstream.trusted_fields: found \"%.40s\", expected the name of a "
                                "field, of letters, digits and - alone",
                                name);
    }
    return LARDER_OK;
}

/* Addresses and CIDR blocks, ready to compare with. option: "upstream.trusted_proxies". */
static enum larder_status
compile_blocks(const struct config *config, struct reader *reader, const config_setting_t *list,
               const char *option, const struct string_list *texts, struct address_block **out)
{
    size_t n = texts->count;
    *out = arena_calloc(config->arena, n ? n : 1, sizeof **out);
    if (!*out)
        return reader_no_memory(reader);
    for (size_t i = 0; i < n; i++) {
        const char *text = texts->list[i];
        const char *why;
        if (!scalar_parse_block(text, &(*out)[i], &why))
            return reader_error(reader, config_setting_get_elem(list, (unsigned)i),
                                "%s: found \"%.40s\", expected %s", option, text, why);
    }
    return LARDER_OK;
}

/* What says something of the other kind of backend is a mistake: nothing would come of it. */
static enum larder_status
check_kind(const struct config *config, struct reader *reader)
{
    const config_setting_t *ignore = reader_setting(reader, "upstream", "ignore_parameters");
    const config_setting_t *rewritten = reader_setting(reader, "upstream", "rewritten");
    if (ignore && !config->fastcgi && config->ignore_parameters.count > 0)
        return reader_error(reader, ignore,
                            "upstream.ignore_parameters: a backend that speaks HTTP gets no "
                            "parameters, so none is in the key: take it out");
    if (rewritten && config->fastcgi && config->rewritten_ignored)
        return reader_error(reader, rewritten,
                            "upstream.rewritten: a FastCGI backend gets what the web server says "
                            "of the script, whatever this says: take it out");
    return LARDER_OK;
}

static enum larder_status
check_upstream(struct config *config, struct reader *reader, const config_setting_t *root)
{
    const config_setting_t *ca = reader_setting(reader, "upstream", "tls_ca_file");
    bool any_tls = false;
    enum larder_status status = check_urls(config, reader, root, &any_tls);
    if (status != LARDER_OK)
        return status;
    if (ca && !any_tls)
        return reader_error(reader, ca, "upstream.tls_ca_file: the url is not https");
    if (ca && !config->upstream.tls_verify)
        return reader_error(reader, ca, "upstream.tls_ca_file: tls_verify is false");
    if (ca && access(config->upstream.tls_ca_file, R_OK) != 0)
        return reader_error(reader, ca, "upstream.tls_ca_file: cannot read %s: %s",
                            config->upstream.tls_ca_file, strerror(errno));
    status = check_kind(config, reader);
    if (status == LARDER_OK)
        status = check_fields(config, reader);
    if (status != LARDER_OK)
        return status;
    return compile_blocks(config, reader, reader_setting(reader, "upstream", "trusted_proxies"),
                          "upstream.trusted_proxies", &config->trusted_proxies, &config->trusted);
}

/* -------------------------------------------------------------------- cache */

/* What browsers take and backends make, the best first. */
static const char *const default_encodings[] = {"zstd", "br", "gzip"};

static enum larder_status
check_encodings(struct config *config, struct reader *reader)
{
    const config_setting_t *list = reader_setting(reader, "cache", "encodings");
    for (size_t i = 0; list && i < config->encodings.count; i++) {
        const char *coding = config->encodings.list[i];
        const config_setting_t *element = config_setting_get_elem(list, (unsigned)i);
        bool lower = true;
        for (const char *p = coding; *p; p++)
            lower = lower && !(*p >= 'A' && *p <= 'Z');
        if (!lower || !field_name_valid(slice_of(coding)) || strlen(coding) > 32 ||
            strcmp(coding, "*") == 0 || strcmp(coding, "identity") == 0)
            return reader_error(
                reader, element,
                "cache.encodings: found \"%.40s\", expected the name of a coding in "
                "lower case, such as \"gzip\"",
                coding);
        for (size_t k = 0; k < i; k++)
            if (strcmp(config->encodings.list[k], coding) == 0)
                return reader_error(reader, element, "cache.encodings: found \"%s\" twice", coding);
    }
    /* The ancestor's entries have no room for variants: everybody gets what everybody can read. */
    if (config->compat_ancestor)
        config->encodings.count = 0;
    return LARDER_OK;
}

static enum larder_status
check_forbidden_by(const struct config *config, struct reader *reader)
{
    const config_setting_t *list = reader_setting(reader, "cache", "forbidden_by");
    for (size_t i = 0; list && i < config->forbidden_by.count; i++)
        if (!field_name_valid(slice_of(config->forbidden_by.list[i])))
            return reader_error(
                reader, config_setting_get_elem(list, (unsigned)i),
                "cache.forbidden_by: found \"%.40s\", expected the name of a field, "
                "such as \"X-Accel-Expires\"",
                config->forbidden_by.list[i]);
    return LARDER_OK;
}

static enum larder_status
check_cache(struct config *config, struct reader *reader)
{
    const config_setting_t *bytes = reader_setting(reader, "cache", "store_queue_bytes");
    const config_setting_t *object = reader_setting(reader, "cache", "max_object");
    if (config->store_queue_bytes < config->max_object && (bytes || object))
        return reader_error(reader, bytes ? bytes : object,
                            "cache.store_queue_bytes: %zu bytes are less than max_object, %zu: "
                            "such a response would never be stored",
                            config->store_queue_bytes, config->max_object);
    /* A mutation that timed out may still be under way at the backend for some time. */
    const config_setting_t *most = reader_setting(reader, "cache", "mutation_max");
    if (most && config->upstream.timeout_ms > config->mutation_max_ms)
        return reader_error(reader, most,
                            "cache.mutation_max: %" PRId64 "ms is less than upstream.timeout, "
                            "%" PRId64 "ms",
                            config->mutation_max_ms, config->upstream.timeout_ms);
    if (config->mutation_max_ms < config->upstream.timeout_ms)
        config->mutation_max_ms = config->upstream.timeout_ms;
    enum larder_status status = check_forbidden_by(config, reader);
    return status == LARDER_OK ? check_encodings(config, reader) : status;
}

/* -------------------------------------------------------------------- admin */

static enum larder_status
check_admin(struct config *config, struct reader *reader)
{
    const config_setting_t *path = reader_setting(reader, "admin", "path");
    const config_setting_t *allow = reader_setting(reader, "admin", "allow");
    struct slice own = slice_of(config->admin_path);
    if (path && (own.p[0] != '/' || own.n < 2 || path_look(own) & PATH_NOT_NORMAL))
        return reader_error(reader, path,
                            "admin.path: found \"%.40s\", expected a path in normal form such as "
                            "\"/.larder/purge\"",
                            config->admin_path);
    if (allow && config->admin_allow.count == 0)
        return reader_error(reader, allow,
                            "admin.allow: found no address; without a token nobody "
                            "may purge");
    enum larder_status status = compile_blocks(config, reader, allow, "admin.allow",
                                               &config->admin_allow, &config->admin_blocks);
    return status == LARDER_OK ? secrets_take_token(config, reader) : status;
}

/* ---------------------------------------------------------------------- log */

static enum larder_status
check_log(struct config *config, struct reader *reader)
{
    const config_setting_t *file = reader_setting(reader, "log", "file");
    const config_setting_t *to = reader_setting(reader, "log", "to");
    if (config->log_to == LOG_TO_FILE && !file)
        return reader_error(reader, to, "log.to: found \"file\", but log.file is not set");
    if (config->log_to != LOG_TO_FILE && file)
        return reader_error(reader, file, "log.file: log.to is not \"file\"");
    return LARDER_OK;
}

/* --------------------------------------------------------------------- load */

/* What an application may have a say in; where things are and who may do what is the operator's. */
static bool
is_for_presets(const char *name)
{
    return strcmp(name, "cache") == 0 || strcmp(name, "coalesce") == 0 ||
           strcmp(name, "routes") == 0;
}

/* All of a document but for its routes and its preset, into the fields. */
static enum larder_status
read_sections(struct config *config, struct reader *reader, const config_setting_t *root)
{
    enum larder_status status = LARDER_OK;
    int n = config_setting_length(root);
    for (int i = 0; i < n && status == LARDER_OK; i++) {
        const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(setting);
        if (strcmp(name, "routes") == 0 || strcmp(name, "preset") == 0)
            continue;
        status = option_section_known(name) ? reader_section(reader, name, setting, config)
                                            : reader_option(reader, "", setting, config);
    }
    return status;
}

static enum larder_status
check_preset(struct reader *reader, const config_setting_t *root)
{
    int n = config_setting_length(root);
    for (int i = 0; i < n; i++) {
        const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
        char shown[SOURCE_SHOWN_SIZE];
        const char *name = config_setting_name(setting);
        if (!is_for_presets(name))
            return reader_error(reader, setting,
                                "found `%s` in a preset, expected cache, coalesce or routes",
                                source_shown(shown, name, strlen(name)));
    }
    return LARDER_OK;
}

/* The preset that the file names, if it names one. */
static enum larder_status
open_preset(struct config *config, struct reader *reader, const config_setting_t *root,
            struct document *document)
{
    const config_setting_t *setting = config_setting_get_member(root, "preset");
    struct larder_error why;
    const char *file = NULL;
    if (!setting)
        return LARDER_OK;
    enum larder_status status = reader_option(reader, "", setting, config);
    if (status != LARDER_OK)
        return status;
    if (strchr(config->preset, '/')) {
        file = reader_path(reader, setting, config->preset);
        if (!file)
            return LARDER_INVALID;
    } else if (preset_find(config->preset, config->arena, &file, &why) != LARDER_OK) {
        return reader_error(reader, setting, "preset: %s", why.message);
    }
    status = document_open(document, file, document_place(setting), reader->err);
    return status == LARDER_OK ? check_preset(reader, document_root(document)) : status;
}

/*
 * The sections first: what a route means depends on them. And of the sections
 * the preset's first, so that what the file itself says stands in their place.
 */
static enum larder_status
read_documents(struct config *config, struct reader *reader, const config_setting_t *root,
               const config_setting_t *preset)
{
    enum larder_status status = LARDER_OK;
    if (preset)
        status = read_sections(config, reader, preset);
    if (status == LARDER_OK)
        status = read_sections(config, reader, root);
    if (status == LARDER_OK)
        status = check_upstream(config, reader, root);
    if (status == LARDER_OK)
        status = check_redis(config, reader);
    if (status == LARDER_OK)
        status = check_cache(config, reader);
    if (status == LARDER_OK)
        status = check_admin(config, reader);
    if (status == LARDER_OK)
        status = check_log(config, reader);
    if (status == LARDER_OK)
        status = routes_read(config, reader, config_setting_get_member(root, "routes"),
                             preset ? config_setting_get_member(preset, "routes") : NULL);
    return status;
}

static enum larder_status
load_file(struct config *config, const char *file, unsigned without, struct larder_error *err)
{
    struct document own, preset = {.source = NULL};
    struct reader reader = {
        .file = config->file, .arena = config->arena, .err = err, .without = without};
    enum larder_status status = document_open(&own, file, (struct place){file, 0}, err);
    if (status == LARDER_OK)
        status = open_preset(config, &reader, document_root(&own), &preset);
    if (status == LARDER_OK)
        status = read_documents(config, &reader, document_root(&own), document_root(&preset));
    document_close(&preset);
    document_close(&own);
    return status;
}

struct config *
config_load(const char *file, struct larder_error *err)
{
    return config_load_without(file, 0, err);
}

struct config *
config_load_without(const char *file, unsigned without, struct larder_error *err)
{
    struct arena *arena = arena_new(CONFIG_BYTES_MAX);
    struct config *config = arena ? arena_calloc(arena, 1, sizeof *config) : NULL;
    const char *name = file ? file : "(defaults)";
    if (config)
        config->file = arena_strndup(arena, name, strlen(name));
    if (!config || !config->file) {
        error_set(err, LARDER_NOMEM, "configuration: out of memory");
        arena_free(arena);
        return NULL;
    }
    config->arena = arena;
    upstream_options_init(&config->upstream);
    larder_options_init(&config->redis);
    option_set_defaults("upstream", config);
    option_set_defaults("redis", config);
    option_set_defaults("cache", config);
    option_set_defaults("coalesce", config);
    option_set_defaults("admin", config);
    option_set_defaults("responder", config);
    option_set_defaults("log", config);
    config->redis.enabled = config->cache_enabled;
    config->encodings.list = (const char **)default_encodings;
    config->encodings.count = sizeof default_encodings / sizeof *default_encodings;

    enum larder_status status = LARDER_OK;
    if (file)
        status = load_file(config, file, without, err);
    else
        secrets_password_from_environment(config, &status, err);
    if (status == LARDER_OK)
        return config;
    config_free(config);
    return NULL;
}

/* A copy in the arena or, never, a literal: the table has no default for a secret. */
static void
forget(const char *secret)
{
    if (secret)
        explicit_bzero((char *)(uintptr_t)secret, strlen(secret));
}

void
config_free(struct config *config)
{
    if (!config)
        return;
    forget(config->redis.password);
    forget(config->admin_token);
    arena_free(config->arena);
}

bool
config_address_trusted(const struct config *config, const char *addr)
{
    return scalar_block_has(config->trusted, config->trusted_proxies.count, addr);
}

bool
config_address_may_purge(const struct config *config, const char *addr)
{
    return config->admin_allow.count == 0 ||
           scalar_block_has(config->admin_blocks, config->admin_allow.count, addr);
}
