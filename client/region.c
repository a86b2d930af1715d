/* Handles of regions: opening, closing, growing, flushing. See region.h. */
#include "client/region.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "client/connection.h"
#include "client/failure.h"
#include "proto/name.h"

/* How often open and create may alternate while others create and drop the same name. */
#define OPEN_TRIES 16
/* How often growing is asked for again when the daemon goes away at that moment. */
#define GROW_TRIES 3

int region_check_slow(const struct ems_region *region, const char *operation)
{
	if (!region)
		return failure_say(-ERROR_INVALID, "%s: no region is given", operation);
	return failure_say(-ERROR_FORKED, "%s: region \"%s\" was opened by the parent process; connect anew",
			   operation, region->name);
}

/* ---- what is asked for ---- */

static int check_options(const ems_region_options_t *options)
{
	if (options->mode > 0777)
		return failure_say(-ERROR_INVALID, "mode 0%o: only permission bits are allowed",
				   options->mode);
	if (options->lock > 100)
		return failure_say(-ERROR_INVALID, "lock %u: it is a percentage", options->lock);
	if ((unsigned)options->pages > EMS_PAGES_1G)
		return failure_say(-ERROR_INVALID, "there are no such pages");
	if (options->size > REGION_SIZE_MAX || options->max_size > REGION_SIZE_MAX ||
	    (options->max_size && options->size > options->max_size))
		return failure_say(-ERROR_RANGE,
				   "size %llu, max_size %llu: size <= max_size <= %llu bytes must hold",
				   (unsigned long long)options->size, (unsigned long long)options->max_size,
				   (unsigned long long)REGION_SIZE_MAX);
	return 0;
}

static void translate(const ems_region_options_t *options, struct proto_open *open)
{
	*open = (struct proto_open){
		.kind = PROTO_NAMED_REGION,
		.access = options->read_only ? PROTO_ACCESS_READ : PROTO_ACCESS_WRITE,
		.region = {.size = options->size,
			   .max_size = options->max_size ? options->max_size : options->size,
			   .pages = options->pages == EMS_PAGES_2M   ? PROTO_PAGES_2M
				    : options->pages == EMS_PAGES_1G ? PROTO_PAGES_1G
								     : PROTO_PAGES_DEFAULT,
			   .persistent = options->persistent},
		.mode = options->mode ? options->mode : 0600,
		.lifetime = options->until_detached ? PROTO_LIFETIME_DETACH : PROTO_LIFETIME_KEEP,
		.idle_seconds = options->idle_seconds,
		.budget = options->budget,
	};
}

/* Only what is stated is compared with what is there. */
static int compare(const ems_region_options_t *options, const char *name, const struct proto_region *is)
{
	if (options->size && options->size != is->size)
		return failure_say(-ERROR_MISMATCH, "region \"%s\" was created with %llu bytes, not %llu",
				   name, (unsigned long long)is->size, (unsigned long long)options->size);
	if (options->max_size && options->max_size != is->max_size)
		return failure_say(-ERROR_MISMATCH,
				   "region \"%s\" was created to grow to %llu bytes, not %llu", name,
				   (unsigned long long)is->max_size, (unsigned long long)options->max_size);
	return 0;
}

static void take_wishes(struct ems_region *region, const ems_region_options_t *options)
{
	region->pages = options->pages;
	region->wishes = (struct shm_wishes){.transparent = options->pages == EMS_PAGES_TRANSPARENT,
					     .populate = options->populate,
					     .interleave = options->interleave,
					     .lock_percent = options->lock};
}

/* What the process knows of the region's size; with the connection locked. */
static void grant_wishes(struct ems_region *region)
{
	uint64_t size = shm_region_size(&region->memory);

	if (size > region->wished)
		shm_region_grant(&region->memory, &region->wishes, region->wished, size);
	region->wished = MAX(region->wished, size);
}

/* ---- opening; the connection is locked ---- */

static void detach(struct ems_connection *connection, uint32_t attachment)
{
	struct proto_detach body = {.heap = attachment};

	(void)link_call(&connection->link, PROTO_DETACH, &body, NULL, NULL,
			clock_deadline(CONNECTION_PATIENCE));
}

static int check_feature(const struct ems_connection *connection)
{
	if (connection->link.daemon.features & PROTO_FEATURE_REGIONS)
		return 0;
	return failure_say(-ERROR_UNSUPPORTED, "the daemon (emsd %s) has no regions",
			   connection->link.daemon.software_version);
}

/* The daemon has attached it and the memory is mapped. */
static void settle(struct ems_region *region, struct ems_connection *connection,
		   const struct proto_open_reply *reply)
{
	memcpy(region->name, reply->name, sizeof(region->name));
	region->attachment = reply->heap;
	region->ticket = reply->ticket;
	memcpy(region->heap_id, reply->heap_id, sizeof(region->heap_id));
	region->epoch = connection->link.epoch;
	region->process = connection->process;
	region->connection = connection_ref(connection);
	region->next = connection->regions;
	region->link = &connection->regions;
	if (region->next)
		region->next->link = &region->next;
	connection->regions = region;
	grant_wishes(region);
}

static uint64_t page_size(enum proto_pages pages)
{
	return pages == PROTO_PAGES_2M	 ? REGION_PAGE_2M
	       : pages == PROTO_PAGES_1G ? REGION_PAGE_1G
					 : REGION_PAGE;
}

static int open_once(struct ems_region *region, struct ems_connection *connection,
		     const struct proto_open *open, const ems_region_options_t *options)
{
	struct proto_open_reply reply;
	_cleanup_(closep) int fd = -1;
	int r;

	r = connection_request(connection, PROTO_OPEN, open, &reply, &fd,
			       clock_deadline(CONNECTION_PATIENCE));
	if (r < 0)
		return r;
	r = options ? compare(options, reply.name, &reply.region) : 0;
	if (r == 0) {
		r = shm_region_map(&region->memory, fd, reply.region.max_size,
				   page_size(reply.region.granted), reply.access == PROTO_ACCESS_WRITE);
		if (r < 0)
			(void)failure_say(r, "region \"%s\": cannot map its memory: %s", reply.name,
					  error_text(r));
	}
	if (r < 0) {
		detach(connection, reply.heap);
		return r;
	}
	settle(region, connection, &reply);
	return 0;
}

static int open_or_create(struct ems_region *region, struct ems_connection *connection,
			  struct proto_open *open, const ems_region_options_t *options)
{
	int r = 0;

	for (int i = 0; i < OPEN_TRIES; i++) {
		open->how = PROTO_HOW_OPEN;
		r = open_once(region, connection, open, options);
		if (r != -ERROR_NOT_FOUND)
			return r;
		open->how = PROTO_HOW_CREATE;
		r = open_once(region, connection, open, NULL);
		if (r != -ERROR_EXISTS)
			return r;
	}
	return r;
}

static int open_how(struct ems_region *region, struct ems_connection *connection, struct proto_open *open,
		    ems_open_t how, const ems_region_options_t *options)
{
	int r = check_feature(connection);

	if (r < 0)
		return r;
	if (how == EMS_OPEN_OR_CREATE)
		return open_or_create(region, connection, open, options);
	open->replace = how == EMS_REPLACE;
	open->how = how == EMS_OPEN_EXISTING ? PROTO_HOW_OPEN : PROTO_HOW_CREATE;
	return open_once(region, connection, open, NULL);
}

int ems_region_open(ems_connection_t *connection, const char *name, ems_open_t how,
		    const ems_region_options_t *options, ems_region_t **_region)
{
	static const ems_region_options_t none;
	const char *problem = name ? proto_name_problem(name) : "it is missing";
	_cleanup_(freep) struct ems_region *region = NULL;
	struct proto_open open;
	int r;

	if (!_region || (unsigned)how > EMS_REPLACE)
		return failure_say(-ERROR_INVALID, "ems_region_open: %s",
				   _region ? "no such way to open" : "no place for the region");
	if (problem)
		return failure_say(-ERROR_NAME, "bad name \"%.*s\": %s", 300, name ? name : "", problem);
	options = options ? options : &none;
	r = check_options(options);
	if (r < 0)
		return r;
	if (options->size == 0 && (how == EMS_CREATE || how == EMS_REPLACE))
		return failure_say(-ERROR_INVALID, "a region needs a size");
	translate(options, &open);
	memcpy(open.name, name, strlen(name) + 1);
	/* A creation whose answer is lost with the daemon is asked for again, and known by this. */
	if (how != EMS_OPEN_EXISTING &&
	    getrandom(open.creation, sizeof(open.creation), 0) != sizeof(open.creation))
		return failure_of(-ERROR_SYSTEM);
	region = calloc(1, sizeof(*region));
	if (!region)
		return failure_of(-ERROR_NO_MEMORY);
	take_wishes(region, options);
	r = connection_lock(connection, true);
	if (r < 0)
		return r; /* cppcheck-suppress memleak; _cleanup_ frees it */
	r = open_how(region, connection, &open, how, options);
	connection_unlock(connection);
	if (r == 0)
		*_region = steal_pointer(&region);
	return r;
}

/* ---- files ---- */

/* Maps it, and lets it be as long as it shall be. */
static int map_file(struct ems_region *region, int fd, const ems_region_options_t *options)
{
	int own = -1, r = fd_dup(fd, &own);

	if (r == 0)
		r = shm_region_map_file_take(&region->memory, own,
					     options->max_size ? options->max_size : options->size,
					     !options->read_only);
	if (r == -ERROR_RANGE)
		return failure_say(r, "the file is empty, or too large: say a size");
	if (r < 0)
		return failure_say(r, "the file cannot be mapped: %s", error_text(r));
	r = options->size && !options->read_only ? shm_region_grow_file(&region->memory, options->size) : 0;
	if (r == 0)
		return 0;
	shm_region_unmap(&region->memory);
	return failure_say(r, "the file cannot be made %llu bytes long: %s",
			   (unsigned long long)options->size, error_text(r));
}

int ems_region_file(ems_connection_t *connection, int fd, const ems_region_options_t *options,
		    ems_region_t **_region)
{
	static const ems_region_options_t none;
	_cleanup_(freep) struct ems_region *region = NULL;
	struct proto_open_file body = {0};
	struct proto_open_reply reply;
	int r;

	if (!_region)
		return failure_say(-ERROR_INVALID, "ems_region_file: no place for the region");
	options = options ? options : &none;
	r = check_options(options);
	if (r < 0)
		return r;
	region = calloc(1, sizeof(*region));
	if (!region)
		return failure_of(-ERROR_NO_MEMORY);
	take_wishes(region, options);
	body.access = options->read_only ? PROTO_ACCESS_READ : PROTO_ACCESS_WRITE;
	r = connection_lock(connection, true);
	if (r < 0)
		return r; /* cppcheck-suppress memleak; _cleanup_ frees it */
	r = check_feature(connection);
	if (r == 0)
		r = link_call_with(&connection->link, PROTO_OPEN_FILE, &body, fd, &reply, NULL,
				   clock_deadline(CONNECTION_PATIENCE));
	if (r == 0) {
		r = map_file(region, fd, options);
		if (r < 0)
			detach(connection, reply.heap);
		else
			settle(region, connection, &reply);
	}
	connection_unlock(connection);
	if (r == 0)
		*_region = steal_pointer(&region);
	return r;
}

/* ---- after the link was lost ---- */

static int reattach_file(struct ems_region *region, struct link *link, uint64_t deadline)
{
	struct proto_open_file body = {.access = region->memory.writable ? PROTO_ACCESS_WRITE
									 : PROTO_ACCESS_READ};
	struct proto_open_reply reply;
	int r = link_call_with(link, PROTO_OPEN_FILE, &body, region->memory.fd, &reply, NULL, deadline);

	if (r == 0)
		region->attachment = reply.heap;
	return r;
}

static int reattach(struct ems_region *region, struct link *link, uint64_t deadline)
{
	struct proto_reattach body = {.access = region->memory.writable ? PROTO_ACCESS_WRITE
									: PROTO_ACCESS_READ,
				      .ticket = region->ticket};
	struct proto_reattach_reply reply;
	int r;

	if (region->memory.fd >= 0)
		return reattach_file(region, link, deadline);
	memcpy(body.heap_id, region->heap_id, sizeof(body.heap_id));
	r = link_call(link, PROTO_REATTACH, &body, &reply, NULL, deadline);
	if (r == 0)
		region->attachment = reply.heap;
	return r;
}

int region_reattach_all(struct ems_connection *connection, uint64_t deadline)
{
	struct link *link = &connection->link;

	for (struct ems_region *region = connection->regions; region; region = region->next) {
		if (region->epoch == link->epoch)
			continue;
		region->attachment = 0;
		region->lost = reattach(region, link, deadline);
		if (link->socket < 0)
			return region->lost < 0 ? region->lost : -ERROR_CONNECTION;
		region->epoch = link->epoch;
	}
	return 0;
}

/* ---- closing ---- */

static void unlist(struct ems_region *region)
{
	*region->link = region->next;
	if (region->next)
		region->next->link = region->link;
}

void ems_region_close(ems_region_t *region)
{
	struct ems_connection *connection;

	if (!region)
		return;
	connection = region->connection;
	if (process_is_another(region->process)) {
		/* In a child: no lock, which a thread of the parent may hold, nothing to unmap; a file's descriptor is a copy. */
		unlist(region);
		(void)fd_close(region->memory.fd);
	} else {
		shm_region_unmap(&region->memory);
		connection_take(connection);
		unlist(region);
		if (connection->link.socket >= 0 && connection->link.epoch == region->epoch &&
		    region->attachment)
			detach(connection, region->attachment);
		connection_unlock(connection);
	}
	free(region);
	connection_unref(connection);
}

/* ---- using ---- */

void *ems_region_bytes(ems_region_t *region, uint64_t *size)
{
	uint64_t now;

	if (region_check(region, "region_bytes") < 0)
		return NULL;
	now = shm_region_size(&region->memory);
	if (size)
		*size = now;
	return region->memory.base;
}

static int ask_daemon(struct ems_region *region, uint64_t size)
{
	struct proto_grow_region body = {.heap = region->attachment, .size = size};
	struct proto_grow_region_reply reply;

	if (region->lost)
		return failure_say(region->lost, "region \"%s\" was lost while the daemon was away",
				   region->name);
	return link_call(&region->connection->link, PROTO_GROW_REGION, &body, &reply, NULL,
			 clock_deadline(CONNECTION_PATIENCE));
}

int ems_region_grow(ems_region_t *region, uint64_t size)
{
	bool file;
	int r = region_check(region, "region_grow");

	if (r < 0)
		return r;
	file = region->memory.fd >= 0;
	if (size > region->memory.max_size)
		return failure_say(-ERROR_RANGE, "region \"%s\": it can grow to %llu bytes, not %llu",
				   region->name, (unsigned long long)region->memory.max_size,
				   (unsigned long long)size);
	if (size <= shm_region_size(&region->memory))
		return 0;
	if (!region->memory.writable)
		return failure_say(-ERROR_READ_ONLY, "region \"%s\": it is mapped for reading only",
				   region->name);
	for (int tries = 0;; tries++) {
		r = connection_lock(region->connection, !file); /* makes a lost link anew */
		if (r < 0)
			return r;
		r = file ? shm_region_grow_file(&region->memory, size) : ask_daemon(region, size);
		if (r != -ERROR_CONNECTION || file || tries == GROW_TRIES)
			break;
		connection_unlock(region->connection);
	}
	if (r < 0 && file)
		(void)failure_say(r, "region \"%s\": the file cannot be made %llu bytes long: %s",
				  region->name, (unsigned long long)size, error_text(r));
	if (r == 0)
		grant_wishes(region);
	connection_unlock(region->connection);
	return r;
}

int ems_region_flush(ems_region_t *region, uint64_t offset, uint64_t size, bool wait)
{
	uint64_t now;
	int r = region_check(region, "region_flush");

	if (r < 0)
		return r;
	now = shm_region_size(&region->memory);
	if (offset > now || size > now - offset)
		return failure_say(-ERROR_RANGE, "region \"%s\": bytes %llu to %llu: it has %llu",
				   region->name, (unsigned long long)offset,
				   (unsigned long long)(offset + size), (unsigned long long)now);
	r = shm_region_flush(&region->memory, offset, size ? size : now - offset, wait);
	return r < 0 ? failure_say(r, "region \"%s\": it cannot be written to its disk: %s", region->name,
				   error_text(r))
		     : 0;
}

/* ---- what it is ---- */

static ems_grant_t grant(const struct shm_grant *from)
{
	return (ems_grant_t){
		.asked = from->asked, .granted = from->granted, .why = from->why ? from->why : ""};
}

/* Pages that are the region's own were granted, or not, when it was created. */
static ems_grant_t grant_pages(const struct ems_region *region)
{
	ems_grant_t pages = grant(&region->wishes.huge);

	if (region->pages == EMS_PAGES_2M || region->pages == EMS_PAGES_1G)
		pages.asked = region->pages == EMS_PAGES_2M ? REGION_PAGE_2M : REGION_PAGE_1G;
	if (region->memory.page_size > REGION_PAGE)
		pages.granted = region->memory.page_size;
	if (pages.granted < pages.asked && !*pages.why)
		pages.why = region->memory.fd >= 0 ? "the pages of a file are those of its file system"
						   : "there were not so many when it was created "
						     "(HugePages_Free in /proc/meminfo)";
	return pages;
}

int ems_region_info(ems_region_t *region, ems_region_info_t *info)
{
	int r = region_check(region, "region_info");

	if (r == 0 && !info)
		r = failure_say(-ERROR_INVALID, "region_info: no place for the answer");
	if (r == 0)
		r = connection_lock(region->connection, false);
	if (r < 0)
		return r;
	*info = (ems_region_info_t){
		.size = shm_region_size(&region->memory),
		.max_size = region->memory.max_size,
		.read_only = !region->memory.writable,
		.file = region->memory.fd >= 0,
		.dropped = region->memory.control && load32_acquire(&region->memory.control->dropped),
		.pages = grant_pages(region),
		.populated = grant(&region->wishes.populated),
		.locked = grant(&region->wishes.locked),
		.interleaved = grant(&region->wishes.interleaved),
	};
	memcpy(info->name, region->name, sizeof(info->name));
	connection_unlock(region->connection);
	return 0;
}
