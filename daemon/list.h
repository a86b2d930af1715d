/*
 * list.h: doubly linked lists through a node inside the struct.
 *
 *     struct list clients;  list_init(&clients);
 *     list_add(&clients, &client->node);
 *     list_each (struct client, client, &clients, node) …     the current one may be removed and freed
 */
#ifndef DAEMON_LIST_H
#define DAEMON_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *list)
{
	list->next = list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->next == list;
}

/* At the end. node must be in no list. */
static inline void list_add(struct list *list, struct list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}

/* Leaves node alone in a list of its own: a second removal does nothing. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(type, pointer, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define list_each(type, item, list, member)                                   \
	for (type *item = list_entry(type, (list)->next, member),             \
		  *item##_next = list_entry(type, item->member.next, member); \
	     &item->member != (list);                                         \
	     item = item##_next, item##_next = list_entry(type, item->member.next, member))

#endif
