/* Recovery of dead slots: see recover.h for the order and the reasons. */
#include "shm/recover.h"

#include <stddef.h>

#include "base/error.h"
#include "base/macros.h"
#include "shm/lease.h"
#include "shm/map.h"
#include "shm/reader.h"
#include "shm/stack.h"
#include "shm/storage.h"
#include "shm/transaction.h"
#include "shm/transaction_record.h"
#include "shm/wait.h"

#define RECOUNTS 64u
/* Entries of records that one run looks at, about: each may cost a system call, and a record may say anything. */
#define WORK_MOST  16384u
#define WORK_SLOT  4u /* besides its entries: all slots, when they name nothing more */
#define WORK_OTHER 16u /* of another heap that is to be asked */

bool shm_recovery_needed(const struct shm_segment *seg)
{
	for (uint32_t id = 1; id < shm_slots_high(seg); id++)
		if (shm_robust_is_dead(seg, id))
			return true;
	return false;
}

bool shm_is_named(const struct shm_segment *seg, blob_ref ref, uint32_t except)
{
	for (uint32_t id = 1; id < shm_slots_high(seg); id++) {
		const struct slot *slot = shm_slot(seg, id);

		if (id == except || load32_acquire(&slot->state) == SLOT_FREE || shm_robust_is_dead(seg, id))
			continue;
		if (shm_transaction_names(seg, id, ref))
			return true;
		if (load64_acquire(&slot->intent) == INTENT_NONE)
			continue;
		if (load64_acquire(&slot->intent_new) == ref || load64_acquire(&slot->intent_old) == ref ||
		    load64_acquire(&slot->intent_key) == ref)
			return true;
	}
	return false;
}

/* One dead slot under repair. */
struct patient {
	struct shm_segment *seg;
	struct shm_session *self; /* the recoverer's, or NULL: the daemon's stores need no step */
	struct slot *slot;
	uint32_t id;
};

static void enter(const struct patient *patient)
{
	if (patient->self)
		shm_step_enter(patient->self);
}

static void leave(const struct patient *patient)
{
	if (patient->self)
		shm_step_leave(patient->self);
}

/* Claimed, but nothing refers to it yet. */
static void undo_claim(const struct patient *patient, blob_ref ref)
{
	if (ref && shm_blob_is_claimed_by(patient->seg, ref, patient->id))
		shm_blob_release_for(patient->self, patient->seg, patient->slot, patient->id, ref);
}

/* Nothing refers to it. SHM_AGAIN: a live slot is at work on it. */
static int release_unless_named(const struct patient *patient, blob_ref ref)
{
	if (shm_is_named(patient->seg, ref, patient->id))
		return SHM_AGAIN;
	shm_blob_release_for(patient->self, patient->seg, patient->slot, patient->id, ref);
	return 0;
}

/* The cell decides: what it refers to stays, the other goes. SHM_AGAIN: a live slot is at work on it. */
static int settle_replaced(const struct patient *patient, const struct cell *cell, blob_ref ref)
{
	struct cell seen;

	if (!ref || !shm_blob_is_allocated(patient->seg, ref))
		return 0;
	seen = cell_load(cell);
	if (cell_has_blob(seen.meta) && seen.value == ref)
		return 0;
	return release_unless_named(patient, ref);
}

static int recover_replace(const struct patient *patient)
{
	uint64_t offset = load64_acquire(&patient->slot->intent_cell);
	int first, second;

	if (!layout_is_cell(&patient->seg->layout, offset) || !shm_committed(patient->seg, offset))
		return -ERROR_CORRUPT;
	first = settle_replaced(patient, shm_at(patient->seg, offset),
				load64_acquire(&patient->slot->intent_new));
	second = settle_replaced(patient, shm_at(patient->seg, offset),
				 load64_acquire(&patient->slot->intent_old));
	return MAX(first, second);
}

/* The same for an item of the stack: its top and the cell together say whether it is there. */
static int settle_stacked(const struct patient *patient, uint64_t offset, blob_ref ref)
{
	int r;

	if (!ref || !shm_blob_is_allocated(patient->seg, ref))
		return 0;
	enter(patient);
	r = shm_stack_holds(patient->seg, offset, ref);
	leave(patient);
	if (r != 0)
		return r == 1 ? 0 : r;
	return release_unless_named(patient, ref);
}

static int recover_stacked(const struct patient *patient)
{
	uint64_t offset = load64_acquire(&patient->slot->intent_cell);
	int first = settle_stacked(patient, offset, load64_acquire(&patient->slot->intent_new));
	int second = settle_stacked(patient, offset, load64_acquire(&patient->slot->intent_old));

	return MIN(first, second) < 0 ? MIN(first, second) : MAX(first, second);
}

static int recover_intent(const struct patient *patient)
{
	switch (load64_acquire(&patient->slot->intent)) {
	case INTENT_NONE:
		return 0;
	case INTENT_CLAIM:
		undo_claim(patient, load64_acquire(&patient->slot->intent_new));
		undo_claim(patient, load64_acquire(&patient->slot->intent_key));
		return 0;
	case INTENT_REPLACE:
		return recover_replace(patient);
	case INTENT_PUSH:
	case INTENT_POP:
		return recover_stacked(patient);
	case INTENT_RESERVE:
	case INTENT_PUBLISH:
	case INTENT_DELETE:
		return patient->seg->layout.params.has_map ? 0 : -ERROR_CORRUPT; /* shm_map_recover's */
	default:
		return -ERROR_CORRUPT;
	}
}

static void wake_sleepers_on(const struct patient *patient, uint64_t offset)
{
	if (layout_is_waited_on(&patient->seg->layout, offset) && shm_committed(patient->seg, offset))
		shm_wait_wake_everybody(patient->seg, shm_at(patient->seg, offset));
}

/* Wakes that the dead one owed (cur) or had been given (wait). Harmless when repeated. */
static void wake_sleepers(const struct patient *patient)
{
	wake_sleepers_on(patient, load64_acquire(&patient->slot->cur));
	wake_sleepers_on(patient, load64_acquire(&patient->slot->wait));
}

/* The record becomes that of a free slot. The lock word goes last: only then may another take it. */
static void make_free(const struct patient *patient)
{
	struct slot *slot = patient->slot;

	enter(patient);
	store64_release(&slot->intent, INTENT_NONE);
	store64_relaxed(&slot->intent_cell, 0);
	store64_relaxed(&slot->intent_new, 0);
	store64_relaxed(&slot->intent_old, 0);
	store64_relaxed(&slot->intent_key, 0);
	store64_relaxed(&slot->intent_version, 0);
	store64_relaxed(&slot->wait, 0);
	store64_relaxed(&slot->user, 0);
	store32_relaxed(&slot->reads_high, 0);
	store64_release(&slot->cur, 0);
	store32_release(&slot->state, SLOT_FREE);
	shm_robust_clear(patient->seg, patient->id);
	add32(&shm_header(patient->seg)->recoveries, 1);
	leave(patient);
}

static int recover_slot(const struct patient *patient, struct shm_recovery *recovery)
{
	/* Its process is being killed, and a thread of it may still be at work here. */
	if (shm_slot_has_user(patient->seg, patient->id)) {
		recovery->deferred++;
		return SHM_AGAIN;
	}
	/* Before anything else that may have to be put off: a cell may be frozen on account of this slot. */
	if (shm_reader_recover(patient->self, patient->seg, patient->slot, patient->id, &recovery->recounts) != 0) {
		recovery->deferred++;
		return SHM_AGAIN;
	}
	/* First: until then a push of it makes others look at the slot, and the stack's top says too little. */
	int pushed = shm_stack_recover(patient->self, patient->seg, patient->id), r = recover_intent(patient), ended;

	int leases = shm_lease_recover(patient->self, patient->seg, patient->id); /* also when the intent must wait */

	if (r == 0)
		r = pushed;
	if (r == 0)
		r = leases;
	/* In any case: others wait for what it has locked. */
	ended = shm_transaction_recover(patient->self, patient->seg, patient->slot, patient->id);
	if (r == 0 || ended == SHM_AGAIN)
		r = ended;
	if (r == 0 && patient->seg->layout.params.has_map)
		r = shm_map_recover(patient->self, patient->seg, patient->slot, patient->id);
	if (r == SHM_AGAIN) {
		wake_sleepers(patient); /* the live one that we wait for may be stopped for long */
		recovery->deferred++;
		return r;
	}
	if (r < 0)
		recovery->corrupt++; /* what the record names cannot be believed, so it is left alone */
	shm_storage_recover(patient->self, patient->seg, patient->slot, patient->id);
	wake_sleepers(patient);
	make_free(patient);
	recovery->recovered++;
	return 0;
}

/* How many entries of its record there are to be looked at. */
static uint32_t work_of(const struct shm_segment *seg, uint32_t id)
{
	const struct slot *slot = shm_slot(seg, id);
	uint32_t work = WORK_SLOT + MIN(load32_acquire(&slot->reads_high), RECORD_READ_COUNT) +
			(uint32_t)MIN(load64_acquire(&slot->lease_high), (uint64_t)RECORD_LEASE_COUNT);

	if (shm_transaction_is_open(seg, id))
		work += transaction_count(seg, id) +
			MIN(load32_acquire(&transaction_record(seg, id)->others_count), TRANSACTION_OTHERS) * WORK_OTHER;
	return work;
}

/* Where the last run had to stop the next one goes on, so that those who are put off again and again stop nobody else. */
static void recover_all(struct shm_segment *seg, struct shm_session *self, struct shm_recovery *recovery)
{
	uint32_t high = shm_slots_high(seg), id = seg->recover_from, work = 0;

	if (id == 0 || id >= high)
		id = 1;
	seg->recover_from = 1;
	for (uint32_t n = 1; n < high; n++, id = id + 1 < high ? id + 1 : 1) {
		struct patient patient = {seg, self, shm_slot(seg, id), id};

		if (!shm_robust_is_dead(seg, id))
			continue;
		if (work >= WORK_MOST) {
			recovery->deferred++;
			seg->recover_from = id;
			return;
		}
		work += work_of(seg, id);
		(void)recover_slot(&patient, recovery);
	}
}

int shm_recover(struct shm_segment *seg, struct shm_session *self, struct shm_recovery *recovery)
{
	struct shm_robust lock;
	int r;

	*recovery = (struct shm_recovery){.recounts = RECOUNTS};
	r = shm_robust_trylock(seg, 0, &lock);
	if (r < 0)
		return r;
	shm_gate_settle(seg);
	recover_all(seg, self, recovery);
	shm_robust_unlock(&lock);
	return 0;
}
