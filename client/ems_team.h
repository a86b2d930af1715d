/*
 * ems_team.h: teams and what they do together: barriers, sections, loops, operations on whole arrays.
 *
 * A part of <ems.h>, which includes it; what stands there about errors, threads, fork and deadlines holds here.
 */
#ifndef EMS_H
#error "include <ems.h>"
#endif
#ifndef EMS_TEAM_H
#define EMS_TEAM_H

/* ---- teams ------------------------------------------------------------------------------------- */

/*
 * A team is a set of threads, of any processes, that take part in barriers, critical sections and loops together. It is
 * formed by name and size; its members have the numbers 0..size-1. A member is the thread that joined: when that one
 * ends without leaving, or its process dies, the member is dead, and the others learn of it.
 *
 * In an ordinary team a death breaks the barrier or loop that the others are in, or come to next: each of them gets
 * EMS_EBROKEN, once, and ems_team_broken tells who died. Afterwards the team goes on without the dead. An elastic team is
 * not broken: barriers no longer wait for the dead, and what it held of a loop is done by others.
 *
 * NULL as a team means "outside of any team": member 0 of one. Barriers pass, singles are the caller's, critical sections exclude
 * nobody, loops are run whole.
 *
 * A handle is used by one thread at a time, and left by the thread that joined. It outlives its connection.
 */
typedef struct ems_team ems_team_t;

typedef struct ems_team_options {
	uint32_t size;		 /* members, 1..1024; the same in all of them (EMS_EMISMATCH) */
	bool elastic;		 /* a death shrinks the team instead of breaking it; the same in all of them */
	bool has_member;	 /* member says which one to be; else the first free */
	uint32_t member;	 /* 0..size-1 */
	uint32_t mode;		 /* permission bits, of a team that is made; default 0600 */
	ems_deadline_t deadline; /* until all are there; 0: EMS_FOREVER */
} ems_team_options_t;

/*
 * Joins the team of that name (made on the way), and waits until all members are there. No member comes in later, in place of
 * a dead one neither: a team that has lost a member is left to those in it, and who joins by its name begins a new one.
 * EMS_EFULL: all members are there. EMS_EBUSY: that member is. EMS_EBROKEN: one that had joined died before all were there.
 * EMS_ETIMEOUT, EMS_ECANCELLED: the place is free again. EMS_EMISMATCH, EMS_ENAME, EMS_ERANGE, EMS_EACCESS, EMS_EBUDGET, …
 */
int ems_team_join(ems_connection_t *connection, const char *name, const ems_team_options_t *options, ems_team_t **team);
/*
 * As emsctl run has told in the environment: EMS_TEAM (name), EMS_TEAM_SIZE, EMS_TEAM_MEMBER (may be absent), EMS_TEAM_ELASTIC
 * (1). Without EMS_TEAM *team is NULL, which is no error. deadline as in the options.
 */
int ems_team_from_environment(ems_connection_t *connection, ems_deadline_t deadline, ems_team_t **team);
/* Takes part no longer; gives up its critical sections. EMS_EINVALID: another thread has joined. NULL is allowed. */
int ems_team_leave(ems_team_t *team);

uint32_t ems_team_member(const ems_team_t *team);  /* this one's number */
uint32_t ems_team_size(const ems_team_t *team);	   /* as it was formed */
uint32_t ems_team_count(const ems_team_t *team);   /* members that take part now */
bool ems_team_is_master(const ems_team_t *team);   /* member 0 */

typedef struct ems_team_death {
	uint32_t member;
	uint32_t pid;	     /* of its process, as it knew it itself */
	int64_t first, last; /* what it held of a loop, [first, last); equal: nothing */
} ems_team_death_t;

/* A member that died: the last one (which 0), the one before (1), … EMS_ENOTFOUND: so many have not died. */
int ems_team_broken(const ems_team_t *team, uint32_t which, ems_team_death_t *death);

/*
 * Returns when all members have called it. EMS_EBROKEN: see above. EMS_ETIMEOUT, EMS_ECANCELLED, EMS_EINTERRUPTED: it is as if it
 * had not been called. EMS_NOW: passes if all the others wait already. EMS_EDEADLOCK: inside a loop, which ends with a
 * barrier.
 */
int ems_team_barrier(ems_team_t *team);
int ems_team_barrier_until(ems_team_t *team, ems_deadline_t deadline);

/*
 * *mine becomes true in one of the members, the first to come. Each member calls the same singles between two barriers. Waits for
 * nobody (but, after a death, until all know of it); a barrier afterwards is the caller's. Errors as of the barrier.
 */
int ems_team_single(ems_team_t *team, bool *mine);
int ems_team_single_until(ems_team_t *team, bool *mine, ems_deadline_t deadline);

/*
 * A critical section: one member at a time is inside those of one name (1 to 255 bytes; at most 64 names in a team:
 * EMS_ELIMIT), in the order in which they began to wait. *owner_died (may be NULL): the member that was inside before
 * died there. EMS_EDEADLOCK: this member is inside already.
 */
int ems_critical_enter(ems_team_t *team, const char *name, bool *owner_died);
int ems_critical_enter_until(ems_team_t *team, const char *name, bool *owner_died, ems_deadline_t deadline);
/* EMS_EINVALID: this member is not inside. */
int ems_critical_leave(ems_team_t *team, const char *name);

typedef struct ems_loop ems_loop_t;

typedef enum ems_schedule {
	EMS_GUIDED = 0,	 /* chunks as the members come, large ones first */
	EMS_DYNAMIC = 1, /* chunks as the members come, of one size */
	EMS_STATIC = 2	 /* equal shares, always the same member's */
} ems_schedule_t;

typedef struct ems_loop_options {
	ems_schedule_t schedule;
	uint64_t chunk;		 /* iterations: of each chunk (dynamic), at least (guided); default 1 */
	ems_deadline_t deadline; /* of the whole loop; 0: EMS_FOREVER */
} ems_loop_options_t;

/*
 * A loop over first, first + 1, … last - 1, shared out to the members, each of which calls this with the same arguments, and
 * then ems_loop_next until that gives EMS_EEMPTY. Inside another loop, or outside of a team, the caller gets it whole.
 * Errors as of the barrier; EMS_ECONFLICT: a static loop in some members and another kind in others. *loop is the caller's, for
 * ems_loop_end.
 */
int ems_loop_begin(ems_team_t *team, int64_t first, int64_t last, const ems_loop_options_t *options, ems_loop_t **loop);
/*
 * The next iterations for this member, [*first, *last), never none; those before are done by that. EMS_EEMPTY: all members have
 * done all; that is a barrier. EMS_EBROKEN: a member died, ems_team_broken tells what it held. In an elastic team, and when a
 * member leaves, its part comes to others, that of a dead one from the beginning of its chunk. EMS_ETIMEOUT,
 * EMS_ECANCELLED, EMS_EINTERRUPTED: may be called again.
 */
int ems_loop_next(ems_loop_t *loop, int64_t *first, int64_t *last);
/*
 * Ends it. Before EMS_EEMPTY: this member does no more of it, and waits for the others at its end, with the errors of a barrier; after
 * EMS_ETIMEOUT, EMS_ECANCELLED and EMS_EINTERRUPTED the loop is still there.
 */
int ems_loop_end(ems_loop_t *loop);
/* ---- whole arrays -------------------------------------------------------------------------------- */

/*
 * Operations on all elements of a range, with a callback, by the caller alone or shared out to a team. Each member calls the
 * function with the same arguments (handles of its own on the same heaps); all return when all is done, with the same
 * result and error. The result does not depend on the number of members, to the last bit of a float: the range is cut into at most
 * 1024 chunks by its length alone, each is combined from its first element on, and then the chunks, from the first on.
 *
 * Each element is read (whatever its tag) or written (waiting for BUSY ones) atomically; the operation as a whole is not. The heap
 * of `to` has no map; if that of `from` has, elements go by index, and one without a key is undefined. The two have no
 * element in common (EMS_EINVALID), or, where a function says so, are the same range; not in an elastic team (EMS_EUNSUPPORTED), where
 * a dead member's chunk is done again from its beginning.
 *
 * A callback returns 0 or an error: a code of the library's or one of its own, -1 to -32767 (others become EMS_EINVALID). The error of
 * the first element, by index, is the operation's; elements before it are done, some after it may be. After EMS_EBROKEN any part may be
 * done. Cancelling and signals end waits for elements, with that error for all, but not the wait for other members. What is wrong
 * with the team or its scratch heap is one member's own error, and the others wait for it; so is EMS_ENOMEMORY for a result.
 *
 * Callbacks run in all members, and must not wait for others; inside one, or a loop, an operation with that team is the caller's alone.
 * index counts from the beginning of the range. *result is undefined unless set; a string, JSON or bytes in it is the callback's (or an
 * argument's), and stays until its next call.
 */
typedef struct ems_range {
	ems_heap_t *heap;
	uint64_t first, count; /* elements [first, first + count) */
} ems_range_t;

#define EMS_ARRAY_SCRATCH 3073 /* elements of a scratch heap */

/* Zero means the default; NULL in place of it, too. */
typedef struct ems_array_options {
	ems_team_t *team; /* who takes part; NULL: the caller alone */
	ems_heap_t *scratch; /* with a team of more than one: one heap for all of them, without map, of at least EMS_ARRAY_SCRATCH elements,
				in which they tell each other things; in use for nothing else meanwhile */
	ems_tag_t tag;	/* of elements that are written: EMS_FULL, EMS_EMPTY, or 0: as they have it */
	uint64_t *done; /* how many elements come before the one that failed; all, on success. Not written by other errors */
} ems_array_options_t;

typedef int ems_array_make_t(void *context, uint64_t index, ems_value_t *result);
typedef int ems_array_map_t(void *context, uint64_t index, const ems_value_t *value, ems_value_t *result);
/* 1: yes, 0: no. The same answer whenever it is asked about the same. */
typedef int ems_array_keep_t(void *context, uint64_t index, const ems_value_t *value);
/* Associative: a sum of floats, which is not quite, is put together in the one order described above. */
typedef int ems_array_combine_t(void *context, const ems_value_t *left, const ems_value_t *right, ems_value_t *result);
/* Which element of the source. */
typedef int ems_array_from_t(void *context, uint64_t index, uint64_t *source);

/* Each element becomes what make says. */
int ems_array_fill(const ems_range_t *to, ems_array_make_t *make, void *context, const ems_array_options_t *options);
/* to's elements become from's; they are equally many (EMS_ERANGE), also below. Tags are not copied. May be the same range. */
int ems_array_copy(const ems_range_t *from, const ems_range_t *to, const ems_array_options_t *options);
/* to's elements become what map makes of from's. May be the same range. */
int ems_array_map(const ems_range_t *from, const ems_range_t *to, ems_array_map_t *map, void *context,
		  const ems_array_options_t *options);
/* Those of from's elements that keep says yes to, in their order, to the beginning of to (EMS_EFULL: it has not so many, nothing is
 * written). *kept (may be NULL): how many. keep is asked twice about each; EMS_ECONFLICT: with another answer. */
int ems_array_filter(const ems_range_t *from, const ems_range_t *to, ems_array_keep_t *keep, void *context,
		     uint64_t *kept, const ems_array_options_t *options);
/* initial (NULL: none) and all elements combined, from left to right. Of no elements at all: undefined. */
int ems_array_reduce(const ems_range_t *from, ems_array_combine_t *combine, void *context, const ems_value_t *initial,
		     ems_value_t *result, const ems_array_options_t *options);
/* Each of to's elements becomes initial (NULL: none) and all elements of from up to that one combined; with exclusive, up to the one
 * before it (the first becomes initial, or undefined). Each element is read twice. May be the same range. */
int ems_array_scan(const ems_range_t *from, const ems_range_t *to, ems_array_combine_t *combine, void *context,
		   const ems_value_t *initial, bool exclusive, const ems_array_options_t *options);
/* Each of to's elements becomes the one of from's that source says (EMS_ERANGE: there is none), which may be the same for several. The ranges
 * need not be equally long. */
int ems_array_permute(const ems_range_t *from, const ems_range_t *to, ems_array_from_t *source, void *context,
		      const ems_array_options_t *options);

#endif
