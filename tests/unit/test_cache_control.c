/* Cache-Control and the fields that speak for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "http_fixture.h"
#include "http/cache_control.h"

static struct cache_control
parsed(const char *value)
{
    struct fields fields = {0};
    struct cache_control cc;
    assert_true(fields_add(&fields, arena, slice_of("Cache-Control"), slice_of(value)));
    cache_control_parse(&cc, &fields);
    return cc;
}

static void
directives_are_found_in_any_dress(void **state)
{
    (void)state;
    assert_true(parsed("no-store").no_store);
    assert_true(parsed("a=b,  NO-STORE").no_store);
    assert_false(parsed("x=\"no-store\"").no_store);
    assert_true(parsed("x=\"a\\\"b\", no-store").no_store);
    assert_true(parsed("x=\"unterminated, no-store").no_store);
    assert_true(parsed("private;max-age=60").is_private);
    assert_true(parsed("no-cache; no-store").no_cache);
    assert_true(parsed("no-cache; no-store").no_store);
    assert_true(parsed("max-age=60;private").is_private);
    assert_true(parsed("\"no-store\"").no_store);
    assert_true(parsed("\"max-age=60, private\"").is_private);
    assert_false(parsed("no-storex").no_store);
    assert_int_equal(parsed("Max-Age=60, s-maxage=5").s_maxage_s, 5);
    assert_int_equal(parsed("public").max_age_s, -1);
    assert_true(parsed("must-understand, immutable").must_understand);
    assert_true(parsed("must-understand, immutable").immutable);
}

static void
freshness_is_read_as_caches_read_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } table[] = {
        {"max-age=60", 60},
        {"max-age=\"60\"", 60},
        {"max-age=003600", 3600},
        {"max-age=60.0", 60},
        {"max-age=60.5", 60},
        {"max-age=60a", 60},
        {"max-age=a60", 60},
        {"max-age=abc", 0},
        {"max-age=-1", 0},
        {"max-age", 0},
        {"max-age=", 0},
        {"max-age='60'", 0},
        {"max-age =60", 0},
        {"max-age= 60", 0},
        {"max-age = 0", 0},
        {"max-age\t=\t\"60\"", 0},
        {"max-age= ", 0},
        {"max-age=+60", 0},
        {"max-age=0.9", 0},
        {"max-age=\"60", 0},
        {"max-age==60", 0},
        {"max-age=60, max-age=0", 0},
        {"max-age=60, max-age= 5", 0},
        {"max-age=0, max-age=60", 0},
        {"x=\"max-age=60\"", -1},
        {"max-age=100, max-age=5", 100},
        {"max-age=5, max-age=100", 5},
        {"max-age=99999999999999999999999", HTTP_SECONDS_MAX},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t got = parsed(table[i].text).max_age_s;
        if (got != table[i].seconds)
            fail_msg("%s: %lld", table[i].text, (long long)got);
        char shared[128];
        snprintf(shared, sizeof shared, "max-age=7, s-maxage =0; s-maxage%s", table[i].text + 7);
        if (strncmp(table[i].text, "max-age", 7) == 0 && parsed(shared).s_maxage_s != 0)
            fail_msg("%s: %lld", shared, (long long)parsed(shared).s_maxage_s);
    }
}

static void
allowances_are_read_strictly(void **state)
{
    (void)state;
    assert_int_equal(parsed("stale-while-revalidate=30").stale_while_s, 30);
    assert_int_equal(parsed("stale-while-revalidate=30s").stale_while_s, -1);
    assert_int_equal(parsed("stale-if-error=-3").stale_if_s, -1);
    assert_int_equal(parsed("min-fresh=7").min_fresh_s, 7);
    assert_true(parsed("max-stale").max_stale_any);
    assert_int_equal(parsed("max-stale=9").max_stale_s, 9);
    assert_false(parsed("max-stale=9").max_stale_any);
    assert_false(parsed("max-stale=x").max_stale_any);
}

static void
a_list_of_fields_qualifies_no_cache_and_private(void **state)
{
    (void)state;
    struct cache_control cc = parsed("no-cache=\"a, b\", private=\"c\", max-age=9");
    assert_false(cc.no_cache);
    assert_false(cc.is_private);
    assert_int_equal(cc.name_count, 3);
    assert_true(slice_equal(cc.names[1], slice_of("b")));
    assert_int_equal(cc.max_age_s, 9);
    assert_true(parsed("no-cache=\"\"").no_cache);
    assert_true(parsed("no-cache=\"a b\"").no_cache);
    assert_true(parsed("private = \"a\"").is_private);
    assert_true(parsed("no-cache, no-cache=\"a\"").no_cache);
    assert_true(parsed("private=\"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\"").is_private);
    assert_int_equal(parsed("private=\"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\"").name_count, 0);
}

/* ... as it is found in configurations and programs. What looks like a permission is none. */
static void
a_misspelt_prohibition_counts(void **state)
{
    (void)state;
    static const char *const prohibitions[] = {"no-store: 1",
                                               "no-store:true",
                                               "no-store :1",
                                               "no-store=1",
                                               "no_store",
                                               "nostore",
                                               "No_Store",
                                               "no\xe2\x80\x93store",
                                               "'no-store'",
                                               "'no-store, x'",
                                               "no store",
                                               "public, No  Store, max-age=60",
                                               "no - store",
                                               "no \xe2\x80\x93 store",
                                               "no -store",
                                               "no- store",
                                               "no cache",
                                               "no_ cache=\"a\"",
                                               "max age=0",
                                               "s - maxage=0",
                                               "max_age =60",
                                               "private: 1",
                                               "private:x",
                                               "private=true",
                                               "private=TRUE",
                                               "private=yes",
                                               "private=on",
                                               "private=1",
                                               "private=*",
                                               "private=\"*\"",
                                               "private=\"a, *\"",
                                               "private=\" 1 \"",
                                               "'private'",
                                               "public, 'private'",
                                               "no-cache=true",
                                               "no-cache=\"*\"",
                                               "no-cache=1",
                                               "no-cache: x",
                                               "no_cache",
                                               "nocache",
                                               "no_cache=\"a\"",
                                               "max-age:0",
                                               "max-age: 0",
                                               "max-age :0",
                                               "max-age:60",
                                               "s-maxage:0",
                                               "max_age=0",
                                               "s_maxage=0",
                                               "s-max-age=0",
                                               "max-age='0'",
                                               "max-age=60, max_age=0",
                                               "Cache-Control: private"};
    static const char *const permissions[] = {
        "x:private, max-age=5",     "x: 1, max-age=5",      "x='1', max-age=5",
        "private=\"a\", max-age=5", "max-age=5, max_age=0", "max-age=5, publik",
        "no, store, max-age=5",     "no stores, max-age=5", "no storex, max-age=5",
        "not store, max-age=5",     "max-age=5, no-stores", "max-age=5, private=xtrue"};
    for (size_t i = 0; i < sizeof prohibitions / sizeof *prohibitions; i++) {
        struct cache_control cc = parsed(prohibitions[i]);
        if (!cc.no_store && !cc.no_cache && !cc.is_private && cc.max_age_s != 0 &&
            cc.s_maxage_s != 0)
            fail_msg("not heard: %s", prohibitions[i]);
        assert_int_equal(cc.name_count, 0);
        assert_true(cc.max_age_s <= 60);
    }
    for (size_t i = 0; i < sizeof permissions / sizeof *permissions; i++) {
        struct cache_control cc = parsed(permissions[i]);
        if (cc.no_store || cc.no_cache || cc.is_private)
            fail_msg("forbids: %s", permissions[i]);
    }
    assert_int_equal(parsed("max_age=60").max_age_s, -1);
    assert_true(parsed("must_revalidate").must_revalidate);
    assert_false(parsed("must_understand").must_understand);
    assert_int_equal(parsed("stale-if-error:60").stale_if_s, -1);
    assert_int_equal(parsed("max-age=5, s-maxage:0").s_maxage_s, 0);
}

static struct cache_control
of_response(const char *fields, bool *targeted)
{
    struct fields list = fields_of(fields);
    struct cache_control cc;
    cache_control_of_response(&cc, &list, targeted);
    return cc;
}

static void
a_targeted_field_speaks_instead_of_cache_control(void **state)
{
    (void)state;
    bool targeted;
    struct cache_control cc =
        of_response("Cache-Control: no-store\nCDN-Cache-Control: max-age=7", &targeted);
    assert_true(targeted);
    assert_false(cc.no_store);
    assert_int_equal(cc.max_age_s, 7);
    cc = of_response("Larder-Cache-Control: max-age=1\nCDN-Cache-Control: max-age=7", &targeted);
    assert_int_equal(cc.max_age_s, 1);
    cc = of_response("CDN-Cache-Control: max-age=7\nCDN-Cache-Control: private", &targeted);
    assert_true(cc.is_private);
    cc = of_response("CDN-Cache-Control: MaX-aGe=7", &targeted);
    assert_int_equal(cc.max_age_s, 7);
    cc = of_response("CDN-Cache-Control: no-store=?0, max-age=7", &targeted);
    assert_true(targeted);
    assert_false(cc.no_store);
}

static void
without_freshness_a_targeted_field_permits_nothing(void **state)
{
    (void)state;
    bool targeted;
    struct cache_control cc;
    cc = of_response("CDN-Cache-Control: stale-if-error=60\nCache-Control: private", &targeted);
    assert_true(targeted);
    assert_true(cc.is_private);
    assert_int_equal(cc.stale_if_s, 60);
    assert_true(of_response("CDN-Cache-Control: x\nCache-Control: no-store", &targeted).no_store);
    cc = of_response("CDN-Cache-Control: x\nCache-Control: max-age=0", &targeted);
    assert_int_equal(cc.max_age_s, 0);
    cc = of_response("CDN-Cache-Control: private=\"a\"\nCache-Control: no-cache=\"b\"", &targeted);
    assert_false(cc.is_private);
    assert_int_equal(cc.name_count, 2);
    /* What permits is not taken over; and one that speaks of freshness speaks alone. */
    cc = of_response("CDN-Cache-Control: x\nCache-Control: max-age=60, public", &targeted);
    assert_int_equal(cc.max_age_s, -1);
    assert_false(cc.is_public);
    cc = of_response("CDN-Cache-Control: max-age=60\nCache-Control: private", &targeted);
    assert_false(cc.is_private);
}

static void
an_invalid_targeted_field_says_nothing(void **state)
{
    (void)state;
    static const char *const invalid[] = {"max-age=7, &&&", "max-age=\"7\"",
                                          "max-age=7.5",

                                          "max-age=7,",     "",
                                          "private=7",      "max-age=7\nCDN-Cache-Control: &"};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        bool targeted = true;
        char text[128];
        snprintf(text, sizeof text, "Cache-Control: no-store\nCDN-Cache-Control: %s", invalid[i]);
        struct cache_control cc = of_response(text, &targeted);
        if (targeted || !cc.no_store)
            fail_msg("believed: %s", invalid[i]);
    }
}

/* ... but for what it forbids by any reading. */
static void
an_invalid_targeted_field_still_forbids(void **state)
{
    (void)state;
    static const char *const invalid[] = {"no-store, max-age= 0", "no-store,", "max-age= 0",
                                          "s-maxage =0",          "private,",  "no-cache, &&&",
                                          "max-age=\"0\"",        "max-age=-7"};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        bool targeted = false;
        char text[128];
        snprintf(text, sizeof text, "Cache-Control: max-age=60\nCDN-Cache-Control: %s", invalid[i]);
        if (!of_response(text, &targeted).no_store)
            fail_msg("not heard: %s", invalid[i]);
    }
    bool targeted;
    assert_int_equal(
        of_response("Cache-Control: max-age=60\nCDN-Cache-Control: max-age=7.5, max-age=5",
                    &targeted)
            .max_age_s,
        60);
}

static void
another_caches_field_only_forbids(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool forbids;
    } table[] = {
        {"0", true},
        {"00", true},
        {"-1", true},
        {"off", true},
        {"@0", true},
        {"@999", true},
        {"@1000", true},
        {"@x", true},
        {"@", true},
        {"no-cache", true},
        {"private,max-age=1800", true},
        {"no-store", true},
        {"public, max-age=0", true},
        {"max-age= 0", true},
        {"1", false},
        {"3600", false},
        {"@1001", false},
        {"public,max-age=604800", false},
        {"", false},
        {"esi=on", false},
        {"no-vary", false},
        {"99999999999999999999", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[128];
        snprintf(text, sizeof text, "X-A: 5\nX-A: %s", table[i].value);
        struct fields fields = fields_of(text);
        if (cache_control_forbids(&fields, "x-a", 1000) != table[i].forbids)
            fail_msg("%s: %d", table[i].value, !table[i].forbids);
        assert_false(cache_control_forbids(&fields, "X-B", 1000));
    }
}

static void
surrogate_control_is_understood(void **state)
{
    (void)state;
    bool targeted;
    struct cache_control cc =
        of_response("Surrogate-Control: max-age=60+30, content=\"ESI/1.0\"", &targeted);
    assert_true(targeted);
    assert_int_equal(cc.max_age_s, 60);
    assert_int_equal(cc.stale_while_s, 30);
    cc = of_response("Surrogate-Control: content=\"ESI/1.0\"\nCache-Control: max-age=5", &targeted);
    assert_false(targeted);
    assert_int_equal(cc.max_age_s, 5);
}

static void
the_first_member_of_age_counts(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int64_t age_s;
    } table[] = {
        {"", 0},
        {"Age: 7", 7},
        {"Age: 7, 0", 7},
        {"Age: 0, 7", 0},
        {"Age: 7\nAge: 0", 7},
        {"Age: 7;a=b", 7},
        {"Age: abc", 0},
        {"Age: -7", 0},
        {"Age: 7.0", 0},
        {"Age: 99999999999", HTTP_SECONDS_MAX},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fields list = fields_of(table[i].fields);
        assert_int_equal(http_age_parse(&list), table[i].age_s);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directives_are_found_in_any_dress),
        cmocka_unit_test(freshness_is_read_as_caches_read_it),
        cmocka_unit_test(allowances_are_read_strictly),
        cmocka_unit_test(a_list_of_fields_qualifies_no_cache_and_private),
        cmocka_unit_test(a_misspelt_prohibition_counts),
        cmocka_unit_test(without_freshness_a_targeted_field_permits_nothing),
        cmocka_unit_test(a_targeted_field_speaks_instead_of_cache_control),
        cmocka_unit_test(an_invalid_targeted_field_says_nothing),
        cmocka_unit_test(an_invalid_targeted_field_still_forbids),
        cmocka_unit_test(another_caches_field_only_forbids),
        cmocka_unit_test(surrogate_control_is_understood),
        cmocka_unit_test(the_first_member_of_age_counts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
