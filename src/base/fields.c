/*
 * An ordered list of HTTP fields.
 *
 * A plain array in arrival order: messages have some twenty fields, so a walk
 * beats a hash table, and repeats and order survive by themselves. What cannot
 * go out safely (CR, LF, NUL and their like: response splitting) cannot get in.
 */
#include "base/fields.h"

/* RFC 9110 §5.6.2. */
static bool
is_token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && memchr(others, c, sizeof others - 1));
}

bool
field_name_valid(struct slice name)
{
    if (name.n == 0)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!is_token_char((unsigned char)name.p[i]))
            return false;
    return true;
}

/* RFC 9110 §5.5: visible characters, blanks and obs-text. */
bool
field_value_valid(struct slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct slice
trim(struct slice s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool
fields_add(struct fields *fields, struct arena *arena, struct slice name, struct slice value)
{
    if (!field_name_valid(name) || !field_value_valid(value))
        return false;
    value = trim(value);
    if (!value.p)
        value.p = "";
    if (fields->count >= FIELDS_MAX || name.n > FIELDS_BYTES_MAX - fields->bytes ||
        value.n > FIELDS_BYTES_MAX - fields->bytes - name.n)
        return false;
    if (fields->count == fields->room) {
        size_t room = fields->room ? fields->room * 2 : 32;
        struct field *list = arena_calloc(arena, room, sizeof *list);
        if (!list)
            return false;
        if (fields->count)
            memcpy(list, fields->list, fields->count * sizeof *list);
        fields->list = list;
        fields->room = room;
    }
    fields->list[fields->count++] = (struct field){name, value};
    fields->bytes += name.n + value.n;
    return true;
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int
field_name_order(struct slice a, struct slice b)
{
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        char x = lower(a.p[i]), y = lower(b.p[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a.n > b.n) - (a.n < b.n);
}

const struct field *
fields_next(const struct fields *fields, const char *name, size_t *cursor)
{
    size_t n = strlen(name);
    while (*cursor < fields->count) {
        const struct field *f = &fields->list[(*cursor)++];
        if (f->name.n == n && strncasecmp(f->name.p, name, n) == 0)
            return f;
    }
    return NULL;
}

struct slice
fields_get(const struct fields *fields, const char *name)
{
    size_t cursor = 0;
    const struct field *f = fields_next(fields, name, &cursor);
    return f ? f->value : (struct slice){NULL, 0};
}

bool
fields_has_value(const struct fields *fields, const char *name)
{
    size_t cursor = 0;
    const struct field *f = fields_next(fields, name, &cursor);
    while (f && f->value.n == 0)
        f = fields_next(fields, name, &cursor);
    return f != NULL;
}

struct slice
fields_join(const struct fields *fields, struct arena *arena, const char *name)
{
    size_t cursor = 0, total = 0, lines = 0;
    const struct field *f, *only = NULL;
    while ((f = fields_next(fields, name, &cursor))) {
        only = f;
        total += f->value.n;
        lines++;
    }
    if (lines == 0)
        return (struct slice){NULL, 0};
    if (lines == 1)
        return only->value;
    char *joined = arena_alloc(arena, total + 2 * (lines - 1));
    if (!joined)
        return (struct slice){NULL, 0};
    char *p = joined;
    cursor = 0;
    while ((f = fields_next(fields, name, &cursor))) {
        if (p != joined) {
            *p++ = ',';
            *p++ = ' ';
        }
        memcpy(p, f->value.p, f->value.n);
        p += f->value.n;
    }
    return (struct slice){joined, (size_t)(p - joined)};
}

/* Keep what `drop` does not name. */
static bool
remove_if(struct fields *fields, bool (*drop)(const struct field *f, const void *arg),
          const void *arg)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (drop(&fields->list[i], arg)) {
            fields->bytes -= fields->list[i].name.n + fields->list[i].value.n;
            continue;
        }
        fields->list[kept++] = fields->list[i];
    }
    bool removed = kept != fields->count;
    fields->count = kept;
    return removed;
}

static bool
has_name(const struct field *f, const void *arg)
{
    return slice_equal_nocase(f->name, arg);
}

bool
fields_remove(struct fields *fields, const char *name)
{
    return remove_if(fields, has_name, name);
}

bool
fields_set(struct fields *fields, struct arena *arena, struct slice name, struct slice value)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->list[i];
        if (f->name.n == name.n && strncasecmp(f->name.p, name.p, name.n) == 0)
            fields->bytes -= f->name.n + f->value.n;
        else
            fields->list[kept++] = *f;
    }
    fields->count = kept;
    return fields_add(fields, arena, name, value);
}

bool
fields_list_has(const struct fields *fields, const char *name, struct slice member)
{
    size_t cursor = 0;
    const struct field *f;
    while ((f = fields_next(fields, name, &cursor))) {
        const char *p = f->value.p, *end = p + f->value.n;
        while (p < end) {
            const char *comma = memchr(p, ',', (size_t)(end - p));
            const char *stop = comma ? comma : end;
            struct slice item = trim((struct slice){p, (size_t)(stop - p)});
            if (item.n == member.n && strncasecmp(item.p, member.p, item.n) == 0)
                return true;
            p = stop + 1;
        }
    }
    return false;
}

/*
 * "A sender MUST NOT send a connection option corresponding to a field that is
 * intended for all recipients of the content" (RFC 9110 §7.6.1). A sender that
 * does it all the same would make a public page of a private one, or one that no
 * purge finds.
 */
static bool
is_for_everybody(const struct field *f)
{
    static const char *const names[] = {
        "Cache-Control", "Set-Cookie", "Set-Cookie2", "Vary",          "Expires",
        "Pragma",        "Age",        "Date",        "ETag",          "Last-Modified",
        "Location",      "xkey",       "Cookie",      "Authorization", "Via",
    };
    /* These fields tell a cache what it may do, and name the tags of a response. The hop that they
     * were meant for is the next one, and that is Larder. */
    static const char *const families[] = {"Content-",   "Cache-",   "CDN-",        "Larder-",
                                           "Surrogate-", "X-Accel-", "X-LiteSpeed-"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_equal_nocase(f->name, names[i]))
            return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        size_t n = strlen(families[i]);
        if (f->name.n > n && strncasecmp(f->name.p, families[i], n) == 0)
            return true;
    }
    return false;
}

static bool
is_hop_by_hop(const struct field *f, const void *arg)
{
    static const char *const names[] = {
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Authentication-Info",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slice_equal_nocase(f->name, names[i]))
            return true;
    /* What Connection lists is for this hop alone (RFC 9110 §7.6.1). */
    const struct fields *connection = arg;
    return connection->count && fields_list_has(connection, "Connection", f->name) &&
           !is_for_everybody(f);
}

void
fields_remove_hop_by_hop(struct fields *fields)
{
    /* The Connection lines are copied first: the list is packed while it is read. */
    struct field lines[FIELDS_MAX];
    struct fields connection = {.list = lines};
    size_t cursor = 0;
    const struct field *f;
    while ((f = fields_next(fields, "Connection", &cursor)) && connection.count < FIELDS_MAX)
        lines[connection.count++] = *f;
    remove_if(fields, is_hop_by_hop, &connection);
}
