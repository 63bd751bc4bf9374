/*
 * An answer made of a stored response.
 *
 * Conditions first, then ranges, in the order of RFC 9110 §13.2.2. Used by the
 * worker for a hit, and by a fetcher for what has been validated or stands in
 * for a backend that failed. Nothing is copied: the pieces of a range lie in
 * the entry.
 */
#include "responder/answer.h"

#include <openssl/rand.h>

#include "http/condition.h"
#include "http/range.h"
#include "responder/reply.h"

static bool
is_get(const struct exchange *exchange)
{
    return slice_equal(exchange->request.method, slice_of("GET"));
}

/* ------------------------------------------------------------------------ ranges */

/* What Range asks of this entry, where that field counts at all (RFC 9110 §14.2). */
static enum range_verdict
asked_ranges(const struct exchange *exchange, const struct entry *entry, int64_t wall_ms,
             struct ranges *out)
{
    const struct fields *fields = &exchange->request.fields;
    bool part = entry->stored.flags & STORED_PARTIAL;
    if (!is_get(exchange) || (entry->stored.status != 200 && !part) ||
        !fields_get(fields, "Range").p ||
        !range_if_range_holds(fields, &entry->fields, wall_ms / 1000))
        return RANGE_NONE;
    return range_parse(fields, part ? entry->total : (int64_t)entry->body.n, out);
}

static bool
has_all(const struct entry *entry, const struct ranges *ranges)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (ranges->list[i].first < entry->range_first ||
            ranges->list[i].last >= entry->range_first + (int64_t)entry->body.n)
            return false;
    return true;
}

/* The very same Range that an incomplete part answered before? */
static bool
is_repeated(const struct exchange *exchange, const struct entry *entry)
{
    const struct fields *fields = &exchange->request.fields;
    return (entry->stored.flags & STORED_VERBATIM) && is_get(exchange) &&
           !fields_get(fields, "If-Range").p &&
           slice_equal(fields_get(fields, "Range"), entry->range);
}

bool
answer_is_possible(const struct exchange *exchange, const struct entry *entry, int64_t wall_ms)
{
    struct ranges ranges;
    if (!(entry->stored.flags & STORED_PARTIAL))
        return true;
    if (is_repeated(exchange, entry))
        return true;
    switch (asked_ranges(exchange, entry, wall_ms, &ranges)) {
    case RANGE_PARTIAL:
        return has_all(entry, &ranges);
    case RANGE_UNSATISFIABLE:
        return true;
    case RANGE_NONE:
    case RANGE_UNKNOWN:
        break;
    }
    return false;
}

/* ------------------------------------------------------------------------ pieces */

struct making {
    struct answer *answer;
    struct exchange *exchange;
    const struct entry *entry;
    struct reply reply;
};

/* Room for the head and `bodies` pieces after it. */
static bool
make_room(struct making *m, int bodies)
{
    m->answer->pieces =
        arena_calloc(m->exchange->arena, (size_t)bodies + 1, sizeof *m->answer->pieces);
    m->answer->count = 1;
    return m->answer->pieces != NULL;
}

static void
add_piece(struct making *m, struct slice piece)
{
    m->answer->pieces[m->answer->count++] = (struct iovec){(void *)piece.p, piece.n};
    m->answer->body_len += piece.n;
}

static struct slice
cut(const struct entry *entry, struct byte_range range)
{
    int64_t start = entry->stored.flags & STORED_PARTIAL ? entry->range_first : 0;
    return (struct slice){entry->body.p + (range.first - start),
                          (size_t)(range.last - range.first + 1)};
}

static bool
one_range(struct making *m, struct byte_range range, int64_t total)
{
    m->reply.status = 206;
    m->reply.content_range = range_content_format(range, total, m->exchange->arena);
    if (!m->reply.content_range.p || !make_room(m, 1))
        return false;
    add_piece(m, cut(m->entry, range));
    m->reply.content_length = (int64_t)m->answer->body_len;
    return true;
}

static bool
many_ranges(struct making *m, const struct ranges *ranges, int64_t total)
{
    static const char hex[] = "0123456789abcdef";
    struct multipart multipart;
    unsigned char random[16];
    char boundary[32];
    if (RAND_bytes(random, sizeof random) != 1)
        return false;
    for (size_t i = 0; i < sizeof random; i++) {
        boundary[2 * i] = hex[random[i] >> 4];
        boundary[2 * i + 1] = hex[random[i] & 15];
    }
    if (!range_multipart(&multipart, ranges, total, fields_get(&m->entry->fields, "Content-Type"),
                         boundary, m->exchange->arena) ||
        !make_room(m, 2 * (int)ranges->count + 1))
        return false;
    for (size_t i = 0; i < ranges->count; i++) {
        add_piece(m, multipart.head[i]);
        add_piece(m, cut(m->entry, ranges->list[i]));
    }
    add_piece(m, multipart.tail);
    m->reply.status = 206;
    m->reply.content_type = multipart.content_type;
    m->reply.content_length = multipart.content_length;
    return true;
}

/* §15.5.17: how long it is, for who wants to ask better. */
static bool
unsatisfiable(struct making *m, int64_t total)
{
    char *text = arena_printf(m->exchange->arena, "bytes */%lld", (long long)total);
    m->reply.status = 416;
    m->reply.not_modified = true; /* nothing of the content's own fields */
    m->reply.content_range = slice_of(text);
    m->reply.content_length = 0;
    return text && make_room(m, 0);
}

static bool
whole(struct making *m)
{
    bool bodiless = m->reply.status == 204 || m->reply.status == 304;
    bool with_body = !bodiless && !slice_equal(m->exchange->request.method, slice_of("HEAD"));
    m->reply.content_length = bodiless ? -1 : (int64_t)m->entry->body.n;
    if (!make_room(m, 1))
        return false;
    if (with_body)
        add_piece(m, m->entry->body);
    return true;
}

static bool
body(struct making *m, int64_t wall_ms)
{
    const struct entry *entry = m->entry;
    const struct stored *stored = &entry->stored;
    struct ranges ranges;
    if (condition_evaluate(&m->exchange->request.fields, stored->status, &entry->fields,
                           stored->stored_ms / 1000, wall_ms / 1000) == CONDITION_NOT_MODIFIED) {
        m->reply.status = 304;
        m->reply.not_modified = true;
        return make_room(m, 0);
    }
    if (is_repeated(m->exchange, entry))
        return whole(m);
    int64_t total = stored->flags & STORED_PARTIAL ? entry->total : (int64_t)entry->body.n;
    switch (asked_ranges(m->exchange, entry, wall_ms, &ranges)) {
    case RANGE_PARTIAL:
        return ranges.count == 1 ? one_range(m, ranges.list[0], total)
                                 : many_ranges(m, &ranges, total);
    case RANGE_UNSATISFIABLE:
        return unsatisfiable(m, total);
    case RANGE_NONE:
    case RANGE_UNKNOWN:
        break;
    }
    return whole(m);
}

/* Downwards: what is over by a little is over (RFC 9211 §2.4). */
static int64_t
whole_seconds(int64_t ms)
{
    return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
}

/* But for what the body decides. */
static struct reply
reply_of(struct exchange *exchange, const struct entry *entry, const struct answer_origin *origin,
         int64_t wall_ms)
{
    const struct stored *stored = &entry->stored;
    struct cache_status status = origin->status;
    status.key = exchange->key.name;
    if (stored->age_s >= 0) {
        status.has_ttl = true;
        status.ttl_s = whole_seconds(stored->stored_ms + stored->ttl_ms - wall_ms);
    }
    return (struct reply){
        .status = stored->status,
        .fields = &entry->fields,
        .mount = exchange->request.mount,
        .x_cache = origin->x_cache,
        .cache_status =
            cache_status_format(&status, exchange->site->config->cache_status, exchange->arena),
        .age_s = stored->age_s < 0 ? -1 : response_age_s(stored->age_s, stored->stored_ms, wall_ms),
        .content_length = -1,
        .client_cache = exchange->match.client_cache,
        .shared = !origin->personal && stored->ttl_ms > 0 && !(stored->flags & STORED_NO_CACHE),
        .per_user = exchange->policy.per_user,
        .may_be_cut = fields_get(&exchange->request.fields, "Range").p != NULL,
        .via = true,
        .stale = origin->stale,
    };
}

bool
answer_make(struct answer *answer, struct exchange *exchange, const struct entry *entry,
            const struct answer_origin *origin, int64_t wall_ms)
{
    *answer = (struct answer){.status = entry->stored.status};
    struct making m = {.answer = answer,
                       .exchange = exchange,
                       .entry = entry,
                       .reply = reply_of(exchange, entry, origin, wall_ms)};
    if (!body(&m, wall_ms))
        return false;
    answer->status = m.reply.status;
    struct slice head = reply_head(&m.reply, exchange->arena);
    answer->pieces[0] = (struct iovec){(void *)head.p, head.n};
    return head.p != NULL;
}

struct slice
answer_head(struct exchange *exchange, const struct entry *entry,
            const struct answer_origin *origin, int64_t content_length, int64_t wall_ms)
{
    struct reply reply = reply_of(exchange, entry, origin, wall_ms);
    reply.content_length = content_length;
    return reply_head(&reply, exchange->arena);
}
