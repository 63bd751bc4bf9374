/*
 * The list of routes: that of the file, and behind it that of its preset.
 */
#ifndef CONFIG_ROUTES_H
#define CONFIG_ROUTES_H

#include "config/reader.h"

/* Into config->routes and what is known of them together. A list may be NULL: there is none.
 * config has the sections. */
enum larder_status routes_read(struct config *config, struct reader *reader,
                               const config_setting_t *own, const config_setting_t *preset);

#endif
