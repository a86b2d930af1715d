/*
 * stack.h: the stack of a heap: last in first out, any values, any number of threads.
 *
 * Item k lies in cell k of AREA_STACK; all turns on one 16-byte word, header.stack_top:
 *
 *      meta   version 44 | own 12 | W | tag: FULL when there are items, else EMPTY (or all zero)
 *      value  how many items
 *
 *      push    slot.push_* = the item; CAS of the top: count + 1, own = this slot       takes effect
 *              cell := the item, with the top's version      \ "finishing":
 *              CAS of the top: own = 0                       /  anybody does it
 *      pop     (finish the push that is under way); load the item; CAS of the top: count - 1    takes effect
 *
 * While own is not 0 the last item is in that slot's push_type and push_value, which stay as they are until own is 0
 * again; whoever comes finishes first. A cell's version is the top's of the push that wrote it: who sees it there
 * knows it is written, and one who is late fails, for the top's version never comes back.
 * What lies in cells at and above the count has been popped and means nothing.
 *
 *      died right here                  left                                   who
 *      before the first CAS             a claimed blob; push_*, unread         recovery releases (INTENT_PUSH)
 *      after it                         a push under way; sleepers             whoever comes finishes; recovery wakes
 *      after the cell, before own = 0   the same                               the same
 *      after own = 0                    the intent                             recovery: the stack holds the blob
 *      pop: before the CAS              the intent                             recovery: the stack holds the blob
 *      pop: after it                    a blob that nothing leads to; sleepers recovery releases (INTENT_POP), wakes
 *
 * Before a dead slot is free again, recovery finishes its push: nobody reads push_* of the next owner for its.
 * Waiting: on the top, for items and for room; any change of the count wakes all.
 * Model: tests/model/stack.pml.
 */
#ifndef EMS_SHM_STACK_H
#define EMS_SHM_STACK_H

#include "shm/element.h"

/* As shm_ring_put, _take, _peek, _length; *count is exact. */
int shm_stack_push(struct shm_session *session, const struct shm_call *call, uint64_t *count);
int shm_stack_pop(struct shm_session *session, const struct shm_call *call);
int shm_stack_peek(const struct shm_segment *seg, struct shm_value *value);
uint64_t shm_stack_length(const struct shm_segment *seg);
/* Copies item `index`, counted from the one that was pushed first. -ERROR_EMPTY: there is none. */
int shm_stack_look(const struct shm_segment *seg, uint64_t index, struct shm_value *value);

/* ---- for recovery, check, growth ---- */

/* Finishes the push of a dead slot, if one is under way. recoverer as in shm/recover.h; not inside a step. */
int shm_stack_recover(struct shm_session *recoverer, struct shm_segment *seg, uint32_t dead);
/*
 * Is ref the item in the stack's cell at this offset? 1, 0; SHM_AGAIN when the stack moves too fast to say;
 * -ERROR_CORRUPT. Inside a step, or the daemon. Finishes a push that is under way.
 */
int shm_stack_holds(struct shm_segment *seg, uint64_t offset, blob_ref ref);
/* Item `index` of a quiet stack, pushed or being pushed; false when there is none. */
bool shm_stack_item(const struct shm_segment *seg, uint64_t index, struct cell *item);
/* Has a push begun that is not finished? */
bool shm_stack_is_pushing(const struct shm_segment *seg);
/* The number of elements has become larger: those who wait for room look again. */
void shm_stack_grown(struct shm_segment *seg);

#endif
