/*
 * Cache-Control, the targeted fields that go before it, and Age
 * (cache_control.c). The input are the fields of a response.
 *
 * Must hold besides not crashing: numbers are within their bounds, names lie in
 * the input and are names; a directive that nobody knows makes no difference;
 * no-store and private on a line of their own are found, whatever stands before
 * them; a freshness that is there already is not changed by a second one.
 */
#include "fuzz.h"

#include "http/cache_control.h"

#define SIZE_LIMIT ((size_t)32 * 1024)

static void
number_is_sound(int64_t seconds)
{
    MUST(seconds >= -1 && seconds <= HTTP_SECONDS_MAX);
}

static void
is_sound(const struct cache_control *cc, const uint8_t *data, size_t size)
{
    number_is_sound(cc->max_age_s);
    number_is_sound(cc->s_maxage_s);
    number_is_sound(cc->max_stale_s);
    number_is_sound(cc->min_fresh_s);
    number_is_sound(cc->stale_while_s);
    number_is_sound(cc->stale_if_s);
    MUST(cc->name_count <= CACHE_CONTROL_NAMES_MAX);
    for (size_t i = 0; i < cc->name_count; i++)
        MUST(field_name_valid(cc->names[i]) && lies_in(cc->names[i], data, size));
}

static bool
is_the_same(const struct cache_control *a, const struct cache_control *b)
{
    bool names = a->name_count == b->name_count;
    for (size_t i = 0; names && i < a->name_count; i++)
        names = slice_equal(a->names[i], b->names[i]);
    return names && a->no_store == b->no_store && a->no_cache == b->no_cache &&
           a->is_private == b->is_private && a->is_public == b->is_public &&
           a->must_revalidate == b->must_revalidate && a->proxy_revalidate == b->proxy_revalidate &&
           a->must_understand == b->must_understand && a->only_if_cached == b->only_if_cached &&
           a->max_stale_any == b->max_stale_any && a->max_age_s == b->max_age_s &&
           a->s_maxage_s == b->s_maxage_s && a->max_stale_s == b->max_stale_s &&
           a->min_fresh_s == b->min_fresh_s && a->stale_while_s == b->stale_while_s &&
           a->stale_if_s == b->stale_if_s;
}

static struct cache_control
parsed(const struct fields *fields)
{
    struct cache_control cc;
    cache_control_parse(&cc, fields);
    return cc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)4 * 1024 * 1024);
    MUST(arena);
    struct slice rest = {(const char *)data, size};
    struct fields fields = take_fields(&rest, arena);
    struct cache_control cc = parsed(&fields), targeted_cc, more;
    bool targeted;
    is_sound(&cc, data, size);
    cache_control_of_response(&targeted_cc, &fields, &targeted);
    is_sound(&targeted_cc, data, size);
    if (!targeted)
        MUST(is_the_same(&cc, &targeted_cc));

    if (fields.count < FIELDS_MAX) {
        struct fields longer = with(&fields, arena, "Cache-Control", "unknown=\"1, no-store\"");
        more = parsed(&longer);
        MUST(is_the_same(&cc, &more));
        longer = with(&fields, arena, "Cache-Control", "NO-STORE");
        MUST(parsed(&longer).no_store);
        longer = with(&fields, arena, "Cache-Control", "private");
        MUST(parsed(&longer).is_private);
        longer = with(&fields, arena, "Cache-Control", "max-age=7");
        more = parsed(&longer);
        MUST(more.max_age_s == (cc.max_age_s < 0 ? 7 : cc.max_age_s));
        longer = with(&fields, arena, "Larder-Cache-Control", "max-age=7");
        cache_control_of_response(&more, &longer, &targeted);
        MUST(targeted || fields_get(&fields, "Larder-Cache-Control").p);
    }
    int64_t age_s = http_age_parse(&fields), seconds;
    MUST(age_s >= 0 && age_s <= HTTP_SECONDS_MAX);
    for (size_t i = 0; i < fields.count; i++)
        if (http_seconds_parse(fields.list[i].value, &seconds))
            MUST(seconds >= 0 && seconds <= HTTP_SECONDS_MAX);
    arena_free(arena);
    return 0;
}
