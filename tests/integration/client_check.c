/*
 * client_check.c: looking at a heap, and saving what is left of one that a writer has scribbled over; what other clients of such a heap
 * get meanwhile: errors, and no crash.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/integration/client.h"

#define KEYS 400

/* ---- the memory, as a writer has it ---- */

struct memory {
	uint8_t *base;
	size_t size;
};

/* The mapping of the heap that is open for writing, and is not the one at `except`: found as any program could find it. */
static struct memory memory_of_heap(const uint8_t *except)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	struct memory found = {0};
	char line[512];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long begin, end;
		char rights[8];

		if (strstr(line, "memfd:ems-heap") && sscanf(line, "%lx-%lx %7s", &begin, &end, rights) == 3 &&
		    rights[1] == 'w' && (const uint8_t *)begin != except && end - begin > found.size)
			found = (struct memory){(uint8_t *)begin, end - begin};
	}
	fclose(maps);
	ck_assert_ptr_nonnull(found.base);
	return found;
}

/* Writes over some words of the pages that are in memory; first: bytes at the beginning that are left alone. */
static void scribble(struct memory memory, uint64_t *state, size_t first, unsigned one_in)
{
	static unsigned char resident[1 << 20];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), most = sizeof(resident) * page;

	memory.size = memory.size < most ? memory.size : most;
	ck_assert_int_eq(mincore(memory.base, memory.size, resident), 0);
	for (size_t at = 0; at < memory.size; at += page) {
		uint64_t *words = (uint64_t *)(memory.base + at);

		if (!(resident[at / page] & 1) || at < first)
			continue;
		for (size_t i = 0; i < page / sizeof(*words); i++) {
			uint64_t word = unit_random(state);

			if (unit_random(state) % one_in)
				continue;
			switch (unit_random(state) % 4) {
			case 0:
				words[i] = word;
				break;
			case 1:
				words[i] = word % 64;
				break;
			case 2:
				words[i] ^= UINT64_C(1) << word % 64;
				break;
			default:
				words[i] = word % memory.size & ~UINT64_C(15);
				break;
			}
		}
	}
}

/* ---- a heap with something of everything ---- */

static ems_heap_t *make_full(ems_connection_t *connection, const char *name, bool map)
{
	ems_heap_options_t options = {.elements = 2 * KEYS, .map = map, .mode = 0640};
	ems_heap_t *heap = make_heap(connection, name, &options);
	char text[200];

	for (int i = 0; i < KEYS; i++) {
		ems_value_t value;

		snprintf(text, sizeof(text), "the value of element %d, which is not short enough to be in the cell", i);
		value = text_value(text);
		ck_ok(ems_write(heap, ems_index(i), &value));
		if (map && i % 4 == 0) {
			snprintf(text, sizeof(text), "a longer key, number %d", i);
			ck_ok(ems_write_int64(heap, ems_key(text), i));
		}
	}
	ck_ok(ems_write_xe(heap, ems_index(3), &(ems_value_t){.type = EMS_INTEGER, .integer = 33}));
	for (int i = 0; i < 10; i++) {
		ems_value_t item = ems_value_integer(i);

		ck_ok(ems_enqueue(heap, &item, NULL));
		ck_ok(ems_push(heap, &item, NULL));
	}
	return heap;
}

static void print_text(void *arg, const char *text)
{
	(void)arg;
	printf("  %s\n", text);
}

static void count_text(void *arg, const char *text)
{
	unsigned *count = arg;

	ck_assert(text[0] && !strchr(text, '\n'));
	++*count;
}

static void check_contents(ems_heap_t *heap, bool map)
{
	ems_value_t value = EMS_VALUE_INIT;
	ems_tag_t tag;
	int64_t number;
	char text[200];

	for (int i = 0; i < KEYS; i++) {
		if (i == 3)
			continue;
		snprintf(text, sizeof(text), "the value of element %d, which is not short enough to be in the cell", i);
		ck_ok(ems_read(heap, ems_index(i), &value));
		ck_assert_uint_eq(value.size, strlen(text));
		ck_assert_mem_eq(value.data, text, value.size);
		if (map && i % 4 == 0) {
			snprintf(text, sizeof(text), "a longer key, number %d", i);
			ck_ok(ems_read_int64(heap, ems_key(text), &number));
			ck_assert_int_eq(number, i);
		}
	}
	ck_ok(ems_get_tag(heap, ems_index(3), &tag));
	ck_assert_int_eq(tag, EMS_EMPTY);
	for (int i = 0; i < 10; i++) {
		ck_ok(ems_dequeue(heap, &value));
		ck_assert_int_eq(value.integer, i);
		ck_ok(ems_pop(heap, &value));
		ck_assert_int_eq(value.integer, 9 - i);
	}
	ems_value_clear(&value);
}

/* ---- tests ---- */

START_TEST(test_healthy)
{
	ems_connection_t *connection = connect_daemon();

	for (int map = 0; map < 2; map++) {
		ems_heap_t *heap = make_full(connection, "check/healthy", map);
		unsigned count = 0;
		ems_check_t check;

		/* Our own thread is at work in it, and nothing is wrong with that. */
		ck_ok(ems_heap_check(connection, "check/healthy", EMS_FOREVER, count_text, &count, &check));
		ck_assert_uint_eq(check.problems, 0);
		ck_assert(check.live && !check.quarantined && !check.incomplete);
		ems_heap_detach_thread(heap);
		ck_ok(ems_heap_check(connection, "check/healthy", EMS_FOREVER, print_text, NULL, &check));
		ck_assert_uint_eq(check.problems, 0);
		ck_assert(!check.live);
		ck_assert_uint_eq(check.queued, 10);
		ck_assert_uint_eq(check.stacked, 10);
		ck_assert_uint_eq(check.elements, map ? KEYS + KEYS / 4 : KEYS);
		ck_assert_uint_eq(count, 0);
		check_contents(heap, map);
		end_heap(connection, heap);
	}
	ck_ems(ems_heap_check(connection, "check/none", EMS_FOREVER, NULL, NULL, NULL), EMS_ENOTFOUND);
	ck_ems(ems_heap_check(connection, NULL, EMS_FOREVER, NULL, NULL, NULL), EMS_ENAME);
	ck_ems(ems_heap_check(NULL, "check/none", EMS_FOREVER, NULL, NULL, NULL), EMS_EINVALID);
	ck_ems(ems_heap_repair(connection, "check/none", NULL, NULL, NULL), EMS_ENOTFOUND);
	ems_disconnect(connection);
}
END_TEST

/* A repair of a healthy heap copies it. */
START_TEST(test_repair_of_healthy)
{
	ems_connection_t *connection = connect_daemon();

	for (int map = 0; map < 2; map++) {
		ems_heap_t *heap = make_full(connection, "check/copied", map), *copy;
		ems_heap_info_t info;
		ems_check_t check;

		ck_ok(ems_heap_repair(connection, "check/copied", print_text, NULL, &check));
		ck_assert_uint_eq(check.lost, 0);
		ck_assert_uint_eq(check.elements, map ? KEYS + KEYS / 4 : KEYS);
		ck_assert_uint_eq(check.queued, 10);
		ck_assert_uint_eq(check.stacked, 10);
		/* Who has the old one keeps that. */
		ck_assert(ems_heap_is_dropped(heap));
		check_contents(heap, map);
		ems_heap_close(heap);
		ck_ok(ems_heap_inspect(connection, "check/copied", &info));
		ck_assert_uint_eq(info.mode, 0640);
		ck_ok(ems_heap_open(connection, "check/copied", EMS_OPEN_EXISTING, NULL, &copy));
		check_contents(copy, map);
		end_heap(connection, copy);
	}
	ems_disconnect(connection);
}
END_TEST

/* The header is gone: later comers are refused, it is listed as what it is, and everything in it is saved. */
START_TEST(test_header)
{
	ems_connection_t *connection = connect_daemon(), *other = connect_daemon();
	ems_heap_t *heap = make_full(connection, "check/header", true), *late;
	ems_heap_info_t *infos = NULL, info;
	ems_check_t check;
	unsigned count = 0;
	size_t listed;

	ems_heap_detach_thread(heap);
	memset(memory_of_heap(NULL).base, 0x5a, 4096);
	ck_ems(ems_heap_open(other, "check/header", EMS_OPEN_EXISTING, NULL, &late), EMS_ECORRUPT);
	ck_assert_msg(strstr(ems_last_error()->message, "quarantined"), "%s", ems_last_error()->message);
	ck_ok(ems_heap_inspect(other, "check/header", &info));
	ck_assert(info.quarantined);
	ck_ok(ems_heap_list(other, "check/header", &infos, &listed));
	ck_assert_uint_eq(listed, 1);
	ck_assert(infos[0].quarantined);
	free(infos);
	ck_ok(ems_heap_check(other, "check/header", EMS_FOREVER, count_text, &count, &check));
	ck_assert(check.quarantined);
	ck_assert_uint_ge(check.problems, 1);
	ck_assert_uint_eq(count, check.problems);
	ck_ok(ems_heap_repair(other, "check/header", print_text, NULL, &check));
	ck_assert_uint_eq(check.lost, 0);
	ck_assert(ems_heap_is_dropped(heap));
	ems_heap_close(heap);
	ck_ok(ems_heap_open(other, "check/header", EMS_OPEN_EXISTING, NULL, &late));
	check_contents(late, true);
	ck_ok(ems_heap_check(other, "check/header", EMS_FOREVER, print_text, NULL, &check));
	ck_assert_uint_eq(check.problems, 0);
	end_heap(other, late);
	ems_disconnect(other);
	ems_disconnect(connection);
}
END_TEST

/* Everything that a client can do, with a deadline where it may wait; what it answers is not the point. */
static void do_everything(ems_heap_t *heap, uint64_t *state)
{
	ems_value_t value = EMS_VALUE_INIT, number = ems_value_integer(5);
	ems_value_t text = text_value("a text that is long enough to need storage of its own");

	uint64_t enough = ems_deadline_in(400 * MS); /* one that needs a new table may try for a second */

	for (int i = 0; i < 300 && ems_deadline_in(0) < enough; i++) {
		ems_key_t key = ems_index((int64_t)(unit_random(state) % (2 * KEYS)));
		ems_deadline_t soon = ems_deadline_in(MS / 10);
		int64_t sum;
		ems_tag_t tag;

		switch (unit_random(state) % 16) {
		case 0:
			(void)ems_write_until(heap, key, &text, soon);
			break;
		case 1:
			(void)ems_write_xf_until(heap, key, &number, soon);
			break;
		case 2:
			(void)ems_read_fe_until(heap, key, &value, soon);
			break;
		case 3:
			(void)ems_write_ef_until(heap, key, &text, soon);
			break;
		case 4:
			(void)ems_faa_until(heap, key, &number, &value, soon);
			break;
		case 5:
			(void)ems_enqueue_until(heap, &text, NULL, soon);
			break;
		case 6:
			(void)ems_dequeue_until(heap, &value, soon);
			break;
		case 7:
			(void)ems_push_until(heap, &text, NULL, soon);
			break;
		case 8:
			(void)ems_pop_until(heap, &value, soon);
			break;
		case 9:
			(void)ems_delete_until(heap, key, soon);
			break;
		case 10:
			if (ems_read_rw_until(heap, key, &value, soon) == 0)
				(void)ems_release_rw(heap, key, NULL);
			break;
		case 11:
			(void)ems_get_tag(heap, key, &tag);
			break;
		case 12:
			(void)ems_queue_peek(heap, &value);
			(void)ems_stack_peek(heap, &value);
			break;
		case 13:
			(void)ems_key_to_index(heap, key, (uint64_t *)&sum);
			break;
		default:
			(void)ems_read(heap, key, &value);
			break;
		}
	}
	ems_value_clear(&value);
}

static void iterate(ems_heap_t *heap)
{
	ems_value_t value = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	ems_key_t key;

	if (ems_iterate(heap, &iterator) == 0)
		for (int i = 0; i < 10 * KEYS; i++)
			if (ems_iterator_next(iterator, &key, &value) == -EMS_EEMPTY)
				break;
	ems_iterator_free(iterator);
	ems_value_clear(&value);
}

/* A client of the scribbled heap, in a process of its own: it must end by itself, and not by a signal. */
static void use_scribbled(const char *name, uint64_t seed)
{
	uint64_t state = seed | 1;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		ems_connection_t *connection;
		ems_heap_t *heap;

		alarm(90);
		child_ok(ems_connect(&connection, NULL));
		if (ems_heap_open(connection, name, EMS_OPEN_EXISTING, NULL, &heap) == 0) {
			do_everything(heap, &state);
			iterate(heap);
		}
		ems_disconnect(connection);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a client of a scribbled heap ended with %x (seed 0x%llx)",
		      status, (unsigned long long)seed);
}

START_TEST(test_scribbled)
{
	const char *wanted = getenv("EMS_TEST_ROUNDS");
	int rounds = wanted ? atoi(wanted) : 18;
	ems_connection_t *connection = connect_daemon(), *witness = connect_daemon();
	ems_heap_options_t ten = {.elements = 10};
	ems_heap_t *sound = make_heap(witness, "check/sound", &ten);
	const uint8_t *except = memory_of_heap(NULL).base;
	uint64_t state = unit_seed(), kept = 0, lost = 0;

	for (int i = 0; i < rounds; i++) {
		static const unsigned densities[] = {2, 20, 200};
		ems_heap_t *heap = make_full(connection, "check/scribbled", i % 2), *after;
		unsigned count = 0;
		ems_check_t check;
		int64_t number;

		ems_heap_detach_thread(heap);
		/* In some rounds everything, in others all but the header, so that it is handed out still. */
		scribble(memory_of_heap(except), &state, i % 3 ? 4096 : 0, densities[i / 2 % 3]);
		use_scribbled("check/scribbled", unit_random(&state));
		ck_ok(ems_heap_check(connection, "check/scribbled", ems_deadline_in(2000 * MS), count_text, &count, &check));
		/* A few words may have been values only. */
		ck_assert_msg(check.problems || check.quarantined || check.live || check.incomplete || i / 2 % 3 == 2,
			      "round %d: nothing is noticed", i);
		ck_assert_uint_eq(count, check.problems < 1000 ? check.problems : count);
		ck_ok(ems_heap_repair(connection, "check/scribbled", NULL, NULL, &check));
		kept += check.elements;
		lost += check.lost;
		ems_heap_close(heap);
		ck_ok(ems_heap_open(connection, "check/scribbled", EMS_OPEN_EXISTING, NULL, &after));
		ems_heap_detach_thread(after);
		ck_ok(ems_heap_check(connection, "check/scribbled", EMS_FOREVER, print_text, NULL, &check));
		ck_assert_uint_eq(check.problems, 0);
		end_heap(connection, after);
		/* Others notice nothing. */
		ck_ok(ems_write_int64(sound, ems_index(1), i));
		ck_ok(ems_faa_int64(sound, ems_index(1), 1, &number));
		ck_assert_int_eq(number, i);
	}
	printf("%d rounds: %llu elements kept, %llu losses\n", rounds, (unsigned long long)kept, (unsigned long long)lost);
	end_heap(witness, sound);
	ems_disconnect(witness);
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/check", test_healthy, test_repair_of_healthy, test_header, test_scribbled)
