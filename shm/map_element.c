/*
 * map_element.c: where the next free element comes from.
 *
 * All of this is hints: an element is free when its cell is NONE, and the CAS that reserves it decides.
 * But a free element must not be forgotten for good. So at any time an element that is free and was ever set
 * apart is in the range that some slot names (and recovery of that slot notes it), or its group's bit is set,
 * or somebody is between, and has it named: intent_cell of a slot, or group_claim.
 *
 * Order: elements this thread freed itself (still in its cache), then its range of never-used
 * ones, sixteen at a time, then what others freed; before more memory is asked for, the latter. At last, what
 * others have set apart and not used yet: without that a small heap would be full with its first keys.
 */
#include "shm/map_parts.h"

#define RANGE 16u
#define GROUP ((uint64_t)1 << GROUP_SHIFT)

/* ---- hints ---- */

static uint64_t *group_word(const struct shm_segment *seg, uint64_t group)
{
	return (uint64_t *)shm_area(seg, AREA_GROUPS) + group / 64;
}

static void set_group(struct shm_segment *seg, uint64_t group)
{
	uint64_t *word = group_word(seg, group), bit = UINT64_C(1) << group % 64;

	if (!shm_committed(seg, shm_offset(seg, word)))
		return; /* its elements were never set apart: extend_range saw to that */
	/* Orders the caller's free cell before the look at the bit, against one who clears the bit and looks
	 * at the cells then. */
	fence_full();
	if (load64_relaxed(word) & bit)
		return;
	shm_mark(seg, word, sizeof(*word));
	(void)or64(word, bit);
}

void map_element_hint(struct shm_segment *seg, uint64_t element)
{
	if (element < seg->layout.params.max_elements)
		set_group(seg, element >> GROUP_SHIFT);
}

void map_element_keep(struct shm_session *session, uint64_t element)
{
	if (session->free_elements_count < FREE_STACK)
		session->free_elements[session->free_elements_count++] = element;
}

uint64_t shm_map_element_limit(const struct shm_segment *seg)
{
	uint64_t next = load64_acquire(&shm_header(seg)->element_next), elements = shm_elements(seg);

	return MIN(next, elements);
}

static bool is_free(const struct shm_segment *seg, uint64_t element, struct cell *seen)
{
	*seen = cell_load(shm_cell(seg, element));
	return cell_tag(seen->meta) == TAG_NONE;
}

static int need_units(struct shm_session *session, const void *p, uint64_t count)
{
	session->need = (struct shm_need){
		.kind = NEED_UNITS, .first = shm_offset(session->seg, p) >> UNIT_SHIFT, .count = count};
	return SHM_NEED;
}

/* ---- this thread's own ---- */

static int take_kept(struct shm_session *session, uint64_t *element, struct cell *seen)
{
	uint64_t limit = shm_map_element_limit(session->seg);

	while (session->free_elements_count > 0) {
		*element = session->free_elements[--session->free_elements_count];
		if (*element < limit && map_element_is_there(session->seg, *element) &&
		    is_free(session->seg, *element, seen))
			return 0;
	}
	return -ERROR_FULL;
}

/* ---- the range ---- */

/*
 * Sets the next elements apart. The range is named before it is ours: a death in between makes hints of
 * elements that are not, harmless. The memory of their hints comes first: noting that they are free must not
 * need any. 0; SHM_NEED; -ERROR_FULL.
 */
static int extend_range(struct shm_session *session)
{
	struct header *header = shm_header(session->seg);
	struct slot *slot = session->slot;
	uint64_t next = load64_relaxed(&header->element_next), elements = shm_elements(session->seg), end,
		 *word;
	int r = -ERROR_FULL;

	store64_release(&slot->range_end, 0); /* empty while the two do not belong together */
	while (next < elements) {
		end = MIN(next + RANGE, elements);
		word = group_word(session->seg, (end - 1) >> GROUP_SHIFT);
		if (!shm_committed(session->seg, shm_offset(session->seg, word))) {
			r = need_units(session, word, 1);
			break;
		}
		store64_release(&slot->range_next, next);
		store64_release(&slot->range_end, end);
		if (cas64(&header->element_next, &next, end))
			return 0;
		store64_release(&slot->range_end, 0);
	}
	store64_release(&slot->range_next, 0);
	return r;
}

/* How many units to ask for at once: few at first, more as the heap grows. */
static uint64_t units_to_ask(const struct shm_segment *seg, const struct cell *cell)
{
	uint64_t start = seg->layout.offset[AREA_ELEMENTS],
		 first = (shm_offset(seg, cell) - start) >> UNIT_SHIFT;
	uint64_t left = ((seg->layout.size[AREA_ELEMENTS] + UNIT - 1) >> UNIT_SHIFT) - first;
	uint64_t wish = MIN(first / 8 + 1, (uint64_t)64);

	return MIN(wish, left);
}

static int take_range(struct shm_session *session, uint64_t *element, struct cell *seen)
{
	struct shm_segment *seg = session->seg;
	struct slot *slot = session->slot;

	int r;

	do {
		uint64_t next = load64_relaxed(&slot->range_next), end = load64_relaxed(&slot->range_end);

		end = MIN(end, shm_elements(seg));
		for (; next < end; next++) {
			if (!map_element_is_there(seg, next))
				return need_units(session, shm_cell(seg, next),
						  units_to_ask(seg, shm_cell(seg, next)));
			*element = next;
			if (is_free(seg, next, seen))
				return 0;
			store64_release(&slot->range_next, next + 1);
		}
		r = extend_range(session);
	} while (r == 0);
	return r;
}

void map_element_used(struct shm_session *session, uint64_t element)
{
	if (load64_relaxed(&session->slot->range_next) == element &&
	    element < load64_relaxed(&session->slot->range_end))
		store64_release(&session->slot->range_next, element + 1);
}

/* ---- what others freed ---- */

/* The first free element of a group, and the next few for this thread's later use. */
static bool scan_group(struct shm_session *session, uint64_t group, uint64_t *element, struct cell *seen)
{
	uint64_t first = group << GROUP_SHIFT, limit = shm_map_element_limit(session->seg), end;
	struct cell other;
	bool found = false;

	end = MIN(first + GROUP, limit);
	for (uint64_t e = first; e < end && session->free_elements_count < FREE_STACK / 2; e++) {
		if (!is_free(session->seg, e, found ? &other : seen))
			continue;
		if (found)
			map_element_keep(session, e);
		else
			*element = e;
		found = true;
	}
	return found;
}

static int take_from_group(struct shm_session *session, uint64_t group, uint64_t *element, struct cell *seen)
{
	struct shm_segment *seg = session->seg;
	uint64_t *word = group_word(seg, group), bit = UINT64_C(1) << group % 64;
	bool found;

	if (group << GROUP_SHIFT >= shm_map_element_limit(seg))
		return -ERROR_FULL;
	/* A group lies within one unit. Set apart by a slot that died before it used any of it. */
	if (!map_element_is_there(seg, group << GROUP_SHIFT))
		return need_units(session, shm_cell(seg, group << GROUP_SHIFT), 1);
	if (scan_group(session, group, element, seen))
		return 0;
	/* Cleared, then looked again: who freed an element in between may have found the bit still set. A
	 * death in between: recovery of this slot sets it again. */
	store32_release(&session->slot->group_claim, (uint32_t)group + 1);
	shm_mark(seg, word, sizeof(*word));
	(void)and64(word, ~bit);
	fence_after_cas(); /* the other half of the fence in set_group */
	found = scan_group(session, group, element, seen);
	if (found)
		(void)or64(word, bit);
	store32_release(&session->slot->group_claim, 0);
	return found ? 0 : -ERROR_FULL;
}

/* Each word once, from where the last one found something. */
static int take_group(struct shm_session *session, uint64_t *element, struct cell *seen)
{
	struct shm_segment *seg = session->seg;
	struct header *header = shm_header(seg);
	uint64_t groups = (shm_map_element_limit(seg) + GROUP - 1) >> GROUP_SHIFT, words = (groups + 63) / 64;
	uint64_t from = load64_relaxed(&header->group_cursor);
	int r;

	for (uint64_t i = 0; i < words; i++) {
		uint64_t index = (from + i) % words, *word = group_word(seg, index * 64), bits;

		if (!shm_committed(seg, shm_offset(seg, word)))
			continue;
		for (bits = load64_acquire(word); bits; bits &= bits - 1) {
			r = take_from_group(session, index * 64 + (uint64_t)__builtin_ctzll(bits), element,
					    seen);
			if (r == -ERROR_FULL)
				continue;
			if (i > 0)
				store64_relaxed(&header->group_cursor, index);
			return r;
		}
	}
	return -ERROR_FULL;
}

/* ---- what others have set apart ---- */

/*
 * Takes from another slot's range: that slot will find the element reserved and go on to its next. To be
 * called when nothing is left to be set apart; so each range that is somebody's is named by now.
 */
static int take_from_ranges(struct shm_session *session, uint64_t *element, struct cell *seen)
{
	const struct shm_segment *seg = session->seg;
	uint32_t slots = shm_slots_high(seg);
	uint64_t limit = shm_map_element_limit(seg);

	for (uint32_t id = 1; id < slots; id++) {
		const struct slot *slot = shm_slot(seg, id);
		uint64_t next = load64_acquire(&slot->range_next), end = load64_acquire(&slot->range_end);

		if (next >= end || end - next > RANGE)
			continue;
		for (; next < MIN(end, limit); next++) {
			if (!map_element_is_there(seg, next))
				return need_units(session, shm_cell(seg, next), 1);
			*element = next;
			if (is_free(seg, next, seen))
				return 0;
		}
	}
	return -ERROR_FULL;
}

int map_element_take(struct shm_session *session, uint64_t *element, struct cell *seen)
{
	struct shm_need need;
	int r, other;

	r = take_kept(session, element, seen);
	if (r == 0)
		return 0;
	r = take_range(session, element, seen);
	if (r == 0)
		return 0;
	need = session->need;
	other = take_group(session, element, seen);
	if (other == 0)
		return 0;
	if (r != -ERROR_FULL) {
		session->need = need;
		return r;
	}
	if (other == -ERROR_FULL)
		other = take_from_ranges(session, element, seen);
	/* Who leaves makes hints of its range before it forgets the range: so a look at the ranges that finds
	 * nothing is followed by one at the hints. */
	return other == -ERROR_FULL ? take_group(session, element, seen) : other;
}

/* ---- giving back ---- */

void map_element_return(struct shm_segment *seg, struct slot *slot)
{
	uint64_t next = load64_acquire(&slot->range_next), end = load64_acquire(&slot->range_end);
	uint32_t claim = load32_acquire(&slot->group_claim);

	/* A longer range than RANGE is not one. It may span two groups. */
	if (next < end && end - next <= RANGE) {
		map_element_hint(seg, next);
		map_element_hint(seg, end - 1);
	}
	if (claim)
		map_element_hint(seg, (uint64_t)(claim - 1) << GROUP_SHIFT);
	store64_release(&slot->range_end, 0);
	store64_release(&slot->range_next, 0);
	store32_release(&slot->group_claim, 0);
}

void shm_map_leave(struct shm_session *session)
{
	shm_step_enter(session);
	map_element_return(session->seg, session->slot);
	shm_step_leave(session);
	session->free_elements_count = 0; /* their bits are set */
}
