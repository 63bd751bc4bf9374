/*
 * What larderctl says: results on stdout, everything else on stderr, and the
 * questions.
 *
 * Keys and values are other people's bytes. On their way to a terminal or into a
 * message, control characters become visible, so that a key can neither move
 * the cursor nor pass for another line. JSON answers are one line each.
 *
 * Called by every command. Memory that is not there ends the program: nothing
 * is half done at any place where an answer is being built.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

#define LINE_SIZE 2048

/* Length of the UTF-8 sequence at p (RFC 3629 §4); 0: it is not one. */
static size_t
utf8_length(const unsigned char *p, size_t n)
{
    size_t len;
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if ((p[0] & 0xf0) == 0xe0) {
        len = 3;
        if (p[0] == 0xe0)
            low = 0xa0;
        if (p[0] == 0xed)
            high = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        if (p[0] == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (n < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return len;
}

void
print_visible(FILE *to, const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;

    for (size_t i = 0, step; i < len; i += step) {
        step = utf8_length(p + i, len - i);
        /* U+0080 to U+009F are control characters too, and terminals obey some. */
        if (step == 0 || p[i] < 0x20 || p[i] == 0x7f || p[i] == '\\' ||
            (p[i] == 0xc2 && p[i + 1] < 0xa0)) {
            if (step == 0)
                step = 1;
            for (size_t k = 0; k < step; k++)
                fprintf(to, "\\x%02x", p[i + k]);
        } else {
            fwrite(p + i, 1, step, to);
        }
    }
}

static void say(FILE *to, const char *prefix, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void
say(FILE *to, const char *prefix, const char *format, va_list args)
{
    char line[LINE_SIZE];
    int n = vsnprintf(line, sizeof line, format, args);

    if (n < 0)
        return;
    fputs(prefix, to);
    for (const char *p = line; *p; p++) {
        unsigned char c = (unsigned char)*p;
        fputc(c < 0x20 || c == 0x7f ? '?' : c, to);
    }
    fputc('\n', to);
}

void
complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(stderr, "larderctl: ", format, args);
    va_end(args);
}

void
remark(const struct ctl *ctl, const char *format, ...)
{
    va_list args;

    if (ctl->quiet)
        return;
    va_start(args, format);
    say(stderr, "larderctl: ", format, args);
    va_end(args);
}

void
confirm_done(const struct ctl *ctl, const char *format, ...)
{
    va_list args;

    if (ctl->quiet || ctl->json)
        return;
    va_start(args, format);
    say(stdout, "", format, args);
    va_end(args);
}

int
exit_code_of(enum larder_status status)
{
    switch (status) {
    case LARDER_OK:
        return CTL_OK;
    case LARDER_MISS:
    case LARDER_EXISTS:
        return CTL_NO;
    case LARDER_INVALID:
        return CTL_USAGE;
    case LARDER_TIMEOUT:
    case LARDER_UNAVAILABLE:
        return CTL_UNREACHABLE;
    case LARDER_UNKNOWN:
        return CTL_PARTIAL;
    case LARDER_DISABLED:
    case LARDER_REFUSED:
    case LARDER_PROTOCOL:
    case LARDER_CORRUPT:
    case LARDER_TRUNCATED:
    case LARDER_NOMEM:
        break;
    }
    return CTL_FAILED;
}

int
fail(enum larder_status status, const struct larder_error *err)
{
    if (err->message[0])
        complain("%s", err->message);
    else
        complain("%s", larder_status_name(status));
    if (status == LARDER_UNKNOWN)
        complain("no answer came back: it may have been done or not");
    return exit_code_of(status);
}

static void __attribute__((noreturn)) no_memory(void)
{
    fputs("larderctl: no memory\n", stderr);
    exit(CTL_FAILED);
}

json_object *
json_new(void)
{
    json_object *object = json_object_new_object();

    if (!object)
        no_memory();
    return object;
}

void
json_put(json_object *object, const char *name, json_object *value)
{
    if (!value || json_object_object_add(object, name, value) != 0)
        no_memory();
}

json_object *
json_text(const char *data, size_t len)
{
    static const unsigned char replacement[3] = {0xef, 0xbf, 0xbd}; /* U+FFFD */
    const unsigned char *p = (const unsigned char *)data;
    json_object *object;
    char *text;
    size_t n = 0;

    if (len > INT32_MAX / 3 || !(text = malloc(len * 3 + 1)))
        no_memory();
    for (size_t i = 0; i < len;) {
        size_t step = utf8_length(p + i, len - i);

        if (step == 0) {
            memcpy(text + n, replacement, sizeof replacement);
            n += sizeof replacement;
            i++;
        } else {
            memcpy(text + n, p + i, step);
            n += step;
            i += step;
        }
    }
    object = json_object_new_string_len(text, (int)n);
    free(text);
    if (!object)
        no_memory();
    return object;
}

void
json_write(json_object *object)
{
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text)
        no_memory();
    fputs(text, stdout);
    json_object_put(object);
}

void
print_json(json_object *object)
{
    json_write(object);
    putchar('\n');
}

const char *
duration_text(int64_t ms, char buf[DURATION_SIZE])
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t count = sizeof units / sizeof units[0];
    size_t i = 0;
    int n;

    while (i + 1 < count && ms < units[i].ms)
        i++;
    n = snprintf(buf, DURATION_SIZE, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
    ms %= units[i].ms;
    if (i + 1 < count && ms >= units[i + 1].ms)
        snprintf(buf + n, DURATION_SIZE - (size_t)n, "%" PRId64 "%s", ms / units[i + 1].ms,
                 units[i + 1].name);
    return buf;
}

int
ask_possible(const struct ctl *ctl)
{
    if (ctl->yes || (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)))
        return CTL_OK;
    complain("%s: this cannot be undone, and there is no terminal to ask; --yes says it is meant",
             ctl->command->name);
    return CTL_USAGE;
}

int
ask(const struct ctl *ctl, const char *format, ...)
{
    char answer[16];
    va_list args;

    if (ctl->yes)
        return CTL_OK;
    va_start(args, format);
    say(stderr, "", format, args);
    va_end(args);
    fputs("Type yes to go on: ", stderr);
    fflush(stderr);
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return CTL_OK;
    complain("nothing was done");
    return CTL_NO;
}

int
finish_output(int code)
{
    bool failed = ferror(stdout) != 0;

    if (fflush(stdout) != 0)
        failed = true;
    if (!failed)
        return code;
    /* A reader that has seen enough (| head) is told nothing. */
    if (errno != EPIPE)
        complain("cannot write the answer: %s", strerror(errno));
    return code == CTL_OK ? CTL_FAILED : code;
}
