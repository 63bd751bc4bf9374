/*
 * Answers to POST that later GETs may have.
 *
 * The trap: a POST invalidates its URL, and so the generation that an entry made
 * of its answer would carry. That of before the POST is exchanged for a new one in one
 * step, which fails if somebody has invalidated the URL meanwhile; whoever does so
 * later deletes the new one like any other.
 */
#include "responder/post.h"

#include "base/clock.h"
#include "http/uri.h"
#include "responder/backend_fields.h"
#include "responder/key.h"

static bool
is_url_tag(const char *tag)
{
    return strncmp(tag, TAG_URL, NAME_LEN(TAG_URL)) == 0;
}

struct exchange *
post_prepare(struct exchange *exchange)
{
    static const struct slice method = {"GET", 3};
    const struct config *config = exchange->site->config;
    struct arena *arena = exchange->arena;
    struct request *request = &exchange->request;
    if (exchange->reason != REASON_METHOD || config->compat_ancestor || request->asked.p ||
        !slice_equal(request->method, slice_of("POST")))
        return NULL;
    struct exchange *get = arena_calloc(arena, 1, sizeof *get);
    if (!get)
        return NULL;
    *get = *exchange;
    get->key = (struct cache_key){.name = NULL};
    get->reason = REASON_NONE;
    if (!route_find(&config->routes, arena, method, request->host, request->target, &get->match))
        return NULL;
    get->policy = route_policy(exchange->site, &get->match);
    get->facts.method = method;
    get->facts.has_body = false;
    if (!get->policy.rfc ||
        !key_examine(&get->key, &get->facts, request, &get->match, config, arena) ||
        decide_request(&get->policy, &get->facts) != REASON_NONE ||
        key_make(&get->key, request, &get->match, config, arena) != REASON_NONE)
        return NULL;
    /* The claim exchanges one generation: a URL that can be read in several ways has more. */
    size_t urls = 0;
    for (size_t i = 0; i < get->key.tags.count; i++)
        urls += is_url_tag(get->key.tags.name[i]);
    if (urls != 1)
        return NULL;
    struct larder *cache = exchange->site->cache;
    int64_t until_ms = clock_now_ms() + config->budget_ms;
    if (store_generations(cache, &get->key.tags, until_ms, &get->lookup.generations,
                          &get->lookup.identity, &get->lookup.position, NULL) != LARDER_OK ||
        (!get->lookup.position.id[0] &&
         store_position(cache, until_ms, &get->lookup.position, NULL) != LARDER_OK))
        return NULL;
    for (size_t i = 0; i < get->key.tags.count; i++)
        if (!store_generation_settled(get->lookup.generations.value[i]))
            return NULL;
    get->lookup.generations_complete = true;
    return get;
}

bool
post_is_own(const struct exchange *exchange, int status, const struct fields *response)
{
    const struct request *request = &exchange->request;
    struct slice host = request->forwarded_host.p ? request->forwarded_host : request->host;
    struct slice reference = fields_get(response, "Content-Location");
    const struct uri_base base = {.scheme = request->scheme,
                                  .host = key_normal_host(host, request->scheme, exchange->arena),
                                  .target = request->target};
    if (status != 200 || !reference.p || !base.host.p)
        return false;
    struct slice target = uri_same_origin_target(&base, reference, exchange->arena);
    return target.p && slice_equal(target, request->target);
}

const char *
post_tag(const struct exchange *get)
{
    for (size_t i = 0; get && i < get->key.tags.count; i++)
        if (is_url_tag(get->key.tags.name[i]))
            return get->key.tags.name[i];
    return NULL;
}

enum larder_status
post_claim(struct exchange *get, const char *tag, int64_t deadline_ms, bool *claimed)
{
    store_generation before;
    size_t i = 0;
    while (i < get->key.tags.count && strcmp(get->key.tags.name[i], tag) != 0)
        i++;
    memcpy(before, get->lookup.generations.value[i], sizeof before);
    return store_claim(get->site->cache, tag, before, deadline_ms, get->lookup.generations.value[i],
                       claimed, NULL);
}

void
post_decide(struct kept *kept, struct exchange *get, int status, const struct fields *response,
            const struct response_times *times)
{
    static const struct ask nothing = {.range = false};
    struct cache_control cc;
    bool targeted;
    keep_decide(kept, get, &nothing, status, response, times);
    if (kept->decision.reason != REASON_NONE)
        return;
    cache_control_of_response(&cc, response, &targeted);
    if (cc.max_age_s < 0 && cc.s_maxage_s < 0 && (targeted || !fields_get(response, "Expires").p))
        kept->decision.reason = REASON_NO_FRESHNESS; /* explicit, says §9.3.3 */
    /* The principle of backend_fields.c: all fields of the POST reached the backend. */
    if (backend_fields_withheld(get))
        kept->decision.reason = REASON_FIELD;
    /* It went out as it came, and not in the form in which variants are compared. */
    if (kept->names.n)
        kept->decision.reason = REASON_VARY;
}
