/* The caching rules of one entry of `routes`. */
#ifndef CONFIG_ROUTE_RULES_H
#define CONFIG_ROUTE_RULES_H

#include "config/reader.h"

/*
 * Read what the table keeps apart (ttl_by_status, query) and check what the
 * settings mean together. After reader_section() for the entry; its path and
 * methods are known.
 */
enum larder_status route_rules_read(struct reader *reader, const config_setting_t *group,
                                    const struct config *config, struct route *route);

#endif
