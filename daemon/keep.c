/*
 * keep.c: see keep.h. The order of descriptor and record is that of store.h.
 */
#include "daemon/keep.h"

#include "base/error.h"
#include "daemon/catalogue.h"
#include "daemon/disk.h"
#include "daemon/kind.h"
#include "daemon/store.h"
#include "shm/atomic.h"

/* A catalogue goes to the store with the first heap, so that a daemon without any needs no keeper. */
static int begin_catalogue(struct broker *broker)
{
	int r;

	if (broker->catalogue_kept)
		return 0;
	r = store_put(broker->store, broker->catalogue->name, broker->catalogue->fd);
	broker->catalogue_kept = r == 0;
	return r;
}

void keep_prepare(struct heap *heap)
{
	struct broker *broker = heap->broker;
	char name[KEEPER_NAME_SIZE];
	int r;

	if (!broker->store || heap->fd < 0 || !heap->kind->adopt)
		return;
	catalogue_heap_name(heap, name);
	r = begin_catalogue(broker);
	if (!r)
		r = store_put(broker->store, name, heap->fd);
	if (!r)
		r = catalogue_write(broker->catalogue, heap, RECORD_PREPARED);
	if (r)
		log_warning("heap is not kept: it will not outlive this daemon", LOG_TEXT("heap", heap->name),
			    LOG_CODE("why", r));
}

static void set_state(const struct heap *heap, enum record_state state)
{
	struct record *record = catalogue_of(heap);

	if (record)
		store32_release(&record->state, state);
}

void keep_publish(struct heap *heap)
{
	/* Takes effect here: the next daemon has the heap. */
	set_state(heap, RECORD_VALID);
}

void keep_drop(struct heap *heap)
{
	set_state(heap, RECORD_DROPPED);
}

void keep_forget(struct heap *heap)
{
	struct broker *broker = heap->broker;
	char name[KEEPER_NAME_SIZE];

	if (!broker->store || broker->stopping || !heap->record)
		return;
	catalogue_erase(broker->catalogue, heap);
	/* A death here leaves a descriptor without a record, which the next daemon drops. */
	catalogue_heap_name(heap, name);
	store_remove(broker->store, name);
}

void keep_charge(const struct heap *heap)
{
	struct record *record = catalogue_of(heap);

	/* A daemon that ends takes its own books apart, not the next one's. */
	if (record && !heap->broker->stopping)
		store64_release(&record->charged, heap->budget.used);
}

void keep_elements(const struct heap *heap)
{
	struct record *record = catalogue_of(heap);

	if (record) {
		store64_release(&record->elements, heap->elements);
		store64_release(&record->bytes, heap->size);
	}
}

void keep_attachments(const struct heap *heap)
{
	struct record *record = catalogue_of(heap);

	/* Those of a daemon that ends are to come back to the next one. */
	if (record && !heap->broker->stopping) {
		store64_release(&record->attachments, (uint64_t)heap->attachment_count + heap->awaited);
		store64_release(&record->last_used, heap->last_used);
	}
}

void keep_quarantine(const struct heap *heap)
{
	struct record *record = catalogue_of(heap);

	if (record)
		store64_release(&record->quarantined, heap->quarantined);
}

void keep_description(struct heap *heap)
{
	disk_changed(heap);
	struct record *record = catalogue_of(heap);
	int r = record ? catalogue_write(heap->broker->catalogue, heap, (enum record_state)record->state) : 0;

	if (r)
		log_error("a change of a heap is not kept: the next daemon will not know of it",
			  LOG_TEXT("heap", heap->name), LOG_CODE("why", r));
}
