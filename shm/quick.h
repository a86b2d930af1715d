/*
 * The short way through an operation: numbers, booleans and undefined, on an element
 * that exists and admits the operation. Same steps as element.c, without what such a case does not need
 * (no blobs, so no intents; no waiting). Everything else goes the long way.
 */
#ifndef SHM_QUICK_H
#define SHM_QUICK_H

#include "shm/element.h"

/* 0: done. SHM_AGAIN: nothing was done; go the long way. */
int shm_quick_apply(struct shm_segment *seg, struct shm_session *session, const struct shm_call *call, bool *changed);

#endif
