/*
 * Commands on one application value: get set del exists ttl expire incr.
 *
 * Values are JSON, as the client library stores them; --raw is for bytes of any
 * kind, unchanged in both directions. Text that is not JSON is refused before
 * Redis is asked, with the place where it goes wrong.
 *
 * Called by the table in main.c. Nothing here sweeps or asks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* {"key": KEY}, to be added to. */
static json_object *
answer_for(const char *key)
{
    json_object *answer = json_new();

    json_put(answer, "key", json_text(key, strlen(key)));
    return answer;
}

static int
no_such_key(const struct ctl *ctl, const char *key)
{
    remark(ctl, "%s: no such key", key);
    return CTL_NO;
}

static int
get_raw(struct ctl *ctl, struct larder *cache, const char *key)
{
    struct larder_error err = {0};
    enum larder_status status;
    void *data = NULL;
    size_t len = 0;

    status = larder_get_raw(cache, key, &data, &len, &err);
    if (status == LARDER_MISS)
        return no_such_key(ctl, key);
    if (status != LARDER_OK)
        return fail(status, &err);
    fwrite(data, 1, len, stdout);
    free(data);
    return CTL_OK;
}

static int
get_json(struct ctl *ctl, struct larder *cache, const char *key)
{
    struct larder_error err = {0};
    enum larder_status status;
    json_object *value = NULL;
    int code;

    status = larder_get(cache, key, &value, &err);
    if (status == LARDER_MISS)
        return no_such_key(ctl, key);
    if (status != LARDER_OK) {
        code = fail(status, &err);
        if (status == LARDER_CORRUPT)
            remark(ctl, "get --raw prints it as it is");
        return code;
    }
    if (value)
        print_json(value);
    else
        puts("null");
    return CTL_OK;
}

int
ctl_get(struct ctl *ctl)
{
    struct larder *cache;
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    if (ctl->raw)
        code = get_raw(ctl, cache, ctl->args[0]);
    else
        code = get_json(ctl, cache, ctl->args[0]);
    larder_close(cache);
    return code;
}

static int
store(struct ctl *ctl, const char *key, const char *text, size_t len, json_object *value)
{
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    char life[DURATION_SIZE];
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    if (ctl->raw)
        status = larder_set_raw(cache, key, text, len, ctl->ttl_ms, &err);
    else if (ctl->if_absent)
        status = larder_set_if_absent(cache, key, value, ctl->ttl_ms, &err);
    else
        status = larder_set(cache, key, value, ctl->ttl_ms, &err);
    larder_close(cache);

    if (ctl->json && (status == LARDER_OK || status == LARDER_EXISTS)) {
        json_object *answer = answer_for(key);
        json_put(answer, "stored", json_object_new_boolean(status == LARDER_OK));
        print_json(answer);
    }
    if (status == LARDER_EXISTS) {
        remark(ctl, "%s: is there already", key);
        return CTL_NO;
    }
    if (status != LARDER_OK)
        return fail(status, &err);
    if (ctl->ttl_ms)
        confirm_done(ctl, "stored for %s", duration_text(ctl->ttl_ms, life));
    else
        confirm_done(ctl, "stored");
    return CTL_OK;
}

int
ctl_set(struct ctl *ctl)
{
    const char *text = ctl->args[1];
    json_object *value = NULL;
    char *input = NULL;
    size_t len = strlen(text);
    int code = CTL_OK;

    if (ctl->raw && ctl->if_absent) {
        complain("set: --raw and --if-absent exclude each other");
        return CTL_USAGE;
    }
    if (strcmp(text, "-") == 0) {
        text = input = input_read(&len);
        if (!input)
            return CTL_FAILED;
    }
    if (!ctl->raw)
        code = input_parse(text, len, &value);
    if (code == CTL_OK)
        code = store(ctl, ctl->args[0], text, len, value);
    json_object_put(value);
    free(input);
    return code;
}

int
ctl_del(struct ctl *ctl)
{
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    int64_t deleted = 0;
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    status = larder_delete(cache, (const char *const *)ctl->args, (size_t)ctl->arg_count, &deleted,
                           &err);
    larder_close(cache);
    if (status != LARDER_OK)
        return fail(status, &err);
    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, "deleted", json_object_new_int64(deleted));
        print_json(answer);
    }
    confirm_done(ctl, "deleted %" PRId64 " of %d", deleted, ctl->arg_count);
    return CTL_OK;
}

int
ctl_exists(struct ctl *ctl)
{
    const char *key = ctl->args[0];
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    bool exists = false;
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    status = larder_exists(cache, key, &exists, &err);
    larder_close(cache);
    if (status != LARDER_OK)
        return fail(status, &err);
    if (ctl->json) {
        json_object *answer = answer_for(key);
        json_put(answer, "exists", json_object_new_boolean(exists));
        print_json(answer);
    }
    confirm_done(ctl, exists ? "yes" : "no");
    return exists ? CTL_OK : CTL_NO;
}

int
ctl_ttl(struct ctl *ctl)
{
    const char *key = ctl->args[0];
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    char life[DURATION_SIZE];
    int64_t ttl_ms = 0;
    int code = settings_open(ctl, &cache);

    if (code != CTL_OK)
        return code;
    status = larder_ttl(cache, key, &ttl_ms, &err);
    larder_close(cache);
    if (status == LARDER_MISS)
        return no_such_key(ctl, key);
    if (status != LARDER_OK)
        return fail(status, &err);
    if (ctl->json) {
        json_object *answer = answer_for(key);
        if (ttl_ms == LARDER_NO_EXPIRY)
            json_object_object_add(answer, "ttl_ms", NULL);
        else
            json_put(answer, "ttl_ms", json_object_new_int64(ttl_ms));
        print_json(answer);
    } else {
        puts(ttl_ms == LARDER_NO_EXPIRY ? "never" : duration_text(ttl_ms, life));
    }
    return CTL_OK;
}

int
ctl_expire(struct ctl *ctl)
{
    const char *key = ctl->args[0];
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    char life[DURATION_SIZE];
    int64_t ttl_ms;
    int code;

    if (!config_parse_duration(ctl->args[1], &ttl_ms) || ttl_ms <= 0) {
        complain("expire: '%s' is not a duration over 0 like 500ms, 30s or 5m", ctl->args[1]);
        return CTL_USAGE;
    }
    code = settings_open(ctl, &cache);
    if (code != CTL_OK)
        return code;
    status = larder_expire(cache, key, ttl_ms, &err);
    larder_close(cache);
    if (status == LARDER_MISS)
        return no_such_key(ctl, key);
    if (status != LARDER_OK)
        return fail(status, &err);
    if (ctl->json) {
        json_object *answer = answer_for(key);
        json_put(answer, "ttl_ms", json_object_new_int64(ttl_ms));
        print_json(answer);
    }
    confirm_done(ctl, "expires in %s", duration_text(ttl_ms, life));
    return CTL_OK;
}

int
ctl_incr(struct ctl *ctl)
{
    const char *key = ctl->args[0];
    struct larder_error err = {0};
    enum larder_status status;
    struct larder *cache;
    int64_t by = 1, value = 0;
    int code;

    if (ctl->arg_count == 2) {
        char *end;

        errno = 0;
        by = strtoll(ctl->args[1], &end, 10);
        if (errno != 0 || end == ctl->args[1] || *end != '\0') {
            complain("incr: '%s' is not a whole number of 64 bits", ctl->args[1]);
            return CTL_USAGE;
        }
    }
    code = settings_open(ctl, &cache);
    if (code != CTL_OK)
        return code;
    status = larder_increment_by(cache, key, by, &value, &err);
    larder_close(cache);
    if (status != LARDER_OK)
        return fail(status, &err);
    if (ctl->json) {
        json_object *answer = answer_for(key);
        json_put(answer, "value", json_object_new_int64(value));
        print_json(answer);
    } else {
        printf("%" PRId64 "\n", value);
    }
    return CTL_OK;
}
