/*
 * Rows of one thread: the queue, the key map, transactions. Verified where there is something to verify.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "client/emsctl/limit.h"
#include "tests/bench/bench.h"

/* ---- queue and stack ---- */

struct items {
	ems_heap_t *heap;
	ems_value_t item, value;
	struct limit limit;
};

static void cas(void *context, uint64_t count)
{
	limit_cas(&((struct items *)context)->limit, count);
}

static void enqueue_dequeue(void *context, uint64_t count)
{
	struct items *items = context;

	for (uint64_t i = 0; i < count; i++) {
		need(ems_enqueue(items->heap, &items->item, NULL));
		need(ems_dequeue(items->heap, &items->value));
	}
}

static void push_pop(void *context, uint64_t count)
{
	struct items *items = context;

	for (uint64_t i = 0; i < count; i++) {
		need(ems_push(items->heap, &items->item, NULL));
		need(ems_pop(items->heap, &items->value));
	}
}

void row_queue(struct bench *bench)
{
	struct items *items = aligned_alloc(64, (sizeof(*items) + 63) / 64 * 64);
	struct comparison comparison;

	need_system(items != NULL, "memory");
	memset(items, 0, sizeof(*items));
	items->heap = new_heap(bench, &(ems_heap_options_t){.elements = 1024});
	items->item = ems_value_integer(7);
	comparison = measure_compare(&bench->measure, enqueue_dequeue, cas, items);
	report_comparison("enqueue and dequeue an integer", "faa by a 16-byte CAS", &comparison, RATIO_AT_MOST, 3);
	comparison = measure_compare(&bench->measure, push_pop, cas, items);
	report_comparison("push and pop an integer", "faa by a 16-byte CAS", &comparison, TARGET_NONE, 0);
	ems_heap_close(items->heap);
	free(items);
}

/* ---- the key map ---- */

/* A table as one would write it for one thread: open addressing, a hash of 64 bits and the key's place in each slot. */
struct own_slot {
	uint64_t hash;
	const char *key;
	int64_t count;
};

struct keys {
	ems_heap_t *heap;
	uint64_t count, mask, random;
	char *texts;
	struct own_slot *slots;
};

#define KEY_SIZE 14

static void write_key(uint64_t number, char text[static KEY_SIZE])
{
	memcpy(text, "user:", 5);
	for (int i = KEY_SIZE - 1; i >= 5; i--, number /= 10)
		text[i] = (char)('0' + number % 10);
}

static struct own_slot *own_find(const struct keys *keys, const char *text)
{
	uint64_t hash = XXH3_64bits(text, KEY_SIZE);
	struct own_slot *slot = &keys->slots[hash & keys->mask];

	while (slot->key && (slot->hash != hash || memcmp(slot->key, text, KEY_SIZE) != 0))
		slot = slot == &keys->slots[keys->mask] ? keys->slots : slot + 1;
	if (!slot->key)
		slot->hash = hash;
	return slot;
}

static void count_in_table(void *context, uint64_t count)
{
	struct keys *keys = context;
	char text[KEY_SIZE];

	for (uint64_t i = 0; i < count; i++) {
		write_key(next_random(&keys->random) % keys->count, text);
		own_find(keys, text)->count++;
	}
}

static void count_in_heap(void *context, uint64_t count)
{
	struct keys *keys = context;
	char text[KEY_SIZE];

	for (uint64_t i = 0; i < count; i++) {
		write_key(next_random(&keys->random) % keys->count, text);
		need(ems_faa_int64(keys->heap, ems_key_bytes(text, KEY_SIZE), 1, NULL));
	}
}

void row_map(struct bench *bench)
{
	struct keys keys = {.count = (uint64_t)BENCH_PICK(bench, 1000, 500000, 500000), .random = 7};
	struct comparison comparison;

	for (keys.mask = 1; keys.mask < keys.count * 2; keys.mask *= 2)
		continue;
	keys.mask--;
	keys.texts = malloc(keys.count * KEY_SIZE);
	keys.slots = calloc(keys.mask + 1, sizeof(*keys.slots));
	need_system(keys.texts && keys.slots, "memory");
	keys.heap = new_heap(bench, &(ems_heap_options_t){.elements = keys.count, .map = true});
	for (uint64_t i = 0; i < keys.count; i++) {
		char *text = &keys.texts[i * KEY_SIZE];

		write_key(i, text);
		own_find(&keys, text)->key = text;
		need(ems_write_int64(keys.heap, ems_key_bytes(text, KEY_SIZE), 0));
	}
	comparison = measure_compare(&bench->measure, count_in_heap, count_in_table, &keys);
	report_comparison(bench->tiny ? "find one of 1,000 keys, and faa" : "find one of 500,000 keys, and faa",
			  "a table in private memory", &comparison, RATIO_AT_MOST, 1.5);
	ems_heap_close(keys.heap);
	free(keys.texts);
	free(keys.slots);
}

/* ---- transactions ---- */

#define MOST 5

struct bank {
	ems_heap_t *heap;
	uint64_t elements, random;
	struct limit limit;
};

/* A transaction that moves an amount from the first of one to five elements to each of the others. */
static void transact(void *context, uint64_t count)
{
	struct bank *bank = context;
	ems_transaction_element_t set[MOST];
	ems_transaction_t *transaction;
	ems_value_t value = EMS_VALUE_INIT;

	for (uint64_t i = 0; i < count; i++) {
		size_t size = 1 + next_random(&bank->random) % MOST;
		int64_t paid = (int64_t)size - 1;

		for (size_t k = 0; k < size; k++)
			set[k] = (ems_transaction_element_t){
				.heap = bank->heap,
				.key = ems_index((int64_t)(next_random(&bank->random) % bank->elements))};
		need(ems_transaction_begin(set, size, &transaction));
		for (size_t k = 0; k < size; k++) {
			need(ems_transaction_read(transaction, k, &value));
			value.integer += k == 0 ? -paid : 1;
			need(ems_transaction_write(transaction, k, &value));
		}
		need(ems_transaction_commit(transaction));
	}
}

static void faa_of_three(void *context, uint64_t count)
{
	struct bank *bank = context;

	for (uint64_t i = 0; i < count * 3; i++)
		need(ems_faa_int64(bank->heap, ems_index((int64_t)(next_random(&bank->random) % bank->elements)), 0,
				   NULL));
}

static void check_sum(const struct bank *bank)
{
	enum { BLOCK = 4096 };
	static int64_t block[BLOCK];
	int64_t sum = 0;

	for (uint64_t first = 0; first < bank->elements; first += BLOCK) {
		uint64_t count = bank->elements - first < BLOCK ? bank->elements - first : BLOCK;

		need(ems_read_range_int64(bank->heap, first, count, block, NULL));
		for (uint64_t i = 0; i < count; i++)
			sum += block[i];
	}
	if (sum == (int64_t)bank->elements * 1000)
		return;
	fprintf(stderr, "bench: transactions have changed the sum of all elements to %lld\n", (long long)sum);
	exit(1);
}

void row_transaction(struct bench *bench)
{
	struct bank bank = {.elements = (uint64_t)BENCH_PICK(bench, 1000, 6000000, 6000000), .random = 20};
	ems_value_t balance = ems_value_integer(1000);
	struct comparison comparison;
	struct figure figure = {.what = "transactions of 1 to 5 random elements", .unit = "M/s",
				.beside = "three faa each", .kind = VALUE_AT_LEAST, .target = 2};

	bank.heap = new_heap(bench, &(ems_heap_options_t){.elements = bank.elements});
	need(ems_fill(bank.heap, 0, bank.elements, &balance, 0, NULL));
	comparison = measure_compare(&bench->measure, transact, faa_of_three, &bank);
	figure.measured = (struct spread){1e3 / comparison.measured.median, 1e3 / comparison.measured.high,
					  1e3 / comparison.measured.low, 1e3 / comparison.measured.most,
					  1e3 / comparison.measured.least};
	figure.limit = (struct spread){1e3 / comparison.limit.median, 1e3 / comparison.limit.high,
				       1e3 / comparison.limit.low, 1e3 / comparison.limit.most,
				       1e3 / comparison.limit.least};
	figure.ratio = comparison.ratio;
	report_figure(&figure);
	check_sum(&bank);
	ems_heap_close(bank.heap);
}
