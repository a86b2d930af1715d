/*
 * test_broker_hostile.c: a writer may scribble over its own heap's segment as it likes; the daemon, asked for everything that
 * makes it look there, neither falls over nor hangs, and serves the others on.
 */
#include <signal.h>
#include <sys/wait.h>

#include "shm/atomic.h"
#include "shm/segment.h"
#include "shm/slot.h"
#include "tests/integration/broker.h"

#define ROUNDS 60

static void ask_everything(struct peer *peer, uint32_t heap)
{
	static struct proto_inspect_reply inspected;
	struct proto_inspect inspect = {.heap = heap};
	struct proto_recover recover = {.heap = heap};
	struct proto_recover_reply recovered;
	struct proto_commit_storage storage = {.heap = heap, .chunks = 1};
	struct proto_commit_units units = {.heap = heap, .first = 0, .count = 3};
	struct proto_prepare_table table = {.heap = heap};
	struct proto_trim trim = {.heap = heap};
	struct proto_empty nothing = {0};

	/* What the answers are is not the point; that they come is. */
	ck_assert_int_eq(peer_call(peer, PROTO_INSPECT, &inspect, &inspected), 0);
	(void)peer_call(peer, PROTO_RECOVER, &recover, &recovered);
	(void)peer_call(peer, PROTO_COMMIT_STORAGE, &storage, &nothing);
	(void)peer_call(peer, PROTO_COMMIT_UNITS, &units, &nothing);
	for (table.table = 0; table.table < 4; table.table++)
		(void)peer_call(peer, PROTO_PREPARE_TABLE, &table, &nothing);
	peer_send(peer, PROTO_TRIM, &trim);
	ck_assert_int_eq(peer_call(peer, PROTO_PING, &nothing, &nothing), 0);
}

/* Random words over some of an area's first bytes: some small, some that look like offsets, some anything. */
static void scribble(struct shm_segment *segment, enum area area, uint64_t first, uint64_t bytes,
		     uint64_t *state)
{
	uint64_t *words = (uint64_t *)((uint8_t *)shm_area(segment, area) + first);

	for (uint64_t i = 0; i < bytes / sizeof(uint64_t); i++) {
		uint64_t word = unit_random(state);

		switch (unit_random(state) % 8) {
		case 0:
			words[i] = word;
			break;
		case 1:
			words[i] = word % 64;
			break;
		case 2:
			words[i] = word % segment->layout.segment_size & ~UINT64_C(15);
			break;
		default: /* as it was */
			break;
		}
	}
}

static void one_round(struct peer *peer, uint64_t *state, int round)
{
	struct proto_open request = peer_request("hostile", PROTO_HOW_CREATE, 5000);
	struct proto_open_reply reply;
	struct shm_segment segment;
	struct heap_params params;

	request.params.has_map = round % 2;
	request.params.storage = 4 << 20;
	request.replace = true;
	request.lifetime = PROTO_LIFETIME_DETACH;
	ck_assert_int_eq(peer_call(peer, PROTO_OPEN, &request, &reply), 0);
	params = (struct heap_params){.elements = 5000,
				      .max_elements = 5000,
				      .storage = 4 << 20,
				      .seed = reply.params.seed,
				      .initial_tag = TAG_FULL,
				      .has_map = request.params.has_map};
	ck_assert_int_eq(shm_segment_map(&segment, peer->fd, &params, true), 0);
	ask_everything(peer, reply.heap);
	scribble(&segment, AREA_SLOTS, 0, 64 * sizeof(struct slot), state);
	scribble(&segment, AREA_CHUNKS, 0, segment.layout.chunks * sizeof(struct chunk), state);
	if (segment.layout.tables)
		scribble(&segment, AREA_TABLES, 0, 4096, state);
	scribble(&segment, AREA_ELEMENTS, 0, 4096, state);
	/* The changeable part of the header: all marks of what is used, cursors, hints, the gate, the map word. */
	scribble(&segment, AREA_HEADER, 4096, sizeof(struct header) - 4096, state);
	for (uint32_t id = 0; id < 64; id++)
		if (unit_random(state) % 2)
			store32_release((uint32_t *)shm_at(&segment, segment.layout.offset[AREA_LOCKS] +
									     (id + 1) * UNIT - 16),
					(uint32_t)unit_random(state) | (id % 2 ? 0x40000000u : 0));
	ask_everything(peer, reply.heap);
	shm_segment_unmap(&segment);
	/* The heap goes with its attachment; what it was charged must come out even. */
	ck_assert_int_eq(peer_call(peer, PROTO_DETACH, &(struct proto_detach){.heap = reply.heap},
				   &(struct proto_empty){0}),
			 0);
}

START_TEST(scribbled_segments)
{
	uint64_t state = unit_seed();
	struct proto_status_reply before, after;
	struct proto_empty nothing = {0};
	struct peer peer, other;

	peer_open(&other, the_daemon.socket);
	ck_assert_int_eq(peer_call(&other, PROTO_STATUS, &nothing, &before), 0);
	for (int round = 0; round < ROUNDS; round++) {
		peer_open(&peer, the_daemon.socket);
		one_round(&peer, &state, round);
		ck_assert_int_eq(peer_call(&other, PROTO_PING, &nothing, &nothing), 0);
		peer_close(&peer);
	}
	EVENTUALLY(peer_call(&other, PROTO_STATUS, &nothing, &after) == 0 && after.heaps == before.heaps);
	ck_assert_uint_eq(after.committed, before.committed);
	peer_close(&other);
}
END_TEST

INTEGRATION_MAIN("broker/hostile", scribbled_segments)
