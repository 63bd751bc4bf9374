/*
 * Ranges (range.c). The first line is a length, what follows are the fields of a
 * request; its values are also taken for Content-Range.
 *
 * Must hold besides not crashing: ranges lie in the representation, neither
 * overlap nor touch, and are together no more than all of it; only a length that
 * is not known makes one that cannot be told; two lines of Range are none; a
 * multipart is as long as it says; Content-Range comes back from its text.
 */
#include "fuzz.h"

#include "http/range.h"

#define SIZE_LIMIT ((size_t)16 * 1024)
#define LENGTH_MAX INT64_C(1000000000000)
#define NOW INT64_C(1700000000)

/* -1 unless the line is a number. */
static int64_t
length_of(struct slice line)
{
    int64_t n = 0;
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] < '0' || line.p[i] > '9' || n > LENGTH_MAX)
            return -1;
        n = n * 10 + (line.p[i] - '0');
    }
    return line.n ? n : -1;
}

static void
ranges_are_sound(const struct ranges *ranges, int64_t length)
{
    int64_t total = 0;
    MUST(ranges->count > 0 && ranges->count <= RANGES_MAX);
    for (size_t i = 0; i < ranges->count; i++) {
        struct byte_range a = ranges->list[i];
        MUST(a.first >= 0 && a.first <= a.last);
        if (length < 0)
            continue;
        MUST(a.last < length);
        total += a.last - a.first + 1;
        for (size_t k = 0; k < i; k++) {
            struct byte_range b = ranges->list[k];
            MUST(a.first > b.last + 1 || b.first > a.last + 1);
        }
    }
    MUST(length < 0 || total <= length);
}

static void
multipart_is_sound(const struct ranges *ranges, int64_t length, struct arena *arena)
{
    struct multipart multipart;
    int64_t total = 0;
    MUST(range_multipart(&multipart, ranges, length, slice_of("text/plain"),
                         "0123456789abcdef0123456789abcdef", arena));
    for (size_t i = 0; i < ranges->count; i++)
        total += (int64_t)multipart.head[i].n + ranges->list[i].last - ranges->list[i].first + 1;
    MUST(multipart.content_length == total + (int64_t)multipart.tail.n);
}

static void
content_range_comes_back(struct slice text, struct arena *arena)
{
    struct byte_range range, again;
    int64_t total, again_total;
    if (!range_content_parse(text, &range, &total))
        return;
    MUST(range.first >= 0 && range.first <= range.last && (total < 0 || range.last < total));
    struct slice written = range_content_format(range, total, arena);
    MUST(written.p && range_content_parse(written, &again, &again_total));
    MUST(again.first == range.first && again.last == range.last && again_total == total);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)4 * 1024 * 1024);
    MUST(arena);
    struct slice rest = {(const char *)data, size};
    int64_t length = length_of(take_line(&rest));
    struct fields request = take_fields(&rest, arena);
    struct ranges ranges = {.count = 0};
    size_t lines = 0, cursor = 0;
    while (fields_next(&request, "Range", &cursor))
        lines++;

    switch (range_parse(&request, length, &ranges)) {
    case RANGE_PARTIAL:
        MUST(lines == 1 && length != 0);
        ranges_are_sound(&ranges, length);
        if (length >= 0)
            multipart_is_sound(&ranges, length, arena);
        break;
    case RANGE_UNSATISFIABLE:
        MUST(lines == 1 && length >= 0);
        break;
    case RANGE_UNKNOWN:
        MUST(lines == 1 && length < 0);
        break;
    case RANGE_NONE:
        break;
    }
    if (!fields_get(&request, "If-Range").p)
        MUST(range_if_range_holds(&request, &request, NOW));
    (void)range_if_range_holds(&request, &request, NOW);
    if (range_may_combine(&request, &request, NOW))
        MUST(fields_get(&request, "ETag").p || fields_get(&request, "Last-Modified").p);
    for (size_t i = 0; i < request.count; i++)
        content_range_comes_back(request.list[i].value, arena);
    arena_free(arena);
    return 0;
}
