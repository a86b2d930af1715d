/*
 * test_broker_heaps.c: the life of heaps, as a client of the protocol sees it.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>

#include "shm/atomic.h"
#include "shm/futex.h"
#include "shm/segment.h"
#include "tests/integration/broker.h"

static struct heap_params segment_params(const struct proto_params *params)
{
	struct heap_params to = {.elements = params->elements,
				 .max_elements = params->max_elements,
				 .storage = params->storage,
				 .seed = params->seed,
				 .fill_type = (uint8_t)params->fill.type,
				 .initial_tag = params->tag == PROTO_TAG_EMPTY ? TAG_EMPTY : TAG_FULL,
				 .has_map = params->has_map,
				 .persistent = params->persistent};

	if (params->fill.type == PROTO_INTEGER)
		to.fill_value = (uint64_t)params->fill.integer;
	return to;
}

static void drop(struct peer *peer, const char *name)
{
	struct proto_drop request = {0};
	struct proto_empty reply;

	snprintf(request.name, sizeof(request.name), "%s", name);
	ck_assert_int_eq(peer_call(peer, PROTO_DROP, &request, &reply), 0);
}

static void map_reply(struct shm_segment *segment, const struct peer *peer,
		      const struct proto_open_reply *reply)
{
	struct heap_params params = segment_params(&reply->params);

	ck_assert_int_ge(peer->fd, 0);
	ck_assert_int_eq(shm_segment_map(segment, peer->fd, &params, reply->access == PROTO_ACCESS_WRITE), 0);
}

START_TEST(created_heap_can_be_mapped)
{
	struct proto_open request = peer_request("made", PROTO_HOW_CREATE, 1000);
	struct proto_open_reply reply, again;
	struct shm_segment segment;
	struct peer peer;

	request.params.has_map = true;
	request.params.storage = 100000;
	request.params.max_elements = 5000;
	request.params.tag = PROTO_TAG_EMPTY;
	request.params.fill = (struct proto_value){.type = PROTO_INTEGER, .integer = -7};
	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	ck_assert(reply.created);
	ck_assert_str_eq(reply.name, "made");
	ck_assert_uint_eq(reply.elements, 1000);
	ck_assert_uint_eq(reply.params.storage, 131072);
	ck_assert_uint_eq(reply.mode, 0600);
	ck_assert_uint_eq(reply.uid, geteuid());
	map_reply(&segment, &peer, &reply);
	ck_assert_mem_eq(shm_header(&segment)->heap_id, reply.heap_id, 16);
	ck_assert_uint_eq(shm_elements(&segment), 1000);
	shm_segment_unmap(&segment);

	/* Once more over the same connection: another attachment of the same heap. */
	request.how = PROTO_HOW_OPEN;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &again), 0);
	ck_assert(!again.created);
	ck_assert_uint_ne(again.heap, reply.heap);
	ck_assert_mem_eq(again.heap_id, reply.heap_id, 16);
	ck_assert_uint_eq(again.params.seed, reply.params.seed);
	drop(&peer, "made");
	peer_close(&peer);
}
END_TEST

START_TEST(how_to_open)
{
	struct proto_open request = peer_request("how", PROTO_HOW_OPEN, 10);
	struct proto_open_reply reply, other;
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), -ERROR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(peer.message.error.message, "\"how\""));
	request.how = PROTO_HOW_OPEN_OR_CREATE;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	ck_assert(reply.created);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &other), 0);
	ck_assert(!other.created);
	ck_assert_mem_eq(other.heap_id, reply.heap_id, 16);

	request.params.elements = 11;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &other), -ERROR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(peer.message.error.message, "\"elements\""));
	request.any_params = true;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &other), 0);
	ck_assert_uint_eq(other.params.elements, 10);
	request.how = PROTO_HOW_CREATE;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &other), -ERROR_EXISTS);

	/* Replaced: the old one goes on without a name, and is told. */
	request.replace = true;
	peer_send(&peer, PROTO_OPEN, &request);
	for (int i = 0; i < 3; i++) {
		struct proto_dropped event;

		peer_expect_event(&peer, PROTO_EVENT_DROPPED, &event);
		ck_assert_str_eq(event.name, "how");
	}
	ck_assert_int_eq(peer_receive(&peer), 0);
	ck_assert_int_eq(proto_decode_reply(&peer.message, PROTO_OPEN, &other, NULL), 0);
	ck_assert(other.created);
	ck_assert_uint_eq(other.elements, 11);
	ck_assert(memcmp(other.heap_id, reply.heap_id, 16) != 0);
	drop(&peer, "how");
	peer_close(&peer);
}
END_TEST

START_TEST(bad_requests)
{
	static const struct {
		struct proto_params params;
		int error;
	} cases[] = {
		{{.elements = 5, .max_elements = 4}, -ERROR_RANGE},
		{{.elements = UINT64_MAX}, -ERROR_RANGE},
		{{.elements = (UINT64_C(1) << 32) + 1, .has_map = true}, -ERROR_RANGE},
		{{.elements = 1, .storage = UINT64_MAX}, -ERROR_RANGE},
		{{.elements = 1, .storage = (UINT64_C(1) << 40) + 1}, -ERROR_RANGE},
	};
	static const char *const names[] = {"/a", "a//b", "..", "~", "~x/y", "a\nb"};
	struct proto_open request = peer_request("bad", PROTO_HOW_CREATE, 0);
	struct proto_inspect inspect = {.name = "bad"};
	static struct proto_inspect_reply inspected;
	struct proto_detach detach = {.heap = 77};
	struct proto_open_reply reply;
	struct proto_empty nothing;
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	/* No params at all: the field is named. */
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), -ERROR_RANGE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		request.params = cases[i].params;
		ck_assert_msg(peer_call(&peer, PROTO_OPEN, &request, &reply) == cases[i].error,
			      "case %zu: %s", i, error_name(peer.message.error.code));
		ck_assert_uint_gt(strlen(peer.message.error.message), 10);
	}
	request.params = (struct proto_params){.elements = 1};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(request.name, sizeof(request.name), "%s", names[i]);
		ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), -ERROR_NAME);
	}
	ck_assert_int_eq(peer_call(&peer, PROTO_INSPECT, &inspect, &inspected), -ERROR_NOT_FOUND);
	ck_assert_int_eq(peer_call(&peer, PROTO_DETACH, &detach, &nothing), -ERROR_NOT_FOUND);
	peer_close(&peer);
}
END_TEST

START_TEST(read_only_means_it)
{
	struct proto_open request = peer_request("readable", PROTO_HOW_CREATE, 10);
	struct proto_open_reply writer, reader;
	struct proto_commit_units units = {.first = 0, .count = 1};
	struct proto_grow grow = {.elements = 10};
	struct proto_grow_reply grown;
	struct proto_empty nothing;
	struct shm_segment segment;
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &writer), 0);
	request.how = PROTO_HOW_OPEN;
	request.access = PROTO_ACCESS_READ;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reader), 0);
	ck_assert_int_eq(reader.access, PROTO_ACCESS_READ);
	ck_assert_int_eq(fcntl(peer.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, peer.fd, 0), MAP_FAILED);
	map_reply(&segment, &peer, &reader);
	shm_segment_unmap(&segment);
	units.heap = grow.heap = reader.heap;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), -ERROR_READ_ONLY);
	ck_assert_int_eq(peer_call(&peer, PROTO_GROW, &grow, &grown), -ERROR_READ_ONLY);
	drop(&peer, "readable");
	peer_close(&peer);
}
END_TEST

START_TEST(segments_are_sealed)
{
	struct proto_open request = peer_request("sealed", PROTO_HOW_CREATE, 10);
	struct proto_open_reply reply;
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	ck_assert_int_lt(ftruncate(peer.fd, 0), 0);
	ck_assert_int_lt(ftruncate(peer.fd, (off_t)1 << 42), 0);
	drop(&peer, "sealed");
	peer_close(&peer);
}
END_TEST

START_TEST(drop_tells_everybody)
{
	struct proto_open request = peer_request("dropped", PROTO_HOW_CREATE, 10);
	struct proto_open_reply mine, theirs;
	struct proto_dropped event;
	struct shm_segment segment;
	struct peer one, two;

	peer_open(&one, the_daemon.socket);
	peer_open(&two, the_daemon.socket);
	ck_assert_int_eq(peer_call(&one, PROTO_OPEN, &request, &mine), 0);
	request.how = PROTO_HOW_OPEN;
	ck_assert_int_eq(peer_call(&two, PROTO_OPEN, &request, &theirs), 0);
	map_reply(&segment, &two, &theirs);
	ck_assert_uint_eq(load32_acquire(&shm_header(&segment)->dropped), 0);
	drop(&one, "dropped");
	peer_expect_event(&two, PROTO_EVENT_DROPPED, &event);
	ck_assert_uint_eq(event.heap, theirs.heap);
	ck_assert_uint_eq(load32_acquire(&shm_header(&segment)->dropped), 1);
	/* It is gone for new ones, and there for those who have it; a second drop is an error. */
	ck_assert_int_eq(peer_call(&one, PROTO_OPEN, &request, &mine), -ERROR_NOT_FOUND);
	store64_release(&shm_header(&segment)->pad_life[0], 5);
	{
		struct proto_drop again = {.heap = theirs.heap};
		struct proto_empty nothing;

		ck_assert_int_eq(peer_call(&two, PROTO_DROP, &again, &nothing), -ERROR_DROPPED);
	}
	shm_segment_unmap(&segment);
	peer_close(&one);
	peer_close(&two);
}
END_TEST

START_TEST(growing)
{
	struct proto_open request = peer_request("growing", PROTO_HOW_CREATE, 10);
	struct proto_open_reply mine, theirs;
	struct proto_grow grow = {.name = "growing"};
	struct proto_grow_reply grown;
	struct proto_grown event;
	struct shm_segment segment;
	struct peer one, two;

	request.params.max_elements = 1000;
	peer_open(&one, the_daemon.socket);
	peer_open(&two, the_daemon.socket);
	ck_assert_int_eq(peer_call(&one, PROTO_OPEN, &request, &mine), 0);
	request.how = PROTO_HOW_OPEN;
	ck_assert_int_eq(peer_call(&two, PROTO_OPEN, &request, &theirs), 0);
	map_reply(&segment, &two, &theirs);
	grow.elements = 1001;
	ck_assert_int_eq(peer_call(&one, PROTO_GROW, &grow, &grown), -ERROR_RANGE);
	grow.elements = 500;
	ck_assert_int_eq(peer_call(&one, PROTO_GROW, &grow, &grown), 0);
	ck_assert_uint_eq(grown.elements, 500);
	peer_expect_event(&two, PROTO_EVENT_GROWN, &event);
	ck_assert_uint_eq(event.elements, 500);
	ck_assert_uint_eq(shm_elements(&segment), 500);
	/* Never smaller. */
	grow.elements = 5;
	ck_assert_int_eq(peer_call(&one, PROTO_GROW, &grow, &grown), 0);
	ck_assert_uint_eq(grown.elements, 500);
	/* Opened again, it says both what it was created with and what it has. */
	ck_assert_int_eq(peer_call(&two, PROTO_OPEN, &request, &theirs), 0);
	ck_assert_uint_eq(theirs.params.elements, 10);
	ck_assert_uint_eq(theirs.elements, 500);
	shm_segment_unmap(&segment);
	drop(&one, "growing");
	peer_close(&one);
	peer_close(&two);
}
END_TEST

START_TEST(listing_in_pages)
{
	enum { COUNT = 150 };
	struct proto_list request = {.prefix = "page/", .limit = 40};
	static struct proto_list_reply reply;
	struct proto_open open = peer_request("", PROTO_HOW_CREATE, 1);
	struct proto_open_reply opened;
	struct peer peer;
	int seen = 0;

	peer_open(&peer, the_daemon.socket);
	for (int i = 0; i < COUNT; i++) {
		snprintf(open.name, sizeof(open.name), "page/%03d", i * 37 % COUNT);
		ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &open, &opened), 0);
	}
	strcpy(open.name, "~/page/x");
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &open, &opened), 0);
	do {
		ck_assert_int_eq(peer_call(&peer, PROTO_LIST, &request, &reply), 0);
		for (uint32_t i = 0; i < reply.count; i++) {
			char expected[32];

			snprintf(expected, sizeof(expected), "page/%03d", seen++);
			ck_assert_str_eq(reply.heaps[i].name, expected);
			ck_assert_uint_eq(reply.heaps[i].clients, 1);
			ck_assert_uint_gt(reply.heaps[i].committed, 0);
		}
		snprintf(request.after, sizeof(request.after), "%s", reply.heaps[reply.count - 1].name);
	} while (reply.more);
	ck_assert_int_eq(seen, COUNT);
	/* This user's own. */
	request = (struct proto_list){.prefix = "~/"};
	ck_assert_int_eq(peer_call(&peer, PROTO_LIST, &request, &reply), 0);
	ck_assert_uint_eq(reply.count, 1);
	ck_assert_str_eq(reply.heaps[0].name, "~/page/x");
	drop(&peer, "~/page/x");
	for (int i = 0; i < COUNT; i++) {
		snprintf(open.name, sizeof(open.name), "page/%03d", i);
		drop(&peer, open.name);
	}
	peer_close(&peer);
}
END_TEST

START_TEST(memory_on_request)
{
	struct proto_open request = peer_request("memory", PROTO_HOW_CREATE, UINT64_C(1) << 30);
	static struct proto_inspect_reply before, after;
	struct proto_inspect inspect = {.name = "memory"};
	struct proto_open_reply reply;
	struct proto_commit_units units = {.count = 4};
	struct proto_commit_storage storage = {.chunks = 4};
	struct proto_prepare_table table = {.table = 2};
	struct proto_trim trim;
	struct proto_recover recover;
	struct proto_recover_reply recovered;
	struct proto_empty nothing;
	struct shm_segment segment;
	struct peer peer;

	request.params.has_map = true;
	request.params.storage = 1 << 20;
	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	map_reply(&segment, &peer, &reply);
	units.heap = storage.heap = table.heap = trim.heap = recover.heap = reply.heap;
	ck_assert_int_eq(peer_call(&peer, PROTO_INSPECT, &inspect, &before), 0);
	ck_assert_uint_lt(before.committed, 16 << 20);

	units.first = (segment.layout.offset[AREA_ELEMENTS] >> UNIT_SHIFT) + 1000;
	ck_assert(!shm_committed(&segment, units.first << UNIT_SHIFT));
	for (int i = 0; i < 2; i++) /* the second time it is there already, and costs nothing */
		ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), 0);
	ck_assert(shm_committed(&segment, (units.first + 3) << UNIT_SHIFT));
	ck_assert_int_eq(peer_call(&peer, PROTO_INSPECT, &inspect, &after), 0);
	ck_assert_uint_eq(after.committed, before.committed + 4 * UNIT);

	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_STORAGE, &storage, &nothing), 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_INSPECT, &inspect, &after), 0);
	ck_assert_uint_ge(after.committed, before.committed + 8 * UNIT);
	ck_assert_uint_eq(after.storage.free_chunks, 4);
	storage.chunks = 17;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_STORAGE, &storage, &nothing), -ERROR_NO_SPACE);

	ck_assert_int_eq(peer_call(&peer, PROTO_PREPARE_TABLE, &table, &nothing), 0);
	ck_assert(shm_committed(&segment, layout_table_offset(&segment.layout, 2)));
	table.table = 64;
	ck_assert_int_eq(peer_call(&peer, PROTO_PREPARE_TABLE, &table, &nothing), -ERROR_RANGE);

	/* Not by units: locks, block headers, storage; not beyond the end; not too many at once. */
	units.first = segment.layout.offset[AREA_LOCKS] >> UNIT_SHIFT;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), -ERROR_RANGE);
	units.first = segment.layout.offset[AREA_STORAGE] >> UNIT_SHIFT;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), -ERROR_RANGE);
	units.first = UINT64_MAX;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), -ERROR_RANGE);
	units.first = segment.layout.offset[AREA_ELEMENTS] >> UNIT_SHIFT;
	units.count = UINT64_MAX;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), -ERROR_RANGE);

	peer_send(&peer, PROTO_TRIM, &trim);
	ck_assert_int_eq(peer_call(&peer, PROTO_RECOVER, &recover, &recovered), 0);
	ck_assert_uint_eq(recovered.recovered, 0);
	shm_segment_unmap(&segment);
	drop(&peer, "memory");
	peer_close(&peer);
}
END_TEST

START_TEST(budget_of_a_heap)
{
	struct proto_open request = peer_request("budget", PROTO_HOW_CREATE, UINT64_C(1) << 30);
	struct proto_commit_units units = {.count = 128};
	struct proto_open_reply reply;
	struct proto_status_reply status, later;
	struct proto_empty nothing = {0};
	struct shm_segment segment;
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	ck_assert_int_eq(peer_call(&peer, PROTO_STATUS, &nothing, &status), 0);
	request.budget = 1;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), -ERROR_BUDGET);
	request.budget = 16 << 20;
	ck_assert_int_eq(peer_call(&peer, PROTO_OPEN, &request, &reply), 0);
	map_reply(&segment, &peer, &reply);
	units.heap = reply.heap;
	units.first = (segment.layout.offset[AREA_ELEMENTS] >> UNIT_SHIFT) + 5000;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), 0);
	units.first += 128;
	ck_assert_int_eq(peer_call(&peer, PROTO_COMMIT_UNITS, &units, &nothing), -ERROR_BUDGET);
	ck_assert_ptr_nonnull(strstr(peer.message.error.message, "of 16 MiB used"));
	ck_assert(!shm_committed(&segment, units.first << UNIT_SHIFT));
	shm_segment_unmap(&segment);
	drop(&peer, "budget");
	/* Dropped, but this client has it still: it counts until it is detached. */
	ck_assert_int_eq(peer_call(&peer, PROTO_STATUS, &nothing, &later), 0);
	ck_assert_uint_gt(later.committed, status.committed + (8 << 20));
	ck_assert_int_eq(peer_call(&peer, PROTO_DETACH, &(struct proto_detach){.heap = reply.heap}, &nothing),
			 0);
	ck_assert_int_eq(peer_call(&peer, PROTO_STATUS, &nothing, &later), 0);
	ck_assert_uint_eq(later.committed, status.committed);
	ck_assert_uint_eq(later.heaps, status.heaps);
	peer_close(&peer);
}
END_TEST

START_TEST(ends_with_the_last_client)
{
	struct proto_open request = peer_request("fleeting", PROTO_HOW_CREATE, 10);
	struct proto_open_reply reply, other;
	struct proto_empty nothing;
	struct peer one, two;

	request.lifetime = PROTO_LIFETIME_DETACH;
	peer_open(&one, the_daemon.socket);
	peer_open(&two, the_daemon.socket);
	ck_assert_int_eq(peer_call(&one, PROTO_OPEN, &request, &reply), 0);
	request.how = PROTO_HOW_OPEN;
	ck_assert_int_eq(peer_call(&two, PROTO_OPEN, &request, &other), 0);
	ck_assert_int_eq(peer_call(&one, PROTO_DETACH, &(struct proto_detach){.heap = reply.heap}, &nothing),
			 0);
	ck_assert_int_eq(peer_call(&one, PROTO_OPEN, &request, &reply), 0);
	ck_assert_int_eq(peer_call(&one, PROTO_DETACH, &(struct proto_detach){.heap = reply.heap}, &nothing),
			 0);
	peer_close(&two);
	EVENTUALLY(
		peer_call(&one, PROTO_OPEN, &request, &reply) == -ERROR_NOT_FOUND ||
		(peer_call(&one, PROTO_DETACH, &(struct proto_detach){.heap = reply.heap}, &nothing), false));

	/* And by itself, when idle. */
	request.how = PROTO_HOW_CREATE;
	request.lifetime = PROTO_LIFETIME_KEEP;
	request.idle_seconds = 1;
	ck_assert_int_eq(peer_call(&one, PROTO_OPEN, &request, &reply), 0);
	ck_assert_int_eq(peer_call(&one, PROTO_DETACH, &(struct proto_detach){.heap = reply.heap}, &nothing),
			 0);
	EVENTUALLY(peer_call(&one, PROTO_INSPECT, &(struct proto_inspect){.name = "fleeting"},
			     &(struct proto_inspect_reply){0}) == -ERROR_NOT_FOUND);
	peer_close(&one);
}
END_TEST

INTEGRATION_MAIN("broker/heaps", created_heap_can_be_mapped, how_to_open, bad_requests, read_only_means_it,
		 segments_are_sealed, drop_tells_everybody, growing, listing_in_pages, memory_on_request,
		 budget_of_a_heap, ends_with_the_last_client)
