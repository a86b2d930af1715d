/*
 * heap.c: the life of a heap, or of anything else that has a name: what is the same for all kinds (kind.h).
 */
#include "daemon/heap.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "daemon/adopt.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/keep.h"
#include "daemon/kind.h"
#include "daemon/registry.h"
#include "daemon/sweep.h"
#include "daemon/user.h"

static uint64_t wall_clock(void)
{
	return (uint64_t)time(NULL);
}

int heap_charge(struct heap *heap, uint64_t bytes, char message[static HEAP_MESSAGE_SIZE])
{
	char refusal[BUDGET_MESSAGE_SIZE], whose[32], itself[32];
	const struct budget_level levels[] = {{&heap->budget, itself},
					      {&heap->user->budget, whose},
					      {&heap->broker->budget, "all heaps together"}};
	int r;

	snprintf(whose, sizeof(whose), "user %u", (unsigned)heap->user->uid);
	snprintf(itself, sizeof(itself), "the %s itself", heap->kind->noun);
	r = budget_charge(levels, ARRAY_SIZE(levels), bytes, refusal);
	if (r)
		snprintf(message, HEAP_MESSAGE_SIZE, "%s \"%s\": %s", heap->kind->noun, heap->name, refusal);
	keep_charge(heap);
	return r;
}

void heap_refund(struct heap *heap, uint64_t bytes)
{
	const struct budget_level levels[] = {
		{&heap->budget, NULL}, {&heap->user->budget, NULL}, {&heap->broker->budget, NULL}};

	/* What a segment says it gave back is only believed up to what it was charged. */
	budget_refund(levels, ARRAY_SIZE(levels), MIN(bytes, heap->budget.used));
	keep_charge(heap);
}

static void release(struct heap *heap)
{
	keep_forget(heap);
	disk_release(heap);
	heap_refund(heap, heap->budget.used);
	heap->kind->unmake(heap);
	fd_close(heap->fd);
	heap->user->heaps--;
	heap->broker->heap_count--;
	user_unref(heap->user);
	free(heap->returned);
	free(heap);
}

bool heap_trim(struct heap *heap)
{
	heap->trimming = heap->kind->trim && heap->kind->trim(heap);
	return heap->trimming;
}

void heap_free(struct heap *heap)
{
	assert(list_is_empty(&heap->attachments));
	list_remove(&heap->node);
	release(heap);
}

static int check_user_count(const struct heap *heap, const struct user *user,
			    char message[static HEAP_MESSAGE_SIZE])
{
	if (!user->limits->heaps || user->heaps < user->limits->heaps)
		return 0;
	snprintf(message, HEAP_MESSAGE_SIZE, "%s \"%s\": user %u has %" PRIu32 " of %" PRIu32 " heaps",
		 heap->kind->noun, heap->name, (unsigned)user->uid, user->heaps, user->limits->heaps);
	return -ERROR_LIMIT;
}

static int check_counts(const struct heap *heap, char message[static HEAP_MESSAGE_SIZE])
{
	const struct broker *broker = heap->broker;
	int r = check_user_count(heap, heap->user, message);

	if (r)
		return r;
	if (broker->config.heaps && broker->heap_count >= broker->config.heaps) {
		snprintf(message, HEAP_MESSAGE_SIZE, "%s \"%s\": there are %" PRIu32 " of %" PRIu32 " heaps",
			 heap->kind->noun, heap->name, broker->heap_count, broker->config.heaps);
		return -ERROR_LIMIT;
	}
	return 0;
}

int heap_new(struct broker *broker, const struct credentials *peer, const char *name,
	     const struct proto_open *request, struct heap **_heap, char message[static HEAP_MESSAGE_SIZE])
{
	struct heap *heap = calloc(1, sizeof(*heap));
	struct user *user = heap ? user_ref(broker, peer->uid) : NULL;
	uint64_t most = broker->config.heap_bytes;
	int r;

	snprintf(message, HEAP_MESSAGE_SIZE, "%s \"%s\": the daemon is out of memory",
		 kind_noun(request->kind), name);
	if (!user) {
		free(heap);
		return -ERROR_NO_MEMORY;
	}
	list_init(&heap->node);
	list_init(&heap->attachments);
	heap->broker = broker;
	heap->kind = kind_of(request->kind);
	heap->kind_number = request->kind;
	heap->fd = -1;
	heap->user = user;
	heap->owner = (struct owner){.uid = peer->uid, .gid = peer->gid, .mode = request->mode};
	heap->lifetime = request->lifetime;
	heap->idle_seconds = request->idle_seconds;
	heap->budget.limit = request->budget && (!most || request->budget < most) ? request->budget : most;
	memcpy(heap->creation, request->creation, sizeof(heap->creation));
	heap->created = heap->last_used = wall_clock();
	if (request->checkpoint_ms != PROTO_CHECKPOINT_NEVER)
		heap->checkpoint_ms = request->checkpoint_ms ? request->checkpoint_ms : broker->config.checkpoint_ms;
	heap->idle_since = clock_now();
	snprintf(heap->name, sizeof(heap->name), "%s", name);
	r = check_counts(heap, message);
	/* Counted from here on, unfinished or not: release() expects it. */
	user->heaps++;
	broker->heap_count++;
	if (!r && getrandom(heap->id, sizeof(heap->id), 0) != sizeof(heap->id))
		r = -ERROR_SYSTEM;
	if (!r)
		r = heap->kind->make(heap, request, message);
	if (r) {
		release(heap);
		return r;
	}
	list_add(&broker->heaps, &heap->node);
	keep_prepare(heap);
	*_heap = heap;
	return 0;
}

struct heap *heap_new_adopted_take(struct broker *broker, enum proto_named kind, uid_t creator, int fd)
{
	struct heap *heap = calloc(1, sizeof(*heap));

	if (heap)
		heap->user = user_ref(broker, creator);
	if (!heap || !heap->user) {
		free(heap);
		fd_close(fd);
		return NULL;
	}
	list_init(&heap->node);
	list_init(&heap->attachments);
	heap->broker = broker;
	heap->kind = kind_of(kind);
	heap->kind_number = kind;
	heap->fd = fd;
	heap->user->heaps++;
	broker->heap_count++;
	list_add(&broker->heaps, &heap->node);
	return heap;
}

void heap_publish(struct heap *heap)
{
	keep_publish(heap);
	registry_add(&heap->broker->registry, heap);
	if (heap->idle_seconds)
		sweep_before(heap->broker, clock_add(heap->idle_since, heap->idle_seconds * NS_PER_S));
}

/* Those who look at the memory, and those who listen to events. */
static void tell_dropped(struct heap *heap)
{
	if (heap->kind->tell_dropped)
		heap->kind->tell_dropped(heap);
	list_each(struct attachment, attachment, &heap->attachments, heap_node)
	{
		struct proto_dropped event = {.heap = attachment->number};

		access_show_name(&attachment->client->peer, heap->name, event.name);
		client_send_event(attachment->client, PROTO_EVENT_DROPPED, &event);
	}
}

void heap_drop(struct heap *heap, const char *why, uid_t by)
{
	log_info("heap dropped", LOG_TEXT("heap", heap->name), LOG_TEXT("why", why), LOG_UINT("by", by),
		 LOG_UINT("clients", heap->attachment_count), LOG_TEXT("kind", heap->kind->noun));
	/* First: what its clients are told must be so for the next daemon, too. */
	keep_drop(heap);
	(void)disk_drop(heap, NULL);
	registry_remove(&heap->broker->registry, heap);
	heap->dropped = true;
	tell_dropped(heap);
	if (list_is_empty(&heap->attachments))
		heap_free(heap);
}

int heap_attach(struct heap *heap, struct client *client, enum proto_access access,
		struct attachment **_attachment)
{
	struct attachment *attachment;

	if (client->attachment_count >= CLIENT_ATTACHMENTS_MAX || client->next_attachment == UINT32_MAX)
		return -ERROR_LIMIT;
	attachment = calloc(1, sizeof(*attachment));
	if (!attachment)
		return -ERROR_NO_MEMORY;
	attachment->client = client;
	attachment->heap = heap;
	attachment->access = access;
	attachment->number = ++client->next_attachment;
	list_add(&client->attachments, &attachment->client_node);
	list_add(&heap->attachments, &attachment->heap_node);
	client->attachment_count++;
	heap->attachment_count++;
	heap->writer_count += access == PROTO_ACCESS_WRITE;
	heap->last_used = wall_clock();
	keep_attachments(heap);
	*_attachment = attachment;
	return 0;
}

/* The last one has left: it may have been waiting for that. */
static void become_idle(struct heap *heap)
{
	heap->idle_since = clock_now();
	disk_write(heap);
	/* The clients of a daemon that ends will be the next one's. */
	if (heap->broker->stopping)
		return;
	if (disk_leave(heap))
		return;
	/* Those of a former daemon, who have not come back yet, are clients too. */
	if ((heap->dropped || heap->lifetime == PROTO_LIFETIME_DETACH) && adopt_is_awaited(heap, heap->idle_since))
		sweep_before(heap->broker, clock_add(heap->idle_since, SWEEP_AWAIT));
	else if (heap->dropped)
		heap_free(heap);
	else if (heap->lifetime == PROTO_LIFETIME_DETACH)
		heap_drop(heap, "last client detached", heap->owner.uid);
	else if (heap->idle_seconds)
		sweep_before(heap->broker, clock_add(heap->idle_since, heap->idle_seconds * NS_PER_S));
}

void heap_detach(struct attachment *attachment)
{
	struct heap *heap = attachment->heap;

	list_remove(&attachment->client_node);
	list_remove(&attachment->heap_node);
	attachment->client->attachment_count--;
	heap->attachment_count--;
	heap->writer_count -= attachment->access == PROTO_ACCESS_WRITE;
	heap->last_used = wall_clock();
	keep_attachments(heap);
	free(attachment);
	if (heap->attachment_count == 0)
		become_idle(heap);
}

void heap_chmod(struct heap *heap, uint32_t mode)
{
	heap->owner.mode = mode;
	keep_description(heap);
}

/* What it is charged becomes another user's. */
static int move_charge(struct heap *heap, struct user *user, char message[static HEAP_MESSAGE_SIZE])
{
	char refusal[BUDGET_MESSAGE_SIZE], whose[32];
	const struct budget_level to = {&user->budget, whose}, from = {&heap->user->budget, NULL};
	int r = check_user_count(heap, user, message);

	if (r)
		return r;
	snprintf(whose, sizeof(whose), "user %u", (unsigned)user->uid);
	r = budget_charge(&to, 1, heap->budget.used, refusal);
	if (r) {
		snprintf(message, HEAP_MESSAGE_SIZE, "%s \"%s\": %s", heap->kind->noun, heap->name, refusal);
		return r;
	}
	budget_refund(&from, 1, heap->budget.used);
	user->heaps++;
	heap->user->heaps--;
	return 0;
}

int heap_chown(struct heap *heap, uid_t uid, gid_t gid, char message[static HEAP_MESSAGE_SIZE])
{
	struct user *before = heap->user, *user = user_ref(heap->broker, uid);
	int r;

	if (!user)
		return -ERROR_NO_MEMORY;
	/* With the same one, too: it may be in the budget of another than its owner. */
	r = user == before ? 0 : move_charge(heap, user, message);
	if (r) {
		user_unref(user);
		return r;
	}
	heap->user = user;
	user_unref(before);
	heap->owner.uid = uid;
	heap->owner.gid = gid;
	keep_description(heap);
	return 0;
}

void heap_rename(struct heap *heap, const char *name)
{
	registry_remove(&heap->broker->registry, heap);
	snprintf(heap->name, sizeof(heap->name), "%s", name);
	/* Its place there is free. */
	registry_add(&heap->broker->registry, heap);
	/* Takes effect for the next daemon here. */
	keep_description(heap);
}

void heap_grow(struct heap *heap, uint64_t elements, const struct client *except)
{
	if (elements <= heap->elements)
		return;
	heap->elements = elements;
	keep_elements(heap);
	shm_grow(&heap->segment, elements);
	log_info("heap grown", LOG_TEXT("heap", heap->name), LOG_UINT("elements", elements));
	list_each(struct attachment, attachment, &heap->attachments, heap_node)
	{
		struct proto_grown event = {.heap = attachment->number, .elements = elements};

		if (attachment->client != except)
			client_send_event(attachment->client, PROTO_EVENT_GROWN, &event);
	}
}
