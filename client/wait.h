/*
 * wait.h: operations that are waited for from an event loop.
 *
 * A wait is an operation with copies of its arguments. It is tried by the thread that begins it and by those that call
 * ems_wait_next, in their sessions, and never waits there: when it cannot go on it says which cell it watches
 * (struct shm_notice). Where waits stand:
 *
 *     begun ──tried──> in a group, pending ──the group's cell moved──> tried again …
 *        │                 └── deadline, cancelled ──┐
 *        └── done ───────────────────────────────────┴──> on the list of the done ──> handed out
 *
 *     group      waits that can go on when the same cell moves to the same state; so when the first of them is
 *                tried and cannot, the others cannot either (client/group.c)
 *     listener   of one mapping: its groups by the cell they watch, and what the service thread knows of the
 *                bell (shm/bell.h, client/listener.c)
 *     loop       of one connection: its descriptor, its groups to be tried again, its waits done (client/wait.c)
 *
 * The service thread does nothing but notice: bells, cells, deadlines. One lock guards all of it in the process; no
 * operation is tried with it held.
 */
#ifndef CLIENT_WAIT_H
#define CLIENT_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "client/heap.h"
#include "shm/bell.h"
#include "shm/element.h"
#include "shm/futex.h"
#include "shm/map.h"

struct group;
struct listener;
struct loop;

/* ---- one wait: client/attempt.c ---- */

enum wait_state { WAIT_PENDING, WAIT_TRIED, WAIT_DONE };

struct wait {
	struct loop *loop;
	struct ems_heap *heap; /* NULL: it has been closed, and this one is done */
	ems_wait_t id;
	void *user;
	enum wait_state state;
	bool expired;	/* while it was tried: so it is if it cannot go on … */
	int *cancelled; /* … and so: to become 1 then, or -1 when it is done; NULL: nobody has asked */
	uint64_t deadline;
	uint32_t timer; /* place in the heap of deadlines + 1; 0: in none */

	ems_operation_code_t code;
	ems_tag_t tag;
	ems_key_t from;	    /* the key, for messages */
	struct shm_key key; /* its text is the wait's own */
	struct shm_target target;
	ems_value_t argument, argument2;
	void *text[3]; /* copies: of the key's, and of the arguments' */

	int result;
	bool changed;
	uint64_t count, ticket; /* of the lease */
	ems_value_t value;

	struct group *group;		 /* while pending */
	struct wait *next, *prev;	 /* of the group, or of the done */
	struct wait *heap_next, **heap_link; /* of the heap handle's waits */
	struct wait *id_next, **id_link;     /* of the loop's */
};

/* A new one with copies, not tried yet. 0; INVALID, RANGE, READ_ONLY, NO_MEMORY: not noted. */
int wait_new(struct wait **_wait, struct ems_heap *heap, const ems_operation_t *operation);
void wait_free(struct wait *wait);
/*
 * Tries it in the calling thread's session; without the lock. notice->cell is NULL: it is done, with the result that is
 * returned and noted in it. Else it cannot go on before that cell has moved.
 */
int wait_try(struct wait *wait, struct shm_notice *notice);
/* What can go on at the same change: of elements the tags that it waits for, else the side of the queue or stack. */
uint32_t wait_class(const struct wait *wait);
bool wait_is_of_element(const struct wait *wait);
/* The same of an operation's code; false: there is none of that code. */
bool wait_code_is_of_element(ems_operation_code_t code);
bool wait_takes_lease(const struct wait *wait);
const char *wait_name(const struct wait *wait);

/* ---- all of the following with the lock ---- */

void waits_lock(void);
void waits_unlock(void);

/* ---- groups: client/group.c ---- */

struct group {
	struct listener *listener;
	uint32_t class;
	bool of_element;
	bool moved;	    /* on the loop's list of those to be tried again */
	struct cell *cell;  /* what it watches … */
	uint64_t meta;	    /* … as it was seen */
	struct wait *first, *last;
	struct group *next, **link;	      /* of its chain, or of the listener's objects */
	struct group *moved_next, *moved_prev; /* of the loop's list */
};

/*
 * Puts a wait that cannot go on into the group of what it watches: behind the others when it is new; else it was the
 * first of them to be tried, and is again, and the others need not be tried. When the cell has moved since, or
 * the group is of another state, the group is to be tried again. 0, -ERROR_NO_MEMORY, -ERROR_LIMIT.
 */
int group_add(struct wait *wait, const struct shm_notice *notice, bool first);
/* Takes a wait out; a group without waits ends. */
void group_remove(struct wait *wait);
/* It is to be tried again; the loop is told. */
void group_moved(struct group *group);

/* ---- listeners: client/listener.c ---- */

#define LISTENER_CHAINS	 64u
#define LISTENER_OBJECTS 4u

struct listener {
	struct mapping *mapping;
	struct loop *loop;
	uint32_t waits; /* pending; with any, it is on the list of those who listen */
	uint32_t round; /* of the service thread's sleep that includes this bell */
	struct listener *next, **link;
	uint32_t counts[BELL_BUCKETS]; /* of the bell, when its buckets were last looked at */
	struct group *chains[BELL_BUCKETS][LISTENER_CHAINS];
	struct group *objects; /* groups of the queue and the stack: few */
};

/* The mapping's, made if need be. NULL: out of memory. */
struct listener *listener_get(struct mapping *mapping, struct loop *loop);
/* The mapping's last handle is gone, and with it its waits. */
void listener_free(struct mapping *mapping);
struct group **listener_chain(struct listener *listener, const struct cell *cell);
/* One wait more or less. -ERROR_LIMIT: too many heaps of the process have waits. */
int listener_hold(struct listener *listener);
void listener_release(struct listener *listener);
/* A wait has this deadline: the service thread may have to sleep for less long. */
void listener_until(uint64_t deadline);
/* In a child: nobody listens. */
void listener_forget(void);
/*
 * For the service thread, which takes the lock here: notices what has moved and whose deadline has come, and fills in
 * the words, less than SHM_FUTEX_WORDS, that it is to sleep on, and until when.
 */
uint32_t listener_prepare(struct shm_futex_word *words, uint64_t *deadline);

/* ---- deadlines: client/timer.c ---- */

/* 0, -ERROR_NO_MEMORY. Nothing to do for CLOCK_NEVER. */
int timer_add(struct wait *wait);
void timer_remove(struct wait *wait);
/* The first that is due, taken out; or NULL. */
struct wait *timer_due(void);
uint64_t timer_next(void); /* the earliest deadline; CLOCK_NEVER */
void timer_forget(void);   /* in a child */

/* ---- loops: client/wait.c ---- */

#define LOOP_CHAINS 1024u

struct loop {
	struct ems_connection *connection;
	int fd;
	bool told; /* fd is readable */
	struct group *moved, *moved_last;
	struct wait *done, *done_last;
	struct wait *waits[LOOP_CHAINS]; /* all that have not been handed out, by id */
};

/* Its descriptor becomes readable. */
void loop_tell(struct loop *loop);
/* The wait's deadline has come; it is in no heap of deadlines any more. */
void loop_expired(struct wait *wait);

/* ---- these take the lock themselves ---- */

/* A handle is being closed: its waits end with CANCELLED. */
void loop_close_heap(struct ems_heap *heap);
/* The last handle of a mapping has been closed. */
void loop_close_mapping(struct mapping *mapping);
/* The connection ends; its heaps are closed. */
void loop_free(struct ems_connection *connection);

#endif
