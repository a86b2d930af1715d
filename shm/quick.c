/* The short way through an operation on immediates: see quick.h. */
#include "shm/quick.h"

#include <string.h>

#include "base/macros.h"
#include "shm/operation.h"
#include "shm/reader.h"
#include "shm/wait.h"

/* What an immediate in a cell is as an integer; false for all other types. */
static bool as_integer(const struct shm_value *value, int64_t *integer)
{
	*integer = value->integer;
	return value->type == TYPE_INTEGER;
}

/* The old value, for the caller. Blobs and fill values are for the long way. */
static bool read_immediate(struct cell seen, struct shm_value *value)
{
	value->type = cell_type(seen.meta);
	value->integer = (int64_t)seen.value;
	return value->type <= TYPE_FLOAT;
}

static bool immediate_bits(const struct shm_value *value, uint64_t *bits)
{
	if (value->type > TYPE_FLOAT)
		return false;
	*bits = value->type == TYPE_BOOLEAN ? value->boolean : value->type == TYPE_UNDEFINED ? 0 : (uint64_t)value->integer;
	return true;
}

static bool compute(const struct shm_call *call, const struct shm_value *old, enum cell_type *type, uint64_t *bits)
{
	int64_t a, b, sum;

	*type = TYPE_INTEGER;
	switch (call->op) {
	case OP_ADD:
	case OP_ADD_INT64:
		if (!as_integer(old, &a) || !as_integer(call->argument, &b) || ADD_OVERFLOWS(a, b, &sum))
			return false;
		*bits = (uint64_t)sum;
		return true;
	case OP_ADD_DOUBLE: {
		double total;

		if (old->type != TYPE_FLOAT)
			return false;
		total = old->number + call->argument->number;
		memcpy(bits, &total, sizeof(*bits));
		*type = TYPE_FLOAT;
		return true;
	}
	case OP_WRITE:
	case OP_WRITE_XF:
	case OP_WRITE_XE:
	case OP_WRITE_EF:
	case OP_SWAP:
		*type = (enum cell_type)call->argument->type;
		return immediate_bits(call->argument, bits);
	case OP_READ_FE:
		*type = (enum cell_type)old->type;
		*bits = (uint64_t)old->integer;
		return true;
	default:
		return false;
	}
}

static enum tag tag_after(const struct operation *operation, enum tag tag)
{
	return operation->tag == BECOME_FULL ? TAG_FULL : operation->tag == BECOME_EMPTY ? TAG_EMPTY : tag;
}

static struct cell *find(struct shm_segment *seg, struct shm_session *session, const struct shm_call *call,
			 struct cell *seen)
{
	struct shm_binding binding;
	struct cell *cell;

	if (call->target.key) {
		if (shm_map_find(session, call->target.key, &binding) != 0)
			return NULL;
		*seen = binding.seen;
		return binding.cell;
	}
	if (call->target.index >= shm_elements(seg))
		return NULL;
	cell = shm_cell(seg, call->target.index);
	if (!seg->elements_whole && !shm_committed(seg, shm_offset(seg, cell)))
		return NULL;
	*seen = cell_load(cell);
	return cell;
}

/* Read locks: an immediate is read with the cell that is swapped. What cannot be finished here is gone on with. */
static bool lock(struct shm_session *session, const struct shm_call *call, struct cell *cell, struct cell seen,
		 struct shm_value *old)
{
	shm_step_cell(session, cell);
	if (call->op == OP_RELEASE_RW)
		return shm_reader_release(session, cell, call->left) == 0;
	return (shm_operations[OP_READ_RW].admits & TAG_BIT(cell_tag(seen.meta))) &&
	       (call->deadline == 0 || !shm_reader_is_wanted(seen.meta)) && read_immediate(seen, old) &&
	       shm_reader_take(session, cell, seen, seen.meta) == 0;
}

/* Inside the step. False: not a case for the short way, or the CAS lost. */
static bool change(struct shm_segment *seg, struct shm_session *session, const struct shm_call *call,
		   struct cell *cell, struct cell seen, struct shm_value *old)
{
	const struct operation *operation = &shm_operations[call->op];
	enum tag tag = cell_tag(seen.meta), next = tag_after(operation, tag);
	enum cell_type type;
	struct cell desired;

	if (!(operation->admits & TAG_BIT(tag)) || tag == TAG_READERS || !read_immediate(seen, old) ||
	    !compute(call, old, &type, &desired.value))
		return false;
	shm_step_cell(session, cell);
	shm_mark(seg, cell, sizeof(*cell));
	desired.meta = cell_next(seen.meta, next, type, 0) | shm_wait_bit(seen.meta, next, false);
	/* Takes effect here. A death right after it: recovery wakes the sleepers on slot.cur. */
	if (!cell_cas(cell, &seen, desired))
		return false;
	shm_wait_wake(seg, cell, seen.meta, next);
	return true;
}

int shm_quick_apply(struct shm_segment *seg, struct shm_session *session, const struct shm_call *call, bool *changed)
{
	struct shm_value old = {0};
	struct cell seen = {0, 0};
	struct cell *cell;
	bool done = false;

	shm_step_enter(session);
	cell = find(seg, session, call, &seen);
	if (cell && (call->op == OP_READ_RW || call->op == OP_RELEASE_RW))
		done = lock(session, call, cell, seen, &old);
	else if (cell)
		done = change(seg, session, call, cell, seen, &old);
	shm_step_leave(session);
	if (!done)
		return SHM_AGAIN;
	if (changed)
		*changed = true;
	if (call->result) {
		call->result->type = old.type;
		call->result->size = 0;
		call->result->integer = old.integer;
	}
	if (call->result_tag)
		*call->result_tag = cell_tag(seen.meta);
	return 0;
}
