/* The lists of cookies and of fields of one entry of `routes`. */
#ifndef CONFIG_ROUTE_LISTS_H
#define CONFIG_ROUTE_LISTS_H

#include "config/reader.h"

/* After reader_section() for the entry; its user is known. */
enum larder_status route_lists_read(struct reader *reader, struct route *route);

#endif
