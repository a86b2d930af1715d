/* A locked cell, from its entry: see transaction_record.h. */
#include "shm/transaction_record.h"

#include "shm/wait.h"

struct cell *transaction_cell(const struct shm_segment *seg, const struct transaction_entry *entry)
{
	uint64_t offset = load64_acquire(&entry->cell), start = seg->layout.offset[AREA_ELEMENTS];

	if (offset < start || offset - start >= seg->layout.size[AREA_ELEMENTS] ||
	    (offset - start) & (((uint64_t)1 << seg->layout.element_shift) - 1) || !shm_committed(seg, offset))
		return NULL;
	return shm_at(seg, offset);
}

/* Whatever somebody may have scribbled there. */
static enum tag free_tag(uint64_t meta)
{
	return cell_tag(meta) == TAG_EMPTY ? TAG_EMPTY : TAG_FULL;
}

static struct cell unlocked(const struct shm_segment *seg, struct cell seen, const struct transaction_entry *entry,
			    bool forward)
{
	uint64_t after = load64_acquire(&entry->after), before = load64_acquire(&entry->before);
	bool writes = forward && after & ENTRY_WRITES;
	enum tag tag = free_tag(forward ? after : before);

	if (!forward && cell_tag(before) == TAG_NONE && !seg->layout.params.has_map) /* never written, and not now */
		return (struct cell){(seen.meta & CELL_VERSION_MASK) + CELL_VERSION_ONE, 0};
	return (struct cell){cell_next(seen.meta, tag, cell_type(writes ? after : seen.meta), 0),
			     writes ? load64_acquire(&entry->value) : seen.value};
}

bool transaction_unlock(struct shm_segment *seg, uint32_t id, const struct transaction_entry *entry, bool forward)
{
	struct cell *cell = transaction_cell(seg, entry);
	uint64_t version = load64_acquire(&entry->version);
	struct cell seen, desired;

	if (!cell || version == 0)
		return false;
	seen = cell_load(cell);
	shm_mark(seg, cell, sizeof(*cell));
	do {
		if (cell_tag(seen.meta) != TAG_BUSY || cell_own(seen.meta) != id || cell_version(seen.meta) != version)
			return false;
		desired = unlocked(seg, seen, entry, forward);
	} while (!cell_cas(cell, &seen, desired)); /* only W can have come */
	/* For this cell it is done. A death here: slot.cur tells recovery to wake. */
	shm_wait_wake(seg, cell, seen.meta, cell_tag(desired.meta));
	return true;
}
