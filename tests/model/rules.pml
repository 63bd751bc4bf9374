/*
 * The rules that the protocol consists of. -DRULE=0 takes one away, and then there
 * is an error; `check` beside this file finds it for each.
 */

/* A fill reads the generation before it asks the backend. */
#ifndef GENERATION_FIRST
#define GENERATION_FIRST 1
#endif
/* A 304 is stored under the generation that the look-up matched: not one from after the 304, */
#ifndef FRESHEN_NOT_AFTER
#define FRESHEN_NOT_AFTER 1
#endif
/* and not one that was read again before the conditional request either; */
#ifndef FRESHEN_AS_LOOKED_UP
#define FRESHEN_AS_LOOKED_UP 1
#endif
/* and only in place of the entry that was validated. */
#ifndef FRESHEN_GUARDED
#define FRESHEN_GUARDED 1
#endif
/* What is hard-dead is not validated. */
#ifndef DEAD_NOT_VALIDATED
#define DEAD_NOT_VALIDATED 1
#endif

/* Whether a tag of the response's own was invalidated during the fetch, the news tell, */
#ifndef NEWS_CONSULTED
#define NEWS_CONSULTED 1
#endif
/* read after the generation, */
#ifndef NEWS_AFTER_GENERATION
#define NEWS_AFTER_GENERATION 1
#endif
/* from a position of before the fetch, */
#ifndef POSITION_FIRST
#define POSITION_FIRST 1
#endif
/* whose record is still there, */
#ifndef POSITION_IN_STREAM
#define POSITION_IN_STREAM 1
#endif
/* recognised by its random digits and not by its number alone. */
#ifndef POSITION_NONCE
#define POSITION_NONCE 1
#endif
/* An invalidation appends to the news, then purges. */
#ifndef APPEND_FIRST
#define APPEND_FIRST 1
#endif
/* Where the news take no record they are deleted, and the tag is purged once more. */
#ifndef REFUSED_PURGES_AGAIN
#define REFUSED_PURGES_AGAIN 1
#endif

/* A mutation marks before it goes to the backend. */
#ifndef TWO_STEPS
#define TWO_STEPS 1
#endif
/* A purge leaves a mark where it is, */
#ifndef PURGE_KEEPS_MARK
#define PURGE_KEEPS_MARK 1
#endif
/* and is counted, so that a mutation that failed does not bring back the value from before it; */
#ifndef PURGE_COUNTED
#define PURGE_COUNTED 1
#endif
/* a soft purge changes that value, */
#ifndef SOFT_REACHES_MARK
#define SOFT_REACHES_MARK 1
#endif
/* and a token past its deadline counts like a purge: nobody knows what became of it. */
#ifndef DEAD_TOKEN_COUNTED
#define DEAD_TOKEN_COUNTED 1
#endif
/* What completes appends to the news before. */
#ifndef COMPLETION_APPENDS
#define COMPLETION_APPENDS 1
#endif
/* So does what marks. */
#ifndef MARK_APPENDS
#define MARK_APPENDS 1
#endif
/* A mutation that is sent long after its mark was asked for is marked again before. */
#ifndef SENT_YOUNG
#define SENT_YOUNG 1
#endif
/* A mark outlives the last commit by the longest fetch that may prove own tags. */
#ifndef MARK_OUTLIVES_FETCH
#define MARK_OUTLIVES_FETCH 1
#endif
/* Who does not know the outcome marks again: what was evicted is there again. */
#ifndef UNKNOWN_MARKS_AGAIN
#define UNKNOWN_MARKS_AGAIN 1
#endif
/* A mark has a deadline, */
#ifndef MARK_ENDS
#define MARK_ENDS 1
#endif
/* and a fill that prolongs a generation does not prolong a mark. */
#ifndef FILL_LEAVES_MARK
#define FILL_LEAVES_MARK 1
#endif
/* What renew claims was marked by its own token alone, and not purged. */
#ifndef RENEW_ALONE
#define RENEW_ALONE 1
#endif

/* The name of a flight and its lease has the generation in it. */
#ifndef NAME_HAS_GENERATION
#define NAME_HAS_GENERATION 1
#endif
/* Where no settled generation is in it, a flight goes in rounds: who comes while the backend is
 * being asked is not given what it says. */
#ifndef ROUNDS
#define ROUNDS 1
#endif
/* A flight is closed before its own tags are proved. */
#ifndef CLOSED_BEFORE_PROOF
#define CLOSED_BEFORE_PROOF 1
#endif
/* A lease has an end of its own, */
#ifndef LEASE_ENDS
#define LEASE_ENDS 1
#endif
/* and who waits for it has a clock: to be woken is a kindness. */
#ifndef WAITER_HAS_CLOCK
#define WAITER_HAS_CLOCK 1
#endif

/* While the journal holds something no process of the machine uses entries; */
#ifndef WORD_CHECKED
#define WORD_CHECKED 1
#endif
/* a look-up reads the word before it asks Redis. */
#ifndef WORD_FIRST
#define WORD_FIRST 1
#endif
/* An intent is in the journal before the mutation goes to the backend. */
#ifndef INTENT_FIRST
#define INTENT_FIRST 1
#endif
/* The journal is emptied after Redis has it all, */
#ifndef TRUNCATE_LAST
#define TRUNCATE_LAST 1
#endif
/* and nobody appends between. */
#ifndef REPLAY_LOCKS
#define REPLAY_LOCKS 1
#endif

/* An entry counts only on the server that it was filled on, */
#ifndef IDENTITY_COMPARED
#define IDENTITY_COMPARED 1
#endif
/* by which its own tags are compared as well; */
#ifndef IDENTITY_OF_OWN_TAGS
#define IDENTITY_OF_OWN_TAGS 1
#endif
/* so is the position from before the fetch. */
#ifndef IDENTITY_OF_POSITION
#define IDENTITY_OF_POSITION 1
#endif

/* Sanity: -DFIND_X=1 claims that X never happens. */
#ifndef FIND_HIT
#define FIND_HIT 0
#endif
#ifndef FIND_STORED
#define FIND_STORED 0
#endif
#ifndef FIND_FRESHENED
#define FIND_FRESHENED 0
#endif
#ifndef FIND_RESTORED
#define FIND_RESTORED 0
#endif
#ifndef FIND_CLAIMED
#define FIND_CLAIMED 0
#endif
#ifndef FIND_SHARED
#define FIND_SHARED 0
#endif
#ifndef FIND_WOKEN
#define FIND_WOKEN 0
#endif
#ifndef FIND_REPLAYED
#define FIND_REPLAYED 0
#endif
