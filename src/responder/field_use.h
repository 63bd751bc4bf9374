/* What a field of a request does on its route: whether it opens the key, passes the request, or is
 * kept from the backend when the answer may be shared. */
#ifndef RESPONDER_FIELD_USE_H
#define RESPONDER_FIELD_USE_H

#include "base/fields.h"
#include "config/config.h"
#include "routing/route.h"

enum field_use {
    FIELD_USE_OWN,       /* Larder treats it by itself (backend_fields.c), whatever a list says */
    FIELD_USE_IGNORED,   /* not sent, whatever Vary says: the route has it so */
    FIELD_USE_WITHHELD,  /* not sent, unless the URL's Vary names it */
    FIELD_USE_FORWARDED, /* sent, and not part of the key */
    FIELD_USE_KEYED,     /* part of the key, and sent */
    FIELD_USE_BYPASSES   /* the request is passed */
};

/* field: of a request on the route of this match; where two routes count, the stricter word. */
enum field_use field_use(const struct route_match *match, const struct config *config,
                         const struct field *field);

#endif
