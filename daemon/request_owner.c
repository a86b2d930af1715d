/*
 * request_owner.c: chmod, chown, rename.
 *
 * They change what later comers find. What is attached stays so, as an open file stays open; a read-only
 * descriptor stays read-only, too.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "daemon/client.h"
#include "daemon/disk.h"
#include "daemon/dispatch.h"
#include "daemon/kind.h"
#include "daemon/registry.h"
#include "proto/name.h"

/* The heap of a request that only its owner may make. what: for the message. */
static int find_own(struct client *client, uint32_t number, const char *name, const char *what,
		    struct heap **_heap, char message[static REQUEST_MESSAGE_SIZE])
{
	struct attachment *attachment;
	int r = request_heap(client, number, name, _heap, &attachment, message);
	const struct heap *heap;

	if (r)
		return r;
	heap = *_heap;
	if (!access_change(&client->peer, &heap->owner))
		return request_no_access(client, heap, what, message);
	if (heap->kind_number == PROTO_NAMED_FILE) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "file \"%s\": its name, owner and mode are the file's own",
			 heap->name);
		return -ERROR_UNSUPPORTED;
	}
	/* Its name is how those with another path to the file find it. */
	if (heap->saved && heap->saved->handed_over) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "heap \"%s\": its name, owner and mode are its file's own",
			 heap->name);
		return -ERROR_UNSUPPORTED;
	}
	if (heap->dropped) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\" was dropped before", heap->kind->noun,
			 heap->name);
		return -ERROR_DROPPED;
	}
	return 0;
}

REQUEST_FUNCTION(chmod, proto_chmod)
{
	const struct proto_empty reply = {0};
	struct heap *heap;
	int r = find_own(client, request->heap, request->name, "change the mode of", &heap, message);

	if (r)
		return r;
	heap_chmod(heap, request->mode);
	client_send_reply(client, id, PROTO_CHMOD, &reply);
	return 0;
}

REQUEST_FUNCTION(chown, proto_chown)
{
	const struct proto_empty reply = {0};
	struct heap *heap;
	uid_t uid;
	gid_t gid;
	int r = find_own(client, request->heap, request->name, "change the owner of", &heap, message);

	if (r)
		return r;
	uid = request->uid == PROTO_SAME_ID ? heap->owner.uid : request->uid;
	gid = request->gid == PROTO_SAME_ID ? heap->owner.gid : request->gid;
	if (!access_give(&client->peer, &heap->owner, uid, gid)) {
		snprintf(message, REQUEST_MESSAGE_SIZE,
			 "%s \"%s\": user %u may not give it to user %u, group %u", heap->kind->noun,
			 heap->name, (unsigned)client->peer.uid, (unsigned)uid, (unsigned)gid);
		return -ERROR_ACCESS;
	}
	r = heap_chown(heap, uid, gid, message);
	if (r)
		return r;
	log_info("heap given to", LOG_TEXT("heap", heap->name), LOG_UINT("uid", uid), LOG_UINT("gid", gid),
		 LOG_UINT("by", client->peer.uid));
	client_send_reply(client, id, PROTO_CHOWN, &reply);
	return 0;
}

/* What the heap shall be called, and what is called so now. */
static int find_target(struct client *client, const struct heap *heap, const struct proto_rename *request,
		       char to[static PROTO_NAME_MAX + 1], struct heap **_there,
		       char message[static REQUEST_MESSAGE_SIZE])
{
	int r = request_find(client, request->to, heap->kind->noun, _there, message);

	if (r && r != -ERROR_NOT_FOUND)
		return r;
	*message = '\0';
	/* request_find has found that it fits. */
	(void)access_resolve_name(&client->peer, request->to, to);
	if (!access_create(&client->peer, to)) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\": names of that user are not for user %u",
			 heap->kind->noun, to, (unsigned)client->peer.uid);
		return -ERROR_ACCESS;
	}
	if (r == -ERROR_NOT_FOUND)
		*_there = NULL;
	if (!*_there || *_there == heap)
		return 0;
	if (!request->replace) {
		snprintf(message, REQUEST_MESSAGE_SIZE, "%s \"%s\" exists already", (*_there)->kind->noun, to);
		return -ERROR_EXISTS;
	}
	return access_change(&client->peer, &(*_there)->owner)
		       ? disk_replaceable(*_there, message)
		       : request_no_access(client, *_there, "replace", message);
}

REQUEST_FUNCTION(rename, proto_rename)
{
	const struct proto_empty reply = {0};
	char to[PROTO_NAME_MAX + 1], from[PROTO_NAME_MAX + 1];
	struct heap *heap, *there = NULL;
	int r = find_own(client, request->heap, request->name, "rename", &heap, message);

	if (!r)
		r = find_target(client, heap, request, to, &there, message);
	if (r)
		return r;
	memcpy(from, heap->name, sizeof(from));
	/* A daemon that dies between the two leaves the name free, and the heap with its old one. */
	if (there && there != heap)
		heap_drop(there, "replaced by a rename", client->peer.uid);
	if (there != heap)
		heap_rename(heap, to);
	log_info("heap renamed", LOG_TEXT("from", from), LOG_TEXT("to", to), LOG_UINT("by", client->peer.uid));
	client_send_reply(client, id, PROTO_RENAME, &reply);
	return 0;
}
