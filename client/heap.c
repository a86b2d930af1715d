/* Handles of heaps: opening, closing, growing, dropping. See heap.h and mapping.h. */
#include "client/heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/failure.h"
#include "client/options.h"
#include "client/path.h"
#include "client/session.h"
#include "client/value.h"
#include "client/wait.h"
#include "proto/name.h"

/* How often open and create may alternate while others create and drop the same name. */
#define OPEN_TRIES 16
#define LOADING_PAUSE (5 * NS_PER_MS)

int heap_check_slow(const struct ems_heap *heap, const char *operation)
{
	if (!heap)
		return failure_say(-ERROR_INVALID, "%s: no heap is given", operation);
	return failure_say(-ERROR_FORKED, "%s: heap \"%s\" was opened by the parent process; connect anew",
			   operation, heap->name);
}

int heap_check_name(const char *name)
{
	const char *problem = name ? proto_name_problem(name) : "it is missing";

	return problem ? failure_say(-ERROR_NAME, "bad name \"%.*s\": %s", 300, name ? name : "", problem)
		       : 0;
}

/* ---- opening; the connection is locked ---- */

/* A handle on the mapping that is there already, or on a new one. fd is borrowed. */
static int attach(struct ems_heap *heap, struct ems_connection *connection,
		  const struct proto_open_reply *reply, int fd)
{
	struct proto_detach detach = {.heap = reply->heap};
	int r;

	heap->mapping = mapping_find_memory(connection, reply->heap_id, fd, reply->access == PROTO_ACCESS_WRITE);
	if (heap->mapping) {
		heap->mapping->handles++;
		/* One attachment is enough; one that was lost with a former link is replaced by this one. */
		if (heap->mapping->attachment == 0) {
			heap->mapping->attachment = reply->heap;
			heap->mapping->ticket = reply->ticket;
		} else {
			(void)link_call(&connection->link, PROTO_DETACH, &detach, NULL, NULL,
					clock_deadline(CONNECTION_PATIENCE));
		}
		return 0;
	}
	r = mapping_new(&heap->mapping, connection, reply, fd);
	if (r < 0) {
		(void)link_call(&connection->link, PROTO_DETACH, &detach, NULL, NULL,
				clock_deadline(CONNECTION_PATIENCE));
		return failure_say(r, "heap \"%s\": cannot map its memory: %s", reply->name, error_text(r));
	}
	return 0;
}

static int open_once(struct ems_heap *heap, struct ems_connection *connection, const struct proto_open *open,
		     const ems_heap_options_t *compare)
{
	struct proto_open_reply reply;
	_cleanup_(closep) int fd = -1;
	int r;

	if (heap->file >= 0)
		r = link_call_with(&connection->link, PROTO_OPEN, open, heap->file, &reply, &fd,
				   clock_deadline(CONNECTION_PATIENCE));
	else
		r = connection_request(connection, PROTO_OPEN, open, &reply, &fd, clock_deadline(CONNECTION_PATIENCE));
	if (r < 0)
		return r;
	r = options_compare(compare, reply.name[0] ? reply.name : open->name, &reply.params);
	if (r < 0) {
		struct proto_detach detach = {.heap = reply.heap};

		(void)link_call(&connection->link, PROTO_DETACH, &detach, NULL, NULL,
				clock_deadline(CONNECTION_PATIENCE));
		return r;
	}
	r = attach(heap, connection, &reply, fd);
	if (r < 0)
		return r;
	memcpy(heap->name, reply.name[0] ? reply.name : open->name, sizeof(heap->name));
	heap->has_map = reply.params.has_map;
	heap->writable = reply.access == PROTO_ACCESS_WRITE;
	return 0;
}

/* Open, else create: so that only what the caller states is compared with what is there. */
static int open_or_create(struct ems_heap *heap, struct ems_connection *connection, struct proto_open *open,
			  const ems_heap_options_t *options)
{
	int r = 0;

	for (int i = 0; i < OPEN_TRIES; i++) {
		open->how = PROTO_HOW_OPEN;
		r = open_once(heap, connection, open, options);
		if (r != -ERROR_NOT_FOUND)
			return r;
		open->how = PROTO_HOW_CREATE;
		r = open_once(heap, connection, open, NULL);
		if (r != -ERROR_EXISTS)
			return r;
	}
	return r;
}

static int open_how(struct ems_heap *heap, struct ems_connection *connection, struct proto_open *open,
		    ems_open_t how, const ems_heap_options_t *options)
{
	switch (how) {
	case EMS_OPEN_OR_CREATE:
		return open_or_create(heap, connection, open, options);
	case EMS_REPLACE:
		open->replace = true;
		/* fall through */
	case EMS_CREATE:
		open->how = PROTO_HOW_CREATE;
		return open_once(heap, connection, open, NULL);
	default:
		open->how = PROTO_HOW_OPEN;
		return open_once(heap, connection, open, NULL);
	}
}

/* A heap that is being loaded, or made by another, is there before long. The connection is locked, but for pauses. */
static int open_patiently(struct ems_heap *heap, struct ems_connection *connection, struct proto_open *open,
			  ems_open_t how, const ems_heap_options_t *options)
{
	const struct timespec pause = {.tv_nsec = LOADING_PAUSE};
	uint64_t deadline = clock_deadline(CONNECTION_PATIENCE);
	int r;

	for (;;) {
		r = open_how(heap, connection, open, how, options);
		if (r != -ERROR_LOADING || clock_passed(deadline))
			return r;
		connection_unlock(connection);
		(void)nanosleep(&pause, NULL);
		connection_take(connection);
	}
}

static void list(struct ems_heap *heap, struct ems_connection *connection)
{
	heap->process = connection->process;
	heap->connection = connection;
	heap->next = connection->heaps;
	heap->link = &connection->heaps;
	if (heap->next)
		heap->next->link = &heap->next;
	connection->heaps = heap;
}

static void unlist(struct ems_heap *heap)
{
	*heap->link = heap->next;
	if (heap->next)
		heap->next->link = heap->link;
}

static int open_heap(ems_connection_t *connection, const char *name, ems_open_t how,
		     const ems_heap_options_t *options, int file, ems_heap_t **_heap)
{
	_cleanup_(freep) struct ems_heap *heap = NULL;
	struct proto_open open = {.access = PROTO_ACCESS_WRITE};
	int r;

	r = file >= 0 ? 0 : heap_check_name(name);
	if (r == 0 && how != EMS_OPEN_EXISTING)
		r = options_translate(options, &open);
	if (r < 0)
		return r;
	open.file = file >= 0;
	open.params.persistent |= open.file;
	memcpy(open.name, name, strlen(name) + 1);
	if (options && options->read_only)
		open.access = PROTO_ACCESS_READ;
	/* A creation whose answer is lost with the daemon is asked for again, and known by this. */
	if (how != EMS_OPEN_EXISTING && getrandom(open.creation, sizeof(open.creation), 0) != sizeof(open.creation))
		return failure_of(-ERROR_SYSTEM);
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return failure_of(-ERROR_NO_MEMORY);
	heap->file = file;
	r = connection_lock(connection, true);
	if (r < 0)
		return r; /* cppcheck-suppress memleak; _cleanup_ frees it */
	r = open_patiently(heap, connection, &open, how, options);
	if (r == 0)
		list(heap, connection);
	connection_unlock(connection);
	if (r == 0)
		*_heap = steal_pointer(&heap);
	return r;
}

int ems_heap_open(ems_connection_t *connection, const char *name, ems_open_t how,
		  const ems_heap_options_t *options, ems_heap_t **_heap)
{
	struct heap_path path = {.tries = 16};
	int r;

	if (!_heap || (unsigned)how > EMS_REPLACE)
		return failure_say(-ERROR_INVALID, "ems_heap_open: %s",
				   _heap ? "no such way to open" : "no place for the heap");
	if (!name || name[0] != '/')
		return open_heap(connection, name, how, options, -1, _heap);
	do {
		r = path_open(&path, name, how, options);
		if (r < 0)
			return r;
		r = open_heap(connection, name, path.how, options, path.fd, _heap);
		r = path_close(&path, r);
		/* Made by another, or gone, since we looked. */
	} while (how == EMS_OPEN_OR_CREATE && (r == -ERROR_EXISTS || r == -ERROR_NOT_FOUND) && --path.tries > 0);
	return r;
}

/* ---- closing ---- */

/* In a child: no lock, which a thread of the parent may hold, no word to the daemon, nothing to unmap. */
static void close_inherited(struct ems_heap *heap)
{
	unlist(heap);
	if (--heap->mapping->handles == 0) {
		heap->mapping->attachment = 0;
		mapping_unlist(heap->mapping);
		session_detach(heap->mapping); /* forgets them all */
		mapping_unref(heap->mapping);
	}
	free(heap);
}

void ems_heap_close(ems_heap_t *heap)
{
	struct mapping *mapping;
	bool last;

	if (!heap)
		return;
	mapping = heap->mapping;
	if (process_is_another(heap->process)) {
		close_inherited(heap);
		return;
	}
	loop_close_heap(heap);
	connection_take(heap->connection);
	last = mapping->handles == 1;
	connection_unlock(heap->connection);
	if (last)
		session_close(mapping); /* may ask the daemon to trim, so not with the lock */
	connection_take(heap->connection);
	unlist(heap);
	last = mapping_release_handle(mapping);
	connection_unlock(heap->connection);
	if (last) {
		loop_close_mapping(mapping);
		mapping_unref(mapping);
	}
	free(heap);
}

void ems_heap_detach_thread(ems_heap_t *heap)
{
	if (heap && !process_is_another(heap->process))
		session_detach(heap->mapping);
}

/* ---- growing, dropping ---- */

int ems_heap_grow(ems_heap_t *heap, uint64_t elements)
{
	struct proto_grow body = {.elements = elements};
	struct proto_grow_reply reply;
	uint64_t now;
	int r = heap_check(heap, "grow");

	if (r < 0)
		return r;
	now = shm_elements(heap_segment(heap));
	if (elements < now)
		return failure_say(-ERROR_RANGE, "heap \"%s\": it has %llu elements, and never less",
				   heap->name, (unsigned long long)now);
	if (elements == now)
		return 0;
	if (!heap->writable)
		return failure_say(-ERROR_READ_ONLY, "heap \"%s\": it is attached for reading only",
				   heap->name);
	r = connection_lock(heap->connection, true);
	if (r < 0)
		return r;
	r = connection_request_for(heap->connection, heap->mapping, PROTO_GROW, &body, &body.heap, &reply);
	connection_unlock(heap->connection);
	return r;
}

int ems_heap_drop(ems_connection_t *connection, const char *name)
{
	struct proto_drop body = {0};
	int r;

	if (name && name[0] == '/')
		return path_drop(connection, name);
	r = heap_check_name(name);

	if (r < 0)
		return r;
	memcpy(body.name, name, strlen(name) + 1);
	return connection_call(connection, PROTO_DROP, &body, NULL, clock_deadline(CONNECTION_PATIENCE));
}

/* ---- what it is ---- */

const char *ems_heap_name(const ems_heap_t *heap)
{
	return heap_check(heap, "heap_name") < 0 ? NULL : heap->name;
}

uint64_t ems_heap_elements(const ems_heap_t *heap)
{
	return heap_check(heap, "heap_elements") < 0 ? 0 : shm_elements(heap_segment(heap));
}

bool ems_heap_has_map(const ems_heap_t *heap)
{
	return heap_check(heap, "heap_has_map") == 0 && heap->has_map;
}

int ems_heap_initial(ems_heap_t *heap, ems_value_t *value, ems_tag_t *tag)
{
	static const struct cell pristine;
	int r = heap_check(heap, "heap_initial");

	if (r == 0 && value)
		r = shm_value_read_while(heap_segment(heap), &pristine, pristine, pristine, value_out(value));
	if (r < 0)
		return failure_of(r);
	if (tag)
		*tag = heap_segment(heap)->layout.params.initial_tag == TAG_EMPTY ? EMS_EMPTY : EMS_FULL;
	return 0;
}

bool ems_heap_is_read_only(const ems_heap_t *heap)
{
	return heap_check(heap, "heap_is_read_only") == 0 && !heap->writable;
}

bool ems_heap_is_dropped(const ems_heap_t *heap)
{
	return heap_check(heap, "heap_is_dropped") == 0 &&
	       load32_acquire(&shm_header(heap_segment(heap))->dropped) != 0;
}
