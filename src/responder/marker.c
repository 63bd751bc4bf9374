/*
 * Markers. The format stands in marker.h. Redis is not trusted: what does not
 * read as one is none, and what it leads to is compared with the entry itself.
 */
#include "responder/marker.h"

static const char magic[] = "LARDERV1\n";
#define MAGIC_LEN (sizeof magic - 1)
#define HASH_LEN 64

bool
marker_is_one(const char *data, size_t len)
{
    return len > MAGIC_LEN && memcmp(data, magic, MAGIC_LEN) == 0;
}

/* The next line without its end; .p NULL: there is none. */
static struct slice
take_line(const char **p, const char *end)
{
    const char *newline = *p < end ? memchr(*p, '\n', (size_t)(end - *p)) : NULL;
    if (!newline)
        return (struct slice){NULL, 0};
    struct slice line = {*p, (size_t)(newline - *p)};
    *p = newline + 1;
    return line;
}

static bool
is_hash(struct slice text)
{
    if (text.n != HASH_LEN)
        return false;
    for (size_t i = 0; i < HASH_LEN; i++)
        if (!((text.p[i] >= '0' && text.p[i] <= '9') || (text.p[i] >= 'a' && text.p[i] <= 'f')))
            return false;
    return true;
}

static bool
is_etag(struct slice text)
{
    return text.n > 0 && text.n <= MARKER_ETAG_MAX && field_value_valid(text) &&
           !memchr(text.p, '\n', text.n);
}

bool
marker_decode(struct marker *marker, const char *data, size_t len, struct arena *arena)
{
    *marker = (struct marker){.count = 0};
    if (!marker_is_one(data, len) || len > MARKER_SIZE_MAX)
        return false;
    const char *p = arena_strndup(arena, data, len);
    if (!p)
        return false;
    const char *end = p + len;
    p += MAGIC_LEN;
    marker->names = take_line(&p, end);
    if (!marker->names.p || !vary_unformat(&marker->vary, marker->names, arena) ||
        marker->vary.count == 0)
        return false;
    while (p < end) {
        struct slice line = take_line(&p, end);
        if (line.n < HASH_LEN + 2 || line.p[HASH_LEN] != ' ' || marker->count == MARKER_TAGS_MAX)
            return false;
        struct slice hash = {line.p, HASH_LEN};
        struct slice etag = {line.p + HASH_LEN + 1, line.n - HASH_LEN - 1};
        if (!is_hash(hash) || !is_etag(etag))
            return false;
        marker->tags[marker->count].hash = hash;
        marker->tags[marker->count++].etag = etag;
    }
    return true;
}

struct writer {
    char *p;
    size_t n;
};

static void
put(struct writer *w, struct slice text, char after)
{
    memcpy(w->p + w->n, text.p, text.n);
    w->n += text.n;
    w->p[w->n++] = after;
}

struct slice
marker_encode(struct slice names, struct slice hash, struct slice etag, const struct marker *before,
              struct arena *arena)
{
    if (before && !slice_equal(before->names, names))
        before = NULL;
    size_t room = MAGIC_LEN + names.n + 1 + HASH_LEN + MARKER_ETAG_MAX + 2, count = 0;
    for (size_t i = 0; before && i < before->count; i++)
        room += HASH_LEN + before->tags[i].etag.n + 2;
    struct writer w = {arena_alloc(arena, room), 0};
    if (!w.p)
        return (struct slice){NULL, 0};
    put(&w, (struct slice){magic, MAGIC_LEN - 1}, '\n');
    put(&w, names, '\n');
    if (is_hash(hash) && is_etag(etag)) {
        put(&w, hash, ' ');
        put(&w, etag, '\n');
        count++;
    }
    for (size_t i = 0; before && i < before->count && count < MARKER_TAGS_MAX; i++) {
        if (slice_equal(before->tags[i].hash, hash))
            continue;
        put(&w, before->tags[i].hash, ' ');
        put(&w, before->tags[i].etag, '\n');
        count++;
    }
    return (struct slice){w.p, w.n};
}

bool
marker_says(const struct marker *marker, struct slice names, struct slice hash, struct slice etag)
{
    if (!slice_equal(marker->names, names))
        return false;
    for (size_t i = 0; i < marker->count; i++)
        if (slice_equal(marker->tags[i].hash, hash))
            return slice_equal(marker->tags[i].etag, etag);
    return !is_etag(etag);
}
