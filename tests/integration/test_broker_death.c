/*
 * test_broker_death.c: clients die, stop, or leave without a word; what they had in hand is put in order when, and only
 * when, they are dead.
 */
#include <linux/futex.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/slot.h"
#include "tests/integration/broker.h"

/* A process that has the heap attached, with a slot in it. */
struct victim {
	pid_t pid;
	int talk[2]; /* it says when it is ready; it leaves its slot, or ends, when told */
};

static struct heap_params plain_params(const struct proto_params *params)
{
	return (struct heap_params){.elements = params->elements,
				    .max_elements = params->max_elements,
				    .storage = params->storage,
				    .seed = params->seed,
				    .initial_tag = TAG_FULL};
}

enum victim_kind { DIES, HAS_A_CHILD, CLOSES_ITS_SOCKET };

static _Noreturn void be_victim(enum victim_kind kind, int talk)
{
	struct proto_open request = peer_request("death", PROTO_HOW_OPEN, 0);
	struct proto_open_reply reply;
	struct shm_session session;
	struct shm_segment segment;
	struct heap_params params;
	struct peer peer;
	char byte;

	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	params = plain_params(&reply.params);
	ck_assert_int_eq(shm_segment_map(&segment, peer.fd, &params, true), 0);
	ck_assert_int_eq(shm_session_open(&session, &segment, peer.client), 0);
	if (kind == HAS_A_CHILD && fork() == 0) {
		/* Holds the socket open, so that its other end sees no end of file; ends with the test. */
		(void)!read(talk, &byte, 1);
		_exit(0);
	}
	if (kind == CLOSES_ITS_SOCKET)
		peer_close(&peer);
	/* In the middle of a step. */
	shm_step_enter(&session);
	/* From here on it may be killed: no more of check's macros, which would leave torn what they tell the runner. */
	if (write(talk, "r", 1) != 1)
		_exit(1);
	(void)!read(talk, &byte, 1);
	shm_step_leave(&session);
	shm_session_close(&session);
	if (write(talk, "c", 1) != 1)
		_exit(1);
	(void)!read(talk, &byte, 1);
	_exit(0);
}

static void start_victim(struct victim *victim, enum victim_kind kind)
{
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, victim->talk), 0);
	victim->pid = fork();
	ck_assert_int_ge(victim->pid, 0);
	if (victim->pid == 0) {
		fd_close(victim->talk[0]);
		be_victim(kind, victim->talk[1]);
	}
	victim->talk[1] = fd_close(victim->talk[1]);
	ck_assert_int_eq(read(victim->talk[0], &byte, 1), 1);
}

static void end_victim(struct victim *victim)
{
	kill(victim->pid, SIGKILL);
	waitpid(victim->pid, NULL, 0);
	/* Only now: it would take the end of file as the word to leave in order. */
	fd_close(victim->talk[0]);
}

/* The keeper's connection: made, with the heap, by each test. */
static struct peer keeper;
static struct proto_inspect_reply state;

static void make_heap(void)
{
	struct proto_open request = peer_request("death", PROTO_HOW_CREATE, 100);
	struct proto_open_reply reply;

	peer_open(&keeper, the_daemon.socket);
	ck_assert_int_eq(peer_call(&keeper, PROTO_OPEN, &request, &reply), 0);
}

static void drop_heap(void)
{
	struct proto_drop request = {.name = "death"};
	struct proto_empty nothing;

	ck_assert_int_eq(peer_call(&keeper, PROTO_DROP, &request, &nothing), 0);
	peer_close(&keeper);
}

static const struct proto_inspect_reply *inspect(void)
{
	struct proto_inspect request = {.name = "death"};

	ck_assert_int_eq(peer_call(&keeper, PROTO_INSPECT, &request, &state), 0);
	return &state;
}

START_TEST(killed_client_is_recovered)
{
	make_heap();
	for (uint32_t i = 1; i <= 5; i++) {
		struct victim victim;

		start_victim(&victim, DIES);
		ck_assert_uint_eq(inspect()->clients, 2);
		ck_assert_uint_eq(state.writers, 2);
		ck_assert_uint_eq(state.slots, 1);
		end_victim(&victim);
		EVENTUALLY(inspect()->clients == 1 && state.slots == 0);
		ck_assert_uint_eq(state.recoveries, i);
		ck_assert(!state.recovering && !state.quarantined);
	}
	drop_heap();
}
END_TEST

START_TEST(child_with_the_socket_does_not_hide_the_death)
{
	struct victim victim;

	make_heap();
	start_victim(&victim, HAS_A_CHILD);
	kill(victim.pid, SIGKILL);
	EVENTUALLY(inspect()->clients == 1 && state.slots == 0);
	ck_assert_uint_eq(state.recoveries, 1);
	end_victim(&victim);
	drop_heap();
}
END_TEST

START_TEST(stopped_is_not_dead)
{
	struct proto_open request = peer_request("death", PROTO_HOW_OPEN, 0);
	struct proto_recover recover;
	struct proto_recover_reply recovered;
	struct proto_open_reply reply;
	struct victim victim;
	int status;

	make_heap();
	start_victim(&victim, DIES);
	kill(victim.pid, SIGSTOP);
	ck_assert_int_eq(waitpid(victim.pid, &status, WUNTRACED), victim.pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert_int_eq(peer_call(&keeper, PROTO_OPEN, &request, &reply), 0);
	recover.heap = reply.heap;
	ck_assert_int_eq(peer_call(&keeper, PROTO_RECOVER, &recover, &recovered), 0);
	ck_assert_uint_eq(recovered.recovered, 0);
	ck_assert_uint_eq(inspect()->slots, 1);
	end_victim(&victim);
	drop_heap();
}
END_TEST

/* It closed its connection, and lives: its slot is its own until it gives it back. */
START_TEST(closed_connection_is_not_a_death)
{
	struct victim victim;
	char byte;

	make_heap();
	start_victim(&victim, CLOSES_ITS_SOCKET);
	ck_assert_uint_eq(inspect()->clients, 2);
	ck_assert_uint_eq(state.slots, 1);
	ck_assert_int_eq(write(victim.talk[0], "c", 1), 1);
	ck_assert_int_eq(read(victim.talk[0], &byte, 1), 1);
	EVENTUALLY(inspect()->clients == 1);
	ck_assert_uint_eq(state.slots, 0);
	ck_assert_uint_eq(state.recoveries, 0);
	end_victim(&victim);
	drop_heap();
}
END_TEST

START_TEST(killed_after_it_closed_its_connection)
{
	struct victim victim;

	make_heap();
	start_victim(&victim, CLOSES_ITS_SOCKET);
	end_victim(&victim);
	EVENTUALLY(inspect()->clients == 1 && state.slots == 0);
	ck_assert_uint_eq(state.recoveries, 1);
	drop_heap();
}
END_TEST

/* ---- many connections of one process ---- */

enum { CONNECTIONS = 200, HOLDERS = 8 };

/*
 * HOLDERS of the connections have slots. When told, it closes the odd ones, with slots or without; the slots stay, it lives. The kernel
 * does not know of its locks: only who is told of the process's end, for each of its clients, finds their slots dead.
 */
static _Noreturn void be_crowd(int talk)
{
	static struct robust_list_head nothing = {.list = {&nothing.list}};
	static struct peer peers[CONNECTIONS];
	struct shm_session sessions[HOLDERS];
	struct shm_segment segments[HOLDERS];
	struct proto_open request = peer_request("death", PROTO_HOW_OPEN, 0);
	struct proto_open_reply reply;
	struct heap_params params;
	char byte;

	for (int i = 0; i < CONNECTIONS; i++)
		peer_open(&peers[i], the_daemon.socket);
	for (int i = 0; i < HOLDERS; i++) {
		ck_assert_int_eq(peer_call(&peers[i], PROTO_OPEN, &request, &reply), 0);
		params = plain_params(&reply.params);
		ck_assert_int_eq(shm_segment_map(&segments[i], peers[i].fd, &params, true), 0);
		ck_assert_int_eq(shm_session_open(&sessions[i], &segments[i], peers[i].client), 0);
	}
	ck_assert_int_eq(syscall(SYS_set_robust_list, &nothing, sizeof(nothing)), 0);
	/* From here on it may be killed, as above. */
	(void)!write(talk, "r", 1);
	(void)!read(talk, &byte, 1);
	for (int i = 1; i < CONNECTIONS; i += 2)
		peer_close(&peers[i]);
	(void)!write(talk, "c", 1);
	(void)!read(talk, &byte, 1);
	_exit(0);
}

/* A descriptor for each connection and one for the process; its death is that of each of its clients, connected or not any more. */
START_TEST(connections_of_one_process)
{
	struct proto_status_reply status;
	struct proto_empty nothing = {0};
	struct victim crowd;
	int before;
	char byte;

	make_heap();
	/* Nothing of the tests before is left. */
	EVENTUALLY(peer_call(&keeper, PROTO_STATUS, &nothing, &status) == 0 && status.clients == 1);
	before = count_descriptors(the_daemon.pid);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, crowd.talk), 0);
	crowd.pid = fork();
	ck_assert_int_ge(crowd.pid, 0);
	if (crowd.pid == 0) {
		fd_close(crowd.talk[0]);
		be_crowd(crowd.talk[1]);
	}
	crowd.talk[1] = fd_close(crowd.talk[1]);
	ck_assert_int_eq(read(crowd.talk[0], &byte, 1), 1);
	EVENTUALLY(count_descriptors(the_daemon.pid) == before + CONNECTIONS + 1);
	ck_assert_uint_eq(inspect()->clients, HOLDERS + 1);
	ck_assert_int_eq(write(crowd.talk[0], "c", 1), 1);
	ck_assert_int_eq(read(crowd.talk[0], &byte, 1), 1);
	EVENTUALLY(count_descriptors(the_daemon.pid) == before + CONNECTIONS / 2 + 1);
	ck_assert_uint_eq(inspect()->clients, HOLDERS + 1);
	ck_assert_uint_eq(state.slots, HOLDERS);
	ck_assert_uint_eq(state.recoveries, 0);
	end_victim(&crowd);
	EVENTUALLY(inspect()->clients == 1 && state.slots == 0);
	ck_assert_uint_eq(state.recoveries, HOLDERS);
	EVENTUALLY(count_descriptors(the_daemon.pid) == before);
	drop_heap();
}
END_TEST

START_TEST(heap_dropped_while_its_last_client_dies)
{
	struct proto_status_reply before, after;
	struct proto_empty nothing = {0};
	struct victim victim;
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_STATUS, &nothing, &before), 0);
	make_heap();
	start_victim(&victim, DIES);
	drop_heap();
	end_victim(&victim);
	EVENTUALLY(peer_call(&peer, PROTO_STATUS, &nothing, &after) == 0 && after.heaps == before.heaps);
	ck_assert_uint_eq(after.committed, before.committed);
	peer_close(&peer);
}
END_TEST

INTEGRATION_MAIN("broker/death", killed_client_is_recovered, child_with_the_socket_does_not_hide_the_death,
		 stopped_is_not_dead, closed_connection_is_not_a_death, killed_after_it_closed_its_connection,
		 connections_of_one_process, heap_dropped_while_its_last_client_dies)
