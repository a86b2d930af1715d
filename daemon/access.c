/*
 * access.c: the rules of names, owners and modes. The first class that fits counts, as for files.
 */
#include "daemon/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/macros.h"

#define BIT_READ  4u
#define BIT_WRITE 2u

void credentials_fini(struct credentials *credentials)
{
	free(credentials->groups);
	credentials->groups = NULL;
	credentials->group_count = 0;
}

static bool is_member(const struct credentials *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (size_t i = 0; i < peer->group_count; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

static bool has_bit(const struct credentials *peer, const struct owner *owner, uint32_t bit)
{
	if (peer->uid == 0)
		return true;
	if (peer->uid == owner->uid)
		return owner->mode >> 6 & bit;
	if (is_member(peer, owner->gid))
		return owner->mode >> 3 & bit;
	return owner->mode & bit;
}

bool access_read(const struct credentials *peer, const struct owner *owner)
{
	return has_bit(peer, owner, BIT_READ);
}

bool access_write(const struct credentials *peer, const struct owner *owner)
{
	return has_bit(peer, owner, BIT_WRITE);
}

bool access_change(const struct credentials *peer, const struct owner *owner)
{
	return peer->uid == 0 || peer->uid == owner->uid;
}

bool access_give(const struct credentials *peer, const struct owner *owner, uid_t uid, gid_t gid)
{
	if (peer->uid == 0)
		return true;
	return uid == owner->uid && (gid == owner->gid || is_member(peer, gid));
}

int access_resolve_name(const struct credentials *peer, const char *name,
			char resolved[static PROTO_NAME_MAX + 1])
{
	bool own = name[0] == '~' && name[1] == '/';
	int size;

	if (own)
		size = snprintf(resolved, PROTO_NAME_MAX + 1, "~%u%s", (unsigned)peer->uid, name + 1);
	else
		size = snprintf(resolved, PROTO_NAME_MAX + 1, "%s", name);
	return size < 0 || size > (int)PROTO_NAME_MAX ? -ERROR_NAME : 0;
}

/* How many bytes of the name are the peer's own "~UID"; 0: it is not below that. */
static size_t own_part(const struct credentials *peer, const char *resolved)
{
	char own[16];
	size_t size = (size_t)snprintf(own, sizeof(own), "~%u/", (unsigned)peer->uid);

	return strncmp(resolved, own, size) == 0 ? size - 1 : 0;
}

bool access_create(const struct credentials *peer, const char *resolved)
{
	if (strncmp(resolved, "~file/", 6) == 0 || strncmp(resolved, "~heap/", 6) == 0)
		return false;
	return resolved[0] != '~' || peer->uid == 0 || own_part(peer, resolved);
}

void access_show_name(const struct credentials *peer, const char *resolved,
		      char shown[static PROTO_NAME_MAX + 1])
{
	size_t own = own_part(peer, resolved);

	snprintf(shown, PROTO_NAME_MAX + 1, "%s%s", own ? "~" : "", resolved + own);
}
