/* The words of an explanation: members of its JSON, and lines for people. */
#include "responder/explain_say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/scalar.h"

/* What is shown of one value. */
#define SHOWN_MAX ((size_t)300)

void
explain_put(json_object *object, const char *name, json_object *value)
{
    if (json_object_object_add(object, name, value) != 0)
        json_object_put(value);
}

const char *
explain_shown(struct explanation *e, struct slice value)
{
    size_t n = value.n < SHOWN_MAX ? value.n : SHOWN_MAX, used = 0;
    char *text = arena_alloc(e->exchange.arena, 4 * n + 4);
    if (!text)
        return "?";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c >= 0x20 && c < 0x7f)
            text[used++] = (char)c;
        else
            used += (size_t)snprintf(text + used, 5, "\\x%02x", c);
    }
    snprintf(text + used, 4, "%s", value.n > n ? "..." : "");
    return text;
}

void
explain_put_text(struct explanation *e, json_object *object, const char *name, struct slice value)
{
    if (value.p)
        explain_put(object, name, json_object_new_string(explain_shown(e, value)));
}

void
explain_say(struct explanation *e, const char *what, const char *format, ...)
{
    char line[2048];
    va_list args;
    int n = snprintf(line, sizeof line, "%-9s", what);
    va_start(args, format);
    vsnprintf(line + n, sizeof line - (size_t)n, format, args);
    va_end(args);
    json_object *value = json_object_new_string(line);
    if (json_object_array_add(e->text, value) != 0)
        json_object_put(value);
}

const char *
explain_duration(struct explanation *e, int64_t ms)
{
    char text[SCALAR_TEXT_SIZE];
    /* Of what takes minutes nobody wants the milliseconds. */
    scalar_print_duration(text, sizeof text, ms < 10000 ? ms : ms - ms % 1000);
    const char *copy = arena_strndup(e->exchange.arena, text, strlen(text));
    return copy ? copy : "?";
}
