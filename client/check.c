/* Does a heap make sense? The look is this process's; the daemon is not held up by it. */
#include "client/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/macros.h"
#include "client/failure.h"
#include "client/heap.h"
#include "client/mapping.h"
#include "shm/check.h"
#include "shm/slot.h"

/* Of more problems than that the first are told. */
#define TEXTS_MAX 1000u

/* ---- the memory ---- */

static int map(struct examined *examined, int fd)
{
	struct proto_value *fill = &examined->reply.params.fill;
	struct heap_params params;
	int r;

	if (fill->type >= PROTO_STRING) {
		if (fill->size > sizeof(examined->fill))
			return failure_of(-ERROR_PROTOCOL);
		memcpy(examined->fill, fill->data, fill->size);
		fill->data = examined->fill;
	}
	mapping_params(&params, &examined->reply.params);
	r = shm_segment_examine(&examined->segment, fd, &params);
	return r < 0 ? failure_say(r, "heap \"%s\": cannot map its memory: %s", examined->reply.name,
				   error_text(r))
		     : 0;
}

int examined_open(struct examined *examined, struct ems_connection *connection, const char *name)
{
	struct proto_open body = {.how = PROTO_HOW_OPEN, .access = PROTO_ACCESS_READ, .examine = true};
	_cleanup_(closep) int fd = -1;
	int r;

	memset(examined, 0, sizeof(*examined));
	r = heap_check_name(name);
	if (r < 0)
		return r;
	memcpy(body.name, name, strlen(name) + 1);
	r = connection_lock(connection, true);
	if (r < 0)
		return r;
	examined->connection = connection;
	r = connection_request(connection, PROTO_OPEN, &body, &examined->reply, &fd,
			       clock_deadline(CONNECTION_PATIENCE));
	if (r == 0) {
		examined->attachment = examined->reply.heap;
		examined->epoch = connection->link.epoch;
		r = map(examined, fd);
	}
	connection_unlock(connection);
	return r;
}

void examined_close(struct examined *examined)
{
	struct proto_detach detach = {.heap = examined->attachment};

	shm_segment_unmap(&examined->segment);
	if (!examined->attachment)
		return;
	connection_take(examined->connection);
	/* A link that was lost has taken the attachment along. */
	if (examined->connection->link.socket >= 0 && examined->connection->link.epoch == examined->epoch)
		(void)link_call(&examined->connection->link, PROTO_DETACH, &detach, NULL, NULL,
				clock_deadline(CONNECTION_PATIENCE));
	connection_unlock(examined->connection);
}

/* ---- looking ---- */

struct texts {
	char **list;
	size_t count;
	bool failed;
};

static void texts_fini(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->list[i]);
	free(texts->list);
}

static void note(void *arg, const char *text)
{
	struct texts *texts = arg;

	if (texts->failed || texts->count == TEXTS_MAX)
		return;
	if (!texts->list)
		texts->list = calloc(TEXTS_MAX, sizeof(*texts->list));
	if (texts->list)
		texts->list[texts->count] = strdup(text);
	texts->failed = !texts->list || !texts->list[texts->count];
	texts->count += !texts->failed;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const struct texts *texts, const char *text)
{
	return texts->count && bsearch(&text, texts->list, texts->count, sizeof(text), compare);
}

static bool is_live(const struct shm_segment *segment)
{
	for (uint32_t id = 1; id < shm_slots_high(segment); id++)
		if (load32_acquire(&shm_slot(segment, id)->state) != SLOT_FREE)
			return true;
	return false;
}

static int look(const struct shm_segment *segment, uint64_t elements, bool quiet, uint64_t deadline, struct shm_check *check,
		struct texts *texts)
{
	int r;

	*check = (struct shm_check){.quiet = quiet,
				    .elements = elements,
				    .deadline = deadline,
				    .problem = note,
				    .arg = texts};
	r = shm_check(segment, check);
	if (r == 0 && texts->failed)
		r = -ERROR_NO_MEMORY;
	if (texts->count)
		qsort(texts->list, texts->count, sizeof(*texts->list), compare);
	return r < 0 ? failure_of(r) : 0;
}

static void tell(const struct texts *texts, const struct texts *only, uint64_t more, ems_check_hook_t hook,
		 void *arg, ems_check_t *result)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (only && !has(only, texts->list[i]))
			continue;
		result->problems++;
		if (hook)
			hook(arg, texts->list[i]);
	}
	/* Beyond what was noted. */
	if (!only)
		result->problems += more;
}

/* Quiet, if it was so before and after; else what two looks agree about. */
int check_image(const struct shm_segment *segment, uint64_t elements, ems_deadline_t until, ems_check_hook_t hook, void *arg,
		ems_check_t *result)
{
	_cleanup_(texts_fini) struct texts first = {0}, second = {0};
	uint64_t deadline = until == EMS_FOREVER ? 0 : until;
	bool quiet = !is_live(segment);
	struct shm_check check;
	int r = look(segment, elements, quiet, deadline, &check, &first);

	if (r == 0 && quiet && check.problems && is_live(segment)) {
		quiet = false;
		texts_fini(&first);
		first = (struct texts){0};
		r = look(segment, elements, false, deadline, &check, &first);
	}
	if (r == 0 && !quiet && check.problems)
		r = look(segment, elements, false, deadline, &check, &second);
	if (r < 0)
		return r;
	tell(&first, quiet ? NULL : &second, check.problems - first.count, hook, arg, result);
	result->live = !quiet;
	result->incomplete = check.stopped;
	result->elements = check.live_elements;
	result->keys = check.keys;
	result->queued = check.queued;
	result->stacked = check.stacked;
	result->blobs = check.blobs_allocated;
	return 0;
}

/* What dead threads left is no problem once it is put in order. Of a quarantined heap the daemon does nothing. */
static void recover(struct examined *examined)
{
	struct proto_recover body = {.heap = examined->attachment};
	struct proto_recover_reply reply;

	connection_take(examined->connection);
	if (examined->connection->link.epoch == examined->epoch)
		(void)link_call(&examined->connection->link, PROTO_RECOVER, &body, &reply, NULL,
				clock_deadline(CONNECTION_PATIENCE));
	connection_unlock(examined->connection);
}

static int is_quarantined(struct ems_connection *connection, const char *name, bool *_is)
{
	ems_heap_info_t info;
	int r = ems_heap_inspect(connection, name, &info);

	if (r == 0)
		*_is = info.quarantined;
	return r;
}

int ems_heap_check(ems_connection_t *connection, const char *name, ems_deadline_t deadline, ems_check_hook_t hook,
		   void *arg, ems_check_t *check)
{
	_cleanup_(freep) struct examined *examined = NULL;
	ems_check_t ignored = {0};
	int r;

	check = check ? check : &ignored;
	memset(check, 0, sizeof(*check));
	examined = malloc(sizeof(*examined));
	if (!examined)
		return failure_of(-ERROR_NO_MEMORY);
	r = examined_open(examined, connection, name);
	if (r == 0)
		recover(examined);
	if (r == 0)
		r = is_quarantined(connection, name, &check->quarantined);
	if (r == 0)
		r = check_image(&examined->segment, examined->reply.elements, deadline, hook, arg, check);
	examined_close(examined);
	return r;
}
