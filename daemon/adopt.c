/*
 * adopt.c: see adopt.h. Killed in between, nothing is lost: the old catalogue stays in the store until the new
 * one, with everything in it, is there.
 */
#include "daemon/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "daemon/catalogue.h"
#include "daemon/heap.h"
#include "daemon/keep.h"
#include "daemon/kind.h"
#include "daemon/registry.h"
#include "daemon/sweep.h"
#include "daemon/user.h"

/* How long heaps that only clients keep are left to those who have not come back yet. */
#define GRACE (60 * NS_PER_S)

struct adoption {
	struct broker *broker;
	struct stored_list *list;
	uint64_t heaps, quarantined;
};

/* ---- one heap ---- */

static uint64_t real_bytes(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/*
 * The catalogue's number may be that of a request which the former daemon did not live to end; the segment's may be
 * anything. The smaller of the two, but no less than what the kernel says is there.
 */
static void set_charge(struct heap *heap, uint64_t charged)
{
	uint64_t claimed = heap->quarantined ? charged : heap->kind->claimed(heap);
	uint64_t bytes = MAX(MIN(charged, claimed), real_bytes(heap->fd));

	heap->budget.used += bytes;
	heap->user->budget.used += bytes;
	heap->broker->budget.used += bytes;
}

static void take_record(struct heap *heap, const struct record *record,
			const struct proto_open_reply *description)
{
	memcpy(heap->id, record->id, sizeof(heap->id));
	memcpy(heap->creation, record->creation, sizeof(heap->creation));
	memcpy(heap->name, description->name, sizeof(heap->name));
	heap->owner = (struct owner){
		.uid = description->uid, .gid = description->gid, .mode = description->mode};
	heap->checkpoint_ms = description->checkpoint_ms;
	heap->former_group = description->group;
	heap->lifetime = record->lifetime == PROTO_LIFETIME_DETACH ? PROTO_LIFETIME_DETACH
								     : PROTO_LIFETIME_KEEP;
	heap->idle_seconds = record->idle_seconds;
	heap->budget.limit = record->budget_limit;
	heap->elements = record->elements;
	heap->size = record->bytes;
	heap->created = record->created;
	heap->last_used = record->last_used;
	heap->dropped = record->state == RECORD_DROPPED;
	heap->quarantined = record->quarantined != 0;
	heap->idle_since = clock_now();
	heap->awaited = (uint32_t)MIN(record->attachments, (uint64_t)UINT32_MAX);
	heap->grace = heap->awaited ? clock_add(heap->idle_since, GRACE) : 0;
}

static int adopt_heap(struct adoption *adoption, const struct record *record,
		      const struct proto_open_reply *description, int fd_take)
{
	struct broker *broker = adoption->broker;
	const struct kind *kind = kind_of(description->kind);
	struct heap *heap;
	int r;

	if (!kind || !kind->adopt) {
		log_error("what was kept is of a kind that this daemon does not take over",
			  LOG_TEXT("kind", kind_noun(description->kind)), LOG_TEXT("heap", description->name));
		fd_close(fd_take);
		return 0;
	}
	heap = heap_new_adopted_take(broker, description->kind, (uid_t)record->creator, fd_take);
	if (!heap)
		return -ERROR_NO_MEMORY;
	take_record(heap, record, description);
	r = kind->adopt(heap, description);
	if (r == -ERROR_CORRUPT) {
		heap->quarantined = true;
		adoption->quarantined++;
		log_error("heap is quarantined: its header is not what it was made with",
			  LOG_TEXT("heap", heap->name), LOG_UINT("uid", heap->owner.uid));
	} else if (r) {
		log_error("heap is lost: its memory cannot be mapped", LOG_TEXT("heap", heap->name),
			  LOG_CODE("why", r));
		heap_free(heap);
		return r == -ERROR_NO_MEMORY ? r : 0;
	}
	set_charge(heap, record->charged);
	if (!heap->dropped) {
		r = registry_reserve(&broker->registry);
		if (!r && registry_find(&broker->registry, heap->name))
			heap->dropped = true;
		else if (!r)
			registry_add(&broker->registry, heap);
	}
	adoption->heaps++;
	return r;
}

/* ---- a catalogue ---- */

static struct heap *find_heap(const struct broker *broker, const uint8_t id[16])
{
	list_each(struct heap, heap, &broker->heaps, node) if (memcmp(heap->id, id, sizeof(heap->id)) == 0)
		return heap;
	return NULL;
}

/* Another record of the same heap, in this catalogue, is newer. */
static bool is_outdated(const struct catalogue *catalogue, const struct record *record)
{
	uint32_t high = MIN(catalogue_head(catalogue)->high, (uint64_t)CATALOGUE_RECORDS);

	for (uint32_t i = 1; i < high; i++) {
		const struct record *other = catalogue_record(catalogue, i);

		if (other != record && other->state >= RECORD_VALID && other->revision > record->revision &&
		    memcmp(other->id, record->id, sizeof(other->id)) == 0)
			return true;
	}
	return false;
}

static int adopt_record(struct adoption *adoption, const struct catalogue *catalogue, const struct record *record)
{
	struct heap key = {0};
	struct proto_open_reply description;
	char name[KEEPER_NAME_SIZE];
	struct stored *stored;

	if (record->state != RECORD_VALID && record->state != RECORD_DROPPED)
		return 0;
	memcpy(key.id, record->id, sizeof(key.id));
	catalogue_heap_name(&key, name);
	stored = stored_find(adoption->list, name);
	if (catalogue_read(record, &description)) {
		log_error("a record of the catalogue makes no sense");
		return 0;
	}
	if (!stored || stored->fd < 0) {
		/* In two catalogues, since a daemon died between the old and the new one. */
		if (!find_heap(adoption->broker, record->id))
			log_error("heap is lost: its memory was not kept", LOG_TEXT("heap", description.name));
		return 0;
	}
	if (record->revision > 1 && is_outdated(catalogue, record))
		return 0;
	return adopt_heap(adoption, record, &description, steal_fd(&stored->fd));
}

static int adopt_catalogue(struct adoption *adoption, const struct catalogue *catalogue)
{
	uint32_t high = MIN(catalogue_head(catalogue)->high, (uint64_t)CATALOGUE_RECORDS);
	int r = 0;

	memcpy(catalogue_head(adoption->broker->catalogue)->secret, catalogue_head(catalogue)->secret,
	       sizeof(catalogue_head(catalogue)->secret));
	for (uint32_t i = 1; i < high && !r; i++)
		r = adopt_record(adoption, catalogue, catalogue_record(catalogue, i));
	return r;
}

/* ---- all of it ---- */

static int open_catalogues(const struct stored_list *list, struct catalogue **catalogues, size_t *_count)
{
	*_count = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct stored *stored = &list->items[i];
		int r;

		if (!store_is_catalogue(stored->name))
			continue;
		r = catalogue_open_take(stored->name, steal_fd(&stored->fd), &catalogues[*_count]);
		if (r == -ERROR_VERSION)
			log_error("what a former emsd left is of another version: that one, or a newer one, is to be run",
				  LOG_TEXT("catalogue", stored->name));
		else if (r)
			log_error("a catalogue cannot be read", LOG_TEXT("catalogue", stored->name),
				  LOG_CODE("why", r));
		*_count += r == 0;
		if (r == -ERROR_VERSION || r == -ERROR_NO_MEMORY)
			return r;
	}
	return 0;
}

/* The new catalogue, with all heaps in it, goes to the store before anything leaves it. False: it is not there. */
static bool keep_everything(struct broker *broker, const struct stored_list *list)
{
	list_each(struct heap, heap, &broker->heaps, node)
	{
		char name[KEEPER_NAME_SIZE];
		const struct stored *stored;
		int r;

		catalogue_heap_name(heap, name);
		stored = stored_find(list, name);
		r = stored && stored->here ? 0 : store_put(broker->store, name, heap->fd);
		if (!r)
			r = catalogue_write(broker->catalogue, heap,
					    heap->dropped ? RECORD_DROPPED : RECORD_VALID);
		if (r)
			log_error("heap is not kept any more: it will not outlive this daemon",
				  LOG_TEXT("heap", heap->name), LOG_CODE("why", r));
	}
	if (list_is_empty(&broker->heaps))
		return true;
	broker->catalogue_kept =
		store_put(broker->store, broker->catalogue->name, broker->catalogue->fd) == 0;
	return broker->catalogue_kept;
}

/* Old catalogues, and descriptors that no record knows. */
static void drop_the_rest(struct broker *broker, const struct stored_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct stored *stored = &list->items[i];

		if (stored->here && (stored->fd >= 0 || store_is_catalogue(stored->name)))
			store_remove(broker->store, stored->name);
	}
}

/* When all are here: recovery takes a heap that is not for one that is gone, and undoes what was committed there. */
static void resume_all(struct broker *broker)
{
	list_each(struct heap, heap, &broker->heaps, node) if (!heap->quarantined) heap->kind->resume(heap);
}

static void await_clients(struct broker *broker)
{
	bool heaps = false;

	list_each(struct heap, heap, &broker->heaps, node) heaps = true;
	if (heaps) {
		sweep_before(broker, 0);
		sweep_before(broker, clock_deadline(GRACE));
	}
}

int adopt(struct broker *broker, struct stored_list *list)
{
	_cleanup_(freep) struct catalogue **catalogues = calloc(list->count + 1, sizeof(*catalogues));
	struct adoption adoption = {.broker = broker, .list = list};
	uint64_t begun = clock_now();
	size_t count = 0;
	int r;

	if (!catalogues)
		return -ERROR_NO_MEMORY;
	broker->adopting = true;
	stored_sort(list);
	r = catalogue_new(&broker->catalogue);
	if (!r)
		r = open_catalogues(list, catalogues, &count);
	for (size_t i = 0; i < count && !r; i++)
		r = adopt_catalogue(&adoption, catalogues[i]);
	broker->adopting = false;
	if (!r)
		resume_all(broker);
	if (!r && list->count) {
		if (keep_everything(broker, list))
			drop_the_rest(broker, list);
		else
			log_error("the catalogue is not kept: the next daemon will have what this one found, and nothing newer");
		store_settled(broker->store);
		await_clients(broker);
		log_notice("took over from a former emsd", LOG_UINT("heaps", adoption.heaps),
			   LOG_UINT("quarantined", adoption.quarantined),
			   LOG_UINT("recovered", broker->recoveries),
			   LOG_UINT("us", (clock_now() - begun) / NS_PER_US));
	}
	for (size_t i = 0; i < count; i++)
		catalogue_free(catalogues[i]);
	stored_fini(list);
	return r;
}

static void end_grace(struct heap *heap)
{
	heap->grace = 0;
	heap->awaited = 0;
	free(heap->returned);
	heap->returned = NULL;
	heap->returned_count = 0;
}

bool adopt_is_awaited(struct heap *heap, uint64_t now)
{
	if (heap->grace == 0)
		return false;
	/* Threads that are alive keep it, whoever they are: they work on without us. */
	if (now < heap->grace || (heap->kind->is_alive && heap->kind->is_alive(heap)))
		return true;
	end_grace(heap);
	return false;
}

static bool was_here(const struct heap *heap, uint64_t client)
{
	for (uint32_t i = 0; i < heap->returned_count; i++)
		if (heap->returned[i] == client)
			return true;
	return false;
}

/* Who loses its connection and comes again is one, and does not stand for others. */
void adopt_came_back(struct heap *heap, uint64_t client)
{
	uint64_t *grown;

	if (heap->awaited == 0 || was_here(heap, client))
		return;
	grown = realloc(heap->returned, (heap->returned_count + 1) * sizeof(*grown));
	if (!grown)
		return; /* the grace lasts its time */
	heap->returned = grown;
	heap->returned[heap->returned_count++] = client;
	if (--heap->awaited == 0)
		end_grace(heap);
}
