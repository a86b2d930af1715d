/* The copying of matrix.h in C. */
#include "tests/node/matrix/matrix.h"

typedef int one_value_t(ems_heap_t *, ems_key_t, ems_value_t *);
typedef int give_value_t(ems_heap_t *, ems_key_t, const ems_value_t *);

struct stages {
	ems_connection_t *connection;
	const char *from, *to;
	int count;
	ems_heap_t *source, *target;
	ems_value_t value, old, next;
};

static void open_both(struct stages *stages, const char *operation)
{
	stages->source = open_stage(stages->connection, stages->from, operation);
	stages->target = open_stage(stages->connection, stages->to, operation);
}

static void close_both(struct stages *stages)
{
	ems_heap_close(stages->source);
	ems_heap_close(stages->target);
}

static void through(struct stages *stages, const char *operation, one_value_t *take, give_value_t *give, bool back)
{
	open_both(stages, operation);
	for (int i = 0; i < stages->count; i++) {
		check(take(stages->source, ems_index(i), &stages->value));
		check(give(stages->target, ems_index(i), &stages->value));
		if (back)
			check(give(stages->source, ems_index(i), &stages->value));
	}
	close_both(stages);
}

static void leases(struct stages *stages)
{
	ems_lease_t lease;

	open_both(stages, "lease");
	for (int i = 0; i < stages->count; i++) {
		check(ems_read_fe_lease(stages->source, ems_index(i), &stages->value, &lease));
		check(ems_write_xf(stages->target, ems_index(i), &stages->value));
		check(ems_lease_put(&lease, &stages->value));
	}
	close_both(stages);
	open_both(stages, "queue_lease");
	for (int i = 0; i < stages->count; i++) {
		check(ems_dequeue_lease(stages->source, &stages->value, &lease));
		check(ems_enqueue(stages->target, &stages->value, NULL));
		check(ems_lease_keep(&lease));
	}
	close_both(stages);
}

static void items(struct stages *stages)
{
	open_both(stages, "queue");
	for (int i = 0; i < stages->count; i++) {
		check(ems_dequeue(stages->source, &stages->value));
		check(ems_enqueue(stages->target, &stages->value, NULL));
	}
	close_both(stages);
	open_both(stages, "stack");
	for (int i = 0; i < stages->count; i++) {
		check(ems_pop(stages->source, &stages->value));
		check(ems_push(stages->target, &stages->value, NULL));
	}
	close_both(stages);
}

static void changes(struct stages *stages)
{
	ems_value_t name;
	int code;

	open_both(stages, "swap");
	for (int i = 0; i < stages->count; i++) {
		check(ems_read(stages->source, ems_index(i), &stages->value));
		check(ems_swap(stages->target, ems_index(i), &stages->value, &stages->old));
		check(ems_write(stages->target, ems_index(stages->count + i), &stages->old));
	}
	close_both(stages);
	open_both(stages, "cas");
	for (int i = 0; i < stages->count; i++) {
		check(ems_read(stages->source, ems_index(i), &stages->value));
		check(ems_read(stages->source, ems_index((i + 1) % stages->count), &stages->next));
		check(ems_cas(stages->target, ems_index(i), &stages->value, &stages->next, &stages->old, NULL));
		check(ems_write(stages->target, ems_index(stages->count + i), &stages->old));
	}
	close_both(stages);
	open_both(stages, "faa");
	for (int i = 0; i < stages->count; i++) {
		check(ems_read(stages->source, ems_index(i), &stages->value));
		code = ems_faa(stages->target, ems_index(i), &stages->value, &stages->old);
		name = ems_value_string(ems_error_name(code));
		check(ems_write(stages->target, ems_index(stages->count + i), code < 0 ? &name : &stages->old));
	}
	close_both(stages);
}

static void transactions(struct stages *stages)
{
	ems_transaction_t *transaction;

	open_both(stages, "transaction");
	for (int i = 0; i < stages->count; i++) {
		const ems_transaction_element_t elements[] = {{stages->source, ems_index(i), true},
							      {stages->target, ems_index(i), false}};

		check(ems_transaction_begin(elements, 2, &transaction));
		check(ems_transaction_read(transaction, 0, &stages->value));
		check(ems_transaction_write(transaction, 1, &stages->value));
		check(ems_transaction_commit(transaction));
	}
	close_both(stages);
}

static void keys_too(struct stages *stages, int count)
{
	ems_heap_t *keys = open_stage(stages->connection, "keys", "values");

	open_both(stages, "map");
	for (int i = 0; i < count; i++) {
		check(ems_read(keys, ems_index(i), &stages->old));
		check(ems_read(stages->source, key_of(&stages->old), &stages->value));
		check(ems_write(stages->target, key_of(&stages->old), &stages->value));
	}
	close_both(stages);
	ems_heap_close(keys);
}

void copy_stage(ems_connection_t *connection, const char *from, const char *to, int count, int keys)
{
	struct stages stages = {.connection = connection,
				.from = from,
				.to = to,
				.count = count,
				.value = EMS_VALUE_INIT,
				.old = EMS_VALUE_INIT,
				.next = EMS_VALUE_INIT};

	through(&stages, "write", ems_read, ems_write, false);
	through(&stages, "full", ems_read_ff, ems_write_xf, false);
	through(&stages, "empty", ems_read_fe, ems_write_ef, true);
	leases(&stages);
	items(&stages);
	changes(&stages);
	transactions(&stages);
	keys_too(&stages, keys);
	ems_value_clear(&stages.value);
	ems_value_clear(&stages.old);
	ems_value_clear(&stages.next);
}
