/*
 * Cache-Status (RFC 9211). The member is `Larder`; `detail` is one of the words
 * of http/policy.h, so that whoever reads it can look up the very rule.
 */
#include "responder/cache_status.h"

#include "base/number.h"

struct writer {
    char *p;
    size_t n;
};

static void
put(struct writer *w, const char *text)
{
    size_t n = strlen(text);
    memcpy(w->p + w->n, text, n);
    w->n += n;
}

static void
put_number(struct writer *w, int64_t value)
{
    if (value < 0)
        put(w, "-");
    w->n += number_format(w->p + w->n, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

const char *
cache_status_forward(enum reason reason)
{
    switch (reason) {
    case REASON_METHOD:
        return "method";
    case REASON_MISS:
        return "uri-miss";
    case REASON_VARY_MISS:
        return "vary-miss";
    case REASON_INVALIDATED:
    case REASON_TAGS_CHANGED:
    case REASON_OTHER_SERVER:
    case REASON_HIT_FOR_MISS:
        return "miss";
    case REASON_STALE:
    case REASON_MUST_VALIDATE:
        return "stale";
    case REASON_PARTIAL:
        return "partial";
    case REASON_REQUEST_NO_CACHE:
    case REASON_REQUEST_NO_STORE:
    case REASON_PRECONDITION:
    case REASON_BODY:
        return "request";
    default:
        return "bypass";
    }
}

/* A key is printable ASCII but for what an operator's resource or namespace may hold. */
static void
put_string(struct writer *w, const char *text)
{
    w->p[w->n++] = '"';
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e)
            continue;
        if (*text == '"' || *text == '\\')
            w->p[w->n++] = '\\';
        w->p[w->n++] = *text;
    }
    w->p[w->n++] = '"';
}

struct slice
cache_status_format(const struct cache_status *status, enum cache_status_mode mode,
                    struct arena *arena)
{
    bool full = mode == CACHE_STATUS_FULL;
    struct writer w = {NULL, 0};
    if (mode != CACHE_STATUS_OFF)
        w.p = arena_alloc(arena, 200 + (full && status->key ? 2 * strlen(status->key) : 0));
    if (!w.p)
        return (struct slice){NULL, 0};
    put(&w, "Larder");
    if (status->hit)
        put(&w, "; hit");
    if (status->forward != REASON_NONE) {
        put(&w, "; fwd=");
        put(&w, cache_status_forward(status->forward));
    }
    if (status->forward_status) {
        put(&w, "; fwd-status=");
        put_number(&w, status->forward_status);
    }
    if (status->has_ttl) {
        put(&w, "; ttl=");
        put_number(&w, status->ttl_s);
    }
    if (status->stored)
        put(&w, "; stored");
    if (status->collapsed)
        put(&w, "; collapsed");
    if (full && status->detail != REASON_NONE) {
        put(&w, "; detail=");
        put(&w, reason_name(status->detail));
    }
    if (full && status->key) {
        put(&w, "; key=");
        put_string(&w, status->key);
    }
    return (struct slice){w.p, w.n};
}
