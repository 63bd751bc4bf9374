/*
 * Tags: which generations a stored response hangs on, and which generation has
 * to go when an application invalidates a pattern.
 *
 * The keys of responses are a small language,
 *
 *     [<resource>:][user:<id>:]response:<64 hex digits>
 *
 * with names of one or more letters, digits and . _ - @ %, so the questions about a glob
 * are answered exactly, not by looking at its spelling: walk all keys of a form
 * through the pattern at once, keeping the set of places in the pattern that
 * some key may have reached. "Does it concern only resource r?" is asked as "is
 * there no key that it matches and whose resource differs from r?". A tag is
 * given only on such a proof; without one it is a wider tag. A tag too wide
 * costs a few fetches, one too narrow would serve a stale page.
 *
 * Called by the sweeps and by the responder for every fill. No I/O;
 * memory only out of the caller's arena; time is bounded by the square of
 * GLOB_MAX, and by the number of colons in a key, for any pattern.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "client/store.h"

/* Longer ones get the widest tag unread. The limit of larder_delete_pattern() is the same. */
#define GLOB_MAX 1024
/* A key has at most four colons, so a pattern that demands more matches none. */
#define KEY_COLONS_MAX 4
#define KEY_HASH_LEN 64

/* ------------------------------------------------------------------ the tags of a response */

/* ':' would let one name pass for two. */
static bool
name_valid(const char *name)
{
    return !strchr(name, ':');
}

/* The tag of a resource, a user, both, or ("" twice) everything. */
static bool
write_tag(char tag[STORE_TAG_SIZE], const char *resource, const char *user)
{
    int n;

    if (!*resource && !*user)
        n = snprintf(tag, STORE_TAG_SIZE, TAG_ALL);
    else if (!*user)
        n = snprintf(tag, STORE_TAG_SIZE, TAG_RESOURCE "%s", resource);
    else if (!*resource)
        n = snprintf(tag, STORE_TAG_SIZE, TAG_USER "%s", user);
    else
        n = snprintf(tag, STORE_TAG_SIZE, TAG_RESOURCE "%s:" TAG_USER "%s", resource, user);
    return n >= 0 && n < STORE_TAG_SIZE;
}

void
store_url_tag(char tag[STORE_TAG_SIZE], const store_hash url)
{
    memcpy(tag, TAG_URL, NAME_LEN(TAG_URL));
    memcpy(tag + NAME_LEN(TAG_URL), url, sizeof(store_hash));
}

void
store_directory_tag(char tag[STORE_TAG_SIZE], const store_hash directory)
{
    memcpy(tag, TAG_DIRECTORY, NAME_LEN(TAG_DIRECTORY));
    memcpy(tag + NAME_LEN(TAG_DIRECTORY), directory, sizeof(store_hash));
}

/* A name that somebody else has thought of: nothing in it is a blank, a colon or a control
 * character afterwards. */
static bool
write_name(char *to, struct slice name)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._~/@+=";

    if (name.n == 0 || name.n > STORE_TAG_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c != '\0' && strchr(plain, c)) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    *to = '\0';
    return true;
}

bool
store_named_tag(char tag[STORE_TAG_SIZE], struct slice name)
{
    static_assert(sizeof TAG_GROUP ":" + STORE_HASH_LEN + 3 * STORE_TAG_NAME_MAX <= STORE_TAG_SIZE,
                  "a name has room in a tag");
    memcpy(tag, TAG_NAMED, NAME_LEN(TAG_NAMED));
    return write_name(tag + NAME_LEN(TAG_NAMED), name);
}

bool
store_group_tag(char tag[STORE_TAG_SIZE], const store_hash origin, struct slice name)
{
    char *p = tag + NAME_LEN(TAG_GROUP);
    memcpy(tag, TAG_GROUP, NAME_LEN(TAG_GROUP));
    memcpy(p, origin, STORE_HASH_LEN);
    p[STORE_HASH_LEN] = ':';
    return write_name(p + STORE_HASH_LEN + 1, name);
}

bool
store_tags_add(struct store_tags *tags, struct arena *arena, const char *tag)
{
    size_t n = strnlen(tag, STORE_TAG_SIZE);

    for (size_t i = 0; i < tags->count; i++)
        if (strcmp(tags->name[i], tag) == 0)
            return true;
    if (tags->count == STORE_TAGS_MAX || n == 0 || n == STORE_TAG_SIZE)
        return false;
    const char *copy = arena_strndup(arena, tag, n);
    if (!copy)
        return false;
    tags->name[tags->count++] = copy;
    return true;
}

static bool
add_tag(struct store_tags *tags, struct arena *arena, const char *resource, const char *user)
{
    char tag[STORE_TAG_SIZE];

    return write_tag(tag, resource, user) && store_tags_add(tags, arena, tag);
}

bool
store_tags_for(struct store_tags *tags, struct arena *arena, const char *resource, const char *user)
{
    if (!resource)
        resource = "";
    if (!user)
        user = "";
    tags->count = 0;
    if (!name_valid(resource) || !name_valid(user))
        return false;
    return add_tag(tags, arena, "", "") && (!*resource || add_tag(tags, arena, resource, "")) &&
           (!*user || add_tag(tags, arena, "", user)) &&
           (!*resource || !*user || add_tag(tags, arena, resource, user));
}

bool
store_escape_user(char *buf, size_t size, const char *id, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    if (size == 0)
        return false;
    buf[0] = '\0';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)id[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     c == '.' || c == '_' || c == '@' || c == '-';
        size_t need = plain ? 1 : 3;
        if (size - n <= need) {
            buf[0] = '\0'; /* half an id could be somebody else's */
            return false;
        }
        if (plain) {
            buf[n++] = (char)c;
        } else {
            buf[n++] = '%';
            buf[n++] = hex[c >> 4];
            buf[n++] = hex[c & 15];
        }
    }
    buf[n] = '\0';
    return true;
}

/* ------------------------------------------------------------------- a pattern, made walkable */

/* A set of bytes. */
struct bytes {
    uint64_t bit[4];
};

struct glob {
    size_t count;
    bool star[GLOB_MAX];
    struct bytes takes[GLOB_MAX]; /* where it is no star: the bytes that it accepts */
};

/* Places in a glob: at[i] before element i, at[count] behind the last. */
struct places {
    bool at[GLOB_MAX + 1];
};

static void
bytes_add(struct bytes *set, unsigned char c)
{
    set->bit[c >> 6] |= UINT64_C(1) << (c & 63);
}

static void
bytes_remove(struct bytes *set, unsigned char c)
{
    set->bit[c >> 6] &= ~(UINT64_C(1) << (c & 63));
}

static bool
bytes_meet(const struct bytes *a, const struct bytes *b)
{
    return ((a->bit[0] & b->bit[0]) | (a->bit[1] & b->bit[1]) | (a->bit[2] & b->bit[2]) |
            (a->bit[3] & b->bit[3])) != 0;
}

static struct bytes
bytes_one(char c)
{
    struct bytes set = {{0}};
    bytes_add(&set, (unsigned char)c);
    return set;
}

/* What a resource may be made of in the configuration, and what store_escape_user() leaves. No slash:
 * a pattern that begins with one is meant for URLs, and would pass for a resource. */
static struct bytes
bytes_of_names(void)
{
    struct bytes set = {{0}};
    for (const char *p = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@%"; *p;
         p++)
        bytes_add(&set, (unsigned char)*p);
    return set;
}

static struct bytes
bytes_of_hashes(void)
{
    struct bytes set = {{0}};
    for (const char *p = "0123456789abcdef"; *p; p++)
        bytes_add(&set, (unsigned char)*p);
    return set;
}

/* At most GLOB_MAX bytes, so at most as many elements. */
static void
glob_compile(struct glob *glob, const char *pattern, size_t len)
{
    size_t pos = 0;

    glob->count = 0;
    while (pos < len) {
        size_t i = glob->count++;
        glob->star[i] = pattern[pos] == '*';
        glob->takes[i] = (struct bytes){{0}};
        if (glob->star[i]) {
            pos++;
            continue;
        }
        size_t begin = pos;
        for (int c = 0; c < 256; c++) {
            pos = begin;
            if (glob_element(pattern, len, &pos, (char)c))
                bytes_add(&glob->takes[i], (unsigned char)c);
        }
    }
}

/* Where a walk may be after any number of bytes out of `set`, also none. It never goes back, so one
 * pass in the pattern's order is enough. */
static void
walk_run(const struct glob *glob, struct places *places, const struct bytes *set)
{
    for (size_t i = 0; i < glob->count; i++)
        if (places->at[i] && (glob->star[i] || bytes_meet(&glob->takes[i], set)))
            places->at[i + 1] = true;
}

/* The same over the stars alone: each may take nothing. */
static void
walk_stars(const struct glob *glob, struct places *places)
{
    walk_run(glob, places, &(struct bytes){{0}});
}

/* The same after exactly one byte. Backwards, so that each place still sees its predecessor's
 * old state. */
static void
walk_byte(const struct glob *glob, struct places *places, const struct bytes *set)
{
    walk_stars(glob, places);
    for (size_t i = glob->count + 1; i-- > 0;) {
        bool stays = i < glob->count && glob->star[i] && places->at[i];
        bool comes = i > 0 && !glob->star[i - 1] && places->at[i - 1] &&
                     bytes_meet(&glob->takes[i - 1], set);
        places->at[i] = stays || comes;
    }
}

static void
walk_text(const struct glob *glob, struct places *places, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        struct bytes set = bytes_one(text[i]);
        walk_byte(glob, places, &set);
    }
}

static void
join(const struct glob *glob, struct places *places, const struct places *more)
{
    for (size_t i = 0; i <= glob->count; i++)
        places->at[i] |= more->at[i];
}

/* A name in a key: none at all, any, or any but this one. */
struct name {
    enum { NAME_ABSENT, NAME_ANY, NAME_OTHER } is;
    const char *than; /* NAME_OTHER */
    size_t len;
};

static void
walk_any_name(const struct glob *glob, struct places *places)
{
    struct bytes set = bytes_of_names();
    walk_byte(glob, places, &set);
    walk_run(glob, places, &set);
}

/*
 * Every name but one: it goes along with that one for a while and then ends
 * early, goes on with another byte, or goes on past its end.
 */
static void
walk_other_name(const struct glob *glob, struct places *places, const char *than, size_t len)
{
    struct bytes names = bytes_of_names();
    struct places ended = {{false}};
    struct places parted = {{false}};

    for (size_t i = 0; i <= len; i++) {
        struct places part = *places;
        struct bytes set = names;
        if (i < len)
            bytes_remove(&set, (unsigned char)than[i]);
        walk_byte(glob, &part, &set);
        join(glob, &parted, &part);
        if (i < len) {
            if (i > 0)
                join(glob, &ended, places);
            walk_text(glob, places, than + i, 1);
        }
    }
    walk_run(glob, &parted, &names);
    join(glob, &ended, &parted);
    *places = ended;
}

static void
walk_name(const struct glob *glob, struct places *places, const struct name *name)
{
    if (name->is == NAME_OTHER)
        walk_other_name(glob, places, name->than, name->len);
    else
        walk_any_name(glob, places);
    walk_text(glob, places, ":", 1);
}

/* Is there a key of this form that the glob matches? */
static bool
concerns(const struct glob *glob, struct name resource, struct name user)
{
    struct places places = {{true}};
    struct bytes hash = bytes_of_hashes();

    if (resource.is != NAME_ABSENT)
        walk_name(glob, &places, &resource);
    if (user.is != NAME_ABSENT) {
        walk_text(glob, &places, NAME_USER, NAME_LEN(NAME_USER));
        walk_name(glob, &places, &user);
    }
    walk_text(glob, &places, NAME_RESPONSE, NAME_LEN(NAME_RESPONSE));
    for (int i = 0; i < KEY_HASH_LEN; i++)
        walk_byte(glob, &places, &hash);
    walk_stars(glob, &places);
    return places.at[glob->count];
}

/* -------------------------------------------------------------------- the tag of a pattern */

static const struct name absent = {.is = NAME_ABSENT};
static const struct name any = {.is = NAME_ANY};

/* Every response that the glob matches is this resource's (this user's), given that it matches one
 * at all. */
static bool
only_resource(const struct glob *glob, const char *word, size_t len)
{
    struct name other = {NAME_OTHER, word, len};
    return !concerns(glob, absent, absent) && !concerns(glob, absent, any) &&
           !concerns(glob, other, absent) && !concerns(glob, other, any);
}

static bool
only_user(const struct glob *glob, const char *word, size_t len)
{
    struct name other = {NAME_OTHER, word, len};
    return !concerns(glob, absent, absent) && !concerns(glob, any, absent) &&
           !concerns(glob, absent, other) && !concerns(glob, any, other);
}

/*
 * The words of a pattern: what stands in it literally between two colons, or
 * between the beginning and a colon. A name that all matching keys share must
 * be one of them, since anything else would leave it a choice. Classes are not
 * looked into: `[4]2` is no word, and gets a wider tag.
 */
struct words {
    size_t count;
    struct {
        char text[STORE_TAG_SIZE];
        size_t len;
    } list[KEY_COLONS_MAX];
    size_t colons; /* that any match must have */
};

static void
find_words(struct words *words, const char *pattern, size_t len)
{
    char text[STORE_TAG_SIZE];
    size_t n = 0;
    bool literal = true;

    words->count = words->colons = 0;
    for (size_t pos = 0; pos < len;) {
        char c = pattern[pos];
        if (c == '*' || c == '?' || c == '[') {
            literal = false;
            if (c == '*')
                pos++;
            else
                glob_element(pattern, len, &pos, '\0');
            continue;
        }
        if (c == '\\' && pos + 1 < len)
            c = pattern[++pos];
        pos++;
        if (c != ':') {
            if (n < sizeof text)
                text[n] = c;
            n++;
            continue;
        }
        words->colons++;
        /* Too long for a tag: no stored response has this name. */
        if (literal && n > 0 && n < sizeof text && words->count < KEY_COLONS_MAX) {
            memcpy(words->list[words->count].text, text, n);
            words->list[words->count].text[n] = '\0';
            words->list[words->count++].len = n;
        }
        n = 0;
        literal = true;
    }
}

bool
store_tag_for_pattern(const char *pattern, char tag[STORE_TAG_SIZE])
{
    size_t len = strlen(pattern);
    struct glob glob;
    struct words words;
    char narrow[STORE_TAG_SIZE];
    const char *resource = "", *user = "";

    snprintf(tag, STORE_TAG_SIZE, TAG_ALL);
    if (len > GLOB_MAX)
        return true;
    find_words(&words, pattern, len);
    if (words.colons > KEY_COLONS_MAX)
        return false;
    glob_compile(&glob, pattern, len);
    if (!concerns(&glob, absent, absent) && !concerns(&glob, any, absent) &&
        !concerns(&glob, absent, any) && !concerns(&glob, any, any))
        return false;

    if (words.count > 0 && only_resource(&glob, words.list[0].text, words.list[0].len))
        resource = words.list[0].text;
    for (size_t i = 0; i < words.count && !*user; i++)
        if (only_user(&glob, words.list[i].text, words.list[i].len))
            user = words.list[i].text;
    /* Both names in one tag may be too long for it; then no response has it either, but wider is
     * always right. */
    if (write_tag(narrow, resource, user) || write_tag(narrow, resource, ""))
        memcpy(tag, narrow, strlen(narrow) + 1);
    return true;
}
