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

/* A mutation is registered before it goes to the backend, */
#ifndef REGISTER_FIRST
#define REGISTER_FIRST 1
#endif
/* and again if it is sent long after that was asked for. */
#ifndef SENT_YOUNG
#define SENT_YOUNG 1
#endif
/* What has changed something purges before its record is removed, */
#ifndef PURGE_THEN_LEAVE
#define PURGE_THEN_LEAVE 1
#endif
/* and appends to the news before that. */
#ifndef CHANGE_APPENDS
#define CHANGE_APPENDS 1
#endif
/* What the backend commits behind the head of its answer is purged at the end of it. */
#ifndef PURGES_AT_END
#define PURGES_AT_END 1
#endif
/* Of a mutation whose outcome nobody knows a silent record stays. */
#ifndef UNKNOWN_STAYS
#define UNKNOWN_STAYS 1
#endif
/* An owner whose record is gone puts it back. */
#ifndef BEATS_RESTORE
#define BEATS_RESTORE 1
#endif
/* Stored responses are used within X of a reading of the register, */
#ifndef READ_LATELY
#define READ_LATELY 1
#endif
/* that has found nothing overdue. */
#ifndef CLEAN_ONLY
#define CLEAN_ONLY 1
#endif
/* What a reader has never seen alive may be dead for long. */
#ifndef UNSEEN_IS_OVERDUE
#define UNSEEN_IS_OVERDUE 1
#endif
/* What has changed since the last reading may have done so right after that. */
#ifndef SINCE_LAST_READING
#define SINCE_LAST_READING 1
#endif
/* What is silent is purged every L, */
#ifndef PURGED_AGAIN
#define PURGED_AGAIN 1
#endif
/* counted from when the last purge began, */
#ifndef AS_OF_START
#define AS_OF_START 1
#endif
/* and once more when no backend can be at it any more. */
#ifndef LAST_PURGE
#define LAST_PURGE 1
#endif
/* Only then it is removed, if it is what was read. */
#ifndef REMOVES_WHAT_WAS_READ
#define REMOVES_WHAT_WAS_READ 1
#endif
/* What silent records are purged for goes to the news as well. */
#ifndef REAPER_APPENDS
#define REAPER_APPENDS 1
#endif
/* The answer to a POST is stored if nobody has invalidated its URL since before it was sent. */
#ifndef CLAIM_COMPARES
#define CLAIM_COMPARES 1
#endif

/* The name of a flight and its lease has the generation in it. */
#ifndef NAME_HAS_GENERATION
#define NAME_HAS_GENERATION 1
#endif
/* Where no generation is in it, a flight goes in rounds: who comes while the backend is being asked
 * is not given what it says. */
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
/* It ends with what the mutation has come to, or with its process: no clock ends it. */
#ifndef INTENT_LIVES
#define INTENT_LIVES 1
#endif
/* That of a process that is gone counts as a purge does; that of a living one does not. */
#ifndef DEAD_INTENT_DISTRUSTS
#define DEAD_INTENT_DISTRUSTS 1
#endif
/* The replay makes a silent record of it. */
#ifndef DEAD_INTENT_HELD
#define DEAD_INTENT_HELD 1
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
#ifndef FIND_BESIDE
#define FIND_BESIDE 0
#endif
#ifndef FIND_MICRO
#define FIND_MICRO 0
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
