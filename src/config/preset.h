/*
 * Presets: configurations for one application each, which are shipped and have a
 * name. NAME stands for NAME.conf in one directory.
 */
#ifndef CONFIG_PRESET_H
#define CONFIG_PRESET_H

#include "base/arena.h"
#include "config/config.h"
#include "larder.h"

/* Goes before the directory that `make install` filled. */
#define PRESET_DIRECTORY_VARIABLE "LARDER_PRESET_DIR"
#define PRESET_NAME_MAX 64
#define PRESETS_MAX 256

/* Static, or the environment's. */
const char *preset_directory(void);

/*
 * The file of a preset, in the arena. LARDER_INVALID: it is no name, or there is
 * no such preset; err says which there are. Does not open it.
 */
enum larder_status preset_find(const char *name, struct arena *arena, const char **file,
                               struct larder_error *err);

/* All names, in order. LARDER_INVALID: the directory cannot be read. */
enum larder_status preset_list(struct arena *arena, struct string_list *names,
                               struct larder_error *err);

#endif
