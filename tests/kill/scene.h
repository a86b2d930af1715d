/*
 * scene.h: a case: an operation of libems, on a heap in a certain state, and who takes part.
 *
 *      the child    attaches, prepares (unless another has), does the operation under the stepper
 *      the helper   another client. Creates the heap and keeps it alive; prepares it when the
 *                   operation shall be the child's first; works on it when asked to
 *
 * Both are clients of the private emsd whose socket is in EMS_SOCKET, through libems as built.
 */
#ifndef TESTS_KILL_SCENE_H
#define TESTS_KILL_SCENE_H

#include "client/ems.h"
#include "tests/kill/explore.h"

struct scene;
typedef int scene_function(const struct scene *scene, ems_heap_t *heap);

enum changes { CHANGES, KEEPS, EITHER };

struct scene {
	char name[120];
	const char *function; /* the exported function that the operation calls */
	ems_heap_options_t options;
	scene_function *prepare; /* may be NULL; returns an EMS code */
	scene_function *operate;
	scene_function *other; /* what the helper does when asked; may be NULL */
	int expected;	       /* result of operate: 0 or a negative EMS code */
	int or_else;	       /* another one that is right as well, if not 0 */
	bool cold;	       /* the helper prepares; the operation takes the slot, too */
	enum changes changes;  /* do contents differ afterwards? */
	enum promise promise;
	bool robust_steps;
	bool thread; /* the child's part is that of a thread, and goes on to the thread's end */
	unsigned recoveries;
	/* what operate and prepare work with */
	const void *operation;
	ems_key_t key;
	int old, new;
	uint64_t count;
	/* pairs; see explore.h */
	bool (*meanwhile)(struct shm_segment *seg, struct shm_session *session, const void *argument);
	const void *argument;
	bool may_come_first;
	uint64_t interfere_at; /* the helper does `other` at this image, and the child goes on; 0: never */
	/*
	 * The child is stopped at this image for good; a second one does `other` and is tried: both are dead in
	 * every image. 0: no.
	 */
	uint64_t stop_at;
};

/* Sums over all scenes so far. */
struct totals {
	uint64_t scenes, steps, images, judged, recovery_images, failures;
	uint64_t last_images; /* of the latest scene */
};
extern struct totals totals;

/* Print the functions instead of playing. */
extern bool scene_list_only;
/* Is this case to be left out? (Listing, or another one was asked for.) */
bool scene_skip(const char *function, const char *name);

/* In the child: the connection that its heap was opened through. */
ems_connection_t *scene_connection(void);

/* The memory of one of the (up to two) heaps that a process has mapped, from the daemon; -1. The caller's to close. */
int scene_heap_fd(pid_t pid, unsigned which);

/* Adds a case to the sums and prints its line. */
void totals_add(const char *name, const struct explore *explore);

/* Plays it. Prints a line. False, and totals.failures counts, when anything is wrong. */
bool scene_play(const struct scene *scene);

/* Sets scene.name. */
__attribute__((format(printf, 2, 3))) void scene_name(struct scene *scene, const char *format, ...);

#endif
