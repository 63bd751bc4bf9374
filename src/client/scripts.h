/*
 * The scripts that change generations, for change.c. Each has one key, the
 * generation's, so that a cluster lets it run; none uses a command that is younger
 * than Redis 5. What the values look like stands in store.h.
 */
#ifndef CLIENT_SCRIPTS_H
#define CLIENT_SCRIPTS_H

/* Marks that one generation bears by themselves; when there are more they become one. */
#define SCRIPTS_MARKS_MAX "256"

/*
 * ARGV: token, how long it holds in ms. 1: marked. 0: no room for it, and what
 * was there is invalidated. CHANGE_REFUSED: not even that.
 */
extern const char script_mark[];

/*
 * A mutation is over, or there was none and something is to be invalidated.
 * ARGV: its token ("": none), "1": it has changed something, the life in ms of a
 * new generation, the next generation ("": it makes none). 1: `next` stands
 * there now. 0: done. CHANGE_REFUSED: no room to write down that it was
 * invalidated (nothing is lost where the token was there: it stays until its end).
 */
extern const char script_complete[];

/* ARGV: four random digits, the life in ms of a generation that has none. 0: done, or CHANGE_REFUSED. */
extern const char script_soft[];

#endif
