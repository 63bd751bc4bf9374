/*
 * What somebody wants purged (order.c, order_resolve.c). The input's first byte
 * says what the rest is: '{' is JSON, '?' a query, anything else the fields of a
 * PURGE, one a line.
 *
 * Must hold besides not crashing: who is refused is told why, in printable
 * ASCII; an order has no more items than one may have, none of them empty, with
 * control characters or too long; no member or switch was said twice, and no URL,
 * directory or tag is a pattern; what is accepted can be resolved, or is refused
 * with words, to at least one tag or pattern; and a query made of the items of an
 * order is the same order.
 */
#include <stdio.h>

#include "fuzz.h"

#include "responder/dialect.h"
#include "responder/order.h"

#define SIZE_LIMIT ((size_t)64 * 1024)

static struct config *config;

/* All that an order asks of a configuration is in its routes; the defaults have none. */
static void
load(void)
{
    if (!config)
        config = config_load(NULL, NULL);
    MUST(config);
}

static void
words_are_printable(const struct larder_error *err)
{
    MUST(err->message[0]);
    for (const char *p = err->message; *p; p++)
        MUST(*p >= 0x20 && *p < 0x7f);
}

static void
order_is_sound(const struct order *order, bool is_request)
{
    size_t count = 0;
    for (int kind = 0; kind < ORDER_KINDS; kind++)
        for (size_t i = 0; i < order->list[kind].count; i++, count++) {
            struct slice item = order->list[kind].items[i];
            MUST(item.n > 0);
            for (size_t k = 0; k < item.n; k++)
                MUST((unsigned char)item.p[k] >= 0x20);
            MUST((kind != ORDER_URLS && kind != ORDER_PREFIXES) || is_request ||
                 !dialect_pattern_sign(order_split(item).target));
            MUST(kind != ORDER_TAGS || item.p[item.n - 1] != '*');
            MUST((kind != ORDER_TAGS && kind != ORDER_GROUPS) || item.n <= STORE_TAG_NAME_MAX);
        }
    MUST(count == order->count && count <= ORDER_ITEMS_MAX);
    MUST(order->list[ORDER_PATTERNS].count <= ORDER_PATTERNS_MAX);
}

static bool
same(const struct order *a, const struct order *b)
{
    bool equal = a->all == b->all && a->soft == b->soft && slice_equal(a->origin, b->origin);
    for (int kind = 0; kind < ORDER_KINDS; kind++) {
        equal = equal && a->list[kind].count == b->list[kind].count;
        for (size_t i = 0; equal && i < a->list[kind].count; i++)
            equal = slice_equal(a->list[kind].items[i], b->list[kind].items[i]);
    }
    return equal;
}

static void
put_parameter(char *text, size_t *n, const char *name, struct slice value)
{
    *n += (size_t)snprintf(text + *n, 16, "%s=", name);
    for (size_t i = 0; i < value.n; i++)
        *n += (size_t)snprintf(text + *n, 4, "%%%02X", (unsigned char)value.p[i]);
    text[(*n)++] = '&';
}

static void
query_says_the_same(const struct order *order, struct arena *arena)
{
    struct order again = {0};
    size_t room = 64 + 3 * order->origin.n, n = 0;
    for (int kind = 0; kind < ORDER_KINDS; kind++)
        for (size_t i = 0; i < order->list[kind].count; i++)
            room += 3 * order->list[kind].items[i].n + 16;
    char *text = malloc(room);
    MUST(text);
    for (int kind = 0; kind < ORDER_KINDS; kind++)
        for (size_t i = 0; i < order->list[kind].count; i++)
            put_parameter(text, &n, order_kind_name((enum order_kind)kind),
                          order->list[kind].items[i]);
    if (order->origin.p)
        put_parameter(text, &n, "origin", order->origin);
    put_parameter(text, &n, "all", slice_of(order->all ? "1" : "0"));
    put_parameter(text, &n, "soft", slice_of(order->soft ? "true" : "false"));
    MUST(order_read_query(&again, (struct slice){text, n}, arena, NULL) == LARDER_OK);
    MUST(same(order, &again));
    free(text);
}

static void
resolves(const struct order *order, const struct order_site *site, struct arena *arena)
{
    struct larder_error err = {0};
    struct purge purge;
    if (order_resolve(order, config, site, &purge, arena, &err) != LARDER_OK) {
        words_are_printable(&err);
        return;
    }
    MUST(purge.tag_count + purge.pattern_count > 0 && purge.soft == order->soft);
    MUST(purge.pattern_count == order->list[ORDER_PATTERNS].count);
    for (size_t i = 0; i < purge.tag_count; i++)
        MUST(purge.tags[i][0] && strlen(purge.tags[i]) < STORE_TAG_SIZE);
}

/* A field that is not understood is refused with words, and a URL is spelled out once. */
static void
dialect_has_words(const struct fields *fields)
{
    struct request request = {.method = slice_of("PURGE"),
                              .target = slice_of("/page"),
                              .host = slice_of("shop.example"),
                              .fields = *fields};
    for (int posted = 0; posted < 2; posted++) {
        struct larder_error err = {0};
        if (dialect_check_fields(&request, posted, "/.larder/purge", &err) != LARDER_OK)
            words_are_printable(&err);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct order_site somewhere = {{"https", 5}, {"Shop.Example:443", 16}};
    static const struct order_site nowhere = {{NULL, 0}, {NULL, 0}};
    struct slice text = {(const char *)data, size};
    struct larder_error err = {0};
    struct order order = {0};
    if (size == 0 || size > SIZE_LIMIT)
        return 0;
    load();
    struct arena *arena = arena_new(ORDER_ARENA_MAX);
    MUST(arena);
    enum larder_status status;
    bool is_request = text.p[0] != '{' && text.p[0] != '?';
    dialect_pattern_sign(text);
    if (text.p[0] == '{') {
        status = order_read_json(&order, text, arena, &err);
    } else if (text.p[0] == '?') {
        status = order_read_query(&order, (struct slice){text.p + 1, text.n - 1}, arena, &err);
    } else {
        struct fields fields = take_fields(&text, arena);
        dialect_has_words(&fields);
        status = order_read_request(&order, slice_of("/page"), &fields, arena, &err);
        MUST(status != LARDER_OK || order.count > 0);
    }
    if (status == LARDER_OK) {
        order_is_sound(&order, is_request);
        if (!is_request)
            query_says_the_same(&order, arena);
        resolves(&order, &somewhere, arena);
        resolves(&order, &nowhere, arena);
    } else {
        words_are_printable(&err);
    }
    arena_free(arena);
    return 0;
}
