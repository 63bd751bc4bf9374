/*
 * `larderctl explain --preset`: which presets there are, and what one of them says.
 *
 * A preset explains itself: each of its lines has a reason beside it. So this
 * prints the file, and of all of them the line that each begins with.
 *
 * Called by explain.c. It asks nobody and reads no configuration.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/preset.h"
#include "ctl/ctl.h"

/* What the names and their files may take. */
#define ARENA_MAX ((size_t)1024 * 1024)
/* No preset is longer. */
#define TEXT_MAX ((size_t)1024 * 1024)

/* The whole file, NUL-terminated; free() it. NULL: it has been said why. */
static char *
read_text(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(TEXT_MAX + 1) : NULL;

    if (!file) {
        complain("explain: %s: %s", path, strerror(errno));
        return NULL;
    }
    *len = text ? fread(text, 1, TEXT_MAX, file) : 0;
    if (!text || ferror(file)) {
        complain("explain: %s: %s", path, text ? strerror(errno) : "no memory");
        free(text);
        text = NULL;
    } else {
        text[*len] = '\0';
    }
    fclose(file);
    return text;
}

/* The first comment, as the end of the text that it stands in: cut off there. "": there is none. */
static const char *
description(char *text)
{
    char *line = text + strspn(text, " \t\r\n");

    if (*line != '#')
        return "";
    line += 1 + strspn(line + 1, " \t");
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

static int
list_presets(const struct ctl *ctl, struct arena *arena)
{
    struct string_list names;
    struct larder_error err;
    json_object *answer;

    if (preset_list(arena, &names, &err) != LARDER_OK) {
        complain("explain: %s", err.message);
        return CTL_FAILED;
    }
    answer = json_object_new_array();
    for (size_t i = 0; i < names.count; i++) {
        json_object *one = json_new();
        const char *file, *words;
        char *text = NULL;
        size_t n;

        if (preset_find(names.list[i], arena, &file, &err) == LARDER_OK)
            text = read_text(file, &n);
        words = text ? description(text) : "";
        json_put(one, "name", json_text(names.list[i], strlen(names.list[i])));
        json_put(one, "description", json_text(words, strlen(words)));
        json_object_array_add(answer, one);
        if (!ctl->json) {
            printf("%-16s ", names.list[i]);
            print_visible(stdout, words, strlen(words));
            putchar('\n');
        }
        free(text);
    }
    if (ctl->json)
        print_json(answer);
    else
        json_object_put(answer);
    return CTL_OK;
}

static int
print_preset(const struct ctl *ctl, const char *name, struct arena *arena)
{
    struct larder_error err;
    const char *file = name;
    char *text;
    size_t n;

    if (!strchr(name, '/') && preset_find(name, arena, &file, &err) != LARDER_OK) {
        complain("explain: %s", err.message);
        return CTL_NO;
    }
    text = read_text(file, &n);
    if (!text)
        return CTL_NO;
    if (ctl->json) {
        json_object *answer = json_new();
        json_put(answer, "name", json_text(name, strlen(name)));
        json_put(answer, "file", json_text(file, strlen(file)));
        json_put(answer, "text", json_text(text, n));
        print_json(answer);
    } else {
        printf("# %s\n", file);
        fwrite(text, 1, n, stdout);
    }
    free(text);
    return CTL_OK;
}

int
explain_preset(const struct ctl *ctl)
{
    struct arena *arena = arena_new(ARENA_MAX);
    const char *name = ctl->arg_count > 0 ? ctl->args[0] : "list";
    int code = CTL_FAILED;

    if (!arena)
        complain("explain: no memory");
    else if (strcmp(name, "list") == 0)
        code = list_presets(ctl, arena);
    else
        code = print_preset(ctl, name, arena);
    arena_free(arena);
    return code;
}
