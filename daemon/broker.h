/*
 * broker.h: the daemon's state, whole: who is connected, which heaps there are, who has attached what.
 *
 *     broker ──┬── clients ── client ── attachments ─┐
 *              ├── heaps ──── heap ──── attachments ─┴── attachment: one client's use of one heap
 *              ├── registry: names → heaps
 *              └── users: what each user has, and may have
 *
 * One thread, one loop; nothing here is thread-safe. A heap lives as long as it has a name or an attachment;
 * an attachment as long as its client; a client as long as its connection, or, when its threads
 * still have slots in heaps then, until its process is dead.
 */
#ifndef DAEMON_BROKER_H
#define DAEMON_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/access.h"
#include "daemon/budget.h"
#include "daemon/settings.h"
#include "daemon/list.h"
#include "proto/codec.h"
#include "proto/reader.h"
#include "shm/region.h"
#include "shm/segment.h"
#include "shm/team.h"

struct kind;
struct catalogue;
struct disk;
struct heap_file;
struct process;
struct store;

/* Clients that were kicked are known as such until so many others were. */
#define CLIENT_KICKED_MAX 256u

/* Of the table of processes. */
#define PROCESS_BUCKETS 256u

struct user {
	struct list node; /* broker.users */
	uid_t uid;
	unsigned references; /* clients and heaps that count below, and those about to */
	const struct user_limits *limits;
	uint32_t clients, heaps;
	struct budget budget;
};

struct registry {
	struct heap **heaps; /* by name, in the order of its bytes */
	size_t count, capacity;
};

struct broker {
	uv_loop_t loop;
	struct config config;
	bool user_daemon;
	bool stopping;
	bool adopting; /* heaps of a former daemon are being taken over: not all of them are here */
	uint64_t started; /* clock.h */

	struct list clients, heaps, users; /* heaps: those without a name, too */
	struct list pending;		   /* requests that wait for a disk: request_persist.c */
	struct list processes[PROCESS_BUCKETS]; /* by their numbers: process.h */
	struct list condemned;		   /* clients to be disconnected by the reaper */
	uv_idle_t reaper;		   /* runs while there are some */
	uint32_t client_count, heap_count;
	struct registry registry;
	struct budget budget; /* of all heaps */
	uint64_t next_client; /* number */
	uint64_t kicked[CLIENT_KICKED_MAX]; /* numbers of clients that are not to come back (client_kick) */
	unsigned next_kicked;
	uint64_t recoveries;  /* slots */
	struct store *store;	     /* what outlives us: store.h; NULL: nothing does */
	struct catalogue *catalogue; /* NULL without a store */
	bool catalogue_kept;	     /* the store has it */
	struct disk *disk;	     /* of persistent heaps: daemon/disk.h */

	int listener;	/* -1: none */
	bool activated; /* the listener is the service manager's: its file is not ours to remove */
	uv_poll_t listener_poll;
	uv_timer_t accept_timer;   /* runs while there are no descriptors left to accept with */
	uv_timer_t recovery_timer; /* runs while some heap waits for recovery */
	uv_timer_t sweep_timer;	   /* runs while something has to be looked at later; see sweep.h */
	uint64_t sweep_at;	   /* clock.h; CLOCK_NEVER: does not run */
	uint64_t idle_since;	   /* when the last client left */
	uv_signal_t sigterm, sigint, sighup;
	uv_timer_t watchdog;	 /* runs while the service manager wants signs of life */
	const char *config_path; /* of the settings; NULL: none. The caller's */
	bool log_level_said;	 /* the command line has set the log's level */
};

/* Anything that has a name: kind says what its memory is, and a union below holds that kind's. */
struct heap {
	struct list node; /* broker.heaps */
	struct broker *broker;
	const struct kind *kind; /* kind.h */
	enum proto_named kind_number;
	char name[PROTO_NAME_MAX + 1]; /* resolved: "~UID/x", never "~/x" */
	bool dropped;		       /* the name is no longer its */
	uint8_t id[16];
	union {
		struct shm_segment segment; /* of a heap */
		struct shm_team team;	    /* of a team */
		struct shm_region region;   /* of a region: its control page only */
	};
	int fd; /* of the memory; what is handed out */
	struct owner owner;
	struct user *user;	    /* whose budget it is in: the creator */
	struct proto_params params; /* of a heap, complete; fill.data is malloc'ed */
	struct proto_region region_params;
	struct proto_team team_params;
	enum proto_lifetime lifetime;
	uint64_t idle_seconds;
	struct budget budget; /* its own; used is what it is charged */
	uint64_t elements;    /* now: the header's word is only a copy for the clients */
	uint64_t size;	      /* of a region, now; likewise */

	struct list attachments;
	uint32_t attachment_count, writer_count;
	uint64_t idle_since;	     /* clock.h; of attachment_count 0 */
	uint64_t created, last_used; /* seconds since 1970 */

	bool recovering; /* has dead slots that could not be recovered yet */
	bool trimming;	 /* has free chunks that a sweep gives back */
	bool quarantined;
	uint64_t recovery_delay; /* ns until the next attempt */

	struct heap_file *saved; /* of a persistent one: daemon/disk.h; NULL: volatile */
	uint64_t former_group;	/* of one that was adopted, until it has its file */
	uint32_t checkpoint_ms; /* between checkpoints of its own; 0: only on demand */

	uint32_t record;      /* in the catalogue; 0: none */
	uint8_t creation[16]; /* how its creator named the request; zero: not at all */
	uint64_t grace;	      /* clock.h; until then, clients of a former daemon may come back to it */
	uint32_t awaited;     /* so many of them at most */
	uint64_t *returned;   /* while some are awaited: the numbers of those that came */
	uint32_t returned_count;
};

struct attachment {
	struct list client_node, heap_node;
	struct client *client;
	struct heap *heap;
	uint32_t number;
	enum proto_access access;
};

/* A frame, or several, to be sent; fd >= 0 travels with the first byte, and is closed after. */
struct outgoing {
	struct list node;
	struct proto_buffer buffer;
	size_t sent;
	int fd;
};

struct client {
	struct list node;	    /* broker.clients */
	struct list condemned_node; /* broker.condemned */
	struct broker *broker;
	uint64_t number; /* for slots; never 0 */
	uint64_t since;	 /* seconds since 1970 */
	struct credentials peer;
	struct user *user;
	char software[2 * PROTO_TEXT_MAX + 2];

	int fd; /* -1: disconnected, waiting for its process to end */
	uv_poll_t poll;
	bool polled;	/* its handle is the loop's, and not closed yet */
	bool abandoned; /* to be freed when it is */
	struct list process_node; /* process.clients */
	struct process *process;  /* process.h; NULL: its end is not watched */
	struct proto_reader reader;
	struct list queue; /* of struct outgoing */
	size_t queued;	   /* bytes in it */
	unsigned queued_fds;
	bool polling_write;
	bool refused;	/* over a limit: to be told so at its hello */
	bool greeted;	/* hello is done */
	bool condemned; /* in broker.condemned: nothing is read or sent any more */
	bool ending;	/* close when the queue is empty; nothing more is read */
	bool dead;	/* its process is */
	uint64_t superseded; /* clock.h; not 0: it has come back by another connection, and this is freed then */

	struct list attachments;
	uint32_t attachment_count, next_attachment;
	uint64_t copied; /* bytes of its last copy of a heap, in its user's budget: request_copy.c */
};

/* Most attachments of one client, and descriptors that wait in its queue. */
#define CLIENT_ATTACHMENTS_MAX 4096u
#define CLIENT_QUEUED_FDS_MAX  64u

/* Starts the loop's handles; the listener is given. Owned: config and listener are the broker's, also after
 * an error. */
int broker_init(struct broker *broker, struct config *config, bool user_daemon, int listener, bool activated);
/* Serves until a signal, or idleness, ends it. */
void broker_run(struct broker *broker);
/* Frees everything; nothing is left for the loop to do. */
void broker_fini(struct broker *broker);

/* From now on tells the service manager, from the loop, that the loop turns. */
void broker_watch(struct broker *broker);

/* Begins the orderly end: no new clients, the others are told, the loop ends. why: for the log. */
void broker_stop(struct broker *broker, const char *why);

/* The line for the service manager's status. */
void broker_tell_status(const struct broker *broker);

#endif
