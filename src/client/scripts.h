/*
 * The scripts that change generations. Each has one key, the generation's, so that
 * a cluster lets it run; none uses a command that is younger than Redis 5. What the
 * values look like stands in store.h.
 */
#ifndef CLIENT_SCRIPTS_H
#define CLIENT_SCRIPTS_H

/* ARGV: four random digits, the life in ms of a generation that has none. 0: done; -1: no room for it
 * (CHANGE_REFUSED). */
extern const char script_soft[];

/* ARGV: what was there, the next generation, its life in ms. 1: `next` stands there now. 0: somebody
 * has changed it since, and it is deleted. */
extern const char script_claim[];

#endif
