/*
 * message.h: every message between a client and emsd, one struct each. doc/PROTOCOL.md has the wire's view.
 *
 * A frame is a 4-byte little-endian length and so many bytes: one msgpack map.
 *
 *     request   {id, op, body}                          client to daemon
 *     reply     {id, body} or {id, error: {code, name, message}}
 *     event     {event, body}                           daemon to client, at any time after the handshake
 *
 * Each struct below is the body of one of these: a map from the fields' names, as they stand here, to
 * values. An absent field has the value zero, false or empty, unless said otherwise; unknown fields are
 * skipped: that is how the protocol grows. (Required): a message without the field is refused.
 *
 * Decoding allocates nothing: structs have their texts inside; the bytes of a proto_value stay in the frame.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/value.h"

/* Versions of the protocol that this code speaks. The daemon chooses the highest that both sides speak. */
#define PROTO_VERSION_MIN 1u
#define PROTO_VERSION_MAX 1u

#define PROTO_FRAME_MAX 131072u /* bytes of a frame's map; the daemon says in hello what it takes */
#define PROTO_DEPTH_MAX 8u	/* maps and arrays inside each other, the frame's own map included */
#define PROTO_NAME_MAX	255u	/* bytes of a heap's name */
#define PROTO_LIST_MAX	64u	/* heaps in one reply to list */
#define PROTO_TEXT_MAX	63u	/* bytes of a software name or version */
#define PROTO_ERROR_MAX 1023u	/* bytes of an error's message; more is cut off */

/* X(identifier, name on the wire, request struct, reply struct) */
#define PROTO_OP_LIST(X)                                                       \
	X(HELLO, "hello", proto_hello, proto_hello_reply)                      \
	X(OPEN, "open", proto_open, proto_open_reply)                          \
	X(DETACH, "detach", proto_detach, proto_empty)                         \
	X(LIST, "list", proto_list, proto_list_reply)                          \
	X(INSPECT, "inspect", proto_inspect, proto_inspect_reply)              \
	X(DROP, "drop", proto_drop, proto_empty)                               \
	X(GROW, "grow", proto_grow, proto_grow_reply)                          \
	X(COMMIT_UNITS, "commit_units", proto_commit_units, proto_empty)       \
	X(COMMIT_STORAGE, "commit_storage", proto_commit_storage, proto_empty) \
	X(PREPARE_TABLE, "prepare_table", proto_prepare_table, proto_empty)    \
	X(TRIM, "trim", proto_trim, proto_empty)                               \
	X(RECOVER, "recover", proto_recover, proto_recover_reply)              \
	X(PING, "ping", proto_empty, proto_empty)                              \
	X(STATUS, "status", proto_empty, proto_status_reply)                   \
	X(REATTACH, "reattach", proto_reattach, proto_reattach_reply)          \
	X(OPEN_FILE, "open_file", proto_open_file, proto_open_reply)           \
	X(GROW_REGION, "grow_region", proto_grow_region, proto_grow_region_reply) \
	X(CHMOD, "chmod", proto_chmod, proto_empty)                            \
	X(CHOWN, "chown", proto_chown, proto_empty)                            \
	X(RENAME, "rename", proto_rename, proto_empty)                         \
	X(CLIENTS, "clients", proto_clients, proto_clients_reply)              \
	X(KICK, "kick", proto_kick, proto_empty)                               \
	X(QUOTA, "quota", proto_quota, proto_quota_reply)                      \
	X(SYNC, "sync", proto_sync, proto_sync_reply)                          \
	X(JOIN, "join", proto_join, proto_empty)                               \
	X(COPY, "copy", proto_copy, proto_empty)

/* X(identifier, name on the wire, body struct) */
#define PROTO_EVENT_LIST(X)                  \
	X(DROPPED, "dropped", proto_dropped) \
	X(GROWN, "grown", proto_grown)       \
	X(SHUTTING_DOWN, "shutting_down", proto_empty)

enum proto_op {
	PROTO_OP_UNKNOWN = 0, /* a name that this code does not know; never sent */
#define PROTO_OP_ENUM_(op, name, request, reply) PROTO_##op,
	PROTO_OP_LIST(PROTO_OP_ENUM_)
#undef PROTO_OP_ENUM_
		PROTO_OP_COUNT
};

enum proto_event {
	PROTO_EVENT_UNKNOWN = 0, /* skip it */
#define PROTO_EVENT_ENUM_(event, name, body) PROTO_EVENT_##event,
	PROTO_EVENT_LIST(PROTO_EVENT_ENUM_)
#undef PROTO_EVENT_ENUM_
		PROTO_EVENT_COUNT
};

/*
 * What a side can do beyond its protocol version, as bits; names on the wire. Unknown names are skipped.
 * doc/PROTOCOL.md keeps the names that are set aside for later.
 */
enum proto_feature {
	PROTO_FEATURE_HEAPS = 1u << 0,	  /* "heaps": open … recover, with their events */
	PROTO_FEATURE_STATUS = 1u << 1,	  /* "status" */
	PROTO_FEATURE_REGIONS = 1u << 2,  /* "regions": the kinds region and file */
	PROTO_FEATURE_TEAMS = 1u << 3,	  /* "teams": the kind team */
	PROTO_FEATURE_REATTACH = 1u << 4, /* "reattach", tickets, proto_open.creation */
	PROTO_FEATURE_CHANGE = 1u << 5,	  /* "change": chmod, chown, rename */
	PROTO_FEATURE_USERS = 1u << 6,	  /* "users": clients, kick, quota */
	PROTO_FEATURE_PIDFD = 1u << 7,	  /* "pidfd": of the client, sent with hello */
	PROTO_FEATURE_PERSISTENT = 1u << 8, /* "persistent" heaps, "sync", "join", proto_open.file */
};

struct proto_empty {
	char nothing; /* C wants a member; not on the wire */
};

/* The first request of a connection; nothing else is taken before it, and it is taken once. */
struct proto_hello {
	uint32_t version_min, version_max; /* (required) of the protocol */
	uint64_t features;		   /* enum proto_feature; an array of names on the wire */
	char software[PROTO_TEXT_MAX + 1]; /* for the log: "libems", "0.1.0" */
	char software_version[PROTO_TEXT_MAX + 1];
	uint64_t client,
		ticket; /* of an earlier connection: the client is the same, and has slots of that number; 0: none */
};

/* -ERROR_VERSION: no version in common; the message names both ranges. The connection is closed then. */
struct proto_hello_reply {
	uint32_t version; /* (required) to be spoken from now on */
	uint64_t features;
	char software[PROTO_TEXT_MAX + 1];
	char software_version[PROTO_TEXT_MAX + 1];
	uint64_t
		client; /* (required) the daemon's number of this client: to be put into its slots. Never 0 */
	uint32_t frame_max; /* bytes of a frame's map that the daemon takes */
	uint32_t pid;	    /* of the daemon, as the daemon sees itself */
	bool user_daemon;   /* a per-user daemon, which may end when idle */
	uint64_t ticket;    /* shows the next daemon that this client was `client`; 0: none */
};

/*
 * What a name stands for. All kinds share one namespace, and owners, modes, budgets, attachments, idleness and drop
 * are the same for all. A client asks for another kind than a heap only of a daemon that has its feature.
 */
enum proto_named {
	PROTO_NAMED_HEAP = 0,	/* "heap": elements */
	PROTO_NAMED_REGION = 1, /* "region": raw memory */
	PROTO_NAMED_FILE = 2,	/* "file": a client's file, as a region; made by open_file only */
	PROTO_NAMED_TEAM = 3,	/* "team": what members synchronise by */
	PROTO_NAMED_COUNT
};

enum proto_tag { PROTO_TAG_FULL = 0, PROTO_TAG_EMPTY = 1 }; /* "full", "empty" */

/* A heap's geometry, fixed at creation. */
struct proto_params {
	uint64_t elements;     /* (required) at creation, at least 1 */
	uint64_t max_elements; /* up to which it can be grown; 0: elements */
	uint64_t storage;      /* bytes of address space for strings, JSON, bytes, long keys; at least 64 KiB,
				  rounded up to a multiple */
	bool has_map;	       /* "map" on the wire: elements have keys */
	bool persistent;
	enum proto_tag tag; /* of an element that was never written */
	struct proto_value fill;
	uint64_t seed; /* of the key hash; replies only: the daemon chooses it */
};

/* Pages that a region's memory is made of: "default", "2M" and "1G" (hugetlb). */
enum proto_pages { PROTO_PAGES_DEFAULT = 0, PROTO_PAGES_2M = 1, PROTO_PAGES_1G = 2, PROTO_PAGES_COUNT };

/* A region's memory. Sizes are bytes. */
struct proto_region {
	uint64_t size;	   /* (required) at creation, at least 1 */
	uint64_t max_size; /* up to which it can be grown; 0: size */
	enum proto_pages pages;
	enum proto_pages granted; /* replies only: what it got; pages that are not there are no error */
	bool persistent;
};

/* A team's; members is 64 bits wide like every first field of an optional struct. */
struct proto_team {
	uint64_t members; /* (required) at least 1 */
	bool elastic;	  /* shrinks when a member dies, instead of breaking */
};

enum proto_how {
	PROTO_HOW_OPEN = 0,
	PROTO_HOW_CREATE = 1,
	PROTO_HOW_OPEN_OR_CREATE = 2
};								     /* "open", "create", "open_or_create" */
enum proto_access { PROTO_ACCESS_WRITE = 0, PROTO_ACCESS_READ = 1 }; /* "write", "read" */
/* When a volatile heap ends: "keep": when dropped; "detach": when the last client has detached. */
enum proto_lifetime { PROTO_LIFETIME_KEEP = 0, PROTO_LIFETIME_DETACH = 1 };

/*
 * Attaches a heap, or one of another kind, made on the way if `how` says so. The fields from params on count for a
 * new one; for OPEN_OR_CREATE of one that is there, params (region, team) must be what it was created with
 * (-ERROR_MISMATCH). So is a name of another kind, in each case, but for "create" with replace.
 * Errors: NAME; NOT_FOUND (open); EXISTS (create without replace); ACCESS; RANGE (a number of params); BUDGET
 * and LIMIT (quota; the message says which); UNSUPPORTED (a persistent region); LOADING: it is being read from its disk, try again;
 * of a persistent heap, also IO, NO_SPACE, CORRUPT and VERSION, of its file.
 */
struct proto_open {
	char name[PROTO_NAME_MAX + 1]; /* (required) */
	enum proto_how how;
	enum proto_access access;
	enum proto_named kind;
	struct proto_params params; /* required for a heap, unless how is "open" */
	struct proto_region region; /* likewise for a region */
	struct proto_team team;	    /* likewise for a team */
	uint32_t mode;		    /* permission bits, 0…0777; absent: 0600 */
	enum proto_lifetime lifetime;
	uint64_t idle_seconds; /* dropped after so long without a client; 0: never; at most 2^32 - 1 */
	bool any_params;       /* open_or_create: take what is there, whatever its params */
	bool replace;	       /* create: a heap of that name is dropped first, as by drop */
	bool examine;	       /* open, read: also one that is quarantined, to be looked at */
	uint64_t budget;       /* most bytes of memory it may commit; 0: what the daemon's settings allow */
	uint8_t creation
		[16]; /* random, the client's name of this creation: asked again, it is not done again; zero: none */
	uint32_t checkpoint_ms; /* persistent: between checkpoints that nobody asks for; 0: the daemon's default;
				   PROTO_CHECKPOINT_NEVER: none */
	bool file; /* persistent: in the client's file, whose descriptor, for reading and writing, comes with the request; name is
		      only for messages. Whoever sends a descriptor of that file attaches that heap */
};
#define PROTO_CHECKPOINT_NEVER UINT32_MAX

/* With the descriptor of the segment; opened read-only for a read-only attach. */
struct proto_open_reply {
	uint32_t heap; /* (required) this connection's number of the attachment, never 0; later requests name
			  it */
	uint8_t heap_id[16]; /* (required) random: tells a heap from a later one of the same name */
	char name[PROTO_NAME_MAX + 1];
	enum proto_named kind;
	struct proto_params params; /* of a heap; required then */
	struct proto_region region; /* of a region, a file (its size when it was attached first) */
	struct proto_team team;	    /* of a team */
	uint64_t elements;	    /* now; params.elements are those at creation */
	enum proto_access access;
	bool created;
	uint32_t mode, uid, gid; /* of the heap */
	uint64_t ticket;	 /* for reattach; 0: none */
	uint32_t checkpoint_ms;	 /* of a persistent heap: between checkpoints; 0: only on demand */
	uint64_t group; /* of a persistent heap, 0: none. Heaps of one group are checkpointed at one moment; in the catalogue only */
};

/*
 * After a connection was lost: this very heap again, as it was attached, without a descriptor, whatever its name, owner and mode are
 * by now. The connection's hello has named the former client. -ERROR_DROPPED: it is gone. -ERROR_ACCESS: the ticket is not right.
 */
struct proto_reattach {
	uint8_t heap_id[16]; /* (required) */
	enum proto_access access;
	uint64_t ticket; /* (required) from the reply to open */
};
struct proto_reattach_reply {
	uint32_t heap;		       /* (required) as in proto_open_reply */
	char name[PROTO_NAME_MAX + 1]; /* now, or last */
	uint64_t elements;	       /* now */
	bool dropped;		       /* the event was missed */
};

/*
 * Attaches a file, which comes as a descriptor; the reply brings none, and has kind "file". Whoever sends a descriptor of the
 * same file (device and inode) attaches the same. The daemon neither reads nor writes it, and opens no path.
 * Errors: INVALID (no descriptor, not of a regular file); ACCESS (not open for that access); LIMIT.
 */
struct proto_open_file {
	enum proto_access access;
};

/* Gives an attachment up; the number is not used again on this connection. */
struct proto_detach {
	uint32_t heap; /* (required) */
};

/* Heaps in the order of their names, those that the peer may at least read. */
struct proto_list {
	char prefix[PROTO_NAME_MAX + 1]; /* only names that begin so; "~/" is the peer's own */
	char after[PROTO_NAME_MAX + 1];	 /* only names behind this one: the last of the page before */
	uint32_t limit; /* most heaps in the reply; 0 or above PROTO_LIST_MAX: PROTO_LIST_MAX */
};

/* How it stands with a persistent heap's file. */
struct proto_disk {
	uint64_t attempts;    /* (required) at checkpoints, its creation or loading included: not 0 */
	uint64_t checkpoints; /* that reached the disk since the daemon has had the heap */
	uint64_t last;	      /* seconds since 1970: when the last one was taken; 0: none yet */
	uint64_t dirty;	      /* bytes, about, that the next one would write */
	uint32_t interval;    /* ms; 0: only on demand */
	uint32_t error;	      /* code of why the last attempt failed; 0: it did not */
	uint32_t loading;     /* 0: it is there; else 1 + percent of what is loaded */
	bool file;	      /* in a file that a client has handed over */
	char why[256];	      /* that error, in words */
};

struct proto_list_entry {
	char name[PROTO_NAME_MAX + 1];
	enum proto_named kind;
	uint64_t size; /* bytes of a region, now */
	uint8_t heap_id[16];
	uint32_t uid, gid, mode;
	uint64_t elements;
	bool has_map, persistent;
	uint64_t storage;
	uint64_t committed; /* bytes */
	uint32_t clients;
	enum proto_lifetime lifetime;
	uint64_t created, last_used; /* seconds since 1970; attached or detached last */
	bool quarantined;	     /* its memory makes no sense: nobody gets it any more */
	uint32_t loading, disk_error; /* of a persistent heap: as in proto_disk */
};

struct proto_list_reply {
	uint32_t count; /* of heaps; the array's length on the wire */
	struct proto_list_entry heaps[PROTO_LIST_MAX];
	bool more; /* ask again, after the last of these */
};

/* Either an attachment's number, or (heap 0) a name; reading is enough. */
struct proto_inspect {
	uint32_t heap;
	char name[PROTO_NAME_MAX + 1];
};

/* Of the storage area; see doc/LAYOUT. A chunk is 64 KiB. */
struct proto_storage_stats {
	uint64_t chunks, committed_chunks, free_chunks, slabs, large_chunks;
	uint64_t blocks, bytes; /* allocated, and what they can hold */
};

struct proto_map_stats {
	uint64_t slots;	  /* of the table in use; 0: no map */
	uint64_t entries; /* made in it, deleted ones included; near the truth */
	uint64_t keys;	  /* there now; of a large table a share is counted, and the rest estimated by it */
	bool growing;	  /* a next table is being filled */
};

/* Numbers that are read from the segment are those of its clients: near the truth, and no more honest than
 * they. */
struct proto_inspect_reply {
	char name[PROTO_NAME_MAX + 1];
	uint8_t heap_id[16];
	enum proto_named kind;
	struct proto_params
		params; /* what follows from here to `used` is of one kind each, as in open's reply */
	struct proto_region region;
	struct proto_team team;
	uint64_t size;	   /* bytes of a region, now */
	uint64_t elements; /* now */
	uint64_t used;	   /* with a map: keys and free elements used before; without: 0, nobody counts */
	uint32_t uid, gid, mode;
	enum proto_lifetime lifetime;
	uint64_t idle_seconds;
	uint64_t budget, committed, segment_size; /* bytes: allowed, charged, address space */
	uint32_t clients, writers;		  /* attached; of these for writing */
	uint32_t slots, waiters; /* client threads that have a slot; that are asleep on an element */
	uint32_t recoveries;	 /* slots of dead threads that were put in order, ever */
	uint64_t queued, leased, stacked; /* items of the queue, of these leased; of the stack */
	bool recovering, quarantined, dropped;
	struct proto_storage_stats storage;
	struct proto_map_stats map;
	uint64_t created, last_used; /* seconds since 1970 */
	struct proto_disk disk;	     /* of a persistent heap */
};

/* The name goes at once; clients get the event and go on; memory goes with the last. Owner or root only. */
struct proto_drop {
	uint32_t heap; /* an attachment's number, or 0 and: */
	char name[PROTO_NAME_MAX + 1];
};

/*
 * Changing what a name says: of whatever kind but a file, whose owner and mode are those of the file itself (UNSUPPORTED). By the
 * owner or root. Who has it attached keeps that, as an open file is kept.
 */
struct proto_chmod {
	uint32_t heap; /* an attachment's number, or 0 and: */
	char name[PROTO_NAME_MAX + 1];
	uint32_t mode; /* (required) 0…0777 */
};

#define PROTO_SAME_ID UINT32_MAX /* in chown: stays as it is */

/*
 * To another user by root only; the memory is then charged to that one (BUDGET, LIMIT: it may not have so much). To another
 * group by root, or by the owner who is in it.
 */
struct proto_chown {
	uint32_t heap; /* an attachment's number, or 0 and: */
	char name[PROTO_NAME_MAX + 1];
	uint32_t uid, gid; /* (required) or PROTO_SAME_ID */
};

/* To a name that the peer may create. EXISTS, unless replace: what has it is dropped, as by drop, and must be the peer's to drop. */
struct proto_rename {
	uint32_t heap; /* an attachment's number, or 0 and: */
	char name[PROTO_NAME_MAX + 1];
	char to[PROTO_NAME_MAX + 1]; /* (required) */
	bool replace;
};

/* Raises the number of elements; never lowers it (a smaller number changes nothing). By whom may write. */
struct proto_grow {
	uint32_t heap; /* an attachment's number, or 0 and: */
	char name[PROTO_NAME_MAX + 1];
	uint64_t elements; /* (required) at most max_elements, else RANGE */
};
struct proto_grow_reply {
	uint64_t elements; /* (required) now */
};

/* Raises the number of bytes of a region; never lowers it. By whom may write. Of a file: MISMATCH, truncate it yourself. */
struct proto_grow_region {
	uint32_t heap; /* an attachment's number, or 0 and: */
	char name[PROTO_NAME_MAX + 1];
	uint64_t size; /* (required) at most max_size, else RANGE */
};
struct proto_grow_region_reply {
	uint64_t size; /* (required) now */
};

/*
 * More memory, asked for by an attached writer (shm/segment.h: struct shm_supply).
 * -ERROR_BUDGET: refused; the message says which budget, how much is used, how much is allowed.
 */
struct proto_commit_units {
	uint32_t heap;	       /* (required) */
	uint64_t first, count; /* (required) units of 64 KiB of the segment */
};
struct proto_commit_storage {
	uint32_t heap;	 /* (required) */
	uint32_t chunks; /* (required) so many neighbouring chunks; -ERROR_NO_SPACE: no such run is left */
};
/* -ERROR_BUSY: a stopped client prevents it now; try again. */
struct proto_prepare_table {
	uint32_t heap;	/* (required) */
	uint32_t table; /* (required) id */
};
/* A hint that storage chunks are free. The only request that is sent without an id; no reply. */
struct proto_trim {
	uint32_t heap; /* (required) */
};

/* Asks the daemon to recover dead clients' slots now. By an attachment, also a read-only one. */
struct proto_recover {
	uint32_t heap; /* (required) */
};
struct proto_recover_reply {
	uint32_t recovered, deferred, corrupt; /* slots */
};

/*
 * A checkpoint of a persistent heap that has everything so far is to be on disk. Answered at once: done; or it is on its way, and
 * to be asked for again, by its number. The segment's word `checkpoints` changes when one ends, well or not (futex).
 * -ERROR_IO, -ERROR_NO_SPACE, …: it could not be written; the message says why, and the heap goes on. -ERROR_UNSUPPORTED: not persistent.
 */
struct proto_sync {
	uint32_t heap;	 /* (required) */
	uint64_t number; /* of the answer before; 0: as things are now */
};
struct proto_sync_reply {
	uint64_t number; /* (required) */
	bool done;
};

/*
 * A transaction is about to span two persistent heaps: from now on they are checkpointed at one moment, and so are all that they
 * were joined with. By a writer of both.
 */
struct proto_join {
	uint32_t heap;	   /* (required) an attachment */
	uint8_t other[16]; /* (required) id of the other one, which this user may write to as well */
};

/*
 * All of a heap at one moment at which nobody was inside an operation. With the answer comes a descriptor of a memory file that is laid out as the
 * segment, without locks and marks. Its memory counts as the user's until the connection ends, or asks for the next copy.
 * -ERROR_BUSY: somebody is stopped inside an operation: again, later. -ERROR_BUDGET.
 */
struct proto_copy {
	uint32_t heap; /* (required) an attachment */
};

/* About the daemon, and about the peer's own user. Limits of 0: none. */
struct proto_status_reply {
	char software[PROTO_TEXT_MAX + 1];
	char software_version[PROTO_TEXT_MAX + 1];
	uint32_t version; /* of the protocol, highest */
	uint32_t pid;
	bool user_daemon;
	uint64_t uptime; /* seconds */
	uint32_t clients, heaps;
	uint64_t committed, budget; /* bytes, of all heaps */
	uint64_t recoveries;	    /* slots, by the daemon since its start */
	uint32_t user_clients, user_clients_limit, user_heaps, user_heaps_limit;
	uint64_t user_bytes, user_bytes_limit;
	uint32_t clients_limit, heaps_limit; /* of all together */
	uint32_t quarantined;		     /* heaps */
};

/*
 * Who is connected, in the order of numbers. Of its own user; root, and the user that the daemon runs as, see all. With the name of
 * a heap (whatever kind): those who have it attached, for its owner, too.
 */
struct proto_clients {
	char name[PROTO_NAME_MAX + 1]; /* or empty */
	uint64_t after;		       /* only numbers above this: the last of the page before */
	uint32_t limit;		       /* as in list */
};

struct proto_client_entry {
	uint64_t client; /* number */
	uint32_t pid;	 /* as the daemon sees it; 0: it does not */
	uint32_t uid, gid;
	char software[2 * PROTO_TEXT_MAX + 2];
	uint32_t heaps;		 /* attached */
	uint32_t slots, waiters; /* its threads that have a slot in a heap; of these asleep. Read from the heaps, near the truth */
	uint64_t queued;	 /* bytes of answers and events that it has not read */
	uint64_t since;		 /* seconds since 1970: connected */
	bool lost;		 /* its connection is gone; its threads are still at work */
	bool writes;		 /* with a name: it has the heap attached for writing */
};

struct proto_clients_reply {
	uint32_t count; /* the array's length on the wire */
	struct proto_client_entry clients[PROTO_LIST_MAX];
	bool more; /* ask again, after the last of these */
};

/* Ends a connection; what it had attached it does not get again. Of one's own user; root: of any. NOT_FOUND. */
struct proto_kick {
	uint64_t client; /* (required) number */
};

/* What each user has and may have, in the order of uids. One's own; root, and the user that the daemon runs as: all who have something. */
struct proto_quota {
	uint64_t after; /* only users from this number + 1 on, unless 0: from 0 on */
	uint32_t limit; /* as in list */
};

/* Limits of 0: none. */
struct proto_quota_entry {
	uint32_t uid;
	uint32_t clients, clients_limit, heaps, heaps_limit;
	uint32_t slots, slots_limit;
	uint64_t bytes, bytes_limit;
};

struct proto_quota_reply {
	uint32_t count; /* the array's length on the wire */
	struct proto_quota_entry users[PROTO_LIST_MAX];
	bool more;
};

/* Events. heap is the attachment's number. */
struct proto_dropped {
	uint32_t heap; /* (required) */
	char name[PROTO_NAME_MAX + 1];
};
struct proto_grown {
	uint32_t heap;	   /* (required) */
	uint64_t elements; /* (required) now */
};

/* Room for any body. */
union proto_request {
#define PROTO_MEMBER_(op, name, request, reply) struct request op;
	PROTO_OP_LIST(PROTO_MEMBER_)
#undef PROTO_MEMBER_
};
union proto_reply {
#define PROTO_MEMBER_(op, name, request, reply) struct reply op;
	PROTO_OP_LIST(PROTO_MEMBER_)
#undef PROTO_MEMBER_
};
union proto_event_body {
#define PROTO_MEMBER_(event, name, body) struct body event;
	PROTO_EVENT_LIST(PROTO_MEMBER_)
#undef PROTO_MEMBER_
};

/* "open" …; "?" for UNKNOWN. */
const char *proto_op_name(enum proto_op op);
const char *proto_event_name(enum proto_event event);

#endif
