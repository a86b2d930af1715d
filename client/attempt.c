/* One wait: its operation, with copies of what it needs, and trying it. See wait.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "client/failure.h"
#include "client/key.h"
#include "client/session.h"
#include "client/value.h"
#include "client/wait.h"
#include "shm/lease.h"
#include "shm/operation.h"
#include "shm/ring.h"
#include "shm/stack.h"

enum place { ELEMENT, QUEUE_IN, QUEUE_OUT, STACK_IN, STACK_OUT };

/* By code. */
static const struct {
	const char *name;
	enum place place;
	enum shm_op op;
	bool takes_value, takes_expected, leases;
} operations[] = {
	[EMS_OP_READ_FF] = {"read_ff", ELEMENT, OP_READ_FF, false, false},
	[EMS_OP_READ_FE] = {"read_fe", ELEMENT, OP_READ_FE, false, false},
	[EMS_OP_WRITE] = {"write", ELEMENT, OP_WRITE, true, false},
	[EMS_OP_WRITE_XF] = {"write_xf", ELEMENT, OP_WRITE_XF, true, false},
	[EMS_OP_WRITE_XE] = {"write_xe", ELEMENT, OP_WRITE_XE, true, false},
	[EMS_OP_WRITE_EF] = {"write_ef", ELEMENT, OP_WRITE_EF, true, false},
	[EMS_OP_SET_TAG] = {"set_tag", ELEMENT, OP_SET_TAG, false, false},
	[EMS_OP_FAA] = {"faa", ELEMENT, OP_ADD, true, false},
	[EMS_OP_CAS] = {"cas", ELEMENT, OP_CAS, true, true},
	[EMS_OP_SWAP] = {"swap", ELEMENT, OP_SWAP, true, false},
	[EMS_OP_AND] = {"and", ELEMENT, OP_AND, true, false},
	[EMS_OP_OR] = {"or", ELEMENT, OP_OR, true, false},
	[EMS_OP_XOR] = {"xor", ELEMENT, OP_XOR, true, false},
	[EMS_OP_MIN] = {"min", ELEMENT, OP_MIN, true, false},
	[EMS_OP_MAX] = {"max", ELEMENT, OP_MAX, true, false},
	[EMS_OP_DELETE] = {"delete", ELEMENT, OP_DELETE, false, false},
	[EMS_OP_COMPARE_DELETE] = {"compare_delete", ELEMENT, OP_COMPARE_DELETE, false, true},
	[EMS_OP_ENQUEUE] = {"enqueue", QUEUE_IN, OP_COUNT, true, false},
	[EMS_OP_DEQUEUE] = {"dequeue", QUEUE_OUT, OP_COUNT, false, false},
	[EMS_OP_PUSH] = {"push", STACK_IN, OP_COUNT, true, false},
	[EMS_OP_POP] = {"pop", STACK_OUT, OP_COUNT, false, false},
	[EMS_OP_READ_RW] = {"read_rw", ELEMENT, OP_READ_RW, false, false},
	[EMS_OP_READ_FE_LEASE] = {"read_fe_lease", ELEMENT, OP_LEASE, false, false, true},
	[EMS_OP_DEQUEUE_LEASE] = {"dequeue_lease", QUEUE_OUT, OP_COUNT, false, false, true},
};

/* ---- making ---- */

static int copy_text(void **_copy, const void *text, size_t size)
{
	*_copy = malloc(size + 1);
	if (!*_copy)
		return -ERROR_NO_MEMORY;
	if (size > 0)
		memcpy(*_copy, text, size);
	return 0;
}

static int copy_value(struct wait *wait, int which, ems_value_t *to, const ems_value_t *from)
{
	int r = value_check(from);

	if (r < 0)
		return r;
	*to = *from;
	to->capacity = 0;
	if (!type_has_blob((enum cell_type)from->type))
		return 0;
	r = copy_text(&wait->text[which], from->data, from->size);
	to->data = wait->text[which];
	return r;
}

static int copy_key(struct wait *wait, const ems_key_t *from)
{
	ems_key_t key = *from;
	int r = 0;

	if (key.type == EMS_KEY_STRING && key.text && key.size <= KEY_MAX) {
		r = copy_text(&wait->text[0], key.text, key.size);
		key.text = wait->text[0];
	}
	wait->from = key;
	return r == 0 ? key_resolve(wait->heap, &key, &wait->key, &wait->target) : r;
}

static int copy_operation(struct wait *wait, const ems_operation_t *operation)
{
	int r = wait_is_of_element(wait) ? copy_key(wait, &operation->key) : 0;

	wait->tag = operation->tag;
	if (wait->code == EMS_OP_SET_TAG && wait->tag != EMS_FULL && wait->tag != EMS_EMPTY)
		return -ERROR_INVALID;
	/* As shm_call has them: the first argument of cas is what is expected. */
	if (r == 0 && operations[wait->code].takes_expected)
		r = copy_value(wait, 1, &wait->argument, operation->expected);
	if (r == 0 && operations[wait->code].takes_value)
		r = copy_value(wait, 2, wait->code == EMS_OP_CAS ? &wait->argument2 : &wait->argument,
			       operation->value);
	return r;
}

static bool is_code(ems_operation_code_t code)
{
	return (size_t)code < ARRAY_SIZE(operations) && code >= EMS_OP_READ_FF;
}

int wait_new(struct wait **_wait, struct ems_heap *heap, const ems_operation_t *operation)
{
	struct wait *wait;
	int r;

	if (!operation || !is_code(operation->code))
		return -ERROR_INVALID;
	if (!heap->writable)
		return -ERROR_READ_ONLY;
	wait = calloc(1, sizeof(*wait));
	if (!wait)
		return -ERROR_NO_MEMORY;
	wait->heap = heap;
	wait->code = operation->code;
	r = copy_operation(wait, operation);
	if (r < 0)
		wait_free(wait);
	else
		*_wait = wait;
	return r;
}

void wait_free(struct wait *wait)
{
	for (size_t i = 0; i < ARRAY_SIZE(wait->text); i++)
		free(wait->text[i]);
	ems_value_clear(&wait->value);
	free(wait);
}

/* ---- what it is ---- */

bool wait_code_is_of_element(ems_operation_code_t code)
{
	return is_code(code) && operations[code].place == ELEMENT;
}

bool wait_is_of_element(const struct wait *wait)
{
	return operations[wait->code].place == ELEMENT;
}

uint32_t wait_class(const struct wait *wait)
{
	return wait_is_of_element(wait) ? shm_operations[operations[wait->code].op].admits
					: (uint32_t)operations[wait->code].place;
}

bool wait_takes_lease(const struct wait *wait)
{
	return operations[wait->code].leases;
}

const char *wait_name(const struct wait *wait)
{
	return operations[wait->code].name;
}

/* ---- trying ---- */

static int run(struct wait *wait, struct shm_session *session, struct shm_call *call)
{
	if (wait_takes_lease(wait))
		return (wait_is_of_element(wait) ? shm_lease_element : shm_lease_item)(session, call, &wait->ticket);
	switch (operations[wait->code].place) {
	case QUEUE_IN:
		return shm_ring_put(session, call, &wait->count);
	case QUEUE_OUT:
		return shm_ring_take(session, call);
	case STACK_IN:
		return shm_stack_push(session, call, &wait->count);
	case STACK_OUT:
		return shm_stack_pop(session, call);
	case ELEMENT:
		break;
	}
	return shm_element_apply(heap_segment(wait->heap), session, call, &wait->changed);
}

int wait_try(struct wait *wait, struct shm_notice *notice)
{
	const bool takes_value = operations[wait->code].takes_value,
		   takes_expected = operations[wait->code].takes_expected;
	struct shm_call call = {
		.op = operations[wait->code].op,
		.target = wait->target,
		.argument = takes_value || takes_expected ? value_in(&wait->argument) : NULL,
		.argument2 = wait->code == EMS_OP_CAS ? value_in(&wait->argument2) : NULL,
		.tag = (enum tag)wait->tag,
		.notice = notice,
		.deadline = CLOCK_NEVER,
	};
	struct shm_session *session;
	int r = session_get(wait->heap, &session);

	notice->cell = NULL;
	/* What puts has an argument and no result: that is how shm_transfer_init knows. */
	if (wait_is_of_element(wait) || !takes_value)
		call.result = value_out(&wait->value);
	if (r == 0)
		r = run(wait, session, &call);
	if (!notice->cell)
		wait->result = r == -ERROR_NOT_FOUND ? -ERROR_NO_KEY : r;
	return r;
}
