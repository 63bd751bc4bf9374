/*
 * A response while it arrives: what is there never moves and is never taken
 * away, whoever reads it at whatever pace.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <string.h>

#include "responder/spool.h"

#define LIMIT ((size_t)256 * 1024)

static char
byte_at(size_t i)
{
    return (char)(i * 31 + i / 4096);
}

static char *
pattern(size_t from, size_t n)
{
    char *p = malloc(n ? n : 1);
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(from + i);
    return p;
}

static bool
append(struct spool *spool, size_t n)
{
    char *p = pattern(spool_size(spool), n);
    bool taken = spool_append(spool, p, n);
    free(p);
    return taken;
}

static void
holds(const struct spool *spool, size_t n)
{
    static char buf[SPOOL_READ_MAX];
    bool failed;
    assert_int_equal(spool_size(spool), n);
    for (size_t at = 0; at < n;) {
        struct slice piece = spool_read(spool, at, buf, &failed);
        assert_false(failed);
        assert_true(piece.n > 0 && piece.n <= n - at);
        for (size_t i = 0; i < piece.n; i++)
            assert_int_equal(piece.p[i], byte_at(at + i));
        at += piece.n;
    }
    assert_int_equal(spool_read(spool, n, buf, &failed).n, 0);
    assert_false(failed);
}

static void
a_body_of_known_length_is_there_piece_by_piece(void **state)
{
    struct spool *spool = spool_new(100000, LIMIT);
    (void)state;
    assert_non_null(spool);
    const char *first = spool_body(spool).p;
    for (size_t n = 0; n < 100000; n += 10000)
        assert_true(append(spool, 10000));
    assert_ptr_equal(spool_body(spool).p, first);
    holds(spool, 100000);
    assert_int_equal(spool_state(spool), SPOOL_GROWING);
    spool_end(spool, true);
    assert_int_equal(spool_state(spool), SPOOL_WHOLE);
    assert_int_equal(spool->entry.body.n, 100000);
    spool_give(spool);
}

static void
what_is_longer_than_the_limit_is_not_begun(void **state)
{
    (void)state;
    assert_null(spool_new((int64_t)LIMIT + 1, LIMIT));
}

static void
a_body_longer_than_its_length_is_refused(void **state)
{
    struct spool *spool = spool_new(10, 10);
    (void)state;
    assert_true(append(spool, 10));
    assert_false(append(spool, 1));
    holds(spool, 10);
    spool_give(spool);
}

static void
what_has_been_read_stays_where_it_is_when_the_body_grows(void **state)
{
    static char buf[SPOOL_READ_MAX];
    struct spool *spool = spool_new(-1, LIMIT);
    bool failed;
    (void)state;
    assert_true(append(spool, 1000));
    struct slice early = spool_read(spool, 0, buf, &failed);
    while (spool_size(spool) < LIMIT)
        assert_true(
            append(spool, 1000 < LIMIT - spool_size(spool) ? 1000 : LIMIT - spool_size(spool)));
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(early.p[i], byte_at(i));
    holds(spool, LIMIT);
    /* Full: refused whole, and nothing has changed. */
    assert_false(append(spool, 1));
    holds(spool, LIMIT);
    spool_give(spool);
}

static void
beyond_the_limit_a_file_takes_the_rest(void **state)
{
    struct spool *spool = spool_new(-1, LIMIT);
    (void)state;
    assert_true(append(spool, LIMIT - 5));
    assert_false(append(spool, 100000));
    assert_true(spool_in_memory(spool));
    assert_true(spool_spill(spool, "/nowhere", SPOOL_FILE_MAX));
    assert_false(spool_in_memory(spool));
    for (size_t i = 0; i < 10; i++)
        assert_true(append(spool, 100000));
    holds(spool, LIMIT - 5 + 1000000);
    spool_end(spool, true);
    assert_null(spool->entry.body.p);
    spool_give(spool);
}

static void
the_file_does_not_grow_with_a_body_that_has_no_end(void **state)
{
    enum { RING = 50000, PIECE = 7000 };
    static char buf[SPOOL_READ_MAX];
    struct spool *spool = spool_new(-1, LIMIT);
    size_t at = LIMIT;
    bool failed;
    (void)state;
    assert_true(append(spool, LIMIT));
    assert_true(spool_spill(spool, "/nowhere", RING));
    for (int round = 0; round < 100; round++) {
        while (spool_has_room(spool, PIECE))
            assert_true(append(spool, PIECE));
        assert_true(spool_size(spool) - at <= RING);
        while (at < spool_size(spool)) {
            struct slice piece = spool_read(spool, at, buf, &failed);
            assert_false(failed);
            for (size_t i = 0; i < piece.n; i++)
                assert_int_equal(piece.p[i], byte_at(at + i));
            at += piece.n;
        }
        atomic_store(&spool->needed, at);
    }
    struct stat file;
    assert_int_equal(fstat(atomic_load(&spool->file), &file), 0);
    assert_true(file.st_size <= RING);
    /* What is not there any more is not read as something else. */
    assert_int_equal(spool_read(spool, LIMIT, buf, &failed).n, 0);
    assert_true(failed);
    /* What is in memory stays. */
    assert_true(spool_read(spool, 0, buf, &failed).n > 0);
    spool_give(spool);
}

static void
an_empty_body_is_whole(void **state)
{
    struct spool *spool = spool_new(0, LIMIT);
    (void)state;
    spool_end(spool, true);
    holds(spool, 0);
    assert_int_equal(spool->entry.body.n, 0);
    spool_give(spool);
}

static void
a_description_outlives_what_it_was_made_of(void **state)
{
    struct arena *arena = arena_new(1024 * 1024);
    struct spool *spool = spool_new(-1, LIMIT);
    struct entry entry = {.total = -1, .identity = 7};
    (void)state;
    entry.stored = (struct stored){.status = 200, .fields = &entry.fields, .ttl_ms = 1000};
    entry.material = slice_of(arena_printf(arena, "material"));
    assert_true(fields_add(&entry.fields, arena, slice_of(arena_printf(arena, "X-A")),
                           slice_of(arena_printf(arena, "b"))));
    entry.own.count = 1;
    entry.own.name = arena_calloc(arena, 1, sizeof *entry.own.name);
    entry.own.generation = arena_calloc(arena, 1, sizeof *entry.own.generation);
    entry.own.name[0] = arena_printf(arena, "tag:a");
    memset(entry.own.generation[0], '7', STORE_GENERATION_LEN);
    assert_true(spool_describe(spool, &entry, slice_of("accept-encoding,foo")));
    memset((void *)entry.material.p, 'x', entry.material.n);
    arena_free(arena);
    assert_true(slice_equal(spool->entry.material, slice_of("material")));
    assert_true(slice_equal(fields_get(&spool->entry.fields, "x-a"), slice_of("b")));
    assert_ptr_equal(spool->entry.stored.fields, &spool->entry.fields);
    assert_string_equal(spool->entry.own.name[0], "tag:a");
    assert_int_equal(spool->entry.own.generation[0][31], '7');
    assert_int_equal(spool->vary.count, 2);
    spool_give(spool);
}

/* --------------------------------------------------------------------- threads */

static void *
reader(void *arg)
{
    struct spool *spool = arg;
    char *buf = malloc(SPOOL_READ_MAX);
    size_t at = 0, wrong = 0;
    for (;;) {
        bool failed;
        enum spool_state before = spool_state(spool);
        struct slice piece = spool_read(spool, at, buf, &failed);
        for (size_t i = 0; i < piece.n; i++)
            wrong += piece.p[i] != byte_at(at + i);
        at += piece.n;
        if (failed || (piece.n == 0 && before != SPOOL_GROWING))
            break;
    }
    free(buf);
    spool_give(spool);
    return wrong ? NULL : (void *)at;
}

static void
many_read_while_one_writes(void **state)
{
    enum { READERS = 6 };
    struct spool *spool = spool_new(-1, LIMIT);
    pthread_t threads[READERS];
    (void)state;
    for (int i = 0; i < READERS; i++)
        pthread_create(&threads[i], NULL, reader, spool_again(spool));
    size_t n = 0;
    for (int i = 0; i < 200; i++) {
        if (!append(spool, 3001)) {
            assert_true(spool_spill(spool, "/tmp", SPOOL_FILE_MAX));
            assert_true(append(spool, 3001));
        }
        n += 3001;
    }
    spool_end(spool, true);
    spool_give(spool);
    for (int i = 0; i < READERS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_int_equal((size_t)result, n);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_of_known_length_is_there_piece_by_piece),
        cmocka_unit_test(what_is_longer_than_the_limit_is_not_begun),
        cmocka_unit_test(a_body_longer_than_its_length_is_refused),
        cmocka_unit_test(what_has_been_read_stays_where_it_is_when_the_body_grows),
        cmocka_unit_test(beyond_the_limit_a_file_takes_the_rest),
        cmocka_unit_test(the_file_does_not_grow_with_a_body_that_has_no_end),
        cmocka_unit_test(an_empty_body_is_whole),
        cmocka_unit_test(a_description_outlives_what_it_was_made_of),
        cmocka_unit_test(many_read_while_one_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
