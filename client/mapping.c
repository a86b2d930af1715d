/* A heap's memory in this process: see mapping.h. */
#include "client/mapping.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/process.h"
#include "proto/value.h"
#include "shm/atomic.h"

/* How long the end of an attachment is waited for: nothing depends on it. */
#define DETACH_PATIENCE (2 * NS_PER_S)

/* ---- making ---- */

static uint64_t fill_bits(const struct proto_value *fill)
{
	uint64_t bits = 0;

	switch (fill->type) {
	case PROTO_BOOLEAN:
		return fill->boolean;
	case PROTO_INTEGER:
		return (uint64_t)fill->integer;
	case PROTO_FLOAT:
		memcpy(&bits, &fill->number, sizeof(bits));
		return bits;
	default:
		return 0; /* of a string, JSON and bytes the segment has the bytes */
	}
}

void mapping_params(struct heap_params *params, const struct proto_params *from)
{
	*params = (struct heap_params){
		.elements = from->elements,
		.max_elements = from->max_elements ? from->max_elements : from->elements,
		.storage = from->storage,
		.seed = from->seed,
		.fill_value = fill_bits(&from->fill),
		.fill_size = type_has_blob((enum cell_type)from->fill.type) ? from->fill.size : 0,
		.fill_type = (uint8_t)from->fill.type,
		.initial_tag = from->tag == PROTO_TAG_EMPTY ? TAG_EMPTY : TAG_FULL,
		.has_map = from->has_map,
		.persistent = from->persistent,
	};
}

static uint64_t memory_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

int mapping_new(struct mapping **_mapping, struct ems_connection *connection,
		const struct proto_open_reply *reply, int fd)
{
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	struct heap_params params;
	int r;

	if (!mapping)
		return -ERROR_NO_MEMORY;
	mapping_params(&params, &reply->params);
	r = shm_segment_map(&mapping->segment, fd, &params, reply->access == PROTO_ACCESS_WRITE);
	if (r < 0) {
		free(mapping);
		return r;
	}
	mapping->segment.supply = &mapping_supply;
	mapping->segment.supply_context = mapping;
	mapping->segment.neighbours = &mapping_neighbours;
	mapping->segment.neighbours_context = mapping;
	mapping->connection = connection_ref(connection);
	mapping->references = 1;
	mapping->client = connection->link.daemon.client;
	mapping->ticket = reply->ticket;
	memcpy(mapping->name, reply->name, sizeof(mapping->name));
	memcpy(mapping->heap_id, reply->heap_id, sizeof(mapping->heap_id));
	mapping->memory = memory_of(fd);
	mapping->handles = 1;
	mapping->attachment = reply->heap;
	mapping->epoch = connection->link.epoch;
	mapping->next = connection->mappings;
	connection->mappings = mapping;
	*_mapping = mapping;
	return 0;
}

struct mapping *mapping_find(struct ems_connection *connection, const uint8_t heap_id[16], bool writable)
{
	struct mapping *mapping = connection->mappings;

	while (mapping && (mapping->segment.writable != writable ||
			   memcmp(mapping->heap_id, heap_id, sizeof(mapping->heap_id)) != 0))
		mapping = mapping->next;
	return mapping;
}

struct mapping *mapping_find_memory(struct ems_connection *connection, const uint8_t heap_id[16], int fd, bool writable)
{
	uint64_t memory = memory_of(fd);
	struct mapping *mapping = connection->mappings;

	while (mapping && (mapping->memory != memory || mapping->segment.writable != writable ||
			   memcmp(mapping->heap_id, heap_id, sizeof(mapping->heap_id)) != 0))
		mapping = mapping->next;
	return mapping;
}

/* ---- the end ---- */

void mapping_unlist(struct mapping *mapping)
{
	struct mapping **place = &mapping->connection->mappings;

	while (*place != mapping)
		place = &(*place)->next;
	*place = mapping->next;
}

bool mapping_release_handle(struct mapping *mapping)
{
	struct link *link = &mapping->connection->link;
	struct proto_detach detach = {.heap = mapping->attachment};

	if (--mapping->handles > 0)
		return false;
	mapping_unlist(mapping);
	store32_relaxed(&mapping->abandoned, 1);
	if (link->socket >= 0 && link->epoch == mapping->epoch && mapping->attachment != 0)
		(void)link_call(link, PROTO_DETACH, &detach, NULL, NULL, clock_deadline(DETACH_PATIENCE));
	mapping->attachment = 0;
	return true;
}

struct mapping *mapping_ref(struct mapping *mapping)
{
	add32(&mapping->references, 1);
	return mapping;
}

void mapping_unref(struct mapping *mapping)
{
	struct ems_connection *connection = mapping->connection;

	if (sub32(&mapping->references, 1) != 1)
		return;
	/* In a child there is nothing at these addresses, or by now something else. */
	if (!process_is_another(connection->process))
		shm_segment_unmap(&mapping->segment);
	free(mapping);
	connection_unref(connection);
}

/* ---- after the link was lost ---- */

/* A daemon without tickets, or one that made this client a new one: by name, if that still leads to this heap. */
static int reattach_by_name(struct mapping *mapping, struct link *link, uint64_t deadline)
{
	struct proto_open open = {.how = PROTO_HOW_OPEN,
				  .access = mapping->segment.writable ? PROTO_ACCESS_WRITE : PROTO_ACCESS_READ};
	_cleanup_(closep) int fd = -1;
	struct proto_open_reply reply;
	int r;

	memcpy(open.name, mapping->name, sizeof(open.name));
	r = link_call(link, PROTO_OPEN, &open, &reply, &fd, deadline);
	if (r == -ERROR_NOT_FOUND)
		return -ERROR_DROPPED;
	if (r < 0)
		return r;
	if (memcmp(reply.heap_id, mapping->heap_id, sizeof(mapping->heap_id)) != 0 ||
	    memory_of(fd) != mapping->memory) {
		struct proto_detach detach = {.heap = reply.heap};

		(void)link_call(link, PROTO_DETACH, &detach, NULL, NULL, deadline);
		return -ERROR_DROPPED;
	}
	mapping->attachment = reply.heap;
	mapping->ticket = reply.ticket;
	return 0;
}

static int reattach_by_ticket(struct mapping *mapping, struct link *link, uint64_t deadline)
{
	struct proto_reattach body = {.access = mapping->segment.writable ? PROTO_ACCESS_WRITE : PROTO_ACCESS_READ,
				      .ticket = mapping->ticket};
	struct proto_reattach_reply reply;
	int r;

	if (mapping->ticket == 0 || !(link->daemon.features & PROTO_FEATURE_REATTACH))
		return -ERROR_ACCESS;
	memcpy(body.heap_id, mapping->heap_id, sizeof(body.heap_id));
	r = link_call(link, PROTO_REATTACH, &body, &reply, NULL, deadline);
	if (r == 0)
		mapping->attachment = reply.heap;
	return r;
}

int mapping_reattach_all(struct ems_connection *connection, uint64_t deadline)
{
	struct link *link = &connection->link;

	for (struct mapping *mapping = connection->mappings; mapping; mapping = mapping->next) {
		int r;

		if (mapping->epoch == link->epoch)
			continue;
		mapping->attachment = 0;
		r = reattach_by_ticket(mapping, link, deadline);
		if (r == -ERROR_ACCESS)
			r = reattach_by_name(mapping, link, deadline);
		if (link->socket < 0)
			return r < 0 ? r : -ERROR_CONNECTION;
		/* What is loaded from its file is other memory than ours. */
		mapping->lost = r == -ERROR_LOADING ? -ERROR_DROPPED : r;
		mapping->epoch = link->epoch;
		store64_relaxed(&mapping->client, link->daemon.client);
	}
	return 0;
}

/* ---- asking for memory ---- */

static int ask(struct mapping *mapping, enum proto_op op, const void *body, uint32_t *attachment)
{
	struct ems_connection *connection = mapping->connection;
	int r = connection_lock(connection, true);

	if (r < 0)
		return failure_for_operation(r);
	r = connection_request_for(connection, mapping, op, body, attachment, NULL);
	connection_unlock(connection);
	return r < 0 ? failure_for_operation(r) : 0;
}

static int supply_units(void *context, struct shm_segment *segment, uint64_t first, uint64_t count)
{
	struct proto_commit_units body = {.first = first, .count = count};

	(void)segment;
	return ask(context, PROTO_COMMIT_UNITS, &body, &body.heap);
}

static int supply_storage(void *context, struct shm_segment *segment, uint32_t chunks)
{
	struct proto_commit_storage body = {.chunks = chunks};

	(void)segment;
	return ask(context, PROTO_COMMIT_STORAGE, &body, &body.heap);
}

static int supply_table(void *context, struct shm_segment *segment, uint32_t id)
{
	struct proto_prepare_table body = {.table = id};

	(void)segment;
	return ask(context, PROTO_PREPARE_TABLE, &body, &body.heap);
}

static void supply_trim(void *context, struct shm_segment *segment)
{
	struct mapping *mapping = context;
	struct ems_connection *connection = mapping->connection;
	struct link *link = &connection->link;

	(void)segment;
	if (process_is_another(connection->process) || !connection_trylock(connection))
		return;
	link_drain(link);
	if (mapping->attachment != 0 && link->epoch == mapping->epoch)
		link_post(link, PROTO_TRIM, &(struct proto_trim){.heap = mapping->attachment});
	connection_unlock(connection);
}

const struct shm_supply mapping_supply = {
	.units = supply_units,
	.storage = supply_storage,
	.table = supply_table,
	.trim = supply_trim,
};

/* ---- other heaps, for recovery ---- */

/* Never waits: the lock may be held through a long call of the daemon. What is not known here the daemon knows. */
static int visit(void *context, const uint8_t heap_id[16], shm_neighbour_look *look, void *arg)
{
	struct ems_connection *connection = ((struct mapping *)context)->connection;
	struct mapping *other;
	int r;

	if (process_is_another(connection->process) || !connection_trylock(connection))
		return -ERROR_BUSY;
	other = mapping_find(connection, heap_id, true);
	r = other ? look(&other->segment, arg) : -ERROR_BUSY;
	connection_unlock(connection);
	return r;
}

const struct shm_neighbours mapping_neighbours = {.visit = visit};
