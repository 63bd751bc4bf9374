/*
 * Entity tags and conditional requests (condition.c). The first three lines are
 * ETag, Last-Modified and Date of a response; the rest are fields of a request.
 *
 * Must hold besides not crashing: the weak comparison has no direction and
 * follows from the strong one; a tag equals itself; what
 * has just been sent is what a client has that asks with its tag, and "*" is any;
 * a response selects itself; nothing but a 200 or its part makes a 304.
 */
#include "fuzz.h"

#include "http/condition.h"

#define SIZE_LIMIT ((size_t)16 * 1024)
#define NOW INT64_C(1700000000)

static void
tags_are_sound(struct slice a, struct slice b)
{
    struct etag tag;
    MUST(etag_equal_weak(a, b) == etag_equal_weak(b, a));
    MUST(etag_equal_strong(a, b) == etag_equal_strong(b, a));
    if (etag_equal_strong(a, b))
        MUST(etag_equal_weak(a, b) && etag_is_strong(a) && etag_is_strong(b));
    if (etag_parse(a, &tag)) {
        MUST(lies_in(tag.opaque, a.p, a.n));
        MUST(etag_equal_weak(a, a));
        MUST(etag_is_strong(a) == etag_equal_strong(a, a));
    } else {
        MUST(!etag_equal_weak(a, b));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"ETag", "Last-Modified", "Date"};
    if (size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)4 * 1024 * 1024);
    MUST(arena);
    struct slice rest = {(const char *)data, size};
    struct fields response = {0};
    for (size_t i = 0; i < 3; i++) {
        struct slice value = take_line(&rest);
        if (value.n)
            (void)fields_add(&response, arena, slice_of(names[i]), value);
    }
    struct fields request = take_fields(&rest, arena);
    struct slice etag = fields_get(&response, "ETag");
    for (size_t i = 0; i < request.count; i++)
        tags_are_sound(request.list[i].value, etag);
    if (etag.p)
        tags_are_sound(etag, etag);

    enum condition got = condition_evaluate(&request, 200, &response, NOW, NOW);
    MUST(condition_evaluate(&request, 404, &response, NOW, NOW) != CONDITION_NOT_MODIFIED);
    MUST(condition_evaluate(&request, 206, &response, NOW, NOW) == got);
    if (!fields_get(&request, "If-None-Match").p && !fields_get(&request, "If-Modified-Since").p)
        MUST(got == CONDITION_NONE);
    struct fields only = {0};
    MUST(fields_add(&only, arena, slice_of("If-None-Match"), slice_of("*")));
    MUST(condition_evaluate(&only, 200, &response, NOW, NOW) == CONDITION_NOT_MODIFIED);
    if (etag.n && etag_is_strong(etag)) {
        only = (struct fields){0};
        MUST(fields_add(&only, arena, slice_of("If-None-Match"), etag));
        MUST(condition_evaluate(&only, 200, &response, NOW, NOW) == CONDITION_NOT_MODIFIED);
    }
    MUST(condition_selects(&response, &response));
    arena_free(arena);
    return 0;
}
