/*
 * From the configuration file and the options to a connected client.
 *
 * The file is the responder's own, so that the tool talks to the Redis that the
 * pool talks to without being told; each option overrides one setting of it.
 * `redis.enabled` and `cache.enabled` do not count here: they switch the cache
 * off for requests, while an operator who asks Redis means Redis.
 *
 * Called by each command that needs Redis or runtime_dir. The password comes
 * from --password-file, $LARDER_REDIS_PASSWORD or the file, in this order.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/options.h"
#include "ctl/ctl.h"

#define CONFIG_FILE LARDER_SYSCONFDIR "/larder.conf"

const char *
settings_file(const struct ctl *ctl)
{
    return ctl->config_file ? ctl->config_file : CONFIG_FILE;
}

/* The first line of the file, without its end. */
static int
password_read(struct ctl *ctl)
{
    const char *path = ctl->password_file;
    struct stat st;
    FILE *file = fopen(path, "re");
    int code = CTL_USAGE;
    size_t n;

    if (!file) {
        complain("password file %s: %s", path, strerror(errno));
        return CTL_USAGE;
    }
    /* A terminal or /dev/fd/3 is the caller's business; a file that others read is no secret. */
    if (fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0) {
        complain("password file %s: every user may read it; chmod o-r it", path);
        goto out;
    }
    ctl->password = calloc(1, CONFIG_PASSWORD_MAX + 2);
    if (!ctl->password) {
        complain("password file %s: no memory", path);
        goto out;
    }
    if (!fgets(ctl->password, CONFIG_PASSWORD_MAX + 2, file)) {
        complain("password file %s: %s", path, ferror(file) ? strerror(errno) : "it is empty");
        goto out;
    }
    n = strcspn(ctl->password, "\r\n");
    if (n == 0 || n > CONFIG_PASSWORD_MAX) {
        complain("password file %s: the first line must have 1 to %d bytes", path,
                 CONFIG_PASSWORD_MAX);
        goto out;
    }
    ctl->password[n] = '\0';
    ctl->redis.password = ctl->password;
    code = CTL_OK;
out:
    fclose(file);
    return code;
}

static int
config_read(struct ctl *ctl, bool for_redis)
{
    struct larder_error err = {0};
    const char *password;
    /* The token is for HTTP: the control socket and Redis know their callers otherwise. */
    unsigned without = CONFIG_WITHOUT_TOKEN;

    if (!for_redis || ctl->password_file)
        without |= CONFIG_WITHOUT_PASSWORD;
    larder_options_init(&ctl->redis);
    if (!ctl->no_config && (ctl->config_file || access(CONFIG_FILE, F_OK) == 0)) {
        ctl->config = config_load_without(settings_file(ctl), without, &err);
        if (!ctl->config) {
            complain("%s", err.message);
            return CTL_USAGE;
        }
        ctl->redis = ctl->config->redis;
        if (!ctl->runtime_dir)
            ctl->runtime_dir = ctl->config->runtime_dir;
        return CTL_OK;
    }
    password = getenv("LARDER_REDIS_PASSWORD");
    if (password && *password)
        ctl->redis.password = password;
    return CTL_OK;
}

static int
load(struct ctl *ctl, bool for_redis)
{
    struct larder_options *redis = &ctl->redis;
    int code = config_read(ctl, for_redis);

    if (code != CTL_OK)
        return code;
    if (!ctl->runtime_dir)
        ctl->runtime_dir = option_find("responder", "runtime_dir")->initial;
    if (ctl->host)
        redis->host = ctl->host;
    if (ctl->port)
        redis->port = (int)ctl->port;
    if (ctl->host || ctl->port)
        redis->unix_path = NULL;
    if (ctl->socket)
        redis->unix_path = ctl->socket;
    if (ctl->user)
        redis->user = ctl->user;
    if (ctl->database >= 0)
        redis->database = (int)ctl->database;
    if (ctl->name_space)
        redis->name_space = ctl->name_space;
    if (ctl->password_file && for_redis) {
        code = password_read(ctl);
        if (code != CTL_OK)
            return code;
    }

    redis->enabled = true;
    redis->lazy = false;
    /* One thread, one call at a time: no connection is kept ready. */
    redis->pool_max = 1;
    redis->pool_min_idle = 0;
    redis->pool_max_idle = 1;
    redis->breaker_failures = 0;
    redis->log = NULL;
    redis->operation_timeout_ms = ctl->timeout_ms ? ctl->timeout_ms : CTL_TIMEOUT_MS;
    return CTL_OK;
}

int
settings_load(struct ctl *ctl)
{
    return load(ctl, true);
}

int
settings_load_for_pool(struct ctl *ctl)
{
    return load(ctl, false);
}

int
settings_connect(const struct ctl *ctl, struct larder **cache)
{
    struct larder_error err = {0};
    enum larder_status status = larder_open(&ctl->redis, cache, &err);

    return status == LARDER_OK ? CTL_OK : fail(status, &err);
}

int
settings_open(struct ctl *ctl, struct larder **cache)
{
    int code = settings_load(ctl);

    *cache = NULL;
    return code == CTL_OK ? settings_connect(ctl, cache) : code;
}

void
settings_server(const struct ctl *ctl, char *buf, size_t size)
{
    if (ctl->redis.unix_path)
        snprintf(buf, size, "redis %s", ctl->redis.unix_path);
    else
        snprintf(buf, size, strchr(ctl->redis.host, ':') ? "redis [%s]:%d" : "redis %s:%d",
                 ctl->redis.host, ctl->redis.port);
}

void
settings_free(struct ctl *ctl)
{
    if (ctl->password) {
        explicit_bzero(ctl->password, CONFIG_PASSWORD_MAX + 2);
        free(ctl->password);
    }
    if (ctl->config)
        config_free(ctl->config);
    free(ctl->items);
}
