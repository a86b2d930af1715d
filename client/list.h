/*
 * list.h: what lists of heaps, clients and users have in common.
 */
#ifndef CLIENT_LIST_H
#define CLIENT_LIST_H

#include <stddef.h>
#include <stdint.h>

/* More than a daemon can have; a list that does not end is not a list. */
#define LIST_MOST ((size_t)1 << 24)

/* The user's name, or its number where there is no name. */
void list_name_user(uint32_t uid, char *name, size_t size);

#endif
