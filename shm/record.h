/*
 * record.h: a slot's record, what its thread holds in the heap.
 *
 * What a thread holds beyond one operation (read locks, leases, an open transaction) has to be known to whoever
 * recovers it. It stands in one UNIT for each slot, of which only the pages that are used cost memory:
 *
 *      0      the transaction's state                     shm/transaction.h
 *      4096   read locks, 512 × 8                         shm/reader.h
 *      8192   leases, 128 × 32                            shm/lease.h
 *      12288  the transaction's elements, 832 × 64        shm/transaction.h
 *
 * The owner writes it, inside steps. Others only read, but for recovery and for the read locks, where a recount has
 * the last word (shm/reader.h).
 */
#ifndef SHM_RECORD_H
#define SHM_RECORD_H

#include "shm/segment.h"

#define RECORD_TRANSACTION 0u
#define RECORD_READS	   4096u
#define RECORD_READ_COUNT  512u
#define RECORD_LEASES	   8192u
#define RECORD_LEASE_COUNT 128u
#define RECORD_LEASE_SIZE  32u
#define RECORD_ENTRIES	   12288u
#define RECORD_ENTRY_COUNT 832u
#define RECORD_ENTRY_SIZE  64u

_Static_assert(RECORD_READS + RECORD_READ_COUNT * 8 == RECORD_LEASES &&
		       RECORD_LEASES + RECORD_LEASE_COUNT * RECORD_LEASE_SIZE == RECORD_ENTRIES &&
		       RECORD_ENTRIES + RECORD_ENTRY_COUNT * RECORD_ENTRY_SIZE == UNIT,
	       "the parts fill the record");

/* Part `part` (one of the offsets above) of slot id's record. id < SLOT_COUNT. */
static inline void *shm_record(const struct shm_segment *seg, uint32_t id, uint32_t part)
{
	return shm_at(seg, seg->layout.offset[AREA_RECORDS] + (uint64_t)id * UNIT + part);
}

#endif
