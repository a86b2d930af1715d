/*
 * disk.h: persistent heaps: what the daemon does so that they outlive the machine's memory.
 *
 *     disk.c          when: which heap is written when, who waits for it, which heaps belong together
 *     disk_job.c      what: making, checkpoint, removal, in threads of libuv's, one after the other for all files of the
 *                     store (line), so that a disk that is slow holds up no request
 *     disk_load.c     the heaps that are in the store when the daemon starts
 *     disk_notice.c   a thread that sleeps on the words "something was written" of all heaps that are clean
 *
 * A heap's way round:
 *
 *     clean, watched ──first mark──► dirty: due after its interval ──► copied behind the gate (shm/checkpoint.h), in the loop;
 *         ▲                             │                              marks in flight
 *         └───────── no mark meanwhile ─┴──────◄─────── on disk: marks clean ◄── begin, add, commit: in a job (shm/disk.h)
 *                                       ▲                     │
 *                                       └── later, again ◄────┴─ trouble: marks dirty
 *
 * A file outlives its heap here as long as a job works with it. All functions but the jobs' own belong to the loop.
 */
#ifndef DAEMON_DISK_H
#define DAEMON_DISK_H

#include "daemon/heap.h"
#include "shm/checkpoint.h"
#include "shm/disk.h"

#define DISK_WHY_SIZE 256

/* Jobs that are done one after the other. */
struct line {
	struct list jobs; /* of struct job; the first one is running */
	bool running;
};

struct notice; /* disk_notice.c */

struct disk {
	struct broker *broker;
	struct shm_disk *store; /* NULL: there is none, and trouble says why */
	char trouble[DISK_WHY_SIZE];
	struct line line;
	struct list files; /* of struct heap_file */
	uv_timer_t timer;  /* runs while a heap is due */
	uv_async_t async;  /* a heap that was clean is not any more */
	struct notice *notice;
	uint64_t next_group;
	uint32_t jobs, loads; /* jobs: of all lines, and loads */
	bool taking;   /* a checkpoint of the store is on its way */
};

/* A heap's file. */
struct heap_file {
	struct list node; /* disk.files */
	struct disk *disk;
	struct heap *heap; /* NULL: it has gone */
	struct shm_disk_heap *file; /* NULL: not made, or lost; jobs use it */
	bool handed_over;	    /* by a client: has a line of its own */
	struct line own_line;
	uint32_t jobs; /* that know it */

	/* Attempts are counted from `first` on, which no other daemon has counted; an attempt has everything of its moment. */
	uint64_t first, attempts, completed, failed;
	uint64_t last_attempt; /* of a daemon that ends */
	bool brought; /* its file is being opened again */
	bool leaving; /* nobody has it any more: it goes when it is on disk */
	bool flying;  /* the last attempt has not ended */
	bool changed; /* its description: what is in meta */
	bool watched; /* by disk_notice.c */
	uint64_t due; /* clock.h: of the next attempt; CLOCK_NEVER */
	uint64_t delay; /* until the next one after trouble */
	uint64_t given_back; /* bytes, since the last attempt: their pages are marked, but not charged any more */
	uint64_t group; /* 0: none; checkpointed with all others of the same */

	/* for people */
	uint64_t checkpoints, last; /* last: seconds since 1970 */
	int error;
	char why[DISK_WHY_SIZE];

	/* loading */
	bool loading, broken; /* broken: it could not be loaded */
	bool waits_for_load;
	uint32_t percent, stop; /* atomic */
	uint64_t try_again; /* clock.h: of a broken one */
};

/* ---- the whole ---- */

/*
 * Opens the store in the state directory, and begins to load what is there; heaps that were adopted keep their memory. Trouble is told
 * to those who want a persistent heap, and to the log. -ERROR_NO_MEMORY, -ERROR_SYSTEM.
 */
int disk_open(struct broker *broker);
/* Before the heaps go: writes what is dirty, and waits for all jobs, so long at most. */
void disk_finish(struct broker *broker, uint64_t patience);
void disk_close(struct broker *broker);

/* ---- one heap ---- */

/* Whoever asked for something that takes its time gets the answer then. r: 0, or why not; message may be empty. */
struct disk_waiter {
	void (*done)(struct disk_waiter *waiter, struct heap *heap, int r, const char *message);
};

/*
 * A new heap, which has no name yet and no attachments, gets a file with all that is in it. fd: of the file that a client has handed
 * over, taken in any case; -1: in the store. waiter->done is called later, unless an error is returned. NO_MEMORY, or the trouble of the store.
 */
int disk_create_take(struct heap *heap, int fd, struct disk_waiter *waiter,
		     char message[static HEAP_MESSAGE_SIZE]);
/*
 * A file that a client has handed over, of a heap that is not here. waiter gets the heap, loaded, and without its name in the registry yet. uid:
 * in whose budget it is. fd is taken in any case. -ERROR_NO_MEMORY.
 */
int disk_adopt_take(struct broker *broker, uid_t uid, const char *name, int fd, struct disk_waiter *waiter);
/* A daemon that took the heap over did not get the file. fd, taken in any case, is of it. */
void disk_bring_file_take(struct heap *heap, int fd);
/* The last client of a heap in a file of its own has left: it leaves memory, when it is on disk. False: it is none of these. */
bool disk_leave(struct heap *heap);

/* The heap goes, from memory; its file stays, unless it was dropped. */
void disk_release(struct heap *heap);
/* The heap has lost its name: the file is removed. waiter may be NULL; it gets no heap. False: there is no file, nothing is to be waited for. */
bool disk_drop(struct heap *heap, struct disk_waiter *waiter);

/* Name, owner, mode, … have changed. */
void disk_changed(struct heap *heap);
/* It is to be written now, if it is dirty: its last client has left. */
void disk_write(struct heap *heap);
/* A client of it has died: perhaps between a mark and the call that tells of it. */
void disk_look(struct heap *heap);
/* So many bytes of it went back to the system. */
void disk_given_back(struct heap *heap, uint64_t bytes);

/* proto_sync. */
int disk_sync(struct heap *heap, uint64_t number, struct proto_sync_reply *reply,
	      char message[static HEAP_MESSAGE_SIZE]);
/* From now on they are checkpointed at one moment. */
void disk_join(struct heap *heap, struct heap *other);
/* What a daemon before this one knew of that. */
void disk_set_group(struct heap *heap, uint64_t group);

/* Not to be used now: -ERROR_LOADING, or why it could not be loaded. A broken one is tried again. */
int disk_usable(struct heap *heap, char message[static HEAP_MESSAGE_SIZE]);
/* Not to be dropped now, since a thread fills its memory: -ERROR_LOADING. */
int disk_replaceable(const struct heap *heap, char message[static HEAP_MESSAGE_SIZE]);
static inline bool disk_is_loading(const struct heap *heap)
{
	return heap->saved && (heap->saved->loading || heap->saved->broken);
}

/* For people. */
void disk_describe(const struct heap *heap, struct proto_disk *description);
void disk_describe_shortly(const struct heap *heap, uint32_t *loading, uint32_t *error);

/* ---- between the files of this group ---- */

struct job {
	struct list node;
	struct line *line;
	struct disk *disk;
	uv_work_t work;
	void (*run)(struct job *job);  /* in a thread */
	void (*done)(struct job *job); /* in the loop; frees it */
};
void job_queue(struct job *job, struct disk *disk, struct line *line, bool first);

struct heap_file *disk_file_new(struct disk *disk, struct heap *heap);
void disk_file_unref(struct heap_file *file); /* after a job, or the heap, has gone */
struct line *disk_line(struct heap_file *file);
void disk_meta_of(const struct heap *heap, struct disk_meta *meta);
/* Notes why something failed, and what is to be said of it. */
void disk_trouble(struct heap_file *file, int r, const struct shm_disk_trouble *trouble);

/* Takes a checkpoint of these now, and queues its writing. -ERROR_BUSY, … */
int disk_take(struct heap_file **files, size_t count);
/* Its pages are on disk; or not. */
void disk_taken(struct heap_file *file, int r, const struct shm_disk_trouble *trouble);
/* One that nobody has any more goes. The heap may be gone after the call. */
void disk_leave_if_written(struct heap_file *file);
/* A clean one is watched, a dirty one becomes due. */
void disk_arm(struct heap_file *file);
void disk_schedule(struct disk *disk);
int disk_load_begin(struct heap_file *file);
int disk_load_all(struct disk *disk);
/* Unless it is open. make: also when there is none yet. -ERROR_…: disk->trouble says why. */
int disk_open_store(struct disk *disk, bool make);

struct notice *notice_new(uv_async_t *async);
void notice_free(struct notice *notice);
/* The word is DIRTY_WATCHED: the async is sent when it is something else. False: there is no room for it. */
bool notice_add(struct notice *notice, const uint32_t *word);
void notice_remove(struct notice *notice, const uint32_t *word);

#endif
