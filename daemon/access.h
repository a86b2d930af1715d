/*
 * access.h: who may do what with a heap, and what names mean for whom. Pure.
 */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/message.h"

/* Who the peer is, as the kernel says. */
struct credentials {
	uid_t uid;
	gid_t gid;
	pid_t pid;     /* 0: in a pid namespace that ours does not see */
	gid_t *groups; /* supplementary; malloc'ed */
	size_t group_count;
};

/* What a heap says about it. */
struct owner {
	uid_t uid;
	gid_t gid;
	uint32_t mode;
};

void credentials_fini(struct credentials *credentials);

/* May the peer attach for reading; for writing; change and drop it? Root may all. */
bool access_read(const struct credentials *peer, const struct owner *owner);
bool access_write(const struct credentials *peer, const struct owner *owner);
bool access_change(const struct credentials *peer, const struct owner *owner);

/* May the peer, who may change it, give it to that user and group? The same ones: always. */
bool access_give(const struct credentials *peer, const struct owner *owner, uid_t uid, gid_t gid);

/*
 * The name under which the daemon keeps what a peer calls `name`: "~/x" is "~UID/x". name is valid
 * (proto/name.h), or a prefix of a valid one. -ERROR_NAME: too long that way.
 */
int access_resolve_name(const struct credentials *peer, const char *name,
			char resolved[static PROTO_NAME_MAX + 1]);

/* May the peer create a heap of that resolved name? "~UID/…" only that user and root, "~file/…" nobody. */
bool access_create(const struct credentials *peer, const char *resolved);

/* The name as shown to the peer: its own "~UID/x" as "~/x". */
void access_show_name(const struct credentials *peer, const char *resolved,
		      char shown[static PROTO_NAME_MAX + 1]);

#endif
