/*
 * sweep.c: one timer for everything that is in no hurry.
 */
#include "daemon/sweep.h"

#include "base/macros.h"
#include "daemon/adopt.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/heap.h"

static bool is_idle(const struct broker *broker)
{
	uint32_t heaps = broker->heap_count;

	/* One that is volatile and has a name keeps the daemon. */
	list_each(struct heap, heap, &broker->heaps, node) heaps -= heap->saved && !heap->saved->error;
	return broker->client_count == 0 && heaps == 0;
}

static uint64_t end_of_idleness(const struct broker *broker)
{
	return clock_add(broker->idle_since, broker->config.exit_idle * NS_PER_S);
}

static uint64_t end_of(const struct heap *heap)
{
	return heap->idle_seconds > CLOCK_NEVER / NS_PER_S
		       ? CLOCK_NEVER
		       : clock_add(heap->idle_since, heap->idle_seconds * NS_PER_S);
}

/* Of one that only clients keep, when clients of a former daemon may still come back. */
static uint64_t next_look(const struct heap *heap, uint64_t now)
{
	return heap->grace > now ? heap->grace : now + SWEEP_AWAIT;
}

/* Ends or drops heaps whose time is over; returns when the next one's is. */
static uint64_t sweep_heaps(struct broker *broker, uint64_t now)
{
	uint64_t next = CLOCK_NEVER;

	list_each(struct heap, heap, &broker->heaps, node)
	{
		bool needs_clients = heap->dropped || heap->lifetime == PROTO_LIFETIME_DETACH;

		if (disk_is_loading(heap) || (heap->saved && heap->saved->leaving) || heap->attachment_count || (!needs_clients && !heap->idle_seconds))
			continue;
		if (!needs_clients && end_of(heap) > now)
			next = MIN(next, end_of(heap));
		else if (adopt_is_awaited(heap, now))
			next = MIN(next, next_look(heap, now));
		else if (heap->dropped)
			heap_free(heap);
		else
			heap_drop(heap, needs_clients ? "its clients did not come back" : "idle for long enough",
				  heap->owner.uid);
	}
	return next;
}

static uint64_t sweep_clients(struct broker *broker, uint64_t now)
{
	uint64_t next = CLOCK_NEVER;

	list_each(struct client, client, &broker->clients, node) if (client->fd < 0 && !client_settle(client))
		next = now + SWEEP_LINGER;
	return next;
}

/* Memory that became free goes back piece by piece, between other work. */
static uint64_t sweep_free_memory(struct broker *broker, uint64_t now)
{
	uint64_t next = CLOCK_NEVER;

	list_each(struct heap, heap, &broker->heaps, node) if (heap->trimming && heap_trim(heap)) next = now;
	return next;
}

static void on_timer(uv_timer_t *timer)
{
	struct broker *broker = timer->data;
	uint64_t now = clock_now(), next;

	broker->sweep_at = CLOCK_NEVER;
	next = MIN(sweep_clients(broker, now), sweep_heaps(broker, now));
	next = MIN(next, sweep_free_memory(broker, now));
	if (next != CLOCK_NEVER)
		sweep_before(broker, next);
	if (broker->config.exit_idle && is_idle(broker)) {
		if (now >= end_of_idleness(broker))
			broker_stop(broker, "idle");
		else
			sweep_before(broker, end_of_idleness(broker));
	}
}

void sweep_before(struct broker *broker, uint64_t time)
{
	uint64_t now = clock_now();

	if (broker->stopping || time >= broker->sweep_at)
		return;
	broker->sweep_at = time;
	/* libuv counts in ms from the time of its last look: a ms more, so as not to come too early. */
	uv_update_time(&broker->loop);
	(void)uv_timer_start(&broker->sweep_timer, on_timer, (time > now ? time - now : 0) / NS_PER_MS + 1,
			     0);
}

void sweep_idle(struct broker *broker)
{
	if (broker->config.exit_idle && is_idle(broker))
		sweep_before(broker, end_of_idleness(broker));
}
