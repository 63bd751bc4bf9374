/* What the tests of src/upstream have in common: one fetch and what it gave. Included by one .c file
 * of a program, after cmocka. */
#ifndef TESTS_UNIT_UPSTREAM_FIXTURE_H
#define TESTS_UNIT_UPSTREAM_FIXTURE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include "base/arena.h"
#include "base/fields.h"
#include "upstream/upstream.h"

#define LENGTH_OF(a) (sizeof(a) / sizeof(a)[0])

/* What one fetch gave. */
struct answer {
    int heads;
    int status;
    bool until_close;
    char fields[4096]; /* "Name: value\n" each, in order */
    char interim[1024];
    char *body;
    size_t body_n;
    size_t body_room;
    size_t stop_after; /* say stop when the body is longer; 0: never */
    bool stop_at_head;
    int slow_ms; /* sleep in each body call */
    struct upstream_result result;
};

static inline void
nap(int ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

static inline void
print_fields(char *out, size_t size, const struct fields *fields)
{
    size_t n = strlen(out);
    for (size_t i = 0; i < fields->count && n + 1 < size; i++) {
        const struct field *f = &fields->list[i];
        int more = snprintf(out + n, size - n, "%.*s: %.*s\n", (int)f->name.n, f->name.p,
                            (int)f->value.n, f->value.p);
        assert_true(more > 0);
        n += (size_t)more;
    }
}

static inline bool
on_head(void *arg, int status, struct fields *fields, bool until_close)
{
    struct answer *a = arg;
    a->heads++;
    a->status = status;
    a->until_close = until_close;
    print_fields(a->fields, sizeof a->fields, fields);
    return !a->stop_at_head;
}

static inline bool
on_body(void *arg, const char *data, size_t len)
{
    struct answer *a = arg;
    if (a->body_n + len > a->body_room) {
        a->body_room = (a->body_n + len) * 2;
        a->body = realloc(a->body, a->body_room);
        assert_non_null(a->body);
    }
    memcpy(a->body + a->body_n, data, len);
    a->body_n += len;
    if (a->slow_ms)
        nap(a->slow_ms);
    return !a->stop_after || a->body_n <= a->stop_after;
}

static inline void
on_interim(void *arg, int status, struct fields *fields)
{
    struct answer *a = arg;
    size_t n = strlen(a->interim);
    snprintf(a->interim + n, sizeof a->interim - n, "%d\n", status);
    print_fields(a->interim, sizeof a->interim, fields);
}

static inline void
answer_reset(struct answer *a)
{
    free(a->body);
    memset(a, 0, sizeof *a);
}

/* A request body out of memory. */
struct source {
    const char *data;
    size_t n;
    size_t at;
    size_t break_at; /* return -1 there; 0: never */
    size_t end_at;   /* return 0 there; 0: at n */
    void (*before)(void *arg);
    void *before_arg;
    int calls;
};

static inline ssize_t
read_source(void *arg, char *buf, size_t room)
{
    struct source *s = arg;
    s->calls++;
    if (s->before)
        s->before(s->before_arg);
    size_t end = s->end_at ? s->end_at : s->n;
    if (s->break_at && s->at >= s->break_at)
        return -1;
    size_t n = end - s->at < room ? end - s->at : room;
    if (s->break_at && s->at + n > s->break_at)
        n = s->break_at - s->at;
    memcpy(buf, s->data + s->at, n);
    s->at += n;
    return (ssize_t)n;
}

static inline void
add(struct fields *fields, struct arena *arena, const char *name, const char *value)
{
    assert_true(fields_add(fields, arena, slice_of(name), slice_of(value)));
}
static inline void
assert_body(const struct answer *a, const char *text)
{
    assert_int_equal(a->body_n, strlen(text));
    if (a->body_n)
        assert_memory_equal(a->body, text, a->body_n);
}

static inline char *
pattern(size_t n)
{
    char *data = malloc(n);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i % 251);
    return data;
}

#endif
