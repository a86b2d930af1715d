/*
 * model.h: a disk that remembers, and loses power.
 *
 * Its folder and files live in memory, twice: as processes see them (the cache), and as a list of what was done to them:
 * each write, truncation, new name. A barrier on a file makes sure of what was done to that file so far; the folder is
 * one more file in this respect. After a power cut everything that is sure is there, and of the rest any part: model_lose
 * makes one such disk. The order within what is left is kept, but nothing is implied by anything: a file's name may be there
 * without its contents, the second of two writes without the first, half the sectors of a write.
 *
 * A barrier that fails makes nothing sure, then or later: what was written before it stays as unsure as it is, for ever, while
 * processes see it all the same. That is what Linux does, and the worst of what disks do.
 */
#ifndef TESTS_POWERCUT_MODEL_H
#define TESTS_POWERCUT_MODEL_H

#include "shm/disk_io.h"

#define MODEL_SECTOR 512u

struct model;

/* Called just before each barrier: what is unsure then includes what was at any moment since the barrier before. */
typedef void model_cut(void *arg, struct model *model);

/* Things that go wrong. Calls are counted from 1, those only that change something; barriers for themselves. */
struct model_plan {
	unsigned fail_at; /* this call, … */
	int fail_number;  /* … with this errno; 0: none */
	unsigned die_at;  /* this one and all after it do nothing, and fail: the process has been killed */
	unsigned lie_at;  /* this barrier is none, and returns 0 */
	unsigned fail_barrier; /* this barrier fails with EIO */
	unsigned die_barrier;  /* the process is killed when it asks for this one */
	bool early; /* journals are made void, for sure, before the barrier of a heap's file instead of after it */
};

struct model *model_new(void);
void model_free(struct model *model);
/* An empty file that is there for sure. */
void model_give(struct model *model, const char *name);

/* The table of this disk, whose folder is descriptor 3. */
const struct shm_disk_io *model_io(struct model *model);
#define MODEL_FOLDER 3

/* Counts anew. A plan without a death revives. */
void model_set(struct model *model, const struct model_plan *plan);
unsigned model_calls(const struct model *model);
unsigned model_barriers(const struct model *model);
void model_on_cut(struct model *model, model_cut *cut, void *arg);

/* How many things are unsure. */
unsigned model_unsure(const struct model *model);
/*
 * The disk after a power cut: of what is unsure, the i-th stays when bit i of kept is 1 (with i >= 64: when bit i % 64 is). torn, unless NULL, is the
 * state of random numbers that decide for each sector of those that stay whether it does. The result is a disk of its own.
 */
struct model *model_lose(const struct model *model, uint64_t kept, uint64_t *torn);

#endif
