/* Entries in the store, and heads of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "responder/entry.h"
#include "responder/reply.h"

static struct arena *arena;
static struct store_tags tags;
static const char *own_name[] = {"tag:a", "group:0:b"};
static store_generation own_generation[] = {"0123456789abcdef0000000000000000",
                                            "123456789abcdef00000000000000000"};

static int
setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)64 * 1024 * 1024);
    return arena && store_tags_for(&tags, arena, "r", "42") ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static void
add(struct fields *fields, const char *name, const char *value)
{
    assert_true(fields_add(fields, arena, slice_of(name), slice_of(value)));
}

/* A whole stored value: head, metadata and body. */
static char *
stored(struct entry *entry, size_t *len)
{
    static char body[256];
    for (int i = 0; i < 256; i++)
        body[i] = (char)i;
    *entry = (struct entry){.material = slice_of("m3:GET,"),
                            .stored = {.status = 200,
                                       .stored_ms = 1700000000000,
                                       .ttl_ms = 30000,
                                       .age_s = 7,
                                       .stale_while_s = 11,
                                       .stale_if_s = 13,
                                       .fetch_ms = 250,
                                       .flags = STORED_MUST_REVALIDATE},
                            .own = {2, own_name, own_generation},
                            .identity = UINT64_C(0xfedcba9876543210),
                            .body = {body, sizeof body}};
    add(&entry->fields, "Link", "</a>; rel=\"x\"");
    add(&entry->fields, "X-Latin", "caf\xe9 \\ \"");
    add(&entry->fields, "Link", "</b>");
    entry->generations.count = tags.count;
    for (size_t i = 0; i < tags.count; i++)
        snprintf(entry->generations.value[i], STORE_GENERATION_LEN + 1, "%032zx", i + 1);
    char *head = entry_encode(entry, &tags, len);
    assert_non_null(head);
    char *whole = malloc(*len + sizeof body);
    memcpy(whole, head, *len);
    memcpy(whole + *len, body, sizeof body);
    *len += sizeof body;
    free(head);
    return whole;
}

static void
what_goes_in_comes_out(void **state)
{
    (void)state;
    struct entry in, out;
    size_t len;
    char *data = stored(&in, &len);
    assert_int_equal(entry_decode(&out, data, len, &tags, arena), ENTRY_WHOLE);
    assert_true(slice_equal(out.material, in.material));
    assert_int_equal(out.stored.status, 200);
    assert_ptr_equal(out.stored.fields, &out.fields);
    assert_int_equal(out.stored.stale_while_s, 11);
    assert_int_equal(out.stored.stale_if_s, 13);
    assert_int_equal(out.stored.flags, STORED_MUST_REVALIDATE);
    assert_true(out.stored.stored_ms == in.stored.stored_ms);
    assert_true(out.stored.ttl_ms == in.stored.ttl_ms && out.stored.age_s == in.stored.age_s);
    assert_true(slice_equal(out.body, in.body));
    assert_ptr_equal(out.body.p, data + len - in.body.n); /* not copied */
    assert_int_equal(out.fields.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(slice_equal(out.fields.list[i].name, in.fields.list[i].name));
        assert_true(slice_equal(out.fields.list[i].value, in.fields.list[i].value));
    }
    int64_t since_ms;
    assert_int_equal(out.own.count, 2);
    assert_string_equal(out.own.name[1], "group:0:b");
    assert_string_equal(out.own.generation[1], own_generation[1]);
    assert_true(out.identity == UINT64_C(0xfedcba9876543210) && out.stored.fetch_ms == 250);
    assert_int_equal(entry_judge(&out, &in.generations, own_generation, &since_ms), ENTRY_VALID);
    free(data);
}

/* What a tag is worth that is none of the response's has no say, whatever becomes of it. */
static void
a_tag_that_is_not_its_own_never_counts(void **state)
{
    (void)state;
    struct entry in, out;
    size_t len;
    int64_t since_ms;
    char *data = stored(&in, &len);
    assert_int_equal(entry_decode(&out, data, len, &tags, arena), ENTRY_WHOLE);
    free(data);
    memcpy(out.generations.value[1], ENTRY_NO_GENERATION, sizeof(store_generation));
    static const char *const worth[] = {"", "M", "ffffffffffffffff0000000000000001"};
    for (size_t i = 0; i < sizeof worth / sizeof *worth; i++) {
        struct store_generations now = in.generations;
        strcpy(now.value[1], worth[i]);
        assert_int_equal(entry_judge(&out, &now, own_generation, &since_ms), ENTRY_VALID);
        memcpy(now.value[0], "", 1);
        assert_int_equal(entry_judge(&out, &now, own_generation, &since_ms), ENTRY_DEAD);
    }
}

static void
one_flipped_bit_anywhere_is_a_miss(void **state)
{
    (void)state;
    struct entry in, out;
    size_t len;
    char *data = stored(&in, &len);
    for (size_t i = 0; i < len; i++) {
        data[i] = (char)(data[i] ^ 1);
        if (entry_decode(&out, data, len, &tags, arena) != ENTRY_DAMAGED)
            fail_msg("byte %zu", i);
        data[i] = (char)(data[i] ^ 1);
    }
    assert_int_equal(entry_decode(&out, data, len, &tags, arena), ENTRY_WHOLE);
    free(data);
}

static void
a_truncated_or_longer_value_is_a_miss(void **state)
{
    (void)state;
    struct entry in, out;
    size_t len;
    char *data = stored(&in, &len);
    for (size_t n = 0; n < len; n++) {
        /* In an allocation of exactly that size, so that a sanitizer sees a step too far. */
        char *part = malloc(n ? n : 1);
        memcpy(part, data, n);
        assert_int_equal(entry_decode(&out, part, n, &tags, arena), ENTRY_DAMAGED);
        free(part);
    }
    char *longer = malloc(len + 1);
    memcpy(longer, data, len);
    longer[len] = 'x';
    assert_int_equal(entry_decode(&out, longer, len + 1, &tags, arena), ENTRY_DAMAGED);
    free(longer);
    free(data);
}

static void
a_generation_that_is_missing_or_other_does_not_match(void **state)
{
    (void)state;
    struct entry in, out;
    size_t len;
    char *data = stored(&in, &len);
    assert_int_equal(entry_decode(&out, data, len, &tags, arena), ENTRY_WHOLE);
    int64_t since_ms;
    for (size_t i = 0; i < tags.count; i++) {
        struct store_generations now = in.generations;
        now.value[i][0] = '\0';
        assert_int_equal(entry_judge(&out, &now, own_generation, &since_ms), ENTRY_DEAD);
        now = in.generations;
        now.value[i][5] = 'f';
        assert_int_equal(entry_judge(&out, &now, own_generation, &since_ms), ENTRY_DEAD);
        strcpy(now.value[i], "M");
        assert_int_equal(entry_judge(&out, &now, own_generation, &since_ms), ENTRY_DEAD);
    }
    for (size_t i = 0; i < 2; i++) {
        store_generation now[2];
        memcpy(now, own_generation, sizeof now);
        now[i][0] = '\0';
        assert_int_equal(entry_judge(&out, &in.generations, now, &since_ms), ENTRY_DEAD);
        memcpy(now, own_generation, sizeof now);
        now[i][3] = 'e';
        assert_int_equal(entry_judge(&out, &in.generations, now, &since_ms), ENTRY_DEAD);
    }
    struct store_generations fewer = in.generations;
    fewer.count--;
    assert_int_equal(entry_judge(&out, &fewer, own_generation, &since_ms), ENTRY_DEAD);
    struct store_tags other;
    assert_true(store_tags_for(&other, arena, "r", "43"));
    assert_int_equal(entry_decode(&out, data, len, &other, arena), ENTRY_RETAGGED);
    free(data);
}

/* Nobody could say of it whether it was invalidated; but it is no damage. */
static void
of_other_tags_than_the_key_has_it_says_so(void **state)
{
    (void)state;
    struct entry in, out;
    struct store_tags now;
    size_t len;
    char *data = stored(&in, &len);
    for (size_t i = 0; i < tags.count; i++) {
        now = tags;
        now.name[i] = "url:elsewhere";
        assert_int_equal(entry_decode(&out, data, len, &now, arena), ENTRY_RETAGGED);
    }
    now = tags;
    now.name[0] = tags.name[1];
    now.name[1] = tags.name[0];
    assert_int_equal(entry_decode(&out, data, len, &now, arena), ENTRY_RETAGGED);
    now = tags;
    while (now.count < tags.count + 3)
        now.name[now.count++] = "tag:new";
    assert_int_equal(entry_decode(&out, data, len, &now, arena), ENTRY_RETAGGED);
    /* A tag that is no longer asked for with it is looked up as those that it brought. */
    now = tags;
    now.count--;
    assert_int_equal(entry_decode(&out, data, len, &now, arena), ENTRY_WHOLE);
    assert_int_equal(out.own.count, 3);
    assert_string_equal(out.own.name[0], tags.name[tags.count - 1]);
    /* Also where there are then more of them than one response may bring. */
    const char *names[STORE_OWN_TAGS_MAX];
    store_generation generations[STORE_OWN_TAGS_MAX];
    for (size_t i = 0; i < STORE_OWN_TAGS_MAX; i++) {
        names[i] = "tag:many";
        memcpy(generations[i], own_generation[0], sizeof generations[i]);
    }
    in.own = (struct own_tags){STORE_OWN_TAGS_MAX, names, generations};
    in.body.n = 0;
    char *many = entry_encode(&in, &tags, &len);
    assert_non_null(many);
    assert_int_equal(entry_decode(&out, many, len, &tags, arena), ENTRY_WHOLE);
    assert_int_equal(entry_decode(&out, many, len, &now, arena), ENTRY_RETAGGED);
    free(many);
    free(data);
}

/* The soft part: 12 hex digits of the time, and four by chance. */
static void
a_soft_purge_makes_it_stale_since_the_first_of_them(void **state)
{
    (void)state;
    struct entry in, out;
    size_t len;
    int64_t since_ms;
    char *data = stored(&in, &len);
    assert_int_equal(entry_decode(&out, data, len, &tags, arena), ENTRY_WHOLE);
    struct store_generations now = in.generations;
    memcpy(now.value[1] + STORE_HARD_LEN, "018bcfe56800abcd", 16);
    assert_int_equal(entry_judge(&out, &now, own_generation, &since_ms), ENTRY_SOFT);
    assert_true(since_ms == INT64_C(1700000000000));
    store_generation own[2];
    memcpy(own, own_generation, sizeof own);
    memcpy(own[0] + STORE_HARD_LEN, "018bcfe56400abcd", 16);
    assert_int_equal(entry_judge(&out, &now, own, &since_ms), ENTRY_SOFT);
    assert_true(since_ms == INT64_C(1700000000000) - 1024);
    /* A hard one beside it kills. */
    now.value[0][0] = 'e';
    assert_int_equal(entry_judge(&out, &now, own, &since_ms), ENTRY_DEAD);
    free(data);
}

static void
without_a_settled_generation_for_each_tag_nothing_is_stored(void **state)
{
    (void)state;
    struct entry in;
    size_t len;
    free(stored(&in, &len));
    strcpy(in.generations.value[1], "M");
    assert_null(entry_encode(&in, &tags, &len));
    free(stored(&in, &len));
    in.generations.value[0][0] = '\0';
    assert_null(entry_encode(&in, &tags, &len));
    free(stored(&in, &len));
    store_generation own[2] = {"", ""};
    in.own.generation = own;
    assert_null(entry_encode(&in, &tags, &len));
}

static void
fields_that_split_answers_do_not_come_out_of_the_store(void **state)
{
    (void)state;
    struct entry entry = {.material = slice_of("m"),
                          .stored = {.status = 200, .stored_ms = 1, .ttl_ms = 1}};
    struct field evil = {slice_of("X"), slice_of("a\r\nSet-Cookie: b")};
    entry.fields = (struct fields){&evil, 1, 1, 20};
    struct store_tags none = {0};
    struct entry out;
    size_t len;
    char *data = entry_encode(&entry, &none, &len);
    assert_non_null(data);
    assert_int_equal(entry_decode(&out, data, len, &none, arena), ENTRY_DAMAGED);
    free(data);
}

static struct slice
head_of(const struct fields *fields, enum mount mount, const struct route *client_cache)
{
    struct reply reply = {.status = 200,
                          .fields = fields,
                          .mount = mount,
                          .x_cache = "HIT",
                          .age_s = 3,
                          .content_length = 5,
                          .client_cache = client_cache,
                          .shared = client_cache != NULL};
    return reply_head(&reply, arena);
}

static bool
says(struct slice head, const char *text)
{
    return memmem(head.p, head.n, text, strlen(text)) != NULL;
}

static void
no_field_with_power_over_the_web_server_goes_out(void **state)
{
    (void)state;
    static const char *const names[] = {
        "X-Sendfile",
        "x-sendfile2",
        "X-Sendfile-Temporary",
        "X-Accel-Redirect",
        "X-Accel-Buffering",
        "X-LIGHTTPD-send-file",
        "Status",
        "status",
        "X-Cache",
        "X-Cache-Invalidate",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fields fields = {0};
        add(&fields, names[i], "/etc/passwd");
        add(&fields, "X-Fine", "yes");
        struct slice head = head_of(&fields, MOUNT_LIGHTTPD, NULL);
        assert_false(says(head, "/etc/passwd"));
        assert_true(says(head, "X-Fine: yes\r\n"));
        assert_memory_equal(head.p, "Status: 200 OK\r\n", 16);
    }
}

static bool
is_streamed(const char *name, const char *value, enum mount mount, bool under_way)
{
    struct fields fields = {0};
    add(&fields, name, value);
    struct reply reply = {.status = 200,
                          .fields = &fields,
                          .mount = mount,
                          .x_cache = "MISS",
                          .age_s = -1,
                          .content_length = -1,
                          .under_way = under_way};
    return says(reply_head(&reply, arena), "X-Accel-Buffering: no\r\n");
}

static void
nginx_is_told_to_send_on_what_a_script_wants_sent_on(void **state)
{
    (void)state;
    assert_true(is_streamed("X-Accel-Buffering", "no", MOUNT_NGINX, true));
    assert_true(is_streamed("x-accel-buffering", "No", MOUNT_NGINX, true));
    assert_true(is_streamed("Content-Type", "text/event-stream", MOUNT_NGINX, true));
    assert_true(is_streamed("Content-Type", "Text/Event-Stream;charset=utf-8", MOUNT_NGINX, true));
    assert_false(is_streamed("Content-Type", "text/event-streams", MOUNT_NGINX, true));
    assert_false(is_streamed("Content-Type", "text/html", MOUNT_NGINX, true));
    assert_false(is_streamed("X-Accel-Buffering", "yes", MOUNT_NGINX, true));
    assert_false(is_streamed("X-Accel-Buffering", "no", MOUNT_NGINX, false));
    assert_false(is_streamed("X-Accel-Buffering", "no", MOUNT_LIGHTTPD, true));
    assert_false(is_streamed("Content-Type", "text/event-stream", MOUNT_APACHE_PROXY_FCGI, true));
}

static void
ours_replaces_theirs(void **state)
{
    (void)state;
    struct fields fields = {0};
    add(&fields, "Age", "99");
    add(&fields, "Content-Length", "98");
    add(&fields, "Location", "/x");
    struct slice head = head_of(&fields, MOUNT_APACHE_FCGID, NULL);
    assert_false(says(head, "99"));
    assert_false(says(head, "98"));
    assert_false(says(head, "Location"));
    assert_true(says(head, "Age: 3\r\n"));
    assert_true(says(head, "Content-Length: 5\r\n"));
    assert_true(says(head, "X-Cache: HIT\r\n\r\n"));
    assert_true(says(head_of(&fields, MOUNT_LIGHTTPD, NULL), "Location: /x"));
}

static void
the_browser_is_told_what_the_route_says(void **state)
{
    (void)state;
    struct route open = {.client_cache = CLIENT_CACHE_PUBLIC, .client_cache_s = 60};
    struct route never = {.client_cache = CLIENT_CACHE_NEVER};
    struct fields fields = {0};
    add(&fields, "Cache-Control", "max-age=5");
    add(&fields, "Expires", "0");
    struct slice head = head_of(&fields, MOUNT_LIGHTTPD, &open);
    assert_true(says(head, "Cache-Control: public, max-age=60\r\n"));
    assert_false(says(head, "max-age=5"));
    assert_false(says(head, "Expires"));
    assert_true(says(head_of(&fields, MOUNT_LIGHTTPD, &never),
                     "Cache-Control: no-store, no-cache, must-revalidate\r\n"));
    add(&fields, "Set-Cookie", "a=b");
    assert_false(says(head_of(&fields, MOUNT_LIGHTTPD, &open), "public"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(a_tag_that_is_not_its_own_never_counts),
        cmocka_unit_test(one_flipped_bit_anywhere_is_a_miss),
        cmocka_unit_test(a_truncated_or_longer_value_is_a_miss),
        cmocka_unit_test(a_generation_that_is_missing_or_other_does_not_match),
        cmocka_unit_test(of_other_tags_than_the_key_has_it_says_so),
        cmocka_unit_test(a_soft_purge_makes_it_stale_since_the_first_of_them),
        cmocka_unit_test(without_a_settled_generation_for_each_tag_nothing_is_stored),
        cmocka_unit_test(fields_that_split_answers_do_not_come_out_of_the_store),
        cmocka_unit_test(no_field_with_power_over_the_web_server_goes_out),
        cmocka_unit_test(nginx_is_told_to_send_on_what_a_script_wants_sent_on),
        cmocka_unit_test(ours_replaces_theirs),
        cmocka_unit_test(the_browser_is_told_what_the_route_says),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
