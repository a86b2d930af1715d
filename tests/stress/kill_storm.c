/*
 * kill_storm: processes work on one heap with every operation, and are SIGKILLed at random moments and
 * replaced, while others go on. Then the checker, and an oracle:
 *
 *   sums     each worker adds 1 to random counters and tells, in memory of its own that outlives it, how many
 *            additions it began and how many returned. The counters' sum lies between the two totals.
 *   tokens   numbered tokens pass from hand to hand through elements (readFE takes one, writeEF puts it
 *            back). None is ever there twice; those not there were in the hands of a killed worker.
 *   texts    all bytes of a text follow from its first: a torn one shows.
 *   items    of the queue and the stack tell who put them and which of his they are (storm_items.h).
 *   locks    counters that are only added to when nobody holds them for reading: whoever does, sees them stay. In the end
 *            nobody does.
 *   leases   of elements and items; what a killed worker held is there again, what was acknowledged never
 *            (storm_leases.h).
 *   keys     come and go; in the end look-up, iteration and storage agree (the checker).
 *
 * kill_storm [KILLS [WORKERS]]; the seed is printed, EMS_TEST_SEED repeats it (as far as the moments of
 * the kills, which are the clock's, allow). No daemon: the parent does its part, asked through a socket.
 */
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "shm/check.h"
#include "shm/element.h"
#include "shm/recover.h"
#include "tests/stress/storm_items.h"
#include "tests/stress/storm_leases.h"

#define MAX_WORKERS 16
#define COUNTERS    8u	/* elements 0…7 */
#define TOKENS	    4u	/* elements 8…23 hold 4 tokens */
#define TOKEN_PLACES 16u
#define TEXTS	    8u /* elements 24…31 */
#define LOCKED	    32u /* elements 32…35 */
#define LOCKS	    4u
#define KEYS	    300u

/* What a worker tells the world; outlives it. */
struct diary {
	uint64_t begun, done;
	uint64_t turns;
	char failure[128];
};

static struct shm_segment plain, mapped; /* without and with a key map */
static int plain_fd, mapped_fd;
static struct diary *diaries;
static uint64_t seed;

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

struct worker {
	struct diary *diary;
	struct shm_session plain, mapped;
	struct shm_value value;
	uint64_t random;
};

static void fail(struct worker *worker, const char *what, int error)
{
	(void)snprintf(worker->diary->failure, sizeof(worker->diary->failure), "%s: %s", what, error_name(error));
	_exit(1);
}

static uint64_t pick(struct worker *worker, uint64_t n)
{
	return next_random(&worker->random) % n;
}

static int apply(struct worker *worker, enum shm_op op, uint64_t index, const struct shm_value *argument)
{
	struct shm_call call = {.op = op, .target.index = index, .argument = argument, .result = &worker->value};

	return shm_element_apply(&plain, &worker->plain, &call, NULL);
}

static void add(struct worker *worker)
{
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	int r;

	store64_relaxed(&worker->diary->begun, worker->diary->begun + 1);
	r = apply(worker, pick(worker, 2) ? OP_ADD : OP_ADD_INT64, pick(worker, COUNTERS), &one);
	if (r < 0)
		fail(worker, "add", r);
	store64_relaxed(&worker->diary->done, worker->diary->done + 1);
}

/* Takes a token where there is one, puts it down where there is room. Never waits: deadline 0. */
static void pass_token(struct worker *worker)
{
	struct shm_value token;
	int r = apply(worker, OP_READ_FE, COUNTERS + pick(worker, TOKEN_PLACES), NULL);

	if (r == -ERROR_TIMEOUT)
		return;
	if (r < 0)
		fail(worker, "take", r);
	token = (struct shm_value){.type = TYPE_INTEGER, .integer = worker->value.integer};
	do
		r = apply(worker, OP_WRITE_EF, COUNTERS + pick(worker, TOKEN_PLACES), &token);
	while (r == -ERROR_TIMEOUT);
	if (r < 0)
		fail(worker, "put", r);
}

/* Waits for readers, who may be dead. */
static void add_locked(struct worker *worker)
{
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1};
	struct shm_call call = {.op = OP_ADD,
				.target.index = LOCKED + pick(worker, LOCKS),
				.argument = &one,
				.result = &worker->value,
				.deadline = CLOCK_NEVER};
	int r;

	store64_relaxed(&worker->diary->begun, worker->diary->begun + 1);
	r = shm_element_apply(&plain, &worker->plain, &call, NULL);
	if (r < 0)
		fail(worker, "add to what readers have left", r);
	store64_relaxed(&worker->diary->done, worker->diary->done + 1);
}

/* As ems_release_rw does it: a recount of readers is waited for, which one who died has caused. */
static int release(struct worker *worker, uint64_t index)
{
	struct shm_call call = {.op = OP_RELEASE_RW, .target.index = index, .deadline = CLOCK_NEVER};

	return shm_element_apply(&plain, &worker->plain, &call, NULL);
}

/* Holds one, perhaps twice, and perhaps another one, for which it does not wait. */
static void hold(struct worker *worker)
{
	uint64_t index = LOCKED + pick(worker, LOCKS), second = LOCKED + pick(worker, LOCKS);
	struct shm_call call = {
		.op = OP_READ_RW, .target.index = index, .result = &worker->value, .deadline = CLOCK_NEVER};
	bool both;
	int64_t seen;
	int r = shm_element_apply(&plain, &worker->plain, &call, NULL);

	if (r < 0)
		fail(worker, "read lock", r);
	seen = worker->value.integer;
	both = pick(worker, 2) && apply(worker, OP_READ_RW, second, NULL) == 0;
	for (uint64_t i = pick(worker, 50); i > 0; i--)
		if (apply(worker, OP_READ, index, NULL) < 0 || worker->value.integer != seen)
			fail(worker, "an element has changed under its reader", 0);
	r = release(worker, index);
	if (r == 0 && both)
		r = release(worker, second);
	if (r < 0)
		fail(worker, "release", r);
}

static void pass_item(struct worker *worker)
{
	int error = 0;
	const char *wrong =
		storm_items_work(&worker->plain, (uint32_t)(worker->diary - diaries), next_random(&worker->random), &error);

	if (wrong)
		fail(worker, wrong, error);
}

static void use_lease(struct worker *worker)
{
	int error = 0;
	const char *wrong = storm_leases_work(&worker->plain, &worker->mapped, (uint32_t)(worker->diary - diaries),
					      next_random(&worker->random), &error);

	if (wrong)
		fail(worker, wrong, error);
}

static size_t text_size(struct worker *worker)
{
	uint64_t kind = pick(worker, 20);

	return kind == 0 ? 70000 + pick(worker, 100000) : kind < 4 ? 5000 : 1 + pick(worker, 200);
}

static void write_text(struct worker *worker, uint64_t index)
{
	static char text[200000];
	struct shm_value value = {.type = TYPE_BYTES, .data = text, .size = text_size(worker)};
	int r;

	for (size_t i = 0; i < value.size; i++)
		text[i] = (char)(value.size + i);
	r = apply(worker, pick(worker, 2) ? OP_WRITE : OP_SWAP, index, &value);
	if (r < 0 && r != -ERROR_NO_SPACE)
		fail(worker, "write text", r);
}

static void read_text(struct worker *worker, uint64_t index)
{
	int r = apply(worker, OP_READ, index, NULL);

	if (r < 0)
		fail(worker, "read text", r);
	if (worker->value.type != TYPE_BYTES)
		return;
	for (size_t i = 0; i < worker->value.size; i++)
		if (((char *)worker->value.data)[i] != (char)(worker->value.size + i))
			fail(worker, "torn text", 0);
}

static void use_key(struct worker *worker)
{
	struct shm_value one = {.type = TYPE_INTEGER, .integer = 1}, text = {.type = TYPE_STRING, .data = "value text", .size = 10};
	char name[64];
	uint64_t number = pick(worker, KEYS);
	int length = snprintf(name, sizeof(name), number % 3 ? "%" PRIu64 : "key with a longer name %" PRIu64, number);
	struct shm_key key = number % 5 ? shm_key_string(&mapped, name, (uint32_t)length) :
					  shm_key_integer(&mapped, (int64_t)number);
	static const enum shm_op ops[] = {OP_WRITE_XF, OP_WRITE, OP_ADD, OP_DELETE, OP_READ, OP_DELETE, OP_SWAP, OP_WRITE_XF};
	struct shm_call call = {.op = ops[pick(worker, ARRAY_SIZE(ops))], .target.key = &key,
				.argument = pick(worker, 2) ? &one : &text, .result = &worker->value};
	int r = shm_element_apply(&mapped, &worker->mapped, &call, NULL);

	if (r < 0 && r != -ERROR_NO_KEY)
		fail(worker, "use key", r);
}

/* ---- memory is supplied by the parent, one request at a time, as the daemon would ---- */

struct request {
	uint32_t kind; /* of struct shm_need */
	bool of_mapped;
	uint64_t first, count;
};

static int ask(void *context, const struct shm_segment *seg, uint32_t kind, uint64_t first, uint64_t count)
{
	struct request request = {kind, seg == &mapped, first, count};
	int socket = *(int *)context, answer;

	if (send(socket, &request, sizeof(request), 0) != sizeof(request) ||
	    recv(socket, &answer, sizeof(answer), 0) != sizeof(answer))
		return -ERROR_CONNECTION;
	return answer;
}

static int ask_units(void *context, struct shm_segment *seg, uint64_t first, uint64_t count)
{
	return ask(context, seg, NEED_UNITS, first, count);
}

static int ask_storage(void *context, struct shm_segment *seg, uint32_t chunks)
{
	return ask(context, seg, NEED_STORAGE, 0, chunks);
}

static int ask_table(void *context, struct shm_segment *seg, uint32_t id)
{
	return ask(context, seg, NEED_TABLE, id, 1);
}

static void no_trim(void *context, struct shm_segment *seg)
{
	(void)context;
	(void)seg;
}

static const struct shm_supply remote_supply = {ask_units, ask_storage, ask_table, no_trim};

static int give(const struct request *request)
{
	struct shm_segment *seg = request->of_mapped ? &mapped : &plain;
	uint64_t added;

	switch (request->kind) {
	case NEED_UNITS:
		return shm_commit_units(seg, request->first, request->count, &added);
	case NEED_STORAGE:
		return shm_commit_storage(seg, (uint32_t)request->count, &added);
	default:
		return shm_prepare_table(seg, (uint32_t)request->first, &added);
	}
}

/* Answers what is asked within a millisecond. A worker may be dead by the time of the answer. */
static void serve(struct pollfd *sockets, uint32_t workers)
{
	struct request request;

	if (poll(sockets, workers, 1) <= 0)
		return;
	for (uint32_t i = 0; i < workers; i++)
		if (sockets[i].revents & POLLIN && recv(sockets[i].fd, &request, sizeof(request), MSG_DONTWAIT) > 0) {
			int answer = give(&request);

			(void)send(sockets[i].fd, &answer, sizeof(answer), MSG_NOSIGNAL);
		}
}

/* Map the segments anew: a child does not inherit the mapping. */
static int attach(struct shm_segment *seg, int fd)
{
	struct heap_params params = seg->layout.params;

	return shm_segment_map(seg, fd, &params, true);
}

static void work(uint32_t number, uint64_t random, int socket)
{
	struct worker worker = {.diary = &diaries[number], .random = random};
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = attach(&plain, plain_fd);
	if (r == 0)
		r = attach(&mapped, mapped_fd);
	plain.supply = mapped.supply = &remote_supply;
	plain.supply_context = mapped.supply_context = &socket;
	if (r == 0)
		r = shm_session_open(&worker.plain, &plain, number);
	if (r == 0)
		r = shm_session_open(&worker.mapped, &mapped, number);
	if (r < 0)
		fail(&worker, "attach", r);
	for (;; worker.diary->turns++) {
		switch (pick(&worker, 16)) {
		case 0:
		case 1:
			add(&worker);
			break;
		case 2:
			pass_token(&worker);
			break;
		case 3:
			write_text(&worker, 24 + pick(&worker, TEXTS));
			break;
		case 4:
			read_text(&worker, 24 + pick(&worker, TEXTS));
			break;
		case 5:
		case 6:
		case 7:
			pass_item(&worker);
			break;
		case 8:
			add_locked(&worker);
			break;
		case 9:
		case 10:
			hold(&worker);
			break;
		case 11:
		case 12:
			use_lease(&worker);
			break;
		default:
			use_key(&worker);
		}
		if (pick(&worker, 5000) == 0) { /* leave and come back: slots are given back in order, too */
			shm_session_close(&worker.plain);
			r = shm_session_open(&worker.plain, &plain, number);
			if (r < 0)
				fail(&worker, "come back", r);
		}
	}
}

static bool failed(void)
{
	for (int i = 0; i < MAX_WORKERS; i++)
		if (diaries[i].failure[0])
			return true;
	return false;
}

static pid_t start(uint32_t number, uint64_t random, struct pollfd *socket)
{
	int pair[2];
	pid_t child;

	if (socket->fd >= 0)
		(void)close(socket->fd);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		exit(1);
	child = fork();
	if (child == 0)
		work(number, random, pair[1]);
	(void)close(pair[1]);
	*socket = (struct pollfd){.fd = pair[0], .events = POLLIN};
	return child;
}

static void recover(struct shm_segment *seg)
{
	struct shm_recovery recovery;

	/* A client that meets a dead slot recovers, too; then it is busy, and done soon. */
	while (shm_recovery_needed(seg)) {
		if (shm_recover(seg, NULL, &recovery) < 0)
			sched_yield();
		if (recovery.corrupt) {
			fprintf(stderr, "a dead slot made no sense\n");
			exit(1);
		}
	}
}

static void print_problem(void *arg, const char *text)
{
	fprintf(stderr, "%s: %s\n", (const char *)arg, text);
}

static uint64_t check(struct shm_segment *seg, const char *name)
{
	struct shm_check result = {.quiet = true, .problem = print_problem, .arg = (void *)(uintptr_t)name};

	if (shm_check(seg, &result) < 0)
		return 1;
	printf("%s: %" PRIu64 " elements, %" PRIu64 " keys, %" PRIu64 " blobs, %" PRIu64 " problems, %u slots recovered\n",
	       name, result.live_elements, result.keys, result.blobs_allocated, result.problems,
	       shm_header(seg)->recoveries);
	return result.problems;
}

static uint64_t count_failures(void)
{
	uint64_t failures = 0, turns = 0;

	for (int i = 0; i < MAX_WORKERS; i++) {
		turns += diaries[i].turns;
		if (diaries[i].failure[0]) {
			fprintf(stderr, "worker %d: %s\n", i, diaries[i].failure);
			failures++;
		}
	}
	printf("%" PRIu64 " operations\n", turns);
	return failures;
}

static struct shm_value read_element(uint64_t index, enum tag *tag)
{
	struct shm_value value = {0};
	struct shm_call call = {.op = OP_READ, .target.index = index, .result = &value, .result_tag = tag};

	(void)shm_element_apply(&plain, NULL, &call, NULL);
	return value;
}

static uint64_t check_sums(void)
{
	uint64_t begun = 0, done = 0, sum = 0;
	enum tag tag;

	for (int i = 0; i < MAX_WORKERS; i++) {
		begun += diaries[i].begun;
		done += diaries[i].done;
	}
	for (uint64_t i = 0; i < COUNTERS; i++)
		sum += (uint64_t)read_element(i, &tag).integer;
	for (uint64_t i = LOCKED; i < LOCKED + LOCKS; i++) {
		sum += (uint64_t)read_element(i, &tag).integer;
		if (tag != TAG_FULL)
			return 1; /* still held by the dead */
	}
	printf("sum %" PRIu64 ", additions done %" PRIu64 ", begun %" PRIu64 "\n", sum, done, begun);
	return sum < done || sum > begun;
}

static uint64_t check_tokens(void)
{
	uint64_t wrong = 0, there = 0;
	bool seen[TOKENS] = {false};
	enum tag tag;

	for (uint64_t i = 0; i < TOKEN_PLACES; i++) {
		int64_t token = read_element(COUNTERS + i, &tag).integer;

		if (tag != TAG_FULL)
			continue;
		there++;
		if (token < 0 || token >= (int64_t)TOKENS || seen[token])
			wrong++;
		else
			seen[token] = true;
	}
	printf("%" PRIu64 " tokens left of %u\n", there, TOKENS);
	return wrong;
}

static void initialise(void)
{
	struct heap_params params = {.elements = 64, .max_elements = 64, .storage = 128 * UNIT, .seed = seed, .initial_tag = TAG_FULL};
	struct shm_value zero = {.type = TYPE_INTEGER}, none = {.type = TYPE_UNDEFINED};
	static const uint8_t id[16] = "storm";
	struct shm_session session;

	if (shm_segment_create(&plain, &params, NULL, id, &plain_fd) < 0)
		exit(1);
	params.elements = params.max_elements = 2 * KEYS;
	params.has_map = true;
	if (shm_segment_create(&mapped, &params, NULL, id, &mapped_fd) < 0)
		exit(1);
	if (shm_session_open(&session, &plain, 0) < 0)
		exit(1);
	for (uint64_t i = LOCKED; i < LOCKED + LOCKS; i++) {
		struct shm_call call = {.op = OP_WRITE, .target.index = i, .argument = &zero};

		(void)shm_element_apply(&plain, &session, &call, NULL);
	}
	for (uint64_t i = 0; i < COUNTERS + TOKEN_PLACES; i++) {
		bool empty = i >= COUNTERS + TOKENS;
		struct shm_call call = {.op = empty ? OP_WRITE_XE : OP_WRITE, .target.index = i, .argument = empty ? &none : &zero};

		zero.integer = i >= COUNTERS ? (int64_t)(i - COUNTERS) : 0;
		(void)shm_element_apply(&plain, &session, &call, NULL);
	}
	shm_session_close(&session);
	diaries = mmap(NULL, MAX_WORKERS * sizeof(*diaries), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (diaries == MAP_FAILED || !storm_items_init() ||
	    !storm_leases_init())
		exit(1);
}

static uint64_t check_leases(void)
{
	struct shm_session session, other;
	uint64_t wrong;

	if (shm_session_open(&session, &plain, 0) < 0 || shm_session_open(&other, &mapped, 0) < 0)
		return 1;
	wrong = storm_leases_check(&session, &other);
	shm_session_close(&session);
	shm_session_close(&other);
	return wrong;
}

/* After the first check, for it takes out what is left. */
static uint64_t check_items(uint64_t kills, uint32_t workers)
{
	struct shm_session session;
	uint64_t wrong;

	if (shm_session_open(&session, &plain, 0) < 0)
		return 1;
	wrong = storm_items_check(&session, kills + workers);
	shm_session_close(&session);
	return wrong;
}

/* Kills one worker after a random moment of work, and puts another in its place. */
static void storm(uint64_t kills, uint32_t workers)
{
	struct pollfd sockets[MAX_WORKERS];
	pid_t pids[MAX_WORKERS];
	uint64_t random = seed;

	for (uint32_t i = 0; i < workers; i++) {
		sockets[i].fd = -1;
		pids[i] = start(i, next_random(&random), &sockets[i]);
	}
	for (uint64_t n = 0; n < kills && !failed(); n++) {
		uint32_t victim = (uint32_t)(next_random(&random) % workers);
		uint64_t until = clock_deadline(next_random(&random) % (3 * NS_PER_MS));
		uint64_t turns = load64_relaxed(&diaries[victim].turns);

		/* The victim has worked, and is killed anywhere in its work. */
		while (!clock_passed(until) || (load64_relaxed(&diaries[victim].turns) == turns && !failed()))
			serve(sockets, workers);
		(void)kill(pids[victim], SIGKILL);
		(void)waitpid(pids[victim], NULL, 0);
		recover(&plain);
		recover(&mapped);
		pids[victim] = start(victim, next_random(&random), &sockets[victim]);
	}
	for (uint32_t i = 0; i < workers; i++)
		(void)kill(pids[i], SIGKILL);
	for (uint32_t i = 0; i < workers; i++)
		(void)waitpid(pids[i], NULL, 0);
	recover(&plain);
	recover(&mapped);
}

int main(int argc, char **argv)
{
	uint64_t kills = argc > 1 ? strtoull(argv[1], NULL, 0) : 300;
	uint32_t workers = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 3;
	const char *given = getenv("EMS_TEST_SEED");
	uint64_t wrong;

	workers = MIN(MAX(workers, 1u), (uint32_t)MAX_WORKERS);
	seed = given ? strtoull(given, NULL, 0) : clock_now() ^ (uint64_t)getpid() << 40;
	printf("EMS_TEST_SEED=%" PRIu64 ", %" PRIu64 " kills, %u workers\n", seed, kills, workers);
	fflush(stdout);
	initialise();
	storm(kills, workers);
	wrong = check(&plain, "plain") + check(&mapped, "map") + count_failures() + check_sums() + check_tokens();
	wrong += check_leases() + check_items(kills, workers) + check(&plain, "plain, without items");
	printf("%s\n", wrong ? "FAILED" : "all is well");
	return wrong ? 1 : 0;
}
