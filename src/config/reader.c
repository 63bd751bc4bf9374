/*
 * From libconfig's tree into typed fields, by the table of options.
 *
 * One walk over a group: each member is looked up in the table, its type and
 * range are checked, its value is stored where the table says. What is wrong is
 * reported with the file and line where it stands, what was found there and
 * what was expected. Whatever is kept is copied: the tree does not outlive the
 * load.
 *
 * Called by config.c, routes.c and route_entry.c. It knows no option by name.
 */
#include "config/reader.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/shown.h"
#include "config/scalar.h"

#define FOUND_SIZE 96

enum larder_status
reader_error(struct reader *reader, const config_setting_t *setting, const char *format, ...)
{
    char words[LARDER_ERROR_MAX];
    va_list args;
    va_start(args, format);
    if (vsnprintf(words, sizeof words, format, args) < 0)
        words[0] = '\0';
    va_end(args);
    return place_error(reader->err, document_place(setting), "%s", words);
}

enum larder_status
reader_no_memory(struct reader *reader)
{
    return error_set(reader->err, LARDER_NOMEM, "%s: out of memory", reader->file);
}

const config_setting_t *
reader_setting(const struct reader *reader, const char *section, const char *name)
{
    const struct option *option = option_find(section, name);
    return option ? reader->set[option_index(option)] : NULL;
}

/* -------------------------------------------------------------------- words */

static const char *
found(const config_setting_t *setting, char buf[FOUND_SIZE])
{
    char shown[SOURCE_SHOWN_SIZE], url[SHOWN_URL_SIZE], number[32];
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(buf, FOUND_SIZE, "the integer %lld", config_setting_get_int64(setting));
        break;
    case CONFIG_TYPE_FLOAT:
        /* 6379.0 must not look like the integer that is expected. */
        snprintf(number, sizeof number, "%.12g", config_setting_get_float(setting));
        snprintf(buf, FOUND_SIZE, "the number %s%s", number, strpbrk(number, ".en") ? "" : ".0");
        break;
    case CONFIG_TYPE_BOOL:
        snprintf(buf, FOUND_SIZE, "%s", config_setting_get_bool(setting) ? "true" : "false");
        break;
    case CONFIG_TYPE_STRING: {
        const char *text = config_setting_get_string(setting);
        shown_url(url, text, strlen(text));
        snprintf(buf, FOUND_SIZE, "\"%s\"", source_shown(shown, url, strlen(url)));
        break;
    }
    case CONFIG_TYPE_GROUP:
        snprintf(buf, FOUND_SIZE, "a group { }");
        break;
    default:
        snprintf(buf, FOUND_SIZE, "a list");
        break;
    }
    return buf;
}

/* A number without quotes where a unit is needed gets its own hint. */
static enum larder_status
wrong_value(struct reader *reader, const struct option *option, const config_setting_t *setting)
{
    char expected[OPTION_EXPECTED_SIZE];
    char name[OPTION_NAME_SIZE];
    char is[FOUND_SIZE];
    option_full_name(name, option);
    bool secret = shown_is_secret(option->name, strlen(option->name));
    bool has_unit = option->type == OPTION_DURATION || option->type == OPTION_SIZE;
    if (has_unit && config_setting_type(setting) == CONFIG_TYPE_INT)
        return reader_error(
            reader, setting, "%s: found %s, expected a %s with its unit, such as \"%d%s\"", name,
            found(setting, is), option_type_name(option), config_setting_get_int(setting),
            option->type == OPTION_DURATION ? "s" : "M");
    return reader_error(reader, setting, "%s: found %s, expected %s", name,
                        secret ? "a value" : found(setting, is), option_expected(option, expected));
}

/* Settings of earlier versions, and what to do with them. */
static const struct {
    const char *section, *name, *words;
} gone[] = {
    {"routes", "mark",
     "there is no such setting any more: a mutation under way keeps nothing out of use; take the "
     "line out"},
};

static enum larder_status
unknown(struct reader *reader, const char *section, const config_setting_t *setting)
{
    char near[OPTION_NAME_SIZE];
    char shown[SOURCE_SHOWN_SIZE];
    const char *name = config_setting_name(setting);
    const char *in = *section ? " in " : "";
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        if (strcmp(section, gone[i].section) == 0 && strcmp(name, gone[i].name) == 0)
            return reader_error(reader, setting, "%s: %s", name, gone[i].words);
    source_shown(shown, name, strlen(name));
    option_nearest(near, section, name);
    if (near[0])
        return reader_error(reader, setting, "unknown setting `%s`%s%s; did you mean `%s`?", shown,
                            in, section, near);
    return reader_error(reader, setting, "unknown setting `%s`%s%s", shown, in, section);
}

/* ------------------------------------------------------------------- values */

static bool
has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* Wherever the process was started. */
const char *
reader_path(struct reader *reader, const config_setting_t *setting, const char *text)
{
    const char *file = document_place(setting).file;
    const char *slash = strrchr(file, '/');
    char dir[PATH_MAX] = "";
    char real[PATH_MAX] = "";
    if (*text != '/') {
        int n = slash ? snprintf(dir, sizeof dir, "%.*s", (int)(slash + 1 - file), file)
                      : snprintf(dir, sizeof dir, "./");
        if (n < 0 || (size_t)n >= sizeof dir || !realpath(dir, real)) {
            reader_error(reader, setting, "cannot find the directory of this file: %s",
                         strerror((size_t)n >= sizeof dir ? ENAMETOOLONG : errno));
            return NULL;
        }
    }
    bool separate = real[0] && real[1]; /* "/" ends with the slash itself */
    const char *path = arena_printf(reader->arena, "%s%s%s", real, separate ? "/" : "", text);
    if (!path)
        reader_no_memory(reader);
    return path;
}

static enum larder_status
read_string(struct reader *reader, const struct option *option, const config_setting_t *setting,
            void *base)
{
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong_value(reader, option, setting);
    const char *text = config_setting_get_string(setting);
    const char *copy = text;
    char name[OPTION_NAME_SIZE];
    if (has_control(text))
        return reader_error(reader, setting, "%s: found a control character",
                            option_full_name(name, option));
    if (option->type == OPTION_PATH && *text) {
        copy = reader_path(reader, setting, text);
        if (!copy)
            return reader->err ? reader->err->status : LARDER_INVALID;
    } else if (option->offset != OPTION_APART) {
        copy = arena_strndup(reader->arena, text, strlen(text));
        if (!copy)
            return reader_no_memory(reader);
    }
    size_t n = strlen(copy);
    if (n < (size_t)option->min || n > (size_t)option->max)
        return wrong_value(reader, option, setting);
    if (option->offset != OPTION_APART)
        memcpy((char *)base + option->offset, &copy, sizeof copy);
    return LARDER_OK;
}

enum larder_status
reader_strings(struct reader *reader, const config_setting_t *setting, struct string_list *list)
{
    int n = config_setting_length(setting);
    const char **copies = arena_calloc(reader->arena, n > 0 ? (size_t)n : 1, sizeof *copies);
    if (!copies)
        return reader_no_memory(reader);
    for (int i = 0; i < n; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        char is[FOUND_SIZE];
        const char *name = config_setting_name(setting);
        if (config_setting_type(element) != CONFIG_TYPE_STRING)
            return reader_error(reader, element, "%s: found %s, expected a string in quotes", name,
                                found(element, is));
        const char *text = config_setting_get_string(element);
        size_t len = strlen(text);
        if (len == 0 || len > READER_ELEMENT_MAX || has_control(text))
            return reader_error(reader, element,
                                "%s: found %s, expected 1 to %d bytes without control characters",
                                name, found(element, is), READER_ELEMENT_MAX);
        copies[i] = arena_strndup(reader->arena, text, len);
        if (!copies[i])
            return reader_no_memory(reader);
    }
    *list = (struct string_list){copies, (size_t)n};
    return LARDER_OK;
}

static enum larder_status
read_list(struct reader *reader, const struct option *option, const config_setting_t *setting,
          void *base)
{
    int type = config_setting_type(setting);
    if ((type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) ||
        config_setting_length(setting) > option->max)
        return wrong_value(reader, option, setting);
    struct string_list list;
    enum larder_status status = reader_strings(reader, setting, &list);
    if (status == LARDER_OK && option->offset != OPTION_APART)
        memcpy((char *)base + option->offset, &list, sizeof list);
    return status;
}

static enum larder_status
read_value(struct reader *reader, const struct option *option, const config_setting_t *setting,
           void *base)
{
    int type = config_setting_type(setting);
    bool fits = false;
    switch (option->type) {
    case OPTION_BOOL:
        fits = type == CONFIG_TYPE_BOOL &&
               option_set_bool(option, base, config_setting_get_bool(setting) == CONFIG_TRUE);
        break;
    case OPTION_INT:
    case OPTION_COUNT:
        fits = (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) &&
               option_set_number(option, base, config_setting_get_int64(setting));
        break;
    case OPTION_DURATION:
    case OPTION_SIZE:
    case OPTION_CHOICE:
    case OPTION_SWITCH:
        fits = type == CONFIG_TYPE_STRING &&
               option_set_text(option, base, config_setting_get_string(setting));
        break;
    case OPTION_STRING:
    case OPTION_PATH:
        return read_string(reader, option, setting, base);
    case OPTION_STRINGS:
        return read_list(reader, option, setting, base);
    case OPTION_GROUP:
        fits = type == CONFIG_TYPE_GROUP;
        break;
    }
    return fits ? LARDER_OK : wrong_value(reader, option, setting);
}

enum larder_status
reader_option(struct reader *reader, const char *section, const config_setting_t *setting,
              void *base)
{
    const struct option *option = option_find(section, config_setting_name(setting));
    if (!option)
        return unknown(reader, section, setting);
    enum larder_status status = read_value(reader, option, setting, base);
    if (status == LARDER_OK)
        reader->set[option_index(option)] = setting;
    return status;
}

enum larder_status
reader_section(struct reader *reader, const char *section, const config_setting_t *group,
               void *base)
{
    char is[FOUND_SIZE];
    if (config_setting_type(group) != CONFIG_TYPE_GROUP)
        return reader_error(reader, group, "%s: found %s, expected a group: { ... }", section,
                            found(group, is));
    int n = config_setting_length(group);
    enum larder_status status = LARDER_OK;
    for (int i = 0; i < n && status == LARDER_OK; i++)
        status = reader_option(reader, section, config_setting_get_elem(group, (unsigned)i), base);
    return status;
}
