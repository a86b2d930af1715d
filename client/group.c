/* Waits that can go on at the same change: see wait.h. With the lock. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client/wait.h"
#include "shm/atomic.h"

static bool same_key(const struct shm_key *a, const struct shm_key *b)
{
	if (a->kind != b->kind || a->hash != b->hash)
		return false;
	return a->kind == KEY_STRING ? a->size == b->size && memcmp(a->text, b->text, a->size) == 0
				     : a->word == b->word;
}

/*
 * Of elements: the same cell and, with a map, the same key, for a key that is deleted goes elsewhere. The queue and the
 * stack are one thing each, whichever cell it is that has to move now.
 */
static bool belongs(const struct wait *wait, const struct group *group, const struct cell *cell)
{
	if (group->class != wait_class(wait))
		return false;
	if (!group->of_element)
		return true;
	if (group->cell != cell)
		return false;
	return !wait->target.key || same_key(&wait->key, &group->first->key);
}

static struct group *find(const struct wait *wait, struct group *group, const struct cell *cell)
{
	while (group && !belongs(wait, group, cell))
		group = group->next;
	return group;
}

static struct group *make(const struct wait *wait, struct listener *listener, struct group **chain)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->listener = listener;
	group->class = wait_class(wait);
	group->of_element = wait_is_of_element(wait);
	group->next = *chain;
	group->link = chain;
	if (group->next)
		group->next->link = &group->next;
	*chain = group;
	return group;
}

/* Off the loop's list of those to be tried again. */
static void unlist(struct group *group)
{
	struct loop *loop = group->listener->loop;

	if (!group->moved)
		return;
	group->moved = false;
	if (group->moved_prev)
		group->moved_prev->moved_next = group->moved_next;
	else
		loop->moved = group->moved_next;
	if (group->moved_next)
		group->moved_next->moved_prev = group->moved_prev;
	else
		loop->moved_last = group->moved_prev;
	group->moved_next = group->moved_prev = NULL;
}

static void free_group(struct group *group)
{
	unlist(group);
	*group->link = group->next;
	if (group->next)
		group->next->link = group->link;
	free(group);
}

static void insert(struct group *group, struct wait *wait, bool first)
{
	struct wait *before = first ? NULL : group->last, *after = first ? group->first : NULL;

	wait->group = group;
	wait->prev = before;
	wait->next = after;
	*(before ? &before->next : &group->first) = wait;
	*(after ? &after->prev : &group->last) = wait;
}

void group_moved(struct group *group)
{
	struct loop *loop = group->listener->loop;

	if (group->moved)
		return;
	group->moved = true;
	group->moved_prev = loop->moved_last;
	*(loop->moved_last ? &loop->moved_last->moved_next : &loop->moved) = group;
	loop->moved_last = group;
	loop_tell(loop);
}

int group_add(struct wait *wait, const struct shm_notice *notice, bool first)
{
	struct listener *listener = listener_get(wait->heap->mapping, wait->loop);
	struct group **chain, *group;
	int r = listener ? listener_hold(listener) : -ERROR_NO_MEMORY;

	if (r < 0)
		return r;
	chain = wait_is_of_element(wait) ? listener_chain(listener, notice->cell) : &listener->objects;
	group = find(wait, *chain, notice->cell);
	if (!group) {
		group = make(wait, listener, chain);
		if (!group) {
			listener_release(listener);
			return -ERROR_NO_MEMORY;
		}
	} else if (first) {
		unlist(group); /* the first of them has just been tried: the rest cannot go on either */
	} else if (group->cell != notice->cell || group->meta != notice->meta) {
		group_moved(group);
	}
	insert(group, wait, first);
	wait->state = WAIT_PENDING;
	if (first || group->first == group->last) {
		group->cell = notice->cell;
		group->meta = notice->meta;
	}
	/* Between the look that found it so and now: the bell has rung for nobody, perhaps. */
	if (load64_acquire(&group->cell->meta) != group->meta)
		group_moved(group);
	return 0;
}

void group_remove(struct wait *wait)
{
	struct group *group = wait->group;

	*(wait->prev ? &wait->prev->next : &group->first) = wait->next;
	*(wait->next ? &wait->next->prev : &group->last) = wait->prev;
	wait->prev = wait->next = NULL;
	wait->group = NULL;
	listener_release(group->listener);
	if (!group->first)
		free_group(group);
}
