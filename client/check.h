/*
 * check.h: a heap's memory to be looked at, in which nothing is believed.
 */
#ifndef CLIENT_CHECK_H
#define CLIENT_CHECK_H

#include "client/connection.h"
#include "shm/segment.h"

struct examined {
	struct ems_connection *connection;
	uint32_t attachment, epoch;
	struct shm_segment segment; /* read-only; its header is anything */
	struct proto_open_reply reply;
	uint8_t fill[MAX_FILL]; /* reply.params.fill points here */
};

/* Attaches and maps it, quarantined or not. Noted failures. For examined_close, also after one. */
int examined_open(struct examined *examined, struct ems_connection *connection, const char *name);
void examined_close(struct examined *examined);

/* Compares everything in the memory with everything else: ems_heap_check, for *result from problems on. elements: how many there are. */
int check_image(const struct shm_segment *segment, uint64_t elements, ems_deadline_t until, ems_check_hook_t hook, void *arg,
		ems_check_t *result);

#endif
