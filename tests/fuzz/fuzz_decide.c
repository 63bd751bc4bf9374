/*
 * The decisions of a shared cache (decide.c, store_rules.c, update.c). The first
 * sixteen bytes are a policy, a status and times; of the lines that follow those
 * that begin with a blank are fields of the request, the others of the response.
 *
 * Must hold besides not crashing, whatever the policy says: what is private, not
 * to be stored, for nobody (Vary: *), sets a cookie that the route does not open,
 * or answers a HEAD is not stored; times are within their bounds; what must be
 * validated is never served unasked, what must not be stale never stale;
 * only-if-cached asks nobody; a route that ignores clients hears none of their
 * words; time makes nothing fresher; an update replaces what it names.
 */
#include "fuzz.h"

#include "http/decide.h"

#define SIZE_LIMIT ((size_t)16 * 1024)
#define HEAD_SIZE 16
#define NOW_MS INT64_C(1700000000000)

static struct policy
policy_of(const uint8_t *b)
{
    static const struct status_ttl by_status[] = {{301, 60000}, {404, 0}, {503, 1000}};
    return (struct policy){
        .enabled = true,
        .has_route = true,
        .rfc = b[0] & 1,
        .errors_rfc = b[0] & 2,
        .authorization_rfc = b[0] & 4,
        .per_user = b[0] & 8,
        .credentials_in_key = (b[0] & 24) == 24,
        .web_server_vouches = (b[0] & 24) == 8,
        .by_status = b[0] & 32 ? by_status : NULL,
        .by_status_count = b[0] & 32 ? 3 : 0,
        .set_cookie = (enum set_cookie_mode)(b[1] % 3),
        .client_control = (enum client_control)(b[1] / 3 % 3),
        .ttl_ms = b[2] * INT64_C(1000),
        .ttl_override_ms = b[3] & 1 ? b[3] * INT64_C(100) : 0,
        .min_ttl_ms = b[4] * INT64_C(100),
        .max_ttl_ms = b[4] * INT64_C(100) + b[5] * INT64_C(1000),
        .heuristic_max_ms = b[6] * INT64_C(100000),
        .negative_max_ms = b[7] * INT64_C(1000),
        .stale_while_ms = b[8] * INT64_C(1000),
        .stale_if_ms = b[9] * INT64_C(1000),
        .keep_ms = b[10] * INT64_C(1000),
    };
}

struct scene {
    struct arena *arena;
    struct policy policy;
    struct request_facts request;
    struct fields request_fields, response;
    struct response_times times;
    int status;
};

static struct store_decision
store(const struct scene *scene, const char *name, const char *value)
{
    struct fields longer = with(&scene->response, scene->arena, name, value);
    return decide_store(&scene->policy, &scene->request, scene->status, &longer, &scene->times);
}

static bool
is_targeted(const struct fields *response)
{
    struct cache_control cc;
    bool targeted;
    cache_control_of_response(&cc, response, &targeted);
    return targeted;
}

static struct store_decision
stores_soundly(const struct scene *scene)
{
    struct cache_control cc;
    cache_control_parse(&cc, &scene->response);
    struct store_decision d = decide_store(&scene->policy, &scene->request, scene->status,
                                           &scene->response, &scene->times);
    if (d.reason == REASON_NONE) {
        MUST(d.keep_ms > 0 && d.keep_ms >= d.ttl_ms && d.keep_ms <= DECIDE_TTL_MAX_MS);
        MUST(d.ttl_ms <= DECIDE_TTL_MAX_MS && d.ttl_ms >= -DECIDE_TTL_MAX_MS);
        MUST(d.age_s >= 0 && d.age_s <= HTTP_SECONDS_MAX);
        MUST(d.stale_while_s >= 0 && d.stale_if_s >= 0);
        MUST(scene->status >= 200 && scene->status <= 599);
    }
    if (scene->response.count == FIELDS_MAX)
        return d;
    MUST(store(scene, "Vary", "*").reason != REASON_NONE);
    if (scene->policy.set_cookie == SET_COOKIE_PASS)
        MUST(store(scene, "Set-Cookie", "a=b").reason != REASON_NONE);
    if (!is_targeted(&scene->response)) {
        MUST(store(scene, "Cache-Control", "private").reason != REASON_NONE);
        if (!cc.must_understand)
            MUST(store(scene, "Cache-Control", "no-store").reason != REASON_NONE);
    }
    struct scene head = *scene;
    head.request.method = slice_of("HEAD");
    MUST(store(&head, "X-A", "1").reason != REASON_NONE);
    return d;
}

static void
reuses_soundly(const struct scene *scene, const struct stored *stored, int64_t now_ms)
{
    static const struct fields none = {NULL, 0, 0, 0};
    const struct policy *policy = &scene->policy;
    struct cache_control cc;
    cache_control_parse(&cc, &scene->request_fields);
    struct reuse_decision d = decide_reuse(policy, &scene->request, stored, REASON_MISS, now_ms);
    bool served = d.reuse == REUSE_SERVE || d.reuse == REUSE_SERVE_AND_REFRESH;
    MUST(d.age_s >= 0);
    if (stored->flags & STORED_NO_CACHE)
        MUST(!served);
    if (d.reuse == REUSE_SERVE && d.fresh_left_ms <= 0)
        MUST(!(stored->flags & STORED_MUST_REVALIDATE) && d.reason == REASON_STALE);
    if (d.reuse == REUSE_SERVE_AND_REFRESH)
        MUST(d.fresh_left_ms <= 0 && -d.fresh_left_ms < stored->stale_while_s * 1000);
    if (cc.only_if_cached && policy->client_control != CLIENT_CONTROL_IGNORE)
        MUST(d.reuse != REUSE_VALIDATE);
    if (policy->client_control == CLIENT_CONTROL_IGNORE) {
        struct request_facts mute = scene->request;
        mute.fields = &none;
        struct reuse_decision same = decide_reuse(policy, &mute, stored, REASON_MISS, now_ms);
        MUST(same.reuse == d.reuse && same.reason == d.reason);
    }
    struct reuse_decision later =
        decide_reuse(policy, &scene->request, stored, REASON_MISS, now_ms + 1000);
    MUST(later.age_s >= d.age_s && later.fresh_left_ms <= d.fresh_left_ms);
    if (!decide_on_error(policy, &scene->request, stored, now_ms))
        MUST(!decide_on_error(policy, &scene->request, stored, now_ms + 1000));
}

static bool
is_named(const struct fields *fields, struct slice name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->list[i].name.n == name.n &&
            strncasecmp(fields->list[i].name.p, name.p, name.n) == 0)
            return true;
    return false;
}

/* The request's fields stand in for those of a 304. */
static void
updates_soundly(const struct scene *scene)
{
    struct fields out = {0};
    const struct fields *update = &scene->request_fields;
    if (scene->response.count + update->count > FIELDS_MAX)
        return;
    MUST(response_update_fields(&out, scene->arena, &scene->policy, &scene->response, update));
    for (size_t i = 0; i < scene->response.count; i++)
        MUST(is_named(&out, scene->response.list[i].name) ||
             is_named(update, scene->response.list[i].name));
    for (size_t i = 0; i < out.count; i++)
        MUST(is_named(&scene->response, out.list[i].name) || is_named(update, out.list[i].name));
    MUST(slice_equal(fields_get(&out, "Content-Length"),
                     fields_get(&scene->response, "Content-Length")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD_SIZE || size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)8 * 1024 * 1024);
    MUST(arena);
    struct slice rest = {(const char *)data + HEAD_SIZE, size - HEAD_SIZE};
    struct scene scene = {
        .arena = arena,
        .policy = policy_of(data),
        .times = {NOW_MS - data[11] * 100, NOW_MS, NOW_MS},
        .status = 100 + (data[12] * 256 + data[13]) % 600,
    };
    while (rest.n) {
        struct slice line = take_line(&rest);
        if (line.n && *line.p == ' ')
            add_line(&scene.request_fields, arena, (struct slice){line.p + 1, line.n - 1});
        else
            add_line(&scene.response, arena, line);
    }
    scene.request = (struct request_facts){
        .method = slice_of("GET"), .fields = &scene.request_fields, .remote_user = data[14] & 1};
    (void)decide_request(&scene.policy, &scene.request);

    struct store_decision d = stores_soundly(&scene);
    struct stored stored = {
        .status = scene.status,
        .fields = &scene.response,
        .stored_ms = NOW_MS,
        .ttl_ms = d.reason == REASON_NONE ? d.ttl_ms : (data[14] - 100) * INT64_C(100),
        .age_s = d.age_s,
        .stale_while_s = d.reason == REASON_NONE ? d.stale_while_s : data[8],
        .stale_if_s = d.reason == REASON_NONE ? d.stale_if_s : data[9],
        .flags = d.reason == REASON_NONE ? d.flags : data[14],
    };
    reuses_soundly(&scene, &stored, NOW_MS + data[15] * INT64_C(500));
    updates_soundly(&scene);
    arena_free(arena);
    return 0;
}
