/*
 * Where presets are, and which there are.
 *
 * A preset is a configuration file like any other (config.c says what may stand
 * in it), so that whoever wants to know what it does reads it. Here is only the
 * way from its name to the file.
 *
 * Called by config.c, and by larderctl for those who want to read them.
 */
#include "config/preset.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#ifndef LARDER_PRESETDIR
#define LARDER_PRESETDIR "/usr/share/larder/presets"
#endif

#define SUFFIX ".conf"

const char *
preset_directory(void)
{
    const char *directory = getenv(PRESET_DIRECTORY_VARIABLE);
    return directory && *directory ? directory : LARDER_PRESETDIR;
}

static bool
is_name(const char *text, size_t n)
{
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return n > 0 && n <= PRESET_NAME_MAX && good >= n;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Is it a file that has a preset's name? Then its length, without the end; else 0. */
static size_t
name_length(const char *file)
{
    size_t n = strlen(file), end = sizeof SUFFIX - 1;
    bool fits = n > end && strcmp(file + n - end, SUFFIX) == 0 && is_name(file, n - end);
    return fits ? n - end : 0;
}

enum larder_status
preset_list(struct arena *arena, struct string_list *names, struct larder_error *err)
{
    const char **list = arena_calloc(arena, PRESETS_MAX, sizeof *list);
    const struct dirent *entry;
    size_t count = 0;
    *names = (struct string_list){NULL, 0};
    if (!list)
        return error_set(err, LARDER_NOMEM, "presets: out of memory");
    DIR *entries = opendir(preset_directory());
    if (!entries)
        return error_set(err, LARDER_INVALID, "cannot read the directory of presets, %s: %s",
                         preset_directory(), strerror(errno));
    while (count < PRESETS_MAX && (entry = readdir(entries))) {
        size_t n = name_length(entry->d_name);
        list[count] = n ? arena_strndup(arena, entry->d_name, n) : NULL;
        count += list[count] != NULL;
    }
    closedir(entries);
    qsort(list, count, sizeof *list, by_name);
    *names = (struct string_list){list, count};
    return LARDER_OK;
}

/* Which there are instead. */
static enum larder_status
not_there(const char *name, struct arena *arena, struct larder_error *err)
{
    struct string_list names;
    char there[LARDER_ERROR_MAX] = "none";
    size_t used = 0;
    enum larder_status status = preset_list(arena, &names, err);
    if (status != LARDER_OK)
        return status;
    for (size_t i = 0; i < names.count && used < sizeof there; i++) {
        int n = snprintf(there + used, sizeof there - used, "%s%s", i ? ", " : "", names.list[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return error_set(err, LARDER_INVALID, "there is no preset \"%.64s\"; there are: %s", name,
                     there);
}

enum larder_status
preset_find(const char *name, struct arena *arena, const char **file, struct larder_error *err)
{
    if (!is_name(name, strlen(name)))
        return error_set(err, LARDER_INVALID,
                         "found \"%.64s\", expected the name of a preset (letters, digits, - and "
                         "_), or a file with a / in its name",
                         name);
    *file = arena_printf(arena, "%s/%s" SUFFIX, preset_directory(), name);
    if (!*file)
        return error_set(err, LARDER_NOMEM, "presets: out of memory");
    return access(*file, F_OK) == 0 ? LARDER_OK : not_there(name, arena, err);
}
