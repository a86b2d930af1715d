/* Leases: see lease.h. */
#include "shm/lease.h"

#include "base/error.h"
#include "base/macros.h"
#include "shm/ring.h"
#include "shm/ring_places.h"
#include "shm/transfer.h"
#include "shm/wait.h"

_Static_assert(RECORD_LEASE_COUNT == 128, "two words of bits in the session; seven bits of a ticket");

static struct shm_lease *entry_of(const struct shm_segment *seg, uint32_t slot, uint32_t i)
{
	return (struct shm_lease *)shm_record(seg, slot, RECORD_LEASES) + i;
}

/* ---- entries ---- */

/* A free entry, with a new ticket, is set apart for this session's thread. Nobody else sees anything of it. */
static int reserve(struct shm_session *session, struct shm_lease **_lease)
{
	static uint64_t tickets; /* of the process */

	for (uint32_t word = 0; word < 2; word++) {
		uint32_t i;

		if (session->leases[word] == UINT64_MAX)
			continue;
		i = word * 64 + (uint32_t)__builtin_ctzll(~session->leases[word]);
		*_lease = entry_of(session->seg, session->id, i);
		shm_step_enter(session);
		shm_mark(session->seg, *_lease, sizeof(**_lease));
		store64_relaxed(&(*_lease)->ticket, (add64(&tickets, 1) + 1) << 7 | i);
		shm_step_leave(session);
		session->leases[word] |= UINT64_C(1) << i % 64;
		return 0;
	}
	return -ERROR_LIMIT;
}

static void release(struct shm_session *session, uint32_t i)
{
	session->leases[i / 64] &= ~(UINT64_C(1) << i % 64);
}

void shm_lease_name(struct shm_session *session, struct shm_lease *lease, const struct cell *cell,
		    uint64_t position)
{
	uint64_t high = (uint64_t)(lease - entry_of(session->seg, session->id, 0)) + 1;

	/* Recovery reads as far as the high mark, so that goes up first; and the cell tells that the rest is there. */
	if (load64_relaxed(&session->slot->lease_high) < high)
		store64_release(&session->slot->lease_high, high);
	shm_mark(session->seg, lease, sizeof(*lease));
	store64_relaxed(&lease->position, position);
	store64_release(&lease->cell, shm_offset(session->seg, cell));
}

void shm_lease_unname(struct shm_lease *lease)
{
	store64_release(&lease->cell, 0);
}

uint32_t shm_lease_count(const struct shm_session *session)
{
	return (uint32_t)(__builtin_popcountll(session->leases[0]) + __builtin_popcountll(session->leases[1]));
}

/* ---- taking ---- */

typedef int take_function(struct shm_session *session, const struct shm_call *call);

static int take(take_function *function, struct shm_session *session, const struct shm_call *given,
		uint64_t *ticket)
{
	struct shm_call call = *given;
	int r = reserve(session, &call.lease);

	if (r < 0)
		return r;
	*ticket = load64_relaxed(&call.lease->ticket);
	r = function(session, &call);
	if (r < 0)
		release(session, *ticket % RECORD_LEASE_COUNT);
	return r;
}

static int take_element(struct shm_session *session, const struct shm_call *call)
{
	return shm_element_apply(session->seg, session, call, NULL);
}

int shm_lease_element(struct shm_session *session, const struct shm_call *call, uint64_t *ticket)
{
	struct shm_call lease = *call;

	lease.op = OP_LEASE;
	return take(take_element, session, &lease, ticket);
}

int shm_lease_item(struct shm_session *session, const struct shm_call *call, uint64_t *ticket)
{
	return take(shm_ring_take, session, call, ticket);
}

/* ---- ending ---- */

struct ending {
	struct shm_transfer transfer; /* first: attempts are given it */
	struct shm_lease *lease;
	enum shm_lease_how how;
};

static bool is_item(const struct shm_segment *seg, uint64_t offset)
{
	uint64_t start = seg->layout.offset[AREA_RING];

	return offset >= start && offset - start < seg->layout.size[AREA_RING];
}

/* The cell that an entry names. NULL: there cannot be one. */
static struct cell *cell_of(const struct shm_segment *seg, const struct shm_lease *lease)
{
	uint64_t offset = load64_acquire(&lease->cell);

	if (!layout_is_cell(&seg->layout, offset) || !shm_committed(seg, offset))
		return NULL;
	if (is_item(seg, offset) &&
	    shm_at(seg, offset) != (void *)shm_ring_cell(seg, load64_relaxed(&lease->position)))
		return NULL;
	return shm_at(seg, offset);
}

static bool is_leased_by(struct cell seen, uint32_t slot)
{
	return cell_tag(seen.meta) == TAG_BUSY && cell_own(seen.meta) == slot;
}

static uint64_t meta_after(const struct shm_segment *seg, const struct cell *cell, uint64_t meta,
			   enum shm_lease_how how, enum cell_type type)
{
	uint32_t lap = ring_lap(meta);

	if (!is_item(seg, shm_offset(seg, cell)))
		return cell_next(meta, how == LEASE_KEEP ? TAG_EMPTY : TAG_FULL, type, 0);
	if (how == LEASE_KEEP)
		return ring_next(meta, lap + 1, TAG_EMPTY, TYPE_UNDEFINED, 0);
	return ring_next(meta, lap, TAG_FULL, type, 0);
}

/* Another value comes, or the item is gone: an element that is EMPTY keeps its value. */
static bool loses_value(const struct ending *ending, const struct cell *cell)
{
	return ending->how == LEASE_PUT ||
	       (ending->how == LEASE_KEEP && is_item(ending->transfer.seg, shm_offset(ending->transfer.seg, cell)));
}

static struct cell cell_after(const struct ending *ending, const struct cell *cell, struct cell seen)
{
	const struct shm_segment *seg = ending->transfer.seg;
	struct cell after = {0, loses_value(ending, cell) ? 0 : seen.value};
	enum cell_type type = cell_type(seen.meta);

	if (ending->how == LEASE_PUT) {
		type = ending->transfer.outcome.type;
		after.value = shm_transfer_value(&ending->transfer);
	}
	after.meta = meta_after(seg, cell, seen.meta, ending->how, type);
	return after;
}

/* What the queue has to know. */
static void tell_ring(struct shm_segment *seg, const struct cell *cell, const struct shm_lease *lease,
		      enum shm_lease_how how)
{
	uint64_t position = load64_relaxed(&lease->position);

	if (!is_item(seg, shm_offset(seg, cell)))
		return;
	if (how == LEASE_KEEP)
		shm_ring_acknowledged(seg, position);
	else
		shm_ring_given_back(seg, position);
}

static int end(struct shm_transfer *transfer)
{
	struct ending *ending = (struct ending *)transfer;
	struct shm_session *session = transfer->session;
	struct cell *cell = cell_of(transfer->seg, ending->lease), seen, after;
	uint64_t meta;
	blob_ref old = 0;
	int r;

	if (!cell)
		return -ERROR_CORRUPT;
	seen = cell_load(cell);
	if (!is_leased_by(seen, session->id))
		return -ERROR_CORRUPT;
	r = shm_transfer_prepare(transfer);
	if (r != 0)
		return r;
	after = cell_after(ending, cell, seen);
	if (cell_has_blob(seen.meta) && loses_value(ending, cell))
		old = seen.value;
	meta = seen.meta;
	shm_transfer_name(transfer, INTENT_REPLACE, cell, old);
	shm_step_cell(session, cell);
	shm_mark(transfer->seg, cell, sizeof(*cell));
	if (!cell_cas(cell, &seen, after)) {
		shm_transfer_unname(transfer);
		return SHM_AGAIN; /* somebody has set W */
	}
	/* Ended. A death here: recovery wakes (slot.cur), releases the blob that the cell has not, and tells the
	 * queue, for the entry is there still. */
	shm_transfer_was_put(transfer);
	shm_wait_wake_all(transfer->seg, cell, meta);
	tell_ring(transfer->seg, cell, ending->lease, ending->how);
	shm_transfer_done(transfer, old);
	shm_lease_unname(ending->lease);
	return 0;
}

static int finish(struct shm_session *session, uint32_t i, enum shm_lease_how how,
		  const struct shm_value *value)
{
	struct shm_call call = {.argument = how == LEASE_PUT ? value : NULL};
	struct ending ending = {.lease = entry_of(session->seg, session->id, i), .how = how};
	int r;

	shm_transfer_init(&ending.transfer, session, &call, -ERROR_CORRUPT);
	r = shm_transfer_run(&ending.transfer, end);
	if (r == -ERROR_CORRUPT) { /* nothing is to be given back any more */
		shm_step_enter(session);
		shm_lease_unname(ending.lease);
		shm_step_leave(session);
	}
	if (r == 0 || r == -ERROR_CORRUPT)
		release(session, i);
	return r;
}

int shm_lease_finish(struct shm_session *session, uint64_t ticket, enum shm_lease_how how,
		     const struct shm_value *value)
{
	uint32_t i = ticket % RECORD_LEASE_COUNT;

	if (!(session->leases[i / 64] >> i % 64 & 1) ||
	    load64_relaxed(&entry_of(session->seg, session->id, i)->ticket) != ticket)
		return -ERROR_NOT_FOUND;
	return finish(session, i, how, value);
}

void shm_lease_leave(struct shm_session *session)
{
	for (uint32_t i = 0; i < RECORD_LEASE_COUNT; i++)
		if (session->leases[i / 64] >> i % 64 & 1)
			(void)finish(session, i, LEASE_END, NULL);
	store64_release(&session->slot->lease_high, 0);
}

/* ---- recovery, check ---- */

/*
 * Tells and wakes whether the cell had to be changed or not: the dead one, or a recoverer before this one, may have
 * got as far as the CAS. That is harmless when it was not needed.
 */
static int give_back(struct shm_session *recoverer, struct shm_segment *seg, struct shm_lease *lease,
		     uint32_t dead)
{
	struct cell *cell = cell_of(seg, lease), seen;

	if (!cell)
		return -ERROR_CORRUPT;
	if (recoverer)
		shm_step_cell(recoverer, cell);
	seen = cell_load(cell);
	while (is_leased_by(seen, dead)) {
		struct cell after = {meta_after(seg, cell, seen.meta, LEASE_END, cell_type(seen.meta)), seen.value};

		shm_mark(seg, cell, sizeof(*cell));
		if (cell_cas(cell, &seen, after))
			break;
	}
	shm_wait_wake_everybody(seg, cell);
	tell_ring(seg, cell, lease, LEASE_END);
	return 0;
}

int shm_lease_recover(struct shm_session *recoverer, struct shm_segment *seg, uint32_t dead)
{
	struct slot *slot = shm_slot(seg, dead);
	uint64_t high = MIN(load64_acquire(&slot->lease_high), (uint64_t)RECORD_LEASE_COUNT);
	int r = 0;

	for (uint32_t i = 0; i < high; i++) {
		struct shm_lease *lease = entry_of(seg, dead, i);

		if (load64_acquire(&lease->cell) == 0)
			continue;
		if (recoverer)
			shm_step_enter(recoverer);
		r = MIN(r, give_back(recoverer, seg, lease, dead));
		shm_mark(seg, lease, sizeof(*lease));
		shm_lease_unname(lease);
		if (recoverer)
			shm_step_leave(recoverer);
	}
	store64_release(&slot->lease_high, 0);
	return r;
}

const struct shm_lease *shm_lease_entry(const struct shm_segment *seg, uint32_t slot, uint32_t i)
{
	return i < RECORD_LEASE_COUNT && i < load64_acquire(&shm_slot(seg, slot)->lease_high) ? entry_of(seg, slot, i)
											      : NULL;
}

bool shm_lease_names(const struct shm_segment *seg, uint32_t slot, uint64_t offset)
{
	const struct shm_lease *lease;

	for (uint32_t i = 0; (lease = shm_lease_entry(seg, slot, i)); i++)
		if (load64_acquire(&lease->cell) == offset)
			return true;
	return false;
}
