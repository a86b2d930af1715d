/*
 * ems_manage.h: for those who look after heaps rather than work in them: whose they are, what they are called.
 *
 * A part of <ems.h>, which includes it; what stands there about errors, threads and fork holds here. Names may stand for
 * anything that has one: heaps, regions, teams. (A file's name, owner and mode are its own: EMS_EUNSUPPORTED.)
 */
#ifndef EMS_H
#error "include <ems.h>"
#endif
#ifndef EMS_MANAGE_H
#define EMS_MANAGE_H

/*
 * Changes what those find who come later. Who has it attached keeps that as it was, like an open file.
 * By the owner or root: EMS_EACCESS. EMS_ENOTFOUND, EMS_ENAME, …
 */

/* Permission bits, 0 to 0777 (EMS_ERANGE). */
int ems_heap_chmod(ems_connection_t *connection, const char *name, uint32_t mode);

#define EMS_SAME_ID UINT32_MAX

/*
 * Another owner (by root only) and group (by root, or by the owner who is in it); EMS_SAME_ID: none. The memory is then
 * charged to the new owner: EMS_EBUDGET, EMS_ELIMIT.
 */
int ems_heap_chown(ems_connection_t *connection, const char *name, uint32_t uid, uint32_t gid);

/*
 * Another name, in one step. If something has it: EMS_EEXISTS; or with replace it is dropped, which takes its owner or root.
 * ems_heap_name of handles stays what it was.
 */
int ems_heap_rename(ems_connection_t *connection, const char *name, const char *to, bool replace);

/* ---- does a heap make sense? ------------------------------------------------------------------- */

typedef struct ems_check {
	uint64_t problems;  /* found; each was told once */
	bool quarantined;   /* nobody gets it any more, but to check and repair it */
	bool live;	    /* threads were at work in it: only what two looks agreed about is a problem */
	bool incomplete;    /* the deadline came first */
	uint64_t elements, keys, queued, stacked;	/* that are there; elements: written ever, and not deleted */
	uint64_t blobs;	    /* allocated for strings, JSON, bytes and long keys */
	uint64_t lost;	    /* of a repair: elements, items that could not be read; by it all others were kept */
} ems_check_t;

/* Called for each problem, or each loss, with a sentence without a full stop. */
typedef void (*ems_check_hook_t)(void *arg, const char *text);

/*
 * Compares everything in a heap with everything else, without changing it (but for putting in order what dead threads left). For
 * who may read it, or owns it. hook may be NULL. 0, whatever was found; EMS_ENOTFOUND, EMS_EACCESS, EMS_EMISMATCH (no heap),
 * EMS_ENOMEMORY, EMS_EUNSUPPORTED.
 */
int ems_heap_check(ems_connection_t *connection, const char *name, ems_deadline_t deadline, ems_check_hook_t hook,
		   void *arg, ems_check_t *check);

/*
 * Makes a new heap of everything that can be read in it, and puts that in its place, by the owner or root. Those who have the old one attached keep
 * that, and are told that it is dropped. Takes the memory of both for a while (EMS_EBUDGET). Before it fails nothing has changed.
 * hook: each loss. As ems_heap_check.
 */
int ems_heap_repair(ems_connection_t *connection, const char *name, ems_check_hook_t hook, void *arg,
		    ems_check_t *check);

/*
 * The same of what is in a file: of a persistent heap that is not in use, or a backup. Without a daemon, and the file stays as it is if fd is open for
 * reading only. A file of emsd's own folder is whole by itself only if emsd ended in good order; else the journals beside it count as well.
 * Damage of the file is a problem like others: 0. EMS_EMISMATCH: no such file. EMS_EBUSY: a daemon has it open (as a file that was handed over). EMS_EVERSION, EMS_EIO.
 */
int ems_file_check(int fd, ems_deadline_t deadline, ems_check_hook_t hook, void *arg, ems_check_t *check);

/* ---- backups ----------------------------------------------------------------------------------- */

/* Called now and then by what takes long; anything but 0 stops it (EMS_ECANCELLED), and nothing is left of it. done, all: of a unit of its own. */
typedef int (*ems_progress_hook_t)(void *arg, uint64_t done, uint64_t all);

/* What a backup is of. */
typedef struct ems_backup {
	char name[256];	   /* of the heap, then */
	uint64_t time;	   /* seconds since 1970 */
	uint64_t elements;
	uint64_t bytes;	   /* stored, without sums */
	bool map, persistent;
} ems_backup_t;

/*
 * Writes all of a heap, as it was at one moment between operations and steps, with checksums to a file, which is open for reading and writing. What was in it
 * goes. Others work on, but for the time that copying from memory to memory takes; the copy counts as the user's memory until the
 * connection ends, or is used for the next one. hook may be NULL. On disk on return. EMS_EBUSY: a thread stayed stopped in the middle of an operation;
 * EMS_EBUDGET; EMS_ENOSPACE, EMS_EIO, ...: the file; EMS_ECONNECTION.
 */
int ems_heap_backup(ems_heap_t *heap, int fd, ems_progress_hook_t hook, void *arg);

/*
 * Reads all of a backup, or of another file of a persistent heap that is not in use, and compares the checksums. Open for reading is enough. backup,
 * hook may be NULL. EMS_ECORRUPT: damaged; EMS_EMISMATCH: no such file at all; EMS_EVERSION, EMS_EIO, EMS_EBUSY (a daemon has it open).
 */
int ems_backup_verify(int fd, ems_backup_t *backup, ems_progress_hook_t hook, void *arg);

/*
 * Makes a heap of a backup: the same elements, tags, keys, queue and stack, geometry, mode and budget; the caller's own. Locks, leases and transactions of
 * that moment end as if their owners had died. It appears under its name when all is in it. As ems_backup_verify, and EMS_EEXISTS.
 */
int ems_heap_restore(ems_connection_t *connection, const char *name, int fd, ems_progress_hook_t hook, void *arg);

/* ---- who is connected, and who has how much ---------------------------------------------------- */

typedef struct ems_client_info {
	uint64_t client; /* the daemon's number of the connection */
	uint32_t pid;	 /* as the daemon sees it; 0: in another pid namespace */
	uint32_t uid, gid;
	char user[64];
	char software[128]; /* what it says that it is */
	uint32_t heaps;	    /* attached */
	uint32_t slots, waiters; /* its threads that are at work in heaps; of these asleep */
	uint64_t queued;	 /* bytes that the daemon has for it, and it does not read */
	uint64_t since;		 /* seconds since 1970 */
	bool lost;		 /* the connection is gone, threads are still at work in its heaps */
	bool writes;		 /* of the clients of one heap: attached for writing */
} ems_client_info_t;

/*
 * The clients of the caller's user; for root, and the user that the daemon runs as, all. heap: those who have it attached (for its
 * owner all of them); or NULL. *infos is one block for free(), in the order of numbers, NULL when there is none.
 */
int ems_client_list(ems_connection_t *connection, const char *heap, ems_client_info_t **infos, size_t *count);

/*
 * Ends a connection of the caller's user; root: any. It does not get back what it had attached; the memory that its process has mapped nobody
 * can take away, and its slots are freed when the process ends. EMS_ENOTFOUND; EMS_EINVALID: it is the caller's own.
 */
int ems_client_kick(ems_connection_t *connection, uint64_t client);

/* What a user has, and may have. Limits of 0: none. */
typedef struct ems_quota {
	uint32_t uid;
	char user[64];
	uint64_t bytes, bytes_limit; /* of memory, of heaps, regions and teams */
	uint32_t heaps, heaps_limit;
	uint32_t clients, clients_limit;
	uint32_t slots, slots_limit; /* threads at work in heaps */
} ems_quota_t;

/* Of the caller's user; for root, and the user that the daemon runs as, of all who have something. In the order of uids; for free(). */
int ems_quota_list(ems_connection_t *connection, ems_quota_t **quotas, size_t *count);

/* The daemon as a whole. */
typedef struct ems_status {
	char version[64];
	uint32_t pid;
	bool user_daemon;
	uint64_t uptime; /* seconds */
	uint64_t bytes, bytes_limit;
	uint32_t heaps, heaps_limit;
	uint32_t clients, clients_limit;
	uint32_t quarantined; /* heaps */
	uint64_t recoveries;  /* of dead threads' slots, since its start */
} ems_status_t;

int ems_daemon_status(ems_connection_t *connection, ems_status_t *status);

#endif
