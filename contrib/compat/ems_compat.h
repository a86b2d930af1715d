/*
 * ems_compat.h: what the drop-in modules for programs written for EMS 1.6 have in common, whatever their language.
 *
 * A binding compiles this into itself. It is a user of <ems.h> like any other; it neither prints nor exits, and starts no
 * processes: that is the binding's, which knows how a script is started.
 *
 * EMS's words. A context is what processes share by a name. Its processes are members 0..size-1 of one run: a parent,
 * member 0, and those that it has started. In `bsp` all of them run the whole script; in `fj` the others wait for regions that
 * the parent sends; a `user` process was started by somebody else, is a run of its own, and shares the context's arrays
 * and critical section. Being "in a region" means that all members do the same: always in bsp, between enter and leave in fj.
 *
 * Functions return EMS_OK or a negative EMS_E… code, with ems_last_error() in words. Everything is for one thread, the one
 * that started the context. Times are milliseconds, as EMS has them; a negative one waits for ever.
 */
#ifndef EMS_COMPAT_H
#define EMS_COMPAT_H

#include <ems.h>

/* ---- a context --------------------------------------------------------------------------------- */

struct ems_compat;

enum ems_compat_kind { EMS_COMPAT_BSP, EMS_COMPAT_FJ, EMS_COMPAT_USER };

/*
 * What the started processes have in their environment. The parent sets them; a process that has EMS_Subtask is a started
 * one. EMS_Run is what distinguishes this run from others of the context.
 */
#define EMS_COMPAT_MEMBER "EMS_Subtask"
#define EMS_COMPAT_SIZE	  "EMS_Ntasks"
#define EMS_COMPAT_RUN	  "EMS_Run"
#define EMS_COMPAT_PARENT "EMS_Parent" /* the parent's pid */

#define EMS_COMPAT_RUN_SIZE 40 /* bytes of a run's name, with its NUL */
/* A new run's name: this process, and the moment. */
void ems_compat_run_name(char name[EMS_COMPAT_RUN_SIZE]);

/*
 * For a started process, early: it is killed when its parent ends. EMS_ENOTFOUND: the parent has ended already, the process
 * should, too.
 */
int ems_compat_follow_parent(long parent);

struct ems_compat_start {
	enum ems_compat_kind kind;
	const char *name; /* of the context: any text; NULL: the one that all share who name none */
	size_t name_size;
	const char *run;	/* bsp, fj: as EMS_Run says; NULL or "" in a user process */
	uint32_t member, size; /* bsp, fj */
	double milliseconds;	/* until all members are there (EMS_ETIMEOUT) */
};

/* Connects (starting the user's own daemon if there is none) and, with more than one member, waits for the others. */
int ems_compat_start(const struct ems_compat_start *how, struct ems_compat **context);
/* At the end of a process, whose arrays may be in use until then: the others' barriers no longer wait for this one. */
int ems_compat_leave(struct ems_compat *context);
/* Leaves; the others' barriers no longer wait for this one. Arrays are to be destroyed before. NULL is allowed. */
void ems_compat_end(struct ems_compat *context);

uint32_t ems_compat_member(const struct ems_compat *context);
uint32_t ems_compat_size(const struct ems_compat *context);
/* EMS's domainName: text that is different for each context. */
const char *ems_compat_domain(const struct ems_compat *context);
ems_connection_t *ems_compat_connection(struct ems_compat *context);

/* ---- regions of fork-join ------------------------------------------------------------------------ */

/*
 * The parent sends what is to be run, any text; the others receive the regions one after the other, in their order. Then
 * each enters, does it, and leaves, which is a barrier. EMS_EINVALID: not fj, a region within a region.
 */
int ems_compat_region_send(struct ems_compat *context, const char *text, size_t size);
/* *text is the caller's, for ems_value_clear. EMS_EEMPTY: the parent has ended the run; there are no more. */
int ems_compat_region_receive(struct ems_compat *context, ems_value_t *text);
int ems_compat_region_enter(struct ems_compat *context);
int ems_compat_region_leave(struct ems_compat *context);
/* The parent, at its end: the others receive EMS_EEMPTY. */
int ems_compat_region_finish(struct ems_compat *context);
bool ems_compat_in_region(const struct ems_compat *context);

/* ---- what members do together -------------------------------------------------------------------- */

/*
 * A barrier of all members. *left (may be NULL): milliseconds that were left. EMS_ETIMEOUT: it is as if this member had not come; of
 * no time at all, always.
 * Outside a region it does nothing. EMS_EBROKEN: a member died.
 */
int ems_compat_barrier(struct ems_compat *context, double milliseconds, double *left);
/*
 * The critical section of the context: one process at a time, whatever its run; who comes first goes first. One who dies inside
 * leaves it. EMS_EDEADLOCK: this process is inside already.
 */
int ems_compat_critical_enter(struct ems_compat *context, double milliseconds);
int ems_compat_critical_leave(struct ems_compat *context);
/* *mine: this one is the first to come. The barrier that EMS has after it is the caller's. */
int ems_compat_single(struct ems_compat *context, bool *mine);

/*
 * A loop over first … last - 1, shared out; nested, or outside a region, the caller has all of it. next gives [*from, *to) until
 * EMS_EEMPTY, which is the barrier at its end. end is to be called in any case.
 */
int ems_compat_loop_begin(struct ems_compat *context, int64_t first, int64_t last, ems_schedule_t schedule,
			  uint64_t minimum, ems_loop_t **loop);
int ems_compat_loop_next(ems_loop_t *loop, int64_t *from, int64_t *to);
int ems_compat_loop_end(struct ems_compat *context, ems_loop_t *loop);

/* ---- arrays -------------------------------------------------------------------------------------- */

struct ems_compat_array;

#define EMS_COMPAT_DIMENSIONS 16

enum ems_compat_existing {
	EMS_COMPAT_UNSAID = 0,	/* replaced; but unnamed in a user process: the context's, when it has this geometry */
	EMS_COMPAT_EXISTING = 1, /* only one that is there */
	EMS_COMPAT_REPLACE = 2	/* a new one in any case; those attached to the old one keep that */
};

/* A descriptor. All zero but for the dimensions and persist is EMS's default. */
struct ems_compat_descriptor {
	uint64_t dimensions[EMS_COMPAT_DIMENSIONS];
	size_t rank; /* 0: one element; or, of an existing one, as many as it has */
	uint64_t heap_size; /* bytes of strings and the like alive at a time */
	bool use_map;
	enum ems_compat_existing existing;
	bool persist; /* with a filename: a file at that path */
	const char *filename; /* NULL or "": unnamed, the same in all members that make their n-th one */
	bool do_data_fill, do_set_tags;
	const ems_value_t *data_fill; /* with do_data_fill; NULL: undefined */
	bool set_empty;		      /* with do_set_tags; else full */
};

/*
 * Makes or attaches an array. In a region all members call it, and all have it when it returns. EMS_ENOTFOUND: EMS gives
 * undefined, there is none.
 */
int ems_compat_array_open(struct ems_compat *context, const struct ems_compat_descriptor *wish,
			  struct ems_compat_array **array);
/* Detaches. With unlink its name, and file, goes as well, for those who come later. NULL is allowed. */
int ems_compat_array_destroy(struct ems_compat_array *array, bool unlink);
/* Values to the disk, if it has a file. */
int ems_compat_array_sync(struct ems_compat_array *array);

/* read, readFF, readFE, write… and setTag are those of <ems.h> on this. */
ems_heap_t *ems_compat_heap(const struct ems_compat_array *array);
uint64_t ems_compat_elements(const struct ems_compat_array *array);
bool ems_compat_uses_map(const struct ems_compat_array *array);
size_t ems_compat_rank(const struct ems_compat_array *array);
uint64_t ems_compat_dimension(const struct ems_compat_array *array, size_t which);
uint64_t ems_compat_stride(const struct ems_compat_array *array, size_t which);
/* EMS's regionN: the how manieth array of this process. */
uint64_t ems_compat_number(const struct ems_compat_array *array);

/* The element of a list of indexes, i0 + i1·d0 + i2·d0·d1 + …; EMS_ERANGE: outside a dimension, or as many indexes as it has not. */
int ems_compat_index(const struct ems_compat_array *array, const int64_t *indexes, size_t count, int64_t *index);

/* As ems_faa, but floats are joined to strings as C's %f writes them: 0.100000, nan. Objects are EMS_ETYPE. */
int ems_compat_faa(struct ems_compat_array *array, ems_key_t key, const ems_value_t *addend, ems_value_t *old);
/* As ems_cas, but an object as the expected value is EMS_ETYPE. */
int ems_compat_cas(struct ems_compat_array *array, ems_key_t key, const ems_value_t *expected,
		   const ems_value_t *desired, ems_value_t *old);
/* *count: how many there are now; -1: it is full, which is no error. */
int ems_compat_push(struct ems_compat_array *array, const ems_value_t *value, int64_t *count);
int ems_compat_enqueue(struct ems_compat_array *array, const ems_value_t *value, int64_t *count);
/* Of an empty one: undefined, which is no error. */
int ems_compat_pop(struct ems_compat_array *array, ems_value_t *value);
int ems_compat_dequeue(struct ems_compat_array *array, ems_value_t *value);

/* ---- transactions --------------------------------------------------------------------------------- */

struct ems_compat_lock {
	struct ems_compat_array *array;
	ems_key_t key;
	bool read_only;
	size_t asked; /* set by sort: where it was in the list */
};

/*
 * Brings a list into the order in which handles list locks, by array and key, each element once, for writing if any mention is.
 * Returns how many are left. The ems_transaction_… functions take it from there.
 */
size_t ems_compat_lock_sort(struct ems_compat_lock *locks, size_t count);
/* Waits for all. *transaction NULL, without an error: the set was empty. */
int ems_compat_lock_all(const struct ems_compat_lock *locks, size_t count, ems_transaction_t **transaction);

#endif
