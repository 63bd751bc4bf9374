/*
 * One entry of `routes`: read, checked, compiled.
 */
#ifndef CONFIG_ROUTE_ENTRY_H
#define CONFIG_ROUTE_ENTRY_H

#include "config/reader.h"

/* The reader is one's own copy for this entry; config has the sections before it. */
enum larder_status route_entry_read(struct reader *reader, const config_setting_t *entry,
                                    const struct config *config, struct route *route);

#endif
