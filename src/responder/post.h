/*
 * The answer to a POST that is also that of its URL (RFC 9110 §9.3.3): with
 * explicit freshness and a Content-Location that names the very target, it may
 * answer later GETs. On routes with cache = "rfc" only.
 */
#ifndef RESPONDER_POST_H
#define RESPONDER_POST_H

#include "responder/exchange.h"
#include "responder/keep.h"

/*
 * A GET of the same URL, as this POST's exchange would be if it were one, with
 * the generations of now: to be called before the backend is asked. NULL: its answer cannot be stored, whatever it
 * will be.
 */
struct exchange *post_prepare(struct exchange *exchange);

/* Does this answer name its own target? */
bool post_is_own(const struct exchange *exchange, int status, const struct fields *response);

/* The tag of its URL; NULL: get is NULL. */
const char *post_tag(const struct exchange *get);

/*
 * Invalidate that tag and begin its next generation, unless somebody else has
 * invalidated it since it was read, or claimed: then what the
 * backend said may be out of date already, and is not stored. LARDER_OK: it is
 * invalidated; *claimed: and may be stored.
 */
enum larder_status post_claim(struct exchange *get, const char *tag, int64_t deadline_ms,
                              bool *claimed);

/* As keep_decide(), for the GET. */
void post_decide(struct kept *kept, struct exchange *get, int status, const struct fields *response,
                 const struct response_times *times);

#endif
