/*
 * <ems.h>: named, typed shared memory for programs.
 *
 * A heap is a fixed number of elements that any number of processes share by
 * name. Each element holds a value (nothing, boolean, integer, float, string,
 * JSON, bytes) and a tag, FULL or EMPTY, on which operations can wait: programs synchronise on
 * the data itself. A heap may have a key map, so that elements are found by key.
 *
 *      ems_connection_t *connection;
 *      ems_heap_t *heap;
 *      int64_t old;
 *
 *      ems_connect(&connection, NULL);
 *      ems_heap_open(connection, "app/hits", EMS_OPEN_OR_CREATE,
 *                    &(ems_heap_options_t){.elements = 1000, .map = true}, &heap);
 *      ems_faa_int64(heap, ems_key("index.html"), 1, &old);
 *      ems_heap_close(heap);
 *      ems_disconnect(connection);
 *
 * RETURN VALUES. Functions return EMS_OK (0) or a negative EMS_E… code; on error the object is as it was
 * before the call and ems_last_error() has the details, in words. Results are written only on
 * success (but for an ems_value_t, whose contents are unspecified after an error).
 *
 * THREADS. Every function may be called by any thread at any time on any handle, but for two: no other
 * call may be under way on a handle that is being closed, and an iterator belongs to one thread. A thread
 * that operates on a heap holds a slot in it (at most 4095 a heap), from its first operation that writes
 * or may wait until it ends, calls ems_heap_detach_thread, or closes the heap's last handle. Closing a heap
 * while other threads still hold slots in it is allowed: a slot belongs to its thread, so each gives its own
 * back when it ends, or when it next takes a slot in another heap; until then the memory stays mapped. No
 * function may be called from a signal handler; one that returns does not disturb a call that waits.
 *
 * FORK. The child has none of the mappings: every call on an inherited handle gives EMS_EFORKED (or, where
 * it returns no code, nothing: 0, false, NULL) and harms nobody; it may close the handles, and connect anew.
 * After vfork no function may be called. EXEC and the death of a process at any instruction,
 * SIGKILL included, leave every heap consistent; the daemon, or another client, repairs what was half done.
 * dlclose does nothing.
 *
 * DEADLINES are absolute nanoseconds of CLOCK_MONOTONIC. EMS_FOREVER waits as long as it takes; EMS_NOW does
 * not wait.
 */
#ifndef EMS_H
#define EMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---------------------------------------------------------------------------------- */

/* Codes are stable; functions return them negated. */
enum ems_error_code {
	EMS_OK = 0,
	EMS_EINVALID = 1,      /* bad argument */
	EMS_ENAME = 2,	       /* bad name of a heap */
	EMS_ETYPE = 3,	       /* the operation is not defined for a value of this type */
	EMS_ERANGE = 4,	       /* index out of range, or a number that does not fit */
	EMS_ENOKEY = 5,	       /* no such key */
	EMS_ENOTFOUND = 6,     /* no such heap */
	EMS_EEXISTS = 7,       /* a heap of that name exists */
	EMS_EMISMATCH = 8,     /* it exists with another geometry */
	EMS_EACCESS = 9,       /* its mode does not admit you */
	EMS_EREADONLY = 10,    /* you attached it for reading only */
	EMS_ENOSPACE = 11,     /* its storage for strings, JSON and bytes is full */
	EMS_EFULL = 12,	       /* it has no element left for another key; no place in its queue or stack */
	EMS_EEMPTY = 13,       /* nothing there */
	EMS_EBUDGET = 14,      /* a memory budget or quota is exhausted */
	EMS_ELIMIT = 15,       /* a limit on numbers (slots, clients, heaps) */
	EMS_ETIMEOUT = 16,     /* the deadline came */
	EMS_ECANCELLED = 17,   /* another thread cancelled the wait */
	EMS_EINTERRUPTED = 18, /* a signal came, and the caller had asked to be told */
	EMS_EDEADLOCK = 19,    /* the caller itself holds what it waits for */
	EMS_EBROKEN = 20,      /* somebody who took part in it died */
	EMS_EDROPPED = 21,     /* the heap was dropped */
	EMS_ECORRUPT = 22,     /* its memory makes no sense: somebody scribbled over it */
	EMS_EVERSION = 23,     /* made by a version that this one does not know */
	EMS_EPROTOCOL = 24,    /* the other side is not an emsd, or breaks the protocol */
	EMS_ENODAEMON = 25,    /* no daemon, and none may be started */
	EMS_ECONNECTION = 26,  /* the connection broke */
	EMS_EBUSY = 27,	       /* in use right now; try again */
	EMS_EIO = 28,
	EMS_ENOMEMORY = 29,    /* this process is out of memory */
	EMS_ESYSTEM = 30,      /* another system error; the message has it */
	EMS_EFORKED = 31,      /* the handle belongs to the parent process */
	EMS_EUNSUPPORTED = 32, /* not by this daemon, kernel or version */
	EMS_ELOADING = 33,     /* the heap is still being loaded */
	EMS_ECONFLICT = 34     /* in conflict with another operation */
};

typedef struct ems_error {
	int code;	     /* EMS_E…, positive; EMS_OK before the first error */
	const char *name;    /* "EMS_ERANGE" */
	const char *message; /* what was asked, of what, and what to do: heap "jobs": no element 1000000 (it
				has 1000) */
} ems_error_t;

/* The calling thread's last error. Valid until its next call of the library. Never NULL. */
const ems_error_t *ems_last_error(void);
/* Static text ("timed out") and name ("EMS_ETIMEOUT") of a code, positive or negative. Never NULL. */
const char *ems_error_text(int code);
const char *ems_error_name(int code);

/* ---- time ------------------------------------------------------------------------------------ */

typedef uint64_t ems_deadline_t;
#define EMS_FOREVER UINT64_MAX
#define EMS_NOW	    UINT64_C(0)

/* The deadline so many nanoseconds from now. */
ems_deadline_t ems_deadline_in(uint64_t nanoseconds);

/* ---- values ---------------------------------------------------------------------------------- */

typedef enum ems_type {
	EMS_UNDEFINED = 0,
	EMS_BOOLEAN = 1,
	EMS_INTEGER = 2, /* int64_t */
	EMS_FLOAT = 3,	 /* double */
	EMS_STRING = 4,	 /* UTF-8, may contain NUL */
	EMS_JSON = 5,	 /* UTF-8 text of an object, array or null; the library does not parse it */
	EMS_BYTES = 6
} ems_type_t;

/*
 * A value. As an argument: the library reads what type says, and never frees or keeps data.
 * As a result: initialise it once with EMS_VALUE_INIT; the library puts strings, JSON and bytes into data, a
 * buffer of its own that it enlarges when needed and re-uses call by call (so reading in a loop allocates
 * nothing); a NUL, not counted in size, follows the last byte. ems_value_clear frees it. A value must not be
 * an argument and the result of one call, nor an argument value built on memory that is not the library's be
 * used as a result. A value that was a result may be an argument of later calls.
 *
 * Refused as arguments (EMS_EINVALID): types that are none, a string or JSON that is not UTF-8, data NULL
 * with a size. EMS_ERANGE: a size above EMS_VALUE_MAX.
 */
typedef struct ems_value {
	uint32_t type;	/* ems_type_t */
	uint32_t flags; /* 0 */
	union {
		bool boolean;
		int64_t integer;
		double number;
	};
	void *data;	 /* strings, JSON, bytes */
	size_t size;	 /* bytes of data */
	size_t capacity; /* of the library's buffer; 0: data is not the library's */
} ems_value_t;

#define EMS_VALUE_INIT                \
	{                             \
		0, 0, {0}, NULL, 0, 0 \
	}
#define EMS_VALUE_MAX (UINT64_C(4294967295) - 8) /* bytes of one value */

/* Frees the library's buffer, if any, and makes the value EMS_UNDEFINED. NULL is allowed. */
void ems_value_clear(ems_value_t *value);
/* Values as arguments; data is borrowed. */
static inline ems_value_t ems_value_integer(int64_t integer)
{
	ems_value_t value = EMS_VALUE_INIT;
	value.type = EMS_INTEGER;
	value.integer = integer;
	return value;
}
static inline ems_value_t ems_value_float(double number)
{
	ems_value_t value = EMS_VALUE_INIT;
	value.type = EMS_FLOAT;
	value.number = number;
	return value;
}
static inline ems_value_t ems_value_boolean(bool boolean)
{
	ems_value_t value = EMS_VALUE_INIT;
	value.type = EMS_BOOLEAN;
	value.boolean = boolean;
	return value;
}
/* type: EMS_STRING, EMS_JSON or EMS_BYTES. */
static inline ems_value_t ems_value_data(ems_type_t type, const void *data, size_t size)
{
	ems_value_t value = EMS_VALUE_INIT;
	value.type = (uint32_t)type;
	value.data = (void *)(uintptr_t)data;
	value.size = size;
	return value;
}
static inline ems_value_t ems_value_string(const char *text)
{
	return ems_value_data(EMS_STRING, text, strlen(text));
}

/* ---- keys ------------------------------------------------------------------------------------ */

/*
 * Which element. In a heap without map: an index (EMS_KEY_INTEGER). In a heap with a map: a string, an
 * integer, a float or a boolean. A float with an integral value is the same key as that integer; a boolean is
 * distinct from 0 and 1; NaN is one key. A string key has at most 65535 bytes (EMS_ERANGE), and may hold any
 * (programs in other languages expect UTF-8); text is not copied and must stay until the call returns.
 */
typedef enum ems_key_type {
	EMS_KEY_INTEGER = 1,
	EMS_KEY_FLOAT = 2,
	EMS_KEY_BOOLEAN = 3,
	EMS_KEY_STRING = 4
} ems_key_type_t;

typedef struct ems_element_key {
	union {
		int64_t integer;
		double number;
		bool boolean;
		const char *text;
	};
	uint32_t type; /* ems_key_type_t */
	uint32_t size; /* of text */
} ems_key_t;

static inline ems_key_t ems_index(int64_t index)
{
	ems_key_t key;
	key.integer = index;
	key.type = EMS_KEY_INTEGER;
	key.size = 0;
	return key;
}
static inline ems_key_t ems_key_bytes(const char *text, size_t size)
{
	ems_key_t key;
	key.text = text;
	key.type = EMS_KEY_STRING;
	key.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size; /* refused: too long */
	return key;
}
static inline ems_key_t ems_key(const char *text)
{
	return ems_key_bytes(text, strlen(text));
}
static inline ems_key_t ems_key_float(double number)
{
	ems_key_t key;
	key.number = number;
	key.type = EMS_KEY_FLOAT;
	key.size = 0;
	return key;
}
static inline ems_key_t ems_key_boolean(bool boolean)
{
	ems_key_t key;
	key.integer = 0;
	key.boolean = boolean;
	key.type = EMS_KEY_BOOLEAN;
	key.size = 0;
	return key;
}

/* ---- connection ------------------------------------------------------------------------------ */

typedef struct ems_connection ems_connection_t;

/*
 * Connects to the daemon. socket NULL: $EMS_SOCKET; else the system's socket if there is one; else this
 * user's own daemon, which is started when it does not run (unless EMS_AUTOSTART=0). May block while that
 * starts, at most a few seconds. EMS_ENODAEMON, EMS_EACCESS, EMS_EVERSION, EMS_EPROTOCOL. *connection is the
 * caller's, for ems_disconnect.
 */
int ems_connect(ems_connection_t **connection, const char *socket);

/* Closes the connection and every heap opened through it that is still open. NULL is allowed. */
void ems_disconnect(ems_connection_t *connection);

/* Asks the daemon for a sign of life. */
int ems_ping(ems_connection_t *connection, ems_deadline_t deadline);

/* The library's version, "1.2.3"; and the daemon's, valid as long as the connection. */
const char *ems_version(void);
const char *ems_daemon_version(ems_connection_t *connection);

/* ---- heaps ----------------------------------------------------------------------------------- */

typedef struct ems_heap ems_heap_t;

typedef enum ems_tag {
	EMS_EMPTY = 1,
	EMS_FULL = 2,
	EMS_READERS = 3, /* one or more readers hold it (readRW) */
	EMS_BUSY = 4	 /* somebody has a lease on it, or a transaction holds it */
} ems_tag_t;

typedef enum ems_open {
	EMS_OPEN_EXISTING = 0,
	EMS_CREATE = 1,		/* EMS_EEXISTS when it is there */
	EMS_OPEN_OR_CREATE = 2, /* EMS_EMISMATCH when it is there with another geometry */
	EMS_REPLACE = 3		/* a new one in any case; those attached to the old one keep that */
} ems_open_t;

/*
 * What a new heap shall be. Zero means the default. When an existing one is opened only read_only counts;
 * with EMS_OPEN_OR_CREATE what is stated must be what the heap was created with: elements and map unless
 * elements is 0, map when true, fill unless NULL (EMS_EMISMATCH).
 */
typedef struct ems_heap_options {
	uint64_t elements;     /* how many; default 1048576 with a map; required without */
	uint64_t max_elements; /* up to which it may be grown; default 16 times elements, at least 1048576 */
	uint64_t storage; /* bytes of strings, JSON, bytes and long keys alive at a time; default 256 MiB;
			     costs nothing until used */
	uint64_t budget;  /* bytes of memory it may use; default: the daemon's */
	const ems_value_t
		*fill; /* what a never-written element reads as; default undefined; at most 65536 bytes */
	ems_tag_t initial_tag; /* its tag: EMS_FULL (default) or EMS_EMPTY */
	bool map;	       /* elements are found by key */
	bool read_only;	       /* attach for reading; needs only read permission. Nothing that would have to
				  wait does: read_ff of an element that is not FULL is EMS_EREADONLY */
	bool persistent;       /* survives the machine's restart */
	bool until_detached;   /* dropped when the last client detaches */
	uint32_t mode;	       /* permission bits like a file's: r attach read-only, w attach; default 0600 */
	uint32_t idle_seconds; /* dropped after so long without a client; 0 never */
	uint32_t checkpoint_ms; /* of a persistent one: how often it is written to disk by itself, when it has changed; 0: as
				   the daemon is configured; EMS_CHECKPOINT_NEVER: when asked for, and when nobody has it any more */
} ems_heap_options_t;
#define EMS_CHECKPOINT_NEVER UINT32_MAX

/*
 * Opens or creates a heap by name: a path like "app/users" ("~/users": this user's own), UTF-8, at most 255
 * bytes, no leading slash, no empty, "." or ".." part. options may be NULL when opening. EMS_ENOTFOUND,
 * EMS_EEXISTS, EMS_EMISMATCH, EMS_ENAME, EMS_ERANGE, EMS_EACCESS, EMS_EBUDGET, EMS_ELIMIT, … *heap is the
 * caller's, for ems_heap_close. Opening one heap twice gives two handles on one mapping.
 */
int ems_heap_open(ems_connection_t *connection, const char *name, ems_open_t how,
		  const ems_heap_options_t *options, ems_heap_t **heap);
void ems_heap_close(ems_heap_t *heap);

/*
 * Of a persistent heap: returns when everything that was done before the call is on disk, whoever did it. EMS_EIO,
 * EMS_ENOSPACE, …: it could not be written; the heap goes on in memory, and the checkpoint before it stays as it is.
 * EMS_EUNSUPPORTED: the heap is not persistent.
 */
int ems_sync(ems_heap_t *heap);
int ems_sync_until(ems_heap_t *heap, ems_deadline_t deadline);

/* Gives back the calling thread's slot in the heap; its next operation takes one again. */
void ems_heap_detach_thread(ems_heap_t *heap);

/* Raises the number of elements, at most to max_elements; never lowers it (EMS_ERANGE). Everybody sees it at
 * once. */
int ems_heap_grow(ems_heap_t *heap, uint64_t elements);

/* Removes the name, of whatever kind, at once; those attached keep the heap, and can see it (ems_heap_is_dropped). By the
 * owner or root. */
int ems_heap_drop(ems_connection_t *connection, const char *name);

/* What an element is before it is written: its value and tag (each may be NULL). */
int ems_heap_initial(ems_heap_t *heap, ems_value_t *value, ems_tag_t *tag);

const char *ems_heap_name(const ems_heap_t *heap); /* in full; valid as long as the handle */
uint64_t ems_heap_elements(const ems_heap_t *heap);
bool ems_heap_has_map(const ems_heap_t *heap);
bool ems_heap_is_read_only(const ems_heap_t *heap);
bool ems_heap_is_dropped(const ems_heap_t *heap);

/* What a name stands for. */
typedef enum ems_kind {
	EMS_KIND_HEAP = 0,
	EMS_KIND_REGION = 1,
	EMS_KIND_FILE = 2,
	EMS_KIND_TEAM = 3
} ems_kind_t;

typedef struct ems_heap_info {
	char name[256];
	ems_kind_t kind; /* what says "elements", "keys", "storage" is of heaps */
	char owner[64], group[64];
	uint32_t uid, gid, mode;
	bool map, persistent, dropped, growing;
	uint64_t elements, max_elements;
	uint64_t storage, storage_used; /* bytes: reserved; in use by allocated blocks */
	uint64_t committed, budget;	/* bytes of memory */
	uint64_t size, max_size;	/* bytes of a region */
	uint64_t keys, tombstones, table_slots;
	uint32_t clients, slots, waiters, recoveries;
	uint64_t created, used; /* seconds since 1970: creation; last attach or detach */
	uint64_t queued, leased, stacked; /* items of the queue, and how many of these are leased; of the stack */
	bool quarantined; /* its memory makes no sense: nobody gets it any more (EMS_ECORRUPT) */
	/* of a persistent heap */
	bool loading;		/* it is being read from its disk */
	bool in_file;		/* in a file that a client has handed over */
	uint32_t checkpoint_ms; /* 0: only when asked for */
	uint32_t checkpoint_error; /* EMS_E…, positive: why the last checkpoint failed; 0: it did not */
	uint64_t checkpoints, checkpointed; /* so many since the daemon has had it; when the last was taken, seconds since 1970 */
	uint64_t dirty;		/* bytes, about, that the next checkpoint would write */
	char checkpoint_trouble[256];
} ems_heap_info_t;

/* What the daemon knows of a heap, or of what else has the name, that the caller may read. */
int ems_heap_inspect(ems_connection_t *connection, const char *name, ems_heap_info_t *info);
/*
 * The heaps that the caller may see whose names begin with prefix (NULL: all), in order of name. *infos is
 * one block for free(), NULL when there is none; other kinds are among them. name, kind, size, owner, group, uid, gid, mode, map, persistent,
 * elements, storage, committed, clients, created, used and quarantined are filled in.
 */
int ems_heap_list(ems_connection_t *connection, const char *prefix, ems_heap_info_t **infos, size_t *count);

/* ---- operations on one element ----------------------------------------------------------------
 *
 * Each is one atomic step on the element. Those that can wait have a plain form that waits for ever and one
 * with a deadline.
 *
 *      operation   waits until             result       leaves the tag
 *      read        -                       value        as it was
 *      read_ff     FULL                    value        FULL
 *      read_fe     FULL                    value        EMPTY
 *      read_rw     FULL or READERS         value        READERS, one more
 *      release_rw  -                       how many     READERS, one less; FULL when none is left
 *      write       (not BUSY)              -            as it was
 *      write_xf    not BUSY, no readers    -            FULL
 *      write_xe    not BUSY, no readers    -            EMPTY
 *      write_ef    EMPTY                   -            FULL
 *      set_tag     not BUSY, no readers    -            the given one
 *      faa, cas, swap, and, or, xor, min, max
 *                  FULL                    old value    FULL
 *
 * In a heap with a map, read of an absent key gives undefined and allocates nothing; every other operation
 * creates the key, starting from the fill value and the initial tag (cas only when it matches the fill
 * value).
 *
 * Common errors: EMS_ERANGE (index), EMS_EINVALID (a key in a heap without map, a key type), EMS_EREADONLY,
 * EMS_EFULL, EMS_ENOSPACE, EMS_EBUDGET, EMS_ELIMIT (no slot), EMS_ETIMEOUT, EMS_ECANCELLED, EMS_ECORRUPT,
 * EMS_ETYPE, EMS_EDEADLOCK (the calling thread holds a read lock on what it waits for), EMS_ENOMEMORY. value and old may be NULL when the caller does not want them.
 */
int ems_read(ems_heap_t *heap, ems_key_t key, ems_value_t *value);
int ems_read_ff(ems_heap_t *heap, ems_key_t key, ems_value_t *value);
int ems_read_ff_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_deadline_t deadline);
int ems_read_fe(ems_heap_t *heap, ems_key_t key, ems_value_t *value);
int ems_read_fe_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_deadline_t deadline);

/*
 * Read locks: several may read at a time, and nobody changes the tag meanwhile (ems_write and ems_read ignore it).
 * ems_read_rw waits until FULL or READERS, takes one for the calling thread, up to 512 in each heap (EMS_ELIMIT) and
 * 4095 on each element (then it waits), the same element again if it likes; *value is read at that moment.
 * ems_release_rw gives one back; *left (may be NULL): how many are left; at 0 the element is FULL.
 * EMS_EINVALID: the calling thread holds none there. Whoever holds one and calls what would wait for its end gets
 * EMS_EDEADLOCK. What a thread holds goes with it.
 */
int ems_read_rw(ems_heap_t *heap, ems_key_t key, ems_value_t *value);
int ems_read_rw_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_deadline_t deadline);
int ems_release_rw(ems_heap_t *heap, ems_key_t key, uint32_t *left);

int ems_write(ems_heap_t *heap, ems_key_t key, const ems_value_t *value);
int ems_write_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_deadline_t deadline);
int ems_write_xf(ems_heap_t *heap, ems_key_t key, const ems_value_t *value);
int ems_write_xf_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_deadline_t deadline);
int ems_write_xe(ems_heap_t *heap, ems_key_t key, const ems_value_t *value);
int ems_write_xe_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_deadline_t deadline);
int ems_write_ef(ems_heap_t *heap, ems_key_t key, const ems_value_t *value);
int ems_write_ef_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_deadline_t deadline);

/* tag: EMS_FULL or EMS_EMPTY. */
int ems_set_tag(ems_heap_t *heap, ems_key_t key, ems_tag_t tag);
int ems_set_tag_until(ems_heap_t *heap, ems_key_t key, ems_tag_t tag, ems_deadline_t deadline);
/* The tag at this moment. An absent key has the initial tag. */
int ems_get_tag(ems_heap_t *heap, ems_key_t key, ems_tag_t *tag);

/*
 * Fetch and add: what JavaScript's a + b makes of undefined, booleans, numbers and strings. Integers stay
 * exact in 64 bits and become floats when they overflow; undefined + 1 is NaN; anything with a string
 * concatenates. JSON, bytes: EMS_ETYPE.
 */
int ems_faa(ems_heap_t *heap, ems_key_t key, const ems_value_t *addend, ems_value_t *old);
int ems_faa_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *addend, ems_value_t *old,
		  ems_deadline_t deadline);
/*
 * Compare and swap: writes desired when the element equals expected, in type and value (integers and floats
 * compare by number; NaN equals nothing). Returns 0 in both cases; *swapped (may be NULL) says which.
 */
int ems_cas(ems_heap_t *heap, ems_key_t key, const ems_value_t *expected, const ems_value_t *desired,
	    ems_value_t *old, bool *swapped);
int ems_cas_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *expected, const ems_value_t *desired,
		  ems_value_t *old, bool *swapped, ems_deadline_t deadline);
int ems_swap(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old);
int ems_swap_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old,
		   ems_deadline_t deadline);
/* Bitwise, on integers (EMS_ETYPE otherwise). */
int ems_and(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old);
int ems_and_until(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old, ems_deadline_t deadline);
int ems_or(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old);
int ems_or_until(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old, ems_deadline_t deadline);
int ems_xor(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old);
int ems_xor_until(ems_heap_t *heap, ems_key_t key, int64_t mask, int64_t *old, ems_deadline_t deadline);
/* The smaller or larger of two numbers stays (EMS_ETYPE for others; NaN loses). */
int ems_min(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old);
int ems_min_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old,
		  ems_deadline_t deadline);
int ems_max(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old);
int ems_max_until(ems_heap_t *heap, ems_key_t key, const ems_value_t *value, ems_value_t *old,
		  ems_deadline_t deadline);

/* Shortcuts for integers and floats. A read of another type is EMS_ETYPE (a double is read from an integer,
 * too). */
int ems_read_int64(ems_heap_t *heap, ems_key_t key, int64_t *value);
int ems_read_double(ems_heap_t *heap, ems_key_t key, double *value);
int ems_write_int64(ems_heap_t *heap, ems_key_t key, int64_t value);
int ems_write_double(ems_heap_t *heap, ems_key_t key, double value);
/* Adds to an integer (an undefined element counts as 0); EMS_ETYPE for other types, EMS_ERANGE on overflow.
 */
int ems_faa_int64(ems_heap_t *heap, ems_key_t key, int64_t addend, int64_t *old);
/* Adds to a float or integer; the sum is a float. */
int ems_faa_double(ems_heap_t *heap, ems_key_t key, double addend, double *old);
int ems_cas_int64(ems_heap_t *heap, ems_key_t key, int64_t expected, int64_t desired, int64_t *old,
		  bool *swapped);

/* ---- keys of a heap with a map ----------------------------------------------------------------- */

/* Deletes a key, waiting until nobody holds it. Its element and storage can be used again. EMS_ENOKEY.
 * Without map the element goes back to the fill value and the initial tag. */
int ems_delete(ems_heap_t *heap, ems_key_t key);
int ems_delete_until(ems_heap_t *heap, ems_key_t key, ems_deadline_t deadline);
/* Deletes the key only if its value equals expected, as cas compares. */
int ems_compare_delete(ems_heap_t *heap, ems_key_t key, const ems_value_t *expected, bool *deleted);

/* The index of a key's element (constant until the key is deleted), or EMS_ENOKEY. */
int ems_key_to_index(ems_heap_t *heap, ems_key_t key, uint64_t *index);
/*
 * The key of element index, or EMS_ENOKEY when it has none. buffer is a value that holds the text of a string
 * key (key->text points into it). Without a map the key is the index.
 */
int ems_index_to_key(ems_heap_t *heap, uint64_t index, ems_key_t *key, ems_value_t *buffer);

/*
 * Iterates over the keys (without a map: over the indexes) while others change the heap: every key that is
 * there throughout is seen exactly once. EMS_EEMPTY at the end. The iterator belongs to one thread; key->text
 * is valid until the next call.
 */
typedef struct ems_iterator ems_iterator_t;
int ems_iterate(ems_heap_t *heap, ems_iterator_t **iterator);
/* value may be NULL; else it takes the value that went with the key. */
int ems_iterator_next(ems_iterator_t *iterator, ems_key_t *key, ems_value_t *value);
void ems_iterator_free(ems_iterator_t *iterator);

/* ---- transactions ------------------------------------------------------------------------------- */

/*
 * A transaction holds a set of elements, of one or several heaps, and changes all of them at once, or none.
 *
 * begin locks the elements, in an order of its own, so that transactions cannot deadlock each other; the same element
 * twice is locked once, for writing if one of the mentions is. It waits until each is FULL, at most until the deadline
 * (EMS_ETIMEOUT, and nothing is locked); keys that are absent come into being with the fill value (which stays if the
 * transaction is aborted). While it is open, others read the values from before it, and wait to do anything else.
 * elements may go when begin returns, handles may not be closed by others. An empty set is legal.
 *
 * which is an index in elements. write keeps the value to itself until commit, which makes all of them visible at
 * once and leaves the elements FULL; abort leaves everything as it was. The death of the thread or process is
 * an abort, unless commit had taken effect; closing one of the heaps, too (EMS_ECONFLICT from then on). After commit
 * or abort, whatever they return but EMS_EINVALID and EMS_EFORKED, *transaction is gone.
 *
 * The owner's plain operations on elements of the set act on the transaction as well: ems_read gives what it wrote,
 * ems_faa adds to it, and what sets a tag (ems_read_fe, ems_write_xe) says how commit leaves it. What would have to
 * wait for the owner itself is EMS_EDEADLOCK, as is deleting its key. Ranges and iteration see what others see.
 *
 * A transaction belongs to the thread that began it (EMS_EINVALID for others), which has at most one at a time:
 * another begin is EMS_EDEADLOCK. All heaps must be open for writing, also for elements that are only read. EMS_ELIMIT:
 * more than 832 different elements of one heap, or 127 heaps.
 */
typedef struct ems_transaction ems_transaction_t;

typedef struct ems_transaction_element {
	ems_heap_t *heap;
	ems_key_t key;
	bool read_only; /* writing it is EMS_EREADONLY */
} ems_transaction_element_t;

int ems_transaction_begin(const ems_transaction_element_t *elements, size_t count, ems_transaction_t **transaction);
int ems_transaction_begin_until(const ems_transaction_element_t *elements, size_t count,
				ems_transaction_t **transaction, ems_deadline_t deadline);
int ems_transaction_read(ems_transaction_t *transaction, size_t which, ems_value_t *value);
int ems_transaction_write(ems_transaction_t *transaction, size_t which, const ems_value_t *value);
int ems_transaction_commit(ems_transaction_t *transaction);
int ems_transaction_abort(ems_transaction_t *transaction);

/*
 * The values of several elements, of one or several heaps, at one moment, whatever their tags: values [count], each as for
 * ems_read; read_only means nothing here. Without locks, and read-only, as long as nobody changes the elements
 * meanwhile. When they keep changing, or a transaction has one, the elements are locked for the time of the reading, until the
 * deadline at most (EMS_ETIMEOUT); a heap attached read-only gives EMS_EBUSY then, and within a transaction of the session it is
 * EMS_EDEADLOCK. A key that is absent reads as undefined, and is not created; of several absent ones each was so at some
 * moment of the call.
 */
int ems_snapshot(const ems_transaction_element_t *elements, size_t count, ems_value_t *values);
int ems_snapshot_until(const ems_transaction_element_t *elements, size_t count, ems_value_t *values,
		       ems_deadline_t deadline);

/* ---- queue and stack ---------------------------------------------------------------------------- */

/*
 * Each heap has a queue (first in, first out) and a stack (last in, first out) of any values, for any number of
 * threads and processes. Each holds as many items as the heap has elements, and touches neither the elements
 * nor their tags.
 *
 * The plain forms do not wait: EMS_EFULL, EMS_EEMPTY. The others wait for room, or for an item, until the deadline
 * (EMS_ETIMEOUT); with EMS_NOW they are the plain forms. *count (may be NULL) is how many items are held after
 * it; an item of a queue may have been taken before they are counted, the new one itself counts always. value may be
 * NULL where an item is taken or looked at: it is thrown away, or only looked for. Items that one thread
 * enqueues are dequeued in that order, but for leased ones that come back: in front of all that was enqueued later, though
 * some of that may have been dequeued by then. Places behind a leased item count as held until its lease is ended. Common errors as above, but for those of indexes, keys and types.
 */
int ems_enqueue(ems_heap_t *heap, const ems_value_t *value, uint64_t *count);
int ems_enqueue_until(ems_heap_t *heap, const ems_value_t *value, uint64_t *count, ems_deadline_t deadline);
int ems_dequeue(ems_heap_t *heap, ems_value_t *value);
int ems_dequeue_until(ems_heap_t *heap, ems_value_t *value, ems_deadline_t deadline);
/*
 * A copy of the item that would be taken now (EMS_EEMPTY); how many items there are, leased ones included; how many
 * of them are leased. All three also read-only. While items are leased, or were a moment ago, they are counted one
 * by one: others may change some meanwhile.
 */
int ems_queue_peek(ems_heap_t *heap, ems_value_t *value);
int ems_queue_length(ems_heap_t *heap, uint64_t *length);
int ems_queue_leased(ems_heap_t *heap, uint64_t *leased);
/*
 * For looking at all items, one call each, from *position = 0 on: a copy of the next one, leased or not, which stays where
 * it is. EMS_EEMPTY at the end. What is enqueued or dequeued meanwhile is seen or not. Also read-only.
 */
int ems_queue_look(ems_heap_t *heap, uint64_t *position, ems_value_t *value);

int ems_push(ems_heap_t *heap, const ems_value_t *value, uint64_t *count);
int ems_push_until(ems_heap_t *heap, const ems_value_t *value, uint64_t *count, ems_deadline_t deadline);
int ems_pop(ems_heap_t *heap, ems_value_t *value);
int ems_pop_until(ems_heap_t *heap, ems_value_t *value, ems_deadline_t deadline);
int ems_stack_peek(ems_heap_t *heap, ems_value_t *value);
int ems_stack_length(ems_heap_t *heap, uint64_t *length);
/* A copy of item `index`, 0 being the one that was pushed first (EMS_EEMPTY: there are not so many). Also read-only. */
int ems_stack_look(ems_heap_t *heap, uint64_t index, ems_value_t *value);

/* ---- leases ------------------------------------------------------------------------------------- */

/*
 * Takes that are undone when the taker dies: read_fe and dequeue, but what was taken is not gone before the lease is
 * ended. Until then the element is EMS_BUSY: read sees its value, everything else waits. A leased item of the
 * queue keeps its place there; others take those behind it.
 *
 *      ended by            an element                   an item of the queue
 *      ems_lease_put       the new value, FULL          the new value, in its place again
 *      ems_lease_keep      EMPTY, as after read_fe      gone: acknowledged
 *      ems_lease_end       FULL, with its value         in its place again
 *      the session's end   as ems_lease_end: its close, the thread's end, ems_heap_detach_thread, any death
 *
 * A lease belongs to the session it was taken with (a thread's own, if it uses no other), and is ended by calls that use
 * that session. The struct is the caller's; what is in it is the library's. It stands for the lease until that is
 * ended, and for nothing after that; the heap's handle must be open.
 */
typedef struct ems_lease {
	ems_heap_t *heap; /* NULL: no lease */
	uint64_t ticket;
} ems_lease_t;

/*
 * As read_fe and dequeue; *lease is written on success. EMS_ELIMIT: 128 leases of one session in one heap are the most, or
 * no slot; EMS_EDEADLOCK: only the session itself could end the wait.
 */
int ems_read_fe_lease(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_lease_t *lease);
int ems_read_fe_lease_until(ems_heap_t *heap, ems_key_t key, ems_value_t *value, ems_lease_t *lease,
			    ems_deadline_t deadline);
int ems_dequeue_lease(ems_heap_t *heap, ems_value_t *value, ems_lease_t *lease);
int ems_dequeue_lease_until(ems_heap_t *heap, ems_value_t *value, ems_lease_t *lease, ems_deadline_t deadline);

/*
 * None of these waits. EMS_EINVALID: no lease, or one that was ended, or one of another session; ems_lease_put: also as
 * of a write (EMS_ENOSPACE, EMS_EBUDGET, EMS_ERANGE, EMS_EINVALID), and then the lease goes on.
 */
int ems_lease_put(ems_lease_t *lease, const ems_value_t *value);
int ems_lease_keep(ems_lease_t *lease);
int ems_lease_end(ems_lease_t *lease);

/* ---- sessions, cancelling ------------------------------------------------------------------------ */

/*
 * What is held beyond one call (locks, leases, transactions) belongs to a session. Each thread has one of its own, which
 * its calls use and which ends with it. An explicit session lives until it is closed; threads pass it on, so that
 * asynchronous code can hold something while it is carried from thread to thread. A session has one slot in each
 * heap that it is used with (at most 4095 a heap), taken by the first call that needs one. One thread at a time uses
 * a session.
 */
typedef struct ems_session ems_session_t;

/* EMS_ENOMEMORY. The first one starts a thread of the library's own, which ends with the last; no signal reaches it. */
int ems_session_open(ems_session_t **session);
/*
 * The calling thread's calls use `session` from now on; NULL: the thread's own again. *former (may be NULL): the
 * explicit session that it has used until now, or NULL. EMS_EBUSY: another thread uses it. A thread that ends
 * leaves the session as it is, for others to use.
 */
int ems_session_use(ems_session_t *session, ems_session_t **former);
/* Gives back everything that the session holds. EMS_EBUSY: another thread uses it. NULL is allowed. */
int ems_session_close(ems_session_t *session);
/* The session that the calling thread uses now. One that is a thread's own is gone when that thread has ended. NULL:
 * out of memory. */
ems_session_t *ems_session_self(void);

/*
 * Cancels the call of another thread that waits now in this session: it returns EMS_ECANCELLED, as if it had not been
 * made. EMS_EEMPTY: none is waiting, or it has come to its end by itself; it never does both. A call that begins to
 * wait later is not cancelled. Returns as soon as the other thread has noticed.
 */
int ems_cancel(ems_session_t *session);
/*
 * From now on a call of the session whose wait is interrupted by a signal handler returns EMS_EINTERRUPTED (true), or
 * goes on waiting for what is left of its time (false, as in the beginning). *former may be NULL. A handler that runs
 * in the instant before the thread falls asleep is not noticed; ems_cancel from another thread always is.
 */
int ems_session_interruptible(ems_session_t *session, bool interruptible, bool *former);

/* ---- waiting from an event loop ------------------------------------------------------------------ */

/*
 * Any number of operations may wait at once, without a thread each. ems_wait_begin starts one. The descriptor of
 * the connection, which the loop polls, becomes readable when there is something to do; the loop then calls
 * ems_wait_next until it says EMS_EEMPTY. That tries again what may go on, in the calling thread's session, and
 * hands out what has come to its end: each wait exactly once. These functions may be called by several threads.
 */
typedef enum ems_operation_code {
	EMS_OP_READ_FF = 1,
	EMS_OP_READ_FE,
	EMS_OP_WRITE, /* this and the next three: value */
	EMS_OP_WRITE_XF,
	EMS_OP_WRITE_XE,
	EMS_OP_WRITE_EF,
	EMS_OP_SET_TAG, /* tag */
	EMS_OP_FAA,	/* value */
	EMS_OP_CAS,	/* expected, value */
	EMS_OP_SWAP,	/* this and the next five: value */
	EMS_OP_AND,
	EMS_OP_OR,
	EMS_OP_XOR,
	EMS_OP_MIN,
	EMS_OP_MAX,
	EMS_OP_DELETE,
	EMS_OP_COMPARE_DELETE, /* expected */
	EMS_OP_ENQUEUE,	       /* this and the next three need no key; value */
	EMS_OP_DEQUEUE,
	EMS_OP_PUSH, /* value */
	EMS_OP_POP,
	EMS_OP_READ_RW, /* a read lock, as of ems_read_rw: of the session of the thread that tried it at last */
	EMS_OP_READ_FE_LEASE, /* this and the next: lease; of that session, too */
	EMS_OP_DEQUEUE_LEASE  /* needs no key */
} ems_operation_code_t;

/* What is to be done. All of it is copied. */
typedef struct ems_operation {
	ems_operation_code_t code;
	ems_tag_t tag;
	ems_key_t key;
	const ems_value_t *value;
	const ems_value_t *expected;
} ems_operation_t;

typedef uint64_t ems_wait_t; /* never 0; not used again in the process */

/* One that has come to its end. */
typedef struct ems_wait_result {
	ems_wait_t wait;
	void *user;	   /* as given to ems_wait_begin */
	int result;	   /* 0, or what the operation's function would have returned; EMS_ETIMEOUT, EMS_ECANCELLED */
	bool changed;	   /* cas: it matched; compare_delete: it deleted */
	uint64_t count;	   /* enqueue, push: items held */
	ems_value_t value; /* read, or old; the caller's, for ems_value_clear */
	ems_lease_t lease; /* what was taken by a lease; heap is NULL when the handle has been closed meanwhile */
} ems_wait_result_t;

/*
 * The connection's descriptor, readable while ems_wait_next has something to do; or an error. The library closes it.
 * EMS_EFORKED, EMS_ENOMEMORY, EMS_ESYSTEM.
 */
int ems_wait_fd(ems_connection_t *connection);
/*
 * Begins to wait. It is tried at once; also what is done then is handed out by ems_wait_next. *wait (may be NULL) is its
 * name. EMS_EINVALID, EMS_ERANGE, EMS_EREADONLY: the operation could not be tried at all. EMS_ENOMEMORY, EMS_ESYSTEM,
 * EMS_EFORKED. When more than 127 heaps have waits in this process, those of further ones end with EMS_ELIMIT.
 */
int ems_wait_begin(ems_heap_t *heap, const ems_operation_t *operation, ems_deadline_t deadline, void *user,
		   ems_wait_t *wait);
/* The next one that has come to its end, of those begun with heaps of this connection. EMS_EEMPTY: none for now. */
int ems_wait_next(ems_connection_t *connection, ems_wait_result_t *result);
/*
 * Ends a wait with EMS_ECANCELLED, which ems_wait_next hands out. EMS_EEMPTY: it has its result already, and nothing
 * changes. Closing the heap's handle cancels as well; ems_disconnect throws away what was not handed out.
 */
int ems_wait_cancel(ems_connection_t *connection, ems_wait_t wait);

/* ---- many elements at once --------------------------------------------------------------------- */

/*
 * Elements [first, first + count) of a heap without map, or of one with a map by its elements' indexes. Each
 * element is read or written atomically; the range as a whole is not. Reading gives EMS_ETYPE at the first
 * element that is not a number (an undefined one reads as 0, or NaN), and *done (may be NULL) says how many
 * came before it.
 */
int ems_read_range_int64(ems_heap_t *heap, uint64_t first, uint64_t count, int64_t *values, uint64_t *done);
int ems_read_range_double(ems_heap_t *heap, uint64_t first, uint64_t count, double *values, uint64_t *done);
/* Writing keeps the tags and waits for BUSY elements, like ems_write. Without map only. */
int ems_write_range_int64(ems_heap_t *heap, uint64_t first, uint64_t count, const int64_t *values,
			  uint64_t *done);
int ems_write_range_double(ems_heap_t *heap, uint64_t first, uint64_t count, const double *values,
			   uint64_t *done);
/* Writes one value, with a tag (0: keep each element's), to every element of the range. Without map only. */
int ems_fill(ems_heap_t *heap, uint64_t first, uint64_t count, const ems_value_t *value, ems_tag_t tag,
	     uint64_t *done);

#include "ems_manage.h"
#include "ems_region.h"
#include "ems_team.h"

#ifdef __cplusplus
}
#endif
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
