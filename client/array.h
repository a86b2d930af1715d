/*
 * array.h: operations on whole ranges of elements, by one thread or by a team.
 *
 * A range is cut into chunks, at most ARRAY_CHUNKS, of a size that follows from the number of its elements alone; what a
 * chunk gives, and the order in which chunks are put together, are the same whoever does them. So is the result, to
 * the last bit.
 *
 * An operation is a sequence of phases. In a team, a phase is a loop over the chunks (shm/team_loop.h), which ends with a barrier; then
 * each member reads how all chunks have ended, and comes to the same conclusion; and a second barrier, so that nobody
 * begins to write the next phase's words before all have read these. A phase with one chunk is something that one
 * member does, whichever. Whatever fails in a member, it goes through all the phase: nobody waits for it in vain.
 *
 * What members tell each other is in elements of the caller's scratch heap:
 *
 *     [0, ARRAY_CHUNKS)               how each chunk has ended: the loop's epoch + 1, or -(element << 16 | code)
 *     ARRAY_CHUNKS + ARRAY_PARTIAL …  of each chunk: its sum, or how many elements are kept
 *     ARRAY_CHUNKS + ARRAY_BEFORE …   of each chunk: what all before it come to
 *     ARRAY_CHUNKS + ARRAY_RESULT     what all come to
 *
 * A chunk is run by one member at a time, so each element has one writer in a phase, and is read in a later one. When a member of an
 * elastic team dies, its chunk is run once more from the beginning: therefore no phase may change what it reads, and in
 * such a team the source must lie apart from the destination.
 */
#ifndef CLIENT_ARRAY_H
#define CLIENT_ARRAY_H

#include "client/ems.h"

#define ARRAY_CHUNKS  1024
#define ARRAY_PARTIAL 0
#define ARRAY_BEFORE  ARRAY_CHUNKS
#define ARRAY_RESULT  (2 * ARRAY_CHUNKS)
#define ARRAY_VALUES  (ARRAY_RESULT + 1)

/* As the element at which it failed: at none in particular. */
#define ARRAY_NOWHERE ((UINT64_C(1) << 47) - 1)

/* How the source has to lie to the destination. */
enum array_place {
	ARRAY_APART,	  /* no element in common */
	ARRAY_SAME_IS_FINE /* or all, each with itself */
};

/* One call. */
struct array {
	const char *name;	/* "array_map" */
	ems_team_t *team;	/* NULL: the caller alone */
	ems_heap_t *scratch;	/* with a team */
	ems_range_t from, to;	/* heap NULL: there is none */
	const ems_range_t *told; /* the one that errors tell of */
	uint64_t count, chunk;	/* elements, of all and of each chunk */
	uint64_t chunks;	/* at most ARRAY_CHUNKS */
	ems_tag_t tag;		/* of what is written; 0: as it is */
	uint64_t *done;		/* the caller's, or NULL */
	union {
		ems_array_make_t *make;
		ems_array_map_t *map;
		ems_array_keep_t *keep;
		ems_array_combine_t *combine;
		ems_array_from_t *from;
	} call;
	void *context;
	const ems_value_t *initial;
	bool exclusive;
	ems_value_t in, sum, key_text; /* the library's buffers */
	ems_value_t *values;	       /* alone: ARRAY_VALUES of them, made when needed */
	uint64_t at;		       /* the element at which it failed */
	int r;			       /* why this member cannot do it: a bad argument, noted in words; 0 */
	bool own_words;		       /* … of that */
};

/*
 * Begin and end of a call. array_init: team and scratch are taken from the options, which may be NULL; 0, or an error, noted: then
 * nothing may follow but the end, and the team, if any, is not told. array_end: what the call returns when its phases have
 * come to r; frees everything.
 */
int array_init(struct array *array, const char *name, const ems_array_options_t *options);
int array_end(struct array *array, int r);

/*
 * The arguments. What is wrong with them becomes array->r, and all members' error in the first phase. array_split must come last:
 * over so many elements.
 */
void array_from(struct array *array, const ems_range_t *from);
void array_to(struct array *array, const ems_range_t *to);
void array_need(struct array *array, bool given, const char *what);
void array_equal(struct array *array); /* in number */
void array_apart(struct array *array, enum array_place place);
void array_split(struct array *array, uint64_t count);

/*
 * Elements first..last - 1, counted from the range's beginning, which are chunk number so-and-so. 0 or an error (not necessarily
 * noted), with array->at set.
 */
typedef int array_body(struct array *array, uint64_t chunk, uint64_t first, uint64_t last);

/* Runs all chunks; or one thing, once. 0; the first chunk's error, noted, the same in all members; or the team's. */
int array_each_chunk(struct array *array, array_body *body);
int array_once(struct array *array, array_body *body);

/* Element i of the source, into a buffer of the library's; to element i of the destination. */
int array_read(struct array *array, uint64_t i, ems_value_t *value);
int array_write(struct array *array, uint64_t i, const ems_value_t *value);

/* What is kept between phases: which is ARRAY_PARTIAL + chunk and so on. */
int array_put(struct array *array, uint64_t which, const ems_value_t *value);
int array_get(struct array *array, uint64_t which, ems_value_t *value);

/* A copy of value (which may lie in into's buffer) in a buffer of the library's. Checks it: as value_check, -ERROR_NO_MEMORY. */
int array_keep(ems_value_t *into, const ems_value_t *value);

/* What a callback's answer means: 0, or its error. */
int array_answer(int r);

#endif
