/*
 * kind_team.c: the kind team: what members synchronise by. See shm/team.h; here is only its making and its dead.
 *
 * A team that has come to its end (it broke before it formed, or has lost a member since) still belongs to those who are
 * in it, but whoever joins by its name wants a new one: so "open_or_create" finds nothing there. That the daemon decides this,
 * one request after the other, makes all who join at that moment come together.
 */
#include <limits.h>
#include <stdio.h>

#include "base/error.h"
#include "daemon/kind.h"
#include "daemon/recovery.h"
#include "shm/futex.h"
#include "shm/team.h"

static int settle(struct proto_open *request, char message[static HEAP_MESSAGE_SIZE])
{
	if (request->team.members >= 1 && request->team.members <= TEAM_SIZE_MAX)
		return 0;
	snprintf(message, HEAP_MESSAGE_SIZE, "a team of %llu members: it must have 1 to %u",
		 (unsigned long long)request->team.members, TEAM_SIZE_MAX);
	return -ERROR_RANGE;
}

static const char *difference(const struct heap *heap, const struct proto_open *request)
{
	if (heap->team_params.members != request->team.members)
		return "members";
	return heap->team_params.elastic != request->team.elastic ? "elastic" : NULL;
}

static int make(struct heap *heap, const struct proto_open *request, char message[static HEAP_MESSAGE_SIZE])
{
	struct team_params params = {.size = (uint32_t)request->team.members, .elastic = request->team.elastic};
	int r;

	heap->team_params = request->team;
	r = shm_team_create(&heap->team, &params, heap->id, &heap->fd);
	if (r) {
		snprintf(message, HEAP_MESSAGE_SIZE, "team \"%s\": its memory cannot be made: %s", heap->name,
			 error_text(r));
		return r;
	}
	return heap_charge(heap, heap->team.layout.charge, message);
}

static void unmake(struct heap *heap)
{
	shm_team_unmap(&heap->team);
}

/* What contradicts its description is of no use to anybody new; its members go on with it. */
static int adopt(struct heap *heap, const struct proto_open_reply *description)
{
	struct team_params params = {.size = (uint32_t)description->team.members, .elastic = description->team.elastic};
	int r;

	if (description->team.members == 0 || description->team.members > TEAM_SIZE_MAX)
		return -ERROR_SYSTEM;
	heap->team_params = description->team;
	r = shm_team_map(&heap->team, heap->fd, &params);
	return r == -ERROR_CORRUPT ? -ERROR_SYSTEM : r;
}

static uint64_t claimed(const struct heap *heap)
{
	return heap->team.layout.charge;
}

static void inspect(const struct heap *heap, struct proto_inspect_reply *reply)
{
	reply->segment_size = heap->team.layout.segment_size;
	reply->slots = shm_team_present(&heap->team);
	reply->recoveries = load32_relaxed(&team_header(&heap->team)->recoveries);
}

static void tell_dropped(struct heap *heap)
{
	store32_release(&team_header(&heap->team)->dropped, 1);
}

static bool holds(const struct heap *heap, uint64_t client)
{
	return shm_team_members_of(&heap->team, client) > 0;
}

static void client_died(struct heap *heap, uint64_t client)
{
	(void)shm_team_declare_dead(&heap->team, client);
}

static void recover(struct heap *heap)
{
	int r = shm_team_recovery_needed(&heap->team) ? shm_team_recover(&heap->team) : 0;

	if (r == -ERROR_BUSY) {
		recovery_try_later(heap);
		return;
	}
	heap->recovering = false;
	if (r && !heap->quarantined) {
		log_error("team cannot be recovered", LOG_TEXT("team", heap->name), LOG_CODE("why", r));
		heap->quarantined = true;
	}
}

static void resume(struct heap *heap)
{
	if (heap->dropped)
		tell_dropped(heap);
	recover(heap);
}

static bool is_alive(const struct heap *heap)
{
	return shm_team_present(&heap->team) > 0;
}

static bool is_over(const struct heap *heap)
{
	return shm_team_is_over(&heap->team);
}

const struct kind kind_team = {
	.noun = "team",
	.settle = settle,
	.difference = difference,
	.make = make,
	.unmake = unmake,
	.adopt = adopt,
	.claimed = claimed,
	.resume = resume,
	.is_alive = is_alive,
	.inspect = inspect,
	.tell_dropped = tell_dropped,
	.holds = holds,
	.client_died = client_died,
	.recover = recover,
	.is_over = is_over,
};
