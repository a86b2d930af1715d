/*
 * census.c: see census.h. Each heap's slots are walked once, and each looked up among the clients that were asked for.
 */
#include "daemon/census.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macros.h"
#include "daemon/kind.h"

#define LOOK_MOST ((uint32_t)1 << 20)

struct walk {
	struct census *clients;
	size_t count;
};

static int compare(const void *a, const void *b)
{
	const struct census *left = a, *right = b;

	return left->client < right->client ? -1 : left->client > right->client;
}

static void visit(void *arg, uint64_t client, bool asleep)
{
	const struct walk *walk = arg;
	const struct census key = {.client = client};
	struct census *found = bsearch(&key, walk->clients, walk->count, sizeof(key), compare);

	if (found) {
		found->slots++;
		found->waiters += asleep;
	}
}

void census_take(const struct broker *broker, struct census *clients, size_t count)
{
	struct walk walk = {.clients = clients, .count = count};
	uint32_t left = LOOK_MOST;

	if (count == 0)
		return;
	list_each(struct heap, heap, &broker->heaps, node)
	{
		/* Only writers have slots. */
		if (heap->writer_count == 0 || !heap->kind->each_slot || heap->quarantined)
			continue;
		left -= heap->kind->each_slot(heap, left, visit, &walk);
		if (left == 0)
			return;
	}
}

static size_t collect(const struct broker *broker, struct census *clients)
{
	size_t count = 0;

	list_each(struct client, client, &broker->clients, node) if (!client->superseded)
		clients[count++] = (struct census){.client = client->number};
	qsort(clients, count, sizeof(*clients), compare);
	return count;
}

void census_of_users(const struct broker *broker, const struct user *const *users, size_t count, uint32_t *slots)
{
	_cleanup_(freep) struct census *clients = calloc(broker->client_count + 1, sizeof(*clients));
	size_t client_count;

	memset(slots, 0, count * sizeof(*slots));
	if (!clients)
		return;
	client_count = collect(broker, clients);
	census_take(broker, clients, client_count);
	list_each(struct client, client, &broker->clients, node)
	{
		const struct census key = {.client = client->number};
		const struct census *found = bsearch(&key, clients, client_count, sizeof(key), compare);

		for (size_t i = 0; found && !client->superseded && i < count; i++)
			if (client->user == users[i])
				slots[i] += found->slots;
	}
}
