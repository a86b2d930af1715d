/*
 * catalogue.h: what the daemon knows of its heaps, in a memory file that outlives it (store.h).
 *
 *     0          struct catalogue_head: magic, version, secret
 *     STRIDE     record 1: struct record, then the heap's description as a frame of the protocol
 *     …          record i at i × STRIDE; sparse
 *
 * Only daemons ever have it; clients never do, so what stands in it may be believed as one believes one's own memory. A record
 * counts from the store of its state on; words that change later (struct record: the first ones) are stored one by one,
 * and each is right by itself. A daemon that starts reads the catalogues that it finds, and makes a new one in
 * its own form; so there may be two with the same heaps, when it dies in between, and the higher revision counts.
 */
#ifndef DAEMON_CATALOGUE_H
#define DAEMON_CATALOGUE_H

#include "daemon/broker.h"
#include "daemon/store.h"

#define CATALOGUE_MAGIC	   UINT64_C(0x31676f6c61434d45) /* "EMCalog1" */
#define CATALOGUE_VERSION  1u
#define CATALOGUE_RECORDS  65536u
#define CATALOGUE_STRIDE   (UINT64_C(4096) + PROTO_FRAME_MAX + 4096)

struct catalogue_head {
	uint64_t magic;
	uint32_t version, records;
	uint64_t stride;
	uint8_t secret[16]; /* of tickets (daemon/ticket.h): handed down from catalogue to catalogue */
	uint64_t high;	    /* records ever used are all below */
};

enum record_state {
	RECORD_FREE = 0,
	RECORD_PREPARED = 1, /* is being made: nobody was told of it */
	RECORD_VALID = 2,
	RECORD_DROPPED = 3, /* has no name any more, but for those who had it attached */
};

struct record {
	uint32_t state, size; /* size: of the frame behind */
	uint64_t charged;     /* bytes */
	uint64_t elements;    /* now */
	uint64_t bytes;	      /* of a region, now */
	uint64_t last_used;
	uint64_t quarantined;
	uint64_t attachments; /* now: so many may come back to the next daemon */
	/* constant */
	uint64_t revision; /* of two records of one heap, which is newer */
	uint8_t id[16];
	uint8_t creation[16]; /* how its creator named the request (proto_open.creation) */
	uint64_t creator;     /* uid: whose budget it is in */
	uint64_t lifetime, idle_seconds, budget_limit, created;
};

struct catalogue {
	int fd;
	uint8_t *base;
	char name[KEEPER_NAME_SIZE];
	uint32_t high; /* records ever used are all below */
	uint32_t free; /* where to look for a free one */
};

/* A new, empty one, with a new secret. -ERROR_NO_MEMORY, -ERROR_SYSTEM. */
int catalogue_new(struct catalogue **_catalogue);
/* Maps one that a former daemon left; takes fd. -ERROR_VERSION: of another version. -ERROR_CORRUPT. */
int catalogue_open_take(const char *name, int fd, struct catalogue **_catalogue);
/* Unmaps it. What the store has stays. */
void catalogue_free(struct catalogue *catalogue);

static inline struct catalogue_head *catalogue_head(const struct catalogue *catalogue)
{
	return (struct catalogue_head *)catalogue->base;
}
/* 1 … CATALOGUE_RECORDS - 1 */
static inline struct record *catalogue_record(const struct catalogue *catalogue, uint32_t index)
{
	return (struct record *)(catalogue->base + index * CATALOGUE_STRIDE);
}
static inline const uint8_t *record_frame(const struct record *record)
{
	return (const uint8_t *)(record + 1);
}

/* The name of a heap's descriptor in the store. */
void catalogue_heap_name(const struct heap *heap, char name[static KEEPER_NAME_SIZE]);

/*
 * Writes a record of the heap, in the given state; heap->record becomes its number, and what it had before is free. -ERROR_LIMIT: no
 * room. -ERROR_NO_MEMORY.
 */
int catalogue_write(struct catalogue *catalogue, struct heap *heap, enum record_state state);
/* Frees it; heap->record becomes 0. */
void catalogue_erase(struct catalogue *catalogue, struct heap *heap);

/* The record of a heap that has one, else NULL. For its words that change. */
struct record *catalogue_of(const struct heap *heap);

/*
 * The description in a record of a former daemon, as its reply to open would have it; points into the record.
 * -ERROR_CORRUPT: it makes no sense.
 */
int catalogue_read(const struct record *record, struct proto_open_reply *description);

#endif
