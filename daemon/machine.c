/*
 * machine.c: the machine's memory, and the limits of control groups, of both versions.
 *
 * A group's limit holds for all below it, so each group from ours up to the root is asked.
 */
#include "daemon/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/macros.h"
#include "base/text.h"

static void fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* The limit that stands in a file; UINT64_MAX when there is none. */
static uint64_t limit_in(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[64];
	uint64_t limit;
	size_t size;

	if (fd < 0 || fd_read_all(fd, text, sizeof(text) - 1, &size))
		return UINT64_MAX;
	text[size] = '\0';
	text[strcspn(text, "\n")] = '\0';
	/* "max", and version 1's huge number, are no limits. */
	return text_parse_uint(text, 1, UINT64_MAX, &limit) ? UINT64_MAX : limit;
}

/* The least limit of the group and those above it. */
static uint64_t limit_of_group(const char *root, const char *file, char *group)
{
	uint64_t least = UINT64_MAX;
	char path[4096];

	for (;;) {
		char *slash = strrchr(group, '/');

		snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
		least = MIN(least, limit_in(path));
		if (!slash)
			return least;
		*slash = '\0';
	}
}

uint64_t machine_group_limit(const char *list, const char *root)
{
	_cleanup_(fclosep) FILE *file = fopen(list, "re");
	uint64_t least = UINT64_MAX;
	char line[2048], memory[2048];

	(void)snprintf(memory, sizeof(memory), "%s/memory", root);

	/* hierarchy:controllers:path */
	while (file && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':'),
		     *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		if (strcmp(controllers + 1, "") == 0)
			least = MIN(least, limit_of_group(root, "memory.max", group));
		else if (strcmp(controllers + 1, "memory") == 0)
			least = MIN(least, limit_of_group(memory, "memory.limit_in_bytes", group));
	}
	return least;
}

uint64_t machine_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t memory = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 30;

	return MIN(memory, machine_group_limit("/proc/self/cgroup", "/sys/fs/cgroup"));
}
