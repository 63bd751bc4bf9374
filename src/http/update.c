/*
 * The fields of a stored response, and what a later answer makes of them
 * (RFC 9111 §3.1, §3.2, §4.3.4, §4.3.5).
 */
#include "http/condition.h"
#include "http/decide.h"
#include "http/vary.h"

/* Said of an answer while it is given. */
static bool
is_said_anew(const struct field *field)
{
    static const char *const anew[] = {"Age", "Content-Length", "X-Cache", "X-Cache-Invalidate"};
    for (size_t i = 0; i < sizeof anew / sizeof *anew; i++)
        if (slice_equal_nocase(field->name, anew[i]))
            return true;
    /* A warning of the kind 1xx was about the response as it was then. */
    return slice_equal_nocase(field->name, "Warning") && field->value.n && field->value.p[0] == '1';
}

bool
response_field_is_left_out(const struct policy *policy, const struct cache_control *cc,
                           const struct field *field)
{
    if (is_said_anew(field))
        return true;
    if (policy->set_cookie != SET_COOKIE_KEEP && (slice_equal_nocase(field->name, "Set-Cookie") ||
                                                  slice_equal_nocase(field->name, "Set-Cookie2")))
        return true;
    for (size_t i = 0; i < cc->name_count; i++)
        if (field->name.n == cc->names[i].n &&
            strncasecmp(field->name.p, cc->names[i].p, field->name.n) == 0)
            return true;
    return false;
}

static bool
has(const struct fields *fields, struct slice name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->list[i].name.n == name.n &&
            strncasecmp(fields->list[i].name.p, name.p, name.n) == 0)
            return true;
    return false;
}

/* What an update has no say in: it is about the content of one message, and we have that of another. */
static bool
is_fixed(struct slice name)
{
    return slice_equal_nocase(name, "Content-Length") ||
           slice_equal_nocase(name, "Content-Digest") || slice_equal_nocase(name, "Content-MD5");
}

/*
 * Vary is a list that two may add to: an application names what it looks at, and a compressing
 * middleware adds Accept-Encoding to what it has compressed, which a 304 has nothing of. What is stored
 * has been chosen by all of them.
 */
struct varies {
    bool stored_stays, update_adds;
};

/* The lines of which of the two are needed for all names of both, so that they do not grow with each
 * update. false: no memory. */
static bool
join_varies(struct varies *out, const struct fields *stored, const struct fields *update,
            struct arena *arena)
{
    struct vary old, new;
    *out = (struct varies){.update_adds = true};
    if (!vary_parse(&old, stored, NULL, arena) || !vary_parse(&new, update, NULL, arena))
        return false;
    /* What can select nothing stands alone. */
    if (old.star || old.invalid || new.star || new.invalid)
        return true;
    for (size_t i = 0; i < old.count; i++)
        out->stored_stays |= !vary_has(&new, old.names[i]);
    if (!out->stored_stays)
        return true;
    out->update_adds = false;
    for (size_t i = 0; i < new.count; i++)
        out->update_adds |= !vary_has(&old, new.names[i]);
    return true;
}

bool
response_update_fields(struct fields *out, struct arena *arena, const struct policy *policy,
                       const struct fields *stored, const struct fields *update)
{
    struct varies varies;
    if (!join_varies(&varies, stored, update, arena))
        return false;
    for (size_t i = 0; i < stored->count; i++) {
        const struct field *f = &stored->list[i];
        bool vary = varies.stored_stays && slice_equal_nocase(f->name, "Vary");
        if (vary || is_fixed(f->name) || !has(update, f->name)) {
            if (!fields_add(out, arena, f->name, f->value))
                return false;
        }
    }
    for (size_t i = 0; i < update->count; i++) {
        const struct field *f = &update->list[i];
        bool cookie = slice_equal_nocase(f->name, "Set-Cookie") ||
                      slice_equal_nocase(f->name, "Set-Cookie2");
        if (!varies.update_adds && slice_equal_nocase(f->name, "Vary"))
            continue;
        if (is_fixed(f->name) || (cookie && policy->set_cookie == SET_COOKIE_STRIP))
            continue;
        if (!fields_add(out, arena, f->name, f->value))
            return false;
    }
    return true;
}

bool
response_own_fields(struct fields *out, struct arena *arena, const struct policy *policy,
                    const struct fields *update)
{
    struct cache_control cc;
    bool targeted;
    cache_control_of_response(&cc, update, &targeted);
    for (size_t i = 0; i < update->count; i++) {
        const struct field *f = &update->list[i];
        if (!is_said_anew(f) && response_field_is_left_out(policy, &cc, f) &&
            !fields_add(out, arena, f->name, f->value))
            return false;
    }
    return true;
}

bool
response_head_agrees(const struct fields *stored, int64_t stored_length, const struct fields *head)
{
    int64_t length;
    struct slice told = fields_get(head, "Content-Length");
    if (told.p && (!http_seconds_parse(told, &length) || length != stored_length))
        return false;
    if (!condition_content_agrees(stored, head))
        return false;
    struct slice etag = fields_get(head, "ETag"), modified = fields_get(head, "Last-Modified");
    if (etag.p && !etag_equal_weak(etag, fields_get(stored, "ETag")))
        return false;
    return !modified.p || slice_equal(modified, fields_get(stored, "Last-Modified"));
}
