/*
 * daemon_kills: emsd is killed again and again under a mixed load, and started again; no client may notice.
 *
 *   counters   each worker adds 1 and tells in memory that outlives it how often it began and how often it
 *              was done; the sum lies between the two.
 *   texts      keys come and go with texts that need storage, so the daemon is asked for memory all the time; all bytes of
 *              a text follow from its first.
 *   items      pass through the queue; numbered, so that none is seen twice.
 *   tokens     are taken and put back by operations that wait for each other.
 *   own heaps  are made, used, found again by a second handle, and dropped; none is left in the end, none is lost.
 *
 * No call may fail, but for what belongs to the load (a full queue, a wait that timed out). Some kills are SIGTERM (a restart for an
 * upgrade), now and then a worker is killed while there is no daemon, or the keeper while there is one. In the end the checker looks at
 * the heaps, and the daemon's books are compared with them.
 *
 * daemon_kills [KILLS [WORKERS [keeper|store|both|systemd]]]; systemd is for where tests/system/systemd runs it. The seed is printed,
 * EMS_TEST_SEED repeats it (but for the moments of the kills, which are the clock's).
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "client/ems.h"
#include "shm/atomic.h"
#include "shm/check.h"
#include "tests/integration/broker.h"
#include "tests/integration/manager.h"

#define MAX_WORKERS 16
#define COUNTERS    8
#define TOKENS	    4
#define TOKEN_PLACES 12
#define KEYS	    200

/* What a worker tells the world; outlives it. */
struct diary {
	uint64_t begun, done, turns, taken, put;
	uint64_t tokens; /* in its hands */
	char failure[512];
};

static struct {
	uint64_t stop;
	struct diary diaries[MAX_WORKERS];
} *shared;

static struct manager manager;
static uint64_t seed, kills = 10;
static uint32_t workers = 3;
static const char *mode = "both";

struct worker {
	struct diary *diary;
	uint32_t number;
	uint64_t random;
	ems_connection_t *connection;
	ems_heap_t *plain, *mapped;
	ems_value_t value;
};

static _Noreturn void give_up(struct worker *worker, const char *what, int error)
{
	snprintf(worker->diary->failure, sizeof(worker->diary->failure), "%s: %s (%s)", what, ems_error_name(error),
		 error ? ems_last_error()->message : "");
	_exit(1);
}

#define MUST(worker, call)                             \
	do {                                           \
		int must_r_ = (call);                  \
		if (must_r_)                           \
			give_up((worker), #call, must_r_); \
	} while (0)

static uint64_t pick(struct worker *worker, uint64_t n)
{
	return unit_random(&worker->random) % n;
}

static void add(struct worker *worker)
{
	store64_relaxed(&worker->diary->begun, worker->diary->begun + 1);
	MUST(worker, ems_faa_int64(worker->plain, ems_index(pick(worker, COUNTERS)), 1, NULL));
	store64_relaxed(&worker->diary->done, worker->diary->done + 1);
}

static void pass_token(struct worker *worker)
{
	int r = ems_read_fe_until(worker->plain, ems_index(COUNTERS + pick(worker, TOKEN_PLACES)), &worker->value,
				  ems_deadline_in(NS_PER_MS));

	if (r == -EMS_ETIMEOUT)
		return;
	MUST(worker, r);
	store64_relaxed(&worker->diary->tokens, 1);
	do
		r = ems_write_ef_until(worker->plain, ems_index(COUNTERS + pick(worker, TOKEN_PLACES)), &worker->value,
				       ems_deadline_in(NS_PER_MS));
	while (r == -EMS_ETIMEOUT);
	MUST(worker, r);
	store64_relaxed(&worker->diary->tokens, 0);
}

static void pass_item(struct worker *worker)
{
	ems_value_t item = ems_value_integer((int64_t)(worker->diary->put + 1) << 8 | worker->number);
	int r;

	if (pick(worker, 2)) {
		r = ems_enqueue(worker->plain, &item, NULL);
		if (r == 0)
			store64_relaxed(&worker->diary->put, worker->diary->put + 1);
	} else {
		r = ems_dequeue(worker->plain, &worker->value);
		if (r == 0)
			store64_relaxed(&worker->diary->taken, worker->diary->taken + 1);
	}
	if (r && r != -EMS_EFULL && r != -EMS_EEMPTY)
		give_up(worker, "queue", r);
}

static void check_text(struct worker *worker, const ems_value_t *text)
{
	const unsigned char *bytes = text->data;

	for (uint32_t i = 1; i < text->size; i++)
		if (bytes[i] != (unsigned char)(bytes[0] + i))
			give_up(worker, "a torn text", 0);
}

static void write_text(struct worker *worker)
{
	static unsigned char bytes[200000];
	ems_value_t text = ems_value_data(EMS_BYTES, bytes, 1 + (uint32_t)pick(worker, pick(worker, 8) ? 3000 : sizeof(bytes)));
	char key[64];
	int r;

	snprintf(key, sizeof(key), "a key that does not fit its place, %d", (int)pick(worker, KEYS));
	bytes[0] = (unsigned char)pick(worker, 256);
	for (uint32_t i = 1; i < text.size; i++)
		bytes[i] = (unsigned char)(bytes[0] + i);
	switch (pick(worker, 4)) {
	case 0:
		r = ems_delete(worker->mapped, ems_key(key));
		if (r && r != -EMS_ENOKEY)
			give_up(worker, "delete", r);
		break;
	case 1:
		MUST(worker, ems_read(worker->mapped, ems_key(key), &worker->value));
		if (worker->value.type == EMS_BYTES)
			check_text(worker, &worker->value);
		break;
	default:
		MUST(worker, ems_write(worker->mapped, ems_key(key), &text));
	}
}

/* A heap's whole life, with all requests. */
static void own_heap(struct worker *worker)
{
	const ems_heap_options_t options = {.elements = 10, .max_elements = 100};
	ems_heap_t *heap, *again;
	ems_heap_info_t info;
	char name[64];
	int64_t value;

	snprintf(name, sizeof(name), "own/%u/%d", worker->number, (int)getpid());
	MUST(worker, ems_heap_open(worker->connection, name, pick(worker, 2) ? EMS_CREATE : EMS_REPLACE, &options, &heap));
	MUST(worker, ems_write_int64(heap, ems_index(3), 3));
	MUST(worker, ems_heap_grow(heap, 50));
	MUST(worker, ems_heap_open(worker->connection, name, EMS_OPEN_OR_CREATE, &options, &again));
	MUST(worker, ems_read_int64(again, ems_index(3), &value));
	if (value != 3)
		give_up(worker, "another value", 0);
	MUST(worker, ems_heap_inspect(worker->connection, name, &info));
	if (info.elements != 50)
		give_up(worker, "another size", 0);
	ems_heap_close(again);
	ems_heap_close(heap);
	MUST(worker, ems_heap_drop(worker->connection, name));
}

static void look(struct worker *worker)
{
	ems_heap_info_t *infos = NULL;
	size_t count;

	MUST(worker, ems_ping(worker->connection, EMS_FOREVER));
	MUST(worker, ems_heap_list(worker->connection, "storm/", &infos, &count));
	free(infos);
	if (count != 2)
		give_up(worker, "a heap is not listed", 0);
}

static _Noreturn void work(struct worker *worker)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!load64_relaxed(&shared->stop)) {
		uint64_t what = pick(worker, 100);

		if (what < 40)
			add(worker);
		else if (what < 60)
			write_text(worker);
		else if (what < 75)
			pass_item(worker);
		else if (what < 90)
			pass_token(worker);
		else if (what < 98)
			look(worker);
		else
			own_heap(worker);
		store64_relaxed(&worker->diary->turns, worker->diary->turns + 1);
	}
	ems_disconnect(worker->connection);
	_exit(0);
}

static pid_t start_worker(uint32_t number, uint64_t random)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct worker worker = {.diary = &shared->diaries[number], .number = number, .random = random};
		uint64_t patience = clock_deadline(60 * NS_PER_S);
		int r;

		/* Its first connect may meet no daemon, which only one that was connected waits for. */
		while ((r = ems_connect(&worker.connection, manager.socket)) && !clock_passed(patience))
			(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		MUST(&worker, r);
		MUST(&worker, ems_heap_open(worker.connection, "storm/plain", EMS_OPEN_EXISTING, NULL, &worker.plain));
		MUST(&worker, ems_heap_open(worker.connection, "storm/mapped", EMS_OPEN_EXISTING, NULL, &worker.mapped));
		work(&worker);
	}
	return pid;
}

static bool failed(void)
{
	for (uint32_t i = 0; i < workers; i++)
		if (shared->diaries[i].failure[0]) {
			printf("worker %u: %s\n", i, shared->diaries[i].failure);
			return true;
		}
	return false;
}

/* ---- beginning and end ---- */

static void must(int r, const char *what)
{
	if (r) {
		printf("%s: %s\n", what, ems_last_error()->message);
		exit(1);
	}
}

static void make_heaps(void)
{
	ems_value_t none = {.type = EMS_UNDEFINED};
	ems_connection_t *connection;
	ems_heap_t *heap;

	must(ems_connect(&connection, manager.socket), "connect");
	must(ems_heap_open(connection, "storm/plain", EMS_CREATE, &(ems_heap_options_t){.elements = 64, .max_elements = 64}, &heap),
	     "create");
	for (int i = 0; i < COUNTERS; i++)
		must(ems_write_int64(heap, ems_index(i), 0), "counter");
	for (int i = 0; i < TOKEN_PLACES; i++) {
		ems_value_t token = ems_value_integer(i);

		must(i < TOKENS ? ems_write_xf(heap, ems_index(COUNTERS + i), &token)
				: ems_write_xe(heap, ems_index(COUNTERS + i), &none),
		     "token");
	}
	ems_heap_close(heap);
	must(ems_heap_open(connection, "storm/mapped", EMS_CREATE,
			   &(ems_heap_options_t){.elements = 400, .max_elements = 4000, .map = true}, &heap),
	     "create");
	ems_heap_close(heap);
	ems_disconnect(connection);
}

static void problem(void *arg, const char *text)
{
	printf("%s: %s\n", (const char *)arg, text);
}

static struct heap_params params_of(const struct proto_params *params)
{
	return (struct heap_params){.elements = params->elements,
				    .max_elements = params->max_elements,
				    .storage = params->storage,
				    .seed = params->seed,
				    .initial_tag = TAG_FULL,
				    .has_map = params->has_map};
}

/* The checker's word on a heap, and that it is charged what is committed. */
static uint64_t check_heap(struct peer *peer, const char *name)
{
	struct proto_open request = peer_request(name, PROTO_HOW_OPEN, 0);
	struct shm_check check = {.quiet = true, .problem = problem, .arg = (void *)name};
	struct proto_inspect inspect = {0};
	struct proto_inspect_reply info;
	struct proto_recover recover;
	struct proto_recover_reply recovered;
	struct proto_open_reply reply;
	struct shm_segment segment;
	struct heap_params params;
	_cleanup_(closep) int fd = -1;
	uint64_t wrong = 0;

	if (peer_call(peer, PROTO_OPEN, &request, &reply)) {
		printf("%s is lost\n", name);
		return 1;
	}
	fd = steal_fd(&peer->fd); /* the next call would close it */
	recover.heap = inspect.heap = reply.heap;
	params = params_of(&reply.params);
	if (peer_call(peer, PROTO_RECOVER, &recover, &recovered) || recovered.deferred || recovered.corrupt ||
	    shm_segment_map(&segment, fd, &params, false) || shm_check(&segment, &check) ||
	    peer_call(peer, PROTO_INSPECT, &inspect, &info)) {
		printf("%s cannot be looked at\n", name);
		return 1;
	}
	wrong = check.problems;
	if (info.slots || info.quarantined) {
		printf("%s: %u slots are taken, quarantined: %d\n", name, info.slots, info.quarantined);
		wrong++;
	}
	/* What the kernel has counts as well, and that is with the slots' pages, which are not charged at first. */
	if (info.committed < shm_committed_bytes(&segment) / 2 ||
	    info.committed > shm_committed_bytes(&segment) + UINT64_C(4) * 1024 * 1024) {
		printf("%s: charged %" PRIu64 ", committed %" PRIu64 "\n", name, info.committed,
		       shm_committed_bytes(&segment));
		wrong++;
	}
	shm_segment_unmap(&segment);
	return wrong;
}

/* A heap that a killed worker had in hand, and dropped, is awaited for a while, and not listed. */
static uint64_t check_books(struct peer *peer, uint64_t killed)
{
	struct proto_list request = {0};
	struct proto_list_reply *reply = calloc(1, sizeof(*reply));
	struct proto_empty nothing = {0};
	struct proto_status_reply status;
	uint64_t sum = 0, wrong = 0;

	if (peer_call(peer, PROTO_LIST, &request, reply) || peer_call(peer, PROTO_STATUS, &nothing, &status))
		return 1;
	for (uint32_t i = 0; i < reply->count; i++)
		sum += reply->heaps[i].committed;
	if (status.heaps < reply->count || status.heaps - reply->count > killed || status.committed < sum ||
	    (status.heaps == reply->count && status.committed != sum)) {
		printf("%u heaps with %" PRIu64 " bytes are in the books, %u with %" PRIu64 " are listed\n", status.heaps,
		       status.committed, reply->count, sum);
		wrong++;
	}
	free(reply);
	return wrong;
}

static uint64_t check_values(uint64_t killed)
{
	uint64_t begun = 0, done = 0, sum = 0, tokens = 0, seen = 0, wrong = 0;
	ems_value_t value = EMS_VALUE_INIT;
	ems_connection_t *connection;
	ems_heap_t *heap;

	must(ems_connect(&connection, manager.socket), "connect");
	must(ems_heap_open(connection, "storm/plain", EMS_OPEN_EXISTING, NULL, &heap), "open");
	for (uint32_t i = 0; i < workers; i++) {
		begun += shared->diaries[i].begun;
		done += shared->diaries[i].done;
	}
	for (int i = 0; i < COUNTERS; i++) {
		int64_t count;

		must(ems_read_int64(heap, ems_index(i), &count), "counter");
		sum += (uint64_t)count;
	}
	for (int i = 0; i < TOKEN_PLACES; i++) {
		ems_tag_t tag;

		must(ems_get_tag(heap, ems_index(COUNTERS + i), &tag), "tag");
		must(ems_read(heap, ems_index(COUNTERS + i), &value), "token");
		if (tag != EMS_FULL)
			continue;
		wrong += seen >> value.integer & 1;
		seen |= UINT64_C(1) << value.integer;
		tokens++;
	}
	if (sum < done || sum > begun || tokens > TOKENS || tokens + killed < TOKENS)
		wrong++;
	printf("additions: %" PRIu64 " begun, %" PRIu64 " done, %" PRIu64 " there; tokens: %" PRIu64 " of %d, %" PRIu64
	       " workers killed\n",
	       begun, done, sum, tokens, TOKENS, killed);
	ems_value_clear(&value);
	ems_heap_close(heap);
	ems_disconnect(connection);
	return wrong;
}

/* ---- the storm ---- */

static void pause_at_random(uint64_t *random, uint64_t most)
{
	struct timespec time = clock_timespec(unit_random(random) % most);

	(void)nanosleep(&time, NULL);
}

/* Somebody has worked, so that no kill is for nothing. */
static void await_work(void)
{
	uint64_t before = 0, now;

	for (uint32_t i = 0; i < workers; i++)
		before += load64_relaxed(&shared->diaries[i].turns);
	do {
		(void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		now = 0;
		for (uint32_t i = 0; i < workers; i++)
			now += load64_relaxed(&shared->diaries[i].turns);
	} while (now == before && !failed());
}

static uint64_t storm(void)
{
	uint64_t random = seed, killed = 0;
	pid_t pids[MAX_WORKERS];
	struct peer peer;
	int status;

	for (uint32_t i = 0; i < workers; i++)
		pids[i] = start_worker(i, unit_random(&random));
	for (uint64_t n = 0; n < kills && !failed(); n++) {
		uint32_t victim = (uint32_t)(unit_random(&random) % workers);
		uint64_t what = unit_random(&random) % 10;
		pid_t keeper = what == 0 ? manager_keeper(&manager) : 0;

		await_work();
		pause_at_random(&random, 5 * NS_PER_MS);
		if (keeper > 0) {
			/* The daemon sees it before it is killed itself: both at once is the end of the heaps. */
			kill(keeper, SIGKILL);
			while (manager_keeper(&manager) == keeper || manager_keeper(&manager) == 0)
				pause_at_random(&random, NS_PER_MS);
			peer_open(&peer, manager.socket); /* it has given the new one everything */
			peer_close(&peer);
		}
		status = manager_kill(&manager, what == 1 ? SIGTERM : SIGKILL);
		if (what == 1 && status != 0) {
			printf("emsd ended with %d\n", status);
			return UINT64_MAX;
		}
		pause_at_random(&random, 3 * NS_PER_MS);
		if (what == 2 || what == 3) {
			kill(pids[victim], SIGKILL);
			(void)waitpid(pids[victim], NULL, 0);
			killed++;
		}
		manager_start(&manager);
		if (what == 2 || what == 3)
			pids[victim] = start_worker(victim, unit_random(&random));
	}
	store64_relaxed(&shared->stop, 1);
	for (uint32_t i = 0; i < workers; i++)
		(void)waitpid(pids[i], NULL, 0);
	return killed;
}

static uint64_t run(enum manager_mode store)
{
	uint64_t wrong, killed;
	struct peer peer;

	memset(shared, 0, sizeof(*shared));
	manager_open(&manager, store);
	make_heaps();
	killed = storm();
	wrong = killed == UINT64_MAX || failed();
	peer_open(&peer, manager.socket);
	wrong += check_heap(&peer, "storm/plain") + check_heap(&peer, "storm/mapped") + check_books(&peer, killed);
	peer_close(&peer);
	wrong += check_values(killed);
	wrong += manager_close(&manager) != 0;
	printf("%s: %s\n", store == MANAGER_SYSTEMD ? "systemd" : store == MANAGER_STORE ? "store" : "keeper",
	       wrong ? "FAILED" : "all is well");
	return wrong;
}

/* A test of the check library only because the tools that it uses are made for those. */
START_TEST(daemon_kills)
{
	uint64_t wrong = 0;

	if (strcmp(mode, "systemd") == 0)
		wrong += run(MANAGER_SYSTEMD);
	if (strcmp(mode, "keeper") == 0 || strcmp(mode, "both") == 0)
		wrong += run(MANAGER_KEEPER);
	if (strcmp(mode, "store") == 0 || strcmp(mode, "both") == 0)
		wrong += run(MANAGER_STORE);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("stress/daemon_kills");
	TCase *tcase = tcase_create("storm");
	SRunner *runner;
	int wrong;

	if (argc > 1)
		kills = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		workers = MIN(MAX((uint32_t)strtoul(argv[2], NULL, 0), 1u), (uint32_t)MAX_WORKERS);
	if (argc > 3)
		mode = argv[3];
	seed = unit_seed();
	printf("%" PRIu64 " kills, %u workers\n", kills, workers);
	setenv("EMS_AUTOSTART", "0", 1);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	tcase_add_test(tcase, daemon_kills);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* the number of kills says how long it takes */
	srunner_run_all(runner, CK_ENV);
	wrong = srunner_ntests_failed(runner);
	srunner_free(runner);
	return wrong ? 1 : 0;
}
