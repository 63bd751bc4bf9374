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

/* Deeper JSON is refused on the way in: the library's readers have the same limit by default. */
#define JSON_DEPTH_MAX 32

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
command_get(struct ctl *ctl)
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

/* Standard input to its end, at most LARDER_VALUE_MAX. NULL: said. */
static char *
read_input(size_t *len)
{
    size_t room = 65536, n = 0;
    char *data = malloc(room);

    while (data) {
        size_t got = fread(data + n, 1, room - n, stdin);
        char *more;

        n += got;
        if (got == 0)
            break;
        if (n < room)
            continue;
        if (n > LARDER_VALUE_MAX) {
            complain("standard input: over %zu MiB, the longest value that Redis takes",
                     LARDER_VALUE_MAX >> 20);
            free(data);
            return NULL;
        }
        more = realloc(data, room * 2);
        if (!more)
            free(data);
        data = more;
        room *= 2;
    }
    if (!data) {
        complain("standard input: no memory");
        return NULL;
    }
    if (ferror(stdin)) {
        complain("standard input: %s", strerror(errno));
        free(data);
        return NULL;
    }
    *len = n;
    return data;
}

/* One JSON value and nothing behind it but blanks. *value is NULL for null. */
static int
parse_json(const char *text, size_t len, json_object **value)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    enum json_tokener_error error;
    size_t end;

    *value = NULL;
    if (!tokener) {
        complain("value: no memory");
        return CTL_FAILED;
    }
    if (len > INT32_MAX - 1) { /* json-c counts in int */
        complain("value: too long");
        json_tokener_free(tokener);
        return CTL_USAGE;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    *value = json_tokener_parse_ex(tokener, text, (int)len);
    error = json_tokener_get_error(tokener);
    /* A bare number or word may go on in the next call, for all the tokener knows; a blank ends
     * it. */
    if (error == json_tokener_continue) {
        *value = json_tokener_parse_ex(tokener, "\n", 1);
        error = json_tokener_get_error(tokener);
        end = len;
    } else {
        end = json_tokener_get_parse_end(tokener);
    }
    json_tokener_free(tokener);
    if (error == json_tokener_success) {
        while (end < len && strchr(" \t\r\n", text[end]) && text[end])
            end++;
        if (end == len)
            return CTL_OK;
        complain("value: not JSON: more follows it at byte %zu", end + 1);
    } else if (error == json_tokener_continue) {
        complain("value: not JSON: it ends too early");
    } else {
        complain("value: not JSON: %s at byte %zu (a string needs its quotes; --raw stores any "
                 "bytes)",
                 json_tokener_error_desc(error), end + 1);
    }
    json_object_put(*value);
    *value = NULL;
    return CTL_USAGE;
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
command_set(struct ctl *ctl)
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
        text = input = read_input(&len);
        if (!input)
            return CTL_FAILED;
    }
    if (!ctl->raw)
        code = parse_json(text, len, &value);
    if (code == CTL_OK)
        code = store(ctl, ctl->args[0], text, len, value);
    json_object_put(value);
    free(input);
    return code;
}

int
command_del(struct ctl *ctl)
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
command_exists(struct ctl *ctl)
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
command_ttl(struct ctl *ctl)
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
command_expire(struct ctl *ctl)
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
command_incr(struct ctl *ctl)
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
