/*
 * One file of a configuration and what it includes: its text, libconfig's tree
 * of it, and the way back from a setting to the line where it stands.
 */
#ifndef CONFIG_DOCUMENT_H
#define CONFIG_DOCUMENT_H

#include <libconfig.h>
#include <sys/types.h>

#include "config/source.h"
#include "larder.h"

struct document {
    struct source *source;
    config_t tree;
};

/* LARDER_OK, and the document is to be closed; or err has the words. from: as for source_read(). */
enum larder_status document_open(struct document *document, const char *file, struct place from,
                                 struct larder_error *err);
/* One that was never opened, zeroed, is none. */
void document_close(struct document *document);

/* The group of all its settings. NULL: never opened. */
const config_setting_t *document_root(const struct document *document);

/* Where a setting of any document stands, and the permissions of that file. */
struct place document_place(const config_setting_t *setting);
mode_t document_mode(const config_setting_t *setting);

#endif
