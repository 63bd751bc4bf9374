/* The tags that responses bring, and the groups that answers invalidate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/response_tags.h"

static struct arena *arena;

static int
setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)4 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

/* "a b|c" : the names in order, groups with a G before them. */
static const char *
names_of(const struct response_tags *tags)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < tags->count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%.*s", i ? "|" : "",
                              tags->list[i].group ? "G" : "", (int)tags->list[i].name.n,
                              tags->list[i].name.p);
    return text;
}

static const char *
found(const char *name, const char *value)
{
    static struct response_tags tags;
    struct fields fields = {0};
    assert_true(fields_add(&fields, arena, slice_of(name), slice_of(value)));
    assert_true(response_tags_find(&tags, &fields, arena));
    return names_of(&tags);
}

static void
each_field_has_its_separators(void **state)
{
    (void)state;
    assert_string_equal(found("Surrogate-Key", "a b  d"), "a|b|d");
    assert_string_equal(found("surrogate-key", "\ta\t b "), "a|b");
    assert_string_equal(found("xkey", "a b, c,,d"), "a|b|c|d");
    assert_string_equal(found("Cache-Tag", "a, b , c,,"), "a|b|c");
    assert_string_equal(found("Cache-Tag", ""), "");
    assert_string_equal(found("Cache-Tag", " , ,"), "");
    assert_string_equal(found("X-Other", "a"), "");
}

static void
the_other_separator_separates_too(void **state)
{
    (void)state;
    assert_string_equal(found("Surrogate-Key", "/books, /books/1"), "/books|/books/1");
    assert_string_equal(found("Surrogate-Key", ",/books ,/books/1,,\t, c"), "/books|/books/1|c");
    assert_string_equal(found("Surrogate-Key", " , ,"), "");
    /* One that has a comma in it, or two? Both. */
    assert_string_equal(found("Surrogate-Key", "a,b c"), "a|b|c|a,b");
    assert_string_equal(found("Cache-Tag", "two words, c"), "two words|c|two|words");
    assert_string_equal(found("Cache-Tag", "a"), "a");
}

static void
what_might_be_meant_costs_nothing_that_is(void **state)
{
    (void)state;
    struct response_tags tags;
    struct fields fields = {0};
    char text[64 * 8] = "", whole[RESPONSE_TAG_MAX + 2];
    for (int i = 0; i < RESPONSE_TAGS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%st%d", i % 2 ? "," : " ", i);
    fields_add(&fields, arena, slice_of("Surrogate-Key"), slice_of(text));
    assert_true(response_tags_find(&tags, &fields, arena));
    assert_int_equal(tags.count, RESPONSE_TAGS_MAX);
    assert_false(tags.too_many);
    for (size_t i = 0; i < tags.count; i++)
        assert_null(memchr(tags.list[i].name.p, ',', tags.list[i].name.n));
    /* Nor does a list that would be too long as one name. */
    memset(whole, 'a', sizeof whole);
    whole[RESPONSE_TAG_MAX / 2] = ',';
    whole[RESPONSE_TAG_MAX + 1] = '\0';
    fields = (struct fields){0};
    fields_add(&fields, arena, slice_of("Surrogate-Key"), slice_of(whole));
    assert_true(response_tags_find(&tags, &fields, arena));
    assert_int_equal(tags.count, 1);
    assert_int_equal(tags.list[0].name.n, RESPONSE_TAG_MAX / 2);
}

static void
groups_are_a_list_of_strings_or_nothing(void **state)
{
    (void)state;
    assert_string_equal(found("Cache-Groups", "\"a\", \"b c\";p=1"), "Ga|Gb c");
    assert_string_equal(found("Cache-Groups", "\"a\\\"b\\\\\""), "Ga\"b\\");
    /* Members of another type are left out; a mistake spoils all of it. */
    assert_string_equal(found("Cache-Groups", "\"a\", 1, token, (\"x\")"), "Ga");
    assert_string_equal(found("Cache-Groups", "\"a\", \"b"), "");
    assert_string_equal(found("Cache-Groups", "\"a\" \"b\""), "");
    assert_string_equal(found("Cache-Groups", "\"\""), "");
    assert_string_equal(found("Cache-Groups", ""), "");
    /* Case counts (RFC 9875 section 2). */
    assert_string_equal(found("Cache-Groups", "\"a\", \"A\", \"a\""), "Ga|GA");
}

static void
a_group_is_not_a_tag_of_the_same_name(void **state)
{
    (void)state;
    struct response_tags tags;
    struct fields fields = {0};
    fields_add(&fields, arena, slice_of("Cache-Groups"), slice_of("\"a\""));
    fields_add(&fields, arena, slice_of("Surrogate-Key"), slice_of("b a"));
    fields_add(&fields, arena, slice_of("Surrogate-Key"), slice_of("a c"));
    fields_add(&fields, arena, slice_of("Cache-Groups"), slice_of("\"d\""));
    assert_true(response_tags_find(&tags, &fields, arena));
    assert_string_equal(names_of(&tags), "b|a|c|Ga|Gd");
}

static void
too_many_are_said_to_be_too_many(void **state)
{
    (void)state;
    struct response_tags tags;
    char text[8 * 200] = "";
    for (int i = 0; i < RESPONSE_TAGS_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "t%d t%d ", i, i);
    struct fields fields = {0};
    fields_add(&fields, arena, slice_of("Surrogate-Key"), slice_of(text));
    assert_true(response_tags_find(&tags, &fields, arena));
    assert_int_equal(tags.count, RESPONSE_TAGS_MAX);
    assert_false(tags.too_many);
    fields_add(&fields, arena, slice_of("xkey"), slice_of("one-more"));
    assert_true(response_tags_find(&tags, &fields, arena));
    assert_int_equal(tags.count, RESPONSE_TAGS_MAX);
    assert_true(tags.too_many);
}

static void
invalidation_names_groups_alone(void **state)
{
    (void)state;
    struct response_tags tags;
    struct fields fields = {0};
    fields_add(&fields, arena, slice_of("Cache-Group-Invalidation"), slice_of("\"a\", \"b\""));
    fields_add(&fields, arena, slice_of("Cache-Groups"), slice_of("\"c\""));
    fields_add(&fields, arena, slice_of("Surrogate-Key"), slice_of("d"));
    assert_true(response_tags_invalidated(&tags, &fields, arena));
    assert_string_equal(names_of(&tags), "Ga|Gb");
    assert_true(response_tags_find(&tags, &fields, arena));
    assert_string_equal(names_of(&tags), "d|Gc");
}

static void
cache_groups_is_for_everybody_and_stays(void **state)
{
    (void)state;
    assert_true(response_tags_is_field(slice_of("surrogate-key")));
    assert_true(response_tags_is_field(slice_of("XKEY")));
    assert_true(response_tags_is_field(slice_of("Cache-Tag")));
    assert_false(response_tags_is_field(slice_of("Cache-Groups")));
    assert_false(response_tags_is_field(slice_of("Surrogate-Keys")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_has_its_separators),
        cmocka_unit_test(the_other_separator_separates_too),
        cmocka_unit_test(what_might_be_meant_costs_nothing_that_is),
        cmocka_unit_test(groups_are_a_list_of_strings_or_nothing),
        cmocka_unit_test(a_group_is_not_a_tag_of_the_same_name),
        cmocka_unit_test(too_many_are_said_to_be_too_many),
        cmocka_unit_test(invalidation_names_groups_alone),
        cmocka_unit_test(cache_groups_is_for_everybody_and_stays),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
