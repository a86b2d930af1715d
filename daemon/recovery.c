/*
 * recovery.c: shm_recover with patience.
 *
 * A blob that a living slot names as well is left for later; another recoverer may be at it. Neither is
 * waited for: the timer comes back, at growing distances.
 */
#include "daemon/recovery.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/macros.h"
#include "daemon/disk.h"
#include "daemon/keep.h"
#include "daemon/kind.h"
#include "shm/transaction.h"

#define DELAY_FIRST (5 * NS_PER_MS)
#define DELAY_MOST  NS_PER_S

static void start_timer(struct broker *broker, uint64_t delay)
{
	uint64_t ms = MAX(delay / NS_PER_MS, (uint64_t)1);

	if (uv_is_active((const uv_handle_t *)&broker->recovery_timer) &&
	    uv_timer_get_due_in(&broker->recovery_timer) <= ms)
		return;
	(void)uv_timer_start(&broker->recovery_timer, recovery_on_timer, ms, 0);
}

void recovery_try_later(struct heap *heap)
{
	heap->recovery_delay = heap->recovering ? MIN(2 * heap->recovery_delay, DELAY_MOST) : DELAY_FIRST;
	heap->recovering = true;
	if (!heap->broker->stopping)
		start_timer(heap->broker, heap->recovery_delay);
}

/* All heaps are here, but while those of a former daemon are being taken over; one that is not is gone. */
static int visit(void *context, const uint8_t heap_id[16], shm_neighbour_look *look, void *arg)
{
	struct broker *broker = context;

	list_each(struct heap, heap, &broker->heaps, node) if (heap->kind == &kind_heap &&
									    memcmp(heap->id, heap_id, sizeof(heap->id)) == 0)
		return disk_is_loading(heap) ? -ERROR_BUSY : look(&heap->segment, arg);
	return broker->adopting ? -ERROR_BUSY : -ERROR_NOT_FOUND;
}

const struct shm_neighbours recovery_neighbours = {.visit = visit};

void recovery_farewell(struct heap *gone)
{
	list_each(struct heap, heap, &gone->broker->heaps, node) if (heap->kind == &kind_heap && heap != gone &&
						!disk_is_loading(heap))
		shm_transaction_farewell(&heap->segment, &gone->segment, gone->id);
}

/* A segment that cannot be recovered is left to those who made it so; the others' are not touched by it. */
void recovery_quarantine(struct heap *heap, const char *why)
{
	if (!heap->quarantined)
		log_error("heap is quarantined", LOG_TEXT("heap", heap->name), LOG_UINT("uid", heap->owner.uid),
			  LOG_TEXT("why", why));
	heap->quarantined = true;
	keep_quarantine(heap);
	heap->recovering = false;
	store32_release(&shm_header(&heap->segment)->quarantined, 1);
}

int recovery_run(struct heap *heap, struct shm_recovery *recovery)
{
	int r;

	*recovery = (struct shm_recovery){0};
	r = shm_recover(&heap->segment, NULL, recovery);
	if (r == -ERROR_BUSY) {
		recovery_try_later(heap);
		return r;
	}
	if (r) {
		recovery_quarantine(heap, error_text(r));
		return r;
	}
	heap->broker->recoveries += recovery->recovered;
	if (recovery->recovered || recovery->corrupt)
		log_info("recovered dead clients", LOG_TEXT("heap", heap->name),
			 LOG_UINT("slots", recovery->recovered), LOG_UINT("deferred", recovery->deferred),
			 LOG_UINT("corrupt", recovery->corrupt));
	if (recovery->deferred)
		recovery_try_later(heap);
	else
		heap->recovering = false;
	return 0;
}

void recovery_look(struct heap *heap)
{
	struct shm_recovery recovery;

	if (shm_recovery_needed(&heap->segment))
		(void)recovery_run(heap, &recovery);
	else
		heap->recovering = false;
}

void recovery_on_timer(uv_timer_t *timer)
{
	struct broker *broker = timer->data;

	list_each(struct heap, heap, &broker->heaps, node) if (heap->recovering && heap->kind->recover)
		heap->kind->recover(heap);
}
