/*
 * The cookies of a request, as a backend may read them.
 *
 * Called by key.c. No I/O; what is returned points into the request.
 */
#include "responder/request_cookie.h"

#include <string.h>

/*
 * Where a pair ends. A semicolon ends it; so does a comma before something that
 * looks like another pair, because web servers join repeated Cookie lines by
 * commas, and a session cookie must not hide in the value of a harmless one.
 */
static size_t
pair_length(struct slice rest)
{
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] == ';')
            return i;
        if (rest.p[i] != ',')
            continue;
        size_t start = i + 1;
        while (start < rest.n && (rest.p[start] == ' ' || rest.p[start] == '\t'))
            start++;
        size_t end = start;
        while (end < rest.n && rest.p[end] != '=' && rest.p[end] != ';' && rest.p[end] != ',')
            end++;
        if (end < rest.n && rest.p[end] == '=' &&
            field_name_valid((struct slice){rest.p + start, end - start}))
            return i;
    }
    return rest.n;
}

bool
request_next_cookie(const struct request *request, struct cookie_walk *walk, struct slice *name,
                    struct slice *value)
{
    for (;;) {
        while (walk->rest.n && strchr("; \t,", walk->rest.p[0]) && walk->rest.p[0]) {
            walk->rest.p++;
            walk->rest.n--;
        }
        if (walk->rest.n)
            break;
        const struct field *f = fields_next(&request->fields, "Cookie", &walk->cursor);
        if (!f)
            return false;
        walk->rest = f->value;
    }
    struct slice pair = {walk->rest.p, pair_length(walk->rest)};
    walk->rest.p += pair.n;
    walk->rest.n -= pair.n;
    while (pair.n && (pair.p[pair.n - 1] == ' ' || pair.p[pair.n - 1] == '\t'))
        pair.n--;
    const char *equals = memchr(pair.p, '=', pair.n);
    if (equals) {
        *name = (struct slice){pair.p, (size_t)(equals - pair.p)};
        *value = (struct slice){equals + 1, pair.n - name->n - 1};
    } else {
        *name = slice_of("");
        *value = pair;
    }
    return true;
}

struct slice
request_cookie(const struct request *request, const char *wanted)
{
    struct cookie_walk walk = {0};
    struct slice name, value;
    while (request_next_cookie(request, &walk, &name, &value))
        if (slice_equal(name, slice_of(wanted)))
            return value;
    return (struct slice){NULL, 0};
}
