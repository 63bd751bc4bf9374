/* Which scripts a web server may choose for a URL, from those that have been seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "responder/seen.h"

static struct arena *arena;

static struct request
asked(const char *target)
{
    struct request request = {.target = slice_of(target), .path = slice_of(target)};
    request.path.n = strcspn(target, "?");
    return request;
}

/* ROOT FILENAME NAME PATH_INFO QUERY */
static void
note(const char *host, const char *target, const char *root, const char *filename, const char *name,
     const char *info, const char *query)
{
    struct request request = asked(target);
    request.script = (struct chosen_script){.document_root = slice_of(root),
                                            .filename = slice_of(filename),
                                            .name = slice_of(name),
                                            .path_info = slice_of(info),
                                            .query = slice_of(query)};
    seen_note(&request, slice_of(host));
}

/* "FILENAME NAME PATH_INFO QUERY" of each candidate, one a line. */
static const char *
candidates(const char *host, const char *target)
{
    const struct request request = asked(target);
    struct chosen_script list[SEEN_MAX];
    size_t n = seen_candidates(list, &request, slice_of(host), arena);
    const char *text = "";
    for (size_t i = 0; i < n; i++)
        text = arena_printf(arena, "%s%.*s %.*s %.*s %.*s\n", text, (int)list[i].filename.n,
                            list[i].filename.p, (int)list[i].name.n, list[i].name.p,
                            (int)list[i].path_info.n, list[i].path_info.p, (int)list[i].query.n,
                            list[i].query.p);
    return text;
}

static void
one_script_tells_of_all_others(void **state)
{
    (void)state;
    note("a.test", "/x.php?a=1", "/srv/a", "/srv/a/x.php", "/x.php", "", "a=1");
    assert_string_equal(candidates("a.test", "/b/y%20z.php?b=2&c"),
                        "/srv/a/b/y z.php /b/y z.php  b=2&c\n");
    assert_string_equal(candidates("a.test:81", "/y.php"), "");
    note("a.test", "/other.php", "/srv/a", "/srv/a/other.php", "/other.php", "", "");
    assert_string_equal(candidates("a.test", "/y.php"), "/srv/a/y.php /y.php  \n");
    note("a.test", "/x.php", "/srv/b", "proxy:fcgi://php/srv/b/x.php", "/x.php", "", "");
    assert_string_equal(candidates("a.test", "/y.php"),
                        "proxy:fcgi://php/srv/b/y.php /y.php  \n/srv/a/y.php /y.php  \n");
}

static void
directories_front_controllers_and_path_info_are_forms(void **state)
{
    (void)state;
    note("a.test", "/blog/?p=1", "/srv/a", "/srv/a/blog/index.php", "/blog/index.php", "", "p=1");
    assert_string_equal(candidates("a.test", "/shop/"),
                        "/srv/a/shop/index.php /shop/index.php  \n");
    seen_cleanup();
    note("a.test", "/pretty/1", "/srv/a", "/srv/a/index.php", "/index.php", "", "q=pretty/1");
    note("a.test", "/pretty/2?x", "/srv/a", "/srv/a/index.php", "/index.php", "", "q=pretty/2&x");
    assert_string_equal(candidates("a.test", "/a/b?y"), "/srv/a/index.php /index.php  q=a/b&y\n"
                                                        "/srv/a/index.php /index.php  q=a/b\n");
    seen_cleanup();
    note("a.test", "/index.php/One", "/srv/a", "/srv/a/index.php", "/index.php", "/One", "");
    note("a.test", "/index.php/Two", "/srv/a", "/srv/a/index.php", "/index.php", "/Two", "");
    assert_string_equal(candidates("a.test", "/index.php/Th%72ee"),
                        "/srv/a/index.php /index.php /Three \n");
    assert_string_equal(candidates("a.test", "/elsewhere"), "");
}

static void
no_more_than_so_many_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * SEEN_MAX; i++)
        note("a.test", "/x.php", arena_printf(arena, "/srv/%d", i), "/p.php", "/x.php", "", "");
    const char *text = candidates("a.test", "/y.php");
    size_t lines = 0;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, SEEN_MAX);
    /* Nor what could not be read again, or is too long. */
    seen_cleanup();
    note("a.test", "/x\3.php", "/srv\1", "/x.php", "/x.php", "", "");
    char *large = arena_alloc(arena, 10000);
    memset(large, 'x', 10000);
    large[0] = '/';
    large[9999] = '\0';
    note("a.test", large, "/srv", "/x.php", "/x.php", "", "");
    note("a.test", "/", large, "/x.php", "/x.php", "", "");
    assert_string_equal(candidates("a.test", "/y.php"), "");
    assert_string_equal(candidates("a.test", "*"), "");
}

static int
setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)1024 * 1024);
    return arena ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    seen_cleanup();
    arena_free(arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_script_tells_of_all_others, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_front_controllers_and_path_info_are_forms,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_than_so_many_are_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
