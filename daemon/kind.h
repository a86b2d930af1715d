/*
 * kind.h: what differs between the kinds of named memory.
 *
 * A struct heap is anything that has a name: a heap, a region, a client's file, a team. Names, owners, modes,
 * budgets, attachments, idleness, drop and the liveness of clients are one for all (heap.c, request_open.c);
 * what lies in the memory, and who repairs it, is behind this table. Adding a kind: a line in enum proto_named,
 * its params in proto_open and the two replies, a file kind_x.c with its struct kind, a line in kind.c.
 */
#ifndef DAEMON_KIND_H
#define DAEMON_KIND_H

#include "daemon/heap.h"

struct kind {
	const char *noun; /* for people: "heap" */

	/*
	 * Fills in defaults and rounds up what is asked for of a new one. -ERROR_RANGE, -ERROR_UNSUPPORTED: message says
	 * why not. NULL, with make: made by a request of its own only.
	 */
	int (*settle)(struct proto_open *request, char message[static HEAP_MESSAGE_SIZE]);
	/* NULL when the heap was created as the settled request asks; else the name of a field that differs. */
	const char *(*difference)(const struct heap *heap, const struct proto_open *request);
	/*
	 * Makes the memory: heap->fd, the mapping, the params of its kind; and charges what it costs (heap_charge).
	 * After an error unmake is called, on whatever was made.
	 */
	int (*make)(struct heap *heap, const struct proto_open *request,
		    char message[static HEAP_MESSAGE_SIZE]);
	/* Unmaps and frees what make made, but for heap->fd. */
	void (*unmake)(struct heap *heap);

	/* Taking over what a former daemon made (daemon/adopt.c). NULL: what is of this kind ends with its daemon. */

	/*
	 * heap->fd, id, elements and size are set. Takes the params of its kind from the description, and maps the memory. -ERROR_CORRUPT: it is
	 * mapped, but contradicts the description, and will be quarantined. Other errors: unmake comes next.
	 */
	int (*adopt)(struct heap *heap, const struct proto_open_reply *description);
	/* How many bytes its own words say are committed; bounded by its size, and not believed. */
	uint64_t (*claimed)(const struct heap *heap);
	/* Everything that a death of a daemon, or of clients meanwhile, has left half done. Not if it is quarantined. */
	void (*resume)(struct heap *heap);
	/* Some thread, of whatever client, works in it now. May be NULL. */
	bool (*is_alive)(const struct heap *heap);

	/* What never changes in its memory is as it was made. May be NULL: nothing to look at. */
	bool (*is_whole)(const struct heap *heap);
	/* Into the reply, what lies inside. May be NULL. */
	void (*inspect)(const struct heap *heap, struct proto_inspect_reply *reply);
	/* Tells those who look at the memory, and who sleep there, that its name is gone. May be NULL. */
	void (*tell_dropped)(struct heap *heap);

	/* Writers that die inside. client: a number as of struct client. Each may be NULL. */

	/* Some thread of the client has something there that its end would leave behind. */
	bool (*holds)(const struct heap *heap, uint64_t client);
	/*
	 * Calls visit for each of the first `most` slots that is taken, by a thread of whatever client, asleep on something or not; returns how
	 * many it looked at. What it tells is the segment's word.
	 */
	uint32_t (*each_slot)(const struct heap *heap, uint32_t most,
			      void (*visit)(void *arg, uint64_t client, bool asleep), void *arg);
	/* Its process is dead; recover comes next. */
	void (*client_died)(struct heap *heap, uint64_t client);
	/* Puts in order what the dead left, now or by and by. */
	void (*recover)(struct heap *heap);
	/* Gives some free memory back to the system. True: there may be more. */
	bool (*trim)(struct heap *heap);

	/* It has served its purpose: who opens or creates that name gets a new one in its place. May be NULL. */
	bool (*is_over)(const struct heap *heap);
};

/* NULL: this daemon does not have it. */
const struct kind *kind_of(enum proto_named kind);
/* A word for people, also for one that this daemon does not have. */
const char *kind_noun(enum proto_named kind);

extern const struct kind kind_heap, kind_region, kind_file, kind_team;

#endif
