/*
 * Key names and patterns: the spelling of every one, and that none is ever
 * written half, past its buffer, or without an identifier.
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

#include "larder.h"

typedef enum larder_status (*name_fn)(char *buf, size_t size);
typedef enum larder_status (*name_of_fn)(char *buf, size_t size, const char *id);

/* '@' stands for the identifier. */
static const struct {
    name_fn plain;
    name_of_fn of;
    const char *shape;
} names[] = {
    {NULL, larder_key_session, "session:@"},
    {NULL, larder_key_session_user_list, "session:user:@:list"},
    {larder_key_session_all, NULL, "session:all"},
    {NULL, larder_key_session_stats, "session:@:stats"},
    {NULL, larder_key_user, "user:@"},
    {NULL, larder_key_user_by_username, "user:username:@"},
    {NULL, larder_key_user_by_email, "user:email:@"},
    {larder_key_user_all, NULL, "user:all"},
    {NULL, larder_key_template, "template:@"},
    {NULL, larder_key_template_category, "template:category:@"},
    {larder_key_template_all, NULL, "template:all"},
    {larder_key_template_featured, NULL, "template:featured"},
    {NULL, larder_key_template_favorites, "template:favorites:user:@"},
    {NULL, larder_key_quota_user, "quota:user:@"},
    {larder_key_quota_all, NULL, "quota:all"},
    {NULL, larder_key_config, "config:@"},
    {larder_key_config_all, NULL, "config:all"},
    {NULL, larder_key_repository, "repository:@"},
    {larder_key_repository_all, NULL, "repository:all"},
    {NULL, larder_key_share_session, "share:session:@"},
    {NULL, larder_key_share_user, "share:user:@"},
    {NULL, larder_key_share_invitation, "share:invitation:@"},
    {NULL, larder_key_share_collaborators, "share:session:@:collaborators"},
    {NULL, larder_key_stats_user, "stats:user:@"},
    {NULL, larder_key_stats_template, "stats:template:@"},
    {larder_key_stats_global, NULL, "stats:global"},
    {larder_pattern_sessions, NULL, "session:*"},
    {larder_pattern_templates, NULL, "template:*"},
    {larder_pattern_quotas, NULL, "quota:*"},
    {larder_pattern_template_favorites, NULL, "template:favorites:*"},
    {NULL, larder_pattern_user, "*:user:@*"},
};
#define NAMES (sizeof names / sizeof *names)

static enum larder_status
call(size_t i, char *buf, size_t size, const char *id)
{
    return names[i].plain ? names[i].plain(buf, size) : names[i].of(buf, size, id);
}

static char *
expected(size_t i, const char *id)
{
    const char *at = strchr(names[i].shape, '@');
    char *text = NULL;
    int n = at ? asprintf(&text, "%.*s%s%s", (int)(at - names[i].shape), names[i].shape, id, at + 1)
               : asprintf(&text, "%s", names[i].shape);
    assert_true(n > 0);
    return text;
}

static void
every_name_is_spelled_as_the_ancestor_spells_it(void **state)
{
    (void)state;
    /* Nothing in it that a pattern escapes. */
    static const char *const ids[] = {"42", "a", "J. Doe <j@example.org>", "\xc3\xa9:x/y%00"};

    for (size_t i = 0; i < NAMES; i++) {
        for (size_t k = 0; k < sizeof ids / sizeof *ids; k++) {
            char buf[256];
            char *want = expected(i, ids[k]);
            assert_int_equal(call(i, buf, sizeof buf, ids[k]), LARDER_OK);
            assert_string_equal(buf, want);
            free(want);
        }
    }
}

/* The buffer is malloc'd to its size, so that a byte too far is the sanitizer's and valgrind's. */
static void
a_name_is_whole_or_empty_at_every_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        char *want = expected(i, "0123456789");
        size_t len = strlen(want);
        assert_int_equal(call(i, NULL, 0, "0123456789"), LARDER_TRUNCATED);
        for (size_t size = 0; size <= len + 2; size++) {
            char *buf = malloc(size + 1);
            assert_non_null(buf);
            memset(buf, 0x5a, size + 1);
            enum larder_status status = call(i, buf, size, "0123456789");
            assert_int_equal(status, size > len ? LARDER_OK : LARDER_TRUNCATED);
            if (size > 0)
                assert_string_equal(buf, size > len ? want : "");
            assert_int_equal(buf[size], 0x5a);
            free(buf);
        }
        free(want);
    }
}

static void
a_name_without_its_identifier_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        if (names[i].plain)
            continue;
        char buf[64] = "before";
        assert_int_equal(names[i].of(buf, sizeof buf, NULL), LARDER_INVALID);
        assert_string_equal(buf, "");
        strcpy(buf, "before");
        assert_int_equal(names[i].of(buf, sizeof buf, ""), LARDER_INVALID);
        assert_string_equal(buf, "");
        assert_int_equal(names[i].of(NULL, 0, ""), LARDER_INVALID);
    }
}

static void
keys_take_glob_characters_as_they_are(void **state)
{
    (void)state;
    char buf[64];
    assert_int_equal(larder_key_user(buf, sizeof buf, "*?[]^-\\"), LARDER_OK);
    assert_string_equal(buf, "user:*?[]^-\\");
}

static void
patterns_escape_every_glob_character_and_no_other(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char id[2] = {(char)c, '\0'};
        char want[32], buf[32], escaped[8];
        const char *slash = strchr("*?[]^-\\", c) ? "\\" : "";
        snprintf(want, sizeof want, "*:user:%s%s*", slash, id);
        assert_int_equal(larder_pattern_user(buf, sizeof buf, id), LARDER_OK);
        assert_string_equal(buf, want);
        snprintf(want, sizeof want, "%s%s", slash, id);
        assert_int_equal(larder_pattern_escape(escaped, sizeof escaped, id), LARDER_OK);
        assert_string_equal(escaped, want);
    }
}

static void
escaping_is_whole_or_empty_at_every_size(void **state)
{
    (void)state;
    static const char want[] = "a\\*b\\\\";
    for (size_t size = 0; size < sizeof want + 2; size++) {
        char *buf = malloc(size + 1);
        assert_non_null(buf);
        memset(buf, 0x5a, size + 1);
        assert_int_equal(larder_pattern_escape(buf, size, "a*b\\"),
                         size >= sizeof want ? LARDER_OK : LARDER_TRUNCATED);
        if (size > 0)
            assert_string_equal(buf, size >= sizeof want ? want : "");
        assert_int_equal(buf[size], 0x5a);
        free(buf);
    }
    char buf[4] = "x";
    assert_int_equal(larder_pattern_escape(buf, sizeof buf, NULL), LARDER_INVALID);
    assert_string_equal(buf, "");
    assert_int_equal(larder_pattern_escape(buf, sizeof buf, ""), LARDER_OK);
    assert_string_equal(buf, "");
}

static void
an_identifier_longer_than_any_key_does_no_harm(void **state)
{
    (void)state;
    size_t n = 1 << 20;
    char *id = malloc(n + 1);
    char buf[LARDER_KEY_MAX + 1];
    assert_non_null(id);
    memset(id, '*', n);
    id[n] = '\0';
    assert_int_equal(larder_key_user(buf, sizeof buf, id), LARDER_TRUNCATED);
    assert_int_equal(larder_pattern_user(buf, sizeof buf, id), LARDER_TRUNCATED);
    assert_string_equal(buf, "");
    free(id);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_spelled_as_the_ancestor_spells_it),
        cmocka_unit_test(a_name_is_whole_or_empty_at_every_size),
        cmocka_unit_test(a_name_without_its_identifier_is_refused),
        cmocka_unit_test(keys_take_glob_characters_as_they_are),
        cmocka_unit_test(patterns_escape_every_glob_character_and_no_other),
        cmocka_unit_test(escaping_is_whole_or_empty_at_every_size),
        cmocka_unit_test(an_identifier_longer_than_any_key_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
