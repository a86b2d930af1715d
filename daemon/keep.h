/*
 * keep.h: what of a heap is written down, and when, for the daemon that comes after this one (store.h,
 * catalogue.h). Each call is complete when it returns: a SIGKILL behind it loses nothing of it. None can fail
 * for its caller: a heap that cannot be kept is one all the same.
 */
#ifndef DAEMON_KEEP_H
#define DAEMON_KEEP_H

#include "daemon/broker.h"

/* A new heap: its descriptor and a record, by which it is not a heap yet. */
void keep_prepare(struct heap *heap);
/* It has its name from now on. */
void keep_publish(struct heap *heap);
/* It has lost its name; those attached go on, and may come back to it. */
void keep_drop(struct heap *heap);
/* It is gone. Does nothing while the daemon ends: its heaps are the next one's. */
void keep_forget(struct heap *heap);

/* Words of the record that change. */
void keep_charge(const struct heap *heap);
void keep_elements(const struct heap *heap);
void keep_attachments(const struct heap *heap);
void keep_quarantine(const struct heap *heap);
/* Owner, mode or name have changed: all of the record is written anew. */
void keep_description(struct heap *heap);

#endif
