/*
 * Six tables of a million elements, and transactions of one to five random elements of them: immediately, from a work queue,
 * and on strings; by as many processes as there are processors. Verified at the end: each transaction adds one to each of
 * its elements (a string gets another letter), and says how many it has; the elements must add up to that.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/atomic.h"
#include "tests/bench/bench.h"

#define TABLES 6
#define MOST   5

enum work { IMMEDIATE, FROM_QUEUE, ON_STRINGS };

struct tables {
	char names[TABLES][256];
	char queue_name[256];
	ems_heap_t *table[TABLES];
	ems_heap_t *queue;
	uint64_t elements;
	uint64_t *changed; /* shared */
	bool strings;
};

static void set_up(void *context, unsigned member)
{
	struct tables *tables = context;
	ems_connection_t *connection;

	(void)member;
	need(ems_connect(&connection, NULL));
	for (int i = 0; i < TABLES; i++)
		tables->table[i] = open_heap(connection, tables->names[i]);
	tables->queue = open_heap(connection, tables->queue_name);
}

static size_t choose(const struct tables *tables, uint64_t *state, ems_transaction_element_t set[static MOST])
{
	size_t size = 1 + next_random(state) % MOST;

	for (size_t k = 0; k < size; k++) {
		uint64_t random = next_random(state);

		set[k] = (ems_transaction_element_t){.heap = tables->table[random % TABLES],
						     .key = ems_index((int64_t)(random / TABLES % tables->elements))};
	}
	return size;
}

/* A text becomes "…x" again and again; it starts anew when it is long. Its length is not what is verified. */
static void change(ems_value_t *value, char text[static 64])
{
	if (value->type == EMS_INTEGER) {
		value->integer++;
		return;
	}
	memcpy(text, value->data, value->size);
	text[value->size] = 'x';
	*value = ems_value_data(EMS_STRING, text, value->size + 1);
}

static void transact(struct tables *tables, uint64_t state)
{
	ems_transaction_element_t set[MOST];
	size_t size = choose(tables, &state, set);
	static ems_value_t value;
	ems_transaction_t *transaction;
	char text[64];

	need(ems_transaction_begin(set, size, &transaction));
	for (size_t k = 0; k < size; k++) {
		ems_value_t changed;

		need(ems_transaction_read(transaction, k, &value));
		changed = value;
		change(&changed, text);
		need(ems_transaction_write(transaction, k, &changed));
	}
	need(ems_transaction_commit(transaction));
	(void)add64(tables->changed, size);
}

static void do_work(void *context, unsigned member, unsigned work, uint64_t count)
{
	struct tables *tables = context;
	ems_value_t order = EMS_VALUE_INIT;

	for (uint64_t i = 0; i < count; i++) {
		if (work != FROM_QUEUE) {
			transact(tables, i * 16 + member);
			continue;
		}
		need(ems_dequeue_until(tables->queue, &order, EMS_FOREVER));
		transact(tables, (uint64_t)order.integer);
	}
}

static void fail(const char *what, uint64_t expected, uint64_t found)
{
	fprintf(stderr, "bench: %s: %llu changes were made, and the elements say %llu\n", what,
		(unsigned long long)expected, (unsigned long long)found);
	exit(1);
}

static void verify(const struct tables *tables, const char *what)
{
	ems_value_t value = EMS_VALUE_INIT;
	uint64_t sum = 0;

	for (int t = 0; t < TABLES; t++) {
		for (uint64_t i = 0; i < tables->elements; i++) {
			need(ems_read(tables->table[t], ems_index((int64_t)i), &value));
			sum += tables->strings ? value.size : (uint64_t)value.integer;
		}
	}
	ems_value_clear(&value);
	if (sum != *tables->changed)
		fail(what, *tables->changed, sum);
}

static void make(struct bench *bench, struct tables *tables)
{
	ems_value_t first = tables->strings ? ems_value_string("") : ems_value_integer(0);

	for (int i = 0; i < TABLES; i++) {
		tables->table[i] = new_heap(bench, &(ems_heap_options_t){.elements = tables->elements, .fill = &first});
		snprintf(tables->names[i], sizeof(tables->names[i]), "%s", ems_heap_name(tables->table[i]));
	}
	tables->queue = new_heap(bench, &(ems_heap_options_t){.elements = 2000000});
	snprintf(tables->queue_name, sizeof(tables->queue_name), "%s", ems_heap_name(tables->queue));
}

static void run(struct bench *bench, enum work work, const char *what)
{
	uint64_t transactions = (uint64_t)BENCH_PICK(bench, 200, 200000, 1000000);
	unsigned turns = (unsigned)BENCH_PICK(bench, 1, 3, 5), members = measure_processors();
	struct tables tables = {.elements = (uint64_t)BENCH_PICK(bench, 100, 1000000, 1000000), .strings = work == ON_STRINGS};
	double rates[MEASURE_TURNS_MAX];
	crew_t *crew;

	members = members > CREW_MAX ? CREW_MAX : members;
	make(bench, &tables);
	tables.changed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need_system(tables.changed != MAP_FAILED, "memory");
	crew = crew_start(members, &(struct crew_job){set_up, &tables, do_work});
	for (unsigned i = 0; i < turns; i++) {
		uint64_t each = transactions / members;

		for (uint64_t k = 0; work == FROM_QUEUE && k < each * members; k++) {
			ems_value_t order = ems_value_integer((int64_t)k);

			need(ems_enqueue(tables.queue, &order, NULL));
		}
		rates[i] = (double)(each * members) * 1e3 / crew_run(crew, members, work, each);
	}
	crew_end(crew);
	verify(&tables, what);
	report_figure(&(struct figure){.what = what, .unit = "M/s", .measured = spread_of(rates, turns)});
	for (int i = 0; i < TABLES; i++)
		ems_heap_close(tables.table[i]);
	ems_heap_close(tables.queue);
	munmap(tables.changed, 4096);
}

void row_tables(struct bench *bench)
{
	run(bench, IMMEDIATE, "six tables, transactions");
	run(bench, FROM_QUEUE, "six tables, transactions from a queue");
	run(bench, ON_STRINGS, "six tables, transactions on strings");
}
