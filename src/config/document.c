/*
 * One file of a configuration, parsed.
 *
 * A configuration is made of several: the operator's file and a preset. Their
 * settings are read into the same fields by the same code, so a setting has to
 * know by itself which file and line it stands in: the root of each tree has its
 * text as a hook, and the way from a setting leads up to the root.
 *
 * Called by config.c and reader.c. It interprets no setting.
 */
#include "config/document.h"

#include <string.h>

enum larder_status
document_open(struct document *document, const char *file, struct place from,
              struct larder_error *err)
{
    struct source *source = source_read(file, from, err);
    *document = (struct document){.source = NULL};
    if (!source)
        return LARDER_INVALID;
    config_init(&document->tree);
    if (config_read_string(&document->tree, source_text(source)) == CONFIG_TRUE) {
        document->source = source;
        config_setting_set_hook(config_root_setting(&document->tree), source);
        return LARDER_OK;
    }
    int line = config_error_line(&document->tree);
    const char *words = config_error_text(&document->tree);
    place_error(err, source_place(source, line > 0 ? (unsigned)line : 0), "%s",
                words ? words : "syntax error");
    config_destroy(&document->tree);
    source_free(source);
    return LARDER_INVALID;
}

void
document_close(struct document *document)
{
    if (!document->source)
        return;
    config_destroy(&document->tree);
    source_free(document->source);
    document->source = NULL;
}

const config_setting_t *
document_root(const struct document *document)
{
    return document->source ? config_root_setting(&document->tree) : NULL;
}

static const struct source *
source_of(const config_setting_t *setting)
{
    const config_setting_t *above;
    while ((above = config_setting_parent(setting)))
        setting = above;
    return config_setting_get_hook(setting);
}

struct place
document_place(const config_setting_t *setting)
{
    return source_place(source_of(setting), (unsigned)config_setting_source_line(setting));
}

mode_t
document_mode(const config_setting_t *setting)
{
    return source_mode(source_of(setting), document_place(setting));
}
