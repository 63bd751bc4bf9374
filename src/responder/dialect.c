/*
 * Purges in the words of other caches.
 *
 * One table: what it is known by (a method, a field, a part of either), what its
 * sender means, and the values that add nothing to a plain PURGE. A form that is
 * to be understood one day is a row already: `means` says what to make of it, and
 * what reads it replaces the refusal there.
 *
 * Where the names come from:
 *   FOSHttpCache, ezplatform/Ibexa   BAN with X-Cache-Tags, X-Host, X-Url, X-Content-Type; PURGEKEYS
 *                                    with xkey-purge and xkey-softpurge; key; REFRESH
 *   Magento 2                        PURGE with X-Magento-Tags-Pattern and X-Pool
 *   TYPO3                            BAN with Varnish-Ban-All, Varnish-Ban-TYPO3-Pid, -Sitename
 *   Drupal (purge, varnish_purge)    BAN with Cache-Tags, X-Acquia-Purge-Tags; URIBAN, FULLBAN
 *   API Platform                     BAN with ApiPlatform-Ban-Regex
 *   WordPress (Proxy Cache Purge, WP Rocket, Breeze, VCaching, W3TC)
 *                                    PURGE of /.* with X-Purge-Method or X-VC-Purge-Method: regex,
 *                                    X-Purge-Regex; URLPURGE
 *   Fastly, LiteSpeed                Fastly-Soft-Purge; X-LiteSpeed-Purge
 *   many a VCL                       PURGEALL, PURGEHOST, PURGETAG, FLUSH, X-Ban-Url, X-Purge-Host
 *
 * What no row names is caught by what such names are made of: a word in them such
 * as purge, ban or tags. Names of secrets (X-VC-Purge-Key, X-Purge-Token) are no
 * part of what is meant.
 *
 * Called by admin.c for each purge, and for methods by each request that is not
 * a GET or HEAD. No I/O.
 */
#include "responder/dialect.h"

#include "base/error.h"

enum means {
    MEANS_TAGS,
    MEANS_GROUPS,
    MEANS_PATTERN, /* of URLs */
    MEANS_ALL,
    MEANS_URLS,
    MEANS_HOST,
    MEANS_SOFT,
    MEANS_REFRESH,
    MEANS_METHOD,
    MEANS_SOMETHING /* nobody can say what */
};

/* Then comes " to <admin.path>" where it is posted. */
static const struct {
    const char *words;
    bool posted;
} right_forms[] = {
    [MEANS_TAGS] = {"tags go into Surrogate-Key of a PURGE, or POST {\"tags\": [\"a\", \"b\"]}",
                    true},
    [MEANS_GROUPS] = {"POST {\"groups\": [\"a\"]}", true},
    [MEANS_PATTERN] = {"URLs are purged by name or by directory: POST {\"prefixes\": [\"/blog/\"]}",
                       true},
    [MEANS_ALL] = {"POST {\"all\": true}", true},
    [MEANS_URLS] = {"PURGE the URL itself, or POST {\"urls\": [\"https://HOST/PATH\"]}", true},
    [MEANS_HOST] = {"name the host in the URL: POST {\"urls\": [\"https://HOST/PATH\"]}", true},
    [MEANS_SOFT] = {"a soft PURGE has X-Larder-Soft: 1", false},
    [MEANS_REFRESH] = {"PURGE the URL, and it is fetched anew when it is asked for", false},
    [MEANS_METHOD] = {"send the method PURGE itself", false},
    [MEANS_SOMETHING] = {"say what is meant: POST {\"urls\": [\"/a\"]}, prefixes, tags or all",
                         true},
};

/* Values that make no difference to a PURGE. */
enum harmless {
    NO_VALUE,
    IF_OFF,  /* 0, false, no, off */
    IF_URL,  /* default, exact */
    IF_HOST, /* that of the request */
    IF_TARGET,
    IF_PURGE, /* PURGE */
    ANY_VALUE /* it is a secret, or is read elsewhere */
};

enum known_by {
    BY_METHOD,
    BY_METHOD_BEGIN,
    BY_METHOD_END,
    BY_FIELD,
    BY_FIELD_END,
    BY_FIELD_WORD /* between hyphens */
};

static const struct dialect {
    enum known_by by;
    const char *name;
    enum means means;
    enum harmless harmless;
} dialects[] = {
    {BY_METHOD, "BAN", MEANS_PATTERN, NO_VALUE},
    {BY_METHOD, "URIBAN", MEANS_URLS, NO_VALUE},
    {BY_METHOD, "FULLBAN", MEANS_ALL, NO_VALUE},
    {BY_METHOD, "PURGEALL", MEANS_ALL, NO_VALUE},
    {BY_METHOD, "FLUSH", MEANS_ALL, NO_VALUE},
    {BY_METHOD, "FLUSHALL", MEANS_ALL, NO_VALUE},
    {BY_METHOD, "PURGEKEYS", MEANS_TAGS, NO_VALUE},
    {BY_METHOD, "PURGEKEY", MEANS_TAGS, NO_VALUE},
    {BY_METHOD, "PURGETAGS", MEANS_TAGS, NO_VALUE},
    {BY_METHOD, "PURGETAG", MEANS_TAGS, NO_VALUE},
    {BY_METHOD, "PURGEPATH", MEANS_PATTERN, NO_VALUE},
    {BY_METHOD, "PURGEHOST", MEANS_PATTERN, NO_VALUE},
    {BY_METHOD, "URLPURGE", MEANS_URLS, NO_VALUE},
    {BY_METHOD, "INVALIDATE", MEANS_URLS, NO_VALUE},
    {BY_METHOD, "SOFTPURGE", MEANS_SOFT, NO_VALUE},
    {BY_METHOD, "REFRESH", MEANS_REFRESH, NO_VALUE},
    {BY_METHOD_BEGIN, "PURGE", MEANS_SOMETHING, NO_VALUE},
    {BY_METHOD_END, "PURGE", MEANS_SOMETHING, NO_VALUE},
    {BY_METHOD_BEGIN, "BAN", MEANS_PATTERN, NO_VALUE},
    {BY_METHOD_END, "BAN", MEANS_PATTERN, NO_VALUE},

    /* Ours. */
    {BY_FIELD, "X-Larder-Token", MEANS_SOMETHING, ANY_VALUE},
    {BY_FIELD, "X-Larder-Soft", MEANS_SOFT, ANY_VALUE},
    {BY_FIELD, "Soft-Purge", MEANS_SOFT, ANY_VALUE},
    {BY_FIELD, "Surrogate-Key", MEANS_TAGS, ANY_VALUE},
    {BY_FIELD, "xkey", MEANS_TAGS, ANY_VALUE},
    {BY_FIELD, "Cache-Tag", MEANS_TAGS, ANY_VALUE},

    {BY_FIELD, "xkey-purge", MEANS_TAGS, NO_VALUE},
    {BY_FIELD, "xkey-softpurge", MEANS_TAGS, NO_VALUE},
    {BY_FIELD, "key", MEANS_TAGS, NO_VALUE},
    {BY_FIELD, "X-Location-Id", MEANS_TAGS, NO_VALUE},
    {BY_FIELD, "X-Group-Location-Id", MEANS_TAGS, NO_VALUE},
    {BY_FIELD, "X-LiteSpeed-Purge", MEANS_TAGS, NO_VALUE},
    {BY_FIELD, "Varnish-Ban-TYPO3-Pid", MEANS_TAGS, NO_VALUE},
    {BY_FIELD, "Cache-Groups", MEANS_GROUPS, NO_VALUE},
    {BY_FIELD, "Cache-Group-Invalidation", MEANS_GROUPS, NO_VALUE},
    {BY_FIELD, "X-Cache-Group", MEANS_GROUPS, NO_VALUE},
    {BY_FIELD, "Varnish-Ban-All", MEANS_ALL, IF_OFF},
    {BY_FIELD, "Varnish-Ban-TYPO3-Sitename", MEANS_ALL, NO_VALUE},
    {BY_FIELD, "X-Purge-All", MEANS_ALL, IF_OFF},
    {BY_FIELD, "Purge-All", MEANS_ALL, IF_OFF},
    {BY_FIELD, "Clear-Cache", MEANS_ALL, IF_OFF},
    {BY_FIELD, "X-Clear-Cache", MEANS_ALL, IF_OFF},
    {BY_FIELD, "X-Pool", MEANS_SOMETHING, NO_VALUE},
    {BY_FIELD, "X-Purge-Method", MEANS_PATTERN, IF_URL},
    {BY_FIELD, "X-VC-Purge-Method", MEANS_PATTERN, IF_URL},
    {BY_FIELD, "X-Purge-Host", MEANS_HOST, IF_HOST},
    {BY_FIELD, "X-VC-Purge-Host", MEANS_HOST, IF_HOST},
    {BY_FIELD, "X-Ban-Host", MEANS_HOST, IF_HOST},
    {BY_FIELD, "X-Host", MEANS_HOST, IF_HOST},
    {BY_FIELD, "X-Url", MEANS_URLS, IF_TARGET},
    {BY_FIELD, "X-Match-Url", MEANS_PATTERN, NO_VALUE},
    {BY_FIELD, "X-Purge-Url", MEANS_URLS, IF_TARGET},
    {BY_FIELD, "X-Content-Type", MEANS_PATTERN, NO_VALUE},
    {BY_FIELD, "Fastly-Soft-Purge", MEANS_SOFT, IF_OFF},
    {BY_FIELD, "X-Soft-Purge", MEANS_SOFT, IF_OFF},
    {BY_FIELD, "X-Purge-Soft", MEANS_SOFT, IF_OFF},
    {BY_FIELD, "X-Magento-Purge-Soft", MEANS_SOFT, IF_OFF},
    {BY_FIELD, "X-HTTP-Method-Override", MEANS_METHOD, IF_PURGE},
    {BY_FIELD, "X-HTTP-Method", MEANS_METHOD, IF_PURGE},
    {BY_FIELD, "X-Method-Override", MEANS_METHOD, IF_PURGE},

    /* Of a surrogate in front, on whatever it passes on. */
    {BY_FIELD, "Surrogate-Capability", MEANS_SOMETHING, ANY_VALUE},

    /* Secrets: who may, and not what. */
    {BY_FIELD, "X-VC-Purge-Key", MEANS_SOMETHING, ANY_VALUE},
    {BY_FIELD_END, "-Token", MEANS_SOMETHING, ANY_VALUE},
    {BY_FIELD_END, "-Secret", MEANS_SOMETHING, ANY_VALUE},
    {BY_FIELD_END, "-Auth", MEANS_SOMETHING, ANY_VALUE},
    {BY_FIELD_END, "-Authorization", MEANS_SOMETHING, ANY_VALUE},
    {BY_FIELD_END, "-Password", MEANS_SOMETHING, ANY_VALUE},
    {BY_FIELD_END, "-Signature", MEANS_SOMETHING, ANY_VALUE},

    {BY_FIELD_WORD, "tag", MEANS_TAGS, NO_VALUE},
    {BY_FIELD_WORD, "tags", MEANS_TAGS, NO_VALUE},
    {BY_FIELD_WORD, "xkey", MEANS_TAGS, NO_VALUE},
    {BY_FIELD_WORD, "surrogate", MEANS_TAGS, NO_VALUE},
    {BY_FIELD_WORD, "ban", MEANS_PATTERN, NO_VALUE},
    {BY_FIELD_WORD, "regex", MEANS_PATTERN, NO_VALUE},
    {BY_FIELD_WORD, "regexp", MEANS_PATTERN, NO_VALUE},
    {BY_FIELD_WORD, "pattern", MEANS_PATTERN, NO_VALUE},
    {BY_FIELD_WORD, "wildcard", MEANS_PATTERN, NO_VALUE},
    {BY_FIELD_WORD, "purge", MEANS_SOMETHING, NO_VALUE},
    {BY_FIELD_WORD, "purges", MEANS_SOMETHING, NO_VALUE},
    {BY_FIELD_WORD, "softpurge", MEANS_SOFT, IF_OFF},
    {BY_FIELD_WORD, "flush", MEANS_SOMETHING, NO_VALUE},
    {BY_FIELD_WORD, "invalidate", MEANS_SOMETHING, NO_VALUE},
    {BY_FIELD_WORD, "invalidates", MEANS_SOMETHING, NO_VALUE},
    {BY_FIELD_WORD, "invalidation", MEANS_SOMETHING, NO_VALUE},
    {BY_FIELD_WORD, "larder", MEANS_SOMETHING, NO_VALUE},
};

/* --------------------------------------------------------------- comparing */

static bool
begins(struct slice text, const char *with)
{
    size_t n = strlen(with);
    return text.n >= n && strncasecmp(text.p, with, n) == 0;
}

static bool
ends(struct slice text, const char *with)
{
    size_t n = strlen(with);
    return text.n >= n && strncasecmp(text.p + text.n - n, with, n) == 0;
}

static bool
has_word(struct slice name, const char *word)
{
    size_t start = 0;
    for (size_t i = 0; i <= name.n; i++) {
        if (i < name.n && name.p[i] != '-')
            continue;
        if (slice_equal_nocase((struct slice){name.p + start, i - start}, word))
            return true;
        start = i + 1;
    }
    return false;
}

static bool
is_known_by(const struct dialect *dialect, struct slice name)
{
    switch (dialect->by) {
    case BY_METHOD:
    case BY_FIELD:
        return slice_equal_nocase(name, dialect->name);
    case BY_METHOD_BEGIN:
        return begins(name, dialect->name);
    case BY_METHOD_END:
    case BY_FIELD_END:
        return ends(name, dialect->name);
    case BY_FIELD_WORD:
        return has_word(name, dialect->name);
    }
    return false;
}

/* The first row that knows it: special ones stand before general ones. */
static const struct dialect *
find(struct slice name, bool method)
{
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++)
        if ((dialects[i].by <= BY_METHOD_END) == method && is_known_by(&dialects[i], name))
            return &dialects[i];
    return NULL;
}

static bool
is_one_of(struct slice value, const char *const *list)
{
    for (; *list; list++)
        if (slice_equal_nocase(value, *list))
            return true;
    return false;
}

static bool
is_host(struct slice value, struct slice host)
{
    return host.p && value.n == host.n && strncasecmp(value.p, host.p, host.n) == 0;
}

static bool
is_harmless(enum harmless harmless, struct slice value, const struct request *request)
{
    static const char *const off[] = {"0", "false", "no", "off", NULL};
    static const char *const url[] = {"default", "exact", NULL};
    switch (harmless) {
    case NO_VALUE:
        return false;
    case IF_OFF:
        return is_one_of(value, off);
    case IF_URL:
        return is_one_of(value, url);
    case IF_HOST:
        return is_host(value, request->host) || is_host(value, request->forwarded_host);
    case IF_TARGET:
        return slice_equal(value, request->target);
    case IF_PURGE:
        return slice_equal(value, slice_of("PURGE"));
    case ANY_VALUE:
        return true;
    }
    return false;
}

static enum larder_status
refuse(const char *what, struct slice name, enum means means, const char *admin_path,
       struct larder_error *err)
{
    return error_set(
        err, LARDER_INVALID, "found the %s %.*s, which is not understood here: %s%s%.80s", what,
        (int)(name.n < 64 ? name.n : 64), name.p, right_forms[means].words,
        right_forms[means].posted ? " to " : "", right_forms[means].posted ? admin_path : "");
}

/* ----------------------------------------------------------------- methods */

/* The row of a method; NULL: it is of no other cache. PURGE is ours. */
static const struct dialect *
find_method(struct slice method)
{
    return slice_equal(method, slice_of("PURGE")) ? NULL : find(method, true);
}

/* What stands for a method in a field, and purges. */
static struct slice
overriding_method(const struct request *request)
{
    static const char *const names[] = {"X-Http-Method-Override", "X-Http-Method",
                                        "X-Method-Override"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct slice value = fields_get(&request->fields, names[i]);
        if (value.p && find(value, true))
            return value;
    }
    return (struct slice){NULL, 0};
}

bool
dialect_is_method(const struct request *request)
{
    if (slice_equal(request->method, slice_of("GET")) ||
        slice_equal(request->method, slice_of("HEAD")) ||
        slice_equal(request->method, slice_of("PURGE")))
        return false;
    return find_method(request->method) || overriding_method(request).p;
}

enum larder_status
dialect_refuse_method(const struct request *request, const char *admin_path,
                      struct larder_error *err)
{
    const struct dialect *dialect = find_method(request->method);
    struct slice name = dialect ? request->method : overriding_method(request);
    enum means means = !dialect                                       ? MEANS_METHOD
                       : slice_equal_nocase(request->method, "PURGE") ? MEANS_METHOD
                                                                      : dialect->means;
    return refuse("method", name, means, admin_path, err);
}

/* ------------------------------------------------------------------ fields */

enum larder_status
dialect_check_fields(const struct request *request, bool posted, const char *admin_path,
                     struct larder_error *err)
{
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *f = &request->fields.list[i];
        const struct dialect *dialect = find(f->name, false);
        if (!dialect)
            continue;
        /* The body says what is meant: a field beside it is one that nobody reads. */
        bool beside = posted && dialect->harmless == ANY_VALUE && dialect->means != MEANS_SOMETHING;
        if (beside)
            return error_set(err, LARDER_INVALID,
                             "found the field %.*s beside a body or query, expected %s in it",
                             (int)f->name.n, f->name.p,
                             dialect->means == MEANS_SOFT ? "\"soft\"" : "\"tags\"");
        if (!is_harmless(dialect->harmless, f->value, request))
            return refuse("field", f->name, dialect->means, admin_path, err);
    }
    return LARDER_OK;
}

/* ------------------------------------------------------------------ targets */

/* Is there "[^...]" or "[a-z...]"? */
static bool
has_class(struct slice text)
{
    for (size_t i = 0; i + 3 < text.n; i++)
        if (text.p[i] == '[' && (text.p[i + 1] == '^' || text.p[i + 2] == '-'))
            return true;
    return false;
}

static bool
has(struct slice text, const char *part)
{
    return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

/* A whole segment "*" or "**", or one as in "*.css". */
static bool
has_star_segment(struct slice path)
{
    for (size_t i = 0; i + 1 < path.n; i++) {
        if (path.p[i] != '/' || path.p[i + 1] != '*')
            continue;
        size_t end = i + 1;
        while (end < path.n && path.p[end] == '*')
            end++;
        if (end == path.n || path.p[end] == '/' || path.p[end] == '.')
            return true;
    }
    return false;
}

const char *
dialect_pattern_sign(struct slice target)
{
    const char *mark = memchr(target.p, '?', target.n);
    struct slice path = {target.p, mark ? (size_t)(mark - target.p) : target.n};
    struct slice query = {target.p + path.n, target.n - path.n};
    if (has(path, ".*") || begins(query, "?.*"))
        return ".*";
    if (has(path, "(.+") || (ends(path, "(") && query.n > 0) || (has(path, "(") && has(path, "|")))
        return "a group of a regular expression";
    if (has(path, "^") || has(target, "\\"))
        return "a sign of regular expressions";
    if (has_class(path))
        return "a class of characters";
    if (has_star_segment(path))
        return "a * for a whole name";
    if (ends(target, "*") || ends(path, "*"))
        return "a * at its end";
    if (ends(target, "$"))
        return "a $ at its end";
    return NULL;
}
