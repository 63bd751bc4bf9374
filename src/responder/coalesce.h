/*
 * One fetch per miss: which requests wait for which fetch, and what they get of
 * it. What a flight is stands in flight.h; here are the requests.
 */
#ifndef RESPONDER_COALESCE_H
#define RESPONDER_COALESCE_H

#include "responder/exchange.h"
#include "responder/keep.h"

/* The threads; false: one could not be made. */
bool coalesce_start(void);

/* Hear of other processes' fetches; for each site, before it is used. */
void coalesce_listen(struct site *site);

/*
 * The process ends: requests that wait for another process fetch by themselves,
 * those that wait for one of ours may go on. Returns when nobody waits any more,
 * or at the deadline, with server_giving_up set. Nobody joins after this.
 */
void coalesce_drain(int64_t deadline_ms);
/* When all requests are done. */
void coalesce_stop(int64_t timeout_ms);

/*
 * The backend is to be asked: does another request do that already? STEP_HANDED_OFF: then this one
 * waits for it. STEP_NEXT: it is to be handed to a fetcher, and may lead others
 * (exchange->wait.flight). Called by a worker.
 */
enum step coalesce_join(struct exchange *exchange);

/* The same for one that has waited for another variant: with what is known of generations, asking
 * nobody. */
enum step coalesce_rejoin(struct exchange *exchange);

/* What was found, and is not the answer, is not held while nobody knows how long it will be. */
void coalesce_forget_entry(struct exchange *exchange);

/* Lead a refresh of what exchange->lookup.entry is. false: somebody is at it. */
bool coalesce_refresh(struct exchange *exchange);

/*
 * By the fetcher, first: is another process at it, or has one stored it in the
 * meantime? STEP_NEXT: ask the backend.
 */
enum step coalesce_lead(struct exchange *exchange);

/* ------------------------------------------------- for who asks the backend (fetch.c) */

/* The head is there, and Redis may be asked about tags that came with it: see flight_seal(). */
void coalesce_seal(struct exchange *exchange);

/* The head is there, and has named the fields that the answer depends on: the backend is asked again. */
void coalesce_opened(struct exchange *exchange);

/* The head is there, and what may be kept of it is decided. spool NULL: nothing. */
void coalesce_head(struct exchange *exchange, const struct kept *kept, struct spool *spool);

/* Does anybody but its own client wait for this, or read it? spool NULL: nobody reads. */
bool coalesce_is_wanted(const struct exchange *exchange, struct spool *spool);

/* It is too large to be kept: who waits for the whole is let go. Does anybody read it? */
bool coalesce_is_too_large(struct exchange *exchange, const struct kept *kept, struct spool *spool);

/* exchange->lookup.entry has been freshened, and is in exchange->wait.spool if there was memory for that. */
void coalesce_freshened(struct exchange *exchange, const struct kept *kept);

/* It is being stored: to be told what became of that. The flight ends with it. */
struct keep_after coalesce_until_stored(struct exchange *exchange);

/* What came has been given to all who may have it, and is not stored. */
void coalesce_over(struct exchange *exchange);

/* Nothing will come of it (FLIGHT_FAILED: the backend failed; FLIGHT_ALONE: it is nobody else's;
 * FLIGHT_LOOK: it was given up here, so one of those who wait elsewhere fetches it, not all), or has
 * come already. Like the one before it does nothing where there is no flight. */
void coalesce_end(struct exchange *exchange, enum flight_word word);

#endif
