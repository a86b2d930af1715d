/* groups.h: the cases, by what they are about. Each plays all of its cases (tests/kill/scene.h). */
#ifndef TESTS_KILL_GROUPS_H
#define TESTS_KILL_GROUPS_H

void group_supply(void);  /* the daemon's part; needs no daemon */
void group_cells(void);	  /* operations on elements of a heap without map */
void group_keys(void);
void group_leases(void);	  /* the same on keys: insertion, look-up, deletion */
void group_leases(void);  /* leases of elements and of the queue's items */
void group_growth(void);  /* growth of the key map */
void group_others(void);  /* ranges, iteration, indexes, slots */
void group_pairs(void);	  /* another client works while the first is killed, or goes on */
void group_queues(void);  /* the queue and the stack */
void group_readers(void); /* read locks */
void group_transactions(void); /* in one heap, and in two */
void play_two_heaps(void);	  /* … in two */
void group_waiting(void); /* one waits, another wakes it */

#endif
