/*
 * request_open.c: attaching, with creation on the way, and detaching.
 *
 * Nothing is half done: a heap gets its name, and one that it replaces loses it, when nothing can fail any
 * more but the sending of the answer, which ends the connection and with it the attachment.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "daemon/census.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"
#include "daemon/recovery.h"
#include "daemon/registry.h"
#include "daemon/request_persist.h"
#include "daemon/ticket.h"

/*
 * A descriptor of the segment to hand out. A read-only one is opened anew: a duplicate would share the mode;
 * and by the file's mode, 0600 and the daemon's, nobody else can open it for writing through /proc.
 */
int request_open_segment(const struct heap *heap, enum proto_access access, int *_fd)
{
	char path[32];
	int fd;

	if (access == PROTO_ACCESS_WRITE)
		return fd_dup(heap->fd, _fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", heap->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_from_errno(errno);
	*_fd = fd;
	return 0;
}

static int check_access(struct client *client, const struct heap *heap, enum proto_access access,
			char message[static REQUEST_MESSAGE_SIZE])
{
	if (access == PROTO_ACCESS_WRITE && !access_write(&client->peer, &heap->owner))
		return request_no_access(client, heap, "write", message);
	if (access == PROTO_ACCESS_READ && !access_read(&client->peer, &heap->owner))
		return request_no_access(client, heap, "read", message);
	return 0;
}

/* A user's threads at work: they take slots without asking; so who has too many attaches nothing more to work in. */
static int check_slots(struct client *client, const struct proto_open *request,
		       char message[static REQUEST_MESSAGE_SIZE])
{
	const struct user *user = client->user;
	uint32_t slots;

	if (!user->limits->slots || request->access != PROTO_ACCESS_WRITE || request->kind != PROTO_NAMED_HEAP)
		return 0;
	census_of_users(client->broker, &user, 1, &slots);
	if (slots < user->limits->slots)
		return 0;
	snprintf(message, REQUEST_MESSAGE_SIZE,
		 "heap \"%s\": user %u has %" PRIu32 " of %" PRIu32 " slots: threads at work in heaps",
		 request->name, (unsigned)user->uid, slots, user->limits->slots);
	return -ERROR_LIMIT;
}

uint64_t request_ticket(const struct client *client, const struct heap *heap, enum proto_access access)
{
	struct stat st;
	uint8_t memory[sizeof(heap->id)];
	uint64_t number = fstat(heap->fd, &st) == 0 ? st.st_ino : 0;

	memcpy(memory, heap->id, sizeof(memory));
	for (size_t i = 0; i < sizeof(number); i++)
		memory[i] ^= (uint8_t)(number >> 8 * i);
	return ticket_of_attachment(client->broker->catalogue, client->number, memory, access);
}

void request_reply_open(struct client *client, uint64_t id, enum proto_op op,
			const struct attachment *attachment, bool created, int fd)
{
	const struct heap *heap = attachment->heap;
	struct proto_open_reply reply = {.heap = attachment->number,
					 .kind = heap->kind_number,
					 .params = heap->params,
					 .region = heap->region_params,
					 .team = heap->team_params,
					 .elements = heap->elements,
					 .access = attachment->access,
					 .created = created,
					 .mode = heap->owner.mode,
					 .uid = heap->owner.uid,
					 .gid = heap->owner.gid,
					 .ticket = request_ticket(client, heap, attachment->access),
					 .checkpoint_ms = heap->checkpoint_ms};

	memcpy(reply.heap_id, heap->id, sizeof(reply.heap_id));
	access_show_name(&client->peer, heap->name, reply.name);
	client_send_reply_take(client, id, op, &reply, fd);
}

/* A writer may have written over everything; whoever comes later is not given that. */
static int check_whole(struct heap *heap, char message[static REQUEST_MESSAGE_SIZE])
{
	if (!heap->quarantined && heap->kind->is_whole && !heap->kind->is_whole(heap))
		recovery_quarantine(heap, "its header has been written over");
	if (!heap->quarantined)
		return 0;
	snprintf(message, REQUEST_MESSAGE_SIZE,
		 "%s \"%s\" is quarantined: its memory makes no sense; emsctl check --repair saves what is left",
		 heap->kind->noun, heap->name);
	return -ERROR_CORRUPT;
}

/* created: by the same request, asked before: then, as with creation, the mode does not count. */
static int attach_how(struct client *client, uint64_t id, struct heap *heap, enum proto_access access,
		     bool created, bool examine, char message[static REQUEST_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = -1;
	struct attachment *attachment;
	int r;

	/* To look at what is its own, whoever made it unreadable. */
	bool admitted = created || (examine && access_change(&client->peer, &heap->owner));

	r = admitted ? 0 : check_access(client, heap, access, message);
	if (!r)
		r = disk_usable(heap, message);
	if (!r && !examine)
		r = check_whole(heap, message);
	if (!r)
		r = request_open_segment(heap, access, &fd);
	if (!r)
		r = heap_attach(heap, client, access, &attachment);
	if (r)
		return r;
	request_reply_open(client, id, PROTO_OPEN, attachment, created, steal_fd(&fd));
	return 0;
}

int request_attach_as(struct client *client, uint64_t id, struct heap *heap, enum proto_access access,
		      bool created, char message[static REQUEST_MESSAGE_SIZE])
{
	return attach_how(client, id, heap, access, created, false, message);
}

static int attach(struct client *client, uint64_t id, struct heap *heap, const struct proto_open *request,
		  char message[static REQUEST_MESSAGE_SIZE])
{
	return attach_how(client, id, heap, request->access, false,
			 request->examine && request->access == PROTO_ACCESS_READ, message);
}

static bool is_creation(const struct client *client, const struct heap *heap,
			const struct proto_open *request)
{
	static const uint8_t none[sizeof(heap->creation)];

	return memcmp(request->creation, none, sizeof(none)) != 0 &&
	       memcmp(request->creation, heap->creation, sizeof(none)) == 0 &&
	       heap->user->uid == client->peer.uid;
}

static int check_creation(struct client *client, enum proto_named kind, const char *name,
			  const struct heap *old, char message[static REQUEST_MESSAGE_SIZE])
{
	if (!access_create(&client->peer, name)) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\": names of that user are not for user %u",
			 kind_noun(kind), name, (unsigned)client->peer.uid);
		return -ERROR_ACCESS;
	}
	if (old && !access_change(&client->peer, &old->owner))
		return request_no_access(client, old, "replace", message);
	if (old && disk_replaceable(old, message))
		return -ERROR_LOADING;
	if (request_is_pending(client->broker, name)) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\" is being made by somebody else", kind_noun(kind), name);
		return -ERROR_LOADING;
	}
	return registry_reserve(&client->broker->registry);
}

static int create(struct client *client, uint64_t id, const char *name, const struct proto_open *request,
		  struct heap *old, char message[static REQUEST_MESSAGE_SIZE])
{
	_cleanup_(closep) int fd = -1;
	struct attachment *attachment;
	struct heap *heap;
	int r;

	r = check_creation(client, request->kind, name, old, message);
	if (!r && request->kind == PROTO_NAMED_HEAP && request->params.persistent)
		return request_create_persistent(client, id, name, request, -1, message);
	if (!r)
		r = heap_new(client->broker, &client->peer, name, request, &heap, message);
	if (r)
		return r;
	*message = '\0';
	/* Whoever creates gets what it asks for, like with a file, whatever the mode says to later ones. */
	r = request_open_segment(heap, request->access, &fd);
	if (!r)
		r = heap_attach(heap, client, request->access, &attachment);
	if (r) {
		heap_free(heap);
		return r;
	}
	if (old)
		heap_drop(old, "replaced", client->peer.uid);
	heap_publish(heap);
	log_info("heap created", LOG_TEXT("heap", heap->name), LOG_UINT("uid", client->peer.uid),
		 LOG_INT("pid", client->peer.pid), LOG_UINT("elements", heap->elements),
		 LOG_UINT("storage", heap->params.storage), LOG_UINT("committed", heap->budget.used),
		 LOG_TEXT("kind", heap->kind->noun));
	broker_tell_status(client->broker);
	request_reply_open(client, id, PROTO_OPEN, attachment, true, steal_fd(&fd));
	return 0;
}

static int check_match(const struct heap *heap, const struct proto_open *settled,
		       char message[static REQUEST_MESSAGE_SIZE])
{
	const char *field = heap->kind->difference(heap, settled);

	if (!field)
		return 0;
	snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\" is there, but was created with another \"%s\"",
		 heap->kind->noun, heap->name, field);
	return -ERROR_MISMATCH;
}

REQUEST_FUNCTION(open, proto_open)
{
	const struct kind *kind = kind_of(request->kind);
	struct proto_open settled = *request;
	char name[PROTO_NAME_MAX + 1];
	struct heap *heap = NULL;
	int r;

	if (request->file)
		return request_open_heap_file(client, id, request, message);
	if (!kind || !kind->settle) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "this daemon opens no %ss by name",
			 kind_noun(request->kind));
		return -ERROR_UNSUPPORTED;
	}
	r = request_find(client, request->name, kind->noun, &heap, message);
	if (r && !(r == -ERROR_NOT_FOUND && request->how != PROTO_HOW_OPEN))
		return r;
	*message = '\0';
	r = check_slots(client, request, message);
	if (r)
		return r;
	if (heap && request->how != PROTO_HOW_CREATE) {
		r = request_expect_kind(heap, request->kind, message);
		if (r)
			return r;
	}
	if (request->how == PROTO_HOW_OPEN)
		return attach(client, id, heap, request, message);
	/* Asked for once more, by who did not get the answer: it is done. */
	if (heap && request->how == PROTO_HOW_CREATE && is_creation(client, heap, request))
		return request_attach_as(client, id, heap, request->access, true, message);
	if (heap && request->how == PROTO_HOW_CREATE && !request->replace) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\" exists already", heap->kind->noun,
			 request->name);
		return -ERROR_EXISTS;
	}
	r = kind->settle(&settled, message);
	if (r)
		return r;
	if (heap && request->how == PROTO_HOW_OPEN_OR_CREATE && !(kind->is_over && kind->is_over(heap))) {
		r = request->any_params ? 0 : check_match(heap, &settled, message);
		return r ? r : attach(client, id, heap, request, message);
	}
	/* request_find has found that it fits. */
	(void)access_resolve_name(&client->peer, request->name, name);
	return create(client, id, name, &settled, heap, message);
}

REQUEST_FUNCTION(detach, proto_detach)
{
	const struct proto_empty reply = {0};
	struct attachment *attachment;
	int r;

	r = request_attachment(client, request->heap, &attachment, message);
	if (r)
		return r;
	heap_detach(attachment);
	client_send_reply(client, id, PROTO_DETACH, &reply);
	return 0;
}
