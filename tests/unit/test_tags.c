/*
 * Tags: that invalidating a pattern never leaves a response alive that the
 * pattern covers, and does not kill more than it must where it matters.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/glob.h"
#include "client/store.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SEED 77u
#define ROUNDS 20000

static struct arena *arena;

static void
a_response_carries_the_tags_of_what_it_belongs_to(void **state)
{
    (void)state;
    struct store_tags tags;

    assert_true(store_tags_for(&tags, arena, NULL, ""));
    assert_int_equal(tags.count, 1);
    assert_string_equal(tags.name[0], "all");

    assert_true(store_tags_for(&tags, arena, "session", NULL));
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.name[1], "resource:session");

    assert_true(store_tags_for(&tags, arena, "", "42"));
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.name[1], "user:42");

    assert_true(store_tags_for(&tags, arena, "session", "42"));
    assert_int_equal(tags.count, 4);
    assert_string_equal(tags.name[0], "all");
    assert_string_equal(tags.name[1], "resource:session");
    assert_string_equal(tags.name[2], "user:42");
    assert_string_equal(tags.name[3], "resource:session:user:42");
}

static void
a_name_that_does_not_fit_or_could_pass_for_two_is_refused(void **state)
{
    (void)state;
    struct store_tags tags;
    char name[STORE_TAG_SIZE + 1];

    memset(name, 'a', sizeof name);
    name[STORE_TAG_SIZE - sizeof "resource:"] = '\0';
    assert_true(store_tags_for(&tags, arena, name, NULL));
    assert_int_equal(strlen(tags.name[1]), STORE_TAG_SIZE - 1);
    assert_false(store_tags_for(&tags, arena, name, "42"));
    name[STORE_TAG_SIZE - sizeof "resource:"] = 'a';
    name[STORE_TAG_SIZE] = '\0';
    assert_false(store_tags_for(&tags, arena, name, NULL));
    assert_false(store_tags_for(&tags, arena, NULL, name));
    assert_false(store_tags_for(&tags, arena, "a:user:b", NULL));
    assert_false(store_tags_for(&tags, arena, NULL, "4:2"));
}

static void
a_tag_is_there_once_and_is_a_copy(void **state)
{
    (void)state;
    struct store_tags tags;
    char tag[STORE_TAG_SIZE] = "tag:x";

    assert_true(store_tags_for(&tags, arena, NULL, NULL));
    assert_true(store_tags_add(&tags, arena, tag));
    assert_true(store_tags_add(&tags, arena, tag));
    assert_true(store_tags_add(&tags, arena, "all"));
    assert_int_equal(tags.count, 2);
    tag[4] = 'y';
    assert_string_equal(tags.name[1], "tag:x");
    for (int i = 0; tags.count < STORE_TAGS_MAX; i++) {
        snprintf(tag, sizeof tag, "tag:%d", i);
        assert_true(store_tags_add(&tags, arena, tag));
    }
    assert_false(store_tags_add(&tags, arena, "tag:more"));
    assert_true(store_tags_add(&tags, arena, "tag:0"));
    assert_int_equal(tags.count, STORE_TAGS_MAX);
}

static void
a_tag_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct store_tags tags = {.count = 0};
    char tag[STORE_TAG_SIZE + 1];
    struct arena *small = arena_new(8);

    memset(tag, 'a', sizeof tag);
    tag[STORE_TAG_SIZE] = '\0';
    assert_false(store_tags_add(&tags, arena, tag));
    assert_false(store_tags_add(&tags, arena, ""));
    tag[STORE_TAG_SIZE - 1] = '\0';
    assert_false(store_tags_add(&tags, small, tag));
    assert_int_equal(tags.count, 0);
    assert_true(store_tags_add(&tags, arena, tag));
    assert_int_equal(tags.count, 1);
    arena_free(small);
}

static void
names_that_others_give_are_written_so_that_none_passes_for_another(void **state)
{
    (void)state;
    static const store_hash hash = "0123456789abcdef01234567";
    char tag[STORE_TAG_SIZE], long_name[STORE_TAG_NAME_MAX + 1];

    assert_true(store_named_tag(tag, slice_of("news/2026-11_a.b~c@d+e=f")));
    assert_string_equal(tag, "tag:news/2026-11_a.b~c@d+e=f");
    assert_true(store_named_tag(tag, (struct slice){"a:b c%\0\xff", 8}));
    assert_string_equal(tag, "tag:a%3Ab%20c%25%00%FF");
    assert_true(store_group_tag(tag, hash, slice_of("g:1")));
    assert_string_equal(tag, "group:0123456789abcdef01234567:g%3A1");
    store_directory_tag(tag, hash);
    assert_string_equal(tag, "dir:0123456789abcdef01234567");
    store_url_tag(tag, hash);
    assert_string_equal(tag, "url:0123456789abcdef01234567");

    memset(long_name, ':', sizeof long_name);
    assert_true(store_named_tag(tag, (struct slice){long_name, STORE_TAG_NAME_MAX}));
    assert_int_equal(strlen(tag), 4 + 3 * STORE_TAG_NAME_MAX);
    assert_true(store_group_tag(tag, hash, (struct slice){long_name, STORE_TAG_NAME_MAX}));
    assert_int_equal(strlen(tag), 31 + 3 * STORE_TAG_NAME_MAX);
    assert_false(store_named_tag(tag, (struct slice){long_name, sizeof long_name}));
    assert_false(store_named_tag(tag, slice_of("")));
    assert_false(store_group_tag(tag, hash, slice_of("")));
}

static void
an_escaped_user_is_one_segment_and_nobody_elses(void **state)
{
    (void)state;
    char buf[16], again[16];

    assert_true(store_escape_user(buf, sizeof buf, "A-z.0_9@b", 9));
    assert_string_equal(buf, "A-z.0_9@b");
    assert_true(store_escape_user(buf, sizeof buf, "a:*%\0", 5));
    assert_string_equal(buf, "a%3A%2A%25%00");
    assert_true(store_escape_user(again, sizeof again, "a%3A", 4));
    assert_string_equal(again, "a%253A");
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        assert_true(store_escape_user(buf, sizeof buf, &byte, 1));
        assert_null(strpbrk(buf, ":*?[]^\\ "));
        if (strlen(buf) == 3)
            assert_int_equal(strtol(buf + 1, NULL, 16), c);
        else
            assert_true(buf[0] == byte && buf[1] == '\0');
    }
}

static void
an_escaped_user_is_whole_or_empty_at_every_size(void **state)
{
    (void)state;
    static const char want[] = "a%3Ab";
    for (size_t size = 0; size < sizeof want + 2; size++) {
        char *buf = malloc(size + 1);
        assert_non_null(buf);
        memset(buf, 0x5a, size + 1);
        assert_true(store_escape_user(buf, size, "a:b", 3) == (size >= sizeof want));
        if (size > 0)
            assert_string_equal(buf, size >= sizeof want ? want : "");
        assert_int_equal(buf[size], 0x5a);
        free(buf);
    }
}

static void
a_pattern_gets_the_narrowest_tag_that_is_safe(void **state)
{
    (void)state;
    /* tag NULL: no response can match */
    static const struct {
        const char *pattern, *tag;
    } cases[] = {
        {"*", "all"},
        {"**", "all"},
        {"response:*", "all"},
        {"*response*", "all"},
        {"session:*", "resource:session"},
        {"session:response:*", "resource:session"},
        {"session:user:*", "resource:session"},
        {"session:user:42:*", "resource:session:user:42"},
        {"session:*:42:*", "resource:session:user:42"},
        {"session:user:42*", "resource:session"}, /* user 421 too */
        {"session*", "all"},                      /* sessions */
        {"*:user:42:*", "user:42"},
        {"*:user:42:response:*", "user:42"},
        {"*user:42:*", "user:42"}, /* "xuser:42:" begins no key */
        {"user:42:*", "user:42"},
        {"user:42:response:" HASH, "user:42"},
        {"*:user:42*", "all"},
        {"*:user:4\\2:*", "user:42"},
        {"*:user:a\\-b%3A:*", "user:a-b%3A"},
        {"*:user:4?:*", "all"},
        {"*:user:[4]2:*", "all"}, /* could be narrower, need not */
        {"*:user:*", "all"},
        {"*:user:response:*", "all"}, /* also the user "user" of any resource */
        {"user:*", "all"},            /* responses without a resource */
        {"[s]ession:*", "all"},
        {"sess\\ion:*", "resource:session"},
        {"session:??sponse:*", "resource:session"},
        {"?:response:*", "all"},
        {"*:" HASH, "all"},
        {"template:favorites:*", NULL},
        {"template:all", NULL},
        {"session:42", NULL},
        {"session:*:stats", NULL},
        {"user:42", NULL},
        {"user:username:*", "user:username"}, /* it may be an id */
        {"quota:user:42", NULL},
        {"response:", NULL},
        {"response:abc", NULL},
        {"response:" HASH "0", NULL},
        {"response:X*", NULL},
        {":response:*", NULL}, /* a resource has at least one byte */
        {"user::response:*", NULL},
        {"a:b:c:d:e:*", NULL},
        {"*:*:*:*:*:*", NULL},
        /* Meant for URLs: no name in a key has such bytes. */
        {"/blog/*", NULL},
        {"*/blog/*", NULL},
        {"https://shop.example/*", NULL},
        {"^session*", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char tag[STORE_TAG_SIZE];
        bool found = store_tag_for_pattern(cases[i].pattern, tag);
        if (found != (cases[i].tag != NULL) || (found && strcmp(tag, cases[i].tag) != 0))
            fail_msg("%s: %s, not %s", cases[i].pattern, found ? tag : "(none)",
                     cases[i].tag ? cases[i].tag : "(none)");
    }
}

/* ----------------------------------------------------------------------------- the property */

static uint32_t random_state = SEED;

static uint32_t
random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

static const char *
pick(const char *const *list, size_t n)
{
    return list[random_below((uint32_t)n)];
}

/* Names that are easily taken for something else. */
static const char *const words[] = {"session", "user", "response", "a",   "ab",
                                    "42",      "424",  "a-b",      "4%2", "sessions"};
#define WORDS (sizeof words / sizeof *words)

struct key {
    char text[256];
    struct store_tags tags;
};

static void
random_key(struct key *key)
{
    const char *resource = random_below(3) ? pick(words, WORDS) : "";
    const char *user = random_below(2) ? pick(words, WORDS) : "";
    char hash[65];

    for (size_t i = 0; i < 64; i++)
        hash[i] = "0123456789abcdef"[random_below(16)];
    hash[64] = '\0';
    snprintf(key->text, sizeof key->text, "%s%s%s%s%sresponse:%s", resource, *resource ? ":" : "",
             *user ? "user:" : "", user, *user ? ":" : "", hash);
    assert_true(store_tags_for(&key->tags, arena, resource, user));
}

/* A key, made more general step by step, or else: most such patterns match something. */
static void
random_pattern(const struct key *key, char *pattern, size_t size)
{
    size_t n = 0;
    const char *p = key->text;

    while (*p && n + 8 < size) {
        uint32_t what = random_below(40);
        if (what == 0) {
            pattern[n++] = '*';
            p += random_below((uint32_t)strlen(p) + 1);
        } else if (what == 1) {
            pattern[n++] = '*';
        } else if (what == 2) {
            pattern[n++] = '?';
            p++;
        } else if (what == 3) {
            n += (size_t)snprintf(pattern + n, size - n, "[%s%c]", random_below(4) ? "" : "^", *p);
            p++;
        } else if (what == 4) {
            pattern[n++] = '\\';
            pattern[n++] = *p++;
        } else if (what == 5 && random_below(4) == 0) {
            pattern[n++] = "[]^\\:-"[random_below(6)];
        } else {
            pattern[n++] = *p++;
        }
        if (p - key->text > 20 && random_below(6) == 0) {
            pattern[n++] = '*';
            break;
        }
    }
    pattern[n] = '\0';
}

static bool
has_tag(const struct store_tags *tags, const char *tag)
{
    for (size_t i = 0; i < tags->count; i++)
        if (strcmp(tags->name[i], tag) == 0)
            return true;
    return false;
}

static void
whatever_matches_a_key_has_one_of_its_tags(void **state)
{
    (void)state;
    enum { KEYS = 64 };
    static struct key keys[KEYS];
    size_t matched = 0, narrow = 0, none = 0;

    for (size_t i = 0; i < KEYS; i++)
        random_key(&keys[i]);
    for (size_t round = 0; round < ROUNDS; round++) {
        char pattern[300], tag[STORE_TAG_SIZE];
        random_key(&keys[round % KEYS]);
        random_pattern(&keys[round % KEYS], pattern, sizeof pattern);
        bool found = store_tag_for_pattern(pattern, tag);
        narrow += found && strcmp(tag, "all") != 0;
        none += !found;
        for (size_t i = 0; i < KEYS; i++) {
            if (!glob_match(pattern, strlen(pattern), keys[i].text, strlen(keys[i].text)))
                continue;
            matched++;
            if (!found || !has_tag(&keys[i].tags, tag))
                fail_msg("%s matches %s but goes to %s", pattern, keys[i].text,
                         found ? tag : "(none)");
        }
    }
    /* All three answers must have been given often, or the property was not tried. */
    assert_true(matched > ROUNDS && narrow > ROUNDS / 10 && none > ROUNDS / 10);
}

static void
a_hostile_pattern_takes_bounded_time(void **state)
{
    (void)state;
    static char pattern[4096];
    char tag[STORE_TAG_SIZE];

    alarm(30);
    for (size_t len = 1020; len <= 1028; len++) {
        for (size_t i = 0; i < len; i++)
            pattern[i] = "*a"[i % 2];
        memcpy(pattern + 500, ":user:", 6);
        pattern[len] = '\0';
        assert_true(store_tag_for_pattern(pattern, tag) || len <= 1024);
        memset(pattern, '*', len);
        assert_true(store_tag_for_pattern(pattern, tag));
        assert_string_equal(tag, "all");
        memset(pattern, '[', len);
        assert_true(store_tag_for_pattern(pattern, tag) == (len > 1024));
        memset(pattern, 'a', len);
        memcpy(pattern + len - 2, ":*", 2);
        assert_true(store_tag_for_pattern(pattern, tag));
        memset(pattern, ':', len);
        assert_true(store_tag_for_pattern(pattern, tag) == (len > 1024));
    }
    alarm(0);
}

static int
make_arena(void **state)
{
    (void)state;
    arena = arena_new((size_t)64 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int
free_arena(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_carries_the_tags_of_what_it_belongs_to),
        cmocka_unit_test(a_name_that_does_not_fit_or_could_pass_for_two_is_refused),
        cmocka_unit_test(a_tag_is_there_once_and_is_a_copy),
        cmocka_unit_test(a_tag_that_does_not_fit_is_refused),
        cmocka_unit_test(names_that_others_give_are_written_so_that_none_passes_for_another),
        cmocka_unit_test(an_escaped_user_is_one_segment_and_nobody_elses),
        cmocka_unit_test(an_escaped_user_is_whole_or_empty_at_every_size),
        cmocka_unit_test(a_pattern_gets_the_narrowest_tag_that_is_safe),
        cmocka_unit_test(whatever_matches_a_key_has_one_of_its_tags),
        cmocka_unit_test(a_hostile_pattern_takes_bounded_time),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
