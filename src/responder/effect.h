/*
 * What a mutation makes stale.
 *
 * Its own URL in all its spellings, and that which the web server has made of it, as
 * RFC 9111 §4.4 has it for every cache; what its answer names (Location,
 * Content-Location, Cache-Group-Invalidation); and what its route names: tags, and
 * patterns. If the web server has made another URL of it, that one's route counts as
 * well, and each drops what it names by the answers that it takes for a change.
 *
 * What the route names may be the whole site, and nobody who may not change it should
 * be able to drop it. So it is dropped only if every backend takes the request for one
 * of that route: by each reading of the path (config/path.h), and as a script with the
 * rest of the path as its PATH_INFO, the route is this one, or one that drops the same
 * by the same answers. A path that climbs (`..`, in any spelling) proves nothing. In all
 * these cases what the URL names, by all readings, is dropped still.
 */
#ifndef RESPONDER_EFFECT_H
#define RESPONDER_EFFECT_H

#include "responder/exchange.h"
#include "responder/purge.h"

/* What the route of the match (the exchange's, or match.other; NULL: none) names, if it drops that.
 * false: no memory. */
bool effect_add_route(struct purge *purge, const struct exchange *exchange,
                      const struct route_match *match);

/* Its own URL, and what the web server has made of it. false: no memory. */
bool effect_add_url(struct purge *purge, const struct exchange *exchange);

/* Is a GET of one of these ever cached, however some backend may read it? */
bool effect_url_is_cached(const struct exchange *exchange);

/* What an answer with these fields names. false: no memory. */
bool effect_add_answer(struct purge *purge, const struct exchange *exchange,
                       const struct fields *response);

#endif
