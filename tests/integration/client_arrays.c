/*
 * Whole-array operations: alone and by teams of several sizes, which must come to the same, bit for bit; callbacks that
 * fail; members that die.
 */
#include <signal.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "tests/integration/client.h"

#define MOST  5
#define COUNT 5000
#define CODE  (-1234) /* a callback's own error */

/* What a process needs: its handles, and how it calls. */
struct party {
	ems_connection_t *connection;
	ems_heap_t *source, *target, *scratch;
	ems_team_t *team;
	ems_array_options_t options;
	uint64_t done;
	uint32_t member;
};

/* What they all must come to. */
struct outcome {
	double mapped[COUNT], scanned[COUNT], shifted[COUNT], permuted[COUNT], filtered[COUNT];
	uint64_t kept, count;
	ems_value_t sum;
};

typedef void party_body(struct party *party);

static uint64_t *shared; /* words for everybody */
static pid_t pids[MOST];
static uint64_t counts[] = {0, 1, 7, 1000, 1024, 1025, COUNT};
static uint64_t count_now;
static struct outcome expected;

#define WAIT_UNTIL(condition)                \
	do {                                 \
		while (!(condition))         \
			(void)sched_yield(); \
	} while (0)

/* What must hold, in whatever process. */
#define CHECK(condition)                                                                                   \
	do {                                                                                               \
		if (!(condition)) {                                                                        \
			(void)fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,           \
				      ems_last_error()->message);                                          \
			abort();                                                                           \
		}                                                                                          \
	} while (0)

/* ---- parties ---- */

static void open_party(struct party *party, ems_open_t how)
{
	*party = (struct party){.connection = NULL};
	CHECK(ems_connect(&party->connection, NULL) == 0);
	CHECK(ems_heap_open(party->connection, "arrays/source", how, &(ems_heap_options_t){.elements = COUNT},
			    &party->source) == 0);
	CHECK(ems_heap_open(party->connection, "arrays/target", how, &(ems_heap_options_t){.elements = 2 * COUNT},
			    &party->target) == 0);
	CHECK(ems_heap_open(party->connection, "arrays/scratch", how,
			    &(ems_heap_options_t){.elements = EMS_ARRAY_SCRATCH}, &party->scratch) == 0);
	party->options = (ems_array_options_t){.done = &party->done};
}

static void main_party(struct party *party)
{
	if (!shared)
		shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(shared != MAP_FAILED);
	memset(shared, 0, 4096);
	open_party(party, EMS_REPLACE);
}

static void end_party(struct party *party)
{
	end_heap(party->connection, party->source);
	end_heap(party->connection, party->target);
	end_heap(party->connection, party->scratch);
	ems_disconnect(party->connection);
}

static void start(uint32_t i, const ems_team_options_t *options, party_body *body)
{
	pid_t parent = getpid();
	ems_team_options_t mine = *options;
	struct party party;

	(void)fflush(NULL);
	pids[i] = fork();
	ck_assert_int_ge(pids[i], 0);
	if (pids[i] > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(98);
	open_party(&party, EMS_OPEN_EXISTING);
	mine.has_member = true;
	mine.member = i;
	CHECK(ems_team_join(party.connection, "arrays", &mine, &party.team) == 0);
	party.member = i;
	party.options.team = party.team;
	party.options.scratch = party.scratch;
	body(&party);
	CHECK(ems_team_leave(party.team) == 0);
	ems_disconnect(party.connection);
	_exit(0);
}

static int reap(uint32_t i)
{
	int status = 0;

	ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
	pids[i] = 0;
	return status;
}

static void finish(void)
{
	for (uint32_t i = 0; i < MOST; i++)
		if (pids[i] > 0)
			ck_assert_int_eq(reap(i), 0);
}

static void play(const ems_team_options_t *options, party_body *body)
{
	for (uint32_t i = 0; i < options->size; i++)
		start(i, options, body);
	finish();
}

/* ---- callbacks ---- */

static int make_number(void *context, uint64_t index, ems_value_t *result)
{
	uint64_t bits = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);

	(void)context;
	*result = ems_value_float(((double)(bits >> 11) - 4e15) / (double)(1 + bits % 1000));
	return 0;
}

static int half(void *context, uint64_t index, const ems_value_t *value, ems_value_t *result)
{
	(void)context, (void)index;
	*result = ems_value_float(value->number / 3);
	return 0;
}

static int add(void *context, const ems_value_t *left, const ems_value_t *right, ems_value_t *result)
{
	(void)context;
	*result = ems_value_float(left->number + right->number);
	return 0;
}

static int positive(void *context, uint64_t index, const ems_value_t *value)
{
	(void)context, (void)index;
	return value->number > 0;
}

static int backwards(void *context, uint64_t index, uint64_t *source)
{
	*source = *(uint64_t *)context - 1 - index;
	return 0;
}

/* ---- the same, whoever does it ---- */

static ems_range_t source_of(const struct party *party)
{
	return (ems_range_t){party->source, COUNT - count_now, count_now};
}

static ems_range_t target_of(const struct party *party)
{
	return (ems_range_t){party->target, 3, count_now};
}

static void numbers_of(struct party *party, uint64_t count, double *numbers)
{
	memset(numbers, 0, COUNT * sizeof(*numbers));
	CHECK(ems_read_range_double(party->target, 3, count, numbers, NULL) == 0);
	CHECK(ems_team_barrier(party->team) == 0); /* nobody writes on before all have read */
}

static void do_everything(struct party *party, struct outcome *outcome)
{
	ems_range_t from = source_of(party), to = target_of(party);
	ems_value_t initial = ems_value_float(0.1);
	const ems_array_options_t *options = &party->options;

	outcome->count = count_now;
	CHECK(ems_array_fill(&from, make_number, NULL, options) == 0 && party->done == count_now);
	CHECK(ems_array_map(&from, &to, half, NULL, options) == 0 && party->done == count_now);
	numbers_of(party, count_now, outcome->mapped);
	CHECK(ems_array_scan(&from, &to, add, NULL, NULL, false, options) == 0);
	numbers_of(party, count_now, outcome->scanned);
	CHECK(ems_array_scan(&to, &to, add, NULL, &initial, true, options) == 0); /* in place */
	numbers_of(party, count_now, outcome->shifted);
	CHECK(ems_array_permute(&from, &to, backwards, &count_now, options) == 0);
	numbers_of(party, count_now, outcome->permuted);
	CHECK(ems_array_copy(&from, &to, options) == 0);
	CHECK(ems_array_map(&to, &to, half, NULL, options) == 0);
	CHECK(ems_array_filter(&from, &to, positive, NULL, &outcome->kept, options) == 0);
	numbers_of(party, outcome->kept, outcome->filtered);
	CHECK(ems_array_reduce(&from, add, NULL, &initial, &outcome->sum, options) == 0);
}

static void same_outcome(struct party *party)
{
	static struct outcome outcome;

	do_everything(party, &outcome);
	CHECK(outcome.kept == expected.kept && outcome.count == expected.count);
	CHECK(memcmp(outcome.mapped, expected.mapped, sizeof(outcome.mapped)) == 0);
	CHECK(memcmp(outcome.scanned, expected.scanned, sizeof(outcome.scanned)) == 0);
	CHECK(memcmp(outcome.shifted, expected.shifted, sizeof(outcome.shifted)) == 0);
	CHECK(memcmp(outcome.permuted, expected.permuted, sizeof(outcome.permuted)) == 0);
	CHECK(memcmp(outcome.filtered, expected.filtered, sizeof(outcome.filtered)) == 0);
	CHECK(outcome.sum.type == expected.sum.type && outcome.sum.integer == expected.sum.integer);
}

START_TEST(test_the_same_by_any_number)
{
	struct party party;

	main_party(&party);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		count_now = counts[i];
		memset(&expected, 0, sizeof(expected));
		do_everything(&party, &expected);
		for (uint32_t size = 1; size <= MOST; size++)
			play(&(ems_team_options_t){.size = size, .elastic = false}, same_outcome);
	}
	end_party(&party);
}
END_TEST

/* The values themselves, computed here in the simplest way, of numbers of which all sums are exact. */
static int make_index(void *context, uint64_t index, ems_value_t *result)
{
	(void)context;
	*result = ems_value_float((double)index);
	return 0;
}

START_TEST(test_the_right_values)
{
	struct party party;
	ems_value_t sum = EMS_VALUE_INIT, initial = ems_value_float(1);
	uint64_t count = COUNT, kept = 0;
	double out[COUNT];

	main_party(&party);
	count_now = COUNT;
	ems_range_t from = source_of(&party), to = target_of(&party), empty = {party.source, COUNT, 0};

	ck_ok(ems_array_fill(&from, make_index, NULL, NULL));
	ck_ok(ems_array_reduce(&from, add, NULL, NULL, &sum, NULL));
	ck_assert(sum.type == EMS_FLOAT && sum.number == COUNT * (COUNT - 1.0) / 2);
	ck_ok(ems_array_reduce(&empty, add, NULL, NULL, &sum, NULL));
	ck_assert_uint_eq(sum.type, EMS_UNDEFINED);
	ck_ok(ems_array_reduce(&empty, add, NULL, &initial, &sum, NULL));
	ck_assert(sum.type == EMS_FLOAT && sum.number == 1);
	ck_ok(ems_array_scan(&from, &to, add, NULL, &initial, false, NULL));
	ck_ok(ems_read_range_double(party.target, 3, COUNT, out, NULL));
	for (int i = 0; i < COUNT; i++)
		ck_assert(out[i] == 1 + i * (i + 1.0) / 2);
	ck_ok(ems_array_scan(&from, &to, add, NULL, NULL, true, NULL));
	ck_reads(party.target, ems_index(3), &(ems_value_t)EMS_VALUE_INIT);
	ck_ok(ems_read_range_double(party.target, 3, COUNT, out, NULL));
	for (int i = 1; i < COUNT; i++)
		ck_assert(out[i] == i * (i - 1.0) / 2);
	ck_ok(ems_array_permute(&from, &to, backwards, &count, NULL));
	ck_ok(ems_read_range_double(party.target, 3, COUNT, out, NULL));
	for (int i = 0; i < COUNT; i++)
		ck_assert(out[i] == COUNT - 1 - i);
	ck_ok(ems_array_filter(&from, &to, positive, NULL, &kept, NULL));
	ck_assert_uint_eq(kept, COUNT - 1);
	to.count = COUNT - 2;
	ck_ems(ems_array_filter(&from, &to, positive, NULL, &kept, NULL), EMS_EFULL);
	end_party(&party);
}
END_TEST

/* ---- text, tags, maps ---- */

static int make_text(void *context, uint64_t index, ems_value_t *result)
{
	static char text[32];

	(void)context;
	(void)snprintf(text, sizeof(text), "%llu,", (unsigned long long)index);
	*result = ems_value_string(text);
	return 0;
}

static int join(void *context, const ems_value_t *left, const ems_value_t *right, ems_value_t *result)
{
	static char text[65536];

	(void)context;
	CHECK(left->type == EMS_STRING && right->type == EMS_STRING && left->size + right->size < sizeof(text));
	memcpy(text, left->data, left->size);
	memcpy(text + left->size, right->data, right->size);
	*result = ems_value_data(EMS_STRING, text, left->size + right->size);
	return 0;
}

/* Of what it is given, without the comma. */
static int cut(void *context, uint64_t index, const ems_value_t *value, ems_value_t *result)
{
	(void)context, (void)index;
	*result = *value;
	result->size--;
	return 0;
}

static void text_of_numbers(struct party *party)
{
	static char all[65536];
	ems_value_t joined = EMS_VALUE_INIT;
	ems_array_options_t options = party->options;
	size_t used = 0;
	ems_tag_t tag;

	count_now = COUNT;
	ems_range_t from = source_of(party), to = target_of(party);

	for (int i = 0; i < COUNT; i++)
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%d,", i);
	CHECK(ems_array_fill(&from, make_text, NULL, &options) == 0);
	CHECK(ems_array_reduce(&from, join, NULL, NULL, &joined, &options) == 0);
	CHECK(joined.size == used && memcmp(joined.data, all, used) == 0);
	options.tag = EMS_EMPTY;
	CHECK(ems_array_map(&from, &to, cut, NULL, &options) == 0);
	CHECK(ems_read(party->target, ems_index(3 + 4321), &joined) == 0);
	CHECK(joined.type == EMS_STRING && strcmp(joined.data, "4321") == 0);
	CHECK(ems_get_tag(party->target, ems_index(3 + 4321), &tag) == 0 && tag == EMS_EMPTY);
	CHECK(ems_get_tag(party->source, ems_index(4321), &tag) == 0 && tag == EMS_FULL);
	ems_value_clear(&joined);
}

START_TEST(test_text_and_tags)
{
	struct party party;

	main_party(&party);
	text_of_numbers(&party);
	play(&(ems_team_options_t){.size = 3}, text_of_numbers);
	end_party(&party);
}
END_TEST

static int count_defined(void *context, uint64_t index, const ems_value_t *value)
{
	(void)context, (void)index;
	return value->type != EMS_UNDEFINED;
}

START_TEST(test_a_map_as_source)
{
	struct party party;
	int64_t out[3], all = 0;
	uint64_t kept = 0;

	main_party(&party);
	ems_heap_t *map = make_heap(party.connection, "arrays/map", &(ems_heap_options_t){.elements = 100, .map = true});
	ems_range_t from = {map, 0, 100}, to = {party.target, 0, 100};

	ck_ok(ems_write_int64(map, ems_key("a"), 1));
	ck_ok(ems_write_int64(map, ems_key("b"), 2));
	ck_ok(ems_write_int64(map, ems_key("c"), 4));
	ck_ok(ems_delete(map, ems_key("b")));
	ck_ok(ems_array_filter(&from, &to, count_defined, NULL, &kept, NULL));
	ck_assert_uint_eq(kept, 2);
	ck_ok(ems_read_range_int64(party.target, 0, 3, out, NULL));
	for (int i = 0; i < 3; i++)
		all += out[i];
	ck_assert_int_eq(all, 5);
	ck_ems(ems_array_fill(&from, make_index, NULL, NULL), EMS_EINVALID);
	end_heap(party.connection, map);
	end_party(&party);
}
END_TEST

/* ---- errors ---- */

/* Two elements fail; the one with the lower index counts. */
static bool is_bad(uint64_t index)
{
	return index == 2701 || index == 1901 || index == 4999;
}

static int bad_make(void *context, uint64_t index, ems_value_t *result)
{
	return is_bad(index) ? CODE : make_index(context, index, result);
}

static int bad_map(void *context, uint64_t index, const ems_value_t *value, ems_value_t *result)
{
	return is_bad(index) ? CODE : half(context, index, value, result);
}

static int bad_keep(void *context, uint64_t index, const ems_value_t *value)
{
	(void)context, (void)value;
	return is_bad(index) ? 2 : 1;
}

static int bad_combine(void *context, const ems_value_t *left, const ems_value_t *right, ems_value_t *result)
{
	return is_bad((uint64_t)right->number) ? CODE : add(context, left, right, result);
}

static int bad_source(void *context, uint64_t index, uint64_t *source)
{
	(void)context;
	*source = is_bad(index) ? COUNT : index;
	return 0;
}

static int fickle_keep(void *context, uint64_t index, const ems_value_t *value)
{
	(void)value;
	return index == 1901 && (*(uint64_t *)context)++ > 0 ? 0 : 1;
}

static void meets_errors(struct party *party)
{
	ems_value_t sum = EMS_VALUE_INIT;
	uint64_t kept = 77, asked = 0;
	const ems_array_options_t *options = &party->options;

	count_now = COUNT;
	ems_range_t from = source_of(party), to = target_of(party);

	CHECK(ems_array_fill(&from, make_index, NULL, options) == 0);
	CHECK(ems_array_fill(&to, bad_make, NULL, options) == CODE && party->done == 1901);
	CHECK(strcmp(ems_last_error()->message,
		     "heap \"arrays/target\": array_fill: element 1904: the callback's own error") == 0);
	CHECK(ems_array_map(&from, &to, bad_map, NULL, options) == CODE && party->done == 1901);
	CHECK(ems_array_reduce(&from, bad_combine, NULL, &sum, &sum, options) == CODE && party->done == 1901);
	CHECK(ems_array_scan(&from, &to, bad_combine, NULL, NULL, true, options) == CODE && party->done == 1901);
	party->done = 5;
	CHECK(ems_array_filter(&from, &to, bad_keep, NULL, &kept, options) == -EMS_EINVALID && party->done == 1901);
	CHECK(kept == 77);
	CHECK(ems_array_permute(&from, &to, bad_source, NULL, options) == -EMS_ERANGE && party->done == 1901);
	CHECK(strstr(ems_last_error()->message, "element 1904"));
	if (!party->team)
		CHECK(ems_array_filter(&from, &to, fickle_keep, &asked, NULL, options) == -EMS_ECONFLICT);
	/* After all that it works. */
	CHECK(ems_array_map(&from, &to, half, NULL, options) == 0 && party->done == COUNT);
}

START_TEST(test_errors_of_callbacks)
{
	struct party party;

	main_party(&party);
	meets_errors(&party);
	for (uint32_t size = 1; size <= MOST; size++)
		play(&(ems_team_options_t){.size = size, .elastic = size % 2 == 0}, meets_errors);
	end_party(&party);
}
END_TEST

static void bad_arguments(struct party *party)
{
	const ems_array_options_t *options = &party->options;
	ems_array_options_t tagged = *options;
	ems_range_t whole = {party->source, 0, COUNT}, low = {party->source, 0, 10}, shifted = {party->source, 9, 10};
	ems_range_t beyond = {party->source, COUNT - 5, 6}, none = {NULL, 0, 10}, huge = {party->source, 2, UINT64_MAX};
	ems_value_t value = EMS_VALUE_INIT;

	CHECK(ems_array_copy(&low, &shifted, options) == -EMS_EINVALID);
	CHECK(strstr(ems_last_error()->message, "overlap"));
	CHECK(ems_array_permute(&low, &low, backwards, &count_now, options) == -EMS_EINVALID);
	CHECK(ems_array_filter(&low, &low, positive, NULL, NULL, options) == -EMS_EINVALID);
	CHECK(ems_array_copy(&low, &whole, options) == -EMS_ERANGE);
	CHECK(ems_array_fill(&beyond, make_index, NULL, options) == -EMS_ERANGE);
	CHECK(strstr(ems_last_error()->message, "it has 5000"));
	CHECK(ems_array_fill(&huge, make_index, NULL, options) == -EMS_ERANGE);
	CHECK(ems_array_fill(&none, make_index, NULL, options) == -EMS_EINVALID);
	CHECK(ems_array_fill(NULL, make_index, NULL, options) == -EMS_EINVALID);
	CHECK(ems_array_fill(&low, NULL, NULL, options) == -EMS_EINVALID);
	CHECK(ems_array_map(&low, &low, NULL, NULL, options) == -EMS_EINVALID);
	CHECK(ems_array_reduce(&low, add, NULL, NULL, NULL, options) == -EMS_EINVALID);
	CHECK(ems_array_reduce(NULL, NULL, NULL, NULL, &value, options) == -EMS_EINVALID);
	CHECK(ems_array_scan(&low, NULL, add, NULL, NULL, false, options) == -EMS_EINVALID);
	tagged.tag = EMS_BUSY;
	CHECK(ems_array_fill(&low, make_index, NULL, &tagged) == -EMS_EINVALID);
	if (party->team) {
		ems_range_t scratch = {party->scratch, 0, 1};

		CHECK(ems_array_fill(&scratch, make_index, NULL, options) == -EMS_EINVALID);
		tagged = (ems_array_options_t){.team = party->team};
		CHECK(ems_array_fill(&low, make_index, NULL, &tagged) == -EMS_EINVALID);
		tagged.scratch = party->source;
		CHECK(ems_array_fill(&low, make_index, NULL, &tagged) == -EMS_EINVALID);
	}
	CHECK(ems_array_fill(&low, make_index, NULL, options) == 0);
}

static void in_place_elastic(struct party *party)
{
	ems_range_t low = {party->source, 0, 10};

	CHECK(ems_array_map(&low, &low, half, NULL, &party->options) == -EMS_EUNSUPPORTED);
	CHECK(ems_array_copy(&low, &low, &party->options) == -EMS_EUNSUPPORTED);
}

START_TEST(test_bad_arguments)
{
	struct party party;

	main_party(&party);
	bad_arguments(&party);
	play(&(ems_team_options_t){.size = 3}, bad_arguments);
	play(&(ems_team_options_t){.size = 2, .elastic = true}, in_place_elastic);
	end_party(&party);
}
END_TEST

/* Arguments that only one finds bad: the others learn of it, or have no need to; nobody waits in vain. */
static void bad_for_one(struct party *party)
{
	ems_range_t from = {party->source, 0, 100}, to = {party->target, 0, 100};
	ems_value_t sum = EMS_VALUE_INIT;
	int r;

	CHECK(ems_array_fill(&from, make_index, NULL, &party->options) == 0);
	r = ems_array_reduce(&from, party->member == 1 ? NULL : add, NULL, NULL, &sum, &party->options);
	CHECK(r == -EMS_EINVALID || (r == 0 && party->member != 1));
	r = ems_array_map(&from, &to, party->member == 1 ? NULL : half, NULL, &party->options);
	CHECK(r == -EMS_EINVALID || (r == 0 && party->member != 1));
	CHECK(ems_team_barrier(party->team) == 0);
}

START_TEST(test_arguments_that_differ)
{
	struct party party;

	main_party(&party);
	for (int i = 0; i < 10; i++)
		play(&(ems_team_options_t){.size = 3}, bad_for_one);
	end_party(&party);
}
END_TEST

/* ---- inside a loop, inside a callback ---- */

static int make_sum(void *context, uint64_t index, ems_value_t *result)
{
	struct party *party = context;
	ems_range_t from = {party->source, 0, index + 1};

	return ems_array_reduce(&from, add, NULL, NULL, result, &party->options);
}

static void nested(struct party *party)
{
	ems_range_t from = {party->source, 0, 50}, to = {party->target, 0, 50};
	ems_value_t sum = EMS_VALUE_INIT;
	int64_t first, last;
	ems_loop_t *loop;
	double out[50];
	int r;

	CHECK(ems_array_fill(&from, make_index, NULL, &party->options) == 0);
	CHECK(ems_array_fill(&to, make_sum, party, &party->options) == 0);
	CHECK(ems_read_range_double(party->target, 0, 50, out, NULL) == 0);
	for (int i = 0; i < 50; i++)
		CHECK(out[i] == i * (i + 1.0) / 2);
	CHECK(ems_loop_begin(party->team, 0, 20, NULL, &loop) == 0);
	while ((r = ems_loop_next(loop, &first, &last)) == 0)
		CHECK(ems_array_reduce(&from, add, NULL, NULL, &sum, &party->options) == 0 && sum.number == 1225);
	CHECK(r == -EMS_EEMPTY && ems_loop_end(loop) == 0);
}

START_TEST(test_nested)
{
	struct party party;

	main_party(&party);
	play(&(ems_team_options_t){.size = 3}, nested);
	end_party(&party);
}
END_TEST

/* ---- deaths ---- */

/* The first to come to the middle waits there to be killed. */
static int mortal(void *context, uint64_t index, const ems_value_t *value, ems_value_t *result)
{
	struct party *party = context;

	if (index == COUNT / 2 && add64(&shared[0], 1) == 0) {
		store64_release(&shared[1], party->member + 1);
		WAIT_UNTIL(false);
	}
	return half(NULL, index, value, result);
}

static void survives(struct party *party)
{
	bool elastic = load64_acquire(&shared[2]);
	ems_team_death_t death;
	double out[COUNT];

	count_now = COUNT;
	ems_range_t from = source_of(party), to = target_of(party);

	CHECK(ems_array_fill(&from, make_index, NULL, &party->options) == 0);
	CHECK(ems_array_map(&from, &to, mortal, party, &party->options) == (elastic ? 0 : -EMS_EBROKEN));
	CHECK(ems_team_broken(party->team, 0, &death) == 0 && death.member + 1 == load64_acquire(&shared[1]));
	if (!elastic)
		CHECK(ems_array_map(&from, &to, half, NULL, &party->options) == 0);
	CHECK(ems_read_range_double(party->target, 3, COUNT, out, NULL) == 0);
	for (int i = 0; i < COUNT; i++)
		CHECK(out[i] == i / 3.0);
}

static void play_death(bool elastic)
{
	struct party party;
	ems_team_options_t options = {.size = 4, .elastic = elastic};
	uint32_t victim;

	main_party(&party);
	store64_release(&shared[2], elastic);
	for (uint32_t i = 0; i < options.size; i++)
		start(i, &options, survives);
	WAIT_UNTIL(load64_acquire(&shared[1]));
	victim = (uint32_t)load64_acquire(&shared[1]) - 1;
	ck_assert_int_eq(kill(pids[victim], SIGKILL), 0);
	ck_assert(WIFSIGNALED(reap(victim)));
	finish();
	end_party(&party);
}

START_TEST(test_a_member_dies_in_a_callback)
{
	play_death(false);
	play_death(true);
}
END_TEST

/*
 * All the operations, over and over, until one has died (an elastic team is not told: so many times); what is done
 * afterwards is right.
 */
static void goes_on(struct party *party)
{
	ems_range_t from, to;
	ems_value_t sum = EMS_VALUE_INIT;
	bool elastic = load64_acquire(&shared[2]);
	uint64_t kept;
	int r = 0;

	count_now = 600;
	from = source_of(party);
	to = target_of(party);
	for (uint64_t round = 0; r == 0 && (!elastic || round < 40); round++) {
		if (round % 4 == 0)
			r = ems_array_fill(&from, make_index, NULL, &party->options);
		else if (round % 4 == 1)
			r = ems_array_scan(&from, &to, add, NULL, NULL, false, &party->options);
		else if (round % 4 == 2)
			r = ems_array_filter(&from, &to, positive, NULL, &kept, &party->options);
		else
			r = ems_array_reduce(&from, add, NULL, NULL, &sum, &party->options);
		CHECK(r == 0 || (r == -EMS_EBROKEN && !elastic));
		(void)add64(&shared[0], 1);
	}
	if (party->member == load64_acquire(&shared[3]))
		WAIT_UNTIL(false);
	CHECK(ems_array_fill(&from, make_index, NULL, &party->options) == 0);
	CHECK(ems_array_scan(&from, &to, add, NULL, NULL, false, &party->options) == 0);
	CHECK(ems_array_reduce(&from, add, NULL, NULL, &sum, &party->options) == 0 && sum.number == 599 * 300);
	CHECK(ems_read(party->target, ems_index(3 + 599), &sum) == 0 && sum.number == 599 * 300);
}

START_TEST(test_random_deaths)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	ems_team_options_t options = {.size = 3};

	printf("client/arrays: seed %u (SEED= to repeat)\n", seed);
	srand(seed);
	for (int i = 0; i < 20; i++) {
		struct party party;
		uint32_t victim = (uint32_t)rand() % 3;
		uint64_t until = 1 + (uint64_t)rand() % 40;

		main_party(&party);
		options.elastic = i % 2;
		store64_release(&shared[2], options.elastic);
		store64_release(&shared[3], victim);
		for (uint32_t m = 0; m < options.size; m++)
			start(m, &options, goes_on);
		WAIT_UNTIL(load64_acquire(&shared[0]) >= until);
		for (int spin = rand() % 100000; spin > 0; spin--)
			(void)load64_acquire(&shared[0]);
		ck_assert_int_eq(kill(pids[victim], SIGKILL), 0);
		ck_assert(WIFSIGNALED(reap(victim)));
		finish();
		end_party(&party);
	}
}
END_TEST

INTEGRATION_MAIN("client/arrays", test_the_same_by_any_number, test_the_right_values, test_text_and_tags,
		 test_a_map_as_source, test_errors_of_callbacks, test_bad_arguments, test_arguments_that_differ, test_nested,
		 test_a_member_dies_in_a_callback, test_random_deaths)
