/*
 * Accept-Encoding and Accept-Language, reduced (negotiate.c). The input's first
 * line are codings, the second languages, as they would be configured (what no
 * configuration would hold is left out); the rest is the field's value.
 *
 * Must hold besides not crashing: the reduced encoding has codings that are
 * offered, in their order, and is its own reduction; the language is one that is
 * offered, and fits itself; in what order the members stand makes no difference.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fields.h"
#include "http/negotiate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not for NDEBUG to switch off. */
#define MUST(condition)   \
    do {                  \
        if (!(condition)) \
            abort();      \
    } while (0)

#define SIZE_LIMIT ((size_t)16 * 1024)
#define NAMES_MAX 16

/* Up to the next of these. */
static struct slice
until(struct slice *rest, char stop)
{
    const char *end = rest->n ? memchr(rest->p, stop, rest->n) : NULL;
    struct slice part = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    rest->p += part.n + (end != NULL);
    rest->n -= part.n + (end != NULL);
    return part;
}

struct names {
    const char *list[NAMES_MAX];
    size_t count;
};

/* Tokens, each once; neither "*" nor a coding that is only another name of one. */
static struct names
names_of(struct slice text, struct arena *arena)
{
    struct names names = {.count = 0};
    while (text.n && names.count < NAMES_MAX) {
        struct slice name = until(&text, ' ');
        bool good = field_name_valid(name) && !slice_equal(name, slice_of("*")) &&
                    !slice_equal_nocase(name, "identity") &&
                    !(name.n > 2 && strncasecmp(name.p, "x-", 2) == 0);
        for (size_t i = 0; good && i < names.count; i++)
            good = !slice_equal_nocase(name, names.list[i]);
        if (good) {
            names.list[names.count] = arena_strndup(arena, name.p, name.n);
            MUST(names.list[names.count++]);
        }
    }
    return names;
}

static void
encoding_is_sound(struct slice encoding, const struct names *codings)
{
    size_t next = 0;
    while (encoding.n) {
        struct slice member = until(&encoding, ',');
        if (encoding.n)
            MUST(until(&encoding, ' ').n == 0 && encoding.n);
        if (slice_equal(member, slice_of("identity;q=0"))) {
            MUST(encoding.n == 0);
            return;
        }
        while (next < codings->count && !slice_equal(member, slice_of(codings->list[next])))
            next++;
        MUST(next++ < codings->count);
    }
}

/* The members from the last to the first. .p NULL: more than are looked at. */
static struct slice
reversed(struct slice value, struct arena *arena)
{
    size_t members = 1, n = value.n;
    char *text = arena_alloc(arena, n);
    MUST(text);
    while (value.n) {
        bool more = memchr(value.p, ',', value.n) != NULL;
        struct slice member = until(&value, ',');
        n -= member.n;
        memcpy(text + n, member.p, member.n);
        if (more) {
            text[--n] = ',';
            members++;
        }
    }
    MUST(n == 0);
    return members <= NEGOTIATE_MEMBERS_MAX ? (struct slice){text, 0} : (struct slice){NULL, 0};
}

static bool
is_offered(const char *language, const struct names *languages)
{
    for (size_t i = 0; i < languages->count; i++)
        if (languages->list[i] == language)
            return true;
    return false;
}

/* "de" takes "de-CH" too, if that is offered before; but there it ends. */
static void
language_is_sound(const char *language, const struct names *languages)
{
    MUST(is_offered(language, languages));
    const char *again = negotiate_language(slice_of(language), languages->list, languages->count);
    MUST(again && strncasecmp(again, language, strlen(language)) == 0);
    MUST(negotiate_language(slice_of(again), languages->list, languages->count) == again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SIZE_LIMIT)
        return 0;
    struct arena *arena = arena_new((size_t)1024 * 1024);
    MUST(arena);
    struct slice rest = {(const char *)data, size};
    struct names codings = names_of(until(&rest, '\n'), arena);
    struct names languages = names_of(until(&rest, '\n'), arena);
    bool failed = false;

    struct slice encoding = negotiate_encoding(rest, codings.list, codings.count, arena, &failed);
    MUST(!failed && !encoding.p == !encoding.n);
    encoding_is_sound(encoding, &codings);
    MUST(slice_equal(encoding,
                     negotiate_encoding(encoding, codings.list, codings.count, arena, &failed)));

    const char *language = negotiate_language(rest, languages.list, languages.count);
    if (language)
        language_is_sound(language, &languages);

    struct slice other = reversed(rest, arena);
    if (other.p) {
        other.n = rest.n;
        MUST(slice_equal(encoding,
                         negotiate_encoding(other, codings.list, codings.count, arena, &failed)));
        MUST(negotiate_language(other, languages.list, languages.count) == language);
    }
    arena_free(arena);
    return 0;
}
