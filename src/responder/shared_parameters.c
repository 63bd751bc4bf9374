/*
 * The parameters of a FastCGI request whose answer may be shared: those that say
 * how a visitor asked, and not for what, are the same for all.
 *
 * A script may print SERVER_PROTOCOL, or leave something out for HTTP/1.0. Whether
 * CONTENT_TYPE, CONTENT_LENGTH and Authorization are there at all depends on the
 * web server, and on whether the visitor sent an empty field. Neither is in the
 * key, so that the first visitor would choose for everybody.
 *
 * fetch.c calls it with what backend_fields.c has made.
 */
#include "responder/shared_parameters.h"

#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

/* What every shared request has. The lengths and types are those that nginx sends for a request
 * without a body, so that FastCGI programs know them. */
static const struct {
    const char *name, *value;
} same[] = {
    {"SERVER_PROTOCOL", "HTTP/1.1"},
    {"CONTENT_LENGTH", ""},
    {"CONTENT_TYPE", ""},
};

/* What web servers say of the connection. Another name that begins likewise is the operator's, and in
 * the key (settings.c). */
static bool
is_of_connection(struct slice name)
{
    static const char *const names[] = {"HTTP2",        "HTTP3",        "H2PUSH",
                                        "H2_PUSH",      "H2_PUSHED",    "H2_PUSHED_ON",
                                        "H2_STREAM_ID", "H2_STREAM_TAG"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal(name, slice_of(names[i])))
            return true;
    return false;
}

/* An empty one is no credential (decide.c). */
static bool
is_empty_authorization(const struct upstream_parameter *parameter)
{
    static const char *const names[] = {"Authorization", "HTTP_AUTHORIZATION",
                                        "REDIRECT_HTTP_AUTHORIZATION"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (slice_equal(parameter->name, slice_of(names[i])))
            return parameter->value.n == 0;
    return false;
}

static bool
is_the_visitors(const struct upstream_parameter *parameter)
{
    for (size_t i = 0; i < COUNT_OF(same); i++)
        if (slice_equal(parameter->name, slice_of(same[i].name)))
            return true;
    return is_of_connection(parameter->name) || is_empty_authorization(parameter);
}

bool
shared_parameters(struct backend_parameters *parameters, struct arena *arena)
{
    struct backend_parameters out = {NULL, 0};
    out.list = arena_calloc(arena, parameters->count + COUNT_OF(same), sizeof *out.list);
    if (!out.list)
        return false;
    for (size_t i = 0; i < parameters->count; i++)
        if (!is_the_visitors(&parameters->list[i]))
            out.list[out.count++] = parameters->list[i];
    for (size_t i = 0; i < COUNT_OF(same); i++)
        out.list[out.count++] =
            (struct upstream_parameter){slice_of(same[i].name), slice_of(same[i].value)};
    *parameters = out;
    return true;
}
